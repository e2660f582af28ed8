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
    sum->bad += cutout->state[at] & AID_CUTOUT_BAD ? weight : 0.0;
    if (cutout->state[at] & AID_CUTOUT_MISSING)
        return;
    sum->flux += weight * (double)cutout->values[at];
    sum->area += weight;
    sum->variance_area += rim == AID_RIM_EXACT ? weight * weight : weight;
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

/* The share of points x points of a pixel that lie within the circle. */
static double share_of_points(double dx, double dy, double radius, int points)
{
    int inside = 0;
    for (int v = 0; v < points; v++)
        for (int u = 0; u < points; u++) {
            double x = dx + (u + 0.5) / points - 0.5, y = dy + (v + 0.5) / points - 0.5;
            inside += x * x + y * y < radius * radius ? 1 : 0;
        }
    return inside / (double)(points * points);
}

/* Those of SExtractor. */
static const int aperture_points = 5, window_points = 11;

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
                             : share_of_points(dx, dy, radius_px, aperture_points);
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

enum { MAX_RINGS = 2048 };

/* A pixel at distance d fills the radii d - 1/2 to d + 1/2 evenly, and rings are a pixel wide. */
static void spread_over_rings(double value, double begin, double *light)
{
    int ring = begin > 0.0 ? (int)begin : 0;
    double share = begin > 0.0 ? begin - ring : 0.0;
    light[ring] += value * (1.0 - share);
    light[ring + 1] += value * share;
}

static double radius_by_rings(const aid_cutout *cutout, double wanted, double reach_px)
{
    double light[MAX_RINGS];
    double rate = AID_MIN(1.0, (MAX_RINGS - 2) / reach_px), farthest = reach_px + 0.5;
    int rings = (int)ceil(reach_px * rate);
    memset(light, 0, ((size_t)rings + 1) * sizeof *light);
    box at = box_around(cutout, cutout->x, cutout->y, farthest);
    for (int32_t j = at.y0; j <= at.y1; j++) {
        const float *row = cutout->values + (int64_t)j * cutout->side;
        double dy = j + cutout->y0 - cutout->y;
        for (int32_t i = at.x0; i <= at.x1; i++) {
            double dx = i + cutout->x0 - cutout->x, r2 = dx * dx + dy * dy;
            if (r2 < farthest * farthest)
                spread_over_rings((double)row[i], (sqrt(r2) - 0.5) * rate, light);
        }
    }
    double inside = 0.0;
    for (int ring = 0; ring < rings; ring++) {
        if (inside + light[ring] >= wanted)
            return (ring + (wanted - inside) / light[ring]) / rate;
        inside += light[ring];
    }
    return reach_px;
}

/* As SExtractor does: circles in 64 steps, a straight line between two of them. */
static double radius_by_steps(const aid_cutout *cutout, double wanted, double reach_px)
{
    enum { STEPS = 64 };
    double before = 0.0;
    for (int step = 1; step <= STEPS; step++) {
        double radius = reach_px * step / STEPS;
        double inside =
            aid_sum_circle(cutout, cutout->x, cutout->y, radius, AID_RIM_SEXTRACTOR).flux;
        if (inside >= wanted)
            return reach_px / STEPS * (step - 1 + (wanted - before) / (inside - before));
        before = inside;
    }
    return reach_px;
}

/* Rings tell about where; then the circle itself, by secants. */
double aid_half_light_radius(const aid_cutout *cutout, double total, double reach_px, aid_rim rim)
{
    enum { STEPS = 6 };
    if (!(total > 0.0))
        return NAN;
    if (rim == AID_RIM_SEXTRACTOR)
        return radius_by_steps(cutout, 0.5 * total, reach_px);
    double wanted = 0.5 * total, radius = radius_by_rings(cutout, wanted, reach_px);
    if (radius >= reach_px)
        return reach_px;
    double before = AID_MAX(radius - 0.25, 0.5 * radius);
    double flux_before = aid_sum_circle(cutout, cutout->x, cutout->y, before, rim).flux;
    for (int step = 0; step < STEPS; step++) {
        double flux = aid_sum_circle(cutout, cutout->x, cutout->y, radius, rim).flux;
        double slope = (flux - flux_before) / (radius - before);
        if (!(slope > 0.0))
            return radius;
        double next = AID_CLAMP(radius + (wanted - flux) / slope, 0.5 * radius, 2.0 * radius);
        if (fabs(next - radius) < 1e-4)
            return next;
        before = radius;
        flux_before = flux;
        radius = next;
    }
    return AID_MIN(radius, reach_px);
}

/* ---------------------------------------------------------------------------------------- window
 */

