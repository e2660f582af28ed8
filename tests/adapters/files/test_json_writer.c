#define _XOPEN_SOURCE 700
#include "adapters/files/json.h"
#include "tests/check.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static char *text;
static size_t size;

static aid_json_writer begin(int broken_depth)
{
    free(text);
    text = NULL;
    FILE *stream = open_memstream(&text, &size);
    CHECK(stream);
    return aid_json_writer_on(stream, broken_depth);
}

static void is(aid_json_writer *json, const char *expected)
{
    aid_json_finish(json);
    fclose(json->stream);
    int same = !strcmp(text, expected);
    if (!same)
        printf("    %s", text);
    free(text);
    text = NULL;
    CHECK(same);
}

TEST(every_kind_of_value_is_written)
{
    aid_json_writer json = begin(0);
    aid_json_begin_array(&json);
    aid_json_text(&json, "a");
    aid_json_text(&json, NULL);
    aid_json_number(&json, 0.1);
    aid_json_number(&json, NAN);
    aid_json_number(&json, -INFINITY);
    aid_json_number(&json, 1e20);
    aid_json_rounded(&json, 2.0 / 3.0, 3);
    aid_json_integer(&json, INT64_MIN);
    aid_json_bool(&json, true);
    aid_json_bool(&json, false);
    aid_json_null(&json);
    aid_json_end_array(&json);
    is(&json, "[\"a\", null, 0.1, null, null, 1e+20, 0.667, -9223372036854775808, true, false, "
              "null]\n");
}

static void nested(aid_json_writer *json)
{
    aid_json_begin_object(json);
    aid_json_key(json, "empty");
    aid_json_begin_object(json);
    aid_json_end_object(json);
    aid_json_key(json, "rows");
    aid_json_begin_array(json);
    for (int i = 0; i < 2; i++) {
        aid_json_begin_object(json);
        aid_json_key(json, "id");
        aid_json_integer(json, i);
        aid_json_key(json, "none");
        aid_json_begin_array(json);
        aid_json_end_array(json);
        aid_json_end_object(json);
    }
    aid_json_end_array(json);
    aid_json_end_object(json);
}

TEST(lines_break_down_to_the_depth_that_was_asked_for)
{
    aid_json_writer json = begin(0);
    nested(&json);
    is(&json,
       "{\"empty\": {}, \"rows\": [{\"id\": 0, \"none\": []}, {\"id\": 1, \"none\": []}]}\n");
    json = begin(2);
    nested(&json);
    is(&json, "{\n  \"empty\": {},\n  \"rows\": [\n    {\"id\": 0, \"none\": []},\n"
              "    {\"id\": 1, \"none\": []}\n  ]\n}\n");
    json = begin(AID_JSON_MAX_DEPTH);
    nested(&json);
    is(&json, "{\n  \"empty\": {},\n  \"rows\": [\n    {\n      \"id\": 0,\n      \"none\": []\n"
              "    },\n    {\n      \"id\": 1,\n      \"none\": []\n    }\n  ]\n}\n");
}

TEST(keys_and_texts_are_escaped_and_valid_utf8)
{
    aid_json_writer json = begin(0);
    aid_json_begin_object(&json);
    aid_json_key(&json, "a\"\n");
    aid_json_text(&json, "\\\x1b\xff\xc3\xa9");
    aid_json_end_object(&json);
    is(&json, "{\"a\\\"\\n\": \"\\\\\\u001b\xef\xbf\xbd\xc3\xa9\"}\n");
}

TEST(a_single_value_is_a_document)
{
    aid_json_writer json = begin(3);
    aid_json_text(&json, "alone");
    is(&json, "\"alone\"\n");
}

TEST(a_failed_write_stays_with_the_stream)
{
    FILE *full = fopen("/dev/full", "w");
    if (!full)
        check_skip("this needs /dev/full");
    aid_json_writer json = aid_json_writer_on(full, 0);
    aid_json_text(&json, "lost");
    aid_json_finish(&json);
    int failed = fflush(full) != 0 && ferror(full);
    fclose(full);
    CHECK(failed);
}

static void value_without_key(aid_json_writer *json)
{
    aid_json_begin_object(json);
    aid_json_null(json);
}

static void key_in_an_array(aid_json_writer *json)
{
    aid_json_begin_array(json);
    aid_json_key(json, "k");
}

static void wrong_end(aid_json_writer *json)
{
    aid_json_begin_array(json);
    aid_json_end_object(json);
}

static void two_values(aid_json_writer *json)
{
    aid_json_null(json);
    aid_json_null(json);
}

static void left_open(aid_json_writer *json)
{
    aid_json_begin_array(json);
    aid_json_finish(json);
}

TEST(calls_out_of_order_assert)
{
    void (*const mistakes[])(aid_json_writer *) = {value_without_key, key_in_an_array, wrong_end,
                                                   two_values, left_open};
    for (size_t i = 0; i < AID_COUNT_OF(mistakes); i++) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            signal(SIGABRT, SIG_DFL);
            if (!freopen("/dev/null", "w", stderr))
                _exit(1);
            aid_json_writer json = aid_json_writer_on(stderr, 0);
            mistakes[i](&json);
            _exit(0);
        }
        int outcome;
        CHECK(waitpid(child, &outcome, 0) == child);
        CHECK(WIFSIGNALED(outcome) && WTERMSIG(outcome) == SIGABRT);
    }
}

static void put_two(aid_json_writer *json, const void *context)
{
    aid_json_begin_array(json);
    aid_json_integer(json, *(const int *)context);
    aid_json_text(json, "x");
    aid_json_end_array(json);
    aid_json_finish(json);
}

TEST(a_document_becomes_a_text_of_its_own)
{
    const int seven = 7;
    char *document = NULL;
    size_t length = 0;
    aid_error why;
    aid_status status = aid_json_document(put_two, &seven, "summary", &document, &length, &why);
    CHECK(status == AID_OK);
    int same = length == strlen(document) && !strcmp(document, "[\n  7,\n  \"x\"\n]\n");
    free(document);
    CHECK(same);
}

TEST_MAIN()
