/* Which stars are of the model's shape, and how that shape varies over the field. */
#include "core/base/macros.h"
#include "core/base/memory.h"
#include "core/imaging/linalg.h"
#include "core/imaging/psf_internal.h"
#include "core/imaging/stats.h"

#include <math.h>
#include <string.h>

/* What one star alone says about its shape, relative to the model, with beta given. */
typedef struct star_shape {
    double value[PSF_SHAPES], sigma[PSF_SHAPES];
    bool known;
} star_shape;

static star_shape shape_of_star(const psf_star *star)
{
    double matrix[PSF_SHAPES * PSF_SHAPES], inverse[PSF_SHAPES * PSF_SHAPES];
    star_shape shape = {.known = false};
    for (int i = 0; i < PSF_SHAPES; i++) {
        shape.value[i] = star->right[PSF_NUISANCE + i];
        for (int j = 0; j < PSF_SHAPES; j++)
            matrix[i * PSF_SHAPES + j] =
                star->normal[(PSF_NUISANCE + i) * PSF_LOCAL + PSF_NUISANCE + j];
    }
    if (aid_cholesky_factor(PSF_SHAPES, matrix, 0.0, NULL) != AID_OK)
        return shape;
    aid_cholesky_solve(PSF_SHAPES, matrix, shape.value);
    aid_cholesky_inverse(PSF_SHAPES, matrix, inverse);
    for (int i = 0; i < PSF_SHAPES; i++)
        shape.sigma[i] = sqrt(inverse[i * PSF_SHAPES + i]);
    shape.known = true;
    return shape;
}

/* Median, and the scatter that the stars' own noise does not explain. */
typedef struct star_locus {
    double centre[PSF_SHAPES], scatter[PSF_SHAPES];
    double misfit; /* reduced chi2 is 1 + (misfit snr)^2 for a typical star */
    double background, background_scatter; /* in units of the sky noise */
    double chi2, sigma;                    /* median and scatter of chi2 over that */
} star_locus;

static double signal_to_noise(const psf_star *star)
{
    return star->snr;
}

static double reduced_chi2(const psf_star *star)
{
    return star->chi2 / AID_MAX(star->pixels_used - PSF_NUISANCE, 1);
}

static double misfit_of_star(const psf_star *star)
{
    return (reduced_chi2(star) - 1.0) / (star->snr * star->snr);
}

static double relative_background(const psf_star *star)
{
    return star->sky > 0.0 ? star->background / star->sky : 0.0;
}

typedef double (*star_value)(const psf_star *star);

static int gather(const psf_builder *builder, star_value value, double *scratch)
{
    int count = 0;
    for (int i = 0; i < builder->count; i++)
        if (builder->stars[i].used)
            scratch[count++] = value(builder->stars + i);
    return count;
}

/* The same for the brighter half. */
static int gather_brighter(const psf_builder *builder, star_value value, double *scratch)
{
    int count = gather(builder, signal_to_noise, scratch), brighter = 0;
    double middle = aid_median_in_place_f64(scratch, count);
    for (int i = 0; i < builder->count; i++)
        if (builder->stars[i].used && builder->stars[i].snr >= middle)
            scratch[brighter++] = value(builder->stars + i);
    return brighter;
}

enum { OF_VALUE, OF_SIGMA };

static aid_robust robust_shape(const psf_builder *builder, const star_shape *shapes, int component,
                               int what, double *scratch)
{
    int count = 0;
    for (int i = 0; i < builder->count; i++)
        if (builder->stars[i].used && shapes[i].known)
            scratch[count++] =
                what == OF_VALUE ? shapes[i].value[component] : shapes[i].sigma[component];
    return aid_robust_in_place_f64(scratch, count);
}

/* A model that is not yet good misses bright stars by many sigma and faint ones by none: what all
 * bright stars have in common must not count against one of them. */
static double measure_misfit(const psf_builder *builder, double *scratch)
{
    int count = gather_brighter(builder, misfit_of_star, scratch);
    return sqrt(AID_MAX(aid_median_in_place_f64(scratch, count), 0.0));
}

static double relative_chi2(const psf_star *star, double misfit)
{
    return reduced_chi2(star) / (1.0 + misfit * misfit * star->snr * star->snr);
}

