#include "adapters/log/log.h"

#include "adapters/log/fields.h"
#include "adapters/log/line.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static atomic_int configured_format = AID_LOG_AUTO;
static atomic_int configured_minimum = AID_INFO;

void aid_log_configure(aid_log_format format, aid_log_level minimum)
{
    atomic_store(&configured_format, (int)format);
    atomic_store(&configured_minimum, (int)minimum);
}

static const char *level_name(aid_log_level level)
{
    static const char *const names[] = {[AID_DEBUG] = "debug",
                                        [AID_INFO] = "info",
                                        [AID_WARN] = "warn",
                                        [AID_ERROR_LEVEL] = "error"};
    return (size_t)level < AID_COUNT_OF(names) ? names[level] : "error";
}

static void time_text(char text[40])
{
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    size_t length = strftime(text, 40, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(text + length, 40 - length, ".%03ldZ", now.tv_nsec / 1000000);
}

/* A log that cannot be written has nobody left to tell. */
static void write_line(const aid_log_line *line)
{
    const char *from = line->bytes;
    size_t rest = line->length;
    while (rest > 0) {
        ssize_t n = write(STDERR_FILENO, from, rest);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return;
        from += n;
        rest -= (size_t)n;
    }
}

static bool wants_json(void)
{
    int format = atomic_load(&configured_format);
    return format == AID_LOG_JSON || (format == AID_LOG_AUTO && !isatty(STDERR_FILENO));
}

void aid_log(aid_log_level level, const char *event, const char *format, ...)
{
    if ((int)level < atomic_load(&configured_minimum))
        return;
    int saved_errno = errno;
    char time[40];
    time_text(time);
    aid_log_line line;
    aid_log_line_begin(&line, wants_json(), time, level_name(level), event);
    aid_log_arguments arguments;
    va_start(arguments.list, format);
    aid_log_add_fields(&line, format ? format : "", &arguments);
    va_end(arguments.list);
    aid_log_line_end(&line);
    write_line(&line);
    errno = saved_errno;
}
