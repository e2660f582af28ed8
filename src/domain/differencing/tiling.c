#include "domain/differencing/internal.h"

#include <math.h>
#include <string.h>

enum { TILE_RAMP = 12, TILE_CORE = 256 };

aid_tiling aid_tiling_plan(int width, int height, int reach)
{
    aid_tiling tiling = {.width = width, .height = height, .ramp = TILE_RAMP};
    int longest = AID_MAX(width, height);
    int core = AID_MIN(TILE_CORE, longest);
    tiling.size = aid_fft_good_size(core + 2 * (TILE_RAMP + reach));
    tiling.border = TILE_RAMP + reach;
    tiling.core = tiling.size - 2 * tiling.border; /* what the rounding up gave is used */
    tiling.nx = (width + tiling.core - 1) / tiling.core;
    tiling.ny = (height + tiling.core - 1) / tiling.core;
    return tiling;
}

aid_tile aid_tile_at(const aid_tiling *tiling, int column, int row)
{
    int x = column * tiling->core, y = row * tiling->core;
    int right = AID_MIN(x + tiling->core, tiling->width);
    int top = AID_MIN(y + tiling->core, tiling->height);
    return (aid_tile){.index = row * tiling->nx + column,
                      .column = column,
                      .row = row,
                      .x0 = x - tiling->border,
                      .y0 = y - tiling->border,
                      .centre_x = 0.5 * (x + right - 1),
                      .centre_y = 0.5 * (y + top - 1)};
}

typedef struct phase_job {
    const aid_tiling *tiling;
    aid_tile_task function;
    void *context;
    int odd_column, odd_row, columns;
} phase_job;

static aid_status run_phase_tile(void *context, int64_t task, int worker, aid_error *err)
{
    const phase_job *job = context;
    int column = 2 * (int)(task % job->columns) + job->odd_column;
    int row = 2 * (int)(task / job->columns) + job->odd_row;
    aid_tile tile = aid_tile_at(job->tiling, column, row);
    return job->function(job->context, &tile, worker, err);
}

aid_status aid_tiling_run(const aid_tiling *tiling, aid_tile_task function, void *context,
                          aid_pool *pool, aid_error *err)
{
    for (int phase = 0; phase < 4; phase++) {
        phase_job job = {.tiling = tiling,
                         .function = function,
                         .context = context,
                         .odd_column = phase % 2,
                         .odd_row = phase / 2};
        job.columns = (tiling->nx + 1 - job.odd_column) / 2;
        int rows = (tiling->ny + 1 - job.odd_row) / 2;
        AID_TRY(aid_pool_run(pool, (int64_t)job.columns * rows, run_phase_tile, &job, err));
    }
    return AID_OK;
}

void aid_tile_load(const aid_tiling *tiling, const aid_tile *tile, const aid_image *image,
                   float *window)
{
    int size = tiling->size;
    memset(window, 0, (size_t)size * (size_t)size * sizeof *window);
    int first_x = AID_MAX(tile->x0, 0), last_x = AID_MIN(tile->x0 + size, image->width);
    int first_y = AID_MAX(tile->y0, 0), last_y = AID_MIN(tile->y0 + size, image->height);
    for (int y = first_y; y < last_y; y++)
        memcpy(window + (int64_t)(y - tile->y0) * size + (first_x - tile->x0),
               aid_image_row(image, y) + first_x, (size_t)(last_x - first_x) * sizeof *window);
}

/* The share of tile `index` at pixel `at`: 1 in its core, falling to 0 over the ramp around the
 * lines between cores; there are no neighbours beyond the image, so no ramps there. */
static double share(int at, int index, int count, int core, int ramp)
{
    double left = index > 0 ? (at + 0.5 - (index * core - ramp)) / (2.0 * ramp) : 1.0;
    double right = index + 1 < count ? ((index + 1) * core + ramp - at - 0.5) / (2.0 * ramp) : 1.0;
    return AID_CLAMP(AID_MIN(left, right), 0.0, 1.0);
}

AID_HOT static void add_weighted(const float *restrict from, const float *restrict weight,
                                 float scale, int count, float *restrict to)
{
    for (int i = 0; i < count; i++)
        to[i] += scale * weight[i] * from[i];
}

void aid_tile_blend(const aid_tiling *tiling, const aid_tile *tile, const float *window,
                    double scale, aid_image *image)
{
    int core = tiling->core, ramp = tiling->ramp;
    int first_x = AID_MAX(tile->column * core - ramp, 0);
    int last_x = AID_MIN((tile->column + 1) * core + ramp, image->width);
    int first_y = AID_MAX(tile->row * core - ramp, 0);
    int last_y = AID_MIN((tile->row + 1) * core + ramp, image->height);
    float weight[AID_MAX_IMAGE_SIDE / 16];
    for (int x = first_x; x < last_x; x++)
        weight[x - first_x] = (float)share(x, tile->column, tiling->nx, core, ramp);
    for (int y = first_y; y < last_y; y++) {
        double row_share = share(y, tile->row, tiling->ny, core, ramp);
        const float *from = window + (int64_t)(y - tile->y0) * tiling->size + (first_x - tile->x0);
        add_weighted(from, weight, (float)(scale * row_share), last_x - first_x,
                     aid_image_row(image, y) + first_x);
    }
}
