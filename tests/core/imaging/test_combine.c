/* Combining frames against a naive twin that sorts each pixel by itself, and against what
 * statistics say about simulated frames. */
#include "core/base/memory.h"
#include "core/base/random.h"
#include "core/imaging/combine.h"
#include "tests/check.h"

static aid_error err;

/* ----------------------------------------------------------------------------------- frames */

typedef struct cube {
    int count;
    int32_t width, height;
    float *values, *variances; /* [count][height][width] */
    int fails_at;              /* frame whose reading fails; -1: none */
} cube;

static aid_status read_from(const cube *from, const float *all, int frame, int32_t y, int32_t rows,
                            float *pixels, aid_error *error)
{
    if (frame == from->fails_at)
        AID_FAIL(error, AID_ERR_IO, "frame %d is gone", frame);
    int64_t plane = (int64_t)from->width * from->height;
    memcpy(pixels, all + frame * plane + (int64_t)y * from->width,
           (size_t)rows * (size_t)from->width * sizeof *pixels);
    return AID_OK;
}

static aid_status read_values(void *context, int frame, int32_t y, int32_t rows, float *pixels,
                              aid_error *error)
{
    const cube *from = context;
    return read_from(from, from->values, frame, y, rows, pixels, error);
}

static aid_status read_variances(void *context, int frame, int32_t y, int32_t rows, float *pixels,
                                 aid_error *error)
{
    const cube *from = context;
    return read_from(from, from->variances, frame, y, rows, pixels, error);
}

static cube new_cube(int count, int32_t width, int32_t height)
{
    cube made = {.count = count, .width = width, .height = height, .fails_at = -1};
    size_t pixels = (size_t)count * (size_t)width * (size_t)height;
    CHECK_OK(aid_new_array(pixels, sizeof(float), "cube", &made.values, &err));
    CHECK_OK(aid_new_array(pixels, sizeof(float), "cube", &made.variances, &err));
    return made;
}

static void cube_done(cube *made)
{
    free(made->values);
    free(made->variances);
}

static aid_frame_rows rows_of(cube *from, bool with_variance)
{
    return (aid_frame_rows){.context = from,
                            .count = from->count,
                            .width = from->width,
                            .height = from->height,
                            .read = read_values,
                            .read_variance = with_variance ? read_variances : NULL};
}

static int64_t size_of(const cube *of)
{
    return (int64_t)of->count * of->width * of->height;
}

static void fill_normal(cube *to, double level, double sigma, uint64_t seed)
{
    aid_random random = aid_random_seeded(seed, 0);
    for (int64_t i = 0; i < size_of(to); i++)
        to->values[i] = (float)(level + sigma * aid_random_normal(&random));
}

static aid_combined combined(cube *from, bool with_variance, const aid_combine_options *options)
{
    aid_combined result;
    aid_frame_rows rows = rows_of(from, with_variance);
    CHECK_OK(aid_combine(&rows, options, NULL, &result, &err));
    return result;
}

/* ------------------------------------------------------------------------------- the naive twin */

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double middle(double *values, int n)
{
    qsort(values, (size_t)n, sizeof *values, ascending);
    return 0.5 * (values[(n - 1) / 2] + values[n / 2]);
}

typedef struct twin {
    double median, mean, variance;
    int used;
} twin;

static double correction(int n)
{
    const double few[] = {1, 1, 1.196, 1.495, 1.363, 1.206, 1.200, 1.140, 1.129, 1.107};
    return n < 10 ? few[n] : n / (n - 0.8);
}

/* Clips at kappa times the larger of the MAD's sigma and `least`. */
static twin naive(const cube *from, int64_t pixel, double kappa, double least)
{
    double values[512], distance[512];
    int64_t plane = (int64_t)from->width * from->height;
    int n = 0;
    for (int k = 0; k < from->count; k++)
        if (isfinite(from->values[k * plane + pixel]))
            values[n++] = (double)from->values[k * plane + pixel];
    twin result = {.mean = NAN, .median = NAN, .variance = NAN};
    if (n == 0)
        return result;
    result.median = middle(values, n);
    for (int k = 0; k < n; k++)
        distance[k] = fabs(values[k] - result.median);
    double sigma = 1.482602218505602 * correction(n) * middle(distance, n);
    double half = kappa * fmax(sigma, least), sum = 0.0, squares = 0.0;
    for (int k = 0; k < n; k++)
        if (fabs(values[k] - result.median) <= half) {
            sum += values[k] - result.median;
            squares += (values[k] - result.median) * (values[k] - result.median);
            result.used++;
        }
    result.mean = result.median + sum / result.used;
    result.variance = (squares - sum * sum / result.used) / (result.used - 1);
    return result;
}

