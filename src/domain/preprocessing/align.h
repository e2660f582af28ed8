/* Inside preprocessing: from two lists of stars, or two images, to the map between their grids. */
#ifndef AID_DOMAIN_PREPROCESSING_ALIGN_H
#define AID_DOMAIN_PREPROCESSING_ALIGN_H

#include "core/base/notes.h"
#include "core/base/pool.h"
#include "core/imaging/exposure.h"
#include "core/imaging/point_grid.h"
#include "core/imaging/transform.h"
#include "core/imaging/warp.h"
#include "domain/preprocessing/preprocessing.h"

/* -------------------------------------------------------------------------------------- anchors */

/* A star whose position can be relied on. */
typedef struct aid_anchor {
    double x, y; /* 0-based px */
    double flux;
    double sigma_px; /* expected error of x and of y */
} aid_anchor;

typedef struct aid_anchors {
    int count;
    aid_anchor *items;     /* by decreasing flux */
    int32_t width, height; /* of their image */
} aid_anchors;

/* The stars of an exposure without those that are cut, sharp (hot pixels stay where they are while
 * the sky moves) or saturated; the saturated ones stay in when there would be fewer than three.
 * Release with aid_anchors_done. */
AID_MUST_USE aid_status aid_anchors_init(const aid_exposure *exposure, aid_anchors *ret_anchors,
                                         aid_error *err);
void aid_anchors_done(aid_anchors *anchors);

/* ------------------------------------------------------------------------------------- patterns */

typedef struct aid_pattern_options {
    const aid_transform *predicted; /* NULL: any shift, rotation, scale 0.2 to 5, mirrored or not */
    double radius_px;               /* with a prediction: how far off it may be, reference px */
} aid_pattern_options;

typedef struct aid_pattern_match {
    bool found;
    aid_transform transform; /* science pixel -> reference pixel */
    int matched;             /* stars that agree */
    int tested;              /* science stars that fall on the reference */
    int needed;              /* how many would have to agree to rule out chance */
    double log10_chance;     /* of so many agreeing by chance, in all that was tried */
    double rms_px;           /* per axis, of the stars that agree */
} aid_pattern_match;

/* Tries maps until so many stars agree that chance is ruled out (1e-6 in all trials). Not finding
 * one is no failure: *ret_match then tells of the best. */
AID_MUST_USE aid_status aid_match_patterns(const aid_anchors *science, const aid_anchors *reference,
                                           const aid_pattern_options *options,
                                           aid_pattern_match *ret_match, aid_error *err);

/* ----------------------------------------------------------------------------------- refinement */

typedef struct aid_refine_options {
    const aid_transform *first; /* where the search for pairs begins */
    const aid_transform *base;  /* what the fit corrects, over the same frame: its shape is kept
                                   where  there are too few stars to know better */
    bool base_may_stand;        /* the base itself is a candidate, without any correction */
    double tolerance_px;        /* how far off `first` may be */
    int max_degree;
    aid_registration_model model; /* AUTO: what cross-validation says, up to max_degree */
} aid_refine_options;

typedef struct aid_refined {
    aid_transform transform;
    int degree;  /* of the correction to the first map: 0 shift and similarity, 1, 2 ... */
    int matched; /* in the fit */
    double rms_x_px, rms_y_px;
    double systematic_px;
} aid_refined;

/* Fits the map on all stars: nearest neighbours within a tolerance that shrinks, the degree by
 * cross-validation, outliers clipped. `first` stays as it is when no star matches (matched = 0).
 * Fails with AID_ERR_INVALID when the stars do not determine a model that was asked for. */
AID_MUST_USE aid_status aid_refine(const aid_anchors *science, const aid_anchors *reference,
                                   const aid_refine_options *options, aid_refined *ret_refined,
                                   aid_error *err);

/* Medians and robust scatters of reference position - mapped science position, over the stars that
 * are each other's nearest within `reach_px`; NaN with fewer than three. */
typedef struct aid_star_offsets {
    int count;
    double dx, dy, rms_x, rms_y;
} aid_star_offsets;
AID_MUST_USE aid_status aid_measure_offsets(const aid_anchors *science,
                                            const aid_anchors *reference, const aid_transform *map,
                                            double reach_px, aid_star_offsets *ret_offsets,
                                            aid_error *err);

/* The map `first`, followed by `affine` (of degree 1) on the reference. */
aid_transform aid_transform_then_affine(const aid_transform *first, const aid_transform *affine);

/* The similarity (mirrored or not) that is nearest to a map at the middle of its frame. */
aid_transform aid_transform_nearest_similarity(const aid_transform *map);

/* ---------------------------------------------------------------------------- phase correlation */

typedef struct aid_phase_shift {
    double dx, dy;       /* reference position - science position, px */
    double significance; /* of the peak, in rms of the correlation map */
    double rival;        /* the highest value elsewhere, as a fraction of the peak */
} aid_phase_shift;

/* The shift between the images' pixels, to a tenth of a pixel or so (images above 2048 px are
 * binned, and it is a tenth of a bin). Where a map is predicted, pass the reference resampled by
 * it. Fails with AID_ERR_NUMERIC when an image is blank. */
AID_MUST_USE aid_status aid_phase_correlate(const aid_exposure *science, const aid_image *reference,
                                            const aid_mask *reference_mask,
                                            aid_phase_shift *ret_shift, aid_error *err);

/* ---------------------------------------------------------------------------------- correlation */

/* Normalised cross-correlation of the science image with the mapped reference, -1..1: the median
 * over the surroundings of the brightest of `stars`; with fewer than three of them that over all
 * cells of 4x4 px which stand out in either image. NaN where nothing overlaps. */
double aid_alignment_correlation(const aid_exposure *science, const aid_exposure *reference,
                                 const aid_anchors *stars, const aid_transform *map);

/* ---------------------------------------------------------------------------------- resampling */

typedef struct aid_interpolation {
    const aid_transform *map; /* output pixel -> input pixel */
    aid_warp_kernel kernel;
    int32_t width, height;                    /* of the input, px */
    const aid_noise_correlation *correlation; /* of the input's noise */
} aid_interpolation;

/* An interpolated pixel is a weighted sum of pixels: its noise is smaller, by how much depends on
 * where between the pixels it falls. Multiplies every cell of `noise` (on the output grid) by the
 * rms of that factor within the cell. */
AID_MUST_USE aid_status aid_interpolation_noise(const aid_interpolation *interpolation,
                                                aid_mesh *noise, aid_error *err);

#endif
