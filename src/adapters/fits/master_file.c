#include "adapters/fits/master_file.h"

#include "adapters/fits/fits.h"
#include "core/base/memory.h"
#include "core/imaging/stats.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char stage[] = "masters";

/* ----------------------------------------------------------------------------------------- cards
 */

/* Day of the Gregorian calendar (Fliegel & Van Flandern 1968, Commun. ACM 11, 657). */
void aid_mjd_text(double mjd, char ret_text[AID_MJD_TEXT])
{
    int64_t milliseconds = llround(mjd * 86400000.0);
    int64_t day = milliseconds / 86400000, rest = milliseconds % 86400000;
    if (rest < 0) {
        rest += 86400000;
        day--;
    }
    int64_t l = day + 2400001 + 68569, n = 4 * l / 146097;
    l -= (146097 * n + 3) / 4;
    int64_t i = 4000 * (l + 1) / 1461001;
    l = l - 1461 * i / 4 + 31;
    int64_t j = 80 * l / 2447, date = l - 2447 * j / 80;
    l = j / 11;
    snprintf(ret_text, AID_MJD_TEXT, "%04d-%02d-%02dT%02d:%02d:%02d.%03d",
             (int)(100 * (n - 49) + i + l), (int)(j + 2 - 12 * l), (int)date, (int)(rest / 3600000),
             (int)(rest / 60000 % 60), (int)(rest / 1000 % 60), (int)(rest % 1000));
}

static aid_status put_date(aid_header *cards, const char *keyword, double mjd, const char *comment,
                           aid_error *err)
{
    char text[AID_MJD_TEXT];
    if (!(mjd > 0.0 && mjd < 1e6))
        return AID_OK;
    aid_mjd_text(mjd, text);
    return aid_header_put_text(cards, keyword, text, comment, err);
}

static const char *unit_of(aid_frame_type type)
{
    return type == AID_TYPE_BIAS ? "adu" : type == AID_TYPE_DARK ? "adu/s" : "";
}

static aid_status put_facts(aid_header *cards, const aid_frame_facts *facts, aid_error *err)
{
    AID_TRY(aid_header_put_text(cards, "INSTRUME", facts->instrument, "", err));
    if (facts->type == AID_TYPE_FLAT)
        AID_TRY(aid_header_put_text(cards, "FILTER", facts->filter, "", err));
    AID_TRY(aid_header_put_number(cards, "EXPTIME", facts->exposure_s, "[s] of one frame (median)",
                                  err));
    AID_TRY(aid_header_put_number(cards, "CCD-TEMP", facts->temperature_c, "[deg C] median", err));
    AID_TRY(aid_header_put_number(cards, "XBINNING", facts->binning_x, "", err));
    AID_TRY(aid_header_put_number(cards, "YBINNING", facts->binning_y, "", err));
    AID_TRY(aid_header_put_number(cards, "EGAIN", facts->gain, "[e-/adu]", err));
    AID_TRY(aid_header_put_number(cards, "RDNOISE", facts->read_noise_e, "[e-]", err));
    AID_TRY(
        aid_header_put_number(cards, "SATURATE", facts->saturation, "[adu] of a raw frame", err));
    AID_TRY(
        put_date(cards, "DATE-OBS", facts->epoch.start_mjd_utc, "UTC, median of the frames", err));
    return put_date(cards, "VALIDTO", facts->valid_until_mjd_utc, "UTC", err);
}

