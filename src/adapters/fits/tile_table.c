#include "adapters/fits/tile_table.h"

#include "adapters/fits/tile_streams.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An image of blank sky shrinks a lot, but not without end: beyond this it is a bomb. */
static const uint64_t free_expansion = 64ull << 20; /* bytes of pixels that nobody questions */
static const uint64_t max_expansion = 16384;        /* bytes of pixels from one stored byte */

static const char *const compression_names[] = {
    [AID_FITS_RICE] = "RICE_1",   [AID_FITS_GZIP_1] = "GZIP_1",
    [AID_FITS_GZIP_2] = "GZIP_2", [AID_FITS_HCOMPRESS] = "HCOMPRESS_1",
    [AID_FITS_PLIO] = "PLIO_1",   [AID_FITS_UNCOMPRESSED] = "NOCOMPRESS"};

const char *aid_fits_compression_name(aid_fits_compression compression)
{
    return compression_names[compression];
}

/* --------------------------------------------------------------------------------------- keywords
 */

static aid_status read_integer_between(aid_fits_cards cards, const char *keyword, int64_t fallback,
                                       const int64_t range[2], int64_t *ret_value, aid_error *err)
{
    AID_TRY(aid_fits_integer(cards, keyword, fallback, ret_value, err));
    if (*ret_value < range[0] || *ret_value > range[1])
        AID_FAIL(err, AID_ERR_INVALID, "%s = %lld is not between %lld and %lld", keyword,
                 (long long)*ret_value, (long long)range[0], (long long)range[1]);
    return AID_OK;
}

static aid_status read_shape(aid_fits_cards cards, const aid_fits_hdu *hdu,
                             aid_fits_tile_table *table, aid_error *err)
{
    const int64_t any_size[2] = {1, INT32_MAX};
    int64_t tile_width, tile_height;
    table->bitpix = hdu->bitpix;
    table->width = (int32_t)hdu->axes[0];
    table->height = (int32_t)hdu->axes[1];
    AID_TRY(read_integer_between(cards, "ZTILE1", table->width, any_size, &tile_width, err));
    AID_TRY(read_integer_between(cards, "ZTILE2", 1, any_size, &tile_height, err));
    table->tile_width = (int32_t)AID_MIN(tile_width, (int64_t)table->width);
    table->tile_height = (int32_t)AID_MIN(tile_height, (int64_t)table->height);
    if (table->bitpix == 64)
        AID_FAIL(err, AID_ERR_INVALID, "compressed 64-bit integers (ZBITPIX = 64) cannot be read");
    uint64_t pixels = (uint64_t)table->width * (uint64_t)table->height * 4;
    if (pixels > free_expansion && pixels / max_expansion > hdu->data_size)
        AID_FAIL(err, AID_ERR_INVALID, "%d x %d pixels cannot come from %llu compressed bytes",
                 table->width, table->height, (unsigned long long)hdu->data_size);
    return AID_OK;
}

static aid_status read_compression(aid_fits_cards cards, aid_fits_tile_table *table, aid_error *err)
{
    char name[AID_FITS_NAME];
    aid_fits_text(cards, "ZCMPTYPE", name, sizeof name);
    if (!strcmp(name, "RICE_ONE")) /* an older name */
        snprintf(name, sizeof name, "RICE_1");
    for (size_t i = 0; i < AID_COUNT_OF(compression_names); i++)
        if (!strcmp(name, compression_names[i])) {
            table->compression = (aid_fits_compression)i;
            return AID_OK;
        }
    AID_FAIL(err, AID_ERR_INVALID, "unknown compression ZCMPTYPE = '%.40s'", name);
}

