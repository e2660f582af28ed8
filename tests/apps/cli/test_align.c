/* `astrid align`, as a user meets it. */
#include "tests/apps/cli/frames_scene.h"

#include <jansson.h>
#include <sys/stat.h>

int main(int argc, char **argv)
{
    aid_fits_decoder_main(argc, argv);
    return check_main(argc, argv);
}

static const frame_scene grid = FRAME_SCENE_DEFAULTS;
static const frame_scene turned = {.turn_deg = 7.0,
                                   .dx = 6.4,
                                   .dy = -3.3,
                                   .fwhm = 3.0,
                                   .sky = 250.0,
                                   .throughput = 1.0,
                                   .exposure_s = 60.0,
                                   .gain = 2.0,
                                   .seed = 5};

static json_t *json_of(const char *text)
{
    json_error_t where;
    json_t *json = json_loads(text, 0, &where);
    if (!json)
        check_fail(__FILE__, __LINE__, "%d: %s", where.line, where.text);
    return json;
}

/* Of the first image. */
static double quality_number(const json_t *report, const char *key)
{
    const json_t *image = json_array_get(json_object_get(report, "images"), 0);
    return json_number_value(json_object_get(json_object_get(image, "quality"), key));
}

static aid_fits_image read_file(const char *path)
{
    aid_fits_image file = {0};
    CHECK_OK(aid_fits_read(path, NULL, &file, &err));
    return file;
}

/* The four bright stars of S/N 200 are good to 1.27/200 = .007 px in the image, the map that a
 * hundred stars make to a third of that: .03 are more than four sigma. The flux of an aperture has
 * an error of 1/200. */
static void check_stars(const char *path)
{
    aid_fits_image file = read_file(path);
    CHECK(file.image.width == FRAME_SIDE && file.image.height == FRAME_SIDE);
    for (int i = 0; i < 4; i++) {
        true_star star = star_of_scene(i);
        double x = floor(star.x + 0.5), y = floor(star.y + 0.5);
        centroid_of(&file.image, 250.0, 3.0 / 2.355, &x, &y);
        CHECK_NEAR(x, star.x, 0.03);
        CHECK_NEAR(y, star.y, 0.03);
        CHECK_NEAR(aperture_of(&file.image, star.x, star.y, 9.0), star.flux, 0.03 * star.flux);
    }
    aid_fits_image_done(&file);
}

TEST(an_image_without_wcs_is_aligned_by_its_stars_and_its_report_says_so)
{
    enter_new_folder();
    write_frame("ref.fits", &grid);
    write_frame("img.fits", &turned);
    CHECK_EQUAL(astrid("align img.fits ref.fits -o out.fits --json --transform-out t.json"), 0);
    json_t *report = json_of(out_text);
    const json_t *image = json_array_get(json_object_get(report, "images"), 0);
    CHECK_TEXT(json_string_value(json_object_get(image, "status")), "aligned");
    const json_t *quality = json_object_get(image, "quality");
    CHECK_TEXT(json_string_value(json_object_get(quality, "method")), "stars");
    /* The turn of .003 px over 130 px is .0013 degrees. */
    CHECK_NEAR(quality_number(report, "rotation_deg"), 7.0, 0.006);
    CHECK_NEAR(quality_number(report, "scale"), 1.0, 1e-4);
    CHECK_NEAR(quality_number(report, "shift_px"), hypot(6.4, 3.3), 0.02);
    CHECK(quality_number(report, "matched") > 20);
    CHECK(quality_number(report, "rms_px") < 0.1);
    CHECK(quality_number(report, "residual_shift_px") < 0.05);
    CHECK(quality_number(report, "correlation") > 0.9 &&
          quality_number(report, "correlation") <= 1);
    CHECK(quality_number(report, "overlap") > 0.8 && quality_number(report, "overlap") < 1.0);
    json_decref(report);
    check_stars("out.fits");
    CHECK(exists("t.json"));
}

