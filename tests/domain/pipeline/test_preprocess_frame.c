/* One raw frame through calibration, cleaning and quality, held against the same sky as a perfect
 * camera would have seen it. */
#include "domain/pipeline/frame_header.h"
#include "domain/pipeline/preprocess_frame.h"
#include "domain/simulation/simulation.h"
#include "tests/check.h"

#include <stdlib.h>

static aid_error err;

enum { SIDE = 400 };

typedef struct scene {
    aid_sky *sky;
    aid_simulated_frame raw, perfect;
    aid_frame_facts facts;
    aid_master masters[3];
} scene;

/* A master without any error of its own. */
static aid_master perfect_master(const aid_sky *sky, aid_raw_kind kind, aid_frame_type type)
{
    const aid_sky_options *o = aid_sky_options_of(sky);
    aid_master master = {.frames = 100, .above_overscan = true};
    CHECK_OK(aid_sky_render_detector(sky, kind, NULL, &master.image, &err));
    CHECK_OK(aid_image_init(SIDE, SIDE, &master.variance, &err));
    CHECK_OK(aid_mask_init(SIDE, SIDE, &master.mask, &err));
    for (int64_t i = 0; i < (int64_t)SIDE * SIDE && type == AID_TYPE_DARK; i++)
        master.image.data[i] /= (float)o->gain; /* e-/s to ADU/s */
    master.facts = (aid_frame_facts){.type = type,
                                     .is_master = true,
                                     .width = SIDE,
                                     .height = SIDE,
                                     .binning_x = 1,
                                     .binning_y = 1,
                                     .exposure_s = type == AID_TYPE_DARK ? 300.0 : 0.0,
                                     .temperature_c = NAN,
                                     .gain = o->gain,
                                     .read_noise_e = o->read_noise_e,
                                     .saturation = NAN,
                                     .valid_until_mjd_utc = NAN};
    master.frame_noise = o->read_noise_e / o->gain;
    return master;
}

static void make_scene(scene *made)
{
    *made = (scene){0};
    aid_sky_options options = AID_SKY_DEFAULTS;
    options.width = options.height = SIDE;
    options.seed = 77;
    options.transients = options.faders = options.variables = options.movers = 0;
    CHECK_OK(aid_sky_new(&options, &made->sky, &err));
    CHECK_OK(
        aid_sky_render_raw(made->sky, AID_RAW_OBJECT, AID_SKY_SCIENCE, 0, NULL, &made->raw, &err));
    CHECK_OK(aid_sky_render(made->sky, AID_SKY_SCIENCE, NULL, &made->perfect, &err));
    aid_mask_done(&made->raw.mask); /* the truth stays out of it */
    made->facts = aid_frame_facts_from_header(&made->raw.header, "raw.fits", made->raw.image.width,
                                              made->raw.image.height, NULL);
    made->masters[0] = perfect_master(made->sky, AID_RAW_BIAS, AID_TYPE_BIAS);
    made->masters[1] = perfect_master(made->sky, AID_RAW_DARK, AID_TYPE_DARK);
    made->masters[2] = perfect_master(made->sky, AID_RAW_FLAT, AID_TYPE_FLAT);
}

static void scene_done(scene *made)
{
    for (int i = 0; i < 3; i++)
        aid_master_done(&made->masters[i]);
    aid_simulated_frame_done(&made->raw);
    aid_simulated_frame_done(&made->perfect);
    aid_sky_free(made->sky);
}

static aid_preprocess_input input_of(const scene *made, bool masters)
{
    return (aid_preprocess_input){.name = "raw.fits",
                                  .facts = &made->facts,
                                  .header = &made->raw.header,
                                  .image = &made->raw.image,
                                  .mask = &made->raw.mask,
                                  .bias = masters ? &made->masters[0] : NULL,
                                  .dark = masters ? &made->masters[1] : NULL,
                                  .flat = masters ? &made->masters[2] : NULL};
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Both see the same sky with noise of their own: sqrt((400 + 16)/1.5 x 2) = 23.6 ADU between blank
 * pixels, so the median over 140 000 has a standard error of 1.25 x 23.6/374 = 0.08; 0.4 is five of
 * them. The spread is good to 0.3 %, and stars, which add noise, are few: between -2 and +6 %. */
TEST(with_perfect_masters_the_frame_is_what_a_perfect_camera_sees)
{
    scene made;
    make_scene(&made);
    aid_preprocess_input input = input_of(&made, true);
    aid_preprocess_options options = AID_PREPROCESS_DEFAULTS;
    aid_preprocessed result;
    CHECK_OK(aid_preprocess_frame(&input, &options, NULL, NULL, &result, &err));
    CHECK(result.calibrated && result.cleaned && result.assessed && !result.quality_failure[0]);
    CHECK(result.frame.image.width == SIDE && result.frame.image.height == SIDE);
    double *differences = malloc(sizeof *differences * SIDE * SIDE);
    int count = 0;
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++)
            if (!aid_mask_row(&result.frame.mask, y)[x] && !aid_mask_row(&made.perfect.mask, y)[x])
                differences[count++] = (double)aid_image_row(&result.frame.image, y)[x] -
                                       (double)aid_image_row(&made.perfect.image, y)[x];
    qsort(differences, (size_t)count, sizeof *differences, ascending);
    CHECK(count > 150000);
    CHECK_NEAR(differences[count / 2], 0.0, 0.4);
    double sigma = (differences[(int)(0.8413 * count)] - differences[(int)(0.1587 * count)]) / 2.0;
    double expected = sqrt(2.0 * (400.0 * 1.5 + 36.0)) / 1.5;
    CHECK(sigma > 0.98 * expected && sigma < 1.06 * expected);
    free(differences);
    aid_preprocessed_done(&result);
    scene_done(&made);
}

