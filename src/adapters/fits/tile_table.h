/* The binary table that holds a tile-compressed image, read and checked: nothing in it points
 * outside the data, and no tile holds more pixels than the image has there. */
#ifndef AID_ADAPTERS_FITS_TILE_TABLE_H
#define AID_ADAPTERS_FITS_TILE_TABLE_H

#include "adapters/fits/layout.h"

enum { AID_FITS_TILE_COLUMNS = 16 };

typedef enum aid_fits_tile_role {
    AID_FITS_TILE_OTHER,
    AID_FITS_TILE_COMPRESSED, /* the bytes of the compressed tile */
    AID_FITS_TILE_GZIP,       /* or this, losslessly, where the tile could not be quantised */
    AID_FITS_TILE_RAW,        /* or its pixels as they are */
    AID_FITS_TILE_SCALE,
    AID_FITS_TILE_ZERO,
    AID_FITS_TILE_BLANK
} aid_fits_tile_role;

typedef struct aid_fits_tile_column {
    aid_fits_tile_role role;
    char form[AID_FITS_NAME]; /* TFORM: digits, letters and brackets only */
    char array;               /* 'P' or 'Q': a variable-length array; 0: values in the row */
    int item;                 /* bytes of one element */
    char letter;              /* type of one element */
    uint64_t offset, width;   /* bytes within the row */
} aid_fits_tile_column;

typedef enum aid_fits_compression {
    AID_FITS_RICE,
    AID_FITS_GZIP_1,
    AID_FITS_GZIP_2,
    AID_FITS_HCOMPRESS,
    AID_FITS_PLIO,
    AID_FITS_UNCOMPRESSED
} aid_fits_compression;

typedef struct aid_fits_tile_table {
    int bitpix;                                          /* of the image */
    int32_t width, height, tile_width, tile_height;      /* px */
    const uint8_t *data;                                 /* rows, gap, heap; borrowed */
    uint64_t row_size, row_count, heap_start, data_size; /* bytes */
    int column_count;
    aid_fits_tile_column columns[AID_FITS_TILE_COLUMNS];
    aid_fits_compression compression;
    int64_t rice_block, rice_bytes; /* pixels, bytes per pixel */
    double hcompress_scale;
    int64_t hcompress_smooth;
    char quantize[AID_FITS_NAME]; /* ZQUANTIZ, one of the standard's names, or "" */
    int64_t dither;               /* ZDITHER0 */
    bool has_scale, has_blank;    /* ZSCALE and ZZERO, ZBLANK as keywords */
    double scale, zero;
    int64_t blank;
} aid_fits_tile_table;

/* "RICE_1" and so on. */
const char *aid_fits_compression_name(aid_fits_compression compression);

AID_MUST_USE aid_status aid_fits_tile_table_read(const aid_fits_bytes *bytes,
                                                 const aid_fits_hdu *hdu,
                                                 aid_fits_tile_table *ret_table, aid_error *err);

#endif
