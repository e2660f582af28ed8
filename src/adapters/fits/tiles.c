#include "adapters/fits/tiles.h"

#include "adapters/fits/tile_table.h"
#include "core/base/memory.h"

#include <assert.h>
#include <fitsio.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_CARDS = 108 };

struct aid_fits_tiles {
    int32_t width, tile_height;
    int bitpix;
    aid_fits_scaling scaling;
    void *memory; /* the file that CFITSIO sees */
    size_t memory_size;
    fitsfile *file;
};

/* ------------------------------------------------------------------------- the header for CFITSIO
 */

typedef struct header_text {
    char *cards;
    int count;
} header_text;

static void put(header_text *header, const char *keyword, const char *value)
{
    char card[AID_FITS_CARD + 1];
    assert(header->count < MAX_CARDS && "the number of columns is limited");
    snprintf(card, sizeof card, "%-8s= %-70s", keyword, value);
    memcpy(header->cards + (size_t)header->count++ * AID_FITS_CARD, card, AID_FITS_CARD);
}

static void put_integer(header_text *header, const char *keyword, int64_t value)
{
    char text[32];
    snprintf(text, sizeof text, "%20lld", (long long)value);
    put(header, keyword, text);
}

static void put_real(header_text *header, const char *keyword, double value)
{
    char text[40];
    snprintf(text, sizeof text, "%.17E", value);
    put(header, keyword, text);
}

static void put_text(header_text *header, const char *keyword, const char *value)
{
    char text[AID_FITS_NAME + 16];
    snprintf(text, sizeof text, "'%-8s'", value);
    put(header, keyword, text);
}

static void put_end(header_text *header)
{
    char *end = header->cards + (size_t)header->count * AID_FITS_CARD;
    memcpy(end, "END", 3);
}

static void put_columns(header_text *header, const aid_fits_tile_table *table)
{
    static const char *const names[] = {[AID_FITS_TILE_COMPRESSED] = "COMPRESSED_DATA",
                                        [AID_FITS_TILE_GZIP] = "GZIP_COMPRESSED_DATA",
                                        [AID_FITS_TILE_RAW] = "UNCOMPRESSED_DATA",
                                        [AID_FITS_TILE_SCALE] = "ZSCALE",
                                        [AID_FITS_TILE_ZERO] = "ZZERO",
                                        [AID_FITS_TILE_BLANK] = "ZBLANK"};
    put_integer(header, "TFIELDS", table->column_count);
    for (int i = 0; i < table->column_count; i++) {
        const aid_fits_tile_column *column = &table->columns[i];
        char keyword[16], other[16];
        snprintf(other, sizeof other, "OTHER%d", i);
        snprintf(keyword, sizeof keyword, "TTYPE%d", i + 1);
        put_text(header, keyword,
                 column->role == AID_FITS_TILE_OTHER ? other : names[column->role]);
        snprintf(keyword, sizeof keyword, "TFORM%d", i + 1);
        put_text(header, keyword, column->form);
    }
}

static void put_compression(header_text *header, const aid_fits_tile_table *table)
{
    put_text(header, "ZCMPTYPE", aid_fits_compression_name(table->compression));
    if (table->compression == AID_FITS_RICE) {
        put_text(header, "ZNAME1", "BLOCKSIZE");
        put_integer(header, "ZVAL1", table->rice_block);
        put_text(header, "ZNAME2", "BYTEPIX");
        put_integer(header, "ZVAL2", table->rice_bytes);
    } else if (table->compression == AID_FITS_HCOMPRESS) {
        put_text(header, "ZNAME1", "SCALE");
        put_real(header, "ZVAL1", table->hcompress_scale);
        put_text(header, "ZNAME2", "SMOOTH");
        put_integer(header, "ZVAL2", table->hcompress_smooth);
    }
    if (table->quantize[0]) {
        put_text(header, "ZQUANTIZ", table->quantize);
        put_integer(header, "ZDITHER0", table->dither);
    }
    if (table->has_scale) {
        put_real(header, "ZSCALE", table->scale);
        put_real(header, "ZZERO", table->zero);
    }
    if (table->has_blank)
        put_integer(header, "ZBLANK", table->blank);
}

