/* `astrid rank` on small tables. */
#include "tests/apps/cli/program.h"

#include "adapters/files/files.h"
#include "adapters/tables/table.h"

#include <jansson.h>

static void write_text(const char *path, const char *text)
{
    CHECK_OK(aid_write_file(path, text, strlen(text), &err));
}

static const char catalogue[] = "id,x,y,flux,flux_err,snr,flags\n"
                                "1,10,20,-50,10,5,\n"
                                "2,11,20,400,10,40,\n"
                                "3,50,60,,,,edge\n"
                                "4,80,60,400,10,40,cosmic_ray\n"
                                "5,90,60,60,10,6,\n";

static json_t *json_of(const char *words)
{
    int status = astrid(words);
    if (status != 0)
        check_fail(__FILE__, __LINE__, "astrid %s: exit %d: %s", words, status, error_text);
    json_t *json = json_loads(out_text, 0, NULL);
    CHECK(json != NULL);
    return json;
}

static json_int_t id_at(const json_t *summary, size_t rank)
{
    const json_t *row = json_array_get(json_object_get(summary, "ranked"), rank);
    return json_integer_value(json_object_get(row, "id"));
}

TEST(rows_come_in_the_order_of_their_scores_and_each_part_is_told)
{
    enter_new_folder();
    write_text("cat.csv", catalogue);
    json_t *json = json_of("rank cat.csv --json");
    static const json_int_t expected[] = {2, 5, 4, 1, 3};
    json_int_t found[5];
    for (size_t i = 0; i < 5; i++)
        found[i] = id_at(json, i);
    const json_t *third = json_array_get(json_object_get(json, "ranked"), 2);
    double flags =
        json_number_value(json_object_get(json_object_get(third, "parts"), "shape_flags"));
    bool null = json_is_null(json_object_get(json_object_get(third, "anomaly"), "value"));
    const json_t *reasons = json_object_get(json, "not_computed");
    bool reason = json_is_string(json_object_get(reasons, "change")) &&
                  json_is_string(json_object_get(reasons, "width"));
    size_t taken = json_array_size(json_object_get(third, "taken"));
    json_decref(json);
    for (size_t i = 0; i < 5; i++)
        CHECK_EQUAL(found[i], expected[i]);
    CHECK_NEAR(flags, 0.4, 1e-12);
    CHECK(null && reason);
    CHECK_EQUAL(taken, 3);
}

TEST(the_table_has_all_columns_and_the_scores_behind_them)
{
    enter_new_folder();
    write_text("cat.csv", catalogue);
    CHECK_EQUAL(astrid("rank cat.csv -o ranked.csv --top 2"), 0);
    char *text;
    CHECK_OK(aid_read_file("ranked.csv", 1 << 20, &text, NULL, &err));
    static const char names[] =
        "id,x,y,flux,flux_err,snr,flags,rank,rank_score,rank_low,rank_high,detection_score,"
        "detection_low,detection_high,quality_score,quality_low,quality_high,anomaly_score,"
        "anomaly_low,anomaly_high,confidence_score,confidence_low,confidence_high\n2,11,20,400,10,"
        "40,,1,0.99";
    int lines = 0;
    for (const char *c = text; *c; c++)
        lines += *c == '\n';
    bool begins = !strncmp(text, names, sizeof names - 1);
    free(text);
    CHECK(begins);
    CHECK_EQUAL(lines, 3);
    CHECK_EXIT("rank ranked.csv -o again.csv", 3, "has a column rank already");
}

TEST(the_bytes_do_not_depend_on_threads_or_on_the_form_of_the_table)
{
    enter_new_folder();
    write_text("cat.csv", catalogue);
    CHECK_EQUAL(astrid("rank cat.csv -o one.csv --threads 1"), 0);
    CHECK_EQUAL(astrid("rank cat.csv -o two.csv --threads 2"), 0);
    CHECK_EQUAL(astrid("filter cat.csv -o cat.fits"), 0);
    CHECK_EQUAL(astrid("rank cat.fits -o three.csv"), 0);
    same_file("one.csv", "two.csv");
    same_file("one.csv", "three.csv");
    CHECK_EQUAL(astrid("rank cat.csv -o other.csv --seed 2"), 0);
    CHECK(system("cmp -s one.csv other.csv") != 0);
}

TEST(a_catalogue_of_the_reference_makes_changes_on_bright_sources_less_of_an_anomaly)
{
    enter_new_folder();
    write_text("cat.csv", "id,x,y,flux,flux_err,snr\n1,10,20,400,10,40\n2,500,20,400,10,40\n");
    write_text("ref.json", "[{\"x\": 10, \"y\": 20.5, \"flux\": 100000}]");
    json_t *json = json_of("rank cat.csv --json --reference-catalogue ref.json "
                           "--weights anomaly=1");
    json_int_t first = id_at(json, 0);
    size_t notes = json_array_size(json_object_get(json, "notes"));
    json_decref(json);
    CHECK_EQUAL(first, 2);
    CHECK_EQUAL(notes, 3); /* pixels, scale of fluxes, width of stars */
}

