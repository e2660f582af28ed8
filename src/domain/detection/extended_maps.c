/* Scores of sources broader than the PSF: D in units of its noise, smoothed with broad Gaussians
 * above a local level. Equations: README.md of this folder. */
#include "core/base/memory.h"
#include "core/imaging/stats.h"
#include "domain/detection/internal.h"

#include <math.h>
#include <stdlib.h>

enum { BAND = 32, FIRST_BIN = 2, MAX_LEVELS = 5, LAST_BIN = FIRST_BIN << (MAX_LEVELS - 1) };
enum { MAX_RADIUS = 64 };                /* of a smoothing, binned px */
static const double ring_factor = 4.0;   /* width of the local level over that of the source */
static const double least_weight = 0.6;  /* of a source's own that must be sound pixels */
static const float highest_pixel = 5.0F; /* sigma: what stands out further is no broad source's */
/* Errors of registration and PSF agree over one source and not from one to the next: taken as half
 * coherent. */
static const float coherent2 = 0.25F;

/* Sums over bin x bin pixels; w = sky variance / variance there, 0 where nothing is known. */
typedef struct level {
    int bin, nx, ny;
    float *signal;     /* of w D/sigma */
    float *weight;     /* of w */
    float *systematic; /* of w s, s: what is not noise, in units of sigma */
} level;

typedef struct pyramid {
    const aid_scene *scene;
    aid_mesh sky; /* flux_err where nothing shines */
    level levels[MAX_LEVELS];
} pyramid;

static void pyramid_done(pyramid *all)
{
    aid_mesh_done(&all->sky);
    for (int i = 0; i < MAX_LEVELS; i++) {
        free(all->levels[i].signal);
        free(all->levels[i].weight);
        free(all->levels[i].systematic);
    }
}

/* ------------------------------------------------------------------------- noise of blank sky ---
 */

/* The lower quartile of a cell's errors: stars and galaxies raise the others. NaN: masked. */
static double quiet_error(const aid_difference *difference, const aid_mesh *grid, int column,
                          int row)
{
    enum { STEP = 4, MOST = 9216 }; /* cells are narrower than 2 x 192 px */
    double values[MOST];
    int count = 0;
    int x0 = (int)((int64_t)grid->width * column / grid->nx);
    int x1 = (int)((int64_t)grid->width * (column + 1) / grid->nx);
    int y0 = (int)((int64_t)grid->height * row / grid->ny);
    int y1 = (int)((int64_t)grid->height * (row + 1) / grid->ny);
    for (int y = y0; y < y1; y += STEP)
        for (int x = x0; x < x1 && count < MOST; x += STEP)
            if (!aid_mask_row(&difference->mask, y)[x])
                values[count++] = (double)aid_image_row(&difference->flux_err, y)[x];
    return count >= 30 ? aid_quantile_in_place_f64(values, count, 0.25) : NAN;
}

/* *ret_found: false where everything is masked. */
static aid_status measure_sky(const aid_scene *scene, aid_mesh *ret_sky, bool *ret_found,
                              aid_error *err)
{
    const aid_difference *difference = scene->difference;
    int cell = (int)AID_CLAMP(24.0 * scene->fwhm_px, 64.0, 192.0);
    int nx = AID_MAX(difference->score.width / cell, 1);
    int ny = AID_MAX(difference->score.height / cell, 1);
    AID_TRY(aid_mesh_init(difference->score.width, difference->score.height, nx, ny, ret_sky, err));
    for (int i = 0; i < nx * ny; i++)
        ret_sky->values[i] = (float)quiet_error(difference, ret_sky, i % nx, i / nx);
    double typical = aid_mesh_median(ret_sky);
    for (int i = 0; i < nx * ny; i++)
        if (!(ret_sky->values[i] > 0.0F))
            ret_sky->values[i] = (float)typical;
    *ret_found = typical > 0.0;
    return AID_OK;
}

/* ------------------------------------------------------------------------------------ binning ---
 */

