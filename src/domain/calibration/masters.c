#include "domain/calibration/masters.h"

#include "core/base/memory.h"
#include "core/imaging/stats.h"
#include "domain/calibration/internal.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static void AID_PRINTF(2, 3) leave_out(aid_raw_frame *frame, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(frame->reason, sizeof frame->reason, format, arguments);
    va_end(arguments);
    frame->used = false;
}

void aid_master_done(aid_master *master)
{
    aid_image_done(&master->image);
    aid_image_done(&master->variance);
    aid_mask_done(&master->mask);
    *master = (aid_master){0};
}

/* --------------------------------------------------------------------- does it fit the others? */

/* What all frames of a master have in common. */
typedef bool (*alike)(const aid_raw_frame *a, const aid_raw_frame *b);

static bool same_trim(const aid_raw_frame *a, const aid_raw_frame *b)
{
    return !memcmp(&a->overscan.trim, &b->overscan.trim, sizeof a->overscan.trim) &&
           !a->overscan.levels == !b->overscan.levels;
}

static bool same_binning(const aid_raw_frame *a, const aid_raw_frame *b)
{
    return a->facts.binning_x == b->facts.binning_x && a->facts.binning_y == b->facts.binning_y;
}

static bool same_instrument(const aid_raw_frame *a, const aid_raw_frame *b)
{
    return !strcasecmp(a->facts.instrument, b->facts.instrument);
}

static bool same_filter(const aid_raw_frame *a, const aid_raw_frame *b)
{
    return !strcasecmp(a->facts.filter, b->facts.filter);
}

/* The used frame that most used frames are like; the first of several such. */
static int most_common(const aid_raw_frame *frames, int count, alike test)
{
    int best = -1, most = 0;
    for (int i = 0; i < count; i++) {
        int like = 0;
        for (int k = 0; frames[i].used && k < count; k++)
            like += frames[k].used && test(&frames[i], &frames[k]);
        if (like > most) {
            most = like;
            best = i;
        }
    }
    return best;
}

static void keep_alike(aid_raw_frame *frames, int count, alike test, const char *what)
{
    int model = most_common(frames, count, test);
    for (int i = 0; model >= 0 && i < count; i++)
        if (frames[i].used && !test(&frames[i], &frames[model]))
            leave_out(&frames[i], "%s is not that of most frames, such as %.60s", what,
                      frames[model].facts.name);
}

static void keep_one_filter(aid_raw_frame *frames, int count)
{
    int model = most_common(frames, count, same_filter);
    for (int i = 0; model >= 0 && i < count; i++)
        if (frames[i].used && !same_filter(&frames[i], &frames[model]))
            leave_out(&frames[i], "filter '%.30s', and that of most is '%.30s'",
                      frames[i].facts.filter, frames[model].facts.filter);
}

/* ---------------------------------------------------------------------------- level and noise */

static bool same_exposure(const aid_raw_frame *a, const aid_raw_frame *b)
{
    double t = a->facts.exposure_s, u = b->facts.exposure_s;
    return (isnan(t) && isnan(u)) || fabs(t - u) <= 1e-3 * AID_MAX(t, u);
}

static bool any_exposure(const aid_raw_frame *a, const aid_raw_frame *b)
{
    (void)a;
    (void)b;
    return true;
}

/* Frames whose level or noise is not that of the frames like it: shaken electronics, a lamp that
 * was left on. Fewer than four do not tell which of them is odd. */
static void drop_odd_one(aid_raw_frame *frames, int count, int i, alike test, double *room)
{
    double *levels = room, *noises = room + count;
    int n = 0;
    for (int k = 0; k < count; k++)
        if (frames[k].used && test(&frames[i], &frames[k])) {
            levels[n] = frames[k].level;
            noises[n++] = frames[k].noise;
        }
    if (n < 4)
        return;
    aid_robust level = aid_robust_in_place_f64(levels, n);
    aid_robust noise = aid_robust_in_place_f64(noises, n);
    double allowed = AID_MAX(8.0 * level.sigma, 3.0 * noise.median);
    if (fabs(frames[i].level - level.median) > allowed)
        leave_out(&frames[i], "a level of %.5g ADU, and that of the others is %.5g +- %.2g",
                  frames[i].level, level.median, level.sigma);
    else if (frames[i].noise > 2.0 * noise.median + 8.0 * noise.sigma)
        leave_out(&frames[i], "a noise of %.4g ADU, and that of the others is %.4g",
                  frames[i].noise, noise.median);
}