/* Whether a candidate lies on a change of the truth: within 2.5 px, and of its sign. */
static bool is_real(const aid_table *ranked, int64_t row, const aid_table *truth)
{
    const char *const names[] = {"x", "y", "snr", "on_image"};
    int columns[4];
    for (int i = 0; i < 4; i++)
        columns[i] = aid_table_find(truth, names[i]);
    double x = aid_table_number(ranked, aid_table_find(ranked, "x"), row);
    double y = aid_table_number(ranked, aid_table_find(ranked, "y"), row);
    double polarity = aid_table_number(ranked, aid_table_find(ranked, "polarity"), row);
    for (int64_t i = 0; i < truth->rows; i++) {
        double distance = hypot(x - aid_table_number(truth, columns[0], i),
                                y - aid_table_number(truth, columns[1], i));
        double snr = aid_table_number(truth, columns[2], i);
        if (distance <= 2.5 && snr * polarity > 0.0 && aid_table_number(truth, columns[3], i) > 0.0)
            return true;
    }
    return false;
}

/* Pairs of a real and a spurious row that `column` puts in the right order, of all. */
static double area_under_curve(const aid_table *ranked, const bool *real, const char *column)
{
    double right = 0.0, pairs = 0.0;
    int at = aid_table_find(ranked, column);
    for (int64_t i = 0; i < ranked->rows; i++)
        for (int64_t j = 0; j < ranked->rows; j++)
            if (real[i] && !real[j]) {
                double a = fabs(aid_table_number(ranked, at, i));
                double b = fabs(aid_table_number(ranked, at, j));
                pairs += 1.0;
                right += a > b ? 1.0 : a < b ? 0.0 : 0.5;
            }
    return right / pairs;
}

/* A night of 24 changes of S/N 4 to 60 and, at a threshold of 3.5, as many peaks of noise. */
TEST(what_is_real_comes_first_in_a_simulated_night)
{
    static bool real[1000];
    enter_new_folder();
    CHECK_EQUAL(astrid("simulate -o night --seed 5 --size 512 --raw 0 --transients 16 --faders 4 "
                       "--variables 4 --movers 0"),
                0);
    CHECK_EQUAL(astrid("run night/science.fits night/reference.fits -o found --threshold 3.5"), 0);
    CHECK_EQUAL(astrid("rank found/candidates.fits -o ranked.csv"), 0);
    aid_table ranked, truth;
    CHECK_OK(aid_table_read_csv("ranked.csv", &ranked, &err));
    CHECK_OK(aid_table_read_csv("night/truth.csv", &truth, &err));
    CHECK(ranked.rows > 30 && ranked.rows < 1000);
    int count = 0, first = 0;
    for (int64_t i = 0; i < ranked.rows; i++) {
        real[i] = is_real(&ranked, i, &truth);
        count += real[i];
        first += i < 10 && real[i];
    }
    double by_rank = area_under_curve(&ranked, real, "rank_score");
    double by_snr = area_under_curve(&ranked, real, "snr");
    aid_table_done(&ranked);
    aid_table_done(&truth);
    CHECK_EQUAL(first, 10);
    CHECK(count >= 18 && count <= 24);
    CHECK(by_rank >= by_snr - 0.005 && by_rank > 0.97);
}

/* A CSV file does not say that its empty column is of words. */
TEST(flags_that_no_row_has_are_good_news)
{
    enter_new_folder();
    write_text("cat.csv", "id,snr,flags\n1,5,\n2,6,\n");
    json_t *json = json_of("rank cat.csv --json");
    const json_t *first = json_array_get(json_object_get(json, "ranked"), 0);
    double flags = json_number_value(json_object_get(json_object_get(first, "parts"), "flags"));
    json_decref(json);
    CHECK_NEAR(flags, 1.0, 0.0);
}

TEST(an_empty_catalogue_gives_an_empty_table)
{
    enter_new_folder();
    write_text("cat.csv", "id,x,y,flux,snr,flags\n");
    CHECK_EQUAL(astrid("rank cat.csv -o ranked.vot"), 0);
    CHECK_EQUAL(astrid("filter ranked.vot -o kept.csv --min-snr 5"), 0);
    CHECK(strstr(out_text, "0 of 0 rows kept"));
}

TEST(what_cannot_be_ranked_is_refused_in_one_line)
{
    enter_new_folder();
    write_text("cat.csv", catalogue);
    write_text("names.csv", "name\na\nb\n");
    CHECK_EXIT("rank cat.csv -o out.txt", 2, "out.txt: the name of a table");
    CHECK_EXIT("rank cat.csv --weights merit=1", 2, "`merit` is none of detection");
    CHECK_EXIT("rank names.csv", 3, "names.csv: no score can be computed; it has name");
    CHECK_EXIT("rank cat.csv --reference-catalogue names.csv", 3, "no positions in common");
    CHECK_EXIT("rank none.csv", 1, "none.csv: cannot open");
    CHECK(entries_in(".") == 2);
}

TEST_MAIN()
