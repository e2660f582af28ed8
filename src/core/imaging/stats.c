#include "core/imaging/stats.h"

#include "core/base/macros.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Quick select (Hoare's partition, median of three), stated once for both widths. */
#define DEFINE_SELECT(NAME, TYPE)                                                                  \
    static TYPE NAME(TYPE *v, int64_t count, int64_t k)                                            \
    {                                                                                              \
        int64_t low = 0, high = count - 1;                                                         \
        while (low < high) {                                                                       \
            TYPE a = v[low], b = v[low + (high - low) / 2], c = v[high];                           \
            TYPE pivot = AID_MAX(AID_MIN(a, b), AID_MIN(AID_MAX(a, b), c));                        \
            int64_t i = low, j = high;                                                             \
            while (i <= j) {                                                                       \
                while (v[i] < pivot)                                                               \
                    i++;                                                                           \
                while (pivot < v[j])                                                               \
                    j--;                                                                           \
                if (i <= j) {                                                                      \
                    TYPE t = v[i];                                                                 \
                    v[i++] = v[j];                                                                 \
                    v[j--] = t;                                                                    \
                }                                                                                  \
            }                                                                                      \
            if (k <= j)                                                                            \
                high = j;                                                                          \
            else if (k >= i)                                                                       \
                low = i;                                                                           \
            else                                                                                   \
                break;                                                                             \
        }                                                                                          \
        return v[k];                                                                               \
    }
DEFINE_SELECT(select_f32, float)
DEFINE_SELECT(select_f64, double)

static int64_t keep_finite_f32(float *values, int64_t count)
{
    int64_t kept = 0;
    for (int64_t i = 0; i < count; i++)
        if (isfinite(values[i]))
            values[kept++] = values[i];
    return kept;
}

static int64_t keep_finite_f64(double *values, int64_t count)
{
    int64_t kept = 0;
    for (int64_t i = 0; i < count; i++)
        if (isfinite(values[i]))
            values[kept++] = values[i];
    return kept;
}

double aid_median_in_place(float *values, int64_t count)
{
    count = keep_finite_f32(values, count);
    if (count == 0)
        return NAN;
    double upper = (double)select_f32(values, count, count / 2);
    if (count % 2)
        return upper;
    return 0.5 * (upper + (double)select_f32(values, count / 2, count / 2 - 1));
}

double aid_quantile_in_place_f64(double *values, int64_t count, double quantile)
{
    count = keep_finite_f64(values, count);
    if (count == 0)
        return NAN;
    double position = AID_CLAMP(quantile, 0.0, 1.0) * (double)(count - 1);
    int64_t below = (int64_t)position, above = AID_MIN(below + 1, count - 1);
    double high = select_f64(values, count, above);
    double low = above > below ? select_f64(values, above, below) : high;
    return low + (position - (double)below) * (high - low);
}

double aid_median_in_place_f64(double *values, int64_t count)
{
    return aid_quantile_in_place_f64(values, count, 0.5);
}

double aid_median_of(const float *values, int64_t count)
{
    float *copy = malloc((size_t)AID_MAX(count, 1) * sizeof *copy);
    if (!copy)
        return NAN;
    memcpy(copy, values, (size_t)count * sizeof *copy);
    double median = aid_median_in_place(copy, count);
    free(copy);
    return median;
}

aid_robust aid_robust_in_place(float *values, int64_t count)
{
    aid_robust robust = {.count = keep_finite_f32(values, count)};
    robust.median = aid_median_in_place(values, robust.count);
    for (int64_t i = 0; i < robust.count; i++)
        values[i] = (float)fabs((double)values[i] - robust.median);
    robust.sigma = AID_SIGMA_PER_MAD * aid_median_in_place(values, robust.count);
    return robust;
}

aid_robust aid_robust_in_place_f64(double *values, int64_t count)
{
    aid_robust robust = {.count = keep_finite_f64(values, count)};
    robust.median = aid_median_in_place_f64(values, robust.count);
    for (int64_t i = 0; i < robust.count; i++)
        values[i] = fabs(values[i] - robust.median);
    robust.sigma = AID_SIGMA_PER_MAD * aid_median_in_place_f64(values, robust.count);
    return robust;
}

/* Standard deviation of a unit normal cut at +-k: sqrt(1 - 2 k phi(k) / erf(k/sqrt 2)). */
static double sigma_of_cut_normal(double k)
{
    const double pi = 3.14159265358979323846;
    double phi = exp(-0.5 * k * k) / sqrt(2.0 * pi);
    return sqrt(1.0 - 2.0 * k * phi / erf(k / sqrt(2.0)));
}

aid_clipped aid_clipped_stats(const float *values, int64_t count, double kappa)
{
    float *copy = malloc((size_t)AID_MAX(count, 1) * sizeof *copy);
    aid_clipped result = {.mean = NAN, .sigma = NAN};
    if (!copy)
        return result;
    memcpy(copy, values, (size_t)count * sizeof *copy);
    aid_robust robust = aid_robust_in_place(copy, count);
    free(copy);
    double centre = robust.median, sigma = robust.sigma;
    for (int iteration = 0; iteration < 20 && robust.count > 0; iteration++) {
        double half = kappa * sigma, sum = 0.0, squares = 0.0;
        int64_t kept = 0;
        for (int64_t i = 0; i < count; i++) {
            double deviation = (double)values[i] - centre;
            if (fabs(deviation) <= half) { /* NaN fails */
                sum += deviation;
                squares += deviation * deviation;
                kept++;
            }
        }
        if (kept < 2)
            break;
        double mean = sum / (double)kept;
        double variance = AID_MAX(squares / (double)kept - mean * mean, 0.0);
        if (kept == result.count)
            break;
        result = (aid_clipped){centre + mean, sqrt(variance) / sigma_of_cut_normal(kappa), kept};
        centre = result.mean;
        sigma = result.sigma;
    }
    return result;
}
