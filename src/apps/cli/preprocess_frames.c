/* The science frames of a night, as many at once as memory allows: each is read, calibrated,
 * cleaned and assessed, and written with what is known about it. */
#include "adapters/log/log.h"
#include "apps/cli/preprocess.h"
#include "apps/common/jobs.h"
#include "apps/common/stop.h"
#include "core/base/memory.h"
#include "domain/pipeline/frame_header.h"
#include "domain/pipeline/preprocess_frame.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What a frame takes at most while it goes through all stages: 31 bytes a pixel of 2048 x 2048, 27
 * of 4096 x 4096 were measured, and 8 for the decoder; and what the program itself does. */
static const int64_t bytes_per_pixel = 42, bytes_besides = 32 << 20;
static const int64_t bytes_of_master_pixel = 9; /* image, variance, mask */

/* Frames that are calibrated with the same masters. */
typedef struct batch {
    night_state *night;
    aid_preprocess_options options;
    aid_master masters[NIGHT_MASTER_TYPES];
    const aid_master *used[NIGHT_MASTER_TYPES];
    int count;
    int *frames; /* [count] */
} batch;

static void frame_file(const night_frame *frame, char ret_name[AID_MAX_PATH])
{
    snprintf(ret_name, AID_MAX_PATH, "frames/%s.fits", frame->name);
}

/* ------------------------------------------------------------------------------------- results */

static int64_t integer_card(const aid_header *header, const char *keyword)
{
    double value = 0.0;
    (void)aid_header_number(header, keyword, &value);
    return llround(value);
}

static bool flag_card(const aid_header *header, const char *keyword)
{
    const char *text = aid_header_text(header, keyword);
    return text && *text == 'T';
}

static void take_results(night_frame *frame, const aid_header *header)
{
    frame->done = true;
    frame->calibrated = flag_card(header, "AIDCALIB");
    frame->cleaned = flag_card(header, "AIDCLEAN");
    frame->assessed = aid_header_find(header, "QCLASS") != NULL;
    frame->cosmic_ray_hits = integer_card(header, "NCRHITS");
    frame->cosmic_ray_pixels = integer_card(header, "NCRPIX");
    if (frame->assessed)
        night_take_quality(header, &frame->quality);
    const char *failure = aid_header_text(header, "QFAILURE");
    snprintf(frame->quality_failure, sizeof frame->quality_failure, "%s", failure ? failure : "");
    free(frame->notes);
    frame->notes = night_take_lines(header, "NOTE");
}

static aid_status put_flag(aid_header *header, const char *keyword, bool value, const char *comment,
                           aid_error *err)
{
    return aid_header_append(header, keyword, AID_CARD_LOGICAL, value ? "T" : "F", comment, err);
}

static aid_status put_masters(const night_state *night, const night_frame *frame,
                              aid_header *header, aid_error *err)
{
    static const char *const keywords[] = {"BIASFILE", "DARKFILE", "FLATFILE"};
    for (int t = 0; t < NIGHT_MASTER_TYPES; t++)
        if (frame->sets[t] >= 0)
            AID_TRY(aid_header_put_text(header, keywords[t], night->sets[frame->sets[t]].name,
                                        frame->why[t], err));
    return AID_OK;
}

static aid_status put_notes(const aid_notes *notes, aid_header *header, aid_error *err)
{
    for (int i = 0; i < notes->count; i++) {
        char keyword[32], text[sizeof(aid_note) + 4];
        snprintf(keyword, sizeof keyword, "NOTE%d", i + 1);
        snprintf(text, sizeof text, "%s: %s", notes->items[i].stage, notes->items[i].text);
        AID_TRY(aid_header_put_text(header, keyword, text, "", err));
    }
    return AID_OK;
}

