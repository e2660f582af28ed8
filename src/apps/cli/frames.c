#include "apps/cli/frames.h"

#include "adapters/solver/solver.h"
#include "apps/common/stop.h"

#include <malloc.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

static bool is_of_the_old_grid(const char *keyword);

/* --------------------------------------------------------------------------------------- reading
 */

static const char *name_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* The header alone: a WCS that is broken is as good as none, and a note says so. */
static aid_status describe_plain(cli_frame *frame, aid_notes *notes, aid_error *err)
{
    aid_error reason = {0};
    snprintf(frame->facts.name, sizeof frame->facts.name, "%s", name_of(frame->path));
    frame->facts.epoch = aid_epoch_from_header(&frame->file.header);
    aid_status status = aid_wcs_new(&frame->file.header, &frame->facts.wcs, &reason);
    if (status == AID_ERR_NOMEM)
        AID_FAIL(err, status, "%s", reason.message);
    if (status != AID_OK)
        aid_note_add(notes, "read", "%s: WCS ignored: %s", frame->facts.name, reason.message);
    return AID_OK;
}

static aid_status prepare(const frame_request *request, aid_pool *pool, aid_notes *notes,
                          cli_frame *frame, aid_error *err)
{
    AID_CLEANUP(aid_image_done)
    aid_image image = {0};
    AID_CLEANUP(aid_mask_done)
    aid_mask mask = frame->pixels.mask;
    frame->pixels.mask = (aid_mask){0};
    AID_TRY(aid_image_copy(&frame->pixels.image, &image, err));
    aid_prepare_input input = {.name = name_of(request->path),
                               .take_image = &image,
                               .take_mask = &mask,
                               .variance = &frame->pixels.variance,
                               .header = &frame->file.header};
    aid_prepare_options options = request->prepare;
    options.skip_psf = true;
    AID_TRY(aid_prepare_exposure(&input, &options, pool, notes, &frame->facts, err));
    frame->prepared = true;
    return AID_OK;
}

static bool has_wcs(const aid_header *header)
{
    aid_wcs *wcs = NULL;
    bool usable = aid_wcs_new(header, &wcs, NULL) == AID_OK && wcs;
    aid_wcs_free(wcs);
    return usable;
}

/* The solution takes the place of whatever the header said about the sky. */
static aid_status solve(const frame_request *request, aid_notes *notes, cli_frame *frame,
                        aid_error *err)
{
    AID_CLEANUP(aid_header_done)
    aid_header solution = {0};
    AID_CLEANUP(aid_header_done)
    aid_header kept = {0};
    aid_solve_options options = AID_SOLVE_DEFAULTS;
    options.timeout_s = request->solve_timeout_s;
    options.stop = aid_stop_requested;
    AID_TRY(aid_solve_field(&frame->pixels.image, name_of(frame->path), &options, &solution, err));
    AID_TRY(frame_keep_cards(&frame->file.header, &kept, err));
    for (int i = 0; i < solution.count; i++) {
        const aid_card *card = &solution.cards[i];
        if (is_of_the_old_grid(card->keyword))
            AID_TRY(aid_header_append(&kept, card->keyword, card->kind, card->value, card->comment,
                                      err));
    }
    if (!has_wcs(&kept))
        AID_FAIL(err, AID_ERR_INVALID, "%s: the solution of solve-field is no usable WCS",
                 name_of(frame->path));
    aid_note_add(notes, "solve", "%s: WCS by solve-field", name_of(frame->path));
    aid_header_done(&frame->file.header);
    frame->file.header = kept;
    kept = (aid_header){0};
    return AID_OK;
}

aid_status frame_read(const frame_request *request, aid_pool *pool, aid_notes *notes,
                      cli_frame *ret_frame, aid_error *err)
{
    AID_CLEANUP(frame_done)
    cli_frame read = {.path = request->path};
    aid_fits_read_options options = AID_FITS_READ_DEFAULTS;
    options.hdu = request->hdu;
    AID_TRY(aid_fits_read(request->path, &options, &read.file, err));
    read.pixels = (aid_frame_pixels){read.file.image, read.file.variance, read.file.mask};
    read.file.image = read.file.variance = (aid_image){0};
    read.file.mask = (aid_mask){0};
    read.width = read.pixels.image.width;
    read.height = read.pixels.image.height;
    if (request->solve && !has_wcs(&read.file.header))
        AID_TRY(solve(request, notes, &read, err));
    if (request->plain)
        AID_TRY(describe_plain(&read, notes, err));
    else
        AID_TRY(prepare(request, pool, notes, &read, err));
    *ret_frame = read;
    read = (cli_frame){0};
    return AID_OK;
}

