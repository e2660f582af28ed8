/* The seeing as the stars' mean profile shows it, for images whose PSF nobody builds. */
#ifndef AID_CORE_IMAGING_STAR_PROFILE_H
#define AID_CORE_IMAGING_STAR_PROFILE_H

#include "core/imaging/stars.h"

#include <stdbool.h>

/* A star by itself, whole, unsaturated, shaped like one, and above that S/N. */
bool aid_star_is_sound(const aid_star *star, double least_snr);

/* Full width at half maximum of the mean profile of the brightest sound stars on a
 * background-subtracted image, px. Unlike moments it does not count the wings. `width_px` is a
 * first estimate (2.355 x the second moment), and the answer where the profile gives none. */
double aid_star_profile_fwhm(const aid_image *image, const aid_stars *stars, double width_px);

#endif
