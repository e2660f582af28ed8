/* Broken and hostile files end in a clear refusal; a hostile decoder, too. */
#define _GNU_SOURCE
#include "adapters/fits/child.h"
#include "adapters/fits/fits.h"
#include "adapters/fits/sandbox.h"
#include "tests/adapters/fits/decode_here.h"
#include "tests/adapters/fits/naive_fits.h"
#include "tests/check.h"

#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <zlib.h>

static aid_error err;
static const aid_fits_request plain_request;

static void check_refused(const naive_fits *file, const char *text)
{
    aid_fits_image image = {.hdu = 12345};
    CHECK_REFUSED(decode_here(file->bytes, file->size, &plain_request, &image, &err),
                  AID_ERR_INVALID, text);
    CHECK(!strncmp(err.message, "x.fits: ", 8));
    CHECK_EQUAL(image.hdu, 12345);
}

/* Takes the file and leaves an empty one. */
static void check_all_refused(naive_fits *file, const char *text)
{
    check_refused(file, text);
    naive_free(file);
}

/* ------------------------------------------------------------------------------------- truncation
 */

enum { WIDTH = 30, HEIGHT = 40, COUNT = WIDTH * HEIGHT };

static void fill_ramp(double *values)
{
    for (int i = 0; i < COUNT; i++)
        values[i] = i;
}

/* Primary image, ERR, DQ: each of several blocks. */
static naive_fits three_planes(void)
{
    double values[COUNT];
    fill_ramp(values);
    naive_fits file = {0};
    naive_primary(&file, -32, 2, WIDTH, HEIGHT);
    for (int i = 0; i < 40; i++)
        naive_card(&file, "KEY%-5d= %20d", i, i);
    naive_end(&file);
    naive_values(&file, -32, values, COUNT);
    naive_image(&file, "ERR", -32, WIDTH, HEIGHT, values);
    naive_image(&file, "DQ", 16, WIDTH, HEIGHT, values);
    return file;
}

/* Whatever is cut off: a refusal, or exactly the pixels of the whole file. Where an HDU ends with
 * its data, the rest cannot be missed. */
TEST(a_file_cut_at_any_block_and_beside_it_is_refused_or_gives_the_same_pixels)
{
    naive_fits file = three_planes();
    aid_fits_image whole, cut;
    CHECK_OK(decode_here(file.bytes, file.size, &plain_request, &whole, &err));
    int refused = 0, read = 0;
    for (size_t block = 0; block <= file.size; block += 2880)
        for (int beside = -1; beside <= 1; beside++) {
            size_t size = block + (size_t)beside;
            if ((block == 0 && beside < 1) || size > file.size)
                continue;
            err.message[0] = '\0';
            aid_status status = decode_here(file.bytes, size, &plain_request, &cut, &err);
            if (status != AID_OK) {
                CHECK_EQUAL(status, AID_ERR_INVALID);
                CHECK(strstr(err.message, "truncated") || strstr(err.message, "begins with"));
                refused++;
                continue;
            }
            read++;
            CHECK(!memcmp(cut.image.data, whole.image.data, COUNT * sizeof(float)));
            if (cut.variance.data)
                CHECK(!memcmp(cut.variance.data, whole.variance.data, COUNT * sizeof(float)));
            if (cut.mask.data)
                CHECK(!memcmp(cut.mask.data, whole.mask.data, COUNT));
            aid_fits_image_done(&cut);
        }
    /* Read: the ends of three HDUs, one byte of padding less, and not one byte more but at the end,
     * which is not there. */
    CHECK_EQUAL(read, 6);
    CHECK(refused > 20);
    aid_fits_image_done(&whole);
    naive_free(&file);
}

TEST(the_last_byte_of_data_may_not_be_missing_and_padding_may)
{
    double values[COUNT];
    fill_ramp(values);
    naive_fits file = {0};
    naive_primary(&file, -32, 2, WIDTH, HEIGHT);
    naive_end(&file);
    naive_values(&file, -32, values, COUNT);
    aid_fits_image image;
    const size_t end = 2880 + COUNT * 4;
    CHECK_OK(decode_here(file.bytes, end, &plain_request, &image, &err));
    CHECK_EQUAL(image.image.data[COUNT - 1], COUNT - 1);
    aid_fits_image_done(&image);
    CHECK_REFUSED(decode_here(file.bytes, end - 1, &plain_request, &image, &err), AID_ERR_INVALID,
                  "x.fits: HDU 0: the data need 4800 bytes, of which 1 are missing");
    CHECK_REFUSED(decode_here(file.bytes, 2880, &plain_request, &image, &err), AID_ERR_INVALID,
                  "of which 4800 are missing");
    CHECK_REFUSED(decode_here(file.bytes, 2879, &plain_request, &image, &err), AID_ERR_INVALID,
                  "of which 4800 are missing");
    CHECK_REFUSED(decode_here(file.bytes, 160, &plain_request, &image, &err), AID_ERR_INVALID,
                  "HDU 0: no END card in the 2 cards up to the end of the file");
    naive_free(&file);
}

TEST(bytes_behind_the_last_hdu_may_be_padding_and_nothing_else)
{
    naive_fits file = {0};
    naive_primary(&file, 8, 2, 1, 1);
    naive_end(&file);
    naive_value(&file, 8, 7);
    naive_fill(&file, '\0');
    char padding[5000] = {0};
    naive_bytes(&file, padding, sizeof padding);
    aid_fits_image image;
    CHECK_OK(decode_here(file.bytes, file.size, &plain_request, &image, &err));
    aid_fits_image_done(&image);
    file.size = 5760;
    naive_bytes(&file, "junk", 4);
    check_refused(&file, "HDU 0: what follows its data is no extension (begins with 'junk')");
    file.size = 5760;
    naive_bytes(&file, "XTEN", 4);
    check_refused(&file, "HDU 1: no END card");
    naive_free(&file);
}

