/* Sky level and noise on a mesh: SExtractor's estimator (Bertin & Arnouts 1996, section 4), a
 * histogram of each cell clipped at 3 sigma about its median. One pass over the pixels; everything
 * after that works on a few hundred bins. */
#include "core/base/memory.h"
#include "core/imaging/stars.h"
#include "core/imaging/stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    HISTOGRAM_BINS = 512,
    SAMPLE_SIZE = 1024, /* pixels that place the histogram */
    MIN_CELL_PX = 32,
    MIN_CELLS_ACROSS = 3
};
static const double histogram_half_width = 6.5; /* sigma of the sample */
static const double clip_sigma = 3.0;
static const double sigma_after_clip = 0.98658; /* of a unit normal cut at +-3 */
static const double enough_of_a_cell = 0.25;    /* usable pixels */

typedef struct histogram {
    double start, width; /* of the first bin's lower edge; of one bin */
    uint32_t counts[HISTOGRAM_BINS];
} histogram;

typedef struct cell_value {
    double background, sigma;
} cell_value;

typedef struct mesh_job {
    const aid_image *image;
    const aid_mask *mask;
    aid_mesh *background, *noise; /* NaN where a cell has too few pixels */
    float *scratch;               /* [threads][capacity] */
    int64_t capacity;
    double min_fraction; /* of a cell's pixels that must be usable */
} mesh_job;

/* ------------------------------------------------------------------------- one cell's histogram */

/* Counts of whole numbers have a histogram of their own: bins must hold equally many of them. */
static bool all_whole(const float *values, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        if (values[i] != rintf(values[i]))
            return false;
    return true;
}

static double mean_square_root(const float *values, int64_t count, double centre)
{
    double squares = 0.0;
    for (int64_t i = 0; i < count; i++)
        squares += ((double)values[i] - centre) * ((double)values[i] - centre);
    return sqrt(squares / (double)count);
}

/* false when all values are the same. */
static bool place_histogram(const float *values, int64_t count, histogram *bins)
{
    float sample[SAMPLE_SIZE];
    int64_t taken = AID_MIN(count, SAMPLE_SIZE);
    for (int64_t i = 0; i < taken; i++)
        sample[i] = values[i * count / taken];
    bool whole = all_whole(sample, taken) && all_whole(values, count);
    aid_robust robust = aid_robust_in_place(sample, taken);
    double sigma = robust.sigma;
    if (!(sigma > 0.0)) /* more than half are equal: coarse digitisation, or a constant */
        sigma = mean_square_root(values, count, robust.median);
    if (!(sigma > 0.0))
        return false;
    bins->width = 2.0 * histogram_half_width * sigma / HISTOGRAM_BINS;
    if (whole)
        bins->width = ceil(bins->width);
    bins->start = robust.median - 0.5 * bins->width * HISTOGRAM_BINS;
    if (whole)
        bins->start = floor(bins->start) + 0.5;
    return true;
}

AID_HOT static void bin_indices(const float *restrict values, int count, double start,
                                double inverse_width, int32_t *restrict indices)
{
    for (int i = 0; i < count; i++) {
        double position = ((double)values[i] - start) * inverse_width;
        position = position > -1.0 ? position : -1.0;
        position = position < HISTOGRAM_BINS ? position : HISTOGRAM_BINS;
        indices[i] = (int32_t)(position + 1.0); /* 0: below, HISTOGRAM_BINS + 1: above */
    }
}

static void fill_histogram(const float *values, int64_t count, histogram *bins)
{
    enum { BLOCK = 256 };
    int32_t indices[BLOCK];
    uint32_t counts[2][HISTOGRAM_BINS + 2] = {0}; /* two, as neighbours often share a bin */
    for (int64_t begin = 0; begin < count; begin += BLOCK) {
        int block = (int)AID_MIN(count - begin, BLOCK);
        bin_indices(values + begin, block, bins->start, 1.0 / bins->width, indices);
        for (int i = 0; i < block; i++)
            counts[i & 1][indices[i]]++;
    }
    for (int i = 0; i < HISTOGRAM_BINS; i++)
        bins->counts[i] = counts[0][i + 1] + counts[1][i + 1];
}

typedef struct bin_moments {
    double median, mean, sigma; /* in bins, from the first bin's lower edge */
    double count;
} bin_moments;

/* Of the bins whose centres lie within low..high. */
static bin_moments moments_of_bins(const uint32_t *counts, double low, double high)
{
    int first = (int)AID_MAX(ceil(low - 0.5), 0.0);
    int last = (int)AID_MIN(floor(high - 0.5), HISTOGRAM_BINS - 1.0);
    bin_moments moments = {0};
    double sum = 0.0, squares = 0.0;
    for (int i = first; i <= last; i++) {
        double count = counts[i], centre = i + 0.5;
        moments.count += count;
        sum += count * centre;
        squares += count * centre * centre;
    }
    if (moments.count < 1.0)
        return moments;
    moments.mean = sum / moments.count;
    moments.sigma = sqrt(AID_MAX(squares / moments.count - moments.mean * moments.mean, 0.0));
    double below = 0.0, half = 0.5 * moments.count;
    for (int i = first; i <= last; i++) {
        if (below + counts[i] >= half) {
            moments.median = i + (half - below) / counts[i];
            break;
        }
        below += counts[i];
    }
    return moments;
}

