/* Many frames on one grid into one image. */
#include "core/base/memory.h"
#include "core/imaging/stats.h"
#include "domain/stacking/stacking.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { ROW_BAND = 16, REACH = 3 /* px around, in which a star's brightest pixel is looked for */ };
/* Of the brightest pixel near: what misregistration of .05 px and interpolation leave. */
static const double sound_fraction = 0.1;
static const double unknown_seeing_fraction = 0.5;

void aid_stacked_done(aid_stacked *stacked)
{
    aid_image_done(&stacked->image);
    aid_image_done(&stacked->variance);
    aid_image_done(&stacked->used);
}

typedef struct stacking {
    const aid_frame_rows *pixels;
    aid_stack_frame *frames; /* of `pixels` */
    const aid_stack_options *options;
    int *index;              /* [used]: which frames those are */
    float *fraction;         /* [used]: of the brightest pixel near that a pixel may be off */
    atomic_llong *clipped;   /* [used] */
    const aid_image *median; /* NULL: nothing is left out yet */
    const aid_image *found;  /* values behind the median */
    aid_image brightest;     /* of the median, within REACH */
    bool count_clipped;
} stacking;

static void stacking_done(stacking *job)
{
    free(job->index);
    free(job->fraction);
    free(job->clipped);
    aid_image_done(&job->brightest);
}

/* ----------------------------------------------------------------------------------- the frames */

typedef struct cleaned_row {
    const float *median, *brightest, *found;
    float kappa, fraction;
} cleaned_row;

/* Of two values the median is the mean, and both are equally far from it: there the higher one can
 * be struck, and the other cannot. */
static int64_t clean_row(const cleaned_row *row, int32_t width, const float *restrict variance,
                         float *restrict values)
{
    int64_t clipped = 0;
    for (int32_t x = 0; x < width; x++) {
        float off = values[x] - row->median[x];
        float allowed = row->kappa * sqrtf(variance[x]) + row->fraction * row->brightest[x];
        bool pair = row->found[x] == 2.0F;
        bool bad = pair ? 1.5F * off > allowed : fabsf(off) > allowed;
        clipped += bad;
        values[x] = bad ? NAN : values[x];
    }
    return clipped;
}

static aid_status read_frame(void *context, int frame, int32_t y, int32_t rows, float *values,
                             aid_error *err)
{
    stacking *job = context;
    const aid_frame_rows *pixels = job->pixels;
    AID_TRY(pixels->read(pixels->context, job->index[frame], y, rows, values, err));
    if (!job->median)
        return AID_OK;
    int32_t width = pixels->width;
    AID_CLEANUP(aid_free_pointer)
    float *variance = NULL;
    AID_TRY(aid_new_buffer((size_t)rows * (size_t)width, sizeof(float), "rows", &variance, err));
    AID_TRY(pixels->read_variance(pixels->context, job->index[frame], y, rows, variance, err));
    int64_t clipped = 0;
    for (int32_t j = 0; j < rows; j++) {
        const cleaned_row row = {.median = aid_image_row(job->median, y + j),
                                 .brightest = aid_image_row(&job->brightest, y + j),
                                 .found = aid_image_row(job->found, y + j),
                                 .kappa = (float)job->options->kappa,
                                 .fraction = job->fraction[frame]};
        clipped +=
            clean_row(&row, width, variance + (int64_t)j * width, values + (int64_t)j * width);
    }
    if (job->count_clipped)
        atomic_fetch_add(&job->clipped[frame], clipped);
    return AID_OK;
}

static aid_status read_variance(void *context, int frame, int32_t y, int32_t rows, float *values,
                                aid_error *err)
{
    const stacking *job = context;
    const aid_frame_rows *pixels = job->pixels;
    return pixels->read_variance(pixels->context, job->index[frame], y, rows, values, err);
}

/* One weight for all pixels of a frame: one that follows the noise of each pixel would follow its
 * light, and prefer the fainter of two values, or the phase of interpolation. */
static aid_status read_weight(void *context, int frame, int32_t y, int32_t rows, float *values,
                              aid_error *err)
{
    (void)y;
    (void)err;
    const stacking *job = context;
    float variance = (float)(1.0 / job->frames[job->index[frame]].weight);
    for (int64_t i = 0; i < (int64_t)rows * job->pixels->width; i++)
        values[i] = variance;
    return AID_OK;
}

