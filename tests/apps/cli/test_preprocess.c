/* `astrid preprocess` as a user meets it: a simulated night in, frames out; and what goes wrong at
 * a telescope. */
#include "tests/apps/cli/night.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

/* 256 px with 250 stars, and nothing that changes: simulated once, copied for each test. */
#define NIGHT                                                                                      \
    "simulate -o night --size 256 --star-density 4000 --transients 0 --faders 0 --variables 0 "    \
    "--movers 0 --raw 2 --raw-science 3 "

/* Where it is not about quality and alignment. */
#define FAST " --stages bias,flat,cosmic-rays"

static char first_night[64];

static void remove_first_night(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", first_night);
    must(command);
}

static void make_night(void)
{
    char command[128];
    enter_new_folder();
    if (!first_night[0]) {
        must_run(NIGHT);
        snprintf(first_night, sizeof first_night, "/tmp/aid_test_night_XXXXXX");
        CHECK(mkdtemp(first_night) != NULL);
        CHECK(atexit(remove_first_night) == 0);
        snprintf(command, sizeof command, "cp -r night %s", first_night);
    } else {
        snprintf(command, sizeof command, "cp -r %s/night .", first_night);
    }
    must(command);
}

static void write_raw(const char *path, const char *type, const char *exposure, int side)
{
    AID_CLEANUP(aid_image_done)
    aid_image image = {0};
    AID_CLEANUP(aid_header_done)
    aid_header cards = {0};
    aid_fits_writer *writer;
    CHECK_OK(aid_image_init(side, side, &image, &err));
    generator = 5;
    for (int64_t i = 0; i < (int64_t)side * side; i++)
        image.data[i] = (float)(1000.0 + 10.0 * normal());
    const char *const texts[][2] = {{"IMAGETYP", type}, {"INSTRUME", "SIMCAM"}, {"FILTER", "r"}};
    for (size_t i = 0; i < AID_COUNT_OF(texts); i++)
        CHECK_OK(aid_header_append(&cards, texts[i][0], AID_CARD_STRING, texts[i][1], "", &err));
    CHECK_OK(aid_header_append(&cards, "EXPTIME", AID_CARD_NUMBER, exposure, "", &err));
    CHECK_OK(aid_fits_create(path, &writer, &err));
    CHECK_OK(aid_fits_put_u16(writer, NULL, &image, &cards, &err));
    CHECK_OK(aid_fits_commit(writer, &err));
}

/* ---------------------------------------------------------------------------------- a good night
 */

TEST(a_night_becomes_masters_frames_and_a_common_grid)
{
    make_night();
    must_run("preprocess night/raw -o out --json");
    CHECK_EQUAL(entries_in("out/masters"), 3);
    CHECK_EQUAL(entries_in("out/frames"), 3);
    CHECK_EQUAL(entries_in("out/aligned"), 3);
    CHECK(exists("out/night.csv") && exists("out/report.html") && !exists("out/stacks"));
    CHECK(exists("out/timing.json"));
    json_t *night = load("out/night.json");
    char *printed = json_dumps(night, JSON_SORT_KEYS);
    json_t *said = json_loads(out_text, 0, NULL);
    char *heard = said ? json_dumps(said, JSON_SORT_KEYS) : NULL;
    CHECK(printed && heard && !strcmp(printed, heard));
    free(printed);
    free(heard);
    json_decref(said);
    const json_t *counts = json_object_get(night, "counts");
    CHECK_EQUAL(number_of(counts, "science_frames"), 3);
    CHECK_EQUAL(number_of(counts, "done"), 3);
    CHECK_EQUAL(number_of(counts, "failed"), 0);
    const json_t *frame = frame_of(night, "science_2.fits");
    CHECK_TEXT(text_of(frame, "calibrated_image"), "frames/science_2.fits");
    CHECK_TEXT(text_of(frame, "aligned_image"), "aligned/science_2.fits");
    CHECK_EQUAL(strlen(text_of(frame, "observation_id")), 64);
    CHECK_EQUAL(json_array_size(json_object_get(frame, "processing_errors")), 0);
    const json_t *quality = json_object_get(frame, "quality_metrics");
    /* 3.6 px at the best, up to 15 % worse, and the pixel adds a little */
    CHECK(number_of(quality, "fwhm_px") > 3.4 && number_of(quality, "fwhm_px") < 4.6);
    CHECK(number_of(quality, "overall_quality_score") > 0.0);
    CHECK(json_is_true(json_object_get(quality, "rated_by_group")));
    const json_t *trends = json_array_get(json_object_get(night, "trends"), 0);
    CHECK_EQUAL(number_of(trends, "frames"), 3);
    CHECK(number_of(json_object_get(trends, "seeing"), "median") > 1.5); /* arcsec: 3.6 px of 0.5 */
    json_decref(night);
}

