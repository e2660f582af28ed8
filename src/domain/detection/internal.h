/* What the files of this folder share. */
#ifndef AID_DOMAIN_DETECTION_INTERNAL_H
#define AID_DOMAIN_DETECTION_INTERNAL_H

#include "core/imaging/point_grid.h"
#include "domain/detection/detection.h"

/* What measuring and flagging look at. */
typedef struct aid_scene {
    const aid_exposure *science, *reference;
    const aid_difference *difference;
    aid_point_grid sources; /* of the reference */
    double fwhm_px;         /* of P_D */
    double psf_squares;     /* sum P_D^2: flux_err^2 x this is the variance of a pixel of D */
    double photon_factor;   /* variance of the flux of a source by its own photons: flux x this */
} aid_scene;

/* Position, flux, shape and the fit of one candidate; `x`, `y`: its peak pixel, 0-based. */
void aid_measure_candidate(const aid_scene *scene, int x, int y, aid_candidate *candidate);

/* What measuring is made of. Shape from Gaussian-weighted second moments, px^2: the weight's own
 * variance `w` is taken out again, 1/M = 1/M_w - 1/w; NaN where nothing is left. */
void aid_shape_from_moments(double xx, double yy, double xy, double w, aid_candidate *candidate);
/* Pixels beyond 2.5 of that sign around the peak, the connected ones within 32 px. */
int64_t aid_connected_pixels(const aid_image *score, int x, int y, int polarity);
/* ra, dec, position angle and magnitude. */
void aid_place_on_sky(const aid_exposure *science, aid_candidate *candidate);

/* The largest of its neighbourhood and sign; of equal ones the first in reading order. NaN never
 * compares. */
bool aid_is_peak(const aid_image *score, int x, int y, int radius);

/* Flags of a candidate that has been measured. */
void aid_flag_candidate(const aid_scene *scene, int x, int y, aid_candidate *candidate);

/* ------------------------------------------------------------------------------ extended finds */

enum { AID_BROAD_SCALES = 3 }; /* the last one only tells what is broader than a source */

typedef struct aid_hole { /* kept out of the broad scores */
    double x, y, radius_px;
} aid_hole;

typedef struct aid_broad_scale {
    double fwhm_px;  /* of the Gaussian */
    int bin;         /* its pixel (i, j) is centred on ((i + 0.5) bin - 0.5, ...) */
    aid_image score; /* signed; unit variance or less on blank sky; NaN: not searched */
    double scatter;  /* >= 1: that the score was divided by */
} aid_broad_scale;

typedef struct aid_broad_maps {
    int count; /* 0: nothing could be searched */
    aid_broad_scale scales[AID_BROAD_SCALES];
} aid_broad_maps;

/* Release `maps` (zeroed before) whatever the outcome. */
AID_MUST_USE aid_status aid_broad_maps_make(const aid_scene *scene, const aid_hole *holes,
                                            int hole_count, aid_pool *pool, aid_broad_maps *maps,
                                            aid_error *err);
void aid_broad_maps_done(aid_broad_maps *maps);

/* Adds what only stands out of a broad score, in place of the point candidates that are a part of
 * it. Leaves order and ids to the caller. */
AID_MUST_USE aid_status aid_extended_find(const aid_scene *scene, double threshold, aid_pool *pool,
                                          aid_notes *notes, aid_candidates *found, aid_error *err);

/* Flags of an extended candidate found at pixel `x`, `y` of a scale's score. */
void aid_flag_extended(const aid_scene *scene, const aid_broad_scale *scale, int x, int y,
                       aid_candidate *candidate);

#endif
