/* The first inputs of the FITS fuzzers: small files of every kind, and the decoder's replies to
 * them. Arguments: the folder for files, the folder for replies. */
#define _GNU_SOURCE
#include "tests/adapters/fits/decode_here.h"
#include "tests/adapters/fits/naive_fits.h"

#include <fitsio.h>
#include <zlib.h>

static const char *file_folder, *reply_folder;

static void save(const char *folder, const char *name, const void *bytes, size_t size)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(bytes, 1, size, file) != size || fclose(file) != 0)
        abort();
}

/* The file, the same with gzip, and its reply; the file is used up. */
static void put(naive_fits *file, const char *name)
{
    char gzip_name[128];
    aid_fits_request request = {0};
    reply_block block = decode_to_block(file->bytes, file->size, &request);
    save(reply_folder, name, block.bytes, block.size);
    free(block.bytes);
    save(file_folder, name, file->bytes, file->size);
    uLong room = compressBound(file->size) + 64;
    z_stream stream = {0};
    Bytef *packed = malloc(room);
    if (!packed || deflateInit2(&stream, 9, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        abort();
    stream.next_in = file->bytes;
    stream.avail_in = (uInt)file->size;
    stream.next_out = packed;
    stream.avail_out = (uInt)room;
    if (deflate(&stream, Z_FINISH) != Z_STREAM_END)
        abort();
    snprintf(gzip_name, sizeof gzip_name, "%s.gz", name);
    save(file_folder, gzip_name, packed, stream.total_out);
    deflateEnd(&stream);
    free(packed);
    naive_free(file);
}

static void put_plain(void)
{
    static const int bitpixes[] = {8, 16, 32, 64, -32, -64};
    const double values[] = {1, 2, 3, 4, 5, 6};
    for (size_t i = 0; i < AID_COUNT_OF(bitpixes); i++) {
        char name[32];
        naive_fits file = {0};
        naive_primary(&file, bitpixes[i], 2, 3, 2);
        naive_card(&file, "BSCALE  =                  2.0");
        naive_card(&file, "BZERO   =                 32.0 / offset");
        naive_card(&file, "BLANK   =                    4");
        naive_card(&file, "OBJECT  = 'O''Neill &'");
        naive_card(&file, "CONTINUE  'goes on' / and on");
        naive_card(&file, "HIERARCH ESO DET = 1.5D0");
        naive_end(&file);
        naive_values(&file, bitpixes[i], values, 6);
        snprintf(name, sizeof name, "plain_%d", bitpixes[i]);
        put(&file, name);
    }
}

static void put_companions(void)
{
    const double values[] = {0, 1, 2, 4};
    naive_fits file = {0};
    naive_empty_primary(&file);
    naive_image(&file, "SCI", -32, 2, 2, values);
    naive_image(&file, "ERR", -32, 2, 2, values);
    naive_image(&file, "DQ", 16, 2, 2, values);
    put(&file, "companions");
    naive_primary(&file, 16, 2, 2, 2);
    naive_end(&file);
    naive_values(&file, 16, values, 4);
    naive_image(&file, "WHT", -64, 2, 2, values);
    naive_table(&file);
    naive_extension(&file, "IMAGE", 32, 2, 2);
    naive_counts(&file, 0);
    naive_card(&file, "EXTTYPE = 'MASK'");
    naive_card(&file, "MP_SAT  =                    1");
    naive_end(&file);
    naive_values(&file, 32, values, 4);
    put(&file, "planes");
}

/* Numbers, scaled ones, nulls, texts and a vector. */
static void put_table(void)
{
    naive_fits file = {0};
    naive_empty_primary(&file);
    naive_extension(&file, "BINTABLE", 8, 21, 2);
    naive_counts(&file, 0);
    naive_card(&file, "TFIELDS =                    5");
    naive_card(&file, "TTYPE1  = 'id      '");
    naive_card(&file, "TFORM1  = 'I       '");
    naive_card(&file, "TZERO1  =                32768");
    naive_card(&file, "TNULL1  =                    3");
    naive_card(&file, "TFORM2  = 'D       '");
    naive_card(&file, "TDISP2  = 'F8.3    '");
    naive_card(&file, "TUNIT2  = 'deg     '");
    naive_card(&file, "TFORM3  = '2A      '");
    naive_card(&file, "TFORM4  = '2E      '");
    naive_card(&file, "TFORM5  = 'L       '");
    naive_end(&file);
    for (int row = 0; row < 2; row++) {
        naive_whole(&file, 2, (uint64_t)row + 2);
        naive_value(&file, -64, 0.5);
        naive_bytes(&file, "ab", 2);
        naive_value(&file, -32, 1.0);
        naive_value(&file, -32, 2.0);
        naive_bytes(&file, "T", 1);
    }
    naive_fill(&file, '\0');
    aid_fits_request request = {.table = true};
    reply_block block = decode_to_block(file.bytes, file.size, &request);
    save(reply_folder, "table_reply", block.bytes, block.size);
    free(block.bytes);
    put(&file, "table");
}

enum { SIDE = 24 };

/* CFITSIO compresses only what is given in the image's own type. */
static int fill_pixels(int type, void *pixels)
{
    for (int i = 0; i < SIDE * SIDE; i++) {
        int value = 100 + i % 7 + i / SIDE;
        if (type == BYTE_IMG)
            ((uint8_t *)pixels)[i] = (uint8_t)value;
        else if (type == SHORT_IMG)
            ((int16_t *)pixels)[i] = (int16_t)value;
        else if (type == LONG_IMG)
            ((int32_t *)pixels)[i] = value;
        else if (type == FLOAT_IMG)
            ((float *)pixels)[i] = (float)value + 0.25f * (float)(i % 3);
        else
            ((double *)pixels)[i] = value + 0.25 * (i % 3);
    }
    return type == BYTE_IMG    ? TBYTE
           : type == SHORT_IMG ? TSHORT
           : type == LONG_IMG  ? TINT
           : type == FLOAT_IMG ? TFLOAT
                               : TDOUBLE;
}

/* CFITSIO's own writing, so that every decompressor gets sound streams to begin with. */
static void put_tiles(int algorithm, int type, float quantise, long tile_height, const char *name)
{
    double pixels[SIDE * SIDE]; /* room for any type */
    int data_type = fill_pixels(type, pixels);
    int status = 0;
    fitsfile *fits = NULL;
    size_t size = 2880;
    void *memory = malloc(size);
    long axes[2] = {SIDE, SIDE}, tile[2] = {SIDE, tile_height};
    fits_create_memfile(&fits, &memory, &size, 2880, realloc, &status);
    fits_create_img(fits, 8, 0, axes, &status);
    fits_set_compression_type(fits, algorithm, &status);
    fits_set_tile_dim(fits, 2, tile, &status);
    fits_set_quantize_level(fits, quantise, &status);
    fits_create_img(fits, type, 2, axes, &status);
    fits_write_img(fits, data_type, 1, SIDE * SIDE, pixels, &status);
    fits_close_file(fits, &status);
    if (status) {
        fits_report_error(stderr, status);
        abort();
    }
    naive_fits file = {0};
    naive_bytes(&file, memory, size);
    free(memory);
    put(&file, name);
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    file_folder = argv[1];
    reply_folder = argv[2];
    put_plain();
    put_companions();
    put_table();
    put_tiles(RICE_1, SHORT_IMG, 4, 1, "rice_16");
    put_tiles(RICE_1, BYTE_IMG, 4, 1, "rice_8");
    put_tiles(RICE_1, LONG_IMG, 4, 7, "rice_32");
    put_tiles(RICE_1, FLOAT_IMG, 16, 1, "rice_float");
    put_tiles(GZIP_1, SHORT_IMG, 4, 5, "gzip_16");
    put_tiles(GZIP_2, LONG_IMG, 4, 1, "gzip_32");
    put_tiles(GZIP_1, FLOAT_IMG, 0, 1, "gzip_float");
    put_tiles(GZIP_2, DOUBLE_IMG, 0, 6, "gzip_double");
    put_tiles(GZIP_2, FLOAT_IMG, 4, 24, "gzip_float_scaled");
    put_tiles(HCOMPRESS_1, SHORT_IMG, 4, 24, "hcompress_16");
    put_tiles(HCOMPRESS_1, LONG_IMG, 4, 12, "hcompress_32");
    put_tiles(HCOMPRESS_1, FLOAT_IMG, 4, 8, "hcompress_float");
    put_tiles(PLIO_1, SHORT_IMG, 4, 1, "plio_16");
    put_tiles(PLIO_1, BYTE_IMG, 4, 24, "plio_8");
    return 0;
}
