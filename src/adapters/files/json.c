#include "adapters/files/json.h"

#include "core/base/text.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

aid_json_writer aid_json_writer_on(FILE *stream, int broken_depth)
{
    return (aid_json_writer){.stream = stream, .broken_depth = broken_depth};
}

void aid_json_finish(aid_json_writer *json)
{
    assert(json->done && json->depth == 0);
    putc('\n', json->stream);
}

aid_status aid_json_document(void (*put)(aid_json_writer *json, const void *context),
                             const void *context, const char *what, char **ret_text,
                             size_t *ret_size, aid_error *err)
{
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    if (!stream)
        AID_FAIL(err, AID_ERR_NOMEM, "%s: out of memory", what);
    aid_json_writer json = aid_json_writer_on(stream, 2);
    put(&json, context);
    bool failed = ferror(stream) != 0;
    if (fclose(stream) || failed) {
        free(text);
        AID_FAIL(err, AID_ERR_NOMEM, "%s: out of memory", what);
    }
    *ret_text = text;
    *ret_size = size;
    return AID_OK;
}

static void break_line(const aid_json_writer *json)
{
    putc('\n', json->stream);
    for (int i = 0; i < json->depth; i++)
        fputs("  ", json->stream);
}

/* The comma and line break before an item of the innermost object or array. */
static void separate(aid_json_writer *json)
{
    bool empty = json->levels[json->depth - 1].empty;
    json->levels[json->depth - 1].empty = false;
    if (!empty)
        putc(',', json->stream);
    if (json->depth <= json->broken_depth)
        break_line(json);
    else if (!empty)
        putc(' ', json->stream);
}

/* Everything that comes before a value, wherever it stands. */
static void begin_value(aid_json_writer *json)
{
    assert(!json->done);
    if (json->depth == 0) {
        json->done = true;
        return;
    }
    assert(json->after_key == json->levels[json->depth - 1].is_object);
    if (!json->after_key)
        separate(json);
    json->after_key = false;
}

static void begin_level(aid_json_writer *json, bool is_object)
{
    begin_value(json);
    json->done = false;
    assert(json->depth < AID_JSON_MAX_DEPTH);
    json->levels[json->depth].is_object = is_object;
    json->levels[json->depth++].empty = true;
    putc(is_object ? '{' : '[', json->stream);
}

static void end_level(aid_json_writer *json, bool is_object)
{
    assert(json->depth > 0 && !json->after_key);
    json->depth--;
    assert(json->levels[json->depth].is_object == is_object);
    if (!json->levels[json->depth].empty && json->depth < json->broken_depth)
        break_line(json);
    putc(is_object ? '}' : ']', json->stream);
    json->done = json->depth == 0;
}

void aid_json_begin_object(aid_json_writer *json)
{
    begin_level(json, true);
}

void aid_json_end_object(aid_json_writer *json)
{
    end_level(json, true);
}

void aid_json_begin_array(aid_json_writer *json)
{
    begin_level(json, false);
}

void aid_json_end_array(aid_json_writer *json)
{
    end_level(json, false);
}

static void put_quoted(FILE *stream, const char *text)
{
    char bytes[6];
    putc('"', stream);
    for (int n; (n = aid_json_next(&text, bytes)) > 0;)
        fwrite(bytes, 1, (size_t)n, stream);
    putc('"', stream);
}

void aid_json_key(aid_json_writer *json, const char *key)
{
    assert(json->depth > 0 && json->levels[json->depth - 1].is_object && !json->after_key);
    separate(json);
    put_quoted(json->stream, key);
    fputs(": ", json->stream);
    json->after_key = true;
}

void aid_json_null(aid_json_writer *json)
{
    begin_value(json);
    fputs("null", json->stream);
}

void aid_json_text(aid_json_writer *json, const char *text)
{
    if (!text) {
        aid_json_null(json);
        return;
    }
    begin_value(json);
    put_quoted(json->stream, text);
}

void aid_json_rounded(aid_json_writer *json, double value, int decimals)
{
    if (!isfinite(value)) {
        aid_json_null(json);
        return;
    }
    char text[AID_DOUBLE_TEXT];
    aid_double_text(value, decimals, text);
    begin_value(json);
    fputs(text, json->stream);
}

void aid_json_number(aid_json_writer *json, double value)
{
    aid_json_rounded(json, value, -1);
}

void aid_json_integer(aid_json_writer *json, int64_t value)
{
    begin_value(json);
    fprintf(json->stream, "%" PRId64, value);
}

void aid_json_bool(aid_json_writer *json, bool value)
{
    begin_value(json);
    fputs(value ? "true" : "false", json->stream);
}

/* ---------------------------------------------------------------------------- keys with values */

void aid_json_put_text(aid_json_writer *json, const char *key, const char *value)
{
    aid_json_key(json, key);
    aid_json_text(json, value && *value ? value : NULL);
}

void aid_json_put_number(aid_json_writer *json, const char *key, double value)
{
    aid_json_key(json, key);
    aid_json_number(json, value);
}

void aid_json_put_rounded(aid_json_writer *json, const char *key, double value, int decimals)
{
    aid_json_key(json, key);
    aid_json_rounded(json, value, decimals);
}

void aid_json_put_integer(aid_json_writer *json, const char *key, int64_t value)
{
    aid_json_key(json, key);
    aid_json_integer(json, value);
}

void aid_json_put_bool(aid_json_writer *json, const char *key, bool value)
{
    aid_json_key(json, key);
    aid_json_bool(json, value);
}

void aid_json_put_object(aid_json_writer *json, const char *key)
{
    aid_json_key(json, key);
    aid_json_begin_object(json);
}

void aid_json_put_array(aid_json_writer *json, const char *key)
{
    aid_json_key(json, key);
    aid_json_begin_array(json);
}
