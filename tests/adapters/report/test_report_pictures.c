/* Display limits, box averages, cut-outs, painting and counting. */
#include "adapters/report/picture.h"
#include "adapters/report/summary.h"
#include "core/base/random.h"
#include "tests/check.h"

#include <float.h>
#include <stdbool.h>

static aid_error err;

static aid_pool *pool_of(int threads)
{
    aid_pool *pool = NULL;
    CHECK_OK(aid_pool_new(threads, &pool, &err));
    return pool;
}

/* --------------------------------------------------------------------------------------- zscale */

static double next_uniform(uint32_t *state)
{
    *state = (1103515245U * *state + 12345U) % 2147483648U;
    return *state / 2147483648.0;
}

/* Sky of 100 with a scatter of 6, and every so many pixels something bright. */
static void make_samples(float *samples, int count, int every, double amplitude)
{
    uint32_t state = 12345;
    for (int i = 0; i < count; i++) {
        double u[5];
        for (int k = 0; k < 5; k++)
            u[k] = next_uniform(&state);
        double value = 100.0 + 10.0 * (u[0] + u[1] + u[2] + u[3] - 2.0);
        if (every && i % every == 0)
            value += amplitude * u[4];
        samples[i] = (float)value;
    }
}

/* astropy 5.2.1, ZScaleInterval(n_samples=count, contrast=0.25) on the same values, which fits with
 * numpy's polyfit. Both fits are exact least squares in doubles, so that only rounding (1e-9 of the
 * range) differs, as long as the same ranks are rejected. */
TEST(zscale_limits_are_those_of_astropy)
{
    static const struct {
        int count, every;
        double amplitude, low, high;
    } cases[] = {{1000, 0, 0.0, 84.256691, 115.754875},
                 {1000, 13, 5000.0, 84.256691, 140.718962},
                 {2500, 7, 800.0, 81.8551865, 146.584722},
                 {600, 2, 9000.0, 85.841774, 9087.62207}, /* too many rejected: the extremes */
                 {300, 1, 1000.0, 106.404602, 1086.85144}};
    static float samples[2500];
    for (size_t i = 0; i < AID_COUNT_OF(cases); i++) {
        double low, high;
        make_samples(samples, cases[i].count, cases[i].every, cases[i].amplitude);
        CHECK(aid_zscale(samples, cases[i].count, 0.25, &low, &high));
        CHECK_NEAR(low, cases[i].low, 1e-6 * cases[i].low);
        CHECK_NEAR(high, cases[i].high, 1e-6 * cases[i].high);
    }
}

TEST(zscale_survives_constant_few_and_missing_samples)
{
    double low, high;
    float constant[50], few[] = {3.0F, 1.0F, 50.0F, 2.0F}, missing[] = {NAN, INFINITY, NAN};
    for (int i = 0; i < 50; i++)
        constant[i] = 7.0F;
    CHECK(aid_zscale(constant, 50, 0.25, &low, &high));
    CHECK(low == 7.0 && high == 7.0);
    CHECK(aid_zscale(few, 4, 0.25, &low, &high));
    CHECK(low == 1.0 && high == 50.0);
    CHECK(!aid_zscale(missing, 3, 0.25, &low, &high));
    CHECK(low == 0.0 && high == 1.0);
    aid_stretch flat = aid_stretch_of_samples(constant, 50);
    CHECK(flat.soft > 0.0 && flat.high > flat.low);
    aid_stretch none = aid_stretch_of_samples(missing, 0);
    CHECK(none.soft > 0.0 && none.high > none.low);
}

TEST(samples_are_spread_over_the_image_and_leave_out_what_is_not_sound)
{
    aid_image image, gate;
    aid_mask veiled;
    CHECK_OK(aid_image_init(100, 60, &image, &err));
    CHECK_OK(aid_image_init(100, 60, &gate, &err));
    CHECK_OK(aid_mask_init(100, 60, &veiled, &err));
    for (int32_t y = 0; y < 60; y++)
        for (int32_t x = 0; x < 100; x++) {
            aid_image_row(&image, y)[x] = (float)(x + 1000 * y);
            aid_mask_row(&veiled, y)[x] = x < 50;
            aid_image_row(&gate, y)[x] = y < 30 ? NAN : 0.0F;
        }
    float samples[240];
    CHECK_EQUAL(aid_sample_grid(&image, NULL, NULL, 240, samples),
                240); /* every fifth, both ways */
    CHECK_NEAR(samples[0], 2002.0, 0.0);
    CHECK_NEAR(samples[239], 57097.0, 0.0);
    CHECK_EQUAL(aid_sample_grid(&image, &veiled, &gate, 240, samples), 60);
    for (int i = 0; i < 60; i++)
        CHECK(fmodf(samples[i], 1000.0F) >= 50.0F && samples[i] >= 30000.0F);
    aid_image_done(&image);
    aid_image_done(&gate);
    aid_mask_done(&veiled);
}

