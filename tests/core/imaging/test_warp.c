#include "core/imaging/warp.h"

#include "tests/check.h"

#include <stdint.h>

static aid_error err;
static const aid_mask no_mask = {0};

static double uniform(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (double)(*state >> 11) / 9007199254740992.0;
}

static aid_image image_of(int32_t width, int32_t height)
{
    aid_image image = {0};
    CHECK_OK(aid_image_init(width, height, &image, &err));
    return image;
}

static aid_mask mask_of(int32_t width, int32_t height)
{
    aid_mask mask = {0};
    CHECK_OK(aid_mask_init(width, height, &mask, &err));
    return mask;
}

static aid_image random_image(int32_t width, int32_t height, uint64_t seed)
{
    aid_image image = image_of(width, height);
    for (int64_t i = 0; i < (int64_t)width * height; i++)
        image.data[i] = (float)(200.0 * uniform(&seed) - 100.0);
    return image;
}

static aid_pool *pool_of(int threads)
{
    aid_pool *pool = NULL;
    CHECK_OK(aid_pool_new(threads, &pool, &err));
    return pool;
}

/* Rotation about the middle of a width x height image, then a shift. */
static aid_transform rotation(int width, int height, double degrees, double scale, double dx,
                              double dy)
{
    aid_transform map = aid_transform_identity(width, height);
    double angle = degrees * 3.14159265358979323846 / 180.0;
    double c = scale * cos(angle), s = scale * sin(angle);
    map.cx[1] = c * map.scale;
    map.cx[2] = -s * map.scale;
    map.cy[1] = s * map.scale;
    map.cy[2] = c * map.scale;
    map.cx[0] += dx;
    map.cy[0] += dy;
    return map;
}

static aid_image warped(const aid_image *image, const aid_transform *map, int order,
                        aid_mask *ret_mask)
{
    aid_warp_options options = {.kernel = (aid_warp_kernel)order, .conserve_flux = false};
    aid_image out = {0};
    CHECK_OK(aid_warp(image, &no_mask, map, image->width, image->height, &options, NULL, &out,
                      ret_mask, &err));
    return out;
}

/* ----------------------------------------------------------------------------------- the values */

/* x_in = 0.9 x - 0.2 y + 0.8, y_in = 0.25 x + 0.85 y + 0.1, 0-based, written for any frame. */
static aid_transform skewed(void)
{
    aid_transform map = {.degree = 1, .x0 = 0.0, .y0 = 0.0, .scale = 1.0};
    map.cx[0] = 0.8;
    map.cx[1] = 0.9;
    map.cx[2] = -0.2;
    map.cy[0] = 0.1;
    map.cy[1] = 0.25;
    map.cy[2] = 0.85;
    return map;
}

/* scipy 1.10.1: ndimage.map_coordinates(a, [y, x], order, mode='mirror'). */
TEST(values_equal_those_of_scipy_for_both_orders)
{
    static const float pixels[6][7] = {
        {-37, -14, 70, 37, -36, 15, 22}, {-26, 60, -33, 9, 28, 15, 38},
        {61, 93, -7, 47, 54, -6, -50},   {96, -5, -3, 84, 38, 21, 66},
        {-45, 56, 6, -36, 49, 90, -19},  {45, -5, 61, 58, -17, 74, 49}};
    static const double expected[2][5][5] = {
        {{-24.083136, 36.41736, 18.675952, 20.798526, 24.915366},
         {24.006553, 27.731349, -38.356588, 46.145513, 45.935878},
         {64.287526, 64.225863, 8.623893, 90.572694, 37.923139},
         {103.420246, -11.02143, -4.943526, 25.961809, 39.930971},
         {14.233852, 40.808175, 24.850215, -15.946512, -2.596034}},
        {{-24.20656, 36.3679, 21.036775, 25.45004, 22.251225},
         {22.385676, 34.907833, -55.182743, 48.482988, 45.345896},
         {61.268206, 65.092083, 14.938375, 97.873378, 35.573971},
         {111.0668, -14.225754, -7.146333, 19.610647, 40.763698},
         {7.699848, 41.532128, 27.606861, -14.118263, -7.475602}}};
    aid_image image = image_of(7, 6);
    memcpy(image.data, pixels, sizeof pixels);
    aid_transform map = skewed();
    for (int order = 3; order <= 5; order += 2) {
        aid_warp_options options = {.kernel = (aid_warp_kernel)order, .conserve_flux = false};
        aid_image out = {0};
        aid_mask mask = {0};
        CHECK_OK(aid_warp(&image, &no_mask, &map, 5, 5, &options, NULL, &out, &mask, &err));
        /* Coefficients of several hundred in float: 6e-8 * 500 * some ten operations. */
        for (int y = 0; y < 5; y++)
            for (int x = 0; x < 5; x++)
                CHECK_NEAR(aid_image_row(&out, y)[x], expected[(order - 3) / 2][y][x], 3e-4);
        aid_image_done(&out);
        aid_mask_done(&mask);
    }
    aid_image_done(&image);
}

