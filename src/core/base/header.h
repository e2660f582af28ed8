/* The keyword cards of one image, as they came, with typed look-ups. Knows no file. */
#ifndef AID_CORE_BASE_HEADER_H
#define AID_CORE_BASE_HEADER_H

#include "core/base/status.h"

#include <stdbool.h>
#include <stdint.h>

typedef enum aid_card_kind {
    AID_CARD_STRING,
    AID_CARD_LOGICAL, /* value "T" or "F" */
    AID_CARD_NUMBER,  /* integer or floating point, value as written */
    AID_CARD_COMMENT, /* COMMENT, HISTORY, blank: text in `comment` */
    AID_CARD_OTHER /* undefined or complex value, or one that is not FITS (6,4E-05): as written */
} aid_card_kind;

typedef struct aid_card {
    char keyword[AID_MAX_KEYWORD];
    aid_card_kind kind;
    char *value;   /* without quotes; never NULL; owned by the header */
    char *comment; /* never NULL; owned by the header */
} aid_card;

typedef struct aid_header {
    int count, capacity;
    aid_card *cards;
} aid_header;

/* A zeroed header is an empty one. */
void aid_header_done(aid_header *header);

AID_MUST_USE aid_status aid_header_append(aid_header *header, const char *keyword,
                                          aid_card_kind kind, const char *value,
                                          const char *comment, aid_error *err);
/* Text that is NULL or empty, and a number that is not finite, are left out: FITS has no NaN in its
 * cards, and one that is not there says unknown. */
AID_MUST_USE aid_status aid_header_put_text(aid_header *header, const char *keyword,
                                            const char *value, const char *comment, aid_error *err);
AID_MUST_USE aid_status aid_header_put_number(aid_header *header, const char *keyword, double value,
                                              const char *comment, aid_error *err);
AID_MUST_USE aid_status aid_header_copy(const aid_header *from, aid_header *ret_to, aid_error *err);

/* The first card of that keyword (upper or lower case), or NULL. */
const aid_card *aid_header_find(const aid_header *header, const char *keyword);

/* true and the value where the card is there and is wholly a finite number (D exponents count;
 * a number within a string, as some cameras write, too); otherwise false, *ret_value untouched. */
bool aid_header_number(const aid_header *header, const char *keyword, double *ret_value);

/* The text of a card with trailing blanks removed, or NULL. Borrowed from the header. */
const char *aid_header_text(const aid_header *header, const char *keyword);

/* The first of several keywords (NULL-terminated list) that holds a number; ret_keyword may be
 * NULL. */
bool aid_header_first_number(const aid_header *header, const char *const *keywords,
                             double *ret_value, const char **ret_keyword);

#endif