typedef struct pixel_row {
    const float *difference, *error, *score, *sky;
    const uint8_t *mask;
    float per_sigma; /* 1/sqrt(sum P^2): error x this is the noise of one pixel of D */
    int count;
} pixel_row;

/* Adds a row of pixels to the sums of its columns. */
AID_HOT static void weigh_row(const pixel_row *row, float *restrict signal, float *restrict weight,
                              float *restrict systematic)
{
    const float *restrict difference = row->difference, *restrict error = row->error;
    const float *restrict score = row->score, *restrict sky = row->sky;
    const uint8_t *restrict mask = row->mask;
    float per_sigma = row->per_sigma;
    for (int x = 0; x < row->count; x++) {
        float ratio = sky[x] / error[x], w = ratio * ratio;
        w = w < 1.0F ? w : 1.0F;
        float z = difference[x] / sky[x] * per_sigma;
        z = z < highest_pixel ? z : highest_pixel;
        z = z > -highest_pixel ? z : -highest_pixel;
        float known = mask[x] == 0 && score[x] == score[x] ? 1.0F : 0.0F;
        signal[x] += known > 0.0F ? w * z : 0.0F;
        weight[x] += known > 0.0F ? w : 0.0F;
        systematic[x] += known > 0.0F ? sqrtf(w - w * w) : 0.0F;
    }
}

static aid_status bin_band(void *context, int64_t band, int worker, aid_error *err)
{
    (void)worker;
    const pyramid *all = context;
    const level *to = &all->levels[0];
    const aid_difference *from = all->scene->difference;
    int width = from->score.width, padded = FIRST_BIN * to->nx;
    AID_CLEANUP(aid_free_pointer)
    float *sums = NULL, *sky = NULL;
    AID_TRY(aid_new_buffer(3 * (size_t)padded, sizeof *sums, "extended", &sums, err));
    AID_TRY(aid_new_buffer((size_t)width, sizeof *sky, "extended", &sky, err));
    float *restrict columns[3] = {sums, sums + padded, sums + 2 * (size_t)padded};
    float *maps[3] = {to->signal, to->weight, to->systematic};
    int64_t begin, end;
    aid_band_range(to->ny, BAND, band, &begin, &end);
    for (int64_t j = begin; j < end; j++) {
        for (int i = 0; i < 3 * padded; i++)
            sums[i] = 0.0F;
        for (int y = (int)j * FIRST_BIN; y < AID_MIN((j + 1) * FIRST_BIN, from->score.height);
             y++) {
            aid_mesh_row(&all->sky, y, sky);
            pixel_row row = {aid_image_row(&from->difference, y),
                             aid_image_row(&from->flux_err, y),
                             aid_image_row(&from->score, y),
                             sky,
                             aid_mask_row(&from->mask, y),
                             (float)(1.0 / sqrt(all->scene->psf_squares)),
                             width};
            weigh_row(&row, columns[0], columns[1], columns[2]);
        }
        for (int k = 0; k < 3; k++)
            for (int i = 0; i < to->nx; i++)
                maps[k][j * to->nx + i] = columns[k][2 * i] + columns[k][2 * i + 1];
    }
    return AID_OK;
}

static void halve(const float *from, int nx, int ny, float *to)
{
    for (int j = 0; j < ny; j++) {
        const float *low = from + (int64_t)(2 * j) * 2 * nx, *high = low + 2 * (int64_t)nx;
        for (int i = 0; i < nx; i++)
            to[(int64_t)j * nx + i] =
                (low[2 * i] + low[2 * i + 1]) + (high[2 * i] + high[2 * i + 1]);
    }
}

/* Point sources would be broad ones, too, by their wings: out they go. */
static void cut_holes(const level *first, const aid_hole *holes, int count)
{
    for (int k = 0; k < count; k++) {
        double x = (holes[k].x + 0.5) / first->bin - 0.5, y = (holes[k].y + 0.5) / first->bin - 0.5;
        double radius = holes[k].radius_px / first->bin;
        int y1 = AID_MIN((int)floor(y + radius), first->ny - 1);
        int x1 = AID_MIN((int)floor(x + radius), first->nx - 1);
        for (int j = AID_MAX((int)ceil(y - radius), 0); j <= y1; j++)
            for (int i = AID_MAX((int)ceil(x - radius), 0); i <= x1; i++) {
                int64_t at = (int64_t)j * first->nx + i;
                if (hypot(i - x, j - y) <= radius)
                    first->signal[at] = first->weight[at] = first->systematic[at] = 0.0F;
            }
    }
}

