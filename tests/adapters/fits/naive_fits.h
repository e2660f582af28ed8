/* FITS by hand, in memory: cards and big-endian numbers one by one, with no library and none of the
 * program's own code. What is wrong in a file is written as simply as what is right. */
#ifndef AID_TESTS_ADAPTERS_FITS_NAIVE_FITS_H
#define AID_TESTS_ADAPTERS_FITS_NAIVE_FITS_H

#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct naive_fits {
    uint8_t *bytes;
    size_t size, capacity;
} naive_fits;

static inline void naive_free(naive_fits *file)
{
    free(file->bytes);
    *file = (naive_fits){0};
}

static inline void naive_bytes(naive_fits *file, const void *bytes, size_t size)
{
    if (file->size + size > file->capacity) {
        file->capacity = 2 * (file->size + size) + 2880;
        file->bytes = realloc(file->bytes, file->capacity);
        if (!file->bytes)
            abort();
    }
    memcpy(file->bytes + file->size, bytes, size);
    file->size += size;
}

static inline void naive_fill(naive_fits *file, char with)
{
    while (file->size % 2880)
        naive_bytes(file, &with, 1);
}

/* One card, filled up with blanks and cut at 80 bytes. */
__attribute__((format(printf, 2, 3))) static inline void naive_card(naive_fits *file,
                                                                    const char *format, ...)
{
    char text[512], card[80];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    memset(card, ' ', sizeof card);
    size_t length = strlen(text);
    memcpy(card, text, length < sizeof card ? length : sizeof card);
    naive_bytes(file, card, sizeof card);
}

static inline void naive_end(naive_fits *file)
{
    naive_card(file, "END");
    naive_fill(file, ' ');
}

static inline void naive_whole(naive_fits *file, int bytes, uint64_t value)
{
    for (int i = bytes - 1; i >= 0; i--) {
        uint8_t byte = (uint8_t)(value >> (8 * i));
        naive_bytes(file, &byte, 1);
    }
}

/* A stored value of any BITPIX; whole numbers must fit a double. */
static inline void naive_value(naive_fits *file, int bitpix, double value)
{
    if (bitpix == -32) {
        float single = (float)value;
        uint32_t bits;
        memcpy(&bits, &single, sizeof bits);
        naive_whole(file, 4, bits);
    } else if (bitpix == -64) {
        uint64_t bits;
        memcpy(&bits, &value, sizeof bits);
        naive_whole(file, 8, bits);
    } else {
        naive_whole(file, bitpix / 8, (uint64_t)(int64_t)value);
    }
}

static inline void naive_values(naive_fits *file, int bitpix, const double *values, int count)
{
    for (int i = 0; i < count; i++)
        naive_value(file, bitpix, values[i]);
    naive_fill(file, '\0');
}

/* The mandatory cards of a primary HDU (empty with naxis 0) or an extension; more may follow. */
static inline void naive_primary(naive_fits *file, int bitpix, int naxis, int width, int height)
{
    naive_card(file, "SIMPLE  =                    T / made by hand");
    naive_card(file, "BITPIX  = %20d", bitpix);
    naive_card(file, "NAXIS   = %20d", naxis);
    if (naxis > 0)
        naive_card(file, "NAXIS1  = %20d", width);
    if (naxis > 1)
        naive_card(file, "NAXIS2  = %20d", height);
}

static inline void naive_extension(naive_fits *file, const char *type, int bitpix, int width,
                                   int height)
{
    naive_card(file, "XTENSION= '%-8s'           / made by hand", type);
    naive_card(file, "BITPIX  = %20d", bitpix);
    naive_card(file, "NAXIS   =                    2");
    naive_card(file, "NAXIS1  = %20d", width);
    naive_card(file, "NAXIS2  = %20d", height);
}

static inline void naive_counts(naive_fits *file, int pcount)
{
    naive_card(file, "PCOUNT  = %20d", pcount);
    naive_card(file, "GCOUNT  =                    1");
}

/* An empty primary HDU. */
static inline void naive_empty_primary(naive_fits *file)
{
    naive_primary(file, 8, 0, 0, 0);
    naive_card(file, "EXTEND  =                    T");
    naive_end(file);
}

/* An image extension of that name, whole. */
static inline void naive_image(naive_fits *file, const char *name, int bitpix, int width,
                               int height, const double *values)
{
    naive_extension(file, "IMAGE", bitpix, width, height);
    naive_counts(file, 0);
    if (name)
        naive_card(file, "EXTNAME = '%s'", name);
    naive_end(file);
    naive_values(file, bitpix, values, width * height);
}

/* A table with one column of pairs, for what is no image. */
static inline void naive_table(naive_fits *file)
{
    naive_extension(file, "BINTABLE", 8, 4, 3);
    naive_counts(file, 0);
    naive_card(file, "TFIELDS =                    1");
    naive_card(file, "TTYPE1  = 'PAIR    '");
    naive_card(file, "TFORM1  = '2I      '");
    naive_end(file);
    const double values[6] = {1, 2, 3, 4, 5, 6};
    naive_values(file, 16, values, 6);
}

/* A tile-compressed image: the tiles' descriptors and heap are given as they are to stand there. */
typedef struct naive_tiles {
    const char *compression;
    int bitpix, width, height, tile_width, tile_height;
    const char *form;     /* of COMPRESSED_DATA */
    const char *raw_form; /* of UNCOMPRESSED_DATA; NULL: no such column */
    int rows;
    const uint32_t (*descriptors)[2]; /* count, offset: one for each column of each row */
    const void *heap;
    int heap_size;
} naive_tiles;

static inline void naive_tile_image(naive_fits *file, const naive_tiles *tiles)
{
    int columns = tiles->raw_form ? 2 : 1;
    naive_extension(file, "BINTABLE", 8, 8 * columns, tiles->rows);
    naive_counts(file, tiles->heap_size);
    naive_card(file, "TFIELDS = %20d", columns);
    naive_card(file, "TTYPE1  = 'COMPRESSED_DATA'");
    naive_card(file, "TFORM1  = '%s'", tiles->form);
    if (tiles->raw_form) {
        naive_card(file, "TTYPE2  = 'UNCOMPRESSED_DATA'");
        naive_card(file, "TFORM2  = '%s'", tiles->raw_form);
    }
    naive_card(file, "ZIMAGE  =                    T");
    naive_card(file, "ZCMPTYPE= '%s'", tiles->compression);
    naive_card(file, "ZBITPIX = %20d", tiles->bitpix);
    naive_card(file, "ZNAXIS  =                    2");
    naive_card(file, "ZNAXIS1 = %20d", tiles->width);
    naive_card(file, "ZNAXIS2 = %20d", tiles->height);
    naive_card(file, "ZTILE1  = %20d", tiles->tile_width);
    naive_card(file, "ZTILE2  = %20d", tiles->tile_height);
    naive_end(file);
    for (int i = 0; i < tiles->rows * columns; i++) {
        naive_whole(file, 4, tiles->descriptors[i][0]);
        naive_whole(file, 4, tiles->descriptors[i][1]);
    }
    naive_bytes(file, tiles->heap, (size_t)tiles->heap_size);
    naive_fill(file, '\0');
}

#endif
