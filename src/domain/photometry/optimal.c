/* The flux of one star by its profile: every pixel counts by the PSF over the sky's variance. */
#include "domain/photometry/internal.h"

#include <stdlib.h>

typedef struct profile_sums {
    double data, model, variance; /* sum P D/s^2, P^2/s^2, P^2/s^4 (s^2 + f P/g) by and by */
    double cubes;                 /* sum P^3/s^4 */
    double wanted, found;         /* sum P^2 of all pixels, of the sound ones */
} profile_sums;

/* `sigma` 0 or NaN: unknown, all pixels weigh the same. */
static void add_row(const double *values, const float *profile, int count, double variance,
                    profile_sums *sums)
{
    for (int i = 0; i < count; i++) {
        double p = (double)profile[i];
        sums->wanted += p * p;
        if (!(values[i] == values[i]))
            continue;
        sums->found += p * p;
        sums->data += p * values[i] / variance;
        sums->model += p * p / variance;
        sums->cubes += p * p * p / (variance * variance);
    }
}

static double usable_variance(const aid_photometry_frame *frame, double x, double y)
{
    double sigma = aid_photometry_noise_at(frame, x, y);
    return sigma > 0.0 ? sigma * sigma : 1.0;
}

static unsigned sum_profile(const aid_photometry_frame *frame, const photometry_stamp *stamp,
                            double values[], profile_sums *sums)
{
    unsigned flags = 0;
    for (int j = 0; j < stamp->side; j++) {
        photometry_row row = {.y = stamp->top + j, .x0 = stamp->left, .count = stamp->side};
        unsigned raised = aid_photometry_read_row(frame, &row, NULL, values + j * stamp->side);
        /* Flags tell of the core alone: the wings reach far and weigh little. */
        if (abs(j - stamp->radius) <= stamp->radius / 2)
            flags |= raised;
        add_row(values + j * stamp->side, stamp->values + j * stamp->side, stamp->side,
                usable_variance(frame, stamp->x, stamp->top + j), sums);
    }
    return flags;
}

static double reduced_chi2(const photometry_stamp *stamp, const double *values, double flux,
                           double variance, double inverse_gain)
{
    double chi2 = 0.0;
    int count = 0;
    for (int i = 0; i < stamp->side * stamp->side; i++) {
        int dx = i % stamp->side - stamp->radius, dy = i / stamp->side - stamp->radius;
        if (!(values[i] == values[i]) || dx * dx + dy * dy > 0.25 * stamp->radius * stamp->radius)
            continue;
        double model = flux * (double)stamp->values[i], difference = values[i] - model;
        chi2 += difference * difference / (variance + AID_MAX(model, 0.0) * inverse_gain);
        count++;
    }
    return count > 1 ? chi2 / (count - 1) : NAN;
}

double aid_photometry_profile_flux(const aid_photometry_frame *frame, double x, double y)
{
    float profile[PHOTOMETRY_MAX_SIDE * PHOTOMETRY_MAX_SIDE];
    double values[PHOTOMETRY_MAX_SIDE * PHOTOMETRY_MAX_SIDE];
    photometry_stamp stamp = {.values = profile};
    profile_sums sums = {0};
    aid_photometry_cut_stamp(frame, x, y, &stamp);
    (void)sum_profile(frame, &stamp, values, &sums);
    return sums.model > 0.0 ? sums.data / sums.model : NAN;
}

aid_psf_flux aid_optimal_flux_at(const aid_photometry_frame *frame, double x, double y)
{
    aid_psf_flux flux = {
        .x = x, .y = y, .flux = NAN, .flux_err = NAN, .null_err = NAN, .chi2 = NAN, .missing = 1.0};
    if (!aid_photometry_on_image(frame->image, x, y)) {
        flux.flags = AID_PHOTOMETRY_OFF_IMAGE;
        return flux;
    }
    if (!aid_photometry_has_psf(frame))
        return flux;
    float profile[PHOTOMETRY_MAX_SIDE * PHOTOMETRY_MAX_SIDE];
    double values[PHOTOMETRY_MAX_SIDE * PHOTOMETRY_MAX_SIDE];
    photometry_stamp stamp = {.values = profile};
    aid_photometry_cut_stamp(frame, x, y, &stamp);
    profile_sums sums = {0};
    flux.flags = sum_profile(frame, &stamp, values, &sums);
    flux.missing = sums.wanted > 0.0 ? 1.0 - sums.found / sums.wanted : 1.0;
    flux.group = 1;
    if (!(sums.model > 0.0) || flux.missing > 0.99)
        return flux;
    double inverse_gain = aid_photometry_inverse_gain(frame);
    flux.flux = sums.data / sums.model;
    if (aid_photometry_has_noise(frame)) {
        double factor = aid_photometry_weights_factor(frame, profile, stamp.side);
        double photons = AID_MAX(flux.flux, 0.0) * inverse_gain * sums.cubes;
        flux.null_err = sqrt(factor / sums.model);
        flux.flux_err = sqrt(factor * sums.model + photons) / sums.model;
        flux.chi2 =
            reduced_chi2(&stamp, values, flux.flux, usable_variance(frame, x, y), inverse_gain);
    }
    double scale = aid_photometry_scale(frame);
    flux.flux *= scale;
    flux.flux_err *= scale;
    flux.null_err *= scale;
    return flux;
}
