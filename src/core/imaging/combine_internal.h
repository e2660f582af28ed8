/* Private to combine*.c: blocks of pixels of all frames, and what is known of their noise. */
#ifndef AID_CORE_IMAGING_COMBINE_INTERNAL_H
#define AID_CORE_IMAGING_COMBINE_INTERNAL_H

#include "core/imaging/combine.h"

/* Pixels that are sorted side by side: so many frames of them fit a core's first caches. */
enum { AID_COMBINE_LANES = 128 };

/* A block: [frames][AID_COMBINE_LANES]. A missing value is +infinity, and sorts behind the others.
 */
typedef struct aid_combine_block {
    int frames, lanes;          /* lanes <= AID_COMBINE_LANES are in use, the rest is missing */
    float *values;              /* as the frames give them */
    float *variances;           /* the same shape; NULL: not known */
    float *sorted;              /* the values of each lane, ascending */
    int32_t *finite;            /* [lanes]: how many there are */
    float *median, *mad_sigma;  /* [lanes]; sigma from the MAD, corrected for few values */
    float *half_width;          /* [lanes]: values farther from the median are clipped */
    double *weight;             /* [lanes], of what is kept: sum w */
    double *deviation, *square; /* sum w (v - median), sum (v - median)^2 */
    double *propagated;         /* sum w^2 variance */
    int32_t *kept;              /* [lanes] */
} aid_combine_block;
AID_MUST_USE aid_status aid_combine_block_init(int frames, bool with_variances,
                                               aid_combine_block *ret_block, aid_error *err);
void aid_combine_block_done(aid_combine_block *block);

/* Rows of every frame, as one task reads them. */
typedef struct aid_combine_rows {
    const aid_frame_rows *frames;
    const aid_combine_options *options;
    int32_t rows;              /* at most */
    float *values, *variances; /* [frames][rows][width] */
    aid_combine_block block;
} aid_combine_rows;
AID_MUST_USE aid_status aid_combine_rows_init(const aid_frame_rows *frames,
                                              const aid_combine_options *options, int32_t rows,
                                              aid_combine_rows *ret_rows, aid_error *err);
void aid_combine_rows_done(aid_combine_rows *rows);
AID_MUST_USE aid_status aid_combine_rows_read(aid_combine_rows *rows, int32_t y, int32_t count,
                                              aid_error *err);
/* Pixels first .. first+lanes-1 of the rows that were read: into the block, and sorted; finite,
 * median and mad_sigma are there then. */
void aid_combine_rows_load(aid_combine_rows *rows, int32_t count, int64_t first, int lanes);
/* Sums of what lies within half_width (or, where variances are known, within `kappa` of their own
 * sigma). With weights: 1/variance instead of 1. */
void aid_combine_block_sum(aid_combine_block *block, double kappa, bool weighted);

/* The noise of one frame's pixel as a function of its level:
 * variance = base + slope (level - pivot), with a slope of its own on each side. */
typedef struct aid_combine_noise {
    double base, pivot, slope_above, slope_below;
    /* How well that describes the pixels: worth so many degrees of freedom beside their own
     * scatter. 0: not at all, or nothing is known. */
    double freedom;
} aid_combine_noise;
double aid_combine_noise_variance(const aid_combine_noise *noise, double level);

/* Measured on rows spread over the frames. */
AID_MUST_USE aid_status aid_combine_measure_noise(const aid_frame_rows *frames,
                                                  const aid_combine_options *options,
                                                  aid_pool *pool, aid_combine_noise *ret_noise,
                                                  aid_error *err);

/* Variance of the median of n normal deviates in units of sigma^2 / n. */
double aid_median_variance_factor(int n);
/* The standard deviation of a unit normal whose tails are cut at +-kappa. */
double aid_sigma_of_clipped_normal(double kappa);
/* The quantile of chi^2/n of a normal deviate's `z` (Wilson & Hilferty 1931). */
double aid_chi_square_quantile(double freedom, double z);

#endif
