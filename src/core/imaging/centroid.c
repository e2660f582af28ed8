#include "core/imaging/centroid.h"

#include <math.h>

enum { ITERATIONS = 30, MAX_REACH = 64 };
static const double pi = 3.14159265358979323846;
static const double reach_sigma = 4.0;
static const double settled_px = 1e-4;
static const double farthest_px = 0.5;

typedef struct centroid_sums {
    double weight, x, y; /* of weighted light, about the centre */
    double information;  /* on one axis, 1/px^2 */
} centroid_sums;

static void profile(double centre, int32_t first, int count, double sigma, double *p)
{
    for (int i = 0; i < count; i++) {
        double d = first + i - centre;
        p[i] = exp(-0.5 * d * d / (sigma * sigma));
    }
}

/* The information on a shift along x is sum (dm/dx)^2/noise of the model m = flux p; what the
 * pixels on both axes say is averaged. */
static centroid_sums sum_weighted(const aid_image *image, const aid_centroid_options *options,
                                  double x, double y, int reach)
{
    double px[2 * MAX_REACH + 1], py[2 * MAX_REACH + 1], sigma = options->sigma_px;
    int32_t x0 = (int32_t)floor(x + 0.5) - reach, y0 = (int32_t)floor(y + 0.5) - reach;
    int side = 2 * reach + 1;
    double peak = options->flux / (2.0 * pi * sigma * sigma), slope = 1.0 / (sigma * sigma);
    double own = peak / options->gain / options->variance;
    centroid_sums sums = {0};
    profile(x, x0, side, sigma, px);
    profile(y, y0, side, sigma, py);
    for (int j = 0; j < side; j++) {
        const float *row = aid_image_row(image, y0 + j) + x0;
        double dy = y0 + j - y;
        for (int i = 0; i < side; i++) {
            double dx = x0 + i - x, p = px[i] * py[j], weight = p / (1.0 + own * p);
            double light = weight * (double)row[i], r2 = dx * dx + dy * dy;
            sums.weight += light;
            sums.x += light * dx;
            sums.y += light * dy;
            sums.information += 0.5 * weight * p * r2;
        }
    }
    sums.information *= peak * peak * slope * slope / options->variance;
    return sums;
}

bool aid_centroid(const aid_image *image, const aid_centroid_options *options, double *x, double *y,
                  double *ret_error_px)
{
    int reach = (int)ceil(reach_sigma * options->sigma_px);
    double at_x = *x, at_y = *y;
    if (!(options->sigma_px > 0.0 && options->variance > 0.0 && options->flux > 0.0) ||
        reach > MAX_REACH)
        return false;
    for (int k = 0; k < ITERATIONS; k++) {
        double least = reach + 0.5;
        if (!(at_x > least && at_y > least && at_x < image->width - 1 - least &&
              at_y < image->height - 1 - least && hypot(at_x - *x, at_y - *y) < farthest_px))
            return false;
        centroid_sums sums = sum_weighted(image, options, at_x, at_y, reach);
        /* A flat window answers to a shift in full, one as wide as the star by half. */
        double step_x = 1.5 * sums.x / sums.weight, step_y = 1.5 * sums.y / sums.weight;
        if (!(sums.weight > 0.0) || !isfinite(step_x) || !isfinite(step_y))
            return false;
        at_x += step_x;
        at_y += step_y;
        if (hypot(step_x, step_y) < settled_px) {
            *x = at_x;
            *y = at_y;
            *ret_error_px = 1.0 / sqrt(sums.information);
            return true;
        }
    }
    return false;
}
