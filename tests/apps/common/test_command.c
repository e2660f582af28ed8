#include "apps/common/command.h"

#include "apps/common/config_file.h"
#include "tests/check.h"

#include <unistd.h>

/* A command that only remembers what it was called with. */
typedef struct paint_options {
    double threshold, gain;
    int64_t seed;
    int method;
    const char *output, *config;
    bool json;
} paint_options;

static const aid_setting_use paint_uses[] = {
    {AID_FIELD("threshold", paint_options, threshold)},
    {AID_FIELD("gain", paint_options, gain)},
    {AID_FIELD("seed", paint_options, seed), .fallback = "42"},
    {AID_FIELD("method", paint_options, method)},
    {AID_FIELD("output", paint_options, output), .unit = "FILE", .help = "where the picture goes"},
    {AID_FIELD("config", paint_options, config)},
    {AID_FIELD("json", paint_options, json)},
};

static const aid_argument paint_arguments[] = {{.name = "SCI", .help = "science image"},
                                               {.name = "REF", .help = "reference"}};

static paint_options seen;
static char seen_text[256]; /* arguments, then output, joined by | */
static aid_parameter parameters[8];
static int parameter_count;
static char origins[8][32];
static int executed;

static aid_status paint(const aid_invocation *invocation, aid_error *error)
{
    (void)error;
    executed++;
    memcpy(&seen, invocation->options, sizeof seen);
    seen_text[0] = '\0';
    for (int i = 0; i < invocation->argument_count; i++)
        snprintf(seen_text + strlen(seen_text), sizeof seen_text - strlen(seen_text), "%s|",
                 invocation->arguments[i]);
    snprintf(seen_text + strlen(seen_text), sizeof seen_text - strlen(seen_text), "%s",
             seen.output ? seen.output : "(none)");
    parameter_count = aid_command_parameters(invocation, parameters, 8);
    for (int i = 0; i < parameter_count; i++)
        snprintf(origins[i], sizeof origins[i], "%s", parameters[i].origin);
    return AID_OK;
}

static const aid_command paint_command = {
    .name = "paint",
    .summary = "Paints what changed.",
    .example = "astrid paint sci.fits ref.fits",
    .arguments = paint_arguments,
    .argument_count = 2,
    .uses = paint_uses,
    .use_count = (int)AID_COUNT_OF(paint_uses),
    .options_size = sizeof(paint_options),
    .execute = paint,
};

static aid_error err;

/* Words separated by blanks; the environment as well. */
static aid_status call(const char *line, const char *environment_line)
{
    static char words[512], variables[512];
    char *argv[32], *environment[16], *rest = NULL;
    int argc = 0, count = 0;
    snprintf(words, sizeof words, "%s", line);
    for (char *w = strtok_r(words, " ", &rest); w; w = strtok_r(NULL, " ", &rest))
        argv[argc++] = w;
    argv[argc] = NULL;
    snprintf(variables, sizeof variables, "%s", environment_line ? environment_line : "");
    for (char *w = strtok_r(variables, " ", &rest); w; w = strtok_r(NULL, " ", &rest))
        environment[count++] = w;
    environment[count] = NULL;
    executed = 0;
    return aid_command_main(&paint_command, argc, argv, environment, stdout, &err);
}

static char *config_file(const char *text)
{
    static char path[] = "/tmp/astrid_config_XXXXXX";
    memcpy(path + strlen(path) - 6, "XXXXXX", 6);
    int descriptor = mkstemp(path);
    CHECK(descriptor >= 0);
    CHECK(write(descriptor, text, strlen(text)) == (ssize_t)strlen(text));
    close(descriptor);
    return path;
}

TEST(defaults_come_from_the_table_and_a_command_may_have_its_own)
{
    CHECK_OK(call("a.fits b.fits", NULL));
    CHECK_EQUAL(executed, 1);
    CHECK(seen.threshold == 5.0 && isnan(seen.gain) && seen.method == 0 && !seen.json);
    CHECK_EQUAL(seen.seed, 42);
    CHECK_TEXT(seen_text, "a.fits|b.fits|(none)");
}

