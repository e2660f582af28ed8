/* Flux scales, weights, outliers and sums of many frames. */
#include "domain/stacking/stacking.h"

#include "tests/check.h"

#include <stdint.h>

static aid_error err;
enum { SIDE = 120, STARS = 16, MOST = 9 };

static uint64_t generator = 5;
static double uniform(void)
{
    generator = generator * 6364136223846793005u + 1442695040888963407u;
    return (double)(generator >> 11) / 9007199254740992.0;
}
static double normal(void)
{
    return sqrt(-2.0 * log(1.0 - uniform())) * cos(6.28318530717958648 * uniform());
}

/* ------------------------------------------------------------------------- frames for the sum */

typedef struct frame_set {
    int count;
    float *pixels, *variance; /* [count][SIDE][SIDE] */
} frame_set;

static aid_status read_pixels(void *context, int frame, int32_t y, int32_t rows, float *values,
                              aid_error *unused)
{
    (void)unused;
    const frame_set *set = context;
    memcpy(values, set->pixels + ((int64_t)frame * SIDE + y) * SIDE,
           (size_t)rows * SIDE * sizeof *values);
    return AID_OK;
}

static aid_status read_variance(void *context, int frame, int32_t y, int32_t rows, float *values,
                                aid_error *unused)
{
    (void)unused;
    const frame_set *set = context;
    memcpy(values, set->variance + ((int64_t)frame * SIDE + y) * SIDE,
           (size_t)rows * SIDE * sizeof *values);
    return AID_OK;
}

static aid_frame_rows rows_of(frame_set *set)
{
    return (aid_frame_rows){set, set->count, SIDE, SIDE, read_pixels, read_variance};
}

static void star_at(int i, double *x, double *y)
{
    *x = 20.0 + 26.0 * (i % 4) + 0.13 * i;
    *y = 20.0 + 26.0 * (double)(i / 4) + 0.29 * i;
}

/* 20000 counts in a Gaussian of `sigma`, noise of `noise` and of photons at gain 4. */
static float draw(int32_t x, int32_t y, double sigma, double noise, float *ret_variance)
{
    double value = 0.0;
    for (int i = 0; i < STARS; i++) {
        double sx, sy;
        star_at(i, &sx, &sy);
        double r2 = (x - sx) * (x - sx) + (y - sy) * (y - sy);
        if (r2 < 100.0)
            value +=
                20000.0 / (6.28318530717958648 * sigma * sigma) * exp(-0.5 * r2 / sigma / sigma);
    }
    *ret_variance = (float)(noise * noise + value / 4.0);
    return (float)(value + sqrt((double)*ret_variance) * normal());
}

static frame_set set_of(int count, const double *sigma, const double *noise)
{
    frame_set set = {.count = count};
    size_t pixels = (size_t)count * SIDE * SIDE;
    set.pixels = calloc(pixels, sizeof(float));
    set.variance = calloc(pixels, sizeof(float));
    CHECK(set.pixels && set.variance);
    for (int k = 0; k < count; k++)
        for (int32_t y = 0; y < SIDE; y++)
            for (int32_t x = 0; x < SIDE; x++) {
                int64_t at = ((int64_t)k * SIDE + y) * SIDE + x;
                set.pixels[at] = draw(x, y, sigma[k], noise[k], &set.variance[at]);
            }
    return set;
}

static void release(frame_set *set)
{
    free(set->pixels);
    free(set->variance);
}

static aid_stack_frame frame_of(double noise, double fwhm_px)
{
    return (aid_stack_frame){.name = "frame",
                             .registration = {.rms_px = 0.02, .scale = 1.0},
                             .scale = 1.0,
                             .noise = noise,
                             .fwhm_px = fwhm_px,
                             .gain = 4.0,
                             .read_noise_e = 6.0,
                             .sky = 100.0,
                             .saturation = 50000.0,
                             .exposure_s = 30.0,
                             .mid_mjd_utc = 60000.0,
                             .start_mjd_utc = 60000.0 - 15.0 / 86400.0,
                             .airmass = 1.2};
}

