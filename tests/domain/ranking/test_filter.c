/* Filters against what a naive reading of the rules gives. */
#include "core/base/random.h"
#include "domain/ranking/filter.h"
#include "tests/check.h"

static aid_error err;
static aid_rules rules;

enum { N = 8 };
static const double nan_ = NAN;
static const int64_t ids[N] = {11, 12, 13, 14, 15, 16, 17, 18};
static double snr[N] = {5.0, 4.999, 20.0, NAN, 7.0, 6.0, 5.5, 100.0};
static double flux[N] = {100.0, -100.0, 50.0, 10.0, -7.0, 0.0, NAN, 3000.0};
static const double noise[N] = {20.0, 20.0, 20.0, 2.0, 2.0, 2.0, 2.0, NAN};
static const double fwhm[N] = {3.0, 3.1, 2.9, 3.0, 9.0, 3.05, 2.95, 0.5};
static const double x[N] = {1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0};
static const double ra[N] = {359.9, 0.1, 0.2, 180.0, 10.0, 359.5, NAN, 0.0};
static const double dec[N] = {0.0, 0.0, 10.0, 0.0, 89.9, -0.2, 0.0, 0.05};
static const char *const flags[N] = {"", "edge", "edge|dipole", NULL, "edges", "moving", "", "x"};

static const aid_catalogue_column columns[] = {
    {.name = "id", .integers = ids},
    {.name = "snr", .doubles = snr},
    {.name = "flux", .unit = "adu", .doubles = flux},
    {.name = "noise", .unit = "adu", .doubles = noise},
    {.name = "fwhm", .unit = "arcsec", .doubles = fwhm},
    {.name = "x", .doubles = x},
    {.name = "y", .doubles = x},
    {.name = "ra", .doubles = ra},
    {.name = "dec", .doubles = dec},
    {.name = "flags", .texts = flags},
};
static const aid_catalogue catalogue = {"x.csv", N, (int)AID_COUNT_OF(columns), columns};

static void one_rule(const char *text)
{
    rules.count = 0;
    CHECK_OK(aid_rules_add(&rules, "test", "r", text, &err));
}

/* The ids that stay, as the last digits of them. */
static void keeps(const char *text, const char *expected)
{
    char kept[N + 1] = "";
    aid_filter_result result;
    one_rule(text);
    CHECK_OK(aid_filter(&catalogue, &rules, NULL, &result, &err));
    int count = 0;
    for (int i = 0; i < N; i++)
        if (!result.broken[i])
            kept[count++] = (char)('1' + i);
    CHECK_EQUAL(result.kept, count);
    CHECK_EQUAL(result.rejected[0], N - count);
    aid_filter_result_done(&result);
    if (strcmp(kept, expected) != 0)
        check_fail(__FILE__, __LINE__, "%s keeps %s, not %s", text, kept, expected);
}

TEST(limits_are_inclusive_and_nulls_pass_only_where_they_may)
{
    keeps("snr >= 5", "135678");
    keeps("snr >= 5 or missing", "1345678");
    keeps("snr > 5", "35678");
    keeps("snr <= 5", "12");
    keeps("snr < 5", "2");
    keeps("snr = 7", "5");
    keeps("snr != 7", "123678");
    keeps("snr between 5 7", "1567");
    keeps("snr>=5.5", "35678");
}

TEST(negative_fluxes_are_below_and_their_absolute_values_above)
{
    keeps("flux >= -7", "134568");
    keeps("flux <= -7", "25");
    keeps("|flux| >= 50", "1238");
    keeps("|flux| >= 5 * noise", "124");
    keeps("flux >= 5 * noise", "14");
    keeps("flux >= 5 * noise or missing", "1478");
}

TEST(limits_may_be_in_other_units_of_angle_but_not_in_those_of_something_else)
{
    keeps("fwhm <= 0.05 arcmin", "13478");
    keeps("fwhm <= 3 arcsec", "13478");
    aid_filter_result result = {.rows = -7};
    one_rule("fwhm <= 3 px");
    CHECK_REFUSED(aid_filter(&catalogue, &rules, NULL, &result, &err), AID_ERR_INVALID,
                  "rule r: a limit in px for column `fwhm` of x.csv, which is in arcsec");
    CHECK_EQUAL(result.rows, -7);
    static aid_notes notes;
    notes.count = 0;
    one_rule("x <= 3 px");
    CHECK_OK(aid_filter(&catalogue, &rules, &notes, &result, &err));
    CHECK_EQUAL(result.kept, 3);
    CHECK_EQUAL(notes.count, 1);
    aid_filter_result_done(&result);
}

