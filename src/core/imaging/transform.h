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

/* Least squares through `count` pairs (output x, y -> input u, v) with weights (NULL = 1).
 * Fails with AID_ERR_NUMERIC when the points do not determine the degree. */
AID_MUST_USE aid_status aid_transform_fit(const double *x, const double *y, const double *u,
                                          const double *v, const double *weight, int count,
                                          int degree, int width, int height,
                                          aid_transform *ret_transform, aid_error *err);

#endif
