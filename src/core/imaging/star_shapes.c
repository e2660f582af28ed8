#include "core/imaging/star_shapes.h"

#include "core/base/macros.h"
#include "core/imaging/stats.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

static const double pi = 3.14159265358979323846;

/* A box of the image around a position, cut at the borders. */
typedef struct box {
    int32_t x0, x1, y0, y1; /* inclusive */
} box;

static box box_around(const aid_image *image, double x, double y, double radius)
{
    return (box){(int32_t)AID_MAX(ceil(x - radius), 0.0),
                 (int32_t)AID_MIN(floor(x + radius), image->width - 1.0),
                 (int32_t)AID_MAX(ceil(y - radius), 0.0),
                 (int32_t)AID_MIN(floor(y + radius), image->height - 1.0)};
}

/* -------------------------------------------------------------------------------------- window */

static const double window_reach = 4.0;    /* sigma */
static const double window_step_px = 1e-4; /* smaller steps end the iteration */
static const int window_iterations = 24;

typedef struct window_sums {
    double flux, x, y, xx, yy, xy; /* about the window's centre */
} window_sums;

enum { WINDOW_SIDE = 8 * AID_MAX_WINDOW_SIGMA_PX + 2 };

/* The window is separable: two short tables of exponentials serve the whole box. */
static window_sums sum_window(const aid_image *image, double x, double y, double sigma)
{
    double reach = window_reach * sigma, wx[WINDOW_SIDE];
    box at = box_around(image, x, y, reach);
    window_sums sums = {0};
    for (int32_t i = at.x0; i <= at.x1; i++)
        wx[i - at.x0] = exp(-0.5 * (i - x) * (i - x) / (sigma * sigma));
    for (int32_t j = at.y0; j <= at.y1; j++) {
        const float *row = aid_image_row(image, j);
        double dy = j - y, wy = exp(-0.5 * dy * dy / (sigma * sigma));
        double half_chord = sqrt(AID_MAX(reach * reach - dy * dy, 0.0));
        int32_t begin = (int32_t)AID_MAX(ceil(x - half_chord), at.x0);
        int32_t end = (int32_t)AID_MIN(floor(x + half_chord), at.x1);
        double flux = 0.0, first = 0.0, second = 0.0;
        for (int32_t i = begin; i <= end; i++) {
            double value = isfinite(row[i]) ? (double)row[i] * wx[i - at.x0] : 0.0, dx = i - x;
            flux += value;
            first += value * dx;
            second += value * dx * dx;
        }
        sums.flux += wy * flux;
        sums.x += wy * first;
        sums.y += wy * flux * dy;
        sums.xx += wy * second;
        sums.yy += wy * flux * dy * dy;
        sums.xy += wy * first * dy;
    }
    return sums;
}

/* A Gaussian of variance c under a window of variance s2 shows m = c s2/(c + s2). */
static double without_window(double moment, double window)
{
    moment = AID_CLAMP(moment, 0.005 * window, 0.95 * window);
    return moment * window / (window - moment);
}

static void set_ellipse(const window_sums *sums, double sigma, aid_star *star)
{
    double xx = sums->xx / sums->flux, yy = sums->yy / sums->flux, xy = sums->xy / sums->flux;
    double mean = 0.5 * (xx + yy), half = hypot(0.5 * (xx - yy), xy);
    star->a = sqrt(without_window(mean + half, sigma * sigma));
    star->b = sqrt(without_window(mean - half, sigma * sigma));
    star->theta_deg = 0.5 * atan2(2.0 * xy, xx - yy) * 180.0 / pi;
}

bool aid_star_window(const aid_image *image, double sigma_px, aid_star *star)
{
    double sigma = AID_CLAMP(sigma_px, 0.4, AID_MAX_WINDOW_SIGMA_PX);
    double x = star->x, y = star->y, farthest = 1.0 + 1.5 * sigma;
    for (int iteration = 0; iteration < window_iterations; iteration++) {
        window_sums sums = sum_window(image, x, y, sigma);
        if (!(sums.flux > 0.0))
            return false;
        double step_x = 2.0 * sums.x / sums.flux, step_y = 2.0 * sums.y / sums.flux;
        if (!(hypot(x + step_x - star->x, y + step_y - star->y) < farthest))
            return false;
        if (step_x * step_x + step_y * step_y < window_step_px * window_step_px) {
            set_ellipse(&sums, sigma, star);
            star->x = x + step_x;
            star->y = y + step_y;
            return true;
        }
        x += step_x;
        y += step_y;
    }
    return false;
}

/* ------------------------------------------------------------------------------------ aperture */

