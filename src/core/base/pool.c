#include "core/base/pool.h"

#include "core/base/memory.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

struct aid_pool {
    int threads;
    pthread_t *handles; /* threads - 1 of them */
    pthread_mutex_t lock;
    pthread_cond_t work_ready, work_done;
    uint64_t generation; /* counts the runs */
    int busy;            /* helpers still in the current run */
    bool stopping;
    /* the current run */
    aid_task function;
    void *context;
    int64_t count, next, failed_task;
    aid_error first_error;
};

typedef struct helper_start {
    aid_pool *pool;
    int worker;
} helper_start;

int aid_pool_threads(const aid_pool *pool)
{
    return pool ? pool->threads : 1;
}

static bool take_task(aid_pool *pool, int64_t *ret_task)
{
    pthread_mutex_lock(&pool->lock);
    bool there_is = pool->failed_task < 0 && pool->next < pool->count;
    if (there_is)
        *ret_task = pool->next++;
    pthread_mutex_unlock(&pool->lock);
    return there_is;
}

static void record_failure(aid_pool *pool, int64_t task, const aid_error *error)
{
    pthread_mutex_lock(&pool->lock);
    if (pool->failed_task < 0 || task < pool->failed_task) {
        pool->failed_task = task;
        pool->first_error = *error;
    }
    pthread_mutex_unlock(&pool->lock);
}

static void run_tasks(aid_pool *pool, int worker)
{
    int64_t task;
    while (take_task(pool, &task)) {
        aid_error error = {0};
        aid_status status = pool->function(pool->context, task, worker, &error);
        if (status != AID_OK) {
            error.status = status;
            record_failure(pool, task, &error);
        }
    }
}

static void *helper_main(void *argument)
{
    helper_start start = *(helper_start *)argument;
    free(argument);
    aid_pool *pool = start.pool;
    uint64_t seen = 0;
    pthread_mutex_lock(&pool->lock);
    for (;;) {
        while (!pool->stopping && pool->generation == seen)
            pthread_cond_wait(&pool->work_ready, &pool->lock);
        if (pool->stopping)
            break;
        seen = pool->generation;
        pthread_mutex_unlock(&pool->lock);
        run_tasks(pool, start.worker);
        pthread_mutex_lock(&pool->lock);
        if (--pool->busy == 0)
            pthread_cond_signal(&pool->work_done);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

static aid_status start_helper(aid_pool *pool, int worker, aid_error *err)
{
    helper_start *start;
    AID_TRY(aid_new_array(1, sizeof *start, "thread", &start, err));
    *start = (helper_start){pool, worker};
    if (pthread_create(&pool->handles[worker - 1], NULL, helper_main, start)) {
        free(start);
        AID_FAIL(err, AID_ERR_NOMEM, "cannot start thread %d of %d", worker + 1, pool->threads);
    }
    return AID_OK;
}

static void stop_helpers(aid_pool *pool, int started)
{
    pthread_mutex_lock(&pool->lock);
    pool->stopping = true;
    pthread_cond_broadcast(&pool->work_ready);
    pthread_mutex_unlock(&pool->lock);
    for (int i = 0; i < started; i++)
        pthread_join(pool->handles[i], NULL);
    pthread_cond_destroy(&pool->work_done);
    pthread_cond_destroy(&pool->work_ready);
    pthread_mutex_destroy(&pool->lock);
    free(pool->handles);
    free(pool);
}

aid_status aid_pool_new(int threads, aid_pool **ret_pool, aid_error *err)
{
    if (threads < 1 || threads > AID_MAX_THREADS)
        AID_FAIL(err, AID_ERR_INVALID, "threads: %d is not between 1 and %d", threads,
                 AID_MAX_THREADS);
    aid_pool *pool;
    AID_TRY(aid_new_array(1, sizeof *pool, "thread pool", &pool, err));
    aid_status status =
        aid_new_array((size_t)threads, sizeof *pool->handles, "thread pool", &pool->handles, err);
    if (status != AID_OK) {
        free(pool);
        return status;
    }
    pool->threads = threads;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->work_ready, NULL);
    pthread_cond_init(&pool->work_done, NULL);
    for (int worker = 1; worker < threads; worker++) {
        status = start_helper(pool, worker, err);
        if (status != AID_OK) {
            stop_helpers(pool, worker - 1);
            return status;
        }
    }
    *ret_pool = pool;
    return AID_OK;
}

void aid_pool_free(aid_pool *pool)
{
    if (pool)
        stop_helpers(pool, pool->threads - 1);
}

static aid_status run_alone(int64_t count, aid_task function, void *context, aid_error *err)
{
    for (int64_t task = 0; task < count; task++)
        AID_TRY(function(context, task, 0, err));
    return AID_OK;
}

aid_status aid_pool_run(aid_pool *pool, int64_t count, aid_task function, void *context,
                        aid_error *err)
{
    if (aid_pool_threads(pool) == 1 || count <= 1)
        return run_alone(count, function, context, err);
    pthread_mutex_lock(&pool->lock);
    assert(pool->busy == 0);
    pool->function = function;
    pool->context = context;
    pool->count = count;
    pool->next = 0;
    pool->failed_task = -1;
    pool->busy = pool->threads - 1;
    pool->generation++;
    pthread_cond_broadcast(&pool->work_ready);
    pthread_mutex_unlock(&pool->lock);

    run_tasks(pool, 0);

    pthread_mutex_lock(&pool->lock);
    while (pool->busy > 0)
        pthread_cond_wait(&pool->work_done, &pool->lock);
    aid_status status = pool->failed_task >= 0 ? pool->first_error.status : AID_OK;
    if (status != AID_OK && err)
        *err = pool->first_error;
    pthread_mutex_unlock(&pool->lock);
    return status;
}

int64_t aid_band_count(int64_t length, int64_t band)
{
    assert(band > 0);
    return (length + band - 1) / band;
}

void aid_band_range(int64_t length, int64_t band, int64_t index, int64_t *ret_begin,
                    int64_t *ret_end)
{
    *ret_begin = index * band;
    *ret_end = AID_MIN(*ret_begin + band, length);
}
