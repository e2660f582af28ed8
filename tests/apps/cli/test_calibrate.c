/* `astrid calibrate` on a small simulated night, as a user runs it. */
#include "tests/apps/cli/program.h"

#include <jansson.h>

enum { NIGHT_SIDE = 200 };

/* A night in a folder of its own, with its masters in the folder m. */
static void make_night(void)
{
    enter_new_folder();
    CHECK_EQUAL(astrid("simulate -o night --size 200 --transients 1 --faders 0 --variables 0 "
                       "--movers 0 --raw 3 --raw-science 2 --seed 5"),
                0);
    CHECK_EQUAL(system("mkdir m && mv night/raw raw"), 0);
    CHECK_EQUAL(astrid("master bias raw/bias_1.fits raw/bias_2.fits raw/bias_3.fits -o m/b.fits"),
                0);
    CHECK_EQUAL(astrid("master dark raw/dark_1.fits raw/dark_2.fits raw/dark_3.fits "
                       "--bias m/b.fits -o m/d.fits"),
                0);
    CHECK_EQUAL(astrid("master flat raw/flat_1.fits raw/flat_2.fits raw/flat_3.fits "
                       "--bias m/b.fits --dark m/d.fits -o m/f.fits"),
                0);
}

static const char told[] = "--bias m/b.fits --dark m/d.fits --flat m/f.fits ";

static int calibrate(const char *words)
{
    char command[2048];
    snprintf(command, sizeof command, "calibrate %s %s", words, told);
    return astrid(command);
}

static json_t *summary(void)
{
    json_t *json = json_loads(out_text, 0, NULL);
    if (!json)
        check_fail(__FILE__, __LINE__, "no JSON: %s%s", out_text, error_text);
    return json;
}

