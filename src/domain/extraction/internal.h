/* Private to this folder: what its stages hand to one another. */
#ifndef AID_DOMAIN_EXTRACTION_INTERNAL_H
#define AID_DOMAIN_EXTRACTION_INTERNAL_H

#include "domain/extraction/extraction.h"

/* ---- kernel.c: detection filters ------------------------------------------------------------- */

enum { AID_MAX_KERNEL_SIDE = 65 };

/* A filter, [side][side], odd, and its separable form: sum over r of column[r] x row[r]. Weights
 * sum to 1 (those of a filter whose sum is near 0: to unit noise). */
typedef struct aid_kernel {
    int side, rank;
    bool matched; /* missing pixels are left out of the sum instead of counting as 0 */
    double noise; /* sqrt(sum of squares): noise of the filtered image for unit white noise */
    float *weights, *rows, *columns; /* [side][side], [rank][side], [rank][side] */
} aid_kernel;

AID_MUST_USE aid_status aid_kernel_named(const char *name, aid_kernel *ret_kernel, aid_error *err);
/* `stamp` [side][side], any scale; its outer zeros are cut off. */
AID_MUST_USE aid_status aid_kernel_of_stamp(const float *stamp, int side, bool matched,
                                            aid_kernel *ret_kernel, aid_error *err);
AID_MUST_USE aid_status aid_kernel_gaussian(double fwhm_px, bool matched, aid_kernel *ret_kernel,
                                            aid_error *err);
void aid_kernel_done(aid_kernel *kernel);

/* ---- level.c: background, noise and mask ----------------------------------------------------- */

/* What the stages look at, once the background is off. */
typedef struct aid_field {
    const aid_extraction_input *input;
    const aid_extraction_options *options;
    aid_pool *pool;
    aid_notes *notes;
    aid_image *image;    /* above the background */
    aid_mask mask;       /* empty: every pixel is sound. NaN and what the user said: BAD */
    aid_mesh background; /* what was subtracted, empty where the caller gave a map */
    aid_mesh noise;      /* empty where the caller gave a map */
    const aid_image *noise_map;
    double gain; /* 0 unknown */
    double median_background, median_noise;
    double fwhm_px; /* NaN unknown */
    aid_psf psf;    /* terms == 0: none */
} aid_field;

AID_MUST_USE aid_status aid_field_init(const aid_extraction_input *input,
                                       const aid_extraction_options *options, aid_pool *pool,
                                       aid_notes *notes, aid_field *ret_field, aid_error *err);
void aid_field_done(aid_field *field);
/* The noise along row y, [width]; infinite where there is none. */
void aid_field_noise_row(const aid_field *field, int32_t y, float *row);
double aid_field_noise_at(const aid_field *field, double x, double y);
double aid_field_background_at(const aid_field *field, double x, double y);

enum { AID_UNSOUND = AID_MASK_BAD | AID_MASK_COSMIC_RAY | AID_MASK_NO_DATA };

/* The noise of `rows` rows from `first` on, as a mesh of about 64 px. */
AID_MUST_USE aid_status aid_field_noise_mesh(const aid_field *field, int32_t first, int32_t rows,
                                             aid_mesh *ret_mesh, aid_error *err);

/* ---- seeing.c: the width of a point source --------------------------------------------------- */

/* Sets fwhm_px and, where stars allow, psf. */
AID_MUST_USE aid_status aid_field_measure_psf(aid_field *field, aid_error *err);

/* ---- complete.c: PSF fits, classes, morphology ----------------------------------------------- */

/* Fills what aid_complete_sources does, as far as the options ask for it. */
AID_MUST_USE aid_status aid_field_complete(aid_field *field, aid_sources *sources, aid_error *err);

/* ---- footprints.c: connected pixels above the threshold -------------------------------------- */

/* x0..x1 inclusive of row y; `value` is the index of the values of x0. */
typedef struct aid_run {
    int32_t y, x0, x1;
    int32_t owner; /* source, once that is known */
    int64_t value;
} aid_run;

/* Runs in the order of rows, then columns; those of a piece lie together. */
typedef struct aid_footprints {
    int64_t runs_count, count; /* of runs; of connected pieces */
    aid_run *runs;
    int64_t *first;  /* [count + 1]: index of each piece's first run */
    float *filtered; /* pixels of all runs, by the filter that finds */
    float *values;   /* by the filter that tells apart and measures; may be the same array */
} aid_footprints;

typedef struct aid_footprints_options {
    const aid_kernel *finds;
    const aid_kernel *measures; /* NULL: the same */
    double threshold; /* times the noise of the filtered pixel; counts: the unit of the image */
    int min_pixels;   /* pieces of fewer are left out */
} aid_footprints_options;

