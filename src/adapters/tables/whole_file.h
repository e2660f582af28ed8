/* What the text forms have in common: one function that writes a table onto a stream. */
#ifndef AID_ADAPTERS_TABLES_WHOLE_FILE_H
#define AID_ADAPTERS_TABLES_WHOLE_FILE_H

#include "adapters/tables/table.h"

#include <stdio.h>

/* Failed writes stay with the stream and show at the commit. */
AID_MUST_USE aid_status aid_table_write_whole(const aid_table *table, const char *path,
                                              void (*write)(const aid_table *table, FILE *stream),
                                              aid_error *err);

#endif
