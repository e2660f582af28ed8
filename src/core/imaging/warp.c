/* Each output pixel is a weighted sum of coefficients of the input (warp_plane.c): 4 x 4 of a
 * cubic, 6 x 6 of a quintic B-spline, or 6 x 6 or 8 x 8 pixels under a windowed sinc. */
#include "core/imaging/warp.h"

#include "core/base/memory.h"
#include "core/imaging/warp_internal.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    ROW_BAND = 16, /* output rows of one task */
    HAS_NAN = 128  /* private mask bit: an input pixel without a value is within reach */
};
static const float on_the_pixel = 1e-3F; /* nearer than this, the neighbour's weight is nothing */

typedef struct warp_job {
    const aid_image *image;
    const aid_mask *mask;
    const aid_transform *transform;
    const aid_warp_options *options;
    aid_warp_plane plane;
    const aid_weight_table *table; /* of a windowed sinc; NULL: a spline */
    aid_image out;
    aid_mask out_mask;
} warp_job;

/* ------------------------------------------------------------------------------------- sampling */

static inline void cubic_weights(float t, float w[4])
{
    float s = 1.0F - t;
    w[0] = s * s * s * (1.0F / 6.0F);
    w[1] = 2.0F / 3.0F - t * t * (0.5F + 0.5F * s);
    w[2] = 2.0F / 3.0F - s * s * (0.5F + 0.5F * t);
    w[3] = t * t * t * (1.0F / 6.0F);
}

/* beta5 at distance d: (66 - 60 d2 + 30 d4 - 10 d5)/120 within 1, and so on outwards. */
static inline void quintic_weights(float t, float w[6])
{
    float s = 1.0F - t;
    float t2 = t * t, s2 = s * s;
    float t4 = t2 * t2, s4 = s2 * s2;
    w[0] = s4 * s * (1.0F / 120.0F);
    w[5] = t4 * t * (1.0F / 120.0F);
    w[2] = 0.55F - t2 * (0.5F - t2 * (0.25F - t * (1.0F / 12.0F)));
    w[3] = 0.55F - s2 * (0.5F - s2 * (0.25F - s * (1.0F / 12.0F)));
    float d = 1.0F + t, e = 1.0F + s;
    w[1] = 0.425F + d * (0.625F - d * (1.75F - d * (1.25F - d * (0.375F - d * (1.0F / 24.0F)))));
    w[4] = 0.425F + e * (0.625F - e * (1.75F - e * (1.25F - e * (0.375F - e * (1.0F / 24.0F)))));
}

AID_HOT static void sample_cubic(const aid_warp_plane *plane, const aid_warp_chunk *chunk,
                                 int32_t count, float *restrict out)
{
    for (int32_t i = 0; i < count; i++) {
        float wx[4], wy[4], sum[4];
        cubic_weights(chunk->fraction_x[i], wx);
        cubic_weights(chunk->fraction_y[i], wy);
        const float *c =
            plane->origin + (chunk->row[i] - 1) * plane->stride + (chunk->column[i] - 1);
        for (int k = 0; k < 4; k++)
            sum[k] = c[k] * wy[0];
        for (int j = 1; j < 4; j++)
            for (int k = 0; k < 4; k++)
                sum[k] += c[j * plane->stride + k] * wy[j];
        for (int k = 0; k < 4; k++)
            sum[k] *= wx[k];
        out[i] = (sum[0] + sum[1]) + (sum[2] + sum[3]);
    }
}

