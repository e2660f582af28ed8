#include "apps/common/stages.h"

#include "adapters/log/log.h"
#include "apps/common/stop.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* -------------------------------------------------------------------------------- measurements */

static double seconds_of(clockid_t clock)
{
    struct timespec now = {0};
    clock_gettime(clock, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static double seconds_of_timeval(struct timeval time)
{
    return (double)time.tv_sec + 1e-6 * (double)time.tv_usec;
}

/* Files are decoded in child processes: their time belongs to the stage that reads. */
static double cpu_seconds(void)
{
    struct rusage children = {0};
    getrusage(RUSAGE_CHILDREN, &children);
    return seconds_of(CLOCK_PROCESS_CPUTIME_ID) + seconds_of_timeval(children.ru_utime) +
           seconds_of_timeval(children.ru_stime);
}

/* Resets the high-water mark of resident memory (proc(5), clear_refs, since Linux 4.0). */
static bool reset_peak(void)
{
    FILE *file = fopen("/proc/self/clear_refs", "w");
    if (!file)
        return false;
    bool written = fputs("5", file) >= 0;
    return fclose(file) == 0 && written;
}

/* VmHWM; where /proc is not to be had, the peak since the start of the process. */
static double peak_megabytes(bool *ret_of_the_run)
{
    FILE *file = fopen("/proc/self/status", "r");
    char line[128];
    double kilobytes = -1.0;
    while (file && kilobytes < 0.0 && fgets(line, sizeof line, file))
        if (!strncmp(line, "VmHWM:", 6))
            kilobytes = strtod(line + 6, NULL);
    if (file)
        fclose(file);
    if (kilobytes >= 0.0)
        return kilobytes / 1024.0;
    *ret_of_the_run = true;
    struct rusage self = {0};
    getrusage(RUSAGE_SELF, &self);
    return (double)self.ru_maxrss / 1024.0;
}

/* Resetting the mark within a stage would forget what the stage had reached: every open stage takes
 * note of the mark first. */
static void note_peak(aid_stage_meter *meter)
{
    double peak = peak_megabytes(&meter->peaks_are_of_the_run);
    for (int i = 0; i < meter->count; i++)
        if (meter->items[i].open)
            meter->items[i].peak_mb = AID_MAX(meter->items[i].peak_mb, peak);
    if (!reset_peak())
        meter->peaks_are_of_the_run = true;
}

/* ------------------------------------------------------------------------------------ progress */

enum { BAR_WIDTH = 30 };

static void draw(aid_stage_meter *meter, const char *name)
{
    if (!meter->terminal)
        return;
    int done = AID_MAX(meter->count - 1, 0), expected = AID_MAX(meter->expected, meter->count);
    int filled = BAR_WIDTH * done / AID_MAX(expected, 1);
    char bar[BAR_WIDTH + 1];
    for (int i = 0; i < BAR_WIDTH; i++)
        bar[i] = i < filled ? '#' : '.';
    bar[BAR_WIDTH] = '\0';
    fprintf(meter->terminal, "\r\033[K[%s] %d/%d %s ", bar, done + 1, expected, name);
    fflush(meter->terminal);
}

void aid_stage_meter_clear(aid_stage_meter *meter)
{
    if (meter->terminal) {
        fputs("\r\033[K", meter->terminal);
        fflush(meter->terminal);
    }
}

/* --------------------------------------------------------------------------------------- meter */

void aid_stage_meter_init(aid_stage_meter *meter, FILE *terminal, int expected)
{
    *meter = (aid_stage_meter){.expected = expected};
    const char *kind = getenv("TERM");
    if (terminal && isatty(fileno(terminal)) && kind && strcmp(kind, "dumb") != 0)
        meter->terminal = terminal;
    meter->begun_wall_s = seconds_of(CLOCK_MONOTONIC);
}

static aid_stage *find_or_add(aid_stage_meter *meter, const char *name)
{
    for (int i = 0; i < meter->count; i++)
        if (!strcmp(meter->items[i].name, name))
            return &meter->items[i];
    if (meter->count == AID_MAX_STAGES)
        return NULL;
    aid_stage *stage = &meter->items[meter->count++];
    snprintf(stage->name, sizeof stage->name, "%s", name);
    return stage;
}

aid_status aid_stage_begin(aid_stage_meter *meter, const char *name, aid_error *err)
{
    if (aid_stop_requested())
        AID_FAIL(err, AID_ERR_CANCELLED, "stopped by a signal before stage %s", name);
    note_peak(meter);
    aid_stage *stage = find_or_add(meter, name);
    if (stage) {
        stage->open = true;
        stage->begun_wall_s = seconds_of(CLOCK_MONOTONIC);
        stage->begun_cpu_s = cpu_seconds();
    }
    draw(meter, name);
    return AID_OK;
}

void aid_stage_end(aid_stage_meter *meter, const char *name)
{
    note_peak(meter);
    aid_stage *stage = find_or_add(meter, name);
    if (!stage || !stage->open)
        return;
    stage->wall_s += seconds_of(CLOCK_MONOTONIC) - stage->begun_wall_s;
    stage->cpu_s += cpu_seconds() - stage->begun_cpu_s;
    stage->open = false;
    aid_log(AID_INFO, "stage.done", "stage=%s wall_s=%.3f cpu_s=%.3f peak_mb=%.1f", name,
            stage->wall_s, stage->cpu_s, stage->peak_mb);
}

double aid_stage_meter_wall_s(const aid_stage_meter *meter)
{
    return seconds_of(CLOCK_MONOTONIC) - meter->begun_wall_s;
}

static aid_status observe_begin(void *context, const char *stage, aid_error *err)
{
    return aid_stage_begin(context, stage, err);
}

static void observe_end(void *context, const char *stage)
{
    aid_stage_end(context, stage);
}

aid_stage_observer aid_stage_meter_observer(aid_stage_meter *meter)
{
    return (aid_stage_observer){.begin = observe_begin, .end = observe_end, .context = meter};
}
