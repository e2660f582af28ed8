#define _XOPEN_SOURCE 700
#include "adapters/log/log.h"
#include "core/base/memory.h"
#include "core/base/pool.h"
#include "tests/check.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <time.h>
#include <unistd.h>

static aid_error err;
static char text[1 << 20]; /* what was logged */
static int real_stderr = -1, stand_in = -1;

/* From here to capture_end, standard error is a file. */
static void capture_begin(aid_log_format format, aid_log_level minimum)
{
    char name[] = "/tmp/aid_test_log_XXXXXX";
    fflush(stderr);
    stand_in = mkstemp(name);
    unlink(name);
    real_stderr = dup(STDERR_FILENO);
    CHECK(stand_in >= 0 && real_stderr >= 0);
    dup2(stand_in, STDERR_FILENO);
    aid_log_configure(format, minimum);
}

static void capture_end(void)
{
    dup2(real_stderr, STDERR_FILENO);
    close(real_stderr);
    ssize_t n = pread(stand_in, text, sizeof text - 1, 0);
    close(stand_in);
    CHECK(n >= 0);
    text[n] = '\0';
}

/* Both forms begin with a time of 24 characters, JSON with {"time": " before it. */
static void line_is(const char *expected)
{
    size_t start = text[0] == '{' ? strlen("{\"time\": \"") : 0;
    CHECK(strlen(text) > start + 24 && text[start + 23] == 'Z');
    CHECK_TEXT(text + start + 24, expected);
}

#define LOGGED(format_, ...)                                                                       \
    do {                                                                                           \
        capture_begin(format_, AID_DEBUG);                                                         \
        aid_log(__VA_ARGS__);                                                                      \
        capture_end();                                                                             \
    } while (0)

TEST(text_is_a_line_that_a_person_can_read)
{
    LOGGED(AID_LOG_TEXT, AID_INFO, "difference.done", "exposure=%s ms=%lld", "m31", 812LL);
    line_is(" INFO  difference.done exposure=m31 ms=812\n");
    LOGGED(AID_LOG_TEXT, AID_WARN, "read", "file=%s empty=%s", "a b=\"c\".fits", "");
    line_is(" WARN  read file=\"a b=\\\"c\\\".fits\" empty=\"\"\n");
    LOGGED(AID_LOG_TEXT, AID_ERROR_LEVEL, "stop", NULL);
    line_is(" ERROR stop\n");
}

TEST(json_has_numbers_as_numbers_and_the_rest_as_strings)
{
    LOGGED(AID_LOG_JSON, AID_DEBUG, "difference.done", "exposure=%s ms=%lld size=%dx%d",
           "m31 \"x\"", 812LL, 20, 10);
    line_is("\", \"level\": \"debug\", \"event\": \"difference.done\", \"exposure\": \"m31 "
            "\\\"x\\\"\", "
            "\"ms\": 812, \"size\": \"20x10\"}\n");
    LOGGED(AID_LOG_JSON, AID_INFO, "e", "a=%.3f b=%g c=%g d=%e e=%05d f=%+d g=%x", 2.0 / 3.0, NAN,
           (double)-INFINITY, 1e20, 7, 7, 255u);
    line_is("\", \"level\": \"info\", \"event\": \"e\", \"a\": 0.667, \"b\": null, \"c\": null, "
            "\"d\": 1.000000e+20, \"e\": \"00007\", \"f\": \"+7\", \"g\": \"ff\"}\n");
    LOGGED(AID_LOG_JSON, AID_INFO, "e", NULL);
    line_is("\", \"level\": \"info\", \"event\": \"e\"}\n");
}

