/* Points in the plane or on the sphere within a given distance of one another: a hash of cells
 * twice as wide as the distance, in three dimensions for both, so that neither RA 0 nor a pole is
 * special.
 */
#ifndef AID_DOMAIN_RANKING_NEIGHBOURS_H
#define AID_DOMAIN_RANKING_NEIGHBOURS_H

#include "core/base/status.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct aid_neighbours {
    int64_t count;
    double (*points)[3];   /* pixels with z = 0, or unit vectors; NaN: no position */
    double reach;          /* px, or the chord of the angle */
    bool flat;             /* all z are 0 */
    int64_t *first, *next; /* [buckets], [count]: chains of points, -1 at the end */
    uint64_t buckets;      /* a power of two */
} aid_neighbours;

/* None of the points is in the hash yet. `on_sky`: x and y are RA and Dec in degrees, and
 * `distance` is in degrees, at most 180; else all three in pixels. distance > 0. */
AID_MUST_USE aid_status aid_neighbours_init(const double *x, const double *y, int64_t count,
                                            bool on_sky, double distance,
                                            aid_neighbours *ret_neighbours, aid_error *err);
void aid_neighbours_done(aid_neighbours *neighbours);

bool aid_neighbours_has_position(const aid_neighbours *neighbours, int64_t point);
/* Puts a point into the hash, once at most. */
void aid_neighbours_add(aid_neighbours *neighbours, int64_t point);
/* The nearest point in the hash that is nearer than the distance, or -1; the lower index of two. */
int64_t aid_neighbours_nearest(const aid_neighbours *neighbours, int64_t point);
/* How many other points in the hash are no further than the distance; counting ends above `most`.
 */
int64_t aid_neighbours_count(const aid_neighbours *neighbours, int64_t point, int64_t most);

/* Calls `take` for each other point in the hash that is no further than the distance, in an order
 * that depends on that of adding alone. */
void aid_neighbours_each(const aid_neighbours *neighbours, int64_t point,
                         void (*take)(void *context, int64_t other, double squared_distance),
                         void *context);

/* Of every group, which rows stay: taken in the order of `order` (a permutation of the rows), one
 * stays unless one that stays is nearer than the distance. ret_instead[row] is that one, -1 for
 * those that stay or have no position. O(n) after the sorting, however crowded. */
void aid_neighbours_thin(aid_neighbours *neighbours, const int64_t *order, int64_t count,
                         int64_t *ret_instead);

#endif
