/* Level and noise of the sky, by one of several estimators. */
#include "core/base/memory.h"
#include "core/imaging/stats.h"
#include "domain/quality/internal.h"

#include <stdlib.h>
#include <string.h>

static const double kappa = 3.0; /* of the clipping */

void aid_quality_raw_row(const aid_exposure *exposure, int32_t y, float *row)
{
    const float *image = aid_image_row(&exposure->image, y);
    aid_mesh_row(&exposure->background, y, row);
    for (int32_t x = 0; x < exposure->image.width; x++)
        row[x] += image[x];
}

/* ---------------------------------------------------------------------------------- the samples */

/* What one row gives: `rows` are the one above, the row itself and the one below, `masks` likewise
 * (NULL beyond the border). Returns how many values it wrote. */
typedef int64_t (*sampler)(const float *const rows[3], const uint8_t *const masks[3], int32_t width,
                           float *values);

static bool is_sound(uint8_t bits)
{
    return !(bits & AID_QUALITY_UNSOUND);
}

static int64_t sample_pixels(const float *const rows[3], const uint8_t *const masks[3],
                             int32_t width, float *values)
{
    int64_t count = 0;
    for (int32_t x = 0; x < width; x++)
        if (is_sound(masks[1][x]))
            values[count++] = rows[1][x];
    return count;
}

static int64_t sample_differences(const float *const rows[3], const uint8_t *const masks[3],
                                  int32_t width, float *values)
{
    int64_t count = 0;
    for (int32_t x = 0; x + 1 < width; x++)
        if (is_sound((uint8_t)(masks[1][x] | masks[1][x + 1])))
            values[count++] = rows[1][x + 1] - rows[1][x];
    return count;
}

static uint8_t bits_around(const uint8_t *const masks[3], int32_t x)
{
    unsigned bits = 0;
    for (int j = 0; j < 3; j++)
        bits |= (unsigned)masks[j][x - 1] | masks[j][x] | masks[j][x + 1];
    return (uint8_t)bits;
}

/* The difference of two Laplacians, [1 -2 1; -2 4 -2; 1 -2 1] (Immerkaer 1996, Computer Vision and
 * Image Understanding 64, 300): 36 times the variance of white noise, 0 on any plane. */
static int64_t sample_laplacian(const float *const rows[3], const uint8_t *const masks[3],
                                int32_t width, float *values)
{
    int64_t count = 0;
    if (!rows[0] || !rows[2])
        return 0;
    for (int32_t x = 1; x + 1 < width; x++) {
        if (!is_sound(bits_around(masks, x)))
            continue;
        double second[3];
        for (int j = 0; j < 3; j++)
            second[j] = (double)rows[j][x - 1] - 2.0 * (double)rows[j][x] + (double)rows[j][x + 1];
        values[count++] = (float)(second[0] - 2.0 * second[1] + second[2]);
    }
    return count;
}

typedef struct samples {
    float *values;
    int64_t count;
} samples;

static void samples_done(samples *sampled)
{
    aid_free_pointer(&sampled->values);
}

/* Three rows of the raw image at a time, in a ring. */
static aid_status collect(const aid_exposure *exposure, sampler sample, samples *ret_samples,
                          aid_error *err)
{
    int32_t width = exposure->image.width, height = exposure->image.height;
    AID_CLEANUP(samples_done)
    samples sampled = {0};
    AID_CLEANUP(aid_free_pointer)
    float *ring = NULL;
    AID_TRY(aid_new_buffer((size_t)width * (size_t)height, sizeof(float), "sky pixels",
                           &sampled.values, err));
    AID_TRY(aid_new_array((size_t)width * 3, sizeof *ring, "rows", &ring, err));
    aid_quality_raw_row(exposure, 0, ring);
    for (int32_t y = 0; y < height; y++) {
        const float *rows[3] = {0};
        const uint8_t *masks[3] = {0};
        if (y + 1 < height)
            aid_quality_raw_row(exposure, y + 1, ring + (int64_t)((y + 1) % 3) * width);
        for (int j = 0; j < 3; j++)
            if (y + j >= 1 && y + j <= height) {
                rows[j] = ring + (int64_t)((y + j - 1) % 3) * width;
                masks[j] = aid_mask_row(&exposure->mask, y + j - 1);
            }
        sampled.count += sample(rows, masks, width, sampled.values + sampled.count);
    }
    if (sampled.count == 0)
        AID_FAIL(err, AID_ERR_NUMERIC, "%s: none of %d x %d pixels is sound sky", exposure->name,
                 width, height);
    *ret_samples = sampled;
    sampled.values = NULL;
    return AID_OK;
}

