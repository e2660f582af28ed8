/* What breaks programs: files that are no images, skies without stars, odd numbers, full disks,
 * closed streams, signals. Each ends in one clear line, and nothing half-written. */
#include "adapters/files/files.h"
#include "adapters/tables/table.h"
#include "tests/apps/cli/program.h"

#include <jansson.h>
#include <sys/stat.h>

/* -------------------------------------------------------------------------------------- pixels */

/* The same image, its pixels changed by `spoil`. */
static void write_spoilt(const char *from, const char *path, void (*spoil)(aid_image *image))
{
    AID_CLEANUP(aid_fits_image_done)
    aid_fits_image file = {0};
    CHECK_OK(aid_fits_read(from, NULL, &file, &err));
    spoil(&file.image);
    aid_fits_writer *writer;
    CHECK_OK(aid_fits_create(path, &writer, &err));
    CHECK_OK(aid_fits_put_image(writer, NULL, &file.image, &file.header, &err));
    CHECK_OK(aid_fits_commit(writer, &err));
}

static void fill(aid_image *image, float value)
{
    for (int64_t i = 0; i < (int64_t)image->width * image->height; i++)
        image->data[i] = value;
}
static void make_nan(aid_image *image)
{
    fill(image, NAN);
}
static void make_zero(aid_image *image)
{
    fill(image, 0.0F);
}
static void make_starless(aid_image *image)
{
    generator = 77;
    for (int64_t i = 0; i < (int64_t)image->width * image->height; i++)
        image->data[i] = (float)(300.0 + 12.0 * normal());
}
static void make_saturated(aid_image *image)
{
    for (int64_t i = 0; i < (int64_t)image->width * image->height; i++)
        image->data[i] = image->data[i] < 345.0F ? image->data[i] : 345.0F;
}
static void scale_by(aid_image *image, float factor)
{
    for (int64_t i = 0; i < (int64_t)image->width * image->height; i++)
        image->data[i] *= factor;
}
static void make_huge(aid_image *image)
{
    scale_by(image, 1e20F);
}
static void make_tiny(aid_image *image)
{
    scale_by(image, 1e-30F);
}
static void make_denormal(aid_image *image)
{
    scale_by(image, 1e-42F);
}
static void make_blank(aid_image *image)
{
    scale_by(image, 1e32F);
}

TEST(pixels_that_say_nothing_are_refused_with_the_reason)
{
    static const struct {
        void (*spoil)(aid_image *image);
        const char *text;
    } cases[] = {
        {make_nan, "spoilt.fits: all 300 x 300 pixels are NaN or infinite"},
        {make_zero, "spoilt.fits: constant: every usable pixel is 0"},
        {make_starless, "spoilt.fits and ref.fits: no overlap found"},
        {make_saturated, "spoilt.fits: no PSF could be built"},
        {make_huge, "spoilt.fits: the sky has a noise of 1.2"},
        {make_tiny, "spoilt.fits: the sky has a noise of 1.2"},
        {make_denormal, "spoilt.fits: the sky has a noise of 1.2"},
        {make_blank, "spoilt.fits: only 0 of 300 x 300 pixels are usable"},
    };
    enter_new_folder();
    write_pair();
    for (size_t i = 0; i < AID_COUNT_OF(cases); i++) {
        write_spoilt("sci.fits", "spoilt.fits", cases[i].spoil);
        CHECK_EXIT("run spoilt.fits ref.fits -o new/out", 3, cases[i].text);
    }
    write_spoilt("sci.fits", "spoilt.fits", make_nan);
    CHECK_EXIT("run sci.fits spoilt.fits -o new/out", 3, "spoilt.fits: all 300 x 300 pixels");
    CHECK_EQUAL(entries_in("."), 3); /* not even the folder above the output */
}

/* The 40 rows around the transient. */
enum { STRIP = 40 };
static void write_strip(const char *from, const char *path)
{
    AID_CLEANUP(aid_fits_image_done)
    aid_fits_image file = {0};
    CHECK_OK(aid_fits_read(from, NULL, &file, &err));
    aid_image strip = file.image;
    strip.data += (ptrdiff_t)(transient_y - 0.5 * STRIP) * strip.stride;
    strip.height = STRIP;
    aid_fits_writer *writer;
    CHECK_OK(aid_fits_create(path, &writer, &err));
    CHECK_OK(aid_fits_put_image(writer, NULL, &strip, &file.header, &err));
    CHECK_OK(aid_fits_commit(writer, &err));
}

/* A square mask of one value. */
static void write_mask(const char *path, int32_t side, uint8_t value)
{
    AID_CLEANUP(aid_mask_done)
    aid_mask mask = {0};
    CHECK_OK(aid_mask_init(side, side, &mask, &err));
    memset(mask.data, value, (size_t)side * (size_t)side);
    aid_fits_writer *writer;
    CHECK_OK(aid_fits_create(path, &writer, &err));
    CHECK_OK(aid_fits_put_mask(writer, NULL, &mask, NULL, &err));
    CHECK_OK(aid_fits_commit(writer, &err));
}

