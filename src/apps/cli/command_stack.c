/* `astrid stack`: many images of one sky into one deep one. */
#include "adapters/fits/frame_store.h"
#include "adapters/log/log.h"
#include "apps/cli/commands.h"
#include "apps/cli/frames.h"
#include "apps/common/provenance.h"
#include "apps/common/stop.h"
#include "core/base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct stack_options {
    int method, model, kernel, combine, sky;
    double kappa, max_seeing, max_rms, gain, saturation;
    const char *hdu, *reference, *output;
    int64_t memory_mb;
    aid_common_options common;
} stack_options;

static const aid_setting_use uses[] = {
    {AID_FIELD("output", stack_options, output), .unit = "FILE",
     .help = "the stack, a FITS file; has to be given"},
    {AID_FIELD("reference", stack_options, reference),
     .help = "image whose pixel grid and flux scale the others get; else the first one"},
    {AID_FIELD("combine", stack_options, combine), .fallback = "weighted",
     .help = "how frames become one; weighted: by their noise, outliers clipped"},
    {AID_FIELD("kappa", stack_options, kappa)},
    {AID_FIELD("sky", stack_options, sky)},
    {AID_FIELD("max-seeing", stack_options, max_seeing)},
    {AID_FIELD("max-rms", stack_options, max_rms)},
    {AID_FIELD("register", stack_options, method)},
    {AID_FIELD("model", stack_options, model)},
    {AID_FIELD("kernel", stack_options, kernel)},
    {AID_FIELD("gain", stack_options, gain),
     .help = "electrons for each unit of the images; else from header or noise"},
    {AID_FIELD("saturation", stack_options, saturation),
     .help = "pixel value from which the images are saturated; else from their headers"},
    {AID_FIELD("hdu", stack_options, hdu)},
    {AID_FIELD("memory", stack_options, memory_mb)},
    AID_COMMON_USES(stack_options),
};

static const aid_argument arguments[] = {
    {.name = "IMG", .help = "FITS images of the same sky, calibrated", .repeats = true},
};

typedef struct stack_input {
    const char *path;
    char sha256[65];
    int stored; /* number in the store; -1: refused */
    aid_notes notes;
} stack_input;

typedef struct stack_run {
    const aid_invocation *invocation;
    const stack_options *options;
    aid_pool *pool;
    cli_frame reference;
    int count;
    stack_input *inputs;
    aid_stack_frame *frames; /* [count], of the inputs; a reason, where refused */
    aid_frame_store *store;
    int stored;
    aid_mask saturated; /* of all frames, on the grid */
    aid_stacked stacked;
    aid_stack_summary summary;
    aid_notes notes;
} stack_run;

static aid_stack_options stack_settings(const stack_options *options)
{
    aid_stack_options settings = AID_STACK_DEFAULTS;
    settings.method = (aid_combine_method)options->combine;
    settings.kappa = options->kappa;
    settings.max_fwhm_ratio = options->max_seeing;
    settings.max_rms_px = options->max_rms;
    return settings;
}

/* --------------------------------------------------------------------------------------- frames */

static frame_request request_of(const stack_run *run, const char *path)
{
    frame_request request = {
        .path = path, .hdu = run->options->hdu, .prepare = AID_PREPARE_DEFAULTS};
    request.prepare.gain = run->options->gain;
    request.prepare.saturation = run->options->saturation;
    return request;
}

static aid_status map_frame(const stack_run *run, const cli_frame *frame, aid_notes *notes,
                            aid_registration *ret_registration, aid_grid_map *ret_grid,
                            aid_error *err)
{
    aid_registration_options options = AID_REGISTRATION_DEFAULTS;
    options.method = (aid_registration_method)run->options->method;
    options.model = (aid_registration_model)run->options->model;
    const aid_wcs_pair pair = {.grid = &run->reference.facts,
                               .frame = &frame->facts,
                               .width = run->reference.width,
                               .height = run->reference.height,
                               .frame_width = frame->width,
                               .frame_height = frame->height};
    double worst_px;
    AID_TRY(aid_register(&run->reference.facts, &frame->facts, &options, run->pool, notes,
                         ret_registration, err));
    return aid_align_exactly(&pair, ret_registration, ret_grid, &worst_px, err);
}

