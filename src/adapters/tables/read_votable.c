/* VOTable 1.1 to 1.5 in: the document through expat, one element at a time. Nothing is fetched: no
 * entity may be declared, and data elsewhere are refused. */
#include "adapters/files/files.h"
#include "adapters/tables/votable_cells.h"
#include "core/base/memory.h"

#include <expat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_DEPTH = 64,
    STEP_BYTES = 1 << 20, /* given to the parser at once */
    MAX_DESCRIPTION = 1024,
    FIRST_ROWS = 256
};

/* Where the parser is. */
typedef enum votable_place {
    OUTSIDE,      /* of any table, or behind the one that was read */
    IN_TABLE,     /* among its fields */
    IN_TABLEDATA, /* rows as text */
    IN_STREAM,    /* rows as bytes */
    DONE
} votable_place;

typedef struct votable_reading {
    const char *path;
    aid_notes *notes;
    XML_Parser parser;
    aid_status status;
    aid_error *err;
    votable_place place;
    int depth;
    /* the fields, and the table that is filled */
    aid_votable_field *fields; /* [AID_MAX_TABLE_COLUMNS] */
    int field_count;
    aid_column *columns; /* [AID_MAX_TABLE_COLUMNS] */
    int column_count;
    aid_table names; /* owns the texts of `columns` until the table does */
    aid_table table;
    bool has_table;
    int64_t capacity; /* rows */
    /* the row or stream at hand */
    int cell;
    bool collects, has_flags, in_field;
    char *text; /* of the element at hand: description, cell, or base64 */
    size_t text_size, text_capacity, text_limit;
    char left_out[160];
} votable_reading;

static void stop(votable_reading *reading, aid_status status)
{
    if (reading->status != AID_OK || status == AID_OK)
        return;
    reading->status = aid_error_prefix(reading->err, status, "%s:%lu", reading->path,
                                       (unsigned long)XML_GetCurrentLineNumber(reading->parser));
    XML_StopParser(reading->parser, XML_FALSE);
}

static void refuse(votable_reading *reading, const char *what)
{
    stop(reading, AID_ERROR(reading->err, AID_ERR_INVALID, "%s", what));
}

static const char *local_name(const char *name)
{
    const char *colon = strrchr(name, ':');
    return colon ? colon + 1 : name;
}

static const char *attribute(const char *const *attributes, const char *name)
{
    for (; *attributes; attributes += 2)
        if (!strcmp(attributes[0], name))
            return attributes[1];
    return NULL;
}

/* ------------------------------------------------------------------------------------------- text
 */

static void collect(votable_reading *reading, size_t limit)
{
    reading->collects = true;
    reading->text_size = 0;
    reading->text_limit = limit;
}

/* Descriptions are cut at their limit; data are not. */
static void take_text(void *context, const char *bytes, int length)
{
    votable_reading *reading = context;
    size_t size = (size_t)length;
    if (!reading->collects || reading->status != AID_OK)
        return;
    if (size > reading->text_limit - reading->text_size) {
        if (reading->text_limit != MAX_DESCRIPTION) {
            refuse(reading, "a cell that is too long");
            return;
        }
        size = reading->text_limit - reading->text_size;
    }
    if (reading->text_size + size >= reading->text_capacity) {
        size_t capacity = 2 * (reading->text_size + size) + 64;
        char *grown = realloc(reading->text, capacity);
        if (!grown) {
            stop(reading, AID_ERROR(reading->err, AID_ERR_NOMEM, "out of memory for a text"));
            return;
        }
        reading->text = grown;
        reading->text_capacity = capacity;
    }
    memcpy(reading->text + reading->text_size, bytes, size);
    reading->text_size += size;
}

static const char *collected(votable_reading *reading)
{
    reading->collects = false;
    if (reading->text_size == 0)
        return "";
    reading->text[reading->text_size] = '\0';
    return reading->text;
}

/* ----------------------------------------------------------------------------------------- fields
 */

static void begin_table(votable_reading *reading, const char *const *attributes)
{
    reading->place = IN_TABLE;
    reading->field_count = reading->column_count = 0;
    reading->left_out[0] = '\0';
    aid_table_done(&reading->names);
    stop(reading, aid_table_own(&reading->names, attribute(attributes, "name"),
                                &reading->names.name, reading->err));
}

static int precision_of(const char *text)
{
    if (!text || (text[0] != 'F' && (text[0] < '0' || text[0] > '9')))
        return -1;
    char *end;
    long decimals = strtol(text + (text[0] == 'F'), &end, 10);
    return !*end && end != text && decimals >= 0 && decimals <= 17 ? (int)decimals : -1;
}

