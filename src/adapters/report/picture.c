#include "adapters/report/picture.h"

#include "core/base/memory.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------------------------- palettes */

static uint8_t mix(uint8_t from, uint8_t to, double weight)
{
    return (uint8_t)lround((1.0 - weight) * from + weight * to);
}

static aid_colour blend(aid_colour from, aid_colour to, double weight)
{
    return (aid_colour){mix(from.red, to.red, weight), mix(from.green, to.green, weight),
                        mix(from.blue, to.blue, weight)};
}

/* A colour on the broken line through `stops`, evenly spaced, at 0..1. */
static aid_colour along(const aid_colour *stops, int count, double at)
{
    double position = at * (count - 1);
    int below = AID_MIN((int)position, count - 2);
    return blend(stops[below], stops[below + 1], position - below);
}

static void fill_palette(const aid_colour *stops, int count, aid_palette *palette)
{
    const aid_colour veil = {150, 84, 176};
    palette->count = AID_LEVELS;
    for (int i = 0; i < AID_LEVELS_SOUND; i++)
        palette->colours[i] = along(stops, count, (double)i / (AID_LEVELS_SOUND - 1));
    for (int i = 0; i < AID_LEVELS_VEILED; i++) {
        aid_colour bare = along(stops, count, (double)i / (AID_LEVELS_VEILED - 1));
        palette->colours[AID_LEVELS_SOUND + i] = blend(bare, veil, 0.42);
    }
    palette->colours[AID_LEVEL_NO_DATA] = (aid_colour){62, 40, 76};
}

void aid_palette_grey(aid_palette *ret_palette)
{
    static const aid_colour stops[] = {{5, 6, 9}, {255, 255, 255}};
    fill_palette(stops, AID_COUNT_OF(stops), ret_palette);
}

void aid_palette_diverging(aid_palette *ret_palette)
{
    static const aid_colour stops[] = {{222, 243, 255}, {86, 180, 233}, {16, 92, 156},
                                       {10, 12, 17},    {166, 84, 0},   {240, 165, 20},
                                       {255, 245, 208}};
    fill_palette(stops, AID_COUNT_OF(stops), ret_palette);
}

/* ------------------------------------------------------------------------------- display limits */

static int compare_floats(const void *a, const void *b)
{
    float x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return (x > y) - (x < y);
}

typedef struct line {
    double intercept, slope;
} line;

/* Least squares of value against rank over the ranks that are not rejected. */
static line fit_line(const float *sorted, const uint8_t *rejected, int64_t count)
{
    double n = 0.0, sum_x = 0.0, sum_y = 0.0, sum_xx = 0.0, sum_xy = 0.0;
    double middle = 0.5 * (double)(count - 1), pedestal = (double)sorted[count / 2];
    for (int64_t i = 0; i < count; i++) {
        if (rejected[i])
            continue;
        double x = (double)i - middle, y = (double)sorted[i] - pedestal;
        n += 1.0;
        sum_x += x;
        sum_y += y;
        sum_xx += x * x;
        sum_xy += x * y;
    }
    double determinant = n * sum_xx - sum_x * sum_x;
    double slope = determinant > 0.0 ? (n * sum_xy - sum_x * sum_y) / determinant : 0.0;
    double at_middle = pedestal + (sum_y - slope * sum_x) / n;
    return (line){at_middle - slope * middle, slope};
}

/* Marks what lies beyond 2.5 standard deviations of the fit, and one per cent of the ranks around
 * it; returns how many are left. `scratch` holds the old marks. */
static int64_t reject_outliers(const float *sorted, int64_t count, line fit, uint8_t *rejected,
                               uint8_t *scratch)
{
    double sum = 0.0, squares = 0.0;
    int64_t used = 0;
    for (int64_t i = 0; i < count; i++) {
        double residual = (double)sorted[i] - fit.intercept - fit.slope * (double)i;
        if (rejected[i])
            continue;
        sum += residual;
        squares += residual * residual;
        used++;
    }
    double mean = sum / (double)used;
    double limit = 2.5 * sqrt(AID_MAX(squares / (double)used - mean * mean, 0.0));
    for (int64_t i = 0; i < count; i++) {
        double residual = (double)sorted[i] - fit.intercept - fit.slope * (double)i;
        scratch[i] = rejected[i] || fabs(residual) > limit;
    }
    int64_t grow = AID_MAX((int64_t)1, count / 100), left = 0;
    for (int64_t i = 0; i < count; i++) {
        int64_t begin = AID_MAX((int64_t)0, i - grow / 2);
        int64_t end = AID_MIN(count - 1, i + (grow - 1) / 2);
        rejected[i] = memchr(scratch + begin, 1, (size_t)(end - begin + 1)) != NULL;
        left += !rejected[i];
    }
    return left;
}

