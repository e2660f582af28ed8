#include "core/imaging/point_grid.h"

#include "core/base/memory.h"

#include <math.h>
#include <stdlib.h>

static int cell_along(double at, double origin, double cell, int cells)
{
    double position = floor((at - origin) / cell);
    return (int)AID_CLAMP(position, 0.0, (double)(cells - 1));
}

static int cell_of(const aid_point_grid *grid, double x, double y)
{
    return cell_along(y, grid->y0, grid->cell_px, grid->ny) * grid->nx +
           cell_along(x, grid->x0, grid->cell_px, grid->nx);
}

static void frame(aid_point_grid *grid)
{
    double x1 = -INFINITY, y1 = -INFINITY;
    grid->x0 = grid->y0 = INFINITY;
    for (int i = 0; i < grid->count; i++) {
        grid->x0 = AID_MIN(grid->x0, grid->x[i]);
        grid->y0 = AID_MIN(grid->y0, grid->y[i]);
        x1 = AID_MAX(x1, grid->x[i]);
        y1 = AID_MAX(y1, grid->y[i]);
    }
    if (grid->count == 0)
        grid->x0 = grid->y0 = x1 = y1 = 0.0;
    double width = x1 - grid->x0 + 1.0, height = y1 - grid->y0 + 1.0;
    /* One point a cell on average, and never more cells than a few for each point. */
    grid->cell_px = sqrt(width * height / (grid->count + 1.0));
    grid->cell_px = AID_MAX(grid->cell_px, AID_MAX(width, height) / (grid->count + 1.0));
    grid->nx = (int)(width / grid->cell_px) + 1;
    grid->ny = (int)(height / grid->cell_px) + 1;
}

aid_status aid_point_grid_init(const double *x, const double *y, int count,
                               aid_point_grid *ret_grid, aid_error *err)
{
    aid_point_grid grid = {.count = count, .x = x, .y = y};
    frame(&grid);
    size_t cells = (size_t)grid.nx * (size_t)grid.ny;
    AID_TRY(aid_new_array(cells + 1, sizeof(int), "star grid", &grid.first, err));
    aid_status status =
        aid_new_array((size_t)count + 1, sizeof(int), "star grid", &grid.order, err);
    if (status != AID_OK) {
        free(grid.first);
        return status;
    }
    for (int i = 0; i < count; i++)
        grid.first[cell_of(&grid, x[i], y[i])]++;
    for (size_t cell = 1; cell < cells; cell++) /* now each cell's end */
        grid.first[cell] += grid.first[cell - 1];
    grid.first[cells] = count;
    for (int i = count - 1; i >= 0; i--) /* and with all points in place its beginning */
        grid.order[--grid.first[cell_of(&grid, x[i], y[i])]] = i;
    *ret_grid = grid;
    return AID_OK;
}

void aid_point_grid_done(aid_point_grid *grid)
{
    free(grid->first);
    free(grid->order);
    free(grid->owned);
    *grid = (aid_point_grid){0};
}

aid_status aid_point_grid_of_stars(const aid_stars *stars, aid_point_grid *ret_grid, aid_error *err)
{
    size_t count = (size_t)stars->count;
    AID_CLEANUP(aid_free_pointer)
    double *owned = NULL;
    AID_TRY(aid_new_array(2 * count + 1, sizeof *owned, "star grid", &owned, err));
    for (size_t i = 0; i < count; i++) {
        owned[i] = stars->items[i].x;
        owned[count + i] = stars->items[i].y;
    }
    AID_TRY(aid_point_grid_init(owned, owned + count, stars->count, ret_grid, err));
    ret_grid->owned = owned;
    owned = NULL;
    return AID_OK;
}

typedef struct cell_range {
    int x0, x1, y0, y1;
} cell_range;

static cell_range cells_around(const aid_point_grid *grid, double x, double y, double radius)
{
    return (cell_range){.x0 = cell_along(x - radius, grid->x0, grid->cell_px, grid->nx),
                        .x1 = cell_along(x + radius, grid->x0, grid->cell_px, grid->nx),
                        .y0 = cell_along(y - radius, grid->y0, grid->cell_px, grid->ny),
                        .y1 = cell_along(y + radius, grid->y0, grid->cell_px, grid->ny)};
}

int aid_point_grid_nearest(const aid_point_grid *grid, double x, double y, double radius)
{
    cell_range range = cells_around(grid, x, y, radius);
    double least = radius * radius;
    int nearest = -1;
    for (int row = range.y0; row <= range.y1; row++) {
        int begin = grid->first[row * grid->nx + range.x0];
        int end = grid->first[row * grid->nx + range.x1 + 1];
        for (int k = begin; k < end; k++) {
            int i = grid->order[k];
            double dx = grid->x[i] - x, dy = grid->y[i] - y;
            double squared = dx * dx + dy * dy;
            if (squared < least || (squared == least && nearest < 0)) {
                least = squared;
                nearest = i;
            }
        }
    }
    return nearest;
}

int aid_point_grid_count(const aid_point_grid *grid, double x, double y, double radius)
{
    cell_range range = cells_around(grid, x, y, radius);
    int count = 0;
    for (int row = range.y0; row <= range.y1; row++) {
        int begin = grid->first[row * grid->nx + range.x0];
        int end = grid->first[row * grid->nx + range.x1 + 1];
        for (int k = begin; k < end; k++) {
            double dx = grid->x[grid->order[k]] - x, dy = grid->y[grid->order[k]] - y;
            count += dx * dx + dy * dy <= radius * radius;
        }
    }
    return count;
}

int aid_point_grid_within(const aid_point_grid *grid, double x, double y, double radius,
                          int *ret_points, int capacity)
{
    cell_range range = cells_around(grid, x, y, radius);
    int found = 0;
    for (int row = range.y0; row <= range.y1; row++) {
        int begin = grid->first[row * grid->nx + range.x0];
        int end = grid->first[row * grid->nx + range.x1 + 1];
        for (int k = begin; k < end && found < capacity; k++) {
            double dx = grid->x[grid->order[k]] - x, dy = grid->y[grid->order[k]] - y;
            if (dx * dx + dy * dy <= radius * radius)
                ret_points[found++] = grid->order[k];
        }
    }
    return found;
}
