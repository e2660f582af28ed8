#include "core/imaging/combine.h"

#include "core/base/memory.h"
#include "core/imaging/combine_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BAND_VALUES = 1 << 18, LANES = AID_COMBINE_LANES };

/* What the number of values that a pixel rests on comes to; tables of [frames + 1]. */
typedef struct factors {
    double *variance; /* of the result, from the variance of one value */
    double *limit;    /* scatter beyond this times the model is the pixel's own */
} factors;

typedef struct combining {
    const aid_frame_rows *frames;
    const aid_combine_options *options;
    aid_combine_noise noise;
    factors factors;
    int32_t band; /* rows */
    aid_combine_rows *workers;
    aid_combined result;
    int64_t *finite, *rejected; /* [bands] */
} combining;

/* ------------------------------------------------------------------------------------- a block */

static inline double noise_variance(const aid_combine_noise *noise, double level)
{
    double above = level - noise->pivot;
    double slope = above > 0.0 ? noise->slope_above : noise->slope_below;
    double variance = noise->base + slope * above, least = 0.1 * noise->base;
    return variance > least ? variance : least;
}

AID_HOT static void widths_from_model(const float *restrict mad_sigma, const float *restrict median,
                                      const aid_combine_noise *noise, double kappa,
                                      float *restrict half_width)
{
    for (int i = 0; i < LANES; i++) {
        double least = sqrt(noise_variance(noise, (double)median[i])), sigma = (double)mad_sigma[i];
        half_width[i] = (float)(kappa * (sigma > least ? sigma : least));
    }
}

static void set_half_widths(const combining *job, aid_combine_block *block)
{
    const aid_combine_options *options = job->options;
    if (options->method != AID_COMBINE_MEAN && options->least_sigma == 0.0 && !block->variances) {
        widths_from_model(block->mad_sigma, block->median, &job->noise, options->kappa,
                          block->half_width);
        return;
    }
    for (int i = 0; i < LANES; i++) {
        double sigma = AID_MAX((double)block->mad_sigma[i], options->least_sigma);
        /* A plain mean clips nothing, whatever the noise. */
        double half = options->method == AID_COMBINE_MEAN ? 3e38 : options->kappa * sigma;
        block->half_width[i] = (float)AID_MIN(half, 3e38);
    }
}

/* What a block comes to, one value a lane. */
typedef struct outcome {
    float value[LANES], variance[LANES], used[LANES];
} outcome;

/* The variance of one value: the pixel's own scatter and the model of all pixels, each by its
 * degrees of freedom (an empirical Bayes estimate: Smyth 2004, Stat. Appl. Genet. Mol. Biol. 3,
 * 3); a pixel whose scatter the model cannot explain has its own. */
AID_HOT static void finish_scatter(const combining *restrict job,
                                   const aid_combine_block *restrict block, bool is_median,
                                   outcome *restrict result)
{
    const double *restrict factor = job->factors.variance, *restrict limit = job->factors.limit;
    double freedom = job->noise.freedom;
    for (int i = 0; i < LANES; i++) {
        int kept = block->kept[i], used = is_median ? block->finite[i] : kept;
        double n = (double)kept, own = n - 1.0, median = (double)block->median[i];
        double shift = block->deviation[i] / n, value = is_median ? median : median + shift;
        double sum = block->square[i] - n * shift * shift;
        sum = sum > 0.0 ? sum : 0.0;
        double scatter = sum / own; /* NaN of a single value */
        double model = noise_variance(&job->noise, value);
        double joined = (freedom * model + sum) / (freedom + own);
        bool has_model = freedom > 0.0, by_itself = scatter > limit[kept] * model;
        double variance = has_model && !by_itself ? joined : scatter;
        result->value[i] = (float)(kept > 0 ? value : NAN);
        result->variance[i] = (float)(kept > 0 ? variance * factor[used] : NAN);
        result->used[i] = (float)used;
    }
}

