#include "domain/calibration/apply_rows.h"

#include "core/base/macros.h"

#include <float.h>
#include <math.h>

/* Each loop is over plain arrays without branches, so that it becomes vector instructions. */

static inline bool is_finite(float value)
{
    return fabsf(value) <= FLT_MAX;
}

AID_HOT static void mark_saturated(uint8_t *restrict mask, const float *restrict raw,
                                   float saturation, int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        bool full = raw[i] >= saturation && !(mask[i] & AID_MASK_BAD);
        mask[i] = (uint8_t)(mask[i] | (full ? AID_MASK_SATURATED : 0));
    }
}

AID_HOT static void noise(const float *restrict image, float *restrict variance, float per_electron,
                          float read_variance, int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        float signal = image[i] > 0.0f ? image[i] : 0.0f;
        variance[i] += signal * per_electron + read_variance;
    }
}

/* A variance that nobody knows counts as none: the pixel's own remains. */
AID_HOT static void add(float *restrict variance, const float *restrict more, float factor,
                        int32_t count)
{
    for (int32_t i = 0; i < count; i++)
        variance[i] += is_finite(more[i]) ? factor * more[i] : 0.0f;
}

AID_HOT static void subtract(float *restrict image, const float *restrict master, float factor,
                             int32_t count)
{
    for (int32_t i = 0; i < count; i++)
        image[i] -= factor * master[i];
}

AID_HOT static void mark_bad(uint8_t *restrict mask, const float *restrict master,
                             const uint8_t *restrict master_mask, int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        bool bad = master_mask[i] != 0 || !is_finite(master[i]);
        mask[i] = (uint8_t)(mask[i] | (bad ? AID_MASK_BAD : 0));
    }
}

/* var(s/F) = [var(s) + (s/F)^2 var(F)] / F^2. */
AID_HOT static void divide(float *restrict image, float *restrict variance,
                           const float *restrict flat, const float *restrict flat_variance,
                           float least, int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        float f = flat[i] >= least && flat[i] <= FLT_MAX ? flat[i] : NAN;
        float known = is_finite(flat_variance[i]) ? flat_variance[i] : 0.0f;
        image[i] /= f;
        variance[i] = (variance[i] + image[i] * image[i] * known) / (f * f);
    }
}

AID_HOT static void mark_dark_corners(uint8_t *restrict mask, const float *restrict flat,
                                      float least, int32_t count)
{
    for (int32_t i = 0; i < count; i++)
        mask[i] = (uint8_t)(mask[i] | (flat[i] >= least ? 0 : AID_MASK_BAD));
}

AID_HOT static void scale(float *restrict image, float *restrict variance, float factor,
                          int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        image[i] *= factor;
        variance[i] *= factor * factor;
    }
}

AID_HOT static void finish(float *restrict image, float *restrict variance, uint8_t *restrict mask,
                           int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        bool known = is_finite(image[i]) && is_finite(variance[i]);
        image[i] = known ? image[i] : NAN;
        variance[i] = known ? variance[i] : NAN;
        mask[i] = (uint8_t)(mask[i] | (known ? 0 : AID_MASK_NO_DATA));
    }
}

void aid_row_mark_saturated(const aid_target_row *row, const float *raw, float saturation)
{
    mark_saturated(row->mask, raw, saturation, row->count);
}

void aid_row_noise(const aid_target_row *row, float gain, float read_variance)
{
    noise(row->image, row->variance, 1.0f / gain, read_variance, row->count);
}

void aid_row_subtract(const aid_target_row *row, const aid_master_row *master, float factor)
{
    subtract(row->image, master->image, factor, row->count);
    add(row->variance, master->variance, factor * factor, row->count);
    mark_bad(row->mask, master->image, master->mask, row->count);
}

void aid_row_divide(const aid_target_row *row, const aid_master_row *flat, float least)
{
    divide(row->image, row->variance, flat->image, flat->variance, least, row->count);
    mark_bad(row->mask, flat->image, flat->mask, row->count);
    mark_dark_corners(row->mask, flat->image, least, row->count);
}

void aid_row_scale(const aid_target_row *row, float factor)
{
    scale(row->image, row->variance, factor, row->count);
}

void aid_row_finish(const aid_target_row *row)
{
    finish(row->image, row->variance, row->mask, row->count);
}
