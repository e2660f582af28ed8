#include "domain/ranking/sky_regions.h"

#include <math.h>

static const double degree = 3.14159265358979323846 / 180.0;

aid_direction aid_direction_of(double ra_deg, double dec_deg)
{
    double ra = fmod(ra_deg, 360.0) * degree, dec = dec_deg * degree;
    return (aid_direction){cos(dec) * cos(ra), cos(dec) * sin(ra), sin(dec)};
}

static double dot(aid_direction a, aid_direction b)
{
    return a.x * b.x + a.y * b.y + a.z * b.z;
}

static aid_direction cross(aid_direction a, aid_direction b)
{
    return (aid_direction){a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x};
}

static double length(aid_direction a)
{
    return sqrt(dot(a, a));
}

double aid_separation_deg(aid_direction a, aid_direction b)
{
    aid_direction difference = {a.x - b.x, a.y - b.y, a.z - b.z};
    aid_direction sum = {a.x + b.x, a.y + b.y, a.z + b.z};
    return 2.0 * atan2(length(difference), length(sum)) / degree;
}

bool aid_cone_contains(double centre_ra_deg, double centre_dec_deg, double radius_deg,
                       double ra_deg, double dec_deg)
{
    return aid_separation_deg(aid_direction_of(centre_ra_deg, centre_dec_deg),
                              aid_direction_of(ra_deg, dec_deg)) <= radius_deg;
}

/* To 0 <= angle < 360. */
static double turn(double angle_deg)
{
    double rest = fmod(angle_deg, 360.0);
    return rest < 0.0 ? rest + 360.0 : rest;
}

bool aid_box_contains(const double bounds[4], double ra_deg, double dec_deg)
{
    if (!(dec_deg >= bounds[2] && dec_deg <= bounds[3]))
        return false;
    bool all_around = fabs(bounds[1] - bounds[0]) >= 360.0;
    return all_around || turn(ra_deg - bounds[0]) <= turn(bounds[1] - bounds[0]);
}

static aid_direction normalised(aid_direction a)
{
    double norm = length(a);
    return (aid_direction){a.x / norm, a.y / norm, a.z / norm};
}

bool aid_polygon_init(const double *vertices_deg, int count, aid_sky_polygon *ret_polygon)
{
    const double least = cos(80.0 * degree);
    aid_sky_polygon polygon = {.count = count};
    aid_direction sum = {0.0, 0.0, 0.0};
    if (count < 3 || count > AID_POLYGON_VERTICES)
        return false;
    for (int i = 0; i < count; i++) {
        aid_direction vertex = aid_direction_of(vertices_deg[2 * i], vertices_deg[2 * i + 1]);
        sum = (aid_direction){sum.x + vertex.x, sum.y + vertex.y, sum.z + vertex.z};
    }
    if (!(length(sum) > 1e-6))
        return false;
    polygon.centre = normalised(sum);
    aid_direction pole = {0.0, 0.0, 1.0}, side = {1.0, 0.0, 0.0};
    polygon.axis_x = normalised(cross(fabs(polygon.centre.z) < 0.9 ? pole : side, polygon.centre));
    polygon.axis_y = cross(polygon.centre, polygon.axis_x);
    for (int i = 0; i < count; i++) {
        aid_direction vertex = aid_direction_of(vertices_deg[2 * i], vertices_deg[2 * i + 1]);
        double along = dot(vertex, polygon.centre);
        if (!(along >= least))
            return false;
        polygon.x[i] = dot(vertex, polygon.axis_x) / along;
        polygon.y[i] = dot(vertex, polygon.axis_y) / along;
    }
    *ret_polygon = polygon;
    return true;
}

bool aid_polygon_contains(const aid_sky_polygon *polygon, double ra_deg, double dec_deg)
{
    aid_direction point = aid_direction_of(ra_deg, dec_deg);
    double along = dot(point, polygon->centre);
    if (!(along > 0.0))
        return false;
    double x = dot(point, polygon->axis_x) / along, y = dot(point, polygon->axis_y) / along;
    bool inside = false;
    for (int i = 0, j = polygon->count - 1; i < polygon->count; j = i++) {
        double xi = polygon->x[i], yi = polygon->y[i], xj = polygon->x[j], yj = polygon->y[j];
        if ((yi > y) != (yj > y) && x < (xj - xi) * (y - yi) / (yj - yi) + xi)
            inside = !inside;
    }
    return inside;
}
