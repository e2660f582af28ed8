/* A line of the log in the making: fields in, valid text or JSON out, whatever the values hold. */
#ifndef AID_ADAPTERS_LOG_LINE_H
#define AID_ADAPTERS_LOG_LINE_H

#include <stdbool.h>
#include <stddef.h>

/* PIPE_BUF of Linux: up to here a write to a pipe is one piece. The last bytes are kept for the
 * closing of what is open. */
enum { AID_LOG_LINE = 4096, AID_LOG_LINE_END = 32 };

typedef struct aid_log_line {
    char bytes[AID_LOG_LINE];
    size_t length;
    bool json;
    bool cut; /* something did not fit; nothing more is added */
} aid_log_line;

void aid_log_line_begin(aid_log_line *line, bool json, const char *time, const char *level,
                        const char *event);
/* `numeric`: the value is a number (or null) as JSON writes it. */
void aid_log_line_add(aid_log_line *line, const char *key, const char *value, bool numeric);
void aid_log_line_end(aid_log_line *line);

#endif