/* The truth of the dither is in raw_truth.csv: 1 px of a grid is 1 px of the other but for what
 * distortion does. */
/* Two frames are no yardstick for one another: each is rated by what its camera could do, which
 * the summary of the night has to know as well as the frame's own measurement. */
TEST(frames_of_a_night_are_rated_and_flagged_as_astrid_quality_does_it)
{
    for (int frames = 3; frames >= 2; frames--) {
        make_night();
        if (frames == 2)
            must("rm night/raw/science_3.fits");
        must_run("preprocess night/raw -o out");
        must_run(frames == 2 ? "quality out/frames/science_1.fits out/frames/science_2.fits --json"
                             : "quality out/frames/science_1.fits out/frames/science_2.fits "
                               "out/frames/science_3.fits --json");
        json_t *night = load("out/night.json"), *said = json_loads(out_text, 0, NULL), *image;
        size_t i;
        CHECK_EQUAL(json_array_size(json_object_get(said, "images")), frames);
        json_array_foreach(json_object_get(said, "images"), i, image)
        {
            char name[32];
            snprintf(name, sizeof name, "science_%d.fits", (int)i + 1);
            const json_t *quality = json_object_get(frame_of(night, name), "quality_metrics");
            const json_t *flags = json_object_get(quality, "quality_flags"), *flag;
            char text[256] = "";
            size_t k;
            json_array_foreach(flags, k, flag)
            {
                strcat(strcat(text, k ? "|" : ""), json_string_value(flag));
            }
            CHECK_TEXT(text, text_of(image, "flags"));
            /* `quality` compares the fluxes of stars besides, which are the same to 2 or 3 % */
            CHECK_NEAR(number_of(quality, "overall_quality_score"), number_of(image, "score"),
                       0.05);
        }
        json_decref(said);
        json_decref(night);
    }
}

TEST(aligned_frames_have_their_stars_where_the_reference_has_them)
{
    make_night();
    must_run("preprocess night/raw -o out");
    json_t *night = load("out/night.json");
    int references = 0;
    for (int i = 1; i <= 3; i++) {
        char raw[32], path[64];
        snprintf(raw, sizeof raw, "science_%d.fits", i);
        const json_t *alignment = json_object_get(frame_of(night, raw), "alignment");
        CHECK(json_is_object(alignment));
        if (!strcmp(text_of(alignment, "method"), "reference")) {
            references++;
            continue;
        }
        CHECK(number_of(alignment, "matched_stars") > 20);
        CHECK(number_of(alignment, "rms_px") < 0.2);
        CHECK(number_of(alignment, "correlation") > 0.8);
        aid_fits_image image;
        snprintf(path, sizeof path, "out/aligned/%s", raw);
        CHECK_OK(aid_fits_read(path, NULL, &image, &err));
        CHECK(image.image.width == 256 && image.variance.data && image.mask.data);
        aid_fits_image_done(&image);
    }
    CHECK_EQUAL(references, 1);
    json_decref(night);
}

