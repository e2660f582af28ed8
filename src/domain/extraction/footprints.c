/* The filtered image in bands of rows, the runs of pixels above the threshold, and the connected
 * pieces that these form. Bands meet without overlap: runs of neighbouring rows are joined after
 * all bands are done, so that no piece is cut and nothing is found twice. */
#include "core/base/memory.h"
#include "domain/extraction/internal.h"

#include <stdlib.h>
#include <string.h>

enum { BAND_ROWS = 64, FIRST_RUNS = 256, FIRST_VALUES = 2048 };

/* Pixels whose filter rests on less than this share of its power say nothing. */
static const float least_weight = 0.3F;

typedef struct band_runs {
    int64_t runs_count, runs_room, values_count, values_room;
    aid_run *runs;
    float *filtered, *values; /* values NULL: the same */
} band_runs;

typedef struct find_job {
    const aid_field *field;
    const aid_footprints_options *options;
    const aid_kernel *kernel;
    const aid_kernel *power; /* squares of the weights; NULL: missing pixels count as 0 */
    bool counts;             /* the threshold is in the unit of the image */
    band_runs *bands;
    struct band_work *works; /* [threads]: buffers are kept from band to band */
} find_job;

void aid_footprints_done(aid_footprints *footprints)
{
    free(footprints->runs);
    free(footprints->first);
    free(footprints->filtered);
    if (footprints->values != footprints->filtered)
        free(footprints->values);
    *footprints = (aid_footprints){0};
}

/* ------------------------------------------------------------------------------------ filtering */

AID_HOT static void add_scaled(float *restrict sum, const float *restrict row, float weight,
                               int32_t count)
{
    for (int32_t x = 0; x < count; x++)
        sum[x] += weight * row[x];
}

/* Rows of the band with `reach` more above and below, each with as many columns of 0 at its ends.
 */
typedef struct padded_rows {
    int32_t width, stride, reach;
    int32_t rows, most_rows; /* loaded; made for */
    float *pixels;           /* [rows][stride] */
    float *across;           /* [rank][rows][width]: filtered along x */
    float *scratch;          /* [rank][rows][width]: of the sound pixels' power */
} padded_rows;

static void filter_across(const aid_kernel *kernel, const padded_rows *padded, const float *from,
                          float *to)
{
    for (int r = 0; r < kernel->rank; r++)
        for (int32_t j = 0; j < padded->rows; j++) {
            float *row = to + ((int64_t)r * padded->most_rows + j) * padded->width;
            memset(row, 0, (size_t)padded->width * sizeof *row);
            for (int k = 0; k < kernel->side; k++)
                add_scaled(row, from + (int64_t)j * padded->stride + k,
                           kernel->rows[r * kernel->side + k], padded->width);
        }
}

static void filter_down(const aid_kernel *kernel, const padded_rows *padded, const float *across,
                        int32_t line, float *row)
{
    memset(row, 0, (size_t)padded->width * sizeof *row);
    for (int r = 0; r < kernel->rank; r++)
        for (int k = 0; k < kernel->side; k++)
            add_scaled(row, across + ((int64_t)r * padded->most_rows + line + k) * padded->width,
                       kernel->columns[r * kernel->side + k], padded->width);
}

static void load_row(const aid_field *field, int32_t y, float *to)
{
    const aid_image *image = field->image;
    if (y < 0 || y >= image->height) {
        memset(to, 0, (size_t)image->width * sizeof *to);
        return;
    }
    memcpy(to, aid_image_row(image, y), (size_t)image->width * sizeof *to);
    if (!field->mask.data)
        return;
    const uint8_t *mask = aid_mask_row(&field->mask, y);
    for (int32_t x = 0; x < image->width; x++)
        to[x] = mask[x] & AID_UNSOUND ? 0.0F : to[x];
}

/* 1 where a pixel is sound, 0 where not and beyond the border, in the place of the pixels. */
static void load_soundness(const aid_field *field, int32_t first, const padded_rows *padded)
{
    const aid_image *image = field->image;
    for (int32_t j = 0; j < padded->rows; j++) {
        int32_t y = first - padded->reach + j;
        float *to = padded->pixels + (int64_t)j * padded->stride + padded->reach;
        bool inside = y >= 0 && y < image->height;
        const uint8_t *mask = inside && field->mask.data ? aid_mask_row(&field->mask, y) : NULL;
        for (int32_t x = 0; x < image->width; x++)
            to[x] = inside && !(mask && mask[x] & AID_UNSOUND) ? 1.0F : 0.0F;
    }
}

