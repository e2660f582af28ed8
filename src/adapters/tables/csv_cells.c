#include "adapters/tables/csv_cells.h"

#include "adapters/files/files.h"
#include "core/base/memory.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

void aid_csv_done(aid_csv *csv)
{
    free(csv->text);
    free(csv->cells);
    *csv = (aid_csv){0};
}

/* How a cell ended. */
typedef enum cell_end { END_OF_CELL, END_OF_ROW, END_OF_TEXT } cell_end;

/* Cuts out the cell at *at, unquotes it in place and moves *at behind it. */
static char *take_cell(char **at, cell_end *ret_end)
{
    char *begin = *at, *from = begin, *to = begin;
    bool quoted = *from == '"';
    from += quoted;
    while (*from) {
        if (quoted && from[0] == '"' && from[1] != '"') {
            quoted = false;
            from++;
        } else if (!quoted && (*from == ',' || *from == '\n')) {
            break;
        } else {
            from += quoted && *from == '"'; /* a doubled one stands for itself */
            *to++ = *from++;
        }
    }
    *ret_end = !*from ? END_OF_TEXT : *from == ',' ? END_OF_CELL : END_OF_ROW;
    *at = *from ? from + 1 : from;
    if (*ret_end != END_OF_CELL && to > begin && to[-1] == '\r')
        to--;
    *to = '\0';
    return begin;
}

static int count_names(const char *text)
{
    int count = 1;
    for (bool quoted = false; *text && (quoted || *text != '\n'); text++) {
        quoted ^= *text == '"';
        count += !quoted && *text == ',';
    }
    return count;
}

static int64_t count_lines(const char *text)
{
    int64_t count = 1;
    for (; *text; text++)
        count += *text == '\n';
    return count;
}

static aid_status take_row(aid_csv *csv, const char *path, int row, char **at, aid_error *err)
{
    cell_end end = END_OF_CELL;
    int column = 0;
    for (; end == END_OF_CELL; column++) {
        char *cell = take_cell(at, &end);
        if (column < csv->columns)
            csv->cells[(size_t)row * (size_t)csv->columns + (size_t)column] = cell;
    }
    if (column != csv->columns)
        AID_FAIL(err, AID_ERR_INVALID, "%s: row %d has %d cells, not %d", path, row + 1, column,
                 csv->columns);
    return AID_OK;
}

static aid_status take_rows(aid_csv *csv, const char *path, aid_error *err)
{
    csv->columns = count_names(csv->text);
    int64_t lines = count_lines(csv->text);
    if (csv->columns > AID_MAX_TABLE_COLUMNS || lines > AID_MAX_TABLE_ROWS)
        AID_FAIL(err, AID_ERR_INVALID, "%s: %d columns and %lld lines are too many", path,
                 csv->columns, (long long)lines);
    AID_TRY(aid_new_array((size_t)lines * (size_t)csv->columns, sizeof *csv->cells, "table",
                          &csv->cells, err));
    char *at = csv->text;
    AID_TRY(take_row(csv, path, 0, &at, err));
    for (; *at; csv->rows++)
        AID_TRY(take_row(csv, path, csv->rows + 1, &at, err));
    return AID_OK;
}

aid_status aid_csv_parse(const char *path, char *take_text, aid_csv *ret_csv, aid_error *err)
{
    aid_csv csv = {.text = take_text};
    aid_status status = take_rows(&csv, path, err);
    if (status == AID_OK)
        *ret_csv = csv;
    else
        aid_csv_done(&csv);
    return status;
}

aid_status aid_csv_read_text(const char *path, char **ret_text, aid_error *err)
{
    char *text = NULL;
    size_t size;
    AID_TRY(aid_read_file(path, (size_t)AID_MAX_TABLE_BYTES, &text, &size, err));
    if (strlen(text) != size) {
        free(text);
        AID_FAIL(err, AID_ERR_INVALID, "%s: a NUL byte is in it: no table as text", path);
    }
    *ret_text = text;
    return AID_OK;
}

aid_status aid_csv_read(const char *path, aid_csv *ret_csv, aid_error *err)
{
    char *text = NULL;
    AID_TRY(aid_csv_read_text(path, &text, err));
    return aid_csv_parse(path, text, ret_csv, err);
}

int aid_csv_column(const aid_csv *csv, const char *name)
{
    for (int column = 0; column < csv->columns; column++)
        if (!strcmp(csv->cells[column], name))
            return column;
    return -1;
}

const char *aid_csv_cell(const aid_csv *csv, int row, int column)
{
    return csv->cells[(size_t)(row + 1) * (size_t)csv->columns + (size_t)column];
}

double aid_csv_number(const aid_csv *csv, int row, int column)
{
    const char *cell = aid_csv_cell(csv, row, column);
    char *end;
    double value = strtod(cell, &end);
    return *cell && !*end ? value : NAN;
}
