#include "core/sky/wcs.h"

#include "core/base/memory.h"
#include "core/sky/wcs_internal.h"

#include <math.h>
#include <stdlib.h>

static const double radians = 0.017453292519943295769;

/* Newton stops at steps far below a micro-pixel; double precision itself ends near 1e-12 px. */
static const double sip_tolerance_px = 1e-10, tpv_tolerance_deg = 1e-14;

/* --------------------------------------------------------------------------- making and freeing */

static aid_status copy_cards(const aid_header *from, aid_header *to, aid_error *err)
{
    for (int i = 0; i < from->count; i++) {
        const aid_card *card = &from->cards[i];
        if (card->kind == AID_CARD_COMMENT || !aid_wcs_owns_keyword(card->keyword))
            continue;
        if (aid_header_find(to, card->keyword))
            continue; /* the first one counts */
        AID_TRY(aid_header_append(to, card->keyword, card->kind, card->value, card->comment, err));
    }
    return AID_OK;
}

void aid_wcs_free(aid_wcs *wcs)
{
    if (!wcs)
        return;
    aid_header_done(&wcs->cards);
    free(wcs);
}

aid_status aid_wcs_new(const aid_header *header, aid_wcs **ret_wcs, aid_error *err)
{
    aid_wcs *wcs;
    bool celestial = false;
    AID_TRY(aid_new_array(1, sizeof *wcs, "WCS", &wcs, err));
    aid_status status = aid_wcs_parse(header, wcs, &celestial, err);
    if (status == AID_OK && celestial)
        status = copy_cards(header, &wcs->cards, err);
    if (status != AID_OK || !celestial) {
        aid_wcs_free(wcs);
        wcs = NULL;
    }
    if (status == AID_OK)
        *ret_wcs = wcs;
    return status;
}

aid_status aid_wcs_cards(const aid_wcs *wcs, aid_header *to, aid_error *err)
{
    for (int i = 0; i < wcs->cards.count; i++) {
        const aid_card *card = &wcs->cards.cards[i];
        AID_TRY(aid_header_append(to, card->keyword, card->kind, card->value, card->comment, err));
    }
    return AID_OK;
}

/* ---------------------------------------------------------------------------------- conversion */

static void multiply(const double matrix[2][2], const double in[2], double ret_out[2])
{
    ret_out[0] = matrix[0][0] * in[0] + matrix[0][1] * in[1];
    ret_out[1] = matrix[1][0] * in[0] + matrix[1][1] * in[1];
}

/* Longitudes in [0, 360), also for one that is negative by less than the spacing at 360. */
static double wrap_turn(double degrees)
{
    double wrapped = fmod(degrees, 360.0);
    if (wrapped < 0.0)
        wrapped += 360.0;
    return wrapped < 360.0 ? wrapped : 0.0;
}

bool aid_wcs_pixel_to_radec(const aid_wcs *wcs, double x_px, double y_px, double *ret_ra_deg,
                            double *ret_dec_deg)
{
    double offset[2] = {x_px + 1.0 - wcs->reference_px[0], y_px + 1.0 - wcs->reference_px[1]};
    double plane[2];
    if (wcs->has_sip)
        aid_planar_apply(&wcs->sip, offset, offset, NULL);
    multiply(wcs->matrix, offset, plane);
    if (wcs->has_tpv)
        aid_planar_apply(&wcs->tpv, plane, plane, NULL);
    if (!isfinite(plane[0]) || !isfinite(plane[1]))
        return false;
    struct celprm celestial = wcs->celestial;
    double phi, theta, longitude, latitude;
    int outside = 0;
    if (celx2s(&celestial, 1, 1, 1, 1, &plane[wcs->longitude], &plane[wcs->latitude], &phi, &theta,
               &longitude, &latitude, &outside) ||
        outside || !isfinite(longitude) || !isfinite(latitude))
        return false;
    aid_sky_frame_to_icrs(&wcs->frame, wrap_turn(longitude), latitude, ret_ra_deg, ret_dec_deg);
    return true;
}

