/* `astrid simulate`: a night with known truth. */
#include "adapters/files/files.h"
#include "adapters/fits/fits.h"
#include "adapters/log/log.h"
#include "apps/cli/commands.h"
#include "apps/cli/simulate.h"
#include "core/base/memory.h"

#include <math.h>
#include <stdlib.h>

static const aid_setting_use uses[] = {
    {AID_FIELD("output", simulate_options, output),
     .help = "folder of the night (default ./simulation)"},
    {AID_FIELD("seed", simulate_options, seed)},
    {AID_FIELD("size", simulate_options, size)},
    {AID_FIELD("transients", simulate_options, transients)},
    {AID_FIELD("faders", simulate_options, faders)},
    {AID_FIELD("variables", simulate_options, variables)},
    {AID_FIELD("movers", simulate_options, movers)},
    {AID_FIELD("snr-min", simulate_options, snr_min)},
    {AID_FIELD("snr-max", simulate_options, snr_max)},
    {AID_FIELD("seeing", simulate_options, seeing)},
    {AID_FIELD("reference-seeing", simulate_options, reference_seeing)},
    {AID_FIELD("rotation", simulate_options, rotation)},
    {AID_FIELD("distortion", simulate_options, distortion)},
    {AID_FIELD("star-density", simulate_options, star_density)},
    {AID_FIELD("galaxy-density", simulate_options, galaxy_density)},
    {AID_FIELD("cosmic-rays", simulate_options, cosmic_rays)},
    {AID_FIELD("raw", simulate_options, raw)},
    {AID_FIELD("raw-science", simulate_options, raw_science)},
    AID_COMMON_USES(simulate_options),
};

/* Every file that may be written; the summary is the one that others look for. */
#define NINE(stem)                                                                                 \
    "raw/" stem "_1.fits", "raw/" stem "_2.fits", "raw/" stem "_3.fits", "raw/" stem "_4.fits",    \
        "raw/" stem "_5.fits", "raw/" stem "_6.fits", "raw/" stem "_7.fits",                       \
        "raw/" stem "_8.fits", "raw/" stem "_9.fits"
static const char *const file_names[] = {"science.fits",
                                         "reference.fits",
                                         "science_mask.fits",
                                         "reference_mask.fits",
                                         "truth.fits",
                                         "truth.csv",
                                         NINE("bias"),
                                         NINE("dark"),
                                         NINE("flat"),
                                         NINE("science"),
                                         "raw_truth.csv",
                                         "summary.json",
                                         NULL};

/* -------------------------------------------------------------------------------------- writing */

/* What goes into one FITS file, HDU by HDU. */
typedef aid_status (*file_content)(aid_fits_writer *writer, const void *what, aid_error *err);

static aid_status write_fits(const simulate_state *state, const char *name, file_content content,
                             const void *what, aid_error *err)
{
    char path[AID_MAX_PATH];
    aid_fits_writer *writer;
    aid_output_folder_path(state->folder, name, path);
    AID_TRY(aid_fits_create(path, &writer, err));
    aid_status status = content(writer, what, err);
    if (status == AID_OK)
        return aid_fits_commit(writer, err);
    aid_fits_abandon(writer);
    return status;
}

static aid_status put_pixels(aid_fits_writer *writer, const void *what, aid_error *err)
{
    const aid_simulated_frame *frame = what;
    return aid_fits_put_image(writer, NULL, &frame->image, &frame->header, err);
}

static aid_status put_raw(aid_fits_writer *writer, const void *what, aid_error *err)
{
    const aid_simulated_frame *frame = what;
    return aid_fits_put_u16(writer, NULL, &frame->image, &frame->header, err);
}

