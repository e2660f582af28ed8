/* The dark current of every pixel from frames of one or several exposures. */
#include "core/base/memory.h"
#include "domain/calibration/internal.h"

#include <math.h>
#include <stdlib.h>

enum { MOST_EXPOSURES = 32, BAND = 256 /* rows that are fitted at a time */ };

/* Frames of one exposure time. */
typedef struct exposure_group {
    double exposure_s;
    int first, count; /* in the list of indices */
    double noise;     /* of a frame, ADU; where its pixels do not tell */
} exposure_group;

typedef struct dark_job {
    aid_making *making;
    int *indices; /* sorted by exposure */
    int groups;
    exposure_group group[MOST_EXPOSURES];
    bool with_intercept; /* no bias is known: it is fitted, too */
} dark_job;

/* ----------------------------------------------------------------------------------- groups */

static bool same_exposure(double a, double b)
{
    return fabs(a - b) <= 1e-3 * AID_MAX(a, b);
}

/* Insertion sort: frames of the same exposure stay in their order. */
static void sort_by_exposure(const aid_raw_frame *frames, int *indices, int count)
{
    for (int i = 1; i < count; i++)
        for (int k = i;
             k > 0 && frames[indices[k]].facts.exposure_s < frames[indices[k - 1]].facts.exposure_s;
             k--) {
            int swap = indices[k];
            indices[k] = indices[k - 1];
            indices[k - 1] = swap;
        }
}

static aid_status find_groups(dark_job *job, aid_error *err)
{
    const aid_making *making = job->making;
    const aid_raw_frame *frames = making->frames;
    int count = making->calibrated.count;
    sort_by_exposure(frames, job->indices, count);
    for (int i = 0; i < count; i++) {
        const aid_raw_frame *frame = &frames[job->indices[i]];
        exposure_group *last = &job->group[job->groups - (job->groups > 0)];
        if (job->groups == 0 || !same_exposure(last->exposure_s, frame->facts.exposure_s)) {
            if (job->groups == MOST_EXPOSURES)
                AID_FAIL(err, AID_ERR_INVALID, "darks of more than %d exposure times",
                         MOST_EXPOSURES);
            last = &job->group[job->groups++];
            *last = (exposure_group){.exposure_s = frame->facts.exposure_s, .first = i};
        }
        last->count++;
        last->noise += (frame->noise - last->noise) / (double)last->count;
    }
    job->with_intercept = !making->options->bias;
    if (job->with_intercept && job->groups < 2)
        AID_FAIL(err, AID_ERR_INVALID,
                 "darks of one exposure time (%g s) and no bias: their level is no dark current; "
                 "give a master bias, or darks of two exposure times",
                 job->group[0].exposure_s);
    return AID_OK;
}

static aid_status combine_group(const dark_job *job, int g, int32_t y0, int32_t height,
                                aid_combined *ret_combined, aid_error *err)
{
    const aid_making *making = job->making;
    aid_calibrated_rows rows = making->calibrated;
    rows.indices = job->indices + job->group[g].first;
    rows.count = job->group[g].count;
    rows.y0 = y0;
    rows.height = height;
    aid_frame_rows port = aid_calibrated_rows_port(&rows);
    aid_combine_options options = AID_COMBINE_DEFAULTS;
    options.method = making->options->method;
    options.kappa = making->options->kappa;
    return aid_combine(&port, &options, making->pool, ret_combined, err);
}

/* -------------------------------------------------------------------------------------- the fit
 */

typedef struct point {
    double t, y, variance;
} point;

/* Weighted line through the points, or through the origin; false where they do not determine it.
 * offset_variance: of what was taken off all points alike. */
static bool fit_rate(const point *points, int count, bool with_intercept, double offset_variance,
                     double *ret_rate, double *ret_variance)
{
    double s = 0, st = 0, stt = 0, sy = 0, sty = 0;
    for (int i = 0; i < count; i++) {
        double w = 1.0 / points[i].variance;
        s += w;
        st += w * points[i].t;
        stt += w * points[i].t * points[i].t;
        sy += w * points[i].y;
        sty += w * points[i].t * points[i].y;
    }
    double determinant = with_intercept ? s * stt - st * st : stt;
    if (!(determinant > 1e-9 * (with_intercept ? s * stt : 0.0)) || !(determinant > 0.0))
        return false;
    *ret_rate = with_intercept ? (s * sty - st * sy) / determinant : sty / determinant;
    double per_offset = st / determinant;
    *ret_variance = with_intercept ? s / determinant
                                   : 1.0 / determinant + per_offset * per_offset * offset_variance;
    return true;
}

/* The variance of a group's pixel; where its frames are too few to tell, from the frames' noise. */
static double variance_of(const exposure_group *group, double variance, double used)
{
    double least = 1e-4 * group->noise * group->noise / AID_MAX(used, 1.0);
    if (!(variance >= 0.0))
        variance = group->noise * group->noise / AID_MAX(used, 1.0);
    return AID_MAX(AID_MAX(variance, least), 1e-12);
}

