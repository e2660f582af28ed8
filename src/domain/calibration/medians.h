/* Running medians by sorting networks, many pixels at a time. Internal to this folder. */
#ifndef AID_DOMAIN_CALIBRATION_MEDIANS_H
#define AID_DOMAIN_CALIBRATION_MEDIANS_H

#include <stdbool.h>
#include <stdint.h>

/* Half-open: columns x0 .. x1-1, rows y0 .. y1-1, of the whole image. */
typedef struct aid_rectangle {
    int32_t x0, y0, x1, y1;
} aid_rectangle;

/* Part of an image: pixel (x, y) of the whole lies at data[(y - y0) stride + x - x0]. */
typedef struct aid_plane {
    float *data;
    int32_t x0, y0;
    int64_t stride;
} aid_plane;

static inline float *aid_plane_at(const aid_plane *plane, int32_t x, int32_t y)
{
    return plane->data + (int64_t)(y - plane->y0) * plane->stride + (x - plane->x0);
}

enum { AID_MEDIAN_MOST = 49, AID_MEDIAN_PAIRS = 512, AID_MEDIAN_LANES = 64 };

/* Those comparisons of Batcher's merge exchange (Knuth 5.2.2, algorithm M) of `inputs` values that
 * the middle one depends on. */
typedef struct aid_median_network {
    int inputs, pairs;
    uint8_t low[AID_MEDIAN_PAIRS], high[AID_MEDIAN_PAIRS];
} aid_median_network;
aid_median_network aid_median_network_of(int inputs); /* odd, at most AID_MEDIAN_MOST */

/* out[i] is the median of inputs[0][i], inputs[1][i], ... No NaN. */
void aid_median_rows(const aid_median_network *network, const float *const *inputs, int32_t count,
                     float *out);

typedef struct aid_median_filter {
    int side;                   /* 3, 5, 7 or 9; 9 only where separable */
    bool separable;             /* the medians along rows, of them those along columns */
    aid_median_network network; /* of side or side^2 inputs */
    int32_t width, height;      /* of the whole image */
} aid_median_filter;
aid_median_filter aid_median_filter_of(int side, bool separable, int32_t width, int32_t height);

/* `in` holds `region` grown by side/2, as far as the image goes. Where the window reaches beyond
 * the image the input is copied. `scratch` is as large as `in`. */
void aid_median_filter_run(const aid_median_filter *filter, const aid_plane *in,
                           const aid_plane *out, const aid_plane *scratch, aid_rectangle region);

#endif
