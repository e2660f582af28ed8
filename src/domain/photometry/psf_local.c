/* The frame's PSF as stamps at any place, and stamps moved by parts of a pixel. */
#include "domain/photometry/internal.h"

#include <assert.h>
#include <string.h>

static const double kaiser_beta = 11.0, kaiser_half = PHOTOMETRY_TAPS / 2;
enum { BESSEL_TERMS = 28 };

/* The modified Bessel functions I0(x) and 2 I1(x)/x by their series in q = x^2/4, of every tap at
 * once. Up to x = 11 what 28 terms leave out is below 1e-17. */
AID_HOT static void bessel(const double q[restrict PHOTOMETRY_TAPS],
                           double i0[restrict PHOTOMETRY_TAPS], double i1[restrict PHOTOMETRY_TAPS])
{
    for (int t = 0; t < PHOTOMETRY_TAPS; t++)
        i0[t] = i1[t] = 1.0;
    for (int k = BESSEL_TERMS; k > 0; k--) {
        double a = 1.0 / ((double)k * k), b = 1.0 / (k * (k + 1.0));
        for (int t = 0; t < PHOTOMETRY_TAPS; t++) {
            i0[t] = 1.0 + a * q[t] * i0[t];
            i1[t] = 1.0 + b * q[t] * i1[t];
        }
    }
}

/* sin(pi u)/(pi u) and its derivative. */
static void sinc(double u, double sine, double cosine, double *ret_value, double *ret_slope)
{
    *ret_value = 1.0;
    *ret_slope = 0.0;
    if (fabs(u) > 1e-9) {
        *ret_value = sine / (photometry_pi * u);
        *ret_slope = (cosine - *ret_value) / u;
    }
}

void aid_photometry_taps(double t, double weights[PHOTOMETRY_TAPS], double slopes[PHOTOMETRY_TAPS])
{
    const double beta = kaiser_beta, half = kaiser_half;
    double sine = sin(photometry_pi * t), cosine = cos(photometry_pi * t);
    double sum = 0.0, slope_sum = 0.0, derivatives[PHOTOMETRY_TAPS];
    double q[PHOTOMETRY_TAPS], i0[PHOTOMETRY_TAPS], i1[PHOTOMETRY_TAPS];
    for (int k = 0; k < PHOTOMETRY_TAPS; k++) {
        double u = t - (k - PHOTOMETRY_TAPS_BEFORE);
        q[k] = 0.25 * beta * beta * AID_MAX(1.0 - u * u / (half * half), 0.0);
    }
    bessel(q, i0, i1);
    for (int k = 0; k < PHOTOMETRY_TAPS; k++) {
        int node = k - PHOTOMETRY_TAPS_BEFORE;
        double sign = node % 2 ? -1.0 : 1.0, u = t - node, value, slope;
        sinc(u, sign * sine, sign * cosine, &value, &slope);
        weights[k] = value * i0[k];
        derivatives[k] = slope * i0[k] - value * i1[k] * 0.5 * beta * beta * u / (half * half);
        sum += weights[k];
        slope_sum += derivatives[k];
    }
    for (int k = 0; k < PHOTOMETRY_TAPS; k++) {
        if (slopes) /* of the normalised weights */
            slopes[k] = (derivatives[k] - weights[k] * slope_sum / sum) / sum;
        weights[k] /= sum;
    }
}

static bool has_model(const aid_photometry_frame *frame)
{
    return frame->psf && frame->psf->terms > 0;
}

int aid_photometry_psf_radius(const aid_photometry_frame *frame)
{
    if (has_model(frame))
        return frame->psf->radius_px;
    if (!aid_photometry_has_psf(frame))
        return 0;
    int side = AID_MIN(frame->psf_stamp->width, frame->psf_stamp->height);
    return AID_MIN((side - 1) / 2, AID_PSF_MAX_RADIUS);
}

/* Diameter of the circle with the area above half the maximum; a pixel that the edge runs through
 * counts by how far it is above, with the slope there. */
static double stamp_fwhm(const aid_image *stamp)
{
    double peak = 0.0, area = 0.0;
    for (int32_t y = 0; y < stamp->height; y++)
        for (int32_t x = 0; x < stamp->width; x++)
            peak = AID_MAX(peak, (double)aid_image_row(stamp, y)[x]);
    for (int32_t y = 1; y + 1 < stamp->height; y++) {
        const float *row = aid_image_row(stamp, y);
        const float *above = aid_image_row(stamp, y + 1), *below = aid_image_row(stamp, y - 1);
        for (int32_t x = 1; x + 1 < stamp->width; x++) {
            double slope = 0.5 * hypot((double)row[x + 1] - (double)row[x - 1],
                                       (double)above[x] - (double)below[x]);
            double excess = (double)row[x] - 0.5 * peak;
            area += slope > 0.0 ? AID_CLAMP(0.5 + excess / slope, 0.0, 1.0) : excess > 0.0;
        }
    }
    return 2.0 * sqrt(area / photometry_pi);
}

