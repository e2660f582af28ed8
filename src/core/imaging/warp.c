/* B-spline interpolation (Unser, Aldroubi & Eden 1993, IEEE Trans. Signal Processing 41, 821 and
 * 834): the pixels are first turned into spline coefficients by recursive filters along rows and
 * columns, then each output pixel is a weighted sum of 4x4 (cubic) or 6x6 (quintic) coefficients.
 * Beyond the border the image is continued by its mirror image about the edge pixel's centre. */
#include "core/imaging/warp.h"

#include "core/base/memory.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    MARGIN = 4,    /* px around the coefficients, so that no kernel needs to look where it is */
    LANES = 16,    /* rows filtered side by side */
    STRIP = 64,    /* columns filtered side by side */
    ROW_BAND = 16, /* output rows of one task */
    CHUNK = 256,   /* output pixels whose positions are worked out together */
    KNOT = 8,      /* px between exact values of the Jacobian */
    HAS_NAN = 128  /* private mask bit: an input NaN is within reach */
};
static const double edge_tolerance = 0.05;
static const float on_the_pixel = 1e-3F; /* nearer than this, the neighbour's weight is nothing */

typedef struct spline {
    int taps, pole_count;
    double poles[2];
} spline;

static spline spline_of(int order)
{
    if (order == 3)
        return (spline){.taps = 4, .pole_count = 1, .poles = {sqrt(3.0) - 2.0}};
    double inner = sqrt(17745.0 / 4.0), outer = sqrt(105.0 / 4.0);
    return (spline){.taps = 6,
                    .pole_count = 2,
                    .poles = {sqrt(67.5 - inner) + outer - 6.5, sqrt(67.5 + inner) - outer - 6.5}};
}

/* The coefficients of an image with a margin all round. The odd multiple of 16 keeps rows of images
 * whose width is a power of two from falling into the same cache sets. */
typedef struct coefficient_plane {
    float *memory;
    float *origin; /* of pixel (0, 0) */
    int64_t stride;
    int32_t width, height;
} coefficient_plane;

static aid_status plane_init(int32_t width, int32_t height, coefficient_plane *ret_plane,
                             aid_error *err)
{
    int64_t lines = ((int64_t)width + 2 * MARGIN + STRIP) / 16 + 1;
    coefficient_plane plane = {.width = width, .height = height, .stride = 16 * (lines | 1)};
    AID_TRY(aid_new_array((size_t)plane.stride * (size_t)(height + 2 * MARGIN), sizeof(float),
                          "spline coefficients", &plane.memory, err));
    plane.origin = plane.memory + MARGIN * plane.stride + MARGIN;
    *ret_plane = plane;
    return AID_OK;
}

static void plane_done(coefficient_plane *plane)
{
    free(plane->memory);
}

/* ----------------------------------------------------------------------------------- prefilter */

/* Where index i of a sequence of n that is mirrored at both ends really lies. */
static int64_t mirrored(int64_t i, int64_t n)
{
    if (n == 1)
        return 0;
    int64_t period = 2 * n - 2;
    i = (i % period + period) % period;
    return i < n ? i : period - i;
}

/* The first value of the causal recursion, sum z^k s[k] over the mirrored sequence, of which 1e-9
 * is left out at most; `sum` has `lanes` values. */
AID_HOT static void start_recursion(const float *restrict c, int64_t step, int64_t length,
                                    int64_t lanes, double pole, float *restrict sum)
{
    int64_t reach = (int64_t)(log(1e-9) / log(fabs(pole))) + 1;
    double power = 1.0;
    memset(sum, 0, (size_t)lanes * sizeof *sum);
    for (int64_t k = 0; k < reach; k++, power *= pole) {
        const float *restrict row = c + mirrored(k, length) * step;
        float factor = (float)power;
        for (int64_t lane = 0; lane < lanes; lane++)
            sum[lane] += factor * row[lane];
    }
}

/* One pole of the recursive filter along `lanes` sequences that lie side by side; `step` separates
 * the values of one sequence. Each value's rounding error fades by |z| < 0.44 a step, so float
 * keeps seven digits. */
