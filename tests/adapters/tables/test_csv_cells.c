#include "adapters/tables/csv_cells.h"

#include "tests/check.h"

static aid_error err;

static aid_csv parsed(const char *text)
{
    aid_csv csv = {0};
    CHECK_OK(aid_csv_parse("x.csv", strdup(text), &csv, &err));
    return csv;
}

TEST(cells_are_found_by_column_and_row)
{
    aid_csv csv = parsed("id,x,flags\n1,2.5,edge|dipole\n2,,\n");
    CHECK_EQUAL(csv.columns, 3);
    CHECK_EQUAL(csv.rows, 2);
    CHECK_EQUAL(aid_csv_column(&csv, "flags"), 2);
    CHECK_EQUAL(aid_csv_column(&csv, "flag"), -1);
    CHECK(aid_csv_number(&csv, 0, 1) == 2.5);
    CHECK_TEXT(aid_csv_cell(&csv, 0, 2), "edge|dipole");
    CHECK(isnan(aid_csv_number(&csv, 1, 1)));
    CHECK_TEXT(aid_csv_cell(&csv, 1, 2), "");
    CHECK(isnan(aid_csv_number(&csv, 0, 2)));
    aid_csv_done(&csv);
}

TEST(quotes_keep_commas_line_ends_and_quotes_together)
{
    aid_csv csv = parsed("name,\"a,b\"\r\n\"say \"\"hi\"\"\",\"two\nlines\"\r\nplain,3\r\n");
    CHECK_EQUAL(csv.rows, 2);
    CHECK_EQUAL(aid_csv_column(&csv, "a,b"), 1);
    CHECK_TEXT(aid_csv_cell(&csv, 0, 0), "say \"hi\"");
    CHECK_TEXT(aid_csv_cell(&csv, 0, 1), "two\nlines");
    CHECK(aid_csv_number(&csv, 1, 1) == 3.0);
    aid_csv_done(&csv);
}

TEST(a_table_without_rows_or_a_last_line_end_is_one_too)
{
    aid_csv csv = parsed("a,b\n");
    CHECK_EQUAL(csv.rows, 0);
    aid_csv_done(&csv);
    csv = parsed("a\n7");
    CHECK_EQUAL(csv.rows, 1);
    CHECK(aid_csv_number(&csv, 0, 0) == 7.0);
    aid_csv_done(&csv);
    csv = parsed("");
    CHECK_EQUAL(csv.columns, 1);
    CHECK_EQUAL(csv.rows, 0);
    aid_csv_done(&csv);
}

TEST(rows_of_another_length_are_refused_with_their_number)
{
    aid_csv csv = {.rows = -7};
    CHECK_REFUSED(aid_csv_parse("x.csv", strdup("a,b\n1,2\n1\n"), &csv, &err), AID_ERR_INVALID,
                  "x.csv: row 3 has 1 cells, not 2");
    CHECK_REFUSED(aid_csv_parse("x.csv", strdup("a,b\n1,2,3\n"), &csv, &err), AID_ERR_INVALID,
                  "row 2 has 3 cells");
    CHECK_REFUSED(aid_csv_parse("x.csv", strdup("a,b\n\n"), &csv, &err), AID_ERR_INVALID,
                  "row 2 has 1 cells");
    CHECK_EQUAL(csv.rows, -7);
}

TEST(a_quote_that_never_closes_takes_the_rest)
{
    aid_csv csv = parsed("a\n\"b,c\nd\n");
    CHECK_EQUAL(csv.rows, 1);
    CHECK_TEXT(aid_csv_cell(&csv, 0, 0), "b,c\nd\n");
    aid_csv_done(&csv);
}

TEST_MAIN()