static double flux_of(const aid_image *image, int star)
{
    double x, y, sum = 0.0;
    star_at(star, &x, &y);
    for (int32_t j = (int32_t)y - 10; j <= (int32_t)y + 11; j++)
        for (int32_t i = (int32_t)x - 10; i <= (int32_t)x + 11; i++)
            if (hypot(i - x, j - y) < 9.0)
                sum += (double)aid_image_row(image, j)[i];
    return sum;
}

static const double sigmas[MOST] = {1.3, 1.5, 1.4, 1.7, 1.35, 1.6, 1.45, 1.5, 1.55};
static const double noises[MOST] = {5.0, 6.0, 5.0, 9.0, 5.5, 7.0, 5.0, 6.0, 8.0};

static void combine(frame_set *set, aid_combine_method method, int count, aid_pool *pool,
                    aid_stack_frame *frames, aid_stacked *ret_stacked)
{
    aid_stack_options options = AID_STACK_DEFAULTS;
    options.method = method;
    aid_frame_rows rows = rows_of(set);
    for (int k = 0; k < count; k++)
        frames[k] = frame_of(noises[k], 2.355 * sigmas[k]);
    CHECK_OK(aid_stack_weigh(frames, count, &options, &err));
    CHECK_OK(aid_stack_combine(&rows, frames, &options, pool, ret_stacked, &err));
}

/* ------------------------------------------------------------------------------------- the sum */

/* Nine frames in different seeing: the sixteen stars together have 320,000 counts, known to
 * sqrt(320000/4/9 + 16 x 254 px x 36/9)/320000 = 5e-4. */
TEST(stars_keep_their_flux_in_changing_seeing_and_hits_go)
{
    frame_set set = set_of(MOST, sigmas, noises);
    for (int k = 0; k < MOST; k++) /* 20 hits a frame, on stars as well as on sky */
        for (int hit = 0; hit < 20; hit++)
            set.pixels[(int64_t)k * SIDE * SIDE + (int64_t)(uniform() * SIDE * SIDE)] += 8000.0F;
    for (int method = 0; method < 4; method++) {
        if (method == AID_COMBINE_MEAN)
            continue;
        aid_stack_frame frames[MOST];
        aid_stacked stacked;
        combine(&set, (aid_combine_method)method, MOST, NULL, frames, &stacked);
        double sum = 0.0;
        for (int star = 0; star < STARS; star++)
            sum += flux_of(&stacked.image, star) / 20000.0 / STARS;
        CHECK_NEAR(sum, 1.0, method == AID_COMBINE_MEDIAN ? 0.02 : 2e-3);
        int64_t clipped = 0;
        for (int k = 0; k < MOST; k++)
            clipped += frames[k].clipped;
        CHECK_EQUAL(clipped, stacked.clipped);
        if (method != AID_COMBINE_MEDIAN)
            CHECK(clipped >= 9 * 20 - 30 && clipped < 9 * 20 + 20); /* some lie on bright stars */
        aid_stacked_done(&stacked);
    }
    release(&set);
}

/* The pull of 5000 pixels between stars is good to 1/sqrt(2 x 5000) = 1 %. The variance of a median
 * is given as if all noises were alike; of these nine it is that of the mean 1/sigma, .838 of it,
 * so that the pull is .915 for many frames and somewhat more for nine. */
TEST(the_stated_variance_is_that_of_the_pixels)
{
    static const double expected[] = {1.0, 0.94, 1.0, 1.0};
    frame_set set = set_of(MOST, sigmas, noises), truth = {0};
    static const double no_noise[MOST] = {1e-9, 1e-9, 1e-9, 1e-9, 1e-9, 1e-9, 1e-9, 1e-9, 1e-9};
    truth = set_of(1, sigmas, no_noise);
    for (int method = 0; method < 4; method++) {
        aid_stack_frame frames[MOST];
        aid_stacked stacked;
        combine(&set, (aid_combine_method)method, MOST, NULL, frames, &stacked);
        double square = 0.0;
        int count = 0;
        for (int32_t y = 0; y < SIDE; y++)
            for (int32_t x = 0; x < SIDE; x++)
                if (fabsf(truth.pixels[y * SIDE + x]) < 0.01F) {
                    double value = (double)aid_image_row(&stacked.image, y)[x];
                    square += value * value / (double)aid_image_row(&stacked.variance, y)[x];
                    count++;
                }
        CHECK(count > 4000);
        CHECK_NEAR(sqrt(square / count), expected[method], 0.04);
        aid_stacked_done(&stacked);
    }
    release(&set);
    release(&truth);
}

