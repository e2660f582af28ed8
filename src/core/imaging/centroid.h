/* The position of a star as well as its photons allow. */
#ifndef AID_CORE_IMAGING_CENTROID_H
#define AID_CORE_IMAGING_CENTROID_H

#include "core/imaging/image.h"

typedef struct aid_centroid_options {
    double sigma_px; /* of the PSF, taken for a Gaussian: it only sets the weights */
    double variance; /* of the sky, per pixel, image unit squared */
    double gain;     /* e-/unit; INFINITY: the star adds no noise */
    double flux;     /* of the star, image unit */
} aid_centroid_options;

/* In:  background-subtracted image; a position (0-based px) that is right to a pixel or so.
 * Out: the position at which the first moments vanish under the weights that the star's noise asks
 *      for, p/(variance + flux p/gain) with the PSF p: as wide as the star where the sky is all the
 *      noise, ever flatter for brighter stars, whose own photons are. Its rms error, per axis, is
 *      then that of the Cramer-Rao bound, *ret_error_px, to some per cent.
 * false where it does not settle within 0.5 px of where it began, the star is within 4 sigma of the
 * border or a pixel is not finite; nothing is written then. */
bool aid_centroid(const aid_image *image, const aid_centroid_options *options, double *x, double *y,
                  double *ret_error_px);

#endif
