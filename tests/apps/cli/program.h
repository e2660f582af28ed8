/* The program as a user runs it, and small skies to run it on. Included by each test program. */
#ifndef AID_TESTS_APPS_CLI_PROGRAM_H
#define AID_TESTS_APPS_CLI_PROGRAM_H

#include "adapters/fits/fits.h"
#include "core/base/memory.h"
#include "tests/check.h"
#include "tests/folder.h"

#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;
static aid_error err;

/* ------------------------------------------------------------------------ running the program */

static char out_text[1 << 20], error_text[1 << 16]; /* of the last run */

static inline void read_back(const char *path, char *text, size_t size)
{
    FILE *file = fopen(path, "r");
    CHECK(file != NULL);
    text[fread(text, 1, size - 1, file)] = '\0';
    fclose(file);
    unlink(path);
}

/* Starts `astrid` with words separated by blanks, by way of `sh -c` with `before` in front. Words
 * may hold a redirection: it comes after ours. */
static inline pid_t start(const char *before, const char *words)
{
    char command[4096];
    snprintf(command, sizeof command, "%s exec '%s' >.stdout 2>.stderr </dev/null %s", before,
             AID_ASTRID, words);
    char *argv[] = {"sh", "-c", command, NULL};
    pid_t child;
    CHECK(posix_spawn(&child, "/bin/sh", NULL, NULL, argv, environ) == 0);
    return child;
}

/* The exit status; 128 and the signal where one ended it. */
static inline int finish(pid_t child)
{
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    read_back(".stdout", out_text, sizeof out_text);
    read_back(".stderr", error_text, sizeof error_text);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static inline int astrid(const char *words)
{
    return finish(start("", words));
}

/* One line that begins with "astrid", and nothing else. */
static inline bool one_clear_line(const char *text)
{
    return !strncmp(error_text, "astrid", 6) && strstr(error_text, text) &&
           strchr(error_text, '\n') == error_text + strlen(error_text) - 1;
}

#define CHECK_EXIT(words, expected, text)                                                          \
    do {                                                                                           \
        int exit_ = astrid(words);                                                                 \
        if (exit_ != (expected) || !one_clear_line(text))                                          \
            check_fail(__FILE__, __LINE__, "astrid %s: exit %d, not %d '%s': %s", words, exit_,    \
                       expected, text, error_text);                                                \
    } while (0)

/* --------------------------------------------------------------------------------------- a sky */

static uint64_t generator;
static inline double uniform(void)
{
    generator = generator * 6364136223846793005ULL + 1442695040888963407ULL;
    return (double)(generator >> 40) / 16777216.0;
}
static inline double normal(void)
{
    return sqrt(-2.0 * log(1.0 - uniform())) * cos(6.28318530717958648 * uniform());
}

/* A round Gaussian star of the given flux, added pixel by pixel. */
static inline void add_star(aid_image *image, double x, double y, double flux, double fwhm)
{
    double sigma = fwhm / 2.3548, norm = flux / (6.28318530717958648 * sigma * sigma);
    for (int32_t j = 0; j < image->height; j++)
        for (int32_t i = 0; i < image->width; i++) {
            double r2 = (i - x) * (i - x) + (j - y) * (j - y);
            if (r2 < 100.0 * sigma)
                aid_image_row(image, j)[i] += (float)(norm * exp(-0.5 * r2 / (sigma * sigma)));
        }
}

/* Gain 2, sky 300, so noise of sqrt(300/2) = 12.2; the transient is at (x, y) = (150.3, 90.6). */
enum { SIDE = 300 };
static const double transient_x = 150.3, transient_y = 90.6;

static inline void write_sky(const char *path, double fwhm, double transient_flux, uint64_t seed)
{
    AID_CLEANUP(aid_image_done)
    aid_image image = {0};
    AID_CLEANUP(aid_header_done)
    aid_header cards = {0};
    CHECK_OK(aid_image_init(SIDE, SIDE, &image, &err));
    generator = 2024; /* the same stars in both */
    for (int i = 0; i < 120; i++) {
        double x = SIDE * uniform(), y = SIDE * uniform();
        add_star(&image, x, y, 1500.0 * pow(0.02 + uniform(), -1.2), fwhm);
    }
    if (transient_flux > 0.0)
        add_star(&image, transient_x, transient_y, transient_flux, fwhm);
    generator = seed;
    for (int64_t i = 0; i < (int64_t)SIDE * SIDE; i++) {
        double counts = (double)image.data[i] + 300.0;
        image.data[i] = (float)(counts + sqrt(counts / 2.0) * normal());
    }
    CHECK_OK(aid_header_append(&cards, "GAIN", AID_CARD_NUMBER, "2.0", "e-/ADU", &err));
    CHECK_OK(aid_header_append(&cards, "BUNIT", AID_CARD_STRING, "adu", "", &err));
    aid_fits_writer *writer;
    CHECK_OK(aid_fits_create(path, &writer, &err));
    CHECK_OK(aid_fits_put_image(writer, NULL, &image, &cards, &err));
    CHECK_OK(aid_fits_commit(writer, &err));
}

static inline void write_pair(void)
{
    write_sky("sci.fits", 3.4, 6000.0, 11);
    write_sky("ref.fits", 2.8, 0.0, 22);
}

static inline void same_file(const char *one, const char *other)
{
    char command[512];
    snprintf(command, sizeof command, "cmp '%s' '%s'", one, other);
    FILE *compare = popen(command, "r");
    CHECK(compare != NULL);
    if (pclose(compare) != 0)
        check_fail(__FILE__, __LINE__, "%s and %s differ", one, other);
}

static inline void wait_ms(int milliseconds)
{
    struct timespec time = {.tv_nsec = milliseconds * 1000000L};
    nanosleep(&time, NULL);
}

static inline void wait_for(const char *path)
{
    for (int i = 0; i < 2000 && !exists(path); i++)
        wait_ms(2);
    CHECK(exists(path));
}

#endif
