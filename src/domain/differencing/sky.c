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

enum { FEWEST_CELLS = 12, FEWEST_PIXELS = 50, TERMS = 6 };
static const double cell_per_fwhm = 6.0; /* a point source is a few percent of a cell */

typedef struct sky_level {    /* of the flux on blank sky */
    double polynomial[TERMS]; /* a quadratic of u, v over the field */
    aid_mesh rest;            /* and what the cells say beyond it, as far as it is significant */
} sky_level;

static void sky_level_done(sky_level *level)
{
    aid_mesh_done(&level->rest);
}

typedef struct sky_cell {
    double x, y;     /* centre, px */
    double level;    /* median of the flux; NaN: too few blank pixels */
    double variance; /* of that median */
    int64_t pixels;
} sky_cell;

static void sky_terms(const aid_image *image, double x, double y, double terms[TERMS])
{
    double u = (x - 0.5 * image->width) / (0.5 * image->width);
    double v = (y - 0.5 * image->height) / (0.5 * image->height);
    const double values[TERMS] = {1.0, u, v, u * u, u * v, v * v};
    memcpy(terms, values, sizeof values);
}

static double polynomial_at(const sky_level *level, const aid_image *image, double x, double y)
{
    double terms[TERMS], sum = 0.0;
    sky_terms(image, x, y, terms);
    for (int k = 0; k < TERMS; k++)
        sum += level->polynomial[k] * terms[k];
    return sum;
}

static sky_cell measure_cell(const aid_image *flux, const aid_mask *sky, const aid_mesh *grid,
                             int index, float *values)
{
    int column = index % grid->nx, row = index / grid->nx;
    int x0 = (int)((int64_t)flux->width * column / grid->nx);
    int x1 = (int)((int64_t)flux->width * (column + 1) / grid->nx);
    int y0 = (int)((int64_t)flux->height * row / grid->ny);
    int y1 = (int)((int64_t)flux->height * (row + 1) / grid->ny);
    sky_cell cell = {.x = 0.5 * (x0 + x1 - 1), .y = 0.5 * (y0 + y1 - 1), .level = NAN};
    for (int y = y0; y < y1; y += SKY_STEP) /* neighbours of a filtered map say the same */
        for (int x = x0; x < x1; x += SKY_STEP)
            if (!aid_mask_row(sky, y)[x])
                values[cell.pixels++] = aid_image_row(flux, y)[x];
    if (cell.pixels >= FEWEST_PIXELS)
        cell.level = aid_median_in_place(values, cell.pixels);
    return cell;
}

/* Terms that the cells tell nothing of (one row of them, or blank sky along one side) stay zero
 * instead of playing off against the constant and running away between the cells. */
static const double least_told = 1e-3; /* mean square of a term over the cells */

static aid_status fit_polynomial(const aid_image *flux, const sky_cell *cells, int count,
                                 sky_level *level, aid_error *err)
{
    double normal[TERMS * TERMS] = {0}, right[TERMS] = {0};
    for (int i = 0; i < count; i++) {
        double terms[TERMS];
        if (!isfinite(cells[i].level))
            continue;
        sky_terms(flux, cells[i].x, cells[i].y, terms);
        aid_normal_add(TERMS, normal, right, terms, cells[i].level, (double)cells[i].pixels);
    }
    for (int k = 1; k < TERMS; k++)
        normal[k * TERMS + k] += least_told * normal[0];
    AID_TRY(aid_cholesky_factor_jittered(TERMS, normal, 1e-6, NULL, err));
    aid_cholesky_solve(TERMS, normal, right);
    memcpy(level->polynomial, right, sizeof right);
    return AID_OK;
}

/* What the cells differ by from the quadratic, each shrunk by the part of the scatter that is more
 * than the noise of a median: nothing where the sky is smooth, all of it where dust or fringes are.
 */
