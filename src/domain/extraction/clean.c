/* CLEAN, after Bertin & Arnouts (1996), section 4.5: a source that would not stand above the
 * threshold without the wings of a brighter one is no source. Wings are those of a Moffat function
 * through the peak and the isophote. Only sources within reach of the wings are asked, by a grid.
 */
#include "core/base/memory.h"
#include "domain/extraction/internal.h"

#include <stdlib.h>

/* SExtractor's CLEAN_ZONE: sources farther apart than this many times the sum of their sizes have
 * nothing to do with one another. */
static const double zone = 10.0;
static const double pi = 3.14159265358979323846;

typedef struct place_grid {
    double x0, y0, cell;
    int64_t columns, rows;
    int64_t *first, *members; /* [cells + 1], [count] */
} place_grid;

static void place_grid_done(place_grid *grid)
{
    free(grid->first);
    free(grid->members);
}

static int64_t cell_of(const place_grid *grid, double x, double y)
{
    int64_t i = (int64_t)((x - grid->x0) / grid->cell), j = (int64_t)((y - grid->y0) / grid->cell);
    return AID_CLAMP(j, 0, grid->rows - 1) * grid->columns + AID_CLAMP(i, 0, grid->columns - 1);
}

static aid_status place_grid_init(const aid_clean_item *items, int64_t count, place_grid *grid,
                                  aid_error *err)
{
    double x1 = items[0].x, y1 = items[0].y;
    *grid = (place_grid){.x0 = x1, .y0 = y1};
    for (int64_t i = 1; i < count; i++) {
        grid->x0 = AID_MIN(grid->x0, items[i].x);
        grid->y0 = AID_MIN(grid->y0, items[i].y);
        x1 = AID_MAX(x1, items[i].x);
        y1 = AID_MAX(y1, items[i].y);
    }
    grid->cell = AID_MAX(sqrt((x1 - grid->x0 + 1.0) * (y1 - grid->y0 + 1.0) / (double)count), 4.0);
    grid->columns = (int64_t)((x1 - grid->x0) / grid->cell) + 1;
    grid->rows = (int64_t)((y1 - grid->y0) / grid->cell) + 1;
    size_t cells = (size_t)(grid->columns * grid->rows);
    AID_TRY(aid_new_array(cells + 2, sizeof *grid->first, "grid of sources", &grid->first, err));
    AID_TRY(aid_new_buffer((size_t)count, sizeof *grid->members, "grid of sources", &grid->members,
                           err));
    int64_t *slots = grid->first + 1; /* becomes `first` once everything is placed */
    for (int64_t i = 0; i < count; i++)
        slots[cell_of(grid, items[i].x, items[i].y) + 1]++;
    for (size_t i = 0; i < cells; i++)
        slots[i + 1] += slots[i];
    for (int64_t i = 0; i < count; i++)
        grid->members[slots[cell_of(grid, items[i].x, items[i].y)]++] = i;
    return AID_OK;
}

typedef struct wing_profile {
    double peak, alpha, exponent, reach;
} wing_profile;

/* peak (1 + alpha r^2)^-exponent = threshold where the ellipse of r^2 has the isophote's area; the
 * peak is that of a Gaussian of the same light and moments. */
static wing_profile wings_of(const aid_clean_item *item, double exponent)
{
    double r2 = (double)item->npix / (pi * AID_MAX(item->a * item->b, 1e-6));
    double peak = item->flux / (2.0 * pi * AID_MAX(item->a * item->b * item->shrinkage, 1e-6));
    double ratio = AID_MAX(peak / item->threshold, 1.0);
    return (wing_profile){.peak = peak,
                          .alpha = (pow(ratio, 1.0 / exponent) - 1.0) / r2,
                          .exponent = exponent,
                          .reach = 2.0 * zone * AID_MIN(item->a, 1e3)};
}

static bool hides(const aid_clean_item *bright, const wing_profile *wings,
                  const aid_clean_item *faint)
{
    double dx = faint->x - bright->x, dy = faint->y - bright->y;
    double r2 = bright->cxx * dx * dx + bright->cyy * dy * dy + bright->cxy * dx * dy;
    double sizes = bright->a + faint->a;
    if (dx * dx + dy * dy > zone * zone * sizes * sizes)
        return false;
    return wings->peak * pow(1.0 + wings->alpha * r2, -wings->exponent) > faint->least;
}

static void clean_around(const aid_clean_item *items, const place_grid *grid, int64_t bright,
                         double exponent, int64_t *into)
{
    const aid_clean_item *item = &items[bright];
    wing_profile wings = wings_of(item, exponent);
    int64_t low = cell_of(grid, item->x - wings.reach, item->y - wings.reach);
    int64_t high = cell_of(grid, item->x + wings.reach, item->y + wings.reach);
    for (int64_t row = low / grid->columns; row <= high / grid->columns; row++)
        for (int64_t column = low % grid->columns; column <= high % grid->columns; column++) {
            int64_t cell = row * grid->columns + column;
            for (int64_t k = grid->first[cell]; k < grid->first[cell + 1]; k++) {
                int64_t i = grid->members[k];
                bool fainter = items[i].flux < item->flux;
                if (fainter && into[i] < 0 && hides(item, &wings, &items[i]))
                    into[i] = bright;
            }
        }
}

typedef struct ranked {
    double flux;
    int64_t index;
} ranked;

static int brighter_first(const void *left, const void *right)
{
    const ranked *a = left, *b = right;
    if (a->flux != b->flux)
        return a->flux > b->flux ? -1 : 1;
    return (a->index > b->index) - (a->index < b->index);
}

aid_status aid_clean(const aid_clean_item *items, int64_t count, double exponent, int64_t *ret_into,
                     aid_error *err)
{
    for (int64_t i = 0; i < count; i++)
        ret_into[i] = -1;
    if (count < 2 || !(exponent > 0.0))
        return AID_OK;
    AID_CLEANUP(place_grid_done)
    place_grid grid = {0};
    AID_CLEANUP(aid_free_pointer)
    ranked *order = NULL;
    AID_TRY(place_grid_init(items, count, &grid, err));
    AID_TRY(aid_new_buffer((size_t)count, sizeof *order, "cleaning", &order, err));
    for (int64_t i = 0; i < count; i++)
        order[i] = (ranked){items[i].flux, i};
    qsort(order, (size_t)count, sizeof *order, brighter_first);
    for (int64_t i = 0; i < count; i++)
        if (ret_into[order[i].index] < 0)
            clean_around(items, &grid, order[i].index, exponent, ret_into);
    return AID_OK;
}
