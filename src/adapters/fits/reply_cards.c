#include "adapters/fits/reply_cards.h"

#include "adapters/fits/reply.h"
#include "core/base/memory.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void aid_fits_reply_cards_done(aid_fits_reply_cards *cards)
{
    free(cards->bytes);
    *cards = (aid_fits_reply_cards){0};
}

/* -------------------------------------------------------------------------------------- appending
 */

static aid_status reserve(aid_fits_reply_cards *cards, size_t size, aid_error *err)
{
    if (cards->size + size <= cards->capacity)
        return AID_OK;
    size_t capacity = 2 * cards->capacity + size + 4096;
    uint8_t *bytes = realloc(cards->bytes, capacity);
    if (!bytes)
        AID_FAIL(err, AID_ERR_NOMEM, "header: out of memory for %zu bytes", capacity);
    cards->bytes = bytes;
    cards->capacity = capacity;
    return AID_OK;
}

static void put(aid_fits_reply_cards *cards, const void *bytes, size_t size)
{
    memcpy(cards->bytes + cards->size, bytes, size);
    cards->size += size;
}

static aid_status append(aid_fits_reply_cards *cards, const aid_fits_card *card, aid_error *err)
{
    if (cards->count == AID_MAX_HEADER_CARDS)
        AID_FAIL(err, AID_ERR_INVALID, "more than %d cards with those of the primary header",
                 AID_MAX_HEADER_CARDS);
    aid_fits_reply_card lengths = {.kind = (uint16_t)card->kind,
                                   .keyword = (uint16_t)strlen(card->keyword),
                                   .value = (uint16_t)strlen(card->value),
                                   .comment = (uint16_t)strlen(card->comment)};
    AID_TRY(reserve(
        cards, sizeof lengths + lengths.keyword + (size_t)lengths.value + lengths.comment, err));
    put(cards, &lengths, sizeof lengths);
    put(cards, card->keyword, lengths.keyword);
    put(cards, card->value, lengths.value);
    put(cards, card->comment, lengths.comment);
    cards->count++;
    return AID_OK;
}

/* --------------------------------------------------------------------------------------- keywords
 */

/* Whether `keyword` is one of `names`; a name that ends in '#' stands for itself and a number. */
static bool is_among(const char *keyword, const char *const *names)
{
    for (; *names; names++) {
        size_t length = strcspn(*names, "#");
        if (strncmp(keyword, *names, length) != 0)
            continue;
        const char *rest = keyword + length;
        if ((*names)[length] == '\0' ? *rest == '\0'
                                     : *rest && strspn(rest, "0123456789") == strlen(rest))
            return true;
    }
    return false;
}

/* What describes the table around a compressed image, not the image. */
static bool is_of_table(const aid_fits_card *card)
{
    static const char *const names[] = {
        "XTENSION", "BITPIX",   "NAXIS",    "NAXIS#",   "PCOUNT",   "GCOUNT",   "TFIELDS", "THEAP",
        "TTYPE#",   "TFORM#",   "TUNIT#",   "TSCAL#",   "TZERO#",   "TNULL#",   "TDIM#",   "ZIMAGE",
        "ZCMPTYPE", "ZQUANTIZ", "ZDITHER0", "ZBLANK",   "ZSCALE",   "ZZERO",    "ZNAME#",  "ZVAL#",
        "ZTILE#",   "CHECKSUM", "DATASUM",  "ZHECKSUM", "ZDATASUM", "ZMASKCMP", NULL};
    return is_among(card->keyword, names) ||
           (!strcmp(card->keyword, "EXTNAME") && !strcmp(card->value, "COMPRESSED_IMAGE"));
}

/* ZBITPIX was BITPIX before the compression, and so on. */
static void restore_keyword(aid_fits_card *card)
{
    static const char *const names[] = {"ZSIMPLE", "ZBITPIX", "ZNAXIS",   "ZNAXIS#", "ZEXTEND",
                                        "ZPCOUNT", "ZGCOUNT", "ZBLOCKED", NULL};
    if (!strcmp(card->keyword, "ZTENSION"))
        snprintf(card->keyword, sizeof card->keyword, "XTENSION");
    else if (is_among(card->keyword, names))
        memmove(card->keyword, card->keyword + 1, strlen(card->keyword));
}

/* What describes the primary HDU's own structure and data. */
static bool is_of_primary(const aid_fits_card *card)
{
    static const char *const names[] = {"SIMPLE",  "BITPIX",   "NAXIS",   "NAXIS#",  "EXTEND",
                                        "GROUPS",  "PCOUNT",   "GCOUNT",  "BSCALE",  "BZERO",
                                        "BLANK",   "CHECKSUM", "DATASUM", "EXTNAME", "EXTVER",
                                        "EXTTYPE", "EXTLEVEL", "INHERIT", NULL};
    return is_among(card->keyword, names);
}

