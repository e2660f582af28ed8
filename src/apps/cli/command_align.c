/* `astrid align`: images onto the pixel grid of a reference. */
#include "adapters/files/files.h"
#include "adapters/log/log.h"
#include "adapters/transforms/transforms.h"
#include "apps/cli/commands.h"
#include "apps/cli/frames.h"
#include "apps/common/output_folder.h"
#include "apps/common/provenance.h"
#include "apps/common/stop.h"
#include "core/base/memory.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct align_options {
    int method, model, kernel;
    bool no_resample, solve;
    double solve_timeout_s;
    double gain, saturation, reference_gain, reference_saturation;
    const char *science_hdu, *reference_hdu;
    const char *transform_in, *transform_out;
    const char *output;
    int64_t memory_mb;
    aid_common_options common;
} align_options;

static const aid_setting_use uses[] = {
    {AID_FIELD("output", align_options, output), .unit = "FILE",
     .help = "the aligned image; of several images, the folder they go to"},
    {AID_FIELD("register", align_options, method)},
    {AID_FIELD("model", align_options, model)},
    {AID_FIELD("kernel", align_options, kernel)},
    {AID_FIELD("transform-in", align_options, transform_in)},
    {AID_FIELD("transform-out", align_options, transform_out)},
    {AID_FIELD("no-resample", align_options, no_resample)},
    {AID_FIELD("solve", align_options, solve)},
    {AID_FIELD("solve-timeout", align_options, solve_timeout_s)},
    {AID_FIELD("gain", align_options, gain)},
    {AID_FIELD("reference-gain", align_options, reference_gain)},
    {AID_FIELD("saturation", align_options, saturation)},
    {AID_FIELD("reference-saturation", align_options, reference_saturation)},
    {AID_FIELD("science-hdu", align_options, science_hdu)},
    {AID_FIELD("reference-hdu", align_options, reference_hdu)},
    {AID_FIELD("memory", align_options, memory_mb)},
    AID_COMMON_USES(align_options),
};

static const aid_argument arguments[] = {
    {.name = "IMG...", .help = "FITS images that are to be aligned"},
    {.name = "REF",
     .help = "FITS image whose grid they get: the last of all files",
     .repeats = true},
};

/* One image from beginning to end. */
typedef struct alignment {
    const char *path;
    char output[AID_MAX_PATH]; /* "" when nothing is resampled */
    int32_t width, height;
    bool given; /* the map comes from --transform-in */
    aid_registration registration;
    double map_error_px; /* of the map, where the WCS is exact */
    double missing;      /* fraction of the reference's grid without a value */
    aid_status status;
    aid_error error;
    aid_notes notes;
} alignment;

typedef struct align_run {
    const aid_invocation *invocation;
    const align_options *options;
    cli_frame reference;
    aid_notes notes; /* on the reference */
    bool plain;      /* only headers or a given map count: nothing is looked for on the pixels */
    aid_transform_file given;
    int count;
    alignment *images;
    atomic_int done;
    int made_folders;
    aid_pool *inner; /* of a single image; NULL when several run side by side */
} align_run;

/* ------------------------------------------------------------------------------------------ maps
 */

static aid_wcs_pair pair_of(const align_run *run, const cli_frame *image)
{
    return (aid_wcs_pair){.grid = &run->reference.facts,
                          .frame = &image->facts,
                          .width = run->reference.width,
                          .height = run->reference.height,
                          .frame_width = image->width,
                          .frame_height = image->height};
}

static aid_status take_given(const align_run *run, const cli_frame *image, aid_registration *found,
                             aid_error *err)
{
    const aid_transform_file *given = &run->given;
    if ((given->to_width && given->to_width != image->width) ||
        (given->to_height && given->to_height != image->height) ||
        (given->from_width && given->from_width != run->reference.width) ||
        (given->from_height && given->from_height != run->reference.height))
        AID_FAIL(err, AID_ERR_INVALID,
                 "%s: a map from %d x %d to %d x %d pixels, but the reference has %d x %d and %s "
                 "%d x %d",
                 run->options->transform_in, given->from_width, given->from_height, given->to_width,
                 given->to_height, run->reference.width, run->reference.height, image->path,
                 image->width, image->height);
    *found = (aid_registration){.transform = given->transform,
                                .rms_px = NAN,
                                .rms_x_px = NAN,
                                .rms_y_px = NAN,
                                .systematic_px = NAN,
                                .correlation = NAN,
                                .residual_shift_px = NAN,
                                .wcs_residual_px = NAN};
    snprintf(found->method, sizeof found->method, "given");
    aid_registration_geometry(run->reference.width, run->reference.height, image->width,
                              image->height, found);
    return AID_OK;
}

