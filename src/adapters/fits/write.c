/* FITS files from images, masks and headers. Straight from the standard rather than through
 * CFITSIO: the form is simple, and conversion, sum and write share one pass through the cache. */
#include "adapters/fits/write_hdu.h"

#include "core/base/memory.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------------------------ the writer
 */

static void release(aid_fits_writer *writer)
{
    aid_fits_cards_done(&writer->cards);
    free(writer->staging);
    free(writer->path);
    free(writer);
}

static aid_status prepare(aid_fits_writer *writer, const char *path, aid_error *err)
{
    AID_TRY(aid_new_buffer(AID_FITS_STAGING, 1, path, &writer->staging, err));
    writer->path = strdup(path);
    if (!writer->path)
        AID_FAIL(err, AID_ERR_NOMEM, "%s: out of memory", path);
    AID_TRY(aid_new_file_open(path, &writer->file, err));
    writer->descriptor = fileno(aid_new_file_stream(writer->file));
    return AID_OK;
}

aid_status aid_fits_create(const char *path, aid_fits_writer **ret_writer, aid_error *err)
{
    aid_fits_writer *writer;
    AID_TRY(aid_new_array(1, sizeof *writer, path, &writer, err));
    aid_status status = prepare(writer, path, err);
    if (status != AID_OK) {
        release(writer);
        return status;
    }
    *ret_writer = writer;
    return AID_OK;
}

aid_status aid_fits_commit(aid_fits_writer *writer, aid_error *err)
{
    aid_status status = AID_OK;
    if (writer->failed)
        status =
            AID_ERROR(err, AID_ERR_IO, "%s: not written: one of its parts failed", writer->path);
    else if (writer->hdus == 0)
        status = AID_ERROR(err, AID_ERR_INVALID, "%s: not written: nothing was put into it",
                           writer->path);
    if (status == AID_OK)
        status = aid_new_file_commit(writer->file, err);
    else
        aid_new_file_abandon(writer->file);
    release(writer);
    return status;
}

void aid_fits_abandon(aid_fits_writer *writer)
{
    if (!writer)
        return;
    aid_new_file_abandon(writer->file);
    release(writer);
}

/* ------------------------------------------------------------------------------------ conversion
 */

typedef struct pixel_source {
    const void *rows; /* [height][stride] items */
    int32_t width, height;
    int64_t stride;
    size_t item, stored; /* bytes in memory, in the file */
    bool (*convert)(const void *restrict from, void *restrict to, size_t count);
} pixel_source;

static uint32_t big_endian_32(uint32_t value)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    return __builtin_bswap32(value);
#else
    return value;
#endif
}

static uint16_t big_endian_16(uint16_t value)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    return __builtin_bswap16(value);
#else
    return value;
#endif
}

/* By their bits, so that every NaN stays the NaN it is. */
AID_HOT static void floats_to_file(const float *restrict from, uint32_t *restrict to, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, from + i, sizeof bits);
        to[i] = big_endian_32(bits);
    }
}

/* Rounds half to even; a value that does not fit, NaN among them, makes the result false. BZERO
 * 32768 turns 0..65535 into a signed number, which is the topmost bit turned over. */
AID_HOT static bool u16_to_file(const float *restrict from, uint16_t *restrict to, size_t count)
{
    unsigned misfits = 0;
    for (size_t i = 0; i < count; i++) {
        float value = rintf(from[i]);
        bool fits = value >= 0.0f && value <= 65535.0f;
        misfits |= !fits;
        to[i] = big_endian_16((uint16_t)((fits ? (unsigned)(int)value : 0u) ^ 0x8000u));
    }
    return misfits == 0;
}

static bool convert_floats(const void *restrict from, void *restrict to, size_t count)
{
    floats_to_file(from, to, count);
    return true;
}

static bool convert_u16(const void *restrict from, void *restrict to, size_t count)
{
    return u16_to_file(from, to, count);
}

static bool convert_bytes(const void *restrict from, void *restrict to, size_t count)
{
    memcpy(to, from, count);
    return true;
}

