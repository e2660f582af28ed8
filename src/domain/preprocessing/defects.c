/* Pixels that were never sky: blanks, padding, bad columns and rows. */
#include "core/base/memory.h"
#include "core/imaging/stats.h"
#include "domain/preprocessing/prepare_internal.h"

#include <stdlib.h>
#include <string.h>

/* -------------------------------------------------------------------------------------- blanks */

/* Some programs write huge numbers for pixels that they do not know; no detector counts that far.
 */
static const float least_blank = 1e30f;

typedef struct blank_job {
    const aid_image *image;
    aid_mask *mask;
    float flat_value; /* of padding */
    int64_t *flat;    /* of each band: pixels within flat 3 x 3 areas */
    float *values;    /* of each band: a value of such an area */
} blank_job;

static aid_status mask_missing_band(void *context, int64_t band, int worker, aid_error *err)
{
    (void)worker;
    (void)err;
    const blank_job *job = context;
    int64_t begin, end;
    aid_band_range(job->image->height, AID_PREPARE_BAND, band, &begin, &end);
    for (int32_t y = (int32_t)begin; y < end; y++) {
        const float *row = aid_image_row(job->image, y);
        uint8_t *mask = aid_mask_row(job->mask, y);
        for (int32_t x = 0; x < job->image->width; x++)
            mask[x] = (uint8_t)(mask[x] | (fabsf(row[x]) < least_blank ? 0 : AID_MASK_NO_DATA));
    }
    return AID_OK;
}

AID_HOT static void mark_flat_row(const float *restrict above, const float *restrict row,
                                  const float *restrict below, int32_t width,
                                  uint8_t *restrict flat)
{
    for (int32_t x = 1; x < width - 1; x++) {
        float v = row[x];
        int same = (above[x] == v) & (below[x] == v) & (row[x - 1] == v) & (row[x + 1] == v) &
                   (above[x - 1] == v) & (above[x + 1] == v) & (below[x - 1] == v) &
                   (below[x + 1] == v);
        flat[x] = (uint8_t)same;
    }
}

static void mark_flat_line(const aid_image *image, int32_t y, uint8_t *flat)
{
    memset(flat, 0, (size_t)image->width);
    if (y > 0 && y < image->height - 1)
        mark_flat_row(aid_image_row(image, y - 1), aid_image_row(image, y),
                      aid_image_row(image, y + 1), image->width, flat);
}

static aid_status count_flat_band(void *context, int64_t band, int worker, aid_error *err)
{
    (void)worker;
    const blank_job *job = context;
    AID_CLEANUP(aid_free_pointer)
    uint8_t *flat = NULL;
    AID_TRY(aid_new_buffer((size_t)job->image->width, 1, "row", &flat, err));
    int64_t begin, end, count = 0;
    aid_band_range(job->image->height, AID_PREPARE_BAND, band, &begin, &end);
    for (int32_t y = (int32_t)begin; y < end; y++) {
        const float *row = aid_image_row(job->image, y);
        mark_flat_line(job->image, y, flat);
        for (int32_t x = 0; x < job->image->width; x++)
            if (flat[x]) {
                job->values[band] = row[x];
                count++;
            }
    }
    job->flat[band] = count;
    return AID_OK;
}

/* A pixel that equals the padding and has three neighbours in its row or column that do, too. */
static bool is_padding(const aid_image *image, int32_t x, int32_t y, float value)
{
    int equal = 0;
    for (int32_t j = AID_MAX(y - 1, 0); j <= AID_MIN(y + 1, image->height - 1); j++)
        for (int32_t i = AID_MAX(x - 1, 0); i <= AID_MIN(x + 1, image->width - 1); i++)
            equal += aid_image_row(image, j)[i] == value ? 1 : 0;
    return equal >= 4;
}

