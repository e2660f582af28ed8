/* Sums, sizes and positions on a cutout. */
#include "domain/extraction/measure.h"
#include "domain/photometry/photometry.h"

#include <string.h>

static const double pi = 3.14159265358979323846;

aid_ellipse aid_ellipse_of(double a, double b, double theta_deg)
{
    double c = cos(theta_deg * pi / 180.0), s = sin(theta_deg * pi / 180.0);
    double ia = 1.0 / (a * a), ib = 1.0 / (b * b);
    return (aid_ellipse){.cxx = c * c * ia + s * s * ib,
                         .cyy = s * s * ia + c * c * ib,
                         .cxy = 2.0 * c * s * (ia - ib)};
}

/* The pixels of a cutout within `reach` of (x, y), inclusive. */
typedef struct box {
    int32_t x0, x1, y0, y1;
} box;

static box box_around(const aid_cutout *cutout, double x, double y, double reach)
{
    double u = x - cutout->x0, v = y - cutout->y0, last = cutout->side - 1.0;
    return (box){(int32_t)AID_CLAMP(ceil(u - reach), 0.0, last),
                 (int32_t)AID_CLAMP(floor(u + reach), 0.0, last),
                 (int32_t)AID_CLAMP(ceil(v - reach), 0.0, last),
                 (int32_t)AID_CLAMP(floor(v + reach), 0.0, last)};
}

/* ------------------------------------------------------------------------------------------ Kron
 */

double aid_kron_moment(const aid_cutout *cutout, const aid_source *source, double reach)
{
    aid_ellipse ellipse = aid_ellipse_of(source->a, source->b, source->theta_deg);
    box at = box_around(cutout, source->x, source->y, reach * source->a + 1.0);
    double moment = 0.0, light = 0.0;
    for (int32_t j = at.y0; j <= at.y1; j++)
        for (int32_t i = at.x0; i <= at.x1; i++) {
            double dx = i + cutout->x0 - source->x, dy = j + cutout->y0 - source->y;
            double r2 = ellipse.cxx * dx * dx + ellipse.cyy * dy * dy + ellipse.cxy * dx * dy;
            if (r2 > reach * reach)
                continue;
            double value = (double)cutout->values[(int64_t)j * cutout->side + i];
            moment += value * sqrt(r2);
            light += value;
        }
    return moment > 0.0 && light > 0.0 ? moment / light : NAN;
}

/* ------------------------------------------------------------------------------------------ sums
 */

static void add_pixel(const aid_cutout *cutout, int32_t i, int32_t j, double weight, aid_rim rim,
                      aid_sum *sum)
{
    int64_t at = (int64_t)j * cutout->side + i;
    sum->flux += weight * (double)cutout->values[at];
    sum->area += weight;
    sum->variance_area += rim == AID_RIM_EXACT ? weight * weight : weight;
    sum->bad += cutout->state[at] & AID_CUTOUT_BAD ? weight : 0.0;
    sum->other += cutout->state[at] & AID_CUTOUT_OTHER ? weight : 0.0;
    sum->sound += cutout->state[at] & (AID_CUTOUT_BAD | AID_CUTOUT_OTHER) ? 0.0 : weight;
}

/* Half the diagonal of a pixel: farther inside than this it lies within wholly. */
static const double half_diagonal = 0.70710678118654757;

aid_sum aid_sum_ellipse(const aid_cutout *cutout, const aid_source *source, double radius,
                        aid_rim rim)
{
    double a = AID_MAX(radius * source->a, 1e-3), b = AID_MAX(radius * source->b, 1e-3);
    aid_ellipse ellipse = aid_ellipse_of(a, b, source->theta_deg);
    box at = box_around(cutout, source->x, source->y, a + 1.0);
    double inner = AID_MAX(1.0 - half_diagonal / b, 0.0), outer = 1.0 + half_diagonal / b;
    aid_sum sum = {0};
    for (int32_t j = at.y0; j <= at.y1; j++)
        for (int32_t i = at.x0; i <= at.x1; i++) {
            double dx = i + cutout->x0 - source->x, dy = j + cutout->y0 - source->y;
            double r2 = ellipse.cxx * dx * dx + ellipse.cyy * dy * dy + ellipse.cxy * dx * dy;
            double weight = r2 <= 1.0 ? 1.0 : 0.0;
            if (rim == AID_RIM_EXACT && r2 > inner * inner && r2 < outer * outer)
                weight = aid_ellipse_overlap(dx, dy, a, b, source->theta_deg);
            if (weight > 0.0)
                add_pixel(cutout, i, j, weight, rim, &sum);
        }
    return sum;
}

/* The share of 5 x 5 points of a pixel that lie within the circle. */
static double share_of_points(double dx, double dy, double radius)
{
    enum { POINTS = 5 };
    int inside = 0;
    for (int v = 0; v < POINTS; v++)
        for (int u = 0; u < POINTS; u++) {
            double x = dx + (u + 0.5) / POINTS - 0.5, y = dy + (v + 0.5) / POINTS - 0.5;
            inside += x * x + y * y < radius * radius ? 1 : 0;
        }
    return inside / (double)(POINTS * POINTS);
}

