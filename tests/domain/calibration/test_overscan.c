/* The overscan's level: found under noise, smoothed, and taken off the right part of the frame. */
#include "core/base/random.h"
#include "domain/calibration/overscan.h"
#include "tests/check.h"

static aid_error err;
enum { WIDTH = 96, HEIGHT = 200, IMAGE = 64 /* columns, the others are overscan */ };

static aid_frame_facts right_overscan(void)
{
    return (aid_frame_facts){.name = "x.fits",
                             .width = WIDTH,
                             .height = HEIGHT,
                             .overscan = {IMAGE, 0, WIDTH, HEIGHT},
                             .trim = {0, 0, IMAGE, HEIGHT}};
}

/* level(y) = 1000 + drift y/HEIGHT; the image lies 50 above it. Stripes: of the overscan alone. */
static aid_image frame_of(double drift, double noise, double stripes)
{
    aid_image image = {0};
    aid_random random = aid_random_seeded(9, 0);
    CHECK_OK(aid_image_init(WIDTH, HEIGHT, &image, &err));
    for (int32_t y = 0; y < HEIGHT; y++) {
        double stripe = stripes * aid_random_normal(&random);
        for (int32_t x = 0; x < WIDTH; x++) {
            double level = 1000.0 + drift * y / HEIGHT + (x < IMAGE ? 50.0 : stripe);
            aid_image_row(&image, y)[x] = (float)(level + noise * aid_random_normal(&random));
        }
    }
    return image;
}

static aid_overscan measured(const aid_image *raw, aid_overscan_method method)
{
    aid_overscan overscan;
    aid_frame_facts facts = right_overscan();
    CHECK_OK(aid_overscan_measure(raw, &facts, method, &overscan, &err));
    return overscan;
}

/* Root mean square of levels about the truth. */
static double level_error(const aid_overscan *overscan, double drift)
{
    double squares = 0.0;
    for (int32_t y = 0; y < overscan->length; y++) {
        double d = (double)overscan->levels[y] - (1000.0 + drift * y / HEIGHT);
        squares += d * d;
    }
    return sqrt(squares / overscan->length);
}

/* 32 pixels of sigma 5 give a row 0.88; windows of some rows, chosen by the data, much less. */
TEST(the_level_of_rows_follows_a_drift_and_adds_little_noise)
{
    AID_CLEANUP(aid_image_done)
    aid_image steady = frame_of(0.0, 5.0, 0.0);
    AID_CLEANUP(aid_image_done)
    aid_image drifting = frame_of(20.0, 5.0, 0.0);
    aid_overscan overscan = measured(&steady, AID_OVERSCAN_ROW);
    CHECK_EQUAL(overscan.length, HEIGHT);
    CHECK(level_error(&overscan, 0.0) < 0.25);
    CHECK_NEAR(overscan.noise, 5.0, 0.25); /* 6400 pixels: 0.9 %, and the clipping */
    aid_overscan_done(&overscan);
    overscan = measured(&drifting, AID_OVERSCAN_ROW);
    CHECK(level_error(&overscan, 20.0) < 0.5);
    aid_overscan_done(&overscan);
    overscan = measured(&drifting, AID_OVERSCAN_MEDIAN);
    CHECK(level_error(&overscan, 20.0) > 5.0); /* which is what one level must leave */
    CHECK_NEAR(overscan.level, 1010.0, 0.5);
    aid_overscan_done(&overscan);
}

/* Real overscans have stripes of 2 ADU that the image does not have: to subtract them would print
 * them on it. */
TEST(stripes_of_the_overscan_alone_are_not_printed_on_the_image)
{
    AID_CLEANUP(aid_image_done)
    aid_image striped = frame_of(0.0, 5.0, 2.0);
    aid_overscan overscan = measured(&striped, AID_OVERSCAN_ROW);
    CHECK(level_error(&overscan, 0.0) < 0.6);
    aid_overscan_done(&overscan);
}

/* Stripes of 3 ADU in all of the row: 32 pixels tell them to 0.88, which is what is left of them.
 * Without them the rows' means would scatter by 5/sqrt(64) = 0.63. */
TEST(stripes_that_the_image_has_as_well_are_taken_off_it)
{
    AID_CLEANUP(aid_image_done)
    aid_image raw = frame_of(10.0, 5.0, 0.0);
    AID_CLEANUP(aid_image_done)
    aid_image trimmed = {0};
    aid_random random = aid_random_seeded(4, 4);
    for (int32_t y = 0; y < HEIGHT; y++) {
        float stripe = (float)(3.0 * aid_random_normal(&random));
        for (int32_t x = 0; x < WIDTH; x++)
            aid_image_row(&raw, y)[x] += stripe;
    }
    aid_overscan overscan = measured(&raw, AID_OVERSCAN_ROW);
    CHECK_OK(aid_overscan_remove(&raw, &overscan, &trimmed, &err));
    double squares = 0.0;
    for (int32_t y = 0; y < HEIGHT; y++) {
        double mean = -50.0;
        for (int32_t x = 0; x < IMAGE; x++)
            mean += (double)aid_image_row(&trimmed, y)[x] / IMAGE;
        squares += mean * mean;
    }
    CHECK(sqrt(squares / HEIGHT) < 1.3); /* sqrt(0.63^2 + 0.88^2) = 1.08, and it was 3.1 */
    aid_overscan_done(&overscan);
}

