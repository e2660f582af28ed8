/* Level and noise of the sky between the sources, on blocks of 2 x 2 pixels. */
#include "core/base/memory.h"
#include "core/imaging/stats.h"
#include "domain/preprocessing/prepare_internal.h"

#include <stdlib.h>
#include <string.h>

/* -------------------------------------------------------------------------------------- blocks */

enum { SOURCE_GROWTH = 2 /* blocks */, MAX_SAMPLE = 16384, FEWEST_BLOCKS = 64 };
static const double crowded_ratio = 1.25;   /* smoothed noise of resampled images has up to 1.2 */
static const double darkest_share = 0.3;    /* of a crowded cell's blocks */
static const double source_threshold = 3.0; /* sigma of a sum over 4 x 4 pixels */

typedef struct block_job {
    const aid_image *image;
    const aid_mask *mask;
    aid_blocks *blocks;
} block_job;

void aid_blocks_done(aid_blocks *blocks)
{
    aid_image_done(&blocks->mean);
    aid_image_done(&blocks->detail);
    aid_mask_done(&blocks->sources);
}

AID_HOT static void pair_rows(const float *restrict upper, const float *restrict lower,
                              const uint8_t *restrict upper_mask,
                              const uint8_t *restrict lower_mask, int32_t blocks,
                              float *restrict mean, float *restrict detail)
{
    for (int32_t i = 0; i < blocks; i++) {
        float a = upper[2 * i], b = upper[2 * i + 1], c = lower[2 * i], d = lower[2 * i + 1];
        int masked =
            upper_mask[2 * i] | upper_mask[2 * i + 1] | lower_mask[2 * i] | lower_mask[2 * i + 1];
        float hole = masked ? NAN : 0.0f;
        mean[i] = 0.5f * ((a + b) + (c + d)) + hole;
        detail[i] = 0.5f * ((a - b) - (c - d)) + hole;
    }
}

static aid_status pair_band(void *context, int64_t band, int worker, aid_error *err)
{
    (void)worker;
    (void)err;
    const block_job *job = context;
    int64_t begin, end;
    aid_band_range(job->blocks->mean.height, AID_PREPARE_BAND, band, &begin, &end);
    for (int32_t y = (int32_t)begin; y < end; y++)
        pair_rows(aid_image_row(job->image, 2 * y), aid_image_row(job->image, 2 * y + 1),
                  aid_mask_row(job->mask, 2 * y), aid_mask_row(job->mask, 2 * y + 1),
                  job->blocks->mean.width, aid_image_row(&job->blocks->mean, y),
                  aid_image_row(&job->blocks->detail, y));
    return AID_OK;
}

/* Sum over 2 x 2 blocks, of which (x, y) is the upper left one, in units that keep sigma. */
static inline float sum_of_four(const float *upper, const float *lower, int32_t x)
{
    return 0.5f * ((upper[x] + upper[x + 1]) + (lower[x] + lower[x + 1]));
}

/* Scatter of such sums from the half of them that lies below the median: stars are never there. */
static double scatter_of_sums(const aid_image *mean, double *ret_median, aid_error *err)
{
    AID_CLEANUP(aid_free_pointer)
    float *sums = NULL;
    if (aid_new_buffer(MAX_SAMPLE, sizeof *sums, "sky sample", &sums, err) != AID_OK)
        return NAN;
    int64_t pixels = (int64_t)(mean->width - 1) * (mean->height - 1), count = 0;
    int64_t step = AID_MAX(pixels / MAX_SAMPLE, 1) | 1; /* odd: not in step with even widths */
    for (int64_t i = 0; i < pixels && count < MAX_SAMPLE; i += step) {
        int32_t x = (int32_t)(i % (mean->width - 1)), y = (int32_t)(i / (mean->width - 1));
        float sum = sum_of_four(aid_image_row(mean, y), aid_image_row(mean, y + 1), x);
        if (isfinite(sum))
            sums[count++] = sum;
    }
    double median = aid_median_of(sums, count);
    int64_t below = 0;
    for (int64_t i = 0; i < count; i++)
        if ((double)sums[i] <= median)
            sums[below++] = (float)(median - (double)sums[i]);
    *ret_median = median;
    return AID_SIGMA_PER_MAD * aid_median_in_place(sums, below);
}

AID_HOT static void mark_sums(const float *restrict upper, const float *restrict lower,
                              int32_t count, float median, float limit, uint8_t *restrict peaks)
{
    for (int32_t x = 0; x < count; x++) {
        float sum = 0.5f * ((upper[x] + upper[x + 1]) + (lower[x] + lower[x + 1])) - median;
        peaks[x] = (uint8_t)((sum > limit) | (sum < -limit));
    }
}

