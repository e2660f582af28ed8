#include "core/base/memory.h"
#include "core/imaging/linalg.h"
#include "tests/check.h"

#include <stdint.h>

static aid_error err;

static double noise(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (double)(*state >> 11) / 9007199254740992.0 - 0.5;
}

/* G^T G of an (n+20) x n matrix: its condition is a few hundred at n = 30, below 1e5 at n = 150. */
static double *random_positive(int n, uint64_t seed)
{
    double *matrix, *row;
    CHECK_OK(aid_new_array((size_t)n * (size_t)n, sizeof *matrix, "matrix", &matrix, &err));
    CHECK_OK(aid_new_array((size_t)n, sizeof *row, "row", &row, &err));
    for (int k = 0; k < n + 20; k++) {
        for (int i = 0; i < n; i++)
            row[i] = noise(&seed);
        for (int i = 0; i < n; i++)
            for (int j = i; j < n; j++)
                matrix[i * n + j] += row[i] * row[j];
    }
    free(row);
    return matrix;
}

static double full(const double *upper, int n, int i, int j)
{
    return i <= j ? upper[i * n + j] : upper[j * n + i];
}

static double *copy_of(const double *values, size_t count)
{
    double *copy;
    CHECK_OK(aid_new_array(count, sizeof *copy, "copy", &copy, &err));
    memcpy(copy, values, count * sizeof *copy);
    return copy;
}

/* The textbook's factor, one element at a time. */
static void naive_factor(int n, double *a)
{
    for (int j = 0; j < n; j++)
        for (int i = 0; i <= j; i++) {
            double sum = a[i * n + j];
            for (int k = 0; k < i; k++)
                sum -= a[k * n + i] * a[k * n + j];
            a[i * n + j] = i == j ? sqrt(sum) : sum / a[i * n + i];
        }
}

TEST(factor_equals_the_textbook_at_sizes_around_the_panel)
{
    for (int n = 1; n <= 41; n++) {
        double *fast = random_positive(n, 5);
        double *naive = copy_of(fast, (size_t)(n * n));
        CHECK_OK(aid_cholesky_factor(n, fast, 0.0, &err));
        naive_factor(n, naive);
        /* Elements below 10, sums of at most 41 terms, condition below 1e4: 41 * 1e4 * 1e-16 * 10.
         */
        for (int i = 0; i < n; i++)
            for (int j = i; j < n; j++)
                CHECK_NEAR(fast[i * n + j], naive[i * n + j], 5e-10);
        free(fast);
        free(naive);
    }
}

TEST(solve_and_inverse_undo_the_matrix)
{
    for (int n = 30; n <= 150; n += 120) {
        double *matrix = random_positive(n, 77), *factor = copy_of(matrix, (size_t)(n * n));
        double *inverse = copy_of(matrix, (size_t)(n * n));
        double *x = copy_of(matrix, (size_t)n), *b = copy_of(matrix, (size_t)n);
        double *diagonal = copy_of(matrix, (size_t)n);
        uint64_t seed = 3;
        for (int i = 0; i < n; i++)
            x[i] = noise(&seed);
        for (int i = 0; i < n; i++) {
            b[i] = 0.0;
            for (int j = 0; j < n; j++)
                b[i] += full(matrix, n, i, j) * x[j];
        }
        CHECK_OK(aid_cholesky_factor(n, factor, 0.0, &err));
        aid_cholesky_solve(n, factor, b);
        aid_cholesky_inverse(n, factor, inverse);
        CHECK_OK(aid_cholesky_inverse_diagonal(n, factor, diagonal, &err));
        /* Condition below 1e5 times 1e-16 times n leaves 1e-9. */
        for (int i = 0; i < n; i++) {
            CHECK_NEAR(diagonal[i], inverse[i * n + i], 1e-9 * inverse[i * n + i]);
            CHECK_NEAR(b[i], x[i], 1e-8);
            for (int j = 0; j < n; j++) {
                double sum = i == j ? -1.0 : 0.0;
                for (int k = 0; k < n; k++)
                    sum += full(matrix, n, i, k) * inverse[k * n + j];
                CHECK_NEAR(sum, 0.0, 1e-8);
                CHECK_NEAR(inverse[i * n + j] - inverse[j * n + i], 0.0, 0.0);
            }
        }
        free(matrix);
        free(factor);
        free(inverse);
        free(x);
        free(b);
        free(diagonal);
    }
}

TEST(forward_substitution_gives_the_norm_in_the_inverse_metric)
{
    enum { N = 12 };
    double *factor = random_positive(N, 9), b[N], half[N], whole[N];
    uint64_t seed = 4;
    for (int i = 0; i < N; i++)
        b[i] = half[i] = whole[i] = noise(&seed);
    CHECK_OK(aid_cholesky_factor(N, factor, 0.0, &err));
    aid_cholesky_forward(N, factor, half);
    aid_cholesky_solve(N, factor, whole);
    double norm = 0.0, product = 0.0;
    for (int i = 0; i < N; i++) {
        norm += half[i] * half[i];
        product += b[i] * whole[i];
    }
    CHECK_NEAR(norm, product, 1e-10 * fabs(product));
    free(factor);
}

