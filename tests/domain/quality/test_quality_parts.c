/* Every number of one image against a slow twin, a formula, or what it was made with. */
#include "core/base/random.h"
#include "core/imaging/stats.h"
#include "tests/domain/quality/sky_frame.h"

#include <string.h>

static const double sky_level = 300.0;

/* An exposure made by hand: `image` is what lies above a constant sky; noise sigma 10. */
typedef struct hand_made {
    aid_exposure exposure;
} hand_made;

static void hand_made_done(hand_made *made)
{
    aid_exposure_done(&made->exposure);
}

static void make(int32_t width, int32_t height, hand_made *made)
{
    aid_exposure *exposure = &made->exposure;
    *made = (hand_made){0};
    snprintf(exposure->name, sizeof exposure->name, "hand.fits");
    CHECK_OK(aid_image_init(width, height, &exposure->image, &err));
    CHECK_OK(aid_mask_init(width, height, &exposure->mask, &err));
    CHECK_OK(aid_mesh_init(width, height, 1, 1, &exposure->background, &err));
    CHECK_OK(aid_mesh_init(width, height, 1, 1, &exposure->noise, &err));
    exposure->background.values[0] = (float)sky_level;
    exposure->noise.values[0] = 10.0f;
    exposure->gain = 2.0;
    exposure->zero_point = NAN;
    exposure->saturation = INFINITY;
}

static void add_noise(aid_image *image, double sigma, uint64_t seed)
{
    aid_random random = aid_random_seeded(seed, 0);
    for (int32_t y = 0; y < image->height; y++)
        for (int32_t x = 0; x < image->width; x++)
            aid_image_row(image, y)[x] += (float)(sigma * aid_random_normal(&random));
}

static double value_at(const aid_exposure *exposure, int32_t x, int32_t y)
{
    return (double)((float)sky_level + aid_image_row(&exposure->image, y)[x]);
}

/* ---------------------------------------------------------------------------------- estimators */

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double slow_median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, ascending);
    return 0.5 * (values[(count - 1) / 2] + values[count / 2]);
}

static double slow_mad(double *values, int count)
{
    double median = slow_median(values, count);
    for (int i = 0; i < count; i++)
        values[i] = fabs(values[i] - median);
    return 1.482602218505602 * slow_median(values, count);
}

enum { SIDE = 61, PIXELS = SIDE * SIDE };

static bool sound(const aid_exposure *exposure, int32_t x, int32_t y)
{
    return aid_mask_row(&exposure->mask, y)[x] == 0;
}

static int slow_pixels(const aid_exposure *exposure, double *values)
{
    int count = 0;
    for (int32_t y = 0; y < SIDE; y++)
        for (int32_t x = 0; x < SIDE; x++)
            if (sound(exposure, x, y))
                values[count++] = value_at(exposure, x, y);
    return count;
}

static int slow_differences(const aid_exposure *exposure, double *values)
{
    int count = 0;
    for (int32_t y = 0; y < SIDE; y++)
        for (int32_t x = 0; x + 1 < SIDE; x++)
            if (sound(exposure, x, y) && sound(exposure, x + 1, y))
                values[count++] = value_at(exposure, x + 1, y) - value_at(exposure, x, y);
    return count;
}

static int slow_laplacian(const aid_exposure *exposure, double *values)
{
    static const int kernel[3][3] = {{1, -2, 1}, {-2, 4, -2}, {1, -2, 1}};
    int count = 0;
    for (int32_t y = 1; y + 1 < SIDE; y++)
        for (int32_t x = 1; x + 1 < SIDE; x++) {
            double sum = 0.0;
            bool all = true;
            for (int k = 0; k < 9; k++) {
                int32_t i = x + k % 3 - 1, j = y + k / 3 - 1;
                all = all && sound(exposure, i, j);
                sum += kernel[k / 3][k % 3] * value_at(exposure, i, j);
            }
            if (all)
                values[count++] = sum;
        }
    return count;
}

/* Noise of 10, a slope of 0.5 a pixel, and masked pixels that would spoil everything. */
static void make_slope(hand_made *made)
{
    make(SIDE, SIDE, made);
    aid_exposure *exposure = &made->exposure;
    add_noise(&exposure->image, 10.0, 3);
    for (int32_t y = 0; y < SIDE; y++)
        for (int32_t x = 0; x < SIDE; x++)
            aid_image_row(&exposure->image, y)[x] += 0.5f * (float)x;
    for (int32_t i = 0; i < SIDE; i++) {
        int32_t x = i * 7 % SIDE, y = i * 11 % SIDE;
        aid_image_row(&exposure->image, y)[x] = 1e6f;
        aid_mask_row(&exposure->mask, y)[x] = AID_MASK_BAD;
    }
}

