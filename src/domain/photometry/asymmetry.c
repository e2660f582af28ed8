/* Asymmetry (Conselice 2003): what is left when a source is turned by 180 degrees around the centre
 * that leaves least, relative to its light. */
#include "domain/photometry/morphology.h"

#include <assert.h>

/* The pixels that may lie within `radius` of (x, y). */
static photometry_box box_around(const morphology_patch *patch, double radius, double x, double y)
{
    int32_t last = patch->side - 1;
    int32_t x0 = AID_MAX((int32_t)floor(x - radius), 0),
            y0 = AID_MAX((int32_t)floor(y - radius), 0);
    int32_t x1 = AID_MIN((int32_t)ceil(x + radius), last);
    int32_t y1 = AID_MIN((int32_t)ceil(y + radius), last);
    return (photometry_box){x0, y0, AID_MAX(x1 - x0 + 1, 1), AID_MAX(y1 - y0 + 1, 1)};
}

/* Interpolation along one axis: value i is the sum of weights[k] times the sample i + first + k. */
typedef struct axis_taps {
    int first;
    double weights[PHOTOMETRY_TAPS];
} axis_taps;

static axis_taps taps_at(double position)
{
    double whole = floor(position);
    axis_taps taps = {.first = (int)whole - PHOTOMETRY_TAPS_BEFORE};
    aid_photometry_taps(position - whole, taps.weights, NULL);
    return taps;
}

/* The rows that a row of the result lies between, as one. */
static void mix_rows(const float *rows, int side, const axis_taps *taps, int row, double *line)
{
    for (int i = 0; i < side; i++)
        line[i] = 0.0;
    for (int k = 0; k < PHOTOMETRY_TAPS; k++) {
        int source = row + taps->first + k;
        if (source < 0 || source >= side)
            continue;
        for (int i = 0; i < side; i++)
            line[i] += taps->weights[k] * (double)rows[(int64_t)source * side + i];
    }
}

/* Turning around (x, y) takes pixel i to 2x - i: the patch read backwards (`work`), and moved.
 * Patches are larger than the stamps of a PSF. */
static void turn(const morphology_patch *patch, const photometry_box *box, double x, double y)
{
    int side = patch->side;
    double line[MORPHOLOGY_MAX_SIDE];
    axis_taps tx = taps_at(box->x0 + (side - 1) - 2.0 * x);
    axis_taps ty = taps_at(box->y0 + (side - 1) - 2.0 * y);
    assert(side <= MORPHOLOGY_MAX_SIDE);
    for (int j = 0; j < box->height; j++) {
        double *turned = patch->turned + (int64_t)j * box->width;
        mix_rows(patch->work, side, &ty, j, line);
        for (int i = 0; i < box->width; i++) {
            int at = i + tx.first, from = AID_MAX(0, -at);
            double sum = 0.0;
            for (int k = from; k < AID_MIN(PHOTOMETRY_TAPS, side - at); k++)
                sum += tx.weights[k] * line[at + k];
            turned[i] = sum;
        }
    }
}

/* The variance that is left of white noise when it is moved by so many pixels. */
static double kept_variance(double shift)
{
    double weights[PHOTOMETRY_TAPS], sum = 0.0;
    aid_photometry_taps(shift - floor(shift), weights, NULL);
    for (int k = 0; k < PHOTOMETRY_TAPS; k++)
        sum += weights[k] * weights[k];
    return sum;
}

/* sum |I - I_180| / sum |I| within the radius, less what noise alone would give. */
static double asymmetry_at(const morphology_patch *patch, double radius, double x, double y)
{
    double difference = 0.0, light = 0.0;
    int pairs = 0, side = patch->side;
    photometry_box box = box_around(patch, radius, x, y);
    turn(patch, &box, x, y);
    for (int j = box.y0; j < box.y0 + box.height; j++)
        for (int i = box.x0; i < box.x0 + box.width; i++) {
            double dx = i - x, dy = j - y;
            int opposite_i = (int)floor(2.0 * x - i + 0.5);
            int opposite_j = (int)floor(2.0 * y - j + 0.5), p = j * side + i;
            bool inside = dx * dx + dy * dy <= radius * radius && opposite_i >= 0 &&
                          opposite_j >= 0 && opposite_i < side && opposite_j < side;
            if (!inside || !patch->sound[p] || !patch->sound[opposite_j * side + opposite_i])
                continue;
            double turned = patch->turned[(j - box.y0) * box.width + i - box.x0];
            difference += fabs((double)patch->values[p] - turned);
            light += fabs((double)patch->values[p]);
            pairs++;
        }
    /* Two independent noises of variances s^2 and k s^2 differ by sqrt(2/pi (1 + k)) s. */
    double kept = kept_variance(2.0 * x) * kept_variance(2.0 * y);
    double noise =
        patch->sigma > 0.0 ? patch->sigma * sqrt(2.0 / photometry_pi * (1.0 + kept)) * pairs : 0.0;
    return light > 0.0 ? (difference - noise) / light : NAN;
}

double aid_morphology_asymmetry(const morphology_patch *patch, double radius, double *ret_x,
                                double *ret_y)
{
    const double finest = 0.05;
    int pixels = patch->side * patch->side;
    for (int p = 0; p < pixels; p++)
        patch->work[p] = patch->values[pixels - 1 - p];
    double x = patch->x, y = patch->y, least = asymmetry_at(patch, radius, x, y);
    for (double step = 0.8; step >= finest; step *= 0.5) {
        bool moved = true;
        for (int walk = 0; walk < 6 && moved; walk++) {
            const double around[4][2] = {{step, 0.0}, {-step, 0.0}, {0.0, step}, {0.0, -step}};
            double from_x = x, from_y = y;
            moved = false;
            for (int k = 0; k < 4; k++) {
                double value =
                    asymmetry_at(patch, radius, from_x + around[k][0], from_y + around[k][1]);
                if (value < least) {
                    least = value;
                    x = from_x + around[k][0];
                    y = from_y + around[k][1];
                    moved = true;
                }
            }
        }
    }
    *ret_x = x;
    *ret_y = y;
    return least;
}