TEST(options_come_in_every_usual_form_and_anywhere)
{
    CHECK_OK(call("--threshold=7.5 a.fits -o out --seed 3 --json b.fits --method zogy", NULL));
    CHECK(seen.threshold == 7.5 && seen.seed == 3 && seen.json && seen.method == 2);
    CHECK_TEXT(seen_text, "a.fits|b.fits|out");
    CHECK_OK(call("-oelsewhere --json=false a b", NULL));
    CHECK(!seen.json);
    CHECK_TEXT(seen_text, "a|b|elsewhere");
    CHECK_OK(call("--output -5 a b", NULL)); /* a dash and a digit are no option */
    CHECK_TEXT(seen_text, "a|b|-5");
    CHECK_OK(call("--seed 1 --seed 2 a b", NULL)); /* the last one counts */
    CHECK_EQUAL(seen.seed, 2);
}

TEST(two_dashes_end_the_options)
{
    CHECK_OK(call("--json -- --seed -o", NULL));
    CHECK(seen.json);
    CHECK_TEXT(seen_text, "--seed|-o|(none)");
    CHECK_OK(call("- b", NULL)); /* one dash is a name */
    CHECK_TEXT(seen_text, "-|b|(none)");
}

TEST(the_command_line_beats_the_environment_and_that_the_file_and_that_the_default)
{
    char line[256];
    char *path = config_file("threshold = 6 # of four\n\n# seed = 1\nseed=7\nmethod = hybrid\n"
                             "inject = 5\n");
    snprintf(line, sizeof line, "a b --config %s --threshold 9", path);
    CHECK_OK(call(line, "ASTRID_THRESHOLD=8 ASTRID_SEED=8 HOME=/ ASTRID_GAIN="));
    unlink(path);
    CHECK(seen.threshold == 9.0);
    CHECK_EQUAL(seen.seed, 8);
    CHECK_EQUAL(seen.method, 1);
    CHECK(isnan(seen.gain));
    CHECK_EQUAL(parameter_count, 3); /* gain is unset, output and the like are no parameters */
    CHECK_TEXT(parameters[0].setting->key, "threshold");
    CHECK_TEXT(origins[0], "command line");
    CHECK_TEXT(origins[1], "environment");
    CHECK_TEXT(origins[2], "configuration file");
}

TEST(the_file_can_be_named_by_the_environment)
{
    char variables[256];
    char *path = config_file("\xEF\xBB\xBFthreshold = 6\r\noutput = a # b#c\r\n");
    snprintf(variables, sizeof variables, "ASTRID_CONFIG=%s", path);
    CHECK_OK(call("a b", variables));
    unlink(path);
    CHECK(seen.threshold == 6.0);
}

TEST(mistakes_are_refused_before_anything_is_done_with_what_was_meant)
{
    static const struct {
        const char *line, *environment, *message;
    } cases[] = {
        {"a b --treshold 5", NULL, "unknown option --treshold; did you mean --threshold?"},
        {"a b --treshold=5", NULL, "unknown option --treshold; did you mean --threshold?"},
        {"a b --halp", NULL, "did you mean --help?"},
        {"a b --colour", NULL, "unknown option --colour; see astrid paint --help"},
        {"a b -x", NULL, "unknown option -x"},
        {"a b --zero-point 25", NULL, "this command has no option --zero-point"},
        {"a b --threshold", NULL, "--threshold needs a value: --threshold SIGMA"},
        {"a b --threshold --json", NULL, "--threshold needs a value"},
        {"a b -o -o x", NULL, "--output needs a value: --output FILE"},
        {"a b --threshold 500", NULL, "--threshold 500 is not between 1 and 100"},
        {"a b --threshold= ", NULL, "--threshold  is not a number"},
        {"a b --json=perhaps", NULL, "--json perhaps is neither"},
        {"a b", "ASTRID_THRESHOLD=500", "ASTRID_THRESHOLD=500 is not between 1 and 100"},
        {"a", NULL, "REF is missing; usage: astrid paint"},
        {"", NULL, "SCI is missing"},
        {"a b c", NULL, "unexpected argument c"},
        {"a b c --help=1", NULL, "unknown option --help"},
    };
    for (size_t i = 0; i < AID_COUNT_OF(cases); i++) {
        CHECK_REFUSED(call(cases[i].line, cases[i].environment), AID_ERR_USAGE, cases[i].message);
        CHECK_EQUAL(executed, 0);
    }
}