/* --------------------------------------------------------------------------------- box averages */

enum { WIDTH = 131, HEIGHT = 97, BITS = AID_MASK_BAD | AID_MASK_SATURATED };

typedef struct scene {
    aid_image image, gate;
    aid_mask mask;
} scene;

static scene make_scene(void)
{
    scene made;
    CHECK_OK(aid_image_init(WIDTH, HEIGHT, &made.image, &err));
    CHECK_OK(aid_image_init(WIDTH, HEIGHT, &made.gate, &err));
    CHECK_OK(aid_mask_init(WIDTH, HEIGHT, &made.mask, &err));
    aid_random random = aid_random_seeded(11, 3);
    for (int i = 0; i < WIDTH * HEIGHT; i++) {
        double u = aid_random_uniform(&random);
        made.image.data[i] = u < 0.05 ? NAN : (float)(100.0 * aid_random_normal(&random));
        made.gate.data[i] = aid_random_uniform(&random) < 0.1 ? NAN : 1.0F;
        made.mask.data[i] = aid_random_uniform(&random) < 0.3 ? AID_MASK_BAD : AID_MASK_GROWN;
    }
    for (int32_t y = 20; y < 40; y++) /* whole blocks without a sound pixel, and without any */
        for (int32_t x = 20; x < 60; x++) {
            aid_mask_row(&made.mask, y)[x] = AID_MASK_SATURATED;
            if (x < 40)
                aid_image_row(&made.image, y)[x] = NAN;
        }
    return made;
}

static void scene_done(scene *made)
{
    aid_image_done(&made->image);
    aid_image_done(&made->gate);
    aid_mask_done(&made->mask);
}

/* One block, as its definition says. */
static void naive_block(const scene *made, int factor, int32_t out_x, int32_t out_y,
                        double *ret_mean, double *ret_count, bool *ret_veiled)
{
    double sum[2] = {0.0, 0.0}, count[2] = {0.0, 0.0}, pixels = 0.0;
    for (int32_t y = out_y * factor; y < AID_MIN((out_y + 1) * factor, HEIGHT); y++)
        for (int32_t x = out_x * factor; x < AID_MIN((out_x + 1) * factor, WIDTH); x++) {
            double value = (double)aid_image_row(&made->image, y)[x];
            bool finite = isfinite(value);
            bool sound = finite && !(aid_mask_row(&made->mask, y)[x] & BITS) &&
                         !isnan(aid_image_row(&made->gate, y)[x]);
            pixels += 1.0;
            sum[0] += finite ? value : 0.0;
            count[0] += finite;
            sum[1] += sound ? value : 0.0;
            count[1] += sound;
        }
    *ret_veiled = count[1] < 0.5 * pixels;
    int which = *ret_veiled ? 0 : 1;
    *ret_count = count[which];
    *ret_mean = count[which] > 0.0 ? sum[which] / count[which] : (double)NAN;
}

/* A block sums 25 values of size 100 in float32: an error below 25 x 2500 x 2^-24 / 10 = 4e-4. */
TEST(box_averages_are_those_of_a_naive_loop)
{
    scene made = make_scene();
    aid_shrink_input input = {&made.image, &made.mask, BITS, &made.gate};
    aid_shrunk shrunk;
    CHECK_OK(aid_shrink(&input, 30, NULL, &shrunk, &err));
    CHECK_EQUAL(shrunk.factor, 5); /* 131 / 30 */
    CHECK_EQUAL(shrunk.mean.width, 27);
    CHECK_EQUAL(shrunk.mean.height, 20);
    int veiled_blocks = 0, empty_blocks = 0;
    for (int32_t y = 0; y < shrunk.mean.height; y++)
        for (int32_t x = 0; x < shrunk.mean.width; x++) {
            double mean, count;
            bool veiled;
            naive_block(&made, 5, x, y, &mean, &count, &veiled);
            CHECK_EQUAL(aid_mask_row(&shrunk.veiled, y)[x], veiled);
            CHECK_EQUAL(aid_image_row(&shrunk.count, y)[x], count);
            float ours = aid_image_row(&shrunk.mean, y)[x];
            CHECK(isnan(ours) == isnan(mean));
            if (!isnan(mean))
                CHECK_NEAR(ours, mean, 1e-3);
            veiled_blocks += veiled;
            empty_blocks += count == 0.0;
        }
    CHECK(veiled_blocks > 30 && empty_blocks >= 16); /* the scene holds every kind */
    aid_shrunk_done(&shrunk);
    scene_done(&made);
}