static aid_status describe(votable_reading *reading, const char *name,
                           const char *const *attributes, aid_column *ret_column, aid_error *err)
{
    aid_column column = {.decimals = precision_of(attribute(attributes, "precision"))};
    AID_TRY(aid_table_own(&reading->names, name, &column.name, err));
    AID_TRY(aid_table_own(&reading->names, attribute(attributes, "unit"), &column.unit, err));
    AID_TRY(aid_table_own(&reading->names, attribute(attributes, "ucd"), &column.ucd, err));
    *ret_column = column;
    return AID_OK;
}

static void leave_out(votable_reading *reading, const char *name)
{
    size_t used = strlen(reading->left_out);
    snprintf(reading->left_out + used, sizeof reading->left_out - used, "%s%s", used ? ", " : "",
             name);
}

static void begin_field(votable_reading *reading, const char *const *attributes)
{
    const char *name = attribute(attributes, "name");
    if (!name)
        name = attribute(attributes, "ID");
    if (!name || !*name) {
        refuse(reading, "a FIELD without a name");
        return;
    }
    if (reading->field_count == AID_MAX_TABLE_COLUMNS) {
        refuse(reading, "too many FIELDs");
        return;
    }
    aid_votable_field *field = &reading->fields[reading->field_count];
    if (!aid_votable_field_init(attribute(attributes, "datatype"),
                                attribute(attributes, "arraysize"), field)) {
        refuse(reading, "a FIELD whose datatype and arraysize are none");
        return;
    }
    reading->field_count++;
    reading->in_field = true;
    aid_column column;
    aid_status status = describe(reading, name, attributes, &column, reading->err);
    stop(reading, status);
    if (status != AID_OK)
        return;
    if (aid_votable_field_kind(field, &column.kind)) {
        field->column = reading->column_count;
        reading->columns[reading->column_count++] = column;
    } else {
        leave_out(reading, name);
    }
}

static void take_null(votable_reading *reading, const char *text)
{
    aid_votable_field *field = &reading->fields[reading->field_count - 1];
    char *end;
    if (!text || !*text)
        return;
    field->null = strtoll(text, &end, 0);
    field->has_null = !*end;
}

static void take_description(votable_reading *reading)
{
    const char *text = collected(reading);
    const char **place = &reading->names.description;
    if (reading->in_field) {
        int column = reading->fields[reading->field_count - 1].column;
        if (column < 0)
            return;
        place = &reading->columns[column].description;
    }
    if (*text)
        stop(reading, aid_table_own(&reading->names, text, place, reading->err));
}

/* ------------------------------------------------------------------------------------------- rows
 */

static void begin_data(votable_reading *reading)
{
    aid_status status =
        aid_table_init(reading->names.name, reading->names.description, reading->columns,
                       reading->column_count, 0, &reading->table, reading->err);
    reading->has_table = status == AID_OK;
    reading->capacity = 0;
    if (status == AID_OK)
        status = aid_table_own_names(&reading->table, reading->err);
    stop(reading, status);
    if (status == AID_OK && reading->column_count == 0)
        refuse(reading, "a table without a column that can be read");
}

/* Room for one row more, with nothing in it. */
static aid_status add_row(votable_reading *reading, aid_error *err)
{
    aid_table *table = &reading->table;
    if (table->rows == AID_MAX_TABLE_ROWS)
        AID_FAIL(err, AID_ERR_INVALID, "more than %lld rows", AID_MAX_TABLE_ROWS);
    if (table->rows == reading->capacity) {
        int64_t capacity = AID_MAX(FIRST_ROWS, 2 * reading->capacity);
        AID_TRY(aid_table_reserve(table, capacity, err));
        reading->capacity = capacity;
    }
    aid_table_add_null_row(table);
    return AID_OK;
}

static void take_cell(votable_reading *reading)
{
    const char *text = collected(reading);
    int cell = reading->cell++;
    if (cell >= reading->field_count) {
        refuse(reading, "a row of more cells than there are FIELDs");
        return;
    }
    const aid_votable_field *field = &reading->fields[cell];
    if (field->column >= 0)
        stop(reading,
             aid_votable_cell(&reading->table, field, reading->table.rows - 1, text, reading->err));
}

/* ----------------------------------------------------------------------------------------- stream
 */

static int base64_digit(char letter)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *found = letter ? strchr(digits, letter) : NULL;
    return found ? (int)(found - digits) : -1;
}

