/* Photometry: measuring at known positions. Equations: README.md of this folder.
 * Positions are 0-based pixels, an integer is a pixel's centre; angles are degrees
 * counter-clockwise from +x; fluxes have the unit of the image. A flux that cannot be measured is
 * NaN, with a flag that says why; an error that cannot be known is NaN. */
#ifndef AID_DOMAIN_PHOTOMETRY_PHOTOMETRY_H
#define AID_DOMAIN_PHOTOMETRY_PHOTOMETRY_H

#include "core/base/notes.h"
#include "core/base/pool.h"
#include "core/imaging/exposure.h"
#include "domain/photometry/source.h"

#include <math.h>

/* What is measured on. All but the image may be missing. Borrowed. */
typedef struct aid_photometry_frame {
    const aid_image *image; /* background-subtracted */
    const aid_mask *mask;   /* NULL or empty: none */
    uint8_t mask_bits;      /* pixels with one of these are left out; 0: the four sound reasons,
                             * BAD, SATURATED, COSMIC_RAY and NO_DATA. NaN is always left out */
    const aid_mesh *noise;  /* sky rms; NULL or empty: errors are NaN, weights equal */
    const aid_noise_correlation *correlation; /* NULL or not measured: white */
    double gain;                /* e-/unit; not positive or infinite: no photon noise */
    const aid_psf *psf;         /* NULL or terms == 0: none */
    const aid_image *psf_stamp; /* where `psf` is none: the PSF everywhere, odd sides, unit sum */
    double psf_scale;           /* fluxes by the PSF are multiplied by it; 0: by nothing. See
                                 * aid_measure_psf_scale */
    const int32_t *segments;    /* [height][width], stride == width: which source a pixel belongs
                                 * to, 0 sky; NULL: unknown */
} aid_photometry_frame;

aid_photometry_frame aid_photometry_frame_of(const aid_exposure *exposure);

enum {                                     /* flags of every measurement here */
       AID_PHOTOMETRY_OFF_IMAGE = 1,       /* the centre is off the image, or no number: NaN */
       AID_PHOTOMETRY_EDGE = 2,            /* reaches over the border */
       AID_PHOTOMETRY_MASKED = 4,          /* pixels within are masked or NaN */
       AID_PHOTOMETRY_SATURATED = 8,       /* a saturated pixel within */
       AID_PHOTOMETRY_CORRECTED = 16,      /* scaled up for the missing pixels, as asked for */
       AID_PHOTOMETRY_NO_BACKGROUND = 32,  /* too few pixels for the local background: 0 is used */
       AID_PHOTOMETRY_BLENDED = 64,        /* measured together with a neighbour */
       AID_PHOTOMETRY_NOT_CONVERGED = 128, /* the position is the one that was given */
       AID_PHOTOMETRY_NO_FLUX = 256        /* no positive flux where one is needed */
};
/* "edge|masked" for flags; "" for none. Truncated at `size`. */
void aid_photometry_flag_names(unsigned flags, char *text, size_t size);

/* ---------------------------------------------------------------------------------- apertures */

/* The area that the pixel of side 1 centred at (x, y) shares with the ellipse around 0: exact. */
double aid_ellipse_overlap(double x, double y, double a_px, double b_px, double theta_deg);

typedef enum aid_local_background {
    AID_LOCAL_NONE,
    AID_LOCAL_MEDIAN, /* of the clipped pixels; variance x pi/2 */
    AID_LOCAL_MEAN
} aid_local_background;

typedef struct aid_aperture {
    double a_px, b_px, theta_deg;    /* semi-axes; a circle has a == b */
    aid_local_background background; /* of the annulus between ellipses of the same shape */
    double inner_px, outer_px;       /* their semi-major axes */
    double clip_sigma;               /* of the annulus' pixels, 3 */
    bool whole_pixels;               /* a pixel counts wholly or not at all, by its centre, as in
                                      * SExtractor's AUTO */
    bool correct;    /* flux x area / usable area where pixels are missing, flagged */
    int32_t segment; /* > 0: pixels of other segments count as missing in the aperture; the
                      * annulus always leaves out pixels of any segment */
    bool mirror;     /* missing pixels are replaced by those opposite, where these are sound */
} aid_aperture;
#define AID_APERTURE_CIRCLE(radius)                                                                \
    (aid_aperture)                                                                                 \
    {                                                                                              \
        .a_px = (radius), .b_px = (radius), .clip_sigma = 3.0                                      \
    }

/* Fails with AID_ERR_INVALID unless 0 < b <= a <= 2048 and, with a background, a <= inner < outer
 * <= 4096, naming the numbers. */
AID_MUST_USE aid_status aid_aperture_check(const aid_aperture *aperture, aid_error *err);

