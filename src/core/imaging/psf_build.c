/* From stars to a model, step by step. */
#include "core/base/macros.h"
#include "core/base/memory.h"
#include "core/imaging/linalg.h"
#include "core/imaging/psf_internal.h"
#include "core/imaging/stats.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

static const double clip_sigma = 5.0;
static const double hopeless = 0.3;     /* residual of a star, of its peak */
static const double enough_snr = 150.0; /* of all stars together, for more than a Moffat function */

static void start_model(psf_builder *builder, double fwhm_px)
{
    aid_psf *psf = &builder->psf;
    double width = builder->image->width, height = builder->image->height;
    *psf = (aid_psf){.terms = 1,
                     .x0 = 0.5 * (width - 1.0),
                     .y0 = 0.5 * (height - 1.0),
                     .scale_x = 0.5 * AID_MAX(width, 2.0),
                     .scale_y = 0.5 * AID_MAX(height, 2.0),
                     .beta = 3.0};
    builder->fwhm_px = fwhm_px;
    for (int g = 0; g < PSF_TAUS; g++)
        builder->tau[g] = 0.03;
    for (int g = 0; g < PSF_VARIATIONS; g++)
        builder->variation[g] = 0.3;
    psf->log_scale[0] = log(0.5 * fwhm_px / sqrt(exp2(1.0 / psf->beta) - 1.0));
}

static double first_fwhm(const aid_stars *stars)
{
    const double usual = 3.0, least = 1.0, most = 40.0;
    if (!(stars->fwhm_px > 0.0) || !isfinite(stars->fwhm_px))
        return usual;
    return AID_CLAMP(stars->fwhm_px, least, most);
}

static int stamp_radius(const psf_builder *builder, const aid_psf_options *options)
{
    const double usual = 24.0;
    double fwhm = builder->fwhm_px, radius = AID_MIN(4.0 * fwhm, AID_MAX(usual, 3.0 * fwhm));
    if (options->radius_px > 0)
        radius = options->radius_px;
    return (int)ceil(AID_CLAMP(radius, 5.0, (double)AID_PSF_MAX_RADIUS));
}

static void set_degree(aid_psf *psf, int degree)
{
    psf->degree = degree;
    psf->terms = aid_psf_terms_of_degree(degree);
}

/* The Moffat function: one shape for the whole field first, which finds galaxies and neighbours. */
static aid_status fit_moffat(psf_builder *builder, const aid_psf_options *options, aid_error *err)
{
    builder->radius = stamp_radius(builder, options);
    AID_TRY(aid_psf_cut_stamps(builder, false, err));
    AID_TRY(aid_psf_fit_shape(builder, 10, err));
    AID_TRY(aid_psf_reject_stars(builder, err));
    builder->clip = clip_sigma;
    AID_TRY(aid_psf_fit_shape(builder, 4, err));
    AID_TRY(aid_psf_reject_stars(builder, err));

    builder->radius = stamp_radius(builder, options);
    AID_TRY(aid_psf_cut_stamps(builder, true, err));
    AID_TRY(aid_psf_fit_shape(builder, 3, err));
    AID_TRY(aid_psf_reject_stars(builder, err));
    int degree;
    AID_TRY(aid_psf_choose_degree(builder, AID_CLAMP(options->max_degree, 0, AID_PSF_MAX_DEGREE),
                                  &degree, err));
    set_degree(&builder->psf, degree);
    for (int round = 0; round < 4; round++) {
        AID_TRY(aid_psf_fit_shape(builder, 2, err));
        AID_TRY(aid_psf_reject_stars(builder, err));
    }
    return AID_OK;
}

static bool enough_for_planes(const psf_builder *builder)
{
    double sum = 0.0;
    for (int i = 0; i < builder->count; i++)
        if (builder->stars[i].used)
            sum += builder->stars[i].snr * builder->stars[i].snr;
    return builder->used >= 4 || sum >= enough_snr * enough_snr;
}

/* Drops the star that alone accounts for more than half of what the planes have gained: a neighbour
 * or a galaxy under a bright star looks to them like a variation of the PSF. */
