/* Maps between grids as their WCS have them. */
#include "core/base/memory.h"
#include "domain/stacking/stacking.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const double tolerance_px = 1e-4;
static const double polynomial_will_do_px = 5e-4;

typedef struct exact_map {
    const aid_wcs_pair *pair;
    const aid_registration *correction; /* of the WCS, by stars; NULL: none */
} exact_map;

/* Positions farther from the frame than its size are none: distortion polynomials mean nothing
 * there, and may lead back into it. */
static bool exact_position(const void *context, double x, double y, double *ret_x, double *ret_y)
{
    const exact_map *map = context;
    const aid_wcs_pair *pair = map->pair;
    double ra_deg, dec_deg, u, v;
    if (!aid_wcs_pixel_to_radec(pair->grid->wcs, x, y, &ra_deg, &dec_deg) ||
        !aid_wcs_radec_to_pixel(pair->frame->wcs, ra_deg, dec_deg, &u, &v) ||
        !(u > -pair->frame_width && u < 2.0 * pair->frame_width && v > -pair->frame_height &&
          v < 2.0 * pair->frame_height))
        return false;
    if (map->correction) {
        double at_u, at_v, wcs_u, wcs_v;
        aid_transform_apply(&map->correction->transform, x, y, &at_u, &at_v);
        aid_transform_apply(&map->correction->wcs, x, y, &wcs_u, &wcs_v);
        u += at_u - wcs_u;
        v += at_v - wcs_v;
    }
    *ret_x = u;
    *ret_y = v;
    return true;
}

/* The corners that have a place on the frame or near it. */
typedef struct corner_list {
    double *x, *y, *u, *v; /* [count], in one piece of memory */
    int count;
} corner_list;

static void corners_done(corner_list *list)
{
    free(list->x);
}

static aid_status list_corners(const aid_grid_map *map, corner_list *ret_list, aid_error *err)
{
    corner_list list = {0};
    size_t all = (size_t)map->nx * (size_t)map->ny;
    AID_TRY(aid_new_buffer(all, 4 * sizeof(double), "map positions", &list.x, err));
    list.y = list.x + all;
    list.u = list.y + all;
    list.v = list.u + all;
    for (size_t k = 0; k < all; k++) {
        double x = ((int32_t)(k % (size_t)map->nx) - 1) * (double)map->step;
        double y = ((int32_t)(k / (size_t)map->nx) - 1) * (double)map->step;
        bool within = x < map->width + map->step && y < map->height + map->step;
        if (!within || !isfinite(map->x[k]) || !isfinite(map->y[k]))
            continue;
        list.x[list.count] = x;
        list.y[list.count] = y;
        list.u[list.count] = map->x[k];
        list.v[list.count++] = map->y[k];
    }
    *ret_list = list;
    return AID_OK;
}

static double worst_of(const corner_list *list, const aid_transform *map)
{
    double worst = 0.0;
    for (int i = 0; i < list->count; i++) {
        double u, v;
        aid_transform_apply(map, list->x[i], list->y[i], &u, &v);
        worst = AID_MAX(worst, hypot(u - list->u[i], v - list->v[i]));
    }
    return worst;
}

/* The polynomial of the lowest degree that will do, else of the highest. */
static aid_status fit_polynomial(const aid_wcs_pair *pair, const aid_grid_map *map,
                                 aid_registration *registration, aid_error *err)
{
    AID_CLEANUP(corners_done)
    corner_list list = {0};
    AID_TRY(list_corners(map, &list, err));
    registration->wcs_residual_px = NAN;
    for (int degree = 1; degree <= AID_TRANSFORM_MAX_DEGREE; degree++) {
        aid_transform fitted;
        if (list.count < (degree + 1) * (degree + 2) ||
            aid_transform_fit(list.x, list.y, list.u, list.v, NULL, list.count, degree, pair->width,
                              pair->height, &fitted, NULL) != AID_OK)
            break;
        registration->transform = registration->wcs = fitted;
        registration->wcs_residual_px = worst_of(&list, &fitted);
        if (registration->wcs_residual_px < tolerance_px)
            break;
    }
    if (!isfinite(registration->wcs_residual_px))
        AID_FAIL(err, AID_ERR_INVALID,
                 "%s and %s: by their WCS they show different parts of the sky", pair->grid->name,
                 pair->frame->name);
    return AID_OK;
}

aid_status aid_align_by_wcs(const aid_wcs_pair *pair, aid_registration *ret_registration,
                            aid_grid_map *ret_map, double *ret_worst_px, aid_error *err)
{
    const aid_exposure *missing = !pair->grid->wcs ? pair->grid : pair->frame;
    if (!missing->wcs)
        AID_FAIL(err, AID_ERR_INVALID, "%s has no usable WCS", missing->name);
    const exact_map exact = {.pair = pair};
    double worst;
    AID_CLEANUP(aid_grid_map_done)
    aid_grid_map map = {0};
    AID_TRY(aid_grid_map_init(pair->width, pair->height, exact_position, &exact, tolerance_px, &map,
                              &worst, err));
    aid_registration registration = {.rms_px = NAN,
                                     .rms_x_px = NAN,
                                     .rms_y_px = NAN,
                                     .systematic_px = NAN,
                                     .correlation = NAN,
                                     .residual_shift_px = NAN};
    snprintf(registration.method, sizeof registration.method, "wcs");
    AID_TRY(fit_polynomial(pair, &map, &registration, err));
    aid_registration_geometry(pair->width, pair->height, pair->frame_width, pair->frame_height,
                              &registration);
    *ret_worst_px = worst;
    *ret_registration = registration;
    *ret_map = map;
    map = (aid_grid_map){0};
    return AID_OK;
}

aid_status aid_align_exactly(const aid_wcs_pair *pair, const aid_registration *registration,
                             aid_grid_map *ret_map, double *ret_worst_px, aid_error *err)
{
    const exact_map exact = {.pair = pair, .correction = registration};
    bool from_wcs = registration->method[0] == 'w'; /* "wcs", "wcs + stars" ... */
    if (!from_wcs || !(registration->wcs_residual_px > polynomial_will_do_px)) {
        *ret_map = (aid_grid_map){0};
        *ret_worst_px =
            isfinite(registration->wcs_residual_px) ? registration->wcs_residual_px : 0.0;
        return AID_OK;
    }
    return aid_grid_map_init(pair->width, pair->height, exact_position, &exact, tolerance_px,
                             ret_map, ret_worst_px, err);
}
