/* What is measured on, and the words for what went wrong. */
#include "domain/photometry/internal.h"

#include <stdio.h>
#include <string.h>

aid_photometry_frame aid_photometry_frame_of(const aid_exposure *exposure)
{
    return (aid_photometry_frame){.image = &exposure->image,
                                  .mask = &exposure->mask,
                                  .noise = &exposure->noise,
                                  .correlation = &exposure->correlation,
                                  .gain = exposure->gain,
                                  .psf = &exposure->psf};
}

void aid_photometry_flag_names(unsigned flags, char *text, size_t size)
{
    static const char *const names[] = {"off-image", "edge",          "masked",
                                        "saturated", "corrected",     "no-background",
                                        "blended",   "not-converged", "no-flux"};
    size_t length = 0;
    if (size > 0)
        text[0] = '\0';
    for (size_t i = 0; i < AID_COUNT_OF(names) && length < size; i++)
        if (flags & (1U << i))
            length +=
                (size_t)snprintf(text + length, size - length, "%s%s", length ? "|" : "", names[i]);
}

uint8_t aid_photometry_bits(const aid_photometry_frame *frame)
{
    const uint8_t usual =
        AID_MASK_BAD | AID_MASK_SATURATED | AID_MASK_COSMIC_RAY | AID_MASK_NO_DATA;
    return frame->mask_bits ? frame->mask_bits : usual;
}

bool aid_photometry_has_noise(const aid_photometry_frame *frame)
{
    return frame->noise && frame->noise->values;
}

bool aid_photometry_has_psf(const aid_photometry_frame *frame)
{
    bool stamp = frame->psf_stamp && frame->psf_stamp->data;
    return (frame->psf && frame->psf->terms > 0) || stamp;
}

double aid_photometry_inverse_gain(const aid_photometry_frame *frame)
{
    return frame->gain > 0.0 && isfinite(frame->gain) ? 1.0 / frame->gain : 0.0;
}

double aid_photometry_scale(const aid_photometry_frame *frame)
{
    return frame->psf_scale > 0.0 ? frame->psf_scale : 1.0;
}

double aid_photometry_noise_at(const aid_photometry_frame *frame, double x, double y)
{
    return aid_photometry_has_noise(frame) ? aid_mesh_at(frame->noise, x, y) : NAN;
}

/* The centre lies within a pixel of the image; NaN fails. */
bool aid_photometry_on_image(const aid_image *image, double x, double y)
{
    return x >= -0.5 && y >= -0.5 && x < image->width - 0.5 && y < image->height - 0.5;
}

/* ---------------------------------------------------------------------------- correlated noise */

static double correlation_at(const aid_photometry_frame *frame, int dx, int dy)
{
    return frame->correlation->rho[dy + AID_NOISE_LAG][dx + AID_NOISE_LAG];
}

static bool is_white(const aid_photometry_frame *frame)
{
    return !frame->correlation || !frame->correlation->measured;
}

/* The common area of two unit discs whose centres lie 2h apart, over that of one. */
static double disc_overlap(double h)
{
    return h >= 1.0 ? 0.0 : 2.0 / photometry_pi * (acos(h) - h * sqrt(1.0 - h * h));
}

double aid_photometry_disc_factor(const aid_photometry_frame *frame, double radius_px)
{
    if (is_white(frame))
        return 1.0;
    double factor = 0.0;
    for (int dy = -AID_NOISE_LAG; dy <= AID_NOISE_LAG; dy++)
        for (int dx = -AID_NOISE_LAG; dx <= AID_NOISE_LAG; dx++)
            factor += correlation_at(frame, dx, dy) * disc_overlap(hypot(dx, dy) / 2.0 / radius_px);
    return AID_MAX(factor, 0.0);
}

/* sum w(p) w(p + d) over the pixels within `half` of the middle. */
static double shifted_product(const float *weights, int side, int half, int dx, int dy)
{
    double sum = 0.0;
    int first = AID_MAX(side / 2 - half, 0), last = AID_MIN(side / 2 + half, side - 1);
    for (int j = first; j + dy <= last; j++) {
        const float *row = weights + j * side, *other = weights + (j + dy) * side + dx;
        for (int i = AID_MAX(first, first - dx); i <= AID_MIN(last, last - dx); i++)
            sum += (double)row[i] * (double)other[i];
    }
    return sum;
}

/* The core tells: wings weigh next to nothing. Lags d and -d are the same. */
double aid_photometry_weights_factor(const aid_photometry_frame *frame, const float *weights,
                                     int side)
{
    if (is_white(frame))
        return 1.0;
    const double of_no_account = 0.002;
    double own = shifted_product(weights, side, side, 0, 0), factor = own;
    int half = AID_MAX(7, side / 3);
    for (int dy = 0; dy <= AID_NOISE_LAG; dy++)
        for (int dx = dy ? -AID_NOISE_LAG : 1; dx <= AID_NOISE_LAG; dx++) {
            double rho = correlation_at(frame, dx, dy);
            if (fabs(rho) > of_no_account)
                factor += 2.0 * rho * shifted_product(weights, side, half, dx, dy);
        }
    return own > 0.0 ? AID_MAX(factor / own, 0.0) : 1.0;
}

/* -------------------------------------------------------------------------------------- a row */

static unsigned flags_of_mask(uint8_t mask)
{
    return AID_PHOTOMETRY_MASKED | (mask & AID_MASK_SATURATED ? AID_PHOTOMETRY_SATURATED : 0U);
}

static bool belongs_to_other(int32_t owner, int32_t segment)
{
    return owner > 0 && segment != 0 && owner != segment;
}

unsigned aid_photometry_read_row(const aid_photometry_frame *frame, const photometry_row *row,
                                 const double *weights, double *values)
{
    const aid_image *image = frame->image;
    unsigned flags = 0;
    bool inside = row->y >= 0 && row->y < image->height;
    const float *pixels = inside ? aid_image_row(image, row->y) : NULL;
    bool masked = inside && frame->mask && frame->mask->data;
    const uint8_t *mask = masked ? aid_mask_row(frame->mask, row->y) : NULL;
    uint8_t bits = aid_photometry_bits(frame);
    const int32_t *owners = inside && frame->segments && row->segment
                                ? frame->segments + (int64_t)row->y * image->width
                                : NULL;
    for (int32_t i = 0; i < row->count; i++) {
        int32_t x = row->x0 + i;
        values[i] = NAN;
        if (weights && weights[i] == 0.0)
            continue;
        if (!inside || x < 0 || x >= image->width) {
            flags |= AID_PHOTOMETRY_EDGE;
            continue;
        }
        if (mask && mask[x] & bits) {
            flags |= flags_of_mask(mask[x]);
        } else if (owners && belongs_to_other(owners[x], row->segment)) {
            flags |= AID_PHOTOMETRY_BLENDED;
        } else {
            values[i] = (double)pixels[x];
            if (!isfinite(values[i])) {
                values[i] = NAN;
                flags |= AID_PHOTOMETRY_MASKED;
            }
        }
    }
    return flags;
}
