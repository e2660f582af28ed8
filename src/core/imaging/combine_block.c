/* Blocks of pixels: read, sorted across the frames, and summed. The pixels of a block lie side by
 * side, so that every step is done to a vector of them at once. */
#include "core/base/memory.h"
#include "core/imaging/combine_internal.h"
#include "core/imaging/stats.h"

#include <math.h>
#include <stdlib.h>

enum { LANES = AID_COMBINE_LANES };

/* --------------------------------------------------------------------------------------- memory */

aid_status aid_combine_block_init(int frames, bool with_variances, aid_combine_block *ret_block,
                                  aid_error *err)
{
    aid_combine_block block = {.frames = frames};
    size_t pixels = (size_t)frames * LANES;
    const char *what = "frames to combine";
    aid_status status = aid_new_buffer(pixels, sizeof(float), what, &block.values, err);
    if (status == AID_OK)
        status = aid_new_buffer(pixels, sizeof(float), what, &block.sorted, err);
    if (status == AID_OK && with_variances)
        status = aid_new_buffer(pixels, sizeof(float), what, &block.variances, err);
    if (status == AID_OK)
        status = aid_new_array(3 * LANES, sizeof(float), what, &block.median, err);
    if (status == AID_OK)
        status = aid_new_array(4 * LANES, sizeof(double), what, &block.weight, err);
    if (status == AID_OK)
        status = aid_new_array(2 * LANES, sizeof(int32_t), what, &block.finite, err);
    if (status != AID_OK) {
        aid_combine_block_done(&block);
        return status;
    }
    block.mad_sigma = block.median + LANES;
    block.half_width = block.median + 2 * LANES;
    block.deviation = block.weight + LANES;
    block.square = block.weight + 2 * LANES;
    block.propagated = block.weight + 3 * LANES;
    block.kept = block.finite + LANES;
    *ret_block = block;
    return AID_OK;
}

void aid_combine_block_done(aid_combine_block *block)
{
    free(block->values);
    free(block->variances);
    free(block->sorted);
    free(block->median);
    free(block->weight);
    free(block->finite);
    *block = (aid_combine_block){0};
}

aid_status aid_combine_rows_init(const aid_frame_rows *frames, const aid_combine_options *options,
                                 int32_t rows, aid_combine_rows *ret_rows, aid_error *err)
{
    bool with_variances = frames->read_variance != NULL;
    aid_combine_rows result = {.frames = frames, .options = options, .rows = rows};
    size_t pixels = (size_t)frames->count * (size_t)rows * (size_t)frames->width;
    aid_status status = aid_combine_block_init(frames->count, with_variances, &result.block, err);
    if (status == AID_OK)
        status = aid_new_buffer(pixels, sizeof(float), "frames to combine", &result.values, err);
    if (status == AID_OK && with_variances)
        status = aid_new_buffer(pixels, sizeof(float), "frames to combine", &result.variances, err);
    if (status != AID_OK) {
        aid_combine_rows_done(&result);
        return status;
    }
    *ret_rows = result;
    return AID_OK;
}

void aid_combine_rows_done(aid_combine_rows *rows)
{
    aid_combine_block_done(&rows->block);
    free(rows->values);
    free(rows->variances);
    *rows = (aid_combine_rows){0};
}

aid_status aid_combine_rows_read(aid_combine_rows *rows, int32_t y, int32_t count, aid_error *err)
{
    const aid_frame_rows *frames = rows->frames;
    int64_t pixels = (int64_t)count * frames->width;
    for (int k = 0; k < frames->count; k++) {
        AID_TRY(frames->read(frames->context, k, y, count, rows->values + k * pixels, err));
        if (rows->variances)
            AID_TRY(frames->read_variance(frames->context, k, y, count,
                                          rows->variances + k * pixels, err));
    }
    return AID_OK;
}

/* -------------------------------------------------------------------------------------- kernels */

/* value*scale + offset; what is not finite becomes +infinity. */
AID_HOT static void load_values(const float *restrict from, int count, double scale, double offset,
                                float *restrict to)
{
    for (int i = 0; i < count; i++) {
        float value = (float)((double)from[i] * scale + offset);
        to[i] = fabsf(value) < INFINITY ? value : INFINITY;
    }
}

AID_HOT static void load_plain(const float *restrict from, int count, float *restrict to)
{
    for (int i = 0; i < count; i++)
        to[i] = fabsf(from[i]) < INFINITY ? from[i] : INFINITY;
}