TEST(the_identity_returns_the_same_pixels_and_the_same_mask)
{
    static const int32_t shapes[][2] = {{100, 83}, {1, 1}, {1, 9}, {2, 3}, {257, 2}, {64, 16}};
    for (size_t i = 0; i < AID_COUNT_OF(shapes); i++)
        for (int order = 3; order <= 5; order += 2) {
            int32_t width = shapes[i][0], height = shapes[i][1];
            aid_image image = random_image(width, height, 3), out = {0};
            aid_mask mask = mask_of(width, height), out_mask = {0};
            mask.data[(int64_t)width * height / 2] = AID_MASK_BAD;
            aid_transform map = aid_transform_identity(width, height);
            aid_warp_options options = {.kernel = (aid_warp_kernel)order, .conserve_flux = true};
            CHECK_OK(aid_warp(&image, &mask, &map, width, height, &options, NULL, &out, &out_mask,
                              &err));
            /* Coefficients up to 100 * 3 per dimension (order 5: 7) at 6e-8, some 40 operations. */
            for (int64_t k = 0; k < (int64_t)width * height; k++) {
                CHECK_NEAR(out.data[k], image.data[k], order == 3 ? 3e-4 : 3e-3);
                CHECK_EQUAL(out_mask.data[k], mask.data[k]);
            }
            aid_image_done(&image);
            aid_image_done(&out);
            aid_mask_done(&mask);
            aid_mask_done(&out_mask);
        }
}

/* Stars of sigma 1.5 px (FWHM 3.5), well apart, of which truth can be evaluated anywhere. */
enum { STARS = 25, SIDE = 200 };
static const double star_sigma = 1.5, star_peak = 1000.0;

static void star_place(int star, double *ret_x, double *ret_y)
{
    uint64_t seed = (uint64_t)star + 1;
    uniform(&seed);
    *ret_x = 30.0 + 35.0 * (star % 5) + 3.0 * uniform(&seed);
    *ret_y = 30.0 + 35.0 * (star / 5) + 3.0 * uniform(&seed);
}

static double scene_at(double x, double y)
{
    double sum = 0.0;
    for (int star = 0; star < STARS; star++) {
        double at_x, at_y;
        star_place(star, &at_x, &at_y);
        double squared = (x - at_x) * (x - at_x) + (y - at_y) * (y - at_y);
        if (squared < 200.0)
            sum += star_peak * exp(-0.5 * squared / (star_sigma * star_sigma));
    }
    return sum;
}

static aid_image scene(void)
{
    aid_image image = image_of(SIDE, SIDE);
    for (int32_t y = 0; y < SIDE; y++)
        for (int32_t x = 0; x < SIDE; x++)
            aid_image_row(&image, y)[x] = (float)scene_at(x, y);
    return image;
}

/* A rotation with curvature up to degree 5, as of an optical distortion. */
static aid_transform distorted(void)
{
    aid_transform map = rotation(SIDE, SIDE, 1.3, 1.02, 2.37, -1.21);
    map.degree = 5;
    map.cx[3] = 0.8;
    map.cy[4] = -0.7;
    map.cx[6] = 0.5;
    map.cy[9] = 0.6;
    map.cx[16] = -0.3;
    map.cy[20] = 0.2;
    return map;
}

