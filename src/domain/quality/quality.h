/* Quality: what an image is worth, in numbers with units, and in one that falls when it gets worse.
 * Definitions, equations and where they are from: README.md of this folder. */
#ifndef AID_DOMAIN_QUALITY_QUALITY_H
#define AID_DOMAIN_QUALITY_QUALITY_H

#include "core/base/notes.h"
#include "core/base/pool.h"
#include "core/imaging/exposure.h"

#include <math.h>

/* ----------------------------------------------------------------------------------- estimators */

typedef enum aid_quality_background {
    AID_QUALITY_BACKGROUND_MESH,   /* middle half of the exposure's own map, which avoids sources */
    AID_QUALITY_BACKGROUND_MEDIAN, /* of all sound pixels */
    AID_QUALITY_BACKGROUND_MODE,   /* 2.5 median - 1.5 mean of them after clipping */
    AID_QUALITY_BACKGROUND_CLIPPED /* mean after clipping at 3 sigma */
} aid_quality_background;

typedef enum aid_quality_noise {
    AID_QUALITY_NOISE_MESH,       /* median over the exposure's own map, from fine detail */
    AID_QUALITY_NOISE_MAD,        /* 1.4826 MAD of all sound pixels: counts gradients and stars */
    AID_QUALITY_NOISE_CLIPPED,    /* sigma after clipping at 3 sigma: the same */
    AID_QUALITY_NOISE_DIFFERENCE, /* MAD of differences of neighbours: blind to gradients */
    AID_QUALITY_NOISE_LAPLACIAN /* MAD of Immerkaer's operator: blind to slopes, nearly to stars */
} aid_quality_noise;

/* ------------------------------------------------------------------------------------ one image */

typedef enum aid_quality_class {
    AID_QUALITY_POOR,
    AID_QUALITY_FAIR,
    AID_QUALITY_GOOD,
    AID_QUALITY_EXCELLENT
} aid_quality_class;
const char *aid_quality_class_name(aid_quality_class class); /* "poor", ... */
aid_quality_class aid_quality_class_of(double score);        /* from .25, .5 and .75 on */

enum { /* aid_quality.flags */
       AID_QUALITY_HIGH_BACKGROUND = 1 << 0,
       AID_QUALITY_HIGH_NOISE = 1 << 1,
       AID_QUALITY_BAD_SEEING = 1 << 2,
       AID_QUALITY_TRAILED = 1 << 3,
       AID_QUALITY_UNEVEN_SEEING = 1 << 4,
       AID_QUALITY_FEW_STARS = 1 << 5,
       AID_QUALITY_CLOUDS = 1 << 6,
       AID_QUALITY_SHALLOW = 1 << 7,
       AID_QUALITY_GRADIENT = 1 << 8,
       AID_QUALITY_NOT_FLAT = 1 << 9,
       AID_QUALITY_SATURATED = 1 << 10,
       AID_QUALITY_COSMIC_RAYS = 1 << 11,
       AID_QUALITY_MASKED = 1 << 12,
       AID_QUALITY_MISALIGNED = 1 << 13,
       AID_QUALITY_FLAG_BITS = 14
};
const char *aid_quality_flag_name(unsigned bit); /* "high_background", ...; NULL: no such bit */

/* The names joined by |, "" for none. */
enum { AID_QUALITY_FLAGS_TEXT = 256 };
void aid_quality_flags_text(unsigned flags, char ret_text[AID_QUALITY_FLAGS_TEXT]);

