/* A table from JSON: {"columns": [...], "rows": [{...}, ...]} as aid_table_write_json makes it, or
 * the array of objects alone. */
#include "adapters/files/files.h"
#include "adapters/tables/table.h"
#include "core/base/memory.h"
#include "core/base/text.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct json_reading {
    const char *path;
    const json_t *rows, *described; /* arrays; `described` NULL: nothing is said about columns */
    json_t *indices;                /* name -> index in `columns` */
    aid_column *columns;            /* [AID_MAX_TABLE_COLUMNS]; names borrowed from the document */
    bool *seen;                     /* whether the kind of each is known from a value */
    int column_count;
} json_reading;

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text && *text ? text : NULL;
}

/* ---------------------------------------------------------------------------------------- columns
 */

static aid_status add_column(json_reading *reading, const char *name, int *ret_index,
                             aid_error *err)
{
    const json_t *known = json_object_get(reading->indices, name);
    if (known) {
        *ret_index = (int)json_integer_value(known);
        return AID_OK;
    }
    if (reading->column_count == AID_MAX_TABLE_COLUMNS)
        AID_FAIL(err, AID_ERR_INVALID, "%s: more than %d columns", reading->path,
                 AID_MAX_TABLE_COLUMNS);
    if (!*name)
        AID_FAIL(err, AID_ERR_INVALID, "%s: a column without a name", reading->path);
    int index = reading->column_count;
    if (json_object_set_new(reading->indices, name, json_integer(index)) != 0)
        AID_FAIL(err, AID_ERR_NOMEM, "%s: out of memory for columns", reading->path);
    reading->columns[index] = (aid_column){.name = name, .kind = AID_COLUMN_DOUBLE, .decimals = -1};
    reading->column_count++;
    *ret_index = index;
    return AID_OK;
}

static aid_column_kind kind_named(const char *name)
{
    if (name && !strcmp(name, "integer"))
        return AID_COLUMN_INT64;
    return name && !strcmp(name, "text") ? AID_COLUMN_TEXT : AID_COLUMN_DOUBLE;
}

static aid_status take_described(json_reading *reading, aid_error *err)
{
    for (size_t i = 0; i < json_array_size(reading->described); i++) {
        const json_t *item = json_array_get(reading->described, i);
        const char *name = text_of(item, "name");
        int index;
        if (!name)
            AID_FAIL(err, AID_ERR_INVALID, "%s: column %zu has no name", reading->path, i + 1);
        AID_TRY(add_column(reading, name, &index, err));
        aid_column *column = &reading->columns[index];
        column->unit = text_of(item, "unit");
        column->ucd = text_of(item, "ucd");
        column->description = text_of(item, "description");
        column->kind = kind_named(text_of(item, "datatype"));
    }
    return AID_OK;
}

/* Whole numbers give way to fractions, and both to text. */
static aid_column_kind kind_with(aid_column_kind kind, bool seen, const json_t *value)
{
    aid_column_kind needed = json_is_string(value) ? AID_COLUMN_TEXT
                             : json_is_real(value) ? AID_COLUMN_DOUBLE
                                                   : AID_COLUMN_INT64;
    if (!seen || kind == needed)
        return needed;
    bool text = kind == AID_COLUMN_TEXT || needed == AID_COLUMN_TEXT;
    return text ? AID_COLUMN_TEXT : AID_COLUMN_DOUBLE;
}

static aid_status take_kinds(json_reading *reading, size_t row, aid_error *err)
{
    const json_t *object = json_array_get(reading->rows, row), *value;
    const char *name;
    if (!json_is_object(object))
        AID_FAIL(err, AID_ERR_INVALID, "%s: row %zu is no object", reading->path, row + 1);
    json_object_foreach((json_t *)object, name, value)
    {
        int index;
        if (json_is_array(value) || json_is_object(value))
            AID_FAIL(err, AID_ERR_INVALID, "%s: row %zu: `%.60s` is no single value", reading->path,
                     row + 1, name);
        if (json_string_length(value) > AID_MAX_TABLE_CELL)
            AID_FAIL(err, AID_ERR_INVALID, "%s: row %zu: `%.60s` has more than %d bytes",
                     reading->path, row + 1, name, AID_MAX_TABLE_CELL);
        AID_TRY(add_column(reading, name, &index, err));
        if (json_is_null(value))
            continue;
        aid_column *column = &reading->columns[index];
        column->kind = kind_with(column->kind, reading->seen[index], value);
        reading->seen[index] = true;
    }
    return AID_OK;
}

/* ----------------------------------------------------------------------------------------- values
 */

static aid_status put_as_text(aid_table *table, int column, int64_t row, const json_t *value,
                              aid_error *err)
{
    char number[AID_DOUBLE_TEXT];
    if (json_is_string(value))
        return aid_table_set_text(table, column, row, json_string_value(value), err);
    if (json_is_real(value))
        aid_double_text(json_real_value(value), -1, number);
    else if (json_is_integer(value))
        snprintf(number, sizeof number, "%lld", (long long)json_integer_value(value));
    else
        snprintf(number, sizeof number, "%s", json_is_true(value) ? "true" : "false");
    return aid_table_set_text(table, column, row, number, err);
}

