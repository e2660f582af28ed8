/* A table of named, typed, documented columns, and its text forms. FITS binary tables are read and
 * written by adapters/fits as the same structure; apps/common/table_file.h picks the form. */
#ifndef AID_ADAPTERS_TABLES_TABLE_H
#define AID_ADAPTERS_TABLES_TABLE_H

#include "core/base/notes.h"
#include "core/base/status.h"

#include <stdint.h>

/* The whole number that stands for none. */
#define AID_NULL_INT64 INT64_MIN

typedef enum aid_column_kind {
    AID_COLUMN_INT64,
    AID_COLUMN_DOUBLE,
    AID_COLUMN_TEXT
} aid_column_kind;

typedef struct aid_column {
    const char *name, *unit, *ucd, *description; /* static, or owned by the table; all but the name
                                                  * may be NULL */
    aid_column_kind kind;
    int decimals; /* of doubles in text forms; -1: as many as needed to read back the same value */
    union {
        int64_t *integers; /* AID_NULL_INT64 = null */
        double *doubles;   /* NaN = null */
        char **texts;      /* owned, may be NULL */
    } values;
} aid_column;

typedef struct aid_table {
    const char *name, *description; /* static, or owned */
    int64_t rows;
    int columns;
    aid_column *items;
    char **owned; /* texts that came from outside, and live as long as the table */
    int owned_count, owned_capacity;
} aid_table;

/* `columns` describe the table (values ignored); values are allocated zeroed (doubles: NaN). */
AID_MUST_USE aid_status aid_table_init(const char *name, const char *description,
                                       const aid_column *columns, int count, int64_t rows,
                                       aid_table *ret_table, aid_error *err);
void aid_table_done(aid_table *table);
AID_MUST_USE aid_status aid_table_set_text(aid_table *table, int column, int64_t row,
                                           const char *text, aid_error *err);

/* For readers that do not know the number of rows before: room for `rows`, and one more of nulls
 * where there is room. */
AID_MUST_USE aid_status aid_table_reserve(aid_table *table, int64_t rows, aid_error *err);
void aid_table_add_null_row(aid_table *table);

/* A copy of `text` that lives as long as the table; NULL stays NULL. */
AID_MUST_USE aid_status aid_table_own(aid_table *table, const char *text, const char **ret_text,
                                      aid_error *err);

/* Makes every name, unit and description one that the table owns. */
AID_MUST_USE aid_status aid_table_own_names(aid_table *table, aid_error *err);

/* The column of that name, in other letter cases where there is none, or -1. */
int aid_table_find(const aid_table *table, const char *name);
/* As a number; NaN where it is null or a text. */
double aid_table_number(const aid_table *table, int column, int64_t row);
/* "id, x, y, ..." for messages; cut at `size`. */
void aid_table_names(const aid_table *table, char *ret_text, size_t size);

/* `count` rows of `from`, in the order of `rows`, with all columns as they are, and behind them
 * `more_count` empty ones like those of aid_table_init. */
AID_MUST_USE aid_status aid_table_select(const aid_table *from, const int64_t *rows, int64_t count,
                                         const aid_column *more, int more_count,
                                         aid_table *ret_table, aid_error *err);

/* ---- reading. What is read owns all its texts. Numbers are INT64 where all of a column are whole
 * and fit, else DOUBLE; true and false are 1 and 0; a column with nothing in it is DOUBLE.
 * `decimals` are those of the file where it says so. Columns of vectors, complex numbers or bits
 * are left out, and `notes` (may be NULL) says which. All fail with AID_ERR_INVALID ("x.csv: row 3
 * ...") on what is no such table or exceeds limits.h, and leave *ret_table untouched. ---- */

/* Comma-separated values, the names in the first line, lines that begin with # before it left out.
 * Empty cells and nan are null. */
AID_MUST_USE aid_status aid_table_read_csv(const char *path, aid_table *ret_table, aid_error *err);
AID_MUST_USE aid_status aid_table_parse_csv(const char *path, char *take_text, aid_table *ret_table,
                                            aid_error *err);
/* What aid_table_write_json writes, or an array of objects. */
AID_MUST_USE aid_status aid_table_read_json(const char *path, aid_table *ret_table, aid_error *err);
AID_MUST_USE aid_status aid_table_parse_json(const char *path, const char *text, size_t size,
                                             aid_table *ret_table, aid_error *err);
/* The first table of a VOTable that has data: TABLEDATA, BINARY or BINARY2. Entities and document
 * types of its own are refused. */
AID_MUST_USE aid_status aid_table_read_votable(const char *path, aid_notes *notes,
                                               aid_table *ret_table, aid_error *err);
AID_MUST_USE aid_status aid_table_parse_votable(const char *path, const char *text, size_t size,
                                                aid_notes *notes, aid_table *ret_table,
                                                aid_error *err);

/* ---- writing. ---- */

/* Each writes a whole file atomically. NaN: empty in CSV and VOTable, null in JSON. Text cells that
 * a spreadsheet would take for a formula (= + - @ first) are quoted with a leading apostrophe in
 * CSV. */
AID_MUST_USE aid_status aid_table_write_csv(const aid_table *table, const char *path,
                                            aid_error *err);
AID_MUST_USE aid_status aid_table_write_json(const aid_table *table, const char *path,
                                             aid_error *err);
AID_MUST_USE aid_status aid_table_write_votable(const aid_table *table, const char *path,
                                                aid_error *err);

#endif
