/* `astrid quality` as a user runs it. */
#include "tests/apps/cli/program.h"

#include <jansson.h>

static void write_frame(const char *path, int32_t width, int32_t height, float (*value)(int32_t x))
{
    AID_CLEANUP(aid_image_done)
    aid_image image = {0};
    CHECK_OK(aid_image_init(width, height, &image, &err));
    for (int32_t y = 0; y < height; y++)
        for (int32_t x = 0; x < width; x++)
            aid_image_row(&image, y)[x] = value(x);
    aid_fits_writer *writer;
    CHECK_OK(aid_fits_create(path, &writer, &err));
    CHECK_OK(aid_fits_put_image(writer, NULL, &image, NULL, &err));
    CHECK_OK(aid_fits_commit(writer, &err));
}

static float constant(int32_t x)
{
    (void)x;
    return 1000.0f;
}
static float missing(int32_t x)
{
    (void)x;
    return NAN;
}
static float noise(int32_t x)
{
    (void)x;
    return (float)(300.0 + 12.0 * normal());
}

/* The JSON of the last run; the caller's. */
static json_t *parsed(void)
{
    json_error_t where;
    json_t *root = json_loads(out_text, 0, &where);
    if (!root)
        check_fail(__FILE__, __LINE__, "no JSON: %s in %s", where.text, out_text);
    return root;
}

static json_t *image_of(const json_t *root, int index)
{
    json_t *image = json_array_get(json_object_get(root, "images"), (size_t)index);
    CHECK(json_is_object(image));
    return image;
}

static double number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_number(value))
        check_fail(__FILE__, __LINE__, "%s is no number", key);
    return json_number_value(value);
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *value = json_string_value(json_object_get(object, key));
    return value ? value : "";
}

/* write_sky: gain 2, sky 300, round Gaussian stars of the FWHM that is asked for. The FWHM of the
 * pixels is that of the PSF and of the pixel together: sqrt(3^2 + (2.355/sqrt(12))^2) = 3.08. */
TEST(one_image_gets_the_numbers_that_it_was_made_with)
{
    enter_new_folder();
    write_sky("sky.fits", 3.0, 0.0, 5);
    CHECK_EQUAL(astrid("quality sky.fits --json"), 0);
    json_t *root = parsed(), *image = image_of(root, 0);
    CHECK_NEAR(number(image, "background_level"), 300.0, 1.0);
    CHECK_NEAR(number(image, "noise_level"), sqrt(150.0), 0.02 * sqrt(150.0));
    CHECK_NEAR(number(image, "fwhm_px"), 3.0, 0.12);
    CHECK(number(image, "ellipticity") < 0.02);
    CHECK_EQUAL(number(image, "cosmic_ray_count"), 0);
    CHECK_NEAR(number(image, "saturation_percentage"), 0.0, 0.0);
    CHECK_NEAR(number(image, "gain"), 2.0, 0.0);
    CHECK(json_is_null(json_object_get(image, "limiting_mag")));
    CHECK_TEXT(text_of(image, "rated_by"), "expectation");
    CHECK_EQUAL(astrid("quality sky.fits --zero-point 25 --json"), 0);
    json_t *again = parsed();
    double flux = number(image, "limiting_flux");
    CHECK_NEAR(number(image_of(again, 0), "limiting_mag"), 25.0 - 2.5 * log10(flux), 1e-9);
    json_decref(again);
    json_decref(root);
}

TEST(the_sharper_of_three_images_of_one_field_scores_higher_and_all_are_equally_clear)
{
    enter_new_folder();
    write_sky("a.fits", 2.6, 0.0, 1);
    write_sky("b.fits", 3.4, 0.0, 2);
    write_sky("c.fits", 4.4, 0.0, 3);
    CHECK_EQUAL(astrid("quality c.fits a.fits b.fits --json"), 0);
    json_t *root = parsed();
    CHECK_TEXT(json_string_value(json_object_get(root, "command")), "quality");
    CHECK(json_is_string(json_object_get(json_object_get(root, "program"), "build")));
    double a = number(image_of(root, 1), "score"), b = number(image_of(root, 2), "score");
    double c = number(image_of(root, 0), "score");
    CHECK(a > b && b > c);
    CHECK(a > 0.9);
    CHECK_TEXT(text_of(image_of(root, 0), "file"), "c.fits");
    CHECK_TEXT(text_of(image_of(root, 0), "rated_by"), "group");
    for (int i = 0; i < 3; i++)
        CHECK_NEAR(number(image_of(root, i), "transparency"), 1.0, 0.02);
    json_decref(root);
}

TEST(an_image_that_is_refused_stops_none_of_the_others)
{
    enter_new_folder();
    write_sky("good.fits", 3.0, 0.0, 5);
    write_frame("constant.fits", 64, 64, constant);
    write_frame("nan.fits", 64, 64, missing);
    CHECK_EXIT("quality constant.fits good.fits nan.fits nothing.fits", 3,
               "3 of 4 images could not be assessed, the first: constant.fits: constant");
    CHECK(strstr(out_text, "good.fits"));
    CHECK_EQUAL(astrid("quality constant.fits good.fits nan.fits nothing.fits --json -o t.csv"), 3);
    json_t *root = parsed();
    CHECK_EQUAL(number(root, "assessed"), 1);
    CHECK_EQUAL(number(root, "failed"), 3);
    CHECK(strstr(text_of(image_of(root, 0), "error"), "constant: every usable pixel is 1000"));
    CHECK(strstr(text_of(image_of(root, 2), "error"), "NaN"));
    CHECK(strstr(text_of(image_of(root, 3), "error"), "nothing.fits"));
    CHECK(json_is_null(json_object_get(image_of(root, 0), "score")));
    CHECK(number(image_of(root, 1), "score") > 0.0);
    CHECK(exists("t.csv"));
    json_decref(root);
}

