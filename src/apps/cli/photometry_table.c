/* What `astrid photometry` gives: a table of every position on every image, which sorted by time is
 * a light curve. */
#include "adapters/files/json.h"
#include "apps/cli/photometry.h"
#include "apps/common/provenance.h"
#include "apps/common/table_file.h"
#include "core/base/memory.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* qsort has no context: rows carry their time while they are sorted. */
typedef struct timed_row {
    double mjd;
    photometry_row row;
} timed_row;

static int by_position_and_time(const void *left, const void *right)
{
    const timed_row *a = left, *b = right;
    if (a->row.position != b->row.position)
        return a->row.position < b->row.position ? -1 : 1;
    bool a_known = isfinite(a->mjd), b_known = isfinite(b->mjd);
    if (a_known != b_known)
        return a_known ? -1 : 1;
    if (a_known && a->mjd != b->mjd)
        return a->mjd < b->mjd ? -1 : 1;
    return a->row.image - b->row.image;
}

aid_status photometry_sort_rows(photometry_job *job, aid_error *err)
{
    AID_CLEANUP(aid_free_pointer)
    timed_row *rows = NULL;
    AID_TRY(aid_new_array((size_t)AID_MAX(job->row_count, 1), sizeof *rows, "rows", &rows, err));
    for (int i = 0; i < job->row_count; i++)
        rows[i] = (timed_row){job->images[job->rows[i].image].mjd, job->rows[i]};
    qsort(rows, (size_t)job->row_count, sizeof *rows, by_position_and_time);
    for (int i = 0; i < job->row_count; i++)
        job->rows[i] = rows[i].row;
    return AID_OK;
}

/* ------------------------------------------------------------------------------------- columns */

typedef enum row_column {
    POSITION,
    NAME,
    IMAGE,
    FILTER,
    MJD,
    RA,
    DEC,
    X,
    Y,
    FLUX,
    FLUX_ERR,
    SNR,
    MAG,
    MAG_ERR,
    LIMIT_3,
    LIMIT_5,
    UPPER_95,
    LIMIT_3_MAG,
    LIMIT_5_MAG,
    UPPER_95_MAG,
    BACKGROUND,
    CHI2,
    MISSING,
    FLAGS,
    ZERO_POINT,
    METHOD,
    COLUMNS
} row_column;