static aid_status drop_odd_ones(aid_raw_frame *frames, int count, alike test, aid_error *err)
{
    AID_CLEANUP(aid_free_pointer)
    double *room = NULL;
    AID_CLEANUP(aid_free_pointer)
    aid_raw_frame *before = NULL;
    AID_TRY(aid_new_array(2 * (size_t)count, sizeof *room, "levels", &room, err));
    AID_TRY(aid_new_array((size_t)count, sizeof *before, "frames", &before, err));
    memcpy(before, frames, (size_t)count * sizeof *before);
    for (int i = 0; i < count; i++)
        if (before[i].used) { /* each is held against all that were there at first */
            drop_odd_one(before, count, i, test, room);
            if (!before[i].used) {
                frames[i].used = false;
                memcpy(frames[i].reason, before[i].reason, sizeof frames[i].reason);
                before[i].used = true;
            }
        }
    return AID_OK;
}

/* Twilight flats fade; those with a tenth of the light of most would only add noise. */
static void drop_faint_flats(aid_raw_frame *frames, int count)
{
    double brightest = 0.0;
    for (int i = 0; i < count; i++)
        if (frames[i].used)
            brightest = AID_MAX(brightest, frames[i].level);
    for (int i = 0; i < count; i++)
        if (frames[i].used && frames[i].level < 0.05 * brightest)
            leave_out(&frames[i], "too faint: %.4g ADU, and the brightest has %.4g",
                      frames[i].level, brightest);
}

/* ------------------------------------------------------------------------------------ the choice
 */

static int count_used(const aid_raw_frame *frames, int count)
{
    int used = 0;
    for (int i = 0; i < count; i++)
        used += frames[i].used;
    return used;
}

static aid_status check_left_out(const aid_raw_frame *frames, int count, bool strict,
                                 aid_error *err)
{
    int used = count_used(frames, count);
    for (int i = 0; i < count; i++)
        if (!frames[i].used && (strict || used == 0)) {
            int others = count - used - 1;
            char more[48] = "";
            if (others > 0)
                snprintf(more, sizeof more, " (and %d more)", others);
            AID_FAIL(err, AID_ERR_INVALID, "%s: %s%s%s", frames[i].facts.name, frames[i].reason,
                     more, used == 0 ? "; no frame is left" : "");
        }
    return AID_OK;
}

static aid_status choose_frames(aid_making *making, int *indices, aid_error *err)
{
    aid_raw_frame *frames = making->frames;
    const aid_master_options *options = making->options;
    int count = making->raw->count;
    keep_alike(frames, count, same_trim, "the trim or overscan section");
    keep_alike(frames, count, same_binning, "the binning");
    keep_alike(frames, count, same_instrument, "the instrument");
    if (options->type == AID_TYPE_FLAT) {
        keep_one_filter(frames, count);
        drop_faint_flats(frames, count);
    } else {
        bool dark = options->type == AID_TYPE_DARK;
        AID_TRY(drop_odd_ones(frames, count, dark ? same_exposure : any_exposure, err));
    }
    AID_TRY(check_left_out(frames, count, options->strict, err));
    aid_calibrated_rows *rows = &making->calibrated;
    *rows = (aid_calibrated_rows){.raw = making->raw, .frames = frames, .indices = indices};
    for (int i = 0; i < count; i++)
        if (frames[i].used)
            indices[rows->count++] = i;
    const aid_raw_frame *first = &frames[indices[0]];
    rows->height = first->overscan.trim.y1 - first->overscan.trim.y0;
    rows->saturation = aid_saturation_level(&first->facts);
    rows->bias = options->type == AID_TYPE_BIAS ? NULL : options->bias;
    rows->dark = options->type == AID_TYPE_FLAT ? options->dark : NULL;
    return AID_OK;
}

static aid_status check_shape(const aid_making *making, const aid_master *master, const char *what,
                              aid_error *err)
{
    const aid_section *trim = &making->frames[making->calibrated.indices[0]].overscan.trim;
    int32_t width = trim->x1 - trim->x0, height = trim->y1 - trim->y0;
    if (master && (master->image.width != width || master->image.height != height))
        AID_FAIL(err, AID_ERR_INVALID, "%s: a %s of %d x %d pixels for frames of %d x %d",
                 master->facts.name, what, master->image.width, master->image.height, width,
                 height);
    return AID_OK;
}

/* ---------------------------------------------------------------------------------- bias, flat */

static aid_status combine_all(aid_making *making, const double *scale, aid_error *err)
{
    aid_frame_rows port = aid_calibrated_rows_port(&making->calibrated);
    aid_combine_options options = AID_COMBINE_DEFAULTS;
    aid_combined combined;
    options.method = making->options->method;
    options.kappa = making->options->kappa;
    options.scale = scale;
    AID_TRY(aid_combine(&port, &options, making->pool, &combined, err));
    making->master.image = combined.image;
    making->master.variance = combined.variance;
    making->master.rejected_fraction = combined.rejected_fraction;
    making->used = combined.used;
    return AID_OK;
}