/* The oracle is printf itself, which reads the same arguments. */
TEST(every_conversion_prints_as_printf_does)
{
#define CONVERSIONS                                                                                \
    "a=%d b=%u c=%ld d=%lu e=%lld f=%llu g=%zu h=%" PRId64 " i=%jd j=%td k=%hhd l=%hu m=%.2f "     \
    "n=%*d o=%.*s p=%c q=%Lg r=%x s=%i%% t=%-5d| u=%" PRIu64 " v=%o w=%hd x=%s"
#define ARGUMENTS                                                                                  \
    -1, 4000000000u, LONG_MIN, ULONG_MAX, LLONG_MIN, ULLONG_MAX, (size_t)-1, INT64_MIN,            \
        (intmax_t)-7, (ptrdiff_t)-8, (signed char)-9, (unsigned short)65535, 3.14159, 3, 12345, 3, \
        "abcdef", 'z', 2.5L, 0xbeefu, 50, 6, UINT64_MAX, 8u, (short)-3, "last"
    char expected[1024];
    int start = snprintf(expected, sizeof expected, " INFO  e ");
    snprintf(expected + start, sizeof expected - (size_t)start, CONVERSIONS "\n", ARGUMENTS);
    LOGGED(AID_LOG_TEXT, AID_INFO, "e", CONVERSIONS, ARGUMENTS);
    char *padded = strstr(expected, "t=6    |"); /* blanks within a value are quoted */
    CHECK(padded);
    memmove(padded + 10, padded + 8, strlen(padded + 8) + 1);
    memcpy(padded, "t=\"6    |\"", 10);
    line_is(expected);
}

TEST(no_value_can_forge_a_line_or_steer_a_terminal)
{
    static const char evil[] = "a\n2026 ERROR x\x1b[2J\x7f\xc2\x9b\xe2\x80\xae\xff";
    static const char harmless[] =
        "\"a\\n2026 ERROR x\\u001b[2J\\u007f\\u009b\\u202e\xef\xbf\xbd\"";
    char expected[256];
    LOGGED(AID_LOG_TEXT, AID_INFO, "e", "k=%s", evil);
    snprintf(expected, sizeof expected, " INFO  e k=%s\n", harmless);
    line_is(expected);
    LOGGED(AID_LOG_JSON, AID_INFO, "e", "k=%s", evil);
    snprintf(expected, sizeof expected, "\", \"level\": \"info\", \"event\": \"e\", \"k\": %s}\n",
             harmless);
    line_is(expected);
}

/* Reads a line as JSON strictly enough for what the log writes: one object, strings closed, nothing
 * behind it but the end of the line. */
static bool is_one_object(const char *line)
{
    bool quoted = false;
    int depth = 0;
    for (; *line && *line != '\n'; line++) {
        if (quoted && *line == '\\')
            line++;
        else if (*line == '"')
            quoted = !quoted;
        else if (!quoted)
            depth += (*line == '{') - (*line == '}');
        if (depth == 0 && line[1] != '\n')
            return false;
    }
    return depth == 0 && !quoted && line[0] == '\n' && !line[1];
}

TEST(a_line_that_is_too_long_is_cut_and_stays_valid)
{
    static char many[5000], controls[1500], nearly[4100];
    memset(many, 'x', sizeof many - 1);
    memset(controls, 1, sizeof controls - 1);
    LOGGED(AID_LOG_JSON, AID_INFO, "e", "a=%s b=%s c=%d", controls, many, 5);
    size_t length = strlen(text);
    CHECK(length > 4040 && length <= 4096);
    CHECK_TEXT(text + length - 22, "\\u0001\", \"cut\": true}\n");
    CHECK(is_one_object(text));
    LOGGED(AID_LOG_TEXT, AID_INFO, "e", "a=%s b=%s c=%d", many, many, 5);
    length = strlen(text);
    CHECK(length > 4040 && length <= 4096);
    CHECK_TEXT(text + length - 15, "xxxx\" cut=true\n");
    /* Wherever the end falls in the next field, the line is whole. */
    for (size_t fill = 3900; fill < 4090; fill++) {
        memset(nearly, 'y', fill);
        nearly[fill] = '\0';
        LOGGED(AID_LOG_JSON, AID_INFO, "e", "a=%s longer_key=%d text=%s", nearly, 123456, "t");
        CHECK(strlen(text) <= 4096 && is_one_object(text));
        CHECK(!strstr(text, "longer_key") || strstr(text, "\"longer_key\": 123456"));
        CHECK(strstr(text, "\"cut\": true") || strstr(text, "\"text\": \"t\""));
    }
}