aid_sum aid_sum_circle(const aid_cutout *cutout, double x, double y, double radius_px, aid_rim rim)
{
    box at = box_around(cutout, x, y, radius_px + 1.0);
    double inner = AID_MAX(radius_px - half_diagonal, 0.0), outer = radius_px + half_diagonal;
    aid_sum sum = {0};
    for (int32_t j = at.y0; j <= at.y1; j++)
        for (int32_t i = at.x0; i <= at.x1; i++) {
            double dx = i + cutout->x0 - x, dy = j + cutout->y0 - y, r2 = dx * dx + dy * dy;
            if (r2 >= outer * outer)
                continue;
            double weight = 1.0;
            if (r2 > inner * inner)
                weight = rim == AID_RIM_EXACT
                             ? aid_ellipse_overlap(dx, dy, radius_px, radius_px, 0.0)
                             : share_of_points(dx, dy, radius_px);
            if (weight > 0.0)
                add_pixel(cutout, i, j, weight, rim, &sum);
        }
    return sum;
}

/* ------------------------------------------------------------------------------------------ ring
 */

enum { RING_SAMPLE = 4096 };

static int64_t collect_ring(const aid_cutout *cutout, double x, double y, double inner_px,
                            double outer_px, float *values)
{
    box at = box_around(cutout, x, y, outer_px);
    int64_t every = (int64_t)(pi * outer_px * outer_px / RING_SAMPLE) + 1, seen = 0, count = 0;
    for (int32_t j = at.y0; j <= at.y1; j++) {
        double dy = j + cutout->y0 - y;
        const float *row = cutout->values + (int64_t)j * cutout->side;
        const uint8_t *state = cutout->state + (int64_t)j * cutout->side;
        for (int32_t i = at.x0; i <= at.x1; i++) {
            double dx = i + cutout->x0 - x, r2 = dx * dx + dy * dy;
            bool inside = r2 >= inner_px * inner_px && r2 <= outer_px * outer_px;
            if (inside && state[i] == 0 && seen++ % every == 0 && count < RING_SAMPLE)
                values[count++] = row[i];
        }
    }
    return count;
}

/* Sources are left out already: what is clipped are those below the threshold. Clipping at 3 sigma
 * of a normal distribution leaves .98658 of sigma. */
aid_ring_level aid_level_in_ring(const aid_cutout *cutout, double x, double y, double inner_px,
                                 double outer_px)
{
    float values[RING_SAMPLE];
    int64_t count = collect_ring(cutout, x, y, inner_px, outer_px, values);
    double low = -INFINITY, high = INFINITY, mean = 0.0, sigma = 0.0;
    int64_t kept = 0;
    for (int pass = 0; pass < 6; pass++) {
        double sum = 0.0, squares = 0.0;
        int64_t before = kept;
        kept = 0;
        for (int64_t i = 0; i < count; i++) {
            double value = (double)values[i];
            bool within = value >= low && value <= high;
            double offset = within ? value - mean : 0.0;
            sum += offset;
            squares += offset * offset;
            kept += within ? 1 : 0;
        }
        if (kept < 2)
            break;
        double step = sum / (double)kept;
        mean += step;
        sigma = sqrt(AID_MAX(squares / (double)kept - step * step, 0.0));
        sigma /= pass > 0 ? 0.98658 : 1.0;
        low = mean - 3.0 * sigma;
        high = mean + 3.0 * sigma;
        if (kept == before)
            break;
    }
    return (aid_ring_level){mean, sigma, kept};
}

/* ------------------------------------------------------------------------------ half-light radius
 */

enum { RINGS_PER_PX = 4, MAX_RINGS = 2048 };

/* A pixel at distance d fills the radii d - 1/2 to d + 1/2 evenly. */
static void spread_over_rings(double value, double distance, double rate, int rings, double *light)
{
    double begin = AID_MAX(distance - 0.5, 0.0) * rate, end = (distance + 0.5) * rate;
    double share = value / (end - begin);
    for (int ring = (int)begin; ring < rings && ring < end; ring++)
        light[ring] += share * (AID_MIN(end, ring + 1.0) - AID_MAX(begin, (double)ring));
}

double aid_half_light_radius(const aid_cutout *cutout, double total, double reach_px)
{
    if (!(total > 0.0))
        return NAN;
    double light[MAX_RINGS];
    double rate = AID_MIN(RINGS_PER_PX, (MAX_RINGS - 1) / reach_px);
    int rings = (int)ceil(reach_px * rate);
    memset(light, 0, (size_t)rings * sizeof *light);
    box at = box_around(cutout, cutout->x, cutout->y, reach_px + 0.5);
    for (int32_t j = at.y0; j <= at.y1; j++)
        for (int32_t i = at.x0; i <= at.x1; i++) {
            double distance = hypot(i + cutout->x0 - cutout->x, j + cutout->y0 - cutout->y);
            if (distance < reach_px + 0.5)
                spread_over_rings((double)cutout->values[(int64_t)j * cutout->side + i], distance,
                                  rate, rings, light);
        }
    double inside = 0.0;
    for (int ring = 0; ring < rings; ring++) {
        if (inside + light[ring] >= 0.5 * total)
            return (ring + (0.5 * total - inside) / light[ring]) / rate;
        inside += light[ring];
    }
    return reach_px;
}