AID_HOT static void sample_quintic(const aid_warp_plane *plane, const aid_warp_chunk *chunk,
                                   int32_t count, float *restrict out)
{
    for (int32_t i = 0; i < count; i++) {
        float wx[6], wy[6], sum[6];
        quintic_weights(chunk->fraction_x[i], wx);
        quintic_weights(chunk->fraction_y[i], wy);
        const float *c =
            plane->origin + (chunk->row[i] - 2) * plane->stride + (chunk->column[i] - 2);
        for (int k = 0; k < 6; k++)
            sum[k] = c[k] * wy[0];
        for (int j = 1; j < 6; j++)
            for (int k = 0; k < 6; k++)
                sum[k] += c[j * plane->stride + k] * wy[j];
        for (int k = 0; k < 6; k++)
            sum[k] *= wx[k];
        out[i] = ((sum[0] + sum[1]) + (sum[2] + sum[3])) + (sum[4] + sum[5]);
    }
}

/* Weights by nearest phase would be off by 1e-3: linear between two phases they are within 1e-6. */
AID_HOT static void sample_sinc(const aid_warp_plane *plane, const aid_weight_table *table,
                                const aid_warp_chunk *chunk, int32_t count, float *restrict out)
{
    for (int32_t i = 0; i < count; i++) {
        float wx[AID_WARP_MAX_TAPS], wy[AID_WARP_MAX_TAPS], sum[AID_WARP_MAX_TAPS] = {0.0F};
        float at_x = chunk->fraction_x[i] * AID_WARP_PHASES;
        float at_y = chunk->fraction_y[i] * AID_WARP_PHASES;
        int px = AID_MIN((int)at_x, AID_WARP_PHASES - 1);
        int py = AID_MIN((int)at_y, AID_WARP_PHASES - 1);
        float tx = at_x - (float)px, ty = at_y - (float)py;
        for (int k = 0; k < AID_WARP_MAX_TAPS; k++) {
            wx[k] =
                table->weights[px][k] + tx * (table->weights[px + 1][k] - table->weights[px][k]);
            wy[k] =
                table->weights[py][k] + ty * (table->weights[py + 1][k] - table->weights[py][k]);
        }
        const float *c = plane->origin + (chunk->row[i] + table->first) * plane->stride +
                         (chunk->column[i] + table->first);
        for (int j = 0; j < table->taps; j++)
            for (int k = 0; k < table->taps; k++)
                sum[k] += c[j * plane->stride + k] * wy[j];
        float value = 0.0F;
        for (int k = 0; k < table->taps; k++)
            value += sum[k] * wx[k];
        out[i] = value;
    }
}

/* The pixels less than one away: one, two or four of them. */
static uint8_t mask_around(const aid_mask *mask, const aid_warp_chunk *chunk, int32_t i)
{
    int32_t x = chunk->column[i], y = chunk->row[i];
    int32_t x0 = chunk->fraction_x[i] < 1.0F - on_the_pixel ? AID_MAX(x, 0) : x + 1;
    int32_t y0 = chunk->fraction_y[i] < 1.0F - on_the_pixel ? AID_MAX(y, 0) : y + 1;
    int32_t x1 = chunk->fraction_x[i] > on_the_pixel ? x + 1 : x0;
    int32_t y1 = chunk->fraction_y[i] > on_the_pixel ? y + 1 : y0;
    x0 = AID_MIN(x0, mask->width - 1);
    x1 = AID_MIN(x1, mask->width - 1);
    const uint8_t *upper = aid_mask_row(mask, AID_MIN(y0, mask->height - 1));
    const uint8_t *lower = aid_mask_row(mask, AID_MIN(y1, mask->height - 1));
    return (uint8_t)(upper[x0] | upper[x1] | lower[x0] | lower[x1]);
}

static void mask_chunk(const aid_mask *mask, const aid_warp_chunk *chunk, int32_t count,
                       float *values, uint8_t *out)
{
    for (int32_t i = 0; i < count; i++) {
        if (isnan(chunk->inside[i])) {
            values[i] = NAN;
            out[i] = AID_MASK_NO_DATA;
            continue;
        }
        uint8_t bits = mask->data ? mask_around(mask, chunk, i) : 0;
        if (bits & HAS_NAN) {
            values[i] = NAN;
            bits = (uint8_t)((bits & ~HAS_NAN) | AID_MASK_NO_DATA);
        }
        out[i] = bits;
    }
}

