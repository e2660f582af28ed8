#include "adapters/fits/bintable.h"

#include "adapters/tables/table.h"
#include "core/base/memory.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct aid_fits_bincolumn {
    char form[AID_FITS_NAME]; /* TFORM */
    char letter;
    bool kept, has_null, exact; /* exact: a whole number plus `offset` */
    int64_t repeat, offset, null;
    uint64_t at, width; /* bytes within the row */
    double scale, zero;
    aid_fits_reply_column out;
};

void aid_fits_bintable_done(aid_fits_bintable *table)
{
    free(table->columns);
    *table = (aid_fits_bintable){0};
}

/* ----------------------------------------------------------------------------------------- header
 */

/* "F12.3": 3; any other: -1. */
static int decimals_of(const char *display)
{
    const char *point = strchr(display, '.');
    if (toupper((unsigned char)display[0]) != 'F' || !point || !isdigit((unsigned char)point[1]))
        return -1;
    long decimals = strtol(point + 1, NULL, 10);
    return decimals <= 17 ? (int)decimals : -1;
}

static aid_status read_number(const aid_fits_card *card, double *ret_value, aid_error *err)
{
    char *end, text[AID_FITS_NAME];
    snprintf(text, sizeof text, "%.70s", card->value);
    for (char *at = text; *at; at++)
        *at = (char)(*at == 'D' || *at == 'd' ? 'E' : *at);
    double value = strtod(text, &end);
    if (card->kind != AID_CARD_NUMBER || end == text || *end || !isfinite(value))
        AID_FAIL(err, AID_ERR_INVALID, "%s = %.40s is not a finite number", card->keyword,
                 card->value);
    *ret_value = value;
    return AID_OK;
}

static aid_status read_null(const aid_fits_card *card, aid_fits_bincolumn *column, aid_error *err)
{
    char *end;
    errno = 0;
    column->null = strtoll(card->value, &end, 10);
    if (card->kind != AID_CARD_NUMBER || end == card->value || *end || errno)
        AID_FAIL(err, AID_ERR_INVALID, "%s = %.40s is not a whole number", card->keyword,
                 card->value);
    column->has_null = true;
    return AID_OK;
}

/* A text of a column, cut to its place. */
static bool read_text(const aid_fits_card *card, const char *root, aid_fits_bincolumn *column)
{
    const struct {
        const char *root;
        char *text;
        size_t size;
    } texts[] = {{"TTYPE", column->out.name, sizeof column->out.name},
                 {"TFORM", column->form, sizeof column->form},
                 {"TUNIT", column->out.unit, sizeof column->out.unit},
                 {"TUCD", column->out.ucd, sizeof column->out.ucd},
                 {"TCOMM", column->out.description, sizeof column->out.description}};
    for (size_t i = 0; i < AID_COUNT_OF(texts); i++)
        if (!strcmp(root, texts[i].root)) {
            snprintf(texts[i].text, texts[i].size, "%.255s", card->value);
            return true;
        }
    return false;
}

/* What the card says about a column: "TFORM7" is TFORM of the seventh. */
static aid_status take_card(const aid_fits_card *card, aid_fits_bintable *table, aid_error *err)
{
    char root[AID_MAX_KEYWORD];
    size_t length = strcspn(card->keyword, "0123456789");
    const char *digits = card->keyword + length;
    if (card->keyword[0] != 'T' || !*digits || strspn(digits, "0123456789") != strlen(digits) ||
        strlen(digits) > 4)
        return AID_OK;
    long number = strtol(digits, NULL, 10);
    if (number < 1 || number > table->count)
        return AID_OK;
    snprintf(root, sizeof root, "%.*s", (int)length, card->keyword);
    aid_fits_bincolumn *column = &table->columns[number - 1];
    if (card->kind == AID_CARD_STRING && read_text(card, root, column))
        return AID_OK;
    if (!strcmp(root, "TSCAL"))
        return read_number(card, &column->scale, err);
    if (!strcmp(root, "TZERO"))
        return read_number(card, &column->zero, err);
    if (!strcmp(root, "TNULL"))
        return read_null(card, column, err);
    if (!strcmp(root, "TDISP"))
        column->out.decimals = decimals_of(card->value);
    return AID_OK;
}

