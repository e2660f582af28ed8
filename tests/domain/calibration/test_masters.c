/* Masters of simulated frames against what the frames were made of. */
#include "core/base/memory.h"
#include "core/base/random.h"
#include "domain/calibration/masters.h"
#include "tests/check.h"

static aid_error err;
static aid_notes notes;
enum { SIDE = 96, PIXELS = SIDE * SIDE, MOST = 12 };

/* A camera of gain 2 e-/ADU and read noise 8 e- (4 ADU), with a bias of 300 ADU. */
static const double gain = 2.0, read_noise_adu = 4.0, bias_level = 300.0;
enum { HOT = 20 * SIDE + 30, DEAD = 50 * SIDE + 60 };

static double bias_of(int pixel)
{
    return bias_level + 3.0 * sin(pixel % SIDE / 5.0);
}
static double flat_of(int pixel)
{
    double x = pixel % SIDE - 48.0, y = pixel / SIDE - 48.0;
    return pixel == DEAD ? 0.05 : 1.05 - (x * x + y * y) / 46000.0;
}
static double dark_of(int pixel)
{
    return pixel == HOT ? 60.0 : 0.5 + 0.1 * sin(pixel / SIDE / 7.0); /* ADU/s */
}

/* --------------------------------------------------------------------------------- a set of raw
 */

typedef struct night {
    int count;
    aid_image images[MOST];
    aid_raw_frame frames[MOST];
    aid_frame_facts facts[MOST];
} night;

static aid_status read_night(void *context, int frame, int32_t y, int32_t rows, float *pixels,
                             aid_error *error)
{
    (void)error;
    const night *from = context;
    memcpy(pixels, aid_image_row(&from->images[frame], y), (size_t)rows * SIDE * sizeof *pixels);
    return AID_OK;
}

static aid_frame_rows rows_of(night *of)
{
    return (aid_frame_rows){
        .context = of, .count = of->count, .width = SIDE, .height = SIDE, .read = read_night};
}

/* light: ADU at a flat of 1. */
static void add_frame(night *to, double light, double exposure_s)
{
    int k = to->count++;
    aid_random random = aid_random_seeded(77, (uint64_t)(k + 100.0 * exposure_s + light));
    CHECK_OK(aid_image_init(SIDE, SIDE, &to->images[k], &err));
    for (int i = 0; i < PIXELS; i++) {
        double adu = light * flat_of(i) + exposure_s * dark_of(i);
        double electrons = aid_random_poisson(&random, gain * adu);
        to->images[k].data[i] = (float)rint(bias_of(i) + electrons / gain +
                                            read_noise_adu * aid_random_normal(&random));
    }
    to->facts[k] = (aid_frame_facts){.width = SIDE,
                                     .height = SIDE,
                                     .binning_x = 1,
                                     .binning_y = 1,
                                     .exposure_s = exposure_s,
                                     .temperature_c = NAN,
                                     .gain = NAN,
                                     .read_noise_e = NAN,
                                     .saturation = 60000.0};
    snprintf(to->facts[k].name, sizeof to->facts[k].name, "frame%d.fits", k + 1);
}

static void examine(night *all, const aid_master_options *options)
{
    for (int k = 0; k < all->count; k++)
        CHECK_OK(
            aid_raw_frame_examine(&all->images[k], &all->facts[k], options, &all->frames[k], &err));
}

static aid_status try_master(night *all, const aid_master_options *options, aid_master *ret_master)
{
    examine(all, options);
    aid_frame_rows rows = rows_of(all);
    notes = (aid_notes){0};
    return aid_make_master(&rows, all->frames, options, NULL, &notes, ret_master, &err);
}

static aid_master made(night *all, const aid_master_options *options)
{
    aid_master master;
    CHECK_OK(try_master(all, options, &master));
    return master;
}

static void night_done(night *all)
{
    for (int k = 0; k < all->count; k++) {
        aid_image_done(&all->images[k]);
        aid_raw_frame_done(&all->frames[k]);
    }
    *all = (night){0};
}

static aid_master_options options_of(aid_frame_type type)
{
    aid_master_options options = AID_MASTER_DEFAULTS;
    options.type = type;
    return options;
}

