/* Comma-separated values as in RFC 4180, with lines that end in a line feed alone. */
#include "adapters/tables/whole_file.h"

#include "core/base/text.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

/* A spreadsheet runs a cell that begins like this as a formula, quoted or not; names in headers
 * come from outside. */
static bool looks_like_formula(const char *text)
{
    return *text && strchr("=+-@\t\r", *text);
}

static void put_text(FILE *stream, const char *text)
{
    bool formula = looks_like_formula(text);
    bool quoted = formula || strpbrk(text, ",\"\r\n") || *text == ' ';
    if (quoted)
        putc('"', stream);
    if (formula)
        putc('\'', stream);
    for (uint32_t character; (character = aid_utf8_next(&text)) != 0;) {
        char bytes[4];
        if (character == '"')
            putc('"', stream);
        fwrite(bytes, 1, (size_t)aid_utf8_put(character, bytes), stream);
    }
    if (quoted)
        putc('"', stream);
}

static void put_double(FILE *stream, double value, int decimals)
{
    char text[AID_DOUBLE_TEXT];
    if (isnan(value))
        return;
    aid_double_text(value, decimals, text);
    fputs(text, stream);
}

static void put_cell(FILE *stream, const aid_column *column, int64_t row)
{
    switch (column->kind) {
    case AID_COLUMN_INT64:
        if (column->values.integers[row] != AID_NULL_INT64)
            fprintf(stream, "%" PRId64, column->values.integers[row]);
        return;
    case AID_COLUMN_DOUBLE:
        put_double(stream, column->values.doubles[row], column->decimals);
        return;
    case AID_COLUMN_TEXT:
        if (column->values.texts[row])
            put_text(stream, column->values.texts[row]);
        return;
    }
}

static void write_csv(const aid_table *table, FILE *stream)
{
    for (int i = 0; i < table->columns; i++) {
        if (i > 0)
            putc(',', stream);
        put_text(stream, table->items[i].name);
    }
    putc('\n', stream);
    for (int64_t row = 0; row < table->rows; row++) {
        for (int i = 0; i < table->columns; i++) {
            if (i > 0)
                putc(',', stream);
            put_cell(stream, &table->items[i], row);
        }
        putc('\n', stream);
    }
}

aid_status aid_table_write_csv(const aid_table *table, const char *path, aid_error *err)
{
    return aid_table_write_whole(table, path, write_csv, err);
}
