#include "core/sky/planar_map.h"

#include <math.h>
#include <string.h>

static const int max_iterations = 40;

aid_planar_map aid_planar_identity(void)
{
    aid_planar_map map = {.first.degree = 1, .second.degree = 1};
    map.first.c[1][0] = 1.0;
    map.second.c[0][1] = 1.0;
    return map;
}

/* Horner's rule in y within Horner's rule in x, with both derivatives on the way. */
static double polynomial(const aid_planar_polynomial *f, double x, double y, double ret_gradient[2])
{
    double value = 0.0, by_x = 0.0, by_y = 0.0;
    for (int p = f->degree; p >= 0; p--) {
        double row = 0.0, row_by_y = 0.0;
        for (int q = f->degree - p; q >= 0; q--) {
            row_by_y = row_by_y * y + row;
            row = row * y + f->c[p][q];
        }
        by_x = by_x * x + value;
        by_y = by_y * x + row_by_y;
        value = value * x + row;
    }
    ret_gradient[0] = by_x;
    ret_gradient[1] = by_y;
    return value;
}

static bool has_radial(const aid_planar_polynomial *f)
{
    for (int k = 0; k < AID_PLANAR_RADIAL_TERMS; k++)
        if (f->radial[k] != 0.0)
            return true;
    return false;
}

/* At the origin the odd powers of r have a kink and no gradient; 0 is the mean of all directions.
 */
static double radial_terms(const aid_planar_polynomial *f, double x, double y, double gradient[2])
{
    double r = hypot(x, y), power = r, value = 0.0, by_r = 0.0;
    if (r == 0.0)
        return 0.0;
    for (int k = 0; k < AID_PLANAR_RADIAL_TERMS; k++) {
        value += f->radial[k] * power;
        by_r += f->radial[k] * (2 * k + 1) * power / r;
        power *= r * r;
    }
    gradient[0] += by_r * x / r;
    gradient[1] += by_r * y / r;
    return value;
}

static double evaluate(const aid_planar_polynomial *f, const double at[2], double ret_gradient[2])
{
    double value = polynomial(f, at[0], at[1], ret_gradient);
    if (has_radial(f))
        value += radial_terms(f, at[0], at[1], ret_gradient);
    return value;
}

void aid_planar_apply(const aid_planar_map *map, const double in[2], double ret_out[2],
                      double ret_jacobian[2][2])
{
    double jacobian[2][2];
    double first = evaluate(&map->first, in, jacobian[0]);
    double second = evaluate(&map->second, in, jacobian[1]);
    ret_out[0] = first;
    ret_out[1] = second;
    if (ret_jacobian)
        memcpy(ret_jacobian, jacobian, sizeof jacobian);
}

static double determinant(double m[2][2])
{
    return m[0][0] * m[1][1] - m[0][1] * m[1][0];
}

static bool same_sheet(const aid_planar_map *map, double det)
{
    double origin[2] = {0.0, 0.0}, image[2], jacobian[2][2];
    aid_planar_apply(map, origin, image, jacobian);
    return determinant(jacobian) * det > 0.0;
}

bool aid_planar_invert(const aid_planar_map *map, const double target[2], double tolerance,
                       double ret_in[2])
{
    double at[2] = {target[0], target[1]}, image[2], jacobian[2][2];
    /* No step can be smaller than the spacing of doubles at the point. */
    double reachable = tolerance + 4e-16 * (fabs(target[0]) + fabs(target[1]));
    for (int i = 0; i < max_iterations; i++) {
        aid_planar_apply(map, at, image, jacobian);
        double det = determinant(jacobian);
        double rx = target[0] - image[0], ry = target[1] - image[1];
        double dx = (rx * jacobian[1][1] - ry * jacobian[0][1]) / det;
        double dy = (ry * jacobian[0][0] - rx * jacobian[1][0]) / det;
        at[0] += dx;
        at[1] += dy;
        if (!isfinite(at[0]) || !isfinite(at[1]))
            return false;
        if (fabs(dx) + fabs(dy) <= reachable) {
            if (!same_sheet(map, det))
                return false;
            ret_in[0] = at[0];
            ret_in[1] = at[1];
            return true;
        }
    }
    return false;
}
