/* Finds broader than the PSF: too faint for any one place of the PSF-matched score, plain in the
 * sum. */
#include "core/base/memory.h"
#include "core/imaging/stats.h"
#include "domain/detection/internal.h"

#include <math.h>
#include <stdlib.h>

enum { MOST_PEAKS = 500 };
static const double least_score = 6.0;
static const double point_score = 5.0; /* weaker point candidates may well be noise */
static const double broader_by = 1.1;  /* score as a broad source over score as a point */
static const double near_point_fwhm = 3.0;

/* ------------------------------------------------------------------------- point candidates --- */

/* Significance as a Gaussian source of that width, errors those at the place itself: a point
 * source has 2 k/(1 + k^2) of its score, .69 for k = 2.5. */
static double score_as_broad(const aid_scene *scene, const aid_candidate *candidate, double fwhm_px)
{
    const aid_difference *difference = scene->difference;
    const aid_image *image = &difference->difference;
    double sigma = fwhm_px / 2.355, cx = candidate->x - 1.0, cy = candidate->y - 1.0;
    double sum = 0.0, squares = 0.0;
    int reach = (int)ceil(2.5 * sigma);
    int x = AID_CLAMP((int)lround(cx), 0, image->width - 1);
    int y = AID_CLAMP((int)lround(cy), 0, image->height - 1);
    for (int j = AID_MAX(y - reach, 0); j <= AID_MIN(y + reach, image->height - 1); j++)
        for (int i = AID_MAX(x - reach, 0); i <= AID_MIN(x + reach, image->width - 1); i++) {
            if (aid_mask_row(&difference->mask, j)[i])
                continue;
            double distance2 = (i - cx) * (i - cx) + (j - cy) * (j - cy);
            double weight = exp(-0.5 * distance2 / (sigma * sigma));
            sum += weight * (double)aid_image_row(image, j)[i];
            squares += weight * weight;
        }
    double noise = (double)aid_image_row(&difference->flux_err, y)[x] * sqrt(scene->psf_squares);
    return squares > 0.0 ? candidate->polarity * sum / sqrt(squares) / noise : 0.0;
}

static bool is_point(const aid_scene *scene, const aid_candidate *candidate)
{
    double bar = broader_by * fabs(candidate->score);
    return score_as_broad(scene, candidate, 2.5 * scene->fwhm_px) < bar &&
           score_as_broad(scene, candidate, 5.0 * scene->fwhm_px) < bar;
}

/* The brighter, the further its wings reach. */
static double hole_radius(const aid_scene *scene, const aid_candidate *candidate)
{
    return scene->fwhm_px * AID_CLAMP(1.5 + sqrt(fabs(candidate->score) / 20.0), 2.0, 8.0);
}

static aid_status find_holes(const aid_scene *scene, const aid_candidates *points,
                             aid_hole **ret_holes, int *ret_count, aid_error *err)
{
    aid_hole *holes;
    int count = 0;
    AID_TRY(aid_new_array((size_t)points->count + 1, sizeof *holes, "extended", &holes, err));
    for (int i = 0; i < points->count; i++) {
        const aid_candidate *point = &points->items[i];
        if (fabs(point->score) >= point_score && is_point(scene, point))
            holes[count++] = (aid_hole){point->x - 1.0, point->y - 1.0, hole_radius(scene, point)};
    }
    *ret_holes = holes;
    *ret_count = count;
    return AID_OK;
}

/* ----------------------------------------------------------------------------------- peaks --- */

typedef struct broad_peak {
    int scale, i, j; /* pixel of the scale's score */
    double x, y;     /* 0-based px */
    double score;
} broad_peak;

static int by_significance(const void *a, const void *b)
{
    const broad_peak *p = a, *q = b;
    if (fabs(p->score) != fabs(q->score))
        return fabs(p->score) > fabs(q->score) ? -1 : 1;
    if (p->scale != q->scale)
        return p->scale < q->scale ? -1 : 1;
    return p->j != q->j ? (p->j < q->j ? -1 : 1) : (p->i > q->i) - (p->i < q->i);
}

