/* Files that appear whole or not at all. */
#define _XOPEN_SOURCE 700 /* realpath */
#include "adapters/files/files.h"

#include "core/base/memory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* The unfinished files of the process. The names are in place and not behind pointers, so that a
 * signal handler can read them while other threads go on. */
enum { MAX_UNFINISHED = 256 };
enum { SLOT_FREE, SLOT_TAKEN, SLOT_LIVE };
static struct {
    atomic_int state;
    char name[PATH_MAX];
} unfinished[MAX_UNFINISHED];
static atomic_bool all_abandoned;

struct aid_new_file {
    FILE *stream;
    char *path;   /* as the caller named it */
    char *target; /* where it goes: path with links followed */
    int slot;     /* of `unfinished`, where the temporary name is; -1: none */
    int lock;     /* descriptor that is locked for as long as this process is at it; -1: none */
};

void aid_new_files_abandon_all(void)
{
    int saved_errno = errno;
    atomic_store(&all_abandoned, true);
    for (int i = 0; i < MAX_UNFINISHED; i++)
        if (atomic_load(&unfinished[i].state) == SLOT_LIVE)
            unlink(unfinished[i].name);
    errno = saved_errno;
}

static int take_slot(void)
{
    for (int i = 0; i < MAX_UNFINISHED; i++) {
        int expected = SLOT_FREE;
        if (atomic_compare_exchange_strong(&unfinished[i].state, &expected, SLOT_TAKEN))
            return i;
    }
    return -1;
}

static void free_slot(int slot)
{
    if (slot >= 0)
        atomic_store(&unfinished[slot].state, SLOT_FREE);
}

/* ------------------------------------------------------------------------- what the killed leave
 */

enum { NAME_KEPT = 200, SUFFIX = 6 }; /* bytes of .name.XXXXXX.part */

static bool is_unfinished(const char *entry, const char *name)
{
    size_t kept = strnlen(name, NAME_KEPT);
    const char *suffix = entry + 1 + kept + 1;
    return entry[0] == '.' && !strncmp(entry + 1, name, kept) && suffix[-1] == '.' &&
           strspn(suffix, "abcdefghijklmnopqrstuvwxyz0123456789") == SUFFIX &&
           !strcmp(suffix + SUFFIX, ".part");
}

