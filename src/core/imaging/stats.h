/* Robust statistics of plain arrays. NaN and infinities are skipped everywhere. */
#ifndef AID_CORE_IMAGING_STATS_H
#define AID_CORE_IMAGING_STATS_H

#include <stdint.h>

/* The standard deviation of a normal distribution in units of its median absolute deviation. */
#define AID_SIGMA_PER_MAD 1.482602218505602

/* The median of `count` values (mean of the middle two); NaN when none is finite. The const form
 * copies; the others reorder `values` in place. */
double aid_median_of(const float *values, int64_t count);
double aid_median_in_place(float *values, int64_t count);
double aid_median_in_place_f64(double *values, int64_t count);

/* Quantile 0..1 by linear interpolation between order statistics. Reorders `values`. */
double aid_quantile_in_place_f64(double *values, int64_t count, double quantile);

typedef struct aid_robust {
    double median, sigma; /* sigma = 1.4826 MAD */
    int64_t count;        /* finite values */
} aid_robust;
aid_robust aid_robust_in_place(float *values, int64_t count);
aid_robust aid_robust_in_place_f64(double *values, int64_t count);

typedef struct aid_clipped {
    double mean, sigma;
    int64_t count; /* that survived */
} aid_clipped;

/* Mean and standard deviation after clipping at +-`kappa` sigma around the median until nothing
 * changes (at most 20 times); sigma is corrected for the clipped tails of a normal distribution. */
aid_clipped aid_clipped_stats(const float *values, int64_t count, double kappa);

#endif