static aid_status fill_cell(aid_table *table, int column, int64_t row, const json_t *value,
                            aid_error *err)
{
    aid_column *item = &table->items[column];
    bool null = !value || json_is_null(value);
    switch (item->kind) {
    case AID_COLUMN_INT64:
        item->values.integers[row] = null                     ? AID_NULL_INT64
                                     : json_is_integer(value) ? json_integer_value(value)
                                                              : json_is_true(value);
        return AID_OK;
    case AID_COLUMN_DOUBLE:
        item->values.doubles[row] = null                   ? NAN
                                    : json_is_true(value)  ? 1.0
                                    : json_is_false(value) ? 0.0
                                                           : json_number_value(value);
        return AID_OK;
    case AID_COLUMN_TEXT:
        break;
    }
    return null ? AID_OK : put_as_text(table, column, row, value, err);
}

static aid_status fill(const json_reading *reading, aid_table *table, aid_error *err)
{
    AID_TRY(aid_table_own_names(table, err));
    for (int64_t row = 0; row < table->rows; row++) {
        const json_t *object = json_array_get(reading->rows, (size_t)row);
        for (int i = 0; i < table->columns; i++)
            AID_TRY(fill_cell(table, i, row, json_object_get(object, table->items[i].name), err));
    }
    return AID_OK;
}

static aid_status make_table(json_reading *reading, const json_t *document, aid_table *ret_table,
                             aid_error *err)
{
    size_t rows = json_array_size(reading->rows);
    if (rows > (size_t)AID_MAX_TABLE_ROWS)
        AID_FAIL(err, AID_ERR_INVALID, "%s: %zu rows: there may be %lld", reading->path, rows,
                 AID_MAX_TABLE_ROWS);
    AID_TRY(take_described(reading, err));
    for (size_t row = 0; row < rows; row++)
        AID_TRY(take_kinds(reading, row, err));
    /* Rows may each leave out most of the columns: the table does not. */
    if ((int64_t)rows * reading->column_count > AID_MAX_TABLE_MEMORY / 8)
        AID_FAIL(err, AID_ERR_INVALID, "%s: %zu rows of %d columns are too many", reading->path,
                 rows, reading->column_count);
    aid_table table;
    AID_TRY(aid_table_init(text_of(document, "name"), text_of(document, "description"),
                           reading->columns, reading->column_count, (int64_t)rows, &table, err));
    aid_status status = fill(reading, &table, err);
    if (status == AID_OK)
        *ret_table = table;
    else
        aid_table_done(&table);
    return status;
}

static aid_status read_document(const char *path, const json_t *document, aid_table *ret_table,
                                aid_error *err)
{
    AID_CLEANUP(aid_free_pointer)
    aid_column *columns = NULL;
    AID_CLEANUP(aid_free_pointer)
    bool *seen = NULL;
    json_reading reading = {.path = path, .rows = document};
    if (json_is_object(document)) {
        reading.rows = json_object_get(document, "rows");
        reading.described = json_object_get(document, "columns");
    }
    if (!json_is_array(reading.rows))
        AID_FAIL(err, AID_ERR_INVALID,
                 "%s: neither an array of objects nor an object with an array `rows`", path);
    AID_TRY(aid_new_array(AID_MAX_TABLE_COLUMNS, sizeof *columns, path, &columns, err));
    AID_TRY(aid_new_array(AID_MAX_TABLE_COLUMNS, sizeof *seen, path, &seen, err));
    reading.columns = columns;
    reading.seen = seen;
    reading.indices = json_object();
    if (!reading.indices)
        AID_FAIL(err, AID_ERR_NOMEM, "%s: out of memory for columns", path);
    aid_status status = make_table(&reading, document, ret_table, err);
    json_decref(reading.indices);
    return status;
}

aid_status aid_table_parse_json(const char *path, const char *text, size_t size,
                                aid_table *ret_table, aid_error *err)
{
    json_error_t why;
    json_t *document = json_loadb(text, size, JSON_REJECT_DUPLICATES, &why);
    if (!document && json_error_code(&why) == json_error_out_of_memory)
        AID_FAIL(err, AID_ERR_NOMEM, "%s: out of memory for JSON", path);
    if (!document)
        AID_FAIL(err, AID_ERR_INVALID, "%s:%d:%d: %s", path, why.line, why.column, why.text);
    aid_status status = read_document(path, document, ret_table, err);
    json_decref(document);
    return status;
}

aid_status aid_table_read_json(const char *path, aid_table *ret_table, aid_error *err)
{
    AID_CLEANUP(aid_free_pointer)
    char *text = NULL;
    size_t size;
    AID_TRY(aid_read_file(path, (size_t)AID_MAX_TABLE_BYTES, &text, &size, err));
    return aid_table_parse_json(path, text, size, ret_table, err);
}
