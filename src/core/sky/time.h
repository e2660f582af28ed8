/* Epoch of an exposure from its header (ERFA does the calendar). */
#ifndef AID_CORE_SKY_TIME_H
#define AID_CORE_SKY_TIME_H

#include "core/base/header.h"

#include <stdbool.h>

typedef struct aid_epoch {
    bool known;
    double mid_mjd_utc; /* DATE-OBS + EXPTIME/2, or MJD-OBS + EXPTIME/2 */
    double start_mjd_utc;
    double exposure_s; /* NaN when unknown: mid equals start then */
    char warning[160]; /* "" or what was odd (unknown TIMESYS, no exposure time, 6,4E-05 ...) */
} aid_epoch;

/* DATE-OBS as YYYY-MM-DDThh:mm:ss.s, YYYY-MM-DD (with TIME-OBS / UT / UTSTART), old DD/MM/YY;
 * MJD-OBS; EXPTIME or EXPOSURE; TIMESYS UTC (default), TAI and TT converted. Never fails. */
aid_epoch aid_epoch_from_header(const aid_header *header);

#endif
