/* One candidate: where, how bright, what shape, and how well a PSF describes it. */
#include "core/imaging/stats.h"
#include "domain/detection/internal.h"

#include <math.h>
#include <stdlib.h>

enum { MAX_RADIUS = 48, MAX_SIDE = 2 * MAX_RADIUS + 1 };
static const double degrees = 57.29577951308232;

/* Vertex of the parabola through three values at -1, 0, 1, kept within half a pixel. */
static double vertex(double before, double at, double after)
{
    double curvature = before - 2.0 * at + after;
    if (!(fabs(curvature) > 0.0))
        return 0.0;
    return AID_CLAMP(0.5 * (before - after) / curvature, -0.5, 0.5);
}

/* The flux map near its peak is the PSF's autocorrelation: a parabola on each axis. */
static void refine_position(const aid_image *flux, int x, int y, aid_candidate *candidate)
{
    double dx = 0.0, dy = 0.0, at = (double)aid_image_row(flux, y)[x], value = at;
    if (x > 0 && y > 0 && x + 1 < flux->width && y + 1 < flux->height) {
        double left = (double)aid_image_row(flux, y)[x - 1];
        double right = (double)aid_image_row(flux, y)[x + 1];
        double below = (double)aid_image_row(flux, y - 1)[x];
        double above = (double)aid_image_row(flux, y + 1)[x];
        dx = vertex(left, at, right);
        dy = vertex(below, at, above);
        value = at - 0.25 * dx * (left - right) - 0.25 * dy * (below - above);
    }
    candidate->x = x + dx + 1.0; /* FITS pixels */
    candidate->y = y + dy + 1.0;
    candidate->flux = value;
}

/* ------------------------------------------------------------------------- local background --- */

static void measure_surroundings(const aid_scene *scene, int x, int y, aid_candidate *candidate)
{
    const aid_image *image = &scene->difference->difference;
    float values[MAX_SIDE * MAX_SIDE];
    double inner = 2.0 * scene->fwhm_px, outer = AID_MIN(4.5 * scene->fwhm_px, MAX_RADIUS);
    int reach = (int)outer, count = 0;
    for (int j = AID_MAX(y - reach, 0); j <= AID_MIN(y + reach, image->height - 1); j++) {
        const uint8_t *mask = aid_mask_row(&scene->difference->mask, j);
        for (int i = AID_MAX(x - reach, 0); i <= AID_MIN(x + reach, image->width - 1); i++) {
            double distance = hypot(i - x, j - y);
            if (distance >= inner && distance <= outer && !mask[i])
                values[count++] = aid_image_row(image, j)[i];
        }
    }
    candidate->background = 0.0;
    candidate->noise = scene->difference->noise_difference;
    if (count >= 30) {
        aid_robust around = aid_robust_in_place(values, count);
        candidate->background = around.median;
        candidate->noise = AID_MAX(around.sigma, 0.5 * candidate->noise);
    }
    candidate->peak = (double)aid_image_row(image, y)[x];
}

/* ------------------------------------------------------------------------------------- shape ---
 */

/* Gaussian-weighted second moments of D (of its sign). */
static void measure_shape(const aid_scene *scene, int x, int y, aid_candidate *candidate)
{
    const aid_image *image = &scene->difference->difference;
    double width = scene->fwhm_px / 2.355, w = 1.5 * width * width, sum = 0.0;
    double cx = candidate->x - 1.0, cy = candidate->y - 1.0, xx = 0.0, yy = 0.0, xy = 0.0;
    int reach = AID_MIN((int)ceil(2.0 * scene->fwhm_px), MAX_RADIUS);
    for (int j = AID_MAX(y - reach, 0); j <= AID_MIN(y + reach, image->height - 1); j++)
        for (int i = AID_MAX(x - reach, 0); i <= AID_MIN(x + reach, image->width - 1); i++) {
            double dx = i - cx, dy = j - cy;
            double value =
                candidate->polarity * ((double)aid_image_row(image, j)[i] - candidate->background);
            double weight = value * exp(-0.5 * (dx * dx + dy * dy) / w);
            sum += weight;
            xx += weight * dx * dx;
            yy += weight * dy * dy;
            xy += weight * dx * dy;
        }
    candidate->fwhm_px = candidate->ellipticity = candidate->theta_deg = NAN;
    if (!(sum > 0.0))
        return;
    aid_shape_from_moments(xx / sum, yy / sum, xy / sum, w, candidate);
}

