/* Calibrating a frame, against the formula pixel by pixel, and against Monte Carlo frames whose
 * light, bias, dark and flat are known. */
#include "core/base/random.h"
#include "core/imaging/stats.h"
#include "domain/calibration/apply.h"
#include "domain/simulation/simulation.h"
#include "tests/check.h"

static aid_error err;

static aid_pool *pool_of(int threads)
{
    aid_pool *pool;
    CHECK_OK(aid_pool_new(threads, &pool, &err));
    return pool;
}

/* --------------------------------------------------------------------------- frames and masters */

static aid_frame_facts facts_of(const char *name, aid_frame_type type, int32_t width,
                                int32_t height)
{
    aid_frame_facts facts = {.type = type,
                             .width = width,
                             .height = height,
                             .binning_x = 1,
                             .binning_y = 1,
                             .exposure_s = 120.0,
                             .temperature_c = NAN,
                             .gain = 1.5,
                             .read_noise_e = 7.5,
                             .saturation = 60000.0,
                             .valid_until_mjd_utc = NAN};
    snprintf(facts.name, sizeof facts.name, "%s", name);
    return facts;
}

/* Pixels and variance by formula; NAN noise: no variance image at all. */
static aid_master master_of(aid_frame_type type, int32_t width, int32_t height, double level,
                            double scatter, double noise)
{
    aid_random random = aid_random_seeded(31, (uint64_t)type);
    aid_master master = {.level = level, .noise = noise, .frame_noise = 5.0, .frames = 10};
    master.facts = facts_of(aid_frame_type_name(type), type, width, height);
    CHECK_OK(aid_image_init(width, height, &master.image, &err));
    CHECK_OK(aid_image_init(width, height, &master.variance, &err));
    CHECK_OK(aid_mask_init(width, height, &master.mask, &err));
    for (int64_t i = 0; i < (int64_t)width * height; i++) {
        master.image.data[i] = (float)(level + scatter * (2.0 * aid_random_uniform(&random) - 1.0));
        master.variance.data[i] = (float)(noise * noise);
    }
    return master;
}

static void free_master(aid_master *master)
{
    aid_image_done(&master->image);
    aid_image_done(&master->variance);
    aid_mask_done(&master->mask);
}

enum { WIDTH = 83, HEIGHT = 141, OVERSCAN = 12 };

typedef struct night {
    aid_frame_facts facts;
    aid_image raw; /* WIDTH + OVERSCAN columns, the overscan on the left */
    aid_master bias, dark, flat;
} night;

/* The overscan reads exactly 500 everywhere, whatever is made of it. */
static night make_night(void)
{
    night made = {.facts = facts_of("raw.fits", AID_TYPE_LIGHT, WIDTH + OVERSCAN, HEIGHT)};
    made.facts.overscan = (aid_section){0, 0, OVERSCAN, HEIGHT};
    made.facts.trim = (aid_section){OVERSCAN, 0, OVERSCAN + WIDTH, HEIGHT};
    made.bias = master_of(AID_TYPE_BIAS, WIDTH, HEIGHT, 20.0, 6.0, 1.6);
    made.bias.above_overscan = true;
    made.dark = master_of(AID_TYPE_DARK, WIDTH, HEIGHT, 0.05, 0.04, 0.004);
    made.flat = master_of(AID_TYPE_FLAT, WIDTH, HEIGHT, 1.0, 0.3, 0.004);
    CHECK_OK(aid_image_init(WIDTH + OVERSCAN, HEIGHT, &made.raw, &err));
    aid_random random = aid_random_seeded(5, 0);
    for (int32_t y = 0; y < HEIGHT; y++)
        for (int32_t x = 0; x < WIDTH + OVERSCAN; x++)
            aid_image_row(&made.raw, y)[x] =
                x < OVERSCAN ? 500.0f : (float)floor(450.0 + 3000.0 * aid_random_uniform(&random));
    return made;
}

static void night_done(night *made)
{
    aid_image_done(&made->raw);
    free_master(&made->bias);
    free_master(&made->dark);
    free_master(&made->flat);
}

static aid_calibrate_input input_of(const night *made)
{
    return (aid_calibrate_input){.facts = &made->facts,
                                 .image = &made->raw,
                                 .bias = &made->bias,
                                 .dark = &made->dark,
                                 .flat = &made->flat};
}