/* Where the values' own variances are known. */
static void finish_known(const aid_combine_block *block, bool is_median, outcome *result)
{
    for (int i = 0; i < LANES; i++) {
        int kept = block->kept[i];
        double weight = block->weight[i], median = (double)block->median[i];
        double variance = block->propagated[i] / (weight * weight);
        result->used[i] = (float)(is_median ? block->finite[i] : kept);
        result->value[i] = result->variance[i] = NAN;
        if (kept == 0)
            continue;
        result->value[i] = (float)(is_median ? median : median + block->deviation[i] / weight);
        result->variance[i] =
            (float)(is_median ? variance * aid_median_variance_factor(kept) : variance);
    }
}

static void combine_block(combining *job, aid_combine_block *block, int64_t at, int64_t *finite,
                          int64_t *rejected)
{
    aid_combine_method method = job->options->method;
    double kappa = method == AID_COMBINE_MEAN ? (double)INFINITY : job->options->kappa;
    set_half_widths(job, block);
    aid_combine_block_sum(block, kappa, method == AID_COMBINE_INVERSE_VARIANCE);
    outcome result;
    bool is_median = method == AID_COMBINE_MEDIAN;
    if (block->variances)
        finish_known(block, is_median, &result);
    else
        finish_scatter(job, block, is_median, &result);
    size_t size = (size_t)block->lanes * sizeof(float);
    memcpy(job->result.image.data + at, result.value, size);
    memcpy(job->result.variance.data + at, result.variance, size);
    memcpy(job->result.used.data + at, result.used, size);
    for (int i = 0; i < block->lanes; i++) {
        *finite += block->finite[i];
        *rejected += block->finite[i] - block->kept[i];
    }
}

static aid_status combine_band(void *context, int64_t task, int worker, aid_error *err)
{
    combining *job = context;
    aid_combine_rows *rows = &job->workers[worker];
    int64_t begin, end;
    aid_band_range(job->frames->height, job->band, task, &begin, &end);
    int32_t count = (int32_t)(end - begin);
    int64_t pixels = (int64_t)count * job->frames->width, offset = begin * job->frames->width;
    AID_TRY(aid_combine_rows_read(rows, (int32_t)begin, count, err));
    for (int64_t first = 0; first < pixels; first += LANES) {
        aid_combine_rows_load(rows, count, first, (int)AID_MIN((int64_t)LANES, pixels - first));
        combine_block(job, &rows->block, offset + first, &job->finite[task], &job->rejected[task]);
    }
    return AID_OK;
}

/* ------------------------------------------------------------------------------------ the frames
 */

static aid_status check(const aid_frame_rows *frames, const aid_combine_options *options,
                        aid_error *err)
{
    if (frames->count < 1)
        AID_FAIL(err, AID_ERR_INVALID, "no frames to combine");
    if (frames->width < 1 || frames->height < 1 || frames->width > AID_MAX_IMAGE_SIDE ||
        frames->height > AID_MAX_IMAGE_SIDE)
        AID_FAIL(err, AID_ERR_INVALID, "frames of %d x %d pixels cannot be combined", frames->width,
                 frames->height);
    if (!(options->kappa >= 1.0 && options->kappa <= 1e6))
        AID_FAIL(err, AID_ERR_INVALID, "clipping at %g sigma is not between 1 and 1e6",
                 options->kappa);
    if (!(options->least_sigma >= 0.0 && isfinite(options->least_sigma)))
        AID_FAIL(err, AID_ERR_INVALID, "a least sigma of %g is no noise", options->least_sigma);
    if (options->method == AID_COMBINE_INVERSE_VARIANCE && !frames->read_variance)
        AID_FAIL(err, AID_ERR_INVALID, "frames without a variance cannot be weighted by it");
    for (int k = 0; k < frames->count; k++)
        if ((options->scale && !isfinite(options->scale[k])) ||
            (options->offset && !isfinite(options->offset[k])))
            AID_FAIL(err, AID_ERR_INVALID, "frame %d has no finite scale or offset", k + 1);
    return AID_OK;
}