/* clang-format off */
static const aid_column descriptions[COLUMNS] = {
    [POSITION] = {.name = "position", .ucd = "meta.id",
                  .description = "1, 2, ... in the order given", .kind = AID_COLUMN_INT64},
    [NAME] = {.name = "name", .ucd = "meta.id", .description = "id or name in the catalogue",
              .kind = AID_COLUMN_TEXT},
    [IMAGE] = {.name = "image", .ucd = "meta.file", .description = "file that was measured",
               .kind = AID_COLUMN_TEXT},
    [FILTER] = {.name = "filter", .ucd = "meta.id;instr.filter",
                .description = "filter of the header", .kind = AID_COLUMN_TEXT},
    [MJD] = {.name = "mjd", .unit = "d", .ucd = "time.epoch", .decimals = 7,
             .description = "MJD UTC, middle of the exposure", .kind = AID_COLUMN_DOUBLE},
    [RA] = {.name = "ra", .unit = "deg", .ucd = "pos.eq.ra;meta.main", .decimals = 7,
            .description = "right ascension, ICRS", .kind = AID_COLUMN_DOUBLE},
    [DEC] = {.name = "dec", .unit = "deg", .ucd = "pos.eq.dec;meta.main", .decimals = 7,
             .description = "declination, ICRS", .kind = AID_COLUMN_DOUBLE},
    [X] = {.name = "x", .unit = "pix", .ucd = "pos.cartesian.x;instr.det", .decimals = 3,
           .description = "FITS pixel", .kind = AID_COLUMN_DOUBLE},
    [Y] = {.name = "y", .unit = "pix", .ucd = "pos.cartesian.y;instr.det", .decimals = 3,
           .description = "FITS pixel", .kind = AID_COLUMN_DOUBLE},
    [FLUX] = {.name = "flux", .ucd = "phot.count", .decimals = -1,
              .description = "flux, in the unit of the image; may be negative",
              .kind = AID_COLUMN_DOUBLE},
    [FLUX_ERR] = {.name = "flux_err", .ucd = "stat.error;phot.count", .decimals = -1,
                  .description = "standard error of flux", .kind = AID_COLUMN_DOUBLE},
    [SNR] = {.name = "snr", .ucd = "stat.snr", .decimals = 3, .description = "flux/flux_err",
             .kind = AID_COLUMN_DOUBLE},
    [MAG] = {.name = "mag", .unit = "mag", .ucd = "phot.mag", .decimals = 4,
             .description = "magnitude of a positive flux", .kind = AID_COLUMN_DOUBLE},
    [MAG_ERR] = {.name = "mag_err", .unit = "mag", .ucd = "stat.error;phot.mag", .decimals = 4,
                 .description = "standard error of mag", .kind = AID_COLUMN_DOUBLE},
    [LIMIT_3] = {.name = "limit_3sigma", .ucd = "phot.count;stat.max", .decimals = -1,
                 .description = "3 standard errors of a flux of 0", .kind = AID_COLUMN_DOUBLE},
    [LIMIT_5] = {.name = "limit_5sigma", .ucd = "phot.count;stat.max", .decimals = -1,
                 .description = "5 standard errors of a flux of 0", .kind = AID_COLUMN_DOUBLE},
    [UPPER_95] = {.name = "upper_limit_95", .ucd = "phot.count;stat.max", .decimals = -1,
                  .description = "a source that is not negative is below this with 95 %",
                  .kind = AID_COLUMN_DOUBLE},
    [LIMIT_3_MAG] = {.name = "limit_3sigma_mag", .unit = "mag", .ucd = "phot.mag;stat.max",
                     .decimals = 4, .description = "limit_3sigma as a magnitude",
                     .kind = AID_COLUMN_DOUBLE},
    [LIMIT_5_MAG] = {.name = "limit_5sigma_mag", .unit = "mag", .ucd = "phot.mag;stat.max",
                     .decimals = 4, .description = "limit_5sigma as a magnitude",
                     .kind = AID_COLUMN_DOUBLE},
    [UPPER_95_MAG] = {.name = "upper_limit_95_mag", .unit = "mag", .ucd = "phot.mag;stat.max",
                      .decimals = 4, .description = "upper_limit_95 as a magnitude",
                      .kind = AID_COLUMN_DOUBLE},
    [BACKGROUND] = {.name = "background", .ucd = "instr.background", .decimals = -1,
                    .description = "local, beside the image's own; 0 where none was asked for",
                    .kind = AID_COLUMN_DOUBLE},
    [CHI2] = {.name = "chi2", .ucd = "stat.fit.chi2", .decimals = 3,
              .description = "reduced, of the PSF", .kind = AID_COLUMN_DOUBLE},
    [MISSING] = {.name = "missing", .ucd = "stat.value", .decimals = 4,
                 .description = "part of the PSF or aperture without usable pixels",
                 .kind = AID_COLUMN_DOUBLE},
    [FLAGS] = {.name = "flags", .ucd = "meta.code.qual", .description = "what is odd, joined by |",
               .kind = AID_COLUMN_TEXT},
    [ZERO_POINT] = {.name = "zero_point", .unit = "mag", .ucd = "phot.mag;arith.zp", .decimals = 4,
                    .description = "magnitude of one unit of the image",
                    .kind = AID_COLUMN_DOUBLE},
    [METHOD] = {.name = "method", .ucd = "meta.code.class",
                .description = "psf, aperture, or map: of a difference", .kind = AID_COLUMN_TEXT},
};
/* clang-format on */

static aid_status fill_texts(const photometry_job *job, int64_t row, aid_table *table,
                             aid_error *err)
{
    const photometry_row *from = &job->rows[row];
    const photometry_image *image = &job->images[from->image];
    char flags[160];
    aid_photometry_flag_names(from->flux.flags, flags, sizeof flags);
    AID_TRY(aid_table_set_text(table, NAME, row, job->positions.items[from->position].name, err));
    AID_TRY(aid_table_set_text(table, IMAGE, row, image->path, err));
    AID_TRY(aid_table_set_text(table, FILTER, row, image->filter, err));
    AID_TRY(aid_table_set_text(table, FLAGS, row, flags, err));
    return aid_table_set_text(table, METHOD, row, image->method, err);
}

