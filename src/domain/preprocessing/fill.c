/* Masked pixels become a smooth guess from their sound neighbours, so that an FFT does not ring. */
#include "core/base/memory.h"
#include "domain/preprocessing/prepare_internal.h"

#include <stdlib.h>

enum { SCALES = 3, WIDEST = 12, BLOCK = 16 };
static const double scale_sigma_px[SCALES] = {1.2, 2.4, 4.8};
static const int scale_reach_px[SCALES] = {3, 6, WIDEST};
static const double enough_weight = 0.05; /* of the whole Gaussian's */

typedef struct fill_job {
    aid_image *image;
    const aid_mask *mask;
    uint8_t bits;
    uint8_t *sound_blocks; /* [blocks_y][blocks_x]: is any pixel of the block sound? */
    int32_t blocks_x, blocks_y;
    float weights[SCALES][WIDEST + 1]; /* one-dimensional, sum over -reach..reach is 1 */
} fill_job;

static bool is_sound(const fill_job *job, int32_t x, int32_t y)
{
    return !(aid_mask_row(job->mask, y)[x] & job->bits) &&
           isfinite(aid_image_row(job->image, y)[x]);
}

static aid_status find_sound_blocks(void *context, int64_t line, int worker, aid_error *err)
{
    (void)worker;
    (void)err;
    const fill_job *job = context;
    int32_t y0 = (int32_t)line * BLOCK, y1 = AID_MIN(y0 + BLOCK, job->image->height);
    for (int32_t block = 0; block < job->blocks_x; block++) {
        int32_t x0 = block * BLOCK, x1 = AID_MIN(x0 + BLOCK, job->image->width);
        uint8_t sound = 0;
        for (int32_t y = y0; y < y1 && !sound; y++)
            for (int32_t x = x0; x < x1 && !sound; x++)
                sound = is_sound(job, x, y) ? 1 : 0;
        job->sound_blocks[line * job->blocks_x + block] = sound;
    }
    return AID_OK;
}

/* Whether a sound pixel may lie within the widest window. */
static bool any_sound_near(const fill_job *job, int32_t x, int32_t y)
{
    int32_t x0 = AID_MAX(x - WIDEST, 0) / BLOCK, y0 = AID_MAX(y - WIDEST, 0) / BLOCK;
    int32_t x1 = AID_MIN(x + WIDEST, job->image->width - 1) / BLOCK;
    int32_t y1 = AID_MIN(y + WIDEST, job->image->height - 1) / BLOCK;
    for (int32_t j = y0; j <= y1; j++)
        for (int32_t i = x0; i <= x1; i++)
            if (job->sound_blocks[(int64_t)j * job->blocks_x + i])
                return true;
    return false;
}

static double average_near(const fill_job *job, int32_t x, int32_t y, int scale, double *ret_weight)
{
    int reach = scale_reach_px[scale];
    const float *weights = job->weights[scale];
    double sum = 0.0, total = 0.0;
    for (int32_t j = AID_MAX(y - reach, 0); j <= AID_MIN(y + reach, job->image->height - 1); j++) {
        const float *row = aid_image_row(job->image, j);
        const uint8_t *mask = aid_mask_row(job->mask, j);
        double row_weight = (double)weights[abs(j - y)];
        for (int32_t i = AID_MAX(x - reach, 0); i <= AID_MIN(x + reach, job->image->width - 1);
             i++) {
            if (mask[i] & job->bits || !isfinite(row[i]))
                continue;
            double weight = row_weight * (double)weights[abs(i - x)];
            sum += weight * (double)row[i];
            total += weight;
        }
    }
    *ret_weight = total;
    return total > 0.0 ? sum / total : 0.0;
}

static float guess(const fill_job *job, int32_t x, int32_t y)
{
    if (!any_sound_near(job, x, y))
        return 0.0f;
    double weight = 0.0, value = 0.0;
    for (int scale = 0; scale < SCALES && weight < enough_weight; scale++)
        value = average_near(job, x, y, scale, &weight);
    return (float)value;
}

/* Only masked pixels are written and only sound ones read, so that bands do not disturb each other.
 */
static aid_status fill_band(void *context, int64_t band, int worker, aid_error *err)
{
    (void)worker;
    (void)err;
    const fill_job *job = context;
    int64_t begin, end;
    aid_band_range(job->image->height, AID_PREPARE_BAND, band, &begin, &end);
    for (int32_t y = (int32_t)begin; y < end; y++) {
        float *row = aid_image_row(job->image, y);
        const uint8_t *mask = aid_mask_row(job->mask, y);
        for (int32_t x = 0; x < job->image->width; x++)
            if (mask[x] & job->bits)
                row[x] = guess(job, x, y);
    }
    return AID_OK;
}

static void make_weights(fill_job *job)
{
    for (int scale = 0; scale < SCALES; scale++) {
        double sum = 0.0, sigma = scale_sigma_px[scale];
        for (int i = -scale_reach_px[scale]; i <= scale_reach_px[scale]; i++)
            sum += exp(-0.5 * i * i / (sigma * sigma));
        for (int i = 0; i <= scale_reach_px[scale]; i++)
            job->weights[scale][i] = (float)(exp(-0.5 * i * i / (sigma * sigma)) / sum);
    }
}

aid_status aid_fill_masked(aid_image *image, const aid_mask *mask, uint8_t bits, aid_pool *pool,
                           aid_error *err)
{
    if (image->width != mask->width || image->height != mask->height)
        AID_FAIL(err, AID_ERR_INVALID, "image of %d x %d pixels, mask of %d x %d", image->width,
                 image->height, mask->width, mask->height);
    fill_job job = {.image = image, .mask = mask, .bits = bits};
    job.blocks_x = (image->width + BLOCK - 1) / BLOCK;
    job.blocks_y = (image->height + BLOCK - 1) / BLOCK;
    make_weights(&job);
    AID_CLEANUP(aid_free_pointer)
    uint8_t *sound_blocks = NULL;
    AID_TRY(aid_new_buffer((size_t)job.blocks_x * (size_t)job.blocks_y, 1, "blocks", &sound_blocks,
                           err));
    job.sound_blocks = sound_blocks;
    AID_TRY(aid_pool_run(pool, job.blocks_y, find_sound_blocks, &job, err));
    return aid_pool_run(pool, aid_band_count(image->height, AID_PREPARE_BAND), fill_band, &job,
                        err);
}
