/* `astrid simulate` as a user meets it. */
#include "adapters/fits/fits.h"
#include "core/sky/wcs.h"
#include "tests/check.h"
#include "tests/folder.h"

#include <jansson.h>
#include <sys/wait.h>
#include <unistd.h>

static aid_error err;
static int shell(const char *command)
{
    int status = system(command);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int simulate(const char *words)
{
    char command[1024];
    snprintf(command, sizeof command, "'%s' simulate %s >out.txt 2>error.txt </dev/null",
             AID_ASTRID, words);
    return shell(command);
}

#define SMALL "--size 256 --transients 4 --faders 2 --variables 1 --movers 1 "

TEST(a_night_has_images_masks_truth_and_raw_frames)
{
    enter_new_folder();
    CHECK_EQUAL(simulate("-o night --raw 2 " SMALL), 0);
    /* two images, two masks, two truths, that of the raw frames, their folder, the summary */
    CHECK_EQUAL(entries_in("night"), 2 + 2 + 2 + 1 + 1 + 1);
    CHECK_EQUAL(entries_in("night/raw"), 2 + 2 + 2 + 3);
    aid_fits_image science = {0}, raw = {0};
    aid_fits_read_options options = AID_FITS_READ_DEFAULTS;
    CHECK_OK(aid_fits_read("night/science.fits", &options, &science, &err));
    CHECK_OK(aid_fits_read("night/raw/science_1.fits", &options, &raw, &err));
    CHECK(science.image.width == 256 && science.image.height == 256 && science.bitpix == -32);
    CHECK(raw.image.width == 288 && raw.image.height == 256 && raw.bitpix == 16);
    CHECK_TEXT(aid_header_text(&raw.header, "BIASSEC"), "[257:288,1:256]");
    aid_mask mask = {0};
    char sha256[65];
    CHECK_OK(aid_fits_read_mask("night/science_mask.fits", 256, 256, &mask, sha256, &err));
    int bits = 0;
    for (int i = 0; i < 256 * 256; i++)
        bits |= mask.data[i];
    CHECK((bits & AID_MASK_BAD) && !(bits & ~(AID_MASK_BAD | AID_MASK_SATURATED)));
    aid_mask_done(&mask);
    aid_fits_image_done(&science);
    aid_fits_image_done(&raw);
}

/* ra and dec are written with 11 decimals, 4e-8 arcsec; x and y with 6. */
TEST(the_truth_on_file_is_where_the_header_of_the_image_puts_it)
{
    enter_new_folder();
    CHECK_EQUAL(simulate("-o night --raw 0 " SMALL), 0);
    aid_fits_image science = {0};
    aid_fits_read_options options = AID_FITS_READ_DEFAULTS;
    aid_wcs *wcs = NULL;
    CHECK_OK(aid_fits_read("night/science.fits", &options, &science, &err));
    CHECK_OK(aid_wcs_new(&science.header, &wcs, &err));
    FILE *truth = fopen("night/truth.csv", "r");
    CHECK(truth && wcs);
    char line[1024], kind[32];
    int transients = 0;
    CHECK(fgets(line, sizeof line, truth) && !strncmp(line, "id,kind,ra,dec,x,y,", 19));
    while (fgets(line, sizeof line, truth)) {
        double ra, dec, x, y, x_px, y_px;
        CHECK_EQUAL(sscanf(line, "%*d,%31[a-z],%lf,%lf,%lf,%lf", kind, &ra, &dec, &x, &y), 5);
        CHECK(aid_wcs_radec_to_pixel(wcs, ra, dec, &x_px, &y_px));
        CHECK_NEAR(x_px + 1.0, x, 2e-6);
        CHECK_NEAR(y_px + 1.0, y, 2e-6);
        transients += !strcmp(kind, "transient");
    }
    CHECK_EQUAL(transients, 4);
    fclose(truth);
    aid_wcs_free(wcs);
    aid_fits_image_done(&science);
}

/* A transient's place on the second raw frame is its place on the first one and the dither, but for
 * what distortion (1.4 px at the corner of 2048 px, going with the cube) changes over 25 px. */
TEST(raw_science_frames_see_the_same_sky_a_little_to_the_side)
{
    enter_new_folder();
    CHECK_EQUAL(simulate("-o night --raw 1 --raw-science 2 " SMALL), 0);
    aid_wcs *first = NULL, *second = NULL;
    aid_fits_image frames[2];
    for (int i = 0; i < 2; i++) {
        char path[64];
        snprintf(path, sizeof path, "night/raw/science_%d.fits", i + 1);
        CHECK_OK(aid_fits_read(path, NULL, &frames[i], &err));
        CHECK_OK(aid_wcs_new(&frames[i].header, i ? &second : &first, &err));
    }
    CHECK_TEXT(aid_header_text(&frames[0].header, "DATE-OBS"), "2024-03-14T05:26:53.5");
    CHECK_TEXT(aid_header_text(&frames[1].header, "DATE-OBS"), "2024-03-14T05:29:28.500");
    FILE *truth = fopen("night/raw_truth.csv", "r");
    char line[512];
    double dx = NAN, dy = NAN, ra, dec, x, y;
    CHECK(truth != NULL);
    while (fgets(line, sizeof line, truth))
        if (!strncmp(line, "raw/science_2.fits,", 19))
            CHECK_EQUAL(sscanf(line + 19, "%*[^,],%*[^,],%*f,%*f,%*f,%lf,%lf", &dx, &dy), 2);
    fclose(truth);
    CHECK(hypot(dx, dy) > 0.1 && hypot(dx, dy) <= 25.0);
    CHECK(aid_wcs_pixel_to_radec(first, 100.0, 130.0, &ra, &dec));
    CHECK(aid_wcs_radec_to_pixel(second, ra, dec, &x, &y));
    CHECK_NEAR(x - 100.0, dx, 0.02);
    CHECK_NEAR(y - 130.0, dy, 0.02);
    for (int i = 0; i < 2; i++)
        aid_fits_image_done(&frames[i]);
    aid_wcs_free(first);
    aid_wcs_free(second);
}

TEST(a_seed_gives_the_same_night_at_any_number_of_threads)
{
    enter_new_folder();
    CHECK_EQUAL(simulate("-o one --threads 1 --raw 1 --seed 5 " SMALL), 0);
    CHECK_EQUAL(simulate("-o three --threads 3 --raw 1 --seed 5 " SMALL), 0);
    CHECK_EQUAL(simulate("-o other --raw 1 --seed 6 " SMALL), 0);
    CHECK_EQUAL(shell("diff -r one three >/dev/null"), 0);
    CHECK_EQUAL(shell("cmp -s one/science.fits other/science.fits"), 1);
    CHECK_EQUAL(shell("cmp -s one/truth.csv other/truth.csv"), 1);
    CHECK_EQUAL(shell("cmp -s one/raw/science_2.fits one/raw/science_3.fits"), 1);
    CHECK_EQUAL(shell("cmp -s one/raw/flat_1.fits other/raw/flat_1.fits"), 1);
}

TEST(json_is_the_summary_and_counts_every_kind)
{
    enter_new_folder();
    CHECK_EQUAL(simulate("-o night --raw 0 --json " SMALL), 0);
    CHECK_EQUAL(shell("cmp -s out.txt night/summary.json"), 0);
    json_error_t problem;
    json_t *summary = json_load_file("out.txt", 0, &problem);
    CHECK(summary != NULL);
    const json_t *counts = json_object_get(summary, "counts");
    CHECK_EQUAL(json_integer_value(json_object_get(counts, "transient")), 4);
    CHECK_EQUAL(json_integer_value(json_object_get(counts, "mover")), 1);
    CHECK(json_integer_value(json_object_get(counts, "star")) > 10);
    json_decref(summary);
}

TEST(what_cannot_be_simulated_is_a_usage_error_and_leaves_nothing)
{
    enter_new_folder();
    CHECK_EQUAL(simulate("-o night --size 64 --transients 5000"), 2);
    CHECK_EQUAL(simulate("-o night --snr-min 50 --snr-max 40"), 2);
    CHECK_EQUAL(simulate("-o night --size 10"), 2);
    CHECK_EQUAL(simulate("-o night extra"), 2);
    CHECK_EQUAL(access("night", F_OK), -1);
}

int main(int argc, char **argv)
{
    aid_fits_decoder_main(argc, argv);
    return check_main(argc, argv);
}