typedef struct source_job {
    const aid_image *mean;
    aid_mask *sources;
    uint8_t *peaks;
    float median, limit;
} source_job;

static aid_status mark_peak_band(void *context, int64_t band, int worker, aid_error *err)
{
    (void)worker;
    (void)err;
    const source_job *job = context;
    int64_t begin, end;
    int32_t width = job->mean->width;
    aid_band_range(job->mean->height, AID_PREPARE_BAND, band, &begin, &end);
    for (int32_t y = (int32_t)begin; y < end; y++) {
        uint8_t *peaks = job->peaks + (int64_t)y * width;
        memset(peaks, 0, (size_t)width);
        if (y + 1 < job->mean->height)
            mark_sums(aid_image_row(job->mean, y), aid_image_row(job->mean, y + 1), width - 1,
                      job->median, job->limit, peaks);
    }
    return AID_OK;
}

AID_HOT static void spread_peaks(const uint8_t *restrict peaks, int32_t begin, int32_t end,
                                 int back, int on, uint8_t *restrict sources)
{
    for (int32_t x = begin; x < end; x++) {
        int any = 0;
        for (int i = -back; i <= on; i++)
            any |= peaks[x + i];
        sources[x] = (uint8_t)(sources[x] | any);
    }
}

/* A peak at (x, y) stands for the blocks x..x+1, y..y+1; it is grown by SOURCE_GROWTH from there.
 */
static aid_status grow_source_band(void *context, int64_t band, int worker, aid_error *err)
{
    (void)worker;
    (void)err;
    const source_job *job = context;
    int32_t width = job->mean->width, height = job->mean->height;
    int64_t begin, end;
    aid_band_range(height, AID_PREPARE_BAND, band, &begin, &end);
    for (int32_t y = (int32_t)begin; y < end; y++) {
        uint8_t *sources = aid_mask_row(job->sources, y);
        const float *mean = aid_image_row(job->mean, y);
        for (int32_t x = 0; x < width; x++)
            sources[x] = (uint8_t)(isfinite(mean[x]) ? 0 : 1);
        for (int dy = -SOURCE_GROWTH - 1; dy <= SOURCE_GROWTH; dy++) {
            if (y + dy < 0 || y + dy >= height)
                continue;
            const uint8_t *peaks = job->peaks + (int64_t)(y + dy) * width;
            int32_t inner = AID_MIN(SOURCE_GROWTH + 1, width);
            int32_t outer = AID_MAX(width - SOURCE_GROWTH, inner);
            spread_peaks(peaks, inner, outer, SOURCE_GROWTH + 1, SOURCE_GROWTH, sources);
            for (int32_t x = 0; x < inner; x++)
                spread_peaks(peaks, x, x + 1, AID_MIN(SOURCE_GROWTH + 1, x),
                             AID_MIN(SOURCE_GROWTH, width - 1 - x), sources);
            for (int32_t x = outer; x < width; x++)
                spread_peaks(peaks, x, x + 1, AID_MIN(SOURCE_GROWTH + 1, x), width - 1 - x,
                             sources);
        }
    }
    return AID_OK;
}

static aid_status find_sources(aid_blocks *blocks, aid_pool *pool, aid_error *err)
{
    AID_CLEANUP(aid_free_pointer)
    uint8_t *peaks = NULL;
    size_t count = (size_t)blocks->mean.width * (size_t)blocks->mean.height;
    AID_TRY(aid_new_buffer(count, 1, "source peaks", &peaks, err));
    double median = 0.0, sigma = scatter_of_sums(&blocks->mean, &median, err);
    source_job job = {.mean = &blocks->mean, .sources = &blocks->sources, .peaks = peaks};
    job.median = (float)median;
    job.limit = isfinite(sigma) && sigma > 0.0 ? (float)(source_threshold * sigma) : INFINITY;
    int64_t bands = aid_band_count(blocks->mean.height, AID_PREPARE_BAND);
    AID_TRY(aid_pool_run(pool, bands, mark_peak_band, &job, err));
    return aid_pool_run(pool, bands, grow_source_band, &job, err);
}

