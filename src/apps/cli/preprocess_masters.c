/* The masters of a night: made, or found where an earlier run has made them of the same frames. */
#include "adapters/fits/frame_store.h"
#include "adapters/fits/master_file.h"
#include "adapters/log/log.h"
#include "apps/cli/preprocess.h"
#include "apps/common/stop.h"
#include "core/base/memory.h"
#include "domain/calibration/masters.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Measured with six frames of 2048 x 2048 pixels: what combining takes, bias and dark included, and
 * what each frame takes that is being read. */
static const int64_t bytes_per_pixel = 36, bytes_per_pixel_read = 16, bytes_besides = 32 << 20;
static const int64_t least_store_bytes = 16 << 20;

/* One master in the making. */
typedef struct making {
    night_state *night;
    night_set *set;
    aid_master_options options;
    aid_master bias, dark;
    aid_frame_store *store;
    aid_raw_frame *frames; /* [set->count] */
    int examined;
    aid_notes notes;
} making;

static void making_done(making *work)
{
    for (int i = 0; i < work->examined; i++)
        aid_raw_frame_done(&work->frames[i]);
    free(work->frames);
    aid_frame_store_free(work->store);
    aid_master_done(&work->bias);
    aid_master_done(&work->dark);
}

static aid_status set_id(const night_state *night, night_set *set, aid_error *err)
{
    night_hash hash;
    AID_TRY(night_hash_begin(night, "master 1", &hash, err));
    fprintf(hash.stream, "type %s\n", aid_frame_type_name(set->type));
    fprintf(hash.stream, "bias %s\n", set->bias >= 0 ? night->sets[set->bias].id : "none");
    fprintf(hash.stream, "dark %s\n", set->dark >= 0 ? night->sets[set->dark].id : "none");
    for (int i = 0; i < set->count; i++)
        fprintf(hash.stream, "raw %s\n", night->files[set->files[i]].sha256);
    AID_TRY(night_hash_end(&hash, set->id, err));
    snprintf(set->name, sizeof set->name, "masters/%s_%.12s.fits", aid_frame_type_name(set->type),
             set->id);
    return AID_OK;
}

/* -------------------------------------------------------------------------------------- reading */

/* A few frames at a time are read by all threads; they go into the store in their order. */
typedef struct batch {
    making *work;
    int first, count;
    aid_fits_image images[AID_MAX_THREADS];
    aid_error errors[AID_MAX_THREADS];
} batch;

static aid_status read_one(void *context, int64_t task, int worker, aid_error *err)
{
    (void)worker;
    (void)err;
    batch *job = context;
    const night_state *night = job->work->night;
    int file = job->work->set->files[job->first + (int)task];
    char path[AID_MAX_PATH];
    night_input_path(night, file, path);
    aid_status status = aid_fits_read(path, NULL, &job->images[task], &job->errors[task]);
    if (status == AID_OK && strcmp(job->images[task].sha256, night->files[file].sha256) != 0) {
        aid_fits_image_done(&job->images[task]);
        status =
            AID_ERROR(&job->errors[task], AID_ERR_IO, "%s: changed since the plan was made", path);
    }
    job->errors[task].status = status;
    return AID_OK;
}

static aid_status store_one(making *work, int number, const aid_fits_image *image, aid_error *err)
{
    const aid_frame_facts *facts = &work->night->files[work->set->files[number]].facts;
    AID_TRY(
        aid_raw_frame_examine(&image->image, facts, &work->options, &work->frames[number], err));
    work->examined = number + 1;
    return aid_frame_store_add(work->store, &image->image, NULL, err);
}

/* The number of the frame that could not be read, or -1. */
static aid_status read_batch(batch *job, int *ret_unread, aid_error *err)
{
    making *work = job->work;
    AID_TRY(aid_pool_run(work->night->pool, job->count, read_one, job, err));
    aid_status status = AID_OK;
    for (int i = 0; i < job->count; i++) {
        if (job->errors[i].status != AID_OK) {
            *ret_unread = *ret_unread < 0 ? job->first + i : *ret_unread;
            if (*ret_unread == job->first + i)
                *err = job->errors[i];
            continue;
        }
        if (status == AID_OK && *ret_unread < 0)
            status = store_one(work, job->first + i, &job->images[i], err);
        aid_fits_image_done(&job->images[i]);
    }
    return status;
}

