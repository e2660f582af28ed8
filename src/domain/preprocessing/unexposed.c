/* Parts of the detector that the sky does not reach: corners behind a round filter, a guide
 * camera's shadow. Their edge is too steep for a background mesh, and it does not move with the
 * sky. */
#include "core/base/memory.h"
#include "core/imaging/stats.h"
#include "domain/preprocessing/prepare_internal.h"

#include <stdlib.h>

enum { CELL_PX = 16, FEWEST_CELLS = 64 };
static const double dark_share = 0.5;   /* of the typical level */
static const double dark_sigma = 10.0;  /* and darker by so many sigma of a pixel */
static const double most_dark = 0.4;    /* of the cells: otherwise the level means something else */
static const double penumbra_px = 56.0; /* the edge is out of focus */

typedef struct cells {
    int nx, ny;
    float *level, *sigma; /* of each cell; NaN: nothing but masked pixels */
    uint8_t *dark;
} cells;

static void cells_done(cells *grid)
{
    free(grid->level);
    free(grid->sigma);
    free(grid->dark);
}

static aid_status cells_init(const aid_image *image, cells *grid, aid_error *err)
{
    *grid = (cells){.nx = image->width / CELL_PX, .ny = image->height / CELL_PX};
    size_t count = (size_t)AID_MAX(grid->nx * grid->ny, 1);
    AID_TRY(aid_new_array(count, sizeof *grid->level, "unexposed", &grid->level, err));
    AID_TRY(aid_new_array(count, sizeof *grid->sigma, "unexposed", &grid->sigma, err));
    return aid_new_array(count, sizeof *grid->dark, "unexposed", &grid->dark, err);
}

static void measure_cell(const aid_image *image, const aid_mask *mask, int column, int row,
                         cells *grid)
{
    float values[CELL_PX * CELL_PX];
    int count = 0; /* of every fourth pixel: the question is coarse */
    for (int y = row * CELL_PX; y < (row + 1) * CELL_PX; y += 2)
        for (int x = column * CELL_PX; x < (column + 1) * CELL_PX; x += 2)
            if (!aid_mask_row(mask, y)[x])
                values[count++] = aid_image_row(image, y)[x];
    aid_robust robust = aid_robust_in_place(values, count);
    grid->level[row * grid->nx + column] = (float)robust.median;
    grid->sigma[row * grid->nx + column] = (float)robust.sigma;
}

/* Dark cells that hang together with the border; a dark nebula within the field is sky. Passes
 * until nothing changes: there are few cells. */
static int spread_from_border(cells *grid, double limit)
{
    int found = 0;
    for (bool changed = true; changed;) {
        changed = false;
        for (int j = 0; j < grid->ny; j++)
            for (int i = 0; i < grid->nx; i++) {
                uint8_t *cell = &grid->dark[j * grid->nx + i];
                if (*cell || !((double)grid->level[j * grid->nx + i] < limit))
                    continue;
                bool border = i == 0 || j == 0 || i == grid->nx - 1 || j == grid->ny - 1;
                if (border || cell[-1] || cell[1] || cell[-grid->nx] || cell[grid->nx]) {
                    *cell = 1;
                    found++;
                    changed = true;
                }
            }
    }
    return found;
}

/* The last cell of a row or column also stands for the pixels beyond the grid. */
static void mark_pixels(const cells *grid, aid_mask *mask)
{
    for (int y = 0; y < mask->height; y++) {
        int row = AID_MIN(y / CELL_PX, grid->ny - 1);
        for (int x = 0; x < mask->width; x++)
            if (grid->dark[row * grid->nx + AID_MIN(x / CELL_PX, grid->nx - 1)])
                aid_mask_row(mask, y)[x] |= AID_MASK_EDGE; /* for the growth alone */
    }
}

aid_status aid_prepare_mask_unexposed(const aid_image *image, aid_mask *mask, aid_pool *pool,
                                      double *ret_fraction, aid_error *err)
{
    AID_CLEANUP(cells_done)
    cells grid = {0};
    AID_TRY(cells_init(image, &grid, err));
    *ret_fraction = 0.0;
    int count = grid.nx * grid.ny;
    if (count < FEWEST_CELLS)
        return AID_OK;
    for (int j = 0; j < grid.ny; j++)
        for (int i = 0; i < grid.nx; i++)
            measure_cell(image, mask, i, j, &grid);
    double typical = aid_median_of(grid.level, count), sigma = aid_median_of(grid.sigma, count);
    double limit = AID_MIN(dark_share * typical, typical - dark_sigma * sigma);
    if (!(typical > 0.0))
        return AID_OK; /* the sky has been subtracted: darkness cannot be seen */
    int dark = spread_from_border(&grid, limit);
    if (dark == 0 || dark > most_dark * count)
        return AID_OK;
    mark_pixels(&grid, mask);
    *ret_fraction = (double)dark / count;
    /* Missing pixels elsewhere have no penumbra. */
    AID_TRY(aid_mask_grow(mask, AID_MASK_EDGE, penumbra_px, AID_MASK_NO_DATA, pool, err));
    for (int64_t i = 0; i < (int64_t)mask->width * mask->height; i++)
        mask->data[i] &= (uint8_t)~AID_MASK_EDGE;
    return AID_OK;
}