void frame_keep_buffers(void)
{
    (void)mallopt(M_MMAP_THRESHOLD, 32 << 20);
    (void)mallopt(M_TRIM_THRESHOLD, 256 << 20);
}

void frame_done(cli_frame *frame)
{
    aid_fits_image_done(&frame->file);
    aid_frame_pixels_done(&frame->pixels);
    aid_exposure_done(&frame->facts);
    frame->prepared = false;
}

const aid_exposure *frame_facts(const cli_frame *frame)
{
    return frame->prepared ? &frame->facts : NULL;
}

/* ----------------------------------------------------------------------------------------- cards
 */

/* `#` stands for a number. What may follow is the letter of an alternative WCS. */
static bool matches(const char *keyword, const char *pattern)
{
    for (; *pattern; pattern++) {
        if (*pattern != '#') {
            if (*keyword++ != *pattern)
                return false;
            continue;
        }
        size_t digits = strspn(keyword, "0123456789");
        if (digits == 0)
            return false;
        keyword += digits;
    }
    return !keyword[0] || (keyword[0] >= 'A' && keyword[0] <= 'Z' && !keyword[1]);
}

/* What describes the pixels as they lay before. */
static bool is_of_the_old_grid(const char *keyword)
{
    static const char *const patterns[] = {
        "WCSAXES", "WCSNAME", "CTYPE#",  "CRPIX#",   "CRVAL#",   "CDELT#",   "CROTA#",   "CUNIT#",
        "CD#_#",   "PC#_#",   "PV#_#",   "PS#_#",    "LONPOLE",  "LATPOLE",  "RADESYS",  "RADECSYS",
        "EQUINOX", "A_ORDER", "B_ORDER", "AP_ORDER", "BP_ORDER", "A_#_#",    "B_#_#",    "AP_#_#",
        "BP_#_#",  "A_DMAX",  "B_DMAX",  "CPDIS#",   "CQDIS#",   "CPERR#",   "D2IMDIS#", "D2IMERR#",
        "LTV#",    "LTM#_#",  "WAT#_#",  "WAT#",     "BIASSEC",  "TRIMSEC",  "DATASEC",  "CCDSEC",
        "DETSEC",  "AMPSEC",  "ROISEC",  "DATAMIN",  "DATAMAX",  "DATAMEAN", "CBLACK",   "CWHITE",
        "WCSDIM",  "CRDER#",  "CSYER#",  "IMAGEW",   "IMAGEH"};
    if (!strncmp(keyword, "DP", 2) || !strncmp(keyword, "DQ", 2) || !strncmp(keyword, "D2IM", 4))
        return true;
    for (size_t i = 0; i < AID_COUNT_OF(patterns); i++)
        if (matches(keyword, patterns[i]))
            return true;
    return false;
}

aid_status frame_keep_cards(const aid_header *from, aid_header *to, aid_error *err)
{
    for (int i = 0; i < from->count; i++) {
        const aid_card *card = &from->cards[i];
        if (!is_of_the_old_grid(card->keyword))
            AID_TRY(
                aid_header_append(to, card->keyword, card->kind, card->value, card->comment, err));
    }
    return AID_OK;
}

aid_status frame_replace_cards(const aid_header *from, aid_header *to, aid_error *err)
{
    AID_CLEANUP(aid_header_done)
    aid_header merged = {0};
    for (int i = 0; i < to->count; i++) {
        const aid_card *card = &to->cards[i];
        if (card->kind == AID_CARD_COMMENT || !aid_header_find(from, card->keyword))
            AID_TRY(aid_header_append(&merged, card->keyword, card->kind, card->value,
                                      card->comment, err));
    }
    for (int i = 0; i < from->count; i++) {
        const aid_card *card = &from->cards[i];
        AID_TRY(
            aid_header_append(&merged, card->keyword, card->kind, card->value, card->comment, err));
    }
    aid_header_done(to);
    *to = merged;
    merged = (aid_header){0};
    return AID_OK;
}

/* The covariance of two values a whole number of pixels apart, over all phases, is the kernel's
 * autocorrelation there; that of all lags together is 1, as interpolation moves light and keeps it.
 */
