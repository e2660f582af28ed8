/* Size, shape and Moffat exponent: Gauss-Newton on the pixels of all stars together, with the
 * position, amplitude and background of each star free. */
#include "core/base/macros.h"
#include "core/imaging/linalg.h"
#include "core/imaging/psf_internal.h"

#include <math.h>
#include <string.h>

enum { MAX_UNKNOWNS = PSF_SHAPES * AID_PSF_MAX_TERMS + 1 };
static const double beta_min = 1.2, beta_max = 15.0;
static const double small_step = 5e-4; /* of log scale, g1, g2, ln beta: far below any error */

/* ------------------------------------------------------------------------- one star's pixels */

/* Beyond this radius the star's light is below a fifth of the sky noise; some sky is always there,
 * so that the background is determined. */
static double useful_radius(const psf_builder *builder, const psf_star *star, double log_scale)
{
    double faintest = 0.2 * star->sky + 1e-12 * AID_MAX(star->amplitude, 0.0);
    double ratio = faintest > 0.0 ? star->amplitude / faintest : 1.0;
    double s2 = pow(AID_MAX(ratio, 1.0), 1.0 / builder->psf.beta) - 1.0;
    double radius = exp(log_scale) * sqrt(s2) + 0.5 * builder->fwhm_px;
    return AID_CLAMP(radius, 2.5 * builder->fwhm_px, builder->radius + 0.5);
}

static void set_quadratic(psf_view *view)
{
    double g1 = view->g1, g2 = view->g2, g = hypot(g1, g2);
    double e = exp(-2.0 * view->log_scale), c = cosh(2.0 * g);
    /* sinh(2g)/g and (2 cosh(2g) - sinh(2g)/g)/g^2, by their series where they would cancel */
    double s = g > 1e-3 ? sinh(2.0 * g) / g : 2.0 + 4.0 / 3.0 * g * g;
    double k = g > 1e-3 ? (2.0 * c - s) / (g * g) : 8.0 / 3.0 + 16.0 / 15.0 * g * g;
    view->xx = e * (c - s * g1);
    view->xy = -e * s * g2;
    view->yy = e * (c + s * g1);
    view->xx1 = e * (2.0 * s * g1 - k * g1 * g1 - s);
    view->xy1 = -e * k * g1 * g2;
    view->yy1 = e * (2.0 * s * g1 + k * g1 * g1 + s);
    view->xx2 = e * (2.0 * s * g2 - k * g1 * g2);
    view->xy2 = -e * (k * g2 * g2 + s);
    view->yy2 = e * (2.0 * s * g2 + k * g1 * g2);
}

void aid_psf_view_star(const psf_builder *builder, const psf_star *star, psf_view *ret_view)
{
    const aid_psf *psf = &builder->psf;
    *ret_view = (psf_view){.builder = builder,
                           .star = star,
                           .log_scale = aid_psf_polynomial(psf->log_scale, star->terms, psf->terms),
                           .g1 = aid_psf_polynomial(psf->g1, star->terms, psf->terms),
                           .g2 = aid_psf_polynomial(psf->g2, star->terms, psf->terms),
                           .clip = builder->clip,
                           .clip_radius2 = builder->fwhm_px * builder->fwhm_px};
    set_quadratic(ret_view);
    ret_view->radius = useful_radius(builder, star, ret_view->log_scale);
    double x = star->x - star->left, y = star->y - star->top, r = ret_view->radius;
    ret_view->first_x = AID_MAX((int)ceil(x - r), 0);
    ret_view->first_y = AID_MAX((int)ceil(y - r), 0);
    ret_view->last_x = AID_MIN((int)floor(x + r), builder->side - 1);
    ret_view->last_y = AID_MIN((int)floor(y + r), builder->side - 1);
}

void aid_psf_view_derivatives(const psf_view *view, double x, double y, psf_pixel *ret_pixel)
{
    double beta = view->builder->psf.beta, amplitude = view->star->amplitude;
    double s2 = view->xx * x * x + 2.0 * view->xy * x * y + view->yy * y * y;
    double log_q = log(1.0 + AID_MAX(s2, 0.0)), moffat = exp(-beta * log_q);
    double by_s2 = -amplitude * beta * moffat / (1.0 + s2);
    ret_pixel->moffat = moffat;
    ret_pixel->s2 = s2;
    double *row = ret_pixel->row;
    row[0] = -2.0 * by_s2 * (view->xx * x + view->xy * y);
    row[1] = -2.0 * by_s2 * (view->xy * x + view->yy * y);
    row[2] = moffat;
    row[3] = 1.0;
    row[4] = -2.0 * by_s2 * s2;
    row[5] = by_s2 * (view->xx1 * x * x + 2.0 * view->xy1 * x * y + view->yy1 * y * y);
    row[6] = by_s2 * (view->xx2 * x * x + 2.0 * view->xy2 * x * y + view->yy2 * y * y);
    row[7] = -amplitude * beta * moffat * log_q;
}

