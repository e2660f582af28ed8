/* Alignment and stacking of real frames, where they are there. */
#include "tests/apps/cli/frames_scene.h"

#include <jansson.h>

static char data[2048]; /* an absolute path, as tests leave the folder they are started in */

int main(int argc, char **argv)
{
    aid_fits_decoder_main(argc, argv);
    if (!getcwd(data, sizeof data - 64))
        return 1;
    strcat(data, "/../shared/data");
    return check_main(argc, argv);
}

static json_t *run_json(const char *words)
{
    json_error_t where;
    if (astrid(words) != 0)
        check_fail(__FILE__, __LINE__, "astrid %s: %s", words, error_text);
    json_t *json = json_loads(out_text, 0, &where);
    CHECK(json != NULL);
    return json;
}

static double number_of(const json_t *object, const char *group, const char *key)
{
    return json_number_value(json_object_get(json_object_get(object, group), key));
}

static void need(const char *folder)
{
    char path[4200];
    snprintf(path, sizeof path, "%s/%s", data, folder);
    if (access(path, R_OK) != 0)
        check_skip("../shared/data is not here");
    enter_new_folder();
}

/* Raw frames of a transit: no WCS, saturated at 4095 without a card, a drift of up to 275 px and
 * 0.6 degrees. The bar is 0.1 px rms per axis. */
TEST(frames_of_a_drifting_telescope_are_aligned_to_a_tenth_of_a_pixel)
{
    static const char *const times[] = {"014212", "050612", "083612", "013343"};
    static const double shifts[] = {5.0, 144.6, 273.3};
    need("exotic_hatp32");
    char words[30000] = "align --no-resample --json";
    for (size_t i = 0; i < AID_COUNT_OF(times); i++) {
        size_t length = strlen(words);
        snprintf(words + length, sizeof words - length, " '%s/exotic_hatp32/HATP-32171220%s.FITS'",
                 data, times[i]);
    }
    json_t *report = run_json(words);
    for (size_t i = 0; i < AID_COUNT_OF(shifts); i++) {
        const json_t *image = json_array_get(json_object_get(report, "images"), i);
        CHECK(number_of(image, "quality", "rms_px") < 0.1);
        CHECK(number_of(image, "quality", "residual_shift_px") < 0.02);
        CHECK(number_of(image, "quality", "matched") > 300);
        CHECK_NEAR(number_of(image, "quality", "shift_px"), shifts[i], 0.3);
        CHECK(number_of(image, "quality", "correlation") > 0.8);
    }
    CHECK_NEAR(
        number_of(json_array_get(json_object_get(report, "images"), 2), "quality", "rotation_deg"),
        -0.573, 0.003);
    json_decref(report);
}

/* Two pointings 98 px apart, seeing of 4.5 to 5.7 px. Nothing changes in ten minutes but one star
 * of high proper motion, which does not either. */
TEST(a_stack_of_three_frames_is_a_calibrated_reference_of_the_fourth)
{
    need("rise");
    char words[20000];
    snprintf(words, sizeof words,
             "stack '%s/rise/q_e_20200830_1_1_1_1.fits' '%s/rise/q_e_20200830_1_11_1_1.fits' "
             "'%s/rise/q_e_20200830_1_21_1_1.fits' -o deep.fits --json",
             data, data, data);
    json_t *report = run_json(words);
    CHECK_EQUAL(json_number_value(json_object_get(report, "used")), 3);
    for (size_t i = 0; i < 3; i++) {
        const json_t *image = json_array_get(json_object_get(report, "images"), i);
        CHECK(number_of(image, "registration", "rms_px") < 0.1);
        CHECK_NEAR(json_number_value(json_object_get(image, "scale")), 1.0, 0.05);
    }
    CHECK_NEAR(json_number_value(json_object_get(report, "gain")), 3 * 2.4, 0.1);
    json_decref(report);
    snprintf(words, sizeof words,
             "run '%s/rise/q_e_20200830_1_51_1_1.fits' deep.fits -o out --json", data);
    report = run_json(words);
    CHECK_NEAR(number_of(report, "noise_calibration", "score_std"), 1.0, 0.05);
    json_decref(report);
}

/* The same field solved and unsolved: the stars alone tell where the second one lies. */
TEST(an_unsolved_frame_finds_its_place_on_the_solved_one)
{
    need("panoptes");
    char words[10000];
    snprintf(words, sizeof words,
             "align '%s/panoptes/unsolved.fits' '%s/panoptes/solved.fits.fz' --no-resample --json",
             data, data);
    json_t *report = run_json(words);
    const json_t *image = json_array_get(json_object_get(report, "images"), 0);
    CHECK_TEXT(json_string_value(json_object_get(json_object_get(image, "quality"), "method")),
               "stars");
    CHECK(number_of(image, "quality", "rms_px") < 0.25);
    CHECK(number_of(image, "quality", "matched") > 500);
    json_decref(report);
}
