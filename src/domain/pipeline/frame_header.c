#include "domain/pipeline/frame_header.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* Said anew, or no longer true: sections of the detector, levels, gains and how they were stored.
 */
static const char *const dropped[] = {
    "BIASSEC",  "TRIMSEC", "DATASEC",  "CCDSEC",  "DETSEC",   "AMPSEC",    "CCDSIZE",
    "DETSIZE",  "COVER",   "ROVER",    "GAIN",    "EGAIN",    "E_GAIN",    "CCDGAIN",
    "EFFGAIN",  "GAINEFF", "EFF_GAIN", "RDNOISE", "READNOIS", "READNOISE", "SATURATE",
    "SATLEVEL", "MAXLIN",  "BUNIT",    "DATAMIN", "DATAMAX"};

static bool is_dropped(const char *keyword)
{
    for (size_t i = 0; i < AID_COUNT_OF(dropped); i++)
        if (!strcmp(keyword, dropped[i]))
            return true;
    return false;
}

/* 1 for CRPIX1 and CRPIX1A, 2 for CRPIX2 and CRPIX2A; else 0. */
static int reference_pixel_axis(const char *keyword)
{
    if (strncmp(keyword, "CRPIX", 5) != 0 || (keyword[5] != '1' && keyword[5] != '2'))
        return 0;
    bool ends = !keyword[6] || (isupper((unsigned char)keyword[6]) && !keyword[7]);
    return ends ? keyword[5] - '0' : 0;
}

static aid_status copy_card(const aid_header *raw, const aid_card *card,
                            const aid_calibrated *frame, aid_header *header, aid_error *err)
{
    int axis = reference_pixel_axis(card->keyword);
    double shift = axis == 1 ? frame->trim_x0 : axis == 2 ? frame->trim_y0 : 0.0, value;
    if (shift != 0.0 && aid_header_number(raw, card->keyword, &value))
        return aid_header_put_number(header, card->keyword, value - shift, card->comment, err);
    return aid_header_append(header, card->keyword, card->kind, card->value, card->comment, err);
}

static aid_status fill(const aid_header *raw, const aid_calibrated *frame, aid_header *header,
                       aid_error *err)
{
    for (int i = 0; i < raw->count; i++)
        if (!is_dropped(raw->cards[i].keyword))
            AID_TRY(copy_card(raw, &raw->cards[i], frame, header, err));
    AID_TRY(aid_header_append(header, "BUNIT", AID_CARD_STRING,
                              frame->electrons ? "electron" : "adu", "", err));
    const aid_frame_facts *facts = &frame->facts;
    AID_TRY(aid_header_put_number(header, "GAIN", facts->gain, "[e-] of one unit", err));
    AID_TRY(aid_header_put_number(header, "EGAIN", facts->gain, "[e-] of one unit", err));
    AID_TRY(aid_header_put_number(header, "RDNOISE", facts->read_noise_e, "[e-]", err));
    return aid_header_put_number(header, "SATURATE", facts->saturation, "level of saturation", err);
}

aid_status aid_frame_header(const aid_header *raw, const aid_calibrated *frame,
                            aid_header *ret_header, aid_error *err)
{
    aid_header header = {0};
    aid_status status = fill(raw, frame, &header, err);
    if (status == AID_OK)
        *ret_header = header;
    else
        aid_header_done(&header);
    return status;
}

aid_status aid_frame_mask_cards(aid_header *header, aid_error *err)
{
    static const struct {
        const char *keyword, *value, *comment;
    } planes[] = {{"MP_BAD", "0", "dead, hot, unstable or without a value"},
                  {"MP_SAT", "1", "saturated, or charge of such a pixel"},
                  {"MP_CR", "2", "struck in this exposure"},
                  {"MP_NO_DATA", "3", "missing"},
                  {"MP_EDGE", "4", "within a kernel's reach of the border"}};
    for (size_t i = 0; i < AID_COUNT_OF(planes); i++)
        AID_TRY(aid_header_append(header, planes[i].keyword, AID_CARD_NUMBER, planes[i].value,
                                  planes[i].comment, err));
    return AID_OK;
}