static star_locus measure_locus(const psf_builder *builder, const star_shape *shapes,
                                double *scratch)
{
    const double least_background_scatter = 0.05;
    const double least_scatter = 0.005; /* a model of finite degree is never better than that */
    star_locus locus = {.misfit = measure_misfit(builder, scratch)};
    for (int k = 0; k < PSF_SHAPES; k++) {
        aid_robust value = robust_shape(builder, shapes, k, OF_VALUE, scratch);
        double noise = robust_shape(builder, shapes, k, OF_SIGMA, scratch).median;
        double excess = value.sigma * value.sigma - noise * noise;
        locus.centre[k] = value.median;
        locus.scatter[k] = sqrt(AID_MAX(excess, least_scatter * least_scatter));
    }
    int count = 0;
    for (int i = 0; i < builder->count; i++)
        if (builder->stars[i].used)
            scratch[count++] = relative_chi2(builder->stars + i, locus.misfit);
    aid_robust chi2 = aid_robust_in_place_f64(scratch, count);
    locus.chi2 = chi2.median;
    locus.sigma = chi2.sigma;
    count = gather(builder, relative_background, scratch);
    aid_robust background = aid_robust_in_place_f64(scratch, count);
    locus.background = background.median;
    locus.background_scatter = AID_MAX(background.sigma, least_background_scatter);
    return locus;
}

static bool fits_in(const psf_builder *builder, const psf_star *star, const star_shape *shape,
                    const star_locus *locus)
{
    /* The pivot of the amplitude is its precision; a star that is not there has an amplitude too.
     */
    double pivot = star->normal[PSF_AMPLITUDE * (PSF_LOCAL + 1)];
    bool there = star->amplitude * sqrt(AID_MAX(pivot, 0.0)) > 5.0;
    double drift = hypot(star->x - star->list_x, star->y - star->list_y);
    if (!shape->known || !there || star->pixels_used < 8 || !(drift < 0.3 * builder->fwhm_px + 0.3))
        return false;
    if (builder->used < 4)
        return true; /* too few to say which one is odd */
    for (int k = 0; k < PSF_SHAPES; k++) {
        double sigma = hypot(shape->sigma[k], locus->scatter[k]);
        if (!(fabs(shape->value[k] - locus->centre[k]) < 4.5 * sigma))
            return false;
    }
    /* Light under a star that its neighbours in the field lack: a galaxy, a nebula, a halo. */
    if (fabs(relative_background(star) - locus->background) > 6.0 * locus->background_scatter)
        return false;
    double spread = AID_MAX(locus->sigma, sqrt(2.0 / star->pixels_used));
    return relative_chi2(star, locus->misfit) < locus->chi2 + 4.0 * spread;
}

/* Leads towards the relative error that gives the brighter half of the stars a chi2 of 1. */
static void adjust_model_error(psf_builder *builder, double *scratch)
{
    const double least = 0.005, most = 0.1;
    int count = gather_brighter(builder, reduced_chi2, scratch);
    double chi2 = aid_median_in_place_f64(scratch, count);
    if (chi2 > 1.3)
        builder->model_error = AID_MIN(builder->model_error * sqrt(chi2), most);
    else if (chi2 < 1.1)
        builder->model_error = AID_MAX(builder->model_error * 0.5, least);
}

aid_status aid_psf_reject_stars(psf_builder *builder, aid_error *err)
{
    size_t count = (size_t)builder->count;
    AID_CLEANUP(aid_free_pointer)
    star_shape *shapes = NULL;
    AID_CLEANUP(aid_free_pointer)
    double *scratch = NULL;
    AID_TRY(aid_new_array(count, sizeof *shapes, "star shapes", &shapes, err));
    AID_TRY(aid_new_array(count, sizeof *scratch, "star shapes", &scratch, err));
    for (size_t i = 0; i < count; i++)
        if (builder->stars[i].used)
            shapes[i] = shape_of_star(builder->stars + i);
    star_locus locus = measure_locus(builder, shapes, scratch);
    int used = 0;
    for (size_t i = 0; i < count; i++) {
        psf_star *star = builder->stars + i;
        star->used = star->used && fits_in(builder, star, shapes + i, &locus);
        used += star->used;
    }
    builder->used = used;
    if (used == 0)
        AID_FAIL(err, AID_ERR_NUMERIC,
                 "PSF: 0 usable stars of %d (%d tried: none of a star's shape)",
                 builder->list->count, builder->count);
    adjust_model_error(builder, scratch);
    return AID_OK;
}

