/* What a WCS consists of. Internal to core/sky. */
#ifndef AID_CORE_SKY_WCS_INTERNAL_H
#define AID_CORE_SKY_WCS_INTERNAL_H

#include "core/sky/frame.h"
#include "core/sky/planar_map.h"
#include "core/sky/wcs.h"

#include <cel.h>

/* Pixel -> (SIP) -> matrix -> (TPV) -> projection -> celestial frame -> ICRS. */
struct aid_wcs {
    double reference_px[2]; /* CRPIX, 1-based */
    double matrix[2][2];    /* px -> deg of the intermediate world axes 1 and 2 */
    double inverse[2][2];
    int longitude, latitude; /* which of the axes, 0 or 1 */
    bool has_sip, has_tpv;
    aid_planar_map sip;      /* px, from the reference pixel */
    aid_planar_map tpv;      /* deg, in the order of the axes */
    struct celprm celestial; /* set up; copied by every call, since WCSLIB may write into it */
    aid_sky_frame frame;
    aid_header cards; /* as the input had them */
};

/* Fills the geometry from the header; *ret_celestial is false when it claims no celestial axes. */
AID_MUST_USE aid_status aid_wcs_parse(const aid_header *header, struct aid_wcs *wcs,
                                      bool *ret_celestial, aid_error *err);

/* The distortions alone; wcs->has_sip and has_tpv say what there is. `tpv_named` when CTYPE says
 * TPV, `tangential` when the projection is TAN under either name. */
AID_MUST_USE aid_status aid_wcs_parse_distortion(const aid_header *header, bool tangential,
                                                 bool tpv_named, struct aid_wcs *wcs,
                                                 aid_error *err);

/* The number of a card: absent or blank leaves *value alone and gives *ret_found (may be NULL)
 * false; what is not a finite number fails and names keyword and value. */
AID_MUST_USE aid_status aid_wcs_number(const aid_header *header, const char *keyword, double *value,
                                       bool *ret_found, aid_error *err);

/* Whether a keyword describes the celestial WCS of a two-dimensional image. */
bool aid_wcs_owns_keyword(const char *keyword);

/* Splits PVi_m: axis 1 or 2 and m in 0..99. */
bool aid_wcs_pv_keyword(const char *keyword, int *ret_axis, int *ret_index);

#endif