enum { RINGS_PER_PX = 4, MAX_RINGS = AID_MAX_APERTURE_PX * RINGS_PER_PX };

/* A pixel at distance d fills the radii d - 1/2 to d + 1/2 evenly. */
static void spread_over_rings(double value, double distance, int rings, double *light)
{
    double begin = AID_MAX(distance - 0.5, 0.0) * RINGS_PER_PX;
    double end = (distance + 0.5) * RINGS_PER_PX, share = value / (end - begin);
    for (int ring = (int)begin; ring < rings && ring < end; ring++)
        light[ring] += share * (AID_MIN(end, ring + 1.0) - AID_MAX(begin, (double)ring));
}

static double half_light_radius(const double *light, int rings, double total)
{
    double inside = 0.0;
    for (int ring = 0; ring < rings; ring++) {
        if (inside + light[ring] >= 0.5 * total && light[ring] > 0.0)
            return (ring + (0.5 * total - inside) / light[ring]) / RINGS_PER_PX;
        inside += light[ring];
    }
    return (double)rings / RINGS_PER_PX;
}

static unsigned flags_of_bits(uint8_t bits)
{
    const uint8_t sound = AID_MASK_EDGE | AID_MASK_GROWN | AID_MASK_REFERENCE;
    unsigned flags = bits & AID_MASK_SATURATED ? AID_STAR_SATURATED : 0;
    return flags | (bits & ~(AID_MASK_SATURATED | sound) ? AID_STAR_MASKED : 0);
}

void aid_star_aperture(const aid_image *image, const aid_mask *mask, const aid_mesh *noise,
                       double radius_px, double gain, aid_star *star)
{
    double radius = AID_CLAMP(radius_px, 1.0, AID_MAX_APERTURE_PX);
    int rings = (int)(radius * RINGS_PER_PX);
    radius = (double)rings / RINGS_PER_PX;
    box at = box_around(image, star->x, star->y, radius + 0.5);
    double light[MAX_RINGS] = {0}, total = 0.0, noise_area = 0.0, peak = -INFINITY;
    uint8_t bits = 0;
    for (int32_t j = at.y0; j <= at.y1; j++)
        for (int32_t i = at.x0; i <= at.x1; i++) {
            double distance = hypot(i - star->x, j - star->y);
            if (distance >= radius + 0.5)
                continue;
            double value = (double)aid_image_row(image, j)[i];
            value = isfinite(value) ? value : 0.0;
            bits = (uint8_t)(bits | (mask->data ? aid_mask_row(mask, j)[i] : 0));
            double share = AID_MIN(radius + 0.5 - distance, 1.0);
            noise_area += share * share;
            spread_over_rings(value, distance, rings, light);
            peak = distance < 2.0 && value > peak ? value : peak;
        }
    for (int ring = 0; ring < rings; ring++)
        total += light[ring];
    double sky = aid_mesh_at(noise, star->x, star->y);
    star->flux = total;
    star->flux_err = sqrt(noise_area * sky * sky + (gain > 0.0 ? AID_MAX(total, 0.0) / gain : 0.0));
    star->peak = peak;
    star->half_light_px = half_light_radius(light, rings, total);
    star->flags |= flags_of_bits(bits);
}

/* --------------------------------------------------------------------------------------- locus */

static int compare_numbers(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

/* Half-sample mode (Bickel & Fruehwirth 2006): the densest half of the densest half ... Galaxies
 * and cosmic rays are scattered over sizes, stars are not. */
static double half_sample_mode(const double *sorted, int count)
{
    while (count > 3) {
        int half = (count + 1) / 2, best = 0;
        for (int i = 1; i + half <= count; i++)
            if (sorted[i + half - 1] - sorted[i] < sorted[best + half - 1] - sorted[best])
                best = i;
        sorted += best;
        count = half;
    }
    if (count == 3)
        return sorted[1] - sorted[0] < sorted[2] - sorted[1] ? 0.5 * (sorted[0] + sorted[1])
                                                             : 0.5 * (sorted[1] + sorted[2]);
    return count == 2 ? 0.5 * (sorted[0] + sorted[1]) : sorted[0];
}

double aid_star_locus(double *sizes, int count)
{
    if (count < 1)
        return NAN;
    qsort(sizes, (size_t)count, sizeof *sizes, compare_numbers);
    double mode = half_sample_mode(sizes, count);
    int begin = 0, end = count;
    while (begin < count && sizes[begin] < 0.85 * mode)
        begin++;
    while (end > begin && sizes[end - 1] > 1.15 * mode)
        end--;
    return begin < end ? aid_median_in_place_f64(sizes + begin, end - begin) : mode;
}
