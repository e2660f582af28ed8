/* Tables in: what other programs have written, what we write, and what is no table. */
#include "adapters/tables/table.h"
#include "tests/check.h"
#include "tests/folder.h"

static aid_error err;

static aid_table of_csv(const char *text)
{
    aid_table table = {0};
    CHECK_OK(aid_table_parse_csv("x.csv", strdup(text), &table, &err));
    return table;
}

static aid_table of_json(const char *text)
{
    aid_table table = {0};
    CHECK_OK(aid_table_parse_json("x.json", text, strlen(text), &table, &err));
    return table;
}

static aid_table of_votable(const char *text, aid_notes *notes)
{
    aid_table table = {0};
    CHECK_OK(aid_table_parse_votable("x.vot", text, strlen(text), notes, &table, &err));
    return table;
}

/* -------------------------------------------------------------------------------------------- CSV
 */

TEST(a_column_is_whole_numbers_numbers_or_text_as_all_its_cells_are)
{
    aid_table table = of_csv("# a remark\nid,x,mixed,code,name,none,sci\n"
                             "1,2.50,1,007,a,,1e3\n"
                             "-2,13.25,2.5,12,\"b,c\",,nan\n"
                             ",,,3,,,-Inf\n");
    CHECK_EQUAL(table.rows, 3);
    CHECK_EQUAL(table.columns, 7);
    static const aid_column_kind kinds[] = {AID_COLUMN_INT64, AID_COLUMN_DOUBLE, AID_COLUMN_DOUBLE,
                                            AID_COLUMN_TEXT,  AID_COLUMN_TEXT,   AID_COLUMN_DOUBLE,
                                            AID_COLUMN_DOUBLE};
    for (int i = 0; i < 7; i++)
        CHECK_EQUAL(table.items[i].kind, kinds[i]);
    CHECK(table.items[0].values.integers[1] == -2);
    CHECK(table.items[0].values.integers[2] == AID_NULL_INT64);
    CHECK(isnan(aid_table_number(&table, 0, 2)));
    CHECK_EQUAL(table.items[1].decimals, 2);
    CHECK_EQUAL(table.items[2].decimals, -1);
    CHECK(isnan(aid_table_number(&table, 1, 2)) && aid_table_number(&table, 1, 1) == 13.25);
    CHECK_TEXT(table.items[3].values.texts[0], "007");
    CHECK_TEXT(table.items[4].values.texts[1], "b,c");
    CHECK(!table.items[4].values.texts[2]);
    CHECK(isnan(aid_table_number(&table, 5, 0)));
    CHECK(aid_table_number(&table, 6, 0) == 1000.0 && isinf(aid_table_number(&table, 6, 2)));
    CHECK_EQUAL(aid_table_find(&table, "NAME"), 4);
    CHECK_EQUAL(aid_table_find(&table, "fwhm"), -1);
    aid_table_done(&table);
}

TEST(whole_numbers_keep_all_their_digits_and_larger_ones_stay_text)
{
    aid_table table = of_csv("a,b\n9007199254740993,18446744073709551615\n-5,1\n");
    CHECK(table.items[0].values.integers[0] == 9007199254740993);
    CHECK_EQUAL(table.items[1].kind, AID_COLUMN_TEXT);
    CHECK_TEXT(table.items[1].values.texts[0], "18446744073709551615");
    aid_table_done(&table);
}

TEST(a_csv_without_names_or_with_ragged_rows_is_refused)
{
    aid_table table = {.rows = -7};
    CHECK_REFUSED(aid_table_parse_csv("x.csv", strdup("a,,c\n1,2,3\n"), &table, &err),
                  AID_ERR_INVALID, "x.csv: column 2 has no name");
    CHECK_REFUSED(aid_table_parse_csv("x.csv", strdup("a,b\n1\n"), &table, &err), AID_ERR_INVALID,
                  "x.csv: row 2 has 1 cells, not 2");
    CHECK_REFUSED(aid_table_parse_csv("x.csv", strdup(""), &table, &err), AID_ERR_INVALID,
                  "x.csv: column 1 has no name");
    CHECK_EQUAL(table.rows, -7);
}