AID_HOT static void filter_pole(float *c, int64_t step, int64_t length, int64_t lanes, double pole,
                                const float *restrict first)
{
    const float z = (float)pole, gain = (float)((1.0 - pole) * (1.0 - 1.0 / pole));
    for (int64_t lane = 0; lane < lanes; lane++)
        c[lane] = gain * first[lane];
    for (int64_t i = 1; i < length; i++) {
        const float *restrict before = c + (i - 1) * step;
        float *restrict here = c + i * step;
        for (int64_t lane = 0; lane < lanes; lane++)
            here[lane] = gain * here[lane] + z * before[lane];
    }
    const float end = (float)(pole / (pole * pole - 1.0));
    float *restrict last = c + (length - 1) * step;
    const float *restrict next_to_last = c + (length - 2) * step;
    for (int64_t lane = 0; lane < lanes; lane++)
        last[lane] = end * (last[lane] + z * next_to_last[lane]);
    for (int64_t i = length - 2; i >= 0; i--) {
        const float *restrict after = c + (i + 1) * step;
        float *restrict here = c + i * step;
        for (int64_t lane = 0; lane < lanes; lane++)
            here[lane] = z * (after[lane] - here[lane]);
    }
}

static void filter_lanes(const spline *kind, float *c, int64_t step, int64_t length, int64_t lanes)
{
    float first[STRIP];
    if (length < 2) /* a constant is its own spline */
        return;
    for (int k = 0; k < kind->pole_count; k++) {
        start_recursion(c, step, length, lanes, kind->poles[k], first);
        filter_pole(c, step, length, lanes, kind->poles[k], first);
    }
}

typedef struct warp_job {
    const aid_image *image;
    const aid_mask *mask;
    spline kind;
    coefficient_plane plane;
    float *scratch;  /* [threads][width][LANES] */
    bool *found_nan; /* [bands of LANES rows] */
    const aid_transform *transform;
    bool conserve_flux;
    aid_image out;
    aid_mask out_mask;
} warp_job;

/* Rows lie far apart in memory, so they are brought side by side first. */
static bool gather_rows(const aid_image *image, int64_t begin, int64_t end, float *lanes)
{
    bool all_finite = true;
    memset(lanes, 0, (size_t)image->width * LANES * sizeof *lanes);
    for (int64_t y = begin; y < end; y++) {
        const float *row = aid_image_row(image, (int32_t)y);
        float *lane = lanes + (y - begin);
        for (int32_t x = 0; x < image->width; x++) {
            bool finite = isfinite(row[x]);
            all_finite &= finite;
            lane[(int64_t)x * LANES] = finite ? row[x] : 0.0F;
        }
    }
    return all_finite;
}

static aid_status filter_rows(void *context, int64_t band, int worker, aid_error *err)
{
    (void)err;
    warp_job *job = context;
    int64_t begin, end;
    int32_t width = job->image->width;
    aid_band_range(job->image->height, LANES, band, &begin, &end);
    float *lanes = job->scratch + (int64_t)worker * width * LANES;
    job->found_nan[band] = !gather_rows(job->image, begin, end, lanes);
    filter_lanes(&job->kind, lanes, LANES, width, LANES);
    for (int64_t y = begin; y < end; y++) {
        float *row = job->plane.origin + y * job->plane.stride;
        for (int32_t x = 0; x < width; x++)
            row[x] = lanes[(int64_t)x * LANES + (y - begin)];
    }
    return AID_OK;
}

static aid_status filter_columns(void *context, int64_t strip, int worker, aid_error *err)
{
    (void)worker;
    (void)err;
    warp_job *job = context;
    filter_lanes(&job->kind, job->plane.origin + strip * STRIP, job->plane.stride,
                 job->image->height, AID_MIN(STRIP, job->image->width - strip * STRIP));
    return AID_OK;
}

static void mirror_margins(const coefficient_plane *plane)
{
    for (int32_t y = 0; y < plane->height; y++) {
        float *row = plane->origin + y * plane->stride;
        for (int32_t i = 1; i <= MARGIN; i++) {
            row[-i] = row[mirrored(-i, plane->width)];
            row[plane->width - 1 + i] = row[mirrored(plane->width - 1 + i, plane->width)];
        }
    }
    size_t bytes = ((size_t)plane->width + 2 * MARGIN) * sizeof(float);
    float *corner = plane->origin - MARGIN;
    for (int64_t i = 1; i <= MARGIN; i++) {
        int64_t below = plane->height - 1 + i;
        memcpy(corner - i * plane->stride, corner + mirrored(-i, plane->height) * plane->stride,
               bytes);
        memcpy(corner + below * plane->stride,
               corner + mirrored(below, plane->height) * plane->stride, bytes);
    }
}

