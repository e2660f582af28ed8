#include "adapters/report/summary.h"

#include "adapters/report/picture.h"
#include "core/base/memory.h"
#include "core/imaging/stats.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const double pi = 3.14159265358979323846;

enum { COUNT_BAND = 64, SAMPLES = 20000 };

/* ------------------------------------------------------------------------------------- counting */

typedef struct histogram_job {
    const aid_image *score;
    double threshold;
    aid_score_histogram *parts; /* one for each band */
} histogram_job;

/* Slots 0 and AID_SCORE_BINS + 1 take what lies outside; NaN fails both comparisons and is told
 * apart first. */
static void count_scores(const float *row, int32_t width, float threshold, int64_t *slots,
                         aid_score_histogram *part)
{
    for (int32_t x = 0; x < width; x++) {
        float value = row[x];
        if (!(fabsf(value) <= FLT_MAX))
            continue;
        float position = (value + (float)AID_SCORE_EDGE) * (float)AID_SCORE_BINS_PER_UNIT;
        int slot = position < 0.0F                     ? 0
                   : position >= (float)AID_SCORE_BINS ? AID_SCORE_BINS + 1
                                                       : (int)position + 1;
        slots[slot]++;
        part->high += value >= threshold;
        part->low += value <= -threshold;
    }
}

static aid_status histogram_band(void *context, int64_t band, int worker, aid_error *err)
{
    (void)worker;
    (void)err;
    histogram_job *job = context;
    aid_score_histogram *part = &job->parts[band];
    int64_t slots[AID_SCORE_BINS + 2] = {0};
    int64_t begin, end;
    aid_band_range(job->score->height, COUNT_BAND, band, &begin, &end);
    for (int32_t y = (int32_t)begin; y < end; y++)
        count_scores(aid_image_row(job->score, y), job->score->width, (float)job->threshold, slots,
                     part);
    part->below = slots[0];
    memcpy(part->bins, slots + 1, sizeof part->bins);
    part->above = slots[AID_SCORE_BINS + 1];
    return AID_OK;
}

aid_status aid_score_histogram_of(const aid_image *score, double threshold, aid_pool *pool,
                                  aid_score_histogram *ret_histogram, aid_error *err)
{
    int64_t bands = aid_band_count(score->height, COUNT_BAND);
    AID_CLEANUP(aid_free_pointer)
    aid_score_histogram *parts = NULL;
    AID_TRY(aid_new_array((size_t)bands, sizeof *parts, "report", &parts, err));
    histogram_job job = {score, threshold, parts};
    AID_TRY(aid_pool_run(pool, bands, histogram_band, &job, err));
    aid_score_histogram sum = {0};
    for (int64_t band = 0; band < bands; band++) {
        const aid_score_histogram *part = &parts[band];
        for (int i = 0; i < AID_SCORE_BINS; i++) {
            sum.bins[i] += part->bins[i];
            sum.total += part->bins[i];
        }
        sum.below += part->below;
        sum.above += part->above;
        sum.low += part->low;
        sum.high += part->high;
    }
    sum.total += sum.below + sum.above;
    *ret_histogram = sum;
    return AID_OK;
}

typedef struct census_job {
    const aid_mask *mask;
    int64_t (*parts)[256];
} census_job;

static aid_status census_band(void *context, int64_t band, int worker, aid_error *err)
{
    (void)worker;
    (void)err;
    census_job *job = context;
    int64_t begin, end;
    aid_band_range(job->mask->height, COUNT_BAND, band, &begin, &end);
    const uint8_t *values = aid_mask_row(job->mask, (int32_t)begin);
    int64_t count = (end - begin) * job->mask->width;
    for (int64_t i = 0; i < count; i++)
        job->parts[band][values[i]]++;
    return AID_OK;
}

aid_status aid_mask_census(const aid_mask *mask, aid_pool *pool, int64_t ret_counts[256],
                           aid_error *err)
{
    int64_t bands = aid_band_count(mask->height, COUNT_BAND);
    AID_CLEANUP(aid_free_pointer)
    int64_t(*parts)[256] = NULL;
    AID_TRY(aid_new_array((size_t)bands, sizeof *parts, "report", &parts, err));
    census_job job = {mask, parts};
    AID_TRY(aid_pool_run(pool, bands, census_band, &job, err));
    memset(ret_counts, 0, 256 * sizeof *ret_counts);
    for (int64_t band = 0; band < bands; band++)
        for (int i = 0; i < 256; i++)
            ret_counts[i] += parts[band][i];
    return AID_OK;
}

/* ----------------------------------------------------------------------------------- statistics */

/* Wilson 1927: the p for which the observed fraction lies z standard errors away. */
aid_interval aid_wilson(int successes, int trials, double z)
{
    if (trials <= 0)
        return (aid_interval){0.0, 1.0};
    double n = trials, p = successes / n, z2 = z * z;
    double centre = (p + z2 / (2.0 * n)) / (1.0 + z2 / n);
    double half = z / (1.0 + z2 / n) * sqrt(p * (1.0 - p) / n + z2 / (4.0 * n * n));
    return (aid_interval){AID_MAX(centre - half, 0.0), AID_MIN(centre + half, 1.0)};
}

