/* The rules of CONVENTIONS.md that a program can hold us to: what a module may include and link,
 * how long functions and lines are, which calls are banned. Reads the sources and the built
 * libraries. */
#include "tests/check.h"

#include <ctype.h>
#include <dirent.h>
#include <fnmatch.h>
#include <stdbool.h>
#include <sys/stat.h>

enum { MAX_FUNCTION_LINES = 70, MAX_COLUMNS = 100, MAX_PATH = 1024, MAX_LINE = 4096 };

static int problems; /* of the test that is running */

static void problem(const char *path, int line, const char *what, const char *detail)
{
    printf("    %s:%d: %s%s%s\n", path, line, what, *detail ? ": " : "", detail);
    problems++;
}

/* ------------------------------------------------------------------- exceptions, with a reason */

typedef struct exception {
    const char *path, *what; /* function name or banned call */
} exception;

/* Functions that may be longer. */
static const exception long_functions[] = {
    {"", ""}, /* none so far */
};

/* Banned calls that are right where they are. */
static const exception allowed_calls[] = {
    {"src/adapters/fits/*", "_exit"}, /* the decoder is a process of its own and ends itself */
};

static bool is_exception(const exception *list, size_t count, const char *path, const char *what)
{
    for (size_t i = 0; i < count; i++)
        if (!fnmatch(list[i].path, path, 0) && !strcmp(list[i].what, what))
            return true;
    return false;
}

/* ----------------------------------------------------------------------------- files of the tree
 */

typedef void (*file_rule)(const char *path, const char *text);

static char *read_text(const char *path)
{
    char full[2 * MAX_PATH];
    snprintf(full, sizeof full, "%s/%s", AID_SOURCE_ROOT, path);
    FILE *file = fopen(full, "rb");
    if (!file)
        return NULL;
    size_t size = 0, capacity = 1 << 22;
    char *text = malloc(capacity + 1);
    if (text)
        size = fread(text, 1, capacity, file);
    fclose(file);
    if (text)
        text[size] = '\0';
    return text;
}

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), tail = strlen(end);
    return length >= tail && !strcmp(text + length - tail, end);
}

