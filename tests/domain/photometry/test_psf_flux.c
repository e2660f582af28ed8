#include "tests/domain/photometry/frames.h"

static const double sigma_psf = 1.5;

/* A grid of stars of one flux at varied places in their pixels. */
static void star_grid(test_frame *f, int side, double flux, double sky_sigma, double gain,
                      double (*xy)[2])
{
    const int step = 36;
    test_frame_init(f, side * step, side * step, sky_sigma);
    aid_random random = aid_random_seeded(99, 1);
    for (int k = 0; k < side * side; k++) {
        xy[k][0] = k % side * step + 18.0 + aid_random_uniform(&random) - 0.5;
        xy[k][1] = k / side * step + 18.0 + aid_random_uniform(&random) - 0.5;
        add_gaussian(&f->image, xy[k][0], xy[k][1], flux, sigma_psf);
    }
    add_noise(f, sky_sigma, gain, 3);
    test_frame_psf(f, sigma_psf);
}

typedef struct moments {
    double mean, scatter;
} moments;

static moments moments_of(const double *values, int count)
{
    double sum = 0.0, squares = 0.0;
    for (int i = 0; i < count; i++) {
        sum += values[i];
        squares += values[i] * values[i];
    }
    double mean = sum / count;
    return (moments){mean, sqrt(squares / count - mean * mean)};
}

enum { SIDE = 24, STARS = SIDE * SIDE };
static double places[STARS][2];
static aid_psf_flux fits[STARS];

/* 576 stars: a mean pull is known to .042, its scatter to 3 %; 4 of these. */
static void check_pulls(double flux, double gain, bool fixed, bool background)
{
    test_frame f;
    star_grid(&f, SIDE, flux, 10.0, gain, places);
    aid_psf_target targets[STARS];
    for (int i = 0; i < STARS; i++)
        targets[i] = (aid_psf_target){places[i][0], places[i][1], NAN};
    aid_psf_fit_options options = AID_PSF_FIT_DEFAULTS;
    options.fixed = fixed;
    options.local_background = background;
    CHECK_OK(aid_psf_photometry(&f.frame, targets, STARS, &options, NULL, fits, &err));
    double pulls[STARS], x_pulls[STARS], chi2 = 0.0;
    for (int i = 0; i < STARS; i++) {
        pulls[i] = (fits[i].flux - flux) / fits[i].flux_err;
        x_pulls[i] = fixed ? 0.0 : (fits[i].x - places[i][0]) / fits[i].x_err;
        chi2 += fits[i].chi2 / STARS;
        CHECK_EQUAL(fits[i].flags, 0);
    }
    moments flux_pull = moments_of(pulls, STARS), x_pull = moments_of(x_pulls, STARS);
    CHECK_NEAR(flux_pull.mean, 0.0, 0.17);
    CHECK_NEAR(flux_pull.scatter, 1.0, 0.12);
    CHECK_NEAR(x_pull.mean, 0.0, 0.17);
    CHECK_NEAR(x_pull.scatter, fixed ? 0.0 : 1.0, 0.12);
    CHECK_NEAR(chi2, 1.0, 0.037); /* 40 or so pixels each: sqrt(2/(40 576)) = .009 */
    test_frame_done(&f);
}

TEST(errors_of_fixed_positions_are_the_scatter)
{
    check_pulls(400.0, 0.0, true, false);
    check_pulls(20000.0, 1.5, true, false);
    check_pulls(400.0, 1.5, true, true);
}

TEST(errors_of_fitted_positions_are_the_scatter)
{
    check_pulls(1500.0, 1.5, false, false);
    check_pulls(20000.0, 1.5, false, true);
}

/* Without noise the fit has to find what was put there; the PSF is right to 4 parts in 1e5 between
 * its pixels, float pixels to 1e-7. */
