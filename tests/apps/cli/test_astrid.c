/* The program itself, as a user meets it: what it prints, writes, refuses and leaves behind. */
#include "adapters/files/files.h"
#include "tests/apps/cli/program.h"

#include <jansson.h>

static json_t *load(const char *path)
{
    json_error_t where;
    json_t *json = json_load_file(path, 0, &where);
    if (!json)
        check_fail(__FILE__, __LINE__, "%s:%d: %s", path, where.line, where.text);
    return json;
}

static double number_at(const json_t *object, const char *first, const char *second)
{
    const json_t *value = json_object_get(object, first);
    if (second)
        value = json_object_get(value, second);
    if (!json_is_number(value))
        check_fail(__FILE__, __LINE__, "%s %s is no number", first, second ? second : "");
    return json_number_value(value);
}

/* --------------------------------------------------------------------------------------- tests */

TEST(without_a_command_there_is_a_short_help_and_exit_2)
{
    enter_new_folder();
    CHECK_EQUAL(astrid(""), 2);
    CHECK(strstr(error_text, "Usage: astrid COMMAND") && !*out_text);
    CHECK_EQUAL(astrid("help"), 0);
    CHECK(strstr(out_text, "Usage: astrid COMMAND") && strstr(out_text, "  run ") && !*error_text);
    CHECK_EQUAL(astrid("run --help"), 0);
    CHECK(strstr(out_text, "Usage: astrid run SCI REF") && strstr(out_text, "Example:"));
    char same[sizeof out_text];
    memcpy(same, out_text, sizeof same);
    CHECK_EQUAL(astrid("help run"), 0);
    CHECK_TEXT(out_text, same);
    CHECK_EQUAL(astrid("--version"), 0);
    CHECK(!strncmp(out_text, "astrid 0.", 9));
}

TEST(wrong_usage_is_one_line_and_exit_2_and_touches_nothing)
{
    enter_new_folder();
    CHECK_EXIT("rnu a b", 2, "astrid: unknown command rnu; did you mean run?");
    CHECK_EXIT("help rnu", 2, "did you mean run?");
    CHECK_EXIT("run a.fits", 2, "astrid run: REF is missing");
    CHECK_EXIT("run a.fits b.fits c.fits", 2, "unexpected argument c.fits");
    CHECK_EXIT("run a b --treshold 4", 2, "unknown option --treshold; did you mean --threshold?");
    CHECK_EXIT("run a b --threshold 0.5", 2, "--threshold 0.5 is not between 1 and 100");
    CHECK_EXIT("run a b --threads 0", 2, "--threads 0 is not between 1 and 256");
    CHECK_EXIT("run a b --method magic", 2, "--method magic is none of auto|hybrid|zogy");
    CHECK_EQUAL(entries_in("."), 0);
}

TEST(files_that_are_not_there_or_no_images_are_refused_with_their_names)
{
    enter_new_folder();
    write_pair();
    CHECK_EXIT("run nothing.fits ref.fits", 1, "astrid run: nothing.fits");
    CHECK_EXIT("run sci.fits nothing.fits -o out", 1, "nothing.fits");
    CHECK_EXIT("run /bin/sh ref.fits -o out", 3, "/bin/sh");
    CHECK_EXIT("run sci.fits ref.fits --science-hdu 7 -o out", 3, "sci.fits");
    CHECK_EXIT("run sci.fits ref.fits --science-mask nothing.fits -o out", 1, "nothing.fits");
    CHECK_EXIT("run sci.fits ref.fits -o ref.fits", 2, "ref.fits is one of the inputs");
    CHECK_EXIT("run sci.fits sci.fits -o ref.fits", 2, "ref.fits: exists and is not a folder");
    CHECK_EXIT("run sci.fits ref.fits -o ref.fits/out", 1, "ref.fits");
    CHECK_EXIT("run sci.fits ref.fits --config nothing.conf", 1, "nothing.conf");
    CHECK_EQUAL(entries_in("."), 2);
}

