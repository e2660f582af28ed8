/* Small dense symmetric positive definite systems in double: up to a thousand unknowns or so.
 * Matrices are [n][n] row-major; only the upper triangle (column >= row) is read and written,
 * unless said otherwise. Sums run in a fixed order: the same bytes on every machine. */
#ifndef AID_CORE_IMAGING_LINALG_H
#define AID_CORE_IMAGING_LINALG_H

#include "core/base/status.h"

#include <stdint.h>

/* In place A = U^T U. `ridge` >= 0 first multiplies the diagonal by 1 + ridge, which leaves the
 * scaling of the unknowns alone.
 * Fails: AID_ERR_NUMERIC when a pivot is not above n * 2e-16 of its diagonal element (dependent
 * unknowns, or a NaN), naming the unknown; the upper triangle is spoilt then. */
AID_MUST_USE aid_status aid_cholesky_factor(int n, double *matrix, double ridge, aid_error *err);

/* The same, with the smallest ridge of 0, 1e-13, 1e-12, ... up to max_ridge that works. Keeps a
 * copy of the input in the lower triangle. ret_ridge (may be NULL) is the one that was used. */
AID_MUST_USE aid_status aid_cholesky_factor_jittered(int n, double *matrix, double max_ridge,
                                                     double *ret_ridge, aid_error *err);

/* Solves A x = b in place, `factor` from the functions above. */
void aid_cholesky_solve(int n, const double *factor, double *vector);

/* U^T x = b in place: the first half of the above. */
void aid_cholesky_forward(int n, const double *factor, double *vector);

/* A^-1 from its factor, both triangles filled; `ret_inverse` [n][n] must not overlap the factor. */
void aid_cholesky_inverse(int n, const double *factor, double *ret_inverse);

/* The diagonal of A^-1 alone, at a third of the cost: variances of the unknowns. */
AID_MUST_USE aid_status aid_cholesky_inverse_diagonal(int n, const double *factor,
                                                      double *ret_diagonal, aid_error *err);

/* Adds one weighted row to normal equations: A += w a a^T (upper triangle), b += w a value. */
void aid_normal_add(int n, double *restrict matrix, double *restrict right,
                    const double *restrict row, double value, double weight);

typedef struct aid_linear_fit {
    int64_t rows, unknowns;
    const double *design;  /* [rows][unknowns] */
    const double *values;  /* [rows] */
    const double *weights; /* [rows], >= 0, 1/variance; NULL: all 1 */
    double ridge;          /* as in aid_cholesky_factor */
} aid_linear_fit;

/* Weighted least squares by normal equations, for well scaled designs (polynomials in -1..1).
 * Out: ret_solution [unknowns]; ret_covariance [unknowns][unknowns] = (A^T W A)^-1, may be NULL;
 *      ret_chi2 = sum w (value - model)^2, may be NULL.
 * Fails: AID_ERR_NUMERIC when the rows do not determine the unknowns, AID_ERR_NOMEM; nothing is
 *      written then. */
AID_MUST_USE aid_status aid_least_squares(const aid_linear_fit *fit, double *ret_solution,
                                          double *ret_covariance, double *ret_chi2, aid_error *err);

#endif
