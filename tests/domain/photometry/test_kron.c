#include "tests/domain/photometry/frames.h"

/* Adds a Gaussian of axes a, b, point by point in 5 x 5 parts of a pixel. */
static void add_ellipse(aid_image *image, const aid_source_shape *s, double flux)
{
    double t = s->theta_deg * 3.14159265358979 / 180.0, c = cos(t), n = sin(t);
    for (int y = 0; y < image->height; y++)
        for (int x = 0; x < image->width; x++) {
            double sum = 0.0;
            for (int k = 0; k < 25; k++) {
                double dx = x - s->x + (k % 5 - 2) / 5.0, dy = y - s->y + (k / 5 - 2) / 5.0;
                double u = (dx * c + dy * n) / s->a_px, v = (dy * c - dx * n) / s->b_px;
                sum += exp(-0.5 * (u * u + v * v)) / 25.0;
            }
            aid_image_row(image, y)[x] +=
                (float)(flux * sum / (6.283185307179586 * s->a_px * s->b_px));
        }
}

/* For a Gaussian <r> = int r^2 e^(-r^2/2) / int r e^(-r^2/2) = sqrt(pi/2) = 1.2533 in units of a, b
 * (6 of them hold all of it): radius 2.5 x that = 3.133, below the minimum of 3.5. */
TEST(a_gaussian_has_the_kron_radius_of_the_integral)
{
    test_frame f;
    test_frame_init(&f, 121, 121, 1.0);
    aid_source_shape source = {60.3, 59.8, 4.0, 2.5, 35.0, 0};
    add_ellipse(&f.image, &source, 10000.0);
    aid_kron_options options = AID_KRON_DEFAULTS;
    aid_kron_flux flux = aid_kron_at(&f.frame, &source, &options);
    CHECK_NEAR(flux.radius, 3.5, 0.0);
    CHECK_NEAR(flux.flux, 10000.0 * (1.0 - exp(-0.5 * 3.5 * 3.5)), 6.0); /* pixels widen it */
    options.minimum = 1.0;
    flux = aid_kron_at(&f.frame, &source, &options);
    CHECK_NEAR(flux.radius, 2.5 * 1.25331, 0.02);
    CHECK_NEAR(flux.a_px, flux.radius * 4.0, 1e-12);
    CHECK_NEAR(flux.missing, 0.0, 0.0);
    test_frame_done(&f);
}

/* sep 1.2.1: kron_radius(data, 40.2, 38.9, 3, 2, .4, 6) and sum_ellipse(..., r = 2.5 kron,
 * subpix = 1 and 0) on the pattern below. */
TEST(radius_and_sums_are_those_of_sep)
{
    test_frame f;
    test_frame_init(&f, 81, 77, 1.0);
    for (int y = 0; y < 77; y++)
        for (int x = 0; x < 81; x++)
            aid_image_row(&f.image, y)[x] =
                (float)((x * 7919 + y * 104729) % 1000 / 100.0 +
                        500.0 / (1.0 + 0.1 * ((x - 40) * (x - 40) + (y - 39) * (y - 39))));
    aid_source_shape source = {40.2, 38.9, 3.0, 2.0, 0.4 * 57.29577951308232, 0};
    aid_kron_options options = AID_KRON_DEFAULTS;
    options.whole_pixels = true;
    aid_kron_flux whole = aid_kron_at(&f.frame, &source, &options);
    options.whole_pixels = false;
    aid_kron_flux exact = aid_kron_at(&f.frame, &source, &options);
    CHECK_NEAR(whole.radius / 2.5, 2.8140742279448654, 1e-6);
    CHECK_NEAR(whole.flux, 57903.028423309326, 1e-5 * 57903.028423309326);
    CHECK_NEAR(exact.flux, 57847.71823660381, 1e-5 * 57847.71823660381);
    test_frame_done(&f);
}

TEST(a_neighbour_with_a_segment_of_its_own_is_mirrored_away)
{
    test_frame f;
    test_frame_init(&f, 101, 101, 1.0);
    aid_source_shape source = {50.0, 50.0, 2.0, 2.0, 0.0, 7};
    aid_source_shape other = {58.0, 50.0, 2.0, 2.0, 0.0, 8};
    add_ellipse(&f.image, &source, 5000.0);
    aid_kron_options options = AID_KRON_DEFAULTS;
    double alone = aid_kron_at(&f.frame, &source, &options).flux;
    add_ellipse(&f.image, &other, 8000.0);
    static int32_t segments[101 * 101];
    for (int i = 0; i < 101 * 101; i++)
        segments[i] = i % 101 >= 54 ? 8 : 7;
    f.frame.segments = segments;
    aid_kron_flux flux = aid_kron_at(&f.frame, &source, &options);
    CHECK(flux.flags & AID_PHOTOMETRY_BLENDED);
    /* The neighbour's own light on this side of the border stays: 8000 Q(2) = 182. */
    CHECK_NEAR(flux.flux, alone, 200.0);
    f.frame.segments = NULL;
    CHECK(aid_kron_at(&f.frame, &source, &options).flux > alone + 2000.0);
    test_frame_done(&f);
}

/* 1 - exp(-r^2/2s^2) = f; the pixel adds 1/12 to s^2, and the sum, which takes pixels for even,
 * another 1/12. */
