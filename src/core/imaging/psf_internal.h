/* What the files psf*.c share; for nobody else. */
#ifndef AID_CORE_IMAGING_PSF_INTERNAL_H
#define AID_CORE_IMAGING_PSF_INTERNAL_H

#include "core/imaging/psf.h"

enum {
    PSF_MAX_SIDE = 49, /* of a plane */
    PSF_TAUS = 6,      /* radial; fine and coarse of each degree */
    PSF_VARIATIONS = 2 * AID_PSF_MAX_DEGREE
};

/* ---- psf.c: the model ------------------------------------------------------------------------ */

/* The model at one place of the field. s^2 = xx dx^2 + 2 xy dx dy + yy dy^2. */
typedef struct psf_place {
    double xx, xy, yy;
    double shift_x, shift_y;
    double plane[PSF_MAX_SIDE * PSF_MAX_SIDE]; /* B-spline coefficients */
} psf_place;

/* Points (x + i*step, y + j*step), px from the centre. */
typedef struct psf_grid {
    double x, y, step;
    int width, height;
} psf_grid;

int aid_psf_terms_of_degree(int degree);
void aid_psf_terms(int degree, double u, double v, double terms[AID_PSF_MAX_TERMS]);
/* The terms at image position (x, y). */
void aid_psf_terms_at(const aid_psf *psf, double x, double y, double terms[AID_PSF_MAX_TERMS]);
double aid_psf_polynomial(const double *coefficients, const double *terms, int count);

void aid_psf_place_at(const aid_psf *psf, double x, double y, psf_place *ret_place);
/* T(s) + R on the grid, [height][width]; 1 at the centre, not normalised. The shift is not applied:
 * the grid is relative to the centre that the builder used. */
void aid_psf_sample(const aid_psf *psf, const psf_place *place, const psf_grid *grid,
                    double *values);

/* The four cubic B-splines that are not 0 at `position` (in nodes): weights of the nodes first ..
 * first+3, all within 0 .. side-1. Nodes beyond a plane's border count as 0. */
void aid_psf_spline_weights(double position, int side, int *ret_first, double weights[4]);

/* The isophote at half the maximum: diameter of the circle with its area, ellipse. */
typedef struct psf_isophote {
    double fwhm_px, ellipticity, theta_deg;
} psf_isophote;
psf_isophote aid_psf_isophote_at(const aid_psf *psf, double x, double y);

/* Centroid (px) of the model in a Gaussian window of the seeing's width around itself, as
 * SExtractor measures XWIN, YWIN. */
void aid_psf_windowed_centroid(const aid_psf *psf, const psf_place *place, double fwhm_px,
                               double *ret_x, double *ret_y);

/* ---- psf_stars.c: the stars that the model is built from ------------------------------------- */

typedef struct psf_star {
    double x, y;                     /* centre, image px, as fitted so far */
    double list_x, list_y;           /* as in the list */
    int index;                       /* in the list */
    double terms[AID_PSF_MAX_TERMS]; /* of the highest degree, at the list's position */
    double amplitude, background;    /* image = amplitude (T + R) + background */
    double snr;
    double mesh_noise, sky; /* rms, image unit: of the noise mesh, around the star */
    int left, top;          /* image pixel of the stamp's first pixel */
    float *pixels;          /* [side][side], neighbours subtracted */
    float *variance;        /* of sky and neighbours; INFINITY: no pixel there */
    bool used;
    /* from the latest pass over its pixels */
    double normal[64], right[8]; /* x, y, amplitude, background eliminated; see psf_shape.c */
    double chi2;                 /* of the pixels within 1.5 FWHM */
    int pixels_used;
    double residual; /* rms (star - model)/amplitude of pixels within one FWHM */
} psf_star;

typedef struct psf_buckets psf_buckets;

typedef struct psf_builder {
    const aid_image *image;
    const aid_mask *mask;
    const aid_mesh *noise;
    const aid_stars *list;
    psf_buckets *buckets; /* of the list */
    aid_pool *pool;
    double inverse_gain;
    double model_error;   /* relative error that is granted to the model in every pixel */
    double tau[PSF_TAUS]; /* relative size of each kind of coefficient in the planes */
    double variation[PSF_VARIATIONS]; /* sigma of the priors of size and ellipse, by degree */
    double fwhm_px;                   /* at the field centre, latest estimate */
    double clip;                      /* sigma, of pixels outside the core; 0: none */
    int radius, side;                 /* of the stamps */
    int count, used;
    psf_star *stars;
    float *pixels; /* of all stars: [count][2][side][side] */
    aid_psf psf;   /* the model so far */
} psf_builder;

