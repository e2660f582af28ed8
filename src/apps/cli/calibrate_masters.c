#include "adapters/fits/fits.h"
#include "adapters/fits/master_file.h"
#include "apps/cli/calibrate.h"
#include "core/base/memory.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

const aid_frame_type calibrate_types[CALIBRATE_KINDS] = {AID_TYPE_BIAS, AID_TYPE_DARK,
                                                         AID_TYPE_FLAT};

static const char *told_path(const calibrate_run *run, int kind)
{
    const char *const paths[CALIBRATE_KINDS] = {run->options->bias, run->options->dark,
                                                run->options->flat};
    return paths[kind];
}

static const char *name_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* ------------------------------------------------------------------------------------- a folder */

enum { MAX_MASTERS = 10000 };

static int is_fits_name(const struct dirent *entry)
{
    static const char *const endings[] = {".fits",    ".fit",    ".fts",
                                          ".fits.gz", ".fit.gz", ".fits.fz"};
    size_t length = strlen(entry->d_name);
    for (size_t i = 0; i < AID_COUNT_OF(endings); i++) {
        size_t tail = strlen(endings[i]);
        if (length > tail && !strcasecmp(entry->d_name + length - tail, endings[i]))
            return entry->d_name[0] != '.';
    }
    return 0;
}

static aid_status add_master(calibrate_run *run, const char *folder, const char *name,
                             aid_error *err)
{
    calibrate_master *master = &run->masters[run->master_count];
    size_t size = strlen(folder) + strlen(name) + 2;
    AID_TRY(aid_new_array(size, 1, "path", &master->path, err));
    snprintf(master->path, size, "%s%s%s", folder, *folder ? "/" : "", name);
    run->master_count++;
    return AID_OK;
}

/* The header of a file of the folder; what cannot be read or is no master is left out with a note:
 * raw frames may lie beside the masters. */
static aid_status read_facts(calibrate_run *run, const char *name, aid_error *err)
{
    aid_error why = {0};
    aid_fits_image file;
    aid_fits_read_options options = AID_FITS_READ_DEFAULTS;
    options.headers_only = true;
    AID_TRY(add_master(run, run->options->masters, name, err));
    calibrate_master *master = &run->masters[run->master_count - 1];
    aid_status status = aid_fits_read(master->path, &options, &file, &why);
    if (status == AID_ERR_NOMEM || status == AID_ERR_CANCELLED)
        AID_FAIL(err, status, "%s", why.message);
    if (status == AID_OK) {
        master->facts = aid_frame_facts_from_header(&file.header, name_of(name), file.width,
                                                    file.height, &run->notes);
        aid_fits_image_done(&file);
    }
    bool usable = status == AID_OK && master->facts.is_master;
    if (!usable) {
        aid_note_add(&run->notes, "masters", "%s is left out: %s", name,
                     status == AID_OK ? "it is no master" : why.message);
        free(master->path);
        *master = (calibrate_master){0};
        run->master_count--;
    }
    return AID_OK;
}

static aid_status read_names(calibrate_run *run, struct dirent **entries, int count, aid_error *err)
{
    if (count > MAX_MASTERS)
        AID_FAIL(err, AID_ERR_INVALID, "%s: %d files are more than %d", run->options->masters,
                 count, MAX_MASTERS);
    AID_TRY(aid_new_array((size_t)count + CALIBRATE_KINDS, sizeof *run->masters, "masters",
                          &run->masters, err));
    for (int i = 0; i < count; i++)
        AID_TRY(read_facts(run, entries[i]->d_name, err));
    return AID_OK;
}

static aid_status find_in_folder(calibrate_run *run, aid_error *err)
{
    const char *folder = run->options->masters;
    struct dirent **entries = NULL;
    int count = folder ? scandir(folder, &entries, is_fits_name, alphasort) : 0;
    if (count < 0)
        AID_FAIL(err, AID_ERR_USAGE, "--masters %s: %s", folder, strerror(errno));
    aid_status status = read_names(run, entries, count, err);
    for (int i = 0; i < count; i++)
        free(entries[i]);
    free(entries);
    return status;
}