static aid_status put_results(const night_state *night, const night_frame *frame,
                              const aid_preprocessed *result, aid_header *header, aid_error *err)
{
    const night_file *file = &night->files[frame->file];
    AID_TRY(night_put_program(night, frame->id, header, err));
    AID_TRY(aid_header_put_text(header, "RAWFILE", file->path, "raw frame", err));
    AID_TRY(aid_header_put_text(header, "RAWHASH", file->sha256, "SHA-256 of it", err));
    AID_TRY(put_masters(night, frame, header, err));
    AID_TRY(put_flag(header, "AIDCALIB", result->calibrated, "in proportion to light", err));
    AID_TRY(aid_header_put_number(header, "OVSCLEV", result->frame.overscan_level,
                                  "level of the overscan that was subtracted", err));
    AID_TRY(put_flag(header, "AIDCLEAN", result->cleaned, "cosmic rays were looked for", err));
    if (result->cleaned) {
        AID_TRY(aid_header_put_number(header, "NCRHITS", (double)result->cosmic_ray_hits,
                                      "cosmic rays", err));
        AID_TRY(aid_header_put_number(header, "NCRPIX", (double)result->cosmic_ray_pixels,
                                      "pixels that they struck", err));
    }
    if (result->assessed)
        AID_TRY(night_put_quality(&result->quality, header, err));
    if (result->quality_failure[0])
        AID_TRY(aid_header_put_text(header, "QFAILURE", result->quality_failure,
                                    "why there is no quality", err));
    return put_notes(&result->notes, header, err);
}

static aid_status put_everything(aid_fits_writer *writer, const aid_preprocessed *result,
                                 aid_error *err)
{
    AID_CLEANUP(aid_header_done)
    aid_header cards = {0};
    AID_TRY(aid_fits_put_image(writer, NULL, &result->frame.image, &result->header, err));
    if (result->frame.variance.data)
        AID_TRY(aid_fits_put_image(writer, "VARIANCE", &result->frame.variance, NULL, err));
    AID_TRY(aid_frame_mask_cards(&cards, err));
    return aid_fits_put_mask(writer, "MASK", &result->frame.mask, &cards, err);
}

static aid_status write_frame(const night_state *night, const night_frame *frame,
                              aid_preprocessed *result, aid_error *err)
{
    char name[AID_MAX_PATH], path[AID_MAX_PATH];
    aid_fits_writer *writer;
    AID_TRY(put_results(night, frame, result, &result->header, err));
    frame_file(frame, name);
    night_output_path(night, name, path);
    AID_TRY(aid_fits_create(path, &writer, err));
    aid_status status = put_everything(writer, result, err);
    if (status == AID_OK)
        return aid_fits_commit(writer, err);
    aid_fits_abandon(writer);
    return status;
}

/* What is in the file is what counts, whether it was written just now or by an earlier run. */
static bool is_made(const night_state *night, night_frame *frame)
{
    char name[AID_MAX_PATH];
    aid_header header = {0};
    frame_file(frame, name);
    if (!night_find_made(night, name, frame->id, &header))
        return false;
    take_results(frame, &header);
    aid_header_done(&header);
    return true;
}

/* ------------------------------------------------------------------------------------ one frame */

static aid_status stop_asked(void *context, const char *stage, aid_error *err)
{
    (void)context;
    if (aid_stop_requested())
        AID_FAIL(err, AID_ERR_CANCELLED, "stopped by a signal before stage %s; what was done stays",
                 stage);
    return AID_OK;
}

static void stage_over(void *context, const char *stage)
{
    (void)context;
    (void)stage;
}

/* What neither header nor option tells may be known from the flats. */
static aid_frame_facts facts_of(const batch *job, const night_frame *frame)
{
    aid_frame_facts facts = job->night->files[frame->file].facts;
    const aid_master *flat = job->used[2];
    if (flat && isnan(facts.gain))
        facts.gain = flat->facts.gain;
    if (flat && isnan(facts.read_noise_e))
        facts.read_noise_e = flat->facts.read_noise_e;
    return facts;
}

