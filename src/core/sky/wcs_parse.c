#include "core/sky/wcs_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* --------------------------------------------------------------------------------- single cards */

static bool is_blank(const char *text)
{
    return text[strspn(text, " ")] == '\0';
}

aid_status aid_wcs_number(const aid_header *header, const char *keyword, double *value,
                          bool *ret_found, aid_error *err)
{
    const char *text = aid_header_text(header, keyword);
    bool found = text && !is_blank(text);
    if (found && !aid_header_number(header, keyword, value))
        AID_FAIL(err, AID_ERR_INVALID, "WCS: %s = '%.60s' is not a finite number", keyword, text);
    if (ret_found)
        *ret_found = found;
    return AID_OK;
}

/* "%s%d" of a keyword and a 1-based axis. */
typedef struct axis_keyword {
    char text[16];
} axis_keyword;

static axis_keyword on_axis(const char *stem, int axis)
{
    axis_keyword keyword;
    snprintf(keyword.text, sizeof keyword.text, "%s%d", stem, axis);
    return keyword;
}

static aid_status required_number(const aid_header *header, const char *stem, int axis,
                                  double *ret_value, aid_error *err)
{
    bool found = false;
    axis_keyword keyword = on_axis(stem, axis);
    AID_TRY(aid_wcs_number(header, keyword.text, ret_value, &found, err));
    if (!found)
        AID_FAIL(err, AID_ERR_INVALID, "WCS: CTYPE%d = '%.60s', but there is no %s", axis,
                 aid_header_text(header, on_axis("CTYPE", axis).text), keyword.text);
    return AID_OK;
}

bool aid_wcs_pv_keyword(const char *keyword, int *ret_axis, int *ret_index)
{
    if (strncasecmp(keyword, "PV", 2) || (keyword[2] != '1' && keyword[2] != '2') ||
        keyword[3] != '_')
        return false;
    const char *digits = keyword + 4;
    size_t length = strspn(digits, "0123456789");
    if (length < 1 || length > 2 || digits[length] || (length == 2 && digits[0] == '0'))
        return false;
    *ret_axis = keyword[2] - '0';
    *ret_index = (int)strtol(digits, NULL, 10);
    return true;
}

static bool is_sip_keyword(const char *keyword)
{
    size_t letters = strspn(keyword, "ABPabp");
    if (letters < 1 || letters > 2 || keyword[letters] != '_')
        return false;
    const char *rest = keyword + letters + 1;
    if (!strcasecmp(rest, "ORDER") || !strcasecmp(rest, "DMAX"))
        return true;
    return strlen(rest) == 3 && strspn(rest, "0123456789") == 1 && rest[1] == '_' &&
           strspn(rest + 2, "0123456789") == 1;
}

bool aid_wcs_owns_keyword(const char *keyword)
{
    static const char *const names[] = {
        "CTYPE1",  "CTYPE2", "CRPIX1",  "CRPIX2",   "CRVAL1",   "CRVAL2",   "CDELT1",  "CDELT2",
        "CUNIT1",  "CUNIT2", "CROTA1",  "CROTA2",   "CD1_1",    "CD1_2",    "CD2_1",   "CD2_2",
        "PC1_1",   "PC1_2",  "PC2_1",   "PC2_2",    "LONPOLE",  "LATPOLE",  "RADESYS", "RADECSYS",
        "EQUINOX", "EPOCH",  "WCSNAME", "PC001001", "PC001002", "PC002001", "PC002002"};
    for (size_t i = 0; i < AID_COUNT_OF(names); i++)
        if (!strcasecmp(keyword, names[i]))
            return true;
    int axis, index;
    return aid_wcs_pv_keyword(keyword, &axis, &index) || is_sip_keyword(keyword);
}

/* --------------------------------------------------------------------------------------- CTYPE */

typedef enum axis_role { ROLE_OTHER, ROLE_LONGITUDE, ROLE_LATITUDE } axis_role;
typedef enum sky_system { SYSTEM_EQUATORIAL, SYSTEM_GALACTIC, SYSTEM_UNSUPPORTED } sky_system;

typedef struct axis_type {
    axis_role role;
    sky_system system;
    char code[4]; /* "" where CTYPE names no projection */
    bool sip;
} axis_type;