/* In place; blanks between the digits mean nothing. false: other characters. */
static bool decode_base64(char *text, size_t size, size_t *ret_size)
{
    uint32_t bits = 0;
    int held = 0;
    size_t to = 0, at = 0;
    for (; at < size && text[at] != '='; at++) {
        int digit = base64_digit(text[at]);
        if (digit < 0 && !strchr(" \t\r\n", text[at]))
            return false;
        if (digit < 0)
            continue;
        bits = (bits << 6 | (uint32_t)digit) & 0xffffff;
        held += 6;
        if (held >= 8) {
            held -= 8;
            text[to++] = (char)(bits >> held & 0xff);
        }
    }
    for (; at < size; at++)
        if (text[at] != '=' && !strchr(" \t\r\n", text[at]))
            return false;
    *ret_size = to;
    return true;
}

static void begin_stream(votable_reading *reading, const char *const *attributes)
{
    const char *encoding = attribute(attributes, "encoding");
    if (attribute(attributes, "href"))
        refuse(reading, "the data are elsewhere, and are not fetched");
    else if (!encoding || strcmp(encoding, "base64") != 0)
        refuse(reading, "a STREAM that is not base64");
    else
        collect(reading, (size_t)AID_MAX_TABLE_BYTES);
}

static aid_status take_rows(votable_reading *reading, const unsigned char *bytes, size_t size,
                            aid_error *err)
{
    const unsigned char *at = bytes, *end = bytes + size;
    while (at < end) {
        const unsigned char *before = at;
        AID_TRY(add_row(reading, err));
        AID_TRY(aid_votable_row(&reading->table, reading->fields, reading->field_count,
                                reading->has_flags, reading->table.rows - 1, &at, end, err));
        if (at == before)
            AID_FAIL(err, AID_ERR_INVALID, "rows without a byte");
    }
    return AID_OK;
}

static void end_stream(votable_reading *reading)
{
    size_t size = 0;
    (void)collected(reading);
    if (reading->text_size && !decode_base64(reading->text, reading->text_size, &size))
        refuse(reading, "a STREAM that is not base64");
    else if (size)
        stop(reading, take_rows(reading, (const unsigned char *)reading->text, size, reading->err));
}

/* --------------------------------------------------------------------------------------- elements
 */

static void begin_in_table(votable_reading *reading, const char *name,
                           const char *const *attributes)
{
    if (!strcmp(name, "FIELD")) {
        begin_field(reading, attributes);
    } else if (!strcmp(name, "VALUES") && reading->in_field) {
        take_null(reading, attribute(attributes, "null"));
    } else if (!strcmp(name, "DESCRIPTION")) {
        collect(reading, MAX_DESCRIPTION);
    } else if (!strcmp(name, "TABLEDATA")) {
        reading->place = IN_TABLEDATA;
        begin_data(reading);
    } else if (!strcmp(name, "BINARY") || !strcmp(name, "BINARY2")) {
        reading->place = IN_STREAM;
        reading->has_flags = name[6] != '\0';
        begin_data(reading);
    } else if (!strcmp(name, "FITS")) {
        refuse(reading, "a FITS file within a VOTable");
    }
}

static void begin_element(void *context, const char *full_name, const char **attributes)
{
    votable_reading *reading = context;
    const char *name = local_name(full_name);
    if (reading->status != AID_OK)
        return;
    if (++reading->depth > MAX_DEPTH) {
        refuse(reading, "elements within elements without end");
        return;
    }
    if (reading->depth == 1 && strcmp(name, "VOTABLE") != 0)
        refuse(reading, "no VOTable");
    else if (reading->place == OUTSIDE && !strcmp(name, "TABLE"))
        begin_table(reading, (const char *const *)attributes);
    else if (reading->place == IN_TABLE)
        begin_in_table(reading, name, (const char *const *)attributes);
    else if (reading->place == IN_STREAM && !strcmp(name, "STREAM"))
        begin_stream(reading, (const char *const *)attributes);
    else if (reading->place == IN_TABLEDATA && !strcmp(name, "TR")) {
        reading->cell = 0;
        stop(reading, add_row(reading, reading->err));
    } else if (reading->place == IN_TABLEDATA && !strcmp(name, "TD")) {
        if (reading->table.rows == 0)
            refuse(reading, "a TD outside of a TR");
        else
            collect(reading, AID_MAX_TABLE_CELL);
    }
}

static void end_in_table(votable_reading *reading, const char *name)
{
    if (!strcmp(name, "FIELD"))
        reading->in_field = false;
    else if (!strcmp(name, "DESCRIPTION") && reading->collects)
        take_description(reading);
    else if (!strcmp(name, "TABLE"))
        reading->place = OUTSIDE; /* it had no data: the next one may */
}