static aid_status read_raw(const batch *job, const night_frame *frame, aid_fits_image *ret_raw,
                           aid_error *err)
{
    char path[AID_MAX_PATH];
    night_input_path(job->night, frame->file, path);
    AID_TRY(aid_fits_read(path, NULL, ret_raw, err));
    if (!strcmp(ret_raw->sha256, job->night->files[frame->file].sha256))
        return AID_OK;
    aid_fits_image_done(ret_raw);
    AID_FAIL(err, AID_ERR_IO, "%s: changed since the plan was made", path);
}

static aid_status compute(const batch *job, const night_frame *frame, aid_pool *pool,
                          aid_preprocessed *result, aid_error *err)
{
    aid_fits_image raw = {0};
    aid_frame_facts facts = facts_of(job, frame);
    const aid_stage_observer observer = {.begin = stop_asked, .end = stage_over};
    AID_TRY(stop_asked(NULL, "read", err));
    AID_TRY(read_raw(job, frame, &raw, err));
    /* Where a flat is divided by, what has piled up at the top is spread, and not found later. */
    if (job->used[0] || job->used[1] || job->used[2])
        aid_frame_facts_take_ceiling(&facts, raw.bitpix, raw.bscale, raw.bzero);
    aid_preprocess_input input = {.name = frame->name,
                                  .facts = &facts,
                                  .header = &raw.header,
                                  .image = &raw.image,
                                  .mask = &raw.mask,
                                  .bias = job->used[0],
                                  .dark = job->used[1],
                                  .flat = job->used[2]};
    aid_status status = aid_preprocess_frame(&input, &job->options, pool, &observer, result, err);
    aid_fits_image_done(&raw);
    return status;
}

static void record_failure(const night_state *night, night_frame *frame, const aid_error *why)
{
    night_fail(night, &frame->failure, why);
    aid_log(AID_WARN, "preprocess.frame.failed", "frame=%s status=%s reason=%s", frame->name,
            aid_status_name(why->status), frame->failure.text);
}

/* A frame that fails is recorded, and the night goes on; only where results cannot be written, or
 * somebody has asked to stop, it does not. */
static aid_status process_one(void *context, int64_t task, aid_pool *pool, aid_error *err)
{
    batch *job = context;
    night_frame *frame = &job->night->frames[job->frames[task]];
    AID_CLEANUP(aid_free_pointer)
    aid_preprocessed *result = NULL;
    aid_error why = {0};
    double begun_s = night_seconds();
    AID_TRY(aid_new_array(1, sizeof *result, "frame", &result, err));
    aid_status status = compute(job, frame, pool, result, &why);
    if (status == AID_ERR_CANCELLED) {
        *err = why;
        return status;
    }
    if (status != AID_OK) {
        record_failure(job->night, frame, &why);
        night_progress_step(job->night, frame->name);
        return AID_OK;
    }
    status = write_frame(job->night, frame, result, err);
    if (status == AID_OK && !is_made(job->night, frame))
        status = AID_ERROR(err, AID_ERR_IO, "%s/frames/%s.fits: does not read back",
                           job->night->output, frame->name);
    if (status == AID_OK) {
        frame->process_s = night_seconds() - begun_s;
        aid_log(AID_INFO, "preprocess.frame.completed", "frame=%s class=%s wall_s=%.3f",
                frame->name,
                frame->assessed ? aid_quality_class_name(frame->quality.class) : "unknown",
                frame->process_s);
    }
    aid_preprocessed_done(result);
    night_progress_step(job->night, frame->name);
    return status;
}

/* -------------------------------------------------------------------------------------- batches */

static bool same_masters(const night_frame *a, const night_frame *b)
{
    return !memcmp(a->sets, b->sets, sizeof a->sets);
}

static int64_t pixels_of(const aid_frame_facts *facts)
{
    return (int64_t)facts->width * facts->height;
}

