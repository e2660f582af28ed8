#include "adapters/files/json.h"
#include "apps/cli/calibrate.h"
#include "apps/common/provenance.h"

#include <string.h>

static void put_notes(aid_json_writer *json, const aid_note *notes, int count)
{
    aid_json_put_array(json, "notes");
    for (int i = 0; i < count; i++)
        aid_json_text(json, notes[i].text);
    aid_json_end_array(json);
}

/* Every master of the kind that was there, and why it was or was not taken. */
static void put_candidates(aid_json_writer *json, const calibrate_run *run,
                           const calibrate_frame *frame, int kind)
{
    aid_json_begin_array(json);
    for (int i = 0; frame->choices && i < run->master_count; i++) {
        const calibrate_master *master = &run->masters[i];
        if (master->facts.type != calibrate_types[kind])
            continue;
        const aid_choice *choice =
            &frame->choices[(size_t)kind * (size_t)run->master_count + (size_t)i];
        bool used = frame->masters[kind] == i;
        aid_json_begin_object(json);
        aid_json_put_text(json, "file", master->path);
        aid_json_put_bool(json, "used", used);
        aid_json_put_text(json, "reason", used && master->told ? "told so" : choice->reason);
        aid_json_end_object(json);
    }
    aid_json_end_array(json);
}

static void put_masters(aid_json_writer *json, const calibrate_run *run,
                        const calibrate_frame *frame)
{
    aid_json_put_object(json, "masters");
    for (int kind = 0; kind < CALIBRATE_KINDS; kind++) {
        aid_json_key(json, aid_frame_type_name(calibrate_types[kind]));
        put_candidates(json, run, frame, kind);
    }
    aid_json_end_object(json);
}

static void put_numbers(aid_json_writer *json, const calibrate_frame *frame)
{
    const aid_calibrated *numbers = &frame->numbers;
    aid_json_put_text(json, "unit", numbers->electrons ? "electron" : "adu");
    aid_json_put_integer(json, "width", numbers->facts.width);
    aid_json_put_integer(json, "height", numbers->facts.height);
    aid_json_put_bool(json, "overscan", numbers->overscan_done);
    aid_json_put_bool(json, "bias", numbers->bias_done);
    aid_json_put_bool(json, "dark", numbers->dark_done);
    aid_json_put_bool(json, "flat", numbers->flat_done);
    aid_json_put_number(json, "overscan_level", numbers->overscan_level);
    aid_json_put_number(json, "gain", numbers->facts.gain);
    aid_json_put_number(json, "read_noise_e", numbers->facts.read_noise_e);
    aid_json_put_number(json, "saturation", numbers->facts.saturation);
    aid_json_put_integer(json, "bad_pixels", numbers->bad);
    aid_json_put_integer(json, "saturated_pixels", numbers->saturated);
    aid_json_put_integer(json, "no_data_pixels", numbers->no_data);
    aid_json_put_integer(json, "cosmic_ray_hits", frame->hits);
    aid_json_put_integer(json, "cosmic_ray_pixels", frame->hit_pixels);
}

static void put_frame(aid_json_writer *json, const calibrate_run *run, const calibrate_frame *frame)
{
    aid_json_begin_object(json);
    aid_json_put_text(json, "file", frame->path);
    aid_json_put_text(json, "sha256", *frame->sha256 ? frame->sha256 : NULL);
    aid_json_put_text(json, "status", aid_status_name(frame->failure.status));
    aid_json_put_text(json, "error", frame->done ? NULL : frame->failure.message);
    aid_json_put_text(json, "output", frame->done ? frame->output : NULL);
    put_masters(json, run, frame);
    if (frame->done)
        put_numbers(json, frame);
    put_notes(json, frame->notes, frame->note_count);
    aid_json_end_object(json);
}

static int frames_done(const calibrate_run *run)
{
    int done = 0;
    for (int i = 0; i < run->frame_count; i++)
        done += run->frames[i].done;
    return done;
}

void calibrate_print_json(const calibrate_run *run)
{
    aid_json_writer json = aid_json_writer_on(stdout, 4);
    aid_json_begin_object(&json);
    aid_provenance_json(&json, run->invocation);
    aid_json_put_text(&json, "output", run->output);
    aid_json_put_integer(&json, "done", frames_done(run));
    aid_json_put_integer(&json, "refused", run->frame_count - frames_done(run));
    put_notes(&json, run->notes.items, run->notes.count);
    aid_json_put_array(&json, "frames");
    for (int i = 0; i < run->frame_count; i++)
        put_frame(&json, run, &run->frames[i]);
    aid_json_end_array(&json);
    aid_json_end_object(&json);
    aid_json_finish(&json);
}

/* ----------------------------------------------------------------------------------------- text */

static void print_frame(const calibrate_run *run, const calibrate_frame *frame)
{
    const aid_calibrated *numbers = &frame->numbers;
    if (!frame->done)
        return;
    printf("%s\n", frame->output);
    for (int kind = 0; kind < CALIBRATE_KINDS; kind++) {
        int used = frame->masters[kind];
        if (used < 0)
            continue;
        size_t at = (size_t)kind * (size_t)run->master_count + (size_t)used;
        printf("  %s %s (%s)\n", aid_frame_type_name(calibrate_types[kind]),
               run->masters[used].path,
               run->masters[used].told ? "told so" : frame->choices[at].reason);
    }
    printf("  %d x %d, %s; masked: %lld bad, %lld saturated, %lld without data",
           numbers->facts.width, numbers->facts.height, numbers->electrons ? "electrons" : "ADU",
           (long long)numbers->bad, (long long)numbers->saturated, (long long)numbers->no_data);
    if (run->options->cosmic_rays != COSMIC_RAYS_NONE)
        printf("; %lld cosmic rays on %lld pixels%s", (long long)frame->hits,
               (long long)frame->hit_pixels,
               run->options->cosmic_rays == COSMIC_RAYS_CLEAN ? ", filled" : "");
    printf("\n");
    for (int i = 0; i < frame->note_count; i++)
        printf("  note: %s\n", frame->notes[i].text);
}

void calibrate_print_text(const calibrate_run *run)
{
    for (int i = 0; i < run->frame_count; i++)
        print_frame(run, &run->frames[i]);
    for (int i = 0; i < run->notes.count; i++)
        printf("note: %s\n", run->notes.items[i].text);
    if (run->frame_count > 1)
        printf("%d of %d frames calibrated\n", frames_done(run), run->frame_count);
}
