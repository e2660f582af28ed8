/* What is read is what was written: against files made by hand, and against the values that
 * astropy 5.2.1 gives for the files in ../shared/data. */
#define _GNU_SOURCE
#include "adapters/fits/fits.h"
#include "core/base/pool.h"
#include "tests/adapters/fits/decode_here.h"
#include "tests/adapters/fits/naive_fits.h"
#include "tests/check.h"

#include <fitsio.h>
#include <ftw.h>
#include <strings.h>
#include <sys/stat.h>

static aid_error err;

static aid_fits_image decode(const naive_fits *file, const char *hdu)
{
    aid_fits_image image;
    aid_fits_request request = {.hdu = hdu};
    CHECK_OK(decode_here(file->bytes, file->size, &request, &image, &err));
    return image;
}

/* The file is refused with that text, and the result is not touched. */
static void check_refused(const naive_fits *file, const char *hdu, const char *text)
{
    aid_fits_image image = {.hdu = 12345};
    aid_fits_request request = {.hdu = hdu};
    CHECK_REFUSED(decode_here(file->bytes, file->size, &request, &image, &err), AID_ERR_INVALID,
                  text);
    CHECK(!strncmp(err.message, "x.fits: ", 8));
    CHECK_EQUAL(image.hdu, 12345);
}

/* The same float, or both NaN. */
static void check_pixel(float actual, double expected)
{
    if (isnan(expected) ? !isnan(actual) : actual != (float)expected)
        check_fail(__FILE__, __LINE__, "pixel is %.9g, not %.9g", (double)actual, expected);
}

static void check_pixels(const aid_image *image, const double *expected, int count)
{
    CHECK_EQUAL((int64_t)image->width * image->height, count);
    for (int i = 0; i < count; i++)
        check_pixel(image->data[i], expected[i]);
}

/* ----------------------------------------------------------------------------------------- pixels
 */

static const int bitpixes[] = {8, 16, 32, 64, -32, -64};

/* Values at the ends of each type's range, and in between. */
static void stored_values(int bitpix, double *values, int count)
{
    double low = bitpix == 8 ? 0.0 : bitpix > 0 ? -ldexp(1.0, bitpix - 1) : -1e30;
    double high = bitpix == 8 ? 255.0 : bitpix > 32 ? 9e18 : bitpix > 0 ? -low - 1.0 : 1e30;
    for (int i = 0; i < count; i++)
        values[i] = bitpix > 0 ? i : 0.1 * i - 1.7;
    values[0] = low;
    values[1] = high;
    values[2] = bitpix == 8 ? 17.0 : -3.0;
}

TEST(every_bitpix_gives_zero_plus_scale_times_the_stored_value)
{
    enum { WIDTH = 7, HEIGHT = 5, COUNT = WIDTH * HEIGHT };
    static const double scalings[][2] = {
        {1.0, 0.0}, {2.5, -10.0}, {-0.125, 1000.5}, {1.0, 32768.0}};
    for (size_t b = 0; b < AID_COUNT_OF(bitpixes); b++)
        for (size_t s = 0; s < AID_COUNT_OF(scalings); s++) {
            double stored[COUNT], expected[COUNT];
            stored_values(bitpixes[b], stored, COUNT);
            naive_fits file = {0};
            naive_primary(&file, bitpixes[b], 2, WIDTH, HEIGHT);
            naive_card(&file, "BSCALE  = %.17G", scalings[s][0]);
            naive_card(&file, "BZERO   = %.17G / offset", scalings[s][1]);
            naive_end(&file);
            naive_values(&file, bitpixes[b], stored, COUNT);
            for (int i = 0; i < COUNT; i++) {
                double value = bitpixes[b] == -32 ? (double)(float)stored[i] : stored[i];
                expected[i] = scalings[s][1] + scalings[s][0] * value;
            }
            aid_fits_image image = decode(&file, NULL);
            CHECK_EQUAL(image.image.width, WIDTH);
            CHECK_EQUAL(image.image.height, HEIGHT);
            CHECK_EQUAL(image.image.stride, WIDTH);
            CHECK_EQUAL(image.bitpix, bitpixes[b]);
            CHECK_EQUAL(image.hdu, 0);
            CHECK(image.bscale == scalings[s][0] && image.bzero == scalings[s][1]);
            check_pixels(&image.image, expected, COUNT);
            aid_fits_image_done(&image);
            naive_free(&file);
        }
}

TEST(unsigned_numbers_of_16_32_and_64_bits_are_never_negative)
{
    static const uint64_t values[] = {0, 1, 255, 1ull << 15, 65535};
    for (int bits = 16; bits <= 64; bits *= 2) {
        naive_fits file = {0};
        naive_primary(&file, bits, 2, 5, 1);
        naive_card(&file, "BZERO   = %.0f", ldexp(1.0, bits - 1));
        naive_end(&file);
        double expected[5];
        for (int i = 0; i < 5; i++) {
            /* Shifted up to use the type's whole range; then stored less 2^(bits-1), which flips
             * the highest bit. */
            uint64_t value = values[i] << (bits - 16);
            naive_whole(&file, bits / 8, value ^ (1ull << (bits - 1)));
            expected[i] = (double)value;
        }
        naive_fill(&file, '\0');
        aid_fits_image image = decode(&file, NULL);
        check_pixels(&image.image, expected, 5);
        aid_fits_image_done(&image);
        naive_free(&file);
    }
}

/* Stored -32768, -1, 0, 1, 32767. */
static aid_fits_image decode_whole(const char *card, int bits)
{
    static const double stored[] = {-32768, -1, 0, 1, 32767};
    naive_fits file = {0};
    naive_primary(&file, bits, 2, 5, 1);
    naive_card(&file, "BZERO   =                32768");
    if (card)
        naive_card(&file, "%s", card);
    naive_end(&file);
    naive_values(&file, bits, stored, 5);
    aid_fits_image image;
    aid_fits_request request = {.keep_whole = true, .skip_companions = true};
    CHECK_OK(decode_here(file.bytes, file.size, &request, &image, &err));
    naive_free(&file);
    return image;
}