TEST(without_noise_flux_and_position_come_back)
{
    test_frame f;
    test_frame_init(&f, 80, 70, 1.0);
    add_gaussian(&f.image, 40.27, 33.81, 5000.0, sigma_psf);
    test_frame_psf(&f, sigma_psf);
    const aid_psf_target target = {40.9, 33.2, NAN};
    aid_psf_fit_options options = AID_PSF_FIT_DEFAULTS;
    aid_psf_flux flux;
    CHECK_OK(aid_psf_photometry(&f.frame, &target, 1, &options, NULL, &flux, &err));
    CHECK_NEAR(flux.flux, 5000.0, 1.0);
    CHECK_NEAR(flux.x, 40.27, 1e-3);
    CHECK_NEAR(flux.y, 33.81, 1e-3);
    CHECK_NEAR(flux.chi2, 0.0, 0.05);
    CHECK_EQUAL(flux.group, 1);
    test_frame_done(&f);
}

TEST(blended_stars_are_told_apart)
{
    test_frame f;
    test_frame_init(&f, 100, 100, 2.0);
    const double stars[4][3] = {
        {50.2, 50.1, 3000.0}, {53.1, 51.9, 9000.0}, {47.0, 54.3, 1500.0}, {62.4, 49.7, 60000.0}};
    for (int i = 0; i < 4; i++)
        add_gaussian(&f.image, stars[i][0], stars[i][1], stars[i][2], sigma_psf);
    add_noise(&f, 2.0, 1.5, 8);
    test_frame_psf(&f, sigma_psf);
    aid_psf_target targets[4];
    for (int i = 0; i < 4; i++)
        targets[i] = (aid_psf_target){stars[i][0] + 0.2, stars[i][1] - 0.15, NAN};
    aid_psf_fit_options options = AID_PSF_FIT_DEFAULTS;
    aid_psf_flux fluxes[4];
    CHECK_OK(aid_psf_photometry(&f.frame, targets, 4, &options, NULL, fluxes, &err));
    for (int i = 0; i < 4; i++) {
        CHECK_NEAR(fluxes[i].flux, stars[i][2], 4.0 * fluxes[i].flux_err);
        CHECK_NEAR(fluxes[i].x, stars[i][0], 4.0 * fluxes[i].x_err + 1e-3);
        CHECK(fluxes[i].flux_err < 0.1 * fluxes[i].flux);
    }
    CHECK_EQUAL(fluxes[0].group, 3);
    CHECK(fluxes[0].flags & AID_PHOTOMETRY_BLENDED);
    CHECK_EQUAL(fluxes[3].group, 1);
    /* Alone the faint one would be blind to its neighbours: the aperture is off by far more. */
    aid_aperture aperture = AID_APERTURE_CIRCLE(4.0);
    aid_aperture_flux plain = aid_aperture_at(&f.frame, &aperture, stars[0][0], stars[0][1]);
    CHECK(fabs(plain.flux - 3000.0) > 20.0 * fabs(fluxes[0].flux - 3000.0));
    test_frame_done(&f);
}

TEST(two_hundred_stars_in_one_clump_are_the_same_bytes_at_one_and_three_threads)
{
    test_frame f;
    test_frame_init(&f, 121, 97, 3.0);
    aid_random random = aid_random_seeded(4, 4);
    static aid_psf_target targets[203];
    for (int i = 0; i < 200; i++) {
        targets[i].x = 60.0 + 18.0 * aid_random_normal(&random);
        targets[i].y = 48.0 + 18.0 * aid_random_normal(&random);
        targets[i].flux = NAN;
        add_gaussian(&f.image, targets[i].x, targets[i].y, 1000.0 + 40.0 * i, sigma_psf);
    }
    targets[200] = (aid_psf_target){NAN, 3.0, NAN};
    targets[201] = (aid_psf_target){1e30, 3.0, NAN};
    targets[202] = targets[0]; /* nothing tells these two apart */
    add_noise(&f, 3.0, 1.5, 9);
    test_frame_psf(&f, sigma_psf);
    static aid_psf_flux one[203], three[203];
    aid_pool *pool;
    CHECK_OK(aid_pool_new(3, &pool, &err));
    aid_psf_fit_options options = AID_PSF_FIT_DEFAULTS;
    CHECK_OK(aid_psf_photometry(&f.frame, targets, 203, &options, NULL, one, &err));
    CHECK_OK(aid_psf_photometry(&f.frame, targets, 203, &options, pool, three, &err));
    CHECK(memcmp(one, three, sizeof one) == 0);
    CHECK_EQUAL(one[200].flags, AID_PHOTOMETRY_OFF_IMAGE);
    CHECK_EQUAL(one[201].flags, AID_PHOTOMETRY_OFF_IMAGE);
    CHECK(isnan(one[201].flux));
    int measured = 0;
    for (int i = 0; i < 200; i++)
        measured += isfinite(one[i].flux);
    CHECK(measured > 190);
    aid_pool_free(pool);
    test_frame_done(&f);
}

