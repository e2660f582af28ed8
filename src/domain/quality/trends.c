/* What changed over time, and which frames do not follow. */
#include "core/base/memory.h"
#include "core/imaging/stats.h"
#include "domain/quality/internal.h"
#include "domain/quality/series_internal.h"

#include <stdlib.h>

enum {
    LEAST_EPOCHS = 3,    /* for a slope */
    LEAST_FRAMES = 5,    /* for outliers */
    MAX_PAIRS = 1 << 20, /* of frames; more are thinned out */
    HOURS_A_DAY = 24
};
static const double far_off = 5.0; /* sigma about the line */

/* Steps that matter, whatever the scatter: frames that agree to a per mille are no reason to call
 * one outlying that differs by a per cent. Of the median, or absolute where that has no meaning. */
typedef struct least_step {
    double relative, absolute;
} least_step;
static const least_step least_steps[AID_QUALITY_METRICS] = {
    [AID_METRIC_SEEING] = {0.1, 0.0},       [AID_METRIC_BACKGROUND] = {0.1, 0.0},
    [AID_METRIC_TRANSPARENCY] = {0.0, 0.1}, [AID_METRIC_DEPTH] = {0.0, 0.15},
    [AID_METRIC_ELLIPTICITY] = {0.0, 0.05}, [AID_METRIC_STARS] = {0.25, 3.0},
    [AID_METRIC_SCORE] = {0.0, 0.1}};

const char *aid_quality_metric_name(aid_quality_metric metric)
{
    static const char *const names[] = {"seeing",      "background", "transparency", "depth",
                                        "ellipticity", "stars",      "score"};
    return (size_t)metric < AID_COUNT_OF(names) ? names[metric] : "unknown";
}

typedef struct points {
    int count;
    double *time, *value; /* [count], times in the unit of the slope, from the first one on */
    int *frame;
    double *scratch; /* [2 * count] */
    double *slopes;  /* [slope_room] */
    int64_t slope_room;
} points;

static void points_done(points *p)
{
    free(p->time);
    free(p->frame);
    free(p->slopes);
}

static aid_status points_init(int room, points *ret_points, aid_error *err)
{
    AID_CLEANUP(points_done)
    points p = {0};
    size_t n = (size_t)AID_MAX(room, 1);
    p.slope_room = AID_MIN((int64_t)n * (int64_t)(n + 1) / 2, MAX_PAIRS);
    AID_TRY(aid_new_array(4 * n, sizeof *p.time, "trend", &p.time, err));
    AID_TRY(aid_new_array(n, sizeof *p.frame, "trend", &p.frame, err));
    AID_TRY(aid_new_array((size_t)p.slope_room, sizeof *p.slopes, "slopes", &p.slopes, err));
    p.value = p.time + n;
    p.scratch = p.time + 2 * n;
    *ret_points = p;
    p = (points){0};
    return AID_OK;
}

/* The median of the slopes of all pairs (Theil 1950, Sen 1968): a quarter of the frames may be
 * anything. NaN where there are no three epochs. */
static double robust_slope(points *p)
{
    int64_t pairs = (int64_t)p->count * (p->count - 1) / 2, at = 0, count = 0;
    int64_t step = AID_MAX((pairs + p->slope_room - 1) / p->slope_room, 1);
    bool third = false;
    for (int i = 1; i < p->count; i++)
        third = third || (p->time[i] > p->time[0] && p->time[i] < p->time[p->count - 1]);
    if (p->count < LEAST_EPOCHS || !third)
        return NAN;
    for (int i = 0; i < p->count; i++)
        for (int j = i + 1; j < p->count; j++)
            if (at++ % step == 0 && p->time[j] > p->time[i])
                p->slopes[count++] = (p->value[j] - p->value[i]) / (p->time[j] - p->time[i]);
    return aid_median_in_place_f64(p->slopes, count);
}

/* Of three or four frames half lie on the line as a rule, which their own slopes have made: the
 * median of the residuals says nothing of its error then, their rms with n - 2 degrees does. */
