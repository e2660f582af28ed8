/* One group of stars, fitted at once: Gauss-Newton steps of weighted least squares in the pixels
 * within the fit radius of any of them. */
#include "core/base/memory.h"
#include "core/imaging/linalg.h"
#include "domain/photometry/psf_fit.h"

#include <stdlib.h>
#include <string.h>

void aid_psf_fit_scratch_done(psf_fit_scratch *scratch)
{
    free(scratch->stamps);
    free(scratch->pixels);
    *scratch = (psf_fit_scratch){0};
}

typedef struct group_fit {
    const psf_fit_job *job;
    psf_fit_star *stars[PSF_GROUP_MAX];
    int index[PSF_GROUP_MAX];
    photometry_stamp stamps[PSF_GROUP_MAX];
    int count, unknowns, each; /* unknowns of a star: flux, or flux, x, y */
    bool background;
    double level;
    photometry_box box;
    int pixels;     /* of the box */
    double *data;   /* image - other stars; NaN: no use */
    double *weight; /* 1/variance; 0: not within any fit radius or no data */
    double *rest;   /* data - model of this group */
    double *other;  /* model of the others, >= 0 or not */
    double *rows;   /* [PSF_GROUP_MAX][3][pixels]: derivatives by flux, x, y */
    double matrix[PSF_UNKNOWNS_MAX * PSF_UNKNOWNS_MAX];
    double right[PSF_UNKNOWNS_MAX];
    double information[PSF_GROUP_MAX]; /* of each flux, were all else known */
} group_fit;

static double *row_of(const group_fit *fit, int star, int unknown)
{
    return fit->rows + (size_t)(star * 3 + unknown) * (size_t)fit->pixels;
}

/* -------------------------------------------------------------------------------- preparations */

static photometry_box box_around(const group_fit *fit)
{
    int reach = (int)ceil(fit->job->options.fit_radius_px);
    int32_t x0 = INT32_MAX, y0 = INT32_MAX, x1 = INT32_MIN, y1 = INT32_MIN;
    for (int k = 0; k < fit->count; k++) {
        int32_t x = (int32_t)floor(fit->stars[k]->x + 0.5);
        int32_t y = (int32_t)floor(fit->stars[k]->y + 0.5);
        x0 = AID_MIN(x0, x - reach);
        y0 = AID_MIN(y0, y - reach);
        x1 = AID_MAX(x1, x + reach);
        y1 = AID_MAX(y1, y + reach);
    }
    return (photometry_box){x0, y0, x1 - x0 + 1, y1 - y0 + 1};
}

static aid_status reserve(group_fit *fit, psf_fit_scratch *scratch, aid_error *err)
{
    const psf_fit_job *job = fit->job;
    if (!scratch->stamps)
        AID_TRY(aid_new_buffer((size_t)PSF_GROUP_MAX * (size_t)job->stamp_pixels, sizeof(float),
                               "PSF stamps", &scratch->stamps, err));
    size_t needed = (size_t)fit->pixels * (4 + 3 * (size_t)fit->count);
    if (needed > scratch->capacity) {
        free(scratch->pixels);
        scratch->pixels = NULL;
        scratch->capacity = 0;
        AID_TRY(aid_new_buffer(needed, sizeof(double), "PSF fit", &scratch->pixels, err));
        scratch->capacity = needed;
    }
    fit->data = scratch->pixels;
    fit->weight = fit->data + fit->pixels;
    fit->rest = fit->weight + fit->pixels;
    fit->other = fit->rest + fit->pixels;
    fit->rows = fit->other + fit->pixels;
    for (int k = 0; k < fit->count; k++)
        fit->stamps[k].values = scratch->stamps + (size_t)k * (size_t)job->stamp_pixels;
    return AID_OK;
}

/* The model of all stars at an image pixel; 0 beyond its box. */
static double model_at(const psf_fit_job *job, int32_t x, int32_t y)
{
    int32_t i = x - job->box.x0, j = y - job->box.y0;
    bool inside = i >= 0 && j >= 0 && i < job->box.width && j < job->box.height;
    return inside ? (double)aid_image_row(&job->model, j)[i] : 0.0;
}

static unsigned read_data(group_fit *fit)
{
    const photometry_box *box = &fit->box;
    unsigned flags = 0;
    for (int32_t j = 0; j < box->height; j++) {
        photometry_row row = {.y = box->y0 + j, .x0 = box->x0, .count = box->width};
        size_t at = (size_t)j * (size_t)box->width;
        flags |= aid_photometry_read_row(fit->job->frame, &row, NULL, fit->data + at);
        for (int32_t i = 0; i < box->width; i++)
            fit->other[at + (size_t)i] = model_at(fit->job, box->x0 + i, box->y0 + j);
    }
    return flags;
}

