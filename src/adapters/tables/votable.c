/* VOTable 1.4 (IVOA Recommendation of 2019-10-21), serialised as TABLEDATA. */
#include "adapters/tables/whole_file.h"

#include "core/base/text.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>

/* XML 1.0, production 2: other characters may not stand in a document, not even escaped. */
static bool is_xml_character(uint32_t character)
{
    return character == '\t' || character == '\n' || character == '\r' ||
           (character >= 0x20 && character != 0xfffe && character != 0xffff);
}

static void put_character(FILE *stream, uint32_t character)
{
    char bytes[4];
    switch (character) {
    case '&':
        fputs("&amp;", stream);
        return;
    case '<':
        fputs("&lt;", stream);
        return;
    case '>':
        fputs("&gt;", stream);
        return;
    case '"':
        fputs("&quot;", stream);
        return;
    case '\t': /* a parser makes blanks of these in attributes, and \n of \r everywhere */
    case '\n':
    case '\r':
        fprintf(stream, "&#%u;", (unsigned)character);
        return;
    default:
        character = is_xml_character(character) ? character : AID_REPLACEMENT_CHARACTER;
        fwrite(bytes, 1, (size_t)aid_utf8_put(character, bytes), stream);
    }
}

static void put_text(FILE *stream, const char *text)
{
    for (uint32_t character; (character = aid_utf8_next(&text)) != 0;)
        put_character(stream, character);
}

static void put_attribute(FILE *stream, const char *name, const char *value)
{
    if (!value || !*value)
        return;
    fprintf(stream, " %s=\"", name);
    put_text(stream, value);
    putc('"', stream);
}

static void put_description(FILE *stream, const char *indent, const char *description)
{
    if (!description || !*description)
        return;
    fprintf(stream, "%s<DESCRIPTION>", indent);
    put_text(stream, description);
    fputs("</DESCRIPTION>\n", stream);
}

/* Section 2.1: char holds ASCII, anything else needs unicodeChar. */
static bool is_ascii(const aid_column *column, int64_t rows)
{
    for (int64_t row = 0; row < rows; row++) {
        const char *text = column->values.texts[row];
        for (; text && *text; text++)
            if ((unsigned char)*text >= 0x80 || !is_xml_character((unsigned char)*text))
                return false;
    }
    return true;
}

static void put_type(FILE *stream, const aid_column *column, int64_t rows)
{
    switch (column->kind) {
    case AID_COLUMN_INT64:
        fputs(" datatype=\"long\"", stream);
        return;
    case AID_COLUMN_DOUBLE:
        fputs(" datatype=\"double\"", stream);
        if (column->decimals > 0) /* the schema has no F0 */
            fprintf(stream, " precision=\"F%d\"", column->decimals);
        return;
    case AID_COLUMN_TEXT:
        fprintf(stream, " datatype=\"%s\" arraysize=\"*\"",
                is_ascii(column, rows) ? "char" : "unicodeChar");
        return;
    }
}

static void put_field(FILE *stream, const aid_column *column, int64_t rows)
{
    fputs("      <FIELD", stream);
    put_attribute(stream, "name", column->name);
    put_type(stream, column, rows);
    put_attribute(stream, "unit", column->unit);
    put_attribute(stream, "ucd", column->ucd);
    if (!column->description || !*column->description) {
        fputs("/>\n", stream);
        return;
    }
    fputs(">\n", stream);
    put_description(stream, "        ", column->description);
    fputs("      </FIELD>\n", stream);
}

/* Section 6: an empty cell of a floating-point column is a null; infinities carry their sign. */
static void put_double(FILE *stream, double value, int decimals)
{
    char text[AID_DOUBLE_TEXT];
    if (isnan(value))
        return;
    if (isinf(value)) {
        fputs(value > 0 ? "+Inf" : "-Inf", stream);
        return;
    }
    aid_double_text(value, decimals, text);
    fputs(text, stream);
}

static void put_cell(FILE *stream, const aid_column *column, int64_t row)
{
    fputs("<TD>", stream);
    switch (column->kind) {
    case AID_COLUMN_INT64:
        if (column->values.integers[row] != AID_NULL_INT64)
            fprintf(stream, "%" PRId64, column->values.integers[row]);
        break;
    case AID_COLUMN_DOUBLE:
        put_double(stream, column->values.doubles[row], column->decimals);
        break;
    case AID_COLUMN_TEXT:
        if (column->values.texts[row])
            put_text(stream, column->values.texts[row]);
        break;
    }
    fputs("</TD>", stream);
}

static void write_votable(const aid_table *table, FILE *stream)
{
    fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
          "<VOTABLE version=\"1.4\" xmlns=\"http://www.ivoa.net/xml/VOTable/v1.3\">\n"
          "  <RESOURCE>\n    <TABLE",
          stream);
    put_attribute(stream, "name", table->name);
    fprintf(stream, " nrows=\"%" PRId64 "\">\n", table->rows);
    put_description(stream, "      ", table->description);
    for (int i = 0; i < table->columns; i++)
        put_field(stream, &table->items[i], table->rows);
    fputs("      <DATA>\n        <TABLEDATA>\n", stream);
    for (int64_t row = 0; row < table->rows; row++) {
        fputs("          <TR>", stream);
        for (int i = 0; i < table->columns; i++)
            put_cell(stream, &table->items[i], row);
        fputs("</TR>\n", stream);
    }
    fputs("        </TABLEDATA>\n      </DATA>\n    </TABLE>\n  </RESOURCE>\n</VOTABLE>\n", stream);
}

aid_status aid_table_write_votable(const aid_table *table, const char *path, aid_error *err)
{
    return aid_table_write_whole(table, path, write_votable, err);
}