/* Struck pixels of the truth, those that stand out by 10 sigma at least: the raw frame has its own
 * hits, and most of them must be marked and none of them be left as it was. */
TEST(cosmic_rays_are_marked_and_filled)
{
    scene made;
    make_scene(&made);
    aid_simulated_frame truth;
    CHECK_OK(aid_sky_render_raw(made.sky, AID_RAW_OBJECT, AID_SKY_SCIENCE, 0, NULL, &truth, &err));
    aid_preprocess_input input = input_of(&made, true);
    aid_preprocess_options options = AID_PREPROCESS_DEFAULTS;
    aid_preprocessed clean, struck;
    options.assess = false;
    CHECK_OK(aid_preprocess_frame(&input, &options, NULL, NULL, &clean, &err));
    options.clean = false;
    CHECK_OK(aid_preprocess_frame(&input, &options, NULL, NULL, &struck, &err));
    int strong = 0, marked = 0, lower = 0;
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++) {
            float before = aid_image_row(&struck.frame.image, y)[x];
            bool hit = aid_mask_row(&truth.mask, y)[x] == AID_MASK_COSMIC_RAY;
            if (!hit || !(before > 400.0f + 10.0f * 17.0f))
                continue;
            strong++;
            marked += (aid_mask_row(&clean.frame.mask, y)[x] & AID_MASK_COSMIC_RAY) != 0;
            lower += aid_image_row(&clean.frame.image, y)[x] < before;
        }
    CHECK(strong >= 5);
    CHECK(marked >= 0.9 * strong && lower >= 0.9 * strong);
    CHECK(clean.cosmic_ray_pixels > 0 && clean.cosmic_ray_hits > 0);
    CHECK(!struck.cleaned && struck.cosmic_ray_pixels == 0);
    aid_preprocessed_done(&clean);
    aid_preprocessed_done(&struck);
    aid_simulated_frame_done(&truth);
    scene_done(&made);
}

TEST(the_result_is_the_same_bytes_at_one_and_three_threads)
{
    scene made;
    make_scene(&made);
    aid_preprocess_input input = input_of(&made, true);
    aid_preprocess_options options = AID_PREPROCESS_DEFAULTS;
    aid_preprocessed results[2];
    for (int i = 0; i < 2; i++) {
        aid_pool *pool = NULL;
        CHECK_OK(aid_pool_new(i ? 3 : 1, &pool, &err));
        CHECK_OK(aid_preprocess_frame(&input, &options, pool, NULL, &results[i], &err));
        aid_pool_free(pool);
    }
    size_t pixels = (size_t)SIDE * SIDE;
    CHECK(!memcmp(results[0].frame.image.data, results[1].frame.image.data, 4 * pixels));
    CHECK(!memcmp(results[0].frame.variance.data, results[1].frame.variance.data, 4 * pixels));
    CHECK(!memcmp(results[0].frame.mask.data, results[1].frame.mask.data, pixels));
    CHECK(results[0].quality.overall_quality_score == results[1].quality.overall_quality_score);
    CHECK(results[0].quality.fwhm_px == results[1].quality.fwhm_px);
    for (int i = 0; i < 2; i++)
        aid_preprocessed_done(&results[i]);
    scene_done(&made);
}

TEST(without_masters_and_gain_the_pixels_are_trimmed_and_nothing_is_claimed)
{
    scene made;
    make_scene(&made);
    made.facts.gain = made.facts.read_noise_e = NAN;
    aid_preprocess_input input = input_of(&made, false);
    aid_preprocess_options options = AID_PREPROCESS_DEFAULTS;
    aid_preprocessed result;
    CHECK_OK(aid_preprocess_frame(&input, &options, NULL, NULL, &result, &err));
    CHECK(!result.calibrated && !result.cleaned && result.assessed);
    CHECK(result.frame.image.width == SIDE && !result.frame.variance.data);
    CHECK(!aid_header_find(&result.header, "GAIN"));
    bool told = false;
    for (int i = 0; i < result.notes.count; i++)
        told = told || strstr(result.notes.items[i].text, "as they were read out");
    CHECK(told);
    aid_preprocessed_done(&result);
    scene_done(&made);
}

