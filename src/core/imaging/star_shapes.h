/* What is measured on one star's pixels once its place is roughly known. */
#ifndef AID_CORE_IMAGING_STAR_SHAPES_H
#define AID_CORE_IMAGING_STAR_SHAPES_H

#include "core/imaging/stars.h"

enum { AID_MAX_WINDOW_SIGMA_PX = 16, AID_MAX_APERTURE_PX = 64 };

/* Position and second moments under a round Gaussian window of `sigma_px` that follows the star
 * (SExtractor's XWIN_IMAGE; moments with the window's own width taken out, so that a Gaussian star
 * shows its true size whatever the window). false where the window does not settle: x, y, a, b and
 * theta_deg stay as they were. */
bool aid_star_window(const aid_image *image, double sigma_px, aid_star *star);

/* flux, flux_err, peak, half_light_px and the SATURATED and MASKED flags within `radius_px`.
 * Pixels on the rim count by how far they reach in; the half-light radius is that of the light
 * within the aperture. `gain` 0: unknown. */
void aid_star_aperture(const aid_image *image, const aid_mask *mask, const aid_mesh *noise,
                       double radius_px, double gain, aid_star *star);

/* The width that most point-like sources share: the mode of `sizes` (reordered), NaN for none. */
double aid_star_locus(double *sizes, int count);

#endif
