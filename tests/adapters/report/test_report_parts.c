/* The parts of the report that know nothing of a run: text, numbers, PNG, statistics, ticks. */
#include "adapters/report/html.h"
#include "adapters/report/summary.h"
#include "adapters/report/svg.h"
#include "core/base/random.h"
#include "tests/check.h"

#include <png.h>
#include <stdbool.h>

static aid_error err;

/* ----------------------------------------------------------------------------------------- text */

/* What `function(out, ...)` writes, as a string that lives until the next call. */
static char *written;
static size_t written_size;

static FILE *start_writing(void)
{
    free(written);
    written = NULL;
    FILE *out = open_memstream(&written, &written_size);
    CHECK(out != NULL);
    return out;
}

static const char *escaped(const char *text)
{
    FILE *out = start_writing();
    aid_html_text(out, text);
    fclose(out);
    return written;
}

TEST(text_from_outside_cannot_open_a_tag_or_leave_an_attribute)
{
    CHECK_TEXT(escaped("<script>alert('x')</script>"),
               "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;");
    CHECK_TEXT(escaped("\" onload=`a` & b"), "&quot; onload=&#96;a&#96; &amp; b");
    CHECK_TEXT(escaped("&lt;"), "&amp;lt;");
    CHECK_TEXT(escaped(NULL), "");
}

TEST(bytes_that_are_no_text_become_the_replacement_character)
{
    CHECK_TEXT(escaped("a\x01"
                       "b"),
               "a\xEF\xBF\xBD"
               "b");
    CHECK_TEXT(escaped("\xC0\xBC"), "\xEF\xBF\xBD\xEF\xBF\xBD"); /* overlong '<' */
    CHECK_TEXT(escaped("\xFF"), "\xEF\xBF\xBD");
    CHECK_TEXT(escaped("\xC2\x85"), "\xEF\xBF\xBD");     /* a C1 control */
    CHECK_TEXT(escaped("\xE2\x80\xAE"), "\xEF\xBF\xBD"); /* right-to-left override */
    CHECK_TEXT(escaped("\xCE\xB1 Ori"), "\xCE\xB1 Ori");
}

TEST(a_text_without_end_is_cut)
{
    char *text = malloc(100001);
    CHECK(text != NULL);
    memset(text, 'a', 100000);
    text[100000] = '\0';
    const char *out = escaped(text);
    free(text);
    CHECK(strlen(out) <= AID_HTML_MAX_TEXT + 16);
    CHECK(strstr(out, "a&#8230;") != NULL);
}

static const char *significant(double value, int digits)
{
    FILE *out = start_writing();
    aid_html_significant(out, value, digits);
    fclose(out);
    return written;
}

TEST(numbers_keep_the_digits_that_are_asked_for)
{
    CHECK_TEXT(significant(1234.5678, 3), "1235");
    CHECK_TEXT(significant(0.012345, 3), "0.0123");
    CHECK_TEXT(significant(-2.5e-7, 2), "-2.5&times;10<sup>-7</sup>");
    CHECK_TEXT(significant(1.0e9, 3), "1.00&times;10<sup>9</sup>");
    CHECK_TEXT(significant(0.0, 3), "0");
    CHECK_TEXT(significant((double)NAN, 3), "&ndash;");
    CHECK_TEXT(significant((double)INFINITY, 3), "&ndash;");
}

TEST(counts_are_grouped_by_thousands)
{
    FILE *out = start_writing();
    aid_html_count(out, 1234567);
    fputc('|', out);
    aid_html_count(out, 999);
    fputc('|', out);
    aid_html_plural(out, 1, "star");
    fclose(out);
    CHECK_TEXT(written, "1&#8239;234&#8239;567|999|1 star");
}

/* RFC 4648, section 10. */
TEST(base64_gives_the_vectors_of_its_standard)
{
    static const char *const pairs[][2] = {{"", ""},
                                           {"f", "Zg=="},
                                           {"fo", "Zm8="},
                                           {"foo", "Zm9v"},
                                           {"foob", "Zm9vYg=="},
                                           {"fooba", "Zm9vYmE="},
                                           {"foobar", "Zm9vYmFy"}};
    for (size_t i = 0; i < AID_COUNT_OF(pairs); i++) {
        char out[16] = {0};
        size_t length = aid_base64((const uint8_t *)pairs[i][0], strlen(pairs[i][0]), out);
        CHECK_EQUAL(length, strlen(pairs[i][1]));
        CHECK_TEXT(out, pairs[i][1]);
    }
}

/* ---------------------------------------------------------------------------------- coordinates */

