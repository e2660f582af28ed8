/* `astrid master` as a user runs it: on simulated frames, on bad ones, and on real nights. */
#include "adapters/fits/master_file.h"
#include "core/base/random.h"
#include "tests/apps/cli/program.h"

#include <jansson.h>

enum { FRAME = 128 };

/* Level and noise in ADU; whole numbers, as cameras give them. */
static void write_frame(const char *path, const char *type, double exposure_s, double level,
                        double noise, uint64_t seed)
{
    AID_CLEANUP(aid_image_done)
    aid_image image = {0};
    AID_CLEANUP(aid_header_done)
    aid_header cards = {0};
    aid_random random = aid_random_seeded(seed, 5);
    char number[32];
    CHECK_OK(aid_image_init(FRAME, FRAME, &image, &err));
    for (int64_t i = 0; i < FRAME * FRAME; i++)
        image.data[i] = (float)rint(level + noise * aid_random_normal(&random));
    snprintf(number, sizeof number, "%g", exposure_s);
    CHECK_OK(aid_header_append(&cards, "IMAGETYP", AID_CARD_STRING, type, "", &err));
    CHECK_OK(aid_header_append(&cards, "EXPTIME", AID_CARD_NUMBER, number, "", &err));
    CHECK_OK(aid_header_append(&cards, "INSTRUME", AID_CARD_STRING, "Test", "", &err));
    CHECK_OK(aid_header_append(&cards, "FILTER", AID_CARD_STRING, "V", "", &err));
    CHECK_OK(
        aid_header_append(&cards, "DATE-OBS", AID_CARD_STRING, "2024-05-13T01:00:00", "", &err));
    aid_fits_writer *writer;
    CHECK_OK(aid_fits_create(path, &writer, &err));
    CHECK_OK(aid_fits_put_u16(writer, NULL, &image, &cards, &err));
    CHECK_OK(aid_fits_commit(writer, &err));
}

static void write_biases(int count)
{
    for (int k = 0; k < count; k++) {
        char path[32];
        snprintf(path, sizeof path, "b%d.fits", k + 1);
        write_frame(path, "bias", 0.0, 500.0, 6.0, (uint64_t)k + 1);
    }
}

static json_t *parsed(void)
{
    json_error_t why;
    json_t *root = json_loads(out_text, 0, &why);
    if (!root)
        check_fail(__FILE__, __LINE__, "no JSON: %s in %.200s", why.text, out_text);
    return root;
}

static double number_of(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    CHECK(json_is_number(value));
    return json_number_value(value);
}

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

/* ------------------------------------------------------------------------------- simulated frames
 */

TEST(a_bias_is_written_with_its_variance_its_mask_and_what_it_is_made_of)
{
    enter_new_folder();
    write_biases(5);
    CHECK_EQUAL(astrid("master bias b1.fits b2.fits b3.fits b4.fits b5.fits -o m.fits "
                       "--valid-days 30"),
                0);
    CHECK(strstr(out_text, "master bias of 5 frames: 128 x 128"));
    aid_fits_image file;
    CHECK_OK(aid_fits_read("m.fits", NULL, &file, &err));
    CHECK_TEXT(aid_header_text(&file.header, "IMAGETYP"), "master bias");
    CHECK_TEXT(aid_header_text(&file.header, "BUNIT"), "adu");
    CHECK_TEXT(aid_header_text(&file.header, "IN5"), "b5.fits");
    CHECK_EQUAL(strlen(aid_header_text(&file.header, "INH5")), 64);
    CHECK_EQUAL(strlen(aid_header_text(&file.header, "MASTERID")), 64);
    CHECK_TEXT(aid_header_text(&file.header, "VALIDTO"), "2024-06-12T01:00:00.000");
    CHECK(file.variance.data && file.mask.data);
    aid_fits_image_done(&file);
    aid_master master;
    CHECK_OK(aid_master_read("m.fits", AID_TYPE_BIAS, NULL, &master, NULL, &err));
    CHECK_EQUAL(master.frames, 5);
    CHECK_NEAR(master.level, 500.0, 0.2);
    CHECK_NEAR(master.frame_noise, 6.01, 0.1); /* 16 cells of 4 pairs: 0.3 % */
    CHECK_NEAR(master.facts.valid_until_mjd_utc, 60443.0 + 1.0 / 24.0 + 30.0, 1e-6);
    aid_master_done(&master);
}

TEST(the_same_frames_in_the_same_way_are_not_combined_again)
{
    enter_new_folder();
    write_biases(3);
    CHECK_EQUAL(astrid("master bias b1.fits b2.fits b3.fits -o m.fits"), 0);
    CHECK_EQUAL(astrid("master bias b1.fits b2.fits b3.fits -o m.fits --json"), 0);
    json_t *again = parsed();
    CHECK(json_is_true(json_object_get(again, "reused")));
    json_decref(again);
    CHECK_EQUAL(astrid("master bias b1.fits b2.fits b3.fits -o m.fits --combine median --json"), 0);
    json_t *other = parsed();
    CHECK(json_is_false(json_object_get(other, "reused")));
    json_decref(other);
    CHECK_EQUAL(astrid("master bias b1.fits b2.fits -o m.fits --combine median --json"), 0);
    other = parsed();
    CHECK(json_is_false(json_object_get(other, "reused")));
    CHECK_NEAR(number_of(other, "used"), 2, 0);
    json_decref(other);
}