static aid_status put_master(aid_header *cards, const aid_master *master, aid_error *err)
{
    char type[32];
    snprintf(type, sizeof type, "master %s", aid_frame_type_name(master->facts.type));
    AID_TRY(aid_header_put_text(cards, "IMAGETYP", type, "", err));
    AID_TRY(aid_header_put_text(cards, "BUNIT", unit_of(master->facts.type), "", err));
    AID_TRY(put_facts(cards, &master->facts, err));
    AID_TRY(
        aid_header_put_number(cards, "NCOMBINE", master->frames, "frames that it is made of", err));
    AID_TRY(
        aid_header_put_number(cards, "LEVEL", master->level, "median of the sound pixels", err));
    AID_TRY(aid_header_put_number(cards, "NOISE", master->noise, "their robust sigma", err));
    AID_TRY(aid_header_put_number(cards, "FRMNOISE", master->frame_noise,
                                  "[adu] noise of one frame", err));
    AID_TRY(aid_header_put_number(cards, "REJFRAC", master->rejected_fraction,
                                  "of the pixels, by clipping", err));
    AID_TRY(aid_header_append(cards, "OVERSUB", AID_CARD_LOGICAL,
                              master->above_overscan ? "T" : "F", "overscan level was subtracted",
                              err));
    return aid_header_put_text(cards, "MASTERID", master->id, "hash of inputs and parameters", err);
}

static aid_status put_planes(aid_fits_writer *writer, const aid_master *master,
                             const aid_header *cards, aid_error *err)
{
    AID_TRY(aid_fits_put_image(writer, NULL, &master->image, cards, err));
    AID_TRY(aid_fits_put_image(writer, "VARIANCE", &master->variance, NULL, err));
    return aid_fits_put_mask(writer, "MASK", &master->mask, NULL, err);
}

aid_status aid_master_write(const char *path, const aid_master *master, const aid_header *cards,
                            aid_error *err)
{
    AID_CLEANUP(aid_header_done)
    aid_header all = {0};
    aid_fits_writer *writer;
    AID_TRY(put_master(&all, master, err));
    for (int i = 0; cards && i < cards->count; i++)
        AID_TRY(aid_header_append(&all, cards->cards[i].keyword, cards->cards[i].kind,
                                  cards->cards[i].value, cards->cards[i].comment, err));
    AID_TRY(aid_fits_create(path, &writer, err));
    aid_status status = put_planes(writer, master, &all, err);
    if (status == AID_OK)
        return aid_fits_commit(writer, err);
    aid_fits_abandon(writer);
    return status;
}

/* ----------------------------------------------------------------------------------- reading back
 */

static const char *file_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static double number_or(const aid_header *header, const char *keyword, double otherwise)
{
    double value;
    return aid_header_number(header, keyword, &value) ? value : otherwise;
}

static bool is_rate(const aid_header *header)
{
    const char *unit = aid_header_text(header, "BUNIT");
    return unit && (strstr(unit, "/s") || strstr(unit, "s-1") || strstr(unit, "s^-1") ||
                    strstr(unit, "s**-1"));
}

static void divide(aid_master *master, double by)
{
    int64_t pixels = (int64_t)master->image.width * master->image.height;
    for (int64_t i = 0; i < pixels; i++) {
        master->image.data[i] = (float)((double)master->image.data[i] / by);
        master->variance.data[i] = (float)((double)master->variance.data[i] / (by * by));
    }
}

/* Level and noise where the header does not tell them. */
static void measure(aid_master *master)
{
    int64_t pixels = (int64_t)master->image.width * master->image.height;
    enum { SAMPLE = 1 << 17 };
    int64_t step = pixels / SAMPLE + 1, n = 0;
    step += 1 - step % 2; /* odd: not the same columns all the time */
    float *values = malloc(((size_t)(pixels / step) + 1) * sizeof *values);
    for (int64_t i = 0; values && i < pixels; i += step)
        if (!master->mask.data[i])
            values[n++] = master->image.data[i];
    aid_robust robust = values ? aid_robust_in_place(values, n) : (aid_robust){NAN, NAN, 0};
    free(values);
    master->level = robust.median;
    master->noise = robust.sigma;
}