TEST(unsigned_16_bit_pixels_come_as_such_where_that_is_asked_for)
{
    static const uint16_t expected[] = {0, 32767, 32768, 32769, 65535};
    aid_fits_image image = decode_whole(NULL, 16);
    CHECK(image.whole && !image.image.data);
    CHECK_EQUAL(image.width, 5);
    CHECK_EQUAL(image.height, 1);
    CHECK(!memcmp(image.whole, expected, sizeof expected));
    CHECK(aid_header_text(&image.header, "BZERO") != NULL);
    aid_fits_image_done(&image);
}

/* Bytes that the decoder has given back, one behind the other. */
static const uint8_t *released_from, *released_to;
static int releases;

static void note_release(const uint8_t *bytes, size_t size)
{
    CHECK(releases == 0 || bytes == released_to);
    released_from = releases == 0 ? bytes : released_from;
    released_to = bytes + size;
    releases++;
}

TEST(a_large_plain_image_is_given_back_in_parts_while_it_is_decoded_and_nothing_besides)
{
    enum { WIDTH = 700, HEIGHT = 400, COUNT = WIDTH * HEIGHT };
    for (int whole = 0; whole < 2; whole++) {
        naive_fits file = {0};
        naive_primary(&file, 16, 2, WIDTH, HEIGHT);
        naive_card(&file, "BZERO   = 32768");
        naive_end(&file);
        size_t header = file.size;
        for (int i = 0; i < COUNT; i++)
            naive_value(&file, 16, i % 60000 - 30000);
        naive_fill(&file, '\0');
        reply_block block = {0};
        aid_fits_reply_memory memory = {allocate_block, &block, note_release};
        aid_fits_request request = {.skip_companions = true, .keep_whole = whole == 1};
        aid_fits_image image;
        releases = 0;
        CHECK_OK(aid_fits_decode(file.bytes, file.size, &request, &memory, &err));
        CHECK_OK(
            take_block(&block, whole ? AID_FITS_PARTS_WHOLE : AID_FITS_PARTS_IMAGE, &image, &err));
        CHECK(releases > 2);
        CHECK(released_from == file.bytes + header && released_to == released_from + 2 * COUNT);
        for (int i = 0; i < COUNT; i += 997)
            CHECK_EQUAL(whole ? image.whole[i] : (int)image.image.data[i], i % 60000 + 2768);
        aid_fits_image_done(&image);
        free(block.bytes);
        naive_free(&file);
    }
}

TEST(other_pixels_come_as_floats_all_the_same)
{
    static const double expected[] = {0, 32767, 32768, 32769, 65535},
                        half[] = {16384, 32767.5, 32768, 32768.5, 49151.5},
                        blank[] = {0, NAN, 32768, 32769, 65535};
    aid_fits_image image = decode_whole(NULL, 32);
    CHECK(!image.whole);
    check_pixels(&image.image, expected, 5);
    aid_fits_image_done(&image);
    image = decode_whole("BSCALE  =                  0.5", 16);
    CHECK(!image.whole);
    check_pixels(&image.image, half, 5);
    aid_fits_image_done(&image);
    image = decode_whole("BLANK   =                   -1", 16);
    CHECK(!image.whole);
    check_pixels(&image.image, blank, 5);
    aid_fits_image_done(&image);
}

TEST(blank_pixels_are_nan_before_they_are_scaled)
{
    for (int bits = 8; bits <= 64; bits *= 2) {
        const double stored[] = {0, 7, 42, 41, 43, 42}, expected[] = {5, 19, NAN, 87, 91, NAN};
        naive_fits file = {0};
        naive_primary(&file, bits, 2, 3, 2);
        naive_card(&file, "BLANK   =                   42");
        naive_card(&file, "BSCALE  =                  2.0");
        naive_card(&file, "BZERO   =                5.0D0");
        naive_end(&file);
        naive_values(&file, bits, stored, 6);
        aid_fits_image image = decode(&file, NULL);
        check_pixels(&image.image, expected, 6);
        aid_fits_image_done(&image);
        naive_free(&file);
    }
}

TEST(infinite_pixels_and_those_beyond_a_float_are_nan_and_blank_means_nothing_to_floats)
{
    for (int bitpix = -32; bitpix >= -64; bitpix -= 32) {
        const double stored[] = {INFINITY, -INFINITY, NAN, 42.0, 1e38, bitpix == -64 ? 1e300 : NAN};
        const double expected[] = {NAN, NAN, NAN, 42.0, (double)1e38f, NAN};
        naive_fits file = {0};
        naive_primary(&file, bitpix, 2, 2, 3);
        naive_card(&file, "BLANK   =                   42");
        naive_end(&file);
        naive_values(&file, bitpix, stored, 6);
        aid_fits_image image = decode(&file, NULL);
        check_pixels(&image.image, expected, 6);
        aid_fits_image_done(&image);
        naive_free(&file);
    }
}

TEST(axes_of_length_one_beyond_the_second_do_not_count_and_others_do)
{
    for (int depth = 1; depth <= 2; depth++) {
        const double values[] = {1, 2, 3, 4, 5, 6, 7, 8};
        naive_fits file = {0};
        naive_card(&file, "SIMPLE  =                    T");
        naive_card(&file, "BITPIX  =                   16");
        naive_card(&file, "NAXIS   =                    4");
        naive_card(&file, "NAXIS1  =                    2");
        naive_card(&file, "NAXIS2  =                    2");
        naive_card(&file, "NAXIS3  =                    1");
        naive_card(&file, "NAXIS4  =                    %d", depth);
        naive_end(&file);
        naive_values(&file, 16, values, 4 * depth);
        if (depth == 1) {
            aid_fits_image image = decode(&file, NULL);
            check_pixels(&image.image, values, 4);
            aid_fits_image_done(&image);
        } else {
            check_refused(&file, NULL,
                          "no 2-D image in 1 HDU (HDU 0 is a 4-D image of 2 x 2 x 1 x 2)");
        }
        naive_free(&file);
    }
}

/* ---------------------------------------------------------------------------------- choosing HDUs
 */

static const double four[] = {1, 2, 3, 4}, other_four[] = {5, 6, 7, 8};