/* ------------------------------------------------------------------------------------------- JSON
 */

TEST(an_array_of_objects_is_a_table_of_all_their_keys)
{
    aid_table table = of_json("[{\"id\": 1, \"x\": 2, \"ok\": true},"
                              " {\"x\": 2.5, \"name\": \"a\", \"ok\": null},"
                              " {\"name\": 7, \"x\": null}]");
    CHECK_EQUAL(table.rows, 3);
    CHECK_EQUAL(table.columns, 4);
    CHECK_EQUAL(table.items[0].kind, AID_COLUMN_INT64);
    CHECK_EQUAL(table.items[1].kind, AID_COLUMN_DOUBLE);
    CHECK_EQUAL(table.items[2].kind, AID_COLUMN_INT64);
    CHECK_EQUAL(table.items[3].kind, AID_COLUMN_TEXT);
    CHECK(table.items[0].values.integers[2] == AID_NULL_INT64);
    CHECK(table.items[1].values.doubles[1] == 2.5 && isnan(table.items[1].values.doubles[2]));
    CHECK(table.items[2].values.integers[0] == 1);
    CHECK_TEXT(table.items[3].values.texts[2], "7");
    aid_table_done(&table);
}

TEST(json_that_is_no_table_is_refused_with_its_place)
{
    aid_table table = {.rows = -7};
    static const char *const wrong[][2] = {
        {"{\"a\": 1}", "x.json: neither an array of objects nor"},
        {"[1]", "x.json: row 1 is no object"},
        {"[{\"a\": 1}, {\"a\": [1]}]", "x.json: row 2: `a` is no single value"},
        {"[{\"a\": 1, \"a\": 2}]", "x.json:1:"},
        {"[{\"a\": 1}", "x.json:1:"},
        {"[{\"\": 1}]", "x.json: a column without a name"},
        {"{\"columns\": [{\"unit\": \"deg\"}], \"rows\": []}", "x.json: column 1 has no name"},
    };
    for (size_t i = 0; i < AID_COUNT_OF(wrong); i++)
        CHECK_REFUSED(
            aid_table_parse_json("x.json", wrong[i][0], strlen(wrong[i][0]), &table, &err),
            AID_ERR_INVALID, wrong[i][1]);
    CHECK_EQUAL(table.rows, -7);
}

/* ---------------------------------------------------------------------------------------- VOTable
 */

#define FIELDS                                                                                     \
    "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n"                                                 \
    "<VOTABLE version=\"1.4\" xmlns=\"http://www.ivoa.net/xml/VOTable/v1.3\">\n"                   \
    " <RESOURCE type=\"results\">\n  <TABLE>\n"                                                    \
    "   <FIELD ID=\"id\" datatype=\"long\" name=\"id\"/>\n"                                        \
    "   <FIELD ID=\"ra\" datatype=\"double\" name=\"ra\" unit=\"deg\" ucd=\"pos.eq.ra\"/>\n"       \
    "   <FIELD ID=\"mag\" datatype=\"float\" name=\"mag\"/>\n"                                     \
    "   <FIELD ID=\"n\" datatype=\"short\" name=\"n\"/>\n"                                         \
    "   <FIELD ID=\"name\" arraysize=\"5\" datatype=\"unicodeChar\" name=\"name\"/>\n"             \
    "   <FIELD ID=\"good\" datatype=\"bit\" name=\"good\"/>\n"                                     \
    "   <FIELD ID=\"u\" datatype=\"unsignedByte\" name=\"u\"/>\n"                                  \
    "   <FIELD ID=\"vec\" arraysize=\"2\" datatype=\"double\" name=\"vec\"/>\n   <DATA>\n"
#define END "   </DATA>\n  </TABLE>\n </RESOURCE>\n</VOTABLE>\n"

/* What astropy 5.2.1 writes of one table (io.votable.writeto with tabledata_format), in its three
 * serialisations. */
