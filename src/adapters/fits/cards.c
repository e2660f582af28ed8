#include "adapters/fits/cards.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEYWORD = 8, VALUE_AT = 10 };

void aid_fits_printable(const uint8_t *bytes, size_t size, char *ret_text)
{
    size_t length = 0;
    for (size_t i = 0; i < size; i++) {
        ret_text[i] = (char)(bytes[i] >= 0x20 && bytes[i] <= 0x7e ? bytes[i] : '?');
        if (ret_text[i] != ' ')
            length = i + 1;
    }
    ret_text[length] = '\0';
}

/* --------------------------------------------------------------------------- the text of a value
 */

/* A value field as text: its string without quotes, or everything up to the slash. */
typedef struct value_field {
    bool quoted;
    char value[AID_FITS_CARD], comment[AID_FITS_CARD];
} value_field;

static const char *skip_blanks(const char *text)
{
    while (*text == ' ')
        text++;
    return text;
}

static void trim_end(char *text)
{
    size_t length = strlen(text);
    while (length > 0 && text[length - 1] == ' ')
        text[--length] = '\0';
}

/* Two quotes within a string stand for one; a string without its closing quote goes to the end of
 * the card. Returns what follows the string. */
static const char *read_quoted(const char *text, char *ret_value)
{
    size_t length = 0;
    for (text++; *text; text++) {
        if (*text == '\'' && *++text != '\'')
            break;
        ret_value[length++] = *text;
    }
    ret_value[length] = '\0';
    trim_end(ret_value);
    return text;
}

/* `from` is the offset of the value field in the card. */
static void read_field(const uint8_t *card, size_t from, value_field *ret_field)
{
    char text[AID_FITS_CARD + 1];
    aid_fits_printable(card + from, AID_FITS_CARD - from, text);
    const char *at = skip_blanks(text);
    ret_field->quoted = *at == '\'';
    if (ret_field->quoted) {
        at = read_quoted(at, ret_field->value);
    } else {
        size_t length = strcspn(at, "/");
        memcpy(ret_field->value, at, length);
        ret_field->value[length] = '\0';
        trim_end(ret_field->value);
        at += length;
    }
    const char *slash = strchr(at, '/');
    snprintf(ret_field->comment, sizeof ret_field->comment, "%s",
             slash ? skip_blanks(slash + 1) : "");
}

static const char *skip_digits(const char *text)
{
    while (isdigit((unsigned char)*text))
        text++;
    return text;
}

static bool is_number(const char *text)
{
    if (*text == '+' || *text == '-')
        text++;
    const char *whole = skip_digits(text);
    const char *end = *whole == '.' ? skip_digits(whole + 1) : whole;
    if (end - text == (*whole == '.')) /* not a single digit */
        return false;
    if (*end && strchr("EeDd", *end)) {
        end++;
        if (*end == '+' || *end == '-')
            end++;
        if (!isdigit((unsigned char)*end))
            return false;
        end = skip_digits(end);
    }
    return *end == '\0';
}

static bool has_value(const uint8_t *card)
{
    return card[KEYWORD] == '=' && card[0] != ' ' && memcmp(card, "COMMENT ", KEYWORD) != 0 &&
           memcmp(card, "HISTORY ", KEYWORD) != 0;
}

/* ------------------------------------------------------------------------ looking up one keyword
 */

const uint8_t *aid_fits_card_find(aid_fits_cards cards, const char *keyword)
{
    char padded[KEYWORD + 1];
    snprintf(padded, sizeof padded, "%-8s", keyword);
    for (int32_t i = 0; i < cards.count; i++) {
        const uint8_t *card = cards.bytes + (size_t)i * AID_FITS_CARD;
        if (!memcmp(card, padded, KEYWORD) && has_value(card))
            return card;
    }
    return NULL;
}

aid_status aid_fits_integer(aid_fits_cards cards, const char *keyword, int64_t fallback,
                            int64_t *ret_value, aid_error *err)
{
    const uint8_t *card = aid_fits_card_find(cards, keyword);
    if (!card) {
        *ret_value = fallback;
        return AID_OK;
    }
    value_field field;
    read_field(card, VALUE_AT - 1, &field);
    const char *digits = field.value + (field.value[0] == '+' || field.value[0] == '-');
    size_t length = strlen(digits);
    if (field.quoted || length == 0 || length > 18 || *skip_digits(digits))
        AID_FAIL(err, AID_ERR_INVALID, "%s = %.40s is not a whole number", keyword, field.value);
    *ret_value = strtoll(field.value, NULL, 10);
    return AID_OK;
}

aid_status aid_fits_real(aid_fits_cards cards, const char *keyword, double fallback,
                         double *ret_value, aid_error *err)
{
    const uint8_t *card = aid_fits_card_find(cards, keyword);
    if (!card) {
        *ret_value = fallback;
        return AID_OK;
    }
    value_field field;
    read_field(card, VALUE_AT - 1, &field);
    char text[AID_FITS_CARD];
    snprintf(text, sizeof text, "%s", field.value);
    for (char *at = text; *at; at++)
        if (*at == 'D' || *at == 'd')
            *at = 'E';
    double value = is_number(text) ? strtod(text, NULL) : NAN;
    if (!isfinite(value))
        AID_FAIL(err, AID_ERR_INVALID, "%s = %.40s is not a finite number", keyword, field.value);
    *ret_value = value;
    return AID_OK;
}

