/* An image with everything that is known about its pixels, always together. */
#ifndef AID_CORE_IMAGING_EXPOSURE_H
#define AID_CORE_IMAGING_EXPOSURE_H

#include "core/base/header.h"
#include "core/imaging/image.h"
#include "core/imaging/psf.h"
#include "core/imaging/stars.h"
#include "core/sky/time.h"
#include "core/sky/wcs.h"

/* Noise correlation of neighbouring pixels: rho[dy+R][dx+R], rho[R][R] = 1. */
#define AID_NOISE_LAG 3
typedef struct aid_noise_correlation {
    float rho[2 * AID_NOISE_LAG + 1][2 * AID_NOISE_LAG + 1];
    bool measured; /* false: white */
} aid_noise_correlation;

/* Variance of pixel p = noise(p)^2 + max(image(p), 0)/gain. */
typedef struct aid_exposure {
    char name[128]; /* for messages: the file's name */
    aid_header header;
    aid_wcs *wcs; /* NULL: none */
    aid_epoch epoch;
    aid_image image;     /* background-subtracted; every pixel finite: bad ones are filled */
    aid_mask mask;       /* says which ones those are */
    aid_mesh background; /* what was subtracted */
    aid_mesh noise;      /* sky rms, image unit */
    aid_noise_correlation correlation;
    double gain;          /* e-/unit; INFINITY when source noise cannot be known */
    char gain_origin[32]; /* "header GAIN", "option", "measured", ... */
    double saturation;    /* in the unit of the raw pixels, +INFINITY when unknown */
    char saturation_origin[32];
    double zero_point; /* mag of one unit; NaN unknown */
    char zero_point_origin[32];
    aid_stars stars;
    aid_psf psf;
} aid_exposure;

void aid_exposure_done(aid_exposure *exposure);

#endif
