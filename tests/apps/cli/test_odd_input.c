/* What breaks the commands on frames and catalogues: files that are no images, images of odd sizes
 * and values, outputs that are inputs. Each ends in one clear line, and nothing is left or lost. */
#include "adapters/files/files.h"
#include "tests/apps/cli/program.h"

#include <sys/stat.h>

/* Every command that takes one image, by way of `printf`, and what it would write. */
static const char *const on_images[] = {
    "master bias %s -o out.fits",
    "calibrate %s -o new/out",
    "quality %s -o new/out",
    "align %s sci.fits -o out.fits",
    "align sci.fits %s -o out.fits",
    "stack %s -o out.fits",
    "extract %s -o out.csv",
    "extract sci.fits --noise-map %s -o out.csv",
    "photometry %s --at-pixel 5,5 -o out.csv",
};

static void write_image(const char *path, int32_t width, int32_t height, float level, float step)
{
    AID_CLEANUP(aid_image_done)
    aid_image image = {0};
    CHECK_OK(aid_image_init(width, height, &image, &err));
    for (int32_t y = 0; y < height; y++)
        for (int32_t x = 0; x < width; x++)
            aid_image_row(&image, y)[x] = level + step * (float)((7 * x + 11 * y) % 5);
    aid_fits_writer *writer;
    CHECK_OK(aid_fits_create(path, &writer, &err));
    CHECK_OK(aid_fits_put_image(writer, NULL, &image, NULL, &err));
    CHECK_OK(aid_fits_commit(writer, &err));
}

static void write_scene(void)
{
    static const char csv[] = "x,y,snr,flux\n150.3,90.6,30,6000\n20,30,4,100\n";
    enter_new_folder();
    write_sky("sci.fits", 3.4, 6000.0, 11);
    CHECK_OK(aid_write_file("cat.csv", csv, strlen(csv), &err));
}

TEST(what_is_no_image_is_refused_by_every_command_and_leaves_nothing)
{
    static const char *const cases[][2] = {
        {"half.fits", "half.fits: HDU 0: the data need 360000 bytes"},
        {"empty.fits", "empty.fits: empty file"},
        {"pipe.fits", "pipe.fits: not a regular file"},
    };
    char words[256], *bytes;
    write_scene();
    CHECK_OK(aid_read_file("sci.fits", 1 << 24, &bytes, NULL, &err));
    CHECK_OK(aid_write_file("half.fits", bytes, 180000, &err));
    free(bytes);
    CHECK_OK(aid_write_file("empty.fits", "", 0, &err));
    CHECK(mkfifo("pipe.fits", 0600) == 0);
    for (size_t i = 0; i < AID_COUNT_OF(on_images); i++)
        for (size_t k = 0; k < AID_COUNT_OF(cases); k++) {
            snprintf(words, sizeof words, on_images[i], cases[k][0]);
            CHECK_EXIT(words, 3, cases[k][1]);
            CHECK_EQUAL(entries_in("."), 5); /* not even a folder for the results */
        }
}

TEST(images_of_odd_sizes_and_values_are_measured_or_refused_in_one_line)
{
    static const struct {
        const char *name;
        int32_t width, height;
        float level, step;
    } images[] = {{"one.fits", 1, 1, 100.0F, 1.0F},    {"odd.fits", 17, 33, 100.0F, 1.0F},
                  {"nan.fits", 40, 40, NAN, 0.0F},     {"constant.fits", 40, 40, 7.0F, 0.0F},
                  {"huge.fits", 40, 40, 1e38F, 1e37F}, {"negative.fits", 40, 40, -9.0F, -1.0F}};
    char words[256];
    write_scene();
    for (size_t k = 0; k < AID_COUNT_OF(images); k++)
        write_image(images[k].name, images[k].width, images[k].height, images[k].level,
                    images[k].step);
    int there = entries_in(".");
    for (size_t i = 0; i < AID_COUNT_OF(on_images); i++)
        for (size_t k = 0; k < AID_COUNT_OF(images); k++) {
            snprintf(words, sizeof words, on_images[i], images[k].name);
            int exit_code = astrid(words);
            bool refused = exit_code == 3 && one_clear_line(images[k].name);
            if (!(exit_code == 0 || refused) || entries_in(".") != there + (exit_code == 0))
                check_fail(__FILE__, __LINE__, "astrid %s: exit %d, %d entries: %s", words,
                           exit_code, entries_in("."), error_text);
            CHECK_EQUAL(system("rm -rf new out.*"), 0);
        }
}