/* Weighted: 1/sum(1/noise^2); alike: sum(noise^2)/81. */
TEST(weights_make_the_noise_as_small_as_it_can_be)
{
    frame_set set = set_of(MOST, sigmas, noises);
    aid_stack_frame frames[MOST];
    aid_stacked weighted, alike;
    double inverse = 0.0, sum = 0.0;
    for (int k = 0; k < MOST; k++) {
        inverse += 1.0 / (noises[k] * noises[k]);
        sum += noises[k] * noises[k];
    }
    combine(&set, AID_COMBINE_INVERSE_VARIANCE, MOST, NULL, frames, &weighted);
    CHECK_NEAR(frames[3].weight, 1.0 / (81.0 * inverse), 1e-12);
    CHECK_NEAR(aid_image_row(&weighted.variance, 0)[0], 1.0 / inverse, 2e-6 / inverse);
    combine(&set, AID_COMBINE_MEAN, MOST, NULL, frames, &alike);
    CHECK_NEAR(frames[3].weight, 1.0 / 9.0, 1e-12);
    CHECK_NEAR(aid_image_row(&alike.variance, 0)[0], sum / 81.0, 1e-5 * sum);
    aid_stacked_done(&weighted);
    aid_stacked_done(&alike);
    release(&set);
}

TEST(of_two_frames_the_higher_value_goes_and_holes_stay_holes)
{
    static const double alike[2] = {1.4, 1.4}, noise[2] = {5.0, 5.0};
    frame_set set = set_of(2, alike, noise);
    aid_stack_frame frames[2];
    aid_stacked stacked;
    set.pixels[5 * SIDE + 7] = 3000.0F;
    set.pixels[9 * SIDE + 3] = NAN;
    set.pixels[SIDE * SIDE + 9 * SIDE + 4] = NAN;
    set.pixels[11 * SIDE + 3] = set.pixels[SIDE * SIDE + 11 * SIDE + 3] = NAN;
    combine(&set, AID_COMBINE_INVERSE_VARIANCE, 2, NULL, frames, &stacked);
    CHECK_NEAR(aid_image_row(&stacked.image, 5)[7], set.pixels[SIDE * SIDE + 5 * SIDE + 7], 1e-4);
    CHECK_EQUAL(aid_image_row(&stacked.used, 5)[7], 1);
    CHECK_NEAR(aid_image_row(&stacked.variance, 5)[7], 25.0, 0.1);
    CHECK_NEAR(aid_image_row(&stacked.image, 9)[3], set.pixels[SIDE * SIDE + 9 * SIDE + 3], 1e-4);
    CHECK_NEAR(aid_image_row(&stacked.image, 9)[4], set.pixels[9 * SIDE + 4], 1e-4);
    CHECK(isnan(aid_image_row(&stacked.image, 11)[3]));
    CHECK(isnan(aid_image_row(&stacked.variance, 11)[3]));
    CHECK_EQUAL(frames[0].clipped, 1);
    CHECK_EQUAL(frames[1].clipped, 0);
    aid_stacked_done(&stacked);
    release(&set);
}