static void add_saturated(stack_run *run, const aid_mask *mask)
{
    int64_t pixels = (int64_t)mask->width * mask->height;
    for (int64_t i = 0; i < pixels; i++)
        run->saturated.data[i] |= mask->data[i] & AID_MASK_SATURATED;
}

/* Weights are those of the sky and the flux scale, so what a VARIANCE extension says beyond the
 * noise of the sky is not needed here. */
static aid_status store_frame(stack_run *run, cli_frame *frame, const aid_grid_map *grid,
                              const aid_stack_frame *described, aid_error *err)
{
    AID_CLEANUP(aid_frame_pixels_done)
    aid_frame_pixels pixels = {0};
    aid_regrid_options options = AID_REGRID_DEFAULTS;
    options.width = run->reference.width;
    options.height = run->reference.height;
    options.map = &described->registration.transform;
    options.kernel = frame_kernel(run->options->kernel);
    options.grid = grid->x ? grid : NULL;
    options.subtract_sky = true;
    options.scale = described->scale;
    aid_image_done(&frame->pixels.variance);
    AID_TRY(aid_regrid_frame(&frame->pixels, &frame->facts, &options, run->pool, &pixels, err));
    add_saturated(run, &pixels.mask);
    return aid_frame_store_add(run->store, &pixels.image, &pixels.variance, err);
}

/* The first image is the reference, unless another one was named, and is here already. */
static aid_status take_reference(stack_run *run, aid_error *err)
{
    cli_frame *frame = &run->reference;
    const aid_stack_options settings = stack_settings(run->options);
    const aid_grid_map none = {0};
    aid_registration registration = {
        .transform = aid_transform_identity(frame->width, frame->height), .method = "reference"};
    memcpy(run->inputs[0].sha256, frame->file.sha256, sizeof run->inputs[0].sha256);
    run->inputs[0].notes = run->notes;
    AID_TRY(aid_registration_judge(&frame->facts, &frame->facts, &registration, err));
    AID_TRY(aid_stack_describe(&frame->facts, &frame->facts, &registration, &settings,
                               &run->inputs[0].notes, &run->frames[0], err));
    return store_frame(run, frame, &none, &run->frames[0], err);
}

static aid_status take_frame(stack_run *run, int i, aid_error *err)
{
    if (i == 0 && !run->options->reference)
        return take_reference(run, err);
    stack_input *input = &run->inputs[i];
    AID_CLEANUP(frame_done)
    cli_frame frame = {0};
    AID_CLEANUP(aid_grid_map_done)
    aid_grid_map grid = {0};
    aid_registration registration;
    const frame_request request = request_of(run, input->path);
    const aid_stack_options settings = stack_settings(run->options);
    AID_TRY(frame_read(&request, run->pool, &input->notes, &frame, err));
    memcpy(input->sha256, frame.file.sha256, sizeof input->sha256);
    AID_TRY(map_frame(run, &frame, &input->notes, &registration, &grid, err));
    AID_TRY(aid_stack_describe(&run->reference.facts, &frame.facts, &registration, &settings,
                               &input->notes, &run->frames[i], err));
    aid_image_done(&frame.facts.image); /* the last to look at it was the flux scale */
    return store_frame(run, &frame, &grid, &run->frames[i], err);
}

/* A frame that is refused is left out, with its reason; running out of memory or space, or a
 * request to stop, ends everything. */
static aid_status take_frames(stack_run *run, aid_error *err)
{
    for (int i = 0; i < run->count; i++) {
        stack_input *input = &run->inputs[i];
        aid_error reason = {0};
        if (aid_stop_requested())
            AID_FAIL(err, AID_ERR_CANCELLED, "stopped by a signal");
        input->stored = -1;
        frame_progress(i, run->count, input->path);
        aid_status status = take_frame(run, i, &reason);
        if (status == AID_OK) {
            input->stored = run->stored++;
        } else if (status == AID_ERR_NOMEM || status == AID_ERR_CANCELLED) {
            AID_FAIL(err, status, "%s", reason.message);
        } else {
            run->frames[i] = (aid_stack_frame){.scale = NAN};
            snprintf(run->frames[i].reason, sizeof run->frames[i].reason, "%s", reason.message);
        }
        aid_log(status == AID_OK ? AID_INFO : AID_WARN, "stack.frame", "image=%s status=%s",
                input->path, aid_status_name(status));
    }
    return AID_OK;
}