static aid_job_budget budget_of(const batch *job)
{
    const night_state *night = job->night;
    aid_job_budget budget = {.threads = aid_pool_threads(night->pool),
                             .memory_bytes = night->memory_bytes,
                             .shared_bytes = bytes_besides};
    for (int i = 0; i < job->count; i++) {
        const night_frame *frame = &night->frames[job->frames[i]];
        int64_t bytes = bytes_per_pixel * pixels_of(&night->files[frame->file].facts);
        budget.job_bytes = AID_MAX(budget.job_bytes, bytes);
    }
    for (int t = 0; t < NIGHT_MASTER_TYPES; t++) {
        int set = night->frames[job->frames[0]].sets[t];
        if (set >= 0)
            budget.shared_bytes += bytes_of_master_pixel * pixels_of(&night->sets[set].facts);
    }
    return budget;
}

static aid_status load_masters(batch *job, aid_error *err)
{
    static const aid_frame_type types[] = {AID_TYPE_BIAS, AID_TYPE_DARK, AID_TYPE_FLAT};
    const night_frame *first = &job->night->frames[job->frames[0]];
    for (int t = 0; t < NIGHT_MASTER_TYPES; t++)
        if (first->sets[t] >= 0) {
            AID_TRY(night_read_master(job->night, first->sets[t], types[t], &job->masters[t], err));
            job->used[t] = &job->masters[t];
        }
    return AID_OK;
}

/* A ready-made master that cannot be read fails its frames, not the night. */
static aid_status run_batch(batch *job, aid_error *err)
{
    aid_error why = {0};
    aid_job_budget budget = budget_of(job);
    aid_status status = load_masters(job, &why);
    if (status == AID_ERR_INVALID || status == AID_ERR_NUMERIC)
        for (int i = 0; i < job->count; i++)
            record_failure(job->night, &job->night->frames[job->frames[i]], &why);
    else if (status != AID_OK)
        *err = why;
    else
        status = aid_jobs_run(&budget, job->night->frames[job->frames[0]].name, job->count,
                              process_one, job, err);
    for (int t = 0; t < NIGHT_MASTER_TYPES; t++) {
        aid_master_done(&job->masters[t]);
        job->masters[t] = (aid_master){0};
        job->used[t] = NULL;
    }
    return status == AID_ERR_INVALID || status == AID_ERR_NUMERIC ? AID_OK : status;
}

static aid_preprocess_options options_of(const night_state *night)
{
    const preprocess_options *given = night->options;
    aid_preprocess_options options = AID_PREPROCESS_DEFAULTS;
    options.clean = night->stages[NIGHT_COSMIC_RAYS];
    options.assess = night->stages[NIGHT_QUALITY];
    options.calibration.gain = given->gain;
    options.calibration.read_noise_e = given->read_noise;
    options.calibration.saturation = given->saturation;
    options.calibration.electrons = given->electrons;
    options.preparation.zero_point = given->zero_point;
    return options;
}

aid_status night_process_frames(night_state *night, aid_error *err)
{
    AID_CLEANUP(aid_free_pointer)
    int *frames = NULL;
    AID_CLEANUP(aid_free_pointer)
    bool *taken = NULL;
    AID_CLEANUP(aid_free_pointer)
    batch *job = NULL;
    size_t count = (size_t)AID_MAX(night->frame_count, 1);
    AID_TRY(aid_new_array(count, sizeof *frames, "frames", &frames, err));
    AID_TRY(aid_new_array(count, sizeof *taken, "frames", &taken, err));
    AID_TRY(aid_new_array(1, sizeof *job, "frames", &job, err));
    *job = (batch){.night = night, .options = options_of(night), .frames = frames};
    night_progress_begin(night, night->frame_count);
    for (int i = 0; i < night->frame_count; i++) {
        taken[i] = is_made(night, &night->frames[i]);
        if (taken[i])
            night_progress_step(night, night->frames[i].name);
    }
    aid_status status = AID_OK;
    for (int i = 0; i < night->frame_count && status == AID_OK; i++) {
        job->count = 0;
        for (int k = i; k < night->frame_count && !taken[i]; k++)
            if (!taken[k] && same_masters(&night->frames[i], &night->frames[k]))
                frames[job->count++] = k;
        for (int k = 0; k < job->count; k++)
            taken[frames[k]] = true;
        if (job->count > 0)
            status = run_batch(job, err);
    }
    night_progress_end(night);
    return status;
}
