/* Extraction: from the pixels of one image to a list of measured sources. Equations and where they
 * are from: README.md of this folder. */
#ifndef AID_DOMAIN_EXTRACTION_EXTRACTION_H
#define AID_DOMAIN_EXTRACTION_EXTRACTION_H

#include "core/base/notes.h"
#include "core/base/pool.h"
#include "core/imaging/exposure.h"
#include "domain/photometry/source.h"

#include <math.h>

#define AID_MAX_SOURCES 5000000 /* of one image */

typedef enum aid_background_kind {
    AID_BACKGROUND_LOCAL,  /* a map of clipped cells, bilinear */
    AID_BACKGROUND_MESH,   /* SExtractor's: cells of 64 px, bicubic splines */
    AID_BACKGROUND_GLOBAL, /* one level for the image */
    AID_BACKGROUND_NONE    /* the image is above its background already */
} aid_background_kind;

typedef enum aid_noise_kind { AID_NOISE_LOCAL, AID_NOISE_GLOBAL } aid_noise_kind;

typedef enum aid_threshold_unit {
    AID_THRESHOLD_SIGMA,       /* of the filtered image */
    AID_THRESHOLD_PIXEL_SIGMA, /* of one pixel before filtering: SExtractor's */
    AID_THRESHOLD_COUNTS       /* unit of the image, in the filtered image */
} aid_threshold_unit;

/* How pixels on the rim of an aperture count. */
typedef enum aid_rim {
    AID_RIM_EXACT,
    AID_RIM_SEXTRACTOR /* 5 x 5 points in circles, whole pixels in Kron ellipses */
} aid_rim;

/* What becomes of pixels in an aperture that belong to another source, are bad or off the image. */
typedef enum aid_neighbours {
    AID_NEIGHBOURS_MIRROR, /* replaced by those opposite of the source (SExtractor: CORRECT) */
    AID_NEIGHBOURS_KEEP    /* other sources count; what is bad does not (SExtractor: NONE) */
} aid_neighbours;

typedef enum aid_measure_extent {
    AID_MEASURE_FULL,    /* positions, shapes, isophotal, AUTO and aperture fluxes */
    AID_MEASURE_BASIC,   /* footprints, moments and isophotal fluxes alone */
    AID_MEASURE_CLASSES, /* full, and point, extended or artefact: where a PSF can be had */
    AID_MEASURE_ALL      /* classes, and PSF fluxes and morphology */
} aid_measure_extent;

/* Borrowed, but for the image. Maps have the shape of the image. */
typedef struct aid_extraction_input {
    const char *name;            /* the file's name, for messages */
    aid_image *image;            /* the background is subtracted in place */
    const aid_mask *mask;        /* NULL or empty: none. NaN is masked always */
    const aid_wcs *wcs;          /* NULL: no world coordinates */
    const aid_image *background; /* NULL: measured */
    const aid_image *noise;      /* rms of a pixel; NULL: measured. Not positive or NaN: bad */
} aid_extraction_input;

typedef struct aid_extraction_options {
    double threshold;
    aid_threshold_unit threshold_unit;
    int min_pixels;      /* connected pixels above the threshold; 0: 1 with filter psf, else 5 */
    int deblend_levels;  /* 32 */
    double deblend_cont; /* .005: least share of the light of a piece; 1: no deblending */
    double clean_param;  /* 1: exponent of the wings that brighter sources are given; 0: none */
    const char *filter;  /* "psf", "default", "gauss_2.5", "mexhat_2", "tophat_3", "none" */
    double fwhm_px;      /* of a point source; NaN: measured */
    aid_background_kind background;
    int background_cell_px, background_filter_cells; /* 64, 3 */
    aid_noise_kind noise;
    double aperture_px, annulus_inner_px, annulus_outer_px; /* NaN: 1.7, 3 and 6 FWHM; annulus 0,
                                                             * 0: none */
    double kron_factor, kron_minimum;                       /* 2.5, 3.5 */
    aid_rim rim;
    aid_neighbours neighbours;
    double gain;       /* e-/unit; NaN or 0: unknown, errors are of the sky alone */
    double saturation; /* unit of the image before subtraction; NaN: unknown */
    double zero_point; /* NaN: unknown */
    int64_t max_sources;
    aid_measure_extent measure;
} aid_extraction_options;
#define AID_EXTRACTION_DEFAULTS                                                                    \
    (aid_extraction_options)                                                                       \
    {                                                                                              \
        .threshold = 5.0, .deblend_levels = 32, .deblend_cont = 0.005, .clean_param = 1.0,         \
        .filter = "psf", .fwhm_px = NAN, .background_cell_px = 64, .background_filter_cells = 3,   \
        .aperture_px = NAN, .annulus_inner_px = NAN, .annulus_outer_px = NAN, .kron_factor = 2.5,  \
        .kron_minimum = 3.5, .gain = NAN, .saturation = NAN, .zero_point = NAN,                    \
        .max_sources = 1000000                                                                     \
    }

/* Out:   *ret_sources from top to bottom (by y, then x of the brightest pixel); no source at all is
 *        an empty list. Release with aid_sources_done. The same bytes at any number of threads.
 * Fails: AID_ERR_INVALID for options out of range and for images that nothing can be found in (no
 *        finite pixel, constant, all masked, smaller than 8 x 8) and AID_ERR_NUMERIC for more than
 *        max_sources; *ret_sources is untouched then. */
AID_MUST_USE aid_status aid_extract(const aid_extraction_input *input,
                                    const aid_extraction_options *options, aid_pool *pool,
                                    aid_notes *notes, aid_sources *ret_sources, aid_error *err);

/* The options alone, as aid_extract checks them: 0 < r < in < out and all the rest. */
AID_MUST_USE aid_status aid_extraction_check(const aid_extraction_options *options, aid_error *err);

#endif