static void sample_chunk(const warp_job *job, const aid_warp_chunk *chunk, int32_t count,
                         float *out)
{
    if (job->table)
        sample_sinc(&job->plane, job->table, chunk, count, out);
    else if (job->options->kernel == AID_KERNEL_SPLINE3)
        sample_cubic(&job->plane, chunk, count, out);
    else
        sample_quintic(&job->plane, chunk, count, out);
}

static aid_status sample_rows(void *context, int64_t band, int worker, aid_error *err)
{
    (void)worker;
    warp_job *job = context;
    int64_t begin, end;
    aid_band_range(job->out.height, ROW_BAND, band, &begin, &end);
    AID_CLEANUP(aid_warp_row_done)
    aid_warp_row row = {0};
    AID_TRY(aid_warp_row_init(job->transform, job->options->grid, job->image, &row, err));
    aid_warp_chunk chunk;
    for (int32_t y = (int32_t)begin; y < end; y++) {
        float *out = aid_image_row(&job->out, y);
        aid_warp_row_begin(&row, y);
        for (int32_t x = 0; x < job->out.width; x += AID_WARP_CHUNK) {
            int32_t count = AID_MIN(AID_WARP_CHUNK, job->out.width - x);
            aid_warp_row_locate(&row, x, count, &chunk);
            sample_chunk(job, &chunk, count, out + x);
            mask_chunk(job->mask, &chunk, count, out + x, aid_mask_row(&job->out_mask, y) + x);
        }
        if (job->options->conserve_flux)
            aid_warp_row_jacobian(&row, job->out.width, 1, out);
    }
    return AID_OK;
}

/* ---------------------------------------------------------------------------------------- holes */

/* How far, in pixels, the kernel reaches beyond the two that surround a position. */
static int32_t reach_of(aid_warp_kernel kernel)
{
    return kernel == AID_KERNEL_SPLINE3 ? 1 : kernel == AID_KERNEL_LANCZOS4 ? 3 : 2;
}

/* HAS_NAN on the pixels of a row that have no value and `reach` to each side. */
static bool mark_row(const warp_job *job, int32_t y, int32_t reach, uint8_t *out)
{
    const float *row = aid_image_row(job->image, y);
    const uint8_t *bits = job->mask->data ? aid_mask_row(job->mask, y) : NULL;
    bool any = false;
    memset(out, 0, (size_t)job->image->width);
    for (int32_t x = 0; x < job->image->width; x++) {
        if (isfinite(row[x]) && !(bits && bits[x] & job->options->missing))
            continue;
        int32_t from = AID_MAX(x - reach, 0), to = AID_MIN(x + reach, job->image->width - 1);
        memset(out + from, HAS_NAN, (size_t)(to - from + 1));
        any = true;
    }
    return any;
}

static void add_row(const uint8_t *restrict marks, int32_t width, uint8_t *restrict out)
{
    for (int32_t x = 0; x < width; x++)
        out[x] |= marks[x];
}

/* A copy of the mask in which HAS_NAN says which pixels' interpolation would touch one without a
 * value: all but the outermost ring of the kernel, which mask_around adds by looking at both
 * neighbours. */
static aid_status mask_with_holes(const warp_job *job, aid_mask *ret_mask, aid_error *err)
{
    const aid_image *image = job->image;
    int32_t reach = reach_of(job->options->kernel);
    AID_CLEANUP(aid_free_pointer)
    uint8_t *marks = NULL;
    AID_TRY(aid_new_buffer((size_t)image->width, 1, "mask", &marks, err));
    AID_TRY(aid_mask_init(image->width, image->height, ret_mask, err));
    if (job->mask->data)
        memcpy(ret_mask->data, job->mask->data, (size_t)image->width * (size_t)image->height);
    for (int32_t y = 0; y < image->height; y++) {
        if (!mark_row(job, y, reach, marks))
            continue;
        for (int32_t j = AID_MAX(y - reach, 0); j <= AID_MIN(y + reach, image->height - 1); j++)
            add_row(marks, image->width, aid_mask_row(ret_mask, j));
    }
    return AID_OK;
}

