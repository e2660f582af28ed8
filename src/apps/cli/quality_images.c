/* From files to measured frames. */
#include "adapters/fits/fits.h"
#include "adapters/log/log.h"
#include "apps/cli/quality.h"
#include "apps/common/stop.h"
#include "core/base/memory.h"
#include "domain/preprocessing/preprocessing.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Of preparation at its height, the pixels that were read included. */
static const double bytes_a_pixel = 24.0;

/* ------------------------------------------------------------------------------------ the memory
 */

/* Lets so many images through as fit the budget, and always one. */
typedef struct memory_gate {
    pthread_mutex_t lock;
    pthread_cond_t freed;
    double budget, taken; /* bytes */
} memory_gate;

static void gate_enter(memory_gate *gate, double bytes)
{
    pthread_mutex_lock(&gate->lock);
    while (gate->taken > 0.0 && gate->taken + bytes > gate->budget)
        pthread_cond_wait(&gate->freed, &gate->lock);
    gate->taken += bytes;
    pthread_mutex_unlock(&gate->lock);
}

static void gate_leave(memory_gate *gate, double bytes)
{
    pthread_mutex_lock(&gate->lock);
    gate->taken -= bytes;
    pthread_cond_broadcast(&gate->freed);
    pthread_mutex_unlock(&gate->lock);
}

/* ----------------------------------------------------------------------------------- one image */

typedef struct measurement {
    quality_run *run;
    aid_quality_frame *slots; /* [count] */
    aid_pool *inner;          /* NULL: images share the threads, not their pixels */
    memory_gate gate;
    int done; /* under the gate's lock */
    bool bar;
} measurement;

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static aid_status prepare(const measurement *job, aid_fits_image *file, const char *path,
                          aid_notes *notes, aid_exposure *ret_exposure, aid_error *err)
{
    const quality_options *options = job->run->options;
    aid_prepare_options prepare = AID_PREPARE_DEFAULTS;
    prepare.gain = options->gain;
    prepare.saturation = options->saturation;
    prepare.zero_point = options->zero_point;
    aid_prepare_input input = {.name = base_name(path),
                               .take_image = &file->image,
                               .take_mask = &file->mask,
                               .variance = &file->variance,
                               .header = &file->header};
    return aid_prepare_exposure(&input, &prepare, job->inner, notes, ret_exposure, err);
}

/* NaN where the two cannot be aligned, which is no reason not to assess the image. */
static aid_status align(const measurement *job, const aid_exposure *exposure, aid_notes *notes,
                        double *ret_rms_px, bool *ret_failed, aid_error *err)
{
    aid_registration_options options = AID_REGISTRATION_DEFAULTS;
    aid_registration registration;
    aid_error reason = {0};
    *ret_failed = false;
    *ret_rms_px = NAN;
    if (!job->run->reference.image.data)
        return AID_OK;
    aid_status status = aid_register(exposure, &job->run->reference, &options, job->inner, notes,
                                     &registration, &reason);
    if (status == AID_ERR_NOMEM || status == AID_ERR_CANCELLED) {
        *err = reason;
        return status;
    }
    *ret_failed = status != AID_OK;
    if (status != AID_OK)
        aid_note_add(notes, "register", "%s: not aligned: %s", exposure->name, reason.message);
    else
        *ret_rms_px = registration.rms_px;
    return AID_OK;
}

static aid_status assess(const measurement *job, const aid_exposure *exposure, aid_notes *notes,
                         aid_quality_frame *ret_frame, aid_error *err)
{
    aid_quality_options options = AID_QUALITY_DEFAULTS;
    options.background_estimator = (aid_quality_background)job->run->options->background_estimator;
    options.noise_estimator = (aid_quality_noise)job->run->options->noise_estimator;
    AID_TRY(align(job, exposure, notes, &options.alignment_rms_px, &options.alignment_failed, err));
    aid_quality quality;
    AID_TRY(aid_quality_assess(exposure, &options, job->inner, notes, &quality, err));
    return aid_quality_frame_init(exposure, &quality, ret_frame, err);
}

/* The notes as lines; a lack of memory costs no more than them. */
static char *lines_of(const aid_notes *notes)
{
    size_t size = 1, at = 0;
    for (int i = 0; i < notes->count; i++)
        size += strlen(notes->items[i].stage) + strlen(notes->items[i].text) + 3;
    char *text = notes->count ? malloc(size) : NULL;
    for (int i = 0; text && i < notes->count; i++)
        at += (size_t)snprintf(text + at, size - at, "%s%s: %s", i ? "\n" : "",
                               notes->items[i].stage, notes->items[i].text);
    return text;
}

