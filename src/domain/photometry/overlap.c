/* Exact areas that pixels share with an ellipse: the ellipse becomes the unit circle, a pixel a
 * parallelogram, and their common area is the polygon of its corners within the circle and the
 * points where its sides cross it, plus the segments between an exit and the next entry. */
#include "domain/photometry/internal.h"

#include <string.h>

typedef struct point {
    double u, v;
} point;

static double cross(point p, point q)
{
    return p.u * q.v - p.v * q.u;
}

/* What lies between the chord from p to q and the arc that goes counter-clockwise between them. */
static double segment_area(point p, point q)
{
    double sine = cross(p, q), angle = atan2(sine, p.u * q.u + p.v * q.v);
    if (angle < 0.0)
        angle += 2.0 * photometry_pi;
    return 0.5 * (angle - sine);
}

/* The part of the side from p to q within the unit circle: false where there is none. */
static bool clip_side(point p, point q, double *ret_begin, double *ret_end)
{
    double du = q.u - p.u, dv = q.v - p.v;
    double a = du * du + dv * dv, b = p.u * du + p.v * dv, c = p.u * p.u + p.v * p.v - 1.0;
    double discriminant = b * b - a * c;
    if (!(discriminant > 0.0))
        return false;
    double root = sqrt(discriminant);
    *ret_begin = (-b - root) / a;
    *ret_end = (-b + root) / a;
    return *ret_begin < 1.0 && *ret_end > 0.0;
}

static point along(point p, point q, double t)
{
    return (point){p.u + t * (q.u - p.u), p.v + t * (q.v - p.v)};
}

static bool is_around_origin(const point corner[4])
{
    for (int i = 0; i < 4; i++)
        if (cross(corner[i], corner[(i + 1) % 4]) < 0.0)
            return false;
    return true;
}

/* Counter-clockwise parallelogram and unit circle. */
static double circle_overlap(const point corner[4])
{
    double area = 0.0;
    bool outside = false, any = false;
    point exit = {0}, first_entry = {0};
    for (int i = 0; i < 4; i++) {
        point p = corner[i], q = corner[(i + 1) % 4];
        double begin, end;
        if (!clip_side(p, q, &begin, &end))
            continue;
        point from = begin > 0.0 ? along(p, q, begin) : p;
        point to = end < 1.0 ? along(p, q, end) : q;
        area += 0.5 * cross(from, to);
        if (begin > 0.0) {
            if (outside)
                area += 0.5 * cross(exit, from) + segment_area(exit, from);
            else
                first_entry = from;
            outside = false;
            any = true;
        }
        if (end < 1.0) {
            exit = to;
            outside = true;
        }
        any = any || begin <= 0.0;
    }
    if (!any)
        return is_around_origin(corner) ? photometry_pi : 0.0;
    if (outside)
        area += 0.5 * cross(exit, first_entry) + segment_area(exit, first_entry);
    return area;
}

photometry_ellipse aid_photometry_ellipse_of(double a_px, double b_px, double theta_deg)
{
    double theta = theta_deg * photometry_pi / 180.0, c = cos(theta), s = sin(theta);
    if (a_px == b_px) {
        c = 1.0;
        s = 0.0;
    }
    return (photometry_ellipse){.xx = c / a_px,
                                .xy = s / a_px,
                                .yx = -s / b_px,
                                .yy = c / b_px,
                                .area = photometry_pi * a_px * b_px,
                                .half_x = hypot(a_px * c, b_px * s),
                                .half_y = hypot(a_px * s, b_px * c),
                                .a = a_px,
                                .b = b_px};
}

static point map_point(const photometry_ellipse *ellipse, double x, double y)
{
    return (point){ellipse->xx * x + ellipse->xy * y, ellipse->yx * x + ellipse->yy * y};
}

static double pixel_overlap(const photometry_ellipse *ellipse, double x, double y)
{
    point corner[4] = {map_point(ellipse, x - 0.5, y - 0.5), map_point(ellipse, x + 0.5, y - 0.5),
                       map_point(ellipse, x + 0.5, y + 0.5), map_point(ellipse, x - 0.5, y + 0.5)};
    double area = circle_overlap(corner) * ellipse->a * ellipse->b;
    return AID_CLAMP(area, 0.0, 1.0);
}

double aid_ellipse_overlap(double x, double y, double a_px, double b_px, double theta_deg)
{
    photometry_ellipse ellipse = aid_photometry_ellipse_of(a_px, b_px, theta_deg);
    return pixel_overlap(&ellipse, x, y);
}

void aid_photometry_overlap_row(const photometry_ellipse *ellipse, bool whole, double x, double y,
                                int count, double *weights)
{
    /* Half the diagonal of a pixel, in units of the minor axis: further in or out than that, a
     * pixel is wholly on one side. */
    double reach = sqrt(0.5) / ellipse->b;
    double inner = reach < 1.0 ? (1.0 - reach) * (1.0 - reach) : -1.0;
    double outer = (1.0 + reach) * (1.0 + reach);
    for (int i = 0; i < count; i++) {
        point centre = map_point(ellipse, x + i, y);
        double r2 = centre.u * centre.u + centre.v * centre.v;
        if (whole)
            weights[i] = r2 <= 1.0;
        else if (r2 <= inner)
            weights[i] = 1.0;
        else
            weights[i] = r2 >= outer ? 0.0 : pixel_overlap(ellipse, x + i, y);
    }
}

photometry_window aid_photometry_window_of(const photometry_ellipse *ellipse, double x, double y)
{
    return (photometry_window){.x0 = (int32_t)floor(x - ellipse->half_x + 0.5),
                               .y0 = (int32_t)floor(y - ellipse->half_y + 0.5),
                               .x1 = (int32_t)floor(x + ellipse->half_x + 0.5),
                               .y1 = (int32_t)floor(y + ellipse->half_y + 0.5)};
}
