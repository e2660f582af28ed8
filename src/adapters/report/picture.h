/* From float pixels to pictures: display limits, stretches, box averages and cut-outs.
 * Pictures have y upwards, as DS9 shows FITS: their top row is the largest y. */
#ifndef AID_ADAPTERS_REPORT_PICTURE_H
#define AID_ADAPTERS_REPORT_PICTURE_H

#include "adapters/report/png.h"
#include "core/base/pool.h"
#include "core/imaging/image.h"

/* Palette indices: sound pixels, then masked ones (fewer steps under a violet veil), then no data.
 */
enum {
    AID_LEVELS_SOUND = 201, /* odd: the diverging map has a middle */
    AID_LEVELS_VEILED = 51,
    AID_LEVEL_NO_DATA = AID_LEVELS_SOUND + AID_LEVELS_VEILED,
    AID_LEVELS = AID_LEVEL_NO_DATA + 1
};

/* Black to white; and blue through black to orange, for signed values (Okabe and Ito's colours,
 * which are told apart with any colour vision). */
void aid_palette_grey(aid_palette *ret_palette);
void aid_palette_diverging(aid_palette *ret_palette);

/* Display limits around the sky, as IRAF's zscale: a line fitted to the sorted samples, with
 * outliers rejected, whose slope is divided by `contrast`. Samples are reordered; only finite ones
 * count. false, and limits 0 and 1, when there is none. */
bool aid_zscale(float *samples, int64_t count, double contrast, double *ret_low, double *ret_high);

/* At most `max_samples` finite values of an image on an even grid, without pixels that are veiled
 * or not finite in `gate` (both may be NULL); returns how many. */
int64_t aid_sample_grid(const aid_image *image, const aid_mask *veiled, const aid_image *gate,
                        int64_t max_samples, float *samples);

/* Brightness t = asinh((v - low)/soft) / asinh((high - low)/soft), cut to 0..1: linear near `low`,
 * logarithmic well above it. */
typedef struct aid_stretch {
    double low, soft, high;
} aid_stretch;

/* zscale limits make the linear part; the brightest samples stay below white. */
aid_stretch aid_stretch_of_samples(float *samples, int64_t count);

/* Values and veil ([height][width]; NULL: none veiled) to palette indices, upside down. */
void aid_paint_grey(const aid_image *image, const aid_mask *veiled, const aid_stretch *stretch,
                    aid_picture *picture);
/* Linear from -limit to +limit. */
void aid_paint_diverging(const aid_image *image, const aid_mask *veiled, double limit,
                         aid_picture *picture);

/* ------------------------------------------------------------------------------- box averages ---
 */

typedef struct aid_shrink_input {
    const aid_image *image;
    const aid_mask *mask;  /* NULL: none */
    uint8_t bits;          /* of the mask, that make a pixel unsound */
    const aid_image *gate; /* a pixel that is NaN here is unsound, too; NULL: none */
} aid_shrink_input;

typedef struct aid_shrunk {
    int factor;      /* pixels a side that became one */
    aid_image mean;  /* of the sound pixels; of the finite ones where veiled; NaN without any */
    aid_image count; /* of pixels in that mean */
    aid_mask veiled; /* 1 where fewer than half of the pixels are sound */
} aid_shrunk;

/* The smallest factor that brings the longer side to `max_side` or below. Bands of output rows run
 * in parallel. Release with aid_shrunk_done. */
AID_MUST_USE aid_status aid_shrink(const aid_shrink_input *input, int max_side, aid_pool *pool,
                                   aid_shrunk *ret_shrunk, aid_error *err);
void aid_shrunk_done(aid_shrunk *shrunk);

/* ----------------------------------------------------------------------------------- cut-outs ---
 */

/* The square of `2*half + 1` pixels around (x, y), times `scale`: NaN off the image. `ret_veiled`
 * as in aid_shrink, pixel by pixel. Both are released by the caller. */
AID_MUST_USE aid_status aid_cut_out(const aid_shrink_input *input, int32_t x, int32_t y, int half,
                                    double scale, aid_image *ret_image, aid_mask *ret_veiled,
                                    aid_error *err);

#endif
