#include "core/imaging/psf.h"

#include "core/base/macros.h"
#include "core/imaging/psf_internal.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double pi = 3.14159265358979323846;

int aid_psf_terms_of_degree(int degree)
{
    return (degree + 1) * (degree + 2) / 2;
}

void aid_psf_terms(int degree, double u, double v, double terms[AID_PSF_MAX_TERMS])
{
    int k = 0;
    double u_power[AID_PSF_MAX_DEGREE + 1] = {1.0}, v_power[AID_PSF_MAX_DEGREE + 1] = {1.0};
    for (int i = 1; i <= degree; i++) {
        u_power[i] = u_power[i - 1] * u;
        v_power[i] = v_power[i - 1] * v;
    }
    for (int total = 0; total <= degree; total++)
        for (int j = 0; j <= total; j++)
            terms[k++] = u_power[total - j] * v_power[j];
}

void aid_psf_terms_at(const aid_psf *psf, double x, double y, double terms[AID_PSF_MAX_TERMS])
{
    aid_psf_terms(psf->degree, (x - psf->x0) / psf->scale_x, (y - psf->y0) / psf->scale_y, terms);
}

double aid_psf_polynomial(const double *coefficients, const double *terms, int count)
{
    double sum = 0.0;
    for (int i = 0; i < count; i++)
        sum += coefficients[i] * terms[i];
    return sum;
}

/* ------------------------------------------------------------------------ the model at a place */

AID_HOT
static void add_plane(const double *restrict plane, double factor, int count, double *restrict sum)
{
    for (int i = 0; i < count; i++)
        sum[i] += factor * plane[i];
}

void aid_psf_place_at(const aid_psf *psf, double x, double y, psf_place *ret_place)
{
    double terms[AID_PSF_MAX_TERMS];
    aid_psf_terms_at(psf, x, y, terms);
    int count = psf->side * psf->side;
    memset(ret_place->plane, 0, (size_t)count * sizeof *ret_place->plane);
    for (int t = 0; count > 0 && t < psf->terms; t++)
        add_plane(psf->coefficients + (size_t)t * (size_t)count, terms[t], count, ret_place->plane);

    double log_scale = aid_psf_polynomial(psf->log_scale, terms, psf->terms);
    double g1 = aid_psf_polynomial(psf->g1, terms, psf->terms);
    double g2 = aid_psf_polynomial(psf->g2, terms, psf->terms);
    double g = hypot(g1, g2), c = cosh(2.0 * g), ratio = g > 1e-8 ? sinh(2.0 * g) / g : 2.0;
    double inverse_area = exp(-2.0 * log_scale);
    ret_place->xx = inverse_area * (c - ratio * g1);
    ret_place->xy = -inverse_area * ratio * g2;
    ret_place->yy = inverse_area * (c + ratio * g1);
    ret_place->shift_x = aid_psf_polynomial(psf->shift_x, terms, psf->terms);
    ret_place->shift_y = aid_psf_polynomial(psf->shift_y, terms, psf->terms);
}

void aid_psf_spline_weights(double position, int side, int *ret_first, double weights[4])
{
    double whole = floor(position), t = position - whole, r = 1.0 - t;
    double inside[4] = {r * r * r / 6.0, (4.0 - 3.0 * t * t * (2.0 - t)) / 6.0,
                        (4.0 - 3.0 * r * r * (2.0 - r)) / 6.0, t * t * t / 6.0};
    memset(weights, 0, 4 * sizeof *weights);
    *ret_first = 0;
    if (whole < -2.0 || whole > side + 1.0)
        return;
    int first = (int)whole - 1;
    *ret_first = AID_CLAMP(first, 0, side - 4);
    for (int i = 0; i < 4; i++) {
        int slot = first + i - *ret_first;
        if (slot >= 0 && slot < 4)
            weights[slot] = inside[i];
    }
}

enum { SAMPLE_CHUNK = 64 };

