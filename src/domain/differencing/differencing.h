/* Differencing: two exposures on one pixel grid -> difference, score, flux and motion maps.
 * Equations: README.md of this folder. */
#ifndef AID_DOMAIN_DIFFERENCING_DIFFERENCING_H
#define AID_DOMAIN_DIFFERENCING_DIFFERENCING_H

#include "core/base/notes.h"
#include "core/base/pool.h"
#include "core/imaging/exposure.h"

#include <math.h>

/* A star measured in both images. */
typedef struct aid_matched_star {
    double x, y;   /* science px, 0-based */
    double dx, dy; /* science - reference position, px */
    double flux_science, flux_reference;
    double ratio, ratio_err; /* science/reference flux */
    bool used;               /* in the fit of the flux ratio */
} aid_matched_star;

typedef struct aid_photometric_match {
    int count, used;
    aid_matched_star *stars;
    int degree;             /* of the flux ratio over the field: 0, 1 or 2 */
    double coefficients[6]; /* in u = (x-w/2)/(w/2), v likewise: 1, u, v, u2, uv, v2 */
    double ratio;           /* at the field centre */
    double ratio_err;       /* standard error */
    double scatter;         /* robust scatter of the stars about the fit, relative */
} aid_photometric_match;

typedef enum aid_method { AID_METHOD_AUTO, AID_METHOD_HYBRID, AID_METHOD_ZOGY } aid_method;

typedef struct aid_difference_options {
    aid_method method;
    double registration_px; /* per-axis astrometric noise for V_ast; NaN: measured on the stars */
} aid_difference_options;
#define AID_DIFFERENCE_DEFAULTS                                                                    \
    (aid_difference_options)                                                                       \
    {                                                                                              \
        .method = AID_METHOD_AUTO, .registration_px = NAN                                          \
    }

typedef struct aid_difference {
    aid_image difference; /* science flux units, background noise white */
    aid_image score;      /* S_corr: unit variance where nothing changed; NaN = not searched */
    aid_image flux;       /* of a point source at each pixel, science unit */
    aid_image flux_err;
    aid_image motion;            /* Z^2: chi^2 with 2 degrees of freedom where nothing moved */
    aid_mask mask;               /* bits of both images, the reference's with AID_MASK_REFERENCE */
    aid_image psf;               /* P_D at the field centre, unit sum, odd side, centred */
    aid_image psf_science_pixel; /* what D makes of one struck pixel of the science image, */
    aid_image psf_reference_pixel; /* and of the reference, its sign turned; same scale as psf */
    double noise_difference;       /* of D on average sky at the field centre, science unit */
    aid_photometric_match match;
    aid_method method;      /* that was used */
    bool convolved_science; /* false: the reference was convolved */
    int kernel_objects, kernel_rejected;
    double kernel_sum; /* of the correction: 1 = the PSF models were right */
    double astrometric_x_px, astrometric_y_px; /* noise used in V_ast */
    double psf_error, wing_error;              /* eps and eps_w of the PSF-error variance */
    double score_median, score_sigma,
        score_std; /* on blank sky; sigma = 1.4826 MAD; never applied */
    double
        correlation_factor; /* structure left in D: variance of the flux was multiplied by this */
    double difference_correlation; /* of neighbouring pixels of D on blank sky */
    double fwhm_px;                /* of P_D */
} aid_difference;

/* In:  science and reference on the same grid (aid_resample_reference).
 * Out: *ret_difference; release with aid_difference_done.
 * Fails: AID_ERR_NUMERIC when a PSF or a flux ratio cannot be had. */
AID_MUST_USE aid_status aid_subtract(const aid_exposure *science, const aid_exposure *reference,
                                     const aid_difference_options *options, aid_pool *pool,
                                     aid_notes *notes, aid_difference *ret_difference,
                                     aid_error *err);
void aid_difference_done(aid_difference *difference);

#endif
