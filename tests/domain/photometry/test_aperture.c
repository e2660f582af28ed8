#include "tests/domain/photometry/frames.h"

/* Whole numbers / 10, without any symmetry. */
static void patterned(test_frame *f)
{
    test_frame_init(f, 40, 37, 1.0);
    for (int y = 0; y < 37; y++)
        for (int x = 0; x < 40; x++)
            aid_image_row(&f->image, y)[x] = (float)((x * 7919 + y * 104729) % 1000 / 10.0 - 20.0);
}

static aid_aperture ellipse(double a, double b, double theta)
{
    aid_aperture aperture = AID_APERTURE_CIRCLE(a);
    aperture.b_px = b;
    aperture.theta_deg = theta;
    return aperture;
}

TEST(sums_agree_with_photutils_1_6_exact_to_a_part_in_1e10)
{
    static const double oracle[][6] = {
        {20.0, 18.0, 3.0, 3.0, 0.0, 853.88488718433382},
        {20.3, 17.8, 6.0, 6.0, 0.0, 3362.0564797842571},
        {11.5, 12.5, 0.3, 0.3, 0.0, 13.599954165958119},
        {12.2, 13.9, 1.1, 1.1, 0.0, 79.129573483381989},
        {20.25, 18.75, 8.0, 3.0, 30.0, 2350.1409804841824},
        {19.1, 18.2, 12.0, 1.2, -57.0, 1296.9077427202774},
        {15.5, 15.5, 9.7, 9.6, 81.0, 8840.3791329988962},
        {18.77, 17.31, 15.0, 10.0, 112.0, 14196.787612295713},
        {30.1, 8.2, 2.5, 0.4, 45.0, 70.055095011253798},
    };
    test_frame f;
    patterned(&f);
    for (size_t i = 0; i < AID_COUNT_OF(oracle); i++) {
        const double *c = oracle[i];
        aid_aperture aperture = ellipse(c[2], c[3], c[4]);
        aid_aperture_flux flux = aid_aperture_at(&f.frame, &aperture, c[0], c[1]);
        CHECK_NEAR(flux.flux, c[5], 1e-10 * fabs(c[5]));
        CHECK_EQUAL(flux.flags, 0);
        CHECK_EQUAL(flux.missing == 0.0, 1);
    }
    test_frame_done(&f);
}

/* Every pixel is divided into 400 x 400; a boundary of length L leaves an error of about
 * sqrt(L 400)/400^2, below .0005 here. */
TEST(one_overlap_is_what_fine_division_counts)
{
    aid_random random = aid_random_seeded(11, 0);
    for (int k = 0; k < 40; k++) {
        double a = 0.2 + 3.0 * aid_random_uniform(&random);
        double b = a * (0.05 + 0.95 * aid_random_uniform(&random));
        double theta = 360.0 * aid_random_uniform(&random), t = theta * 3.14159265358979 / 180.0;
        double x = 3.0 * aid_random_uniform(&random) - 1.5;
        double y = 3.0 * aid_random_uniform(&random) - 1.5;
        int inside = 0;
        for (int j = 0; j < 400; j++)
            for (int i = 0; i < 400; i++) {
                double px = x - 0.5 + (i + 0.5) / 400, py = y - 0.5 + (j + 0.5) / 400;
                double u = (px * cos(t) + py * sin(t)) / a, v = (py * cos(t) - px * sin(t)) / b;
                inside += u * u + v * v <= 1.0;
            }
        CHECK_NEAR(aid_ellipse_overlap(x, y, a, b, theta), inside / 160000.0, 5e-4);
    }
}

TEST(overlaps_add_up_to_the_area_of_the_ellipse)
{
    for (int k = 0; k < 30; k++) {
        double a = 0.1 + 0.37 * k, b = a * (1.0 - 0.03 * k), sum = 0.0;
        for (int y = -15; y <= 15; y++)
            for (int x = -15; x <= 15; x++)
                sum += aid_ellipse_overlap(x + 0.31, y - 0.17, a, b, 13.0 * k);
        CHECK_NEAR(sum, 3.14159265358979323846 * a * b, 1e-11 * (1.0 + a * b));
    }
}

