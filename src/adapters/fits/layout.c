#include "adapters/fits/layout.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { MAX_AXES = 999 }; /* of the standard */

/* ------------------------------------------------------------------------------------ arithmetic
 */

/* a * b, or false where that is more than any file may hold. */
static bool multiply(uint64_t a, uint64_t b, uint64_t *ret_product)
{
    if (b != 0 && a > (uint64_t)AID_MAX_FILE_BYTES / b)
        return false;
    *ret_product = a * b;
    return true;
}

static uint64_t whole_blocks(uint64_t size)
{
    return (size + AID_FITS_BLOCK - 1) / AID_FITS_BLOCK * AID_FITS_BLOCK;
}

/* ---------------------------------------------------------------------------------- header extent
 */

static const uint8_t *card_at(const aid_fits_bytes *bytes, const aid_fits_hdu *hdu, int32_t index)
{
    return bytes->data + hdu->header_start + (uint64_t)index * AID_FITS_CARD;
}

aid_fits_cards aid_fits_hdu_cards(const aid_fits_bytes *bytes, const aid_fits_hdu *hdu)
{
    return (aid_fits_cards){card_at(bytes, hdu, 0), hdu->card_count};
}

/* Counts the cards before END. */
static aid_status find_end(aid_fits_bytes *bytes, aid_fits_hdu *hdu, aid_error *err)
{
    for (int32_t i = 0; i <= AID_MAX_HEADER_CARDS; i++) {
        uint64_t end = hdu->header_start + ((uint64_t)i + 1) * AID_FITS_CARD;
        if (end > bytes->size)
            AID_TRY(aid_fits_bytes_need(
                bytes, hdu->header_start + whole_blocks(end - hdu->header_start), err));
        if (end > bytes->size)
            AID_FAIL(err, AID_ERR_INVALID,
                     "no END card in the %d cards up to the end of the file (truncated?)", i);
        if (!memcmp(card_at(bytes, hdu, i), "END     ", 8)) {
            hdu->card_count = i;
            hdu->data_start = hdu->header_start + whole_blocks(end - hdu->header_start);
            return AID_OK;
        }
    }
    AID_FAIL(err, AID_ERR_INVALID, "more than %d cards without an END", AID_MAX_HEADER_CARDS);
}

/* ----------------------------------------------------------------------------- mandatory keywords
 */

/* The mandatory keywords stand in a fixed order, the first one in card 0. */
static aid_status read_mandatory(aid_fits_cards cards, int32_t index, const char *keyword,
                                 int64_t *ret_value, aid_error *err)
{
    if (index >= cards.count)
        AID_FAIL(err, AID_ERR_INVALID, "no %s in card %d", keyword, index + 1);
    aid_fits_cards one = {cards.bytes + (size_t)index * AID_FITS_CARD, 1};
    if (!aid_fits_card_find(one, keyword)) {
        char found[AID_FITS_CARD];
        aid_fits_printable(one.bytes, 8, found);
        AID_FAIL(err, AID_ERR_INVALID, "card %d is '%s' where %s must be", index + 1, found,
                 keyword);
    }
    return aid_fits_integer(one, keyword, 0, ret_value, err);
}

static aid_status check_bitpix(const char *keyword, int64_t bitpix, aid_error *err)
{
    if (bitpix != 8 && bitpix != 16 && bitpix != 32 && bitpix != 64 && bitpix != -32 &&
        bitpix != -64)
        AID_FAIL(err, AID_ERR_INVALID, "%s = %lld is not 8, 16, 32, 64, -32 or -64", keyword,
                 (long long)bitpix);
    return AID_OK;
}

static aid_status check_axis(const char *keyword, int64_t length, aid_error *err)
{
    if (length < 0 || length > AID_MAX_FILE_BYTES)
        AID_FAIL(err, AID_ERR_INVALID, "%s = %lld is not between 0 and %lld", keyword,
                 (long long)length, AID_MAX_FILE_BYTES);
    return AID_OK;
}

/* Whether the axes are those of a 2-D image. */
static bool is_flat(const aid_fits_hdu *hdu, bool beyond_are_one)
{
    return hdu->naxis >= 2 && hdu->axes[0] >= 1 && hdu->axes[1] >= 1 && beyond_are_one;
}

/* BITPIX, NAXIS and NAXISn, and the number of elements; a first axis of 0 is left out of the
 * product in random groups. */
