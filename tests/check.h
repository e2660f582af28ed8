/* A small test frame: TEST(name_that_is_a_sentence) { CHECK(...); } and TEST_MAIN() once a program.
 * A failed check ends its test; the program prints every test and a closing 'N passed, N failed'.
 */
#ifndef AID_TESTS_CHECK_H
#define AID_TESTS_CHECK_H

#include "core/base/status.h"

#include <math.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef void (*check_function)(void);
void check_register(const char *name, check_function function);
_Noreturn void check_fail(const char *file, int line, const char *format, ...) AID_PRINTF(3, 4);
_Noreturn void check_skip(const char *reason); /* counted and shown as skipped */
int check_main(int argc, char **argv);         /* arguments: substrings of names to run */

#define TEST(name)                                                                                 \
    static void test_##name(void);                                                                 \
    __attribute__((constructor)) static void register_##name(void)                                 \
    {                                                                                              \
        check_register(#name, test_##name);                                                        \
    }                                                                                              \
    static void test_##name(void)

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            check_fail(__FILE__, __LINE__, "%s", #condition);                                      \
    } while (0)
#define CHECK_OK(expression)                                                                       \
    do {                                                                                           \
        aid_status check_status_ = (expression);                                                   \
        if (check_status_ != AID_OK)                                                               \
            check_fail(__FILE__, __LINE__, "%s: %s: %s", #expression,                              \
                       aid_status_name(check_status_), err.message);                               \
    } while (0)
/* The expression fails with that status and its message holds that text. */
#define CHECK_REFUSED(expression, expected, text)                                                  \
    do {                                                                                           \
        err.message[0] = '\0';                                                                     \
        aid_status check_status_ = (expression);                                                   \
        if (check_status_ != (expected) || !strstr(err.message, (text)))                           \
            check_fail(__FILE__, __LINE__, "%s: %s '%s', not %s '%s'", #expression,                \
                       aid_status_name(check_status_), err.message, aid_status_name(expected),     \
                       text);                                                                      \
    } while (0)
#define CHECK_NEAR(actual, expected, tolerance)                                                    \
    do {                                                                                           \
        double check_a_ = (double)(actual), check_e_ = (double)(expected);                         \
        if (!(fabs(check_a_ - check_e_) <= (double)(tolerance)))                                   \
            check_fail(__FILE__, __LINE__, "%s = %.12g, not %.12g +- %g", #actual, check_a_,       \
                       check_e_, (double)(tolerance));                                             \
    } while (0)
#define CHECK_EQUAL(actual, expected)                                                              \
    do {                                                                                           \
        long long check_a_ = (long long)(actual), check_e_ = (long long)(expected);                \
        if (check_a_ != check_e_)                                                                  \
            check_fail(__FILE__, __LINE__, "%s = %lld, not %lld", #actual, check_a_, check_e_);    \
    } while (0)
#define CHECK_TEXT(actual, expected)                                                               \
    do {                                                                                           \
        const char *check_a_ = (actual), *check_e_ = (expected);                                   \
        if (!check_a_ || strcmp(check_a_, check_e_) != 0)                                          \
            check_fail(__FILE__, __LINE__, "%s = '%s', not '%s'", #actual,                         \
                       check_a_ ? check_a_ : "(null)", check_e_);                                  \
    } while (0)

#define TEST_MAIN()                                                                                \
    int main(int argc, char **argv)                                                                \
    {                                                                                              \
        return check_main(argc, argv);                                                             \
    }

#endif