static aid_status mask_padding_band(void *context, int64_t band, int worker, aid_error *err)
{
    (void)worker;
    (void)err;
    const blank_job *job = context;
    int64_t begin, end;
    aid_band_range(job->image->height, AID_PREPARE_BAND, band, &begin, &end);
    for (int32_t y = (int32_t)begin; y < end; y++) {
        const float *row = aid_image_row(job->image, y);
        uint8_t *mask = aid_mask_row(job->mask, y);
        for (int32_t x = 0; x < job->image->width; x++)
            if (row[x] == job->flat_value && is_padding(job->image, x, y, row[x]))
                mask[x] |= AID_MASK_NO_DATA;
    }
    return AID_OK;
}

/* The value shared by most of the bands' flat areas, when they are all the same one, else NaN:
 * padding has one value, coarse digitisation and saturation have several or are not below the sky.
 */
static float padding_value(const blank_job *job, int64_t bands, int64_t pixels)
{
    int64_t count = 0;
    float value = NAN;
    for (int64_t i = 0; i < bands; i++) {
        if (job->flat[i] == 0)
            continue;
        if (count > 0 && job->values[i] != value)
            return NAN;
        value = job->values[i];
        count += job->flat[i];
    }
    return count * 1000 >= pixels ? value : NAN;
}

/* Padding lies at or below most of the sound pixels; saturated cores do not. */
static bool lies_low(const aid_image *image, float value)
{
    int64_t below = 0, above = 0;
    for (int32_t y = 0; y < image->height; y += AID_MAX(image->height / 64, 1))
        for (int32_t x = 0; x < image->width; x += AID_MAX(image->width / 64, 1)) {
            float at = aid_image_row(image, y)[x];
            below += at < value ? 1 : 0;
            above += at > value ? 1 : 0;
        }
    return above > 0 && below <= 4 * above;
}

aid_status aid_prepare_mask_blanks(const aid_image *image, aid_mask *mask, aid_pool *pool,
                                   aid_error *err)
{
    int64_t bands = aid_band_count(image->height, AID_PREPARE_BAND);
    AID_CLEANUP(aid_free_pointer)
    int64_t *flat = NULL;
    AID_CLEANUP(aid_free_pointer)
    float *values = NULL;
    AID_TRY(aid_new_array((size_t)bands, sizeof *flat, "bands", &flat, err));
    AID_TRY(aid_new_array((size_t)bands, sizeof *values, "bands", &values, err));
    blank_job job = {.image = image, .mask = mask, .flat = flat, .values = values};
    AID_TRY(aid_pool_run(pool, bands, mask_missing_band, &job, err));
    AID_TRY(aid_pool_run(pool, bands, count_flat_band, &job, err));
    job.flat_value = padding_value(&job, bands, (int64_t)image->width * image->height);
    if (isnan(job.flat_value) || !lies_low(image, job.flat_value))
        return AID_OK;
    return aid_pool_run(pool, bands, mask_padding_band, &job, err);
}

/* ------------------------------------------------------------------------------ columns and rows
 */

enum { PIECE = 256, WINDOW = 8 /* neighbours on either side */ };
static const float clip_at = 3.0f;           /* sigma */
static const double least_deviation = 0.75;  /* sigma of a pixel, of the mean over a piece */
static const double least_significance = 10; /* against the scatter of the other lines */
static const double least_variance = 1e-4;   /* of a constant line: its logarithm must be finite */
static const double dead_variance = 0.1, wild_variance = 3.0; /* against the neighbours' */

/* Sums over one piece of a line, of pixels in units of the noise and clipped. */
typedef struct line_sums {
    float count, sum, squares;
} line_sums;

typedef struct line_job {
    const aid_image *image;
    aid_mask *mask;
    const aid_mesh *background, *noise;
    line_sums *columns, *rows; /* [bands][width], [height][pieces] */
    uint8_t *bad_columns, *bad_rows;
    int32_t pieces;
} line_job;

AID_HOT static void normalise_row(const float *restrict row, const uint8_t *restrict mask,
                                  const float *restrict level, const float *restrict sigma,
                                  int32_t width, float *restrict value, float *restrict weight)
{
    for (int32_t x = 0; x < width; x++) {
        float z = (row[x] - level[x]) / sigma[x];
        int sound = (mask[x] == 0) & (z - z == 0.0f);
        z = z < clip_at ? z : clip_at;
        z = z > -clip_at ? z : -clip_at;
        value[x] = sound ? z : 0.0f;
        weight[x] = sound ? 1.0f : 0.0f;
    }
}