static const double window_reach = 4.0;               /* sigma */
static const double narrowest_window_px = 1.0 / 2.35; /* as in SExtractor */
static const double window_step_px = 2e-4; /* smaller steps end the iteration, as in SExtractor */
static const int window_iterations = 16;
enum { MAX_WINDOW_SIDE = 1024 };

/* Its centre and the columns that it may reach, in the cutout. */
typedef struct aid_window {
    double u, sigma_px;
    int32_t first, last;
    bool points;
} aid_window;

typedef struct window_sums {
    double flux, x, y, xx, yy; /* about the window's centre */
} window_sums;

/* Pixels on the rim of the window count wholly, or by SExtractor's points. */
static void add_window_row(const aid_window *window, const float *row, const double *wx, double dy,
                           double half_chord, window_sums *sums)
{
    double sigma = window->sigma_px, reach = window_reach * sigma;
    double wy = exp(-0.5 * dy * dy / (sigma * sigma)), flux = 0.0, first = 0.0, second = 0.0;
    int32_t begin = (int32_t)AID_MAX(ceil(window->u - half_chord), window->first);
    int32_t end = (int32_t)AID_MIN(floor(window->u + half_chord), window->last);
    for (int32_t i = begin; i <= end; i++) {
        double dx = i - window->u, value = (double)row[i] * wx[i - window->first];
        if (window->points)
            value *= share_of_points(dx, dy, reach, window_points);
        flux += value;
        first += value * dx;
        second += value * dx * dx;
    }
    sums->flux += wy * flux;
    sums->x += wy * first;
    sums->y += wy * flux * dy;
    sums->xx += wy * second;
    sums->yy += wy * flux * dy * dy;
}

static window_sums sum_window(const aid_cutout *cutout, double x, double y, double sigma,
                              bool points)
{
    double reach = window_reach * sigma, wx[MAX_WINDOW_SIDE], wider = points ? 1.0 : 0.0;
    box at = box_around(cutout, x, y, reach + wider);
    aid_window window = {
        .u = x - cutout->x0, .sigma_px = sigma, .first = at.x0, .last = at.x1, .points = points};
    window_sums sums = {0};
    for (int32_t i = at.x0; i <= at.x1; i++)
        wx[i - at.x0] = exp(-0.5 * (i - window.u) * (i - window.u) / (sigma * sigma));
    for (int32_t j = at.y0; j <= at.y1; j++) {
        double dy = j + cutout->y0 - y, nearest = AID_MAX(fabs(dy) - wider, 0.0);
        double half_chord = sqrt(AID_MAX(reach * reach - nearest * nearest, 0.0)) + wider;
        add_window_row(&window, cutout->values + (int64_t)j * cutout->side, wx, dy, half_chord,
                       &sums);
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

/* false where the window does not settle near where it began; *ret_sums are of the last one. */
static bool follow_window(const aid_cutout *cutout, double sigma, bool points, double *x, double *y,
                          window_sums *ret_sums)
{
    double begin_x = *x, begin_y = *y, farthest = points ? INFINITY : 1.0 + 1.5 * sigma;
    for (int iteration = 0; iteration < window_iterations; iteration++) {
        *ret_sums = sum_window(cutout, *x, *y, sigma, points);
        if (!(ret_sums->flux > 0.0))
            return false;
        double step_x = 2.0 * ret_sums->x / ret_sums->flux;
        double step_y = 2.0 * ret_sums->y / ret_sums->flux;
        *x += step_x;
        *y += step_y;
        if (!(hypot(*x - begin_x, *y - begin_y) < farthest))
            return false;
        if (step_x * step_x + step_y * step_y < window_step_px * window_step_px)
            return true;
    }
    return points; /* SExtractor takes what it has come to */
}

void aid_measure_window(const aid_cutout *cutout, double sigma_px, const aid_field *field,
                        aid_source *source)
{
    double sigma =
        AID_CLAMP(sigma_px, narrowest_window_px, (MAX_WINDOW_SIDE / 2 - 2) / window_reach);
    bool sextractor = field->options->rim == AID_RIM_SEXTRACTOR;
    double x = source->x_win, y = source->y_win;
    window_sums sums;
    source->x_win_err = source->x_err;
    source->y_win_err = source->y_err;
    if (!follow_window(cutout, sigma, sextractor, &x, &y, &sums)) {
        source->flags |= AID_SOURCE_NO_WINDOW;
        return;
    }
    source->x_win = x;
    source->y_win = y;
    double mean = 0.5 * (sums.xx + sums.yy) / sums.flux;
    source->fwhm_px = 2.354820045030949 * sqrt(without_window(mean, sigma * sigma));
    set_window_errors(cutout, sigma, field->gain, &sums, source);
}
