#include "domain/calibration/overscan.h"

#include "core/base/memory.h"
#include "core/imaging/stats.h"
#include "domain/calibration/internal.h"

#include <math.h>
#include <stdlib.h>

static const double clip_kappa = 4.0;

void aid_overscan_done(aid_overscan *overscan)
{
    free(overscan->levels);
    *overscan = (aid_overscan){0};
}

static bool is_empty(const aid_section *section)
{
    return section->x1 <= section->x0 || section->y1 <= section->y0;
}

/* --------------------------------------------------------------------------------------- a line */

/* The overscan pixels of one line across it: row y, or column x. */
typedef struct lines {
    const aid_image *raw;
    aid_section section;
    bool columns;   /* a line is a column */
    int32_t count;  /* of lines */
    int32_t across; /* pixels of a line */
    float *line;    /* [across] */
    double *level;  /* [count]; NaN: no finite pixel */
} lines;

static void take_line(const lines *job, int32_t i)
{
    const aid_section *section = &job->section;
    for (int32_t k = 0; k < job->across; k++)
        job->line[k] = job->columns ? aid_image_row(job->raw, section->y0 + k)[section->x0 + i]
                                    : aid_image_row(job->raw, section->y0 + i)[section->x0 + k];
}

/* The level of every line, and the sum of squares about it over all of them. */
static void measure_lines(const lines *job, double *ret_noise)
{
    double squares = 0.0, freedom = 0.0;
    for (int32_t i = 0; i < job->count; i++) {
        take_line(job, i);
        aid_clipped line = aid_clipped_raw(job->line, job->across, clip_kappa);
        job->level[i] = line.count > 0 ? line.mean : (double)NAN;
        if (line.count > 1) { /* sigma is that of all values: with n, not n - 1 */
            squares += line.sigma * line.sigma * (double)line.count;
            freedom += (double)line.count - 1.0;
        }
    }
    *ret_noise = freedom > 0.0 ? sqrt(squares / freedom) : (double)NAN;
}

/* A line without finite pixels has the level of the nearest that has some. */
static bool fill_gaps(double *level, int32_t count)
{
    int32_t first = 0;
    while (first < count && isnan(level[first]))
        first++;
    if (first == count)
        return false;
    for (int32_t i = 0; i < first; i++)
        level[i] = level[first];
    for (int32_t i = first + 1; i < count; i++)
        if (isnan(level[i]))
            level[i] = level[i - 1];
    return true;
}

/* ------------------------------------------------------------------------------------ smoothing */

/* Running mean over 2*half+1 lines, fewer at the ends; returns the trace of the smoother. */
static double running_mean(const double *level, int32_t count, int32_t half, double *ret_smooth)
{
    double sum = 0.0, trace = 0.0, pivot = level[0];
    int32_t from = 0, to = 0; /* half-open */
    for (int32_t i = 0; i < count; i++) {
        for (; to < AID_MIN(i + half + 1, count); to++)
            sum += level[to] - pivot;
        for (; from < i - half; from++)
            sum -= level[from] - pivot;
        ret_smooth[i] = pivot + sum / (double)(to - from);
        trace += 1.0 / (double)(to - from);
    }
    return trace;
}

/* What a line's level scatters by itself: as its pixels say, or more where neighbouring lines
 * differ by more. Such stripes of the overscan are often not those of the image. */
static double scatter_of_lines(const double *level, int32_t count, double pixel_variance,
                               double *scratch)
{
    for (int32_t i = 0; i + 1 < count; i++)
        scratch[i] = level[i + 1] - level[i];
    double sigma = count > 8 ? aid_robust_in_place_f64(scratch, count - 1).sigma : 0.0;
    return AID_MAX(pixel_variance, 0.5 * sigma * sigma);
}

/* Each line's own level is noise of a few dozen pixels, which would print stripes on the image;
 * one level for all would leave what the electronics did meanwhile. The window between is that of
 * the least expected error by Stein's estimate (1981, Ann. Statist. 9, 1135):
 * sum (level - smooth)^2 + 2 sigma^2 trace. */
static void smooth_lines(double *level, int32_t count, double line_variance, double *scratch)
{
    double least = INFINITY;
    int32_t best = 0;
    for (int32_t half = 0; half < count; half = 3 * half + 1) {
        double trace = running_mean(level, count, half, scratch);
        double risk = 2.0 * line_variance * trace;
        for (int32_t i = 0; i < count; i++)
            risk += (level[i] - scratch[i]) * (level[i] - scratch[i]);
        if (risk < least) {
            least = risk;
            best = half;
        }
    }
    running_mean(level, count, best, scratch);
    for (int32_t i = 0; i < count; i++)
        level[i] = scratch[i];
}