/* All peaks that fit into `capacity`, in reading order; how many there are. */
static int64_t find_peaks(const aid_broad_maps *maps, double threshold, broad_peak *peaks,
                          int64_t capacity)
{
    int64_t count = 0;
    for (int s = 0; s + 1 < maps->count; s++) {
        const aid_broad_scale *scale = &maps->scales[s];
        int radius = AID_MAX((int)lround(0.5 * scale->fwhm_px / scale->bin), 1);
        for (int j = 0; j < scale->score.height; j++)
            for (int i = 0; i < scale->score.width; i++) {
                float value = aid_image_row(&scale->score, j)[i];
                if (!(fabsf(value) > (float)threshold) || !aid_is_peak(&scale->score, i, j, radius))
                    continue;
                if (count++ >= capacity)
                    continue;
                peaks[count - 1] = (broad_peak){.scale = s,
                                                .i = i,
                                                .j = j,
                                                .x = (i + 0.5) * scale->bin - 0.5,
                                                .y = (j + 0.5) * scale->bin - 0.5,
                                                .score = (double)value};
            }
    }
    return count;
}

/* The most significant ones, those first, at most MOST_PEAKS. */
static aid_status collect_peaks(const aid_broad_maps *maps, double threshold,
                                broad_peak **ret_peaks, int *ret_count, aid_error *err)
{
    int64_t count = find_peaks(maps, threshold, NULL, 0);
    AID_TRY(aid_new_array((size_t)count + 1, sizeof **ret_peaks, "extended", ret_peaks, err));
    (void)find_peaks(maps, threshold, *ret_peaks, count);
    qsort(*ret_peaks, (size_t)count, sizeof **ret_peaks, by_significance);
    *ret_count = (int)AID_MIN(count, MOST_PEAKS);
    return AID_OK;
}

/* The widest scale responds more strongly: structure of the sky, not a source. */
static bool is_large_scale(const aid_broad_maps *maps, const broad_peak *peak)
{
    const aid_broad_scale *widest = &maps->scales[maps->count - 1];
    int i = AID_MIN((int)(peak->x / widest->bin), widest->score.width - 1);
    int j = AID_MIN((int)(peak->y / widest->bin), widest->score.height - 1);
    double there = (double)aid_image_row(&widest->score, j)[i] * widest->scatter;
    double here = peak->score * maps->scales[peak->scale].scatter;
    return here > 0.0 ? there > here : there < here;
}

static bool is_beside_stronger(const aid_broad_maps *maps, const broad_peak *peaks, int index)
{
    for (int k = 0; k < index; k++) {
        double reach =
            AID_MAX(maps->scales[peaks[k].scale].fwhm_px, maps->scales[peaks[index].scale].fwhm_px);
        if (hypot(peaks[k].x - peaks[index].x, peaks[k].y - peaks[index].y) < 1.5 * reach)
            return true;
    }
    return false;
}

/* A candidate that is a lump of the broad source: of its sign, within it, weaker, and no point. */
static bool is_part(const aid_scene *scene, const aid_candidate *other, const aid_candidate *broad,
                    double reach_px)
{
    return other->polarity == broad->polarity &&
           broader_by * fabs(other->score) < fabs(broad->score) &&
           hypot(other->x - broad->x, other->y - broad->y) < reach_px && !is_point(scene, other);
}

static bool is_beside_point(const aid_scene *scene, const aid_candidates *points,
                            const aid_candidate *broad, double reach_px)
{
    for (int i = 0; i < points->count; i++) {
        const aid_candidate *point = &points->items[i];
        double distance = hypot(point->x - broad->x, point->y - broad->y);
        if (fabs(point->score) >= point_score && distance < near_point_fwhm * scene->fwhm_px &&
            !is_part(scene, point, broad, reach_px))
            return true;
    }
    return false;
}

/* --------------------------------------------------------------------------------- measuring ---
 */

/* Median of D in a ring of 1.5 to 3 widths, its noise, and the error of the level. */
static double measure_ring(const aid_scene *scene, double width_px, aid_candidate *candidate)
{
    enum { MOST = 8192 };
    const aid_image *image = &scene->difference->difference;
    float values[MOST];
    int count = 0, step = 1 + (int)(width_px / 19.0), reach = (int)(3.0 * width_px);
    int x = (int)lround(candidate->x - 1.0), y = (int)lround(candidate->y - 1.0);
    for (int j = y - reach; j <= y + reach; j += step)
        for (int i = x - reach; i <= x + reach; i += step) {
            double distance = hypot(i - x, j - y);
            if (i >= 0 && j >= 0 && i < image->width && j < image->height && count < MOST &&
                distance >= 1.5 * width_px && distance <= 3.0 * width_px &&
                !aid_mask_row(&scene->difference->mask, j)[i])
                values[count++] = aid_image_row(image, j)[i];
        }
    candidate->background = 0.0;
    candidate->noise = scene->difference->noise_difference;
    if (count < 30)
        return 0.0;
    aid_robust around = aid_robust_in_place(values, count);
    candidate->background = around.median;
    candidate->noise = AID_MAX(around.sigma, 0.5 * candidate->noise);
    return 1.25 * candidate->noise / sqrt(count); /* of a median */
}