/* The parameters ZNAMEn = ZVALn; others than these do not matter for decompression. */
static aid_status read_parameters(aid_fits_cards cards, aid_fits_tile_table *table, aid_error *err)
{
    const int64_t block_range[2] = {1, 4096}, byte_range[2] = {1, 4}, smooth_range[2] = {0, 1};
    table->rice_block = 32;
    table->rice_bytes = 4;
    for (int i = 1; i <= 99; i++) {
        char keyword[16], name[AID_FITS_NAME];
        snprintf(keyword, sizeof keyword, "ZNAME%d", i);
        aid_fits_text(cards, keyword, name, sizeof name);
        if (!name[0])
            break;
        snprintf(keyword, sizeof keyword, "ZVAL%d", i);
        if (!strcmp(name, "BLOCKSIZE"))
            AID_TRY(read_integer_between(cards, keyword, 32, block_range, &table->rice_block, err));
        else if (!strcmp(name, "BYTEPIX"))
            AID_TRY(read_integer_between(cards, keyword, 4, byte_range, &table->rice_bytes, err));
        else if (!strcmp(name, "SCALE"))
            AID_TRY(aid_fits_real(cards, keyword, 0.0, &table->hcompress_scale, err));
        else if (!strcmp(name, "SMOOTH"))
            AID_TRY(read_integer_between(cards, keyword, 0, smooth_range, &table->hcompress_smooth,
                                         err));
    }
    if (table->rice_bytes == 3)
        AID_FAIL(err, AID_ERR_INVALID, "BYTEPIX = 3 is not 1, 2 or 4");
    return AID_OK;
}

static aid_status read_quantisation(aid_fits_cards cards, aid_fits_tile_table *table,
                                    aid_error *err)
{
    static const char *const names[] = {"", "NONE", "NO_DITHER", "SUBTRACTIVE_DITHER_1",
                                        "SUBTRACTIVE_DITHER_2"};
    const int64_t dither_range[2] = {1, 10000}, blank_range[2] = {INT32_MIN, INT32_MAX};
    aid_fits_text(cards, "ZQUANTIZ", table->quantize, sizeof table->quantize);
    bool known = false;
    for (size_t i = 0; i < AID_COUNT_OF(names); i++)
        known = known || !strcmp(table->quantize, names[i]);
    if (!known)
        AID_FAIL(err, AID_ERR_INVALID, "unknown quantisation ZQUANTIZ = '%.40s'", table->quantize);
    AID_TRY(read_integer_between(cards, "ZDITHER0", 1, dither_range, &table->dither, err));
    table->has_scale = aid_fits_card_find(cards, "ZSCALE") && aid_fits_card_find(cards, "ZZERO");
    AID_TRY(aid_fits_real(cards, "ZSCALE", 1.0, &table->scale, err));
    AID_TRY(aid_fits_real(cards, "ZZERO", 0.0, &table->zero, err));
    const char *blank = aid_fits_card_find(cards, "ZBLANK") ? "ZBLANK" : "BLANK";
    table->has_blank = aid_fits_card_find(cards, blank) != NULL;
    return read_integer_between(cards, blank, 0, blank_range, &table->blank, err);
}

/* ---------------------------------------------------------------------------------------- columns
 */

static int item_size(char letter)
{
    static const char letters[] = "LABIJKED";
    static const int sizes[] = {1, 1, 1, 2, 4, 8, 4, 8};
    const char *found = letter ? strchr(letters, letter) : NULL;
    return found ? sizes[found - letters] : 0;
}

/* TFORM: a repeat count, a letter, and behind P or Q the letter of the elements. */
static aid_status parse_form(aid_fits_tile_column *column, aid_error *err)
{
    char *at;
    unsigned long repeat = strtoul(column->form, &at, 10);
    if (at == column->form)
        repeat = 1;
    bool odd = strspn(column->form, "0123456789LABIJKEDPQ()") != strlen(column->form);
    if (*at == 'P' || *at == 'Q')
        column->array = *at++;
    column->letter = *at;
    column->item = item_size(column->letter);
    if (odd || column->item == 0 || repeat > 1000000 || (column->array && repeat > 1))
        AID_FAIL(err, AID_ERR_INVALID, "TFORM '%.40s' is not for compressed tiles", column->form);
    int in_row = column->array == 'P' ? 8 : column->array == 'Q' ? 16 : column->item;
    column->width = repeat * (uint64_t)in_row;
    return AID_OK;
}