/* How many frames are read at once, and how much of them is kept in memory. */
static aid_status share_memory(const making *work, int *ret_step, int64_t *ret_store_bytes,
                               aid_error *err)
{
    const aid_frame_facts *facts = &work->set->facts;
    int64_t pixels = (int64_t)facts->width * facts->height;
    int64_t reading = bytes_per_pixel_read * pixels;
    int64_t needed = bytes_besides + least_store_bytes + bytes_per_pixel * pixels;
    int64_t left = work->night->memory_bytes - needed;
    if (left < reading)
        AID_FAIL(err, AID_ERR_NOMEM, "%s: needs %lld MB, and the budget is %lld MB (--memory)",
                 work->set->name, (long long)((needed + reading) >> 20) + 1,
                 (long long)(work->night->memory_bytes >> 20));
    *ret_step = (int)AID_MIN((int64_t)aid_pool_threads(work->night->pool), left / reading);
    *ret_store_bytes =
        AID_MIN((int64_t)AID_FRAME_STORE_MEMORY, least_store_bytes + left - *ret_step * reading);
    return AID_OK;
}

static aid_status read_frames(making *work, int *ret_unread, aid_error *err)
{
    night_set *set = work->set;
    AID_CLEANUP(aid_free_pointer)
    batch *job = NULL;
    AID_TRY(aid_new_array(1, sizeof *job, "frames", &job, err));
    AID_TRY(aid_new_array((size_t)set->count, sizeof *work->frames, "frames", &work->frames, err));
    int step = 0;
    int64_t store_bytes = 0;
    AID_TRY(share_memory(work, &step, &store_bytes, err));
    AID_TRY(aid_frame_store_new(store_bytes, NULL, &work->store, err));
    job->work = work;
    for (job->first = 0; job->first < set->count && *ret_unread < 0; job->first += step) {
        if (aid_stop_requested())
            AID_FAIL(err, AID_ERR_CANCELLED, "stopped by a signal; what was done stays");
        job->count = AID_MIN(step, set->count - job->first);
        AID_TRY(read_batch(job, ret_unread, err));
    }
    return AID_OK;
}

/* --------------------------------------------------------------------------------------- making */

static aid_status load(const night_state *night, int set, aid_frame_type type, aid_master *master,
                       const aid_master **ret_used, aid_error *err)
{
    if (set < 0)
        return AID_OK;
    AID_TRY(night_read_master(night, set, type, master, err));
    *ret_used = master;
    return AID_OK;
}

/* Where no header tells the gain, pairs of flats do. */
static void measure_gain(making *work, const aid_frame_rows *rows, aid_master *master)
{
    aid_photon_transfer transfer;
    aid_error unimportant;
    double read_noise = work->options.bias ? work->options.bias->frame_noise : NAN;
    if (master->facts.type != AID_TYPE_FLAT || isfinite(master->facts.gain))
        return;
    if (aid_measure_photon_transfer(rows, work->frames, &work->options, read_noise,
                                    work->night->pool, &transfer, &unimportant) != AID_OK)
        return;
    master->facts.gain = transfer.gain;
    if (isnan(master->facts.read_noise_e))
        master->facts.read_noise_e = transfer.read_noise_e;
    aid_note_add(&work->notes, "master", "gain %.4g +- %.2g e-/ADU by photon transfer",
                 transfer.gain, transfer.gain_error);
}

static aid_status left_out_lines(const making *work, char **ret_lines, aid_error *err)
{
    size_t size = 0;
    FILE *stream = open_memstream(ret_lines, &size);
    if (!stream)
        AID_FAIL(err, AID_ERR_NOMEM, "out of memory");
    for (int i = 0; i < work->set->count; i++)
        if (!work->frames[i].used)
            fprintf(stream, "%s: %s\n", work->night->files[work->set->files[i]].path,
                    work->frames[i].reason);
    if (fclose(stream))
        AID_FAIL(err, AID_ERR_NOMEM, "out of memory");
    return AID_OK;
}

