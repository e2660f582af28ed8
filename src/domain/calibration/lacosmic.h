/* Cosmic rays by their sharp edges: L.A.Cosmic (van Dokkum 2001, PASP 113, 1420), with a stage of
 * our own that settles what belongs to a hit and spares the cores of stars. README.md has the
 * equations. */
#ifndef AID_DOMAIN_CALIBRATION_LACOSMIC_H
#define AID_DOMAIN_CALIBRATION_LACOSMIC_H

#include "core/base/pool.h"
#include "core/imaging/image.h"

#include <math.h>

typedef enum aid_fine_structure {
    AID_FINE_MEDIAN,  /* 3x3 (or 5x5 separable) minus 7x7 (9x9) median */
    AID_FINE_CONVOLVE /* matched filter with a Gaussian of `psf_fwhm_px` */
} aid_fine_structure;

typedef enum aid_cosmic_fill {
    AID_FILL_MEAN,  /* of the sound pixels of 5x5 */
    AID_FILL_MEDIAN /* of the same */
} aid_cosmic_fill;

typedef struct aid_lacosmic_options {
    double gain;           /* e-/unit */
    double read_noise_e;   /* used where there is no variance image */
    double saturation;     /* in the unit of the image; NaN or infinite: unknown */
    double sigma_clip;     /* Laplacian over noise of a hit */
    double sigma_fraction; /* of it, for neighbours of a hit */
    double object_limit;   /* Laplacian over fine structure */
    int iterations;
    bool separable; /* medians by rows, then columns: faster, and nearly the same */
    aid_fine_structure fine_structure;
    double psf_fwhm_px;
    aid_cosmic_fill fill;
    bool want_clean;
    /* The stage of our own; off for what L.A.Cosmic alone finds. */
    bool settle;
} aid_lacosmic_options;
#define AID_LACOSMIC_DEFAULTS                                                                      \
    (aid_lacosmic_options)                                                                         \
    {                                                                                              \
        .gain = 1.0, .read_noise_e = 6.5, .saturation = NAN, .sigma_clip = 4.0,                    \
        .sigma_fraction = 0.5, .object_limit = 5.0, .iterations = 4, .separable = true,            \
        .psf_fwhm_px = 2.5, .settle = true                                                         \
    }
/* The defaults of astroscrappy 1.1: the same pixels as that on the same input. */
#define AID_LACOSMIC_COMPATIBLE                                                                    \
    (aid_lacosmic_options)                                                                         \
    {                                                                                              \
        .gain = 1.0, .read_noise_e = 6.5, .saturation = 65536.0, .sigma_clip = 4.5,                \
        .sigma_fraction = 0.3, .object_limit = 5.0, .iterations = 4, .separable = true,            \
        .psf_fwhm_px = 2.5                                                                         \
    }

typedef struct aid_cosmic_input {
    const char *name; /* for messages */
    const aid_image
        *image; /* the sky included where `variance` is missing, which tells the noise */
    const aid_image *variance; /* unit squared; NULL or empty: from gain and read noise */
    aid_mask *mask; /* what has a bit is neither judged nor used to fill; NaN pixels neither */
} aid_cosmic_input;

typedef struct aid_cosmics {
    aid_image clean;      /* with `want_clean`, the image with the hits filled; else empty */
    int64_t pixels, hits; /* marked, and connected groups of them */
    int64_t line_pixels;  /* of bad columns and rows, which are AID_MASK_BAD and no hits */
    int iterations;       /* that found something */
} aid_cosmics;
void aid_cosmics_done(aid_cosmics *cosmics);

/* Sets AID_MASK_COSMIC_RAY on every pixel that was struck. Tiles in parallel: the same bytes at any
 * number of threads. Fails with AID_ERR_INVALID on options that make no sense or shapes that
 * differ; mask and *ret_cosmics are untouched then. */
AID_MUST_USE aid_status aid_find_cosmic_rays(const aid_cosmic_input *input,
                                             const aid_lacosmic_options *options, aid_pool *pool,
                                             aid_cosmics *ret_cosmics, aid_error *err);

#endif
