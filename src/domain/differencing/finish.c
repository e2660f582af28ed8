/* From blended maps to the score: systematic variance, motion, and how honest the noise is. */
#include "core/base/memory.h"
#include "core/imaging/stats.h"
#include "domain/differencing/internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BAND = 64, WING_CELL = 4 };

/* --------------------------------------------------------------------- registration variance ---
 */

/* Half of the stars' own scatter after the fit: the rest is centroid noise. */
static void measure_astrometric_noise(const aid_difference_options *options,
                                      aid_difference *difference)
{
    double given = options->registration_px;
    difference->astrometric_x_px = difference->astrometric_y_px = isfinite(given) ? given : 0.02;
    const aid_photometric_match *match = &difference->match;
    double *dx = malloc(2 * (size_t)AID_MAX(match->count, 1) * sizeof *dx);
    if (isfinite(given) || !dx) {
        free(dx);
        return;
    }
    double *dy = dx + match->count;
    int count = 0;
    for (int i = 0; i < match->count; i++) {
        const aid_matched_star *star = &match->stars[i];
        if (!star->used || star->ratio_err > 0.035 * fabs(star->ratio))
            continue; /* S/N 40 in both */
        dx[count] = star->dx;
        dy[count++] = star->dy;
    }
    if (count >= 8) {
        difference->astrometric_x_px = 0.5 * aid_robust_in_place_f64(dx, count).sigma;
        difference->astrometric_y_px = 0.5 * aid_robust_in_place_f64(dy, count).sigma;
    }
    free(dx);
}

typedef struct finish_job {
    const aid_subtraction *plan;
    aid_maps *maps;
    aid_difference *difference;
    double variance_x, variance_y; /* px^2 */
    double psf_error, wing_error;
    const aid_mesh *wings; /* blurred |S_R| */
} finish_job;

static float at_clamped(const aid_image *image, int x, int y)
{
    return aid_image_row(image,
                         AID_CLAMP(y, 0, image->height - 1))[AID_CLAMP(x, 0, image->width - 1)];
}