/* ------------------------------------------------------------------------------- the estimators */

static aid_status check_meshes(const aid_exposure *exposure, aid_error *err)
{
    if (!exposure->background.values || !exposure->noise.values)
        AID_FAIL(err, AID_ERR_INVALID, "%s: an exposure without maps of background and noise",
                 exposure->name);
    return AID_OK;
}

static int ascending(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Mean of the middle half: as robust against a galaxy as is needed, and steadier than the median
 * where the sky has a gradient. */
static aid_status midmean_of(const aid_mesh *mesh, double *ret_mean, aid_error *err)
{
    AID_CLEANUP(aid_free_pointer)
    float *sorted = NULL;
    int64_t count = (int64_t)mesh->nx * mesh->ny;
    AID_TRY(aid_new_buffer((size_t)count, sizeof *sorted, "mesh", &sorted, err));
    memcpy(sorted, mesh->values, (size_t)count * sizeof *sorted);
    qsort(sorted, (size_t)count, sizeof *sorted, ascending);
    double sum = 0.0;
    int64_t first = count / 4, last = count - first;
    for (int64_t i = first; i < last; i++)
        sum += (double)sorted[i];
    *ret_mean = sum / (double)(last - first);
    return AID_OK;
}

aid_status aid_quality_background_of(const aid_exposure *exposure, aid_quality_background estimator,
                                     double *ret_level, aid_error *err)
{
    AID_TRY(check_meshes(exposure, err));
    if (estimator == AID_QUALITY_BACKGROUND_MESH)
        return midmean_of(&exposure->background, ret_level, err);
    AID_CLEANUP(samples_done)
    samples sky = {0};
    AID_TRY(collect(exposure, sample_pixels, &sky, err));
    if (estimator == AID_QUALITY_BACKGROUND_MEDIAN) {
        *ret_level = aid_median_in_place(sky.values, sky.count);
        return AID_OK;
    }
    aid_clipped clipped = aid_clipped_stats(sky.values, sky.count, kappa);
    *ret_level = clipped.mean;
    if (estimator != AID_QUALITY_BACKGROUND_MODE)
        return AID_OK;
    /* The median of what the clipping leaves: all within kappa sigma of the median of all. */
    double middle = aid_median_of(sky.values, sky.count), reach = kappa * clipped.sigma;
    int64_t kept = 0;
    for (int64_t i = 0; i < sky.count; i++)
        if (fabs((double)sky.values[i] - middle) <= reach)
            sky.values[kept++] = sky.values[i];
    double median = aid_median_in_place(sky.values, kept);
    *ret_level = kept > 0 ? 2.5 * median - 1.5 * clipped.mean : clipped.mean;
    return AID_OK;
}

aid_status aid_quality_noise_of(const aid_exposure *exposure, aid_quality_noise estimator,
                                double *ret_noise, aid_error *err)
{
    AID_TRY(check_meshes(exposure, err));
    if (estimator == AID_QUALITY_NOISE_MESH) {
        *ret_noise = aid_mesh_median(&exposure->noise);
        return AID_OK;
    }
    AID_CLEANUP(samples_done)
    samples sky = {0};
    if (estimator == AID_QUALITY_NOISE_MAD || estimator == AID_QUALITY_NOISE_CLIPPED) {
        AID_TRY(collect(exposure, sample_pixels, &sky, err));
        *ret_noise = estimator == AID_QUALITY_NOISE_MAD
                         ? aid_robust_in_place(sky.values, sky.count).sigma
                         : aid_clipped_stats(sky.values, sky.count, kappa).sigma;
        return AID_OK;
    }
    bool laplacian = estimator == AID_QUALITY_NOISE_LAPLACIAN;
    AID_TRY(collect(exposure, laplacian ? sample_laplacian : sample_differences, &sky, err));
    *ret_noise = aid_robust_in_place(sky.values, sky.count).sigma / (laplacian ? 6.0 : sqrt(2.0));
    return AID_OK;
}
