/* Stopping on SIGINT and SIGTERM: the first one asks, the second one does not wait. */
#ifndef AID_APPS_COMMON_STOP_H
#define AID_APPS_COMMON_STOP_H

#include "core/base/status.h"

#include <stdbool.h>

/* From now on the first signal makes aid_stop_requested true; work ends at its next stage with
 * AID_ERR_CANCELLED and removes what it has begun. The second one removes unfinished files and ends
 * the process at once. Also ignores SIGPIPE: a reader that went away is a failed write. */
void aid_stop_on_signals(void);
bool aid_stop_requested(void);

#endif