bool aid_zscale(float *samples, int64_t count, double contrast, double *ret_low, double *ret_high)
{
    int64_t finite = 0;
    for (int64_t i = 0; i < count; i++)
        if (isfinite(samples[i]))
            samples[finite++] = samples[i];
    *ret_low = 0.0;
    *ret_high = 1.0;
    AID_CLEANUP(aid_free_pointer)
    uint8_t *marks = NULL;
    if (finite == 0 || aid_new_array((size_t)finite, 2, "zscale", &marks, NULL) != AID_OK)
        return false;
    qsort(samples, (size_t)finite, sizeof *samples, compare_floats);

    int64_t least = AID_MAX((int64_t)5, finite / 2), left = finite, before = finite + 1;
    line fit = {0};
    for (int pass = 0; pass < 5 && left < before && left >= least; pass++) {
        fit = fit_line(samples, marks, finite);
        before = left;
        left = reject_outliers(samples, finite, fit, marks, marks + finite);
    }
    double lowest = (double)samples[0], highest = (double)samples[finite - 1];
    *ret_low = lowest;
    *ret_high = highest;
    if (left >= least) {
        double slope = fit.slope / contrast;
        int64_t centre = (finite - 1) / 2;
        double median = 0.5 * ((double)samples[centre] + (double)samples[finite / 2]);
        *ret_low = AID_MAX(lowest, median - (double)(centre - 1) * slope);
        *ret_high = AID_MIN(highest, median + (double)(finite - centre) * slope);
    }
    return true;
}

int64_t aid_sample_grid(const aid_image *image, const aid_mask *veiled, const aid_image *gate,
                        int64_t max_samples, float *samples)
{
    int64_t pixels = (int64_t)image->width * image->height, taken = 0;
    int32_t step = (int32_t)ceil(sqrt((double)pixels / (double)max_samples));
    step = AID_MAX(step, 1);
    for (int32_t y = step / 2; y < image->height; y += step)
        for (int32_t x = step / 2; x < image->width && taken < max_samples; x += step) {
            float value = aid_image_row(image, y)[x];
            bool is_gated = gate && !isfinite(aid_image_row(gate, y)[x]);
            if (isfinite(value) && !is_gated && !(veiled && aid_mask_row(veiled, y)[x]))
                samples[taken++] = value;
        }
    return taken;
}

aid_stretch aid_stretch_of_samples(float *samples, int64_t count)
{
    aid_stretch stretch = {0.0, 1.0, 1.0};
    if (!aid_zscale(samples, count, 0.25, &stretch.low, &stretch.high))
        return stretch; /* nothing to show: any limits will do */
    double span = stretch.high - stretch.low;
    if (!(span > 0.0))
        span = AID_MAX(fabs(stretch.low) * 1e-3, 1e-6);
    /* aid_zscale has sorted the samples. */
    double brightest = (double)samples[AID_MAX((int64_t)0, (count - 1) * 999 / 1000)];
    stretch.soft = span / 2.0;
    stretch.high = AID_MAX(stretch.low + 2.5 * span, brightest); /* plain sky stays dark */
    return stretch;
}

/* ------------------------------------------------------------------------------------- painting */

static uint8_t level_of(double brightness, bool is_veiled)
{
    double t = AID_CLAMP(brightness, 0.0, 1.0);
    return is_veiled ? (uint8_t)(AID_LEVELS_SOUND + lround(t * (AID_LEVELS_VEILED - 1)))
                     : (uint8_t)lround(t * (AID_LEVELS_SOUND - 1));
}