AID_HOT static void scale_pixels(float *restrict pixels, int64_t count, float scale)
{
    for (int64_t i = 0; i < count; i++)
        pixels[i] *= scale;
}

static double mean_of(const aid_image *image)
{
    double sum = 0.0;
    int64_t finite = 0;
    for (int32_t y = 0; y < image->height; y++) {
        const float *row = aid_image_row(image, y);
        for (int32_t x = 0; x < image->width; x++) {
            bool counts = isfinite(row[x]);
            sum += counts ? (double)row[x] : 0.0;
            finite += counts;
        }
    }
    return finite ? sum / (double)finite : (double)NAN;
}

AID_HOT static void add_scaled(float *restrict to, int64_t count, const float *restrict more,
                               float factor)
{
    for (int64_t i = 0; i < count; i++)
        to[i] += more[i] >= 0.0f ? factor * more[i] : 0.0f;
}

void aid_add_variance(aid_image *variance, const aid_image *more, double factor)
{
    for (int32_t y = 0; y < variance->height; y++)
        add_scaled(aid_image_row(variance, y), variance->width, aid_image_row(more, y),
                   (float)factor);
}

/* What was taken off every flat is off by the same in every one. */
static void add_variance_of_masters(aid_making *making, const double *scale)
{
    const aid_calibrated_rows *rows = &making->calibrated;
    double bias = 0.0, dark = 0.0;
    for (int k = 0; k < rows->count; k++) {
        double exposure = making->frames[rows->indices[k]].facts.exposure_s;
        bias += scale[k] / (double)rows->count;
        dark += scale[k] * (exposure > 0.0 ? exposure : 0.0) / (double)rows->count;
    }
    if (rows->bias)
        aid_add_variance(&making->master.variance, &rows->bias->variance, bias * bias);
    if (rows->dark)
        aid_add_variance(&making->master.variance, &rows->dark->variance, dark * dark);
}

/* Each flat by its own level first, so that all say the same of a pixel; and then to a mean of 1.
 */
static aid_status make_flat(aid_making *making, aid_error *err)
{
    const aid_calibrated_rows *rows = &making->calibrated;
    AID_CLEANUP(aid_free_pointer)
    double *scale = NULL;
    AID_TRY(aid_new_array((size_t)rows->count, sizeof *scale, "flats", &scale, err));
    for (int k = 0; k < rows->count; k++)
        scale[k] = 1.0 / making->frames[rows->indices[k]].level;
    AID_TRY(combine_all(making, scale, err));
    add_variance_of_masters(making, scale);
    double mean = mean_of(&making->master.image);
    if (!(mean > 0.0))
        AID_FAIL(err, AID_ERR_NUMERIC, "the mean of the flats is %g", mean);
    aid_image *image = &making->master.image, *variance = &making->master.variance;
    int64_t pixels = (int64_t)image->width * image->height;
    scale_pixels(image->data, pixels, (float)(1.0 / mean));
    scale_pixels(variance->data, pixels, (float)(1.0 / (mean * mean)));
    return AID_OK;
}

/* ------------------------------------------------------------------------------------- the facts
 */

typedef double (*fact)(const aid_raw_frame *frame);
static double exposure_of(const aid_raw_frame *frame)
{
    return frame->facts.exposure_s;
}
static double temperature_of(const aid_raw_frame *frame)
{
    return frame->facts.temperature_c;
}
static double middle_of(const aid_raw_frame *frame)
{
    return frame->facts.epoch.known ? frame->facts.epoch.mid_mjd_utc : (double)NAN;
}
static double start_of(const aid_raw_frame *frame)
{
    return frame->facts.epoch.known ? frame->facts.epoch.start_mjd_utc : (double)NAN;
}

static double median_fact(const aid_making *making, fact value, double *room)
{
    const aid_calibrated_rows *rows = &making->calibrated;
    for (int k = 0; k < rows->count; k++)
        room[k] = value(&making->frames[rows->indices[k]]);
    return aid_median_in_place_f64(room, rows->count);
}