static void end_element(void *context, const char *full_name)
{
    votable_reading *reading = context;
    const char *name = local_name(full_name);
    if (reading->status != AID_OK)
        return;
    reading->depth--;
    if (reading->place == IN_TABLE)
        end_in_table(reading, name);
    else if (reading->place == IN_TABLEDATA && !strcmp(name, "TD") && reading->collects)
        take_cell(reading);
    else if (reading->place == IN_TABLEDATA && !strcmp(name, "TR")) {
        if (reading->cell != reading->field_count)
            refuse(reading, "a row of fewer cells than there are FIELDs");
    } else if (reading->place == IN_TABLEDATA && !strcmp(name, "TABLEDATA"))
        reading->place = DONE;
    else if (reading->place == IN_STREAM && !strcmp(name, "STREAM") && reading->collects) {
        end_stream(reading);
        reading->place = DONE;
    }
}

static void refuse_entity(void *context, const char *name, int is_parameter, const char *value,
                          int length, const char *base, const char *system, const char *public_id,
                          const char *notation)
{
    (void)name, (void)is_parameter, (void)value, (void)length;
    (void)base, (void)system, (void)public_id, (void)notation;
    refuse(context, "a document that declares entities");
}

static void refuse_doctype(void *context, const char *name, const char *system,
                           const char *public_id, int has_internal_subset)
{
    (void)name, (void)system, (void)public_id;
    if (has_internal_subset)
        refuse(context, "a document that declares a type of its own");
}

/* ------------------------------------------------------------------------------------------ whole
 */

static aid_status run_parser(votable_reading *reading, const char *text, size_t size,
                             aid_error *err)
{
    for (size_t at = 0; at < size || at == 0;) {
        size_t step = AID_MIN(size - at, (size_t)STEP_BYTES);
        bool last = at + step == size;
        if (XML_Parse(reading->parser, text + at, (int)step, last) != XML_STATUS_OK) {
            AID_TRY(reading->status);
            enum XML_Error why = XML_GetErrorCode(reading->parser);
            AID_FAIL(err, why == XML_ERROR_NO_MEMORY ? AID_ERR_NOMEM : AID_ERR_INVALID,
                     "%s:%lu: %s", reading->path,
                     (unsigned long)XML_GetCurrentLineNumber(reading->parser),
                     XML_ErrorString(why));
        }
        at += step;
        if (last)
            break;
    }
    AID_TRY(reading->status);
    if (!reading->has_table)
        AID_FAIL(err, AID_ERR_INVALID, "%s: no TABLE with data in it", reading->path);
    return AID_OK;
}

static aid_status parse(votable_reading *reading, const char *text, size_t size, aid_error *err)
{
    reading->parser = XML_ParserCreate(NULL);
    if (!reading->parser)
        AID_FAIL(err, AID_ERR_NOMEM, "%s: out of memory for XML", reading->path);
    XML_SetUserData(reading->parser, reading);
    XML_SetElementHandler(reading->parser, begin_element, end_element);
    XML_SetCharacterDataHandler(reading->parser, take_text);
    XML_SetEntityDeclHandler(reading->parser, refuse_entity);
    XML_SetStartDoctypeDeclHandler(reading->parser, refuse_doctype);
    aid_status status = run_parser(reading, text, size, err);
    XML_ParserFree(reading->parser);
    return status;
}

aid_status aid_table_parse_votable(const char *path, const char *text, size_t size,
                                   aid_notes *notes, aid_table *ret_table, aid_error *err)
{
    AID_CLEANUP(aid_free_pointer)
    aid_votable_field *fields = NULL;
    AID_CLEANUP(aid_free_pointer)
    aid_column *columns = NULL;
    aid_error why;
    AID_TRY(aid_new_array(AID_MAX_TABLE_COLUMNS, sizeof *fields, path, &fields, err));
    AID_TRY(aid_new_array(AID_MAX_TABLE_COLUMNS, sizeof *columns, path, &columns, err));
    votable_reading reading = {.path = path,
                               .notes = notes,
                               .err = err ? err : &why,
                               .fields = fields,
                               .columns = columns};
    aid_status status = parse(&reading, text, size, err);
    free(reading.text);
    aid_table_done(&reading.names);
    if (status != AID_OK) {
        aid_table_done(&reading.table);
        return status;
    }
    if (reading.left_out[0])
        aid_note_add(notes, "table", "%s: columns left out: %s", path, reading.left_out);
    *ret_table = reading.table;
    return AID_OK;
}

aid_status aid_table_read_votable(const char *path, aid_notes *notes, aid_table *ret_table,
                                  aid_error *err)
{
    AID_CLEANUP(aid_free_pointer)
    char *text = NULL;
    size_t size = 0;
    AID_TRY(aid_read_file(path, (size_t)AID_MAX_TABLE_BYTES, &text, &size, err));
    return aid_table_parse_votable(path, text, size, notes, ret_table, err);
}