TEST(one_and_seven_threads_give_the_same_bytes)
{
    frame_set set = set_of(MOST, sigmas, noises);
    aid_pool *pool = NULL;
    aid_stack_frame frames[MOST];
    aid_stacked one, many;
    CHECK_OK(aid_pool_new(7, &pool, &err));
    set.pixels[777] = NAN;
    combine(&set, AID_COMBINE_INVERSE_VARIANCE, MOST, NULL, frames, &one);
    combine(&set, AID_COMBINE_INVERSE_VARIANCE, MOST, pool, frames, &many);
    CHECK(!memcmp(one.image.data, many.image.data, SIDE * SIDE * sizeof(float)));
    CHECK(!memcmp(one.variance.data, many.variance.data, SIDE * SIDE * sizeof(float)));
    CHECK_EQUAL(one.clipped, many.clipped);
    aid_stacked_done(&one);
    aid_stacked_done(&many);
    aid_pool_free(pool);
    release(&set);
}

/* ---------------------------------------------------------------------------------- the frames */

TEST(frames_are_rejected_each_for_its_reason_and_the_weights_of_the_others_add_up)
{
    aid_stack_options options = AID_STACK_DEFAULTS;
    aid_stack_frame frames[8];
    for (int k = 0; k < 8; k++)
        frames[k] = frame_of(5.0, 3.0);
    frames[1].fwhm_px = 5.0;
    frames[2].registration.rms_px = 0.7;
    frames[3].scale = 5.0;
    frames[4].noise = NAN;
    frames[5].fwhm_px = NAN; /* not known: no reason */
    snprintf(frames[6].reason, sizeof frames[6].reason, "told so");
    CHECK_OK(aid_stack_weigh(frames, 8, &options, &err));
    static const char *const reasons[] = {
        "", "seeing of 5.00 px", "0.700 px rms", "clouds", "no weight", "", "told so", ""};
    double sum = 0.0;
    for (int k = 0; k < 8; k++) {
        CHECK(reasons[k][0] ? strstr(frames[k].reason, reasons[k]) != NULL : !frames[k].reason[0]);
        CHECK_EQUAL(frames[k].weight > 0.0, !reasons[k][0]);
        sum += frames[k].weight;
    }
    CHECK_NEAR(sum, 1.0, 1e-12);
    for (int k = 0; k < 8; k++)
        snprintf(frames[k].reason, sizeof frames[k].reason, "gone");
    CHECK_REFUSED(aid_stack_weigh(frames, 8, &options, &err), AID_ERR_INVALID,
                  "none of 8 frames can be used; frame: gone");
}

/* By hand: w = 1/4, 3/4 with scales 1, 2: photons 1/16 1/4 + 9/16 2/4 = .296875, gain 3.368421;
 * read noise: sqrt(1/16 + 9/16 4) 6/4 = 2.281036 counts. */
TEST(a_stack_knows_its_gain_its_noise_and_its_time)
{
    aid_stack_frame frames[3] = {frame_of(5.0, 3.0), frame_of(5.0, 3.4), frame_of(5.0, 3.0)};
    frames[0].weight = 0.25;
    frames[1].weight = 0.75;
    frames[1].scale = 2.0;
    frames[1].mid_mjd_utc = 60000.5;
    frames[1].start_mjd_utc = 60000.5 - 15.0 / 86400.0;
    frames[2].saturation = 10.0; /* rejected: has no say */
    aid_stack_summary sum = aid_stack_summarise(frames, 3, 30.0);
    CHECK_EQUAL(sum.used, 2);
    CHECK_NEAR(sum.gain, 3.368421, 1e-6);
    CHECK_NEAR(sum.read_noise_e, 2.281036 * 3.368421, 1e-5);
    CHECK_NEAR(sum.total_exposure_s, 60.0, 1e-12);
    CHECK_NEAR(sum.exposure_s, 30.0, 0.0);
    CHECK_NEAR(sum.mid_mjd_utc, 60000.375, 1e-9);
    CHECK_NEAR(sum.last_mjd_utc, 60000.5 + 15.0 / 86400.0, 1e-9);
    CHECK_NEAR(sum.saturation, 49900.0, 1e-9);
    CHECK_NEAR(sum.fwhm_px, 3.3, 1e-12);
    frames[1].gain = INFINITY; /* no photon noise known of that one */
    CHECK_NEAR(aid_stack_summarise(frames, 3, 30.0).gain, 64.0, 1e-9);
}