static int visit(const char *path, file_rule rule)
{
    char full[2 * MAX_PATH];
    snprintf(full, sizeof full, "%s/%s", AID_SOURCE_ROOT, path);
    struct stat status;
    if (stat(full, &status))
        return 0;
    if (!S_ISDIR(status.st_mode)) {
        if (!ends_with(path, ".c") && !ends_with(path, ".h"))
            return 0;
        char *text = read_text(path);
        if (text)
            rule(path, text);
        free(text);
        return 1;
    }
    int files = 0;
    struct dirent **entries;
    int count = scandir(full, &entries, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        char below[MAX_PATH];
        int n = snprintf(below, sizeof below, "%s/%s", path, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.' && n > 0 && (size_t)n < sizeof below)
            files += visit(below, rule);
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
    return files;
}

static void hold_to(file_rule rule)
{
    problems = 0;
    int files =
        visit("src", rule) + visit("tests", rule) + visit("fuzz", rule) + visit("bench", rule);
    CHECK(files > 40); /* the tree was found at all */
    CHECK(problems == 0);
}

static bool in_source(const char *path)
{
    return !strncmp(path, "src/", 4);
}

static bool is_pure(const char *path) /* core and domain do no I/O */
{
    return !strncmp(path, "src/core/", 9) || !strncmp(path, "src/domain/", 11);
}

static int line_of(const char *text, const char *at)
{
    int line = 1;
    for (; text < at; text++)
        line += *text == '\n';
    return line;
}

/* -------------------------------------------------------------------------- code without its text
 */

/* Comments, strings and character constants become blanks; line ends stay. */
static char *without_text(const char *text)
{
    size_t length = strlen(text);
    char *code = malloc(length + 1);
    CHECK(code != NULL);
    memcpy(code, text, length + 1);
    for (char *c = code; *c;) {
        char *begin = c;
        if (c[0] == '/' && c[1] == '*') {
            char *end = strstr(c + 2, "*/");
            c = end ? end + 2 : code + length;
        } else if (c[0] == '/' && c[1] == '/') {
            c += strcspn(c, "\n");
        } else if (*c == '"' || *c == '\'') {
            char quote = *c++;
            while (*c && *c != quote && *c != '\n')
                c += c[0] == '\\' && c[1] ? 2 : 1;
            c += *c == quote;
        } else {
            c++;
            continue;
        }
        for (; begin < c; begin++)
            if (*begin != '\n')
                *begin = ' ';
    }
    return code;
}

/* Directives with their continued lines become blanks too. */
static void blank_directives(char *code)
{
    bool at_line_start = true, directive = false;
    for (char *c = code; *c; c++) {
        if (at_line_start && *c == '#')
            directive = true;
        if (*c == '\n') {
            directive = directive && c > code && c[-1] == '\\';
            at_line_start = true;
            continue;
        }
        if (!isspace((unsigned char)*c))
            at_line_start = false;
        if (directive && *c != '\\')
            *c = ' ';
    }
}

/* ------------------------------------------------------------------------------ lines and guards
 */

static void line_rule(const char *path, const char *text)
{
    int number = 1;
    for (const char *line = text; *line; number++) {
        size_t length = strcspn(line, "\n");
        int columns = 0;
        for (size_t i = 0; i < length; i++) {
            columns += ((unsigned char)line[i] & 0xC0) != 0x80; /* UTF-8 letters count once */
            if (line[i] == '\t' || line[i] == '\r')
                problem(path, number, "tab or carriage return", "");
        }
        if (columns > MAX_COLUMNS)
            problem(path, number, "longer than 100 columns", "");
        if (length && line[length - 1] == ' ')
            problem(path, number, "blank at the end of the line", "");
        if (!line[length])
            problem(path, number, "no newline at the end of the file", "");
        line += length + (line[length] == '\n');
    }
}

TEST(lines_are_at_most_100_columns_without_tabs_or_trailing_blanks)
{
    hold_to(line_rule);
}

static void guard_rule(const char *path, const char *text)
{
    if (!ends_with(path, ".h"))
        return;
    char guard[MAX_PATH] = "AID_", expected[2 * MAX_PATH + 64];
    const char *from = in_source(path) ? path + 4 : path;
    size_t n = strlen(guard);
    for (; *from && n + 1 < sizeof guard; from++)
        guard[n++] = isalnum((unsigned char)*from) ? (char)toupper((unsigned char)*from) : '_';
    guard[n] = '\0';
    snprintf(expected, sizeof expected, "#ifndef %s\n#define %s\n", guard, guard);
    if (!strstr(text, expected))
        problem(path, 1, "include guard is not", guard);
}

TEST(every_header_has_an_include_guard_named_after_its_path)
{
    hold_to(guard_rule);
}

/* ---------------------------------------------------------------------------------- include rules
 */

static char *modules; /* "folder: dependency dependency\n" for every module */

static void read_modules(void)
{
    if (modules)
        return;
    FILE *file = fopen(AID_BUILD_ROOT "/modules.txt", "r");
    CHECK(file != NULL);
    modules = calloc(1, 65536);
    CHECK(modules && fread(modules, 1, 65535, file) > 0);
    fclose(file);
}

static bool module_may_use(const char *module, const char *used)
{
    if (!strcmp(module, used))
        return true;
    char begin[MAX_PATH], word[MAX_PATH];
    snprintf(begin, sizeof begin, "\n%s: ", module);
    snprintf(word, sizeof word, " %s ", used);
    for (const char *line = modules; *line; line += strcspn(line, "\n") + 1) {
        char padded[MAX_LINE];
        snprintf(padded, sizeof padded, "\n%.*s ", (int)strcspn(line, "\n"), line);
        if (!strncmp(padded, begin, strlen(begin)))
            return strstr(padded, word) != NULL;
    }
    return false;
}

/* "src/core/sky/wcs.c" -> "core/sky" */
static void folder_of(const char *path, char *folder, size_t size)
{
    const char *slash = strrchr(path, '/');
    snprintf(folder, size, "%.*s", slash ? (int)(slash - path) : 0, path);
}

static void include_rule(const char *path, const char *text)
{
    if (!in_source(path))
        return;
    char module[MAX_PATH], used[MAX_PATH];
    folder_of(path + 4, module, sizeof module);
    for (const char *at = strstr(text, "#include \""); at; at = strstr(at + 1, "#include \"")) {
        const char *name = at + strlen("#include \"");
        char included[MAX_PATH];
        snprintf(included, sizeof included, "%.*s", (int)strcspn(name, "\"\n"), name);
        folder_of(included, used, sizeof used);
        if (!*used)
            problem(path, line_of(text, at), "include path is not from the source root", included);
        else if (!module_may_use(module, used) && strcmp(used, "generated") != 0)
            problem(path, line_of(text, at), "its module does not declare", used);
    }
}

TEST(sources_include_only_what_their_module_declares)
{
    read_modules();
    hold_to(include_rule);
}

/* Layers: apps -> adapters -> domain -> core, whatever src/CMakeLists.txt comes to declare. */
static int layer_of(const char *module)
{
    static const char *const layers[] = {"core/", "domain/", "adapters/", "apps/"};
    for (int i = 0; i < 4; i++)
        if (!strncmp(module, layers[i], strlen(layers[i])))
            return i;
    return -1;
}

TEST(declared_dependencies_point_downwards_only)
{
    read_modules();
    problems = 0;
    char copy[65536], *rest = NULL;
    snprintf(copy, sizeof copy, "%s", modules);
    for (char *line = strtok_r(copy, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        char *words = NULL, *module = strtok_r(line, ": ", &words), *used;
        while ((used = strtok_r(NULL, " ", &words)))
            if (layer_of(used) < 0 || layer_of(used) > layer_of(module))
                problem(module, 1, "is declared to depend on", used);
    }
    CHECK(problems == 0);
}

/* ----------------------------------------------------------------------------------- banned calls
 */

/* In all of src: no bound, no state, no error, or a shell. */
static const char *const banned_everywhere[] = {
    "strcpy", "strcat", "sprintf", "vsprintf", "gets",   "strtok",    "system",  "popen", "atoi",
    "atol",   "atoll",  "atof",    "alloca",   "rand",   "srand",     "fork",    "vfork", "tmpnam",
    "mktemp", "setjmp", "longjmp", "signal",   "gmtime", "localtime", "asctime", "ctime"};
/* Only an application ends the program. */
static const char *const banned_outside_apps[] = {"exit", "_exit", "_Exit", "abort", "quick_exit"};
/* The symbols of the libraries are checked too; this one names the line. */
static const char *const banned_in_pure[] = {
    "printf", "fprintf", "vprintf", "vfprintf", "puts",          "fputs",    "putchar",
    "fopen",  "fclose",  "fread",   "fwrite",   "fgets",         "perror",   "getenv",
    "open",   "close",   "time",    "clock",    "clock_gettime", "getrusage"};

static bool is_name(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

/* The next call of `name` in code at or after `from`: the whole word and a parenthesis. */
static const char *next_call(const char *code, const char *from, const char *name)
{
    size_t length = strlen(name);
    for (const char *at = strstr(from, name); at; at = strstr(at + 1, name)) {
        const char *after = at + length + strspn(at + length, " \n");
        bool whole = (at == code || !is_name(at[-1])) && !is_name(at[length]);
        bool member = at > code && (at[-1] == '.' || (at[-1] == '>' && at[-2] == '-'));
        if (whole && !member && *after == '(')
            return at;
    }
    return NULL;
}

static void ban(const char *path, const char *code, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (is_exception(allowed_calls, AID_COUNT_OF(allowed_calls), path, names[i]))
            continue;
        for (const char *at = next_call(code, code, names[i]); at;
             at = next_call(code, at + 1, names[i]))
            problem(path, line_of(code, at), "banned call", names[i]);
    }
}

/* An assert that changes something: ++, --, or an = that is no comparison. */
static void assert_rule(const char *path, const char *code)
{
    for (const char *at = next_call(code, code, "assert"); at;
         at = next_call(code, at + 1, "assert")) {
        const char *c = strchr(at, '(');
        for (int depth = 0; *c; c++) {
            depth += (*c == '(') - (*c == ')');
            if (!depth)
                break;
            bool steps = (c[0] == '+' && c[1] == '+') || (c[0] == '-' && c[1] == '-');
            bool assigns = *c == '=' && c[1] != '=' && !strchr("=!<>", c[-1]);
            if (steps || assigns)
                problem(path, line_of(code, c), "assert with a side effect", "");
        }
    }
}

static void call_rule(const char *path, const char *text)
{
    char *code = without_text(text);
    assert_rule(path, code);
    if (in_source(path)) {
        ban(path, code, banned_everywhere, AID_COUNT_OF(banned_everywhere));
        if (strncmp(path, "src/apps/", 9) != 0)
            ban(path, code, banned_outside_apps, AID_COUNT_OF(banned_outside_apps));
        if (is_pure(path))
            ban(path, code, banned_in_pure, AID_COUNT_OF(banned_in_pure));
    }
    free(code);
}

TEST(banned_calls_and_asserts_with_side_effects_are_nowhere)
{
    hold_to(call_rule);
}

/* -------------------------------------------------------------------------------- function length
 */

/* The name before the parenthesis that `close` closes; TEST(name) gives the test's name. */
static void function_name(const char *code, const char *close, char *name, size_t size)
{
    int depth = 0;
    const char *at = close;
    for (; at > code; at--) {
        depth += (*at == ')') - (*at == '(');
        if (!depth)
            break;
    }
    const char *end = at;
    while (end > code && isspace((unsigned char)end[-1]))
        end--;
    const char *begin = end;
    while (begin > code && is_name(begin[-1]))
        begin--;
    if (end - begin == 4 && !strncmp(begin, "TEST", 4)) {
        begin = at + 1;
        end = close;
    }
    snprintf(name, size, "%.*s", (int)(end - begin), begin);
}

static void end_of_function(const char *path, const char *code, const char *open, const char *close)
{
    int length = line_of(open, close);
    const char *before = open - 1;
    while (before > code && isspace((unsigned char)*before))
        before--;
    if (*before != ')' || length <= MAX_FUNCTION_LINES)
        return;
    char name[128], detail[192];
    function_name(code, before, name, sizeof name);
    snprintf(detail, sizeof detail, "%s has %d", name, length);
    if (!is_exception(long_functions, AID_COUNT_OF(long_functions), path, name))
        problem(path, line_of(code, open), "more than 70 lines", detail);
}

static void length_rule(const char *path, const char *text)
{
    char *code = without_text(text);
    blank_directives(code);
    const char *open = NULL;
    int depth = 0;
    for (const char *c = code; *c; c++) {
        if (*c == '{' && depth++ == 0)
            open = c;
        else if (*c == '}' && --depth == 0 && open > code)
            end_of_function(path, code, open, c);
    }
    if (depth)
        problem(path, line_of(code, code + strlen(code)), "braces do not balance", "");
    free(code);
}

TEST(functions_have_at_most_70_lines)
{
    hold_to(length_rule);
}

/* -------------------------------------------------------------------------------- library symbols
 */

/* What core and domain may ask of others: memory, text, mathematics, threads, the named libraries.
 */
static const char *const allowed_symbols[] = {
    "aid_*", "malloc", "calloc", "realloc", "free", "aligned_alloc", "madvise", "qsort", "bsearch",
    "memcpy", "memmove", "memset", "memcmp", "memchr", "str*", "strn*", "snprintf", "vsnprintf",
    "__snprintf_chk", "__vsnprintf_chk", "__mem*_chk", "sscanf", "__isoc99_sscanf", "__ctype_*",
    "tolower", "toupper", "__assert_fail", "__stack_chk_fail", "pthread_*", "_GLOBAL_OFFSET_TABLE_",
    "__cpu_*", "__errno_location",
    /* mathematics, and the helpers of the compiler for complex numbers */
    "sqrt", "sqrtf", "exp", "expf", "exp2", "expm1", "log", "logf", "log10", "log1p", "log2", "pow",
    "powf", "sin", "sinf", "cos", "cosf", "tan", "asin", "acos", "atan", "atan2", "sincos",
    "sincosf", "hypot", "hypotf", "cbrt", "erf", "erfc", "tgamma", "lgamma", "lgamma_r", "floor",
    "floorf", "ceil", "ceilf", "round", "roundf", "rint", "rintf", "nearbyint", "lrint", "lrintf",
    "llrint", "lround", "llround", "trunc", "truncf", "fmod", "remainder", "fmin", "fmax", "fminf",
    "fmaxf", "fabs", "fabsf", "ldexp", "frexp", "modf", "copysign", "nextafter", "nan", "cexp",
    "cexpf", "cabs", "cabsf", "carg", "csqrt", "sinh", "cosh", "tanh", "__mulsc3", "__muldc3",
    "__divsc3", "__divdc3", "__powidf2", "__powisf2", "__isnan*", "__isinf*", "__finite*",
    /* libraries behind a face of ours: FFTW, SEP, ERFA, WCSLIB */
    "fftwf_*", "sep_*", "era*", "wcs*", "cel*",
    /* instrumentation of the sanitizers and of coverage */
    "__asan_*", "__lsan_*", "__ubsan_*", "__tsan_*", "__sanitizer_*", "__gcov_*", "__llvm_*",
    "__sancov_*"};

static bool symbol_is_allowed(const char *symbol)
{
    for (size_t i = 0; i < AID_COUNT_OF(allowed_symbols); i++)
        if (!fnmatch(allowed_symbols[i], symbol, 0))
            return true;
    return false;
}

static void check_library(const char *module)
{
    char command[2 * MAX_PATH], name[MAX_PATH], line[MAX_LINE];
    snprintf(name, sizeof name, "%s", module);
    for (char *c = name; *c; c++)
        *c = *c == '/' ? '_' : *c;
    snprintf(command, sizeof command, "nm -u '%s/src/libaid_%s.a'", AID_BUILD_ROOT, name);
    FILE *symbols = popen(command, "r");
    CHECK(symbols != NULL);
    while (fgets(line, sizeof line, symbols)) {
        char symbol[MAX_PATH];
        if (sscanf(line, " U %1023s", symbol) == 1 && !symbol_is_allowed(symbol))
            problem(module, 1, "core and domain may not call", symbol);
    }
    if (pclose(symbols) != 0)
        problem(module, 1, "nm cannot read the library", command);
}

TEST(core_and_domain_call_nothing_that_does_input_or_output)
{
    read_modules();
    problems = 0;
    int libraries = 0;
    char copy[65536], *rest = NULL;
    snprintf(copy, sizeof copy, "%s", modules);
    for (char *line = strtok_r(copy, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        *strchr(line, ':') = '\0';
        if (layer_of(line) <= 1) {
            check_library(line);
            libraries++;
        }
    }
    CHECK(libraries >= 5);
    CHECK(problems == 0);
}

/* Static libraries hide it until one program happens to need both. */
TEST(no_two_libraries_define_the_same_name)
{
    problems = 0;
    char line[MAX_LINE];
    FILE *names = popen("nm -g --defined-only '" AID_BUILD_ROOT "'/src/libaid_*.a | "
                        "awk '$2 ~ /[TDBRC]/ && $3 ~ /^aid_/ { print $3 }' | sort | uniq -d",
                        "r");
    CHECK(names != NULL);
    while (fgets(line, sizeof line, names)) {
        line[strcspn(line, "\n")] = '\0';
        problem("src", 1, "is defined twice", line);
    }
    CHECK(pclose(names) == 0);
    CHECK(problems == 0);
}

TEST(the_allow_list_of_symbols_lets_no_input_or_output_through)
{
    static const char *const forbidden[] = {
        "open",         "fopen",  "read",          "write",     "printf",    "puts",   "fwrite",
        "getenv",       "time",   "clock_gettime", "exit",      "abort",     "socket", "fork",
        "system",       "stdout", "stderr",        "getrusage", "nanosleep", "rand",   "mmap",
        "memfd_create", "link",   "unlink",        "syslog"};
    for (size_t i = 0; i < AID_COUNT_OF(forbidden); i++)
        if (symbol_is_allowed(forbidden[i]))
            check_fail(__FILE__, __LINE__, "%s is allowed", forbidden[i]);
}

/* ------------------------------------------------------------- the rules find what they look for
 */

static int problems_of(file_rule rule, const char *path, const char *text)
{
    problems = 0;
    rule(path, text);
    return problems;
}

TEST(planted_faults_are_found_and_their_sound_neighbours_are_not)
{
    printf("    (the complaints that follow are planted)\n");
    CHECK(problems_of(line_rule, "p.c", "int a;\t\nint b; \nint c;") == 3);
    CHECK(problems_of(guard_rule, "src/core/x.h", "#ifndef AID_X_H\n#define AID_X_H\n") == 1);
    CHECK(problems_of(guard_rule, "src/core/x.h", "#ifndef AID_CORE_X_H\n#define AID_CORE_X_H\n") ==
          0);
    read_modules();
    CHECK(problems_of(include_rule, "src/core/base/p.c", "#include \"adapters/fits/fits.h\"\n") ==
          1);
    CHECK(problems_of(include_rule, "src/core/base/p.c", "#include \"status.h\"\n") == 1);
    CHECK(problems_of(include_rule, "src/core/sky/p.c", "#include \"core/base/status.h\"\n") == 0);
    CHECK(problems_of(call_rule, "src/core/p.c", "void f(void) { strcpy(a, b); exit (1); }\n") ==
          2);
    CHECK(problems_of(call_rule, "src/core/p.c",
                      "/* exit(1) */ char *s = \"gets(\"; my_exit(2);\n") == 0);
    CHECK(problems_of(call_rule, "src/apps/p.c", "void f(void) { printf(\"\"); exit(1); }\n") == 0);
    CHECK(problems_of(call_rule, "src/core/p.c", "assert(i++ < 3); assert(a = b);\n") == 2);
    CHECK(problems_of(call_rule, "src/core/p.c", "assert(a == b && c <= d && e != f);\n") == 0);
    char text[1024] = "int f(int a)\n{\n";
    for (int i = 0; i < MAX_FUNCTION_LINES - 2; i++)
        strncat(text, "a++;\n", sizeof text - strlen(text) - 1);
    strncat(text, "}\n", sizeof text - strlen(text) - 1);
    CHECK(problems_of(length_rule, "p.c", text) == 0);
    text[strlen(text) - 2] = '\0';
    strncat(text, "\n}\n", sizeof text - strlen(text) - 1);
    CHECK(problems_of(length_rule, "p.c", text) == 1);
}

TEST_MAIN()