TEST(the_dry_run_explains_the_plan_and_writes_nothing)
{
    make_night();
    must_run("preprocess night/raw -o out --dry-run");
    CHECK(strstr(out_text, "#1 bias 288 x 256: 2 frames: bias_1.fits, bias_2.fits"));
    CHECK(strstr(out_text, "dark 288 x 256, 300 s: 2 frames"));
    CHECK(strstr(out_text, "science_3.fits: field, filter r, 120 s"));
    must_run("preprocess night/raw -o out --dry-run --json");
    json_t *plan = json_loads(out_text, 0, NULL);
    CHECK_EQUAL(number_of(json_object_get(plan, "counts"), "masters"), 3);
    CHECK_EQUAL(number_of(json_object_get(plan, "counts"), "done"), 0);
    const json_t *bias = json_object_get(
        json_object_get(frame_of(plan, "science_3.fits"), "calibration_metadata"), "bias");
    CHECK(strstr(text_of(bias, "reason"), "chosen"));
    json_decref(plan);
    CHECK(!exists("out"));
}

/* ------------------------------------------------------------------------------- the same bytes */

TEST(one_thread_and_two_give_the_same_bytes)
{
    make_night();
    must_run("preprocess night/raw -o one --threads 1");
    must_run("preprocess night/raw -o two --threads 2");
    must("diff -r -x timing.json one two");
}

static ino_t inode_of(const char *path)
{
    struct stat status;
    CHECK(stat(path, &status) == 0);
    return status.st_ino;
}

/* A file that is written anew is another file of the same name. */
TEST(what_is_there_already_is_not_done_again_and_what_has_changed_is)
{
    make_night();
    must_run("preprocess night/raw -o out");
    must("cp -r out before");
    ino_t frame = inode_of("out/frames/science_1.fits"),
          aligned = inode_of("out/aligned/science_1.fits");
    must_run("preprocess night/raw -o out");
    must("diff -r -x timing.json before out");
    CHECK(inode_of("out/frames/science_1.fits") == frame);
    CHECK(inode_of("out/aligned/science_1.fits") == aligned);
    must_run("preprocess night/raw -o out --gain 1.6");
    CHECK(inode_of("out/frames/science_1.fits") != frame);
    must_run("preprocess night/raw -o out");
    must("diff -r -x timing.json before out");
}

/* Killed at whatever point: as soon as something is there of each kind, and at odd moments. */
TEST(a_night_that_was_killed_goes_on_to_the_same_bytes)
{
    static const char *const moments[] = {"out/masters", "out/frames", "out/aligned", NULL};
    make_night();
    must_run("preprocess night/raw -o whole --threads 2");
    for (const char *const *folder = moments; *folder; folder++) {
        pid_t child = start("", "preprocess night/raw -o out --threads 2");
        for (int i = 0; i < 10000 && !(exists(*folder) && entries_in(*folder) > 0); i++)
            wait_ms(1);
        kill(child, SIGKILL);
        (void)finish(child);
    }
    for (int delay = 20; delay < 400; delay *= 4) {
        pid_t child = start("", "preprocess night/raw -o out --threads 2");
        wait_ms(delay);
        kill(child, SIGKILL);
        (void)finish(child);
    }
    must_run("preprocess night/raw -o out --threads 1");
    must("diff -r -x timing.json whole out");
}

TEST(frames_that_are_no_longer_in_the_night_go_and_files_of_others_stay)
{
    make_night();
    must_run("preprocess night/raw -o out");
    must("echo mine > out/frames/notes.txt; cp night/reference.fits out/frames/mine.fits");
    must("rm night/raw/science_2.fits");
    must_run("preprocess night/raw -o out");
    CHECK(!exists("out/frames/science_2.fits") && !exists("out/aligned/science_2.fits"));
    CHECK(exists("out/frames/notes.txt") && exists("out/frames/mine.fits"));
}

/* ------------------------------------------------------------------------------------ resources */

