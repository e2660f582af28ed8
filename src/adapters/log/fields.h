/* Takes a printf format of key=conversion fields apart, so that each value is printed by itself and
 * no value can pass for another field. */
#ifndef AID_ADAPTERS_LOG_FIELDS_H
#define AID_ADAPTERS_LOG_FIELDS_H

#include "adapters/log/line.h"

#include <stdarg.h>

/* A va_list that can be handed down and comes back advanced. */
typedef struct aid_log_arguments {
    va_list list;
} aid_log_arguments;

void aid_log_add_fields(aid_log_line *line, const char *format, aid_log_arguments *arguments);

#endif
