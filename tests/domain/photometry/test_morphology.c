#include "tests/domain/photometry/frames.h"

typedef double (*brightness)(double r);
static double gaussian(double r)
{
    return exp(-0.5 * r * r / 36.0);
}
static double exponential(double r)
{
    return exp(-r / 5.0);
}
static double de_vaucouleurs(double r)
{
    return exp(-7.66925 * (pow(r / 8.0, 0.25) - 1.0));
}

/* Pixels as the mean of 5 x 5 points, 25 x 25 near the centre. */
static void paint(test_frame *f, brightness profile, double x, double y, double scale)
{
    for (int j = 0; j < f->image.height; j++)
        for (int i = 0; i < f->image.width; i++) {
            int n = hypot(i - x, j - y) < 4.0 ? 25 : 5;
            double sum = 0.0;
            for (int k = 0; k < n * n; k++)
                sum += profile(
                    hypot(i - x + (k % n + 0.5) / n - 0.5, j - y + (k / n + 0.5) / n - 0.5));
            aid_image_row(&f->image, j)[i] += (float)(scale * sum / (n * n));
        }
}

/* ------------------------------------------------- the same quantities by integrals over circles
 */

static double light_within(brightness profile, double r)
{
    double sum = 0.0, u_step = sqrt(r) / 4000.0; /* r = u^2: fine near the centre */
    for (int k = 0; k < 4000; k++) {
        double u = (k + 0.5) * u_step;
        sum += profile(u * u) * 6.283185307179586 * u * u * 2.0 * u * u_step;
    }
    return sum;
}

static double true_eta(brightness profile, double r)
{
    double ring = light_within(profile, 1.25 * r) - light_within(profile, 0.8 * r);
    double area = 3.14159265358979 * r * r * (1.25 * 1.25 - 0.64);
    return ring / area / (light_within(profile, r) / (3.14159265358979 * r * r));
}

