#include "core/imaging/linalg.h"

#include "core/base/memory.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PANEL = 8 }; /* rows eliminated together: one load and store of a row for eight updates */

/* row -= sum_p factors[p] * panel[p], in the order of p for every element. */
AID_HOT
static void subtract_panel(const double *restrict panel, int64_t stride,
                           const double *restrict factors, int64_t count, double *restrict row)
{
    const double *p0 = panel, *p1 = p0 + stride, *p2 = p1 + stride, *p3 = p2 + stride;
    const double *p4 = p3 + stride, *p5 = p4 + stride, *p6 = p5 + stride, *p7 = p6 + stride;
    for (int64_t i = 0; i < count; i++) {
        double value = row[i];
        value -= factors[0] * p0[i];
        value -= factors[1] * p1[i];
        value -= factors[2] * p2[i];
        value -= factors[3] * p3[i];
        value -= factors[4] * p4[i];
        value -= factors[5] * p5[i];
        value -= factors[6] * p6[i];
        value -= factors[7] * p7[i];
        row[i] = value;
    }
}

AID_HOT
static void subtract_row(const double *restrict source, double factor, int64_t count,
                         double *restrict row)
{
    for (int64_t i = 0; i < count; i++)
        row[i] -= factor * source[i];
}

AID_HOT
static void add_row(const double *restrict source, double factor, int64_t count,
                    double *restrict row)
{
    for (int64_t i = 0; i < count; i++)
        row[i] += factor * source[i];
}

/* Rows first .. first+count-1 become rows of U; the rows below are left for the caller.
 * `scale` holds the original diagonal. Returns the index of a row that failed, or -1. */
static int factor_panel(int n, double *matrix, int first, int count, const double *scale)
{
    for (int k = first; k < first + count; k++) {
        double *row = matrix + (int64_t)k * n;
        for (int above = first; above < k; above++) {
            const double *other = matrix + (int64_t)above * n;
            subtract_row(other + k, other[k], n - k, row + k);
        }
        double pivot = row[k];
        if (!(pivot > n * DBL_EPSILON * scale[k]) || !isfinite(pivot))
            return k;
        double root = sqrt(pivot), inverse = 1.0 / root;
        row[k] = root;
        for (int i = k + 1; i < n; i++)
            row[i] *= inverse;
    }
    return -1;
}

static int factor_in_place(int n, double *matrix, const double *scale)
{
    for (int first = 0; first < n; first += PANEL) {
        int count = AID_MIN(PANEL, n - first);
        int failed = factor_panel(n, matrix, first, count, scale);
        if (failed >= 0)
            return failed;
        for (int i = first + PANEL; i < n; i++) {
            double factors[PANEL];
            for (int p = 0; p < PANEL; p++)
                factors[p] = matrix[(int64_t)(first + p) * n + i];
            subtract_panel(matrix + (int64_t)first * n + i, n, factors, n - i,
                           matrix + (int64_t)i * n + i);
        }
    }
    return -1;
}

static aid_status not_positive(int n, int failed, aid_error *err)
{
    AID_FAIL(err, AID_ERR_NUMERIC,
             "system of %d unknowns: unknown %d is not determined by the data", n, failed + 1);
}

aid_status aid_cholesky_factor(int n, double *matrix, double ridge, aid_error *err)
{
    assert(n > 0 && ridge >= 0.0);
    AID_CLEANUP(aid_free_pointer)
    double *scale = NULL;
    AID_TRY(aid_new_array((size_t)n, sizeof *scale, "diagonal", &scale, err));
    for (int i = 0; i < n; i++) {
        matrix[(int64_t)i * n + i] *= 1.0 + ridge;
        scale[i] = matrix[(int64_t)i * n + i];
    }
    int failed = factor_in_place(n, matrix, scale);
    return failed >= 0 ? not_positive(n, failed, err) : AID_OK;
}