TEST(the_output_has_variance_mask_and_the_references_wcs_and_no_stale_cards)
{
    frame_scene with_wcs = grid, other = turned;
    with_wcs.with_wcs = other.with_wcs = true;
    other.wcs_error_px = 4.0; /* which the stars correct */
    enter_new_folder();
    write_frame("ref.fits", &with_wcs);
    write_frame("img.fits", &other);
    CHECK_EQUAL(astrid("align img.fits ref.fits -o out.fits"), 0);
    CHECK(strstr(out_text, "wcs + stars"));
    check_stars("out.fits");
    aid_fits_image file = read_file("out.fits");
    double value;
    CHECK(aid_header_number(&file.header, "CRPIX1", &value));
    CHECK_NEAR(value, 0.5 * (FRAME_SIDE + 1), 1e-9);
    CHECK(aid_header_number(&file.header, "CD1_2", &value));
    CHECK_NEAR(value, 0.0, 1e-15);
    CHECK(!aid_header_find(&file.header, "BIASSEC"));
    CHECK_TEXT(aid_header_text(&file.header, "OBJECT"), "field");
    CHECK_TEXT(aid_header_text(&file.header, "ALNMETH"), "wcs + stars");
    CHECK(aid_header_number(&file.header, "ALNRMS", &value) && value < 0.1);
    CHECK(aid_header_find(&file.header, "REFHASH") && aid_header_find(&file.header, "IMGHASH"));
    CHECK(file.variance.data && file.mask.data);
    int missing = 0;
    double ratio = 0.0;
    int count = 0;
    for (int64_t i = 0; i < (int64_t)FRAME_SIDE * FRAME_SIDE; i++) {
        bool hole = !isfinite(file.image.data[i]);
        missing += hole;
        CHECK(hole == !(file.variance.data[i] > 0.0F));
        CHECK(hole == !!(file.mask.data[i] & AID_MASK_NO_DATA));
        if (!hole && fabsf(file.image.data[i] - 250.0F) < 30.0F) {
            ratio += (double)file.variance.data[i] / (250.0 / 2.0);
            count++;
        }
    }
    /* The corners that the turned frame does not reach: 1 - overlap. */
    CHECK(missing > 1000 && missing < 16000);
    /* scipy 1.10.1: over all phases a cubic spline's sum of squared weights is .8742 in the mean,
     * squared for two axes .764; the measured noise is good to 2 %. */
    CHECK_NEAR(ratio / count, 0.764, 0.03);
    aid_fits_image_done(&file);
}

TEST(a_map_that_was_written_is_read_and_gives_the_same_pixels)
{
    enter_new_folder();
    write_frame("ref.fits", &grid);
    write_frame("img.fits", &turned);
    CHECK_EQUAL(astrid("align img.fits ref.fits -o one.fits --transform-out t.json"), 0);
    CHECK_EQUAL(astrid("align img.fits ref.fits -o two.fits --transform-in t.json"), 0);
    CHECK(strstr(out_text, "given"));
    aid_fits_image one = read_file("one.fits"), two = read_file("two.fits");
    /* With the sky known or guessed, mirrored borders and filled pixels differ, nothing else: float
     * arithmetic on 300 counts. */
    int compared = 0;
    for (int32_t y = 40; y < FRAME_SIDE - 40; y++)
        for (int32_t x = 40; x < FRAME_SIDE - 40; x++) {
            float a = aid_image_row(&one.image, y)[x], b = aid_image_row(&two.image, y)[x];
            if (!isfinite(a) || !isfinite(b))
                continue;
            CHECK_NEAR(a, b, 2e-3 + 1e-5 * fabs((double)a));
            compared++;
        }
    CHECK(compared > 30000);
    aid_fits_image_done(&one);
    aid_fits_image_done(&two);
}

TEST(headers_alone_are_taken_at_their_word_where_that_is_asked_for)
{
    frame_scene with_wcs = grid, other = turned;
    with_wcs.with_wcs = other.with_wcs = true;
    enter_new_folder();
    write_frame("ref.fits", &with_wcs);
    write_frame("img.fits", &other);
    write_frame("bare.fits", &turned);
    CHECK_EQUAL(astrid("align img.fits ref.fits --register wcs -o out.fits"), 0);
    CHECK(strstr(out_text, "wcs"));
    check_stars("out.fits");
    CHECK_EXIT("align bare.fits ref.fits --register wcs -o no.fits", 3, "bare.fits has no usable");
    CHECK(!exists("no.fits"));
}

TEST(every_kernel_and_every_way_leads_to_the_same_place)
{
    static const char *const ways[] = {"--kernel spline5",   "--kernel lanczos3",
                                       "--kernel lanczos4",  "--register stars",
                                       "--model similarity", "--model affine"};
    enter_new_folder();
    write_frame("ref.fits", &grid);
    write_frame("img.fits", &turned);
    for (size_t i = 0; i < AID_COUNT_OF(ways); i++) {
        char words[200];
        snprintf(words, sizeof words, "align img.fits ref.fits -o out.fits %s", ways[i]);
        CHECK_EQUAL(astrid(words), 0);
        check_stars("out.fits");
    }
}

TEST(a_shift_is_found_by_phase_correlation)
{
    frame_scene shifted = grid;
    shifted.dx = 11.0;
    shifted.dy = -7.0;
    shifted.seed = 9;
    enter_new_folder();
    write_frame("ref.fits", &grid);
    write_frame("img.fits", &shifted);
    CHECK_EQUAL(astrid("align img.fits ref.fits --register phase --no-resample --json"), 0);
    json_t *report = json_of(out_text);
    CHECK_NEAR(quality_number(report, "shift_px"), hypot(11.0, 7.0), 0.15);
    json_decref(report);
    CHECK_EQUAL(entries_in("."), 2);
}

