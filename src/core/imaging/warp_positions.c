/* Where output pixels lie on the input. */
#include "core/base/memory.h"
#include "core/imaging/warp_internal.h"

#include <math.h>
#include <stdlib.h>

enum { KNOT = 8 /* px between exact values of the Jacobian */ };
static const double edge_tolerance = 0.05;

aid_status aid_warp_row_init(const aid_transform *transform, const aid_grid_map *grid,
                             const aid_image *input, aid_warp_row *ret_row, aid_error *err)
{
    aid_warp_row row = {.transform = transform,
                        .grid = grid,
                        .last_x = input->width - 1,
                        .last_y = input->height - 1};
    if (grid)
        AID_TRY(aid_new_buffer((size_t)(grid->nx - 3) * 8, sizeof(double), "row of positions",
                               &row.cubics, err));
    *ret_row = row;
    return AID_OK;
}

void aid_warp_row_done(aid_warp_row *row)
{
    free(row->cubics);
}

void aid_warp_row_begin(aid_warp_row *row, int32_t y)
{
    row->y = y;
    if (row->grid)
        aid_grid_map_row(row->grid, y, row->cubics, row->cubics + 4 * (int64_t)(row->grid->nx - 3));
    else
        aid_transform_row(row->transform, y, row->x_powers, row->y_powers);
}

/* Splits one coordinate into pixel and fraction; positions off the input are moved onto it and told
 * by `inside`. */
AID_HOT static void locate(const double *restrict polynomial, int degree, const double *restrict u,
                           double last, int32_t *restrict pixel, float *restrict fraction,
                           float *restrict inside, int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        double at = polynomial[degree];
        for (int k = degree - 1; k >= 0; k--)
            at = at * u[i] + polynomial[k];
        double held = at > -edge_tolerance ? at : -edge_tolerance; /* NaN goes there, too */
        held = held < last + edge_tolerance ? held : last + edge_tolerance;
        inside[i] = at == held ? inside[i] : NAN;
        pixel[i] = (int32_t)(held + 1.0) - 1; /* floor, as held > -1 */
        fraction[i] = (float)(held - (double)pixel[i]);
    }
}

static void locate_by_transform(const aid_warp_row *row, int32_t x, int32_t count,
                                aid_warp_chunk *chunk)
{
    double u[AID_WARP_CHUNK];
    const aid_transform *map = row->transform;
    for (int32_t i = 0; i < count; i++)
        u[i] = (x + i - map->x0) / map->scale;
    locate(row->x_powers, map->degree, u, row->last_x, chunk->column, chunk->fraction_x,
           chunk->inside, count);
    locate(row->y_powers, map->degree, u, row->last_y, chunk->row, chunk->fraction_y, chunk->inside,
           count);
}

static void locate_by_grid(const aid_warp_row *row, int32_t x, int32_t count, aid_warp_chunk *chunk)
{
    double t[AID_WARP_CHUNK];
    int32_t step = row->grid->step;
    const double *x_cubics = row->cubics, *y_cubics = x_cubics + 4 * (int64_t)(row->grid->nx - 3);
    for (int32_t i = 0; i < count; i++)
        t[i] = (double)(i % step) / step;
    for (int32_t i = 0; i < count; i += step) {
        int64_t cell = (x + i) / step;
        int32_t pixels = AID_MIN(step, count - i);
        locate(x_cubics + 4 * cell, 3, t + i, row->last_x, chunk->column + i, chunk->fraction_x + i,
               chunk->inside + i, pixels);
        locate(y_cubics + 4 * cell, 3, t + i, row->last_y, chunk->row + i, chunk->fraction_y + i,
               chunk->inside + i, pixels);
    }
}

void aid_warp_row_locate(const aid_warp_row *row, int32_t x, int32_t count, aid_warp_chunk *chunk)
{
    for (int32_t i = 0; i < count; i++)
        chunk->inside[i] = 1.0F;
    if (row->grid)
        locate_by_grid(row, x, count, chunk);
    else
        locate_by_transform(row, x, count, chunk);
}

static double jacobian_at(const aid_warp_row *row, double x)
{
    if (!row->grid)
        return fabs(aid_transform_jacobian(row->transform, x, row->y));
    double m[4];
    aid_grid_map_matrix(row->grid, x, row->y, m);
    return fabs(m[0] * m[3] - m[1] * m[2]);
}

/* |Jacobian| along a row: exact every KNOT px, linear between. Where it varies by a hundredth
 * within 100 px, more than any optics do, what that leaves out within 8 px is below 2e-5. */
void aid_warp_row_jacobian(const aid_warp_row *row, int32_t width, int times, float *values)
{
    double left = jacobian_at(row, 0.0);
    for (int32_t x = 0; x < width; x += KNOT) {
        int32_t count = AID_MIN(KNOT, width - x);
        double right = jacobian_at(row, x + KNOT);
        for (int k = 0; k < times; k++) {
            float start = (float)left, slope = (float)((right - left) / KNOT);
            for (int32_t i = 0; i < count; i++)
                values[x + i] *= start + slope * (float)i;
        }
        left = right;
    }
}