AID_HOT static void add_to_columns(const float *restrict value, const float *restrict weight,
                                   int32_t width, line_sums *restrict columns)
{
    for (int32_t x = 0; x < width; x++) {
        columns[x].count += weight[x];
        columns[x].sum += value[x];
        columns[x].squares += value[x] * value[x];
    }
}

static line_sums sum_piece(const float *value, const float *weight, int64_t begin, int64_t end)
{
    line_sums sums = {0};
    for (int64_t x = begin; x < end; x++) {
        sums.count += weight[x];
        sums.sum += value[x];
        sums.squares += value[x] * value[x];
    }
    return sums;
}

static aid_status sum_line_band(void *context, int64_t band, int worker, aid_error *err)
{
    (void)worker;
    const line_job *job = context;
    int32_t width = job->image->width;
    AID_CLEANUP(aid_free_pointer)
    float *buffers = NULL;
    AID_TRY(aid_new_buffer((size_t)width * 4, sizeof(float), "rows", &buffers, err));
    float *level = buffers, *sigma = level + width, *value = sigma + width, *weight = value + width;
    int64_t begin, end;
    aid_band_range(job->image->height, PIECE, band, &begin, &end);
    for (int32_t y = (int32_t)begin; y < end; y++) {
        aid_mesh_row(job->background, y, level);
        aid_mesh_row(job->noise, y, sigma);
        normalise_row(aid_image_row(job->image, y), aid_mask_row(job->mask, y), level, sigma, width,
                      value, weight);
        add_to_columns(value, weight, width, job->columns + band * width);
        for (int32_t piece = 0; piece < job->pieces; piece++) {
            int64_t first, last;
            aid_band_range(width, PIECE, piece, &first, &last);
            job->rows[(int64_t)y * job->pieces + piece] = sum_piece(value, weight, first, last);
        }
    }
    return AID_OK;
}

/* Median of the 2 WINDOW + 1 lines nearest to i, `step` apart, as far as there are so many. */
static double usual_around(const float *from, int32_t count, int32_t i, int32_t step)
{
    float sorted[2 * WINDOW + 1];
    int32_t phase = i % step, lines = (count - phase + step - 1) / step;
    int32_t items = AID_MIN(2 * WINDOW + 1, lines);
    int32_t first = AID_CLAMP(i / step - WINDOW, 0, lines - items);
    for (int32_t k = 0; k < items; k++)
        sorted[k] = from[phase + (first + k) * step];
    return aid_median_in_place(sorted, items);
}

/* values[i] minus that of the lines around it or of every other line around it, whichever is
 * nearer: colour mosaics and readouts of two amplifiers have lines of two kinds. */
static void deviations(const float *from, int32_t count, float *values)
{
    for (int32_t i = 0; i < count; i++) {
        double all = (double)from[i] - usual_around(from, count, i, 1);
        double other = (double)from[i] - usual_around(from, count, i, 2);
        values[i] = (float)(fabs(other) < fabs(all) ? other : all);
    }
}

/* Marks lines that deviate by more than `least` and by ten times what lines usually do: a pattern
 * that runs through the whole image is none of their fault. `scratch`: 2 count. */
static void mark_outliers(const float *from, int32_t count, double least_low, double least_high,
                          float *scratch, int64_t stride, uint8_t *bad)
{
    float *deviation = scratch, *sorted = scratch + count;
    deviations(from, count, deviation);
    memcpy(sorted, deviation, (size_t)count * sizeof *sorted);
    double limit = least_significance * aid_robust_in_place(sorted, count).sigma;
    for (int32_t i = 0; i < count; i++) {
        double value = (double)deviation[i];
        if (value > AID_MAX(least_high, limit) || value < -AID_MAX(least_low, limit))
            bad[i * stride] = 1;
    }
}