typedef struct aid_aperture_flux {
    double flux, flux_err;             /* local background subtracted */
    double area_px;                    /* that was summed */
    double missing;                    /* fraction of the aperture's area that was not */
    double background, background_err; /* local, per pixel; 0 without */
    int background_px;                 /* how many pixels it is from */
    unsigned flags;
} aid_aperture_flux;

/* One position with an aperture that has passed the check. Thread-safe. */
aid_aperture_flux aid_aperture_at(const aid_photometry_frame *frame, const aid_aperture *aperture,
                                  double x, double y);

/* `count` positions with one aperture; ret_fluxes [count] is the caller's. */
AID_MUST_USE aid_status aid_aperture_photometry(const aid_photometry_frame *frame,
                                                const aid_aperture *aperture, const double (*xy)[2],
                                                int count, aid_pool *pool,
                                                aid_aperture_flux *ret_fluxes, aid_error *err);

/* ----------------------------------------------------------------------- Kron, curve of growth */

/* A source as it is known so far: second moments (SExtractor's A, B, THETA). */
typedef struct aid_source_shape {
    double x, y;
    double a_px, b_px, theta_deg;
    int32_t segment; /* its number in frame->segments, 0: none */
} aid_source_shape;

typedef struct aid_kron_options {
    double factor, minimum, reach; /* 2.5, 3.5 and 6, in units of a, b */
    bool whole_pixels;             /* as SExtractor sums */
} aid_kron_options;
#define AID_KRON_DEFAULTS                                                                          \
    (aid_kron_options)                                                                             \
    {                                                                                              \
        .factor = 2.5, .minimum = 3.5, .reach = 6.0                                                \
    }

typedef struct aid_kron_flux {
    double flux, flux_err;
    double radius;     /* KRON_RADIUS: factor x r1, at least the minimum; of a, b */
    double a_px, b_px; /* of the ellipse that was summed */
    double missing;
    unsigned flags;
} aid_kron_flux;

/* Pixels of other segments are replaced by those opposite (MASK_TYPE CORRECT). Thread-safe. */
aid_kron_flux aid_kron_at(const aid_photometry_frame *frame, const aid_source_shape *source,
                          const aid_kron_options *options);

/* Radii of the circles that hold the given fractions (0 < f < 1) of `total`, or, where that is not
 * positive, of the flux within reach_px; NaN where a fraction is not reached. Thread-safe. */
void aid_flux_radius(const aid_photometry_frame *frame, const aid_source_shape *source,
                     double reach_px, double total, const double *fractions, int count,
                     double *ret_radii_px);

enum { AID_GROWTH_RADII = 24 };
typedef struct aid_growth_curve {
    int count;                          /* of the radii; 0: nothing to have it from */
    double radius_px[AID_GROWTH_RADII]; /* increasing; the last one stands for all */
    double fraction[AID_GROWTH_RADII];  /* of the total flux, last = 1 */
    double error[AID_GROWTH_RADII];     /* standard error of the fraction */
    int stars;                          /* 0: from the PSF model */
} aid_growth_curve;

/* From the bright, isolated, unflagged ones among `stars`. Where there is none the curve is that of
 * the PSF, and where there is no PSF it is empty; a note says so. */
AID_MUST_USE aid_status aid_measure_growth_curve(const aid_photometry_frame *frame,
                                                 const aid_stars *stars, aid_pool *pool,
                                                 aid_notes *notes, aid_growth_curve *ret_curve,
                                                 aid_error *err);
/* What a flux within that radius has to be multiplied by; its standard error may be NULL. NaN for
 * an empty curve or a radius below the first. */
double aid_aperture_correction(const aid_growth_curve *curve, double radius_px, double *ret_error);

/* ------------------------------------------------------------------------------------ PSF fits */

typedef struct aid_psf_target {
    double x, y;
    double flux; /* a first guess; NaN: none */
} aid_psf_target;

typedef struct aid_psf_fit_options {
    bool fixed;             /* positions stay as given */
    bool local_background;  /* a constant for each group, fitted along */
    double fit_radius_px;   /* 0: 1.5 FWHM */
    double group_radius_px; /* neighbours nearer than this are fitted together; 0: 1.75 FWHM */
    double max_shift_px;    /* 0: .75 FWHM; a position that wants to go farther is put back */
    int rounds;             /* of subtracting neighbours and fitting again, 3 */
} aid_psf_fit_options;
#define AID_PSF_FIT_DEFAULTS                                                                       \
    (aid_psf_fit_options)                                                                          \
    {                                                                                              \
        .rounds = 3                                                                                \
    }

