#include "domain/calibration/lacosmic.h"

#include "core/base/memory.h"
#include "core/imaging/stats.h"
#include "domain/calibration/lacosmic_internal.h"

#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------------------------ checking */

static aid_status check_shapes(const aid_cosmic_input *input, aid_error *err)
{
    const aid_image *image = input->image, *variance = input->variance;
    if (image->width < 1 || image->height < 1)
        AID_FAIL(err, AID_ERR_INVALID, "%s: there are no pixels to look for cosmic rays in",
                 input->name);
    if (input->mask->width != image->width || input->mask->height != image->height)
        AID_FAIL(err, AID_ERR_INVALID, "%s: the mask has %d x %d pixels, the image %d x %d",
                 input->name, input->mask->width, input->mask->height, image->width, image->height);
    if (variance && variance->data &&
        (variance->width != image->width || variance->height != image->height))
        AID_FAIL(err, AID_ERR_INVALID, "%s: the variance has %d x %d pixels, the image %d x %d",
                 input->name, variance->width, variance->height, image->width, image->height);
    return AID_OK;
}

static aid_status check_options(const char *name, const aid_lacosmic_options *options,
                                aid_error *err)
{
    const struct {
        const char *what;
        double value, least;
    } checks[] = {{"gain", options->gain, 1e-9},
                  {"read noise", options->read_noise_e, 0.0},
                  {"significance", options->sigma_clip, 0.1},
                  {"fraction of it for neighbours", options->sigma_fraction, 0.0},
                  {"object limit", options->object_limit, 0.0},
                  {"FWHM of a star", options->psf_fwhm_px, 0.1},
                  {"number of iterations", options->iterations, 1.0}};
    for (size_t i = 0; i < AID_COUNT_OF(checks); i++)
        if (!(checks[i].value >= checks[i].least && isfinite(checks[i].value)))
            AID_FAIL(err, AID_ERR_INVALID, "%s: %g is no %s to find cosmic rays with", name,
                     checks[i].value, checks[i].what);
    return AID_OK;
}

/* ------------------------------------------------------------------------------------ beginning */

/* A task of the pool: the tiles or bands of a search, and what they work on besides. */
typedef struct cosmic_job {
    aid_cosmic_search *search;
    const aid_cosmic_input *input;
    uint8_t *grown; /* [height][width] */
} cosmic_job;

enum { BAND = 64 };

AID_HOT static void scale_row(const float *restrict in, float factor, int32_t count,
                              float *restrict out)
{
    for (int32_t i = 0; i < count; i++)
        out[i] = in[i] * factor;
}

static aid_status load_band(void *context, int64_t band, int worker, aid_error *err)
{
    (void)worker;
    (void)err;
    const cosmic_job *job = context;
    const aid_cosmic_search *search = job->search;
    int64_t first, last;
    float gain = (float)search->options->gain;
    aid_band_range(search->height, BAND, band, &first, &last);
    for (int32_t y = (int32_t)first; y < last; y++) {
        int64_t at = (int64_t)y * search->width;
        const uint8_t *mask = aid_mask_row(job->input->mask, y);
        const float *image = aid_image_row(job->input->image, y);
        scale_row(image, gain, search->width, search->clean + at);
        if (search->variance)
            scale_row(aid_image_row(job->input->variance, y), gain * gain, search->width,
                      search->variance + at);
        for (int32_t x = 0; x < search->width; x++)
            search->state[at + x] = mask[x] || !isfinite(image[x]) ||
                                    (search->variance && !isfinite(search->variance[at + x]));
    }
    return AID_OK;
}

/* Pixels that are not struck after all get their own values back. */
static aid_status reload_band(void *context, int64_t band, int worker, aid_error *err)
{
    (void)worker;
    (void)err;
    const cosmic_job *job = context;
    const aid_cosmic_search *search = job->search;
    int64_t first, last;
    float gain = (float)search->options->gain;
    aid_band_range(search->height, BAND, band, &first, &last);
    for (int32_t y = (int32_t)first; y < last; y++) {
        float *clean = search->clean + (int64_t)y * search->width;
        const float *image = aid_image_row(job->input->image, y);
        for (int32_t x = 0; x < search->width; x++)
            clean[x] = isfinite(image[x]) ? image[x] * gain : clean[x];
    }
    return AID_OK;
}

