#include "adapters/tables/table.h"

#include "core/base/memory.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

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
    for (int i = 0; i < table->owned_count; i++)
        free(table->owned[i]);
    free(table->owned);
    *table = (aid_table){0};
}

aid_status aid_table_reserve(aid_table *table, int64_t rows, aid_error *err)
{
    for (int i = 0; i < table->columns; i++) {
        void **values = (void **)&table->items[i].values.texts; /* all are of eight bytes */
        void *grown = realloc(*values, (size_t)rows * sizeof(int64_t));
        if (!grown)
            AID_FAIL(err, AID_ERR_NOMEM, "out of memory for a table of %lld rows", (long long)rows);
        *values = grown;
    }
    return AID_OK;
}

void aid_table_add_null_row(aid_table *table)
{
    for (int i = 0; i < table->columns; i++) {
        aid_column *column = &table->items[i];
        if (column->kind == AID_COLUMN_INT64)
            column->values.integers[table->rows] = AID_NULL_INT64;
        else if (column->kind == AID_COLUMN_DOUBLE)
            column->values.doubles[table->rows] = NAN;
        else
            column->values.texts[table->rows] = NULL;
    }
    table->rows++;
}

/* ------------------------------------------------------------------------------------ owned texts
 */

static aid_status grow_owned(aid_table *table, aid_error *err)
{
    if (table->owned_count < table->owned_capacity)
        return AID_OK;
    int capacity = AID_MAX(64, 2 * table->owned_capacity);
    char **grown = realloc(table->owned, (size_t)capacity * sizeof *grown);
    if (!grown)
        AID_FAIL(err, AID_ERR_NOMEM, "out of memory for the names of a table");
    table->owned = grown;
    table->owned_capacity = capacity;
    return AID_OK;
}

aid_status aid_table_own(aid_table *table, const char *text, const char **ret_text, aid_error *err)
{
    char *copy = NULL;
    if (text) {
        AID_TRY(grow_owned(table, err));
        copy = strdup(text);
        if (!copy)
            AID_FAIL(err, AID_ERR_NOMEM, "out of memory for the names of a table");
        table->owned[table->owned_count++] = copy;
    }
    *ret_text = copy;
    return AID_OK;
}

/* ---------------------------------------------------------------------------------------- looking
 */

int aid_table_find(const aid_table *table, const char *name)
{
    for (int i = 0; i < table->columns; i++)
        if (!strcmp(table->items[i].name, name))
            return i;
    for (int i = 0; i < table->columns; i++)
        if (!strcasecmp(table->items[i].name, name))
            return i;
    return -1;
}

double aid_table_number(const aid_table *table, int column, int64_t row)
{
    const aid_column *item = &table->items[column];
    if (item->kind == AID_COLUMN_DOUBLE)
        return item->values.doubles[row];
    if (item->kind == AID_COLUMN_INT64 && item->values.integers[row] != AID_NULL_INT64)
        return (double)item->values.integers[row];
    return NAN;
}

void aid_table_names(const aid_table *table, char *ret_text, size_t size)
{
    size_t used = 0;
    ret_text[0] = '\0';
    for (int i = 0; i < table->columns && used < size; i++)
        used += (size_t)snprintf(ret_text + used, size - used, "%s%s", i ? ", " : "",
                                 table->items[i].name);
}

/* -------------------------------------------------------------------------------------- selecting
 */

static aid_status own_column(aid_table *table, aid_column *column, aid_error *err)
{
    AID_TRY(aid_table_own(table, column->name, &column->name, err));
    AID_TRY(aid_table_own(table, column->unit, &column->unit, err));
    AID_TRY(aid_table_own(table, column->ucd, &column->ucd, err));
    return aid_table_own(table, column->description, &column->description, err);
}

aid_status aid_table_own_names(aid_table *table, aid_error *err)
{
    AID_TRY(aid_table_own(table, table->name, &table->name, err));
    AID_TRY(aid_table_own(table, table->description, &table->description, err));
    for (int i = 0; i < table->columns; i++)
        AID_TRY(own_column(table, &table->items[i], err));
    return AID_OK;
}

static aid_status copy_cell(const aid_column *from, int64_t from_row, aid_table *table, int column,
                            int64_t row, aid_error *err)
{
    aid_column *to = &table->items[column];
    switch (to->kind) {
    case AID_COLUMN_INT64:
        to->values.integers[row] = from->values.integers[from_row];
        return AID_OK;
    case AID_COLUMN_DOUBLE:
        to->values.doubles[row] = from->values.doubles[from_row];
        return AID_OK;
    case AID_COLUMN_TEXT:
        break;
    }
    return aid_table_set_text(table, column, row, from->values.texts[from_row], err);
}

static aid_status fill_selected(const aid_table *from, const int64_t *rows, aid_table *table,
                                aid_error *err)
{
    AID_TRY(aid_table_own_names(table, err));
    for (int column = 0; column < from->columns; column++)
        for (int64_t row = 0; row < table->rows; row++)
            AID_TRY(copy_cell(&from->items[column], rows[row], table, column, row, err));
    return AID_OK;
}

aid_status aid_table_select(const aid_table *from, const int64_t *rows, int64_t count,
                            const aid_column *more, int more_count, aid_table *ret_table,
                            aid_error *err)
{
    AID_CLEANUP(aid_free_pointer)
    aid_column *columns = NULL;
    int total = from->columns + more_count;
    AID_TRY(aid_new_array((size_t)total, sizeof *columns, "table", &columns, err));
    memcpy(columns, from->items, (size_t)from->columns * sizeof *columns);
    if (more_count)
        memcpy(columns + from->columns, more, (size_t)more_count * sizeof *columns);
    aid_table table;
    AID_TRY(aid_table_init(from->name, from->description, columns, total, count, &table, err));
    aid_status status = fill_selected(from, rows, &table, err);
    if (status == AID_OK)
        *ret_table = table;
    else
        aid_table_done(&table);
    return status;
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