static aid_status keep_rest(const aid_image *flux, const sky_cell *cells, int count,
                            sky_level *level, aid_error *err)
{
    AID_CLEANUP(aid_free_pointer)
    double *rest = NULL;
    AID_TRY(aid_new_array((size_t)count, sizeof *rest, "sky level", &rest, err));
    double noise = 0.0;
    int used = 0;
    for (int i = 0; i < count; i++) {
        rest[i] = cells[i].level - polynomial_at(level, flux, cells[i].x, cells[i].y);
        level->rest.values[i] = (float)rest[i];
        if (isfinite(rest[i])) {
            noise += cells[i].variance;
            used++;
        }
    }
    double scatter = aid_robust_in_place_f64(rest, count).sigma;
    double true_variance = AID_MAX(scatter * scatter - noise / AID_MAX(used, 1), 0.0);
    for (int i = 0; i < count; i++) {
        double weight = true_variance / (true_variance + cells[i].variance);
        float *value = &level->rest.values[i];
        *value = isfinite(*value) ? (float)(weight * (double)*value) : 0.0F;
    }
    return AID_OK;
}

/* *ret_found: false where there is too little blank sky to speak of. `level->rest` is allocated. */
static aid_status measure_level(const aid_maps *maps, const aid_mask *sky, double psf_squares,
                                sky_level *level, bool *ret_found, aid_error *err)
{
    const aid_image *flux = &maps->flux;
    int count = level->rest.nx * level->rest.ny, usable = 0;
    AID_CLEANUP(aid_free_pointer)
    float *values = NULL;
    AID_CLEANUP(aid_free_pointer)
    sky_cell *cells = NULL;
    size_t most = (size_t)(level->rest.cell_width + 2) * (size_t)(level->rest.cell_height + 2);
    AID_TRY(aid_new_buffer(most, sizeof *values, "sky level", &values, err));
    AID_TRY(aid_new_array((size_t)count, sizeof *cells, "sky level", &cells, err));
    for (int i = 0; i < count; i++) {
        cells[i] = measure_cell(flux, sky, &level->rest, i, values);
        /* A pixel's variance times the correlated area 1/sum P^2, 1.4 for a median. */
        double pixel = aid_mesh_at(&maps->norm, cells[i].x, cells[i].y);
        cells[i].variance =
            1.4 * pixel / psf_squares / (double)AID_MAX(cells[i].pixels * SKY_STEP * SKY_STEP, 1);
        usable += isfinite(cells[i].level);
    }
    *ret_found = usable >= FEWEST_CELLS && usable >= count / 3;
    if (!*ret_found)
        return AID_OK;
    AID_TRY(fit_polynomial(flux, cells, count, level, err));
    return keep_rest(flux, cells, count, level, err);
}

/* Takes the level off the flux, and what it comes from off D: level x sum P_D^2. */
static aid_status subtract_level(const sky_level *level, double psf_squares, aid_maps *maps,
                                 aid_error *err)
{
    int width = maps->flux.width;
    AID_CLEANUP(aid_free_pointer)
    float *rest = NULL;
    AID_TRY(aid_new_buffer((size_t)width, sizeof *rest, "sky level", &rest, err));
    for (int y = 0; y < maps->flux.height; y++) {
        float *difference = aid_image_row(&maps->difference, y);
        float *flux = aid_image_row(&maps->flux, y);
        aid_mesh_row(&level->rest, y, rest);
        for (int x = 0; x < width; x++) {
            double here = polynomial_at(level, &maps->flux, x, y) + (double)rest[x];
            difference[x] -= (float)(psf_squares * here);
            flux[x] -= (float)here;
        }
    }
    return AID_OK;
}

static double sum_of_squares(const aid_image *stamp)
{
    double sum = 0.0;
    for (int64_t i = 0; i < (int64_t)stamp->width * stamp->height; i++)
        sum += (double)stamp->data[i] * (double)stamp->data[i];
    return sum;
}

aid_status aid_remove_sky_level(const aid_mask *sky, const aid_difference *difference,
                                aid_maps *maps, aid_error *err)
{
    int width = maps->flux.width, height = maps->flux.height;
    AID_CLEANUP(sky_level_done)
    sky_level level = {0};
    double squares = sum_of_squares(&difference->psf);
    int cell = (int)AID_CLAMP(cell_per_fwhm * difference->fwhm_px, 32.0, 128.0);
    bool found;
    AID_TRY(aid_mesh_init(width, height, AID_MAX(width / cell, 1), AID_MAX(height / cell, 1),
                          &level.rest, err));
    AID_TRY(measure_level(maps, sky, squares, &level, &found, err));
    return found ? subtract_level(&level, squares, maps, err) : AID_OK;
}