static double solve(brightness profile, double wanted, double (*function)(brightness, double),
                    bool falls)
{
    double low = 0.05, high = 200.0;
    for (int k = 0; k < 60; k++) {
        double middle = 0.5 * (low + high);
        if ((function(profile, middle) > wanted) == falls)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static void check_profile(brightness profile, double reach, double tolerance, double textbook,
                          double turned)
{
    test_frame f;
    int side = 2 * (int)(12.0 * reach) + 61;
    test_frame_init(&f, side, side, 0.001);
    paint(&f, profile, side / 2 + 0.3, side / 2 - 0.2, 1.0);
    aid_source_shape source = {side / 2 + 0.3, side / 2 - 0.2, reach, reach, 0.0, 0};
    aid_morphology m;
    CHECK_OK(aid_measure_morphology(&f.frame, &source, &m, &err));
    double petrosian = solve(profile, 0.2, true_eta, true);
    double total = light_within(profile, 1.5 * petrosian);
    double r20 = solve(profile, 0.2 * total, light_within, false);
    double r50 = solve(profile, 0.5 * total, light_within, false);
    double r80 = solve(profile, 0.8 * total, light_within, false);
    CHECK_NEAR(m.petrosian_px, petrosian, 0.01 * petrosian);
    CHECK_NEAR(m.r50_px, r50, 0.01 * r50 + 0.05);
    CHECK_NEAR(m.r80_px, r80, 0.01 * r80);
    CHECK_NEAR(m.concentration, 5.0 * log10(r80 / r20), tolerance);
    CHECK_NEAR(m.concentration, textbook, 0.15);
    CHECK_NEAR(m.asymmetry, 0.0, turned);
    CHECK_NEAR(m.x, source.x, 0.1);
    CHECK_NEAR(m.y, source.y, 0.1);
    CHECK_EQUAL(m.flags, 0);
    test_frame_done(&f);
}

/* In the textbooks, of all light to infinity: Gaussian 2.1, exponential 2.8, de Vaucouleurs 5.2;
 * the light within 1.5 Petrosian radii is less where the wings are long. A pixel blurs r20, and a
 * cusp that is narrower than a pixel cannot be turned without a trace. */
TEST(gaussian_exponential_and_de_vaucouleurs_have_their_radii_and_concentration)
{
    check_profile(gaussian, 6.0, 0.02, 2.15, 0.01);
    check_profile(exponential, 7.0, 0.03, 2.75, 0.02);
    check_profile(de_vaucouleurs, 14.0, 0.12, 4.2, 0.08);
}

TEST(moments_are_those_of_the_light)
{
    test_frame f;
    test_frame_init(&f, 201, 201, 0.001);
    add_gaussian(&f.image, 100.3, 99.8, 1000.0, 5.0);
    aid_source_shape source = {100.3, 99.8, 5.0, 5.0, 0.0, 0};
    aid_morphology m;
    CHECK_OK(aid_measure_morphology(&f.frame, &source, &m, &err));
    /* Within R: s^2 (1 - k/(e^k - 1)), k = R^2/2s^2. */
    double s2 = 25.0 + 1.0 / 12.0, k = m.petrosian_px * m.petrosian_px / (2.0 * s2);
    CHECK_NEAR(m.xx, s2 * (1.0 - k / (exp(k) - 1.0)), 0.1);
    CHECK_NEAR(m.yy, m.xx, 0.1);
    CHECK_NEAR(m.xy, 0.0, 0.05);
    test_frame_done(&f);
}

/* -------------------------------------------------------------- Gini and M20 by a slow twin */

enum { SIDE = 121 };
static double smooth[SIDE][SIDE];
static bool inside[SIDE][SIDE];

static void select_pixels(const test_frame *f, double cx, double cy, double petrosian)
{
    double width = petrosian / 5.0, level = 0.0, area = 0.0;
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++) {
            double sum = 0.0, weights = 0.0;
            for (int j = -20; j <= 20; j++)
                for (int i = -20; i <= 20; i++) {
                    double w = exp(-0.5 * (i * i + j * j) / (width * width));
                    weights += w;
                    if (x + i >= 0 && y + j >= 0 && x + i < SIDE && y + j < SIDE)
                        sum += w * (double)aid_image_row(&f->image, y + j)[x + i];
                }
            smooth[y][x] = sum / weights;
            double r = hypot(x - cx, y - cy);
            if (r >= 0.8 * petrosian && r <= 1.25 * petrosian) {
                level += (double)aid_image_row(&f->image, y)[x];
                area += 1.0;
            }
            inside[y][x] = false;
        }
    level /= area;
    inside[(int)(cy + 0.5)][(int)(cx + 0.5)] = true;
    for (bool grown = true; grown;) {
        grown = false;
        for (int y = 1; y + 1 < SIDE; y++)
            for (int x = 1; x + 1 < SIDE; x++)
                if (!inside[y][x] && smooth[y][x] >= level &&
                    (inside[y][x - 1] || inside[y][x + 1] || inside[y - 1][x] || inside[y + 1][x]))
                    inside[y][x] = grown = true;
    }
}

/* Mean absolute difference of all pairs over twice the mean. */
static double slow_gini(const test_frame *f)
{
    static double values[SIDE * SIDE];
    int n = 0;
    double sum = 0.0, differences = 0.0;
    for (int p = 0; p < SIDE * SIDE; p++)
        if (inside[p / SIDE][p % SIDE]) {
            values[n] = (double)f->image.data[p];
            sum += values[n++];
        }
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++)
            differences += fabs(values[i] - values[j]);
    return differences / (2.0 * n * (n - 1.0)) / (sum / n);
}

static double slow_m20(const test_frame *f)
{
    double sum = 0.0, x = 0.0, y = 0.0, all = 0.0, low = 0.0, high = 1e9;
    for (int p = 0; p < SIDE * SIDE; p++)
        if (inside[p / SIDE][p % SIDE]) {
            double v = (double)f->image.data[p];
            sum += v;
            x += v * (p % SIDE);
            y += v * (p / SIDE);
        }
    x /= sum;
    y /= sum;
    double moment = 0.0;
    for (int k = 0; k < 80; k++) { /* the level above which a fifth of the light lies */
        double level = 0.5 * (low + high), light = 0.0;
        moment = all = 0.0;
        for (int p = 0; p < SIDE * SIDE; p++) {
            double v = (double)f->image.data[p], dx = p % SIDE - x, dy = p / SIDE - y;
            if (!inside[p / SIDE][p % SIDE])
                continue;
            all += v * (dx * dx + dy * dy);
            if (v >= level) {
                light += v;
                moment += v * (dx * dx + dy * dy);
            }
        }
        if (light > 0.2 * sum)
            low = level;
        else
            high = level;
    }
    return log10(moment / all);
}