static aid_status find_map(const align_run *run, const cli_frame *image, alignment *result,
                           aid_grid_map *ret_grid, aid_error *err)
{
    const align_options *options = run->options;
    aid_wcs_pair pair = pair_of(run, image);
    if (options->transform_in)
        return take_given(run, image, &result->registration, err);
    if (run->plain)
        return aid_align_by_wcs(&pair, &result->registration, ret_grid, &result->map_error_px, err);
    aid_registration_options registration = AID_REGISTRATION_DEFAULTS;
    registration.method = (aid_registration_method)options->method;
    registration.model = (aid_registration_model)options->model;
    AID_TRY(aid_register(&run->reference.facts, &image->facts, &registration, run->inner,
                         &result->notes, &result->registration, err));
    return aid_align_exactly(&pair, &result->registration, ret_grid, &result->map_error_px, err);
}

/* --------------------------------------------------------------------------------------- writing
 */

static aid_status quality_cards(const align_run *run, const alignment *result, aid_header *cards,
                                aid_error *err)
{
    const aid_registration *r = &result->registration;
    const cli_frame *reference = &run->reference;
    aid_warp_kernel kernel = frame_kernel(run->options->kernel);
    AID_TRY(aid_header_put_text(cards, "ALNMETH", r->method, "how it was aligned", err));
    AID_TRY(aid_header_put_number(cards, "ALNMATCH", r->matched, "stars that agree", err));
    AID_TRY(aid_header_put_number(cards, "ALNRMS", r->rms_px, "[pix] of them, per axis", err));
    AID_TRY(aid_header_put_number(cards, "ALNRESID", r->residual_shift_px,
                                  "[pix] shift that is left over", err));
    AID_TRY(aid_header_put_number(cards, "ALNSHIFT", r->shift_px, "[pix] at the middle", err));
    AID_TRY(
        aid_header_put_number(cards, "ALNROT", r->rotation_deg, "[deg] reference to image", err));
    AID_TRY(aid_header_put_number(cards, "ALNSCALE", r->scale, "image px in a reference px", err));
    AID_TRY(aid_header_put_number(cards, "ALNOVLAP", r->overlap, "fraction of the grid", err));
    AID_TRY(
        aid_header_put_number(cards, "ALNCORR", r->correlation, "cross-correlation, -1..1", err));
    AID_TRY(aid_header_put_text(cards, "ALNKERN", frame_kernel_name(kernel), "interpolation", err));
    AID_TRY(
        aid_header_put_text(cards, "REFFILE", reference->path, "whose pixel grid this is", err));
    return aid_header_put_text(cards, "REFHASH", reference->file.sha256, "SHA-256 of that file",
                               err);
}

static aid_status make_cards(const align_run *run, const cli_frame *image, const alignment *result,
                             aid_header *cards, aid_error *err)
{
    AID_CLEANUP(aid_header_done)
    aid_header news = {0};
    double saturation = image->prepared ? image->facts.saturation : NAN;
    if (!isfinite(saturation))
        (void)aid_header_number(&image->file.header, "SATURATE", &saturation);
    double area = result->registration.scale * result->registration.scale;
    AID_TRY(frame_keep_cards(&image->file.header, cards, err));
    AID_TRY(
        aid_header_put_number(&news, "SATURATE", saturation * area, "of resampled pixels", err));
    AID_TRY(aid_header_put_text(&news, "IMGFILE", image->path, "image that was aligned", err));
    AID_TRY(aid_header_put_text(&news, "IMGHASH", image->file.sha256, "SHA-256 of that file", err));
    AID_TRY(quality_cards(run, result, &news, err));
    AID_TRY(frame_noise_cards(frame_kernel(run->options->kernel), &news, err));
    AID_TRY(aid_provenance_cards(run->invocation, &news, err));
    return frame_replace_cards(&news, cards, err);
}

static double missing_of(const aid_image *image)
{
    int64_t missing = 0, pixels = (int64_t)image->width * image->height;
    for (int32_t y = 0; y < image->height; y++) {
        const float *row = aid_image_row(image, y);
        for (int32_t x = 0; x < image->width; x++)
            missing += !isfinite(row[x]);
    }
    return (double)missing / (double)pixels;
}

