/* The cards of one FITS header as they lie in the file: 80 bytes each, read for what they say.
 * Nothing here trusts the bytes; whatever cannot be printed becomes '?'. */
#ifndef AID_ADAPTERS_FITS_CARDS_H
#define AID_ADAPTERS_FITS_CARDS_H

#include "core/base/header.h"

#include <stddef.h>
#include <stdint.h>

enum { AID_FITS_CARD = 80, AID_FITS_BLOCK = 2880 }; /* bytes */

typedef struct aid_fits_cards {
    const uint8_t *bytes; /* count * AID_FITS_CARD of them, without END */
    int32_t count;
} aid_fits_cards;

/* The first card of that keyword (at most 8 characters, upper case), or NULL. */
const uint8_t *aid_fits_card_find(aid_fits_cards cards, const char *keyword);

/* `fallback` where there is no such card. Fail with AID_ERR_INVALID, quoting the card, where its
 * value is not a whole number, or not a finite number. */
AID_MUST_USE aid_status aid_fits_integer(aid_fits_cards cards, const char *keyword,
                                         int64_t fallback, int64_t *ret_value, aid_error *err);
AID_MUST_USE aid_status aid_fits_real(aid_fits_cards cards, const char *keyword, double fallback,
                                      double *ret_value, aid_error *err);
/* false where there is no such card, or it says anything but T. */
bool aid_fits_logical(aid_fits_cards cards, const char *keyword);
/* "" where there is no such card; otherwise its value, cut to `size` bytes with the NUL. */
void aid_fits_text(aid_fits_cards cards, const char *keyword, char *ret_text, size_t size);

/* One card with its meaning; a string that goes on in CONTINUE cards is one card. */
typedef struct aid_fits_card {
    char keyword[AID_MAX_KEYWORD]; /* of a HIERARCH card the name behind that word */
    aid_card_kind kind;
    char value[AID_MAX_CARD_VALUE + 1], comment[AID_MAX_CARD_VALUE + 1];
} aid_fits_card;

/* Reads the card at `*next` and moves `*next` behind it and its CONTINUE cards. Fails with
 * AID_ERR_INVALID when the joined text is longer than AID_MAX_CARD_VALUE. */
AID_MUST_USE aid_status aid_fits_card_read(aid_fits_cards cards, int32_t *next,
                                           aid_fits_card *ret_card, aid_error *err);

/* `size` bytes at most, blanks at the end removed, what cannot be printed as '?'. `ret_text` has
 * room for size + 1. */
void aid_fits_printable(const uint8_t *bytes, size_t size, char *ret_text);

#endif
