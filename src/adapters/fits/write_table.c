/* Binary tables (FITS standard 4.0, section 7.3) from aid_table. UCDs go into TUCDn and
 * descriptions into TCOMMn, where TOPCAT and STILTS keep them. */
#include "adapters/fits/write_hdu.h"

#include "adapters/tables/table.h"
#include "core/base/memory.h"
#include "core/base/text.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Bytes of the longest text of a column as it will stand in the file; at least one, for some
 * readers cannot bear a column without width. */
static int64_t text_width(const aid_column *column, int64_t rows)
{
    int64_t width = 1;
    for (int64_t row = 0; row < rows; row++) {
        const char *text = column->values.texts[row];
        int64_t length = 0;
        while (text && aid_utf8_next(&text) != 0)
            length++;
        width = AID_MAX(width, length);
    }
    return width;
}

static int64_t *new_widths(const aid_table *table)
{
    int64_t *widths = calloc((size_t)table->columns + 1, sizeof *widths);
    for (int i = 0; widths && i < table->columns; i++)
        widths[i] =
            table->items[i].kind == AID_COLUMN_TEXT ? text_width(&table->items[i], table->rows) : 8;
    return widths;
}

/* F and the width of the longest value; none where a value is too large for fixed notation. */
static void put_display(aid_fits_cards *cards, const char *keyword, const aid_column *column,
                        int64_t rows)
{
    double largest = 1.0;
    for (int64_t row = 0; row < rows; row++)
        if (isfinite(column->values.doubles[row]))
            largest = fmax(largest, fabs(column->values.doubles[row]));
    if (largest >= 1e15)
        return;
    char text[AID_DOUBLE_TEXT], display[24];
    aid_double_text(-largest, column->decimals, text);
    snprintf(display, sizeof display, "F%zu.%d", strlen(text), AID_MIN(column->decimals, 17));
    aid_fits_card_text(cards, keyword, display, NULL);
}

static void put_optional(aid_fits_cards *cards, const char *keyword, const char *value)
{
    if (value && *value)
        aid_fits_card_text(cards, keyword, value, NULL);
}

static bool has_null(const aid_column *column, int64_t rows)
{
    for (int64_t row = 0; row < rows; row++)
        if (column->values.integers[row] == AID_NULL_INT64)
            return true;
    return false;
}

static void put_column(aid_fits_cards *cards, const aid_table *table, int index, int64_t width)
{
    const aid_column *column = &table->items[index];
    char keyword[16], form[24];
    snprintf(keyword, sizeof keyword, "TTYPE%d", index + 1);
    aid_fits_card_text(cards, keyword, column->name, NULL);
    snprintf(keyword, sizeof keyword, "TFORM%d", index + 1);
    if (column->kind == AID_COLUMN_TEXT)
        snprintf(form, sizeof form, "%" PRId64 "A", width);
    else
        snprintf(form, sizeof form, "%s", column->kind == AID_COLUMN_INT64 ? "K" : "D");
    aid_fits_card_text(cards, keyword, form, NULL);
    snprintf(keyword, sizeof keyword, "TNULL%d", index + 1);
    if (column->kind == AID_COLUMN_INT64 && has_null(column, table->rows))
        aid_fits_card_integer(cards, keyword, AID_NULL_INT64, NULL);
    snprintf(keyword, sizeof keyword, "TUNIT%d", index + 1);
    put_optional(cards, keyword, column->unit);
    snprintf(keyword, sizeof keyword, "TDISP%d", index + 1);
    if (column->kind == AID_COLUMN_DOUBLE && column->decimals >= 0)
        put_display(cards, keyword, column, table->rows);
    snprintf(keyword, sizeof keyword, "TUCD%d", index + 1);
    put_optional(cards, keyword, column->ucd);
    snprintf(keyword, sizeof keyword, "TCOMM%d", index + 1);
    put_optional(cards, keyword, column->description);
}

/* ------------------------------------------------------------------------------------------ rows
 */