static aid_quality assessed(const aid_exposure *exposure, aid_quality_background background,
                            aid_quality_noise noise)
{
    aid_quality quality = {0};
    aid_quality_options options = AID_QUALITY_DEFAULTS;
    options.background_estimator = background;
    options.noise_estimator = noise;
    CHECK_OK(aid_quality_assess(exposure, &options, NULL, &notes, &quality, &err));
    return quality;
}

/* The twins work on the same floats in double: rounding of a sum of a few floats near 300 is
 * 3e-5 at most. */
TEST(every_estimator_agrees_with_its_slow_twin)
{
    AID_CLEANUP(hand_made_done)
    hand_made made;
    make_slope(&made);
    const aid_exposure *exposure = &made.exposure;
    static double values[PIXELS];
    int count = slow_pixels(exposure, values);
    double median = slow_median(values, count);
    aid_quality quality = assessed(exposure, AID_QUALITY_BACKGROUND_MEDIAN, AID_QUALITY_NOISE_MAD);
    CHECK_NEAR(quality.background_level, median, 1e-4);
    count = slow_pixels(exposure, values);
    CHECK_NEAR(quality.noise_level, slow_mad(values, count), 1e-4);
    quality = assessed(exposure, AID_QUALITY_BACKGROUND_MESH, AID_QUALITY_NOISE_DIFFERENCE);
    CHECK_NEAR(quality.background_level, sky_level, 0.0);
    count = slow_differences(exposure, values);
    CHECK_NEAR(quality.noise_level, slow_mad(values, count) / sqrt(2.0), 1e-4);
    quality = assessed(exposure, AID_QUALITY_BACKGROUND_MODE, AID_QUALITY_NOISE_LAPLACIAN);
    count = slow_laplacian(exposure, values);
    CHECK_NEAR(quality.noise_level, slow_mad(values, count) / 6.0, 1e-4);
    CHECK_NEAR(assessed(exposure, 0, 0).noise_level, 10.0, 0.0);
}

/* The slope runs over 30, evenly, which has a standard deviation of 8.8: it counts as noise for
 * those that look at all pixels, and not for those that look at neighbours. 3700 pixels know a
 * sigma to 1.2 % (MAD: 1.9 %); a slope of .5 shifts differences, but does not spread them. */
TEST(noise_from_neighbours_does_not_see_a_gradient_and_noise_from_all_pixels_does)
{
    AID_CLEANUP(hand_made_done)
    hand_made made;
    make_slope(&made);
    CHECK_NEAR(assessed(&made.exposure, 0, AID_QUALITY_NOISE_DIFFERENCE).noise_level, 10.0, 0.8);
    CHECK_NEAR(assessed(&made.exposure, 0, AID_QUALITY_NOISE_LAPLACIAN).noise_level, 10.0, 0.8);
    CHECK_NEAR(assessed(&made.exposure, 0, AID_QUALITY_NOISE_MAD).noise_level, 13.3, 1.0);
    CHECK_NEAR(assessed(&made.exposure, 0, AID_QUALITY_NOISE_CLIPPED).noise_level, 13.3, 1.0);
}

/* A tenth of the pixels has light of 1 to 8 sigma, as faint stars have. */
TEST(faint_stars_pull_up_the_mode_least_and_the_median_of_all_pixels_most)
{
    AID_CLEANUP(hand_made_done)
    hand_made made;
    make(200, 200, &made);
    aid_image *image = &made.exposure.image;
    add_noise(image, 10.0, 8);
    aid_random random = aid_random_seeded(9, 0);
    for (int i = 0; i < 4000; i++)
        image->data[aid_random_bits(&random) % 40000] += (float)(10.0 + 70.0 * i / 4000.0);
    double mode = assessed(&made.exposure, AID_QUALITY_BACKGROUND_MODE, 0).background_level;
    double median = assessed(&made.exposure, AID_QUALITY_BACKGROUND_MEDIAN, 0).background_level;
    double mean = assessed(&made.exposure, AID_QUALITY_BACKGROUND_CLIPPED, 0).background_level;
    CHECK(fabs(mode - sky_level) < mean - sky_level && mean < median);
    CHECK_NEAR(mode, sky_level, 0.8); /* a constant of 10/sqrt(40000) = .05, and the pull */
    CHECK(median - sky_level > 1.0);
}