/* -------------------------------------------------------------------------------------- formula */

typedef struct expected {
    double value, variance;
} expected;

static expected expect(const night *made, int32_t x, int32_t y)
{
    int64_t at = (int64_t)y * WIDTH + x;
    double bias = (double)made->bias.image.data[at], rate = (double)made->dark.image.data[at];
    double flat = (double)made->flat.image.data[at], t = made->facts.exposure_s;
    double signal = (double)aid_image_row(&made->raw, y)[x + OVERSCAN] - 500.0 - bias;
    double value = (signal - t * rate) / flat;
    double variance = fmax(signal, 0.0) / 1.5 + 25.0 + (double)made->bias.variance.data[at] +
                      t * t * (double)made->dark.variance.data[at] +
                      value * value * (double)made->flat.variance.data[at];
    return (expected){value, variance / (flat * flat)};
}

/* Five float operations on numbers up to 3500, of which each rounds by 6e-8 at most. */
TEST(every_pixel_and_its_variance_obey_the_formula)
{
    for (int electrons = 0; electrons < 2; electrons++) {
        night made = make_night();
        aid_calibrate_input input = input_of(&made);
        aid_calibrate_options options = AID_CALIBRATE_DEFAULTS;
        aid_calibrated result;
        options.electrons = electrons;
        CHECK_OK(aid_calibrate(&input, &options, NULL, NULL, &result, &err));
        CHECK_EQUAL(result.image.width, WIDTH);
        CHECK_EQUAL(result.image.height, HEIGHT);
        double unit = electrons ? 1.5 : 1.0;
        int negative = 0;
        for (int32_t y = 0; y < HEIGHT; y++)
            for (int32_t x = 0; x < WIDTH; x++) {
                expected at = expect(&made, x, y);
                CHECK_NEAR(aid_image_row(&result.image, y)[x], at.value * unit, 3e-3);
                CHECK_NEAR(aid_image_row(&result.variance, y)[x], at.variance * unit * unit,
                           2e-6 * at.variance * unit * unit);
                negative += at.value < 0.0;
            }
        CHECK(negative > 50); /* raw values below the bias stay what they are */
        CHECK_NEAR(result.overscan_level, 500.0, 0.0);
        CHECK_NEAR(result.facts.saturation, (60000.0 - 520.0) * unit, 1e-9);
        CHECK_NEAR(result.facts.gain, electrons ? 1.0 : 1.5, 0.0);
        CHECK_EQUAL(result.trim_x0, OVERSCAN);
        CHECK(result.overscan_done && result.bias_done && result.dark_done && result.flat_done);
        aid_calibrated_done(&result);
        night_done(&made);
    }
}

TEST(single_steps_one_after_the_other_come_to_the_same)
{
    night made = make_night();
    aid_calibrate_input input = input_of(&made);
    aid_calibrate_options options = AID_CALIBRATE_DEFAULTS;
    aid_calibrated whole, begun;
    CHECK_OK(aid_calibrate(&input, &options, NULL, NULL, &whole, &err));
    input.bias = input.dark = input.flat = NULL;
    CHECK_OK(aid_calibrate(&input, &options, NULL, NULL, &begun, &err));
    aid_calibration_target target = {
        .name = "raw.fits", .image = &begun.image, .variance = &begun.variance};
    CHECK_OK(aid_correct_bias(&target, &made.bias, NULL, &err));
    CHECK_OK(aid_correct_dark(&target, &made.dark, 120.0, NULL, &err));
    CHECK_OK(aid_correct_flat(&target, &made.flat, 0.01, NULL, &err));
    for (int64_t i = 0; i < WIDTH * HEIGHT; i++) {
        CHECK_NEAR(begun.image.data[i], whole.image.data[i], 1e-3);
        /* Without a bias its level counts as light: 20 +- 6 ADU of signal, in the variance alone.
         */
        double flat = (double)made.flat.image.data[i];
        double more = fabs((double)begun.variance.data[i] - (double)whole.variance.data[i]);
        CHECK(more <= 26.1 / 1.5 / (flat * flat));
    }
    aid_calibrated_done(&whole);
    aid_calibrated_done(&begun);
    night_done(&made);
}

/* ---------------------------------------------------------------------------------- Monte Carlo */