/* Names of the form xLON, xLAT, yzLN, yzLT belong to ecliptic, solar and planetary systems. */
static axis_role role_of_name(const char *name, sky_system *ret_system)
{
    static const struct {
        const char *name;
        axis_role role;
        sky_system system;
    } known[] = {{"RA", ROLE_LONGITUDE, SYSTEM_EQUATORIAL},
                 {"DEC", ROLE_LATITUDE, SYSTEM_EQUATORIAL},
                 {"GLON", ROLE_LONGITUDE, SYSTEM_GALACTIC},
                 {"GLAT", ROLE_LATITUDE, SYSTEM_GALACTIC}};
    for (size_t i = 0; i < AID_COUNT_OF(known); i++)
        if (!strcmp(name, known[i].name)) {
            *ret_system = known[i].system;
            return known[i].role;
        }
    *ret_system = SYSTEM_UNSUPPORTED;
    if (strlen(name) != 4)
        return ROLE_OTHER;
    if (!strcmp(name + 1, "LON") || !strcmp(name + 2, "LN"))
        return ROLE_LONGITUDE;
    return !strcmp(name + 1, "LAT") || !strcmp(name + 2, "LT") ? ROLE_LATITUDE : ROLE_OTHER;
}

/* "RA---TAN-SIP": a name filled up with '-' to four characters, '-', a code of three, and perhaps a
 * distortion's name. */
static aid_status parse_ctype(const aid_header *header, int axis, axis_type *ret_type,
                              aid_error *err)
{
    axis_type type = {.role = ROLE_OTHER};
    axis_keyword keyword = on_axis("CTYPE", axis);
    const char *given = aid_header_text(header, keyword.text);
    char text[72] = "", name[5] = "";
    if (given)
        snprintf(text, sizeof text, "%s", given);
    for (size_t n = strlen(text); n > 0 && text[n - 1] == ' '; n--)
        text[n - 1] = '\0';
    snprintf(name, sizeof name, "%.4s", text);
    for (size_t n = strlen(name); n > 0 && name[n - 1] == '-'; n--)
        name[n - 1] = '\0';
    bool has_code = strlen(text) >= 8 && text[4] == '-';
    if (has_code || strlen(text) <= 4)
        type.role = role_of_name(name, &type.system);
    if (type.role != ROLE_OTHER && has_code) {
        snprintf(type.code, sizeof type.code, "%.3s", text + 5);
        type.sip = !strcmp(text + 8, "-SIP");
        if (text[8] && !type.sip)
            AID_FAIL(err, AID_ERR_INVALID, "WCS: %s = '%s': distortion '%s' is not supported",
                     keyword.text, text, text + 8);
    }
    *ret_type = type;
    return AID_OK;
}

/* Finds the celestial pair. It must be the two axes of the image. */
static aid_status find_axes(const aid_header *header, axis_type types[2], struct aid_wcs *wcs,
                            bool *ret_celestial, aid_error *err)
{
    enum { MAX_AXES = 9 };
    int longitude = 0, latitude = 0;
    for (int axis = 1; axis <= MAX_AXES; axis++) {
        axis_type type;
        AID_TRY(parse_ctype(header, axis, &type, err));
        if (axis <= 2)
            types[axis - 1] = type;
        if (type.role == ROLE_LONGITUDE && !longitude)
            longitude = axis;
        if (type.role == ROLE_LATITUDE && !latitude)
            latitude = axis;
    }
    *ret_celestial = longitude || latitude;
    if (!*ret_celestial)
        return AID_OK;
    if (!longitude || !latitude || longitude > 2 || latitude > 2) {
        int axis = longitude ? longitude : latitude;
        AID_FAIL(err, AID_ERR_INVALID,
                 "WCS: CTYPE%d = '%s' has no partner: axes 1 and 2 must both be celestial", axis,
                 aid_header_text(header, on_axis("CTYPE", axis).text));
    }
    wcs->longitude = longitude - 1;
    wcs->latitude = latitude - 1;
    return AID_OK;
}