/* Which of `count` lines (`stride` apart) differ from those around them. `scratch`: 3 count. */
static void judge_lines(const line_sums *lines, int64_t stride, int32_t count, float *scratch,
                        uint8_t *bad)
{
    double fullest = 1.0;
    for (int32_t i = 0; i < count; i++)
        fullest = AID_MAX(fullest, (double)lines[i * stride].count);
    for (int pass = 0; pass < 2; pass++) { /* means, then logarithms of variances */
        for (int32_t i = 0; i < count; i++) {
            const line_sums *line = &lines[i * stride];
            bool enough = (double)line->count >= 0.5 * fullest && line->count >= 32.0f;
            double mean = (double)(line->sum / line->count);
            double variance = (double)(line->squares / line->count) - mean * mean;
            double value = pass == 0 ? mean : log(AID_MAX(variance, least_variance));
            scratch[i] = enough ? (float)value : NAN;
        }
        double least = AID_MAX(least_deviation, 8.0 / sqrt(fullest));
        mark_outliers(scratch, count, pass == 0 ? least : -log(dead_variance),
                      pass == 0 ? least : log(wild_variance), scratch + count, stride, bad);
    }
}

static aid_status mark_line_band(void *context, int64_t band, int worker, aid_error *err)
{
    (void)worker;
    (void)err;
    const line_job *job = context;
    const uint8_t *columns = job->bad_columns + band * job->image->width;
    int64_t begin, end;
    aid_band_range(job->image->height, PIECE, band, &begin, &end);
    for (int32_t y = (int32_t)begin; y < end; y++) {
        const uint8_t *rows = job->bad_rows + (int64_t)y * job->pieces;
        uint8_t *mask = aid_mask_row(job->mask, y);
        for (int32_t x = 0; x < job->image->width; x++)
            if (columns[x] || rows[x / PIECE])
                mask[x] |= AID_MASK_BAD;
    }
    return AID_OK;
}

static int count_marks(const uint8_t *marks, int64_t count)
{
    int sum = 0;
    for (int64_t i = 0; i < count; i++)
        sum += marks[i];
    return sum;
}

aid_status aid_prepare_mask_lines(const aid_image *image, aid_mask *mask,
                                  const aid_mesh *background, const aid_mesh *noise, aid_pool *pool,
                                  int *ret_columns, int *ret_rows, aid_error *err)
{
    int32_t width = image->width, height = image->height;
    int64_t bands = aid_band_count(height, PIECE);
    line_job job = {.image = image, .mask = mask, .background = background, .noise = noise};
    job.pieces = (int32_t)aid_band_count(width, PIECE);
    int64_t columns = bands * width, rows = (int64_t)height * job.pieces;
    AID_CLEANUP(aid_free_pointer)
    line_sums *sums = NULL;
    AID_CLEANUP(aid_free_pointer)
    uint8_t *bad = NULL;
    AID_CLEANUP(aid_free_pointer)
    float *scratch = NULL;
    AID_TRY(aid_new_array((size_t)(columns + rows), sizeof *sums, "line sums", &sums, err));
    AID_TRY(aid_new_array((size_t)(columns + rows), 1, "line marks", &bad, err));
    AID_TRY(aid_new_buffer((size_t)AID_MAX(width, height) * 3, sizeof *scratch, "line means",
                           &scratch, err));
    job.columns = sums;
    job.rows = sums + columns;
    job.bad_columns = bad;
    job.bad_rows = bad + columns;
    AID_TRY(aid_pool_run(pool, bands, sum_line_band, &job, err));
    for (int64_t band = 0; band < bands; band++)
        judge_lines(job.columns + band * width, 1, width, scratch, job.bad_columns + band * width);
    for (int32_t piece = 0; piece < job.pieces; piece++)
        judge_lines(job.rows + piece, job.pieces, height, scratch, job.bad_rows + piece);
    *ret_columns = count_marks(job.bad_columns, columns);
    *ret_rows = count_marks(job.bad_rows, rows);
    if (*ret_columns + *ret_rows == 0)
        return AID_OK;
    return aid_pool_run(pool, bands, mark_line_band, &job, err);
}