TEST(missing_pixels_cost_precision_and_no_flux)
{
    test_frame f;
    test_frame_init(&f, 60, 60, 1.0);
    add_gaussian(&f.image, 30.0, 30.0, 4000.0, sigma_psf);
    add_gaussian(&f.image, 0.3, 45.0, 4000.0, sigma_psf);
    test_frame_psf(&f, sigma_psf);
    const aid_psf_target targets[2] = {{30.0, 30.0, NAN}, {0.3, 45.0, NAN}};
    aid_psf_fit_options options = AID_PSF_FIT_DEFAULTS;
    options.fixed = true;
    aid_psf_flux whole[2], cut[2];
    CHECK_OK(aid_psf_photometry(&f.frame, targets, 2, &options, NULL, whole, &err));
    aid_image_row(&f.image, 30)[30] = NAN;
    aid_image_row(&f.image, 31)[29] = 1e6F;
    aid_mask_row(&f.mask, 31)[29] = AID_MASK_SATURATED;
    CHECK_OK(aid_psf_photometry(&f.frame, targets, 2, &options, NULL, cut, &err));
    CHECK_NEAR(cut[0].flux, 4000.0, 1.0);
    CHECK(cut[0].flux_err > 1.05 * whole[0].flux_err);
    CHECK_EQUAL(cut[0].flags, AID_PHOTOMETRY_MASKED | AID_PHOTOMETRY_SATURATED);
    CHECK(cut[0].missing > 0.1 && cut[0].missing < 0.4);
    CHECK_NEAR(cut[1].flux, 4000.0, 1.0);
    CHECK_EQUAL(cut[1].flags, AID_PHOTOMETRY_EDGE);
    CHECK_NEAR(aid_optimal_flux_at(&f.frame, 30.0, 30.0).flux, 4000.0, 1.0);
    memset(f.mask.data, AID_MASK_BAD, 3600);
    CHECK_OK(aid_psf_photometry(&f.frame, targets, 1, &options, NULL, cut, &err));
    CHECK(isnan(cut[0].flux));
    CHECK_NEAR(cut[0].missing, 1.0, 0.0);
    test_frame_done(&f);
}

TEST(optimal_fluxes_of_faint_sources_have_honest_errors)
{
    test_frame f;
    const double flux = 250.0; /* S/N 5 */
    star_grid(&f, SIDE, flux, 10.0, 1.5, places);
    double pulls[STARS];
    for (int i = 0; i < STARS; i++) {
        aid_psf_flux fit = aid_optimal_flux_at(&f.frame, places[i][0], places[i][1]);
        pulls[i] = (fit.flux - flux) / fit.flux_err;
    }
    moments pull = moments_of(pulls, STARS);
    CHECK_NEAR(pull.mean, 0.0, 0.17);
    CHECK_NEAR(pull.scatter, 1.0, 0.12);
    test_frame_done(&f);
}

/* The error of a Gaussian profile on white sky is sigma sqrt(4 pi s^2), s^2 with the pixel's 1/12.
 */
TEST(the_optimal_error_is_the_noise_in_the_equivalent_area)
{
    test_frame f;
    test_frame_init(&f, 60, 60, 7.0);
    test_frame_psf(&f, sigma_psf);
    double area = 4.0 * 3.14159265358979 * (sigma_psf * sigma_psf + 1.0 / 12.0);
    CHECK_NEAR(aid_optimal_flux_at(&f.frame, 30.0, 30.0).flux_err, 7.0 * sqrt(area), 0.02);
    test_frame_done(&f);
}

/* Half of the central 68 % of a sample around its median. */
static int by_value(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}
static moments robust_of(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, by_value);
    return (moments){values[count / 2],
                     0.5 * (values[count * 84 / 100] - values[count * 16 / 100])};
}

