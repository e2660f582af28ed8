#include "tests/check.h"

#include <stdarg.h>

enum { MAX_TESTS = 1024 };
static struct {
    const char *name;
    check_function function;
} tests[MAX_TESTS];
static int test_count;
static jmp_buf leave;

void check_register(const char *name, check_function function)
{
    if (test_count == MAX_TESTS)
        abort();
    tests[test_count].name = name;
    tests[test_count++].function = function;
}

void check_fail(const char *file, int line, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    printf("    %s:%d: ", file, line);
    vprintf(format, arguments);
    printf("\n");
    va_end(arguments);
    longjmp(leave, 1);
}

void check_skip(const char *reason)
{
    printf("    skipped: %s\n", reason);
    longjmp(leave, 2);
}

static int wanted(const char *name, int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strstr(name, argv[i]))
            return 1;
    return argc <= 1;
}

static int run_one(check_function function)
{
    int outcome = setjmp(leave);
    if (outcome == 0)
        function();
    return outcome;
}

int check_main(int argc, char **argv)
{
    int counts[3] = {0};
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (int i = 0; i < test_count; i++) {
        if (!wanted(tests[i].name, argc, argv))
            continue;
        int outcome = run_one(tests[i].function);
        counts[outcome]++;
        static const char *const words[] = {"ok  ", "FAIL", "skip"};
        printf("%s %s\n", words[outcome], tests[i].name);
    }
    printf("%d passed, %d failed, %d skipped\n", counts[0], counts[1], counts[2]);
    return counts[1] ? 1 : 0;
}
