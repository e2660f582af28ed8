#include "core/imaging/image.h"

#include "tests/check.h"

static aid_error err;

static aid_mask mask_of(int32_t width, int32_t height)
{
    aid_mask mask = {0};
    CHECK_OK(aid_mask_init(width, height, &mask, &err));
    return mask;
}

/* ------------------------------------------------------------------------------------- storage */

TEST(images_and_masks_begin_as_zeros_and_can_be_written_to_their_ends)
{
    aid_image image = {0};
    CHECK_OK(aid_image_init(17, 5, &image, &err));
    aid_mask mask = mask_of(17, 5);
    CHECK_EQUAL(image.stride, 17);
    for (int32_t y = 0; y < 5; y++)
        for (int32_t x = 0; x < 17; x++)
            CHECK(aid_image_row(&image, y)[x] == 0.0F && aid_mask_row(&mask, y)[x] == 0);
    aid_image_row(&image, 4)[16] = 1.0F;
    aid_mask_row(&mask, 4)[16] = 1;
    aid_image_done(&image);
    aid_mask_done(&mask);
    CHECK(image.data == NULL && image.width == 0 && mask.data == NULL);
    aid_image_done(&image);
    aid_mask_done(&mask);
}

TEST(a_copy_of_a_view_is_dense_and_independent)
{
    float pixels[3][8];
    for (int y = 0; y < 3; y++)
        for (int x = 0; x < 8; x++)
            pixels[y][x] = (float)(10 * y + x);
    aid_image view = {.data = &pixels[0][2], .width = 4, .height = 3, .stride = 8}, copy = {0};
    CHECK_OK(aid_image_copy(&view, &copy, &err));
    CHECK_EQUAL(copy.stride, 4);
    pixels[2][5] = -1.0F;
    CHECK(aid_image_row(&copy, 2)[3] == 25.0F);
    CHECK(aid_image_row(&copy, 0)[0] == 2.0F);
    aid_image_done(&copy);
}

TEST(shapes_that_cannot_be_are_refused_and_the_result_left_alone)
{
    static const int32_t shapes[][2] = {
        {0, 5}, {5, 0}, {-1, 5}, {5, INT32_MIN}, {AID_MAX_IMAGE_SIDE + 1, 1}, {65536, 65536}};
    for (size_t i = 0; i < AID_COUNT_OF(shapes); i++) {
        aid_image image = {.width = -7};
        aid_mask mask = {.width = -7};
        aid_mesh mesh = {.width = -7};
        int32_t width = shapes[i][0], height = shapes[i][1];
        CHECK_REFUSED(aid_image_init(width, height, &image, &err), AID_ERR_INVALID, "pixels");
        CHECK_REFUSED(aid_mask_init(width, height, &mask, &err), AID_ERR_INVALID, "pixels");
        CHECK_REFUSED(aid_mesh_init(width, height, 2, 2, &mesh, &err), AID_ERR_INVALID, "pixels");
        CHECK_REFUSED(aid_mesh_init(20, 20, width, height, &mesh, &err), AID_ERR_INVALID, "pixels");
        CHECK(image.width == -7 && mask.width == -7 && mesh.width == -7 && !image.data);
    }
}

/* ------------------------------------------------------------------------------------- growing */

/* A few seeds of two kinds, corners and borders among them. */
static void sow(aid_mask *mask)
{
    uint32_t state = 99;
    for (int i = 0; i < 25; i++) {
        state = state * 1664525U + 1013904223U;
        int32_t x = (int32_t)((state >> 8) % (uint32_t)mask->width);
        int32_t y = (int32_t)((state >> 20) % (uint32_t)mask->height);
        aid_mask_row(mask, y)[x] |= i % 3 ? AID_MASK_BAD : AID_MASK_SATURATED;
    }
    aid_mask_row(mask, 0)[0] |= AID_MASK_BAD;
    aid_mask_row(mask, mask->height - 1)[mask->width - 1] |= AID_MASK_BAD;
}

