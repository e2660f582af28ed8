#include "core/base/memory.h"

#include <stdlib.h>
#include <string.h>

static const size_t alignment = 64;

aid_status aid_new_buffer(size_t count, size_t size, const char *what, void *ret_memory,
                          aid_error *err)
{
    if (size && count > (SIZE_MAX - alignment) / size)
        AID_FAIL(err, AID_ERR_NOMEM, "%s: %zu items of %zu bytes do not fit an address space", what,
                 count, size);
    size_t bytes = (count * size + alignment - 1) / alignment * alignment;
    void *memory = aligned_alloc(alignment, bytes ? bytes : alignment);
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