/* numpy.quantile([4.999, 5, 5.5, 6, 7, 20, 100], 0.75) = 13.5; median 6, MAD 1, so 3 sigma are
 * 6 + 4.4478. */
TEST(limits_may_come_from_the_field_itself)
{
    keeps("snr >= 0.75 quantile", "38");
    keeps("snr <= 3 sigma", "12567");
    keeps("snr between -3 3 sigma", "12567");
    keeps("snr >= 0 quantile", "1235678");
    one_rule("snr >= 0.75 quantile");
    aid_filter_result result;
    CHECK_OK(aid_filter(&catalogue, &rules, NULL, &result, &err));
    double limit = result.limits[0][0];
    char reason[256];
    aid_filter_reason(&catalogue, &rules, &result, 0, 0, reason, sizeof reason);
    aid_filter_result_done(&result);
    CHECK_NEAR(limit, 13.5, 1e-12);
    CHECK_TEXT(reason, "snr is 5, not >= 13.5 (snr >= 0.75 quantile)");
}

TEST(a_flag_that_no_row_has_is_said_for_it_may_be_misspelt)
{
    static aid_notes notes;
    aid_filter_result result;
    notes.count = 0;
    one_rule("flags lacks edge|egde|moving");
    CHECK_OK(aid_filter(&catalogue, &rules, &notes, &result, &err));
    aid_filter_result_done(&result);
    CHECK_EQUAL(notes.count, 1);
    CHECK_TEXT(notes.items[0].text, "rule r: no row of x.csv has the flag egde");
}

TEST(flags_are_whole_words)
{
    keeps("flags has edge", "23");
    keeps("flags lacks edge", "145678");
    keeps("flags lacks dipole|moving", "124578");
    keeps("flags has moving|x", "68");
    keeps("flags = edge", "2");
    keeps("flags != edge", "135678");
}

TEST(regions_of_the_sky_know_no_seam_at_right_ascension_0)
{
    keeps("cone 0 0 0.15 deg", "128");
    keeps("cone 0 0 6.001 arcmin", "128");
    keeps("cone 360 0 359 arcsec", "8");
    keeps("not cone 0 0 0.15 deg", "3456");
    keeps("box 359 1 -1 1", "1268");
    keeps("box -1 1 -1 1", "1268");
    keeps("box 1 359 -90 90", "45");
    keeps("box 0 360 -90 90", "1234568");
    keeps("polygon 359 -1 1 -1 1 1 359 1", "1268");
    keeps("polygon 359 -1 1 -1 0 1", "1268");
    keeps("polygon 359.6 -1 1 -1 0 1", "128");
    keeps("polygon 0 89 120 89 240 89", "5"); /* around the pole */
    keeps("not polygon 359 -1 1 -1 1 1 359 1", "345");
}

/* Two groups of five, 1000 px apart, one ten times as bright: 2 sigma above the median of each is
 * another limit than of all. Medians 3 and 30, absolute deviations 1 and 10. */
TEST(limits_may_follow_the_surroundings_of_each_row)
{
    static const double at[] = {0, 1, 2, 3, 4, 1000, 1001, 1002, 1003, 1004, 5000, NAN};
    static const double peak[] = {1, 2, 3, 4, 9, 10, 20, 30, 40, 90, 8, 8};
    const aid_catalogue_column items[] = {{.name = "x", .doubles = at},
                                          {.name = "y", .doubles = at},
                                          {.name = "peak", .doubles = peak}};
    const aid_catalogue of = {"groups", 12, 3, items};
    aid_filter_result result;
    one_rule("peak >= 2 sigma within 20 px");
    CHECK_OK(aid_filter(&of, &rules, NULL, &result, &err));
    bool kept[12];
    double limits[2] = {result.local[0][0][0], result.local[0][7][0]};
    double alone = result.local[0][10][0], everywhere = result.limits[0][0];
    for (int i = 0; i < 12; i++)
        kept[i] = !result.broken[i];
    char reason[256];
    aid_filter_reason(&of, &rules, &result, 8, 0, reason, sizeof reason);
    aid_filter_result_done(&result);
    CHECK_NEAR(limits[0], 3.0 + 2.0 * 1.4826, 1e-12);
    CHECK_NEAR(limits[1], 30.0 + 2.0 * 14.826, 1e-12);
    CHECK(alone == everywhere); /* row 10 has no neighbours */
    for (int i = 0; i < 12; i++)
        CHECK_EQUAL(kept[i], i == 4 || i == 9);
    CHECK_TEXT(reason, "peak is 40, not >= 59.652 (peak >= 2 sigma within 20 px)");
    one_rule("peak >= 0.9 quantile within 20 px or missing");
    CHECK_OK(aid_filter(&of, &rules, NULL, &result, &err));
    int64_t count = result.kept;
    bool last = !result.broken[11];
    aid_filter_result_done(&result);
    CHECK(last); /* without a position */
    CHECK_EQUAL(count, 3);
}