/* A frame of known light through noisy masters: what is left over, in units of the stated noise,
 * has mean 0 and rms 1. 90 000 pixels: standard errors of .0033 and .0024; that the variance is
 * taken from the noisy pixel itself adds a few 1e-3 at 400 e-. */
TEST(what_is_left_over_has_the_variance_that_is_stated)
{
    enum { SIDE = 300 };
    aid_master bias = master_of(AID_TYPE_BIAS, SIDE, SIDE, 1000.0, 5.0, 1.6);
    aid_master dark = master_of(AID_TYPE_DARK, SIDE, SIDE, 0.05, 0.04, 0.01);
    aid_master flat = master_of(AID_TYPE_FLAT, SIDE, SIDE, 1.0, 0.2, 0.01);
    aid_frame_facts facts = facts_of("raw.fits", AID_TYPE_LIGHT, SIDE, SIDE);
    aid_random random = aid_random_seeded(77, 0);
    aid_image raw;
    CHECK_OK(aid_image_init(SIDE, SIDE, &raw, &err));
    const double light_e = 400.0, gain = 1.5;
    for (int64_t i = 0; i < SIDE * SIDE; i++) {
        double electrons =
            light_e * (double)flat.image.data[i] + 120.0 * gain * (double)dark.image.data[i];
        double adu =
            (aid_random_poisson(&random, electrons) + 7.5 * aid_random_normal(&random)) / gain;
        raw.data[i] = (float)(adu + (double)bias.image.data[i]);
        /* The masters are measured as well: their truth was used, now they get their noise. */
        bias.image.data[i] += (float)(1.6 * aid_random_normal(&random));
        dark.image.data[i] += (float)(0.01 * aid_random_normal(&random));
        flat.image.data[i] += (float)(0.01 * aid_random_normal(&random));
    }
    aid_calibrate_input input = {
        .facts = &facts, .image = &raw, .bias = &bias, .dark = &dark, .flat = &flat};
    aid_calibrate_options options = AID_CALIBRATE_DEFAULTS;
    aid_calibrated result;
    options.electrons = true;
    CHECK_OK(aid_calibrate(&input, &options, NULL, NULL, &result, &err));
    double sum = 0.0, squares = 0.0;
    for (int64_t i = 0; i < SIDE * SIDE; i++) {
        double off = (double)result.image.data[i] - light_e;
        sum += off;
        squares += off * off / (double)result.variance.data[i];
    }
    /* Noise of 28 e- a pixel: .09 of the mean. */
    CHECK_NEAR(sum / (SIDE * SIDE), 0.0, 0.4);
    CHECK_NEAR(sqrt(squares / (SIDE * SIDE)), 1.0, 0.012);
    aid_calibrated_done(&result);
    aid_image_done(&raw);
    free_master(&bias);
    free_master(&dark);
    free_master(&flat);
}

/* A raw frame of the simulated camera with the detector's truth as masters: the sky that the
 * calibrated image of the same epoch has. Both are medians over 60 000 pixels of 22 ADU noise, .1
 * ADU each. */
TEST(a_simulated_raw_frame_is_the_calibrated_sky_once_its_detector_is_taken_out)
{
    aid_sky_options sky_options = AID_SKY_DEFAULTS;
    sky_options.width = sky_options.height = 256;
    sky_options.transients = sky_options.faders = sky_options.variables = sky_options.movers = 0;
    aid_sky *sky;
    aid_simulated_frame raw, clean;
    aid_master bias = {0}, dark = {0}, flat = {0};
    CHECK_OK(aid_sky_new(&sky_options, &sky, &err));
    CHECK_OK(aid_sky_render_raw(sky, AID_RAW_OBJECT, AID_SKY_SCIENCE, 0, NULL, &raw, &err));
    CHECK_OK(aid_sky_render(sky, AID_SKY_SCIENCE, NULL, &clean, &err));
    CHECK_OK(aid_sky_render_detector(sky, AID_RAW_BIAS, NULL, &bias.image, &err));
    CHECK_OK(aid_sky_render_detector(sky, AID_RAW_DARK, NULL, &dark.image, &err));
    CHECK_OK(aid_sky_render_detector(sky, AID_RAW_FLAT, NULL, &flat.image, &err));
    for (int64_t i = 0; i < 256 * 256; i++)
        dark.image.data[i] /= (float)sky_options.gain;
    bias.above_overscan = true;
    aid_frame_facts facts = aid_frame_facts_from_header(&raw.header, "raw.fits", raw.image.width,
                                                        raw.image.height, NULL);
    aid_calibrate_input input = {
        .facts = &facts, .image = &raw.image, .bias = &bias, .dark = &dark, .flat = &flat};
    aid_calibrate_options options = AID_CALIBRATE_DEFAULTS;
    aid_calibrated result;
    CHECK_OK(aid_calibrate(&input, &options, NULL, NULL, &result, &err));
    CHECK_EQUAL(result.image.width, 256);
    double found = aid_median_of(result.image.data, 256 * 256);
    double truth = aid_median_of(clean.image.data, 256 * 256);
    CHECK_NEAR(found, truth, 0.6);
    CHECK_EQUAL(result.no_data, 0);
    aid_calibrated_done(&result);
    aid_simulated_frame_done(&raw);
    aid_simulated_frame_done(&clean);
    free_master(&bias);
    free_master(&dark);
    free_master(&flat);
    aid_sky_free(sky);
}

