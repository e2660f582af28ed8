/* What is under the sources: background, noise, and which pixels are sound. */
#include "core/base/memory.h"
#include "core/imaging/spline_background.h"
#include "core/imaging/stats.h"
#include "domain/extraction/internal.h"

#include <string.h>

enum { BAND_ROWS = 64 };
static const char stage[] = "extract";

void aid_field_done(aid_field *field)
{
    aid_mask_done(&field->mask);
    aid_mesh_done(&field->background);
    aid_mesh_done(&field->noise);
    aid_psf_done(&field->psf);
}

/* ------------------------------------------------------------------------------ what pixels are */

/* What a look at every pixel tells. */
typedef struct pixel_census {
    int64_t finite, saturated, flagged, unsound;
    float lowest, highest; /* of the sound ones */
} pixel_census;

typedef struct census_job {
    const aid_field *field;
    pixel_census *bands;
    uint8_t *mask; /* NULL: only counted */
} census_job;

AID_HOT static void count_row(const float *restrict row, int32_t width, float saturation,
                              pixel_census *census)
{
    int32_t finite = 0, saturated = 0;
    float lowest = INFINITY, highest = -INFINITY;
    for (int32_t x = 0; x < width; x++) {
        float value = row[x];
        bool sound = value > -3e38F && value < 3e38F;
        finite += sound ? 1 : 0;
        saturated += value >= saturation ? 1 : 0;
        lowest = sound && value < lowest ? value : lowest;
        highest = sound && value > highest ? value : highest;
    }
    census->finite += finite;
    census->saturated += saturated;
    census->lowest = AID_MIN(census->lowest, lowest);
    census->highest = AID_MAX(census->highest, highest);
}

static bool has_noise(float noise)
{
    return noise > 0.0F && noise < 3e38F;
}

static uint8_t bits_of_pixel(const aid_field *field, int32_t x, int32_t y)
{
    const aid_extraction_input *input = field->input;
    float value = aid_image_row(input->image, y)[x];
    uint8_t bits = isfinite(value) ? 0 : AID_MASK_NO_DATA;
    if (input->mask && input->mask->data)
        bits = (uint8_t)(bits | aid_mask_row(input->mask, y)[x]);
    if (input->noise && !has_noise(aid_image_row(input->noise, y)[x]))
        bits |= AID_MASK_BAD;
    if (input->background && !isfinite(aid_image_row(input->background, y)[x]))
        bits |= AID_MASK_BAD;
    if ((double)value >= field->options->saturation)
        bits |= AID_MASK_SATURATED;
    return bits;
}

static aid_status count_band(void *context, int64_t band, int worker, aid_error *err)
{
    (void)worker;
    (void)err;
    const census_job *job = context;
    const aid_image *image = job->field->input->image;
    const aid_extraction_input *input = job->field->input;
    bool maps = (input->mask && input->mask->data) || input->noise || input->background;
    double level = job->field->options->saturation;
    pixel_census census = {.lowest = INFINITY, .highest = -INFINITY};
    int64_t begin, end;
    aid_band_range(image->height, BAND_ROWS, band, &begin, &end);
    for (int32_t y = (int32_t)begin; y < end; y++) {
        count_row(aid_image_row(image, y), image->width, isfinite(level) ? (float)level : INFINITY,
                  &census);
        for (int32_t x = 0; (maps || job->mask) && x < image->width; x++) {
            uint8_t bits = bits_of_pixel(job->field, x, y);
            census.flagged += bits ? 1 : 0;
            census.unsound += bits & AID_UNSOUND ? 1 : 0;
            if (job->mask)
                job->mask[(int64_t)y * image->width + x] = bits;
        }
    }
    job->bands[band] = census;
    return AID_OK;
}

