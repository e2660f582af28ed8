/* Celestial frames and their rotation to ICRS. Internal to core/sky. */
#ifndef AID_CORE_SKY_FRAME_H
#define AID_CORE_SKY_FRAME_H

#include "core/base/header.h"
#include "core/base/status.h"

#include <stdbool.h>

typedef enum aid_frame_kind { AID_FRAME_ICRS, AID_FRAME_ROTATED, AID_FRAME_FK4 } aid_frame_kind;

/* ROTATED: p_icrs = to_icrs p_frame. FK4 goes by FK5: precessed to B1950 by `to_b1950`, then to
 * J2000 without proper motion in FK5 at `besselian_epoch`, then `to_icrs`. */
typedef struct aid_sky_frame {
    aid_frame_kind kind;
    double to_icrs[3][3];
    double to_b1950[3][3];
    double besselian_epoch;
} aid_sky_frame;

/* Galactic, or equatorial by RADESYS (RADECSYS), EQUINOX and EPOCH, with the defaults of Calabretta
 * & Greisen 2002, section 3.1. Fails with AID_ERR_INVALID, naming the keyword, for a frame that is
 * fixed to the observer or unknown. */
AID_MUST_USE aid_status aid_sky_frame_from_header(const aid_header *header, bool galactic,
                                                  aid_sky_frame *ret_frame, aid_error *err);

/* Degrees in, degrees out; longitudes in 0..360 come out. In place is fine. */
void aid_sky_frame_to_icrs(const aid_sky_frame *frame, double longitude, double latitude,
                           double *ret_ra, double *ret_dec);
void aid_sky_frame_from_icrs(const aid_sky_frame *frame, double ra, double dec,
                             double *ret_longitude, double *ret_latitude);

#endif