/* 500 stars, one for every 130 px: hardly any stands alone. The median of 500 is known to .055 of
 * the scatter, the scatter to 5 %. */
TEST(in_a_crowd_fits_scatter_by_their_errors_and_apertures_by_far_more)
{
    enum { CROWD = 500 };
    test_frame f;
    test_frame_init(&f, 255, 255, 6.0);
    aid_random random = aid_random_seeded(2024, 6);
    static aid_psf_target targets[CROWD];
    static double flux[CROWD], pulls[CROWD], ratios[CROWD], sums[CROWD];
    for (int i = 0; i < CROWD; i++) {
        targets[i].x = 254.0 * aid_random_uniform(&random);
        targets[i].y = 254.0 * aid_random_uniform(&random);
        targets[i].flux = NAN;
        flux[i] = 400.0 * pow(1.0 - 0.99 * aid_random_uniform(&random), -1.3);
        add_gaussian(&f.image, targets[i].x, targets[i].y, flux[i], sigma_psf);
    }
    add_noise(&f, 6.0, 1.5, 2025);
    test_frame_psf(&f, sigma_psf);
    static aid_psf_flux fluxes[CROWD];
    aid_psf_fit_options options = AID_PSF_FIT_DEFAULTS;
    options.fixed = true;
    CHECK_OK(aid_psf_photometry(&f.frame, targets, CROWD, &options, NULL, fluxes, &err));
    aid_aperture aperture = AID_APERTURE_CIRCLE(3.5);
    double part = 1.0 - exp(-0.5 * 3.5 * 3.5 / (2.25 + 1.0 / 6.0));
    for (int i = 0; i < CROWD; i++) {
        aid_aperture_flux sum = aid_aperture_at(&f.frame, &aperture, targets[i].x, targets[i].y);
        pulls[i] = (fluxes[i].flux - flux[i]) / fluxes[i].flux_err;
        ratios[i] = fluxes[i].flux / flux[i];
        sums[i] = sum.flux / part / flux[i];
    }
    moments pull = robust_of(pulls, CROWD), fit = robust_of(ratios, CROWD);
    moments plain = robust_of(sums, CROWD);
    CHECK_NEAR(pull.mean, 0.0, 0.22);
    CHECK_NEAR(pull.scatter, 1.0, 0.2);
    CHECK_NEAR(fit.mean, 1.0, 0.02);
    CHECK(plain.mean > 1.1 && plain.scatter > 3.0 * fit.scatter);
    test_frame_done(&f);
}

/* Every pixel the mean of four: rho is .5 beside, .25 at the corner. Pulls as above. */
TEST(correlated_noise_enters_the_errors_of_all_fits)
{
    test_frame f;
    star_grid(&f, SIDE, 0.0, 1.0, 0.0, places);
    int width = f.image.width;
    add_noise(&f, 10.0, 0.0, 12);
    for (int y = 0; y + 1 < f.image.height; y++)
        for (int x = 0; x + 1 < width; x++) {
            float *p = aid_image_row(&f.image, y) + x;
            p[0] = 0.25F * (p[0] + p[1] + p[width] + p[width + 1]);
        }
    aid_noise_correlation correlation = {.measured = true};
    for (int j = -1; j <= 1; j++)
        for (int i = -1; i <= 1; i++)
            correlation.rho[AID_NOISE_LAG + j][AID_NOISE_LAG + i] =
                (i ? 0.5F : 1.0F) * (j ? 0.5F : 1.0F);
    for (int i = 0; i < 4; i++)
        f.noise.values[i] = (float)(0.5 * sqrt(101.0));
    f.frame.correlation = &correlation;
    double pulls[STARS], lone[STARS], sums[STARS];
    static aid_psf_target targets[STARS];
    for (int i = 0; i < STARS; i++)
        targets[i] = (aid_psf_target){places[i][0], places[i][1], NAN};
    aid_psf_fit_options options = AID_PSF_FIT_DEFAULTS;
    options.fixed = true;
    CHECK_OK(aid_psf_photometry(&f.frame, targets, STARS, &options, NULL, fits, &err));
    aid_aperture aperture = AID_APERTURE_CIRCLE(5.0);
    for (int i = 0; i < STARS; i++) {
        aid_psf_flux fit = aid_optimal_flux_at(&f.frame, places[i][0], places[i][1]);
        aid_aperture_flux sum = aid_aperture_at(&f.frame, &aperture, places[i][0], places[i][1]);
        pulls[i] = fits[i].flux / fits[i].flux_err;
        lone[i] = fit.flux / fit.flux_err;
        sums[i] = sum.flux / sum.flux_err;
    }
    CHECK_NEAR(moments_of(pulls, STARS).scatter, 1.0, 0.12);
    CHECK_NEAR(moments_of(lone, STARS).scatter, 1.0, 0.12);
    CHECK_NEAR(moments_of(sums, STARS).scatter, 1.0, 0.12);
    test_frame_done(&f);
}