static aid_master some_bias(int count)
{
    night biases = {0};
    for (int k = 0; k < count; k++)
        add_frame(&biases, 0.0, 0.0);
    aid_master_options options = options_of(AID_TYPE_BIAS);
    aid_master master = made(&biases, &options);
    night_done(&biases);
    return master;
}

/* Root mean square of (master - truth)/sigma over the pixels that are not masked. */
static double pull_of(const aid_master *master, double (*truth)(int), double scale)
{
    double squares = 0.0;
    int n = 0;
    for (int i = 0; i < PIXELS; i++) {
        if (master->mask.data[i])
            continue;
        double d = (double)master->image.data[i] - scale * truth(i);
        squares += d * d / (double)master->variance.data[i];
        n++;
    }
    return sqrt(squares / n);
}

/* ------------------------------------------------------------------------------ the three kinds
 */

/* 9216 pixels: a pull is known to 1/sqrt(2 x 9216) = 0.7 %, the noise model to a few times that. */
TEST(a_master_bias_is_the_bias_within_its_own_sigma)
{
    aid_master master = some_bias(8);
    CHECK_EQUAL(master.frames, 8);
    CHECK_NEAR(pull_of(&master, bias_of, 1.0), 1.0, 0.04);
    CHECK_NEAR(master.level, 300.0, 1.0);
    /* rounding to whole numbers adds 1/12; 9 cells of 4 pairs: 36 x 1024 pixels: 0.4 % */
    CHECK_NEAR(master.frame_noise, sqrt(16.0 + 1.0 / 12.0), 0.08);
    CHECK_EQUAL(master.facts.type, AID_TYPE_BIAS);
    CHECK(master.facts.is_master);
    CHECK(!master.above_overscan);
    aid_master_done(&master);
}

TEST(a_master_dark_of_one_exposure_is_the_rate_and_its_hot_pixel_is_masked)
{
    aid_master bias = some_bias(10);
    night darks = {0};
    for (int k = 0; k < 6; k++)
        add_frame(&darks, 0.0, 100.0);
    aid_master_options options = options_of(AID_TYPE_DARK);
    options.bias = &bias;
    aid_master master = made(&darks, &options);
    CHECK_NEAR(pull_of(&master, dark_of, 1.0), 1.0, 0.04);
    CHECK_EQUAL(master.mask.data[HOT], AID_MASK_BAD);
    CHECK_NEAR(master.image.data[HOT], 60.0, 0.6); /* 6000 ADU: 0.22 ADU/s each */
    int masked = 0;
    for (int i = 0; i < PIXELS; i++)
        masked += master.mask.data[i] != 0;
    CHECK(masked <= 3);
    aid_master_done(&master);
    aid_master_done(&bias);
    night_done(&darks);
}

static night darks_of_three_exposures(void)
{
    night darks = {0};
    const double exposures[] = {50.0, 10.0, 100.0};
    for (int k = 0; k < 9; k++)
        add_frame(&darks, 0.0, exposures[k % 3]);
    return darks;
}

TEST(darks_of_several_exposures_need_no_bias)
{
    night darks = darks_of_three_exposures();
    aid_master_options options = options_of(AID_TYPE_DARK);
    aid_master master = made(&darks, &options);
    CHECK_NEAR(pull_of(&master, dark_of, 1.0), 1.0, 0.06);
    aid_master_done(&master);
    aid_master bias = some_bias(10);
    options.bias = &bias;
    night_done(&darks);
    darks = darks_of_three_exposures();
    master = made(&darks, &options);
    CHECK_NEAR(pull_of(&master, dark_of, 1.0), 1.0, 0.06);
    aid_master_done(&master);
    aid_master_done(&bias);
    night_done(&darks);
}

