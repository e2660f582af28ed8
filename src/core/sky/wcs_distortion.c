#include "core/sky/wcs_internal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { TPV_TERMS = 40 };

/* ----------------------------------------------------------------------------------------- SIP */

/* A_ORDER or B_ORDER; -1 when there is none. */
static aid_status sip_order(const aid_header *header, const char *keyword, int *ret_order,
                            aid_error *err)
{
    double order = -1.0;
    AID_TRY(aid_wcs_number(header, keyword, &order, NULL, err));
    if (order != -1.0 && !(order >= 0.0 && order <= AID_PLANAR_MAX_DEGREE && order == floor(order)))
        AID_FAIL(err, AID_ERR_INVALID, "WCS: %s = %s is not a whole number from 0 to %d", keyword,
                 aid_header_text(header, keyword), AID_PLANAR_MAX_DEGREE);
    *ret_order = (int)order;
    return AID_OK;
}

static aid_status sip_polynomial(const aid_header *header, char letter, int order,
                                 aid_planar_polynomial *polynomial, aid_error *err)
{
    polynomial->degree = AID_MAX(order, 1);
    for (int p = 0; p <= order; p++)
        for (int q = 0; q <= order - p; q++) {
            char keyword[16];
            double value = 0.0;
            snprintf(keyword, sizeof keyword, "%c_%d_%d", letter, p, q);
            AID_TRY(aid_wcs_number(header, keyword, &value, NULL, err));
            polynomial->c[p][q] += value;
        }
    return AID_OK;
}

/* Shupe et al. 2005 (ADASS XIV): u' = u + sum A_p_q u^p v^q, v' = v + sum B_p_q u^p v^q. The
 * inverse polynomials AP and BP are approximations and not used. */
static aid_status parse_sip(const aid_header *header, struct aid_wcs *wcs, aid_error *err)
{
    int a_order, b_order;
    AID_TRY(sip_order(header, "A_ORDER", &a_order, err));
    AID_TRY(sip_order(header, "B_ORDER", &b_order, err));
    if ((a_order < 0) != (b_order < 0))
        AID_FAIL(err, AID_ERR_INVALID, "WCS: %s = %d without %s: half of a SIP distortion",
                 a_order < 0 ? "B_ORDER" : "A_ORDER", AID_MAX(a_order, b_order),
                 a_order < 0 ? "A_ORDER" : "B_ORDER");
    if (a_order < 0)
        return AID_OK;
    wcs->has_sip = true;
    wcs->sip = aid_planar_identity();
    AID_TRY(sip_polynomial(header, 'A', a_order, &wcs->sip.first, err));
    return sip_polynomial(header, 'B', b_order, &wcs->sip.second, err);
}

/* ----------------------------------------------------------------------------------------- TPV */

/* Term m of the TPV registration: after the constant come, degree by degree, the powers of the
 * axis's own coordinate falling and the other's rising, and after each odd degree r to that degree.
 * Gives the powers, or the degree of r as *ret_radial. */
static void tpv_term(int m, int *ret_own, int *ret_other, int *ret_radial)
{
    *ret_own = *ret_other = *ret_radial = 0;
    int index = 0;
    for (int degree = 0;; degree++) {
        for (int other = 0; other <= degree; other++, index++)
            if (index == m) {
                *ret_own = degree - other;
                *ret_other = other;
                return;
            }
        if (degree % 2 == 1 && index++ == m) {
            *ret_radial = degree;
            return;
        }
    }
}

static void set_tpv_term(aid_planar_map *map, int axis, int m, double value)
{
    int own, other, radial;
    tpv_term(m, &own, &other, &radial);
    aid_planar_polynomial *polynomial = axis == 1 ? &map->first : &map->second;
    if (radial) {
        polynomial->radial[radial / 2] = value;
        return;
    }
    polynomial->degree = AID_MAX(polynomial->degree, own + other);
    if (axis == 1)
        polynomial->c[own][other] = value;
    else
        polynomial->c[other][own] = value;
}

static aid_status parse_tpv(const aid_header *header, struct aid_wcs *wcs, aid_error *err)
{
    wcs->has_tpv = true;
    wcs->tpv = aid_planar_identity();
    for (int i = header->count - 1; i >= 0; i--) { /* backwards, so that the first of two counts */
        int axis, m;
        double value = 0.0;
        bool found = false;
        if (!aid_wcs_pv_keyword(header->cards[i].keyword, &axis, &m))
            continue;
        AID_TRY(aid_wcs_number(header, header->cards[i].keyword, &value, &found, err));
        if (found && m >= TPV_TERMS)
            AID_FAIL(err, AID_ERR_INVALID, "WCS: %s: TPV ends at term %d", header->cards[i].keyword,
                     TPV_TERMS - 1);
        if (found)
            set_tpv_term(&wcs->tpv, axis, m, value);
    }
    return AID_OK;
}

/* TAN has no parameters on its latitude axis, and on its longitude axis only 0 to 4 mean something:
 * anything else is TPV under TAN's name, as SCAMP wrote it before TPV was registered. */
static bool tpv_in_disguise(const aid_header *header, int latitude_axis)
{
    for (int i = 0; i < header->count; i++) {
        int axis, m;
        if (aid_wcs_pv_keyword(header->cards[i].keyword, &axis, &m) &&
            (axis == latitude_axis || m > 4))
            return true;
    }
    return false;
}

/* ---------------------------------------------------------------------------------------- both */

static aid_status check_map(const aid_planar_map *map, const char *name, aid_error *err)
{
    double origin[2] = {0.0, 0.0}, image[2], j[2][2];
    aid_planar_apply(map, origin, image, j);
    double determinant = j[0][0] * j[1][1] - j[0][1] * j[1][0];
    if (!(determinant > 1e-6 && determinant < 1e6))
        AID_FAIL(err, AID_ERR_INVALID,
                 "WCS: the %s distortion cannot be inverted: its Jacobian at the reference pixel "
                 "is %g",
                 name, determinant);
    return AID_OK;
}

aid_status aid_wcs_parse_distortion(const aid_header *header, bool tangential, bool tpv_named,
                                    struct aid_wcs *wcs, aid_error *err)
{
    AID_TRY(parse_sip(header, wcs, err));
    if (wcs->has_sip)
        AID_TRY(check_map(&wcs->sip, "SIP", err));
    /* Some archives write the same distortion both ways: SIP then is the one that counts. */
    bool disguised = tangential && !wcs->has_sip && tpv_in_disguise(header, wcs->latitude + 1);
    if (tpv_named || disguised) {
        AID_TRY(parse_tpv(header, wcs, err));
        AID_TRY(check_map(&wcs->tpv, "TPV", err));
    }
    return AID_OK;
}
