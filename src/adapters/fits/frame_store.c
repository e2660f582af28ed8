#define _GNU_SOURCE /* O_TMPFILE */
#include "adapters/fits/frame_store.h"

#include "core/base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The pixels of one frame, or their variance. */
typedef struct plane {
    bool whole;     /* uint16_t, else float */
    void *memory;   /* NULL: in the scratch file */
    off_t position; /* there */
} plane;

typedef struct frame {
    plane image, variance;
} frame;

struct aid_frame_store {
    int64_t memory_left; /* bytes */
    char *folder;
    int scratch; /* descriptor; -1: none yet */
    off_t scratch_size;
    int32_t width, height;
    int count, capacity;
    bool with_variance;
    frame *frames;
};

/* Pixels that are converted at once: what fits a core's first cache. */
enum { STEP = 4096 };

/* --------------------------------------------------------------------------------------- kernels
 */

/* Whether all of them are whole numbers from 0 to 65535; ret_whole is as long then. */
AID_HOT static bool to_whole(const float *restrict from, int count, uint16_t *restrict ret_whole)
{
    int wrong = 0;
    for (int i = 0; i < count; i++) {
        float value = from[i] >= 0.0f && from[i] <= 65535.0f ? from[i] : 0.0f;
        ret_whole[i] = (uint16_t)(int32_t)value;
        wrong |= (float)ret_whole[i] != from[i]; /* NaN, too */
    }
    return !wrong;
}

AID_HOT static void to_float(const uint16_t *restrict from, int count, float *restrict to)
{
    for (int i = 0; i < count; i++)
        to[i] = (float)from[i];
}

/* ------------------------------------------------------------------------------- scratch file */

static const char *scratch_folder(const aid_frame_store *store)
{
    if (store->folder)
        return store->folder;
    const char *given = getenv("TMPDIR");
    if (given && *given)
        return given;
    return access("/var/tmp", W_OK) == 0 ? "/var/tmp" : "/tmp";
}

static aid_status open_scratch(aid_frame_store *store, aid_error *err)
{
    const char *folder = scratch_folder(store);
    if (store->scratch >= 0)
        return AID_OK;
    store->scratch = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (store->scratch < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL)) {
        char path[4096]; /* a file system that does not know files without names */
        snprintf(path, sizeof path, "%s/astrid.XXXXXX", folder);
        store->scratch = mkostemp(path, O_CLOEXEC);
        if (store->scratch >= 0)
            unlink(path);
    }
    if (store->scratch < 0)
        AID_FAIL(err, AID_ERR_IO, "%s: no scratch file for frames beyond the memory budget: %s",
                 folder, strerror(errno));
    return AID_OK;
}

static aid_status write_scratch(aid_frame_store *store, off_t position, const void *bytes,
                                size_t size, aid_error *err)
{
    const char *from = bytes;
    while (size > 0) {
        ssize_t n = pwrite(store->scratch, from, size, position);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            AID_FAIL(err, AID_ERR_IO, "%s: scratch file: %s", scratch_folder(store),
                     n < 0 ? strerror(errno) : "cannot be written");
        from += n;
        position += n;
        size -= (size_t)n;
    }
    return AID_OK;
}

static aid_status read_scratch(const aid_frame_store *store, off_t position, void *bytes,
                               size_t size, aid_error *err)
{
    char *to = bytes;
    while (size > 0) {
        ssize_t n = pread(store->scratch, to, size, position);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            AID_FAIL(err, AID_ERR_IO, "scratch file: %s", n < 0 ? strerror(errno) : "cut short");
        to += n;
        position += n;
        size -= (size_t)n;
    }
    return AID_OK;
}

/* ---------------------------------------------------------------------------------------- planes
 */

static int64_t plane_pixels(const aid_frame_store *store)
{
    return (int64_t)store->width * store->height;
}

/* Where the pixels of a plane go: its own memory, or the scratch file. */
static aid_status put_pixels(aid_frame_store *store, const plane *to, int64_t first,
                             const void *pixels, int64_t count, aid_error *err)
{
    size_t item = to->whole ? sizeof(uint16_t) : sizeof(float);
    size_t offset = (size_t)first * item, size = (size_t)count * item;
    if (!to->memory)
        return write_scratch(store, to->position + (off_t)offset, pixels, size, err);
    memcpy((char *)to->memory + offset, pixels, size);
    return AID_OK;
}

