#include "core/imaging/stars.h"

#include "core/imaging/sep_library.h"
#include "core/imaging/star_shapes.h"
#include "core/imaging/stats.h"

#include "tests/check.h"

static aid_error err;

/* Uniform numbers by Knuth's linear congruential generator (MMIX); normal ones by Box and Muller.
 */
static double uniform(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return ((double)(*state >> 11) + 0.5) / 9007199254740992.0;
}

static double normal(uint64_t *state)
{
    double radius = sqrt(-2.0 * log(uniform(state)));
    return radius * cos(6.283185307179586 * uniform(state));
}

static aid_image noise_image(int32_t width, int32_t height, double level, double sigma,
                             uint64_t seed)
{
    aid_image image = {0};
    CHECK_OK(aid_image_init(width, height, &image, &err));
    for (int64_t i = 0; i < (int64_t)width * height; i++)
        image.data[i] = (float)(level + sigma * normal(&seed));
    return image;
}

static void add_gaussian(aid_image *image, double x, double y, double flux, double a, double b)
{
    int reach = (int)ceil(6.0 * a);
    int cx = (int)lround(x), cy = (int)lround(y);
    for (int j = cy - reach; j <= cy + reach; j++)
        for (int i = cx - reach; i <= cx + reach; i++) {
            if (i < 0 || j < 0 || i >= image->width || j >= image->height)
                continue;
            double q = (i - x) * (i - x) / (a * a) + (j - y) * (j - y) / (b * b);
            aid_image_row(image, j)[i] +=
                (float)(flux * exp(-0.5 * q) / (6.283185307179586 * a * b));
        }
}

static aid_mesh flat_mesh(const aid_image *image, double value)
{
    aid_mesh mesh = {0};
    CHECK_OK(aid_mesh_init(image->width, image->height, 1, 1, &mesh, &err));
    mesh.values[0] = (float)value;
    return mesh;
}

static const aid_mask no_mask;

/* ---------------------------------------------------------------------------------- background */

TEST(background_recovers_a_gradient_and_the_noise_under_stars)
{
    aid_image image = noise_image(640, 512, 0.0, 8.0, 1);
    uint64_t seed = 2;
    for (int i = 0; i < 120; i++)
        add_gaussian(&image, 640 * uniform(&seed), 512 * uniform(&seed), 4000.0, 1.5, 1.5);
    for (int32_t y = 0; y < 512; y++)
        for (int32_t x = 0; x < 640; x++)
            aid_image_row(&image, y)[x] += (float)(1000.0 + 0.02 * x - 0.01 * y);
    aid_background_options options = AID_BACKGROUND_DEFAULTS;
    aid_mesh background, noise;
    CHECK_OK(aid_background_measure(&image, &no_mask, &options, NULL, &background, &noise, &err));
    CHECK_EQUAL(background.nx, 5);
    CHECK_EQUAL(background.ny, 4);
    /* The error of a cell's median is 1.25 x 8/128 = 0.08, tripled by the mode's extrapolation and
     * reduced by the filter; the gradient across half a cell at the border is 1.3. Stars leave a
     * skew of a few hundredths of sigma. */
    CHECK_NEAR(aid_mesh_at(&background, 320.0, 256.0), 1000.0 + 6.4 - 2.56, 0.5);
    CHECK_NEAR(aid_mesh_at(&background, 192.0, 192.0), 1000.0 + 3.84 - 1.92, 0.5);
    /* The gradient adds 0.02 x 128/sqrt(12) = 0.7 in quadrature: 8.03; sampling 8/sqrt(2 x 16384).
     */
    CHECK_NEAR(aid_mesh_median(&noise), 8.05, 0.15);
    aid_mesh_done(&background);
    aid_mesh_done(&noise);
    aid_image_done(&image);
}

/* libsep 1.2.1 on the same cells, unfiltered. Its clipping is SExtractor's, its sigma that of the
 * clipped histogram: 0.987 of ours. Bins of 0.2 sigma against ours of 0.025 leave a few hundredths.
 */