/* The median of the sound pixels: fills what has no sound neighbour, and tells the level of the
 * sky. Some 10^5 pixels (an odd number apart, so that no column has a say of its own) tell it well
 * enough; astroscrappy takes all of them. */
static aid_status sound_level(const aid_cosmic_search *search, const float *values,
                              float *ret_level, aid_error *err)
{
    enum { ENOUGH = 1 << 18 };
    AID_CLEANUP(aid_free_pointer)
    float *sound = NULL;
    int64_t count = 0, all = (int64_t)search->width * search->height;
    int64_t step = search->options->settle ? ((all + ENOUGH - 1) / ENOUGH) | 1 : 1;
    AID_TRY(aid_new_buffer((size_t)(all / step + 1), sizeof *sound, "sound pixels", &sound, err));
    for (int64_t i = 0; i < all; i += step)
        if (!(search->state[i] & AID_PIXEL_BLOCKED) && isfinite(values[i]))
            sound[count++] = values[i];
    double level = count > 0 ? aid_median_in_place(sound, count) : 0.0;
    *ret_level = (float)level;
    return AID_OK;
}

/* A pixel without a value is blocked, but the medians around it need a number. */
static float mean_around(const aid_cosmic_search *search, const float *values, int32_t x, int32_t y)
{
    double sum = 0.0;
    int count = 0;
    for (int32_t j = AID_MAX(y - 2, 0); j <= AID_MIN(y + 2, search->height - 1); j++)
        for (int32_t i = AID_MAX(x - 2, 0); i <= AID_MIN(x + 2, search->width - 1); i++) {
            int64_t at = (int64_t)j * search->width + i;
            if (search->state[at] || !isfinite(values[at]))
                continue;
            sum += (double)values[at];
            count++;
        }
    return count ? (float)(sum / count) : NAN;
}

static void fill_missing(const aid_cosmic_search *search, float *values, float level)
{
    for (int32_t y = 0; y < search->height; y++)
        for (int32_t x = 0; x < search->width; x++) {
            float *value = &values[(int64_t)y * search->width + x];
            if (isfinite(*value))
                continue;
            float mean = mean_around(search, values, x, y);
            *value = isfinite(mean) ? mean : level;
        }
}

static bool has_missing(const aid_cosmic_search *search, const float *values)
{
    int64_t all = (int64_t)search->width * search->height;
    for (int64_t i = 0; i < all; i++)
        if (!isfinite(values[i]))
            return true;
    return false;
}

/* ------------------------------------------------------------------------------------ blocking */

/* One pixel of the median filter that tells the noise. */
static float smooth_at(const aid_cosmic_search *search, int32_t x, int32_t y)
{
    float value, lines[64];
    aid_plane image = {.data = search->clean, .stride = search->width};
    aid_plane out = {.data = &value, .x0 = x, .y0 = y, .stride = 1};
    aid_plane scratch = {.data = lines, .x0 = x, .y0 = AID_MAX(y - 4, 0), .stride = 1};
    aid_median_filter_run(&search->noise, &image, &out, &scratch,
                          (aid_rectangle){x, y, x + 1, y + 1});
    return value;
}

/* 5 x 5 without its corners, twice. */
static void block_star(const aid_cosmic_search *search, int32_t x, int32_t y, uint8_t *blocked)
{
    enum { REACH = 4 };
    static const uint8_t half_width[2 * REACH + 1] = {2, 3, 4, 4, 4, 4, 4, 3, 2};
    for (int32_t j = -REACH; j <= REACH; j++) {
        if (y + j < 0 || y + j >= search->height)
            continue;
        int32_t half = half_width[j + REACH];
        int32_t x0 = AID_MAX(x - half, 0), x1 = AID_MIN(x + half, search->width - 1);
        memset(blocked + (int64_t)(y + j) * search->width + x0, AID_PIXEL_BLOCKED,
               (size_t)x1 - (size_t)x0 + 1);
    }
}

