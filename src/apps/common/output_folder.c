#define _GNU_SOURCE /* renameat2, flock */
#include "apps/common/output_folder.h"

#include "adapters/files/files.h"
#include "core/base/memory.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

struct aid_output_folder {
    char path[AID_MAX_PATH];   /* where it is to be */
    char hidden[AID_MAX_PATH]; /* where it is written */
    const char *const *names;
    int lock;        /* descriptor of the hidden folder, locked */
    size_t existing; /* bytes of `path` that were there before */
    int subfolders;
    char subfolder[AID_MAX_SUBFOLDERS][64]; /* "raw" of "raw/bias_1.fits" */
};

/* For the signal handler; a program has one at a time. */
static aid_output_folder *volatile unfinished;

void aid_output_folder_path(const aid_output_folder *folder, const char *name,
                            char ret_path[AID_MAX_PATH])
{
    snprintf(ret_path, AID_MAX_PATH, "%s/%s", folder->hidden, name);
}

void aid_output_folder_final_path(const aid_output_folder *folder, const char *name,
                                  char ret_path[AID_MAX_PATH])
{
    snprintf(ret_path, AID_MAX_PATH, "%s/%s", folder->path, name);
}

void aid_output_folder_name_final(const aid_output_folder *folder, aid_error *err)
{
    char *found = folder && err ? strstr(err->message, folder->hidden) : NULL;
    if (!found) /* the final name is always the shorter one */
        return;
    size_t hidden = strlen(folder->hidden), final = strlen(folder->path);
    memmove(found + final, found + hidden, strlen(found + hidden) + 1);
    memcpy(found, folder->path, final);
}

static aid_status failure(const char *path, const char *what, aid_error *err)
{
    AID_FAIL(err, AID_ERR_IO, "%s: %s: %s", path, what, strerror(errno));
}

/* --------------------------------------------------------------------------------------- begin */

/* "results/" -> "results"; a link to a folder -> that folder; "." and ".." -> their real names. */
static aid_status settle_path(const char *path, char settled[AID_MAX_PATH], aid_error *err)
{
    struct stat status;
    int n = snprintf(settled, AID_MAX_PATH, "%s", path);
    if (n < 1 || n >= AID_MAX_PATH - 16)
        AID_FAIL(err, AID_ERR_USAGE, "the output folder's name has %d bytes", n);
    if (stat(settled, &status) == 0) {
        if (!S_ISDIR(status.st_mode))
            AID_FAIL(err, AID_ERR_USAGE, "%s: exists and is not a folder", path);
        char real[PATH_MAX];
        if (!realpath(path, real))
            return failure(path, "cannot be resolved", err);
        snprintf(settled, AID_MAX_PATH, "%s", real);
    } else if (lstat(settled, &status) == 0) {
        AID_FAIL(err, AID_ERR_USAGE, "%s: a link to nothing", path);
    }
    for (size_t length = strlen(settled); length > 1 && settled[length - 1] == '/'; length--)
        settled[length - 1] = '\0';
    return AID_OK;
}

/* Splits "a/b/c" into "a/b" and "c". */
static void split(const char *path, char parent[AID_MAX_PATH], char base[AID_MAX_PATH])
{
    const char *slash = strrchr(path, '/');
    snprintf(base, AID_MAX_PATH, "%s", slash ? slash + 1 : path);
    if (!slash)
        snprintf(parent, AID_MAX_PATH, ".");
    else
        snprintf(parent, AID_MAX_PATH, "%.*s", slash == path ? 1 : (int)(slash - path), path);
}

/* "a/b/c" -> "a/b"; false where there is no more. */
static bool cut_last(char *path)
{
    char *slash = strrchr(path, '/');
    if (slash)
        *slash = '\0';
    return slash != NULL && slash != path;
}

