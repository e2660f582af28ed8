#include "adapters/report/png.h"

#include "core/base/memory.h"

#include <png.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

aid_status aid_picture_init(int32_t width, int32_t height, aid_picture *ret_picture, aid_error *err)
{
    if (width < 1 || height < 1)
        AID_FAIL(err, AID_ERR_INVALID, "picture of %d x %d pixels", width, height);
    aid_picture picture = {.width = width, .height = height};
    AID_TRY(aid_new_array((size_t)width * (size_t)height, 1, "picture", &picture.pixels, err));
    *ret_picture = picture;
    return AID_OK;
}

void aid_picture_done(aid_picture *picture)
{
    free(picture->pixels);
    *picture = (aid_picture){0};
}

void aid_bytes_done(aid_bytes *bytes)
{
    free(bytes->data);
    *bytes = (aid_bytes){0};
}

/* Renumbers the pixels so that unused colours fall away: a cut-out has some fifty, and the full
 * palette would be half of its file. */
static aid_status compact(const aid_picture *picture, const aid_palette *palette, uint8_t *pixels,
                          aid_palette *ret_used, aid_error *err)
{
    bool used[256] = {false};
    uint8_t renumbered[256] = {0};
    size_t count = (size_t)picture->width * (size_t)picture->height;
    for (size_t i = 0; i < count; i++)
        used[picture->pixels[i]] = true;
    aid_palette kept = {0};
    for (int i = 0; i < 256; i++) {
        if (!used[i])
            continue;
        if (i >= palette->count)
            AID_FAIL(err, AID_ERR_INVALID, "picture: pixel %d is beyond its %d colours", i,
                     palette->count);
        renumbered[i] = (uint8_t)kept.count;
        kept.colours[kept.count++] = palette->colours[i];
    }
    for (size_t i = 0; i < count; i++)
        pixels[i] = renumbered[picture->pixels[i]];
    *ret_used = kept;
    return AID_OK;
}

aid_status aid_png_encode(const aid_picture *picture, const aid_palette *palette,
                          aid_bytes *ret_png, aid_error *err)
{
    AID_CLEANUP(aid_picture_done)
    aid_picture compacted = {0};
    AID_TRY(aid_picture_init(picture->width, picture->height, &compacted, err));
    aid_palette used;
    AID_TRY(compact(picture, palette, compacted.pixels, &used, err));

    /* Sky noise has no repeated strings to find: libpng's fast mode (no filters, zlib level 3) is
     * within some per cent of the best. */
    png_image image = {.version = PNG_IMAGE_VERSION,
                       .width = (png_uint_32)picture->width,
                       .height = (png_uint_32)picture->height,
                       .format = PNG_FORMAT_RGB_COLORMAP,
                       .flags = PNG_IMAGE_FLAG_FAST,
                       .colormap_entries = (png_uint_32)used.count};
    png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(image);
    aid_bytes png = {0};
    AID_TRY(aid_new_buffer(size, 1, "PNG", &png.data, err));
    if (!png_image_write_to_memory(&image, png.data, &size, 0, compacted.pixels, picture->width,
                                   used.colours)) {
        aid_bytes_done(&png);
        AID_FAIL(err, AID_ERR_NOMEM, "PNG of %d x %d pixels: %s", picture->width, picture->height,
                 image.message);
    }
    uint8_t *fitting = realloc(png.data, size); /* the bound was for noise that does not shrink */
    png = (aid_bytes){fitting ? fitting : png.data, size};
    *ret_png = png;
    return AID_OK;
}
