#include "adapters/fits/reply.h"

#include "core/base/memory.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { STEP_PIXELS = 1 << 16 }; /* read and checked at once: what fits a core's cache */

aid_status aid_fits_reply_refuse(const char *name, const char *what, aid_error *err)
{
    AID_FAIL(err, AID_ERR_INVALID, "%s: the decoder gave a reply that cannot be right: %s", name,
             what);
}

aid_fits_reply_extent aid_fits_reply_measure(const aid_fits_reply *reply)
{
    uint64_t pixels = (uint64_t)reply->width * (uint64_t)reply->height;
    aid_fits_reply_extent extent = {.image = sizeof *reply};
    extent.variance = extent.image + (reply->has_image   ? pixels * sizeof(float)
                                      : reply->has_whole ? pixels * sizeof(uint16_t)
                                                         : 0);
    extent.mask = extent.variance + (reply->has_variance ? pixels * sizeof(float) : 0);
    extent.cards = extent.mask + (reply->has_mask ? pixels : 0);
    extent.total = extent.cards + reply->cards_size;
    return extent;
}

/* ---------------------------------------------------------------------------------------- reading
 */

aid_status aid_fits_reply_read(int descriptor, const char *name, uint64_t at, void *bytes,
                               size_t size, aid_error *err)
{
    uint8_t *to = bytes;
    while (size > 0) {
        ssize_t n = pread(descriptor, to, size, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            AID_FAIL(err, AID_ERR_IO, "%s: cannot read the decoder's reply: %s", name,
                     strerror(errno));
        if (n == 0)
            return aid_fits_reply_refuse(name, "it is cut short", err);
        to += n;
        at += (uint64_t)n;
        size -= (size_t)n;
    }
    return AID_OK;
}

/* ---------------------------------------------------------------------------------------- checking
 */

static bool is_printable(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (text[i] < 0x20 || text[i] > 0x7e)
            return false;
    return true;
}

/* A NUL-terminated printable text within its field. */
bool aid_fits_reply_is_text(const char *text, size_t size)
{
    size_t length = strnlen(text, size);
    return length < size && is_printable(text, length);
}

static aid_status check_shape(const aid_fits_reply *reply, const char *name, aid_fits_parts asked,
                              aid_error *err)
{
    if (reply->width < 1 || reply->height < 1 || reply->width > AID_MAX_IMAGE_SIDE ||
        reply->height > AID_MAX_IMAGE_SIDE ||
        (int64_t)reply->width * reply->height > AID_MAX_IMAGE_PIXELS)
        return aid_fits_reply_refuse(name, "its shape", err);
    bool parts = reply->columns == 0 && reply->rows == 0;
    parts = parts && (uint32_t)reply->has_variance <= 1 && (uint32_t)reply->has_mask <= 1;
    parts = parts && (uint32_t)reply->has_whole <= (asked == AID_FITS_PARTS_WHOLE);
    if (asked == AID_FITS_PARTS_IMAGE)
        parts = parts && reply->has_image == 1;
    else if (asked == AID_FITS_PARTS_WHOLE)
        parts = parts && reply->has_image == !reply->has_whole && reply->has_variance == 0 &&
                reply->has_mask == 0;
    else
        parts = parts && reply->has_image == 0 && reply->has_variance == 0 &&
                reply->has_mask == (asked == AID_FITS_PARTS_MASK);
    return parts ? AID_OK : aid_fits_reply_refuse(name, "its parts", err);
}

static aid_status check_reply(const aid_fits_reply *reply, const char *name, aid_fits_parts parts,
                              uint64_t size, aid_error *err)
{
    AID_TRY(check_shape(reply, name, parts, err));
    const int32_t known[] = {8, 16, 32, 64, -32, -64};
    bool is_known = false;
    for (size_t i = 0; i < AID_COUNT_OF(known); i++)
        is_known = is_known || reply->bitpix == known[i];
    if (!is_known)
        return aid_fits_reply_refuse(name, "its BITPIX", err);
    if (reply->hdu < 0 || reply->hdu >= AID_MAX_HDUS)
        return aid_fits_reply_refuse(name, "its HDU", err);
    if (!isfinite(reply->bscale) || !isfinite(reply->bzero))
        return aid_fits_reply_refuse(name, "its scaling", err);
    if (!aid_fits_reply_is_text(reply->hdu_name, sizeof reply->hdu_name))
        return aid_fits_reply_refuse(name, "its name", err);
    uint64_t largest = sizeof(aid_fits_reply_card) + AID_MAX_KEYWORD + 2 * AID_MAX_CARD_VALUE;
    if (reply->card_count < 0 || reply->card_count > AID_MAX_HEADER_CARDS ||
        reply->cards_size > (uint64_t)reply->card_count * largest)
        return aid_fits_reply_refuse(name, "its number of cards", err);
    if (aid_fits_reply_measure(reply).total != size)
        return aid_fits_reply_refuse(name, "its size", err);
    return AID_OK;
}

/* The decoder's own words: about the file, or about what it lacks. */
static aid_status forward_failure(const aid_fits_reply *reply, const char *name, aid_error *err)
{
    if (!aid_fits_reply_is_text(reply->message, sizeof reply->message))
        return aid_fits_reply_refuse(name, "its message", err);
    bool lacks = reply->status == AID_ERR_NOMEM || reply->status == AID_ERR_IO;
    aid_status status = lacks ? (aid_status)reply->status : AID_ERR_INVALID;
    AID_FAIL(err, status, "%s: %s", name, reply->message);
}

/* ------------------------------------------------------------------------------------------ parts
 */

/* What is infinite is as useless as what is missing. */
AID_HOT static void infinite_to_nan(float *pixels, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        pixels[i] = fabsf(pixels[i]) <= FLT_MAX ? pixels[i] : NAN;
}

static aid_status take_image(int descriptor, const aid_fits_reply *reply, uint64_t at,
                             const char *name, aid_image *ret_image, aid_error *err)
{
    int64_t count = (int64_t)reply->width * reply->height;
    float *data;
    AID_TRY(aid_new_buffer((size_t)count, sizeof *data, name, &data, err));
    *ret_image = (aid_image){data, reply->width, reply->height, reply->width};
    for (int64_t i = 0; i < count; i += STEP_PIXELS) {
        int64_t step = AID_MIN((int64_t)STEP_PIXELS, count - i);
        AID_TRY(aid_fits_reply_read(descriptor, name, at + (uint64_t)i * sizeof *data, data + i,
                                    (size_t)step * sizeof *data, err));
        infinite_to_nan(data + i, step);
    }
    return AID_OK;
}

static aid_status take_whole(int descriptor, const aid_fits_reply *reply, uint64_t at,
                             const char *name, uint16_t **ret_whole, aid_error *err)
{
    size_t count = (size_t)reply->width * (size_t)reply->height;
    AID_TRY(aid_new_buffer(count, sizeof **ret_whole, name, ret_whole, err));
    return aid_fits_reply_read(descriptor, name, at, *ret_whole, count * sizeof **ret_whole, err);
}

static aid_status take_mask(int descriptor, const aid_fits_reply *reply, uint64_t at,
                            const char *name, aid_mask *ret_mask, aid_error *err)
{
    size_t count = (size_t)reply->width * (size_t)reply->height;
    uint8_t *data;
    AID_TRY(aid_new_buffer(count, 1, name, &data, err));
    *ret_mask = (aid_mask){data, reply->width, reply->height};
    return aid_fits_reply_read(descriptor, name, at, data, count, err);
}

static uint8_t bits_of(const aid_mask *mask)
{
    uint8_t bits = 0;
    for (int64_t i = 0; i < (int64_t)mask->width * mask->height; i++)
        bits |= mask->data[i];
    return bits;
}

/* ------------------------------------------------------------------------------------------ cards
 */

static bool is_card(const aid_fits_reply_card *card, size_t left)
{
    size_t size = (size_t)card->keyword + card->value + card->comment;
    return card->kind <= AID_CARD_OTHER && card->keyword < AID_MAX_KEYWORD &&
           card->value <= AID_MAX_CARD_VALUE && card->comment <= AID_MAX_CARD_VALUE && size <= left;
}

/* Takes one card off the text at `*at`. */
static aid_status take_card(const char **at, size_t *left, const char *name, aid_header *header,
                            aid_error *err)
{
    aid_fits_reply_card card;
    if (*left < sizeof card)
        return aid_fits_reply_refuse(name, "its cards end early", err);
    memcpy(&card, *at, sizeof card);
    const char *text = *at + sizeof card;
    if (!is_card(&card, *left - sizeof card) ||
        !is_printable(text, (size_t)card.keyword + card.value + card.comment))
        return aid_fits_reply_refuse(name, "a card", err);
    char keyword[AID_MAX_KEYWORD], value[AID_MAX_CARD_VALUE + 1], comment[AID_MAX_CARD_VALUE + 1];
    const size_t lengths[] = {card.keyword, card.value, card.comment};
    char *const parts[] = {keyword, value, comment};
    for (size_t i = 0; i < AID_COUNT_OF(parts); i++) {
        memcpy(parts[i], text, lengths[i]);
        parts[i][lengths[i]] = '\0';
        text += lengths[i];
    }
    *left -= (size_t)(text - *at);
    *at = text;
    return aid_header_append(header, keyword, (aid_card_kind)card.kind, value, comment, err);
}

static aid_status take_cards(int descriptor, const aid_fits_reply *reply, uint64_t at,
                             const char *name, aid_header *header, aid_error *err)
{
    AID_CLEANUP(aid_free_pointer)
    char *text = NULL;
    size_t left = (size_t)reply->cards_size;
    AID_TRY(aid_new_buffer(left, 1, name, &text, err));
    AID_TRY(aid_fits_reply_read(descriptor, name, at, text, left, err));
    const char *next = text;
    for (int32_t i = 0; i < reply->card_count; i++)
        AID_TRY(take_card(&next, &left, name, header, err));
    return left == 0 ? AID_OK : aid_fits_reply_refuse(name, "its cards do not end", err);
}

/* ------------------------------------------------------------------------------------------ whole
 */

static aid_status take_parts(int descriptor, const aid_fits_reply *reply, const char *name,
                             aid_fits_parts parts, aid_fits_image *image, aid_error *err)
{
    aid_fits_reply_extent extent = aid_fits_reply_measure(reply);
    if (reply->has_image)
        AID_TRY(take_image(descriptor, reply, extent.image, name, &image->image, err));
    if (reply->has_whole)
        AID_TRY(take_whole(descriptor, reply, extent.image, name, &image->whole, err));
    if (reply->has_variance)
        AID_TRY(take_image(descriptor, reply, extent.variance, name, &image->variance, err));
    if (reply->has_mask)
        AID_TRY(take_mask(descriptor, reply, extent.mask, name, &image->mask, err));
    const uint8_t known =
        AID_MASK_BAD | AID_MASK_SATURATED | AID_MASK_COSMIC_RAY | AID_MASK_NO_DATA | AID_MASK_EDGE;
    if (parts != AID_FITS_PARTS_MASK && (bits_of(&image->mask) & ~known))
        return aid_fits_reply_refuse(name, "its mask", err);
    return take_cards(descriptor, reply, extent.cards, name, &image->header, err);
}

aid_status aid_fits_reply_header(int descriptor, const char *name, aid_fits_reply *ret_reply,
                                 uint64_t *ret_size, aid_error *err)
{
    struct stat file;
    if (fstat(descriptor, &file) != 0)
        AID_FAIL(err, AID_ERR_IO, "%s: cannot read the decoder's reply: %s", name, strerror(errno));
    AID_TRY(aid_fits_reply_read(descriptor, name, 0, ret_reply, sizeof *ret_reply, err));
    if (memcmp(ret_reply->magic, AID_FITS_REPLY_MAGIC, sizeof ret_reply->magic) != 0)
        return aid_fits_reply_refuse(name, "it does not begin like one", err);
    if (ret_reply->status != AID_OK)
        return forward_failure(ret_reply, name, err);
    *ret_size = (uint64_t)file.st_size;
    return AID_OK;
}

aid_status aid_fits_reply_take(int descriptor, const char *name, aid_fits_parts parts,
                               aid_fits_image *ret_image, aid_error *err)
{
    aid_fits_reply reply;
    uint64_t size;
    AID_TRY(aid_fits_reply_header(descriptor, name, &reply, &size, err));
    AID_TRY(check_reply(&reply, name, parts, size, err));
    aid_fits_image image = {.width = reply.width,
                            .height = reply.height,
                            .hdu = reply.hdu,
                            .bitpix = reply.bitpix,
                            .bscale = reply.bscale,
                            .bzero = reply.bzero};
    memcpy(image.hdu_name, reply.hdu_name, sizeof image.hdu_name);
    aid_status status = take_parts(descriptor, &reply, name, parts, &image, err);
    if (status != AID_OK) {
        aid_fits_image_done(&image);
        return status;
    }
    *ret_image = image;
    return AID_OK;
}

void aid_fits_image_done(aid_fits_image *image)
{
    aid_image_done(&image->image);
    free(image->whole);
    aid_image_done(&image->variance);
    aid_mask_done(&image->mask);
    aid_header_done(&image->header);
    *image = (aid_fits_image){0};
}
