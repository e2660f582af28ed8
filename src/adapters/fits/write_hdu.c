#include "adapters/fits/write_hdu.h"

#include "adapters/fits/write_sum.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static aid_status write_all(aid_fits_writer *writer, const void *data, size_t bytes, int64_t offset,
                            aid_error *err)
{
    const unsigned char *from = data;
    while (bytes > 0) {
        ssize_t n = pwrite(writer->descriptor, from, bytes, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            AID_FAIL(err, AID_ERR_IO, "%s: cannot write: %s", writer->path, strerror(errno));
        from += n;
        offset += n;
        bytes -= (size_t)n;
    }
    return AID_OK;
}

void aid_fits_hdu_start(aid_fits_writer *writer, const aid_fits_shape *shape)
{
    aid_fits_cards *cards = &writer->cards;
    aid_fits_cards_done(cards);
    bool primary = writer->hdus == 0;
    if (primary)
        aid_fits_card_logical(cards, "SIMPLE", true, "FITS standard 4.0");
    else
        aid_fits_card_text(cards, "XTENSION", shape->extension, NULL);
    aid_fits_card_integer(cards, "BITPIX", shape->bitpix, "bits of a value, negative: IEEE 754");
    aid_fits_card_integer(cards, "NAXIS", shape->axes, NULL);
    for (int i = 0; i < shape->axes; i++) {
        char keyword[9];
        snprintf(keyword, sizeof keyword, "NAXIS%d", i + 1);
        aid_fits_card_integer(cards, keyword, shape->sides[i], NULL);
    }
    if (primary) {
        aid_fits_card_logical(cards, "EXTEND", true, NULL);
    } else {
        aid_fits_card_integer(cards, "PCOUNT", 0, NULL);
        aid_fits_card_integer(cards, "GCOUNT", 1, NULL);
    }
    writer->hdus++;
}

static const char checksum_zeros[] = "0000000000000000";
static const char checksum_comment[] = "of the HDU";
static const char datasum_comment[] = "of the data";

aid_status aid_fits_hdu_put_header(aid_fits_writer *writer, aid_error *err)
{
    /* Both in fixed format, so that the true sums take the same places. */
    aid_fits_card_text(&writer->cards, "CHECKSUM", checksum_zeros, checksum_comment);
    aid_fits_card_text(&writer->cards, "DATASUM", "0", datasum_comment);
    AID_TRY(aid_fits_cards_end(&writer->cards, writer->path, err));
    writer->header_offset = writer->size;
    writer->data_bytes = 0;
    writer->data_sum = 0;
    writer->staged = 0;
    size_t bytes = writer->cards.count * AID_FITS_CARD;
    AID_TRY(write_all(writer, writer->cards.bytes, bytes, writer->size, err));
    writer->size += (int64_t)bytes;
    return AID_OK;
}

static aid_status flush(aid_fits_writer *writer, aid_error *err)
{
    writer->data_sum = aid_fits_sum(writer->data_sum, writer->staging, writer->staged);
    AID_TRY(write_all(writer, writer->staging, writer->staged, writer->size, err));
    writer->size += (int64_t)writer->staged;
    writer->data_bytes += (int64_t)writer->staged;
    writer->staged = 0;
    return AID_OK;
}

aid_status aid_fits_hdu_room(aid_fits_writer *writer, size_t size, void *ret_room,
                             size_t *ret_items, aid_error *err)
{
    if (AID_FITS_STAGING - writer->staged < size)
        AID_TRY(flush(writer, err));
    void *room = writer->staging + writer->staged;
    memcpy(ret_room, &room, sizeof room);
    *ret_items = (AID_FITS_STAGING - writer->staged) / size;
    return AID_OK;
}

void aid_fits_hdu_filled(aid_fits_writer *writer, size_t bytes)
{
    assert(bytes <= AID_FITS_STAGING - writer->staged);
    writer->staged += bytes;
}

/* The card of that keyword among the last ones, where aid_fits_hdu_put_header put it. */
static char *find_card(const aid_fits_cards *cards, const char *keyword)
{
    char *card = cards->bytes + (cards->count - 1) * AID_FITS_CARD;
    while (card > cards->bytes && strncmp(card, keyword, 8) != 0)
        card -= AID_FITS_CARD;
    return card;
}

static void put_sums(aid_fits_cards *cards, uint32_t data_sum)
{
    char decimal[24], text[17];
    int length = snprintf(decimal, sizeof decimal, "'%-8" PRIu32 "'", data_sum);
    char *datasum = find_card(cards, "DATASUM ");
    memset(datasum + 10, ' ', 20);
    memcpy(datasum + 10, decimal, (size_t)length);
    uint32_t sum = aid_fits_sum(data_sum, cards->bytes, cards->count * AID_FITS_CARD);
    aid_fits_checksum_text(sum, text);
    memcpy(find_card(cards, "CHECKSUM") + 11, text, 16);
}

aid_status aid_fits_hdu_end(aid_fits_writer *writer, aid_error *err)
{
    size_t odd = (size_t)(writer->data_bytes % AID_FITS_BLOCK) + writer->staged;
    size_t padding = (AID_FITS_BLOCK - odd % AID_FITS_BLOCK) % AID_FITS_BLOCK;
    while (padding > 0) {
        unsigned char *room;
        size_t items;
        AID_TRY(aid_fits_hdu_room(writer, 1, &room, &items, err));
        size_t bytes = AID_MIN(items, padding);
        memset(room, 0, bytes);
        aid_fits_hdu_filled(writer, bytes);
        padding -= bytes;
    }
    AID_TRY(flush(writer, err));
    put_sums(&writer->cards, writer->data_sum);
    return write_all(writer, writer->cards.bytes, writer->cards.count * AID_FITS_CARD,
                     writer->header_offset, err);
}