TEST(a_run_writes_its_six_files_and_finds_the_transient_where_it_is)
{
    enter_new_folder();
    write_pair();
    CHECK_EQUAL(astrid("run sci.fits ref.fits --zero-point 25"), 0);
    CHECK(!*error_text);
    CHECK(strstr(out_text, "report: sci.astrid/report.html"));
    static const char *const files[] = {"difference.fits", "candidates.fits", "candidates.csv",
                                        "candidates.json", "report.html",     "summary.json"};
    for (size_t i = 0; i < AID_COUNT_OF(files); i++) {
        char path[64];
        snprintf(path, sizeof path, "sci.astrid/%s", files[i]);
        CHECK(exists(path));
    }
    CHECK_EQUAL(entries_in("."), 3); /* nothing hidden is left */
    json_t *summary = load("sci.astrid/summary.json");
    CHECK_EQUAL(number_at(summary, "counts", "unflagged"), 1);
    CHECK_EQUAL(number_at(summary, "parameters", "zero-point"), 25);
    CHECK(number_at(json_object_get(summary, "stages"), "subtract", "wall_s") > 0.0);
    CHECK(number_at(json_object_get(summary, "stages"), "subtract", "peak_mb") > 0.0);
    json_decref(summary);
    /* Position error is about FWHM/(2.35 S/N) = 0.05 px at S/N 30; FITS pixels begin at 1. The flux
     * error is 200 of 6000 by that S/N: five of them. */
    FILE *csv = fopen("sci.astrid/candidates.csv", "r");
    char header[1024];
    double id, x, y, flux;
    CHECK(csv && fgets(header, sizeof header, csv) && !strncmp(header, "id,x,y,ra,dec,flux,", 19));
    CHECK(fscanf(csv, "%lf,%lf,%lf,,,%lf", &id, &x, &y, &flux) == 4);
    fclose(csv);
    CHECK_EQUAL(id, 1);
    CHECK_NEAR(x, transient_x + 1.0, 0.25);
    CHECK_NEAR(y, transient_y + 1.0, 0.25);
    CHECK_NEAR(flux, 6000.0, 1000.0);
}

TEST(the_difference_file_has_every_map_and_says_where_it_comes_from)
{
    enter_new_folder();
    write_pair();
    CHECK_EQUAL(astrid("run sci.fits ref.fits -o out --threshold 7"), 0);
    static const char *const names[] = {"DIFFERENCE", "SCORE", "FLUX", "FLUX_ERR", "MOTION"};
    char hash[65];
    char *bytes;
    size_t size;
    CHECK_OK(aid_read_file("sci.fits", 1 << 24, &bytes, &size, &err));
    aid_sha256(bytes, size, hash);
    free(bytes);
    for (size_t i = 0; i < AID_COUNT_OF(names); i++) {
        aid_fits_image map = {0};
        aid_fits_read_options options = AID_FITS_READ_DEFAULTS;
        options.hdu = names[i];
        CHECK_OK(aid_fits_read("out/difference.fits", &options, &map, &err));
        CHECK(map.image.width == SIDE && map.image.height == SIDE && map.bitpix == -32);
        CHECK_TEXT(aid_header_text(&map.header, "SCIHASH"), hash);
        CHECK_TEXT(aid_header_text(&map.header, "REFFILE"), "ref.fits");
        CHECK_TEXT(aid_header_text(&map.header, "ASTRID THRESHOLD"), "7");
        CHECK(aid_header_find(&map.header, "DATE") == NULL);
        bool significance = !strcmp(names[i], "SCORE") || !strcmp(names[i], "MOTION");
        CHECK((aid_header_text(&map.header, "BUNIT") == NULL) == significance);
        aid_fits_image_done(&map);
    }
    aid_mask mask = {0};
    char mask_hash[65];
    CHECK_REFUSED(aid_fits_read_mask("out/difference.fits", 1, 1, &mask, mask_hash, &err),
                  AID_ERR_INVALID, "difference.fits");
}

/* Bad (1), saturated (2) or any other value within 6 px of the transient. */
static void write_mask(const char *path, int32_t side, uint8_t value)
{
    AID_CLEANUP(aid_mask_done)
    aid_mask mask = {0};
    CHECK_OK(aid_mask_init(side, side, &mask, &err));
    for (int32_t y = 0; y < side; y++)
        for (int32_t x = 0; x < side; x++)
            if (hypot(x - transient_x, y - transient_y) < 6.0)
                aid_mask_row(&mask, y)[x] = value;
    aid_fits_writer *writer;
    CHECK_OK(aid_fits_create(path, &writer, &err));
    CHECK_OK(aid_fits_put_mask(writer, NULL, &mask, NULL, &err));
    CHECK_OK(aid_fits_commit(writer, &err));
}

TEST(what_the_users_mask_covers_is_not_found)
{
    static const uint8_t values[] = {1, 2, 64};
    for (size_t i = 0; i < AID_COUNT_OF(values); i++) {
        enter_new_folder();
        write_pair();
        write_mask("mask.fits", SIDE, values[i]);
        const char *role = i == 1 ? "reference" : "science";
        char words[256];
        snprintf(words, sizeof words, "run sci.fits ref.fits -o out --%s-mask mask.fits", role);
        CHECK_EQUAL(astrid(words), 0);
        json_t *summary = load("out/summary.json");
        double unflagged = number_at(summary, "counts", "unflagged");
        json_t *input = json_object_get(json_object_get(summary, "inputs"), role);
        bool named = !strcmp(json_string_value(json_object_get(input, "mask_path")), "mask.fits");
        size_t hash_length = strlen(json_string_value(json_object_get(input, "mask_sha256")));
        json_decref(summary);
        CHECK_EQUAL(unflagged, 0);
        CHECK(named && hash_length == 64);
    }
}

