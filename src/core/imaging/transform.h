/* A smooth map from one pixel grid to another: polynomial of degree 1 to 5 in both coordinates. */
#ifndef AID_CORE_IMAGING_TRANSFORM_H
#define AID_CORE_IMAGING_TRANSFORM_H

#include "core/base/status.h"

#include <stdbool.h>

#define AID_TRANSFORM_MAX_DEGREE 5
#define AID_TRANSFORM_MAX_TERMS 21

/* Output pixel (x, y) -> input pixel. u = (x-x0)/scale, v = (y-y0)/scale;
 * x_in = sum cx[k] u^i v^j, terms by total degree: 1, u, v, u2, uv, v2, u3, ... 0-based pixels. */
typedef struct aid_transform {
    int degree;
    double x0, y0, scale;
    double cx[AID_TRANSFORM_MAX_TERMS], cy[AID_TRANSFORM_MAX_TERMS];
} aid_transform;

aid_transform aid_transform_identity(int width, int height);
void aid_transform_apply(const aid_transform *transform, double x, double y, double *ret_x,
                         double *ret_y);
/* d(x_in, y_in)/d(x, y): determinant, for flux per pixel. */
double aid_transform_jacobian(const aid_transform *transform, double x, double y);

/* The derivatives themselves: ret_matrix = {dx_in/dx, dx_in/dy, dy_in/dx, dy_in/dy}. */
void aid_transform_matrix(const aid_transform *transform, double x, double y, double ret_matrix[4]);

/* The map along one output row: x_in = sum ret_x[i] u^i, y_in = sum ret_y[i] u^i. */
void aid_transform_row(const aid_transform *transform, double y,
                       double ret_x[AID_TRANSFORM_MAX_DEGREE + 1],
                       double ret_y[AID_TRANSFORM_MAX_DEGREE + 1]);

/* The output position that maps to input (x_in, y_in), by Newton's method to 1e-9 px. false where
 * the map cannot be inverted; outputs are untouched then. */
bool aid_transform_invert(const aid_transform *transform, double x_in, double y_in, double *ret_x,
                          double *ret_y);

/* Least squares through `count` pairs (output x, y -> input u, v) with weights (NULL = 1). Degree 0
 * is a constant: of use where u, v are differences that another transform leaves.
 * Fails with AID_ERR_NUMERIC when the points do not determine the degree. */
AID_MUST_USE aid_status aid_transform_fit(const double *x, const double *y, const double *u,
                                          const double *v, const double *weight, int count,
                                          int degree, int width, int height,
                                          aid_transform *ret_transform, aid_error *err);

typedef struct aid_transform_points {
    const double *x, *y;
    const double *weight; /* NULL = 1 */
    int count;
} aid_transform_points;

/* The same for maps with fewer freedoms, as a transform of degree 1: a shift needs one point, a
 * similarity (shift, rotation, scale; `mirrored`: after a reflection) two apart, and an affine map
 * three that are not on one line. Fails with AID_ERR_NUMERIC when there are fewer. */
typedef enum aid_linear_model {
    AID_LINEAR_SHIFT,
    AID_LINEAR_SIMILARITY,
    AID_LINEAR_MIRRORED,
    AID_LINEAR_AFFINE
} aid_linear_model;
AID_MUST_USE aid_status aid_transform_fit_linear(aid_linear_model model,
                                                 const aid_transform_points *from, const double *u,
                                                 const double *v, int width, int height,
                                                 aid_transform *ret_transform, aid_error *err);

/* true where the map moves no pixel of the grid by more than `tolerance_px`. */
bool aid_transform_is_identity(const aid_transform *transform, int width, int height,
                               double tolerance_px);

/* What a fit of `fitted->degree` through `points` knows least about: the largest variance of the
 * fitted map at the positions `at` (their weights are ignored), for weights that are inverse
 * variances. Frame (x0, y0, scale) and degree are those of `fitted`. INFINITY when the points do
 * not determine the degree. */
double aid_transform_worst_variance(const aid_transform *fitted, const aid_transform_points *points,
                                    const aid_transform_points *at);

#endif