static double scatter_for_slope(const double *residuals, int count, double robust)
{
    if (count >= LEAST_FRAMES)
        return robust;
    double mean = 0.0, squares = 0.0;
    for (int i = 0; i < count; i++)
        mean += residuals[i] / count;
    for (int i = 0; i < count; i++)
        squares += (residuals[i] - mean) * (residuals[i] - mean);
    return AID_MAX(sqrt(squares / (count - 2)), robust);
}

/* Of a least-squares slope in noise of that scatter, 5 % more for Theil and Sen's (Sen 1968: its
 * efficiency on normal noise is 0.91 to 1). */
static double slope_error(const points *p, double scatter)
{
    double mean = 0.0, squares = 0.0;
    for (int i = 0; i < p->count; i++)
        mean += p->time[i] / p->count;
    for (int i = 0; i < p->count; i++)
        squares += (p->time[i] - mean) * (p->time[i] - mean);
    return squares > 0.0 ? 1.05 * scatter / sqrt(squares) : NAN;
}

static void gather(const aid_quality_frame *frames, const int *order,
                   const aid_quality_group *group, int metric, points *p)
{
    double unit = group->per_night ? 1.0 : 1.0 / HOURS_A_DAY;
    p->count = 0;
    for (int i = group->first; i <= group->last; i++) {
        const aid_quality_frame *frame = &frames[order[i]];
        if (!isfinite(frame->metrics[metric]))
            continue;
        double mjd = frame->quality.mid_mjd_utc;
        p->time[p->count] = isfinite(mjd) ? (mjd - group->begin_mjd_utc) / unit : NAN;
        p->value[p->count] = frame->metrics[metric];
        p->frame[p->count++] = order[i];
    }
}

static bool all_have_times(const points *p)
{
    for (int i = 0; i < p->count; i++)
        if (!isfinite(p->time[i]))
            return false;
    return true;
}

static void mark_outliers(aid_quality_frame *frames, points *p, int metric,
                          aid_quality_trend *trend)
{
    double least =
        AID_MAX(least_steps[metric].relative * fabs(trend->median), least_steps[metric].absolute);
    double limit = AID_MAX(far_off * trend->scatter, least);
    for (int i = 0; i < p->count && p->count >= LEAST_FRAMES; i++)
        if (fabs(p->scratch[p->count + i]) > limit) {
            frames[p->frame[i]].outlier |= 1u << metric;
            trend->outliers++;
        }
}

/* Residuals about the line stay in the second half of the scratch. */
static void follow_metric(aid_quality_frame *frames, points *p, int metric,
                          aid_quality_trend *trend)
{
    trend->frames = p->count;
    trend->median = trend->scatter = trend->slope = trend->slope_error = trend->level = NAN;
    if (p->count == 0)
        return;
    for (int i = 0; i < p->count; i++)
        p->scratch[i] = p->value[i];
    trend->median = aid_median_in_place_f64(p->scratch, p->count);
    if (all_have_times(p))
        trend->slope = robust_slope(p);
    double slope = isfinite(trend->slope) ? trend->slope : 0.0;
    for (int i = 0; i < p->count; i++)
        p->scratch[i] = p->value[i] - (slope != 0.0 ? slope * p->time[i] : 0.0);
    double *residuals = p->scratch + p->count;
    for (int i = 0; i < p->count; i++)
        residuals[i] = p->scratch[i];
    double level = trend->level = aid_median_in_place_f64(p->scratch, p->count);
    for (int i = 0; i < p->count; i++) {
        residuals[i] -= level;
        p->scratch[i] = residuals[i];
    }
    trend->scatter = aid_robust_in_place_f64(p->scratch, p->count).sigma;
    if (isfinite(trend->slope))
        trend->slope_error = slope_error(p, scatter_for_slope(residuals, p->count, trend->scatter));
    mark_outliers(frames, p, metric, trend);
}

aid_status aid_quality_follow(aid_quality_frame *frames, const int *order, aid_quality_group *group,
                              aid_error *err)
{
    AID_CLEANUP(points_done)
    points p = {0};
    AID_TRY(points_init(group->frames, &p, err));
    for (int metric = 0; metric < AID_QUALITY_METRICS; metric++) {
        gather(frames, order, group, metric, &p);
        follow_metric(frames, &p, metric, &group->trends[metric]);
    }
    return AID_OK;
}