static aid_status take_census(const aid_field *field, uint8_t *mask, pixel_census *ret_census,
                              aid_error *err)
{
    int64_t count = aid_band_count(field->image->height, BAND_ROWS);
    AID_CLEANUP(aid_free_pointer)
    pixel_census *bands = NULL;
    AID_TRY(aid_new_array((size_t)count, sizeof *bands, "bands", &bands, err));
    census_job job = {.field = field, .bands = bands, .mask = mask};
    AID_TRY(aid_pool_run(field->pool, count, count_band, &job, err));
    pixel_census census = {.lowest = INFINITY, .highest = -INFINITY};
    for (int64_t i = 0; i < count; i++) {
        census.finite += bands[i].finite;
        census.saturated += bands[i].saturated;
        census.flagged += bands[i].flagged;
        census.unsound += bands[i].unsound;
        census.lowest = AID_MIN(census.lowest, bands[i].lowest);
        census.highest = AID_MAX(census.highest, bands[i].highest);
    }
    *ret_census = census;
    return AID_OK;
}

/* A mask is made only where something is wrong with a pixel. */
static aid_status make_mask(aid_field *field, aid_error *err)
{
    const aid_image *image = field->image;
    int64_t pixels = (int64_t)image->width * image->height;
    pixel_census census;
    AID_TRY(take_census(field, NULL, &census, err));
    const char *name = field->input->name;
    if (census.finite == 0)
        AID_FAIL(err, AID_ERR_INVALID, "%s: none of its %d x %d pixels is a finite number", name,
                 image->width, image->height);
    if (!(census.highest > census.lowest))
        AID_FAIL(err, AID_ERR_INVALID, "%s: all pixels are %g: nothing can be found", name,
                 (double)census.lowest);
    if (census.finite == pixels && census.flagged == 0 && census.saturated == 0)
        return AID_OK;
    AID_TRY(aid_mask_init(image->width, image->height, &field->mask, err));
    AID_TRY(take_census(field, field->mask.data, &census, err));
    if (census.unsound == pixels)
        AID_FAIL(err, AID_ERR_INVALID, "%s: all %d x %d pixels are masked or missing", name,
                 image->width, image->height);
    return AID_OK;
}

/* ------------------------------------------------------------------------------------ the maps */

/* Where position p lies among `count` cells of that size: between cell *ret_cell and the next, the
 * share of the latter being returned. Beyond the outermost centres it is below 0 or above 1: a sky
 * that slopes towards the border goes on sloping. */
static double place_in_cells(double p, double cell, int32_t count, int32_t *ret_cell)
{
    double at = (p + 0.5) / cell - 0.5;
    *ret_cell = (int32_t)AID_CLAMP(floor(at), 0.0, AID_MAX(count - 2, 0));
    return count > 1 ? at - *ret_cell : 0.0;
}

static double along_line(const aid_mesh *mesh, int32_t line, int32_t column, double share)
{
    const float *values = mesh->values + (int64_t)line * mesh->nx;
    if (mesh->nx == 1)
        return (double)values[0];
    return (1.0 - share) * (double)values[column] + share * (double)values[column + 1];
}

/* Bilinear, as aid_mesh_at, but for the half cells at the borders. */
static double level_at(const aid_mesh *mesh, double x, double y)
{
    int32_t column, line;
    double across = place_in_cells(x, mesh->cell_width, mesh->nx, &column);
    double up = place_in_cells(y, mesh->cell_height, mesh->ny, &line);
    double value = along_line(mesh, line, column, across);
    if (mesh->ny == 1)
        return value;
    return (1.0 - up) * value + up * along_line(mesh, line + 1, column, across);
}

/* Along row y, cell by cell: a straight line between the centres of cells. */
static void level_row(const aid_mesh *mesh, int32_t y, float *row)
{
    for (int32_t x = 0; x < mesh->width;) {
        int32_t column;
        (void)place_in_cells(x, mesh->cell_width, mesh->nx, &column);
        double centre = (column + 1.5) * mesh->cell_width - 0.5; /* of the next cell */
        int32_t end = column >= mesh->nx - 2 ? mesh->width : (int32_t)ceil(centre);
        double first = level_at(mesh, x, y), slope = level_at(mesh, x + 1.0, y) - first;
        int32_t begin = x;
        for (; x < end; x++)
            row[x] = (float)(first + slope * (x - begin));
    }
}