/* The mode is taken as 2.5 median - 1.5 mean where the histogram is nearly symmetric, and the
 * median where stars skew it. Where a bin is half a sigma wide, the median within it is a guess and
 * the mean is not. */
static cell_value clip_histogram(const histogram *bins)
{
    double low = 0.0, high = HISTOGRAM_BINS, sigma = 0.0;
    bin_moments moments = {0};
    for (int iteration = 0; iteration < 50; iteration++) {
        moments = moments_of_bins(bins->counts, low, high);
        if (moments.count < 1.0)
            break;
        double before = sigma;
        sigma = moments.sigma / sigma_after_clip;
        if (fabs(sigma - before) < 1e-4 * sigma)
            break;
        low = moments.median - clip_sigma * sigma;
        high = moments.median + clip_sigma * sigma;
    }
    double offset = moments.mean - moments.median, mode = moments.median;
    if (moments.sigma < 2.0)
        mode = moments.mean;
    else if (fabs(offset) < 0.3 * moments.sigma)
        mode = moments.median - 1.5 * offset;
    return (cell_value){bins->start + bins->width * mode, bins->width * sigma};
}

static cell_value measure_values(const float *values, int64_t count)
{
    histogram bins;
    if (!place_histogram(values, count, &bins))
        return (cell_value){(double)values[0], 0.0};
    fill_histogram(values, count, &bins);
    return clip_histogram(&bins);
}

/* ------------------------------------------------------------------------------ the cells' mesh */

static int64_t gather_row(const float *row, const uint8_t *mask, int32_t begin, int32_t end,
                          float *values)
{
    int64_t count = 0;
    for (int32_t x = begin; x < end; x++) {
        values[count] = row[x];
        count += isfinite(row[x]) && !(mask && mask[x]) ? 1 : 0;
    }
    return count;
}

static aid_status measure_cell(void *context, int64_t cell, int worker, aid_error *err)
{
    (void)err;
    const mesh_job *job = context;
    const aid_mesh *mesh = job->background;
    int64_t column = cell % mesh->nx, line = cell / mesh->nx;
    int32_t x0 = (int32_t)(column * mesh->width / mesh->nx);
    int32_t x1 = (int32_t)((column + 1) * mesh->width / mesh->nx);
    int32_t y0 = (int32_t)(line * mesh->height / mesh->ny);
    int32_t y1 = (int32_t)((line + 1) * mesh->height / mesh->ny);
    float *values = job->scratch + worker * job->capacity;
    int64_t count = 0;
    for (int32_t y = y0; y < y1; y++) {
        const uint8_t *mask = job->mask->data ? aid_mask_row(job->mask, y) : NULL;
        count += gather_row(aid_image_row(job->image, y), mask, x0, x1, values + count);
    }
    cell_value value = {NAN, NAN};
    if (count > 0 && (double)count >= job->min_fraction * (x1 - x0) * (y1 - y0))
        value = measure_values(values, count);
    mesh->values[cell] = (float)value.background;
    job->noise->values[cell] = value.sigma > 0.0 ? (float)value.sigma : NAN;
    return AID_OK;
}

/* How many cells across `length` pixels: of about `cell_px`, but three where they stay large
 * enough. */
static int32_t cells_across(int32_t length, int cell_px)
{
    int32_t count = (int32_t)AID_MAX(lround((double)length / cell_px), 1);
    int32_t smallest = AID_MIN(MIN_CELLS_ACROSS, length / AID_MIN(MIN_CELL_PX, cell_px));
    return AID_MAX(count, smallest);
}

static float mean_of_neighbours(const float *values, const aid_mesh *mesh, int32_t i, int32_t j)
{
    double sum = 0.0;
    int count = 0;
    for (int32_t y = AID_MAX(j - 1, 0); y <= AID_MIN(j + 1, mesh->ny - 1); y++)
        for (int32_t x = AID_MAX(i - 1, 0); x <= AID_MIN(i + 1, mesh->nx - 1); x++) {
            double value = (double)values[(int64_t)y * mesh->nx + x];
            sum += isfinite(value) ? value : 0.0;
            count += isfinite(value) ? 1 : 0;
        }
    return count ? (float)(sum / count) : NAN;
}

