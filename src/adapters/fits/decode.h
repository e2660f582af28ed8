/* The decoder proper: the bytes of a file in, a reply (reply.h) out. It runs in the sandboxed
 * child; the fuzzers call it in their own process. */
#ifndef AID_ADAPTERS_FITS_DECODE_H
#define AID_ADAPTERS_FITS_DECODE_H

#include "adapters/fits/reply.h"

typedef struct aid_fits_request {
    const char *hdu; /* NULL or "": the first 2-D image or binary table; "2", "SCI", "SCI,1" */
    bool skip_companions;
    bool mask_alone;   /* the pixels as a mask: low bytes, and no image */
    bool header_alone; /* no pixels at all */
    bool keep_whole;   /* unsigned 16-bit pixels as they are; with skip_companions */
    bool table;        /* a binary table instead of pixels */
} aid_fits_request;

/* Gives the memory of a reply, once it is known how long it will be; NULL: out of memory. */
typedef struct aid_fits_reply_memory {
    void *(*allocate)(void *context, size_t size);
    void *context;
    /* Is told which bytes of the file have been decoded and may be had anew when they are looked at
     * again; NULL: nobody wants to know. */
    void (*release)(const uint8_t *bytes, size_t size);
} aid_fits_reply_memory;

/* A reply that says no more than why there is none; `status` and `message` of `why`. */
AID_MUST_USE aid_status aid_fits_reply_failure(const aid_error *why,
                                               const aid_fits_reply_memory *memory, aid_error *err);

/* Fails only where there is no memory even for a reply that says so; what is wrong with the file
 * stands in the reply. `bytes` is borrowed. */
AID_MUST_USE aid_status aid_fits_decode(const uint8_t *bytes, size_t size,
                                        const aid_fits_request *request,
                                        const aid_fits_reply_memory *memory, aid_error *err);

#endif
