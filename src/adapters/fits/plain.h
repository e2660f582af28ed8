/* Pixels that are not compressed: big-endian numbers in a row. */
#ifndef AID_ADAPTERS_FITS_PLAIN_H
#define AID_ADAPTERS_FITS_PLAIN_H

#include "adapters/fits/cards.h"

/* physical = zero + scale * stored (FITS standard 4.0, equation 3). */
typedef struct aid_fits_scaling {
    double scale, zero;
    bool has_blank; /* whole numbers only: the stored value that stands for "undefined" */
    int64_t blank;
} aid_fits_scaling;

/* BSCALE, BZERO and BLANK. Fails with AID_ERR_INVALID where one is no finite number or BSCALE is 0.
 */
AID_MUST_USE aid_status aid_fits_scaling_read(aid_fits_cards cards, int bitpix,
                                              aid_fits_scaling *ret_scaling, aid_error *err);

/* `count` pixels as physical values, NaN where undefined. Whole numbers beyond 2^24 and doubles are
 * rounded to the nearest float; doubles beyond its range become infinite. */
void aid_fits_plain_floats(const uint8_t *bytes, int bitpix, int64_t count,
                           const aid_fits_scaling *scaling, float *ret_pixels);

/* Signed 16-bit pixels of BZERO 32768 as the unsigned ones that they stand for. */
void aid_fits_plain_whole(const uint8_t *bytes, int64_t count, uint16_t *ret_pixels);

/* The same as whole numbers, for masks: exact where BSCALE is 1 and BZERO whole. What cannot be one
 * (fractions, NaN, undefined) is 1, for it is not 0. */
void aid_fits_plain_integers(const uint8_t *bytes, int bitpix, int64_t count,
                             const aid_fits_scaling *scaling, int64_t *ret_pixels);

/* One physical value as such a whole number. */
int64_t aid_fits_whole_number(double value);

#endif
