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

/* Power of the noise by frequency, in units of its variance. */
typedef struct aid_noise_spectra {
    int64_t modes;              /* size x (size/2 + 1) */
    float *science, *reference; /* 1 on average */
    float complex *shared;      /* what both images have in common; NULL: nothing */
} aid_noise_spectra;

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
    aid_noise_spectra noise;       /* on the tile's grid */
    aid_noise_spectra small_noise; /* on the small grid */
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
    float *variance; /* of U, [grid][grid/2+1] */
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

/* ------------------------------------------------------------------------------------ noise */

/* Cross-correlation of the two images' sky noise: a reference that was stacked from the science
 * exposure, too, shares some. `measured` only where it is beyond doubt; a note says so. */
AID_MUST_USE aid_status aid_measure_shared_noise(const aid_exposure *science,
                                                 const aid_exposure *reference, aid_pool *pool,
                                                 aid_notes *notes,
                                                 aid_noise_correlation *ret_shared, aid_error *err);
AID_MUST_USE aid_status aid_noise_spectra_init(const aid_subtraction *plan,
                                               const aid_noise_correlation *shared, int size,
                                               const aid_fft *fft, aid_noise_spectra *ret_noise,
                                               aid_error *err);
void aid_noise_spectra_done(aid_noise_spectra *noise);

/* Variance of U = A N - B R by mode, for sky rms sigma[0] of N and sigma[1] of R; a or b NULL: 1.
 */
void aid_mode_variance(const aid_noise_spectra *noise, const float complex *a,
                       const float complex *b, const double sigma[2], float *ret_variance);

/* ---------------------------------------------------------------------------------- filters */

typedef struct aid_workspace { /* of one worker */
    aid_local_model model;
    float complex *science, *reference, *kernel, *target, *work; /* inputs of a tile */
    float complex *difference, *score, *part;                    /* and its outputs */
    float *window, *smooth, *variance;
} aid_workspace;
AID_MUST_USE aid_status aid_workspace_init(const aid_subtraction *plan, aid_workspace *space,
                                           aid_error *err);
void aid_workspace_done(aid_workspace *space);

typedef struct aid_tile_sums {
    double norm;                       /* F = mean |A Pn|^2/den */
    double science, reference, shared; /* mean |kN|^2 pN, |kR|^2 pR and the shared part */
    double xx, yy, xy;                 /* of the gradient of S */
    double difference_scale;           /* sqrt(den(0))/A(0) */
} aid_tile_sums;

/* All sums of the local model, which turns into the filters: kN in model->a, kR in model->b. */
aid_tile_sums aid_small_filters(const aid_subtraction *plan, const double sigma[2],
                                aid_local_model *model);

typedef struct aid_tile_spectra { /* interleaved re, im; a or b NULL: 1 */
    const float *science, *reference, *a, *b, *psf;
    const float *variance; /* of U */
    float difference_scale;
} aid_tile_spectra;
typedef struct aid_tile_filtered {
    float *difference, *score, *reference;
} aid_tile_filtered;
void aid_filter_modes(const aid_tile_spectra *in, int64_t modes, const aid_tile_filtered *out);
void aid_multiply_modes(const float *restrict a, const float *restrict b, int64_t modes,
                        float *restrict to);

/* space->window: pixels of R in, source noise of S out (times the window's pixels). */
void aid_source_variance(const aid_subtraction *plan, aid_workspace *space);
/* Makes it the whole variance of the flux: sky and sources. */
void aid_add_sky_variance(const aid_subtraction *plan, const aid_tile *tile,
                          const aid_tile_sums *sums, float *window);

/* ------------------------------------------------------------------------------------- maps --- */

/* Blended maps of one subtraction, in science flux of a point source. */
typedef struct aid_maps {
    aid_image difference;                           /* D */
    aid_image flux;                                 /* S/F */
    aid_image flux_reference;                       /* S_R/F: what the reference contributes */
    aid_image variance;                             /* sky and source noise of `flux` */
    aid_mesh white;                                 /* sigma of D on average sky */
    aid_mesh norm;                                  /* 1/F: variance of flux on average sky */
    aid_mesh gradient_xx, gradient_yy, gradient_xy; /* covariance of its central differences, in
 units of its variance */
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
AID_MUST_USE aid_status aid_remove_sky_level(const aid_mask *sky, const aid_difference *difference,
                                             aid_maps *maps, aid_error *err);
/* Where D is not white, sums over a PSF scatter by another factor than single pixels: the factor
 * between the two, each in units of its own prediction, goes into the variance of the flux. What
 * both miss alike is left, and shows in the score. */
AID_MUST_USE aid_status aid_carry_correlation(const aid_mask *sky, aid_maps *maps,
                                              aid_difference *difference, aid_notes *notes,
                                              aid_error *err);
/* Median, sigma and std of the score on blank sky, neighbour correlation of D; a note where they
 * are not what they should be. */
AID_MUST_USE aid_status aid_measure_honesty(aid_difference *difference, const aid_mask *sky,
                                            aid_notes *notes, aid_error *err);

/* All of the above in order, then score and motion; what the difference keeps leaves the maps. */
AID_MUST_USE aid_status aid_finish_maps(const aid_subtraction *plan, aid_maps *maps,
                                        const aid_difference_options *options, aid_pool *pool,
                                        aid_notes *notes, aid_difference *difference,
                                        aid_error *err);

#endif
