/* What can fail returns a status and takes an aid_error last. The status is a decision for the
 * caller; the message is for the person, written once by whoever detects the problem. */
#ifndef AID_CORE_BASE_STATUS_H
#define AID_CORE_BASE_STATUS_H

#include "core/base/limits.h"
#include "core/base/macros.h"

typedef enum aid_status {
    AID_OK = 0,
    AID_ERR_INVALID,   /* the input is at fault: reject it and record why (exit code 3) */
    AID_ERR_IO,        /* the outside world is at fault: retry may help (exit code 1) */
    AID_ERR_NOMEM,     /* not enough memory: requeue (exit code 1) */
    AID_ERR_NUMERIC,   /* the data do not determine the answer (exit code 3) */
    AID_ERR_CANCELLED, /* somebody asked to stop (exit code 1) */
    AID_ERR_USAGE      /* the command line is at fault (exit code 2) */
} aid_status;

typedef struct aid_error {
    aid_status status;
    char message[AID_MAX_MESSAGE]; /* one line, UTF-8, no trailing newline */
    const char *source_file;       /* where it was detected */
    int source_line;
} aid_error;

const char *aid_status_name(aid_status status);

/* Fills `err` (may be NULL) and returns `status`, so that it can stand in a return statement.
 * Control characters in the message become spaces: headers and file names cannot forge log lines.
 */
aid_status aid_error_set(aid_error *err, aid_status status, const char *source_file,
                         int source_line, const char *format, ...) AID_PRINTF(5, 6);

/* Puts "context: " before the message that is already there and returns its status. */
aid_status aid_error_prefix(aid_error *err, aid_status status, const char *format, ...)
    AID_PRINTF(3, 4);

/* An error as a value; AID_FAIL is the usual form. */
#define AID_ERROR(err, status, ...) aid_error_set(err, status, __FILE__, __LINE__, __VA_ARGS__)
#define AID_FAIL(err, status, ...) return AID_ERROR(err, status, __VA_ARGS__)

/* Forwards a failure. */
#define AID_TRY(expression)                                                                        \
    do {                                                                                           \
        aid_status aid_try_status_ = (expression);                                                 \
        if (aid_try_status_ != AID_OK)                                                             \
            return aid_try_status_;                                                                \
    } while (0)

#endif
