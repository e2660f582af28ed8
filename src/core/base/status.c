#include "core/base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *aid_status_name(aid_status status)
{
    static const char *const names[] = {
        [AID_OK] = "ok",           [AID_ERR_INVALID] = "invalid", [AID_ERR_IO] = "io",
        [AID_ERR_NOMEM] = "nomem", [AID_ERR_NUMERIC] = "numeric", [AID_ERR_CANCELLED] = "cancelled",
        [AID_ERR_USAGE] = "usage"};
    return (size_t)status < AID_COUNT_OF(names) ? names[status] : "unknown";
}

static void blank_control_characters(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            *text = ' ';
}

aid_status aid_error_set(aid_error *err, aid_status status, const char *source_file,
                         int source_line, const char *format, ...)
{
    if (!err)
        return status;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(err->message, sizeof err->message, format, arguments);
    va_end(arguments);
    blank_control_characters(err->message);
    err->status = status;
    err->source_file = source_file;
    err->source_line = source_line;
    return status;
}

aid_status aid_error_prefix(aid_error *err, aid_status status, const char *format, ...)
{
    if (!err)
        return status;
    char old[AID_MAX_MESSAGE];
    memcpy(old, err->message, sizeof old);
    old[sizeof old - 1] = '\0';
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(err->message, sizeof err->message, format, arguments);
    va_end(arguments);
    if (n >= 0 && (size_t)n < sizeof err->message)
        snprintf(err->message + n, sizeof err->message - (size_t)n, ": %s", old);
    blank_control_characters(err->message);
    return status;
}
