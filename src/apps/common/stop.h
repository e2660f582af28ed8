/* Stopping on SIGINT, SIGTERM and SIGHUP: the first one asks, the second one does not wait. */
#ifndef AID_APPS_COMMON_STOP_H
#define AID_APPS_COMMON_STOP_H

#include "core/base/status.h"

#include <stdbool.h>

/* From now on the first signal makes aid_stop_requested true; work ends at its next stage with
 * AID_ERR_CANCELLED and removes what it has begun. The second one removes unfinished files and ends
 * the process at once. A reader that went away and a file that may grow no further are failed
 * writes like any other: SIGPIPE and SIGXFSZ are ignored. */
void aid_stop_on_signals(void);
bool aid_stop_requested(void);

#endif
