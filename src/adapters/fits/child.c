#define _GNU_SOURCE /* posix_spawn_file_actions_addclosefrom_np, sigdescr_np */
#include "adapters/fits/child.h"

#include "adapters/fits/sandbox.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char verb[] = "__decode_fits";

enum { FILE_DESCRIPTOR = 3, REPLY_DESCRIPTOR = 4, ARGUMENTS = 5, EXIT_WITHOUT_REPLY = 70 };

#ifdef AID_SANITIZED
static const bool sanitized = true;
#else
static const bool sanitized = false;
#endif

/* Whether aid_fits_decoder_main was called: otherwise the child would run the whole program again.
 */
static bool is_ready;

/* ------------------------------------------------------------------------------------ in the child
 */

/* Memory of the reply: as much of the parent's memory file. */
static void *allocate_reply(void *context, size_t size)
{
    (void)context;
    if (ftruncate(REPLY_DESCRIPTOR, (off_t)size) != 0)
        return NULL;
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, REPLY_DESCRIPTOR, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

/* The mapping is of a file and never written to: pages that are dropped are read again on demand.
 */
static void release_pages(const uint8_t *bytes, size_t size)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t begin = (uintptr_t)bytes / page * page, end = ((uintptr_t)bytes + size) / page * page;
    if (end > begin)
        (void)madvise((void *)begin, end - begin, MADV_DONTNEED);
}

static aid_status map_file(uint8_t **ret_bytes, size_t *ret_size, aid_error *err)
{
    struct stat file;
    if (fstat(FILE_DESCRIPTOR, &file) != 0 || file.st_size <= 0)
        AID_FAIL(err, AID_ERR_IO, "the decoder got no file");
    size_t size = (size_t)file.st_size;
    void *bytes = mmap(NULL, size, PROT_READ, MAP_PRIVATE, FILE_DESCRIPTOR, 0);
    if (bytes == MAP_FAILED)
        AID_FAIL(err, AID_ERR_IO, "cannot map the file: %s", strerror(errno));
    *ret_bytes = bytes;
    *ret_size = size;
    return AID_OK;
}

static aid_status decode_descriptor(const aid_fits_request *request, aid_error *err)
{
    const aid_fits_reply_memory memory = {allocate_reply, NULL, release_pages};
    uint8_t *bytes = NULL;
    size_t size = 0;
    aid_error why;
    aid_status status = map_file(&bytes, &size, &why);
    if (status == AID_OK)
        status = aid_fits_sandbox_enter(size, &why);
    if (status != AID_OK)
        return aid_fits_reply_failure(&why, &memory, err);
    return aid_fits_decode(bytes, size, request, &memory, err);
}

/* argv: program, verb, "image" | "image-alone" | "image-whole" | "mask" | "header", HDU. */
void aid_fits_decoder_main(int argc, char **argv)
{
    is_ready = true;
    if (argc < 2 || strcmp(argv[1], verb) != 0)
        return;
    if (argc != ARGUMENTS - 1)
        _exit(EXIT_WITHOUT_REPLY);
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* no decoder outlives who waits for it */
    aid_fits_request request = {.hdu = argv[3],
                                .skip_companions = !strncmp(argv[2], "image-", 6),
                                .keep_whole = !strcmp(argv[2], "image-whole"),
                                .mask_alone = !strcmp(argv[2], "mask"),
                                .header_alone = !strcmp(argv[2], "header"),
                                .table = !strcmp(argv[2], "table")};
    aid_error err;
    _exit(decode_descriptor(&request, &err) == AID_OK ? 0 : EXIT_WITHOUT_REPLY);
}

/* ----------------------------------------------------------------------------------- in the parent
 */

