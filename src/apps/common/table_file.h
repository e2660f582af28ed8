/* Tables in files: the form of a file that is read by its content, of one that is written by its
 * name. */
#ifndef AID_APPS_COMMON_TABLE_FILE_H
#define AID_APPS_COMMON_TABLE_FILE_H

#include "adapters/tables/table.h"
#include "core/base/header.h"

typedef struct aid_table_read_options {
    const char *hdu;  /* of FITS files: number, EXTNAME; NULL: the first binary table */
    aid_notes *notes; /* which columns were left out; may be NULL */
} aid_table_read_options;

/* FITS (also gzip), VOTable, JSON or CSV; see adapters/tables/table.h. options NULL: the defaults.
 * Release with aid_table_done. */
AID_MUST_USE aid_status aid_table_read(const char *path, const aid_table_read_options *options,
                                       aid_table *ret_table, aid_error *err);

/* As the ending of the name says: .fits .fit .vot .xml .json .csv. Fails with AID_ERR_USAGE on any
 * other: aid_table_check_path tells that before the work is done.
 *   cards   what goes into the primary header of a FITS file, for what made it; may be NULL */
AID_MUST_USE aid_status aid_table_write(const aid_table *table, const char *path,
                                        const aid_header *cards, aid_error *err);
AID_MUST_USE aid_status aid_table_check_path(const char *path, aid_error *err);

/* The column, or AID_ERR_INVALID: "x.csv: no column `fwhm`; it has id, x, y". */
AID_MUST_USE aid_status aid_table_need(const aid_table *table, const char *path, const char *name,
                                       int *ret_column, aid_error *err);

#endif