/* The elements that each kind of column may have; for values in the row the exact TFORM is not
 * fixed, but one of each there must be. */
static aid_status check_column(const aid_fits_tile_table *table, const aid_fits_tile_column *column,
                               aid_error *err)
{
    bool good = true;
    switch (column->role) {
    case AID_FITS_TILE_COMPRESSED:
        good = column->array && column->letter == (table->compression == AID_FITS_PLIO ? 'I' : 'B');
        break;
    case AID_FITS_TILE_GZIP:
        good = column->array && column->letter == 'B' && table->bitpix < 0;
        break;
    case AID_FITS_TILE_RAW:
        good = column->array && column->item == abs(table->bitpix) / 8;
        break;
    case AID_FITS_TILE_SCALE:
    case AID_FITS_TILE_ZERO:
    case AID_FITS_TILE_BLANK:
        good = !column->array && column->width == (uint64_t)column->item;
        break;
    case AID_FITS_TILE_OTHER:
        break;
    }
    if (!good)
        AID_FAIL(err, AID_ERR_INVALID, "TFORM '%.40s' does not fit its column", column->form);
    return AID_OK;
}

static aid_status read_role(aid_fits_cards cards, int number, aid_fits_tile_role *ret_role,
                            aid_error *err)
{
    static const char *const names[] = {[AID_FITS_TILE_COMPRESSED] = "COMPRESSED_DATA",
                                        [AID_FITS_TILE_GZIP] = "GZIP_COMPRESSED_DATA",
                                        [AID_FITS_TILE_RAW] = "UNCOMPRESSED_DATA",
                                        [AID_FITS_TILE_SCALE] = "ZSCALE",
                                        [AID_FITS_TILE_ZERO] = "ZZERO",
                                        [AID_FITS_TILE_BLANK] = "ZBLANK"};
    char keyword[16], name[AID_FITS_NAME];
    snprintf(keyword, sizeof keyword, "TTYPE%d", number);
    aid_fits_text(cards, keyword, name, sizeof name);
    *ret_role = AID_FITS_TILE_OTHER;
    for (size_t i = 1; i < AID_COUNT_OF(names); i++)
        if (!strcmp(name, names[i]))
            *ret_role = (aid_fits_tile_role)i;
    if (!strcmp(name, "NULL_PIXEL_MASK"))
        AID_FAIL(err, AID_ERR_INVALID, "a NULL_PIXEL_MASK column cannot be read");
    return AID_OK;
}

static aid_status read_columns(aid_fits_cards cards, aid_fits_tile_table *table, aid_error *err)
{
    const int64_t column_range[2] = {1, AID_FITS_TILE_COLUMNS};
    int64_t count;
    uint64_t offset = 0;
    bool seen[AID_FITS_TILE_BLANK + 1] = {false};
    AID_TRY(read_integer_between(cards, "TFIELDS", 0, column_range, &count, err));
    table->column_count = (int)count;
    for (int i = 0; i < table->column_count; i++) {
        aid_fits_tile_column *column = &table->columns[i];
        char keyword[16];
        snprintf(keyword, sizeof keyword, "TFORM%d", i + 1);
        aid_fits_text(cards, keyword, column->form, sizeof column->form);
        AID_TRY(read_role(cards, i + 1, &column->role, err));
        AID_TRY(parse_form(column, err));
        AID_TRY(check_column(table, column, err));
        if (seen[column->role] && column->role != AID_FITS_TILE_OTHER)
            AID_FAIL(err, AID_ERR_INVALID, "column %d is there twice", i + 1);
        seen[column->role] = true;
        column->offset = offset;
        offset += column->width;
    }
    if (!seen[AID_FITS_TILE_COMPRESSED])
        AID_FAIL(err, AID_ERR_INVALID, "no column COMPRESSED_DATA");
    if (seen[AID_FITS_TILE_SCALE] != seen[AID_FITS_TILE_ZERO])
        AID_FAIL(err, AID_ERR_INVALID, "one of the columns ZSCALE and ZZERO is missing");
    if (offset != table->row_size)
        AID_FAIL(err, AID_ERR_INVALID, "NAXIS1 = %llu, but the columns are %llu bytes wide",
                 (unsigned long long)table->row_size, (unsigned long long)offset);
    return AID_OK;
}