/* ----------------------------------------------------------------------------------- explanations
 */

static void because(const char *text, int64_t row, const char *expected)
{
    char reason[256];
    aid_filter_result result;
    one_rule(text);
    CHECK_OK(aid_filter(&catalogue, &rules, NULL, &result, &err));
    int broken = result.broken[row] != 0;
    aid_filter_reason(&catalogue, &rules, &result, row, 0, reason, sizeof reason);
    aid_filter_result_done(&result);
    CHECK(broken);
    CHECK_TEXT(reason, expected);
}

TEST(every_rejection_says_what_there_is_and_what_is_asked)
{
    because("snr >= 5", 1, "snr is 4.999, not >= 5");
    because("snr >= 5", 3, "snr is null, not >= 5");
    because("snr between 6 7", 0, "snr is 5, not between 6 and 7");
    because("|flux| >= 60 * noise", 1, "|flux| is 100, not >= 1200 (|flux| >= 60 * noise)");
    because("flags lacks edge", 2, "flags are edge|dipole (flags lacks edge)");
    because("flags has edge", 0, "flags are empty  (flags has edge)");
    because("flags = edge", 2, "flags is edge|dipole, not = edge");
    because("cone 0 0 1 deg", 2, "outside: cone 0 0 1 deg");
    because("not cone 0 0 1 deg", 0, "inside of what is left out: not cone 0 0 1 deg");
    because("cone 0 0 1 deg", 6, "no position: cone 0 0 1 deg");
    because("distance >= 1.5 px", 1, "id 11 stays instead (distance >= 1.5 px)");
    because("crowding <= 1 within 1.5 px", 1,
            "too many others around: crowding <= 1 within 1.5 px");
}

TEST(rows_count_for_each_rule_that_they_break_and_for_the_one_that_they_break_alone)
{
    aid_filter_result result;
    rules.count = 0;
    CHECK_OK(aid_rules_parse(&rules, "r.txt",
                             "# of the best\nbright: snr >= 5 # at least\n\n clean : flags lacks "
                             "edge\r\n",
                             &err));
    CHECK_EQUAL(rules.count, 2);
    CHECK_TEXT(rules.items[1].name, "clean");
    CHECK_TEXT(rules.items[1].text, "flags lacks edge");
    CHECK_OK(aid_filter(&catalogue, &rules, NULL, &result, &err));
    int64_t seen[] = {result.kept, result.rejected[0], result.rejected[1], result.alone[0],
                      result.alone[1]};
    aid_filter_result_done(&result);
    static const int64_t expected[] = {5, 2, 2, 1, 1};
    for (int i = 0; i < 5; i++)
        CHECK_EQUAL(seen[i], expected[i]);
}

/* ---------------------------------------------------------------------------------------
 * neighbours */

enum { MANY = 1500 };
typedef struct field {
    int64_t id[MANY];
    double a[MANY], b[MANY], snr[MANY];
} field;

