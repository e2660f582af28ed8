#include "adapters/fits/write_cards.h"

#include "core/base/text.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void aid_fits_cards_done(aid_fits_cards *cards)
{
    free(cards->bytes);
    *cards = (aid_fits_cards){0};
}

/* One more card, all blanks; NULL when there is no memory. */
static char *new_card(aid_fits_cards *cards)
{
    if (cards->count == cards->capacity) {
        size_t capacity = cards->capacity ? 2 * cards->capacity : 72; /* two blocks */
        char *bytes = realloc(cards->bytes, capacity * AID_FITS_CARD);
        if (!bytes) {
            cards->out_of_memory = true;
            return NULL;
        }
        cards->bytes = bytes;
        cards->capacity = capacity;
    }
    char *card = cards->bytes + cards->count++ * AID_FITS_CARD;
    memset(card, ' ', AID_FITS_CARD);
    return card;
}

char *aid_fits_ascii(const char *text, bool double_quotes)
{
    char *ascii = malloc(2 * strlen(text) + 1), *end = ascii;
    if (!ascii)
        return NULL;
    for (uint32_t character; (character = aid_utf8_next(&text)) != 0;) {
        if (character == '\'' && double_quotes)
            *end++ = '\'';
        *end++ = character >= 0x7f ? '?' : character < 0x20 ? ' ' : (char)character;
    }
    *end = '\0';
    return ascii;
}

/* ------------------------------------------------------------------------------------- keywords */