/* --------------------------------------------------------------------------------- resampling */

typedef struct row_polynomial {
    int degree;
    double x[AID_TRANSFORM_MAX_DEGREE + 1], y[AID_TRANSFORM_MAX_DEGREE + 1];
    double x0, scale;
} row_polynomial;

typedef struct sample_chunk {
    int32_t column[CHUNK], row[CHUNK]; /* of the coefficient at or before the position */
    float fraction_x[CHUNK], fraction_y[CHUNK];
    float inside[CHUNK]; /* 1, or NaN off the input */
} sample_chunk;

/* Splits one coordinate into pixel and fraction; positions off the input are moved onto it and told
 * by `inside`. */
AID_HOT static void locate(const double *restrict polynomial, int degree, const double *restrict u,
                           double last, int32_t *restrict pixel, float *restrict fraction,
                           float *restrict inside, int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        double at = polynomial[degree];
        for (int k = degree - 1; k >= 0; k--)
            at = at * u[i] + polynomial[k];
        double held = at > -edge_tolerance ? at : -edge_tolerance; /* NaN goes there, too */
        held = held < last + edge_tolerance ? held : last + edge_tolerance;
        inside[i] = at == held ? inside[i] : NAN;
        pixel[i] = (int32_t)(held + 1.0) - 1; /* floor, as held > -1 */
        fraction[i] = (float)(held - (double)pixel[i]);
    }
}

static void locate_chunk(const row_polynomial *row, const aid_image *input, int32_t x,
                         int32_t count, sample_chunk *chunk)
{
    double u[CHUNK];
    for (int32_t i = 0; i < count; i++) {
        u[i] = (x + i - row->x0) / row->scale;
        chunk->inside[i] = 1.0F;
    }
    locate(row->x, row->degree, u, input->width - 1, chunk->column, chunk->fraction_x,
           chunk->inside, count);
    locate(row->y, row->degree, u, input->height - 1, chunk->row, chunk->fraction_y, chunk->inside,
           count);
}

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