static void padded_rows_done(padded_rows *padded)
{
    free(padded->pixels);
    free(padded->across);
    free(padded->scratch);
}

/* `power` may be NULL. */
static aid_status padded_rows_init(const aid_kernel *kernel, const aid_kernel *power, int32_t width,
                                   int32_t rows, padded_rows *padded, aid_error *err)
{
    int32_t reach = kernel->side / 2;
    padded->width = width;
    padded->stride = width + 2 * reach;
    padded->most_rows = rows + 2 * reach;
    padded->reach = reach;
    size_t lines = (size_t)padded->most_rows;
    AID_TRY(aid_new_array(lines * (size_t)padded->stride, sizeof(float), "filter band",
                          &padded->pixels, err));
    AID_TRY(aid_new_buffer((size_t)kernel->rank * lines * (size_t)width, sizeof(float),
                           "filter band", &padded->across, err));
    if (!power)
        return AID_OK;
    return aid_new_buffer((size_t)power->rank * lines * (size_t)width, sizeof(float), "filter band",
                          &padded->scratch, err);
}

static void load_band(const aid_field *field, const aid_kernel *kernel, int32_t first,
                      padded_rows *padded)
{
    for (int32_t j = 0; j < padded->rows; j++)
        load_row(field, first - padded->reach + j,
                 padded->pixels + (int64_t)j * padded->stride + padded->reach);
    filter_across(kernel, padded, padded->pixels, padded->across);
}

/* Where every pixel in reach is sound, all rows are like one another, and *ret_alike says so. */
static void load_power(const find_job *job, int32_t first, padded_rows *padded, bool *ret_alike)
{
    const aid_field *field = job->field;
    int32_t rows = padded->rows;
    *ret_alike = !field->mask.data && first >= padded->reach &&
                 first - padded->reach + rows <= field->image->height;
    if (*ret_alike)
        padded->rows = 2 * padded->reach + 1;
    load_soundness(field, first, padded);
    filter_across(job->power, padded, padded->pixels, padded->scratch);
    padded->rows = rows;
}

/* S = sum(k d)/sqrt(sum k^2 over the sound pixels) in units of the noise, brought back to the unit
 * of the filtered image where every pixel is sound. */
AID_HOT static void weigh_row(float *restrict row, const float *restrict power, float full,
                              int32_t width)
{
    for (int32_t x = 0; x < width; x++) {
        float share = power[x] / full;
        float scaled = row[x] / sqrtf(share > 1e-3F ? share : 1e-3F);
        row[x] = share < least_weight ? 0.0F : scaled;
    }
}

/* ----------------------------------------------------------------------------------------- runs */

static aid_status grow(void *items, int64_t *room, int64_t needed, size_t size, aid_error *err)
{
    if (needed <= *room)
        return AID_OK;
    void *old;
    memcpy(&old, items, sizeof old);
    int64_t more = AID_MAX(2 * *room, needed);
    void *larger = realloc(old, (size_t)more * size);
    if (!larger)
        AID_FAIL(err, AID_ERR_NOMEM, "no memory for %lld pixels above the threshold",
                 (long long)more);
    memcpy(items, &larger, sizeof larger);
    *room = more;
    return AID_OK;
}

/* `sharp` NULL: measured by the same filter. */
static aid_status add_run(band_runs *band, const aid_run *run, const float *row, const float *sharp,
                          aid_error *err)
{
    int64_t length = run->x1 - run->x0 + 1, needed = band->values_count + length;
    AID_TRY(grow(&band->runs, &band->runs_room, AID_MAX(band->runs_count + 1, FIRST_RUNS),
                 sizeof *band->runs, err));
    int64_t room = band->values_room;
    AID_TRY(grow(&band->filtered, &room, AID_MAX(needed, FIRST_VALUES), sizeof(float), err));
    if (sharp)
        AID_TRY(grow(&band->values, &band->values_room, room, sizeof(float), err));
    band->values_room = room;
    band->runs[band->runs_count] = *run;
    band->runs[band->runs_count++].value = band->values_count;
    memcpy(band->filtered + band->values_count, row + run->x0, (size_t)length * sizeof *row);
    if (sharp)
        memcpy(band->values + band->values_count, sharp + run->x0, (size_t)length * sizeof *row);
    band->values_count += length;
    return AID_OK;
}

AID_HOT static void mark_above(const float *restrict row, const float *restrict limit,
                               float threshold, uint8_t *restrict above, int32_t width)
{
    for (int32_t x = 0; x < width; x++)
        above[x] = row[x] > threshold * limit[x] ? 1 : 0;
}

typedef struct row_buffers {
    float *row, *limit, *power, *sharp;
    uint8_t *above;
} row_buffers;