/* ------------------------------------------------------------------------------- lies in a header
 */

/* A primary header in which one card says something else. */
static naive_fits lying(int index, const char *card)
{
    naive_fits file = {0};
    naive_primary(&file, 16, 2, 2, 2);
    naive_card(&file, "BZERO   =                    0");
    naive_end(&file);
    const double values[] = {1, 2, 3, 4};
    naive_values(&file, 16, values, 4);
    char text[81];
    snprintf(text, sizeof text, "%-80s", card);
    memcpy(file.bytes + index * 80, text, 80);
    return file;
}

TEST(headers_that_break_the_rules_are_refused_with_the_card_and_its_value)
{
    static const struct {
        int index;
        const char *card, *text;
    } lies[] = {
        {0, "SIMPLE  =                    F", "HDU 0: SIMPLE is not T"},
        {0, "SIMPLE  = 'T'", "HDU 0: SIMPLE is not T"},
        {0, "simple  =                    T", "not a FITS file (begins with 'simple  =')"},
        {1, "BITPIX  =                    7", "BITPIX = 7 is not 8, 16, 32, 64, -32 or -64"},
        {1, "BITPIX  =                  -16", "BITPIX = -16 is not"},
        {1, "BITPIX  =                    0", "BITPIX = 0 is not"},
        {1, "BITPIX  =                 16.0", "BITPIX = 16.0 is not a whole number"},
        {1, "BITPIX  =", "BITPIX =  is not a whole number"},
        {1, "bitpix  =                   16", "card 2 is 'bitpix' where BITPIX must be"},
        {1, "NAXIS   =                    2", "card 2 is 'NAXIS' where BITPIX must be"},
        {2, "NAXIS   =                   -1", "NAXIS = -1 is not between 0 and 999"},
        {2, "NAXIS   =                 1000", "NAXIS = 1000 is not between 0 and 999"},
        {2, "NAXIS   =                  999", "card 6 is 'BZERO' where NAXIS3 must be"},
        {2, "NAXIS   =    99999999999999999999", "NAXIS = 99999999999999999999 is not a whole"},
        {3, "NAXIS1  =                   -5", "NAXIS1 = -5 is not between 0 and"},
        {3, "NAXIS1  =   999999999999999999", "NAXIS1 = 999999999999999999 is not between"},
        {3, "NAXIS1  =          10000000000", "is more than"},
        {3, "NAXIS1  =           2000000000", "the data need 8000000000 bytes, of which"},
        {3, "NAXIS2  =                    2", "card 4 is 'NAXIS2' where NAXIS1 must be"},
        {3, "NAXIS1  =                    0", "HDU 0: what follows its data is no extension"},
        {5, "PCOUNT  =                 1000", "PCOUNT = 1000 and GCOUNT = 1, not 0 and 1"},
        {5, "PCOUNT  =                   -1", "PCOUNT = -1 is not between"},
        {5, "GCOUNT  =           9999999999", "GCOUNT = 9999999999, not 0 and 1, for an image"},
        {5, "BSCALE  =                  0.0", "HDU 0: BSCALE = 0 makes every pixel the same"},
        {5, "BSCALE  =                  1,5", "HDU 0: BSCALE = 1,5 is not a finite number"},
        {5, "BSCALE  =              1.0E999", "BSCALE = 1.0E999 is not a finite number"},
        {5, "BZERO   =                  NaN", "BZERO = NaN is not a finite number"},
        {5, "BZERO   =                  0x7", "BZERO = 0x7 is not a finite number"},
        {5, "BLANK   =                  1.5", "BLANK = 1.5 is not a whole number"},
    };
    for (size_t i = 0; i < AID_COUNT_OF(lies); i++) {
        naive_fits file = lying(lies[i].index, lies[i].card);
        check_all_refused(&file, lies[i].text);
    }
}

TEST(a_repeated_keyword_counts_once_where_the_standard_puts_it)
{
    naive_fits file = lying(5, "NAXIS1  =                  999");
    aid_fits_image image;
    CHECK_OK(decode_here(file.bytes, file.size, &plain_request, &image, &err));
    CHECK_EQUAL(image.image.width, 2);
    aid_fits_image_done(&image);
    naive_free(&file);
}

TEST(products_of_sizes_do_not_overflow)
{
    static const char *const sides[] = {"         4294967296", "          131072000",
                                        "        17179869184"};
    for (size_t i = 0; i < AID_COUNT_OF(sides); i++) {
        naive_fits file = {0};
        naive_card(&file, "SIMPLE  =                    T");
        naive_card(&file, "BITPIX  =                  -64");
        naive_card(&file, "NAXIS   =                    3");
        for (int axis = 1; axis <= 3; axis++)
            naive_card(&file, "NAXIS%d  = %s", axis, sides[i]);
        naive_end(&file);
        check_all_refused(&file, "HDU 0: ");
        CHECK(strstr(err.message, "is more than 17179869184"));
    }
}

TEST(images_beyond_the_limits_are_refused_before_anything_is_allocated)
{
    naive_fits file = {0};
    naive_primary(&file, 8, 2, AID_MAX_IMAGE_SIDE + 1, 1);
    naive_end(&file);
    for (int i = 0; i <= AID_MAX_IMAGE_SIDE; i++)
        naive_value(&file, 8, 0);
    check_all_refused(&file, "HDU 0: 65537 x 1 pixels: sides go to 65536");
}