static aid_status resample(const align_run *run, cli_frame *image, const aid_grid_map *grid,
                           alignment *result, aid_error *err)
{
    AID_CLEANUP(aid_frame_pixels_done)
    aid_frame_pixels pixels = {0};
    AID_CLEANUP(aid_header_done)
    aid_header cards = {0};
    aid_regrid_options options = AID_REGRID_DEFAULTS;
    options.width = run->reference.width;
    options.height = run->reference.height;
    options.map = &result->registration.transform;
    options.kernel = frame_kernel(run->options->kernel);
    options.grid = grid->x ? grid : NULL;
    AID_TRY(make_cards(run, image, result, &cards, err));
    aid_image_done(&image->facts.image); /* registration was the last to look at it */
    AID_TRY(
        aid_regrid_frame(&image->pixels, frame_facts(image), &options, run->inner, &pixels, err));
    result->missing = missing_of(&pixels.image);
    if (result->missing >= 1.0)
        AID_FAIL(err, AID_ERR_INVALID, "%s: no pixel of the reference's grid gets a value from it",
                 image->path);
    return frame_write(result->output, &pixels, &cards, run->reference.facts.wcs, err);
}

/* ------------------------------------------------------------------------------------- one image
 */

static aid_status align_one(const align_run *run, alignment *result, aid_error *err)
{
    const align_options *options = run->options;
    AID_CLEANUP(frame_done)
    cli_frame image = {0};
    AID_CLEANUP(aid_grid_map_done)
    aid_grid_map grid = {0};
    frame_request request = {.path = result->path,
                             .hdu = options->science_hdu,
                             .prepare = AID_PREPARE_DEFAULTS,
                             .plain = run->plain,
                             .solve = options->solve,
                             .solve_timeout_s = options->solve_timeout_s};
    request.prepare.gain = options->gain;
    request.prepare.saturation = options->saturation;
    if (aid_stop_requested())
        AID_FAIL(err, AID_ERR_CANCELLED, "%s: stopped by a signal", result->path);
    AID_TRY(frame_read(&request, run->inner, &result->notes, &image, err));
    result->width = image.width;
    result->height = image.height;
    AID_TRY(find_map(run, &image, result, &grid, err));
    if (result->map_error_px > 1e-3)
        aid_note_add(&result->notes, "align",
                     "%s: the WCS is followed to %.2g px only: it is not smooth", image.facts.name,
                     result->map_error_px);
    return options->no_resample ? AID_OK : resample(run, &image, &grid, result, err);
}

/* What becomes of one image is its own affair: only a request to stop ends the others. */
static aid_status align_task(void *context, int64_t task, int worker, aid_error *err)
{
    (void)worker;
    align_run *run = context;
    alignment *result = &run->images[task];
    frame_progress(atomic_load(&run->done), run->count, result->path);
    result->status = align_one(run, result, &result->error);
    frame_progress(atomic_fetch_add(&run->done, 1) + 1, run->count, result->path);
    aid_log(result->status == AID_OK ? AID_INFO : AID_WARN, "align.image", "image=%s status=%s",
            result->path, aid_status_name(result->status));
    if (result->status == AID_ERR_CANCELLED)
        AID_FAIL(err, AID_ERR_CANCELLED, "%s", result->error.message);
    return AID_OK;
}

/* ---------------------------------------------------------------------------------------- report
 */

static void print_table(const align_run *run)
{
    printf("%-24s %-18s %7s %8s %8s %9s %9s %8s %7s\n", "image", "method", "matched", "rms_px",
           "resid_px", "shift_px", "rot_deg", "overlap", "ncc");
    for (int i = 0; i < run->count; i++) {
        const alignment *image = &run->images[i];
        const aid_registration *r = &image->registration;
        const char *slash = strrchr(image->path, '/');
        const char *name = slash ? slash + 1 : image->path;
        if (image->status != AID_OK)
            printf("%-24s refused: %s\n", name, image->error.message);
        else
            printf("%-24s %-18s %7d %8.4f %8.4f %9.3f %9.4f %8.3f %7.4f\n", name, r->method,
                   r->matched, r->rms_px, r->residual_shift_px, r->shift_px, r->rotation_deg,
                   r->overlap, r->correlation);
    }
}