TEST(darks_and_flats_use_the_masters_before_them)
{
    enter_new_folder();
    write_biases(4);
    for (int k = 0; k < 4; k++) {
        char path[32];
        snprintf(path, sizeof path, "d%d.fits", k + 1);
        write_frame(path, "dark", 100.0, 520.0, 6.0, (uint64_t)k + 21);
        snprintf(path, sizeof path, "f%d.fits", k + 1);
        write_frame(path, "flat", 10.0, 10502.0 + 500.0 * k, 80.0, (uint64_t)k + 31);
    }
    CHECK_EQUAL(astrid("master bias b1.fits b2.fits b3.fits b4.fits -o bias.fits"), 0);
    CHECK_EQUAL(astrid("master dark d1.fits d2.fits d3.fits d4.fits --bias bias.fits -o dark.fits "
                       "--json"),
                0);
    json_t *dark = parsed();
    CHECK_NEAR(number_of(dark, "level"), 0.2, 0.005);
    json_decref(dark);
    CHECK_EQUAL(astrid("master flat f1.fits f2.fits f3.fits f4.fits --bias bias.fits --dark "
                       "dark.fits -o flat.fits --measure-gain --json"),
                0);
    json_t *flat = parsed();
    CHECK_NEAR(number_of(flat, "level"), 1.0, 0.001);
    /* S/var = about 10 750/(80^2 - 6^2): the levels differ, their noise does not: 10 % */
    CHECK_NEAR(number_of(json_object_get(flat, "photon_transfer"), "gain"), 1.69, 0.17);
    const json_t *first = json_array_get(json_object_get(flat, "frames"), 0);
    CHECK_NEAR(number_of(first, "level_adu"), 10000.0, 5.0);
    json_decref(flat);
    CHECK_EXIT("master flat f1.fits --bias dark.fits -o x.fits", 3, "dark.fits: a dark");
}

TEST(files_at_fault_are_left_out_with_a_reason_or_refused_when_strict)
{
    enter_new_folder();
    write_biases(4);
    CHECK(system("head -c 9000 b2.fits >cut.fits; echo no >text.fits") == 0);
    write_frame("constant.fits", "bias", 0.0, 500.0, 0.0, 1);
    const char *files = "b1.fits b2.fits b3.fits b4.fits cut.fits constant.fits text.fits";
    char words[256];
    snprintf(words, sizeof words, "master bias %s -o m.fits --json", files);
    CHECK_EQUAL(astrid(words), 0);
    json_t *root = parsed();
    CHECK_NEAR(number_of(root, "used"), 4, 0);
    const json_t *frames = json_object_get(root, "frames");
    CHECK(strstr(text_of(json_array_get(frames, 4), "reason"), "truncated"));
    CHECK(strstr(text_of(json_array_get(frames, 5), "reason"), "constant: every pixel is 500"));
    CHECK(json_is_false(json_object_get(json_array_get(frames, 6), "used")));
    CHECK(json_is_true(json_object_get(json_array_get(frames, 0), "used")));
    json_decref(root);
    snprintf(words, sizeof words, "master bias %s -o strict.fits --strict", files);
    CHECK_EXIT(words, 3, "cut.fits");
    CHECK(!exists("strict.fits"));
    CHECK_EXIT("master bias cut.fits text.fits -o none.fits", 3, "no frame is left");
    CHECK_EXIT("master bias b1.fits nothing.fits -o none.fits", 1, "nothing.fits");
    CHECK_EXIT("master dark b1.fits b2.fits -o none.fits", 3, "an exposure of 0 s");
    CHECK_EXIT("master bad b1.fits", 2, "bad is none of bias, dark, flat");
    CHECK_EXIT("master flat b1.fits --combine weighted", 2, "weighted");
    CHECK_EXIT("master bias b1.fits b2.fits -o ./b2.fits", 2, "b2.fits is one of the inputs");
    CHECK_EXIT("master bias b1.fits b2.fits --measure-gain", 2, "is of flats");
    CHECK_EXIT("master flat b1.fits b2.fits --measure-gain", 2, "give --bias too");
    CHECK_EXIT("master bias m.fits -o none.fits", 3, "a master itself");
    CHECK(!exists("none.fits"));
}