static void row_buffers_done(row_buffers *buffers)
{
    free(buffers->row);
    free(buffers->limit);
    free(buffers->power);
    free(buffers->sharp);
    free(buffers->above);
}

static aid_status row_buffers_init(int32_t width, row_buffers *buffers, aid_error *err)
{
    size_t count = (size_t)width;
    AID_TRY(aid_new_buffer(count, sizeof(float), "filtered row", &buffers->row, err));
    AID_TRY(aid_new_buffer(count, sizeof(float), "filtered row", &buffers->limit, err));
    AID_TRY(aid_new_buffer(count, sizeof(float), "filtered row", &buffers->power, err));
    AID_TRY(aid_new_buffer(count, sizeof(float), "filtered row", &buffers->sharp, err));
    return aid_new_buffer(count, 1, "filtered row", &buffers->above, err);
}

/* One band on its way. */
typedef struct band_work {
    const find_job *job;
    padded_rows padded, sharp; /* of the two filters */
    row_buffers buffers;
    band_runs *band;
    bool ready, alike; /* allocated; the power is the same in all rows */
} band_work;

static void band_work_done(band_work *work)
{
    padded_rows_done(&work->padded);
    padded_rows_done(&work->sharp);
    row_buffers_done(&work->buffers);
}

static aid_status add_row(band_work *work, int32_t line, int32_t y, aid_error *err)
{
    const aid_kernel *measures = work->job->options->measures;
    int32_t x = 0, width = work->padded.width;
    const float *sharp = NULL;
    const uint8_t *above = work->buffers.above;
    while (x < width) {
        const uint8_t *hit = memchr(above + x, 1, (size_t)(width - x));
        if (!hit)
            break;
        if (measures && !sharp) {
            filter_down(measures, &work->sharp, work->sharp.across, line, work->buffers.sharp);
            sharp = work->buffers.sharp;
        }
        int32_t begin = (int32_t)(hit - above);
        for (x = begin; x < width && above[x]; x++)
            ;
        aid_run run = {.y = y, .x0 = begin, .x1 = x - 1, .owner = -1};
        AID_TRY(add_run(work->band, &run, work->buffers.row, sharp, err));
    }
    return AID_OK;
}

static aid_status find_in_row(band_work *work, int32_t line, int32_t y, aid_error *err)
{
    const find_job *job = work->job;
    row_buffers *buffers = &work->buffers;
    int32_t width = work->padded.width;
    filter_down(job->kernel, &work->padded, work->padded.across, line, buffers->row);
    if (job->power) {
        double full = job->kernel->noise * job->kernel->noise;
        if (line == 0 || !work->alike)
            filter_down(job->power, &work->padded, work->padded.scratch, line, buffers->power);
        weigh_row(buffers->row, buffers->power, (float)full, width);
    }
    double threshold = job->options->threshold;
    if (job->counts)
        for (int32_t x = 0; x < width; x++)
            buffers->limit[x] = 1.0F;
    else
        aid_field_noise_row(job->field, y, buffers->limit);
    threshold *= job->counts ? 1.0 : job->kernel->noise;
    mark_above(buffers->row, buffers->limit, (float)threshold, buffers->above, width);
    return add_row(work, line, y, err);
}

static aid_status band_work_init(const find_job *job, band_work *work, aid_error *err)
{
    const aid_kernel *measures = job->options->measures;
    int32_t width = job->field->image->width;
    work->job = job;
    AID_TRY(padded_rows_init(job->kernel, job->power, width, BAND_ROWS, &work->padded, err));
    if (measures)
        AID_TRY(padded_rows_init(measures, NULL, width, BAND_ROWS, &work->sharp, err));
    AID_TRY(row_buffers_init(width, &work->buffers, err));
    work->ready = true;
    return AID_OK;
}

static aid_status find_in_band(void *context, int64_t index, int worker, aid_error *err)
{
    const find_job *job = context;
    const aid_kernel *measures = job->options->measures;
    band_work *work = &job->works[worker];
    if (!work->ready)
        AID_TRY(band_work_init(job, work, err));
    int64_t begin, end;
    aid_band_range(job->field->image->height, BAND_ROWS, index, &begin, &end);
    int32_t first = (int32_t)begin, rows = (int32_t)(end - begin);
    work->band = &job->bands[index];
    work->padded.rows = rows + 2 * work->padded.reach;
    load_band(job->field, job->kernel, first, &work->padded);
    if (job->power)
        load_power(job, first, &work->padded, &work->alike);
    if (measures) {
        work->sharp.rows = rows + 2 * work->sharp.reach;
        load_band(job->field, measures, first, &work->sharp);
    }
    for (int32_t line = 0; line < rows; line++)
        AID_TRY(find_in_row(work, line, first + line, err));
    return AID_OK;
}

