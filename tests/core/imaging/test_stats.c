#include "core/imaging/stats.h"

#include "core/base/macros.h"

#include "tests/check.h"

/* Knuth's MMIX generator, 24 bits of it as 0..1: the same numbers in C and in the Python that made
 * the expected values below. */
static uint64_t generator = 12345;
static double uniform(void)
{
    generator = generator * 6364136223846793005ULL + 1442695040888963407ULL;
    return (double)(generator >> 40) / 16777216.0;
}

static void fill(float *values, int count)
{
    generator = 12345;
    for (int i = 0; i < count; i++)
        values[i] = (float)(uniform() * 1000.0 - 300.0);
}

static double normal(void)
{
    return sqrt(-2.0 * log(1.0 - uniform())) * cos(6.28318530717958648 * uniform());
}

enum { MOST = 1001 };

/* numpy 1.24.2: median, quantile (method "linear") and median |v - median| of those numbers. */
static const struct {
    int count;
    double median, tenth, ninth, mad;
} numpy_values[] = {
    {1, -190.42144775390625, -190.42144775390625, -190.42144775390625, 0.0},
    {2, -112.5180892944336, -174.8407760620117, -50.19540252685547, 77.90335845947266},
    {9, 260.4721984863281, -65.77607421875, 545.7147338867187, 254.70712280273438},
    {10, 175.98302841186523, -119.69047164916992, 540.7260803222656, 302.8499412536621},
    {1001, 206.7351531982422, -189.01722717285156, 619.641845703125, 251.6052703857422},
};

TEST(medians_and_quantiles_are_those_of_numpy)
{
    for (size_t i = 0; i < AID_COUNT_OF(numpy_values); i++) {
        float values[MOST];
        double wide[MOST];
        int count = numpy_values[i].count;
        fill(values, count);
        CHECK(aid_median_of(values, count) == numpy_values[i].median);
        for (int k = 0; k < count; k++)
            wide[k] = (double)values[k];
        CHECK(aid_median_in_place_f64(wide, count) == numpy_values[i].median);
        /* one multiplication and one addition of numbers below 1000 round by 2e-13 */
        CHECK_NEAR(aid_quantile_in_place_f64(wide, count, 0.1), numpy_values[i].tenth, 1e-12);
        CHECK_NEAR(aid_quantile_in_place_f64(wide, count, 0.9), numpy_values[i].ninth, 1e-12);
        CHECK(aid_median_in_place(values, count) == numpy_values[i].median);
    }
}

TEST(the_median_absolute_deviation_is_that_of_numpy)
{
    for (size_t i = 0; i < AID_COUNT_OF(numpy_values); i++) {
        float values[MOST];
        double wide[MOST];
        int count = numpy_values[i].count;
        fill(values, count);
        for (int k = 0; k < count; k++)
            wide[k] = (double)values[k];
        aid_robust in_double = aid_robust_in_place_f64(wide, count);
        aid_robust in_float = aid_robust_in_place(values, count);
        CHECK_EQUAL(in_double.count, count);
        CHECK(in_double.median == numpy_values[i].median);
        CHECK_NEAR(in_double.sigma, AID_SIGMA_PER_MAD * numpy_values[i].mad, 1e-10);
        /* deviations below 1000 kept in float round by at most 3e-5 */
        CHECK_NEAR(in_float.sigma, AID_SIGMA_PER_MAD * numpy_values[i].mad, 5e-5);
    }
}

