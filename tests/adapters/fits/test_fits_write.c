/* CFITSIO reads back what was written; the sums have a naive twin of the standard's own algorithm.
 */
#define _XOPEN_SOURCE 700
#include "adapters/files/files.h"
#include "adapters/fits/fits.h"
#include "adapters/fits/write_sum.h"
#include "adapters/tables/table.h"
#include "tests/check.h"

#include <dirent.h>
#include <fitsio.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

static aid_error err;
static char folder[64], path[96];

static void remove_folder(void)
{
    unlink(path);
    rmdir(folder);
}

/* A name for a file that is not there. */
static void new_path(void)
{
    if (!folder[0]) {
        snprintf(folder, sizeof folder, "/tmp/aid_test_fits_XXXXXX");
        CHECK(mkdtemp(folder));
        snprintf(path, sizeof path, "%s/a.fits", folder);
        atexit(remove_folder);
    }
    unlink(path);
}

static int entries(void)
{
    DIR *listing = opendir(folder);
    int count = 0;
    for (struct dirent *entry; listing && (entry = readdir(listing));)
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    if (listing)
        closedir(listing);
    return count;
}

static uint64_t random_state = 88172645463325252u;
static uint32_t random_bits(void) /* xorshift64, Marsaglia 2003 */
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 32);
}

/* Any bits at all, with all kinds of NaN among them; rows are longer than the image is wide. */
static aid_image any_bits(int32_t width, int32_t height, int32_t gap)
{
    aid_image image;
    CHECK_OK(aid_image_init(width + gap, height, &image, &err));
    for (int64_t i = 0; i < (int64_t)(width + gap) * height; i++) {
        uint32_t bits = random_bits();
        memcpy(&image.data[i], &bits, sizeof bits);
    }
    image.data[0] = NAN;
    image.data[1] = -INFINITY;
    image.width = width;
    return image;
}

static fitsfile *open_hdu(int hdu)
{
    fitsfile *file = NULL;
    int status = 0;
    fits_open_diskfile(&file, path, READONLY, &status);
    fits_movabs_hdu(file, hdu + 1, NULL, &status);
    if (status)
        check_fail(__FILE__, __LINE__, "CFITSIO cannot open HDU %d: error %d", hdu, status);
    return file;
}

static void close_hdu(fitsfile *file)
{
    int status = 0;
    fits_close_file(file, &status);
}

/* -------------------------------------------------------------------------------------- the sums
 */

/* The accumulation of appendix J as it is stated there: two halves of 16 bits, carries brought
 * round after every block. */
static uint32_t naive_sum(const unsigned char *bytes, size_t count)
{
    uint32_t high = 0, low = 0;
    for (size_t i = 0; i < count; i += 4) {
        high += (uint32_t)bytes[i] << 8 | bytes[i + 1];
        low += (uint32_t)bytes[i + 2] << 8 | bytes[i + 3];
        uint32_t high_carry = high >> 16, low_carry = low >> 16;
        high = (high & 0xffff) + low_carry;
        low = (low & 0xffff) + high_carry;
    }
    while (high >> 16 || low >> 16) {
        uint32_t high_carry = high >> 16, low_carry = low >> 16;
        high = (high & 0xffff) + low_carry;
        low = (low & 0xffff) + high_carry;
    }
    return high << 16 | low;
}

TEST(the_sum_agrees_with_its_naive_twin)
{
    static uint32_t words[5000];
    for (int round = 0; round < 50; round++) {
        size_t count = random_bits() % 5000;
        for (size_t i = 0; i < count; i++)
            words[i] = round % 3 == 0 ? 0xffffffffu : random_bits();
        uint32_t expected = naive_sum((unsigned char *)words, 4 * count);
        CHECK_EQUAL(aid_fits_sum(0, words, 4 * count), expected);
        size_t half = count / 2;
        uint32_t first = aid_fits_sum(0, words, 4 * half);
        CHECK_EQUAL(aid_fits_sum(first, words + half, 4 * (count - half)), expected);
    }
    CHECK_EQUAL(aid_fits_sum(0, words, 0), 0);
}