/* astropy 5.2.1, SkyCoord to_string with precision 3 and 2, but that its 24 hours are 0 here. */
TEST(coordinates_never_show_sixty_seconds)
{
    char ra[16], dec[16];
    aid_sexagesimal(150.1, 2.2, ra, dec);
    CHECK_TEXT(ra, "10:00:24.000");
    CHECK_TEXT(dec, "+02:12:00.00");
    aid_sexagesimal(359.99999999, -0.00001, ra, dec);
    CHECK_TEXT(ra, "00:00:00.000");
    CHECK_TEXT(dec, "-00:00:00.04");
    aid_sexagesimal(15.0 - 1e-9, 59.9999999999, ra, dec);
    CHECK_TEXT(ra, "01:00:00.000");
    CHECK_TEXT(dec, "+60:00:00.00");
    aid_sexagesimal(-0.5, -90.0, ra, dec);
    CHECK_TEXT(ra, "23:58:00.000");
    CHECK_TEXT(dec, "-90:00:00.00");
    aid_sexagesimal((double)NAN, 0.0, ra, dec);
    CHECK_TEXT(ra, "");
    aid_sexagesimal(10.0, 91.0, ra, dec);
    CHECK_TEXT(dec, "");
}

/* ----------------------------------------------------------------------------------- statistics */

/* scipy 1.10.1: binomtest(k, n).proportion_ci(0.95, 'wilson'), printed to twelve digits. */
TEST(wilson_intervals_are_those_of_scipy)
{
    static const struct {
        int found, tried;
        double low, high;
    } cases[] = {{0, 10, 0.0, 0.277532799863},
                 {5, 10, 0.236593090513, 0.763406909487},
                 {10, 10, 0.722467200137, 1.0},
                 {81, 90, 0.820758251246, 0.946493248303},
                 {1, 1, 0.206549314377, 1.0}};
    for (size_t i = 0; i < AID_COUNT_OF(cases); i++) {
        aid_interval interval = aid_wilson(cases[i].found, cases[i].tried, 1.959963984540054);
        CHECK_NEAR(interval.low, cases[i].low, 1e-11);
        CHECK_NEAR(interval.high, cases[i].high, 1e-11);
    }
    aid_interval nothing = aid_wilson(0, 0, 1.96);
    CHECK(nothing.low == 0.0 && nothing.high == 1.0);
}

/* Worsley's form of the same expectation: resels x 4 ln 2 (2 pi)^(-3/2) u exp(-u^2/2), where a
 * resel of noise filtered by a Gaussian of FWHM f is f^2 pixels. Evaluated with numpy 1.24.2. */
TEST(the_expected_number_of_noise_peaks_is_worsleys)
{
    CHECK_NEAR(aid_expected_noise_peaks(2048.0 * 2048.0, 4.0, 5.0), 0.8598932747506437, 1e-9);
}

TEST(the_fitted_flux_ratio_follows_its_polynomial)
{
    aid_photometric_match match = {.degree = 2, .coefficients = {2, 0.1, 0.2, 0.3, 0.4, 0.5}};
    /* At (150, 25) of 200 x 100: u = 0.5, v = -0.5. */
    double by_hand = 2 + 0.1 * 0.5 - 0.2 * 0.5 + 0.3 * 0.25 - 0.4 * 0.25 + 0.5 * 0.25;
    CHECK_NEAR(aid_report_flux_ratio(&match, 200, 100, 150.0, 25.0), by_hand, 1e-14);
    match.degree = 0;
    CHECK_NEAR(aid_report_flux_ratio(&match, 200, 100, 150.0, 25.0), 2.0, 1e-14);
}

/* ---------------------------------------------------------------------------------------- ticks */

TEST(ticks_are_round_and_within_the_axis)
{
    double ticks[AID_PLOT_MAX_TICKS];
    aid_axis axis = {-10.25, 10.25, false, ""};
    CHECK_EQUAL(aid_axis_ticks(&axis, 7, ticks), 5);
    for (int i = 0; i < 5; i++)
        CHECK_NEAR(ticks[i], -10.0 + 5.0 * i, 1e-12);
    axis = (aid_axis){0.0, 1.05, false, ""};
    CHECK_EQUAL(aid_axis_ticks(&axis, 6, ticks), 6);
    CHECK_NEAR(ticks[5], 1.0, 1e-12);
    axis = (aid_axis){0.5, 2.0e5, true, ""};
    CHECK_EQUAL(aid_axis_ticks(&axis, 6, ticks), 6);
    CHECK_NEAR(ticks[0], 1.0, 1e-12);
    CHECK_NEAR(ticks[5], 1e5, 1e-6);
    CHECK_NEAR(aid_round_up(0.021), 0.05, 1e-15);
    CHECK_NEAR(aid_round_up(5.0), 5.0, 1e-15);
    CHECK_NEAR(aid_round_up(-1.0), 1.0, 0.0);
}

