/* Binary tables in: made by hand, ours, and wrong ones. */
#define _GNU_SOURCE
#include "adapters/fits/fits.h"
#include "adapters/tables/table.h"
#include "tests/adapters/fits/decode_here.h"
#include "tests/adapters/fits/naive_fits.h"
#include "tests/check.h"
#include "tests/folder.h"

static aid_error err;

/* ------------------------------------------------------------------------------- decoding in here
 */

static aid_status take_here(const naive_fits *file, const char *hdu, aid_notes *notes,
                            aid_table *ret_table)
{
    aid_fits_request request = {.table = true, .hdu = hdu};
    uint8_t *copy = malloc(file->size); /* the sanitizer sees its end */
    CHECK(copy != NULL);
    memcpy(copy, file->bytes, file->size);
    reply_block block = decode_to_block(copy, file->size, &request);
    int descriptor = memfd_create("reply", MFD_CLOEXEC);
    CHECK(pwrite(descriptor, block.bytes, block.size, 0) == (ssize_t)block.size);
    aid_status status = aid_fits_reply_take_table(descriptor, "x.fits", notes, ret_table, &err);
    close(descriptor);
    free(block.bytes);
    free(copy);
    return status;
}

static void begin_table(naive_fits *file, int row_bytes, int rows, int fields)
{
    naive_empty_primary(file);
    naive_extension(file, "BINTABLE", 8, row_bytes, rows);
    naive_counts(file, 0);
    naive_card(file, "TFIELDS = %20d", fields);
}

static void put_column(naive_fits *file, int number, const char *name, const char *form)
{
    naive_card(file, "TTYPE%-3d= '%s'", number, name);
    naive_card(file, "TFORM%-3d= '%s'", number, form);
}

/* One column of every type, with scaling, nulls and units: 58 bytes a row. */
static naive_fits every_type(void)
{
    naive_fits file = {0};
    begin_table(&file, 58, 2, 13);
    put_column(&file, 1, "good", "L");
    put_column(&file, 2, "byte", "1B");
    put_column(&file, 3, "short", "I");
    naive_card(&file, "TNULL3  =                 -999");
    put_column(&file, 4, "ushort", "I");
    naive_card(&file, "TZERO4  =              32768.0");
    put_column(&file, 5, "int", "J");
    naive_card(&file, "TSCAL5  =                  0.5");
    naive_card(&file, "TZERO5  =                 10.0");
    put_column(&file, 6, "id", "K");
    put_column(&file, 7, "uid", "K");
    naive_card(&file, "TZERO7  =  9223372036854775808");
    put_column(&file, 8, "flux", "E");
    naive_card(&file, "TUNIT8  = 'adu     '");
    naive_card(&file, "TDISP8  = 'F8.2    '");
    put_column(&file, 9, "ra", "D");
    naive_card(&file, "TUNIT9  = 'deg     '");
    naive_card(&file, "TUCD9   = 'pos.eq.ra'");
    naive_card(&file, "TCOMM9  = 'right ascension'");
    put_column(&file, 10, "name", "3A");
    put_column(&file, 11, "vector", "2E");
    put_column(&file, 12, "array", "1PE(7)");
    put_column(&file, 13, "bits", "5X");
    naive_card(&file, "EXTNAME = 'CAT     '");
    naive_end(&file);
    for (int row = 0; row < 2; row++) {
        naive_bytes(&file, row ? "\0" : "T", 1);
        naive_whole(&file, 1, row ? 200 : 3);
        naive_whole(&file, 2, (uint64_t)(row ? -999 : -5));
        naive_whole(&file, 2, (uint64_t)(row ? 32767 : -32768));
        naive_whole(&file, 4, (uint64_t)(row ? -4 : 3));
        naive_whole(&file, 8, row ? 9007199254740993u : 1);
        naive_whole(&file, 8, (uint64_t)(INT64_MIN + (row ? 7 : 0)));
        naive_value(&file, -32, row ? (double)NAN : 1.5);
        naive_value(&file, -64, row ? 359.75 : 0.1);
        naive_bytes(&file, row ? "b\0z" : "ab ", 3);
        naive_value(&file, -32, 1.0);
        naive_value(&file, -32, 2.0);
        naive_whole(&file, 8, 0);
        naive_whole(&file, 1, 0xf8);
    }
    naive_fill(&file, '\0');
    return file;
}

