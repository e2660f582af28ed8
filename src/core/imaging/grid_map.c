#include "core/imaging/grid_map.h"

#include "core/base/macros.h"
#include "core/base/memory.h"

#include <math.h>
#include <stdlib.h>

enum { FIRST_STEP = 64, LAST_STEP = 4 };

void aid_grid_map_done(aid_grid_map *map)
{
    free(map->x);
    *map = (aid_grid_map){0};
}

/* ------------------------------------------------------------------------------- interpolation */

/* Lagrange's cubic through the values at -1, 0, 1, 2: their weights at t, and the derivatives. */
static void cubic_through(double t, double w[4], double slope[4])
{
    double a = t + 1.0, b = t, c = t - 1.0, d = t - 2.0;
    w[0] = -b * c * d / 6.0;
    w[1] = a * c * d / 2.0;
    w[2] = -a * b * d / 2.0;
    w[3] = a * b * c / 6.0;
    slope[0] = -(c * d + b * d + b * c) / 6.0;
    slope[1] = (c * d + a * d + a * c) / 2.0;
    slope[2] = -(b * d + a * d + a * b) / 2.0;
    slope[3] = (b * c + a * c + a * b) / 6.0;
}

/* The cell that an output coordinate falls into, and how far into it. */
static int32_t cell_of(const aid_grid_map *map, double at, int32_t corners, double *ret_t)
{
    double cell = floor(at / map->step);
    cell = AID_CLAMP(cell, 0.0, corners - 4.0);
    *ret_t = at / map->step - cell;
    return (int32_t)cell;
}

static double weighted(const aid_grid_map *map, const double *values, const int32_t cell[2],
                       const double wx[4], const double wy[4])
{
    double sum = 0.0;
    for (int j = 0; j < 4; j++) {
        const double *row = values + (int64_t)(cell[1] + j) * map->nx + cell[0];
        sum += wy[j] * (wx[0] * row[0] + wx[1] * row[1] + wx[2] * row[2] + wx[3] * row[3]);
    }
    return sum;
}

void aid_grid_map_apply(const aid_grid_map *map, double x, double y, double *ret_x, double *ret_y)
{
    double tx, ty, wx[4], wy[4], unused[4];
    int32_t cell[2] = {cell_of(map, x, map->nx, &tx), cell_of(map, y, map->ny, &ty)};
    cubic_through(tx, wx, unused);
    cubic_through(ty, wy, unused);
    *ret_x = weighted(map, map->x, cell, wx, wy);
    *ret_y = weighted(map, map->y, cell, wx, wy);
}

void aid_grid_map_matrix(const aid_grid_map *map, double x, double y, double ret_matrix[4])
{
    double tx, ty, wx[4], wy[4], slope_x[4], slope_y[4];
    int32_t cell[2] = {cell_of(map, x, map->nx, &tx), cell_of(map, y, map->ny, &ty)};
    cubic_through(tx, wx, slope_x);
    cubic_through(ty, wy, slope_y);
    ret_matrix[0] = weighted(map, map->x, cell, slope_x, wy) / map->step;
    ret_matrix[1] = weighted(map, map->x, cell, wx, slope_y) / map->step;
    ret_matrix[2] = weighted(map, map->y, cell, slope_x, wy) / map->step;
    ret_matrix[3] = weighted(map, map->y, cell, wx, slope_y) / map->step;
}

/* Powers of t of the cubic through v[-1], v[0], v[1], v[2]. */
static void powers_of(const double v[4], double power[4])
{
    power[0] = v[1];
    power[1] = -v[0] / 3.0 - v[1] / 2.0 + v[2] - v[3] / 6.0;
    power[2] = (v[0] + v[2]) / 2.0 - v[1];
    power[3] = (v[3] - v[0]) / 6.0 + (v[1] - v[2]) / 2.0;
}

void aid_grid_map_row(const aid_grid_map *map, double y, double *ret_x, double *ret_y)
{
    double ty, wy[4], unused[4];
    int32_t row = cell_of(map, y, map->ny, &ty);
    cubic_through(ty, wy, unused);
    for (int32_t cell = 0; cell < map->nx - 3; cell++) {
        double x4[4] = {0.0}, y4[4] = {0.0};
        for (int j = 0; j < 4; j++)
            for (int i = 0; i < 4; i++) {
                int64_t corner = (int64_t)(row + j) * map->nx + cell + i;
                x4[i] += wy[j] * map->x[corner];
                y4[i] += wy[j] * map->y[corner];
            }
        powers_of(x4, ret_x + 4 * (int64_t)cell);
        powers_of(y4, ret_y + 4 * (int64_t)cell);
    }
}

/* ------------------------------------------------------------------------------------ building */

static aid_status fill(aid_grid_map *map, aid_exact_position exact, const void *context,
                       aid_error *err)
{
    map->nx = (map->width - 1) / map->step + 4;
    map->ny = (map->height - 1) / map->step + 4;
    int64_t corners = (int64_t)map->nx * map->ny;
    AID_TRY(aid_new_buffer((size_t)corners, 2 * sizeof(double), "map positions", &map->x, err));
    map->y = map->x + corners;
    for (int32_t j = 0; j < map->ny; j++)
        for (int32_t i = 0; i < map->nx; i++) {
            double u = NAN, v = NAN;
            if (!exact(context, (double)(i - 1) * map->step, (double)(j - 1) * map->step, &u, &v))
                u = v = NAN;
            map->x[(int64_t)j * map->nx + i] = u;
            map->y[(int64_t)j * map->nx + i] = v;
        }
    return AID_OK;
}

/* At up to 16 x 16 middles of cells, where the error of a cubic is largest. */
static double worst_error(const aid_grid_map *map, aid_exact_position exact, const void *context)
{
    double worst = 0.0;
    int32_t skip_x = (map->nx - 3 + 15) / 16, skip_y = (map->ny - 3 + 15) / 16;
    for (int32_t j = 0; j < map->ny - 3; j += skip_y)
        for (int32_t i = 0; i < map->nx - 3; i += skip_x) {
            double x = (i + 0.5) * map->step, y = (j + 0.5) * map->step, u, v, at_u, at_v;
            if (x > map->width - 1 || y > map->height - 1 || !exact(context, x, y, &u, &v))
                continue;
            aid_grid_map_apply(map, x, y, &at_u, &at_v);
            double error = hypot(at_u - u, at_v - v);
            if (error > worst) /* NaN is none */
                worst = error;
        }
    return worst;
}

aid_status aid_grid_map_init(int32_t width, int32_t height, aid_exact_position exact,
                             const void *context, double tolerance_px, aid_grid_map *ret_map,
                             double *ret_worst_px, aid_error *err)
{
    AID_CLEANUP(aid_grid_map_done)
    aid_grid_map map = {0};
    double worst = INFINITY;
    for (int32_t step = FIRST_STEP; step >= LAST_STEP && worst > tolerance_px; step /= 2) {
        aid_grid_map_done(&map);
        map = (aid_grid_map){.width = width, .height = height, .step = step};
        AID_TRY(fill(&map, exact, context, err));
        worst = worst_error(&map, exact, context);
    }
    *ret_worst_px = worst;
    *ret_map = map;
    map = (aid_grid_map){0};
    return AID_OK;
}
