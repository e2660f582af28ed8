#include "apps/common/command.h"

#include "adapters/log/log.h"
#include "apps/common/config_file.h"
#include "core/base/memory.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_LABEL = 256, MAX_VARIABLE = 64 };

/* A command line while it is being read. */
typedef struct command_reading {
    const aid_command *command;
    char *options;          /* the command's struct */
    const char **origins;   /* of each use's value */
    const char *config;     /* path, or NULL */
    const char **arguments; /* as many as there are words */
    int argument_count;
    bool help;
} command_reading;

static const aid_setting *setting_of(const aid_setting_use *use)
{
    const aid_setting *setting = aid_setting_find(use->key);
    assert(setting && setting->kind == use->kind); /* a command's table is at fault */
    return setting;
}

static void *field_of(const command_reading *reading, const aid_setting_use *use)
{
    return reading->options + use->offset;
}

/* `label` is how the user said it. */
static aid_status take_value(command_reading *reading, const aid_setting_use *use, const char *text,
                             const char *label, const char *origin, aid_error *err)
{
    AID_TRY(aid_setting_parse(setting_of(use), text, label, field_of(reading, use), err));
    reading->origins[use - reading->command->uses] = origin;
    return AID_OK;
}

static const aid_setting_use *find_use(const aid_command *command, const char *key)
{
    for (int i = 0; i < command->use_count; i++)
        if (!strcmp(command->uses[i].key, key))
            return &command->uses[i];
    return NULL;
}

/* ---------------------------------------------------------------- defaults, file, environment */

static void set_unset(const aid_setting *setting, void *field)
{
    switch (setting->kind) {
    case AID_SETTING_FLAG:
        *(bool *)field = false;
        break;
    case AID_SETTING_INTEGER:
        *(int64_t *)field = AID_UNSET_INTEGER;
        break;
    case AID_SETTING_NUMBER:
        *(double *)field = NAN;
        break;
    case AID_SETTING_TEXT:
        *(const char **)field = NULL;
        break;
    case AID_SETTING_CHOICE:
        *(int *)field = 0;
        break;
    }
}

static const char *unit_of(const aid_setting_use *use, const aid_setting *setting)
{
    const char *unit = use->unit ? use->unit : setting->unit;
    return unit ? unit : "";
}

static const char *fallback_of(const aid_setting_use *use, const aid_setting *setting)
{
    const char *text = use->fallback ? use->fallback : setting->fallback;
    return text && *text ? text : NULL;
}

static aid_status take_defaults(command_reading *reading, aid_error *err)
{
    for (int i = 0; i < reading->command->use_count; i++) {
        const aid_setting_use *use = &reading->command->uses[i];
        const aid_setting *setting = setting_of(use);
        const char *text = fallback_of(use, setting);
        set_unset(setting, field_of(reading, use));
        if (text)
            AID_TRY(take_value(reading, use, text, use->key, "default", err));
    }
    return AID_OK;
}

static aid_status take_config(command_reading *reading, const aid_config *config, aid_error *err)
{
    for (int i = 0; i < config->count; i++) {
        const aid_config_entry *entry = &config->entries[i];
        const aid_setting_use *use = find_use(reading->command, entry->setting->key);
        if (use) /* the others are for other commands */
            AID_TRY(take_value(reading, use, entry->value, use->key, "configuration file", err));
    }
    return AID_OK;
}

static const char *look_up(char *const *environment, const char *name)
{
    size_t length = strlen(name);
    for (; environment && *environment; environment++)
        if (!strncmp(*environment, name, length) && (*environment)[length] == '=')
            return *environment + length + 1;
    return NULL;
}

/* An empty variable is an unset one, as is usual. */
static aid_status take_environment(command_reading *reading, char *const *environment,
                                   aid_error *err)
{
    for (int i = 0; i < reading->command->use_count; i++) {
        const aid_setting_use *use = &reading->command->uses[i];
        char name[MAX_VARIABLE], label[MAX_LABEL];
        aid_setting_variable(setting_of(use), name, sizeof name);
        const char *text = look_up(environment, name);
        if (!text || !*text)
            continue;
        snprintf(label, sizeof label, "%s=%s", name, text);
        AID_TRY(take_value(reading, use, text, label, "environment", err));
    }
    return AID_OK;
}

/* -------------------------------------------------------------------------------- command line */