TEST(less_memory_means_fewer_at_once_and_the_same_bytes_and_too_little_is_refused)
{
    make_night();
    must_run("preprocess night/raw -o out --threads 2" FAST);
    must_run("preprocess night/raw -o small --threads 2 --memory 64" FAST);
    must("diff -r -x timing.json out small");
    write_raw("large.fits", "OBJECT", "30", 1200);
    must("mkdir large; mv large.fits large");
    CHECK_EXIT("preprocess large -o tiny --memory 64", 1, "and the budget is 64 MB");
}

TEST(two_processes_do_not_write_to_one_night)
{
    make_night();
    must("mkdir out");
    int held = open("out", O_RDONLY | O_DIRECTORY);
    CHECK(held >= 0 && flock(held, LOCK_EX) == 0);
    CHECK_EXIT("preprocess night/raw -o out", 1, "another process is writing to it");
    CHECK_EQUAL(entries_in("out"), 0);
    close(held);
    must_run("preprocess night/raw -o out" FAST);
}

/* A file may have 450 kB and no more: the decoder's memory fits, masters do not, and what is there
 * of them goes. */
TEST(a_full_disk_ends_the_night_and_leaves_no_half_of_a_file)
{
    make_night();
    pid_t child = start("ulimit -f 900;", "preprocess night/raw -o out" FAST);
    CHECK_EQUAL(finish(child), 1);
    CHECK(strstr(error_text, "out/"));
    CHECK(!exists("out/night.json"));
    must("test -z \"$(find out -name '.*.part')\"");
    must_run("preprocess night/raw -o out" FAST);
    must_run("preprocess night/raw -o fresh" FAST);
    must("diff -r -x timing.json out fresh");
}

/* --------------------------------------------------------------------------- what goes wrong */

static void copy_head(const char *from, const char *to, long bytes)
{
    char command[256];
    snprintf(command, sizeof command, "head -c %ld %s > %s", bytes, from, to);
    must(command);
}

TEST(files_that_cannot_be_used_are_named_with_their_reasons_and_the_rest_is_done)
{
    make_night();
    copy_head("night/raw/bias_1.fits", "night/raw/bias_cut.fits", 60000);
    must("mkdir night/raw/deeper; cp night/raw/bias_2.fits night/raw/deeper/copy.fits");
    must("echo 'no image at all' > night/raw/readme.txt; : > night/raw/empty.fits");
    CHECK_EXIT("preprocess night/raw -o out" FAST, 3, "2 of 12 files cannot be read");
    json_t *night = load("out/night.json");
    const json_t *counts = json_object_get(night, "counts");
    CHECK_EQUAL(number_of(counts, "files_not_used"), 3);
    CHECK_EQUAL(number_of(counts, "other_files"), 1);
    CHECK_EQUAL(number_of(counts, "done"), 3);
    const json_t *unused = json_object_get(night, "not_used");
    CHECK_TEXT(text_of(json_array_get(unused, 0), "file"), "bias_cut.fits");
    CHECK(strstr(text_of(json_array_get(unused, 0), "message"), "truncated"));
    CHECK(strstr(text_of(json_array_get(unused, 1), "message"), "the same bytes as bias_2.fits"));
    CHECK(strstr(text_of(json_array_get(unused, 2), "message"), "empty"));
    json_decref(night);
}

/* A bias of another shape makes a set of its own; a science frame of another shape fits no master,
 * and a flat that is a bias in truth is left out of its master. */
