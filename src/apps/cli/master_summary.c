/* What a master came to, for people and as JSON. */
#include "adapters/files/json.h"
#include "apps/cli/master.h"
#include "apps/common/provenance.h"

#include <math.h>

static const aid_raw_frame *frame_of(const master_state *state, const master_input *input)
{
    return input->frame >= 0 ? &state->frames[input->frame] : NULL;
}

static int64_t bad_pixels(const aid_master *master)
{
    int64_t bad = 0, pixels = (int64_t)master->mask.width * master->mask.height;
    for (int64_t i = 0; i < pixels; i++)
        bad += master->mask.data[i] != 0;
    return bad;
}

static double pixels_of(const aid_master *master)
{
    return (double)master->image.width * (double)master->image.height;
}

static const char *unit_of(aid_frame_type type)
{
    return type == AID_TYPE_BIAS ? " ADU" : type == AID_TYPE_DARK ? " ADU/s" : "";
}

/* -------------------------------------------------------------------------------------- as text */

static void print_frames(const master_state *state)
{
    printf("%-32s %10s %9s %9s\n", "frame", "exposure", "level", "noise");
    for (int i = 0; i < state->input_count; i++) {
        const master_input *input = &state->inputs[i];
        const aid_raw_frame *frame = frame_of(state, input);
        if (!frame) {
            printf("%-32s left out: %s\n", input->name, input->reason);
            continue;
        }
        printf("%-32s %10.4g %9.2f %9.3f%s%s\n", input->name, frame->facts.exposure_s, frame->level,
               frame->noise, frame->used ? "" : "  left out: ", frame->reason);
    }
}

static void print_master(const master_state *state)
{
    const aid_master *master = &state->master;
    aid_frame_type type = state->making.type;
    printf("\nmaster %s of %d frame%s: %d x %d pixels, level %.6g%s, pixels differ by %.4g\n",
           aid_frame_type_name(type), master->frames, master->frames == 1 ? "" : "s",
           master->image.width, master->image.height, master->level, unit_of(type), master->noise);
    if (type == AID_TYPE_BIAS && isfinite(master->frame_noise))
        printf("noise of one frame: %.4g ADU\n", master->frame_noise);
    printf("clipped: %.3g %% of the values; bad pixels: %lld (%.3g %%)\n",
           100.0 * master->rejected_fraction, (long long)bad_pixels(master),
           100.0 * (double)bad_pixels(master) / pixels_of(master));
    if (state->has_gain)
        printf("gain %.4f +- %.4f e-/ADU, read noise %.3f +- %.3f e- (%d pairs of flats)\n",
               state->transfer.gain, state->transfer.gain_error, state->transfer.read_noise_e,
               state->transfer.read_noise_error, state->transfer.pairs);
}

void master_print(const master_state *state)
{
    if (state->reused) {
        printf("%s: made of the same frames in the same way already; left as it is\n",
               state->output);
        return;
    }
    print_frames(state);
    print_master(state);
    for (int i = 0; i < state->notes.count; i++)
        printf("note, %s: %s\n", state->notes.items[i].stage, state->notes.items[i].text);
    printf("%s\n", state->output);
}

/* -------------------------------------------------------------------------------------- as JSON */

static void put_frame(const master_state *state, const master_input *input, aid_json_writer *json)
{
    const aid_raw_frame *frame = frame_of(state, input);
    const char *reason = frame ? frame->reason : input->reason;
    aid_json_begin_object(json);
    aid_json_put_text(json, "file", input->path);
    aid_json_put_text(json, "sha256", input->sha256[0] ? input->sha256 : NULL);
    aid_json_put_bool(json, "used", frame && frame->used);
    aid_json_put_text(json, "reason", reason[0] ? reason : NULL);
    if (frame) {
        aid_json_put_text(json, "type", aid_frame_type_name(frame->facts.type));
        aid_json_put_number(json, "exposure_s", frame->facts.exposure_s);
        aid_json_put_number(json, "temperature_c", frame->facts.temperature_c);
        aid_json_put_number(json, "overscan_adu",
                            frame->overscan.levels ? frame->overscan.level : NAN);
        aid_json_put_number(json, "level_adu", frame->level);
        aid_json_put_number(json, "noise_adu", frame->noise);
        aid_json_put_number(json, "saturated_fraction", frame->saturated_fraction);
    }
    aid_json_end_object(json);
}

static void put_frames(const master_state *state, aid_json_writer *json)
{
    aid_json_put_array(json, "frames");
    for (int i = 0; i < state->input_count; i++)
        put_frame(state, &state->inputs[i], json);
    aid_json_end_array(json);
}

static void put_gain(const aid_photon_transfer *transfer, aid_json_writer *json)
{
    aid_json_put_object(json, "photon_transfer");
    aid_json_put_number(json, "gain", transfer->gain);
    aid_json_put_number(json, "gain_error", transfer->gain_error);
    aid_json_put_number(json, "read_noise_e", transfer->read_noise_e);
    aid_json_put_number(json, "read_noise_error", transfer->read_noise_error);
    aid_json_put_integer(json, "pairs", transfer->pairs);
    aid_json_put_integer(json, "cells", transfer->cells);
    aid_json_end_object(json);
}

static void put_master(const master_state *state, aid_json_writer *json)
{
    const aid_master *master = &state->master;
    aid_json_put_text(json, "output", state->output);
    aid_json_put_text(json, "type", aid_frame_type_name(state->making.type));
    aid_json_put_text(json, "id", master->id);
    aid_json_put_bool(json, "reused", state->reused);
    aid_json_put_integer(json, "width", master->image.width);
    aid_json_put_integer(json, "height", master->image.height);
    aid_json_put_integer(json, "used", master->frames);
    aid_json_put_number(json, "level", master->level);
    aid_json_put_number(json, "noise", master->noise);
    aid_json_put_number(json, "frame_noise_adu", master->frame_noise);
    aid_json_put_number(json, "rejected_fraction", master->rejected_fraction);
    aid_json_put_integer(json, "bad_pixels", bad_pixels(master));
    aid_json_put_bool(json, "above_overscan", master->above_overscan);
    if (state->has_gain)
        put_gain(&state->transfer, json);
}

void master_print_json(const master_state *state)
{
    aid_json_writer json = aid_json_writer_on(stdout, 2);
    aid_json_begin_object(&json);
    aid_provenance_json(&json, state->invocation);
    put_master(state, &json);
    if (!state->reused)
        put_frames(state, &json);
    aid_notes_json(&json, &state->notes);
    aid_json_end_object(&json);
    aid_json_finish(&json);
}
