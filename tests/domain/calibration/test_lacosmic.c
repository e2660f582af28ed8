/* L.A.Cosmic against a naive twin, against astroscrappy 1.1.0 on its own fixture, and against
 * simulated hits. */
#include "adapters/fits/fits.h"
#include "core/base/random.h"
#include "domain/calibration/lacosmic.h"
#include "tests/check.h"

#include <unistd.h>

static aid_error err;

static aid_pool *pool_of(int threads)
{
    aid_pool *pool;
    CHECK_OK(aid_pool_new(threads, &pool, &err));
    return pool;
}

/* --------------------------------------------------------------------------------- a struck sky */

typedef struct scene {
    aid_image image;
    aid_image truth; /* charge of hits, e- */
    aid_mask mask;
} scene;

static void scene_done(scene *made)
{
    aid_image_done(&made->image);
    aid_image_done(&made->truth);
    aid_mask_done(&made->mask);
}

static void add_star(aid_image *image, double x, double y, double flux, double fwhm)
{
    double sigma = fwhm / 2.3548;
    const int32_t reach = 20, x0 = (int32_t)x, y0 = (int32_t)y;
    for (int32_t j = AID_MAX(y0 - reach, 0); j < AID_MIN(y0 + reach, image->height); j++)
        for (int32_t i = AID_MAX(x0 - reach, 0); i < AID_MIN(x0 + reach, image->width); i++) {
            double r2 = (i - x) * (i - x) + (j - y) * (j - y);
            aid_image_row(image, j)[i] +=
                (float)(flux / (6.2832 * sigma * sigma) * exp(-0.5 * r2 / (sigma * sigma)));
        }
}

enum { STARS = 12 };
static double star_x(int k, int32_t width)
{
    return fmod(17.3 + 61.7 * k, width - 24.0) + 12.0;
}
static double star_y(int k, int32_t height)
{
    return fmod(29.1 + 43.9 * k, height - 24.0) + 12.0;
}

/* Sky of 300 e-, read noise 6 e-, stars of FWHM 3 px up to 3e5 e-, straight hits of 1200 e- a
 * pixel. */
static scene struck_sky(int32_t width, int32_t height, int hits)
{
    scene made;
    CHECK_OK(aid_image_init(width, height, &made.image, &err));
    CHECK_OK(aid_image_init(width, height, &made.truth, &err));
    CHECK_OK(aid_mask_init(width, height, &made.mask, &err));
    aid_random random = aid_random_seeded(7, 0);
    for (int k = 0; k < STARS; k++)
        add_star(&made.image, star_x(k, width), star_y(k, height), 2000.0 * pow(1.6, k), 3.0);
    for (int k = 0; k < hits; k++) {
        double x = 3.0 + (width - 7.0) * aid_random_uniform(&random);
        double y = 3.0 + (height - 7.0) * aid_random_uniform(&random);
        double angle = 3.14159 * aid_random_uniform(&random);
        for (double s = 0.0; s < 5.0; s += 1.0) {
            int32_t i = AID_CLAMP((int32_t)lround(x + s * cos(angle)), 0, width - 1);
            int32_t j = AID_CLAMP((int32_t)lround(y + s * sin(angle)), 0, height - 1);
            aid_image_row(&made.truth, j)[i] += 1200.0f;
        }
    }
    for (int32_t j = 0; j < height; j++)
        for (int32_t i = 0; i < width; i++) {
            float *pixel = aid_image_row(&made.image, j) + i;
            double light = (double)*pixel + 300.0 + (double)aid_image_row(&made.truth, j)[i];
            *pixel = (float)(aid_random_poisson(&random, light) + 6.0 * aid_random_normal(&random));
        }
    return made;
}

static aid_status search(scene *on, const aid_lacosmic_options *options, aid_pool *pool,
                         aid_cosmics *ret_cosmics)
{
    aid_cosmic_input input = {.name = "sky.fits", .image = &on->image, .mask = &on->mask};
    return aid_find_cosmic_rays(&input, options, pool, ret_cosmics, &err);
}

/* ------------------------------------------------------------------------------- the naive twin
 * The paper's steps one after the other on whole arrays, pixel by pixel, medians by sorting. */

typedef struct grid {
    int w, h;
    float *v;
} grid;