TEST(headers_that_lie_and_shapes_that_differ_spoil_nothing_else)
{
    make_night();
    must_run("preprocess night/raw -o good" FAST);
    write_raw("night/raw/bias_small.fits", "BIAS", "0", 100);
    write_raw("night/raw/lone.fits", "OBJECT", "30,5", 300);
    must_run("preprocess night/raw -o out" FAST);
    json_t *night = load("out/night.json");
    const json_t *lone = frame_of(night, "lone.fits");
    const json_t *bias = json_object_get(json_object_get(lone, "calibration_metadata"), "bias");
    CHECK(json_is_null(json_object_get(bias, "file")));
    CHECK(strstr(text_of(bias, "reason"), "none fits"));
    CHECK_NEAR(number_of(lone, "exposure_s"), 30.5, 1e-9); /* written 30,5 */
    CHECK(json_array_size(json_object_get(lone, "header_notes")) > 0);
    json_decref(night);
    same_file("good/frames/science_1.fits", "out/frames/science_1.fits");
}

TEST(what_is_asked_wrongly_is_refused_before_anything_is_done)
{
    make_night();
    CHECK_EXIT("preprocess nowhere -o out", 1, "nowhere: cannot be read");
    CHECK_EXIT("preprocess night/truth.csv -o out", 2, "not a folder");
    CHECK_EXIT("preprocess night/raw -o out --stages bias,flats", 2, "--stages bias,flats");
    CHECK_EXIT("preprocess night/raw -o night/truth.csv", 2, "exists and is not a folder");
    CHECK_EXIT("preprocess night/raw -o out --reference none.fits", 1, "none.fits");
    must("mkdir blank");
    CHECK_EXIT("preprocess blank -o out", 3, "no FITS files in it");
    CHECK(!exists("out"));
}

static double noise_of(const char *path)
{
    aid_fits_image file;
    CHECK_OK(aid_fits_read(path, NULL, &file, &err));
    double sum = 0.0;
    int64_t count = 0;
    for (int64_t i = 0; i < (int64_t)file.variance.width * file.variance.height; i++)
        if (file.variance.data[i] > 0.0f && !file.mask.data[i]) {
            sum += (double)file.variance.data[i];
            count++;
        }
    CHECK(count > 10000);
    aid_fits_image_done(&file);
    return sqrt(sum / (double)count);
}

/* Interpolation takes some of the noise of two of the three and gives it to their neighbours: down
 * to 0.8 of it in the variance of a pixel. Seeing and sky differ by a few per cent. */
TEST(a_stack_is_deeper_than_its_frames_and_the_same_bytes_at_any_number_of_threads)
{
    static const char all[] = "--stages bias,dark,flat,cosmic-rays,quality,align,stack";
    char words[256];
    make_night();
    for (int threads = 1; threads <= 2; threads++) {
        snprintf(words, sizeof words, "preprocess night/raw -o out%d --threads %d %s", threads,
                 threads, all);
        must_run(words);
    }
    must("diff -r -x timing.json out1 out2");
    CHECK_EQUAL(entries_in("out1/stacks"), 1);
    double ratio = noise_of("out1/stacks/field_r.fits") / noise_of("out1/frames/science_1.fits");
    CHECK(ratio > 0.8 / sqrt(3.0) && ratio < 1.1 / sqrt(3.0));
    must("cp -r out1 before");
    must_run("preprocess night/raw -o out1 "
             "--stages bias,dark,flat,cosmic-rays,quality,align,stack");
    must("diff -r -x timing.json before out1");
}

TEST(stages_can_be_left_out)
{
    make_night();
    must_run("preprocess night/raw -o out --stages bias,flat");
    CHECK(!exists("out/aligned"));
    CHECK_EQUAL(entries_in("out/masters"), 2);
    json_t *night = load("out/night.json");
    const json_t *frame = frame_of(night, "science_1.fits");
    CHECK(json_is_null(json_object_get(frame, "quality_metrics")));
    const json_t *calibration = json_object_get(frame, "calibration_metadata");
    CHECK(json_is_false(json_object_get(calibration, "cosmic_rays_cleaned")));
    CHECK_TEXT(text_of(json_object_get(calibration, "dark"), "reason"), "left out: --stages");
    json_decref(night);
}

int main(int argc, char **argv)
{
    aid_fits_decoder_main(argc, argv);
    return check_main(argc, argv);
}