/* Half of the points close to others, some without snr or position, some of equal snr. */
static void random_field(field *f, bool on_sky, uint64_t seed)
{
    aid_random random = aid_random_seeded(seed, on_sky);
    for (int i = 0; i < MANY; i++) {
        f->id[i] = i + 1;
        f->snr[i] = floor(50.0 * aid_random_uniform(&random));
        f->a[i] = 360.0 * aid_random_uniform(&random);
        f->b[i] = on_sky ? 57.29577951 * asin(2.0 * aid_random_uniform(&random) - 1.0)
                         : 360.0 * aid_random_uniform(&random);
        if (i % 2) { /* the seam, the poles, and companions */
            f->a[i] = i % 3 ? f->a[i - 1] + 2.0 * aid_random_uniform(&random)
                            : 359.5 + aid_random_uniform(&random);
            f->b[i] = i % 5 ? f->b[i - 1] : (i % 4 > 1 ? 89.0 : -89.5);
            f->a[i] = on_sky ? fmod(f->a[i], 360.0) : f->a[i];
        }
        if (i % 97 == 0)
            f->snr[i] = nan_;
        if (i % 101 == 0)
            f->a[i] = nan_;
    }
}

static double naive_distance(const field *f, int i, int j, bool on_sky)
{
    if (!on_sky)
        return hypot(f->a[i] - f->a[j], f->b[i] - f->b[j]);
    double d = 3.14159265358979323846 / 180.0, p = f->b[i] * d, q = f->b[j] * d;
    double s = sin((p - q) / 2.0), t = sin((f->a[i] - f->a[j]) * d / 2.0);
    return 2.0 * asin(sqrt(s * s + cos(p) * cos(q) * t * t)) / d; /* haversine */
}

static bool naive_before(const field *f, int i, int j)
{
    if (isnan(f->snr[i]) != isnan(f->snr[j]))
        return !isnan(f->snr[i]);
    if (!isnan(f->snr[i]) && (f->snr[i] > f->snr[j] || f->snr[i] < f->snr[j]))
        return f->snr[i] > f->snr[j];
    return f->id[i] < f->id[j];
}

/* O(n^2): the best of the rows left stays, and takes with it whatever is nearer than the limit. */
static void naive_thin(const field *f, bool on_sky, double limit, bool *ret_kept)
{
    static bool done[MANY];
    memset(done, 0, sizeof done);
    for (int round = 0; round < MANY; round++) {
        int best = -1;
        for (int i = 0; i < MANY; i++)
            if (!done[i] && (best < 0 || naive_before(f, i, best)))
                best = i;
        if (best < 0)
            break;
        done[best] = ret_kept[best] = true;
        for (int i = 0; i < MANY; i++)
            if (!done[i] && naive_distance(f, i, best, on_sky) < limit) {
                done[i] = true;
                ret_kept[i] = false;
            }
    }
}

static aid_status filter_field(const field *f, bool on_sky, const char *text,
                               aid_filter_result *ret_result)
{
    const aid_catalogue_column items[] = {{.name = "id", .integers = f->id},
                                          {.name = on_sky ? "ra" : "x", .doubles = f->a},
                                          {.name = on_sky ? "dec" : "y", .doubles = f->b},
                                          {.name = "snr", .doubles = f->snr}};
    const aid_catalogue of = {"field", MANY, 4, items};
    one_rule(text);
    return aid_filter(&of, &rules, NULL, ret_result, &err);
}

static void thins_like_the_naive_twin(bool on_sky, double limit, const char *text)
{
    static field f;
    static bool kept[MANY];
    for (uint64_t seed = 1; seed <= 3; seed++) {
        aid_filter_result result;
        random_field(&f, on_sky, seed);
        naive_thin(&f, on_sky, limit, kept);
        CHECK_OK(filter_field(&f, on_sky, text, &result));
        int different = 0, rejected = 0;
        for (int i = 0; i < MANY; i++) {
            different += kept[i] != !result.broken[i];
            rejected += !kept[i];
        }
        aid_filter_result_done(&result);
        CHECK_EQUAL(different, 0);
        CHECK(rejected > MANY / 20 && rejected < MANY - 100);
    }
}

TEST(duplicates_in_pixels_go_as_a_search_among_all_pairs_has_it)
{
    thins_like_the_naive_twin(false, 3.0, "distance >= 3 px");
    thins_like_the_naive_twin(false, 0.7, "distance >= 0.7 px by snr");
}

TEST(duplicates_on_the_sky_go_as_all_pairs_have_it_at_the_seam_and_the_poles_too)
{
    thins_like_the_naive_twin(true, 1.0, "distance >= 1 deg");
    thins_like_the_naive_twin(true, 5.0, "distance >= 300 arcmin");
    thins_like_the_naive_twin(true, 0.5, "distance >= 1800 arcsec");
}