/* First what an observer may know of the camera, then the whole truth. */
static aid_status put_masks(aid_fits_writer *writer, const void *what, aid_error *err)
{
    const aid_simulated_frame *frame = what;
    AID_CLEANUP(aid_mask_done)
    aid_mask known = {0};
    AID_CLEANUP(aid_header_done)
    aid_header cards = {0};
    AID_TRY(aid_header_append(&cards, "COMMENT", AID_CARD_COMMENT, NULL,
                              "1 bad, 2 saturated; in TRUTH also 4 cosmic ray", err));
    AID_TRY(aid_mask_init(frame->mask.width, frame->mask.height, &known, err));
    for (int64_t i = 0; i < (int64_t)known.width * known.height; i++)
        known.data[i] = frame->mask.data[i] & (AID_MASK_BAD | AID_MASK_SATURATED);
    AID_TRY(aid_fits_put_mask(writer, NULL, &known, &cards, err));
    return aid_fits_put_mask(writer, "TRUTH", &frame->mask, &cards, err);
}

static aid_status put_truth(aid_fits_writer *writer, const void *what, aid_error *err)
{
    AID_TRY(aid_fits_put_header(writer, NULL, err));
    return aid_fits_put_table(writer, "TRUTH", what, NULL, err);
}

static aid_status write_truth(simulate_state *state, aid_error *err)
{
    aid_table table;
    char path[AID_MAX_PATH];
    AID_TRY(simulate_truth_table(state->sky, &table, err));
    aid_output_folder_path(state->folder, "truth.csv", path);
    aid_status status = write_fits(state, "truth.fits", put_truth, &table, err);
    if (status == AID_OK)
        status = aid_table_write_csv(&table, path, err);
    aid_table_done(&table);
    return status;
}

static aid_status write_epoch(const simulate_state *state, int epoch, const char *image_name,
                              const char *mask_name, aid_error *err)
{
    aid_simulated_frame frame;
    AID_TRY(aid_sky_render(state->sky, epoch, state->pool, &frame, err));
    aid_status status = write_fits(state, image_name, put_pixels, &frame, err);
    if (status == AID_OK)
        status = write_fits(state, mask_name, put_masks, &frame, err);
    aid_simulated_frame_done(&frame);
    return status;
}

static aid_status write_science(simulate_state *state, aid_error *err)
{
    return write_epoch(state, AID_SKY_SCIENCE, "science.fits", "science_mask.fits", err);
}

static aid_status write_reference(simulate_state *state, aid_error *err)
{
    return write_epoch(state, AID_SKY_REFERENCE, "reference.fits", "reference_mask.fits", err);
}

static simulated_raw raw_facts(const aid_sky *visit, const aid_sky *sky, aid_raw_kind kind,
                               const aid_simulated_frame *frame)
{
    const aid_sky_epoch *epoch = &aid_sky_options_of(visit)->epoch[AID_SKY_SCIENCE];
    const aid_sky_epoch *science = &aid_sky_options_of(sky)->epoch[AID_SKY_SCIENCE];
    simulated_raw facts = {.kind = kind,
                           .exposure_s = 0.0,
                           .seeing_px = NAN,
                           .sky_adu = NAN,
                           .offset_x_px = NAN,
                           .offset_y_px = NAN};
    snprintf(facts.date_obs, sizeof facts.date_obs, "%s", epoch->date_obs);
    (void)aid_header_number(&frame->header, "EXPTIME", &facts.exposure_s);
    if (kind == AID_RAW_OBJECT) {
        facts.seeing_px = epoch->seeing_px;
        facts.sky_adu = epoch->sky_adu;
        facts.offset_x_px = epoch->offset_x_px - science->offset_x_px;
        facts.offset_y_px = epoch->offset_y_px - science->offset_y_px;
    }
    for (int64_t i = 0; i < (int64_t)frame->mask.width * frame->mask.height; i++) {
        facts.cosmic_ray_pixels += (frame->mask.data[i] & AID_MASK_COSMIC_RAY) != 0;
        facts.saturated_pixels += (frame->mask.data[i] & AID_MASK_SATURATED) != 0;
    }
    return facts;
}

