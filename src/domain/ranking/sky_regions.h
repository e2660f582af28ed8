/* Regions of the sphere. Angles in degrees, ICRS; right ascensions may be any number of turns off.
 */
#ifndef AID_DOMAIN_RANKING_SKY_REGIONS_H
#define AID_DOMAIN_RANKING_SKY_REGIONS_H

#include <stdbool.h>

typedef struct aid_direction {
    double x, y, z; /* unit vector */
} aid_direction;

aid_direction aid_direction_of(double ra_deg, double dec_deg);
/* By the chord and the sum of the vectors: exact at small and at large angles. */
double aid_separation_deg(aid_direction a, aid_direction b);

/* No further than `radius_deg` from the centre. */
bool aid_cone_contains(double centre_ra_deg, double centre_dec_deg, double radius_deg,
                       double ra_deg, double dec_deg);
/* bounds: west, east, south, north. From the first right ascension eastwards to the second,
 * whichever is larger; 360 degrees apart: all of them. The rim belongs to it. */
bool aid_box_contains(const double bounds[4], double ra_deg, double dec_deg);

/* Vertices ra, dec, ra, dec, ... joined by great circles. It lies within 80 degrees of the middle
 * of its vertices, where a gnomonic projection makes straight lines of them. */
enum { AID_POLYGON_VERTICES = 64 };
typedef struct aid_sky_polygon {
    int count;
    aid_direction centre, axis_x, axis_y;
    double x[AID_POLYGON_VERTICES], y[AID_POLYGON_VERTICES];
} aid_sky_polygon;
/* false where the vertices are too few, too many, or too far from one another. */
bool aid_polygon_init(const double *vertices_deg, int count, aid_sky_polygon *ret_polygon);
/* Even-odd: concave and self-crossing ones are fine. The rim is decided by rounding. */
bool aid_polygon_contains(const aid_sky_polygon *polygon, double ra_deg, double dec_deg);

#endif
