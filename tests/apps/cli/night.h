/* What tests of whole nights share. Included by each test program. */
#ifndef AID_TESTS_APPS_CLI_NIGHT_H
#define AID_TESTS_APPS_CLI_NIGHT_H

#include "tests/apps/cli/program.h"

#include <jansson.h>
#include <math.h>

static inline void must(const char *command)
{
    int status = system(command);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        check_fail(__FILE__, __LINE__, "%s: status %d", command, status);
}

static inline void must_run(const char *words)
{
    int exit_code = astrid(words);
    if (exit_code != 0)
        check_fail(__FILE__, __LINE__, "astrid %s: exit %d: %s", words, exit_code, error_text);
}

static inline json_t *load(const char *path)
{
    json_error_t problem;
    json_t *json = json_load_file(path, 0, &problem);
    if (!json)
        check_fail(__FILE__, __LINE__, "%s:%d: %s", path, problem.line, problem.text);
    return json;
}

static inline const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static inline double number_of(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

static inline json_t *frame_of(const json_t *night, const char *raw_file)
{
    json_t *frames = json_object_get(night, "frames"), *frame;
    size_t i;
    json_array_foreach(frames, i, frame)
    {
        if (!strcmp(text_of(frame, "raw_file"), raw_file))
            return frame;
    }
    check_fail(__FILE__, __LINE__, "night.json has no frame %s", raw_file);
    return NULL;
}

#endif