static aid_status read_axes(aid_fits_cards cards, bool groups, aid_fits_hdu *hdu,
                            uint64_t *ret_elements, aid_error *err)
{
    int64_t bitpix, naxis;
    AID_TRY(read_mandatory(cards, 1, "BITPIX", &bitpix, err));
    AID_TRY(check_bitpix("BITPIX", bitpix, err));
    AID_TRY(read_mandatory(cards, 2, "NAXIS", &naxis, err));
    if (naxis < 0 || naxis > MAX_AXES)
        AID_FAIL(err, AID_ERR_INVALID, "NAXIS = %lld is not between 0 and %d", (long long)naxis,
                 MAX_AXES);
    hdu->bitpix = (int)bitpix;
    hdu->naxis = (int)naxis;
    uint64_t elements = naxis > 0;
    bool beyond_are_one = true;
    for (int i = 0; i < hdu->naxis; i++) {
        char keyword[16];
        int64_t length;
        snprintf(keyword, sizeof keyword, "NAXIS%d", i + 1);
        AID_TRY(read_mandatory(cards, 3 + i, keyword, &length, err));
        AID_TRY(check_axis(keyword, length, err));
        if (i < AID_FITS_AXES)
            hdu->axes[i] = length;
        beyond_are_one = beyond_are_one && (i < 2 || length == 1);
        if (i == 0 && length == 0 && groups)
            continue;
        if (!multiply(elements, (uint64_t)length, &elements))
            AID_FAIL(err, AID_ERR_INVALID, "NAXIS1 x ... x %s = %lld is more than %lld", keyword,
                     (long long)length, AID_MAX_FILE_BYTES);
    }
    hdu->flat = is_flat(hdu, beyond_are_one);
    *ret_elements = elements;
    return AID_OK;
}

/* |BITPIX|/8 x GCOUNT x (PCOUNT + NAXIS1 x ... x NAXISn): FITS standard 4.0, equation 2. */
static aid_status size_data(aid_fits_cards cards, uint64_t elements, aid_fits_hdu *hdu,
                            aid_error *err)
{
    int64_t pcount, gcount;
    AID_TRY(aid_fits_integer(cards, "PCOUNT", 0, &pcount, err));
    AID_TRY(aid_fits_integer(cards, "GCOUNT", 1, &gcount, err));
    AID_TRY(check_axis("PCOUNT", pcount, err));
    AID_TRY(check_axis("GCOUNT", gcount, err));
    if (hdu->kind == AID_FITS_IMAGE && (pcount != 0 || gcount != 1))
        AID_FAIL(err, AID_ERR_INVALID, "PCOUNT = %lld and GCOUNT = %lld, not 0 and 1, for an image",
                 (long long)pcount, (long long)gcount);
    uint64_t item = (uint64_t)(hdu->bitpix < 0 ? -hdu->bitpix : hdu->bitpix) / 8;
    if (!multiply(elements + (uint64_t)pcount, (uint64_t)gcount, &hdu->data_size) ||
        !multiply(hdu->data_size, item, &hdu->data_size))
        AID_FAIL(err, AID_ERR_INVALID, "the data would be more than %lld bytes",
                 AID_MAX_FILE_BYTES);
    return AID_OK;
}

/* ------------------------------------------------------------------------------- kinds of an HDU
 */

static aid_status begin_primary(aid_fits_cards cards, aid_fits_hdu *hdu, bool *ret_groups,
                                aid_error *err)
{
    if (!aid_fits_logical((aid_fits_cards){cards.bytes, 1}, "SIMPLE"))
        AID_FAIL(err, AID_ERR_INVALID, "SIMPLE is not T: not standard FITS");
    *ret_groups = aid_fits_logical(cards, "GROUPS");
    hdu->kind = AID_FITS_IMAGE;
    return AID_OK;
}

static void begin_extension(aid_fits_cards cards, aid_fits_hdu *hdu)
{
    static const struct {
        const char *name;
        aid_fits_kind kind;
    } types[] = {{"IMAGE", AID_FITS_IMAGE},
                 {"IUEIMAGE", AID_FITS_IMAGE},
                 {"BINTABLE", AID_FITS_BINARY_TABLE},
                 {"A3DTABLE", AID_FITS_BINARY_TABLE},
                 {"TABLE", AID_FITS_ASCII_TABLE}};
    char type[AID_FITS_NAME];
    aid_fits_text(cards, "XTENSION", type, sizeof type);
    hdu->kind = AID_FITS_OTHER;
    for (size_t i = 0; i < AID_COUNT_OF(types); i++)
        if (!strcmp(type, types[i].name))
            hdu->kind = types[i].kind;
}

