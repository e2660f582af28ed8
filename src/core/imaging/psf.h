/* The point spread function of an image as a pixel basis that varies over the field by a polynomial,
 * built from the image's own stars. */
#ifndef AID_CORE_IMAGING_PSF_H
#define AID_CORE_IMAGING_PSF_H

#include "core/base/notes.h"
#include "core/base/pool.h"
#include "core/imaging/image.h"
#include "core/imaging/stars.h"

typedef struct aid_psf {
    int radius_px;       /* a stamp is (2*radius+1)^2 pixels */
    double oversampling; /* basis samples for each pixel, >= 1 */
    int side;            /* of a basis plane, odd, centre at side/2 */
    int degree;          /* of the polynomial: 0, 1, 2 or 3 */
    int terms;           /* (degree+1)(degree+2)/2 */
    double x0, y0, scale_x, scale_y; /* u = (x-x0)/scale_x, v likewise, both in -1..1 */
    double *planes;      /* [terms][side][side], terms in the order 1, u, v, u2, uv, v2, ... */
    double *coefficients; /* the same planes as cubic B-spline coefficients, for evaluation */
    /* quality */
    double fwhm_px, ellipticity, theta_deg; /* at the field centre; theta ccw from +x */
    double fwhm_min_px, fwhm_max_px;        /* over the field */
    double chi2;         /* reduced, of the accepted stars */
    double residual;     /* rms of (star - model) / star flux, core pixels, median over stars */
    int stars_used, stars_offered;
} aid_psf;

typedef struct aid_psf_options {
    int max_degree;  /* 2 */
    int radius_px;   /* 0: from the seeing, 4 FWHM, at most 24 */
    double gain;     /* e-/unit; for the weights */
} aid_psf_options;
#define AID_PSF_DEFAULTS                                                                           \
    (aid_psf_options)                                                                              \
    {                                                                                              \
        .max_degree = 2, .radius_px = 0, .gain = 1.0                                               \
    }

/* In:    image, background-subtracted, any linear unit; mask (same shape); noise mesh (rms of the
 *        sky in the image's unit); stars from aid_stars_find on this image.
 * Out:   *ret_psf; release with aid_psf_done. With few stars the degree drops, and a note says so.
 * Fails: AID_ERR_NUMERIC when not even one star is usable. */
AID_MUST_USE aid_status aid_psf_build(const aid_image *image, const aid_mask *mask,
                                      const aid_mesh *noise, const aid_stars *stars,
                                      const aid_psf_options *options, aid_pool *pool,
                                      aid_notes *notes, aid_psf *ret_psf, aid_error *err);
void aid_psf_done(aid_psf *psf);

/* The model at image position (x, y), for a star whose centre lies (dx, dy) px from the centre of
 * the stamp's middle pixel. stamp: [(2*radius+1)][(2*radius+1)], radius <= psf->radius_px, tapered
 * smoothly to 0 at the rim, sums to 1. Thread-safe. */
void aid_psf_stamp(const aid_psf *psf, double x, double y, double dx, double dy, int radius,
                   float *stamp);

/* FWHM of the model at a position: diameter of the circle with the area above half the maximum. */
double aid_psf_fwhm(const aid_psf *psf, double x, double y);

#endif