TEST(background_agrees_with_libsep_cell_by_cell)
{
    aid_image image = noise_image(512, 512, 250.0, 5.0, 3);
    uint64_t seed = 4;
    for (int i = 0; i < 300; i++)
        add_gaussian(&image, 512 * uniform(&seed), 512 * uniform(&seed), 2000.0, 1.6, 1.4);
    aid_background_options options = {.cell_px = 128, .filter_cells = 1};
    aid_mesh background, noise;
    CHECK_OK(aid_background_measure(&image, &no_mask, &options, NULL, &background, &noise, &err));
    sep_image view = {.data = image.data, .dtype = SEP_TFLOAT, .w = 512, .h = 512};
    sep_bkg *oracle = NULL;
    CHECK_EQUAL(sep_background(&view, 128, 128, 1, 1, 0.0, &oracle), 0);
    CHECK_EQUAL(oracle->n, 16);
    for (int i = 0; i < oracle->n; i++) {
        CHECK_NEAR(background.values[i], oracle->back[i], 0.05 * 5.0);
        CHECK_NEAR((double)noise.values[i] * 0.987, oracle->sigma[i], 0.02 * 5.0);
    }
    sep_bkg_free(oracle);
    aid_mesh_done(&background);
    aid_mesh_done(&noise);
    aid_image_done(&image);
}

/* Whole counts of sigma 0.8: bins that do not hold equally many of them would shift the mode. Level
 * error of a cell: 2.5 x 1.25 x 0.8/64 in the worst case = 0.04. Rounding adds 1/12 to the
 * variance. */
TEST(background_of_coarsely_digitised_counts_is_not_biased)
{
    aid_image image = noise_image(256, 256, 100.3, 0.8, 5);
    for (int i = 0; i < 256 * 256; i++)
        image.data[i] = rintf(image.data[i]);
    aid_background_options options = {.cell_px = 64, .filter_cells = 3};
    aid_mesh background, noise;
    CHECK_OK(aid_background_measure(&image, &no_mask, &options, NULL, &background, &noise, &err));
    CHECK_NEAR(aid_mesh_median(&background), 100.3, 0.04);
    CHECK_NEAR(aid_mesh_median(&noise), sqrt(0.64 + 1.0 / 12.0), 0.02);
    aid_mesh_done(&background);
    aid_mesh_done(&noise);
    aid_image_done(&image);
}

TEST(background_of_masked_cells_comes_from_their_neighbours)
{
    aid_image image = noise_image(384, 384, 50.0, 2.0, 6);
    aid_mask mask = {0};
    CHECK_OK(aid_mask_init(384, 384, &mask, &err));
    for (int32_t y = 0; y < 128; y++)
        for (int32_t x = 0; x < 128; x++) {
            aid_image_row(&image, y)[x] = x % 2 ? NAN : 1e6f;
            aid_mask_row(&mask, y)[x] = AID_MASK_BAD;
        }
    aid_background_options options = AID_BACKGROUND_DEFAULTS;
    aid_mesh background, noise;
    CHECK_OK(aid_background_measure(&image, &mask, &options, NULL, &background, &noise, &err));
    CHECK_NEAR(background.values[0], 50.0, 0.2);
    CHECK_NEAR(noise.values[0], 2.0, 0.1);
    aid_mesh_done(&background);
    aid_mesh_done(&noise);
    aid_mask_done(&mask);
    aid_image_done(&image);
}

TEST(background_is_refused_where_no_pixel_is_usable)
{
    aid_image image = noise_image(64, 64, 0.0, 1.0, 7);
    for (int i = 0; i < 64 * 64; i++)
        image.data[i] = NAN;
    aid_background_options options = AID_BACKGROUND_DEFAULTS;
    aid_mesh background = {.nx = 77}, noise = {.nx = 78};
    CHECK_REFUSED(
        aid_background_measure(&image, &no_mask, &options, NULL, &background, &noise, &err),
        AID_ERR_NUMERIC, "none of the 64 x 64");
    CHECK_EQUAL(background.nx, 77);
    CHECK_EQUAL(noise.nx, 78);
    image.data[100] = 5.0f; /* a single one is enough */
    CHECK_OK(aid_background_measure(&image, &no_mask, &options, NULL, &background, &noise, &err));
    CHECK_NEAR(aid_mesh_median(&background), 5.0, 0.0);
    CHECK_NEAR(aid_mesh_median(&noise), 0.0, 0.0);
    aid_mesh_done(&background);
    aid_mesh_done(&noise);
    aid_image_done(&image);
}

