/* Compressed tiles, looked at before CFITSIO's decoders are: they believe lengths that stand in the
 * stream, and one of them never ends on a stream that does not. */
#ifndef AID_ADAPTERS_FITS_TILE_STREAMS_H
#define AID_ADAPTERS_FITS_TILE_STREAMS_H

#include "core/base/status.h"

#include <stdint.h>

/* A number of 1 to 8 bytes, the highest first. */
uint64_t aid_fits_load_big_endian(const uint8_t *at, int bytes);

/* `size` bytes of gzip that end, with a right check sum, and give 1, 2, 4 or 8 bytes a pixel. */
AID_MUST_USE aid_status aid_fits_tile_check_gzip(const uint8_t *stream, uint64_t size,
                                                 uint64_t pixels, aid_error *err);

/* `size` bytes of HCOMPRESS whose sides make `pixels`. */
AID_MUST_USE aid_status aid_fits_tile_check_hcompress(const uint8_t *stream, uint64_t size,
                                                      uint64_t pixels, aid_error *err);

/* A PLIO line list of `count` 16-bit words, no longer by its own account. */
AID_MUST_USE aid_status aid_fits_tile_check_plio(const uint8_t *list, uint64_t count,
                                                 aid_error *err);

#endif
