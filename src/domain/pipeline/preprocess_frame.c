#include "domain/pipeline/preprocess_frame.h"

#include "domain/calibration/overscan.h"
#include "domain/pipeline/frame_header.h"

#include <stdio.h>
#include <string.h>

typedef struct frame_run {
    const aid_preprocess_input *input;
    const aid_preprocess_options *options;
    aid_pool *pool;
    const aid_stage_observer *observer;
    aid_preprocessed *result;
} frame_run;

/* ---------------------------------------------------------------------------------- calibration */

static void mark_missing(aid_calibrated *frame)
{
    for (int32_t y = 0; y < frame->image.height; y++)
        for (int32_t x = 0; x < frame->image.width; x++)
            if (isnan(aid_image_row(&frame->image, y)[x])) {
                aid_mask_row(&frame->mask, y)[x] |= AID_MASK_NO_DATA;
                frame->no_data++;
            }
}

/* Pixels as they were read out, without their overscan: all that can be done where nobody knows
 * what an ADU is worth and there is no master either. */
static aid_status take_as_it_is(const frame_run *run, aid_error *err)
{
    const aid_preprocess_input *input = run->input;
    aid_calibrated *frame = &run->result->frame;
    AID_CLEANUP(aid_overscan_done)
    aid_overscan overscan = {0};
    AID_TRY(aid_overscan_measure(input->image, input->facts, AID_OVERSCAN_ROW, &overscan, err));
    AID_TRY(aid_overscan_remove(input->image, &overscan, &frame->image, err));
    AID_TRY(aid_mask_init(frame->image.width, frame->image.height, &frame->mask, err));
    frame->facts = *input->facts;
    frame->facts.width = frame->image.width;
    frame->facts.height = frame->image.height;
    frame->facts.overscan = frame->facts.trim = (aid_section){0};
    frame->trim_x0 = overscan.trim.x0;
    frame->trim_y0 = overscan.trim.y0;
    frame->overscan_done = overscan.levels != NULL;
    frame->overscan_level = overscan.levels ? overscan.level : NAN;
    mark_missing(frame);
    aid_note_add(&run->result->notes, "calibrate",
                 "%s: no masters, and gain or read noise unknown: pixels as they were read out, "
                 "without a variance",
                 input->name);
    return AID_OK;
}

static aid_status calibrate(const frame_run *run, aid_error *err)
{
    const aid_preprocess_input *input = run->input;
    const aid_calibrate_options *options = &run->options->calibration;
    aid_preprocessed *result = run->result;
    bool gain = isfinite(options->gain) || isfinite(input->facts->gain);
    bool read_noise = isfinite(options->read_noise_e) || isfinite(input->facts->read_noise_e);
    result->calibrated = input->bias || input->dark || input->flat || (gain && read_noise);
    if (result->calibrated) {
        aid_calibrate_input raw = {.facts = input->facts,
                                   .image = input->image,
                                   .mask = input->mask,
                                   .bias = input->bias,
                                   .dark = input->dark,
                                   .flat = input->flat};
        AID_TRY(aid_calibrate(&raw, options, run->pool, &result->notes, &result->frame, err));
    } else
        AID_TRY(take_as_it_is(run, err));
    return aid_frame_header(input->header, &result->frame, &result->header, err);
}

/* ---------------------------------------------------------------------------------- cosmic rays */

static aid_status clean(const frame_run *run, aid_error *err)
{
    aid_preprocessed *result = run->result;
    aid_calibrated *frame = &result->frame;
    aid_lacosmic_options options = run->options->cosmic_rays;
    if (!result->calibrated) {
        aid_note_add(&result->notes, "clean",
                     "%s: cosmic rays are not looked for where the noise is unknown",
                     run->input->name);
        return AID_OK;
    }
    options.gain = frame->facts.gain;
    options.saturation = frame->facts.saturation;
    if (isfinite(frame->facts.read_noise_e))
        options.read_noise_e = frame->facts.read_noise_e;
    options.want_clean = true;
    aid_cosmic_input input = {.name = run->input->name,
                              .image = &frame->image,
                              .variance = &frame->variance,
                              .mask = &frame->mask};
    aid_cosmics cosmics = {0};
    AID_TRY(aid_find_cosmic_rays(&input, &options, run->pool, &cosmics, err));
    result->cleaned = true;
    result->cosmic_ray_hits = cosmics.hits;
    result->cosmic_ray_pixels = cosmics.pixels;
    if (cosmics.clean.data) {
        aid_image struck = frame->image;
        frame->image = cosmics.clean;
        cosmics.clean = struck;
    }
    aid_cosmics_done(&cosmics);
    return AID_OK;
}

