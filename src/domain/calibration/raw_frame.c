/* One raw frame by itself: its level and noise, and what may be wrong with it. */
#include "core/base/memory.h"
#include "core/imaging/stats.h"
#include "domain/calibration/internal.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { SAMPLE = 1 << 14 /* pixels */, PAIR = 2 /* pixels apart: same colour of a Bayer mosaic */ };

static const double most_saturated = 0.01; /* of a frame's pixels */

void aid_raw_frame_done(aid_raw_frame *frame)
{
    aid_overscan_done(&frame->overscan);
    *frame = (aid_raw_frame){0};
}

double aid_saturation_level(const aid_frame_facts *facts)
{
    return facts->saturation > 0.0 ? AID_MIN(facts->saturation, 65500.0) : 65500.0;
}

/* --------------------------------------------------------------------------------- the sample */

/* Pixels on a grid over the trimmed frame, and differences of neighbours there. */
typedef struct sample {
    float *values, *differences; /* [count] */
    int64_t count, finite, saturated, at_top;
    float lowest, highest; /* raw */
} sample;

static double calibration_at(const aid_master_options *options, const aid_frame_facts *facts,
                             int32_t x, int32_t y)
{
    double value = 0.0;
    if (options->bias)
        value += (double)aid_image_row(&options->bias->image, y)[x];
    if (options->dark && facts->exposure_s > 0.0)
        value += facts->exposure_s * (double)aid_image_row(&options->dark->image, y)[x];
    return value;
}

static bool fits(const aid_master *master, int32_t width, int32_t height)
{
    return !master || (master->image.width == width && master->image.height == height);
}

static double level_at(const aid_overscan *overscan, int32_t x, int32_t y)
{
    if (!overscan->levels)
        return 0.0;
    return (double)overscan->levels[overscan->along_columns ? x : y];
}

static void take_pixel(sample *pixels, const aid_raw_frame *frame, const float *raw, int32_t x,
                       int32_t y, double calibration)
{
    float value = raw[x], before = x >= PAIR ? raw[x - PAIR] : NAN;
    double taken_off = level_at(&frame->overscan, x, y) + calibration;
    pixels->values[pixels->count] = (float)((double)value - taken_off);
    pixels->differences[pixels->count] = value - before;
    pixels->count++;
    if (!isfinite(value))
        return;
    pixels->finite++;
    pixels->saturated += (double)value >= aid_saturation_level(&frame->facts);
    pixels->at_top = value > pixels->highest ? 1 : pixels->at_top + (value == pixels->highest);
    pixels->highest = AID_MAX(pixels->highest, value);
    pixels->lowest = AID_MIN(pixels->lowest, value);
}

static void take_sample(sample *pixels, const aid_image *raw, const aid_raw_frame *frame,
                        const aid_master_options *options)
{
    const aid_section *trim = &frame->overscan.trim;
    int32_t width = trim->x1 - trim->x0, height = trim->y1 - trim->y0;
    int32_t step = (int32_t)ceil(sqrt((double)width * height / SAMPLE));
    bool calibrated = fits(options->bias, width, height) && fits(options->dark, width, height) &&
                      options->type != AID_TYPE_BIAS;
    pixels->lowest = INFINITY;
    pixels->highest = -INFINITY;
    for (int32_t y = step / 2; y < height; y += step)
        for (int32_t x = step / 2; x < width && pixels->count < 2 * SAMPLE; x += step)
            take_pixel(pixels, frame, aid_image_row(raw, trim->y0 + y) + trim->x0, x, y,
                       calibrated ? calibration_at(options, &frame->facts, x, y) : 0.0);
}

/* --------------------------------------------------------------------------------- the verdict */

static void AID_PRINTF(2, 3) leave_out(aid_raw_frame *frame, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(frame->reason, sizeof frame->reason, format, arguments);
    va_end(arguments);
    frame->used = false;
}

static void judge(aid_raw_frame *frame, const sample *pixels, aid_frame_type type)
{
    frame->used = true;
    if (frame->facts.is_master)
        leave_out(frame, "a master itself, not a raw frame");
    else if (pixels->finite == 0)
        leave_out(frame, "no pixel has a value");
    else if (pixels->lowest == pixels->highest)
        leave_out(frame, "constant: every pixel is %g", (double)pixels->lowest);
    else if (frame->saturated_fraction > most_saturated)
        leave_out(frame, "saturated: %.1f %% of the pixels", 100.0 * frame->saturated_fraction);
    else if (type == AID_TYPE_DARK && !isfinite(frame->facts.exposure_s))
        leave_out(frame, "the header tells no exposure time");
    else if (type == AID_TYPE_DARK && !(frame->facts.exposure_s > 0.0))
        leave_out(frame, "an exposure of 0 s has no dark current");
    else if (type == AID_TYPE_FLAT && !(frame->level > 5.0 * frame->noise && frame->level > 0.0))
        leave_out(frame, "no light: a level of %.4g ADU with a noise of %.3g", frame->level,
                  frame->noise);
}

/* Many pixels at the very top are a pile of saturated ones, wherever that top is; unless it is not
 * far above the others, as with whole numbers of little noise. */
static double saturated_fraction(const sample *pixels, double level, double noise)
{
    double at_level = (double)pixels->saturated / (double)AID_MAX(pixels->finite, 1);
    double at_top = (double)pixels->at_top / (double)AID_MAX(pixels->finite, 1);
    bool far = (double)pixels->highest - level > 20.0 * noise && pixels->at_top > 100;
    return far ? AID_MAX(at_level, at_top) : at_level;
}

aid_status aid_raw_frame_examine(const aid_image *raw, const aid_frame_facts *facts,
                                 const aid_master_options *options, aid_raw_frame *ret_frame,
                                 aid_error *err)
{
    aid_raw_frame frame = {.facts = *facts, .level = NAN, .noise = NAN};
    AID_CLEANUP(aid_free_pointer)
    float *room = NULL;
    AID_TRY(aid_new_buffer(4 * SAMPLE, sizeof *room, "sample", &room, err));
    aid_error overscan_error = {0};
    aid_status status =
        aid_overscan_measure(raw, facts, options->overscan, &frame.overscan, &overscan_error);
    if (status == AID_ERR_NOMEM) {
        if (err)
            *err = overscan_error;
        return status;
    }
    if (status != AID_OK) {
        leave_out(&frame, "the overscan has no finite pixels");
        *ret_frame = frame;
        return AID_OK;
    }
    sample pixels = {.values = room, .differences = room + 2 * SAMPLE};
    take_sample(&pixels, raw, &frame, options);
    frame.level = aid_median_of(pixels.values, pixels.count);
    frame.noise = aid_clipped_raw(pixels.differences, pixels.count, 4.0).sigma / sqrt(2.0);
    double raw_level = 0.5 * ((double)pixels.lowest + (double)pixels.highest);
    frame.saturated_fraction = saturated_fraction(&pixels, raw_level, frame.noise);
    judge(&frame, &pixels, options->type);
    *ret_frame = frame;
    return AID_OK;
}
