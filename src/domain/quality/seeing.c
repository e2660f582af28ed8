/* Stars: how many, how broad, how round, and the faintest that would still be found. */
#include "core/base/memory.h"
#include "core/imaging/star_profile.h"
#include "core/imaging/stats.h"
#include "domain/quality/internal.h"

static const double pi = 3.14159265358979323846;
static const double fwhm_per_sigma = 2.354820045030949;
static const double detection_sigma = 5.0;
enum {
    LEAST_STARS = 3,   /* for a width */
    LEAST_A_PART = 8,  /* of the field, for its variation */
    PARTS = 2,         /* across */
    STAMP_RADIUS = 24, /* of a Gaussian that stands for a PSF */
    LAGS = 2 * AID_NOISE_LAG + 1
};

/* -------------------------------------------------------------------------------- from moments */

/* The median of 2.355 sqrt(a b) of the fit stars within the part, NaN for fewer than `least`. */
static double width_within(const aid_exposure *exposure, double *values, int part, int least)
{
    int count = 0;
    for (int i = 0; i < exposure->stars.count; i++) {
        const aid_star *star = &exposure->stars.items[i];
        int column = star->x < 0.5 * exposure->image.width ? 0 : 1;
        int row = star->y < 0.5 * exposure->image.height ? 0 : 1;
        if (aid_star_is_sound(star, 20.0) && (part < 0 || part == row * PARTS + column))
            values[count++] = fwhm_per_sigma * sqrt(star->a * star->b);
    }
    return count < least ? NAN : aid_median_in_place_f64(values, count);
}

/* Mean of (a^2 - b^2)/(a^2 + b^2) as a vector of twice the angle: noise, which stretches each star
 * another way, cancels; a trail does not. */
static void ellipticity_of_moments(const aid_stars *stars, aid_quality *quality)
{
    double x = 0.0, y = 0.0;
    int count = 0;
    for (int i = 0; i < stars->count; i++) {
        const aid_star *star = &stars->items[i];
        if (!aid_star_is_sound(star, 20.0))
            continue;
        double a2 = star->a * star->a, b2 = star->b * star->b;
        double angle = 2.0 * star->theta_deg * pi / 180.0;
        x += (a2 - b2) / (a2 + b2) * cos(angle);
        y += (a2 - b2) / (a2 + b2) * sin(angle);
        count++;
    }
    if (count < LEAST_STARS)
        return;
    double chi = AID_MIN(hypot(x, y) / count, 1.0);
    quality->ellipticity = 1.0 - sqrt((1.0 - chi) / (1.0 + chi));
    quality->theta_deg = 0.5 * atan2(y, x) * 180.0 / pi;
}

static aid_status shape_from_moments(const aid_exposure *exposure, aid_quality *quality,
                                     aid_error *err)
{
    AID_CLEANUP(aid_free_pointer)
    double *values = NULL;
    AID_TRY(aid_new_array((size_t)exposure->stars.count + 1, sizeof *values, "star widths", &values,
                          err));
    quality->fwhm_px = width_within(exposure, values, -1, LEAST_STARS);
    if (quality->fwhm_px > 0.0)
        quality->fwhm_px =
            aid_star_profile_fwhm(&exposure->image, &exposure->stars, quality->fwhm_px);
    ellipticity_of_moments(&exposure->stars, quality);
    double least = INFINITY, greatest = -INFINITY, sum = 0.0;
    for (int part = 0; part < PARTS * PARTS; part++) {
        double width = width_within(exposure, values, part, LEAST_A_PART);
        if (isnan(width))
            return AID_OK;
        least = AID_MIN(least, width);
        greatest = AID_MAX(greatest, width);
        sum += width;
    }
    quality->fwhm_variation = (greatest - least) / (sum / (PARTS * PARTS));
    return AID_OK;
}

/* At the centres of 3 x 3 parts of the field: a polynomial says more than it knows in corners. */
static double variation_of_psf(const aid_psf *psf, const aid_image *image)
{
    double least = INFINITY, greatest = -INFINITY, sum = 0.0;
    for (int k = 0; k < 9; k++) {
        double x = (k % 3 + 0.5) / 3.0 * image->width, y = (k / 3 + 0.5) / 3.0 * image->height;
        double width = aid_psf_fwhm(psf, x, y);
        least = AID_MIN(least, width);
        greatest = AID_MAX(greatest, width);
        sum += width;
    }
    return (greatest - least) / (sum / 9.0);
}

static void shape_from_psf(const aid_exposure *exposure, aid_quality *quality)
{
    const aid_psf *psf = &exposure->psf;
    quality->fwhm_px = psf->fwhm_px;
    quality->ellipticity = psf->ellipticity;
    quality->theta_deg = psf->theta_deg;
    quality->fwhm_variation = variation_of_psf(psf, &exposure->image);
}