/* The group's own stars are in the model of all: out of it again. */
static void take_own_out(group_fit *fit)
{
    for (int k = 0; k < fit->count; k++) {
        double *own = row_of(fit, k, 0);
        aid_photometry_shift_stamp(&fit->stamps[k], 0.0, 0.0, &fit->box, own, NULL, NULL);
        for (int p = 0; p < fit->pixels; p++)
            fit->other[p] -= fit->stars[k]->flux * own[p];
    }
    for (int p = 0; p < fit->pixels; p++)
        fit->data[p] -= fit->other[p];
}

static bool is_near_star(const group_fit *fit, double x, double y)
{
    double reach = fit->job->options.fit_radius_px;
    for (int k = 0; k < fit->count; k++) {
        double dx = x - fit->stamps[k].x, dy = y - fit->stamps[k].y;
        if (dx * dx + dy * dy <= reach * reach)
            return true;
    }
    return false;
}

/* The model's photons, never the data's: weights that follow the noise pull fluxes down. */
static void set_weights(group_fit *fit)
{
    const aid_photometry_frame *frame = fit->job->frame;
    double inverse_gain = aid_photometry_inverse_gain(frame);
    const photometry_box *box = &fit->box;
    for (int32_t j = 0; j < box->height; j++) {
        double y = box->y0 + j;
        double sigma = aid_photometry_noise_at(frame, box->x0 + 0.5 * box->width, y);
        double sky = sigma > 0.0 ? sigma * sigma : 1.0;
        for (int32_t i = 0; i < box->width; i++) {
            int p = j * box->width + i;
            fit->weight[p] = 0.0;
            if (!(fit->data[p] == fit->data[p]) || !is_near_star(fit, box->x0 + i, y))
                continue;
            double model = fit->other[p];
            for (int k = 0; k < fit->count; k++)
                model += fit->stars[k]->flux * row_of(fit, k, 0)[p];
            fit->weight[p] = 1.0 / (sky + AID_MAX(model, 0.0) * inverse_gain);
        }
    }
}

/* ---------------------------------------------------------------------------------- one step */

static void take_model_off(group_fit *fit)
{
    for (int p = 0; p < fit->pixels; p++)
        fit->rest[p] = fit->data[p] == fit->data[p] ? fit->data[p] - fit->level : 0.0;
    for (int k = 0; k < fit->count; k++) {
        const double *profile = row_of(fit, k, 0);
        double flux = fit->stars[k]->flux;
        for (int p = 0; p < fit->pixels; p++)
            fit->rest[p] -= flux * profile[p];
    }
}

static void sample_stars(group_fit *fit)
{
    for (int k = 0; k < fit->count; k++) {
        const psf_fit_star *star = fit->stars[k];
        bool moves = fit->each == 3;
        double *gx = moves ? row_of(fit, k, 1) : NULL, *gy = moves ? row_of(fit, k, 2) : NULL;
        aid_photometry_shift_stamp(&fit->stamps[k], star->x - fit->stamps[k].x,
                                   star->y - fit->stamps[k].y, &fit->box, row_of(fit, k, 0), gx,
                                   gy);
        for (int p = 0; moves && p < fit->pixels; p++) {
            gx[p] *= star->flux;
            gy[p] *= star->flux;
        }
    }
    take_model_off(fit);
}

static double weighted_product(const double *restrict a, const double *restrict b,
                               const double *restrict weight, int count)
{
    double sum = 0.0;
    for (int p = 0; p < count; p++)
        sum += weight[p] * a[p] * b[p];
    return sum;
}

static double weighted_sum(const double *restrict a, const double *restrict weight, int count)
{
    double sum = 0.0;
    for (int p = 0; p < count; p++)
        sum += weight[p] * a[p];
    return sum;
}

/* A position is known to about the largest shift beforehand, which holds those of the faintest. */
static void add_prior(group_fit *fit)
{
    double precision = 1.0 / (fit->job->options.max_shift_px * fit->job->options.max_shift_px);
    int n = fit->unknowns;
    for (int k = 0; k < fit->count && fit->each == 3; k++) {
        const psf_fit_star *star = fit->stars[k];
        int x = 3 * k + 1, y = 3 * k + 2;
        double stiffness = star->frozen ? 1e12 * precision : precision;
        fit->matrix[x * n + x] += stiffness;
        fit->matrix[y * n + y] += stiffness;
        fit->right[x] += stiffness * (star->given_x - star->x);
        fit->right[y] += stiffness * (star->given_y - star->y);
    }
}