/* -------------------------------------------------------------------------------------- quality */

static aid_status mask_copy(const aid_mask *from, aid_mask *ret_mask, aid_error *err)
{
    AID_TRY(aid_mask_init(from->width, from->height, ret_mask, err));
    memcpy(ret_mask->data, from->data, (size_t)from->width * (size_t)from->height);
    return AID_OK;
}

static aid_status measure_quality(const frame_run *run, aid_error *err)
{
    aid_preprocessed *result = run->result;
    AID_CLEANUP(aid_image_done)
    aid_image image = {0};
    AID_CLEANUP(aid_mask_done)
    aid_mask mask = {0};
    AID_CLEANUP(aid_exposure_done)
    aid_exposure exposure = {0};
    AID_TRY(aid_image_copy(&result->frame.image, &image, err));
    AID_TRY(mask_copy(&result->frame.mask, &mask, err));
    aid_prepare_input input = {.name = run->input->name,
                               .take_image = &image,
                               .take_mask = &mask,
                               .variance = &result->frame.variance,
                               .header = &result->header};
    AID_TRY(aid_prepare_exposure(&input, &run->options->preparation, run->pool, &result->notes,
                                 &exposure, err));
    return aid_quality_assess(&exposure, &run->options->quality, run->pool, &result->notes,
                              &result->quality, err);
}

/* Pixels without quality are better than no pixels: what is at fault with the image is recorded. */
static aid_status assess(const frame_run *run, aid_error *err)
{
    aid_preprocessed *result = run->result;
    aid_error why = {0};
    aid_status status = measure_quality(run, &why);
    result->assessed = status == AID_OK;
    if (status == AID_ERR_INVALID || status == AID_ERR_NUMERIC) {
        snprintf(result->quality_failure, sizeof result->quality_failure, "%s", why.message);
        return AID_OK;
    }
    if (status != AID_OK && err)
        *err = why;
    return status;
}

/* ------------------------------------------------------------------------------------ in order */

/* One stage between the observer's begin and end. */
#define STAGE(run, name, expression)                                                               \
    do {                                                                                           \
        AID_TRY(aid_observe_begin(run->observer, name, err));                                      \
        AID_TRY(aid_observe_end(run->observer, name, expression));                                 \
    } while (0)

static aid_status every_stage(const frame_run *run, aid_error *err)
{
    STAGE(run, "calibrate", calibrate(run, err));
    if (run->options->clean)
        STAGE(run, "clean", clean(run, err));
    if (run->options->assess)
        STAGE(run, "assess", assess(run, err));
    return AID_OK;
}

aid_status aid_preprocess_frame(const aid_preprocess_input *input,
                                const aid_preprocess_options *options, aid_pool *pool,
                                const aid_stage_observer *observer,
                                aid_preprocessed *ret_preprocessed, aid_error *err)
{
    *ret_preprocessed = (aid_preprocessed){0};
    frame_run run = {input, options, pool, observer, ret_preprocessed};
    aid_status status = every_stage(&run, err);
    if (status != AID_OK)
        aid_preprocessed_done(ret_preprocessed);
    return status;
}

void aid_preprocessed_done(aid_preprocessed *preprocessed)
{
    aid_calibrated_done(&preprocessed->frame);
    aid_header_done(&preprocessed->header);
    *preprocessed = (aid_preprocessed){0};
}
