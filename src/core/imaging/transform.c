#include "core/imaging/transform.h"

#include "core/imaging/linalg.h"

#include <assert.h>
#include <math.h>
#include <string.h>

enum { TERMS = AID_TRANSFORM_MAX_TERMS, POWERS = AID_TRANSFORM_MAX_DEGREE + 1 };

static int terms_of(int degree)
{
    return (degree + 1) * (degree + 2) / 2;
}

static aid_transform frame_of(int width, int height, int degree)
{
    return (aid_transform){.degree = degree,
                           .x0 = 0.5 * (width - 1),
                           .y0 = 0.5 * (height - 1),
                           .scale = 0.5 * AID_MAX(AID_MAX(width, height), 2)};
}

aid_transform aid_transform_identity(int width, int height)
{
    aid_transform identity = frame_of(width, height, 1);
    identity.cx[0] = identity.x0;
    identity.cy[0] = identity.y0;
    identity.cx[1] = identity.cy[2] = identity.scale;
    return identity;
}

/* 1, u, v, u2, uv, v2, ... up to the degree. */
static void monomials(const aid_transform *frame, double x, double y, double *terms)
{
    double u = (x - frame->x0) / frame->scale, v = (y - frame->y0) / frame->scale;
    terms[0] = 1.0;
    for (int degree = 1, first = 1; degree <= frame->degree; first += ++degree) {
        for (int i = 0; i < degree; i++)
            terms[first + i] = terms[first - degree + i] * u;
        terms[first + degree] = terms[first - 1] * v;
    }
}

void aid_transform_apply(const aid_transform *transform, double x, double y, double *ret_x,
                         double *ret_y)
{
    double terms[TERMS], sum_x = 0.0, sum_y = 0.0;
    monomials(transform, x, y, terms);
    for (int k = 0; k < terms_of(transform->degree); k++) {
        sum_x += transform->cx[k] * terms[k];
        sum_y += transform->cy[k] * terms[k];
    }
    *ret_x = sum_x;
    *ret_y = sum_y;
}

void aid_transform_row(const aid_transform *transform, double y, double ret_x[POWERS],
                       double ret_y[POWERS])
{
    double v = (y - transform->y0) / transform->scale;
    memset(ret_x, 0, POWERS * sizeof *ret_x);
    memset(ret_y, 0, POWERS * sizeof *ret_y);
    for (int degree = 0, k = 0; degree <= transform->degree; degree++) {
        double power = 1.0;
        for (int j = 0; j <= degree; j++, k++, power *= v) {
            ret_x[degree - j] += transform->cx[k] * power;
            ret_y[degree - j] += transform->cy[k] * power;
        }
    }
}

void aid_transform_matrix(const aid_transform *transform, double x, double y, double ret_matrix[4])
{
    aid_transform lower = *transform;
    lower.degree--;
    double terms[TERMS], sums[4] = {0.0};
    monomials(&lower, x, y, terms);
    for (int degree = 1, k = 1, first = 0; degree <= transform->degree; first += degree++)
        for (int j = 0; j <= degree; j++, k++) {
            if (j < degree) {
                sums[0] += transform->cx[k] * (degree - j) * terms[first + j];
                sums[2] += transform->cy[k] * (degree - j) * terms[first + j];
            }
            if (j > 0) {
                sums[1] += transform->cx[k] * j * terms[first + j - 1];
                sums[3] += transform->cy[k] * j * terms[first + j - 1];
            }
        }
    for (int i = 0; i < 4; i++)
        ret_matrix[i] = sums[i] / transform->scale;
}

double aid_transform_jacobian(const aid_transform *transform, double x, double y)
{
    double m[4];
    aid_transform_matrix(transform, x, y, m);
    return m[0] * m[3] - m[1] * m[2];
}

