/* The bytes of a FITS file: as they lie, or, where they are gzip (told by the first two bytes, not
 * by the name), inflated as far as somebody asks for. So a header is checked before its data are
 * inflated, and a small file cannot fill the memory with what no header declares. */
#ifndef AID_ADAPTERS_FITS_BYTES_H
#define AID_ADAPTERS_FITS_BYTES_H

#include "core/base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct aid_fits_inflater aid_fits_inflater;

typedef struct aid_fits_bytes {
    const uint8_t *data;         /* moves when more is inflated */
    uint64_t size;               /* of `data` so far; the whole file where it is not gzip */
    aid_fits_inflater *inflater; /* NULL: not gzip */
} aid_fits_bytes;

/* `file` is borrowed and must outlive the result. Release with aid_fits_bytes_done. */
AID_MUST_USE aid_status aid_fits_bytes_init(const uint8_t *file, size_t size,
                                            aid_fits_bytes *ret_bytes, aid_error *err);
void aid_fits_bytes_done(aid_fits_bytes *bytes);

/* Inflates until there are `end` bytes or the file ends: bytes->size tells. Fails with
 * AID_ERR_INVALID where the gzip data are damaged. */
AID_MUST_USE aid_status aid_fits_bytes_need(aid_fits_bytes *bytes, uint64_t end, aid_error *err);

/* Inflates what is left without keeping it, so that the check sums of gzip are compared. Fails with
 * AID_ERR_INVALID where they differ or the gzip data end early. */
AID_MUST_USE aid_status aid_fits_bytes_finish(aid_fits_bytes *bytes, aid_error *err);

#endif