static aid_status unknown_option(const command_reading *reading, const char *word, aid_error *err)
{
    enum { MAX_NAMES = 128 };
    const char *names[MAX_NAMES];
    int count = 0;
    const aid_command *command = reading->command;
    for (int i = 0; i < command->use_count && count < MAX_NAMES - 1; i++)
        names[count++] = command->uses[i].key;
    names[count++] = "help";
    char key[MAX_VARIABLE];
    snprintf(key, sizeof key, "%.*s", (int)strcspn(word, "="), word);
    const char *typed = key + strspn(key, "-");
    const char *nearest = aid_nearest_name(typed, names, count);
    if (nearest)
        AID_FAIL(err, AID_ERR_USAGE, "unknown option %s; did you mean --%s?", key, nearest);
    AID_FAIL(err, AID_ERR_USAGE, "%s %s; see astrid %s --help",
             aid_setting_find(typed) ? "this command has no option" : "unknown option", key,
             command->name);
}

static const aid_setting_use *use_of_letter(const aid_command *command, char letter)
{
    for (int i = 0; i < command->use_count; i++)
        if (letter && setting_of(&command->uses[i])->letter == letter)
            return &command->uses[i];
    return NULL;
}

/* The option that `word` names, and its value where that is part of the word (else NULL). */
static const aid_setting_use *find_option(const aid_command *command, const char *word,
                                          const char **ret_value)
{
    *ret_value = NULL;
    if (word[1] != '-') {
        *ret_value = word[2] ? word + 2 : NULL;
        return use_of_letter(command, word[1]);
    }
    char key[MAX_VARIABLE];
    size_t length = strcspn(word, "=");
    snprintf(key, sizeof key, "%.*s", (int)length - 2, word + 2);
    *ret_value = word[length] ? word + length + 1 : NULL;
    return find_use(command, key);
}

/* Takes the option at argv[*at] and leaves *at on its last word. */
static aid_status take_option(command_reading *reading, int argc, char *const *argv, int *at,
                              aid_error *err)
{
    const char *word = argv[*at], *value;
    const aid_setting_use *use = find_option(reading->command, word, &value);
    if (!use)
        return unknown_option(reading, word, err);
    const aid_setting *setting = setting_of(use);
    if (!value && setting->kind == AID_SETTING_FLAG) {
        value = "true";
    } else if (!value) {
        const char *unused;
        const char *next = *at + 1 < argc ? argv[*at + 1] : NULL;
        bool is_option = next && next[0] == '-' && next[1] &&
                         (next[1] == '-' || find_option(reading->command, next, &unused));
        if (!next || is_option)
            AID_FAIL(err, AID_ERR_USAGE, "--%s needs a value: --%s %s", use->key, use->key,
                     unit_of(use, setting));
        value = next;
        ++*at;
    }
    char label[MAX_LABEL];
    snprintf(label, sizeof label, "--%s %s", use->key, value);
    return take_value(reading, use, value, label, "command line", err);
}

static aid_status take_words(command_reading *reading, int argc, char *const *argv, aid_error *err)
{
    bool options_may_come = true;
    reading->argument_count = 0;
    for (int i = 0; i < argc; i++) {
        const char *word = argv[i];
        if (!options_may_come || word[0] != '-' || !word[1])
            reading->arguments[reading->argument_count++] = word;
        else if (!strcmp(word, "--"))
            options_may_come = false;
        else if (!strcmp(word, "--help") || !strcmp(word, "-h")) {
            reading->help = true;
            return AID_OK;
        } else
            AID_TRY(take_option(reading, argc, argv, &i, err));
    }
    return AID_OK;
}

static aid_status check_arguments(const command_reading *reading, aid_error *err)
{
    const aid_command *command = reading->command;
    int wanted = command->argument_count, given = reading->argument_count;
    if (given < wanted)
        AID_FAIL(err, AID_ERR_USAGE, "%s is missing; usage: %s", command->arguments[given].name,
                 command->example);
    if (given > wanted && !(wanted && command->arguments[wanted - 1].repeats))
        AID_FAIL(err, AID_ERR_USAGE, "unexpected argument %s; usage: %s",
                 reading->arguments[wanted], command->example);
    return AID_OK;
}

/* Which configuration file it is to be can be said on the command line and in the environment. */
static const char *config_path(const command_reading *reading)
{
    const aid_setting_use *use = find_use(reading->command, "config");
    return use ? *(const char **)field_of(reading, use) : NULL;
}

