#include "adapters/fits/calibrated_file.h"

#include "adapters/fits/fits.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* ------------------------------------------------------------------------- what no longer holds */

/* Of the detector as it is read out. What is behind DATASEC and CCDSEC in other dialects names the
 * same things; gain, read noise and saturation are written anew in one spelling each. */
static const char *const dropped[] = {"BIASSEC",  "TRIMSEC",  "DATASEC",   "CCDSEC",
                                      "DETSEC",   "AMPSEC",   "ORIGSEC",   "DATASECA",
                                      "BIASSECA", "TRIMSECA", "OVERSCAN",  "COVER",
                                      "ROVER",    "PREPIX",   "POSTPIX",   "BUNIT",
                                      "IMAGETYP", "PICTTYPE", "GAIN",      "EGAIN",
                                      "E_GAIN",   "CCDGAIN",  "ATODGAIN",  "DETGAIN",
                                      "GAIN1",    "GAINA",    "CCDATOD",   "ARAWGAIN",
                                      "RDNOISE",  "READNOIS", "READNOISE", "RON",
                                      "ENOISE",   "RDNOISE1", "RONOISE",   "RDNOISEA",
                                      "ARDNOISE", "SATURATE", "SATLEVEL",  "SATURATN",
                                      "SATURAT",  "SATUR",    "SAT_LEV",   "MAXLIN",
                                      "SATURATA", "SATURATB", "DATAMIN",   "DATAMAX",
                                      "CHECKSUM", "DATASUM",  "EXTNAME",   "EXTVER",
                                      "INHERIT",  "CREATOR",  "AIDBUILD",  AID_CALIBRATED_KEYWORD};

static bool is_dropped(const char *keyword)
{
    for (size_t i = 0; i < AID_COUNT_OF(dropped); i++)
        if (!strcasecmp(keyword, dropped[i]))
            return true;
    return false;
}

/* CRPIX1, CRPIX2A, LTV1 ...: 1 or 2 where the card holds a pixel coordinate of that axis. */
static int axis_of(const char *keyword)
{
    static const char *const stems[] = {"CRPIX", "LTV"};
    for (size_t i = 0; i < AID_COUNT_OF(stems); i++) {
        size_t length = strlen(stems[i]);
        const char *rest = keyword + length;
        if (!strncasecmp(keyword, stems[i], length) && (*rest == '1' || *rest == '2') &&
            (!rest[1] || !rest[2]))
            return *rest - '0';
    }
    return 0;
}

static aid_status carry_card(const aid_card *card, const aid_header *raw,
                             const aid_calibrated *calibrated, aid_header *to, aid_error *err)
{
    int axis = axis_of(card->keyword);
    double value;
    if (is_dropped(card->keyword))
        return AID_OK;
    if (axis && card == aid_header_find(raw, card->keyword) &&
        aid_header_number(raw, card->keyword, &value)) {
        double moved = value - (axis == 1 ? calibrated->trim_x0 : calibrated->trim_y0);
        return aid_header_put_number(to, card->keyword, moved, card->comment, err);
    }
    return aid_header_append(to, card->keyword, card->kind, card->value, card->comment, err);
}

/* ------------------------------------------------------------------------------ what holds instead
 */

static aid_status put_steps(const aid_calibrated *calibrated, aid_header *to, aid_error *err)
{
    const struct {
        bool done;
        const char *name;
    } steps[] = {{calibrated->overscan_done, "overscan"},
                 {calibrated->bias_done, "bias"},
                 {calibrated->dark_done, "dark"},
                 {calibrated->flat_done, "flat"}};
    char text[64] = "";
    for (size_t i = 0; i < AID_COUNT_OF(steps); i++) {
        size_t length = strlen(text);
        if (steps[i].done)
            snprintf(text + length, sizeof text - length, "%s%s", length ? ", " : "",
                     steps[i].name);
    }
    return aid_header_put_text(to, AID_CALIBRATED_KEYWORD, *text ? text : "none",
                               "what was corrected for", err);
}

