/* A table as a catalogue that filters and scores can work on, and what they note about it. */
#ifndef AID_APPS_CLI_CATALOGUE_TABLE_H
#define AID_APPS_CLI_CATALOGUE_TABLE_H

#include "adapters/files/json.h"
#include "adapters/tables/table.h"
#include "apps/common/command.h"
#include "domain/ranking/catalogue.h"

/* The table's columns without copying them: `table` must outlive it. `name` is the file's. Release
 * with catalogue_done. */
AID_MUST_USE aid_status catalogue_of_table(const aid_table *table, const char *name,
                                           aid_catalogue *ret_catalogue, aid_error *err);
void catalogue_done(aid_catalogue *catalogue);

/* The notes as lines on standard error, and as a member `notes` of a summary. */
void print_notes(const aid_notes *notes);

/* A table that was made of invocation->arguments[0]: the header of a FITS file says so. */
AID_MUST_USE aid_status catalogue_write(const aid_invocation *invocation, const aid_table *table,
                                        const char *path, aid_error *err);

#endif
