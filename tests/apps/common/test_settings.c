#include "apps/common/settings.h"

#include "tests/check.h"

static aid_error err;

static double number_of(const char *key, const char *text)
{
    double value = -99.0;
    CHECK_OK(aid_setting_parse(aid_setting_find(key), text, text, &value, &err));
    return value;
}

TEST(numbers_are_decimal_and_within_their_range)
{
    CHECK(number_of("threshold", "5") == 5.0);
    CHECK(number_of("threshold", "1") == 1.0);
    CHECK(number_of("threshold", "100") == 100.0);
    CHECK(number_of("gain", "1.5e-3") == 0.0015);
    CHECK(number_of("zero-point", "-2.5") == -2.5);
    static const char *const no_numbers[] = {"five", "",    "5x", "5 ",  " 5",  "0x5",
                                             "nan",  "inf", "1e", "5,5", "--5", "."};
    for (size_t i = 0; i < AID_COUNT_OF(no_numbers); i++) {
        double value = -99.0;
        CHECK_REFUSED(aid_setting_parse(aid_setting_find("threshold"), no_numbers[i],
                                        "--threshold it", &value, &err),
                      AID_ERR_USAGE, "--threshold it is not a number");
        CHECK(value == -99.0);
    }
    static const char *const too_far[] = {"0.999", "100.001", "-5", "1e999"};
    for (size_t i = 0; i < AID_COUNT_OF(too_far); i++) {
        double value = -99.0;
        CHECK_REFUSED(aid_setting_parse(aid_setting_find("threshold"), too_far[i], "--threshold it",
                                        &value, &err),
                      AID_ERR_USAGE, "--threshold it is not between 1 and 100");
        CHECK(value == -99.0);
    }
}

TEST(integers_are_whole)
{
    int64_t value = -99;
    const aid_setting *seed = aid_setting_find("seed");
    CHECK_OK(aid_setting_parse(seed, "9007199254740991", "seed", &value, &err));
    CHECK(value == 9007199254740991);
    value = -99;
    CHECK_REFUSED(aid_setting_parse(seed, "1.5", "--seed 1.5", &value, &err), AID_ERR_USAGE,
                  "--seed 1.5 is not a whole number");
    CHECK_REFUSED(aid_setting_parse(seed, "-1", "--seed -1", &value, &err), AID_ERR_USAGE,
                  "not between 0 and 9007199254740992");
    CHECK(value == -99);
}

TEST(choices_are_spelled_as_offered)
{
    int choice = -99;
    const aid_setting *method = aid_setting_find("method");
    CHECK_OK(aid_setting_parse(method, "hybrid", "method", &choice, &err));
    CHECK_EQUAL(choice, 1);
    char name[16];
    aid_setting_text(method, &choice, name, sizeof name);
    CHECK_TEXT(name, "hybrid");
    CHECK_REFUSED(aid_setting_parse(method, "zog", "--method zog", &choice, &err), AID_ERR_USAGE,
                  "--method zog is none of auto|hybrid|zogy; did you mean zogy?");
    CHECK_REFUSED(aid_setting_parse(method, "", "--method ", &choice, &err), AID_ERR_USAGE,
                  "none of");
    CHECK_EQUAL(choice, 1);
}

TEST(flags_know_the_usual_words)
{
    const aid_setting *json = aid_setting_find("json");
    bool flag = false;
    CHECK_OK(aid_setting_parse(json, "Yes", "json", &flag, &err));
    CHECK(flag);
    CHECK_OK(aid_setting_parse(json, "0", "json", &flag, &err));
    CHECK(!flag);
    CHECK_REFUSED(aid_setting_parse(json, "maybe", "ASTRID_JSON=maybe", &flag, &err), AID_ERR_USAGE,
                  "ASTRID_JSON=maybe is neither true nor false");
}

TEST(texts_are_borrowed_and_not_empty)
{
    const char *text = "before", *given = "mask.fits";
    const aid_setting *mask = aid_setting_find("science-mask");
    CHECK_REFUSED(aid_setting_parse(mask, "", "--science-mask ", &text, &err), AID_ERR_USAGE,
                  "is empty");
    CHECK_TEXT(text, "before");
    CHECK_OK(aid_setting_parse(mask, given, "mask", &text, &err));
    CHECK(text == given);
}

TEST(every_setting_has_a_help_a_place_for_its_value_and_a_default_that_it_accepts)
{
    for (int i = 0; i < aid_setting_count; i++) {
        const aid_setting *setting = &aid_settings[i];
        union {
            bool flag;
            int64_t integer;
            double number;
            const char *text;
            int choice;
        } field;
        CHECK(setting->help && *setting->help);
        CHECK((setting->kind == AID_SETTING_FLAG) == !setting->unit);
        CHECK((setting->kind == AID_SETTING_CHOICE) == (setting->choices != NULL));
        CHECK(setting->kind != AID_SETTING_CHOICE || setting->fallback);
        CHECK(strspn(setting->key, "abcdefghijklmnopqrstuvwxyz0123456789-") ==
              strlen(setting->key));
        CHECK(aid_setting_find(setting->key) == setting); /* no key twice */
        if (setting->fallback)
            CHECK_OK(aid_setting_parse(setting, setting->fallback, setting->key, &field, &err));
    }
}

TEST(variables_are_named_after_keys)
{
    char name[64];
    aid_setting_variable(aid_setting_find("science-mask"), name, sizeof name);
    CHECK_TEXT(name, "ASTRID_SCIENCE_MASK");
    CHECK(aid_setting_find("sciencemask") == NULL);
}

TEST(misspelled_names_find_their_neighbour_and_others_find_none)
{
    static const char *const names[] = {"threshold", "seed", "zero-point", "threads"};
    static const struct {
        const char *typed, *meant;
    } cases[] = {{"treshold", "threshold"}, {"thershold", "threshold"}, {"theads", "threads"},
                 {"sede", "seed"},          {"zero", "zero-point"},     {"zeropoint", "zero-point"},
                 {"thre", "threshold"}};
    for (size_t i = 0; i < AID_COUNT_OF(cases); i++)
        CHECK_TEXT(aid_nearest_name(cases[i].typed, names, 4), cases[i].meant);
    static const char *const strangers[] = {"", "x", "output", "colour", "zz"};
    for (size_t i = 0; i < AID_COUNT_OF(strangers); i++)
        CHECK(aid_nearest_name(strangers[i], names, 4) == NULL);
    char endless[300];
    memset(endless, 's', sizeof endless - 1);
    endless[sizeof endless - 1] = '\0';
    CHECK(aid_nearest_name(endless, names, 4) == NULL);
}

TEST_MAIN()