TEST(a_mask_of_another_shape_is_refused)
{
    enter_new_folder();
    write_pair();
    write_mask("mask.fits", SIDE - 1, 1);
    CHECK_EXIT("run sci.fits ref.fits --reference-mask mask.fits", 3, "mask.fits");
    CHECK_EQUAL(entries_in("."), 3);
}

TEST(the_same_input_gives_the_same_bytes_at_any_number_of_threads)
{
    enter_new_folder();
    write_pair();
    CHECK_EQUAL(astrid("run sci.fits ref.fits -o one --threads 1 --inject 20"), 0);
    CHECK_EQUAL(astrid("run sci.fits ref.fits -o five --threads 5 --inject 20"), 0);
    same_file("one/difference.fits", "five/difference.fits");
    same_file("one/candidates.fits", "five/candidates.fits");
    same_file("one/candidates.csv", "five/candidates.csv");
    same_file("one/candidates.json", "five/candidates.json");
    json_t *one = load("one/summary.json"), *five = load("five/summary.json");
    CHECK(!json_equal(one, five)); /* in what it cost */
    json_object_del(one, "stages");
    json_object_del(one, "resources");
    json_object_del(five, "stages");
    json_object_del(five, "resources");
    CHECK(json_equal(one, five));
    json_decref(one);
    json_decref(five);
}

TEST(json_on_standard_output_is_the_summary_and_nothing_else)
{
    enter_new_folder();
    write_pair();
    CHECK_EQUAL(astrid("run sci.fits ref.fits -o out --json"), 0);
    CHECK(!*error_text);
    char *text;
    CHECK_OK(aid_read_file("out/summary.json", 1 << 20, &text, NULL, &err));
    CHECK_TEXT(out_text, text);
    free(text);
}

TEST(a_run_that_fails_leaves_the_earlier_results_as_they_were)
{
    enter_new_folder();
    write_pair();
    CHECK_EQUAL(astrid("run sci.fits ref.fits -o out"), 0);
    CHECK(rename("out/difference.fits", "before.fits") == 0);
    CHECK(link("before.fits", "out/difference.fits") == 0);
    CHECK_EXIT("run sci.fits nothing.fits -o out", 1, "nothing.fits");
    same_file("out/difference.fits", "before.fits");
    /* A disk that fills up: no file may grow beyond 512 kB, and the difference wants more. */
    CHECK_EQUAL(finish(start("ulimit -f 1000;", "run sci.fits ref.fits -o out")), 1);
    CHECK(one_clear_line("out/difference.fits: cannot write") && !strstr(error_text, "unfinished"));
    same_file("out/difference.fits", "before.fits");
    CHECK_EQUAL(finish(start("ulimit -f 1000;", "run sci.fits ref.fits -o new")), 1);
    CHECK(!exists("new") && entries_in(".") == 4);
    CHECK_EQUAL(astrid("run ref.fits sci.fits -o out"), 0); /* and a good one replaces it */
    CHECK(entries_in(".") == 4);
}

TEST(a_full_standard_output_is_a_failure)
{
    enter_new_folder();
    CHECK_EQUAL(finish(start("", "--help >/dev/full")), 1);
    CHECK(one_clear_line("standard output cannot be written"));
}

/* However early or late the signal comes: whole results, or none and a failure. */
TEST(a_signal_stops_a_run_without_leaving_anything)
{
    for (int number = SIGINT; number; number = number == SIGINT ? SIGTERM : 0)
        for (int delay_ms = 0; delay_ms <= 200; delay_ms += 100) {
            enter_new_folder();
            write_pair();
            pid_t child = start("", "run sci.fits ref.fits -o out");
            wait_for(".out.unfinished");
            wait_ms(delay_ms);
            kill(child, number);
            int status = finish(child);
            CHECK(!exists(".out.unfinished"));
            CHECK((status == 0) == exists("out/summary.json"));
            CHECK(status == 0 || (status == 1 && one_clear_line("stopped by a signal")));
            CHECK_EQUAL(entries_in("."), status == 0 ? 3 : 2);
        }
}

TEST(a_second_signal_ends_it_at_once_and_cleans_up_too)
{
    enter_new_folder();
    write_pair();
    pid_t child = start("", "run sci.fits ref.fits -o out --inject 50");
    wait_for(".out.unfinished");
    kill(child, SIGTERM);
    wait_ms(20);
    kill(child, SIGTERM);
    int status = finish(child);
    CHECK(status == 128 + SIGTERM || status == 1 || status == 0);
    CHECK(!exists(".out.unfinished"));
    CHECK((status == 0) == exists("out/summary.json"));
}

int main(int argc, char **argv)
{
    aid_fits_decoder_main(argc, argv); /* this program reads FITS itself */
    return check_main(argc, argv);
}