static void spoil(cube *to, uint64_t seed)
{
    aid_random random = aid_random_seeded(seed, 1);
    for (int64_t i = 0; i < size_of(to); i++) {
        double u = aid_random_uniform(&random);
        if (u < 0.02)
            to->values[i] = u < 0.01 ? NAN : INFINITY;
        else if (u < 0.03)
            to->values[i] += 3000.0f;
    }
    for (int k = 0; k < to->count; k++) /* a pixel without any value */
        to->values[(int64_t)k * to->width * to->height + 5] = NAN;
}

/* float32 has steps of 2.4e-4 up to 4095; the middle of two values may be rounded once more. */
static void check_twins(int count)
{
    cube frames = new_cube(count, 37, 11);
    fill_normal(&frames, 1000.0, 5.0, (uint64_t)count);
    spoil(&frames, (uint64_t)count);
    aid_combine_options options = AID_COMBINE_DEFAULTS;
    options.least_sigma = 4.0;
    aid_combined mean = combined(&frames, false, &options);
    options.method = AID_COMBINE_MEDIAN;
    aid_combined median = combined(&frames, false, &options);
    for (int64_t i = 0; i < 37 * 11; i++) {
        twin expected = naive(&frames, i, 5.0, 4.0);
        if (i == 5) {
            CHECK(isnan(mean.image.data[i]) && isnan(median.image.data[i]));
            CHECK(isnan(mean.variance.data[i]));
            CHECK_EQUAL(mean.used.data[i], 0);
            continue;
        }
        if (isnan(expected.median)) {
            CHECK(isnan(mean.image.data[i]) && isnan(median.image.data[i]));
            continue;
        }
        CHECK_NEAR(mean.image.data[i], expected.mean, 2.5e-4);
        CHECK_NEAR(median.image.data[i], expected.median, 2.5e-4);
        CHECK_EQUAL(mean.used.data[i], expected.used);
    }
    aid_combined_done(&mean);
    aid_combined_done(&median);
    cube_done(&frames);
}

TEST(every_number_of_frames_gives_what_a_naive_twin_gives)
{
    for (int count = 1; count <= 40; count++)
        check_twins(count);
    check_twins(65);
    check_twins(100);
    check_twins(129);
    check_twins(300);
}

/* ---------------------------------------------------------------------------------- statistics */

/* Root mean square of (image - truth) / sigma over the pixels. */
static double pull_of(const aid_combined *result, double truth, double *ret_rms)
{
    double pulls = 0.0, squares = 0.0;
    int64_t n = (int64_t)result->image.width * result->image.height;
    for (int64_t i = 0; i < n; i++) {
        double d = (double)result->image.data[i] - truth;
        pulls += d * d / (double)result->variance.data[i];
        squares += d * d;
    }
    *ret_rms = sqrt(squares / (double)n);
    return sqrt(pulls / (double)n);
}

/* 40 000 pixels: the pull of a normal is known to 1/sqrt(80 000) = 0.4 %; the variance's own error
 * adds 1/(2 x 100) of its degrees of freedom; so 2 %. */
static void check_pull(int count, aid_combine_method method, double expected_rms)
{
    cube frames = new_cube(count, 200, 200);
    fill_normal(&frames, 1000.0, 5.0, 7);
    aid_combine_options options = AID_COMBINE_DEFAULTS;
    options.method = method;
    aid_combined result = combined(&frames, false, &options);
    double rms, pull = pull_of(&result, 1000.0, &rms);
    CHECK_NEAR(rms, expected_rms, 0.015 * expected_rms);
    CHECK_NEAR(pull, 1.0, 0.02);
    aid_combined_done(&result);
    cube_done(&frames);
}