/* ------------------------------------------------------------------------------------- combining
 */

/* Frames in the order of the store, and back. */
static aid_status combine(stack_run *run, aid_error *err)
{
    const aid_stack_options settings = stack_settings(run->options);
    AID_CLEANUP(aid_free_pointer)
    aid_stack_frame *frames = NULL;
    if (run->stored == 0)
        AID_FAIL(err, AID_ERR_INVALID, "none of %d images can be used; the first: %s", run->count,
                 run->frames[0].reason);
    AID_TRY(aid_new_array((size_t)run->stored, sizeof *frames, "frames", &frames, err));
    for (int i = 0; i < run->count; i++)
        if (run->inputs[i].stored >= 0)
            frames[run->inputs[i].stored] = run->frames[i];
    AID_TRY(aid_stack_weigh(frames, run->stored, &settings, err));
    aid_frame_rows rows = aid_frame_store_rows(run->store);
    AID_TRY(aid_stack_combine(&rows, frames, &settings, run->pool, &run->stacked, err));
    run->summary = aid_stack_summarise(frames, run->stored, run->reference.facts.epoch.exposure_s);
    for (int i = 0; i < run->count; i++)
        if (run->inputs[i].stored >= 0)
            run->frames[i] = frames[run->inputs[i].stored];
    return AID_OK;
}

/* --------------------------------------------------------------------------------------- writing
 */

static double sky_level(const stack_run *run)
{
    return run->options->sky == 0 ? aid_mesh_median(&run->reference.facts.background) : 0.0;
}

static aid_status value_cards(const stack_run *run, aid_header *cards, aid_error *err)
{
    AID_TRY(frame_stack_cards(&run->summary, sky_level(run), cards, err));
    AID_TRY(aid_header_put_number(cards, "NCLIPPED", (double)run->stacked.clipped,
                                  "pixels of frames left out", err));
    AID_TRY(aid_header_put_text(cards, "ALNKERN",
                                frame_kernel_name(frame_kernel(run->options->kernel)),
                                "interpolation", err));
    AID_TRY(aid_header_put_text(cards, "REFFILE", run->reference.path, "grid and flux scale", err));
    return aid_header_put_text(cards, "REFHASH", run->reference.file.sha256, "SHA-256 of that file",
                               err);
}

/* Each frame that is in it: name, hash, weight and flux scale. */
static aid_status input_cards(const stack_run *run, aid_header *cards, aid_error *err)
{
    int number = 0;
    for (int i = 0; i < run->count; i++) {
        char keyword[16], text[256];
        const aid_stack_frame *frame = &run->frames[i];
        if (!(frame->weight > 0.0) || number >= 999)
            continue;
        snprintf(keyword, sizeof keyword, "IMCMB%03d", ++number);
        AID_TRY(aid_header_put_text(cards, keyword, frame->name, "", err));
        snprintf(text, sizeof text, "%s weight %.6f scale %.6f sha256 %s", keyword, frame->weight,
                 frame->scale, run->inputs[i].sha256);
        AID_TRY(aid_header_append(cards, "HISTORY", AID_CARD_COMMENT, NULL, text, err));
    }
    return AID_OK;
}

