#include "adapters/tables/table.h"

#include "core/base/memory.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static aid_status new_values(const char *table, aid_column *column, int64_t rows, aid_error *err)
{
    size_t count = (size_t)rows;
    switch (column->kind) {
    case AID_COLUMN_INT64:
        return aid_new_array(count, sizeof(int64_t), table, &column->values.integers, err);
    case AID_COLUMN_TEXT:
        return aid_new_array(count, sizeof(char *), table, &column->values.texts, err);
    case AID_COLUMN_DOUBLE:
        break;
    }
    AID_TRY(aid_new_buffer(count, sizeof(double), table, &column->values.doubles, err));
    for (size_t i = 0; i < count; i++)
        column->values.doubles[i] = NAN;
    return AID_OK;
}

aid_status aid_table_init(const char *name, const char *description, const aid_column *columns,
                          int count, int64_t rows, aid_table *ret_table, aid_error *err)
{
    assert(count >= 0 && rows >= 0);
    aid_table table = {.name = name, .description = description, .rows = rows};
    AID_TRY(aid_new_array((size_t)count, sizeof *columns, name, &table.items, err));
    for (int i = 0; i < count; i++) {
        table.items[i] = columns[i];
        table.items[i].values.texts = NULL;
        aid_status status = new_values(name, &table.items[i], rows, err);
        if (status != AID_OK) {
            aid_table_done(&table);
            return status;
        }
        table.columns++;
    }
    *ret_table = table;
    return AID_OK;
}

static void free_values(aid_column *column, int64_t rows)
{
    switch (column->kind) {
    case AID_COLUMN_INT64:
        free(column->values.integers);
        return;
    case AID_COLUMN_DOUBLE:
        free(column->values.doubles);
        return;
    case AID_COLUMN_TEXT:
        for (int64_t row = 0; row < rows; row++)
            free(column->values.texts[row]);
        free(column->values.texts);
        return;
    }
}

void aid_table_done(aid_table *table)
{
    for (int i = 0; i < table->columns; i++)
        free_values(&table->items[i], table->rows);
    free(table->items);
    *table = (aid_table){0};
}

aid_status aid_table_set_text(aid_table *table, int column, int64_t row, const char *text,
                              aid_error *err)
{
    assert(column >= 0 && column < table->columns && row >= 0 && row < table->rows);
    assert(table->items[column].kind == AID_COLUMN_TEXT);
    char *copy = text ? strdup(text) : NULL;
    if (text && !copy)
        AID_FAIL(err, AID_ERR_NOMEM, "%s: out of memory for a text", table->name);
    char **cell = &table->items[column].values.texts[row];
    free(*cell);
    *cell = copy;
    return AID_OK;
}
