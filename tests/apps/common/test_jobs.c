#include "apps/common/jobs.h"
#include "tests/check.h"

#include <pthread.h>
#include <time.h>

static aid_error err;

typedef struct tally {
    pthread_mutex_t lock;
    int running, most, done[64], threads_seen[64];
    int64_t fails;
} tally;

static aid_status work(void *context, int64_t job, aid_pool *pool, aid_error *error)
{
    tally *t = context;
    pthread_mutex_lock(&t->lock);
    t->running++;
    t->most = AID_MAX(t->most, t->running);
    pthread_mutex_unlock(&t->lock);
    struct timespec pause = {.tv_nsec = 2000000}; /* so that others get to run meanwhile */
    nanosleep(&pause, NULL);
    pthread_mutex_lock(&t->lock);
    t->running--;
    t->done[job]++;
    t->threads_seen[job] = aid_pool_threads(pool);
    pthread_mutex_unlock(&t->lock);
    if (job == t->fails)
        AID_FAIL(error, AID_ERR_IO, "job %lld failed", (long long)job);
    return AID_OK;
}

static tally fresh(void)
{
    return (tally){.lock = PTHREAD_MUTEX_INITIALIZER, .fails = -1};
}

TEST(as_many_run_at_once_as_threads_and_memory_allow)
{
    aid_job_budget budget = {
        .threads = 4, .memory_bytes = 1000, .shared_bytes = 100, .job_bytes = 300};
    CHECK_EQUAL(aid_jobs_at_once(&budget, 10), 3);
    CHECK_EQUAL(aid_jobs_at_once(&budget, 2), 2);
    budget.threads = 2;
    CHECK_EQUAL(aid_jobs_at_once(&budget, 10), 2);
    budget.memory_bytes = 699;
    CHECK_EQUAL(aid_jobs_at_once(&budget, 10), 1);
    budget.memory_bytes = 399;
    CHECK_EQUAL(aid_jobs_at_once(&budget, 10), 0);
    budget.shared_bytes = 500;
    CHECK_EQUAL(aid_jobs_at_once(&budget, 10), 0);
    CHECK(aid_default_memory_bytes() > 1 << 20);
}

TEST(every_job_is_done_once_and_never_more_at_once_than_fit)
{
    tally t = fresh();
    aid_job_budget budget = {.threads = 5, .memory_bytes = 1000, .job_bytes = 400};
    CHECK_OK(aid_jobs_run(&budget, "night", 20, work, &t, &err));
    CHECK(t.most >= 1 && t.most <= 2);
    for (int i = 0; i < 20; i++) {
        CHECK_EQUAL(t.done[i], 1);
        CHECK(t.threads_seen[i] == 3 || t.threads_seen[i] == 2); /* five threads for two */
    }
}

TEST(what_does_not_fit_is_refused_before_anything_runs_and_failures_come_back)
{
    tally t = fresh();
    aid_job_budget budget = {.threads = 2, .memory_bytes = 64 << 20, .job_bytes = 100 << 20};
    CHECK_REFUSED(aid_jobs_run(&budget, "a.fits", 3, work, &t, &err), AID_ERR_NOMEM,
                  "a.fits: needs 101 MB, and the budget is 64 MB");
    CHECK_EQUAL(t.done[0], 0);
    budget.memory_bytes = 1 << 30;
    t.fails = 1;
    CHECK_REFUSED(aid_jobs_run(&budget, "a.fits", 40, work, &t, &err), AID_ERR_IO, "job 1 failed");
    CHECK_EQUAL(t.done[39], 0);
    CHECK_OK(aid_jobs_run(&budget, "a.fits", 0, work, &t, &err));
}

TEST_MAIN()