TEST(a_configuration_file_is_refused_with_the_line_that_is_wrong)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"threshold = 6\ntreshold = 5\n", ":2: unknown key treshold; did you mean threshold?"},
        {"colour = red\n", ":1: unknown key colour"},
        {"threshold = 600\n", ":1: threshold = 600 is not between 1 and 100"},
        {"zero-point = high\n", ":1: zero-point = high is not a number"}, /* not even ours */
        {"\n\njust words\n", ":3: 'just words' is not of the form key = value"},
        {"seed = 1\nseed = 2\n", ":2: seed was already set in line 1"},
        {"zero_point = 1\nzero-point = 2\n", ":2: zero-point was already set in line 1"},
        {"config = other\n", ":1: a configuration file cannot name another"},
        {"threshold =\n", ":1: threshold =  is not a number"},
        {"= 5\n", ":1: unknown key"},
    };
    for (size_t i = 0; i < AID_COUNT_OF(cases); i++) {
        char line[256];
        char *path = config_file(cases[i].text);
        snprintf(line, sizeof line, "a b --config %s", path);
        aid_status status = call(line, NULL);
        unlink(path);
        CHECK_REFUSED(status, AID_ERR_USAGE, "");
        status = call(line, NULL); /* the file is gone now */
        CHECK_EQUAL(status, AID_ERR_IO);
        CHECK_EQUAL(executed, 0);
        aid_config config = {.count = -7};
        CHECK_REFUSED(aid_config_parse("night.conf", strdup(cases[i].text), &config, &err),
                      AID_ERR_USAGE, cases[i].message);
        CHECK_EQUAL(config.count, -7);
    }
}

TEST(help_shows_arguments_options_ranges_and_the_example_and_does_nothing)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    char *argv[] = {"a", "--help", "--nonsense", NULL};
    executed = 0;
    CHECK_OK(aid_command_main(&paint_command, 3, argv, NULL, out, &err));
    fclose(out);
    static const char *const parts[] = {"Usage: astrid paint SCI REF [options]",
                                        "--threshold SIGMA",
                                        "(default 5; 1 to 100)",
                                        "(default 42; 0 to 9007199254740992)",
                                        "-o, --output FILE",
                                        "where the picture goes\n",
                                        "(default auto; auto|hybrid|zogy)",
                                        "astrid paint sci.fits ref.fits",
                                        "Exit status: 0 done"};
    for (size_t i = 0; i < AID_COUNT_OF(parts); i++)
        CHECK(strstr(text, parts[i]));
    free(text);
    CHECK_EQUAL(executed, 0);
}

TEST(a_last_argument_that_repeats_takes_all_that_come)
{
    static const aid_argument files[] = {{.name = "FILE", .help = "", .repeats = true}};
    aid_command command = paint_command;
    command.arguments = files;
    command.argument_count = 1;
    char *argv[] = {"a", "b", "c", NULL};
    CHECK_OK(aid_command_main(&command, 3, argv, NULL, stdout, &err));
    CHECK_TEXT(seen_text, "a|b|c|(none)");
    CHECK_REFUSED(aid_command_main(&command, 0, argv, NULL, stdout, &err), AID_ERR_USAGE,
                  "FILE is missing");
}

TEST(exit_codes_are_those_that_were_promised)
{
    CHECK_EQUAL(aid_exit_code(AID_OK), 0);
    CHECK_EQUAL(aid_exit_code(AID_ERR_IO), 1);
    CHECK_EQUAL(aid_exit_code(AID_ERR_NOMEM), 1);
    CHECK_EQUAL(aid_exit_code(AID_ERR_CANCELLED), 1);
    CHECK_EQUAL(aid_exit_code(AID_ERR_USAGE), 2);
    CHECK_EQUAL(aid_exit_code(AID_ERR_INVALID), 3);
    CHECK_EQUAL(aid_exit_code(AID_ERR_NUMERIC), 3);
}

TEST_MAIN()
