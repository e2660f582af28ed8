#include "adapters/fits/calibrated_file.h"
#include "adapters/fits/fits.h"
#include "adapters/log/log.h"
#include "apps/cli/calibrate.h"
#include "apps/cli/frames.h"
#include "apps/common/provenance.h"
#include "apps/common/stop.h"
#include "core/base/memory.h"

#include <stdlib.h>
#include <string.h>

static const char *name_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static const calibrate_master *master_of(const calibrate_run *run, const calibrate_frame *frame,
                                         int kind)
{
    return frame->masters[kind] < 0 ? NULL : &run->masters[frame->masters[kind]];
}

/* ------------------------------------------------------------------------------------ remarks */

/* A master of the command line is used even where another would have been chosen: then why not
 * this one is worth a remark. One that is missing, as well. */
static void note_choice(const calibrate_run *run, const calibrate_frame *frame, int kind,
                        aid_notes *notes)
{
    const char *type = aid_frame_type_name(calibrate_types[kind]);
    const aid_choice *choices = frame->choices + (size_t)kind * (size_t)run->master_count;
    int used = frame->masters[kind];
    if (used >= 0 && run->masters[used].told && !choices[used].suitable)
        aid_note_add(notes, "masters", "%s is used as it was told to be: %s",
                     run->masters[used].facts.name, choices[used].reason);
    for (int i = 0; used < 0 && i < run->master_count; i++)
        if (run->masters[i].facts.type == calibrate_types[kind])
            aid_note_add(notes, "masters", "%s: the %s %s does not fit: %s", name_of(frame->path),
                         type, run->masters[i].facts.name, choices[i].reason);
}

static aid_status check_raw(const aid_fits_image *file, const calibrate_frame *frame,
                            const aid_frame_facts *facts, aid_notes *notes, aid_error *err)
{
    const char *steps = aid_header_text(&file->header, AID_CALIBRATED_KEYWORD);
    if (steps)
        AID_FAIL(err, AID_ERR_INVALID, "%s: it is calibrated already (%s = '%s')", frame->path,
                 AID_CALIBRATED_KEYWORD, steps);
    if (facts->is_master)
        AID_FAIL(err, AID_ERR_INVALID, "%s: it is a master %s, no raw frame", frame->path,
                 aid_frame_type_name(facts->type));
    if (facts->type != AID_TYPE_LIGHT && facts->type != AID_TYPE_UNKNOWN)
        aid_note_add(notes, "calibrate", "%s is a %s by its %s: calibrated all the same",
                     facts->name, aid_frame_type_name(facts->type), facts->type_origin);
    return AID_OK;
}

/* What is in work of one frame. */
typedef struct frame_work {
    const calibrate_run *run;
    aid_pool *pool;
    calibrate_frame *frame;
    aid_notes *notes;
    aid_fits_image file;
    aid_frame_facts facts;
    aid_calibrated calibrated;
} frame_work;

static void frame_work_done(frame_work *work)
{
    aid_fits_image_done(&work->file);
    aid_calibrated_done(&work->calibrated);
}

/* ------------------------------------------------------------------------------- cosmic rays */

static aid_status find_cosmic_rays(frame_work *work, aid_error *err)
{
    const calibrate_run *run = work->run;
    aid_calibrated *calibrated = &work->calibrated;
    aid_lacosmic_options options = AID_LACOSMIC_DEFAULTS;
    options.gain = calibrated->facts.gain;
    options.read_noise_e = calibrated->facts.read_noise_e;
    options.saturation = calibrated->facts.saturation;
    options.sigma_clip = run->options->cosmic_ray_threshold;
    options.want_clean = run->options->cosmic_rays == COSMIC_RAYS_CLEAN;
    aid_cosmic_input input = {.name = calibrated->facts.name,
                              .image = &calibrated->image,
                              .variance = &calibrated->variance,
                              .mask = &calibrated->mask};
    aid_cosmics cosmics;
    AID_TRY(aid_find_cosmic_rays(&input, &options, work->pool, &cosmics, err));
    work->frame->hits = cosmics.hits;
    work->frame->hit_pixels = cosmics.pixels;
    calibrated->bad += cosmics.line_pixels;
    if (cosmics.line_pixels > 0)
        aid_note_add(work->notes, "calibrate",
                     "%s: %lld pixels of columns or rows that stand out are masked as bad",
                     calibrated->facts.name, (long long)cosmics.line_pixels);
    if (options.want_clean) {
        aid_image_done(&calibrated->image);
        calibrated->image = cosmics.clean;
        cosmics.clean = (aid_image){0};
    }
    aid_cosmics_done(&cosmics);
    return AID_OK;
}

/* ------------------------------------------------------------------------------------- writing */

static aid_status master_cards(const calibrate_run *run, const calibrate_frame *frame,
                               aid_header *cards, aid_error *err)
{
    static const char *const stems[CALIBRATE_KINDS] = {"BIAS", "DARK", "FLAT"};
    for (int kind = 0; kind < CALIBRATE_KINDS; kind++) {
        const calibrate_master *used = master_of(run, frame, kind);
        char keyword[16];
        if (!used)
            continue;
        snprintf(keyword, sizeof keyword, "%sFILE", stems[kind]);
        AID_TRY(
            aid_header_put_text(cards, keyword, name_of(used->path), "master that was used", err));
        snprintf(keyword, sizeof keyword, "%sHASH", stems[kind]);
        AID_TRY(aid_header_put_text(cards, keyword, used->sha256, "SHA-256 of that file", err));
        snprintf(keyword, sizeof keyword, "%sID", stems[kind]);
        if (used->master.id[0])
            AID_TRY(aid_header_put_text(cards, keyword, used->master.id,
                                        "hash of what it was made of", err));
    }
    return AID_OK;
}