/* --------------------------------------------------------------------------------------- stars */

enum { FIELD = 1100, GRID = 18 };

typedef struct truth {
    double x, y, flux;
} truth;

static truth true_stars[GRID * GRID];

/* Stars of 1.3 px (FWHM 3.06 px) on a jittered grid, 20 000 to 2 000 units; noise 4. Two of the
 * three bands of 512 rows meet within it. */
static aid_image star_field(double sigma_px)
{
    aid_image image = noise_image(FIELD, FIELD, 0.0, 4.0, 11);
    uint64_t seed = 12;
    for (int k = 0; k < GRID * GRID; k++) {
        truth star = {30.0 + 61.0 * (k % GRID) + 10.0 * uniform(&seed),
                      30.0 + 61.0 * (k / GRID) + 10.0 * uniform(&seed),
                      2000.0 * pow(10.0, uniform(&seed))};
        true_stars[k] = star;
        add_gaussian(&image, star.x, star.y, star.flux, sigma_px, sigma_px);
    }
    return image;
}

static const truth *true_star_at(double x, double y)
{
    for (int k = 0; k < GRID * GRID; k++)
        if (hypot(true_stars[k].x - x, true_stars[k].y - y) < 2.0)
            return &true_stars[k];
    return NULL;
}

/* The least error of one coordinate on sky noise is sqrt(2) s / SNR with SNR = flux/(n 2 sqrt(pi)
 * s): its mean square over the stars must be within 20 % of that (324 stars know it to 6 %). */
static void check_positions(const aid_stars *stars, double sigma_px)
{
    double squares = 0.0;
    for (int i = 0; i < stars->count; i++) {
        const aid_star *star = &stars->items[i];
        const truth *true_star = true_star_at(star->x, star->y);
        CHECK(true_star != NULL);
        double snr = true_star->flux / (4.0 * 2.0 * 1.7724538509 * sigma_px);
        double bound = 1.4142135624 * sigma_px / snr, dx = star->x - true_star->x;
        double dy = star->y - true_star->y;
        squares += 0.5 * (dx * dx + dy * dy) / (bound * bound);
        CHECK_NEAR(star->flux / true_star->flux, 1.0 - exp(-0.5 * 3.5325 * 3.5325),
                   0.01 + 4.0 * star->flux_err / star->flux);
        CHECK_EQUAL(star->flags, 0);
    }
    CHECK_NEAR(sqrt(squares / stars->count), 1.0, 0.2);
}

TEST(stars_are_found_once_each_with_positions_near_the_cramer_rao_bound)
{
    aid_image image = star_field(1.3);
    aid_mesh noise = flat_mesh(&image, 4.0);
    aid_stars_options options = AID_STARS_DEFAULTS;
    aid_stars stars;
    CHECK_OK(aid_stars_find(&image, &no_mask, &noise, &options, NULL, &stars, &err));
    CHECK_EQUAL(stars.count, GRID * GRID);
    CHECK_NEAR(stars.fwhm_px, 2.3548 * 1.3, 0.05);
    CHECK_NEAR(stars.aperture_px, 1.5 * stars.fwhm_px, 0.05);
    check_positions(&stars, 1.3);
    for (int i = 1; i < stars.count; i++)
        CHECK(stars.items[i - 1].flux >= stars.items[i].flux);
    aid_stars_done(&stars);
    aid_mesh_done(&noise);
    aid_image_done(&image);
}

