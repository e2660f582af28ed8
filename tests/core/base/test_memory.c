#include "core/base/memory.h"

#include "tests/check.h"

TEST(an_array_is_zeroed_aligned_and_writable_to_its_end)
{
    aid_error err = {0};
    for (size_t count = 1; count < 200; count += 33) {
        double *values = NULL;
        CHECK_OK(aid_new_array(count, sizeof *values, "values", &values, &err));
        CHECK_EQUAL((uintptr_t)values % 64, 0);
        for (size_t i = 0; i < count; i++)
            CHECK_EQUAL(values[i], 0);
        values[count - 1] = 1.0; /* the address sanitizer watches the end */
        free(values);
    }
}

TEST(a_buffer_is_aligned_too)
{
    aid_error err = {0};
    unsigned char *bytes = NULL;
    CHECK_OK(aid_new_buffer(100, 1, "bytes", &bytes, &err));
    CHECK_EQUAL((uintptr_t)bytes % 64, 0);
    memset(bytes, 7, 100);
    free(bytes);
}

TEST(no_items_at_all_are_a_pointer_that_can_be_freed)
{
    aid_error err = {0};
    int *nothing = NULL;
    CHECK_OK(aid_new_array(0, sizeof *nothing, "nothing", &nothing, &err));
    CHECK(nothing != NULL);
    free(nothing);
}

TEST(a_size_that_overflows_is_refused_and_the_pointer_left_alone)
{
    aid_error err = {0};
    int marker, *pointer = &marker;
    CHECK_REFUSED(aid_new_array(SIZE_MAX / 2, 4, "giant table", &pointer, &err), AID_ERR_NOMEM,
                  "giant table");
    CHECK_REFUSED(aid_new_buffer(SIZE_MAX, 1, "giant table", &pointer, &err), AID_ERR_NOMEM,
                  "giant table");
    CHECK(pointer == &marker);
}

TEST(cleanup_frees_at_the_end_of_the_scope)
{
    aid_error err = {0};
    for (int i = 0; i < 3; i++) { /* the leak sanitizer would complain */
        AID_CLEANUP(aid_free_pointer)
        char *text = NULL;
        CHECK_OK(aid_new_array(16, 1, "text", &text, &err));
    }
    AID_CLEANUP(aid_free_pointer)
    char *never_filled = NULL;
    CHECK(never_filled == NULL);
}

TEST_MAIN()
