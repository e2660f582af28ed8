/* The decoder in this process, and its reply through the parent's checks: what aid_fits_read does
 * without its child. The file is called x.fits. Needs _GNU_SOURCE for memfd_create. */
#ifndef AID_TESTS_ADAPTERS_FITS_DECODE_HERE_H
#define AID_TESTS_ADAPTERS_FITS_DECODE_HERE_H

#include "adapters/fits/decode.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

typedef struct reply_block {
    uint8_t *bytes;
    size_t size;
} reply_block;

static inline void *allocate_block(void *context, size_t size)
{
    reply_block *block = context;
    free(block->bytes);
    block->bytes = calloc(1, size);
    block->size = size;
    return block->bytes;
}

/* Release with free(block.bytes). */
static inline reply_block decode_to_block(const uint8_t *bytes, size_t size,
                                          const aid_fits_request *request)
{
    reply_block block = {0};
    aid_fits_reply_memory memory = {.allocate = allocate_block, .context = &block};
    aid_error err;
    if (aid_fits_decode(bytes, size, request, &memory, &err) != AID_OK)
        abort();
    return block;
}

static inline aid_status take_block(const reply_block *block, aid_fits_parts parts,
                                    aid_fits_image *ret_image, aid_error *err)
{
    int descriptor = memfd_create("reply", MFD_CLOEXEC);
    if (descriptor < 0 || pwrite(descriptor, block->bytes, block->size, 0) != (ssize_t)block->size)
        abort();
    aid_status status = aid_fits_reply_take(descriptor, "x.fits", parts, ret_image, err);
    close(descriptor);
    return status;
}

static inline aid_status decode_here(const uint8_t *bytes, size_t size,
                                     const aid_fits_request *request, aid_fits_image *ret_image,
                                     aid_error *err)
{
    /* A copy of its own, so that the address sanitizer sees the end of the file. */
    uint8_t *copy = malloc(size);
    if (!copy)
        abort();
    memcpy(copy, bytes, size);
    reply_block block = decode_to_block(copy, size, request);
    aid_fits_parts parts = request->mask_alone     ? AID_FITS_PARTS_MASK
                           : request->header_alone ? AID_FITS_PARTS_HEADER
                           : request->keep_whole   ? AID_FITS_PARTS_WHOLE
                                                   : AID_FITS_PARTS_IMAGE;
    aid_status status = take_block(&block, parts, ret_image, err);
    free(block.bytes);
    free(copy);
    return status;
}

#endif
