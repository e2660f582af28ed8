#include "core/imaging/transform.h"

#include "tests/check.h"

#include <stdint.h>

static aid_error err;

static double uniform(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (double)(*state >> 11) / 9007199254740992.0;
}

/* A map over 400 x 300 px like those of two cameras: rotated, with curvature of every degree. */
static aid_transform curved(int degree, uint64_t seed)
{
    aid_transform map = aid_transform_identity(400, 300);
    map.degree = degree;
    map.cx[0] += 31.0;
    map.cx[2] = -12.0;
    map.cy[1] = 14.0;
    for (int k = 3; k < (degree + 1) * (degree + 2) / 2; k++) {
        map.cx[k] = 4.0 * uniform(&seed) - 2.0;
        map.cy[k] = 4.0 * uniform(&seed) - 2.0;
    }
    return map;
}

/* The header's formula, term by term. */
static double naive_sum(const aid_transform *map, const double *c, double x, double y)
{
    double u = (x - map->x0) / map->scale, v = (y - map->y0) / map->scale, sum = 0.0;
    for (int total = 0, k = 0; total <= map->degree; total++)
        for (int j = 0; j <= total; j++, k++)
            sum += c[k] * pow(u, total - j) * pow(v, j);
    return sum;
}

TEST(the_identity_leaves_every_position_where_it_is)
{
    static const int shapes[][2] = {{400, 300}, {1, 1}, {3, 5000}};
    for (int i = 0; i < 3; i++) {
        aid_transform identity = aid_transform_identity(shapes[i][0], shapes[i][1]);
        double x, y;
        aid_transform_apply(&identity, 12.25, -7.5, &x, &y);
        CHECK_NEAR(x, 12.25, 1e-11);
        CHECK_NEAR(y, -7.5, 1e-11);
        CHECK_NEAR(aid_transform_jacobian(&identity, 3.0, 4.0), 1.0, 1e-14);
    }
}

TEST(apply_and_row_equal_the_formula_of_the_header_at_every_degree)
{
    for (int degree = 1; degree <= AID_TRANSFORM_MAX_DEGREE; degree++) {
        aid_transform map = curved(degree, 5);
        for (double y = -20.0; y < 320.0; y += 57.5) {
            double row_x[AID_TRANSFORM_MAX_DEGREE + 1], row_y[AID_TRANSFORM_MAX_DEGREE + 1];
            aid_transform_row(&map, y, row_x, row_y);
            for (double x = -20.0; x < 420.0; x += 61.3) {
                double got_x, got_y, along_x = 0.0, along_y = 0.0;
                aid_transform_apply(&map, x, y, &got_x, &got_y);
                /* Values of 500, 21 terms: 21 * 500 * 1e-16. */
                CHECK_NEAR(got_x, naive_sum(&map, map.cx, x, y), 1e-11);
                CHECK_NEAR(got_y, naive_sum(&map, map.cy, x, y), 1e-11);
                for (int i = 0; i <= AID_TRANSFORM_MAX_DEGREE; i++) {
                    along_x += row_x[i] * pow((x - map.x0) / map.scale, i);
                    along_y += row_y[i] * pow((x - map.x0) / map.scale, i);
                }
                CHECK_NEAR(along_x, got_x, 1e-11);
                CHECK_NEAR(along_y, got_y, 1e-11);
            }
        }
    }
}

TEST(the_derivatives_are_those_of_the_map)
{
    for (int degree = 1; degree <= AID_TRANSFORM_MAX_DEGREE; degree++) {
        aid_transform map = curved(degree, 9);
        const double x = 77.0, y = 251.0, h = 1e-3;
        double m[4], right[2], left[2], above[2], below[2];
        aid_transform_matrix(&map, x, y, m);
        aid_transform_apply(&map, x + h, y, &right[0], &right[1]);
        aid_transform_apply(&map, x - h, y, &left[0], &left[1]);
        aid_transform_apply(&map, x, y + h, &above[0], &above[1]);
        aid_transform_apply(&map, x, y - h, &below[0], &below[1]);
        /* Central differences: rounding 1e-13/2e-3 and a third derivative below 1e-3 times h^2. */
        CHECK_NEAR(m[0], (right[0] - left[0]) / (2.0 * h), 1e-8);
        CHECK_NEAR(m[1], (above[0] - below[0]) / (2.0 * h), 1e-8);
        CHECK_NEAR(m[2], (right[1] - left[1]) / (2.0 * h), 1e-8);
        CHECK_NEAR(m[3], (above[1] - below[1]) / (2.0 * h), 1e-8);
        CHECK_NEAR(aid_transform_jacobian(&map, x, y), m[0] * m[3] - m[1] * m[2], 1e-15);
    }
}

