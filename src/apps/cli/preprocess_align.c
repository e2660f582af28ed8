/* The frames of one object and filter on one grid: that of the best of them, or of the user's own
 * reference. */
#include "adapters/log/log.h"
#include "apps/cli/frames.h"
#include "apps/cli/preprocess.h"
#include "apps/common/jobs.h"
#include "apps/common/stop.h"
#include "core/base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Both together took 37 bytes a pixel of 4096 x 4096, and the decoder 18. */
static const int64_t bytes_per_pixel = 50, bytes_besides = 32 << 20;
static const int64_t bytes_of_reference_pixel = 8;

static const aid_warp_kernel kernel = AID_KERNEL_SPLINE3;

typedef struct alignment_job {
    night_state *night;
    night_group *group;
    cli_frame reference;
    int count;
    int *frames; /* [count] */
} alignment_job;

static void aligned_file(const night_frame *frame, char ret_name[AID_MAX_PATH])
{
    snprintf(ret_name, AID_MAX_PATH, "aligned/%s.fits", frame->name);
}

static aid_status alignment_id(const alignment_job *job, const night_frame *frame, char ret_id[65],
                               aid_error *err)
{
    night_hash hash;
    AID_TRY(night_hash_begin(job->night, "aligned 1", &hash, err));
    fprintf(hash.stream, "frame %s\nreference %s\nkernel %s exact\n", frame->id,
            job->group->reference_id, frame_kernel_name(kernel));
    return night_hash_end(&hash, ret_id, err);
}

/* ------------------------------------------------------------------------------------- results */

static aid_status put_results(const alignment_job *job, const aid_registration *registration,
                              const char *id, aid_header *cards, aid_error *err)
{
    AID_TRY(night_put_program(job->night, id, cards, err));
    AID_TRY(aid_header_put_text(cards, "REGREF", job->group->reference_name, "whose grid this is",
                                err));
    AID_TRY(aid_header_put_text(cards, "REGMETH", registration->method, "how it was aligned", err));
    AID_TRY(
        aid_header_put_number(cards, "REGSTARS", registration->matched, "stars of the fit", err));
    AID_TRY(aid_header_put_number(cards, "REGRMS", registration->rms_px, "[pix] per axis", err));
    AID_TRY(aid_header_put_number(cards, "REGSHIFT", registration->shift_px, "[pix]", err));
    AID_TRY(aid_header_put_number(cards, "REGROT", registration->rotation_deg, "[deg]", err));
    AID_TRY(aid_header_put_number(cards, "REGOVER", registration->overlap, "of the grid", err));
    return aid_header_put_number(cards, "REGCORR", registration->correlation,
                                 "normalised cross-correlation", err);
}

static double number_card(const aid_header *header, const char *keyword)
{
    double value = NAN;
    (void)aid_header_number(header, keyword, &value);
    return value;
}

static bool is_made(const alignment_job *job, night_frame *frame, const char *id)
{
    char name[AID_MAX_PATH];
    AID_CLEANUP(aid_header_done)
    aid_header header = {0};
    aligned_file(frame, name);
    if (!night_find_made(job->night, name, id, &header))
        return false;
    const char *method = aid_header_text(&header, "REGMETH");
    night_alignment *alignment = &frame->alignment;
    alignment->done = true;
    snprintf(alignment->method, sizeof alignment->method, "%s", method ? method : "");
    alignment->matched = (int)number_card(&header, "REGSTARS");
    alignment->rms_px = number_card(&header, "REGRMS");
    alignment->shift_px = number_card(&header, "REGSHIFT");
    alignment->rotation_deg = number_card(&header, "REGROT");
    alignment->overlap = number_card(&header, "REGOVER");
    alignment->correlation = number_card(&header, "REGCORR");
    return true;
}

/* ------------------------------------------------------------------------------------ one frame */

