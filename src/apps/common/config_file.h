/* A configuration file: `key = value` lines, # comments. */
#ifndef AID_APPS_COMMON_CONFIG_FILE_H
#define AID_APPS_COMMON_CONFIG_FILE_H

#include "apps/common/settings.h"

typedef struct aid_config_entry {
    const aid_setting *setting;
    const char *value; /* borrowed from the text */
    int line;
} aid_config_entry;

typedef struct aid_config {
    char *text;
    int count;
    aid_config_entry *entries; /* in file order, no key twice */
} aid_config;

/* Takes `text` (zero-terminated, from malloc), also on failure. Every key is checked to be one of
 * the table, whichever command it is for, and every value to be in range.
 * Fails with AID_ERR_USAGE: "night.conf:3: ...". */
AID_MUST_USE aid_status aid_config_parse(const char *path, char *take_text, aid_config *ret_config,
                                         aid_error *err);
AID_MUST_USE aid_status aid_config_read(const char *path, aid_config *ret_config, aid_error *err);
void aid_config_done(aid_config *config);

#endif
