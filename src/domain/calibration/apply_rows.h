/* The arithmetic of calibration, one row at a time. Internal to this folder. */
#ifndef AID_DOMAIN_CALIBRATION_APPLY_ROWS_H
#define AID_DOMAIN_CALIBRATION_APPLY_ROWS_H

#include "core/imaging/image.h"

/* One row of what is being calibrated, in place. */
typedef struct aid_target_row {
    float *image, *variance;
    uint8_t *mask;
    int32_t count;
} aid_target_row;

/* The row of a master that belongs to it. */
typedef struct aid_master_row {
    const float *image, *variance;
    const uint8_t *mask;
} aid_master_row;

/* The raw level decides about saturation; of a pixel that is bad it tells nothing: a column that is
 * stuck at the top bleeds into no neighbours. */
void aid_row_mark_saturated(const aid_target_row *row, const float *raw, float saturation);
/* variance + max(image, 0)/gain + read_variance: of the signal above overscan and bias. */
void aid_row_noise(const aid_target_row *row, float gain, float read_variance);

/* image - factor master. */
void aid_row_subtract(const aid_target_row *row, const aid_master_row *master, float factor);
void aid_row_divide(const aid_target_row *row, const aid_master_row *flat, float least);
void aid_row_scale(const aid_target_row *row, float factor);
/* What has no value in either is NaN in both, and AID_MASK_NO_DATA. */
void aid_row_finish(const aid_target_row *row);

#endif
