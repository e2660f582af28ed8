/* What the decoder hands to its parent: one block of memory, laid out as
 *   aid_fits_reply | image float32 or uint16 | variance float32 | mask uint8 | cards
 * or, of a binary table, as
 *   aid_fits_reply | columns | first column | second column | ...
 * with each part there or not as the header says. The parent believes none of it. */
#ifndef AID_ADAPTERS_FITS_REPLY_H
#define AID_ADAPTERS_FITS_REPLY_H

#include "adapters/fits/fits.h"
#include "core/base/notes.h"

#include <stddef.h>

#define AID_FITS_REPLY_MAGIC "AIDfits1"

typedef struct aid_fits_reply {
    char magic[8];
    int32_t status;                /* aid_status; the rest counts only where it is AID_OK */
    char message[AID_MAX_MESSAGE]; /* "HDU 1: ..." where it is not */
    int32_t width, height;         /* px */
    int32_t has_image, has_variance, has_mask; /* 0 or 1 */
    int32_t has_whole; /* 1: uint16 pixels in the place of the image, and nothing after them but
                          cards */
    int32_t hdu, bitpix;
    double bscale, bzero;
    char hdu_name[72];
    int32_t card_count;
    uint64_t cards_size; /* bytes */
    int64_t rows;        /* of a table; 0 for images */
    int32_t columns;     /* `message` names those that were left out, or is "" */
} aid_fits_reply;

/* One column: `rows` values of `width` bytes, int64 or double as they are in memory, or text with
 * blanks or NULs behind it. */
typedef struct aid_fits_reply_column {
    char name[72], unit[72], ucd[72], description[256];
    int32_t kind, decimals; /* as in aid_column */
    uint64_t width;
} aid_fits_reply_column;

/* Before the text of each card: its kind and the lengths of keyword, value and comment, which
 * follow without NULs. */
typedef struct aid_fits_reply_card {
    uint16_t kind, keyword, value, comment;
} aid_fits_reply_card;

typedef struct aid_fits_reply_extent {
    uint64_t image, variance, mask, cards, total; /* bytes from the beginning */
} aid_fits_reply_extent;

/* From has_*, width, height and cards_size, which the caller has checked or made. */
aid_fits_reply_extent aid_fits_reply_measure(const aid_fits_reply *reply);

/* What a reply was asked for. */
typedef enum aid_fits_parts {
    AID_FITS_PARTS_IMAGE,  /* and what belongs to it */
    AID_FITS_PARTS_MASK,   /* a mask alone */
    AID_FITS_PARTS_HEADER, /* no pixels */
    AID_FITS_PARTS_WHOLE   /* an image alone, which may be of uint16 */
} aid_fits_parts;

/* Reads and checks the whole reply. `name` is the file's name for messages. The decoder's own error
 * comes back with its status and "name: " before it. A mask has any bits where the reply was asked
 * for a mask alone, and otherwise the AID_MASK_* of an exposure. sha256 is left empty. */
AID_MUST_USE aid_status aid_fits_reply_take(int descriptor, const char *name, aid_fits_parts parts,
                                            aid_fits_image *ret_image, aid_error *err);

/* The same of a table. Release with aid_table_done. */
AID_MUST_USE aid_status aid_fits_reply_take_table(int descriptor, const char *name,
                                                  aid_notes *notes, struct aid_table *ret_table,
                                                  aid_error *err);

/* What both have in common: bytes of the reply, a doubt about it, its header when all is well. */
AID_MUST_USE aid_status aid_fits_reply_read(int descriptor, const char *name, uint64_t at,
                                            void *bytes, size_t size, aid_error *err);
AID_MUST_USE aid_status aid_fits_reply_refuse(const char *name, const char *what, aid_error *err);
bool aid_fits_reply_is_text(const char *text, size_t size);
AID_MUST_USE aid_status aid_fits_reply_header(int descriptor, const char *name,
                                              aid_fits_reply *ret_reply, uint64_t *ret_size,
                                              aid_error *err);

#endif