/* The efficiency of the median of so few normal values is that of its order statistics. */
TEST(the_reported_sigma_is_that_of_the_result_for_few_and_many_frames)
{
    check_pull(3, AID_COMBINE_CLIPPED_MEAN, 5.0 / sqrt(3.0));
    check_pull(5, AID_COMBINE_CLIPPED_MEAN, 5.0 / sqrt(5.0));
    check_pull(20, AID_COMBINE_CLIPPED_MEAN, 5.0 / sqrt(20.0));
    check_pull(5, AID_COMBINE_MEAN, 5.0 / sqrt(5.0));
    check_pull(3, AID_COMBINE_MEDIAN, 5.0 * sqrt(1.3460 / 3.0));
    check_pull(10, AID_COMBINE_MEDIAN, 5.0 * sqrt(1.3833 / 10.0));
    check_pull(41, AID_COMBINE_MEDIAN, 5.0 * sqrt(1.5543 / 41.0));
}

/* A hit of 400 sigma in one of five frames: std clipping at 5 sigma could never reject it. */
TEST(one_outlier_among_five_frames_is_rejected)
{
    cube frames = new_cube(5, 64, 64);
    fill_normal(&frames, 100.0, 5.0, 3);
    for (int64_t i = 0; i < 64 * 64; i += 7)
        frames.values[(i % 5) * 64 * 64 + i] += 2000.0f;
    aid_combine_options options = AID_COMBINE_DEFAULTS;
    aid_combined result = combined(&frames, false, &options);
    for (int64_t i = 0; i < 64 * 64; i++)
        CHECK_NEAR(result.image.data[i], 100.0, 6.0 * 5.0 / 2.0); /* 6 sigma of four frames */
    CHECK_NEAR(result.rejected_fraction, 1.0 / 35.0, 0.001);
    aid_combined_done(&result);
    cube_done(&frames);
}

/* Whole numbers with a sigma of 0.4: most MADs are 0, and clipping at 0 would keep the most
 * frequent number alone. The mean of 9 then has sqrt(0.16 + 1/12)/3. */
TEST(whole_numbers_with_little_noise_are_not_clipped_to_the_most_frequent)
{
    cube frames = new_cube(9, 128, 128);
    fill_normal(&frames, 100.3, 0.4, 5);
    for (int64_t i = 0; i < size_of(&frames); i++)
        frames.values[i] = rintf(frames.values[i]);
    aid_combine_options options = AID_COMBINE_DEFAULTS;
    aid_combined result = combined(&frames, false, &options);
    double sum = 0.0;
    for (int64_t i = 0; i < 128 * 128; i++)
        sum += (double)result.image.data[i];
    /* 0.493 / 3 / 128 = 0.0013; rounding itself shifts the mean by up to 0.02 here. */
    CHECK_NEAR(sum / (128.0 * 128.0), 100.3, 0.03);
    CHECK(result.rejected_fraction < 1e-3);
    aid_combined_done(&result);
    cube_done(&frames);
}

TEST(frames_without_any_noise_give_themselves_and_a_variance_of_nothing)
{
    cube frames = new_cube(6, 40, 9);
    for (int64_t i = 0; i < size_of(&frames); i++)
        frames.values[i] = (float)(i % 360);
    aid_combine_options options = AID_COMBINE_DEFAULTS;
    aid_combined result = combined(&frames, false, &options);
    for (int64_t i = 0; i < 40 * 9; i++) {
        CHECK_EQUAL(result.image.data[i], i);
        CHECK(result.variance.data[i] == 0.0f);
        CHECK_EQUAL(result.used.data[i], 6);
    }
    aid_combined_done(&result);
    cube_done(&frames);
}

/* A hot pixel has more noise than its neighbours and says so: 30 sigma where they have 5. Its own
 * scatter of 20 frames is known to 16 %. */
