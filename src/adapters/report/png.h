/* PNG in memory: 8-bit pictures of at most 256 colours. */
#ifndef AID_ADAPTERS_REPORT_PNG_H
#define AID_ADAPTERS_REPORT_PNG_H

#include "core/base/status.h"

#include <stddef.h>
#include <stdint.h>

typedef struct aid_colour {
    uint8_t red, green, blue;
} aid_colour;

typedef struct aid_palette {
    int count; /* 1..256 */
    aid_colour colours[256];
} aid_palette;

/* Palette indices, [height][width], the top row first. */
typedef struct aid_picture {
    uint8_t *pixels;
    int32_t width, height;
} aid_picture;

AID_MUST_USE aid_status aid_picture_init(int32_t width, int32_t height, aid_picture *ret_picture,
                                         aid_error *err);
void aid_picture_done(aid_picture *picture);

typedef struct aid_bytes {
    uint8_t *data;
    size_t size;
} aid_bytes;

void aid_bytes_done(aid_bytes *bytes);

/* Only the colours that the picture uses are stored. Every pixel must be below palette->count.
 * Fails: AID_ERR_INVALID for a pixel without a colour, AID_ERR_NOMEM; *ret_png is untouched.
 * Released by aid_bytes_done. */
AID_MUST_USE aid_status aid_png_encode(const aid_picture *picture, const aid_palette *palette,
                                       aid_bytes *ret_png, aid_error *err);

#endif
