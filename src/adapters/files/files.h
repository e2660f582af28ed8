/* The file system: whole files in and out, atomically. */
#ifndef AID_ADAPTERS_FILES_FILES_H
#define AID_ADAPTERS_FILES_FILES_H

#include "core/base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* A file that appears under its name only when it is complete: written under a temporary name in
 * the same folder (`.name.XXXXXX.part`), then fsync, rename, fsync of the folder. What a
 * killed process has left of the same file is cleared away. Error messages name the final path. A
 * link is followed to the file it stands for; what exists and is not a regular file
 * (/dev/null) is refused, for renaming would replace it. */
typedef struct aid_new_file aid_new_file;
AID_MUST_USE aid_status aid_new_file_open(const char *path, aid_new_file **ret_file,
                                          aid_error *err);
FILE *aid_new_file_stream(aid_new_file *file);
/* Both release the file; commit fails if any earlier write on the stream failed, and leaves
 * nothing. abandon takes NULL. */
AID_MUST_USE aid_status aid_new_file_commit(aid_new_file *file, aid_error *err);
void aid_new_file_abandon(aid_new_file *file);

/* Removes every unfinished file of this process, and makes later opens fail with AID_ERR_CANCELLED:
 * for a handler of SIGINT or SIGTERM that ends the program next. Async-signal-safe. */
void aid_new_files_abandon_all(void);

AID_MUST_USE aid_status aid_write_file(const char *path, const void *bytes, size_t size,
                                       aid_error *err);
/* A whole file, with a NUL behind its last byte that ret_size (may be NULL) does not count. Release
 * with free(). Fails with AID_ERR_INVALID when it is longer than max_bytes, AID_ERR_IO when it
 * cannot be read; the out-parameters are untouched then. */
AID_MUST_USE aid_status aid_read_file(const char *path, size_t max_bytes, char **ret_text,
                                      size_t *ret_size, aid_error *err);
/* Creates a folder and its parents; an existing folder is fine. */
AID_MUST_USE aid_status aid_make_folder(const char *path, aid_error *err);
/* The same, and tells how many of them were not there. So many of the last ones go again by
 * aid_unmake_folder, as far as nothing is in them. A failure leaves none of them. */
AID_MUST_USE aid_status aid_make_new_folder(const char *path, int *ret_made, aid_error *err);
void aid_unmake_folder(const char *path, int made);

/* SHA-256 as 64 lower-case hexadecimal digits. */
void aid_sha256(const void *bytes, size_t size, char ret_hex[65]);
/* The same of a whole file, from its beginning, in little memory; the position of the descriptor
 * stays. `path` is for messages. */
AID_MUST_USE aid_status aid_sha256_descriptor(int descriptor, const char *path, char ret_hex[65],
                                              aid_error *err);

#endif