static void make_equations(group_fit *fit)
{
    int n = fit->unknowns, stars = fit->count * fit->each;
    for (int a = 0; a < stars; a++) {
        const double *row = row_of(fit, a / fit->each, a % fit->each);
        for (int b = a; b < stars; b++)
            fit->matrix[a * n + b] = weighted_product(
                row, row_of(fit, b / fit->each, b % fit->each), fit->weight, fit->pixels);
        fit->right[a] = weighted_product(row, fit->rest, fit->weight, fit->pixels);
        if (fit->background)
            fit->matrix[a * n + stars] = weighted_sum(row, fit->weight, fit->pixels);
    }
    if (fit->background) {
        double sum = 0.0;
        for (int p = 0; p < fit->pixels; p++)
            sum += fit->weight[p];
        fit->matrix[stars * n + stars] = sum;
        fit->right[stars] = weighted_sum(fit->rest, fit->weight, fit->pixels);
    }
    add_prior(fit);
}

static bool solve(group_fit *fit)
{
    /* A star without any pixel has an empty row; its flux is that of nobody. */
    int n = fit->unknowns;
    for (int a = 0; a < n; a++)
        if (!(fit->matrix[a * n + a] > 0.0))
            fit->matrix[a * n + a] = 1.0;
    if (aid_cholesky_factor_jittered(n, fit->matrix, 1e-6, NULL, NULL) != AID_OK)
        return false;
    aid_cholesky_solve(n, fit->matrix, fit->right);
    return true;
}

/* The largest move of a star, px. */
static double apply_step(group_fit *fit)
{
    const double longest = 0.5;
    double largest = 0.0;
    for (int k = 0; k < fit->count; k++) {
        psf_fit_star *star = fit->stars[k];
        const double *step = fit->right + k * fit->each;
        star->flux += step[0];
        if (fit->each == 1 || star->frozen)
            continue;
        double move = hypot(step[1], step[2]), scale = move > longest ? longest / move : 1.0;
        star->x += scale * step[1];
        star->y += scale * step[2];
        largest = AID_MAX(largest, scale * move);
        double away = hypot(star->x - star->given_x, star->y - star->given_y);
        if (away > fit->job->options.max_shift_px) {
            star->frozen = true;
            star->x = star->given_x;
            star->y = star->given_y;
            largest = 1.0;
        }
    }
    if (fit->background)
        fit->level += fit->right[fit->unknowns - 1];
    return largest;
}

/* ------------------------------------------------------------------------------------ results */

typedef struct star_pixels {
    double chi2, wanted, found;
    double null_information; /* of a flux of 0, were all else known */
    int count;
    bool edge;
    float weights[25 * 25]; /* the profile's core, for the noise correlation */
} star_pixels;

static void look_at_pixels(const group_fit *fit, int k, star_pixels *ret_pixels)
{
    star_pixels pixels = {0};
    double inverse_gain = aid_photometry_inverse_gain(fit->job->frame);
    const double *profile = row_of(fit, k, 0);
    const psf_fit_star *star = fit->stars[k];
    double reach = fit->job->options.fit_radius_px;
    const aid_image *image = fit->job->frame->image;
    int32_t left = (int32_t)floor(star->x + 0.5) - 12, top = (int32_t)floor(star->y + 0.5) - 12;
    for (int p = 0; p < fit->pixels; p++) {
        int32_t x = fit->box.x0 + p % fit->box.width, y = fit->box.y0 + p / fit->box.width;
        if (hypot(x - star->x, y - star->y) > reach)
            continue;
        pixels.wanted += profile[p] * profile[p];
        pixels.edge |= x < 0 || y < 0 || x >= image->width || y >= image->height;
        if (fit->weight[p] == 0.0)
            continue;
        pixels.found += profile[p] * profile[p];
        pixels.chi2 += fit->weight[p] * fit->rest[p] * fit->rest[p];
        pixels.count++;
        double own = AID_MAX(star->flux * profile[p], 0.0) * inverse_gain;
        double variance = 1.0 / fit->weight[p] - own;
        if (variance > 0.0)
            pixels.null_information += profile[p] * profile[p] / variance;
        if (x >= left && y >= top && x < left + 25 && y < top + 25)
            pixels.weights[(y - top) * 25 + x - left] = (float)(profile[p] * fit->weight[p]);
    }
    *ret_pixels = pixels;
}

/* MASKED and SATURATED of the pixels within the fit radius. */
static unsigned flags_near(const group_fit *fit, const psf_fit_star *star)
{
    const aid_photometry_frame *frame = fit->job->frame;
    double reach = fit->job->options.fit_radius_px, weights[PHOTOMETRY_MAX_SIDE],
           value[PHOTOMETRY_MAX_SIDE];
    int32_t r = AID_MIN((int32_t)reach, PHOTOMETRY_MAX_SIDE / 2 - 1);
    int32_t cx = (int32_t)floor(star->x + 0.5), cy = (int32_t)floor(star->y + 0.5);
    unsigned flags = 0;
    for (int32_t y = cy - r; y <= cy + r; y++) {
        for (int32_t i = 0; i <= 2 * r; i++)
            weights[i] = hypot(cx - r + i - star->x, y - star->y) <= reach;
        photometry_row row = {.y = y, .x0 = cx - r, .count = 2 * r + 1};
        flags |= aid_photometry_read_row(frame, &row, weights, value);
    }
    return flags;
}