static void fill_numbers(const photometry_job *job, int64_t row, aid_table *table)
{
    const photometry_row *from = &job->rows[row];
    const photometry_image *image = &job->images[from->image];
    const aid_forced_flux *flux = &from->flux;
    const struct {
        int column;
        double value;
    } cells[] = {{MJD, image->mjd},
                 {RA, image->ra_deg[from->position]},
                 {DEC, image->dec_deg[from->position]},
                 {X, flux->x + 1.0},
                 {Y, flux->y + 1.0},
                 {FLUX, flux->flux},
                 {FLUX_ERR, flux->flux_err},
                 {SNR, flux->snr},
                 {MAG, flux->mag},
                 {MAG_ERR, flux->mag_err},
                 {LIMIT_3, flux->limit_3sigma},
                 {LIMIT_5, flux->limit_5sigma},
                 {UPPER_95, flux->upper_limit_95},
                 {LIMIT_3_MAG, flux->limit_3sigma_mag},
                 {LIMIT_5_MAG, flux->limit_5sigma_mag},
                 {UPPER_95_MAG, flux->upper_limit_95_mag},
                 {BACKGROUND, flux->background},
                 {CHI2, flux->chi2},
                 {MISSING, flux->missing},
                 {ZERO_POINT, image->zero_point}};
    table->items[POSITION].values.integers[row] = from->position + 1;
    for (size_t i = 0; i < AID_COUNT_OF(cells); i++)
        table->items[cells[i].column].values.doubles[row] = cells[i].value;
}

/* NULL where the images have not all the same. */
static const char *unit_of(const photometry_job *job)
{
    const char *unit = job->image_count > 0 ? job->images[0].unit : "";
    for (int i = 1; i < job->image_count; i++)
        if (strcmp(job->images[i].unit, unit) != 0)
            return NULL;
    return *unit ? unit : NULL;
}

aid_status photometry_table(const photometry_job *job, aid_table *ret_table, aid_error *err)
{
    static const int fluxes[] = {FLUX, FLUX_ERR, LIMIT_3, LIMIT_5, UPPER_95, BACKGROUND};
    aid_column columns[COLUMNS];
    aid_table table;
    memcpy(columns, descriptions, sizeof columns);
    for (size_t i = 0; i < AID_COUNT_OF(fluxes); i++)
        columns[fluxes[i]].unit = unit_of(job);
    AID_TRY(aid_table_init("photometry", "fluxes at given positions, by position and time", columns,
                           COLUMNS, job->row_count, &table, err));
    aid_status status = AID_OK;
    for (int64_t row = 0; row < job->row_count && status == AID_OK; row++) {
        fill_numbers(job, row, &table);
        status = fill_texts(job, row, &table, err);
    }
    if (status == AID_OK)
        *ret_table = table;
    else
        aid_table_done(&table);
    return status;
}

/* In a FITS file the header says what made it, and of which images: IMG1, HASH1, ... */
aid_status photometry_write(const photometry_job *job, const aid_table *table, aid_error *err)
{
    enum { MOST_IMAGES = 9999 };
    AID_CLEANUP(aid_header_done)
    aid_header cards = {0};
    AID_TRY(aid_provenance_cards(job->invocation, &cards, err));
    for (int i = 0; i < AID_MIN(job->image_count, MOST_IMAGES); i++) {
        char keyword[24];
        snprintf(keyword, sizeof keyword, "IMG%d", i + 1);
        AID_TRY(aid_header_put_text(&cards, keyword, job->images[i].path, "image", err));
        snprintf(keyword, sizeof keyword, "HASH%d", i + 1);
        AID_TRY(aid_header_put_text(&cards, keyword, job->images[i].sha256, "SHA-256", err));
    }
    return aid_table_write(table, job->options->output, &cards, err);
}

/* ------------------------------------------------------------------------------------- printing */