/* ---------------------------------------------------------------------------- do stripes agree?
 */

enum { LINE_SAMPLE = 256 /* pixels of the image that tell the level of a line of it */ };

/* The level of the image in that line, NaN where there is none; its gradients and sources do not
 * matter, for neighbouring lines share them. */
static double image_level(const lines *job, const aid_section *trim, int32_t line)
{
    float values[LINE_SAMPLE];
    int32_t at = line + (job->columns ? job->section.x0 : job->section.y0), n = 0;
    int32_t begin = job->columns ? trim->y0 : trim->x0, end = job->columns ? trim->y1 : trim->x1;
    if (at < (job->columns ? trim->x0 : trim->y0) || at >= (job->columns ? trim->x1 : trim->y1))
        return NAN;
    int32_t step = AID_MAX((end - begin + LINE_SAMPLE - 1) / LINE_SAMPLE, 1);
    for (int32_t k = begin + step / 2; k < end && n < LINE_SAMPLE; k += step)
        values[n++] =
            job->columns ? aid_image_row(job->raw, k)[at] : aid_image_row(job->raw, at)[k];
    return aid_clipped_raw(values, n, clip_kappa).mean;
}

/* How much of a stripe of the overscan is in the image: the slope of the image's steps from line to
 * line against the overscan's, which counts their noise in; 0 where that is not beyond doubt. */
static double share_of_stripes(const double *overscan, const double *image, int32_t count,
                               double *scratch)
{
    const double least_significance = 4.0;
    for (int32_t i = 0; i + 1 < count; i++)
        scratch[i] = image[i + 1] - image[i];
    aid_robust steps = aid_robust_in_place_f64(scratch, count - 1);
    double products = 0.0, squares = 0.0, own = 0.0;
    int32_t used = 0;
    for (int32_t i = 0; i + 1 < count; i++) {
        double x = overscan[i + 1] - overscan[i], y = image[i + 1] - image[i];
        if (!(fabs(y - steps.median) <= 5.0 * steps.sigma))
            continue;
        products += x * y;
        squares += x * x;
        own += y * y;
        used++;
    }
    if (used < 16 || !(squares > 0.0))
        return 0.0;
    double slope = products / squares;
    double left = AID_MAX(own - slope * products, 0.0) / (double)used;
    /* Steps that follow each other share a line: they are worth a third less. */
    double error = sqrt(1.5 * left / squares);
    return slope > least_significance * error ? AID_MIN(slope, 1.0) : 0.0;
}

/* ------------------------------------------------------------------------------------ the frame */

/* Lines of the trimmed frame from those of the overscan, which may begin and end elsewhere. */
static aid_status put_levels(const lines *job, aid_overscan *overscan, aid_error *err)
{
    const aid_section *trim = &overscan->trim;
    int32_t begin = job->columns ? trim->x0 : trim->y0, end = job->columns ? trim->x1 : trim->y1;
    int32_t origin = job->columns ? job->section.x0 : job->section.y0;
    AID_TRY(
        aid_new_array((size_t)(end - begin), sizeof(float), "overscan", &overscan->levels, err));
    overscan->length = end - begin;
    overscan->along_columns = job->columns;
    for (int32_t i = begin; i < end; i++)
        overscan->levels[i - begin] = (float)job->level[AID_CLAMP(i - origin, 0, job->count - 1)];
    overscan->level = aid_median_of(overscan->levels, overscan->length);
    return AID_OK;
}

/* Levels of lines as they are to be subtracted: smooth, and with so much of their stripes as the
 * image has. job->level has room for four times as many. */
static void follow_lines(lines *job, const aid_section *trim, double pixel_variance)
{
    int32_t count = job->count;
    double *level = job->level, *smooth = level + count, *image = level + 2 * (int64_t)count,
           *scratch = level + 3 * (int64_t)count;
    double variance = scatter_of_lines(level, count, pixel_variance, scratch);
    if (!(variance > 0.0))
        return;
    for (int32_t i = 0; i < count; i++) {
        smooth[i] = level[i];
        image[i] = image_level(job, trim, i);
    }
    smooth_lines(smooth, count, variance, scratch);
    double share = share_of_stripes(level, image, count, scratch);
    for (int32_t i = 0; i < count; i++)
        level[i] = smooth[i] + share * (level[i] - smooth[i]);
}

