/* Blank sky: which pixels it is, the level that background maps left on it, and whether the score
 * has unit variance there. */
#include "core/base/memory.h"
#include "core/imaging/linalg.h"
#include "core/imaging/stats.h"
#include "domain/differencing/internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SKY_STEP = 2 };

/* Pixels of blank sky: nothing masked, and no light of the reference within a PSF. */
aid_status aid_blank_sky(const aid_maps *maps, const aid_difference *difference, aid_pool *pool,
                         aid_mask *ret_mask, aid_error *err)
{
    aid_mask mask;
    AID_TRY(aid_mask_init(difference->mask.width, difference->mask.height, &mask, err));
    for (int y = 0; y < mask.height; y++) {
        const float *light = aid_image_row(&maps->flux_reference, y);
        const float *variance = aid_image_row(&maps->variance, y);
        const uint8_t *bits = aid_mask_row(&difference->mask, y);
        uint8_t *to = aid_mask_row(&mask, y);
        for (int x = 0; x < mask.width; x++) {
            bool lit = light[x] > 0.0F && light[x] * light[x] > 9.0F * variance[x];
            to[x] = bits[x] ? AID_MASK_BAD : lit ? AID_MASK_SATURATED : 0;
        }
    }
    double radius = AID_CLAMP(2.0 * difference->fwhm_px, 3.0, 24.0);
    aid_status status = aid_mask_grow(&mask, AID_MASK_SATURATED, radius, AID_MASK_GROWN, pool, err);
    if (status != AID_OK) {
        aid_mask_done(&mask);
        return status;
    }
    *ret_mask = mask;
    return AID_OK;
}

/* -------------------------------------------------------------- what is left of the background */

enum { SKY_CELLS = 8 };

typedef struct sky_fit { /* robust level of the flux on blank sky, a quadratic of u, v */
    double coefficients[6];
    int terms;
} sky_fit;

static void sky_terms(const aid_image *image, double x, double y, double terms[6])
{
    double u = (x - 0.5 * image->width) / (0.5 * image->width);
    double v = (y - 0.5 * image->height) / (0.5 * image->height);
    const double values[6] = {1.0, u, v, u * u, u * v, v * v};
    memcpy(terms, values, sizeof values);
}

/* Median over the blank pixels of one cell; their number in *ret_count. */
static double sky_of_cell(const aid_image *image, const aid_mask *sky, int cell, float *values,
                          int64_t *ret_count)
{
    int column = cell % SKY_CELLS, row = cell / SKY_CELLS;
    int x0 = (int)((int64_t)image->width * column / SKY_CELLS);
    int x1 = (int)((int64_t)image->width * (column + 1) / SKY_CELLS);
    int y0 = (int)((int64_t)image->height * row / SKY_CELLS);
    int y1 = (int)((int64_t)image->height * (row + 1) / SKY_CELLS);
    int64_t count = 0;
    for (int y = y0; y < y1; y += SKY_STEP)
        for (int x = x0; x < x1; x++)
            if (!aid_mask_row(sky, y)[x])
                values[count++] = aid_image_row(image, y)[x];
    *ret_count = count;
    return aid_median_in_place(values, count);
}

static aid_status fit_sky(const aid_image *image, const aid_mask *sky, sky_fit *fit, aid_error *err)
{
    AID_CLEANUP(aid_free_pointer)
    float *values = NULL;
    size_t most =
        (size_t)(image->width / SKY_CELLS + 1) * (size_t)(image->height / SKY_CELLS / SKY_STEP + 2);
    AID_TRY(aid_new_buffer(most, sizeof *values, "sky level", &values, err));
    double normal[36] = {0}, right[6] = {0};
    int cells = 0;
    for (int cell = 0; cell < SKY_CELLS * SKY_CELLS; cell++) {
        int64_t count;
        double level = sky_of_cell(image, sky, cell, values, &count), terms[6];
        if (count < 200)
            continue;
        sky_terms(image, (cell % SKY_CELLS + 0.5) * image->width / SKY_CELLS,
                  (cell / SKY_CELLS + 0.5) * image->height / SKY_CELLS, terms);
        aid_normal_add(6, normal, right, terms, level, (double)count);
        cells++;
    }
    *fit = (sky_fit){.terms = 0};
    if (cells < SKY_CELLS * SKY_CELLS / 2)
        return AID_OK; /* no sky to speak of: nothing is taken off */
    AID_TRY(aid_cholesky_factor_jittered(6, normal, 1e-6, NULL, err));
    aid_cholesky_solve(6, normal, right);
    memcpy(fit->coefficients, right, sizeof right);
    fit->terms = 6;
    return AID_OK;
}

