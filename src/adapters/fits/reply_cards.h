/* The cards of an image as they go into a reply. */
#ifndef AID_ADAPTERS_FITS_REPLY_CARDS_H
#define AID_ADAPTERS_FITS_REPLY_CARDS_H

#include "adapters/fits/layout.h"

typedef struct aid_fits_reply_cards {
    int32_t count;
    uint8_t *bytes;
    size_t size, capacity;
} aid_fits_reply_cards;

void aid_fits_reply_cards_done(aid_fits_reply_cards *cards);

/* All cards of the HDU; where it is an extension, behind them those of the primary header that it
 * does not have itself and that do not describe the primary's own data. A compressed image gets the
 * header it had before. Fails with AID_ERR_INVALID on texts or numbers beyond limits.h. */
AID_MUST_USE aid_status aid_fits_reply_cards_collect(const aid_fits_bytes *bytes,
                                                     const aid_fits_layout *layout, int hdu,
                                                     aid_fits_reply_cards *cards, aid_error *err);

#endif
