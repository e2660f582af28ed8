/* A smooth map of the plane onto itself by two polynomials with radial terms: the common form of
 * the distortions SIP (pixels) and TPV (degrees). Internal to core/sky. */
#ifndef AID_CORE_SKY_PLANAR_MAP_H
#define AID_CORE_SKY_PLANAR_MAP_H

#include <stdbool.h>

#define AID_PLANAR_MAX_DEGREE 9
#define AID_PLANAR_RADIAL_TERMS 4 /* r, r^3, r^5, r^7 */

/* sum c[p][q] x^p y^q, p + q <= degree, plus sum radial[k] r^(2k+1). */
typedef struct aid_planar_polynomial {
    int degree;
    double c[AID_PLANAR_MAX_DEGREE + 1][AID_PLANAR_MAX_DEGREE + 1];
    double radial[AID_PLANAR_RADIAL_TERMS];
} aid_planar_polynomial;

/* (x, y) -> (first, second). A map that leaves the plane alone has first.c[1][0] = 1 and
 * second.c[0][1] = 1 and nothing else. */
typedef struct aid_planar_map {
    aid_planar_polynomial first, second;
} aid_planar_map;

aid_planar_map aid_planar_identity(void);

/* Outputs as the inputs' unit; jacobian[i][j] = d(output i)/d(input j), may be NULL. */
void aid_planar_apply(const aid_planar_map *map, const double in[2], double ret_out[2],
                      double ret_jacobian[2][2]);

/* The point whose image is `target`, by Newton's iteration from `target` itself, to `tolerance` (in
 * the plane's unit). false, *ret_in untouched, where it does not converge, or converges on another
 * sheet of a map that folds (the Jacobian has not the sign that it has at the origin). */
bool aid_planar_invert(const aid_planar_map *map, const double target[2], double tolerance,
                       double ret_in[2]);

#endif
