/* The noise of a frame's pixels as the frames themselves tell it: from rows spread over them, the
 * scatter of each pixel from frame to frame against its level. */
#include "core/base/memory.h"
#include "core/imaging/combine_internal.h"
#include "core/imaging/stats.h"

#include <math.h>
#include <stdlib.h>

enum { SAMPLE_PIXELS = 1 << 17, LEAST_GROUP = 50 };

double aid_combine_noise_variance(const aid_combine_noise *noise, double level)
{
    double above = level - noise->pivot;
    double slope = above > 0.0 ? noise->slope_above : noise->slope_below;
    return AID_MAX(noise->base + slope * above, 0.1 * noise->base);
}

double aid_median_variance_factor(int n)
{
    /* By integration over the order statistics of the normal distribution; beyond the table its
     * limit of pi/2 and the first term in 1/n. */
    static const double exact[] = {
        1,      1,      1,      1.3460, 1.1928, 1.4342, 1.2885, 1.4731, 1.3454, 1.4949, 1.3833,
        1.5088, 1.4102, 1.5184, 1.4303, 1.5254, 1.4460, 1.5308, 1.4585, 1.5350, 1.4687, 1.5385,
        1.4773, 1.5413, 1.4845, 1.5437, 1.4906, 1.5457, 1.4960, 1.5474, 1.5007, 1.5489, 1.5048};
    const double half_pi = 1.57079632679489662;
    if (n < (int)AID_COUNT_OF(exact))
        return exact[AID_MAX(n, 0)];
    return half_pi * (1.0 - (n % 2 ? 0.43 : 1.38) / (double)n);
}

double aid_sigma_of_clipped_normal(double kappa)
{
    const double pi = 3.14159265358979323846;
    double phi = exp(-0.5 * kappa * kappa) / sqrt(2.0 * pi);
    return sqrt(1.0 - 2.0 * kappa * phi / erf(kappa / sqrt(2.0)));
}

double aid_chi_square_quantile(double freedom, double z)
{
    double spread = 2.0 / (9.0 * freedom), root = 1.0 - spread + z * sqrt(spread);
    return AID_MAX(root * root * root, 0.0);
}

/* ------------------------------------------------------------------------------------ the sample
 */

typedef struct sampling {
    const aid_frame_rows *frames;
    const aid_combine_options *options;
    aid_combine_rows *workers;
    int32_t rows;  /* of the sample */
    double floor;  /* sigma below which no clipping goes; < 0: not known yet */
    float *level;  /* [rows][width]; NaN: no use */
    float *sigma;  /* from the MAD where the floor is not known, else from the clipped scatter */
    float *degree; /* of freedom of sigma */
} sampling;

static void sample_block(sampling *job, aid_combine_block *block, int64_t at)
{
    double kappa = job->options->kappa, cut = aid_sigma_of_clipped_normal(kappa);
    for (int i = 0; i < AID_COMBINE_LANES; i++)
        block->half_width[i] =
            (float)(kappa * AID_MAX((double)block->mad_sigma[i], AID_MAX(job->floor, 0.0)));
    if (job->floor >= 0.0)
        aid_combine_block_sum(block, kappa, false);
    for (int i = 0; i < block->lanes; i++) {
        int kept = job->floor >= 0.0 ? block->kept[i] : block->finite[i];
        double sigma = (double)block->mad_sigma[i], level = (double)block->median[i];
        if (kept >= 2 && job->floor >= 0.0) {
            /* The mean of normal values is independent of their scatter; their median is not. */
            double shift = block->deviation[i] / (double)kept;
            double sum = block->square[i] - (double)kept * shift * shift;
            sigma = sqrt(AID_MAX(sum, 0.0) / (double)(kept - 1)) / cut;
            level += shift;
        }
        job->level[at + i] = kept >= 2 ? (float)level : NAN;
        job->sigma[at + i] = kept >= 2 ? (float)sigma : NAN;
        job->degree[at + i] = (float)(kept - 1);
    }
}

static aid_status sample_row(void *context, int64_t task, int worker, aid_error *err)
{
    sampling *job = context;
    aid_combine_rows *rows = &job->workers[worker];
    int32_t width = job->frames->width;
    int32_t y = (int32_t)(((2 * task + 1) * job->frames->height) / (2 * job->rows));
    AID_TRY(aid_combine_rows_read(rows, y, 1, err));
    for (int32_t x = 0; x < width; x += AID_COMBINE_LANES) {
        aid_combine_rows_load(rows, 1, x, AID_MIN(AID_COMBINE_LANES, width - x));
        sample_block(job, &rows->block, task * width + x);
    }
    return AID_OK;
}

/* ----------------------------------------------------------------------------------- the model */

/* A pixel of the sample; the variance is over the median of its distribution, so that medians of it
 * are without bias. */
typedef struct sample {
    float level, variance, degree;
} sample;

static int by_level(const void *a, const void *b)
{
    const sample *x = a, *y = b;
    if (x->level != y->level)
        return x->level < y->level ? -1 : 1;
    return (x->variance > y->variance) - (x->variance < y->variance);
}

static int64_t gather(const sampling *job, int64_t count, sample *samples)
{
    int64_t n = 0;
    for (int64_t i = 0; i < count; i++) {
        if (isnan(job->sigma[i]) || !(job->degree[i] > 0.0f))
            continue;
        double sigma = (double)job->sigma[i], degree = (double)job->degree[i];
        double variance = sigma * sigma / aid_chi_square_quantile(degree, 0.0);
        samples[n++] = (sample){job->level[i], (float)variance, job->degree[i]};
    }
    qsort(samples, (size_t)n, sizeof *samples, by_level);
    return n;
}

