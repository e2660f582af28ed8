/* What speaks against a candidate, each reason under its own name. */
#include "core/imaging/stats.h"
#include "domain/detection/internal.h"

#include <math.h>
#include <stdlib.h>

typedef struct surroundings { /* mask bits in the circle around a peak */
    int pixels, masked;
    bool saturated_near, no_data_near;
} surroundings;

static const double most_masked = 0.1; /* of the pixels within one FWHM */

/* Pixels that hold no signal; what is only near one (grown, edge) does. */
static const unsigned unusable =
    AID_MASK_BAD | AID_MASK_SATURATED | AID_MASK_COSMIC_RAY | AID_MASK_NO_DATA;

static surroundings look_around(const aid_scene *scene, int x, int y)
{
    const aid_mask *mask = &scene->difference->mask;
    double near = 1.0 * scene->fwhm_px, far = AID_CLAMP(6.0 * scene->fwhm_px, 20.0, 64.0);
    int reach = (int)far;
    surroundings found = {0};
    for (int j = y - reach; j <= y + reach; j++)
        for (int i = x - reach; i <= x + reach; i++) {
            double distance = hypot(i - x, j - y);
            bool inside = i >= 0 && j >= 0 && i < mask->width && j < mask->height;
            unsigned bits = inside ? aid_mask_row(mask, j)[i] : AID_MASK_NO_DATA;
            if (distance <= far && bits & AID_MASK_SATURATED)
                found.saturated_near = true;
            if (distance <= 2.0 * scene->fwhm_px && bits & AID_MASK_NO_DATA)
                found.no_data_near = true;
            if (distance <= near) {
                found.pixels++;
                found.masked += (bits & unusable) != 0;
            }
        }
    return found;
}

/* The strongest score of the other sign next to the peak. */
static double strongest_opposite(const aid_scene *scene, int x, int y, int polarity)
{
    const aid_image *score = &scene->difference->score;
    double radius = 1.6 * scene->fwhm_px, best = 0.0;
    int reach = (int)ceil(radius);
    for (int j = AID_MAX(y - reach, 0); j <= AID_MIN(y + reach, score->height - 1); j++)
        for (int i = AID_MAX(x - reach, 0); i <= AID_MIN(x + reach, score->width - 1); i++) {
            double value = -polarity * (double)aid_image_row(score, j)[i];
            if (hypot(i - x, j - y) <= radius && value > best)
                best = value;
        }
    return best;
}

static double strongest_motion(const aid_scene *scene, int x, int y)
{
    const aid_image *motion = &scene->difference->motion;
    int reach = (int)ceil(scene->fwhm_px);
    double best = 0.0;
    for (int j = AID_MAX(y - reach, 0); j <= AID_MIN(y + reach, motion->height - 1); j++)
        for (int i = AID_MAX(x - reach, 0); i <= AID_MIN(x + reach, motion->width - 1); i++)
            if ((double)aid_image_row(motion, j)[i] > best)
                best = (double)aid_image_row(motion, j)[i];
    return best;
}

/* Mean of D along the column (or row) through the peak, beyond the PSF, in units of its error: a
 * column that goes on above and below is the detector's. */
static double line_significance(const aid_scene *scene, const aid_candidate *candidate, int x,
                                int y, bool column)
{
    const aid_image *image = &scene->difference->difference;
    int gap = (int)ceil(1.5 * scene->fwhm_px), reach = gap + 24, count = 0;
    double sum = 0.0;
    for (int k = -reach; k <= reach; k++) {
        int i = column ? x : x + k, j = column ? y + k : y;
        if (abs(k) <= gap || i < 0 || j < 0 || i >= image->width || j >= image->height)
            continue;
        double value =
            ((double)aid_image_row(image, j)[i] - candidate->background) / candidate->noise;
        sum += AID_CLAMP(value, -3.0, 3.0);
        count++;
    }
    return count >= 12 ? candidate->polarity * sum / sqrt(count) : 0.0;
}