/* ---------------------------------------------------------------------------------------- window
 */

static const double window_reach = 4.0;    /* sigma */
static const double window_step_px = 2e-4; /* smaller steps end the iteration, as in SExtractor */
static const int window_iterations = 24;
enum { MAX_WINDOW_SIDE = 1024 };

typedef struct window_sums {
    double flux, x, y, xx, yy;             /* about the window's centre */
    double error_x, error_y, sky_x, sky_y; /* of the errors: photons and sky */
} window_sums;

static window_sums sum_window(const aid_cutout *cutout, double x, double y, double sigma)
{
    double reach = window_reach * sigma, wx[MAX_WINDOW_SIDE];
    box at = box_around(cutout, x, y, reach);
    window_sums sums = {0};
    for (int32_t i = at.x0; i <= at.x1; i++) {
        double dx = i + cutout->x0 - x;
        wx[i - at.x0] = exp(-0.5 * dx * dx / (sigma * sigma));
    }
    for (int32_t j = at.y0; j <= at.y1; j++) {
        double dy = j + cutout->y0 - y, wy = exp(-0.5 * dy * dy / (sigma * sigma));
        const float *row = cutout->values + (int64_t)j * cutout->side;
        double flux = 0.0, first = 0.0, second = 0.0;
        for (int32_t i = at.x0; i <= at.x1; i++) {
            double value = (double)row[i] * wx[i - at.x0], dx = i + cutout->x0 - x;
            flux += value;
            first += value * dx;
            second += value * dx * dx;
        }
        sums.flux += wy * flux;
        sums.x += wy * first;
        sums.y += wy * flux * dy;
        sums.xx += wy * second;
        sums.yy += wy * flux * dy * dy;
    }
    return sums;
}

/* Var(x) = 4 sum w^2 var dx^2 / (sum w I)^2. */
static void set_window_errors(const aid_cutout *cutout, double sigma, double gain,
                              const window_sums *sums, aid_source *source)
{
    box at = box_around(cutout, source->x_win, source->y_win, window_reach * sigma);
    double sky = source->noise * source->noise, x = 0.0, y = 0.0;
    for (int32_t j = at.y0; j <= at.y1; j++)
        for (int32_t i = at.x0; i <= at.x1; i++) {
            double dx = i + cutout->x0 - source->x_win, dy = j + cutout->y0 - source->y_win;
            double value = (double)cutout->values[(int64_t)j * cutout->side + i];
            double variance = sky + (gain > 0.0 ? AID_MAX(value, 0.0) / gain : 0.0);
            double weight = variance * exp(-(dx * dx + dy * dy) / (sigma * sigma));
            x += weight * dx * dx;
            y += weight * dy * dy;
        }
    source->x_win_err = 2.0 * sqrt(x) / sums->flux;
    source->y_win_err = 2.0 * sqrt(y) / sums->flux;
}

/* A Gaussian of variance c under a window of variance s2 shows m = c s2/(c + s2). */
static double without_window(double moment, double window)
{
    moment = AID_CLAMP(moment, 0.005 * window, 0.95 * window);
    return moment * window / (window - moment);
}

void aid_measure_window(const aid_cutout *cutout, double sigma_px, double gain, aid_source *source)
{
    double sigma = AID_CLAMP(sigma_px, 0.4, (MAX_WINDOW_SIDE / 2 - 2) / window_reach);
    double begin_x = source->x_win, begin_y = source->y_win, farthest = 1.0 + 1.5 * sigma;
    double x = begin_x, y = begin_y;
    source->flags |= AID_SOURCE_NO_WINDOW;
    source->x_win_err = source->x_err;
    source->y_win_err = source->y_err;
    for (int iteration = 0; iteration < window_iterations; iteration++) {
        window_sums sums = sum_window(cutout, x, y, sigma);
        if (!(sums.flux > 0.0))
            return;
        double step_x = 2.0 * sums.x / sums.flux, step_y = 2.0 * sums.y / sums.flux;
        x += step_x;
        y += step_y;
        if (!(hypot(x - begin_x, y - begin_y) < farthest))
            return;
        if (step_x * step_x + step_y * step_y >= window_step_px * window_step_px)
            continue;
        source->flags &= ~(unsigned)AID_SOURCE_NO_WINDOW;
        source->x_win = x;
        source->y_win = y;
        double mean = 0.5 * (sums.xx + sums.yy) / sums.flux;
        source->fwhm_px = 2.354820045030949 * sqrt(without_window(mean, sigma * sigma));
        set_window_errors(cutout, sigma, gain, &sums, source);
        return;
    }
}