TEST(whole_pixels_count_by_their_centres)
{
    test_frame f;
    test_frame_init(&f, 21, 21, 1.0);
    for (int i = 0; i < 21 * 21; i++)
        f.image.data[i] = 1.0F;
    aid_aperture aperture = AID_APERTURE_CIRCLE(3.0);
    aperture.whole_pixels = true;
    int inside = 0;
    for (int y = 0; y < 21; y++)
        for (int x = 0; x < 21; x++)
            inside += (x - 10) * (x - 10) + (y - 10) * (y - 10) <= 9;
    CHECK_NEAR(aid_aperture_at(&f.frame, &aperture, 10.0, 10.0).flux, inside, 0.0);
    test_frame_done(&f);
}

TEST(pixels_that_are_masked_or_nan_or_off_the_image_are_left_out_and_counted)
{
    test_frame f;
    test_frame_init(&f, 30, 30, 1.0);
    for (int i = 0; i < 900; i++)
        f.image.data[i] = 2.0F;
    aid_aperture aperture = AID_APERTURE_CIRCLE(5.0);
    double area = 3.14159265358979323846 * 25.0;
    aid_mask_row(&f.mask, 15)[15] = AID_MASK_SATURATED;
    aid_image_row(&f.image, 16)[15] = NAN;
    aid_mask_row(&f.mask, 14)[15] = AID_MASK_GROWN; /* sound in itself */
    aid_aperture_flux flux = aid_aperture_at(&f.frame, &aperture, 15.0, 15.0);
    CHECK_NEAR(flux.flux, 2.0 * (area - 2.0), 1e-9);
    CHECK_NEAR(flux.missing, 2.0 / area, 1e-12);
    CHECK_EQUAL(flux.flags, AID_PHOTOMETRY_MASKED | AID_PHOTOMETRY_SATURATED);

    aperture.correct = true;
    flux = aid_aperture_at(&f.frame, &aperture, 15.0, 15.0);
    CHECK_NEAR(flux.flux, 2.0 * area, 1e-9);
    CHECK(flux.flags & AID_PHOTOMETRY_CORRECTED);

    aperture.correct = false;
    flux = aid_aperture_at(&f.frame, &aperture, -0.5, 20.0); /* the border cuts it in half */
    CHECK_NEAR(flux.flux, area, 1e-9);
    CHECK_NEAR(flux.missing, 0.5, 1e-12);
    CHECK_EQUAL(flux.flags, AID_PHOTOMETRY_EDGE);

    const double outside[][2] = {{-0.51, 5}, {29.5, 5}, {5, 1e300}, {NAN, 5}, {5, -INFINITY}};
    for (size_t i = 0; i < AID_COUNT_OF(outside); i++) {
        flux = aid_aperture_at(&f.frame, &aperture, outside[i][0], outside[i][1]);
        CHECK(isnan(flux.flux) && isnan(flux.flux_err));
        CHECK_EQUAL(flux.flags, AID_PHOTOMETRY_OFF_IMAGE);
    }
    test_frame_done(&f);
}

TEST(a_wholly_masked_aperture_has_no_flux)
{
    test_frame f;
    test_frame_init(&f, 30, 30, 1.0);
    memset(f.mask.data, AID_MASK_BAD, 900);
    aid_aperture aperture = AID_APERTURE_CIRCLE(4.0);
    aid_aperture_flux flux = aid_aperture_at(&f.frame, &aperture, 15.0, 15.0);
    CHECK(isnan(flux.flux));
    CHECK_NEAR(flux.missing, 1.0, 0.0);
    CHECK_EQUAL(flux.flags, AID_PHOTOMETRY_MASKED);
    test_frame_done(&f);
}

TEST(a_mirrored_pixel_stands_for_a_missing_one)
{
    test_frame f;
    test_frame_init(&f, 41, 41, 1.0);
    add_gaussian(&f.image, 20.0, 20.0, 1000.0, 2.0);
    aid_aperture aperture = AID_APERTURE_CIRCLE(8.0);
    double whole = aid_aperture_at(&f.frame, &aperture, 20.0, 20.0).flux;
    aid_image_row(&f.image, 21)[22] = 5000.0F;
    aid_mask_row(&f.mask, 21)[22] = AID_MASK_COSMIC_RAY;
    aperture.mirror = true;
    aid_aperture_flux flux = aid_aperture_at(&f.frame, &aperture, 20.0, 20.0);
    CHECK_NEAR(flux.flux, whole, 1e-4); /* float pixels of up to 40 */
    CHECK_NEAR(flux.missing, 0.0, 0.0);
    test_frame_done(&f);
}

