/* Sources of known flux put into the science image: completeness and false alarms of this very
 * pair. */
#include "core/base/memory.h"
#include "core/base/random.h"
#include "core/imaging/stats.h"
#include "domain/detection/internal.h"

#include <math.h>
#include <stdlib.h>

static const double min_snr = 3.0, max_snr = 16.0;
static const double near_source_share = 0.3;
/* In pixels, and for broad seeing in FWHM: whichever is more. */
static const double separation_px = 22.0, separation_fwhm = 6.0;
static const double match_px = 2.5, match_fwhm = 0.6;
static const double near_px = 3.0;
static const double bin_edges[AID_COMPLETENESS_BINS + 1] = {3, 4, 5, 6, 7, 8, 10, 12, 16};

void aid_injection_done(aid_injection *injection)
{
    free(injection->items);
    *injection = (aid_injection){0};
}

/* ------------------------------------------------------------------------------------- places ---
 */

static bool place_is_free(const aid_injection *injection, const aid_difference *difference,
                          double x, double y)
{
    const aid_mask *mask = &difference->mask;
    double separation = AID_MAX(separation_px, separation_fwhm * injection->fwhm_px);
    int margin = (int)ceil(separation), cx = (int)lround(x), cy = (int)lround(y);
    if (cx < margin || cy < margin || cx >= mask->width - margin || cy >= mask->height - margin)
        return false;
    for (int dy = -3; dy <= 3; dy++)
        for (int dx = -3; dx <= 3; dx++)
            if (aid_mask_row(mask, cy + dy)[cx + dx])
                return false;
    for (int i = 0; i < injection->count; i++)
        if (hypot(injection->items[i].x - x, injection->items[i].y - y) < separation)
            return false;
    return true;
}

static void draw_place(const aid_exposure *reference, double fwhm_px, aid_random *random,
                       double *ret_x, double *ret_y, bool *ret_near)
{
    double spread = AID_MAX(near_px, fwhm_px);
    *ret_near = reference->stars.count > 0 && aid_random_uniform(random) < near_source_share;
    if (*ret_near) {
        int k = (int)(aid_random_uniform(random) * reference->stars.count);
        const aid_star *star = &reference->stars.items[AID_MIN(k, reference->stars.count - 1)];
        *ret_x = star->x + spread * aid_random_normal(random);
        *ret_y = star->y + spread * aid_random_normal(random);
    } else {
        *ret_x = aid_random_uniform(random) * reference->image.width;
        *ret_y = aid_random_uniform(random) * reference->image.height;
    }
}

static void choose_places(const aid_exposure *reference, const aid_difference *difference,
                          int count, aid_random *random, aid_injection *injection)
{
    for (int tries = 0; injection->count < count && tries < 60 * count; tries++) {
        double x, y;
        bool near;
        draw_place(reference, injection->fwhm_px, random, &x, &y, &near);
        double snr = min_snr + (max_snr - min_snr) * aid_random_uniform(random);
        if (!place_is_free(injection, difference, x, y))
            continue;
        double error = (double)aid_image_row(&difference->flux_err, (int)lround(y))[(int)lround(x)];
        injection->items[injection->count++] = (aid_injected){.x = x,
                                                              .y = y,
                                                              .flux = snr * error,
                                                              .snr = snr,
                                                              .near_source = near,
                                                              .flux_found = NAN,
                                                              .score_found = NAN};
    }
}

/* ------------------------------------------------------------------------------------- pixels ---
 */

static aid_status add_source(const aid_exposure *science, const aid_injected *source,
                             aid_random *random, aid_image *image, aid_error *err)
{
    int radius = science->psf.radius_px, side = 2 * radius + 1;
    int cx = (int)lround(source->x), cy = (int)lround(source->y);
    AID_CLEANUP(aid_free_pointer)
    float *stamp = NULL;
    AID_TRY(aid_new_buffer((size_t)side * (size_t)side, sizeof *stamp, "injection", &stamp, err));
    aid_psf_stamp(&science->psf, source->x, source->y, source->x - cx, source->y - cy, radius,
                  stamp);
    for (int j = -radius; j <= radius; j++)
        for (int i = -radius; i <= radius; i++) {
            int x = cx + i, y = cy + j;
            if (x < 0 || y < 0 || x >= image->width || y >= image->height)
                continue;
            double light = source->flux * (double)stamp[(j + radius) * side + i + radius];
            double electrons = AID_MAX(light, 0.0) * science->gain; /* infinite: no photon noise */
            if (isfinite(electrons))
                light += (aid_random_poisson(random, electrons) - electrons) / science->gain;
            aid_image_row(image, y)[x] += (float)light;
        }
    return AID_OK;
}