/* Empty primary, SCI and ERR of two chips, a table. */
static naive_fits two_chips(void)
{
    naive_fits file = {0};
    naive_empty_primary(&file);
    for (int chip = 1; chip <= 2; chip++) {
        static const char *const names[] = {"ERR", "SCI"};
        for (int i = 0; i < 2; i++) {
            const double values[] = {chip, 2.0 * chip, 10.0 + i, 4};
            naive_extension(&file, "IMAGE", -32, 2, 2);
            naive_counts(&file, 0);
            naive_card(&file, "EXTNAME = '%s     '", names[i]);
            naive_card(&file, "EXTVER  = %20d", chip);
            naive_end(&file);
            naive_values(&file, -32, values, 4);
        }
    }
    naive_table(&file);
    return file;
}

TEST(an_image_is_chosen_by_number_or_name_or_name_and_version_else_the_first_that_is_no_companion)
{
    static const struct {
        const char *hdu;
        int expected;
    } cases[] = {{NULL, 2}, {"", 2},    {"4", 4},     {"sci", 2}, {"SCI,2", 4},
                 {"1", 1},  {"ERR", 1}, {"err,2", 3}, {"02", 2}};
    naive_fits file = two_chips();
    for (size_t i = 0; i < AID_COUNT_OF(cases); i++) {
        aid_fits_image image = decode(&file, cases[i].hdu);
        CHECK_EQUAL(image.hdu, cases[i].expected);
        CHECK_TEXT(image.hdu_name, cases[i].expected % 2 ? "ERR" : "SCI");
        CHECK_EQUAL(image.image.data[0], cases[i].expected > 2 ? 2 : 1);
        CHECK_EQUAL(image.image.data[2], cases[i].expected % 2 ? 10 : 11);
        aid_fits_image_done(&image);
    }
    check_refused(&file, "0", "HDU 0: not a 2-D image but empty");
    check_refused(&file, "5", "HDU 5: not a 2-D image but a binary table");
    check_refused(&file, "6", "no HDU 6: there are 6, counted from 0");
    check_refused(&file, "99999999", "no HDU named '99999999' among 6");
    check_refused(&file, "DQ", "no HDU named 'DQ' among 6");
    check_refused(&file, "SCI,3", "no HDU named 'SCI,3' among 6");
    check_refused(&file, "caf\xc3\xa9", "no HDU named 'caf?\?' among 6");
    naive_free(&file);
}

TEST(a_file_of_nothing_but_a_companion_gives_that_and_a_file_without_images_says_what_it_has)
{
    naive_fits file = {0};
    naive_empty_primary(&file);
    naive_table(&file);
    check_refused(&file, NULL, "no 2-D image in 2 HDUs (HDU 0 is empty, HDU 1 is a binary table)");
    naive_image(&file, "WEIGHT", -32, 2, 2, four);
    aid_fits_image image = decode(&file, NULL);
    CHECK_EQUAL(image.hdu, 2);
    CHECK(!image.variance.data && !image.mask.data);
    aid_fits_image_done(&image);
    naive_free(&file);
}

/* ------------------------------------------------------------------------------------- companions
 */

TEST(variance_error_and_weight_extensions_become_variance)
{
    const double numbers[] = {4, 0, -1, 0.25};
    const double variance[] = {4, 0, NAN, 0.25}, squared[] = {16, 0, NAN, 0.0625},
                 inverse[] = {0.25, NAN, NAN, 4};
    const struct {
        const char *name;
        const double *expected;
    } cases[] = {{"VARIANCE", variance}, {"var", variance},  {"ERR", squared},
                 {"Error", squared},     {"SIGMA", squared}, {"UNCERT", squared},
                 {"WEIGHT", inverse},    {"WHT", inverse},   {"IVAR", inverse}};
    for (size_t i = 0; i < AID_COUNT_OF(cases); i++) {
        naive_fits file = {0};
        naive_primary(&file, 16, 2, 2, 2);
        naive_end(&file);
        naive_values(&file, 16, four, 4);
        naive_image(&file, cases[i].name, -64, 2, 2, numbers);
        aid_fits_image image = decode(&file, NULL);
        check_pixels(&image.image, four, 4);
        CHECK(image.variance.data);
        check_pixels(&image.variance, cases[i].expected, 4);
        CHECK(!image.mask.data);
        aid_fits_image_done(&image);
        naive_free(&file);
    }
}

TEST(a_variance_goes_before_an_error_and_an_error_before_a_weight)
{
    naive_fits file = {0};
    naive_primary(&file, 16, 2, 2, 2);
    naive_end(&file);
    naive_values(&file, 16, four, 4);
    naive_image(&file, "WHT", 16, 2, 2, four);
    naive_image(&file, "ERR", 16, 2, 2, four);
    const double squares[] = {1, 4, 9, 16};
    aid_fits_image image = decode(&file, NULL);
    check_pixels(&image.variance, squares, 4);
    aid_fits_image_done(&image);
    naive_image(&file, "VAR", 16, 2, 2, other_four);
    image = decode(&file, NULL);
    check_pixels(&image.variance, other_four, 4);
    aid_fits_image_done(&image);
    naive_free(&file);
}

TEST(companions_of_another_shape_or_version_are_left_alone_and_so_are_all_when_asked)
{
    naive_fits file = two_chips();
    const double of_first[] = {1, 4, 100, 16}, of_second[] = {4, 16, 100, 16};
    aid_fits_image image = decode(&file, "SCI,1");
    check_pixels(&image.variance, of_first, 4);
    aid_fits_image_done(&image);
    image = decode(&file, "SCI,2");
    check_pixels(&image.variance, of_second, 4);
    aid_fits_image_done(&image);

    aid_fits_request alone = {.hdu = "SCI,2", .skip_companions = true};
    CHECK_OK(decode_here(file.bytes, file.size, &alone, &image, &err));
    CHECK(image.image.data && !image.variance.data);
    aid_fits_image_done(&image);
    naive_free(&file);

    naive_primary(&file, 16, 2, 2, 2);
    naive_end(&file);
    naive_values(&file, 16, four, 4);
    naive_image(&file, "VAR", 16, 4, 1, four);
    naive_image(&file, "MASK", 16, 1, 4, four);
    image = decode(&file, NULL);
    CHECK(image.image.data && !image.variance.data && !image.mask.data);
    aid_fits_image_done(&image);
    naive_free(&file);
}