/* The 3 x 3 around a masked pixel, but for the outermost pixels of the image. */
static void block_around(const aid_cosmic_search *search, int32_t x, int32_t y, uint8_t *blocked)
{
    blocked[(int64_t)y * search->width + x] = AID_PIXEL_BLOCKED;
    for (int32_t j = AID_MAX(y - 1, 1); j <= AID_MIN(y + 1, search->height - 2); j++)
        for (int32_t i = AID_MAX(x - 1, 1); i <= AID_MIN(x + 1, search->width - 2); i++)
            blocked[(int64_t)j * search->width + i] = AID_PIXEL_BLOCKED;
}

/* Masked pixels and those beside them are left alone; so are the saturated ones of a star, which is
 * bright all around, unlike a hit. */
static void block(const aid_cosmic_search *search, uint8_t *blocked)
{
    double limit = search->options->saturation * search->options->gain;
    float saturation = isfinite(limit) ? (float)limit : INFINITY;
    for (int32_t y = 0; y < search->height; y++)
        for (int32_t x = 0; x < search->width; x++) {
            int64_t at = (int64_t)y * search->width + x;
            if (search->state[at])
                block_around(search, x, y, blocked);
            if (search->clean[at] >= saturation && smooth_at(search, x, y) > saturation / 10.0f)
                block_star(search, x, y, blocked);
        }
}

/* ------------------------------------------------------------------------------------- cleaning */

static float mean_of(const float *values, int count)
{
    float sum = 0.0f;
    for (int k = 0; k < count; k++)
        sum += values[k];
    return sum / (float)count;
}

