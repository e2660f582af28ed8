/* Point source, extended source or artefact, from three comparisons with the local PSF: is it
 * better described by a slightly broader one (SPREAD_MODEL), and does a single pixel stand out of
 * what the PSF leaves. */
#include "domain/photometry/internal.h"

enum { MAX_REACH = 40, MAX_SIDE = 2 * MAX_REACH + 1, PIXELS = MAX_SIDE * MAX_SIDE, CENTRINGS = 3 };

/* Scale length of the disc that broadens the PSF, in FWHM (Desai et al. 2012). */
static const double disc_scale = 1.0 / 16.0;
static const double reach_fwhm = 2.0;
/* A spread changes by the square of what the centre is off by, over that of the FWHM. */
static const double settled_fwhm = 0.002;
static const double faintest = 5.0; /* S/N below which nothing is said */
/* What a PSF model is wrong by: of the spread, and of a pixel relative to the model there. */
static const double spread_floor = 0.0015, pixel_floor = 0.05;

/* A source's pixels with the PSF as it fits best. */
typedef struct class_view {
    const aid_photometry_frame *frame;
    photometry_box box;
    int pixels;
    double x, y, flux, sky; /* sky: variance */
    double data[PIXELS], profile[PIXELS], broad[PIXELS];
    double gx[PIXELS], gy[PIXELS];
    photometry_stamp stamp;
    unsigned flags;
} class_view;

/* --------------------------------------------------------------------------------- centring */

static bool is_usable(double value)
{
    return value == value;
}

/* One Gauss-Newton step of flux and position on white noise; false where it is not determined. */
static bool centre_step(class_view *view)
{
    double a[3][3] = {{0.0}}, b[3] = {0.0};
    for (int p = 0; p < view->pixels; p++) {
        if (!is_usable(view->data[p]))
            continue;
        double row[3] = {view->profile[p], view->flux * view->gx[p], view->flux * view->gy[p]};
        double rest = view->data[p] - view->flux * view->profile[p];
        for (int i = 0; i < 3; i++) {
            for (int j = 0; j < 3; j++)
                a[i][j] += row[i] * row[j];
            b[i] += row[i] * rest;
        }
    }
    for (int i = 1; i < 3; i++) /* not farther than a pixel beforehand */
        a[i][i] += view->sky;
    for (int i = 0; i < 3; i++)
        for (int j = i + 1; j < 3; j++) {
            if (!(a[i][i] > 0.0))
                return false;
            double factor = a[j][i] / a[i][i];
            for (int k = 0; k < 3; k++)
                a[j][k] -= factor * a[i][k];
            b[j] -= factor * b[i];
        }
    double step[3];
    for (int i = 2; i >= 0; i--) {
        step[i] = b[i];
        for (int k = i + 1; k < 3; k++)
            step[i] -= a[i][k] * step[k];
        if (!(a[i][i] > 0.0))
            return false;
        step[i] /= a[i][i];
    }
    view->flux += step[0];
    view->x += AID_CLAMP(step[1], -0.5, 0.5);
    view->y += AID_CLAMP(step[2], -0.5, 0.5);
    return true;
}

static void sample(class_view *view)
{
    aid_photometry_shift_stamp(&view->stamp, view->x - view->stamp.x, view->y - view->stamp.y,
                               &view->box, view->profile, view->gx, view->gy);
}

/* The PSF under an exponential disc of scale length h, <r^2> = 6 h^2: as far as that moment tells,
 * the mean of four PSFs sqrt(6) h from the centre. */
static void sample_broad(class_view *view, double fwhm)
{
    double away = sqrt(3.0) * disc_scale * fwhm; /* along each axis */
    aid_photometry_spread_stamp(&view->stamp, view->x - view->stamp.x, view->y - view->stamp.y,
                                away, &view->box, view->broad);
}

static void read_pixels(class_view *view)
{
    for (int32_t j = 0; j < view->box.height; j++) {
        photometry_row row = {.y = view->box.y0 + j, .x0 = view->box.x0, .count = view->box.width};
        view->flags |= aid_photometry_read_row(view->frame, &row, NULL,
                                               view->data + (size_t)j * (size_t)view->box.width);
    }
}

/* --------------------------------------------------------------------------------- statistics */

/* Sums over the usable pixels: products of profile p, broad b and data d, and, with the variance of
 * every pixel v, of p and b. */
