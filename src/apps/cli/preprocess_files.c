/* The folder of a night's results: its lock, what is there already, what is there no more. */
#define _GNU_SOURCE /* flock */
#include "adapters/files/files.h"
#include "apps/cli/preprocess.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const folders[] = {"masters", "frames", "aligned", "stacks"};

void night_output_path(const night_state *night, const char *name, char ret_path[AID_MAX_PATH])
{
    snprintf(ret_path, AID_MAX_PATH, "%s/%s", night->output, name);
}

void night_input_path(const night_state *night, int file, char ret_path[AID_MAX_PATH])
{
    snprintf(ret_path, AID_MAX_PATH, "%s/%s", night->folder, night->files[file].path);
}

bool night_find_made(const night_state *night, const char *name, const char *id,
                     aid_header *ret_header)
{
    char path[AID_MAX_PATH];
    struct stat status;
    aid_error unimportant;
    aid_fits_image image;
    aid_fits_read_options options = AID_FITS_READ_DEFAULTS;
    options.headers_only = true;
    night_output_path(night, name, path);
    if (stat(path, &status) || aid_fits_read(path, &options, &image, &unimportant) != AID_OK)
        return false;
    const char *made = aid_header_text(&image.header, "AIDJOB");
    bool same = made && !strcmp(made, id);
    if (same) {
        *ret_header = image.header;
        image.header = (aid_header){0};
    }
    aid_fits_image_done(&image);
    return same;
}

/* ------------------------------------------------------------------------------------- opening */

static aid_status lock(night_state *night, aid_error *err)
{
    night->lock = open(night->output, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (night->lock < 0)
        AID_FAIL(err, AID_ERR_IO, "%s: cannot open: %s", night->output, strerror(errno));
    if (flock(night->lock, LOCK_EX | LOCK_NB)) /* goes with the process, however that ends */
        AID_FAIL(err, AID_ERR_IO, "%s: another process is writing to it", night->output);
    return AID_OK;
}

/* `.name.XXXXXX.part`: a file whose writer was killed. */
static bool is_leftover(const char *name)
{
    size_t length = strlen(name);
    return name[0] == '.' && length > 5 && !strcmp(name + length - 5, ".part");
}

static void remove_leftovers(const char *path)
{
    DIR *list = opendir(path);
    if (!list)
        return;
    for (struct dirent *entry; (entry = readdir(list));)
        if (is_leftover(entry->d_name))
            unlinkat(dirfd(list), entry->d_name, 0);
    closedir(list);
}

aid_status night_open_output(night_state *night, aid_error *err)
{
    struct stat status;
    if (stat(night->output, &status) == 0 && !S_ISDIR(status.st_mode))
        AID_FAIL(err, AID_ERR_USAGE, "%s: exists and is not a folder", night->output);
    AID_TRY(aid_make_folder(night->output, err));
    AID_TRY(lock(night, err));
    remove_leftovers(night->output);
    for (size_t i = 0; i < AID_COUNT_OF(folders); i++) {
        char path[AID_MAX_PATH];
        night_output_path(night, folders[i], path);
        AID_TRY(aid_make_folder(path, err));
        remove_leftovers(path);
    }
    return AID_OK;
}

/* ------------------------------------------------------------------------------------- clearing */

static bool is_frame(const night_state *night, const char *name)
{
    for (int i = 0; i < night->frame_count; i++) {
        const night_frame *frame = &night->frames[i];
        size_t length = strlen(frame->name);
        if (frame->done && !strncmp(frame->name, name, length) && !strcmp(name + length, ".fits"))
            return true;
    }
    return false;
}

static bool is_aligned(const night_state *night, const char *name)
{
    for (int i = 0; i < night->frame_count; i++) {
        const night_frame *frame = &night->frames[i];
        size_t length = strlen(frame->name);
        if (frame->alignment.done && !strncmp(frame->name, name, length) &&
            !strcmp(name + length, ".fits"))
            return true;
    }
    return false;
}

static bool is_master(const night_state *night, const char *name)
{
    for (int i = 0; i < night->set_count; i++) {
        const night_set *set = &night->sets[i];
        if (set->wanted && set->made && !set->ready_made &&
            !strcmp(set->name + strlen("masters/"), name))
            return true;
    }
    return false;
}

static bool is_stack(const night_state *night, const char *name)
{
    for (int i = 0; i < night->group_count; i++) {
        size_t length = strlen(night->groups[i].name);
        if (night->groups[i].stacked && !strncmp(night->groups[i].name, name, length) &&
            !strcmp(name + length, ".fits"))
            return true;
    }
    return false;
}

/* A FITS file that says by which of our jobs it was made; everything else is somebody's own. */
static bool is_result(const night_state *night, const char *folder, const char *name)
{
    char relative[AID_MAX_PATH], path[AID_MAX_PATH];
    aid_error unimportant;
    aid_fits_image image;
    aid_fits_read_options options = AID_FITS_READ_DEFAULTS;
    options.headers_only = true;
    int n = snprintf(relative, sizeof relative, "%s/%s", folder, name);
    night_output_path(night, relative, path);
    if (n >= AID_MAX_PATH || aid_fits_read(path, &options, &image, &unimportant) != AID_OK)
        return false;
    bool ours = aid_header_find(&image.header, "AIDJOB") != NULL;
    aid_fits_image_done(&image);
    return ours;
}

void night_remove_stale(const night_state *night)
{
    bool (*const keep[])(const night_state *, const char *) = {is_master, is_frame, is_aligned,
                                                               is_stack};
    for (size_t i = 0; i < AID_COUNT_OF(folders); i++) {
        char path[AID_MAX_PATH];
        night_output_path(night, folders[i], path);
        DIR *list = opendir(path);
        if (!list)
            continue;
        for (struct dirent *entry; (entry = readdir(list));)
            if (entry->d_name[0] != '.' && !keep[i](night, entry->d_name) &&
                is_result(night, folders[i], entry->d_name))
                unlinkat(dirfd(list), entry->d_name, 0);
        closedir(list);
        rmdir(path); /* where nothing is in it */
    }
}