static aid_frame_rows port_of(stacking *job, int used, bool weights)
{
    return (aid_frame_rows){.context = job,
                            .count = used,
                            .width = job->pixels->width,
                            .height = job->pixels->height,
                            .read = read_frame,
                            .read_variance = weights ? read_weight : read_variance};
}

/* ---------------------------------------------------------------------- what is bright, and near
 */

static void brightest_of_row(const float *row, int32_t width, float *out)
{
    for (int32_t x = 0; x < width; x++) {
        float most = 0.0F;
        for (int32_t i = AID_MAX(x - REACH, 0); i <= AID_MIN(x + REACH, width - 1); i++)
            most = row[i] > most ? row[i] : most; /* a NaN loses */
        out[x] = most;
    }
}

typedef struct brightest_job {
    const aid_image *image;
    aid_image *out;
} brightest_job;

static aid_status brightest_rows(void *context, int64_t band, int worker, aid_error *err)
{
    (void)worker;
    const brightest_job *job = context;
    int32_t width = job->image->width, height = job->image->height;
    int64_t begin, end;
    AID_CLEANUP(aid_free_pointer)
    float *row = NULL;
    AID_TRY(aid_new_buffer((size_t)width, sizeof(float), "rows", &row, err));
    aid_band_range(height, ROW_BAND, band, &begin, &end);
    for (int32_t j = (int32_t)AID_MAX(begin - REACH, 0); j < AID_MIN(end + REACH, height); j++) {
        brightest_of_row(aid_image_row(job->image, j), width, row);
        for (int32_t y = (int32_t)AID_MAX(begin, j - REACH);
             y <= AID_MIN(end - 1, (int64_t)j + REACH); y++) {
            float *out = aid_image_row(job->out, y);
            for (int32_t x = 0; x < width; x++)
                out[x] = row[x] > out[x] ? row[x] : out[x];
        }
    }
    return AID_OK;
}

static aid_status find_brightest(stacking *job, const aid_image *median, aid_pool *pool,
                                 aid_error *err)
{
    brightest_job brightest = {median, &job->brightest};
    AID_TRY(aid_image_init(median->width, median->height, &job->brightest, err));
    return aid_pool_run(pool, aid_band_count(median->height, ROW_BAND), brightest_rows, &brightest,
                        err);
}

/* ------------------------------------------------------------------------------------- variance */

typedef struct variance_job {
    stacking *stack;
    int used;
    aid_image *variance;
} variance_job;

AID_HOT static void add_row(const float *restrict values, const float *restrict variance,
                            float weight, int64_t count, float *restrict sum,
                            float *restrict weights)
{
    for (int64_t i = 0; i < count; i++) {
        float w = values[i] == values[i] ? weight : 0.0F; /* NaN is not itself */
        float v = w > 0.0F ? variance[i] : 0.0F;
        sum[i] += w * w * v;
        weights[i] += w;
    }
}

/* sum w^2 v / (sum w)^2 over the frames that a pixel rests on. */
static aid_status variance_rows(void *context, int64_t band, int worker, aid_error *err)
{
    (void)worker;
    const variance_job *job = context;
    int32_t width = job->variance->width;
    int64_t begin, end;
    aid_band_range(job->variance->height, ROW_BAND, band, &begin, &end);
    size_t count = (size_t)(end - begin) * (size_t)width;
    AID_CLEANUP(aid_free_pointer)
    float *rows = NULL;
    AID_TRY(aid_new_array(4 * count, sizeof(float), "rows", &rows, err));
    float *values = rows, *variance = rows + count, *sum = rows + 2 * count;
    float *weights = rows + 3 * count;
    for (int k = 0; k < job->used; k++) {
        int32_t y = (int32_t)begin, height = (int32_t)(end - begin);
        float weight = (float)job->stack->frames[job->stack->index[k]].weight;
        AID_TRY(read_frame(job->stack, k, y, height, values, err));
        AID_TRY(read_variance(job->stack, k, y, height, variance, err));
        add_row(values, variance, weight, (int64_t)count, sum, weights);
    }
    for (size_t i = 0; i < count; i++) {
        float *row = aid_image_row(job->variance, (int32_t)(begin + (int64_t)i / width));
        row[(int64_t)i % width] = weights[i] > 0.0F ? sum[i] / (weights[i] * weights[i]) : NAN;
    }
    return AID_OK;
}

/* ----------------------------------------------------------------------------------- the whole */

/* A star in seeing f has a peak (F/f)^2 times that in seeing F. */
static float allowed_fraction(const aid_stack_frame *frame, double typical_fwhm_px)
{
    double ratio = typical_fwhm_px / frame->fwhm_px;
    double fraction = sound_fraction + 1.5 * fabs(ratio * ratio - 1.0);
    return (float)(isfinite(fraction) ? fraction : unknown_seeing_fraction);
}

