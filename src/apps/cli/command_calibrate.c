/* `astrid calibrate`: raw frames and masters to calibrated frames. */
#include "adapters/files/files.h"
#include "adapters/fits/fits.h"
#include "apps/cli/calibrate.h"
#include "apps/cli/commands.h"
#include "apps/cli/frames.h"
#include "apps/common/jobs.h"
#include "core/base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const aid_argument arguments[] = {
    {.name = "RAW", .help = "raw science frames (FITS)", .repeats = true}};

static const aid_setting_use uses[] = {
    {AID_FIELD("output", calibrate_options, output),
     .help = "folder of the calibrated frames (default ./calibrated)"},
    {AID_FIELD("bias", calibrate_options, bias)},
    {AID_FIELD("dark", calibrate_options, dark)},
    {AID_FIELD("flat", calibrate_options, flat)},
    {AID_FIELD("masters", calibrate_options, masters)},
    {AID_FIELD("temperature-tolerance", calibrate_options, temperature_tolerance)},
    {AID_FIELD("clean-cosmic-rays", calibrate_options, cosmic_rays)},
    {AID_FIELD("cosmic-ray-threshold", calibrate_options, cosmic_ray_threshold)},
    {AID_FIELD("electrons", calibrate_options, electrons)},
    {AID_FIELD("gain", calibrate_options, gain),
     .help = "electrons for each ADU; else from the header or the camera's profile"},
    {AID_FIELD("read-noise", calibrate_options, read_noise)},
    {AID_FIELD("saturation", calibrate_options, saturation),
     .help = "raw pixel value from which a frame is saturated; else from its header"},
    {AID_FIELD("memory", calibrate_options, memory)},
    AID_COMMON_USES(calibrate_options),
};

/* ----------------------------------------------------------------------------------- beginning */

static bool same_file(const char *a, const char *b)
{
    struct stat one, other;
    return stat(a, &one) == 0 && stat(b, &other) == 0 && one.st_dev == other.st_dev &&
           one.st_ino == other.st_ino;
}

/* Two frames of one name would overwrite each other, and a folder of raw frames the frames. */
static aid_status name_outputs(calibrate_run *run, aid_error *err)
{
    for (int i = 0; i < run->frame_count; i++) {
        calibrate_frame *frame = &run->frames[i];
        char name[256];
        frame_base_name(frame->path, name, sizeof name);
        snprintf(frame->output, sizeof frame->output, "%s/%s.fits", run->output, name);
        for (int k = 0; k < i; k++)
            if (!strcmp(run->frames[k].output, frame->output))
                AID_FAIL(err, AID_ERR_USAGE, "%s and %s would both become %s", run->frames[k].path,
                         frame->path, frame->output);
        if (same_file(frame->path, frame->output))
            AID_FAIL(err, AID_ERR_USAGE, "%s would be overwritten by its calibrated self",
                     frame->path);
    }
    return AID_OK;
}

static aid_status begin(const aid_invocation *invocation, calibrate_run *run, aid_error *err)
{
    run->invocation = invocation;
    run->options = invocation->options;
    run->output = run->options->output ? run->options->output : "calibrated";
    run->frame_count = invocation->argument_count;
    run->terminal = isatty(STDERR_FILENO) && !run->options->common.json ? stderr : NULL;
    AID_TRY(
        aid_new_array((size_t)run->frame_count, sizeof *run->frames, "frames", &run->frames, err));
    for (int i = 0; i < run->frame_count; i++)
        run->frames[i] =
            (calibrate_frame){.path = invocation->arguments[i], .masters = {-1, -1, -1}};
    return name_outputs(run, err);
}

/* ------------------------------------------------------------------------------- in what order */

/* A header alone, to choose masters by. Its frame is refused later, when it is read whole. */
static aid_status choose_by_header(calibrate_run *run, calibrate_frame *frame, aid_error *err)
{
    aid_fits_image file;
    aid_fits_read_options options = AID_FITS_READ_DEFAULTS;
    options.headers_only = true;
    if (aid_fits_read(frame->path, &options, &file, NULL) != AID_OK)
        return AID_OK;
    const char *slash = strrchr(frame->path, '/');
    aid_frame_facts facts = aid_frame_facts_from_header(
        &file.header, slash ? slash + 1 : frame->path, file.width, file.height, NULL);
    aid_fits_image_done(&file);
    return calibrate_choose(run, &facts, frame, err);
}

/* Of a pixel in work: the raw frame as it is decoded, then image, variance and mask, to which the
 * search for cosmic rays adds as much again. */
enum { BYTES_PER_PIXEL = 26 };

/* By the first frame whose header can be read. Beyond the budget it is one frame at a time. */
static void measure_frame(calibrate_run *run)
{
    aid_fits_read_options options = AID_FITS_READ_DEFAULTS;
    options.headers_only = true;
    for (int i = 0; i < run->frame_count && run->frame_bytes == 0; i++) {
        aid_fits_image file;
        if (aid_fits_read(run->frames[i].path, &options, &file, NULL) != AID_OK)
            continue;
        run->frame_bytes = (int64_t)BYTES_PER_PIXEL * file.width * file.height;
        aid_fits_image_done(&file);
    }
}

/* Frames that share their masters, so that only those are in memory. */
typedef struct frame_group {
    calibrate_run *run;
    int count;
    calibrate_frame **frames;
} frame_group;

static aid_status calibrate_job(void *context, int64_t job, aid_pool *pool, aid_error *err)
{
    const frame_group *group = context;
    return calibrate_one(group->run, group->frames[job], pool, err);
}