static void count_stars(const aid_stars *stars, aid_quality *quality)
{
    for (int i = 0; i < stars->count; i++) {
        if (stars->items[i].flags & AID_STAR_SHARP)
            continue;
        quality->stars++;
        quality->saturated_stars += stars->items[i].flags & AID_STAR_SATURATED ? 1 : 0;
    }
}

/* -------------------------------------------------------------------------------- limiting flux */

/* sum over x of P(x) P(x + lag). */
static double stamp_overlap(const float *stamp, int side, int dx, int dy)
{
    double sum = 0.0;
    for (int y = AID_MAX(0, -dy); y < AID_MIN(side, side - dy); y++)
        for (int x = AID_MAX(0, -dx); x < AID_MIN(side, side - dx); x++)
            sum += (double)stamp[y * side + x] * (double)stamp[(y + dy) * side + x + dx];
    return sum;
}

static void gaussian_stamp(double fwhm_px, float *stamp)
{
    enum { SIDE = 2 * STAMP_RADIUS + 1 };
    double weights[SIDE], sum = 0.0, root = fwhm_px / fwhm_per_sigma * sqrt(2.0);
    for (int i = 0; i < SIDE; i++) {
        double x = i - STAMP_RADIUS;
        weights[i] = erf((x + 0.5) / root) - erf((x - 0.5) / root);
        sum += weights[i];
    }
    for (int j = 0; j < SIDE; j++)
        for (int i = 0; i < SIDE; i++)
            stamp[j * SIDE + i] = (float)(weights[j] * weights[i] / (sum * sum));
}

/* The flux of a star is best estimated by sum(P I)/sum(P^2) where the sky dominates (Horne 1986;
 * King 1983). Its variance is noise_area sigma^2 + flux star_share/gain, where
 *   noise_area = sum over lags of rho(lag) sum P(x)P(x+lag) / (sum P^2)^2,   star_share
 *   = sum P^3/(sum P^2)^2; the limit is where flux = 5 sigma(flux). */
static void limit_of(const aid_exposure *exposure, const float *stamp, int side,
                     aid_quality *quality)
{
    double squares = stamp_overlap(stamp, side, 0, 0), cubes = 0.0, power = 0.0;
    for (int i = 0; i < side * side; i++)
        cubes += (double)stamp[i] * (double)stamp[i] * (double)stamp[i];
    for (int dy = -AID_NOISE_LAG; dy <= AID_NOISE_LAG; dy++)
        for (int dx = -AID_NOISE_LAG; dx <= AID_NOISE_LAG; dx++) {
            double rho = (double)exposure->correlation.rho[dy + AID_NOISE_LAG][dx + AID_NOISE_LAG];
            bool same = dx == 0 && dy == 0;
            if (same || (exposure->correlation.measured && rho != 0.0))
                power += (same ? 1.0 : rho) * stamp_overlap(stamp, side, dx, dy);
        }
    quality->noise_area_px = AID_MAX(power, 0.05 * squares) / (squares * squares);
    double k2 = detection_sigma * detection_sigma;
    double gain = exposure->gain > 0.0 ? exposure->gain : INFINITY;
    double own = k2 * cubes / (squares * squares) / gain;
    double sky = k2 * quality->noise_area_px * quality->noise_level * quality->noise_level;
    quality->limiting_flux = 0.5 * (own + sqrt(own * own + 4.0 * sky));
    quality->limiting_mag = exposure->zero_point - 2.5 * log10(quality->limiting_flux);
}

static aid_status measure_limit(const aid_exposure *exposure, aid_quality *quality, aid_error *err)
{
    bool modelled = exposure->psf.terms > 0;
    int radius = modelled ? exposure->psf.radius_px : STAMP_RADIUS, side = 2 * radius + 1;
    if (!(quality->fwhm_px > 0.0))
        return AID_OK;
    AID_CLEANUP(aid_free_pointer)
    float *stamp = NULL;
    AID_TRY(aid_new_array((size_t)side * (size_t)side, sizeof *stamp, "PSF stamp", &stamp, err));
    if (modelled)
        aid_psf_stamp(&exposure->psf, exposure->psf.x0, exposure->psf.y0, 0.0, 0.0, radius, stamp);
    else
        gaussian_stamp(AID_MIN(quality->fwhm_px, STAMP_RADIUS), stamp);
    limit_of(exposure, stamp, side, quality);
    return AID_OK;
}

aid_status aid_quality_measure_seeing(const aid_exposure *exposure, aid_quality *quality,
                                      aid_error *err)
{
    quality->fwhm_px = quality->fwhm_arcsec = quality->fwhm_variation = NAN;
    quality->ellipticity = quality->theta_deg = NAN;
    quality->noise_area_px = quality->limiting_flux = quality->limiting_mag = NAN;
    count_stars(&exposure->stars, quality);
    if (exposure->psf.terms > 0)
        shape_from_psf(exposure, quality);
    else
        AID_TRY(shape_from_moments(exposure, quality, err));
    return measure_limit(exposure, quality, err);
}
