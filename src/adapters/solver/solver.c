#define _GNU_SOURCE /* posix_spawn_file_actions_addclosefrom_np, nftw */
#include "adapters/solver/solver.h"

#include "adapters/files/files.h"
#include "adapters/fits/cards.h"
#include "adapters/fits/fits.h"
#include "core/base/memory.h"
#include "core/imaging/stats.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <math.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PATH_SIZE = 512, MAX_HEADER_BYTES = 1 << 20, POLL_MS = 20, SAMPLE = 4096, MAX_WORDS = 32 };
static const char program[] = "solve-field";

extern char **environ;

typedef struct solving {
    const char *name;
    const aid_solve_options *options;
    char folder[PATH_SIZE]; /* "" before it is made */
    char image[PATH_SIZE + 16], solution[PATH_SIZE + 16];
} solving;

/* ------------------------------------------------------------------------------------ the folder
 */

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void)status;
    (void)kind;
    (void)walk;
    return remove(path);
}

static void solving_done(solving *job)
{
    if (job->folder[0])
        (void)nftw(job->folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static aid_status make_folder(solving *job, aid_error *err)
{
    const char *parent = getenv("TMPDIR");
    char folder[PATH_SIZE];
    snprintf(folder, sizeof folder, "%s/astrid-solve-XXXXXX", parent && *parent ? parent : "/tmp");
    if (!mkdtemp(folder))
        AID_FAIL(err, AID_ERR_IO, "%s: %s", folder, strerror(errno));
    memcpy(job->folder, folder, sizeof job->folder);
    snprintf(job->image, sizeof job->image, "%s/image.fits", folder);
    snprintf(job->solution, sizeof job->solution, "%s/solution.wcs", folder);
    return AID_OK;
}

static double median_of(const aid_image *image)
{
    float values[SAMPLE];
    int count = 0;
    int64_t pixels = (int64_t)image->width * image->height, step = AID_MAX(pixels / SAMPLE, 1) | 1;
    for (int64_t i = 0; i < pixels && count < SAMPLE; i += step)
        values[count++] = aid_image_row(image, (int32_t)(i / image->width))[i % image->width];
    double median = aid_median_in_place(values, count);
    return isfinite(median) ? median : 0.0;
}

/* A plain copy, whatever the image came from: no extensions, no NaN, no header that could lead. */
static aid_status write_image(const solving *job, const aid_image *image, aid_error *err)
{
    AID_CLEANUP(aid_image_done)
    aid_image copy = {0};
    AID_CLEANUP(aid_header_done)
    aid_header none = {0};
    float level = (float)median_of(image);
    AID_TRY(aid_image_copy(image, &copy, err));
    for (int32_t y = 0; y < copy.height; y++) {
        float *row = aid_image_row(&copy, y);
        for (int32_t x = 0; x < copy.width; x++)
            row[x] = isfinite(row[x]) ? row[x] : level;
    }
    aid_fits_writer *writer;
    AID_TRY(aid_fits_create(job->image, &writer, err));
    aid_status status = aid_fits_put_image(writer, NULL, &copy, &none, err);
    if (status == AID_OK)
        return aid_fits_commit(writer, err);
    aid_fits_abandon(writer);
    return status;
}

/* ------------------------------------------------------------------------------------- the child
 */

static int plan_descriptors(posix_spawn_file_actions_t *actions)
{
    int result = posix_spawn_file_actions_addopen(actions, 0, "/dev/null", O_RDONLY, 0);
    if (result == 0)
        result = posix_spawn_file_actions_addopen(actions, 1, "/dev/null", O_WRONLY, 0);
    if (result == 0)
        result = posix_spawn_file_actions_addopen(actions, 2, "/dev/null", O_WRONLY, 0);
    return result ? result : posix_spawn_file_actions_addclosefrom_np(actions, 3);
}

/* Its own process group, for it starts others, and all signals as they are by default. */
static int plan_process(posix_spawnattr_t *attributes)
{
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(attributes, &none);
    posix_spawnattr_setsigdefault(attributes, &all);
    posix_spawnattr_setpgroup(attributes, 0);
    return posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                                    POSIX_SPAWN_SETSIGDEF);
}

static int spawn(char **words, pid_t *ret_child)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int result = posix_spawn_file_actions_init(&actions);
    if (result)
        return result;
    result = posix_spawnattr_init(&attributes);
    if (result == 0) {
        result = plan_descriptors(&actions);
        if (result == 0)
            result = plan_process(&attributes);
        if (result == 0)
            result = posix_spawnp(ret_child, program, &actions, &attributes, words, environ);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&actions);
    return result;
}