static double median_variance(const sample *samples, int64_t count, float *scratch)
{
    for (int64_t i = 0; i < count; i++)
        scratch[i] = samples[i].variance;
    return aid_median_in_place(scratch, count);
}

/* Of a straight line through the pivot and the medians of groups of pixels of similar level, which
 * grow from the extreme inwards: each weighted by how well a median of so many is known. Never
 * negative, and 0 where no group is well off the pivot. */
static double slope_of(const sample *samples, int64_t count, const aid_combine_noise *noise,
                       bool upper, float *scratch)
{
    double numerator = 0.0, denominator = 0.0, least = 5.0 * sqrt(noise->base);
    int64_t begin = 0, size = LEAST_GROUP;
    for (; begin + size <= count / 2; begin += size, size += size / 2) {
        const sample *group = upper ? samples + count - begin - size : samples + begin;
        double off = (double)group[size / 2].level - noise->pivot;
        if (!((upper ? off : -off) > least))
            break;
        double variance = median_variance(group, size, scratch);
        double weight = (double)size / (AID_MAX(variance, 0.1 * noise->base) *
                                        AID_MAX(variance, 0.1 * noise->base));
        numerator += weight * off * (variance - noise->base);
        denominator += weight * off * off;
    }
    return denominator > 0.0 ? AID_MAX(numerator / denominator, 0.0) : 0.0;
}

/* The cube root of chi^2/n is nearly normal with variance 2/(9n): what the pixels scatter more than
 * that tells how far apart their true variances lie, and so what the model is worth. */
static double freedom_of(const sample *samples, int64_t count, const aid_combine_noise *noise,
                         float *scratch)
{
    enum { MOST = 100 }; /* so that a pixel's own scatter always has a say */
    double expected = 0.0;
    for (int64_t i = 0; i < count; i++) {
        double model = aid_combine_noise_variance(noise, (double)samples[i].level);
        scratch[i] = (float)cbrt((double)samples[i].variance / model);
        expected += 2.0 / (9.0 * (double)samples[i].degree * (double)count);
    }
    double sigma = aid_robust_in_place(scratch, count).sigma;
    double excess = AID_MAX(sigma * sigma - 1.03 * expected, 0.0);
    return AID_MIN(2.0 / (9.0 * AID_MAX(excess, 1e-9)), (double)MOST);
}

static aid_combine_noise fit_model(const sample *samples, int64_t count, float *scratch)
{
    aid_combine_noise noise = {0};
    if (count < LEAST_GROUP)
        return noise;
    int64_t tenth = count / 10;
    noise.pivot = (double)samples[count / 2].level;
    noise.base = median_variance(samples + 4 * tenth, 2 * tenth, scratch);
    if (!(noise.base > 0.0)) /* integers hide it */
        return noise;
    noise.slope_above = slope_of(samples, count, &noise, true, scratch);
    noise.slope_below = slope_of(samples, count, &noise, false, scratch);
    noise.freedom = freedom_of(samples, count, &noise, scratch);
    return noise;
}

/* The sigma of most pixels. Of whole numbers with little noise most MADs are 0: then it is the
 * standard deviation of most pixels, for outliers are in few of them. */
static aid_status find_floor(sampling *job, aid_pool *pool, aid_error *err)
{
    int64_t count = (int64_t)job->rows * job->frames->width;
    job->floor = -1.0;
    AID_TRY(aid_pool_run(pool, job->rows, sample_row, job, err));
    double floor = aid_median_of(job->sigma, count);
    if (!(floor > 0.0)) {
        job->floor = 1e30;
        AID_TRY(aid_pool_run(pool, job->rows, sample_row, job, err));
        floor = aid_median_of(job->sigma, count);
    }
    job->floor = AID_MAX(isnan(floor) ? 0.0 : floor, job->options->least_sigma);
    return AID_OK;
}

static aid_status run_sample(sampling *job, aid_pool *pool, sample *room, float *scratch,
                             aid_combine_noise *ret_noise, aid_error *err)
{
    int64_t count = (int64_t)job->rows * job->frames->width;
    for (int w = 0; w < aid_pool_threads(pool); w++)
        AID_TRY(aid_combine_rows_init(job->frames, job->options, 1, &job->workers[w], err));
    AID_TRY(find_floor(job, pool, err));
    AID_TRY(aid_pool_run(pool, job->rows, sample_row, job, err));
    int64_t samples = gather(job, count, room);
    *ret_noise = fit_model(room, samples, scratch);
    return AID_OK;
}

aid_status aid_combine_measure_noise(const aid_frame_rows *frames,
                                     const aid_combine_options *options, aid_pool *pool,
                                     aid_combine_noise *ret_noise, aid_error *err)
{
    sampling job = {.frames = frames, .options = options};
    job.rows = AID_MIN(frames->height, AID_MAX(SAMPLE_PIXELS / frames->width, 1));
    size_t count = (size_t)job.rows * (size_t)frames->width;
    int threads = aid_pool_threads(pool);
    AID_CLEANUP(aid_free_pointer)
    float *samples = NULL;
    AID_TRY(aid_new_buffer(4 * count, sizeof *samples, "noise sample", &samples, err));
    AID_TRY(aid_new_array((size_t)threads, sizeof *job.workers, "noise sample", &job.workers, err));
    job.level = samples;
    job.sigma = samples + count;
    job.degree = samples + 2 * count;
    AID_CLEANUP(aid_free_pointer)
    sample *room = NULL;
    aid_status status = aid_new_buffer(count, sizeof *room, "noise sample", &room, err);
    if (status == AID_OK)
        status = run_sample(&job, pool, room, samples + 3 * count, ret_noise, err);
    for (int w = 0; w < threads; w++)
        aid_combine_rows_done(&job.workers[w]);
    free(job.workers);
    return status;
}
