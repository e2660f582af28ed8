#include "core/sky/frame.h"

#include "core/sky/time.h"

#include <erfa.h>
#include <erfam.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---------------------------------------------------------------------------------- conversion */

static double turn_deg(double angle_rad)
{
    double degrees = eraAnp(angle_rad) * ERFA_DR2D;
    return degrees < 360.0 ? degrees : 0.0;
}

static void to_vector(double longitude, double latitude, double ret_vector[3])
{
    eraS2c(longitude * ERFA_DD2R, latitude * ERFA_DD2R, ret_vector);
}

static void to_degrees(double vector[3], double *ret_longitude, double *ret_latitude)
{
    double longitude, latitude;
    eraC2s(vector, &longitude, &latitude);
    *ret_longitude = turn_deg(longitude);
    *ret_latitude = latitude * ERFA_DR2D;
}

/* ERFA takes its matrices and vectors without const, but leaves them alone. */
static void rotate(const double matrix[3][3], double vector[3], bool backwards)
{
    double copy[3][3], result[3];
    memcpy(copy, matrix, sizeof copy);
    if (backwards)
        eraTrxp(copy, vector, result);
    else
        eraRxp(copy, vector, result);
    memcpy(vector, result, sizeof result);
}

void aid_sky_frame_to_icrs(const aid_sky_frame *frame, double longitude, double latitude,
                           double *ret_ra, double *ret_dec)
{
    if (frame->kind == AID_FRAME_ICRS) {
        *ret_ra = longitude;
        *ret_dec = latitude;
        return;
    }
    double vector[3];
    to_vector(longitude, latitude, vector);
    if (frame->kind == AID_FRAME_FK4) {
        double ra, dec, ra_j2000, dec_j2000;
        rotate(frame->to_b1950, vector, false);
        eraC2s(vector, &ra, &dec);
        eraFk45z(ra, dec, frame->besselian_epoch, &ra_j2000, &dec_j2000);
        eraS2c(ra_j2000, dec_j2000, vector);
    }
    rotate(frame->to_icrs, vector, false);
    to_degrees(vector, ret_ra, ret_dec);
}

/* fk54z is the inverse of fk45z only nearly, so the difference is taken off the guess until it
 * vanishes. It is not turned back by the precession of fifty years, 0.01 rad: each round gains two
 * digits. */
static void fk5_to_fk4(const double fk5[3], double epoch, double ret_fk4[3])
{
    double copy[3], ra, dec, pm_ra, pm_dec, ra_b1950, dec_b1950;
    memcpy(copy, fk5, sizeof copy);
    eraC2s(copy, &ra, &dec);
    eraFk54z(ra, dec, epoch, &ra_b1950, &dec_b1950, &pm_ra, &pm_dec);
    eraS2c(ra_b1950, dec_b1950, ret_fk4);
    for (int round = 0; round < 4; round++) {
        double ra_back, dec_back, back[3], error[3], length;
        eraC2s(ret_fk4, &ra_b1950, &dec_b1950);
        eraFk45z(ra_b1950, dec_b1950, epoch, &ra_back, &dec_back);
        eraS2c(ra_back, dec_back, back);
        eraPmp(copy, back, error);
        eraPpp(ret_fk4, error, back);
        eraPn(back, &length, ret_fk4);
    }
}

void aid_sky_frame_from_icrs(const aid_sky_frame *frame, double ra, double dec,
                             double *ret_longitude, double *ret_latitude)
{
    if (frame->kind == AID_FRAME_ICRS) {
        *ret_longitude = ra;
        *ret_latitude = dec;
        return;
    }
    double vector[3];
    to_vector(ra, dec, vector);
    rotate(frame->to_icrs, vector, true);
    if (frame->kind == AID_FRAME_FK4) {
        double fk4[3];
        fk5_to_fk4(vector, frame->besselian_epoch, fk4);
        memcpy(vector, fk4, sizeof fk4);
        rotate(frame->to_b1950, vector, true);
    }
    to_degrees(vector, ret_longitude, ret_latitude);
}

/* ------------------------------------------------------------------------------- which frame ---
 */

static void galactic_to_icrs(double ret_matrix[3][3])
{
    for (int axis = 0; axis < 3; axis++) { /* the images of the basis are the columns */
        double vector[3] = {0.0, 0.0, 0.0}, longitude, latitude, ra, dec;
        vector[axis] = 1.0;
        eraC2s(vector, &longitude, &latitude);
        eraG2icrs(longitude, latitude, &ra, &dec);
        eraS2c(ra, dec, vector);
        for (int row = 0; row < 3; row++)
            ret_matrix[row][axis] = vector[row];
    }
}

/* Orientation of FK5 at J2000 (its spin against the Hipparcos frame, 0.7 mas/yr, is left out). */
static void fk5_to_icrs(double equinox, double ret_matrix[3][3])
{
    double fk5_to_hipparcos[3][3], spin[3], j2000_to_equinox[3][3], equinox_to_j2000[3][3];
    double day1, day2;
    eraFk5hip(fk5_to_hipparcos, spin);
    eraEpj2jd(equinox, &day1, &day2);
    eraPmat76(day1, day2, j2000_to_equinox);
    eraTr(j2000_to_equinox, equinox_to_j2000);
    eraRxr(fk5_to_hipparcos, equinox_to_j2000, ret_matrix);
}

/* Newcomb's precession between Besselian epochs, in the form of Kinoshita 1975 (SAO Special Report
 * 364), which the FK4 system is built on. */
