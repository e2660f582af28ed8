/* Bytes of a reply, as a decoder that was taken over could write them, -> the parent's checks. */
#define _GNU_SOURCE
#include "adapters/fits/reply.h"

#include <math.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was accepted is within all limits. */
static void must_be_sound(const aid_fits_image *image, bool mask_alone)
{
    int64_t pixels = (int64_t)image->image.width * image->image.height;
    bool sound = image->header.count <= AID_MAX_HEADER_CARDS && image->hdu < AID_MAX_HDUS;
    sound = sound && (mask_alone ? image->mask.data != NULL : image->image.data != NULL);
    for (int64_t i = 0; i < pixels; i++)
        sound = sound && !isinf(image->image.data[i]);
    if (!sound)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int descriptor = memfd_create("reply", MFD_CLOEXEC);
    if (descriptor < 0 || write(descriptor, data, size) != (ssize_t)size)
        abort();
    for (int mask_alone = 0; mask_alone < 2; mask_alone++) {
        aid_error err;
        aid_fits_image image;
        if (aid_fits_reply_take(descriptor, "x.fits", mask_alone, &image, &err) != AID_OK)
            continue;
        must_be_sound(&image, mask_alone);
        aid_fits_image_done(&image);
    }
    close(descriptor);
    return 0;
}
