#include "core/base/header.h"

#include "tests/check.h"

static aid_error err;

static void add(aid_header *header, const char *keyword, aid_card_kind kind, const char *value)
{
    CHECK_OK(aid_header_append(header, keyword, kind, value, "", &err));
}

TEST(values_that_are_not_known_get_no_card)
{
    aid_header header = {0};
    CHECK_OK(aid_header_put_text(&header, "FILTER", "", "", &err));
    CHECK_OK(aid_header_put_text(&header, "OBJECT", NULL, "", &err));
    CHECK_OK(aid_header_put_number(&header, "GAIN", NAN, "", &err));
    CHECK_OK(aid_header_put_number(&header, "SATURATE", INFINITY, "", &err));
    CHECK_EQUAL(header.count, 0);
    CHECK_OK(aid_header_put_text(&header, "FILTER", "V", "", &err));
    CHECK_OK(aid_header_put_number(&header, "GAIN", 0.1, "", &err));
    CHECK_EQUAL(header.count, 2);
    CHECK(!strcmp(header.cards[0].value, "V") && header.cards[0].kind == AID_CARD_STRING);
    CHECK(!strcmp(header.cards[1].value, "0.1") && header.cards[1].kind == AID_CARD_NUMBER);
    aid_header_done(&header);
}

TEST(numbers_are_read_in_every_spelling_that_is_fits)
{
    static const struct {
        const char *text;
        double value;
    } cases[] = {{"1", 1.0},        {"-0.5", -0.5},    {"+7.25", 7.25},
                 {"1.5E3", 1500.0}, {"1.5D3", 1500.0}, {"-2.5d-2", -0.025},
                 {".5", 0.5},       {"3.", 3.0},       {"60000.123456789012", 60000.123456789012},
                 {"12  ", 12.0}};
    for (size_t i = 0; i < AID_COUNT_OF(cases); i++) {
        aid_header header = {0};
        double value = -99.0;
        add(&header, "KEY", AID_CARD_NUMBER, cases[i].text);
        CHECK(aid_header_number(&header, "KEY", &value));
        CHECK(value == cases[i].value);
        aid_header_done(&header);
    }
}

TEST(what_is_not_wholly_a_number_is_none_and_leaves_the_value_alone)
{
    static const char *const cases[] = {"6,4E-05", "",    " ",     "12 s",  "1e", "0x10",
                                        "nan",     "INF", "1e999", "1.2.3", "T",  "1D",
                                        "--1",     "1 2", "E5",    ".",     "+",  "1e5x"};
    for (size_t i = 0; i < AID_COUNT_OF(cases); i++) {
        aid_header header = {0};
        double value = -99.0;
        add(&header, "KEY", AID_CARD_OTHER, cases[i]);
        if (aid_header_number(&header, "KEY", &value))
            check_fail(__FILE__, __LINE__, "'%s' was taken for %g", cases[i], value);
        CHECK(value == -99.0);
        aid_header_done(&header);
    }
}

TEST(a_number_longer_than_any_number_is_none)
{
    char digits[200];
    memset(digits, '1', sizeof digits - 1);
    digits[sizeof digits - 1] = '\0';
    aid_header header = {0};
    double value = -99.0;
    add(&header, "KEY", AID_CARD_NUMBER, digits);
    CHECK(!aid_header_number(&header, "KEY", &value));
    CHECK(value == -99.0);
    aid_header_done(&header);
}

TEST(a_number_within_a_string_counts_but_a_comment_does_not)
{
    aid_header header = {0};
    double value = -99.0;
    add(&header, "EXPTIME", AID_CARD_STRING, "30.0");
    add(&header, "HISTORY", AID_CARD_COMMENT, "12");
    CHECK(aid_header_number(&header, "EXPTIME", &value));
    CHECK(value == 30.0);
    CHECK(!aid_header_number(&header, "HISTORY", &value));
    CHECK(aid_header_text(&header, "HISTORY") == NULL);
    aid_header_done(&header);
}

TEST(look_up_takes_the_first_card_in_either_case)
{
    aid_header header = {0};
    add(&header, "Gain", AID_CARD_NUMBER, "1");
    add(&header, "GAIN", AID_CARD_NUMBER, "2");
    CHECK_TEXT(aid_header_text(&header, "gain"), "1");
    CHECK(aid_header_find(&header, "GAI") == NULL);
    CHECK(aid_header_text(&header, "GAINS") == NULL);
    aid_header_done(&header);
}

TEST(the_first_of_several_keywords_that_holds_a_number_wins)
{
    static const char *const names[] = {"EXPTIME", "EXPOSURE", "TELAPSE", NULL};
    aid_header header = {0};
    double value = -99.0;
    const char *keyword = "untouched";
    CHECK(!aid_header_first_number(&header, names, &value, &keyword));
    CHECK_TEXT(keyword, "untouched");
    add(&header, "TELAPSE", AID_CARD_NUMBER, "31");
    add(&header, "EXPTIME", AID_CARD_OTHER, "6,4E-05");
    add(&header, "EXPOSURE", AID_CARD_NUMBER, "30");
    CHECK(aid_header_first_number(&header, names, &value, &keyword));
    CHECK(value == 30.0);
    CHECK_TEXT(keyword, "EXPOSURE");
    CHECK(aid_header_first_number(&header, names, &value, NULL));
    aid_header_done(&header);
}

TEST(a_copy_outlives_its_original)
{
    aid_header header = {0}, copy = {0};
    for (int i = 0; i < 300; i++) { /* past the first capacity */
        char text[16];
        snprintf(text, sizeof text, "%d", i);
        CHECK_OK(aid_header_append(&header, i == 250 ? "NEEDLE" : "HAY", AID_CARD_NUMBER, text,
                                   "why", &err));
    }
    CHECK_OK(aid_header_copy(&header, &copy, &err));
    aid_header_done(&header);
    CHECK_EQUAL(header.count, 0);
    CHECK_EQUAL(copy.count, 300);
    CHECK_TEXT(aid_header_text(&copy, "NEEDLE"), "250");
    CHECK_TEXT(copy.cards[299].comment, "why");
    aid_header_done(&copy);
}

TEST(more_cards_than_the_limit_are_refused)
{
    aid_header header = {0};
    for (int i = 0; i < AID_MAX_HEADER_CARDS; i++)
        add(&header, "K", AID_CARD_NUMBER, "1");
    CHECK_REFUSED(aid_header_append(&header, "K", AID_CARD_NUMBER, "1", "", &err), AID_ERR_INVALID,
                  "more than 100000 cards");
    CHECK_EQUAL(header.count, AID_MAX_HEADER_CARDS);
    aid_header_done(&header);
}

TEST(an_overlong_keyword_is_cut_and_null_texts_are_empty)
{
    char name[2 * AID_MAX_KEYWORD];
    memset(name, 'K', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    aid_header header = {0};
    CHECK_OK(aid_header_append(&header, name, AID_CARD_STRING, NULL, NULL, &err));
    CHECK_EQUAL(strlen(header.cards[0].keyword), AID_MAX_KEYWORD - 1);
    CHECK_TEXT(header.cards[0].value, "");
    CHECK_TEXT(header.cards[0].comment, "");
    aid_header_done(&header);
}

TEST_MAIN()