static aid_status write_frame(const calibrate_run *run, const aid_fits_image *file,
                              const aid_calibrated *calibrated, const calibrate_frame *frame,
                              aid_error *err)
{
    static const char *const modes[] = {"masked", "filled", "not looked for"};
    AID_CLEANUP(aid_header_done)
    aid_header cards = {0};
    int mode = run->options->cosmic_rays;
    AID_TRY(aid_provenance_cards(run->invocation, &cards, err));
    AID_TRY(aid_header_put_text(&cards, "RAWFILE", name_of(frame->path), "raw frame", err));
    AID_TRY(aid_header_put_text(&cards, "RAWHASH", file->sha256, "SHA-256 of that file", err));
    AID_TRY(master_cards(run, frame, &cards, err));
    AID_TRY(aid_header_put_text(&cards, "CRSTEP", modes[mode], "cosmic rays", err));
    if (mode != COSMIC_RAYS_NONE) {
        AID_TRY(aid_header_put_number(&cards, "NCRHITS", (double)frame->hits, "cosmic rays", err));
        AID_TRY(aid_header_put_number(&cards, "NCRPIX", (double)frame->hit_pixels,
                                      "pixels that they struck", err));
    }
    return aid_calibrated_write(frame->output, calibrated, &file->header, &cards, err);
}

/* ----------------------------------------------------------------------------------- together */

static aid_status read_raw(frame_work *work, aid_error *err)
{
    calibrate_frame *frame = work->frame;
    aid_fits_read_options options = AID_FITS_READ_DEFAULTS;
    AID_TRY(aid_fits_read(frame->path, &options, &work->file, err));
    snprintf(frame->sha256, sizeof frame->sha256, "%s", work->file.sha256);
    work->facts = aid_frame_facts_from_header(&work->file.header, name_of(frame->path),
                                              work->file.width, work->file.height, work->notes);
    aid_frame_facts_take_ceiling(&work->facts, work->file.bitpix, work->file.bscale,
                                 work->file.bzero);
    return check_raw(&work->file, frame, &work->facts, work->notes, err);
}

static aid_status calibrate_pixels(frame_work *work, aid_error *err)
{
    const calibrate_run *run = work->run;
    const aid_master *masters[CALIBRATE_KINDS];
    for (int kind = 0; kind < CALIBRATE_KINDS; kind++) {
        const calibrate_master *used = master_of(run, work->frame, kind);
        masters[kind] = used ? &used->master : NULL;
        note_choice(run, work->frame, kind, work->notes);
    }
    aid_calibrate_input input = {.facts = &work->facts,
                                 .image = &work->file.image,
                                 .mask = &work->file.mask,
                                 .bias = masters[0],
                                 .dark = masters[1],
                                 .flat = masters[2]};
    aid_calibrate_options options = AID_CALIBRATE_DEFAULTS;
    options.gain = run->options->gain;
    options.read_noise_e = run->options->read_noise;
    options.saturation = run->options->saturation;
    options.electrons = run->options->electrons;
    AID_TRY(aid_calibrate(&input, &options, work->pool, work->notes, &work->calibrated, err));
    aid_image_done(&work->file.image); /* the search for cosmic rays needs the memory more */
    return AID_OK;
}

static aid_status work_through(frame_work *work, aid_error *err)
{
    const calibrate_run *run = work->run;
    calibrate_frame *frame = work->frame;
    AID_TRY(read_raw(work, err));
    if (!frame->choices)
        AID_TRY(calibrate_choose(run, &work->facts, frame, err));
    AID_TRY(calibrate_pixels(work, err));
    if (run->options->cosmic_rays != COSMIC_RAYS_NONE)
        AID_TRY(find_cosmic_rays(work, err));
    AID_TRY(write_frame(run, &work->file, &work->calibrated, frame, err));
    frame->numbers = work->calibrated;
    frame->numbers.image = frame->numbers.variance = (aid_image){0};
    frame->numbers.mask = (aid_mask){0};
    return AID_OK;
}

/* As many as there are, no more: a night has hundreds of frames. */
static void keep_notes(calibrate_frame *frame, const aid_notes *notes)
{
    aid_error err;
    size_t count = (size_t)notes->count;
    if (count == 0 || aid_new_array(count, sizeof *frame->notes, "notes", &frame->notes, &err))
        return;
    memcpy(frame->notes, notes->items, count * sizeof *frame->notes);
    frame->note_count = notes->count;
}

static void show_progress(calibrate_run *run)
{
    pthread_mutex_lock(&run->progress_lock);
    run->finished++;
    if (run->terminal)
        fprintf(run->terminal, "\r%d of %d frames", run->finished, run->frame_count);
    pthread_mutex_unlock(&run->progress_lock);
}

aid_status calibrate_one(calibrate_run *run, calibrate_frame *frame, aid_pool *pool, aid_error *err)
{
    AID_CLEANUP(aid_free_pointer)
    aid_notes *notes = NULL;
    if (aid_stop_requested())
        AID_FAIL(err, AID_ERR_CANCELLED, "stopped by a signal");
    aid_status status = aid_new_array(1, sizeof *notes, "notes", &notes, &frame->failure);
    if (status == AID_OK) {
        AID_CLEANUP(frame_work_done)
        frame_work work = {.run = run, .pool = pool, .frame = frame, .notes = notes};
        status = work_through(&work, &frame->failure);
    }
    frame->done = status == AID_OK;
    frame->failure.status = status;
    if (notes)
        keep_notes(frame, notes);
    aid_log(status == AID_OK ? AID_INFO : AID_WARN, "calibrate.frame",
            "frame=%s status=%s cosmic_rays=%lld", frame->path, aid_status_name(status),
            (long long)frame->hits);
    show_progress(run);
    return AID_OK;
}