TEST(stars_in_the_ring_do_not_move_the_local_background)
{
    test_frame f;
    test_frame_init(&f, 81, 81, 3.0);
    for (int i = 0; i < 81 * 81; i++)
        f.image.data[i] = 25.0F;
    add_gaussian(&f.image, 40.0, 40.0, 8000.0, 1.5);
    add_gaussian(&f.image, 55.0, 40.0, 50000.0, 1.5);
    add_noise(&f, 3.0, 0.0, 5);
    const aid_local_background kinds[] = {AID_LOCAL_MEDIAN, AID_LOCAL_MEAN};
    for (int k = 0; k < 2; k++) {
        aid_aperture aperture = AID_APERTURE_CIRCLE(6.0);
        aperture.background = kinds[k];
        aperture.inner_px = 10.0;
        aperture.outer_px = 20.0;
        aid_aperture_flux flux = aid_aperture_at(&f.frame, &aperture, 40.0, 40.0);
        /* 3/sqrt(900) = .1, and the star's skirt below 3 sigma adds about as much. */
        CHECK_NEAR(flux.background, 25.0, 0.5);
        CHECK_NEAR(flux.flux, 8000.0, 4.0 * flux.flux_err + 0.3 * 113.0);
        CHECK_NEAR(flux.background_err, 3.0 / sqrt(flux.background_px) * (k ? 1.0 : 1.2533), 0.012);
        CHECK(flux.background_px > 800 && flux.background_px < 943);
    }
    test_frame_done(&f);
}

TEST(too_small_a_ring_is_said_and_gives_no_level)
{
    test_frame f;
    test_frame_init(&f, 50, 50, 1.0);
    memset(f.mask.data, AID_MASK_BAD, 2500);
    for (int y = 21; y < 30; y++)
        memset(aid_mask_row(&f.mask, y) + 21, 0, 9);
    aid_aperture aperture = AID_APERTURE_CIRCLE(3.0);
    aperture.background = AID_LOCAL_MEDIAN;
    aperture.inner_px = 8.0;
    aperture.outer_px = 12.0;
    aid_aperture_flux flux = aid_aperture_at(&f.frame, &aperture, 25.0, 25.0);
    CHECK(flux.flags & AID_PHOTOMETRY_NO_BACKGROUND);
    CHECK_NEAR(flux.background, 0.0, 0.0);
    test_frame_done(&f);
}

/* 1600 apertures that do not overlap: the standard deviation of a pull of 1 is known to 1.8 %, its
 * mean to .025; 4 of these. */
static void check_pulls(aid_local_background kind, double gain)
{
    const int side = 40, step = 40;
    test_frame f;
    test_frame_init(&f, side * step, side * step, 7.0);
    for (int k = 0; k < side * side; k++)
        add_gaussian(&f.image, k % side * step + 20.3, k / side * step + 19.6, 3000.0, 1.5);
    add_noise(&f, 7.0, gain, 77);
    aid_aperture aperture = AID_APERTURE_CIRCLE(7.0);
    aperture.background = kind;
    aperture.inner_px = 10.0;
    aperture.outer_px = 14.0;
    double sum = 0.0, squares = 0.0;
    for (int k = 0; k < side * side; k++) {
        aid_aperture_flux flux =
            aid_aperture_at(&f.frame, &aperture, k % side * step + 20.3, k / side * step + 19.6);
        double pull = (flux.flux - 3000.0) / flux.flux_err;
        sum += pull;
        squares += pull * pull;
    }
    CHECK_NEAR(sum / (side * side), 0.0, 0.1);
    CHECK_NEAR(sqrt(squares / (side * side)), 1.0, 0.072);
    test_frame_done(&f);
}

TEST(the_error_is_the_scatter_of_faint_and_of_bright_sources)
{
    check_pulls(AID_LOCAL_NONE, 0.0);
    check_pulls(AID_LOCAL_NONE, 1.5);
    check_pulls(AID_LOCAL_MEDIAN, 1.5);
    check_pulls(AID_LOCAL_MEAN, 1.5);
}

