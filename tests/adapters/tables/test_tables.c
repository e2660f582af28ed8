#define _XOPEN_SOURCE 700
#include "adapters/files/files.h"
#include "adapters/tables/table.h"
#include "tests/check.h"

#include <unistd.h>

static aid_error err;
static char path[64];

static void remove_file(void)
{
    unlink(path);
}

static void new_path(void)
{
    if (!path[0])
        atexit(remove_file);
    snprintf(path, sizeof path, "/tmp/aid_test_tables_%ld", (long)getpid());
}

static const aid_column columns[] = {
    {.name = "id", .ucd = "meta.id;meta.main", .description = "number", .kind = AID_COLUMN_INT64},
    {.name = "ra",
     .unit = "deg",
     .ucd = "pos.eq.ra;meta.main",
     .description = "right ascension",
     .kind = AID_COLUMN_DOUBLE,
     .decimals = 3},
    {.name = "flux", .unit = "adu", .ucd = "phot.count", .kind = AID_COLUMN_DOUBLE, .decimals = -1},
    {.name = "flags", .description = "a < b & c", .kind = AID_COLUMN_TEXT},
};

static aid_table example(void)
{
    static const char *const texts[4] = {"EDGE,\"x\"", "=HYPERLINK(1)", NULL,
                                         "\xc3\xa9\xff\x01<&>\n"};
    aid_table table;
    CHECK_OK(aid_table_init("candidates", "what changed", columns, 4, 4, &table, &err));
    for (int row = 0; row < 4; row++) {
        table.items[0].values.integers[row] = row ? row : AID_NULL_INT64;
        CHECK_OK(aid_table_set_text(&table, 3, row, texts[row], &err));
    }
    table.items[1].values.doubles[0] = 10.0;
    table.items[1].values.doubles[1] = -0.0001;
    table.items[2].values.doubles[0] = 0.1;
    table.items[2].values.doubles[2] = INFINITY;
    table.items[2].values.doubles[3] = -INFINITY;
    return table;
}

/* The file of the example, whole: it is short enough to be written down. */
static void file_is(aid_status (*write)(const aid_table *, const char *, aid_error *),
                    const char *expected)
{
    new_path();
    aid_table table = example();
    aid_status status = write(&table, path, &err);
    aid_table_done(&table);
    CHECK_OK(status);
    char *text;
    CHECK_OK(aid_read_file(path, 100000, &text, NULL, &err));
    int same = !strcmp(text, expected);
    if (!same)
        printf("%s", text);
    free(text);
    CHECK(same);
}

TEST(csv_has_a_line_a_row_and_disarms_formulas)
{
    file_is(aid_table_write_csv, "id,ra,flux,flags\n"
                                 ",10.000,0.1,\"EDGE,\"\"x\"\"\"\n"
                                 "1,0.000,,\"'=HYPERLINK(1)\"\n"
                                 "2,,inf,\n"
                                 "3,,-inf,\"\xc3\xa9\xef\xbf\xbd\x01<&>\n\"\n");
}

TEST(json_names_its_columns_and_writes_nan_as_null)
{
    file_is(aid_table_write_json,
            "{\n"
            "  \"name\": \"candidates\",\n"
            "  \"description\": \"what changed\",\n"
            "  \"columns\": [\n"
            "    {\"name\": \"id\", \"datatype\": \"integer\", \"unit\": null, \"ucd\": "
            "\"meta.id;meta.main\", "
            "\"description\": \"number\"},\n"
            "    {\"name\": \"ra\", \"datatype\": \"double\", \"unit\": \"deg\", \"ucd\": "
            "\"pos.eq.ra;meta.main\", "
            "\"description\": \"right ascension\"},\n"
            "    {\"name\": \"flux\", \"datatype\": \"double\", \"unit\": \"adu\", \"ucd\": "
            "\"phot.count\", "
            "\"description\": null},\n"
            "    {\"name\": \"flags\", \"datatype\": \"text\", \"unit\": null, \"ucd\": null, "
            "\"description\": \"a < b & c\"}\n"
            "  ],\n"
            "  \"rows\": [\n"
            "    {\"id\": null, \"ra\": 10.000, \"flux\": 0.1, "
            "\"flags\": \"EDGE,\\\"x\\\"\"},\n"
            "    {\"id\": 1, \"ra\": 0.000, \"flux\": null, \"flags\": \"=HYPERLINK(1)\"},\n"
            "    {\"id\": 2, \"ra\": null, \"flux\": null, \"flags\": null},\n"
            "    {\"id\": 3, \"ra\": null, \"flux\": null, "
            "\"flags\": \"\xc3\xa9\xef\xbf\xbd\\u0001<&>\\n\"}\n"
            "  ]\n"
            "}\n");
}

/* astropy 5.2.1 reads this very file with verify='exception' and no warning, nulls masked or NaN.
 */