void aid_shape_from_moments(double xx, double yy, double xy, double w, aid_candidate *candidate)
{
    candidate->fwhm_px = candidate->ellipticity = candidate->theta_deg = NAN;
    double det = xx * yy - xy * xy;
    if (!(det > 0.0 && xx > 0.0))
        return;
    double ixx = yy / det - 1.0 / w, iyy = xx / det - 1.0 / w, ixy = -xy / det;
    double idet = ixx * iyy - ixy * ixy;
    if (!(idet > 0.0 && ixx > 0.0))
        return;
    xx = iyy / idet, yy = ixx / idet, xy = -ixy / idet;
    double mean = 0.5 * (xx + yy), half = hypot(0.5 * (xx - yy), xy);
    double a = sqrt(mean + half), b = sqrt(AID_MAX(mean - half, 0.0));
    candidate->fwhm_px = 2.355 * sqrt(mean);
    candidate->ellipticity = 1.0 - b / a;
    candidate->theta_deg = 0.5 * atan2(2.0 * xy, xx - yy) * degrees;
}

/* -------------------------------------------------------------------------------- fit of a PSF ---
 */

/* Value of a stamp at a place off its centre; bilinear, 0 outside. */
static double stamp_at(const aid_image *stamp, double dx, double dy)
{
    double x = dx + stamp->width / 2, y = dy + stamp->height / 2; /* odd sides: integer centre */
    int i = (int)floor(x), j = (int)floor(y);
    if (i < 0 || j < 0 || i + 1 >= stamp->width || j + 1 >= stamp->height)
        return 0.0;
    double u = x - i, v = y - j;
    const float *low = aid_image_row(stamp, j) + i, *high = aid_image_row(stamp, j + 1) + i;
    return (1.0 - v) * ((1.0 - u) * (double)low[0] + u * (double)low[1]) +
           v * ((1.0 - u) * (double)high[0] + u * (double)high[1]);
}

typedef struct template_fit {
    double amplitude, significance, chi2;
    int pixels;
} template_fit;

/* D is white, so that the fit of one template is a plain sum over pixels. */
static template_fit fit_template(const aid_scene *scene, const aid_image *stamp, double cx,
                                 double cy, const aid_candidate *candidate)
{
    const aid_image *image = &scene->difference->difference;
    double radius = AID_CLAMP(1.5 * scene->fwhm_px, 2.5, 20.0);
    double product = 0.0, square = 0.0, total = 0.0;
    template_fit fit = {0};
    int x0 = AID_MAX((int)ceil(cx - radius), 0);
    int x1 = AID_MIN((int)floor(cx + radius), image->width - 1);
    int y0 = AID_MAX((int)ceil(cy - radius), 0);
    int y1 = AID_MIN((int)floor(cy + radius), image->height - 1);
    for (int j = y0; j <= y1; j++)
        for (int i = x0; i <= x1; i++) {
            if (hypot(i - cx, j - cy) > radius)
                continue;
            double value = (double)aid_image_row(image, j)[i] - candidate->background;
            double model = stamp_at(stamp, i - cx, j - cy);
            product += value * model;
            square += model * model;
            total += value * value;
            fit.pixels++;
        }
    if (square > 0.0) {
        fit.amplitude = product / square;
        fit.significance = fabs(product) / (sqrt(square) * candidate->noise);
        fit.chi2 = (total - product * product / square) /
                   (candidate->noise * candidate->noise * AID_MAX(fit.pixels - 1, 1));
    }
    return fit;
}

/* A cosmic ray is one pixel wide before the filters: the best of the nine places around the peak.
 */
