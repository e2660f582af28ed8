/* The weights with which input pixels enter an output pixel, and what they make of its variance. */
#include "core/base/memory.h"
#include "core/imaging/warp_internal.h"

#include <assert.h>
#include <math.h>
#include <string.h>

enum { REACH = AID_WARP_REACH, ROW_BAND = 16 };
static const double pi = 3.14159265358979323846;

/* ------------------------------------------------------------------------------------- weights */

static double sinc(double x)
{
    return x == 0.0 ? 1.0 : sin(pi * x) / (pi * x);
}

/* Lanczos (1956): sinc(d) sinc(d/a), with unit sum, so that a constant stays one. */
static void lanczos_weights(int a, double phase, double *weights)
{
    double sum = 0.0;
    for (int k = -a + 1; k <= a; k++) {
        double d = k - phase;
        weights[REACH + k] = fabs(d) < a ? sinc(d) * sinc(d / a) : 0.0;
        sum += weights[REACH + k];
    }
    for (int k = -a + 1; k <= a; k++)
        weights[REACH + k] /= sum;
}

/* The centred B-spline of that order at distance d, as its sum of truncated powers:
 * sum_j (-1)^j binomial(n+1, j) (d + (n+1)/2 - j)_+^n / n! */
static double b_spline(int order, double d)
{
    double sum = 0.0, binomial = 1.0, factorial = 1.0;
    for (int k = 2; k <= order; k++)
        factorial *= k;
    for (int j = 0; j <= order + 1; j++) {
        double u = d + 0.5 * (order + 1) - j;
        if (u > 0.0)
            sum += (j % 2 ? -1.0 : 1.0) * binomial * pow(u, order);
        binomial *= (double)(order + 1 - j) / (j + 1);
    }
    return sum / factorial;
}

/* What the filter makes of a single bright pixel, under the B-spline. */
static void spline_weights(aid_warp_kernel kernel, double phase, double *weights)
{
    enum { LENGTH = 4 * REACH + 1, MIDDLE = 2 * REACH };
    int order = (int)kernel, reach = (order + 1) / 2;
    float response[LENGTH] = {0.0F};
    response[MIDDLE] = 1.0F;
    aid_warp_filter_line(kernel, response, LENGTH);
    for (int k = -REACH; k <= REACH; k++)
        for (int m = -reach; m <= reach + 1; m++) /* the filter is symmetric */
            weights[REACH + k] += (double)response[MIDDLE + m - k] * b_spline(order, phase - m);
}

void aid_warp_weights(aid_warp_kernel kernel, double phase,
                      double ret_weights[2 * AID_WARP_REACH + 1])
{
    memset(ret_weights, 0, (2 * REACH + 1) * sizeof *ret_weights);
    if (kernel > AID_KERNEL_SPLINE5)
        lanczos_weights((int)kernel / 2, phase, ret_weights);
    else
        spline_weights(kernel, phase, ret_weights);
}

void aid_lanczos_table(aid_warp_kernel kernel, aid_weight_table *ret_table)
{
    ret_table->taps = (int)kernel;
    ret_table->first = 1 - (int)kernel / 2;
    for (int p = 0; p <= AID_WARP_PHASES; p++) {
        double w[2 * REACH + 1];
        aid_warp_weights(kernel, (double)p / AID_WARP_PHASES, w);
        for (int k = 0; k < AID_WARP_MAX_TAPS; k++)
            ret_table->weights[p][k] =
                k < ret_table->taps ? (float)w[REACH + ret_table->first + k] : 0.0F;
    }
}

/* Squared weights of the nearest 8 pixels, raised to the sum of all squares: the others have less
 * than a hundredth of it. */
static void square_table(aid_warp_kernel kernel, aid_weight_table *table)
{
    table->taps = AID_WARP_MAX_TAPS;
    table->first = 1 - table->taps / 2;
    for (int p = 0; p <= AID_WARP_PHASES; p++) {
        double w[2 * REACH + 1], all = 0.0, near = 0.0;
        aid_warp_weights(kernel, (double)p / AID_WARP_PHASES, w);
        for (int k = -REACH; k <= REACH; k++)
            all += w[REACH + k] * w[REACH + k];
        for (int k = 0; k < table->taps; k++)
            near += w[REACH + table->first + k] * w[REACH + table->first + k];
        for (int k = 0; k < AID_WARP_MAX_TAPS; k++) {
            double weight = w[REACH + table->first + k];
            table->weights[p][k] = (float)(weight * weight * all / near);
        }
    }
}