TEST(the_checksum_text_agrees_with_cfitsio)
{
    static const uint32_t corners[] = {0, 1, 0xffffffffu, 0x80000000u, 0x3a405b60u, 868229149u};
    for (size_t i = 0; i < 20000; i++) {
        uint32_t sum = i < AID_COUNT_OF(corners) ? corners[i] : random_bits();
        char ours[17], theirs[17];
        aid_fits_checksum_text(sum, ours);
        fits_encode_chksum(sum, 1, theirs);
        CHECK_TEXT(ours, theirs);
        CHECK_EQUAL(strspn(ours, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"),
                    16);
    }
}

/* Every HDU of the file adds up to minus zero, by the twin; and CFITSIO says so of both sums. */
static void sums_are_right(int hdus)
{
    char *bytes;
    size_t size;
    CHECK_OK(aid_read_file(path, 1 << 30, &bytes, &size, &err));
    uint32_t whole = naive_sum((unsigned char *)bytes, size);
    bytes[size - 1] ^= 1; /* the last byte of a padding */
    uint32_t damaged = naive_sum((unsigned char *)bytes, size);
    free(bytes);
    CHECK_EQUAL(size % 2880, 0);
    CHECK_EQUAL(whole, 0xffffffffu);
    CHECK(damaged != 0xffffffffu);
    for (int hdu = 0; hdu < hdus; hdu++) {
        fitsfile *file = open_hdu(hdu);
        int data = 0, all = 0, status = 0, count = 0;
        fits_get_num_hdus(file, &count, &status);
        fits_verify_chksum(file, &data, &all, &status);
        close_hdu(file);
        CHECK(status == 0 && data == 1 && all == 1);
        CHECK_EQUAL(count, hdus);
    }
}

/* ------------------------------------------------------------------------------------ the pixels
 */

/* Compared as bits, and read as integers: as floats CFITSIO would not tell one NaN from another. */
static void pixels_are(const aid_image *image, int hdu)
{
    char *bytes;
    size_t size;
    LONGLONG header, data, end;
    fitsfile *file = open_hdu(hdu);
    int status = 0, bitpix = 0, axes = 0, wrong = 0;
    long sides[2] = {0};
    fits_get_img_param(file, 2, &bitpix, &axes, sides, &status);
    fits_get_hduaddrll(file, &header, &data, &end, &status);
    close_hdu(file);
    CHECK(status == 0 && bitpix == -32 && axes == 2);
    CHECK(sides[0] == image->width && sides[1] == image->height);
    CHECK_OK(aid_read_file(path, 1 << 30, &bytes, &size, &err));
    const unsigned char *from = (unsigned char *)bytes + data;
    for (int32_t y = 0; y < image->height; y++)
        for (int32_t x = 0; x < image->width; x++, from += 4) {
            uint32_t bits;
            memcpy(&bits, &aid_image_row(image, y)[x], sizeof bits);
            wrong += bits != ((uint32_t)from[0] << 24 | (uint32_t)from[1] << 16 |
                              (uint32_t)from[2] << 8 | from[3]);
        }
    free(bytes);
    CHECK_EQUAL(wrong, 0);
}

static void values_are(const aid_image *image, int hdu)
{
    fitsfile *file = open_hdu(hdu);
    int status = 0, wrong = 0;
    float row[1024];
    for (int32_t y = 0; y < image->height; y++) {
        fits_read_img(file, TFLOAT, (LONGLONG)y * image->width + 1, image->width, NULL, row, NULL,
                      &status);
        for (int32_t x = 0; x < image->width; x++) {
            float expected = aid_image_row(image, y)[x];
            wrong += !(isnan(expected) ? isnan(row[x]) : row[x] == expected);
        }
    }
    close_hdu(file);
    CHECK_EQUAL(status, 0);
    CHECK_EQUAL(wrong, 0);
}

/* 701 x 401 pixels are 1.1 MB, several buffers full, with rows that straddle them. */
TEST(pixels_and_nan_come_back_bit_for_bit)
{
    new_path();
    aid_image large = any_bits(701, 401, 3), small = any_bits(3, 1, 0);
    aid_fits_writer *writer;
    CHECK_OK(aid_fits_create(path, &writer, &err));
    CHECK_OK(aid_fits_put_image(writer, NULL, &large, NULL, &err));
    CHECK_OK(aid_fits_put_image(writer, "SMALL", &small, NULL, &err));
    CHECK_EQUAL(entries(), 1); /* the unfinished one */
    CHECK(access(path, F_OK) != 0);
    CHECK_OK(aid_fits_commit(writer, &err));
    CHECK_EQUAL(entries(), 1);
    pixels_are(&large, 0);
    pixels_are(&small, 1);
    values_are(&large, 0);
    sums_are_right(2);
    aid_image_done(&large);
    aid_image_done(&small);
}

TEST(a_mask_comes_back_with_every_bit)
{
    new_path();
    aid_mask mask;
    CHECK_OK(aid_mask_init(1021, 777, &mask, &err)); /* odd sides: words straddle the rows */
    for (int64_t i = 0; i < (int64_t)1021 * 777; i++)
        mask.data[i] = (uint8_t)random_bits();
    aid_fits_writer *writer;
    CHECK_OK(aid_fits_create(path, &writer, &err));
    CHECK_OK(aid_fits_put_header(writer, NULL, &err));
    CHECK_OK(aid_fits_put_mask(writer, "MASK", &mask, NULL, &err));
    CHECK_OK(aid_fits_commit(writer, &err));
    uint8_t *back = calloc(1021, 777);
    CHECK(back);
    fitsfile *file = open_hdu(1);
    int status = 0, bitpix = 0;
    char name[72] = "";
    fits_get_img_type(file, &bitpix, &status);
    fits_read_key(file, TSTRING, "EXTNAME", name, NULL, &status);
    fits_read_img(file, TBYTE, 1, 1021L * 777, NULL, back, NULL, &status);
    close_hdu(file);
    int same = !memcmp(back, mask.data, (size_t)1021 * 777);
    free(back);
    aid_mask_done(&mask);
    CHECK(status == 0 && bitpix == 8 && same);
    CHECK_TEXT(name, "MASK");
    sums_are_right(2);
}

TEST(sixteen_bit_frames_keep_every_count)
{
    new_path();
    aid_image image;
    CHECK_OK(aid_image_init(257, 255, &image, &err));
    for (int32_t i = 0; i < 257 * 255; i++)
        image.data[i] = (float)i; /* 0 to 65534 */
    image.data[7] = 65535.0f;
    image.data[8] = 8.4f;
    image.data[9] = -0.4f;
    image.data[10] = 65535.4f; /* the nearest float is 65535.398 */
    aid_fits_writer *writer;
    CHECK_OK(aid_fits_create(path, &writer, &err));
    CHECK_OK(aid_fits_put_u16(writer, NULL, &image, NULL, &err));
    CHECK_OK(aid_fits_commit(writer, &err));
    for (int32_t i = 7; i < 11; i++)
        image.data[i] = i == 7 || i == 10 ? 65535.0f : i == 8 ? 8.0f : 0.0f;
    values_are(&image, 0);
    fitsfile *file = open_hdu(0);
    int status = 0, bitpix = 0, kind = 0;
    fits_get_img_type(file, &bitpix, &status);
    fits_get_img_equivtype(file, &kind, &status);
    close_hdu(file);
    aid_image_done(&image);
    CHECK(status == 0 && bitpix == SHORT_IMG && kind == USHORT_IMG);
    sums_are_right(1);
}

TEST(counts_beyond_sixteen_bits_are_refused_and_leave_no_file)
{
    static const float misfits[] = {NAN, -0.6f, 65535.6f, INFINITY, -1e9f, 1e20f};
    for (size_t i = 0; i < AID_COUNT_OF(misfits); i++) {
        new_path();
        aid_image image;
        CHECK_OK(aid_image_init(20, 10, &image, &err));
        aid_image_row(&image, 4)[17] = misfits[i];
        aid_fits_writer *writer;
        CHECK_OK(aid_fits_create(path, &writer, &err));
        aid_status status = aid_fits_put_u16(writer, NULL, &image, NULL, &err);
        aid_image_done(&image);
        CHECK_EQUAL(status, AID_ERR_INVALID);
        CHECK(strstr(err.message, "a.fits: pixel (17, 4) is "));
        CHECK_REFUSED(aid_fits_commit(writer, &err), AID_ERR_IO,
                      "a.fits: not written: one of its parts failed");
        CHECK_EQUAL(entries(), 0);
    }
}

/* ----------------------------------------------------------------------------------- the headers
 */

static aid_header cards;

static void card(const char *keyword, aid_card_kind kind, const char *value, const char *comment)
{
    CHECK_OK(aid_header_append(&cards, keyword, kind, value, comment, &err));
}

/* Writes the cards into a primary HDU of no data and empties the list. */
static fitsfile *written_cards(void)
{
    new_path();
    aid_fits_writer *writer;
    CHECK_OK(aid_fits_create(path, &writer, &err));
    CHECK_OK(aid_fits_put_header(writer, &cards, &err));
    CHECK_OK(aid_fits_commit(writer, &err));
    aid_header_done(&cards);
    sums_are_right(1);
    return open_hdu(0);
}

static void text_is(fitsfile *file, const char *keyword, const char *expected)
{
    char *value = NULL, text[512] = "";
    int status = 0;
    fits_read_key_longstr(file, keyword, &value, NULL, &status);
    if (value)
        snprintf(text, sizeof text, "%s", value);
    fits_free_memory(value, &(int){0});
    if (status || strcmp(text, expected) != 0)
        check_fail(__FILE__, __LINE__, "%s = '%s' (error %d), not '%s'", keyword, text, status,
                   expected);
}

static void card_is(fitsfile *file, const char *keyword, const char *expected)
{
    char text[FLEN_CARD] = "";
    int status = 0;
    fits_read_card(file, keyword, text, &status);
    CHECK_EQUAL(status, 0);
    CHECK_TEXT(text, expected);
}

TEST(strings_of_any_length_come_back_with_their_quotes)
{
    card("SHORT", AID_CARD_STRING, "it's", "a comment");
    card("EMPTY", AID_CARD_STRING, "", "");
    card("ACCENT", AID_CARD_STRING, "caf\xc3\xa9\n\xff", "\xe2\x86\x92");
    /* Around the limits of a card, with quotes that could be torn. */
    char text[200], expected[32][200];
    for (int i = 0; i < 32; i++) {
        memset(text, 'x', sizeof text);
        text[60 + i] = '\0';
        for (int k = 50; k < 60 + i; k += 1 + i % 3)
            text[k] = '\'';
        strcpy(expected[i], text);
        char keyword[32];
        snprintf(keyword, sizeof keyword, i % 2 ? "LONG%d" : "ESO LONG%d", i);
        card(keyword, AID_CARD_STRING, text, "of a long string");
    }
    fitsfile *file = written_cards();
    card_is(file, "SHORT", "SHORT   = 'it''s   '           / a comment");
    text_is(file, "SHORT", "it's");
    text_is(file, "EMPTY", "");
    text_is(file, "ACCENT", "caf? ?");
    for (int i = 0; i < 32; i++) {
        char keyword[32];
        snprintf(keyword, sizeof keyword, i % 2 ? "LONG%d" : "ESO LONG%d", i);
        text_is(file, keyword, expected[i]);
    }
    close_hdu(file);
}

TEST(comments_go_as_far_as_their_whole_words_do)
{
    card("HASH", AID_CARD_STRING,
         "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "SHA-256 of it");
    card("FILE", AID_CARD_STRING, "masters/dark_39c69065db37.fits",
         "chosen: 0.00 d apart, exposure ratio 0.4");
    fitsfile *file = written_cards();
    card_is(file, "HASH",
            "HASH    = '0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef'");
    card_is(file, "FILE",
            "FILE    = 'masters/dark_39c69065db37.fits' / chosen: 0.00 d apart, exposure");
    close_hdu(file);
}

TEST(numbers_stay_as_written_and_what_is_none_becomes_a_string)
{
    card("INT", AID_CARD_NUMBER, "-42", "fixed format");
    card("EXPO", AID_CARD_NUMBER, "+1.25d-3", "");
    card("LONGNUM", AID_CARD_NUMBER, "0.1234567890123456789012345", "free format");
    card("COMMA", AID_CARD_OTHER, "6,4E-05", "");
    card("NOTNUM", AID_CARD_NUMBER, "NaN", "");
    card("DOTS", AID_CARD_NUMBER, "1.2.3", "");
    card("UNDEF", AID_CARD_OTHER, "", "nothing");
    card("COMPLEX", AID_CARD_OTHER, "(1.5, -2e3)", "");
    card("YES", AID_CARD_LOGICAL, "T", "");
    card("MAYBE", AID_CARD_LOGICAL, "?", "");
    card("ESO DET CHIP1 X", AID_CARD_NUMBER, "2148", "detector");
    card("HIERARCH ESO TEL ALT", AID_CARD_NUMBER, "43.5", "");
    card("exptime", AID_CARD_NUMBER, "30.0", "");
    fitsfile *file = written_cards();
    card_is(file, "INT", "INT     =                  -42 / fixed format");
    card_is(file, "EXPO", "EXPO    =             +1.25D-3");
    card_is(file, "LONGNUM", "LONGNUM = 0.1234567890123456789012345 / free format");
    card_is(file, "COMMA", "COMMA   = '6,4E-05 '");
    card_is(file, "NOTNUM", "NOTNUM  = 'NaN     '");
    card_is(file, "DOTS", "DOTS    = '1.2.3   '");
    card_is(file, "UNDEF", "UNDEF   =                      / nothing");
    card_is(file, "COMPLEX", "COMPLEX =          (1.5, -2E3)");
    card_is(file, "YES", "YES     =                    T");
    card_is(file, "MAYBE", "MAYBE   = '?       '");
    card_is(file, "ESO DET CHIP1 X", "HIERARCH ESO DET CHIP1 X =                 2148 / detector");
    card_is(file, "ESO TEL ALT", "HIERARCH ESO TEL ALT =                 43.5");
    double seconds = 0.0, small = 0.0;
    int status = 0;
    fits_read_key(file, TDOUBLE, "EXPTIME", &seconds, NULL, &status);
    fits_read_key(file, TDOUBLE, "EXPO", &small, NULL, &status);
    close_hdu(file);
    CHECK(status == 0 && seconds == 30.0 && small == 1.25e-3);
}

TEST(remarks_are_wrapped_and_none_becomes_a_value)
{
    char text[200];
    for (size_t i = 0; i < sizeof text - 1; i++)
        text[i] = (char)('a' + i % 26);
    text[199] = '\0';
    card("HISTORY", AID_CARD_COMMENT, "", text);
    card("COMMENT", AID_CARD_COMMENT, "", "= 5");
    card("", AID_CARD_COMMENT, "", "of no keyword");
    card("FOO", AID_CARD_COMMENT, "", "has no value");
    card("KEYWORD THAT LEAVES NO ROOM FOR A VALUE ON ITS CARD BY ITS LENGTH ALONE", AID_CARD_NUMBER,
         "17", "");
    fitsfile *file = written_cards();
    char all[4096] = "", line[FLEN_CARD];
    int status = 0, count = 0;
    fits_get_hdrspace(file, &count, NULL, &status);
    for (int i = 1; i <= count; i++) {
        fits_read_record(file, i, line, &status);
        size_t used = strlen(all);
        snprintf(all + used, sizeof all - used, "%s\n", line);
    }
    close_hdu(file);
    CHECK_EQUAL(status, 0);
    for (size_t part = 0; part < 3; part++) {
        snprintf(line, sizeof line, "HISTORY %.72s", text + 72 * part);
        CHECK(strstr(all, line));
    }
    CHECK(strstr(all, "COMMENT  = 5\n"));
    CHECK(strstr(all, "        of no keyword\n"));
    CHECK(strstr(all, "COMMENT FOO = has no value\n"));
    CHECK(strstr(all, "COMMENT KEYWORD THAT LEAVES NO ROOM FOR A VALUE ON ITS CARD BY ITS LENGTH"));
}

TEST(structural_cards_of_the_input_are_left_out)
{
    static const char *const structural[] = {
        "SIMPLE", "BITPIX",  "NAXIS",  "NAXIS1", "naxis2",   "NAXIS17",  "EXTEND",  "BSCALE",
        "BZERO",  "BLANK",   "PCOUNT", "GCOUNT", "CHECKSUM", "DATASUM",  "EXTNAME", "XTENSION",
        "ZIMAGE", "ZBITPIX", "ZNAXIS", "ZTILE1", "ZCMPTYPE", "ZQUANTIZ", "ZNAME1",  "TFIELDS",
        "TFORM1", "TTYPE12", "TUNIT1", "THEAP",  "INHERIT",  "CONTINUE", "LONGSTRN"};
    static const char *const kept[] = {"NAXISX",   "ZERO",  "TFORMAT", "BSCALES",
                                       "TELESCOP", "BUNIT", "ZPT",     "TTYPE"};
    for (size_t i = 0; i < AID_COUNT_OF(structural); i++)
        card(structural[i], AID_CARD_STRING, "planted", "");
    card("END", AID_CARD_COMMENT, "", "planted");
    for (size_t i = 0; i < AID_COUNT_OF(kept); i++)
        card(kept[i], AID_CARD_STRING, "kept", "");
    fitsfile *file = written_cards();
    char line[FLEN_CARD];
    int status = 0, count = 0, planted = 0, found = 0;
    fits_get_hdrspace(file, &count, NULL, &status);
    for (int i = 1; i <= count; i++) {
        fits_read_record(file, i, line, &status);
        planted += strstr(line, "planted") != NULL;
        found += strstr(line, "'kept    '") != NULL;
    }
    close_hdu(file);
    CHECK_EQUAL(status, 0);
    CHECK_EQUAL(planted, 0);
    CHECK_EQUAL(found, AID_COUNT_OF(kept));
}

/* -------------------------------------------------------------------------------------- the table
 */

static const aid_column columns[] = {
    {.name = "id", .ucd = "meta.id;meta.main", .description = "number", .kind = AID_COLUMN_INT64},
    {.name = "ra", .unit = "deg", .ucd = "pos.eq.ra", .kind = AID_COLUMN_DOUBLE, .decimals = 3},
    {.name = "flux", .unit = "adu", .kind = AID_COLUMN_DOUBLE, .decimals = -1},
    {.name = "flags", .kind = AID_COLUMN_TEXT},
    {.name = "none", .kind = AID_COLUMN_TEXT},
};
enum { ROWS = 20000 }; /* 20000 rows of 36 bytes: over several buffers, none of them a whole row */

static aid_table example_table(void)
{
    aid_table table;
    CHECK_OK(aid_table_init("t", NULL, columns, 5, ROWS, &table, &err));
    for (int row = 0; row < ROWS; row++) {
        table.items[0].values.integers[row] =
            (int64_t)((uint64_t)random_bits() << 32 | random_bits());
        if (row % 3)
            table.items[1].values.doubles[row] = -(double)row / 100.0;
        table.items[2].values.doubles[row] = exp((double)(row - ROWS / 2) / 20.0);
        char text[16];
        snprintf(text, sizeof text, "%s%d", row % 2 ? "\xc3\xa9" : "EDGE,", row);
        if (row % 5)
            CHECK_OK(aid_table_set_text(&table, 3, row, text, &err));
    }
    return table;
}

static int rows_that_differ(fitsfile *file, const aid_table *table)
{
    int status = 0, wrong = 0;
    for (int row = 0; row < ROWS; row++) {
        LONGLONG id = 0;
        double ra = 0.0, flux = 0.0;
        char flags[64] = "", none[64] = "", expected[64] = "", *flags_at = flags, *none_at = none;
        fits_read_col(file, TLONGLONG, 1, row + 1, 1, 1, NULL, &id, NULL, &status);
        fits_read_col(file, TDOUBLE, 2, row + 1, 1, 1, NULL, &ra, NULL, &status);
        fits_read_col(file, TDOUBLE, 3, row + 1, 1, 1, NULL, &flux, NULL, &status);
        fits_read_col(file, TSTRING, 4, row + 1, 1, 1, NULL, &flags_at, NULL, &status);
        fits_read_col(file, TSTRING, 5, row + 1, 1, 1, NULL, &none_at, NULL, &status);
        if (row % 5)
            snprintf(expected, sizeof expected, "%s%d", row % 2 ? "?" : "EDGE,", row);
        else
            strcpy(expected, " "); /* what CFITSIO makes of nothing but blanks */
        double expected_ra = table->items[1].values.doubles[row];
        wrong += id != table->items[0].values.integers[row] ||
                 flux != table->items[2].values.doubles[row] ||
                 !(isnan(expected_ra) ? isnan(ra) : ra == expected_ra) ||
                 strcmp(flags, expected) != 0 || strcmp(none, " ") != 0;
    }
    return status ? -status : wrong;
}

TEST(a_table_comes_back_with_its_units_and_ucds)
{
    new_path();
    aid_table table = example_table();
    card("OBJECT", AID_CARD_STRING, "M31", "");
    aid_fits_writer *writer;
    CHECK_OK(aid_fits_create(path, &writer, &err));
    CHECK_OK(aid_fits_put_table(writer, "CANDIDATES", &table, &cards, &err));
    CHECK_OK(aid_fits_commit(writer, &err));
    aid_header_done(&cards);
    fitsfile *file = open_hdu(1); /* an empty primary comes first */
    int status = 0, kind = 0, count = 0;
    LONGLONG rows = 0;
    fits_get_hdu_type(file, &kind, &status);
    fits_get_num_rowsll(file, &rows, &status);
    fits_get_num_cols(file, &count, &status);
    CHECK(status == 0 && kind == BINARY_TBL && rows == ROWS && count == 5);
    CHECK_EQUAL(rows_that_differ(file, &table), 0);
    aid_table_done(&table);
    text_is(file, "EXTNAME", "CANDIDATES");
    text_is(file, "OBJECT", "M31");
    text_is(file, "TTYPE1", "id");
    text_is(file, "TFORM1", "K");
    text_is(file, "TUCD1", "meta.id;meta.main");
    text_is(file, "TCOMM1", "number");
    text_is(file, "TFORM2", "D");
    text_is(file, "TUNIT2", "deg");
    text_is(file, "TDISP2", "F8.3"); /* -199.990 */
    text_is(file, "TFORM4", "10A");  /* EDGE,19998 */
    text_is(file, "TFORM5", "1A");
    close_hdu(file);
    sums_are_right(2);
}

TEST(a_table_without_rows_is_a_valid_hdu)
{
    new_path();
    aid_table table;
    CHECK_OK(aid_table_init("t", NULL, columns, 5, 0, &table, &err));
    aid_fits_writer *writer;
    CHECK_OK(aid_fits_create(path, &writer, &err));
    CHECK_OK(aid_fits_put_table(writer, "EMPTY", &table, NULL, &err));
    CHECK_OK(aid_fits_commit(writer, &err));
    aid_table_done(&table);
    fitsfile *file = open_hdu(1);
    int status = 0, count = 0;
    LONGLONG rows = 7;
    fits_get_num_rowsll(file, &rows, &status);
    fits_get_num_cols(file, &count, &status);
    close_hdu(file);
    CHECK(status == 0 && rows == 0 && count == 5);
    sums_are_right(2);
}

TEST(a_thousand_columns_are_refused)
{
    new_path();
    static aid_column many[1000];
    for (int i = 0; i < 1000; i++)
        many[i] = (aid_column){.name = "c", .kind = AID_COLUMN_INT64};
    aid_table table;
    CHECK_OK(aid_table_init("t", NULL, many, 1000, 1, &table, &err));
    aid_fits_writer *writer;
    CHECK_OK(aid_fits_create(path, &writer, &err));
    CHECK_REFUSED(aid_fits_put_table(writer, NULL, &table, NULL, &err), AID_ERR_INVALID,
                  "1000 columns: FITS tables have at most 999");
    aid_fits_abandon(writer);
    aid_table_done(&table);
    CHECK_EQUAL(entries(), 0);
}

/* --------------------------------------------------------------------------------- the whole file
 */

static char *bytes_of_example(size_t *ret_size)
{
    new_path();
    random_state = 1234567;
    aid_image image = any_bits(100, 90, 5);
    aid_fits_writer *writer;
    card("OBJECT", AID_CARD_STRING, "M31", "");
    CHECK_OK(aid_fits_create(path, &writer, &err));
    CHECK_OK(aid_fits_put_image(writer, "SCI", &image, &cards, &err));
    CHECK_OK(aid_fits_commit(writer, &err));
    aid_header_done(&cards);
    aid_image_done(&image);
    char *bytes;
    CHECK_OK(aid_read_file(path, 1 << 20, &bytes, ret_size, &err));
    return bytes;
}

TEST(the_same_input_gives_the_same_bytes)
{
    size_t size, again_size;
    char *bytes = bytes_of_example(&size), *again = bytes_of_example(&again_size);
    int same = size == again_size && !memcmp(bytes, again, size);
    free(bytes);
    free(again);
    CHECK(same);
    CHECK_EQUAL(size, 2880 + (100 * 90 * 4 + 2879) / 2880 * 2880);
}

/* A limit on the size of files stands in for a full disk. */
TEST(a_disk_that_fills_up_leaves_nothing)
{
    new_path();
    aid_image image = any_bits(701, 401, 0);
    struct rlimit before, small;
    CHECK(getrlimit(RLIMIT_FSIZE, &before) == 0);
    small = before;
    small.rlim_cur = 500000;
    signal(SIGXFSZ, SIG_IGN);
    aid_fits_writer *writer;
    CHECK_OK(aid_fits_create(path, &writer, &err));
    CHECK(setrlimit(RLIMIT_FSIZE, &small) == 0);
    aid_status status = aid_fits_put_image(writer, NULL, &image, NULL, &err);
    CHECK(setrlimit(RLIMIT_FSIZE, &before) == 0);
    signal(SIGXFSZ, SIG_DFL);
    aid_image_done(&image);
    CHECK_EQUAL(status, AID_ERR_IO);
    CHECK(strstr(err.message, "a.fits: cannot write: File too large"));
    CHECK_REFUSED(aid_fits_commit(writer, &err), AID_ERR_IO, "one of its parts failed");
    CHECK_EQUAL(entries(), 0);
}

TEST(an_abandoned_or_empty_file_leaves_nothing)
{
    new_path();
    aid_fits_writer *writer = NULL;
    CHECK_REFUSED(aid_fits_create("/nowhere/a.fits", &writer, &err), AID_ERR_IO,
                  "/nowhere/a.fits: cannot create: No such file or directory");
    CHECK(!writer);
    CHECK_OK(aid_fits_create(path, &writer, &err));
    CHECK_OK(aid_fits_put_header(writer, NULL, &err));
    aid_fits_abandon(writer);
    aid_fits_abandon(NULL);
    CHECK_EQUAL(entries(), 0);
    CHECK_OK(aid_fits_create(path, &writer, &err));
    CHECK_REFUSED(aid_fits_commit(writer, &err), AID_ERR_INVALID, "nothing was put into it");
    CHECK_EQUAL(entries(), 0);
}

TEST_MAIN()