aid_status night_read_frame(const frame_request *how, const night_state *night,
                            const night_frame *frame, aid_pool *pool, cli_frame *ret_frame,
                            aid_error *err)
{
    char name[AID_MAX_PATH], path[AID_MAX_PATH];
    frame_request request = *how;
    AID_CLEANUP(aid_free_pointer)
    aid_notes *notes = NULL; /* the frame's own were taken when its quality was measured */
    AID_TRY(aid_new_array(1, sizeof *notes, "notes", &notes, err));
    snprintf(name, sizeof name, "frames/%s.fits", frame->name);
    night_output_path(night, name, path);
    request.path = path;
    AID_TRY(frame_read(&request, pool, notes, ret_frame, err));
    ret_frame->path = "";
    return AID_OK;
}

/* The frame that gives the grid keeps its pixels as they are. */
static aid_registration of_itself(const cli_frame *frame)
{
    return (aid_registration){.transform = aid_transform_identity(frame->width, frame->height),
                              .method = "reference",
                              .rms_px = 0.0,
                              .scale = 1.0,
                              .overlap = 1.0,
                              .correlation = 1.0};
}

aid_status night_exact_map(const cli_frame *reference, const cli_frame *frame,
                           const aid_registration *registration, aid_grid_map *ret_map,
                           aid_error *err)
{
    double worst_px;
    const aid_wcs_pair pair = {.grid = &reference->facts,
                               .frame = &frame->facts,
                               .width = reference->width,
                               .height = reference->height,
                               .frame_width = frame->width,
                               .frame_height = frame->height};
    return aid_align_exactly(&pair, registration, ret_map, &worst_px, err);
}

static aid_status onto_grid(const alignment_job *job, cli_frame *frame,
                            const aid_registration *registration, aid_pool *pool, aid_error *err)
{
    aid_regrid_options options = AID_REGRID_DEFAULTS;
    aid_frame_pixels pixels = {0};
    AID_CLEANUP(aid_grid_map_done)
    aid_grid_map exact = {0};
    AID_TRY(night_exact_map(&job->reference, frame, registration, &exact, err));
    options.grid = exact.x ? &exact : NULL;
    options.width = job->reference.width;
    options.height = job->reference.height;
    options.map = &registration->transform;
    options.kernel = kernel;
    AID_TRY(aid_regrid_frame(&frame->pixels, frame_facts(frame), &options, pool, &pixels, err));
    aid_frame_pixels_done(&frame->pixels);
    frame->pixels = pixels;
    return AID_OK;
}

static aid_status write_aligned(const alignment_job *job, const night_frame *frame,
                                const cli_frame *pixels, const aid_registration *registration,
                                const char *id, aid_error *err)
{
    AID_CLEANUP(aid_header_done)
    aid_header cards = {0};
    AID_CLEANUP(aid_header_done)
    aid_header results = {0};
    char name[AID_MAX_PATH], path[AID_MAX_PATH];
    AID_TRY(frame_keep_cards(&pixels->file.header, &cards, err));
    AID_TRY(put_results(job, registration, id, &results, err));
    AID_TRY(frame_replace_cards(&results, &cards, err));
    if (strcmp(registration->method, "reference") != 0)
        AID_TRY(frame_noise_cards(kernel, &cards, err));
    aligned_file(frame, name);
    night_output_path(job->night, name, path);
    return frame_write(path, &pixels->pixels, &cards, job->reference.facts.wcs, err);
}

/* *ret_written tells what is at fault where it fails: the frame, or what it is written to. */
static aid_status align(const alignment_job *job, night_frame *frame, const char *id,
                        aid_pool *pool, bool *ret_written, aid_error *err)
{
    AID_CLEANUP(frame_done)
    cli_frame pixels = {0};
    AID_CLEANUP(aid_free_pointer)
    aid_notes *notes = NULL;
    aid_registration registration;
    aid_registration_options options = AID_REGISTRATION_DEFAULTS;
    bool is_grid = frame - job->night->frames == job->group->reference;
    frame_request request = {.prepare = AID_PREPARE_DEFAULTS, .plain = is_grid};
    AID_TRY(aid_new_array(1, sizeof *notes, "notes", &notes, err));
    AID_TRY(night_read_frame(&request, job->night, frame, pool, &pixels, err));
    registration = of_itself(&pixels);
    if (!is_grid) {
        AID_TRY(aid_register(&job->reference.facts, &pixels.facts, &options, pool, notes,
                             &registration, err));
        AID_TRY(onto_grid(job, &pixels, &registration, pool, err));
    }
    *ret_written = true;
    return write_aligned(job, frame, &pixels, &registration, id, err);
}

