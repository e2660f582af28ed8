/* The log: one event a line on standard error, for the person who runs the program or the machine
 * that collects it. On a terminal
 *     2026-11-21T13:04:05.123Z INFO  difference.done exposure=m31_042 ms=812
 * and elsewhere, on one line,
 *     {"time": "2026-11-21T13:04:05.123Z", "level": "info", "event": "difference.done",
 *      "exposure": "m31_042", "ms": 812}
 * Thread-safe; each line is one write(), so that lines of threads and processes do not mix. A line
 * has at most 4096 bytes; what does not fit is cut, and a field "cut" says so. */
#ifndef AID_ADAPTERS_LOG_LOG_H
#define AID_ADAPTERS_LOG_LOG_H

#include "core/base/macros.h"

typedef enum aid_log_level {
    AID_DEBUG,      /* for whoever looks for a fault */
    AID_INFO,       /* what was done */
    AID_WARN,       /* done, but not as asked, or by a fallback */
    AID_ERROR_LEVEL /* not done; AID_ERROR is the macro of status.h */
} aid_log_level;

typedef enum aid_log_format {
    AID_LOG_AUTO, /* text where standard error is a terminal, JSON elsewhere */
    AID_LOG_TEXT,
    AID_LOG_JSON
} aid_log_format;

/* Events below `minimum` are left out. Before the first call: AID_LOG_AUTO, AID_INFO. */
void aid_log_configure(aid_log_format format, aid_log_level minimum);

/* An event ("stage.verb") and its fields: a printf format of blank-separated key=conversion, as in
 * "exposure=%s ms=%lld"; NULL where there are none. The blanks of the format separate fields, those
 * of a value do not. A field that is one numeric conversion alone is a number in JSON (NaN and
 * infinities null), any other a string. Control characters and bytes that are not UTF-8 come out
 * escaped or replaced: no value can forge a line or steer a terminal. errno is kept. */
void aid_log(aid_log_level level, const char *event, const char *format, ...) AID_PRINTF(3, 4);

#endif