TEST(gini_and_m20_are_those_of_a_slow_twin)
{
    for (int clumps = 0; clumps < 2; clumps++) {
        test_frame f;
        test_frame_init(&f, SIDE, SIDE, 0.001);
        paint(&f, exponential, 60.4, 59.7, 100.0);
        if (clumps) {
            add_gaussian(&f.image, 70.0, 62.0, 1500.0, 1.5);
            add_gaussian(&f.image, 54.0, 51.0, 900.0, 1.2);
        }
        aid_source_shape source = {60.4, 59.7, 4.0, 4.0, 0.0, 0};
        aid_morphology m;
        CHECK_OK(aid_measure_morphology(&f.frame, &source, &m, &err));
        select_pixels(&f, 60.4, 59.7, m.petrosian_px);
        /* The twin's ring is of whole pixels, so that a few at the rim differ. */
        CHECK_NEAR(m.gini, slow_gini(&f), 0.01);
        CHECK_NEAR(m.m20, slow_m20(&f), 0.03);
        CHECK(clumps ? m.asymmetry > 0.1 : m.asymmetry < 0.02);
        test_frame_done(&f);
    }
}

/* A blob with a fraction b of the light, clear of all else, leaves 2b. */
TEST(asymmetry_is_twice_the_part_that_has_no_counterpart)
{
    test_frame f;
    test_frame_init(&f, 161, 161, 0.001);
    add_gaussian(&f.image, 80.2, 80.1, 9500.0, 6.0);
    add_gaussian(&f.image, 92.0, 80.1, 500.0, 0.8);
    aid_source_shape source = {80.2, 80.1, 6.0, 6.0, 0.0, 0};
    aid_morphology m;
    CHECK_OK(aid_measure_morphology(&f.frame, &source, &m, &err));
    CHECK_NEAR(m.asymmetry, 0.1, 0.012);
    CHECK_NEAR(m.x, 80.2, 0.15);
    test_frame_done(&f);
}

/* 12 noises: A of one has a scatter of about .03 here, of their mean .009. The minimum over centres
 * pulls it down a little. */
TEST(noise_is_taken_off_the_asymmetry)
{
    double mean = 0.0, snr = 0.0;
    for (int k = 0; k < 12; k++) {
        test_frame f;
        test_frame_init(&f, 131, 131, 1.0);
        add_gaussian(&f.image, 65.1, 64.7, 9000.0, 5.0);
        add_noise(&f, 1.0, 0.0, 500 + (uint64_t)k);
        aid_source_shape source = {65.1, 64.7, 5.0, 5.0, 0.0, 0};
        aid_morphology m;
        CHECK_OK(aid_measure_morphology(&f.frame, &source, &m, &err));
        mean += m.asymmetry / 12.0;
        snr += m.snr_per_px / 12.0;
        CHECK_NEAR(m.concentration, 2.12, 0.25);
        test_frame_done(&f);
    }
    CHECK_NEAR(mean, 0.0, 0.04); /* without the correction: .25 */
    CHECK(snr > 10.0 && snr < 30.0);
}

TEST(another_source_and_masked_pixels_are_left_out)
{
    test_frame f;
    test_frame_init(&f, 161, 161, 0.001);
    add_gaussian(&f.image, 80.2, 80.1, 9500.0, 5.0);
    aid_source_shape source = {80.2, 80.1, 5.0, 5.0, 0.0, 4};
    aid_morphology alone, beside;
    CHECK_OK(aid_measure_morphology(&f.frame, &source, &alone, &err));
    add_gaussian(&f.image, 93.0, 80.0, 20000.0, 1.0);
    aid_image_row(&f.image, 76)[78] = NAN;
    static int32_t segments[161 * 161];
    for (int p = 0; p < 161 * 161; p++)
        segments[p] = hypot(p % 161 - 93.0, p / 161 - 80.0) < 6.0 ? 5 : 0;
    f.frame.segments = segments;
    CHECK_OK(aid_measure_morphology(&f.frame, &source, &beside, &err));
    CHECK_EQUAL(beside.flags, AID_PHOTOMETRY_MASKED | AID_PHOTOMETRY_BLENDED);
    CHECK_NEAR(beside.petrosian_px, alone.petrosian_px, 0.1);
    CHECK_NEAR(beside.concentration, alone.concentration, 0.02);
    CHECK_NEAR(beside.asymmetry, alone.asymmetry, 0.02);
    CHECK_NEAR(beside.gini, alone.gini, 0.02);
    test_frame_done(&f);
}

