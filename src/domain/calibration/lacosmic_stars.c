/* What no star can look like. In a Gaussian of width s, wherever its centre lies among the pixels,
 * the mean of two opposite neighbours at distance d is f(d) cosh(x d/s^2) of the pixel between
 * them, f(d) = exp(-d^2/2s^2), so at least f(d); both sides are linear in the light, so the same
 * holds for any sum of stars on any sky. A hit falls short of it on one axis at least. L.A.Cosmic's
 * own test, against the medians of the surroundings, takes the cores of stars for hits where these
 * are not well sampled; how narrow stars are here the image itself tells. */
#include "core/base/macros.h"
#include "domain/calibration/lacosmic_internal.h"

enum { AXES = 4, BINS = 64, LEAST_STARS = 20 };
static const int axis_step[AXES][2] = {{1, 0}, {0, 1}, {1, 1}, {1, -1}};

static const double bright_sigma = 20.0;                  /* of what tells the width of stars */
static const double least_width_px = 0.65, bin_px = 0.05; /* a FWHM of 1.5 px; hits are narrower */
static const double width_unknown_px = 0.6;
static const double narrowest_share = 0.10;   /* of the stars are narrower */
static const double safety = 0.9;             /* of f, for optics of other shapes */
static const double calibration_error = 0.02; /* of a pixel: flat field, linearity */

static double value_e(const aid_cosmic_search *search, const aid_image *image, int32_t x, int32_t y)
{
    return (double)aid_image_row(image, y)[x] * search->options->gain - (double)search->level;
}

/* The mean of the two neighbours along an axis, above the level; NaN where one is missing. */
static double neighbours(const aid_cosmic_search *search, const aid_image *image, int32_t x,
                         int32_t y, int axis)
{
    double sum = 0.0;
    for (int sign = -1; sign <= 1; sign += 2) {
        int32_t i = x + sign * axis_step[axis][0], j = y + sign * axis_step[axis][1];
        if (i < 0 || j < 0 || i >= search->width || j >= search->height ||
            search->state[(int64_t)j * search->width + i] & AID_PIXEL_BLOCKED)
            return NAN;
        sum += value_e(search, image, i, j);
    }
    return 0.5 * sum;
}

static double squared_distance(int axis)
{
    return axis < 2 ? 1.0 : 2.0;
}

/* ------------------------------------------------------------------------------ how narrow stars
 * are */

static bool is_peak(const aid_cosmic_search *search, const aid_image *image, int32_t x, int32_t y)
{
    double here = value_e(search, image, x, y);
    for (int32_t j = y - 1; j <= y + 1; j++)
        for (int32_t i = x - 1; i <= x + 1; i++)
            if (search->state[(int64_t)j * search->width + i] & AID_PIXEL_BLOCKED ||
                value_e(search, image, i, j) > here)
                return false;
    return true;
}

/* Of the Gaussian that would fall off as steeply on the steepest of the axes. */
static double width_of_peak(const aid_cosmic_search *search, const aid_image *image, int32_t x,
                            int32_t y)
{
    double here = value_e(search, image, x, y), least = INFINITY;
    for (int axis = 0; axis < AXES; axis++) {
        double ratio = neighbours(search, image, x, y, axis) / here;
        if (!(ratio > 0.0 && ratio < 1.0))
            return 0.0;
        least = fmin(least, sqrt(-0.5 * squared_distance(axis) / log(ratio)));
    }
    return least;
}

double aid_cosmic_narrowest_star(const aid_cosmic_search *search, const aid_image *image)
{
    int64_t counts[BINS] = {0}, stars = 0;
    double limit = bright_sigma * sqrt(search->level_variance) + (double)search->level;
    float threshold = (float)(limit / search->options->gain);
    for (int32_t y = 1; y < search->height - 1; y++) {
        const float *row = aid_image_row(image, y);
        for (int32_t x = 1; x < search->width - 1; x++) {
            if (!(row[x] > threshold) || !is_peak(search, image, x, y))
                continue;
            double bin = (width_of_peak(search, image, x, y) - least_width_px) / bin_px;
            if (bin >= 0.0 && bin < BINS) {
                counts[(int)bin]++;
                stars++;
            }
        }
    }
    if (stars < LEAST_STARS)
        return width_unknown_px;
    int64_t below = 0, bin = 0;
    while ((double)(below + counts[bin]) <= narrowest_share * (double)stars)
        below += counts[bin++];
    return least_width_px + bin_px * (double)bin;
}

/* -------------------------------------------------------------------------------------- judging */

aid_cosmic_verdict aid_cosmic_compare_with_star(const aid_cosmic_search *search,
                                                const aid_image *image, int32_t x, int32_t y)
{
    double height = value_e(search, image, x, y), error = calibration_error * height;
    double variance = search->level_variance + fmax(height, 0.0), worst = -INFINITY, reach = 0.0;
    for (int axis = 0; axis < AXES; axis++) {
        double mean = neighbours(search, image, x, y, axis);
        if (isnan(mean))
            continue;
        double limit = safety * exp(-0.5 * squared_distance(axis) /
                                    (search->narrowest_px * search->narrowest_px));
        double noise = sqrt(limit * limit * variance +
                            0.5 * (search->level_variance + fmax(mean, 0.0)) + error * error);
        worst = fmax(worst, (limit * height - mean) / noise);
        reach = fmax(reach, limit * height / noise);
    }
    if (worst > 4.0)
        return AID_COSMIC_TOO_SHARP;
    return worst < 3.0 && reach > 6.0 ? AID_COSMIC_LIKE_A_STAR : AID_COSMIC_UNDECIDED;
}