static grid grid_of(int w, int h)
{
    grid made = {w, h, calloc((size_t)w * (size_t)h, sizeof(float))};
    CHECK(made.v != NULL);
    return made;
}

static float *at(const grid *g, int x, int y)
{
    return &g->v[(size_t)y * (size_t)g->w + (size_t)x];
}

static int ascending(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static grid naive_median(const grid *in, int side)
{
    int half = side / 2;
    grid out = grid_of(in->w, in->h);
    for (int y = 0; y < in->h; y++)
        for (int x = 0; x < in->w; x++) {
            float window[81];
            int count = 0;
            bool inside = x >= half && y >= half && x < in->w - half && y < in->h - half;
            for (int k = 0; inside && k < side * side; k++)
                window[count++] = *at(in, x + k % side - half, y + k / side - half);
            qsort(window, (size_t)count, sizeof *window, ascending);
            *at(&out, x, y) = inside ? window[count / 2] : *at(in, x, y);
        }
    return out;
}

/* The image at twice the resolution, its Laplacian where positive, back to the old resolution. */
static grid naive_laplacian(const grid *in)
{
    grid twice = grid_of(2 * in->w, 2 * in->h), sharp = grid_of(2 * in->w, 2 * in->h);
    grid out = grid_of(in->w, in->h);
    for (int y = 0; y < twice.h; y++)
        for (int x = 0; x < twice.w; x++)
            *at(&twice, x, y) = *at(in, x / 2, y / 2);
    for (int y = 0; y < twice.h; y++)
        for (int x = 0; x < twice.w; x++) {
            float sum = 4.0f * *at(&twice, x, y);
            sum -= x + 1 < twice.w ? *at(&twice, x + 1, y) : 0.0f;
            sum -= x > 0 ? *at(&twice, x - 1, y) : 0.0f;
            sum -= y + 1 < twice.h ? *at(&twice, x, y + 1) : 0.0f;
            sum -= y > 0 ? *at(&twice, x, y - 1) : 0.0f;
            *at(&sharp, x, y) = sum > 0.0f ? sum : 0.0f;
        }
    for (int y = 0; y < in->h; y++)
        for (int x = 0; x < in->w; x++) {
            float sum = *at(&sharp, 2 * x, 2 * y) + *at(&sharp, 2 * x, 2 * y + 1);
            sum += *at(&sharp, 2 * x + 1, 2 * y + 1);
            *at(&out, x, y) = (sum + *at(&sharp, 2 * x + 1, 2 * y)) / 4.0f;
        }
    free(twice.v);
    free(sharp.v);
    return out;
}

/* marks = above the limit and beside a mark; the outermost pixels do not grow. */
static void naive_grow(grid *marks, const grid *signal, float limit)
{
    grid old = grid_of(marks->w, marks->h);
    memcpy(old.v, marks->v, (size_t)marks->w * (size_t)marks->h * sizeof(float));
    for (int y = 0; y < marks->h; y++)
        for (int x = 0; x < marks->w; x++) {
            bool border = x == 0 || y == 0 || x == marks->w - 1 || y == marks->h - 1;
            bool beside = *at(&old, x, y) > 0.0f;
            for (int k = 0; !border && k < 9; k++)
                beside = beside || *at(&old, x + k % 3 - 1, y + k / 3 - 1) > 0.0f;
            *at(marks, x, y) = beside && *at(signal, x, y) > limit;
        }
    free(old.v);
}

static grid naive_hits(const grid *clean, const aid_lacosmic_options *options)
{
    grid signal = naive_laplacian(clean), noise = naive_median(clean, 5), marks;
    size_t all = (size_t)clean->w * (size_t)clean->h;
    float read = (float)options->read_noise_e * (float)options->read_noise_e;
    for (size_t i = 0; i < all; i++) {
        noise.v[i] = sqrtf(fmaxf(noise.v[i] + read, 0.00001f));
        signal.v[i] /= 2.0f * noise.v[i];
    }
    grid smooth = naive_median(&signal, 5), fine = naive_median(clean, 3);
    grid coarse = naive_median(&fine, 7);
    marks = grid_of(clean->w, clean->h);
    for (size_t i = 0; i < all; i++) {
        signal.v[i] -= smooth.v[i];
        float structure = fmaxf((fine.v[i] - coarse.v[i]) / noise.v[i], 0.01f);
        marks.v[i] = signal.v[i] > (float)options->sigma_clip &&
                     signal.v[i] / structure > (float)options->object_limit;
    }
    naive_grow(&marks, &signal, (float)options->sigma_clip);
    naive_grow(&marks, &signal, (float)options->sigma_fraction * (float)options->sigma_clip);
    free(signal.v);
    free(noise.v);
    free(smooth.v);
    free(fine.v);
    free(coarse.v);
    return marks;
}

static void naive_fill(grid *clean, const grid *hits)
{
    for (int y = 2; y < clean->h - 2; y++)
        for (int x = 2; x < clean->w - 2; x++) {
            float sum = 0.0f;
            int count = 0;
            for (int k = 0; k < 25 && *at(hits, x, y) > 0.0f; k++) {
                int i = x + k % 5 - 2, j = y + k / 5 - 2;
                sum += *at(hits, i, j) > 0.0f ? 0.0f : *at(clean, i, j);
                count += *at(hits, i, j) > 0.0f ? 0 : 1;
            }
            if (count > 0)
                *at(clean, x, y) = sum / (float)count;
        }
}

/* Odd sizes that are no multiple of a tile. */
TEST(full_medians_find_and_fill_the_same_pixels_as_the_naive_twin)
{
    scene sky = struck_sky(301, 139, 60);
    aid_lacosmic_options options = AID_LACOSMIC_COMPATIBLE;
    options.separable = false;
    options.want_clean = true;
    options.saturation = NAN;
    aid_cosmics cosmics;
    CHECK_OK(search(&sky, &options, NULL, &cosmics));
    grid clean = grid_of(301, 139), hits = grid_of(301, 139);
    memcpy(clean.v, sky.image.data, (size_t)301 * 139 * sizeof(float));
    for (int iteration = 0; iteration < options.iterations; iteration++) {
        grid found = naive_hits(&clean, &options);
        for (size_t i = 0; i < (size_t)301 * 139; i++)
            hits.v[i] = fmaxf(hits.v[i], found.v[i]);
        naive_fill(&clean, &hits);
        free(found.v);
    }
    int64_t marked = 0;
    for (size_t i = 0; i < (size_t)301 * 139; i++) {
        CHECK_EQUAL(sky.mask.data[i], hits.v[i] > 0.0f ? AID_MASK_COSMIC_RAY : 0);
        CHECK(cosmics.clean.data[i] == clean.v[i]);
        marked += hits.v[i] > 0.0f;
    }
    CHECK_EQUAL(cosmics.pixels, marked);
    CHECK(marked > 150); /* 60 hits of 4 to 5 pixels */
    free(clean.v);
    free(hits.v);
    aid_cosmics_done(&cosmics);
    scene_done(&sky);
}

/* ---------------------------------------------------------------------------------- astroscrappy
 */

/* FNV-1a over the index and the filled value of each struck pixel. */
static uint64_t fingerprint(const aid_mask *mask, const aid_image *clean)
{
    uint64_t hash = 14695981039346656037ULL;
    for (int64_t i = 0; i < (int64_t)mask->width * mask->height; i++) {
        uint32_t words[2] = {(uint32_t)i, 0};
        memcpy(&words[1], &clean->data[i], sizeof words[1]);
        for (int k = 0; k < 2 && mask->data[i]; k++)
            hash = (hash ^ words[k]) * 1099511628211ULL;
    }
    return hash;
}

typedef struct reference_run {
    bool variance, separable;
    aid_fine_structure fine;
    aid_cosmic_fill fill;
    int pixels;
    uint64_t fingerprint;
} reference_run;

/* astroscrappy 1.1.0: detect_cosmics(SCI, invar=None or VAR, gain=1.933, readnoise=4.24, sepmed,
 * fsmode, cleantype meanmask or medmask). */
static const reference_run reference_runs[] = {
    {false, true, AID_FINE_MEDIAN, AID_FILL_MEAN, 169, 0x7cf190fd03d5648fULL},
    {false, true, AID_FINE_MEDIAN, AID_FILL_MEDIAN, 173, 0xd37f25b6de806c17ULL},
    {false, true, AID_FINE_CONVOLVE, AID_FILL_MEAN, 8, 0x3db961cef8ee36b0ULL},
    {false, true, AID_FINE_CONVOLVE, AID_FILL_MEDIAN, 9, 0xcf557516f0629facULL},
    {false, false, AID_FINE_MEDIAN, AID_FILL_MEAN, 99, 0x3cde1ff27c26a970ULL},
    {false, false, AID_FINE_MEDIAN, AID_FILL_MEDIAN, 99, 0x08b95cbb2e957578ULL},
    {false, false, AID_FINE_CONVOLVE, AID_FILL_MEAN, 7, 0xf079939043756ac1ULL},
    {false, false, AID_FINE_CONVOLVE, AID_FILL_MEDIAN, 8, 0x980b56bbad8c628eULL},
    {true, true, AID_FINE_MEDIAN, AID_FILL_MEAN, 157, 0x015cd52a51e4e905ULL},
    {true, true, AID_FINE_MEDIAN, AID_FILL_MEDIAN, 164, 0x0499bd598ac6248dULL},
    {true, true, AID_FINE_CONVOLVE, AID_FILL_MEAN, 7, 0xeb5de9c71720593bULL},
    {true, true, AID_FINE_CONVOLVE, AID_FILL_MEDIAN, 12, 0x84308f112e789fd8ULL},
    {true, false, AID_FINE_MEDIAN, AID_FILL_MEAN, 85, 0x1555ec30342d1fffULL},
    {true, false, AID_FINE_MEDIAN, AID_FILL_MEDIAN, 96, 0xbc3b8b492e057387ULL},
    {true, false, AID_FINE_CONVOLVE, AID_FILL_MEAN, 7, 0xf079939043756ac1ULL},
    {true, false, AID_FINE_CONVOLVE, AID_FILL_MEDIAN, 7, 0x5450bf8bbc8ea9f5ULL},
};

TEST(the_compatible_settings_give_the_bytes_of_astroscrappy_on_its_fixture)
{
    static const char path[] = "../shared/data/astroscrappy/gmos.fits";
    if (access(path, R_OK) != 0)
        check_skip("no ../shared/data");
    aid_fits_image file, variance;
    aid_fits_read_options of_image = {.hdu = "SCI"}, of_variance = {.hdu = "VAR"};
    CHECK_OK(aid_fits_read(path, &of_image, &file, &err));
    CHECK_OK(aid_fits_read(path, &of_variance, &variance, &err));
    for (size_t k = 0; k < AID_COUNT_OF(reference_runs); k++) {
        const reference_run *run = &reference_runs[k];
        aid_lacosmic_options options = AID_LACOSMIC_COMPATIBLE;
        options.gain = 1.933;
        options.read_noise_e = 4.24;
        options.saturation = 65536.0 / 1.933;
        options.separable = run->separable;
        options.fine_structure = run->fine;
        options.fill = run->fill;
        options.want_clean = true;
        aid_mask mask;
        CHECK_OK(aid_mask_init(file.image.width, file.image.height, &mask, &err));
        aid_cosmic_input input = {.name = "gmos.fits",
                                  .image = &file.image,
                                  .variance = run->variance ? &variance.image : NULL,
                                  .mask = &mask};
        aid_cosmics cosmics;
        CHECK_OK(aid_find_cosmic_rays(&input, &options, NULL, &cosmics, &err));
        CHECK_EQUAL(cosmics.pixels, run->pixels);
        CHECK(fingerprint(&mask, &cosmics.clean) == run->fingerprint);
        aid_cosmics_done(&cosmics);
        aid_mask_done(&mask);
    }
    aid_fits_image_done(&file);
    aid_fits_image_done(&variance);
}

/* -------------------------------------------------------------------------------------- results */

/* Each pixel of a hit has 1200 e- on a noise of 39 e-: above 5 sigma of the sky they are all to be
 * found but for what lies on the brightest stars; noise above the 3.4 sigma of a member has a
 * chance of 3e-4, and some 6000 pixels are beside a hit. */
TEST(hits_are_found_whole_and_little_else_is)
{
    scene sky = struck_sky(600, 400, 250);
    aid_lacosmic_options options = AID_LACOSMIC_DEFAULTS;
    options.read_noise_e = 6.0;
    options.want_clean = true;
    aid_cosmics cosmics;
    CHECK_OK(search(&sky, &options, NULL, &cosmics));
    int64_t there = 0, found = 0, wrong = 0;
    double residual = 0.0;
    for (int64_t i = 0; i < 600 * 400; i++) {
        bool hit = sky.truth.data[i] > 0.0f, marked = sky.mask.data[i] & AID_MASK_COSMIC_RAY;
        there += hit;
        found += hit && marked;
        wrong += !hit && marked;
        residual += marked ? (double)cosmics.clean.data[i] - 300.0 : 0.0;
    }
    CHECK(there > 900);
    CHECK((double)found > 0.99 * (double)there);
    CHECK(wrong <= 12);
    CHECK_EQUAL(cosmics.pixels, found + wrong);
    CHECK(cosmics.hits >= 225 && cosmics.hits <= 260); /* some overlap */
    /* Filled by the mean of 10 and more neighbours: noise below 6 e-, and some lie beside stars. */
    CHECK_NEAR(residual / (double)cosmics.pixels, 0.0, 25.0);
    aid_cosmics_done(&cosmics);
    scene_done(&sky);
}

TEST(a_sky_of_stars_without_hits_keeps_the_cores_of_all_of_them)
{
    scene sky = struck_sky(600, 400, 0);
    aid_lacosmic_options options = AID_LACOSMIC_DEFAULTS;
    options.read_noise_e = 6.0;
    aid_cosmics cosmics;
    CHECK_OK(search(&sky, &options, NULL, &cosmics));
    for (int k = 0; k < STARS; k++)
        for (int j = -2; j <= 2; j++)
            for (int i = -2; i <= 2; i++) {
                int x = (int)lround(star_x(k, 600)) + i, y = (int)lround(star_y(k, 400)) + j;
                CHECK_EQUAL(aid_mask_row(&sky.mask, y)[x], 0);
            }
    CHECK(cosmics.pixels <= 3); /* of noise: 240 000 pixels above 5 sigma, 3e-7 each */
    CHECK(cosmics.clean.data == NULL);
    aid_cosmics_done(&cosmics);
    scene_done(&sky);
}

/* Stars of a FWHM of 1.9 px are sharp enough for the Laplacian test: of these 400, it takes most of
 * the bright ones for hits, as the check of the compatible settings shows. */
TEST(stars_that_are_hardly_resolved_are_no_hits_and_hits_among_them_are)
{
    enum { SIDE = 320, GRID = 16 };
    for (int settle = 0; settle < 2; settle++) {
        scene sky = struck_sky(SIDE, SIDE, 60);
        aid_random random = aid_random_seeded(3, 0);
        aid_image light;
        CHECK_OK(aid_image_init(SIDE, SIDE, &light, &err));
        for (int k = 0; k < 400; k++)
            add_star(&light, GRID * (k % 20) + 4.0 + 8.0 * aid_random_uniform(&random),
                     GRID * (k / 20) + 4.0 + 8.0 * aid_random_uniform(&random),
                     1000.0 * pow(100.0, aid_random_uniform(&random)), 1.9);
        int64_t on_stars = 0, in_hits = 0, found = 0;
        for (int64_t i = 0; i < SIDE * SIDE; i++)
            sky.image.data[i] += (float)aid_random_poisson(&random, (double)light.data[i]);
        aid_lacosmic_options options = AID_LACOSMIC_DEFAULTS;
        options.read_noise_e = 6.0;
        options.settle = settle;
        aid_cosmics cosmics;
        CHECK_OK(search(&sky, &options, NULL, &cosmics));
        for (int64_t i = 0; i < SIDE * SIDE; i++) {
            bool marked = sky.mask.data[i] & AID_MASK_COSMIC_RAY, hit = sky.truth.data[i] > 0.0f;
            on_stars += marked && !hit && light.data[i] > 300.0f;
            in_hits += hit && light.data[i] < 30.0f;
            found += marked && hit && light.data[i] < 30.0f;
        }
        CHECK(settle ? on_stars < 40 : on_stars > 1000);
        CHECK((double)found > 0.95 * (double)in_hits);
        aid_image_done(&light);
        aid_cosmics_done(&cosmics);
        scene_done(&sky);
    }
}

/* A variance image that says what gain and read noise would say leads to the same hits, but for
 * those few pixels at the very limits: the noise is the median of a slightly other quantity. */
TEST(a_variance_image_takes_the_place_of_gain_and_read_noise)
{
    scene one = struck_sky(400, 300, 100), other = struck_sky(400, 300, 100);
    aid_lacosmic_options options = AID_LACOSMIC_DEFAULTS;
    aid_image variance;
    aid_cosmics with, without;
    CHECK_OK(aid_image_copy(&one.image, &variance, &err));
    for (int64_t i = 0; i < 400 * 300; i++)
        variance.data[i] = fmaxf(variance.data[i], 0.0f) + 36.0f;
    options.read_noise_e = 6.0;
    CHECK_OK(search(&one, &options, NULL, &without));
    options.read_noise_e = 1e6; /* of no account */
    for (int64_t i = 0; i < 400 * 300; i++)
        other.image.data[i] -= 300.0f; /* nor is the sky */
    aid_cosmic_input input = {
        .name = "sky.fits", .image = &other.image, .variance = &variance, .mask = &other.mask};
    CHECK_OK(aid_find_cosmic_rays(&input, &options, NULL, &with, &err));
    int64_t differ = 0;
    for (int64_t i = 0; i < 400 * 300; i++)
        differ += one.mask.data[i] != other.mask.data[i];
    CHECK(with.pixels > 400);
    CHECK((double)differ < 0.01 * (double)with.pixels);
    aid_cosmics_done(&with);
    aid_cosmics_done(&without);
    aid_image_done(&variance);
    scene_done(&one);
    scene_done(&other);
}

TEST(masked_and_missing_pixels_are_neither_judged_nor_changed)
{
    scene sky = struck_sky(300, 200, 40);
    aid_lacosmic_options options = AID_LACOSMIC_DEFAULTS;
    options.read_noise_e = 6.0;
    options.want_clean = true;
    for (int32_t y = 0; y < 200; y++) { /* a hot column and a dead one */
        aid_image_row(&sky.image, y)[100] = 30000.0f;
        aid_mask_row(&sky.mask, y)[100] = AID_MASK_BAD;
        aid_image_row(&sky.image, y)[200] = NAN;
    }
    aid_cosmics cosmics;
    CHECK_OK(search(&sky, &options, NULL, &cosmics));
    for (int32_t y = 0; y < 200; y++) {
        CHECK_EQUAL(aid_mask_row(&sky.mask, y)[100], AID_MASK_BAD);
        CHECK_EQUAL(aid_mask_row(&sky.mask, y)[200], 0);
        CHECK_NEAR(aid_image_row(&cosmics.clean, y)[100], 30000.0, 0.0);
        CHECK(isnan(aid_image_row(&cosmics.clean, y)[200]));
    }
    for (int64_t i = 0; i < 300 * 200; i++) /* the fill took nothing from either */
        if (sky.mask.data[i] & AID_MASK_COSMIC_RAY)
            CHECK(cosmics.clean.data[i] < 3000.0f && isfinite(cosmics.clean.data[i]));
    CHECK(cosmics.hits > 30);
    aid_cosmics_done(&cosmics);
    scene_done(&sky);
}

TEST(a_column_that_is_too_bright_is_bad_and_no_hit)
{
    scene sky = struck_sky(300, 200, 0);
    for (int32_t y = 40; y < 150; y++)
        aid_image_row(&sky.image, y)[150] += 800.0f;
    for (int32_t y = 30; y < 60; y++) /* so long may a hit be */
        aid_image_row(&sky.image, y)[50] += 800.0f;
    aid_lacosmic_options options = AID_LACOSMIC_DEFAULTS;
    options.read_noise_e = 6.0;
    aid_cosmics cosmics;
    CHECK_OK(search(&sky, &options, NULL, &cosmics));
    for (int32_t y = 40; y < 150; y++)
        CHECK_EQUAL(aid_mask_row(&sky.mask, y)[150], AID_MASK_BAD);
    for (int32_t y = 30; y < 60; y++)
        CHECK_EQUAL(aid_mask_row(&sky.mask, y)[50], AID_MASK_COSMIC_RAY);
    CHECK(cosmics.line_pixels >= 110 && cosmics.line_pixels < 120);
    CHECK(cosmics.pixels >= 30 && cosmics.pixels < 40);
    CHECK(cosmics.hits >= 1 && cosmics.hits <= 3);
    scene_done(&sky);
}

/* A flat-topped star with a bleeding column would look like a hit along its edges. */
TEST(a_saturated_star_is_left_alone)
{
    scene sky = struck_sky(200, 200, 0);
    add_star(&sky.image, 100.0, 100.0, 5e6, 3.0);
    for (int64_t i = 0; i < 200 * 200; i++)
        sky.image.data[i] = fminf(sky.image.data[i], 60000.0f);
    aid_lacosmic_options options = AID_LACOSMIC_DEFAULTS;
    options.read_noise_e = 6.0;
    options.saturation = 60000.0;
    aid_cosmics cosmics;
    CHECK_OK(search(&sky, &options, NULL, &cosmics));
    for (int32_t y = 92; y <= 108; y++)
        for (int32_t x = 92; x <= 108; x++)
            CHECK_EQUAL(aid_mask_row(&sky.mask, y)[x], 0);
    scene_done(&sky);
}

TEST(hits_are_the_same_bytes_at_one_and_seven_threads)
{
    for (int settle = 0; settle < 2; settle++) {
        scene one = struck_sky(601, 333, 150), many = struck_sky(601, 333, 150);
        aid_lacosmic_options options = AID_LACOSMIC_DEFAULTS;
        options.read_noise_e = 6.0;
        options.settle = settle;
        options.want_clean = true;
        aid_cosmics of_one, of_many;
        aid_pool *pool = pool_of(7);
        CHECK_OK(search(&one, &options, NULL, &of_one));
        CHECK_OK(search(&many, &options, pool, &of_many));
        CHECK(of_one.pixels > 500);
        CHECK_EQUAL(of_one.pixels, of_many.pixels);
        CHECK_EQUAL(of_one.hits, of_many.hits);
        CHECK(!memcmp(one.mask.data, many.mask.data, (size_t)601 * 333));
        CHECK(!memcmp(of_one.clean.data, of_many.clean.data, (size_t)601 * 333 * sizeof(float)));
        aid_pool_free(pool);
        aid_cosmics_done(&of_one);
        aid_cosmics_done(&of_many);
        scene_done(&one);
        scene_done(&many);
    }
}

/* ----------------------------------------------------------------------------------- real pixels
 */

/* Peaks of which the nearest neighbours have nearly half the light, on all sides: no hit does that,
 * and every star of this camera (FWHM 2 px) does, wherever its centre lies. */
static bool is_starlike(const aid_image *image, int32_t x, int32_t y, double sky)
{
    double peak = (double)aid_image_row(image, y)[x] - sky, least = INFINITY;
    for (int k = 0; k < 9; k++) {
        double other = (double)aid_image_row(image, y + k / 3 - 1)[x + k % 3 - 1] - sky;
        if (k != 4 && !(other <= peak))
            return false;
        least = k % 2 ? fmin(least, other) : least;
    }
    return peak > 3000.0 && peak < 100000.0 && least > 0.45 * peak;
}

static bool is_struck(const aid_mask *mask, int32_t x, int32_t y)
{
    bool struck = false;
    for (int k = 0; k < 9; k++)
        struck = struck || aid_mask_row(mask, y + k / 3 - 1)[x + k % 3 - 1] & AID_MASK_COSMIC_RAY;
    return struck;
}

/* ACS/HRC, 60 s on the core of a globular cluster: thousands of stars, and hits on a few parts in a
 * thousand of the pixels. L.A.Cosmic by itself (astroscrappy 1.1.0) masks 6 % of the frame, nearly
 * all of it stars. */
TEST(a_crowded_field_of_the_hubble_telescope_keeps_its_stars_and_loses_its_hits)
{
    static const char path[] = "../shared/data/hst_acs/j8bt06nyq_flt.fits.gz";
    if (access(path, R_OK) != 0)
        check_skip("no ../shared/data");
    aid_fits_image file;
    aid_fits_read_options sci = {.hdu = "SCI"};
    CHECK_OK(aid_fits_read(path, &sci, &file, &err));
    CHECK(file.variance.data && file.mask.data);
    int64_t pixels = (int64_t)file.image.width * file.image.height, stars = 0, spoilt = 0;
    aid_lacosmic_options options = AID_LACOSMIC_DEFAULTS;
    options.saturation = 140000.0;
    aid_cosmic_input input = {
        .name = "hst.fits", .image = &file.image, .variance = &file.variance, .mask = &file.mask};
    aid_cosmics cosmics;
    CHECK_OK(aid_find_cosmic_rays(&input, &options, NULL, &cosmics, &err));
    for (int32_t y = 2; y < file.image.height - 2; y++)
        for (int32_t x = 2; x < file.image.width - 2; x++)
            if (is_starlike(&file.image, x, y, 150.0)) {
                stars++;
                spoilt += is_struck(&file.mask, x, y);
            }
    CHECK(stars > 600);
    CHECK(spoilt <= 5); /* real hits may lie there, too */
    CHECK(cosmics.pixels > pixels / 1000 && cosmics.pixels < pixels / 150);
    aid_cosmics_done(&cosmics);
    aid_fits_image_done(&file);
}

/* ------------------------------------------------------------------------------------ odd inputs
 */

TEST(images_without_structure_of_any_size_have_no_hits)
{
    static const int32_t sides[][2] = {{1, 1}, {1, 9}, {2, 2}, {3, 5}, {7, 7}, {9, 8}, {70, 300}};
    for (size_t k = 0; k < AID_COUNT_OF(sides); k++)
        for (int missing = 0; missing < 2; missing++) {
            int32_t width = sides[k][0], height = sides[k][1];
            scene sky;
            CHECK_OK(aid_image_init(width, height, &sky.image, &err));
            CHECK_OK(aid_image_init(width, height, &sky.truth, &err));
            CHECK_OK(aid_mask_init(width, height, &sky.mask, &err));
            for (int64_t i = 0; i < (int64_t)width * height; i++)
                sky.image.data[i] = missing ? NAN : 100.0f;
            aid_lacosmic_options options = AID_LACOSMIC_DEFAULTS;
            options.want_clean = true;
            options.separable = k % 2;
            aid_cosmics cosmics;
            CHECK_OK(search(&sky, &options, NULL, &cosmics));
            int64_t marked = 0;
            for (int64_t i = 0; i < (int64_t)width * height; i++)
                marked += sky.mask.data[i] != 0;
            CHECK_EQUAL(cosmics.pixels, 0);
            CHECK_EQUAL(marked, 0);
            aid_cosmics_done(&cosmics);
            scene_done(&sky);
        }
}

TEST(what_makes_no_sense_is_refused_and_the_mask_left_alone)
{
    scene sky = struck_sky(64, 64, 20);
    aid_lacosmic_options options = AID_LACOSMIC_DEFAULTS;
    aid_cosmics cosmics = {.pixels = -7};
    options.gain = 0.0;
    CHECK_REFUSED(search(&sky, &options, NULL, &cosmics), AID_ERR_INVALID,
                  "sky.fits: 0 is no gain");
    options = AID_LACOSMIC_DEFAULTS;
    options.sigma_clip = NAN;
    CHECK_REFUSED(search(&sky, &options, NULL, &cosmics), AID_ERR_INVALID, "significance");
    options = AID_LACOSMIC_DEFAULTS;
    options.iterations = 0;
    CHECK_REFUSED(search(&sky, &options, NULL, &cosmics), AID_ERR_INVALID, "iterations");
    options = AID_LACOSMIC_DEFAULTS;
    aid_image small = sky.image;
    small.height = 63;
    aid_cosmic_input input = {.name = "sky.fits", .image = &small, .mask = &sky.mask};
    CHECK_REFUSED(aid_find_cosmic_rays(&input, &options, NULL, &cosmics, &err), AID_ERR_INVALID,
                  "64 x 64 pixels, the image 64 x 63");
    input = (aid_cosmic_input){
        .name = "sky.fits", .image = &sky.image, .variance = &small, .mask = &sky.mask};
    CHECK_REFUSED(aid_find_cosmic_rays(&input, &options, NULL, &cosmics, &err), AID_ERR_INVALID,
                  "the variance has 64 x 63");
    CHECK_EQUAL(cosmics.pixels, -7);
    for (int i = 0; i < 64 * 64; i++)
        CHECK_EQUAL(sky.mask.data[i], 0);
    scene_done(&sky);
}

int main(int argc, char **argv)
{
    aid_fits_decoder_main(argc, argv);
    return check_main(argc, argv);
}
