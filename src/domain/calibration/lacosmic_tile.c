/* One iteration of L.A.Cosmic on one tile: every array lives in the cache. */
#include "core/base/macros.h"
#include "domain/calibration/lacosmic_internal.h"

#include <string.h>

aid_rectangle aid_cosmic_tile(const aid_cosmic_search *search, int64_t tile)
{
    int32_t x0 = (int32_t)(tile % search->tiles_x) * AID_COSMIC_TILE_WIDTH;
    int32_t y0 = (int32_t)(tile / search->tiles_x) * AID_COSMIC_TILE_HEIGHT;
    return (aid_rectangle){x0, y0, AID_MIN(x0 + AID_COSMIC_TILE_WIDTH, search->width),
                           AID_MIN(y0 + AID_COSMIC_TILE_HEIGHT, search->height)};
}

aid_rectangle aid_cosmic_grown(const aid_cosmic_search *search, aid_rectangle tile, int radius)
{
    return (aid_rectangle){AID_MAX(tile.x0 - radius, 0), AID_MAX(tile.y0 - radius, 0),
                           AID_MIN(tile.x1 + radius, search->width),
                           AID_MIN(tile.y1 + radius, search->height)};
}

typedef struct tile_work {
    const aid_cosmic_search *search;
    aid_rectangle tile;
    aid_plane clean, variance;
    aid_plane scratch, noise, signal, smooth, fine, coarse, marks;
} tile_work;

/* ---------------------------------------------------------------------------------- Laplacian */

/* Each pixel counts as four equal ones; the Laplacian of each, where positive, and the mean of the
 * four. The order of the terms is that of astroscrappy, so that the rounding is, too. */
static inline float sharpness(float here, float left, float right, float below, float above)
{
    float four = 4.0f * here;
    float a = four - here - left - here - below, b = four - right - here - here - below;
    float c = four - here - left - above - here, d = four - right - here - above - here;
    a = a > 0.0f ? a : 0.0f;
    b = b > 0.0f ? b : 0.0f;
    c = c > 0.0f ? c : 0.0f;
    d = d > 0.0f ? d : 0.0f;
    return (a + c + d + b) / 4.0f;
}

AID_HOT static void laplacian_row(const float *restrict below, const float *restrict row,
                                  const float *restrict above, int32_t count, float *restrict out)
{
    for (int32_t i = 0; i < count; i++)
        out[i] = sharpness(row[i], row[i - 1], row[i + 1], below[i], above[i]);
}

/* Beyond the image there is nothing: 0. */
static void laplacian(const tile_work *work, aid_rectangle region)
{
    static const float nothing[AID_COSMIC_TILE_WIDTH + 64];
    const aid_cosmic_search *search = work->search;
    for (int32_t y = region.y0; y < region.y1; y++) {
        int32_t x0 = AID_MAX(region.x0, 1), x1 = AID_MIN(region.x1, search->width - 1);
        const float *row = aid_plane_at(&work->clean, 0, y);
        const float *below = y > 0 ? row - search->width : NULL;
        const float *above = y + 1 < search->height ? row + search->width : NULL;
        if (x1 > x0)
            laplacian_row(below ? below + x0 : nothing, row + x0, above ? above + x0 : nothing,
                          x1 - x0, aid_plane_at(&work->signal, x0, y));
        for (int32_t x = region.x0; x < region.x1; x++) {
            if (x > 0 && x < search->width - 1)
                continue;
            float left = x > 0 ? row[x - 1] : 0.0f;
            float right = x + 1 < search->width ? row[x + 1] : 0.0f;
            *aid_plane_at(&work->signal, x, y) =
                sharpness(row[x], left, right, below ? below[x] : 0.0f, above ? above[x] : 0.0f);
        }
    }
}

/* -------------------------------------------------------------------------------------- noise */

AID_HOT static void noise_row(float *restrict noise, float added, int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        float variance = noise[i] + added;
        noise[i] = sqrtf(variance < 0.00001f ? 0.00001f : variance);
    }
}

/* The noise that each pixel would have without a hit: from the median of its neighbourhood. */
static void noise_map(const tile_work *work, aid_rectangle region)
{
    const aid_cosmic_search *search = work->search;
    aid_median_filter_run(&search->noise, search->variance ? &work->variance : &work->clean,
                          &work->noise, &work->scratch, region);
    for (int32_t y = region.y0; y < region.y1; y++)
        noise_row(aid_plane_at(&work->noise, region.x0, y),
                  search->variance ? 0.0f : search->read_variance, region.x1 - region.x0);
}

