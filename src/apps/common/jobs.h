/* Many independent jobs within a budget of memory: each says what it needs, and fewer run at once
 * where the budget is smaller. */
#ifndef AID_APPS_COMMON_JOBS_H
#define AID_APPS_COMMON_JOBS_H

#include "core/base/pool.h"

typedef struct aid_job_budget {
    int threads;
    int64_t memory_bytes; /* that may be in use at any time */
    int64_t shared_bytes; /* in use all the time, whatever runs */
    int64_t job_bytes;    /* that each job needs at most */
} aid_job_budget;

/* Three quarters of the machine's memory: the budget of who names none. */
int64_t aid_default_memory_bytes(void);

/* How many of `count` jobs run at once; 0: not even one fits. */
int aid_jobs_at_once(const aid_job_budget *budget, int64_t count);

/* `pool` is the job's own: what the threads come to when they are shared out. */
typedef aid_status (*aid_job)(void *context, int64_t job, aid_pool *pool, aid_error *err);

/* Runs jobs 0..count-1 and waits for all of them. When jobs fail, no new ones start, and the error
 * of the lowest-numbered failed one is returned. Fails with AID_ERR_NOMEM before anything runs when
 * not even one fits, saying what `what` would need. */
AID_MUST_USE aid_status aid_jobs_run(const aid_job_budget *budget, const char *what, int64_t count,
                                     aid_job function, void *context, aid_error *err);

#endif
