#include "domain/preprocessing/preprocessing.h"

#include "core/imaging/stats.h"
#include "domain/preprocessing/prepare_internal.h"

#include "tests/check.h"

static aid_error err;
static aid_notes notes;

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

/* A Moffat star with beta = 3.5, sampled at the pixels' centres. */
static void add_star(aid_image *image, double x, double y, double flux, double fwhm)
{
    double alpha = fwhm / (2.0 * sqrt(pow(2.0, 1.0 / 3.5) - 1.0));
    int reach = (int)ceil(8.0 * fwhm), cx = (int)lround(x), cy = (int)lround(y);
    for (int j = AID_MAX(cy - reach, 0); j <= AID_MIN(cy + reach, image->height - 1); j++)
        for (int i = AID_MAX(cx - reach, 0); i <= AID_MIN(cx + reach, image->width - 1); i++) {
            double q = ((i - x) * (i - x) + (j - y) * (j - y)) / (alpha * alpha);
            aid_image_row(image, j)[i] +=
                (float)(flux * 2.5 / (3.14159265 * alpha * alpha) * pow(1.0 + q, -3.5));
        }
}

/* `count` stars with a number density that falls as 1/flux. */
static void add_field(aid_image *image, int count, double faintest, double brightest, double fwhm,
                      uint64_t seed)
{
    for (int k = 0; k < count; k++) {
        double flux = faintest * pow(brightest / faintest, pow(uniform(&seed), 2.0));
        double x = image->width * uniform(&seed), y = image->height * uniform(&seed);
        add_star(image, x, y, flux, fwhm);
    }
}

static void add_card(aid_header *header, const char *keyword, const char *value)
{
    aid_card_kind kind =
        strpbrk(value, "ABCDEFGHIJKLMNOPQRSTUVWXYZ/") ? AID_CARD_STRING : AID_CARD_NUMBER;
    CHECK_OK(aid_header_append(header, keyword, kind, value, "", &err));
}

static aid_status prepare_with(aid_image *image, aid_mask *mask, const aid_header *header,
                               const aid_prepare_options *options, aid_pool *pool,
                               aid_exposure *ret_exposure)
{
    aid_prepare_options defaults = AID_PREPARE_DEFAULTS;
    aid_prepare_input input = {
        .name = "night.fits", .take_image = image, .take_mask = mask, .header = header};
    memset(&notes, 0, sizeof notes);
    return aid_prepare_exposure(&input, options ? options : &defaults, pool, &notes, ret_exposure,
                                &err);
}

static aid_exposure prepare_image(aid_image image, const aid_header *header)
{
    aid_exposure exposure = {0};
    CHECK_OK(prepare_with(&image, NULL, header, NULL, NULL, &exposure));
    CHECK(image.data == NULL);
    return exposure;
}

static bool noted(const char *part)
{
    for (int i = 0; i < notes.count; i++)
        if (strstr(notes.items[i].text, part))
            return true;
    return false;
}

static int64_t count_bits(const aid_mask *mask, uint8_t bits)
{
    int64_t count = 0;
    for (int64_t i = 0; i < (int64_t)mask->width * mask->height; i++)
        count += mask->data[i] & bits ? 1 : 0;
    return count;
}

/* ------------------------------------------------------------------------------- sky and noise */

/* A cell's mean of 64^2 blocks is known to 10/128 = 0.08, its noise to 1.1 %; the mesh is a median
 * of nine. The gradient is 0.01 per px, so 0.64 over half a cell at the border. */
TEST(sky_and_noise_are_right_under_stars_and_a_gradient)
{
    aid_image image = noise_image(512, 512, 300.0, 10.0, 1);
    add_field(&image, 250, 300.0, 3e5, 3.0, 2);
    for (int32_t y = 0; y < 512; y++)
        for (int32_t x = 0; x < 512; x++)
            aid_image_row(&image, y)[x] += 0.01f * (float)x;
    aid_exposure exposure = prepare_image(image, NULL);
    CHECK_NEAR(aid_mesh_at(&exposure.background, 256, 256), 302.56, 0.3);
    CHECK_NEAR(aid_mesh_median(&exposure.noise), 10.0, 0.15);
    CHECK_NEAR(aid_median_of(exposure.image.data, 512 * 512), 0.7, 0.7); /* wings lift it */
    CHECK(exposure.stars.count > 30);
    aid_exposure_done(&exposure);
}