/* Whoever writes to such a file holds a lock on it, which ends with the process. */
static void remove_if_left(int folder, const char *entry)
{
    int descriptor = openat(folder, entry, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (descriptor < 0)
        return;
    if (flock(descriptor, LOCK_EX | LOCK_NB) == 0)
        (void)unlinkat(folder, entry, 0);
    close(descriptor);
}

/* Nobody else would ever remove them. */
static void remove_left_behind(const char *target)
{
    char folder[PATH_MAX] = ".";
    const char *slash = strrchr(target, '/');
    if (slash)
        snprintf(folder, sizeof folder, "%.*s", AID_MAX((int)(slash - target), 1), target);
    DIR *listing = opendir(folder);
    for (struct dirent *entry; listing && (entry = readdir(listing));)
        if (is_unfinished(entry->d_name, slash ? slash + 1 : target))
            remove_if_left(dirfd(listing), entry->d_name);
    if (listing)
        closedir(listing);
}

/* false: between its making and the lock somebody took it for one that was left, and removed it. */
static bool lock_for_us(int descriptor)
{
    struct stat about;
    (void)flock(descriptor, LOCK_EX); /* where there are no locks, nobody removes anything */
    return fstat(descriptor, &about) != 0 || about.st_nlink > 0;
}

/* ------------------------------------------------------------------------------- temporary names
 */

/* Six characters that differ from call to call and from process to process. O_EXCL tells when they
 * do not, so they need not be unguessable. */
static void name_suffix(char suffix[SUFFIX + 1])
{
    static atomic_uint_fast64_t calls;
    static const char digits[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t mixed = (uint64_t)now.tv_nsec ^ (uint64_t)now.tv_sec << 30 ^ (uint64_t)getpid() << 44;
    mixed += atomic_fetch_add(&calls, 1) * UINT64_C(0x9e3779b97f4a7c15);
    mixed = (mixed ^ mixed >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed ^= mixed >> 31;
    for (int i = 0; i < SUFFIX; i++, mixed /= 36)
        suffix[i] = digits[mixed % 36];
    suffix[SUFFIX] = '\0';
}

/* folder/.name.XXXXXX.part; a long name is cut, for it may fill the 255 bytes of a name by itself.
 */
static int temporary_name(const char *target, char name[PATH_MAX])
{
    const char *slash = strrchr(target, '/');
    int folder = slash ? (int)(slash - target) + 1 : 0;
    char suffix[SUFFIX + 1];
    name_suffix(suffix);
    int n = snprintf(name, PATH_MAX, "%.*s.%.*s.%s.part", folder, target, NAME_KEPT,
                     target + folder, suffix);
    return n < PATH_MAX ? 0 : ENAMETOOLONG;
}

/* Opens a temporary file in the slot; the name is registered before the file exists, so that no
 * signal can fall between. Returns 0 or an errno. */
static int create_temporary(int slot, const char *target, int *ret_descriptor)
{
    char *name = unfinished[slot].name;
    for (int attempt = 0; attempt < 100; attempt++) {
        int failure = temporary_name(target, name);
        if (failure)
            return failure;
        atomic_store(&unfinished[slot].state, SLOT_LIVE);
        int descriptor = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (descriptor >= 0 && lock_for_us(descriptor)) {
            *ret_descriptor = descriptor;
            return 0;
        }
        failure = descriptor >= 0 ? EEXIST : errno;
        if (descriptor >= 0)
            close(descriptor);
        atomic_store(&unfinished[slot].state, SLOT_TAKEN);
        if (failure != EEXIST)
            return failure;
    }
    return EEXIST;
}

static aid_status resolve_target(const char *path, char **ret_target, aid_error *err)
{
    struct stat existing;
    const char *slash = strrchr(path, '/');
    if (!*(slash ? slash + 1 : path))
        AID_FAIL(err, AID_ERR_IO, "%s: cannot write: not the name of a file", path);
    bool exists = stat(path, &existing) == 0;
    if (exists && !S_ISREG(existing.st_mode))
        AID_FAIL(err, AID_ERR_IO, "%s: cannot write: exists and is not a regular file", path);
    char *target = exists ? realpath(path, NULL) : strdup(path);
    if (!target)
        AID_FAIL(err, AID_ERR_IO, "%s: cannot write: %s", path, strerror(errno));
    *ret_target = target;
    return AID_OK;
}

static void release(aid_new_file *file)
{
    if (file->lock >= 0)
        close(file->lock);
    free_slot(file->slot);
    free(file->target);
    free(file->path);
    free(file);
}

static aid_status open_temporary(aid_new_file *file, aid_error *err)
{
    if (atomic_load(&all_abandoned))
        AID_FAIL(err, AID_ERR_CANCELLED, "%s: not written: the program is ending", file->path);
    file->slot = take_slot();
    if (file->slot < 0)
        AID_FAIL(err, AID_ERR_IO, "%s: cannot write: %d files are being written already",
                 file->path, MAX_UNFINISHED);
    remove_left_behind(file->target);
    int descriptor = -1;
    int failure = create_temporary(file->slot, file->target, &descriptor);
    if (failure)
        AID_FAIL(err, AID_ERR_IO, "%s: cannot create: %s", file->path, strerror(failure));
    file->lock = fcntl(descriptor, F_DUPFD_CLOEXEC, 0); /* lasts beyond the stream */
    file->stream = fdopen(descriptor, "w+");
    if (!file->stream) {
        failure = errno;
        close(descriptor);
        unlink(unfinished[file->slot].name);
        AID_FAIL(err, AID_ERR_IO, "%s: cannot create: %s", file->path, strerror(failure));
    }
    return AID_OK;
}

aid_status aid_new_file_open(const char *path, aid_new_file **ret_file, aid_error *err)
{
    aid_new_file *file;
    AID_TRY(aid_new_array(1, sizeof *file, path, &file, err));
    file->slot = file->lock = -1;
    aid_status status = AID_OK;
    file->path = strdup(path);
    if (!file->path)
        status = AID_ERROR(err, AID_ERR_NOMEM, "%s: out of memory", path);
    if (status == AID_OK)
        status = resolve_target(path, &file->target, err);
    if (status == AID_OK)
        status = open_temporary(file, err);
    if (status != AID_OK) {
        release(file);
        return status;
    }
    *ret_file = file;
    return AID_OK;
}

FILE *aid_new_file_stream(aid_new_file *file)
{
    return file->stream;
}

/* The stream remembers that a write failed, but not why. The file is lost, so one more byte does no
 * harm, and a full disk refuses it for the same reason. */
static int reason_of_failed_write(FILE *stream)
{
    return write(fileno(stream), "", 1) < 0 ? errno : EIO;
}

/* Everything onto the disk; 0 or an errno. A full disk may show in any of the three. */
static int finish_stream(FILE *stream)
{
    int failure = 0;
    if (fflush(stream))
        failure = errno;
    else if (ferror(stream))
        failure = reason_of_failed_write(stream);
    else if (fsync(fileno(stream)))
        failure = errno;
    if (fclose(stream) && !failure)
        failure = errno;
    return failure;
}

/* Makes the rename itself durable; 0 or an errno. A folder that may be written but not read, or a
 * file system that knows no such thing, is no failure: the file is complete. */
static int sync_folder_of(const char *target)
{
    char folder[PATH_MAX] = ".";
    const char *slash = strrchr(target, '/');
    if (slash)
        snprintf(folder, sizeof folder, "%.*s", AID_MAX((int)(slash - target), 1), target);
    int descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0)
        return 0;
    int failure = fsync(descriptor) ? errno : 0;
    close(descriptor);
    return failure == EINVAL || failure == ENOTSUP || failure == EROFS ? 0 : failure;
}

aid_status aid_new_file_commit(aid_new_file *file, aid_error *err)
{
    const char *temporary = unfinished[file->slot].name;
    int failure = finish_stream(file->stream);
    if (!failure && rename(temporary, file->target))
        failure = errno;
    if (failure)
        unlink(temporary);
    else
        failure = sync_folder_of(file->target);
    aid_status status = AID_OK;
    if (failure)
        status = AID_ERROR(err, AID_ERR_IO, "%s: cannot write: %s", file->path, strerror(failure));
    release(file);
    return status;
}

void aid_new_file_abandon(aid_new_file *file)
{
    if (!file)
        return;
    fclose(file->stream);
    unlink(unfinished[file->slot].name);
    release(file);
}
