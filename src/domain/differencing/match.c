/* Stars common to both images, and the flux ratio that they give. */
#include "core/base/memory.h"
#include "core/imaging/linalg.h"
#include "core/imaging/point_grid.h"
#include "core/imaging/stats.h"
#include "domain/differencing/internal.h"

#include <stdlib.h>

enum { MAX_MATCHED = 600, MIN_STARS_FOR_RATIO = 3 };
static const double min_snr = 20.0;
static const double match_radius_fwhm = 0.75;

/* ------------------------------------------------------------------------- PSF photometry --- */

typedef struct photometer {
    const aid_exposure *exposure;
    int radius;   /* of the fit, px */
    float *stamp; /* of the whole PSF: what is cut off stays in its normalisation */
} photometer;

static aid_status photometer_init(const aid_exposure *exposure, double radius_px,
                                  photometer *ret_meter, aid_error *err)
{
    int reach = exposure->psf.radius_px, side = 2 * reach + 1;
    *ret_meter = (photometer){.exposure = exposure, .radius = AID_MIN((int)ceil(radius_px), reach)};
    return aid_new_buffer((size_t)side * (size_t)side, sizeof(float), "photometry",
                          &ret_meter->stamp, err);
}

static void photometer_done(photometer *meter)
{
    free(meter->stamp);
}

typedef struct fit_sums { /* of the PSF p and the pixels d */
    double n, p, pp, d, pd;
} fit_sums;

static void add_row(const float *restrict pixels, const float *restrict psf, int from, int to,
                    fit_sums *sums)
{
    for (int i = from; i <= to; i++) {
        double p = (double)psf[i], d = (double)pixels[i];
        sums->n += 1.0, sums->p += p, sums->pp += p * p, sums->d += d, sums->pd += p * d;
    }
}

/* Flux by least squares of PSF + constant over a circle, and its variance: the constant keeps the
 * error of the background map out. false near the border or a masked pixel. */
static bool psf_flux(const photometer *meter, double x, double y, double *ret_flux,
                     double *ret_variance)
{
    const aid_exposure *exposure = meter->exposure;
    const aid_image *image = &exposure->image;
    int cx = (int)lround(x), cy = (int)lround(y), r = meter->radius;
    int reach = exposure->psf.radius_px, side = 2 * reach + 1;
    if (cx < r || cy < r || cx >= image->width - r || cy >= image->height - r)
        return false;
    for (int j = -r; j <= r; j++)
        for (int i = -r; i <= r; i++)
            if (i * i + j * j <= r * r && aid_mask_row(&exposure->mask, cy + j)[cx + i])
                return false;
    aid_psf_stamp(&exposure->psf, x, y, x - cx, y - cy, reach, meter->stamp);
    fit_sums sums = {0};
    for (int j = -r; j <= r; j++) {
        int half = (int)sqrt((double)(r * r - j * j));
        add_row(aid_image_row(image, cy + j) + cx,
                meter->stamp + (size_t)(j + reach) * (size_t)side + reach, -half, half, &sums);
    }
    double determinant = sums.n * sums.pp - sums.p * sums.p;
    if (!(determinant > 0.0))
        return false;
    double flux = (sums.n * sums.pd - sums.p * sums.d) / determinant;
    double rms = aid_mesh_at(&exposure->noise, x, y), sky = sums.n / determinant * rms * rms;
    *ret_flux = flux;
    *ret_variance = sky + 1.5 * AID_MAX(flux, 0.0) / exposure->gain;
    return true;
}

/* ---------------------------------------------------------------------------------- matching ---
 */

static bool good_for_photometry(const aid_star *star)
{
    return !(star->flags &
             (AID_STAR_TRUNCATED | AID_STAR_SATURATED | AID_STAR_MASKED | AID_STAR_SHARP)) &&
           star->flux > 0.0;
}

static bool measure_pair(const photometer *science, const photometer *reference, const aid_star *s,
                         const aid_star *r, aid_matched_star *ret_star)
{
    double fs, vs, fr, vr;
    if (!psf_flux(science, s->x, s->y, &fs, &vs) || !psf_flux(reference, r->x, r->y, &fr, &vr))
        return false;
    if (!(fs > min_snr * sqrt(vs) && fr > min_snr * sqrt(vr)))
        return false;
    double ratio = fs / fr;
    *ret_star = (aid_matched_star){.x = s->x,
                                   .y = s->y,
                                   .dx = s->x - r->x,
                                   .dy = s->y - r->y,
                                   .flux_science = fs,
                                   .flux_reference = fr,
                                   .ratio = ratio,
                                   .ratio_err = fabs(ratio) * sqrt(vs / (fs * fs) + vr / (fr * fr)),
                                   .used = true};
    return true;
}

