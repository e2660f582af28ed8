/* Which pixels of a master are bad, and its level and noise over the others. */
#include "core/base/memory.h"
#include "core/imaging/stats.h"
#include "domain/calibration/internal.h"

#include <math.h>
#include <stdlib.h>

enum { SAMPLE = 1 << 17, CELL = 32 };

/* A pixel is bad when its scatter from frame to frame is so many times that of most, ... */
static const double unstable = 6.0;
/* ... when a dark is above most by so many times what pixels differ and one frame's noise, ... */
static const double hot = 10.0;
/* ... when a bias is off by so many times one frame's noise, ... */
static const double stuck = 100.0;
/* ... when a flat differs so much from its surroundings, or is not known better than that. */
static const double flat_low = 0.6, flat_high = 1.6, flat_error = 0.1;

/* What is typical of the master's pixels. */
typedef struct typical {
    double level, spread;  /* of the image: median and robust sigma */
    double frame_variance; /* of one frame's pixel: median of variance x frames */
} typical;

static int64_t sample_step(const aid_image *image)
{
    int64_t pixels = (int64_t)image->width * image->height;
    int64_t step = AID_MAX(pixels / SAMPLE, 1);
    return step % 2 ? step : step + 1; /* odd: not the same column of every row */
}

static aid_status find_typical(const aid_making *making, bool sound_alone, typical *ret_typical,
                               aid_error *err)
{
    const aid_master *master = &making->master;
    int64_t pixels = (int64_t)master->image.width * master->image.height;
    int64_t step = sample_step(&master->image), n = 0;
    AID_CLEANUP(aid_free_pointer)
    float *values = NULL;
    AID_TRY(
        aid_new_buffer(2 * (size_t)(pixels / step + 1), sizeof *values, "sample", &values, err));
    float *variances = values + pixels / step + 1;
    for (int64_t i = 0; i < pixels; i += step) {
        if (sound_alone && master->mask.data[i])
            continue;
        values[n] = master->image.data[i];
        variances[n++] = master->variance.data[i] * making->used.data[i];
    }
    aid_robust robust = aid_robust_in_place(values, n);
    *ret_typical = (typical){robust.median, robust.sigma, aid_median_in_place(variances, n)};
    return AID_OK;
}

/* The highest rate that a dark's pixel may have. One frame's noise is that of the longest
 * exposures, over which it is spread. */
static double hot_limit(const aid_making *making, const typical *usual)
{
    double longest = 0.0, noise = 0.0;
    for (int k = 0; k < making->calibrated.count; k++) {
        const aid_raw_frame *frame = &making->frames[making->calibrated.indices[k]];
        if (frame->facts.exposure_s > longest) {
            longest = frame->facts.exposure_s;
            noise = frame->noise;
        }
    }
    return usual->level + hot * AID_MAX(usual->spread, noise / AID_MAX(longest, 1e-9));
}

static bool is_bad(const aid_making *making, const typical *usual, double limit, double value,
                   double variance, double used, double surroundings)
{
    if (!isfinite(value) || used < 1.0)
        return true;
    if (usual->frame_variance > 0.0 && making->options->type != AID_TYPE_FLAT &&
        variance * used > unstable * unstable * usual->frame_variance)
        return true;
    switch (making->options->type) {
    case AID_TYPE_DARK:
        return value > limit;
    case AID_TYPE_FLAT:
        return !(value > flat_low * surroundings && value < flat_high * surroundings) ||
               value <= 0.0 || variance > flat_error * flat_error * value * value;
    default:
        return fabs(value - usual->level) >
               stuck * sqrt(usual->frame_variance > 0.0 ? usual->frame_variance : INFINITY);
    }
}

/* The flat's large scale: the median of cells. */
static aid_status smooth_flat(const aid_image *image, aid_mesh *ret_mesh, aid_error *err)
{
    aid_mesh mesh;
    float cell[(2 * CELL) * (2 * CELL)];
    int32_t nx = AID_MAX(image->width / CELL, 1), ny = AID_MAX(image->height / CELL, 1);
    AID_TRY(aid_mesh_init(image->width, image->height, nx, ny, &mesh, err));
    for (int32_t j = 0; j < ny; j++)
        for (int32_t i = 0; i < nx; i++) {
            int32_t x0 = (int32_t)(i * mesh.cell_width), y0 = (int32_t)(j * mesh.cell_height);
            int32_t x1 = AID_MIN((int32_t)((i + 1) * mesh.cell_width), x0 + 2 * CELL);
            int32_t y1 = AID_MIN((int32_t)((j + 1) * mesh.cell_height), y0 + 2 * CELL);
            int64_t n = 0;
            for (int32_t y = y0; y < y1; y++)
                for (int32_t x = x0; x < x1; x++)
                    cell[n++] = aid_image_row(image, y)[x];
            double median = aid_median_in_place(cell, n);
            mesh.values[(int64_t)j * nx + i] = (float)(isfinite(median) ? median : 1.0);
        }
    *ret_mesh = mesh;
    return AID_OK;
}

static aid_status mask_pixels(aid_making *making, const typical *usual, aid_error *err)
{
    aid_master *master = &making->master;
    bool is_flat = making->options->type == AID_TYPE_FLAT;
    AID_CLEANUP(aid_mesh_done)
    aid_mesh mesh = {0};
    AID_CLEANUP(aid_free_pointer)
    float *surroundings = NULL;
    AID_TRY(aid_new_array((size_t)master->image.width, sizeof(float), "row", &surroundings, err));
    if (is_flat)
        AID_TRY(smooth_flat(&master->image, &mesh, err));
    double limit = hot_limit(making, usual);
    for (int32_t y = 0; y < master->image.height; y++) {
        const float *image = aid_image_row(&master->image, y);
        const float *variance = aid_image_row(&master->variance, y);
        const float *used = aid_image_row(&making->used, y);
        uint8_t *mask = aid_mask_row(&master->mask, y);
        if (is_flat)
            aid_mesh_row(&mesh, y, surroundings);
        for (int32_t x = 0; x < master->image.width; x++)
            if (is_bad(making, usual, limit, (double)image[x], (double)variance[x], (double)used[x],
                       (double)surroundings[x]))
                mask[x] = AID_MASK_BAD;
    }
    return AID_OK;
}

static double mean_noise(const aid_making *making)
{
    double sum = 0.0;
    for (int k = 0; k < making->calibrated.count; k++)
        sum += making->frames[making->calibrated.indices[k]].noise;
    return sum / (double)making->calibrated.count;
}

aid_status aid_master_judge(aid_making *making, aid_error *err)
{
    aid_master *master = &making->master;
    typical usual, sound;
    AID_TRY(aid_mask_init(master->image.width, master->image.height, &master->mask, err));
    AID_TRY(find_typical(making, false, &usual, err));
    AID_TRY(mask_pixels(making, &usual, err));
    AID_TRY(find_typical(making, true, &sound, err));
    master->level = sound.level;
    master->noise = sound.spread;
    aid_frame_rows port = aid_calibrated_rows_port(&making->calibrated);
    master->frame_noise = NAN;
    if (making->options->type == AID_TYPE_BIAS)
        AID_TRY(aid_frame_noise(&port, making->pool, &master->frame_noise, err));
    else if (making->options->type == AID_TYPE_DARK)
        master->frame_noise = mean_noise(making);
    return AID_OK;
}