static aid_status make_factors(combining *job, aid_error *err)
{
    const aid_combine_options *options = job->options;
    int frames = job->frames->count;
    bool clipped = options->method != AID_COMBINE_MEAN;
    double cut = clipped ? aid_sigma_of_clipped_normal(options->kappa) : 1.0;
    AID_TRY(
        aid_new_array((size_t)frames + 1, sizeof(double), "table", &job->factors.variance, err));
    AID_TRY(aid_new_array((size_t)frames + 1, sizeof(double), "table", &job->factors.limit, err));
    for (int n = 1; n <= frames; n++) {
        double factor = options->method == AID_COMBINE_MEDIAN ? aid_median_variance_factor(n) : 1;
        job->factors.variance[n] = factor / ((double)n * cut * cut);
        job->factors.limit[n] = aid_chi_square_quantile(AID_MAX(n - 1, 1), 3.5);
    }
    return AID_OK;
}

/* An image that is written whole. */
static aid_status new_plane(const aid_frame_rows *frames, aid_image *ret_image, aid_error *err)
{
    aid_image image = {.width = frames->width, .height = frames->height, .stride = frames->width};
    AID_TRY(aid_new_buffer((size_t)frames->width * (size_t)frames->height, sizeof *image.data,
                           "image", &image.data, err));
    *ret_image = image;
    return AID_OK;
}

static aid_status prepare(combining *job, aid_pool *pool, aid_error *err)
{
    const aid_frame_rows *frames = job->frames;
    int threads = aid_pool_threads(pool);
    int64_t row = (int64_t)frames->count * frames->width;
    job->band = (int32_t)AID_CLAMP(BAND_VALUES / row, 1, (int64_t)frames->height);
    size_t bands = (size_t)aid_band_count(frames->height, job->band);
    if (!frames->read_variance)
        AID_TRY(aid_combine_measure_noise(frames, job->options, pool, &job->noise, err));
    AID_TRY(make_factors(job, err));
    AID_TRY(aid_new_array(bands, sizeof(int64_t), "counts", &job->finite, err));
    AID_TRY(aid_new_array(bands, sizeof(int64_t), "counts", &job->rejected, err));
    AID_TRY(aid_new_array((size_t)threads, sizeof *job->workers, "bands", &job->workers, err));
    for (int w = 0; w < threads; w++)
        AID_TRY(aid_combine_rows_init(frames, job->options, job->band, &job->workers[w], err));
    AID_TRY(new_plane(frames, &job->result.image, err));
    AID_TRY(new_plane(frames, &job->result.variance, err));
    return new_plane(frames, &job->result.used, err);
}

static aid_status combine(combining *job, aid_pool *pool, aid_error *err)
{
    AID_TRY(prepare(job, pool, err));
    int64_t bands = aid_band_count(job->frames->height, job->band);
    AID_TRY(aid_pool_run(pool, bands, combine_band, job, err));
    int64_t finite = 0, rejected = 0;
    for (int64_t i = 0; i < bands; i++) {
        finite += job->finite[i];
        rejected += job->rejected[i];
    }
    job->result.rejected_fraction = finite ? (double)rejected / (double)finite : 0.0;
    return AID_OK;
}

aid_status aid_combine(const aid_frame_rows *frames, const aid_combine_options *options,
                       aid_pool *pool, aid_combined *ret_combined, aid_error *err)
{
    AID_TRY(check(frames, options, err));
    combining job = {.frames = frames, .options = options};
    aid_status status = combine(&job, pool, err);
    for (int w = 0; job.workers && w < aid_pool_threads(pool); w++)
        aid_combine_rows_done(&job.workers[w]);
    free(job.workers);
    free(job.factors.variance);
    free(job.factors.limit);
    free(job.finite);
    free(job.rejected);
    if (status == AID_OK)
        *ret_combined = job.result;
    else
        aid_combined_done(&job.result);
    return status;
}

void aid_combined_done(aid_combined *combined)
{
    aid_image_done(&combined->image);
    aid_image_done(&combined->variance);
    aid_image_done(&combined->used);
}