TEST(crowding_counts_as_all_pairs_have_it)
{
    static field f;
    for (int on_sky = 0; on_sky < 2; on_sky++) {
        aid_filter_result result;
        random_field(&f, on_sky, 9);
        CHECK_OK(filter_field(&f, on_sky,
                              on_sky ? "crowding <= 2 within 4 deg" : "crowding <= 2 within 8 px",
                              &result));
        int different = 0, crowded = 0;
        for (int i = 0; i < MANY; i++) {
            int others = 0;
            for (int j = 0; j < MANY; j++)
                others += i != j && naive_distance(&f, i, j, on_sky) <= (on_sky ? 4.0 : 8.0);
            bool good = others <= 2 && !isnan(f.a[i]);
            crowded += others > 2;
            different += good != !result.broken[i];
        }
        aid_filter_result_done(&result);
        CHECK_EQUAL(different, 0);
        CHECK(crowded > 10);
    }
}

TEST(what_is_kept_does_not_depend_on_the_order_of_the_rows)
{
    static field f, shuffled;
    static bool kept[MANY + 1];
    aid_random random = aid_random_seeded(5, 0);
    aid_filter_result result;
    random_field(&f, true, 4);
    CHECK_OK(filter_field(&f, true, "distance >= 1 deg", &result));
    for (int i = 0; i < MANY; i++)
        kept[f.id[i]] = !result.broken[i];
    aid_filter_result_done(&result);
    shuffled = f;
    for (int i = MANY - 1; i > 0; i--) {
        int j = (int)(aid_random_bits(&random) % (uint64_t)(i + 1));
        int64_t id = shuffled.id[i];
        shuffled.id[i] = shuffled.id[j];
        shuffled.id[j] = id;
        double *const values[] = {shuffled.a, shuffled.b, shuffled.snr};
        for (int k = 0; k < 3; k++) {
            double value = values[k][i];
            values[k][i] = values[k][j];
            values[k][j] = value;
        }
    }
    CHECK_OK(filter_field(&shuffled, true, "distance >= 1 deg", &result));
    int different = 0;
    for (int i = 0; i < MANY; i++)
        different += kept[shuffled.id[i]] != !result.broken[i];
    aid_filter_result_done(&result);
    CHECK_EQUAL(different, 0);
}

TEST(a_row_that_another_rule_rejects_takes_no_neighbour_with_it)
{
    aid_filter_result result;
    rules.count = 0;
    CHECK_OK(aid_rules_add(&rules, "test", "single", "distance >= 1.5 px", &err));
    CHECK_OK(aid_rules_add(&rules, "test", "faint", "snr <= 19", &err));
    CHECK_OK(aid_filter(&catalogue, &rules, NULL, &result, &err));
    /* 13 and 18 are too bright and 14 has no snr; so 12 goes for 11, and 16 for 15. */
    uint64_t broken[N];
    memcpy(broken, result.broken, sizeof broken);
    aid_filter_result_done(&result);
    static const uint64_t expected[N] = {0, 1, 2, 2, 0, 1, 0, 2};
    for (int i = 0; i < N; i++)
        CHECK_EQUAL(broken[i], expected[i]);
}

/* ------------------------------------------------------------------------------------------
 * refusals */

