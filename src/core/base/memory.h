/* Heap allocation with sizes that are checked, and the cleanup functions that go with it. */
#ifndef AID_CORE_BASE_MEMORY_H
#define AID_CORE_BASE_MEMORY_H

#include "core/base/status.h"

#include <stddef.h>
#include <stdint.h>

/* `count` items of `size` bytes, zeroed, aligned to 64 bytes. Fails with AID_ERR_NOMEM, naming
 * `what` and the number of bytes; *ret_memory is untouched then. Release with free(). */
AID_MUST_USE aid_status aid_new_array(size_t count, size_t size, const char *what, void *ret_memory,
                                      aid_error *err);

/* The same without zeroing, for large buffers that are written whole. */
AID_MUST_USE aid_status aid_new_buffer(size_t count, size_t size, const char *what,
                                       void *ret_memory, aid_error *err);

/* AID_CLEANUP(aid_free_pointer): frees what the pointer variable points to. */
void aid_free_pointer(void *pointer_to_pointer);

#endif