static aid_status match_stars(const aid_exposure *science, const aid_exposure *reference,
                              aid_photometric_match *match, aid_error *err)
{
    double fwhm = AID_MAX(science->psf.fwhm_px, reference->psf.fwhm_px);
    AID_CLEANUP(photometer_done)
    photometer of_science = {0}, of_reference = {0};
    AID_TRY(photometer_init(science, AID_MAX(2.0 * fwhm, 3.0), &of_science, err));
    AID_TRY(photometer_init(reference, AID_MAX(2.0 * fwhm, 3.0), &of_reference, err));
    double match_radius = AID_CLAMP(match_radius_fwhm * fwhm, 1.0, 6.0);
    AID_CLEANUP(aid_point_grid_done)
    aid_point_grid grid = {0};
    AID_TRY(aid_new_array(MAX_MATCHED, sizeof *match->stars, "matched stars", &match->stars, err));
    AID_TRY(aid_point_grid_of_stars(&reference->stars, &grid, err));
    for (int i = 0; i < science->stars.count; i++) {
        const aid_star *star = &science->stars.items[i];
        if (match->count == MAX_MATCHED || !good_for_photometry(star))
            continue;
        int k = aid_point_grid_nearest(&grid, star->x, star->y, match_radius);
        if (k >= 0 && good_for_photometry(&reference->stars.items[k]) &&
            measure_pair(&of_science, &of_reference, star, &reference->stars.items[k],
                         &match->stars[match->count]))
            match->count++;
    }
    return AID_OK;
}

/* ------------------------------------------------------------------------------- robust ratio ---
 */

static void terms_at(double u, double v, double terms[6])
{
    const double values[6] = {1.0, u, v, u * u, u * v, v * v};
    for (int i = 0; i < 6; i++)
        terms[i] = values[i];
}

static double polynomial_at(const aid_photometric_match *match, double u, double v)
{
    double terms[6], sum = 0.0;
    terms_at(u, v, terms);
    for (int i = 0; i < 6; i++)
        sum += match->coefficients[i] * terms[i];
    return sum;
}

double aid_flux_ratio_at(const aid_photometric_match *match, int width, int height, double x,
                         double y)
{
    return polynomial_at(match, (x - 0.5 * width) / (0.5 * width),
                         (y - 0.5 * height) / (0.5 * height));
}

/* Weighted least squares through the stars in use; `floor` is the scatter that the errors do not
 * explain (flat fields, colour terms). */
static aid_status fit_ratio(aid_photometric_match *match, double width, double height, double floor,
                            aid_error *err)
{
    int n = (match->degree + 1) * (match->degree + 2) / 2;
    double normal[36] = {0}, right[6] = {0};
    for (int i = 0; i < match->count; i++) {
        const aid_matched_star *star = &match->stars[i];
        if (!star->used)
            continue;
        double terms[6];
        terms_at((star->x - 0.5 * width) / (0.5 * width), (star->y - 0.5 * height) / (0.5 * height),
                 terms);
        double weight = 1.0 / (star->ratio_err * star->ratio_err + floor * floor);
        for (int j = 0; j < n; j++) {
            right[j] += weight * terms[j] * star->ratio;
            for (int k = 0; k < n; k++)
                normal[j * n + k] += weight * terms[j] * terms[k];
        }
    }
    AID_TRY(aid_cholesky_factor_jittered(n, normal, 1e-6, NULL, err));
    aid_cholesky_solve(n, normal, right);
    for (int j = 0; j < 6; j++)
        match->coefficients[j] = j < n ? right[j] : 0.0;
    return AID_OK;
}