static aid_status check_types(const aid_header *header, const axis_type types[2], aid_error *err)
{
    const char *first = aid_header_text(header, "CTYPE1");
    const char *second = aid_header_text(header, "CTYPE2");
    if (types[0].system == SYSTEM_UNSUPPORTED || types[1].system == SYSTEM_UNSUPPORTED)
        AID_FAIL(err, AID_ERR_INVALID,
                 "WCS: CTYPE1 = '%.60s', CTYPE2 = '%.60s': neither equatorial nor galactic", first,
                 second);
    if (!types[0].code[0] || !types[1].code[0])
        AID_FAIL(err, AID_ERR_INVALID, "WCS: CTYPE1 = '%.60s', CTYPE2 = '%.60s' name no projection",
                 first, second);
    if (types[0].system != types[1].system || strcmp(types[0].code, types[1].code) != 0)
        AID_FAIL(err, AID_ERR_INVALID,
                 "WCS: CTYPE1 = '%.60s' and CTYPE2 = '%.60s' do not belong "
                 "together",
                 first, second);
    return AID_OK;
}

/* -------------------------------------------------------------------------------------- matrix */

/* Degrees for one CUNITi. */
static aid_status unit_of_axis(const aid_header *header, int axis, double *ret_degrees,
                               aid_error *err)
{
    static const struct {
        const char *name;
        double degrees;
    } known[] = {{"", 1.0},
                 {"deg", 1.0},
                 {"degree", 1.0},
                 {"degrees", 1.0},
                 {"arcmin", 1.0 / 60.0},
                 {"arcsec", 1.0 / 3600.0},
                 {"mas", 1.0 / 3.6e6},
                 {"rad", 57.295779513082320877}};
    axis_keyword keyword = on_axis("CUNIT", axis);
    const char *given = aid_header_text(header, keyword.text);
    char text[24] = "";
    if (given)
        snprintf(text, sizeof text, "%s", given + strspn(given, " "));
    for (size_t n = strlen(text); n > 0 && text[n - 1] == ' '; n--)
        text[n - 1] = '\0';
    for (size_t i = 0; i < AID_COUNT_OF(known); i++)
        if (!strcasecmp(text, known[i].name)) {
            *ret_degrees = known[i].degrees;
            return AID_OK;
        }
    AID_FAIL(err, AID_ERR_INVALID, "WCS: %s = '%s' is not a unit of angle", keyword.text, text);
}

/* A 2x2 matrix of cards by a format such as "CD%d_%d"; elements that are absent keep their value.
 * *ret_first is the place of the first one in the header, or -1 when there is none. */
static aid_status read_matrix(const aid_header *header, const char *const names[2][2],
                              double matrix[2][2], ptrdiff_t *ret_first, aid_error *err)
{
    *ret_first = -1;
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 2; j++) {
            bool found = false;
            AID_TRY(aid_wcs_number(header, names[i][j], &matrix[i][j], &found, err));
            if (!found)
                continue;
            ptrdiff_t place = aid_header_find(header, names[i][j]) - header->cards;
            if (*ret_first < 0 || place < *ret_first)
                *ret_first = place;
        }
    return AID_OK;
}

/* The AIPS convention: the rotation belongs to the latitude axis (Calabretta & Greisen 2002, eq.
 * 189). */
static void rotate_by_crota(const double cdelt[2], double rotation_deg, int longitude, int latitude,
                            double ret_matrix[2][2])
{
    double angle = rotation_deg * 0.017453292519943295769;
    ret_matrix[longitude][longitude] = cdelt[longitude] * cos(angle);
    ret_matrix[longitude][latitude] = -cdelt[latitude] * sin(angle);
    ret_matrix[latitude][longitude] = cdelt[longitude] * sin(angle);
    ret_matrix[latitude][latitude] = cdelt[latitude] * cos(angle);
}

/* CD or PC with CDELT or CDELT with CROTA, in this order. CD and PC must not both be there; where
 * they are, it is since the cards of a primary header follow those of an extension, and so the
 * first ones count. */