static aid_status make_pyramid(const aid_hole *holes, int hole_count, aid_pool *pool, pyramid *all,
                               aid_error *err)
{
    const aid_image *score = &all->scene->difference->score;
    int nx = (score->width + LAST_BIN - 1) / LAST_BIN,
        ny = (score->height + LAST_BIN - 1) / LAST_BIN;
    for (int i = 0; i < MAX_LEVELS; i++) {
        int shift = MAX_LEVELS - 1 - i;
        level *at = &all->levels[i];
        *at = (level){.bin = FIRST_BIN << i, .nx = nx << shift, .ny = ny << shift};
        size_t count = (size_t)at->nx * (size_t)at->ny;
        AID_TRY(aid_new_buffer(count, sizeof(float), "extended", &at->signal, err));
        AID_TRY(aid_new_buffer(count, sizeof(float), "extended", &at->weight, err));
        AID_TRY(aid_new_buffer(count, sizeof(float), "extended", &at->systematic, err));
    }
    const level *first = &all->levels[0];
    AID_TRY(aid_pool_run(pool, aid_band_count(first->ny, BAND), bin_band, all, err));
    cut_holes(first, holes, hole_count);
    for (int i = 1; i < MAX_LEVELS; i++) {
        const level *fine = &all->levels[i - 1], *coarse = &all->levels[i];
        halve(fine->signal, coarse->nx, coarse->ny, coarse->signal);
        halve(fine->weight, coarse->nx, coarse->ny, coarse->weight);
        halve(fine->systematic, coarse->nx, coarse->ny, coarse->systematic);
    }
    return AID_OK;
}

/* ---------------------------------------------------------------------------------- smoothing ---
 */

typedef struct taps { /* one half of a symmetric kernel; the sum over the whole is 1 */
    int radius;
    float plain[MAX_RADIUS + 1], squared[MAX_RADIUS + 1];
} taps;

/* The coarsest level on which the Gaussian still is one. */
static const level *level_for(const pyramid *all, double sigma_px)
{
    int i = 0;
    while (i + 1 < MAX_LEVELS && sigma_px / all->levels[i + 1].bin >= 1.5)
        i++;
    return &all->levels[i];
}

static taps gaussian_taps(double sigma_px, int bin)
{
    /* Binning has smoothed by bin^2/12 already. */
    double variance = AID_MAX(sigma_px * sigma_px / ((double)bin * bin) - 1.0 / 12.0, 0.25);
    taps made = {.radius = AID_MIN((int)ceil(3.2 * sqrt(variance)), MAX_RADIUS)};
    double sum = 0.0;
    for (int k = -made.radius; k <= made.radius; k++)
        sum += exp(-0.5 * k * k / variance);
    for (int k = 0; k <= made.radius; k++) {
        made.plain[k] = (float)(exp(-0.5 * k * k / variance) / sum);
        made.squared[k] = made.plain[k] * made.plain[k];
    }
    return made;
}

AID_HOT static void add_pair(const float *restrict a, const float *restrict b, float factor,
                             int count, float *restrict to)
{
    for (int x = 0; x < count; x++)
        to[x] += factor * (a[x] + b[x]);
}

/* One row of a map, smoothed along both axes; what lies outside is 0. `scratch`: nx + 2 radius, of
 * which both margins are 0; `empty`: nx zeros. */
typedef struct smoother {
    const level *from;
    taps kernel;
    float *scratch, *empty;
} smoother;