TEST(one_image_that_cannot_be_aligned_does_not_keep_the_others)
{
    enter_new_folder();
    write_frame("ref.fits", &grid);
    write_frame("a.fits", &turned);
    frame_scene nothing = FRAME_SCENE_DEFAULTS;
    nothing.throughput = 0.0; /* noise alone */
    nothing.seed = 3;
    write_frame("b.fits", &nothing);
    write_frame("c.fits", &grid);
    CHECK_EXIT("align a.fits b.fits missing.fits c.fits ref.fits -o out", 3,
               "2 of 4 images were not aligned; the first: ref.fits and b.fits");
    CHECK(strstr(out_text, "missing.fits") && strstr(out_text, "refused: "));
    CHECK(exists("out/a.fits") && exists("out/c.fits"));
    CHECK_EQUAL(entries_in("out"), 2);
    check_stars("out/a.fits");
}

TEST(one_and_two_threads_write_the_same_bytes)
{
    enter_new_folder();
    write_frame("ref.fits", &grid);
    write_frame("a.fits", &turned);
    write_frame("b.fits", &grid);
    CHECK_EQUAL(astrid("align a.fits b.fits ref.fits -o one --threads 1"), 0);
    CHECK_EQUAL(astrid("align a.fits b.fits ref.fits -o two --threads 2"), 0);
    CHECK_EQUAL(astrid("align a.fits ref.fits -o three.fits --threads 2"), 0);
    same_file("one/a.fits", "two/a.fits");
    same_file("one/b.fits", "two/b.fits");
    same_file("one/a.fits", "three.fits");
}

TEST(wrong_usage_and_hostile_maps_are_refused_before_anything_is_written)
{
    enter_new_folder();
    write_frame("ref.fits", &grid);
    write_frame("img.fits", &turned);
    CHECK_EXIT("align img.fits ref.fits", 2, "--output is missing");
    CHECK_EXIT("align img.fits", 2, "REF is missing");
    CHECK_EXIT("align img.fits ref.fits -o img.fits", 2, "img.fits is one of the inputs");
    CHECK_EXIT("align img.fits ref.fits -o ref.fits", 2, "ref.fits is one of the inputs");
    CHECK_EXIT("align img.fits img.fits ref.fits -o out", 2, "would both become");
    CHECK_EXIT("align img.fits ref.fits -o o.fits --kernel sinc", 2, "--kernel sinc is none of");
    CHECK_EXIT("align a.fits b.fits ref.fits -o o --transform-out t", 2, "for one image, not 2");
    static const char *const maps[] = {"{",
                                       "{}",
                                       "[]",
                                       "{\"from\":\"image\",\"to\":\"image\"}",
                                       "{\"from\":\"reference\",\"to\":\"image\","
                                       "\"matrix\":[[1,2],[2,4]],\"offset\":[0,0]}",
                                       "{\"from\":\"reference\",\"to\":\"image\","
                                       "\"from_shape\":[10,10],"
                                       "\"matrix\":[[1,0],[0,1]],\"offset\":[0,0]}"};
    for (size_t i = 0; i < AID_COUNT_OF(maps); i++) {
        FILE *file = fopen("bad.json", "w");
        CHECK(file && fputs(maps[i], file) >= 0 && fclose(file) == 0);
        CHECK_EXIT("align img.fits ref.fits -o o.fits --transform-in bad.json", 3, "bad.json");
    }
    FILE *file = fopen("away.json", "w");
    CHECK(file && fputs("{\"from\":\"reference\",\"to\":\"image\","
                        "\"matrix\":[[1,0],[0,1]],\"offset\":[9000,0]}",
                        file) >= 0);
    CHECK(fclose(file) == 0);
    CHECK_EXIT("align img.fits ref.fits -o o.fits --transform-in away.json", 3,
               "img.fits: no pixel of the reference's grid gets a value");
    CHECK(!exists("o.fits"));
}

/* ------------------------------------------------------------------------------- plate solving */

/* Stands for solve-field: what it is told to write it writes, from the truth of the scene, or it
 * fails in one of the ways in which programs fail. The words that it was given are kept. */
static void install_solver(const char *what)
{
    static const char script[] =
        "#!/bin/sh\n"
        "printf '%%s\\n' \"$@\" > '%s/words'\n"
        "while [ $# -gt 1 ]; do [ \"$1\" = --wcs ] && wcs=$2; shift; done\n"
        "[ -s \"$1\" ] || exit 9\n"
        "card() { printf '%%-80s' \"$1\" >> \"$wcs\"; }\n"
        "%s\n";
    char folder[1024], text[8192];
    CHECK(getcwd(folder, sizeof folder) != NULL);
    snprintf(text, sizeof text, script, folder, what);
    CHECK(mkdir("bin", 0755) == 0 || exists("bin"));
    FILE *file = fopen("bin/solve-field", "w");
    CHECK(file && fputs(text, file) >= 0 && fclose(file) == 0);
    CHECK(chmod("bin/solve-field", 0755) == 0);
}

