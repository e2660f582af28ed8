#define _XOPEN_SOURCE 700 /* nftw */
#include "tests/folder.h"

#include "tests/check.h"

#include <dirent.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

static char own_folder[64];

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void)status;
    (void)kind;
    (void)walk;
    return remove(path);
}

static void remove_own_folder(void)
{
    if (*own_folder && chdir("/") == 0)
        nftw(own_folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

void enter_new_folder(void)
{
    if (!*own_folder)
        atexit(remove_own_folder);
    remove_own_folder();
    snprintf(own_folder, sizeof own_folder, "/tmp/astrid_test_XXXXXX");
    CHECK(mkdtemp(own_folder) && chdir(own_folder) == 0);
}

bool exists(const char *path)
{
    struct stat status;
    return lstat(path, &status) == 0;
}

int entries_in(const char *folder)
{
    DIR *list = opendir(folder);
    CHECK(list != NULL);
    int count = 0;
    for (struct dirent *entry; (entry = readdir(list));)
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(list);
    return count;
}
