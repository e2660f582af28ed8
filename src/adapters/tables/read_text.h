/* What the readers of text forms have in common: a grid of texts becomes typed columns. */
#ifndef AID_ADAPTERS_TABLES_READ_TEXT_H
#define AID_ADAPTERS_TABLES_READ_TEXT_H

#include "adapters/tables/table.h"

#include <stdbool.h>

/* Whether the whole of `text` is a number as tables have them, and which: a decimal number, or nan,
 * or an infinity with or without a sign. */
bool aid_text_number(const char *text, double *ret_value);
/* The same for whole numbers that fit and are written plainly: "7", "-12", but neither "007" nor
 * "+7", which would not come back as they were. */
bool aid_text_integer(const char *text, int64_t *ret_value);

/* The texts of one column; NULL or "" is null. */
typedef struct aid_text_cells {
    const char *(*cell)(const void *context, int64_t row);
    const void *context;
} aid_text_cells;

/* INT64 where every text is whole, DOUBLE where every one is a number, else TEXT. *ret_decimals:
 * what every text has behind the point, -1 where they differ. */
aid_column_kind aid_text_kind(const aid_text_cells *cells, int64_t rows, int *ret_decimals);

/* Fills a column of the kind that aid_text_kind gave. */
AID_MUST_USE aid_status aid_text_fill(aid_table *table, int column, const aid_text_cells *cells,
                                      aid_error *err);

#endif