/* --------------------------------------------------------------------------------------- masks */

static void fill_from(const aid_mask *mask, uint8_t *seen, int32_t x, int32_t y)
{
    if (x < 0 || y < 0 || x >= mask->width || y >= mask->height || seen[y * mask->width + x] ||
        !(aid_mask_row(mask, y)[x] & AID_MASK_COSMIC_RAY))
        return;
    seen[y * mask->width + x] = 1;
    for (int k = 0; k < 9; k++)
        fill_from(mask, seen, x + k % 3 - 1, y + k / 3 - 1);
}

static int slow_hits(const aid_mask *mask)
{
    static uint8_t seen[128 * 128];
    int hits = 0;
    memset(seen, 0, sizeof seen);
    for (int32_t y = 0; y < mask->height; y++)
        for (int32_t x = 0; x < mask->width; x++)
            if (aid_mask_row(mask, y)[x] & AID_MASK_COSMIC_RAY && !seen[y * mask->width + x]) {
                fill_from(mask, seen, x, y);
                hits++;
            }
    return hits;
}

TEST(hits_are_groups_that_touch_even_at_corners_whatever_their_shape)
{
    static const int sizes[][2] = {{1, 1}, {2, 9}, {31, 17}, {64, 64}, {101, 97}};
    for (size_t i = 0; i < AID_COUNT_OF(sizes); i++)
        for (int percent = 0; percent <= 100; percent += 20) {
            AID_CLEANUP(aid_mask_done)
            aid_mask mask = {0};
            CHECK_OK(aid_mask_init(sizes[i][0], sizes[i][1], &mask, &err));
            aid_random random = aid_random_seeded(i, (uint64_t)percent);
            for (int k = 0; k < mask.width * mask.height; k++) {
                bool struck = aid_random_uniform(&random) * 100.0 < percent;
                mask.data[k] = struck ? AID_MASK_COSMIC_RAY : AID_MASK_BAD;
            }
            int64_t hits = -1;
            CHECK_OK(aid_quality_count_hits(&mask, &hits, &err));
            CHECK_EQUAL(hits, slow_hits(&mask));
        }
}

TEST(no_pixel_is_saturated_where_the_level_is_unknown_not_even_in_a_constant_image)
{
    AID_CLEANUP(aid_image_done)
    aid_image image = {0};
    CHECK_OK(aid_image_init(30, 20, &image, &err));
    for (int i = 0; i < 600; i++)
        image.data[i] = 1000.0f;
    CHECK_NEAR(aid_saturation_percentage(&image, INFINITY), 0.0, 0.0);
    CHECK_NEAR(aid_saturation_percentage(&image, NAN), 0.0, 0.0);
    CHECK_NEAR(aid_saturation_percentage(&image, 1001.0), 0.0, 0.0);
    CHECK_NEAR(aid_saturation_percentage(&image, 1000.0), 100.0, 0.0);
    image.data[7] = NAN;
    image.data[8] = 2000.0f;
    CHECK_NEAR(aid_saturation_percentage(&image, 1500.0), 100.0 / 600.0, 1e-12);
    CHECK_NEAR(aid_saturation_percentage(&(aid_image){0}, 1.0), 0.0, 0.0);
}

/* ------------------------------------------------------------------------------------ flatness */

static const int32_t odd_sizes[][2] = {{50, 50}, {100, 100}, {1000, 64}, {77, 133}, {256, 512}};

/* The plane through 64 medians of n pixels each is known to 1.25 x 10/sqrt(64 n) in its middle and
 * 3.5 times that from edge to edge: 5.5/sqrt(n) in range for each direction. */
TEST(a_gradient_is_measured_at_any_size_and_is_not_a_lack_of_flatness)
{
    for (size_t i = 0; i < AID_COUNT_OF(odd_sizes); i++) {
        AID_CLEANUP(hand_made_done)
        hand_made made;
        make(odd_sizes[i][0], odd_sizes[i][1], &made);
        aid_image *image = &made.exposure.image;
        add_noise(image, 10.0, i);
        for (int32_t y = 0; y < image->height; y++)
            for (int32_t x = 0; x < image->width; x++)
                aid_image_row(image, y)[x] +=
                    (float)(40.0 * x / image->width - 20.0 * y / image->height);
        aid_quality quality = assessed(&made.exposure, 0, 0);
        double pixels = AID_MIN((double)image->width * image->height / 64.0, 4096.0);
        CHECK_NEAR(quality.background_range, 60.0, 4.0 * 1.5 * 5.5 / sqrt(pixels));
        CHECK_NEAR(quality.background_gradient, quality.background_range / sky_level, 1e-12);
        CHECK(quality.flatness_score > 0.93);
    }
}