/* A frame of another shape comes first: it is the odd one all the same. */
TEST(the_shape_of_most_frames_is_that_of_the_master)
{
    enter_new_folder();
    write_biases(3);
    write_sky("odd.fits", 3.0, 0.0, 1);
    CHECK_EQUAL(astrid("master bias odd.fits b1.fits b2.fits b3.fits -o m.fits --json"), 0);
    json_t *root = parsed();
    CHECK_NEAR(number_of(root, "used"), 3, 0);
    CHECK_NEAR(number_of(root, "width"), FRAME, 0);
    const json_t *odd = json_array_get(json_object_get(root, "frames"), 0);
    CHECK(strstr(text_of(odd, "reason"), "300 x 300 pixels"));
    json_decref(root);
}

TEST(one_and_two_threads_give_the_same_pixels)
{
    enter_new_folder();
    write_biases(7);
    CHECK_EQUAL(astrid("master bias b1.fits b2.fits b3.fits b4.fits b5.fits b6.fits b7.fits "
                       "-o one.fits --threads 1"),
                0);
    CHECK_EQUAL(astrid("master bias b1.fits b2.fits b3.fits b4.fits b5.fits b6.fits b7.fits "
                       "-o two.fits --threads 2"),
                0);
    same_file("one.fits", "two.fits");
}

/* ------------------------------------------------------------------------------------- real data
 */

/* The tests stand in folders of their own. */
static char data[1024];
static void need(const char *name)
{
    char path[1280];
    snprintf(path, sizeof path, "%s/%s", data, name);
    if (!data[0] || access(path, R_OK) != 0)
        check_skip(name);
}

/* Photon transfer of these frames by others: 1.80 e-/ADU, read noise 9.4 e-. */
TEST(the_nickel_telescope_has_its_gain_and_read_noise)
{
    need("nickel/d1035.fits.gz");
    enter_new_folder();
    char words[4096];
    snprintf(words, sizeof words,
             "master bias %s/nickel/d100[1-9].fits.gz %s/nickel/d1010.fits.gz "
             "-o bias.fits --json",
             data, data);
    CHECK_EQUAL(astrid(words), 0);
    json_t *bias = parsed();
    CHECK_NEAR(number_of(bias, "used"), 10, 0);
    CHECK(json_is_true(json_object_get(bias, "above_overscan")));
    CHECK_NEAR(number_of(bias, "width"), 1024, 0);
    CHECK_NEAR(number_of(bias, "level"), 14.0, 1.0);
    json_decref(bias);
    snprintf(words, sizeof words,
             "master flat %s/nickel/d103[567].fits.gz --bias bias.fits "
             "-o flat.fits --measure-gain --json",
             data);
    CHECK_EQUAL(astrid(words), 0);
    json_t *flat = parsed(), *transfer = json_object_get(flat, "photon_transfer");
    CHECK_NEAR(number_of(transfer, "gain"), 1.80, 0.03 * 1.80);
    CHECK_NEAR(number_of(transfer, "read_noise_e"), 9.4, 0.05 * 9.4);
    CHECK_NEAR(number_of(flat, "used"), 3, 0);
    json_decref(flat);
}

/* Medians of the frames: 2304 ADU at 0 s, 2672 at 50 s and 3040 at 100 s, with a temperature that
 * was not quite the same. */
TEST(an_uncooled_camera_has_its_dark_rate_as_a_slope)
{
    need("asi120/dark_1s_0001.fit.gz");
    enter_new_folder();
    char words[4096];
    snprintf(words, sizeof words, "master dark %s/asi120/dark_*.fit.gz -o dark.fits --json", data);
    CHECK_EQUAL(astrid(words), 0);
    json_t *dark = parsed();
    CHECK_NEAR(number_of(dark, "used"), 12, 0);
    CHECK_NEAR(number_of(dark, "level"), 7.2, 0.3);
    CHECK(strstr(out_text, "4 exposure times"));
    json_decref(dark);
    snprintf(words, sizeof words, "master bias %s/asi120/bias_*.fit.gz -o bias.fits --json", data);
    CHECK_EQUAL(astrid(words), 0);
    CHECK(strstr(out_text, "EXPTIME = 6,4E-05 is read as 6.4e-05"));
    CHECK(strstr(out_text, "GAIN = 0 is not used"));
}

TEST(truncated_files_are_refused_by_name)
{
    need("asi178_truncated/flat_0001_truncated_2097152.fit");
    enter_new_folder();
    char words[2048];
    snprintf(words, sizeof words,
             "master flat %s/asi178_truncated/flat_0001_truncated_2097152.fit "
             "-o flat.fits",
             data);
    CHECK_EXIT(words, 3, "truncated");
    CHECK(!exists("flat.fits"));
}

int main(int argc, char **argv)
{
    aid_fits_decoder_main(argc, argv);
    const char *build = strstr(AID_ASTRID, "/build/"); /* below the root of the sources */
    if (build)
        snprintf(data, sizeof data, "%.*s/../shared/data", (int)(build - AID_ASTRID), AID_ASTRID);
    return check_main(argc, argv);
}
