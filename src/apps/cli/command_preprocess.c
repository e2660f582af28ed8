/* `astrid preprocess`: a night of raw frames in, frames that can be measured out. */
#include "adapters/files/files.h"
#include "adapters/log/log.h"
#include "apps/cli/commands.h"
#include "apps/cli/preprocess.h"
#include "apps/common/jobs.h"
#include "core/base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const aid_setting_use uses[] = {
    {AID_FIELD("output", preprocess_options, output),
     .help = "folder of the results (default ./<folder's name>.preprocessed)"},
    {AID_FIELD("stages", preprocess_options, stages)},
    {AID_FIELD("flats", preprocess_options, flats)},
    {AID_FIELD("reference", preprocess_options, reference),
     .help = "image whose grid all frames are aligned to; else the best frame of each object"},
    {AID_FIELD("gain", preprocess_options, gain),
     .help = "electrons for each ADU of the raw frames; else from header, camera or flats"},
    {AID_FIELD("read-noise", preprocess_options, read_noise)},
    {AID_FIELD("saturation", preprocess_options, saturation),
     .help = "pixel value from which raw frames are saturated; else from their headers"},
    {AID_FIELD("zero-point", preprocess_options, zero_point),
     .help = "magnitude of one unit of the calibrated frames; else from their headers"},
    {AID_FIELD("electrons", preprocess_options, electrons)},
    {AID_FIELD("memory", preprocess_options, memory), .fallback = "",
     .help = "to work in at most; unless told, three quarters of the machine's"},
    {AID_FIELD("dry-run", preprocess_options, dry_run)},
    AID_COMMON_USES(preprocess_options),
};

static const aid_argument arguments[] = {
    {.name = "DIR", .help = "folder of raw frames, and of folders of them"},
};

/* "data/2024-05-13/" -> "2024-05-13.preprocessed" */
static void default_output(const char *folder, char output[AID_MAX_PATH])
{
    size_t length = strlen(folder);
    while (length > 1 && folder[length - 1] == '/')
        length--;
    size_t start = length;
    while (start > 0 && folder[start - 1] != '/')
        start--;
    bool unnamed = length == start || !strncmp(folder + start, ".", length - start) ||
                   !strncmp(folder + start, "..", length - start);
    snprintf(output, AID_MAX_PATH, "%.*s.preprocessed", unnamed ? 5 : (int)(length - start),
             unnamed ? "night" : folder + start);
}

/* Another build may give other results, and a commit's name does not tell whether the sources were
 * changed since. */
static aid_status hash_program(night_state *night, aid_error *err)
{
    static const char path[] = "/proc/self/exe";
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        AID_FAIL(err, AID_ERR_IO, "%s: cannot open: %s", path, strerror(errno));
    aid_status status = aid_sha256_descriptor(descriptor, path, night->build, err);
    close(descriptor);
    return status;
}

/* Better now than when all frames are done. */
static aid_status check_reference(const char *path, aid_error *err)
{
    aid_fits_image image;
    aid_fits_read_options options = AID_FITS_READ_DEFAULTS;
    options.headers_only = true;
    AID_TRY(aid_fits_read(path, &options, &image, err));
    aid_fits_image_done(&image);
    return AID_OK;
}

static aid_status check_options(const night_state *night, aid_error *err)
{
    struct stat status;
    const preprocess_options *options = night->options;
    if (stat(night->folder, &status))
        AID_FAIL(err, AID_ERR_IO, "%s: cannot be read: %s", night->folder, strerror(errno));
    if (!S_ISDIR(status.st_mode))
        AID_FAIL(err, AID_ERR_USAGE, "%s: not a folder", night->folder);
    if (strlen(night->output) >= AID_MAX_PATH - 256)
        AID_FAIL(err, AID_ERR_USAGE, "the output folder's name is too long");
    return options->reference ? check_reference(options->reference, err) : AID_OK;
}

static aid_status set_up(const aid_invocation *invocation, night_state *night, aid_error *err)
{
    const preprocess_options *options = invocation->options;
    night->invocation = invocation;
    night->options = options;
    night->folder = invocation->arguments[0];
    night->lock = -1;
    night->begun_s = night_seconds();
    pthread_mutex_init(&night->progress_lock, NULL);
    if (options->output)
        snprintf(night->output, sizeof night->output, "%s", options->output);
    else
        default_output(night->folder, night->output);
    if (!night_stages_parse(options->stages, night->stages))
        AID_FAIL(err, AID_ERR_USAGE,
                 "--stages %s: some of bias,dark,flat,cosmic-rays,quality,align,stack with commas "
                 "between, or none",
                 options->stages);
    night->memory_bytes =
        options->memory != AID_UNSET_INTEGER ? options->memory << 20 : aid_default_memory_bytes();
    night->parameter_count =
        aid_command_parameters(invocation, night->parameters, (int)AID_COUNT_OF(night->parameters));
    const char *kind = getenv("TERM");
    if (isatty(STDERR_FILENO) && kind && strcmp(kind, "dumb") != 0)
        night->terminal = stderr;
    AID_TRY(check_options(night, err));
    AID_TRY(hash_program(night, err));
    return aid_pool_new(aid_threads_of(&options->common), &night->pool, err);
}

/* ------------------------------------------------------------------------------------- results */

