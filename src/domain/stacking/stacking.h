/* Stacking: frames of one sky on one pixel grid, and many of them into one deep image. Equations:
 * README.md of this folder. The frames' pixels come and go through the application, one at a time;
 * what stays of each is an aid_stack_frame. */
#ifndef AID_DOMAIN_STACKING_STACKING_H
#define AID_DOMAIN_STACKING_STACKING_H

#include "core/base/header.h"
#include "core/base/notes.h"
#include "core/base/pool.h"
#include "core/imaging/combine.h"
#include "core/imaging/exposure.h"
#include "core/imaging/warp.h"
#include "domain/preprocessing/preprocessing.h"

/* --------------------------------------------------------------------- a frame on another grid */

/* The map from the grid of one image to that of another as their WCS have it, exact at the corners
 * of a grid_map's cells (worst error between them: *ret_worst_px), and as the polynomial that comes
 * nearest. Method "wcs"; what only stars can tell is NaN. Fails with AID_ERR_INVALID when one has
 * no WCS, or they show different parts of the sky. The exposures need nothing but name and WCS. */
typedef struct aid_wcs_pair {
    const aid_exposure *grid, *frame;
    int32_t width, height, frame_width, frame_height;
} aid_wcs_pair;
AID_MUST_USE aid_status aid_align_by_wcs(const aid_wcs_pair *pair,
                                         aid_registration *ret_registration, aid_grid_map *ret_map,
                                         double *ret_worst_px, aid_error *err);

/* Where the polynomial of a registration with WCS is farther than 0.0005 px from them: the exact
 * map with the registration's correction. Else *ret_map is an empty one (x is NULL). */
AID_MUST_USE aid_status aid_align_exactly(const aid_wcs_pair *pair,
                                          const aid_registration *registration,
                                          aid_grid_map *ret_map, double *ret_worst_px,
                                          aid_error *err);

/* Pixels as they came. */
typedef struct aid_frame_pixels {
    aid_image image;    /* with its sky; NaN = missing */
    aid_image variance; /* of each pixel, unit squared; may be empty */
    aid_mask mask;      /* may be empty */
} aid_frame_pixels;
void aid_frame_pixels_done(aid_frame_pixels *pixels);

typedef struct aid_regrid_options {
    int32_t width, height;    /* of the new grid */
    const aid_transform *map; /* pixel of the new grid -> pixel of the frame */
    aid_warp_kernel kernel;
    const aid_grid_map *grid; /* exact positions where a polynomial will not do; NULL: none */
    bool subtract_sky;        /* leave the background out of the result */
    double scale;             /* the result is multiplied by it, the variance by its square */
} aid_regrid_options;
#define AID_REGRID_DEFAULTS                                                                        \
    (aid_regrid_options)                                                                           \
    {                                                                                              \
        .kernel = AID_KERNEL_SPLINE3, .scale = 1.0                                                 \
    }

/* The frame on the new grid.
 * In:  facts = the frame as aid_prepare_exposure left it (masks, sky, noise, gain), or NULL, where
 *      the frame's own mask is all that is known.
 * Out: image: counts in a pixel of the new grid (flux is conserved), NaN off the frame and where a
 *      bad, struck or missing pixel is within the kernel's reach; saturated pixels keep their
 * value. variance: sum of squared weights times variance, of the pixels' own where it was given,
 * else of the noise and gain of `facts`; empty without either. mask: bits of all pixels in reach.
 * `pixels` is emptied, also on failure. */
AID_MUST_USE aid_status aid_regrid_frame(aid_frame_pixels *take_pixels, const aid_exposure *facts,
                                         const aid_regrid_options *options, aid_pool *pool,
                                         aid_frame_pixels *ret_pixels, aid_error *err);

/* ---------------------------------------------------------------------------------- the stack */

