#include "adapters/fits/fits.h"
#include "apps/cli/commands.h"
#include "apps/common/stop.h"
#include "apps/common/version.h"

#include <fcntl.h>
#include <malloc.h>
#include <string.h>
#include <unistd.h>

extern char **environ;

/* A command is a file of its own and a row here. */
/* clang-format off */
static const aid_command *const commands[] = {
    &aid_command_run,
    &aid_command_preprocess,
    &aid_command_master,
    &aid_command_calibrate,
    &aid_command_quality,
    &aid_command_align,
    &aid_command_stack,
    &aid_command_extract,
    &aid_command_photometry,
    &aid_command_filter,
    &aid_command_rank,
    &aid_command_simulate,
    &aid_command_compare,
};
/* clang-format on */

/* The C library raises this limit to 32 MB by itself after the first large free(), and from then on
 * keeps freed images in its heaps: a quarter of the memory of a 2048 x 2048 run. */
static void return_large_buffers(void)
{
    (void)mallopt(M_MMAP_THRESHOLD, 1 << 20);
}

static const aid_command *find_command(const char *name)
{
    for (size_t i = 0; i < AID_COUNT_OF(commands); i++)
        if (!strcmp(commands[i]->name, name))
            return commands[i];
    return NULL;
}

static void print_overview(FILE *out)
{
    fputs("AstrID finds what changed between two astronomical images.\n\n"
          "Usage: astrid COMMAND [arguments] [options]\n\nCommands:\n",
          out);
    for (size_t i = 0; i < AID_COUNT_OF(commands); i++)
        fprintf(out, "  %-12s %s\n", commands[i]->name, commands[i]->summary);
    fprintf(out,
            "\nastrid COMMAND --help shows its options, astrid --version the version.\n"
            "\nExample:\n  %s\n",
            commands[0]->example);
}

static void print_version(void)
{
    printf("%s %s (%s; %s; %s)\n", AID_PROGRAM_NAME, aid_version(), aid_build(), aid_compiler(),
           aid_vector_features());
}

static aid_status unknown_command(const char *name, aid_error *err)
{
    const char *names[AID_COUNT_OF(commands)];
    for (size_t i = 0; i < AID_COUNT_OF(commands); i++)
        names[i] = commands[i]->name;
    const char *nearest = aid_nearest_name(name, names, (int)AID_COUNT_OF(commands));
    if (nearest)
        AID_FAIL(err, AID_ERR_USAGE, "unknown command %s; did you mean %s?", name, nearest);
    AID_FAIL(err, AID_ERR_USAGE, "unknown command %s; astrid help lists them", name);
}

static aid_status show_help(const char *name, aid_error *err)
{
    if (!name) {
        print_overview(stdout);
        return AID_OK;
    }
    const aid_command *command = find_command(name);
    if (!command)
        return unknown_command(name, err);
    aid_command_help(command, stdout);
    return AID_OK;
}

static aid_status dispatch(int argc, char **argv, const char **ret_command, aid_error *err)
{
    const char *word = argv[1];
    if (!strcmp(word, "--version") || !strcmp(word, "version")) {
        print_version();
        return AID_OK;
    }
    if (!strcmp(word, "--help") || !strcmp(word, "-h") || !strcmp(word, "help"))
        return show_help(argc > 2 ? argv[2] : NULL, err);
    const aid_command *command = find_command(word);
    if (!command)
        return unknown_command(word, err);
    *ret_command = command->name;
    return aid_command_main(command, argc - 2, argv + 2, environ, stdout, err);
}

/* A file that took the number of a closed standard stream would get what is printed. Who closed
 * the output still learns that it cannot be written to. */
static void occupy_standard_descriptors(void)
{
    int lowest_free;
    do
        lowest_free = open("/dev/null", O_RDONLY | O_CLOEXEC);
    while (lowest_free >= 0 && lowest_free <= STDERR_FILENO);
    if (lowest_free >= 0)
        close(lowest_free);
}

int main(int argc, char **argv)
{
    return_large_buffers();
    aid_fits_decoder_main(argc, argv);
    occupy_standard_descriptors();
    if (argc < 2) {
        print_overview(stderr);
        return aid_exit_code(AID_ERR_USAGE);
    }
    aid_stop_on_signals();
    aid_error error = {0};
    const char *command = NULL;
    aid_status status = dispatch(argc, argv, &command, &error);
    bool unwritten = fflush(stdout) != 0 || ferror(stdout);
    if (unwritten && status == AID_OK)
        status = AID_ERROR(&error, AID_ERR_IO, "standard output cannot be written to");
    if (status != AID_OK && aid_stop_requested()) /* whatever failed, this is why */
        status = AID_ERROR(&error, AID_ERR_CANCELLED, "stopped by a signal; nothing was written");
    if (status != AID_OK)
        aid_print_error(command, &error);
    return aid_exit_code(status);
}