TEST(the_time_is_utc_of_now)
{
    char before[32], after[32];
    struct tm utc;
    time_t now = time(NULL);
    strftime(before, sizeof before, "%Y-%m-%dT%H:%M:%S", gmtime_r(&now, &utc));
    LOGGED(AID_LOG_TEXT, AID_INFO, "e", NULL);
    now = time(NULL) + 1;
    strftime(after, sizeof after, "%Y-%m-%dT%H:%M:%S", gmtime_r(&now, &utc));
    CHECK(strncmp(before, text, 19) <= 0 && strncmp(text, after, 19) <= 0);
}

TEST(events_below_the_minimum_are_left_out)
{
    capture_begin(AID_LOG_TEXT, AID_WARN);
    aid_log(AID_DEBUG, "no", NULL);
    aid_log(AID_INFO, "no", NULL);
    aid_log(AID_WARN, "yes", NULL);
    aid_log(AID_ERROR_LEVEL, "yes", NULL);
    capture_end();
    CHECK(!strstr(text, "no\n") && strstr(text, " WARN  yes\n") && strstr(text, " ERROR yes\n"));
}

TEST(what_is_no_terminal_gets_json)
{
    LOGGED(AID_LOG_AUTO, AID_INFO, "e", NULL);
    CHECK(text[0] == '{');
}

TEST(a_terminal_gets_text)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    if (master < 0 || grantpt(master) || unlockpt(master))
        check_skip("this needs a pseudo-terminal");
    int terminal = open(ptsname(master), O_RDWR | O_NOCTTY);
    CHECK(terminal >= 0);
    capture_begin(AID_LOG_AUTO, AID_INFO);
    dup2(terminal, STDERR_FILENO);
    aid_log(AID_INFO, "seen", NULL);
    ssize_t n = read(master, text, sizeof text - 1);
    char seen[256] = "";
    snprintf(seen, sizeof seen, "%.*s", (int)n, text);
    capture_end();
    close(terminal);
    close(master);
    CHECK(strstr(seen, " INFO  seen"));
}

TEST(errno_survives_a_log_line)
{
    capture_begin(AID_LOG_TEXT, AID_INFO);
    close(STDERR_FILENO);
    errno = ENOSPC;
    aid_log(AID_INFO, "e", NULL);
    int kept = errno;
    capture_end();
    CHECK_EQUAL(kept, ENOSPC);
}

static aid_status log_task(void *context, int64_t task, int worker, aid_error *error)
{
    (void)context;
    (void)worker;
    (void)error;
    aid_log(AID_INFO, "task", "task=%" PRId64 " fill=%s", task, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
    return AID_OK;
}

TEST(lines_of_many_threads_do_not_mix)
{
    enum { TASKS = 2000 };
    static bool seen[TASKS];
    aid_pool *pool;
    CHECK_OK(aid_pool_new(7, &pool, &err));
    capture_begin(AID_LOG_TEXT, AID_INFO);
    aid_status status = aid_pool_run(pool, TASKS, log_task, NULL, &err);
    capture_end();
    aid_pool_free(pool);
    CHECK_OK(status);
    int whole = 0;
    for (char *at = text; *at; at += strcspn(at, "\n") + 1) {
        int task = -1;
        CHECK(sscanf(at + 24, " INFO task task=%d fill=", &task) == 1);
        CHECK(task >= 0 && task < TASKS && !seen[task]);
        CHECK(!strncmp(strchr(at + 40, 'x'), "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n", 33));
        seen[task] = true;
        whole++;
    }
    CHECK_EQUAL(whole, TASKS);
}

TEST_MAIN()