/* A masked column, row or part of one right beside the peak. */
static bool bad_line_near(const aid_scene *scene, int x, int y)
{
    const aid_mask *mask = &scene->difference->mask;
    int side = (int)ceil(scene->fwhm_px), reach = 12;
    for (int s = -side; s <= side; s++) {
        int along_column = 0, along_row = 0;
        for (int k = -reach; k <= reach; k++) {
            if (x + s >= 0 && x + s < mask->width && y + k >= 0 && y + k < mask->height)
                along_column += (aid_mask_row(mask, y + k)[x + s] & AID_MASK_BAD) != 0;
            if (x + k >= 0 && x + k < mask->width && y + s >= 0 && y + s < mask->height)
                along_row += (aid_mask_row(mask, y + s)[x + k] & AID_MASK_BAD) != 0;
        }
        if (along_column > reach || along_row > reach)
            return true;
    }
    return false;
}

/* ------------------------------------------------------------------------- sources nearby --- */

enum { MAX_NEARBY = 512 };
static const double nearby_px = 30.0;

/* A residual is one when the star next to it outshines it by more than the PSFs are known. */
static bool is_residual_of(const aid_scene *scene, const aid_candidate *candidate,
                           const aid_star *star, double distance)
{
    double light = star->flux * scene->difference->match.ratio, flux = fabs(candidate->flux);
    double core = AID_MAX(3.0 * scene->difference->psf_error, 0.01);
    double limit = distance <= 1.2 * scene->fwhm_px   ? core
                   : distance <= 4.0 * scene->fwhm_px ? 0.5 * core
                                                      : 0.0;
    bool saturated = star->flags & AID_STAR_SATURATED && distance <= 5.0 * scene->fwhm_px;
    return flux < limit * light || saturated;
}

static unsigned flags_of_neighbours(const aid_scene *scene, aid_candidate *candidate)
{
    double x = candidate->x - 1.0, y = candidate->y - 1.0, nearest_px = INFINITY;
    const aid_star *nearest = NULL;
    int found[MAX_NEARBY];
    double reach_px = AID_CLAMP(5.0 * scene->fwhm_px, nearby_px, 2.0 * nearby_px);
    int count = aid_point_grid_within(&scene->sources, x, y, reach_px, found, MAX_NEARBY);
    unsigned flags = 0;
    for (int i = 0; i < count; i++) {
        const aid_star *star = &scene->reference->stars.items[found[i]];
        double distance = hypot(star->x - x, star->y - y);
        if (distance < nearest_px) {
            nearest_px = distance;
            nearest = star;
        }
        if (is_residual_of(scene, candidate, star, distance))
            flags |= AID_FLAG_BRIGHT_STAR_RESIDUAL;
    }
    candidate->distance_px = nearest_px <= nearby_px ? nearest_px : NAN;
    if (nearest && nearest_px <= 1.5 * scene->fwhm_px)
        flags |= AID_FLAG_NEAR_SOURCE;
    if (nearest && nearest_px <= 0.5 * scene->fwhm_px && !(nearest->flags & AID_STAR_EXTENDED))
        flags |= AID_FLAG_VARIABLE;
    return flags;
}

/* --------------------------------------------------------------------------------- all of them ---
 */

static unsigned flags_of_shape(const aid_scene *scene, const aid_candidate *candidate)
{
    unsigned flags = 0;
    /* The PSF of D is known to a few percent: a bright candidate's chi2 grows by that. */
    double tolerated = 3.0 + 0.0016 * candidate->snr * candidate->snr;
    if (candidate->chi2 > tolerated)
        flags |= AID_FLAG_BAD_SHAPE;
    if (candidate->fwhm_px > 1.6 * scene->fwhm_px)
        flags |= AID_FLAG_EXTENDED;
    return flags;
}