typedef struct subtract_job {
    const aid_field *field;
    const aid_spline_background *spline;
} subtract_job;

static aid_status subtract_band(void *context, int64_t band, int worker, aid_error *err)
{
    (void)worker;
    const subtract_job *job = context;
    const aid_field *field = job->field;
    const aid_image *image = field->image;
    AID_CLEANUP(aid_free_pointer)
    float *level = NULL;
    AID_TRY(aid_new_buffer((size_t)image->width, sizeof *level, "background", &level, err));
    int64_t begin, end;
    aid_band_range(image->height, BAND_ROWS, band, &begin, &end);
    for (int32_t y = (int32_t)begin; y < end; y++) {
        float *row = aid_image_row(image, y);
        const float *from = level;
        if (field->input->background)
            from = aid_image_row(field->input->background, y);
        else if (job->spline)
            AID_TRY(aid_spline_background_row(job->spline, y, level, err));
        else
            level_row(&field->background, y, level);
        for (int32_t x = 0; x < image->width; x++)
            row[x] -= from[x];
    }
    return AID_OK;
}

static aid_status subtract(const aid_field *field, const aid_spline_background *spline,
                           aid_error *err)
{
    subtract_job job = {.field = field, .spline = spline};
    return aid_pool_run(field->pool, aid_band_count(field->image->height, BAND_ROWS), subtract_band,
                        &job, err);
}

static void make_constant(aid_mesh *mesh, double value)
{
    for (int64_t i = 0; i < (int64_t)mesh->nx * mesh->ny; i++)
        mesh->values[i] = (float)value;
}

static aid_status measure_cells(aid_field *field, aid_error *err)
{
    const aid_extraction_options *options = field->options;
    aid_background_options cells = {.cell_px = options->background_cell_px,
                                    .filter_cells = options->background_filter_cells};
    AID_TRY(aid_background_measure(field->image, &field->mask, &cells, field->pool,
                                   &field->background, &field->noise, err));
    field->median_background = aid_mesh_median(&field->background);
    field->median_noise = aid_mesh_median(&field->noise);
    if (options->background == AID_BACKGROUND_GLOBAL)
        make_constant(&field->background, field->median_background);
    if (options->background == AID_BACKGROUND_NONE) {
        make_constant(&field->background, 0.0);
        field->median_background = 0.0;
    }
    if (options->noise == AID_NOISE_GLOBAL)
        make_constant(&field->noise, field->median_noise);
    return AID_OK;
}

/* SExtractor's map in place of the cells' own; its noise is asked for at the cells' centres. */
static aid_status use_spline(aid_field *field, aid_error *err)
{
    const aid_extraction_options *options = field->options;
    aid_spline_background *spline;
    AID_TRY(aid_spline_background_new(field->image, &field->mask, options->background_cell_px,
                                      options->background_filter_cells, &spline, err));
    aid_status status =
        aid_spline_background_meshes(spline, &field->background, &field->noise, err);
    field->median_background = aid_spline_background_level(spline);
    field->median_noise = aid_spline_background_noise(spline);
    if (status == AID_OK && options->noise == AID_NOISE_GLOBAL)
        make_constant(&field->noise, field->median_noise);
    if (status == AID_OK)
        status = subtract(field, spline, err);
    aid_spline_background_free(spline);
    return status;
}

static aid_status check_noise(const aid_field *field, aid_error *err)
{
    if (!(field->median_noise > 0.0))
        AID_FAIL(err, AID_ERR_INVALID,
                 "%s: the background has no noise (rms %g): a threshold means nothing",
                 field->input->name, field->median_noise);
    return AID_OK;
}

static double median_of_map(const aid_image *map, aid_error *err, aid_status *ret_status)
{
    enum { SAMPLE = 65536 };
    AID_CLEANUP(aid_free_pointer)
    float *sample = NULL;
    *ret_status = aid_new_buffer(SAMPLE, sizeof *sample, "sample", &sample, err);
    if (*ret_status != AID_OK)
        return NAN;
    int64_t pixels = (int64_t)map->width * map->height, count = AID_MIN(pixels, SAMPLE);
    for (int64_t i = 0; i < count; i++) {
        int64_t at = i * pixels / count;
        sample[i] = aid_image_row(map, (int32_t)(at / map->width))[at % map->width];
    }
    return aid_median_in_place(sample, count);
}