static bool same_masters(const calibrate_frame *a, const calibrate_frame *b)
{
    return memcmp(a->masters, b->masters, sizeof a->masters) == 0;
}

static aid_status run_group(frame_group *group, aid_error *err)
{
    calibrate_run *run = group->run;
    aid_error why = {0};
    if (calibrate_load(run, group->frames[0], &why) != AID_OK) {
        for (int i = 0; i < group->count; i++) /* the others have masters of their own */
            group->frames[i]->failure = why;
        return AID_OK;
    }
    aid_job_budget budget = {.threads = aid_threads_of(&run->options->common),
                             .memory_bytes = run->options->memory << 20,
                             .shared_bytes = calibrate_master_bytes(run),
                             .job_bytes = run->frame_bytes};
    budget.memory_bytes =
        AID_MAX(budget.memory_bytes, budget.shared_bytes + AID_MAX(budget.job_bytes, 1));
    return aid_jobs_run(&budget, "a frame", group->count, calibrate_job, group, err);
}

static aid_status run_groups(calibrate_run *run, aid_error *err)
{
    AID_CLEANUP(aid_free_pointer)
    calibrate_frame **frames = NULL;
    AID_CLEANUP(aid_free_pointer)
    bool *taken = NULL;
    size_t count = (size_t)run->frame_count;
    AID_TRY(aid_new_array(count, sizeof(void *), "frames", &frames, err));
    AID_TRY(aid_new_array(count, sizeof *taken, "frames", &taken, err));
    for (int first = 0; first < run->frame_count; first++) {
        frame_group group = {.run = run, .frames = frames};
        for (int i = first; i < run->frame_count; i++)
            if (!taken[i] && same_masters(&run->frames[first], &run->frames[i])) {
                taken[i] = true;
                frames[group.count++] = &run->frames[i];
            }
        if (group.count > 0)
            AID_TRY(run_group(&group, err));
    }
    return AID_OK;
}

/* ------------------------------------------------------------------------------------ the whole */

static aid_status report(const calibrate_run *run, aid_error *err)
{
    const calibrate_frame *first = NULL;
    int refused = 0;
    if (run->options->common.json)
        calibrate_print_json(run);
    else
        calibrate_print_text(run);
    for (int i = 0; i < run->frame_count; i++) {
        const calibrate_frame *frame = &run->frames[i];
        if (frame->done)
            continue;
        refused++;
        if (!first ||
            (first->failure.status == AID_ERR_INVALID && frame->failure.status != AID_ERR_INVALID))
            first = frame; /* a full disk weighs more than a bad frame */
        if (run->frame_count > 1)
            aid_print_error("calibrate", &frame->failure);
    }
    if (refused == 0)
        return AID_OK;
    if (run->frame_count > 1)
        AID_FAIL(err, first->failure.status, "%d of %d frames were not calibrated", refused,
                 run->frame_count);
    AID_FAIL(err, first->failure.status, "%s", first->failure.message);
}

static aid_status work(calibrate_run *run, aid_error *err)
{
    AID_TRY(calibrate_find_masters(run, err));
    if (run->options->masters)
        for (int i = 0; i < run->frame_count; i++)
            AID_TRY(choose_by_header(run, &run->frames[i], err));
    else
        for (int i = 0; i < run->frame_count; i++)
            for (int k = 0; k < run->master_count; k++) /* told, so they are for every frame */
                for (int kind = 0; kind < CALIBRATE_KINDS; kind++)
                    if (run->masters[k].facts.type == calibrate_types[kind])
                        run->frames[i].masters[kind] = k;
    AID_TRY(aid_make_new_folder(run->output, &run->made_folders, err));
    if (run->frame_count > 1)
        measure_frame(run);
    aid_status status = run_groups(run, err);
    if (run->terminal)
        fputs("\r\033[K", run->terminal);
    AID_TRY(status);
    return report(run, err);
}

static aid_status execute(const aid_invocation *invocation, aid_error *err)
{
    calibrate_run *run;
    AID_TRY(aid_new_array(1, sizeof *run, "calibration", &run, err));
    pthread_mutex_init(&run->progress_lock, NULL);
    aid_status status = begin(invocation, run, err);
    if (status == AID_OK)
        status = work(run, err);
    if (status != AID_OK)
        aid_unmake_folder(run->output, run->made_folders);
    for (int i = 0; run->frames && i < run->frame_count; i++) {
        free(run->frames[i].choices);
        free(run->frames[i].notes);
    }
    free(run->frames);
    calibrate_masters_done(run);
    pthread_mutex_destroy(&run->progress_lock);
    free(run);
    return status;
}

const aid_command aid_command_calibrate = {
    .name = "calibrate",
    .summary = "Calibrate raw frames with master bias, dark and flat frames.",
    .details =
        "Takes off overscan, bias and dark current, divides by the flat, carries the noise of\n"
        "each pixel along, and marks cosmic rays. Each frame becomes a file of its own with\n"
        "the extensions VARIANCE and MASK (bits: 1 bad, 2 saturated, 4 cosmic ray, 8 no data).\n"
        "With --masters the best one of a folder is chosen for each frame: of its instrument,\n"
        "shape, binning, filter (flat) and temperature (dark), not expired, nearest in exposure\n"
        "(dark) and time. A frame that is refused stops none of the others; the exit status is\n"
        "3 then.\n",
    .example = "astrid calibrate night/*.fits --masters masters -o calibrated",
    .arguments = arguments,
    .argument_count = (int)AID_COUNT_OF(arguments),
    .uses = uses,
    .use_count = (int)AID_COUNT_OF(uses),
    .options_size = sizeof(calibrate_options),
    .execute = execute,
};
