/* How well two images agree once a map has brought them together. */
#include "core/imaging/stats.h"
#include "domain/preprocessing/align.h"

#include <math.h>

enum {
    BIN = 4, /* px; cells */
    MAX_CELLS = 65536,
    STRIKING_CELLS = 50,
    CUT_OUTS = 100,      /* stars whose surroundings are correlated */
    LARGEST_CUT_OUT = 12 /* px from the star */
};

typedef struct image_pair {
    const aid_exposure *science, *reference;
    const aid_transform *map;
} image_pair;

typedef struct correlation_sums {
    int count;
    double a, b, aa, bb, ab;
} correlation_sums;

static double coefficient(const correlation_sums *s)
{
    if (s->count == 0)
        return NAN;
    double va = s->aa - s->a * s->a / s->count, vb = s->bb - s->b * s->b / s->count;
    return va > 0.0 && vb > 0.0 ? (s->ab - s->a * s->b / s->count) / sqrt(va * vb) : NAN;
}

static void add_pair(correlation_sums *sums, const double pair[2])
{
    sums->count++;
    sums->a += pair[0];
    sums->b += pair[1];
    sums->aa += pair[0] * pair[0];
    sums->bb += pair[1] * pair[1];
    sums->ab += pair[0] * pair[1];
}

/* Bilinear; false where a pixel is masked or off the reference. */
static bool reference_at(const aid_exposure *reference, double u, double v, double *ret_value)
{
    if (!(u >= 0.0 && v >= 0.0 && u < reference->image.width - 1 &&
          v < reference->image.height - 1))
        return false;
    int32_t column = (int32_t)u, row = (int32_t)v;
    if (reference->mask.data && aid_mask_row(&reference->mask, row)[column])
        return false;
    const float *upper = aid_image_row(&reference->image, row) + column;
    const float *lower = upper + reference->image.stride;
    double wx = u - column, wy = v - row;
    *ret_value = (1.0 - wy) * ((1.0 - wx) * (double)upper[0] + wx * (double)upper[1]) +
                 wy * ((1.0 - wx) * (double)lower[0] + wx * (double)lower[1]);
    return true;
}

/* No single star is to decide. */
static double compressed(double sigmas)
{
    return copysign(log1p(fabs(sigmas)), sigmas);
}

/* Mean of a cell of the science image and of the same sky on the reference, in units of their
 * noise; false where a pixel is masked or off the reference. */
static bool cell_pair(const image_pair *images, int32_t x0, int32_t y0, double ret_pair[2])
{
    const aid_exposure *s = images->science, *r = images->reference;
    double sum = 0.0, other = 0.0, u = 0.0, v = 0.0;
    for (int32_t y = y0; y < y0 + BIN; y++)
        for (int32_t x = x0; x < x0 + BIN; x++) {
            aid_transform_apply(images->map, x, y, &u, &v);
            double value;
            if ((s->mask.data && aid_mask_row(&s->mask, y)[x]) || !reference_at(r, u, v, &value))
                return false;
            other += value;
            sum += (double)aid_image_row(&s->image, y)[x];
        }
    ret_pair[0] = compressed(sum / (BIN * aid_mesh_at(&s->noise, x0, y0)));
    ret_pair[1] = compressed(other / (BIN * aid_mesh_at(&r->noise, u, v)));
    return isfinite(ret_pair[0]) && isfinite(ret_pair[1]);
}

/* Normalised cross-correlation of the pixels around a star with the same sky on the reference;
 * false where much of it is masked or missing. */
static bool cut_out_pair(const image_pair *images, const aid_anchor *star, int32_t radius,
                         double *ret_correlation)
{
    const aid_exposure *s = images->science;
    int32_t x0 = (int32_t)lround(star->x), y0 = (int32_t)lround(star->y), side = 2 * radius + 1;
    correlation_sums sums = {0};
    if (x0 < radius || y0 < radius || x0 + radius >= s->image.width ||
        y0 + radius >= s->image.height)
        return false;
    for (int32_t y = y0 - radius; y <= y0 + radius; y++)
        for (int32_t x = x0 - radius; x <= x0 + radius; x++) {
            double u, v, pair[2] = {(double)aid_image_row(&s->image, y)[x]};
            aid_transform_apply(images->map, x, y, &u, &v);
            if (!(s->mask.data && aid_mask_row(&s->mask, y)[x]) &&
                reference_at(images->reference, u, v, &pair[1]))
                add_pair(&sums, pair);
        }
    *ret_correlation = coefficient(&sums);
    return sums.count > 0.6 * side * side && isfinite(*ret_correlation);
}

/* The median over the brightest stars; NaN where there are fewer than three. */
static double correlation_of_stars(const image_pair *images, const aid_anchors *stars)
{
    double found[CUT_OUTS], fwhm_px = images->science->stars.fwhm_px;
    int count = 0;
    int32_t radius = isfinite(fwhm_px) ? (int32_t)lround(2.0 * fwhm_px) : 6;
    radius = AID_CLAMP(radius, 4, LARGEST_CUT_OUT);
    for (int i = 0; i < stars->count && count < CUT_OUTS; i++)
        count += cut_out_pair(images, &stars->items[i], radius, &found[count]);
    return count >= 3 ? aid_median_in_place_f64(found, count) : NAN;
}

/* Normalised cross-correlation of 4x4 px cells that are bright in either image (all of them where
 * few are): blank sky has nothing to agree on. Cells are spread evenly over the image. */
static double correlation_of_cells(const image_pair *images)
{
    const double bright = compressed(5.0);
    const aid_image *s = &images->science->image;
    correlation_sums striking = {0}, all = {0};
    double cells = ((double)s->width / BIN) * ((double)s->height / BIN);
    int32_t step = BIN * AID_MAX(1, (int32_t)ceil(sqrt(cells / MAX_CELLS)));
    for (int32_t y = 0; y + BIN <= s->height; y += step)
        for (int32_t x = 0; x + BIN <= s->width; x += step) {
            double pair[2];
            if (!cell_pair(images, x, y, pair))
                continue;
            add_pair(&all, pair);
            if (pair[0] > bright || pair[1] > bright)
                add_pair(&striking, pair);
        }
    return coefficient(striking.count >= STRIKING_CELLS ? &striking : &all);
}

double aid_alignment_correlation(const aid_exposure *science, const aid_exposure *reference,
                                 const aid_anchors *stars, const aid_transform *map)
{
    image_pair images = {science, reference, map};
    double correlation = correlation_of_stars(&images, stars);
    return isfinite(correlation) ? correlation : correlation_of_cells(&images);
}