TEST(stars_are_the_same_bytes_at_one_and_three_threads)
{
    aid_image image = star_field(1.3);
    aid_mesh noise = flat_mesh(&image, 4.0);
    aid_stars_options options = AID_STARS_DEFAULTS;
    aid_pool *pool;
    CHECK_OK(aid_pool_new(3, &pool, &err));
    aid_stars one, three;
    CHECK_OK(aid_stars_find(&image, &no_mask, &noise, &options, NULL, &one, &err));
    CHECK_OK(aid_stars_find(&image, &no_mask, &noise, &options, pool, &three, &err));
    CHECK_EQUAL(one.count, three.count);
    CHECK(one.count > 300);
    CHECK(memcmp(one.items, three.items, (size_t)one.count * sizeof *one.items) == 0);
    aid_background_options cells = AID_BACKGROUND_DEFAULTS;
    aid_mesh level_one, level_three, noise_one, noise_three;
    CHECK_OK(aid_background_measure(&image, &no_mask, &cells, NULL, &level_one, &noise_one, &err));
    CHECK_OK(
        aid_background_measure(&image, &no_mask, &cells, pool, &level_three, &noise_three, &err));
    size_t bytes = (size_t)(level_one.nx * level_one.ny) * sizeof(float);
    CHECK(memcmp(level_one.values, level_three.values, bytes) == 0);
    CHECK(memcmp(noise_one.values, noise_three.values, bytes) == 0);
    aid_mesh_done(&level_one);
    aid_mesh_done(&level_three);
    aid_mesh_done(&noise_one);
    aid_mesh_done(&noise_three);
    aid_stars_done(&one);
    aid_stars_done(&three);
    aid_pool_free(pool);
    aid_mesh_done(&noise);
    aid_image_done(&image);
}

/* sep_windowed 1.2.1 stops at steps of 1e-4 px and weighs pixels on the rim by their overlap with
 * the 4 sigma circle, where the window is e^-8: 1e-3 px covers both. */
TEST(windowed_positions_agree_with_libsep)
{
    aid_image image = star_field(1.6);
    sep_image view = {.data = image.data, .dtype = SEP_TFLOAT, .w = FIELD, .h = FIELD};
    for (int k = 0; k < GRID * GRID; k += 7) {
        aid_star star = {.x = true_stars[k].x + 0.3, .y = true_stars[k].y - 0.2};
        CHECK(aid_star_window(&image, 1.6, &star));
        double x, y;
        int iterations;
        short flag = 0;
        sep_windowed(&view, true_stars[k].x, true_stars[k].y, 1.6, 11, 0, &x, &y, &iterations,
                     &flag);
        CHECK_NEAR(star.x, x, 1e-3);
        CHECK_NEAR(star.y, y, 1e-3);
    }
    aid_image_done(&image);
}

/* Pixels count as discs here and as squares in libsep 1.2.1: a few hundredths of a pixel. */
TEST(half_light_radii_agree_with_libsep)
{
    aid_image image = star_field(1.6);
    aid_mesh noise = flat_mesh(&image, 4.0);
    sep_image view = {.data = image.data, .dtype = SEP_TFLOAT, .w = FIELD, .h = FIELD};
    for (int k = 0; k < GRID * GRID; k += 7) {
        aid_star star = {.x = true_stars[k].x, .y = true_stars[k].y};
        aid_star_aperture(&image, &no_mask, &noise, 6.0, 0.0, &star);
        double half = 0.5, radius, sum, sum_err, area;
        short flag = 0;
        sep_flux_radius(&view, star.x, star.y, 6.0, 0, 11, 0, NULL, &half, 1, &radius, &flag);
        CHECK_NEAR(star.half_light_px, radius, 0.06);
        sep_sum_circle(&view, star.x, star.y, 6.0, 0, 0, 0, &sum, &sum_err, &area, &flag);
        CHECK_NEAR(star.flux, sum, 0.002 * sum + 4.0 * 4.0);
    }
    aid_mesh_done(&noise);
    aid_image_done(&image);
}