typedef struct spread_sums {
    double pp, bp, pd, bd, pvp, bvb, bvp;
} spread_sums;

static void measure_spread(const class_view *view, aid_classification *result)
{
    double inverse_gain = aid_photometry_inverse_gain(view->frame);
    spread_sums s = {0};
    for (int i = 0; i < view->pixels; i++) {
        if (!is_usable(view->data[i]))
            continue;
        double p = view->profile[i], b = view->broad[i];
        double v = view->sky + AID_MAX(view->flux * p, 0.0) * inverse_gain;
        s.pp += p * p;
        s.bp += b * p;
        s.pd += p * view->data[i];
        s.bd += b * view->data[i];
        s.pvp += p * p * v;
        s.bvb += b * b * v;
        s.bvp += b * p * v;
    }
    if (!(s.pp > 0.0 && s.pd > 0.0))
        return;
    result->spread = s.bd / s.pd - s.bp / s.pp;
    double variance = s.bvb * s.pd * s.pd + s.pvp * s.bd * s.bd - 2.0 * s.bd * s.pd * s.bvp;
    result->spread_err = sqrt(AID_MAX(variance, 0.0)) / (s.pd * s.pd);
    result->snr = s.pd / sqrt(s.pp * view->sky);
}

/* What a pixel and its neighbours would be called by a spike: the pixel over the mean of the four
 * around it, less the same of the PSF, in sigma. */
static double spike_at(const class_view *view, int p)
{
    int width = view->box.width;
    const int around[4] = {p - 1, p + 1, p - width, p + width};
    double inverse_gain = aid_photometry_inverse_gain(view->frame), model[5], rest[5];
    const int all[5] = {p, around[0], around[1], around[2], around[3]};
    for (int k = 0; k < 5; k++) {
        if (!is_usable(view->data[all[k]]))
            return 0.0;
        model[k] = view->flux * view->profile[all[k]];
        rest[k] = view->data[all[k]] - model[k];
    }
    double contrast = rest[0] - 0.25 * (rest[1] + rest[2] + rest[3] + rest[4]);
    double variance = view->sky + AID_MAX(model[0], 0.0) * inverse_gain +
                      pixel_floor * pixel_floor * model[0] * model[0];
    for (int k = 1; k < 5; k++)
        variance += (view->sky + AID_MAX(model[k], 0.0) * inverse_gain) / 16.0;
    return contrast / sqrt(variance);
}

static double largest_spike(const class_view *view, double reach)
{
    double largest = 0.0;
    for (int j = 1; j + 1 < view->box.height; j++)
        for (int i = 1; i + 1 < view->box.width; i++) {
            double dx = view->box.x0 + i - view->x, dy = view->box.y0 + j - view->y;
            if (dx * dx + dy * dy <= reach * reach)
                largest = AID_MAX(largest, spike_at(view, j * view->box.width + i));
        }
    return largest;
}

/* ------------------------------------------------------------------------------- probabilities */

static double normal_density(double x, double sigma)
{
    return exp(-0.5 * x * x / (sigma * sigma)) / (sigma * sqrt(2.0 * photometry_pi));
}

/* An exponential of scale `tau` from 0 up, seen with a normal error. */
static double exponential_density(double x, double sigma, double tau)
{
    double z = (x / sigma - sigma / tau) / sqrt(2.0);
    double exponent = 0.5 * sigma * sigma / (tau * tau) - x / tau;
    if (exponent > 600.0 || z < -25.0)
        return normal_density(x, sigma);
    return 0.5 / tau * exp(exponent) * erfc(-z);
}

/* The largest of a dozen spikes of noise (Gumbel's distribution), and of an artefact, whose spike
 * may be anything up to several times its significance as a star. */
static double spike_density_of_noise(double spike)
{
    const double mode = 1.7, width = 0.45;
    double t = AID_MAX(spike - mode, 0.0) / width; /* less than usual is no sign of an artefact */
    return exp(-t - exp(-t)) / width;
}

static double spike_density_of_artefact(double spike, double snr)
{
    double scale = AID_MAX(2.0 * snr, 5.0);
    return spike < 2.0 * scale ? 0.5 / scale : 0.5 / scale * exp(2.0 - spike / scale);
}