static aid_status make_cards(const stack_run *run, aid_header *cards, aid_error *err)
{
    AID_CLEANUP(aid_header_done)
    aid_header news = {0};
    AID_CLEANUP(aid_header_done)
    aid_header kept = {0};
    AID_TRY(frame_keep_cards(&run->reference.file.header, &kept, err));
    for (int i = 0; i < kept.count; i++) {
        const aid_card *card = &kept.cards[i];
        if (!isfinite(run->summary.mid_mjd_utc) || !frame_is_time_card(card->keyword))
            AID_TRY(aid_header_append(cards, card->keyword, card->kind, card->value, card->comment,
                                      err));
    }
    AID_TRY(value_cards(run, &news, err));
    AID_TRY(input_cards(run, &news, err));
    AID_TRY(aid_provenance_cards(run->invocation, &news, err));
    return frame_replace_cards(&news, cards, err);
}

/* NaN where no frame has a value; there the mask says so. */
static void finish_pixels(stack_run *run)
{
    aid_image *image = &run->stacked.image;
    float level = (float)sky_level(run);
    for (int32_t y = 0; y < image->height; y++) {
        float *row = aid_image_row(image, y);
        uint8_t *mask = aid_mask_row(&run->saturated, y);
        for (int32_t x = 0; x < image->width; x++) {
            row[x] += level;
            mask[x] |= isfinite(row[x]) ? 0 : AID_MASK_NO_DATA;
        }
    }
}

static aid_status write_stack(stack_run *run, aid_error *err)
{
    AID_CLEANUP(aid_header_done)
    aid_header cards = {0};
    AID_TRY(make_cards(run, &cards, err));
    finish_pixels(run);
    const aid_frame_pixels pixels = {run->stacked.image, run->stacked.variance, run->saturated};
    return frame_write(run->options->output, &pixels, &cards, run->reference.facts.wcs, err);
}

/* ---------------------------------------------------------------------------------------- report
 */

static void print_table(const stack_run *run)
{
    printf("%-24s %-16s %7s %8s %9s %9s %8s %8s %8s\n", "image", "method", "matched", "rms_px",
           "shift_px", "rot_deg", "fwhm_px", "scale", "weight");
    for (int i = 0; i < run->count; i++) {
        const aid_stack_frame *frame = &run->frames[i];
        const aid_registration *r = &frame->registration;
        const char *slash = strrchr(run->inputs[i].path, '/');
        printf("%-24s ", slash ? slash + 1 : run->inputs[i].path);
        if (frame->reason[0])
            printf("left out: %s\n", frame->reason);
        else
            printf("%-16s %7d %8.4f %9.3f %9.4f %8.3f %8.4f %8.4f\n", r->method, r->matched,
                   r->rms_px, r->shift_px, r->rotation_deg, frame->fwhm_px, frame->scale,
                   frame->weight);
    }
    printf("%d of %d images in %s: gain %.4g e-/unit, %lld pixels clipped", run->summary.used,
           run->count, run->options->output, run->summary.gain, (long long)run->stacked.clipped);
    if (isfinite(run->summary.total_exposure_s))
        printf(", %g s in all", run->summary.total_exposure_s);
    putchar('\n');
}

static void put_frame(const stack_run *run, int i, aid_json_writer *json)
{
    const aid_stack_frame *frame = &run->frames[i];
    const stack_input *input = &run->inputs[i];
    aid_json_begin_object(json);
    aid_json_put_text(json, "image", input->path);
    aid_json_put_text(json, "sha256", input->sha256);
    aid_json_put_text(json, "reason", frame->reason);
    if (input->stored >= 0) {
        aid_json_put_number(json, "weight", frame->weight);
        aid_json_put_number(json, "scale", frame->scale);
        aid_json_put_number(json, "scale_err", frame->scale_err);
        aid_json_put_number(json, "scale_stars", frame->scale_stars);
        aid_json_put_number(json, "sky", frame->sky);
        aid_json_put_number(json, "noise", frame->noise);
        aid_json_put_number(json, "fwhm_px", frame->fwhm_px);
        aid_json_put_number(json, "gain", frame->gain);
        aid_json_put_number(json, "clipped", (double)frame->clipped);
        aid_json_key(json, "registration");
        frame_put_registration(json, &frame->registration);
    }
    aid_notes_json(json, &input->notes);
    aid_json_end_object(json);
}