static aid_status write_results(const night_state *night, aid_error *err)
{
    char path[AID_MAX_PATH];
    AID_CLEANUP(aid_free_pointer)
    char *text = NULL;
    size_t size = 0;
    night_output_path(night, "night.csv", path);
    AID_TRY(night_write_table(night, path, err));
    night_output_path(night, "report.html", path);
    AID_TRY(night_write_report(night, path, err));
    night_output_path(night, "timing.json", path);
    AID_TRY(night_write_timing(night, path, err));
    AID_TRY(night_summary_text(night, &text, &size, err));
    night_output_path(night, "night.json", path);
    AID_TRY(aid_write_file(path, text, size, err));
    if (night->options->common.json)
        fwrite(text, 1, size, stdout);
    else
        night_print_results(night, stdout);
    return AID_OK;
}

/* They may have been science frames. */
static aid_status unreadable_files(const night_state *night, aid_error *err)
{
    int count = 0;
    const night_file *first = NULL;
    for (int i = 0; i < night->file_count; i++)
        if (night->files[i].unreadable) {
            count++;
            first = first ? first : &night->files[i];
        }
    if (count == 0)
        return AID_OK;
    bool inputs_fault = first->failure.status == AID_ERR_INVALID;
    AID_FAIL(err, inputs_fault ? AID_ERR_INVALID : AID_ERR_IO,
             "%d of %d files cannot be read, the others are done; the first: %s", count,
             night->file_count, first->failure.text);
}

/* Everything that could be done was done; the exit code says that something could not. */
static aid_status verdict(const night_state *night, aid_error *err)
{
    int failed = 0;
    const night_frame *first = NULL;
    bool inputs_fault = true;
    for (int i = 0; i < night->frame_count; i++) {
        const night_frame *frame = &night->frames[i];
        const night_failure *failure =
            night_failed(&frame->failure) ? &frame->failure : &frame->alignment_failure;
        if (!night_failed(failure))
            continue;
        failed++;
        first = first ? first : frame;
        inputs_fault = inputs_fault &&
                       (failure->status == AID_ERR_INVALID || failure->status == AID_ERR_NUMERIC);
    }
    if (failed == 0)
        return unreadable_files(night, err);
    const night_failure *why =
        night_failed(&first->failure) ? &first->failure : &first->alignment_failure;
    AID_FAIL(err, inputs_fault ? AID_ERR_INVALID : AID_ERR_IO,
             "%d of %d science frames failed, the others are done; the first: %s: %s", failed,
             night->frame_count, first->name, why->text);
}

static aid_status show_plan(const night_state *night, aid_error *err)
{
    AID_CLEANUP(aid_free_pointer)
    char *text = NULL;
    size_t size = 0;
    if (!night->options->common.json) {
        night_print_plan(night, stdout);
        return AID_OK;
    }
    AID_TRY(night_summary_text(night, &text, &size, err));
    fwrite(text, 1, size, stdout);
    return AID_OK;
}

static aid_status every_step(night_state *night, aid_error *err)
{
    AID_TRY(night_scan(night, err));
    AID_TRY(night_make_plan(night, err));
    AID_TRY(night_choose(night, err));
    if (night->options->dry_run)
        return show_plan(night, err);
    if (night->frame_count == 0 && night->set_count == 0)
        AID_FAIL(err, AID_ERR_INVALID, "%s: none of its %d FITS files can be used; the first: %s",
                 night->folder, night->file_count, night->files[0].failure.text);
    AID_TRY(night_open_output(night, err));
    AID_TRY(night_make_masters(night, err));
    AID_TRY(night_process_frames(night, err));
    AID_TRY(night_rate_frames(night, err));
    AID_TRY(night_align_frames(night, err));
    AID_TRY(night_stack_groups(night, err));
    AID_TRY(write_results(night, err));
    night_remove_stale(night);
    aid_log(AID_INFO, "preprocess.done", "folder=%s frames=%d output=%s", night->folder,
            night->frame_count, night->output);
    return verdict(night, err);
}

static aid_status execute(const aid_invocation *invocation, aid_error *err)
{
    night_state *night;
    AID_TRY(aid_new_array(1, sizeof *night, "night", &night, err));
    aid_status status = set_up(invocation, night, err);
    if (status == AID_OK)
        status = every_step(night, err);
    night_done(night);
    aid_pool_free(night->pool);
    if (night->lock >= 0)
        close(night->lock);
    pthread_mutex_destroy(&night->progress_lock);
    free(night);
    return status;
}

const aid_command aid_command_preprocess = {
    .name = "preprocess",
    .summary = "Make frames that can be measured out of a night of raw ones.",
    .details =
        "Finds the FITS files of a folder, tells bias, dark, flat and science frames apart by\n"
        "their headers, makes the masters, and takes every science frame through calibration,\n"
        "cosmic-ray cleaning, quality and alignment. Writes masters/, frames/ (image, VARIANCE,\n"
        "MASK), aligned/, stacks/, night.json, night.csv and report.html; and timing.json, the\n"
        "one file that is not the same from run to run.\n"
        "\n"
        "A frame that fails is named with its reason in night.json, and the others are done; the\n"
        "exit status is then 3 where frames are at fault, and 1 where the machine is. What an\n"
        "earlier run has done, also one that was killed, is not done again unless frames,\n"
        "settings or program have changed; what it has left there beyond that goes.\n",
    .example = "astrid preprocess night/raw -o night/processed --memory 4000",
    .arguments = arguments,
    .argument_count = (int)AID_COUNT_OF(arguments),
    .uses = uses,
    .use_count = (int)AID_COUNT_OF(uses),
    .options_size = sizeof(preprocess_options),
    .execute = execute,
};