/* Half of all pixels hold visible star light; clipping takes much of it for noise. */
TEST(noise_in_a_crowd_is_that_of_the_pixels)
{
    aid_image image = noise_image(384, 384, 500.0, 10.0, 3), copy;
    add_field(&image, 5000, 100.0, 1e5, 3.0, 4);
    CHECK_OK(aid_image_copy(&image, &copy, &err));
    aid_background_options options = AID_BACKGROUND_DEFAULTS;
    aid_mesh background, clipped;
    const aid_mask no_mask = {0};
    CHECK_OK(aid_background_measure(&copy, &no_mask, &options, NULL, &background, &clipped, &err));
    CHECK(aid_mesh_median(&clipped) > 15.0);
    aid_exposure exposure = prepare_image(image, NULL);
    CHECK_NEAR(aid_mesh_median(&exposure.noise), 10.0, 0.5);
    CHECK(noted("the field is crowded"));
    aid_mesh_done(&background);
    aid_mesh_done(&clipped);
    aid_image_done(&copy);
    aid_exposure_done(&exposure);
}

TEST(white_noise_with_stars_has_no_correlation)
{
    aid_image image = noise_image(600, 500, 100.0, 5.0, 5);
    add_field(&image, 400, 50.0, 1e5, 2.5, 6);
    aid_exposure exposure = prepare_image(image, NULL);
    CHECK(exposure.correlation.measured);
    for (int j = 0; j <= 2 * AID_NOISE_LAG; j++)
        for (int i = 0; i <= 2 * AID_NOISE_LAG; i++)
            CHECK_NEAR(exposure.correlation.rho[j][i],
                       i == AID_NOISE_LAG && j == AID_NOISE_LAG ? 1.0 : 0.0, 0.0);
    CHECK(!noted("correlated"));
    aid_exposure_done(&exposure);
}

/* Noise smoothed by a 3 x 3 kernel k has rho(d) = sum k(p) k(p+d) / sum k^2, and a variance of
 * sum k^2. 240 000 pixels know a correlation to 0.002. */
TEST(correlation_of_smoothed_noise_is_recovered_beside_stars_and_a_nebula)
{
    static const double kernel[3][3] = {{0.02, 0.10, 0.03}, {0.12, 0.80, 0.10}, {0.0, 0.15, 0.02}};
    aid_image white = noise_image(602, 502, 0.0, 10.0, 7), image = {0};
    CHECK_OK(aid_image_init(600, 500, &image, &err));
    double power = 0.0, expected[5][5] = {{0}};
    for (int k = 0; k < 9; k++)
        power += kernel[k / 3][k % 3] * kernel[k / 3][k % 3];
    for (int a = 0; a < 9; a++)
        for (int b = 0; b < 9; b++)
            expected[b / 3 - a / 3 + 2][b % 3 - a % 3 + 2] +=
                kernel[a / 3][a % 3] * kernel[b / 3][b % 3] / power;
    for (int32_t y = 0; y < 500; y++)
        for (int32_t x = 0; x < 600; x++) {
            double sum =
                200.0 + 20.0 * exp(-((x - 300.0) * (x - 300.0) + (y - 250.0) * (y - 250.0)) /
                                   (2.0 * 90.0 * 90.0));
            for (int k = 0; k < 9; k++)
                sum += kernel[k / 3][k % 3] * (double)aid_image_row(&white, y + k / 3)[x + k % 3];
            aid_image_row(&image, y)[x] = (float)sum;
        }
    add_field(&image, 300, 100.0, 1e5, 3.0, 8);
    aid_exposure exposure = prepare_image(image, NULL);
    CHECK(exposure.correlation.measured);
    for (int dy = -2; dy <= 2; dy++)
        for (int dx = -2; dx <= 2; dx++)
            CHECK_NEAR(exposure.correlation.rho[AID_NOISE_LAG + dy][AID_NOISE_LAG + dx],
                       expected[dy + 2][dx + 2], 0.0125); /* 0.01, and 0.0025 of sampling */
    CHECK_NEAR(aid_mesh_median(&exposure.noise), 10.0 * sqrt(power), 0.15);
    aid_exposure_done(&exposure);
    aid_image_done(&white);
}

/* ------------------------------------------------------------------------------------ saturation
 */

TEST(saturation_is_read_off_the_ceiling_of_the_histogram)
{
    aid_image image = noise_image(300, 300, 200.0, 4.0, 11);
    add_field(&image, 60, 1e4, 3e5, 3.0, 12);
    for (int i = 0; i < 300 * 300; i++)
        image.data[i] = AID_MIN(rintf(image.data[i]), 4095.0f);
    int64_t at_ceiling = 0;
    for (int i = 0; i < 300 * 300; i++)
        at_ceiling += image.data[i] == 4095.0f ? 1 : 0;
    CHECK(at_ceiling > 50);
    aid_exposure exposure = prepare_image(image, NULL);
    CHECK_NEAR(exposure.saturation, 4095.0, 0.0);
    CHECK_TEXT(exposure.saturation_origin, "histogram");
    CHECK(noted("pile up at 4095"));
    CHECK(count_bits(&exposure.mask, AID_MASK_SATURATED) >= at_ceiling);
    CHECK(count_bits(&exposure.mask, AID_MASK_SATURATED) < at_ceiling + 60);
    aid_exposure_done(&exposure);
}