void aid_paint_grey(const aid_image *image, const aid_mask *veiled, const aid_stretch *stretch,
                    aid_picture *picture)
{
    float low = (float)stretch->low, inverse = (float)(1.0 / stretch->soft);
    double whole = asinh((stretch->high - stretch->low) / stretch->soft);
    for (int32_t y = 0; y < image->height; y++) {
        const float *row = aid_image_row(image, y);
        uint8_t *out = picture->pixels + (size_t)(image->height - 1 - y) * (size_t)image->width;
        for (int32_t x = 0; x < image->width; x++) {
            float u = fmaxf((row[x] - low) * inverse, 0.0F); /* NaN becomes 0: replaced below */
            double t = (double)logf(u + sqrtf(u * u + 1.0F)) / whole;
            out[x] = isfinite(row[x]) ? level_of(t, veiled && aid_mask_row(veiled, y)[x])
                                      : (uint8_t)AID_LEVEL_NO_DATA;
        }
    }
}

void aid_paint_diverging(const aid_image *image, const aid_mask *veiled, double limit,
                         aid_picture *picture)
{
    for (int32_t y = 0; y < image->height; y++) {
        const float *row = aid_image_row(image, y);
        uint8_t *out = picture->pixels + (size_t)(image->height - 1 - y) * (size_t)image->width;
        for (int32_t x = 0; x < image->width; x++) {
            double t = 0.5 + 0.5 * (double)row[x] / limit;
            out[x] = isfinite(row[x]) ? level_of(t, veiled && aid_mask_row(veiled, y)[x])
                                      : (uint8_t)AID_LEVEL_NO_DATA;
        }
    }
}

/* --------------------------------------------------------------------------------- box averages */

enum { SHRINK_BAND = 16 };

/* Sums of one output row, one for each input column. */
typedef struct column_sums {
    float *sound, *sound_count, *finite, *finite_count;
} column_sums;

typedef struct shrink_job {
    const aid_shrink_input *input;
    aid_shrunk *shrunk;
    float *scratch; /* four rows for each worker */
} shrink_job;

/* float32 is enough: at most 73 values are added (65536 px to 900) and a picture has 200 levels. */
AID_HOT static void add_row(const float *restrict value, const float *restrict gate,
                            const uint8_t *restrict mask, uint8_t bits, int32_t width,
                            const column_sums *sums)
{
    float *restrict sound = sums->sound, *restrict sound_count = sums->sound_count;
    float *restrict finite = sums->finite, *restrict finite_count = sums->finite_count;
    for (int32_t x = 0; x < width; x++) {
        bool is_finite = fabsf(value[x]) <= FLT_MAX;
        bool is_sound = is_finite & ((mask[x] & bits) == 0) & (gate[x] == gate[x]);
        float v = is_finite ? value[x] : 0.0F;
        finite[x] += v;
        finite_count[x] += is_finite ? 1.0F : 0.0F;
        sound[x] += is_sound ? v : 0.0F;
        sound_count[x] += is_sound ? 1.0F : 0.0F;
    }
}

static double sum_of(const float *values, int32_t begin, int32_t end)
{
    double sum = 0.0;
    for (int32_t x = begin; x < end; x++)
        sum += (double)values[x];
    return sum;
}

/* Columns to blocks: means, counts and the veil of one output row. */
static void finish_row(const column_sums *sums, int32_t width, int32_t rows, int32_t out_y,
                       aid_shrunk *shrunk)
{
    for (int32_t out_x = 0; out_x < shrunk->mean.width; out_x++) {
        int32_t begin = out_x * shrunk->factor;
        int32_t end = AID_MIN(begin + shrunk->factor, width);
        double count = sum_of(sums->sound_count, begin, end);
        double sum = sum_of(sums->sound, begin, end);
        bool is_veiled = 2.0 * count < (double)(end - begin) * rows;
        if (is_veiled) {
            count = sum_of(sums->finite_count, begin, end);
            sum = sum_of(sums->finite, begin, end);
        }
        aid_image_row(&shrunk->mean, out_y)[out_x] = count > 0.0 ? (float)(sum / count) : NAN;
        aid_image_row(&shrunk->count, out_y)[out_x] = (float)count;
        aid_mask_row(&shrunk->veiled, out_y)[out_x] = is_veiled;
    }
}