aid_status frame_noise_cards(aid_warp_kernel kernel, aid_header *to, aid_error *err)
{
    enum { PHASES = 64, LAGS = 4 };
    double covariance[LAGS] = {0.0};
    for (int phase = 0; phase < PHASES; phase++) {
        double w[2 * AID_WARP_REACH + 1];
        aid_warp_weights(kernel, (phase + 0.5) / PHASES, w);
        for (int lag = 0; lag < LAGS; lag++)
            for (int k = 0; k + lag <= 2 * AID_WARP_REACH; k++)
                covariance[lag] += w[k] * w[k + lag] / PHASES;
    }
    AID_TRY(aid_header_put_number(to, "NOISRHO1", covariance[1] / covariance[0],
                                  "noise correlation of pixels 1 apart in x or y", err));
    AID_TRY(aid_header_put_number(to, "NOISRHO2", covariance[2] / covariance[0], "2 apart", err));
    AID_TRY(aid_header_put_number(to, "NOISRHO3", covariance[3] / covariance[0], "3 apart", err));
    return aid_header_put_number(to, "NOISSUM", 1.0 / covariance[0],
                                 "noise of a large aperture / that of VARIANCE", err);
}

static aid_status stack_time_cards(const aid_stack_summary *sum, aid_header *to, aid_error *err)
{
    double start = sum->mid_mjd_utc - 0.5 * sum->exposure_s / 86400.0;
    AID_TRY(aid_header_put_number(to, "EXPTIME", sum->exposure_s, "[s] of the flux scale", err));
    AID_TRY(aid_header_put_number(to, "TEXPTIME", sum->total_exposure_s, "[s] of all frames", err));
    if (!isfinite(start))
        return AID_OK;
    AID_TRY(aid_header_put_text(to, "TIMESYS", "UTC", "", err));
    AID_TRY(
        aid_header_put_number(to, "MJD-OBS", start, "EXPTIME/2 before the weighted middle", err));
    AID_TRY(aid_header_put_number(to, "MJD-AVG", sum->mid_mjd_utc, "weighted middle", err));
    AID_TRY(aid_header_put_number(to, "MJD-BEG", sum->first_mjd_utc, "start of the first", err));
    return aid_header_put_number(to, "MJD-END", sum->last_mjd_utc, "end of the last", err);
}

aid_status frame_stack_cards(const aid_stack_summary *summary, double sky, aid_header *to,
                             aid_error *err)
{
    double gain = summary->gain;
    AID_TRY(aid_header_put_number(to, "NCOMBINE", summary->used, "frames", err));
    AID_TRY(stack_time_cards(summary, to, err));
    AID_TRY(aid_header_put_number(to, "GAIN", gain, "e-/unit of the stack", err));
    AID_TRY(aid_header_put_number(to, "EGAIN", gain, "the same", err));
    AID_TRY(aid_header_put_number(to, "EFFGAIN", gain, "the same: counts the frames", err));
    AID_TRY(aid_header_put_number(to, "RDNOISE", summary->read_noise_e, "e- of that gain", err));
    AID_TRY(aid_header_put_number(to, "SATURATE", summary->saturation + sky,
                                  "where the first frame saturates", err));
    AID_TRY(aid_header_put_number(to, "AIRMASS", summary->airmass, "weighted mean", err));
    AID_TRY(aid_header_put_number(to, "FWHM", summary->fwhm_px, "[pix] weighted mean", err));
    return aid_header_put_number(to, "SKYLEVEL", sky, "constant that was left in", err);
}

bool frame_is_time_card(const char *keyword)
{
    static const char *const names[] = {"DATE-OBS", "TIME-OBS", "UT",       "UTSTART",
                                        "DATE-END", "MJD",      "EXPOSURE", "DATE-BEG"};
    for (size_t i = 0; i < AID_COUNT_OF(names); i++)
        if (!strcmp(keyword, names[i]))
            return true;
    return false;
}

/* --------------------------------------------------------------------------------------- writing
 */

/* What the bits of MASK mean, in the words of Rubin's pipelines, so that they are read back. */
static aid_status mask_cards(aid_header *to, aid_error *err)
{
    static const struct {
        const char *keyword, *bit, *comment;
    } bits[] = {{"MP_BAD", "0", "bad pixel"},
                {"MP_SAT", "1", "saturated"},
                {"MP_CR", "2", "cosmic ray"},
                {"MP_NO_DATA", "3", "no data"}};
    for (size_t i = 0; i < AID_COUNT_OF(bits); i++)
        AID_TRY(aid_header_append(to, bits[i].keyword, AID_CARD_NUMBER, bits[i].bit,
                                  bits[i].comment, err));
    return AID_OK;
}

