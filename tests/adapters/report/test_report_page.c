/* The whole page, written from a synthetic result and read back as a browser would. */
#include "adapters/files/files.h"
#include "adapters/report/summary.h"
#include "tests/adapters/report/synthetic.h"

#include <dirent.h>
#include <png.h>
#include <sys/stat.h>
#include <unistd.h>

static aid_error err;
static char folder[] = "/tmp/astrid_report_XXXXXX";

static const char *path_of(const char *name)
{
    static char path[256];
    if (strstr(folder, "XXXXXX"))
        CHECK(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

/* The page of a result, as text that the caller frees. */
static char *page_of(const aid_process_result *result, const aid_report_facts *facts,
                     aid_pool *pool)
{
    char *text;
    const char *path = path_of("report.html");
    CHECK_OK(aid_report_write(result, facts, path, pool, &err));
    CHECK_OK(aid_read_file(path, 64u << 20, &text, NULL, &err));
    unlink(path);
    return text;
}

static char *page_with(const synthetic_options *options)
{
    aid_process_result result = synthetic_result(options);
    aid_report_facts facts = synthetic_facts();
    char *text = page_of(&result, &facts, NULL);
    synthetic_done(&result);
    return text;
}

static int count_of(const char *text, const char *word)
{
    int count = 0;
    for (const char *at = strstr(text, word); at; at = strstr(at + 1, word))
        count++;
    return count;
}

/* ----------------------------------------------------------------------------------- structure */

/* A tag at `at`, or NULL: its name, whether it closes or stands alone, and where it ends.
 * Attributes have to be quoted, with no bare < inside. */
typedef struct tag {
    char name[24];
    bool closes, alone;
    const char *end;
} tag;

static tag read_tag(const char *at)
{
    tag read = {0};
    const char *c = at + 1;
    read.closes = *c == '/';
    c += read.closes;
    size_t length = strspn(c, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789");
    snprintf(read.name, sizeof read.name, "%.*s", (int)length, c);
    for (c += length; *c && *c != '>'; c++) {
        if (*c == '"') {
            size_t inside = strcspn(c + 1, "\"<");
            if (c[1 + inside] != '"')
                check_fail(__FILE__, __LINE__, "unclosed attribute: %.60s", at);
            c += inside + 1;
        } else if (*c == '<' || *c == '\'') {
            check_fail(__FILE__, __LINE__, "odd tag: %.60s", at);
        }
    }
    static const char *const empty[] = {"meta", "br", "img", "input", "link"};
    read.alone = *c == '>' && c[-1] == '/';
    for (size_t i = 0; i < AID_COUNT_OF(empty); i++)
        read.alone = read.alone || !strcmp(read.name, empty[i]);
    read.end = c + (*c == '>');
    return read;
}

/* Every tag closes in order; script and style hold text. */
static void check_well_formed(const char *page)
{
    char open[64][24];
    int depth = 0;
    const char *at = strchr(page + strlen("<!DOCTYPE html>"), '<');
    for (; at; at = strchr(at, '<')) {
        tag read = read_tag(at);
        if (!read.name[0])
            check_fail(__FILE__, __LINE__, "a bare <: %.60s", at);
        at = read.end;
        if (read.closes) {
            if (depth == 0 || strcmp(open[depth - 1], read.name) != 0)
                check_fail(__FILE__, __LINE__, "</%s> closes <%s>", read.name,
                           depth ? open[depth - 1] : "");
            depth--;
        } else if (!read.alone) {
            CHECK(depth < 64);
            snprintf(open[depth++], sizeof open[0], "%s", read.name);
            if (!strcmp(read.name, "script") || !strcmp(read.name, "style"))
                at = strstr(at, !strcmp(read.name, "script") ? "</script>" : "</style>");
        }
    }
    if (depth)
        check_fail(__FILE__, __LINE__, "<%s> is left open", open[depth - 1]);
}

/* Every href="#x" leads to an id="x". */
static void check_links(const char *page)
{
    int links = 0;
    for (const char *at = strstr(page, "href=\"#"); at; at = strstr(at + 1, "href=\"#")) {
        const char *name = at + strlen("href=\"#");
        char id[64];
        snprintf(id, sizeof id, "id=\"%.*s\"", (int)strcspn(name, "\""), name);
        if (!strstr(page, id))
            check_fail(__FILE__, __LINE__, "no %s", id);
        links++;
    }
    CHECK(links > 8);
}

TEST(the_page_is_well_formed_whatever_is_missing)
{
    synthetic_options options = SYNTHETIC_DEFAULTS;
    char *page = page_with(&options);
    check_well_formed(page);
    check_links(page);
    free(page);
    options = (synthetic_options){.width = 64, .height = 40, .name = "bare.fits"};
    page = page_with(&options);
    check_well_formed(page);
    check_links(page);
    free(page);
}

TEST(the_page_loads_nothing_from_elsewhere)
{
    synthetic_options options = SYNTHETIC_DEFAULTS;
    char *page = page_with(&options);
    CHECK(!strstr(page, "http://") && !strstr(page, "https://") && !strstr(page, "url("));
    CHECK(!strstr(page, "@import") && !strstr(page, "<link"));
    CHECK_EQUAL(count_of(page, " src=\"") - count_of(page, " src=\"data:image/png;base64,"), 0);
    CHECK(strstr(page, "default-src 'none'; img-src data:;") != NULL);
    /* Nothing that the policy would block: no style attributes, no handlers in the markup. */
    CHECK(!strstr(page, " style=\"") && !strstr(page, " onclick") && !strstr(page, " onload"));
    free(page);
}

/* The policy allows the one style sheet and the one script by the hashes of their bytes. */
TEST(the_policy_holds_the_hashes_of_the_style_and_the_script)
{
    static const char *const tags[][2] = {{"<style>", "</style>"}, {"<script>", "</script>"}};
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    synthetic_options options = SYNTHETIC_DEFAULTS;
    char *page = page_with(&options);
    for (int i = 0; i < 2; i++) {
        CHECK_EQUAL(count_of(page, tags[i][0]), 1);
        const char *begin = strstr(page, tags[i][0]) + strlen(tags[i][0]);
        char hex[65], source[64] = "'sha256-";
        aid_sha256(begin, (size_t)(strstr(begin, tags[i][1]) - begin), hex);
        size_t n = strlen(source);
        for (int k = 0; k < 43; k++) { /* 64 digits of 4 bits, read 6 bits at a time */
            unsigned bits = 0;
            for (int b = 6 * k; b < 6 * k + 6; b++) {
                char digit[2] = {b < 256 ? hex[b / 4] : '0', '\0'};
                bits = bits << 1 | (strtoul(digit, NULL, 16) >> (3 - b % 4) & 1);
            }
            source[n++] = digits[bits];
        }
        snprintf(source + n, sizeof source - n, "='");
        CHECK(strstr(page, source) != NULL);
    }
    free(page);
}

/* ------------------------------------------------------------------------------------- escaping */

TEST(text_from_headers_files_and_notes_is_escaped_everywhere)
{
    static const char evil[] = "<script>alert(1)</script>\"><img src=x onerror=alert(2)>'";
    synthetic_options options = SYNTHETIC_DEFAULTS;
    options.name = evil;
    aid_process_result result = synthetic_result(&options);
    aid_exposure *both[] = {&result.science, &result.reference};
    for (int i = 0; i < 2; i++) {
        for (int k = 0; k < both[i]->header.count; k++) {
            free(both[i]->header.cards[k].value);
            both[i]->header.cards[k].value = strdup(evil);
        }
        snprintf(both[i]->gain_origin, sizeof both[i]->gain_origin, "%s", evil);
        snprintf(both[i]->saturation_origin, sizeof both[i]->gain_origin, "%s", evil);
        snprintf(both[i]->zero_point_origin, sizeof both[i]->gain_origin, "%s", evil);
        snprintf(both[i]->name, sizeof both[i]->name, "%s", evil);
        snprintf(both[i]->epoch.warning, sizeof both[i]->epoch.warning, "%s", evil);
    }
    snprintf(result.registration.method, sizeof result.registration.method, "%s", evil);
    aid_note_add(&result.notes, evil, "%s", evil);
    const aid_report_input input = {evil, evil, evil, 0, evil};
    const aid_report_output output = {evil, evil};
    const aid_report_parameter parameter = {evil, evil, evil};
    const aid_report_stage stage = {evil, 1.0, 1.0, 1.0};
    aid_report_facts facts = {evil,       evil, evil,   evil, &input, 1, &output, 1,
                              &parameter, 1,    &stage, 1,    1,      1, 5.0};
    char *page = page_of(&result, &facts, NULL);
    CHECK_EQUAL(count_of(page, "<script>"), 1); /* ours */
    CHECK(!strstr(page, "<img src=x"));
    CHECK(count_of(page, "&lt;script&gt;alert(1)&lt;/script&gt;&quot;&gt;&lt;img src=x") > 15);
    check_well_formed(page);
    free(page);
    synthetic_done(&result);
}

/* ------------------------------------------------------------------------------------- contents */

TEST(the_verdict_counts_candidates_and_states_the_calibration)
{
    synthetic_options options = SYNTHETIC_DEFAULTS;
    char *page = page_with(&options);
    CHECK(strstr(page, "<b>6 candidates</b> above 5&#8239;&#963;, <b>4 without flags</b>. ") !=
          NULL);
    CHECK(strstr(page, "is calibrated: &#963; = 1.004 on sky.") != NULL);
    CHECK_EQUAL(count_of(page, "<article class=\"card\""), 6);
    const char *flagged = strstr(page, "<details>");
    CHECK(flagged != NULL);
    CHECK_EQUAL(count_of(flagged, "<article class=\"card\""), 2);
    CHECK(strstr(flagged, "2 flagged candidates") != NULL);
    CHECK(strstr(flagged, ">cosmic ray</span>") && strstr(flagged, ">dipole</span>"));
    free(page);
}

TEST(a_score_that_is_off_is_called_so_with_what_it_makes_of_the_threshold)
{
    synthetic_options options = SYNTHETIC_DEFAULTS;
    aid_process_result result = synthetic_result(&options);
    aid_report_facts facts = synthetic_facts();
    result.difference.score_sigma = 1.25;
    char *page = page_of(&result, &facts, NULL);
    CHECK(strstr(page, "is not calibrated</b>: &#963; = 1.250 on sky, so that a stated "
                       "5&#8239;&#963; is 4.00&#8239;&#963;") != NULL);
    free(page);
    result.difference.score_sigma = (double)NAN;
    page = page_of(&result, &facts, NULL);
    CHECK(strstr(page, "could not be measured") != NULL);
    free(page);
    synthetic_done(&result);
}

TEST(no_candidate_is_said_plainly_with_what_was_searched)
{
    synthetic_options options = {.width = 120, .height = 100, .stars = 8, .name = "empty.fits"};
    char *page = page_with(&options);
    CHECK(strstr(page, "<b>No candidates</b> above 5&#8239;&#963;") != NULL);
    /* 9 of 100 rows are masked: 120 x 91 pixels. Flux 5 x 10 x 2 sqrt(pi) x 1.6 = 283.6, and 25 mag
     * - 2.5 lg of it. */
    CHECK(strstr(page, "Searched: 10&#8239;920 pixels") != NULL);
    CHECK(strstr(page, "down to a flux of 284 ") != NULL);
    CHECK(strstr(page, "(18.87 mag)") != NULL);
    CHECK(!strstr(page, "<article") && !strstr(page, "id=\"table\""));
    free(page);
}

TEST(coordinates_are_shown_in_both_forms_where_there_is_a_wcs_and_not_at_all_without)
{
    synthetic_options options = SYNTHETIC_DEFAULTS;
    aid_process_result result = synthetic_result(&options);
    aid_report_facts facts = synthetic_facts();
    char *page = page_of(&result, &facts, NULL);
    char ra[16], dec[16], both[40], degrees[64];
    const aid_candidate *first = &result.candidates.items[0];
    aid_sexagesimal(first->ra_deg, first->dec_deg, ra, dec);
    snprintf(both, sizeof both, "%s %s<br>", ra, dec);
    snprintf(degrees, sizeof degrees, "%.6f&#176; %+.6f&#176;", first->ra_deg, first->dec_deg);
    CHECK(ra[0] && strstr(page, both) && strstr(page, degrees));
    CHECK(strstr(page, ">N</text>") && strstr(page, ">E</text>") && strstr(page, "&#8243;</text>"));
    free(page);
    synthetic_done(&result);
    options.wcs = false;
    page = page_with(&options);
    CHECK(!strstr(page, "RA, Dec") && !strstr(page, ">N</text>"));
    CHECK(strstr(page, "10 px</text>") != NULL);
    free(page);
}

TEST(the_bars_of_the_histogram_stand_for_the_counts)
{
    synthetic_options options = SYNTHETIC_DEFAULTS;
    aid_process_result result = synthetic_result(&options);
    aid_report_facts facts = synthetic_facts();
    char *page = page_of(&result, &facts, NULL);
    int64_t naive[82] = {0}; /* of 1/4 sigma from -10 to 10, and what is beyond */
    const aid_image *score = &result.difference.score;
    for (int64_t i = 0; i < (int64_t)score->width * score->height; i++)
        if (isfinite(score->data[i])) {
            int bin = (int)floor(((double)score->data[i] + 10.0) * 4.0);
            naive[AID_CLAMP(bin, -1, 80) + 1]++;
        }
    int bin = 0, bars = 0;
    double first_height = 0.0, first_count = 0.0;
    for (const char *at = strstr(page, "data-n=\""); at; at = strstr(at + 1, "data-n=\"")) {
        long long count;
        double x, y, width, height;
        CHECK_EQUAL(sscanf(at, "data-n=\"%lld\" x=\"%lf\" y=\"%lf\" width=\"%lf\" height=\"%lf\"",
                           &count, &x, &y, &width, &height),
                    5);
        while (bin < 82 && naive[bin] == 0)
            bin++;
        CHECK(bin < 82);
        CHECK_EQUAL(count, naive[bin]);
        /* On a logarithmic axis that starts at 1/2, heights go as lg(2 n). Two decimals. */
        if (!bars) {
            first_height = height;
            first_count = (double)count;
        }
        CHECK_NEAR(height / first_height, log10(2.0 * (double)count) / log10(2.0 * first_count),
                   0.01 / first_height * 20.0);
        bars++;
        bin++;
    }
    for (; bin < 82; bin++)
        CHECK_EQUAL(naive[bin], 0);
    CHECK(bars > 20);
    free(page);
    synthetic_done(&result);
}

TEST(rings_lie_on_the_candidates_in_the_frame_of_the_picture)
{
    synthetic_options options = SYNTHETIC_DEFAULTS;
    aid_process_result result = synthetic_result(&options);
    aid_report_facts facts = synthetic_facts();
    char *page = page_of(&result, &facts, NULL);
    /* FITS pixel (1, 1) is centred on (0.5, height - 0.5) of a drawing with y down. */
    for (int i = 0; i < 4; i++) {
        char ring[80];
        snprintf(ring, sizeof ring, "cx=\"%.1f\" cy=\"%.1f\"", result.candidates.items[i].x - 0.5,
                 options.height - result.candidates.items[i].y + 0.5);
        CHECK(strstr(page, ring) != NULL);
    }
    CHECK(strstr(page, "viewBox=\"0 0 220 180\"") != NULL);
    free(page);
    synthetic_done(&result);
}

/* All stars but one on the fit, and that one 1 % brighter in science: its dot alone is above the
 * line. */
TEST(a_star_that_is_brighter_in_science_lies_above_the_line_of_the_flux_plot)
{
    synthetic_options options = SYNTHETIC_DEFAULTS;
    aid_process_result result = synthetic_result(&options);
    aid_report_facts facts = synthetic_facts();
    aid_photometric_match *match = &result.difference.match;
    for (int i = 0; i < match->count; i++)
        match->stars[i].ratio = synthetic_ratio * (i == 0 ? 1.01 : 1.0);
    char *page = page_of(&result, &facts, NULL);
    const char *plot = strstr(page, "against its flux"), *at = strstr(plot, "rule zero");
    double left, zero;
    CHECK_EQUAL(sscanf(at, "rule zero\" d=\"M%lf %lfH", &left, &zero), 2);
    at = strstr(at, "dots used\" d=\"") + strlen("dots used\" d=\"");
    int above = 0, on = 0, length = 0;
    double x, y;
    for (; sscanf(at, "M%lf %lfh0%n", &x, &y, &length) == 2; at += length) {
        above += y < zero - 5.0;
        on += fabs(y - zero) < 0.2;
    }
    CHECK_EQUAL(above, 1);
    CHECK_EQUAL(on, match->used - 1);
    free(page);
    synthetic_done(&result);
}

TEST(a_shift_that_registration_left_is_stated_and_drawn)
{
    synthetic_options options = SYNTHETIC_DEFAULTS;
    aid_process_result result = synthetic_result(&options);
    aid_report_facts facts = synthetic_facts();
    for (int i = 0; i < result.difference.match.count; i++) {
        result.difference.match.stars[i].dx = 0.3;
        result.difference.match.stars[i].dy = -0.4;
    }
    char *page = page_of(&result, &facts, NULL);
    CHECK(strstr(page, "<b>+0.300&#8239;px</b> in x and <b>-0.400&#8239;px</b> in y") != NULL);
    /* All arrows are 0.5 px, drawn as a fifteenth of 220 px: 14.67 / 0.5 = 29 times enlarged. */
    CHECK(strstr(page, "Over the field, 29 times enlarged.") != NULL);
    free(page);
    synthetic_done(&result);
}

TEST(the_age_of_the_reference_is_told_in_a_unit_that_a_person_uses)
{
    static const struct {
        double days;
        const char *text;
    } cases[] = {{30.0, "reference 30.0&#8239;d earlier"},
                 {-2.5, "reference 2.50&#8239;d later"},
                 {0.25, "reference 6.00&#8239;h earlier"},
                 {0.02, "reference 28.8&#8239;min earlier"}};
    synthetic_options options = SYNTHETIC_DEFAULTS;
    aid_process_result result = synthetic_result(&options);
    aid_report_facts facts = synthetic_facts();
    for (size_t i = 0; i < AID_COUNT_OF(cases); i++) {
        result.reference.epoch.mid_mjd_utc = result.science.epoch.mid_mjd_utc - cases[i].days;
        char *page = page_of(&result, &facts, NULL);
        CHECK(strstr(page, cases[i].text) != NULL);
        free(page);
    }
    synthetic_done(&result);
}

TEST(the_completeness_table_holds_wilson_intervals)
{
    synthetic_options options = SYNTHETIC_DEFAULTS;
    char *page = page_with(&options);
    /* scipy 1.10.1, as in test_report_parts.c: 5 of 10 is 23.66 to 76.34 per cent. */
    CHECK(strstr(page, "5 of 10</td><td class=\"num\">50.0&#8239;%</td><td "
                       "class=\"num\">23.7&#8211;76.3&#8239;%") != NULL);
    free(page);
    options.injected = 0;
    page = page_with(&options);
    CHECK(strstr(page, "Not measured in this run") != NULL);
    free(page);
}

TEST(provenance_names_files_hashes_parameters_and_times)
{
    synthetic_options options = SYNTHETIC_DEFAULTS;
    char *page = page_with(&options);
    static const char *const texts[] = {
        "night/science.fits",
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "1 SCI",
        "astrid run science.fits reference.fits --inject 80",
        "header MAGZERO",
        "<th>subtract</th>",
        ">0.440</td>",
        ">1.170</td>",
        "38 stars matched of 40",
        "NGC 1234",
        "60310.250000",
        "30.0000 d"};
    for (size_t i = 0; i < AID_COUNT_OF(texts); i++)
        if (!strstr(page, texts[i]))
            check_fail(__FILE__, __LINE__, "the page lacks '%s'", texts[i]);
    free(page);
}

/* ------------------------------------------------------------------------------------- pictures */

static uint8_t value_of(char digit)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = strchr(digits, digit);
    CHECK(at && digit);
    return (uint8_t)(at - digits);
}

/* The picture whose alt text begins so, decoded by libpng to RGB. */
static uint8_t *picture_of(const char *page, const char *alt, png_image *ret_image)
{
    char start[80];
    snprintf(start, sizeof start, "alt=\"%s", alt);
    const char *at = strstr(page, start);
    CHECK(at != NULL);
    at = strstr(at, "base64,") + strlen("base64,");
    size_t length = strcspn(at, "\"");
    uint8_t *png = malloc(length);
    CHECK(png && length % 4 == 0);
    size_t size = 0;
    for (size_t i = 0; i < length; i += 4) {
        uint32_t bits = 0;
        for (int k = 0; k < 4; k++)
            bits = bits << 6 | (at[i + (size_t)k] == '=' ? 0u : value_of(at[i + (size_t)k]));
        png[size++] = (uint8_t)(bits >> 16);
        if (at[i + 2] != '=')
            png[size++] = (uint8_t)(bits >> 8);
        if (at[i + 3] != '=')
            png[size++] = (uint8_t)bits;
    }
    *ret_image = (png_image){.version = PNG_IMAGE_VERSION};
    CHECK(png_image_begin_read_from_memory(ret_image, png, size));
    ret_image->format = PNG_FORMAT_RGB;
    uint8_t *pixels = malloc(PNG_IMAGE_SIZE(*ret_image));
    CHECK(pixels && png_image_finish_read(ret_image, NULL, pixels, 0, NULL));
    free(png);
    return pixels;
}

static const uint8_t *colour_at(const uint8_t *pixels, const png_image *image, int x, int y)
{
    return pixels + 3 * ((size_t)(image->height - 1 - (unsigned)y) * image->width + (unsigned)x);
}

TEST(the_science_picture_is_bright_where_the_brightest_star_is)
{
    synthetic_options options = SYNTHETIC_DEFAULTS;
    aid_process_result result = synthetic_result(&options);
    aid_report_facts facts = synthetic_facts();
    char *page = page_of(&result, &facts, NULL);
    const aid_matched_star *best = &result.difference.match.stars[0];
    for (int i = 1; i < result.difference.match.count; i++)
        if (result.difference.match.stars[i].flux_science > best->flux_science)
            best = &result.difference.match.stars[i];
    static const char *const views[] = {"Science image", "Reference image"};
    for (int i = 0; i < 2; i++) {
        png_image image;
        uint8_t *pixels = picture_of(page, views[i], &image);
        CHECK_EQUAL(image.width, options.width); /* smaller than 900 px: not shrunk */
        CHECK_EQUAL(image.height, options.height);
        const uint8_t *colour =
            colour_at(pixels, &image, (int)lround(best->x), (int)lround(best->y));
        CHECK(colour[0] > 230 && colour[1] > 230 && colour[2] > 230);
        double sum = 0.0;
        for (size_t k = 0; k < PNG_IMAGE_SIZE(image); k++)
            sum += pixels[k];
        CHECK(sum / (double)PNG_IMAGE_SIZE(image) < 100.0); /* and dark on the whole */
        /* The masked rows at the bottom of the science image are violet: more red and blue than
         * green. */
        const uint8_t *masked = colour_at(pixels, &image, 50, 2);
        CHECK((masked[0] > masked[1] + 15 && masked[2] > masked[1] + 15) == (i == 0));
        free(pixels);
    }
    free(page);
    synthetic_done(&result);
}

/* The reference is shown times the flux ratio, on the limits of the science image. An error of the
 * ratio r by r^2 = 1.56 would shift the greys of stars by ln(1.56) of an asinh scale of about 6.5,
 * 17 of 255; noise moves a star of peak 155 +- 12 by 3, and the mean over forty stars by 0.5. */
TEST(an_unchanged_star_is_equally_bright_in_both_pictures)
{
    synthetic_options options = SYNTHETIC_DEFAULTS;
    aid_process_result result = synthetic_result(&options);
    aid_report_facts facts = synthetic_facts();
    char *page = page_of(&result, &facts, NULL);
    png_image image;
    uint8_t *science = picture_of(page, "Science image", &image);
    uint8_t *reference = picture_of(page, "Reference image", &image);
    double sum = 0.0;
    int count = 0;
    for (int i = 0; i < result.difference.match.count; i++) {
        const aid_matched_star *star = &result.difference.match.stars[i];
        int x = (int)lround(star->x), y = (int)lround(star->y);
        if (y < 6)
            continue; /* masked */
        sum += *colour_at(science, &image, x, y) - *colour_at(reference, &image, x, y);
        count++;
    }
    CHECK(count > 30);
    CHECK_NEAR(sum / count, 0.0, 4.0);
    free(science);
    free(reference);
    free(page);
    synthetic_done(&result);
}

TEST(cut_outs_show_the_candidate_in_the_middle_with_the_colour_of_its_sign)
{
    synthetic_options options = SYNTHETIC_DEFAULTS;
    char *page = page_with(&options);
    for (int id = 1; id <= 4; id++) {
        char alt[64];
        snprintf(alt, sizeof alt, "score around candidate %d", id);
        png_image image;
        uint8_t *pixels = picture_of(page, alt, &image);
        CHECK_EQUAL(image.width, 39); /* 2 ceil(5 x 3.77) + 1 */
        const uint8_t *middle = colour_at(pixels, &image, 19, 19);
        bool is_fading = id % 3 == 0;
        CHECK(is_fading ? middle[2] > middle[0] + 25 : middle[0] > middle[2] + 25);
        if (id == 1) { /* at 45 sigma, the brightest pixel is the nearest one, or next to it */
            int best_x = 0, best_y = 0, best = 0;
            for (int y = 0; y < 39; y++)
                for (int x = 0; x < 39; x++) {
                    const uint8_t *colour = colour_at(pixels, &image, x, y);
                    if (colour[0] + colour[1] + colour[2] > best) {
                        best = colour[0] + colour[1] + colour[2];
                        best_x = x;
                        best_y = y;
                    }
                }
            CHECK_NEAR(best_x, 19, 1);
            CHECK_NEAR(best_y, 19, 1);
        }
        free(pixels);
    }
    free(page);
}

static aid_psf psf_of(const aid_exposure *exposure)
{
    aid_stars_options finding = AID_STARS_DEFAULTS;
    aid_psf_options modelling = AID_PSF_DEFAULTS;
    aid_stars stars;
    aid_psf psf;
    CHECK_OK(aid_stars_find(&exposure->image, &exposure->mask, &exposure->noise, &finding, NULL,
                            &stars, &err));
    CHECK_OK(aid_psf_build(&exposure->image, &exposure->mask, &exposure->noise, &stars, &modelling,
                           NULL, NULL, &psf, &err));
    aid_stars_done(&stars);
    return psf;
}

TEST(psf_pictures_are_bright_in_the_middle_and_dark_at_the_corners)
{
    synthetic_options options = SYNTHETIC_DEFAULTS;
    aid_process_result result = synthetic_result(&options);
    aid_report_facts facts = synthetic_facts();
    result.science.psf = psf_of(&result.science);
    char *page = page_of(&result, &facts, NULL);
    CHECK(!strstr(page, "alt=\"PSF of the Reference")); /* it has no model */
    static const char *const names[] = {"PSF of the Science", "PSF of the Difference"};
    for (int i = 0; i < 2; i++) {
        png_image image;
        uint8_t *pixels = picture_of(page, names[i], &image);
        int half = (int)image.width / 2;
        int side = 2 * AID_MIN(result.science.psf.radius_px, 12) + 1; /* P_D has 25 px */
        CHECK(image.width == (unsigned)side && image.height == (unsigned)side);
        CHECK(*colour_at(pixels, &image, half, half) == 255);
        CHECK(*colour_at(pixels, &image, half + 3, half) > 100); /* 17 % of the peak */
        CHECK(*colour_at(pixels, &image, 0, 0) < 60);
        free(pixels);
    }
    CHECK(strstr(page, "class=\"curve science\" d=\"M58.0 ") != NULL); /* its profile */
    free(page);
    aid_psf_done(&result.science.psf);
    synthetic_done(&result);
}

/* ------------------------------------------------------------------------------- size and order */

TEST(large_images_and_many_candidates_stay_within_bounds)
{
    synthetic_options options = {.width = 1301,
                                 .height = 950,
                                 .stars = 2500,
                                 .candidates = 2300,
                                 .flagged = 900,
                                 .wcs = true,
                                 .name = "crowded.fits"};
    char *page = page_with(&options);
    CHECK(strlen(page) < 6u << 20);
    CHECK_EQUAL(count_of(page, "<article class=\"card\""), AID_REPORT_MAX_PICTURED);
    CHECK_EQUAL(count_of(page, "<tr id=\"r"), AID_REPORT_MAX_ROWS);
    CHECK(strstr(page, "1&#8239;300 more without pictures") != NULL);
    CHECK(strstr(page, "The first 2000 of 2&#8239;300 are shown here") != NULL);
    png_image image;
    free(picture_of(page, "Difference image", &image));
    CHECK_EQUAL(image.width, 651); /* 1301 / 2, the last one half a block */
    CHECK_EQUAL(image.height, 475);
    check_well_formed(page);
    check_links(page);
    free(page);
}

TEST(the_page_is_the_same_at_any_number_of_threads)
{
    synthetic_options options = SYNTHETIC_DEFAULTS;
    aid_process_result result = synthetic_result(&options);
    aid_report_facts facts = synthetic_facts();
    aid_pool *pool = NULL;
    CHECK_OK(aid_pool_new(7, &pool, &err));
    char *one = page_of(&result, &facts, NULL), *many = page_of(&result, &facts, pool);
    CHECK(!strcmp(one, many));
    free(one);
    free(many);
    aid_pool_free(pool);
    synthetic_done(&result);
}

/* ------------------------------------------------------------------------------------- refusals */

static int files_in(const char *path)
{
    DIR *stream = opendir(path);
    CHECK(stream != NULL);
    int count = 0;
    for (struct dirent *entry = readdir(stream); entry; entry = readdir(stream))
        count += strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..");
    closedir(stream);
    return count;
}

TEST(a_folder_that_does_not_exist_is_refused_and_nothing_is_left)
{
    synthetic_options options = SYNTHETIC_DEFAULTS;
    aid_process_result result = synthetic_result(&options);
    aid_report_facts facts = synthetic_facts();
    CHECK_REFUSED(aid_report_write(&result, &facts, path_of("missing/report.html"), NULL, &err),
                  AID_ERR_IO, "missing/report.html");
    CHECK_EQUAL(files_in(folder), 0);
    synthetic_done(&result);
}

TEST(an_incomplete_result_is_refused_before_a_file_is_made)
{
    synthetic_options options = SYNTHETIC_DEFAULTS;
    aid_process_result result = synthetic_result(&options);
    aid_report_facts facts = synthetic_facts();
    aid_image score = result.difference.score;
    result.difference.score = (aid_image){0};
    CHECK_REFUSED(aid_report_write(&result, &facts, path_of("report.html"), NULL, &err),
                  AID_ERR_INVALID, "220 x 180");
    result.difference.score = score;
    facts.threshold = (double)NAN;
    CHECK_REFUSED(aid_report_write(&result, &facts, path_of("report.html"), NULL, &err),
                  AID_ERR_INVALID, "threshold");
    CHECK_EQUAL(files_in(folder), 0);
    synthetic_done(&result);
}

/* Values that a failed fit leaves behind must not leave the plots or the markup. */
TEST(numbers_that_are_not_finite_leave_dashes_and_no_trace_in_the_drawing)
{
    synthetic_options options = SYNTHETIC_DEFAULTS;
    aid_process_result result = synthetic_result(&options);
    aid_report_facts facts = synthetic_facts();
    const double nan = (double)NAN;
    result.difference.match.ratio = result.difference.match.scatter = nan;
    result.difference.match.coefficients[0] = 0.0;
    result.difference.fwhm_px = result.science.psf.fwhm_px = nan;
    result.reference.psf.fwhm_px = nan;
    result.registration.rms_px = nan;
    result.difference.astrometric_x_px = (double)INFINITY;
    result.injection.snr_50 = nan;
    result.science.zero_point = nan;
    result.candidates.items[0].score = nan;
    result.candidates.items[1].x = nan;
    result.candidates.items[2].y = 1e300;
    for (int i = 0; i < 5; i++)
        result.difference.match.stars[i].dx = nan;
    char *page = page_of(&result, &facts, NULL);
    check_well_formed(page);
    for (const char *at = strstr(page, " d=\""); at; at = strstr(at + 1, " d=\"")) {
        char path[200];
        snprintf(path, sizeof path, "%.*s", (int)strcspn(at + 4, "\""), at + 4);
        CHECK(!strstr(path, "nan") && !strstr(path, "inf"));
    }
    CHECK(!strstr(page, ">nan") && !strstr(page, "+nan") && !strstr(page, " nan"));
    CHECK(!strstr(page, "\"nan\"") && !strstr(page, "\"-nan\"") && !strstr(page, "\"inf\""));
    free(page);
    synthetic_done(&result);
}

__attribute__((destructor)) static void remove_folder(void)
{
    rmdir(folder);
}

TEST_MAIN()