/* The window's own width is taken out: any window shows the same true shape, on noiseless pixels to
 * the sampling error exp(-2 pi^2 s^2) and the cut at 4 sigma. */
TEST(windowed_moments_do_not_depend_on_the_window)
{
    aid_image image = {0};
    CHECK_OK(aid_image_init(101, 101, &image, &err));
    add_gaussian(&image, 50.3, 49.6, 1000.0, 2.4, 1.5);
    for (int i = 0; i < 3; i++) {
        aid_star star = {.x = 50.0, .y = 50.0};
        CHECK(aid_star_window(&image, 1.2 + 0.6 * i, &star));
        CHECK_NEAR(star.a, 2.4, 0.03);
        CHECK_NEAR(star.b, 1.5, 0.03);
        CHECK_NEAR(star.theta_deg, 0.0, 0.1);
        CHECK_NEAR(star.x, 50.3, 1e-3);
    }
    aid_image_done(&image);
}

static const aid_star *star_near(const aid_stars *stars, double x, double y)
{
    for (int i = 0; i < stars->count; i++)
        if (hypot(stars->items[i].x - x, stars->items[i].y - y) < 3.0)
            return &stars->items[i];
    return NULL;
}

static unsigned flags_near(const aid_stars *stars, double x, double y)
{
    const aid_star *star = star_near(stars, x, y);
    CHECK(star != NULL);
    return star->flags;
}

TEST(stars_are_flagged_for_what_is_wrong_with_them)
{
    aid_image image = star_field(1.3);
    aid_mask mask = {0};
    CHECK_OK(aid_mask_init(FIELD, FIELD, &mask, &err));
    add_gaussian(&image, 60.0, 65.0, 30000.0, 4.0, 3.0); /* a galaxy */
    add_gaussian(&image, 540.0, 1.0, 30000.0, 1.3, 1.3); /* at the border */
    aid_image_row(&image, 310)[300] += 3000.0f;          /* a cosmic ray */
    aid_image_row(&image, 310)[301] += 2000.0f;
    int last = GRID * GRID - 1;
    aid_mask_row(&mask, (int32_t)true_stars[0].y)[(int32_t)true_stars[0].x + 2] = AID_MASK_BAD;
    aid_mask_row(&mask, (int32_t)true_stars[last].y)[(int32_t)true_stars[last].x] =
        AID_MASK_SATURATED;
    aid_mesh noise = flat_mesh(&image, 4.0);
    aid_stars_options options = AID_STARS_DEFAULTS;
    aid_stars stars;
    CHECK_OK(aid_stars_find(&image, &mask, &noise, &options, NULL, &stars, &err));
    CHECK_EQUAL(flags_near(&stars, 60.0, 65.0) & ~(unsigned)AID_STAR_BLENDED, AID_STAR_EXTENDED);
    CHECK_EQUAL(flags_near(&stars, 540.0, 1.0) & AID_STAR_TRUNCATED, AID_STAR_TRUNCATED);
    CHECK_EQUAL(flags_near(&stars, 300.4, 310.0) & AID_STAR_SHARP, AID_STAR_SHARP);
    CHECK_EQUAL(flags_near(&stars, true_stars[0].x, true_stars[0].y) & 15u, AID_STAR_MASKED);
    CHECK_EQUAL(flags_near(&stars, true_stars[last].x, true_stars[last].y) & 15u,
                AID_STAR_SATURATED);
    aid_stars_done(&stars);
    aid_mesh_done(&noise);
    aid_mask_done(&mask);
    aid_image_done(&image);
}