/* A ceiling blurred by flat-fielding, of one per cent. */
TEST(a_blurred_ceiling_is_a_ceiling_and_a_bright_star_is_none)
{
    aid_image image = noise_image(300, 300, 200.0, 4.0, 13), flat;
    add_field(&image, 60, 1e4, 3e6, 4.0, 14);
    CHECK_OK(aid_image_copy(&image, &flat, &err));
    uint64_t seed = 15;
    for (int i = 0; i < 300 * 300; i++)
        flat.data[i] = AID_MIN(flat.data[i], 20000.0f) * (float)(1.0 + 0.01 * normal(&seed));
    aid_exposure exposure = prepare_image(flat, NULL);
    CHECK_TEXT(exposure.saturation_origin, "histogram");
    CHECK_NEAR(exposure.saturation, 19600.0, 900.0);
    aid_exposure_done(&exposure);
    exposure = prepare_image(image, NULL);
    CHECK(isinf(exposure.saturation));
    CHECK_TEXT(exposure.saturation_origin, "unknown");
    CHECK_EQUAL(count_bits(&exposure.mask, AID_MASK_SATURATED), 0);
    aid_exposure_done(&exposure);
}

TEST(hot_pixels_and_a_hot_column_are_no_ceiling)
{
    aid_image image = noise_image(200, 200, 200.0, 4.0, 18);
    add_field(&image, 30, 1e3, 1e5, 3.0, 19);
    for (int k = 0; k < 60; k++)
        aid_image_row(&image, 3 * k)[(7 * k) % 200] = 30000.0f;
    for (int32_t y = 150; y < 200; y++) /* too short for a bad column */
        aid_image_row(&image, y)[33] = 30000.0f;
    aid_exposure exposure = prepare_image(image, NULL);
    CHECK(isinf(exposure.saturation));
    for (int32_t y = 152; y < 198; y++)
        CHECK(aid_mask_row(&exposure.mask, y)[33] != 0);
    aid_exposure_done(&exposure);
}

TEST(saturation_of_the_header_and_of_the_option_are_taken_in_that_order)
{
    aid_header header = {0};
    add_card(&header, "SATURATE", "3000");
    aid_image image = noise_image(200, 200, 100.0, 4.0, 16);
    add_star(&image, 100, 100, 1e5, 4.0);
    aid_exposure exposure = prepare_image(image, &header);
    CHECK_NEAR(exposure.saturation, 3000.0, 0.0);
    CHECK_TEXT(exposure.saturation_origin, "header SATURATE");
    CHECK_EQUAL(aid_mask_row(&exposure.mask, 100)[100] & AID_MASK_SATURATED, AID_MASK_SATURATED);
    CHECK_EQUAL(aid_mask_row(&exposure.mask, 100)[110], 0);
    aid_exposure_done(&exposure);
    image = noise_image(200, 200, 100.0, 4.0, 16);
    aid_prepare_options options = AID_PREPARE_DEFAULTS;
    options.saturation = 5000.0;
    CHECK_OK(prepare_with(&image, NULL, &header, &options, NULL, &exposure));
    CHECK_NEAR(exposure.saturation, 5000.0, 0.0);
    CHECK_TEXT(exposure.saturation_origin, "option");
    aid_exposure_done(&exposure);
    aid_header_done(&header);
}

TEST(what_bleeds_from_a_saturated_star_is_masked_and_its_wings_are_not)
{
    aid_header header = {0};
    add_card(&header, "SATURATE", "10000");
    aid_image image = noise_image(256, 256, 100.0, 4.0, 17);
    add_star(&image, 128, 128, 1e6, 4.0);
    for (int32_t y = 80; y < 170; y++)
        aid_image_row(&image, y)[128] += 4000.0f;
    aid_exposure exposure = prepare_image(image, &header);
    for (int32_t y = 82; y < 168; y++) /* within 15 px the star itself outshines the trail */
        if (abs(y - 128) > 15)
            CHECK_EQUAL(aid_mask_row(&exposure.mask, y)[128], AID_MASK_SATURATED);
    CHECK_EQUAL(aid_mask_row(&exposure.mask, 70)[128], 0);
    CHECK_EQUAL(aid_mask_row(&exposure.mask, 128)[150], 0);
    aid_exposure_done(&exposure);
    aid_header_done(&header);
}

/* ---------------------------------------------------------------------------------------- defects
 */