TEST(an_axis_without_extent_or_sense_still_makes_a_plot)
{
    static const aid_axis odd[] = {{5.0, 5.0, false, "a"},
                                   {(double)NAN, 1.0, false, "a"},
                                   {(double)INFINITY, -(double)INFINITY, true, "a"},
                                   {-1.0, 10.0, true, "a"},
                                   {1e300, 1e-300, false, "a"}};
    for (size_t i = 0; i < AID_COUNT_OF(odd); i++) {
        FILE *out = start_writing();
        aid_plot plot;
        aid_plot_begin(&plot, out, 300.0, 200.0, odd[i], odd[i], "odd");
        aid_plot_end(&plot);
        fclose(out);
        CHECK(strstr(written, "nan") == NULL && strstr(written, "inf") == NULL);
        CHECK(strstr(written, "</svg>") != NULL);
    }
}

TEST(dots_beyond_the_frame_are_shown_on_its_rim)
{
    FILE *out = start_writing();
    aid_plot plot;
    aid_axis axis = {0.0, 1.0, false, "a"};
    aid_plot_begin(&plot, out, 300.0, 200.0, axis, axis, "rim");
    long before = ftell(out);
    const double x[] = {0.5, 0.5, (double)NAN}, y[] = {0.5, 9.0, 0.5};
    aid_plot_dots(&plot, x, y, 3, "used");
    fclose(out);
    char inside[64], rim[64];
    snprintf(inside, sizeof inside, "d=\"M%.1f %.1fh0\"", aid_plot_x(&plot, 0.5),
             aid_plot_y(&plot, 0.5));
    snprintf(rim, sizeof rim, "d=\"M%.1f %.1fl3 6l-6 0z\"", aid_plot_x(&plot, 0.5), plot.top);
    CHECK(strstr(written + before, inside) != NULL);
    CHECK(strstr(written + before, rim) != NULL);
}

/* ------------------------------------------------------------------------------------------ PNG */

/* libpng's own reader is the oracle. */
TEST(a_png_decodes_to_the_colours_that_went_in)
{
    enum { WIDTH = 37, HEIGHT = 21 };
    aid_palette palette = {.count = 256};
    for (int i = 0; i < 256; i++)
        palette.colours[i] = (aid_colour){(uint8_t)i, (uint8_t)(255 - i), (uint8_t)(i * 7)};
    aid_picture picture;
    CHECK_OK(aid_picture_init(WIDTH, HEIGHT, &picture, &err));
    aid_random random = aid_random_seeded(5, 0);
    for (int i = 0; i < WIDTH * HEIGHT; i++)
        picture.pixels[i] = (uint8_t)(aid_random_bits(&random) >> 56);
    aid_bytes png;
    CHECK_OK(aid_png_encode(&picture, &palette, &png, &err));

    png_image image = {.version = PNG_IMAGE_VERSION};
    CHECK(png_image_begin_read_from_memory(&image, png.data, png.size));
    CHECK_EQUAL(image.width, WIDTH);
    CHECK_EQUAL(image.height, HEIGHT);
    image.format = PNG_FORMAT_RGB;
    uint8_t pixels[HEIGHT][WIDTH][3];
    CHECK(png_image_finish_read(&image, NULL, pixels, 0, NULL));
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++) {
            aid_colour expected = palette.colours[picture.pixels[y * WIDTH + x]];
            CHECK_EQUAL(pixels[y][x][0], expected.red);
            CHECK_EQUAL(pixels[y][x][1], expected.green);
            CHECK_EQUAL(pixels[y][x][2], expected.blue);
        }
    aid_bytes_done(&png);
    aid_picture_done(&picture);
}

TEST(a_pixel_without_a_colour_is_refused)
{
    aid_palette palette = {.count = 3};
    aid_picture picture;
    CHECK_OK(aid_picture_init(4, 4, &picture, &err));
    picture.pixels[5] = 3;
    aid_bytes png = {.size = 77};
    CHECK_REFUSED(aid_png_encode(&picture, &palette, &png, &err), AID_ERR_INVALID,
                  "beyond its 3 colours");
    CHECK(png.size == 77 && png.data == NULL);
    aid_picture_done(&picture);
    CHECK_REFUSED(aid_picture_init(0, 4, &picture, &err), AID_ERR_INVALID, "0 x 4");
}

TEST_MAIN()
