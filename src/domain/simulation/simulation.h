/* A simulated sky with known truth: two epochs of one field as images and as raw frames.
 * Model and equations: README.md of this folder. The truth depends on options and seed alone and is
 * the same to 1e-9 on any machine; pixels are the same bytes at any number of threads. */
#ifndef AID_DOMAIN_SIMULATION_SIMULATION_H
#define AID_DOMAIN_SIMULATION_SIMULATION_H

#include "core/base/header.h"
#include "core/base/pool.h"
#include "core/base/status.h"
#include "core/imaging/image.h"
#include "core/sky/wcs.h"

#include <stdbool.h>
#include <stdint.h>

/* ------------------------------------------------------------------------------------- options */

enum { AID_SKY_SCIENCE, AID_SKY_REFERENCE, AID_SKY_EPOCHS };

typedef enum aid_sky_distortion {
    AID_SKY_UNDISTORTED, /* TAN */
    AID_SKY_SIP,         /* TAN-SIP */
    AID_SKY_TPV          /* TPV */
} aid_sky_distortion;

typedef struct aid_sky_epoch {
    const char *date_obs;            /* "2024-03-14T05:26:53.5", UTC, start of the exposure */
    double exposure_s;               /* of one frame */
    int frames;                      /* the image is the mean of so many */
    double zero_point;               /* mag of 1 ADU in one frame */
    double seeing_px;                /* FWHM at the field centre, 1 to 20 */
    double seeing_variation;         /* relative growth of the FWHM from centre to corner */
    double ellipticity;              /* e at the centre; axis ratio = sqrt((1-e)/(1+e)) */
    double ellipticity_deg;          /* direction of the long axis, counter-clockwise from +x */
    double ellipticity_gradient;     /* change of e from centre to edge */
    double sky_adu;                  /* of one frame, per pixel, at the centre */
    double sky_gradient;             /* relative change of the sky from edge to edge */
    double transparency_gradient;    /* relative change of the throughput from left to right edge */
    double offset_x_px, offset_y_px; /* pointing: where the field centre falls, from the image's */
    double rotation_deg; /* of the camera: north turns counter-clockwise from +y by this */
    double cosmic_rays;  /* hits per megapixel that survive in the image */
} aid_sky_epoch;

typedef struct aid_sky_options {
    int width, height; /* px, 64 to AID_MAX_IMAGE_SIDE */
    uint64_t seed;
    double ra_deg, dec_deg; /* ICRS of the field centre */
    double pixel_scale_arcsec;
    aid_sky_distortion distortion;
    /* camera */
    double gain, read_noise_e; /* e-/ADU, e- rms of one frame */
    double saturation_adu;     /* above the bias; pixels bleed from 1.02 of this on */
    int bad_columns;
    double bad_pixels; /* per megapixel, dead and hot */
    /* what never changes */
    double star_density; /* per megapixel between the magnitude limits */
    double star_slope;   /* d log10(counts per mag) / d mag at mag 16; the counts flatten beyond */
    double galaxy_density;
    double bright_mag, faint_mag;
    /* what does */
    int transients; /* in the science image alone */
    int faders;     /* in the reference alone */
    int variables, movers;
    double on_galaxy_fraction; /* of the transients and faders */
    double snr_min, snr_max;   /* expected S/N of the changes in the difference, log-uniform */
    /* raw frames */
    int overscan_px;
    double bias_adu;
    double dark_e_per_s, dark_exposure_s;
    double flat_adu; /* mean level of a flat */
    aid_sky_epoch epoch[AID_SKY_EPOCHS];
} aid_sky_options;