TEST(bad_columns_and_rows_are_masked_and_a_benign_pattern_is_not)
{
    aid_image image = noise_image(300, 520, 400.0, 6.0, 21);
    uint64_t seed = 22;
    for (int32_t x = 0; x < 300; x++) {
        float offset =
            (float)(1.5 * normal(&seed)); /* a quarter of a sigma from column to column */
        for (int32_t y = 0; y < 520; y++)
            aid_image_row(&image, y)[x] += offset;
    }
    for (int32_t y = 0; y < 520; y++) {
        aid_image_row(&image, y)[70] += 60.0f;  /* hot */
        aid_image_row(&image, y)[200] = 400.0f; /* dead */
        if (y >= 256 && y < 512)
            aid_image_row(&image, y)[120] -= 40.0f; /* half of it */
    }
    for (int32_t x = 0; x < 256; x++)
        aid_image_row(&image, 33)[x] += 50.0f;
    aid_exposure exposure = prepare_image(image, NULL);
    for (int32_t y = 0; y < 512; y += 37) {
        CHECK_EQUAL(aid_mask_row(&exposure.mask, y)[70], AID_MASK_BAD);
        CHECK_EQUAL(aid_mask_row(&exposure.mask, y)[200], AID_MASK_BAD);
        CHECK_EQUAL(aid_mask_row(&exposure.mask, y)[120], y >= 256 || y == 33 ? AID_MASK_BAD : 0);
    }
    CHECK_EQUAL(aid_mask_row(&exposure.mask, 33)[10], AID_MASK_BAD);
    CHECK(count_bits(&exposure.mask, AID_MASK_BAD) < 2 * 520 + 256 + 256 + 20);
    CHECK(noted("bad lines masked"));
    aid_exposure_done(&exposure);
}

TEST(missing_pixels_and_padding_hold_no_data_and_are_filled)
{
    aid_image image = noise_image(200, 160, 50.0, 3.0, 23);
    for (int32_t y = 0; y < 160; y++)
        for (int32_t x = 0; x < 12; x++)
            aid_image_row(&image, y)[x] = 0.0f;
    aid_image_row(&image, 80)[100] = NAN;
    aid_image_row(&image, 80)[101] = INFINITY;
    aid_image_row(&image, 80)[102] = -3.4e38f;
    aid_exposure exposure = prepare_image(image, NULL);
    CHECK_EQUAL(count_bits(&exposure.mask, AID_MASK_NO_DATA), 12 * 160 + 3);
    CHECK_EQUAL(aid_mask_row(&exposure.mask, 80)[100], AID_MASK_NO_DATA);
    CHECK_EQUAL(aid_mask_row(&exposure.mask, 0)[0], AID_MASK_NO_DATA);
    for (int64_t i = 0; i < 200 * 160; i++)
        CHECK(isfinite(exposure.image.data[i]));
    CHECK_NEAR(aid_mesh_median(&exposure.background), 50.0, 0.3);
    CHECK_NEAR(aid_mesh_median(&exposure.noise), 3.0, 0.15);
    aid_exposure_done(&exposure);
}

TEST(bits_of_the_users_mask_are_kept)
{
    aid_image image = noise_image(128, 128, 50.0, 3.0, 24);
    aid_mask mask = {0};
    CHECK_OK(aid_mask_init(128, 128, &mask, &err));
    aid_mask_row(&mask, 20)[30] = AID_MASK_BAD;
    aid_mask_row(&mask, 40)[50] = AID_MASK_SATURATED;
    aid_image_row(&image, 20)[30] = 65535.0f;
    aid_exposure exposure = {0};
    CHECK_OK(prepare_with(&image, &mask, NULL, NULL, NULL, &exposure));
    CHECK(mask.data == NULL);
    CHECK_EQUAL(aid_mask_row(&exposure.mask, 20)[30], AID_MASK_BAD);
    CHECK_EQUAL(aid_mask_row(&exposure.mask, 40)[50], AID_MASK_SATURATED);
    CHECK_EQUAL(count_bits(&exposure.mask, 255), 2);
    CHECK_NEAR(aid_image_row(&exposure.image, 20)[30], 0.0, 5.0); /* filled: 1.3 by chance */
    aid_exposure_done(&exposure);
}

/* Candidates beside missing pixels count as those at an edge; a bad pixel is none. */
TEST(a_bad_pixel_without_a_value_is_a_defect_and_no_gap)
{
    aid_image image = noise_image(128, 128, 50.0, 3.0, 25);
    aid_mask mask = {0};
    CHECK_OK(aid_mask_init(128, 128, &mask, &err));
    aid_mask_row(&mask, 20)[30] = AID_MASK_BAD;
    aid_mask_row(&mask, 21)[30] = AID_MASK_BAD | AID_MASK_NO_DATA;
    aid_image_row(&image, 20)[30] = aid_image_row(&image, 21)[30] = NAN;
    aid_image_row(&image, 60)[70] = NAN;
    aid_exposure exposure = {0};
    CHECK_OK(prepare_with(&image, &mask, NULL, NULL, NULL, &exposure));
    CHECK_EQUAL(aid_mask_row(&exposure.mask, 20)[30], AID_MASK_BAD);
    CHECK_EQUAL(aid_mask_row(&exposure.mask, 21)[30], AID_MASK_BAD);
    CHECK_EQUAL(aid_mask_row(&exposure.mask, 60)[70], AID_MASK_NO_DATA);
    CHECK(isfinite(aid_image_row(&exposure.image, 20)[30]));
    aid_exposure_done(&exposure);
}