/* Rings of amplitude 20 and a period of half the image: rms 14, seen through cells of an eighth of
 * it, which averages sin over a quarter of its period (factor sin(pi/4)/(pi/4) = 0.90). */
TEST(structure_as_strong_as_the_noise_halves_the_flatness)
{
    for (size_t i = 0; i < AID_COUNT_OF(odd_sizes); i++) {
        AID_CLEANUP(hand_made_done)
        hand_made made;
        make(odd_sizes[i][0], odd_sizes[i][1], &made);
        aid_image *image = &made.exposure.image;
        add_noise(image, 10.0, i);
        for (int32_t y = 0; y < image->height; y++)
            for (int32_t x = 0; x < image->width; x++)
                aid_image_row(image, y)[x] +=
                    (float)(20.0 * cos(4.0 * 3.14159265358979 * (x + 0.5) / image->width));
        aid_quality quality = assessed(&made.exposure, 0, 0);
        double rms = 0.9 * 20.0 / sqrt(2.0);
        CHECK_NEAR(quality.large_scale_rms, rms, 0.12 * rms);
        CHECK_NEAR(quality.flatness_score, 100.0 / (100.0 + rms * rms), 0.08);
    }
}

TEST(a_star_or_a_masked_blob_is_no_lack_of_flatness)
{
    AID_CLEANUP(hand_made_done)
    hand_made made;
    make(256, 256, &made);
    aid_exposure *exposure = &made.exposure;
    add_noise(&exposure->image, 10.0, 5);
    for (int32_t y = 0; y < 256; y++)
        for (int32_t x = 0; x < 256; x++) {
            double r2 = (x - 70.0) * (x - 70.0) + (y - 90.0) * (y - 90.0);
            aid_image_row(&exposure->image, y)[x] += (float)(20000.0 * exp(-0.5 * r2 / 9.0));
            if (x >= 160 && x < 200 && y >= 160 && y < 200) {
                aid_image_row(&exposure->image, y)[x] = 5000.0f;
                aid_mask_row(&exposure->mask, y)[x] = AID_MASK_NO_DATA;
            }
        }
    aid_star star = {.x = 70.0, .y = 90.0, .flux = 1.1e6, .peak = 20000.0, .a = 3.0, .b = 3.0};
    exposure->stars = (aid_stars){.count = 1, .items = malloc(sizeof star)};
    CHECK(exposure->stars.items != NULL);
    exposure->stars.items[0] = star;
    aid_quality quality = assessed(exposure, 0, 0);
    CHECK(quality.flatness_score > 0.97);
    CHECK_NEAR(quality.masked_percentage, 100.0 * 1600.0 / 65536.0, 1e-9);
}

/* --------------------------------------------------------------------------------------- depth */

/* A Gaussian of sigma s has the noise area 4 pi s^2 and sum P^3/(sum P^2)^2 = 4/3; the pixels widen
 * it: s^2 + 1/12. */
TEST(the_limiting_flux_is_that_of_a_gaussian_in_white_noise)
{
    AID_CLEANUP(hand_made_done)
    hand_made made;
    make(128, 128, &made);
    aid_exposure *exposure = &made.exposure;
    enum { STARS = 12 };
    exposure->stars.items = calloc(STARS, sizeof(aid_star));
    CHECK(exposure->stars.items != NULL);
    exposure->stars.count = STARS;
    for (int i = 0; i < STARS; i++)
        exposure->stars.items[i] = (aid_star){
            .x = 10.0 * i + 5, .y = 60.0, .flux = 1e5, .flux_err = 100.0, .a = 2.0, .b = 2.0};
    exposure->zero_point = 27.5;
    aid_quality quality = assessed(exposure, 0, 0);
    double area = 4.0 * 3.14159265358979 * (4.0 + 1.0 / 12.0), own = 25.0 * 4.0 / 3.0 / 2.0;
    double flux = 0.5 * (own + sqrt(own * own + 100.0 * area * 100.0));
    CHECK_NEAR(quality.fwhm_px, 2.0 * 2.354820045, 1e-6);
    CHECK_NEAR(quality.noise_area_px, area, 1e-3 * area);
    CHECK_NEAR(quality.limiting_flux, flux, 2e-3 * flux);
    CHECK_NEAR(quality.limiting_mag, 27.5 - 2.5 * log10(quality.limiting_flux), 1e-12);
    exposure->gain = INFINITY; /* no light of its own: the sky's noise alone */
    quality = assessed(exposure, 0, 0);
    CHECK_NEAR(quality.limiting_flux, 5.0 * 10.0 * sqrt(area), 1e-3 * flux);
}

