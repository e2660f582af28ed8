/* A calibrated frame as a FITS file: the image, VARIANCE and MASK extensions, and a header in which
 * everything still holds. */
#ifndef AID_ADAPTERS_FITS_CALIBRATED_FILE_H
#define AID_ADAPTERS_FITS_CALIBRATED_FILE_H

#include "core/base/header.h"
#include "domain/calibration/apply.h"

/* The cards of the raw frame without those that are true of it alone (sections of the detector,
 * overscan, gain, saturation, unit, type), its WCS moved with the trimmed pixels; then BUNIT,
 * IMAGETYP, GAIN, EGAIN, RDNOISE, SATURATE and CALSTEPS of the calibrated one. Appended to *to. */
AID_MUST_USE aid_status aid_calibrated_cards(const aid_header *raw,
                                             const aid_calibrated *calibrated, aid_header *to,
                                             aid_error *err);

/* Those, and `cards` (may be NULL) behind them, on top of the image. The file is never
 * half-written. */
AID_MUST_USE aid_status aid_calibrated_write(const char *path, const aid_calibrated *calibrated,
                                             const aid_header *raw, const aid_header *cards,
                                             aid_error *err);

/* The card that tells a calibrated frame, with its steps: "overscan, bias, dark, flat". */
#define AID_CALIBRATED_KEYWORD "CALSTEPS"

#endif