/* --------------------------------------------------------------------------------------- pieces */

static int64_t root_of(int64_t *parents, int64_t i)
{
    while (parents[i] != i) {
        parents[i] = parents[parents[i]];
        i = parents[i];
    }
    return i;
}

/* The smaller index stays the root, so that a piece is named by its first run. */
static void unite(int64_t *parents, int64_t i, int64_t j)
{
    i = root_of(parents, i);
    j = root_of(parents, j);
    if (i < j)
        parents[j] = i;
    else
        parents[i] = j;
}

/* Runs of neighbouring rows touch when they share a column or a corner. */
static void join_runs(const aid_run *runs, int64_t count, int64_t *parents)
{
    int64_t above = 0; /* first run of the row before that may still touch */
    for (int64_t i = 0; i < count; i++) {
        parents[i] = i;
        while (above < i && (runs[above].y < runs[i].y - 1 ||
                             (runs[above].y == runs[i].y - 1 && runs[above].x1 < runs[i].x0 - 1)))
            above++;
        for (int64_t j = above; j < i && runs[j].y == runs[i].y - 1 && runs[j].x0 <= runs[i].x1 + 1;
             j++)
            unite(parents, i, j);
    }
}

/* Puts the runs of each piece of at least min_pixels together; the rest goes. */
static aid_status gather_pieces(const aid_run *runs, int64_t count, int64_t *parents,
                                int min_pixels, aid_footprints *footprints, aid_error *err)
{
    AID_CLEANUP(aid_free_pointer)
    int64_t *pixels = NULL;
    AID_TRY(aid_new_array(2 * (size_t)count + 1, sizeof *pixels, "footprints", &pixels, err));
    int64_t *slots = pixels + count; /* of a piece's root: runs so far, then where its next goes */
    for (int64_t i = 0; i < count; i++) {
        parents[i] = root_of(parents, i);
        pixels[parents[i]] += runs[i].x1 - runs[i].x0 + 1;
        slots[parents[i]]++;
    }
    int64_t pieces = 0, kept = 0;
    for (int64_t i = 0; i < count; i++)
        pieces += parents[i] == i && pixels[i] >= min_pixels ? 1 : 0;
    AID_TRY(aid_new_buffer((size_t)pieces + 1, sizeof *footprints->first, "footprints",
                           &footprints->first, err));
    for (int64_t i = 0; i < count; i++)
        if (parents[i] == i && pixels[i] >= min_pixels) {
            int64_t length = slots[i];
            footprints->first[footprints->count++] = kept;
            slots[i] = kept;
            kept += length;
        }
    footprints->first[footprints->count] = kept;
    AID_TRY(aid_new_buffer((size_t)kept, sizeof *footprints->runs, "footprints", &footprints->runs,
                           err));
    for (int64_t i = 0; i < count; i++)
        if (pixels[parents[i]] >= min_pixels)
            footprints->runs[slots[parents[i]]++] = runs[i];
    footprints->runs_count = kept;
    return AID_OK;
}

/* Everything of all bands, one behind the other. */
static aid_status concatenate(const band_runs *bands, int64_t count, aid_run *runs,
                              aid_footprints *footprints, aid_error *err)
{
    int64_t total = 0, run = 0, value = 0;
    bool two = false;
    for (int64_t i = 0; i < count; i++) {
        total += bands[i].values_count;
        two |= bands[i].values != NULL;
    }
    AID_TRY(aid_new_buffer((size_t)total, sizeof(float), "footprints", &footprints->filtered, err));
    footprints->values = footprints->filtered;
    float *values = NULL;
    if (two)
        AID_TRY(aid_new_buffer((size_t)total, sizeof(float), "footprints", &values, err));
    for (int64_t i = 0; i < count; i++) {
        for (int64_t k = 0; k < bands[i].runs_count; k++) {
            runs[run] = bands[i].runs[k];
            runs[run++].value += value;
        }
        size_t size = (size_t)bands[i].values_count * sizeof(float);
        if (size > 0)
            memcpy(footprints->filtered + value, bands[i].filtered, size);
        if (size > 0 && two)
            memcpy(values + value, bands[i].values, size);
        value += bands[i].values_count;
    }
    if (two)
        footprints->values = values;
    return AID_OK;
}

