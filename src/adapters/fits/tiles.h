/* Tile-compressed images (FITS standard 4.0, section 10): CFITSIO undoes Rice, GZIP, HCOMPRESS and
 * PLIO. It never sees the file: it gets a header that is written here from checked values, and the
 * table's data with every tile's length and place checked. */
#ifndef AID_ADAPTERS_FITS_TILES_H
#define AID_ADAPTERS_FITS_TILES_H

#include "adapters/fits/layout.h"
#include "adapters/fits/plain.h"

typedef struct aid_fits_tiles aid_fits_tiles;

/* `hdu` is AID_FITS_TILES and flat. Copies what it needs. Fails with AID_ERR_INVALID where the
 * description of the tiles contradicts itself or the data. */
AID_MUST_USE aid_status aid_fits_tiles_open(const aid_fits_bytes *bytes, const aid_fits_hdu *hdu,
                                            const aid_fits_scaling *scaling,
                                            aid_fits_tiles **ret_tiles, aid_error *err);
void aid_fits_tiles_close(aid_fits_tiles *tiles);

/* Rows of one tile: what is read at once should be a multiple of it. */
int32_t aid_fits_tiles_height(const aid_fits_tiles *tiles);

/* Whole rows, physical values, NaN where undefined. */
AID_MUST_USE aid_status aid_fits_tiles_floats(aid_fits_tiles *tiles, int32_t first_row,
                                              int32_t rows, float *ret_pixels, aid_error *err);
AID_MUST_USE aid_status aid_fits_tiles_integers(aid_fits_tiles *tiles, int32_t first_row,
                                                int32_t rows, int64_t *ret_pixels, aid_error *err);

#endif
