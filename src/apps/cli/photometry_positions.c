/* Where to measure: positions on the command line, or a table of them. */
#include "apps/cli/photometry.h"
#include "apps/common/table_file.h"
#include "core/base/memory.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_POSITIONS = 10000000, MAX_LISTED = 4096 };

void photometry_positions_done(photometry_positions *positions)
{
    free(positions->items);
    *positions = (photometry_positions){0};
}

/* ------------------------------------------------------------------------------------- numbers */

/* A plain decimal number at *text, which moves behind it. */
static bool take_number(const char **text, const char *end, double *ret_value)
{
    char buffer[64], *stop;
    size_t length = 0;
    while (*text + length < end && strchr("+-.0123456789eE", (*text)[length]))
        length++;
    if (length == 0 || length >= sizeof buffer)
        return false;
    memcpy(buffer, *text, length);
    buffer[length] = '\0';
    *ret_value = strtod(buffer, &stop);
    *text += length;
    return *stop == '\0' && isfinite(*ret_value);
}

/* A decimal number, or d:m:s, whose sign is that of the first part even where it is -0. */
static bool take_angle(const char **text, const char *end, double *ret_value, bool *ret_sexagesimal)
{
    bool negative = *text < end && **text == '-';
    double parts[3] = {0.0};
    int count = 0;
    do {
        if (count > 0)
            ++*text;
        if (!take_number(text, end, &parts[count++]))
            return false;
    } while (count < 3 && *text < end && **text == ':');
    *ret_sexagesimal = count > 1;
    for (int i = 1; i < count; i++)
        if (!(parts[i] >= 0.0 && parts[i] < 60.0))
            return false;
    double size = fabs(parts[0]) + parts[1] / 60.0 + parts[2] / 3600.0;
    *ret_value = negative ? -size : size;
    return true;
}

aid_status photometry_parse_sky(const char *text, size_t length, double *ret_ra_deg,
                                double *ret_dec_deg, aid_error *err)
{
    const char *at = text, *end = text + length;
    double ra, dec;
    bool hours, degrees;
    bool read = take_angle(&at, end, &ra, &hours) && at < end && *at++ == ',' &&
                take_angle(&at, end, &dec, &degrees) && at == end;
    if (!read)
        AID_FAIL(err, AID_ERR_USAGE,
                 "%.*s is no position: RA,DEC in degrees or as 12:34:56.7,-01:02:03 is wanted",
                 (int)AID_MIN(length, 100), text);
    if (hours)
        ra *= 15.0;
    if (!(ra >= -360.0 && ra <= 360.0 && fabs(dec) <= 90.0))
        AID_FAIL(err, AID_ERR_USAGE, "%.*s is not on the sky", (int)AID_MIN(length, 100), text);
    *ret_ra_deg = ra < 0.0 ? ra + 360.0 : ra;
    *ret_dec_deg = dec;
    return AID_OK;
}

/* FITS pixels, as people count. */
static aid_status parse_pixel(const char *text, size_t length, double *ret_x, double *ret_y,
                              aid_error *err)
{
    const char *at = text, *end = text + length;
    double x, y;
    if (!(take_number(&at, end, &x) && at < end && *at++ == ',' && take_number(&at, end, &y) &&
          at == end))
        AID_FAIL(err, AID_ERR_USAGE, "%.*s is no pixel: X,Y is wanted, the first one being 1,1",
                 (int)AID_MIN(length, 100), text);
    *ret_x = x - 1.0;
    *ret_y = y - 1.0;
    return AID_OK;
}

/* ---------------------------------------------------------------------- on the command line */

static const photometry_position nowhere = {.ra_deg = NAN, .dec_deg = NAN, .x = NAN, .y = NAN};

/* Positions apart by blanks or semicolons. */
static aid_status read_list(const char *text, bool pixels, photometry_positions *positions,
                            aid_error *err)
{
    static const char between[] = " ;\t\n";
    for (text += strspn(text, between); *text; text += strspn(text, between)) {
        size_t length = strcspn(text, between);
        if (positions->count == MAX_LISTED)
            AID_FAIL(err, AID_ERR_USAGE, "more than %d positions: put them into a file",
                     MAX_LISTED);
        photometry_position *item = &positions->items[positions->count];
        *item = nowhere;
        if (pixels)
            AID_TRY(parse_pixel(text, length, &item->x, &item->y, err));
        else
            AID_TRY(photometry_parse_sky(text, length, &item->ra_deg, &item->dec_deg, err));
        positions->count++;
        text += length;
    }
    return AID_OK;
}

/* Digits, signs, colons and one comma at least: no usual name of a file. */
static bool looks_like_positions(const char *text)
{
    return strchr(text, ',') && strspn(text, "+-.:,;0123456789eE \t\n") == strlen(text);
}