bool aid_psf_view_pixel(const psf_view *view, int i, int j, psf_pixel *ret_pixel)
{
    const psf_star *star = view->star;
    const psf_builder *builder = view->builder;
    int k = j * builder->side + i;
    double variance = (double)star->variance[k];
    double x = star->left + i - star->x, y = star->top + j - star->y, r2 = x * x + y * y;
    if (!(variance < INFINITY) || r2 > view->radius * view->radius)
        return false;
    aid_psf_view_derivatives(view, x, y, ret_pixel);
    double profile = view->samples ? view->samples[k] : ret_pixel->moffat;
    double light = star->amplitude * profile, error = builder->model_error * light;
    variance += AID_MAX(light, 0.0) * builder->inverse_gain + error * error;
    ret_pixel->row[2] = profile;
    ret_pixel->weight = 1.0 / variance;
    ret_pixel->difference = (double)star->pixels[k] - light - star->background;
    return !(view->clip > 0.0 && r2 > view->clip_radius2 &&
             ret_pixel->difference * ret_pixel->difference > view->clip * view->clip * variance);
}

void aid_psf_eliminate(int n, int count, double *matrix, double *right)
{
    for (int p = 0; p < count; p++) {
        const double *pivot = matrix + (int64_t)p * n;
        if (!(pivot[p] > 0.0))
            continue; /* not determined: stays where it is */
        for (int i = p + 1; i < n; i++) {
            double factor = pivot[i] / pivot[p];
            if (factor == 0.0)
                continue;
            double *row = matrix + (int64_t)i * n;
            for (int k = i; k < n; k++)
                row[k] -= factor * pivot[k];
            right[i] -= factor * right[p];
        }
    }
}

void aid_psf_back_substitute(int n, int count, const double *matrix, const double *right,
                             double *steps)
{
    for (int p = count - 1; p >= 0; p--) {
        const double *row = matrix + (int64_t)p * n;
        double sum = right[p];
        for (int k = p + 1; k < n; k++)
            sum -= row[k] * steps[k];
        steps[p] = row[p] > 0.0 ? sum / row[p] : 0.0;
    }
}

double aid_psf_background_precision(const psf_star *star)
{
    /* The mesh is good to a fifth of the sky noise, but for what bright stars spill into it. */
    double error = 0.2 * star->sky + 1e-3 * fabs(star->amplitude);
    return error > 0.0 ? 1.0 / (error * error) : 0.0;
}

static void add_pixel(const psf_pixel *pixel, psf_star *star)
{
    for (int k = 0; k < PSF_LOCAL; k++) {
        double scaled = pixel->weight * pixel->row[k];
        for (int m = k; m < PSF_LOCAL; m++)
            star->normal[k * PSF_LOCAL + m] += scaled * pixel->row[m];
        star->right[k] += scaled * pixel->difference;
    }
}

/* The star's normal equations and its quality with the model as it is. */
static void accumulate(psf_star *star, const psf_view *view)
{
    double core = view->builder->fwhm_px, squares = 0.0;
    int core_pixels = 0;
    memset(star->normal, 0, sizeof star->normal);
    memset(star->right, 0, sizeof star->right);
    star->chi2 = 0.0;
    star->pixels_used = 0;
    for (int j = view->first_y; j <= view->last_y; j++)
        for (int i = view->first_x; i <= view->last_x; i++) {
            psf_pixel pixel;
            if (!aid_psf_view_pixel(view, i, j, &pixel))
                continue;
            add_pixel(&pixel, star);
            double x = star->left + i - star->x, y = star->top + j - star->y;
            double r2 = x * x + y * y, difference2 = pixel.difference * pixel.difference;
            bool inner = r2 <= 2.25 * core * core, innermost = r2 <= core * core;
            star->chi2 += inner ? pixel.weight * difference2 : 0.0;
            star->pixels_used += inner;
            squares += innermost ? difference2 : 0.0;
            core_pixels += innermost;
        }
    star->residual =
        core_pixels > 0 ? sqrt(squares / core_pixels) / fabs(star->amplitude) : INFINITY;
    double precision = aid_psf_background_precision(star);
    star->normal[PSF_BACKGROUND * (PSF_LOCAL + 1)] += precision;
    star->right[PSF_BACKGROUND] -= precision * star->background;
    aid_psf_eliminate(PSF_LOCAL, PSF_NUISANCE, star->normal, star->right);
}

