/* `astrid run`: the main job on one pair of images. */
#include "adapters/files/files.h"
#include "adapters/log/log.h"
#include "apps/cli/commands.h"
#include "apps/cli/run.h"
#include "core/base/memory.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const aid_setting_use uses[] = {
    {AID_FIELD("output", run_options, output),
     .help = "folder of the results (default ./<science name>.astrid)"},
    {AID_FIELD("threshold", run_options, threshold)},
    {AID_FIELD("method", run_options, method)},
    {AID_FIELD("inject", run_options, inject)},
    {AID_FIELD("seed", run_options, seed)},
    {AID_FIELD("zero-point", run_options, zero_point)},
    {AID_FIELD("gain", run_options, gain)},
    {AID_FIELD("reference-gain", run_options, reference_gain)},
    {AID_FIELD("saturation", run_options, saturation)},
    {AID_FIELD("reference-saturation", run_options, reference_saturation)},
    {AID_FIELD("science-mask", run_options, science_mask)},
    {AID_FIELD("reference-mask", run_options, reference_mask)},
    {AID_FIELD("science-hdu", run_options, science_hdu)},
    {AID_FIELD("reference-hdu", run_options, reference_hdu)},
    AID_COMMON_USES(run_options),
};

static const aid_argument arguments[] = {
    {.name = "SCI", .help = "FITS image in which something may have changed"},
    {.name = "REF", .help = "FITS image of the same sky at another time"},
};

enum { DIFFERENCE, CANDIDATES_FITS, CANDIDATES_CSV, CANDIDATES_JSON, REPORT, SUMMARY, FILES };
const char *const run_file_names[] = {"difference.fits",
                                      "candidates.fits",
                                      "candidates.csv",
                                      "candidates.json",
                                      "report.html",
                                      "summary.json",
                                      NULL};
const char *const run_file_contents[FILES + 1] = {
    "difference, score, flux, motion and mask maps, and the PSF",
    "what was found, as a FITS binary table",
    "the same as comma-separated values",
    "the same as JSON",
    "this report",
    "every number of the run"};

/* "data/night1.fits.gz" -> "night1.astrid" */
static void default_output(const char *science, char output[AID_MAX_PATH])
{
    static const char *const endings[] = {".gz", ".fz", ".fits", ".fit", ".fts"};
    const char *slash = strrchr(science, '/');
    const char *base = slash ? slash + 1 : science;
    size_t length = strlen(base);
    for (size_t i = 0; i < AID_COUNT_OF(endings); i++) {
        size_t tail = strlen(endings[i]);
        if (length > tail && !strncasecmp(base + length - tail, endings[i], tail))
            length -= tail;
    }
    snprintf(output, AID_MAX_PATH, "%.*s.astrid", (int)length, base);
}

/* ----------------------------------------------------------------------------------- processing */

static aid_prepare_input prepare_input(run_input *input)
{
    const char *slash = strrchr(input->path, '/');
    return (aid_prepare_input){.name = slash ? slash + 1 : input->path,
                               .take_image = &input->file.image,
                               .take_mask = &input->file.mask,
                               .variance = &input->file.variance,
                               .header = &input->file.header};
}

/* Two differences at once take 55 bytes a pixel. */
static const int64_t large_pixels = 50000000;

static aid_status process(run_state *run, aid_error *err)
{
    const run_options *options = run->options;
    aid_process_options process = {.science = AID_PREPARE_DEFAULTS,
                                   .reference = AID_PREPARE_DEFAULTS,
                                   .registration = AID_REGISTRATION_DEFAULTS,
                                   .difference = AID_DIFFERENCE_DEFAULTS,
                                   .detection = AID_DETECTION_DEFAULTS,
                                   .inject = (int)options->inject,
                                   .seed = (uint64_t)options->seed,
                                   .large_pixels = large_pixels};
    process.science.gain = options->gain;
    process.science.saturation = options->saturation;
    process.science.zero_point = options->zero_point;
    process.reference.gain = options->reference_gain;
    process.reference.saturation = options->reference_saturation;
    process.difference.method = (aid_method)options->method;
    process.detection.threshold = options->threshold;
    aid_prepare_input science = prepare_input(&run->inputs[0]);
    aid_prepare_input reference = prepare_input(&run->inputs[1]);
    aid_stage_observer observer = aid_stage_meter_observer(&run->meter);
    return aid_process_exposure(&science, &reference, &process, run->pool, &observer, &run->result,
                                err);
}

/* -------------------------------------------------------------------------------------- writing */

typedef struct write_job {
    const run_state *run;
    aid_table table;
} write_job;

/* Each task writes one file. */
static aid_status write_one(void *context, int64_t task, int worker, aid_error *err)
{
    (void)worker;
    const write_job *job = context;
    char path[AID_MAX_PATH];
    aid_output_folder_path(job->run->folder, run_file_names[task], path);
    switch (task) {
    case DIFFERENCE:
        return run_write_difference(job->run, path, err);
    case CANDIDATES_FITS:
        return run_write_candidates_fits(job->run, &job->table, path, err);
    case CANDIDATES_CSV:
        return aid_table_write_csv(&job->table, path, err);
    default:
        return aid_table_write_json(&job->table, path, err);
    }
}

