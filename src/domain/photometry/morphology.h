/* Morphology: what morphology.c (profile, light, moments) and asymmetry.c share. */
#ifndef AID_DOMAIN_PHOTOMETRY_MORPHOLOGY_H
#define AID_DOMAIN_PHOTOMETRY_MORPHOLOGY_H

#include "domain/photometry/internal.h"

enum {
    MORPHOLOGY_REACH_PX = 400, /* at most */
    MORPHOLOGY_MARGIN_PX = 8,  /* beyond that, for sources that are turned */
    MORPHOLOGY_MAX_SIDE = 2 * (MORPHOLOGY_REACH_PX + MORPHOLOGY_MARGIN_PX) + 1
};

/* A square of pixels around a source: (i, j) is image pixel (x0 + i, y0 + j). */
typedef struct morphology_patch {
    int32_t x0, y0;
    int radius, side;
    double x, y;   /* of the source, in the patch */
    double sigma;  /* sky rms; NaN unknown */
    float *values; /* [side][side]; what is missing is its opposite, or 0 */
    bool *sound;   /* [side][side] */
    float *work;   /* [side][side] */
    double *turned;
} morphology_patch;

/* Least asymmetry within `radius` over centres near that of the light; noise taken off. */
double aid_morphology_asymmetry(const morphology_patch *patch, double radius, double *ret_x,
                                double *ret_y);

#endif
