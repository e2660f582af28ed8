/* Text -> rules, and the rules -> a small catalogue. */
#include "domain/ranking/filter.h"
#include "fuzz/fuzz.h"

#include <math.h>

static const int64_t ids[4] = {1, 2, 3, INT64_MIN};
static const double numbers[4] = {1.0, -2.0, NAN, 359.9};
static const char *const texts[4] = {"edge", "", NULL, "a|b"};
static const aid_catalogue_column columns[] = {
    {.name = "id", .integers = ids},    {.name = "snr", .unit = "deg", .doubles = numbers},
    {.name = "x", .doubles = numbers},  {.name = "y", .doubles = numbers},
    {.name = "ra", .doubles = numbers}, {.name = "dec", .doubles = numbers},
    {.name = "flags", .texts = texts},
};

static void try_rules(const aid_rules *rules)
{
    const aid_catalogue catalogue = {"x.csv", 4, (int)AID_COUNT_OF(columns), columns};
    aid_filter_result result;
    aid_error err;
    if (aid_filter(&catalogue, rules, NULL, &result, &err) != AID_OK)
        return;
    for (int64_t row = 0; row < 4; row++)
        for (int i = 0; i < rules->count; i++) {
            char reason[256];
            if (!(result.broken[row] >> i & 1))
                continue;
            aid_filter_reason(&catalogue, rules, &result, row, i, reason, sizeof reason);
            if (!reason[0])
                abort();
        }
    aid_filter_result_done(&result);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static aid_rules rules;
    aid_error err;
    char *text = fuzz_text(data, size);
    rules.count = 0;
    if (aid_rules_parse(&rules, "rules.txt", text, &err) == AID_OK)
        try_rules(&rules);
    else if (rules.count != 0 || err.status != AID_ERR_INVALID)
        abort();
    free(text);
    return 0;
}