static bool drop_dominant_star(psf_builder *builder, const double *chi2_before)
{
    enum { ENOUGH_OTHERS = 8 };
    const double significant = 30.0, most = 0.5;
    double total = 0.0, largest = 0.0;
    int dominant = -1;
    for (int i = 0; i < builder->count; i++) {
        const psf_star *star = builder->stars + i;
        double gain = star->used ? chi2_before[i] - star->chi2 : 0.0;
        total += AID_MAX(gain, 0.0);
        if (gain > largest) {
            largest = gain;
            dominant = i;
        }
    }
    if (builder->used < ENOUGH_OTHERS || largest < significant || largest < most * total)
        return false;
    builder->stars[dominant].used = false;
    builder->used--;
    return true;
}

static aid_status fit_planes(psf_builder *builder, aid_error *err)
{
    enum { ROUNDS = 3 };
    AID_CLEANUP(aid_free_pointer)
    double *chi2 = NULL;
    AID_TRY(aid_new_array((size_t)builder->count, sizeof *chi2, "PSF stars", &chi2, err));
    builder->model_error = 0.005;
    AID_TRY(aid_psf_make_profile(&builder->psf, NULL, 0, err));
    AID_TRY(aid_psf_fit_stars(builder, 2, err));
    for (int i = 0; i < builder->count; i++)
        chi2[i] = builder->stars[i].chi2;
    bool dropped = true;
    for (int round = 0; round < ROUNDS && dropped; round++) {
        AID_TRY(aid_psf_fit_residual(builder, err));
        AID_TRY(aid_psf_fit_stars(builder, 2, err));
        dropped = drop_dominant_star(builder, chi2);
    }
    AID_TRY(aid_psf_reject_stars(builder, err));
    AID_TRY(aid_psf_fit_residual(builder, err));
    return aid_psf_fit_stars(builder, 2, err);
}

/* ---------------------------------------------------------------------------- finishing touches */

enum { FIELD = 5 }; /* places across the field, each way */

static void field_place(const aid_psf *psf, int i, int j, double *ret_x, double *ret_y)
{
    *ret_x = psf->x0 + psf->scale_x * (2.0 * i / (FIELD - 1) - 1.0);
    *ret_y = psf->y0 + psf->scale_y * (2.0 * j / (FIELD - 1) - 1.0);
}

/* Puts the windowed centroid of the model at 0 everywhere, to the precision of the polynomial. */
static aid_status centre_model(psf_builder *builder, aid_error *err)
{
    aid_psf *psf = &builder->psf;
    double design[FIELD * FIELD * AID_PSF_MAX_TERMS], x[FIELD * FIELD], y[FIELD * FIELD];
    for (int j = 0; j < FIELD; j++)
        for (int i = 0; i < FIELD; i++) {
            int k = j * FIELD + i;
            double at_x, at_y;
            field_place(psf, i, j, &at_x, &at_y);
            aid_psf_terms_at(psf, at_x, at_y, design + k * psf->terms);
            psf_place place;
            aid_psf_place_at(psf, at_x, at_y, &place);
            aid_psf_windowed_centroid(psf, &place, builder->fwhm_px, x + k, y + k);
        }
    aid_linear_fit fit = {
        .rows = FIELD * FIELD, .unknowns = psf->terms, .design = design, .values = x};
    AID_TRY(aid_least_squares(&fit, psf->shift_x, NULL, NULL, err));
    fit.values = y;
    return aid_least_squares(&fit, psf->shift_y, NULL, NULL, err);
}

static void measure_field(aid_psf *psf)
{
    psf_isophote centre = aid_psf_isophote_at(psf, psf->x0, psf->y0);
    psf->fwhm_px = psf->fwhm_min_px = psf->fwhm_max_px = centre.fwhm_px;
    psf->ellipticity = centre.ellipticity;
    psf->theta_deg = centre.theta_deg;
    for (int j = 0; j < FIELD; j++)
        for (int i = 0; i < FIELD; i++) {
            double x, y;
            field_place(psf, i, j, &x, &y);
            double fwhm = aid_psf_fwhm(psf, x, y);
            psf->fwhm_min_px = AID_MIN(psf->fwhm_min_px, fwhm);
            psf->fwhm_max_px = AID_MAX(psf->fwhm_max_px, fwhm);
        }
}