static aid_status refuse_misfit(const aid_fits_writer *writer, const float *row, int32_t y,
                                int32_t width, aid_error *err)
{
    int32_t x = 0;
    while (x < width - 1 && rintf(row[x]) >= 0.0f && rintf(row[x]) <= 65535.0f)
        x++;
    AID_FAIL(err, AID_ERR_INVALID,
             "%s: pixel (%" PRId32 ", %" PRId32 ") is %g: 16 bits hold 0 to 65535", writer->path, x,
             y, (double)row[x]);
}

static aid_status put_row(aid_fits_writer *writer, const pixel_source *source, int32_t y,
                          aid_error *err)
{
    const unsigned char *row =
        (const unsigned char *)source->rows + (size_t)(y * source->stride) * source->item;
    for (size_t x = 0, width = (size_t)source->width; x < width;) {
        void *room;
        size_t items;
        AID_TRY(aid_fits_hdu_room(writer, source->stored, &room, &items, err));
        items = AID_MIN(items, width - x);
        if (!source->convert(row + x * source->item, room, items))
            return refuse_misfit(writer, (const float *)(const void *)row, y, source->width, err);
        aid_fits_hdu_filled(writer, items * source->stored);
        x += items;
    }
    return AID_OK;
}

/* -------------------------------------------------------------------------------------- the HDUs
 */

typedef struct image_hdu {
    const char *extname;
    const aid_header *cards;
    int bitpix;
    bool unsigned_16;
    const pixel_source *source; /* NULL: no data */
} image_hdu;

static aid_status put_image_hdu(aid_fits_writer *writer, const image_hdu *hdu, aid_error *err)
{
    aid_fits_shape shape = {.extension = "IMAGE", .bitpix = hdu->bitpix};
    if (hdu->source) {
        shape.axes = 2;
        shape.sides[0] = hdu->source->width;
        shape.sides[1] = hdu->source->height;
    }
    aid_fits_hdu_start(writer, &shape);
    if (hdu->extname)
        aid_fits_card_text(&writer->cards, "EXTNAME", hdu->extname, NULL);
    if (hdu->unsigned_16) {
        aid_fits_card_integer(&writer->cards, "BZERO", 32768, "values are unsigned 16-bit");
        aid_fits_card_integer(&writer->cards, "BSCALE", 1, NULL);
    }
    aid_fits_cards_add(&writer->cards, hdu->cards);
    AID_TRY(aid_fits_hdu_put_header(writer, err));
    for (int32_t y = 0; hdu->source && y < hdu->source->height; y++)
        AID_TRY(put_row(writer, hdu->source, y, err));
    return aid_fits_hdu_end(writer, err);
}

/* A part that failed stays in the file half, so the file as a whole has failed. */
static aid_status put(aid_fits_writer *writer, const image_hdu *hdu, aid_error *err)
{
    aid_status status = put_image_hdu(writer, hdu, err);
    writer->failed = writer->failed || status != AID_OK;
    return status;
}

aid_status aid_fits_put_image(aid_fits_writer *writer, const char *extname, const aid_image *image,
                              const aid_header *cards, aid_error *err)
{
    pixel_source source = {image->data,   image->width,  image->height, image->stride,
                           sizeof(float), sizeof(float), convert_floats};
    return put(writer, &(image_hdu){extname, cards, -32, false, &source}, err);
}

aid_status aid_fits_put_mask(aid_fits_writer *writer, const char *extname, const aid_mask *mask,
                             const aid_header *cards, aid_error *err)
{
    pixel_source source = {mask->data, mask->width, mask->height, mask->width, 1, 1, convert_bytes};
    return put(writer, &(image_hdu){extname, cards, 8, false, &source}, err);
}

aid_status aid_fits_put_u16(aid_fits_writer *writer, const char *extname, const aid_image *image,
                            const aid_header *cards, aid_error *err)
{
    pixel_source source = {image->data,   image->width,     image->height, image->stride,
                           sizeof(float), sizeof(uint16_t), convert_u16};
    return put(writer, &(image_hdu){extname, cards, 16, true, &source}, err);
}

aid_status aid_fits_put_header(aid_fits_writer *writer, const aid_header *cards, aid_error *err)
{
    return put(writer, &(image_hdu){NULL, cards, 8, false, NULL}, err);
}