static aid_status read_everything(command_reading *reading, int argc, char *const *argv,
                                  char *const *environment, aid_config *config, aid_error *err)
{
    AID_TRY(take_words(reading, argc, argv, err)); /* help and usage before anything is opened */
    if (reading->help)
        return AID_OK;
    AID_TRY(check_arguments(reading, err));
    AID_TRY(take_defaults(reading, err));
    AID_TRY(take_environment(reading, environment, err));
    AID_TRY(take_words(reading, argc, argv, err));
    if (!config_path(reading))
        return AID_OK;
    AID_TRY(aid_config_read(config_path(reading), config, err));
    AID_TRY(take_config(reading, config, err));
    AID_TRY(take_environment(reading, environment, err));
    return take_words(reading, argc, argv, err);
}

/* --------------------------------------------------------------------------- outputs and inputs */

static bool same_file(const char *one, const char *other)
{
    struct stat a, b;
    return one && other && stat(one, &a) == 0 && stat(other, &b) == 0 && S_ISREG(a.st_mode) &&
           a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static const char *text_given(const command_reading *reading, const aid_setting_use *use)
{
    return use->kind == AID_SETTING_TEXT ? *(const char *const *)field_of(reading, use) : NULL;
}

static bool is_output(const aid_setting_use *use)
{
    static const char *const keys[] = {"output", "rejected", "transform-out"};
    for (size_t i = 0; i < AID_COUNT_OF(keys); i++)
        if (!strcmp(use->key, keys[i]))
            return true;
    return false;
}

/* Results take the place of what had their name, which must not be what they are made of: not even
 * under another of its names, and not each other. */
static aid_status check_output(const command_reading *reading, const aid_setting_use *output,
                               aid_error *err)
{
    const char *path = text_given(reading, output);
    for (int i = 0; i < reading->argument_count; i++)
        if (same_file(path, reading->arguments[i]))
            AID_FAIL(err, AID_ERR_USAGE, "%s is one of the inputs: --%s would replace it", path,
                     output->key);
    for (int i = 0; path && i < reading->command->use_count; i++) {
        const aid_setting_use *use = &reading->command->uses[i];
        const char *other = text_given(reading, use);
        bool twin = other && is_output(use) && !strcmp(path, other); /* neither is there yet */
        if (use != output && (twin || same_file(path, other)))
            AID_FAIL(err, AID_ERR_USAGE, "%s cannot be both --%s and --%s", path, use->key,
                     output->key);
    }
    return AID_OK;
}

static aid_status check_outputs(const command_reading *reading, aid_error *err)
{
    for (int i = 0; i < reading->command->use_count; i++)
        if (is_output(&reading->command->uses[i]))
            AID_TRY(check_output(reading, &reading->command->uses[i], err));
    return AID_OK;
}

/* The choices of log-level and log-format stand in the order of the log's own. */
static void configure_log(const command_reading *reading)
{
    const aid_setting_use *level = find_use(reading->command, "log-level");
    const aid_setting_use *format = find_use(reading->command, "log-format");
    if (level && format)
        aid_log_configure((aid_log_format) * (const int *)field_of(reading, format),
                          (aid_log_level) * (const int *)field_of(reading, level));
}

int aid_threads_of(const aid_common_options *options)
{
    if (options->threads != AID_UNSET_INTEGER)
        return (int)options->threads;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return (int)AID_CLAMP(cores, 1, AID_MAX_THREADS);
}

aid_status aid_command_main(const aid_command *command, int argc, char *const *argv,
                            char *const *environment, FILE *out, aid_error *err)
{
    AID_CLEANUP(aid_free_pointer)
    char *options = NULL;
    AID_CLEANUP(aid_free_pointer)
    const char **origins = NULL;
    AID_CLEANUP(aid_free_pointer)
    const char **arguments = NULL;
    AID_TRY(aid_new_array((size_t)command->use_count, sizeof *origins, "options", &origins, err));
    AID_TRY(aid_new_array(1, command->options_size, "options", &options, err));
    AID_TRY(aid_new_array((size_t)argc + 1, sizeof *arguments, "arguments", &arguments, err));
    command_reading reading = {
        .command = command, .options = options, .origins = origins, .arguments = arguments};
    aid_config config = {0};
    aid_status status = read_everything(&reading, argc, argv, environment, &config, err);
    if (status == AID_OK && !reading.help)
        status = check_outputs(&reading, err);
    if (status == AID_OK && reading.help)
        aid_command_help(command, out);
    else if (status == AID_OK) {
        configure_log(&reading);
        aid_invocation invocation = {command, options, origins, arguments, reading.argument_count};
        status = command->execute(&invocation, err);
    }
    aid_config_done(&config);
    return status;
}

/* ---------------------------------------------------------------------------------------- help */

enum { HELP_COLUMN = 32 };

static void print_range(const aid_setting *setting, const char *fallback, FILE *out)
{
    bool ranged = setting->kind == AID_SETTING_NUMBER || setting->kind == AID_SETTING_INTEGER;
    const char *opening = " (";
    if (fallback) {
        fprintf(out, "%sdefault %s", opening, fallback);
        opening = "; ";
    }
    if (ranged) {
        fprintf(out, "%s%.16g to %.16g", opening, setting->low, setting->high);
        opening = "; ";
    }
    if (setting->choices) {
        fprintf(out, "%s%s", opening, setting->choices);
        opening = "; ";
    }
    fputs(*opening == ';' ? ")\n" : "\n", out);
}

static void print_setting(const aid_setting_use *use, FILE *out)
{
    const aid_setting *setting = setting_of(use);
    const char *unit = unit_of(use, setting);
    char names[96];
    if (setting->letter)
        snprintf(names, sizeof names, "-%c, --%s %s", setting->letter, setting->key, unit);
    else
        snprintf(names, sizeof names, "    --%s %s", setting->key, unit);
    fprintf(out, "  %-*s %s", HELP_COLUMN, names, use->help ? use->help : setting->help);
    print_range(setting, fallback_of(use, setting), out);
}

void aid_command_help(const aid_command *command, FILE *out)
{
    fprintf(out, "Usage: astrid %s", command->name);
    bool many = false; /* an earlier argument's name says already that there may be more */
    for (int i = 0; i < command->argument_count; i++) {
        fprintf(out, " %s%s", command->arguments[i].name,
                command->arguments[i].repeats && !many ? "..." : "");
        many = many || strstr(command->arguments[i].name, "...");
    }
    fprintf(out, " [options]\n\n%s\n", command->summary);
    if (command->details)
        fprintf(out, "\n%s", command->details);
    if (command->argument_count)
        fputs("\nArguments:\n", out);
    for (int i = 0; i < command->argument_count; i++)
        fprintf(out, "  %-*s %s\n", HELP_COLUMN, command->arguments[i].name,
                command->arguments[i].help);
    fputs("\nOptions:\n", out);
    for (int i = 0; i < command->use_count; i++)
        print_setting(&command->uses[i], out);
    fprintf(out, "  %-*s %s\n", HELP_COLUMN, "-h, --help", "show this");
    fprintf(
        out,
        "\nExample:\n  %s\n\n"
        "Options may also come from the environment (--zero-point as ASTRID_ZERO_POINT) or from\n"
        "the file of --config (zero-point = 25.3); the command line wins, then the environment.\n"
        "Exit status: 0 done, 1 failed, 2 wrong usage, 3 the input was refused.\n",
        command->example);
}

/* ------------------------------------------------------------------------------------- results */

static bool is_set(const aid_setting *setting, const void *field)
{
    switch (setting->kind) {
    case AID_SETTING_INTEGER:
        return *(const int64_t *)field != AID_UNSET_INTEGER;
    case AID_SETTING_NUMBER:
        return !isnan(*(const double *)field);
    case AID_SETTING_TEXT:
        return *(const char *const *)field != NULL;
    case AID_SETTING_FLAG:
    case AID_SETTING_CHOICE:
        break;
    }
    return true;
}

int aid_command_parameters(const aid_invocation *invocation, aid_parameter *items, int capacity)
{
    int count = 0;
    for (int i = 0; i < invocation->command->use_count && count < capacity; i++) {
        const aid_setting_use *use = &invocation->command->uses[i];
        const aid_setting *setting = setting_of(use);
        const void *field = (const char *)invocation->options + use->offset;
        if (!setting->plumbing && is_set(setting, field))
            items[count++] = (aid_parameter){setting, field, invocation->origins[i]};
    }
    return count;
}

int aid_exit_code(aid_status status)
{
    switch (status) {
    case AID_OK:
        return 0;
    case AID_ERR_USAGE:
        return 2;
    case AID_ERR_INVALID:
    case AID_ERR_NUMERIC:
        return 3;
    case AID_ERR_IO:
    case AID_ERR_NOMEM:
    case AID_ERR_CANCELLED:
        break;
    }
    return 1;
}

void aid_print_error(const char *command, const aid_error *error)
{
    fprintf(stderr, "astrid%s%s: %s\n", command ? " " : "", command ? command : "", error->message);
}