aid_status aid_inject(const aid_exposure *science, const aid_exposure *reference,
                      const aid_difference *difference, int count, uint64_t seed,
                      aid_injection *ret_injection, aid_image *ret_image, aid_error *err)
{
    if (count < 1 || count > 100000)
        AID_FAIL(err, AID_ERR_INVALID, "inject: %d sources are not between 1 and 100000", count);
    aid_random random = aid_random_seeded(seed, 0);
    aid_injection injection = {.fwhm_px = science->psf.fwhm_px};
    aid_image image;
    AID_TRY(
        aid_new_array((size_t)count, sizeof *injection.items, "injection", &injection.items, err));
    choose_places(reference, difference, count, &random, &injection);
    aid_status status = aid_image_copy(&science->image, &image, err);
    for (int i = 0; status == AID_OK && i < injection.count; i++) {
        status = add_source(science, &injection.items[i], &random, &image, err);
        if (status != AID_OK)
            aid_image_done(&image);
    }
    if (status != AID_OK) {
        aid_injection_done(&injection);
        return status;
    }
    *ret_injection = injection;
    *ret_image = image;
    return AID_OK;
}

/* ------------------------------------------------------------------------------------ scoring ---
 */

static bool near_any(const aid_candidates *candidates, double x, double y, double radius)
{
    for (int i = 0; i < candidates->count; i++)
        if (hypot(candidates->items[i].x - 1.0 - x, candidates->items[i].y - 1.0 - y) < radius)
            return true;
    return false;
}

static void match_source(aid_injected *source, double radius_px, const aid_candidates *found)
{
    double nearest = radius_px;
    for (int i = 0; i < found->count; i++) {
        const aid_candidate *candidate = &found->items[i];
        double distance = hypot(candidate->x - 1.0 - source->x, candidate->y - 1.0 - source->y);
        if (distance > nearest || candidate->polarity < 0 ||
            candidate->flags & AID_FLAG_GROUP_REJECT)
            continue;
        nearest = distance;
        source->found = true;
        source->flux_found = candidate->flux;
        source->score_found = candidate->score;
    }
}

static void count_bins(aid_injection *injection)
{
    for (int b = 0; b < AID_COMPLETENESS_BINS; b++) {
        aid_completeness_bin *bin = &injection->bins[b];
        *bin = (aid_completeness_bin){.snr_low = bin_edges[b], .snr_high = bin_edges[b + 1]};
        for (int i = 0; i < injection->count; i++) {
            const aid_injected *source = &injection->items[i];
            if (source->snr >= bin->snr_low && source->snr < bin->snr_high) {
                bin->injected++;
                bin->found += source->found;
            }
        }
    }
}

/* S/N where the fraction found crosses one half, linear between the middles of the bins. */
static double half_completeness(const aid_injection *injection)
{
    double before_snr = NAN, before = NAN;
    for (int b = 0; b < AID_COMPLETENESS_BINS; b++) {
        const aid_completeness_bin *bin = &injection->bins[b];
        if (bin->injected == 0)
            continue;
        double fraction = (double)bin->found / bin->injected;
        double snr = 0.5 * (bin->snr_low + bin->snr_high);
        if (fraction >= 0.5)
            return isfinite(before) && fraction > before
                       ? before_snr + (0.5 - before) / (fraction - before) * (snr - before_snr)
                       : snr;
        before = fraction;
        before_snr = snr;
    }
    return NAN;
}

static double searched_megapixels(const aid_mask *mask)
{
    int64_t free_pixels = 0, count = (int64_t)mask->width * mask->height;
    for (int64_t i = 0; i < count; i++)
        free_pixels += mask->data[i] == 0;
    return (double)free_pixels * 1e-6;
}

/* Peaks that were there before the injection and are not of it: noise has no sign, so the negative
 * ones away from sources of the reference count it. */
static int negative_false_alarms(const aid_candidates *before)
{
    int count = 0;
    for (int i = 0; i < before->count; i++) {
        const aid_candidate *candidate = &before->items[i];
        count += candidate->polarity < 0 &&
                 !(candidate->flags & (AID_FLAG_GROUP_REJECT | AID_FLAG_NEAR_SOURCE));
    }
    return count;
}

void aid_injection_score(aid_injection *injection, const aid_candidates *found,
                         const aid_candidates *before, const aid_difference *difference)
{
    double *bias = malloc((size_t)AID_MAX(injection->count, 1) * sizeof *bias);
    double radius = AID_MAX(match_px, match_fwhm * injection->fwhm_px);
    int measured = 0, kept = 0;
    for (int i = 0; i < injection->count; i++) {
        aid_injected source = injection->items[i];
        if (near_any(before, source.x, source.y, 2.0 * radius))
            continue; /* something real or false was there already */
        match_source(&source, radius, found);
        if (bias && source.found && source.snr > 9.0)
            bias[measured++] = source.flux_found / source.flux - 1.0;
        injection->items[kept++] = source;
    }
    injection->count = kept;
    count_bins(injection);
    injection->snr_50 = half_completeness(injection);
    injection->flux_bias = measured >= 5 ? aid_median_in_place_f64(bias, measured) : NAN;
    injection->searched_mpx = searched_megapixels(&difference->mask);
    injection->false_alarms_per_mpx = injection->searched_mpx > 0.0
                                          ? negative_false_alarms(before) / injection->searched_mpx
                                          : NAN;
    free(bias);
}
