/* Clipped statistics of raw pixels, which are whole numbers. */
#include "core/imaging/stats.h"
#include "domain/calibration/internal.h"

#include <math.h>

/* Values within `half` of the centre. */
static aid_clipped within(const float *values, int64_t count, double centre, double half)
{
    double sum = 0.0, squares = 0.0;
    int64_t kept = 0;
    for (int64_t i = 0; i < count; i++) {
        double d = (double)values[i] - centre;
        if (fabs(d) <= half) { /* NaN fails */
            sum += d;
            squares += d * d;
            kept++;
        }
    }
    double mean = kept ? sum / (double)kept : (double)NAN;
    double variance = kept ? squares / (double)kept - mean * mean : (double)NAN;
    return (aid_clipped){centre + mean, sqrt(AID_MAX(variance, 0.0)), kept};
}

aid_clipped aid_clipped_raw(const float *values, int64_t count, double kappa)
{
    aid_clipped usual = aid_clipped_stats(values, count, kappa);
    if (usual.sigma > 0.0 || usual.count == count || usual.count == 0)
        return usual;
    double step = INFINITY;
    for (int64_t i = 0; i < count; i++) {
        double d = fabs((double)values[i] - usual.mean);
        if (d > 0.0 && d < step)
            step = d;
    }
    /* A MAD of 0 is that of a sigma below 0.74 steps. */
    return isfinite(step) ? within(values, count, usual.mean, kappa * 0.75 * step) : usual;
}