/* The PSF-weighted sum at 20 x 20 places of the sky scatters by a fifth of the limit (400 values
 * know that to 3.5 %), whether the noise is white or smoothed. */
static void check_scatter(bool smoothed)
{
    enum { N = 512, R = 9, STEP = 24 };
    aid_sky_options options = small_sky(11);
    options.star_density = 400.0;
    AID_CLEANUP(aid_simulated_frame_done)
    aid_simulated_frame frame = {0};
    AID_CLEANUP(aid_exposure_done)
    aid_exposure exposure = {0};
    render(&options, NULL, &frame);
    for (int32_t y = 0; smoothed && y < N; y++)
        for (int32_t x = 0; x + 1 < N; x++)
            aid_image_row(&frame.image, y)[x] =
                0.5f * (aid_image_row(&frame.image, y)[x] + aid_image_row(&frame.image, y)[x + 1]);
    prepare(&frame, false, NULL, &exposure);
    aid_quality quality = assessed(&exposure, 0, 0);
    float stamp[(2 * R + 1) * (2 * R + 1)];
    CHECK(exposure.psf.terms > 0 && exposure.psf.radius_px >= R);
    aid_psf_stamp(&exposure.psf, N / 2, N / 2, 0.0, 0.0, R, stamp);
    static float fluxes[400];
    int count = 0;
    for (int32_t cy = 20; cy < N - 20; cy += STEP)
        for (int32_t cx = 20; cx < N - 20; cx += STEP) {
            double sum = 0.0, squares = 0.0;
            for (int32_t k = 0; k < (2 * R + 1) * (2 * R + 1); k++) {
                int32_t x = cx + k % (2 * R + 1) - R, y = cy + k / (2 * R + 1) - R;
                sum += (double)stamp[k] * (double)aid_image_row(&exposure.image, y)[x];
                squares += (double)stamp[k] * (double)stamp[k];
            }
            fluxes[count++] = (float)(sum / squares);
        }
    /* MAD: a fifth of the places has a star or a galaxy, which adds some 10 %. */
    double sigma = aid_robust_in_place(fluxes, count).sigma;
    CHECK_NEAR(sigma / (quality.limiting_flux / 5.0), 1.05, 0.17);
}
TEST(psf_weighted_sums_over_empty_sky_scatter_by_a_fifth_of_the_limiting_flux)
{
    check_scatter(false);
}
TEST(the_limit_counts_the_correlation_of_smoothed_noise)
{
    check_scatter(true);
}

TEST(seeing_and_ellipticity_are_those_of_the_sky_with_the_psf_and_nearly_so_without)
{
    aid_sky_options options = small_sky(6);
    options.star_density = 2000.0;
    options.epoch[AID_SKY_SCIENCE].ellipticity = 0.2;
    options.epoch[AID_SKY_SCIENCE].ellipticity_deg = 40.0;
    aid_sky *sky;
    CHECK_OK(aid_sky_new(&options, &sky, &err));
    double truth = aid_sky_fwhm_px(sky, AID_SKY_SCIENCE, 256.0, 256.0);
    aid_sky_free(sky);
    double b_over_a = sqrt((1.0 - 0.2) / (1.0 + 0.2));
    for (int skip = 0; skip < 2; skip++) {
        AID_CLEANUP(aid_simulated_frame_done)
        aid_simulated_frame frame = {0};
        AID_CLEANUP(aid_exposure_done)
        aid_exposure exposure = {0};
        render(&options, NULL, &frame);
        prepare(&frame, skip, NULL, &exposure);
        aid_quality quality = assessed(&exposure, 0, 0);
        /* The pixel widens it to sqrt(3.6^2 + 2.355^2/12); without a PSF it is that of the whole
         * field, to whose corners it grows by 12 %: by 6 % on average. */
        double widened = sqrt(truth * truth + 0.462) * (skip ? 1.06 : 1.0);
        CHECK_NEAR(quality.fwhm_px, widened, 0.04 * widened);
        CHECK_NEAR(quality.ellipticity, 1.0 - b_over_a, skip ? 0.05 : 0.025);
        CHECK_NEAR(quality.theta_deg, 40.0, skip ? 8.0 : 4.0);
        CHECK_NEAR(quality.fwhm_arcsec, 0.5 * quality.fwhm_px, 0.02);
    }
}

