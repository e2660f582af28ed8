/* A folder of the test's own to work in, and what is in it. */
#ifndef AID_TESTS_FOLDER_H
#define AID_TESTS_FOLDER_H

#include <stdbool.h>

/* Makes a new empty folder and enters it; the one before it, and at exit the last one, is removed
 * with all that is in it. */
void enter_new_folder(void);

bool exists(const char *path); /* a link counts itself */
int entries_in(const char *folder);

#endif