AID_HOT static void sample_cubic(const coefficient_plane *plane, const sample_chunk *chunk,
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

AID_HOT static void sample_quintic(const coefficient_plane *plane, const sample_chunk *chunk,
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

/* The pixels less than one away: one, two or four of them. */
static uint8_t mask_around(const aid_mask *mask, const sample_chunk *chunk, int32_t i)
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

static void mask_chunk(const aid_mask *mask, const sample_chunk *chunk, int32_t count,
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

/* |Jacobian| along a row: exact every KNOT px, linear between. Where it varies by a hundredth
 * within 100 px, more than any optics do, what that leaves out within 8 px is below 2e-5. */
static void multiply_by_jacobian(const aid_transform *transform, int32_t y, int32_t width,
                                 float *row)
{
    double left = fabs(aid_transform_jacobian(transform, 0.0, y));
    for (int32_t x = 0; x < width; x += KNOT) {
        int32_t count = AID_MIN(KNOT, width - x);
        double right = fabs(aid_transform_jacobian(transform, x + KNOT, y));
        float start = (float)left, slope = (float)((right - left) / KNOT);
        for (int32_t i = 0; i < count; i++)
            row[x + i] *= start + slope * (float)i;
        left = right;
    }
}

static aid_status sample_rows(void *context, int64_t band, int worker, aid_error *err)
{
    (void)worker;
    (void)err;
    warp_job *job = context;
    int64_t begin, end;
    aid_band_range(job->out.height, ROW_BAND, band, &begin, &end);
    row_polynomial row = {
        .degree = job->transform->degree, .x0 = job->transform->x0, .scale = job->transform->scale};
    sample_chunk chunk;
    for (int32_t y = (int32_t)begin; y < end; y++) {
        float *out = aid_image_row(&job->out, y);
        aid_transform_row(job->transform, y, row.x, row.y);
        for (int32_t x = 0; x < job->out.width; x += CHUNK) {
            int32_t count = AID_MIN(CHUNK, job->out.width - x);
            locate_chunk(&row, job->image, x, count, &chunk);
            if (job->kind.taps == 4)
                sample_cubic(&job->plane, &chunk, count, out + x);
            else
                sample_quintic(&job->plane, &chunk, count, out + x);
            mask_chunk(job->mask, &chunk, count, out + x, aid_mask_row(&job->out_mask, y) + x);
        }
        if (job->conserve_flux)
            multiply_by_jacobian(job->transform, y, job->out.width, out);
    }
    return AID_OK;
}

/* ---------------------------------------------------------------------------------- the whole */

static aid_status prefilter(warp_job *job, aid_pool *pool, bool *ret_found_nan, aid_error *err)
{
    const aid_image *image = job->image;
    int64_t bands = aid_band_count(image->height, LANES);
    AID_CLEANUP(aid_free_pointer)
    float *scratch = NULL;
    AID_CLEANUP(aid_free_pointer)
    bool *found_nan = NULL;
    AID_TRY(aid_new_buffer((size_t)aid_pool_threads(pool) * (size_t)image->width,
                           LANES * sizeof(float), "spline filter", &scratch, err));
    AID_TRY(aid_new_array((size_t)bands, sizeof(bool), "spline filter", &found_nan, err));
    job->scratch = scratch;
    job->found_nan = found_nan;
    AID_TRY(aid_pool_run(pool, bands, filter_rows, job, err));
    AID_TRY(aid_pool_run(pool, aid_band_count(image->width, STRIP), filter_columns, job, err));
    mirror_margins(&job->plane);
    *ret_found_nan = false;
    for (int64_t band = 0; band < bands; band++)
        *ret_found_nan |= found_nan[band];
    return AID_OK;
}

/* A copy of the mask in which HAS_NAN says which pixels' interpolation would touch a NaN: all but
 * the outermost ring of the kernel, which mask_around adds by looking at both neighbours. */
static aid_status mask_with_holes(const warp_job *job, aid_pool *pool, aid_mask *ret_mask,
                                  aid_error *err)
{
    const aid_image *image = job->image;
    AID_TRY(aid_mask_init(image->width, image->height, ret_mask, err));
    for (int32_t y = 0; y < image->height; y++) {
        const float *row = aid_image_row(image, y);
        uint8_t *out = aid_mask_row(ret_mask, y);
        if (job->mask->data)
            memcpy(out, aid_mask_row(job->mask, y), (size_t)image->width);
        for (int32_t x = 0; x < image->width; x++)
            if (!isfinite(row[x]))
                out[x] |= HAS_NAN;
    }
    double square = job->kind.taps == 4 ? 1.5 : 2.9; /* disks that hold just 3x3 and 5x5 px */
    return aid_mask_grow(ret_mask, HAS_NAN, square, HAS_NAN, pool, err);
}

static aid_status sample_all(warp_job *job, aid_pool *pool, aid_error *err)
{
    bool found_nan;
    AID_CLEANUP(aid_mask_done)
    aid_mask holes = {0};
    AID_TRY(prefilter(job, pool, &found_nan, err));
    if (found_nan) {
        AID_TRY(mask_with_holes(job, pool, &holes, err));
        job->mask = &holes;
    }
    return aid_pool_run(pool, aid_band_count(job->out.height, ROW_BAND), sample_rows, job, err);
}

aid_status aid_warp(const aid_image *image, const aid_mask *mask, const aid_transform *transform,
                    int32_t width, int32_t height, const aid_warp_options *options, aid_pool *pool,
                    aid_image *ret_image, aid_mask *ret_mask, aid_error *err)
{
    assert(options->order == 3 || options->order == 5);
    assert(!mask->data || (mask->width == image->width && mask->height == image->height));
    warp_job job = {.image = image,
                    .mask = mask,
                    .kind = spline_of(options->order),
                    .transform = transform,
                    .conserve_flux = options->conserve_flux};
    AID_CLEANUP(plane_done)
    coefficient_plane plane = {0};
    AID_TRY(plane_init(image->width, image->height, &plane, err));
    job.plane = plane;
    aid_status status = aid_image_init(width, height, &job.out, err);
    if (status == AID_OK)
        status = aid_mask_init(width, height, &job.out_mask, err);
    if (status == AID_OK)
        status = sample_all(&job, pool, err);
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