static const json_t *frame_of(const json_t *json, size_t index)
{
    return json_array_get(json_object_get(json, "frames"), index);
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static double number_of(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

static double header_number(const aid_header *header, const char *keyword)
{
    double value = NAN;
    (void)aid_header_number(header, keyword, &value);
    return value;
}

static double median(const aid_image *image)
{
    double sum = 0.0; /* of a histogram in steps of .1: no need to sort */
    static int bins[20000];
    int64_t count = 0;
    memset(bins, 0, sizeof bins);
    for (int64_t i = 0; i < (int64_t)image->width * image->height; i++)
        if (isfinite(image->data[i])) {
            bins[AID_CLAMP((int)(10.0 * (double)image->data[i]), 0, 19999)]++;
            count++;
        }
    for (int64_t below = 0, bin = 0; below < count / 2; below += bins[bin++])
        sum = (double)bin / 10.0;
    return sum;
}

/* The sky of the simulation is 400 ADU, within what the flat's normalisation and the gradients of
 * so small a piece of a camera make of it. */
TEST(a_raw_frame_becomes_an_image_with_variance_mask_and_a_header_that_holds)
{
    make_night();
    CHECK_EQUAL(calibrate("raw/science_1.fits -o c"), 0);
    aid_fits_image file, raw;
    CHECK_OK(aid_fits_read("c/science_1.fits", NULL, &file, &err));
    CHECK_OK(aid_fits_read("raw/science_1.fits", NULL, &raw, &err));
    CHECK_EQUAL(file.image.width, NIGHT_SIDE);
    CHECK_EQUAL(raw.image.width, NIGHT_SIDE + 32);
    CHECK_NEAR(median(&file.image), 400.0, 20.0);
    CHECK(file.variance.width == NIGHT_SIDE && file.mask.width == NIGHT_SIDE);
    /* (400/1.5 + 16) ADU^2 of light and read noise; masters of 3 frames add a third of 16, 120^2 of
     * what that is over 300 s, and little. */
    CHECK_NEAR(median(&file.variance), 290.0, 20.0);
    CHECK_TEXT(aid_header_text(&file.header, "CALSTEPS"), "overscan, bias, dark, flat");
    CHECK_TEXT(aid_header_text(&file.header, "IMAGETYP"), "light");
    CHECK_TEXT(aid_header_text(&file.header, "BUNIT"), "adu");
    CHECK_TEXT(aid_header_text(&file.header, "RAWHASH"), raw.sha256);
    CHECK(aid_header_text(&file.header, "BIASSEC") == NULL);
    CHECK(aid_header_text(&raw.header, "BIASSEC") != NULL);
    CHECK_NEAR(header_number(&file.header, "GAIN"), 1.5, 0.0);
    CHECK_NEAR(header_number(&file.header, "RDNOISE"), 6.0, 0.0);
    CHECK(header_number(&file.header, "SATURATE") < header_number(&raw.header, "SATURATE") - 950.0);
    CHECK_NEAR(header_number(&file.header, "CRVAL1"), header_number(&raw.header, "CRVAL1"), 0.0);
    int struck = 0;
    for (int i = 0; i < NIGHT_SIDE * NIGHT_SIDE; i++)
        struck += file.mask.data[i] & AID_MASK_COSMIC_RAY ? 1 : 0;
    CHECK_NEAR(header_number(&file.header, "NCRPIX"), struck, 0.0);
    aid_fits_image_done(&file);
    aid_fits_image_done(&raw);
}

TEST(electrons_have_a_gain_of_one_and_the_options_of_the_user_count)
{
    make_night();
    CHECK_EQUAL(calibrate("raw/science_1.fits -o adu --clean-cosmic-rays none"), 0);
    CHECK_EQUAL(calibrate("raw/science_1.fits -o e --electrons --gain 3 --read-noise 9 "
                          "--saturation 1700 --clean-cosmic-rays none --json"),
                0);
    json_t *json = summary();
    CHECK(number_of(frame_of(json, 0), "saturated_pixels") > 5.0);
    CHECK_NEAR(number_of(frame_of(json, 0), "cosmic_ray_pixels"), 0.0, 0.0);
    CHECK_TEXT(text_of(frame_of(json, 0), "unit"), "electron");
    json_decref(json);
    aid_fits_image adu, electrons;
    CHECK_OK(aid_fits_read("adu/science_1.fits", NULL, &adu, &err));
    CHECK_OK(aid_fits_read("e/science_1.fits", NULL, &electrons, &err));
    CHECK_NEAR(header_number(&electrons.header, "GAIN"), 1.0, 0.0);
    CHECK_NEAR(header_number(&electrons.header, "RDNOISE"), 9.0, 0.0);
    CHECK_TEXT(aid_header_text(&electrons.header, "BUNIT"), "electron");
    for (int i = 0; i < NIGHT_SIDE * NIGHT_SIDE; i++) {
        double expected = 3.0 * (double)adu.image.data[i];
        CHECK_EQUAL(isnan(electrons.image.data[i]), isnan(expected));
        if (!isnan(expected))
            CHECK_NEAR(electrons.image.data[i], expected, 1e-6 * fabs(expected) + 1e-4);
    }
    aid_fits_image_done(&adu);
    aid_fits_image_done(&electrons);
}

TEST(cosmic_rays_are_filled_where_that_is_asked_for_and_stay_masked)
{
    make_night();
    aid_fits_image raw, masked, filled;
    CHECK_OK(aid_fits_read("raw/science_1.fits", NULL, &raw, &err));
    for (int k = 0; k < 10; k++)
        aid_image_row(&raw.image, 50)[60 + k] += 3000.0f;
    aid_fits_writer *writer;
    CHECK_OK(aid_fits_create("struck.fits", &writer, &err));
    CHECK_OK(aid_fits_put_u16(writer, NULL, &raw.image, &raw.header, &err));
    CHECK_OK(aid_fits_commit(writer, &err));
    CHECK_EQUAL(calibrate("struck.fits -o masked"), 0);
    CHECK_EQUAL(calibrate("struck.fits -o filled --clean-cosmic-rays clean"), 0);
    CHECK_OK(aid_fits_read("masked/struck.fits", NULL, &masked, &err));
    CHECK_OK(aid_fits_read("filled/struck.fits", NULL, &filled, &err));
    for (int k = 0; k < 10; k++) {
        CHECK(aid_mask_row(&masked.mask, 50)[60 + k] & AID_MASK_COSMIC_RAY);
        CHECK(aid_mask_row(&filled.mask, 50)[60 + k] & AID_MASK_COSMIC_RAY);
        CHECK(aid_image_row(&masked.image, 50)[60 + k] > 2500.0f);
        CHECK(aid_image_row(&filled.image, 50)[60 + k] < 1000.0f);
    }
    aid_fits_image_done(&raw);
    aid_fits_image_done(&masked);
    aid_fits_image_done(&filled);
}

TEST(several_frames_are_the_same_bytes_at_any_number_of_threads)
{
    make_night();
    CHECK_EQUAL(calibrate("raw/science_1.fits raw/science_2.fits -o one --threads 1"), 0);
    CHECK_EQUAL(calibrate("raw/science_1.fits raw/science_2.fits -o two --threads 2"), 0);
    CHECK_EQUAL(calibrate("raw/science_2.fits -o alone --threads 2"), 0);
    same_file("one/science_1.fits", "two/science_1.fits");
    same_file("one/science_2.fits", "two/science_2.fits");
    same_file("one/science_2.fits", "alone/science_2.fits");
    CHECK_EQUAL(entries_in("two"), 2);
}

/* The same pixels a day later. */
static void write_a_day_later(const char *from, const char *to)
{
    aid_fits_image file;
    aid_header later = {0};
    aid_fits_writer *writer;
    CHECK_OK(aid_fits_read(from, NULL, &file, &err));
    for (int i = 0; i < file.header.count; i++) {
        const aid_card *card = &file.header.cards[i];
        bool date = !strcmp(card->keyword, "DATE-OBS");
        CHECK_OK(aid_header_append(&later, card->keyword, card->kind,
                                   date ? "2024-03-15T05:26:53" : card->value, "", &err));
    }
    CHECK_OK(aid_fits_create(to, &writer, &err));
    CHECK_OK(aid_fits_put_u16(writer, NULL, &file.image, &later, &err));
    CHECK_OK(aid_fits_commit(writer, &err));
    aid_header_done(&later);
    aid_fits_image_done(&file);
}

TEST(the_best_masters_of_a_folder_are_chosen_with_the_reasons)
{
    make_night();
    CHECK_EQUAL(astrid("master bias raw/bias_1.fits raw/bias_2.fits -o m/expired.fits "
                       "--valid-days 0.5"),
                0);
    write_a_day_later("raw/science_1.fits", "later.fits");
    CHECK_EQUAL(system("cp raw/bias_1.fits m/raw_bias.fits && echo x > m/broken.fits"), 0);
    CHECK_EQUAL(astrid("calibrate later.fits --masters m -o c --json"), 0);
    json_t *json = summary();
    const json_t *masters = json_object_get(frame_of(json, 0), "masters");
    const json_t *biases = json_object_get(masters, "bias");
    CHECK_EQUAL(json_array_size(biases), 2); /* neither the raw frame nor the broken one */
    for (size_t i = 0; i < 2; i++) {
        const json_t *bias = json_array_get(biases, i);
        bool right = strstr(text_of(bias, "file"), "b.fits") != NULL;
        CHECK_EQUAL(json_is_true(json_object_get(bias, "used")), right);
        CHECK(strstr(text_of(bias, "reason"), right ? "chosen" : "expired") != NULL);
    }
    CHECK_EQUAL(json_array_size(json_object_get(masters, "dark")), 1);
    CHECK(json_is_true(json_object_get(frame_of(json, 0), "flat")));
    json_decref(json);
    CHECK_EQUAL(calibrate("raw/science_1.fits -o told"), 0);
    aid_fits_image chosen, same;
    CHECK_OK(aid_fits_read("c/later.fits", NULL, &chosen, &err));
    CHECK_OK(aid_fits_read("told/science_1.fits", NULL, &same, &err));
    CHECK(!memcmp(chosen.image.data, same.image.data,
                  (size_t)NIGHT_SIDE * NIGHT_SIDE * sizeof(float)));
    aid_fits_image_done(&chosen);
    aid_fits_image_done(&same);
}

TEST(a_frame_that_is_refused_stops_none_of_the_others)
{
    make_night();
    CHECK_EQUAL(system("echo nonsense > broken.fits"), 0);
    CHECK_EQUAL(calibrate("raw/science_1.fits broken.fits raw/science_2.fits m/b.fits -o c --json"),
                3);
    json_t *json = summary();
    CHECK_NEAR(number_of(json, "done"), 2.0, 0.0);
    CHECK_NEAR(number_of(json, "refused"), 2.0, 0.0);
    CHECK(strstr(text_of(frame_of(json, 1), "error"), "broken.fits") != NULL);
    CHECK(strstr(text_of(frame_of(json, 3), "error"), "it is a master bias") != NULL);
    json_decref(json);
    CHECK(strstr(error_text, "astrid calibrate: broken.fits: ") != NULL);
    CHECK(strstr(error_text, "astrid calibrate: 2 of 4 frames were not calibrated\n") != NULL);
    CHECK(exists("c/science_1.fits") && exists("c/science_2.fits"));
    CHECK_EQUAL(entries_in("c"), 2);
    CHECK_EXIT("calibrate c/science_1.fits -o again", 3, "calibrated already (CALSTEPS");
    CHECK_EXIT("calibrate nowhere.fits -o again", 1, "nowhere.fits");
    CHECK(!exists("again"));
    CHECK_EXIT("calibrate raw/bias_1.fits --dark m/d.fits -o again", 3, "0 s");
}

TEST(command_lines_that_would_lose_something_are_refused)
{
    make_night();
    CHECK_EQUAL(system("mkdir other && cp raw/science_1.fits other"), 0);
    CHECK_EXIT("calibrate raw/science_1.fits other/science_1.fits -o c", 2, "would both become");
    CHECK_EXIT("calibrate raw/science_1.fits -o raw", 2, "overwritten by its calibrated self");
    CHECK_EXIT("calibrate raw/science_1.fits --masters nowhere -o c", 2, "--masters nowhere");
    CHECK_EXIT("calibrate raw/science_1.fits --masters other -o c", 3, "no master");
    CHECK_EXIT("calibrate raw/science_1.fits --bias m/d.fits -o c", 3, "m/d.fits");
    CHECK_EXIT("calibrate raw/science_1.fits --clean-cosmic-rays all -o c", 2, "mask|clean|none");
    CHECK(!exists("c"));
}

/* ------------------------------------------------------------------------------------ a real night
 */

static char nickel[4096]; /* where its frames are; "" nowhere */

static int with_frames(const char *before, const char *numbers, const char *after)
{
    char words[3000];
    size_t length = (size_t)snprintf(words, sizeof words, "%s", before);
    for (; *numbers; numbers += numbers[4] ? 5 : 4)
        length += (size_t)snprintf(words + length, sizeof words - length, " %s/d%.4s.fits.gz",
                                   nickel, numbers);
    snprintf(words + length, sizeof words - length, " %s", after);
    return astrid(words);
}

/* Noise of the differences of neighbours along the rows, in units of what the variance says; the
 * median of squares below 1 is that of chi-squared, .455. */
static double local_pull(const aid_fits_image *file)
{
    int64_t below = 0, all = 0;
    for (int32_t y = 0; y < file->image.height; y++)
        for (int32_t x = 1; x < file->image.width; x++) {
            if (aid_mask_row(&file->mask, y)[x] || aid_mask_row(&file->mask, y)[x - 1])
                continue;
            const float *row = aid_image_row(&file->image, y) + x;
            const float *variance = aid_image_row(&file->variance, y) + x;
            double off = (double)(row[0] - row[-1]);
            below += off * off < 0.4549 * (double)(variance[0] + variance[-1]);
            all++;
        }
    return (double)below / (double)all; /* .5 where the variance is right */
}

/* Peaks well above the sky of 1500 ADU whose neighbours on all sides have most of their light. */
static bool is_star_peak(const aid_image *image, int32_t x, int32_t y)
{
    double peak = (double)aid_image_row(image, y)[x] - 1520.0, least = INFINITY;
    for (int k = 0; k < 9; k++) {
        double other = (double)aid_image_row(image, y + k / 3 - 1)[x + k % 3 - 1] - 1520.0;
        if (k != 4 && !(other <= peak))
            return false;
        least = k % 2 ? fmin(least, other) : least;
    }
    return peak > 1000.0 && least > 0.7 * peak;
}

/* 600 s of Lick's Nickel telescope through bias and sky flats of the same night: biases that are
 * typed dark, flats typed object, a gain card that is none, 32 columns of overscan. The noise of
 * the pixels beside each other is what gain and read noise say, within 5 % of what the electronics
 * pick up besides: 4 % fewer of the differences lie below the median. */
TEST(a_real_night_is_calibrated_with_the_right_noise_and_loses_cosmic_rays_but_no_star)
{
    if (!*nickel)
        check_skip("no ../shared/data");
    enter_new_folder();
    CHECK_EQUAL(with_frames("master bias", "1001 1002 1003 1004 1005", "-o bias.fits"), 0);
    CHECK_EQUAL(with_frames("master flat", "1035 1036 1037", "--bias bias.fits -o flat.fits"), 0);
    CHECK_EQUAL(with_frames("calibrate", "1074", "--bias bias.fits --flat flat.fits -o c --json"),
                0);
    json_t *json = summary();
    CHECK_NEAR(number_of(frame_of(json, 0), "width"), 1024.0, 0.0);
    CHECK_NEAR(number_of(frame_of(json, 0), "gain"), 1.8, 0.0);
    CHECK(json_is_true(json_object_get(frame_of(json, 0), "overscan")));
    double hits = number_of(frame_of(json, 0), "cosmic_ray_hits");
    CHECK(hits > 150.0 && hits < 400.0);
    json_decref(json);
    aid_fits_image file;
    CHECK_OK(aid_fits_read("c/d1074.fits", NULL, &file, &err));
    CHECK_NEAR(local_pull(&file), 0.48, 0.025);
    int stars = 0, spoilt = 0;
    for (int32_t y = 2; y < 1022; y++)
        for (int32_t x = 2; x < 1022; x++) {
            if (!is_star_peak(&file.image, x, y))
                continue;
            stars++;
            for (int k = 0; k < 9; k++)
                spoilt +=
                    aid_mask_row(&file.mask, y + k / 3 - 1)[x + k % 3 - 1] & AID_MASK_COSMIC_RAY
                        ? 1
                        : 0;
        }
    CHECK(stars >= 10);
    CHECK_EQUAL(spoilt, 0);
    aid_fits_image_done(&file);
}

int main(int argc, char **argv)
{
    aid_fits_decoder_main(argc, argv);
    const char *build = strstr(AID_ASTRID, "/build/"); /* the root is in front of it */
    if (build)
        snprintf(nickel, sizeof nickel, "%.*s/../shared/data/nickel", (int)(build - AID_ASTRID),
                 AID_ASTRID);
    if (!exists(nickel))
        nickel[0] = '\0';
    return check_main(argc, argv);
}