/* ------------------------------------------------------------------------------------------ tiles
 */

/* Where the array of one column and row lies in the data. */
static aid_status find_array(const aid_fits_tile_table *table, const aid_fits_tile_column *column,
                             uint64_t row, const uint8_t **ret_array, uint64_t *ret_count,
                             aid_error *err)
{
    const uint8_t *descriptor = table->data + row * table->row_size + column->offset;
    int half = column->array == 'P' ? 4 : 8;
    uint64_t count = aid_fits_load_big_endian(descriptor, half),
             offset = aid_fits_load_big_endian(descriptor + half, half);
    uint64_t heap_size = table->data_size - table->heap_start, item = (uint64_t)column->item;
    if (offset > heap_size || count > (heap_size - offset) / item)
        AID_FAIL(err, AID_ERR_INVALID, "%llu elements at byte %llu of a heap of %llu bytes",
                 (unsigned long long)count, (unsigned long long)offset,
                 (unsigned long long)heap_size);
    *ret_array = table->data + table->heap_start + offset;
    *ret_count = count;
    return AID_OK;
}

static uint64_t pixels_of_tile(const aid_fits_tile_table *table, uint64_t row)
{
    uint64_t across =
        ((uint64_t)table->width + (uint64_t)table->tile_width - 1) / (uint64_t)table->tile_width;
    int64_t x = (int64_t)(row % across) * table->tile_width;
    int64_t y = (int64_t)(row / across) * table->tile_height;
    int64_t width = AID_MIN(table->tile_width, table->width - x);
    int64_t height = AID_MIN(table->tile_height, table->height - y);
    return (uint64_t)(width * height);
}

/* What CFITSIO will make of the array of one column. */
static aid_status check_array(const aid_fits_tile_table *table, aid_fits_tile_role role,
                              const uint8_t *array, uint64_t count, uint64_t pixels, aid_error *err)
{
    bool gzip = table->compression == AID_FITS_GZIP_1 || table->compression == AID_FITS_GZIP_2;
    if (role == AID_FITS_TILE_RAW && count != pixels)
        AID_FAIL(err, AID_ERR_INVALID, "%llu values for %llu pixels", (unsigned long long)count,
                 (unsigned long long)pixels);
    if (role == AID_FITS_TILE_GZIP || (role == AID_FITS_TILE_COMPRESSED && gzip))
        return aid_fits_tile_check_gzip(array, count, pixels, err);
    if (role == AID_FITS_TILE_COMPRESSED && table->compression == AID_FITS_HCOMPRESS)
        return aid_fits_tile_check_hcompress(array, count, pixels, err);
    if (role == AID_FITS_TILE_COMPRESSED && table->compression == AID_FITS_PLIO)
        return aid_fits_tile_check_plio(array, count, err);
    return AID_OK;
}

