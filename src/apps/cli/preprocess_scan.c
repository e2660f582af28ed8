/* The files of a night: found by what is in them, and what their headers say. */
#include "adapters/log/log.h"
#include "apps/cli/preprocess.h"
#include "apps/common/stop.h"
#include "core/base/memory.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct search {
    night_state *night;
    struct stat output; /* of the results, where they lie in a folder that exists */
    bool has_output;
    int capacity;
} search;

/* ------------------------------------------------------------------------------------- finding */

static bool ends_like_fits(const char *name)
{
    static const char *const endings[] = {".fits",   ".fit",    ".fts",     ".fits.gz",
                                          ".fit.gz", ".fts.gz", ".fits.fz", ".fit.fz"};
    size_t length = strlen(name);
    for (size_t i = 0; i < AID_COUNT_OF(endings); i++) {
        size_t tail = strlen(endings[i]);
        if (length > tail && !strcasecmp(name + length - tail, endings[i]))
            return true;
    }
    return false;
}

/* FITS by its first bytes, whatever it is called; compressed files by their names, too. */
static bool may_be_fits(int folder, const char *name)
{
    char bytes[10] = "";
    int descriptor = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (descriptor < 0)
        return ends_like_fits(name); /* reading it will tell why not */
    ssize_t n = read(descriptor, bytes, 9);
    close(descriptor);
    return (n == 9 && !memcmp(bytes, "SIMPLE  =", 9)) || ends_like_fits(name);
}

static aid_status add_file(search *job, const char *path, aid_error *err)
{
    night_state *night = job->night;
    if (night->file_count == NIGHT_MAX_FILES)
        AID_FAIL(err, AID_ERR_INVALID, "%s: more than %d FITS files", night->folder,
                 NIGHT_MAX_FILES);
    if (night->file_count == job->capacity) {
        job->capacity = job->capacity ? 2 * job->capacity : 64;
        night_file *files = realloc(night->files, (size_t)job->capacity * sizeof *files);
        if (!files)
            AID_FAIL(err, AID_ERR_NOMEM, "out of memory for %d files", job->capacity);
        night->files = files;
    }
    char *copy = strdup(path);
    if (!copy)
        AID_FAIL(err, AID_ERR_NOMEM, "out of memory for the name of a file");
    night->files[night->file_count++] = (night_file){.path = copy};
    return AID_OK;
}

static aid_status visit(search *job, const char *below, int depth, aid_error *err);

static aid_status visit_entry(search *job, int folder, const char *below, const char *name,
                              int depth, aid_error *err)
{
    struct stat link, file;
    char path[AID_MAX_PATH];
    int n = snprintf(path, sizeof path, "%s%s%s", below, *below ? "/" : "", name);
    if (name[0] == '.' || n >= AID_MAX_PATH || fstatat(folder, name, &link, AT_SYMLINK_NOFOLLOW))
        return AID_OK;
    if (S_ISDIR(link.st_mode))
        return visit(job, path, depth + 1, err);
    /* links to files count, links to folders may go round in circles */
    if (fstatat(folder, name, &file, 0) == 0 && !S_ISREG(file.st_mode))
        return AID_OK;
    if (may_be_fits(folder, name))
        return add_file(job, path, err);
    job->night->ignored++;
    return AID_OK;
}

static aid_status visit(search *job, const char *below, int depth, aid_error *err)
{
    char path[AID_MAX_PATH];
    struct stat status;
    int n = snprintf(path, sizeof path, "%s%s%s", job->night->folder, *below ? "/" : "", below);
    if (n >= AID_MAX_PATH)
        return AID_OK;
    if (depth > NIGHT_MAX_DEPTH)
        AID_FAIL(err, AID_ERR_INVALID, "%s: more than %d folders deep", path, NIGHT_MAX_DEPTH);
    DIR *list = opendir(path);
    if (!list)
        AID_FAIL(err, errno == ENOTDIR ? AID_ERR_USAGE : AID_ERR_IO, "%s: cannot be read: %s", path,
                 strerror(errno));
    bool is_output = job->has_output && !fstat(dirfd(list), &status) &&
                     status.st_ino == job->output.st_ino && status.st_dev == job->output.st_dev;
    aid_status result = AID_OK;
    for (struct dirent *entry; !is_output && result == AID_OK && (entry = readdir(list));)
        result = visit_entry(job, dirfd(list), below, entry->d_name, depth, err);
    closedir(list);
    return result;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const night_file *)a)->path, ((const night_file *)b)->path);
}

/* ------------------------------------------------------------------------------------- reading */

static const char *base_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static aid_status refuse(aid_error *err, const char *path, const char *why)
{
    AID_FAIL(err, AID_ERR_INVALID, "%s: %s", path, why);
}