static int near_a_seed(const aid_mask *mask, int32_t x, int32_t y, uint8_t of, double radius)
{
    for (int32_t v = 0; v < mask->height; v++)
        for (int32_t u = 0; u < mask->width; u++)
            if (mask->data[v * mask->width + u] & of &&
                (double)((u - x) * (u - x) + (v - y) * (v - y)) <= radius * radius)
                return 1;
    return 0;
}

TEST(growth_marks_exactly_the_pixels_within_the_radius)
{
    static const double radii[] = {0.0, 0.9, 1.0, 1.5, 2.9, 7.3, 16.0, 64.0};
    for (size_t r = 0; r < AID_COUNT_OF(radii); r++) {
        aid_mask seeds = mask_of(71, 139), grown = mask_of(71, 139);
        sow(&seeds);
        memcpy(grown.data, seeds.data, 71 * 139);
        CHECK_OK(aid_mask_grow(&grown, AID_MASK_BAD, radii[r], AID_MASK_GROWN, NULL, &err));
        for (int32_t y = 0; y<139; y += radii[r]> 8.0 ? 3 : 1)
            for (int32_t x = 0; x < 71; x++) {
                uint8_t expected = seeds.data[y * 71 + x];
                if (near_a_seed(&seeds, x, y, AID_MASK_BAD, radii[r]))
                    expected |= AID_MASK_GROWN;
                CHECK_EQUAL(grown.data[y * 71 + x], expected);
            }
        aid_mask_done(&seeds);
        aid_mask_done(&grown);
    }
}

/* Rows grown later must not see what rows before them grew: the bit may be one of those grown. */
TEST(growing_a_bit_into_itself_does_not_run_away)
{
    aid_mask mask = mask_of(200, 200);
    aid_mask_row(&mask, 100)[100] = AID_MASK_SATURATED;
    CHECK_OK(aid_mask_grow(&mask, AID_MASK_SATURATED, 5.0, AID_MASK_SATURATED, NULL, &err));
    int marked = 0;
    for (int i = 0; i < 200 * 200; i++)
        marked += mask.data[i] != 0;
    CHECK_EQUAL(marked, 81); /* lattice points within a circle of radius 5 */
    aid_mask_done(&mask);
}

TEST(growth_is_the_same_bytes_at_one_and_seven_threads)
{
    aid_mask one = mask_of(333, 777), seven = mask_of(333, 777);
    sow(&one);
    sow(&seven);
    aid_pool *pool = NULL;
    CHECK_OK(aid_pool_new(7, &pool, &err));
    CHECK_OK(aid_mask_grow(&one, AID_MASK_BAD, 21.5, AID_MASK_GROWN, NULL, &err));
    CHECK_OK(aid_mask_grow(&seven, AID_MASK_BAD, 21.5, AID_MASK_GROWN, pool, &err));
    CHECK(!memcmp(one.data, seven.data, 333 * 777));
    aid_pool_free(pool);
    aid_mask_done(&one);
    aid_mask_done(&seven);
}

TEST(a_radius_that_is_no_radius_is_refused_and_the_mask_left_alone)
{
    static const double radii[] = {-1.0, 64.5, NAN, INFINITY};
    aid_mask mask = mask_of(9, 9);
    mask.data[40] = AID_MASK_BAD;
    for (size_t i = 0; i < AID_COUNT_OF(radii); i++)
        CHECK_REFUSED(aid_mask_grow(&mask, AID_MASK_BAD, radii[i], AID_MASK_GROWN, NULL, &err),
                      AID_ERR_INVALID, "between 0 and 64");
    for (int i = 0; i < 81; i++)
        CHECK_EQUAL(mask.data[i], i == 40 ? AID_MASK_BAD : 0);
    aid_mask_done(&mask);
}

/* ---------------------------------------------------------------------------------------- mesh */

