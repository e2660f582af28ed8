/* Frames by instrument and filter, each held against the best of its group. */
#include "domain/quality/series.h"

#include "core/base/memory.h"
#include "core/imaging/stats.h"
#include "domain/quality/internal.h"
#include "domain/quality/series_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_STARS = 300 /* of a frame that are kept: a pattern needs no more */ };
static const double best_quantile = 0.1; /* of the limiting fluxes: one lucky frame sets no mark */

/* --------------------------------------------------------------------------------------- frames */

static void copy_text(const aid_header *header, const char *const *keywords, char *text,
                      size_t size)
{
    const char *found = NULL;
    for (; *keywords && !(found && *found); keywords++)
        found = aid_header_text(header, *keywords);
    snprintf(text, size, "%s", found ? found : "");
}

static aid_status copy_stars(const aid_stars *stars, aid_quality_frame *frame, aid_error *err)
{
    AID_TRY(aid_new_array((size_t)MAX_STARS, sizeof *frame->stars, "stars", &frame->stars, err));
    frame->aperture_px = stars->aperture_px;
    for (int i = 0; i < stars->count && frame->star_count < MAX_STARS; i++)
        if (!(stars->items[i].flags & (AID_STAR_SHARP | AID_STAR_TRUNCATED)))
            frame->stars[frame->star_count++] = stars->items[i];
    return AID_OK;
}

aid_status aid_quality_frame_init(const aid_exposure *exposure, const aid_quality *quality,
                                  aid_quality_frame *ret_frame, aid_error *err)
{
    static const char *const instruments[] = {"INSTRUME", "CAMERA", "DETECTOR", NULL};
    static const char *const objects[] = {"OBJECT", NULL};
    aid_quality_frame frame = {.width = exposure->image.width,
                               .height = exposure->image.height,
                               .field = -1,
                               .quality = *quality};
    snprintf(frame.name, sizeof frame.name, "%s", exposure->name);
    copy_text(&exposure->header, instruments, frame.instrument, sizeof frame.instrument);
    copy_text(&exposure->header, aid_quality_filter_keywords, frame.filter, sizeof frame.filter);
    copy_text(&exposure->header, objects, frame.object, sizeof frame.object);
    AID_TRY(copy_stars(&exposure->stars, &frame, err));
    *ret_frame = frame;
    return AID_OK;
}

void aid_quality_frame_done(aid_quality_frame *frame)
{
    free(frame->stars);
    *frame = (aid_quality_frame){0};
}

void aid_quality_series_done(aid_quality_series *series)
{
    free(series->groups);
    free(series->order);
    *series = (aid_quality_series){0};
}

/* --------------------------------------------------------------------------------------- groups */

static int compare_groups(const aid_quality_frame *a, const aid_quality_frame *b)
{
    int order = strcmp(a->instrument, b->instrument);
    return order ? order : strcmp(a->filter, b->filter);
}

/* By group, then time, frames without one last; then name, so that the order of the arguments is
 * nothing that counts. */
static int compare_frames(const aid_quality_frame *a, const aid_quality_frame *b)
{
    int order = compare_groups(a, b);
    double time_a = a->quality.mid_mjd_utc, time_b = b->quality.mid_mjd_utc;
    if (order)
        return order;
    if (isnan(time_a) || isnan(time_b))
        order = isnan(time_a) - isnan(time_b);
    else
        order = (time_a > time_b) - (time_a < time_b);
    return order ? order : strcmp(a->name, b->name);
}

/* Insertion by halves: no library sort takes the frames along without a global. */
static void sort_frames(const aid_quality_frame *frames, int *order, int count)
{
    for (int i = 1; i < count; i++) {
        int item = order[i], low = 0, high = i;
        while (low < high) {
            int middle = (low + high) / 2;
            if (compare_frames(&frames[item], &frames[order[middle]]) < 0)
                high = middle;
            else
                low = middle + 1;
        }
        memmove(order + low + 1, order + low, (size_t)(i - low) * sizeof *order);
        order[low] = item;
    }
}

static void begin_groups(aid_quality_frame *frames, aid_quality_series *series)
{
    for (int i = 0; i < series->frame_count; i++) {
        aid_quality_frame *frame = &frames[series->order[i]];
        bool new_group = i == 0 || compare_groups(frame, &frames[series->order[i - 1]]) != 0;
        if (new_group) {
            aid_quality_group *group = &series->groups[series->group_count++];
            *group = (aid_quality_group){.first = i,
                                         .begin_mjd_utc = NAN,
                                         .end_mjd_utc = NAN,
                                         .best_rate = NAN,
                                         .seeing_in_arcsec = true};
            snprintf(group->instrument, sizeof group->instrument, "%s", frame->instrument);
            snprintf(group->filter, sizeof group->filter, "%s", frame->filter);
        }
        aid_quality_group *group = &series->groups[series->group_count - 1];
        double mjd = frame->quality.mid_mjd_utc;
        group->frames++;
        group->last = i;
        group->begin_mjd_utc = fmin(group->begin_mjd_utc, mjd); /* a NaN loses */
        group->end_mjd_utc = fmax(group->end_mjd_utc, mjd);
        group->per_night = group->end_mjd_utc - group->begin_mjd_utc > 1.0;
        group->seeing_in_arcsec =
            group->seeing_in_arcsec && frame->quality.pixel_scale_arcsec > 0.0;
        double first_s = frames[series->order[group->first]].quality.exposure_s;
        if (fabs(frame->quality.exposure_s - first_s) > 0.01 * first_s)
            group->background_per_s = true;
        frame->group = series->group_count - 1;
    }
}