static void write_result(const group_fit *fit, int k, const double *covariance)
{
    const psf_fit_star *star = fit->stars[k];
    const aid_photometry_frame *frame = fit->job->frame;
    aid_psf_flux *flux = &fit->job->fluxes[fit->index[k]];
    star_pixels pixels;
    look_at_pixels(fit, k, &pixels);
    flux->flags |= flags_near(fit, star) | (star->frozen ? AID_PHOTOMETRY_NOT_CONVERGED : 0U) |
                   (fit->count > 1 ? AID_PHOTOMETRY_BLENDED : 0U);
    flux->group = fit->count;
    flux->missing = pixels.wanted > 0.0 ? 1.0 - pixels.found / pixels.wanted : 1.0;
    if (!(pixels.found > 0.01 * pixels.wanted))
        return;
    flux->x = star->x;
    flux->y = star->y;
    flux->flux = star->flux;
    flux->background = fit->level;
    int at = k * fit->each, n = fit->unknowns;
    if (!aid_photometry_has_noise(frame) || !covariance)
        return;
    double factor = aid_photometry_weights_factor(frame, pixels.weights, 25);
    flux->flux_err = sqrt(covariance[at * n + at] * factor);
    /* What is not known besides the flux costs a flux of 0 as much. */
    double loss = covariance[at * n + at] * fit->information[k];
    flux->null_err = sqrt(loss * factor / pixels.null_information);
    flux->x_err = fit->each == 3 ? sqrt(covariance[(at + 1) * n + at + 1] * factor) : 0.0;
    flux->y_err = fit->each == 3 ? sqrt(covariance[(at + 2) * n + at + 2] * factor) : 0.0;
    if (fit->background)
        flux->background_err = sqrt(covariance[(n - 1) * n + n - 1] * factor);
    int freedom = pixels.count - fit->each - (fit->background ? 1 : 0);
    flux->chi2 = freedom > 0 ? pixels.chi2 / freedom : NAN;
}

static aid_status write_results(group_fit *fit, aid_error *err)
{
    int n = fit->unknowns;
    AID_CLEANUP(aid_free_pointer)
    double *covariance = NULL;
    AID_TRY(aid_new_array((size_t)n * (size_t)n, sizeof(double), "covariance", &covariance, err));
    sample_stars(fit);
    set_weights(fit);
    make_equations(fit);
    for (int k = 0; k < fit->count; k++)
        fit->information[k] = fit->matrix[k * fit->each * (n + 1)];
    bool solved = solve(fit);
    if (solved)
        aid_cholesky_inverse(n, fit->matrix, covariance);
    for (int k = 0; k < fit->count; k++) {
        write_result(fit, k, solved ? covariance : NULL);
        if (!solved)
            fit->job->fluxes[fit->index[k]].flags |= AID_PHOTOMETRY_NOT_CONVERGED;
    }
    return AID_OK;
}

/* ---------------------------------------------------------------------------------- the group */

static void describe(const psf_fit_job *job, int group, group_fit *fit)
{
    fit->job = job;
    fit->each = job->options.fixed ? 1 : 3;
    fit->background = job->options.local_background;
    fit->count = job->first[group + 1] - job->first[group];
    for (int k = 0; k < fit->count; k++) {
        fit->index[k] = job->members[job->first[group] + k];
        fit->stars[k] = &job->stars[fit->index[k]];
    }
    fit->unknowns = fit->count * fit->each + (fit->background ? 1 : 0);
    fit->box = box_around(fit);
    fit->pixels = fit->box.width * fit->box.height;
}

aid_status aid_psf_fit_group(const psf_fit_job *job, int group, psf_fit_scratch *scratch,
                             aid_error *err)
{
    const int steps = job->options.fixed ? 2 : 6;
    group_fit fit = {0};
    describe(job, group, &fit);
    AID_TRY(reserve(&fit, scratch, err));
    for (int k = 0; k < fit.count; k++)
        aid_photometry_cut_stamp(job->frame, fit.stars[k]->x, fit.stars[k]->y, &fit.stamps[k]);
    (void)read_data(&fit);
    take_own_out(&fit);
    set_weights(&fit);
    for (int step = 0; step < steps; step++) {
        sample_stars(&fit);
        make_equations(&fit);
        if (!solve(&fit))
            break;
        if (apply_step(&fit) < 1e-3 && step > 0)
            break;
    }
    return job->last ? write_results(&fit, err) : AID_OK;
}