static aid_status take_cards(aid_fits_cards cards, aid_fits_bintable *table, aid_error *err)
{
    AID_CLEANUP(aid_free_pointer)
    aid_fits_card *card = NULL;
    AID_TRY(aid_new_array(1, sizeof *card, "table", &card, err));
    for (int32_t next = 0; next < cards.count;) {
        AID_TRY(aid_fits_card_read(cards, &next, card, err));
        AID_TRY(take_card(card, table, err));
    }
    return AID_OK;
}

/* ---------------------------------------------------------------------------------------- columns
 */

/* Bits of one element of each type (FITS standard 4.0, table 18). */
static int bits_of(char letter)
{
    static const char letters[] = "LXBIJKAEDCMPQ";
    static const int bits[] = {8, 1, 8, 16, 32, 64, 8, 32, 64, 64, 128, 64, 128};
    const char *found = letter ? strchr(letters, letter) : NULL;
    return found ? bits[found - letters] : 0;
}

static aid_status parse_form(aid_fits_bincolumn *column, int number, aid_error *err)
{
    char *at;
    errno = 0;
    long long repeat = strtoll(column->form, &at, 10);
    if (at == column->form)
        repeat = 1;
    column->letter = (char)toupper((unsigned char)*at);
    int bits = bits_of(column->letter);
    if (bits == 0 || errno || repeat < 0 || repeat > AID_MAX_FILE_BYTES)
        AID_FAIL(err, AID_ERR_INVALID, "TFORM%d = '%.40s' is no form of a column", number,
                 column->form);
    column->repeat = repeat;
    column->width = ((uint64_t)repeat * (uint64_t)bits + 7) / 8;
    if (column->letter == 'A')
        column->kept = repeat >= 1 && repeat <= AID_MAX_TABLE_CELL;
    else
        column->kept = repeat == 1 && strchr("LBIJKED", column->letter);
    return AID_OK;
}

