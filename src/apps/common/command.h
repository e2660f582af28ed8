/* A command of the program, described by tables: its arguments and the settings that it takes. */
#ifndef AID_APPS_COMMON_COMMAND_H
#define AID_APPS_COMMON_COMMAND_H

#include "apps/common/settings.h"

#include <stddef.h>
#include <stdio.h>

/* A setting that the command takes, and the field of its options struct that holds it. */
typedef struct aid_setting_use {
    const char *key;
    size_t offset;
    aid_setting_kind kind; /* of the field: has to be that of the setting */
    const char *fallback;  /* NULL: the setting's own; "": unset, whatever the setting says */
    const char *help;      /* NULL: the setting's own */
    const char *unit;      /* for --help, NULL: the setting's own */
} aid_setting_use;

/* {AID_FIELD("threshold", run_options, threshold)}, more members may follow. */
#define AID_FIELD(name, type, member)                                                              \
    .key = (name), .offset = offsetof(type, member),                                               \
    .kind = _Generic(((type *)NULL)->member,                                                       \
                     bool: AID_SETTING_FLAG,                                                       \
                     int64_t: AID_SETTING_INTEGER,                                                 \
                     double: AID_SETTING_NUMBER,                                                   \
                     const char *: AID_SETTING_TEXT,                                               \
                     int: AID_SETTING_CHOICE)

/* What every command takes: a member `common` of its options struct, and AID_COMMON_USES(type) as
 * the last rows of its table. */
typedef struct aid_common_options {
    int64_t threads; /* aid_threads_of tells how many that are */
    const char *config;
    bool json;
    int log_level, log_format; /* in effect when the command is executed */
} aid_common_options;

#define AID_COMMON_USES(type)                                                                      \
    {AID_FIELD("threads", type, common.threads)}, {AID_FIELD("config", type, common.config)},      \
        {AID_FIELD("json", type, common.json)}, {AID_FIELD("log-level", type, common.log_level)},  \
    {                                                                                              \
        AID_FIELD("log-format", type, common.log_format)                                           \
    }

int aid_threads_of(const aid_common_options *options);

typedef struct aid_argument {
    const char *name; /* SCI */
    const char *help;
    bool repeats; /* the last one only: one or more */
} aid_argument;

typedef struct aid_command aid_command;

/* One use of a command: what the command line came to. */
typedef struct aid_invocation {
    const aid_command *command;
    const void *options;          /* the command's own struct, filled in */
    const char *const *origins;   /* of each use's value: "default", "command line", ... */
    const char *const *arguments; /* as many as the command's table asks for */
    int argument_count;
} aid_invocation;

struct aid_command {
    const char *name;
    const char *summary; /* one line, for the list of commands */
    const char *details; /* for --help, lines ended by \n; may be NULL */
    const char *example; /* a whole command line */
    const aid_argument *arguments;
    int argument_count;
    const aid_setting_use *uses;
    int use_count;
    size_t options_size;
    aid_status (*execute)(const aid_invocation *invocation, aid_error *err);
};

/* Reads the command line after the command's name, the environment ("NAME=value", NULL-terminated),
 * the configuration file, if any, and the defaults, the former before the latter, and executes the
 * command; --help prints the help to `out` instead.
 * Fails with AID_ERR_USAGE before anything is done, or as the command does. */
AID_MUST_USE aid_status aid_command_main(const aid_command *command, int argc, char *const *argv,
                                         char *const *environment, FILE *out, aid_error *err);

void aid_command_help(const aid_command *command, FILE *out);

/* A setting that can change a result and is set, for the provenance. */
typedef struct aid_parameter {
    const aid_setting *setting;
    const void *field;
    const char *origin;
} aid_parameter;

/* Writes at most `capacity` of them, in the order of the command's table, and returns how many. */
int aid_command_parameters(const aid_invocation *invocation, aid_parameter *items, int capacity);

/* 0 done, 1 failed, 2 usage, 3 the input was refused. */
int aid_exit_code(aid_status status);

/* "astrid run: sci.fits: ..." as the one line on stderr. `command` may be NULL. */
void aid_print_error(const char *command, const aid_error *error);

#endif
