#include "adapters/fits/decode.h"

#include "adapters/fits/bintable.h"
#include "adapters/fits/choose.h"
#include "adapters/fits/pixels.h"
#include "adapters/fits/reply_cards.h"
#include "core/base/memory.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct decoding {
    aid_fits_bytes bytes;
    aid_fits_layout *layout;
    aid_fits_choice choice;
    aid_fits_pixels image, variance, mask;
    aid_fits_reply_cards cards;
    aid_fits_reply reply;
    uint8_t *block; /* the reply's memory */
    void (*release)(const uint8_t *bytes, size_t size);
} decoding;

static void decoding_done(decoding *job)
{
    aid_fits_pixels_close(&job->image);
    aid_fits_pixels_close(&job->variance);
    aid_fits_pixels_close(&job->mask);
    aid_fits_reply_cards_done(&job->cards);
    free(job->layout);
    aid_fits_bytes_done(&job->bytes);
}

/* --------------------------------------------------------------------------------------- variance
 */

/* A variance below 0 means nothing; of weight 0 nothing is known. */
AID_HOT static void sigma_to_variance(float *pixels, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        pixels[i] = pixels[i] >= 0.0f ? pixels[i] * pixels[i] : NAN;
}

AID_HOT static void weight_to_variance(float *pixels, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        pixels[i] = pixels[i] > 0.0f ? 1.0f / pixels[i] : NAN;
}

AID_HOT static void negative_to_nan(float *pixels, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        pixels[i] = pixels[i] >= 0.0f ? pixels[i] : NAN;
}

static aid_status fill_variance(decoding *job, float *pixels, aid_error *err)
{
    int64_t count = (int64_t)job->variance.width * job->variance.height;
    AID_TRY(aid_fits_pixels_floats(&job->variance, pixels, err));
    if (job->choice.noise == AID_FITS_NOISE_SIGMA)
        sigma_to_variance(pixels, count);
    else if (job->choice.noise == AID_FITS_NOISE_WEIGHT)
        weight_to_variance(pixels, count);
    else
        negative_to_nan(pixels, count);
    return AID_OK;
}

/* ------------------------------------------------------------------------------------------- mask
 */

/* What each bit of a mask means. Rubin's (LSST's) pipelines name the bits in the header: MP_SAT = 1
 * says that bit 1 is saturation; their bits for detected sources and the like are not bad. */
typedef struct bit_planes {
    bool named;
    uint8_t meaning[64];
} bit_planes;

static void read_plane(const aid_fits_card *card, bit_planes *planes)
{
    static const struct {
        const char *keyword;
        uint8_t bit;
    } known[] = {{"MP_BAD", AID_MASK_BAD},
                 {"MP_SAT", AID_MASK_SATURATED},
                 {"MP_CR", AID_MASK_COSMIC_RAY},
                 {"MP_NO_DATA", AID_MASK_NO_DATA},
                 {"MP_EDGE", AID_MASK_EDGE}};
    if (strncmp(card->keyword, "MP_", 3) != 0 || card->kind != AID_CARD_NUMBER)
        return;
    long plane = strtol(card->value, NULL, 10);
    planes->named = true;
    for (size_t i = 0; i < AID_COUNT_OF(known); i++)
        if (!strcmp(card->keyword, known[i].keyword) && plane >= 0 && plane < 64)
            planes->meaning[plane] = known[i].bit;
}

static aid_status read_planes(aid_fits_cards cards, bit_planes *ret_planes, aid_error *err)
{
    AID_CLEANUP(aid_free_pointer)
    aid_fits_card *card = NULL;
    AID_TRY(aid_new_array(1, sizeof *card, "mask", &card, err));
    *ret_planes = (bit_planes){0};
    for (int32_t next = 0; next < cards.count;) {
        AID_TRY(aid_fits_card_read(cards, &next, card, err));
        read_plane(card, ret_planes);
    }
    return AID_OK;
}

static void translate_bad(const void *context, const int64_t *values, int64_t count,
                          uint8_t *ret_bytes)
{
    (void)context;
    for (int64_t i = 0; i < count; i++)
        ret_bytes[i] = values[i] ? AID_MASK_BAD : 0;
}

static void translate_planes(const void *context, const int64_t *values, int64_t count,
                             uint8_t *ret_bytes)
{
    const bit_planes *planes = context;
    for (int64_t i = 0; i < count; i++) {
        ret_bytes[i] = 0;
        uint64_t bits = (uint64_t)values[i];
        for (int plane = 0; bits; plane++, bits >>= 1)
            if (bits & 1)
                ret_bytes[i] |= planes->meaning[plane];
    }
}