/* Chooses the stars: builder->stars, count, buckets. AID_ERR_NUMERIC when there is none. */
aid_status aid_psf_select_stars(psf_builder *builder, aid_error *err);
void aid_psf_buckets_free(psf_buckets *buckets);
/* Cuts the stamps out of the image at builder->radius; `subtract`: takes the model of their
 * neighbours off. */
aid_status aid_psf_cut_stamps(psf_builder *builder, bool subtract, aid_error *err);

/* ---- psf_shape.c: size, shape and Moffat exponent -------------------------------------------- */

/* One usable pixel of a star: weight, data - model, and the derivatives of the model by x, y,
 * amplitude, background, log scale, g1, g2, ln beta. */
typedef struct psf_pixel {
    double weight, difference;
    double moffat, s2;
    double row[8];
} psf_pixel;
enum { PSF_AMPLITUDE = 2, PSF_BACKGROUND = 3, PSF_NUISANCE = 4, PSF_SHAPES = 3, PSF_LOCAL = 8 };

/* A star with the model at its place, for going through its pixels. */
typedef struct psf_view {
    const psf_builder *builder;
    const psf_star *star;
    double log_scale, g1, g2;
    double xx, xy, yy; /* of s^2, and its derivatives by g1, g2 */
    double xx1, xy1, yy1, xx2, xy2, yy2;
    const double *samples; /* T + R at the stamp's pixels; NULL: the Moffat function alone */
    double clip;           /* pixels that deviate by so many sigma outside the core are left out */
    double clip_radius2;
    double radius;                        /* px: beyond it the star is lost in the noise */
    int first_x, first_y, last_x, last_y; /* of the stamp, within the radius */
} psf_view;
void aid_psf_view_star(const psf_builder *builder, const psf_star *star, psf_view *ret_view);
/* Only moffat, s2 and row of *ret_pixel: the Moffat function and its derivatives at (x, y) px from
 * the star's centre. */
void aid_psf_view_derivatives(const psf_view *view, double x, double y, psf_pixel *ret_pixel);
/* false where there is no usable pixel. */
bool aid_psf_view_pixel(const psf_view *view, int i, int j, psf_pixel *ret_pixel);

/* Gaussian elimination of the first `count` unknowns: the trailing block becomes the normal matrix
 * of the rest with those free. */
void aid_psf_eliminate(int n, int count, double *matrix, double *right);
/* Steps of the eliminated unknowns, from the steps of the rest (steps[count..n-1]). */
void aid_psf_back_substitute(int n, int count, const double *matrix, const double *right,
                             double *steps);

/* At most `passes` Gauss-Newton steps of the shape polynomials, beta and every star's position,
 * amplitude and background. */
aid_status aid_psf_fit_shape(psf_builder *builder, int passes, aid_error *err);
/* T + R at the pixels of a star's stamp, [side][side]. */
void aid_psf_sample_star(const psf_builder *builder, const psf_star *star, double *samples);
/* Position, amplitude and background alone, with the full model; every star's quality. */
aid_status aid_psf_fit_stars(psf_builder *builder, int passes, aid_error *err);
/* 1/variance of what is left of the background at a star. */
double aid_psf_background_precision(const psf_star *star);

/* ---- psf_judge.c: which stars, which degree -------------------------------------------------- */

/* Takes out stars that are not of the model's shape, and sets model_error. Fails with
 * AID_ERR_NUMERIC when none is left. */
aid_status aid_psf_reject_stars(psf_builder *builder, aid_error *err);
/* The fewest stars that a polynomial of this degree is tried with. */
int aid_psf_stars_for_degree(int degree);
/* The degree that predicts left-out stars best, at most `max_degree`. */
aid_status aid_psf_choose_degree(const psf_builder *builder, int max_degree, int *ret_degree,
                                 aid_error *err);

/* ---- psf_residual.c: profile correction and planes ------------------------------------------- */

aid_status aid_psf_fit_residual(psf_builder *builder, aid_error *err);
/* The table of the Moffat function with `count` radial corrections (may be 0). */
aid_status aid_psf_make_profile(aid_psf *psf, const double *corrections, int count, aid_error *err);

#endif
