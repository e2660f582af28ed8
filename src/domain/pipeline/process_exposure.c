#include "domain/pipeline/process_exposure.h"

#include <string.h>

typedef struct pair_run {
    const aid_process_options *options;
    aid_pool *pool;
    const aid_stage_observer *observer;
    aid_process_result *result;
} pair_run;

static aid_status prepare(const pair_run *run, const aid_prepare_input *science,
                          const aid_prepare_input *reference, aid_exposure *ret_reference,
                          aid_error *err)
{
    aid_process_result *result = run->result;
    AID_TRY(aid_prepare_exposure(science, &run->options->science, run->pool, &result->notes,
                                 &result->science, err));
    aid_prepare_options options = run->options->reference;
    options.skip_psf = true;
    return aid_prepare_exposure(reference, &options, run->pool, &result->notes, ret_reference, err);
}

static aid_status subtract(const pair_run *run, const aid_exposure *science,
                           aid_difference *difference, aid_error *err)
{
    aid_process_result *result = run->result;
    return aid_subtract(science, &result->reference, &run->options->difference, run->pool,
                        &result->notes, difference, err);
}

static aid_status detect(const pair_run *run, const aid_exposure *science,
                         const aid_difference *difference, aid_candidates *candidates,
                         aid_error *err)
{
    aid_process_result *result = run->result;
    return aid_candidates_find(science, &result->reference, difference, &run->options->detection,
                               run->pool, &result->notes, candidates, err);
}

static bool is_large(const pair_run *run)
{
    const aid_image *image = &run->result->science.image;
    int64_t limit = run->options->large_pixels;
    return limit > 0 && (int64_t)image->width * image->height > limit;
}

/* The same subtraction and detection on a copy of the science image with sources of known flux. */
static aid_status inject(const pair_run *run, aid_error *err)
{
    aid_process_result *result = run->result;
    aid_exposure injected = result->science; /* borrows everything but the pixels */
    AID_TRY(aid_inject(&result->science, &result->reference, &result->difference,
                       run->options->inject, run->options->seed, &result->injection,
                       &injected.image, err));
    bool large = is_large(run);
    if (large)
        aid_difference_done(&result->difference);
    int remarks = result->notes.count; /* those on the injected image are not of this run */
    aid_difference difference = {0};
    aid_candidates candidates = {0};
    aid_status status = subtract(run, &injected, &difference, err);
    if (status == AID_OK)
        status = detect(run, &injected, &difference, &candidates, err);
    if (status == AID_OK)
        aid_injection_score(&result->injection, &candidates, &result->candidates, &difference);
    aid_candidates_done(&candidates);
    aid_difference_done(&difference);
    aid_image_done(&injected.image);
    result->notes.count = remarks;
    if (status == AID_OK && large)
        status = subtract(run, &result->science, &result->difference, err);
    return status;
}

/* One stage between the observer's begin and end. */
#define STAGE(run, name, expression)                                                               \
    do {                                                                                           \
        AID_TRY(aid_observe_begin(run->observer, name, err));                                      \
        AID_TRY(aid_observe_end(run->observer, name, expression));                                 \
    } while (0)

static aid_status every_stage(const pair_run *run, const aid_prepare_input *science,
                              const aid_prepare_input *reference, aid_error *err)
{
    aid_process_result *result = run->result;
    AID_CLEANUP(aid_exposure_done)
    aid_exposure raw_reference = {0};
    STAGE(run, "prepare", prepare(run, science, reference, &raw_reference, err));
    STAGE(run, "register",
          aid_register(&result->science, &raw_reference, &run->options->registration, run->pool,
                       &result->notes, &result->registration, err));
    STAGE(run, "resample",
          aid_resample_reference(&raw_reference, &result->registration, &result->science, run->pool,
                                 &result->notes, &result->reference, err));
    STAGE(run, "subtract", subtract(run, &result->science, &result->difference, err));
    STAGE(run, "detect",
          detect(run, &result->science, &result->difference, &result->candidates, err));
    if (run->options->inject > 0)
        STAGE(run, "inject", inject(run, err));
    return AID_OK;
}

aid_status aid_process_exposure(const aid_prepare_input *science,
                                const aid_prepare_input *reference,
                                const aid_process_options *options, aid_pool *pool,
                                const aid_stage_observer *observer, aid_process_result *ret_result,
                                aid_error *err)
{
    *ret_result = (aid_process_result){0};
    pair_run run = {options, pool, observer, ret_result};
    aid_status status = every_stage(&run, science, reference, err);
    if (status != AID_OK)
        aid_process_result_done(ret_result);
    return status;
}

void aid_process_result_done(aid_process_result *result)
{
    aid_injection_done(&result->injection);
    aid_candidates_done(&result->candidates);
    aid_difference_done(&result->difference);
    aid_exposure_done(&result->reference);
    aid_exposure_done(&result->science);
    *result = (aid_process_result){0};
}
