/* `astrid extract`: the sources of an image, measured. */
#include "adapters/files/files.h"
#include "adapters/log/log.h"
#include "apps/cli/commands.h"
#include "apps/cli/extract.h"
#include "apps/common/stop.h"
#include "apps/common/table_file.h"
#include "core/base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

static const aid_setting_use uses[] = {
    {AID_FIELD("output", extract_options, output), .unit = "FILE",
     .help = "catalogue: .fits, .vot, .csv or .json; of several images, the folder of theirs"},
    {AID_FIELD("threshold", extract_options, threshold), .fallback = "4.8",
     .help = "least significance of a source"},
    {AID_FIELD("threshold-unit", extract_options, threshold_unit)},
    {AID_FIELD("filter-kernel", extract_options, filter_kernel),
     .help = "detection filter: psf (the default, matched to the image), default (3x3 px),\n"
             "                                   gauss_N, mexhat_N, tophat_N with N px, none"},
    {AID_FIELD("fwhm", extract_options, fwhm)},
    {AID_FIELD("min-pixels", extract_options, min_pixels)},
    {AID_FIELD("deblend-threshold", extract_options, deblend_threshold)},
    {AID_FIELD("deblend-cont", extract_options, deblend_cont)},
    {AID_FIELD("clean-param", extract_options, clean_param)},
    {AID_FIELD("background", extract_options, background)},
    {AID_FIELD("background-size", extract_options, background_size)},
    {AID_FIELD("background-filter", extract_options, background_filter)},
    {AID_FIELD("noise", extract_options, noise)},
    {AID_FIELD("background-map", extract_options, background_map)},
    {AID_FIELD("noise-map", extract_options, noise_map)},
    {AID_FIELD("mask", extract_options, mask)},
    {AID_FIELD("aperture", extract_options, aperture), .fallback = "",
     .help = "radius of the circle that is summed; else 1.7 FWHM"},
    {AID_FIELD("annulus", extract_options, annulus),
     .help = "radii of the ring that its level is from, px; else 3,6 FWHM; 0,0: none"},
    {AID_FIELD("kron-factor", extract_options, kron_factor)},
    {AID_FIELD("kron-minimum", extract_options, kron_minimum)},
    {AID_FIELD("rim", extract_options, rim)},
    {AID_FIELD("neighbours", extract_options, neighbours)},
    {AID_FIELD("measure", extract_options, measure)},
    {AID_FIELD("gain", extract_options, gain)},
    {AID_FIELD("saturation", extract_options, saturation)},
    {AID_FIELD("zero-point", extract_options, zero_point)},
    {AID_FIELD("columns", extract_options, columns)},
    {AID_FIELD("max-sources", extract_options, max_sources)},
    {AID_FIELD("hdu", extract_options, hdu)},
    {AID_FIELD("format", extract_options, format)},
    {AID_FIELD("memory", extract_options, memory)},
    AID_COMMON_USES(extract_options),
};

static const aid_argument arguments[] = {
    {.name = "IMG", .help = "FITS image", .repeats = true},
};

/* -------------------------------------------------------------------------------------- options */

static aid_status read_annulus(const char *text, aid_extraction_options *extraction, aid_error *err)
{
    if (!text)
        return AID_OK;
    char *middle, *end;
    extraction->annulus_inner_px = strtod(text, &middle);
    if (middle == text || *middle != ',')
        AID_FAIL(err, AID_ERR_USAGE, "--annulus %s is not of the form IN,OUT", text);
    extraction->annulus_outer_px = strtod(middle + 1, &end);
    if (end == middle + 1 || *end)
        AID_FAIL(err, AID_ERR_USAGE, "--annulus %s is not of the form IN,OUT", text);
    return AID_OK;
}

static aid_status extraction_options(const extract_options *options,
                                     aid_extraction_options *ret_extraction, aid_error *err)
{
    aid_extraction_options extraction = AID_EXTRACTION_DEFAULTS;
    extraction.threshold = options->threshold;
    extraction.threshold_unit = (aid_threshold_unit)options->threshold_unit;
    extraction.min_pixels = (int)options->min_pixels;
    extraction.deblend_levels = (int)options->deblend_threshold;
    extraction.deblend_cont = options->deblend_cont;
    extraction.clean_param = options->clean_param;
    extraction.filter = options->filter_kernel ? options->filter_kernel : "psf";
    extraction.fwhm_px = options->fwhm;
    extraction.background = (aid_background_kind)options->background;
    extraction.background_cell_px = (int)options->background_size;
    extraction.background_filter_cells = (int)options->background_filter;
    extraction.noise = (aid_noise_kind)options->noise;
    extraction.aperture_px = options->aperture;
    extraction.kron_factor = options->kron_factor;
    extraction.kron_minimum = options->kron_minimum;
    extraction.rim = (aid_rim)options->rim;
    extraction.neighbours = (aid_neighbours)options->neighbours;
    extraction.max_sources = options->max_sources;
    extraction.measure = (aid_measure_extent)options->measure;
    AID_TRY(read_annulus(options->annulus, &extraction, err));
    aid_status status = aid_extraction_check(&extraction, err);
    if (status == AID_ERR_INVALID) { /* options are all that it had */
        err->status = AID_ERR_USAGE;
        return AID_ERR_USAGE;
    }
    *ret_extraction = extraction;
    return status;
}