/* How far the points of one row of the grid are from the middle, in the PSF's own measure. */
AID_HOT static void measure_row(const psf_place *place, const psf_grid *grid, double y,
                                double *restrict distances)
{
    double xx = place->xx, xy = place->xy, yy = place->yy, x0 = grid->x, step = grid->step;
    for (int i = 0; i < grid->width; i++) {
        double x = x0 + i * step;
        double s2 = xx * x * x + 2.0 * xy * x * y + yy * y * y;
        distances[i] = sqrt(AID_MAX(s2, 0.0));
    }
}

/* Cubic interpolation through four neighbours of the table; T is even in s, hence the mirror. What
 * lies beyond interval `end` gets any value. */
AID_HOT static void interpolate_profile(const double *restrict profile, int end, double rate,
                                        const double *restrict distances, int count,
                                        double *restrict values)
{
    for (int k = 0; k < count; k++) {
        double position = AID_MIN(distances[k] * rate, (double)end);
        int whole = (int)position, i = AID_MIN(whole, end - 1), mirrored = i > 0 ? i - 1 : 1;
        double p0 = profile[i], p1 = profile[i + 1], p2 = profile[i + 2];
        double t = position - i, before = profile[mirrored];
        double slope = 0.5 * (p1 - before), next_slope = 0.5 * (p2 - p0), rise = p1 - p0;
        values[k] = p0 + t * (slope + t * (3.0 * rise - 2.0 * slope - next_slope +
                                           t * (slope + next_slope - 2.0 * rise)));
    }
}

static void sample_row(const aid_psf *psf, const psf_place *place, const psf_grid *grid, double y,
                       double *values)
{
    double distances[SAMPLE_CHUNK];
    int end = psf->profile_count - 3, count = grid->width;
    measure_row(place, grid, y, distances);
    if (end > 0)
        interpolate_profile(psf->profile, end, psf->profile_rate, distances, count, values);
    for (int i = 0; i < count; i++)
        if (!(distances[i] * psf->profile_rate < end))
            values[i] = pow(1.0 + distances[i] * distances[i], -psf->beta);
}

static void sample_profile(const aid_psf *psf, const psf_place *place, const psf_grid *grid,
                           double *values)
{
    for (int begin = 0; begin < grid->width; begin += SAMPLE_CHUNK) {
        psf_grid part = *grid;
        part.x += begin * grid->step;
        part.width = AID_MIN(SAMPLE_CHUNK, grid->width - begin);
        for (int j = 0; j < grid->height; j++)
            sample_row(psf, place, &part, grid->y + j * grid->step,
                       values + j * grid->width + begin);
    }
}

static void add_line(const double *restrict line, const int *restrict first,
                     const double (*restrict weights)[4], int width, double *restrict values)
{
    for (int i = 0; i < width; i++) {
        const double *node = line + first[i], *w = weights[i];
        values[i] += (w[0] * node[0] + w[1] * node[1]) + (w[2] * node[2] + w[3] * node[3]);
    }
}

/* All points of a column share their weights in x, all of a row those in y. */
static void sample_plane(const aid_psf *psf, const psf_place *place, const psf_grid *grid,
                         double *values)
{
    int side = psf->side, first[SAMPLE_CHUNK];
    double weights[SAMPLE_CHUNK][4], centre = side / 2;
    for (int begin = 0; begin < grid->width; begin += SAMPLE_CHUNK) {
        int count = AID_MIN(SAMPLE_CHUNK, grid->width - begin);
        for (int i = 0; i < count; i++) {
            double x = grid->x + (begin + i) * grid->step;
            aid_psf_spline_weights(centre + x * psf->oversampling, side, first + i, weights[i]);
        }
        for (int j = 0; j < grid->height; j++) {
            double line[PSF_MAX_SIDE] = {0}, row_weights[4];
            int row;
            double y = grid->y + j * grid->step;
            aid_psf_spline_weights(centre + y * psf->oversampling, side, &row, row_weights);
            for (int k = 0; k < 4; k++)
                add_plane(place->plane + (row + k) * side, row_weights[k], side, line);
            add_line(line, first, (const double(*)[4])weights, count,
                     values + j * grid->width + begin);
        }
    }
}