static int astrid_with_solver(const char *words)
{
    return finish(start("PATH=\"$PWD/bin:$PATH\" TMPDIR=\"$PWD\"", words));
}

/* The WCS that write_frame would have given `turned`. */
static void install_true_solver(void)
{
    char cards[4096], what[4200] = "";
    double t = turned.turn_deg * 3.14159265358979323846 / 180.0, s = 0.5 / 3600.0;
    snprintf(cards, sizeof cards,
             "card 'SIMPLE  =                    T'; card 'BITPIX  =                    8'\n"
             "card 'NAXIS   =                    0'; card \"CTYPE1  = 'RA---TAN'\"\n"
             "card \"CTYPE2  = 'DEC--TAN'\"; card 'CRVAL1  = 150.0'; card 'CRVAL2  = 2.0'\n"
             "card 'CRPIX1  = %.15g'; card 'CRPIX2  = %.15g'\n"
             "card 'CD1_1   = %.15g'; card 'CD1_2   = %.15g'\n"
             "card 'CD2_1   = %.15g'; card 'CD2_2   = %.15g'; card END",
             0.5 * (FRAME_SIDE + 1) + turned.dx, 0.5 * (FRAME_SIDE + 1) + turned.dy, -s * cos(t),
             -s * sin(t), -s * sin(t), s * cos(t));
    snprintf(what, sizeof what, "%s", cards);
    install_solver(what);
}

TEST(an_image_without_wcs_is_solved_by_a_child_and_aligned_by_what_it_says)
{
    frame_scene with_wcs = grid;
    with_wcs.with_wcs = true;
    enter_new_folder();
    write_frame("ref.fits", &with_wcs);
    write_frame("img.fits", &turned);
    install_true_solver();
    CHECK_EQUAL(astrid_with_solver("align img.fits ref.fits --solve --register wcs -o out.fits"),
                0);
    check_stars("out.fits");
    CHECK_EQUAL(astrid_with_solver("align img.fits ref.fits --solve -o out.fits"), 0);
    CHECK(strstr(out_text, "wcs + stars"));
    check_stars("out.fits");
    CHECK(exists("words"));
    CHECK_EQUAL(entries_in("."), 5); /* ref, img, out, bin, words: no folder is left */
    char words[8192];
    FILE *file = fopen("words", "r");
    CHECK(file != NULL);
    words[fread(words, 1, sizeof words - 1, file)] = '\0';
    fclose(file);
    CHECK(strstr(words, "--no-plots\n") && strstr(words, "--cpulimit\n120\n"));
    CHECK(strstr(words, "/image.fits\n") && !strstr(words, "img.fits"));
}

TEST(a_solver_that_is_not_there_fails_hangs_or_talks_nonsense_is_one_clear_line)
{
    frame_scene with_wcs = grid;
    with_wcs.with_wcs = true;
    enter_new_folder();
    write_frame("ref.fits", &with_wcs);
    write_frame("img.fits", &turned);
    static const struct {
        const char *what, *message;
        int exit;
    } cases[] = {{"exit 0", "img.fits: solve-field has found no solution", 3},
                 {"sleep 100", "img.fits: solve-field has found no solution within 1 s", 1},
                 {"echo nonsense > \"$wcs\"", "what solve-field has written holds no WCS", 3},
                 {"card \"CTYPE1  = 'RA---TAN'\"; card \"CTYPE2  = 'DEC--TAN'\"; card END",
                  "the solution of solve-field is no usable WCS", 3},
                 {"kill -9 $$", "img.fits: solve-field has found no solution", 3}};
    for (size_t i = 0; i < AID_COUNT_OF(cases); i++) {
        install_solver(cases[i].what);
        int exit_ = astrid_with_solver(
            "align img.fits ref.fits --solve --solve-timeout 1 --register wcs -o out.fits");
        if (exit_ != cases[i].exit || !one_clear_line(cases[i].message))
            check_fail(__FILE__, __LINE__, "%s: exit %d: %s", cases[i].what, exit_, error_text);
        CHECK(!exists("out.fits"));
        CHECK_EQUAL(entries_in("."), 4); /* ref, img, bin, words */
    }
    CHECK_EQUAL(finish(start("PATH=/nowhere", "align img.fits ref.fits --solve -o out.fits")), 1);
    CHECK(one_clear_line("img.fits: solve-field is not installed"));
}
