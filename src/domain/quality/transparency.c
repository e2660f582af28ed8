/* How much light came through, from the stars that frames of one field share. */
#include "core/base/memory.h"
#include "core/imaging/stats.h"
#include "domain/preprocessing/align.h"
#include "domain/quality/internal.h"
#include "domain/quality/series_internal.h"

#include <stdlib.h>
#include <string.h>

enum {
    MAX_FIELDS = 12,    /* of one group; frames of others stay without transparency */
    MAX_ANCHORS = 40,   /* brightest stars of a pattern: the search for none takes their cube */
    LEAST_SHARED = 5,   /* stars */
    MATCH_RADIUS_PX = 3 /* after the fit of the pattern */
};
static const double clearest = 0.9; /* quantile of a field's frames that counts as clear */
static const unsigned unfit = AID_STAR_BLENDED | AID_STAR_TRUNCATED | AID_STAR_SATURATED |
                              AID_STAR_MASKED | AID_STAR_SHARP | AID_STAR_NO_WINDOW;

/* Stars to go by, with the errors of their positions (King 1983, PASP 95, 163) and a floor. */
static aid_status anchors_of(const aid_quality_frame *frame, aid_anchors *ret_anchors,
                             aid_error *err)
{
    aid_anchors anchors = {.width = frame->width, .height = frame->height};
    double fwhm = frame->quality.fwhm_px > 0.0 ? frame->quality.fwhm_px : 3.0;
    AID_TRY(aid_new_array((size_t)frame->star_count + 1, sizeof *anchors.items, "star list",
                          &anchors.items, err));
    for (int i = 0; i < frame->star_count && anchors.count < MAX_ANCHORS; i++) {
        const aid_star *star = &frame->stars[i];
        if (star->flags & AID_STAR_SATURATED || !(star->flux > 0.0) || !isfinite(star->flux) ||
            !isfinite(star->x) || !isfinite(star->y))
            continue;
        double noise = star->flux_err > 0.0 ? star->flux_err / star->flux : 0.01;
        anchors.items[anchors.count++] =
            (aid_anchor){star->x, star->y, star->flux, fwhm * (0.425 * noise + 0.003)};
    }
    *ret_anchors = anchors;
    return AID_OK;
}

static aid_stars stars_of(const aid_quality_frame *frame)
{
    return (aid_stars){.count = frame->star_count, .items = frame->stars};
}

/* The median of flux / reference flux per second over the stars that both have; NaN for too few. */
static aid_status flux_ratio(const aid_quality_frame *frame, const aid_quality_frame *reference,
                             const aid_transform *map, double *ret_ratio, aid_error *err)
{
    AID_CLEANUP(aid_point_grid_done)
    aid_point_grid grid = {0};
    AID_CLEANUP(aid_free_pointer)
    double *ratios = NULL;
    aid_stars there = stars_of(reference);
    AID_TRY(aid_point_grid_of_stars(&there, &grid, err));
    AID_TRY(
        aid_new_array((size_t)frame->star_count + 1, sizeof *ratios, "flux ratios", &ratios, err));
    int count = 0;
    for (int i = 0; i < frame->star_count; i++) {
        const aid_star *star = &frame->stars[i];
        double x, y;
        if (star->flags & unfit || !(star->flux > 0.0))
            continue;
        aid_transform_apply(map, star->x, star->y, &x, &y);
        int k = aid_point_grid_nearest(&grid, x, y, MATCH_RADIUS_PX);
        if (k >= 0 && !(reference->stars[k].flags & unfit) && reference->stars[k].flux > 0.0)
            ratios[count++] = star->flux / reference->stars[k].flux;
    }
    double times = reference->quality.exposure_s / frame->quality.exposure_s;
    if (!(times > 0.0) || !isfinite(times))
        times = 1.0;
    *ret_ratio = count < LEAST_SHARED ? NAN : times * aid_median_in_place_f64(ratios, count);
    return AID_OK;
}