static double now_s(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static void end_child(pid_t child)
{
    int status;
    (void)kill(-child, SIGKILL);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
}

static aid_status wait_for(const solving *job, pid_t child, aid_error *err)
{
    const struct timespec pause = {.tv_nsec = POLL_MS * 1000000L};
    double deadline = now_s() + job->options->timeout_s;
    for (;;) {
        int status;
        pid_t ended = waitpid(child, &status, WNOHANG);
        if (ended == child) {
            (void)kill(-child, SIGKILL); /* whatever it has left running */
            return AID_OK;
        }
        if (ended < 0 && errno != EINTR)
            AID_FAIL(err, AID_ERR_IO, "%s: %s", program, strerror(errno));
        bool stopped = job->options->stop && job->options->stop();
        if (stopped || now_s() > deadline) {
            end_child(child);
            if (stopped)
                AID_FAIL(err, AID_ERR_CANCELLED, "%s: stopped by a signal", job->name);
            AID_FAIL(err, AID_ERR_IO, "%s: %s has found no solution within %g s", job->name,
                     program, job->options->timeout_s);
        }
        (void)nanosleep(&pause, NULL);
    }
}

/* Every file that it may make goes into the folder. */
static aid_status run_program(solving *job, aid_error *err)
{
    const aid_solve_options *options = job->options;
    char low[32], high[32], cpu_limit[32];
    snprintf(low, sizeof low, "%.6g", options->low_arcsec);
    snprintf(high, sizeof high, "%.6g", options->high_arcsec);
    snprintf(cpu_limit, sizeof cpu_limit, "%.0f", ceil(options->timeout_s));
    const char *words[MAX_WORDS] = {
        program,      "--no-plots", "--overwrite", "--dir", job->folder, "--temp-dir", job->folder,
        "--cpulimit", cpu_limit,    "--new-fits",  "none",  "--wcs",     job->solution};
    int count = 13;
    if (isfinite(options->low_arcsec) && isfinite(options->high_arcsec)) {
        const char *scale[] = {
            "--scale-units", "arcsecperpix", "--scale-low", low, "--scale-high", high};
        memcpy(words + count, scale, sizeof scale);
        count += (int)AID_COUNT_OF(scale);
    }
    words[count] = job->image;
    pid_t child;
    int result = spawn((char **)(uintptr_t)words, &child);
    if (result == ENOENT)
        AID_FAIL(err, AID_ERR_IO,
                 "%s: %s is not installed (astrometry.net, with its index files): it is needed to "
                 "solve images without a WCS",
                 job->name, program);
    if (result)
        AID_FAIL(err, AID_ERR_IO, "%s: %s", program, strerror(result));
    return wait_for(job, child, err);
}

/* ------------------------------------------------------------------------------------ the result
 */

static aid_status read_solution(const solving *job, aid_header *ret_cards, aid_error *err)
{
    AID_CLEANUP(aid_free_pointer)
    char *text = NULL;
    AID_CLEANUP(aid_free_pointer)
    aid_fits_card *card = NULL;
    AID_CLEANUP(aid_header_done)
    aid_header found = {0};
    size_t size;
    if (access(job->solution, R_OK) != 0)
        AID_FAIL(err, AID_ERR_INVALID, "%s: %s has found no solution", job->name, program);
    AID_TRY(aid_read_file(job->solution, MAX_HEADER_BYTES, &text, &size, err));
    AID_TRY(aid_new_array(1, sizeof *card, "card", &card, err));
    aid_fits_cards cards = {.bytes = (const uint8_t *)text, .count = 0};
    while ((size_t)(cards.count + 1) * AID_FITS_CARD <= size &&
           memcmp(text + (size_t)cards.count * AID_FITS_CARD, "END     ", 8) != 0)
        cards.count++;
    for (int32_t next = 0; next < cards.count;) {
        AID_TRY(aid_fits_card_read(cards, &next, card, err));
        AID_TRY(
            aid_header_append(&found, card->keyword, card->kind, card->value, card->comment, err));
    }
    if (!aid_header_find(&found, "CTYPE1"))
        AID_FAIL(err, AID_ERR_INVALID, "%s: what %s has written holds no WCS", job->name, program);
    *ret_cards = found;
    found = (aid_header){0};
    return AID_OK;
}

aid_status aid_solve_field(const aid_image *image, const char *name,
                           const aid_solve_options *options, aid_header *ret_cards, aid_error *err)
{
    AID_CLEANUP(solving_done)
    solving job = {.name = name, .options = options};
    AID_TRY(make_folder(&job, err));
    AID_TRY(write_image(&job, image, err));
    AID_TRY(run_program(&job, err));
    return read_solution(&job, ret_cards, err);
}
