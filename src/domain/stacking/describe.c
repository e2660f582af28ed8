/* What is known of the frames of a stack: flux scale, weight, and whether they belong to it. */
#include "core/base/memory.h"
#include "core/imaging/star_profile.h"
#include "core/imaging/stats.h"
#include "domain/stacking/stacking.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { CLIP_ROUNDS = 10, MOST_STARS = 500 };
static const double least_snr = 15.0;
static const double flat_error = 0.003; /* of two fluxes of one star, whatever their noise */
static const double least_radius_px = 3.0, most_radius_px = 30.0;
static const unsigned unusable = AID_STAR_TRUNCATED | AID_STAR_SATURATED | AID_STAR_SHARP;

/* ------------------------------------------------------------------------------------- the scale
 */

typedef struct flux_ratios {
    int count;
    double *value, *variance, *scratch; /* [count]: ln(reference/frame), in one piece of memory */
} flux_ratios;

static void ratios_done(flux_ratios *ratios)
{
    free(ratios->value);
}

/* The part of a pixel that lies within the circle, by 8 x 8 points of it. */
static double covered(double dx, double dy, double radius)
{
    enum { SIDE = 8 };
    double away = hypot(dx, dy);
    if (away < radius - 0.71 || away > radius + 0.71)
        return away < radius ? 1.0 : 0.0;
    int inside = 0;
    for (int j = 0; j < SIDE; j++)
        for (int i = 0; i < SIDE; i++)
            inside += hypot(dx + (i + 0.5) / SIDE - 0.5, dy + (j + 0.5) / SIDE - 0.5) < radius;
    return (double)inside / (SIDE * SIDE);
}

/* false where the circle reaches over the border or a masked pixel, or the flux is but noise. */
static bool measure_flux(const aid_exposure *exposure, double x, double y, double radius,
                         double *ret_flux, double *ret_relative_variance)
{
    int32_t x0 = (int32_t)floor(x - radius), x1 = (int32_t)ceil(x + radius);
    int32_t y0 = (int32_t)floor(y - radius), y1 = (int32_t)ceil(y + radius);
    if (!(x0 >= 0 && y0 >= 0 && x1 < exposure->image.width && y1 < exposure->image.height))
        return false;
    double flux = 0.0, area = 0.0;
    for (int32_t j = y0; j <= y1; j++) {
        const float *row = aid_image_row(&exposure->image, j);
        const uint8_t *mask = aid_mask_row(&exposure->mask, j);
        for (int32_t i = x0; i <= x1; i++) {
            double part = covered(i - x, j - y, radius);
            if (part > 0.0 && mask[i])
                return false;
            flux += part * (double)row[i];
            area += part;
        }
    }
    double noise = aid_mesh_at(&exposure->noise, x, y);
    double variance = area * noise * noise + AID_MAX(flux, 0.0) / exposure->gain;
    *ret_flux = flux;
    *ret_relative_variance = variance / (flux * flux);
    return flux > 0.0 && *ret_relative_variance < 1.0 / (least_snr * least_snr);
}

static double aperture_of(const aid_exposure *reference, const aid_exposure *frame, double scale)
{
    double a = reference->stars.fwhm_px, b = frame->stars.fwhm_px / scale;
    double fwhm_px = a > b || !isfinite(b) ? a : b;
    return AID_CLAMP(isfinite(fwhm_px) ? 2.0 * fwhm_px : 0.0, least_radius_px, most_radius_px);
}

/* Both fluxes in the same circle on the sky, wide enough for either seeing: whatever else is in it
 * is in both. The brightest stars are looked at, up to MOST_STARS that can be used. */
static aid_status match_fluxes(const aid_exposure *reference, const aid_exposure *frame,
                               const aid_registration *registration, flux_ratios *ret_ratios,
                               aid_error *err)
{
    flux_ratios ratios = {0};
    const aid_transform *map = &registration->transform;
    double radius = aperture_of(reference, frame, registration->scale);
    AID_TRY(aid_new_array(MOST_STARS, 3 * sizeof(double), "flux ratios", &ratios.value, err));
    ratios.variance = ratios.value + MOST_STARS;
    ratios.scratch = ratios.variance + MOST_STARS;
    for (int i = 0; i < reference->stars.count && ratios.count < MOST_STARS; i++) {
        const aid_star *star = &reference->stars.items[i];
        double x, y, flux, other, variance, other_variance;
        aid_transform_apply(map, star->x, star->y, &x, &y);
        if (star->flags & unusable ||
            !measure_flux(reference, star->x, star->y, radius, &flux, &variance) ||
            !measure_flux(frame, x, y, radius * registration->scale, &other, &other_variance))
            continue;
        ratios.value[ratios.count] = log(flux / other);
        ratios.variance[ratios.count++] = variance + other_variance + flat_error * flat_error;
    }
    *ret_ratios = ratios;
    return AID_OK;
}