TEST(inverting_leads_back_to_where_the_map_came_from)
{
    aid_transform map = curved(5, 21);
    for (double y = 0.0; y < 300.0; y += 23.0)
        for (double x = 0.0; x < 400.0; x += 31.0) {
            double in_x, in_y, back_x = NAN, back_y = NAN;
            aid_transform_apply(&map, x, y, &in_x, &in_y);
            CHECK(aid_transform_invert(&map, in_x, in_y, &back_x, &back_y));
            CHECK_NEAR(back_x, x, 2e-9);
            CHECK_NEAR(back_y, y, 2e-9);
        }
}

TEST(a_map_that_folds_everything_onto_a_line_cannot_be_inverted)
{
    aid_transform flat = aid_transform_identity(400, 300);
    flat.cy[1] = flat.cx[1];
    flat.cy[2] = flat.cx[2];
    double x = -5.0, y = -6.0;
    CHECK(!aid_transform_invert(&flat, 10.0, 200.0, &x, &y));
    CHECK(x == -5.0 && y == -6.0);
}

enum { POINTS = 60 };
typedef struct pairs {
    double x[POINTS], y[POINTS], u[POINTS], v[POINTS], weight[POINTS];
} pairs;

static pairs pairs_of(const aid_transform *map, uint64_t seed)
{
    pairs p;
    for (int i = 0; i < POINTS; i++) {
        p.x[i] = 400.0 * uniform(&seed);
        p.y[i] = 300.0 * uniform(&seed);
        aid_transform_apply(map, p.x[i], p.y[i], &p.u[i], &p.v[i]);
        p.weight[i] = 1.0;
    }
    return p;
}

TEST(a_fit_through_points_of_a_polynomial_is_that_polynomial)
{
    for (int degree = 1; degree <= AID_TRANSFORM_MAX_DEGREE; degree++) {
        aid_transform truth = curved(degree, 3), fitted;
        pairs p = pairs_of(&truth, 11);
        CHECK_OK(
            aid_transform_fit(p.x, p.y, p.u, p.v, NULL, POINTS, degree, 400, 300, &fitted, &err));
        CHECK_EQUAL(fitted.degree, degree);
        /* Values of 400 at 1e-16 times a condition number below 1e5. */
        for (int k = 0; k < (degree + 1) * (degree + 2) / 2; k++) {
            CHECK_NEAR(fitted.cx[k], truth.cx[k], 1e-8);
            CHECK_NEAR(fitted.cy[k], truth.cy[k], 1e-8);
        }
    }
}

TEST(a_point_without_weight_has_no_say)
{
    aid_transform truth = curved(2, 3), fitted;
    pairs p = pairs_of(&truth, 11);
    p.u[7] += 1000.0;
    p.weight[7] = 0.0;
    CHECK_OK(aid_transform_fit(p.x, p.y, p.u, p.v, p.weight, POINTS, 2, 400, 300, &fitted, &err));
    for (int k = 0; k < 6; k++)
        CHECK_NEAR(fitted.cx[k], truth.cx[k], 1e-9);
}

TEST(a_constant_is_the_weighted_mean)
{
    const double x[] = {1.0, 50.0, 90.0}, u[] = {1.0, 2.0, 6.0}, v[] = {0.0, -3.0, 3.0};
    const double weight[] = {1.0, 2.0, 1.0};
    aid_transform fitted;
    CHECK_OK(aid_transform_fit(x, x, u, v, weight, 3, 0, 100, 100, &fitted, &err));
    CHECK_NEAR(fitted.cx[0], 11.0 / 4.0, 1e-12);
    CHECK_NEAR(fitted.cy[0], -3.0 / 4.0, 1e-12);
}

TEST(points_that_do_not_determine_the_map_are_refused_and_the_result_left_alone)
{
    aid_transform truth = curved(1, 3), fitted = {.degree = -3};
    pairs p = pairs_of(&truth, 11);
    CHECK_REFUSED(aid_transform_fit(p.x, p.y, p.u, p.v, NULL, 2, 1, 400, 300, &fitted, &err),
                  AID_ERR_NUMERIC, "2 points do not determine a map of degree 1");
    CHECK_REFUSED(aid_transform_fit(p.x, p.y, p.u, p.v, NULL, 20, 5, 400, 300, &fitted, &err),
                  AID_ERR_NUMERIC, "20 points");
    for (int i = 0; i < POINTS; i++) /* on one line */
        p.y[i] = 31.0 + 0.377 * p.x[i];
    CHECK_REFUSED(aid_transform_fit(p.x, p.y, p.u, p.v, NULL, POINTS, 1, 400, 300, &fitted, &err),
                  AID_ERR_NUMERIC, "60 points do not determine");
    p.u[3] = p.x[3] = NAN;
    CHECK_REFUSED(aid_transform_fit(p.x, p.y, p.u, p.v, NULL, POINTS, 1, 400, 300, &fitted, &err),
                  AID_ERR_NUMERIC, "do not determine");
    CHECK_EQUAL(fitted.degree, -3);
}

/* From numpy 1.24.2: max over the corners of diag(A inv(M' W M) A'), M the design matrix. */
/* --------------------------------------------------------------------------- fewer freedoms */