/* ------------------------------------------------------------------------------------- the rest */

aid_status calibrate_find_masters(calibrate_run *run, aid_error *err)
{
    AID_TRY(find_in_folder(run, err));
    if (run->options->masters && run->master_count == 0)
        AID_FAIL(err, AID_ERR_INVALID, "%s: there is no master in that folder",
                 run->options->masters);
    for (int kind = 0; kind < CALIBRATE_KINDS; kind++) {
        const char *path = told_path(run, kind);
        if (!path)
            continue;
        AID_TRY(add_master(run, "", path, err));
        calibrate_master *master = &run->masters[run->master_count - 1];
        AID_TRY(aid_master_read(path, calibrate_types[kind], &run->notes, &master->master,
                                master->sha256, err));
        master->loaded = master->told = true;
        master->facts = master->master.facts;
    }
    return AID_OK;
}

/* The one that was told, or the best of the folder. */
static int pick(const calibrate_run *run, int kind, const aid_choice *choices)
{
    for (int i = 0; i < run->master_count; i++)
        if (run->masters[i].told && run->masters[i].facts.type == calibrate_types[kind])
            return i;
    for (int i = 0; i < run->master_count; i++)
        if (choices[i].chosen)
            return i;
    return -1;
}

aid_status calibrate_choose(const calibrate_run *run, const aid_frame_facts *facts,
                            calibrate_frame *frame, aid_error *err)
{
    AID_CLEANUP(aid_free_pointer)
    const aid_frame_facts **list = NULL;
    size_t count = (size_t)run->master_count;
    aid_choice_options options = AID_CHOICE_DEFAULTS;
    options.temperature_tolerance_c = run->options->temperature_tolerance;
    AID_TRY(aid_new_array(count + 1, sizeof(void *), "masters", &list, err));
    free(frame->choices);
    frame->choices = NULL;
    AID_TRY(aid_new_array(CALIBRATE_KINDS * count + 1, sizeof *frame->choices, "choices",
                          &frame->choices, err));
    for (size_t i = 0; i < count; i++)
        list[i] = &run->masters[i].facts;
    for (int kind = 0; kind < CALIBRATE_KINDS; kind++) {
        aid_choice *choices = frame->choices + (size_t)kind * count;
        (void)aid_master_choose(facts, calibrate_types[kind], list, run->master_count, &options,
                                choices);
        frame->masters[kind] = pick(run, kind, choices);
    }
    return AID_OK;
}

aid_status calibrate_load(calibrate_run *run, const calibrate_frame *frame, aid_error *err)
{
    for (int i = 0; i < run->master_count; i++) {
        calibrate_master *master = &run->masters[i];
        bool needed = false;
        for (int kind = 0; kind < CALIBRATE_KINDS; kind++)
            needed = needed || frame->masters[kind] == i;
        if (needed && !master->loaded) {
            AID_TRY(aid_master_read(master->path, master->facts.type, &run->notes, &master->master,
                                    master->sha256, err));
            master->loaded = true;
        } else if (!needed && master->loaded && !master->told) {
            aid_master_done(&master->master);
            master->loaded = false;
        }
    }
    return AID_OK;
}

int64_t calibrate_master_bytes(const calibrate_run *run)
{
    int64_t pixels = 0;
    for (int i = 0; i < run->master_count; i++)
        if (run->masters[i].loaded)
            pixels += (int64_t)run->masters[i].facts.width * run->masters[i].facts.height;
    return pixels * (int64_t)(2 * sizeof(float) + 1); /* image, variance, mask */
}

void calibrate_masters_done(calibrate_run *run)
{
    for (int i = 0; i < run->master_count; i++) {
        aid_master_done(&run->masters[i].master);
        free(run->masters[i].path);
    }
    free(run->masters);
    run->masters = NULL;
    run->master_count = 0;
}
