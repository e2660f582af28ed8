#include "domain/calibration/apply.h"

#include "core/base/memory.h"
#include "domain/calibration/apply_rows.h"
#include "domain/calibration/overscan.h"

#include <stdlib.h>
#include <string.h>

static const char stage[] = "calibrate";
/* Of whole numbers by themselves, ADU^2: no camera is quieter. */
static const double rounding_variance = 1.0 / 12.0;
enum { BAND = 64 };

void aid_calibrated_done(aid_calibrated *calibrated)
{
    aid_image_done(&calibrated->image);
    aid_image_done(&calibrated->variance);
    aid_mask_done(&calibrated->mask);
    *calibrated = (aid_calibrated){0};
}

/* ----------------------------------------------------------------------------- fitting a master */

/* A master, and where the target's pixel (0, 0) lies in it. */
typedef struct fitted_master {
    const aid_master *master; /* NULL: none */
    int32_t x0, y0;
} fitted_master;

typedef struct frame_shape {
    const char *name;
    int32_t width, height;         /* of what is calibrated */
    int32_t raw_width, raw_height; /* before trimming */
    int32_t trim_x0, trim_y0;
} frame_shape;

static aid_status fit_master(const frame_shape *shape, const aid_master *master, const char *what,
                             fitted_master *ret_fitted, aid_error *err)
{
    *ret_fitted = (fitted_master){.master = master};
    if (!master)
        return AID_OK;
    int32_t width = master->image.width, height = master->image.height;
    if (width == shape->width && height == shape->height)
        return AID_OK;
    if (width == shape->raw_width && height == shape->raw_height) {
        ret_fitted->x0 = shape->trim_x0;
        ret_fitted->y0 = shape->trim_y0;
        return AID_OK;
    }
    if (shape->raw_width == shape->width && shape->raw_height == shape->height)
        AID_FAIL(err, AID_ERR_INVALID, "%s has %d x %d pixels, the %s %s %d x %d", shape->name,
                 shape->width, shape->height, what, master->facts.name, width, height);
    AID_FAIL(err, AID_ERR_INVALID,
             "%s has %d x %d pixels (%d x %d with overscan), the %s %s %d x %d", shape->name,
             shape->width, shape->height, shape->raw_width, shape->raw_height, what,
             master->facts.name, width, height);
}

/* `nothing`: zeros, at least as many as the row is long, for what the master lacks. */
static aid_master_row row_of(const fitted_master *fitted, int32_t y, const float *nothing)
{
    const aid_master *master = fitted->master;
    aid_master_row row = {.image = aid_image_row(&master->image, y + fitted->y0) + fitted->x0,
                          .variance = nothing,
                          .mask = (const uint8_t *)nothing};
    if (master->variance.data)
        row.variance = aid_image_row(&master->variance, y + fitted->y0) + fitted->x0;
    if (master->mask.data)
        row.mask = aid_mask_row(&master->mask, y + fitted->y0) + fitted->x0;
    return row;
}

/* --------------------------------------------------------------------------------- single steps */

typedef enum step_kind { STEP_BIAS, STEP_DARK, STEP_FLAT } step_kind;

typedef struct step_job {
    const aid_calibration_target *target;
    step_kind kind;
    fitted_master master;
    float value; /* exposure, or the least flat */
    const float *nothing;
    float *spare; /* [workers][2][width]: variance and mask where the target has none */
} step_job;

static aid_status step_band(void *context, int64_t band, int worker, aid_error *err)
{
    (void)err;
    const step_job *job = context;
    const aid_calibration_target *target = job->target;
    int32_t width = target->image->width;
    float *spare = job->spare + (size_t)worker * 2 * (size_t)width;
    int64_t first, last;
    aid_band_range(target->image->height, BAND, band, &first, &last);
    for (int32_t y = (int32_t)first; y < last; y++) {
        aid_target_row row = {.image = aid_image_row(target->image, y), .count = width};
        row.variance = target->variance ? aid_image_row(target->variance, y) : spare;
        row.mask = target->mask ? aid_mask_row(target->mask, y) : (uint8_t *)(spare + width);
        aid_master_row master = row_of(&job->master, y, job->nothing);
        if (job->kind == STEP_FLAT)
            aid_row_divide(&row, &master, job->value);
        else
            aid_row_subtract(&row, &master, job->kind == STEP_DARK ? job->value : 1.0f);
    }
    return AID_OK;
}

