#include "core/base/pool.h"

#include "tests/check.h"

#include <pthread.h>
#include <stdatomic.h>

static aid_error err;

static aid_pool *pool_of(int threads)
{
    aid_pool *pool = NULL;
    CHECK_OK(aid_pool_new(threads, &pool, &err));
    CHECK_EQUAL(aid_pool_threads(pool), threads);
    return pool;
}

typedef struct count_job {
    atomic_int runs[1000];
    atomic_int bad_workers;
    int threads;
} count_job;

static aid_status count_run(void *context, int64_t task, int worker, aid_error *error)
{
    (void)error;
    count_job *job = context;
    atomic_fetch_add(&job->runs[task], 1);
    if (worker < 0 || worker >= job->threads)
        atomic_fetch_add(&job->bad_workers, 1);
    return AID_OK;
}

TEST(every_task_runs_exactly_once_at_any_number_of_threads)
{
    static const int thread_counts[] = {1, 2, 7};
    for (size_t t = 0; t < AID_COUNT_OF(thread_counts); t++) {
        aid_pool *pool = pool_of(thread_counts[t]);
        for (int64_t count = 0; count <= 1000; count = count * 3 + 1) {
            static count_job job;
            memset(&job, 0, sizeof job);
            job.threads = thread_counts[t];
            CHECK_OK(aid_pool_run(pool, count, count_run, &job, &err));
            for (int64_t task = 0; task < 1000; task++)
                CHECK_EQUAL(job.runs[task], task < count ? 1 : 0);
            CHECK_EQUAL(job.bad_workers, 0);
        }
        aid_pool_free(pool);
    }
}

/* Sums 1/(i+1) in bands, each in a slot of its own. */
enum { TERMS = 100000, BAND = 777 };
static aid_status sum_band(void *context, int64_t band, int worker, aid_error *error)
{
    (void)worker;
    (void)error;
    int64_t begin, end;
    aid_band_range(TERMS, BAND, band, &begin, &end);
    double sum = 0.0;
    for (int64_t i = begin; i < end; i++)
        sum += 1.0 / (double)(i + 1);
    ((double *)context)[band] = sum;
    return AID_OK;
}

static double harmonic_sum(aid_pool *pool)
{
    double slots[TERMS / BAND + 1] = {0}, sum = 0.0;
    int64_t bands = aid_band_count(TERMS, BAND);
    CHECK_EQUAL(bands, (int64_t)AID_COUNT_OF(slots));
    CHECK_OK(aid_pool_run(pool, bands, sum_band, slots, &err));
    for (int64_t band = 0; band < bands; band++)
        sum += slots[band];
    return sum;
}

/* H(n) = ln n + gamma + 1/(2n) - 1/(12 n^2); the next term is n^-4/120. The 1e5 additions round by
 * 1e-16 of at most 12 each, 1e-10 in all at the very worst. */
TEST(sums_are_right_and_the_same_bits_at_one_and_seven_threads)
{
    aid_pool *one = pool_of(1), *seven = pool_of(7);
    double alone = harmonic_sum(one), together = harmonic_sum(seven), nobody = harmonic_sum(NULL);
    double expected = log((double)TERMS) + 0.57721566490153286 + 0.5 / TERMS -
                      1.0 / (12.0 * (double)TERMS * (double)TERMS);
    CHECK_NEAR(alone, expected, 1e-10);
    CHECK(alone == together && alone == nobody);
    aid_pool_free(one);
    aid_pool_free(seven);
}

/* Tasks divisible by 10, but for 0, fail. */
static aid_status fail_some(void *context, int64_t task, int worker, aid_error *error)
{
    (void)worker;
    atomic_fetch_add((atomic_int *)context, 1);
    if (task && task % 10 == 0)
        AID_FAIL(error, task == 10 ? AID_ERR_NUMERIC : AID_ERR_IO, "task %d", (int)task);
    return AID_OK;
}

TEST(the_error_of_the_lowest_failed_task_is_returned_whatever_the_threads)
{
    static const int thread_counts[] = {1, 2, 7};
    for (size_t t = 0; t < AID_COUNT_OF(thread_counts); t++) {
        aid_pool *pool = pool_of(thread_counts[t]);
        for (int repeat = 0; repeat < 200; repeat++) {
            atomic_int started = 0;
            aid_error error = {0};
            CHECK_EQUAL(aid_pool_run(pool, 1000, fail_some, &started, &error), AID_ERR_NUMERIC);
            CHECK_TEXT(error.message, "task 10");
            CHECK_EQUAL(error.status, AID_ERR_NUMERIC);
            CHECK(started >= 11 && started < 1000);
        }
        aid_pool_free(pool);
    }
}

TEST(a_pool_works_again_after_a_failure)
{
    aid_pool *pool = pool_of(3);
    atomic_int started = 0;
    CHECK_EQUAL(aid_pool_run(pool, 50, fail_some, &started, NULL), AID_ERR_NUMERIC);
    static count_job job;
    job.threads = 3;
    CHECK_OK(aid_pool_run(pool, 50, count_run, &job, &err));
    for (int task = 0; task < 50; task++)
        CHECK_EQUAL(job.runs[task], 1);
    aid_pool_free(pool);
}

/* Both tasks wait for one another: it ends only if two threads really work at the same time. */
static aid_status meet(void *context, int64_t task, int worker, aid_error *error)
{
    (void)task;
    (void)worker;
    (void)error;
    pthread_barrier_wait(context);
    return AID_OK;
}

TEST(two_threads_work_at_the_same_time)
{
    pthread_barrier_t barrier;
    pthread_barrier_init(&barrier, NULL, 2);
    aid_pool *pool = pool_of(2);
    CHECK_OK(aid_pool_run(pool, 2, meet, &barrier, &err));
    aid_pool_free(pool);
    pthread_barrier_destroy(&barrier);
}

TEST(numbers_of_threads_out_of_range_are_refused)
{
    aid_pool *pool = NULL;
    CHECK_REFUSED(aid_pool_new(0, &pool, &err), AID_ERR_INVALID, "threads: 0");
    CHECK_REFUSED(aid_pool_new(-3, &pool, &err), AID_ERR_INVALID, "threads: -3");
    CHECK_REFUSED(aid_pool_new(AID_MAX_THREADS + 1, &pool, &err), AID_ERR_INVALID, "257");
    CHECK(pool == NULL);
    CHECK_EQUAL(aid_pool_threads(NULL), 1);
    aid_pool_free(NULL);
}

TEST(bands_tile_a_length_without_gap_or_overlap)
{
    for (int64_t length = 0; length < 40; length++)
        for (int64_t band = 1; band < 12; band++) {
            int64_t next = 0, begin, end, count = aid_band_count(length, band);
            for (int64_t i = 0; i < count; i++) {
                aid_band_range(length, band, i, &begin, &end);
                CHECK_EQUAL(begin, next);
                CHECK(end > begin && end - begin <= band);
                next = end;
            }
            CHECK_EQUAL(next, length);
        }
}

TEST_MAIN()
