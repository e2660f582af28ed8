/* Who is told when a stage begins and ends: the application measures time and memory, and draws
 * progress. */
#ifndef AID_DOMAIN_PIPELINE_STAGE_OBSERVER_H
#define AID_DOMAIN_PIPELINE_STAGE_OBSERVER_H

#include "core/base/status.h"

/* `begin` may return AID_ERR_CANCELLED to stop. */
typedef struct aid_stage_observer {
    aid_status (*begin)(void *context, const char *stage, aid_error *err);
    void (*end)(void *context, const char *stage);
    void *context;
} aid_stage_observer;

/* `observer` may be NULL. The end hands through how the stage came out. */
static inline aid_status aid_observe_begin(const aid_stage_observer *observer, const char *stage,
                                           aid_error *err)
{
    return observer ? observer->begin(observer->context, stage, err) : AID_OK;
}
static inline aid_status aid_observe_end(const aid_stage_observer *observer, const char *stage,
                                         aid_status status)
{
    if (observer)
        observer->end(observer->context, stage);
    return status;
}

#endif
