/* Kernels, weights, variance, missing pixels and exact positions of resampling. */
#include "core/imaging/warp.h"

#include "tests/check.h"

#include <stdint.h>

static aid_error err;
static const aid_mask no_mask = {0};
static const aid_warp_kernel kernels[] = {AID_KERNEL_SPLINE3, AID_KERNEL_SPLINE5,
                                          AID_KERNEL_LANCZOS3, AID_KERNEL_LANCZOS4};
enum { KERNELS = 4, SIDE = 61, REACH = AID_WARP_REACH };

static double uniform(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (double)(*state >> 11) / 9007199254740992.0;
}

static aid_image random_image(int32_t width, int32_t height, uint64_t seed)
{
    aid_image image = {0};
    CHECK_OK(aid_image_init(width, height, &image, &err));
    for (int64_t i = 0; i < (int64_t)width * height; i++)
        image.data[i] = (float)(50.0 + 100.0 * uniform(&seed));
    return image;
}

static aid_transform turned(double degrees, double scale)
{
    aid_transform map = aid_transform_identity(SIDE, SIDE);
    double angle = degrees * 3.14159265358979323846 / 180.0;
    map.cx[1] = scale * cos(angle) * map.scale;
    map.cx[2] = -scale * sin(angle) * map.scale;
    map.cy[1] = scale * sin(angle) * map.scale;
    map.cy[2] = scale * cos(angle) * map.scale;
    map.cx[0] += 0.37;
    map.cy[0] -= 0.81;
    return map;
}

static aid_image warped(const aid_image *image, const aid_transform *map,
                        const aid_warp_options *options, aid_mask *ret_mask)
{
    aid_image out = {0};
    CHECK_OK(aid_warp(image, &no_mask, map, SIDE, SIDE, options, NULL, &out, ret_mask, &err));
    return out;
}

/* ------------------------------------------------------------------------------------- weights */

/* scipy 1.10.1: ndimage.map_coordinates of a single bright pixel, mode mirror, .3 px beyond. */
TEST(weights_of_splines_are_those_that_scipy_gives_a_single_pixel)
{
    static const double expected[2][8] = {{-0.0094582, 0.0352983, -0.1317352, 0.8346424, 0.3341656,
                                           -0.0823048, 0.0220535, -0.0059092},
                                          {-0.0281094, 0.0658345, -0.1656911, 0.8497097, 0.3497235,
                                           -0.1128155, 0.0469931, -0.0201659}};
    for (int n = 0; n < 2; n++) {
        double w[2 * REACH + 1];
        aid_warp_weights(kernels[n], 0.3, w);
        for (int k = -3; k <= 4; k++)
            CHECK_NEAR(w[REACH + k], expected[n][k + 3], 2e-7); /* seven decimals, and float */
    }
}

TEST(weights_are_what_resampling_makes_of_a_single_pixel)
{
    for (int n = 0; n < KERNELS; n++) {
        aid_image bright = {0};
        CHECK_OK(aid_image_init(SIDE, SIDE, &bright, &err));
        aid_image_row(&bright, 30)[30] = 1.0F;
        aid_transform shift = aid_transform_identity(SIDE, SIDE);
        shift.cx[0] += 0.3;
        aid_warp_options options = {.kernel = kernels[n]};
        aid_mask mask = {0};
        aid_image out = warped(&bright, &shift, &options, &mask);
        double w[2 * REACH + 1], sum = 0.0;
        aid_warp_weights(kernels[n], 0.3, w);
        for (int k = -REACH; k <= REACH; k++)
            sum += w[REACH + k];
        CHECK_NEAR(sum, 1.0, 1e-6);
        for (int k = -8; k <= 8; k++) /* the value k before the pixel has it k beyond */
            CHECK_NEAR(aid_image_row(&out, 30)[30 - k], w[REACH + k], 1e-5);
        aid_image_done(&out);
        aid_image_done(&bright);
        aid_mask_done(&mask);
    }
}