/* ------------------------------------------------------------------------------ which degree */

/* One component of the shape as a polynomial over the field: its normal equations and solution. */
typedef struct shape_trend {
    int degree, terms, component;
    double factor[AID_PSF_MAX_TERMS * AID_PSF_MAX_TERMS];
    double solution[AID_PSF_MAX_TERMS];
} shape_trend;

static double weight_in_trend(const star_shape *shape, int component)
{
    const double intrinsic = 0.005;
    return 1.0 / (shape->sigma[component] * shape->sigma[component] + intrinsic * intrinsic);
}

static bool fit_trend(const psf_builder *builder, const star_shape *shapes, shape_trend *trend)
{
    int n = trend->terms;
    memset(trend->factor, 0, sizeof trend->factor);
    memset(trend->solution, 0, sizeof trend->solution);
    for (int i = 0; i < builder->count; i++)
        if (builder->stars[i].used && shapes[i].known)
            aid_normal_add(n, trend->factor, trend->solution, builder->stars[i].terms,
                           shapes[i].value[trend->component],
                           weight_in_trend(shapes + i, trend->component));
    if (aid_cholesky_factor(n, trend->factor, 0.0, NULL) != AID_OK)
        return false;
    aid_cholesky_solve(n, trend->factor, trend->solution);
    return true;
}

/* Variance of the trend's value where the polynomial has these terms. */
static double variance_of_trend(const shape_trend *trend, const double *terms)
{
    double half[AID_PSF_MAX_TERMS], variance = 0.0;
    memcpy(half, terms, (size_t)trend->terms * sizeof *half);
    aid_cholesky_forward(trend->terms, trend->factor, half);
    for (int t = 0; t < trend->terms; t++)
        variance += half[t] * half[t];
    return variance;
}

static bool reaches_corners(const shape_trend *trend)
{
    const double limit = 0.1; /* ten per cent of the width */
    for (int corner = 0; corner < 4; corner++) {
        double terms[AID_PSF_MAX_TERMS];
        aid_psf_terms(trend->degree, corner & 1 ? 1.0 : -1.0, corner & 2 ? 1.0 : -1.0, terms);
        if (sqrt(variance_of_trend(trend, terms)) > limit)
            return false;
    }
    return true;
}

/* Weighted squared error in predicting each star from all others; infinite where hopeless. */
static double prediction_error(const psf_builder *builder, const star_shape *shapes, int degree)
{
    double error = 0.0;
    for (int k = 0; k < PSF_SHAPES; k++) {
        shape_trend trend = {
            .degree = degree, .terms = aid_psf_terms_of_degree(degree), .component = k};
        if (!fit_trend(builder, shapes, &trend) || (degree > 0 && !reaches_corners(&trend)))
            return INFINITY;
        for (int i = 0; i < builder->count; i++) {
            const psf_star *star = builder->stars + i;
            if (!star->used || !shapes[i].known)
                continue;
            double weight = weight_in_trend(shapes + i, k);
            double leverage = weight * variance_of_trend(&trend, star->terms);
            double miss =
                shapes[i].value[k] - aid_psf_polynomial(trend.solution, star->terms, trend.terms);
            miss /= AID_MAX(1.0 - leverage, 1e-3);
            error += weight * miss * miss;
        }
    }
    return error;
}

int aid_psf_stars_for_degree(int degree)
{
    return 2 * aid_psf_terms_of_degree(degree);
}

aid_status aid_psf_choose_degree(const psf_builder *builder, int max_degree, int *ret_degree,
                                 aid_error *err)
{
    AID_CLEANUP(aid_free_pointer)
    star_shape *shapes = NULL;
    AID_TRY(aid_new_array((size_t)builder->count, sizeof *shapes, "star shapes", &shapes, err));
    for (int i = 0; i < builder->count; i++)
        if (builder->stars[i].used)
            shapes[i] = shape_of_star(builder->stars + i);
    int best = 0;
    double least = prediction_error(builder, shapes, 0);
    for (int degree = 1; degree <= max_degree; degree++) {
        if (builder->used < aid_psf_stars_for_degree(degree))
            break;
        double error = prediction_error(builder, shapes, degree);
        if (error < 0.98 * least) {
            least = error;
            best = degree;
        }
    }
    *ret_degree = best;
    return AID_OK;
}
