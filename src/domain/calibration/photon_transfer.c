/* Gain and read noise from differences of frames of the same scene: the scene cancels, the noise
 * does not (Janesick 2001, Scientific Charge-Coupled Devices, ch. 2). */
#include "core/base/memory.h"
#include "core/imaging/stats.h"
#include "domain/calibration/internal.h"

#include <math.h>
#include <stdlib.h>

/* A sigma from 256 cells of five pairs is known to a part in a thousand. */
enum { CELL = 32, NOISE_CELLS = 256, NOISE_PAIRS = 5, GAIN_CELLS = 1024, GAIN_PAIRS = 10 };

/* ---------------------------------------------------------------------------------- one pair */

/* Noise of the difference of two frames, a - ratio b, in cells of 32 x 32 pixels spread over the
 * frame; of each cell the mean of `a`, NaN: no use. */
typedef struct pair_cells {
    int64_t count;
    double *mean, *variance; /* [count] */
} pair_cells;

typedef struct pair_job {
    const aid_frame_rows *rows;
    int a, b;
    double ratio;
    bool by_steps; /* see take_cell */
    int most_cells;
    int32_t across; /* cells in a row of them */
    int32_t bands;  /* rows of cells that are looked at, spread over the frame */
    pair_cells cells;
} pair_job;

/* The difference of two frames in a cell; by steps: what it changes by over two pixels (the same
 * colour of a mosaic), so that a lamp that flickers while rows are read, or a gradient that turns,
 * is no noise. */
static int take_cell(const pair_job *job, const float *a, const float *b, int32_t width,
                     int32_t rows, float *ret_values, double *ret_sum)
{
    int n = 0, apart = job->by_steps ? 2 : 0;
    *ret_sum = 0.0;
    for (int32_t y = 0; y < rows; y++)
        for (int32_t x = apart; x < CELL; x++) {
            int64_t here = (int64_t)y * width + x, there = here - apart;
            double value = (double)a[here] - job->ratio * (double)b[here];
            if (apart)
                value -= (double)a[there] - job->ratio * (double)b[there];
            if (!isfinite(value))
                continue;
            ret_values[n++] = (float)value;
            *ret_sum += (double)a[here];
        }
    return n;
}

static void measure_cell(const pair_job *job, const float *a, const float *b, int32_t width,
                         int32_t rows, int64_t slot)
{
    float values[CELL * CELL];
    double sum;
    int n = take_cell(job, a, b, width, rows, values, &sum);
    job->cells.mean[slot] = job->cells.variance[slot] = NAN;
    if (n < CELL * CELL / 2)
        return;
    aid_clipped noise = aid_clipped_raw(values, n, 4.0);
    if (noise.count < CELL * CELL / 4)
        return;
    double variance = noise.sigma * noise.sigma;
    job->cells.mean[slot] = sum / (double)n;
    /* Steps have no mean to be taken from them, and twice the variance. */
    job->cells.variance[slot] =
        job->by_steps ? 0.5 * variance : variance * (double)noise.count / (double)(noise.count - 1);
}

static aid_status measure_band(void *context, int64_t task, int worker, aid_error *err)
{
    (void)worker;
    const pair_job *job = context;
    const aid_frame_rows *rows = job->rows;
    int32_t all = AID_MAX(rows->height / CELL, 1), high = AID_MIN(CELL, rows->height);
    int32_t y = CELL * (int32_t)(((2 * task + 1) * all) / (2 * job->bands));
    size_t size = (size_t)high * (size_t)rows->width;
    AID_CLEANUP(aid_free_pointer)
    float *pixels = NULL;
    AID_TRY(aid_new_buffer(2 * size, sizeof *pixels, "pair of frames", &pixels, err));
    AID_TRY(rows->read(rows->context, job->a, y, high, pixels, err));
    AID_TRY(rows->read(rows->context, job->b, y, high, pixels + size, err));
    for (int32_t i = 0; i < job->across; i++)
        measure_cell(job, pixels + (int64_t)i * CELL, pixels + size + (int64_t)i * CELL,
                     rows->width, high, task * job->across + i);
    return AID_OK;
}