/* Robust scatter of the stars about the fit, relative, and which of them stay. */
static aid_status clip_stars(aid_photometric_match *match, double width, double height,
                             aid_error *err)
{
    AID_CLEANUP(aid_free_pointer)
    double *deviation = NULL, *pull = NULL;
    AID_TRY(aid_new_array((size_t)match->count, sizeof(double), "flux ratio", &deviation, err));
    AID_TRY(aid_new_array((size_t)match->count, sizeof(double), "flux ratio", &pull, err));
    for (int i = 0; i < match->count; i++) {
        const aid_matched_star *star = &match->stars[i];
        double model = aid_flux_ratio_at(match, (int)width, (int)height, star->x, star->y);
        deviation[i] = star->ratio / model - 1.0;
        pull[i] = deviation[i];
    }
    aid_robust all = aid_robust_in_place_f64(pull, match->count);
    match->scatter = all.sigma;
    match->used = 0;
    for (int i = 0; i < match->count; i++) {
        aid_matched_star *star = &match->stars[i];
        double error = AID_MAX(star->ratio_err / fabs(star->ratio), 0.7 * all.sigma);
        star->used = fabs(deviation[i]) <= 3.0 * error + 1e-9;
        match->used += star->used;
    }
    return AID_OK;
}

/* Scatter of the bright stars about the fit, in units of the ratio: what photons do not explain. */
static double intrinsic_scatter(const aid_photometric_match *match, double width, double height)
{
    double deviation[MAX_MATCHED];
    int count = 0;
    for (int i = 0; i < match->count; i++) {
        const aid_matched_star *star = &match->stars[i];
        double model = aid_flux_ratio_at(match, (int)width, (int)height, star->x, star->y);
        if (star->ratio_err < 0.01 * star->ratio)
            deviation[count++] = star->ratio - model;
    }
    double floor = 0.002 * match->coefficients[0];
    if (count < 10)
        return AID_MAX(0.5 * match->scatter * match->coefficients[0], floor);
    return AID_MAX(aid_robust_in_place_f64(deviation, count).sigma, floor);
}

static double median_ratio(const aid_photometric_match *match)
{
    double ratios[MAX_MATCHED];
    for (int i = 0; i < match->count; i++)
        ratios[i] = match->stars[i].ratio;
    return aid_median_in_place_f64(ratios, match->count);
}

/* Standard error of a weighted mean of the stars in use. */
static double ratio_error(const aid_photometric_match *match, double floor)
{
    double weight = 0.0;
    for (int i = 0; i < match->count; i++)
        if (match->stars[i].used)
            weight += 1.0 / (match->stars[i].ratio_err * match->stars[i].ratio_err + floor * floor);
    return weight > 0.0 ? 1.0 / sqrt(weight) : NAN;
}

static aid_status ratio_from_stars(aid_photometric_match *match, double width, double height,
                                   aid_error *err)
{
    match->degree = match->count >= 60 ? 2 : match->count >= 15 ? 1 : 0;
    match->coefficients[0] = median_ratio(match);
    for (int iteration = 0; iteration < 6; iteration++) {
        AID_TRY(clip_stars(match, width, height, err));
        AID_TRY(
            fit_ratio(match, width, height, 0.5 * match->scatter * match->coefficients[0], err));
    }
    match->ratio = match->coefficients[0];
    match->ratio_err = ratio_error(match, intrinsic_scatter(match, width, height));
    return AID_OK;
}

aid_status aid_match_photometry(const aid_exposure *science, const aid_exposure *reference,
                                aid_notes *notes, aid_photometric_match *ret_match, aid_error *err)
{
    double width = science->image.width, height = science->image.height;
    aid_photometric_match match = {0};
    aid_status status = match_stars(science, reference, &match, err);
    if (status == AID_OK && match.count >= MIN_STARS_FOR_RATIO) {
        status = ratio_from_stars(&match, width, height, err);
    } else if (status == AID_OK && isfinite(science->zero_point) &&
               isfinite(reference->zero_point)) {
        match.ratio = pow(10.0, 0.4 * (science->zero_point - reference->zero_point));
        match.coefficients[0] = match.ratio;
        match.scatter = match.ratio_err = NAN;
        aid_note_add(notes, "subtract", "flux ratio from the zero points: only %d common stars",
                     match.count);
    } else if (status == AID_OK) {
        status =
            AID_ERROR(err, AID_ERR_NUMERIC,
                      "%s and %s: %d stars in common above S/N %g; the flux ratio needs %d",
                      science->name, reference->name, match.count, min_snr, MIN_STARS_FOR_RATIO);
    }
    if (status != AID_OK) {
        free(match.stars);
        return status;
    }
    *ret_match = match;
    return AID_OK;
}
