#include "apps/common/output_folder.h"

#include "adapters/files/files.h"
#include "tests/check.h"
#include "tests/folder.h"

#include <sys/stat.h>
#include <unistd.h>

static aid_error err;
static const char *const names[] = {"a.txt", "b.txt", "last.txt", NULL};

static void write_text(const char *path, const char *text)
{
    CHECK_OK(aid_write_file(path, text, strlen(text), &err));
}

static bool holds(const char *path, const char *text)
{
    char *found = NULL;
    if (aid_read_file(path, 1000, &found, NULL, &err) != AID_OK)
        return false;
    bool same = !strcmp(found, text);
    free(found);
    return same;
}

static aid_output_folder *begin(const char *path)
{
    aid_output_folder *folder = NULL;
    CHECK_OK(aid_output_folder_begin(path, names, &folder, &err));
    return folder;
}

static void put(const aid_output_folder *folder, const char *text)
{
    for (const char *const *name = names; *name; name++) {
        char path[AID_MAX_PATH];
        aid_output_folder_path(folder, *name, path);
        write_text(path, text);
    }
}

static void write_all(const char *path, const char *text)
{
    aid_output_folder *folder = begin(path);
    put(folder, text);
    CHECK_OK(aid_output_folder_commit(folder, &err));
}

TEST(a_folder_appears_with_all_its_files_and_nothing_beside_it)
{
    enter_new_folder();
    aid_output_folder *folder = begin("deep/er/out/");
    put(folder, "one");
    CHECK(!exists("deep/er/out"));
    CHECK_OK(aid_output_folder_commit(folder, &err));
    CHECK(holds("deep/er/out/a.txt", "one") && holds("deep/er/out/last.txt", "one"));
    CHECK(!exists("deep/er/.out.unfinished"));
}

TEST(an_earlier_folder_is_replaced_as_a_whole)
{
    enter_new_folder();
    write_all("out", "one");
    aid_output_folder *folder = begin("out");
    char path[AID_MAX_PATH];
    aid_output_folder_path(folder, "last.txt", path);
    write_text(path, "two"); /* and neither a.txt nor b.txt this time */
    CHECK(holds("out/last.txt", "one"));
    CHECK_OK(aid_output_folder_commit(folder, &err));
    CHECK(holds("out/last.txt", "two"));
    CHECK(!exists("out/a.txt") && !exists(".out.unfinished"));
}

TEST(folders_made_above_go_when_nothing_is_kept_and_those_that_were_there_stay)
{
    enter_new_folder();
    CHECK_OK(aid_make_folder("there", &err));
    aid_output_folder_abandon(begin("there/deep/er/out"));
    CHECK(exists("there") && entries_in("there") == 0);
    aid_output_folder *folder = begin("deep/er/out");
    write_text("deep/mine.txt", "mine");
    aid_output_folder_abandon(folder);
    CHECK(holds("deep/mine.txt", "mine") && entries_in("deep") == 1);
}

TEST(what_cannot_be_replaced_is_refused_at_the_beginning)
{
    enter_new_folder();
    CHECK(symlink("nowhere", "link") == 0);
    CHECK_OK(aid_make_folder("out/b.txt", &err));
    aid_output_folder *folder = NULL;
    CHECK_REFUSED(aid_output_folder_begin("link", names, &folder, &err), AID_ERR_USAGE,
                  "link: a link to nothing");
    CHECK_REFUSED(aid_output_folder_begin("out", names, &folder, &err), AID_ERR_USAGE,
                  "out/b.txt: exists and is a folder");
    CHECK(folder == NULL && entries_in(".") == 2);
}

TEST(an_error_names_the_file_as_it_would_have_been_called)
{
    enter_new_folder();
    aid_output_folder *folder = begin("deep/out");
    char path[AID_MAX_PATH];
    aid_output_folder_path(folder, "a.txt", path);
    (void)AID_ERROR(&err, AID_ERR_IO, "%s: no space", path);
    aid_output_folder_name_final(folder, &err);
    CHECK_TEXT(err.message, "deep/out/a.txt: no space");
    (void)AID_ERROR(&err, AID_ERR_IO, "sci.fits: no stars");
    aid_output_folder_name_final(folder, &err);
    CHECK_TEXT(err.message, "sci.fits: no stars");
    aid_output_folder_name_final(NULL, &err);
    aid_output_folder_abandon(folder);
}

TEST(files_of_others_stay_in_the_folder)
{
    enter_new_folder();
    write_all("out", "one");
    write_text("out/notes.txt", "mine");
    write_all("out", "two");
    CHECK(holds("out/notes.txt", "mine"));
    CHECK(holds("out/a.txt", "two") && holds("out/last.txt", "two"));
    CHECK(!exists(".out.unfinished"));
}

TEST(an_abandoned_folder_leaves_the_earlier_one_and_nothing_new)
{
    enter_new_folder();
    write_all("out", "one");
    aid_output_folder *folder = begin("out");
    put(folder, "two");
    aid_output_folder_abandon(folder);
    CHECK(holds("out/a.txt", "one"));
    CHECK(!exists(".out.unfinished"));
    folder = begin("new");
    put(folder, "two");
    aid_output_folder_abandon(folder);
    CHECK(!exists("new") && !exists(".new.unfinished"));
    aid_output_folder_abandon(NULL);
}

