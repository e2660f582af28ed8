/* `astrid photometry`: fluxes at given positions, whatever is there. */
#include "adapters/log/log.h"
#include "apps/cli/commands.h"
#include "apps/cli/photometry.h"
#include "apps/common/stages.h"
#include "apps/common/table_file.h"
#include "core/base/memory.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const aid_setting_use uses[] = {
    {AID_FIELD("at", photometry_options, at)},
    {AID_FIELD("at-pixel", photometry_options, at_pixel)},
    {AID_FIELD("output", photometry_options, output), .unit = "FILE",
     .help = "table of the fluxes: .csv, .fits, .vot or .json; else they are printed"},
    {AID_FIELD("photometry", photometry_options, photometry)},
    {AID_FIELD("aperture", photometry_options, aperture)},
    {AID_FIELD("annulus", photometry_options, annulus)},
    {AID_FIELD("aperture-correction", photometry_options, aperture_correction)},
    {AID_FIELD("local-background", photometry_options, local_background)},
    {AID_FIELD("fixed-wcs", photometry_options, fixed_wcs)},
    {AID_FIELD("zero-point", photometry_options, zero_point)},
    {AID_FIELD("gain", photometry_options, gain)},
    {AID_FIELD("saturation", photometry_options, saturation)},
    {AID_FIELD("hdu", photometry_options, hdu)},
    AID_COMMON_USES(photometry_options),
};

static const aid_argument arguments[] = {
    {.name = "IMG",
     .help = "FITS images, or difference.fits of `astrid run`; several make a light curve",
     .repeats = true},
};

static aid_status read_aperture(const photometry_options *options, aid_aperture *ret_aperture,
                                aid_error *err)
{
    aid_aperture aperture = AID_APERTURE_CIRCLE(options->aperture);
    if (options->annulus) {
        char *end, *last;
        aperture.background = AID_LOCAL_MEDIAN;
        aperture.inner_px = strtod(options->annulus, &end);
        if (end == options->annulus || *end != ',')
            AID_FAIL(err, AID_ERR_USAGE, "--annulus %s is not of the form IN,OUT",
                     options->annulus);
        aperture.outer_px = strtod(end + 1, &last);
        if (last == end + 1 || *last)
            AID_FAIL(err, AID_ERR_USAGE, "--annulus %s is not of the form IN,OUT",
                     options->annulus);
    }
    aid_status status = aid_aperture_check(&aperture, err);
    if (status != AID_OK) {
        err->status = AID_ERR_USAGE;
        return AID_ERR_USAGE;
    }
    *ret_aperture = aperture;
    return AID_OK;
}

static aid_status make_room(photometry_job *job, const aid_invocation *invocation, aid_error *err)
{
    const int64_t most = 100000000;
    job->image_count = invocation->argument_count;
    int64_t rows = (int64_t)job->image_count * job->positions.count;
    if (rows > most)
        AID_FAIL(err, AID_ERR_INVALID, "%d positions on %d images are more than %lld rows",
                 job->positions.count, job->image_count, (long long)most);
    AID_TRY(
        aid_new_array((size_t)job->image_count, sizeof *job->images, "images", &job->images, err));
    for (int i = 0; i < job->image_count; i++)
        job->images[i].path = invocation->arguments[i];
    return aid_new_array((size_t)AID_MAX(rows, 1), sizeof *job->rows, "rows", &job->rows, err);
}

static aid_status measure_all(photometry_job *job, aid_stage_meter *meter, aid_error *err)
{
    for (int i = 0; i < job->image_count; i++) {
        char name[AID_MAX_STAGE_NAME];
        snprintf(name, sizeof name, "image %d", AID_MIN(i + 1, AID_MAX_STAGES - 1));
        AID_TRY(aid_stage_begin(meter, name, err));
        aid_status status = photometry_measure_image(job, i, err);
        aid_stage_end(meter, name);
        AID_TRY(status);
        aid_log(AID_INFO, "photometry.image", "image=%s method=%s positions=%d",
                job->images[i].path, job->images[i].method, job->positions.count);
    }
    return photometry_sort_rows(job, err);
}

static aid_status hand_over(const photometry_job *job, aid_stage_meter *meter, aid_error *err)
{
    AID_CLEANUP(aid_table_done)
    aid_table table = {0};
    AID_TRY(photometry_table(job, &table, err));
    if (job->options->output)
        AID_TRY(photometry_write(job, &table, err));
    aid_stage_meter_clear(meter);
    if (job->options->common.json)
        photometry_print_json(job, &table);
    else
        photometry_print_text(job);
    return AID_OK;
}

static aid_status work(photometry_job *job, const aid_invocation *invocation, aid_error *err)
{
    const photometry_options *options = job->options;
    AID_TRY(read_aperture(options, &job->aperture, err));
    if (options->output)
        AID_TRY(aid_table_check_path(options->output, err));
    AID_TRY(photometry_read_positions(options, &job->notes, &job->positions, err));
    AID_TRY(make_room(job, invocation, err));
    AID_TRY(aid_pool_new(aid_threads_of(&options->common), &job->pool, err));
    aid_stage_meter meter;
    aid_stage_meter_init(&meter, stderr, job->image_count);
    aid_status status = measure_all(job, &meter, err);
    aid_stage_meter_clear(&meter);
    return status == AID_OK ? hand_over(job, &meter, err) : status;
}

static aid_status execute(const aid_invocation *invocation, aid_error *err)
{
    photometry_job *job;
    AID_TRY(aid_new_array(1, sizeof *job, "photometry", &job, err));
    job->invocation = invocation;
    job->options = invocation->options;
    aid_status status = work(job, invocation, err);
    for (int i = 0; job->images && i < job->image_count; i++)
        photometry_image_done(&job->images[i]);
    free(job->images);
    free(job->rows);
    photometry_positions_done(&job->positions);
    aid_pool_free(job->pool);
    free(job);
    return status;
}

const aid_command aid_command_photometry = {
    .name = "photometry",
    .summary = "Measure fluxes at given positions on one or many images.",
    .details =
        "Every position gets a flux, an error and limits on every image, whatever is there:\n"
        "negative fluxes are fluxes. Rows are sorted by position, then time. On the\n"
        "difference.fits of a run the change of flux is measured, from its FLUX and FLUX_ERR\n"
        "maps.\n",
    .example = "astrid photometry night1.fits night2.fits --at 150.1163,32.2058 -o curve.csv",
    .arguments = arguments,
    .argument_count = (int)AID_COUNT_OF(arguments),
    .uses = uses,
    .use_count = (int)AID_COUNT_OF(uses),
    .options_size = sizeof(photometry_options),
    .execute = execute,
};