TEST(a_million_continue_cards_or_cards_without_end_are_refused)
{
    naive_fits file = {0};
    naive_primary(&file, 8, 0, 0, 0);
    naive_card(&file, "LONG    = 'x&'");
    for (int i = 0; i < 1000000; i++)
        naive_bytes(&file,
                    "CONTINUE  '&'                                                              "
                    "     ",
                    80);
    check_refused(&file, "HDU 0: more than 100000 cards without an END");
    file.size = 80 * 36 * 10;
    check_all_refused(&file, "HDU 0: no END card in the 360 cards");
}

TEST(more_hdus_than_the_limit_are_refused)
{
    naive_fits file = {0};
    naive_empty_primary(&file);
    for (int i = 0; i < AID_MAX_HDUS; i++) {
        naive_extension(&file, "IMAGE", 8, 0, 0);
        naive_counts(&file, 0);
        naive_end(&file);
    }
    check_all_refused(&file, "more than 1024 HDUs");
}

TEST(a_table_that_understates_its_heap_does_not_hide_what_follows)
{
    for (int lie = -2880; lie <= 2880; lie += 2880) {
        naive_fits file = {0};
        const double values[2] = {1, 2};
        char heap[2 * 2880] = "not zeros";
        memset(heap, 'h', sizeof heap);
        naive_empty_primary(&file);
        naive_extension(&file, "BINTABLE", 8, 1, 0);
        naive_counts(&file, (int)sizeof heap + lie);
        naive_card(&file, "TFIELDS =                    0");
        naive_end(&file);
        naive_bytes(&file, heap, sizeof heap);
        naive_image(&file, "SCI", 16, 2, 1, values);
        if (lie == 0) {
            aid_fits_image image;
            CHECK_OK(decode_here(file.bytes, file.size, &plain_request, &image, &err));
            aid_fits_image_done(&image);
        } else {
            check_refused(&file, "HDU 1: what follows its data is no extension");
        }
        naive_free(&file);
    }
}

TEST(what_is_not_fits_is_named_by_its_first_bytes)
{
    naive_fits file = {0};
    naive_bytes(&file, "P6 100 100\n255\n\x80\xff", 17);
    check_all_refused(&file, "x.fits: not a FITS file (begins with 'P6 100 100?255?\?')");
    naive_bytes(&file, "S", 1);
    check_all_refused(&file, "x.fits: not a FITS file (begins with 'S')");
}

/* ------------------------------------------------------------------------------- degenerate images
 */

TEST(images_of_nan_or_of_one_value_are_read_as_they_are)
{
    double values[COUNT];
    for (int kind = 0; kind < 3; kind++) {
        for (int i = 0; i < COUNT; i++)
            values[i] = kind == 0 ? NAN : kind == 1 ? -INFINITY : 7.0;
        naive_fits file = {0};
        naive_primary(&file, -32, 2, WIDTH, HEIGHT);
        naive_end(&file);
        naive_values(&file, -32, values, COUNT);
        aid_fits_image image;
        CHECK_OK(decode_here(file.bytes, file.size, &plain_request, &image, &err));
        for (int i = 0; i < COUNT; i++)
            CHECK(kind < 2 ? isnan(image.image.data[i]) : image.image.data[i] == 7.0f);
        aid_fits_image_done(&image);
        naive_free(&file);
    }
}

/* ------------------------------------------------------------------------------------------- gzip
 */