static size_t existing_part(const char *path)
{
    char part[AID_MAX_PATH];
    struct stat status;
    snprintf(part, sizeof part, "%s", path);
    while (stat(part, &status))
        if (!cut_last(part))
            return 0;
    return strlen(part);
}

/* The folders above ours that were made for it, as far as they are empty. */
static void remove_parents(const aid_output_folder *folder)
{
    char parent[AID_MAX_PATH], base[AID_MAX_PATH];
    split(folder->path, parent, base);
    while (strlen(parent) > folder->existing && rmdir(parent) == 0)
        if (!cut_last(parent))
            return;
}

static void list_subfolders(aid_output_folder *folder)
{
    for (const char *const *name = folder->names; *name; name++) {
        const char *slash = strchr(*name, '/');
        char found[sizeof folder->subfolder[0]];
        if (!slash)
            continue;
        assert(!strchr(slash + 1, '/') && (size_t)(slash - *name) < sizeof found);
        snprintf(found, sizeof found, "%.*s", (int)(slash - *name), *name);
        int i = 0;
        while (i < folder->subfolders && strcmp(folder->subfolder[i], found) != 0)
            i++;
        if (i < folder->subfolders)
            continue;
        assert(folder->subfolders < AID_MAX_SUBFOLDERS);
        memcpy(folder->subfolder[folder->subfolders++], found, sizeof found);
    }
}

/* A folder that is called like one of our files is nothing that we could replace. */
static aid_status check_names(const aid_output_folder *folder, aid_error *err)
{
    for (int i = 0; i < folder->subfolders; i++) {
        char path[AID_MAX_PATH];
        struct stat status;
        aid_output_folder_final_path(folder, folder->subfolder[i], path);
        if (lstat(path, &status) == 0 && !S_ISDIR(status.st_mode))
            AID_FAIL(err, AID_ERR_USAGE, "%s: exists and is not a folder", path);
    }
    for (const char *const *name = folder->names; *name; name++) {
        char path[AID_MAX_PATH];
        struct stat status;
        aid_output_folder_final_path(folder, *name, path);
        if (stat(path, &status) == 0 && S_ISDIR(status.st_mode))
            AID_FAIL(err, AID_ERR_USAGE, "%s: exists and is a folder, not a file", path);
    }
    return AID_OK;
}

/* The name without "raw/" where it lies in that subfolder (NULL: in none); NULL where it does not.
 */
static const char *name_within(const char *name, const char *subfolder)
{
    if (!subfolder)
        return strchr(name, '/') ? NULL : name;
    size_t length = strlen(subfolder);
    return !strncmp(name, subfolder, length) && name[length] == '/' ? name + length + 1 : NULL;
}

/* Files of ours, and what their writers leave when they are killed (.name.XXXXXX.part). */
static bool is_ours(const aid_output_folder *folder, const char *subfolder, const char *entry)
{
    for (const char *const *names = folder->names; *names; names++) {
        const char *name = name_within(*names, subfolder);
        if (!name)
            continue;
        size_t length = strlen(name), whole = strlen(entry);
        bool part = entry[0] == '.' && !strncmp(entry + 1, name, length) && whole > 5 &&
                    !strcmp(entry + whole - 5, ".part");
        if (part || !strcmp(name, entry))
            return true;
    }
    return false;
}

static bool is_subfolder(const aid_output_folder *folder, int parent, const char *entry)
{
    struct stat status;
    for (int i = 0; i < folder->subfolders; i++)
        if (!strcmp(folder->subfolder[i], entry))
            return !fstatat(parent, entry, &status, AT_SYMLINK_NOFOLLOW) && S_ISDIR(status.st_mode);
    return false;
}

/* Removes our files from a folder (`subfolder` of the results, NULL: the results' own), or only
 * asks whether there are others. */
