/* JSON out: a small writer that puts commas, line breaks and escapes where they belong, so that
 * whatever text comes in, valid UTF-8 and valid JSON go out. Reading is jansson's work.
 *
 *     aid_json_writer json = aid_json_writer_on(stream, 2);
 *     aid_json_begin_object(&json);
 *     aid_json_key(&json, "seeing_arcsec");
 *     aid_json_number(&json, 1.25);
 *     aid_json_end_object(&json);
 *     aid_json_finish(&json);
 *
 * Calls out of order (a value without a key in an object, an end without its begin) assert. Failed
 * writes stay with the stream: ask ferror, or let aid_new_file_commit tell. */
#ifndef AID_ADAPTERS_FILES_JSON_H
#define AID_ADAPTERS_FILES_JSON_H

#include "core/base/status.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { AID_JSON_MAX_DEPTH = 32 };

typedef struct aid_json_writer {
    FILE *stream; /* borrowed */
    int depth, broken_depth;
    bool after_key, done;
    struct {
        bool is_object, empty;
    } levels[AID_JSON_MAX_DEPTH];
} aid_json_writer;

/* Objects and arrays down to broken_depth have each item on a line of its own, indented; deeper
 * ones stand on one line. 0: everything on one line; AID_JSON_MAX_DEPTH: nothing is. */
aid_json_writer aid_json_writer_on(FILE *stream, int broken_depth);
/* Ends the line; exactly one value must have been written. */
void aid_json_finish(aid_json_writer *json);

/* A whole document as text, by a function that writes its one value and finishes; release it with
 * free(). Fails with AID_ERR_NOMEM ("WHAT: out of memory"), *ret_text untouched. */
AID_MUST_USE aid_status aid_json_document(void (*put)(aid_json_writer *json, const void *context),
                                          const void *context, const char *what, char **ret_text,
                                          size_t *ret_size, aid_error *err);

void aid_json_begin_object(aid_json_writer *json);
void aid_json_end_object(aid_json_writer *json);
void aid_json_begin_array(aid_json_writer *json);
void aid_json_end_array(aid_json_writer *json);
void aid_json_key(aid_json_writer *json, const char *key);

/* NULL text is null; so are NaN and the infinities, which JSON does not know. Bytes that are not
 * UTF-8 become U+FFFD. */
void aid_json_text(aid_json_writer *json, const char *text);
void aid_json_number(aid_json_writer *json, double value);                /* reads back the same */
void aid_json_rounded(aid_json_writer *json, double value, int decimals); /* -1: aid_json_number */
void aid_json_integer(aid_json_writer *json, int64_t value);
void aid_json_bool(aid_json_writer *json, bool value);
void aid_json_null(aid_json_writer *json);

/* A key and its value. Empty text is null as well: a name that nobody gave. */
void aid_json_put_text(aid_json_writer *json, const char *key, const char *value);
void aid_json_put_number(aid_json_writer *json, const char *key, double value);
void aid_json_put_rounded(aid_json_writer *json, const char *key, double value, int decimals);
void aid_json_put_integer(aid_json_writer *json, const char *key, int64_t value);
void aid_json_put_bool(aid_json_writer *json, const char *key, bool value);
void aid_json_put_object(aid_json_writer *json, const char *key); /* begins it */
void aid_json_put_array(aid_json_writer *json, const char *key);  /* begins it */

#endif