double aid_photometry_psf_fwhm(const aid_photometry_frame *frame, double x, double y)
{
    (void)x;
    (void)y;
    if (has_model(frame))
        return frame->psf->fwhm_px;
    return aid_photometry_has_psf(frame) ? stamp_fwhm(frame->psf_stamp) : NAN;
}

/* ------------------------------------------------------------------------------------- shifts */

/* A moved stamp reaches one pixel less than it has taps farther than it did. */
enum {
    LANES = 8,
    TWO_TAPS = PHOTOMETRY_TAPS + 3, /* of two places less than 3 px apart */
    MAX_TAPS = PHOTOMETRY_TAPS + 2 * PHOTOMETRY_MAX_AWAY + 1,
    MAX_PADDED = (PHOTOMETRY_MAX_SIDE + MAX_TAPS + LANES - 1) / LANES * LANES,
    MAX_ROWS = PHOTOMETRY_MAX_SIDE + 2 * MAX_TAPS
};

/* Value i is the sum of w[k] times the sample i + first + k. */
typedef struct line_taps {
    int first, count;
    double weights[MAX_TAPS];
} line_taps;

/* out[i] = sum w[k] in[i + k step], for a count that is a multiple of LANES. */
static inline void filter_blocks(const double *restrict in, int64_t step,
                                 const double *restrict weights, int taps, int count,
                                 double *restrict out)
{
    for (int block = 0; block < count; block += LANES)
        for (int i = block; i < block + LANES; i++) {
            double sum = 0.0;
            for (int k = 0; k < taps; k++)
                sum += weights[k] * in[i + k * step];
            out[i] = sum;
        }
}

/* There are few numbers of taps: the compiler shall know how many. */
AID_HOT static void filter_line(const double *restrict in, int64_t step, const line_taps *taps,
                                int count, double *restrict out)
{
    if (taps->count == PHOTOMETRY_TAPS)
        filter_blocks(in, step, taps->weights, PHOTOMETRY_TAPS, count, out);
    else if (taps->count == TWO_TAPS)
        filter_blocks(in, step, taps->weights, TWO_TAPS, count, out);
    else
        filter_blocks(in, step, taps->weights, taps->count, count, out);
}

/* in[first ...], 0 where `in` has no values. */
static void cut_line(const float *in, int in_count, int first, double *line, int count)
{
    int from = AID_CLAMP(-first, 0, count), to = AID_CLAMP(in_count - first, from, count);
    for (int i = 0; i < from; i++)
        line[i] = 0.0;
    for (int i = from; i < to; i++)
        line[i] = (double)in[i + first];
    for (int i = to; i < count; i++)
        line[i] = 0.0;
}

/* Where the samples for the value at a line's position begin, and its fraction. */
static double split(double position, int *ret_first)
{
    double whole = floor(position);
    *ret_first = (int)whole - PHOTOMETRY_TAPS_BEFORE;
    return position - whole;
}

static line_taps taps_for(double offset, line_taps *ret_slopes)
{
    line_taps taps = {.count = PHOTOMETRY_TAPS};
    double t = split(offset, &taps.first);
    aid_photometry_taps(t, taps.weights, ret_slopes ? ret_slopes->weights : NULL);
    if (ret_slopes) {
        ret_slopes->first = taps.first;
        ret_slopes->count = taps.count;
    }
    return taps;
}

/* The mean of what lies `away` to the left and to the right. */
static line_taps taps_for_two(double offset, double away)
{
    line_taps low = taps_for(offset - away, NULL), high = taps_for(offset + away, NULL);
    int count = high.first - low.first + PHOTOMETRY_TAPS;
    line_taps both = {.first = low.first, .count = AID_MAX(count, TWO_TAPS)};
    assert(both.count <= MAX_TAPS);
    for (int k = 0; k < PHOTOMETRY_TAPS; k++) {
        both.weights[k] += 0.5 * low.weights[k];
        both.weights[high.first - low.first + k] += 0.5 * high.weights[k];
    }
    return both;
}

/* The box's pixels begin .. begin + count - 1 of an axis are all that the stamp reaches. */
typedef struct reached {
    int begin, count, padded; /* padded: a multiple of LANES */
} reached;

static reached reach_of(const line_taps *taps, int side, int length)
{
    int begin = AID_CLAMP(1 - taps->first - taps->count, 0, length);
    int count = AID_CLAMP(side - taps->first, begin, length) - begin;
    return (reached){begin, count, (count + LANES - 1) / LANES * LANES};
}

/* Rows of the stamp, filtered along x, as many as are wanted along y; rows beyond it are 0. */
typedef struct filtered_rows {
    reached x, y;
    double values[MAX_ROWS * MAX_PADDED];
} filtered_rows;

