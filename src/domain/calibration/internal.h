/* Private to this folder. */
#ifndef AID_DOMAIN_CALIBRATION_INTERNAL_H
#define AID_DOMAIN_CALIBRATION_INTERNAL_H

#include "core/imaging/stats.h"
#include "domain/calibration/calibration.h"
#include "domain/calibration/camera.h"
#include "domain/calibration/masters.h"

#define AID_FACTS_STAGE "frames"
#define AID_MASTERS_STAGE "masters"

/* A number however a camera's program may write it: within a string, or with a decimal comma. */
bool aid_header_loose_number(const aid_header *header, const char *keyword, double *ret_value,
                             bool *ret_odd);

/* Overscan and trim sections, in the frame. */
void aid_facts_sections(const aid_header *header, const aid_camera *camera, const char *name,
                        aid_notes *notes, aid_frame_facts *facts);

/* Type of the frame from what the header calls it; needs exposure_s and object. */
void aid_facts_type(const aid_header *header, const char *name, aid_notes *notes,
                    aid_frame_facts *facts);

/* Gain, read noise and saturation level. */
void aid_facts_detector(const aid_header *header, const aid_camera *camera, const char *name,
                        aid_notes *notes, aid_frame_facts *facts);

/* ------------------------------------------------------------------------------------- masters */

/* As aid_clipped_stats. But where more than half of the values are one and the same, as with whole
 * numbers of little noise, the MAD is 0 and would leave nothing but these: then what is a few steps
 * from them counts as well. */
aid_clipped aid_clipped_raw(const float *values, int64_t count, double kappa);

/* The frames that are used, as a port: trimmed, without overscan level, bias and dark current;
 * saturated pixels are missing. Rows y0 .. y0+height-1 of the trimmed frame. */
typedef struct aid_calibrated_rows {
    const aid_frame_rows *raw;
    const aid_raw_frame *frames;
    const int *indices; /* [count]: frames in `raw` */
    int count;
    const aid_master *bias, *dark; /* NULL: none */
    double saturation;             /* ADU of the raw frame */
    int32_t y0, height;
} aid_calibrated_rows;
/* Borrows all of it. */
aid_frame_rows aid_calibrated_rows_port(aid_calibrated_rows *rows);

/* The level from which a raw pixel counts as saturated: what the header says, or the top of 16-bit
 * converters. */
double aid_saturation_level(const aid_frame_facts *facts);

/* Noise of one frame, ADU, from differences of consecutive frames; NaN for a single frame. */
AID_MUST_USE aid_status aid_frame_noise(const aid_frame_rows *rows, aid_pool *pool,
                                        double *ret_noise, aid_error *err);

/* What making a master works with. */
typedef struct aid_making {
    const aid_master_options *options;
    const aid_frame_rows *raw;
    aid_raw_frame *frames;
    aid_calibrated_rows calibrated;
    aid_pool *pool;
    aid_notes *notes;
    aid_master master; /* being made; image and variance come first */
    aid_image used;    /* how many frames each pixel rests on */
} aid_making;

/* variance += factor * more, where that is known. */
void aid_add_variance(aid_image *variance, const aid_image *more, double factor);

/* Fills image, variance, used and rejected_fraction of a dark: a rate from frames of one or several
 * exposures. */
AID_MUST_USE aid_status aid_make_dark(aid_making *making, aid_error *err);

/* Bad pixels, and level and noise over the sound ones. */
AID_MUST_USE aid_status aid_master_judge(aid_making *making, aid_error *err);

#endif
