/* Kron's elliptical apertures (Kron 1980, as SExtractor's AUTO) and the radii that hold given parts
 * of a source's light. */
#include "domain/photometry/internal.h"

#include <string.h>

enum { CHUNK = 256, RADIAL_BINS = 256, SUB = 4 };

/* ------------------------------------------------------------------------------- Kron's radius */

typedef struct kron_sums {
    double weighted, plain; /* sum r I, sum I */
} kron_sums;

/* The pixel opposite to (x, y), NaN where that cannot be used either. */
static double opposite_value(const aid_photometry_frame *frame, const aid_source_shape *source,
                             int32_t x, int32_t y)
{
    double value;
    photometry_row row = {.y = (int32_t)floor(2.0 * source->y + 0.49999 - y),
                          .x0 = (int32_t)floor(2.0 * source->x + 0.49999 - x),
                          .count = 1,
                          .segment = source->segment};
    (void)aid_photometry_read_row(frame, &row, NULL, &value);
    return value;
}

static void add_kron_row(const aid_photometry_frame *frame, const aid_source_shape *source,
                         const photometry_ellipse *ellipse, const photometry_row *row,
                         kron_sums *sums)
{
    double values[CHUNK];
    (void)aid_photometry_read_row(frame, row, NULL, values);
    double dy = row->y - source->y;
    for (int32_t i = 0; i < row->count; i++) {
        double dx = row->x0 + i - source->x;
        double u = ellipse->xx * dx + ellipse->xy * dy, v = ellipse->yx * dx + ellipse->yy * dy;
        double r2 = u * u + v * v;
        if (r2 > 1.0)
            continue;
        double value = values[i];
        if (!(value == value))
            value = opposite_value(frame, source, row->x0 + i, row->y);
        if (!(value == value))
            continue;
        sums->weighted += sqrt(r2) * value;
        sums->plain += value;
    }
}

/* First moment of the radius within reach x (a, b), in units of a, b; NaN where it has none. */
static double first_moment(const aid_photometry_frame *frame, const aid_source_shape *source,
                           double reach)
{
    photometry_ellipse ellipse =
        aid_photometry_ellipse_of(reach * source->a_px, reach * source->b_px, source->theta_deg);
    photometry_window window = aid_photometry_window_of(&ellipse, source->x, source->y);
    kron_sums sums = {0};
    for (int32_t y = window.y0; y <= window.y1; y++)
        for (int32_t x = window.x0; x <= window.x1; x += CHUNK) {
            photometry_row row = {.y = y,
                                  .x0 = x,
                                  .count = AID_MIN(CHUNK, window.x1 - x + 1),
                                  .segment = source->segment};
            add_kron_row(frame, source, &ellipse, &row, &sums);
        }
    bool sound = sums.weighted > 0.0 && sums.plain > 0.0;
    return sound ? reach * sums.weighted / sums.plain : NAN;
}

static bool is_ellipse(const aid_source_shape *source, double scale)
{
    const double largest = 2048.0;
    return source->b_px > 0.0 && source->a_px >= source->b_px && isfinite(source->theta_deg) &&
           scale * source->a_px <= largest;
}

aid_kron_flux aid_kron_at(const aid_photometry_frame *frame, const aid_source_shape *source,
                          const aid_kron_options *options)
{
    aid_kron_flux flux = {
        .flux = NAN, .flux_err = NAN, .radius = NAN, .a_px = NAN, .b_px = NAN, .missing = 1.0};
    if (!aid_photometry_on_image(frame->image, source->x, source->y)) {
        flux.flags = AID_PHOTOMETRY_OFF_IMAGE;
        return flux;
    }
    if (!is_ellipse(source, options->reach)) {
        flux.flags = AID_PHOTOMETRY_NO_FLUX;
        return flux;
    }
    double moment = first_moment(frame, source, options->reach);
    flux.radius = AID_MAX(options->factor * moment, options->minimum);
    if (!isfinite(moment)) {
        flux.radius = options->minimum;
        flux.flags |= AID_PHOTOMETRY_NO_FLUX;
    }
    flux.a_px = flux.radius * source->a_px;
    flux.b_px = flux.radius * source->b_px;
    aid_aperture aperture = {.a_px = flux.a_px,
                             .b_px = flux.b_px,
                             .theta_deg = source->theta_deg,
                             .whole_pixels = options->whole_pixels,
                             .segment = source->segment,
                             .mirror = true};
    if (aid_aperture_check(&aperture, NULL) != AID_OK) {
        flux.flags |= AID_PHOTOMETRY_NO_FLUX;
        return flux;
    }
    aid_aperture_flux sum = aid_aperture_at(frame, &aperture, source->x, source->y);
    flux.flux = sum.flux;
    flux.flux_err = sum.flux_err;
    flux.missing = sum.missing;
    flux.flags |= sum.flags;
    return flux;
}

