#define _GNU_SOURCE /* PR_SET_PDEATHSIG's neighbours and RLIMIT_NPROC */
#include "adapters/fits/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

enum { MAX_CPU_S = 300 };

#ifdef AID_SANITIZED
static const bool sanitized = true;
#else
static const bool sanitized = false;
#endif

/* ----------------------------------------------------------------------------------------- limits
 */

static aid_status limit(int resource, const char *what, uint64_t value, aid_error *err)
{
    struct rlimit now;
    if (getrlimit((__rlimit_resource_t)resource, &now) != 0)
        AID_FAIL(err, AID_ERR_IO, "cannot read the limit of %s: %s", what, strerror(errno));
    rlim_t lower = AID_MIN((rlim_t)value, now.rlim_max);
    struct rlimit wanted = {lower, lower};
    if (setrlimit((__rlimit_resource_t)resource, &wanted) != 0)
        AID_FAIL(err, AID_ERR_IO, "cannot limit %s: %s", what, strerror(errno));
    return AID_OK;
}

/* Sanitizers reserve terabytes of addresses. */
static aid_status limit_all(uint64_t mapped_bytes, aid_error *err)
{
    const uint64_t largest_reply = 10ull * AID_MAX_IMAGE_PIXELS; /* two planes, a mask, cards */
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    AID_TRY(limit(RLIMIT_CORE, "core files", 0, err));
    AID_TRY(limit(RLIMIT_CPU, "CPU time", MAX_CPU_S, err));
    AID_TRY(limit(RLIMIT_FSIZE, "file size", largest_reply, err));
    if (sanitized)
        return AID_OK;
    AID_TRY(limit(RLIMIT_NPROC, "processes", 0, err));
    AID_TRY(limit(RLIMIT_NOFILE, "descriptors", 0, err));
    if (pages > 0 && page > 0)
        AID_TRY(limit(RLIMIT_AS, "memory", mapped_bytes + (uint64_t)pages * (uint64_t)page, err));
    return AID_OK;
}

/* ----------------------------------------------------------------------------------------- filter
 */

/* Memory (qsort asks how much there is), the size of the reply, and the end. */
static const int allowed[] = {SCMP_SYS(munmap),     SCMP_SYS(mremap),  SCMP_SYS(brk),
                              SCMP_SYS(madvise),    SCMP_SYS(sysinfo), SCMP_SYS(ftruncate),
                              SCMP_SYS(exit_group), SCMP_SYS(exit),    SCMP_SYS(rt_sigreturn)};

/* What the sanitizers' runtimes do besides, up to and including their report of a find. */
static const int allowed_to_sanitizers[] = {SCMP_SYS(write),           SCMP_SYS(read),
                                            SCMP_SYS(openat),          SCMP_SYS(open),
                                            SCMP_SYS(close),           SCMP_SYS(fstat),
                                            SCMP_SYS(newfstatat),      SCMP_SYS(stat),
                                            SCMP_SYS(lseek),           SCMP_SYS(readlink),
                                            SCMP_SYS(readlinkat),      SCMP_SYS(access),
                                            SCMP_SYS(getpid),          SCMP_SYS(gettid),
                                            SCMP_SYS(tgkill),          SCMP_SYS(kill),
                                            SCMP_SYS(rt_sigaction),    SCMP_SYS(futex),
                                            SCMP_SYS(rt_sigprocmask),  SCMP_SYS(sigaltstack),
                                            SCMP_SYS(sched_yield),     SCMP_SYS(nanosleep),
                                            SCMP_SYS(clock_nanosleep), SCMP_SYS(clock_gettime),
                                            SCMP_SYS(getrusage),       SCMP_SYS(getrlimit),
                                            SCMP_SYS(prlimit64),       SCMP_SYS(sched_getaffinity),
                                            SCMP_SYS(mprotect),        SCMP_SYS(mincore),
                                            SCMP_SYS(getrandom),       SCMP_SYS(uname),
                                            SCMP_SYS(ioctl),           SCMP_SYS(pipe2),
                                            SCMP_SYS(getppid)};

static int allow_all(scmp_filter_ctx filter, const int *calls, size_t count)
{
    int result = 0;
    for (size_t i = 0; i < count && result == 0; i++)
        result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0);
    return result;
}

/* Memory may be mapped, but not to be executed. */
static int allow_mapping(scmp_filter_ctx filter)
{
    return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
                            SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
}

aid_status aid_fits_sandbox_enter(uint64_t mapped_bytes, aid_error *err)
{
    AID_TRY(limit_all(mapped_bytes, err));
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
    if (!filter)
        AID_FAIL(err, AID_ERR_NOMEM, "out of memory for the filter of system calls");
    int result = allow_all(filter, allowed, AID_COUNT_OF(allowed));
    if (result == 0)
        result = allow_mapping(filter);
    if (result == 0 && sanitized)
        result = allow_all(filter, allowed_to_sanitizers, AID_COUNT_OF(allowed_to_sanitizers));
    if (result == 0)
        result = seccomp_load(filter);
    seccomp_release(filter);
    if (result != 0)
        AID_FAIL(err, AID_ERR_IO, "cannot filter system calls: %s", strerror(-result));
    return AID_OK;
}
