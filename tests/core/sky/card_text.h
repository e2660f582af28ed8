/* Header text for tests and the fuzzer: cards one a line or every 80 columns -> aid_header. */
#ifndef AID_TESTS_CORE_SKY_CARD_TEXT_H
#define AID_TESTS_CORE_SKY_CARD_TEXT_H

#include "core/base/header.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline void card_text_value(const char *card, char *ret_value, size_t size,
                                   aid_card_kind *ret_kind)
{
    card += strspn(card, " ");
    const char *end;
    if (*card == '\'') {
        end = strchr(++card, '\'');
        end = end ? end : card + strlen(card);
        *ret_kind = AID_CARD_STRING;
    } else {
        end = card + strcspn(card, "/");
        *ret_kind = *card == 'T' || *card == 'F' ? AID_CARD_LOGICAL : AID_CARD_NUMBER;
    }
    while (end > card && end[-1] == ' ')
        end--;
    snprintf(ret_value, size, "%.*s", (int)(end - card), card);
}

/* One card of at most 80 characters. */
static inline aid_status card_text_append(aid_header *header, const char *card, aid_error *err)
{
    const char *equals = strchr(card, '=');
    if (!equals || equals > card + 60)
        return AID_OK;
    char keyword[AID_MAX_KEYWORD], value[96];
    int length = (int)(equals - card);
    while (length > 0 && card[length - 1] == ' ')
        length--;
    snprintf(keyword, sizeof keyword, "%.*s", length, card);
    aid_card_kind kind;
    card_text_value(equals + 1, value, sizeof value, &kind);
    return aid_header_append(header, keyword, kind, value, "", err);
}

/* Stops at END; returns the position behind it, or `size`. Lines where there are any line ends,
 * otherwise every 80 columns. */
static inline size_t card_text_parse(const char *text, size_t size, aid_header *header,
                                     aid_status *ret_status, aid_error *err)
{
    bool lines = memchr(text, '\n', size < 400 ? size : 400) != NULL;
    size_t at = 0;
    *ret_status = AID_OK;
    while (at < size && *ret_status == AID_OK) {
        size_t length = size - at < 80 ? size - at : 80;
        const char *newline = lines ? memchr(text + at, '\n', size - at) : NULL;
        size_t step = newline ? (size_t)(newline - (text + at)) + 1 : length;
        if (newline && step - 1 < length)
            length = step - 1;
        char card[81];
        memcpy(card, text + at, length);
        card[length] = '\0';
        at += step;
        if (!strncmp(card, "END", 3) && card[3 + strspn(card + 3, " ")] == '\0')
            break;
        *ret_status = card_text_append(header, card, err);
    }
    return at;
}

#endif