/* ----------------------------------------------------------------------------- masks and guards */

TEST(masks_are_joined_and_nothing_is_divided_by_a_flat_that_is_none)
{
    night made = make_night();
    static const float no_flats[] = {0.0f, -1.0f, NAN, INFINITY, 0.005f};
    made.bias.mask.data[3] = AID_MASK_BAD;
    made.raw.data[OVERSCAN + 3] = 65535.0f; /* stuck there, with or without light */
    made.dark.image.data[4] = NAN;
    for (size_t k = 0; k < AID_COUNT_OF(no_flats); k++)
        made.flat.image.data[10 + k] = no_flats[k];
    made.raw.data[OVERSCAN + 20] = 60000.0f; /* the raw level decides, */
    made.flat.image.data[20] = 1.3f;         /* not what the flat makes of it */
    made.raw.data[OVERSCAN + 21] = 59999.0f;
    made.flat.image.data[21] = 0.7f;
    made.raw.data[OVERSCAN + 22] = NAN;
    aid_mask mask;
    CHECK_OK(aid_mask_init(WIDTH + OVERSCAN, HEIGHT, &mask, &err));
    mask.data[OVERSCAN + 23] = AID_MASK_COSMIC_RAY;
    aid_calibrate_input input = input_of(&made);
    input.mask = &mask;
    aid_calibrate_options options = AID_CALIBRATE_DEFAULTS;
    aid_calibrated result;
    CHECK_OK(aid_calibrate(&input, &options, NULL, NULL, &result, &err));
    CHECK_EQUAL(result.mask.data[3], AID_MASK_BAD);
    CHECK(isfinite(result.image.data[3]));
    CHECK_EQUAL(result.mask.data[4], AID_MASK_BAD | AID_MASK_NO_DATA);
    for (size_t k = 0; k < AID_COUNT_OF(no_flats); k++) {
        CHECK_EQUAL(result.mask.data[10 + k], AID_MASK_BAD | AID_MASK_NO_DATA);
        CHECK(isnan(result.image.data[10 + k]) && isnan(result.variance.data[10 + k]));
    }
    CHECK_EQUAL(result.mask.data[20], AID_MASK_SATURATED);
    CHECK_EQUAL(result.mask.data[21], 0);
    CHECK_EQUAL(result.mask.data[22], AID_MASK_NO_DATA);
    CHECK_EQUAL(result.mask.data[23], AID_MASK_COSMIC_RAY);
    CHECK_EQUAL(result.mask.data[24], 0);
    CHECK_EQUAL(result.bad, 7);
    CHECK_EQUAL(result.saturated, 1);
    CHECK_EQUAL(result.no_data, 7);
    aid_calibrated_done(&result);
    aid_mask_done(&mask);
    night_done(&made);
}

static bool is_noted(const aid_notes *notes, const char *text)
{
    for (int i = 0; i < notes->count; i++)
        if (strstr(notes->items[i].text, text))
            return true;
    return false;
}

