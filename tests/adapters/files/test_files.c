#include "adapters/files/files.h"
#include "core/base/memory.h"
#include "tests/check.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static aid_error err;
static char folder[64];

/* A new empty folder for each test; what a test leaves is removed with the next one. */
static const char *in_folder(const char *name)
{
    static char path[8][PATH_MAX];
    static int next;
    char *result = path[next++ % 8];
    snprintf(result, PATH_MAX, "%s/%s", folder, name);
    return result;
}

static void remove_folder(void)
{
    DIR *listing = opendir(folder);
    for (struct dirent *entry; listing && (entry = readdir(listing));) {
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 && unlink(path))
            rmdir(path);
    }
    if (listing)
        closedir(listing);
    rmdir(folder);
}

static void new_folder(void)
{
    if (folder[0])
        remove_folder();
    else
        atexit(remove_folder);
    snprintf(folder, sizeof folder, "/tmp/aid_test_files_XXXXXX");
    CHECK(mkdtemp(folder));
}

/* Names in the folder, hidden ones too. */
static int entries(void)
{
    DIR *listing = opendir(folder);
    int count = 0;
    for (struct dirent *entry; listing && (entry = readdir(listing));)
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    if (listing)
        closedir(listing);
    return count;
}

static void content_is(const char *path, const char *expected)
{
    char text[256] = "";
    FILE *file = fopen(path, "rb");
    CHECK(file);
    size_t n = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    CHECK_EQUAL(n, strlen(expected));
    CHECK_TEXT(text, expected);
}