TEST(a_frame_without_quality_is_still_a_frame)
{
    scene made;
    make_scene(&made);
    for (int64_t i = 0; i < (int64_t)made.raw.image.width * SIDE; i++)
        made.raw.image.data[i] = 1000.0f; /* a shutter that stuck, and electronics without noise */
    aid_preprocess_input input = input_of(&made, false);
    aid_preprocess_options options = AID_PREPROCESS_DEFAULTS;
    aid_preprocessed result;
    CHECK_OK(aid_preprocess_frame(&input, &options, NULL, NULL, &result, &err));
    CHECK(!result.assessed && result.quality_failure[0] && result.frame.image.data);
    aid_preprocessed_done(&result);
    scene_done(&made);
}

typedef struct observed {
    int begun, ended, stop_at;
    char names[8][24];
} observed;

static aid_status observe_begin(void *context, const char *stage, aid_error *error)
{
    observed *seen = context;
    if (seen->begun == seen->stop_at)
        AID_FAIL(error, AID_ERR_CANCELLED, "stopped before %s", stage);
    snprintf(seen->names[seen->begun++], sizeof seen->names[0], "%s", stage);
    return AID_OK;
}

static void observe_end(void *context, const char *stage)
{
    observed *seen = context;
    CHECK_TEXT(seen->names[seen->ended++], stage);
}

TEST(stages_come_in_order_and_the_work_stops_when_asked)
{
    scene made;
    make_scene(&made);
    observed seen = {.stop_at = -1};
    aid_stage_observer observer = {observe_begin, observe_end, &seen};
    aid_preprocess_input input = input_of(&made, true);
    aid_preprocess_options options = AID_PREPROCESS_DEFAULTS;
    aid_preprocessed result;
    CHECK_OK(aid_preprocess_frame(&input, &options, NULL, &observer, &result, &err));
    CHECK_EQUAL(seen.begun, 3);
    CHECK_EQUAL(seen.ended, 3);
    CHECK_TEXT(seen.names[0], "calibrate");
    CHECK_TEXT(seen.names[1], "clean");
    CHECK_TEXT(seen.names[2], "assess");
    aid_preprocessed_done(&result);
    seen = (observed){.stop_at = 1};
    CHECK_REFUSED(aid_preprocess_frame(&input, &options, NULL, &observer, &result, &err),
                  AID_ERR_CANCELLED, "stopped before clean");
    CHECK(!result.frame.image.data && result.header.count == 0);
    scene_done(&made);
}

TEST(the_header_says_what_is_true_of_the_pixels_that_are_left)
{
    aid_header raw = {0}, made = {0};
    const char *const cards[][2] = {{"CRPIX1", "100.5"}, {"CRPIX2A", "7.0"}, {"BIASSEC", "[1:8,:]"},
                                    {"GAIN", "1"},       {"OBJECT", "M 13"}, {"SATURATE", "60000"}};
    for (size_t i = 0; i < AID_COUNT_OF(cards); i++)
        CHECK_OK(aid_header_append(
            &raw, cards[i][0],
            strchr(cards[i][1], '[') || cards[i][1][0] == 'M' ? AID_CARD_STRING : AID_CARD_NUMBER,
            cards[i][1], "", &err));
    aid_calibrated frame = {.trim_x0 = 8, .trim_y0 = 2};
    frame.facts = (aid_frame_facts){.gain = 1.8, .read_noise_e = 9.4, .saturation = NAN};
    CHECK_OK(aid_frame_header(&raw, &frame, &made, &err));
    double value = 0.0;
    CHECK(aid_header_number(&made, "CRPIX1", &value) && value == 92.5);
    CHECK(aid_header_number(&made, "CRPIX2A", &value) && value == 5.0);
    CHECK(aid_header_number(&made, "GAIN", &value) && value == 1.8);
    CHECK(aid_header_number(&made, "EGAIN", &value) && value == 1.8);
    CHECK(aid_header_number(&made, "RDNOISE", &value) && value == 9.4);
    CHECK(!aid_header_find(&made, "BIASSEC") && !aid_header_find(&made, "SATURATE"));
    CHECK_TEXT(aid_header_text(&made, "OBJECT"), "M 13");
    CHECK_TEXT(aid_header_text(&made, "BUNIT"), "adu");
    aid_header_done(&made);
    frame.electrons = true;
    CHECK_OK(aid_frame_header(&raw, &frame, &made, &err));
    CHECK_TEXT(aid_header_text(&made, "BUNIT"), "electron");
    aid_header_done(&made);
    aid_header_done(&raw);
}

TEST_MAIN()
