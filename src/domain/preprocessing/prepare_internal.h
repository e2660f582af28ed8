/* Private to this folder: the steps of aid_prepare_exposure. */
#ifndef AID_DOMAIN_PREPROCESSING_PREPARE_INTERNAL_H
#define AID_DOMAIN_PREPROCESSING_PREPARE_INTERNAL_H

#include "domain/calibration/camera.h"
#include "domain/preprocessing/preprocessing.h"

#define AID_PREPARE_STAGE "prepare"
enum { AID_PREPARE_BAND = 64 /* rows of a task */ };

/* image - mesh, in place. */
AID_MUST_USE aid_status aid_prepare_subtract_mesh(aid_image *image, const aid_mesh *mesh,
                                                  aid_pool *pool, aid_error *err);

/* ------------------------------------------------------------------------------------- defects ---
 */

/* NaN, infinities, numbers beyond 1e30, and flat areas that are no sky (the padding of a resampled
 * frame) -> NO_DATA. */
AID_MUST_USE aid_status aid_prepare_mask_blanks(const aid_image *image, aid_mask *mask,
                                                aid_pool *pool, aid_error *err);

/* Parts that the sky does not reach, dark and connected to the border, with their penumbra ->
 * NO_DATA. *ret_fraction: of the image, without the penumbra. */
AID_MUST_USE aid_status aid_prepare_mask_unexposed(const aid_image *image, aid_mask *mask,
                                                   aid_pool *pool, double *ret_fraction,
                                                   aid_error *err);

/* Columns and rows, by pieces of 256 pixels, that stand out from their neighbours over a whole
 * piece by most of a sigma, or that are dead or wild -> BAD. The two counts are of pieces. */
AID_MUST_USE aid_status aid_prepare_mask_lines(const aid_image *image, aid_mask *mask,
                                               const aid_mesh *background, const aid_mesh *noise,
                                               aid_pool *pool, int *ret_columns, int *ret_rows,
                                               aid_error *err);

/* ---------------------------------------------------------------------------------- saturation ---
 */

typedef struct aid_saturation {
    double level; /* raw unit; INFINITY: unknown */
    char origin[32];
} aid_saturation;

/* Where the histogram of pixels that have bright neighbours piles up at its top; INFINITY: nowhere.
 * The pile must lie above `sky` by 10 `sigma`. */
AID_MUST_USE aid_status aid_prepare_pile_up(const aid_image *image, const aid_mask *mask,
                                            double sky, double sigma, double *ret_level,
                                            aid_error *err);

/* Pixels at or above `level` and the trails that bleed from them -> SATURATED. */
AID_MUST_USE aid_status aid_prepare_mask_saturated(const aid_image *image, aid_mask *mask,
                                                   double level, double sky, double sigma,
                                                   aid_error *err);

/* ------------------------------------------------------------------------------------------ sky
 * --- */

/* Sums over 2 x 2 pixels, an image of half the size. NaN where a pixel is masked. `mean` is the sum
 * divided by 2, so that white noise keeps its sigma; `detail` is (a - b - c + d)/2, which has the
 * same sigma, is independent of the mean, and hardly sees stars: their light has little power at
 * the highest frequencies in both directions. */
typedef struct aid_blocks {
    aid_image mean, detail;
    aid_mask sources; /* 1 where there is a source or no data */
} aid_blocks;
AID_MUST_USE aid_status aid_blocks_init(const aid_image *image, const aid_mask *mask,
                                        aid_pool *pool, aid_blocks *ret_blocks, aid_error *err);
void aid_blocks_done(aid_blocks *blocks);

/* Background of the source-free blocks, added to *background and taken off *image; *noise becomes
 * the rms of the blocks' detail. Both meshes have the cells of aid_background_measure. Where hardly
 * any block is free of masked pixels, everything stays as it was. */
AID_MUST_USE aid_status aid_prepare_measure_sky(aid_image *image, const aid_blocks *blocks,
                                                int cell_px, aid_mesh *background, aid_mesh *noise,
                                                aid_pool *pool, aid_error *err);

/* aid_measure_noise_correlation on blocks that are there already. */
AID_MUST_USE aid_status aid_prepare_correlation(const aid_exposure *exposure,
                                                const aid_blocks *blocks, aid_pool *pool,
                                                aid_noise_correlation *ret_correlation,
                                                aid_error *err);

/* -------------------------------------------------------------------------------- cosmic rays ---
 */

typedef struct aid_hits {
    int64_t single, several, cold; /* pixels: alone (hot), of larger hits, too low */
} aid_hits;

/* What is sharper than a point source of Gaussian width `narrowest_px` can be -> COSMIC_RAY, or BAD
 * for a single pixel; pixels far below all their neighbours -> BAD. The image must be
 * background-subtracted and finite. */
AID_MUST_USE aid_status aid_prepare_mask_hits(const aid_image *image, aid_mask *mask,
                                              const aid_mesh *noise, double gain,
                                              double narrowest_px, aid_pool *pool,
                                              aid_hits *ret_hits, aid_error *err);

/* ------------------------------------------------------------------------------------- header ---
 */

/* From the header or the camera profile, with notes about what was odd; NaN when neither knows. */
double aid_prepare_header_gain(const aid_header *header, const aid_camera *camera, const char *name,
                               aid_notes *notes, char ret_origin[32]);
/* Of a stack whose GAIN card may be that of one frame or of the mean: the noise of the sky tells
 * which, where the sky was not subtracted. */
double aid_prepare_stack_gain(const aid_header *header, double gain, double sky, double sigma,
                              const char *name, aid_notes *notes);
/* INFINITY when the header says nothing usable. */
double aid_prepare_header_saturation(const aid_header *header, const aid_camera *camera, double sky,
                                     double sigma, char ret_origin[32]);
double aid_prepare_header_zero_point(const aid_header *header, char ret_origin[32]);

/* --------------------------------------------------------------------------------------- PSF */

/* The PSF of the exposure's own pixels. When none can be built, exposure->psf stays empty (terms
 * 0), *ret_reason says why, and that is no failure. */
AID_MUST_USE aid_status aid_prepare_build_psf(aid_exposure *exposure, aid_pool *pool,
                                              aid_notes *notes, aid_error *ret_reason,
                                              aid_error *err);

#endif