static const char tabledata[] =
    FIELDS "<TABLEDATA>\n"
           "<TR><TD>1</TD><TD>359.5</TD><TD>1.5</TD><TD>7</TD><TD>alpha</TD><TD>1</TD><TD>200</TD>"
           "<TD>0 1</TD></TR>\n"
           "<TR>\n<TD>2</TD>\n<TD>0.25</TD><TD>-2.25</TD><TD>8</TD><TD>b</TD><TD>0</TD><TD>0</TD>"
           "<TD>2 3</TD></TR>\n"
           "<TR><TD>9007199254740993</TD><TD>NaN</TD><TD>3</TD><TD>9</TD><TD/><TD>1</TD>"
           "<TD>255</TD><TD>4 5</TD></TR>\n</TABLEDATA>\n" END;
static const char binary2[] =
    FIELDS "<BINARY2><STREAM encoding=\"base64\">"
           "\n"
           "AAAAAAAAAAABQHZ4AAAAAAA/wAAAAAcAYQBsAHAAaABhCMgAAAAAAAAAAD/wAAAAAAAAAAAAAAAAAAAC"
           "P9AAAAAAAADAEAAAAAgAYgAAAAAAAAAAAABAAAAAAAAAAEAIAAAAAAAAAAAgAAAAAAABf/gAAAAAAABA"
           "QAAAAAkAAAAAAAAAAAAACP9AEAAAAAAAAEAUAAAAAAAA     "
           "\n"
           "</STREAM></BINARY2>\n" END;
static const char binary[] =
    FIELDS "<BINARY><STREAM encoding=\"base64\">"
           "\n"
           "AAAAAAAAAAFAdngAAAAAAD/AAAAABwBhAGwAcABoAGEIyAAAAAAAAAAAP/AAAAAAAAAAAAAAAAAAAj/Q"
           "AAAAAAAAwBAAAAAIAGIAAAAAAAAAAAAAQAAAAAAAAABACAAAAAAAAAAgAAAAAAABf/gAAAAAAABAQAAA"
           "AAkAAAAAAAAAAAAACP9AEAAAAAAAAEAUAAAAAAAA     "
           "\n"
           "</STREAM></BINARY>\n" END;

TEST(the_three_serialisations_of_a_votable_are_one_table)
{
    static const char *const texts[] = {tabledata, binary, binary2};
    for (int i = 0; i < 3; i++) {
        static aid_notes notes;
        notes.count = 0;
        aid_table table = of_votable(texts[i], &notes);
        CHECK_EQUAL(table.rows, 3);
        CHECK_EQUAL(table.columns, 7);
        CHECK(table.items[0].values.integers[2] == 9007199254740993);
        CHECK(table.items[1].values.doubles[0] == 359.5);
        CHECK(isnan(table.items[1].values.doubles[2]));
        CHECK_TEXT(table.items[1].unit, "deg");
        CHECK_TEXT(table.items[1].ucd, "pos.eq.ra");
        CHECK(table.items[2].values.doubles[1] == -2.25);
        CHECK(table.items[3].values.integers[1] == 8);
        CHECK_TEXT(table.items[4].values.texts[0], "alpha");
        CHECK_TEXT(table.items[4].values.texts[1], "b");
        CHECK(!table.items[4].values.texts[2]);
        CHECK(table.items[5].values.integers[0] == 1 && table.items[5].values.integers[1] == 0);
        CHECK(table.items[6].values.integers[2] == 255);
        CHECK_EQUAL(notes.count, 1);
        CHECK_TEXT(notes.items[0].text, "x.vot: columns left out: vec");
        aid_table_done(&table);
    }
}

#define ONE(field, data)                                                                           \
    "<VOTABLE><RESOURCE><TABLE>" field "<DATA>" data "</DATA></TABLE></RESOURCE></VOTABLE>"

/* By hand: row 1 is 5, row 2 has the flag of a null and any bytes, row 3 the declared null -1; and
 * texts of variable length. */