/* The definition, pixel by pixel: sinc(d) sinc(d/a), divided by the sum of all of them. */
static double lanczos_at(const aid_image *image, int a, double x, double y)
{
    const double pi = 3.14159265358979323846;
    double sum = 0.0, total_x = 0.0, total_y = 0.0, wx[9], wy[9];
    int32_t x0 = (int32_t)floor(x) - a + 1, y0 = (int32_t)floor(y) - a + 1;
    for (int k = 0; k < 2 * a; k++) {
        double dx = pi * (x0 + k - x), dy = pi * (y0 + k - y);
        wx[k] = dx == 0.0 ? 1.0 : a * sin(dx) * sin(dx / a) / (dx * dx);
        wy[k] = dy == 0.0 ? 1.0 : a * sin(dy) * sin(dy / a) / (dy * dy);
        total_x += wx[k];
        total_y += wy[k];
    }
    for (int j = 0; j < 2 * a; j++)
        for (int i = 0; i < 2 * a; i++)
            sum += wx[i] * wy[j] * (double)aid_image_row(image, y0 + j)[x0 + i];
    return sum / (total_x * total_y);
}

TEST(windowed_sincs_are_what_their_definition_says)
{
    aid_image image = random_image(SIDE, SIDE, 3);
    aid_transform map = turned(9.0, 1.01);
    for (int n = 2; n < KERNELS; n++) {
        aid_warp_options options = {.kernel = kernels[n]};
        aid_mask mask = {0};
        aid_image out = warped(&image, &map, &options, &mask);
        int compared = 0, a = (int)kernels[n] / 2;
        for (int32_t y = 0; y < SIDE; y++)
            for (int32_t x = 0; x < SIDE; x++) {
                double u, v;
                aid_transform_apply(&map, x, y, &u, &v);
                if (u < a || v < a || u > SIDE - 1 - a || v > SIDE - 1 - a)
                    continue;
                /* Weights linear between 1024 phases: (1/1024)^2/8 pi^2 = 1.2e-6 of 150. */
                CHECK_NEAR(aid_image_row(&out, y)[x], lanczos_at(&image, a, u, v), 2e-3);
                compared++;
            }
        CHECK(compared > 2000);
        aid_image_done(&out);
        aid_mask_done(&mask);
    }
    aid_image_done(&image);
}

TEST(a_constant_stays_that_constant_under_every_kernel)
{
    aid_image image = random_image(SIDE, SIDE, 3);
    for (int64_t i = 0; i < SIDE * SIDE; i++)
        image.data[i] = 1000.0F;
    aid_transform map = turned(9.0, 1.01);
    for (int n = 0; n < KERNELS; n++) {
        aid_warp_options options = {.kernel = kernels[n]};
        aid_mask mask = {0};
        aid_image out = warped(&image, &map, &options, &mask);
        for (int64_t i = 0; i < SIDE * SIDE; i++)
            if (isfinite(out.data[i]))
                CHECK_NEAR(out.data[i], 1000.0, 3e-3);
        aid_image_done(&out);
        aid_mask_done(&mask);
    }
    aid_image_done(&image);
}

/* ------------------------------------------------------------------------------------ variance */

TEST(variance_is_the_sum_of_squared_weights_times_that_of_the_pixels)
{
    aid_image variance = random_image(SIDE, SIDE, 5);
    aid_transform map = turned(9.0, 1.05);
    for (int n = 0; n < KERNELS; n++) {
        aid_warp_options options = {.kernel = kernels[n], .conserve_flux = true};
        aid_image out = {0};
        CHECK_OK(aid_warp_variance(&variance, &map, SIDE, SIDE, &options, NULL, &out, &err));
        int compared = 0;
        for (int32_t y = 0; y < SIDE; y++)
            for (int32_t x = 0; x < SIDE; x++) {
                double u, v, wx[2 * REACH + 1], wy[2 * REACH + 1], sum = 0.0;
                aid_transform_apply(&map, x, y, &u, &v);
                if (u < 12 || v < 12 || u > SIDE - 13 || v > SIDE - 13)
                    continue;
                aid_warp_weights(kernels[n], u - floor(u), wx);
                aid_warp_weights(kernels[n], v - floor(v), wy);
                for (int j = -11; j <= 11; j++)
                    for (int i = -11; i <= 11; i++) {
                        double w = wx[REACH + i] * wy[REACH + j];
                        sum += w * w *
                               (double)aid_image_row(&variance, (int32_t)v + j)[(int32_t)u + i];
                    }
                /* |Jacobian| 1.05^2 = 1.1025, squared; the nearest of 1024 phases and eight
                 * pixels instead of all. */
                CHECK_NEAR(aid_image_row(&out, y)[x] / (sum * 1.1025 * 1.1025), 1.0, 2e-3);
                compared++;
            }
        CHECK(compared > 800);
        aid_image_done(&out);
    }
    aid_image_done(&variance);
}

