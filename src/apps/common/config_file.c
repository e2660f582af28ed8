#include "apps/common/config_file.h"

#include "adapters/files/files.h"
#include "core/base/memory.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_CONFIG_BYTES = 1 << 20, MAX_LABEL = 256 };

void aid_config_done(aid_config *config)
{
    free(config->text);
    free(config->entries);
    *config = (aid_config){0};
}

static char *trim(char *text)
{
    while (isspace((unsigned char)*text))
        text++;
    size_t length = strlen(text);
    while (length && isspace((unsigned char)text[length - 1]))
        text[--length] = '\0';
    return text;
}

/* A # begins a comment at the start of a line or after a blank: a file name may hold one. */
static void cut_comment(char *line)
{
    for (char *c = line; *c; c++)
        if (*c == '#' && (c == line || isspace((unsigned char)c[-1]))) {
            *c = '\0';
            return;
        }
}

static aid_status unknown_key(const char *path, int line, const char *key, aid_error *err)
{
    enum { MAX_NAMES = 256 };
    const char *names[MAX_NAMES];
    int count = AID_MIN(aid_setting_count, MAX_NAMES);
    for (int i = 0; i < count; i++)
        names[i] = aid_settings[i].key;
    const char *nearest = aid_nearest_name(key, names, count);
    AID_FAIL(err, AID_ERR_USAGE, "%s:%d: unknown key %s%s%s%s", path, line, key,
             nearest ? "; did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
}

static aid_status check_new(const aid_config *config, const char *path, const char *key, int line,
                            aid_error *err)
{
    for (int i = 0; i < config->count; i++)
        if (!strcmp(config->entries[i].setting->key, key))
            AID_FAIL(err, AID_ERR_USAGE, "%s:%d: %s was already set in line %d", path, line, key,
                     config->entries[i].line);
    return AID_OK;
}

/* Wide enough for any kind of value, so that one can be tried. */
typedef union any_field {
    bool flag;
    int64_t integer;
    double number;
    const char *text;
    int choice;
} any_field;

static aid_status add_line(aid_config *config, const char *path, int number, char *line,
                           aid_error *err)
{
    cut_comment(line);
    line = trim(line);
    if (!*line)
        return AID_OK;
    char *equals = strchr(line, '=');
    if (!equals)
        AID_FAIL(err, AID_ERR_USAGE, "%s:%d: '%.60s' is not of the form key = value", path, number,
                 line);
    *equals = '\0';
    char *key = trim(line), *value = trim(equals + 1);
    for (char *c = key; *c; c++)
        *c = *c == '_' ? '-' : *c;
    const aid_setting *setting = aid_setting_find(key);
    if (!setting)
        return unknown_key(path, number, key, err);
    if (!strcmp(key, "config"))
        AID_FAIL(err, AID_ERR_USAGE, "%s:%d: a configuration file cannot name another", path,
                 number);
    AID_TRY(check_new(config, path, key, number, err));
    any_field field;
    char label[MAX_LABEL];
    snprintf(label, sizeof label, "%s:%d: %s = %s", path, number, key, value);
    AID_TRY(aid_setting_parse(setting, value, label, &field, err));
    config->entries[config->count++] = (aid_config_entry){setting, value, number};
    return AID_OK;
}

static aid_status parse_lines(aid_config *config, const char *path, aid_error *err)
{
    /* No key can come twice, so there are never more entries than settings. */
    AID_TRY(aid_new_array((size_t)aid_setting_count, sizeof *config->entries, "configuration",
                          &config->entries, err));
    char *line = config->text;
    if (!strncmp(line, "\xEF\xBB\xBF", 3)) /* the mark that some editors put first */
        line += 3;
    for (int number = 1; line; number++) {
        char *next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        AID_TRY(add_line(config, path, number, line, err));
        line = next;
    }
    return AID_OK;
}

aid_status aid_config_parse(const char *path, char *take_text, aid_config *ret_config,
                            aid_error *err)
{
    aid_config config = {.text = take_text};
    aid_status status = parse_lines(&config, path, err);
    if (status != AID_OK) {
        aid_config_done(&config);
        return status;
    }
    *ret_config = config;
    return AID_OK;
}

aid_status aid_config_read(const char *path, aid_config *ret_config, aid_error *err)
{
    char *text;
    size_t size;
    AID_TRY(aid_read_file(path, MAX_CONFIG_BYTES, &text, &size, err));
    if (strlen(text) != size) {
        free(text);
        AID_FAIL(err, AID_ERR_USAGE, "%s: holds a zero byte: not a configuration file", path);
    }
    return aid_config_parse(path, text, ret_config, err);
}