static void print_json(const stack_run *run)
{
    const aid_stack_summary *sum = &run->summary;
    aid_json_writer json = aid_json_writer_on(stdout, 3);
    aid_json_begin_object(&json);
    aid_provenance_json(&json, run->invocation);
    aid_json_put_text(&json, "output", run->options->output);
    aid_json_put_text(&json, "reference", run->reference.path);
    aid_json_put_number(&json, "used", sum->used);
    aid_json_put_number(&json, "total_exposure_s", sum->total_exposure_s);
    aid_json_put_number(&json, "exposure_s", sum->exposure_s);
    aid_json_put_number(&json, "mid_mjd_utc", sum->mid_mjd_utc);
    aid_json_put_number(&json, "gain", sum->gain);
    aid_json_put_number(&json, "read_noise_e", sum->read_noise_e);
    aid_json_put_number(&json, "saturation", sum->saturation + sky_level(run));
    aid_json_put_number(&json, "airmass", sum->airmass);
    aid_json_put_number(&json, "fwhm_px", sum->fwhm_px);
    aid_json_put_number(&json, "clipped", (double)run->stacked.clipped);
    aid_json_put_array(&json, "images");
    for (int i = 0; i < run->count; i++)
        put_frame(run, i, &json);
    aid_json_end_array(&json);
    aid_json_end_object(&json);
    aid_json_finish(&json);
}

/* ------------------------------------------------------------------------------------- the whole
 */

static aid_status every_step(stack_run *run, aid_error *err)
{
    const stack_options *options = run->options;
    if (!options->output)
        AID_FAIL(err, AID_ERR_USAGE, "--output is missing");
    const frame_request request =
        request_of(run, options->reference ? options->reference : run->inputs[0].path);
    AID_TRY(aid_pool_new(aid_threads_of(&options->common), &run->pool, err));
    AID_TRY(frame_read(&request, run->pool, &run->notes, &run->reference, err));
    if (options->reference)
        aid_frame_pixels_done(&run->reference.pixels);
    AID_TRY(aid_mask_init(run->reference.width, run->reference.height, &run->saturated, err));
    AID_TRY(aid_frame_store_new(options->memory_mb << 19, NULL, &run->store, err)); /* the half */
    aid_status status = take_frames(run, err);
    frame_progress(run->count, run->count, "");
    AID_TRY(status);
    AID_TRY(combine(run, err));
    AID_TRY(write_stack(run, err));
    if (options->common.json)
        print_json(run);
    else
        print_table(run);
    return AID_OK;
}

static aid_status execute(const aid_invocation *invocation, aid_error *err)
{
    stack_run run = {.invocation = invocation,
                     .options = invocation->options,
                     .count = invocation->argument_count};
    frame_keep_buffers();
    AID_TRY(aid_new_array((size_t)run.count, sizeof *run.inputs, "images", &run.inputs, err));
    aid_status status =
        aid_new_array((size_t)run.count, sizeof *run.frames, "images", &run.frames, err);
    for (int i = 0; i < run.count; i++)
        run.inputs[i].path = invocation->arguments[i];
    if (status == AID_OK)
        status = every_step(&run, err);
    aid_stacked_done(&run.stacked);
    aid_mask_done(&run.saturated);
    aid_frame_store_free(run.store);
    frame_done(&run.reference);
    aid_pool_free(run.pool);
    free(run.frames);
    free(run.inputs);
    return status;
}

const aid_command aid_command_stack = {
    .name = "stack",
    .summary = "Make one deep image of many.",
    .details =
        "Registers all images to the first one, or to --reference, brings them to its flux\n"
        "scale by the stars they share, subtracts their sky, resamples and combines them.\n"
        "Cosmic rays and other outliers are left out, and so are whole frames with bad\n"
        "seeing, registration or transparency, each with its reason. The header tells gain,\n"
        "noise, saturation and middle time of the stack, so that it can be a reference.\n",
    .example = "astrid stack night/*.fits -o deep.fits",
    .arguments = arguments,
    .argument_count = (int)AID_COUNT_OF(arguments),
    .uses = uses,
    .use_count = (int)AID_COUNT_OF(uses),
    .options_size = sizeof(stack_options),
    .execute = execute,
};
