/* Many frames into one, pixel by pixel: the core of calibration masters and of stacks. Frames come
 * row by row through a port, so that a thousand of them need no more memory than a band of each. */
#ifndef AID_CORE_IMAGING_COMBINE_H
#define AID_CORE_IMAGING_COMBINE_H

#include "core/base/pool.h"
#include "core/imaging/image.h"

/* Where the pixels come from. All frames have the same shape. */
typedef struct aid_frame_rows {
    void *context;
    int count;
    int32_t width, height;
    /* Rows y .. y+rows-1 of a frame, [rows][width] into `pixels`; NaN = missing. Called from
     * several threads at once, for different rows or frames. */
    aid_status (*read)(void *context, int frame, int32_t y, int32_t rows, float *pixels,
                       aid_error *err);
    /* The variance of the same pixels; NULL: not known. NaN or <= 0: that pixel has no weight. */
    aid_status (*read_variance)(void *context, int frame, int32_t y, int32_t rows, float *pixels,
                                aid_error *err);
} aid_frame_rows;

typedef enum aid_combine_method {
    AID_COMBINE_CLIPPED_MEAN,
    AID_COMBINE_MEDIAN,
    AID_COMBINE_MEAN,
    AID_COMBINE_INVERSE_VARIANCE /* clipped as well; needs read_variance */
} aid_combine_method;

typedef struct aid_combine_options {
    aid_combine_method method;
    double kappa; /* clipping in sigma from the MAD around the median; 5 */
    /* The noise that a pixel has at least, in the unit of the frames: its clipping never rests on a
     * MAD of a few values that happen to lie close together. 0: measured from the frames. */
    double least_sigma;
    const double *scale;  /* [count]: a frame's pixels are multiplied by it first; NULL: 1 */
    const double *offset; /* [count]: and then this is added; NULL: 0 */
} aid_combine_options;
#define AID_COMBINE_DEFAULTS                                                                       \
    (aid_combine_options)                                                                          \
    {                                                                                              \
        .method = AID_COMBINE_CLIPPED_MEAN, .kappa = 5.0                                           \
    }

typedef struct aid_combined {
    aid_image image;          /* NaN where no frame has a value */
    aid_image variance;       /* of the result; from the scatter of the frames, or propagated where
                                 read_variance is given; NaN where it cannot be known */
    aid_image used;           /* how many frames each pixel rests on */
    double rejected_fraction; /* of all finite values */
} aid_combined;

/* Bands of rows in parallel: the same bytes at any number of threads. One frame is its own mean. */
AID_MUST_USE aid_status aid_combine(const aid_frame_rows *frames,
                                    const aid_combine_options *options, aid_pool *pool,
                                    aid_combined *ret_combined, aid_error *err);
void aid_combined_done(aid_combined *combined);

#endif