static bool has_missing(const warp_job *job)
{
    if (job->plane.found_nan)
        return true;
    if (!job->mask->data || job->options->missing == 0)
        return false;
    uint8_t all = 0;
    int64_t pixels = (int64_t)job->mask->width * job->mask->height;
    for (int64_t i = 0; i < pixels; i++)
        all |= job->mask->data[i];
    return all & job->options->missing;
}

/* ---------------------------------------------------------------------------------- the whole */

static aid_status sample_all(warp_job *job, aid_pool *pool, aid_error *err)
{
    AID_CLEANUP(aid_mask_done)
    aid_mask holes = {0};
    AID_CLEANUP(aid_free_pointer)
    aid_weight_table *table = NULL;
    if (has_missing(job)) {
        AID_TRY(mask_with_holes(job, &holes, err));
        job->mask = &holes;
    }
    if (job->options->kernel > AID_KERNEL_SPLINE5) {
        AID_TRY(aid_new_array(1, sizeof *table, "kernel", &table, err));
        aid_lanczos_table(job->options->kernel, table);
        job->table = table;
    }
    return aid_pool_run(pool, aid_band_count(job->out.height, ROW_BAND), sample_rows, job, err);
}

aid_status aid_warp(const aid_image *image, const aid_mask *mask, const aid_transform *transform,
                    int32_t width, int32_t height, const aid_warp_options *options, aid_pool *pool,
                    aid_image *ret_image, aid_mask *ret_mask, aid_error *err)
{
    assert(!mask->data || (mask->width == image->width && mask->height == image->height));
    assert(!options->grid || (options->grid->width == width && options->grid->height == height));
    warp_job job = {.image = image, .mask = mask, .transform = transform, .options = options};
    aid_status status = aid_image_init(width, height, &job.out, err);
    if (status == AID_OK)
        status = aid_mask_init(width, height, &job.out_mask, err);
    if (status == AID_OK)
        status = aid_warp_plane_init(image, options->kernel, pool, &job.plane, err);
    if (status == AID_OK)
        status = sample_all(&job, pool, err);
    aid_warp_plane_done(&job.plane);
    if (status != AID_OK) {
        aid_image_done(&job.out);
        aid_mask_done(&job.out_mask);
        return status;
    }
    *ret_image = job.out;
    *ret_mask = job.out_mask;
    return AID_OK;
}

aid_status aid_warp_mesh(const aid_mesh *mesh, const aid_transform *transform, int32_t width,
                         int32_t height, bool conserve_flux, aid_mesh *ret_mesh, aid_error *err)
{
    double scale = sqrt(fabs(aid_transform_jacobian(transform, 0.5 * width, 0.5 * height)));
    double nx = round(width * scale / mesh->cell_width);
    double ny = round(height * scale / mesh->cell_height);
    aid_mesh out;
    AID_TRY(aid_mesh_init(width, height, (int32_t)AID_CLAMP(nx, 1.0, (double)width),
                          (int32_t)AID_CLAMP(ny, 1.0, (double)height), &out, err));
    for (int32_t j = 0; j < out.ny; j++)
        for (int32_t i = 0; i < out.nx; i++) {
            double x = (i + 0.5) * out.cell_width - 0.5, y = (j + 0.5) * out.cell_height - 0.5;
            double x_in, y_in;
            aid_transform_apply(transform, x, y, &x_in, &y_in);
            double value = aid_mesh_at(mesh, x_in, y_in);
            if (conserve_flux)
                value *= fabs(aid_transform_jacobian(transform, x, y));
            out.values[(int64_t)j * out.nx + i] = (float)value;
        }
    *ret_mesh = out;
    return AID_OK;
}