static aid_status put_cards(const making *work, const char *left_out, aid_header *cards,
                            aid_error *err)
{
    const night_state *night = work->night;
    const night_set *set = work->set;
    AID_TRY(night_put_program(night, set->id, cards, err));
    for (int i = 0; i < set->count; i++) {
        char keyword[32];
        snprintf(keyword, sizeof keyword, "RAW%d", i + 1);
        AID_TRY(aid_header_put_text(cards, keyword, night->files[set->files[i]].path, "", err));
    }
    if (set->bias >= 0)
        AID_TRY(aid_header_put_text(cards, "BIASFILE", night->sets[set->bias].name, "master bias",
                                    err));
    if (set->dark >= 0)
        AID_TRY(aid_header_put_text(cards, "DARKFILE", night->sets[set->dark].name, "master dark",
                                    err));
    return night_put_lines(cards, "LEFT", left_out, err);
}

static aid_status write_master(const making *work, aid_master *master, aid_error *err)
{
    AID_CLEANUP(aid_header_done)
    aid_header cards = {0};
    AID_CLEANUP(aid_free_pointer)
    char *left_out = NULL;
    char path[AID_MAX_PATH];
    AID_TRY(left_out_lines(work, &left_out, err));
    AID_TRY(put_cards(work, left_out, &cards, err));
    snprintf(master->id, sizeof master->id, "%s", work->set->id);
    night_output_path(work->night, work->set->name, path);
    return aid_master_write(path, master, &cards, err);
}

static aid_status make(making *work, aid_master *ret_master, aid_error *err)
{
    aid_frame_rows rows = aid_frame_store_rows(work->store);
    AID_TRY(aid_make_master(&rows, work->frames, &work->options, work->night->pool, &work->notes,
                            ret_master, err));
    measure_gain(work, &rows, ret_master);
    return AID_OK;
}

static aid_status prepare(making *work, aid_error *err)
{
    const night_set *set = work->set;
    work->options = AID_MASTER_DEFAULTS;
    work->options.type = set->type;
    AID_TRY(load(work->night, set->bias, AID_TYPE_BIAS, &work->bias, &work->options.bias, err));
    return load(work->night, set->dark, AID_TYPE_DARK, &work->dark, &work->options.dark, err);
}

/* The input's fault is the set's failure; what the machine lacks ends the night. */
static bool is_input_s_fault(aid_status status)
{
    return status == AID_ERR_INVALID || status == AID_ERR_NUMERIC;
}

static void drop_frame(night_state *night, night_set *set, int number, const aid_error *why)
{
    night_fail(night, &night->files[set->files[number]].failure, why);
    night->files[set->files[number]].unreadable = true;
    aid_log(AID_WARN, "preprocess.file.refused", "file=%s reason=%s",
            night->files[set->files[number]].path, why->message);
    memmove(&set->files[number], &set->files[number + 1],
            (size_t)(set->count - number - 1) * sizeof *set->files);
    set->count--;
}

/* *ret_unread: a frame that cannot be read; then nothing was made. */
static aid_status build(night_state *night, night_set *set, int *ret_unread, aid_error *err)
{
    AID_CLEANUP(aid_free_pointer)
    making *work = NULL;
    AID_TRY(aid_new_array(1, sizeof *work, "master", &work, err));
    work->night = night;
    work->set = set;
    aid_error why = {0};
    aid_master master = {0};
    aid_status status = prepare(work, &why);
    if (status == AID_OK)
        status = read_frames(work, ret_unread, &why);
    if (status == AID_OK && *ret_unread < 0) {
        status = make(work, &master, &why);
        if (status == AID_OK) {
            status = write_master(work, &master, err);
            aid_master_done(&master);
            making_done(work);
            return status;
        }
    }
    making_done(work);
    if (status == AID_OK || is_input_s_fault(status)) {
        if (status != AID_OK)
            night_fail(night, &set->failure, &why);
        else
            drop_frame(night, set, *ret_unread, &why);
        return AID_OK;
    }
    *err = why;
    return status;
}

