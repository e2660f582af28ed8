#include "core/base/text.h"
#include "domain/simulation/internal.h"

#include <math.h>
#include <stdio.h>

static const double pi = 3.141592653589793;

void aid_sim_put_number(aid_sim_card *card, const char *keyword, double value, const char *comment)
{
    char text[AID_DOUBLE_TEXT];
    aid_double_text(value, -1, text);
    if (card->status == AID_OK)
        card->status =
            aid_header_append(card->header, keyword, AID_CARD_NUMBER, text, comment, card->err);
}

void aid_sim_put_text(aid_sim_card *card, const char *keyword, const char *value,
                      const char *comment)
{
    if (card->status == AID_OK)
        card->status =
            aid_header_append(card->header, keyword, AID_CARD_STRING, value, comment, card->err);
}

void aid_sim_offset_sky(double ra_deg, double dec_deg, double east_deg, double north_deg,
                        double *ret_ra_deg, double *ret_dec_deg)
{
    double east = east_deg * pi / 180.0, north = north_deg * pi / 180.0;
    double sin_dec = sin(dec_deg * pi / 180.0), cos_dec = cos(dec_deg * pi / 180.0);
    double towards = cos_dec - north * sin_dec, up = sin_dec + north * cos_dec;
    double ra = ra_deg + atan2(east, towards) * 180.0 / pi;
    ra = fmod(ra, 360.0);
    *ret_ra_deg = ra < 0.0 ? ra + 360.0 : ra;
    *ret_dec_deg = atan2(up, hypot(east, towards)) * 180.0 / pi;
}

/* Barrel distortion of 0.8 px and a tilt of 0.6 px at 1448 px from the axis: the same camera in
 * both epochs. */
static const double cubic_px = -2.5e-10;                    /* px^-2 */
static const double tilt_px[3] = {6.0e-7, -4.0e-7, 3.0e-7}; /* px^-1: x^2, x y, y^2 */

static void put_sip(aid_sim_card *card)
{
    aid_sim_put_number(card, "A_ORDER", 3, "SIP distortion, x");
    aid_sim_put_number(card, "A_2_0", tilt_px[0], "");
    aid_sim_put_number(card, "A_1_1", tilt_px[1], "");
    aid_sim_put_number(card, "A_0_2", tilt_px[2], "");
    aid_sim_put_number(card, "A_3_0", cubic_px, "");
    aid_sim_put_number(card, "A_1_2", cubic_px, "");
    aid_sim_put_number(card, "B_ORDER", 3, "SIP distortion, y");
    aid_sim_put_number(card, "B_2_0", tilt_px[1], "");
    aid_sim_put_number(card, "B_1_1", tilt_px[0], "");
    aid_sim_put_number(card, "B_0_2", -tilt_px[2], "");
    aid_sim_put_number(card, "B_2_1", cubic_px, "");
    aid_sim_put_number(card, "B_0_3", cubic_px, "");
}

static void put_tpv(aid_sim_card *card, double scale_deg)
{
    double cubic = cubic_px / (scale_deg * scale_deg);
    aid_sim_put_number(card, "PV1_1", 1.0, "TPV distortion, xi");
    aid_sim_put_number(card, "PV1_4", tilt_px[0] / scale_deg, "");
    aid_sim_put_number(card, "PV1_5", tilt_px[1] / scale_deg, "");
    aid_sim_put_number(card, "PV1_6", tilt_px[2] / scale_deg, "");
    aid_sim_put_number(card, "PV1_7", cubic, "");
    aid_sim_put_number(card, "PV1_9", cubic, "");
    aid_sim_put_number(card, "PV2_1", 1.0, "TPV distortion, eta");
    aid_sim_put_number(card, "PV2_4", -tilt_px[2] / scale_deg, "");
    aid_sim_put_number(card, "PV2_5", tilt_px[0] / scale_deg, "");
    aid_sim_put_number(card, "PV2_7", cubic, "");
    aid_sim_put_number(card, "PV2_9", cubic, "");
}

/* Where the optical axis points, so that the field centre falls offset px from the image's. */
static void pointing(const aid_sky_options *options, int epoch, double *ret_ra, double *ret_dec)
{
    const aid_sky_epoch *e = &options->epoch[epoch];
    double scale_deg = options->pixel_scale_arcsec / 3600.0;
    double turn = e->rotation_deg * pi / 180.0;
    double x = -e->offset_x_px, y = -e->offset_y_px;
    double east = -scale_deg * (cos(turn) * x + sin(turn) * y);
    double north = scale_deg * (-sin(turn) * x + cos(turn) * y);
    aid_sim_offset_sky(options->ra_deg, options->dec_deg, east, north, ret_ra, ret_dec);
}

aid_status aid_sim_wcs_new(const aid_sky_options *options, int epoch, aid_header *cards,
                           aid_wcs **ret_wcs, aid_error *err)
{
    static const char *const types[][2] = {[AID_SKY_UNDISTORTED] = {"RA---TAN", "DEC--TAN"},
                                           [AID_SKY_SIP] = {"RA---TAN-SIP", "DEC--TAN-SIP"},
                                           [AID_SKY_TPV] = {"RA---TPV", "DEC--TPV"}};
    aid_sim_card card = {.header = cards, .err = err};
    double ra, dec, scale_deg = options->pixel_scale_arcsec / 3600.0;
    double turn = options->epoch[epoch].rotation_deg * pi / 180.0;
    pointing(options, epoch, &ra, &dec);
    aid_sim_put_text(&card, "CTYPE1", types[options->distortion][0], "");
    aid_sim_put_text(&card, "CTYPE2", types[options->distortion][1], "");
    aid_sim_put_text(&card, "CUNIT1", "deg", "");
    aid_sim_put_text(&card, "CUNIT2", "deg", "");
    aid_sim_put_number(&card, "CRPIX1", 0.5 * (options->width + 1), "[px] optical axis");
    aid_sim_put_number(&card, "CRPIX2", 0.5 * (options->height + 1), "[px] optical axis");
    aid_sim_put_number(&card, "CRVAL1", ra, "[deg]");
    aid_sim_put_number(&card, "CRVAL2", dec, "[deg]");
    aid_sim_put_number(&card, "CD1_1", -scale_deg * cos(turn), "");
    aid_sim_put_number(&card, "CD1_2", -scale_deg * sin(turn), "");
    aid_sim_put_number(&card, "CD2_1", -scale_deg * sin(turn), "");
    aid_sim_put_number(&card, "CD2_2", scale_deg * cos(turn), "");
    aid_sim_put_text(&card, "RADESYS", "ICRS", "");
    if (options->distortion == AID_SKY_SIP)
        put_sip(&card);
    else if (options->distortion == AID_SKY_TPV)
        put_tpv(&card, scale_deg);
    AID_TRY(card.status);
    return aid_wcs_new(cards, ret_wcs, err);
}