AID_MUST_USE aid_status aid_footprints_find(const aid_field *field,
                                            const aid_footprints_options *options,
                                            aid_footprints *ret_footprints, aid_error *err);
void aid_footprints_done(aid_footprints *footprints);

/* `rows` filtered rows from `first` on into `to` [rows][width]; 0 where nothing can be said. */
AID_MUST_USE aid_status aid_filter_rows(const aid_field *field, const aid_kernel *kernel,
                                        int32_t first, int32_t rows, float *to, aid_error *err);

/* ---- filtered_noise.c ------------------------------------------------------------------------ */

/* Noise of the filtered image over that which white noise of the field's rms would have; 1 where
 * the image is too small to tell. */
AID_MUST_USE aid_status aid_filtered_noise(const aid_field *field, const aid_kernel *kernel,
                                           double *ret_ratio, aid_error *err);

/* ---- deblend.c: pieces into sources ---------------------------------------------------------- */

typedef struct aid_deblend_options {
    int levels, min_pixels;
    double contrast;   /* least share of the light of the whole piece, or of the neighbour */
    bool of_neighbour; /* the latter */
    double base;       /* the lowest level, in sigma of `values` (or counts) */
    double noise;      /* of `values`, for a pixel's noise of 1 */
    double prominence; /* of a branch above the saddle, in sigma of `values` */
    double pedestal;   /* least share of a branch's light that is above the saddle */
    double summit;     /* least of a branch in `filtered`, for a pixel's noise of 1; 0: any */
} aid_deblend_options;

/* Splits pieces in place: afterwards each is one source. ret_blended [count] is 1 where a source
 * was part of a larger piece and meets the others above a tenth of its peak, 2 where that had too
 * many pieces. Release with free(). */
AID_MUST_USE aid_status aid_footprints_deblend(const aid_field *field,
                                               const aid_deblend_options *options,
                                               aid_footprints *footprints, uint8_t **ret_blended,
                                               aid_error *err);

/* ---- moments.c, clean.c ---------------------------------------------------------------------- */

/* Of a footprint in the filtered image. */
typedef struct aid_filtered_peak {
    float peak, least; /* the brightest pixel; the min_pixels'th brightest */
    double flux;
} aid_filtered_peak;

/* Pixels of the filtered image above a level. */
int64_t aid_filtered_area_above(const aid_footprints *footprints, int64_t i, double level);

/* Where a footprint is highest, between pixels: of `filtered`, or of `values`. */
void aid_footprint_summit(const aid_footprints *footprints, int64_t i, bool of_values,
                          double *ret_x, double *ret_y);
aid_filtered_peak aid_filtered_peak_of(const aid_footprints *footprints, int64_t i, int min_pixels,
                                       bool passes_over);

/* Fluxes and moments of footprint i; SExtractor's definitions, weights from `values`. */
void aid_source_from_footprint(const aid_field *field, const aid_footprints *footprints, int64_t i,
                               aid_source *ret_source);

/* What CLEAN needs to know of a source. */
typedef struct aid_clean_item {
    double x, y, cxx, cyy, cxy; /* ellipse of the second moments */
    double a, b;
    double shrinkage;  /* of the ellipse's area by the isophote, 0 .. 1 */
    double flux, peak; /* filtered */
    double threshold;  /* of the filtered image there */
    double least;      /* above the threshold: of the pixel that must stand out */
    int64_t npix;
} aid_clean_item;
/* ret_into [count]: the brighter source that i is but a part of the wings of, or -1. */
AID_MUST_USE aid_status aid_clean(const aid_clean_item *items, int64_t count, double exponent,
                                  int64_t *ret_into, aid_error *err);

/* ---- measure.c ------------------------------------------------------------------------------- */

/* Which source a pixel belongs to: runs by rows. */
typedef struct aid_owners {
    int32_t height;
    int64_t *first; /* [height + 1] */
    aid_run *runs;  /* by rows, then columns */
} aid_owners;
AID_MUST_USE aid_status aid_owners_init(const aid_footprints *footprints, int32_t height,
                                        aid_owners *ret_owners, aid_error *err);
void aid_owners_done(aid_owners *owners);

/* ra_deg, dec_deg and position_angle_deg, of the windowed position; wcs NULL: they stay NaN. */
void aid_source_set_world(const aid_wcs *wcs, aid_source *source);

/* Windowed positions, Kron and aperture fluxes, sizes, world coordinates of every source. */
AID_MUST_USE aid_status aid_measure_sources(aid_field *field, const aid_owners *owners,
                                            aid_sources *sources, aid_error *err);

#endif