TEST(dependent_unknowns_are_refused_unless_a_ridge_is_allowed)
{
    double singular[9] = {1.0, 2.0, 3.0, 0.0, 4.0, 6.0, 0.0, 0.0, 9.5};
    double again[9], hopeless[9] = {1.0, 2.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0};
    memcpy(again, singular, sizeof again);
    CHECK_REFUSED(aid_cholesky_factor(3, singular, 0.0, &err), AID_ERR_NUMERIC,
                  "system of 3 unknowns: unknown 2 is not determined");
    double ridge = -1.0;
    CHECK_OK(aid_cholesky_factor_jittered(3, again, 1e-6, &ridge, &err));
    CHECK(ridge > 0.0 && ridge <= 1e-6);
    /* The ridge of 1e-13 must not move the determined combination: x + 2 y and z of
     * A (x y z) = (6, 12, 18.5) with x = y = z = 1. */
    double b[3] = {6.0, 12.0, 18.5};
    aid_cholesky_solve(3, again, b);
    CHECK_NEAR(b[0] + 2.0 * b[1], 3.0, 0.02);
    CHECK_NEAR(b[2], 1.0, 0.01);
    ridge = -1.0;
    CHECK_REFUSED(aid_cholesky_factor_jittered(3, hopeless, 1e-6, &ridge, &err), AID_ERR_NUMERIC,
                  "unknown 2");
    CHECK_NEAR(ridge, -1.0, 0.0);
}

TEST(a_missing_value_is_refused)
{
    double matrix[4] = {1.0, NAN, 0.0, 2.0}, endless[1] = {INFINITY};
    CHECK_REFUSED(aid_cholesky_factor(2, matrix, 0.0, &err), AID_ERR_NUMERIC, "unknown 2");
    CHECK_REFUSED(aid_cholesky_factor(1, endless, 0.0, &err), AID_ERR_NUMERIC, "unknown 1");
}

TEST(jitter_is_zero_for_a_sound_matrix_and_gives_the_same_factor)
{
    double *plain = random_positive(23, 8), *jittered = copy_of(plain, 23 * 23);
    double ridge = -1.0;
    CHECK_OK(aid_cholesky_factor(23, plain, 0.0, &err));
    CHECK_OK(aid_cholesky_factor_jittered(23, jittered, 1e-8, &ridge, &err));
    CHECK_NEAR(ridge, 0.0, 0.0);
    for (int i = 0; i < 23; i++)
        for (int j = i; j < 23; j++)
            CHECK_NEAR(plain[i * 23 + j] - jittered[i * 23 + j], 0.0, 0.0);
    free(plain);
    free(jittered);
}

/* Values from numpy 1.24.2: x = linspace(-1,1,7), y = [1.1,.6,.3,.2,.45,.9,1.7],
 * w = [1,2,1,4,1,2,1], polynomial of degree 2 by linalg.solve of the normal equations. */
TEST(least_squares_equals_numpy)
{
    const double y[7] = {1.1, 0.6, 0.3, 0.2, 0.45, 0.9, 1.7}, w[7] = {1, 2, 1, 4, 1, 2, 1};
    const double solution[3] = {0.215, 0.2625, 1.1925};
    const double covariance[9] = {
        0.15833333333333333, 0.0, -0.225, 0.0, 0.25, 0.0, -0.225, 0.0, 0.675};
    double design[21], x[3], cov[9], chi2;
    for (int i = 0; i < 7; i++) {
        double t = -1.0 + i / 3.0;
        design[3 * i] = 1.0;
        design[3 * i + 1] = t;
        design[3 * i + 2] = t * t;
    }
    aid_linear_fit fit = {.rows = 7, .unknowns = 3, .design = design, .values = y, .weights = w};
    CHECK_OK(aid_least_squares(&fit, x, cov, &chi2, &err));
    for (int i = 0; i < 3; i++)
        CHECK_NEAR(x[i], solution[i], 1e-12);
    for (int i = 0; i < 9; i++)
        CHECK_NEAR(cov[i], covariance[i], 1e-12);
    CHECK_NEAR(chi2, 0.00825, 1e-12);
}

TEST(too_few_rows_are_refused_and_nothing_is_written)
{
    const double design[4] = {1.0, 0.5, 1.0, 0.5}, values[2] = {1.0, 2.0};
    aid_linear_fit fit = {.rows = 2, .unknowns = 2, .design = design, .values = values};
    double x[2] = {7.0, 8.0}, cov[4] = {9.0}, chi2 = 5.0;
    CHECK_REFUSED(aid_least_squares(&fit, x, cov, &chi2, &err), AID_ERR_NUMERIC, "unknown 2");
    CHECK_NEAR(x[0] + x[1] + cov[0] + chi2, 29.0, 0.0);
}

TEST_MAIN()
