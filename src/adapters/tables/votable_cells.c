#include "adapters/tables/votable_cells.h"

#include "adapters/tables/read_text.h"
#include "core/base/memory.h"
#include "core/base/text.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Table 2 of VOTable 1.4, and bytes of an element in a stream (of a bit: an eighth). */
static const struct {
    const char *name;
    int bytes;
} types[] = {[AID_VOTABLE_BOOLEAN] = {"boolean", 1},
             [AID_VOTABLE_BIT] = {"bit", 0},
             [AID_VOTABLE_UNSIGNED_BYTE] = {"unsignedByte", 1},
             [AID_VOTABLE_SHORT] = {"short", 2},
             [AID_VOTABLE_INT] = {"int", 4},
             [AID_VOTABLE_LONG] = {"long", 8},
             [AID_VOTABLE_CHAR] = {"char", 1},
             [AID_VOTABLE_UNICODE] = {"unicodeChar", 2},
             [AID_VOTABLE_FLOAT] = {"float", 4},
             [AID_VOTABLE_DOUBLE] = {"double", 8},
             [AID_VOTABLE_FLOAT_COMPLEX] = {"floatComplex", 8},
             [AID_VOTABLE_DOUBLE_COMPLEX] = {"doubleComplex", 16}};

/* -------------------------------------------------------------------------------- what a field is
 */

/* "8", "*", "8*", "4x3", "4x*": every dimension but the last is a number. */
static bool parse_size(const char *text, aid_votable_field *field)
{
    field->elements = 1;
    for (;;) {
        char *end;
        errno = 0;
        long long length = isdigit((unsigned char)*text) ? strtoll(text, &end, 10) : 1;
        if (!isdigit((unsigned char)*text))
            end = (char *)text;
        if (errno || length < 0 || (end == text && *text != '*'))
            return false;
        if (__builtin_mul_overflow(field->elements, length, &field->elements) ||
            field->elements > AID_MAX_TABLE_BYTES)
            return false;
        field->variable = *end == '*';
        if (field->variable)
            return end[1] == '\0';
        if (!*end)
            return true;
        if (*end != 'x')
            return false;
        field->matrix = true;
        text = end + 1;
    }
}

bool aid_votable_field_init(const char *datatype, const char *arraysize,
                            aid_votable_field *ret_field)
{
    aid_votable_field field = {.elements = 1, .column = -1};
    if (!datatype || (arraysize && *arraysize && !parse_size(arraysize, &field)))
        return false;
    for (size_t i = 0; i < AID_COUNT_OF(types); i++)
        if (!strcmp(datatype, types[i].name)) {
            field.type = (aid_votable_type)i;
            *ret_field = field;
            return true;
        }
    return false;
}

bool aid_votable_field_kind(const aid_votable_field *field, aid_column_kind *ret_kind)
{
    bool single = !field->variable && field->elements == 1;
    switch (field->type) {
    case AID_VOTABLE_CHAR:
    case AID_VOTABLE_UNICODE:
        *ret_kind = AID_COLUMN_TEXT;
        return !field->matrix;
    case AID_VOTABLE_FLOAT:
    case AID_VOTABLE_DOUBLE:
        *ret_kind = AID_COLUMN_DOUBLE;
        return single;
    case AID_VOTABLE_BOOLEAN:
    case AID_VOTABLE_BIT: /* astropy writes logical columns so */
    case AID_VOTABLE_UNSIGNED_BYTE:
    case AID_VOTABLE_SHORT:
    case AID_VOTABLE_INT:
    case AID_VOTABLE_LONG:
        *ret_kind = AID_COLUMN_INT64;
        return single;
    case AID_VOTABLE_FLOAT_COMPLEX:
    case AID_VOTABLE_DOUBLE_COMPLEX:
        break;
    }
    return false;
}

/* -------------------------------------------------------------------------------------- from text
 */

/* T, F, true, false, 1, 0; anything else is null, as section 6 has it of '?' and blanks. */
static int64_t boolean_of(char letter)
{
    return letter == 'T' || letter == 't' || letter == '1'   ? 1
           : letter == 'F' || letter == 'f' || letter == '0' ? 0
                                                             : AID_NULL_INT64;
}

static bool parse_whole(const char *text, int64_t *ret_value)
{
    char *end;
    errno = 0;
    bool hexadecimal = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
    long long value = strtoll(text, &end, hexadecimal ? 16 : 10);
    if (end == text || *end || errno)
        return false;
    *ret_value = value;
    return true;
}

static aid_status put_number(aid_table *table, const aid_votable_field *field, int64_t row,
                             const char *text, aid_error *err)
{
    aid_column *column = &table->items[field->column];
    bool good;
    if (field->type == AID_VOTABLE_BOOLEAN) {
        column->values.integers[row] = boolean_of(*text);
        return AID_OK;
    }
    if (column->kind == AID_COLUMN_DOUBLE) {
        good = aid_text_number(text, &column->values.doubles[row]);
    } else {
        int64_t *value = &column->values.integers[row];
        good = parse_whole(text, value);
        if (good && field->has_null && *value == field->null)
            *value = AID_NULL_INT64;
    }
    if (!good)
        AID_FAIL(err, AID_ERR_INVALID, "`%.40s` in column `%.60s` is no %s", text, column->name,
                 types[field->type].name);
    return AID_OK;
}