static void restore_upper(int n, double *matrix, const double *diagonal, double ridge)
{
    for (int row = 0; row < n; row++) {
        matrix[(int64_t)row * n + row] = diagonal[row] * (1.0 + ridge);
        for (int column = row + 1; column < n; column++)
            matrix[(int64_t)row * n + column] = matrix[(int64_t)column * n + row];
    }
}

aid_status aid_cholesky_factor_jittered(int n, double *matrix, double max_ridge, double *ret_ridge,
                                        aid_error *err)
{
    assert(n > 0);
    AID_CLEANUP(aid_free_pointer)
    double *diagonal = NULL;
    AID_TRY(aid_new_array((size_t)n, sizeof *diagonal, "diagonal", &diagonal, err));
    for (int row = 0; row < n; row++) {
        diagonal[row] = matrix[(int64_t)row * n + row];
        for (int column = row + 1; column < n; column++)
            matrix[(int64_t)column * n + row] = matrix[(int64_t)row * n + column];
    }
    double ridge = 0.0;
    int failed = factor_in_place(n, matrix, diagonal);
    while (failed >= 0) {
        ridge = ridge > 0.0 ? 10.0 * ridge : 1e-13;
        if (ridge > max_ridge)
            return not_positive(n, failed, err);
        restore_upper(n, matrix, diagonal, ridge);
        failed = factor_in_place(n, matrix, diagonal);
    }
    if (ret_ridge)
        *ret_ridge = ridge;
    return AID_OK;
}

void aid_cholesky_forward(int n, const double *factor, double *vector)
{
    for (int k = 0; k < n; k++) {
        const double *row = factor + (int64_t)k * n;
        vector[k] /= row[k];
        subtract_row(row + k + 1, vector[k], n - k - 1, vector + k + 1);
    }
}

void aid_cholesky_solve(int n, const double *factor, double *vector)
{
    aid_cholesky_forward(n, factor, vector);
    for (int k = n - 1; k >= 0; k--) {
        const double *row = factor + (int64_t)k * n;
        double sum = vector[k];
        for (int i = k + 1; i < n; i++)
            sum -= row[i] * vector[i];
        vector[k] = sum / row[k];
    }
}

/* Row k of U^-1 by back substitution: U^-1[k] = (e_k - sum_{i>k} U[k][i] U^-1[i]) / U[k][k]. */
static void invert_triangle(int n, const double *factor, double *inverse)
{
    memset(inverse, 0, (size_t)n * (size_t)n * sizeof *inverse);
    for (int k = n - 1; k >= 0; k--) {
        const double *row = factor + (int64_t)k * n;
        double *target = inverse + (int64_t)k * n;
        for (int i = k + 1; i < n; i++)
            subtract_row(inverse + (int64_t)i * n + i, row[i], n - i, target + i);
        target[k] = 1.0;
        double scale = 1.0 / row[k];
        for (int i = k; i < n; i++)
            target[i] *= scale;
    }
}

/* A^-1 = U^-1 U^-T: row i is a sum over columns k of U^-1[i][k] U^-1[j][k]. Rows are finished from
 * the top, and row i needs rows j >= i, which still hold U^-1; so it can be done in place. */