TEST(a_smooth_scene_is_resampled_to_what_it_is_at_the_mapped_positions)
{
    aid_image image = scene();
    aid_transform maps[] = {rotation(SIDE, SIDE, 1.3, 1.02, 3.37, -2.21), distorted()};
    /* In one dimension scipy 1.10.1's splines of order 3 and 5 miss a Gaussian of sigma 1.5 px by
     * at most 2.62e-3 and 3.56e-4 of its peak, over all phases; two dimensions err twice. */
    double tolerance[] = {2.05 * 2.62e-3 * star_peak, 2.05 * 3.56e-4 * star_peak};
    for (int m = 0; m < 2; m++)
        for (int order = 3; order <= 5; order += 2) {
            aid_mask mask = {0};
            aid_image out = warped(&image, &maps[m], order, &mask);
            for (int32_t y = 8; y < SIDE - 8; y++)
                for (int32_t x = 8; x < SIDE - 8; x++) {
                    double in_x, in_y;
                    aid_transform_apply(&maps[m], x, y, &in_x, &in_y);
                    if (in_x < 0 || in_y < 0 || in_x > SIDE - 1 || in_y > SIDE - 1)
                        continue;
                    CHECK_NEAR(aid_image_row(&out, y)[x], scene_at(in_x, in_y),
                               tolerance[(order - 3) / 2]);
                }
            aid_image_done(&out);
            aid_mask_done(&mask);
        }
    aid_image_done(&image);
}

/* Flux and centroid in a disk of 10 px around (x, y). */
static void measure(const aid_image *image, double x, double y, double *ret_flux, double *ret_x,
                    double *ret_y)
{
    double sum = 0.0, sum_x = 0.0, sum_y = 0.0;
    for (int32_t j = (int32_t)y - 11; j <= (int32_t)y + 12; j++)
        for (int32_t i = (int32_t)x - 11; i <= (int32_t)x + 12; i++)
            if (hypot(i - x, j - y) <= 10.0) {
                double value = (double)aid_image_row(image, j)[i];
                sum += value;
                sum_x += value * (i - x);
                sum_y += value * (j - y);
            }
    *ret_flux = sum;
    *ret_x = x + sum_x / sum;
    *ret_y = y + sum_y / sum;
}

TEST(stars_keep_their_flux_to_1e_4_and_land_within_a_thousandth_of_a_pixel)
{
    aid_image image = scene();
    aid_transform maps[] = {rotation(SIDE, SIDE, 1.3, 1.02, 3.37, -2.21), distorted()};
    double truth = star_peak * 2.0 * 3.14159265358979323846 * star_sigma * star_sigma;
    for (int m = 0; m < 2; m++)
        for (int order = 3; order <= 5; order += 2) {
            aid_image out = {0};
            aid_mask mask = {0};
            aid_warp_options options = {.kernel = (aid_warp_kernel)order, .conserve_flux = true};
            CHECK_OK(aid_warp(&image, &no_mask, &maps[m], SIDE, SIDE, &options, NULL, &out, &mask,
                              &err));
            for (int star = 0; star < STARS; star++) {
                double in_x, in_y, x, y, flux, got_x, got_y;
                star_place(star, &in_x, &in_y);
                CHECK(aid_transform_invert(&maps[m], in_x, in_y, &x, &y));
                if (x < 12 || y < 12 || x > SIDE - 14 || y > SIDE - 14)
                    continue;
                measure(&out, x, y, &flux, &got_x, &got_y);
                CHECK_NEAR(flux / truth, 1.0, 1e-4);
                CHECK_NEAR(got_x, x, 1e-3);
                CHECK_NEAR(got_y, y, 1e-3);
            }
            aid_image_done(&out);
            aid_mask_done(&mask);
        }
    aid_image_done(&image);
}

TEST(a_mirrored_input_is_as_positive_as_any)
{
    aid_image image = scene(), out = {0};
    aid_mask mask = {0};
    aid_transform map = aid_transform_identity(SIDE, SIDE);
    map.cx[1] = -map.cx[1];
    CHECK_OK(
        aid_warp(&image, &no_mask, &map, SIDE, SIDE, &AID_WARP_DEFAULTS, NULL, &out, &mask, &err));
    for (int32_t x = 0; x < SIDE; x++)
        CHECK_NEAR(aid_image_row(&out, 31)[x], aid_image_row(&image, 31)[SIDE - 1 - x], 2e-3);
    aid_image_done(&image);
    aid_image_done(&out);
    aid_mask_done(&mask);
}

TEST(a_view_with_a_stride_gives_what_its_dense_copy_gives)
{
    aid_image whole = random_image(60, 40, 8), copy = {0};
    aid_image view = {.data = whole.data + 5 * 60 + 7, .width = 31, .height = 22, .stride = 60};
    CHECK_OK(aid_image_copy(&view, &copy, &err));
    aid_transform map = rotation(31, 22, 12.0, 1.1, 0.3, 0.4);
    aid_mask mask_view = {0}, mask_copy = {0};
    aid_image from_view = warped(&view, &map, 3, &mask_view);
    aid_image from_copy = warped(&copy, &map, 3, &mask_copy);
    CHECK(!memcmp(from_view.data, from_copy.data, 31 * 22 * sizeof(float)));
    aid_image_done(&whole);
    aid_image_done(&copy);
    aid_image_done(&from_view);
    aid_image_done(&from_copy);
    aid_mask_done(&mask_view);
    aid_mask_done(&mask_copy);
}

