#include "core/base/header.h"

#include "core/base/memory.h"
#include "core/base/text.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void aid_header_done(aid_header *header)
{
    for (int i = 0; i < header->count; i++) {
        free(header->cards[i].value);
        free(header->cards[i].comment);
    }
    free(header->cards);
    *header = (aid_header){0};
}

static aid_status grow(aid_header *header, aid_error *err)
{
    if (header->count >= AID_MAX_HEADER_CARDS)
        AID_FAIL(err, AID_ERR_INVALID, "header: more than %d cards", AID_MAX_HEADER_CARDS);
    if (header->count < header->capacity)
        return AID_OK;
    int capacity = header->capacity ? 2 * header->capacity : 64;
    aid_card *cards = realloc(header->cards, (size_t)capacity * sizeof *cards);
    if (!cards)
        AID_FAIL(err, AID_ERR_NOMEM, "header: out of memory for %d cards", capacity);
    header->cards = cards;
    header->capacity = capacity;
    return AID_OK;
}

aid_status aid_header_append(aid_header *header, const char *keyword, aid_card_kind kind,
                             const char *value, const char *comment, aid_error *err)
{
    AID_TRY(grow(header, err));
    aid_card card = {.kind = kind};
    snprintf(card.keyword, sizeof card.keyword, "%s", keyword);
    card.value = strdup(value ? value : "");
    card.comment = strdup(comment ? comment : "");
    if (!card.value || !card.comment) {
        free(card.value);
        free(card.comment);
        AID_FAIL(err, AID_ERR_NOMEM, "header: out of memory for card %s", keyword);
    }
    header->cards[header->count++] = card;
    return AID_OK;
}

aid_status aid_header_put_text(aid_header *header, const char *keyword, const char *value,
                               const char *comment, aid_error *err)
{
    if (!value || !*value)
        return AID_OK;
    return aid_header_append(header, keyword, AID_CARD_STRING, value, comment, err);
}

aid_status aid_header_put_number(aid_header *header, const char *keyword, double value,
                                 const char *comment, aid_error *err)
{
    char text[AID_DOUBLE_TEXT];
    if (!isfinite(value))
        return AID_OK;
    aid_double_text(value, -1, text);
    return aid_header_append(header, keyword, AID_CARD_NUMBER, text, comment, err);
}

aid_status aid_header_copy(const aid_header *from, aid_header *ret_to, aid_error *err)
{
    aid_header copy = {0};
    for (int i = 0; i < from->count; i++) {
        const aid_card *card = &from->cards[i];
        aid_status status =
            aid_header_append(&copy, card->keyword, card->kind, card->value, card->comment, err);
        if (status != AID_OK) {
            aid_header_done(&copy);
            return status;
        }
    }
    *ret_to = copy;
    return AID_OK;
}

const aid_card *aid_header_find(const aid_header *header, const char *keyword)
{
    for (int i = 0; i < header->count; i++)
        if (!strcasecmp(header->cards[i].keyword, keyword))
            return &header->cards[i];
    return NULL;
}

const char *aid_header_text(const aid_header *header, const char *keyword)
{
    const aid_card *card = aid_header_find(header, keyword);
    return card && card->kind != AID_CARD_COMMENT ? card->value : NULL;
}

/* strtod with a Fortran D exponent allowed, and nothing but blanks after the number. */
static bool parse_number(const char *text, double *ret_value)
{
    char copy[64];
    size_t length = strlen(text);
    if (length == 0 || length >= sizeof copy)
        return false;
    for (size_t i = 0; i <= length; i++)
        copy[i] = text[i] == 'D' || text[i] == 'd' ? 'E' : text[i];
    if (strpbrk(copy, "xXpPnN")) /* no hexadecimal, no nan, no inf */
        return false;
    char *end;
    double value = strtod(copy, &end);
    if (end == copy)
        return false;
    while (isspace((unsigned char)*end))
        end++;
    if (*end || !isfinite(value))
        return false;
    *ret_value = value;
    return true;
}

bool aid_header_number(const aid_header *header, const char *keyword, double *ret_value)
{
    const char *text = aid_header_text(header, keyword);
    return text && parse_number(text, ret_value);
}

bool aid_header_first_number(const aid_header *header, const char *const *keywords,
                             double *ret_value, const char **ret_keyword)
{
    for (; *keywords; keywords++)
        if (aid_header_number(header, *keywords, ret_value)) {
            if (ret_keyword)
                *ret_keyword = *keywords;
            return true;
        }
    return false;
}