TEST(darks_of_one_exposure_without_a_bias_and_of_none_are_refused)
{
    night darks = {0};
    for (int k = 0; k < 3; k++)
        add_frame(&darks, 0.0, 30.0);
    aid_master_options options = options_of(AID_TYPE_DARK);
    aid_master master, before;
    memset(&master, 0x5a, sizeof master);
    before = master;
    CHECK_REFUSED(try_master(&darks, &options, &master), AID_ERR_INVALID, "30 s");
    for (int k = 0; k < 3; k++) {
        aid_raw_frame_done(&darks.frames[k]);
        darks.facts[k].exposure_s = 0.0;
    }
    CHECK_REFUSED(try_master(&darks, &options, &master), AID_ERR_INVALID, "exposure of 0 s");
    CHECK(!memcmp(&master, &before, sizeof before));
    night_done(&darks);
}

/* Levels that fade from 20 000 to 8 000 ADU, as at dusk. The mean of the flat's truth is its own.
 */
TEST(a_master_flat_has_a_mean_of_one_whatever_the_levels_and_its_dead_pixel_is_masked)
{
    aid_master bias = some_bias(10);
    night flats = {0};
    for (int k = 0; k < 5; k++)
        add_frame(&flats, 20000.0 - 3000.0 * k, 0.0);
    aid_master_options options = options_of(AID_TYPE_FLAT);
    options.bias = &bias;
    aid_master master = made(&flats, &options);
    double mean = 0.0, truth = 0.0;
    for (int i = 0; i < PIXELS; i++) {
        mean += (double)master.image.data[i] / PIXELS;
        truth += flat_of(i) / PIXELS;
    }
    CHECK_NEAR(mean, 1.0, 1e-5);
    CHECK_NEAR(pull_of(&master, flat_of, 1.0 / truth), 1.0, 0.05);
    CHECK_EQUAL(master.mask.data[DEAD], AID_MASK_BAD);
    CHECK_EQUAL(master.mask.data[DEAD + 1], 0);
    aid_master_done(&master);
    aid_master_done(&bias);
    night_done(&flats);
}

/* A star of 3000 ADU in another place of each of five flats, as in a twilight sky. */
TEST(stars_in_sky_flats_leave_no_trace)
{
    night flats = {0};
    for (int k = 0; k < 5; k++) {
        add_frame(&flats, 10000.0, 0.0);
        for (int i = 0; i < 25; i++)
            flats.images[k].data[(20 + 10 * k + i / 5) * SIDE + 40 + i % 5] += 3000.0f;
    }
    aid_master_options options = options_of(AID_TYPE_FLAT);
    aid_master master = made(&flats, &options);
    /* one of five is gone: 1/(sqrt(4) x sqrt(2 x 10300)) = 0.35 %; the bias is in it, 3 % */
    for (int k = 0; k < 5; k++)
        CHECK_NEAR(master.image.data[(22 + 10 * k) * SIDE + 42],
                   master.image.data[(22 + 10 * k) * SIDE + 52], 0.03);
    aid_master_done(&master);
    night_done(&flats);
}

/* Noise of 0.4 ADU: more than half of the differences of neighbours are 0, and so is their MAD.
 * Rounding adds 1/12: sqrt(0.16 + 0.083) = 0.493; 36 cells of 1024 pixels: 0.4 %, and of a noise so
 * coarse the rounding is not quite independent. */
TEST(a_camera_of_little_noise_in_whole_numbers_is_measured_all_the_same)
{
    night biases = {0};
    for (int k = 0; k < 6; k++) {
        add_frame(&biases, 0.0, 0.0);
        aid_random random = aid_random_seeded(5, (uint64_t)k);
        for (int i = 0; i < PIXELS; i++)
            biases.images[k].data[i] = (float)rint(100.2 + 0.4 * aid_random_normal(&random));
        biases.images[k].data[77] = 60.0f; /* a pixel of its own */
    }
    aid_master_options options = options_of(AID_TYPE_BIAS);
    aid_master master = made(&biases, &options);
    CHECK_EQUAL(master.frames, 6);
    CHECK_NEAR(biases.frames[0].noise, 0.49, 0.03);
    CHECK_NEAR(master.frame_noise, 0.49, 0.02);
    double mean = 0.0;
    for (int i = 0; i < PIXELS; i++)
        mean += (double)master.image.data[i] / PIXELS;
    CHECK_NEAR(mean, 100.2, 0.03);
    aid_master_done(&master);
    night_done(&biases);
}

/* ----------------------------------------------------------------------------- what is left out
 */