/* ------------------------------------------------------------------------------------ variance */

typedef struct variance_job {
    const aid_transform *transform;
    const aid_warp_options *options;
    aid_weight_table *table;
    aid_warp_plane plane; /* of the variance itself */
    const aid_image *input;
    aid_image out;
} variance_job;

AID_HOT static void sum_squares(const aid_warp_plane *plane, const aid_weight_table *table,
                                const aid_warp_chunk *chunk, int32_t count, float *restrict out)
{
    for (int32_t i = 0; i < count; i++) {
        float sum[AID_WARP_MAX_TAPS] = {0.0F}, value = 0.0F;
        const float *wx = table->weights[(int)(chunk->fraction_x[i] * AID_WARP_PHASES + 0.5F)];
        const float *wy = table->weights[(int)(chunk->fraction_y[i] * AID_WARP_PHASES + 0.5F)];
        const float *c = plane->origin + (chunk->row[i] + table->first) * plane->stride +
                         (chunk->column[i] + table->first);
        for (int j = 0; j < AID_WARP_MAX_TAPS; j++)
            for (int k = 0; k < AID_WARP_MAX_TAPS; k++)
                sum[k] += c[j * plane->stride + k] * wy[j];
        for (int k = 0; k < AID_WARP_MAX_TAPS; k++)
            value += sum[k] * wx[k];
        out[i] = value * chunk->inside[i];
    }
}

static aid_status variance_rows(void *context, int64_t band, int worker, aid_error *err)
{
    (void)worker;
    variance_job *job = context;
    int64_t begin, end;
    aid_band_range(job->out.height, ROW_BAND, band, &begin, &end);
    AID_CLEANUP(aid_warp_row_done)
    aid_warp_row row = {0};
    AID_TRY(aid_warp_row_init(job->transform, job->options->grid, job->input, &row, err));
    aid_warp_chunk chunk;
    for (int32_t y = (int32_t)begin; y < end; y++) {
        float *out = aid_image_row(&job->out, y);
        aid_warp_row_begin(&row, y);
        for (int32_t x = 0; x < job->out.width; x += AID_WARP_CHUNK) {
            int32_t count = AID_MIN(AID_WARP_CHUNK, job->out.width - x);
            aid_warp_row_locate(&row, x, count, &chunk);
            sum_squares(&job->plane, job->table, &chunk, count, out + x);
        }
        if (job->options->conserve_flux)
            aid_warp_row_jacobian(&row, job->out.width, 2, out);
    }
    return AID_OK;
}

static void drop_negative(aid_warp_plane *plane)
{
    int64_t floats = plane->stride * (plane->height + 2 * AID_PLANE_MARGIN);
    for (int64_t i = 0; i < floats; i++)
        plane->memory[i] = plane->memory[i] > 0.0F ? plane->memory[i] : 0.0F;
}

aid_status aid_warp_variance(const aid_image *variance, const aid_transform *transform,
                             int32_t width, int32_t height, const aid_warp_options *options,
                             aid_pool *pool, aid_image *ret_variance, aid_error *err)
{
    assert(!options->grid || (options->grid->width == width && options->grid->height == height));
    variance_job job = {.transform = transform, .options = options, .input = variance};
    AID_CLEANUP(aid_free_pointer)
    aid_weight_table *table = NULL;
    AID_TRY(aid_new_array(1, sizeof *table, "kernel", &table, err));
    square_table(options->kernel, table);
    job.table = table;
    aid_status status = aid_image_init(width, height, &job.out, err);
    /* A windowed sinc leaves the plane unfiltered. */
    if (status == AID_OK)
        status = aid_warp_plane_init(variance, AID_KERNEL_LANCZOS4, pool, &job.plane, err);
    if (status == AID_OK) {
        drop_negative(&job.plane);
        status = aid_pool_run(pool, aid_band_count(height, ROW_BAND), variance_rows, &job, err);
    }
    aid_warp_plane_done(&job.plane);
    if (status != AID_OK) {
        aid_image_done(&job.out);
        return status;
    }
    *ret_variance = job.out;
    return AID_OK;
}