static aid_status put_all(aid_fits_writer *writer, const aid_frame_pixels *pixels,
                          const aid_header *cards, const aid_wcs *wcs, aid_error *err)
{
    AID_CLEANUP(aid_header_done)
    aid_header all = {0};
    AID_CLEANUP(aid_header_done)
    aid_header place = {0};
    if (wcs)
        AID_TRY(aid_wcs_cards(wcs, &place, err));
    AID_TRY(aid_header_copy(&place, &all, err));
    AID_TRY(frame_replace_cards(cards, &all, err));
    AID_TRY(aid_fits_put_image(writer, NULL, &pixels->image, &all, err));
    if (pixels->variance.data)
        AID_TRY(aid_fits_put_image(writer, "VARIANCE", &pixels->variance, &place, err));
    AID_TRY(mask_cards(&place, err));
    return aid_fits_put_mask(writer, "MASK", &pixels->mask, &place, err);
}

aid_status frame_write(const char *path, const aid_frame_pixels *pixels, const aid_header *cards,
                       const aid_wcs *wcs, aid_error *err)
{
    aid_fits_writer *writer;
    AID_TRY(aid_fits_create(path, &writer, err));
    aid_status status = put_all(writer, pixels, cards, wcs, err);
    if (status == AID_OK)
        return aid_fits_commit(writer, err);
    aid_fits_abandon(writer);
    return status;
}

/* ----------------------------------------------------------------------------------------- words
 */

static const struct {
    const char *name;
    aid_warp_kernel kernel;
} kernels[] = {{"spline3", AID_KERNEL_SPLINE3},
               {"spline5", AID_KERNEL_SPLINE5},
               {"lanczos3", AID_KERNEL_LANCZOS3},
               {"lanczos4", AID_KERNEL_LANCZOS4}};

void frame_progress(int done, int total, const char *path)
{
    const char *kind = getenv("TERM");
    if (total < 2 || !isatty(STDERR_FILENO) || !kind || !strcmp(kind, "dumb"))
        return;
    if (done >= total)
        fputs("\r\033[K", stderr);
    else
        fprintf(stderr, "\r\033[K[%d/%d] %s ", done + 1, total, name_of(path));
    fflush(stderr);
}

aid_warp_kernel frame_kernel(int choice)
{
    return kernels[choice].kernel;
}

const char *frame_kernel_name(aid_warp_kernel kernel)
{
    size_t i = 0;
    while (kernels[i].kernel != kernel)
        i++;
    return kernels[i].name;
}

void frame_base_name(const char *path, char *name, size_t size)
{
    static const char *const endings[] = {".gz", ".fz", ".fits", ".fit", ".fts"};
    const char *base = name_of(path);
    size_t length = strlen(base);
    for (size_t i = 0; i < AID_COUNT_OF(endings); i++) {
        size_t tail = strlen(endings[i]);
        if (length > tail && !strncasecmp(base + length - tail, endings[i], tail))
            length -= tail;
    }
    snprintf(name, size, "%.*s", (int)length, base);
}

void frame_put_registration(aid_json_writer *json, const aid_registration *registration)
{
    aid_json_begin_object(json);
    aid_json_put_text(json, "method", registration->method);
    aid_json_put_integer(json, "matched", registration->matched);
    aid_json_put_number(json, "rms_px", registration->rms_px);
    aid_json_put_number(json, "rms_x_px", registration->rms_x_px);
    aid_json_put_number(json, "rms_y_px", registration->rms_y_px);
    aid_json_put_number(json, "systematic_px", registration->systematic_px);
    aid_json_put_number(json, "residual_shift_px", registration->residual_shift_px);
    aid_json_put_number(json, "shift_px", registration->shift_px);
    aid_json_put_number(json, "rotation_deg", registration->rotation_deg);
    aid_json_put_number(json, "scale", registration->scale);
    aid_json_put_number(json, "overlap", registration->overlap);
    aid_json_put_number(json, "correlation", registration->correlation);
    aid_json_put_integer(json, "degree", registration->transform.degree);
    aid_json_end_object(json);
}
