/* Starting the decoder as a process of its own, and what it does there. */
#ifndef AID_ADAPTERS_FITS_CHILD_H
#define AID_ADAPTERS_FITS_CHILD_H

#include "adapters/fits/decode.h"

#include <sys/types.h>

/* Runs this program's own file as a decoder of `file`, which writes into `reply` (both descriptors
 * >= AID_FITS_CHILD_DESCRIPTORS, so that they do not get in each other's way on their way to the
 * child). The child has an empty environment and nothing of ours but these two. */
enum { AID_FITS_CHILD_DESCRIPTORS = 8 };
AID_MUST_USE aid_status aid_fits_child_start(int file, int reply, const aid_fits_request *request,
                                             const char *name, pid_t *ret_child, aid_error *err);

/* Waits for it. Fails where it ended in any other way than by giving a reply. */
AID_MUST_USE aid_status aid_fits_child_wait(pid_t child, const char *name, aid_error *err);

#endif