/* A mask by itself keeps its values; what does not fit a byte must not become 0. */
static void translate_low_byte(const void *context, const int64_t *values, int64_t count,
                               uint8_t *ret_bytes)
{
    (void)context;
    for (int64_t i = 0; i < count; i++) {
        uint8_t low = (uint8_t)((uint64_t)values[i] & 0xff);
        ret_bytes[i] = values[i] && !low ? AID_MASK_BAD : low;
    }
}

static aid_status fill_mask(decoding *job, bool alone, uint8_t *bytes, aid_error *err)
{
    if (alone)
        return aid_fits_pixels_bytes(&job->mask, translate_low_byte, NULL, bytes, err);
    bit_planes planes;
    const aid_fits_hdu *hdu = &job->layout->hdus[job->choice.mask];
    AID_TRY(read_planes(aid_fits_hdu_cards(&job->bytes, hdu), &planes, err));
    return aid_fits_pixels_bytes(&job->mask, planes.named ? translate_planes : translate_bad,
                                 &planes, bytes, err);
}

/* --------------------------------------------------------------------------------------- choosing
 */

static aid_status in_hdu(aid_status status, int index, aid_error *err)
{
    return status == AID_OK ? AID_OK : aid_error_prefix(err, status, "HDU %d", index);
}

static aid_status open_hdu(decoding *job, int index, aid_fits_pixels *pixels, aid_error *err)
{
    if (index < 0)
        return AID_OK;
    const aid_fits_hdu *hdu = &job->layout->hdus[index];
    AID_TRY(in_hdu(aid_fits_pixels_open(&job->bytes, hdu, pixels, err), index, err));
    if (!job->bytes.inflater) /* what was inflated could not be had anew */
        pixels->release = job->release;
    return AID_OK;
}

static aid_status open_mask_alone(decoding *job, aid_error *err)
{
    int index;
    AID_TRY(aid_fits_choose_mask(job->layout, &index, err));
    job->choice = (aid_fits_choice){.image = index, .variance = -1, .mask = index};
    AID_TRY(open_hdu(job, index, &job->mask, err));
    if (job->mask.bitpix < 0)
        AID_FAIL(err, AID_ERR_INVALID, "HDU %d: a mask is of whole numbers, but BITPIX is %d",
                 index, job->mask.bitpix);
    return AID_OK;
}

static aid_status open_image(decoding *job, const aid_fits_request *request, aid_error *err)
{
    int index;
    AID_TRY(aid_fits_choose_image(job->layout, request->hdu, &index, err));
    job->choice = (aid_fits_choice){.image = index, .variance = -1, .mask = -1};
    if (!request->skip_companions && !request->header_alone)
        job->choice = aid_fits_choose_companions(job->layout, index);
    AID_TRY(open_hdu(job, index, &job->image, err));
    AID_TRY(open_hdu(job, job->choice.variance, &job->variance, err));
    return open_hdu(job, job->choice.mask, &job->mask, err);
}

/* -------------------------------------------------------------------------------------- the reply
 */

/* Such pixels lose nothing in 16 bits. */
static bool is_whole(const aid_fits_pixels *pixels)
{
    const aid_fits_scaling *scaling = &pixels->scaling;
    return pixels->plain && pixels->bitpix == 16 && scaling->scale == 1.0 &&
           scaling->zero == 32768.0 && !scaling->has_blank;
}

static void describe(decoding *job, const aid_fits_request *request)
{
    const aid_fits_hdu *hdu = &job->layout->hdus[job->choice.image];
    const aid_fits_pixels *pixels = request->mask_alone ? &job->mask : &job->image;
    aid_fits_reply *reply = &job->reply;
    reply->width = pixels->width;
    reply->height = pixels->height;
    reply->has_whole = request->keep_whole && !request->mask_alone && !request->header_alone &&
                       job->choice.variance < 0 && job->choice.mask < 0 && is_whole(pixels);
    reply->has_image = !request->mask_alone && !request->header_alone && !reply->has_whole;
    reply->has_variance = job->choice.variance >= 0;
    reply->has_mask = job->choice.mask >= 0;
    reply->hdu = job->choice.image;
    reply->bitpix = pixels->bitpix;
    reply->bscale = pixels->scaling.scale;
    reply->bzero = pixels->scaling.zero;
    snprintf(reply->hdu_name, sizeof reply->hdu_name, "%s", hdu->name);
    reply->card_count = job->cards.count;
    reply->cards_size = job->cards.size;
}

