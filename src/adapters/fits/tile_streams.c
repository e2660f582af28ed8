#include "adapters/fits/tile_streams.h"

#include <limits.h>
#include <stdbool.h>
#include <zlib.h>

uint64_t aid_fits_load_big_endian(const uint8_t *at, int bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++)
        value = value << 8 | at[i];
    return value;
}

/* Inflates into nowhere and counts. */
static int measure(z_stream *stream, uint64_t most, uint64_t *ret_size)
{
    uint8_t scrap[1 << 15];
    int result = Z_OK;
    uint64_t size = 0;
    while (result == Z_OK && size <= most) {
        stream->next_out = scrap;
        stream->avail_out = sizeof scrap;
        result = inflate(stream, Z_NO_FLUSH);
        size += sizeof scrap - stream->avail_out;
    }
    *ret_size = size;
    return result;
}

aid_status aid_fits_tile_check_gzip(const uint8_t *stream, uint64_t size, uint64_t pixels,
                                    aid_error *err)
{
    enum { GZIP_WINDOW = 15 + 16 };
    z_stream inflater = {.next_in = (z_const Bytef *)stream, .avail_in = (uInt)size};
    uint64_t inflated = 0;
    if (size > UINT_MAX)
        AID_FAIL(err, AID_ERR_INVALID, "%llu bytes of gzip", (unsigned long long)size);
    if (inflateInit2(&inflater, GZIP_WINDOW) != Z_OK)
        AID_FAIL(err, AID_ERR_NOMEM, "gzip: out of memory");
    int result = measure(&inflater, 8 * pixels, &inflated);
    inflateEnd(&inflater);
    bool fits = inflated == pixels || inflated == 2 * pixels || inflated == 4 * pixels ||
                inflated == 8 * pixels;
    if (result != Z_STREAM_END || !fits)
        AID_FAIL(err, AID_ERR_INVALID, "the gzip data are damaged: %llu%s bytes for %llu pixels",
                 (unsigned long long)inflated, result == Z_STREAM_END ? "" : " sound",
                 (unsigned long long)pixels);
    return AID_OK;
}

aid_status aid_fits_tile_check_hcompress(const uint8_t *stream, uint64_t size, uint64_t pixels,
                                         aid_error *err)
{
    enum { NX = 2, NY = 6, PLANES = 22, STREAM_HEADER = 25, MAX_PLANES = 62 };
    uint64_t nx = 0, ny = 0;
    bool good = size >= STREAM_HEADER && stream[0] == 0xdd && stream[1] == 0x99;
    if (good) {
        nx = aid_fits_load_big_endian(stream + NX, 4);
        ny = aid_fits_load_big_endian(stream + NY, 4);
        good = nx >= 1 && ny >= 1 && nx <= pixels && ny <= pixels && nx * ny == pixels;
    }
    for (int i = PLANES; good && i < STREAM_HEADER; i++) /* bit planes of the quadrants */
        good = stream[i] <= MAX_PLANES;
    if (!good)
        AID_FAIL(err, AID_ERR_INVALID, "HCOMPRESS data of %llu x %llu for %llu pixels",
                 (unsigned long long)nx, (unsigned long long)ny, (unsigned long long)pixels);
    return AID_OK;
}

/* The length stands in the third word, or, where that is not positive, in the fourth and the fifth,
 * with the header's length in the second. */
aid_status aid_fits_tile_check_plio(const uint8_t *list, uint64_t count, aid_error *err)
{
    enum { SECOND = 2, THIRD = 4, FOURTH = 6, FIFTH = 8 }; /* bytes */
    uint64_t length = UINT64_MAX, header = 0;
    uint64_t third = count >= 3 ? aid_fits_load_big_endian(list + THIRD, 2) : 0;
    if (third > 0 && third < 0x8000) {
        length = third;
    } else if (count >= 5) {
        length = aid_fits_load_big_endian(list + FIFTH, 2) << 15 |
                 aid_fits_load_big_endian(list + FOURTH, 2);
        header = aid_fits_load_big_endian(list + SECOND, 2);
    }
    if (length > count || header > count)
        AID_FAIL(err, AID_ERR_INVALID, "a PLIO list longer than its %llu words",
                 (unsigned long long)count);
    return AID_OK;
}