/* ---------------------------------------------------------------------------- radii of fractions
 */

/* Light in rings of reach/RADIAL_BINS, every pixel as SUB x SUB points. */
static void fill_rings(const aid_photometry_frame *frame, const aid_source_shape *source,
                       double reach, double *rings)
{
    int32_t r = (int32_t)reach + 1, cx = (int32_t)floor(source->x + 0.5);
    int32_t cy = (int32_t)floor(source->y + 0.5);
    for (int32_t y = cy - r; y <= cy + r; y++)
        for (int32_t x = cx - r; x <= cx + r; x++) {
            double value;
            photometry_row row = {.y = y, .x0 = x, .count = 1, .segment = source->segment};
            (void)aid_photometry_read_row(frame, &row, NULL, &value);
            if (!(value == value))
                value = opposite_value(frame, source, x, y);
            if (!(value == value))
                continue;
            for (int k = 0; k < SUB * SUB; k++) {
                double dx = x - source->x + (k % SUB + 0.5) / SUB - 0.5;
                double dy = y - source->y + (k / SUB + 0.5) / SUB - 0.5;
                double bin = hypot(dx, dy) / reach * RADIAL_BINS;
                if (bin < RADIAL_BINS)
                    rings[(int)bin] += value / (SUB * SUB);
            }
        }
}

static double flux_within(const aid_photometry_frame *frame, const aid_source_shape *source,
                          double radius)
{
    aid_aperture aperture = AID_APERTURE_CIRCLE(radius);
    aperture.segment = source->segment;
    aperture.mirror = true;
    return aid_aperture_at(frame, &aperture, source->x, source->y).flux;
}

/* The crossing that the rings found, by exact sums: regula falsi within two rings of it. */
static double refine_radius(const aid_photometry_frame *frame, const aid_source_shape *source,
                            double guess, double width, double wanted)
{
    double low = AID_MAX(guess - 2.0 * width, 0.1), high = guess + 2.0 * width;
    double at_low = flux_within(frame, source, low) - wanted;
    double at_high = flux_within(frame, source, high) - wanted;
    if (!(at_low < 0.0 && at_high > 0.0))
        return guess;
    double middle = guess;
    for (int step = 0; step < 4; step++) {
        middle = low - at_low * (high - low) / (at_high - at_low);
        double value = flux_within(frame, source, middle) - wanted;
        if (value < 0.0) {
            low = middle;
            at_low = value;
        } else {
            high = middle;
            at_high = value;
        }
        if (!(at_high > at_low))
            break;
    }
    return middle;
}

void aid_flux_radius(const aid_photometry_frame *frame, const aid_source_shape *source,
                     double reach_px, double total, const double *fractions, int count,
                     double *ret_radii_px)
{
    const double largest = 2048.0;
    for (int k = 0; k < count; k++)
        ret_radii_px[k] = NAN;
    if (!aid_photometry_on_image(frame->image, source->x, source->y) ||
        !(reach_px > 0.0 && reach_px <= largest))
        return;
    double rings[RADIAL_BINS] = {0.0}, all = 0.0, width = reach_px / RADIAL_BINS;
    fill_rings(frame, source, reach_px, rings);
    for (int i = 0; i < RADIAL_BINS; i++)
        all += rings[i];
    if (!(total > 0.0))
        total = all;
    for (int k = 0; k < count && total > 0.0; k++) {
        double sum = 0.0, wanted = fractions[k] * total;
        for (int i = 0; i < RADIAL_BINS; i++) {
            if (rings[i] > 0.0 && sum < wanted && sum + rings[i] >= wanted) {
                double guess = (i + (wanted - sum) / rings[i]) * width;
                ret_radii_px[k] = refine_radius(frame, source, guess, AID_MAX(width, 0.05), wanted);
                break;
            }
            sum += rings[i];
        }
    }
}
