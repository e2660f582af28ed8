/* The point spread function of an image, built from the image's own stars:
 *   P(dx, dy; u, v) = T(s) + R(dx, dy; u, v),   scaled so that a stamp sums to 1,
 * where s is the elliptical radius, its size and shape varying over the field by polynomials in
 * u, v; T one radial profile for the whole image (a Moffat function, corrected where the stars ask
 * for it); and R what that leaves: planes of cubic B-splines, each the coefficient of a term of the
 * polynomial, shrunk towards 0 as far as the stars cannot tell them from noise. */
#ifndef AID_CORE_IMAGING_PSF_H
#define AID_CORE_IMAGING_PSF_H

#include "core/base/notes.h"
#include "core/base/pool.h"
#include "core/imaging/image.h"
#include "core/imaging/stars.h"

#define AID_PSF_MAX_DEGREE 3
#define AID_PSF_MAX_TERMS 10
#define AID_PSF_MAX_RADIUS 96 /* px */

typedef struct aid_psf {
    int radius_px; /* a stamp is (2*radius+1)^2 pixels */
    int degree;    /* of the polynomials: 0, 1, 2 or 3 */
    int terms;     /* (degree+1)(degree+2)/2, in the order 1, u, v, u2, uv, v2, ... */
    double x0, y0, scale_x, scale_y; /* u = (x-x0)/scale_x, v likewise, both in -1..1 */

    /* s^2 = e^(-2l) d^T exp(-2 [[g1, g2], [g2, -g1]]) d with l, g1, g2 polynomials: the ellipse of
     * s = 1 has the area pi e^2l. The shift puts the windowed centroid of the model at 0. */
    double log_scale[AID_PSF_MAX_TERMS], g1[AID_PSF_MAX_TERMS], g2[AID_PSF_MAX_TERMS];
    double shift_x[AID_PSF_MAX_TERMS], shift_y[AID_PSF_MAX_TERMS]; /* px */
    double beta;       /* of the Moffat function (1 + s^2)^-beta */
    double *profile;   /* T at s = 0, 1/profile_rate, ... ; [profile_count] */
    int profile_count; /* beyond it T is the Moffat function */
    double profile_rate;

    double oversampling;  /* B-spline nodes for each pixel; below 1 where the seeing is broad */
    int side;             /* of a plane, odd, centre at side/2; 0: no planes */
    double *coefficients; /* B-spline coefficients [terms][side][side], of the Moffat peak */
    /* quality */
    double fwhm_px, ellipticity, theta_deg; /* at the field centre; theta ccw from +x */
    double fwhm_min_px, fwhm_max_px;        /* over the field */
    double chi2;                            /* reduced, of the accepted stars */
    double residual; /* rms of (star - model) / star flux, core pixels, median over stars */
    int stars_used, stars_offered;
} aid_psf;

typedef struct aid_psf_options {
    int max_degree; /* 2 */
    int radius_px;  /* 0: from the seeing: 4 FWHM, at most 24 but never below 3 FWHM */
    double gain;    /* e-/unit, for the weights; infinite or not positive: no source noise */
} aid_psf_options;
#define AID_PSF_DEFAULTS                                                                           \
    (aid_psf_options)                                                                              \
    {                                                                                              \
        .max_degree = 2, .radius_px = 0, .gain = 1.0                                               \
    }

/* In:    image, background-subtracted, any linear unit; mask (same shape); noise mesh (rms of the
 *        sky in the image's unit); stars from aid_stars_find on this image.
 *        `mask` may be empty. Pixels that are masked or not finite have no weight.
 * Out:   *ret_psf; release with aid_psf_done. With few stars the degree drops, and a note says so.
 * Fails: AID_ERR_NUMERIC when not even one star is usable, with the reasons counted. */
AID_MUST_USE aid_status aid_psf_build(const aid_image *image, const aid_mask *mask,
                                      const aid_mesh *noise, const aid_stars *stars,
                                      const aid_psf_options *options, aid_pool *pool,
                                      aid_notes *notes, aid_psf *ret_psf, aid_error *err);
void aid_psf_done(aid_psf *psf);

/* The model at image position (x, y), for a star whose centre lies (dx, dy) px from the centre of
 * the stamp's middle pixel: the windowed centroid (a Gaussian window of the seeing's width, as of
 * the positions in aid_stars). stamp: [(2*radius+1)][(2*radius+1)], radius <= psf->radius_px,
 * tapered smoothly to 0 at the rim, sums to 1. Thread-safe. */
void aid_psf_stamp(const aid_psf *psf, double x, double y, double dx, double dy, int radius,
                   float *stamp);

/* FWHM of the model at a position: diameter of the circle with the area above half the maximum. */
double aid_psf_fwhm(const aid_psf *psf, double x, double y);

#endif
