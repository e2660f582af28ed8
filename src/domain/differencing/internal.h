/* What the files of this folder share: tiles, local kernels, the plan of one subtraction. */
#ifndef AID_DOMAIN_DIFFERENCING_INTERNAL_H
#define AID_DOMAIN_DIFFERENCING_INTERNAL_H

#include "core/imaging/fft.h"
#include "domain/differencing/differencing.h"

/* ------------------------------------------------------------------------- photometric match ---
 */

/* Stars common to both images and the robust polynomial of their flux ratio. */
AID_MUST_USE aid_status aid_match_photometry(const aid_exposure *science,
                                             const aid_exposure *reference, aid_notes *notes,
                                             aid_photometric_match *ret_match, aid_error *err);
double aid_flux_ratio_at(const aid_photometric_match *match, int width, int height, double x,
                         double y);

/* ----------------------------------------------------------------------------------- tiling --- */

/* Square windows of `size` px whose cores of `core` px cover the image; neighbours are blended
 * linearly over 2*`ramp` px around the line between their cores. */
typedef struct aid_tiling {
    int width, height;
    int core, border, ramp, size;
    int nx, ny;
} aid_tiling;

aid_tiling aid_tiling_plan(int width, int height, int reach);

typedef struct aid_tile {
    int index, column, row;
    int x0, y0;                /* of the window's first pixel in the image; may be negative */
    double centre_x, centre_y; /* where PSF and kernel are evaluated: inside the image */
} aid_tile;
aid_tile aid_tile_at(const aid_tiling *tiling, int column, int row);

/* Runs `function` once for each tile. Tiles that run at the same time do not touch, and overlapping
 * ones follow in a fixed order, so that sums into a common image do not depend on the threads. */
typedef aid_status (*aid_tile_task)(void *context, const aid_tile *tile, int worker,
                                    aid_error *err);
AID_MUST_USE aid_status aid_tiling_run(const aid_tiling *tiling, aid_tile_task function,
                                       void *context, aid_pool *pool, aid_error *err);

/* Copies the window of an image into size x size pixels, 0 beyond the image. */
void aid_tile_load(const aid_tiling *tiling, const aid_tile *tile, const aid_image *image,
                   float *window);
/* image += weight * scale * window, over the tile's share of the image. */
void aid_tile_blend(const aid_tiling *tiling, const aid_tile *tile, const float *window,
                    double scale, aid_image *image);

/* ------------------------------------------------------------------------------ local kernel ---
 */

/* PSFs, kernels and noise spectra live on a small grid first: all of them are compact. */
enum { AID_SMALL_GRID_MIN = 64 };

/* The delta basis of the kernel's correction: the pixels within 5 px of its centre. */
enum { AID_DELTA_HALF = 5, AID_DELTA_COUNT = 81 };
typedef struct aid_delta {
    int dx, dy;
} aid_delta;
aid_delta aid_delta_at(int index);
enum { AID_DELTA_TERMS = 3 }; /* 1, u, v */

/* What a subtraction knows before the first tile. */
typedef struct aid_subtraction {
    const aid_exposure *science, *reference;
    const aid_photometric_match *match;
    aid_method method;
    bool convolve_science;
    int psf_radius;  /* of the stamps, px */
    double taper_px; /* kernels fade out beyond this radius */
    aid_tiling tiling;
    int grid; /* side of the small grid */
    aid_fft *fft, *small_fft;
    float *power_science, *power_reference;             /* noise power, [size][size/2+1] */
    float *small_power_science, *small_power_reference; /* the same on the small grid */
    bool has_correction;
    double correction[AID_DELTA_TERMS][AID_DELTA_COUNT]; /* delta-basis, in u, v of the field */
} aid_subtraction;

/* The local model on the small grid, [grid][grid/2+1]: U = A N - B R. */
typedef struct aid_local_model {
    float complex *psf; /* Pn */
    float complex *a, *b;
    double ratio;  /* science/reference flux */
    float *pixels; /* scratch, [grid][grid] */
    float complex *part, *scratch;
} aid_local_model;

AID_MUST_USE aid_status aid_local_model_init(const aid_subtraction *plan,
                                             aid_local_model *ret_model, aid_error *err);
void aid_local_model_done(aid_local_model *model);
/* with_correction: the fitted delta-basis included. */
void aid_local_model_evaluate(const aid_subtraction *plan, double x, double y, bool with_correction,
                              aid_local_model *model);

/* Spectrum on the small grid -> spectrum on the tile's grid (the kernel is the same compact array).
 */
void aid_small_to_tile(const aid_subtraction *plan, const float complex *small,
                       aid_local_model *model, float *window, float complex *ret_spectrum);

/* Fits the correction of the kernel on bright objects: `convolved` = K0 (x) C over the image. */
AID_MUST_USE aid_status aid_fit_correction(aid_subtraction *plan, const aid_image *convolved,
                                           const aid_mask *mask, aid_pool *pool,
                                           aid_difference *difference, aid_error *err);

/* ------------------------------------------------------------------------------------- maps --- */

/* Blended maps of one subtraction, in science flux of a point source. */
typedef struct aid_maps {
    aid_image difference;                           /* D */
    aid_image flux;                                 /* S/F */
    aid_image flux_reference;                       /* S_R/F: what the reference contributes */
    aid_image variance;                             /* sky and source noise of `flux` */
    aid_mesh norm;                                  /* 1/F: variance of flux on average sky */
    aid_mesh gradient_xx, gradient_yy, gradient_xy; /* covariance of its central differences */
} aid_maps;
void aid_maps_done(aid_maps *maps);

/* Adds registration and PSF error to the variance. */
AID_MUST_USE aid_status aid_add_systematics(const aid_difference_options *options, aid_maps *maps,
                                            aid_pool *pool, aid_difference *difference,
                                            aid_error *err);
/* A mask that is 0 on blank sky. */
AID_MUST_USE aid_status aid_blank_sky(const aid_maps *maps, const aid_difference *difference,
                                      aid_pool *pool, aid_mask *ret_mask, aid_error *err);
/* Takes the smooth level that is left on blank sky off D and the flux. */
AID_MUST_USE aid_status aid_remove_sky_level(const aid_mask *sky, const aid_image *psf,
                                             aid_maps *maps, aid_error *err);
/* Median, sigma and std of the score on blank sky, neighbour correlation of D. */
AID_MUST_USE aid_status aid_measure_honesty(aid_difference *difference, const aid_mask *sky,
                                            aid_error *err);

/* All of the above in order, then score and motion; what the difference keeps leaves the maps. */
AID_MUST_USE aid_status aid_finish_maps(const aid_subtraction *plan, aid_maps *maps,
                                        const aid_difference_options *options, aid_pool *pool,
                                        aid_difference *difference, aid_error *err);

#endif