/* ------------------------------------------------------------------------------------ cosmic rays
 */

/* A grid of stars at random places among the pixels, S/N 6 to 3000, with their photons' noise. */
enum { STARS = 14, SIDE = 24 * STARS };
static aid_image star_grid(double fwhm, uint64_t seed)
{
    aid_image image = noise_image(SIDE, SIDE, 0.0, 5.0, seed);
    for (int k = 0; k < STARS * STARS; k++) {
        double snr = 6.0 * pow(500.0, uniform(&seed));
        double x = 12.0 + 24.0 * (k % STARS) + 4.0 * uniform(&seed);
        double y = 12.0 + 24.0 * (k / STARS) + 4.0 * uniform(&seed);
        double flux = snr * 5.0 * 1.5 * fwhm;
        add_star(&image, x, y, flux, fwhm);
    }
    for (int i = 0; i < SIDE * SIDE; i++)
        image.data[i] += (float)(sqrt(AID_MAX((double)image.data[i], 0.0) / 2.0) * normal(&seed));
    for (int i = 0; i < SIDE * SIDE; i++)
        image.data[i] += 200.0f;
    return image;
}

TEST(no_star_is_taken_for_a_cosmic_ray_at_any_brightness_or_seeing)
{
    static const double fwhm[] = {1.75, 2.0, 2.5, 3.0, 4.0};
    aid_header header = {0};
    add_card(&header, "GAIN", "2.0");
    for (size_t k = 0; k < AID_COUNT_OF(fwhm); k++) {
        aid_exposure exposure = prepare_image(star_grid(fwhm[k], 31 + k), &header);
        CHECK(exposure.stars.count > 120);
        /* Six sigma of noise alone in 113 000 pixels: 1e-4 times. */
        CHECK_EQUAL(count_bits(&exposure.mask, 255), 0);
        aid_exposure_done(&exposure);
    }
    aid_header_done(&header);
}

/* Elongated stars are judged by their minor axis. */
TEST(no_star_of_a_trailed_image_is_taken_for_a_cosmic_ray)
{
    aid_image image = noise_image(400, 400, 0.0, 5.0, 41);
    uint64_t seed = 42;
    for (int k = 0; k < 100; k++) {
        double x = 20.0 + 40.0 * (k % 10) + uniform(&seed), y = 20.0 + 40.0 * (k / 10);
        for (int j = 0; j < 9; j++)
            add_star(&image, x + 0.5 * j, y + 0.2 * j, 100.0 * (1 + k), 2.2);
    }
    aid_exposure exposure = prepare_image(image, NULL);
    CHECK_EQUAL(count_bits(&exposure.mask, AID_MASK_COSMIC_RAY | AID_MASK_BAD), 0);
    aid_exposure_done(&exposure);
}

TEST(tracks_hot_pixels_and_cold_ones_are_masked)
{
    aid_image image = star_grid(2.5, 43);
    uint64_t seed = 44;
    uint8_t struck[SIDE][SIDE] = {{0}};
    for (int k = 0; k < 60; k++) { /* between the stars, whose spacing is 24 px */
        int x = 2 + 24 * (1 + k % (STARS - 1)), y = 2 + 24 * (1 + k / (STARS - 1)), kind = k % 3;
        double height = 100.0 + 900.0 * uniform(&seed); /* 20 to 200 sigma */
        for (int step = 0; step < (kind == 0 ? 1 : 4); step++) {
            int i = x + (kind == 2 ? step : 0), j = y + step;
            aid_image_row(&image, j)[i] += (float)height;
            struck[j][i] = 1;
        }
    }
    aid_image_row(&image, 240)[3] -= 150.0f;
    aid_exposure exposure = prepare_image(image, NULL);
    int64_t found = 0, total = 0, wrong = 0;
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++) {
            uint8_t bits = aid_mask_row(&exposure.mask, y)[x];
            total += struck[y][x];
            found += struck[y][x] && bits ? 1 : 0;
            bool beside = false;
            for (int j = AID_MAX(y - 1, 0); j <= AID_MIN(y + 1, SIDE - 1); j++)
                for (int i = AID_MAX(x - 1, 0); i <= AID_MIN(x + 1, SIDE - 1); i++)
                    beside = beside || struck[j][i];
            wrong += bits && !beside && !(x == 3 && y == 240) ? 1 : 0;
        }
    CHECK_EQUAL(found, total);
    CHECK_EQUAL(wrong, 0);
    CHECK_EQUAL(aid_mask_row(&exposure.mask, 240)[3], AID_MASK_BAD);
    CHECK_EQUAL(aid_mask_row(&exposure.mask, 26)[26], AID_MASK_BAD); /* alone: k = 0 */
    CHECK_EQUAL(aid_mask_row(&exposure.mask, 26)[50] & AID_MASK_COSMIC_RAY, AID_MASK_COSMIC_RAY);
    aid_exposure_done(&exposure);
}