static aid_status linear_matrix(const aid_header *header, struct aid_wcs *wcs, aid_error *err)
{
    static const char *const cd_names[2][2] = {{"CD1_1", "CD1_2"}, {"CD2_1", "CD2_2"}};
    static const char *const pc_names[2][2] = {{"PC1_1", "PC1_2"}, {"PC2_1", "PC2_2"}};
    static const char *const old_names[2][2] = {{"PC001001", "PC001002"}, {"PC002001", "PC002002"}};
    double cd[2][2] = {{0.0, 0.0}, {0.0, 0.0}}, pc[2][2] = {{1.0, 0.0}, {0.0, 1.0}};
    double cdelt[2] = {1.0, 1.0}, crota = 0.0;
    ptrdiff_t cd_at, pc_at, old_at;
    bool has_cdelt[2];
    AID_TRY(read_matrix(header, cd_names, cd, &cd_at, err));
    AID_TRY(read_matrix(header, old_names, pc, &old_at, err));
    AID_TRY(read_matrix(header, pc_names, pc, &pc_at, err));
    if (pc_at < 0)
        pc_at = old_at;
    if (cd_at >= 0 && (pc_at < 0 || cd_at < pc_at)) {
        memcpy(wcs->matrix, cd, sizeof cd);
        return AID_OK;
    }
    for (int i = 0; i < 2; i++)
        AID_TRY(
            aid_wcs_number(header, on_axis("CDELT", i + 1).text, &cdelt[i], &has_cdelt[i], err));
    if (pc_at < 0 && !(has_cdelt[0] && has_cdelt[1]))
        AID_FAIL(err, AID_ERR_INVALID,
                 "WCS: CTYPE1 = '%.60s', but the scale is missing: no CD, PC or CDELT",
                 aid_header_text(header, "CTYPE1"));
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 2; j++)
            wcs->matrix[i][j] = cdelt[i] * pc[i][j];
    if (pc_at >= 0)
        return AID_OK;
    AID_TRY(aid_wcs_number(header, on_axis("CROTA", wcs->latitude + 1).text, &crota, NULL, err));
    if (crota != 0.0)
        rotate_by_crota(cdelt, crota, wcs->longitude, wcs->latitude, wcs->matrix);
    return AID_OK;
}

static aid_status invert_matrix(struct aid_wcs *wcs, aid_error *err)
{
    double(*m)[2] = wcs->matrix;
    double determinant = m[0][0] * m[1][1] - m[0][1] * m[1][0];
    double size = hypot(m[0][0], m[0][1]) * hypot(m[1][0], m[1][1]);
    if (!(fabs(determinant) > 1e-9 * size) || !isfinite(size))
        AID_FAIL(err, AID_ERR_INVALID, "WCS: the matrix CD = [%g %g; %g %g] deg/px is singular",
                 m[0][0], m[0][1], m[1][0], m[1][1]);
    wcs->inverse[0][0] = m[1][1] / determinant;
    wcs->inverse[0][1] = -m[0][1] / determinant;
    wcs->inverse[1][0] = -m[1][0] / determinant;
    wcs->inverse[1][1] = m[0][0] / determinant;
    return AID_OK;
}

/* ---------------------------------------------------------------------------------- projection */

/* PV cards of a projection that is not TPV: parameters on the latitude axis; on the longitude axis
 * the fiducial point and the pole (Calabretta & Greisen 2002, section 2.5). */
static aid_status projection_parameters(const aid_header *header, const struct aid_wcs *wcs,
                                        struct celprm *cel, aid_error *err)
{
    for (int i = header->count - 1; i >= 0; i--) { /* backwards, so that the first of two counts */
        int axis, m;
        bool found = false;
        double value = 0.0;
        const char *keyword = header->cards[i].keyword;
        if (!aid_wcs_pv_keyword(keyword, &axis, &m))
            continue;
        AID_TRY(aid_wcs_number(header, keyword, &value, &found, err));
        if (!found)
            continue;
        bool on_latitude = axis == wcs->latitude + 1;
        if (m >= (on_latitude ? PVN : 5))
            AID_FAIL(err, AID_ERR_INVALID, "WCS: %s: projection %s has no such parameter", keyword,
                     cel->prj.code);
        if (on_latitude)
            cel->prj.pv[m] = value;
        else if (m == 0)
            cel->offset = value != 0.0;
        else if (m <= 2)
            *(m == 1 ? &cel->phi0 : &cel->theta0) = value;
        else
            cel->ref[m - 1] = value;
    }
    return AID_OK;
}