TEST(rules_that_are_none_are_refused_and_leave_the_others_alone)
{
    static const char *const wrong[][2] = {
        {"", "`` where a column must be"},
        {"snr", "`` where >=, <=, >, <, =, !=, between, has or lacks must be"},
        {"snr >=", "`` is no number where a limit must be"},
        {"snr >= five", "`five` is no number"},
        {"snr >= 5 6", "`6` is too much"},
        {"snr >= 5 px more", "`more` is too much"},
        {"snr >= nan", "is no number"},
        {"snr => 5", "where >="},
        {"snr >= 5 or else", "`or else`"},
        {"snr >= 1.5 quantile", "quantile of 1.5"},
        {"snr between 7 5", "there is nothing"},
        {"flags has", "no names of flags"},
        {"cone 1 2", "`` is no number where a radius must be"},
        {"cone 1 2 3", "`` where deg, arcmin or arcsec must be"},
        {"cone 1 91 3 deg", "a declination 91 is not between -90 and 90"},
        {"cone 1 2 181 deg", "more than 180"},
        {"box 1 2 3", "is no number"},
        {"box 1 2 4 3", "southern edge"},
        {"polygon 1 1 2 2", "no polygon"},
        {"polygon 0 0 120 0 240 0", "no polygon"},
        {"not snr >= 5", "where cone, box or polygon must be"},
        {"distance >= 2", "without a unit"},
        {"distance >= 0 px", "a distance of 0"},
        {"distance >= -1 px", "is not between"},
        {"distance > 2 px", "`>` where >= must be"},
        {"snr >= 3 sigma within", "is no number where a distance must be"},
        {"snr >= 3 sigma within 0 px", "a distance of 0"},
        {"snr >= 3 within 5 px", "too much"},
        {"crowding <= 3 px", "`px` where `within` must be"},
    };
    one_rule("snr >= 5");
    for (size_t i = 0; i < AID_COUNT_OF(wrong); i++) {
        aid_status status = aid_rules_add(&rules, "here", "w", wrong[i][0], &err);
        CHECK(status != AID_OK);
        if (!strstr(err.message, wrong[i][1]) || strncmp(err.message, "here: ", 6) != 0)
            check_fail(__FILE__, __LINE__, "%s: %s", wrong[i][0], err.message);
    }
    CHECK_EQUAL(rules.count, 1);
    CHECK_REFUSED(aid_rules_add(&rules, "here", "r", "snr >= 6", &err), AID_ERR_INVALID,
                  "here: there is a rule `r` already");
    CHECK_REFUSED(aid_rules_add(&rules, "here", "a b", "snr >= 6", &err), AID_ERR_INVALID,
                  "no name of a rule");
    CHECK_REFUSED(aid_rules_parse(&rules, "r.txt", "a: snr >= 5\n\nsnr >= 6\n", &err),
                  AID_ERR_INVALID, "r.txt:3: no colon");
    CHECK_EQUAL(rules.count, 1);
}

TEST(columns_that_are_missing_or_of_the_wrong_kind_are_named)
{
    static const char *const wrong[][2] = {
        {"sharpness >= 5", "rule r: no column `sharpness` in x.csv; it has id, snr, flux, noise"},
        {"flags >= 5", "rule r: column `flags` of x.csv holds text, not numbers"},
        {"snr has edge", "rule r: column `snr` of x.csv holds numbers, not words"},
        {"flux >= 3 * noize", "rule r: no column `noize`"},
        {"distance >= 2 px by merit", "rule r: no column `merit`"},
    };
    for (size_t i = 0; i < AID_COUNT_OF(wrong); i++) {
        aid_filter_result result = {.rows = -7};
        one_rule(wrong[i][0]);
        CHECK_REFUSED(aid_filter(&catalogue, &rules, NULL, &result, &err), AID_ERR_INVALID,
                      wrong[i][1]);
        CHECK_EQUAL(result.rows, -7);
    }
    const aid_catalogue bare = {"bare.csv", N, 2, columns + 5};
    aid_filter_result result = {.rows = -7};
    one_rule("distance >= 2 px");
    CHECK_REFUSED(aid_filter(&bare, &rules, NULL, &result, &err), AID_ERR_INVALID,
                  "which of two stays? bare.csv has neither snr nor score");
    one_rule("cone 1 2 3 deg");
    CHECK_REFUSED(aid_filter(&bare, &rules, NULL, &result, &err), AID_ERR_INVALID,
                  "no column `ra` in bare.csv");
    CHECK_EQUAL(result.rows, -7);
}

TEST(a_catalogue_without_rows_gives_one_without_rows)
{
    const aid_catalogue empty = {"x.csv", 0, (int)AID_COUNT_OF(columns), columns};
    static const char *const texts[] = {"snr >= 5", "snr >= 0.5 quantile", "flags has edge",
                                        "distance >= 2 px", "crowding <= 2 within 3 arcsec"};
    for (size_t i = 0; i < AID_COUNT_OF(texts); i++) {
        aid_filter_result result;
        one_rule(texts[i]);
        CHECK_OK(aid_filter(&empty, &rules, NULL, &result, &err));
        CHECK_EQUAL(result.kept, 0);
        aid_filter_result_done(&result);
    }
}

TEST_MAIN()