/* -------------------------------------------------------------------------------------- tables */

static int first_column(const aid_table *table, const char *const *names)
{
    for (; *names; names++) {
        int column = aid_table_find(table, *names);
        if (column >= 0 && table->items[column].kind != AID_COLUMN_TEXT)
            return column;
    }
    return -1;
}

typedef struct position_columns {
    int ra, dec, x, y, name;
} position_columns;

static position_columns find_columns(const aid_table *table)
{
    static const char *const ra[] = {"ra", "ra_deg", "alpha_j2000", "raj2000", "ra_icrs", NULL};
    static const char *const dec[] = {"dec",     "dec_deg", "delta_j2000", "dej2000",
                                      "de_icrs", "decl",    NULL};
    static const char *const x[] = {"x", "x_image", "xwin_image", NULL};
    static const char *const y[] = {"y", "y_image", "ywin_image", NULL};
    position_columns columns = {.ra = first_column(table, ra),
                                .dec = first_column(table, dec),
                                .x = first_column(table, x),
                                .y = first_column(table, y)};
    columns.name = aid_table_find(table, "name");
    if (columns.name < 0)
        columns.name = aid_table_find(table, "id");
    return columns;
}

static void take_name(const aid_table *table, int column, int64_t row, char *name, size_t size)
{
    const aid_column *item = &table->items[column];
    if (item->kind == AID_COLUMN_TEXT)
        snprintf(name, size, "%s", item->values.texts[row] ? item->values.texts[row] : "");
    else if (item->kind == AID_COLUMN_INT64 && item->values.integers[row] != AID_NULL_INT64)
        snprintf(name, size, "%lld", (long long)item->values.integers[row]);
}

static aid_status fill_from_table(const aid_table *table, const char *path,
                                  photometry_positions *positions, aid_error *err)
{
    position_columns columns = find_columns(table);
    char names[256];
    bool sky = columns.ra >= 0 && columns.dec >= 0, pixels = columns.x >= 0 && columns.y >= 0;
    aid_table_names(table, names, sizeof names);
    if (!sky && !pixels)
        AID_FAIL(err, AID_ERR_INVALID, "%s: no columns ra, dec or x, y; it has %s", path, names);
    if (table->rows > MAX_POSITIONS)
        AID_FAIL(err, AID_ERR_INVALID, "%s: %lld positions are more than %d", path,
                 (long long)table->rows, MAX_POSITIONS);
    AID_TRY(aid_new_array((size_t)AID_MAX(table->rows, 1), sizeof *positions->items, "positions",
                          &positions->items, err));
    positions->count = (int)table->rows;
    for (int64_t row = 0; row < table->rows; row++) {
        photometry_position *item = &positions->items[row];
        *item = nowhere;
        if (sky) {
            item->ra_deg = aid_table_number(table, columns.ra, row);
            item->dec_deg = aid_table_number(table, columns.dec, row);
        }
        if (pixels) {
            item->x = aid_table_number(table, columns.x, row) - 1.0;
            item->y = aid_table_number(table, columns.y, row) - 1.0;
        }
        if (columns.name >= 0)
            take_name(table, columns.name, row, item->name, sizeof item->name);
    }
    positions->has_sky = sky;
    positions->has_pixels = pixels;
    return AID_OK;
}

static aid_status read_table(const char *path, aid_notes *notes, photometry_positions *positions,
                             aid_error *err)
{
    AID_CLEANUP(aid_table_done)
    aid_table table = {0};
    aid_table_read_options options = {.notes = notes};
    AID_TRY(aid_table_read(path, &options, &table, err));
    return fill_from_table(&table, path, positions, err);
}

aid_status photometry_read_positions(const photometry_options *options, aid_notes *notes,
                                     photometry_positions *ret_positions, aid_error *err)
{
    bool pixels = options->at_pixel != NULL;
    const char *text = pixels ? options->at_pixel : options->at;
    if (!options->at == !options->at_pixel)
        AID_FAIL(err, AID_ERR_USAGE, "where? Either --at RA,DEC, --at FILE or --at-pixel X,Y");
    if (!pixels && !looks_like_positions(text))
        return read_table(text, notes, ret_positions, err);
    AID_CLEANUP(photometry_positions_done)
    photometry_positions positions = {.has_sky = !pixels, .has_pixels = pixels};
    AID_TRY(aid_new_array(MAX_LISTED, sizeof *positions.items, "positions", &positions.items, err));
    AID_TRY(read_list(text, pixels, &positions, err));
    if (positions.count == 0)
        AID_FAIL(err, AID_ERR_USAGE, "--at%s names no position", pixels ? "-pixel" : "");
    *ret_positions = positions;
    positions.items = NULL;
    return AID_OK;
}