static aid_status write_one_raw(simulate_state *state, const aid_sky *sky, aid_raw_kind kind,
                                int index, aid_error *err)
{
    static const char *const stems[] = {[AID_RAW_BIAS] = "bias",
                                        [AID_RAW_DARK] = "dark",
                                        [AID_RAW_FLAT] = "flat",
                                        [AID_RAW_OBJECT] = "science"};
    aid_simulated_frame frame;
    char name[32];
    snprintf(name, sizeof name, "raw/%s_%d.fits", stems[kind], index + 1);
    AID_TRY(aid_sky_render_raw(sky, kind, AID_SKY_SCIENCE, index, state->pool, &frame, err));
    aid_status status = write_fits(state, name, put_raw, &frame, err);
    simulated_raw facts = raw_facts(sky, state->sky, kind, &frame);
    snprintf(facts.file, sizeof facts.file, "%s", name);
    state->raw[state->raw_count++] = facts;
    aid_simulated_frame_done(&frame);
    return status;
}

static aid_status write_raw_science(simulate_state *state, int index, aid_error *err)
{
    aid_sky *visit;
    AID_TRY(aid_sky_visit(state->sky, AID_SKY_SCIENCE, index, &visit, err));
    aid_status status = write_one_raw(state, visit, AID_RAW_OBJECT, index, err);
    aid_sky_free(visit);
    return status;
}

static aid_status write_raw_truth(const simulate_state *state, aid_error *err)
{
    aid_table table;
    char path[AID_MAX_PATH];
    AID_TRY(simulate_raw_table(state->raw, state->raw_count, &table, err));
    aid_output_folder_path(state->folder, "raw_truth.csv", path);
    aid_status status = aid_table_write_csv(&table, path, err);
    aid_table_done(&table);
    return status;
}

static aid_status write_raw_frames(simulate_state *state, aid_error *err)
{
    for (int kind = AID_RAW_BIAS; kind <= AID_RAW_FLAT; kind++)
        for (int i = 0; i < (int)state->options->raw; i++)
            AID_TRY(write_one_raw(state, state->sky, (aid_raw_kind)kind, i, err));
    for (int i = 0; i < (int)state->options->raw_science; i++)
        AID_TRY(write_raw_science(state, i, err));
    return write_raw_truth(state, err);
}

/* ---------------------------------------------------------------------------------- the command */

static aid_sky_options sky_options(const simulate_options *options)
{
    aid_sky_options sky = AID_SKY_DEFAULTS;
    sky.width = sky.height = (int)options->size;
    sky.seed = (uint64_t)options->seed;
    sky.transients = (int)options->transients;
    sky.faders = (int)options->faders;
    sky.variables = (int)options->variables;
    sky.movers = (int)options->movers;
    sky.snr_min = options->snr_min;
    sky.snr_max = options->snr_max;
    sky.distortion = (aid_sky_distortion)options->distortion;
    sky.star_density = options->star_density;
    sky.galaxy_density = options->galaxy_density;
    sky.epoch[AID_SKY_SCIENCE].seeing_px = options->seeing;
    sky.epoch[AID_SKY_REFERENCE].seeing_px = options->reference_seeing;
    sky.epoch[AID_SKY_SCIENCE].rotation_deg = options->rotation;
    sky.epoch[AID_SKY_SCIENCE].cosmic_rays = options->cosmic_rays;
    return sky;
}

static aid_status make_sky(simulate_state *state, aid_error *err)
{
    aid_sky_options options = sky_options(state->options);
    aid_status status = aid_sky_new(&options, &state->sky, err);
    return status == AID_ERR_INVALID ? AID_ERR_USAGE : status; /* options are all that it had */
}

