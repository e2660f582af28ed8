/* The pixels of one image HDU, compressed or not. */
#ifndef AID_ADAPTERS_FITS_PIXELS_H
#define AID_ADAPTERS_FITS_PIXELS_H

#include "adapters/fits/layout.h"
#include "adapters/fits/plain.h"
#include "adapters/fits/tiles.h"

typedef struct aid_fits_pixels {
    int32_t width, height;
    int bitpix;
    aid_fits_scaling scaling;
    const uint8_t *plain;  /* borrowed from the file's bytes; NULL: compressed */
    aid_fits_tiles *tiles; /* NULL: plain */
    /* Of plain pixels of a file that is mapped: told of those that are decoded. May be NULL. */
    void (*release)(const uint8_t *bytes, size_t size);
} aid_fits_pixels;

/* `hdu` is flat. Fails with AID_ERR_INVALID where its sides exceed limits.h or its header is wrong.
 */
AID_MUST_USE aid_status aid_fits_pixels_open(const aid_fits_bytes *bytes, const aid_fits_hdu *hdu,
                                             aid_fits_pixels *ret_pixels, aid_error *err);
void aid_fits_pixels_close(aid_fits_pixels *pixels);

/* The whole image as physical values; [height][width]. */
AID_MUST_USE aid_status aid_fits_pixels_floats(aid_fits_pixels *pixels, float *ret_pixels,
                                               aid_error *err);

/* The same of an image that aid_fits_plain_whole is for. */
void aid_fits_pixels_whole(const aid_fits_pixels *pixels, uint16_t *ret_pixels);

/* The whole image through `translate`, which gets whole numbers (see plain.h) and gives bytes. */
typedef void (*aid_fits_translate)(const void *context, const int64_t *values, int64_t count,
                                   uint8_t *ret_bytes);
AID_MUST_USE aid_status aid_fits_pixels_bytes(aid_fits_pixels *pixels, aid_fits_translate translate,
                                              const void *context, uint8_t *ret_bytes,
                                              aid_error *err);

#endif