/* "KEYWORD = " or "HIERARCH LONG NAME = "; false when not even one digit would fit behind it. */
static bool card_head(const char *keyword, char head[AID_FITS_CARD])
{
    char name[AID_MAX_KEYWORD];
    size_t length = 0;
    bool standard = true;
    if (!strncasecmp(keyword, "HIERARCH ", 9))
        keyword += 9;
    for (; *keyword && length < sizeof name - 1; keyword++) {
        int c = toupper((unsigned char)*keyword);
        bool plain = (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
        standard = standard && plain;
        name[length++] = c <= ' ' && c != ' ' ? '_' : c >= 0x7f || c == '=' ? '_' : (char)c;
    }
    name[length] = '\0';
    if (length == 0 || *keyword)
        return false;
    if (standard && length <= 8)
        return snprintf(head, AID_FITS_CARD, "%-8s= ", name) > 0;
    return snprintf(head, AID_FITS_CARD, "HIERARCH %s = ", name) < AID_FITS_CARD;
}

/* Keywords whose last digits are the number of an axis, a column or a parameter end in '#'. */
static const char *const structural[] = {
    "SIMPLE",   "XTENSION", "BITPIX",   "NAXIS",    "NAXIS#",   "EXTEND",   "PCOUNT",   "GCOUNT",
    "GROUPS",   "BLOCKED",  "BSCALE",   "BZERO",    "BLANK",    "CHECKSUM", "DATASUM",  "END",
    "EXTNAME",  "EXTVER",   "EXTLEVEL", "INHERIT",  "LONGSTRN", "CONTINUE", "TFIELDS",  "THEAP",
    "TTYPE#",   "TFORM#",   "TUNIT#",   "TNULL#",   "TSCAL#",   "TZERO#",   "TDISP#",   "TDIM#",
    "TBCOL#",   "TUCD#",    "TCOMM#",   "TDMIN#",   "TDMAX#",   "TLMIN#",   "TLMAX#",   "ZIMAGE",
    "ZTABLE",   "ZSIMPLE",  "ZTENSION", "ZBITPIX",  "ZNAXIS",   "ZNAXIS#",  "ZEXTEND",  "ZPCOUNT",
    "ZGCOUNT",  "ZBLOCKED", "ZTILE#",   "ZTILELEN", "ZCMPTYPE", "ZCTYP#",   "ZFORM#",   "ZNAME#",
    "ZVAL#",    "ZMASKCMP", "ZQUANTIZ", "ZDITHER0", "ZBLANK",   "ZSCALE",   "ZZERO",    "ZTHEAP",
    "ZHECKSUM", "ZDATASUM", "FZALGOR",  "FZTILE",   "FZQMETHD", "FZQVALUE", "FZDTHRSD",
};

bool aid_fits_is_structural(const char *keyword)
{
    for (size_t i = 0; i < AID_COUNT_OF(structural); i++) {
        const char *word = structural[i];
        size_t length = strlen(word);
        if (word[length - 1] != '#') {
            if (!strcasecmp(keyword, word))
                return true;
            continue;
        }
        const char *number = keyword + length - 1;
        if (!strncasecmp(keyword, word, length - 1) && *number &&
            strspn(number, "0123456789") == strlen(number))
            return true;
    }
    return false;
}

/* --------------------------------------------------------------------------------------- values */

/* What fits of it, in whole words: half a word is worse than none. */
static size_t comment_length(const char *ascii, size_t room)
{
    size_t length = strlen(ascii);
    if (length <= room)
        return length;
    length = room;
    while (length > 0 && ascii[length] != ' ')
        length--;
    return length;
}

/* " / comment" behind what is in the card already, as far as it goes. */
static void add_comment(aid_fits_cards *cards, char *card, size_t used, const char *comment)
{
    if (!comment || !*comment || used + 4 > AID_FITS_CARD)
        return;
    char *ascii = aid_fits_ascii(comment, false);
    if (!ascii) {
        cards->out_of_memory = true;
        return;
    }
    size_t length = comment_length(ascii, AID_FITS_CARD - used - 3);
    if (length > 0) {
        memcpy(card + used, " / ", 3);
        memcpy(card + used + 3, ascii, length);
    }
    free(ascii);
}

/* The last resort of a value that fits no card: nothing is lost but its type. */
static void put_as_remark(aid_fits_cards *cards, const char *keyword, const char *value)
{
    char text[AID_MAX_KEYWORD + AID_MAX_CARD_VALUE + 8];
    snprintf(text, sizeof text, "%s = %s", keyword, value);
    aid_fits_card_remark(cards, "COMMENT", text);
}

/* A number or logical: to the right of column 30 where it is short enough (fixed format). */
static void put_bare(aid_fits_cards *cards, const char *keyword, const char *value,
                     const char *comment)
{
    char head[AID_FITS_CARD];
    size_t length = strlen(value);
    if (!card_head(keyword, head) || strlen(head) + length > AID_FITS_CARD) {
        put_as_remark(cards, keyword, value);
        return;
    }
    char *card = new_card(cards);
    if (!card)
        return;
    size_t used = strlen(head), room = AID_FITS_CARD - used;
    size_t width = AID_MIN(AID_MAX(length, 20), room);
    memcpy(card, head, used);
    memcpy(card + used + width - length, value, length);
    add_comment(cards, card, used + width, comment);
}

static void put_quoted(aid_fits_cards *cards, const char *head, const char *quoted, size_t length,
                       const char *comment)
{
    char *card = new_card(cards);
    if (!card)
        return;
    size_t used = strlen(head), room = AID_FITS_CARD - used;
    memcpy(card, head, used);
    card[used] = '\'';
    memcpy(card + used + 1, quoted, length);
    /* Fixed format has at least eight characters between the quotes. */
    card[used + 1 + AID_MIN(AID_MAX(length, 8), room - 2)] = '\'';
    add_comment(cards, card, used + AID_MIN(AID_MAX(length + 2, 20), room), comment);
}

/* How many of the characters go on a card with room for `room` of them, so that no doubled quote is
 * torn: an odd run of quotes at the end is one. */
static size_t chunk_length(const char *text, size_t room)
{
    size_t quotes = 0;
    while (quotes < room && text[room - 1 - quotes] == '\'')
        quotes++;
    return room - quotes % 2;
}

static void put_long(aid_fits_cards *cards, const char *head, const char *quoted,
                     const char *comment)
{
    if (!cards->long_strings) {
        cards->long_strings = true;
        aid_fits_card_text(cards, "LONGSTRN", "OGIP 1.0", "long strings go on in CONTINUE cards");
    }
    size_t rest = strlen(quoted);
    for (;;) {
        size_t room = AID_FITS_CARD - strlen(head) - 2;
        if (rest <= room)
            break;
        char chunk[AID_FITS_CARD];
        size_t length = chunk_length(quoted, room - 1);
        memcpy(chunk, quoted, length);
        chunk[length] = '&';
        put_quoted(cards, head, chunk, length + 1, NULL);
        quoted += length;
        rest -= length;
        head = "CONTINUE  ";
    }
    put_quoted(cards, head, quoted, rest, comment);
}

void aid_fits_card_text(aid_fits_cards *cards, const char *keyword, const char *value,
                        const char *comment)
{
    char head[AID_FITS_CARD];
    if (!card_head(keyword, head) || strlen(head) > AID_FITS_CARD - 12) {
        put_as_remark(cards, keyword, value);
        return;
    }
    char *quoted = aid_fits_ascii(value, true);
    if (!quoted) {
        cards->out_of_memory = true;
        return;
    }
    size_t length = strlen(quoted);
    if (length + 2 <= AID_FITS_CARD - strlen(head))
        put_quoted(cards, head, quoted, length, comment);
    else
        put_long(cards, head, quoted, comment);
    free(quoted);
}

void aid_fits_card_logical(aid_fits_cards *cards, const char *keyword, bool value,
                           const char *comment)
{
    put_bare(cards, keyword, value ? "T" : "F", comment);
}

void aid_fits_card_integer(aid_fits_cards *cards, const char *keyword, int64_t value,
                           const char *comment)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, value);
    put_bare(cards, keyword, text, comment);
}

