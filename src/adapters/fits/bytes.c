#include "adapters/fits/bytes.h"

#include "core/base/memory.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum {
    GZIP_WINDOW = 15 + 16, /* zlib's way to say: gzip, any window */
    INPUT_STEP = 1 << 30,  /* zlib counts its input in 32 bits */
    MAX_TRAILING = 1 << 26 /* bytes behind the last HDU that are inflated for their check sum */
};

struct aid_fits_inflater {
    z_stream stream;
    const uint8_t *input;
    size_t input_left; /* not yet given to the stream */
    uint8_t *output;
    uint64_t capacity;
    bool ended;     /* the last member is complete */
    bool cut_short; /* the input ended within a member */
};

static bool is_gzip(const uint8_t *bytes, size_t size)
{
    return size >= 2 && bytes[0] == 0x1f && bytes[1] == 0x8b;
}

aid_status aid_fits_bytes_init(const uint8_t *file, size_t size, aid_fits_bytes *ret_bytes,
                               aid_error *err)
{
    if (!is_gzip(file, size)) {
        *ret_bytes = (aid_fits_bytes){.data = file, .size = size};
        return AID_OK;
    }
    aid_fits_inflater *inflater;
    AID_TRY(aid_new_array(1, sizeof *inflater, "gzip", &inflater, err));
    inflater->input = file;
    inflater->input_left = size;
    if (inflateInit2(&inflater->stream, GZIP_WINDOW) != Z_OK) {
        free(inflater);
        AID_FAIL(err, AID_ERR_NOMEM, "gzip: out of memory");
    }
    *ret_bytes = (aid_fits_bytes){.inflater = inflater};
    return AID_OK;
}

void aid_fits_bytes_done(aid_fits_bytes *bytes)
{
    if (bytes->inflater) {
        inflateEnd(&bytes->inflater->stream);
        free(bytes->inflater->output);
        free(bytes->inflater);
    }
    *bytes = (aid_fits_bytes){0};
}

static void feed(aid_fits_inflater *inflater)
{
    z_stream *stream = &inflater->stream;
    if (stream->avail_in > 0)
        return;
    size_t step = AID_MIN(inflater->input_left, (size_t)INPUT_STEP);
    stream->next_in = (z_const Bytef *)inflater->input;
    stream->avail_in = (uInt)step;
    inflater->input += step;
    inflater->input_left -= step;
}

/* A gzip file may have several members, one behind the other; what follows and is none is padding.
 */
static void begin_next_member(aid_fits_inflater *inflater)
{
    z_stream *stream = &inflater->stream;
    feed(inflater);
    inflater->ended =
        !is_gzip(stream->next_in, stream->avail_in) || inflateReset2(stream, GZIP_WINDOW) != Z_OK;
}

/* Fills `room` bytes at `output`, fewer only where the input ends. */
static aid_status inflate_into(aid_fits_inflater *inflater, uint8_t *output, uint64_t room,
                               uint64_t *ret_filled, aid_error *err)
{
    z_stream *stream = &inflater->stream;
    uint64_t filled = 0;
    while (filled < room && !inflater->ended && !inflater->cut_short) {
        feed(inflater);
        uInt step = (uInt)AID_MIN(room - filled, (uint64_t)INPUT_STEP);
        stream->next_out = output + filled;
        stream->avail_out = step;
        int result = inflate(stream, Z_NO_FLUSH);
        filled += step - stream->avail_out;
        if (result == Z_STREAM_END)
            begin_next_member(inflater);
        else if (result == Z_MEM_ERROR)
            AID_FAIL(err, AID_ERR_NOMEM, "gzip: out of memory");
        else if (result == Z_BUF_ERROR && stream->avail_in == 0 && inflater->input_left == 0)
            inflater->cut_short = true;
        else if (result != Z_OK && result != Z_BUF_ERROR)
            AID_FAIL(err, AID_ERR_INVALID, "the gzip data are damaged: %s",
                     stream->msg ? stream->msg : "no gzip");
    }
    *ret_filled = filled;
    return AID_OK;
}

static aid_status grow(aid_fits_inflater *inflater, uint64_t end, aid_error *err)
{
    if (end <= inflater->capacity)
        return AID_OK;
    uint64_t capacity = AID_MAX(end, inflater->capacity + inflater->capacity / 2);
    uint8_t *output = realloc(inflater->output, capacity);
    if (!output)
        AID_FAIL(err, AID_ERR_NOMEM, "gzip: out of memory for %llu bytes",
                 (unsigned long long)capacity);
    inflater->output = output;
    inflater->capacity = capacity;
    return AID_OK;
}

aid_status aid_fits_bytes_need(aid_fits_bytes *bytes, uint64_t end, aid_error *err)
{
    aid_fits_inflater *inflater = bytes->inflater;
    if (!inflater || end <= bytes->size || inflater->ended || inflater->cut_short)
        return AID_OK;
    if (end > (uint64_t)AID_MAX_FILE_BYTES)
        AID_FAIL(err, AID_ERR_INVALID, "the gzip data inflate to more than %lld bytes",
                 AID_MAX_FILE_BYTES);
    AID_TRY(grow(inflater, end, err));
    uint64_t filled = 0;
    AID_TRY(
        inflate_into(inflater, inflater->output + bytes->size, end - bytes->size, &filled, err));
    bytes->data = inflater->output;
    bytes->size += filled;
    return AID_OK;
}

aid_status aid_fits_bytes_finish(aid_fits_bytes *bytes, aid_error *err)
{
    aid_fits_inflater *inflater = bytes->inflater;
    if (!inflater)
        return AID_OK;
    AID_CLEANUP(aid_free_pointer)
    uint8_t *scrap = NULL;
    const size_t step = 1 << 16;
    AID_TRY(aid_new_buffer(step, 1, "gzip", &scrap, err));
    for (uint64_t total = 0; !inflater->ended && !inflater->cut_short;) {
        uint64_t filled = 0;
        AID_TRY(inflate_into(inflater, scrap, step, &filled, err));
        total += filled;
        if (total > MAX_TRAILING)
            AID_FAIL(err, AID_ERR_INVALID,
                     "the gzip data go on for over %d bytes after the last HDU", MAX_TRAILING);
    }
    if (inflater->cut_short)
        AID_FAIL(err, AID_ERR_INVALID,
                 "the gzip data end early, %llu inflated bytes from the beginning",
                 (unsigned long long)bytes->size);
    return AID_OK;
}