TEST(sha256_agrees_with_the_examples_of_fips_180)
{
    char hex[65];
    aid_sha256("abc", 3, hex);
    CHECK_TEXT(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    aid_sha256("", 0, hex);
    CHECK_TEXT(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    char *million = malloc(1000000);
    CHECK(million);
    memset(million, 'a', 1000000);
    aid_sha256(million, 1000000, hex);
    free(million);
    CHECK_TEXT(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(a_new_file_is_under_its_name_only_after_the_commit)
{
    new_folder();
    aid_new_file *file;
    CHECK_OK(aid_new_file_open(in_folder("a.txt"), &file, &err));
    fputs("whole", aid_new_file_stream(file));
    CHECK(access(in_folder("a.txt"), F_OK) != 0);
    CHECK_EQUAL(entries(), 1);
    CHECK_OK(aid_new_file_commit(file, &err));
    CHECK_EQUAL(entries(), 1);
    content_is(in_folder("a.txt"), "whole");
}

TEST(a_new_file_has_the_permissions_of_the_umask)
{
    new_folder();
    mode_t before = umask(027);
    aid_status status = aid_write_file(in_folder("a.txt"), "x", 1, &err);
    umask(before);
    CHECK_OK(status);
    struct stat written;
    CHECK(stat(in_folder("a.txt"), &written) == 0);
    CHECK_EQUAL(written.st_mode & 0777, 0640);
}

TEST(an_abandoned_file_leaves_the_older_one_and_nothing_else)
{
    new_folder();
    CHECK_OK(aid_write_file(in_folder("a.txt"), "old", 3, &err));
    aid_new_file *file;
    CHECK_OK(aid_new_file_open(in_folder("a.txt"), &file, &err));
    fputs("new", aid_new_file_stream(file));
    aid_new_file_abandon(file);
    aid_new_file_abandon(NULL);
    CHECK_EQUAL(entries(), 1);
    content_is(in_folder("a.txt"), "old");
}

TEST(a_link_is_followed_to_the_file_it_stands_for)
{
    new_folder();
    CHECK_OK(aid_write_file(in_folder("a.txt"), "old", 3, &err));
    CHECK(symlink("a.txt", in_folder("link")) == 0);
    CHECK_OK(aid_write_file(in_folder("link"), "new", 3, &err));
    struct stat link;
    CHECK(lstat(in_folder("link"), &link) == 0 && S_ISLNK(link.st_mode));
    content_is(in_folder("a.txt"), "new");
}

TEST(a_name_of_255_bytes_is_written)
{
    new_folder();
    char name[256];
    memset(name, 'n', 255);
    name[255] = '\0';
    CHECK_OK(aid_write_file(in_folder(name), "x", 1, &err));
    content_is(in_folder(name), "x");
}

TEST(what_is_not_a_regular_file_is_refused_and_kept)
{
    new_folder();
    aid_new_file *file = NULL;
    CHECK_REFUSED(aid_new_file_open("/dev/null", &file, &err), AID_ERR_IO,
                  "/dev/null: cannot write: exists and is not a regular file");
    CHECK_REFUSED(aid_new_file_open(folder, &file, &err), AID_ERR_IO, "not a regular file");
    CHECK_REFUSED(aid_new_file_open("", &file, &err), AID_ERR_IO, "not the name of a file");
    CHECK_REFUSED(aid_new_file_open(in_folder("no/such/a.txt"), &file, &err), AID_ERR_IO,
                  "no/such/a.txt: cannot create: No such file or directory");
    CHECK(!file);
    struct stat null;
    CHECK(stat("/dev/null", &null) == 0 && S_ISCHR(null.st_mode));
    CHECK_EQUAL(entries(), 0);
}

/* Writes `size` bytes by putc, so that they sit in the stream's buffer until it flushes. */
static aid_status write_slowly(const char *path, int size)
{
    aid_new_file *file;
    AID_TRY(aid_new_file_open(path, &file, &err));
    for (int i = 0; i < size; i++)
        putc('x', aid_new_file_stream(file));
    return aid_new_file_commit(file, &err);
}

/* A size limit behaves as a full disk does, but for the reason it gives. 100 bytes stay in the
 * buffer until the commit; 100 000 fail in the middle, where the stream hides the reason. */
TEST(a_limit_reached_while_writing_or_at_the_flush_leaves_nothing)
{
    new_folder();
    struct rlimit before, small;
    CHECK(getrlimit(RLIMIT_FSIZE, &before) == 0);
    small = before;
    small.rlim_cur = 64;
    signal(SIGXFSZ, SIG_IGN);
    static const int sizes[] = {100, 100000};
    for (int i = 0; i < 2; i++) {
        CHECK(setrlimit(RLIMIT_FSIZE, &small) == 0);
        aid_status status = write_slowly(in_folder("a.txt"), sizes[i]);
        CHECK(setrlimit(RLIMIT_FSIZE, &before) == 0);
        CHECK_EQUAL(status, AID_ERR_IO);
        CHECK(strstr(err.message, "a.txt: cannot write: File too large"));
        CHECK_EQUAL(entries(), 0);
    }
    signal(SIGXFSZ, SIG_DFL);
}

TEST(a_full_disk_is_named_and_leaves_nothing)
{
    new_folder();
    if (mount("none", folder, "tmpfs", 0, "size=64k"))
        check_skip("this needs the right to mount a small tmpfs");
    aid_status small = aid_write_file(in_folder("small"), "x", 1, &err);
    aid_status status = write_slowly(in_folder("a.txt"), 100000);
    int count = entries();
    umount(folder);
    CHECK_EQUAL(small, AID_OK);
    CHECK_EQUAL(status, AID_ERR_IO);
    CHECK(strstr(err.message, "a.txt: cannot write: No space left on device"));
    CHECK_EQUAL(count, 1);
}

static void end_at_signal(int number)
{
    aid_new_files_abandon_all();
    _exit(100 + number);
}

/* The child must not return into the test frame: every way out of it is an _exit. */
static void die_while_writing(void)
{
    aid_new_file *file, *other;
    signal(SIGTERM, end_at_signal);
    if (aid_new_file_open(in_folder("a.txt"), &file, &err) ||
        aid_new_file_open(in_folder("b.txt"), &other, &err) || entries() != 3)
        _exit(1);
    raise(SIGTERM);
    _exit(2);
}

TEST(a_signal_handler_removes_every_unfinished_file)
{
    new_folder();
    CHECK_OK(aid_write_file(in_folder("finished"), "x", 1, &err));
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0)
        die_while_writing();
    int outcome;
    CHECK(waitpid(child, &outcome, 0) == child);
    CHECK(WIFEXITED(outcome));
    CHECK_EQUAL(WEXITSTATUS(outcome), 100 + SIGTERM);
    CHECK_EQUAL(entries(), 1);
}

TEST(after_all_files_are_abandoned_no_commit_and_no_open_succeeds)
{
    new_folder();
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        aid_new_file *file, *other = NULL;
        if (aid_new_file_open(in_folder("a.txt"), &file, &err))
            _exit(1);
        aid_new_files_abandon_all();
        if (aid_new_file_commit(file, &err) != AID_ERR_IO)
            _exit(2);
        _exit(aid_new_file_open(in_folder("b.txt"), &other, &err) == AID_ERR_CANCELLED && !other
                  ? 0
                  : 3);
    }
    int outcome;
    CHECK(waitpid(child, &outcome, 0) == child);
    CHECK(WIFEXITED(outcome));
    CHECK_EQUAL(WEXITSTATUS(outcome), 0);
    CHECK_EQUAL(entries(), 0);
}

TEST(more_files_at_a_time_than_the_table_holds_are_refused)
{
    new_folder();
    aid_new_file *files[256], *extra = NULL;
    int opened = 0;
    while (opened < 256 && aid_new_file_open(in_folder("a.txt"), &files[opened], &err) == AID_OK)
        opened++;
    aid_status status = aid_new_file_open(in_folder("a.txt"), &extra, &err);
    int count = entries();
    for (int i = 0; i < opened; i++)
        aid_new_file_abandon(files[i]);
    CHECK_EQUAL(opened, 256);
    CHECK_EQUAL(count, 256);
    CHECK_EQUAL(status, AID_ERR_IO);
    CHECK(!extra && strstr(err.message, "256 files are being written already"));
    CHECK_EQUAL(entries(), 0);
    CHECK_OK(aid_write_file(in_folder("a.txt"), "x", 1, &err));
}

TEST(a_file_is_read_whole_up_to_its_limit)
{
    new_folder();
    char bytes[200000], *text = NULL;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)(i % 251);
    FILE *file = fopen(in_folder("a.bin"), "wb");
    CHECK(file && fwrite(bytes, 1, sizeof bytes, file) == sizeof bytes && fclose(file) == 0);
    size_t size = 7;
    CHECK_REFUSED(aid_read_file(in_folder("a.bin"), sizeof bytes - 1, &text, &size, &err),
                  AID_ERR_INVALID, "a.bin: longer than 199999 bytes");
    CHECK(!text && size == 7);
    CHECK_OK(aid_read_file(in_folder("a.bin"), sizeof bytes, &text, &size, &err));
    int same = size == sizeof bytes && !memcmp(text, bytes, size) && text[size] == '\0';
    free(text);
    CHECK(same);
}

TEST(what_a_killed_writer_has_left_goes_with_the_next_one_and_what_others_write_stays)
{
    aid_new_file *living, *next;
    new_folder();
    CHECK_OK(aid_new_file_open(in_folder("a.csv"), &living, &err)); /* somebody is still at it */
    const char *const left[] = {".a.csv.abc123.part", ".b.csv.abc123.part", ".a.csv.abc.part"};
    for (size_t i = 0; i < AID_COUNT_OF(left); i++) {
        FILE *file = fopen(in_folder(left[i]), "wb");
        CHECK(file && fclose(file) == 0);
    }
    CHECK_EQUAL(entries(), 4);
    CHECK_OK(aid_new_file_open(in_folder("a.csv"), &next, &err));
    CHECK(access(in_folder(".a.csv.abc123.part"), F_OK) != 0);
    CHECK_EQUAL(entries(), 4); /* that of another file, one of another form, and the two writers' */
    CHECK_OK(aid_new_file_commit(living, &err));
    CHECK_OK(aid_new_file_commit(next, &err));
    CHECK_EQUAL(entries(), 3);
    CHECK(access(in_folder("a.csv"), F_OK) == 0);
}

TEST(an_empty_file_is_an_empty_text_and_a_missing_one_an_error)
{
    char *text = NULL;
    new_folder();
    CHECK_REFUSED(aid_read_file(in_folder("none"), 10, &text, NULL, &err), AID_ERR_IO,
                  "none: cannot open: No such file or directory");
    CHECK_REFUSED(aid_read_file(folder, 10, &text, NULL, &err), AID_ERR_IO, "Is a directory");
    CHECK(!text);
    CHECK_OK(aid_read_file("/dev/null", 10, &text, NULL, &err));
    int empty = text[0] == '\0';
    free(text);
    CHECK(empty);
}

TEST(a_folder_is_made_with_its_parents_and_may_be_there_already)
{
    new_folder();
    for (int i = 0; i < 2; i++)
        CHECK_OK(aid_make_folder(in_folder("one//two/three/"), &err));
    struct stat made;
    CHECK(stat(in_folder("one/two/three"), &made) == 0 && S_ISDIR(made.st_mode));
    CHECK_OK(aid_write_file(in_folder("file"), "x", 1, &err));
    CHECK_REFUSED(aid_make_folder(in_folder("file/below"), &err), AID_ERR_IO,
                  "file/below: cannot create the folder");
    CHECK_REFUSED(aid_make_folder("", &err), AID_ERR_IO, "without a name");
    rmdir(in_folder("one/two/three"));
    rmdir(in_folder("one/two"));
}

TEST(folders_that_were_made_go_again_unless_something_is_in_them)
{
    char path[PATH_MAX];
    int made = 7;
    new_folder();
    CHECK_OK(aid_make_folder(in_folder("old"), &err));
    CHECK_OK(aid_make_new_folder(in_folder("old/one//two/"), &made, &err));
    CHECK_EQUAL(made, 2);
    aid_unmake_folder(in_folder("old/one//two/"), made);
    CHECK(access(in_folder("old/one"), F_OK) != 0 && access(in_folder("old"), F_OK) == 0);
    CHECK_OK(aid_make_new_folder(in_folder("old/one/two"), &made, &err));
    CHECK_OK(aid_write_file(in_folder("old/one/kept"), "x", 1, &err));
    aid_unmake_folder(in_folder("old/one/two"), made);
    CHECK(access(in_folder("old/one/two"), F_OK) != 0);
    CHECK(access(in_folder("old/one/kept"), F_OK) == 0);
    unlink(in_folder("old/one/kept"));
    aid_unmake_folder(in_folder("old/one"), 1);
    snprintf(path, sizeof path, "%s/%0300d/more", in_folder("old/new"), 0); /* a name too long */
    made = 7;
    CHECK_REFUSED(aid_make_new_folder(path, &made, &err), AID_ERR_IO, "cannot create the folder");
    CHECK(made == 7 && access(in_folder("old/new"), F_OK) != 0);
    CHECK_EQUAL(rmdir(in_folder("old")), 0);
}

TEST_MAIN()
