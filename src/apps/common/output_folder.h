/* A folder of results that appears as a whole: files are written into a hidden folder beside it,
 * which takes its name, or changes places with an earlier one, when all of them are there. */
#ifndef AID_APPS_COMMON_OUTPUT_FOLDER_H
#define AID_APPS_COMMON_OUTPUT_FOLDER_H

#include "core/base/status.h"

#include <stddef.h>

enum { AID_MAX_PATH = 4096, AID_MAX_SUBFOLDERS = 4 };

typedef struct aid_output_folder aid_output_folder;

/* `names`, NULL-terminated and static: every file that may be written, the last one being the one
 * that others look for. One may lie in a folder of its own ("raw/bias_1.fits"), which is made for
 * it and goes again when nothing is in it; there are AID_MAX_SUBFOLDERS of these at most. Nobody
 * else can write to the same folder meanwhile; what a killed process has left is cleared away.
 * Fails with AID_ERR_USAGE when `path` is taken by something that is no folder, or a name in it by
 * something that is no file, AID_ERR_IO when its
 * parent cannot be written to or another process is at it. */
AID_MUST_USE aid_status aid_output_folder_begin(const char *path, const char *const *names,
                                                aid_output_folder **ret_folder, aid_error *err);

/* Where to write a file of that name, and where it will be found in the end. */
void aid_output_folder_path(const aid_output_folder *folder, const char *name,
                            char ret_path[AID_MAX_PATH]);
void aid_output_folder_final_path(const aid_output_folder *folder, const char *name,
                                  char ret_path[AID_MAX_PATH]);

/* An error about a file of the unfinished folder names it as it would be called in the end. NULL is
 * fine. */
void aid_output_folder_name_final(const aid_output_folder *folder, aid_error *err);

/* Both release the folder; a commit that fails leaves what was there before, and abandon takes
 * NULL. An earlier folder that holds nothing but such files is replaced in one step. One that holds
 * others keeps them: there each file is replaced in one step, in the order of the names. */
AID_MUST_USE aid_status aid_output_folder_commit(aid_output_folder *folder, aid_error *err);
void aid_output_folder_abandon(aid_output_folder *folder);

/* Removes the unfinished folder of this process. Async-signal-safe. */
void aid_output_folders_abandon_all(void);

#endif