static aid_status measure_quality(psf_builder *builder, aid_error *err)
{
    aid_psf *psf = &builder->psf;
    AID_CLEANUP(aid_free_pointer)
    double *residuals = NULL;
    AID_TRY(
        aid_new_array((size_t)builder->count, sizeof *residuals, "PSF residuals", &residuals, err));
    double chi2 = 0.0, freedom = 0.0;
    int count = 0;
    for (int i = 0; i < builder->count; i++) {
        const psf_star *star = builder->stars + i;
        if (!star->used)
            continue;
        chi2 += star->chi2;
        freedom += star->pixels_used - PSF_NUISANCE;
        residuals[count++] = star->residual;
    }
    float stamp[(2 * AID_PSF_MAX_RADIUS + 1) * (2 * AID_PSF_MAX_RADIUS + 1)];
    aid_psf_stamp(psf, psf->x0, psf->y0, 0.0, 0.0, psf->radius_px, stamp);
    double peak = (double)stamp[2 * psf->radius_px * (psf->radius_px + 1)];
    double residual = aid_median_in_place_f64(residuals, count); /* of the peak */
    if (!(residual < hopeless))
        AID_FAIL(err, AID_ERR_NUMERIC,
                 "PSF: 0 usable stars of %d (%d fitted, but off by %.0f %% of their peaks)",
                 builder->list->count, builder->used, 100.0 * residual);
    psf->chi2 = chi2 / AID_MAX(freedom, 1.0);
    psf->residual = peak * residual;
    psf->stars_used = builder->used;
    psf->stars_offered = builder->list->count;
    measure_field(psf);
    return AID_OK;
}

static aid_status build(psf_builder *builder, const aid_psf_options *options, aid_notes *notes,
                        aid_error *err)
{
    start_model(builder, first_fwhm(builder->list));
    AID_TRY(aid_psf_select_stars(builder, err));
    AID_TRY(fit_moffat(builder, options, err));
    if (enough_for_planes(builder)) {
        AID_TRY(fit_planes(builder, err));
    } else {
        AID_TRY(aid_psf_make_profile(&builder->psf, NULL, 0, err));
        aid_note_add(notes, "psf", "%d star%s: the PSF is a Moffat function, the same everywhere",
                     builder->used, builder->used == 1 ? "" : "s");
    }
    int wanted = AID_CLAMP(options->max_degree, 0, AID_PSF_MAX_DEGREE);
    if (builder->psf.degree < wanted && builder->used < aid_psf_stars_for_degree(wanted))
        aid_note_add(notes, "psf", "%d star%s, too few for a polynomial of degree %d: it has %d",
                     builder->used, builder->used == 1 ? "" : "s", wanted, builder->psf.degree);
    builder->psf.radius_px = builder->radius;
    AID_TRY(centre_model(builder, err));
    return measure_quality(builder, err);
}

static void builder_done(void *pointer)
{
    psf_builder *builder = pointer;
    aid_psf_buckets_free(builder->buckets);
    free(builder->stars);
    free(builder->pixels);
    aid_psf_done(&builder->psf);
}

aid_status aid_psf_build(const aid_image *image, const aid_mask *mask, const aid_mesh *noise,
                         const aid_stars *stars, const aid_psf_options *options, aid_pool *pool,
                         aid_notes *notes, aid_psf *ret_psf, aid_error *err)
{
    assert(!mask || !mask->data || (mask->width == image->width && mask->height == image->height));
    bool counts = options->gain > 0.0 && isfinite(options->gain);
    AID_CLEANUP(builder_done)
    psf_builder builder = {.image = image,
                           .mask = mask,
                           .noise = noise,
                           .list = stars,
                           .pool = pool,
                           .inverse_gain = counts ? 1.0 / options->gain : 0.0,
                           .model_error = 0.05};
    AID_TRY(build(&builder, options, notes, err));
    *ret_psf = builder.psf;
    builder.psf = (aid_psf){0};
    return AID_OK;
}