TEST(every_type_is_read_as_the_standard_has_it)
{
    naive_fits file = every_type();
    static aid_notes notes;
    notes.count = 0;
    aid_table table;
    CHECK_OK(take_here(&file, NULL, &notes, &table));
    naive_free(&file);
    CHECK_EQUAL(table.rows, 2);
    CHECK_EQUAL(table.columns, 10);
    CHECK_TEXT(table.name, "CAT");
    const aid_column *c = table.items;
    CHECK(c[0].values.integers[0] == 1 && c[0].values.integers[1] == AID_NULL_INT64);
    CHECK(c[1].values.integers[0] == 3 && c[1].values.integers[1] == 200);
    CHECK(c[2].values.integers[0] == -5 && c[2].values.integers[1] == AID_NULL_INT64);
    CHECK(c[3].values.integers[0] == 0 && c[3].values.integers[1] == 65535);
    CHECK_EQUAL(c[4].kind, AID_COLUMN_DOUBLE);
    CHECK(c[4].values.doubles[0] == 11.5 && c[4].values.doubles[1] == 8.0);
    CHECK(c[5].values.integers[1] == 9007199254740993);
    CHECK_EQUAL(c[6].kind, AID_COLUMN_INT64);
    CHECK(c[6].values.integers[0] == 0 && c[6].values.integers[1] == 7);
    CHECK(c[7].values.doubles[0] == 1.5 && isnan(c[7].values.doubles[1]));
    CHECK_EQUAL(c[7].decimals, 2);
    CHECK_TEXT(c[7].unit, "adu");
    CHECK(c[8].values.doubles[1] == 359.75);
    CHECK_EQUAL(c[8].decimals, -1);
    CHECK_TEXT(c[8].ucd, "pos.eq.ra");
    CHECK_TEXT(c[8].description, "right ascension");
    CHECK_TEXT(c[9].values.texts[0], "ab");
    CHECK_TEXT(c[9].values.texts[1], "b");
    CHECK_EQUAL(notes.count, 1);
    CHECK_TEXT(notes.items[0].text,
               "x.fits: columns left out: vector (2E), array (1PE(7)), bits (5X)");
    aid_table_done(&table);
}

TEST(unsigned_numbers_too_large_for_int64_become_doubles)
{
    naive_fits file = {0};
    begin_table(&file, 8, 2, 1);
    put_column(&file, 1, "uid", "K");
    naive_card(&file, "TZERO1  =  9223372036854775808");
    naive_end(&file);
    naive_whole(&file, 8, 0);                       /* 2^63 */
    naive_whole(&file, 8, (uint64_t)INT64_MIN + 5); /* 5 */
    naive_fill(&file, '\0');
    aid_table table;
    CHECK_OK(take_here(&file, NULL, NULL, &table));
    naive_free(&file);
    CHECK_EQUAL(table.items[0].kind, AID_COLUMN_DOUBLE);
    CHECK(table.items[0].values.doubles[0] == 9223372036854775808.0);
    aid_table_done(&table);
}