TEST(of_several_companions_without_the_image_s_version_none_is_taken_and_a_lone_one_is)
{
    for (int companions = 1; companions <= 2; companions++) {
        naive_fits file = {0};
        naive_primary(&file, 16, 2, 2, 2);
        naive_end(&file);
        naive_values(&file, 16, four, 4);
        for (int i = 0; i < companions; i++) {
            naive_extension(&file, "IMAGE", 16, 2, 2);
            naive_counts(&file, 0);
            naive_card(&file, "EXTNAME = 'VAR'");
            naive_card(&file, "EXTVER  = %20d", i + 7);
            naive_end(&file);
            naive_values(&file, 16, other_four, 4);
        }
        aid_fits_image image = decode(&file, NULL);
        CHECK_EQUAL(image.variance.data != NULL, companions == 1);
        aid_fits_image_done(&image);
        naive_free(&file);
    }
}

TEST(any_value_but_zero_in_a_mask_is_bad)
{
    static const char *const names[] = {"MASK", "DQ", "badpix"};
    for (size_t n = 0; n < AID_COUNT_OF(names); n++)
        for (size_t b = 0; b < AID_COUNT_OF(bitpixes); b++) {
            const double whole[] = {0, 1, 64, 0}, real[] = {0, 0.25, NAN, -0.0};
            naive_fits file = {0};
            naive_primary(&file, -32, 2, 2, 2);
            naive_end(&file);
            naive_values(&file, -32, four, 4);
            naive_image(&file, names[n], bitpixes[b], 2, 2, bitpixes[b] > 0 ? whole : real);
            aid_fits_image image = decode(&file, NULL);
            const uint8_t expected[] = {0, AID_MASK_BAD, AID_MASK_BAD, 0};
            CHECK(image.mask.data && !memcmp(image.mask.data, expected, 4));
            CHECK_EQUAL(image.mask.width, 2);
            aid_fits_image_done(&image);
            naive_free(&file);
        }
}

TEST(mask_planes_that_the_header_names_mean_what_they_are_called)
{
    naive_fits file = {0};
    naive_primary(&file, -32, 2, 4, 2);
    naive_end(&file);
    const double pixels[8] = {0};
    naive_values(&file, -32, pixels, 8);
    naive_extension(&file, "IMAGE", 32, 4, 2);
    naive_counts(&file, 0);
    naive_card(&file, "EXTTYPE = 'MASK    '");
    naive_card(&file, "MP_BAD  =                    0");
    naive_card(&file, "MP_SAT  =                    1");
    naive_card(&file, "MP_INTRP=                    2");
    naive_card(&file, "MP_CR   =                    3");
    naive_card(&file, "MP_EDGE =                    4");
    naive_card(&file, "HIERARCH MP_DETECTED =       5");
    naive_card(&file, "HIERARCH MP_DETECTED_NEGATIVE = 6");
    naive_card(&file, "HIERARCH MP_NO_DATA =       30");
    naive_end(&file);
    const double planes[] = {0, 1, 2, 4, 8, 16, 32 + 64, 1.0 + 2 + 8 + 1073741824.0};
    naive_values(&file, 32, planes, 8);
    const uint8_t expected[] = {0,
                                AID_MASK_BAD,
                                AID_MASK_SATURATED,
                                0,
                                AID_MASK_COSMIC_RAY,
                                AID_MASK_EDGE,
                                0,
                                AID_MASK_BAD | AID_MASK_SATURATED | AID_MASK_COSMIC_RAY |
                                    AID_MASK_NO_DATA};
    aid_fits_image image = decode(&file, NULL);
    CHECK(image.mask.data && !memcmp(image.mask.data, expected, sizeof expected));
    aid_fits_image_done(&image);
    naive_free(&file);
}

/* ------------------------------------------------------------------------------------------ cards
 */

static void check_card(const aid_header *header, const char *keyword, aid_card_kind kind,
                       const char *value, const char *comment)
{
    const aid_card *card = aid_header_find(header, keyword);
    if (!card)
        check_fail(__FILE__, __LINE__, "no card %s", keyword);
    CHECK_EQUAL(card->kind, kind);
    CHECK_TEXT(card->value, value);
    CHECK_TEXT(card->comment, comment);
}

TEST(cards_of_every_kind_keep_their_text)
{
    naive_fits file = {0};
    naive_primary(&file, 8, 2, 1, 1);
    naive_card(&file, "OBJECT  = 'O''Neill ''s  '     / whose / object");
    naive_card(&file, "EMPTY   = ''");
    naive_card(&file, "OPEN    = 'no end");
    naive_card(&file, "FLAG    =                    F / no");
    naive_card(&file, "EXPTIME =             1.5D+02 / s");
    naive_card(&file, "NEGATIVE=-.5");
    naive_card(&file, "EXPOSURE= 6,4E-05 / decimal comma");
    naive_card(&file, "COMPLEX = (1.0, 2.0)");
    naive_card(&file, "UNDEF   =                      / nothing");
    naive_card(&file, "lower   =                    3");
    naive_card(&file, "DUPE    =                    1");
    naive_card(&file, "DUPE    =                    2");
    naive_card(&file, "HIERARCH ESO DET NAME = 'e2v' / chip");
    naive_card(&file, "HIERARCH without equals sign");
    naive_card(&file, "COMMENT   = 'not a value'");
    naive_card(&file, "HISTORY bias  removed");
    naive_card(&file, "        text without a name");
    naive_card(&file, "SLOPE     no value either");
    naive_card(&file, "DEGREES = '20\xb0\x01 C'  / \xc3\xa9t\xc3\xa9");
    naive_end(&file);
    naive_values(&file, 8, four, 1);
    aid_fits_image image = decode(&file, NULL);
    const aid_header *header = &image.header;
    CHECK_EQUAL(header->count, 5 + 19);
    check_card(header, "SIMPLE", AID_CARD_LOGICAL, "T", "made by hand");
    check_card(header, "NAXIS1", AID_CARD_NUMBER, "1", "");
    check_card(header, "OBJECT", AID_CARD_STRING, "O'Neill 's", "whose / object");
    check_card(header, "EMPTY", AID_CARD_STRING, "", "");
    check_card(header, "OPEN", AID_CARD_STRING, "no end", "");
    check_card(header, "FLAG", AID_CARD_LOGICAL, "F", "no");
    check_card(header, "EXPTIME", AID_CARD_NUMBER, "1.5D+02", "s");
    check_card(header, "NEGATIVE", AID_CARD_NUMBER, "-.5", "");
    check_card(header, "EXPOSURE", AID_CARD_OTHER, "6,4E-05", "decimal comma");
    check_card(header, "COMPLEX", AID_CARD_OTHER, "(1.0, 2.0)", "");
    check_card(header, "UNDEF", AID_CARD_OTHER, "", "nothing");
    CHECK_TEXT(aid_header_find(header, "LOWER")->keyword, "LOWER");
    check_card(header, "DUPE", AID_CARD_NUMBER, "1", "");
    CHECK_TEXT(header->cards[16].value, "2");
    check_card(header, "ESO DET NAME", AID_CARD_STRING, "e2v", "chip");
    check_card(header, "HIERARCH", AID_CARD_COMMENT, "", " without equals sign");
    check_card(header, "COMMENT", AID_CARD_COMMENT, "", "  = 'not a value'");
    check_card(header, "HISTORY", AID_CARD_COMMENT, "", "bias  removed");
    check_card(header, "", AID_CARD_COMMENT, "", "text without a name");
    check_card(header, "SLOPE", AID_CARD_COMMENT, "", "  no value either");
    check_card(header, "DEGREES", AID_CARD_STRING, "20?? C", "??t??");
    aid_fits_image_done(&image);
    naive_free(&file);
}