void aid_psf_sample(const aid_psf *psf, const psf_place *place, const psf_grid *grid,
                    double *values)
{
    sample_profile(psf, place, grid, values);
    if (psf->side > 0)
        sample_plane(psf, place, grid, values);
}

/* 1 inside, a smooth step to 0 over the last two pixels. */
static double taper(double r2, int radius)
{
    double inner = AID_MAX(radius - 1.5, 0.0), outer = radius + 0.5;
    if (r2 <= inner * inner)
        return 1.0;
    if (r2 >= outer * outer)
        return 0.0;
    double t = (outer - sqrt(r2)) / (outer - inner);
    return t * t * (3.0 - 2.0 * t);
}

void aid_psf_stamp(const aid_psf *psf, double x, double y, double dx, double dy, int radius,
                   float *stamp)
{
    assert(radius >= 0 && radius <= psf->radius_px);
    enum { MAX_SIDE = 2 * AID_PSF_MAX_RADIUS + 1 };
    int side = 2 * radius + 1;
    psf_place place;
    aid_psf_place_at(psf, x, y, &place);
    double values[MAX_SIDE * MAX_SIDE], sum = 0.0;
    psf_grid grid = {place.shift_x - radius - dx, place.shift_y - radius - dy, 1.0, side, side};
    aid_psf_sample(psf, &place, &grid, values);
    for (int j = 0; j < side; j++)
        for (int i = 0; i < side; i++) {
            double r2 = (double)((i - radius) * (i - radius) + (j - radius) * (j - radius));
            values[j * side + i] *= taper(r2, radius);
            sum += values[j * side + i];
        }
    double scale = sum > 0.0 ? 1.0 / sum : 0.0;
    for (int i = 0; i < side * side; i++)
        stamp[i] = (float)(values[i] * scale);
}

/* ----------------------------------------------------------------------------------- isophote */

enum { ISOPHOTE_SIDE = 97 };

/* How much of the cell around sample i lies above `level`: the edge is a straight line there. */
static double coverage(const double *values, int i, double level)
{
    double gx = 0.5 * (values[i + 1] - values[i - 1]);
    double gy = 0.5 * (values[i + ISOPHOTE_SIDE] - values[i - ISOPHOTE_SIDE]);
    double slope = hypot(gx, gy), excess = values[i] - level;
    if (slope <= 0.0)
        return excess > 0.0 ? 1.0 : 0.0;
    return AID_CLAMP(0.5 + excess / slope, 0.0, 1.0);
}

/* One look at a grid of half-width `half`: false when the isophote reaches its border. */
static bool measure_isophote(const aid_psf *psf, const psf_place *place, double half,
                             psf_isophote *ret_isophote)
{
    double values[ISOPHOTE_SIDE * ISOPHOTE_SIDE], step = 2.0 * half / (ISOPHOTE_SIDE - 1);
    psf_grid grid = {-half, -half, step, ISOPHOTE_SIDE, ISOPHOTE_SIDE};
    aid_psf_sample(psf, place, &grid, values);
    double peak = 0.0, area = 0.0, x1 = 0.0, y1 = 0.0, x2 = 0.0, xy = 0.0, y2 = 0.0;
    for (int i = 0; i < ISOPHOTE_SIDE * ISOPHOTE_SIDE; i++)
        peak = AID_MAX(peak, values[i]);
    for (int j = 1; j < ISOPHOTE_SIDE - 1; j++)
        for (int i = 1; i < ISOPHOTE_SIDE - 1; i++) {
            double c = coverage(values, j * ISOPHOTE_SIDE + i, 0.5 * peak);
            double x = -half + i * step, y = -half + j * step;
            area += c, x1 += c * x, y1 += c * y;
            x2 += c * x * x, xy += c * x * y, y2 += c * y * y;
            if (c > 0.0 && (i == 1 || j == 1 || i == ISOPHOTE_SIDE - 2 || j == ISOPHOTE_SIDE - 2))
                return false;
        }
    x1 /= area, y1 /= area;
    x2 = x2 / area - x1 * x1, xy = xy / area - x1 * y1, y2 = y2 / area - y1 * y1;
    double mean = 0.5 * (x2 + y2), spread = hypot(0.5 * (x2 - y2), xy);
    ret_isophote->fwhm_px = 2.0 * step * sqrt(area / pi);
    ret_isophote->ellipticity = 1.0 - sqrt(AID_MAX(mean - spread, 0.0) / (mean + spread));
    ret_isophote->theta_deg = 0.5 * atan2(2.0 * xy, x2 - y2) * 180.0 / pi;
    return true;
}