aid_status aid_calibrated_cards(const aid_header *raw, const aid_calibrated *calibrated,
                                aid_header *to, aid_error *err)
{
    const aid_frame_facts *facts = &calibrated->facts;
    for (int i = 0; i < raw->count; i++)
        AID_TRY(carry_card(&raw->cards[i], raw, calibrated, to, err));
    AID_TRY(aid_header_put_text(to, "IMAGETYP", "light", "calibrated", err));
    AID_TRY(aid_header_put_text(to, "BUNIT", calibrated->electrons ? "electron" : "adu", "", err));
    AID_TRY(aid_header_put_number(to, "GAIN", facts->gain, "[e-] of one unit", err));
    AID_TRY(aid_header_put_number(to, "EGAIN", facts->gain, "[e-] of one unit", err));
    AID_TRY(aid_header_put_number(to, "RDNOISE", facts->read_noise_e, "[e-]", err));
    AID_TRY(
        aid_header_put_number(to, "SATURATE", facts->saturation, "in the unit of the image", err));
    if (calibrated->overscan_done)
        AID_TRY(aid_header_put_number(to, "OVSCLEV", calibrated->overscan_level,
                                      "[adu] of the overscan, median", err));
    return put_steps(calibrated, to, err);
}

/* ----------------------------------------------------------------------------------------- file */

static aid_status put_image(aid_fits_writer *writer, const aid_calibrated *calibrated,
                            const aid_header *raw, const aid_header *cards, aid_error *err)
{
    AID_CLEANUP(aid_header_done)
    aid_header all = {0};
    AID_TRY(aid_calibrated_cards(raw, calibrated, &all, err));
    for (int i = 0; cards && i < cards->count; i++) {
        const aid_card *card = &cards->cards[i];
        AID_TRY(
            aid_header_append(&all, card->keyword, card->kind, card->value, card->comment, err));
    }
    return aid_fits_put_image(writer, NULL, &calibrated->image, &all, err);
}

static aid_status put_variance(aid_fits_writer *writer, const aid_calibrated *calibrated,
                               aid_error *err)
{
    AID_CLEANUP(aid_header_done)
    aid_header cards = {0};
    AID_TRY(aid_header_put_text(&cards, "BUNIT", calibrated->electrons ? "electron2" : "adu2", "",
                                err));
    return aid_fits_put_image(writer, "VARIANCE", &calibrated->variance, &cards, err);
}

static aid_status put_mask(aid_fits_writer *writer, const aid_calibrated *calibrated,
                           aid_error *err)
{
    static const struct {
        const char *keyword, *plane, *comment;
    } planes[] = {{"MP_BAD", "0", "bit of a bad pixel"},
                  {"MP_SAT", "1", "bit of a saturated one"},
                  {"MP_CR", "2", "bit of one struck by a cosmic ray"},
                  {"MP_NO_DATA", "3", "bit of one without a value"}};
    AID_CLEANUP(aid_header_done)
    aid_header cards = {0};
    for (size_t i = 0; i < AID_COUNT_OF(planes); i++)
        AID_TRY(aid_header_append(&cards, planes[i].keyword, AID_CARD_NUMBER, planes[i].plane,
                                  planes[i].comment, err));
    return aid_fits_put_mask(writer, "MASK", &calibrated->mask, &cards, err);
}

aid_status aid_calibrated_write(const char *path, const aid_calibrated *calibrated,
                                const aid_header *raw, const aid_header *cards, aid_error *err)
{
    aid_fits_writer *writer;
    AID_TRY(aid_fits_create(path, &writer, err));
    aid_status status = put_image(writer, calibrated, raw, cards, err);
    if (status == AID_OK)
        status = put_variance(writer, calibrated, err);
    if (status == AID_OK)
        status = put_mask(writer, calibrated, err);
    if (status == AID_OK)
        return aid_fits_commit(writer, err);
    aid_fits_abandon(writer);
    return status;
}