/* (max - min)/mean of the sky's own FWHM at the centres of 3 x 3 parts. 130 stars of S/N 10 and
 * more know it to some 0.03. */
TEST(the_variation_of_the_seeing_over_the_field_is_that_of_the_sky)
{
    for (int k = 0; k < 2; k++) {
        aid_sky_options options = small_sky(6);
        options.star_density = 3000.0;
        options.epoch[AID_SKY_SCIENCE].seeing_variation = k ? 0.5 : 0.1;
        aid_sky *sky;
        CHECK_OK(aid_sky_new(&options, &sky, &err));
        double least = INFINITY, greatest = 0.0, sum = 0.0;
        for (int i = 0; i < 9; i++) {
            double x = (i % 3 + 0.5) / 3.0 * 512.0, y = (i / 3 + 0.5) / 3.0 * 512.0;
            double width = aid_sky_fwhm_px(sky, AID_SKY_SCIENCE, x, y);
            least = AID_MIN(least, width);
            greatest = AID_MAX(greatest, width);
            sum += width / 9.0;
        }
        aid_sky_free(sky);
        CHECK_NEAR(quality_of(&options).fwhm_variation, (greatest - least) / sum, 0.06);
    }
}

/* --------------------------------------------------------------------------------------- score */

static aid_quality plain_quality(void)
{
    return (aid_quality){.limiting_flux = 100.0,
                         .ellipticity = 0.0,
                         .stars = 1000000,
                         .masked_percentage = 0.0,
                         .saturation_percentage = 0.0};
}

TEST(the_score_is_the_ratio_of_the_limits_and_each_defect_takes_its_share)
{
    aid_quality quality = plain_quality();
    aid_quality_score(&quality, 100.0, AID_QUALITY_BY_GROUP);
    CHECK_NEAR(quality.overall_quality_score, 1.0, 1e-5);
    CHECK_NEAR(quality.depth_loss_mag, 0.0, 1e-12);
    aid_quality_score(&quality, 50.0, AID_QUALITY_BY_GROUP);
    CHECK_NEAR(quality.overall_quality_score, 0.5, 1e-5);
    CHECK_NEAR(quality.depth_loss_mag, 2.5 * log10(2.0), 1e-12);
    CHECK_EQUAL(quality.class, AID_QUALITY_FAIR); /* by the stars' 2e-6 below one half */
    aid_quality_score(&quality, 200.0,
                      AID_QUALITY_BY_GROUP); /* deeper than the best counts as the best */
    CHECK_NEAR(quality.overall_quality_score, 1.0, 1e-5);
    CHECK_NEAR(quality.depth_loss_mag, 0.0, 0.0);
    quality.ellipticity = 0.3;
    aid_quality_score(&quality, 100.0, AID_QUALITY_BY_GROUP);
    CHECK_NEAR(quality.overall_quality_score, 0.5, 1e-5);
    quality = plain_quality();
    quality.masked_percentage = 30.0;
    aid_quality_score(&quality, 100.0, AID_QUALITY_BY_GROUP);
    CHECK_NEAR(quality.overall_quality_score, 0.7, 1e-5);
    quality = plain_quality();
    quality.saturation_percentage = 5.0;
    aid_quality_score(&quality, 100.0, AID_QUALITY_BY_GROUP);
    CHECK_NEAR(quality.overall_quality_score, 0.5, 1e-5);
    quality = plain_quality();
    quality.stars = 2;
    aid_quality_score(&quality, 100.0, AID_QUALITY_BY_GROUP);
    CHECK_NEAR(quality.overall_quality_score, 0.5, 1e-12);
}

TEST(without_a_limit_the_score_is_0_and_without_a_yardstick_depth_is_left_out)
{
    aid_quality quality = plain_quality();
    quality.limiting_flux = NAN;
    aid_quality_score(&quality, 100.0, AID_QUALITY_BY_GROUP);
    CHECK_NEAR(quality.overall_quality_score, 0.0, 0.0);
    CHECK(isnan(quality.depth_loss_mag));
    quality.limiting_flux = 100.0;
    aid_quality_score(&quality, NAN, AID_QUALITY_BY_GROUP);
    CHECK_NEAR(quality.overall_quality_score, 1.0, 1e-5);
    CHECK(isnan(quality.depth_loss_mag));
}