static void through(const aid_transform *map, const double *x, const double *y, int count,
                    double *u, double *v)
{
    for (int i = 0; i < count; i++)
        aid_transform_apply(map, x[i], y[i], &u[i], &v[i]);
}

TEST(a_shift_a_similarity_and_an_affine_map_come_back_from_the_least_points)
{
    static const double x[] = {10.0, 350.0, 120.0}, y[] = {20.0, 60.0, 280.0};
    double u[3], v[3];
    for (int model = AID_LINEAR_SHIFT; model <= AID_LINEAR_AFFINE; model++) {
        aid_transform truth = aid_transform_identity(400, 300), fitted;
        double sign = model == AID_LINEAR_MIRRORED ? -1.0 : 1.0;
        truth.cx[0] += 31.0;
        truth.cy[0] -= 7.5;
        if (model != AID_LINEAR_SHIFT) {
            truth.cx[1] = 190.0;
            truth.cx[2] = -20.0 * sign;
            truth.cy[1] = 20.0;
            truth.cy[2] = 190.0 * sign;
        }
        if (model == AID_LINEAR_AFFINE)
            truth.cx[2] += 11.0;
        int least = model == AID_LINEAR_SHIFT ? 1 : model == AID_LINEAR_AFFINE ? 3 : 2;
        const aid_transform_points points = {x, y, NULL, least};
        through(&truth, x, y, 3, u, v);
        CHECK_OK(aid_transform_fit_linear((aid_linear_model)model, &points, u, v, 400, 300, &fitted,
                                          &err));
        for (int i = 0; i < 3; i++) { /* the third one, too, which most have not seen */
            double at_u, at_v;
            aid_transform_apply(&fitted, x[i], y[i], &at_u, &at_v);
            CHECK_NEAR(at_u, u[i], 1e-9);
            CHECK_NEAR(at_v, v[i], 1e-9);
        }
    }
}

TEST(points_that_do_not_determine_a_linear_map_are_refused_and_the_result_left_alone)
{
    static const double x[] = {10.0, 20.0, 30.0}, y[] = {5.0, 10.0, 15.0}; /* on a line */
    static const double same[] = {4.0, 4.0};
    aid_transform fitted = {.degree = -7};
    const aid_transform_points line = {x, y, NULL, 3}, one = {x, y, NULL, 1},
                               none = {x, y, NULL, 0};
    const aid_transform_points twice = {same, same, NULL, 2};
    CHECK_REFUSED(aid_transform_fit_linear(AID_LINEAR_AFFINE, &line, x, y, 400, 300, &fitted, &err),
                  AID_ERR_NUMERIC, "3 points do not determine");
    CHECK_REFUSED(
        aid_transform_fit_linear(AID_LINEAR_SIMILARITY, &one, x, y, 400, 300, &fitted, &err),
        AID_ERR_NUMERIC, "1 points do not determine a similarity");
    CHECK_REFUSED(
        aid_transform_fit_linear(AID_LINEAR_MIRRORED, &twice, x, y, 400, 300, &fitted, &err),
        AID_ERR_NUMERIC, "2 points do not determine a similarity");
    CHECK_REFUSED(aid_transform_fit_linear(AID_LINEAR_SHIFT, &none, x, y, 400, 300, &fitted, &err),
                  AID_ERR_NUMERIC, "0 points do not determine a shift");
    CHECK_EQUAL(fitted.degree, -7);
}

TEST(a_map_is_the_identity_when_it_moves_no_pixel)
{
    aid_transform map = aid_transform_identity(400, 300);
    CHECK(aid_transform_is_identity(&map, 400, 300, 1e-9));
    map.cx[1] *= 1.0 + 1e-4; /* .02 px at the borders */
    CHECK(!aid_transform_is_identity(&map, 400, 300, 1e-2));
    CHECK(aid_transform_is_identity(&map, 400, 300, 3e-2));
    map.cx[0] = NAN;
    CHECK(!aid_transform_is_identity(&map, 400, 300, 1e9));
}

TEST(the_worst_variance_equals_that_of_numpy)
{
    const double x[] = {10, 80, 30, 60, 95, 5, 50}, y[] = {20, 10, 90, 70, 85, 60, 45};
    const double weight[] = {1, 4, 2, 1, 3, 5, 2};
    const double corner_x[] = {0, 99, 0, 99}, corner_y[] = {0, 0, 99, 99};
    aid_transform_points points = {.x = x, .y = y, .weight = weight, .count = 7};
    aid_transform_points corners = {.x = corner_x, .y = corner_y, .count = 4};
    aid_transform fitted = aid_transform_identity(100, 100);
    CHECK_NEAR(aid_transform_worst_variance(&fitted, &points, &corners), 0.3889914742358201, 1e-12);
    fitted.degree = 2;
    CHECK_NEAR(aid_transform_worst_variance(&fitted, &points, &corners), 4.317641025227607, 1e-11);
    fitted.degree = 3;
    CHECK(isinf(aid_transform_worst_variance(&fitted, &points, &corners)));
}

TEST_MAIN()
