/* `astrid filter` on small tables whose answer is counted by hand. */
#include "tests/apps/cli/program.h"

#include "adapters/files/files.h"

#include <jansson.h>

static void write_text(const char *path, const char *text)
{
    CHECK_OK(aid_write_file(path, text, strlen(text), &err));
}

static void file_is(const char *path, const char *expected)
{
    char *text;
    CHECK_OK(aid_read_file(path, 1 << 20, &text, NULL, &err));
    bool same = !strcmp(text, expected);
    if (!same)
        printf("%s", text);
    free(text);
    CHECK(same);
}

static const char catalogue[] = "id,x,y,flux,snr,ellipticity,flags,note\n"
                                "1,10.00,20.00,-500.25,12.5,0.10,,first\n"
                                "2,11.00,20.00,400,11.0,0.10,edge,\n"
                                "3,50.00,60.00,30,,0.9,edge|dipole,\"a,b\"\n"
                                "007,80.00,60.00,30,4.0,0.2,moving,\n";

TEST(kept_rows_keep_all_their_columns_and_rejected_ones_say_why)
{
    enter_new_folder();
    write_text("cat.csv", catalogue);
    CHECK_EQUAL(
        astrid("filter cat.csv -o kept.csv --rejected why.csv --min-snr 4.5 --max-ellipticity "
               "0.5 --min-distance '2 px'"),
        0);
    file_is("kept.csv", "id,x,y,flux,snr,ellipticity,flags,note\n"
                        "1,10.00,20.00,-500.25,12.5,0.1,,first\n");
    file_is("why.csv",
            "id,x,y,flux,snr,ellipticity,flags,note,rejected_by,reason\n"
            "2,11.00,20.00,400,11.0,0.1,edge,,min-distance,"
            "min-distance: id 1 stays instead (distance >= 2 px)\n"
            "3,50.00,60.00,30,,0.9,edge|dipole,\"a,b\",min-snr|max-ellipticity,"
            "\"min-snr: snr is null, not >= 4.5; max-ellipticity: ellipticity is 0.9, not "
            "<= 0.5\"\n"
            "007,80.00,60.00,30,4.0,0.2,moving,,min-snr,\"min-snr: snr is 4, not >= 4.5\"\n");
    CHECK(strstr(out_text, "cat.csv: 1 of 4 rows kept"));
}

TEST(a_fits_table_of_kept_rows_says_what_made_it_and_of_which_catalogue)
{
    enter_new_folder();
    write_text("cat.csv", catalogue);
    CHECK_EQUAL(astrid("filter cat.csv -o kept.fits --min-snr 4.5"), 0);
    CHECK_EQUAL(system("grep -a -q \"CATFILE = 'cat.csv\" kept.fits"), 0);
    CHECK_EQUAL(system("grep -a -q 'HIERARCH ASTRID MIN_SNR =  *4.5' kept.fits"), 0);
}

TEST(the_summary_counts_for_each_rule)
{
    enter_new_folder();
    write_text("cat.csv", catalogue);
    write_text("rules.txt",
               "# of the night\nloud: |flux| >= 0.5 quantile\nfree: flags lacks edge\n");
    CHECK_EQUAL(astrid("filter cat.csv -o kept.json --json --rules rules.txt --max-flux 0"), 0);
    json_t *json = json_loads(out_text, 0, NULL);
    CHECK(json != NULL);
    json_int_t kept = json_integer_value(json_object_get(json, "kept"));
    json_t *list = json_object_get(json, "rules");
    json_int_t counts[3] = {-1, -1, -1};
    for (size_t i = 0; i < 3; i++)
        counts[i] = json_integer_value(json_object_get(json_array_get(list, i), "rejected"));
    const json_t *limits = json_object_get(json_array_get(list, 1), "limits");
    double limit = json_number_value(json_array_get(limits, 0));
    size_t count = json_array_size(list);
    json_decref(json);
    CHECK_EQUAL(count, 3);
    CHECK_EQUAL(kept, 1);
    CHECK_EQUAL(counts[0], 3); /* flux <= 0 */
    CHECK_EQUAL(counts[1], 2); /* |flux| >= the middle of 30, 30, 400, 500.25 = 215 */
    CHECK_EQUAL(counts[2], 2);
    CHECK_NEAR(limit, 215.0, 1e-9);
}

TEST(an_empty_catalogue_gives_an_empty_one_in_every_form)
{
    enter_new_folder();
    write_text("cat.csv", "id,x,y,flux,snr,flags\n");
    static const char *const names[] = {"kept.csv", "kept.json", "kept.vot", "kept.fits"};
    for (size_t i = 0; i < AID_COUNT_OF(names); i++) {
        char words[256];
        snprintf(words, sizeof words,
                 "filter cat.csv -o %s --min-snr 5 --reject-flags edge --min-distance '1 px'",
                 names[i]);
        CHECK_EQUAL(astrid(words), 0);
        CHECK(exists(names[i]));
        snprintf(words, sizeof words, "filter %s -o again.csv --min-snr 5 --reject-flags edge",
                 names[i]);
        CHECK_EQUAL(astrid(words), 0);
        file_is("again.csv", "id,x,y,flux,snr,flags\n");
    }
}

TEST(a_filter_without_rules_only_changes_the_form)
{
    enter_new_folder();
    write_text("cat.csv", "id,x,flags\n1,2.50,edge\n2,,\n");
    CHECK_EQUAL(astrid("filter cat.csv -o a.fits"), 0);
    CHECK_EQUAL(astrid("filter a.fits -o b.vot"), 0);
    CHECK_EQUAL(astrid("filter b.vot -o c.json"), 0);
    CHECK_EQUAL(astrid("filter c.json -o d.csv"), 0);
    file_is("d.csv", "id,x,flags\n1,2.5,edge\n2,,\n");
}

TEST(what_cannot_be_filtered_is_refused_in_one_line)
{
    enter_new_folder();
    write_text("cat.csv", catalogue);
    write_text("bad.txt", "a: snr >= 5\nb: fwhm <= 4\n");
    CHECK_EXIT("filter cat.csv", 2, "-o KEPT.csv is missing");
    CHECK_EXIT("filter cat.csv -o kept.txt", 2, "kept.txt: the name of a table");
    CHECK_EXIT("filter cat.csv -o k.csv --rejected k.csv", 2, "cannot be both");
    CHECK_EXIT("filter cat.csv -o k.csv --region 'cone 1 2'", 2, "--region: ");
    CHECK_EXIT("filter none.csv -o k.csv", 1, "none.csv: cannot open");
    CHECK_EXIT("filter cat.csv -o k.csv --rules bad.txt", 3,
               "rule b: no column `fwhm` in cat.csv; it has id, x, y, flux, snr");
    CHECK_EXIT("filter bad.txt -o k.csv --min-snr 5", 3, "no column `snr` in bad.txt");
    CHECK(entries_in(".") == 2);
}

TEST_MAIN()