/* Moves position, amplitude and background; steps[4..7] are those of the shape at the star. */
static void move_star(psf_star *star, double fwhm_px, double steps[PSF_LOCAL])
{
    aid_psf_back_substitute(PSF_LOCAL, PSF_NUISANCE, star->normal, star->right, steps);
    double reach = 0.25 * fwhm_px;
    star->x += AID_CLAMP(steps[0], -reach, reach);
    star->y += AID_CLAMP(steps[1], -reach, reach);
    star->amplitude += AID_MAX(steps[2], -0.7 * star->amplitude);
    star->background += steps[3];
}

/* ------------------------------------------------------------------------ all stars together */

static aid_status accumulate_moffat(void *context, int64_t task, int worker, aid_error *err)
{
    (void)worker;
    (void)err;
    psf_builder *builder = context;
    psf_star *star = builder->stars + task;
    if (star->used) {
        psf_view view;
        aid_psf_view_star(builder, star, &view);
        accumulate(star, &view);
    }
    return AID_OK;
}

/* Adds a star's 4x4 block: unknown k*terms + t is shape k's coefficient of term t, ln beta last. */
static void add_star(const psf_star *star, int terms, int n, double *matrix, double *right)
{
    for (int k = 0; k <= PSF_SHAPES; k++) {
        const double *block = star->normal + (PSF_NUISANCE + k) * PSF_LOCAL + PSF_NUISANCE;
        for (int t = 0; t < (k < PSF_SHAPES ? terms : 1); t++) {
            int row = k * terms + t;
            double p = k < PSF_SHAPES ? star->terms[t] : 1.0;
            right[row] += p * star->right[PSF_NUISANCE + k];
            for (int column = row; column < n; column++) {
                int m = column / terms;
                double q = m < PSF_SHAPES ? star->terms[column - m * terms] : 1.0;
                matrix[row * n + column] += p * q * block[m];
            }
        }
    }
}

/* Which prior holds the coefficient of term t of a shape; -1 for the constant terms. Size and
 * ellipse have priors of their own, and so has every degree. */
static int variation_group(int shape, int t)
{
    int degree = t == 0 ? 0 : t < 3 ? 1 : t < 6 ? 2 : 3;
    return degree == 0 ? -1 : (shape > 0) * AID_PSF_MAX_DEGREE + degree - 1;
}

/* Gently holds what few or faint stars leave open: no variation, roundness, beta 3. */
static void add_priors(const psf_builder *builder, int n, double *matrix, double *right)
{
    const aid_psf *psf = &builder->psf;
    const double *shapes[PSF_SHAPES] = {psf->log_scale, psf->g1, psf->g2};
    const double ellipse = 1.0, log_beta = 0.4;
    int terms = psf->terms;
    for (int k = 0; k < PSF_SHAPES; k++)
        for (int t = 0; t < terms; t++) {
            double sigma = t > 0 ? builder->variation[variation_group(k, t)] : ellipse;
            double precision = t == 0 && k == 0 ? 0.0 : 1.0 / (sigma * sigma);
            matrix[(k * terms + t) * (n + 1)] += precision;
            right[k * terms + t] -= precision * shapes[k][t];
        }
    double precision = 1.0 / (log_beta * log_beta);
    matrix[n * n - 1] += precision;
    right[n - 1] -= precision * log(psf->beta / 3.0);
}

/* The width of each prior from the coefficients themselves, as in psf_residual.c: terms that only
 * carry noise fade away. */
static aid_status update_variation(psf_builder *builder, const double *factor, int n,
                                   aid_error *err)
{
    const double least = 3e-4, most = 0.3;
    const aid_psf *psf = &builder->psf;
    const double *shapes[PSF_SHAPES] = {psf->log_scale, psf->g1, psf->g2};
    double variance[MAX_UNKNOWNS], squares[PSF_VARIATIONS] = {0}, determined[PSF_VARIATIONS] = {0};
    AID_TRY(aid_cholesky_inverse_diagonal(n, factor, variance, err));
    for (int k = 0; k < PSF_SHAPES; k++)
        for (int t = 1; t < psf->terms; t++) {
            int group = variation_group(k, t);
            double sigma = builder->variation[group];
            squares[group] += shapes[k][t] * shapes[k][t];
            determined[group] += 1.0 - variance[k * psf->terms + t] / (sigma * sigma);
        }
    for (int g = 0; g < PSF_VARIATIONS; g++) {
        double sigma2 = builder->variation[g] * builder->variation[g];
        double ratio = squares[g] / (AID_MAX(determined[g], 1e-9) * sigma2);
        if (determined[g] > 0.0)
            builder->variation[g] = AID_CLAMP(builder->variation[g] * sqrt(ratio), least, most);
    }
    return AID_OK;
}