TEST(nulls_are_by_flag_by_declared_value_or_by_an_empty_cell)
{
    aid_table table =
        of_votable(ONE("<FIELD name=\"n\" datatype=\"int\"><VALUES null=\"-1\"/></FIELD>"
                       "<FIELD name=\"t\" datatype=\"char\" arraysize=\"*\"/>",
                       "<BINARY2><STREAM encoding=\"base64\">AAAAAAUAAAACaGmAAAAACQAAAAAA/////"
                       "wAAAAF4</STREAM></BINARY2>"),
                   NULL);
    CHECK_EQUAL(table.rows, 3);
    CHECK(table.items[0].values.integers[0] == 5);
    CHECK(table.items[0].values.integers[1] == AID_NULL_INT64);
    CHECK(table.items[0].values.integers[2] == AID_NULL_INT64);
    CHECK_TEXT(table.items[1].values.texts[0], "hi");
    CHECK(!table.items[1].values.texts[1]);
    CHECK_TEXT(table.items[1].values.texts[2], "x");
    aid_table_done(&table);
    table = of_votable(ONE("<FIELD name=\"n\" datatype=\"int\"><VALUES null=\"-1\"/></FIELD>",
                           "<TABLEDATA><TR><TD> 0x1F </TD></TR><TR><TD/></TR><TR><TD>-1</TD></TR>"
                           "</TABLEDATA>"),
                       NULL);
    CHECK(table.items[0].values.integers[0] == 31);
    CHECK(table.items[0].values.integers[1] == AID_NULL_INT64);
    CHECK(table.items[0].values.integers[2] == AID_NULL_INT64);
    aid_table_done(&table);
}

TEST(a_table_without_data_gives_way_to_the_next_one)
{
    aid_table table = of_votable(
        "<v:VOTABLE xmlns:v=\"x\"><v:RESOURCE><v:TABLE><v:FIELD name=\"a\" datatype=\"int\"/>"
        "</v:TABLE><v:TABLE name=\"two\"><v:DESCRIPTION>the &lt;second&gt;</v:DESCRIPTION>"
        "<v:FIELD name=\"b\" datatype=\"int\"><v:DESCRIPTION>bee</v:DESCRIPTION></v:FIELD><v:DATA>"
        "<v:TABLEDATA></v:TABLEDATA></v:DATA></v:TABLE></v:RESOURCE></v:VOTABLE>",
        NULL);
    CHECK_EQUAL(table.rows, 0);
    CHECK_EQUAL(table.columns, 1);
    CHECK_TEXT(table.name, "two");
    CHECK_TEXT(table.description, "the <second>");
    CHECK_TEXT(table.items[0].name, "b");
    CHECK_TEXT(table.items[0].description, "bee");
    aid_table_done(&table);
}

TEST(xml_that_is_no_votable_declares_entities_or_points_elsewhere_is_refused)
{
    static const char *const wrong[][2] = {
        {"<!DOCTYPE v [<!ENTITY a \"aaaa\">]><VOTABLE>&a;</VOTABLE>", "declares"},
        {"<!DOCTYPE v [<!ENTITY a SYSTEM \"file:///etc/passwd\">]><VOTABLE/>", "declares"},
        {"<html/>", "x.vot:1: no VOTable"},
        {"<VOTABLE><RESOURCE/></VOTABLE>", "x.vot: no TABLE with data"},
        {"<VOTABLE><RESOURCE>", "x.vot:1: no element found"},
        {ONE("<FIELD name=\"a\" datatype=\"int\"/>", "<TABLEDATA><TR><TD>x</TD></TR></TABLEDATA>"),
         "`x` in column `a` is no int"},
        {ONE("<FIELD name=\"a\" datatype=\"int\"/>", "<TABLEDATA><TR></TR></TABLEDATA>"),
         "fewer cells"},
        {ONE("<FIELD name=\"a\" datatype=\"int\"/>",
             "<TABLEDATA><TR><TD>1</TD><TD>1</TD></TR></TABLEDATA>"),
         "more cells"},
        {ONE("<FIELD name=\"a\" datatype=\"int\"/>",
             "<BINARY><STREAM href=\"http://x/\"/></BINARY>"),
         "elsewhere"},
        {ONE("<FIELD name=\"a\" datatype=\"int\"/>",
             "<BINARY><STREAM encoding=\"base64\">AAAA</STREAM></BINARY>"),
         "ends early"},
        {ONE("<FIELD name=\"a\" datatype=\"int\"/>",
             "<BINARY><STREAM encoding=\"base64\">A!AA</STREAM></BINARY>"),
         "not base64"},
        {ONE("<FIELD name=\"a\" datatype=\"char\" arraysize=\"*\"/>",
             "<BINARY><STREAM encoding=\"base64\">/////wAA</STREAM></BINARY>"),
         "ends early"},
        {ONE("<FIELD name=\"a\" datatype=\"quux\"/>", ""), "datatype"},
        {ONE("<FIELD name=\"a\" datatype=\"int\" arraysize=\"99999999999999999999\"/>", ""),
         "arraysize"},
        {ONE("<FIELD datatype=\"int\"/>", ""), "FIELD without a name"},
        {ONE("<FIELD name=\"a\" datatype=\"int\" arraysize=\"3\"/>", "<TABLEDATA></TABLEDATA>"),
         "without a column that can be read"},
    };
    aid_table table = {.rows = -7};
    for (size_t i = 0; i < AID_COUNT_OF(wrong); i++)
        CHECK_REFUSED(
            aid_table_parse_votable("x.vot", wrong[i][0], strlen(wrong[i][0]), NULL, &table, &err),
            AID_ERR_INVALID, wrong[i][1]);
    CHECK_EQUAL(table.rows, -7);
}

