/* Comma-separated values in: a table of texts with named columns (RFC 4180). */
#ifndef AID_ADAPTERS_TABLES_CSV_CELLS_H
#define AID_ADAPTERS_TABLES_CSV_CELLS_H

#include "core/base/status.h"

#include <stddef.h>
#include <stdint.h>

typedef struct aid_csv {
    char *text;   /* owned; the cells point into it */
    char **cells; /* [rows + 1][columns], the names first */
    int columns, rows;
} aid_csv;

/* Takes `text` (zero-terminated, from malloc), also on failure. `path` is for messages.
 * Fails with AID_ERR_INVALID where rows have different numbers of cells ("x.csv:7: ..."). */
AID_MUST_USE aid_status aid_csv_parse(const char *path, char *take_text, aid_csv *ret_csv,
                                      aid_error *err);
AID_MUST_USE aid_status aid_csv_read(const char *path, aid_csv *ret_csv, aid_error *err);
/* The file's text for aid_csv_parse; one with a NUL byte in it is refused. */
AID_MUST_USE aid_status aid_csv_read_text(const char *path, char **ret_text, aid_error *err);
void aid_csv_done(aid_csv *csv);

/* The column of that name, or -1. */
int aid_csv_column(const aid_csv *csv, const char *name);

/* row 0 is the first one below the names. */
const char *aid_csv_cell(const aid_csv *csv, int row, int column);
/* NaN where the cell is empty or no number. */
double aid_csv_number(const aid_csv *csv, int row, int column);

#endif