/* Every other pixel of a colour camera is darker: sharper than any star, and no cosmic ray. */
TEST(a_colour_mosaic_is_not_taken_for_cosmic_rays)
{
    aid_image image = noise_image(128, 128, 100.0, 3.0, 45);
    for (int32_t y = 0; y < 128; y++)
        for (int32_t x = 0; x < 128; x++)
            aid_image_row(&image, y)[x] += x % 2 == 1 && y % 2 == 1 ? 60.0f : 0.0f;
    aid_exposure exposure = prepare_image(image, NULL);
    CHECK_EQUAL(count_bits(&exposure.mask, 255), 0);
    CHECK(noted("too many for cosmic rays"));
    aid_exposure_done(&exposure);
}

/* ------------------------------------------------------------------------------------ calibration
 */

static aid_exposure prepare_with_cards(const char *const *cards, double level, double sigma)
{
    aid_header header = {0};
    for (int i = 0; cards && cards[i]; i += 2)
        add_card(&header, cards[i], cards[i + 1]);
    aid_exposure exposure = prepare_image(noise_image(256, 256, level, sigma, 51), &header);
    aid_header_done(&header);
    return exposure;
}

static void check_gain(const char *const *cards, double level, double sigma, double gain,
                       double tolerance, const char *origin)
{
    aid_exposure exposure = prepare_with_cards(cards, level, sigma);
    if (isinf(gain))
        CHECK(isinf(exposure.gain));
    else
        CHECK_NEAR(exposure.gain, gain, tolerance);
    CHECK_TEXT(exposure.gain_origin, origin);
    aid_exposure_done(&exposure);
}

TEST(gain_comes_from_where_it_can_be_trusted)
{
    check_gain((const char *const[]){"GAIN", "2.4", NULL}, 100, 7, 2.4, 0.0, "header GAIN");
    check_gain((const char *const[]){"GAIN", "0", "EGAIN", "0.7", NULL}, 0, 7, 0.7, 0.0,
               "header EGAIN");
    check_gain((const char *const[]){"INSTRUME", "NICKEL DIRECT CAMERA", "GAIN", "1", NULL}, 100, 7,
               1.8, 0.0, "camera Nickel Direct");
    CHECK(noted("GAIN = 1 is not used"));
    check_gain((const char *const[]){"GAIN", "-1", NULL}, 0, 7, INFINITY, 0.0, "unknown");
    CHECK(noted("GAIN = -1 is no gain"));
    /* sqrt(400/8) = 7.07: only a mean of four frames is that quiet. */
    check_gain((const char *const[]){"GAIN", "2", "NCOMBINE", "4", NULL}, 400, 7.2, 8.0, 0.0,
               "header GAIN");
    check_gain((const char *const[]){"GAIN", "8", "NCOMBINE", "4", NULL}, 400, 7.2, 8.0, 0.0,
               "header GAIN");
    check_gain((const char *const[]){"GAIN", "2", "NCOMBINE", "4", NULL}, 0, 7, 2.0, 0.0,
               "header GAIN");
    CHECK(noted("to allow for it already"));
    check_gain((const char *const[]){"BUNIT", "ELECTRONS/S", "EXPTIME", "300", NULL}, 0, 7, 300.0,
               0.0, "header BUNIT");
    check_gain((const char *const[]){"BUNIT", "ADU/S", "GAIN", "2", "EXPTIME", "50", NULL}, 0, 7,
               100.0, 0.0, "header GAIN");
    CHECK(noted("a rate"));
}

/* 1000 counts at 1.5 e- each have a noise of sqrt(1000/1.5) = 25.8; sigma is known to 0.4 %. */
TEST(gain_is_measured_on_the_sky_where_that_is_possible)
{
    check_gain(NULL, 1000.0, 25.82, 1.5, 0.04, "measured");
    CHECK(noted("gain unknown"));
    check_gain(NULL, 0.3, 30.0, INFINITY, 0.0, "unknown");   /* the sky was subtracted */
    check_gain(NULL, 1000.0, 3.0, INFINITY, 0.0, "unknown"); /* a bias was not */
}