static aid_status put_bytes(aid_fits_writer *writer, const unsigned char *bytes, size_t count,
                            aid_error *err)
{
    while (count > 0) {
        unsigned char *room;
        size_t items;
        AID_TRY(aid_fits_hdu_room(writer, 1, &room, &items, err));
        items = AID_MIN(items, count);
        memcpy(room, bytes, items);
        aid_fits_hdu_filled(writer, items);
        bytes += items;
        count -= items;
    }
    return AID_OK;
}

static aid_status put_number(aid_fits_writer *writer, uint64_t bits, aid_error *err)
{
    unsigned char bytes[8];
    for (int i = 0; i < 8; i++)
        bytes[i] = (unsigned char)(bits >> (56 - 8 * i));
    return put_bytes(writer, bytes, sizeof bytes, err);
}

/* Blanks behind a text and in place of none: as in a header, they mean nothing. */
static aid_status put_text(aid_fits_writer *writer, const char *text, int64_t width, aid_error *err)
{
    static const unsigned char blanks[64] = "                                                      "
                                            "          ";
    AID_CLEANUP(aid_free_pointer)
    char *ascii = aid_fits_ascii(text ? text : "", false);
    if (!ascii)
        AID_FAIL(err, AID_ERR_NOMEM, "%s: out of memory for a text", writer->path);
    size_t length = strlen(ascii);
    AID_TRY(put_bytes(writer, (const unsigned char *)ascii, length, err));
    for (size_t rest = (size_t)width - length; rest > 0;) {
        size_t n = AID_MIN(rest, sizeof blanks);
        AID_TRY(put_bytes(writer, blanks, n, err));
        rest -= n;
    }
    return AID_OK;
}

static aid_status put_cell(aid_fits_writer *writer, const aid_column *column, int64_t row,
                           int64_t width, aid_error *err)
{
    uint64_t bits;
    switch (column->kind) {
    case AID_COLUMN_INT64:
        return put_number(writer, (uint64_t)column->values.integers[row], err);
    case AID_COLUMN_DOUBLE:
        memcpy(&bits, &column->values.doubles[row], sizeof bits);
        return put_number(writer, bits, err);
    case AID_COLUMN_TEXT:
        break;
    }
    return put_text(writer, column->values.texts[row], width, err);
}

static aid_status put_table(aid_fits_writer *writer, const char *extname, const aid_table *table,
                            const aid_header *cards, aid_error *err)
{
    AID_CLEANUP(aid_free_pointer)
    int64_t *widths = new_widths(table);
    if (!widths)
        AID_FAIL(err, AID_ERR_NOMEM, "%s: out of memory for a table", writer->path);
    aid_fits_shape shape = {.extension = "BINTABLE", .bitpix = 8, .axes = 2};
    for (int i = 0; i < table->columns; i++)
        shape.sides[0] += widths[i];
    shape.sides[1] = table->rows;
    aid_fits_hdu_start(writer, &shape);
    aid_fits_card_integer(&writer->cards, "TFIELDS", table->columns, NULL);
    for (int i = 0; i < table->columns; i++)
        put_column(&writer->cards, table, i, widths[i]);
    put_optional(&writer->cards, "EXTNAME", extname);
    aid_fits_cards_add(&writer->cards, cards);
    AID_TRY(aid_fits_hdu_put_header(writer, err));
    for (int64_t row = 0; row < table->rows; row++)
        for (int i = 0; i < table->columns; i++)
            AID_TRY(put_cell(writer, &table->items[i], row, widths[i], err));
    return aid_fits_hdu_end(writer, err);
}

aid_status aid_fits_put_table(aid_fits_writer *writer, const char *extname,
                              const struct aid_table *table, const aid_header *cards,
                              aid_error *err)
{
    enum { MAX_COLUMNS = 999 };
    aid_status status = AID_OK;
    if (table->columns > MAX_COLUMNS)
        status = AID_ERROR(err, AID_ERR_INVALID, "%s: %d columns: FITS tables have at most %d",
                           writer->path, table->columns, MAX_COLUMNS);
    if (status == AID_OK && writer->hdus == 0) /* a table cannot be the primary */
        status = aid_fits_put_header(writer, NULL, err);
    if (status == AID_OK)
        status = put_table(writer, extname, table, cards, err);
    writer->failed = writer->failed || status != AID_OK;
    return status;
}