#define AID_SKY_DEFAULTS                                                                           \
    (aid_sky_options)                                                                              \
    {                                                                                              \
        .width = 2048, .height = 2048, .seed = 1, .ra_deg = 150.1163, .dec_deg = 32.2058,          \
        .pixel_scale_arcsec = 0.5, .distortion = AID_SKY_SIP, .gain = 1.5, .read_noise_e = 6.0,    \
        .saturation_adu = 60000.0, .bad_columns = 3, .bad_pixels = 60.0, .star_density = 700.0,    \
        .star_slope = 0.30, .galaxy_density = 300.0, .bright_mag = 9.0, .faint_mag = 21.5,         \
        .transients = 40, .faders = 15, .variables = 15, .movers = 8, .on_galaxy_fraction = 0.5,   \
        .snr_min = 4.0, .snr_max = 60.0, .overscan_px = 32, .bias_adu = 1000.0,                    \
        .dark_e_per_s = 0.02, .dark_exposure_s = 300.0, .flat_adu = 25000.0,                       \
        .epoch = {{.date_obs = "2024-03-14T05:26:53.5",                                            \
                   .exposure_s = 120.0,                                                            \
                   .frames = 1,                                                                    \
                   .zero_point = 27.0,                                                             \
                   .seeing_px = 3.6,                                                               \
                   .seeing_variation = 0.12,                                                       \
                   .ellipticity = 0.06,                                                            \
                   .ellipticity_deg = 25.0,                                                        \
                   .ellipticity_gradient = 0.05,                                                   \
                   .sky_adu = 400.0,                                                               \
                   .sky_gradient = 0.04,                                                           \
                   .transparency_gradient = 0.02,                                                  \
                   .offset_x_px = 11.3,                                                            \
                   .offset_y_px = -17.6,                                                           \
                   .rotation_deg = 0.35,                                                           \
                   .cosmic_rays = 25.0},                                                           \
                  {.date_obs = "2024-02-09T03:41:12.25",                                           \
                   .exposure_s = 120.0,                                                            \
                   .frames = 4,                                                                    \
                   .zero_point = 26.8,                                                             \
                   .seeing_px = 2.9,                                                               \
                   .seeing_variation = 0.08,                                                       \
                   .ellipticity = 0.03,                                                            \
                   .ellipticity_deg = -60.0,                                                       \
                   .ellipticity_gradient = -0.03,                                                  \
                   .sky_adu = 600.0,                                                               \
                   .sky_gradient = -0.02,                                                          \
                   .transparency_gradient = 0.0,                                                   \
                   .offset_x_px = 0.0,                                                             \
                   .offset_y_px = 0.0,                                                             \
                   .rotation_deg = 0.0,                                                            \
                   .cosmic_rays = 0.0}},                                                           \
    }

/* --------------------------------------------------------------------------------------- truth */

typedef enum aid_sky_kind {
    AID_SKY_STAR,
    AID_SKY_GALAXY,
    AID_SKY_TRANSIENT,
    AID_SKY_FADER,
    AID_SKY_VARIABLE,
    AID_SKY_MOVER,
    AID_SKY_KINDS
} aid_sky_kind;
const char *aid_sky_kind_name(aid_sky_kind kind); /* "star", "galaxy", ... */

/* Index [AID_SKY_SCIENCE] or [AID_SKY_REFERENCE]. */
typedef struct aid_sky_source {
    int64_t id; /* 1, 2, ... : its place in the list, stars first, then by kind */
    aid_sky_kind kind;
    double ra_deg[AID_SKY_EPOCHS], dec_deg[AID_SKY_EPOCHS]; /* ICRS; they differ for movers alone */
    double x[AID_SKY_EPOCHS], y[AID_SKY_EPOCHS]; /* FITS pixels: the first one's centre is 1, 1 */
    bool on_image[AID_SKY_EPOCHS];               /* its centre is */
    double mag[AID_SKY_EPOCHS];                  /* NaN where it is absent */
    double flux_adu[AID_SKY_EPOCHS];             /* total, as it is in the image; 0 when absent */
    bool saturated[AID_SKY_EPOCHS];              /* its own peak is */
    double difference_snr; /* of science - reference against blank sky, signed; 0: never changes */
    int64_t host;          /* id of the galaxy that it lies in, 0: none */
    double half_light_arcsec, axis_ratio, position_angle_deg; /* galaxies (PA east of north) */
} aid_sky_source;