static void smooth_row(const smoother *by, const float *map, int y, const float *factors, float *to)
{
    int nx = by->from->nx, ny = by->from->ny, radius = by->kernel.radius;
    float *middle = by->scratch + radius;
    for (int x = 0; x < nx; x++) {
        middle[x] = factors[0] * map[(int64_t)y * nx + x];
        to[x] = 0.0F;
    }
    for (int k = 1; k <= radius; k++)
        add_pair(y >= k ? map + (int64_t)(y - k) * nx : by->empty,
                 y + k < ny ? map + (int64_t)(y + k) * nx : by->empty, factors[k], nx, middle);
    for (int x = 0; x < nx; x++)
        to[x] = factors[0] * middle[x];
    for (int k = 1; k <= radius; k++)
        add_pair(middle - k, middle + k, factors[k], nx, to);
}

/* -------------------------------------------------------------------------------- local level ---
 */

/* Weighted mean of D/sigma within a broad Gaussian, as a mesh on the grid of a finer level. */
static aid_status local_level(const pyramid *all, double sigma_px, const level *grid,
                              aid_mesh *ret_mesh, aid_error *err)
{
    smoother by = {.from = level_for(all, sigma_px)};
    by.kernel = gaussian_taps(sigma_px, by.from->bin);
    int nx = by.from->nx, ny = by.from->ny;
    AID_CLEANUP(aid_free_pointer)
    float *scratch = NULL, *rows = NULL;
    size_t padded = (size_t)nx + 2 * (size_t)by.kernel.radius;
    AID_TRY(aid_new_array(padded, sizeof *scratch, "extended", &scratch, err));
    AID_TRY(aid_new_array(3 * (size_t)nx, sizeof *rows, "extended", &rows, err));
    AID_TRY(aid_mesh_init(grid->nx, grid->ny, nx, ny, ret_mesh, err));
    by.scratch = scratch;
    by.empty = rows;
    float *signal = rows + nx, *weight = rows + 2 * (int64_t)nx;
    float least = 0.05F * (float)(by.from->bin * by.from->bin);
    for (int y = 0; y < ny; y++) {
        smooth_row(&by, by.from->signal, y, by.kernel.plain, signal);
        smooth_row(&by, by.from->weight, y, by.kernel.plain, weight);
        for (int x = 0; x < nx; x++)
            ret_mesh->values[(int64_t)y * nx + x] =
                weight[x] > least ? signal[x] / weight[x] : 0.0F;
    }
    return AID_OK;
}

/* -------------------------------------------------------------------------------------- score ---
 */

typedef struct score_job {
    const pyramid *all;
    const level *from;
    taps kernel;
    const aid_mesh *local;
    float shared;  /* variance of source minus level, over that of the source's sum */
    float least;   /* sum of the weights */
    aid_image *to; /* score */
} score_job;

AID_HOT static void score_row(const score_job *job, const float *restrict sums,
                              const float *restrict local, float *restrict to)
{
    int count = job->from->nx;
    float shared = job->shared, squares = (float)job->all->scene->psf_squares, least = job->least;
    const float *restrict signal = sums, *restrict weight = sums + count;
    const float *restrict systematic = sums + 2 * (int64_t)count;
    const float *restrict variance = sums + 3 * (int64_t)count;
    for (int x = 0; x < count; x++) {
        float excess = signal[x] - local[x] * weight[x];
        float noise = shared * variance[x] + coherent2 * squares * systematic[x] * systematic[x];
        to[x] = weight[x] > least ? excess / sqrtf(noise) : NAN;
    }
}