static aid_exposure exposure_of(double throughput, double sigma)
{
    aid_exposure exposure = {.gain = 4.0, .saturation = INFINITY, .epoch = {.exposure_s = 30.0}};
    snprintf(exposure.name, sizeof exposure.name, "exposure");
    CHECK_OK(aid_image_init(SIDE, SIDE, &exposure.image, &err));
    CHECK_OK(aid_mask_init(SIDE, SIDE, &exposure.mask, &err));
    CHECK_OK(aid_mesh_init(SIDE, SIDE, 1, 1, &exposure.noise, &err));
    CHECK_OK(aid_mesh_init(SIDE, SIDE, 1, 1, &exposure.background, &err));
    exposure.noise.values[0] = 5.0F;
    exposure.background.values[0] = 100.0F;
    for (int32_t y = 0; y < SIDE; y++)
        for (int32_t x = 0; x < SIDE; x++) {
            float variance;
            aid_image_row(&exposure.image, y)[x] =
                (float)throughput * draw(x, y, sigma, 5.0, &variance);
        }
    exposure.stars.items = calloc(STARS, sizeof *exposure.stars.items);
    CHECK(exposure.stars.items);
    exposure.stars.count = STARS;
    exposure.stars.fwhm_px = 2.355 * sigma;
    for (int i = 0; i < STARS; i++)
        star_at(i, &exposure.stars.items[i].x, &exposure.stars.items[i].y);
    return exposure;
}

static void release_exposure(aid_exposure *exposure)
{
    aid_image_done(&exposure->image);
    aid_mask_done(&exposure->mask);
    aid_mesh_done(&exposure->noise);
    aid_mesh_done(&exposure->background);
    free(exposure->stars.items);
}

/* 16 stars of S/N 200 in circles of 8 px radius in each image: 1.41/200/4 = .0018. One has doubled
 * meanwhile. */
TEST(the_flux_scale_is_that_of_the_stars_whatever_the_seeing)
{
    aid_exposure reference = exposure_of(1.0, 1.3), frame = exposure_of(0.7, 1.7);
    aid_registration registration = {.transform = aid_transform_identity(SIDE, SIDE), .scale = 1.0};
    aid_stack_options options = AID_STACK_DEFAULTS;
    aid_stack_frame described;
    double x, y;
    star_at(5, &x, &y);
    for (int32_t j = (int32_t)y - 6; j < (int32_t)y + 7; j++)
        for (int32_t i = (int32_t)x - 6; i < (int32_t)x + 7; i++)
            aid_image_row(&frame.image, j)[i] *= 2.0F;
    CHECK_OK(
        aid_stack_describe(&reference, &frame, &registration, &options, NULL, &described, &err));
    CHECK_NEAR(described.scale, 1.0 / 0.7, 4.0 * 0.002 / 0.7);
    CHECK(described.scale_err > 0.001 && described.scale_err < 0.006);
    CHECK(described.scale_stars >= 12 && described.scale_stars < 16);
    CHECK_NEAR(described.fwhm_px, 2.355 * 1.7, 1e-9);
    release_exposure(&reference);
    release_exposure(&frame);
}

TEST(without_stars_the_exposure_times_tell_the_scale_and_a_note_says_so)
{
    aid_exposure reference = exposure_of(1.0, 1.3), frame = exposure_of(1.0, 1.3);
    aid_registration registration = {.transform = aid_transform_identity(SIDE, SIDE), .scale = 1.0};
    aid_stack_options options = AID_STACK_DEFAULTS;
    aid_stack_frame described;
    aid_notes notes = {0};
    reference.stars.count = 0;
    frame.epoch.exposure_s = 120.0;
    CHECK_OK(
        aid_stack_describe(&reference, &frame, &registration, &options, &notes, &described, &err));
    CHECK_NEAR(described.scale, 0.25, 1e-12);
    CHECK_EQUAL(described.scale_stars, 0);
    CHECK(notes.count == 1 && strstr(notes.items[0].text, "exposure times"));
    release_exposure(&reference);
    release_exposure(&frame);
}

TEST_MAIN()