static void put_primary(header_text *header)
{
    put(header, "SIMPLE", "                   T");
    put_integer(header, "BITPIX", 8);
    put_integer(header, "NAXIS", 0);
    put(header, "EXTEND", "                   T");
    put_end(header);
}

static void put_table(header_text *header, const aid_fits_tile_table *table,
                      const aid_fits_scaling *scaling)
{
    uint64_t rows = table->row_size * table->row_count;
    put_text(header, "XTENSION", "BINTABLE");
    put_integer(header, "BITPIX", 8);
    put_integer(header, "NAXIS", 2);
    put_integer(header, "NAXIS1", (int64_t)table->row_size);
    put_integer(header, "NAXIS2", (int64_t)table->row_count);
    put_integer(header, "PCOUNT", (int64_t)(table->data_size - rows));
    put_integer(header, "GCOUNT", 1);
    put_columns(header, table);
    put_integer(header, "THEAP", (int64_t)table->heap_start);
    put(header, "ZIMAGE", "                   T");
    put_integer(header, "ZBITPIX", table->bitpix);
    put_integer(header, "ZNAXIS", 2);
    put_integer(header, "ZNAXIS1", table->width);
    put_integer(header, "ZNAXIS2", table->height);
    put_integer(header, "ZTILE1", table->tile_width);
    put_integer(header, "ZTILE2", table->tile_height);
    put_compression(header, table);
    put_real(header, "BSCALE", scaling->scale);
    put_real(header, "BZERO", scaling->zero);
    put_end(header);
}

/* An empty primary HDU and the table, in memory of their own. */
static aid_status compose(const aid_fits_tile_table *table, aid_fits_tiles *tiles, aid_error *err)
{
    const size_t header =
        (size_t)(MAX_CARDS + 1) * AID_FITS_CARD / AID_FITS_BLOCK * AID_FITS_BLOCK + AID_FITS_BLOCK;
    size_t data = (size_t)(table->data_size + AID_FITS_BLOCK - 1) / AID_FITS_BLOCK * AID_FITS_BLOCK;
    tiles->memory_size = AID_FITS_BLOCK + header + data;
    char *memory;
    AID_TRY(aid_new_buffer(tiles->memory_size, 1, "compressed tiles", &memory, err));
    tiles->memory = memory;
    memset(memory, ' ', AID_FITS_BLOCK + header);
    header_text primary = {.cards = memory}, extension = {.cards = memory + AID_FITS_BLOCK};
    put_primary(&primary);
    put_table(&extension, table, &tiles->scaling);
    /* The block in which END lies is the header's last one. */
    size_t used = ((size_t)extension.count * AID_FITS_CARD) / AID_FITS_BLOCK * AID_FITS_BLOCK +
                  AID_FITS_BLOCK;
    char *at = memory + AID_FITS_BLOCK + used;
    memcpy(at, table->data, table->data_size);
    memset(at + table->data_size, 0, data - (size_t)table->data_size);
    tiles->memory_size = AID_FITS_BLOCK + used + data;
    return AID_OK;
}

/* ------------------------------------------------------------------------------------- by CFITSIO
 */

static aid_status refuse(int status, const char *what, aid_error *err)
{
    char text[FLEN_STATUS];
    fits_get_errstatus(status, text);
    fits_clear_errmsg();
    AID_FAIL(err, status == MEMORY_ALLOCATION ? AID_ERR_NOMEM : AID_ERR_INVALID,
             "%s: CFITSIO says: %s", what, text);
}

static aid_status open_memory(const aid_fits_tile_table *table, aid_fits_tiles *tiles,
                              aid_error *err)
{
    int status = 0, bitpix = 0, naxis = 0;
    long axes[2] = {0};
    fits_open_memfile(&tiles->file, "tiles", READONLY, &tiles->memory, &tiles->memory_size, 0, NULL,
                      &status);
    fits_movabs_hdu(tiles->file, 2, NULL, &status);
    fits_get_img_param(tiles->file, 2, &bitpix, &naxis, axes, &status);
    if (status)
        return refuse(status, "the compressed image cannot be opened", err);
    if (naxis != 2 || axes[0] != table->width || axes[1] != table->height)
        AID_FAIL(err, AID_ERR_INVALID, "CFITSIO sees %ld x %ld pixels where %d x %d are", axes[0],
                 axes[1], table->width, table->height);
    return AID_OK;
}