/* ------------------------------------------------------------------------------------- results */

static double in_summary(const char *path, const char *first, const char *second)
{
    json_error_t where;
    json_t *json = json_load_file(path, 0, &where);
    CHECK(json != NULL);
    const json_t *value = json_object_get(json_object_get(json, first), second);
    CHECK(json_is_number(value));
    double number = json_number_value(value);
    json_decref(json);
    return number;
}

static void make_spectral(aid_image *image) /* as in erg/s/cm2/Angstrom */
{
    scale_by(image, 1e-17F);
}
static void make_large(aid_image *image)
{
    scale_by(image, 1e9F);
}

/* The single transient has S/N 30 in any unit; 0.05 is what the score may be off by. */
TEST(the_unit_of_the_pixels_does_not_matter)
{
    void (*const spoils[])(aid_image *) = {make_spectral, make_large};
    enter_new_folder();
    write_pair();
    for (size_t i = 0; i < AID_COUNT_OF(spoils); i++) {
        write_spoilt("sci.fits", "one.fits", spoils[i]);
        write_spoilt("ref.fits", "two.fits", spoils[i]);
        CHECK_EQUAL(astrid("run one.fits two.fits -o out"), 0);
        CHECK_EQUAL(in_summary("out/summary.json", "counts", "unflagged"), 1);
        CHECK_NEAR(in_summary("out/summary.json", "noise_calibration", "score_sigma"), 1.0, 0.05);
    }
}

/* One row of cells cannot tell how the sky runs across it: the level must not bend there. The strip
 * has 3,000 independent pixels, so its median is known to 0.03 and its width to 2 %. */
TEST(a_strip_has_a_flat_difference)
{
    enter_new_folder();
    write_pair();
    write_strip("sci.fits", "one.fits");
    write_strip("ref.fits", "two.fits");
    CHECK_EQUAL(astrid("run one.fits two.fits -o out"), 0);
    CHECK_NEAR(in_summary("out/summary.json", "noise_calibration", "score_median"), 0.0, 0.2);
    CHECK_NEAR(in_summary("out/summary.json", "noise_calibration", "score_sigma"), 1.0, 0.12);
}

/* --------------------------------------------------------------------------------------- files */

static void cut_file(const char *from, const char *to, size_t size)
{
    char *bytes;
    size_t whole;
    CHECK_OK(aid_read_file(from, 1 << 24, &bytes, &whole, &err));
    CHECK(size <= whole);
    CHECK_OK(aid_write_file(to, bytes, size, &err));
    free(bytes);
}

/* As catalogues are. */
static void write_table(const char *path)
{
    AID_CLEANUP(aid_table_done)
    aid_table table = {0};
    const aid_column column = {.name = "x", .kind = AID_COLUMN_DOUBLE};
    aid_fits_writer *writer;
    CHECK_OK(aid_table_init("catalogue", NULL, &column, 1, 10, &table, &err));
    CHECK_OK(aid_fits_create(path, &writer, &err));
    CHECK_OK(aid_fits_put_header(writer, NULL, &err));
    CHECK_OK(aid_fits_put_table(writer, "CATALOGUE", &table, NULL, &err));
    CHECK_OK(aid_fits_commit(writer, &err));
}

TEST(files_that_are_cut_or_hold_no_image_are_refused_with_the_reason)
{
    enter_new_folder();
    write_pair();
    cut_file("sci.fits", "half.fits", 180000);
    cut_file("sci.fits", "head.fits", 400);
    cut_file("sci.fits", "empty.fits", 0);
    write_table("table.fits");
    CHECK_OK(aid_write_file("text.fits", "hello, hello, hello, hello", 26, &err));
    CHECK(mkfifo("pipe.fits", 0600) == 0);
    CHECK_EXIT("run half.fits ref.fits -o out", 3, "half.fits: HDU 0: the data need 360000 bytes");
    CHECK_EXIT("run sci.fits half.fits -o out", 3, "half.fits: HDU 0: the data need 360000 bytes");
    CHECK_EXIT("run head.fits ref.fits -o out", 3, "head.fits: HDU 0: no END card");
    CHECK_EXIT("run empty.fits ref.fits -o out", 3, "empty.fits: empty file");
    CHECK_EXIT("run table.fits ref.fits -o out", 3, "table.fits: no 2-D image in 2 HDUs");
    CHECK_EXIT("run text.fits ref.fits -o out", 3, "text.fits: not a FITS file");
    CHECK_EXIT("run pipe.fits ref.fits -o out", 3, "pipe.fits: not a regular file");
    CHECK_EXIT("run . ref.fits -o out", 3, ".: a folder, not a file");
    CHECK_EQUAL(entries_in("."), 8);
}