/* What is no raw frame although it is FITS. */
static aid_status check_header(const night_file *file, const aid_fits_image *image, aid_error *err)
{
    const aid_frame_facts *facts = &file->facts;
    if (aid_header_find(&image->header, "AIDJOB") && !facts->is_master)
        return refuse(err, file->path, "a result of this program, not a raw frame");
    if (facts->type == AID_TYPE_UNKNOWN)
        return refuse(err, file->path, "its header tells neither a type nor an exposure time");
    return AID_OK;
}

/* Sky flats are often taken as objects, and told from them by name alone. */
static bool is_called_flat(const char *object)
{
    for (; *object; object++)
        if (!strncasecmp(object, "flat", 4))
            return true;
    return false;
}

static bool is_light(const aid_frame_facts *facts)
{
    return facts->type == AID_TYPE_LIGHT ||
           (facts->type == AID_TYPE_UNKNOWN && facts->exposure_s > 0.0);
}

static void settle_type(const night_state *night, night_file *file)
{
    aid_frame_facts *facts = &file->facts;
    const char *pattern = night->options->flats;
    if (pattern &&
        (night_matches(pattern, base_of(file->path)) || night_matches(pattern, facts->object))) {
        facts->type = AID_TYPE_FLAT;
        snprintf(facts->type_origin, sizeof facts->type_origin, "--flats");
    } else if (is_light(facts) && is_called_flat(facts->object)) {
        facts->type = AID_TYPE_FLAT;
        snprintf(facts->type_origin, sizeof facts->type_origin, "OBJECT");
    } else if (facts->type == AID_TYPE_UNKNOWN && facts->exposure_s > 0.0) {
        facts->type = AID_TYPE_LIGHT;
        snprintf(facts->type_origin, sizeof facts->type_origin, "exposure of %g s",
                 facts->exposure_s);
    }
}

static aid_status read_header(const night_state *night, night_file *file, aid_notes *notes,
                              aid_error *err)
{
    aid_fits_read_options options = AID_FITS_READ_DEFAULTS;
    options.headers_only = true;
    aid_fits_image image = {0};
    char path[AID_MAX_PATH];
    snprintf(path, sizeof path, "%s/%s", night->folder, file->path);
    file->unreadable = true;
    AID_TRY(aid_fits_read(path, &options, &image, err));
    file->unreadable = false;
    memcpy(file->sha256, image.sha256, sizeof file->sha256);
    file->facts = aid_frame_facts_from_header(&image.header, base_of(file->path), image.width,
                                              image.height, notes);
    settle_type(night, file);
    aid_status status = check_header(file, &image, err);
    aid_fits_image_done(&image);
    return status;
}

/* A file that cannot be used is no reason to leave the others. */
static aid_status read_one(void *context, int64_t task, int worker, aid_error *err)
{
    (void)worker;
    night_state *night = context;
    AID_CLEANUP(aid_free_pointer)
    aid_notes *notes = NULL;
    AID_TRY(aid_new_array(1, sizeof *notes, "notes", &notes, err));
    if (aid_stop_requested())
        AID_FAIL(err, AID_ERR_CANCELLED, "stopped by a signal while headers were read");
    night_file *file = &night->files[task];
    aid_error why = {0};
    aid_status status = read_header(night, file, notes, &why);
    file->notes = night_note_lines(notes);
    if (status == AID_ERR_NOMEM || status == AID_ERR_CANCELLED) {
        *err = why;
        return status;
    }
    if (status != AID_OK) {
        night_fail(night, &file->failure, &why);
        aid_log(AID_WARN, "preprocess.file.refused", "file=%s reason=%s", file->path, why.message);
    }
    night_progress_step(night, file->path);
    return AID_OK;
}

/* One exposure under two names would count twice in every mean. */
static void refuse_copies(night_state *night)
{
    for (int i = 0; i < night->file_count; i++)
        for (int j = 0; j < i && !night_failed(&night->files[i].failure); j++) {
            aid_error why = {0};
            if (night_failed(&night->files[j].failure) ||
                strcmp(night->files[i].sha256, night->files[j].sha256) != 0)
                continue;
            (void)AID_ERROR(&why, AID_ERR_INVALID, "%s: the same bytes as %s", night->files[i].path,
                            night->files[j].path);
            night_fail(night, &night->files[i].failure, &why);
        }
}

aid_status night_scan(night_state *night, aid_error *err)
{
    search job = {.night = night};
    job.has_output = stat(night->output, &job.output) == 0;
    AID_TRY(visit(&job, "", 0, err));
    if (night->file_count == 0)
        AID_FAIL(err, AID_ERR_INVALID, "%s: no FITS files in it (%d others)", night->folder,
                 night->ignored);
    qsort(night->files, (size_t)night->file_count, sizeof *night->files, by_path);
    night_progress_begin(night, night->file_count);
    aid_status status = aid_pool_run(night->pool, night->file_count, read_one, night, err);
    night_progress_end(night);
    AID_TRY(status);
    refuse_copies(night);
    return AID_OK;
}