/* Cards of a world coordinate system make sense together only: an extension that has its own must
 * not get some terms of another. */
static bool is_of_wcs(const aid_fits_card *card)
{
    static const char *const names[] = {"CTYPE#", "CRPIX#",  "CRVAL#",  "CUNIT#",  "CDELT#",
                                        "CROTA#", "WCSAXES", "LONPOLE", "LATPOLE", NULL};
    static const char *const matrices[] = {"CD", "PC", "PV", "PS", "A", "B", "AP", "BP"};
    if (is_among(card->keyword, names))
        return true;
    const char *underscore = strchr(card->keyword, '_');
    if (!underscore || !(isdigit((unsigned char)underscore[1]) || !strcmp(underscore, "_ORDER")))
        return false;
    size_t length = strcspn(card->keyword, "0123456789_");
    for (size_t i = 0; i < AID_COUNT_OF(matrices); i++)
        if (strlen(matrices[i]) == length && !strncmp(card->keyword, matrices[i], length))
            return true;
    return false;
}

/* ------------------------------------------------------------------- which keywords are there yet
 */

typedef struct keyword_set {
    uint64_t *hashes;
    int32_t count;
} keyword_set;

static void keyword_set_done(keyword_set *set)
{
    free(set->hashes);
}

/* FNV-1a. Two keywords with one hash would cost an inherited card, no more. */
static uint64_t hash_of(const char *keyword, size_t length)
{
    uint64_t hash = 14695981039346656037ull;
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (uint8_t)keyword[i]) * 1099511628211ull;
    return hash;
}

static int compare_hashes(const void *a, const void *b)
{
    uint64_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return (x > y) - (x < y);
}

static aid_status collect_keywords(const aid_fits_reply_cards *cards, keyword_set *set,
                                   aid_error *err)
{
    AID_TRY(aid_new_array((size_t)cards->count, sizeof *set->hashes, "header", &set->hashes, err));
    const uint8_t *at = cards->bytes;
    for (set->count = 0; set->count < cards->count; set->count++) {
        aid_fits_reply_card lengths;
        memcpy(&lengths, at, sizeof lengths);
        at += sizeof lengths;
        set->hashes[set->count] = hash_of((const char *)at, lengths.keyword);
        at += (size_t)lengths.keyword + lengths.value + lengths.comment;
    }
    qsort(set->hashes, (size_t)set->count, sizeof *set->hashes, compare_hashes);
    return AID_OK;
}

static bool contains(const keyword_set *set, const char *keyword)
{
    uint64_t hash = hash_of(keyword, strlen(keyword));
    return set->count > 0 && bsearch(&hash, set->hashes, (size_t)set->count, sizeof *set->hashes,
                                     compare_hashes) != NULL;
}

/* ----------------------------------------------------------------------------------------- headers
 */

static aid_status collect_own(aid_fits_cards from, bool compressed, aid_fits_card *card,
                              aid_fits_reply_cards *cards, aid_error *err)
{
    for (int32_t next = 0; next < from.count;) {
        AID_TRY(aid_fits_card_read(from, &next, card, err));
        if (compressed && is_of_table(card))
            continue;
        if (compressed)
            restore_keyword(card);
        AID_TRY(append(cards, card, err));
    }
    return AID_OK;
}

/* Comments are no keywords that an extension could have itself: all of the primary's are kept. */
static aid_status collect_inherited(aid_fits_cards from, aid_fits_card *card,
                                    aid_fits_reply_cards *cards, aid_error *err)
{
    AID_CLEANUP(keyword_set_done)
    keyword_set set = {0};
    AID_TRY(collect_keywords(cards, &set, err));
    bool has_wcs = contains(&set, "CTYPE1");
    for (int32_t next = 0; next < from.count;) {
        AID_TRY(aid_fits_card_read(from, &next, card, err));
        bool known = card->kind != AID_CARD_COMMENT && contains(&set, card->keyword);
        if (known || is_of_primary(card) || (has_wcs && is_of_wcs(card)))
            continue;
        AID_TRY(append(cards, card, err));
    }
    return AID_OK;
}

aid_status aid_fits_reply_cards_collect(const aid_fits_bytes *bytes, const aid_fits_layout *layout,
                                        int hdu, aid_fits_reply_cards *cards, aid_error *err)
{
    AID_CLEANUP(aid_free_pointer)
    aid_fits_card *card = NULL;
    AID_TRY(aid_new_array(1, sizeof *card, "header", &card, err));
    const aid_fits_hdu *own = &layout->hdus[hdu];
    AID_TRY(
        collect_own(aid_fits_hdu_cards(bytes, own), own->kind == AID_FITS_TILES, card, cards, err));
    if (hdu == 0)
        return AID_OK;
    return collect_inherited(aid_fits_hdu_cards(bytes, &layout->hdus[0]), card, cards, err);
}
