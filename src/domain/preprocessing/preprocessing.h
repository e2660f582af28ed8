/* Preprocessing: from decoded pixels to an exposure that a difference can be taken of, and from two
 * exposures to one pixel grid. */
#ifndef AID_DOMAIN_PREPROCESSING_PREPROCESSING_H
#define AID_DOMAIN_PREPROCESSING_PREPROCESSING_H

#include "core/base/notes.h"
#include "core/base/pool.h"
#include "core/imaging/exposure.h"
#include "core/imaging/transform.h"

#include <math.h>

/* ------------------------------------------------------------------------------- preparation ---
 */

typedef struct aid_prepare_input {
    const char *name;          /* the file's name, for messages */
    aid_image *take_image;     /* raw pixels; emptied */
    aid_mask *take_mask;       /* AID_MASK_BAD and AID_MASK_SATURATED bits; may be empty; emptied */
    const aid_image *variance; /* stated variance of the pixels; may be NULL or empty */
    const aid_header *header;
} aid_prepare_input;

typedef struct aid_prepare_options { /* NaN: from the header, the camera profile or the pixels */
    double gain, saturation, zero_point;
    int background_cell_px;
    double star_threshold;
    bool skip_psf; /* aid_resample_reference builds that of a reference on its new pixels */
} aid_prepare_options;
#define AID_PREPARE_DEFAULTS                                                                       \
    (aid_prepare_options)                                                                          \
    {                                                                                              \
        .gain = NAN, .saturation = NAN, .zero_point = NAN, .background_cell_px = 128,              \
        .star_threshold = 10.0                                                                     \
    }

/* Mask (NaN, saturation and bleeding, bad columns, user's mask), background, noise and its
 * correlation, gain, stars, PSF, WCS, epoch, zero point. Fails with AID_ERR_INVALID when nothing
 * can be done with the image (all NaN, constant, all masked ...). Few or no stars are a note. */
AID_MUST_USE aid_status aid_prepare_exposure(const aid_prepare_input *input,
                                             const aid_prepare_options *options, aid_pool *pool,
                                             aid_notes *notes, aid_exposure *ret_exposure,
                                             aid_error *err);

/* Replaces every masked pixel (any of `bits`) by a normalised Gaussian average of sound neighbours,
 * widening until there are some, and 0 (sky) where there are none near: FFTs must not ring. */
AID_MUST_USE aid_status aid_fill_masked(aid_image *image, const aid_mask *mask, uint8_t bits,
                                        aid_pool *pool, aid_error *err);

/* Autocorrelation of the noise on source-free, unmasked sky, lags up to AID_NOISE_LAG; white (and
 * measured = false) where the image is too small or too crowded to tell. */
AID_MUST_USE aid_status aid_measure_noise_correlation(const aid_exposure *exposure, aid_pool *pool,
                                                      aid_noise_correlation *ret_correlation,
                                                      aid_error *err);

/* ------------------------------------------------------------------------------ registration ---
 */

typedef struct aid_registration {
    aid_transform transform; /* science pixel -> reference pixel */
    char method[32];         /* "wcs + stars", "stars", "phase correlation", "identity" */
    int matched;             /* stars in the final fit */
    double rms_px;           /* per axis, of the fit, robust; NaN without stars */
    double rms_x_px, rms_y_px;
    double systematic_px; /* per axis: rms that centroid noise does not explain, >= 0 */
    double shift_px, rotation_deg,
        scale;      /* of the linear part; scale = reference px per science px */
    double overlap; /* fraction of the science image that the reference covers */
    double
        correlation; /* normalised cross-correlation of the registered images, -1..1; NaN unknown */
    double residual_shift_px; /* median offset of the stars that the map brings together; NaN where
                                 there are fewer than three */
    aid_transform wcs;        /* the map as both WCS have it, which `transform` may correct */
    double wcs_residual_px;   /* how far `wcs`, a polynomial, is from them at worst; NaN: no WCS */
} aid_registration;

typedef enum aid_registration_method {
    AID_REGISTER_AUTO,  /* each of the others in turn, the WCS being checked by stars */
    AID_REGISTER_WCS,   /* as the headers have it */
    AID_REGISTER_STARS, /* whatever the headers say */
    AID_REGISTER_PHASE  /* a shift, by phase correlation */
} aid_registration_method;

typedef enum aid_registration_model {
    AID_MODEL_AUTO, /* what the stars support */
    AID_MODEL_SHIFT,
    AID_MODEL_SIMILARITY,
    AID_MODEL_AFFINE
} aid_registration_model;

typedef struct aid_registration_options {
    int max_degree;     /* 5; chosen by cross-validation from 1 up to this */
    double min_overlap; /* 0.05 */
    aid_registration_method method;
    aid_registration_model model; /* what is fitted to the stars */
} aid_registration_options;
#define AID_REGISTRATION_DEFAULTS                                                                  \
    (aid_registration_options)                                                                     \
    {                                                                                              \
        .max_degree = 5, .min_overlap = 0.05                                                       \
    }

/* WCS, then star matching, then phase correlation. Refuses rather than misaligns: AID_ERR_INVALID
 * when the images do not overlap (or have no match at all), naming both and the numbers. */
AID_MUST_USE aid_status aid_register(const aid_exposure *science, const aid_exposure *reference,
                                     const aid_registration_options *options, aid_pool *pool,
                                     aid_notes *notes, aid_registration *ret_registration,
                                     aid_error *err);

/* How well a map that is known already brings the two images together: fills in everything but
 * transform and method. */
AID_MUST_USE aid_status aid_registration_judge(const aid_exposure *science,
                                               const aid_exposure *reference,
                                               aid_registration *registration, aid_error *err);

/* shift_px, rotation_deg, scale and overlap, which follow from the map and the two shapes. */
void aid_registration_geometry(int32_t width, int32_t height, int32_t reference_width,
                               int32_t reference_height, aid_registration *registration);

/* The reference resampled onto the science grid, with mask, meshes, correlation, stars and PSF of
 * the resampled image. *take_reference is emptied, also on failure. */
AID_MUST_USE aid_status aid_resample_reference(aid_exposure *take_reference,
                                               const aid_registration *registration,
                                               const aid_exposure *science, aid_pool *pool,
                                               aid_notes *notes, aid_exposure *ret_reference,
                                               aid_error *err);

#endif
