/* Raw frames as the calibration wants them: trimmed, and what is known subtracted. */
#include "core/base/memory.h"
#include "domain/calibration/internal.h"

#include <math.h>
#include <string.h>

AID_HOT static void drop_saturated(const float *restrict raw, int32_t count, float saturation,
                                   float *restrict pixels)
{
    for (int32_t i = 0; i < count; i++)
        pixels[i] = raw[i] >= saturation ? NAN : pixels[i];
}

AID_HOT static void subtract_scaled(const float *restrict from, int32_t count, float scale,
                                    float *restrict pixels)
{
    for (int32_t i = 0; i < count; i++)
        pixels[i] -= scale * from[i];
}

static aid_status read_calibrated(void *context, int frame, int32_t y, int32_t rows, float *pixels,
                                  aid_error *err)
{
    const aid_calibrated_rows *job = context;
    int index = job->indices[frame];
    const aid_raw_frame *of = &job->frames[index];
    const aid_section *trim = &of->overscan.trim;
    int32_t width = trim->x1 - trim->x0, raw_width = job->raw->width;
    AID_CLEANUP(aid_free_pointer)
    float *raw = NULL;
    AID_TRY(aid_new_buffer((size_t)rows * (size_t)raw_width, sizeof *raw, "rows", &raw, err));
    AID_TRY(job->raw->read(job->raw->context, index, trim->y0 + job->y0 + y, rows, raw, err));
    for (int32_t i = 0; i < rows; i++) {
        int32_t row = job->y0 + y + i;
        const float *from = raw + (int64_t)i * raw_width;
        float *to = pixels + (int64_t)i * width;
        aid_overscan_subtract_row(&of->overscan, row, from, to);
        drop_saturated(from + trim->x0, width, (float)job->saturation, to);
        if (job->bias)
            subtract_scaled(aid_image_row(&job->bias->image, row), width, 1.0f, to);
        if (job->dark && of->facts.exposure_s > 0.0)
            subtract_scaled(aid_image_row(&job->dark->image, row), width,
                            (float)of->facts.exposure_s, to);
    }
    return AID_OK;
}

aid_frame_rows aid_calibrated_rows_port(aid_calibrated_rows *rows)
{
    const aid_section *trim = &rows->frames[rows->indices[0]].overscan.trim;
    return (aid_frame_rows){.context = rows,
                            .count = rows->count,
                            .width = trim->x1 - trim->x0,
                            .height = rows->height,
                            .read = read_calibrated};
}