AID_HOT static void significance_row(float *restrict signal, const float *restrict noise,
                                     int32_t count)
{
    for (int32_t i = 0; i < count; i++) /* 2: the subsampling, f_s in the paper */
        signal[i] /= 2.0f * noise[i];
}

AID_HOT static void subtract_row(float *restrict signal, const float *restrict smooth,
                                 int32_t count)
{
    for (int32_t i = 0; i < count; i++)
        signal[i] -= smooth[i];
}

/* The Laplacian in units of its noise, less what is smooth in it: S'. */
static void significance(const tile_work *work, aid_rectangle region)
{
    const aid_cosmic_search *search = work->search;
    aid_rectangle wide = aid_cosmic_grown(search, region, search->signal.side / 2);
    laplacian(work, wide);
    noise_map(work, wide);
    for (int32_t y = wide.y0; y < wide.y1; y++)
        significance_row(aid_plane_at(&work->signal, wide.x0, y),
                         aid_plane_at(&work->noise, wide.x0, y), wide.x1 - wide.x0);
    aid_median_filter_run(&search->signal, &work->signal, &work->smooth, &work->scratch, region);
    for (int32_t y = region.y0; y < region.y1; y++)
        subtract_row(aid_plane_at(&work->signal, region.x0, y),
                     aid_plane_at(&work->smooth, region.x0, y), region.x1 - region.x0);
}

/* ----------------------------------------------------------------------------- fine structure */

/* The matched filter, for one row, tap by tap. */
AID_HOT static void add_tap(float *restrict sums, const float *restrict values, float tap,
                            int32_t count)
{
    for (int32_t i = 0; i < count; i++)
        sums[i] += tap * values[i];
}

/* Beyond the image there is nothing. */
static void convolve_row(const aid_cosmic_search *search, const aid_plane *in, const aid_plane *out,
                         aid_rectangle row)
{
    enum { SIDE = AID_COSMIC_KERNEL, HALF = SIDE / 2 };
    float *sums = aid_plane_at(out, row.x0, row.y0);
    memset(sums, 0, (size_t)(row.x1 - row.x0) * sizeof *sums);
    for (int tap = 0; tap < SIDE * SIDE; tap++) {
        int32_t x = tap % SIDE - HALF, y = row.y0 + tap / SIDE - HALF;
        int32_t x0 = AID_MAX(row.x0, -x), x1 = AID_MIN(row.x1, search->width - x);
        if (y >= 0 && y < search->height && x1 > x0)
            add_tap(aid_plane_at(out, x0, row.y0), aid_plane_at(in, x0 + x, y), search->kernel[tap],
                    x1 - x0);
    }
}

AID_HOT static void fine_row(float *restrict fine, const float *restrict coarse,
                             const float *restrict noise, int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        float value = (fine[i] - coarse[i]) / noise[i];
        fine[i] = value < 0.01f ? 0.01f : value;
    }
}

/* What is broader than a hit and narrower than a cloud, in units of the noise: F. */
static void fine_structure(const tile_work *work, aid_rectangle region)
{
    const aid_cosmic_search *search = work->search;
    aid_rectangle wide = aid_cosmic_grown(search, region, search->coarse.side / 2);
    if (search->options->fine_structure == AID_FINE_CONVOLVE)
        for (int32_t y = wide.y0; y < wide.y1; y++)
            convolve_row(search, &work->clean, &work->fine,
                         (aid_rectangle){wide.x0, y, wide.x1, y + 1});
    else
        aid_median_filter_run(&search->fine, &work->clean, &work->fine, &work->scratch, wide);
    aid_median_filter_run(&search->coarse, &work->fine, &work->coarse, &work->scratch, region);
    for (int32_t y = region.y0; y < region.y1; y++)
        fine_row(aid_plane_at(&work->fine, region.x0, y), aid_plane_at(&work->coarse, region.x0, y),
                 aid_plane_at(&work->noise, region.x0, y), region.x1 - region.x0);
}

/* --------------------------------------------------------------------------------- candidates */

static bool is_judged(const aid_cosmic_search *search, int32_t x, int32_t y)
{
    return !(search->state[(int64_t)y * search->width + x] & AID_PIXEL_BLOCKED);
}

static bool any_above(const tile_work *work, aid_rectangle region)
{
    for (int32_t y = region.y0; y < region.y1; y++) {
        const float *row = aid_plane_at(&work->signal, region.x0, y);
        for (int32_t i = 0; i < region.x1 - region.x0; i++)
            if (row[i] > work->search->clip && is_judged(work->search, region.x0 + i, y))
                return true;
    }
    return false;
}

enum { CORE = 1, NEAR = 2 }; /* values of marks */