TEST(the_signal_handler_leaves_nothing_behind)
{
    enter_new_folder();
    aid_output_folder *folder = begin("out");
    put(folder, "one");
    aid_output_folders_abandon_all();
    CHECK(!exists(".out.unfinished") && !exists("out"));
    aid_output_folder_abandon(folder);
    aid_output_folders_abandon_all();
}

TEST(what_a_killed_process_left_is_cleared_away)
{
    enter_new_folder();
    CHECK(mkdir(".out.unfinished", 0777) == 0);
    write_text(".out.unfinished/a.txt", "stale");
    write_text(".out.unfinished/.b.txt.Xy12ab.part", "stale");
    aid_output_folder *folder = begin("out");
    CHECK(!exists(".out.unfinished/a.txt"));
    put(folder, "fresh");
    CHECK_OK(aid_output_folder_commit(folder, &err));
    CHECK(holds("out/a.txt", "fresh") && !exists("out/.b.txt.Xy12ab.part"));
}

static const char *const nested[] = {"raw/a.txt", "raw/b.txt", "last.txt", NULL};

static aid_output_folder *begin_nested(const char *path, const char *text, int files)
{
    aid_output_folder *folder = NULL;
    CHECK_OK(aid_output_folder_begin(path, nested, &folder, &err));
    for (int i = 0; i < files; i++) {
        char file[AID_MAX_PATH];
        aid_output_folder_path(folder, nested[i], file);
        write_text(file, text);
    }
    return folder;
}

TEST(files_may_lie_in_a_folder_of_their_own_and_are_replaced_with_the_rest)
{
    enter_new_folder();
    CHECK_OK(aid_output_folder_commit(begin_nested("out", "one", 3), &err));
    CHECK(holds("out/raw/a.txt", "one") && holds("out/last.txt", "one"));
    CHECK_OK(aid_output_folder_commit(begin_nested("out", "two", 1), &err));
    CHECK(holds("out/raw/a.txt", "two") && !exists("out/raw/b.txt") && !exists("out/last.txt"));
    CHECK(!exists(".out.unfinished"));
    aid_output_folder_abandon(begin_nested("out", "three", 3));
    CHECK(holds("out/raw/a.txt", "two") && entries_in(".") == 1);
}

TEST(a_folder_of_their_own_goes_when_nothing_is_in_it)
{
    enter_new_folder();
    CHECK_OK(aid_output_folder_commit(begin_nested("out", "one", 0), &err));
    CHECK(exists("out") && entries_in("out") == 0);
    aid_output_folder *folder = begin_nested("new", "one", 3);
    aid_output_folders_abandon_all();
    CHECK(!exists(".new.unfinished"));
    aid_output_folder_abandon(folder);
}

TEST(strangers_in_a_folder_of_their_own_stay_and_one_that_is_a_file_is_refused)
{
    enter_new_folder();
    CHECK_OK(aid_make_folder("out/raw", &err));
    write_text("out/raw/notes.txt", "mine");
    CHECK_OK(aid_output_folder_commit(begin_nested("out", "one", 3), &err));
    CHECK(holds("out/raw/notes.txt", "mine") && holds("out/raw/b.txt", "one"));
    CHECK_OK(aid_make_folder("other", &err));
    write_text("other/raw", "mine");
    aid_output_folder *folder = NULL;
    CHECK_REFUSED(aid_output_folder_begin("other", nested, &folder, &err), AID_ERR_USAGE,
                  "other/raw: exists and is not a folder");
    CHECK(folder == NULL && entries_in("other") == 1);
}

TEST(two_processes_do_not_write_to_one_folder)
{
    enter_new_folder();
    aid_output_folder *folder = begin("out"), *other = NULL;
    CHECK_REFUSED(aid_output_folder_begin("./out", names, &other, &err), AID_ERR_IO,
                  "another process is writing");
    CHECK(other == NULL);
    put(folder, "one");
    CHECK_OK(aid_output_folder_commit(folder, &err));
    write_all("out", "two");
    CHECK(holds("out/a.txt", "two"));
}

TEST(the_folder_one_stands_in_and_a_link_to_one_work_too)
{
    enter_new_folder();
    CHECK(mkdir("real", 0777) == 0 && symlink("real", "link") == 0);
    write_all("link", "one");
    CHECK(holds("real/a.txt", "one"));
    struct stat status;
    CHECK(lstat("link", &status) == 0 && S_ISLNK(status.st_mode));
    CHECK(chdir("real") == 0);
    write_all(".", "two");
    CHECK(chdir("..") == 0);
    CHECK(holds("real/a.txt", "two") && !exists(".real.unfinished"));
}

TEST(a_place_where_no_folder_can_be_is_refused)
{
    enter_new_folder();
    aid_output_folder *folder = NULL;
    write_text("file", "text");
    CHECK_REFUSED(aid_output_folder_begin("file", names, &folder, &err), AID_ERR_USAGE,
                  "file: exists and is not a folder");
    CHECK_REFUSED(aid_output_folder_begin("file/out", names, &folder, &err), AID_ERR_IO, "file");
    CHECK_REFUSED(aid_output_folder_begin("", names, &folder, &err), AID_ERR_USAGE, "name");
    char endless[2 * AID_MAX_PATH];
    memset(endless, 'x', sizeof endless - 1);
    endless[sizeof endless - 1] = '\0';
    CHECK_REFUSED(aid_output_folder_begin(endless, names, &folder, &err), AID_ERR_USAGE, "name");
    CHECK(folder == NULL);
    CHECK(holds("file", "text"));
}

TEST_MAIN()