static aid_status check_target(const aid_calibration_target *target, aid_error *err)
{
    const aid_image *image = target->image, *variance = target->variance;
    if (variance && (variance->width != image->width || variance->height != image->height))
        AID_FAIL(err, AID_ERR_INVALID, "%s has %d x %d pixels, its variance %d x %d", target->name,
                 image->width, image->height, variance->width, variance->height);
    if (target->mask &&
        (target->mask->width != image->width || target->mask->height != image->height))
        AID_FAIL(err, AID_ERR_INVALID, "%s has %d x %d pixels, its mask %d x %d", target->name,
                 image->width, image->height, target->mask->width, target->mask->height);
    return AID_OK;
}

static aid_status run_step(step_job *job, const aid_master *master, aid_pool *pool, aid_error *err)
{
    static const char *const names[] = {"bias", "dark", "flat"};
    const aid_calibration_target *target = job->target;
    int32_t width = target->image->width, height = target->image->height;
    frame_shape shape = {target->name, width, height, width, height, 0, 0};
    AID_CLEANUP(aid_free_pointer)
    float *nothing = NULL;
    AID_CLEANUP(aid_free_pointer)
    float *spare = NULL;
    AID_TRY(check_target(target, err));
    AID_TRY(fit_master(&shape, master, names[job->kind], &job->master, err));
    AID_TRY(aid_new_array((size_t)width, sizeof *nothing, "a row", &nothing, err));
    AID_TRY(aid_new_array((size_t)aid_pool_threads(pool) * 2 * (size_t)width, sizeof *spare, "rows",
                          &spare, err));
    job->nothing = nothing;
    job->spare = spare;
    return aid_pool_run(pool, aid_band_count(height, BAND), step_band, job, err);
}

aid_status aid_correct_bias(const aid_calibration_target *target, const aid_master *bias,
                            aid_pool *pool, aid_error *err)
{
    step_job job = {.target = target, .kind = STEP_BIAS};
    return run_step(&job, bias, pool, err);
}

static aid_status check_exposure(const char *name, const aid_master *dark, double exposure_s,
                                 aid_error *err)
{
    if (!isfinite(exposure_s))
        AID_FAIL(err, AID_ERR_INVALID,
                 "%s: the exposure time is unknown, so the dark %s cannot be scaled to it", name,
                 dark->facts.name);
    if (!(exposure_s > 0.0))
        AID_FAIL(err, AID_ERR_INVALID,
                 "%s: an exposure of %g s has no dark current; the dark %s does not belong to it",
                 name, exposure_s, dark->facts.name);
    return AID_OK;
}

aid_status aid_correct_dark(const aid_calibration_target *target, const aid_master *dark,
                            double exposure_s, aid_pool *pool, aid_error *err)
{
    step_job job = {.target = target, .kind = STEP_DARK, .value = (float)exposure_s};
    AID_TRY(check_exposure(target->name, dark, exposure_s, err));
    return run_step(&job, dark, pool, err);
}

static aid_status check_least_flat(const char *name, double least_flat, aid_error *err)
{
    if (!(least_flat > 0.0 && least_flat < 1.0))
        AID_FAIL(err, AID_ERR_INVALID, "%s: the least flat of %g is not between 0 and 1", name,
                 least_flat);
    return AID_OK;
}

aid_status aid_correct_flat(const aid_calibration_target *target, const aid_master *flat,
                            double least_flat, aid_pool *pool, aid_error *err)
{
    step_job job = {.target = target, .kind = STEP_FLAT, .value = (float)least_flat};
    AID_TRY(check_least_flat(target->name, least_flat, err));
    return run_step(&job, flat, pool, err);
}

/* ----------------------------------------------------------------------------- the whole of it */

typedef struct tally {
    int64_t bad, saturated, no_data;
} tally;

