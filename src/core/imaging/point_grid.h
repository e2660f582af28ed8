/* Neighbours among points of the plane. */
#ifndef AID_CORE_IMAGING_POINT_GRID_H
#define AID_CORE_IMAGING_POINT_GRID_H

#include "core/base/status.h"
#include "core/imaging/stars.h"

/* Points sorted into square cells, for nearest neighbours. */
typedef struct aid_point_grid {
    int count, nx, ny;
    double x0, y0, cell_px;
    const double *x, *y; /* borrowed, unless `owned` holds them */
    double *owned;
    int *first; /* [nx*ny + 1]: where the cell's points begin in `order` */
    int *order; /* [count] */
} aid_point_grid;

/* `x` and `y` must be finite and outlive the grid. */
AID_MUST_USE aid_status aid_point_grid_init(const double *x, const double *y, int count,
                                            aid_point_grid *ret_grid, aid_error *err);
/* The same for the positions of stars, which are copied. */
AID_MUST_USE aid_status aid_point_grid_of_stars(const aid_stars *stars, aid_point_grid *ret_grid,
                                                aid_error *err);
void aid_point_grid_done(aid_point_grid *grid);
/* Index of the point nearest to (x, y) within `radius`, or -1. */
int aid_point_grid_nearest(const aid_point_grid *grid, double x, double y, double radius);
/* The first `capacity` points within `radius`, as indices; how many they are. */
int aid_point_grid_within(const aid_point_grid *grid, double x, double y, double radius,
                          int *ret_points, int capacity);
/* How many points lie within `radius`. */
int aid_point_grid_count(const aid_point_grid *grid, double x, double y, double radius);

#endif
