#include "core/base/random.h"
#include "tests/check.h"

TEST(bits_are_those_of_the_published_generator)
{
    /* xoshiro256++ from state 1, 2, 3, 4: first outputs of the reference implementation
     * (prng.di.unimi.it), also the known answers of Rust's rand_xoshiro 0.6. */
    aid_random random = {.state = {1, 2, 3, 4}};
    const uint64_t expected[] = {41943041U, 58720359U, 3588806011781223U, 3591011842654386U,
                                 9228616714210784205U};
    for (size_t i = 0; i < AID_COUNT_OF(expected); i++)
        CHECK(aid_random_bits(&random) == expected[i]);
}

TEST(streams_and_seeds_differ_and_repeat)
{
    aid_random a = aid_random_seeded(7, 0), b = aid_random_seeded(7, 0);
    aid_random c = aid_random_seeded(7, 1), d = aid_random_seeded(8, 0);
    uint64_t first = aid_random_bits(&a);
    CHECK(first == aid_random_bits(&b));
    CHECK(first != aid_random_bits(&c));
    CHECK(first != aid_random_bits(&d));
}

TEST(normal_deviates_have_the_moments_of_a_normal)
{
    enum { N = 400000 };
    aid_random random = aid_random_seeded(1, 0);
    double m1 = 0, m2 = 0, m3 = 0, m4 = 0;
    for (int i = 0; i < N; i++) {
        double x = aid_random_normal(&random);
        m1 += x, m2 += x * x, m3 += x * x * x, m4 += x * x * x * x;
    }
    /* Standard errors: 1/sqrt N, sqrt(2/N), sqrt(15/N), sqrt(96/N); four of each. */
    CHECK_NEAR(m1 / N, 0.0, 4 * sqrt(1.0 / N));
    CHECK_NEAR(m2 / N, 1.0, 4 * sqrt(2.0 / N));
    CHECK_NEAR(m3 / N, 0.0, 4 * sqrt(15.0 / N));
    CHECK_NEAR(m4 / N, 3.0, 4 * sqrt(96.0 / N));
}

/* chi^2 of observed counts against the exact probabilities, bins of expectation above 20. */
static double poisson_chi2(double mean, int draws, int *ret_bins)
{
    enum { MOST = 400 };
    int observed[MOST] = {0};
    aid_random random = aid_random_seeded(42, (uint64_t)mean);
    for (int i = 0; i < draws; i++) {
        int k = (int)aid_random_poisson(&random, mean);
        CHECK(k >= 0 && k < MOST);
        observed[k]++;
    }
    double chi2 = 0.0;
    *ret_bins = 0;
    for (int k = 0; k < MOST; k++) {
        double expected = draws * exp(-mean + k * log(mean) - lgamma(k + 1.0));
        if (expected > 20.0) {
            chi2 += (observed[k] - expected) * (observed[k] - expected) / expected;
            ++*ret_bins;
        }
    }
    return chi2;
}

TEST(poisson_deviates_follow_the_exact_probabilities)
{
    const double means[] = {0.3, 4.0, 11.9, 12.1, 50.0, 200.0};
    for (size_t i = 0; i < AID_COUNT_OF(means); i++) {
        int bins;
        double chi2 = poisson_chi2(means[i], 200000, &bins);
        /* chi^2 with `bins` degrees of freedom: mean bins, variance 2 bins; five sigma. */
        CHECK_NEAR(chi2, bins, 5.0 * sqrt(2.0 * bins));
    }
}

TEST(large_poisson_means_keep_mean_and_variance)
{
    enum { N = 20000 };
    const double means[] = {5e4, 1e9};
    for (int m = 0; m < 2; m++) {
        aid_random random = aid_random_seeded(3, (uint64_t)m);
        double sum = 0, squares = 0;
        for (int i = 0; i < N; i++) {
            double z = (aid_random_poisson(&random, means[m]) - means[m]) / sqrt(means[m]);
            sum += z, squares += z * z;
        }
        CHECK_NEAR(sum / N, 0.0, 4 / sqrt(N));
        CHECK_NEAR(squares / N, 1.0, 4 * sqrt(2.0 / N));
    }
    aid_random random = aid_random_seeded(3, 0);
    CHECK(aid_random_poisson(&random, 0.0) == 0.0 && aid_random_poisson(&random, -1.0) == 0.0);
}

TEST_MAIN()