static void filter_rows(const photometry_stamp *stamp, const line_taps *tx, const line_taps *ty,
                        filtered_rows *rows)
{
    double line[MAX_PADDED + MAX_TAPS];
    int padded = rows->x.padded, count = rows->y.count + ty->count - 1;
    for (int j = 0; j < count; j++) {
        int s = rows->y.begin + ty->first + j;
        double *row = rows->values + (int64_t)j * padded;
        if (s < 0 || s >= stamp->side) {
            memset(row, 0, (size_t)padded * sizeof *row);
            continue;
        }
        cut_line(stamp->values + (int64_t)s * stamp->side, stamp->side, rows->x.begin + tx->first,
                 line, padded + tx->count);
        filter_line(line, 1, tx, padded, row);
    }
}

static void filter_columns(const filtered_rows *rows, const line_taps *ty, double sign,
                           const photometry_box *box, double *values)
{
    double line[MAX_PADDED];
    int padded = rows->x.padded;
    line_taps taps = *ty;
    for (int k = 0; k < taps.count; k++)
        taps.weights[k] *= sign;
    if (rows->x.count < box->width || rows->y.count < box->height)
        memset(values, 0, (size_t)box->width * (size_t)box->height * sizeof *values);
    for (int j = 0; j < rows->y.count; j++) {
        filter_line(rows->values + (int64_t)j * padded, padded, &taps, padded, line);
        memcpy(values + (int64_t)(rows->y.begin + j) * box->width + rows->x.begin, line,
               (size_t)rows->x.count * sizeof *line);
    }
}

static void filter_stamp(const photometry_stamp *stamp, const line_taps *tx, const line_taps *ty,
                         const photometry_box *box, filtered_rows *rows, double *values)
{
    assert(stamp->side <= PHOTOMETRY_MAX_SIDE);
    rows->x = reach_of(tx, stamp->side, box->width);
    rows->y = reach_of(ty, stamp->side, box->height);
    filter_rows(stamp, tx, ty, rows);
    filter_columns(rows, ty, 1.0, box, values);
}

void aid_photometry_shift_stamp(const photometry_stamp *stamp, double dx, double dy,
                                const photometry_box *box, double *values, double *gx, double *gy)
{
    /* Box pixel i is the stamp's pixel i + x0 - left - dx. */
    double left = box->x0 - stamp->left - dx, top = box->y0 - stamp->top - dy;
    line_taps steep_x, steep_y;
    line_taps tx = taps_for(left, &steep_x), ty = taps_for(top, &steep_y);
    filtered_rows rows;
    filter_stamp(stamp, &tx, &ty, box, &rows, values);
    if (!gx)
        return;
    filter_columns(&rows, &steep_y, -1.0, box, gy);
    filter_rows(stamp, &steep_x, &ty, &rows);
    filter_columns(&rows, &ty, -1.0, box, gx);
}

void aid_photometry_spread_stamp(const photometry_stamp *stamp, double dx, double dy, double away,
                                 const photometry_box *box, double *values)
{
    double apart = AID_MIN(away, PHOTOMETRY_MAX_AWAY);
    line_taps tx = taps_for_two(box->x0 - stamp->left - dx, apart);
    line_taps ty = taps_for_two(box->y0 - stamp->top - dy, apart);
    filtered_rows rows;
    filter_stamp(stamp, &tx, &ty, box, &rows, values);
}

/* ------------------------------------------------------------------------------------- stamps */

/* The fixed stamp moved to where the star lies in its pixel. */
static void cut_from_image(const aid_image *image, photometry_stamp *stamp)
{
    int radius = AID_MIN((AID_MIN(image->width, image->height) - 1) / 2, AID_PSF_MAX_RADIUS);
    float pixels[PHOTOMETRY_MAX_SIDE * PHOTOMETRY_MAX_SIDE];
    double moved[PHOTOMETRY_MAX_SIDE * PHOTOMETRY_MAX_SIDE];
    photometry_stamp whole = {.radius = radius, .side = 2 * radius + 1, .values = pixels};
    for (int j = 0; j < whole.side; j++)
        memcpy(pixels + j * whole.side,
               aid_image_row(image, image->height / 2 - radius + j) + image->width / 2 - radius,
               (size_t)whole.side * sizeof *pixels);
    int32_t cut = radius - stamp->radius;
    photometry_box box = {cut, cut, stamp->side, stamp->side};
    aid_photometry_shift_stamp(&whole, stamp->x - (stamp->left + stamp->radius),
                               stamp->y - (stamp->top + stamp->radius), &box, moved, NULL, NULL);
    for (int i = 0; i < stamp->side * stamp->side; i++)
        stamp->values[i] = (float)moved[i];
}

void aid_photometry_cut_stamp(const aid_photometry_frame *frame, double x, double y,
                              photometry_stamp *stamp)
{
    int32_t column = (int32_t)floor(x + 0.5), row = (int32_t)floor(y + 0.5);
    stamp->x = x;
    stamp->y = y;
    if (stamp->radius == 0)
        stamp->radius = aid_photometry_psf_radius(frame);
    stamp->side = 2 * stamp->radius + 1;
    stamp->left = column - stamp->radius;
    stamp->top = row - stamp->radius;
    if (has_model(frame))
        aid_psf_stamp(frame->psf, x, y, x - column, y - row, stamp->radius, stamp->values);
    else
        cut_from_image(frame->psf_stamp, stamp);
}