aid_status aid_fits_tiles_open(const aid_fits_bytes *bytes, const aid_fits_hdu *hdu,
                               const aid_fits_scaling *scaling, aid_fits_tiles **ret_tiles,
                               aid_error *err)
{
    aid_fits_tile_table table;
    AID_TRY(aid_fits_tile_table_read(bytes, hdu, &table, err));
    aid_fits_tiles *tiles;
    AID_TRY(aid_new_array(1, sizeof *tiles, "compressed tiles", &tiles, err));
    tiles->width = table.width;
    tiles->tile_height = table.tile_height;
    tiles->bitpix = table.bitpix;
    tiles->scaling = *scaling;
    aid_status status = compose(&table, tiles, err);
    if (status == AID_OK)
        status = open_memory(&table, tiles, err);
    if (status != AID_OK) {
        aid_fits_tiles_close(tiles);
        return status;
    }
    *ret_tiles = tiles;
    return AID_OK;
}

void aid_fits_tiles_close(aid_fits_tiles *tiles)
{
    if (!tiles)
        return;
    int status = 0;
    if (tiles->file)
        fits_close_file(tiles->file, &status);
    fits_clear_errmsg();
    free(tiles->memory);
    free(tiles);
}

int32_t aid_fits_tiles_height(const aid_fits_tiles *tiles)
{
    return tiles->tile_height;
}

static aid_status read_rows(aid_fits_tiles *tiles, int type, int32_t first_row, int32_t rows,
                            void *ret_pixels, aid_error *err)
{
    float missing_float = NAN;
    double missing_double = NAN;
    void *missing = type == TFLOAT ? (void *)&missing_float : (void *)&missing_double;
    int status = 0, any_missing = 0;
    LONGLONG first = (LONGLONG)first_row * tiles->width + 1;
    LONGLONG count = (LONGLONG)rows * tiles->width;
    fits_read_img(tiles->file, type, first, count, missing, ret_pixels, &any_missing, &status);
    return status ? refuse(status, "the compressed image cannot be read", err) : AID_OK;
}

/* CFITSIO inflates lossless doubles in place, so they need the room of doubles. */
static aid_status read_doubles(aid_fits_tiles *tiles, int32_t first_row, int32_t rows,
                               double **ret_values, aid_error *err)
{
    double *values;
    size_t count = (size_t)rows * (size_t)tiles->width;
    AID_TRY(aid_new_buffer(count, sizeof *values, "decompressed tiles", &values, err));
    aid_status status = read_rows(tiles, TDOUBLE, first_row, rows, values, err);
    if (status != AID_OK) {
        free(values);
        return status;
    }
    *ret_values = values;
    return AID_OK;
}

aid_status aid_fits_tiles_floats(aid_fits_tiles *tiles, int32_t first_row, int32_t rows,
                                 float *ret_pixels, aid_error *err)
{
    if (tiles->bitpix != -64)
        return read_rows(tiles, TFLOAT, first_row, rows, ret_pixels, err);
    AID_CLEANUP(aid_free_pointer)
    double *values = NULL;
    AID_TRY(read_doubles(tiles, first_row, rows, &values, err));
    for (int64_t i = 0; i < (int64_t)rows * tiles->width; i++)
        ret_pixels[i] = (float)values[i];
    return AID_OK;
}

/* Doubles hold every integer of 32 bits exactly, and compressed ones are not wider. */
aid_status aid_fits_tiles_integers(aid_fits_tiles *tiles, int32_t first_row, int32_t rows,
                                   int64_t *ret_pixels, aid_error *err)
{
    AID_CLEANUP(aid_free_pointer)
    double *values = NULL;
    AID_TRY(read_doubles(tiles, first_row, rows, &values, err));
    for (int64_t i = 0; i < (int64_t)rows * tiles->width; i++)
        ret_pixels[i] = aid_fits_whole_number(values[i]);
    return AID_OK;
}