void aid_cholesky_inverse(int n, const double *factor, double *ret_inverse)
{
    invert_triangle(n, factor, ret_inverse);
    for (int i = 0; i < n; i++) {
        double *row = ret_inverse + (int64_t)i * n;
        for (int j = i; j < n; j++) {
            const double *other = ret_inverse + (int64_t)j * n;
            double lanes[4] = {0};
            int k = j;
            for (; k + 4 <= n; k += 4)
                for (int lane = 0; lane < 4; lane++)
                    lanes[lane] += row[k + lane] * other[k + lane];
            for (; k < n; k++)
                lanes[0] += row[k] * other[k];
            row[j] = (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
        }
    }
    for (int i = 0; i < n; i++)
        for (int j = 0; j < i; j++)
            ret_inverse[(int64_t)i * n + j] = ret_inverse[(int64_t)j * n + i];
}

enum { LANES = 8 }; /* right-hand sides taken through the factor together */

/* columns[i][] -= row[i] * pivot[] for i = 0 .. count-1 */
AID_HOT
static void subtract_outer(const double *restrict row, const double *restrict pivot, int64_t count,
                           double *restrict columns)
{
    for (int64_t i = 0; i < count; i++)
        for (int lane = 0; lane < LANES; lane++)
            columns[i * LANES + lane] -= row[i] * pivot[lane];
}

/* (A^-1)[i][i] = |U^-T e_i|^2, and U^-T e_i starts at i. */
aid_status aid_cholesky_inverse_diagonal(int n, const double *factor, double *ret_diagonal,
                                         aid_error *err)
{
    AID_CLEANUP(aid_free_pointer)
    double *columns = NULL;
    AID_TRY(aid_new_array((size_t)n * LANES, sizeof *columns, "inverse", &columns, err));
    for (int first = 0; first < n; first += LANES) {
        int count = AID_MIN(LANES, n - first);
        memset(columns, 0, (size_t)n * LANES * sizeof *columns);
        for (int lane = 0; lane < count; lane++)
            columns[(first + lane) * LANES + lane] = 1.0;
        double sums[LANES] = {0};
        for (int k = first; k < n; k++) {
            const double *row = factor + (int64_t)k * n;
            double pivot[LANES];
            for (int lane = 0; lane < LANES; lane++) {
                pivot[lane] = columns[k * LANES + lane] / row[k];
                sums[lane] += pivot[lane] * pivot[lane];
            }
            subtract_outer(row + k + 1, pivot, n - k - 1, columns + (int64_t)(k + 1) * LANES);
        }
        memcpy(ret_diagonal + first, sums, (size_t)count * sizeof *sums);
    }
    return AID_OK;
}

void aid_normal_add(int n, double *restrict matrix, double *restrict right,
                    const double *restrict row, double value, double weight)
{
    for (int i = 0; i < n; i++) {
        double scaled = weight * row[i];
        if (scaled == 0.0)
            continue; /* bases of local functions are mostly zero */
        add_row(row + i, scaled, n - i, matrix + (int64_t)i * n + i);
        right[i] += scaled * value;
    }
}

static double chi2_of(const aid_linear_fit *fit, const double *solution)
{
    double chi2 = 0.0;
    for (int64_t r = 0; r < fit->rows; r++) {
        const double *row = fit->design + r * fit->unknowns;
        double residual = fit->values[r];
        for (int64_t i = 0; i < fit->unknowns; i++)
            residual -= row[i] * solution[i];
        chi2 += (fit->weights ? fit->weights[r] : 1.0) * residual * residual;
    }
    return chi2;
}

aid_status aid_least_squares(const aid_linear_fit *fit, double *ret_solution,
                             double *ret_covariance, double *ret_chi2, aid_error *err)
{
    int n = (int)fit->unknowns;
    size_t square = (size_t)n * (size_t)n;
    AID_CLEANUP(aid_free_pointer)
    double *memory = NULL;
    AID_TRY(aid_new_array(square + (size_t)n, sizeof *memory, "normal equations", &memory, err));
    double *matrix = memory, *right = memory + square;
    for (int64_t r = 0; r < fit->rows; r++)
        aid_normal_add(n, matrix, right, fit->design + r * n, fit->values[r],
                       fit->weights ? fit->weights[r] : 1.0);
    AID_TRY(aid_cholesky_factor(n, matrix, fit->ridge, err));
    aid_cholesky_solve(n, matrix, right);
    memcpy(ret_solution, right, (size_t)n * sizeof *right);
    if (ret_covariance)
        aid_cholesky_inverse(n, matrix, ret_covariance);
    if (ret_chi2)
        *ret_chi2 = chi2_of(fit, ret_solution);
    return AID_OK;
}
