/* Bytes of a reply, as a decoder that was taken over could write them, -> the parent's checks. */
#define _GNU_SOURCE
#include "adapters/fits/reply.h"
#include "adapters/tables/table.h"

#include <math.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was accepted is within all limits. */
static void must_be_sound(const aid_fits_image *image, aid_fits_parts parts)
{
    int64_t pixels = (int64_t)image->image.width * image->image.height;
    bool sound = image->header.count <= AID_MAX_HEADER_CARDS && image->hdu < AID_MAX_HDUS;
    sound = sound && (image->mask.data != NULL || parts != AID_FITS_PARTS_MASK);
    bool has_pixels = image->image.data || image->whole;
    sound = sound && !(image->image.data && image->whole);
    sound = sound && (!image->whole || parts == AID_FITS_PARTS_WHOLE);
    sound = sound && has_pixels == (parts == AID_FITS_PARTS_IMAGE || parts == AID_FITS_PARTS_WHOLE);
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
    for (int parts = AID_FITS_PARTS_IMAGE; parts <= AID_FITS_PARTS_WHOLE; parts++) {
        aid_error err;
        aid_fits_image image;
        if (aid_fits_reply_take(descriptor, "x.fits", (aid_fits_parts)parts, &image, &err) !=
            AID_OK)
            continue;
        must_be_sound(&image, (aid_fits_parts)parts);
        aid_fits_image_done(&image);
    }
    aid_table table;
    aid_error err;
    if (aid_fits_reply_take_table(descriptor, "x.fits", NULL, &table, &err) == AID_OK) {
        if (table.columns < 1 || table.columns > AID_MAX_TABLE_COLUMNS)
            abort();
        aid_table_done(&table);
    }
    close(descriptor);
    return 0;
}