/* One pixel describes it better than a PSF, by more than noise can: chi2 differs by over 9. */
static bool is_cosmic_ray(const aid_candidate *candidate)
{
    double ratio = candidate->cosmic_ray_ratio, score = candidate->score;
    return ratio > 1.02 && (ratio * ratio - 1.0) * score * score > 9.0;
}

void aid_flag_candidate(const aid_scene *scene, int x, int y, aid_candidate *candidate)
{
    surroundings around = look_around(scene, x, y);
    candidate->masked_fraction = (double)around.masked / AID_MAX(around.pixels, 1);
    unsigned flags = flags_of_neighbours(scene, candidate) | flags_of_shape(scene, candidate);
    if (around.no_data_near)
        flags |= AID_FLAG_EDGE;
    if (around.saturated_near)
        flags |= AID_FLAG_SATURATED_NEIGHBOUR;
    if (candidate->masked_fraction > most_masked)
        flags |= AID_FLAG_MASKED;
    double opposite = strongest_opposite(scene, x, y, candidate->polarity);
    if (opposite > 3.5 && opposite > 0.4 * fabs(candidate->score))
        flags |= AID_FLAG_DIPOLE;
    double motion = strongest_motion(scene, x, y);
    if (motion > 25.0 && motion > 1.2 * candidate->score * candidate->score)
        flags |= AID_FLAG_MOVING;
    if (is_cosmic_ray(candidate))
        flags |= AID_FLAG_COSMIC_RAY;
    if (bad_line_near(scene, x, y) || line_significance(scene, candidate, x, y, true) > 5.0 ||
        line_significance(scene, candidate, x, y, false) > 5.0)
        flags |= AID_FLAG_BAD_COLUMN;
    candidate->flags = flags;
}

/* ---------------------------------------------------------------------------- extended finds ---
 */

static double strongest_opposite_broad(const aid_broad_scale *scale, int x, int y, int polarity)
{
    aid_scene as_pixels = {.fwhm_px = scale->fwhm_px / scale->bin};
    aid_difference only_score = {.score = scale->score};
    as_pixels.difference = &only_score;
    return strongest_opposite(&as_pixels, x, y, polarity);
}

void aid_flag_extended(const aid_scene *scene, const aid_broad_scale *scale, int x, int y,
                       aid_candidate *candidate)
{
    int px = (int)lround(candidate->x - 1.0), py = (int)lround(candidate->y - 1.0);
    aid_scene broad = *scene; /* the same rules on the scale of the find */
    broad.fwhm_px = scale->fwhm_px;
    surroundings around = look_around(&broad, px, py);
    candidate->masked_fraction = (double)around.masked / AID_MAX(around.pixels, 1);
    unsigned flags = AID_FLAG_EXTENDED;
    flags |= flags_of_neighbours(&broad, candidate) & AID_FLAG_BRIGHT_STAR_RESIDUAL;
    if (candidate->distance_px <= 1.5 * scene->fwhm_px)
        flags |= AID_FLAG_NEAR_SOURCE;
    if (around.no_data_near)
        flags |= AID_FLAG_EDGE;
    if (around.saturated_near)
        flags |= AID_FLAG_SATURATED_NEIGHBOUR;
    if (candidate->masked_fraction > most_masked)
        flags |= AID_FLAG_MASKED;
    double opposite = strongest_opposite_broad(scale, x, y, candidate->polarity);
    if (opposite > 3.5 && opposite > 0.4 * fabs(candidate->score))
        flags |= AID_FLAG_DIPOLE;
    if (line_significance(&broad, candidate, px, py, true) > 5.0 ||
        line_significance(&broad, candidate, px, py, false) > 5.0)
        flags |= AID_FLAG_BAD_COLUMN;
    /* A trail; or ups and downs of the sky that no light adds up in. */
    if (!(candidate->ellipticity <= 0.7) || candidate->snr < 1.5)
        flags |= AID_FLAG_BAD_SHAPE;
    candidate->flags = flags;
}