TEST(masks_that_do_not_fit_or_leave_nothing_are_refused)
{
    enter_new_folder();
    write_pair();
    write_mask("small.fits", 100, 0);
    write_mask("all.fits", SIDE, 1);
    CHECK_EXIT("run sci.fits ref.fits --science-mask small.fits -o out", 3,
               "small.fits: HDU 0: a mask of 100 x 100 pixels for an image of 300 x 300");
    CHECK_EXIT("run sci.fits ref.fits --science-mask all.fits -o out", 3,
               "sci.fits: only 0 of 300 x 300 pixels are usable");
    CHECK_EXIT("run sci.fits ref.fits --reference-mask all.fits -o out", 3,
               "ref.fits: only 0 of 300 x 300 pixels are usable");
    CHECK_EXIT("run sci.fits ref.fits --reference-mask sci.fits -o out", 3,
               "sci.fits: HDU 0: a mask is of whole numbers");
    CHECK_EQUAL(entries_in("."), 4);
}

TEST(numbers_that_mean_nothing_are_wrong_usage)
{
    enter_new_folder();
    CHECK_EXIT("run a b --gain 0", 2, "--gain 0 is not between");
    CHECK_EXIT("run a b --gain -1", 2, "--gain -1 is not between");
    CHECK_EXIT("run a b --gain 1e30", 2, "--gain 1e30 is not between");
    CHECK_EXIT("run a b --threshold nan", 2, "--threshold nan is not a number");
    CHECK_EXIT("run a b --threshold inf", 2, "--threshold inf is not a number");
    CHECK_EXIT("run a b --threshold 1e9", 2, "--threshold 1e9 is not between");
    CHECK_EXIT("run a b --threshold 5sigma", 2, "--threshold 5sigma is not a number");
    CHECK_EXIT("run a b --inject -1", 2, "--inject -1 is not between");
    CHECK_EQUAL(entries_in("."), 0);
}

/* ------------------------------------------------------------------------------------- streams */

TEST(a_closed_or_full_output_is_a_failure_and_a_closed_input_is_not)
{
    enter_new_folder();
    write_pair();
    CHECK_EQUAL(astrid("run sci.fits ref.fits -o one"), 0);
    CHECK_EQUAL(astrid("run sci.fits ref.fits -o two <&-"), 0);
    CHECK_EXIT("run sci.fits ref.fits -o three >&-", 1, "standard output cannot be written to");
    CHECK_EXIT("run sci.fits ref.fits -o four --json >/dev/full", 1, "standard output cannot");
    CHECK_EQUAL(astrid("run sci.fits ref.fits -o five --log-level debug <&- 2>&-"), 0);
    same_file("one/difference.fits", "two/difference.fits");
    same_file("one/difference.fits", "three/difference.fits");
    same_file("one/difference.fits", "five/difference.fits"); /* and no log in it */
    same_file("one/candidates.csv", "five/candidates.csv");
}

/* ------------------------------------------------------------------------------------- signals */

TEST(a_hangup_stops_a_run_like_any_signal_unless_it_is_ignored)
{
    enter_new_folder();
    write_pair();
    pid_t child = start("", "run sci.fits ref.fits -o out");
    wait_for(".out.unfinished");
    kill(child, SIGHUP);
    CHECK_EQUAL(finish(child), 1);
    CHECK(one_clear_line("stopped by a signal") && entries_in(".") == 2);
    child = start("trap '' HUP;", "run sci.fits ref.fits -o out");
    wait_for(".out.unfinished");
    kill(child, SIGHUP);
    CHECK_EQUAL(finish(child), 0);
    CHECK(exists("out/summary.json"));
}

TEST(a_killed_run_leaves_the_earlier_results_and_the_next_one_cleans_up)
{
    enter_new_folder();
    write_pair();
    CHECK_EQUAL(astrid("run sci.fits ref.fits -o out"), 0);
    CHECK(link("out/candidates.csv", "before.csv") == 0);
    pid_t child = start("", "run ref.fits sci.fits -o out");
    wait_for(".out.unfinished");
    kill(child, SIGKILL);
    CHECK_EQUAL(finish(child), 128 + SIGKILL);
    same_file("out/candidates.csv", "before.csv");
    CHECK_EQUAL(entries_in("out"), 6);
    CHECK_EQUAL(astrid("run ref.fits sci.fits -o out"), 0);
    CHECK(!exists(".out.unfinished") && entries_in("out") == 6);
}

TEST(of_two_runs_into_one_folder_the_second_is_refused)
{
    enter_new_folder();
    write_pair();
    pid_t child = start("", "run sci.fits ref.fits -o out --inject 50");
    wait_for(".out.unfinished");
    CHECK(kill(child, SIGSTOP) == 0); /* it holds the folder for as long as this takes */
    FILE *second = popen("'" AID_ASTRID "' run sci.fits ref.fits -o out 2>&1", "r");
    char line[1024] = "";
    CHECK(second && fgets(line, sizeof line, second));
    CHECK_EQUAL(WEXITSTATUS(pclose(second)), 1);
    CHECK(strstr(line, "out: another process is writing to it"));
    kill(child, SIGCONT);
    CHECK_EQUAL(finish(child), 0);
    CHECK_EQUAL(entries_in("out"), 6);
}

int main(int argc, char **argv)
{
    aid_fits_decoder_main(argc, argv); /* this program reads FITS itself */
    return check_main(argc, argv);
}