/* What is known of one frame, apart from its pixels. */
typedef struct aid_stack_frame {
    char name[128];
    aid_registration registration;                 /* grid pixel -> frame pixel */
    double scale;                                  /* frame's flux x scale = the reference's flux */
    double scale_err;                              /* its standard error */
    int scale_stars;                               /* that it rests on; 0: exposure times, or 1 */
    double sky, noise;                             /* of a pixel, unit of the frame */
    double fwhm_px;                                /* in pixels of the grid; NaN unknown */
    double gain, read_noise_e;                     /* e-/unit, INFINITY unknown; e-, NaN unknown */
    double saturation;                             /* INFINITY unknown */
    double exposure_s, mid_mjd_utc, start_mjd_utc; /* NaN unknown */
    double airmass;                                /* NaN unknown */
    double weight;    /* of its scaled pixels; all weights add up to 1; 0: rejected */
    int64_t clipped;  /* its pixels that were left out */
    char reason[160]; /* why it is rejected; "" used */
} aid_stack_frame;

typedef struct aid_stack_options {
    aid_combine_method method;
    double kappa;          /* clipping, sigma */
    double max_fwhm_ratio; /* FWHM over the median of all frames: beyond it, rejected */
    double max_rms_px;     /* of the registration, per axis */
    double min_throughput; /* over the median of all frames, per second */
    int min_scale_stars;   /* with fewer the exposure times tell the scale */
} aid_stack_options;
#define AID_STACK_DEFAULTS                                                                         \
    (aid_stack_options)                                                                            \
    {                                                                                              \
        .method = AID_COMBINE_INVERSE_VARIANCE, .kappa = 5.0, .max_fwhm_ratio = 1.5,               \
        .max_rms_px = 0.5, .min_throughput = 0.3, .min_scale_stars = 3                             \
    }

/* The facts of one frame and its flux scale, from the reference's stars in circles of two FWHM on
 * both. Both exposures as aid_prepare_exposure leaves them, with their pixels. */
AID_MUST_USE aid_status aid_stack_describe(const aid_exposure *reference, const aid_exposure *frame,
                                           const aid_registration *registration,
                                           const aid_stack_options *options, aid_notes *notes,
                                           aid_stack_frame *ret_frame, aid_error *err);

/* Rejects, with the reason, and weighs the others: by 1/(scale x noise)^2, or alike for mean and
 * median. Fails with AID_ERR_INVALID when none is left. */
AID_MUST_USE aid_status aid_stack_weigh(aid_stack_frame *frames, int count,
                                        const aid_stack_options *options, aid_error *err);

typedef struct aid_stacked {
    aid_image image; /* sky-subtracted, flux scale of the reference; NaN where no frame has any */
    aid_image variance; /* propagated from that of the frames */
    aid_image used;     /* frames that each pixel rests on */
    int64_t clipped;    /* pixels of frames that were left out */
} aid_stacked;
void aid_stacked_done(aid_stacked *stacked);

/* In:  pixels = the frames on the grid, sky subtracted and scaled, with their variance
 *      (aid_regrid_frame), `count` of them; frames = what aid_stack_weigh made of them.
 * Clipped and weighted mean: a pixel is left out where it is farther from the median of all frames
 * than kappa sigma of its own and what the frame's seeing makes of the brightest pixel near:
 * sharper stars are no cosmic rays. frames[k].clipped is filled in. The same bytes at any number of
 * threads. */
AID_MUST_USE aid_status aid_stack_combine(const aid_frame_rows *pixels, aid_stack_frame *frames,
                                          const aid_stack_options *options, aid_pool *pool,
                                          aid_stacked *ret_stacked, aid_error *err);

/* The stack as one exposure; NaN or INFINITY where a frame that is used does not know. */
typedef struct aid_stack_summary {
    int used;
    double total_exposure_s, exposure_s; /* of all together; of the flux scale: the reference's */
    double mid_mjd_utc;                  /* weighted */
    double first_mjd_utc, last_mjd_utc;  /* start of the first, end of the last */
    double gain;                         /* e-/unit, for the photon noise of the stack */
    double read_noise_e;                 /* electrons of that gain */
    double saturation;                   /* above the sky */
    double airmass, fwhm_px;             /* weighted */
} aid_stack_summary;
aid_stack_summary aid_stack_summarise(const aid_stack_frame *frames, int count,
                                      double reference_exposure_s);

#endif