static aid_status check_tile(const aid_fits_tile_table *table, uint64_t row, aid_error *err)
{
    uint64_t pixels = pixels_of_tile(table, row);
    bool there_is = false;
    for (int i = 0; i < table->column_count; i++) {
        const aid_fits_tile_column *column = &table->columns[i];
        const uint8_t *array = NULL;
        uint64_t count = 0;
        if (!column->array)
            continue;
        AID_TRY(find_array(table, column, row, &array, &count, err));
        if (column->role == AID_FITS_TILE_OTHER || count == 0)
            continue;
        AID_TRY(check_array(table, column->role, array, count, pixels, err));
        there_is = true;
    }
    if (!there_is)
        AID_FAIL(err, AID_ERR_INVALID, "nothing in it");
    return AID_OK;
}

static aid_status check_tiles(const aid_fits_tile_table *table, aid_error *err)
{
    int64_t across = ((int64_t)table->width + table->tile_width - 1) / table->tile_width;
    int64_t down = ((int64_t)table->height + table->tile_height - 1) / table->tile_height;
    if (table->row_count != (uint64_t)(across * down))
        AID_FAIL(err, AID_ERR_INVALID, "%llu compressed tiles where %lld x %lld must be",
                 (unsigned long long)table->row_count, (long long)across, (long long)down);
    for (uint64_t row = 0; row < table->row_count; row++) {
        aid_status status = check_tile(table, row, err);
        if (status != AID_OK)
            return aid_error_prefix(err, status, "tile %llu", (unsigned long long)row + 1);
    }
    return AID_OK;
}

/* ------------------------------------------------------------------------------------------ table
 */

/* The walk over the file has checked NAXISn and PCOUNT, and that so many bytes are there. */
static aid_status read_extent(aid_fits_cards cards, const aid_fits_bytes *bytes,
                              const aid_fits_hdu *hdu, aid_fits_tile_table *table, aid_error *err)
{
    int64_t naxis, bitpix, gcount, row_size, row_count, heap_start;
    AID_TRY(aid_fits_integer(cards, "BITPIX", 0, &bitpix, err));
    AID_TRY(aid_fits_integer(cards, "NAXIS", 0, &naxis, err));
    AID_TRY(aid_fits_integer(cards, "GCOUNT", 1, &gcount, err));
    if (bitpix != 8 || naxis != 2 || gcount != 1)
        AID_FAIL(err, AID_ERR_INVALID, "a binary table with BITPIX %lld, NAXIS %lld, GCOUNT %lld",
                 (long long)bitpix, (long long)naxis, (long long)gcount);
    AID_TRY(aid_fits_integer(cards, "NAXIS1", 0, &row_size, err));
    AID_TRY(aid_fits_integer(cards, "NAXIS2", 0, &row_count, err));
    AID_TRY(aid_fits_integer(cards, "THEAP", row_size * row_count, &heap_start, err));
    if (heap_start < row_size * row_count || (uint64_t)heap_start > hdu->data_size)
        AID_FAIL(err, AID_ERR_INVALID, "THEAP = %lld is not between %lld and %llu",
                 (long long)heap_start, (long long)(row_size * row_count),
                 (unsigned long long)hdu->data_size);
    table->data = bytes->data + hdu->data_start;
    table->data_size = hdu->data_size;
    table->row_size = (uint64_t)row_size;
    table->row_count = (uint64_t)row_count;
    table->heap_start = (uint64_t)heap_start;
    return AID_OK;
}

aid_status aid_fits_tile_table_read(const aid_fits_bytes *bytes, const aid_fits_hdu *hdu,
                                    aid_fits_tile_table *ret_table, aid_error *err)
{
    aid_fits_cards cards = aid_fits_hdu_cards(bytes, hdu);
    aid_fits_tile_table table = {0};
    AID_TRY(read_extent(cards, bytes, hdu, &table, err));
    AID_TRY(read_shape(cards, hdu, &table, err));
    AID_TRY(read_compression(cards, &table, err));
    AID_TRY(read_parameters(cards, &table, err));
    AID_TRY(read_quantisation(cards, &table, err));
    AID_TRY(read_columns(cards, &table, err));
    AID_TRY(check_tiles(&table, err));
    *ret_table = table;
    return AID_OK;
}