TEST(a_pixel_that_is_noisier_than_the_others_keeps_its_own_variance)
{
    cube frames = new_cube(20, 150, 150);
    fill_normal(&frames, 100.0, 5.0, 9);
    for (int k = 0; k < 20; k++)
        for (int64_t i = 0; i < 150 * 150; i += 500)
            frames.values[k * 150 * 150 + i] =
                100.0f + 6.0f * (frames.values[k * 150 * 150 + i] - 100.0f);
    aid_combine_options options = AID_COMBINE_DEFAULTS;
    aid_combined result = combined(&frames, false, &options);
    double mean = 0.0;
    for (int64_t i = 0; i < 150 * 150; i += 500)
        mean += (double)result.variance.data[i] / 45.0;
    CHECK_NEAR(mean, 900.0 / 20.0, 5.0 * 0.33 * 45.0 / sqrt(45.0));
    aid_combined_done(&result);
    cube_done(&frames);
}

/* Photon noise: variance = level. The model must follow it on both sides of the median level, with
 * three frames too few to tell by themselves. */
TEST(the_variance_follows_the_level_where_the_noise_does)
{
    cube frames = new_cube(3, 200, 200);
    aid_random random = aid_random_seeded(4, 4);
    double pulls[3] = {0}, truth[200];
    for (int x = 0; x < 200; x++)
        truth[x] = 200.0 + 5.0 * x;
    for (int64_t i = 0; i < size_of(&frames); i++)
        frames.values[i] =
            (float)(truth[i % 200] + sqrt(truth[i % 200]) * aid_random_normal(&random));
    aid_combine_options options = AID_COMBINE_DEFAULTS;
    aid_combined result = combined(&frames, false, &options);
    for (int64_t i = 0; i < 200 * 200; i++) {
        double d = (double)result.image.data[i] - truth[i % 200];
        pulls[(i % 200) / 67] += d * d / (double)result.variance.data[i];
    }
    for (int part = 0; part < 3; part++) /* 13 300 pixels: 0.6 %, and the model's straight line */
        CHECK_NEAR(sqrt(pulls[part] / (200.0 * (part < 2 ? 67 : 66))), 1.0, 0.05);
    aid_combined_done(&result);
    cube_done(&frames);
}

/* ------------------------------------------------------------------------- weights and scaling */

TEST(known_variances_weight_and_propagate)
{
    cube frames = new_cube(3, 17, 3);
    for (int64_t i = 0; i < 51; i++)
        for (int k = 0; k < 3; k++) {
            frames.values[k * 51 + i] = 10.0f + (float)k;
            frames.variances[k * 51 + i] = (float)(1 << k); /* 1, 2, 4 */
        }
    frames.variances[2 * 51 + 7] = NAN;
    frames.values[51 + 8] = NAN;
    aid_combine_options options = AID_COMBINE_DEFAULTS;
    options.method = AID_COMBINE_INVERSE_VARIANCE;
    aid_combined result = combined(&frames, true, &options);
    CHECK_NEAR(result.image.data[0], (10.0 + 11.0 / 2 + 12.0 / 4) / 1.75, 2e-6);
    CHECK_NEAR(result.variance.data[0], 1.0 / 1.75, 1e-6);
    CHECK_NEAR(result.image.data[7], (10.0 + 11.0 / 2) / 1.5, 2e-6);
    CHECK_EQUAL(result.used.data[7], 2);
    CHECK_NEAR(result.image.data[8], (10.0 + 12.0 / 4) / 1.25, 2e-6);
    aid_combined_done(&result);
    options.method = AID_COMBINE_CLIPPED_MEAN;
    result = combined(&frames, true, &options);
    CHECK_NEAR(result.image.data[0], 11.0, 1e-6);
    CHECK_NEAR(result.variance.data[0], 7.0 / 9.0, 1e-6);
    aid_combined_done(&result);
    cube_done(&frames);
}

TEST(scales_and_offsets_are_applied_first_and_variances_follow)
{
    cube frames = new_cube(2, 20, 2);
    for (int64_t i = 0; i < 40; i++) {
        frames.values[i] = 5.0f;
        frames.values[40 + i] = 20.0f;
        frames.variances[i] = 1.0f;
        frames.variances[40 + i] = 16.0f;
    }
    const double scale[] = {2.0, 0.5}, offset[] = {1.0, -1.0};
    aid_combine_options options = AID_COMBINE_DEFAULTS;
    options.scale = scale;
    options.offset = offset;
    aid_combined result = combined(&frames, true, &options);
    CHECK_NEAR(result.image.data[3], 0.5 * (11.0 + 9.0), 1e-6);
    CHECK_NEAR(result.variance.data[3], (4.0 + 4.0) / 4.0, 1e-6);
    aid_combined_done(&result);
    cube_done(&frames);
}

