/* One raw frame through every stage of preprocessing: calibrated, cleaned of cosmic rays, assessed.
 * What needs more than one frame (masters, a common grid, trends) is the application's to arrange.
 */
#ifndef AID_DOMAIN_PIPELINE_PREPROCESS_FRAME_H
#define AID_DOMAIN_PIPELINE_PREPROCESS_FRAME_H

#include "domain/calibration/apply.h"
#include "domain/calibration/lacosmic.h"
#include "domain/pipeline/process_exposure.h"
#include "domain/quality/quality.h"

typedef struct aid_preprocess_input {
    const char *name; /* for messages */
    const aid_frame_facts *facts;
    const aid_header *header;
    const aid_image *image;               /* ADU as read out, overscan included */
    const aid_mask *mask;                 /* NULL or empty: none */
    const aid_master *bias, *dark, *flat; /* NULL: none */
} aid_preprocess_input;

typedef struct aid_preprocess_options {
    bool clean, assess; /* which of the stages after calibration are done */
    aid_calibrate_options calibration;
    aid_lacosmic_options cosmic_rays; /* gain, noise and saturation are the frame's */
    aid_prepare_options preparation;  /* for the quality */
    aid_quality_options quality;
} aid_preprocess_options;
#define AID_PREPROCESS_DEFAULTS                                                                    \
    (aid_preprocess_options)                                                                       \
    {                                                                                              \
        .clean = true, .assess = true, .calibration = AID_CALIBRATE_DEFAULTS,                      \
        .cosmic_rays = AID_LACOSMIC_DEFAULTS, .preparation = AID_PREPARE_DEFAULTS,                 \
        .quality = AID_QUALITY_DEFAULTS                                                            \
    }

typedef struct aid_preprocessed {
    aid_calibrated
        frame;         /* cosmic rays filled and marked; without a variance where `!calibrated` */
    aid_header header; /* of the raw frame, made true for these pixels */
    bool calibrated;   /* false: neither masters nor gain, so only overscan and trimming */
    bool cleaned;
    int64_t cosmic_ray_hits, cosmic_ray_pixels;
    bool assessed;
    aid_quality quality;
    char quality_failure[232]; /* why there is no quality, though it was asked for; "" */
    aid_notes notes;
} aid_preprocessed;
void aid_preprocessed_done(aid_preprocessed *preprocessed);

/* Stages: calibrate, clean, assess. A frame whose quality cannot be measured is still a frame: that
 * is said in quality_failure. Fails as aid_calibrate and aid_find_cosmic_rays do, or with
 * AID_ERR_CANCELLED by the observer (which may be NULL); *ret_preprocessed is emptied then. */
AID_MUST_USE aid_status aid_preprocess_frame(const aid_preprocess_input *input,
                                             const aid_preprocess_options *options, aid_pool *pool,
                                             const aid_stage_observer *observer,
                                             aid_preprocessed *ret_preprocessed, aid_error *err);

#endif