/* ---------------------------------------------------------------------------------- the sky --- */

typedef struct aid_sky aid_sky;

/* Fails with AID_ERR_INVALID when an option is out of its range, naming it and its value, or when
 * there is no room for that many changing sources. Caller owns; free takes NULL. */
AID_MUST_USE aid_status aid_sky_new(const aid_sky_options *options, aid_sky **ret_sky,
                                    aid_error *err);
void aid_sky_free(aid_sky *sky);

/* The same sources with one epoch observed once more, as the frames of a night are: later, up to
 * 25 px to the side, with a seeing up to 15 % worse and a sky up to 6 % brighter. `index` is 0, 1,
 * ...: frame 0 is the epoch itself. Places and fluxes are those of the new epoch. Caller owns. */
AID_MUST_USE aid_status aid_sky_visit(const aid_sky *sky, int epoch, int index, aid_sky **ret_sky,
                                      aid_error *err);

const aid_sky_options *aid_sky_options_of(const aid_sky *sky);
/* All sources that fall on either image or within 40 px of it. Borrowed. */
const aid_sky_source *aid_sky_sources(const aid_sky *sky, int64_t *ret_count);
/* The true WCS, which is the header's. Borrowed. */
const aid_wcs *aid_sky_wcs(const aid_sky *sky, int epoch);
/* FWHM (geometric mean of the axes) of the PSF at a 0-based pixel. */
double aid_sky_fwhm_px(const aid_sky *sky, int epoch, double x, double y);
/* Expected S/N in an ideal difference of a new point source of 1 ADU of the science image. */
double aid_sky_snr_per_adu(const aid_sky *sky);

/* ------------------------------------------------------------------------------------- pixels */

typedef struct aid_simulated_frame {
    aid_image image;   /* ADU */
    aid_mask mask;     /* truth: AID_MASK_BAD, _SATURATED (with bleeding), _COSMIC_RAY */
    aid_header header; /* cards for the image's HDU */
} aid_simulated_frame;
void aid_simulated_frame_done(aid_simulated_frame *frame);

/* The calibrated image of an epoch, sky included, not rounded. Cards: OBJECT, INSTRUME, FILTER,
 * DATE-OBS, EXPTIME, NCOMBINE, GAIN, RDNOISE, SATURATE, MAGZERO, BUNIT and the WCS. GAIN is
 * e- per ADU of the mean of the frames, RDNOISE its noise in these e-. */
AID_MUST_USE aid_status aid_sky_render(const aid_sky *sky, int epoch, aid_pool *pool,
                                       aid_simulated_frame *ret_frame, aid_error *err);

typedef enum aid_raw_kind { AID_RAW_BIAS, AID_RAW_DARK, AID_RAW_FLAT, AID_RAW_OBJECT } aid_raw_kind;

/* One raw frame as the camera writes it: whole numbers from 0 to 65535, width + overscan columns,
 * the overscan on the right. `epoch` matters for AID_RAW_OBJECT and for the date of the others;
 * `index` is 0, 1, ...: each has its own noise. Cards besides the above: IMAGETYP, BIASSEC,
 * TRIMSEC, DATASEC. */
AID_MUST_USE aid_status aid_sky_render_raw(const aid_sky *sky, aid_raw_kind kind, int epoch,
                                           int index, aid_pool *pool,
                                           aid_simulated_frame *ret_frame, aid_error *err);

/* What a perfect calibration would find, on the trimmed frame: bias (ADU, without the level of the
 * overscan), dark (e-/s) or flat (mean 1). AID_RAW_OBJECT is a mistake of the caller. */
AID_MUST_USE aid_status aid_sky_render_detector(const aid_sky *sky, aid_raw_kind kind,
                                                aid_pool *pool, aid_image *ret_image,
                                                aid_error *err);

#endif