static void mark_cores(const tile_work *work, aid_rectangle region)
{
    const aid_cosmic_search *search = work->search;
    for (int32_t y = region.y0; y < region.y1; y++) {
        const float *signal = aid_plane_at(&work->signal, region.x0, y);
        const float *fine = aid_plane_at(&work->fine, region.x0, y);
        float *marks = aid_plane_at(&work->marks, region.x0, y);
        for (int32_t i = 0; i < region.x1 - region.x0; i++)
            marks[i] = signal[i] > search->clip && is_judged(search, region.x0 + i, y) &&
                       signal[i] / fine[i] > search->object_limit;
    }
}

/* Whether one of the 3x3 around a pixel has that mark. On the outermost pixels of the image nothing
 * grows. */
static bool beside(const tile_work *work, int32_t x, int32_t y, float least)
{
    const aid_cosmic_search *search = work->search;
    if (x == 0 || y == 0 || x == search->width - 1 || y == search->height - 1)
        return *aid_plane_at(&work->marks, x, y) >= least;
    for (int32_t j = y - 1; j <= y + 1; j++) {
        const float *row = aid_plane_at(&work->marks, x, j);
        if (row[-1] >= least || row[0] >= least || row[1] >= least)
            return true;
    }
    return false;
}

/* Neighbours of a core that are as sharp are of the same hit, whatever their fine structure. They
 * are told from the cores, which do not move meanwhile, by a value in between. */
static void mark_near(const tile_work *work, aid_rectangle region)
{
    const aid_cosmic_search *search = work->search;
    for (int32_t y = region.y0; y < region.y1; y++)
        for (int32_t x = region.x0; x < region.x1; x++) {
            float *mark = aid_plane_at(&work->marks, x, y);
            if (*mark < 1.0f && *aid_plane_at(&work->signal, x, y) > search->clip &&
                is_judged(search, x, y) && beside(work, x, y, 1.0f))
                *mark = 0.5f;
        }
}

static int64_t mark_found(const tile_work *work, int64_t *ret_fresh)
{
    const aid_cosmic_search *search = work->search;
    int64_t fresh = 0, all = 0;
    for (int32_t y = work->tile.y0; y < work->tile.y1; y++)
        for (int32_t x = work->tile.x0; x < work->tile.x1; x++) {
            int64_t at = (int64_t)y * search->width + x;
            bool hit = *aid_plane_at(&work->signal, x, y) > search->neighbour_clip &&
                       !(search->state[at] & AID_PIXEL_BLOCKED) && beside(work, x, y, 0.5f);
            bool core = hit && *aid_plane_at(&work->marks, x, y) >= 0.5f;
            search->found[at] = (uint8_t)((hit ? AID_PIXEL_STRUCK | AID_PIXEL_FOUND : 0) |
                                          (core ? AID_PIXEL_CORE : 0));
            all += hit;
            fresh += hit && !(search->state[at] & AID_PIXEL_STRUCK);
        }
    *ret_fresh = fresh;
    return all;
}

/* ------------------------------------------------------------------------------------ one tile */

static aid_plane plane_of(const aid_cosmic_search *search, int worker, int index,
                          aid_rectangle whole)
{
    int64_t number = (int64_t)worker * AID_COSMIC_PLANES + index;
    return (aid_plane){.data = search->scratch + number * search->scratch_plane,
                       .x0 = whole.x0,
                       .y0 = whole.y0,
                       .stride = whole.x1 - whole.x0};
}

void aid_cosmic_search_tile(const aid_cosmic_search *search, int64_t tile, int worker)
{
    aid_rectangle own = aid_cosmic_tile(search, tile);
    aid_rectangle whole = aid_cosmic_grown(search, own, search->halo);
    tile_work work = {.search = search,
                      .tile = own,
                      .clean = {.data = search->clean, .stride = search->width},
                      .variance = {.data = search->variance, .stride = search->width}};
    aid_plane *const planes[AID_COSMIC_PLANES] = {&work.scratch, &work.noise, &work.signal,
                                                  &work.smooth,  &work.fine,  &work.coarse,
                                                  &work.marks};
    for (int k = 0; k < AID_COSMIC_PLANES; k++)
        *planes[k] = plane_of(search, worker, k, whole);
    aid_rectangle region = aid_cosmic_grown(search, own, 2);
    significance(&work, region);
    search->fresh[tile] = 0;
    if (!any_above(&work, region)) {
        for (int32_t y = own.y0; y < own.y1; y++)
            memset(search->found + (int64_t)y * search->width + own.x0, 0,
                   (size_t)(own.x1 - own.x0));
        return;
    }
    fine_structure(&work, region);
    mark_cores(&work, region);
    mark_near(&work, aid_cosmic_grown(search, own, 1));
    (void)mark_found(&work, &search->fresh[tile]);
}