static aid_status measure(lines *job, aid_overscan_method method, const char *name,
                          aid_overscan *overscan, aid_error *err)
{
    measure_lines(job, &overscan->noise);
    if (!fill_gaps(job->level, job->count))
        AID_FAIL(err, AID_ERR_INVALID, "%s: the overscan has no finite pixels", name);
    double line_variance = overscan->noise * overscan->noise / (double)job->across;
    if (method == AID_OVERSCAN_ROW) {
        follow_lines(job, &overscan->trim, line_variance);
    } else {
        double middle = aid_median_in_place_f64(job->level, job->count), sum = 0.0;
        int32_t kept = 0; /* lines near the median: a mean of them is finer than whole numbers */
        double half = clip_kappa * sqrt(line_variance > 0.0 ? line_variance : 0.0) + 1.0;
        for (int32_t i = 0; i < job->count; i++)
            if (fabs(job->level[i] - middle) <= half) {
                sum += job->level[i] - middle;
                kept++;
            }
        for (int32_t i = 0; i < job->count; i++)
            job->level[i] = middle;
        if (kept > 0)
            for (int32_t i = 0; i < job->count; i++)
                job->level[i] += sum / (double)kept;
    }
    return put_levels(job, overscan, err);
}

static bool lies_above_or_below(const aid_section *section, const aid_section *trim)
{
    bool beside = section->x0 >= trim->x1 || section->x1 <= trim->x0;
    return !beside && (section->y0 >= trim->y1 || section->y1 <= trim->y0);
}

aid_status aid_overscan_measure(const aid_image *raw, const aid_frame_facts *facts,
                                aid_overscan_method method, aid_overscan *ret_overscan,
                                aid_error *err)
{
    aid_overscan result = {.noise = NAN, .trim = facts->trim};
    if (is_empty(&result.trim))
        result.trim = (aid_section){0, 0, raw->width, raw->height};
    if (method == AID_OVERSCAN_NONE || is_empty(&facts->overscan)) {
        *ret_overscan = result;
        return AID_OK;
    }
    const aid_section *section = &facts->overscan;
    lines job = {.raw = raw, .section = *section};
    job.columns = lies_above_or_below(section, &result.trim);
    int32_t wide = section->x1 - section->x0, high = section->y1 - section->y0;
    job.count = job.columns ? wide : high;
    job.across = job.columns ? high : wide;
    AID_CLEANUP(aid_free_pointer)
    void *line = NULL;
    AID_CLEANUP(aid_free_pointer)
    void *level = NULL;
    AID_TRY(aid_new_array((size_t)job.across, sizeof(float), "overscan", &line, err));
    AID_TRY(aid_new_array(4 * (size_t)job.count, sizeof(double), "overscan", &level, err));
    job.line = line;
    job.level = level;
    AID_TRY(measure(&job, method, facts->name, &result, err));
    *ret_overscan = result;
    return AID_OK;
}

AID_HOT static void subtract_constant(const float *restrict from, int32_t count, float level,
                                      float *restrict to)
{
    for (int32_t i = 0; i < count; i++)
        to[i] = from[i] - level;
}

AID_HOT static void subtract_each(const float *restrict from, int32_t count,
                                  const float *restrict levels, float *restrict to)
{
    for (int32_t i = 0; i < count; i++)
        to[i] = from[i] - levels[i];
}

void aid_overscan_subtract_row(const aid_overscan *overscan, int32_t y, const float *raw_row,
                               float *ret_row)
{
    int32_t width = overscan->trim.x1 - overscan->trim.x0;
    const float *from = raw_row + overscan->trim.x0;
    if (overscan->levels && overscan->along_columns)
        subtract_each(from, width, overscan->levels, ret_row);
    else
        subtract_constant(from, width, overscan->levels ? overscan->levels[y] : 0.0f, ret_row);
}

aid_status aid_overscan_remove(const aid_image *raw, const aid_overscan *overscan,
                               aid_image *ret_image, aid_error *err)
{
    const aid_section *trim = &overscan->trim;
    aid_image image;
    AID_TRY(aid_image_init(trim->x1 - trim->x0, trim->y1 - trim->y0, &image, err));
    for (int32_t y = 0; y < image.height; y++)
        aid_overscan_subtract_row(overscan, y, aid_image_row(raw, trim->y0 + y),
                                  aid_image_row(&image, y));
    *ret_image = image;
    return AID_OK;
}