typedef struct calibrate_job {
    const aid_calibrate_input *frame;
    const aid_overscan *overscan;
    fitted_master bias, dark, flat;
    double gain, read_variance, saturation, exposure_s, least_flat;
    bool electrons;
    const float *nothing;
    aid_calibrated *result;
    tally *tallies; /* [bands] */
} calibrate_job;

static void calibrate_row(const calibrate_job *job, int32_t y)
{
    aid_calibrated *result = job->result;
    const aid_section *trim = &job->overscan->trim;
    aid_target_row row = {.image = aid_image_row(&result->image, y),
                          .variance = aid_image_row(&result->variance, y),
                          .mask = aid_mask_row(&result->mask, y),
                          .count = result->image.width};
    const aid_mask *mask = job->frame->mask;
    if (mask && mask->data)
        memcpy(row.mask, aid_mask_row(mask, y + trim->y0) + trim->x0, (size_t)row.count);
    const float *raw = aid_image_row(job->frame->image, y + trim->y0);
    memset(row.variance, 0, (size_t)row.count * sizeof *row.variance);
    aid_overscan_subtract_row(job->overscan, y, raw, row.image);
    aid_master_row master;
    if (job->bias.master) {
        master = row_of(&job->bias, y, job->nothing);
        aid_row_subtract(&row, &master, 1.0f);
    }
    aid_row_mark_saturated(&row, raw + trim->x0, (float)job->saturation);
    aid_row_noise(&row, (float)job->gain, (float)job->read_variance);
    if (job->dark.master) {
        master = row_of(&job->dark, y, job->nothing);
        aid_row_subtract(&row, &master, (float)job->exposure_s);
    }
    if (job->flat.master) {
        master = row_of(&job->flat, y, job->nothing);
        aid_row_divide(&row, &master, (float)job->least_flat);
    }
    if (job->electrons)
        aid_row_scale(&row, (float)job->gain);
    aid_row_finish(&row);
}

AID_HOT static void count_bits(const uint8_t *restrict mask, int32_t count, tally *sums)
{
    int64_t bad = 0, saturated = 0, no_data = 0;
    for (int32_t i = 0; i < count; i++) {
        bad += mask[i] & AID_MASK_BAD ? 1 : 0;
        saturated += mask[i] & AID_MASK_SATURATED ? 1 : 0;
        no_data += mask[i] & AID_MASK_NO_DATA ? 1 : 0;
    }
    sums->bad += bad;
    sums->saturated += saturated;
    sums->no_data += no_data;
}

static aid_status calibrate_band(void *context, int64_t band, int worker, aid_error *err)
{
    (void)worker;
    (void)err;
    const calibrate_job *job = context;
    const aid_calibrated *result = job->result;
    int32_t width = result->image.width;
    int64_t first, last;
    aid_band_range(result->image.height, BAND, band, &first, &last);
    for (int32_t y = (int32_t)first; y < last; y++) {
        calibrate_row(job, y);
        count_bits(aid_mask_row(&result->mask, y), width, &job->tallies[band]);
    }
    return AID_OK;
}

/* ------------------------------------------------------------------------------ what is assumed */

static double first_known(double a, double b)
{
    return isfinite(a) ? a : b;
}

static aid_status resolve_noise(calibrate_job *job, const aid_calibrate_options *options,
                                aid_notes *notes, aid_error *err)
{
    const aid_frame_facts *facts = job->frame->facts;
    const aid_master *bias = job->frame->bias;
    job->gain = first_known(options->gain, facts->gain);
    if (!(job->gain > 0.0))
        AID_FAIL(
            err, AID_ERR_INVALID,
            "%s: nothing tells the gain, which the noise depends on: give it in e-/ADU (--gain)",
            facts->name);
    double read_noise = first_known(options->read_noise_e, facts->read_noise_e);
    if (!isfinite(read_noise) && bias && isfinite(bias->frame_noise)) {
        read_noise = bias->frame_noise * job->gain;
        aid_note_add(notes, stage, "%s: read noise %.3g e-, that of the frames of the bias %s",
                     facts->name, read_noise, bias->facts.name);
    }
    if (!(read_noise >= 0.0))
        AID_FAIL(
            err, AID_ERR_INVALID,
            "%s: nothing tells the read noise: give it in e- (--read-noise), or a bias that has it",
            facts->name);
    double variance = (read_noise / job->gain) * (read_noise / job->gain);
    job->read_variance = AID_MAX(variance, rounding_variance);
    job->result->facts.read_noise_e = read_noise;
    return AID_OK;
}