void aid_fits_card_remark(aid_fits_cards *cards, const char *keyword, const char *text)
{
    char *ascii = aid_fits_ascii(text, false);
    if (!ascii) {
        cards->out_of_memory = true;
        return;
    }
    size_t rest = strlen(ascii);
    const char *from = ascii;
    do {
        char *card = new_card(cards);
        if (!card)
            break;
        /* "= " behind any other keyword would make a value of the text. */
        size_t shift = from[0] == '=' ? 1 : 0;
        size_t length = AID_MIN(rest, AID_FITS_CARD - 8 - shift);
        memcpy(card, keyword, AID_MIN(strlen(keyword), 8));
        memcpy(card + 8 + shift, from, length);
        from += length;
        rest -= length;
    } while (rest > 0);
    free(ascii);
}

/* -------------------------------------------------------------------------- cards of an input */

/* Section 4.2.3 and 4.2.4: digits with at most one point, then perhaps an exponent. Returns what is
 * behind the number, or NULL. */
static const char *skip_number(const char *text)
{
    text += *text == '+' || *text == '-';
    size_t whole = strspn(text, "0123456789");
    text += whole;
    size_t fraction = *text == '.' ? strspn(text + 1, "0123456789") : 0;
    text += *text == '.' ? 1 + fraction : 0;
    if (whole + fraction == 0)
        return NULL;
    if (!*text || !strchr("EDed", *text))
        return text;
    text++;
    text += *text == '+' || *text == '-';
    size_t exponent = strspn(text, "0123456789");
    return exponent ? text + exponent : NULL;
}

static bool is_number(const char *text)
{
    const char *end = skip_number(text);
    return end && !*end;
}

/* Section 4.2.5 and 4.2.6: (real, imaginary). */
static bool is_complex(const char *text)
{
    if (*text != '(')
        return false;
    text = skip_number(text + 1 + strspn(text + 1, " "));
    if (!text)
        return false;
    text += strspn(text, " ");
    if (*text != ',')
        return false;
    text = skip_number(text + 1 + strspn(text + 1, " "));
    return text && !strcmp(text + strspn(text, " "), ")");
}

static bool is_bare_value(const aid_card *card)
{
    switch (card->kind) {
    case AID_CARD_LOGICAL:
        return !strcmp(card->value, "T") || !strcmp(card->value, "F");
    case AID_CARD_NUMBER:
        return is_number(card->value);
    case AID_CARD_OTHER: /* an undefined value is an empty one */
        return !*card->value || is_number(card->value) || is_complex(card->value);
    default:
        return false;
    }
}

static void add_remark(aid_fits_cards *cards, const aid_card *card)
{
    bool standard = !*card->keyword || !strcasecmp(card->keyword, "COMMENT") ||
                    !strcasecmp(card->keyword, "HISTORY");
    char keyword[16] = "COMMENT";
    if (standard)
        snprintf(keyword, sizeof keyword, "%s", card->keyword);
    for (char *c = keyword; *c; c++)
        *c = (char)toupper((unsigned char)*c);
    if (standard)
        aid_fits_card_remark(cards, keyword, card->comment);
    else
        put_as_remark(cards, card->keyword, card->comment);
}

static void add_card(aid_fits_cards *cards, const aid_card *card)
{
    if (card->kind == AID_CARD_COMMENT) {
        add_remark(cards, card);
        return;
    }
    if (card->kind == AID_CARD_STRING || !is_bare_value(card)) {
        aid_fits_card_text(cards, card->keyword, card->value, card->comment);
        return;
    }
    char value[AID_FITS_CARD + 1];
    size_t length = 0;
    for (; card->value[length] && length < AID_FITS_CARD; length++)
        value[length] = (char)toupper((unsigned char)card->value[length]);
    value[length] = '\0';
    if (length <= AID_FITS_CARD - 10)
        put_bare(cards, card->keyword, value, card->comment);
    else
        aid_fits_card_text(cards, card->keyword, card->value, card->comment);
}

void aid_fits_cards_add(aid_fits_cards *cards, const aid_header *header)
{
    for (int i = 0; header && i < header->count; i++)
        if (!aid_fits_is_structural(header->cards[i].keyword))
            add_card(cards, &header->cards[i]);
}

aid_status aid_fits_cards_end(aid_fits_cards *cards, const char *path, aid_error *err)
{
    char *card = new_card(cards);
    if (card)
        memcpy(card, "END", 3);
    while (card && cards->count * AID_FITS_CARD % AID_FITS_BLOCK != 0)
        card = new_card(cards);
    if (cards->out_of_memory)
        AID_FAIL(err, AID_ERR_NOMEM, "%s: out of memory for a header of %zu cards", path,
                 cards->count);
    return AID_OK;
}