aid_status aid_votable_cell(aid_table *table, const aid_votable_field *field, int64_t row,
                            const char *text, aid_error *err)
{
    if (table->items[field->column].kind == AID_COLUMN_TEXT)
        return *text ? aid_table_set_text(table, field->column, row, text, err) : AID_OK;
    char word[64];
    text += strspn(text, " \t\r\n");
    size_t length = strlen(text);
    while (length > 0 && isspace((unsigned char)text[length - 1]))
        length--;
    if (length == 0)
        return AID_OK;
    snprintf(word, sizeof word, "%.*s", (int)AID_MIN(length, sizeof word), text);
    return put_number(table, field, row, word, err);
}

/* ------------------------------------------------------------------------------------- from bytes
 */

static uint64_t load(const unsigned char *at, int bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++)
        value = value << 8 | at[i];
    return value;
}

static int64_t whole_of(const aid_votable_field *field, const unsigned char *at)
{
    uint64_t bits = load(at, types[field->type].bytes);
    switch (field->type) {
    case AID_VOTABLE_BOOLEAN:
        return boolean_of((char)*at);
    case AID_VOTABLE_BIT:
        return *at != 0;
    case AID_VOTABLE_SHORT:
        return (int16_t)bits;
    case AID_VOTABLE_INT:
        return (int32_t)bits;
    default:
        return (int64_t)bits;
    }
}

static double real_of(const aid_votable_field *field, const unsigned char *at)
{
    uint64_t bits = load(at, types[field->type].bytes);
    if (field->type == AID_VOTABLE_FLOAT) {
        uint32_t half = (uint32_t)bits;
        float single;
        memcpy(&single, &half, sizeof single);
        return (double)single;
    }
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Up to a NUL; two bytes a character are UCS-2, of which surrogates are no characters. */
static aid_status put_text(aid_table *table, const aid_votable_field *field, int64_t row,
                           const unsigned char *at, int64_t elements, aid_error *err)
{
    if (elements > AID_MAX_TABLE_CELL)
        AID_FAIL(err, AID_ERR_INVALID, "a text of more than %d characters", AID_MAX_TABLE_CELL);
    AID_CLEANUP(aid_free_pointer)
    char *text = NULL;
    AID_TRY(aid_new_buffer((size_t)elements * 3 + 1, 1, "table", &text, err));
    char *to = text;
    int bytes = types[field->type].bytes;
    for (int64_t i = 0; i < elements; i++) {
        uint32_t character = (uint32_t)load(at + i * bytes, bytes);
        if (character == 0)
            break;
        bool surrogate = character >= 0xd800 && character < 0xe000;
        if (bytes == 1)
            *to++ = (char)character;
        else
            to += aid_utf8_put(surrogate ? AID_REPLACEMENT_CHARACTER : character, to);
    }
    *to = '\0';
    return *text ? aid_table_set_text(table, field->column, row, text, err) : AID_OK;
}

static aid_status put_bytes(aid_table *table, const aid_votable_field *field, int64_t row,
                            const unsigned char *at, int64_t elements, aid_error *err)
{
    aid_column *column = &table->items[field->column];
    switch (column->kind) {
    case AID_COLUMN_TEXT:
        return put_text(table, field, row, at, elements, err);
    case AID_COLUMN_DOUBLE:
        column->values.doubles[row] = real_of(field, at);
        return AID_OK;
    case AID_COLUMN_INT64:
        break;
    }
    int64_t value = whole_of(field, at);
    bool null = field->has_null && value == field->null;
    column->values.integers[row] = null ? AID_NULL_INT64 : value;
    return AID_OK;
}

/* How many elements of the field stand at *at, and how many bytes they are. */
static aid_status measure(const aid_votable_field *field, const unsigned char **at,
                          const unsigned char *end, int64_t *ret_elements, int64_t *ret_bytes,
                          aid_error *err)
{
    int64_t elements = field->elements;
    if (field->variable) {
        if (end - *at < 4)
            AID_FAIL(err, AID_ERR_INVALID, "the stream ends early");
        elements = (int64_t)load(*at, 4);
        *at += 4;
    }
    int64_t bytes =
        field->type == AID_VOTABLE_BIT ? (elements + 7) / 8 : elements * types[field->type].bytes;
    if (elements > AID_MAX_TABLE_BYTES || bytes > end - *at)
        AID_FAIL(err, AID_ERR_INVALID, "the stream ends early");
    *ret_elements = elements;
    *ret_bytes = bytes;
    return AID_OK;
}

aid_status aid_votable_row(aid_table *table, const aid_votable_field *fields, int count,
                           bool has_flags, int64_t row, const unsigned char **at,
                           const unsigned char *end, aid_error *err)
{
    const unsigned char *flags = *at;
    int flag_bytes = has_flags ? (count + 7) / 8 : 0;
    if (end - *at < flag_bytes)
        AID_FAIL(err, AID_ERR_INVALID, "the stream ends early");
    *at += flag_bytes;
    for (int i = 0; i < count; i++) {
        int64_t elements = 0, bytes = 0;
        AID_TRY(measure(&fields[i], at, end, &elements, &bytes, err));
        bool null = has_flags && (flags[i / 8] & (0x80 >> (i % 8)));
        if (!null && fields[i].column >= 0)
            AID_TRY(put_bytes(table, &fields[i], row, *at, elements, err));
        *at += bytes;
    }
    return AID_OK;
}