/* --------------------------------------------------------------------------- missing and masked */

TEST(off_the_input_there_is_no_data_and_inside_there_is)
{
    aid_image image = random_image(50, 40, 1);
    aid_transform map = rotation(50, 40, 0.0, 1.0, 10.25, -5.5);
    aid_mask mask = {0};
    aid_image out = warped(&image, &map, 3, &mask);
    for (int32_t y = 0; y < 40; y++)
        for (int32_t x = 0; x < 50; x++) {
            bool inside = x + 10.25 <= 49.0 && y - 5.5 >= 0.0;
            CHECK_EQUAL(isfinite(aid_image_row(&out, y)[x]), inside);
            CHECK_EQUAL(aid_mask_row(&mask, y)[x], inside ? 0 : AID_MASK_NO_DATA);
        }
    aid_image_done(&out);
    aid_mask_done(&mask);
    aid_image_done(&image);
}

TEST(a_transform_that_leads_far_away_or_to_nan_gives_no_data_everywhere)
{
    const double shifts[] = {1e6, -1e6, 1e300, NAN};
    aid_image image = random_image(20, 20, 1);
    for (size_t i = 0; i < AID_COUNT_OF(shifts); i++) {
        aid_transform map = rotation(20, 20, 0.0, 1.0, shifts[i], 0.0);
        aid_mask mask = {0};
        aid_image out = warped(&image, &map, 3, &mask);
        for (int k = 0; k < 400; k++)
            CHECK(isnan(out.data[k]) && mask.data[k] == AID_MASK_NO_DATA);
        aid_image_done(&out);
        aid_mask_done(&mask);
    }
    aid_image_done(&image);
}

TEST(mask_bits_reach_every_pixel_that_samples_less_than_one_pixel_away)
{
    aid_image image = image_of(30, 30), out = {0};
    aid_mask mask = mask_of(30, 30), out_mask = {0};
    aid_mask_row(&mask, 12)[10] = AID_MASK_SATURATED;
    aid_mask_row(&mask, 12)[11] = AID_MASK_BAD;
    aid_transform map = rotation(30, 30, 7.0, 1.03, 0.4, 0.3);
    CHECK_OK(
        aid_warp(&image, &mask, &map, 30, 30, &AID_WARP_DEFAULTS, NULL, &out, &out_mask, &err));
    for (int32_t y = 2; y < 28; y++)
        for (int32_t x = 2; x < 28; x++) {
            double in_x, in_y;
            aid_transform_apply(&map, x, y, &in_x, &in_y);
            int expected = 0;
            if (fabs(in_x - 10.0) < 0.999 && fabs(in_y - 12.0) < 0.999)
                expected |= AID_MASK_SATURATED;
            if (fabs(in_x - 11.0) < 0.999 && fabs(in_y - 12.0) < 0.999)
                expected |= AID_MASK_BAD;
            if (isfinite(aid_image_row(&out, y)[x]))
                CHECK_EQUAL(aid_mask_row(&out_mask, y)[x], expected);
        }
    aid_image_done(&image);
    aid_image_done(&out);
    aid_mask_done(&mask);
    aid_mask_done(&out_mask);
}

/* Without its NaN the image is the same but for the ringing of the hole, which fades by 0.27
 * (cubic) and 0.43 (quintic) a pixel; inside the reach there must be no number at all. */
TEST(a_nan_spreads_by_the_footprint_of_the_kernel_and_no_further)
{
    for (int order = 3; order <= 5; order += 2) {
        double reach = order == 3 ? 2.0 : 3.0;
        aid_image image = random_image(40, 40, 6);
        aid_image_row(&image, 20)[19] = order == 3 ? NAN : INFINITY;
        aid_transform map = rotation(40, 40, 0.0, 1.0, 0.3, 0.6);
        aid_mask mask = {0};
        aid_image out = warped(&image, &map, order, &mask);
        for (int32_t y = 1; y < 38; y++)
            for (int32_t x = 1; x < 38; x++) {
                bool hole = fabs(x + 0.3 - 19.0) < reach && fabs(y + 0.6 - 20.0) < reach;
                CHECK_EQUAL(isnan(aid_image_row(&out, y)[x]) != 0, hole);
                CHECK_EQUAL(aid_mask_row(&mask, y)[x], hole ? AID_MASK_NO_DATA : 0);
            }
        aid_image_done(&image);
        aid_image_done(&out);
        aid_mask_done(&mask);
    }
}

