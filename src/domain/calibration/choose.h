/* Which master is the best for a frame, and why not the others. */
#ifndef AID_DOMAIN_CALIBRATION_CHOOSE_H
#define AID_DOMAIN_CALIBRATION_CHOOSE_H

#include "domain/calibration/calibration.h"

typedef struct aid_choice_options {
    double temperature_tolerance_c; /* of a dark; 2 */
} aid_choice_options;
#define AID_CHOICE_DEFAULTS                                                                        \
    (aid_choice_options)                                                                           \
    {                                                                                              \
        .temperature_tolerance_c = 2.0                                                             \
    }

typedef struct aid_choice {
    bool suitable, chosen;
    /* Of what is suitable: the smaller the better, the first that differs decides. */
    double exposure_ratio;  /* darks: >= 1, longer over shorter; else 1 */
    double temperature_off; /* darks: |difference| in C; 0 where unknown */
    double days_off;        /* |difference|; infinite where unknown */
    char reason[160];       /* "chosen: 0.3 d apart", "filter B, the frame has V", ... */
} aid_choice;

/* Looks at `count` masters of any type for the one of `type` that fits the frame best: the same
 * instrument, shape, binning, filter (flat) and temperature (dark), never one whose valid_until is
 * before the frame; of those the nearest exposure and temperature (dark), then the nearest in time,
 * then the first. What a header does not say counts as a match. Masters of full shape fit a frame
 * that is trimmed. Fills choices[count]; returns the index of the chosen one, or -1. */
int aid_master_choose(const aid_frame_facts *frame, aid_frame_type type,
                      const aid_frame_facts *const *masters, int count,
                      const aid_choice_options *options, aid_choice *choices);

#endif