static aid_status choose_frames(stacking *job, int *ret_used, aid_error *err)
{
    int count = job->pixels->count, used = 0;
    AID_CLEANUP(aid_free_pointer)
    double *fwhm = NULL;
    AID_TRY(aid_new_array((size_t)count, sizeof *fwhm, "frames", &fwhm, err));
    AID_TRY(aid_new_array((size_t)count, sizeof *job->index, "frames", &job->index, err));
    AID_TRY(aid_new_array((size_t)count, sizeof *job->fraction, "frames", &job->fraction, err));
    AID_TRY(aid_new_array((size_t)count, sizeof *job->clipped, "frames", &job->clipped, err));
    for (int k = 0; k < count; k++)
        if (job->frames[k].weight > 0.0) {
            fwhm[used] = job->frames[k].fwhm_px;
            job->index[used++] = k;
        }
    double typical = aid_median_in_place_f64(fwhm, used);
    for (int k = 0; k < used; k++)
        job->fraction[k] = allowed_fraction(&job->frames[job->index[k]], typical);
    *ret_used = used;
    return AID_OK;
}

/* Nothing is left out by the combination itself: what is to be is out already. */
static aid_combine_options plainly(aid_combine_method method)
{
    aid_combine_options options = AID_COMBINE_DEFAULTS;
    options.method = method;
    options.kappa = 1e6;
    return options;
}

static aid_status combine_cleaned(stacking *job, int used, const aid_combined *first,
                                  aid_pool *pool, aid_combined *ret_combined, aid_error *err)
{
    bool weighted = job->options->method == AID_COMBINE_INVERSE_VARIANCE;
    aid_combine_options options =
        plainly(weighted ? AID_COMBINE_INVERSE_VARIANCE : AID_COMBINE_MEAN);
    AID_TRY(find_brightest(job, &first->image, pool, err));
    job->median = &first->image;
    job->found = &first->used;
    aid_frame_rows cleaned = port_of(job, used, weighted);
    AID_CLEANUP(aid_combined_done)
    aid_combined combined = {0};
    job->count_clipped = true;
    AID_TRY(aid_combine(&cleaned, &options, pool, &combined, err));
    job->count_clipped = false;
    variance_job variance = {job, used, &combined.variance};
    if (weighted)
        AID_TRY(aid_pool_run(pool, aid_band_count(job->pixels->height, ROW_BAND), variance_rows,
                             &variance, err));
    *ret_combined = combined;
    combined = (aid_combined){0};
    return AID_OK;
}

static aid_status combine(stacking *job, int used, aid_pool *pool, aid_combined *ret_combined,
                          aid_error *err)
{
    aid_combine_method method = job->options->method;
    aid_frame_rows plain = port_of(job, used, false);
    aid_combine_options median = plainly(AID_COMBINE_MEDIAN), mean = plainly(AID_COMBINE_MEAN);
    if (method == AID_COMBINE_MEDIAN || method == AID_COMBINE_MEAN)
        return aid_combine(&plain, method == AID_COMBINE_MEAN ? &mean : &median, pool, ret_combined,
                           err);
    AID_CLEANUP(aid_combined_done)
    aid_combined first = {0};
    AID_TRY(aid_combine(&plain, &median, pool, &first, err));
    return combine_cleaned(job, used, &first, pool, ret_combined, err);
}

aid_status aid_stack_combine(const aid_frame_rows *pixels, aid_stack_frame *frames,
                             const aid_stack_options *options, aid_pool *pool,
                             aid_stacked *ret_stacked, aid_error *err)
{
    int used;
    AID_CLEANUP(stacking_done)
    stacking job = {.pixels = pixels, .frames = frames, .options = options};
    if (!pixels->read_variance)
        AID_FAIL(err, AID_ERR_INVALID, "frames without a variance cannot be stacked");
    AID_TRY(choose_frames(&job, &used, err));
    aid_combined combined;
    AID_TRY(combine(&job, used, pool, &combined, err));
    aid_stacked stacked = {combined.image, combined.variance, combined.used, 0};
    for (int k = 0; k < used; k++) {
        frames[job.index[k]].clipped = atomic_load(&job.clipped[k]);
        stacked.clipped += frames[job.index[k]].clipped;
    }
    *ret_stacked = stacked;
    return AID_OK;
}