psf_isophote aid_psf_isophote_at(const aid_psf *psf, double x, double y)
{
    psf_place place;
    aid_psf_place_at(psf, x, y, &place);
    /* The major half axis of the Moffat function's own half-maximum ellipse, and some room. */
    double mean = 0.5 * (place.xx + place.yy);
    double spread = hypot(0.5 * (place.xx - place.yy), place.xy);
    double half = 1.5 * sqrt((exp2(1.0 / psf->beta) - 1.0) / AID_MAX(mean - spread, 1e-6));
    psf_isophote isophote = {NAN, NAN, NAN};
    for (int attempt = 0; attempt < 4 && !measure_isophote(psf, &place, half, &isophote); attempt++)
        half *= 1.6;
    return isophote;
}

double aid_psf_fwhm(const aid_psf *psf, double x, double y)
{
    return aid_psf_isophote_at(psf, x, y).fwhm_px;
}

void aid_psf_windowed_centroid(const aid_psf *psf, const psf_place *place, double fwhm_px,
                               double *ret_x, double *ret_y)
{
    enum { SIDE = 49 };
    double values[SIDE * SIDE], half = 2.0 * fwhm_px, step = 2.0 * half / (SIDE - 1);
    psf_grid grid = {-half, -half, step, SIDE, SIDE};
    aid_psf_sample(psf, place, &grid, values);
    double sigma = fwhm_px / 2.3548, x = 0.0, y = 0.0;
    for (int iteration = 0; iteration < 20; iteration++) {
        double sum = 0.0, sum_x = 0.0, sum_y = 0.0, window_x[SIDE], window_y[SIDE];
        for (int i = 0; i < SIDE; i++) {
            double rx = (-half + i * step - x) / sigma, ry = (-half + i * step - y) / sigma;
            window_x[i] = exp(-0.5 * rx * rx);
            window_y[i] = exp(-0.5 * ry * ry);
        }
        for (int j = 0; j < SIDE; j++)
            for (int i = 0; i < SIDE; i++) {
                double weight = values[j * SIDE + i] * window_x[i] * window_y[j];
                sum += weight;
                sum_x += weight * (-half + i * step - x);
                sum_y += weight * (-half + j * step - y);
            }
        if (!(sum > 0.0))
            break;
        /* Twice the mean: the window halves the lever (SExtractor manual, XWIN_IMAGE). */
        double move_x = 2.0 * sum_x / sum, move_y = 2.0 * sum_y / sum;
        x = AID_CLAMP(x + move_x, -fwhm_px, fwhm_px);
        y = AID_CLAMP(y + move_y, -fwhm_px, fwhm_px);
        if (hypot(move_x, move_y) < 1e-6)
            break;
    }
    *ret_x = x;
    *ret_y = y;
}

void aid_psf_done(aid_psf *psf)
{
    free(psf->profile);
    free(psf->coefficients);
    *psf = (aid_psf){0};
}
