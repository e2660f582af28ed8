#include "adapters/tables/members.h"
#include "tests/check.h"

static aid_error err;

typedef struct thing {
    int64_t id;
    double x, size;
    int sign;
    bool bright;
} thing;

static bool is_bright(const void *item)
{
    return ((const thing *)item)->bright;
}

static void put_class(const void *item, char ret_text[AID_MEMBER_TEXT_SIZE])
{
    snprintf(ret_text, AID_MEMBER_TEXT_SIZE, "%s", is_bright(item) ? "star" : "");
}

static const aid_member members[] = {
    {"id", NULL, "meta.id", "number", AID_MEMBER_INT64, offsetof(thing, id), NULL, NULL, 0},
    {"x", "pix", NULL, NULL, AID_MEMBER_DOUBLE, offsetof(thing, x), NULL, NULL, 3},
    {"size", aid_member_flux, NULL, NULL, AID_MEMBER_DOUBLE, offsetof(thing, size), is_bright, NULL,
     -1},
    {"sign", NULL, NULL, NULL, AID_MEMBER_INT, offsetof(thing, sign), NULL, NULL, 0},
    {"bright", NULL, NULL, NULL, AID_MEMBER_BOOL, offsetof(thing, bright), NULL, NULL, 0},
    {"class", NULL, NULL, NULL, AID_MEMBER_TEXT, 0, NULL, put_class, 0},
};

TEST(each_member_becomes_a_column_and_each_struct_a_row)
{
    const thing things[] = {{7, 1.5, 20.0, -1, true}, {8, 2.5, 30.0, 1, false}};
    const aid_member_table layout = {"things", "a few", members, (int)AID_COUNT_OF(members), "adu"};
    aid_table table;
    CHECK_OK(aid_table_of_members(&layout, things, sizeof *things, 2, &table, &err));
    CHECK_EQUAL(table.rows, 2);
    CHECK_EQUAL(table.columns, 6);
    CHECK_TEXT(table.name, "things");
    const aid_column *c = table.items;
    CHECK_TEXT(c[0].ucd, "meta.id");
    CHECK_TEXT(c[1].unit, "pix");
    CHECK_TEXT(c[2].unit, "adu");
    CHECK_EQUAL(c[1].decimals, 3);
    CHECK(c[0].values.integers[1] == 8 && c[1].values.doubles[0] == 1.5);
    CHECK(c[2].values.doubles[0] == 20.0 && isnan(c[2].values.doubles[1]));
    CHECK(c[3].values.integers[0] == -1 && c[4].values.integers[0] == 1);
    CHECK(c[4].values.integers[1] == 0);
    CHECK_TEXT(c[5].values.texts[0], "star");
    CHECK_TEXT(c[5].values.texts[1], "");
    aid_table_done(&table);
}

TEST(no_structs_make_a_table_without_rows)
{
    const aid_member_table layout = {"things", NULL, members, 2, NULL};
    aid_table table;
    CHECK_OK(aid_table_of_members(&layout, NULL, sizeof(thing), 0, &table, &err));
    CHECK_EQUAL(table.rows, 0);
    CHECK_EQUAL(table.columns, 2);
    aid_table_done(&table);
}

TEST_MAIN()