static aid_status set_facts(aid_making *making, aid_error *err)
{
    const aid_calibrated_rows *rows = &making->calibrated;
    const aid_raw_frame *first = &making->frames[rows->indices[0]];
    aid_master *master = &making->master;
    AID_CLEANUP(aid_free_pointer)
    double *room = NULL;
    AID_TRY(aid_new_array((size_t)rows->count, sizeof *room, "facts", &room, err));
    aid_frame_facts *facts = &master->facts;
    *facts = first->facts;
    facts->type = making->options->type;
    facts->is_master = true;
    facts->width = master->image.width;
    facts->height = master->image.height;
    facts->overscan = facts->trim = (aid_section){0};
    facts->exposure_s = median_fact(making, exposure_of, room);
    facts->temperature_c = median_fact(making, temperature_of, room);
    facts->epoch.mid_mjd_utc = median_fact(making, middle_of, room);
    facts->epoch.start_mjd_utc = median_fact(making, start_of, room);
    facts->epoch.exposure_s = facts->exposure_s;
    facts->epoch.known = isfinite(facts->epoch.mid_mjd_utc);
    facts->valid_until_mjd_utc = NAN;
    snprintf(facts->name, sizeof facts->name, "master %s", aid_frame_type_name(facts->type));
    snprintf(facts->type_origin, sizeof facts->type_origin, "made here");
    master->frames = rows->count;
    master->above_overscan = first->overscan.levels != NULL ||
                             (making->options->bias && making->options->bias->above_overscan);
    return AID_OK;
}

/* Dark current doubles about every 6 K. */
static void note_temperatures(const aid_making *making)
{
    const aid_calibrated_rows *rows = &making->calibrated;
    double coldest = INFINITY, warmest = -INFINITY, allowed = 1.5;
    for (int k = 0; k < rows->count; k++) {
        double temperature = making->frames[rows->indices[k]].facts.temperature_c;
        if (!isfinite(temperature))
            continue;
        coldest = AID_MIN(coldest, temperature);
        warmest = AID_MAX(warmest, temperature);
    }
    if (making->options->type == AID_TYPE_DARK && warmest - coldest > allowed)
        aid_note_add(making->notes, AID_MASTERS_STAGE,
                     "the darks' detector was between %g and %g deg C: their current is that of "
                     "no one temperature",
                     coldest, warmest);
}

/* Types that the headers tell otherwise are a remark: who made the list knows better. */
static void note_types(const aid_making *making)
{
    const aid_calibrated_rows *rows = &making->calibrated;
    aid_frame_type type = making->options->type;
    int other = 0, first = -1;
    for (int k = 0; k < rows->count; k++) {
        aid_frame_type told = making->frames[rows->indices[k]].facts.type;
        if (told == type || told == AID_TYPE_UNKNOWN)
            continue;
        if (other++ == 0)
            first = rows->indices[k];
    }
    if (other > 0)
        aid_note_add(making->notes, AID_MASTERS_STAGE,
                     "%d of %d frames are used as %s though their headers say otherwise, such as "
                     "%.40s: %s (%s)",
                     other, rows->count, aid_frame_type_name(type),
                     making->frames[first].facts.name,
                     aid_frame_type_name(making->frames[first].facts.type),
                     making->frames[first].facts.type_origin);
}

/* ------------------------------------------------------------------------------------ the master
 */

static aid_status make(aid_making *making, int *indices, aid_error *err)
{
    const aid_master_options *options = making->options;
    AID_TRY(choose_frames(making, indices, err));
    AID_TRY(check_shape(making, making->calibrated.bias, "bias", err));
    AID_TRY(check_shape(making, making->calibrated.dark, "dark", err));
    note_types(making);
    note_temperatures(making);
    if (options->type == AID_TYPE_FLAT)
        AID_TRY(make_flat(making, err));
    else if (options->type == AID_TYPE_DARK)
        AID_TRY(aid_make_dark(making, err));
    else
        AID_TRY(combine_all(making, NULL, err));
    AID_TRY(set_facts(making, err));
    return aid_master_judge(making, err);
}

static bool is_master_type(aid_frame_type type)
{
    return type == AID_TYPE_BIAS || type == AID_TYPE_DARK || type == AID_TYPE_FLAT;
}

aid_status aid_make_master(const aid_frame_rows *rows, aid_raw_frame *frames,
                           const aid_master_options *options, aid_pool *pool, aid_notes *notes,
                           aid_master *ret_master, aid_error *err)
{
    if (rows->count < 1)
        AID_FAIL(err, AID_ERR_INVALID, "no frames to make a master of");
    if (!is_master_type(options->type) || options->method == AID_COMBINE_INVERSE_VARIANCE)
        AID_FAIL(err, AID_ERR_INVALID, "masters are of biases, darks or flats, by mean or median");
    AID_CLEANUP(aid_free_pointer)
    int *indices = NULL;
    AID_TRY(aid_new_array((size_t)rows->count, sizeof *indices, "frames", &indices, err));
    aid_making making = {
        .options = options, .raw = rows, .frames = frames, .pool = pool, .notes = notes};
    aid_status status = make(&making, indices, err);
    aid_image_done(&making.used);
    if (status == AID_OK)
        *ret_master = making.master;
    else
        aid_master_done(&making.master);
    return status;
}