typedef struct aid_psf_flux {
    double x, y, x_err, y_err; /* errors 0 where the position was fixed */
    double flux, flux_err;
    double null_err;                   /* the error that a flux of 0 would have */
    double background, background_err; /* per pixel; 0 where none was fitted */
    double chi2;                       /* reduced, of the pixels within the fit radius */
    double missing;                    /* fraction of the PSF's weight on pixels without data */
    int group;                         /* how many were fitted together */
    unsigned flags;
} aid_psf_flux;

/* Weighted least squares with the local PSF, groups of neighbours at once, other neighbours
 * subtracted. Weights are of the sky's noise and the model's photons, never of the data: no bias.
 * Fails with AID_ERR_NUMERIC when the frame has no PSF. ret_fluxes [count] is the caller's. */
AID_MUST_USE aid_status aid_psf_photometry(const aid_photometry_frame *frame,
                                           const aid_psf_target *targets, int count,
                                           const aid_psf_fit_options *options, aid_pool *pool,
                                           aid_psf_flux *ret_fluxes, aid_error *err);

/* What a flux by the PSF has to be multiplied by to be all of a star's light: from growth curves of
 * bright stars, their neighbours subtracted, up to the radius from which on nothing significant is
 * added. A PSF that was built in a crowded field has wings of its stars' neighbours, of up to a
 * percent. 1 where the stars cannot tell, with a note; ret_error (may be NULL) is 0 then. */
AID_MUST_USE aid_status aid_measure_psf_scale(const aid_photometry_frame *frame,
                                              const aid_stars *stars, aid_pool *pool,
                                              aid_notes *notes, double *ret_scale,
                                              double *ret_error, aid_error *err);

/* One lone source at a fixed position with the weights of faint ones, the PSF over the sky's
 * variance (Naylor 1998): linear in the pixels, so that fluxes of frames may be averaged. NaN where
 * there is no PSF. Thread-safe. */
aid_psf_flux aid_optimal_flux_at(const aid_photometry_frame *frame, double x, double y);

/* ---------------------------------------------------------------------------------- morphology */

typedef struct aid_morphology {
    double petrosian_px;  /* radius at which eta = .2; of circles around the source */
    double x, y;          /* of least asymmetry */
    double xx, yy, xy;    /* second moments within the Petrosian radius, px^2 */
    double gini, m20;     /* Lotz, Primack & Madau 2004 */
    double concentration; /* 5 log10(r80/r20), Conselice 2003 */
    double asymmetry;     /* rotation by 180 deg, noise taken off */
    double r20_px, r50_px, r80_px;
    double snr_per_px; /* mean, within the Petrosian radius */
    unsigned flags;
} aid_morphology;

/* Pixels of other segments count as missing. Quantities that the source is too faint for are NaN.
 * Thread-safe. */
AID_MUST_USE aid_status aid_measure_morphology(const aid_photometry_frame *frame,
                                               const aid_source_shape *source,
                                               aid_morphology *ret_morphology, aid_error *err);

typedef struct aid_source_peak {
    double x, y;       /* vertex of the parabola through the neighbours */
    double value;      /* there */
    double prominence; /* above the saddle to a higher peak, in sigma of the sky */
} aid_source_peak;

typedef struct aid_peak_options {
    double threshold;  /* least height, sigma of the sky: 3 */
    double prominence; /* least, sigma of the sky: 2 */
    double radius_px;  /* how far from the source's centre, where it has no segment */
} aid_peak_options;
#define AID_PEAK_DEFAULTS                                                                          \
    (aid_peak_options)                                                                             \
    {                                                                                              \
        .threshold = 3.0, .prominence = 2.0, .radius_px = 10.0                                     \
    }

/* Peaks within a source, the highest first: at most `capacity` are written, *ret_count says how
 * many. Thread-safe. */
AID_MUST_USE aid_status aid_find_source_peaks(const aid_photometry_frame *frame,
                                              const aid_source_shape *source,
                                              const aid_peak_options *options, int capacity,
                                              aid_source_peak *ret_peaks, int *ret_count,
                                              aid_error *err);

/* Statistics of one quantity of a set of sources; NaN is skipped and counted. */
typedef struct aid_set_statistics {
    int64_t count, missing;
    double mean, median, sigma, robust_sigma, minimum, maximum, q05, q25, q75, q95;
} aid_set_statistics;
AID_MUST_USE aid_status aid_measure_set(const double *values, int64_t count,
                                        aid_set_statistics *ret_statistics, aid_error *err);

/* ------------------------------------------------------------------------------ classification */