TEST(box_averages_and_counts_are_the_same_bytes_at_any_number_of_threads)
{
    scene made = make_scene();
    aid_shrink_input input = {&made.image, &made.mask, BITS, &made.gate};
    aid_pool *pool = pool_of(5);
    aid_shrunk one, many;
    CHECK_OK(aid_shrink(&input, 50, NULL, &one, &err));
    CHECK_OK(aid_shrink(&input, 50, pool, &many, &err));
    size_t pixels = (size_t)one.mean.width * (size_t)one.mean.height;
    CHECK(!memcmp(one.mean.data, many.mean.data, pixels * sizeof(float)));
    CHECK(!memcmp(one.count.data, many.count.data, pixels * sizeof(float)));
    CHECK(!memcmp(one.veiled.data, many.veiled.data, pixels));
    aid_score_histogram first, second;
    CHECK_OK(aid_score_histogram_of(&made.image, 5.0, NULL, &first, &err));
    CHECK_OK(aid_score_histogram_of(&made.image, 5.0, pool, &second, &err));
    CHECK(!memcmp(&first, &second, sizeof first));
    aid_shrunk_done(&one);
    aid_shrunk_done(&many);
    aid_pool_free(pool);
    scene_done(&made);
}

TEST(a_small_image_is_not_shrunk)
{
    aid_image image;
    CHECK_OK(aid_image_init(7, 3, &image, &err));
    image.data[9] = 4.5F;
    aid_shrink_input input = {&image, NULL, 0, NULL};
    aid_shrunk shrunk;
    CHECK_OK(aid_shrink(&input, 900, NULL, &shrunk, &err));
    CHECK_EQUAL(shrunk.factor, 1);
    CHECK(!memcmp(shrunk.mean.data, image.data, 21 * sizeof(float)));
    aid_shrunk_done(&shrunk);
    aid_image_done(&image);
}

/* ------------------------------------------------------------------------------------- cut-outs */

TEST(a_cut_out_at_the_corner_has_no_data_beyond_it)
{
    aid_image image, cut;
    aid_mask mask, veiled;
    CHECK_OK(aid_image_init(10, 8, &image, &err));
    CHECK_OK(aid_mask_init(10, 8, &mask, &err));
    for (int i = 0; i < 80; i++)
        image.data[i] = (float)i;
    aid_mask_row(&mask, 1)[2] = AID_MASK_BAD;
    aid_shrink_input input = {&image, &mask, AID_MASK_BAD, NULL};
    CHECK_OK(aid_cut_out(&input, 1, 0, 2, 10.0, &cut, &veiled, &err));
    CHECK_EQUAL(cut.width, 5);
    CHECK(isnan(aid_image_row(&cut, 1)[2])); /* y = -1 */
    CHECK(isnan(aid_image_row(&cut, 2)[0])); /* x = -1 */
    CHECK_NEAR(aid_image_row(&cut, 2)[2], 10.0, 0.0);
    CHECK_NEAR(aid_image_row(&cut, 4)[4], 230.0, 0.0); /* pixel (3, 2) = 23 */
    CHECK_EQUAL(aid_mask_row(&veiled, 3)[3], 1);
    CHECK_EQUAL(aid_mask_row(&veiled, 0)[0], 0);
    aid_image_done(&cut);
    aid_mask_done(&veiled);
    aid_image_done(&image);
    aid_mask_done(&mask);
}

/* ------------------------------------------------------------------------------------- painting */

