/* How even the sky is: medians of 8 x 8 cells, the plane through them, and what is left. */
#include "core/base/memory.h"
#include "core/imaging/linalg.h"
#include "core/imaging/stats.h"
#include "domain/quality/internal.h"

#include <string.h>

enum {
    GRID = 8,
    CELLS = GRID * GRID,
    CELL_SAMPLE = 4096, /* pixels that are looked at in a cell: its median is good to 0.02 sigma */
    LEAST_SAMPLE = 12,  /* fewer sound pixels make no cell */
    LEAST_CELLS = 6     /* fewer determine no plane with something to spare */
};
/* Beside a star its wings count for more than the structure that is looked for. */
static const double star_reach_fwhm = 4.0;

typedef struct sky_cells {
    const aid_exposure *exposure;
    const uint8_t *stars; /* [height][width], 1 where there is one; a row is as wide as the mask */
    double level[CELLS];  /* NaN: too few pixels */
    double noise_variance[CELLS]; /* of that median */
    double sigma;
} sky_cells;

static int32_t edge(int32_t length, int64_t index)
{
    return (int32_t)(length * index / GRID);
}

/* Median and how many pixels it is of; every step-th sound pixel in reading order. */
static aid_status measure_cell(void *context, int64_t task, int worker, aid_error *err)
{
    (void)worker;
    sky_cells *cells = context;
    const aid_exposure *exposure = cells->exposure;
    int32_t width = exposure->image.width, height = exposure->image.height;
    int32_t x0 = edge(width, task % GRID), x1 = edge(width, task % GRID + 1);
    int32_t y0 = edge(height, task / GRID), y1 = edge(height, task / GRID + 1);
    int64_t pixels = (int64_t)(x1 - x0) * (y1 - y0);
    int64_t step = AID_MAX((pixels + CELL_SAMPLE - 1) / CELL_SAMPLE, 1);
    AID_CLEANUP(aid_free_pointer)
    float *values = NULL;
    AID_TRY(aid_new_buffer(CELL_SAMPLE, sizeof *values, "sky cell", &values, err));
    int64_t count = 0;
    for (int64_t i = 0; i < pixels; i += step) {
        int32_t x = x0 + (int32_t)(i % (x1 - x0)), y = y0 + (int32_t)(i / (x1 - x0));
        int64_t at = (int64_t)y * width + x;
        if (exposure->mask.data[at] & AID_QUALITY_UNSOUND || cells->stars[at])
            continue;
        values[count++] = (float)((double)aid_image_row(&exposure->image, y)[x] +
                                  aid_mesh_at(&exposure->background, x, y));
    }
    cells->level[task] = count < LEAST_SAMPLE ? NAN : aid_median_in_place(values, count);
    cells->noise_variance[task] = 1.5708 * cells->sigma * cells->sigma / (double)AID_MAX(count, 1);
    return AID_OK;
}

/* A disc on every star; the brighter, the larger, as far as its Gaussian reaches the noise. */
static void cover_stars(const aid_exposure *exposure, double fwhm_px, double sigma,
                        uint8_t *covered)
{
    int32_t width = exposure->image.width, height = exposure->image.height;
    for (int i = 0; i < exposure->stars.count; i++) {
        const aid_star *star = &exposure->stars.items[i];
        double contrast = AID_MAX(star->peak / AID_MAX(sigma, 1e-30), 3.0);
        double reach = fwhm_px * AID_CLAMP(sqrt(log2(contrast)), 1.5, star_reach_fwhm) + 2.0;
        if (star->flags & AID_STAR_EXTENDED && isfinite(star->a))
            reach = AID_MAX(reach, 4.0 * star->a);
        reach = AID_MIN(reach, 200.0);
        if (!isfinite(star->x) || !isfinite(star->y) || !isfinite(reach))
            continue;
        int32_t y0 = (int32_t)AID_CLAMP(ceil(star->y - reach), 0.0, height);
        int32_t y1 = (int32_t)AID_CLAMP(floor(star->y + reach), -1.0, height - 1.0);
        for (int32_t y = y0; y <= y1; y++) {
            double half = sqrt(AID_MAX(reach * reach - (y - star->y) * (y - star->y), 0.0));
            int32_t x0 = (int32_t)AID_CLAMP(ceil(star->x - half), 0.0, width);
            int32_t x1 = (int32_t)AID_CLAMP(floor(star->x + half), -1.0, width - 1.0);
            if (x1 >= x0)
                memset(covered + (int64_t)y * width + x0, 1, (size_t)(x1 - x0 + 1));
        }
    }
}

