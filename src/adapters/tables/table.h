/* A table of named, typed, documented columns, and its text forms. FITS binary tables are written
 * by adapters/fits from the same structure. */
#ifndef AID_ADAPTERS_TABLES_TABLE_H
#define AID_ADAPTERS_TABLES_TABLE_H

#include "core/base/status.h"

#include <stdint.h>

typedef enum aid_column_kind {
    AID_COLUMN_INT64,
    AID_COLUMN_DOUBLE,
    AID_COLUMN_TEXT
} aid_column_kind;

typedef struct aid_column {
    const char *name, *unit, *ucd, *description; /* static strings; unit and ucd may be NULL */
    aid_column_kind kind;
    int decimals; /* of doubles in text forms; -1: as many as needed to read back the same value */
    union {
        int64_t *integers;
        double *doubles; /* NaN = null */
        char **texts;    /* owned, may be NULL */
    } values;
} aid_column;

typedef struct aid_table {
    const char *name, *description;
    int64_t rows;
    int columns;
    aid_column *items;
} aid_table;

/* `columns` describe the table (values ignored); values are allocated zeroed (doubles: NaN). */
AID_MUST_USE aid_status aid_table_init(const char *name, const char *description,
                                       const aid_column *columns, int count, int64_t rows,
                                       aid_table *ret_table, aid_error *err);
void aid_table_done(aid_table *table);
AID_MUST_USE aid_status aid_table_set_text(aid_table *table, int column, int64_t row,
                                           const char *text, aid_error *err);

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