static int ascending(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static float fill_of(const aid_cosmic_search *search, const float *values, int32_t x, int32_t y,
                     float level)
{
    float around[25];
    int count = 0;
    for (int32_t j = y - 2; j <= y + 2; j++)
        for (int32_t i = x - 2; i <= x + 2; i++) {
            if (i < 0 || j < 0 || i >= search->width || j >= search->height)
                continue;
            int64_t at = (int64_t)j * search->width + i;
            if (!search->state[at])
                around[count++] = values[at];
        }
    if (count == 0)
        return level;
    if (search->options->fill == AID_FILL_MEAN)
        return mean_of(around, count);
    qsort(around, (size_t)count, sizeof *around, ascending);
    return around[(count - 1) / 2];
}

/* Astroscrappy leaves the two outermost pixels as they are. */
static bool is_filled(const aid_cosmic_search *search, int32_t x, int32_t y)
{
    return search->options->settle ||
           (x >= 2 && y >= 2 && x < search->width - 2 && y < search->height - 2);
}

static aid_status clean_tile(void *context, int64_t tile, int worker, aid_error *err)
{
    (void)worker;
    (void)err;
    const aid_cosmic_search *search = ((const cosmic_job *)context)->search;
    if (!search->active[tile])
        return AID_OK;
    aid_rectangle own = aid_cosmic_tile(search, tile);
    for (int32_t y = own.y0; y < own.y1; y++)
        for (int32_t x = own.x0; x < own.x1; x++) {
            int64_t at = (int64_t)y * search->width + x;
            if (!(search->state[at] & AID_PIXEL_STRUCK) || !is_filled(search, x, y))
                continue;
            search->clean[at] = fill_of(search, search->clean, x, y, search->level);
            if (search->variance)
                search->variance[at] =
                    fill_of(search, search->variance, x, y, search->variance_level);
        }
    return AID_OK;
}

/* ------------------------------------------------------------------------------------ iterating */

static aid_status search_tile(void *context, int64_t tile, int worker, aid_error *err)
{
    (void)err;
    const aid_cosmic_search *search = ((const cosmic_job *)context)->search;
    if (search->active[tile])
        aid_cosmic_search_tile(search, tile, worker);
    return AID_OK;
}

static aid_status merge_tile(void *context, int64_t tile, int worker, aid_error *err)
{
    (void)worker;
    (void)err;
    const aid_cosmic_search *search = ((const cosmic_job *)context)->search;
    if (!search->active[tile] || !search->fresh[tile])
        return AID_OK;
    aid_rectangle own = aid_cosmic_tile(search, tile);
    for (int32_t y = own.y0; y < own.y1; y++)
        for (int32_t x = own.x0; x < own.x1; x++) {
            int64_t at = (int64_t)y * search->width + x;
            search->state[at] |= search->found[at];
        }
    return AID_OK;
}

/* A tile is looked at again where it or one of its neighbours has changed: what a pixel depends on
 * lies nearer than a tile's side. Returns how many pixels were struck. */
static int64_t activate(aid_cosmic_search *search)
{
    int64_t tiles_y = search->tiles / search->tiles_x, sum = 0;
    for (int64_t tile = 0; tile < search->tiles; tile++) {
        int64_t x = tile % search->tiles_x, y = tile / search->tiles_x;
        bool active = false;
        for (int64_t j = AID_MAX(y - 1, 0); j <= AID_MIN(y + 1, tiles_y - 1); j++)
            for (int64_t i = AID_MAX(x - 1, 0); i <= AID_MIN(x + 1, search->tiles_x - 1); i++)
                active = active || search->fresh[j * search->tiles_x + i];
        search->active[tile] = active;
        sum += search->fresh[tile];
    }
    return sum;
}

static aid_status iterate(cosmic_job *job, aid_pool *pool, int *ret_iterations, aid_error *err)
{
    aid_cosmic_search *search = job->search;
    memset(search->active, 1, (size_t)search->tiles);
    int iterations = 0;
    while (iterations < search->options->iterations) {
        memset(search->fresh, 0, (size_t)search->tiles * sizeof *search->fresh);
        AID_TRY(aid_pool_run(pool, search->tiles, search_tile, job, err));
        AID_TRY(aid_pool_run(pool, search->tiles, merge_tile, job, err));
        if (activate(search) == 0)
            break;
        iterations++;
        AID_TRY(aid_pool_run(pool, search->tiles, clean_tile, job, err));
    }
    *ret_iterations = iterations;
    return AID_OK;
}

/* ------------------------------------------------------------------------------------- settling */

static aid_status settle_tile(void *context, int64_t tile, int worker, aid_error *err)
{
    (void)worker;
    (void)err;
    aid_cosmic_settle_tile(context, tile);
    return AID_OK;
}

/* Every round judges from the states as the one before left them. */
static aid_status settle(cosmic_job *job, aid_pool *pool, aid_error *err)
{
    aid_cosmic_search *search = job->search;
    enum { ROUNDS = 3 };
    search->narrowest_px = aid_cosmic_narrowest_star(search, job->input->image);
    for (int round = 0; round < ROUNDS; round++) {
        aid_cosmic_settle_input input = {
            .search = search, .image = job->input->image, .growing = round < ROUNDS - 1};
        AID_TRY(aid_pool_run(pool, search->tiles, settle_tile, &input, err));
        uint8_t *settled = search->found;
        search->found = search->state;
        search->state = settled;
    }
    return AID_OK;
}

/* ---------------------------------------------------------------------------------------- setup */

static void make_kernel(aid_cosmic_search *search)
{
    enum { SIDE = AID_COSMIC_KERNEL, HALF = SIDE / 2 };
    double sigma = search->options->psf_fwhm_px / 2.35482, sum = 0.0;
    for (int k = 0; k < SIDE * SIDE; k++) {
        double x = k % SIDE - HALF, y = k / SIDE - HALF;
        search->kernel[k] = (float)exp(-0.5 * (x * x + y * y) / (sigma * sigma));
        sum += (double)search->kernel[k];
    }
    for (int k = 0; k < SIDE * SIDE; k++)
        search->kernel[k] /= (float)sum;
}

static void set_up(aid_cosmic_search *search)
{
    const aid_lacosmic_options *options = search->options;
    bool lines = options->separable;
    int32_t width = search->width, height = search->height;
    search->clip = (float)options->sigma_clip;
    search->neighbour_clip = (float)options->sigma_fraction * search->clip;
    search->object_limit = (float)options->object_limit;
    search->read_variance = (float)options->read_noise_e * (float)options->read_noise_e;
    search->halo = options->fine_structure == AID_FINE_CONVOLVE ? 9 : 8;
    search->noise = search->signal = aid_median_filter_of(lines ? 7 : 5, lines, width, height);
    search->fine = aid_median_filter_of(lines ? 5 : 3, lines, width, height);
    search->coarse = aid_median_filter_of(lines ? 9 : 7, lines, width, height);
    search->tiles_x = aid_band_count(width, AID_COSMIC_TILE_WIDTH);
    search->tiles = search->tiles_x * aid_band_count(height, AID_COSMIC_TILE_HEIGHT);
    search->scratch_plane = (int64_t)(AID_COSMIC_TILE_WIDTH + 2 * search->halo) *
                            (AID_COSMIC_TILE_HEIGHT + 2 * search->halo);
    make_kernel(search);
}

static void search_done(aid_cosmic_search *search)
{
    free(search->clean);
    free(search->variance);
    free(search->state);
    free(search->found);
    free(search->active);
    free(search->fresh);
    free(search->scratch);
    *search = (aid_cosmic_search){0};
}

static aid_status allocate(aid_cosmic_search *search, bool variance, int threads, aid_error *err)
{
    size_t pixels = (size_t)search->width * (size_t)search->height, tiles = (size_t)search->tiles;
    size_t planes = (size_t)threads * AID_COSMIC_PLANES;
    AID_TRY(aid_new_buffer(pixels, sizeof(float), "clean image", &search->clean, err));
    if (variance)
        AID_TRY(aid_new_buffer(pixels, sizeof(float), "clean variance", &search->variance, err));
    AID_TRY(aid_new_array(pixels, 1, "states of pixels", &search->state, err));
    AID_TRY(aid_new_array(pixels, 1, "hits of an iteration", &search->found, err));
    AID_TRY(aid_new_array(tiles, 1, "tiles", &search->active, err));
    AID_TRY(aid_new_array(tiles, sizeof *search->fresh, "tiles", &search->fresh, err));
    return aid_new_array(planes * (size_t)search->scratch_plane, sizeof(float), "tiles",
                         &search->scratch, err);
}

static aid_status load(cosmic_job *job, aid_pool *pool, aid_error *err)
{
    aid_cosmic_search *search = job->search;
    AID_TRY(aid_pool_run(pool, aid_band_count(search->height, BAND), load_band, job, err));
    AID_TRY(sound_level(search, search->clean, &search->level, err));
    if (has_missing(search, search->clean))
        fill_missing(search, search->clean, search->level);
    if (search->variance) {
        AID_TRY(sound_level(search, search->variance, &search->variance_level, err));
        if (has_missing(search, search->variance))
            fill_missing(search, search->variance, search->variance_level);
    }
    search->level_variance = search->variance
                                 ? (double)search->variance_level
                                 : fmax((double)search->level, 0.0) + (double)search->read_variance;
    block(search, search->found); /* zeroed, and free so far */
    uint8_t *blocked = search->found;
    search->found = search->state;
    search->state = blocked;
    return AID_OK;
}

/* -------------------------------------------------------------------------------------- results */

/* Collects the struck pixels that touch `start`, be it by a corner, each once, and unmarks them.
 * Returns how many; ret_seeded tells whether one of them is a hit by itself. */
static int64_t collect(const aid_cosmic_search *search, int64_t start, int64_t *group,
                       bool *ret_seeded)
{
    int64_t count = 0, next = 0;
    bool seeded = false;
    group[count++] = start;
    search->state[start] &= (uint8_t)~AID_PIXEL_STRUCK;
    while (next < count) {
        int64_t at = group[next++];
        seeded = seeded || search->state[at] & AID_PIXEL_SEED;
        int32_t x = (int32_t)(at % search->width), y = (int32_t)(at / search->width);
        for (int32_t j = AID_MAX(y - 1, 0); j <= AID_MIN(y + 1, search->height - 1); j++)
            for (int32_t i = AID_MAX(x - 1, 0); i <= AID_MIN(x + 1, search->width - 1); i++) {
                int64_t other = (int64_t)j * search->width + i;
                if (!(search->state[other] & AID_PIXEL_STRUCK))
                    continue;
                search->state[other] &= (uint8_t)~AID_PIXEL_STRUCK;
                group[count++] = other;
            }
    }
    *ret_seeded = seeded;
    return count;
}

/* How each pixel of a group compares with a star. A group that has a star's shape where it is
 * bright enough for that to be seen, and nowhere anything sharper, is one. */
static bool is_star(const cosmic_job *job, const int64_t *group, int64_t count)
{
    const aid_cosmic_search *search = job->search;
    bool like_a_star = false, too_sharp = false;
    for (int64_t k = 0; k < count; k++) {
        int32_t x = (int32_t)(group[k] % search->width), y = (int32_t)(group[k] / search->width);
        aid_cosmic_verdict verdict = aid_cosmic_compare_with_star(search, job->input->image, x, y);
        too_sharp = too_sharp || verdict == AID_COSMIC_TOO_SHARP;
        like_a_star = like_a_star || verdict == AID_COSMIC_LIKE_A_STAR;
        if (verdict == AID_COSMIC_TOO_SHARP)
            search->state[group[k]] |= AID_PIXEL_SHARP;
        if (verdict == AID_COSMIC_LIKE_A_STAR)
            search->state[group[k]] |= AID_PIXEL_STARLIKE;
    }
    return like_a_star && !too_sharp;
}

/* The part of a group that lies on a star and away from what is sharp belongs to the star. */
static bool is_of_the_hit(const aid_cosmic_search *search, int64_t at)
{
    int32_t x = (int32_t)(at % search->width), y = (int32_t)(at / search->width);
    if (!(search->state[at] & AID_PIXEL_STARLIKE))
        return true;
    for (int32_t j = AID_MAX(y - 1, 0); j <= AID_MIN(y + 1, search->height - 1); j++)
        for (int32_t i = AID_MAX(x - 1, 0); i <= AID_MIN(x + 1, search->width - 1); i++)
            if (search->state[(int64_t)j * search->width + i] & AID_PIXEL_SHARP)
                return true;
    return false;
}

/* No particle goes along one column for that long: a bad one. */
static bool is_line(const aid_cosmic_search *search, const int64_t *group, int64_t count)
{
    enum { LONG = 64, WIDE = 3 };
    int32_t x0 = INT32_MAX, y0 = INT32_MAX, x1 = -1, y1 = -1;
    for (int64_t k = 0; k < count; k++) {
        int32_t x = (int32_t)(group[k] % search->width), y = (int32_t)(group[k] / search->width);
        x0 = AID_MIN(x0, x);
        x1 = AID_MAX(x1, x);
        y0 = AID_MIN(y0, y);
        y1 = AID_MAX(y1, y);
    }
    int32_t width = x1 - x0 + 1, height = y1 - y0 + 1;
    return AID_MAX(width, height) >= LONG && AID_MIN(width, height) <= WIDE;
}

static void keep_group(const cosmic_job *job, const int64_t *group, int64_t count,
                       aid_cosmics *cosmics)
{
    const aid_cosmic_search *search = job->search;
    bool settle = search->options->settle, line = settle && is_line(search, group, count);
    if (settle && !line && is_star(job, group, count))
        return;
    int64_t kept = 0;
    for (int64_t k = 0; k < count; k++)
        if (line || is_of_the_hit(search, group[k])) {
            search->found[group[k]] = (uint8_t)(AID_PIXEL_STRUCK | (line ? AID_PIXEL_LINE : 0));
            kept++;
        }
    cosmics->hits += line ? 0 : 1;
    *(line ? &cosmics->line_pixels : &cosmics->pixels) += kept;
}

/* Groups into search->found: what is left there is a hit. Counts pixels and groups. */
static aid_status keep_hits(cosmic_job *job, aid_cosmics *cosmics, aid_error *err)
{
    aid_cosmic_search *search = job->search;
    AID_CLEANUP(aid_free_pointer)
    int64_t *group = NULL;
    int64_t all = (int64_t)search->width * search->height, struck = 0;
    for (int64_t i = 0; i < all; i++)
        struck += search->state[i] & AID_PIXEL_STRUCK ? 1 : 0;
    AID_TRY(aid_new_array((size_t)struck + 1, sizeof *group, "hits", &group, err));
    memset(search->found, 0, (size_t)search->width * (size_t)search->height);
    for (int64_t i = 0; i < all; i++) {
        if (!(search->state[i] & AID_PIXEL_STRUCK))
            continue;
        bool seeded;
        int64_t count = collect(search, i, group, &seeded);
        if (seeded || !search->options->settle)
            keep_group(job, group, count, cosmics);
    }
    for (int64_t i = 0; i < all; i++)
        search->state[i] |= search->found[i];
    return AID_OK;
}

/* The settled hits are filled afresh, each from what is sound beside it by now. */
static aid_status put_clean(cosmic_job *job, aid_pool *pool, aid_image *ret_clean, aid_error *err)
{
    aid_cosmic_search *search = job->search;
    const aid_image *image = job->input->image;
    aid_image clean;
    if (search->options->settle) {
        memset(search->active, 1, (size_t)search->tiles);
        AID_TRY(aid_pool_run(pool, aid_band_count(search->height, BAND), reload_band, job, err));
        AID_TRY(aid_pool_run(pool, search->tiles, clean_tile, job, err));
    }
    AID_TRY(aid_image_copy(image, &clean, err));
    float gain = (float)search->options->gain;
    for (int32_t y = 0; y < search->height; y++)
        for (int32_t x = 0; x < search->width; x++) {
            int64_t at = (int64_t)y * search->width + x;
            if (search->state[at] & AID_PIXEL_STRUCK && is_filled(search, x, y))
                aid_image_row(&clean, y)[x] = search->clean[at] / gain;
        }
    *ret_clean = clean;
    return AID_OK;
}

static void put_mask(const aid_cosmic_search *search, aid_mask *mask)
{
    int64_t all = (int64_t)search->width * search->height;
    for (int64_t i = 0; i < all; i++)
        if (search->state[i] & AID_PIXEL_STRUCK)
            mask->data[i] |= search->state[i] & AID_PIXEL_LINE ? AID_MASK_BAD : AID_MASK_COSMIC_RAY;
}

static aid_status find(cosmic_job *job, aid_pool *pool, aid_cosmics *ret_cosmics, aid_error *err)
{
    aid_cosmic_search *search = job->search;
    const aid_image *variance = job->input->variance;
    aid_cosmics cosmics = {0};
    set_up(search);
    AID_TRY(allocate(search, variance && variance->data, aid_pool_threads(pool), err));
    AID_TRY(load(job, pool, err));
    AID_TRY(iterate(job, pool, &cosmics.iterations, err));
    if (search->options->settle)
        AID_TRY(settle(job, pool, err));
    AID_TRY(keep_hits(job, &cosmics, err));
    if (search->options->want_clean)
        AID_TRY(put_clean(job, pool, &cosmics.clean, err));
    put_mask(search, job->input->mask);
    *ret_cosmics = cosmics;
    return AID_OK;
}

void aid_cosmics_done(aid_cosmics *cosmics)
{
    aid_image_done(&cosmics->clean);
    *cosmics = (aid_cosmics){0};
}

aid_status aid_find_cosmic_rays(const aid_cosmic_input *input, const aid_lacosmic_options *options,
                                aid_pool *pool, aid_cosmics *ret_cosmics, aid_error *err)
{
    AID_TRY(check_shapes(input, err));
    AID_TRY(check_options(input->name, options, err));
    aid_cosmic_search search = {
        .options = options, .width = input->image->width, .height = input->image->height};
    cosmic_job job = {.search = &search, .input = input};
    aid_status status = find(&job, pool, ret_cosmics, err);
    search_done(&search);
    return status;
}