bool aid_fits_logical(aid_fits_cards cards, const char *keyword)
{
    const uint8_t *card = aid_fits_card_find(cards, keyword);
    if (!card)
        return false;
    value_field field;
    read_field(card, VALUE_AT - 1, &field);
    return !field.quoted && !strcmp(field.value, "T");
}

void aid_fits_text(aid_fits_cards cards, const char *keyword, char *ret_text, size_t size)
{
    const uint8_t *card = aid_fits_card_find(cards, keyword);
    value_field field = {.value = ""};
    if (card)
        read_field(card, VALUE_AT - 1, &field);
    snprintf(ret_text, size, "%s", field.value);
}

/* ------------------------------------------------------------------------------ reading all cards
 */

static aid_card_kind kind_of(const value_field *field)
{
    if (field->quoted)
        return AID_CARD_STRING;
    if (!strcmp(field->value, "T") || !strcmp(field->value, "F"))
        return AID_CARD_LOGICAL;
    return is_number(field->value) ? AID_CARD_NUMBER : AID_CARD_OTHER;
}

/* "HIERARCH ESO DET NAME = 'x'": the name lies between that word and the equals sign. Returns the
 * offset of the value, 0 where there is no such name. */
static size_t read_hierarch(const uint8_t *card, char *ret_keyword)
{
    const uint8_t *equals = memchr(card + KEYWORD, '=', AID_FITS_CARD - KEYWORD);
    if (memcmp(card, "HIERARCH ", KEYWORD + 1) != 0 || !equals)
        return 0;
    char name[AID_FITS_CARD + 1];
    aid_fits_printable(card + KEYWORD, (size_t)(equals - card) - KEYWORD, name);
    if (!*skip_blanks(name))
        return 0;
    snprintf(ret_keyword, AID_MAX_KEYWORD, "%s", skip_blanks(name));
    return (size_t)(equals - card) + 1;
}

static void read_keyword(const uint8_t *card, char *ret_keyword)
{
    aid_fits_printable(card, KEYWORD, ret_keyword);
    for (char *at = ret_keyword; *at; at++)
        *at = (char)toupper((unsigned char)*at);
}

static aid_status append(char *text, const char *more, const char *keyword, aid_error *err)
{
    size_t length = strlen(text), extra = strlen(more);
    if (length + extra > AID_MAX_CARD_VALUE)
        AID_FAIL(err, AID_ERR_INVALID, "%s goes on for more than %d bytes of CONTINUE cards",
                 keyword, AID_MAX_CARD_VALUE);
    memcpy(text + length, more, extra + 1);
    return AID_OK;
}

static bool is_continuation(aid_fits_cards cards, int32_t index)
{
    if (index >= cards.count)
        return false;
    value_field field;
    const uint8_t *card = cards.bytes + (size_t)index * AID_FITS_CARD;
    if (memcmp(card, "CONTINUE  ", VALUE_AT) != 0)
        return false;
    read_field(card, VALUE_AT, &field);
    return field.quoted;
}

/* A string that ends with '&' goes on in the next card, when that is a CONTINUE; otherwise the '&'
 * is a part of it. */
static bool goes_on(const char *value, aid_fits_cards cards, int32_t next)
{
    size_t length = strlen(value);
    return length > 0 && value[length - 1] == '&' && is_continuation(cards, next);
}

static void drop_last(char *text)
{
    text[strlen(text) - 1] = '\0';
}

static aid_status read_continuations(aid_fits_cards cards, int32_t *next, aid_fits_card *card,
                                     aid_error *err)
{
    bool more = goes_on(card->value, cards, *next);
    if (more)
        drop_last(card->value);
    while (more) {
        value_field field;
        read_field(cards.bytes + (size_t)(*next)++ * AID_FITS_CARD, VALUE_AT, &field);
        more = goes_on(field.value, cards, *next);
        if (more)
            drop_last(field.value);
        AID_TRY(append(card->value, field.value, card->keyword, err));
        if (card->comment[0] && field.comment[0])
            AID_TRY(append(card->comment, " ", card->keyword, err));
        AID_TRY(append(card->comment, field.comment, card->keyword, err));
    }
    return AID_OK;
}

aid_status aid_fits_card_read(aid_fits_cards cards, int32_t *next, aid_fits_card *ret_card,
                              aid_error *err)
{
    const uint8_t *card = cards.bytes + (size_t)(*next)++ * AID_FITS_CARD;
    read_keyword(card, ret_card->keyword);
    size_t value_at = read_hierarch(card, ret_card->keyword);
    if (value_at == 0 && has_value(card))
        value_at = VALUE_AT - 1; /* some writers leave out the blank behind the equals sign */
    ret_card->value[0] = '\0';
    if (value_at == 0) {
        ret_card->kind = AID_CARD_COMMENT;
        aid_fits_printable(card + KEYWORD, AID_FITS_CARD - KEYWORD, ret_card->comment);
        return AID_OK;
    }
    value_field field;
    read_field(card, value_at, &field);
    ret_card->kind = kind_of(&field);
    memcpy(ret_card->value, field.value, sizeof field.value);
    memcpy(ret_card->comment, field.comment, sizeof field.comment);
    return ret_card->kind == AID_CARD_STRING ? read_continuations(cards, next, ret_card, err)
                                             : AID_OK;
}