/* Unknown cells become the mean of their known neighbours, ring by ring; one at least is known. */
static void fill_unknown(aid_mesh *mesh, float *scratch)
{
    int64_t unknown;
    do {
        unknown = 0;
        memcpy(scratch, mesh->values, (size_t)mesh->nx * (size_t)mesh->ny * sizeof *scratch);
        for (int32_t j = 0; j < mesh->ny; j++)
            for (int32_t i = 0; i < mesh->nx; i++) {
                float *value = mesh->values + (int64_t)j * mesh->nx + i;
                if (!isfinite(*value))
                    *value = mean_of_neighbours(scratch, mesh, i, j);
                unknown += isfinite(*value) ? 0 : 1;
            }
    } while (unknown > 0);
}

/* Median over the filter_cells x filter_cells neighbourhood, as much of it as there is. */
static void filter_cells(aid_mesh *mesh, int side, float *scratch)
{
    enum { MAX_SIDE = 15 };
    float window[MAX_SIDE * MAX_SIDE];
    int reach = AID_MIN(side, MAX_SIDE) / 2;
    memcpy(scratch, mesh->values, (size_t)mesh->nx * (size_t)mesh->ny * sizeof *scratch);
    for (int32_t j = 0; j < mesh->ny; j++)
        for (int32_t i = 0; i < mesh->nx; i++) {
            int64_t count = 0;
            for (int32_t y = AID_MAX(j - reach, 0); y <= AID_MIN(j + reach, mesh->ny - 1); y++)
                for (int32_t x = AID_MAX(i - reach, 0); x <= AID_MIN(i + reach, mesh->nx - 1); x++)
                    window[count++] = scratch[(int64_t)y * mesh->nx + x];
            mesh->values[(int64_t)j * mesh->nx + i] = (float)aid_median_in_place(window, count);
        }
}

static bool any_known(const aid_mesh *mesh)
{
    for (int64_t i = 0; i < (int64_t)mesh->nx * mesh->ny; i++)
        if (isfinite(mesh->values[i]))
            return true;
    return false;
}

/* Where every cell is nearly empty, what little they hold must do. */
static aid_status measure_cells(mesh_job *job, aid_pool *pool, aid_error *err)
{
    int64_t cells = (int64_t)job->background->nx * job->background->ny;
    job->min_fraction = enough_of_a_cell;
    AID_TRY(aid_pool_run(pool, cells, measure_cell, job, err));
    if (any_known(job->background))
        return AID_OK;
    job->min_fraction = 0.0;
    AID_TRY(aid_pool_run(pool, cells, measure_cell, job, err));
    if (!any_known(job->background))
        AID_FAIL(err, AID_ERR_NUMERIC, "background: none of the %d x %d pixels is usable",
                 job->image->width, job->image->height);
    return AID_OK;
}

/* A constant image has a level but no noise. */
static aid_status finish_meshes(aid_mesh *background, aid_mesh *noise, int side, aid_error *err)
{
    int64_t cells = (int64_t)background->nx * background->ny;
    AID_CLEANUP(aid_free_pointer)
    float *scratch = NULL;
    AID_TRY(aid_new_buffer((size_t)cells, sizeof *scratch, "background mesh", &scratch, err));
    fill_unknown(background, scratch);
    if (any_known(noise))
        fill_unknown(noise, scratch);
    else
        memset(noise->values, 0, (size_t)cells * sizeof *noise->values);
    filter_cells(background, side, scratch);
    filter_cells(noise, side, scratch);
    return AID_OK;
}

aid_status aid_background_measure(const aid_image *image, const aid_mask *mask,
                                  const aid_background_options *options, aid_pool *pool,
                                  aid_mesh *ret_background, aid_mesh *ret_noise, aid_error *err)
{
    if (options->cell_px < 1 || options->filter_cells < 1)
        AID_FAIL(err, AID_ERR_INVALID, "background cells of %d px, filter of %d cells",
                 options->cell_px, options->filter_cells);
    int32_t nx = cells_across(image->width, options->cell_px);
    int32_t ny = cells_across(image->height, options->cell_px);
    AID_CLEANUP(aid_mesh_done)
    aid_mesh background = {0};
    AID_CLEANUP(aid_mesh_done)
    aid_mesh noise = {0};
    AID_TRY(aid_mesh_init(image->width, image->height, nx, ny, &background, err));
    AID_TRY(aid_mesh_init(image->width, image->height, nx, ny, &noise, err));

    AID_CLEANUP(aid_free_pointer)
    float *scratch = NULL;
    mesh_job job = {.image = image, .mask = mask, .background = &background, .noise = &noise};
    job.capacity = (int64_t)(image->width / nx + 1) * (image->height / ny + 1) + 16;
    AID_TRY(aid_new_buffer((size_t)(job.capacity * aid_pool_threads(pool)), sizeof *scratch,
                           "background cells", &scratch, err));
    job.scratch = scratch;
    AID_TRY(measure_cells(&job, pool, err));
    AID_TRY(finish_meshes(&background, &noise, options->filter_cells, err));
    *ret_background = background;
    *ret_noise = noise;
    background = (aid_mesh){0};
    noise = (aid_mesh){0};
    return AID_OK;
}
