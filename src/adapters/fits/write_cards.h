/* Header cards on their way into a file: 80 bytes each, as in FITS standard 4.0, section 4, with
 * CONTINUE for long strings and the HIERARCH convention for long keywords. Used by the writer only.
 */
#ifndef AID_ADAPTERS_FITS_WRITE_CARDS_H
#define AID_ADAPTERS_FITS_WRITE_CARDS_H

#include "core/base/header.h"
#include "core/base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { AID_FITS_CARD = 80, AID_FITS_BLOCK = 2880 };

/* A zeroed one is empty. Running out of memory is remembered and told by aid_fits_cards_end. */
typedef struct aid_fits_cards {
    char *bytes; /* count cards, without a NUL */
    size_t count, capacity;
    bool out_of_memory;
    bool long_strings; /* LONGSTRN has been written */
} aid_fits_cards;

void aid_fits_cards_done(aid_fits_cards *cards);

/* Characters beyond printable ASCII become '?', control characters blanks. Comments are cut where
 * the card ends; they may be NULL. */
void aid_fits_card_logical(aid_fits_cards *cards, const char *keyword, bool value,
                           const char *comment);
void aid_fits_card_integer(aid_fits_cards *cards, const char *keyword, int64_t value,
                           const char *comment);
void aid_fits_card_text(aid_fits_cards *cards, const char *keyword, const char *value,
                        const char *comment);
/* COMMENT, HISTORY or blank, as many cards as the text needs. */
void aid_fits_card_remark(aid_fits_cards *cards, const char *keyword, const char *text);

/* Every card of a header but the structural ones. A value that FITS does not know is written as a
 * string; what fits no card at all becomes a COMMENT. header may be NULL. */
void aid_fits_cards_add(aid_fits_cards *cards, const aid_header *header);
/* Whether the keyword describes how pixels are stored, and so belongs to the writer alone. */
bool aid_fits_is_structural(const char *keyword);

/* END and the blanks up to a whole block. */
AID_MUST_USE aid_status aid_fits_cards_end(aid_fits_cards *cards, const char *path, aid_error *err);

/* Text as it may stand in a FITS header, with quotes doubled where asked; NULL: out of memory. */
char *aid_fits_ascii(const char *text, bool double_quotes);

#endif