/* Units of another program's master made ours. */
static aid_status make_ours(aid_master *master, const aid_header *header, const char *path,
                            aid_notes *notes, aid_error *err)
{
    double exposure = master->facts.exposure_s;
    if (master->facts.type == AID_TYPE_DARK && !is_rate(header)) {
        if (!(exposure > 0.0))
            AID_FAIL(err, AID_ERR_INVALID,
                     "%s: a dark that is no rate (BUNIT) and has no exposure time (EXPTIME)", path);
        divide(master, exposure);
        aid_note_add(notes, stage, "%s: no rate by its BUNIT: divided by its exposure of %g s",
                     master->facts.name, exposure);
    }
    measure(master);
    if (master->facts.type == AID_TYPE_FLAT && !(fabs(master->level - 1.0) < 0.2)) {
        if (!(master->level > 0.0))
            AID_FAIL(err, AID_ERR_INVALID, "%s: a flat with a median of %g", path, master->level);
        aid_note_add(notes, stage, "%s: a flat with a median of %g is divided by it",
                     master->facts.name, master->level);
        divide(master, master->level);
        measure(master);
    }
    return AID_OK;
}

static aid_status check_type(const aid_master *master, aid_frame_type expected, const char *path,
                             aid_error *err)
{
    aid_frame_type type = master->facts.type;
    if (expected != AID_TYPE_UNKNOWN && type != AID_TYPE_UNKNOWN && type != expected)
        AID_FAIL(err, AID_ERR_INVALID, "%s: a %s by its header (%s), not a %s", path,
                 aid_frame_type_name(type), master->facts.type_origin,
                 aid_frame_type_name(expected));
    if (type == AID_TYPE_LIGHT || (type == AID_TYPE_UNKNOWN && expected == AID_TYPE_UNKNOWN))
        AID_FAIL(err, AID_ERR_INVALID, "%s: no calibration master by its header", path);
    return AID_OK;
}

/* Everything is the master's from here on, also on failure. */
static aid_status fill(aid_master *master, aid_fits_image *file, const char *path,
                       aid_frame_type expected, aid_notes *notes, aid_error *err)
{
    const aid_header *header = &file->header;
    master->image = file->image;
    master->variance = file->variance;
    master->mask = file->mask;
    file->image = file->variance = (aid_image){0};
    file->mask = (aid_mask){0};
    int32_t width = master->image.width, height = master->image.height;
    master->facts = aid_frame_facts_from_header(header, file_name(path), width, height, notes);
    AID_TRY(check_type(master, expected, path, err));
    if (master->facts.type == AID_TYPE_UNKNOWN)
        master->facts.type = expected;
    master->facts.overscan = master->facts.trim = (aid_section){0};
    if (!master->mask.data)
        AID_TRY(aid_mask_init(width, height, &master->mask, err));
    if (!master->variance.data) {
        AID_TRY(aid_image_init(width, height, &master->variance, err));
        aid_note_add(notes, stage, "%s: no variance: taken for free of noise", master->facts.name);
    }
    master->frames = (int)AID_CLAMP(number_or(header, "NCOMBINE", 1.0), 1.0, 1e6);
    master->frame_noise = number_or(header, "FRMNOISE", NAN);
    master->rejected_fraction = number_or(header, "REJFRAC", NAN);
    const char *oversub = aid_header_text(header, "OVERSUB"),
               *id = aid_header_text(header, "MASTERID");
    master->above_overscan = oversub && oversub[0] == 'T';
    snprintf(master->id, sizeof master->id, "%s", id ? id : "");
    AID_TRY(make_ours(master, header, path, notes, err));
    if (master->id[0]) { /* of others, these words may mean anything */
        master->level = number_or(header, "LEVEL", master->level);
        master->noise = number_or(header, "NOISE", master->noise);
    }
    return AID_OK;
}

aid_status aid_master_read(const char *path, aid_frame_type expected, aid_notes *notes,
                           aid_master *ret_master, char ret_sha256[65], aid_error *err)
{
    aid_fits_image file;
    aid_master master = {0};
    AID_TRY(aid_fits_read(path, NULL, &file, err));
    aid_status status = fill(&master, &file, path, expected, notes, err);
    if (status == AID_OK) {
        *ret_master = master;
        if (ret_sha256)
            memcpy(ret_sha256, file.sha256, 65);
    } else {
        aid_master_done(&master);
    }
    aid_fits_image_done(&file);
    return status;
}