/* ------------------------------------------------------------------------------------- threads */

TEST(one_and_seven_threads_give_the_same_bytes)
{
    aid_image image = random_image(333, 270, 4), one = {0}, many = {0};
    aid_mask mask = mask_of(333, 270), mask_one = {0}, mask_many = {0};
    for (int64_t i = 0; i < 333 * 270; i += 97)
        mask.data[i] = AID_MASK_BAD;
    image.data[40000] = NAN;
    aid_transform map = rotation(333, 270, 5.0, 0.9, 3.0, 4.0);
    aid_pool *pool = pool_of(7);
    for (int order = 3; order <= 5; order += 2) {
        aid_warp_options options = {.kernel = (aid_warp_kernel)order, .conserve_flux = true};
        CHECK_OK(aid_warp(&image, &mask, &map, 350, 260, &options, NULL, &one, &mask_one, &err));
        CHECK_OK(aid_warp(&image, &mask, &map, 350, 260, &options, pool, &many, &mask_many, &err));
        CHECK(!memcmp(one.data, many.data, 350 * 260 * sizeof(float)));
        CHECK(!memcmp(mask_one.data, mask_many.data, 350 * 260));
        aid_image_done(&one);
        aid_image_done(&many);
        aid_mask_done(&mask_one);
        aid_mask_done(&mask_many);
    }
    aid_pool_free(pool);
    aid_image_done(&image);
    aid_mask_done(&mask);
}

/* ---------------------------------------------------------------------------------------- mesh */

TEST(a_mesh_that_is_a_plane_stays_that_plane_under_a_map)
{
    aid_mesh mesh = {0}, out = {0};
    CHECK_OK(aid_mesh_init(640, 480, 10, 8, &mesh, &err));
    for (int32_t j = 0; j < 8; j++)
        for (int32_t i = 0; i < 10; i++)
            mesh.values[j * 10 + i] =
                (float)(5.0 + 0.01 * (64 * i + 31.5) + 0.02 * (60 * j + 29.5));
    aid_transform map = rotation(640, 480, 10.0, 0.5, 4.0, -3.0); /* stays well inside */
    CHECK_OK(aid_warp_mesh(&mesh, &map, 640, 480, true, &out, &err));
    CHECK_EQUAL(out.width, 640);
    CHECK_EQUAL(out.nx, 5); /* cells as large as they were on the sky */
    CHECK_EQUAL(out.ny, 4);
    for (int32_t j = 0; j < out.ny; j++)
        for (int32_t i = 0; i < out.nx; i++) {
            double in_x, in_y;
            aid_transform_apply(&map, (i + 0.5) * out.cell_width - 0.5,
                                (j + 0.5) * out.cell_height - 0.5, &in_x, &in_y);
            /* scale 0.5: a quarter of the area; float values below 20 */
            CHECK_NEAR(out.values[j * out.nx + i], 0.25 * (5.0 + 0.01 * in_x + 0.02 * in_y), 4e-6);
        }
    aid_mesh_done(&mesh);
    aid_mesh_done(&out);
}

TEST(an_output_shape_that_cannot_be_is_refused_and_the_results_left_alone)
{
    aid_image image = random_image(20, 20, 1), out = {.width = -7};
    aid_mask mask = {.width = -7};
    aid_mesh mesh = {0}, out_mesh = {.width = -7};
    CHECK_OK(aid_mesh_init(20, 20, 2, 2, &mesh, &err));
    aid_transform map = aid_transform_identity(20, 20);
    CHECK_REFUSED(
        aid_warp(&image, &no_mask, &map, 0, 20, &AID_WARP_DEFAULTS, NULL, &out, &mask, &err),
        AID_ERR_INVALID, "0 x 20");
    CHECK_REFUSED(aid_warp_mesh(&mesh, &map, 20, -1, true, &out_mesh, &err), AID_ERR_INVALID,
                  "20 x -1");
    CHECK(out.width == -7 && mask.width == -7 && out_mesh.width == -7);
    aid_image_done(&image);
    aid_mesh_done(&mesh);
}

TEST_MAIN()