static void move_shape(psf_builder *builder, double *steps, int n)
{
    aid_psf *psf = &builder->psf;
    double *shapes[PSF_SHAPES] = {psf->log_scale, psf->g1, psf->g2};
    for (int i = 0; i < n; i++)
        steps[i] = AID_CLAMP(steps[i], -0.25, 0.25);
    for (int i = 0; i < n - 1; i++)
        shapes[i / psf->terms][i % psf->terms] += steps[i];
    psf->beta = AID_CLAMP(psf->beta * exp(steps[n - 1]), beta_min, beta_max);
}

static void move_stars(psf_builder *builder, const double *steps, int n)
{
    int terms = builder->psf.terms;
    for (int i = 0; i < builder->count; i++) {
        psf_star *star = builder->stars + i;
        if (!star->used)
            continue;
        double local[PSF_LOCAL] = {0};
        for (int k = 0; k < PSF_SHAPES; k++)
            local[PSF_NUISANCE + k] = aid_psf_polynomial(steps + k * terms, star->terms, terms);
        local[PSF_NUISANCE + PSF_SHAPES] = steps[n - 1];
        move_star(star, builder->fwhm_px, local);
    }
}

static void update_fwhm(psf_builder *builder)
{
    const aid_psf *psf = &builder->psf;
    builder->fwhm_px = 2.0 * exp(psf->log_scale[0]) * sqrt(exp2(1.0 / psf->beta) - 1.0);
}

aid_status aid_psf_fit_shape(psf_builder *builder, int passes, aid_error *err)
{
    int terms = builder->psf.terms, n = PSF_SHAPES * terms + 1;
    for (int pass = 0; pass < passes; pass++) {
        double matrix[MAX_UNKNOWNS * MAX_UNKNOWNS] = {0}, steps[MAX_UNKNOWNS] = {0};
        AID_TRY(aid_pool_run(builder->pool, builder->count, accumulate_moffat, builder, err));
        for (int i = 0; i < builder->count; i++)
            if (builder->stars[i].used)
                add_star(builder->stars + i, terms, n, matrix, steps);
        add_priors(builder, n, matrix, steps);
        aid_status status = aid_cholesky_factor_jittered(n, matrix, 1e-3, NULL, err);
        if (status != AID_OK)
            return aid_error_prefix(err, status, "shape of the PSF");
        aid_cholesky_solve(n, matrix, steps);
        move_shape(builder, steps, n);
        bool settled = true;
        for (int i = 0; i < n; i++)
            settled = settled && fabs(steps[i]) < small_step;
        move_stars(builder, steps, n);
        update_fwhm(builder);
        if (pass + 1 == passes || settled)
            return update_variation(builder, matrix, n, err);
    }
    return AID_OK;
}

void aid_psf_sample_star(const psf_builder *builder, const psf_star *star, double *samples)
{
    psf_place place;
    aid_psf_place_at(&builder->psf, star->list_x, star->list_y, &place);
    psf_grid grid = {star->left - star->x, star->top - star->y, 1.0, builder->side, builder->side};
    aid_psf_sample(&builder->psf, &place, &grid, samples);
}

static aid_status fit_star(void *context, int64_t task, int worker, aid_error *err)
{
    (void)worker;
    (void)err;
    enum { MAX_SIDE = 2 * AID_PSF_MAX_RADIUS + 1 };
    psf_builder *builder = context;
    psf_star *star = builder->stars + task;
    if (!star->used)
        return AID_OK;
    double samples[MAX_SIDE * MAX_SIDE];
    aid_psf_sample_star(builder, star, samples);
    psf_view view;
    aid_psf_view_star(builder, star, &view);
    view.samples = samples;
    accumulate(star, &view);
    return AID_OK;
}

aid_status aid_psf_fit_stars(psf_builder *builder, int passes, aid_error *err)
{
    for (int pass = 0; pass < passes; pass++) {
        AID_TRY(aid_pool_run(builder->pool, builder->count, fit_star, builder, err));
        for (int i = 0; i < builder->count; i++) {
            double none[PSF_LOCAL] = {0};
            if (builder->stars[i].used)
                move_star(builder->stars + i, builder->fwhm_px, none);
        }
    }
    return AID_OK;
}