static const char *cell_of(char text[32], const char *format, double value)
{
    if (!isfinite(value))
        return "-";
    snprintf(text, 32, format, value);
    return text;
}

void photometry_print_text(const photometry_job *job)
{
    enum { MAX_LINES = 40 };
    printf("%5s %-20s %-8s %14s %12s %12s %9s %8s %7s  %s\n", "at", "image", "filter", "mjd",
           "flux", "error", "snr", "mag", "error", "flags");
    for (int i = 0; i < AID_MIN(job->row_count, MAX_LINES); i++) {
        const photometry_row *row = &job->rows[i];
        const photometry_image *image = &job->images[row->image];
        const char *slash = strrchr(image->path, '/');
        char flags[160];
        aid_photometry_flag_names(row->flux.flags, flags, sizeof flags);
        const aid_forced_flux *flux = &row->flux;
        char cells[6][32];
        printf("%5d %-20.20s %-8.8s %14s %12s %12s %9s %8s %7s  %s\n", row->position + 1,
               slash ? slash + 1 : image->path, image->filter,
               cell_of(cells[0], "%.6f", image->mjd), cell_of(cells[1], "%.6g", flux->flux),
               cell_of(cells[2], "%.4g", flux->flux_err), cell_of(cells[3], "%.2f", flux->snr),
               cell_of(cells[4], "%.3f", flux->mag), cell_of(cells[5], "%.3f", flux->mag_err),
               flags);
    }
    if (job->row_count > MAX_LINES)
        printf("... and %d more; -o FILE writes them all\n", job->row_count - MAX_LINES);
    for (int i = 0; i < job->notes.count; i++)
        printf("note: %s\n", job->notes.items[i].text);
}

static void put_cell(aid_json_writer *json, const aid_column *column, int64_t row)
{
    aid_json_key(json, column->name);
    if (column->kind == AID_COLUMN_INT64)
        aid_json_integer(json, column->values.integers[row]);
    else if (column->kind == AID_COLUMN_DOUBLE)
        aid_json_number(json, column->values.doubles[row]);
    else
        aid_json_text(json, column->values.texts[row] ? column->values.texts[row] : "");
}

static void put_images(aid_json_writer *json, const photometry_job *job)
{
    aid_json_put_array(json, "images");
    for (int i = 0; i < job->image_count; i++) {
        const photometry_image *image = &job->images[i];
        aid_json_begin_object(json);
        aid_json_put_text(json, "path", image->path);
        aid_json_put_text(json, "sha256", image->sha256);
        aid_json_put_text(json, "unit", image->unit);
        aid_json_put_text(json, "method", image->method);
        aid_json_put_text(json, "placed_by", image->sky_place);
        aid_json_put_number(json, "mjd", image->mjd);
        aid_json_put_number(json, "fwhm_px", image->fwhm_px);
        aid_json_put_number(json, "zero_point", image->zero_point);
        aid_json_put_number(json, "moved_x_px", image->shift.applied ? image->shift.x_px : 0.0);
        aid_json_put_number(json, "moved_y_px", image->shift.applied ? image->shift.y_px : 0.0);
        aid_json_put_integer(json, "moved_by_stars", image->shift.matched);
        aid_json_put_number(json, "aperture_correction", image->correction);
        aid_json_end_object(json);
    }
    aid_json_end_array(json);
}

void photometry_print_json(const photometry_job *job, const aid_table *table)
{
    aid_json_writer json = aid_json_writer_on(stdout, 2);
    aid_json_begin_object(&json);
    aid_provenance_json(&json, job->invocation);
    put_images(&json, job);
    aid_json_put_integer(&json, "positions", job->positions.count);
    aid_json_put_text(&json, "output", job->options->output ? job->options->output : "");
    aid_json_put_array(&json, "measurements");
    for (int64_t row = 0; row < table->rows; row++) {
        aid_json_begin_object(&json);
        for (int column = 0; column < table->columns; column++)
            put_cell(&json, &table->items[column], row);
        aid_json_end_object(&json);
    }
    aid_json_end_array(&json);
    aid_notes_json(&json, &job->notes);
    aid_json_end_object(&json);
    aid_json_finish(&json);
}