TEST(a_table_is_found_by_number_or_name_and_without_either_behind_the_header_of_an_image)
{
    naive_fits file = {0};
    begin_table(&file, 4, 1, 1);
    put_column(&file, 1, "Field Header Card", "4A");
    naive_card(&file, "EXTNAME = 'LDAC_IMHEAD'");
    naive_end(&file);
    naive_bytes(&file, "SIMP", 4);
    naive_fill(&file, '\0');
    for (int i = 0; i < 2; i++) {
        naive_extension(&file, "BINTABLE", 8, 4, 1);
        naive_counts(&file, 0);
        naive_card(&file, "TFIELDS =                    1");
        put_column(&file, 1, "NUMBER", "J");
        naive_card(&file, "EXTNAME = '%s'", i ? "OTHER" : "LDAC_OBJECTS");
        naive_end(&file);
        naive_whole(&file, 4, (uint64_t)(40 + i));
        naive_fill(&file, '\0');
    }
    static const char *const wanted[] = {NULL, "2", "OTHER", "ldac_objects"};
    static const int expected[] = {40, 40, 41, 40};
    for (int i = 0; i < 4; i++) {
        aid_table table;
        CHECK_OK(take_here(&file, wanted[i], NULL, &table));
        CHECK(table.items[0].values.integers[0] == expected[i]);
        aid_table_done(&table);
    }
    aid_table table = {.rows = -7};
    CHECK_REFUSED(take_here(&file, "0", NULL, &table), AID_ERR_INVALID,
                  "x.fits: HDU 0: not a binary table but empty");
    CHECK_REFUSED(take_here(&file, "9", NULL, &table), AID_ERR_INVALID, "no HDU 9");
    CHECK_EQUAL(table.rows, -7);
    naive_free(&file);
}

/* ------------------------------------------------------------------------------------ what is
 * wrong */

static void refused(const char *form, const char *extra, int row_bytes, const char *why)
{
    naive_fits file = {0};
    begin_table(&file, row_bytes, 2, 1);
    put_column(&file, 1, "a", form);
    if (extra)
        naive_card(&file, "%s", extra);
    naive_end(&file);
    for (int i = 0; i < row_bytes * 2; i++)
        naive_whole(&file, 1, (uint64_t)i);
    naive_fill(&file, '\0');
    aid_table table = {.rows = -7};
    aid_status status = take_here(&file, NULL, NULL, &table);
    naive_free(&file);
    if (status != AID_ERR_INVALID || !strstr(err.message, why))
        check_fail(__FILE__, __LINE__, "%s: '%s', not '%s'", form, err.message, why);
    CHECK_EQUAL(table.rows, -7);
}

TEST(tables_that_contradict_themselves_are_refused)
{
    refused("J", NULL, 8, "NAXIS1 = 8, but the columns are 4 bytes");
    refused("D", NULL, 4, "NAXIS1 = 4, but the columns are 8 bytes");
    refused("9223372036854775807D", NULL, 8, "is no form of a column");
    refused("99999999999D", NULL, 8, "is no form of a column");
    refused("-1D", NULL, 8, "is no form of a column");
    refused("Z", NULL, 8, "is no form of a column");
    refused("", NULL, 8, "is no form of a column");
    refused("2E", NULL, 8, "without a column that can be read");
    refused("0J", NULL, 0, "without a column that can be read");
    refused("D", "TSCAL1  = 'x'", 8, "TSCAL1 = x is not a finite number");
    refused("J", "TNULL1  = 1.5", 4, "TNULL1 = 1.5 is not a whole number");
    refused("K", "TNULL1  = 99999999999999999999", 8, "is not a whole number");
}

TEST(a_file_without_a_table_is_refused)
{
    naive_fits file = {0};
    const double pixels[] = {1, 2, 3, 4};
    naive_empty_primary(&file);
    naive_image(&file, "SCI", -32, 2, 2, pixels);
    aid_table table = {.rows = -7};
    CHECK_REFUSED(take_here(&file, NULL, NULL, &table), AID_ERR_INVALID,
                  "x.fits: no binary table among 2 HDUs");
    CHECK_REFUSED(take_here(&file, "SCI", NULL, &table), AID_ERR_INVALID,
                  "HDU 1: not a binary table but a 2-D image of 2 x 2");
    CHECK_EQUAL(table.rows, -7);
    naive_free(&file);
}

