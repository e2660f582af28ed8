/* One HDU on its way into a file: header with places kept for the sums, data through a small
 * buffer, then the header once more with the sums in it. Memory does not grow with the data. */
#ifndef AID_ADAPTERS_FITS_WRITE_HDU_H
#define AID_ADAPTERS_FITS_WRITE_HDU_H

#include "adapters/files/files.h"
#include "adapters/fits/fits.h"
#include "adapters/fits/write_cards.h"

/* Large enough that calls of write() cost nothing, small enough to stay in a core's own cache
 * between conversion, sum and write. A multiple of 8, so that no pixel or word is torn. */
enum { AID_FITS_STAGING = 256 * 1024 };

struct aid_fits_writer {
    aid_new_file *file;
    int descriptor; /* of `file` */
    char *path;
    int hdus;     /* begun so far */
    bool failed;  /* an HDU is incomplete: the file must not be committed */
    int64_t size; /* bytes in the file */
    /* the current HDU */
    aid_fits_cards cards;
    int64_t header_offset, data_bytes;
    uint32_t data_sum;
    unsigned char *staging; /* [AID_FITS_STAGING], written up to `staged` */
    size_t staged;
};

/* Empties the cards and puts the first ones: SIMPLE or XTENSION (`extension`, also when it is not
 * the first HDU), BITPIX, NAXIS, and PCOUNT and GCOUNT where they belong. */
typedef struct aid_fits_shape {
    const char *extension; /* "IMAGE   " or "BINTABLE" */
    int bitpix, axes;
    int64_t sides[2];
} aid_fits_shape;
void aid_fits_hdu_start(aid_fits_writer *writer, const aid_fits_shape *shape);

/* After the HDU's own cards: writes the header. Then data in order, then the end of the HDU. */
AID_MUST_USE aid_status aid_fits_hdu_put_header(aid_fits_writer *writer, aid_error *err);
/* Room for at least one item of `size` bytes (at most 8) in the staging buffer: where it is, and
 * for how many. What was filled is told by aid_fits_hdu_filled. */
AID_MUST_USE aid_status aid_fits_hdu_room(aid_fits_writer *writer, size_t size, void *ret_room,
                                          size_t *ret_items, aid_error *err);
void aid_fits_hdu_filled(aid_fits_writer *writer, size_t bytes);
/* Pads the data with zeros and puts the sums into the header. */
AID_MUST_USE aid_status aid_fits_hdu_end(aid_fits_writer *writer, aid_error *err);

#endif