static double pixel_significance(const aid_scene *scene, int x, int y,
                                 const aid_candidate *candidate)
{
    const aid_image *stamp = candidate->polarity > 0 ? &scene->difference->psf_science_pixel
                                                     : &scene->difference->psf_reference_pixel;
    double best = 0.0;
    for (int j = -1; j <= 1; j++)
        for (int i = -1; i <= 1; i++)
            best = AID_MAX(best, fit_template(scene, stamp, x + i, y + j, candidate).significance);
    return best;
}

int64_t aid_connected_pixels(const aid_image *score, int x, int y, int polarity)
{
    enum { SIDE = 65, HALF = SIDE / 2 };
    bool seen[SIDE * SIDE] = {false};
    short stack[SIDE * SIDE];
    int depth = 0;
    int64_t count = 0;
    stack[depth++] = HALF * SIDE + HALF;
    seen[HALF * SIDE + HALF] = true;
    while (depth > 0) {
        int cell = stack[--depth];
        count++;
        const int step[4][2] = {{1, 0}, {-1, 0}, {0, 1}, {0, -1}};
        for (int k = 0; k < 4; k++) {
            int i = cell % SIDE + step[k][0], j = cell / SIDE + step[k][1];
            int px = x + i - HALF, py = y + j - HALF;
            if (i < 0 || j < 0 || i >= SIDE || j >= SIDE || px < 0 || py < 0 ||
                px >= score->width || py >= score->height || seen[j * SIDE + i])
                continue;
            seen[j * SIDE + i] = true;
            if ((float)polarity * aid_image_row(score, py)[px] > 2.5F)
                stack[depth++] = (short)(j * SIDE + i);
        }
    }
    return count;
}

/* ----------------------------------------------------------------------------------- on the sky
 * --- */

void aid_place_on_sky(const aid_exposure *science, aid_candidate *candidate)
{
    double x = candidate->x - 1.0, y = candidate->y - 1.0, north, east;
    candidate->ra_deg = candidate->dec_deg = candidate->position_angle_deg = NAN;
    candidate->mag = candidate->mag_err = NAN;
    if (science->wcs)
        (void)aid_wcs_pixel_to_radec(science->wcs, x, y, &candidate->ra_deg, &candidate->dec_deg);
    if (science->wcs && aid_wcs_directions(science->wcs, x, y, &north, &east) &&
        isfinite(candidate->theta_deg)) {
        double turn = sin((east - north) / degrees) > 0.0 ? 1.0 : -1.0;
        double angle = fmod(turn * (candidate->theta_deg - north), 180.0);
        candidate->position_angle_deg = angle < 0.0 ? angle + 180.0 : angle;
    }
    if (isfinite(science->zero_point) && candidate->flux != 0.0) {
        candidate->mag = science->zero_point - 2.5 * log10(fabs(candidate->flux));
        candidate->mag_err = 1.0857362047581296 * candidate->flux_err / fabs(candidate->flux);
    }
}

void aid_measure_candidate(const aid_scene *scene, int x, int y, aid_candidate *candidate)
{
    const aid_difference *difference = scene->difference;
    refine_position(&difference->flux, x, y, candidate);
    double error = (double)aid_image_row(&difference->flux_err, y)[x];
    /* A source that faded has fewer photons than the error map expects. */
    double photons = scene->photon_factor * candidate->flux;
    candidate->flux_err = sqrt(AID_MAX(error * error + photons, 0.25 * error * error));
    candidate->snr = fabs(candidate->flux) / candidate->flux_err;
    candidate->motion = (double)aid_image_row(&difference->motion, y)[x];
    measure_surroundings(scene, x, y, candidate);
    measure_shape(scene, x, y, candidate);
    template_fit psf =
        fit_template(scene, &difference->psf, candidate->x - 1.0, candidate->y - 1.0, candidate);
    candidate->chi2 = psf.chi2;
    candidate->cosmic_ray_ratio =
        psf.significance > 0.0 ? pixel_significance(scene, x, y, candidate) / psf.significance
                               : NAN;
    candidate->npix = aid_connected_pixels(&difference->score, x, y, candidate->polarity);
    aid_place_on_sky(scene->science, candidate);
}
