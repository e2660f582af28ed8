/* From a raw frame and its masters to an image that is proportional to light:
 *     image = (raw - overscan - bias - t dark) / flat
 *     variance = [max(signal, 0)/gain + (read noise/gain)^2 + var bias + t^2 var dark
 *                 + image^2 var flat] / flat^2
 * where `signal` is what is left above overscan and bias. Equations: README.md of this folder. */
#ifndef AID_DOMAIN_CALIBRATION_APPLY_H
#define AID_DOMAIN_CALIBRATION_APPLY_H

#include "domain/calibration/calibration.h"

#include <math.h>

/* ----------------------------------------------------------------------------- the whole of it */

/* All three of one shape; variance and mask always there. */
typedef struct aid_calibrated {
    aid_image image;    /* ADU, or e-; NaN where there is no value */
    aid_image variance; /* of these pixels, unit squared; NaN where there is no value */
    aid_mask mask;      /* AID_MASK_BAD, _SATURATED, _NO_DATA */
    /* Of the frame: width and height after trimming, no sections left; gain (1 for electrons),
     * read noise (e-) and saturation in the unit of the image. */
    aid_frame_facts facts;
    bool electrons; /* the unit is e-, else ADU */
    bool overscan_done, bias_done, dark_done, flat_done;
    double overscan_level;           /* ADU, median over the rows; NaN without overscan */
    int32_t trim_x0, trim_y0;        /* the raw pixel that became (0, 0) */
    int64_t bad, saturated, no_data; /* pixels that have that bit */
} aid_calibrated;
void aid_calibrated_done(aid_calibrated *calibrated);

typedef struct aid_calibrate_options {
    /* NaN: as the frame's facts say, the read noise else from the master bias. */
    double gain, read_noise_e, saturation;
    bool electrons;
    /* A flat of less than this is no flat: the pixel is masked, and NaN. */
    double least_flat; /* 0.01 */
} aid_calibrate_options;
#define AID_CALIBRATE_DEFAULTS                                                                     \
    (aid_calibrate_options)                                                                        \
    {                                                                                              \
        .gain = NAN, .read_noise_e = NAN, .saturation = NAN, .least_flat = 0.01                    \
    }

typedef struct aid_calibrate_input {
    const aid_frame_facts *facts;
    const aid_image *image; /* ADU as read out, overscan included */
    const aid_mask *mask;   /* of the same shape; NULL or empty: none */
    /* Any may be NULL: that step is left out, and a note says so. */
    const aid_master *bias, *dark, *flat;
} aid_calibrate_input;

/* Bands of rows in parallel, the same bytes at any number of threads. A master of the raw frame's
 * full shape is trimmed as the frame is. Fails with AID_ERR_INVALID, *ret_calibrated untouched,
 * when shapes do not match, when a dark is given and the exposure is zero or unknown, when nobody
 * knows the gain or the read noise, or when the bias was made above an overscan that the frame does
 * not have. */
AID_MUST_USE aid_status aid_calibrate(const aid_calibrate_input *frame,
                                      const aid_calibrate_options *options, aid_pool *pool,
                                      aid_notes *notes, aid_calibrated *ret_calibrated,
                                      aid_error *err);

/* --------------------------------------------------------------------------------- single steps */

/* What a step works on, in place; `variance` and `mask` may be NULL. */
typedef struct aid_calibration_target {
    const char *name; /* for messages */
    aid_image *image, *variance;
    aid_mask *mask;
} aid_calibration_target;

/* Each fails with AID_ERR_INVALID when the shapes differ, and nothing is changed then. Whatever the
 * master masks is AID_MASK_BAD afterwards, and NaN where it has no value. */
AID_MUST_USE aid_status aid_correct_bias(const aid_calibration_target *target,
                                         const aid_master *bias, aid_pool *pool, aid_error *err);
/* Rate times exposure; an exposure that is zero or unknown is refused. */
AID_MUST_USE aid_status aid_correct_dark(const aid_calibration_target *target,
                                         const aid_master *dark, double exposure_s, aid_pool *pool,
                                         aid_error *err);
AID_MUST_USE aid_status aid_correct_flat(const aid_calibration_target *target,
                                         const aid_master *flat, double least_flat, aid_pool *pool,
                                         aid_error *err);

#endif