/* Weighted mean of what lies within three sigma of the median; variables and blends do not. */
static void mean_ratio(flux_ratios *ratios, aid_stack_frame *frame)
{
    for (int i = 0; i < ratios->count; i++)
        ratios->scratch[i] = ratios->value[i];
    aid_robust spread = aid_robust_in_place_f64(ratios->scratch, ratios->count);
    double mean = spread.median, error = NAN;
    int kept = 0;
    for (int round = 0; round < CLIP_ROUNDS; round++) {
        double weights = 0.0, sum = 0.0, square = 0.0;
        int before = kept;
        kept = 0;
        for (int i = 0; i < ratios->count; i++) {
            double off = ratios->value[i] - mean;
            double sigma = AID_MAX(sqrt(ratios->variance[i]), 0.5 * spread.sigma);
            if (fabs(off) > 3.0 * sigma)
                continue;
            weights += 1.0 / ratios->variance[i];
            sum += off / ratios->variance[i];
            square += off * off / ratios->variance[i];
            kept++;
        }
        if (kept == 0)
            return;
        mean += sum / weights;
        error = sqrt(AID_MAX(square / kept, 1.0) / weights);
        if (kept == before)
            break;
    }
    frame->scale = exp(mean);
    frame->scale_err = frame->scale * error;
    frame->scale_stars = kept;
}

static aid_status find_scale(const aid_exposure *reference, const aid_exposure *exposure,
                             const aid_stack_options *options, aid_notes *notes,
                             aid_stack_frame *frame, aid_error *err)
{
    AID_CLEANUP(ratios_done)
    flux_ratios ratios = {0};
    AID_TRY(match_fluxes(reference, exposure, &frame->registration, &ratios, err));
    if (ratios.count >= options->min_scale_stars)
        mean_ratio(&ratios, frame);
    if (frame->scale_stars >= options->min_scale_stars)
        return AID_OK;
    double times = reference->epoch.exposure_s / exposure->epoch.exposure_s;
    frame->scale_stars = 0;
    frame->scale = times > 0.0 && isfinite(times) ? times : 1.0;
    frame->scale_err = NAN;
    aid_note_add(notes, "stack", "%s: %d stars to compare its flux scale by: %s", frame->name,
                 ratios.count,
                 times > 0.0 && isfinite(times) ? "that of the exposure times"
                                                : "taken for that of the reference");
    return AID_OK;
}

/* -------------------------------------------------------------------------------------- the rest
 */

static double number_or_nan(const aid_header *header, const char *const *keywords)
{
    double value = NAN;
    return aid_header_first_number(header, keywords, &value, NULL) ? value : NAN;
}

static double seeing_of(const aid_exposure *frame)
{
    return frame->stars.fwhm_px > 0.0
               ? aid_star_profile_fwhm(&frame->image, &frame->stars, frame->stars.fwhm_px)
               : NAN;
}

aid_status aid_stack_describe(const aid_exposure *reference, const aid_exposure *frame,
                              const aid_registration *registration,
                              const aid_stack_options *options, aid_notes *notes,
                              aid_stack_frame *ret_frame, aid_error *err)
{
    static const char *const read_noise[] = {"RDNOISE", "READNOIS", "RON", "ENOISE", NULL};
    static const char *const airmass[] = {"AIRMASS", "SECZ", NULL};
    aid_stack_frame described = {.registration = *registration,
                                 .sky = aid_mesh_median(&frame->background),
                                 .noise = aid_mesh_median(&frame->noise),
                                 .fwhm_px = seeing_of(frame) / registration->scale,
                                 .gain = frame->gain,
                                 .read_noise_e = number_or_nan(&frame->header, read_noise),
                                 .saturation = frame->saturation,
                                 .exposure_s = frame->epoch.exposure_s,
                                 .mid_mjd_utc = NAN,
                                 .start_mjd_utc = NAN,
                                 .airmass = number_or_nan(&frame->header, airmass)};
    snprintf(described.name, sizeof described.name, "%s", frame->name);
    if (frame->epoch.known) {
        described.mid_mjd_utc = frame->epoch.mid_mjd_utc;
        described.start_mjd_utc = frame->epoch.start_mjd_utc;
    }
    AID_TRY(find_scale(reference, frame, options, notes, &described, err));
    *ret_frame = described;
    return AID_OK;
}

/* -------------------------------------------------------------------------------------- weighing
 */

/* Light of one star in a second of this frame, in that of the reference. */
static double throughput_of(const aid_stack_frame *frame)
{
    double time = frame->exposure_s > 0.0 ? frame->exposure_s : 1.0;
    return 1.0 / (frame->scale * time);
}

