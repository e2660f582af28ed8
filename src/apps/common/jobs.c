#include "apps/common/jobs.h"

#include "core/base/memory.h"

#include <unistd.h>

int64_t aid_default_memory_bytes(void)
{
    int64_t pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    return pages > 0 && page > 0 ? pages / 4 * page * 3 : (int64_t)1 << 31;
}

int aid_jobs_at_once(const aid_job_budget *budget, int64_t count)
{
    int64_t left = budget->memory_bytes - budget->shared_bytes;
    int64_t fit = left / AID_MAX(budget->job_bytes, (int64_t)1);
    int64_t most = AID_MIN((int64_t)budget->threads, AID_MAX(count, (int64_t)1));
    return left > 0 ? (int)AID_MIN(fit, most) : 0;
}

typedef struct job_run {
    aid_job function;
    void *context;
    aid_pool *pools[AID_MAX_THREADS]; /* one for each that runs at once */
} job_run;

static aid_status run_one(void *context, int64_t task, int worker, aid_error *err)
{
    const job_run *run = context;
    return run->function(run->context, task, run->pools[worker], err);
}

/* 5 threads for 2 jobs are 3 and 2. */
static aid_status share_out(int threads, int jobs, job_run *run, aid_error *err)
{
    for (int i = 0; i < jobs; i++)
        AID_TRY(aid_pool_new(threads / jobs + (i < threads % jobs), &run->pools[i], err));
    return AID_OK;
}

aid_status aid_jobs_run(const aid_job_budget *budget, const char *what, int64_t count,
                        aid_job function, void *context, aid_error *err)
{
    int at_once = aid_jobs_at_once(budget, count);
    if (at_once == 0)
        AID_FAIL(err, AID_ERR_NOMEM, "%s: needs %lld MB, and the budget is %lld MB (--memory)",
                 what, (long long)((budget->shared_bytes + budget->job_bytes) >> 20) + 1,
                 (long long)(budget->memory_bytes >> 20));
    AID_CLEANUP(aid_free_pointer)
    job_run *run = NULL;
    aid_pool *jobs = NULL;
    AID_TRY(aid_new_array(1, sizeof *run, "jobs", &run, err));
    run->function = function;
    run->context = context;
    aid_status status = share_out(budget->threads, at_once, run, err);
    if (status == AID_OK)
        status = aid_pool_new(at_once, &jobs, err);
    if (status == AID_OK)
        status = aid_pool_run(jobs, count, run_one, run, err);
    aid_pool_free(jobs);
    for (int i = 0; i < at_once; i++)
        aid_pool_free(run->pools[i]);
    return status;
}
