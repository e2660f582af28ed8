#define _DEFAULT_SOURCE /* madvise */
#include "core/base/memory.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static const size_t alignment = 64;

/* Whole images are asked for in the processor's large pages: to get 16 MB in pages of 4 KB one by
 * one costs more than many a pass over them. */
static const size_t large_page = 2 << 20, large_buffer = 4 << 20;

static void *allocate(size_t bytes)
{
    if (bytes < large_buffer)
        return aligned_alloc(alignment, bytes ? bytes : alignment);
    void *memory = aligned_alloc(large_page, (bytes + large_page - 1) / large_page * large_page);
    if (memory)
        (void)madvise(memory, bytes / large_page * large_page, MADV_HUGEPAGE);
    return memory;
}

aid_status aid_new_buffer(size_t count, size_t size, const char *what, void *ret_memory,
                          aid_error *err)
{
    if (size && count > (SIZE_MAX - large_page) / size)
        AID_FAIL(err, AID_ERR_NOMEM, "%s: %zu items of %zu bytes do not fit an address space", what,
                 count, size);
    size_t bytes = (count * size + alignment - 1) / alignment * alignment;
    void *memory = allocate(bytes);
    if (!memory)
        AID_FAIL(err, AID_ERR_NOMEM, "%s: out of memory for %zu bytes", what, bytes);
    memcpy(ret_memory, &memory, sizeof memory);
    return AID_OK;
}

aid_status aid_new_array(size_t count, size_t size, const char *what, void *ret_memory,
                         aid_error *err)
{
    void *memory = NULL;
    AID_TRY(aid_new_buffer(count, size, what, &memory, err));
    memset(memory, 0, count * size);
    memcpy(ret_memory, &memory, sizeof memory);
    return AID_OK;
}

void aid_free_pointer(void *pointer_to_pointer)
{
    void *memory;
    memcpy(&memory, pointer_to_pointer, sizeof memory);
    free(memory);
}