static aid_status check_overscan(const aid_calibrate_input *frame, aid_error *err)
{
    const aid_section *overscan = &frame->facts->overscan;
    bool has_overscan = overscan->x1 > overscan->x0 && overscan->y1 > overscan->y0;
    if (frame->bias && frame->bias->above_overscan && !has_overscan)
        AID_FAIL(err, AID_ERR_INVALID,
                 "%s has no overscan, but the bias %s is what is left above one",
                 frame->facts->name, frame->bias->facts.name);
    return AID_OK;
}

/* A bias that holds the whole level takes it off by itself. */
static aid_overscan_method overscan_method(const aid_calibrate_input *frame, aid_notes *notes)
{
    const aid_section *overscan = &frame->facts->overscan;
    if (!frame->bias || frame->bias->above_overscan)
        return AID_OVERSCAN_ROW;
    if (overscan->x1 > overscan->x0)
        aid_note_add(notes, stage, "%s: the overscan is not used: the bias %s holds its level",
                     frame->facts->name, frame->bias->facts.name);
    return AID_OVERSCAN_NONE;
}

static void note_what_is_missing(const calibrate_job *job, aid_notes *notes)
{
    const aid_calibrate_input *frame = job->frame;
    const char *name = frame->facts->name;
    if (!frame->bias)
        aid_note_add(notes, stage, "%s: no bias is subtracted%s", name,
                     job->overscan->levels ? ", but the level of the overscan is"
                                           : ": its level counts as light in the noise");
    if (!frame->dark)
        aid_note_add(notes, stage, "%s: no dark is subtracted", name);
    if (!frame->flat)
        aid_note_add(notes, stage, "%s: not divided by a flat", name);
    if (!isfinite(job->saturation))
        aid_note_add(notes, stage, "%s: no saturation level is known: nothing is marked as such",
                     name);
}

static void describe_result(const calibrate_job *job)
{
    aid_calibrated *result = job->result;
    const aid_calibrate_input *frame = job->frame;
    double unit = job->electrons ? job->gain : 1.0, pedestal = result->overscan_level;
    if (!isfinite(pedestal))
        pedestal = 0.0;
    if (frame->bias && isfinite(frame->bias->level))
        pedestal += frame->bias->level;
    result->facts.width = result->image.width;
    result->facts.height = result->image.height;
    result->facts.overscan = result->facts.trim = (aid_section){0};
    result->facts.gain = job->electrons ? 1.0 : job->gain;
    result->facts.saturation =
        isfinite(job->saturation) ? (job->saturation - pedestal) * unit : NAN;
    result->electrons = job->electrons;
    result->bias_done = frame->bias != NULL;
    result->dark_done = frame->dark != NULL;
    result->flat_done = frame->flat != NULL;
}

/* ------------------------------------------------------------------------------------- together */

static aid_status fit_masters(calibrate_job *job, aid_error *err)
{
    const aid_calibrate_input *frame = job->frame;
    const aid_section *trim = &job->overscan->trim;
    frame_shape shape = {.name = frame->facts->name,
                         .width = trim->x1 - trim->x0,
                         .height = trim->y1 - trim->y0,
                         .raw_width = frame->image->width,
                         .raw_height = frame->image->height,
                         .trim_x0 = trim->x0,
                         .trim_y0 = trim->y0};
    AID_TRY(fit_master(&shape, frame->bias, "bias", &job->bias, err));
    AID_TRY(fit_master(&shape, frame->dark, "dark", &job->dark, err));
    return fit_master(&shape, frame->flat, "flat", &job->flat, err);
}

/* Every pixel is written, so none is zeroed first. */
static aid_status new_pixels(int32_t width, int32_t height, aid_image *ret_image, aid_error *err)
{
    float *data;
    size_t pixels = (size_t)width * (size_t)height;
    AID_TRY(aid_new_buffer(pixels, sizeof *data, "calibrated image", &data, err));
    *ret_image = (aid_image){.data = data, .width = width, .height = height, .stride = width};
    return AID_OK;
}

