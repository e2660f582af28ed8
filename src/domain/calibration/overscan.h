/* The overscan: pixels without light that tell the level of the electronics while a frame is read
 * out. */
#ifndef AID_DOMAIN_CALIBRATION_OVERSCAN_H
#define AID_DOMAIN_CALIBRATION_OVERSCAN_H

#include "domain/calibration/calibration.h"

typedef enum aid_overscan_method {
    AID_OVERSCAN_ROW,    /* a level for each row (column, where the overscan lies above or below),
                            smoothed along the readout */
    AID_OVERSCAN_MEDIAN, /* one level for the frame, that of most of its lines */
    AID_OVERSCAN_NONE    /* nothing is subtracted; the frame is trimmed all the same */
} aid_overscan_method;

/* Levels to be subtracted from the trimmed frame: of row y of it, or of column x. */
typedef struct aid_overscan {
    float *levels; /* [length]; NULL: nothing to subtract */
    int32_t length;
    bool along_columns; /* levels[x] instead of levels[y] */
    double level;       /* their median; 0 without an overscan */
    double noise;       /* robust sigma of an overscan pixel about its level; NaN unknown */
    aid_section trim;   /* what is left of the frame; never empty */
} aid_overscan;
void aid_overscan_done(aid_overscan *overscan);

/* From facts->overscan and facts->trim, which lie within the frame. A frame without an overscan
 * section has no levels, one without a trim section is all its own.
 * Fails with AID_ERR_INVALID when the overscan has no finite pixels. */
AID_MUST_USE aid_status aid_overscan_measure(const aid_image *raw, const aid_frame_facts *facts,
                                             aid_overscan_method method, aid_overscan *ret_overscan,
                                             aid_error *err);

/* Row y of the trimmed frame out of the raw frame's row trim.y0 + y, the level taken off. */
void aid_overscan_subtract_row(const aid_overscan *overscan, int32_t y, const float *raw_row,
                               float *ret_row);

/* The trimmed frame with the levels taken off. */
AID_MUST_USE aid_status aid_overscan_remove(const aid_image *raw, const aid_overscan *overscan,
                                            aid_image *ret_image, aid_error *err);

#endif