/* --------------------------------------------------------------------------------------- rating */

static double square_root_of_time(const aid_quality *quality)
{
    return quality->exposure_s > 0.0 ? sqrt(quality->exposure_s) : 1.0;
}

static double transparency_of(const aid_quality *quality)
{
    return quality->transparency > 0.0 ? quality->transparency : 1.0;
}

/* The limit that a frame of 1 s would have had outside the clouds, as it goes with 1/sqrt(t). */
static double rate_of(const aid_quality *quality)
{
    return quality->limiting_flux / square_root_of_time(quality) / transparency_of(quality);
}

static aid_status find_best(const aid_quality_frame *frames, const int *order,
                            aid_quality_group *group, aid_error *err)
{
    AID_CLEANUP(aid_free_pointer)
    double *rates = NULL;
    int count = 0;
    AID_TRY(aid_new_array((size_t)group->frames, sizeof *rates, "rates", &rates, err));
    for (int i = group->first; i <= group->last; i++) {
        double rate = rate_of(&frames[order[i]].quality);
        if (rate > 0.0 && isfinite(rate))
            rates[count++] = rate;
    }
    if (count >= AID_QUALITY_GROUP_LEAST)
        group->best_rate = aid_quantile_in_place_f64(rates, count, best_quantile);
    return AID_OK;
}

static void set_metrics(aid_quality_frame *frame, const aid_quality_group *group)
{
    const aid_quality *quality = &frame->quality;
    double time = group->background_per_s ? quality->exposure_s : 1.0;
    bool one_field = group->fields == 1 && frame->field == 0;
    double *metrics = frame->metrics;
    metrics[AID_METRIC_SEEING] = group->seeing_in_arcsec ? quality->fwhm_arcsec : quality->fwhm_px;
    metrics[AID_METRIC_BACKGROUND] = quality->background_level / time;
    metrics[AID_METRIC_TRANSPARENCY] = quality->transparency;
    metrics[AID_METRIC_DEPTH] = 2.5 * log10(rate_of(quality) / group->best_rate);
    metrics[AID_METRIC_ELLIPTICITY] = quality->ellipticity;
    metrics[AID_METRIC_STARS] = one_field ? (double)quality->stars : NAN;
    metrics[AID_METRIC_SCORE] = quality->overall_quality_score;
}

static aid_status rate_group(aid_quality_frame *frames, const int *order, aid_quality_group *group,
                             aid_notes *notes, aid_error *err)
{
    AID_TRY(aid_quality_compare_stars(frames, order + group->first, group->frames, notes,
                                      &group->fields, err));
    AID_TRY(find_best(frames, order, group, err));
    for (int i = group->first; i <= group->last; i++) {
        aid_quality_frame *frame = &frames[order[i]];
        aid_quality *quality = &frame->quality;
        frame->rated_by_group = group->best_rate > 0.0;
        if (frame->rated_by_group)
            aid_quality_score(
                quality, group->best_rate * square_root_of_time(quality) * transparency_of(quality),
                AID_QUALITY_BY_GROUP);
        set_metrics(frame, group);
    }
    AID_TRY(aid_quality_follow(frames, order, group, err));
    for (int i = group->first; i <= group->last; i++)
        frames[order[i]].quality.flags = aid_quality_flags_in_group(&frames[order[i]], group);
    return AID_OK;
}

aid_status aid_quality_rate_series(aid_quality_frame *frames, int count, aid_notes *notes,
                                   aid_quality_series *ret_series, aid_error *err)
{
    AID_CLEANUP(aid_quality_series_done)
    aid_quality_series series = {.frame_count = count};
    AID_TRY(aid_new_array((size_t)AID_MAX(count, 1), sizeof *series.order, "frames", &series.order,
                          err));
    AID_TRY(aid_new_array((size_t)AID_MAX(count, 1), sizeof *series.groups, "groups",
                          &series.groups, err));
    for (int i = 0; i < count; i++) {
        series.order[i] = i;
        frames[i].outlier = 0;
        frames[i].quality.transparency = NAN;
    }
    sort_frames(frames, series.order, count);
    begin_groups(frames, &series);
    for (int i = 0; i < series.group_count; i++)
        AID_TRY(rate_group(frames, series.order, &series.groups[i], notes, err));
    *ret_series = series;
    series = (aid_quality_series){0};
    return AID_OK;
}