static void put_image(const align_run *run, const alignment *image, aid_json_writer *json)
{
    aid_json_begin_object(json);
    aid_json_put_text(json, "image", image->path);
    aid_json_put_text(json, "status", image->status == AID_OK ? "aligned" : "refused");
    aid_json_put_text(json, "reason", image->status == AID_OK ? NULL : image->error.message);
    if (image->status == AID_OK) {
        const aid_transform_file file = {image->registration.transform, run->reference.width,
                                         run->reference.height, image->width, image->height};
        aid_json_put_text(json, "output", image->output[0] ? image->output : NULL);
        aid_json_key(json, "quality");
        frame_put_registration(json, &image->registration);
        aid_json_put_number(json, "missing_fraction", image->missing);
        aid_json_key(json, "transform");
        aid_transform_put_json(json, &file);
    }
    aid_notes_json(json, &image->notes);
    aid_json_end_object(json);
}

static void print_json(const align_run *run)
{
    aid_json_writer json = aid_json_writer_on(stdout, 4);
    aid_json_begin_object(&json);
    aid_provenance_json(&json, run->invocation);
    aid_json_put_text(&json, "reference", run->reference.path);
    aid_json_put_text(&json, "reference_sha256", run->reference.file.sha256);
    aid_notes_json(&json, &run->notes);
    aid_json_put_array(&json, "images");
    for (int i = 0; i < run->count; i++)
        put_image(run, &run->images[i], &json);
    aid_json_end_array(&json);
    aid_json_end_object(&json);
    aid_json_finish(&json);
}

/* ------------------------------------------------------------------------------------- the whole
 */