TEST(zero_point_comes_from_the_option_then_from_the_header)
{
    aid_exposure exposure = prepare_with_cards(
        (const char *const[]){"ZP", "20", "PHOTZP", "27.5", "MAGZPT", "26", NULL}, 10, 2);
    CHECK_NEAR(exposure.zero_point, 26.0, 0.0);
    CHECK_TEXT(exposure.zero_point_origin, "header MAGZPT");
    aid_exposure_done(&exposure);
    exposure = prepare_with_cards(NULL, 10, 2);
    CHECK(isnan(exposure.zero_point));
    aid_exposure_done(&exposure);
    aid_image image = noise_image(64, 64, 10, 2, 52);
    aid_prepare_options options = AID_PREPARE_DEFAULTS;
    options.zero_point = 25.0;
    options.gain = 3.0;
    CHECK_OK(prepare_with(&image, NULL, NULL, &options, NULL, &exposure));
    CHECK_NEAR(exposure.zero_point, 25.0, 0.0);
    CHECK_NEAR(exposure.gain, 3.0, 0.0);
    CHECK_TEXT(exposure.gain_origin, "option");
    aid_exposure_done(&exposure);
}

TEST(a_broken_wcs_is_a_remark_and_no_failure)
{
    aid_exposure exposure = prepare_with_cards(
        (const char *const[]){"CTYPE1", "RA---TAN", "CTYPE2", "DEC--TAN", "CRVAL1", "10",
                              "CRVAL2", "20",       "CRPIX1", "50",       "CRPIX2", "50",
                              "CD1_1",  "0",        "CD1_2",  "0",        "CD2_1",  "0",
                              "CD2_2",  "0",        NULL},
        10, 2);
    CHECK(exposure.wcs == NULL);
    CHECK(noted("WCS ignored"));
    aid_exposure_done(&exposure);
}

TEST(stated_variance_is_compared_and_its_holes_are_masked)
{
    aid_image image = noise_image(128, 128, 100.0, 5.0, 53), variance = {0};
    CHECK_OK(aid_image_init(128, 128, &variance, &err));
    for (int i = 0; i < 128 * 128; i++)
        variance.data[i] = 100.0f; /* sigma 10: twice too much */
    variance.data[5] = NAN;
    variance.data[6] = 0.0f;
    aid_prepare_options options = AID_PREPARE_DEFAULTS;
    aid_prepare_input input = {.name = "v.fits", .take_image = &image, .variance = &variance};
    aid_exposure exposure = {0};
    memset(&notes, 0, sizeof notes);
    CHECK_OK(aid_prepare_exposure(&input, &options, NULL, &notes, &exposure, &err));
    CHECK_EQUAL(exposure.mask.data[5], AID_MASK_NO_DATA);
    CHECK_EQUAL(exposure.mask.data[6], AID_MASK_NO_DATA);
    CHECK(noted("stated variance gives 2.0") || noted("stated variance gives 1.9"));
    aid_exposure_done(&exposure);
    aid_image_done(&variance);
}

/* ---------------------------------------------------------------------------- threads, refusals */

TEST(an_exposure_is_the_same_bytes_at_one_and_three_threads)
{
    aid_image first = star_grid(2.5, 61), second;
    aid_image_row(&first, 63)[200] += 500.0f; /* hits at the border of two bands */
    aid_image_row(&first, 64)[200] += 400.0f;
    aid_image_row(&first, 65)[201] += 400.0f;
    CHECK_OK(aid_image_copy(&first, &second, &err));
    aid_pool *pool;
    CHECK_OK(aid_pool_new(3, &pool, &err));
    aid_exposure one = {0}, three = {0};
    CHECK_OK(prepare_with(&first, NULL, NULL, NULL, NULL, &one));
    CHECK_OK(prepare_with(&second, NULL, NULL, NULL, pool, &three));
    size_t pixels = SIDE * SIDE, cells = (size_t)(one.noise.nx * one.noise.ny);
    CHECK(memcmp(one.image.data, three.image.data, pixels * sizeof(float)) == 0);
    CHECK(memcmp(one.mask.data, three.mask.data, pixels) == 0);
    CHECK(memcmp(one.noise.values, three.noise.values, cells * sizeof(float)) == 0);
    CHECK(memcmp(&one.correlation, &three.correlation, sizeof one.correlation) == 0);
    CHECK_EQUAL(one.stars.count, three.stars.count);
    CHECK(memcmp(one.stars.items, three.stars.items,
                 (size_t)one.stars.count * sizeof *one.stars.items) == 0);
    aid_exposure_done(&one);
    aid_exposure_done(&three);
    aid_pool_free(pool);
}