static bool sweep_one(const aid_output_folder *folder, const char *path, const char *subfolder,
                      bool remove_files)
{
    DIR *list = opendir(path);
    if (!list)
        return false;
    bool only_ours = true;
    for (struct dirent *entry; (entry = readdir(list));) {
        const char *name = entry->d_name;
        if (!strcmp(name, ".") || !strcmp(name, "..") ||
            (!subfolder && is_subfolder(folder, dirfd(list), name)))
            continue;
        if (!is_ours(folder, subfolder, name))
            only_ours = false;
        else if (remove_files)
            unlinkat(dirfd(list), name, 0);
    }
    closedir(list);
    return only_ours;
}

static bool sweep(const aid_output_folder *folder, const char *path, bool remove_files)
{
    bool only_ours = true;
    for (int i = 0; i < folder->subfolders; i++) {
        char below[AID_MAX_PATH];
        struct stat status;
        int n = snprintf(below, sizeof below, "%s/%s", path, folder->subfolder[i]);
        if (n >= AID_MAX_PATH || lstat(below, &status) || !S_ISDIR(status.st_mode))
            continue;
        only_ours = sweep_one(folder, below, folder->subfolder[i], remove_files) && only_ours;
        if (remove_files)
            rmdir(below);
    }
    return sweep_one(folder, path, NULL, remove_files) && only_ours;
}

static aid_status make_subfolders(const aid_output_folder *folder, aid_error *err)
{
    for (int i = 0; i < folder->subfolders; i++)
        if (mkdirat(folder->lock, folder->subfolder[i], 0777) && errno != EEXIST)
            return failure(folder->path, "cannot create a folder in it", err);
    return AID_OK;
}

/* Those in which there is nothing. Async-signal-safe. */
static void remove_empty_subfolders(const aid_output_folder *folder)
{
    for (int i = 0; i < folder->subfolders; i++)
        unlinkat(folder->lock, folder->subfolder[i], AT_REMOVEDIR);
}

/* Opens and locks the hidden folder, whoever made it; it may have been renamed by a process that
 * finished between our open and our lock, and then is no longer the one of that name. */
static aid_status lock_hidden(aid_output_folder *folder, aid_error *err)
{
    for (int attempt = 0; attempt < 100; attempt++) {
        if (mkdir(folder->hidden, 0777) && errno != EEXIST)
            return failure(folder->path, "cannot create a folder beside it", err);
        folder->lock = open(folder->hidden, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (folder->lock < 0 && errno == ENOENT)
            continue;
        if (folder->lock < 0)
            return failure(folder->hidden, "cannot open", err);
        struct stat opened, named;
        bool locked = flock(folder->lock, LOCK_EX | LOCK_NB) == 0;
        if (locked && !fstat(folder->lock, &opened) && !stat(folder->hidden, &named) &&
            opened.st_ino == named.st_ino && opened.st_dev == named.st_dev)
            return AID_OK;
        close(folder->lock);
        if (!locked)
            AID_FAIL(err, AID_ERR_IO, "%s: another process is writing to it", folder->path);
    }
    AID_FAIL(err, AID_ERR_IO, "%s: cannot be locked", folder->path);
}

static aid_status prepare(aid_output_folder *folder, const char *path, aid_error *err)
{
    char parent[AID_MAX_PATH], base[AID_MAX_PATH];
    AID_TRY(settle_path(path, folder->path, err));
    list_subfolders(folder);
    AID_TRY(check_names(folder, err));
    folder->existing = existing_part(folder->path);
    split(folder->path, parent, base);
    AID_TRY(aid_make_folder(parent, err));
    int n = snprintf(folder->hidden, AID_MAX_PATH, "%s/.%s.unfinished", parent, base);
    if (n >= AID_MAX_PATH)
        AID_FAIL(err, AID_ERR_USAGE, "the output folder's name has %d bytes", n);
    AID_TRY(lock_hidden(folder, err));
    sweep(folder, folder->hidden, true);
    aid_status status = make_subfolders(folder, err);
    if (status != AID_OK)
        close(folder->lock);
    return status;
}

aid_status aid_output_folder_begin(const char *path, const char *const *names,
                                   aid_output_folder **ret_folder, aid_error *err)
{
    aid_output_folder *folder;
    AID_TRY(aid_new_array(1, sizeof *folder, "output folder", &folder, err));
    folder->names = names;
    aid_status status = prepare(folder, path, err);
    if (status != AID_OK) {
        if (folder->path[0])
            remove_parents(folder);
        free(folder);
        return status;
    }
    unfinished = folder;
    *ret_folder = folder;
    return AID_OK;
}

/* ----------------------------------------------------------------------------------------- end */

/* Only unlink and rmdir: a signal handler may call it. */
static void remove_hidden(const aid_output_folder *folder)
{
    for (const char *const *name = folder->names; *name; name++)
        unlinkat(folder->lock, *name, 0);
    remove_empty_subfolders(folder);
    rmdir(folder->hidden);
}

void aid_output_folders_abandon_all(void)
{
    if (unfinished)
        remove_hidden(unfinished);
}

static void release(aid_output_folder *folder)
{
    unfinished = NULL;
    close(folder->lock);
    free(folder);
}

void aid_output_folder_abandon(aid_output_folder *folder)
{
    if (!folder)
        return;
    remove_hidden(folder);
    remove_parents(folder);
    release(folder);
}

/* Best effort: the files themselves are on disk already, this is about their names. */
static void settle_names(const char *path)
{
    char parent[AID_MAX_PATH], base[AID_MAX_PATH];
    split(path, parent, base);
    int descriptor = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor >= 0) {
        fsync(descriptor);
        close(descriptor);
    }
}