/* *ret_whole: false as soon as a pixel is no 16-bit whole number. */
static aid_status put_whole(aid_frame_store *store, const plane *to, const aid_image *image,
                            bool *ret_whole, aid_error *err)
{
    uint16_t whole[STEP];
    *ret_whole = false;
    for (int32_t y = 0; y < store->height; y++)
        for (int32_t x = 0; x < store->width; x += STEP) {
            int count = AID_MIN(STEP, store->width - x);
            if (!to_whole(aid_image_row(image, y) + x, count, whole))
                return AID_OK;
            AID_TRY(put_pixels(store, to, (int64_t)y * store->width + x, whole, count, err));
        }
    *ret_whole = true;
    return AID_OK;
}

/* Room in memory while the budget lasts, else in the scratch file. */
static aid_status find_room(aid_frame_store *store, plane *to, aid_error *err)
{
    int64_t size = plane_pixels(store) * (to->whole ? 2 : 4);
    to->memory = NULL;
    if (size <= store->memory_left) {
        AID_TRY(aid_new_buffer((size_t)size, 1, "frame", &to->memory, err));
        store->memory_left -= size;
        return AID_OK;
    }
    AID_TRY(open_scratch(store, err));
    to->position = store->scratch_size;
    store->scratch_size += size;
    return AID_OK;
}

static void free_plane(aid_frame_store *store, plane *of)
{
    if (of->memory)
        store->memory_left += plane_pixels(store) * (of->whole ? 2 : 4);
    free(of->memory);
    of->memory = NULL;
}

static aid_status add_plane(aid_frame_store *store, const aid_image *image, plane *ret_plane,
                            aid_error *err)
{
    plane made = {.whole = true};
    bool is_whole;
    uint16_t probe[STEP]; /* most frames that are not whole numbers show it in their first row */
    made.whole = to_whole(image->data, AID_MIN(STEP, image->width), probe);
    off_t scratch_size = store->scratch_size;
    AID_TRY(find_room(store, &made, err));
    aid_status status = AID_OK;
    if (made.whole) {
        status = put_whole(store, &made, image, &is_whole, err);
        if (status == AID_OK && !is_whole) {
            free_plane(store, &made);
            store->scratch_size = scratch_size;
            made = (plane){.whole = false};
            AID_TRY(find_room(store, &made, err));
        }
    }
    for (int32_t y = 0; !made.whole && status == AID_OK && y < store->height; y++)
        status = put_pixels(store, &made, (int64_t)y * store->width, aid_image_row(image, y),
                            store->width, err);
    if (status != AID_OK) {
        free_plane(store, &made);
        store->scratch_size = scratch_size;
        return status;
    }
    *ret_plane = made;
    return AID_OK;
}

static aid_status read_plane(const aid_frame_store *store, const plane *from, int32_t y,
                             int32_t rows, float *pixels, aid_error *err)
{
    int64_t first = (int64_t)y * store->width, count = (int64_t)rows * store->width;
    if (!from->whole && from->memory) {
        memcpy(pixels, (const float *)from->memory + first, (size_t)count * sizeof *pixels);
        return AID_OK;
    }
    if (!from->whole)
        return read_scratch(store, from->position + (off_t)(first * 4), pixels, (size_t)count * 4,
                            err);
    uint16_t whole[STEP];
    for (int64_t done = 0; done < count; done += STEP) {
        int n = (int)AID_MIN((int64_t)STEP, count - done);
        const uint16_t *source = whole;
        if (from->memory)
            source = (const uint16_t *)from->memory + first + done;
        else
            AID_TRY(read_scratch(store, from->position + (off_t)((first + done) * 2), whole,
                                 (size_t)n * 2, err));
        to_float(source, n, pixels + done);
    }
    return AID_OK;
}

/* ----------------------------------------------------------------------------------------- store
 */

aid_status aid_frame_store_new(int64_t memory_bytes, const char *folder,
                               aid_frame_store **ret_store, aid_error *err)
{
    aid_frame_store *store;
    AID_TRY(aid_new_array(1, sizeof *store, "frame store", &store, err));
    store->memory_left = memory_bytes;
    store->scratch = -1;
    if (folder && !(store->folder = strdup(folder))) {
        free(store);
        AID_FAIL(err, AID_ERR_NOMEM, "out of memory for a frame store");
    }
    *ret_store = store;
    return AID_OK;
}

