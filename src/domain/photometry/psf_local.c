/* The frame's PSF as stamps at any place, and stamps moved by parts of a pixel. */
#include "domain/photometry/internal.h"

#include <assert.h>
#include <string.h>

/* The modified Bessel functions I0 and I1 for 0 <= x < 12, by their series. */
static void bessel(double x, double *ret_i0, double *ret_i1)
{
    double quarter = 0.25 * x * x, term = 1.0, i0 = 1.0, i1 = 1.0;
    for (int k = 1; k < 60 && term > 1e-17 * i0; k++) {
        term *= quarter / ((double)k * k);
        i0 += term;
        i1 += term / (k + 1.0);
    }
    *ret_i0 = i0;
    *ret_i1 = 0.5 * x * i1;
}

/* sin(pi u)/(pi u) under Kaiser's window of half-width 6, and its derivative. */
static void kernel(double u, double sine, double cosine, double *ret_value, double *ret_slope)
{
    const double half = PHOTOMETRY_TAPS / 2, beta = 11.0;
    double root = sqrt(AID_MAX(1.0 - u * u / (half * half), 1e-12)), i0, i1;
    bessel(beta * root, &i0, &i1);
    double sinc = 1.0, slope = 0.0;
    if (fabs(u) > 1e-9) {
        sinc = sine / (photometry_pi * u);
        slope = (cosine - sinc) / u;
    }
    *ret_value = sinc * i0;
    *ret_slope = slope * i0 - sinc * i1 * beta * u / (half * half * root);
}

void aid_photometry_taps(double t, double weights[PHOTOMETRY_TAPS], double slopes[PHOTOMETRY_TAPS])
{
    double sine = sin(photometry_pi * t), cosine = cos(photometry_pi * t);
    double sum = 0.0, slope_sum = 0.0, derivatives[PHOTOMETRY_TAPS];
    for (int k = 0; k < PHOTOMETRY_TAPS; k++) {
        int node = k - PHOTOMETRY_TAPS_BEFORE;
        double sign = node % 2 ? -1.0 : 1.0;
        kernel(t - node, sign * sine, sign * cosine, &weights[k], &derivatives[k]);
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

/* out[i] = sum w[k] in[i + first + k], where `in` has values. */
static void filter_line(const double *in, int in_count, int first, const double *weights,
                        double *out, int out_count)
{
    for (int i = 0; i < out_count; i++) {
        double sum = 0.0;
        int from = AID_MAX(0, -(i + first)), to = AID_MIN(PHOTOMETRY_TAPS, in_count - i - first);
        for (int k = from; k < to; k++)
            sum += weights[k] * in[i + first + k];
        out[i] = sum;
    }
}

/* Where the samples for the value at a line's position begin, and its fraction. */
static double split(double position, int *ret_first)
{
    double whole = floor(position);
    *ret_first = (int)whole - PHOTOMETRY_TAPS_BEFORE;
    return position - whole;
}

typedef struct axis_taps {
    int first;
    double weights[PHOTOMETRY_TAPS], slopes[PHOTOMETRY_TAPS];
} axis_taps;

static axis_taps taps_for(double offset)
{
    axis_taps taps;
    double t = split(offset, &taps.first);
    aid_photometry_taps(t, taps.weights, taps.slopes);
    return taps;
}

/* Adds row `source` of the stamp, filtered along x, to a row of the box. */
static void add_scaled(const double *line, double weight, int count, double *out)
{
    for (int i = 0; i < count; i++)
        out[i] += weight * line[i];
}

void aid_photometry_shift_stamp(const photometry_stamp *stamp, double dx, double dy,
                                const photometry_box *box, double *values, double *gx, double *gy)
{
    size_t bytes = (size_t)box->width * (size_t)box->height * sizeof *values;
    memset(values, 0, bytes);
    if (gx) {
        memset(gx, 0, bytes);
        memset(gy, 0, bytes);
    }
    /* Box pixel i is the stamp's pixel i + x0 - left - dx. */
    axis_taps tx = taps_for(box->x0 - stamp->left - dx), ty = taps_for(box->y0 - stamp->top - dy);
    enum { MAX_WIDTH = 4096 }; /* 16 stars in a chain, each as far as it goes */
    double line[MAX_WIDTH], smooth[MAX_WIDTH], steep[MAX_WIDTH];
    assert(box->width <= MAX_WIDTH && stamp->side <= MAX_WIDTH);
    for (int s = 0; s < stamp->side; s++) {
        int from = AID_MAX(s - ty.first - PHOTOMETRY_TAPS + 1, 0);
        int to = AID_MIN(s - ty.first, box->height - 1);
        if (from > to)
            continue;
        for (int i = 0; i < stamp->side; i++)
            line[i] = (double)stamp->values[s * stamp->side + i];
        filter_line(line, stamp->side, tx.first, tx.weights, smooth, box->width);
        if (gx)
            filter_line(line, stamp->side, tx.first, tx.slopes, steep, box->width);
        for (int j = from; j <= to; j++) {
            int k = s - ty.first - j;
            size_t row = (size_t)j * (size_t)box->width;
            add_scaled(smooth, ty.weights[k], box->width, values + row);
            if (gx) {
                add_scaled(steep, -ty.weights[k], box->width, gx + row);
                add_scaled(smooth, -ty.slopes[k], box->width, gy + row);
            }
        }
    }
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