/* A frame that cannot be aligned stays calibrated: that is recorded, and the night goes on. */
static aid_status align_one(void *context, int64_t task, aid_pool *pool, aid_error *err)
{
    alignment_job *job = context;
    night_frame *frame = &job->night->frames[job->frames[task]];
    char id[65];
    bool written = false;
    aid_error why = {0};
    double begun_s = night_seconds();
    if (aid_stop_requested())
        AID_FAIL(err, AID_ERR_CANCELLED,
                 "stopped by a signal before %s was aligned; what was done "
                 "stays",
                 frame->name);
    AID_TRY(alignment_id(job, frame, id, err));
    aid_status status = align(job, frame, id, pool, &written, &why);
    if (status != AID_OK && (written || status == AID_ERR_CANCELLED)) {
        *err = why;
        return status;
    }
    night_progress_step(job->night, frame->name);
    if (status != AID_OK) {
        night_fail(job->night, &frame->alignment_failure, &why);
        aid_log(AID_WARN, "preprocess.alignment.failed", "frame=%s status=%s reason=%s",
                frame->name, aid_status_name(status), frame->alignment_failure.text);
        return AID_OK;
    }
    if (!is_made(job, frame, id))
        AID_FAIL(err, AID_ERR_IO, "%s/aligned/%s.fits: does not read back", job->night->output,
                 frame->name);
    frame->align_s = night_seconds() - begun_s;
    aid_log(AID_INFO, "preprocess.alignment.completed", "frame=%s method=%s wall_s=%.3f",
            frame->name, frame->alignment.method, frame->align_s);
    return AID_OK;
}

/* --------------------------------------------------------------------------------- the reference
 */

/* The best frame is the grid: what is resampled onto it loses less than it has anyway. */
static int best_frame(const night_state *night, int group)
{
    int best = -1;
    double best_score = -1.0;
    for (int i = 0; i < night->frame_count; i++) {
        const night_frame *frame = &night->frames[i];
        double score = frame->assessed && isfinite(frame->quality.overall_quality_score)
                           ? frame->quality.overall_quality_score
                           : 0.0;
        if (frame->group == group && frame->done && score > best_score) {
            best = i;
            best_score = score;
        }
    }
    return best;
}

static int frames_done(const night_state *night, int group)
{
    int count = 0;
    for (int i = 0; i < night->frame_count; i++)
        count += night->frames[i].group == group && night->frames[i].done;
    return count;
}

aid_status night_choose_reference(night_state *night, int number, aid_error *err)
{
    night_group *group = &night->groups[number];
    if (night->options->reference) {
        aid_fits_image header;
        aid_fits_read_options options = AID_FITS_READ_DEFAULTS;
        options.headers_only = true;
        AID_TRY(aid_fits_read(night->options->reference, &options, &header, err));
        memcpy(group->reference_id, header.sha256, sizeof group->reference_id);
        aid_fits_image_done(&header);
        snprintf(group->why, sizeof group->why, "told so");
        snprintf(group->reference_name, sizeof group->reference_name, "%.150s",
                 night->options->reference);
        return AID_OK;
    }
    group->reference = best_frame(night, number);
    const night_frame *best = &night->frames[group->reference];
    memcpy(group->reference_id, best->id, sizeof group->reference_id);
    snprintf(group->why, sizeof group->why, "the best of %d, with a score of %.3f",
             frames_done(night, number), best->quality.overall_quality_score);
    snprintf(group->reference_name, sizeof group->reference_name, "%s", best->name);
    return AID_OK;
}