TEST(a_string_that_goes_on_in_continue_cards_is_one_card)
{
    naive_fits file = {0};
    naive_primary(&file, 8, 2, 1, 1);
    naive_card(&file, "LONG    = 'first, &'  / one");
    naive_card(&file, "CONTINUE  'second&' / two");
    naive_card(&file, "CONTINUE  ' and third'");
    naive_card(&file, "ALONE   = 'an ampersand &'");
    naive_card(&file, "CONTINUE  stray text");
    naive_card(&file, "AFTER   =                    7");
    naive_end(&file);
    naive_values(&file, 8, four, 1);
    aid_fits_image image = decode(&file, NULL);
    check_card(&image.header, "LONG", AID_CARD_STRING, "first, second and third", "one two");
    check_card(&image.header, "ALONE", AID_CARD_STRING, "an ampersand &", "");
    check_card(&image.header, "CONTINUE", AID_CARD_COMMENT, "", "  stray text");
    check_card(&image.header, "AFTER", AID_CARD_NUMBER, "7", "");
    CHECK_EQUAL(image.header.count, 5 + 4);
    aid_fits_image_done(&image);
    naive_free(&file);
}

TEST(a_continued_string_may_be_as_long_as_the_limit_and_no_longer)
{
    for (int extra = 0; extra <= 1; extra++) {
        naive_fits file = {0};
        naive_primary(&file, 8, 2, 1, 1);
        char text[65];
        memset(text, 'x', 64);
        text[64] = '\0';
        naive_card(&file, "LONG    = '%s&'", text);
        for (int i = 1; i < AID_MAX_CARD_VALUE / 64; i++)
            naive_card(&file, "CONTINUE  '%s&'", text);
        naive_card(&file, "CONTINUE  '%s'", extra ? "x" : "");
        naive_end(&file);
        naive_values(&file, 8, four, 1);
        if (extra) {
            check_refused(&file, NULL, "HDU 0: LONG goes on for more than 4096 bytes");
        } else {
            aid_fits_image image = decode(&file, NULL);
            CHECK_EQUAL(strlen(aid_header_text(&image.header, "LONG")), AID_MAX_CARD_VALUE);
            aid_fits_image_done(&image);
        }
        naive_free(&file);
    }
}

/* A primary header with exposure and coordinates, and an extension with some of its own. */
static naive_fits inheriting(bool own_coordinates)
{
    naive_fits file = {0};
    naive_primary(&file, 8, 0, 0, 0);
    naive_card(&file, "EXPTIME =                 30.0 / of the primary");
    naive_card(&file, "FILTER  = 'r'");
    naive_card(&file, "CTYPE1  = 'RA---TAN'");
    naive_card(&file, "CD1_1   =                 1E-4");
    naive_card(&file, "A_ORDER =                    2");
    naive_card(&file, "RADESYS = 'FK5'");
    naive_card(&file, "CHECKSUM= 'abc'");
    naive_card(&file, "COMMENT from the primary");
    naive_end(&file);
    naive_extension(&file, "IMAGE", 8, 1, 1);
    naive_counts(&file, 0);
    naive_card(&file, "FILTER  = 'g'");
    naive_card(&file, "COMMENT from the extension");
    if (own_coordinates)
        naive_card(&file, "CTYPE1  = 'RA---TPV'");
    naive_end(&file);
    naive_values(&file, 8, four, 1);
    return file;
}

TEST(an_extension_inherits_what_it_lacks_but_no_half_of_another_coordinate_system)
{
    for (int own = 0; own <= 1; own++) {
        naive_fits file = inheriting(own);
        aid_fits_image image = decode(&file, NULL);
        const aid_header *header = &image.header;
        check_card(header, "EXPTIME", AID_CARD_NUMBER, "30.0", "of the primary");
        check_card(header, "FILTER", AID_CARD_STRING, "g", "");
        check_card(header, "RADESYS", AID_CARD_STRING, "FK5", "");
        check_card(header, "CTYPE1", AID_CARD_STRING, own ? "RA---TPV" : "RA---TAN", "");
        CHECK_EQUAL(aid_header_find(header, "CD1_1") == NULL, own);
        CHECK_EQUAL(aid_header_find(header, "A_ORDER") == NULL, own);
        CHECK(!aid_header_find(header, "SIMPLE") && !aid_header_find(header, "CHECKSUM"));
        int comments = 0;
        for (int i = 0; i < header->count; i++)
            comments += !strcmp(header->cards[i].keyword, "COMMENT");
        CHECK_EQUAL(comments, 2);
        aid_fits_image_done(&image);
        naive_free(&file);
    }
}

/* ------------------------------------------------------------------------------------ compression
 */

enum { SIDE = 100 };

/* Smooth sky, noise and a star: what every algorithm can compress without loss. */
static void fill_compressible(int16_t *pixels)
{
    uint32_t state = 1;
    for (int i = 0; i < SIDE * SIDE; i++) {
        state = state * 1664525u + 1013904223u; /* Numerical Recipes' generator */
        double dx = i % SIDE - 40, dy = i / SIDE - 60;
        pixels[i] = (int16_t)(100 + (int)(state >> 29) + 900 * exp(-(dx * dx + dy * dy) / 8.0));
    }
}