bool aid_wcs_radec_to_pixel(const aid_wcs *wcs, double ra_deg, double dec_deg, double *ret_x_px,
                            double *ret_y_px)
{
    if (!isfinite(ra_deg) || !(fabs(dec_deg) <= 90.0))
        return false;
    double longitude, latitude, phi, theta, plane[2], offset[2];
    aid_sky_frame_from_icrs(&wcs->frame, wrap_turn(ra_deg), dec_deg, &longitude, &latitude);
    struct celprm celestial = wcs->celestial;
    int outside = 0;
    if (cels2x(&celestial, 1, 1, 1, 1, &longitude, &latitude, &phi, &theta, &plane[wcs->longitude],
               &plane[wcs->latitude], &outside) ||
        outside)
        return false;
    if (wcs->has_tpv && !aid_planar_invert(&wcs->tpv, plane, tpv_tolerance_deg, plane))
        return false;
    multiply(wcs->inverse, plane, offset);
    if (wcs->has_sip && !aid_planar_invert(&wcs->sip, offset, sip_tolerance_px, offset))
        return false;
    if (!isfinite(offset[0]) || !isfinite(offset[1]))
        return false;
    *ret_x_px = offset[0] + wcs->reference_px[0] - 1.0;
    *ret_y_px = offset[1] + wcs->reference_px[1] - 1.0;
    return true;
}

/* ---------------------------------------------------------------------- scale and orientation */

static bool unit_vector(const aid_wcs *wcs, double x_px, double y_px, double ret_vector[3])
{
    double ra, dec;
    if (!aid_wcs_pixel_to_radec(wcs, x_px, y_px, &ra, &dec))
        return false;
    ret_vector[0] = cos(dec * radians) * cos(ra * radians);
    ret_vector[1] = cos(dec * radians) * sin(ra * radians);
    ret_vector[2] = sin(dec * radians);
    return true;
}

/* Radians towards east (row 0) and north (row 1) for a step of one pixel in x and y: differences of
 * unit vectors over one pixel, which know no wrap and no pole. */
static bool sky_jacobian(const aid_wcs *wcs, double x_px, double y_px, double ret_jacobian[2][2])
{
    double ra, dec, before[3], after[3];
    if (!aid_wcs_pixel_to_radec(wcs, x_px, y_px, &ra, &dec))
        return false;
    double sin_ra = sin(ra * radians), cos_ra = cos(ra * radians);
    double sin_dec = sin(dec * radians), cos_dec = cos(dec * radians);
    const double east[3] = {-sin_ra, cos_ra, 0.0};
    const double north[3] = {-sin_dec * cos_ra, -sin_dec * sin_ra, cos_dec};
    for (int axis = 0; axis < 2; axis++) {
        double half_x = axis == 0 ? 0.5 : 0.0, half_y = axis == 0 ? 0.0 : 0.5;
        if (!unit_vector(wcs, x_px - half_x, y_px - half_y, before) ||
            !unit_vector(wcs, x_px + half_x, y_px + half_y, after))
            return false;
        ret_jacobian[0][axis] = 0.0;
        ret_jacobian[1][axis] = 0.0;
        for (int i = 0; i < 3; i++) {
            ret_jacobian[0][axis] += (after[i] - before[i]) * east[i];
            ret_jacobian[1][axis] += (after[i] - before[i]) * north[i];
        }
    }
    return true;
}

bool aid_wcs_pixel_scale(const aid_wcs *wcs, double x_px, double y_px, double *ret_scale_arcsec)
{
    double j[2][2];
    if (!sky_jacobian(wcs, x_px, y_px, j))
        return false;
    *ret_scale_arcsec = sqrt(fabs(j[0][0] * j[1][1] - j[0][1] * j[1][0])) / radians * 3600.0;
    return true;
}

bool aid_wcs_directions(const aid_wcs *wcs, double x_px, double y_px, double *ret_north_deg,
                        double *ret_east_deg)
{
    double j[2][2];
    if (!sky_jacobian(wcs, x_px, y_px, j))
        return false;
    double determinant = j[0][0] * j[1][1] - j[0][1] * j[1][0];
    if (determinant == 0.0)
        return false;
    double sign = determinant > 0.0 ? 1.0 : -1.0;
    *ret_north_deg = atan2(sign * j[0][0], -sign * j[0][1]) / radians;
    *ret_east_deg = atan2(-sign * j[1][0], sign * j[1][1]) / radians;
    return true;
}