static void check_left_out(const night *all, int frame, const char *reason)
{
    if (all->frames[frame].used || !strstr(all->frames[frame].reason, reason))
        check_fail(__FILE__, __LINE__, "frame %d: used %d, '%s' and not '%s'", frame + 1,
                   all->frames[frame].used, all->frames[frame].reason, reason);
}

static night biases_with_four_bad_ones(void)
{
    night biases = {0};
    for (int k = 0; k < 10; k++)
        add_frame(&biases, 0.0, 0.0);
    for (int i = 0; i < PIXELS; i++) {
        biases.images[1].data[i] = 300.0f;
        biases.images[3].data[i] = NAN;
        biases.images[5].data[i] = i % 20 ? biases.images[5].data[i] : 65535.0f;
        biases.images[7].data[i] += 200.0f; /* light on it */
    }
    return biases;
}

TEST(bad_frames_are_left_out_each_with_its_reason)
{
    night biases = biases_with_four_bad_ones();
    aid_master_options options = options_of(AID_TYPE_BIAS);
    aid_master master = made(&biases, &options);
    CHECK_EQUAL(master.frames, 6);
    check_left_out(&biases, 1, "constant");
    check_left_out(&biases, 3, "no pixel has a value");
    check_left_out(&biases, 5, "saturated: 5");
    check_left_out(&biases, 7, "level");
    CHECK(biases.frames[0].used && biases.frames[9].used);
    CHECK_NEAR(pull_of(&master, bias_of, 1.0), 1.0, 0.05);
    aid_master_done(&master);
    night_done(&biases);
}

TEST(strict_refuses_what_would_be_left_out_and_names_it)
{
    night biases = biases_with_four_bad_ones();
    aid_master_options options = options_of(AID_TYPE_BIAS);
    options.strict = true;
    aid_master master;
    CHECK_REFUSED(try_master(&biases, &options, &master), AID_ERR_INVALID, "frame2.fits: constant");
    night_done(&biases);
}

TEST(flats_without_light_of_another_filter_or_much_fainter_are_left_out)
{
    aid_master bias = some_bias(4);
    night flats = {0};
    for (int k = 0; k < 6; k++)
        add_frame(&flats, k == 1 ? 0.0 : k == 2 ? 300.0 : 12000.0, 1.0);
    for (int k = 0; k < 6; k++)
        snprintf(flats.facts[k].filter, sizeof flats.facts[k].filter, k == 4 ? "B" : "V");
    flats.facts[5].binning_x = 2;
    aid_master_options options = options_of(AID_TYPE_FLAT);
    options.bias = &bias;
    aid_master master = made(&flats, &options);
    CHECK_EQUAL(master.frames, 2);
    check_left_out(&flats, 1, "no light");
    check_left_out(&flats, 2, "too faint");
    check_left_out(&flats, 4, "filter 'B'");
    check_left_out(&flats, 5, "binning");
    CHECK_TEXT(master.facts.filter, "V");
    aid_master_done(&master);
    aid_master_done(&bias);
    night_done(&flats);
}

TEST(frames_whose_headers_say_otherwise_are_used_with_a_note)
{
    night biases = {0};
    for (int k = 0; k < 3; k++) {
        add_frame(&biases, 0.0, 0.0);
        biases.facts[k].type = AID_TYPE_DARK;
    }
    aid_master_options options = options_of(AID_TYPE_BIAS);
    aid_master master = made(&biases, &options);
    CHECK_EQUAL(master.frames, 3);
    CHECK_EQUAL(notes.count, 1);
    CHECK(strstr(notes.items[0].text, "3 of 3 frames are used as bias") != NULL);
    aid_master_done(&master);
    night_done(&biases);
}

TEST(darks_of_different_temperatures_are_remarked_upon)
{
    aid_master bias = some_bias(3);
    night darks = {0};
    for (int k = 0; k < 3; k++) {
        add_frame(&darks, 0.0, 20.0);
        darks.facts[k].temperature_c = -10.0 + 2.0 * k;
    }
    aid_master_options options = options_of(AID_TYPE_DARK);
    options.bias = &bias;
    aid_master master = made(&darks, &options);
    CHECK_EQUAL(notes.count, 1);
    CHECK(strstr(notes.items[0].text, "between -10 and -6 deg C") != NULL);
    CHECK_NEAR(master.facts.temperature_c, -8.0, 1e-9);
    aid_master_done(&master);
    aid_master_done(&bias);
    night_done(&darks);
}

