/* A map from one pixel grid to another by its exact values at the corners of square cells, with
 * cubic interpolation between: for distortions that no polynomial of aid_transform follows. */
#ifndef AID_CORE_IMAGING_GRID_MAP_H
#define AID_CORE_IMAGING_GRID_MAP_H

#include "core/base/status.h"

#include <stdbool.h>
#include <stdint.h>

/* Corner (i, j) is output pixel ((i-1) step, (j-1) step): one more on each side than the output
 * has, so that every cell has neighbours. */
typedef struct aid_grid_map {
    int32_t width, height; /* of the output, px */
    int32_t step;          /* px */
    int32_t nx, ny;        /* corners */
    double *x, *y;         /* [ny][nx]: input pixel; NaN where there is none */
} aid_grid_map;

/* The position of an output pixel on the input, exactly; false where there is none. */
typedef bool (*aid_exact_position)(const void *context, double x, double y, double *ret_x,
                                   double *ret_y);

/* Takes exact values at the corners of cells of 64 px, halved until the map is right to
 * `tolerance_px` in the middle of the cells or they are 4 px. *ret_worst_px: the largest error
 * found in the end, over the cells that have values all around. Release with aid_grid_map_done. */
AID_MUST_USE aid_status aid_grid_map_init(int32_t width, int32_t height, aid_exact_position exact,
                                          const void *context, double tolerance_px,
                                          aid_grid_map *ret_map, double *ret_worst_px,
                                          aid_error *err);
void aid_grid_map_done(aid_grid_map *map);

/* NaN where a corner that counts has no value. */
void aid_grid_map_apply(const aid_grid_map *map, double x, double y, double *ret_x, double *ret_y);
/* {dx_in/dx, dx_in/dy, dy_in/dx, dy_in/dy} */
void aid_grid_map_matrix(const aid_grid_map *map, double x, double y, double ret_matrix[4]);

/* The cubics along row y: over cell i (output pixels i*step to (i+1)*step, t = 0..1) the position
 * is sum ret_x[4 i + k] t^k. For the map's nx - 3 cells. */
void aid_grid_map_row(const aid_grid_map *map, double y, double *ret_x, double *ret_y);

#endif