aid_status aid_blocks_init(const aid_image *image, const aid_mask *mask, aid_pool *pool,
                           aid_blocks *ret_blocks, aid_error *err)
{
    AID_CLEANUP(aid_blocks_done)
    aid_blocks blocks = {0};
    int32_t width = image->width / 2, height = image->height / 2;
    AID_TRY(aid_image_init(width, height, &blocks.mean, err));
    AID_TRY(aid_image_init(width, height, &blocks.detail, err));
    AID_TRY(aid_mask_init(width, height, &blocks.sources, err));
    block_job job = {.image = image, .mask = mask, .blocks = &blocks};
    AID_TRY(aid_pool_run(pool, aid_band_count(height, AID_PREPARE_BAND), pair_band, &job, err));
    AID_TRY(find_sources(&blocks, pool, err));
    *ret_blocks = blocks;
    blocks = (aid_blocks){0};
    return AID_OK;
}

/* ---------------------------------------------------------------------------- level and noise */

typedef struct subtract_job {
    aid_image *image;
    const aid_mesh *mesh;
} subtract_job;

static aid_status subtract_band(void *context, int64_t band, int worker, aid_error *err)
{
    (void)worker;
    const subtract_job *job = context;
    AID_CLEANUP(aid_free_pointer)
    float *level = NULL;
    AID_TRY(aid_new_buffer((size_t)job->image->width, sizeof *level, "row", &level, err));
    int64_t begin, end;
    aid_band_range(job->image->height, AID_PREPARE_BAND, band, &begin, &end);
    for (int32_t y = (int32_t)begin; y < end; y++) {
        float *row = aid_image_row(job->image, y);
        aid_mesh_row(job->mesh, y, level);
        for (int32_t x = 0; x < job->image->width; x++)
            row[x] -= level[x];
    }
    return AID_OK;
}

aid_status aid_prepare_subtract_mesh(aid_image *image, const aid_mesh *mesh, aid_pool *pool,
                                     aid_error *err)
{
    subtract_job job = {image, mesh};
    return aid_pool_run(pool, aid_band_count(image->height, AID_PREPARE_BAND), subtract_band, &job,
                        err);
}

typedef struct mesh_pair {
    aid_mesh level, noise;
} mesh_pair;

static void mesh_pair_done(mesh_pair *meshes)
{
    aid_mesh_done(&meshes->level);
    aid_mesh_done(&meshes->noise);
}

/* Level and noise of one of the half-size images. */
static aid_status measure_blocks(const aid_image *values, const aid_mask *mask, int cell_px,
                                 aid_pool *pool, mesh_pair *ret_meshes, aid_error *err)
{
    aid_background_options options = AID_BACKGROUND_DEFAULTS;
    options.cell_px = AID_MAX(cell_px / 2, 1);
    return aid_background_measure(values, mask, &options, pool, &ret_meshes->level,
                                  &ret_meshes->noise, err);
}

typedef struct cell_range {
    int32_t x0, x1, y0, y1; /* blocks, the last ones excluded */
} cell_range;

static cell_range range_of_cell(const aid_mesh *mesh, int32_t i, int32_t j)
{
    return (cell_range){(int32_t)((int64_t)i * mesh->width / mesh->nx),
                        (int32_t)((int64_t)(i + 1) * mesh->width / mesh->nx),
                        (int32_t)((int64_t)j * mesh->height / mesh->ny),
                        (int32_t)((int64_t)(j + 1) * mesh->height / mesh->ny)};
}

/* The mean that the darkest DARKEST_SHARE of a cell's blocks do not exceed, from a sample. */
static float darkness_of_cell(const aid_image *mean, cell_range cell)
{
    enum { SAMPLE = 2048 };
    double sample[SAMPLE];
    int count = 0;
    int64_t width = cell.x1 - cell.x0, blocks = width * (cell.y1 - cell.y0);
    int64_t step = AID_MAX(blocks / SAMPLE, 1) | 1;
    for (int64_t k = 0; k < blocks && count < SAMPLE; k += step) {
        float value = aid_image_row(mean, cell.y0 + (int32_t)(k / width))[cell.x0 + k % width];
        if (isfinite(value))
            sample[count++] = (double)value;
    }
    return (float)aid_quantile_in_place_f64(sample, count, darkest_share);
}

/* Leaves the darkest blocks of a cell only. The mean says nothing about the detail of white noise,
 * but much about the stars that shine into it. */
static void shade_cell(const aid_image *mean, cell_range cell, aid_mask *mask)
{
    float limit = darkness_of_cell(mean, cell);
    for (int32_t y = cell.y0; y < cell.y1; y++)
        for (int32_t x = cell.x0; x < cell.x1; x++)
            aid_mask_row(mask, y)[x] = (uint8_t)(aid_image_row(mean, y)[x] <= limit ? 0 : 1);
}