/* A value of unknown variance has no weight, and so is missing. */
AID_HOT static void load_variances(const float *restrict from, int count, double scale,
                                   float *restrict variances, float *restrict values)
{
    for (int i = 0; i < count; i++) {
        float variance = (float)((double)from[i] * scale * scale);
        bool known = variance > 0.0f && variance < INFINITY;
        variances[i] = known ? variance : INFINITY;
        values[i] = known ? values[i] : INFINITY;
    }
}

AID_HOT static void count_finite(const float *restrict values, int32_t *restrict finite)
{
    for (int i = 0; i < LANES; i++)
        finite[i] += values[i] < INFINITY;
}

AID_HOT static void exchange(float *restrict low, float *restrict high)
{
    for (int i = 0; i < LANES; i++) {
        float a = low[i], b = high[i];
        low[i] = a < b ? a : b;
        high[i] = a < b ? b : a;
    }
}

AID_HOT static void mean_of_rows(const float *restrict a, const float *restrict b,
                                 float *restrict mean)
{
    for (int i = 0; i < LANES; i++) /* halves first: two large values must not overflow */
        mean[i] = 0.5f * a[i] + 0.5f * b[i];
}

/* nearest = min(nearest, the half width about the median of a window low .. high). */
AID_HOT static void narrow_window(const float *restrict median, const float *restrict low,
                                  const float *restrict high, float *restrict nearest)
{
    for (int i = 0; i < LANES; i++) {
        float below = median[i] - low[i], above = high[i] - median[i];
        float half = below > above ? below : above;
        nearest[i] = half < nearest[i] ? half : nearest[i];
    }
}

AID_HOT static void sum_within(const float *restrict values, const float *restrict median,
                               const float *restrict half_width, double *restrict deviation,
                               double *restrict square, int32_t *restrict kept)
{
    for (int i = 0; i < LANES; i++) {
        float d = values[i] - median[i];
        bool keep = fabsf(d) <= half_width[i]; /* infinities fail */
        double kept_d = keep ? (double)d : 0.0;
        deviation[i] += kept_d;
        square[i] += kept_d * kept_d;
        kept[i] += keep;
    }
}

/* The same where each value has a variance: `kappa_squared` of it are allowed at least. */
AID_HOT static void sum_weighted(const float *restrict values, const float *restrict variances,
                                 double kappa_squared, bool weighted,
                                 aid_combine_block *restrict block)
{
    const float *restrict median = block->median, *restrict half_width = block->half_width;
    for (int i = 0; i < LANES; i++) {
        double d = (double)values[i] - (double)median[i], variance = (double)variances[i];
        bool keep = fabs(d) <= (double)half_width[i] || d * d <= kappa_squared * variance;
        keep = keep && fabs(d) < INFINITY && variance < INFINITY;
        double weight = !keep ? 0.0 : weighted ? 1.0 / variance : 1.0;
        double kept_d = keep ? d : 0.0;
        block->weight[i] += weight;
        block->deviation[i] += weight * kept_d;
        block->square[i] += kept_d * kept_d;
        block->propagated[i] += keep ? weight * weight * variance : 0.0;
        block->kept[i] += keep;
    }
}

/* -------------------------------------------------------------------------------------- sorting */

/* Batcher's merge exchange for any number of values (Knuth, The Art of Computer Programming 3,
 * 5.2.2, algorithm M). */
static void sort_lanes(float *block, int n)
{
    int top = 1;
    while (2 * top < n)
        top *= 2;
    for (int p = n > 1 ? top : 0; p > 0; p /= 2) {
        for (int q = top, r = 0, d = p;; d = q - p, q /= 2, r = p) {
            for (int i = 0; i < n - d; i++)
                if ((i & p) == r)
                    exchange(block + (int64_t)i * LANES, block + (int64_t)(i + d) * LANES);
            if (q == p)
                break;
        }
    }
}

static float *row_of(const aid_combine_block *block, int k)
{
    return block->sorted + (int64_t)k * LANES;
}

/* The j-th smallest distance from the median: the narrowest window of j values about it. */
static void nearest_window(const aid_combine_block *block, int j, float *nearest)
{
    for (int i = 0; i < LANES; i++)
        nearest[i] = INFINITY;
    for (int k = 0; k + j <= block->frames; k++)
        narrow_window(block->median, row_of(block, k), row_of(block, k + j - 1), nearest);
}

/* Of a normal sample of so few, the MAD is too small by this factor (Croux & Rousseeuw 1992). */
static double mad_correction(int n)
{
    static const double few[] = {1, 1, 1.196, 1.495, 1.363, 1.206, 1.200, 1.140, 1.129, 1.107};
    return n < (int)AID_COUNT_OF(few) ? few[AID_MAX(n, 0)] : (double)n / ((double)n - 0.8);
}