bool aid_transform_invert(const aid_transform *transform, double x_in, double y_in, double *ret_x,
                          double *ret_y)
{
    double x = transform->x0, y = transform->y0;
    for (int iteration = 0; iteration < 50; iteration++) {
        double at_x, at_y, m[4];
        aid_transform_apply(transform, x, y, &at_x, &at_y);
        aid_transform_matrix(transform, x, y, m);
        double determinant = m[0] * m[3] - m[1] * m[2];
        double step_x = (m[3] * (x_in - at_x) - m[1] * (y_in - at_y)) / determinant;
        double step_y = (m[0] * (y_in - at_y) - m[2] * (x_in - at_x)) / determinant;
        x += step_x;
        y += step_y;
        if (!isfinite(x) || !isfinite(y))
            return false;
        if (hypot(step_x, step_y) < 1e-9 * (1.0 + transform->scale * 1e-3)) {
            *ret_x = x;
            *ret_y = y;
            return true;
        }
    }
    return false;
}

/* ------------------------------------------------------------------------------- least squares */

/* Normal equations of both coordinates. With u and v in -1..1 their condition number stays below
 * 1e7 for degree 5 over a well covered field, which leaves nine digits of a double. */
typedef struct normal_equations {
    int terms;
    double matrix[TERMS * TERMS], right_x[TERMS], right_y[TERMS];
} normal_equations;

static void add_point(normal_equations *normal, const double *terms, double weight, double u,
                      double v)
{
    aid_normal_add(normal->terms, normal->matrix, normal->right_x, terms, u, weight);
    for (int i = 0; i < normal->terms; i++)
        normal->right_y[i] += weight * terms[i] * v;
}

/* Cholesky factor in place. The smallest pivot, as a fraction of its diagonal element, says how
 * much of a term the others leave over: nothing but rounding when the points do not determine it.
 */
static bool factorise(normal_equations *normal)
{
    int n = normal->terms;
    double diagonal[TERMS];
    for (int i = 0; i < n; i++)
        diagonal[i] = normal->matrix[i * n + i];
    if (aid_cholesky_factor(n, normal->matrix, 0.0, NULL) != AID_OK)
        return false;
    for (int i = 0; i < n; i++) {
        double pivot = normal->matrix[i * n + i];
        if (!(pivot * pivot > 1e-11 * diagonal[i]))
            return false;
    }
    return true;
}

aid_status aid_transform_fit(const double *x, const double *y, const double *u, const double *v,
                             const double *weight, int count, int degree, int width, int height,
                             aid_transform *ret_transform, aid_error *err)
{
    assert(degree >= 0 && degree <= AID_TRANSFORM_MAX_DEGREE);
    aid_transform fitted = frame_of(width, height, degree);
    normal_equations normal = {.terms = terms_of(degree)};
    for (int i = 0; i < count; i++) {
        double terms[TERMS];
        monomials(&fitted, x[i], y[i], terms);
        add_point(&normal, terms, weight ? weight[i] : 1.0, u[i], v[i]);
    }
    if (count < normal.terms || !factorise(&normal))
        AID_FAIL(err, AID_ERR_NUMERIC, "%d points do not determine a map of degree %d (%d terms)",
                 count, degree, normal.terms);
    memcpy(fitted.cx, normal.right_x, sizeof fitted.cx);
    memcpy(fitted.cy, normal.right_y, sizeof fitted.cy);
    aid_cholesky_solve(normal.terms, normal.matrix, fitted.cx);
    aid_cholesky_solve(normal.terms, normal.matrix, fitted.cy);
    *ret_transform = fitted;
    return AID_OK;
}

/* Weighted means of the points and of where they go. */
typedef struct centroids {
    double weight, x, y, u, v;
} centroids;

static centroids centroids_of(const aid_transform_points *from, const double *u, const double *v)
{
    centroids c = {0};
    for (int i = 0; i < from->count; i++) {
        double w = from->weight ? from->weight[i] : 1.0;
        c.weight += w;
        c.x += w * from->x[i];
        c.y += w * from->y[i];
        c.u += w * u[i];
        c.v += w * v[i];
    }
    c.x /= c.weight;
    c.y /= c.weight;
    c.u /= c.weight;
    c.v /= c.weight;
    return c;
}