/* V += sx^2 (dS_R/dx)^2 + sy^2 (dS_R/dy)^2, central differences. */
static aid_status add_astrometric_variance(void *context, int64_t band, int worker, aid_error *err)
{
    (void)worker;
    (void)err;
    const finish_job *job = context;
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

/* ------------------------------------------------------------------------------ PSF variance ---
 */

/* |S_R| averaged over 4 x 4 px and blurred by a Gaussian of one cell: the light near a star. */
static aid_status blur_wings(const aid_image *reference, aid_pool *pool, aid_mesh *ret_mesh,
                             aid_error *err)
{
    (void)pool;
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

/* Residual at the peaks of bright stars relative to their light: the relative error of the PSFs. */
static double measure_psf_error(const finish_job *job)
{
    const aid_photometric_match *match = &job->difference->match;
    double *residual = malloc((size_t)AID_MAX(match->count, 1) * sizeof *residual);
    int count = 0;
    for (int i = 0; residual && i < match->count; i++) {
        int x = (int)lround(match->stars[i].x), y = (int)lround(match->stars[i].y);
        if (x < 0 || y < 0 || x >= job->maps->flux.width || y >= job->maps->flux.height)
            continue;
        double light = (double)aid_image_row(&job->maps->flux_reference, y)[x];
        double variance = (double)aid_image_row(&job->maps->variance, y)[x];
        if (light * light > 60.0 * 60.0 * variance)
            residual[count++] = fabs((double)aid_image_row(&job->maps->flux, y)[x] / light);
    }
    double error = count > 8 ? AID_SIGMA_PER_MAD * aid_median_in_place_f64(residual, count) : 0.01;
    free(residual);
    return AID_CLAMP(error, 0.003, 0.05);
}

/* Excess of S^2 over V in the annulus around one star, over the mean square of the blurred light.
 * The highest 2 % are cut off at the value below them: neighbours. NaN when it cannot be had. */
static double annulus_excess(const finish_job *job, int cx, int cy, double inner, double outer)
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

static double measure_wing_error(const finish_job *job, double fwhm)
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

/* ------------------------------------------------------------------------- score and motion --- */

/* TRANSLIENT (Springer et al. 2024) in the kernel form: the optimal statistic of a small motion is
 * the gradient of S; its covariance comes from the same filters. */
static double motion_statistic(const finish_job *job, int x, int y, double variance)
{
    const aid_image *flux = &job->maps->flux;
    double gx = 0.5 * (double)(at_clamped(flux, x + 1, y) - at_clamped(flux, x - 1, y));
    double gy = 0.5 * (double)(at_clamped(flux, x, y + 1) - at_clamped(flux, x, y - 1));
    double xx = aid_mesh_at(&job->maps->gradient_xx, x, y);
    double yy = aid_mesh_at(&job->maps->gradient_yy, x, y);
    double xy = aid_mesh_at(&job->maps->gradient_xy, x, y);
    double inflation = variance / aid_mesh_at(&job->maps->norm, x, y);
    double z2 = (gx * gx * yy - 2.0 * gx * gy * xy + gy * gy * xx) / (xx * yy - xy * xy);
    return z2 / inflation;
}

static aid_status finish_band(void *context, int64_t band, int worker, aid_error *err)
{
    (void)worker;
    (void)err;
    const finish_job *job = context;
    aid_difference *to = job->difference;
    int64_t begin, end;
    aid_band_range(to->score.height, BAND, band, &begin, &end);
    double psf2 = job->psf_error * job->psf_error, wing2 = job->wing_error * job->wing_error;
    for (int y = (int)begin; y < end; y++) {
        const float *flux = aid_image_row(&job->maps->flux, y);
        const float *light = aid_image_row(&job->maps->flux_reference, y);
        const float *sky = aid_image_row(&job->maps->variance, y);
        const uint8_t *mask = aid_mask_row(&to->mask, y);
        float *score = aid_image_row(&to->score, y), *motion = aid_image_row(&to->motion, y);
        float *error = aid_image_row(&to->flux_err, y);
        for (int x = 0; x < to->score.width; x++) {
            double wing = aid_mesh_at(job->wings, x, y), star = (double)light[x];
            double variance = (double)sky[x] + psf2 * star * star + wing2 * wing * wing;
            error[x] = (float)sqrt(variance);
            score[x] = mask[x] ? NAN : flux[x] / error[x];
            motion[x] = mask[x] ? NAN : (float)motion_statistic(job, x, y, variance);
        }
    }
    return AID_OK;
}

/* ------------------------------------------------------------------------------- diagnostics ---
 */

enum { SKY_STEP = 2 };

/* Pixels of blank sky: nothing masked, and no light of the reference within a PSF. */
static aid_status blank_sky(const finish_job *job, aid_pool *pool, aid_mask *ret_mask,
                            aid_error *err)
{
    const aid_difference *difference = job->difference;
    aid_mask mask;
    AID_TRY(aid_mask_init(difference->score.width, difference->score.height, &mask, err));
    for (int y = 0; y < mask.height; y++) {
        const float *light = aid_image_row(&job->maps->flux_reference, y);
        const float *error = aid_image_row(&difference->flux_err, y);
        const uint8_t *bits = aid_mask_row(&difference->mask, y);
        uint8_t *to = aid_mask_row(&mask, y);
        for (int x = 0; x < mask.width; x++)
            to[x] = bits[x] ? AID_MASK_BAD : light[x] > 3.0F * error[x] ? AID_MASK_SATURATED : 0;
    }
    double radius = AID_CLAMP(2.0 * difference->fwhm_px, 3.0, 24.0);
    aid_status status = aid_mask_grow(&mask, AID_MASK_SATURATED, radius, AID_MASK_GROWN, pool, err);
    if (status != AID_OK) {
        aid_mask_done(&mask);
        return status;
    }
    *ret_mask = mask;
    return AID_OK;
}

static void score_statistics(aid_difference *difference, float *scores, int64_t count)
{
    double sum = 0.0;
    int64_t kept = 0;
    aid_robust robust = aid_robust_in_place(scores, count); /* leaves |score - median| */
    for (int64_t i = 0; i < robust.count; i++)
        if ((double)scores[i] < 4.5 * robust.sigma) { /* transients are not noise */
            sum += (double)scores[i] * (double)scores[i];
            kept++;
        }
    difference->score_median = robust.median;
    difference->score_sigma = robust.sigma;
    difference->score_std = sqrt(sum / (double)AID_MAX(kept, 1));
}

static void neighbour_correlation(const aid_mask *sky, aid_difference *difference)
{
    double product = 0.0, square = 0.0;
    double limit = 4.5 * difference->score_sigma;
    for (int y = 0; y < sky->height; y += SKY_STEP) {
        const uint8_t *bits = aid_mask_row(sky, y);
        const float *row = aid_image_row(&difference->difference, y);
        const float *score = aid_image_row(&difference->score, y);
        for (int x = 0; x + 1 < sky->width; x++)
            if (!bits[x] && !bits[x + 1] && fabs((double)score[x]) < limit) {
                product += (double)row[x] * (double)row[x + 1];
                square += 0.5 * ((double)row[x] * (double)row[x] +
                                 (double)row[x + 1] * (double)row[x + 1]);
            }
    }
    difference->difference_correlation = square > 0.0 ? product / square : NAN;
}

static aid_status measure_honesty(const finish_job *job, aid_pool *pool, aid_error *err)
{
    aid_difference *difference = job->difference;
    AID_CLEANUP(aid_mask_done)
    aid_mask sky = {0};
    AID_CLEANUP(aid_free_pointer)
    float *scores = NULL;
    AID_TRY(blank_sky(job, pool, &sky, err));
    size_t most = (size_t)(sky.height / SKY_STEP + 1) * (size_t)(sky.width / SKY_STEP + 1);
    AID_TRY(aid_new_buffer(most, sizeof *scores, "score statistics", &scores, err));
    int64_t count = 0;
    for (int y = 0; y < sky.height; y += SKY_STEP)
        for (int x = 0; x < sky.width; x += SKY_STEP)
            if (!aid_mask_row(&sky, y)[x])
                scores[count++] = aid_image_row(&difference->score, y)[x];
    score_statistics(difference, scores, count);
    neighbour_correlation(&sky, difference);
    return AID_OK;
}

/* A spectrum on the small grid as a stamp with its centre in the middle. */
static aid_status stamp_of(const aid_subtraction *plan, float complex *spectrum, float *pixels,
                           aid_image *ret_stamp, aid_error *err)
{
    int grid = plan->grid, radius = AID_MIN(plan->psf_radius, grid / 2 - 1);
    AID_TRY(aid_image_init(2 * radius + 1, 2 * radius + 1, ret_stamp, err));
    aid_fft_inverse(plan->small_fft, spectrum, pixels);
    for (int j = -radius; j <= radius; j++)
        for (int i = -radius; i <= radius; i++)
            aid_image_row(ret_stamp, j + radius)[i + radius] =
                pixels[((j + grid) % grid) * grid + (i + grid) % grid];
    return AID_OK;
}

static void scale_stamp(aid_image *stamp, double factor)
{
    for (int64_t i = 0; i < (int64_t)stamp->width * stamp->height; i++)
        stamp->data[i] = (float)((double)stamp->data[i] * factor);
}

/* Diameter of the circle that has the area above half the peak; the rim pixels count in part. */
static double stamp_fwhm(const aid_image *stamp)
{
    double peak = (double)aid_image_row(stamp, stamp->height / 2)[stamp->width / 2], area = 0.0;
    for (int64_t i = 0; i < (int64_t)stamp->width * stamp->height; i++)
        area += AID_CLAMP(((double)stamp->data[i] / peak - 0.5) * 2.0 + 0.5, 0.0, 1.0);
    return 2.0 * sqrt(area / 3.14159265358979323846);
}

/* D's responses at the field centre: A Pn, A and B, each over sqrt(den); P_D gets unit sum. */
static aid_status difference_psf(const aid_subtraction *plan, aid_local_model *model,
                                 aid_difference *difference, aid_error *err)
{
    int modes = plan->grid * (plan->grid / 2 + 1);
    double x = 0.5 * plan->tiling.width, y = 0.5 * plan->tiling.height;
    double sn = aid_mesh_at(&plan->science->noise, x, y);
    double sr = aid_mesh_at(&plan->reference->noise, x, y);
    aid_local_model_evaluate(plan, x, y, true, model);
    for (int k = 0; k < modes; k++) {
        float ar = crealf(model->a[k]), ai = cimagf(model->a[k]);
        float br = crealf(model->b[k]), bi = cimagf(model->b[k]);
        float pr = crealf(model->psf[k]), pi = cimagf(model->psf[k]);
        float den = (ar * ar + ai * ai) * (float)(sn * sn) * plan->small_power_science[k] +
                    (br * br + bi * bi) * (float)(sr * sr) * plan->small_power_reference[k];
        float scale = 1.0F / sqrtf(den);
        if (k == 0)
            difference->noise_difference = (double)(1.0F / (scale * ar));
        model->psf[k] = CMPLXF((ar * pr - ai * pi) * scale, (ar * pi + ai * pr) * scale);
        model->a[k] = CMPLXF(ar * scale, ai * scale);
        model->b[k] = CMPLXF(br * scale, bi * scale);
    }
    AID_TRY(stamp_of(plan, model->psf, model->pixels, &difference->psf, err));
    AID_TRY(stamp_of(plan, model->a, model->pixels, &difference->psf_science_pixel, err));
    AID_TRY(stamp_of(plan, model->b, model->pixels, &difference->psf_reference_pixel, err));
    double sum = 0.0;
    for (int64_t i = 0; i < (int64_t)difference->psf.width * difference->psf.height; i++)
        sum += (double)difference->psf.data[i];
    scale_stamp(&difference->psf, 1.0 / sum);
    scale_stamp(&difference->psf_science_pixel, 1.0 / sum);
    scale_stamp(&difference->psf_reference_pixel, 1.0 / sum);
    difference->fwhm_px = stamp_fwhm(&difference->psf);
    return AID_OK;
}

aid_status aid_finish_maps(const aid_subtraction *plan, aid_maps *maps,
                           const aid_difference_options *options, aid_pool *pool,
                           aid_difference *difference, aid_error *err)
{
    AID_CLEANUP(aid_mesh_done)
    aid_mesh wings = {0};
    AID_CLEANUP(aid_local_model_done)
    aid_local_model model = {0};
    AID_TRY(aid_local_model_init(plan, &model, err));
    AID_TRY(difference_psf(plan, &model, difference, err));
    measure_astrometric_noise(options, difference);
    finish_job job = {.plan = plan, .maps = maps, .difference = difference, .wings = &wings};
    job.variance_x = difference->astrometric_x_px * difference->astrometric_x_px;
    job.variance_y = difference->astrometric_y_px * difference->astrometric_y_px;
    int64_t bands = aid_band_count(maps->flux.height, BAND);
    AID_TRY(aid_pool_run(pool, bands, add_astrometric_variance, &job, err));
    AID_TRY(blur_wings(&maps->flux_reference, pool, &wings, err));
    job.psf_error = difference->psf_error = measure_psf_error(&job);
    job.wing_error = difference->wing_error = measure_wing_error(&job, difference->fwhm_px);
    AID_TRY(aid_image_init(maps->flux.width, maps->flux.height, &difference->score, err));
    AID_TRY(aid_image_init(maps->flux.width, maps->flux.height, &difference->motion, err));
    difference->flux_err = maps->variance; /* each pixel is read, then written */
    maps->variance = (aid_image){0};
    aid_maps view = *maps;
    view.variance = difference->flux_err;
    job.maps = &view;
    AID_TRY(aid_pool_run(pool, bands, finish_band, &job, err));
    difference->difference = maps->difference;
    difference->flux = maps->flux;
    maps->difference = maps->flux = (aid_image){0};
    return measure_honesty(&job, pool, err);
}