static void precess_fk4(double from, double to, double ret_matrix[3][3])
{
    double start = (from - 1850.0) / 100.0, t = (to - from) / 100.0;
    double arcsec = t * ERFA_DAS2R;
    double w = 2303.5548 + (1.39720 + 0.000059 * start) * start;
    double zeta = (w + (0.30242 - 0.000269 * start + 0.017996 * t) * t) * arcsec;
    double z = (w + (1.09478 + 0.000387 * start + 0.018324 * t) * t) * arcsec;
    double theta = (2005.1125 + (-0.85294 - 0.000365 * start) * start +
                    (-0.42647 - 0.000365 * start - 0.041802 * t) * t) *
                   arcsec;
    eraIr(ret_matrix);
    eraRz(-zeta, ret_matrix);
    eraRy(theta, ret_matrix);
    eraRz(-z, ret_matrix);
}

/* A number, or a text such as J2000 or B1950.0 as some programs write. */
static bool equinox_of(const aid_header *header, const char *keyword, double *ret_equinox)
{
    const char *text = aid_header_text(header, keyword);
    if (!text || !text[strspn(text, " ")])
        return false;
    text += strspn(text, " ");
    if (*text == 'J' || *text == 'B') {
        char *end;
        double value = strtod(text + 1, &end);
        *ret_equinox = end == text + 1 || end[strspn(end, " ")] ? NAN : value;
    } else if (!aid_header_number(header, keyword, ret_equinox)) {
        *ret_equinox = NAN;
    }
    return true;
}

static aid_status read_equinox(const aid_header *header, double *ret_equinox, aid_error *err)
{
    static const char *const keywords[] = {"EQUINOX", "EPOCH"};
    for (size_t i = 0; i < AID_COUNT_OF(keywords); i++) {
        double equinox;
        if (!equinox_of(header, keywords[i], &equinox))
            continue;
        if (!(equinox >= 1800.0 && equinox <= 2200.0))
            AID_FAIL(err, AID_ERR_INVALID, "WCS: %s = '%s' is not a year between 1800 and 2200",
                     keywords[i], aid_header_text(header, keywords[i]));
        *ret_equinox = equinox;
        return AID_OK;
    }
    *ret_equinox = NAN;
    return AID_OK;
}

typedef enum system_kind { SYSTEM_ABSENT, SYSTEM_ICRS, SYSTEM_FK5, SYSTEM_FK4 } system_kind;

static aid_status read_system(const aid_header *header, system_kind *ret_system, aid_error *err)
{
    static const struct {
        const char *name;
        system_kind kind;
    } known[] = {{"", SYSTEM_ABSENT},    {"ICRS", SYSTEM_ICRS}, {"ICRF", SYSTEM_ICRS},
                 {"FK5", SYSTEM_FK5},    {"FK4", SYSTEM_FK4},   {"J2000", SYSTEM_FK5},
                 {"J2000.0", SYSTEM_FK5}};
    const char *keyword = aid_header_text(header, "RADESYS") ? "RADESYS" : "RADECSYS";
    const char *text = aid_header_text(header, keyword);
    char name[16];
    snprintf(name, sizeof name, "%s", text ? text + strspn(text, " ") : "");
    for (size_t n = strlen(name); n > 0 && name[n - 1] == ' '; n--)
        name[n - 1] = '\0';
    for (size_t i = 0; i < AID_COUNT_OF(known); i++)
        if (!strcasecmp(name, known[i].name)) {
            *ret_system = known[i].kind;
            return AID_OK;
        }
    AID_FAIL(err, AID_ERR_INVALID, "WCS: %s = '%s' is not one of ICRS, FK5 and FK4", keyword, text);
}

static void fk4_frame(const aid_header *header, double equinox, aid_sky_frame *frame)
{
    aid_epoch epoch = aid_epoch_from_header(header);
    *frame = (aid_sky_frame){.kind = AID_FRAME_FK4};
    frame->besselian_epoch = epoch.known ? eraEpb(ERFA_DJM0, epoch.mid_mjd_utc) : equinox;
    precess_fk4(equinox, 1950.0, frame->to_b1950);
    fk5_to_icrs(2000.0, frame->to_icrs);
}

aid_status aid_sky_frame_from_header(const aid_header *header, bool galactic,
                                     aid_sky_frame *ret_frame, aid_error *err)
{
    aid_sky_frame frame = {.kind = AID_FRAME_ICRS};
    if (galactic) {
        frame.kind = AID_FRAME_ROTATED;
        galactic_to_icrs(frame.to_icrs);
        *ret_frame = frame;
        return AID_OK;
    }
    system_kind system = SYSTEM_ABSENT;
    double equinox = NAN;
    AID_TRY(read_system(header, &system, err));
    if (system != SYSTEM_ICRS)
        AID_TRY(read_equinox(header, &equinox, err));
    if (system == SYSTEM_ABSENT && !isnan(equinox))
        system = equinox < 1984.0 ? SYSTEM_FK4 : SYSTEM_FK5;
    if (system == SYSTEM_FK5) {
        frame.kind = AID_FRAME_ROTATED;
        fk5_to_icrs(isnan(equinox) ? 2000.0 : equinox, frame.to_icrs);
    } else if (system == SYSTEM_FK4) {
        fk4_frame(header, isnan(equinox) ? 1950.0 : equinox, &frame);
    }
    *ret_frame = frame;
    return AID_OK;
}
