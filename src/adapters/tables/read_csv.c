/* A table from comma-separated values. */
#include "adapters/files/files.h"
#include "adapters/tables/csv_cells.h"
#include "adapters/tables/read_text.h"
#include "core/base/memory.h"

#include <stdlib.h>
#include <string.h>

typedef struct csv_column {
    const aid_csv *csv;
    int column;
} csv_column;

static const char *cell_of(const void *context, int64_t row)
{
    const csv_column *column = context;
    return aid_csv_cell(column->csv, (int)row, column->column);
}

/* A byte order mark and lines of remarks before the names. */
static const char *skip_remarks(const char *text)
{
    if (!strncmp(text, "\xef\xbb\xbf", 3))
        text += 3;
    while (*text == '#') {
        text += strcspn(text, "\n");
        text += *text == '\n';
    }
    return text;
}

static aid_status check_names(const aid_csv *csv, const char *path, aid_error *err)
{
    for (int i = 0; i < csv->columns; i++)
        if (!csv->cells[i][0])
            AID_FAIL(err, AID_ERR_INVALID, "%s: column %d has no name", path, i + 1);
    return AID_OK;
}

static aid_status check_lengths(const aid_csv *csv, const char *path, aid_error *err)
{
    for (int row = -1; row < csv->rows; row++)
        for (int i = 0; i < csv->columns; i++)
            if (strlen(aid_csv_cell(csv, row, i)) > AID_MAX_TABLE_CELL)
                AID_FAIL(err, AID_ERR_INVALID, "%s: row %d: a cell of more than %d bytes", path,
                         row + 2, AID_MAX_TABLE_CELL);
    return AID_OK;
}

static aid_status fill(const aid_csv *csv, aid_table *table, aid_error *err)
{
    AID_TRY(aid_table_own_names(table, err));
    for (int i = 0; i < csv->columns; i++) {
        csv_column column = {csv, i};
        aid_text_cells cells = {cell_of, &column};
        AID_TRY(aid_text_fill(table, i, &cells, err));
    }
    return AID_OK;
}

static aid_status make_table(const aid_csv *csv, const char *path, aid_table *ret_table,
                             aid_error *err)
{
    AID_CLEANUP(aid_free_pointer)
    aid_column *columns = NULL;
    AID_TRY(check_names(csv, path, err));
    AID_TRY(check_lengths(csv, path, err));
    AID_TRY(aid_new_array((size_t)csv->columns, sizeof *columns, path, &columns, err));
    for (int i = 0; i < csv->columns; i++) {
        csv_column column = {csv, i};
        aid_text_cells cells = {cell_of, &column};
        columns[i].name = csv->cells[i];
        columns[i].kind = aid_text_kind(&cells, csv->rows, &columns[i].decimals);
    }
    aid_table table;
    AID_TRY(aid_table_init(NULL, NULL, columns, csv->columns, csv->rows, &table, err));
    aid_status status = fill(csv, &table, err);
    if (status == AID_OK)
        *ret_table = table;
    else
        aid_table_done(&table);
    return status;
}

aid_status aid_table_parse_csv(const char *path, char *take_text, aid_table *ret_table,
                               aid_error *err)
{
    AID_CLEANUP(aid_csv_done)
    aid_csv csv = {0};
    const char *names = skip_remarks(take_text);
    memmove(take_text, names, strlen(names) + 1);
    AID_TRY(aid_csv_parse(path, take_text, &csv, err));
    return make_table(&csv, path, ret_table, err);
}

aid_status aid_table_read_csv(const char *path, aid_table *ret_table, aid_error *err)
{
    char *text = NULL;
    AID_TRY(aid_csv_read_text(path, &text, err));
    return aid_table_parse_csv(path, text, ret_table, err);
}