static double median_of(const aid_stack_frame *frames, int count,
                        double (*value)(const aid_stack_frame *frame), double *scratch)
{
    for (int i = 0; i < count; i++)
        scratch[i] = value(&frames[i]);
    return aid_median_in_place_f64(scratch, count);
}

static double fwhm_of(const aid_stack_frame *frame)
{
    return frame->fwhm_px;
}

typedef struct typical_frame {
    double fwhm_px, throughput;
} typical_frame;

/* NaN fails no comparison: what is not known is no reason. */
static void judge(aid_stack_frame *frame, const typical_frame *typical,
                  const aid_stack_options *options)
{
    char *reason = frame->reason;
    size_t size = sizeof frame->reason;
    if (frame->reason[0])
        return;
    if (!(frame->noise > 0.0) || !isfinite(frame->scale) || !(frame->scale > 0.0))
        snprintf(reason, size, "noise %g and flux scale %g are no weight", frame->noise,
                 frame->scale);
    else if (frame->fwhm_px > options->max_fwhm_ratio * typical->fwhm_px)
        snprintf(reason, size, "seeing of %.2f px, beyond %.2f times the median of %.2f",
                 frame->fwhm_px, options->max_fwhm_ratio, typical->fwhm_px);
    else if (frame->registration.rms_px > options->max_rms_px)
        snprintf(reason, size, "registered to %.3f px rms only; %.3f are allowed",
                 frame->registration.rms_px, options->max_rms_px);
    else if (throughput_of(frame) < options->min_throughput * typical->throughput)
        snprintf(reason, size, "stars at %.0f %% of their median brightness: clouds",
                 100.0 * throughput_of(frame) / typical->throughput);
}

aid_status aid_stack_weigh(aid_stack_frame *frames, int count, const aid_stack_options *options,
                           aid_error *err)
{
    AID_CLEANUP(aid_free_pointer)
    double *scratch = NULL;
    AID_TRY(aid_new_array((size_t)AID_MAX(count, 1), sizeof *scratch, "weights", &scratch, err));
    const typical_frame typical = {.fwhm_px = median_of(frames, count, fwhm_of, scratch),
                                   .throughput = median_of(frames, count, throughput_of, scratch)};
    bool alike = options->method != AID_COMBINE_INVERSE_VARIANCE;
    double sum = 0.0;
    for (int i = 0; i < count; i++) {
        judge(&frames[i], &typical, options);
        double sigma = frames[i].scale * frames[i].noise;
        frames[i].weight = frames[i].reason[0] ? 0.0 : alike ? 1.0 : 1.0 / (sigma * sigma);
        sum += frames[i].weight;
    }
    if (!(sum > 0.0))
        AID_FAIL(err, AID_ERR_INVALID, "none of %d frames can be used; %s: %s", count,
                 count > 0 ? frames[0].name : "", count > 0 ? frames[0].reason : "");
    for (int i = 0; i < count; i++)
        frames[i].weight /= sum;
    return AID_OK;
}

/* --------------------------------------------------------------------------------------- summary
 */

/* Of the sum S of w_i s_i f_i, where a star has the flux F in all s_i f_i: its photons' variance is
 * sum w_i^2 s_i^2 (F/s_i)/g_i = F sum w_i^2 s_i/g_i, and that is F over the gain of the stack. */
aid_stack_summary aid_stack_summarise(const aid_stack_frame *frames, int count,
                                      double reference_exposure_s)
{
    aid_stack_summary sum = {.exposure_s = reference_exposure_s,
                             .first_mjd_utc = INFINITY,
                             .last_mjd_utc = -INFINITY,
                             .saturation = INFINITY};
    double photons = 0.0, reading = 0.0;
    for (int i = 0; i < count; i++) {
        const aid_stack_frame *f = &frames[i];
        if (!(f->weight > 0.0))
            continue;
        double ws = f->weight * f->scale, read_noise = f->read_noise_e / f->gain;
        sum.used++;
        sum.total_exposure_s += f->exposure_s;
        sum.mid_mjd_utc += f->weight * f->mid_mjd_utc;
        sum.first_mjd_utc = fmin(sum.first_mjd_utc, f->start_mjd_utc);
        sum.last_mjd_utc = fmax(sum.last_mjd_utc, f->start_mjd_utc + f->exposure_s / 86400.0);
        photons += f->weight * ws / f->gain;
        reading += ws * ws * read_noise * read_noise;
        sum.saturation = fmin(sum.saturation, f->scale * (f->saturation - f->sky));
        sum.airmass += f->weight * f->airmass;
        sum.fwhm_px += f->weight * f->fwhm_px;
    }
    sum.gain = photons > 0.0 ? 1.0 / photons : INFINITY;
    sum.read_noise_e = sqrt(reading) * sum.gain;
    return sum;
}