/* The variance of a million resampled values of unit noise, at every phase, is good to .15 %. */
TEST(variance_is_that_of_resampled_noise)
{
    enum { WIDE = 1000 };
    aid_image noise = {0}, ones = {0}, out = {0}, variance = {0};
    aid_mask mask = {0};
    uint64_t seed = 8;
    CHECK_OK(aid_image_init(WIDE, WIDE, &noise, &err));
    CHECK_OK(aid_image_init(WIDE, WIDE, &ones, &err));
    for (int64_t i = 0; i < WIDE * WIDE; i++) {
        noise.data[i] = (float)(sqrt(12.0) * (uniform(&seed) - 0.5));
        ones.data[i] = 1.0F;
    }
    aid_transform map = aid_transform_identity(WIDE, WIDE);
    map.cx[2] = 0.05 * map.scale;
    map.cy[1] = -0.05 * map.scale;
    aid_warp_options options = AID_WARP_DEFAULTS;
    CHECK_OK(aid_warp(&noise, &no_mask, &map, WIDE, WIDE, &options, NULL, &out, &mask, &err));
    CHECK_OK(aid_warp_variance(&ones, &map, WIDE, WIDE, &options, NULL, &variance, &err));
    double measured = 0.0, stated = 0.0;
    for (int64_t i = 0; i < WIDE * WIDE; i++)
        if (isfinite(out.data[i])) {
            measured += (double)out.data[i] * (double)out.data[i];
            stated += (double)variance.data[i];
        }
    CHECK_NEAR(measured / stated, 1.0, 0.01); /* neighbours are correlated: some more than .15 % */
    aid_image_done(&noise);
    aid_image_done(&ones);
    aid_image_done(&out);
    aid_image_done(&variance);
    aid_mask_done(&mask);
}

/* -------------------------------------------------------------------------------------- missing */

TEST(a_masked_pixel_that_counts_as_missing_spreads_by_the_footprint_of_each_kernel)
{
    static const double reach[] = {2.0, 3.0, 3.0, 4.0};
    aid_transform map = aid_transform_identity(SIDE, SIDE);
    map.cx[0] += 0.3;
    map.cy[0] += 0.6;
    for (int n = 0; n < KERNELS; n++) {
        aid_image image = random_image(SIDE, SIDE, 6), out = {0};
        aid_mask mask = {0}, out_mask = {0};
        CHECK_OK(aid_mask_init(SIDE, SIDE, &mask, &err));
        aid_mask_row(&mask, 20)[19] = AID_MASK_COSMIC_RAY;
        aid_mask_row(&mask, 40)[41] = AID_MASK_SATURATED; /* which keeps its value */
        aid_warp_options options = {.kernel = kernels[n],
                                    .missing = AID_MASK_BAD | AID_MASK_COSMIC_RAY};
        CHECK_OK(aid_warp(&image, &mask, &map, SIDE, SIDE, &options, NULL, &out, &out_mask, &err));
        for (int32_t y = 1; y < SIDE - 2; y++)
            for (int32_t x = 1; x < SIDE - 2; x++) {
                bool hole = fabs(x + 0.3 - 19.0) < reach[n] && fabs(y + 0.6 - 20.0) < reach[n];
                CHECK_EQUAL(isnan(aid_image_row(&out, y)[x]) != 0, hole);
                CHECK_EQUAL((aid_mask_row(&out_mask, y)[x] & AID_MASK_NO_DATA) != 0, hole);
            }
        CHECK(aid_mask_row(&out_mask, 40)[41] & AID_MASK_SATURATED);
        aid_image_done(&image);
        aid_image_done(&out);
        aid_mask_done(&mask);
        aid_mask_done(&out_mask);
    }
}

/* ------------------------------------------------------------------------------ exact positions */

static bool by_transform(const void *context, double x, double y, double *ret_x, double *ret_y)
{
    aid_transform_apply(context, x, y, ret_x, ret_y);
    return true;
}