TEST(votable_declares_its_fields_and_stays_valid_xml)
{
    file_is(aid_table_write_votable,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
            "<VOTABLE version=\"1.4\" xmlns=\"http://www.ivoa.net/xml/VOTable/v1.3\">\n"
            "  <RESOURCE>\n"
            "    <TABLE name=\"candidates\" nrows=\"4\">\n"
            "      <DESCRIPTION>what changed</DESCRIPTION>\n"
            "      <FIELD name=\"id\" datatype=\"long\" ucd=\"meta.id;meta.main\">\n"
            "        <DESCRIPTION>number</DESCRIPTION>\n"
            "      </FIELD>\n"
            "      <FIELD name=\"ra\" datatype=\"double\" precision=\"F3\" unit=\"deg\" "
            "ucd=\"pos.eq.ra;meta.main\">\n"
            "        <DESCRIPTION>right ascension</DESCRIPTION>\n"
            "      </FIELD>\n"
            "      <FIELD name=\"flux\" datatype=\"double\" unit=\"adu\" ucd=\"phot.count\"/>\n"
            "      <FIELD name=\"flags\" datatype=\"unicodeChar\" arraysize=\"*\">\n"
            "        <DESCRIPTION>a &lt; b &amp; c</DESCRIPTION>\n"
            "      </FIELD>\n"
            "      <DATA>\n"
            "        <TABLEDATA>\n"
            "          <TR><TD></TD><TD>10.000</TD><TD>0.1</TD>"
            "<TD>EDGE,&quot;x&quot;</TD></TR>\n"
            "          <TR><TD>1</TD><TD>0.000</TD><TD></TD><TD>=HYPERLINK(1)</TD></TR>\n"
            "          <TR><TD>2</TD><TD></TD><TD>+Inf</TD><TD></TD></TR>\n"
            "          <TR><TD>3</TD><TD></TD><TD>-Inf</TD>"
            "<TD>\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd&lt;&amp;&gt;&#10;</TD></TR>\n"
            "        </TABLEDATA>\n"
            "      </DATA>\n"
            "    </TABLE>\n"
            "  </RESOURCE>\n"
            "</VOTABLE>\n");
}

/* The oracle is strtod: whatever the digits are, they must name the same double. */
TEST(doubles_read_back_the_same_from_a_text_file)
{
    static const aid_column one[] = {{.name = "v", .kind = AID_COLUMN_DOUBLE, .decimals = -1}};
    enum { ROWS = 1000 };
    new_path();
    aid_table table;
    CHECK_OK(aid_table_init("v", NULL, one, 1, ROWS, &table, &err));
    for (int i = 0; i < ROWS; i++)
        table.items[0].values.doubles[i] = exp((double)(i - 500)) * (i % 2 ? -1.0 : 1.0) / 3.0;
    CHECK_OK(aid_table_write_csv(&table, path, &err));
    char *text, *end;
    CHECK_OK(aid_read_file(path, 100000, &text, NULL, &err));
    int same = 0;
    end = strchr(text, '\n');
    for (int i = 0; i < ROWS; i++)
        same += strtod(end + 1, &end) == table.items[0].values.doubles[i];
    free(text);
    aid_table_done(&table);
    CHECK_EQUAL(same, ROWS);
}

TEST(a_table_without_rows_is_a_valid_file)
{
    new_path();
    aid_table table;
    CHECK_OK(aid_table_init("empty", NULL, columns, 4, 0, &table, &err));
    CHECK_OK(aid_table_write_csv(&table, path, &err));
    char *text;
    CHECK_OK(aid_read_file(path, 1000, &text, NULL, &err));
    int right = !strcmp(text, "id,ra,flux,flags\n");
    free(text);
    CHECK(right);
    CHECK_OK(aid_table_write_json(&table, path, &err));
    CHECK_OK(aid_read_file(path, 1000, &text, NULL, &err));
    right = strstr(text, "\"description\": null,") && strstr(text, "\"rows\": []\n}\n");
    free(text);
    CHECK(right);
    CHECK_OK(aid_table_write_votable(&table, path, &err));
    CHECK_OK(aid_read_file(path, 2000, &text, NULL, &err));
    right = strstr(text, "nrows=\"0\"") && strstr(text, "datatype=\"char\" arraysize=\"*\"");
    free(text);
    aid_table_done(&table);
    CHECK(right);
}

TEST(new_cells_are_null_and_texts_can_be_replaced)
{
    aid_table table;
    CHECK_OK(aid_table_init("t", NULL, columns, 4, 2, &table, &err));
    CHECK_EQUAL(table.items[0].values.integers[1], 0);
    CHECK(isnan(table.items[1].values.doubles[0]) && isnan(table.items[2].values.doubles[1]));
    CHECK(!table.items[3].values.texts[0]);
    CHECK_OK(aid_table_set_text(&table, 3, 0, "first", &err));
    CHECK_OK(aid_table_set_text(&table, 3, 0, "second", &err));
    CHECK_TEXT(table.items[3].values.texts[0], "second");
    CHECK_OK(aid_table_set_text(&table, 3, 0, NULL, &err));
    CHECK(!table.items[3].values.texts[0]);
    aid_table_done(&table);
    CHECK(table.columns == 0 && !table.items);
}

TEST(what_does_not_fit_memory_is_refused_and_leaves_the_table_alone)
{
    aid_table table = {.rows = 7};
    CHECK_REFUSED(aid_table_init("t", NULL, columns, 4, INT64_MAX / 2, &table, &err), AID_ERR_NOMEM,
                  "t: ");
    CHECK(table.rows == 7 && !table.items);
}

TEST(a_file_that_cannot_be_written_is_an_error_that_names_it)
{
    aid_table table = example();
    aid_status csv = aid_table_write_csv(&table, "/nowhere/t.csv", &err);
    CHECK(strstr(err.message, "/nowhere/t.csv: cannot create: No such file or directory"));
    aid_status json = aid_table_write_json(&table, "/nowhere/t.json", &err);
    aid_status votable = aid_table_write_votable(&table, "/nowhere/t.vot", &err);
    aid_table_done(&table);
    CHECK(csv == AID_ERR_IO && json == AID_ERR_IO && votable == AID_ERR_IO);
}

TEST_MAIN()