static aid_status join_bands(const band_runs *bands, int64_t count, int min_pixels,
                             aid_footprints *footprints, aid_error *err)
{
    int64_t runs_count = 0;
    for (int64_t i = 0; i < count; i++)
        runs_count += bands[i].runs_count;
    AID_CLEANUP(aid_free_pointer)
    aid_run *runs = NULL;
    AID_CLEANUP(aid_free_pointer)
    int64_t *parents = NULL;
    AID_TRY(aid_new_buffer((size_t)runs_count, sizeof *runs, "footprints", &runs, err));
    AID_TRY(aid_new_buffer((size_t)runs_count, sizeof *parents, "footprints", &parents, err));
    AID_TRY(concatenate(bands, count, runs, footprints, err));
    join_runs(runs, runs_count, parents);
    return gather_pieces(runs, runs_count, parents, min_pixels, footprints, err);
}

/* The squares of a matched filter's weights, as a filter themselves. */
static aid_status square_kernel(const aid_kernel *kernel, aid_kernel *ret_power, aid_error *err)
{
    float squares[AID_MAX_KERNEL_SIDE * AID_MAX_KERNEL_SIDE];
    int count = kernel->side * kernel->side;
    double total = kernel->noise * kernel->noise;
    for (int i = 0; i < count; i++)
        squares[i] = kernel->weights[i] * kernel->weights[i];
    AID_TRY(aid_kernel_of_stamp(squares, kernel->side, true, ret_power, err));
    for (int i = 0; i < ret_power->rank * kernel->side; i++) /* back from a sum of 1 */
        ret_power->rows[i] = (float)((double)ret_power->rows[i] * total);
    return AID_OK;
}

aid_status aid_filter_rows(const aid_field *field, const aid_kernel *kernel, int32_t first,
                           int32_t rows, float *to, aid_error *err)
{
    AID_CLEANUP(padded_rows_done)
    padded_rows padded = {0};
    AID_CLEANUP(aid_kernel_done)
    aid_kernel power = {0};
    int32_t width = field->image->width;
    if (kernel->matched)
        AID_TRY(square_kernel(kernel, &power, err));
    AID_TRY(padded_rows_init(kernel, kernel->matched ? &power : NULL, width, rows, &padded, err));
    AID_CLEANUP(aid_free_pointer)
    float *weights = NULL;
    AID_TRY(aid_new_buffer((size_t)width, sizeof *weights, "filtered row", &weights, err));
    padded.rows = padded.most_rows;
    load_band(field, kernel, first, &padded);
    if (kernel->matched) {
        load_soundness(field, first, &padded);
        filter_across(&power, &padded, padded.pixels, padded.scratch);
    }
    for (int32_t line = 0; line < rows; line++) {
        float *row = to + (int64_t)line * width;
        filter_down(kernel, &padded, padded.across, line, row);
        if (!kernel->matched)
            continue;
        filter_down(&power, &padded, padded.scratch, line, weights);
        weigh_row(row, weights, (float)(kernel->noise * kernel->noise), width);
    }
    return AID_OK;
}

static void free_bands(band_runs *bands, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        free(bands[i].runs);
        free(bands[i].filtered);
        free(bands[i].values);
    }
    free(bands);
}

aid_status aid_footprints_find(const aid_field *field, const aid_footprints_options *options,
                               aid_footprints *ret_footprints, aid_error *err)
{
    const aid_kernel *kernel = options->finds;
    AID_CLEANUP(aid_footprints_done)
    aid_footprints footprints = {0};
    AID_CLEANUP(aid_kernel_done)
    aid_kernel power = {0};
    if (kernel->matched)
        AID_TRY(square_kernel(kernel, &power, err));
    find_job job = {.field = field,
                    .options = options,
                    .kernel = kernel,
                    .power = kernel->matched ? &power : NULL,
                    .counts = field->options->threshold_unit == AID_THRESHOLD_COUNTS};
    int64_t count = aid_band_count(field->image->height, BAND_ROWS);
    int threads = aid_pool_threads(field->pool);
    AID_TRY(aid_new_array((size_t)threads, sizeof *job.works, "bands", &job.works, err));
    aid_status status = aid_new_array((size_t)count, sizeof *job.bands, "bands", &job.bands, err);
    if (status == AID_OK)
        status = aid_pool_run(field->pool, count, find_in_band, &job, err);
    for (int i = 0; i < threads; i++)
        band_work_done(&job.works[i]);
    free(job.works);
    if (status == AID_OK)
        status = join_bands(job.bands, count, options->min_pixels, &footprints, err);
    if (job.bands)
        free_bands(job.bands, count);
    AID_TRY(status);
    *ret_footprints = footprints;
    footprints = (aid_footprints){0};
    return AID_OK;
}