/* The PSF of the frame has a halo that holds 3 % of the light and that the stars do not have:
 * fluxes are 1/.97 too large by it, less what the fit gives back in the core. */
TEST(a_psf_with_wings_that_the_stars_do_not_have_is_found_out)
{
    test_frame f;
    star_grid(&f, 12, 40000.0, 5.0, 0.0, places);
    aid_image_done(&f.stamp);
    CHECK_OK(aid_image_init(27, 27, &f.stamp, &err));
    add_gaussian(&f.stamp, 13.0, 13.0, 0.97, sigma_psf);
    add_gaussian(&f.stamp, 13.0, 13.0, 0.03, 4.0);
    static aid_star items[144];
    for (int i = 0; i < 144; i++)
        items[i] =
            (aid_star){.x = places[i][0], .y = places[i][1], .flux = 40000.0, .flux_err = 100.0};
    aid_stars stars = {144, items, 5.0, 3.6};
    double scale, error, sum = 0.0;
    CHECK_OK(aid_measure_psf_scale(&f.frame, &stars, NULL, NULL, &scale, &error, &err));
    CHECK(error < 0.001 && scale < 0.99);
    f.frame.psf_scale = scale;
    for (int i = 0; i < 144; i++)
        sum += aid_optimal_flux_at(&f.frame, places[i][0], places[i][1]).flux / 40000.0 / 144.0;
    CHECK_NEAR(sum, 1.0, 4.0 * error + 0.001);
    aid_notes notes = {0};
    aid_stars none = {0};
    CHECK_OK(aid_measure_psf_scale(&f.frame, &none, NULL, &notes, &scale, NULL, &err));
    CHECK_NEAR(scale, 1.0, 0.0);
    CHECK_EQUAL(notes.count, 1);
    test_frame_done(&f);
}

TEST(without_a_psf_or_with_senseless_options_it_refuses_and_writes_nothing)
{
    test_frame f;
    test_frame_init(&f, 40, 40, 1.0);
    const aid_psf_target target = {20.0, 20.0, NAN};
    aid_psf_fit_options options = AID_PSF_FIT_DEFAULTS;
    aid_psf_flux flux = {.flux = 4711.0};
    CHECK_REFUSED(aid_psf_photometry(&f.frame, &target, 1, &options, NULL, &flux, &err),
                  AID_ERR_NUMERIC, "without a PSF");
    CHECK(isnan(aid_optimal_flux_at(&f.frame, 20.0, 20.0).flux));
    test_frame_psf(&f, sigma_psf);
    const aid_psf_fit_options bad[] = {{.rounds = 0},
                                       {.rounds = 1000},
                                       {.rounds = 3, .fit_radius_px = 900.0},
                                       {.rounds = 3, .fit_radius_px = NAN},
                                       {.rounds = 3, .group_radius_px = -1.0},
                                       {.rounds = 3, .max_shift_px = INFINITY}};
    for (size_t i = 0; i < AID_COUNT_OF(bad); i++)
        CHECK_REFUSED(aid_psf_photometry(&f.frame, &target, 1, &bad[i], NULL, &flux, &err),
                      AID_ERR_INVALID, "");
    CHECK_NEAR(flux.flux, 4711.0, 0.0);
    CHECK_OK(aid_psf_photometry(&f.frame, &target, 0, &options, NULL, &flux, &err));
    test_frame_done(&f);
}

TEST_MAIN()
