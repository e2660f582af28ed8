/* Raw frames from files into the store, a few at a time. */
#include "adapters/fits/fits.h"
#include "apps/cli/master.h"
#include "core/base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A frame between its file and the store. */
typedef struct arrival {
    bool sound;
    uint16_t *whole; /* NULL: not of 16 bits */
    aid_image image; /* of the frame; where it is of 16 bits, room that is used again and again */
    aid_raw_frame frame;
    aid_notes *notes;
} arrival;

typedef struct reading {
    master_state *state;
    int first; /* input of task 0 */
    arrival *arrivals;
} reading;

AID_HOT static void to_float(const uint16_t *restrict from, int64_t count, float *restrict to)
{
    for (int64_t i = 0; i < count; i++)
        to[i] = (float)from[i];
}

/* The frame as an image, to be examined. */
static aid_status take_pixels(arrival *into, aid_fits_image *file, aid_error *err)
{
    into->whole = file->whole;
    file->whole = NULL;
    bool fits = into->image.width == file->width && into->image.height == file->height;
    if (!into->whole || !fits)
        aid_image_done(&into->image);
    if (!into->whole) {
        into->image = file->image;
        file->image = (aid_image){0};
        return AID_OK;
    }
    int64_t pixels = (int64_t)file->width * file->height;
    if (!fits) {
        aid_image image = {.width = file->width, .height = file->height, .stride = file->width};
        AID_TRY(aid_new_buffer((size_t)pixels, sizeof *image.data, "frame", &image.data, err));
        into->image = image;
    }
    to_float(into->whole, pixels, into->image.data);
    return AID_OK;
}

static aid_status accept(reading *job, int64_t task, aid_fits_image *file, aid_error *err)
{
    master_input *input = &job->state->inputs[job->first + task];
    arrival *into = &job->arrivals[task];
    memcpy(input->sha256, file->sha256, sizeof input->sha256);
    AID_TRY(take_pixels(into, file, err));
    aid_frame_facts facts = aid_frame_facts_from_header(
        &file->header, input->name, into->image.width, into->image.height, into->notes);
    AID_TRY(aid_raw_frame_examine(&into->image, &facts, &job->state->making, &into->frame, err));
    into->sound = true;
    return AID_OK;
}

/* What is wrong with a file's content is no failure unless --strict. */
static aid_status read_one(void *context, int64_t task, int worker, aid_error *err)
{
    (void)worker;
    reading *job = context;
    master_input *input = &job->state->inputs[job->first + task];
    aid_fits_read_options options = AID_FITS_READ_DEFAULTS;
    options.skip_companions = true;
    options.keep_whole = true;
    aid_fits_image file;
    aid_error why = {0};
    aid_status status = aid_fits_read(input->path, &options, &file, &why);
    if (status == AID_ERR_INVALID && !job->state->options->strict) {
        size_t prefix = strlen(input->path);
        bool named = !strncmp(why.message, input->path, prefix) && why.message[prefix] == ':';
        const char *text = named ? why.message + prefix + 1 : why.message;
        snprintf(input->reason, sizeof input->reason, "%s", text + (*text == ' '));
        return AID_OK;
    }
    if (status != AID_OK) {
        if (err)
            *err = why;
        return status;
    }
    status = accept(job, task, &file, err);
    aid_fits_image_done(&file);
    return status;
}

/* What headers say wrong they mostly say in every frame: told once, of the first one. */
static void merge_notes(master_state *state, const char *name, const aid_notes *more)
{
    size_t prefix = strlen(name);
    for (int i = 0; i < more->count; i++) {
        const char *text = more->items[i].text;
        if (!strncmp(text, name, prefix) && text[prefix] == ':')
            text += prefix;
        bool known = false;
        for (int k = 0; k < state->notes.count && !known; k++) {
            const char *told = strchr(state->notes.items[k].text, ':');
            known = told && !strcmp(told, text);
        }
        if (!known)
            aid_note_add(&state->notes, more->items[i].stage, "%s", more->items[i].text);
    }
}

/* What the store may hold in memory: beside it there will be the master, with its variance, its
 * mask and the number of frames of each pixel, and there are the masters that are given. */
static int64_t store_memory(const master_state *state, const aid_image *image)
{
    enum { MADE = 13, GIVEN = 9 /* bytes a pixel */ };
    const int64_t all = 420 << 20, least = 16 << 20;
    int64_t given = (state->making.bias ? GIVEN : 0) + (state->making.dark ? GIVEN : 0);
    int64_t beside = (int64_t)image->width * image->height * (MADE + given);
    return AID_CLAMP(all - beside, least, (int64_t)AID_FRAME_STORE_MEMORY);
}

/* The store of that shape; a new one where there is none yet and room for one. The first shape has
 * the memory: it is most often the only one. */
static aid_status find_shape(master_state *state, const aid_image *image, int *ret_shape,
                             aid_error *err)
{
    int shape = 0;
    for (; shape < MASTER_MAX_SHAPES && state->shapes[shape]; shape++) {
        aid_frame_rows rows = aid_frame_store_rows(state->shapes[shape]);
        if (rows.width == image->width && rows.height == image->height)
            break;
    }
    *ret_shape = shape;
    if (shape == MASTER_MAX_SHAPES || state->shapes[shape])
        return AID_OK;
    return aid_frame_store_new(shape == 0 ? store_memory(state, image) : 0, NULL,
                               &state->shapes[shape], err);
}