/* A catalogue written over its image is an image lost. */
TEST(no_command_writes_over_what_it_reads_under_any_name)
{
    static const char *const lines[] = {
        "master bias sci.fits -o %s",
        "master dark other.fits --bias sci.fits -o %s",
        "quality sci.fits -o %s",
        "quality other.fits --reference sci.fits -o %s",
        "align sci.fits other.fits -o %s",
        "align other.fits sci.fits --transform-out %s -o out.fits",
        "stack other.fits --reference sci.fits -o %s",
        "extract sci.fits -o %s",
        "extract other.fits --mask sci.fits -o %s",
        "photometry sci.fits --at-pixel 5,5 -o %s",
        "photometry other.fits --at sci.fits -o %s",
        "filter sci.fits -o %s",
        "filter sci.fits -o out.csv --rejected %s",
        "filter other.fits --rules sci.fits -o %s",
        "rank sci.fits -o %s",
        "rank other.fits --reference-catalogue sci.fits -o %s",
    };
    static const char *const names[] = {"sci.fits", "./sci.fits", "hard.fits", "soft.fits"};
    char words[256];
    write_scene();
    write_sky("other.fits", 3.0, 0.0, 12);
    CHECK_EQUAL(system("cp sci.fits before"), 0);
    CHECK(link("sci.fits", "hard.fits") == 0 && symlink("sci.fits", "soft.fits") == 0);
    for (size_t i = 0; i < AID_COUNT_OF(lines); i++) {
        snprintf(words, sizeof words, lines[i], names[i % AID_COUNT_OF(names)]);
        CHECK_EXIT(words, 2, names[i % AID_COUNT_OF(names)]);
    }
    same_file("sci.fits", "before");
    CHECK_EXIT("filter cat.csv -o new.csv --rejected new.csv", 2, "new.csv cannot be both --");
    CHECK_EQUAL(entries_in("."), 6);
}

TEST(an_output_that_cannot_be_is_a_failure_that_leaves_nothing)
{
    static const char *const lines[] = {
        "calibrate sci.fits --gain 2 -o %s",
        "quality sci.fits -o %s",
        "align sci.fits sci.fits -o %s",
        "stack sci.fits -o %s",
        "extract sci.fits -o %s",
        "photometry sci.fits --at-pixel 5,5 -o %s",
        "filter cat.csv -o %s",
        "rank cat.csv -o %s",
    };
    char words[512];
    write_scene();
    CHECK_EQUAL(mkdir("folder.fits", 0700), 0);
    for (size_t i = 0; i < AID_COUNT_OF(lines); i++) {
        snprintf(words, sizeof words, lines[i], "cat.csv/below.fits");
        CHECK_EXIT(words, 1, "cat.csv/below.fits: cannot create");
        CHECK_EQUAL(entries_in("."), 3);
    }
}

TEST(a_limit_on_the_size_of_files_is_not_the_fault_of_the_input)
{
    static const char *const lines[] = {"extract sci.fits -o out.fits",
                                        "stack sci.fits -o out.fits",
                                        "calibrate sci.fits --gain 2 -o new/out"};
    write_scene();
    for (size_t i = 0; i < AID_COUNT_OF(lines); i++) {
        CHECK_EQUAL(finish(start("ulimit -f 8;", lines[i])), 1);
        CHECK(one_clear_line("sci.fits: ") && entries_in(".") == 2);
    }
}

TEST(what_a_killed_program_left_of_a_file_goes_when_it_is_written_again)
{
    write_scene();
    CHECK_OK(aid_write_file(".out.csv.abc123.part", "x", 1, &err));
    CHECK_EQUAL(astrid("filter cat.csv --min-snr 5 -o out.csv"), 0);
    CHECK(!exists(".out.csv.abc123.part") && exists("out.csv"));
    CHECK_EQUAL(entries_in("."), 3);
}

int main(int argc, char **argv)
{
    aid_fits_decoder_main(argc, argv); /* this program reads FITS itself */
    return check_main(argc, argv);
}