/* 60 % of the pixels are 1000 and 40 % are 1001: the level is between them. */
TEST(a_level_between_two_whole_numbers_is_found)
{
    AID_CLEANUP(aid_image_done)
    aid_image raw = {0};
    aid_random random = aid_random_seeded(11, 0);
    CHECK_OK(aid_image_init(WIDTH, HEIGHT, &raw, &err));
    for (int64_t i = 0; i < (int64_t)WIDTH * HEIGHT; i++)
        raw.data[i] = aid_random_uniform(&random) < 0.4 ? 1001.0f : 1000.0f;
    for (int method = AID_OVERSCAN_ROW; method <= AID_OVERSCAN_MEDIAN; method++) {
        aid_overscan overscan = measured(&raw, (aid_overscan_method)method);
        CHECK_NEAR(overscan.level, 1000.4, 0.03); /* 6400 pixels: 0.006 */
        aid_overscan_done(&overscan);
    }
}

TEST(the_trimmed_frame_is_the_image_without_the_level)
{
    AID_CLEANUP(aid_image_done)
    aid_image raw = frame_of(0.0, 0.0, 0.0);
    AID_CLEANUP(aid_image_done)
    aid_image trimmed = {0};
    aid_image_row(&raw, 7)[3] = 1234.0f;
    aid_overscan overscan = measured(&raw, AID_OVERSCAN_ROW);
    CHECK_OK(aid_overscan_remove(&raw, &overscan, &trimmed, &err));
    CHECK_EQUAL(trimmed.width, IMAGE);
    CHECK_EQUAL(trimmed.height, HEIGHT);
    CHECK_NEAR(aid_image_row(&trimmed, 7)[3], 234.0, 1e-3);
    CHECK_NEAR(aid_image_row(&trimmed, 199)[63], 50.0, 1e-3);
    aid_overscan_done(&overscan);
}

TEST(nothing_is_subtracted_where_there_is_no_overscan_or_none_is_wanted)
{
    AID_CLEANUP(aid_image_done)
    aid_image raw = frame_of(0.0, 0.0, 0.0);
    aid_overscan overscan = measured(&raw, AID_OVERSCAN_NONE);
    CHECK(overscan.levels == NULL);
    CHECK_EQUAL(overscan.trim.x1, IMAGE);
    aid_frame_facts facts = {.name = "x.fits", .width = WIDTH, .height = HEIGHT};
    CHECK_OK(aid_overscan_measure(&raw, &facts, AID_OVERSCAN_ROW, &overscan, &err));
    CHECK(overscan.levels == NULL);
    CHECK_EQUAL(overscan.trim.x1, WIDTH);
    CHECK_EQUAL(overscan.trim.y1, HEIGHT);
}

/* Rows 180.. are the overscan; each column has a level of its own. */
TEST(an_overscan_above_the_image_gives_levels_of_columns)
{
    AID_CLEANUP(aid_image_done)
    aid_image raw = {0};
    AID_CLEANUP(aid_image_done)
    aid_image trimmed = {0};
    CHECK_OK(aid_image_init(WIDTH, HEIGHT, &raw, &err));
    for (int32_t y = 0; y < HEIGHT; y++)
        for (int32_t x = 0; x < WIDTH; x++)
            aid_image_row(&raw, y)[x] = 100.0f + (float)(x / 48) + (y < 180 ? 9.0f : 0.0f);
    aid_frame_facts facts = {.name = "x.fits",
                             .width = WIDTH,
                             .height = HEIGHT,
                             .overscan = {0, 180, WIDTH, HEIGHT},
                             .trim = {0, 0, WIDTH, 180}};
    aid_overscan overscan;
    CHECK_OK(aid_overscan_measure(&raw, &facts, AID_OVERSCAN_ROW, &overscan, &err));
    CHECK(overscan.along_columns);
    CHECK_EQUAL(overscan.length, WIDTH);
    CHECK_OK(aid_overscan_remove(&raw, &overscan, &trimmed, &err));
    CHECK_NEAR(aid_image_row(&trimmed, 17)[5], 9.0, 1e-4);
    CHECK_NEAR(aid_image_row(&trimmed, 17)[90], 9.0, 1e-4);
    aid_overscan_done(&overscan);
}

TEST(rows_without_pixels_take_the_level_of_their_neighbours_and_none_at_all_is_refused)
{
    AID_CLEANUP(aid_image_done)
    aid_image raw = frame_of(0.0, 0.0, 0.0);
    for (int32_t x = IMAGE; x < WIDTH; x++)
        aid_image_row(&raw, 0)[x] = aid_image_row(&raw, 50)[x] = NAN;
    aid_overscan overscan = measured(&raw, AID_OVERSCAN_ROW);
    CHECK_NEAR(overscan.levels[0], 1000.0, 1e-3);
    CHECK_NEAR(overscan.levels[50], 1000.0, 1e-3);
    aid_overscan_done(&overscan);
    for (int32_t y = 0; y < HEIGHT; y++)
        for (int32_t x = IMAGE; x < WIDTH; x++)
            aid_image_row(&raw, y)[x] = NAN;
    aid_frame_facts facts = right_overscan();
    aid_overscan untouched, before;
    memset(&untouched, 0x5a, sizeof untouched);
    before = untouched;
    CHECK_REFUSED(aid_overscan_measure(&raw, &facts, AID_OVERSCAN_ROW, &untouched, &err),
                  AID_ERR_INVALID, "no finite pixels");
    CHECK(!memcmp(&untouched, &before, sizeof before));
}

TEST_MAIN()