static aid_status score_band(void *context, int64_t band, int worker, aid_error *err)
{
    (void)worker;
    const score_job *job = context;
    const level *from = job->from;
    size_t nx = (size_t)from->nx;
    smoother by = {.from = from, .kernel = job->kernel};
    AID_CLEANUP(aid_free_pointer)
    float *scratch = NULL, *rows = NULL;
    AID_TRY(aid_new_array(nx + 2 * (size_t)job->kernel.radius, sizeof *scratch, "extended",
                          &scratch, err));
    AID_TRY(aid_new_array(6 * nx, sizeof *rows, "extended", &rows, err));
    by.scratch = scratch;
    by.empty = rows;
    float *local = rows + nx, *sums = rows + 2 * nx;
    int64_t begin, end;
    aid_band_range(from->ny, BAND, band, &begin, &end);
    for (int y = (int)begin; y < end; y++) {
        smooth_row(&by, from->signal, y, by.kernel.plain, sums);
        smooth_row(&by, from->weight, y, by.kernel.plain, sums + nx);
        smooth_row(&by, from->systematic, y, by.kernel.plain, sums + 2 * nx);
        smooth_row(&by, from->weight, y, by.kernel.squared, sums + 3 * nx);
        aid_mesh_row(job->local, y, local);
        score_row(job, sums, local, aid_image_row(job->to, y));
    }
    return AID_OK;
}

/* Scatter of the score over the field: structure of the sky that is broad itself makes it more than
 * 1 and raises the bar; it never lowers it. */
static aid_status calibrate(aid_image *score, double *ret_scatter, aid_error *err)
{
    int64_t count = (int64_t)score->width * score->height, step = AID_MAX(count / 60000, 1), n = 0;
    AID_CLEANUP(aid_free_pointer)
    float *values = NULL;
    AID_TRY(aid_new_buffer((size_t)(count / step + 1), sizeof *values, "extended", &values, err));
    for (int64_t i = 0; i < count; i += step)
        values[n++] = score->data[i];
    aid_robust all = aid_robust_in_place(values, n);
    *ret_scatter = all.count > 200 && all.sigma > 1.0 ? all.sigma : 1.0;
    for (int64_t i = 0; i < count; i++)
        score->data[i] /= (float)*ret_scatter;
    return AID_OK;
}

static aid_status make_scale(const pyramid *all, double fwhm_px, aid_pool *pool,
                             aid_broad_scale *scale, aid_error *err)
{
    double sigma = fwhm_px / 2.355, k2 = ring_factor * ring_factor;
    const level *from = level_for(all, sigma);
    AID_CLEANUP(aid_mesh_done)
    aid_mesh local = {0};
    AID_TRY(local_level(all, ring_factor * sigma, from, &local, err));
    scale->fwhm_px = fwhm_px;
    scale->bin = from->bin;
    AID_TRY(aid_image_init(from->nx, from->ny, &scale->score, err));
    score_job job = {.all = all,
                     .from = from,
                     .kernel = gaussian_taps(sigma, from->bin),
                     .local = &local,
                     /* of two unit-sum Gaussians of widths 1 and k */
                     .shared = (float)(1.0 + 1.0 / k2 - 4.0 / (1.0 + k2)),
                     .least = (float)(least_weight * from->bin * from->bin),
                     .to = &scale->score};
    AID_TRY(aid_pool_run(pool, aid_band_count(from->ny, BAND), score_band, &job, err));
    return calibrate(&scale->score, &scale->scatter, err);
}

aid_status aid_broad_maps_make(const aid_scene *scene, const aid_hole *holes, int hole_count,
                               aid_pool *pool, aid_broad_maps *maps, aid_error *err)
{
    static const double widths[AID_BROAD_SCALES] = {2.5, 5.0, 10.0}; /* of the PSF's */
    AID_CLEANUP(pyramid_done)
    pyramid all = {.scene = scene};
    bool found;
    AID_TRY(measure_sky(scene, &all.sky, &found, err));
    if (!found)
        return AID_OK;
    AID_TRY(make_pyramid(holes, hole_count, pool, &all, err));
    for (int i = 0; i < AID_BROAD_SCALES; i++)
        AID_TRY(make_scale(&all, widths[i] * scene->fwhm_px, pool, &maps->scales[i], err));
    maps->count = AID_BROAD_SCALES;
    return AID_OK;
}

void aid_broad_maps_done(aid_broad_maps *maps)
{
    for (int i = 0; i < AID_BROAD_SCALES; i++)
        aid_image_done(&maps->scales[i].score);
    *maps = (aid_broad_maps){0};
}
