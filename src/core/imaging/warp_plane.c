/* B-spline interpolation (Unser, Aldroubi & Eden 1993, IEEE Trans. Signal Processing 41, 821 and
 * 834): the pixels are first turned into spline coefficients by recursive filters along rows and
 * columns. Beyond the border the image is continued by its mirror image about the edge pixel's
 * centre. */
#include "core/base/memory.h"
#include "core/imaging/warp_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    MARGIN = AID_PLANE_MARGIN,
    LANES = 16, /* rows filtered side by side */
    STRIP = 64  /* columns filtered side by side */
};

typedef struct spline {
    int pole_count; /* 0: the pixels are the coefficients */
    double poles[2];
} spline;

static spline spline_of(aid_warp_kernel kernel)
{
    if (kernel == AID_KERNEL_SPLINE3)
        return (spline){.pole_count = 1, .poles = {sqrt(3.0) - 2.0}};
    double inner = sqrt(17745.0 / 4.0), outer = sqrt(105.0 / 4.0);
    if (kernel == AID_KERNEL_SPLINE5)
        return (spline){
            .pole_count = 2,
            .poles = {sqrt(67.5 - inner) + outer - 6.5, sqrt(67.5 + inner) - outer - 6.5}};
    return (spline){.pole_count = 0};
}

/* The odd multiple of 16 keeps rows of images whose width is a power of two from falling into the
 * same cache sets. */
static aid_status plane_init(int32_t width, int32_t height, aid_warp_plane *ret_plane,
                             aid_error *err)
{
    int64_t lines = ((int64_t)width + 2 * MARGIN + STRIP) / 16 + 1;
    aid_warp_plane plane = {.width = width, .height = height, .stride = 16 * (lines | 1)};
    AID_TRY(aid_new_buffer((size_t)plane.stride * (size_t)(height + 2 * MARGIN), sizeof(float),
                           "spline coefficients", &plane.memory, err));
    plane.origin = plane.memory + MARGIN * plane.stride + MARGIN;
    *ret_plane = plane;
    return AID_OK;
}

void aid_warp_plane_done(aid_warp_plane *plane)
{
    free(plane->memory);
    *plane = (aid_warp_plane){0};
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

typedef struct filter_job {
    const aid_image *image;
    spline kind;
    aid_warp_plane *plane;
    float *scratch;  /* [threads][width][LANES] */
    bool *found_nan; /* [bands of LANES rows] */
} filter_job;

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
    filter_job *job = context;
    int64_t begin, end;
    int32_t width = job->image->width;
    aid_band_range(job->image->height, LANES, band, &begin, &end);
    float *lanes = job->scratch + (int64_t)worker * width * LANES;
    job->found_nan[band] = !gather_rows(job->image, begin, end, lanes);
    filter_lanes(&job->kind, lanes, LANES, width, LANES);
    for (int64_t y = begin; y < end; y++) {
        float *row = job->plane->origin + y * job->plane->stride;
        for (int32_t x = 0; x < width; x++)
            row[x] = lanes[(int64_t)x * LANES + (y - begin)];
    }
    return AID_OK;
}

static aid_status filter_columns(void *context, int64_t strip, int worker, aid_error *err)
{
    (void)worker;
    (void)err;
    filter_job *job = context;
    filter_lanes(&job->kind, job->plane->origin + strip * STRIP, job->plane->stride,
                 job->image->height, AID_MIN(STRIP, job->image->width - strip * STRIP));
    return AID_OK;
}

static void mirror_margins(const aid_warp_plane *plane)
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

/* ---------------------------------------------------------------------------------- the whole */

void aid_warp_filter_line(aid_warp_kernel kernel, float *values, int64_t length)
{
    spline kind = spline_of(kernel);
    filter_lanes(&kind, values, 1, length, 1);
}

static aid_status prefilter(filter_job *job, aid_pool *pool, aid_error *err)
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
    if (job->kind.pole_count > 0)
        AID_TRY(aid_pool_run(pool, aid_band_count(image->width, STRIP), filter_columns, job, err));
    mirror_margins(job->plane);
    for (int64_t band = 0; band < bands; band++)
        job->plane->found_nan |= found_nan[band];
    return AID_OK;
}

aid_status aid_warp_plane_init(const aid_image *image, aid_warp_kernel kernel, aid_pool *pool,
                               aid_warp_plane *ret_plane, aid_error *err)
{
    AID_CLEANUP(aid_warp_plane_done)
    aid_warp_plane plane = {0};
    AID_TRY(plane_init(image->width, image->height, &plane, err));
    filter_job job = {.image = image, .kind = spline_of(kernel), .plane = &plane};
    AID_TRY(prefilter(&job, pool, err));
    *ret_plane = plane;
    plane = (aid_warp_plane){0};
    return AID_OK;
}
