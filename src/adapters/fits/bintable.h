/* A binary table (FITS standard 4.0, section 7.3) on its way into a reply: every column described,
 * checked against the row, and turned into int64, double or text. */
#ifndef AID_ADAPTERS_FITS_BINTABLE_H
#define AID_ADAPTERS_FITS_BINTABLE_H

#include "adapters/fits/layout.h"
#include "adapters/fits/reply.h"

typedef struct aid_fits_bincolumn aid_fits_bincolumn;

typedef struct aid_fits_bintable {
    const uint8_t *data; /* of the rows; borrowed */
    int64_t rows, row_size;
    int count, kept; /* columns in the file, and in the reply */
    aid_fits_bincolumn *columns;
    char left_out[512]; /* names of those that are not kept; cut */
} aid_fits_bintable;

/* Fails with AID_ERR_INVALID where the header contradicts itself or the data, or where there is no
 * column to keep. */
AID_MUST_USE aid_status aid_fits_bintable_read(const aid_fits_bytes *bytes, const aid_fits_hdu *hdu,
                                               aid_fits_bintable *ret_table, aid_error *err);
void aid_fits_bintable_done(aid_fits_bintable *table);

/* Bytes behind the reply's header, and what goes there. */
uint64_t aid_fits_bintable_size(const aid_fits_bintable *table);
void aid_fits_bintable_fill(const aid_fits_bintable *table, uint8_t *ret_bytes);

#endif