static aid_status run_bands(calibrate_job *job, aid_pool *pool, aid_error *err)
{
    aid_calibrated *result = job->result;
    const aid_section *trim = &job->overscan->trim;
    int32_t width = trim->x1 - trim->x0, height = trim->y1 - trim->y0;
    int64_t bands = aid_band_count(height, BAND);
    AID_CLEANUP(aid_free_pointer)
    float *nothing = NULL;
    AID_CLEANUP(aid_free_pointer)
    tally *tallies = NULL;
    AID_TRY(new_pixels(width, height, &result->image, err));
    AID_TRY(new_pixels(width, height, &result->variance, err));
    AID_TRY(aid_mask_init(width, height, &result->mask, err));
    AID_TRY(aid_new_array((size_t)width, sizeof *nothing, "a row", &nothing, err));
    AID_TRY(aid_new_array((size_t)bands, sizeof *tallies, "sums", &tallies, err));
    job->nothing = nothing;
    job->tallies = tallies;
    AID_TRY(aid_pool_run(pool, bands, calibrate_band, job, err));
    for (int64_t band = 0; band < bands; band++) {
        result->bad += tallies[band].bad;
        result->saturated += tallies[band].saturated;
        result->no_data += tallies[band].no_data;
    }
    return AID_OK;
}

static aid_status calibrate(calibrate_job *job, const aid_calibrate_options *options,
                            aid_pool *pool, aid_notes *notes, aid_error *err)
{
    const aid_calibrate_input *frame = job->frame;
    AID_TRY(fit_masters(job, err));
    AID_TRY(resolve_noise(job, options, notes, err));
    if (frame->dark)
        AID_TRY(check_exposure(frame->facts->name, frame->dark, job->exposure_s, err));
    note_what_is_missing(job, notes);
    AID_TRY(run_bands(job, pool, err));
    describe_result(job);
    return AID_OK;
}

static aid_status check_frame(const aid_calibrate_input *frame,
                              const aid_calibrate_options *options, aid_error *err)
{
    const aid_image *image = frame->image;
    const aid_mask *mask = frame->mask;
    if (image->width < 1 || image->height < 1)
        AID_FAIL(err, AID_ERR_INVALID, "%s has no pixels", frame->facts->name);
    if (mask && mask->data && (mask->width != image->width || mask->height != image->height))
        AID_FAIL(err, AID_ERR_INVALID, "%s has %d x %d pixels, its mask %d x %d",
                 frame->facts->name, image->width, image->height, mask->width, mask->height);
    AID_TRY(check_least_flat(frame->facts->name, options->least_flat, err));
    return check_overscan(frame, err);
}

aid_status aid_calibrate(const aid_calibrate_input *frame, const aid_calibrate_options *options,
                         aid_pool *pool, aid_notes *notes, aid_calibrated *ret_calibrated,
                         aid_error *err)
{
    AID_TRY(check_frame(frame, options, err));
    AID_CLEANUP(aid_overscan_done)
    aid_overscan overscan = {0};
    AID_TRY(aid_overscan_measure(frame->image, frame->facts, overscan_method(frame, notes),
                                 &overscan, err));
    aid_calibrated result = {.facts = *frame->facts,
                             .overscan_done = overscan.levels != NULL,
                             .overscan_level = overscan.levels ? overscan.level : NAN,
                             .trim_x0 = overscan.trim.x0,
                             .trim_y0 = overscan.trim.y0};
    calibrate_job job = {.frame = frame,
                         .overscan = &overscan,
                         .saturation = first_known(options->saturation, frame->facts->saturation),
                         .exposure_s = frame->facts->exposure_s,
                         .least_flat = options->least_flat,
                         .electrons = options->electrons,
                         .result = &result};
    if (!(job.saturation > 0.0))
        job.saturation = INFINITY;
    aid_status status = calibrate(&job, options, pool, notes, err);
    if (status != AID_OK) {
        aid_calibrated_done(&result);
        return status;
    }
    *ret_calibrated = result;
    return AID_OK;
}
