/* Private to this folder: the parts of resampling. */
#ifndef AID_CORE_IMAGING_WARP_INTERNAL_H
#define AID_CORE_IMAGING_WARP_INTERNAL_H

#include "core/imaging/warp.h"

/* ------------------------------------------------------------------------------- coefficients */

enum { AID_PLANE_MARGIN = 4 /* px around, so that no kernel needs to look where it is */ };

/* What the kernel weighs: spline coefficients, or for a windowed sinc the pixels themselves, with a
 * margin all round in which the image is continued by its mirror image. */
typedef struct aid_warp_plane {
    float *memory;
    float *origin; /* of pixel (0, 0) */
    int64_t stride;
    int32_t width, height;
    bool found_nan; /* in the image: filled by 0 */
} aid_warp_plane;

AID_MUST_USE aid_status aid_warp_plane_init(const aid_image *image, aid_warp_kernel kernel,
                                            aid_pool *pool, aid_warp_plane *ret_plane,
                                            aid_error *err);
void aid_warp_plane_done(aid_warp_plane *plane);

/* The coefficients of one sequence, in place. */
void aid_warp_filter_line(aid_warp_kernel kernel, float *values, int64_t length);

/* ---------------------------------------------------------------------------------- positions */

enum { AID_WARP_CHUNK = 256 /* output pixels whose positions are worked out together */ };

typedef struct aid_warp_chunk {
    int32_t column[AID_WARP_CHUNK],
        row[AID_WARP_CHUNK]; /* of the pixel at or before the position */
    float fraction_x[AID_WARP_CHUNK], fraction_y[AID_WARP_CHUNK];
    float inside[AID_WARP_CHUNK]; /* 1, or NaN off the input */
} aid_warp_chunk;

/* Where the pixels of one output row lie on the input. */
typedef struct aid_warp_row {
    const aid_transform *transform;
    const aid_grid_map *grid; /* NULL: the transform */
    int32_t last_x, last_y;   /* of the input */
    int32_t y;
    double x_powers[AID_TRANSFORM_MAX_DEGREE + 1], y_powers[AID_TRANSFORM_MAX_DEGREE + 1];
    double *cubics; /* [2][4 * cells], of a grid */
} aid_warp_row;

AID_MUST_USE aid_status aid_warp_row_init(const aid_transform *transform, const aid_grid_map *grid,
                                          const aid_image *input, aid_warp_row *ret_row,
                                          aid_error *err);
void aid_warp_row_done(aid_warp_row *row);
void aid_warp_row_begin(aid_warp_row *row, int32_t y);
/* x is a multiple of AID_WARP_CHUNK. */
void aid_warp_row_locate(const aid_warp_row *row, int32_t x, int32_t count, aid_warp_chunk *chunk);

/* Multiplies by |Jacobian|, `times` 1 or 2 of them. */
void aid_warp_row_jacobian(const aid_warp_row *row, int32_t width, int times, float *values);

/* ------------------------------------------------------------------------------------ weights */

enum { AID_WARP_PHASES = 1024, AID_WARP_MAX_TAPS = 8 };

/* Weights at phases 0, 1/1024 ... 1 of the pixels from `first` (<= 0) on, relative to the pixel at
 * or before the position. */
typedef struct aid_weight_table {
    int taps, first;
    float weights[AID_WARP_PHASES + 1][AID_WARP_MAX_TAPS];
} aid_weight_table;

void aid_lanczos_table(aid_warp_kernel kernel, aid_weight_table *ret_table);

#endif
