/* What the files of this folder share. */
#ifndef AID_DOMAIN_DETECTION_INTERNAL_H
#define AID_DOMAIN_DETECTION_INTERNAL_H

#include "domain/detection/detection.h"

/* Sources of the reference by cells, to find the ones around a place. */
typedef struct aid_neighbours {
    const aid_stars *stars;
    double cell_px;
    int nx, ny;
    int *first, *next;
} aid_neighbours;
AID_MUST_USE aid_status aid_neighbours_init(const aid_stars *stars, int width, int height,
                                            double cell_px, aid_neighbours *ret_neighbours,
                                            aid_error *err);
void aid_neighbours_done(aid_neighbours *neighbours);

/* Calls back for each source within `radius_px` (at most one cell). */
typedef void (*aid_neighbour_visit)(void *context, const aid_star *star, double distance_px);
void aid_neighbours_visit(const aid_neighbours *neighbours, double x, double y, double radius_px,
                          aid_neighbour_visit visit, void *context);

/* What measuring and flagging look at. */
typedef struct aid_scene {
    const aid_exposure *science, *reference;
    const aid_difference *difference;
    aid_neighbours neighbours;
    double fwhm_px;       /* of P_D */
    double photon_factor; /* variance of the flux of a source by its own photons: flux x this */
} aid_scene;

/* Position, flux, shape and the fit of one candidate; `x`, `y`: its peak pixel, 0-based. */
void aid_measure_candidate(const aid_scene *scene, int x, int y, aid_candidate *candidate);

/* Flags of a candidate that has been measured. */
void aid_flag_candidate(const aid_scene *scene, int x, int y, aid_candidate *candidate);

#endif