/* Crowded: sums of four pixels scatter more than their fine detail, or sources are everywhere. */
static bool is_crowded(const aid_blocks *blocks, const mesh_pair *means, const mesh_pair *details,
                       int32_t i, int32_t j)
{
    int64_t at = (int64_t)j * details->noise.nx + i, free = 0;
    cell_range cell = range_of_cell(&details->noise, i, j);
    if ((double)means->noise.values[at] > crowded_ratio * (double)details->noise.values[at])
        return true;
    for (int32_t y = cell.y0; y < cell.y1; y++)
        for (int32_t x = cell.x0; x < cell.x1; x++)
            free += aid_mask_row(&blocks->sources, y)[x] ? 0 : 1;
    return 2 * free < (int64_t)(cell.x1 - cell.x0) * (cell.y1 - cell.y0);
}

/* Noise by the detail of the blocks: of all source-free ones, or, in crowded cells, of the darkest.
 */
static aid_status measure_detail(const aid_blocks *blocks, const mesh_pair *means, int cell_px,
                                 aid_pool *pool, mesh_pair *ret_details, aid_error *err)
{
    AID_CLEANUP(mesh_pair_done)
    mesh_pair details = {0};
    AID_CLEANUP(aid_mask_done)
    aid_mask shade = {0};
    AID_TRY(measure_blocks(&blocks->detail, &blocks->sources, cell_px, pool, &details, err));
    for (int32_t j = 0; j < details.noise.ny; j++)
        for (int32_t i = 0; i < details.noise.nx; i++) {
            if (!is_crowded(blocks, means, &details, i, j))
                continue;
            if (!shade.data) {
                AID_TRY(aid_mask_init(blocks->mean.width, blocks->mean.height, &shade, err));
                memcpy(shade.data, blocks->sources.data,
                       (size_t)shade.width * (size_t)shade.height);
            }
            shade_cell(&blocks->mean, range_of_cell(&details.noise, i, j), &shade);
        }
    if (shade.data) {
        mesh_pair_done(&details);
        AID_TRY(measure_blocks(&blocks->detail, &shade, cell_px, pool, &details, err));
    }
    *ret_details = details;
    details = (mesh_pair){0};
    return AID_OK;
}

/* A half-size image's mesh at the centre of a cell of the whole image's. */
static double at_centre_of(const aid_mesh *mesh, const aid_mesh *halves, int32_t i, int32_t j)
{
    return aid_mesh_at(halves, ((i + 0.5) * mesh->cell_width - 1.0) / 2.0,
                       ((j + 0.5) * mesh->cell_height - 1.0) / 2.0);
}

/* Whether there are blocks enough to say anything. */
static bool has_blocks(const aid_image *mean)
{
    int64_t count = 0;
    for (int32_t y = 0; y < mean->height && count < FEWEST_BLOCKS; y++)
        for (int32_t x = 0; x < mean->width; x++)
            count += isfinite(aid_image_row(mean, y)[x]) ? 1 : 0;
    return count >= FEWEST_BLOCKS;
}

aid_status aid_prepare_measure_sky(aid_image *image, const aid_blocks *blocks, int cell_px,
                                   aid_mesh *background, aid_mesh *noise, aid_pool *pool,
                                   aid_error *err)
{
    if (!has_blocks(&blocks->mean))
        return AID_OK;
    AID_CLEANUP(mesh_pair_done)
    mesh_pair means = {0};
    AID_CLEANUP(mesh_pair_done)
    mesh_pair details = {0};
    AID_CLEANUP(aid_mesh_done)
    aid_mesh correction = {0};
    AID_TRY(measure_blocks(&blocks->mean, &blocks->sources, cell_px, pool, &means, err));
    AID_TRY(measure_detail(blocks, &means, cell_px, pool, &details, err));
    AID_TRY(aid_mesh_init(image->width, image->height, background->nx, background->ny, &correction,
                          err));
    bool noisy = aid_mesh_median(&details.noise) > 0.0;
    for (int32_t j = 0; j < background->ny; j++)
        for (int32_t i = 0; i < background->nx; i++) {
            int64_t at = (int64_t)j * background->nx + i;
            double level = 0.5 * at_centre_of(background, &means.level, i, j);
            correction.values[at] = (float)level;
            background->values[at] += correction.values[at];
            if (noisy)
                noise->values[at] = (float)at_centre_of(noise, &details.noise, i, j);
        }
    return aid_prepare_subtract_mesh(image, &correction, pool, err);
}
