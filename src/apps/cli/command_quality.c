/* `astrid quality`: what images are worth, one by one and in the course of a night. */
#include "adapters/files/files.h"
#include "adapters/fits/fits.h"
#include "adapters/log/log.h"
#include "adapters/report/quality_report.h"
#include "apps/cli/commands.h"
#include "apps/cli/quality.h"
#include "apps/common/output_folder.h"
#include "apps/common/table_file.h"
#include "apps/common/version.h"
#include "core/base/memory.h"

#include <stdlib.h>
#include <string.h>

static const aid_setting_use uses[] = {
    {AID_FIELD("output", quality_options, output), .unit = "FILE|FOLDER",
     .help = "table (.csv .json .vot .fits), or folder for tables and report"},
    {AID_FIELD("reference", quality_options, reference)},
    {AID_FIELD("reference-hdu", quality_options, reference_hdu)},
    {AID_FIELD("background-estimator", quality_options, background_estimator)},
    {AID_FIELD("noise-estimator", quality_options, noise_estimator)},
    {AID_FIELD("gain", quality_options, gain),
     .help = "electrons for each unit of the images; else from header or noise"},
    {AID_FIELD("saturation", quality_options, saturation),
     .help = "pixel value from which an image is saturated; else from its header"},
    {AID_FIELD("zero-point", quality_options, zero_point),
     .help = "magnitude of one unit of the images; else from their headers"},
    {AID_FIELD("hdu", quality_options, hdu)},
    {AID_FIELD("memory", quality_options, memory)},
    AID_COMMON_USES(quality_options),
};

static const aid_argument arguments[] = {
    {.name = "IMG", .help = "FITS images", .repeats = true},
};

enum { QUALITY_CSV, QUALITY_FITS, TRENDS_CSV, QUALITY_JSON, REPORT, FILES };
static const char *const file_names[FILES + 1] = {"quality.csv",  "quality.fits", "trends.csv",
                                                  "quality.json", "report.html",  NULL};

/* -------------------------------------------------------------------------------------- writing */

static bool is_table_name(const char *path)
{
    return path && aid_table_check_path(path, NULL) == AID_OK;
}

static aid_status write_fits(const aid_table *images, const aid_table *trends, const char *path,
                             aid_error *err)
{
    aid_fits_writer *writer;
    AID_TRY(aid_fits_create(path, &writer, err));
    aid_status status = aid_fits_put_header(writer, NULL, err);
    if (status == AID_OK)
        status = aid_fits_put_table(writer, "QUALITY", images, NULL, err);
    if (status == AID_OK && trends->rows > 0)
        status = aid_fits_put_table(writer, "TRENDS", trends, NULL, err);
    if (status == AID_OK)
        return aid_fits_commit(writer, err);
    aid_fits_abandon(writer);
    return status;
}

static aid_status write_json(const quality_run *run, const char *path, aid_error *err)
{
    aid_new_file *file;
    AID_TRY(aid_new_file_open(path, &file, err));
    aid_status status = quality_write_json(run, aid_new_file_stream(file), err);
    if (status == AID_OK)
        return aid_new_file_commit(file, err);
    aid_new_file_abandon(file);
    return status;
}

static aid_status write_report(const quality_run *run, const char *path, aid_error *err)
{
    char program[256];
    snprintf(program, sizeof program, "%s %s (%s; %s)", AID_PROGRAM_NAME, aid_version(),
             aid_build(), aid_compiler());
    aid_quality_report_failure *failures;
    AID_TRY(aid_new_array((size_t)run->count, sizeof *failures, "report", &failures, err));
    aid_quality_report report = {.frames = run->frames,
                                 .series = &run->series,
                                 .failures = failures,
                                 .notes = &run->notes,
                                 .program_version = program,
                                 .reference = run->options->reference};
    for (int i = 0; i < run->count; i++)
        if (run->images[i].frame < 0)
            failures[report.failure_count++] =
                (aid_quality_report_failure){run->images[i].path, run->images[i].error.message};
    aid_status status = aid_quality_report_write(&report, path, err);
    free(failures);
    return status;
}

static aid_status write_files(const quality_run *run, const aid_output_folder *folder,
                              aid_error *err)
{
    char paths[FILES][AID_MAX_PATH];
    AID_CLEANUP(aid_table_done)
    aid_table images = {0};
    AID_CLEANUP(aid_table_done)
    aid_table trends = {0};
    for (int i = 0; i < FILES; i++)
        aid_output_folder_path(folder, file_names[i], paths[i]);
    AID_TRY(quality_image_table(run, &images, err));
    AID_TRY(quality_trend_table(run, &trends, err));
    AID_TRY(aid_table_write_csv(&images, paths[QUALITY_CSV], err));
    AID_TRY(aid_table_write_csv(&trends, paths[TRENDS_CSV], err));
    AID_TRY(write_fits(&images, &trends, paths[QUALITY_FITS], err));
    AID_TRY(write_json(run, paths[QUALITY_JSON], err));
    return write_report(run, paths[REPORT], err);
}

