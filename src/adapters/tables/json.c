/* A table as one JSON object: what it is, its columns, and each row as an object on its own line.
 */
#include "adapters/tables/whole_file.h"

#include "adapters/files/json.h"

/* So that a table without rows reads back as what it was. */
static const char *const kind_names[] = {
    [AID_COLUMN_INT64] = "integer", [AID_COLUMN_DOUBLE] = "double", [AID_COLUMN_TEXT] = "text"};

static void put_columns(aid_json_writer *json, const aid_table *table)
{
    aid_json_put_array(json, "columns");
    for (int i = 0; i < table->columns; i++) {
        const aid_column *column = &table->items[i];
        aid_json_begin_object(json);
        aid_json_put_text(json, "name", column->name);
        aid_json_put_text(json, "datatype", kind_names[column->kind]);
        aid_json_put_text(json, "unit", column->unit);
        aid_json_put_text(json, "ucd", column->ucd);
        aid_json_put_text(json, "description", column->description);
        aid_json_end_object(json);
    }
    aid_json_end_array(json);
}

static void put_cell(aid_json_writer *json, const aid_column *column, int64_t row)
{
    aid_json_key(json, column->name);
    switch (column->kind) {
    case AID_COLUMN_INT64:
        if (column->values.integers[row] == AID_NULL_INT64)
            aid_json_null(json);
        else
            aid_json_integer(json, column->values.integers[row]);
        return;
    case AID_COLUMN_DOUBLE:
        aid_json_rounded(json, column->values.doubles[row], column->decimals);
        return;
    case AID_COLUMN_TEXT:
        aid_json_text(json, column->values.texts[row]);
        return;
    }
}

static void write_json(const aid_table *table, FILE *stream)
{
    aid_json_writer json = aid_json_writer_on(stream, 2);
    aid_json_begin_object(&json);
    aid_json_put_text(&json, "name", table->name);
    aid_json_put_text(&json, "description", table->description);
    put_columns(&json, table);
    aid_json_put_array(&json, "rows");
    for (int64_t row = 0; row < table->rows; row++) {
        aid_json_begin_object(&json);
        for (int i = 0; i < table->columns; i++)
            put_cell(&json, &table->items[i], row);
        aid_json_end_object(&json);
    }
    aid_json_end_array(&json);
    aid_json_end_object(&json);
    aid_json_finish(&json);
}

aid_status aid_table_write_json(const aid_table *table, const char *path, aid_error *err)
{
    return aid_table_write_whole(table, path, write_json, err);
}
