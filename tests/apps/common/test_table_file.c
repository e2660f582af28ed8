/* Which form a file is taken for, and which it gets. */
#include "adapters/files/files.h"
#include "adapters/fits/fits.h"
#include "apps/common/table_file.h"
#include "tests/check.h"
#include "tests/folder.h"

static aid_error err;

TEST(a_file_is_read_by_its_content_whatever_it_is_called)
{
    static const char *const names[] = {"t.fits", "t.fit", "t.vot", "t.xml", "t.json", "t.csv"};
    static const char text[] = "id,x\n1,2.5\n2,\n";
    enter_new_folder();
    CHECK_OK(aid_write_file("in", text, strlen(text), &err));
    aid_table table;
    CHECK_OK(aid_table_read("in", NULL, &table, &err));
    for (size_t i = 0; i < AID_COUNT_OF(names); i++) {
        aid_table back;
        CHECK_OK(aid_table_write(&table, names[i], NULL, &err));
        CHECK(rename(names[i], "nameless") == 0);
        CHECK_OK(aid_table_read("nameless", NULL, &back, &err));
        CHECK_EQUAL(back.rows, 2);
        CHECK_EQUAL(back.columns, 2);
        CHECK(back.items[0].values.integers[1] == 2 && back.items[1].values.doubles[0] == 2.5);
        CHECK(isnan(back.items[1].values.doubles[1]));
        aid_table_done(&back);
    }
    aid_table_done(&table);
}

TEST(what_cannot_be_read_or_named_is_refused)
{
    aid_table table = {.rows = -7};
    enter_new_folder();
    CHECK_OK(aid_write_file("empty", "", 0, &err));
    CHECK_OK(aid_write_file("nul.csv", "a\n\0", 3, &err));
    CHECK_OK(aid_write_file("short.fits", "SIMPLE  = T", 11, &err));
    CHECK_REFUSED(aid_table_read("none.csv", NULL, &table, &err), AID_ERR_IO, "none.csv: cannot");
    CHECK_REFUSED(aid_table_read("empty", NULL, &table, &err), AID_ERR_INVALID, "empty: empty");
    CHECK_REFUSED(aid_table_read(".", NULL, &table, &err), AID_ERR_INVALID, ".: a folder");
    CHECK_REFUSED(aid_table_read("/dev/zero", NULL, &table, &err), AID_ERR_INVALID,
                  "/dev/zero: not a regular file");
    CHECK_REFUSED(aid_table_read("nul.csv", NULL, &table, &err), AID_ERR_INVALID, "NUL byte");
    CHECK_REFUSED(aid_table_read("short.fits", NULL, &table, &err), AID_ERR_INVALID, "short.fits");
    CHECK_REFUSED(aid_table_check_path("t.txt", &err), AID_ERR_USAGE, "t.txt: the name of a table");
    CHECK_EQUAL(table.rows, -7);
}

TEST(a_missing_column_is_named_beside_those_that_are_there)
{
    aid_table table;
    int column = -7;
    CHECK_OK(aid_table_parse_csv("x.csv", strdup("id,x\n1,2\n"), &table, &err));
    CHECK_OK(aid_table_need(&table, "x.csv", "x", &column, &err));
    CHECK_EQUAL(column, 1);
    aid_status status = aid_table_need(&table, "x.csv", "fwhm", &column, &err);
    aid_table_done(&table);
    CHECK_EQUAL(status, AID_ERR_INVALID);
    CHECK_TEXT(err.message, "x.csv: no column `fwhm`; it has id, x");
    CHECK_EQUAL(column, 1);
}

int main(int argc, char **argv)
{
    aid_fits_decoder_main(argc, argv);
    return check_main(argc, argv);
}