static bool same_file(const char *one, const char *other)
{
    struct stat a, b;
    return stat(one, &a) == 0 && stat(other, &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

/* No output may stand where an input or another output does. */
static aid_status check_outputs(const align_run *run, aid_error *err)
{
    for (int i = 0; i < run->count; i++) {
        const char *output = run->images[i].output;
        if (!output[0])
            continue;
        for (int k = 0; k <= run->count; k++)
            if (same_file(output, run->invocation->arguments[k]))
                AID_FAIL(err, AID_ERR_USAGE, "%s is one of the inputs", output);
        for (int k = 0; k < i; k++)
            if (!strcmp(output, run->images[k].output))
                AID_FAIL(err, AID_ERR_USAGE, "%s and %s would both become %s", run->images[k].path,
                         run->images[i].path, output);
    }
    return AID_OK;
}

static aid_status name_outputs(align_run *run, aid_error *err)
{
    const align_options *options = run->options;
    struct stat about;
    for (int i = 0; i < run->count; i++)
        run->images[i].path = run->invocation->arguments[i];
    if (options->no_resample)
        return AID_OK;
    if (!options->output)
        AID_FAIL(err, AID_ERR_USAGE, "--output is missing (or --no-resample, to measure only)");
    bool folder = run->count > 1 || (stat(options->output, &about) == 0 && S_ISDIR(about.st_mode));
    if (run->count > 1)
        AID_TRY(aid_make_new_folder(options->output, &run->made_folders, err));
    for (int i = 0; i < run->count; i++) {
        char base[256];
        frame_base_name(run->images[i].path, base, sizeof base);
        if (folder)
            snprintf(run->images[i].output, AID_MAX_PATH, "%s/%s.fits", options->output, base);
        else
            snprintf(run->images[i].output, AID_MAX_PATH, "%s", options->output);
    }
    return check_outputs(run, err);
}

/* Bytes that an image and a reference need at most, pixel by pixel: what came, its copy that is
 * prepared, coefficients, and what goes out. */
enum { IMAGE_BYTES_PER_PIXEL = 48 };

static int side_by_side(const align_run *run, int threads)
{
    int64_t need = (int64_t)run->reference.width * run->reference.height * IMAGE_BYTES_PER_PIXEL;
    int64_t budget = (run->options->memory_mb << 20) - need / 4; /* the reference stays */
    int64_t fit = AID_CLAMP(budget / AID_MAX(need, (int64_t)1), 1, AID_MAX_THREADS);
    return (int)AID_MIN(AID_MIN((int64_t)threads, (int64_t)run->count), fit);
}

static aid_status read_reference(align_run *run, aid_pool *pool, aid_error *err)
{
    const align_options *options = run->options;
    frame_request request = {.path = run->invocation->arguments[run->count],
                             .hdu = options->reference_hdu,
                             .prepare = AID_PREPARE_DEFAULTS,
                             .plain = run->plain,
                             .solve = options->solve,
                             .solve_timeout_s = options->solve_timeout_s};
    request.prepare.gain = options->reference_gain;
    request.prepare.saturation = options->reference_saturation;
    AID_TRY(frame_read(&request, pool, &run->notes, &run->reference, err));
    aid_frame_pixels_done(&run->reference.pixels);
    return AID_OK;
}

static aid_status align_all(align_run *run, aid_error *err)
{
    int threads = aid_threads_of(&run->options->common);
    aid_pool *pool = NULL;
    AID_TRY(aid_pool_new(threads, &pool, err));
    aid_status status = read_reference(run, pool, err);
    int outer = status == AID_OK ? side_by_side(run, threads) : 1;
    if (status == AID_OK && outer == 1) {
        run->inner = pool;
        for (int i = 0; i < run->count && status == AID_OK; i++)
            status = align_task(run, i, 0, err);
    } else if (status == AID_OK) {
        aid_pool_free(pool);
        pool = NULL;
        status = aid_pool_new(outer, &pool, err);
        if (status == AID_OK)
            status = aid_pool_run(pool, run->count, align_task, run, err);
    }
    aid_pool_free(pool);
    return status;
}

/* The images that could not be aligned, in one line. */
static aid_status tell_refused(const align_run *run, aid_error *err)
{
    int refused = 0;
    const alignment *first = NULL;
    for (int i = run->count - 1; i >= 0; i--)
        if (run->images[i].status != AID_OK) {
            first = &run->images[i];
            refused++;
        }
    if (refused == 0)
        return AID_OK;
    if (run->count == 1)
        AID_FAIL(err, first->status, "%s", first->error.message);
    AID_FAIL(err, first->status, "%d of %d images were not aligned; the first: %s", refused,
             run->count, first->error.message);
}

static aid_status write_transform(const align_run *run, aid_error *err)
{
    const alignment *image = &run->images[0];
    if (!run->options->transform_out || image->status != AID_OK)
        return AID_OK;
    const aid_transform_file file = {image->registration.transform, run->reference.width,
                                     run->reference.height, image->width, image->height};
    return aid_transform_write(run->options->transform_out, &file, err);
}

static aid_status check_options(const align_run *run, aid_error *err)
{
    const align_options *options = run->options;
    if ((options->transform_in || options->transform_out) && run->count > 1)
        AID_FAIL(err, AID_ERR_USAGE, "--transform-in and --transform-out are for one image, not %d",
                 run->count);
    if (options->transform_in && options->method != AID_REGISTER_AUTO)
        AID_FAIL(err, AID_ERR_USAGE, "--register has no use where --transform-in gives the map");
    return AID_OK;
}

static aid_status every_step(align_run *run, aid_error *err)
{
    const align_options *options = run->options;
    AID_TRY(check_options(run, err));
    AID_TRY(name_outputs(run, err));
    if (options->transform_in)
        AID_TRY(aid_transform_read(options->transform_in, &run->given, err));
    run->plain = options->transform_in || options->method == AID_REGISTER_WCS;
    AID_TRY(align_all(run, err));
    AID_TRY(write_transform(run, err));
    if (options->common.json)
        print_json(run);
    else if (run->count > 1 || run->images[0].status == AID_OK)
        print_table(run);
    return tell_refused(run, err);
}

static aid_status execute(const aid_invocation *invocation, aid_error *err)
{
    align_run run = {.invocation = invocation,
                     .options = invocation->options,
                     .count = invocation->argument_count - 1};
    frame_keep_buffers();
    AID_TRY(aid_new_array((size_t)run.count, sizeof *run.images, "images", &run.images, err));
    aid_status status = every_step(&run, err);
    if (status != AID_OK)
        aid_unmake_folder(run.options->output, run.made_folders);
    frame_done(&run.reference);
    free(run.images);
    return status;
}

const aid_command aid_command_align = {
    .name = "align",
    .summary = "Bring images onto the pixel grid of another.",
    .details = "Finds the map from REF to each image by both WCS, checked and corrected by stars,\n"
               "by stars alone, or by phase correlation, whichever works first, and resamples the\n"
               "images with their variance and mask. The last file is the reference. What cannot\n"
               "be aligned is refused, not misaligned, and the others are done all the same.\n"
               "With --register wcs the headers are taken at their word.\n",
    .example = "astrid align image.fits reference.fits -o aligned.fits",
    .arguments = arguments,
    .argument_count = (int)AID_COUNT_OF(arguments),
    .uses = uses,
    .use_count = (int)AID_COUNT_OF(uses),
    .options_size = sizeof(align_options),
    .execute = execute,
};