static aid_status write_maps_and_tables(run_state *run, aid_error *err)
{
    write_job job = {.run = run};
    AID_TRY(run_candidate_table(run, &job.table, err));
    aid_status status = aid_pool_run(run->pool, CANDIDATES_JSON + 1, write_one, &job, err);
    aid_table_done(&job.table);
    return status;
}

static aid_status write_report(run_state *run, aid_error *err)
{
    char path[AID_MAX_PATH];
    aid_output_folder_path(run->folder, run_file_names[REPORT], path);
    return run_write_report(run, path, err);
}

/* The summary comes last: it tells what everything before it cost. */
static aid_status write_summary(run_state *run, aid_error *err)
{
    char path[AID_MAX_PATH];
    AID_CLEANUP(aid_free_pointer)
    char *text = NULL;
    size_t size = 0;
    AID_TRY(run_summary_text(run, &text, &size, err));
    aid_output_folder_path(run->folder, run_file_names[SUMMARY], path);
    AID_TRY(aid_write_file(path, text, size, err));
    aid_output_folder *folder = run->folder;
    run->folder = NULL; /* the commit releases it, also on failure */
    AID_TRY(aid_output_folder_commit(folder, err));
    aid_stage_meter_clear(&run->meter);
    if (run->options->common.json)
        fwrite(text, 1, size, stdout);
    else
        run_print_findings(run);
    return AID_OK;
}

/* ---------------------------------------------------------------------------------- the command */

typedef aid_status (*step)(run_state *run, aid_error *err);

static aid_status stage(run_state *run, const char *name, step function, aid_error *err)
{
    AID_TRY(aid_stage_begin(&run->meter, name, err));
    aid_status status = function(run, err);
    aid_stage_end(&run->meter, name);
    return status;
}

static aid_status every_step(run_state *run, aid_error *err)
{
    AID_TRY(aid_output_folder_begin(run->output, run_file_names, &run->folder, err));
    AID_TRY(stage(run, "read", run_read_inputs, err));
    AID_TRY(process(run, err));
    AID_TRY(stage(run, "write", write_maps_and_tables, err));
    AID_TRY(stage(run, "report", write_report, err));
    return write_summary(run, err);
}

static void describe(run_state *run, const aid_invocation *invocation)
{
    const run_options *options = invocation->options;
    run->invocation = invocation;
    run->options = options;
    run->inputs[0] = (run_input){.role = "science",
                                 .path = invocation->arguments[0],
                                 .hdu = options->science_hdu,
                                 .mask_path = options->science_mask};
    run->inputs[1] = (run_input){.role = "reference",
                                 .path = invocation->arguments[1],
                                 .hdu = options->reference_hdu,
                                 .mask_path = options->reference_mask};
    run->parameter_count = aid_command_parameters(invocation, run->parameters, RUN_MAX_PARAMETERS);
    aid_stage_meter_init(&run->meter, stderr, options->inject > 0 ? 9 : 8);
}

static aid_status execute(const aid_invocation *invocation, aid_error *err)
{
    run_state *run;
    char output[AID_MAX_PATH];
    AID_TRY(aid_new_array(1, sizeof *run, "run", &run, err));
    describe(run, invocation);
    default_output(run->inputs[0].path, output);
    run->output = run->options->output ? run->options->output : output;
    aid_status status = aid_pool_new(aid_threads_of(&run->options->common), &run->pool, err);
    if (status == AID_OK)
        status = every_step(run, err);
    if (status == AID_OK)
        aid_log(AID_INFO, "run.done", "science=%s output=%s candidates=%d unflagged=%d",
                run->inputs[0].path, run->output, run->result.candidates.count,
                run->result.candidates.unflagged);
    aid_stage_meter_clear(&run->meter);
    aid_output_folder_name_final(run->folder, err);
    aid_output_folder_abandon(run->folder);
    aid_process_result_done(&run->result);
    run_inputs_done(run);
    aid_pool_free(run->pool);
    free(run);
    return status;
}

const aid_command aid_command_run = {
    .name = "run",
    .summary = "Find what changed between two images of the same sky.",
    .details = "Aligns REF with SCI, subtracts it, finds and measures what is left over, and\n"
               "writes difference.fits, candidates.fits, .csv and .json, report.html and\n"
               "summary.json. The folder of an earlier run is replaced as a whole; a run that\n"
               "fails leaves it alone.\n",
    .example = "astrid run science.fits reference.fits -o results",
    .arguments = arguments,
    .argument_count = (int)AID_COUNT_OF(arguments),
    .uses = uses,
    .use_count = (int)AID_COUNT_OF(uses),
    .options_size = sizeof(run_options),
    .execute = execute,
};