static void cells_done(pair_cells *cells)
{
    free(cells->mean);
    *cells = (pair_cells){0};
}

static aid_status measure_pair(pair_job job, aid_pool *pool, pair_cells *ret_cells, aid_error *err)
{
    const aid_frame_rows *rows = job.rows;
    job.across = rows->width / CELL;
    if (job.across < 1 || rows->height < CELL)
        AID_FAIL(err, AID_ERR_NUMERIC, "%d x %d pixels are too few to measure noise on",
                 rows->width, rows->height);
    job.bands = AID_CLAMP(job.most_cells / job.across, 1, rows->height / CELL);
    job.cells.count = (int64_t)job.across * job.bands;
    AID_TRY(
        aid_new_array(2 * (size_t)job.cells.count, sizeof(double), "cells", &job.cells.mean, err));
    job.cells.variance = job.cells.mean + job.cells.count;
    aid_status status = aid_pool_run(pool, job.bands, measure_band, &job, err);
    if (status != AID_OK) {
        cells_done(&job.cells);
        return status;
    }
    *ret_cells = job.cells;
    return AID_OK;
}

/* ------------------------------------------------------------------------------- several pairs */

/* Values of the cells of all pairs, put one behind the other. */
typedef struct collection {
    double *values;
    int64_t count, capacity;
    int pairs;
} collection;

static aid_status make_room(collection *all, int64_t more, aid_error *err)
{
    if (all->count + more <= all->capacity)
        return AID_OK;
    int64_t capacity = 2 * (all->count + more);
    double *values = realloc(all->values, (size_t)capacity * sizeof *values);
    if (!values)
        AID_FAIL(err, AID_ERR_NOMEM, "out of memory for %lld cells", (long long)capacity);
    all->values = values;
    all->capacity = capacity;
    return AID_OK;
}

/* The median and its error, taking the cells for independent. */
static void middle_of(collection *all, double *ret_value, double *ret_error)
{
    int64_t count = all->count;
    aid_robust robust = aid_robust_in_place_f64(all->values, count);
    *ret_value = robust.median;
    *ret_error = 1.2533 * robust.sigma / sqrt((double)AID_MAX(robust.count, 1));
}

static aid_status add_noise_pair(const aid_frame_rows *rows, int a, aid_pool *pool, collection *all,
                                 aid_error *err)
{
    pair_cells cells = {0};
    pair_job job = {.rows = rows, .a = a, .b = a + 1, .ratio = 1.0, .most_cells = NOISE_CELLS};
    AID_TRY(measure_pair(job, pool, &cells, err));
    aid_status status = make_room(all, cells.count, err);
    for (int64_t i = 0; status == AID_OK && i < cells.count; i++)
        if (isfinite(cells.variance[i]))
            all->values[all->count++] = 0.5 * cells.variance[i];
    all->pairs++;
    cells_done(&cells);
    return status;
}

aid_status aid_frame_noise(const aid_frame_rows *rows, aid_pool *pool, double *ret_noise,
                           aid_error *err)
{
    collection all = {0};
    aid_status status = AID_OK;
    double variance = NAN, error;
    *ret_noise = NAN;
    if (rows->width < CELL || rows->height < CELL)
        return AID_OK;
    for (int k = 0; k + 1 < rows->count && k < NOISE_PAIRS && status == AID_OK; k++)
        status = add_noise_pair(rows, k, pool, &all, err);
    if (status == AID_OK && all.count > 0) {
        middle_of(&all, &variance, &error);
        *ret_noise = sqrt(variance);
    }
    free(all.values);
    return status;
}

/* Of flats a and b whose levels are as 1 : 1/ratio the noise of a - ratio b has the variance
 * S (1 + ratio) / gain + (1 + ratio^2) read_noise^2, S being the light of a. */