/* u + i v = (re + i im) (x +- i y), by least squares about the centroids. */
static bool fit_rotation(const aid_transform_points *from, const double *u, const double *v,
                         const centroids *c, double sign, double *ret_re, double *ret_im)
{
    double re = 0.0, im = 0.0, square = 0.0;
    for (int i = 0; i < from->count; i++) {
        double w = from->weight ? from->weight[i] : 1.0;
        double px = from->x[i] - c->x, py = sign * (from->y[i] - c->y);
        double pu = u[i] - c->u, pv = v[i] - c->v;
        re += w * (px * pu + py * pv);
        im += w * (px * pv - py * pu);
        square += w * (px * px + py * py);
    }
    *ret_re = re / square;
    *ret_im = im / square;
    return square > 1e-12 * c->weight * (1.0 + c->x * c->x + c->y * c->y);
}

aid_status aid_transform_fit_linear(aid_linear_model model, const aid_transform_points *from,
                                    const double *u, const double *v, int width, int height,
                                    aid_transform *ret_transform, aid_error *err)
{
    if (model == AID_LINEAR_AFFINE)
        return aid_transform_fit(from->x, from->y, u, v, from->weight, from->count, 1, width,
                                 height, ret_transform, err);
    double re = 1.0, im = 0.0, sign = model == AID_LINEAR_MIRRORED ? -1.0 : 1.0;
    centroids c = centroids_of(from, u, v);
    if (!(c.weight > 0.0) || (model != AID_LINEAR_SHIFT && from->count < 2) ||
        (model != AID_LINEAR_SHIFT && !fit_rotation(from, u, v, &c, sign, &re, &im)))
        AID_FAIL(err, AID_ERR_NUMERIC, "%d points do not determine a %s", from->count,
                 model == AID_LINEAR_SHIFT ? "shift" : "similarity: two that lie apart are needed");
    aid_transform fitted = frame_of(width, height, 1);
    double x = fitted.x0 - c.x, y = sign * (fitted.y0 - c.y);
    fitted.cx[0] = c.u + re * x - im * y;
    fitted.cy[0] = c.v + im * x + re * y;
    fitted.cx[1] = re * fitted.scale;
    fitted.cx[2] = -sign * im * fitted.scale;
    fitted.cy[1] = im * fitted.scale;
    fitted.cy[2] = sign * re * fitted.scale;
    *ret_transform = fitted;
    return AID_OK;
}

bool aid_transform_is_identity(const aid_transform *transform, int width, int height,
                               double tolerance_px)
{
    enum { SIDE = 8 };
    for (int j = 0; j <= SIDE; j++)
        for (int i = 0; i <= SIDE; i++) {
            double x = i * (width - 1) / (double)SIDE, y = j * (height - 1) / (double)SIDE, u, v;
            aid_transform_apply(transform, x, y, &u, &v);
            if (!(hypot(u - x, v - y) < tolerance_px))
                return false;
        }
    return true;
}

double aid_transform_worst_variance(const aid_transform *fitted, const aid_transform_points *points,
                                    const aid_transform_points *at)
{
    normal_equations normal = {.terms = terms_of(fitted->degree)};
    double terms[TERMS], worst = 0.0;
    for (int i = 0; i < points->count; i++) {
        monomials(fitted, points->x[i], points->y[i], terms);
        add_point(&normal, terms, points->weight ? points->weight[i] : 1.0, 0.0, 0.0);
    }
    if (points->count < normal.terms || !factorise(&normal))
        return INFINITY;
    for (int i = 0; i < at->count; i++) { /* a' (U'U)^-1 a = |U'^-1 a|^2 */
        monomials(fitted, at->x[i], at->y[i], terms);
        aid_cholesky_forward(normal.terms, normal.matrix, terms);
        double variance = 0.0;
        for (int k = 0; k < normal.terms; k++)
            variance += terms[k] * terms[k];
        worst = AID_MAX(worst, variance);
    }
    return worst;
}