/* Two projections of the AIPS convention, in the terms of the standard (section 6.1). */
static aid_status translate_aips(double reference_latitude, struct celprm *cel, aid_error *err)
{
    if (!strcmp(cel->prj.code, "NCP")) {
        double sine = sin(reference_latitude * 0.017453292519943295769);
        if (fabs(sine) < 1e-6)
            AID_FAIL(err, AID_ERR_INVALID, "WCS: projection NCP on the equator");
        memcpy(cel->prj.code, "SIN", 4);
        cel->prj.pv[1] = 0.0;
        cel->prj.pv[2] = cos(reference_latitude * 0.017453292519943295769) / sine;
    } else if (!strcmp(cel->prj.code, "GLS")) {
        memcpy(cel->prj.code, "SFL", 4);
        if (reference_latitude != 0.0) { /* AIPS's reference point does not tilt the graticule */
            cel->offset = 1;
            cel->phi0 = 0.0;
            cel->theta0 = reference_latitude;
        }
    }
    return AID_OK;
}

static aid_status set_projection(const aid_header *header, const char *code, struct aid_wcs *wcs,
                                 aid_error *err)
{
    static const char *const refusals[] = {[0] = "",
                                           [1] = "null pointer",
                                           [2] = "unknown projection or bad projection parameter",
                                           [3] = "bad coordinate transformation",
                                           [4] = "ill-conditioned transformation"};
    struct celprm *cel = &wcs->celestial;
    double crval[2];
    celini(cel);
    memcpy(cel->prj.code, code, 4);
    for (int i = 0; i < 2; i++) {
        double degrees = 1.0;
        AID_TRY(required_number(header, "CRVAL", i + 1, &crval[i], err));
        AID_TRY(unit_of_axis(header, i + 1, &degrees, err));
        crval[i] *= degrees;
        wcs->matrix[i][0] *= degrees;
        wcs->matrix[i][1] *= degrees;
    }
    if (!(fabs(crval[wcs->latitude]) <= 90.0) || !(fabs(crval[wcs->longitude]) <= 1e6))
        AID_FAIL(err, AID_ERR_INVALID,
                 "WCS: CRVAL%d = %.10g lies beyond the pole or CRVAL%d = "
                 "%.10g is no longitude",
                 wcs->latitude + 1, crval[wcs->latitude], wcs->longitude + 1,
                 crval[wcs->longitude]);
    cel->ref[0] = crval[wcs->longitude];
    cel->ref[1] = crval[wcs->latitude];
    AID_TRY(aid_wcs_number(header, "LONPOLE", &cel->ref[2], NULL, err));
    AID_TRY(aid_wcs_number(header, "LATPOLE", &cel->ref[3], NULL, err));
    if (!wcs->has_tpv && !wcs->has_sip)
        AID_TRY(projection_parameters(header, wcs, cel, err));
    AID_TRY(translate_aips(crval[wcs->latitude], cel, err));
    int status = celset(cel);
    if (status) {
        const char *why =
            (size_t)status < AID_COUNT_OF(refusals) ? refusals[status] : "no solution for the pole";
        AID_FAIL(err, AID_ERR_INVALID, "WCS: CTYPE1 = '%.60s', CRVAL%d = %.10g: %s",
                 aid_header_text(header, "CTYPE1"), wcs->latitude + 1, crval[wcs->latitude], why);
    }
    return AID_OK;
}

aid_status aid_wcs_parse(const aid_header *header, struct aid_wcs *wcs, bool *ret_celestial,
                         aid_error *err)
{
    axis_type types[2];
    AID_TRY(find_axes(header, types, wcs, ret_celestial, err));
    if (!*ret_celestial)
        return AID_OK;
    AID_TRY(check_types(header, types, err));
    for (int i = 0; i < 2; i++) {
        AID_TRY(required_number(header, "CRPIX", i + 1, &wcs->reference_px[i], err));
        if (!(fabs(wcs->reference_px[i]) <= 1e9))
            AID_FAIL(err, AID_ERR_INVALID, "WCS: CRPIX%d = %g is too far from any image", i + 1,
                     wcs->reference_px[i]);
    }
    bool tpv = !strcmp(types[0].code, "TPV");
    bool tangential = tpv || !strcmp(types[0].code, "TAN");
    AID_TRY(linear_matrix(header, wcs, err));
    AID_TRY(aid_wcs_parse_distortion(header, tangential, tpv, wcs, err));
    AID_TRY(set_projection(header, tpv ? "TAN" : types[0].code, wcs, err));
    AID_TRY(invert_matrix(wcs, err));
    return aid_sky_frame_from_header(header, types[0].system == SYSTEM_GALACTIC, &wcs->frame, err);
}