/* A binary table with ZIMAGE = T is an image: from here on its own axes count. */
static aid_status read_compressed_axes(aid_fits_cards cards, aid_fits_hdu *hdu, aid_error *err)
{
    int64_t bitpix, naxis;
    hdu->kind = AID_FITS_TILES;
    AID_TRY(aid_fits_integer(cards, "ZBITPIX", 0, &bitpix, err));
    AID_TRY(check_bitpix("ZBITPIX", bitpix, err));
    AID_TRY(aid_fits_integer(cards, "ZNAXIS", 0, &naxis, err));
    if (naxis < 1 || naxis > AID_FITS_AXES)
        AID_FAIL(err, AID_ERR_INVALID, "ZNAXIS = %lld is not between 1 and %d", (long long)naxis,
                 AID_FITS_AXES);
    hdu->bitpix = (int)bitpix;
    hdu->naxis = (int)naxis;
    memset(hdu->axes, 0, sizeof hdu->axes);
    bool beyond_are_one = true;
    for (int i = 0; i < hdu->naxis; i++) {
        char keyword[16];
        snprintf(keyword, sizeof keyword, "ZNAXIS%d", i + 1);
        AID_TRY(aid_fits_integer(cards, keyword, 0, &hdu->axes[i], err));
        AID_TRY(check_axis(keyword, hdu->axes[i], err));
        beyond_are_one = beyond_are_one && (i < 2 || hdu->axes[i] == 1);
    }
    hdu->flat = is_flat(hdu, beyond_are_one);
    return AID_OK;
}

/* Compressing tools call what had no name COMPRESSED_IMAGE. An EXTVER that is no number counts as
 * none: nothing else depends on it. */
static void read_name(aid_fits_cards cards, aid_fits_hdu *hdu)
{
    aid_fits_text(cards, "EXTNAME", hdu->name, sizeof hdu->name);
    aid_fits_text(cards, "EXTTYPE", hdu->type, sizeof hdu->type);
    if (hdu->kind == AID_FITS_TILES && !strcmp(hdu->name, "COMPRESSED_IMAGE"))
        hdu->name[0] = '\0';
    hdu->version = 1;
    hdu->has_version = aid_fits_card_find(cards, "EXTVER") != NULL &&
                       aid_fits_integer(cards, "EXTVER", 1, &hdu->version, NULL) == AID_OK;
}

static aid_status read_hdu(aid_fits_bytes *bytes, int index, aid_fits_hdu *hdu, aid_error *err)
{
    AID_TRY(find_end(bytes, hdu, err));
    aid_fits_cards cards = aid_fits_hdu_cards(bytes, hdu);
    bool groups = false;
    if (index == 0)
        AID_TRY(begin_primary(cards, hdu, &groups, err));
    else
        begin_extension(cards, hdu);
    uint64_t elements = 0;
    AID_TRY(read_axes(cards, groups, hdu, &elements, err));
    if (groups && hdu->axes[0] == 0)
        hdu->kind = AID_FITS_GROUPS;
    AID_TRY(size_data(cards, elements, hdu, err));
    if (hdu->kind == AID_FITS_BINARY_TABLE && aid_fits_logical(cards, "ZIMAGE"))
        AID_TRY(read_compressed_axes(cards, hdu, err));
    read_name(cards, hdu);
    if (hdu->data_size == 0)
        return AID_OK;
    uint64_t end = hdu->data_start + hdu->data_size;
    AID_TRY(aid_fits_bytes_need(bytes, end, err));
    if (end > bytes->size)
        AID_FAIL(err, AID_ERR_INVALID,
                 "the data need %llu bytes, of which %llu are missing (truncated file)",
                 (unsigned long long)hdu->data_size,
                 (unsigned long long)AID_MIN(end - bytes->size, hdu->data_size));
    return AID_OK;
}

/* ---------------------------------------------------------------------------------- the whole file
 */