/* ------------------------------------------------------------------ correlation that is left in D
 */

enum { FACTOR_STEP = 3 };
static const double least_change = 0.03; /* of the variance */

/* Robust variance of D and of the flux on blank sky, each in units of what was predicted. */
static aid_status measure_variances(const aid_maps *maps, const aid_mask *sky, double *ret_white,
                                    double *ret_filtered, int64_t *ret_count, aid_error *err)
{
    size_t most = (size_t)(sky->height / FACTOR_STEP + 1) * (size_t)(sky->width / FACTOR_STEP + 1);
    AID_CLEANUP(aid_free_pointer)
    float *white = NULL, *filtered = NULL;
    AID_TRY(aid_new_buffer(most, sizeof *white, "sky correlation", &white, err));
    AID_TRY(aid_new_buffer(most, sizeof *filtered, "sky correlation", &filtered, err));
    int64_t count = 0;
    for (int y = 0; y < sky->height; y += FACTOR_STEP)
        for (int x = 0; x < sky->width; x += FACTOR_STEP) {
            if (aid_mask_row(sky, y)[x])
                continue;
            double expected = aid_mesh_at(&maps->white, x, y);
            white[count] = (float)((double)aid_image_row(&maps->difference, y)[x] / expected);
            filtered[count++] =
                aid_image_row(&maps->flux, y)[x] / sqrtf(aid_image_row(&maps->variance, y)[x]);
        }
    double d = aid_robust_in_place(white, count).sigma;
    double s = aid_robust_in_place(filtered, count).sigma;
    *ret_white = d * d;
    *ret_filtered = s * s;
    *ret_count = count;
    return AID_OK;
}

/* Adds `share` of the sky's part to the variance of the flux. */
static aid_status scale_sky_variance(aid_maps *maps, float share, aid_error *err)
{
    int width = maps->variance.width;
    AID_CLEANUP(aid_free_pointer)
    float *norm = NULL;
    AID_TRY(aid_new_buffer((size_t)width, sizeof *norm, "sky variance", &norm, err));
    for (int y = 0; y < maps->variance.height; y++) {
        float *variance = aid_image_row(&maps->variance, y);
        aid_mesh_row(&maps->norm, y, norm);
        for (int x = 0; x < width; x++)
            variance[x] += share * AID_MIN(variance[x], norm[x]);
    }
    return AID_OK;
}

aid_status aid_carry_correlation(const aid_mask *sky, aid_maps *maps, aid_difference *difference,
                                 aid_notes *notes, aid_error *err)
{
    double white, filtered;
    int64_t count;
    difference->correlation_factor = 1.0;
    AID_TRY(measure_variances(maps, sky, &white, &filtered, &count, err));
    if (count < 1000 || !(white > 0.0))
        return AID_OK;
    /* Independent values: the pixels looked at times their area over the area of the filter. */
    double independent =
        (double)count * FACTOR_STEP * FACTOR_STEP * sum_of_squares(&difference->psf);
    double factor = filtered / white, error = 2.0 * 1.2 / sqrt(AID_MAX(independent, 1.0));
    if (fabs(factor - 1.0) < AID_MAX(least_change, 3.0 * error))
        return AID_OK;
    factor = AID_CLAMP(factor, 0.5, 4.0);
    AID_TRY(scale_sky_variance(maps, (float)(factor - 1.0), err));
    difference->correlation_factor = factor;
    aid_note_add(notes, "subtract",
                 "structure of the sky or flat field is left in the difference: variance of the "
                 "flux x %.2f",
                 factor);
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

/* A score that is not what it claims to be must not pass unnoticed. */
static void note_honesty(const aid_difference *difference, int64_t count, aid_notes *notes)
{
    const double tolerated = 0.15;
    if (count < 1000)
        aid_note_add(notes, "subtract",
                     "no blank sky to verify the score on: its significances are as predicted");
    else if (fabs(difference->score_sigma - 1.0) > tolerated)
        aid_note_add(notes, "subtract",
                     "the score scatters by %.2f on blank sky, not by 1: significances are off",
                     difference->score_sigma);
}

aid_status aid_measure_honesty(aid_difference *difference, const aid_mask *sky, aid_notes *notes,
                               aid_error *err)
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
    note_honesty(difference, count, notes);
    return AID_OK;
}
