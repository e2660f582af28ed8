/* Sources of one image by libsep, wrapped once: background, noise, detection, windowed positions.
 */
#ifndef AID_CORE_IMAGING_STARS_H
#define AID_CORE_IMAGING_STARS_H

#include "core/base/pool.h"
#include "core/imaging/image.h"

enum { /* aid_star.flags */
       AID_STAR_BLENDED = 1,
       AID_STAR_TRUNCATED = 2, /* touches the border */
       AID_STAR_SATURATED = 4, /* a saturated pixel within its aperture */
       AID_STAR_MASKED = 8,    /* another masked pixel within its aperture */
       AID_STAR_EXTENDED = 16, /* clearly broader than the stellar locus */
       AID_STAR_SHARP = 32,    /* clearly sharper: cosmic ray or hot pixel */
       AID_STAR_NO_WINDOW = 64 /* the windowed position did not converge: x, y are the barycentre */
};

typedef struct aid_star {
    double x, y;            /* 0-based px, windowed (XWIN) */
    double flux, flux_err;  /* aperture of radius `aperture_px`, image unit */
    double peak;            /* above the background */
    double a, b, theta_deg; /* second moments, px; ccw from +x */
    double half_light_px;   /* FLUX_RADIUS at .5 */
    int npix;
    unsigned flags;
} aid_star;

typedef struct aid_stars {
    int count;
    aid_star *items; /* by decreasing flux */
    double aperture_px;
    double fwhm_px; /* 2.355 x the locus of a, b: a first estimate; NaN when no stars */
} aid_stars;

typedef struct aid_background_options {
    int cell_px;      /* 128; smaller images: at least 3 cells across, never below 32 px */
    int filter_cells; /* 3: median filter over cells */
} aid_background_options;
#define AID_BACKGROUND_DEFAULTS                                                                    \
    (aid_background_options)                                                                       \
    {                                                                                              \
        .cell_px = 128, .filter_cells = 3                                                          \
    }

/* Mesh background and noise (sigma-clipped, SExtractor's estimator) of the unmasked pixels; `mask`
 * may be empty. Both meshes are the caller's. Fails with AID_ERR_NUMERIC when no pixel is usable.
 */
AID_MUST_USE aid_status aid_background_measure(const aid_image *image, const aid_mask *mask,
                                               const aid_background_options *options,
                                               aid_pool *pool, aid_mesh *ret_background,
                                               aid_mesh *ret_noise, aid_error *err);

typedef struct aid_stars_options {
    double threshold; /* 5 sigma of the filtered image */
    int min_pixels;   /* 5 */
    double gain;      /* e-/unit, for flux errors; 0 = unknown */
    int max_stars;    /* 20000: the brightest are kept */
} aid_stars_options;
#define AID_STARS_DEFAULTS                                                                         \
    (aid_stars_options)                                                                            \
    {                                                                                              \
        .threshold = 5.0, .min_pixels = 5, .gain = 0.0, .max_stars = 20000                         \
    }

/* In:  background-subtracted image, mask (may be empty), noise mesh.
 * Out: stars by decreasing flux, ties by y then x: the same order at any number of threads.
 *      No star at all is an empty list, not a failure. Release with aid_stars_done. */
AID_MUST_USE aid_status aid_stars_find(const aid_image *image, const aid_mask *mask,
                                       const aid_mesh *noise, const aid_stars_options *options,
                                       aid_pool *pool, aid_stars *ret_stars, aid_error *err);
void aid_stars_done(aid_stars *stars);

#endif