/* ------------------------------------------------------------------------------ ours, and
 * selecting
 */

static void same_tables(const aid_table *one, const aid_table *other)
{
    CHECK_EQUAL(one->rows, other->rows);
    CHECK_EQUAL(one->columns, other->columns);
    for (int i = 0; i < one->columns; i++) {
        CHECK_TEXT(one->items[i].name, other->items[i].name);
        CHECK_EQUAL(one->items[i].kind, other->items[i].kind);
        for (int64_t row = 0; row < one->rows; row++) {
            double a = aid_table_number(one, i, row), b = aid_table_number(other, i, row);
            CHECK(a == b || (isnan(a) && isnan(b)));
            if (one->items[i].kind != AID_COLUMN_TEXT)
                continue;
            const char *s = one->items[i].values.texts[row], *t = other->items[i].values.texts[row];
            CHECK((!s && !t) || (s && t && !strcmp(s, t)));
        }
    }
}

TEST(what_we_write_reads_back_in_every_text_form)
{
    enter_new_folder();
    aid_table table =
                  of_csv("id,x,flags,tiny\n1,2.50,edge|dipole,1e-300\n,,,\n3,-0.1,\"a \"\"b\"\" "
                         "<&>\xc3\xa9\",0.1\n"),
              back;
    CHECK_OK(aid_table_write_csv(&table, "t.csv", &err));
    CHECK_OK(aid_table_read_csv("t.csv", &back, &err));
    same_tables(&table, &back);
    aid_table_done(&back);
    CHECK_OK(aid_table_write_json(&table, "t.json", &err));
    CHECK_OK(aid_table_read_json("t.json", &back, &err));
    same_tables(&table, &back);
    aid_table_done(&back);
    CHECK_OK(aid_table_write_votable(&table, "t.vot", &err));
    CHECK_OK(aid_table_read_votable("t.vot", NULL, &back, &err));
    same_tables(&table, &back);
    aid_table_done(&back);
    aid_table_done(&table);
}

TEST(selected_rows_keep_every_column_in_the_order_that_is_asked)
{
    aid_table table = of_csv("id,x,name\n1,2.5,a\n2,3.5,b\n3,4.5,\n");
    const int64_t rows[] = {2, 0};
    const aid_column more = {.name = "why", .kind = AID_COLUMN_TEXT};
    aid_table some;
    CHECK_OK(aid_table_select(&table, rows, 2, &more, 1, &some, &err));
    aid_table_done(&table); /* the copy owns its texts */
    CHECK_EQUAL(some.rows, 2);
    CHECK_EQUAL(some.columns, 4);
    CHECK_TEXT(some.items[0].name, "id");
    CHECK(some.items[0].values.integers[0] == 3 && some.items[0].values.integers[1] == 1);
    CHECK(some.items[1].values.doubles[1] == 2.5);
    CHECK(!some.items[2].values.texts[0] && !some.items[3].values.texts[1]);
    CHECK_TEXT(some.items[2].values.texts[1], "a");
    aid_table_done(&some);
}

TEST_MAIN()
