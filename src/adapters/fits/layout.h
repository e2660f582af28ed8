/* What a FITS file consists of: a strict walk over its HDUs, with every size checked before anybody
 * trusts it. The first line of defence: the pixels are only touched where this walk found them. */
#ifndef AID_ADAPTERS_FITS_LAYOUT_H
#define AID_ADAPTERS_FITS_LAYOUT_H

#include "adapters/fits/bytes.h"
#include "adapters/fits/cards.h"

typedef enum aid_fits_kind {
    AID_FITS_IMAGE,
    AID_FITS_TILES, /* a tile-compressed image within a binary table */
    AID_FITS_BINARY_TABLE,
    AID_FITS_ASCII_TABLE,
    AID_FITS_GROUPS, /* random groups in the primary HDU */
    AID_FITS_OTHER   /* an extension of another type */
} aid_fits_kind;

enum {
    AID_FITS_NAME = 72, /* bytes of a string value, with its NUL */
    AID_FITS_AXES = 8   /* that are remembered */
};

typedef struct aid_fits_hdu {
    uint64_t header_start, data_start, data_size; /* bytes from the beginning, without padding */
    int32_t card_count;                           /* without END */
    aid_fits_kind kind;
    int bitpix, naxis;           /* of the image within, where it is AID_FITS_TILES */
    int64_t axes[AID_FITS_AXES]; /* px, the first of them; the others 0 */
    bool flat;                   /* a 2-D image: axes beyond the second are 1 */
    bool has_version;
    int64_t version;                               /* EXTVER, 1 where there is none */
    char name[AID_FITS_NAME], type[AID_FITS_NAME]; /* EXTNAME and EXTTYPE, or "" */
} aid_fits_hdu;

typedef struct aid_fits_layout {
    int count;
    aid_fits_hdu hdus[AID_MAX_HDUS];
} aid_fits_layout;

/* Fails with AID_ERR_INVALID ("HDU 1: ...") where the bytes are not FITS, break its rules, exceed
 * limits.h or end early. A last block without its padding is fine. */
AID_MUST_USE aid_status aid_fits_layout_read(aid_fits_bytes *bytes, aid_fits_layout *ret_layout,
                                             aid_error *err);

aid_fits_cards aid_fits_hdu_cards(const aid_fits_bytes *bytes, const aid_fits_hdu *hdu);

/* "a binary table", "a 3-D image of 10 x 10 x 3", "empty", ... */
void aid_fits_hdu_describe(const aid_fits_hdu *hdu, char *ret_text, size_t size);

#endif