TEST(masters_that_are_missing_are_noted_and_one_of_the_full_frame_is_trimmed)
{
    night made = make_night();
    aid_master full = master_of(AID_TYPE_FLAT, WIDTH + OVERSCAN, HEIGHT, 1.0, 0.0, 0.0);
    for (int32_t y = 0; y < HEIGHT; y++)
        for (int32_t x = 0; x < WIDTH; x++)
            aid_image_row(&full.image, y)[x + OVERSCAN] = aid_image_row(&made.flat.image, y)[x];
    aid_calibrate_input input = input_of(&made);
    aid_calibrate_options options = AID_CALIBRATE_DEFAULTS;
    aid_calibrated one, other;
    static aid_notes notes;
    CHECK_OK(aid_calibrate(&input, &options, NULL, &notes, &one, &err));
    CHECK(!is_noted(&notes, "no bias") && !is_noted(&notes, "no dark"));
    input.flat = &full;
    CHECK_OK(aid_calibrate(&input, &options, NULL, &notes, &other, &err));
    size_t bytes = (size_t)WIDTH * HEIGHT * sizeof(float);
    CHECK(!memcmp(one.image.data, other.image.data, bytes));
    aid_calibrated_done(&other);
    made.facts.saturation = NAN;
    input.bias = input.dark = input.flat = NULL;
    CHECK_OK(aid_calibrate(&input, &options, NULL, &notes, &other, &err));
    CHECK(is_noted(&notes, "raw.fits: no bias is subtracted, but the level of the overscan is"));
    CHECK(is_noted(&notes, "no dark") && is_noted(&notes, "not divided by a flat"));
    CHECK(is_noted(&notes, "no saturation level"));
    CHECK(isnan(other.facts.saturation) && other.saturated == 0 && !other.bias_done);
    aid_calibrated_done(&one);
    aid_calibrated_done(&other);
    free_master(&full);
    night_done(&made);
}

/* A bias of 10 frames says how noisy one of them is: 5 ADU, 7.5 e-. */
TEST(the_read_noise_comes_from_options_header_or_bias_and_is_never_nothing)
{
    night made = make_night();
    aid_calibrate_input input = input_of(&made);
    aid_calibrate_options options = AID_CALIBRATE_DEFAULTS;
    aid_calibrated header, bias, told;
    static aid_notes notes;
    CHECK_OK(aid_calibrate(&input, &options, NULL, NULL, &header, &err));
    made.facts.read_noise_e = NAN;
    CHECK_OK(aid_calibrate(&input, &options, NULL, &notes, &bias, &err));
    CHECK(is_noted(&notes, "read noise 7.5 e-"));
    CHECK(
        !memcmp(header.variance.data, bias.variance.data, (size_t)WIDTH * HEIGHT * sizeof(float)));
    options.read_noise_e = 0.0; /* whole numbers have a noise of their own: 1/12 ADU^2 */
    CHECK_OK(aid_calibrate(&input, &options, NULL, NULL, &told, &err));
    for (int64_t i = 0; i < WIDTH * HEIGHT; i++) {
        double flat = (double)made.flat.image.data[i];
        CHECK_NEAR((double)(header.variance.data[i] - told.variance.data[i]) * flat * flat,
                   25.0 - 1.0 / 12.0, 1e-2);
    }
    aid_calibrated_done(&header);
    aid_calibrated_done(&bias);
    aid_calibrated_done(&told);
    night_done(&made);
}

TEST(a_calibrated_frame_is_the_same_bytes_at_one_and_seven_threads)
{
    night made = make_night();
    aid_calibrate_input input = input_of(&made);
    aid_calibrate_options options = AID_CALIBRATE_DEFAULTS;
    aid_calibrated one, many;
    aid_pool *pool = pool_of(7);
    CHECK_OK(aid_calibrate(&input, &options, NULL, NULL, &one, &err));
    CHECK_OK(aid_calibrate(&input, &options, pool, NULL, &many, &err));
    size_t pixels = (size_t)WIDTH * HEIGHT;
    CHECK(!memcmp(one.image.data, many.image.data, pixels * sizeof(float)));
    CHECK(!memcmp(one.variance.data, many.variance.data, pixels * sizeof(float)));
    CHECK(!memcmp(one.mask.data, many.mask.data, pixels));
    CHECK(one.image.data[5] != one.image.data[6]);
    aid_pool_free(pool);
    aid_calibrated_done(&one);
    aid_calibrated_done(&many);
    night_done(&made);
}