typedef struct aid_classification {
    aid_source_class kind;     /* unknown: too faint to tell, or there is no PSF */
    double spread, spread_err; /* SPREAD_MODEL (Desai et al. 2012): 0 point, > 0 extended */
    double sharpness; /* how far a single pixel stands out of what the PSF leaves, sigma: 1 to 3 by
                       * noise alone */
    double p_point, p_extended, p_artefact; /* sum to 1; NaN without a PSF */
    double snr;
    unsigned flags;
} aid_classification;

/* At the source's windowed position. Thread-safe. */
aid_classification aid_classify_at(const aid_photometry_frame *frame, double x, double y);

/* -------------------------------------------------------------------------- lists of sources */

typedef struct aid_complete_options {
    bool psf, classes, morphology; /* what to fill */
    double morphology_snr;         /* least S/N of flux_auto for it: 20 */
} aid_complete_options;
#define AID_COMPLETE_DEFAULTS                                                                      \
    (aid_complete_options)                                                                         \
    {                                                                                              \
        .psf = true, .classes = true, .morphology = true, .morphology_snr = 20.0                   \
    }

/* Fills what extraction leaves open: flux_psf, flux_psf_err, chi2_psf, x_psf, y_psf with
 * AID_SOURCE_NO_PSF_FIT; kind, spread, spread_err, p_point; gini, m20, concentration, asymmetry of
 * sources that are bright enough. Where frame->segments are there, a source's id is its segment.
 * Without a PSF what needs one stays NaN, with a note. */
AID_MUST_USE aid_status aid_complete_sources(const aid_photometry_frame *frame,
                                             const aid_complete_options *options, aid_pool *pool,
                                             aid_notes *notes, aid_sources *sources,
                                             aid_error *err);

/* -------------------------------------------------------------------------------------- forced */

typedef enum aid_forced_method {
    AID_FORCED_PSF,
    AID_FORCED_APERTURE,
    AID_FORCED_MAP /* flux and error from maps: those of a difference */
} aid_forced_method;

typedef struct aid_forced_options {
    aid_forced_method method;
    aid_aperture aperture; /* for APERTURE */
    bool local_background; /* fitted along, for PSF */
} aid_forced_options;
#define AID_FORCED_DEFAULTS                                                                        \
    (aid_forced_options)                                                                           \
    {                                                                                              \
        .method = AID_FORCED_PSF, .aperture = AID_APERTURE_CIRCLE(6.0)                             \
    }

typedef struct aid_forced_input {
    aid_photometry_frame frame;
    const aid_image *flux, *flux_err; /* the maps: flux of a point source at each pixel, and its
                                       * standard error where there is none; NULL: none */
    double zero_point;                /* mag of one unit, NaN: unknown */
} aid_forced_input;

typedef struct aid_forced_flux {
    double x, y;
    double flux, flux_err; /* negative fluxes are fluxes */
    double snr;
    double limit_3sigma, limit_5sigma; /* x the error that a source of flux 0 would have */
    double upper_limit_95;             /* Bayesian, the prior flat above 0 */
    double mag, mag_err;               /* NaN where flux <= 0 or the zero point is unknown */
    double limit_3sigma_mag, limit_5sigma_mag, upper_limit_95_mag;
    double background; /* per pixel, local, where it was asked for; else 0 */
    double chi2;       /* reduced, of a PSF; else NaN */
    double missing;    /* fraction of the PSF's weight or of the aperture */
    unsigned flags;
} aid_forced_flux;

/* One flux for each position. ret_fluxes [count] is the caller's.
 * Fails with AID_ERR_NUMERIC when the PSF or the maps are not there that the method wants. */
AID_MUST_USE aid_status aid_forced_photometry(const aid_forced_input *input, const double (*xy)[2],
                                              int count, const aid_forced_options *options,
                                              aid_pool *pool, aid_forced_flux *ret_fluxes,
                                              aid_error *err);

/* How far positions that a WCS gave are off, by the stars of the image that are among them. */
typedef struct aid_position_shift {
    int matched;       /* stars that it is from */
    bool applied;      /* the positions were moved */
    double x_px, y_px; /* mean move of the matched */
    double rms_px;     /* scatter of the stars about it, per axis */
} aid_position_shift;

/* Moves all positions by what the brighter, unflagged stars within `radius_px` of one of them say:
 * a shift, or an affine map where there are many. Leaves them alone where too few match, where
 * they scatter as chance would, or where the shift is less than its error. Positions that are not
 * finite stay. */
AID_MUST_USE aid_status aid_refine_positions(const aid_stars *stars, double radius_px, int count,
                                             double (*xy)[2], aid_position_shift *ret_shift,
                                             aid_error *err);

/* The flux that a source measured as flux +- flux_err lies below with that probability, given that
 * it is not negative. */
double aid_flux_upper_limit(double flux, double flux_err, double probability);

#endif
