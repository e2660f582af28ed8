/* World coordinates of an image: pixel <-> ICRS, from validated header cards.
 * Projections TAN, SIN, ZEA, CAR, STG, ARC, AIT (and what else WCSLIB knows of two celestial axes),
 * distortions SIP and TPV (also under TAN's name with PV terms, as SCAMP wrote it; SIP counts where
 * both are there), PV parameters, CD / PC+CDELT / CROTA2. Pixels here are 0-based. Distortions by
 * look-up table (CPDISj, D2IM of HST, below .1 px) are not applied; FK5 is turned to ICRS as of
 * J2000, galactic coordinates by the Hipparcos definition (ERFA), which is within 22 mas of others.
 */
#ifndef AID_CORE_SKY_WCS_H
#define AID_CORE_SKY_WCS_H

#include "core/base/header.h"
#include "core/base/status.h"

#include <stdbool.h>

typedef struct aid_wcs aid_wcs;

/* *ret_wcs is NULL, and that is no failure, when the header holds no celestial axes at all. A
 * header that claims a WCS but holds a broken one (singular matrix, NaN, CRVAL2 beyond the pole,
 * SIP order above 9, unknown projection ...) fails with AID_ERR_INVALID and a message that names
 * keyword and value. FK5, FK4 and galactic frames are converted, so that results are ICRS. Caller
 * owns. */
AID_MUST_USE aid_status aid_wcs_new(const aid_header *header, aid_wcs **ret_wcs, aid_error *err);
void aid_wcs_free(aid_wcs *wcs);

/* Safe to call from several threads on one aid_wcs. false where the point has no image (beyond the
 * horizon of the projection); outputs are untouched then. */
bool aid_wcs_pixel_to_radec(const aid_wcs *wcs, double x_px, double y_px, double *ret_ra_deg,
                            double *ret_dec_deg);
bool aid_wcs_radec_to_pixel(const aid_wcs *wcs, double ra_deg, double dec_deg, double *ret_x_px,
                            double *ret_y_px);

/* Side of a pixel (square root of its area) in arcsec, and the direction of north (degrees
 * counter-clockwise from +x to +north) and of east, at a pixel. false as above. */
bool aid_wcs_pixel_scale(const aid_wcs *wcs, double x_px, double y_px, double *ret_scale_arcsec);
bool aid_wcs_directions(const aid_wcs *wcs, double x_px, double y_px, double *ret_north_deg,
                        double *ret_east_deg);

/* The cards that describe this WCS, as the input had them, appended to `to` (for outputs on the
 * same pixel grid). */
AID_MUST_USE aid_status aid_wcs_cards(const aid_wcs *wcs, aid_header *to, aid_error *err);

#endif
