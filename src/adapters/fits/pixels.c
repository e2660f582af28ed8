#include "adapters/fits/pixels.h"

#include "core/base/memory.h"

#include <stdlib.h>

/* Pixels that are worked on at once: what fits a core's cache; of compressed images more, because
 * CFITSIO looks at the list of all tiles each time. */
enum { PLAIN_BAND = 1 << 16, TILES_BAND = 1 << 22 };

aid_status aid_fits_pixels_open(const aid_fits_bytes *bytes, const aid_fits_hdu *hdu,
                                aid_fits_pixels *ret_pixels, aid_error *err)
{
    int64_t width = hdu->axes[0], height = hdu->axes[1];
    if (width > AID_MAX_IMAGE_SIDE || height > AID_MAX_IMAGE_SIDE ||
        width * height > AID_MAX_IMAGE_PIXELS)
        AID_FAIL(err, AID_ERR_INVALID, "%lld x %lld pixels: sides go to %d, and pixels to %lld",
                 (long long)width, (long long)height, AID_MAX_IMAGE_SIDE, AID_MAX_IMAGE_PIXELS);
    aid_fits_pixels pixels = {
        .width = (int32_t)width, .height = (int32_t)height, .bitpix = hdu->bitpix};
    AID_TRY(
        aid_fits_scaling_read(aid_fits_hdu_cards(bytes, hdu), hdu->bitpix, &pixels.scaling, err));
    if (hdu->kind == AID_FITS_TILES)
        AID_TRY(aid_fits_tiles_open(bytes, hdu, &pixels.scaling, &pixels.tiles, err));
    else
        pixels.plain = bytes->data + hdu->data_start;
    *ret_pixels = pixels;
    return AID_OK;
}

void aid_fits_pixels_close(aid_fits_pixels *pixels)
{
    aid_fits_tiles_close(pixels->tiles);
    *pixels = (aid_fits_pixels){0};
}

/* Rows of one band: whole tiles. */
static int32_t band_of(const aid_fits_pixels *pixels)
{
    int32_t tile = pixels->tiles ? aid_fits_tiles_height(pixels->tiles) : 1;
    int32_t tiles = (pixels->tiles ? TILES_BAND : PLAIN_BAND) / pixels->width / tile;
    return (int32_t)AID_MIN((int64_t)tile * AID_MAX(1, tiles), (int64_t)pixels->height);
}

static const uint8_t *plain_at(const aid_fits_pixels *pixels, int64_t first)
{
    return pixels->plain + first * (abs(pixels->bitpix) / 8);
}

/* Pages of a mapped file stay this process's memory until somebody says that they need not. */
static void release(const aid_fits_pixels *pixels, int64_t first, int64_t count)
{
    if (pixels->plain && pixels->release)
        pixels->release(plain_at(pixels, first), (size_t)(count * (abs(pixels->bitpix) / 8)));
}

aid_status aid_fits_pixels_floats(aid_fits_pixels *pixels, float *ret_pixels, aid_error *err)
{
    int32_t band = band_of(pixels);
    for (int32_t y = 0; y < pixels->height; y += band) {
        int32_t rows = AID_MIN(band, pixels->height - y);
        int64_t first = (int64_t)y * pixels->width, count = (int64_t)rows * pixels->width;
        if (pixels->tiles)
            AID_TRY(aid_fits_tiles_floats(pixels->tiles, y, rows, ret_pixels + first, err));
        else
            aid_fits_plain_floats(plain_at(pixels, first), pixels->bitpix, count, &pixels->scaling,
                                  ret_pixels + first);
        release(pixels, first, count);
    }
    return AID_OK;
}

void aid_fits_pixels_whole(const aid_fits_pixels *pixels, uint16_t *ret_pixels)
{
    int32_t band = band_of(pixels);
    for (int32_t y = 0; y < pixels->height; y += band) {
        int32_t rows = AID_MIN(band, pixels->height - y);
        int64_t first = (int64_t)y * pixels->width, count = (int64_t)rows * pixels->width;
        aid_fits_plain_whole(plain_at(pixels, first), count, ret_pixels + first);
        release(pixels, first, count);
    }
}

aid_status aid_fits_pixels_bytes(aid_fits_pixels *pixels, aid_fits_translate translate,
                                 const void *context, uint8_t *ret_bytes, aid_error *err)
{
    int32_t band = band_of(pixels);
    AID_CLEANUP(aid_free_pointer)
    int64_t *values = NULL;
    AID_TRY(
        aid_new_buffer((size_t)band * (size_t)pixels->width, sizeof *values, "mask", &values, err));
    for (int32_t y = 0; y < pixels->height; y += band) {
        int32_t rows = AID_MIN(band, pixels->height - y);
        int64_t first = (int64_t)y * pixels->width, count = (int64_t)rows * pixels->width;
        if (pixels->tiles)
            AID_TRY(aid_fits_tiles_integers(pixels->tiles, y, rows, values, err));
        else
            aid_fits_plain_integers(plain_at(pixels, first), pixels->bitpix, count,
                                    &pixels->scaling, values);
        translate(context, values, count, ret_bytes + first);
        release(pixels, first, count);
    }
    return AID_OK;
}
