/* The frames of a night held against one another: a frame by itself is scored by what its camera
 * could do under a dark sky, frames of one filter by the best of them. */
#include "apps/cli/preprocess.h"
#include "core/base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Fluxes of stars are not compared: a frame that was found as it was has no list of them. */
static aid_quality_frame facts_of(const night_state *night, const night_frame *frame)
{
    const aid_frame_facts *facts = &night->files[frame->file].facts;
    aid_quality_frame rated = {.width = facts->width,
                               .height = facts->height,
                               .aperture_px = NAN,
                               .field = -1,
                               .quality = frame->quality};
    snprintf(rated.name, sizeof rated.name, "%s", frame->name);
    snprintf(rated.instrument, sizeof rated.instrument, "%s", facts->instrument);
    snprintf(rated.filter, sizeof rated.filter, "%s", facts->filter);
    snprintf(rated.object, sizeof rated.object, "%s", facts->object);
    return rated;
}

aid_status night_rate_frames(night_state *night, aid_error *err)
{
    AID_CLEANUP(aid_free_pointer)
    int *numbers = NULL;
    size_t most = (size_t)AID_MAX(night->frame_count, 1);
    int count = 0;
    free(night->rated);
    night->rated = NULL;
    AID_TRY(aid_new_array(most, sizeof *night->rated, "quality", &night->rated, err));
    aid_quality_frame *rated = night->rated;
    AID_TRY(aid_new_array(most, sizeof *numbers, "quality", &numbers, err));
    for (int i = 0; i < night->frame_count; i++) {
        night->frames[i].own_score = night->frames[i].quality.overall_quality_score;
        if (night->frames[i].done && night->frames[i].assessed) {
            numbers[count] = i;
            rated[count++] = facts_of(night, &night->frames[i]);
        }
    }
    if (count == 0)
        return AID_OK;
    AID_TRY(aid_quality_rate_series(rated, count, &night->notes, &night->series, err));
    for (int i = 0; i < count; i++) {
        night_frame *frame = &night->frames[numbers[i]];
        frame->quality = rated[i].quality;
        frame->rated_by_group = rated[i].rated_by_group;
        frame->outlier = rated[i].outlier;
    }
    return AID_OK;
}