static aid_status add_gain_pair(const aid_frame_rows *rows, int a, double ratio,
                                double read_noise_adu, aid_pool *pool, collection *all,
                                aid_error *err)
{
    pair_cells cells = {0};
    pair_job job = {.rows = rows,
                    .a = a,
                    .b = a + 1,
                    .ratio = ratio,
                    .by_steps = true,
                    .most_cells = GAIN_CELLS};
    AID_TRY(measure_pair(job, pool, &cells, err));
    aid_status status = make_room(all, cells.count, err);
    double read_variance = (1.0 + ratio * ratio) * read_noise_adu * read_noise_adu;
    for (int64_t i = 0; status == AID_OK && i < cells.count; i++)
        if (isfinite(cells.variance[i]) && cells.mean[i] > 0.0)
            all->values[all->count++] =
                (cells.variance[i] - read_variance) / (cells.mean[i] * (1.0 + ratio));
    all->pairs++;
    cells_done(&cells);
    return status;
}

static aid_status measure_gain(const aid_calibrated_rows *calibrated, const aid_frame_rows *rows,
                               double read_noise_adu, aid_pool *pool, collection *all,
                               aid_error *err)
{
    for (int k = 0; k + 1 < calibrated->count && k < GAIN_PAIRS; k++) {
        double level = calibrated->frames[calibrated->indices[k]].level;
        double next = calibrated->frames[calibrated->indices[k + 1]].level;
        AID_TRY(add_gain_pair(rows, k, level / next, read_noise_adu, pool, all, err));
    }
    return AID_OK;
}

static aid_status conclude(collection *all, double read_noise_adu, aid_photon_transfer *ret,
                           aid_error *err)
{
    double inverse, error;
    middle_of(all, &inverse, &error);
    if (!(inverse > 0.0) || !(error < 0.5 * inverse))
        AID_FAIL(err, AID_ERR_NUMERIC,
                 "the flats' noise does not tell the gain: 1/gain = %g +- %g ADU/e-", inverse,
                 error);
    *ret = (aid_photon_transfer){.gain = 1.0 / inverse,
                                 .gain_error = error / (inverse * inverse),
                                 .read_noise_e = read_noise_adu / inverse,
                                 .read_noise_error = read_noise_adu * error / (inverse * inverse),
                                 .read_noise_adu = read_noise_adu,
                                 .pairs = all->pairs,
                                 .cells = all->count};
    return AID_OK;
}

aid_status aid_measure_photon_transfer(const aid_frame_rows *raw, const aid_raw_frame *frames,
                                       const aid_master_options *options, double read_noise_adu,
                                       aid_pool *pool, aid_photon_transfer *ret_transfer,
                                       aid_error *err)
{
    AID_CLEANUP(aid_free_pointer)
    int *indices = NULL;
    AID_TRY(aid_new_array((size_t)raw->count + 1, sizeof *indices, "frames", &indices, err));
    aid_calibrated_rows calibrated = {.raw = raw,
                                      .frames = frames,
                                      .indices = indices,
                                      .bias = options->bias,
                                      .dark = options->dark};
    for (int i = 0; i < raw->count; i++)
        if (frames[i].used && frames[i].level > 0.0)
            indices[calibrated.count++] = i;
    if (calibrated.count < 2)
        AID_FAIL(err, AID_ERR_NUMERIC, "photon transfer needs two flats, and there %s %d",
                 calibrated.count == 1 ? "is" : "are", calibrated.count);
    if (!(read_noise_adu >= 0.0))
        AID_FAIL(err, AID_ERR_NUMERIC, "photon transfer needs the noise of a bias, in ADU");
    const aid_raw_frame *first = &frames[indices[0]];
    calibrated.saturation = aid_saturation_level(&first->facts);
    calibrated.height = first->overscan.trim.y1 - first->overscan.trim.y0;
    aid_frame_rows rows = aid_calibrated_rows_port(&calibrated);
    collection all = {0};
    aid_status status = measure_gain(&calibrated, &rows, read_noise_adu, pool, &all, err);
    if (status == AID_OK)
        status = conclude(&all, read_noise_adu, ret_transfer, err);
    free(all.values);
    return status;
}