static aid_status write_folder(quality_run *run, aid_error *err)
{
    aid_output_folder *folder = run->folder;
    run->folder = NULL; /* released below */
    aid_status status = write_files(run, folder, err);
    if (status == AID_OK)
        return aid_output_folder_commit(folder, err);
    aid_output_folder_name_final(folder, err);
    aid_output_folder_abandon(folder);
    return status;
}

/* What cannot be written is known before the work is done. */
static aid_status begin_output(quality_run *run, aid_error *err)
{
    const char *path = run->options->output;
    return !path || is_table_name(path)
               ? AID_OK
               : aid_output_folder_begin(path, file_names, &run->folder, err);
}

static aid_status write_output(quality_run *run, aid_error *err)
{
    const char *path = run->options->output;
    AID_CLEANUP(aid_table_done)
    aid_table table = {0};
    if (!path)
        return AID_OK;
    if (!is_table_name(path))
        return write_folder(run, err);
    AID_TRY(quality_image_table(run, &table, err));
    return aid_table_write(&table, path, NULL, err);
}

/* ---------------------------------------------------------------------------------- the command */

/* A frame is given twice by mistake only, and would count twice in every median. */
static aid_status check_arguments(const aid_invocation *invocation, aid_error *err)
{
    for (int i = 0; i < invocation->argument_count; i++)
        for (int j = i + 1; j < invocation->argument_count; j++)
            if (!strcmp(invocation->arguments[i], invocation->arguments[j]))
                AID_FAIL(err, AID_ERR_USAGE, "%s is given twice", invocation->arguments[i]);
    return AID_OK;
}

/* The others were done, but the person has to know. */
static aid_status tell_of_failures(const quality_run *run, aid_error *err)
{
    for (int i = 0; i < run->count; i++) {
        const quality_image *image = &run->images[i];
        if (image->frame >= 0)
            continue;
        if (run->count == 1) {
            *err = image->error;
            return image->error.status;
        }
        AID_FAIL(err, image->error.status, "%d of %d images could not be assessed%s%s", run->failed,
                 run->count, run->failed > 1 ? ", the first: " : ": ", image->error.message);
    }
    return AID_OK;
}

static aid_status work(quality_run *run, aid_error *err)
{
    AID_TRY(begin_output(run, err));
    AID_TRY(quality_measure(run, err));
    if (run->frame_count > 0)
        AID_TRY(write_output(run, err));
    if (run->options->common.json)
        AID_TRY(quality_write_json(run, stdout, err));
    else if (run->frame_count > 0)
        quality_print(run);
    aid_log(AID_INFO, "quality.done", "images=%d failed=%d", run->count, run->failed);
    return tell_of_failures(run, err);
}

static void run_free(quality_run *run)
{
    for (int i = 0; i < run->frame_count; i++)
        aid_quality_frame_done(&run->frames[i]);
    for (int i = 0; run->images && i < run->count; i++)
        free(run->images[i].notes);
    free(run->images);
    free(run->frames);
    aid_output_folder_abandon(run->folder);
    aid_quality_series_done(&run->series);
    aid_exposure_done(&run->reference);
    aid_pool_free(run->pool);
    free(run);
}

static aid_status begin(const aid_invocation *invocation, quality_run *run, aid_error *err)
{
    run->invocation = invocation;
    run->options = invocation->options;
    run->count = invocation->argument_count;
    size_t count = (size_t)run->count;
    AID_TRY(aid_new_array(count, sizeof *run->images, "images", &run->images, err));
    AID_TRY(aid_new_array(count, sizeof *run->frames, "frames", &run->frames, err));
    for (int i = 0; i < run->count; i++)
        run->images[i] = (quality_image){.path = invocation->arguments[i], .frame = -1};
    return aid_pool_new(aid_threads_of(&run->options->common), &run->pool, err);
}

static aid_status execute(const aid_invocation *invocation, aid_error *err)
{
    quality_run *run;
    AID_TRY(check_arguments(invocation, err));
    AID_TRY(aid_new_array(1, sizeof *run, "quality", &run, err));
    aid_status status = begin(invocation, run, err);
    if (status == AID_OK)
        status = work(run, err);
    run_free(run);
    return status;
}

const aid_command aid_command_quality = {
    .name = "quality",
    .summary = "Measure what images are worth, and what changed in the course of a night.",
    .details = "Sky, noise, seeing, depth, cosmic rays, saturation and more of each image, and a\n"
               "score from 0 to 1: the depth relative to the best images of the same instrument\n"
               "and filter (three at least; else to a good frame of such a camera), less what\n"
               "trailing, masked and saturated pixels cost. Images of one field are compared\n"
               "star by star, which shows clouds. An image that cannot be assessed stops none of\n"
               "the others. A folder given by -o gets quality.csv, .fits and .json, trends.csv\n"
               "and report.html.\n",
    .example = "astrid quality night/*.fits -o quality",
    .arguments = arguments,
    .argument_count = (int)AID_COUNT_OF(arguments),
    .uses = uses,
    .use_count = (int)AID_COUNT_OF(uses),
    .options_size = sizeof(quality_options),
    .execute = execute,
};