static aid_mesh hilly_mesh(int32_t width, int32_t height, int32_t nx, int32_t ny)
{
    aid_mesh mesh = {0};
    CHECK_OK(aid_mesh_init(width, height, nx, ny, &mesh, &err));
    for (int32_t i = 0; i < nx * ny; i++)
        mesh.values[i] = (float)(3.0 + sin(1.7 * i) + 0.1 * i);
    return mesh;
}

/* The naive twin: every cell centre weighs max(0, 1 - |distance|/cell) along either axis, after the
 * point has been drawn inside the outermost centres. */
static double tent_sum(const aid_mesh *mesh, double x, double y)
{
    double low_x = 0.5 * mesh->cell_width - 0.5, low_y = 0.5 * mesh->cell_height - 0.5;
    double high_x = (mesh->nx - 0.5) * mesh->cell_width - 0.5;
    double high_y = (mesh->ny - 0.5) * mesh->cell_height - 0.5;
    x = fmin(fmax(x, low_x), high_x);
    y = fmin(fmax(y, low_y), high_y);
    double sum = 0.0;
    for (int32_t j = 0; j < mesh->ny; j++)
        for (int32_t i = 0; i < mesh->nx; i++) {
            double across = fabs(x - (low_x + i * mesh->cell_width)) / mesh->cell_width;
            double along = fabs(y - (low_y + j * mesh->cell_height)) / mesh->cell_height;
            if (across < 1.0 && along < 1.0)
                sum += (1.0 - across) * (1.0 - along) * (double)mesh->values[j * mesh->nx + i];
        }
    return sum;
}

/* Values below 10 in doubles: 1e-12 is a thousand roundings. A row is stored as float: half a unit
 * in the last place of 8 is 4.8e-7. */
TEST(a_mesh_between_its_cells_agrees_with_a_sum_over_tents)
{
    static const int32_t grids[][2] = {{1, 1}, {1, 4}, {5, 3}, {37, 23}};
    for (size_t g = 0; g < AID_COUNT_OF(grids); g++) {
        aid_mesh mesh = hilly_mesh(37, 23, grids[g][0], grids[g][1]);
        for (int32_t y = 0; y < 23; y++) {
            float row[37];
            aid_mesh_row(&mesh, y, row);
            for (int32_t x = 0; x < 37; x++) {
                CHECK_NEAR(aid_mesh_at(&mesh, x, y), tent_sum(&mesh, x, y), 1e-12);
                CHECK_NEAR(row[x], tent_sum(&mesh, x, y), 5e-7);
            }
        }
        CHECK_NEAR(aid_mesh_at(&mesh, 11.37, 7.92), tent_sum(&mesh, 11.37, 7.92), 1e-12);
        CHECK_NEAR(aid_mesh_at(&mesh, -50.0, 99.0), tent_sum(&mesh, -50.0, 99.0), 1e-12);
        aid_mesh_done(&mesh);
    }
}

TEST(a_mesh_never_leaves_the_range_of_its_values)
{
    aid_mesh mesh = hilly_mesh(64, 64, 4, 4);
    float lowest = mesh.values[0], highest = mesh.values[0], row[64];
    for (int i = 0; i < 16; i++) {
        lowest = fminf(lowest, mesh.values[i]);
        highest = fmaxf(highest, mesh.values[i]);
    }
    for (int32_t y = 0; y < 64; y++) {
        aid_mesh_row(&mesh, y, row);
        for (int x = 0; x < 64; x++)
            CHECK(row[x] >= lowest && row[x] <= highest);
    }
    aid_mesh_done(&mesh);
}

TEST(the_median_of_a_mesh_is_that_of_its_values)
{
    aid_mesh mesh = {0};
    CHECK_OK(aid_mesh_init(10, 10, 2, 2, &mesh, &err));
    const float values[] = {4.0F, 1.0F, 3.0F, 100.0F};
    memcpy(mesh.values, values, sizeof values);
    CHECK(aid_mesh_median(&mesh) == 3.5);
    aid_mesh_done(&mesh);
    aid_mesh_done(&mesh);
}

TEST_MAIN()