/* x = expected/limit: 1 - 4^-x. */
TEST(by_expectation_a_good_frame_is_excellent_and_a_better_one_better_still)
{
    static const double flux[] = {25.0, 50.0, 100.0, 200.0, 400.0};
    double before = 0.0;
    for (size_t i = 0; i < AID_COUNT_OF(flux); i++) {
        aid_quality quality = plain_quality();
        aid_quality_score(&quality, flux[i], AID_QUALITY_BY_EXPECTATION);
        CHECK_NEAR(quality.overall_quality_score, 1.0 - pow(4.0, -flux[i] / 100.0), 1e-5);
        CHECK(quality.overall_quality_score > before);
        before = quality.overall_quality_score;
    }
    aid_quality good = plain_quality();
    aid_quality_score(&good, 100.1, AID_QUALITY_BY_EXPECTATION);
    CHECK_EQUAL(good.class, AID_QUALITY_EXCELLENT);
}

TEST(classes_begin_at_a_quarter_a_half_and_three_quarters)
{
    static const double scores[] = {0.0, 0.2499, 0.25, 0.4999, 0.5, 0.7499, 0.75, 1.0};
    static const char *const names[] = {"poor", "poor", "fair",      "fair",
                                        "good", "good", "excellent", "excellent"};
    for (size_t i = 0; i < AID_COUNT_OF(scores); i++)
        CHECK_TEXT(aid_quality_class_name(aid_quality_class_of(scores[i])), names[i]);
}

TEST(every_flag_has_a_name_of_its_own_and_all_of_them_fit_the_text)
{
    char text[AID_QUALITY_FLAGS_TEXT];
    for (int i = 0; i < AID_QUALITY_FLAG_BITS; i++)
        for (int j = 0; j < i; j++)
            CHECK(strcmp(aid_quality_flag_name(1u << i), aid_quality_flag_name(1u << j)) != 0);
    CHECK(aid_quality_flag_name(1u << AID_QUALITY_FLAG_BITS) == NULL);
    CHECK(aid_quality_flag_name(3u) == NULL);
    aid_quality_flags_text((1u << AID_QUALITY_FLAG_BITS) - 1, text);
    CHECK(strlen(text) < AID_QUALITY_FLAGS_TEXT - 1 && strstr(text, "|misaligned"));
    aid_quality_flags_text(AID_QUALITY_CLOUDS | AID_QUALITY_TRAILED, text);
    CHECK_TEXT(text, "trailed|clouds");
    aid_quality_flags_text(0, text);
    CHECK_TEXT(text, "");
}

/* ------------------------------------------------------------------- threads, stars, refusals */

TEST(the_numbers_are_the_same_at_one_two_and_seven_threads)
{
    AID_CLEANUP(aid_simulated_frame_done)
    aid_simulated_frame frame = {0};
    AID_CLEANUP(aid_exposure_done)
    aid_exposure exposure = {0};
    aid_sky_options options = small_sky(2);
    render(&options, NULL, &frame);
    prepare(&frame, true, NULL, &exposure);
    aid_quality first = {0};
    for (int threads = 1; threads <= 7; threads += threads == 1 ? 1 : 5) {
        aid_pool *pool;
        aid_quality quality;
        CHECK_OK(aid_pool_new(threads, &pool, &err));
        CHECK_OK(aid_quality_assess(&exposure, NULL, pool, &notes, &quality, &err));
        aid_pool_free(pool);
        if (threads == 1)
            first = quality;
        CHECK(quality.flags == first.flags && quality.class == first.class);
        CHECK_NEAR(quality.overall_quality_score, first.overall_quality_score, 0.0);
        CHECK_NEAR(quality.large_scale_rms, first.large_scale_rms, 0.0);
        CHECK_NEAR(quality.background_range, first.background_range, 0.0);
        CHECK_NEAR(quality.flatness_score, first.flatness_score, 0.0);
        CHECK_NEAR(quality.limiting_flux, first.limiting_flux, 0.0);
        CHECK_NEAR(quality.fwhm_px, first.fwhm_px, 0.0);
    }
}