TEST(what_is_no_source_has_no_morphology)
{
    test_frame f;
    test_frame_init(&f, 64, 64, 1.0);
    aid_source_shape source = {30.0, 30.0, 2.0, 2.0, 0.0, 0};
    aid_morphology m;
    CHECK_OK(aid_measure_morphology(&f.frame, &source, &m, &err));
    CHECK(isnan(m.petrosian_px) && isnan(m.gini) && isnan(m.concentration));
    CHECK_EQUAL(m.flags, AID_PHOTOMETRY_NO_FLUX);
    source.x = 100.0;
    CHECK_OK(aid_measure_morphology(&f.frame, &source, &m, &err));
    CHECK_EQUAL(m.flags, AID_PHOTOMETRY_OFF_IMAGE);
    source = (aid_source_shape){30.0, 30.0, -1.0, 2.0, 0.0, 0};
    m.gini = 4711.0;
    CHECK_REFUSED(aid_measure_morphology(&f.frame, &source, &m, &err), AID_ERR_INVALID, "-1 px");
    CHECK_NEAR(m.gini, 4711.0, 0.0);
    test_frame_done(&f);
}

/* ------------------------------------------------------------------------------- peaks and sets */

TEST(peaks_of_a_blend_are_found_with_their_prominence)
{
    test_frame f;
    test_frame_init(&f, 80, 80, 2.0);
    add_gaussian(&f.image, 38.3, 40.0, 6000.0, 2.0);
    add_gaussian(&f.image, 46.2, 41.1, 3000.0, 2.0);
    add_gaussian(&f.image, 40.0, 47.0, 60.0, 1.5); /* 3 counts: too little to stand out */
    aid_source_shape source = {41.0, 40.5, 5.0, 3.0, 0.0, 0};
    aid_peak_options options = AID_PEAK_DEFAULTS;
    aid_source_peak peaks[8];
    int count;
    CHECK_OK(aid_find_source_peaks(&f.frame, &source, &options, 8, peaks, &count, &err));
    CHECK_EQUAL(count, 2);
    CHECK_NEAR(peaks[0].x, 38.3, 0.1);
    CHECK_NEAR(peaks[0].y, 40.0, 0.1);
    CHECK_NEAR(peaks[1].x, 46.2, 0.15);
    CHECK_NEAR(peaks[0].prominence, peaks[0].value / 2.0, 0.03 * peaks[0].prominence);
    /* The saddle by looking along the line between the two. */
    double saddle = 1e9;
    for (int x = 39; x < 46; x++) {
        double highest = 0.0;
        for (int y = 36; y < 46; y++)
            highest = fmax(highest, (double)aid_image_row(&f.image, y)[x]);
        saddle = fmin(saddle, highest);
    }
    double top = (double)aid_image_row(&f.image, 41)[46];
    CHECK_NEAR(peaks[1].prominence, (top - saddle) / 2.0, 1e-6);
    CHECK_OK(aid_find_source_peaks(&f.frame, &source, &options, 1, peaks, &count, &err));
    CHECK_EQUAL(count, 1);
    options.prominence = 1e6;
    CHECK_OK(aid_find_source_peaks(&f.frame, &source, &options, 8, peaks, &count, &err));
    CHECK_EQUAL(count, 0);
    options.radius_px = NAN;
    CHECK_REFUSED(aid_find_source_peaks(&f.frame, &source, &options, 8, peaks, &count, &err),
                  AID_ERR_INVALID, "nan");
    test_frame_done(&f);
}

/* numpy 1.24: mean, median, std(ddof=1), quantiles of [3, 1, 4, 1, 5, 9, 2, 6]. */
TEST(the_statistics_of_a_set_agree_with_numpy_and_count_what_is_missing)
{
    const double values[] = {3, NAN, 1, 4, 1, INFINITY, 5, 9, 2, 6};
    aid_set_statistics s;
    CHECK_OK(aid_measure_set(values, 10, &s, &err));
    CHECK_EQUAL(s.count, 8);
    CHECK_EQUAL(s.missing, 2);
    CHECK_NEAR(s.mean, 3.875, 1e-12);
    CHECK_NEAR(s.median, 3.5, 1e-12);
    CHECK_NEAR(s.sigma, 2.748376143938713, 1e-12);
    CHECK_NEAR(s.q25, 1.75, 1e-12);
    CHECK_NEAR(s.q75, 5.25, 1e-12);
    CHECK_NEAR(s.q95, 7.95, 1e-12);
    CHECK_NEAR(s.minimum, 1.0, 0.0);
    CHECK_NEAR(s.maximum, 9.0, 0.0);
    CHECK_NEAR(s.robust_sigma, 1.4826022 * 2.0, 1e-6);
    CHECK_OK(aid_measure_set(NULL, 0, &s, &err));
    CHECK(s.count == 0 && isnan(s.mean) && isnan(s.median));
}

TEST_MAIN()