static aid_status store_one(master_state *state, int index, arrival *from, aid_error *err)
{
    master_input *input = &state->inputs[index];
    if (!from->sound)
        return AID_OK;
    merge_notes(state, from->frame.facts.name, from->notes);
    AID_TRY(find_shape(state, &from->image, &input->shape, err));
    if (input->shape == MASTER_MAX_SHAPES) {
        snprintf(input->reason, sizeof input->reason, "%d x %d pixels: too many different shapes",
                 from->image.width, from->image.height);
        return AID_OK;
    }
    aid_frame_store *store = state->shapes[input->shape];
    uint16_t *whole = from->whole;
    from->whole = NULL;
    aid_status status =
        whole ? aid_frame_store_take_whole(store, whole, from->image.width, from->image.height, err)
              : aid_frame_store_add(store, &from->image, NULL, err);
    if (status != AID_OK)
        return aid_error_prefix(err, status, "%s", input->path);
    input->frame = aid_frame_store_count(store) - 1;
    state->frames[index] = from->frame;
    from->frame = (aid_raw_frame){0};
    return AID_OK;
}

/* Keeps the store with the most frames, and the frames that are in it. */
static aid_status keep_one_shape(master_state *state, aid_error *err)
{
    int best = 0, kept = 0;
    for (int s = 1; s < MASTER_MAX_SHAPES && state->shapes[s]; s++)
        if (aid_frame_store_count(state->shapes[s]) > aid_frame_store_count(state->shapes[best]))
            best = s;
    state->store = state->shapes[best];
    state->shapes[best] = NULL;
    if (!state->store)
        return AID_OK;
    aid_frame_rows rows = aid_frame_store_rows(state->store);
    for (int i = 0; i < state->input_count; i++) {
        master_input *input = &state->inputs[i];
        if (input->frame < 0)
            continue;
        aid_raw_frame frame = state->frames[i];
        state->frames[i] = (aid_raw_frame){0};
        if (input->shape == best) {
            state->frames[kept++] = frame;
            continue;
        }
        snprintf(input->reason, sizeof input->reason, "%d x %d pixels, and most have %d x %d",
                 frame.facts.width, frame.facts.height, rows.width, rows.height);
        input->frame = -1;
        aid_raw_frame_done(&frame);
    }
    for (int i = 0; state->options->strict && i < state->input_count; i++)
        if (state->inputs[i].reason[0])
            AID_FAIL(err, AID_ERR_INVALID, "%s: %s", state->inputs[i].path,
                     state->inputs[i].reason);
    return AID_OK;
}

static aid_status read_batch(reading *job, int count, aid_error *err)
{
    aid_status status = aid_pool_run(job->state->pool, count, read_one, job, err);
    for (int i = 0; i < count; i++) {
        arrival *from = &job->arrivals[i];
        if (status == AID_OK)
            status = store_one(job->state, job->first + i, from, err);
        free(from->whole);
        from->whole = NULL;
        aid_raw_frame_done(&from->frame);
        from->sound = false;
        from->notes->count = 0;
    }
    return status;
}

/* How many frames may be on their way at once: as pixels here, in the decoder and in the file. The
 * first one is read alone, to see how large they are. */
static int batch_size(const master_state *state)
{
    enum { BYTES_A_PIXEL = 10 };
    const int64_t most_bytes = 200 << 20;
    if (!state->shapes[0])
        return 1;
    aid_frame_rows rows = aid_frame_store_rows(state->shapes[0]);
    int64_t bytes = (int64_t)rows.width * rows.height * BYTES_A_PIXEL;
    return (int)AID_CLAMP(most_bytes / bytes, 1, (int64_t)aid_pool_threads(state->pool));
}

static aid_status read_all(master_state *state, arrival *arrivals, aid_error *err)
{
    for (int first = 0, batch; first < state->input_count; first += batch) {
        reading job = {.state = state, .first = first, .arrivals = arrivals};
        batch = AID_MIN(batch_size(state), state->input_count - first);
        AID_TRY(read_batch(&job, batch, err));
    }
    return AID_OK;
}

aid_status master_read_frames(master_state *state, aid_error *err)
{
    int batch = aid_pool_threads(state->pool);
    AID_CLEANUP(aid_free_pointer)
    arrival *arrivals = NULL;
    AID_CLEANUP(aid_free_pointer)
    aid_notes *notes = NULL;
    AID_TRY(aid_new_array((size_t)batch, sizeof *arrivals, "frames", &arrivals, err));
    AID_TRY(aid_new_array((size_t)batch, sizeof *notes, "notes", &notes, err));
    for (int i = 0; i < batch; i++)
        arrivals[i].notes = &notes[i];
    aid_status status = read_all(state, arrivals, err);
    for (int i = 0; i < batch; i++)
        aid_image_done(&arrivals[i].image);
    AID_TRY(status);
    AID_TRY(keep_one_shape(state, err));
    if (state->store)
        return AID_OK;
    char more[48] = "";
    if (state->input_count > 1)
        snprintf(more, sizeof more, " (and %d more)", state->input_count - 1);
    AID_FAIL(err, AID_ERR_INVALID, "%s: %s%s; no frame is left", state->inputs[0].path,
             state->inputs[0].reason, more);
}
