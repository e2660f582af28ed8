/* One frame on another grid of pixels. */
#include "core/base/memory.h"
#include "core/imaging/stats.h"
#include "domain/stacking/stacking.h"

#include <math.h>
#include <string.h>

enum {
    ROW_BAND = 32,
    KNOT = 8, /* px between values of sky and Jacobian that are worked out exactly */
    SAMPLE = 4096
};
static const double identity_px = 1e-3;
static const uint8_t without_value = AID_MASK_BAD | AID_MASK_COSMIC_RAY | AID_MASK_NO_DATA;

void aid_frame_pixels_done(aid_frame_pixels *pixels)
{
    aid_image_done(&pixels->image);
    aid_image_done(&pixels->variance);
    aid_mask_done(&pixels->mask);
}

typedef struct regrid_job {
    aid_frame_pixels *from;
    const aid_exposure *facts; /* NULL: nothing is known */
    const aid_regrid_options *options;
    aid_pool *pool;
    double pedestal; /* taken off where no background is known */
    bool model_variance;
    aid_frame_pixels to;
} regrid_job;

/* --------------------------------------------------------------------------------- preparation */

/* Any level near that of the sky will do: it is put back in the end. */
static double typical_level(const aid_image *image)
{
    double values[SAMPLE];
    int count = 0;
    int64_t pixels = (int64_t)image->width * image->height, step = AID_MAX(pixels / SAMPLE, 1) | 1;
    for (int64_t i = 0; i < pixels && count < SAMPLE; i += step) {
        float value = aid_image_row(image, (int32_t)(i / image->width))[i % image->width];
        if (isfinite(value))
            values[count++] = (double)value;
    }
    return count > 0 ? aid_median_in_place_f64(values, count) : 0.0;
}

/* The sky goes, for filled pixels and mirrored borders to be harmless, and where only noise and
 * gain are known the variance is made of them. */
static void prepare_row(const regrid_job *job, int32_t y, float *sky, float *noise)
{
    const aid_exposure *facts = job->facts;
    float *row = aid_image_row(&job->from->image, y);
    uint8_t *mask = aid_mask_row(&job->from->mask, y);
    int32_t width = job->from->image.width;
    if (facts)
        aid_mesh_row(&facts->background, y, sky);
    for (int32_t x = 0; x < width; x++) {
        row[x] -= facts ? sky[x] : (float)job->pedestal;
        if (!isfinite(row[x]))
            mask[x] |= AID_MASK_NO_DATA;
    }
    if (!job->model_variance)
        return;
    float *variance = aid_image_row(&job->from->variance, y);
    float per_unit = (float)(1.0 / facts->gain);
    aid_mesh_row(&facts->noise, y, noise);
    for (int32_t x = 0; x < width; x++)
        variance[x] = noise[x] * noise[x] + (row[x] > 0.0F ? row[x] * per_unit : 0.0F);
}

static aid_status prepare_rows(void *context, int64_t band, int worker, aid_error *err)
{
    (void)worker;
    regrid_job *job = context;
    int64_t begin, end;
    AID_CLEANUP(aid_free_pointer)
    float *rows = NULL;
    int32_t width = job->from->image.width;
    AID_TRY(aid_new_buffer(2 * (size_t)width, sizeof(float), "rows", &rows, err));
    aid_band_range(job->from->image.height, ROW_BAND, band, &begin, &end);
    for (int32_t y = (int32_t)begin; y < end; y++)
        prepare_row(job, y, rows, rows + width);
    return AID_OK;
}

static aid_status take_mask(regrid_job *job, aid_error *err)
{
    const aid_image *image = &job->from->image;
    aid_mask *mask = &job->from->mask;
    if (job->facts)
        aid_mask_done(mask); /* preparation knows all of it, and more */
    if (!mask->data)
        AID_TRY(aid_mask_init(image->width, image->height, mask, err));
    if (job->facts)
        memcpy(mask->data, job->facts->mask.data, (size_t)image->width * (size_t)image->height);
    return AID_OK;
}

static aid_status prepare(regrid_job *job, aid_error *err)
{
    const aid_image *image = &job->from->image;
    AID_TRY(take_mask(job, err));
    job->model_variance = job->facts && !job->from->variance.data;
    if (job->model_variance)
        AID_TRY(aid_image_init(image->width, image->height, &job->from->variance, err));
    if (!job->facts)
        job->pedestal = typical_level(image);
    AID_TRY(
        aid_pool_run(job->pool, aid_band_count(image->height, ROW_BAND), prepare_rows, job, err));
    return aid_fill_masked(&job->from->image, &job->from->mask, without_value, job->pool, err);
}

/* ---------------------------------------------------------------------------------- finishing */