TEST(painting_turns_the_image_over_and_keeps_order_and_marks)
{
    aid_image image;
    aid_mask veiled;
    aid_picture picture;
    CHECK_OK(aid_image_init(3, 2, &image, &err));
    CHECK_OK(aid_mask_init(3, 2, &veiled, &err));
    CHECK_OK(aid_picture_init(3, 2, &picture, &err));
    const float values[] = {-5.0F, 0.0F, 5.0F, NAN, 1e30F, 2.0F};
    memcpy(image.data, values, sizeof values);
    veiled.data[5] = 1;
    aid_stretch stretch = {-5.0, 1.0, 20.0};
    aid_paint_grey(&image, &veiled, &stretch, &picture);
    const uint8_t *top = picture.pixels, *bottom = picture.pixels + 3;
    CHECK_EQUAL(bottom[0], 0); /* the first row of the image is the last of the picture */
    /* asinh(5)/asinh(25) and asinh(10)/asinh(25) of 200 levels. */
    CHECK_NEAR(bottom[1], 200.0 * asinh(5.0) / asinh(25.0), 0.51);
    CHECK_NEAR(bottom[2], 200.0 * asinh(10.0) / asinh(25.0), 0.51);
    CHECK_EQUAL(top[0], AID_LEVEL_NO_DATA);
    CHECK_EQUAL(top[1], AID_LEVELS_SOUND - 1);
    CHECK_NEAR(top[2], AID_LEVELS_SOUND + 50.0 * asinh(7.0) / asinh(25.0), 0.51);
    aid_paint_diverging(&image, NULL, 5.0, &picture);
    CHECK_EQUAL(bottom[0], 0);
    CHECK_EQUAL(bottom[1], 100); /* the middle */
    CHECK_EQUAL(bottom[2], 200);
    aid_image_done(&image);
    aid_mask_done(&veiled);
    aid_picture_done(&picture);
}

TEST(the_middle_of_the_diverging_colours_is_dark_and_its_ends_are_light)
{
    aid_palette palette;
    aid_palette_diverging(&palette);
    CHECK_EQUAL(palette.count, AID_LEVELS);
    aid_colour low = palette.colours[0], middle = palette.colours[100], high = palette.colours[200];
    CHECK(middle.red + middle.green + middle.blue < 60);
    CHECK(low.blue > 250 && low.blue > low.red);
    CHECK(high.red > 250 && high.red > high.blue);
}

/* ------------------------------------------------------------------------------------- counting */

TEST(the_histogram_counts_what_a_naive_loop_counts)
{
    aid_image score;
    CHECK_OK(aid_image_init(200, 150, &score, &err));
    aid_random random = aid_random_seeded(2, 2);
    for (int i = 0; i < 200 * 150; i++)
        score.data[i] = (float)(4.0 * aid_random_normal(&random));
    const float edges[] = {-10.0F, 10.0F,    -10.000001F, 9.9999F, 5.0F, -5.0F,
                           NAN,    INFINITY, FLT_MAX,     -0.0F,   0.25F};
    memcpy(score.data, edges, sizeof edges);
    aid_score_histogram histogram;
    CHECK_OK(aid_score_histogram_of(&score, 5.0, NULL, &histogram, &err));
    int64_t total = 0;
    for (int i = 0; i < AID_SCORE_BINS; i++) {
        double low = -10.0 + 0.25 * i;
        int64_t expected = 0;
        for (int k = 0; k < 200 * 150; k++)
            expected += (double)score.data[k] >= low && (double)score.data[k] < low + 0.25;
        CHECK_EQUAL(histogram.bins[i], expected);
        total += expected;
    }
    int64_t below = 0, above = 0, low = 0, high = 0;
    for (int k = 0; k < 200 * 150; k++) {
        if (!isfinite(score.data[k]))
            continue;
        below += score.data[k] < -10.0F;
        above += score.data[k] >= 10.0F;
        low += score.data[k] <= -5.0F;
        high += score.data[k] >= 5.0F;
    }
    CHECK(below > 0 && above > 1 && low > 100);
    CHECK_EQUAL(histogram.below, below);
    CHECK_EQUAL(histogram.above, above);
    CHECK_EQUAL(histogram.low, low);
    CHECK_EQUAL(histogram.high, high);
    CHECK_EQUAL(histogram.total, total + below + above);
    aid_image_done(&score);
}

TEST(the_census_counts_every_mask_value)
{
    aid_mask mask;
    CHECK_OK(aid_mask_init(300, 200, &mask, &err));
    int64_t expected[256] = {0}, counts[256];
    for (int i = 0; i < 300 * 200; i++) {
        mask.data[i] = (uint8_t)((i * 7919) >> 5);
        expected[mask.data[i]]++;
    }
    aid_pool *pool = pool_of(3);
    CHECK_OK(aid_mask_census(&mask, pool, counts, &err));
    CHECK(!memcmp(counts, expected, sizeof counts));
    aid_pool_free(pool);
    aid_mask_done(&mask);
}

TEST_MAIN()