/* Neighbours averaged in pairs: rho = 1/2 at (1, 0), and sums over large areas scatter as before
 * the averaging, sqrt(2) more than single pixels say. */
TEST(correlated_noise_enters_the_error)
{
    test_frame f;
    test_frame_init(&f, 60, 60, 5.0);
    aid_noise_correlation correlation = {.measured = true};
    correlation.rho[AID_NOISE_LAG][AID_NOISE_LAG] = 1.0F;
    correlation.rho[AID_NOISE_LAG][AID_NOISE_LAG + 1] = 0.5F;
    correlation.rho[AID_NOISE_LAG][AID_NOISE_LAG - 1] = 0.5F;
    aid_aperture aperture = AID_APERTURE_CIRCLE(20.0);
    double white = aid_aperture_at(&f.frame, &aperture, 30.0, 30.0).flux_err;
    f.frame.correlation = &correlation;
    double correlated = aid_aperture_at(&f.frame, &aperture, 30.0, 30.0).flux_err;
    CHECK_NEAR(correlated / white, sqrt(2.0), 0.03); /* the disc's rim takes 1.6 % */
    test_frame_done(&f);
}

TEST(many_positions_are_the_same_bytes_at_one_and_three_threads)
{
    test_frame f;
    patterned(&f);
    double xy[500][2];
    for (int i = 0; i < 500; i++) {
        xy[i][0] = i * 0.097 - 3.0;
        xy[i][1] = fmod(i * 1.7, 41.0) - 2.0;
    }
    aid_aperture aperture = ellipse(4.0, 2.5, 20.0);
    aperture.background = AID_LOCAL_MEAN;
    aperture.inner_px = 5.0;
    aperture.outer_px = 8.0;
    static aid_aperture_flux one[500], three[500];
    aid_pool *pool;
    CHECK_OK(aid_pool_new(3, &pool, &err));
    CHECK_OK(
        aid_aperture_photometry(&f.frame, &aperture, (const double(*)[2])xy, 500, NULL, one, &err));
    CHECK_OK(aid_aperture_photometry(&f.frame, &aperture, (const double(*)[2])xy, 500, pool, three,
                                     &err));
    CHECK(memcmp(one, three, sizeof one) == 0);
    int measured = 0;
    for (int i = 0; i < 500; i++)
        measured += isfinite(one[i].flux);
    CHECK(measured > 300 && measured < 500);
    aid_pool_free(pool);
    test_frame_done(&f);
}

TEST(apertures_that_make_no_sense_are_refused_and_nothing_is_written)
{
    test_frame f;
    patterned(&f);
    static const double bad[][4] = {{0, 0, 1, 2},    {-1, -1, 1, 2}, {3, 4, 5, 6},   {3, 3, 2, 6},
                                    {3, 3, 6, 6},    {3, 3, 7, 6},   {NAN, 1, 5, 6}, {3, 3, NAN, 6},
                                    {3000, 3, 1, 2}, {3, 3, 5, 9000}};
    for (size_t i = 0; i < AID_COUNT_OF(bad); i++) {
        aid_aperture aperture = ellipse(bad[i][0], bad[i][1], 0.0);
        aperture.background = AID_LOCAL_MEDIAN;
        aperture.inner_px = bad[i][2];
        aperture.outer_px = bad[i][3];
        const double xy[1][2] = {{5.0, 5.0}};
        aid_aperture_flux flux = {.flux = 4711.0};
        CHECK_REFUSED(aid_aperture_photometry(&f.frame, &aperture, xy, 1, NULL, &flux, &err),
                      AID_ERR_INVALID, " px");
        CHECK_NEAR(flux.flux, 4711.0, 0.0);
    }
    test_frame_done(&f);
}

TEST(flags_have_names)
{
    char text[64];
    aid_photometry_flag_names(AID_PHOTOMETRY_EDGE | AID_PHOTOMETRY_SATURATED, text, sizeof text);
    CHECK_TEXT(text, "edge|saturated");
    aid_photometry_flag_names(AID_PHOTOMETRY_NO_FLUX, text, sizeof text);
    CHECK_TEXT(text, "no-flux");
    aid_photometry_flag_names(~0U, text, 12);
    CHECK_EQUAL(strlen(text), 11);
}

TEST_MAIN()