TEST(what_cannot_be_a_master_is_refused_and_the_result_left_alone)
{
    aid_master bias = some_bias(3), master, before;
    memset(&master, 0x5a, sizeof master);
    before = master;
    night flats = {0};
    for (int k = 0; k < 2; k++)
        add_frame(&flats, 0.0, 0.0);
    aid_master_options options = options_of(AID_TYPE_FLAT);
    options.bias = &bias;
    CHECK_REFUSED(try_master(&flats, &options, &master), AID_ERR_INVALID, "no frame is left");
    night_done(&flats);
    for (int k = 0; k < 2; k++)
        add_frame(&flats, 5000.0, 0.0);
    bias.image.width = bias.variance.width = SIDE - 1;
    CHECK_REFUSED(try_master(&flats, &options, &master), AID_ERR_INVALID, "95 x 96");
    options.type = AID_TYPE_LIGHT;
    CHECK_REFUSED(try_master(&flats, &options, &master), AID_ERR_INVALID, "biases, darks or flats");
    CHECK(!memcmp(&master, &before, sizeof before));
    aid_master_done(&bias);
    night_done(&flats);
}

/* ------------------------------------------------------------------------------ photon transfer
 */

/* 9 cells of 960 pixels in 5 pairs: 43 000 differences, of which neighbours are not independent:
 * sqrt(3/43 000) = 0.8 % of the variance; 3 % is over three of them. */
TEST(photon_transfer_finds_gain_and_read_noise_from_flats_of_different_levels)
{
    aid_master bias = some_bias(10);
    night flats = {0};
    for (int k = 0; k < 6; k++)
        add_frame(&flats, 15000.0 - 1500.0 * k, 0.0);
    aid_master_options options = options_of(AID_TYPE_FLAT);
    options.bias = &bias;
    examine(&flats, &options);
    aid_frame_rows rows = rows_of(&flats);
    aid_photon_transfer transfer;
    CHECK_OK(aid_measure_photon_transfer(&rows, flats.frames, &options, bias.frame_noise, NULL,
                                         &transfer, &err));
    CHECK_NEAR(transfer.gain, 2.0, 0.06);
    CHECK_NEAR(transfer.read_noise_e, 2.0 * bias.frame_noise, 0.3);
    CHECK_NEAR(transfer.gain_error, 0.016, 0.012);
    CHECK_EQUAL(transfer.pairs, 5);
    for (int k = 1; k < 6; k++)
        flats.frames[k].used = false;
    CHECK_REFUSED(
        aid_measure_photon_transfer(&rows, flats.frames, &options, 4.0, NULL, &transfer, &err),
        AID_ERR_NUMERIC, "two flats");
    aid_master_done(&bias);
    night_done(&flats);
}

/* ------------------------------------------------------------------------------------- threads */

TEST(masters_are_the_same_bytes_at_one_and_five_threads)
{
    night darks = darks_of_three_exposures();
    aid_master_options options = options_of(AID_TYPE_DARK);
    aid_master one = made(&darks, &options), five;
    aid_pool *pool;
    CHECK_OK(aid_pool_new(5, &pool, &err));
    aid_frame_rows rows = rows_of(&darks);
    CHECK_OK(aid_make_master(&rows, darks.frames, &options, pool, NULL, &five, &err));
    CHECK(!memcmp(one.image.data, five.image.data, PIXELS * sizeof(float)));
    CHECK(!memcmp(one.variance.data, five.variance.data, PIXELS * sizeof(float)));
    CHECK(!memcmp(one.mask.data, five.mask.data, PIXELS));
    CHECK(one.level == five.level && one.rejected_fraction == five.rejected_fraction);
    aid_master_done(&one);
    aid_master_done(&five);
    aid_pool_free(pool);
    night_done(&darks);
}

TEST_MAIN()