/* CFITSIO writes the file; lossless whole numbers must come back to the bit. */
static naive_fits compressed_by_cfitsio(int algorithm, const long tile[2], const int16_t *pixels)
{
    int status = 0;
    fitsfile *file = NULL;
    size_t size = 2880;
    void *memory = malloc(size);
    long axes[2] = {SIDE, SIDE}, tiles[2] = {tile[0], tile[1]};
    fits_create_memfile(&file, &memory, &size, 2880, realloc, &status);
    fits_create_img(file, 8, 0, axes, &status);
    fits_set_compression_type(file, algorithm, &status);
    fits_set_tile_dim(file, 2, tiles, &status);
    fits_create_img(file, SHORT_IMG, 2, axes, &status);
    fits_update_key_str(file, "OBJECT", "M 13", "compressed", &status);
    int16_t *copy = malloc(sizeof *copy * SIDE * SIDE);
    CHECK(copy != NULL);
    memcpy(copy, pixels, sizeof *copy * SIDE * SIDE);
    fits_write_img(file, TSHORT, 1, SIDE * SIDE, copy, &status);
    free(copy);
    fits_flush_file(file, &status);
    fits_close_file(file, &status);
    if (status)
        check_fail(__FILE__, __LINE__, "CFITSIO error %d", status);
    naive_fits written = {0};
    naive_bytes(&written, memory, size);
    free(memory);
    return written;
}

TEST(lossless_compression_of_every_kind_and_tile_is_undone_to_the_bit)
{
    static const int algorithms[] = {RICE_1, GZIP_1, GZIP_2, PLIO_1, HCOMPRESS_1};
    static const long tiles[][2] = {{SIDE, 1}, {32, 32}, {SIDE, SIDE}};
    static int16_t pixels[SIDE * SIDE];
    fill_compressible(pixels);
    for (size_t a = 0; a < AID_COUNT_OF(algorithms); a++)
        for (size_t t = 0; t < AID_COUNT_OF(tiles); t++) {
            if (algorithms[a] == HCOMPRESS_1 && tiles[t][1] == 1)
                continue; /* needs two dimensions */
            naive_fits file = compressed_by_cfitsio(algorithms[a], tiles[t], pixels);
            aid_fits_image image = decode(&file, NULL);
            CHECK_EQUAL(image.hdu, 1);
            CHECK_EQUAL(image.bitpix, 16);
            for (int i = 0; i < SIDE * SIDE; i++)
                check_pixel(image.image.data[i], pixels[i]);
            check_card(&image.header, "NAXIS1", AID_CARD_NUMBER, "100",
                       "length of original image axis");
            check_card(&image.header, "OBJECT", AID_CARD_STRING, "M 13", "compressed");
            CHECK(!aid_header_find(&image.header, "ZIMAGE"));
            CHECK(!aid_header_find(&image.header, "TTYPE1"));
            aid_fits_image_done(&image);
            aid_fits_request as_mask = {.mask_alone = true};
            CHECK_OK(decode_here(file.bytes, file.size, &as_mask, &image, &err));
            for (int i = 0; i < SIDE * SIDE; i++)
                CHECK_EQUAL(image.mask.data[i], (pixels[i] & 0xff) ? pixels[i] & 0xff : 1);
            aid_fits_image_done(&image);
            naive_free(&file);
        }
}

/* --------------------------------------------------------------------------- by way of the child
 */

static char folder[64];

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *where)
{
    (void)status;
    (void)kind;
    (void)where;
    return remove(path);
}