void aid_frame_store_free(aid_frame_store *store)
{
    if (!store)
        return;
    for (int i = 0; i < store->count; i++) {
        free(store->frames[i].image.memory);
        free(store->frames[i].variance.memory);
    }
    if (store->scratch >= 0)
        close(store->scratch);
    free(store->frames);
    free(store->folder);
    free(store);
}

static aid_status check_shape(const aid_frame_store *store, int32_t width, int32_t height,
                              bool with_variance, aid_error *err)
{
    if (width < 1 || height < 1)
        AID_FAIL(err, AID_ERR_INVALID, "a frame without pixels");
    if (store->count == 0)
        return AID_OK;
    if (width != store->width || height != store->height)
        AID_FAIL(err, AID_ERR_INVALID, "%d x %d pixels, and the others have %d x %d", width, height,
                 store->width, store->height);
    if (with_variance != store->with_variance)
        AID_FAIL(err, AID_ERR_INVALID, "%s a variance, unlike the others",
                 with_variance ? "with" : "without");
    return AID_OK;
}

static aid_status grow(aid_frame_store *store, aid_error *err)
{
    if (store->count < store->capacity)
        return AID_OK;
    int capacity = store->capacity ? 2 * store->capacity : 16;
    frame *frames = realloc(store->frames, (size_t)capacity * sizeof *frames);
    if (!frames)
        AID_FAIL(err, AID_ERR_NOMEM, "out of memory for %d frames", capacity);
    store->frames = frames;
    store->capacity = capacity;
    return AID_OK;
}

/* Room for one more frame of that shape. */
static aid_status begin_frame(aid_frame_store *store, int32_t width, int32_t height,
                              bool with_variance, aid_error *err)
{
    AID_TRY(check_shape(store, width, height, with_variance, err));
    AID_TRY(grow(store, err));
    if (store->count == 0) {
        store->width = width;
        store->height = height;
        store->with_variance = with_variance;
    }
    return AID_OK;
}

aid_status aid_frame_store_take_whole(aid_frame_store *store, uint16_t *take_whole, int32_t width,
                                      int32_t height, aid_error *err)
{
    frame made = {.image = {.whole = true}};
    size_t size = (size_t)width * (size_t)height * sizeof *take_whole;
    aid_status status = begin_frame(store, width, height, false, err);
    if (status == AID_OK && (int64_t)size <= store->memory_left) {
        made.image.memory = take_whole;
        store->memory_left -= (int64_t)size;
        store->frames[store->count++] = made;
        return AID_OK;
    }
    if (status == AID_OK)
        status = open_scratch(store, err);
    made.image.position = store->scratch_size;
    if (status == AID_OK)
        status = write_scratch(store, made.image.position, take_whole, size, err);
    free(take_whole);
    AID_TRY(status);
    store->scratch_size += (off_t)size;
    store->frames[store->count++] = made;
    return AID_OK;
}

aid_status aid_frame_store_add(aid_frame_store *store, const aid_image *image,
                               const aid_image *variance, aid_error *err)
{
    bool with_variance = variance && variance->data;
    if (with_variance && (variance->width != image->width || variance->height != image->height))
        AID_FAIL(err, AID_ERR_INVALID, "a variance of %d x %d pixels for a frame of %d x %d",
                 variance->width, variance->height, image->width, image->height);
    AID_TRY(begin_frame(store, image->width, image->height, with_variance, err));
    frame made = {0};
    AID_TRY(add_plane(store, image, &made.image, err));
    if (with_variance) {
        aid_status status = add_plane(store, variance, &made.variance, err);
        if (status != AID_OK) {
            free_plane(store, &made.image);
            return status;
        }
    }
    store->frames[store->count++] = made;
    return AID_OK;
}

int aid_frame_store_count(const aid_frame_store *store)
{
    return store->count;
}

static aid_status read_image(void *context, int frame_index, int32_t y, int32_t rows, float *pixels,
                             aid_error *err)
{
    const aid_frame_store *store = context;
    return read_plane(store, &store->frames[frame_index].image, y, rows, pixels, err);
}

static aid_status read_variance(void *context, int frame_index, int32_t y, int32_t rows,
                                float *pixels, aid_error *err)
{
    const aid_frame_store *store = context;
    return read_plane(store, &store->frames[frame_index].variance, y, rows, pixels, err);
}

aid_frame_rows aid_frame_store_rows(aid_frame_store *store)
{
    return (aid_frame_rows){.context = store,
                            .count = store->count,
                            .width = store->width,
                            .height = store->height,
                            .read = read_image,
                            .read_variance = store->with_variance ? read_variance : NULL};
}