typedef struct moments {
    double sum, x, y, xx, yy, xy; /* about the place given */
} moments;

static moments measure_moments(const aid_scene *scene, const aid_candidate *candidate,
                               double weight_variance)
{
    const aid_image *image = &scene->difference->difference;
    double cx = candidate->x - 1.0, cy = candidate->y - 1.0;
    int reach = (int)ceil(3.0 * sqrt(weight_variance));
    moments m = {0};
    for (int j = AID_MAX((int)cy - reach, 0); j <= AID_MIN((int)cy + reach, image->height - 1); j++)
        for (int i = AID_MAX((int)cx - reach, 0); i <= AID_MIN((int)cx + reach, image->width - 1);
             i++) {
            if (aid_mask_row(&scene->difference->mask, j)[i])
                continue;
            double dx = i - cx, dy = j - cy;
            double value = candidate->polarity *
                           ((double)aid_image_row(image, j)[i] - candidate->background) *
                           exp(-0.5 * (dx * dx + dy * dy) / weight_variance);
            m.sum += value;
            m.x += value * dx;
            m.y += value * dy;
            m.xx += value * dx * dx;
            m.yy += value * dy * dy;
            m.xy += value * dx * dy;
        }
    return m;
}

/* Windowed centroid, then the shape about it. */
static void measure_place_and_shape(const aid_scene *scene, double width_px,
                                    aid_candidate *candidate)
{
    double w = width_px * width_px / (2.355 * 2.355), x = candidate->x, y = candidate->y;
    for (int round = 0; round < 8; round++) {
        moments m = measure_moments(scene, candidate, w);
        if (!(m.sum > 0.0))
            break;
        candidate->x += 2.0 * m.x / m.sum; /* 2: for a source as wide as the weight */
        candidate->y += 2.0 * m.y / m.sum;
        if (hypot(candidate->x - x, candidate->y - y) > 0.75 * width_px) {
            candidate->x = x; /* noise drew it away: the peak it is */
            candidate->y = y;
            break;
        }
    }
    moments m = measure_moments(scene, candidate, 1.5 * w);
    candidate->fwhm_px = candidate->ellipticity = candidate->theta_deg = NAN;
    if (m.sum > 0.0)
        aid_shape_from_moments(m.xx / m.sum, m.yy / m.sum, m.xy / m.sum, 1.5 * w, candidate);
}

/* Sum of D within 1.5 widths above the level; sound pixels speak for the masked ones. */
static void measure_flux(const aid_scene *scene, const aid_broad_scale *scale, double level_error,
                         aid_candidate *candidate)
{
    const aid_difference *difference = scene->difference;
    double radius = 1.5 * scale->fwhm_px, sum = 0.0, variance = 0.0;
    double cx = candidate->x - 1.0, cy = candidate->y - 1.0;
    int64_t all = 0, used = 0;
    for (int j = (int)ceil(cy - radius); j <= (int)floor(cy + radius); j++)
        for (int i = (int)ceil(cx - radius); i <= (int)floor(cx + radius); i++) {
            if (hypot(i - cx, j - cy) > radius)
                continue;
            all++;
            if (i < 0 || j < 0 || i >= difference->score.width || j >= difference->score.height ||
                aid_mask_row(&difference->mask, j)[i])
                continue;
            double error = (double)aid_image_row(&difference->flux_err, j)[i];
            sum += (double)aid_image_row(&difference->difference, j)[i] - candidate->background;
            variance += error * error * scene->psf_squares;
            used++;
        }
    double grown = (double)all / (double)AID_MAX(used, 1);
    double level = level_error * (double)used;
    variance = (variance + level * level) * scale->scatter * scale->scatter;
    candidate->flux = grown * sum;
    if (isfinite(scene->science->gain))
        variance += fabs(sum) / scene->science->gain;
    candidate->flux_err = grown * sqrt(variance);
    candidate->snr = fabs(candidate->flux) / candidate->flux_err;
}