/* ------------------------------------------------------------------------------------- refusals */

TEST(what_cannot_be_calibrated_is_refused_with_the_numbers)
{
    night made = make_night();
    aid_calibrate_input input = input_of(&made);
    aid_calibrate_options options = AID_CALIBRATE_DEFAULTS;
    aid_calibrated result = {.bad = -7};
    aid_master other = master_of(AID_TYPE_DARK, 64, 32, 0.0, 0.0, 0.0);
    input.dark = &other;
    CHECK_REFUSED(aid_calibrate(&input, &options, NULL, NULL, &result, &err), AID_ERR_INVALID,
                  "raw.fits has 83 x 141 pixels (95 x 141 with overscan), the dark dark 64 x 32");
    input.dark = &made.dark;
    made.facts.exposure_s = 0.0;
    CHECK_REFUSED(aid_calibrate(&input, &options, NULL, NULL, &result, &err), AID_ERR_INVALID,
                  "raw.fits: an exposure of 0 s");
    made.facts.exposure_s = NAN;
    CHECK_REFUSED(aid_calibrate(&input, &options, NULL, NULL, &result, &err), AID_ERR_INVALID,
                  "the exposure time is unknown");
    made.facts.exposure_s = 120.0;
    made.facts.gain = NAN;
    CHECK_REFUSED(aid_calibrate(&input, &options, NULL, NULL, &result, &err), AID_ERR_INVALID,
                  "gain");
    made.facts.gain = 1.5;
    made.facts.read_noise_e = made.bias.frame_noise = NAN;
    CHECK_REFUSED(aid_calibrate(&input, &options, NULL, NULL, &result, &err), AID_ERR_INVALID,
                  "read noise");
    made.facts.read_noise_e = 7.5;
    made.facts.overscan = made.facts.trim = (aid_section){0};
    CHECK_REFUSED(aid_calibrate(&input, &options, NULL, NULL, &result, &err), AID_ERR_INVALID,
                  "no overscan");
    options.least_flat = 0.0;
    CHECK_REFUSED(aid_calibrate(&input, &options, NULL, NULL, &result, &err), AID_ERR_INVALID,
                  "least flat of 0");
    CHECK_EQUAL(result.bad, -7);
    free_master(&other);
    night_done(&made);
}

TEST(a_step_with_a_master_of_another_shape_or_without_exposure_changes_nothing)
{
    aid_master dark = master_of(AID_TYPE_DARK, 16, 9, 1.0, 0.0, 0.1);
    aid_image image, variance;
    CHECK_OK(aid_image_init(16, 8, &image, &err));
    CHECK_OK(aid_image_init(16, 9, &variance, &err));
    aid_calibration_target target = {.name = "x.fits", .image = &image};
    CHECK_REFUSED(aid_correct_bias(&target, &dark, NULL, &err), AID_ERR_INVALID,
                  "x.fits has 16 x 8 pixels, the bias dark 16 x 9");
    CHECK_REFUSED(aid_correct_dark(&target, &dark, 10.0, NULL, &err), AID_ERR_INVALID, "16 x 9");
    CHECK_REFUSED(aid_correct_flat(&target, &dark, 0.01, NULL, &err), AID_ERR_INVALID, "16 x 9");
    target.variance = &variance;
    CHECK_REFUSED(aid_correct_bias(&target, &dark, NULL, &err), AID_ERR_INVALID,
                  "its variance 16 x 9");
    target.variance = NULL;
    dark.image.height = dark.variance.height = dark.mask.height = 8;
    CHECK_REFUSED(aid_correct_dark(&target, &dark, 0.0, NULL, &err), AID_ERR_INVALID, "0 s");
    CHECK_REFUSED(aid_correct_dark(&target, &dark, NAN, NULL, &err), AID_ERR_INVALID, "unknown");
    for (int i = 0; i < 16 * 8; i++)
        CHECK(image.data[i] == 0.0f);
    CHECK_OK(aid_correct_dark(&target, &dark, 10.0, NULL, &err));
    CHECK_NEAR(image.data[17], -10.0, 0.0);
    aid_image_done(&image);
    aid_image_done(&variance);
    free_master(&dark);
}

TEST_MAIN()