static void take_facts(night_set *set, const aid_header *header)
{
    double used = set->count;
    aid_frame_facts facts = aid_frame_facts_from_header(header, set->facts.name, set->facts.width,
                                                        set->facts.height, NULL);
    if (isfinite(facts.gain))
        set->facts.gain = facts.gain;
    if (isfinite(facts.read_noise_e))
        set->facts.read_noise_e = facts.read_noise_e;
    set->left_out = night_take_lines(header, "LEFT");
    for (const char *c = set->left_out; c && *c; c++)
        used -= *c == '\n';
    set->used = (int)used;
}

static aid_status make_or_find(night_state *night, night_set *set, aid_error *err)
{
    AID_CLEANUP(aid_header_done)
    aid_header header = {0};
    while (set->count > 0 && !night_failed(&set->failure)) {
        int unread = -1;
        AID_TRY(set_id(night, set, err));
        if (night_find_made(night, set->name, set->id, &header)) {
            take_facts(set, &header);
            return AID_OK;
        }
        AID_TRY(build(night, set, &unread, err));
    }
    if (set->count == 0 && !night_failed(&set->failure)) {
        set->failure.status = AID_ERR_INVALID;
        snprintf(set->failure.text, sizeof set->failure.text, "none of its frames can be read");
    }
    return AID_OK;
}

static aid_status one_set(night_state *night, night_set *set, aid_error *err)
{
    night_progress_step(night, aid_frame_type_name(set->type));
    if (set->ready_made) {
        const night_file *file = &night->files[set->files[0]];
        memcpy(set->id, file->sha256, sizeof set->id);
        snprintf(set->name, sizeof set->name, "%.60s", file->path);
        set->used = 1;
        return AID_OK;
    }
    AID_TRY(make_or_find(night, set, err));
    if (night_failed(&set->failure))
        aid_log(AID_WARN, "preprocess.master.failed", "type=%s reason=%s",
                aid_frame_type_name(set->type), set->failure.text);
    else
        aid_log(AID_INFO, "preprocess.master.completed", "file=%s frames=%d", set->name,
                set->count);
    return AID_OK;
}

/* A master that cannot be made is chosen no more; what is chosen instead is made as well. */
static aid_status make_kind(night_state *night, aid_frame_type type, aid_error *err)
{
    for (bool any = true; any;) {
        any = false;
        for (int i = 0; i < night->set_count; i++) {
            night_set *set = &night->sets[i];
            if (set->type != type || !set->wanted || set->made || night_failed(&set->failure))
                continue;
            AID_TRY(one_set(night, set, err));
            set->made = !night_failed(&set->failure);
            any = true;
        }
        AID_TRY(night_choose(night, err));
    }
    return AID_OK;
}

/* Biases first: darks and flats are made with them. */
aid_status night_make_masters(night_state *night, aid_error *err)
{
    static const aid_frame_type order[] = {AID_TYPE_BIAS, AID_TYPE_DARK, AID_TYPE_FLAT};
    night_progress_begin(night, night->set_count);
    aid_status status = AID_OK;
    for (size_t k = 0; k < AID_COUNT_OF(order) && status == AID_OK; k++)
        status = make_kind(night, order[k], err);
    night_progress_end(night);
    return status;
}

aid_status night_read_master(const night_state *night, int set, aid_frame_type type,
                             aid_master *ret_master, aid_error *err)
{
    char path[AID_MAX_PATH];
    const night_set *from = &night->sets[set];
    aid_master master = {0};
    if (from->ready_made)
        night_input_path(night, from->files[0], path);
    else
        night_output_path(night, from->name, path);
    AID_TRY(aid_master_read(path, type, NULL, &master, NULL, err));
    snprintf(master.id, sizeof master.id, "%s", from->id);
    *ret_master = master;
    return AID_OK;
}