TEST(positions_on_a_grid_give_the_pixels_that_the_same_map_gives_as_a_polynomial)
{
    aid_image image = random_image(SIDE, SIDE, 9);
    aid_transform map = turned(4.0, 1.02);
    map.degree = 2;
    map.cx[3] = 0.8;
    map.cy[5] = -0.5;
    aid_grid_map grid = {0};
    double worst;
    CHECK_OK(aid_grid_map_init(SIDE, SIDE, by_transform, &map, 1e-6, &grid, &worst, &err));
    CHECK(worst < 1e-9); /* a cubic through a parabola is the parabola */
    aid_mask one = {0}, other = {0};
    aid_warp_options options = AID_WARP_DEFAULTS;
    aid_image by_map = warped(&image, &map, &options, &one);
    options.grid = &grid;
    aid_image by_grid = warped(&image, &map, &options, &other);
    for (int64_t i = 0; i < SIDE * SIDE; i++) {
        CHECK_EQUAL(isnan(by_map.data[i]) != 0, isnan(by_grid.data[i]) != 0);
        if (isfinite(by_map.data[i]))
            CHECK_NEAR(by_grid.data[i], by_map.data[i], 2e-3);
    }
    aid_grid_map_done(&grid);
    aid_image_done(&by_map);
    aid_image_done(&by_grid);
    aid_image_done(&image);
    aid_mask_done(&one);
    aid_mask_done(&other);
}

/* A wave of 300 px period and 2 px height: in cells of h px a cubic is off by at most
 * 3/128 h^4 2 (2 pi/300)^4. For 1e-4 px that asks for h below 10: 8. */
static bool wave(const void *context, double x, double y, double *ret_x, double *ret_y)
{
    (void)context;
    *ret_x = x + 2.0 * sin(6.28318530717958648 * y / 300.0);
    *ret_y = y + 2.0 * cos(6.28318530717958648 * x / 300.0);
    return x < 900.0;
}

TEST(cells_are_halved_until_the_map_is_right_between_their_corners)
{
    aid_grid_map grid = {0};
    double worst;
    CHECK_OK(aid_grid_map_init(1000, 700, wave, NULL, 1e-4, &grid, &worst, &err));
    CHECK_EQUAL(grid.step, 8);
    CHECK(worst < 1e-4);
    uint64_t seed = 4;
    for (int k = 0; k < 500; k++) {
        double x = 850.0 * uniform(&seed), y = 699.0 * uniform(&seed), u, v, at_u, at_v, m[4];
        wave(NULL, x, y, &u, &v);
        aid_grid_map_apply(&grid, x, y, &at_u, &at_v);
        CHECK_NEAR(at_u, u, 2e-4);
        CHECK_NEAR(at_v, v, 2e-4);
        aid_grid_map_matrix(&grid, x, y, m);
        CHECK_NEAR(m[0], 1.0, 1e-9);
        CHECK_NEAR(m[1], 2.0 * 0.0209439510 * cos(0.0209439510 * y), 1e-4);
        CHECK_NEAR(m[2], -2.0 * 0.0209439510 * sin(0.0209439510 * x), 1e-4);
    }
    double u = 0.0, v = 0.0;
    aid_grid_map_apply(&grid, 950.0, 10.0, &u, &v); /* where there is no position */
    CHECK(isnan(u) && isnan(v));
    aid_grid_map_done(&grid);
}

TEST(one_and_seven_threads_give_the_same_bytes_for_every_kernel)
{
    aid_image image = random_image(SIDE, SIDE, 4);
    aid_transform map = turned(5.0, 0.97);
    aid_pool *pool = NULL;
    CHECK_OK(aid_pool_new(7, &pool, &err));
    for (int n = 0; n < KERNELS; n++) {
        aid_image one[2] = {{0}}, many[2] = {{0}};
        aid_mask mask_one = {0}, mask_many = {0};
        aid_warp_options options = {.kernel = kernels[n], .conserve_flux = true};
        CHECK_OK(
            aid_warp(&image, &no_mask, &map, 70, 50, &options, NULL, &one[0], &mask_one, &err));
        CHECK_OK(
            aid_warp(&image, &no_mask, &map, 70, 50, &options, pool, &many[0], &mask_many, &err));
        CHECK_OK(aid_warp_variance(&image, &map, 70, 50, &options, NULL, &one[1], &err));
        CHECK_OK(aid_warp_variance(&image, &map, 70, 50, &options, pool, &many[1], &err));
        for (int k = 0; k < 2; k++) {
            CHECK(!memcmp(one[k].data, many[k].data, 70 * 50 * sizeof(float)));
            aid_image_done(&one[k]);
            aid_image_done(&many[k]);
        }
        aid_mask_done(&mask_one);
        aid_mask_done(&mask_many);
    }
    aid_pool_free(pool);
    aid_image_done(&image);
}

TEST_MAIN()