static aid_status use_maps(aid_field *field, aid_error *err)
{
    aid_status status = AID_OK;
    if (field->input->background) {
        field->median_background = median_of_map(field->input->background, err, &status);
        aid_mesh_done(&field->background);
    }
    if (status == AID_OK && field->input->noise) {
        field->noise_map = field->input->noise;
        field->median_noise = median_of_map(field->input->noise, err, &status);
    }
    return status;
}

aid_status aid_field_init(const aid_extraction_input *input, const aid_extraction_options *options,
                          aid_pool *pool, aid_notes *notes, aid_field *ret_field, aid_error *err)
{
    AID_CLEANUP(aid_field_done)
    aid_field field = {.input = input,
                       .options = options,
                       .pool = pool,
                       .notes = notes,
                       .image = input->image,
                       .gain = options->gain > 0.0 ? options->gain : 0.0,
                       .fwhm_px = options->fwhm_px};
    AID_TRY(make_mask(&field, err));
    AID_TRY(measure_cells(&field, err));
    AID_TRY(use_maps(&field, err));
    if (input->background && options->background != AID_BACKGROUND_LOCAL)
        aid_note_add(notes, stage, "the background map that was given is used");
    if (!input->background && options->background == AID_BACKGROUND_MESH)
        AID_TRY(use_spline(&field, err));
    else if (options->background != AID_BACKGROUND_NONE || input->background)
        AID_TRY(subtract(&field, NULL, err));
    AID_TRY(check_noise(&field, err));
    *ret_field = field;
    field = (aid_field){0};
    return AID_OK;
}

/* ------------------------------------------------------------------------------------- look-ups */

void aid_field_noise_row(const aid_field *field, int32_t y, float *row)
{
    if (!field->noise_map) {
        aid_mesh_row(&field->noise, y, row);
        return;
    }
    const float *from = aid_image_row(field->noise_map, y);
    for (int32_t x = 0; x < field->image->width; x++)
        row[x] = has_noise(from[x]) ? from[x] : INFINITY;
}

static float pixel_near(const aid_image *map, double x, double y)
{
    int32_t i = (int32_t)AID_CLAMP(lround(x), 0, map->width - 1);
    int32_t j = (int32_t)AID_CLAMP(lround(y), 0, map->height - 1);
    return aid_image_row(map, j)[i];
}

double aid_field_noise_at(const aid_field *field, double x, double y)
{
    if (!field->noise_map)
        return aid_mesh_at(&field->noise, x, y);
    float value = pixel_near(field->noise_map, x, y);
    return has_noise(value) ? (double)value : field->median_noise;
}

double aid_field_background_at(const aid_field *field, double x, double y)
{
    if (field->input->background)
        return (double)pixel_near(field->input->background, x, y);
    return level_at(&field->background, x, y);
}

aid_status aid_field_noise_mesh(const aid_field *field, int32_t first, int32_t rows,
                                aid_mesh *ret_mesh, aid_error *err)
{
    enum { CELL = 64, MOST = 256 };
    int32_t width = field->image->width;
    int32_t nx = AID_CLAMP(width / CELL, 1, MOST), ny = AID_CLAMP(rows / CELL, 1, MOST);
    aid_mesh mesh;
    AID_TRY(aid_mesh_init(width, rows, nx, ny, &mesh, err));
    for (int32_t j = 0; j < ny; j++)
        for (int32_t i = 0; i < nx; i++) {
            double x = (i + 0.5) * mesh.cell_width, y = (j + 0.5) * mesh.cell_height;
            mesh.values[j * nx + i] = (float)aid_field_noise_at(field, x, first + y);
        }
    *ret_mesh = mesh;
    return AID_OK;
}
