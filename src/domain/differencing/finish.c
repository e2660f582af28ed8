/* From blended maps to the score and the motion map. */
#include "core/base/memory.h"
#include "core/imaging/stats.h"
#include "domain/differencing/internal.h"

#include <math.h>
#include <stdlib.h>

enum { BAND = 64 };

typedef struct finish_job {
    const aid_maps *maps;
    aid_difference *difference;
} finish_job;

typedef struct mesh_rows { /* meshes along one row of the image */
    float *xx, *yy, *xy;
} mesh_rows;

static void load_rows(const aid_maps *maps, int y, float *buffer, mesh_rows *rows)
{
    size_t width = (size_t)maps->flux.width;
    *rows = (mesh_rows){buffer, buffer + width, buffer + 2 * width};
    aid_mesh_row(&maps->gradient_xx, y, rows->xx);
    aid_mesh_row(&maps->gradient_yy, y, rows->yy);
    aid_mesh_row(&maps->gradient_xy, y, rows->xy);
}

/* TRANSLIENT (Springer et al. 2024) in the kernel form: the optimal statistic of a small motion is
 * the gradient g of S; its covariance, in units of the variance, comes from the same filters. */
AID_HOT static void motion_row(const float *restrict below, const float *restrict at,
                               const float *restrict above, const mesh_rows *rows,
                               const float *restrict variance, int width, float *restrict motion)
{
    const float *restrict xx = rows->xx;
    const float *restrict yy = rows->yy, *restrict xy = rows->xy;
    for (int x = 0; x < width; x++) {
        float gx = 0.5F * (at[AID_MIN(x + 1, width - 1)] - at[AID_MAX(x - 1, 0)]);
        float gy = 0.5F * (above[x] - below[x]);
        float square = gx * gx * yy[x] - 2.0F * gx * gy * xy[x] + gy * gy * xx[x];
        motion[x] = square / (xx[x] * yy[x] - xy[x] * xy[x]) / variance[x];
    }
}

AID_HOT static void score_row(const float *restrict flux, const float *restrict variance,
                              const uint8_t *restrict mask, int width, float *restrict score,
                              float *restrict motion)
{
    for (int x = 0; x < width; x++) {
        score[x] = mask[x] ? NAN : flux[x] / sqrtf(variance[x]);
        motion[x] = mask[x] ? NAN : motion[x];
    }
}

static aid_status score_band(void *context, int64_t band, int worker, aid_error *err)
{
    (void)worker;
    const finish_job *job = context;
    const aid_image *flux = &job->maps->flux;
    aid_difference *to = job->difference;
    int width = flux->width, height = flux->height;
    AID_CLEANUP(aid_free_pointer)
    float *buffer = NULL;
    AID_TRY(aid_new_buffer(3 * (size_t)width, sizeof *buffer, "score", &buffer, err));
    int64_t begin, end;
    aid_band_range(height, BAND, band, &begin, &end);
    for (int y = (int)begin; y < end; y++) {
        mesh_rows rows;
        load_rows(job->maps, y, buffer, &rows);
        const float *variance = aid_image_row(&job->maps->variance, y);
        float *motion = aid_image_row(&to->motion, y);
        motion_row(aid_image_row(flux, AID_MAX(y - 1, 0)), aid_image_row(flux, y),
                   aid_image_row(flux, AID_MIN(y + 1, height - 1)), &rows, variance, width, motion);
        score_row(aid_image_row(flux, y), variance, aid_mask_row(&to->mask, y), width,
                  aid_image_row(&to->score, y), motion);
    }
    return AID_OK;
}

/* ------------------------------------------------------------------------- responses of D */

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
    const double sigma[2] = {aid_mesh_at(&plan->science->noise, x, y),
                             aid_mesh_at(&plan->reference->noise, x, y)};
    aid_local_model_evaluate(plan, x, y, true, model);
    aid_mode_variance(&plan->small_noise, model->a, model->b, sigma, model->variance);
    for (int k = 0; k < modes; k++) {
        float ar = crealf(model->a[k]), ai = cimagf(model->a[k]);
        float br = crealf(model->b[k]), bi = cimagf(model->b[k]);
        float pr = crealf(model->psf[k]), pi = cimagf(model->psf[k]);
        float scale = 1.0F / sqrtf(model->variance[k]);
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

static void take_roots(aid_image *variance)
{
    for (int64_t i = 0; i < (int64_t)variance->width * variance->height; i++)
        variance->data[i] = sqrtf(variance->data[i]);
}

aid_status aid_finish_maps(const aid_subtraction *plan, aid_maps *maps,
                           const aid_difference_options *options, aid_pool *pool, aid_notes *notes,
                           aid_difference *difference, aid_error *err)
{
    AID_CLEANUP(aid_mask_done)
    aid_mask sky = {0};
    AID_CLEANUP(aid_local_model_done)
    aid_local_model model = {0};
    AID_TRY(aid_local_model_init(plan, &model, err));
    AID_TRY(difference_psf(plan, &model, difference, err));
    AID_TRY(aid_add_systematics(options, maps, pool, difference, err));
    AID_TRY(aid_blank_sky(maps, difference, pool, &sky, err));
    aid_image_done(&maps->flux_reference); /* its memory is wanted for the score */
    AID_TRY(aid_remove_sky_level(&sky, difference, maps, err));
    AID_TRY(aid_carry_correlation(&sky, maps, difference, notes, err));
    AID_TRY(aid_image_init(maps->flux.width, maps->flux.height, &difference->score, err));
    AID_TRY(aid_image_init(maps->flux.width, maps->flux.height, &difference->motion, err));
    finish_job job = {maps, difference};
    AID_TRY(aid_pool_run(pool, aid_band_count(maps->flux.height, BAND), score_band, &job, err));
    difference->difference = maps->difference;
    difference->flux = maps->flux;
    difference->flux_err = maps->variance;
    maps->difference = maps->flux = maps->variance = (aid_image){0};
    take_roots(&difference->flux_err);
    return aid_measure_honesty(difference, &sky, notes, err);
}
