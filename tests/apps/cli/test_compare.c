/* `astrid compare` on small tables whose answer is counted by hand. */
#include "adapters/files/files.h"
#include "tests/check.h"
#include "tests/folder.h"

#include <jansson.h>
#include <sys/wait.h>

static aid_error err;

static void write_text(const char *path, const char *text)
{
    CHECK_OK(aid_write_file(path, text, strlen(text), &err));
}

static int compare(const char *words)
{
    char command[1024];
    snprintf(command, sizeof command, "'%s' compare %s >out.txt 2>error.txt </dev/null", AID_ASTRID,
             words);
    int status = system(command);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* At and above 5 sigma: transients 1 (found), 2 (missed), 3 (flagged), fader 4 (found), mover 5
 * (found). Below: transient 6 (found all the same). Star 7 does not change, transient 8 is off. */
static const char truth[] = "id,kind,x,y,flux,snr,on_image\n"
                            "1,transient,100,100,1000,20,1\n"
                            "2,transient,200,100,500,10,1\n"
                            "3,transient,300,100,800,15,1\n"
                            "4,fader,400,100,0,-12,1\n"
                            "5,mover,500,100,900,30,1\n"
                            "6,transient,600,100,200,4,1\n"
                            "7,star,700,100,5000,0,1\n"
                            "8,transient,-50,100,700,14,0\n";
/* The negative one behind the mover belongs to it; the positive one beside it does not. On the
 * fader lies one of the wrong sign, nearer than the right one. */
static const char found[] = "id,x,y,flux,score,polarity,flags\n"
                            "1,100.6,100.8,1050,20,1,\n"
                            "2,300,100,800,15,1,near_source|cosmic_ray\n"
                            "3,400.1,100,50,6,1,\n"
                            "4,401,100,-600,-12,-1,near_source\n"
                            "5,500,100,900,30,1,moving\n"
                            "6,500,140,-900,-30,-1,moving\n"
                            "7,540,100,90,5.5,1,\n"
                            "8,600,100,190,5.1,1,\n"
                            "9,800,800,100,5.2,1,\n"
                            "10,900,800,100,5.2,1,edge\n";

static double number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    CHECK(json_is_number(value));
    return json_number_value(value);
}

TEST(what_was_found_missed_flagged_and_invented_is_counted)
{
    enter_new_folder();
    write_text("truth.csv", truth);
    write_text("candidates.csv", found);
    CHECK_EQUAL(compare("candidates.csv truth.csv --json"), 0);
    json_t *result = json_load_file("out.txt", 0, NULL);
    CHECK(result != NULL);
    double due = number(result, "due"), hits = number(result, "found");
    double spurious = number(result, "spurious"), flagged = number(result, "flagged");
    double rms = number(result, "position_rms_px"), bias = number(result, "flux_bias");
    json_decref(result);
    CHECK_EQUAL(due, 5);
    CHECK_EQUAL(hits, 3);
    CHECK_EQUAL(spurious, 2);
    CHECK_EQUAL(flagged, 2);
    /* Transient 1 is 1 px off, the fader 1 px, per axis sqrt((1 + 1)/(2*2)). */
    CHECK_NEAR(rms, 0.70710678, 1e-6);
    CHECK_NEAR(bias, 0.05, 1e-12);
}

TEST(folders_stand_for_the_files_in_them_and_text_names_what_is_wrong)
{
    enter_new_folder();
    CHECK_OK(aid_make_folder("night", &err));
    CHECK_OK(aid_make_folder("run", &err));
    write_text("night/truth.csv", truth);
    write_text("run/candidates.csv", found);
    CHECK_EQUAL(compare("run night"), 0);
    char *text;
    CHECK_OK(aid_read_file("out.txt", 100000, &text, NULL, &err));
    CHECK(strstr(text, "above 5 sigma: 3 of 5 found"));
    CHECK(strstr(text, "200.00   100.00  S/N   10.0  no candidate"));
    CHECK(strstr(text, "300.00   100.00  S/N   15.0  flagged as unlikely"));
    CHECK(strstr(text, "not in the truth: 2 candidates"));
    CHECK(strstr(text, "800.00   800.00  score    5.2"));
    free(text);
}

TEST(tables_without_the_columns_are_refused)
{
    enter_new_folder();
    write_text("truth.csv", truth);
    write_text("candidates.csv", "id,x\n1,2\n");
    CHECK_EQUAL(compare("candidates.csv truth.csv"), 3);
    CHECK_EQUAL(compare("nothing.csv truth.csv"), 1);
    CHECK_EQUAL(compare("truth.csv"), 2);
    CHECK(entries_in(".") == 4);
}

TEST_MAIN()