static void weigh(double spike, aid_classification *result)
{
    const double prior_point = 0.6, prior_extended = 0.38, prior_artefact = 0.02;
    const double galaxies = 0.02, anything = 0.05; /* spreads */
    double sigma = hypot(result->spread_err, spread_floor), x = result->spread;
    double calm = spike_density_of_noise(spike);
    double point = prior_point * calm * normal_density(x, sigma);
    double extended = prior_extended * calm * exponential_density(x, sigma, galaxies);
    double artefact = prior_artefact * spike_density_of_artefact(spike, result->snr) *
                      normal_density(x, hypot(sigma, anything));
    double sum = point + extended + artefact;
    if (!(sum > 0.0)) { /* all of them beyond what a double holds: only a spike is that unlike */
        point = extended = 0.0;
        artefact = sum = 1.0;
    }
    result->p_point = point / sum;
    result->p_extended = extended / sum;
    result->p_artefact = artefact / sum;
    if (result->snr < faintest)
        return;
    if (result->p_artefact >= 0.5)
        result->kind = AID_CLASS_ARTEFACT;
    else
        result->kind = result->p_extended > result->p_point ? AID_CLASS_EXTENDED : AID_CLASS_POINT;
}

/* ------------------------------------------------------------------------------------ a source */

static bool prepare(class_view *view, double fwhm)
{
    int reach = (int)ceil(AID_MAX(reach_fwhm * fwhm, 4.0));
    reach = AID_MIN(AID_MIN(reach, view->stamp.radius), MAX_REACH);
    view->box =
        (photometry_box){(int32_t)floor(view->x + 0.5) - reach,
                         (int32_t)floor(view->y + 0.5) - reach, 2 * reach + 1, 2 * reach + 1};
    view->pixels = view->box.width * view->box.height;
    read_pixels(view);
    sample(view);
    double pd = 0.0, pp = 0.0;
    for (int p = 0; p < view->pixels; p++)
        if (is_usable(view->data[p])) {
            pd += view->profile[p] * view->data[p];
            pp += view->profile[p] * view->profile[p];
        }
    view->flux = pd / pp;
    return pp > 0.0 && pd > 0.0;
}

static void centre(class_view *view, double fwhm)
{
    double x = view->x, y = view->y;
    for (int step = 0; step < CENTRINGS; step++) {
        double before_x = view->x, before_y = view->y;
        if (!centre_step(view) || hypot(view->x - x, view->y - y) > 0.5 * fwhm) {
            view->x = x;
            view->y = y;
            view->flags |= AID_PHOTOMETRY_NOT_CONVERGED;
            sample(view);
            return;
        }
        bool settled = hypot(view->x - before_x, view->y - before_y) < settled_fwhm * fwhm;
        if (settled && step > 0) { /* the profile as it was sampled is as good */
            view->x = before_x;
            view->y = before_y;
            return;
        }
        sample(view);
    }
}

aid_classification aid_classify_at(const aid_photometry_frame *frame, double x, double y)
{
    aid_classification result = {.spread = NAN,
                                 .spread_err = NAN,
                                 .sharpness = NAN,
                                 .p_point = NAN,
                                 .p_extended = NAN,
                                 .p_artefact = NAN,
                                 .snr = NAN};
    if (!aid_photometry_on_image(frame->image, x, y)) {
        result.flags = AID_PHOTOMETRY_OFF_IMAGE;
        return result;
    }
    double sigma = aid_photometry_noise_at(frame, x, y);
    if (!aid_photometry_has_psf(frame) || !(sigma > 0.0))
        return result;
    float pixels[PHOTOMETRY_MAX_SIDE * PHOTOMETRY_MAX_SIDE];
    class_view view; /* large, and not all of it is used: nobody clears it */
    view.frame = frame;
    view.x = x;
    view.y = y;
    view.sky = sigma * sigma;
    view.flags = 0;
    view.stamp = (photometry_stamp){.values = pixels};
    aid_photometry_cut_stamp(frame, x, y, &view.stamp);
    double fwhm = aid_photometry_psf_fwhm(frame, x, y);
    bool any = prepare(&view, fwhm);
    result.flags = view.flags;
    if (!any) {
        result.flags |= AID_PHOTOMETRY_NO_FLUX;
        return result;
    }
    centre(&view, fwhm);
    sample_broad(&view, fwhm);
    measure_spread(&view, &result);
    result.flags = view.flags;
    result.sharpness = largest_spike(&view, AID_MAX(0.75 * fwhm, 1.5));
    if (isfinite(result.spread))
        weigh(result.sharpness, &result);
    return result;
}
