#include "domain/stacking/stacking.h"

#include "tests/check.h"

#include <stdint.h>

static aid_error err;
enum { SIDE = 96 };

static aid_frame_pixels frame_of(double level, bool with_variance)
{
    aid_frame_pixels pixels = {0};
    CHECK_OK(aid_image_init(SIDE, SIDE, &pixels.image, &err));
    CHECK_OK(aid_mask_init(SIDE, SIDE, &pixels.mask, &err));
    if (with_variance)
        CHECK_OK(aid_image_init(SIDE, SIDE, &pixels.variance, &err));
    for (int32_t y = 0; y < SIDE; y++)
        for (int32_t x = 0; x < SIDE; x++) {
            double r2 = (x - 40.0) * (x - 40.0) + (y - 52.0) * (y - 52.0);
            aid_image_row(&pixels.image, y)[x] = (float)(level + 500.0 * exp(-0.5 * r2 / 4.0));
            if (with_variance)
                aid_image_row(&pixels.variance, y)[x] = 25.0F;
        }
    return pixels;
}

static aid_transform scaled(double scale, double shift)
{
    aid_transform map = aid_transform_identity(SIDE, SIDE);
    map.cx[1] *= scale;
    map.cy[2] *= scale;
    map.cx[0] += shift;
    return map;
}

static double flux_of(const aid_image *image, double level)
{
    double sum = 0.0;
    for (int32_t y = 20; y < SIDE - 20; y++)
        for (int32_t x = 20; x < SIDE - 20; x++)
            sum += (double)aid_image_row(image, y)[x] - level;
    return sum;
}

/* The star has 500 x 2 pi x 4 = 12566 counts. A pixel that covers 1.21 pixels has 1.21 times the
 * sky. Sampled every 1.1 px, a cubic spline lets through sinc(1/1.1)^4 = 9.5e-5 of the images of
 * its spectrum, twice on each axis, times the star's .52 there: 2e-4. */
TEST(flux_is_kept_and_the_sky_goes_with_the_area_of_a_pixel)
{
    aid_transform map = scaled(1.1, 0.4);
    aid_regrid_options options = AID_REGRID_DEFAULTS;
    options.width = options.height = SIDE;
    options.map = &map;
    for (int subtract = 0; subtract < 2; subtract++) {
        aid_frame_pixels pixels = frame_of(1000.0, true), out = {0};
        options.subtract_sky = subtract;
        options.scale = subtract ? 2.0 : 1.0;
        CHECK_OK(aid_regrid_frame(&pixels, NULL, &options, NULL, &out, &err));
        CHECK(!pixels.image.data && !pixels.mask.data); /* taken */
        double level = subtract ? 0.0 : 1210.0;
        CHECK_NEAR(aid_image_row(&out.image, 70)[70], level, 0.01);
        CHECK_NEAR(flux_of(&out.image, level) / options.scale, 12566.4, 12566.4 * 2e-4);
        /* Squared weights: between .57^... of one pixel's and all of it, times area and scale. */
        double unit = 25.0 * 1.21 * 1.21 * options.scale * options.scale;
        double share = (double)aid_image_row(&out.variance, 70)[70] / unit;
        CHECK(share > 0.4 && share < 1.001);
        aid_frame_pixels_done(&out);
    }
}

TEST(a_map_that_moves_nothing_leaves_the_pixels_and_takes_the_bad_ones_out)
{
    aid_frame_pixels pixels = frame_of(1000.0, true), out = {0};
    aid_transform map = scaled(1.0, 0.0);
    aid_regrid_options options = AID_REGRID_DEFAULTS;
    options.width = options.height = SIDE;
    options.map = &map;
    aid_mask_row(&pixels.mask, 10)[11] = AID_MASK_BAD;
    aid_mask_row(&pixels.mask, 12)[13] = AID_MASK_SATURATED;
    aid_image_row(&pixels.image, 14)[15] = NAN;
    CHECK_OK(aid_regrid_frame(&pixels, NULL, &options, NULL, &out, &err));
    aid_frame_pixels before = frame_of(1000.0, true);
    for (int32_t y = 0; y < SIDE; y++)
        for (int32_t x = 0; x < SIDE; x++) {
            bool hole = (x == 11 && y == 10) || (x == 15 && y == 14);
            float value = aid_image_row(&out.image, y)[x];
            CHECK_EQUAL(isnan(value) != 0, hole);
            CHECK_EQUAL((aid_mask_row(&out.mask, y)[x] & AID_MASK_NO_DATA) != 0, hole);
            CHECK_EQUAL(isnan(aid_image_row(&out.variance, y)[x]) != 0, hole);
            if (!hole)
                CHECK_NEAR(value, aid_image_row(&before.image, y)[x], 2e-4);
        }
    CHECK_EQUAL(aid_mask_row(&out.mask, 12)[13], AID_MASK_SATURATED);
    aid_frame_pixels_done(&before);
    aid_frame_pixels_done(&out);
}