static aid_status shrink_band(void *context, int64_t band, int worker, aid_error *err)
{
    (void)err;
    shrink_job *job = context;
    const aid_shrink_input *input = job->input;
    int32_t width = input->image->width, height = input->image->height;
    int factor = job->shrunk->factor;
    float *scratch = job->scratch + (int64_t)worker * 5 * width;
    column_sums sums = {scratch, scratch + width, scratch + 2 * (int64_t)width,
                        scratch + 3 * (int64_t)width};
    /* Where there is no mask, the fifth row stands in: its bytes are 0. */
    const uint8_t *no_mask = (const uint8_t *)(scratch + 4 * (int64_t)width);
    int64_t begin, end;
    aid_band_range(job->shrunk->mean.height, SHRINK_BAND, band, &begin, &end);
    for (int32_t out_y = (int32_t)begin; out_y < end; out_y++) {
        memset(scratch, 0, 5 * (size_t)width * sizeof *scratch);
        int32_t first = out_y * factor, last = AID_MIN(first + factor, height);
        for (int32_t y = first; y < last; y++) {
            const float *row = aid_image_row(input->image, y);
            add_row(row, input->gate ? aid_image_row(input->gate, y) : row,
                    input->mask ? aid_mask_row(input->mask, y) : no_mask, input->bits, width,
                    &sums);
        }
        finish_row(&sums, width, last - first, out_y, job->shrunk);
    }
    return AID_OK;
}

aid_status aid_shrink(const aid_shrink_input *input, int max_side, aid_pool *pool,
                      aid_shrunk *ret_shrunk, aid_error *err)
{
    int32_t width = input->image->width, height = input->image->height;
    int factor = (AID_MAX(width, height) + max_side - 1) / max_side;
    factor = AID_MAX(factor, 1);
    AID_CLEANUP(aid_shrunk_done)
    aid_shrunk shrunk = {.factor = factor};
    int32_t out_width = (width + factor - 1) / factor, out_height = (height + factor - 1) / factor;
    AID_TRY(aid_image_init(out_width, out_height, &shrunk.mean, err));
    AID_TRY(aid_image_init(out_width, out_height, &shrunk.count, err));
    AID_TRY(aid_mask_init(out_width, out_height, &shrunk.veiled, err));
    AID_CLEANUP(aid_free_pointer)
    float *scratch = NULL;
    size_t rows = 5 * (size_t)aid_pool_threads(pool);
    AID_TRY(aid_new_buffer(rows * (size_t)width, sizeof *scratch, "report", &scratch, err));
    shrink_job job = {input, &shrunk, scratch};
    AID_TRY(aid_pool_run(pool, aid_band_count(out_height, SHRINK_BAND), shrink_band, &job, err));
    *ret_shrunk = shrunk;
    shrunk = (aid_shrunk){0};
    return AID_OK;
}

void aid_shrunk_done(aid_shrunk *shrunk)
{
    aid_image_done(&shrunk->mean);
    aid_image_done(&shrunk->count);
    aid_mask_done(&shrunk->veiled);
}

/* ------------------------------------------------------------------------------------- cut-outs */

static bool is_unsound(const aid_shrink_input *input, int32_t x, int32_t y)
{
    return (input->mask && (aid_mask_row(input->mask, y)[x] & input->bits)) ||
           (input->gate && isnan(aid_image_row(input->gate, y)[x]));
}

aid_status aid_cut_out(const aid_shrink_input *input, int32_t x, int32_t y, int half, double scale,
                       aid_image *ret_image, aid_mask *ret_veiled, aid_error *err)
{
    int32_t side = 2 * half + 1;
    aid_image cut;
    AID_TRY(aid_image_init(side, side, &cut, err));
    aid_mask veiled;
    aid_status status = aid_mask_init(side, side, &veiled, err);
    if (status != AID_OK) {
        aid_image_done(&cut);
        return status;
    }
    for (int32_t v = 0; v < side; v++)
        for (int32_t u = 0; u < side; u++) {
            int32_t from_x = x - half + u, from_y = y - half + v;
            bool inside = from_x >= 0 && from_y >= 0 && from_x < input->image->width &&
                          from_y < input->image->height;
            aid_image_row(&cut, v)[u] =
                inside ? (float)(scale * (double)aid_image_row(input->image, from_y)[from_x]) : NAN;
            aid_mask_row(&veiled, v)[u] = inside && is_unsound(input, from_x, from_y);
        }
    *ret_image = cut;
    *ret_veiled = veiled;
    return AID_OK;
}
