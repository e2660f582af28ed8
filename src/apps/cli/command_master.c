/* `astrid master`: calibration masters out of raw frames. */
#include "adapters/log/log.h"
#include "apps/cli/commands.h"
#include "apps/cli/master.h"
#include "core/base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const aid_setting_use uses[] = {
    {AID_FIELD("output", master_options, output), .unit = "FILE",
     .help = "the master, a FITS file (default ./master_TYPE.fits)"},
    {AID_FIELD("bias", master_options, bias)},
    {AID_FIELD("dark", master_options, dark)},
    {AID_FIELD("combine", master_options, combine)},
    {AID_FIELD("kappa", master_options, kappa)},
    {AID_FIELD("overscan", master_options, overscan)},
    {AID_FIELD("measure-gain", master_options, measure_gain)},
    {AID_FIELD("valid-days", master_options, valid_days)},
    {AID_FIELD("strict", master_options, strict)},
    AID_COMMON_USES(master_options),
};

static const aid_argument arguments[] = {
    {.name = "TYPE", .help = "bias, dark or flat"},
    {.name = "FILE", .help = "raw frames", .repeats = true},
};

/* --------------------------------------------------------------------------------------- reading
 */

static aid_status read_type(master_state *state, const char *word, aid_error *err)
{
    for (int type = AID_TYPE_BIAS; type <= AID_TYPE_FLAT; type++)
        if (!strcmp(word, aid_frame_type_name((aid_frame_type)type))) {
            state->making.type = (aid_frame_type)type;
            return AID_OK;
        }
    AID_FAIL(err, AID_ERR_USAGE, "%s is none of bias, dark, flat", word);
}

/* Files that are read must not be what is written. */
static aid_status check_output(const master_state *state, aid_error *err)
{
    struct stat output, input;
    if (stat(state->output, &output) != 0)
        return AID_OK;
    const char *const masters[] = {state->options->bias, state->options->dark};
    for (int i = 0; i < state->input_count + (int)AID_COUNT_OF(masters); i++) {
        const char *path =
            i < state->input_count ? state->inputs[i].path : masters[i - state->input_count];
        if (path && stat(path, &input) == 0 && input.st_dev == output.st_dev &&
            input.st_ino == output.st_ino)
            AID_FAIL(err, AID_ERR_USAGE, "%s: the output would replace an input", path);
    }
    return AID_OK;
}

static aid_status check_options(const master_state *state, aid_error *err)
{
    const master_options *options = state->options;
    if (!options->measure_gain)
        return AID_OK;
    if (state->making.type != AID_TYPE_FLAT)
        AID_FAIL(err, AID_ERR_USAGE, "--measure-gain is of flats, not of a %s",
                 aid_frame_type_name(state->making.type));
    if (!options->bias)
        AID_FAIL(err, AID_ERR_USAGE, "--measure-gain needs the noise of a bias: give --bias too");
    return AID_OK;
}

static aid_status describe(master_state *state, const aid_invocation *invocation, aid_error *err)
{
    const master_options *options = invocation->options;
    static const aid_combine_method methods[] = {AID_COMBINE_CLIPPED_MEAN, AID_COMBINE_MEDIAN,
                                                 AID_COMBINE_MEAN};
    state->invocation = invocation;
    state->options = options;
    AID_TRY(read_type(state, invocation->arguments[0], err));
    if (options->combine >= (int)AID_COUNT_OF(methods))
        AID_FAIL(err, AID_ERR_USAGE, "--combine weighted is for images with a known variance");
    state->making.method = methods[options->combine];
    state->making.kappa = options->kappa;
    state->making.overscan = (aid_overscan_method)options->overscan;
    state->making.strict = options->strict;
    if (options->output)
        snprintf(state->output, sizeof state->output, "%s", options->output);
    else
        snprintf(state->output, sizeof state->output, "master_%s.fits",
                 aid_frame_type_name(state->making.type));
    state->input_count = invocation->argument_count - 1;
    size_t count = (size_t)state->input_count;
    AID_TRY(aid_new_array(count, sizeof *state->inputs, "inputs", &state->inputs, err));
    AID_TRY(aid_new_array(count, sizeof *state->frames, "frames", &state->frames, err));
    for (int i = 0; i < state->input_count; i++) {
        const char *path = invocation->arguments[i + 1], *slash = strrchr(path, '/');
        state->inputs[i] =
            (master_input){.path = path, .name = slash ? slash + 1 : path, .frame = -1};
    }
    AID_TRY(check_options(state, err));
    return check_output(state, err);
}

static aid_status read_masters(master_state *state, aid_error *err)
{
    const master_options *options = state->options;
    if (options->bias) {
        AID_TRY(aid_master_read(options->bias, AID_TYPE_BIAS, &state->notes, &state->bias,
                                state->bias_sha256, err));
        state->making.bias = &state->bias;
    }
    if (options->dark) {
        AID_TRY(aid_master_read(options->dark, AID_TYPE_DARK, &state->notes, &state->dark,
                                state->dark_sha256, err));
        state->making.dark = &state->dark;
    }
    return AID_OK;
}