TEST(a_lone_image_that_is_refused_is_told_in_one_line_and_nothing_is_written)
{
    enter_new_folder();
    write_frame("constant.fits", 64, 64, constant);
    CHECK_EXIT("quality constant.fits -o out", 3, "constant.fits: constant");
    CHECK(!exists("out"));
    CHECK_EXIT("quality nothing.fits", 1, "nothing.fits");
}

TEST(images_of_any_size_are_assessed_and_too_small_ones_refused_with_their_size)
{
    static const int sides[][2] = {{50, 50}, {33, 61}, {100, 47}, {257, 129}, {1000, 40}};
    enter_new_folder();
    for (size_t i = 0; i < AID_COUNT_OF(sides); i++) {
        generator = 7;
        write_frame("odd.fits", sides[i][0], sides[i][1], noise);
        CHECK_EQUAL(astrid("quality odd.fits --json"), 0);
        json_t *root = parsed(), *image = image_of(root, 0);
        CHECK_NEAR(number(image, "background_level"), 300.0, 1.5);
        /* 33 x 61 pixels are 480 blocks of four, whose fine detail knows sigma to
         * 1/sqrt(2 x 480) = 3.2 %. */
        CHECK_NEAR(number(image, "noise_level"), 12.0, 4.0 * 0.032 * 12.0);
        CHECK(number(image, "flatness_score") > 0.9);
        CHECK_NEAR(number(image, "score"), 0.0, 0.0); /* no star: nothing tells the seeing */
        CHECK_TEXT(text_of(image, "flags"), "few_stars");
        json_decref(root);
    }
    write_frame("small.fits", 20, 64, noise);
    CHECK_EXIT("quality small.fits", 3, "small.fits: 20 x 64 pixels are too few");
}

TEST(results_are_the_same_bytes_at_one_and_two_threads_and_in_little_memory)
{
    enter_new_folder();
    write_sky("a.fits", 2.6, 0.0, 1);
    write_sky("b.fits", 3.4, 0.0, 2);
    write_sky("c.fits", 4.4, 0.0, 3);
    const char *images = "quality a.fits b.fits c.fits";
    char words[256];
    snprintf(words, sizeof words, "%s --threads 1 -o one", images);
    CHECK_EQUAL(astrid(words), 0);
    snprintf(words, sizeof words, "%s --threads 2 --memory 64 -o two", images);
    CHECK_EQUAL(astrid(words), 0);
    snprintf(words, sizeof words, "%s --threads 7 -o seven", images); /* more than images */
    CHECK_EQUAL(astrid(words), 0);
    same_file("one/quality.json", "two/quality.json");
    same_file("one/quality.csv", "two/quality.csv");
    same_file("one/trends.csv", "two/trends.csv");
    same_file("one/quality.fits", "two/quality.fits");
    same_file("one/report.html", "two/report.html");
    same_file("one/quality.json", "seven/quality.json");
}

TEST(the_table_has_the_form_that_its_name_asks_for)
{
    enter_new_folder();
    write_sky("a.fits", 2.6, 0.0, 1);
    CHECK_EQUAL(astrid("quality a.fits -o t.csv"), 0);
    CHECK_EQUAL(astrid("quality a.fits -o t.json"), 0);
    CHECK_EQUAL(astrid("quality a.fits -o t.vot"), 0);
    CHECK_EQUAL(astrid("quality a.fits -o t.fits"), 0);
    static const char *const beginnings[][2] = {
        {"t.csv", "file,"}, {"t.json", "{"}, {"t.vot", "<?xml"}, {"t.fits", "SIMPLE"}};
    for (size_t i = 0; i < AID_COUNT_OF(beginnings); i++) {
        char text[16] = "";
        read_back(beginnings[i][0], text, sizeof text);
        CHECK(!strncmp(text, beginnings[i][1], strlen(beginnings[i][1])));
    }
}

TEST(an_image_is_aligned_with_the_reference_and_one_of_another_field_is_flagged)
{
    enter_new_folder();
    write_pair();
    CHECK_EQUAL(astrid("quality sci.fits --reference ref.fits --json"), 0);
    json_t *root = parsed();
    double rms = number(image_of(root, 0), "alignment_accuracy");
    /* Stars of S/N 100 and more: centroids to 3.4/2.355/100 = 0.014 px, fainter ones less well. */
    CHECK(rms > 0.001 && rms < 0.1);
    CHECK(!strstr(text_of(image_of(root, 0), "flags"), "misaligned"));
    json_decref(root);
    generator = 3;
    write_frame("empty.fits", 300, 300, noise);
    CHECK_EQUAL(astrid("quality sci.fits --reference empty.fits --json"), 0);
    root = parsed();
    CHECK(json_is_null(json_object_get(image_of(root, 0), "alignment_accuracy")));
    CHECK(strstr(text_of(image_of(root, 0), "flags"), "misaligned"));
    json_decref(root);
    CHECK_EXIT("quality sci.fits --reference nothing.fits", 1, "nothing.fits");
}

TEST(what_the_command_line_cannot_mean_is_a_usage_error)
{
    enter_new_folder();
    write_sky("a.fits", 2.6, 0.0, 1);
    CHECK_EXIT("quality", 2, "IMG");
    CHECK_EXIT("quality a.fits a.fits", 2, "a.fits is given twice");
    CHECK_EXIT("quality a.fits --noise-estimator sigma", 2, "is none of mesh|mad");
    CHECK_EXIT("quality a.fits --gain -1", 2, "--gain -1");
    CHECK_EXIT("quality a.fits -o a.fits/x", 1, "a.fits: Not a directory");
}

TEST_MAIN()