TEST(half_of_a_gaussian_lies_within_its_half_light_radius)
{
    test_frame f;
    test_frame_init(&f, 81, 81, 1.0);
    add_gaussian(&f.image, 40.3, 40.1, 1000.0, 1.5);
    aid_source_shape source = {40.3, 40.1, 1.5, 1.5, 0.0, 0};
    const double fractions[3] = {0.2, 0.5, 0.8};
    double radii[3], s2 = 2.25 + 1.0 / 6.0;
    aid_flux_radius(&f.frame, &source, 20.0, NAN, fractions, 3, radii);
    for (int k = 0; k < 3; k++)
        CHECK_NEAR(radii[k], sqrt(-2.0 * s2 * log(1.0 - fractions[k])), 0.012);
    aid_flux_radius(&f.frame, &source, 20.0, 2000.0, fractions, 3, radii);
    CHECK_NEAR(radii[0], sqrt(-2.0 * s2 * log(0.6)), 0.012);
    CHECK(isnan(radii[1]) && isnan(radii[2]));
    source.x = -5.0;
    aid_flux_radius(&f.frame, &source, 20.0, NAN, fractions, 3, radii);
    CHECK(isnan(radii[0]));
    test_frame_done(&f);
}

TEST(what_has_no_light_or_no_shape_is_flagged)
{
    test_frame f;
    test_frame_init(&f, 41, 41, 1.0);
    aid_kron_options options = AID_KRON_DEFAULTS;
    aid_source_shape source = {20.0, 20.0, 2.0, 2.0, 0.0, 0};
    aid_kron_flux flux = aid_kron_at(&f.frame, &source, &options);
    CHECK_EQUAL(flux.flags, AID_PHOTOMETRY_NO_FLUX);
    CHECK_NEAR(flux.radius, 3.5, 0.0);
    CHECK_NEAR(flux.flux, 0.0, 0.0);
    const aid_source_shape bad[] = {
        {20, 20, 0, 0, 0, 0}, {20, 20, NAN, 1, 0, 0}, {20, 20, 1, 2, 0, 0}, {20, 20, 1e9, 1, 0, 0}};
    for (size_t i = 0; i < AID_COUNT_OF(bad); i++) {
        flux = aid_kron_at(&f.frame, &bad[i], &options);
        CHECK(isnan(flux.flux));
        CHECK_EQUAL(flux.flags, AID_PHOTOMETRY_NO_FLUX);
    }
    source.y = 90.0;
    CHECK_EQUAL(aid_kron_at(&f.frame, &source, &options).flags, AID_PHOTOMETRY_OFF_IMAGE);
    test_frame_done(&f);
}

/* Stars of one shape and three brightnesses: what the curve says of a radius is the integral of the
 * Gaussian as above. */
TEST(the_curve_of_growth_is_that_of_the_stars)
{
    test_frame f;
    test_frame_init(&f, 600, 600, 4.0);
    aid_star items[25] = {0};
    for (int k = 0; k < 25; k++) {
        double x = 60.3 + k % 5 * 118.0, y = 61.0 + k / 5 * 117.0, flux = 30000.0 * (1 + k % 3);
        add_gaussian(&f.image, x, y, flux, 1.5);
        items[k] = (aid_star){.x = x, .y = y, .flux = flux, .flux_err = 100.0};
    }
    add_noise(&f, 4.0, 0.0, 31);
    aid_stars stars = {25, items, 6.0, 3.6};
    aid_growth_curve curve;
    CHECK_OK(aid_measure_growth_curve(&f.frame, &stars, NULL, NULL, &curve, &err));
    CHECK_EQUAL(curve.stars, 25);
    double error, s2 = 2.25 + 1.0 / 6.0;
    for (double r = 2.0; r < 10.0; r += 0.7) {
        double factor = aid_aperture_correction(&curve, r, &error);
        double truth = 1.0 / (1.0 - exp(-0.5 * r * r / s2));
        /* The pixels are no more than nearly a wider Gaussian: .002. */
        CHECK_NEAR(factor, truth, 4.0 * error + 0.003 * truth);
        CHECK(error < 0.02);
    }
    CHECK_NEAR(aid_aperture_correction(&curve, 100.0, NULL), 1.0, 0.0);
    CHECK(isnan(aid_aperture_correction(&curve, 0.01, NULL)));
    test_frame_done(&f);
}

TEST(without_stars_the_curve_is_that_of_the_psf_and_without_a_psf_there_is_none)
{
    test_frame f;
    test_frame_init(&f, 100, 100, 4.0);
    aid_growth_curve curve;
    aid_notes notes = {0};
    CHECK_OK(aid_measure_growth_curve(&f.frame, NULL, NULL, &notes, &curve, &err));
    CHECK_EQUAL(curve.count, 0);
    CHECK_EQUAL(notes.count, 1);
    CHECK(isnan(aid_aperture_correction(&curve, 5.0, NULL)));
    test_frame_psf(&f, 1.5);
    CHECK_OK(aid_measure_growth_curve(&f.frame, NULL, NULL, &notes, &curve, &err));
    CHECK_EQUAL(curve.stars, 0);
    CHECK_NEAR(aid_aperture_correction(&curve, 3.0, NULL),
               1.0 / (1.0 - exp(-4.5 / (2.25 + 1.0 / 6.0))), 0.006);
    test_frame_done(&f);
}

TEST_MAIN()
