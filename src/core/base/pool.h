/* The one helper for data parallelism: a fixed number of tasks, each writing its own outputs.
 * Results must not depend on the number of threads: partial sums go into a slot for each task and
 * are added in task order afterwards. */
#ifndef AID_CORE_BASE_POOL_H
#define AID_CORE_BASE_POOL_H

#include "core/base/status.h"

#include <stdint.h>

typedef struct aid_pool aid_pool;

/* `worker` is 0..threads-1, for scratch memory that a worker keeps from task to task. */
typedef aid_status (*aid_task)(void *context, int64_t task, int worker, aid_error *err);

/* threads >= 1; the caller is one of them, so 1 starts none. Caller owns; free takes NULL. */
AID_MUST_USE aid_status aid_pool_new(int threads, aid_pool **ret_pool, aid_error *err);
void aid_pool_free(aid_pool *pool);

/* NULL counts as one thread, here and in aid_pool_run. */
int aid_pool_threads(const aid_pool *pool);

/* Runs tasks 0..count-1 and waits for all of them. When tasks fail, no new ones start, and the
 * error of the lowest-numbered failed task is returned. Not to be called from inside a task. */
AID_MUST_USE aid_status aid_pool_run(aid_pool *pool, int64_t count, aid_task function,
                                     void *context, aid_error *err);

/* Splits `length` items into bands of `band` items: how many there are, and where one begins and
 * ends. Bands depend on the data's size alone, never on the threads. */
int64_t aid_band_count(int64_t length, int64_t band);
void aid_band_range(int64_t length, int64_t band, int64_t index, int64_t *ret_begin,
                    int64_t *ret_end);

#endif