static aid_status check_beginning(aid_fits_bytes *bytes, aid_error *err)
{
    static const char signature[] = "SIMPLE  =";
    const size_t length = sizeof signature - 1;
    AID_TRY(aid_fits_bytes_need(bytes, AID_FITS_BLOCK, err));
    if (bytes->size == 0)
        AID_FAIL(err, AID_ERR_INVALID, "not a FITS file (empty%s)",
                 bytes->inflater ? " within the gzip" : "");
    if (bytes->size >= length && !memcmp(bytes->data, signature, length))
        return AID_OK;
    char text[17];
    aid_fits_printable(bytes->data, (size_t)AID_MIN(bytes->size, 16), text);
    AID_FAIL(err, AID_ERR_INVALID, "not a FITS file (begins with '%s'%s)", text,
             bytes->inflater ? " within the gzip" : "");
}

static bool is_padding(const uint8_t *bytes, uint64_t size)
{
    for (uint64_t i = 0; i < size; i++)
        if (bytes[i] != 0 && bytes[i] != ' ')
            return false;
    return true;
}

/* Whether an extension begins at `start`. Zeros or blanks behind the last HDU are padding; other
 * bytes mean that a size in the HDU before is wrong, or that an extension was cut off in its name.
 */
static aid_status find_extension(aid_fits_bytes *bytes, uint64_t start, int before, bool *ret_found,
                                 aid_error *err)
{
    static const char signature[] = "XTENSION";
    AID_TRY(aid_fits_bytes_need(bytes, start + AID_FITS_BLOCK, err));
    *ret_found = false;
    if (bytes->size <= start)
        return AID_OK;
    const uint8_t *at = bytes->data + start;
    uint64_t size = AID_MIN(bytes->size - start, (uint64_t)AID_FITS_BLOCK);
    *ret_found = !memcmp(at, signature, (size_t)AID_MIN(size, sizeof signature - 1));
    if (*ret_found || is_padding(at, size))
        return AID_OK;
    char text[17];
    aid_fits_printable(at, (size_t)AID_MIN(size, 16), text);
    AID_FAIL(err, AID_ERR_INVALID,
             "HDU %d: what follows its data is no extension (begins with '%s')", before, text);
}

aid_status aid_fits_layout_read(aid_fits_bytes *bytes, aid_fits_layout *ret_layout, aid_error *err)
{
    AID_TRY(check_beginning(bytes, err));
    uint64_t start = 0;
    ret_layout->count = 0;
    for (bool found = true; found;) {
        int index = ret_layout->count;
        if (index == AID_MAX_HDUS)
            AID_FAIL(err, AID_ERR_INVALID, "more than %d HDUs", AID_MAX_HDUS);
        aid_fits_hdu *hdu = &ret_layout->hdus[index];
        *hdu = (aid_fits_hdu){.header_start = start};
        aid_status status = read_hdu(bytes, index, hdu, err);
        if (status != AID_OK)
            return aid_error_prefix(err, status, "HDU %d", index);
        ret_layout->count++;
        start = hdu->data_start + whole_blocks(hdu->data_size);
        AID_TRY(find_extension(bytes, start, index, &found, err));
    }
    return AID_OK;
}

/* ------------------------------------------------------------------------------------ description
 */

static void describe_image(const aid_fits_hdu *hdu, char *ret_text, size_t size)
{
    size_t used = (size_t)snprintf(ret_text, size, "a %d-D image of ", hdu->naxis);
    for (int i = 0; i < AID_MIN(hdu->naxis, AID_FITS_AXES) && used < size; i++)
        used += (size_t)snprintf(ret_text + used, size - used, "%s%lld", i ? " x " : "",
                                 (long long)hdu->axes[i]);
}

void aid_fits_hdu_describe(const aid_fits_hdu *hdu, char *ret_text, size_t size)
{
    static const char *const words[] = {[AID_FITS_BINARY_TABLE] = "a binary table",
                                        [AID_FITS_ASCII_TABLE] = "a text table",
                                        [AID_FITS_GROUPS] = "random groups",
                                        [AID_FITS_OTHER] = "of an unknown type"};
    if (hdu->kind != AID_FITS_IMAGE && hdu->kind != AID_FITS_TILES)
        snprintf(ret_text, size, "%s", words[hdu->kind]);
    else if (hdu->naxis == 0)
        snprintf(ret_text, size, "empty");
    else
        describe_image(hdu, ret_text, size);
}