/* ---------------------------------------------------------------------------------------- making
 */

static aid_status measure_gain(master_state *state, const aid_frame_rows *rows, aid_error *err)
{
    if (!state->options->measure_gain)
        return AID_OK;
    AID_TRY(aid_measure_photon_transfer(rows, state->frames, &state->making,
                                        state->bias.frame_noise, state->pool, &state->transfer,
                                        err));
    state->has_gain = true;
    state->master.facts.gain = state->transfer.gain;
    state->master.facts.read_noise_e = state->transfer.read_noise_e;
    return AID_OK;
}

static aid_status combine(master_state *state, aid_error *err)
{
    aid_frame_rows rows = aid_frame_store_rows(state->store);
    AID_TRY(aid_make_master(&rows, state->frames, &state->making, state->pool, &state->notes,
                            &state->master, err));
    double valid_days = state->options->valid_days;
    aid_frame_facts *facts = &state->master.facts;
    if (isfinite(valid_days) && facts->epoch.known)
        facts->valid_until_mjd_utc = facts->epoch.mid_mjd_utc + valid_days;
    else if (isfinite(valid_days))
        aid_note_add(&state->notes, "masters",
                     "the frames tell no date: --valid-days has no day to count from");
    return measure_gain(state, &rows, err);
}

static aid_status write_master(master_state *state, aid_error *err)
{
    AID_CLEANUP(aid_header_done)
    aid_header cards = {0};
    master_identify(state, state->master.id);
    AID_TRY(master_provenance(state, &cards, err));
    return aid_master_write(state->output, &state->master, &cards, err);
}

/* ----------------------------------------------------------------------------------- the command
 */

typedef aid_status (*step)(master_state *state, aid_error *err);

static aid_status stage(master_state *state, const char *name, step function, aid_error *err)
{
    AID_TRY(aid_stage_begin(&state->meter, name, err));
    aid_status status = function(state, err);
    aid_stage_end(&state->meter, name);
    return status;
}

static aid_status every_step(master_state *state, aid_error *err)
{
    AID_TRY(read_masters(state, err));
    AID_TRY(master_find_earlier(state, &state->reused, err));
    if (state->reused)
        return AID_OK;
    AID_TRY(stage(state, "read", master_read_frames, err));
    AID_TRY(stage(state, "combine", combine, err));
    return stage(state, "write", write_master, err);
}

static void state_free(master_state *state)
{
    aid_stage_meter_clear(&state->meter);
    for (int i = 0; state->frames && i < state->input_count; i++)
        aid_raw_frame_done(&state->frames[i]);
    free(state->frames);
    free(state->inputs);
    aid_frame_store_free(state->store);
    for (int s = 0; s < MASTER_MAX_SHAPES; s++)
        aid_frame_store_free(state->shapes[s]);
    aid_master_done(&state->bias);
    aid_master_done(&state->dark);
    aid_master_done(&state->master);
    aid_pool_free(state->pool);
    free(state);
}

static void report(master_state *state)
{
    aid_stage_meter_clear(&state->meter);
    aid_log(AID_INFO, "master.done", "type=%s output=%s frames=%d of=%d reused=%s",
            aid_frame_type_name(state->making.type), state->output, state->master.frames,
            state->input_count, state->reused ? "true" : "false");
    if (state->options->common.json)
        master_print_json(state);
    else
        master_print(state);
}

static aid_status execute(const aid_invocation *invocation, aid_error *err)
{
    master_state *state;
    AID_TRY(aid_new_array(1, sizeof *state, "master", &state, err));
    aid_stage_meter_init(&state->meter, stderr, 3);
    aid_status status = describe(state, invocation, err);
    if (status == AID_OK)
        status = aid_pool_new(aid_threads_of(&state->options->common), &state->pool, err);
    if (status == AID_OK)
        status = every_step(state, err);
    if (status == AID_OK)
        report(state);
    state_free(state);
    return status;
}

const aid_command aid_command_master = {
    .name = "master",
    .summary = "Make a calibration master out of raw frames.",
    .details = "Combines bias, dark or flat frames, pixel by pixel, into one FITS file with\n"
               "its variance and a mask of bad pixels. Darks become a rate in ADU/s: give\n"
               "--bias, or frames of two exposure times. Flats are taken to a mean of 1; give\n"
               "--bias and, where it matters, --dark. Frames that are no good are left out,\n"
               "with the reason. A master that is there already, of the same frames and made\n"
               "in the same way, is left as it is.\n",
    .example = "astrid master flat flat_*.fits --bias master_bias.fits -o master_flat_V.fits",
    .arguments = arguments,
    .argument_count = (int)AID_COUNT_OF(arguments),
    .uses = uses,
    .use_count = (int)AID_COUNT_OF(uses),
    .options_size = sizeof(master_options),
    .execute = execute,
};