TEST(a_single_frame_is_its_own_mean_and_its_noise_is_unknown)
{
    cube frames = new_cube(1, 300, 5);
    fill_normal(&frames, 100.0, 5.0, 3);
    frames.values[11] = NAN;
    for (int method = AID_COMBINE_CLIPPED_MEAN; method <= AID_COMBINE_MEAN; method++) {
        aid_combine_options options = AID_COMBINE_DEFAULTS;
        options.method = (aid_combine_method)method;
        aid_combined result = combined(&frames, false, &options);
        for (int64_t i = 0; i < 1500; i++) {
            CHECK(i == 11 ? isnan(result.image.data[i]) : result.image.data[i] == frames.values[i]);
            CHECK(isnan(result.variance.data[i]));
        }
        aid_combined_done(&result);
    }
    cube_done(&frames);
}

/* ------------------------------------------------------------------------ threads and refusals */

static void check_same(const aid_combined *one, const aid_combined *other)
{
    size_t bytes = (size_t)one->image.width * (size_t)one->image.height * sizeof(float);
    CHECK(!memcmp(one->image.data, other->image.data, bytes));
    CHECK(!memcmp(one->variance.data, other->variance.data, bytes));
    CHECK(!memcmp(one->used.data, other->used.data, bytes));
    CHECK(one->rejected_fraction == other->rejected_fraction);
}

TEST(one_and_seven_threads_give_the_same_bytes)
{
    cube frames = new_cube(23, 331, 277);
    fill_normal(&frames, 1000.0, 5.0, 31);
    spoil(&frames, 31);
    aid_pool *pool;
    CHECK_OK(aid_pool_new(7, &pool, &err));
    aid_combine_options options = AID_COMBINE_DEFAULTS;
    aid_frame_rows rows = rows_of(&frames, false);
    aid_combined one = combined(&frames, false, &options), seven;
    CHECK_OK(aid_combine(&rows, &options, pool, &seven, &err));
    check_same(&one, &seven);
    aid_combined_done(&one);
    aid_combined_done(&seven);
    aid_pool_free(pool);
    cube_done(&frames);
}

TEST(what_cannot_be_combined_is_refused_and_the_result_left_alone)
{
    cube frames = new_cube(2, 8, 8);
    aid_frame_rows rows = rows_of(&frames, false);
    aid_combine_options options = AID_COMBINE_DEFAULTS;
    aid_combined result, before;
    memset(&result, 0x5a, sizeof result);
    before = result;
    rows.count = 0;
    CHECK_REFUSED(aid_combine(&rows, &options, NULL, &result, &err), AID_ERR_INVALID, "no frames");
    rows = rows_of(&frames, false);
    options.kappa = NAN;
    CHECK_REFUSED(aid_combine(&rows, &options, NULL, &result, &err), AID_ERR_INVALID, "clipping");
    options = AID_COMBINE_DEFAULTS;
    options.method = AID_COMBINE_INVERSE_VARIANCE;
    CHECK_REFUSED(aid_combine(&rows, &options, NULL, &result, &err), AID_ERR_INVALID, "variance");
    options = AID_COMBINE_DEFAULTS;
    options.least_sigma = -1.0;
    CHECK_REFUSED(aid_combine(&rows, &options, NULL, &result, &err), AID_ERR_INVALID, "least");
    const double scale[] = {1.0, NAN};
    options = AID_COMBINE_DEFAULTS;
    options.scale = scale;
    CHECK_REFUSED(aid_combine(&rows, &options, NULL, &result, &err), AID_ERR_INVALID, "frame 2");
    options = AID_COMBINE_DEFAULTS;
    frames.fails_at = 1;
    CHECK_REFUSED(aid_combine(&rows, &options, NULL, &result, &err), AID_ERR_IO, "frame 1 is gone");
    CHECK(!memcmp(&result, &before, sizeof result));
    cube_done(&frames);
}

TEST_MAIN()
