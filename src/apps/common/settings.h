/* Everything that can be configured, in one table: it makes the command lines, their --help, the
 * ASTRID_* environment variables and the configuration files. */
#ifndef AID_APPS_COMMON_SETTINGS_H
#define AID_APPS_COMMON_SETTINGS_H

#include "core/base/status.h"

#include <stdbool.h>
#include <stdint.h>

typedef enum aid_setting_kind {
    AID_SETTING_FLAG,    /* bool */
    AID_SETTING_INTEGER, /* int64_t */
    AID_SETTING_NUMBER,  /* double */
    AID_SETTING_TEXT,    /* const char * */
    AID_SETTING_CHOICE   /* int: index into `choices` */
} aid_setting_kind;

/* A key has one meaning in every command. It is `--key` on a command line, ASTRID_KEY in the
 * environment (upper case, _ for -) and `key = value` in a configuration file. */
typedef struct aid_setting {
    const char *key;
    char letter;   /* short form on the command line; 0: none */
    bool plumbing; /* cannot change a result: left out of the provenance */
    aid_setting_kind kind;
    const char *unit;     /* stands for the value in --help: SIGMA, FILE, MAG */
    const char *fallback; /* default, spelled as a user would; NULL: unset */
    double low, high;     /* inclusive range of integers and numbers */
    const char *choices;  /* "auto|hybrid|zogy" */
    const char *help;
} aid_setting;

/* What a setting without a default holds when nobody sets it: NaN, NULL, false, or this. */
#define AID_UNSET_INTEGER INT64_MIN

extern const aid_setting aid_settings[];
extern const int aid_setting_count;

/* NULL when there is none of that name. */
const aid_setting *aid_setting_find(const char *key);

/* "ASTRID_SCIENCE_MASK" for "science-mask". Truncated at `size`. */
void aid_setting_variable(const aid_setting *setting, char *name, size_t size);

/* Reads `text` into *field, whose type is that of the setting's kind; texts are borrowed.
 * Fails with AID_ERR_USAGE: "`label` is not between 1 and 100", `label` being how the user said it
 * ("--threshold 500", "ASTRID_THRESHOLD=500", "night.conf:3: threshold = 500"); *field is
 * untouched. */
AID_MUST_USE aid_status aid_setting_parse(const aid_setting *setting, const char *text,
                                          const char *label, void *field, aid_error *err);

/* The value as a user would spell it. Truncated at `size`. */
void aid_setting_text(const aid_setting *setting, const void *field, char *text, size_t size);

/* The name among `names` that `typed` is most likely a misspelling of, or NULL when none is near.
 */
const char *aid_nearest_name(const char *typed, const char *const *names, int count);

#endif