static double sky_at(const regrid_job *job, double x, double y)
{
    const aid_regrid_options *options = job->options;
    double u, v, m[4];
    if (options->grid) {
        aid_grid_map_apply(options->grid, x, y, &u, &v);
        aid_grid_map_matrix(options->grid, x, y, m);
    } else {
        aid_transform_apply(options->map, x, y, &u, &v);
        aid_transform_matrix(options->map, x, y, m);
    }
    double level = job->facts ? aid_mesh_at(&job->facts->background, u, v) : job->pedestal;
    return level * fabs(m[0] * m[3] - m[1] * m[2]);
}

/* Puts the sky back. Exact every KNOT px, linear between: the mesh is linear within its cells. */
static void add_sky(const regrid_job *job, int32_t y, int32_t width, float *row)
{
    double left = sky_at(job, 0.0, y);
    for (int32_t x = 0; x < width; x += KNOT) {
        int32_t count = AID_MIN(KNOT, width - x);
        double right = sky_at(job, x + KNOT, y);
        float start = (float)left, slope = (float)((right - left) / KNOT);
        for (int32_t i = 0; i < count; i++)
            row[x + i] += start + slope * (float)i;
        left = right;
    }
}

static void finish_row(const regrid_job *job, int32_t y)
{
    float *row = aid_image_row(&job->to.image, y);
    int32_t width = job->to.image.width;
    float scale = (float)job->options->scale;
    bool has_sky = !job->options->subtract_sky && (job->facts || job->pedestal != 0.0);
    if (has_sky)
        add_sky(job, y, width, row);
    if (scale != 1.0F)
        for (int32_t x = 0; x < width; x++)
            row[x] *= scale;
    if (!job->to.variance.data)
        return;
    float *variance = aid_image_row(&job->to.variance, y);
    for (int32_t x = 0; x < width; x++)
        variance[x] = isfinite(row[x]) ? variance[x] * scale * scale : NAN;
}

static aid_status finish_rows(void *context, int64_t band, int worker, aid_error *err)
{
    (void)worker;
    (void)err;
    regrid_job *job = context;
    int64_t begin, end;
    aid_band_range(job->to.image.height, ROW_BAND, band, &begin, &end);
    for (int32_t y = (int32_t)begin; y < end; y++)
        finish_row(job, y);
    return AID_OK;
}

/* ----------------------------------------------------------------------------------- the whole */

/* The pixels stay where they are; those without a value lose it. */
static void hand_through(regrid_job *job)
{
    aid_frame_pixels *to = &job->to;
    *to = *job->from;
    *job->from = (aid_frame_pixels){0};
    for (int32_t y = 0; y < to->image.height; y++) {
        float *row = aid_image_row(&to->image, y);
        uint8_t *mask = aid_mask_row(&to->mask, y);
        for (int32_t x = 0; x < to->image.width; x++)
            if (mask[x] & without_value) {
                row[x] = NAN;
                mask[x] |= AID_MASK_NO_DATA;
            }
    }
}

static bool stays(const regrid_job *job)
{
    const aid_regrid_options *options = job->options;
    const aid_image *image = &job->from->image;
    return !options->grid && image->width == options->width && image->height == options->height &&
           aid_transform_is_identity(options->map, image->width, image->height, identity_px);
}

static aid_status resample(regrid_job *job, aid_error *err)
{
    const aid_regrid_options *options = job->options;
    const aid_warp_options warp = {.kernel = options->kernel,
                                   .conserve_flux = true,
                                   .missing = without_value,
                                   .grid = options->grid};
    aid_frame_pixels *from = job->from, *to = &job->to;
    AID_TRY(aid_warp(&from->image, &from->mask, options->map, options->width, options->height,
                     &warp, job->pool, &to->image, &to->mask, err));
    aid_image_done(&from->image);
    aid_mask_done(&from->mask);
    if (from->variance.data)
        AID_TRY(aid_warp_variance(&from->variance, options->map, options->width, options->height,
                                  &warp, job->pool, &to->variance, err));
    return AID_OK;
}

static aid_status regrid(regrid_job *job, aid_error *err)
{
    AID_TRY(prepare(job, err));
    if (stays(job))
        hand_through(job);
    else
        AID_TRY(resample(job, err));
    return aid_pool_run(job->pool, aid_band_count(job->options->height, ROW_BAND), finish_rows, job,
                        err);
}

aid_status aid_regrid_frame(aid_frame_pixels *take_pixels, const aid_exposure *facts,
                            const aid_regrid_options *options, aid_pool *pool,
                            aid_frame_pixels *ret_pixels, aid_error *err)
{
    AID_CLEANUP(aid_frame_pixels_done)
    aid_frame_pixels from = *take_pixels;
    *take_pixels = (aid_frame_pixels){0};
    regrid_job job = {.from = &from, .facts = facts, .options = options, .pool = pool};
    aid_status status = regrid(&job, err);
    if (status != AID_OK)
        aid_frame_pixels_done(&job.to);
    else
        *ret_pixels = job.to;
    return status;
}