static aid_status measure_image(measurement *job, quality_image *image, aid_quality_frame *slot,
                                aid_error *err)
{
    AID_CLEANUP(aid_fits_image_done)
    aid_fits_image file = {0};
    AID_CLEANUP(aid_exposure_done)
    aid_exposure exposure = {0};
    AID_CLEANUP(aid_free_pointer)
    aid_notes *notes = NULL;
    aid_fits_read_options options = AID_FITS_READ_DEFAULTS;
    options.hdu = job->run->options->hdu;
    AID_TRY(aid_new_array(1, sizeof *notes, "notes", &notes, err));
    AID_TRY(aid_fits_read(image->path, &options, &file, err));
    snprintf(image->sha256, sizeof image->sha256, "%s", file.sha256);
    double bytes = bytes_a_pixel * (double)file.image.width * (double)file.image.height;
    gate_enter(&job->gate, bytes);
    aid_status status = prepare(job, &file, image->path, notes, &exposure, err);
    if (status == AID_OK)
        status = assess(job, &exposure, notes, slot, err);
    gate_leave(&job->gate, bytes);
    image->notes = lines_of(notes);
    return status;
}

static void show_progress(measurement *job, const char *path)
{
    pthread_mutex_lock(&job->gate.lock);
    job->done++;
    if (job->bar)
        fprintf(stderr, "\r\033[K%d of %d  %.60s", job->done, job->run->count, base_name(path));
    pthread_mutex_unlock(&job->gate.lock);
}

static aid_status measure_one(void *context, int64_t task, int worker, aid_error *err)
{
    (void)worker;
    measurement *job = context;
    quality_image *image = &job->run->images[task];
    if (aid_stop_requested())
        AID_FAIL(err, AID_ERR_CANCELLED, "stopped");
    aid_status status = measure_image(job, image, &job->slots[task], &image->error);
    image->error.status = status;
    show_progress(job, image->path);
    if (status == AID_ERR_CANCELLED && aid_stop_requested())
        AID_FAIL(err, AID_ERR_CANCELLED, "stopped");
    if (status != AID_OK)
        aid_log(AID_WARN, "quality.refused", "image=%s reason=%s", image->path,
                image->error.message);
    return AID_OK;
}

/* ------------------------------------------------------------------------------------ all images
 */

static aid_status read_reference(measurement *job, aid_error *err)
{
    const quality_options *options = job->run->options;
    AID_CLEANUP(aid_fits_image_done)
    aid_fits_image file = {0};
    aid_fits_read_options read = AID_FITS_READ_DEFAULTS;
    read.hdu = options->reference_hdu;
    if (!options->reference)
        return AID_OK;
    AID_TRY(aid_fits_read(options->reference, &read, &file, err));
    aid_prepare_options prepare = AID_PREPARE_DEFAULTS;
    prepare.skip_psf = true;
    aid_prepare_input input = {.name = base_name(options->reference),
                               .take_image = &file.image,
                               .take_mask = &file.mask,
                               .variance = &file.variance,
                               .header = &file.header};
    return aid_prepare_exposure(&input, &prepare, job->run->pool, NULL, &job->run->reference, err);
}

/* Fewer images than threads: the threads go to the pixels. */
static aid_status measure_all(measurement *job, aid_error *err)
{
    quality_run *run = job->run;
    if (run->count >= aid_pool_threads(run->pool))
        return aid_pool_run(run->pool, run->count, measure_one, job, err);
    job->inner = run->pool;
    for (int i = 0; i < run->count; i++)
        AID_TRY(measure_one(job, i, 0, err));
    return AID_OK;
}

static void collect(measurement *job)
{
    quality_run *run = job->run;
    for (int i = 0; i < run->count; i++) {
        quality_image *image = &run->images[i];
        image->frame = -1;
        if (image->error.status != AID_OK) {
            run->failed++;
            continue;
        }
        image->frame = run->frame_count;
        run->frames[run->frame_count++] = job->slots[i];
        job->slots[i] = (aid_quality_frame){0};
    }
}

aid_status quality_measure(quality_run *run, aid_error *err)
{
    measurement job = {.run = run, .bar = isatty(STDERR_FILENO)};
    job.gate = (memory_gate){.lock = PTHREAD_MUTEX_INITIALIZER, .freed = PTHREAD_COND_INITIALIZER};
    job.gate.budget = 1048576.0 * (double)run->options->memory;
    AID_TRY(read_reference(&job, err));
    AID_TRY(aid_new_array((size_t)run->count, sizeof *job.slots, "frames", &job.slots, err));
    aid_status status = measure_all(&job, err);
    if (status == AID_OK)
        collect(&job);
    for (int i = 0; i < run->count; i++)
        aid_quality_frame_done(&job.slots[i]);
    free(job.slots);
    if (job.bar)
        fputs("\r\033[K", stderr);
    AID_TRY(status);
    return aid_quality_rate_series(run->frames, run->frame_count, &run->notes, &run->series, err);
}
