/* The numbers that the report states and that the result does not hold yet. */
#ifndef AID_ADAPTERS_REPORT_SUMMARY_H
#define AID_ADAPTERS_REPORT_SUMMARY_H

#include "core/base/pool.h"
#include "domain/pipeline/process_exposure.h"

/* Histogram of S_corr: bin i covers [-10 + i/4, -10 + (i+1)/4); what lies outside is counted at
 * either end. */
enum { AID_SCORE_BINS = 80, AID_SCORE_BINS_PER_UNIT = 4, AID_SCORE_EDGE = 10 };

typedef struct aid_score_histogram {
    int64_t bins[AID_SCORE_BINS];
    int64_t below, above; /* < -10, >= 10 */
    int64_t total;        /* finite scores: what was searched */
    int64_t low, high;    /* <= -threshold, >= threshold */
} aid_score_histogram;

/* Bands in parallel, whole numbers: exact at any number of threads. */
AID_MUST_USE aid_status aid_score_histogram_of(const aid_image *score, double threshold,
                                               aid_pool *pool, aid_score_histogram *ret_histogram,
                                               aid_error *err);

/* Pixels by mask value: counts[v] pixels hold exactly the bits v. */
AID_MUST_USE aid_status aid_mask_census(const aid_mask *mask, aid_pool *pool,
                                        int64_t ret_counts[256], aid_error *err);

typedef struct aid_interval {
    double low, high;
} aid_interval;

/* Wilson's score interval of a binomial proportion, at z standard deviations (1.96: 95 %).
 * 0..1 when nothing was tried. */
aid_interval aid_wilson(int successes, int trials, double z);

/* How many peaks above `threshold` Gaussian noise alone should show, of one sign: the expected
 * Euler characteristic of a smooth Gaussian field (Adler 1981) that was filtered by a Gaussian PSF.
 */
double aid_expected_noise_peaks(double area_px, double fwhm_px, double threshold);

/* What the fit of the flux ratio gives at a position. */
double aid_report_flux_ratio(const aid_photometric_match *match, int32_t width, int32_t height,
                             double x, double y);

/* Right ascension as hh:mm:ss.sss and declination as +dd:mm:ss.ss, rounded once, so that no field
 * ever shows 60. "" for what is not a coordinate. */
void aid_sexagesimal(double ra_deg, double dec_deg, char ret_ra[16], char ret_dec[16]);

typedef enum aid_calibration {                       /* of S_corr on blank sky */
                               AID_CALIBRATION_GOOD, /* sigma within 0.02 of 1 and |median| within
                                                        0.05 */
                               AID_CALIBRATION_FAIR, /* within 0.05 and 0.10 */
                               AID_CALIBRATION_POOR,
                               AID_CALIBRATION_UNKNOWN
} aid_calibration;

typedef struct aid_report_summary {
    aid_score_histogram histogram;
    int64_t pixels;           /* of the science image */
    int64_t mask_counts[256]; /* of the difference's mask */
    double searched_arcmin2;  /* NaN without a WCS */
    double pixel_arcsec;      /* at the field centre; NaN without a WCS */
    double difference_sigma;  /* of D on searched sky, robust; NaN unknown */
    double flux_err;          /* median over the searched area */
    double limit_flux;        /* threshold x flux_err: the faintest flux that is found, typically */
    double limit_mag;         /* NaN without a zero point */
    double noise_peaks;       /* of one sign, expected above the threshold */
    aid_calibration calibration;
} aid_report_summary;

AID_MUST_USE aid_status aid_report_summarise(const aid_process_result *result, double threshold,
                                             aid_pool *pool, aid_report_summary *ret_summary,
                                             aid_error *err);

#endif
