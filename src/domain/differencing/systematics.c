/* Variance that is not noise: registration error and PSF error, both from the reference alone, so
 * that a transient does not raise its own threshold. */
#include "core/base/memory.h"
#include "core/imaging/stats.h"
#include "domain/differencing/internal.h"

#include <math.h>
#include <stdlib.h>

enum { BAND = 64, WING_CELL = 4, MAX_BRIGHT = 600 };

/* The scatter of the stars beyond what their photons explain: a centroid of S/N s is known to
 * FWHM/(2.355 s) on each axis. Robust: the median of the excess over bright stars, at least 0.01.
 */
static double excess_scatter(const aid_photometric_match *match, double fwhm, bool along_y)
{
    double values[MAX_BRIGHT], expected[MAX_BRIGHT];
    int count = 0;
    for (int i = 0; i < match->count && count < MAX_BRIGHT; i++) {
        const aid_matched_star *star = &match->stars[i];
        if (!star->used || star->ratio_err > 0.035 * fabs(star->ratio))
            continue; /* S/N 40 in both */
        values[count] = along_y ? star->dy : star->dx;
        expected[count++] = fwhm / 2.355 * star->ratio_err / fabs(star->ratio);
    }
    if (count < 8)
        return NAN;
    double scatter = aid_robust_in_place_f64(values, count).sigma;
    double photons = aid_median_in_place_f64(expected, count);
    return sqrt(AID_MAX(scatter * scatter - photons * photons, 1e-4));
}

static void measure_astrometric_noise(const aid_difference_options *options, double fwhm,
                                      aid_difference *difference)
{
    double given = options->registration_px;
    double x = isfinite(given) ? given : excess_scatter(&difference->match, fwhm, false);
    double y = isfinite(given) ? given : excess_scatter(&difference->match, fwhm, true);
    difference->astrometric_x_px = isfinite(x) ? x : 0.03; /* too few stars to tell */
    difference->astrometric_y_px = isfinite(y) ? y : 0.03;
}

typedef struct systematics_job {
    aid_maps *maps;
    aid_difference *difference;
    double variance_x, variance_y; /* px^2 */
    const aid_mesh *wings;         /* blurred |S_R| */
} systematics_job;

/* V += sx^2 (dS_R/dx)^2 + sy^2 (dS_R/dy)^2, central differences. */
static aid_status add_astrometric_variance(void *context, int64_t band, int worker, aid_error *err)
{
    (void)worker;
    (void)err;
    const systematics_job *job = context;
    const aid_image *reference = &job->maps->flux_reference;
    int64_t begin, end;
    aid_band_range(reference->height, BAND, band, &begin, &end);
    for (int y = (int)begin; y < end; y++) {
        const float *row = aid_image_row(reference, y);
        const float *below = aid_image_row(reference, AID_MAX(y - 1, 0));
        const float *above = aid_image_row(reference, AID_MIN(y + 1, reference->height - 1));
        float *variance = aid_image_row(&job->maps->variance, y);
        float vx = (float)(0.25 * job->variance_x), vy = (float)(0.25 * job->variance_y);
        for (int x = 1; x < reference->width - 1; x++) {
            float gx = row[x + 1] - row[x - 1], gy = above[x] - below[x];
            variance[x] += vx * gx * gx + vy * gy * gy;
        }
    }
    return AID_OK;
}

/* |S_R| averaged over 4 x 4 px and blurred by a Gaussian of one cell: the light near a star. */
static aid_status blur_wings(const aid_image *reference, aid_mesh *ret_mesh, aid_error *err)
{
    int nx = (reference->width + WING_CELL - 1) / WING_CELL;
    int ny = (reference->height + WING_CELL - 1) / WING_CELL;
    AID_TRY(aid_mesh_init(reference->width, reference->height, nx, ny, ret_mesh, err));
    AID_CLEANUP(aid_free_pointer)
    float *mean = NULL, *rows = NULL;
    AID_TRY(aid_new_array((size_t)nx * (size_t)ny, sizeof *mean, "wings", &mean, err));
    AID_TRY(aid_new_array((size_t)nx * (size_t)ny, sizeof *rows, "wings", &rows, err));
    for (int y = 0; y < reference->height; y++) {
        const float *from = aid_image_row(reference, y);
        float *to = mean + (int64_t)(y / WING_CELL) * nx;
        for (int x = 0; x < reference->width; x++)
            to[x / WING_CELL] += fabsf(from[x]) * (1.0F / (WING_CELL * WING_CELL));
    }
    const float weight[4] = {0.39905F, 0.24203F, 0.05400F, 0.00443F};
    for (int y = 0; y < ny; y++)
        for (int x = 0; x < nx; x++) {
            float sum = 0.0F;
            for (int k = -3; k <= 3; k++)
                sum += weight[abs(k)] * mean[(int64_t)y * nx + AID_CLAMP(x + k, 0, nx - 1)];
            rows[(int64_t)y * nx + x] = sum;
        }
    for (int y = 0; y < ny; y++)
        for (int x = 0; x < nx; x++) {
            float sum = 0.0F;
            for (int k = -3; k <= 3; k++)
                sum += weight[abs(k)] * rows[(int64_t)AID_CLAMP(y + k, 0, ny - 1) * nx + x];
            ret_mesh->values[(int64_t)y * nx + x] = sum;
        }
    return AID_OK;
}

/* Residual at the peaks of bright stars relative to their light, less what their noise explains:
 * the relative error of the PSFs. */