/* c0 + c1 u + c2 v, u and v from -1/2 to 1/2 across the image. */
static aid_status fit_plane(const sky_cells *cells, double plane[3], int *ret_count, aid_error *err)
{
    double design[CELLS * 3], values[CELLS];
    int rows = 0;
    for (int k = 0; k < CELLS; k++) {
        if (!isfinite(cells->level[k]))
            continue;
        double *row = design + (ptrdiff_t)3 * rows;
        row[0] = 1.0;
        row[1] = (k % GRID + 0.5) / GRID - 0.5;
        row[2] = (k / GRID + 0.5) / GRID - 0.5;
        values[rows++] = cells->level[k];
    }
    *ret_count = rows;
    if (rows < LEAST_CELLS)
        return AID_OK;
    aid_linear_fit fit = {.rows = rows, .unknowns = 3, .design = design, .values = values};
    return aid_least_squares(&fit, plane, NULL, NULL, err);
}

static void judge(const sky_cells *cells, const double plane[3], int count, aid_quality *quality)
{
    double squares = 0.0, expected = 0.0, sigma = quality->noise_level;
    for (int k = 0; k < CELLS; k++) {
        if (!isfinite(cells->level[k]))
            continue;
        double u = (k % GRID + 0.5) / GRID - 0.5, v = (k / GRID + 0.5) / GRID - 0.5;
        double left = cells->level[k] - plane[0] - plane[1] * u - plane[2] * v;
        squares += left * left;
        expected += cells->noise_variance[k];
    }
    double variance = squares / (count - 3.0) - expected / count;
    quality->large_scale_rms = sqrt(AID_MAX(variance, 0.0));
    quality->flatness_score = sigma * sigma / (sigma * sigma + AID_MAX(variance, 0.0));
    double range = fabs(plane[1]) + fabs(plane[2]);
    quality->background_range = range;
    if (fabs(quality->background_level) > sigma)
        quality->background_gradient = range / fabs(quality->background_level);
}

aid_status aid_quality_measure_flatness(const aid_exposure *exposure, aid_pool *pool,
                                        aid_quality *quality, aid_error *err)
{
    quality->background_range = quality->background_gradient = NAN;
    quality->large_scale_rms = quality->flatness_score = NAN;
    AID_CLEANUP(aid_free_pointer)
    uint8_t *covered = NULL;
    size_t pixels = (size_t)exposure->image.width * (size_t)exposure->image.height;
    AID_TRY(aid_new_array(pixels, 1, "star cover", &covered, err));
    double fwhm = isfinite(quality->fwhm_px) ? AID_MIN(quality->fwhm_px, 40.0) : 3.0;
    cover_stars(exposure, fwhm, quality->noise_level, covered);
    sky_cells cells = {.exposure = exposure, .stars = covered, .sigma = quality->noise_level};
    AID_TRY(aid_pool_run(pool, CELLS, measure_cell, &cells, err));
    double plane[3] = {0};
    int count;
    aid_status status = fit_plane(&cells, plane, &count, NULL);
    if (status == AID_OK && count >= LEAST_CELLS)
        judge(&cells, plane, count, quality);
    return status == AID_ERR_NOMEM ? AID_ERROR(err, AID_ERR_NOMEM, "no memory for a plane")
                                   : AID_OK;
}
