/* `astrid calibrate`: raw frames and masters to calibrated frames. */
#include "adapters/files/files.h"
#include "adapters/fits/fits.h"
#include "apps/cli/calibrate.h"
#include "apps/cli/commands.h"
#include "apps/cli/frames.h"
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

/* Bytes of a pixel in work: raw, image, variance and mask, and what L.A.Cosmic adds. */
enum { BYTES_PER_PIXEL = 44 };

static aid_status decide_workers(calibrate_run *run, aid_error *err)
{
    int threads = aid_threads_of(&run->options->common);
    aid_fits_image file;
    aid_fits_read_options options = AID_FITS_READ_DEFAULTS;
    options.headers_only = true;
    run->workers = 1;
    if (run->frame_count > 1 && threads > 1 &&
        aid_fits_read(run->frames[0].path, &options, &file, NULL) == AID_OK) {
        double bytes = (double)BYTES_PER_PIXEL * file.width * file.height;
        double fit = floor((double)run->options->memory * 1048576.0 / AID_MAX(bytes, 1.0));
        run->workers = (int)AID_CLAMP(fit, 1.0, (double)AID_MIN(threads, run->frame_count));
        aid_fits_image_done(&file);
    }
    return run->workers == 1 ? aid_pool_new(threads, &run->inner, err) : AID_OK;
}

/* Frames that share their masters, so that only those are in memory. */
typedef struct frame_group {
    calibrate_run *run;
    int count;
    calibrate_frame **frames;
} frame_group;

static aid_status calibrate_task(void *context, int64_t task, int worker, aid_error *err)
{
    (void)worker;
    const frame_group *group = context;
    return calibrate_one(group->run, group->frames[task], err);
}

static bool same_masters(const calibrate_frame *a, const calibrate_frame *b)
{
    return memcmp(a->masters, b->masters, sizeof a->masters) == 0;
}

static aid_status run_group(frame_group *group, aid_pool *outer, aid_error *err)
{
    aid_error why = {0};
    aid_status status = calibrate_load(group->run, group->frames[0], &why);
    if (status == AID_OK)
        return aid_pool_run(outer, group->count, calibrate_task, group, err);
    for (int i = 0; i < group->count; i++) /* a master that cannot be read stops none of the rest */
        group->frames[i]->failure = why;
    return AID_OK;
}

static aid_status run_groups(calibrate_run *run, aid_pool *outer, aid_error *err)
{
    AID_CLEANUP(aid_free_pointer)
    calibrate_frame **frames = NULL;
    AID_CLEANUP(aid_free_pointer)
    bool *taken = NULL;
    size_t count = (size_t)run->frame_count;
    AID_TRY(aid_new_array(count, sizeof *frames, "frames", &frames, err));
    AID_TRY(aid_new_array(count, sizeof *taken, "frames", &taken, err));
    for (int first = 0; first < run->frame_count; first++) {
        frame_group group = {.run = run, .frames = frames};
        for (int i = first; i < run->frame_count; i++)
            if (!taken[i] && same_masters(&run->frames[first], &run->frames[i])) {
                taken[i] = true;
                frames[group.count++] = &run->frames[i];
            }
        if (group.count > 0)
            AID_TRY(run_group(&group, outer, err));
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
    AID_TRY(aid_make_folder(run->output, err));
    AID_TRY(decide_workers(run, err));
    aid_pool *outer;
    AID_TRY(aid_pool_new(run->workers, &outer, err));
    aid_status status = run_groups(run, outer, err);
    aid_pool_free(outer);
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
    for (int i = 0; run->frames && i < run->frame_count; i++) {
        free(run->frames[i].choices);
        free(run->frames[i].notes);
    }
    free(run->frames);
    calibrate_masters_done(run);
    aid_pool_free(run->inner);
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