/* Frames of targets that have different names are not held against each other. */
static bool may_share_field(const aid_quality_frame *a, const aid_quality_frame *b)
{
    return a->star_count >= LEAST_SHARED && b->star_count >= LEAST_SHARED &&
           (!*a->object || !*b->object || !strcmp(a->object, b->object));
}

/* NaN where the frame does not show the reference's field. */
static aid_status compare(const aid_quality_frame *frame, const aid_quality_frame *reference,
                          const aid_anchors *reference_anchors, double *ret_ratio, aid_error *err)
{
    AID_CLEANUP(aid_anchors_done)
    aid_anchors anchors = {0};
    *ret_ratio = NAN;
    if (!may_share_field(frame, reference))
        return AID_OK;
    AID_TRY(anchors_of(frame, &anchors, err));
    aid_pattern_options options = {.predicted = NULL};
    aid_pattern_match match;
    AID_TRY(aid_match_patterns(&anchors, reference_anchors, &options, &match, err));
    if (!match.found)
        return AID_OK;
    return flux_ratio(frame, reference, &match.transform, ret_ratio, err);
}

/* The frame with most stars of those that belong to no field yet; -1: none. */
static int richest(const aid_quality_frame *frames, const int *order, int count)
{
    int best = -1;
    for (int i = 0; i < count; i++) {
        const aid_quality_frame *frame = &frames[order[i]];
        if (frame->field == -1 && frame->star_count >= LEAST_SHARED &&
            (best < 0 || frame->quality.stars > frames[order[best]].quality.stars))
            best = i;
    }
    return best;
}

/* Divides by what the clear ones have; a field of one frame has nothing to compare. */
static aid_status normalise(aid_quality_frame *frames, const int *order, int count, int field,
                            aid_error *err)
{
    AID_CLEANUP(aid_free_pointer)
    double *ratios = NULL;
    int members = 0;
    AID_TRY(aid_new_array((size_t)count + 1, sizeof *ratios, "flux ratios", &ratios, err));
    for (int i = 0; i < count; i++)
        if (frames[order[i]].field == field)
            ratios[members++] = frames[order[i]].quality.transparency;
    double clear = aid_quantile_in_place_f64(ratios, members, clearest);
    for (int i = 0; i < count; i++)
        if (frames[order[i]].field == field) {
            double *transparency = &frames[order[i]].quality.transparency;
            *transparency = members > 1 ? *transparency / clear : NAN;
        }
    return AID_OK;
}

/* Frames that show the field of the richest one get its number. */
static aid_status make_field(aid_quality_frame *frames, const int *order, int count, int field,
                             aid_error *err)
{
    int seed = richest(frames, order, count);
    aid_quality_frame *reference = &frames[order[seed]];
    AID_CLEANUP(aid_anchors_done)
    aid_anchors anchors = {0};
    AID_TRY(anchors_of(reference, &anchors, err));
    reference->field = field;
    reference->quality.transparency = 1.0;
    for (int i = 0; i < count; i++) {
        aid_quality_frame *frame = &frames[order[i]];
        if (frame->field != -1)
            continue;
        double ratio;
        AID_TRY(compare(frame, reference, &anchors, &ratio, err));
        if (!(ratio > 0.0))
            continue;
        frame->field = field;
        frame->quality.transparency = ratio;
    }
    return normalise(frames, order, count, field, err);
}

aid_status aid_quality_compare_stars(aid_quality_frame *frames, const int *order, int count,
                                     aid_notes *notes, int *ret_fields, aid_error *err)
{
    int fields = 0, lonely = 0;
    for (int i = 0; i < count; i++)
        frames[order[i]].field = -1;
    while (fields < MAX_FIELDS && richest(frames, order, count) >= 0)
        AID_TRY(make_field(frames, order, count, fields++, err));
    for (int i = 0; i < count; i++)
        lonely += isnan(frames[order[i]].quality.transparency);
    if (lonely > 0 && count > 1)
        aid_note_add(notes, AID_QUALITY_STAGE,
                     "%s %s: %d of %d frames share no field with another one: their transparency "
                     "is unknown",
                     frames[order[0]].instrument, frames[order[0]].filter, lonely, count);
    *ret_fields = fields;
    return AID_OK;
}
