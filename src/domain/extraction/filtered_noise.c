/* The noise of the filtered image, from the filtered image itself: neighbouring pixels of a
 * resampled image are correlated, and clipped cells in a field of stars are a little too noisy.
 * Sources only ever add light, so that the lower flank of the histogram is that of the noise. */
#include "core/base/memory.h"
#include "core/imaging/linalg.h"
#include "domain/extraction/internal.h"

enum { BINS = 200, BANDS = 12, BAND_ROWS = 32, FEWEST_PIXELS = 20000, PASSES = 3 };
static const double lowest = -8.0, bin_width = 0.05;
/* The part of the flank that is fitted, in sigma. */
static const double flank_begin = -2.2, flank_end = 0.3;
/* Beyond this factor the fit is not believed. */
static const double most = 3.0;

typedef struct histogram {
    int64_t counts[BINS];
} histogram;

typedef struct noise_job {
    const aid_field *field;
    const aid_kernel *kernel;
    int bands;
    histogram *histograms;
} noise_job;

static void count_row(const float *row, const float *noise, const uint8_t *mask, int32_t width,
                      double norm, histogram *bins)
{
    for (int32_t x = 0; x < width; x++) {
        double at = ((double)row[x] / (norm * (double)noise[x]) - lowest) / bin_width;
        if (at >= 0.0 && at < BINS && row[x] != 0.0F && !(mask && mask[x] & AID_UNSOUND))
            bins->counts[(int)at]++;
    }
}

static aid_status count_band(void *context, int64_t index, int worker, aid_error *err)
{
    (void)worker;
    noise_job *job = context;
    const aid_field *field = job->field;
    int32_t height = field->image->height, width = field->image->width;
    int32_t rows = AID_MIN(BAND_ROWS, height);
    int32_t first = (int32_t)((int64_t)(height - rows) * index / AID_MAX(job->bands - 1, 1));
    AID_CLEANUP(aid_free_pointer)
    float *filtered = NULL;
    AID_CLEANUP(aid_free_pointer)
    float *noise = NULL;
    AID_TRY(
        aid_new_buffer((size_t)rows * (size_t)width, sizeof *filtered, "sample", &filtered, err));
    AID_TRY(aid_new_buffer((size_t)width, sizeof *noise, "sample", &noise, err));
    AID_TRY(aid_filter_rows(field, job->kernel, first, rows, filtered, err));
    for (int32_t line = 0; line < rows; line++) {
        const uint8_t *mask = field->mask.data ? aid_mask_row(&field->mask, first + line) : NULL;
        aid_field_noise_row(field, first + line, noise);
        count_row(filtered + (int64_t)line * width, noise, mask, width, job->kernel->noise,
                  &job->histograms[index]);
    }
    return AID_OK;
}

/* log N = c - (s - m)^2/(2 sigma^2): a parabola, weighted by the counts, through the flank of a
 * distribution that is about `width` wide. NaN where there is none. */
static double fit_flank(const histogram *bins, double width)
{
    double rows[BINS][3], values[BINS], weights[BINS], solution[3];
    int used = 0;
    for (int i = 0; i < BINS; i++) {
        double s = lowest + (i + 0.5) * bin_width, count = (double)bins->counts[i];
        if (s < flank_begin * width || s > flank_end * width || count < 10.0)
            continue;
        rows[used][0] = 1.0;
        rows[used][1] = s;
        rows[used][2] = s * s;
        values[used] = log(count);
        weights[used++] = count;
    }
    aid_linear_fit fit = {
        .rows = used, .unknowns = 3, .design = &rows[0][0], .values = values, .weights = weights};
    if (used < 8 || aid_least_squares(&fit, solution, NULL, NULL, NULL) != AID_OK)
        return NAN;
    return solution[2] < 0.0 ? sqrt(-0.5 / solution[2]) : NAN;
}

aid_status aid_filtered_noise(const aid_field *field, const aid_kernel *kernel, double *ret_ratio,
                              aid_error *err)
{
    noise_job job = {.field = field, .kernel = kernel};
    job.bands = (int)AID_CLAMP(field->image->height / BAND_ROWS, 1, BANDS);
    AID_CLEANUP(aid_free_pointer)
    histogram *histograms = NULL;
    AID_TRY(aid_new_array((size_t)job.bands, sizeof *histograms, "sample", &histograms, err));
    job.histograms = histograms;
    AID_TRY(aid_pool_run(field->pool, job.bands, count_band, &job, err));
    histogram total = {0};
    int64_t pixels = 0;
    for (int i = 0; i < job.bands; i++)
        for (int k = 0; k < BINS; k++) {
            total.counts[k] += histograms[i].counts[k];
            pixels += histograms[i].counts[k];
        }
    double ratio = pixels >= FEWEST_PIXELS ? 1.0 : NAN;
    for (int pass = 0; pass < PASSES; pass++)
        ratio = fit_flank(&total, ratio);
    *ret_ratio = ratio > 1.0 / most && ratio < most ? ratio : 1.0;
    return AID_OK;
}