static void print_what_next(const simulate_state *state)
{
    int64_t count, changes = 0;
    const aid_sky_source *sources = aid_sky_sources(state->sky, &count);
    for (int64_t i = 0; i < count; i++)
        changes += sources[i].kind >= AID_SKY_TRANSIENT;
    printf("%s: %lld sources, of which %lld change; see truth.csv.\n\nNow try:\n"
           "  astrid run %s/science.fits %s/reference.fits\n",
           state->output, (long long)count, (long long)changes, state->output, state->output);
    if (state->raw_count > 0)
        printf("  astrid preprocess %s/raw -o %s/processed\n", state->output, state->output);
}

static aid_status write_summary(simulate_state *state, aid_error *err)
{
    char path[AID_MAX_PATH];
    AID_CLEANUP(aid_free_pointer)
    char *text = NULL;
    size_t size = 0;
    AID_TRY(simulate_summary_text(state, &text, &size, err));
    aid_output_folder_path(state->folder, "summary.json", path);
    AID_TRY(aid_write_file(path, text, size, err));
    aid_output_folder *folder = state->folder;
    state->folder = NULL; /* the commit releases it, also on failure */
    AID_TRY(aid_output_folder_commit(folder, err));
    aid_stage_meter_clear(&state->meter);
    if (state->options->common.json)
        fwrite(text, 1, size, stdout);
    else
        print_what_next(state);
    return AID_OK;
}

typedef aid_status (*step)(simulate_state *state, aid_error *err);

static aid_status stage(simulate_state *state, const char *name, step function, aid_error *err)
{
    AID_TRY(aid_stage_begin(&state->meter, name, err));
    aid_status status = function(state, err);
    aid_stage_end(&state->meter, name);
    return status;
}

static aid_status every_step(simulate_state *state, aid_error *err)
{
    AID_TRY(stage(state, "sky", make_sky, err));
    AID_TRY(aid_output_folder_begin(state->output, file_names, &state->folder, err));
    AID_TRY(stage(state, "truth", write_truth, err));
    AID_TRY(stage(state, "science", write_science, err));
    AID_TRY(stage(state, "reference", write_reference, err));
    if (state->options->raw > 0)
        AID_TRY(stage(state, "raw", write_raw_frames, err));
    return write_summary(state, err);
}

static aid_status execute(const aid_invocation *invocation, aid_error *err)
{
    const simulate_options *options = invocation->options;
    simulate_state *state;
    AID_TRY(aid_new_array(1, sizeof *state, "simulation", &state, err));
    state->invocation = invocation;
    state->options = options;
    state->output = options->output ? options->output : "simulation";
    aid_stage_meter_init(&state->meter, stderr, options->raw > 0 ? 5 : 4);
    aid_status status = aid_pool_new(aid_threads_of(&options->common), &state->pool, err);
    if (status == AID_OK)
        status = every_step(state, err);
    if (status == AID_OK)
        aid_log(AID_INFO, "simulate.done", "output=%s seed=%lld", state->output,
                (long long)options->seed);
    aid_stage_meter_clear(&state->meter);
    aid_output_folder_name_final(state->folder, err);
    aid_output_folder_abandon(state->folder);
    aid_sky_free(state->sky);
    aid_pool_free(state->pool);
    free(state);
    return status;
}

const aid_command aid_command_simulate = {
    .name = "simulate",
    .summary = "Make a night of images whose truth is known.",
    .details =
        "Writes science.fits and reference.fits, two epochs of one field with different\n"
        "seeing, depth, pointing and rotation, their masks, truth.fits and truth.csv with\n"
        "every star, galaxy, transient, fader, variable and mover, and in raw/ the bias,\n"
        "dark, flat and science frames of that night as the camera writes them (with\n"
        "raw_truth.csv). The first raw science frame sees the sky as science.fits does, the\n"
        "others see it later, a little to the side. The same seed gives the same night.\n",
    .example = "astrid simulate -o night --seed 7 --size 1024",
    .uses = uses,
    .use_count = (int)AID_COUNT_OF(uses),
    .options_size = sizeof(simulate_options),
    .execute = execute,
};