/* Filled by the level that is there, a hole in a sky of 1000 rings by nothing outside its reach. */
TEST(holes_do_not_ring)
{
    aid_frame_pixels pixels = frame_of(1000.0, false), out = {0};
    aid_transform map = scaled(1.0, 0.5);
    aid_regrid_options options = AID_REGRID_DEFAULTS;
    options.width = options.height = SIDE;
    options.map = &map;
    for (int32_t k = 0; k < 5; k++)
        aid_image_row(&pixels.image, 70)[68 + k] = NAN;
    aid_image_row(&pixels.image, 20)[70] = 60000.0F;
    aid_mask_row(&pixels.mask, 20)[70] = AID_MASK_COSMIC_RAY;
    CHECK_OK(aid_regrid_frame(&pixels, NULL, &options, NULL, &out, &err));
    CHECK(!out.variance.data);
    int holes = 0;
    for (int32_t y = 14; y < SIDE - 14; y++)
        for (int32_t x = 60; x < SIDE - 14; x++) {
            float value = aid_image_row(&out.image, y)[x];
            holes += isnan(value) != 0;
            if (isfinite(value))
                CHECK_NEAR(value, 1000.0, 0.02);
        }
    /* At half a pixel in x and none in y: columns from x0 - 2 to x1 + 1, rows one more to each
     * side, of 5 pixels and of 1. */
    CHECK_EQUAL(holes, 8 * 3 + 4 * 3);
    aid_frame_pixels_done(&out);
}

TEST(a_modelled_variance_counts_sky_and_photons)
{
    aid_frame_pixels pixels = frame_of(1000.0, false), out = {0};
    aid_exposure facts = {.gain = 2.0};
    CHECK_OK(aid_mesh_init(SIDE, SIDE, 2, 2, &facts.background, &err));
    CHECK_OK(aid_mesh_init(SIDE, SIDE, 2, 2, &facts.noise, &err));
    CHECK_OK(aid_mask_init(SIDE, SIDE, &facts.mask, &err));
    for (int i = 0; i < 4; i++) {
        facts.background.values[i] = 1000.0F;
        facts.noise.values[i] = 3.0F;
    }
    aid_transform map = scaled(1.0, 0.0);
    aid_regrid_options options = AID_REGRID_DEFAULTS;
    options.width = options.height = SIDE;
    options.map = &map;
    options.subtract_sky = true;
    CHECK_OK(aid_regrid_frame(&pixels, &facts, &options, NULL, &out, &err));
    CHECK_NEAR(aid_image_row(&out.variance, 80)[80], 9.0, 1e-3);
    CHECK_NEAR(aid_image_row(&out.variance, 52)[40], 9.0 + 500.0 / 2.0, 1e-2);
    CHECK_NEAR(aid_image_row(&out.image, 80)[80], 0.0, 1e-3);
    aid_mesh_done(&facts.background);
    aid_mesh_done(&facts.noise);
    aid_mask_done(&facts.mask);
    aid_frame_pixels_done(&out);
}

TEST(one_and_seven_threads_give_the_same_bytes)
{
    aid_pool *pool = NULL;
    CHECK_OK(aid_pool_new(7, &pool, &err));
    aid_transform map = scaled(1.03, 0.4);
    aid_regrid_options options = AID_REGRID_DEFAULTS;
    options.width = 101;
    options.height = 87;
    options.map = &map;
    aid_frame_pixels out[2];
    memset(out, 0, sizeof out);
    for (int k = 0; k < 2; k++) {
        aid_frame_pixels pixels = frame_of(1000.0, true);
        aid_image_row(&pixels.image, 50)[50] = NAN;
        CHECK_OK(aid_regrid_frame(&pixels, NULL, &options, k ? pool : NULL, &out[k], &err));
    }
    CHECK(!memcmp(out[0].image.data, out[1].image.data, 101 * 87 * sizeof(float)));
    CHECK(!memcmp(out[0].variance.data, out[1].variance.data, 101 * 87 * sizeof(float)));
    CHECK(!memcmp(out[0].mask.data, out[1].mask.data, 101 * 87));
    aid_frame_pixels_done(&out[0]);
    aid_frame_pixels_done(&out[1]);
    aid_pool_free(pool);
}

TEST_MAIN()