/* Takes the level off the flux, and what it comes from off D. */
static void remove_sky(const sky_fit *fit, double level_factor, aid_image *difference,
                       aid_image *flux)
{
    for (int y = 0; fit->terms > 0 && y < difference->height; y++) {
        float *d = aid_image_row(difference, y), *f = aid_image_row(flux, y);
        for (int x = 0; x < difference->width; x++) {
            double terms[6], level = 0.0;
            sky_terms(difference, x, y, terms);
            for (int k = 0; k < 6; k++)
                level += fit->coefficients[k] * terms[k];
            d[x] -= (float)(level_factor * level);
            f[x] -= (float)level;
        }
    }
}

/* A level of D is worth level / sum P_D^2 in the flux of a PSF fit; here the other way round. */
static double level_per_flux(const aid_image *psf)
{
    double sum = 0.0;
    for (int64_t i = 0; i < (int64_t)psf->width * psf->height; i++)
        sum += (double)psf->data[i] * (double)psf->data[i];
    return sum;
}

aid_status aid_remove_sky_level(const aid_mask *sky, const aid_image *psf, aid_maps *maps,
                                aid_error *err)
{
    sky_fit level;
    AID_TRY(fit_sky(&maps->flux, sky, &level, err));
    remove_sky(&level, level_per_flux(psf), &maps->difference, &maps->flux);
    return AID_OK;
}

/* -------------------------------------------------------------------------------- diagnostics */

static void score_statistics(aid_difference *difference, float *scores, int64_t count)
{
    double sum = 0.0;
    int64_t kept = 0;
    aid_robust robust = aid_robust_in_place(scores, count); /* leaves |score - median| */
    for (int64_t i = 0; i < robust.count; i++)
        if ((double)scores[i] < 4.5 * robust.sigma) { /* transients are not noise */
            sum += (double)scores[i] * (double)scores[i];
            kept++;
        }
    difference->score_median = robust.median;
    difference->score_sigma = robust.sigma;
    difference->score_std = sqrt(sum / (double)AID_MAX(kept, 1));
}

static void neighbour_correlation(const aid_mask *sky, aid_difference *difference)
{
    double product = 0.0, square = 0.0;
    double limit = 4.5 * difference->score_sigma;
    for (int y = 0; y < sky->height; y += SKY_STEP) {
        const uint8_t *bits = aid_mask_row(sky, y);
        const float *row = aid_image_row(&difference->difference, y);
        const float *score = aid_image_row(&difference->score, y);
        for (int x = 0; x + 1 < sky->width; x++)
            if (!bits[x] && !bits[x + 1] && fabs((double)score[x]) < limit) {
                product += (double)row[x] * (double)row[x + 1];
                square += 0.5 * ((double)row[x] * (double)row[x] +
                                 (double)row[x + 1] * (double)row[x + 1]);
            }
    }
    difference->difference_correlation = square > 0.0 ? product / square : NAN;
}

aid_status aid_measure_honesty(aid_difference *difference, const aid_mask *sky, aid_error *err)
{
    AID_CLEANUP(aid_free_pointer)
    float *scores = NULL;
    size_t most = (size_t)(sky->height / SKY_STEP + 1) * (size_t)(sky->width / SKY_STEP + 1);
    AID_TRY(aid_new_buffer(most, sizeof *scores, "score statistics", &scores, err));
    int64_t count = 0;
    for (int y = 0; y < sky->height; y += SKY_STEP)
        for (int x = 0; x < sky->width; x += SKY_STEP)
            if (!aid_mask_row(sky, y)[x])
                scores[count++] = aid_image_row(&difference->score, y)[x];
    score_statistics(difference, scores, count);
    neighbour_correlation(sky, difference);
    return AID_OK;
}