static aid_status fill(decoding *job, const aid_fits_request *request, aid_error *err)
{
    aid_fits_reply_extent extent = aid_fits_reply_measure(&job->reply);
    const aid_fits_choice *choice = &job->choice;
    uint8_t *block = job->block;
    if (job->reply.has_image)
        AID_TRY(in_hdu(
            aid_fits_pixels_floats(&job->image, (float *)(void *)(block + extent.image), err),
            choice->image, err));
    if (job->reply.has_whole)
        aid_fits_pixels_whole(&job->image, (uint16_t *)(void *)(block + extent.image));
    if (job->reply.has_variance)
        AID_TRY(in_hdu(fill_variance(job, (float *)(void *)(block + extent.variance), err),
                       choice->variance, err));
    if (job->reply.has_mask)
        AID_TRY(in_hdu(fill_mask(job, request->mask_alone, block + extent.mask, err), choice->mask,
                       err));
    if (job->cards.size > 0)
        memcpy(block + extent.cards, job->cards.bytes, job->cards.size);
    return AID_OK;
}

static aid_status decode_table(decoding *job, const aid_fits_request *request,
                               const aid_fits_reply_memory *memory, aid_error *err)
{
    int index;
    AID_CLEANUP(aid_fits_bintable_done)
    aid_fits_bintable table = {0};
    AID_TRY(aid_fits_choose_table(job->layout, request->hdu, &index, err));
    const aid_fits_hdu *hdu = &job->layout->hdus[index];
    AID_TRY(in_hdu(aid_fits_bintable_read(&job->bytes, hdu, &table, err), index, err));
    uint64_t total = sizeof job->reply + aid_fits_bintable_size(&table);
    job->block = memory->allocate(memory->context, total);
    if (!job->block)
        AID_FAIL(err, AID_ERR_NOMEM, "out of memory for a table of %llu bytes",
                 (unsigned long long)total);
    aid_fits_bintable_fill(&table, job->block + sizeof job->reply);
    job->reply.hdu = index;
    job->reply.columns = table.kept;
    job->reply.rows = table.rows;
    snprintf(job->reply.hdu_name, sizeof job->reply.hdu_name, "%s", hdu->name);
    memcpy(job->reply.message, table.left_out, sizeof table.left_out);
    return AID_OK;
}

static aid_status decode(decoding *job, const uint8_t *bytes, size_t size,
                         const aid_fits_request *request, const aid_fits_reply_memory *memory,
                         aid_error *err)
{
    AID_TRY(aid_fits_bytes_init(bytes, size, &job->bytes, err));
    AID_TRY(aid_new_buffer(1, sizeof *job->layout, "list of HDUs", &job->layout, err));
    AID_TRY(aid_fits_layout_read(&job->bytes, job->layout, err));
    AID_TRY(aid_fits_bytes_finish(&job->bytes, err));
    if (request->table)
        return decode_table(job, request, memory, err);
    AID_TRY(request->mask_alone ? open_mask_alone(job, err) : open_image(job, request, err));
    AID_TRY(in_hdu(
        aid_fits_reply_cards_collect(&job->bytes, job->layout, job->choice.image, &job->cards, err),
        job->choice.image, err));
    describe(job, request);
    uint64_t total = aid_fits_reply_measure(&job->reply).total;
    job->block = memory->allocate(memory->context, total);
    if (!job->block)
        AID_FAIL(err, AID_ERR_NOMEM, "out of memory for %llu bytes of pixels and cards",
                 (unsigned long long)total);
    return fill(job, request, err);
}

/* Puts the header before the parts, or by itself where there are none. */
static aid_status seal(decoding *job, const aid_fits_reply_memory *memory, aid_error *err)
{
    memcpy(job->reply.magic, AID_FITS_REPLY_MAGIC, sizeof job->reply.magic);
    if (!job->block)
        job->block = memory->allocate(memory->context, sizeof job->reply);
    if (!job->block)
        AID_FAIL(err, AID_ERR_NOMEM, "out of memory for a reply");
    memcpy(job->block, &job->reply, sizeof job->reply);
    return AID_OK;
}

static void put_failure(const aid_error *why, aid_fits_reply *reply)
{
    reply->status = (int32_t)why->status;
    memcpy(reply->message, why->message, sizeof reply->message);
}

aid_status aid_fits_reply_failure(const aid_error *why, const aid_fits_reply_memory *memory,
                                  aid_error *err)
{
    decoding job = {0};
    put_failure(why, &job.reply);
    return seal(&job, memory, err);
}

aid_status aid_fits_decode(const uint8_t *bytes, size_t size, const aid_fits_request *request,
                           const aid_fits_reply_memory *memory, aid_error *err)
{
    decoding job = {.release = memory->release};
    aid_error why = {0};
    if (decode(&job, bytes, size, request, memory, &why) != AID_OK)
        put_failure(&why, &job.reply);
    aid_status status = seal(&job, memory, err);
    decoding_done(&job);
    return status;
}