static int64_t load_whole(const uint8_t *at, char letter)
{
    switch (letter) {
    case 'B':
        return at[0];
    case 'I':
        return (int16_t)(uint16_t)(at[0] << 8 | at[1]);
    case 'J':
        return (int32_t)((uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 |
                         (uint32_t)at[3]);
    default:
        break;
    }
    uint64_t bits = 0;
    for (int i = 0; i < 8; i++)
        bits = bits << 8 | at[i];
    return (int64_t)bits;
}

/* stored + offset within int64 and not AID_NULL_INT64; TZERO = 2^63 has wrapped to -2^63, where the
 * sum fits when the stored number is negative. */
static bool sum_fits(const aid_fits_bincolumn *column, int64_t stored)
{
    int64_t sum;
    if (column->zero == 9223372036854775808.0)
        return stored < 0;
    return !__builtin_add_overflow(stored, column->offset, &sum) && sum != AID_NULL_INT64;
}

/* Whole numbers stay such where none of them becomes too large for it. */
static bool is_exact(const aid_fits_bintable *table, aid_fits_bincolumn *column)
{
    const double two_to_63 = 9223372036854775808.0;
    if (!strchr("BIJK", column->letter) || column->scale != 1.0 ||
        column->zero != trunc(column->zero) || fabs(column->zero) > two_to_63)
        return false;
    column->offset = column->zero == two_to_63 ? INT64_MIN : (int64_t)column->zero;
    if (column->zero == 0.0)
        return true;
    for (int64_t row = 0; row < table->rows; row++) {
        const uint8_t *at = table->data + row * table->row_size + column->at;
        int64_t stored = load_whole(at, column->letter);
        if (!(column->has_null && stored == column->null) && !sum_fits(column, stored))
            return false;
    }
    return true;
}

static void describe(const aid_fits_bintable *table, aid_fits_bincolumn *column, int number)
{
    aid_fits_reply_column *out = &column->out;
    if (!out->name[0])
        snprintf(out->name, sizeof out->name, "col%d", number);
    column->exact = is_exact(table, column);
    out->kind = column->letter == 'A'                    ? AID_COLUMN_TEXT
                : column->letter == 'L' || column->exact ? AID_COLUMN_INT64
                                                         : AID_COLUMN_DOUBLE;
    out->width = column->letter == 'A' ? column->width : 8;
    if (out->kind != AID_COLUMN_DOUBLE)
        out->decimals = 0;
}

static void leave_out(aid_fits_bintable *table, const aid_fits_bincolumn *column)
{
    size_t used = strlen(table->left_out);
    snprintf(table->left_out + used, sizeof table->left_out - used, "%s%.71s (%.20s)",
             used ? ", " : "", column->out.name[0] ? column->out.name : "?", column->form);
}

static aid_status place_columns(aid_fits_bintable *table, aid_error *err)
{
    uint64_t at = 0, row_bytes = 0;
    for (int i = 0; i < table->count; i++) {
        aid_fits_bincolumn *column = &table->columns[i];
        AID_TRY(parse_form(column, i + 1, err));
        column->at = at;
        at += column->width;
    }
    if (at != (uint64_t)table->row_size)
        AID_FAIL(err, AID_ERR_INVALID, "NAXIS1 = %lld, but the columns are %llu bytes wide",
                 (long long)table->row_size, (unsigned long long)at);
    for (int i = 0; i < table->count; i++) {
        aid_fits_bincolumn *column = &table->columns[i];
        if (!column->kept) {
            leave_out(table, column);
            continue;
        }
        describe(table, column, i + 1);
        table->kept++;
        row_bytes += column->out.width;
    }
    if (table->kept == 0)
        AID_FAIL(err, AID_ERR_INVALID, "a table without a column that can be read");
    if (row_bytes > (uint64_t)AID_MAX_TABLE_MEMORY / (uint64_t)AID_MAX(table->rows, 1))
        AID_FAIL(err, AID_ERR_INVALID, "%lld rows of %llu bytes are more than %lld",
                 (long long)table->rows, (unsigned long long)row_bytes, AID_MAX_TABLE_MEMORY);
    return AID_OK;
}

/* The walk over the file has checked NAXISn and PCOUNT, and that so many bytes are there. */
static aid_status read_extent(aid_fits_cards cards, const aid_fits_hdu *hdu,
                              aid_fits_bintable *table, aid_error *err)
{
    int64_t gcount, fields;
    AID_TRY(aid_fits_integer(cards, "GCOUNT", 1, &gcount, err));
    AID_TRY(aid_fits_integer(cards, "TFIELDS", 0, &fields, err));
    if (hdu->bitpix != 8 || hdu->naxis != 2 || gcount != 1)
        AID_FAIL(err, AID_ERR_INVALID, "a binary table with BITPIX %d, NAXIS %d, GCOUNT %lld",
                 hdu->bitpix, hdu->naxis, (long long)gcount);
    if (fields < 1 || fields > AID_MAX_TABLE_COLUMNS)
        AID_FAIL(err, AID_ERR_INVALID, "TFIELDS = %lld is not between 1 and %d", (long long)fields,
                 AID_MAX_TABLE_COLUMNS);
    table->row_size = hdu->axes[0];
    table->rows = hdu->axes[1];
    table->count = (int)fields;
    if (table->rows > AID_MAX_TABLE_ROWS)
        AID_FAIL(err, AID_ERR_INVALID, "%lld rows: there may be %lld", (long long)table->rows,
                 AID_MAX_TABLE_ROWS);
    return AID_OK;
}

aid_status aid_fits_bintable_read(const aid_fits_bytes *bytes, const aid_fits_hdu *hdu,
                                  aid_fits_bintable *ret_table, aid_error *err)
{
    aid_fits_cards cards = aid_fits_hdu_cards(bytes, hdu);
    aid_fits_bintable table = {.data = bytes->data + hdu->data_start};
    AID_TRY(read_extent(cards, hdu, &table, err));
    AID_TRY(
        aid_new_array((size_t)table.count, sizeof *table.columns, "table", &table.columns, err));
    for (int i = 0; i < table.count; i++) {
        table.columns[i].scale = 1.0;
        table.columns[i].out.decimals = -1;
    }
    aid_status status = take_cards(cards, &table, err);
    if (status == AID_OK)
        status = place_columns(&table, err);
    if (status == AID_OK)
        *ret_table = table;
    else
        aid_fits_bintable_done(&table);
    return status;
}

/* ------------------------------------------------------------------------------------------ cells
 */

static double load_real(const uint8_t *at, char letter)
{
    if (letter == 'E') {
        uint32_t bits = (uint32_t)load_whole(at, 'J');
        float value;
        memcpy(&value, &bits, sizeof value);
        return (double)value;
    }
    int64_t bits = load_whole(at, 'K');
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static int64_t integer_at(const aid_fits_bincolumn *column, const uint8_t *at)
{
    if (column->letter == 'L')
        return *at == 'T' ? 1 : *at == 'F' ? 0 : AID_NULL_INT64;
    int64_t stored = load_whole(at, column->letter);
    if (column->has_null && stored == column->null)
        return AID_NULL_INT64;
    return (int64_t)((uint64_t)stored + (uint64_t)column->offset);
}

static double double_at(const aid_fits_bincolumn *column, const uint8_t *at)
{
    bool plain = column->scale == 1.0 && column->zero == 0.0; /* keeps -0 and the bits of a NaN */
    if (column->letter == 'E' || column->letter == 'D') {
        double value = load_real(at, column->letter);
        return plain ? value : column->zero + column->scale * value;
    }
    int64_t stored = load_whole(at, column->letter);
    if (column->has_null && stored == column->null)
        return NAN;
    return column->zero + column->scale * (double)stored;
}

static void fill_column(const aid_fits_bintable *table, const aid_fits_bincolumn *column,
                        uint8_t *to)
{
    for (int64_t row = 0; row < table->rows; row++, to += column->out.width) {
        const uint8_t *at = table->data + row * table->row_size + column->at;
        if (column->out.kind == AID_COLUMN_TEXT) {
            memcpy(to, at, column->width);
        } else if (column->out.kind == AID_COLUMN_INT64) {
            int64_t value = integer_at(column, at);
            memcpy(to, &value, sizeof value);
        } else {
            double value = double_at(column, at);
            memcpy(to, &value, sizeof value);
        }
    }
}

uint64_t aid_fits_bintable_size(const aid_fits_bintable *table)
{
    uint64_t size = 0;
    for (int i = 0; i < table->count; i++)
        if (table->columns[i].kept)
            size +=
                sizeof(aid_fits_reply_column) + (uint64_t)table->rows * table->columns[i].out.width;
    return size;
}

void aid_fits_bintable_fill(const aid_fits_bintable *table, uint8_t *ret_bytes)
{
    uint8_t *to = ret_bytes;
    for (int i = 0; i < table->count; i++)
        if (table->columns[i].kept) {
            memcpy(to, &table->columns[i].out, sizeof table->columns[i].out);
            to += sizeof table->columns[i].out;
        }
    for (int i = 0; i < table->count; i++)
        if (table->columns[i].kept) {
            fill_column(table, &table->columns[i], to);
            to += (uint64_t)table->rows * table->columns[i].out.width;
        }
}