static double measure_psf_error(const systematics_job *job)
{
    const aid_photometric_match *match = &job->difference->match;
    double residual[MAX_BRIGHT], photons[MAX_BRIGHT];
    int count = 0;
    for (int i = 0; i < match->count && count < MAX_BRIGHT; i++) {
        int x = (int)lround(match->stars[i].x), y = (int)lround(match->stars[i].y);
        if (x < 0 || y < 0 || x >= job->maps->flux.width || y >= job->maps->flux.height)
            continue;
        double light = (double)aid_image_row(&job->maps->flux_reference, y)[x];
        double variance = (double)aid_image_row(&job->maps->variance, y)[x];
        if (light * light > 60.0 * 60.0 * variance) {
            residual[count] = fabs((double)aid_image_row(&job->maps->flux, y)[x] / light);
            photons[count++] = variance / (light * light);
        }
    }
    if (count <= 8)
        return 0.01;
    double scatter = AID_SIGMA_PER_MAD * aid_median_in_place_f64(residual, count);
    double excess = scatter * scatter - aid_median_in_place_f64(photons, count);
    return AID_CLAMP(sqrt(AID_MAX(excess, 0.0)), 0.003, 0.05);
}

/* Excess of S^2 over V in the annulus around one star, over the mean square of the blurred light.
 * The highest 2 % are cut off at the value below them: neighbours. NaN when it cannot be had. */
static double annulus_excess(const systematics_job *job, int cx, int cy, double inner, double outer)
{
    enum { MAX_PIXELS = 16384 };
    static _Thread_local double excess[MAX_PIXELS], sorted[MAX_PIXELS];
    int reach = (int)outer, count = 0;
    double light = 0.0;
    for (int dy = -reach; dy <= reach; dy++)
        for (int dx = -reach; dx <= reach; dx++) {
            double distance = hypot(dx, dy);
            if (distance <= inner || distance > outer || count == MAX_PIXELS)
                continue;
            double flux = (double)aid_image_row(&job->maps->flux, cy + dy)[cx + dx];
            double variance = (double)aid_image_row(&job->maps->variance, cy + dy)[cx + dx];
            double wing = aid_mesh_at(job->wings, cx + dx, cy + dy);
            excess[count] = flux * flux - variance;
            sorted[count] = excess[count];
            light += wing * wing;
            count++;
        }
    if (count < 20)
        return NAN;
    double cut = aid_quantile_in_place_f64(sorted, count, 0.98), sum = 0.0;
    for (int i = 0; i < count; i++)
        sum += AID_MIN(excess[i], cut);
    return AID_MAX(sum, 0.0) / light;
}

static double measure_wing_error(const systematics_job *job, double fwhm)
{
    enum { MAX_STARS = 200 };
    const aid_photometric_match *match = &job->difference->match;
    double values[MAX_STARS], inner = AID_CLAMP(1.4 * fwhm, 3.0, 16.0);
    double outer = AID_CLAMP(3.4 * fwhm, 8.0, 40.0);
    int count = 0, margin = (int)outer + 2;
    for (int i = 0; i < match->count && count < MAX_STARS; i++) {
        int x = (int)lround(match->stars[i].x), y = (int)lround(match->stars[i].y);
        if (x < margin || y < margin || x >= job->maps->flux.width - margin ||
            y >= job->maps->flux.height - margin)
            continue;
        double light = (double)aid_image_row(&job->maps->flux_reference, y)[x];
        double variance = (double)aid_image_row(&job->maps->variance, y)[x];
        if (light * light < 150.0 * 150.0 * variance)
            continue;
        double excess = annulus_excess(job, x, y, inner, outer);
        if (isfinite(excess))
            values[count++] = excess;
    }
    return count > 4 ? sqrt(aid_median_in_place_f64(values, count)) : 0.0;
}

/* Adds the PSF terms: V += (eps S_R)^2 + (eps_w blurred |S_R|)^2. */
static aid_status add_psf_variance(void *context, int64_t band, int worker, aid_error *err)
{
    (void)worker;
    const systematics_job *job = context;
    int64_t begin, end;
    aid_band_range(job->maps->variance.height, BAND, band, &begin, &end);
    float psf2 = (float)(job->difference->psf_error * job->difference->psf_error);
    float wing2 = (float)(job->difference->wing_error * job->difference->wing_error);
    int width = job->maps->variance.width;
    AID_CLEANUP(aid_free_pointer)
    float *wing = NULL;
    AID_TRY(aid_new_array((size_t)width, sizeof *wing, "wings", &wing, err));
    for (int y = (int)begin; y < end; y++) {
        const float *light = aid_image_row(&job->maps->flux_reference, y);
        float *variance = aid_image_row(&job->maps->variance, y);
        if (wing2 > 0.0F)
            aid_mesh_row(job->wings, y, wing);
        for (int x = 0; x < width; x++)
            variance[x] += psf2 * light[x] * light[x] + wing2 * wing[x] * wing[x];
    }
    return AID_OK;
}

aid_status aid_add_systematics(const aid_difference_options *options, aid_maps *maps,
                               aid_pool *pool, aid_difference *difference, aid_error *err)
{
    AID_CLEANUP(aid_mesh_done)
    aid_mesh wings = {0};
    measure_astrometric_noise(options, difference->fwhm_px, difference);
    systematics_job job = {.maps = maps, .difference = difference, .wings = &wings};
    job.variance_x = difference->astrometric_x_px * difference->astrometric_x_px;
    job.variance_y = difference->astrometric_y_px * difference->astrometric_y_px;
    int64_t bands = aid_band_count(maps->flux.height, BAND);
    AID_TRY(aid_pool_run(pool, bands, add_astrometric_variance, &job, err));
    AID_TRY(blur_wings(&maps->flux_reference, &wings, err));
    difference->psf_error = measure_psf_error(&job);
    difference->wing_error = measure_wing_error(&job, difference->fwhm_px);
    return aid_pool_run(pool, bands, add_psf_variance, &job, err);
}