static void check_refused(aid_image image, aid_mask mask, const char *text)
{
    aid_exposure exposure = {.gain = 77.0};
    CHECK_REFUSED(prepare_with(&image, &mask, NULL, NULL, NULL, &exposure), AID_ERR_INVALID, text);
    CHECK_NEAR(exposure.gain, 77.0, 0.0);
    CHECK(image.data == NULL && mask.data == NULL); /* taken, also on failure */
}

TEST(hopeless_images_are_refused_with_numbers)
{
    aid_mask mask = {0};
    aid_image image = noise_image(31, 100, 0, 1, 71);
    check_refused(image, mask, "night.fits: 31 x 100 pixels are too few");
    image = noise_image(50, 40, 0, 1, 72);
    for (int i = 0; i < 50 * 40; i++)
        image.data[i] = NAN;
    check_refused(image, mask, "all 50 x 40 pixels are NaN");
    image = noise_image(50, 40, 12.5, 0.0, 73);
    check_refused(image, mask, "12.5");
    image = noise_image(50, 40, 0, 1, 74);
    CHECK_OK(aid_mask_init(50, 40, &mask, &err));
    memset(mask.data, AID_MASK_BAD, 50 * 40);
    check_refused(image, mask, "only 0 of 50 x 40 pixels are usable");
    image = noise_image(50, 40, 0, 1, 75);
    CHECK_OK(aid_mask_init(40, 50, &mask, &err));
    check_refused(image, mask, "mask of 40 x 50");
}

/* ------------------------------------------------------------------------------------------ fill
 */

TEST(masked_pixels_are_filled_from_sound_neighbours_alone)
{
    aid_image image = {0};
    aid_mask mask = {0};
    CHECK_OK(aid_image_init(120, 90, &image, &err));
    CHECK_OK(aid_mask_init(120, 90, &mask, &err));
    for (int32_t y = 0; y < 90; y++)
        for (int32_t x = 0; x < 120; x++)
            aid_image_row(&image, y)[x] = (float)(10.0 + 0.5 * x);
    for (int32_t y = 0; y < 90; y++) { /* a bad column, and a hole of 60 x 60 px */
        aid_mask_row(&mask, y)[20] = AID_MASK_BAD;
        aid_image_row(&image, y)[20] = NAN;
        for (int32_t x = 50; x < 110 && y >= 20 && y < 80; x++) {
            aid_mask_row(&mask, y)[x] = AID_MASK_NO_DATA;
            aid_image_row(&image, y)[x] = 1e9f;
        }
    }
    CHECK_OK(aid_fill_masked(&image, &mask, AID_MASK_BAD | AID_MASK_NO_DATA, NULL, &err));
    for (int32_t y = 0; y < 90; y += 7) /* symmetric neighbours of a ramp average to its value */
        CHECK_NEAR(aid_image_row(&image, y)[20], 20.0, 1e-4);
    CHECK_NEAR(aid_image_row(&image, 50)[80], 0.0, 0.0); /* 30 px from anything sound */
    for (int32_t x = 50; x < 110; x++)                   /* never beyond the values around */
        CHECK(aid_image_row(&image, 21)[x] >= 30.0f && aid_image_row(&image, 21)[x] <= 70.0f);
    CHECK_NEAR(aid_image_row(&image, 10)[60], 40.0, 0.0); /* sound pixels stay */
    aid_mask small = {.width = 3, .height = 3};
    CHECK_REFUSED(aid_fill_masked(&image, &small, 255, NULL, &err), AID_ERR_INVALID,
                  "mask of 3 x 3");
    aid_image_done(&image);
    aid_mask_done(&mask);
}

/* The naive twin: one scale, the plain formula. Single precision of the weights: 1e-6. */
TEST(filling_agrees_with_the_plain_formula)
{
    aid_image image = noise_image(40, 40, 100.0, 10.0, 81);
    aid_mask mask = {0};
    CHECK_OK(aid_mask_init(40, 40, &mask, &err));
    aid_mask_row(&mask, 15)[12] = aid_mask_row(&mask, 15)[13] = AID_MASK_BAD;
    double sum = 0.0, weights = 0.0;
    for (int j = 12; j <= 18; j++)
        for (int i = 9; i <= 15; i++) {
            double squared = (i - 12) * (i - 12) + (j - 15) * (j - 15);
            double weight = aid_mask_row(&mask, j)[i] ? 0.0 : exp(-squared / (2.0 * 1.2 * 1.2));
            sum += weight * (double)aid_image_row(&image, j)[i];
            weights += weight;
        }
    CHECK_OK(aid_fill_masked(&image, &mask, AID_MASK_BAD, NULL, &err));
    CHECK_NEAR(aid_image_row(&image, 15)[12], sum / weights, 1e-4);
    aid_image_done(&image);
    aid_mask_done(&mask);
}

TEST_MAIN()