/* Nothing of the parent's but the two descriptors. Sanitizers need to tell what they found. */
static int plan_descriptors(posix_spawn_file_actions_t *actions, int file, int reply)
{
    int result = posix_spawn_file_actions_addopen(actions, 0, "/dev/null", O_RDONLY, 0);
    if (result == 0)
        result = posix_spawn_file_actions_addopen(actions, 1, "/dev/null", O_WRONLY, 0);
    if (result == 0 && !sanitized)
        result = posix_spawn_file_actions_addopen(actions, 2, "/dev/null", O_WRONLY, 0);
    if (result == 0)
        result = posix_spawn_file_actions_adddup2(actions, file, FILE_DESCRIPTOR);
    if (result == 0)
        result = posix_spawn_file_actions_adddup2(actions, reply, REPLY_DESCRIPTOR);
    if (result == 0)
        result = posix_spawn_file_actions_addclosefrom_np(actions, REPLY_DESCRIPTOR + 1);
    return result;
}

/* The child starts with no signal blocked or ignored, whatever the parent has done with its own. */
static int plan_signals(posix_spawnattr_t *attributes)
{
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(attributes, &none);
    posix_spawnattr_setsigdefault(attributes, &all);
    return posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
}

static int spawn(int file, int reply, char *const *argv, pid_t *ret_child)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    char *const no_environment[] = {NULL};
    int result = posix_spawn_file_actions_init(&actions);
    if (result != 0)
        return result;
    result = posix_spawnattr_init(&attributes);
    if (result == 0) {
        result = plan_descriptors(&actions, file, reply);
        if (result == 0)
            result = plan_signals(&attributes);
        if (result == 0)
            result = posix_spawn(ret_child, "/proc/self/exe", &actions, &attributes, argv,
                                 no_environment);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&actions);
    return result;
}

aid_status aid_fits_child_start(int file, int reply, const aid_fits_request *request,
                                const char *name, pid_t *ret_child, aid_error *err)
{
    assert(is_ready && "aid_fits_decoder_main must be called first thing in main()");
    assert(file >= AID_FITS_CHILD_DESCRIPTORS && reply >= AID_FITS_CHILD_DESCRIPTORS);
    const char *mode = request->table             ? "table"
                       : request->mask_alone      ? "mask"
                       : request->header_alone    ? "header"
                       : request->keep_whole      ? "image-whole"
                       : request->skip_companions ? "image-alone"
                                                  : "image";
    char words[ARGUMENTS - 1][128];
    const char *texts[] = {"astrid", verb, mode, request->hdu ? request->hdu : ""};
    char *argv[ARGUMENTS];
    for (int i = 0; i < ARGUMENTS - 1; i++) {
        snprintf(words[i], sizeof words[i], "%s", texts[i]);
        argv[i] = words[i];
    }
    argv[ARGUMENTS - 1] = NULL;
    int result = spawn(file, reply, argv, ret_child);
    if (result != 0)
        AID_FAIL(err, AID_ERR_IO, "%s: cannot start the decoder: %s", name, strerror(result));
    return AID_OK;
}

/* Who is asked to stop, stops; who is killed outright was most likely out of memory; a bus error is
 * a file that shrank or a disk that failed, and a limit on files is set by who runs us. Everything
 * else is the file's doing. */
static aid_status status_of_signal(int signal)
{
    switch (signal) {
    case SIGINT:
    case SIGTERM:
    case SIGHUP:
    case SIGQUIT:
        return AID_ERR_CANCELLED;
    case SIGKILL:
        return AID_ERR_NOMEM;
    case SIGBUS:
    case SIGXFSZ:
        return AID_ERR_IO;
    default:
        return AID_ERR_INVALID;
    }
}

aid_status aid_fits_child_wait(pid_t child, const char *name, aid_error *err)
{
    int how = 0;
    pid_t waited;
    do
        waited = waitpid(child, &how, 0);
    while (waited < 0 && errno == EINTR);
    if (waited < 0)
        AID_FAIL(err, AID_ERR_IO, "%s: cannot wait for the decoder: %s", name, strerror(errno));
    if (WIFSIGNALED(how)) {
        int signal = WTERMSIG(how);
        const char *words = sigdescr_np(signal);
        AID_FAIL(err, status_of_signal(signal), "%s: the decoder was stopped (signal %d: %s)", name,
                 signal, words ? words : "unknown");
    }
    if (WEXITSTATUS(how) != 0)
        AID_FAIL(err, AID_ERR_IO, "%s: the decoder ended without a reply (exit code %d)", name,
                 WEXITSTATUS(how));
    return AID_OK;
}