static aid_candidate measure_broad(const aid_scene *scene, const aid_broad_scale *scale,
                                   const broad_peak *peak)
{
    aid_candidate candidate = {.x = peak->x + 1.0,
                               .y = peak->y + 1.0,
                               .score = peak->score,
                               .polarity = peak->score > 0.0 ? 1 : -1,
                               .chi2 = NAN,
                               .cosmic_ray_ratio = NAN,
                               .p_real = NAN};
    double level_error = measure_ring(scene, scale->fwhm_px, &candidate);
    measure_place_and_shape(scene, scale->fwhm_px, &candidate);
    measure_flux(scene, scale, level_error, &candidate);
    const aid_difference *difference = scene->difference;
    int x = AID_CLAMP((int)lround(candidate.x - 1.0), 0, difference->score.width - 1);
    int y = AID_CLAMP((int)lround(candidate.y - 1.0), 0, difference->score.height - 1);
    candidate.peak = (double)aid_image_row(&difference->difference, y)[x];
    candidate.motion = (double)aid_image_row(&difference->motion, y)[x];
    candidate.npix = (int64_t)scale->bin * scale->bin *
                     aid_connected_pixels(&scale->score, peak->i, peak->j, candidate.polarity);
    aid_place_on_sky(scene->science, &candidate);
    aid_flag_extended(scene, scale, peak->i, peak->j, &candidate);
    return candidate;
}

/* ------------------------------------------------------------------------------------- whole ---
 */

/* The candidates that are lumps of it go; why they were no finds stays. */
static void absorb_points(const aid_scene *scene, double reach_px, aid_candidates *found,
                          aid_candidate *broad)
{
    const unsigned inherited = AID_FLAG_GROUP_REJECT & ~(unsigned)AID_FLAG_BAD_SHAPE;
    int kept = 0;
    for (int i = 0; i < found->count; i++) {
        if (is_part(scene, &found->items[i], broad, reach_px))
            broad->flags |= found->items[i].flags & inherited;
        else
            found->items[kept++] = found->items[i];
    }
    found->count = kept;
}

/* `found->items` has room for all peaks. */
static void take_peaks(const aid_scene *scene, const aid_broad_maps *maps, const broad_peak *peaks,
                       int count, aid_candidates *found)
{
    for (int k = 0; k < count; k++) {
        const aid_broad_scale *scale = &maps->scales[peaks[k].scale];
        if (is_beside_stronger(maps, peaks, k) || is_large_scale(maps, &peaks[k]))
            continue;
        aid_candidate broad = measure_broad(scene, scale, &peaks[k]);
        double reach_px = 1.2 * scale->fwhm_px;
        if (is_beside_point(scene, found, &broad, reach_px))
            continue;
        absorb_points(scene, reach_px, found, &broad);
        found->items[found->count++] = broad;
    }
}

aid_status aid_extended_find(const aid_scene *scene, double threshold, aid_pool *pool,
                             aid_notes *notes, aid_candidates *found, aid_error *err)
{
    AID_CLEANUP(aid_broad_maps_done)
    aid_broad_maps maps = {0};
    AID_CLEANUP(aid_free_pointer)
    aid_hole *holes = NULL;
    AID_CLEANUP(aid_free_pointer)
    broad_peak *peaks = NULL;
    int hole_count, count;
    AID_TRY(find_holes(scene, found, &holes, &hole_count, err));
    AID_TRY(aid_broad_maps_make(scene, holes, hole_count, pool, &maps, err));
    AID_TRY(collect_peaks(&maps, AID_MAX(threshold, least_score), &peaks, &count, err));
    aid_candidate *items =
        realloc(found->items, (size_t)(found->count + count + 1) * sizeof *items);
    if (!items)
        AID_FAIL(err, AID_ERR_NOMEM, "extended: out of memory for %d", found->count + count);
    found->items = items;
    take_peaks(scene, &maps, peaks, count, found);
    for (int s = 0; s + 1 < maps.count; s++)
        if (maps.scales[s].scatter > 1.2)
            aid_note_add(notes, "detect",
                         "structure %.0f px wide is left in the difference: significance of "
                         "extended finds / %.2f",
                         maps.scales[s].fwhm_px, maps.scales[s].scatter);
    if (count == MOST_PEAKS)
        aid_note_add(notes, "detect", "more than %d extended residuals: the sky does not match",
                     MOST_PEAKS);
    return AID_OK;
}