static void remove_folder(void)
{
    nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* Writes the bytes under a name in a folder of this test; the path lives until the next call. */
static const char *put_file(const char *name, const void *bytes, size_t size)
{
    static char path[192];
    if (!folder[0]) {
        snprintf(folder, sizeof folder, "/tmp/aid_test_fits_read_XXXXXX");
        CHECK(mkdtemp(folder));
        atexit(remove_folder);
    }
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    CHECK(file && fwrite(bytes, 1, size, file) == size && fclose(file) == 0);
    return path;
}

TEST(a_file_is_read_by_the_child_with_everything_in_it_and_its_hash)
{
    naive_fits file = two_chips();
    const char *path = put_file("chips.fits", file.bytes, file.size);
    aid_fits_read_options options = AID_FITS_READ_DEFAULTS;
    options.hdu = "SCI,2";
    aid_fits_image image, here = decode(&file, "SCI,2");
    CHECK_OK(aid_fits_read(path, &options, &image, &err));
    CHECK_EQUAL(image.hdu, 4);
    CHECK(!memcmp(image.image.data, here.image.data, 4 * sizeof(float)));
    CHECK(!memcmp(image.variance.data, here.variance.data, 4 * sizeof(float)));
    CHECK_EQUAL(image.header.count, here.header.count);
    char command[256], hash[65] = "";
    snprintf(command, sizeof command, "sha256sum %s", path); /* coreutils is the oracle */
    FILE *pipe = popen(command, "r");
    CHECK(pipe && fread(hash, 1, 64, pipe) == 64);
    pclose(pipe);
    CHECK_TEXT(image.sha256, hash);
    aid_fits_image_done(&image);
    options.skip_companions = true;
    CHECK_OK(aid_fits_read(path, &options, &image, &err));
    CHECK(!image.variance.data);
    aid_fits_image_done(&image);
    CHECK_OK(aid_fits_read(path, NULL, &image, &err));
    CHECK_EQUAL(image.hdu, 2);
    aid_fits_image_done(&image);
    aid_fits_image_done(&here);
    naive_free(&file);
}

TEST(headers_alone_come_with_the_shape_and_the_hash_and_without_pixels)
{
    naive_fits file = two_chips();
    const char *path = put_file("chips.fits", file.bytes, file.size);
    aid_fits_read_options options = AID_FITS_READ_DEFAULTS;
    aid_fits_image whole, header;
    CHECK_OK(aid_fits_read(path, &options, &whole, &err));
    options.headers_only = true;
    CHECK_OK(aid_fits_read(path, &options, &header, &err));
    CHECK(!header.image.data && !header.variance.data && !header.mask.data);
    CHECK(header.width == whole.image.width && header.height == whole.image.height);
    CHECK_EQUAL(header.hdu, whole.hdu);
    CHECK_EQUAL(header.header.count, whole.header.count);
    for (int i = 0; i < header.header.count; i++)
        CHECK_TEXT(header.header.cards[i].value, whole.header.cards[i].value);
    CHECK_TEXT(header.sha256, whole.sha256);
    aid_fits_image_done(&whole);
    aid_fits_image_done(&header);
    path = put_file("short.fits", file.bytes, file.size - 2880);
    CHECK_REFUSED(aid_fits_read(path, &options, &header, &err), AID_ERR_INVALID, "short.fits");
    naive_free(&file);
}

TEST(a_mask_file_keeps_its_low_bytes_and_has_the_image_s_shape)
{
    const double values[] = {0, 1, 2, 255, 256, 259};
    const uint8_t expected[] = {0, 1, 2, 255, AID_MASK_BAD, 3};
    naive_fits file = {0};
    naive_primary(&file, 32, 2, 3, 2);
    naive_end(&file);
    naive_values(&file, 32, values, 6);
    const char *path = put_file("mask.fits", file.bytes, file.size);
    aid_mask mask;
    char hash[65] = "";
    CHECK_OK(aid_fits_read_mask(path, 3, 2, &mask, hash, &err));
    CHECK(!memcmp(mask.data, expected, sizeof expected));
    CHECK_EQUAL(strlen(hash), 64);
    aid_mask_done(&mask);

    char untouched[65] = "untouched";
    mask.width = 77;
    CHECK_REFUSED(aid_fits_read_mask(path, 2, 3, &mask, untouched, &err), AID_ERR_INVALID,
                  "mask.fits: HDU 0: a mask of 3 x 2 pixels for an image of 2 x 3");
    CHECK_TEXT(untouched, "untouched");
    CHECK_EQUAL(mask.width, 77);
    naive_free(&file);

    naive_primary(&file, -32, 2, 3, 2);
    naive_end(&file);
    naive_values(&file, -32, values, 6);
    path = put_file("real.fits", file.bytes, file.size);
    CHECK_REFUSED(aid_fits_read_mask(path, 3, 2, &mask, untouched, &err), AID_ERR_INVALID,
                  "HDU 0: a mask is of whole numbers, but BITPIX is -32");
    naive_image(&file, "DQ", 8, 3, 2, values);
    path = put_file("both.fits", file.bytes, file.size);
    CHECK_OK(aid_fits_read_mask(path, 3, 2, &mask, NULL, &err));
    CHECK_EQUAL(mask.data[3], 255);
    aid_mask_done(&mask);
    naive_free(&file);
}

typedef struct many_reads {
    const char *path;
    float first[6];
} many_reads;

static aid_status read_one(void *context, int64_t task, int worker, aid_error *error)
{
    (void)worker;
    many_reads *reads = context;
    aid_fits_image image;
    AID_TRY(aid_fits_read(reads->path, NULL, &image, error));
    reads->first[task] = image.image.data[3];
    aid_fits_image_done(&image);
    return AID_OK;
}

TEST(several_threads_may_read_at_once)
{
    naive_fits file = two_chips();
    many_reads reads = {.path = put_file("chips.fits", file.bytes, file.size)};
    aid_pool *pool;
    CHECK_OK(aid_pool_new(3, &pool, &err));
    CHECK_OK(aid_pool_run(pool, 6, read_one, &reads, &err));
    aid_pool_free(pool);
    for (int i = 0; i < 6; i++)
        CHECK_EQUAL(reads.first[i], 4);
    naive_free(&file);
}

/* --------------------------------------------------------------------------------------- real data
 */

static const char data_root[] = "../shared/data";

static void need_data(void)
{
    if (access(data_root, R_OK) != 0)
        check_skip("no ../shared/data");
}

typedef struct summary {
    double mean, sigma, low, high;
    int64_t missing;
} summary;

static summary summarise(const aid_image *image)
{
    summary result = {.low = INFINITY, .high = -INFINITY};
    int64_t count = (int64_t)image->width * image->height;
    double sum = 0.0, squares = 0.0;
    for (int64_t i = 0; i < count; i++) {
        double value = (double)image->data[i];
        result.missing += isnan(value);
        if (isnan(value))
            continue;
        sum += value;
        result.low = fmin(result.low, value);
        result.high = fmax(result.high, value);
    }
    result.mean = sum / (double)(count - result.missing);
    for (int64_t i = 0; i < count; i++) {
        double deviation = (double)image->data[i] - result.mean;
        squares += isnan(deviation) ? 0.0 : deviation * deviation;
    }
    result.sigma = sqrt(squares / (double)(count - result.missing));
    return result;
}

/* numpy.nanmean, nanstd, nanmin, nanmax of the data that astropy 5.2.1 gives, in double; printed to
 * ten digits. Files with a BSCALE are scaled in float32 by astropy, and in double here: rounding
 * then differs by half a unit of the last of 24 bits, 6e-8 of values that are up to 30 means high.
 */
static const struct {
    const char *path;
    int hdu, width, height, bitpix;
    summary expected;
} real_files[] = {
    {"asi120/bias_0001.fit.gz", 0, 1280, 960, 16, {2299.908229, 36.01073212, 1952, 2656, 0}},
    {"astroscrappy/gmos.fits",
     1,
     200,
     150,
     -32,
     {70.18299252, 101.760924, 18.713871, 4978.684082, 0}},
    {"ccdproc/a8280271.fits", 0, 536, 520, 16, {296.0003121, 29.29694567, 187, 1715, 0}},
    {"decam/DEC-OBS04a.mini.fits",
     0,
     256,
     256,
     -64,
     {12.5083281, 200.9796386, -142.2250977, 11496.09863, 0}},
    {"eso085/aligned_eso085-030-004.fit",
     0,
     1024,
     682,
     16,
     {8176.443713, 1010.413711, 1150, 65535, 0}},
    {"exotic_hatp32/HATP-32171220013343.FITS",
     0,
     650,
     500,
     16,
     {374.15812, 103.7604208, 246, 4095, 0}},
    {"goto/3.fits", 0, 900, 800, -32, {3266.009215, 714.6909393, 2809.491211, 73789.05469, 0}},
    {"hst_acs/j8bt06nyq_flt.fits.gz",
     1,
     1024,
     1024,
     -32,
     {1263.724587, 8270.624523, -7.988621712, 162628.25, 0}},
    {"isis_ogle/bach_test0.fits", 0, 330, 330, -32, {227.0037282, 486.1418162, 59, 10545, 0}},
    {"lsst_sim/im1.fits", 1, 512, 512, -32, {2.186029018, 39.61581302, -74, 1741.555054, 0}},
    {"nickel/d1059.fits.gz", 0, 1056, 1024, 16, {1484.464217, 2107.613864, 831, 65535, 0}},
    {"panoptes/solved.fits.fz", 1, 700, 700, 16, {2236.816731, 398.0763498, 2033, 13863, 0}},
    {"photutils/M6707HH.fits", 0, 1059, 1059, 16, {3988.591315, 1069.124944, 2331, 13374, 0}},
    {"reproject/ref_test_reproject_roundtrip.fits",
     0,
     128,
     128,
     -64,
     {460.7137087, 292.3640517, 63.05231452, 3268.668101, 9546}},
    {"rise/q_e_20200830_1_1_1_1.fits",
     0,
     1030,
     1026,
     16,
     {969.1145517, 257.2665366, -88.47949219, 26133.93555, 0}},
    {"sep/image.fits", 0, 256, 256, 16, {6887.265324, 966.7966871, 6566.259766, 98214.5625, 0}},
};

TEST(the_real_files_give_the_numbers_that_astropy_gives)
{
    need_data();
    for (size_t i = 0; i < AID_COUNT_OF(real_files); i++) {
        char path[256];
        snprintf(path, sizeof path, "%s/%s", data_root, real_files[i].path);
        aid_fits_image image;
        CHECK_OK(aid_fits_read(path, NULL, &image, &err));
        CHECK_EQUAL(image.hdu, real_files[i].hdu);
        CHECK_EQUAL(image.image.width, real_files[i].width);
        CHECK_EQUAL(image.image.height, real_files[i].height);
        CHECK_EQUAL(image.bitpix, real_files[i].bitpix);
        summary found = summarise(&image.image);
        const summary *expected = &real_files[i].expected;
        double tolerance = 2e-6 * fmax(fabs(expected->mean), expected->sigma);
        CHECK_NEAR(found.mean, expected->mean, tolerance);
        CHECK_NEAR(found.sigma, expected->sigma, tolerance);
        CHECK_NEAR(found.low, expected->low, 2.0 * tolerance);
        CHECK_NEAR(found.high, expected->high, 1e-7 * expected->high);
        CHECK_EQUAL(found.missing, expected->missing);
        aid_fits_image_done(&image);
    }
}

/* ERR squared has the mean 2703.250823 and DQ 28979 pixels that are not 0; variance of lsst_sim has
 * the mean 302.186029; its mask planes are all 0 (astropy 5.2.1, numpy 1.24.2). */
TEST(companions_of_real_files_are_found)
{
    need_data();
    aid_fits_image image;
    CHECK_OK(aid_fits_read("../shared/data/hst_acs/j8bt06nyq_flt.fits.gz", NULL, &image, &err));
    CHECK_NEAR(summarise(&image.variance).mean, 2703.250823, 1e-3);
    int64_t bad = 0;
    for (int i = 0; i < 1024 * 1024; i++)
        bad += image.mask.data[i] == AID_MASK_BAD;
    CHECK_EQUAL(bad, 28979);
    aid_fits_image_done(&image);
    CHECK_OK(aid_fits_read("../shared/data/lsst_sim/im1.fits", NULL, &image, &err));
    CHECK_NEAR(summarise(&image.variance).mean, 302.186029, 1e-4);
    CHECK(image.mask.data && image.mask.data[0] == 0);
    aid_fits_image_done(&image);
}

TEST(truncated_real_files_are_refused_by_name_with_the_bytes_that_are_missing)
{
    need_data();
    aid_fits_image image = {.hdu = 12345};
    CHECK_REFUSED(aid_fits_read("../shared/data/asi178_truncated/flat_0001_truncated_2097152.fit",
                                NULL, &image, &err),
                  AID_ERR_INVALID,
                  "flat_0001_truncated_2097152.fit: HDU 0: the data need 2457600 bytes, of which "
                  "366208 are missing");
    CHECK_REFUSED(aid_fits_read("../shared/data/asi178_truncated/flat_0007_truncated_1048576.fit",
                                NULL, &image, &err),
                  AID_ERR_INVALID, "of which 1414784 are missing");
    CHECK_EQUAL(image.hdu, 12345);
}

static int files_read, files_refused;

static bool is_fits_name(const char *path)
{
    static const char *const ends[] = {".fits", ".fit", ".fits.gz", ".fit.gz", ".fits.fz"};
    for (size_t i = 0; i < AID_COUNT_OF(ends); i++) {
        size_t length = strlen(path), end = strlen(ends[i]);
        if (length > end && !strcasecmp(path + length - end, ends[i]))
            return true;
    }
    return false;
}

static int read_here(const char *path, const struct stat *status, int kind, struct FTW *where)
{
    (void)where;
    if (kind != FTW_F || !is_fits_name(path))
        return 0;
    uint8_t *bytes = malloc((size_t)status->st_size);
    FILE *file = fopen(path, "rb");
    if (!file || !bytes ||
        fread(bytes, 1, (size_t)status->st_size, file) != (size_t)status->st_size)
        return 1;
    fclose(file);
    aid_fits_image image;
    aid_fits_request request = {0};
    if (decode_here(bytes, (size_t)status->st_size, &request, &image, &err) == AID_OK) {
        files_read++;
        aid_fits_image_done(&image);
    } else {
        files_refused++;
        if (!strstr(err.message, "no 2-D image") && !strstr(err.message, "truncated file")) {
            printf("    %s: %s\n", path, err.message);
            files_refused += 1000;
        }
    }
    free(bytes);
    return 0;
}

/* astropy finds a 2-D image in 110 of them; 4 are headers and tables only, 2 are truncated. */
TEST(every_image_of_the_real_data_is_read)
{
    need_data();
    files_read = files_refused = 0;
    CHECK_EQUAL(nftw(data_root, read_here, 16, FTW_PHYS), 0);
    CHECK_EQUAL(files_read, 110);
    CHECK_EQUAL(files_refused, 6);
}

int main(int argc, char **argv)
{
    aid_fits_decoder_main(argc, argv);
    return check_main(argc, argv);
}