/* "data/m13.fits.gz" -> "FOLDER/m13.FORMAT" */
static void name_in_folder(const char *path, const char *folder, int format,
                           char output[AID_MAX_PATH])
{
    static const char *const endings[] = {".gz", ".fz", ".fits", ".fit", ".fts"};
    static const char *const formats[] = {"fits", "vot", "csv", "json"};
    const char *slash = strrchr(path, '/');
    const char *base = slash ? slash + 1 : path;
    size_t length = strlen(base);
    for (size_t i = 0; i < AID_COUNT_OF(endings); i++) {
        size_t tail = strlen(endings[i]);
        if (length > tail && !strncasecmp(base + length - tail, endings[i], tail))
            length -= tail;
    }
    snprintf(output, AID_MAX_PATH, "%s/%.*s.%s", folder, (int)length, base, formats[format]);
}

static aid_status name_outputs(const extract_options *options, extract_image *images, int count,
                               int *made_folders, aid_error *err)
{
    if (!options->output)
        AID_FAIL(err, AID_ERR_USAGE, "where to write the catalogue is missing: -o CAT.fits");
    if (count == 1) {
        AID_TRY(aid_table_check_path(options->output, err));
        snprintf(images[0].output, sizeof images[0].output, "%s", options->output);
        return AID_OK;
    }
    for (int i = 0; i < count; i++)
        name_in_folder(images[i].path, options->output, options->format, images[i].output);
    for (int i = 0; i < count; i++)
        for (int j = 0; j < i; j++)
            if (!strcmp(images[i].output, images[j].output))
                AID_FAIL(err, AID_ERR_USAGE, "%s and %s would both become %s", images[j].path,
                         images[i].path, images[i].output);
    return aid_make_new_folder(options->output, made_folders, err);
}

/* ------------------------------------------------------------------------------------- the work */

typedef struct extract_job {
    const aid_invocation *invocation;
    const extract_options *options;
    aid_extraction_options extraction;
    extract_image *images;
    int count, made_folders;
    aid_pool *pool; /* its tasks are images, or, of a single image, parts of it */
    aid_stage_meter meter;
} extract_job;

static aid_status find_sources(const extract_job *job, aid_pool *pool, extract_image *image,
                               aid_error *err)
{
    aid_extraction_options extraction = job->extraction;
    extraction.gain = image->gain;
    extraction.saturation = image->saturation;
    extraction.zero_point = image->zero_point;
    aid_extraction_input input = {
        .name = image->path,
        .image = &image->file.image,
        .mask = image->mask.data ? &image->mask : &image->file.mask,
        .wcs = image->wcs,
        .background = image->background.image.data ? &image->background.image : NULL,
        .noise = image->noise.image.data ? &image->noise.image : NULL};
    AID_TRY(aid_extract(&input, &extraction, pool, &image->notes, &image->sources, err));
    extract_release_pixels(image);
    return AID_OK;
}

typedef aid_status (*step)(extract_job *job, extract_image *image, aid_error *err);

static aid_status read_step(extract_job *job, extract_image *image, aid_error *err)
{
    return extract_read(job->options, image, err);
}

static aid_status find_step(extract_job *job, extract_image *image, aid_error *err)
{
    return find_sources(job, job->pool, image, err);
}

static aid_status write_step(extract_job *job, extract_image *image, aid_error *err)
{
    return extract_write(job->invocation, image, err);
}

static aid_status stage(extract_job *job, const char *name, step function, aid_error *err)
{
    AID_TRY(aid_stage_begin(&job->meter, name, err));
    aid_status status = function(job, &job->images[0], err);
    aid_stage_end(&job->meter, name);
    return status;
}

static aid_status process_one(extract_job *job, aid_error *err)
{
    AID_TRY(stage(job, "read", read_step, err));
    AID_TRY(stage(job, "extract", find_step, err));
    return stage(job, "write", write_step, err);
}

static aid_status process_quietly(extract_job *job, extract_image *image, aid_error *err)
{
    AID_TRY(extract_read(job->options, image, err));
    AID_TRY(find_sources(job, NULL, image, err));
    return extract_write(job->invocation, image, err);
}