/* The neighbour 6.5 px away pulls at the window: 2 px x its flux ratio x exp(-6.5^2/(4 1.5^2)). */
TEST(two_touching_stars_are_two_stars)
{
    aid_image image = noise_image(128, 128, 0.0, 2.0, 21);
    add_gaussian(&image, 60.0, 64.0, 9000.0, 1.5, 1.5);
    add_gaussian(&image, 66.5, 64.0, 6000.0, 1.5, 1.5);
    aid_mesh noise = flat_mesh(&image, 2.0);
    aid_stars_options options = AID_STARS_DEFAULTS;
    aid_stars stars;
    CHECK_OK(aid_stars_find(&image, &no_mask, &noise, &options, NULL, &stars, &err));
    CHECK_EQUAL(stars.count, 2);
    CHECK_EQUAL(stars.items[0].flags & AID_STAR_BLENDED, AID_STAR_BLENDED);
    CHECK_NEAR(stars.items[0].x, 60.0, 0.2);
    CHECK_NEAR(stars.items[1].x, 66.5, 0.2);
    aid_stars_done(&stars);
    aid_mesh_done(&noise);
    aid_image_done(&image);
}

/* A gap in the rows' memory and missing pixels must make no difference. */
TEST(stars_of_a_view_with_a_stride_are_those_of_a_copy)
{
    aid_image image = star_field(1.3);
    aid_image_row(&image, 200)[200] = NAN;
    aid_image view = {aid_image_row(&image, 90) + 50, 700, 600, image.stride}, copy = {0};
    CHECK_OK(aid_image_copy(&view, &copy, &err));
    aid_mesh noise = flat_mesh(&view, 4.0);
    aid_stars_options options = AID_STARS_DEFAULTS;
    aid_stars of_view, of_copy;
    CHECK_OK(aid_stars_find(&view, &no_mask, &noise, &options, NULL, &of_view, &err));
    CHECK_OK(aid_stars_find(&copy, &no_mask, &noise, &options, NULL, &of_copy, &err));
    CHECK_EQUAL(of_view.count, of_copy.count);
    CHECK(of_view.count > 80);
    CHECK(memcmp(of_view.items, of_copy.items, (size_t)of_view.count * sizeof(aid_star)) == 0);
    aid_stars_done(&of_view);
    aid_stars_done(&of_copy);
    aid_mesh_done(&noise);
    aid_image_done(&copy);
    aid_image_done(&image);
}

TEST(an_empty_sky_gives_no_stars_and_bad_arguments_a_refusal)
{
    aid_image image = noise_image(200, 150, 0.0, 3.0, 31);
    aid_mesh noise = flat_mesh(&image, 3.0);
    aid_stars_options options = {.threshold = 6.0, .min_pixels = 5, .max_stars = 10};
    aid_stars stars;
    CHECK_OK(aid_stars_find(&image, &no_mask, &noise, &options, NULL, &stars, &err));
    CHECK_EQUAL(stars.count, 0);
    CHECK(isnan(stars.fwhm_px));
    aid_stars_done(&stars);
    stars.count = 99;
    options.threshold = -1.0;
    CHECK_REFUSED(aid_stars_find(&image, &no_mask, &noise, &options, NULL, &stars, &err),
                  AID_ERR_INVALID, "threshold -1");
    options.threshold = 5.0;
    noise.width = 7;
    CHECK_REFUSED(aid_stars_find(&image, &no_mask, &noise, &options, NULL, &stars, &err),
                  AID_ERR_INVALID, "noise mesh 7 x 150");
    CHECK_EQUAL(stars.count, 99);
    aid_mesh_done(&noise);
    aid_image_done(&image);
}

TEST(only_the_brightest_stars_are_kept_when_there_are_too_many)
{
    aid_image image = star_field(1.3);
    aid_mesh noise = flat_mesh(&image, 4.0);
    aid_stars_options options = AID_STARS_DEFAULTS;
    options.max_stars = 20;
    aid_stars stars;
    CHECK_OK(aid_stars_find(&image, &no_mask, &noise, &options, NULL, &stars, &err));
    CHECK_EQUAL(stars.count, 20);
    int brighter = 0;
    for (int k = 0; k < GRID * GRID; k++)
        brighter += true_stars[k].flux > 1.02 * stars.items[19].flux ? 1 : 0;
    CHECK(brighter <= 20);
    aid_stars_done(&stars);
    aid_mesh_done(&noise);
    aid_image_done(&image);
}

TEST_MAIN()