static void fit_pixel(const dark_job *job, const aid_combined *groups, int64_t from, int64_t to)
{
    aid_making *making = job->making;
    point points[MOST_EXPOSURES];
    double rate = NAN, variance = NAN, used = 0.0;
    int count = 0;
    for (int g = 0; g < job->groups; g++) {
        double value = (double)groups[g].image.data[from], n = (double)groups[g].used.data[from];
        if (isnan(value))
            continue;
        double spread = variance_of(&job->group[g], (double)groups[g].variance.data[from], n);
        points[count++] = (point){job->group[g].exposure_s, value, spread};
        used += n;
    }
    const aid_master *bias = making->calibrated.bias;
    double offset = bias ? (double)bias->variance.data[to] : 0.0;
    if (!(offset >= 0.0))
        offset = 0.0;
    if (count == 0 || !fit_rate(points, count, job->with_intercept, offset, &rate, &variance))
        used = 0.0;
    making->master.image.data[to] = (float)rate;
    making->master.variance.data[to] = (float)variance;
    making->used.data[to] = (float)used;
}

static aid_status fit_band(const dark_job *job, int32_t y0, int32_t height, double *rejected,
                           aid_error *err)
{
    aid_combined groups[MOST_EXPOSURES] = {0};
    int32_t width = job->making->master.image.width;
    aid_status status = AID_OK;
    for (int g = 0; g < job->groups && status == AID_OK; g++) {
        status = combine_group(job, g, y0, height, &groups[g], err);
        *rejected += groups[g].rejected_fraction * (double)job->group[g].count * (double)height;
    }
    int64_t pixels = (int64_t)width * height;
    for (int64_t i = 0; status == AID_OK && i < pixels; i++)
        fit_pixel(job, groups, i, (int64_t)y0 * width + i);
    for (int g = 0; g < job->groups; g++)
        aid_combined_done(&groups[g]);
    return status;
}

static aid_status fit_all(const dark_job *job, aid_error *err)
{
    aid_making *making = job->making;
    int32_t height = making->calibrated.height;
    aid_frame_rows port = aid_calibrated_rows_port(&making->calibrated);
    double rejected = 0.0;
    AID_TRY(aid_image_init(port.width, height, &making->master.image, err));
    AID_TRY(aid_image_init(port.width, height, &making->master.variance, err));
    AID_TRY(aid_image_init(port.width, height, &making->used, err));
    for (int32_t y = 0; y < height; y += BAND)
        AID_TRY(fit_band(job, y, AID_MIN(BAND, height - y), &rejected, err));
    making->master.rejected_fraction =
        rejected / ((double)making->calibrated.count * (double)height);
    return AID_OK;
}

AID_HOT static void divide(float *restrict pixels, int64_t count, float by)
{
    for (int64_t i = 0; i < count; i++)
        pixels[i] /= by;
}

/* One exposure time and a bias: no fit is needed. */
static aid_status divide_by_exposure(const dark_job *job, aid_error *err)
{
    aid_making *making = job->making;
    double t = job->group[0].exposure_s;
    aid_combined combined;
    AID_TRY(combine_group(job, 0, 0, making->calibrated.height, &combined, err));
    int64_t pixels = (int64_t)combined.image.width * combined.image.height;
    divide(combined.image.data, pixels, (float)t);
    divide(combined.variance.data, pixels, (float)(t * t));
    making->master.image = combined.image;
    making->master.variance = combined.variance;
    making->used = combined.used;
    making->master.rejected_fraction = combined.rejected_fraction;
    if (making->calibrated.bias)
        aid_add_variance(&making->master.variance, &making->calibrated.bias->variance,
                         1.0 / (t * t));
    return AID_OK;
}

aid_status aid_make_dark(aid_making *making, aid_error *err)
{
    dark_job job = {.making = making};
    int count = making->calibrated.count;
    AID_CLEANUP(aid_free_pointer)
    void *indices = NULL;
    AID_TRY(aid_new_array((size_t)count, sizeof(int), "darks", &indices, err));
    job.indices = indices;
    for (int i = 0; i < count; i++)
        job.indices[i] = making->calibrated.indices[i];
    AID_TRY(find_groups(&job, err));
    if (job.groups > 1)
        aid_note_add(making->notes, AID_MASTERS_STAGE,
                     "dark current from %d exposure times, %g to %g s%s", job.groups,
                     job.group[0].exposure_s, job.group[job.groups - 1].exposure_s,
                     job.with_intercept ? ", as a slope: no bias is given" : "");
    return job.groups > 1 || job.with_intercept ? fit_all(&job, err)
                                                : divide_by_exposure(&job, err);
}