/* Units of the image unless said otherwise; NaN: cannot be known, and a note says why. */
typedef struct aid_quality {
    double background_level, noise_level; /* per pixel */
    double background_range;              /* of the plane through the background, >= 0 */
    double background_gradient;           /* the same / level; NaN: the sky was subtracted */
    double fwhm_px, fwhm_arcsec;          /* of stars, at the centre */
    double ellipticity, fwhm_variation; /* 1 - b/a at the centre; (max - min)/mean over the field */
    double theta_deg;                   /* of the long axis, counter-clockwise from +x */
    int64_t stars;                      /* above 10 sigma, at least as broad as the PSF */
    int64_t saturated_stars;
    int64_t cosmic_ray_count;           /* hits (connected groups), not pixels */
    double cosmic_ray_percentage;       /* of the pixels, 0..100, like the next two */
    double saturation_percentage;       /* at or above the saturation level, and bleeding */
    double masked_percentage;           /* for whichever reason */
    double flatness_score;              /* 0..1, 1 is flat: noise^2/(noise^2 + large-scale^2) */
    double large_scale_rms;             /* of the sky about the plane, between its mesh cells */
    double noise_area_px;               /* noise-equivalent area of the PSF, 1/sum(P^2) if white */
    double limiting_flux, limiting_mag; /* of a point source at 5 sigma */
    double expected_flux;               /* the limit of a good frame of this camera and exposure, */
    double expected_noise, expected_fwhm_px; /* which would have these */
    double alignment_accuracy_px;            /* rms per axis against a reference; NaN: none given */
    bool alignment_failed;
    double transparency;          /* relative to the others of a set; NaN: not known */
    double depth_loss_mag;        /* limiting flux against what it is scored by, >= 0 */
    double overall_quality_score; /* 0..1 */
    aid_quality_class class;
    unsigned flags; /* AID_QUALITY_* */

    /* what the numbers were made with */
    double exposure_s, mid_mjd_utc; /* NaN unknown */
    double gain, read_noise_e;      /* e-/unit, e-; NaN unknown */
    double zero_point;              /* mag of one unit; NaN unknown */
    double pixel_scale_arcsec;      /* NaN unknown */
} aid_quality;

typedef struct aid_quality_options {
    aid_quality_background background_estimator;
    aid_quality_noise noise_estimator;
    double alignment_rms_px; /* aid_registration's rms_px, where the caller has registered; NaN */
    bool alignment_failed;   /* the caller tried, and it was refused */
} aid_quality_options;
#define AID_QUALITY_DEFAULTS                                                                       \
    (aid_quality_options)                                                                          \
    {                                                                                              \
        .alignment_rms_px = NAN                                                                    \
    }

/* Measures a prepared exposure (aid_prepare_exposure) and scores it by aid_quality_score against
 * expected_flux. Nothing is prepared or searched a second time: stars, masks, meshes and the PSF
 * are the exposure's. Without a PSF (skip_psf, or too few stars) the seeing is that of the stars'
 * mean profile and the ellipticity that of their mean moments, over the whole field.
 * Fails: AID_ERR_INVALID when the exposure has no pixels or no meshes, AID_ERR_NUMERIC when no
 * pixel is sound; *ret_quality is untouched then. */
AID_MUST_USE aid_status aid_quality_assess(const aid_exposure *exposure,
                                           const aid_quality_options *options, aid_pool *pool,
                                           aid_notes *notes, aid_quality *ret_quality,
                                           aid_error *err);

typedef enum aid_quality_yardstick {
    AID_QUALITY_BY_EXPECTATION, /* a good frame, which is excellent; better ones approach 1 */
    AID_QUALITY_BY_GROUP        /* the best of many, which is 1 */
} aid_quality_yardstick;

/* depth_loss_mag, overall_quality_score and class anew, from the other numbers:
 *   attainable_flux   the limit of the yardstick, image unit; what is no number above 0 leaves
 *                     depth out of the score. */
void aid_quality_score(aid_quality *quality, double attainable_flux,
                       aid_quality_yardstick yardstick);

/* Groups of pixels with AID_MASK_COSMIC_RAY that touch, corners included. */
AID_MUST_USE aid_status aid_quality_count_hits(const aid_mask *mask, int64_t *ret_hits,
                                               aid_error *err);

/* Per cent of all pixels that are at or above `level` (INFINITY: unknown, 0 %). NaN is below. */
double aid_saturation_percentage(const aid_image *image, double level);

#endif