static naive_fits gzipped(const uint8_t *bytes, size_t size)
{
    z_stream stream = {0};
    naive_fits result = {0};
    result.capacity = size + size / 100 + 1000;
    result.bytes = malloc(result.capacity);
    CHECK(result.bytes &&
          deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    stream.next_in = (Bytef *)bytes;
    stream.avail_in = (uInt)size;
    stream.next_out = result.bytes;
    stream.avail_out = (uInt)result.capacity;
    CHECK_EQUAL(deflate(&stream, Z_FINISH), Z_STREAM_END);
    result.size = stream.total_out;
    deflateEnd(&stream);
    return result;
}

TEST(gzip_is_undone_by_what_it_is_and_not_by_its_name_also_in_several_members)
{
    naive_fits file = three_planes(), whole = gzipped(file.bytes, file.size);
    naive_fits first = gzipped(file.bytes, 5000),
               rest = gzipped(file.bytes + 5000, file.size - 5000);
    naive_bytes(&first, rest.bytes, rest.size);
    char padding[100] = {0};
    naive_bytes(&first, padding, sizeof padding);
    const naive_fits *const forms[] = {&whole, &first};
    for (size_t i = 0; i < AID_COUNT_OF(forms); i++) {
        aid_fits_image image;
        CHECK_OK(decode_here(forms[i]->bytes, forms[i]->size, &plain_request, &image, &err));
        for (int k = 0; k < COUNT; k++)
            CHECK(image.image.data[k] == (float)k && image.mask.data[k] == (k > 0));
        aid_fits_image_done(&image);
    }
    naive_free(&file);
    naive_free(&whole);
    naive_free(&first);
    naive_free(&rest);
}

/* Some bits of a deflate stream mean nothing. */
static bool is_refused_or_the_ramp(const naive_fits *packed)
{
    aid_fits_image image;
    aid_status status = decode_here(packed->bytes, packed->size, &plain_request, &image, &err);
    if (status != AID_OK)
        return status == AID_ERR_INVALID && !strncmp(err.message, "x.fits: ", 8);
    bool same = true;
    for (int i = 0; i < COUNT; i++)
        same = same && image.image.data[i] == (float)i;
    aid_fits_image_done(&image);
    return same;
}

TEST(gzip_cut_anywhere_or_with_any_byte_flipped_is_refused_or_gives_the_same_pixels)
{
    naive_fits file = three_planes(), packed = gzipped(file.bytes, file.size);
    aid_fits_image image;
    for (size_t size = 1; size < packed.size; size += 7)
        CHECK_REFUSED(decode_here(packed.bytes, size, &plain_request, &image, &err),
                      AID_ERR_INVALID, "x.fits: ");
    CHECK_REFUSED(decode_here(packed.bytes, packed.size - 1, &plain_request, &image, &err),
                  AID_ERR_INVALID, "x.fits: the gzip data end early");
    for (size_t i = 10; i < packed.size; i += 11) { /* behind gzip's header, where times stand */
        packed.bytes[i] ^= 0x10;
        CHECK(is_refused_or_the_ramp(&packed));
        packed.bytes[i] ^= 0x10;
    }
    packed.bytes[packed.size - 8] ^= 1;
    CHECK_REFUSED(decode_here(packed.bytes, packed.size, &plain_request, &image, &err),
                  AID_ERR_INVALID, "x.fits: the gzip data are damaged: incorrect data check");
    naive_free(&file);
    naive_free(&packed);
}

TEST(a_gzip_bomb_goes_off_nowhere)
{
    const size_t size = 200 << 20;
    uint8_t *zeros = calloc(1, size);
    CHECK(zeros != NULL);
    naive_fits bomb = gzipped(zeros, size);
    CHECK(bomb.size < size / 900);
    check_all_refused(&bomb, " within the gzip)");
    naive_fits small = {0};
    naive_primary(&small, 8, 2, 1, 1);
    naive_end(&small);
    naive_value(&small, 8, 7);
    naive_fill(&small, '\0');
    memcpy(zeros, small.bytes, small.size); /* 200 MiB of padding */
    bomb = gzipped(zeros, size);
    check_all_refused(&bomb, "the gzip data go on for over 67108864 bytes after the last HDU");
    free(zeros);
    naive_free(&small);
}

/* ------------------------------------------------------------------------------------------ tiles
 */

/* Two rows of four 16-bit pixels, each a tile of its own that is not compressed at all. */
static const uint32_t sound_descriptors[][2] = {{0, 0}, {4, 0}, {0, 0}, {4, 8}};
static const uint8_t sound_heap[] = {0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8};
static const naive_tiles sound_tiles = {.compression = "GZIP_1",
                                        .bitpix = 16,
                                        .width = 4,
                                        .height = 2,
                                        .tile_width = 4,
                                        .tile_height = 1,
                                        .form = "1PB(0)",
                                        .raw_form = "1PI(4)",
                                        .rows = 2,
                                        .descriptors = sound_descriptors,
                                        .heap = sound_heap,
                                        .heap_size = sizeof sound_heap};

static naive_fits tile_file(const naive_tiles *tiles)
{
    naive_fits file = {0};
    naive_empty_primary(&file);
    naive_tile_image(&file, tiles);
    return file;
}

TEST(tiles_by_hand_are_read)
{
    naive_fits file = tile_file(&sound_tiles);
    aid_fits_image image;
    CHECK_OK(decode_here(file.bytes, file.size, &plain_request, &image, &err));
    for (int i = 0; i < 8; i++)
        CHECK_EQUAL(image.image.data[i], i + 1);
    aid_fits_image_done(&image);
    naive_free(&file);
}

static void check_tiles_refused(const naive_tiles *tiles, const char *text)
{
    naive_fits file = tile_file(tiles);
    check_all_refused(&file, text);
}

TEST(tiles_that_point_outside_or_hold_too_much_are_refused)
{
    static const struct {
        uint32_t count, offset;
        const char *text;
    } lies[] = {{4, 9, "HDU 1: tile 2: 4 elements at byte 9 of a heap of 16 bytes"},
                {4, 17, "tile 2: 4 elements at byte 17 of a heap of 16 bytes"},
                {4, UINT32_MAX, "tile 2: 4 elements at byte 4294967295"},
                {UINT32_MAX, 0, "tile 2: 4294967295 elements at byte 0"},
                {5, 0, "tile 2: 5 values for 4 pixels"},
                {3, 0, "tile 2: 3 values for 4 pixels"},
                {0, 0, "tile 2: nothing in it"}};
    for (size_t i = 0; i < AID_COUNT_OF(lies); i++) {
        uint32_t descriptors[4][2];
        memcpy(descriptors, sound_descriptors, sizeof descriptors);
        descriptors[3][0] = lies[i].count;
        descriptors[3][1] = lies[i].offset;
        naive_tiles tiles = sound_tiles;
        tiles.descriptors = (const uint32_t(*)[2])descriptors;
        check_tiles_refused(&tiles, lies[i].text);
    }
}

TEST(descriptions_of_tiles_that_contradict_themselves_are_refused)
{
    naive_tiles tiles = sound_tiles;
    tiles.tile_width = 3;
    check_tiles_refused(&tiles, "HDU 1: 2 compressed tiles where 2 x 2 must be");
    tiles.tile_width = 0;
    check_tiles_refused(&tiles, "ZTILE1 = 0 is not between 1 and");
    tiles = sound_tiles;
    tiles.compression = "LZMA";
    check_tiles_refused(&tiles, "unknown compression ZCMPTYPE = 'LZMA'");
    tiles = sound_tiles;
    tiles.bitpix = 64;
    check_tiles_refused(&tiles, "compressed 64-bit integers (ZBITPIX = 64) cannot be read");
    tiles.bitpix = 12;
    check_tiles_refused(&tiles, "ZBITPIX = 12 is not 8, 16, 32, 64, -32 or -64");
    tiles = sound_tiles;
    tiles.raw_form = "1PE(4)";
    check_tiles_refused(&tiles, "TFORM '1PE(4)' does not fit its column");
    tiles.raw_form = "1QI(4)";
    check_tiles_refused(&tiles, "NAXIS1 = 16, but the columns are 24 bytes wide");
    tiles.raw_form = "1PI(4) / rm -rf";
    check_tiles_refused(&tiles, "TFORM '1PI(4) / rm -rf' is not for compressed tiles");
    tiles = sound_tiles;
    tiles.form = "1PI";
    check_tiles_refused(&tiles, "TFORM '1PI' does not fit its column");
}

TEST(a_tile_bomb_is_refused_by_its_ratio)
{
    naive_tiles tiles = sound_tiles;
    tiles.width = tiles.height = tiles.tile_width = tiles.tile_height = 40000;
    tiles.rows = 1;
    check_tiles_refused(&tiles, "40000 x 40000 pixels cannot come from 32 compressed bytes");
    tiles.width = tiles.tile_width = 100000;
    check_tiles_refused(&tiles, "100000 x 40000 pixels: sides go to 65536");
}

TEST(compressed_streams_that_lie_about_their_own_length_are_refused)
{
    const uint32_t one_row[][2] = {{40, 0}};
    naive_tiles tiles = sound_tiles;
    tiles.raw_form = NULL;
    tiles.rows = 1;
    tiles.tile_height = 2;
    tiles.descriptors = one_row;
    tiles.heap_size = 40;
    uint8_t hcompress[40] = {0xdd, 0x99, 0, 1, 0, 0, 0, 1, 0, 0}; /* 65536 x 65536 */
    tiles.compression = "HCOMPRESS_1";
    tiles.heap = hcompress;
    check_tiles_refused(&tiles, "tile 1: HCOMPRESS data of 65536 x 65536 for 8 pixels");
    hcompress[3] = hcompress[7] = 0;
    hcompress[5] = 4;
    hcompress[9] = 2;
    hcompress[22] = 200; /* bit planes */
    check_tiles_refused(&tiles, "tile 1: HCOMPRESS data of 4 x 2 for 8 pixels");

    const uint32_t words[][2] = {{20, 0}};
    uint8_t plio[40] = {0, 0, 0, 7, 0xff, 0x9c, 0x7f, 0xff, 0x7f, 0xff};
    tiles.compression = "PLIO_1";
    tiles.form = "1PI(20)";
    tiles.descriptors = words;
    tiles.heap = plio;
    check_tiles_refused(&tiles, "tile 1: a PLIO list longer than its 20 words");
}

/* CFITSIO 4.2 waits for ever for the rest of such a tile. */
TEST(a_gzip_tile_that_does_not_end_or_holds_other_pixels_is_refused)
{
    const uint8_t pixels[16] = {0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8};
    for (size_t given = 12; given <= 16; given += 4)
        for (size_t missing = 0; missing <= 12; missing++) {
            naive_fits stream = gzipped(pixels, given);
            const uint32_t one_row[][2] = {{(uint32_t)(stream.size - missing), 0}};
            naive_tiles tiles = sound_tiles;
            tiles.raw_form = NULL;
            tiles.rows = 1;
            tiles.tile_height = 2;
            tiles.descriptors = one_row;
            tiles.heap = stream.bytes;
            tiles.heap_size = (int)stream.size;
            if (missing > 0 || given < 16) {
                check_tiles_refused(&tiles, "HDU 1: tile 1: the gzip data are damaged: ");
            } else {
                naive_fits file = tile_file(&tiles);
                aid_fits_image image;
                CHECK_OK(decode_here(file.bytes, file.size, &plain_request, &image, &err));
                CHECK_EQUAL(image.image.data[7], 8);
                aid_fits_image_done(&image);
                naive_free(&file);
            }
            naive_free(&stream);
        }
}

/* ----------------------------------------------------------------------- names and kinds of files
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

static const char *path_of(const char *name)
{
    static char path[256];
    if (!folder[0]) {
        snprintf(folder, sizeof folder, "/tmp/aid_test_fits_hostile_XXXXXX");
        CHECK(mkdtemp(folder));
        atexit(remove_folder);
    }
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void put_small_file(const char *path)
{
    naive_fits file = lying(5, "OBJECT  = 'M 31'");
    FILE *stream = fopen(path, "wb");
    CHECK(stream && fwrite(file.bytes, 1, file.size, stream) == file.size && fclose(stream) == 0);
    naive_free(&file);
}

static void check_read_refused(const char *path, aid_status status, const char *text)
{
    aid_fits_image image = {.hdu = 12345};
    CHECK_REFUSED(aid_fits_read(path, NULL, &image, &err), status, text);
    CHECK_EQUAL(image.hdu, 12345);
}

TEST(names_with_meanings_elsewhere_are_plain_names_here)
{
    static const char *const names[] = {
        "x.fits[1]", "!x.fits",       "http:x",       "~root",        "-",
        "x.fits+1",  "mem:x",         "x.fits(out)",  "stdin:x",      "root:x",
        "x*.fits",   "x.fits[col a]", "x\nlog entry", "name $(id)`x`"};
    for (size_t i = 0; i < AID_COUNT_OF(names); i++) {
        check_read_refused(path_of(names[i]), AID_ERR_IO, "cannot open: No such file or directory");
        CHECK(!strchr(err.message, '\n'));
        put_small_file(path_of(names[i]));
        aid_fits_image image;
        CHECK_OK(aid_fits_read(path_of(names[i]), NULL, &image, &err));
        CHECK_EQUAL(image.image.data[3], 4);
        aid_fits_image_done(&image);
    }
    static const char *const bare[] = {
        "-", "http://127.0.0.1:1/x.fits", "~root/x.fits", "stdin://", "mem://x", "!x.fits", ""};
    for (size_t i = 0; i < AID_COUNT_OF(bare); i++)
        check_read_refused(bare[i], AID_ERR_IO, "cannot open: No such file or directory");
}

TEST(a_link_is_followed_and_what_is_no_regular_file_is_refused_at_once)
{
    char target[256];
    snprintf(target, sizeof target, "%s", path_of("target.fits"));
    put_small_file(target);
    CHECK_EQUAL(symlink(target, path_of("link.fits")), 0);
    aid_fits_image image;
    CHECK_OK(aid_fits_read(path_of("link.fits"), NULL, &image, &err));
    CHECK_EQUAL(image.image.data[3], 4);
    aid_fits_image_done(&image);
    CHECK_EQUAL(symlink("nowhere", path_of("dangling.fits")), 0);
    check_read_refused(path_of("dangling.fits"), AID_ERR_IO, "No such file");
    CHECK_EQUAL(mkfifo(path_of("pipe.fits"), 0600), 0);
    check_read_refused(path_of("pipe.fits"), AID_ERR_INVALID, "pipe.fits: not a regular file");
    check_read_refused("/dev/zero", AID_ERR_INVALID, "/dev/zero: not a regular file");
    check_read_refused(folder, AID_ERR_INVALID, "a folder, not a file");
    int descriptor = open(path_of("empty.fits"), O_CREAT | O_WRONLY, 0600);
    CHECK(descriptor >= 0);
    close(descriptor);
    check_read_refused(path_of("empty.fits"), AID_ERR_INVALID, "empty.fits: empty file");
}

TEST(a_sparse_file_of_a_tebibyte_is_refused_by_its_size_and_a_smaller_one_by_its_bytes)
{
    int descriptor = open(path_of("sparse.fits"), O_CREAT | O_WRONLY, 0600);
    CHECK(descriptor >= 0);
    if (ftruncate(descriptor, 1ll << 40) == 0)
        check_read_refused(path_of("sparse.fits"), AID_ERR_INVALID,
                           "sparse.fits: 1099511627776 bytes, and files go to 17179869184");
    CHECK_EQUAL(ftruncate(descriptor, 64 << 20), 0);
    close(descriptor);
    check_read_refused(path_of("sparse.fits"), AID_ERR_INVALID, "sparse.fits: not a FITS file");
}

TEST(a_name_longer_than_a_message_keeps_its_end)
{
    char path[1100];
    memset(path, 'a', sizeof path);
    for (size_t i = 0; i < sizeof path; i += 200)
        path[i] = '/';
    snprintf(path + sizeof path - 20, 20, "/the_end.fits");
    check_read_refused(path, AID_ERR_IO, "/the_end.fits: cannot open: ");
}

typedef struct meddling {
    char path[256];
    atomic_bool stop;
} meddling;

static void *meddle(void *argument)
{
    meddling *job = argument;
    int descriptor = open(job->path, O_WRONLY);
    while (descriptor >= 0 && !atomic_load(&job->stop))
        if (pwrite(descriptor, "x", 1, 8 << 20) != 1)
            break;
    close(descriptor);
    return NULL;
}

/* Somebody writes into the image all the time: the hash would be of other bytes than the pixels. */
TEST(a_file_that_changes_while_it_is_read_is_to_be_read_again)
{
    meddling job;
    snprintf(job.path, sizeof job.path, "%s", path_of("changing.fits"));
    atomic_init(&job.stop, false);
    naive_fits file = {0};
    naive_primary(&file, 16, 2, 3000, 3000);
    naive_end(&file);
    FILE *stream = fopen(job.path, "wb");
    CHECK(stream && fwrite(file.bytes, 1, file.size, stream) == file.size);
    CHECK(ftruncate(fileno(stream), 2880 + 18000000) == 0 && fclose(stream) == 0);
    naive_free(&file);
    pthread_t thread;
    CHECK_EQUAL(pthread_create(&thread, NULL, meddle, &job), 0);
    int changed = 0;
    for (int i = 0; i < 20 && !changed; i++) {
        aid_fits_image image;
        aid_status status = aid_fits_read(job.path, NULL, &image, &err);
        changed = status == AID_ERR_IO && strstr(err.message, "changed while it was read");
        if (status == AID_OK)
            aid_fits_image_done(&image);
    }
    atomic_store(&job.stop, true);
    pthread_join(thread, NULL);
    CHECK(changed);
}

/* --------------------------------------------------------------------------------- a lying decoder
 */

typedef struct lie {
    const char *what;
    size_t offset, size;
    int64_t value;
} lie;

#define LIE(field, number)                                                                         \
    {                                                                                              \
#field " = " #number, offsetof(aid_fits_reply, field),                                     \
            sizeof(((aid_fits_reply *)0)->field), number                                           \
    }

/* Each field of a sound reply, one at a time. */
TEST(replies_with_any_field_out_of_range_are_refused)
{
    static const lie lies[] = {LIE(status, 7777),
                               LIE(width, 0),
                               LIE(width, -30),
                               LIE(width, 31),
                               LIE(width, INT32_MAX),
                               LIE(height, INT32_MIN),
                               LIE(height, 39),
                               LIE(has_image, 0),
                               LIE(has_image, 2),
                               LIE(has_whole, 1),
                               LIE(has_whole, -1),
                               LIE(has_variance, 0),
                               LIE(has_variance, -1),
                               LIE(has_mask, 0),
                               LIE(has_mask, 3),
                               LIE(hdu, -1),
                               LIE(hdu, AID_MAX_HDUS),
                               LIE(bitpix, 12),
                               LIE(bitpix, -8),
                               LIE(bitpix, INT32_MIN),
                               LIE(card_count, -1),
                               LIE(card_count, 1),
                               LIE(card_count, AID_MAX_HEADER_CARDS + 1),
                               LIE(card_count, AID_MAX_HEADER_CARDS),
                               LIE(cards_size, 0),
                               LIE(cards_size, -1),
                               LIE(cards_size, INT64_MAX),
                               LIE(bscale, 0x7ff0000000000000),
                               LIE(bzero, 0x7ff8000000000000)};
    naive_fits file = three_planes();
    reply_block sound = decode_to_block(file.bytes, file.size, &plain_request);
    aid_fits_image image = {.hdu = 12345};
    for (size_t i = 0; i < AID_COUNT_OF(lies); i++) {
        reply_block forged = {malloc(sound.size), sound.size};
        CHECK(forged.bytes != NULL);
        memcpy(forged.bytes, sound.bytes, sound.size);
        memcpy(forged.bytes + lies[i].offset, &lies[i].value, lies[i].size); /* little-endian */
        aid_status status = take_block(&forged, false, &image, &err);
        if (status != AID_ERR_INVALID)
            check_fail(__FILE__, __LINE__, "%s is taken for true", lies[i].what);
        free(forged.bytes);
    }
    CHECK_REFUSED(take_block(&sound, true, &image, &err), AID_ERR_INVALID, "its parts");
    CHECK_EQUAL(image.hdu, 12345);
    free(sound.bytes);
    naive_free(&file);
}

TEST(replies_that_are_cut_or_go_on_or_have_odd_text_or_mask_bits_are_refused)
{
    naive_fits file = three_planes();
    reply_block block = decode_to_block(file.bytes, file.size, &plain_request);
    aid_fits_reply reply;
    memcpy(&reply, block.bytes, sizeof reply);
    aid_fits_reply_extent extent = aid_fits_reply_measure(&reply);
    CHECK_EQUAL(extent.total, block.size);
    aid_fits_image image = {.hdu = 12345};
    for (size_t size = 0; size < block.size; size += size < 2000 ? 13 : 997) {
        reply_block cut = {block.bytes, size};
        CHECK_REFUSED(take_block(&cut, false, &image, &err), AID_ERR_INVALID, "cannot be right");
    }
    for (size_t at = extent.cards; at < block.size; at += 3) { /* lengths, kinds, letters */
        uint8_t was = block.bytes[at];
        block.bytes[at] = 0xee;
        CHECK_REFUSED(take_block(&block, false, &image, &err), AID_ERR_INVALID, "cannot be right");
        block.bytes[at] = was;
    }
    block.bytes[extent.mask + 5] = 0x80;
    CHECK_REFUSED(take_block(&block, false, &image, &err), AID_ERR_INVALID, "its mask");
    block.bytes[extent.mask + 5] = 0;
    memset(block.bytes + offsetof(aid_fits_reply, hdu_name), 'n', sizeof reply.hdu_name);
    CHECK_REFUSED(take_block(&block, false, &image, &err), AID_ERR_INVALID, "its name");
    block.bytes[0] = 'B';
    CHECK_REFUSED(take_block(&block, false, &image, &err), AID_ERR_INVALID, "begin like one");
    CHECK_EQUAL(image.hdu, 12345);
    free(block.bytes);
    naive_free(&file);
}

TEST(a_decoder_s_failure_is_its_words_once_and_only_if_they_are_text)
{
    aid_fits_reply reply = {.status = AID_ERR_NOMEM, .message = "HDU 3: too much"};
    memcpy(reply.magic, AID_FITS_REPLY_MAGIC, sizeof reply.magic);
    reply_block block = {(uint8_t *)&reply, sizeof reply};
    aid_fits_image image;
    CHECK_REFUSED(take_block(&block, false, &image, &err), AID_ERR_NOMEM,
                  "x.fits: HDU 3: too much");
    reply.status = AID_ERR_IO;
    CHECK_REFUSED(take_block(&block, false, &image, &err), AID_ERR_IO, "x.fits: HDU 3: too much");
    reply.status = AID_ERR_USAGE; /* not for a decoder to say */
    CHECK_REFUSED(take_block(&block, false, &image, &err), AID_ERR_INVALID, "x.fits: HDU 3");
    reply.message[3] = '\x1b';
    CHECK_REFUSED(take_block(&block, false, &image, &err), AID_ERR_INVALID, "its message");
    memset(reply.message, 'm', sizeof reply.message);
    CHECK_REFUSED(take_block(&block, false, &image, &err), AID_ERR_INVALID, "its message");
}

/* ------------------------------------------------------------------------------------- the sandbox
 */

/* What the decoder must not do even when it has been taken over. */
static void try_socket(void)
{
    (void)!socket(AF_INET, SOCK_STREAM, 0);
}

static void try_program(void)
{
    char *const nothing[] = {NULL};
    execve("/bin/true", nothing, nothing);
}

static void try_process(void)
{
    if (fork() == 0)
        _exit(0);
}

static void try_executable_memory(void)
{
    (void)!mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void try_unlink(void)
{
    unlink("/tmp/aid_there_is_no_such_file");
}

#ifndef AID_SANITIZED /* whose runtimes need files for their reports */
static void try_open(void)
{
    (void)!open("/etc/passwd", O_RDONLY);
}

static void try_write(void)
{
    (void)!write(2, "", 1);
}

static void try_kill(void)
{
    kill(getppid(), 0);
}
#endif

/* How a process ends that enters the sandbox and then tries something. */
static int outcome_of(void (*attempt)(void))
{
    pid_t child = fork();
    if (child == 0) {
        if (aid_fits_sandbox_enter(0, &err) != AID_OK)
            _exit(99);
        if (attempt)
            attempt();
        _exit(0);
    }
    int how = 0;
    CHECK(child > 0 && waitpid(child, &how, 0) == child);
    return how;
}

TEST(whoever_does_more_than_compute_in_the_sandbox_is_stopped)
{
    static void (*const attempts[])(void) = {
        try_socket, try_program, try_process, try_executable_memory, try_unlink,
#ifndef AID_SANITIZED
        try_open,   try_write,   try_kill,
#endif
    };
    int how = outcome_of(NULL);
    CHECK(WIFEXITED(how) && WEXITSTATUS(how) == 0);
    for (size_t i = 0; i < AID_COUNT_OF(attempts); i++) {
        how = outcome_of(attempts[i]);
        if (!WIFSIGNALED(how) || WTERMSIG(how) != SIGSYS)
            check_fail(__FILE__, __LINE__, "attempt %zu ended with %#x", i, (unsigned)how);
    }
}

static void raise_it(int signal)
{
    struct sigaction usual = {.sa_handler = SIG_DFL};
    sigaction(signal, &usual, NULL);
    raise(signal);
}

TEST(how_a_decoder_ended_decides_what_is_done_with_the_file)
{
    static const struct {
        int signal; /* or 0 and an exit code */
        aid_status status;
        const char *text;
    } ends[] = {{SIGSYS, AID_ERR_INVALID, "a.fits: the decoder was stopped (signal 31: "},
                {SIGABRT, AID_ERR_INVALID, "a.fits: the decoder was stopped (signal 6: Aborted)"},
                {SIGXCPU, AID_ERR_INVALID, "(signal 24: "},
                {SIGSEGV, AID_ERR_INVALID, "(signal 11: "},
                {SIGBUS, AID_ERR_IO, "(signal 7: "},
                {SIGKILL, AID_ERR_NOMEM, "(signal 9: Killed)"},
                {SIGTERM, AID_ERR_CANCELLED, "(signal 15: Terminated)"},
                {SIGINT, AID_ERR_CANCELLED, "(signal 2: Interrupt)"},
                {0, AID_ERR_IO, "a.fits: the decoder ended without a reply (exit code 3)"}};
    for (size_t i = 0; i < AID_COUNT_OF(ends); i++) {
        pid_t child = fork();
        if (child == 0) {
            if (ends[i].signal)
                raise_it(ends[i].signal);
            _exit(3);
        }
        CHECK(child > 0);
        CHECK_REFUSED(aid_fits_child_wait(child, "a.fits", &err), ends[i].status, ends[i].text);
    }
}

/* In place of the decoder: tells what it was given. */
static void tell_what_is_there(void)
{
    aid_fits_reply reply = {.status = AID_ERR_INVALID};
    memcpy(reply.magic, AID_FITS_REPLY_MAGIC, sizeof reply.magic);
    int used = snprintf(reply.message, sizeof reply.message, "descriptors");
    for (int i = 0; i < 1024; i++)
        if (fcntl(i, F_GETFD) >= 0)
            used += snprintf(reply.message + used, sizeof reply.message - (size_t)used, " %d", i);
    char name[64] = "";
    if (readlink("/proc/self/fd/0", name, sizeof name - 1) < 0)
        name[0] = '?';
    int variables = 0;
    while (environ && environ[variables])
        variables++;
    snprintf(reply.message + used, sizeof reply.message - (size_t)used, ", stdin %s, %d variables",
             name, variables);
    if (pwrite(4, &reply, sizeof reply, 0) != (ssize_t)sizeof reply)
        _exit(1);
    _exit(0);
}

TEST(the_decoder_gets_two_descriptors_no_input_and_no_environment)
{
    put_small_file(path_of("small.fits"));
    int leaked = open("/dev/null", O_RDONLY); /* not closed on exec */
    aid_fits_read_options options = {.hdu = "tell what is there"};
    aid_fits_image image;
    CHECK_REFUSED(aid_fits_read(path_of("small.fits"), &options, &image, &err), AID_ERR_INVALID,
                  "small.fits: descriptors 0 1 2 3 4, stdin /dev/null, 0 variables");
    close(leaked);
}

static int open_descriptors(void)
{
    int count = 0;
    for (int i = 0; i < 1024; i++)
        count += fcntl(i, F_GETFD) >= 0;
    return count;
}

TEST(no_descriptor_stays_open_behind_a_read)
{
    put_small_file(path_of("small.fits"));
    int before = open_descriptors();
    aid_fits_image image;
    CHECK_OK(aid_fits_read(path_of("small.fits"), NULL, &image, &err));
    aid_fits_image_done(&image);
    check_read_refused(path_of("missing.fits"), AID_ERR_IO, "No such file");
    check_read_refused("/dev/zero", AID_ERR_INVALID, "not a regular file");
    CHECK_EQUAL(open_descriptors(), before);
}

int main(int argc, char **argv)
{
    if (argc == 4 && !strcmp(argv[1], "__decode_fits") && !strcmp(argv[3], "tell what is there"))
        tell_what_is_there();
    aid_fits_decoder_main(argc, argv);
    return check_main(argc, argv);
}