/* File by file into a folder that holds others as well, or where folders cannot change places. */
static aid_status replace_files(aid_output_folder *folder, aid_error *err)
{
    for (int i = 0; i < folder->subfolders; i++) {
        char to[AID_MAX_PATH];
        aid_output_folder_final_path(folder, folder->subfolder[i], to);
        struct stat status;
        if (!fstatat(folder->lock, folder->subfolder[i], &status, 0) && mkdir(to, 0777) &&
            errno != EEXIST)
            return failure(to, "cannot be created", err);
    }
    for (const char *const *name = folder->names; *name; name++) {
        char from[AID_MAX_PATH], to[AID_MAX_PATH];
        aid_output_folder_path(folder, *name, from);
        aid_output_folder_final_path(folder, *name, to);
        if (rename(from, to) && errno != ENOENT)
            return failure(to, "cannot be replaced", err);
    }
    remove_empty_subfolders(folder);
    rmdir(folder->hidden);
    return AID_OK;
}

static aid_status put_in_place(aid_output_folder *folder, aid_error *err)
{
    remove_empty_subfolders(folder);
    if (renameat2(AT_FDCWD, folder->hidden, AT_FDCWD, folder->path, RENAME_NOREPLACE) == 0)
        return AID_OK;
    struct stat status;
    if (stat(folder->path, &status)) { /* not there, so the plain rename must do */
        if (rename(folder->hidden, folder->path) == 0)
            return AID_OK;
        return failure(folder->path, "cannot be created", err);
    }
    bool replaceable = sweep(folder, folder->path, false);
    if (replaceable &&
        renameat2(AT_FDCWD, folder->hidden, AT_FDCWD, folder->path, RENAME_EXCHANGE) == 0) {
        sweep(folder, folder->hidden, true); /* the earlier results, which have changed places */
        rmdir(folder->hidden);
        return AID_OK;
    }
    return replace_files(folder, err);
}

aid_status aid_output_folder_commit(aid_output_folder *folder, aid_error *err)
{
    unfinished = NULL; /* once renamed, the locked folder is the result: hands off in the handler */
    aid_status status = put_in_place(folder, err);
    if (status != AID_OK) {
        aid_output_folder_abandon(folder);
        return status;
    }
    settle_names(folder->path);
    release(folder);
    return AID_OK;
}