/* One lane by itself, where values are missing. */
static void describe_lane(aid_combine_block *block, int lane)
{
    int n = block->finite[lane];
    const float *column = block->sorted + lane;
    block->median[lane] = 0.0f;
    block->mad_sigma[lane] = 0.0f;
    if (n == 0)
        return;
    float median =
        0.5f * column[(int64_t)((n - 1) / 2) * LANES] + 0.5f * column[(int64_t)(n / 2) * LANES];
    float nearest[2] = {INFINITY, INFINITY};
    for (int half = 0; half < 2; half++)
        for (int k = 0, j = (n + 1 + half) / 2; k + j <= n; k++) {
            float below = median - column[(int64_t)k * LANES];
            float above = column[(int64_t)(k + j - 1) * LANES] - median;
            nearest[half] = AID_MIN(nearest[half], AID_MAX(below, above));
        }
    if (n % 2)
        nearest[1] = nearest[0];
    block->median[lane] = median;
    block->mad_sigma[lane] = (float)(AID_SIGMA_PER_MAD * mad_correction(n) * 0.5 *
                                     ((double)nearest[0] + (double)nearest[1]));
}

/* All lanes as if no value were missing, then those where one is. */
static void describe_lanes(aid_combine_block *block)
{
    int n = block->frames;
    float nearest[2][LANES];
    mean_of_rows(row_of(block, (n - 1) / 2), row_of(block, n / 2), block->median);
    nearest_window(block, (n + 1) / 2, nearest[0]);
    nearest_window(block, n % 2 ? (n + 1) / 2 : n / 2 + 1, nearest[1]);
    double scale = AID_SIGMA_PER_MAD * mad_correction(n) * 0.5;
    for (int i = 0; i < LANES; i++)
        block->mad_sigma[i] = (float)(scale * ((double)nearest[0][i] + (double)nearest[1][i]));
    for (int i = 0; i < LANES; i++)
        if (block->finite[i] < n)
            describe_lane(block, i);
}

/* ------------------------------------------------------------------------------------- the block
 */

static void load_frame(aid_combine_rows *rows, int k, const float *values, const float *variances,
                       int lanes)
{
    const aid_combine_options *options = rows->options;
    aid_combine_block *block = &rows->block;
    float *to = block->values + (int64_t)k * LANES;
    double scale = options->scale ? options->scale[k] : 1.0;
    if (options->scale || options->offset)
        load_values(values, lanes, scale, options->offset ? options->offset[k] : 0.0, to);
    else
        load_plain(values, lanes, to);
    if (variances)
        load_variances(variances, lanes, scale, block->variances + (int64_t)k * LANES, to);
    for (int i = lanes; i < LANES; i++) {
        to[i] = INFINITY;
        if (variances)
            block->variances[(int64_t)k * LANES + i] = INFINITY;
    }
}

void aid_combine_rows_load(aid_combine_rows *rows, int32_t count, int64_t first, int lanes)
{
    aid_combine_block *block = &rows->block;
    int64_t frame = (int64_t)count * rows->frames->width;
    block->lanes = lanes;
    for (int i = 0; i < LANES; i++)
        block->finite[i] = 0;
    for (int k = 0; k < block->frames; k++) {
        load_frame(rows, k, rows->values + k * frame + first,
                   rows->variances ? rows->variances + k * frame + first : NULL, lanes);
        count_finite(block->values + (int64_t)k * LANES, block->finite);
    }
    for (int64_t i = 0; i < (int64_t)block->frames * LANES; i++)
        block->sorted[i] = block->values[i];
    sort_lanes(block->sorted, block->frames);
    describe_lanes(block);
}

void aid_combine_block_sum(aid_combine_block *block, double kappa, bool weighted)
{
    for (int i = 0; i < LANES; i++) {
        block->weight[i] = block->deviation[i] = block->square[i] = block->propagated[i] = 0.0;
        block->kept[i] = 0;
    }
    for (int k = 0; k < block->frames; k++) {
        int64_t at = (int64_t)k * LANES;
        if (block->variances)
            sum_weighted(block->values + at, block->variances + at, kappa * kappa, weighted, block);
        else
            sum_within(block->values + at, block->median, block->half_width, block->deviation,
                       block->square, block->kept);
    }
    if (!block->variances)
        for (int i = 0; i < LANES; i++)
            block->weight[i] = (double)block->kept[i];
}
