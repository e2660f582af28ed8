#include "core/base/random.h"
#include "domain/preprocessing/prepare_internal.h"
#include "tests/check.h"

static aid_error err;

enum { SIDE = 400, CORNER = 90, HOLES = 20 };

/* Sky of `level` with noise 5, and nothing but read noise in a corner. */
static void make_image(double level, double corner, aid_image *image, aid_mask *mask)
{
    aid_random random = aid_random_seeded(3, 0);
    CHECK_OK(aid_image_init(SIDE, SIDE, image, &err));
    CHECK_OK(aid_mask_init(SIDE, SIDE, mask, &err));
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++)
            aid_image_row(image, y)[x] =
                (float)((x + y < CORNER ? corner : level) + 5.0 * aid_random_normal(&random));
}

static int masked(const aid_mask *mask)
{
    int count = 0;
    for (int i = 0; i < SIDE * SIDE; i++)
        count += mask->data[i] != 0;
    return count;
}

TEST(a_dark_corner_and_its_penumbra_are_masked_and_the_sky_is_not)
{
    aid_image image;
    aid_mask mask;
    double fraction = -1.0;
    make_image(1000.0, 20.0, &image, &mask);
    CHECK_OK(aid_prepare_mask_unexposed(&image, &mask, NULL, &fraction, &err));
    /* The triangle has 90^2/2 px, in cells of 256 px: within its rim of one cell. */
    CHECK_NEAR(fraction * SIDE * SIDE, CORNER * CORNER / 2, CORNER * 16.0);
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++) {
            unsigned bits = aid_mask_row(&mask, y)[x];
            if (x + y < CORNER)
                CHECK_EQUAL(bits, AID_MASK_NO_DATA);
            if (x + y > CORNER + 1.5 * (56 + 32)) /* beyond penumbra and a cell's diagonal */
                CHECK_EQUAL(bits, 0);
        }
    aid_image_done(&image);
    aid_mask_done(&mask);
}

TEST(missing_pixels_elsewhere_have_no_penumbra)
{
    aid_image image;
    aid_mask without, with;
    double fraction;
    make_image(1000.0, 20.0, &image, &without);
    CHECK_OK(aid_prepare_mask_unexposed(&image, &without, NULL, &fraction, &err));
    CHECK_OK(aid_mask_init(SIDE, SIDE, &with, &err));
    for (int i = 0; i < HOLES; i++) {
        int x = 250 + 7 * i, y = 390 - 13 * i;
        aid_mask_row(&with, y)[x] = AID_MASK_NO_DATA;
        aid_image_row(&image, y)[x] = NAN;
    }
    CHECK_OK(aid_prepare_mask_unexposed(&image, &with, NULL, &fraction, &err));
    CHECK_EQUAL(masked(&with), masked(&without) + HOLES);
    aid_image_done(&image);
    aid_mask_done(&without);
    aid_mask_done(&with);
}

TEST(sky_that_was_subtracted_and_smooth_vignetting_are_left_alone)
{
    const double levels[][2] = {{0.0, -900.0}, {1000.0, 700.0}};
    for (int k = 0; k < 2; k++) {
        aid_image image;
        aid_mask mask;
        double fraction = -1.0;
        make_image(levels[k][0], levels[k][1], &image, &mask);
        CHECK_OK(aid_prepare_mask_unexposed(&image, &mask, NULL, &fraction, &err));
        CHECK_NEAR(fraction, 0.0, 0.0);
        CHECK_EQUAL(masked(&mask), 0);
        aid_image_done(&image);
        aid_mask_done(&mask);
    }
}

TEST_MAIN()