static int ascending(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Few distinct values, sorted and reversed runs: what upsets a quick select. */
TEST(selection_agrees_with_sorting_on_awkward_data)
{
    for (int shape = 0; shape < 5; shape++)
        for (int count = 1; count < 120; count++) {
            float values[128], sorted[128];
            for (int i = 0; i < count; i++) {
                const float made[5] = {(float)i, (float)(count - i), (float)(i % 3), 7.0F,
                                       (float)(i % 2 ? i : -i)};
                values[i] = sorted[i] = made[shape];
            }
            qsort(sorted, (size_t)count, sizeof *sorted, ascending);
            double middle = 0.5 * ((double)sorted[(count - 1) / 2] + (double)sorted[count / 2]);
            CHECK(aid_median_of(values, count) == middle);
        }
}

TEST(what_is_not_finite_is_skipped)
{
    float values[] = {NAN, 3.0F, INFINITY, 1.0F, -INFINITY, 2.0F, NAN};
    double wide[] = {NAN, 3.0, INFINITY, 1.0, -INFINITY, 2.0, NAN};
    CHECK(aid_median_of(values, 7) == 2.0);
    CHECK(aid_quantile_in_place_f64(wide, 7, 1.0) == 3.0);
    aid_robust robust = aid_robust_in_place(values, 7);
    CHECK_EQUAL(robust.count, 3);
    CHECK(robust.median == 2.0);
    CHECK_NEAR(robust.sigma, AID_SIGMA_PER_MAD, 1e-12);
}

TEST(nothing_finite_gives_nan_and_a_count_of_none)
{
    float values[] = {NAN, INFINITY};
    double wide[] = {NAN, INFINITY};
    CHECK(isnan(aid_median_of(values, 2)));
    CHECK(isnan(aid_median_of(values, 0)));
    CHECK(isnan(aid_quantile_in_place_f64(wide, 2, 0.5)));
    aid_robust robust = aid_robust_in_place(values, 2);
    CHECK(isnan(robust.median) && isnan(robust.sigma) && robust.count == 0);
    aid_clipped clipped = aid_clipped_stats(values, 2, 3.0);
    CHECK(isnan(clipped.mean) && isnan(clipped.sigma) && clipped.count == 0);
}

TEST(a_quantile_outside_zero_to_one_is_the_nearest_end)
{
    double values[] = {5.0, 1.0, 3.0};
    CHECK(aid_quantile_in_place_f64(values, 3, -0.5) == 1.0);
    CHECK(aid_quantile_in_place_f64(values, 3, 1.5) == 5.0);
}

/* A normal sky of 1000 +- 10 with one pixel in twenty a star. 50 000 pixels: the standard error of
 * the mean is 10/sqrt(47500) = 0.046 and of sigma 0.032; stars fainter than 3 sigma hide in a share
 * of about 0.05 * 30/5000 = 3e-4 of pixels and pull the mean by 0.005. Five standard errors. */
TEST(clipping_recovers_the_sky_under_stars_and_the_sigma_of_the_tails_it_cut)
{
    enum { COUNT = 50000 };
    float *sky = malloc(COUNT * sizeof *sky);
    CHECK(sky != NULL);
    generator = 777;
    for (int i = 0; i < COUNT; i++)
        sky[i] = (float)(1000.0 + 10.0 * normal() + (i % 20 ? 0.0 : 5000.0 * uniform()));
    sky[100] = NAN;
    static const double kappas[] = {2.0, 3.0, 4.0};
    for (size_t k = 0; k < AID_COUNT_OF(kappas); k++) {
        aid_clipped clipped = aid_clipped_stats(sky, COUNT, kappas[k]);
        CHECK_NEAR(clipped.mean, 1000.0, 0.25);
        CHECK_NEAR(clipped.sigma, 10.0, 0.25);
        CHECK(clipped.count > COUNT / 20 * 17 && clipped.count < COUNT / 200 * 191);
    }
    free(sky);
}

/* scipy 1.10.1: truncnorm(-k, k).std(). A sample with nothing to clip has its plain standard
 * deviation divided by that: four values at +-1 have deviation 1 around mean 0. */
TEST(sigma_is_corrected_by_the_width_of_a_cut_normal)
{
    static const struct {
        double kappa, width;
    } scipy[] = {{1.5, 0.7426468984393264}, {2.0, 0.8796256610342398}, {3.0, 0.9865783925581086}};
    const float values[] = {-1.0F, 1.0F, -1.0F, 1.0F};
    for (size_t i = 0; i < AID_COUNT_OF(scipy); i++) {
        aid_clipped clipped = aid_clipped_stats(values, 4, scipy[i].kappa);
        CHECK_EQUAL(clipped.count, 4);
        CHECK_NEAR(clipped.mean, 0.0, 1e-15);
        CHECK_NEAR(clipped.sigma, 1.0 / scipy[i].width, 1e-12);
    }
}

/* The naive twin: clip around the last centre with the last sigma until the count stands still. */
TEST(clipping_agrees_with_a_naive_twin)
{
    float values[MOST];
    fill(values, MOST);
    for (int i = 0; i < MOST; i += 7)
        values[i] *= 50.0F;
    double centre = 0.0, sigma = 0.0;
    float copy[MOST];
    memcpy(copy, values, sizeof copy);
    aid_robust robust = aid_robust_in_place(copy, MOST);
    centre = robust.median;
    sigma = robust.sigma;
    int before = -1, kept = 0;
    while (kept != before) {
        before = kept;
        double sum = 0.0, squares = 0.0;
        kept = 0;
        for (int i = 0; i < MOST; i++)
            if (fabs((double)values[i] - centre) <= 2.0 * sigma) {
                sum += (double)values[i];
                kept++;
            }
        double mean = sum / kept;
        for (int i = 0; i < MOST; i++)
            if (fabs((double)values[i] - centre) <= 2.0 * sigma)
                squares += ((double)values[i] - mean) * ((double)values[i] - mean);
        centre = mean;
        sigma = sqrt(squares / kept) / 0.8796256610342398;
    }
    aid_clipped clipped = aid_clipped_stats(values, MOST, 2.0);
    CHECK_EQUAL(clipped.count, kept);
    CHECK_NEAR(clipped.mean, centre, 1e-9);
    CHECK_NEAR(clipped.sigma, sigma, 1e-9);
}

TEST(a_constant_has_no_width)
{
    const float values[] = {4.0F, 4.0F, 4.0F, 4.0F, 4.0F};
    aid_clipped clipped = aid_clipped_stats(values, 5, 3.0);
    CHECK(clipped.mean == 4.0 && clipped.sigma == 0.0 && clipped.count == 5);
}

TEST_MAIN()