aid_status night_read_reference(night_state *night, const night_group *group,
                                cli_frame *ret_reference, aid_error *err)
{
    frame_request request = {.path = night->options->reference, .prepare = AID_PREPARE_DEFAULTS};
    if (group->reference >= 0)
        return night_read_frame(&request, night, &night->frames[group->reference], night->pool,
                                ret_reference, err);
    return frame_read(&request, night->pool, &night->notes, ret_reference, err);
}

/* ------------------------------------------------------------------------------------- a group */

static aid_job_budget budget_of(const alignment_job *job)
{
    const night_state *night = job->night;
    int64_t reference = (int64_t)job->reference.width * job->reference.height, most = reference;
    for (int i = 0; i < job->count; i++) {
        const aid_frame_facts *facts = &night->files[night->frames[job->frames[i]].file].facts;
        most = AID_MAX(most, (int64_t)facts->width * facts->height);
    }
    return (aid_job_budget){.threads = aid_pool_threads(night->pool),
                            .memory_bytes = night->memory_bytes,
                            .shared_bytes = bytes_besides + reference * bytes_of_reference_pixel,
                            .job_bytes = most * bytes_per_pixel};
}

/* The frames of the group that are not there yet. */
static aid_status find_made(alignment_job *job, aid_error *err)
{
    int missing = 0;
    for (int i = 0; i < job->count; i++) {
        char id[65];
        night_frame *frame = &job->night->frames[job->frames[i]];
        AID_TRY(alignment_id(job, frame, id, err));
        if (is_made(job, frame, id))
            night_progress_step(job->night, frame->name);
        else
            job->frames[missing++] = job->frames[i];
    }
    job->count = missing;
    return AID_OK;
}

static bool is_input_s_fault(aid_status status)
{
    return status == AID_ERR_INVALID || status == AID_ERR_NUMERIC;
}

static aid_status align_group(alignment_job *job, int group, aid_error *err)
{
    AID_TRY(night_choose_reference(job->night, group, err));
    AID_TRY(find_made(job, err));
    if (job->count == 0)
        return AID_OK;
    aid_error why = {0};
    aid_status status = night_read_reference(job->night, job->group, &job->reference, &why);
    if (is_input_s_fault(status) && job->group->reference >= 0) { /* a frame without any stars */
        for (int i = 0; i < job->count; i++)
            night_fail(job->night, &job->night->frames[job->frames[i]].alignment_failure, &why);
        return AID_OK;
    }
    if (status != AID_OK) {
        *err = why;
        return status;
    }
    aid_job_budget budget = budget_of(job);
    status = aid_jobs_run(&budget, job->group->name, job->count, align_one, job, err);
    frame_done(&job->reference);
    return status;
}

aid_status night_align_frames(night_state *night, aid_error *err)
{
    AID_CLEANUP(aid_free_pointer)
    int *frames = NULL;
    AID_CLEANUP(aid_free_pointer)
    alignment_job *job = NULL;
    for (int i = 0; i < night->frame_count; i++)
        night->frames[i].alignment.rms_px = NAN;
    if (!night->stages[NIGHT_ALIGN])
        return AID_OK;
    AID_TRY(aid_new_array((size_t)AID_MAX(night->frame_count, 1), sizeof *frames, "frames", &frames,
                          err));
    AID_TRY(aid_new_array(1, sizeof *job, "alignment", &job, err));
    night_progress_begin(night, night->frame_count);
    aid_status status = AID_OK;
    for (int group = 0; group < night->group_count && status == AID_OK; group++) {
        *job = (alignment_job){.night = night, .group = &night->groups[group], .frames = frames};
        for (int i = 0; i < night->frame_count; i++)
            if (night->frames[i].group == group && night->frames[i].done)
                frames[job->count++] = i;
        int least = night->options->reference ? 1 : 2;
        if (job->count >= least)
            status = align_group(job, group, err);
        else
            snprintf(job->group->why, sizeof job->group->why, "nothing to be aligned with");
    }
    night_progress_end(night);
    return status;
}