/* An image that fails stands for itself: the others go on. */
static aid_status process_in_parallel(void *context, int64_t task, int worker, aid_error *err)
{
    (void)worker;
    extract_job *job = context;
    extract_image *image = &job->images[task];
    if (aid_stop_requested())
        AID_FAIL(err, AID_ERR_CANCELLED, "stopped");
    image->status = process_quietly(job, image, &image->error);
    extract_release_pixels(image);
    if (image->status == AID_OK)
        aid_log(AID_INFO, "extract.image", "image=%s output=%s sources=%lld", image->path,
                image->output, (long long)image->sources.count);
    else
        aid_log(AID_WARN, "extract.failed", "image=%s error=%s", image->path, image->error.message);
    return AID_OK;
}

/* An image in work takes about eight times its file: pixels, their decoder's copies, and sources.
 */
static int images_at_a_time(const extract_job *job)
{
    const double times_file = 8.0;
    double largest = 1.0;
    for (int i = 0; i < job->count; i++) {
        struct stat status;
        if (stat(job->images[i].path, &status) == 0)
            largest = AID_MAX(largest, (double)status.st_size);
    }
    double budget = (double)job->options->memory * 1048576.0;
    int threads = AID_MIN(aid_threads_of(&job->options->common), job->count);
    return (int)AID_CLAMP(budget / (times_file * largest), 1.0, (double)threads);
}

static aid_status process_many(extract_job *job, aid_error *err)
{
    AID_TRY(aid_stage_begin(&job->meter, "images", err));
    aid_status status = aid_pool_run(job->pool, job->count, process_in_parallel, job, err);
    aid_stage_end(&job->meter, "images");
    return status;
}

static void print_results(const extract_job *job)
{
    if (job->options->common.json) {
        extract_print_json(job->invocation, job->images, job->count, &job->meter);
        return;
    }
    for (int i = 0; i < job->count; i++)
        if (job->images[i].status == AID_OK)
            extract_print_text(&job->images[i]);
}

/* The first failure, and how many there are. */
static aid_status tell_failures(const extract_job *job, aid_error *err)
{
    int failed = 0;
    const extract_image *first = NULL;
    for (int i = 0; i < job->count; i++)
        if (job->images[i].status != AID_OK) {
            first = first ? first : &job->images[i];
            failed++;
        }
    if (!first)
        return AID_OK;
    AID_FAIL(err, first->status, "%d of %d images failed, the others are done; the first: %s",
             failed, job->count, first->error.message);
}

static aid_status work(extract_job *job, aid_error *err)
{
    AID_TRY(extraction_options(job->options, &job->extraction, err));
    AID_TRY(name_outputs(job->options, job->images, job->count, &job->made_folders, err));
    int threads = job->count > 1 ? images_at_a_time(job) : aid_threads_of(&job->options->common);
    AID_TRY(aid_pool_new(threads, &job->pool, err));
    AID_TRY(job->count > 1 ? process_many(job, err) : process_one(job, err));
    aid_stage_meter_clear(&job->meter);
    print_results(job);
    aid_log(AID_INFO, "extract.done", "images=%d", job->count);
    return tell_failures(job, err);
}

static aid_status execute(const aid_invocation *invocation, aid_error *err)
{
    extract_job *job;
    AID_TRY(aid_new_array(1, sizeof *job, "extraction", &job, err));
    job->invocation = invocation;
    job->options = invocation->options;
    job->count = invocation->argument_count;
    aid_stage_meter_init(&job->meter, stderr, job->count > 1 ? 1 : 3);
    aid_status status =
        aid_new_array((size_t)job->count, sizeof *job->images, "images", &job->images, err);
    for (int i = 0; status == AID_OK && i < job->count; i++)
        job->images[i].path = invocation->arguments[i];
    if (status == AID_OK)
        status = work(job, err);
    if (status != AID_OK)
        aid_unmake_folder(job->options->output, job->made_folders);
    aid_stage_meter_clear(&job->meter);
    for (int i = 0; job->images && i < job->count; i++)
        extract_image_done(&job->images[i]);
    free(job->images);
    aid_pool_free(job->pool);
    free(job);
    return status;
}

const aid_command aid_command_extract = {
    .name = "extract",
    .summary = "Find and measure the sources of an image.",
    .details = "Subtracts the background, finds what stands out of the noise, cuts blends apart\n"
               "and measures positions, fluxes and shapes of every source. No source at all is\n"
               "an empty catalogue. With --columns sextractor the catalogue has SExtractor's\n"
               "columns; --background mesh --noise global --rim sextractor --filter-kernel\n"
               "default --threshold 1.5 --threshold-unit pixel-sigma measures as it does.\n",
    .example = "astrid extract image.fits -o sources.fits --threshold 5",
    .arguments = arguments,
    .argument_count = (int)AID_COUNT_OF(arguments),
    .uses = uses,
    .use_count = (int)AID_COUNT_OF(uses),
    .options_size = sizeof(extract_options),
    .execute = execute,
};