/* What a decoder that was taken over could say instead of its reply. */
TEST(a_reply_that_was_tampered_with_is_refused)
{
    naive_fits file = every_type();
    aid_fits_request request = {.table = true};
    reply_block block = decode_to_block(file.bytes, file.size, &request);
    naive_free(&file);
    const size_t places[] = {offsetof(aid_fits_reply, rows),
                             offsetof(aid_fits_reply, rows) + 7,
                             offsetof(aid_fits_reply, columns),
                             offsetof(aid_fits_reply, columns) + 3,
                             offsetof(aid_fits_reply, has_image),
                             offsetof(aid_fits_reply, width),
                             offsetof(aid_fits_reply, hdu_name),
                             offsetof(aid_fits_reply, message),
                             sizeof(aid_fits_reply),
                             sizeof(aid_fits_reply) + offsetof(aid_fits_reply_column, kind),
                             sizeof(aid_fits_reply) + offsetof(aid_fits_reply_column, width),
                             sizeof(aid_fits_reply) + offsetof(aid_fits_reply_column, width) + 5,
                             sizeof(aid_fits_reply) + offsetof(aid_fits_reply_column, decimals)};
    for (size_t i = 0; i < AID_COUNT_OF(places); i++) {
        uint8_t before = block.bytes[places[i]];
        block.bytes[places[i]] = (uint8_t)(before ^ 0x81);
        int descriptor = memfd_create("reply", MFD_CLOEXEC);
        CHECK(pwrite(descriptor, block.bytes, block.size, 0) == (ssize_t)block.size);
        aid_table table = {.rows = -7};
        CHECK_REFUSED(aid_fits_reply_take_table(descriptor, "x.fits", NULL, &table, &err),
                      AID_ERR_INVALID, "x.fits: the decoder gave a reply that cannot be right");
        CHECK_EQUAL(table.rows, -7);
        close(descriptor);
        block.bytes[places[i]] = before;
    }
    free(block.bytes);
}

/* ---------------------------------------------------------------------------- through the child
 * too */

static aid_table ours(int64_t rows)
{
    static const aid_column columns[] = {
        {.name = "id", .ucd = "meta.id", .kind = AID_COLUMN_INT64},
        {.name = "x", .unit = "pix", .kind = AID_COLUMN_DOUBLE, .decimals = 3},
        {.name = "flags", .description = "what is odd", .kind = AID_COLUMN_TEXT}};
    aid_table table;
    CHECK_OK(aid_table_init("candidates", NULL, columns, 3, rows, &table, &err));
    for (int64_t row = 0; row < rows; row++) {
        table.items[0].values.integers[row] = row % 5 == 4 ? AID_NULL_INT64 : row * 1000003;
        table.items[1].values.doubles[row] = row % 7 == 6 ? (double)NAN : sqrt((double)row);
        CHECK_OK(aid_table_set_text(&table, 2, row, row % 3 ? "edge|dipole" : NULL, &err));
    }
    return table;
}

TEST(what_we_write_reads_back_through_the_sandboxed_child)
{
    static const int64_t sizes[] = {0, 1, 50000};
    enter_new_folder();
    for (size_t i = 0; i < AID_COUNT_OF(sizes); i++) {
        aid_table table = ours(sizes[i]), back;
        aid_fits_writer *writer;
        CHECK_OK(aid_fits_create("t.fits", &writer, &err));
        CHECK_OK(aid_fits_put_table(writer, "CANDIDATES", &table, NULL, &err));
        CHECK_OK(aid_fits_commit(writer, &err));
        CHECK_OK(aid_fits_read_table("t.fits", NULL, NULL, &back, &err));
        CHECK_EQUAL(back.rows, table.rows);
        CHECK_EQUAL(back.columns, 3);
        CHECK_TEXT(back.items[1].unit, "pix");
        CHECK_TEXT(back.items[2].description, "what is odd");
        CHECK_EQUAL(back.items[1].decimals, 3);
        int64_t different = 0;
        for (int64_t row = 0; row < back.rows; row++) {
            const char *one = table.items[2].values.texts[row];
            const char *other = back.items[2].values.texts[row];
            different +=
                table.items[0].values.integers[row] != back.items[0].values.integers[row] ||
                memcmp(&table.items[1].values.doubles[row], &back.items[1].values.doubles[row],
                       8) != 0 ||
                (one ? !other || strcmp(one, other) != 0 : other != NULL);
        }
        CHECK_EQUAL(different, 0);
        aid_table_done(&table);
        aid_table_done(&back);
    }
}

int main(int argc, char **argv)
{
    aid_fits_decoder_main(argc, argv);
    return check_main(argc, argv);
}
