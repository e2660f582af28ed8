/* Every stage in order, for one science image and one reference. */
#ifndef AID_DOMAIN_PIPELINE_PROCESS_EXPOSURE_H
#define AID_DOMAIN_PIPELINE_PROCESS_EXPOSURE_H

#include "domain/detection/detection.h"
#include "domain/differencing/differencing.h"
#include "domain/pipeline/stage_observer.h"
#include "domain/preprocessing/preprocessing.h"

typedef struct aid_process_options {
    aid_prepare_options science, reference;
    aid_registration_options registration;
    aid_difference_options difference;
    aid_detection_options detection;
    int inject;    /* how many sources; 0: none */
    uint64_t seed; /* of the injection */
    /* Images of more pixels give the memory of their difference to the injected one and take the
     * difference once more afterwards: the same bytes. 0: none do. */
    int64_t large_pixels;
} aid_process_options;

typedef struct aid_process_result {
    aid_exposure science;
    aid_exposure reference; /* on the science grid */
    aid_registration registration;
    aid_difference difference;
    aid_candidates candidates;
    aid_injection injection; /* count 0 when not asked for */
    aid_notes notes;
} aid_process_result;

/* Stages: prepare, register, resample, subtract, detect, inject. *ret_result is emptied on failure.
 */
AID_MUST_USE aid_status aid_process_exposure(const aid_prepare_input *science,
                                             const aid_prepare_input *reference,
                                             const aid_process_options *options, aid_pool *pool,
                                             const aid_stage_observer *observer,
                                             aid_process_result *ret_result, aid_error *err);
void aid_process_result_done(aid_process_result *result);

#endif