/* White noise through a Gaussian of standard deviation s is correlated as exp(-r^2/(4 s^2)), whose
 * curvature is 1/(2 s^2) on each axis; then E = A (2 pi)^(-3/2) / (2 s^2) u exp(-u^2/2). */
double aid_expected_noise_peaks(double area_px, double fwhm_px, double threshold)
{
    double s = fwhm_px / (2.0 * sqrt(2.0 * log(2.0)));
    return area_px / (2.0 * s * s) * pow(2.0 * pi, -1.5) * threshold *
           exp(-0.5 * threshold * threshold);
}

double aid_report_flux_ratio(const aid_photometric_match *match, int32_t width, int32_t height,
                             double x, double y)
{
    double u = (x - width / 2.0) / (width / 2.0), v = (y - height / 2.0) / (height / 2.0);
    const double terms[6] = {1.0, u, v, u * u, u * v, v * v};
    int degree = AID_CLAMP(match->degree, 0, 2), count = (degree + 1) * (degree + 2) / 2;
    double ratio = 0.0;
    for (int i = 0; i < count; i++)
        ratio += match->coefficients[i] * terms[i];
    return ratio;
}

void aid_sexagesimal(double ra_deg, double dec_deg, char ret_ra[16], char ret_dec[16])
{
    ret_ra[0] = ret_dec[0] = '\0';
    if (!(fabs(ra_deg) <= 720.0) || !(fabs(dec_deg) <= 90.0))
        return;
    long long day_ms = 86400000LL;
    long long ra_ms = llround(ra_deg * 240000.0) % day_ms; /* 1 s of time is 15 arcsec */
    ra_ms = (ra_ms + day_ms) % day_ms;
    snprintf(ret_ra, 16, "%02d:%02d:%02d.%03d", (int)(ra_ms / 3600000), (int)(ra_ms / 60000 % 60),
             (int)(ra_ms / 1000 % 60), (int)(ra_ms % 1000));
    long long dec_cas = llround(fabs(dec_deg) * 360000.0); /* hundredths of an arcsec */
    snprintf(ret_dec, 16, "%c%02d:%02d:%02d.%02d", dec_deg < 0.0 && dec_cas > 0 ? '-' : '+',
             (int)(dec_cas / 360000), (int)(dec_cas / 6000 % 60), (int)(dec_cas / 100 % 60),
             (int)(dec_cas % 100));
}

/* -------------------------------------------------------------------------------------- summary */

static aid_calibration judge(const aid_difference *difference)
{
    double off = fabs(difference->score_sigma - 1.0), median = fabs(difference->score_median);
    if (!isfinite(off) || !isfinite(median))
        return AID_CALIBRATION_UNKNOWN;
    if (off <= 0.02 && median <= 0.05)
        return AID_CALIBRATION_GOOD;
    return off <= 0.05 && median <= 0.10 ? AID_CALIBRATION_FAIR : AID_CALIBRATION_POOR;
}

/* Some ten thousand values on an even grid give a median to one per cent of sigma. */
static void measure_depth(const aid_process_result *result, double threshold, float *samples,
                          aid_report_summary *summary)
{
    const aid_difference *difference = &result->difference;
    int64_t count =
        aid_sample_grid(&difference->flux_err, NULL, &difference->score, SAMPLES, samples);
    summary->flux_err = aid_median_in_place(samples, count);
    summary->limit_flux = threshold * summary->flux_err;
    summary->limit_mag = summary->limit_flux > 0.0
                             ? result->science.zero_point - 2.5 * log10(summary->limit_flux)
                             : NAN;
    count = aid_sample_grid(&difference->difference, NULL, &difference->score, SAMPLES, samples);
    summary->difference_sigma = aid_robust_in_place(samples, count).sigma;
}

static void measure_area(const aid_process_result *result, double threshold,
                         aid_report_summary *summary)
{
    const aid_image *image = &result->science.image;
    double arcsec = NAN, searched = (double)summary->histogram.total;
    if (!result->science.wcs ||
        !aid_wcs_pixel_scale(result->science.wcs, 0.5 * image->width, 0.5 * image->height, &arcsec))
        arcsec = NAN;
    summary->pixels = (int64_t)image->width * image->height;
    summary->pixel_arcsec = arcsec;
    summary->searched_arcmin2 = searched * arcsec * arcsec / 3600.0;
    summary->noise_peaks =
        aid_expected_noise_peaks(searched, result->difference.fwhm_px, threshold);
}

aid_status aid_report_summarise(const aid_process_result *result, double threshold, aid_pool *pool,
                                aid_report_summary *ret_summary, aid_error *err)
{
    const aid_difference *difference = &result->difference;
    aid_report_summary summary = {.calibration = judge(difference)};
    AID_TRY(aid_score_histogram_of(&difference->score, threshold, pool, &summary.histogram, err));
    AID_TRY(aid_mask_census(&difference->mask, pool, summary.mask_counts, err));
    AID_CLEANUP(aid_free_pointer)
    float *samples = NULL;
    AID_TRY(aid_new_buffer(SAMPLES, sizeof *samples, "report", &samples, err));
    measure_depth(result, threshold, samples, &summary);
    measure_area(result, threshold, &summary);
    *ret_summary = summary;
    return AID_OK;
}