TEST(stars_are_no_cosmic_rays_and_cosmic_rays_are_counted)
{
    aid_sky_options options = small_sky(9);
    options.star_density = 3000.0;
    options.epoch[AID_SKY_SCIENCE].seeing_px = 2.6;
    aid_quality clean = quality_of(&options);
    CHECK(clean.stars > 80);
    CHECK(clean.cosmic_ray_count <= 1);
    options.epoch[AID_SKY_SCIENCE].cosmic_rays = 400.0;
    AID_CLEANUP(aid_simulated_frame_done)
    aid_simulated_frame frame = {0};
    int64_t truth;
    render(&options, NULL, &frame);
    CHECK_OK(aid_quality_count_hits(&frame.mask, &truth, &err));
    aid_quality struck = quality_of(&options);
    /* Some are fainter than the noise, or lie on a star. */
    CHECK(truth > 60 && struck.cosmic_ray_count <= truth + 2);
    CHECK((double)struck.cosmic_ray_count > 0.65 * (double)truth);
}

/* Frames that were cleaned before come with the mask of their hits, single pixels among them. */
TEST(hits_that_come_with_the_image_are_counted_as_they_are)
{
    enum { HITS = 12 };
    aid_sky_options sky = small_sky(9);
    AID_CLEANUP(aid_simulated_frame_done)
    aid_simulated_frame frame = {0};
    AID_CLEANUP(aid_exposure_done)
    aid_exposure exposure = {0};
    render(&sky, NULL, &frame);
    aid_mask mask = {0};
    CHECK_OK(aid_mask_init(512, 512, &mask, &err));
    for (int i = 0; i < HITS; i++)
        aid_mask_row(&mask, 20 + 37 * i)[31 + 40 * i] = AID_MASK_COSMIC_RAY;
    aid_prepare_options options = AID_PREPARE_DEFAULTS;
    options.skip_psf = true;
    aid_prepare_input input = {.name = "cleaned.fits",
                               .take_image = &frame.image,
                               .take_mask = &mask,
                               .header = &frame.header};
    CHECK_OK(aid_prepare_exposure(&input, &options, NULL, &notes, &exposure, &err));
    CHECK_EQUAL(assessed(&exposure, 0, 0).cosmic_ray_count, HITS);
}

TEST(an_image_without_stars_has_no_seeing_no_limit_and_the_flag_that_says_so)
{
    AID_CLEANUP(hand_made_done)
    hand_made made;
    make(64, 48, &made);
    add_noise(&made.exposure.image, 10.0, 1);
    notes.count = 0;
    aid_quality quality = assessed(&made.exposure, 0, 0);
    CHECK(isnan(quality.fwhm_px) && isnan(quality.ellipticity) && isnan(quality.limiting_flux));
    CHECK_EQUAL(quality.stars, 0);
    CHECK(quality.flags & AID_QUALITY_FEW_STARS);
    CHECK_NEAR(quality.overall_quality_score, 0.0, 0.0);
    CHECK_EQUAL(notes.count, 1);
    CHECK(strstr(notes.items[0].text, "hand.fits: too few stars (0)"));
}

TEST(an_exposure_that_is_none_is_refused_and_the_numbers_are_left_alone)
{
    AID_CLEANUP(hand_made_done)
    hand_made made;
    aid_quality quality = {.stars = 12345};
    aid_quality_options options = AID_QUALITY_DEFAULTS;
    aid_exposure nothing = {.name = "nothing"};
    CHECK_REFUSED(aid_quality_assess(&nothing, NULL, NULL, NULL, &quality, &err), AID_ERR_INVALID,
                  "nothing: an exposure without pixels");
    make(40, 30, &made);
    aid_exposure *exposure = &made.exposure;
    exposure->mask.width = 39;
    CHECK_REFUSED(aid_quality_assess(exposure, NULL, NULL, NULL, &quality, &err), AID_ERR_INVALID,
                  "image of 40 x 30 pixels, mask of 39 x 30");
    exposure->mask.width = 40;
    memset(exposure->mask.data, AID_MASK_BAD, 40 * 30);
    options.noise_estimator = AID_QUALITY_NOISE_MAD;
    CHECK_REFUSED(aid_quality_assess(exposure, &options, NULL, NULL, &quality, &err),
                  AID_ERR_NUMERIC, "none of 40 x 30 pixels is sound sky");
    aid_mesh_done(&exposure->noise);
    CHECK_REFUSED(aid_quality_assess(exposure, NULL, NULL, NULL, &quality, &err), AID_ERR_INVALID,
                  "without maps of background and noise");
    CHECK_EQUAL(quality.stars, 12345);
}

TEST_MAIN()
