#include "tests/domain/photometry/frames.h"

#include <stddef.h>

/* scipy 1.10: F + S*norm.isf(.05*norm.sf(-F/S)). */
TEST(upper_limits_agree_with_scipy)
{
    static const double oracle[][4] = {
        {0.0, 1.0, 0.95, 1.959963984540054},    {2.0, 1.0, 0.95, 3.6559843567138275},
        {-1.5, 2.0, 0.95, 3.058145696275985},   {-10.0, 1.0, 0.95, 0.2924671377880248},
        {100.0, 5.0, 0.95, 108.22426813475737}, {1.0, 1.0, 0.9973, 3.837750954205456},
    };
    for (size_t i = 0; i < AID_COUNT_OF(oracle); i++)
        CHECK_NEAR(aid_flux_upper_limit(oracle[i][0], oracle[i][1], oracle[i][2]), oracle[i][3],
                   1e-9 * fabs(oracle[i][3]));
    CHECK(isnan(aid_flux_upper_limit(1.0, 0.0, 0.95)));
    CHECK(isnan(aid_flux_upper_limit(NAN, 1.0, 0.95)));
    CHECK(isnan(aid_flux_upper_limit(1.0, 1.0, 1.0)));
    /* Far below 0 the tail is exponential: -ln(.05)/40 to a part in 40^2. */
    CHECK_NEAR(aid_flux_upper_limit(-40.0, 1.0, 0.95), 2.995732 / 40.0, 1e-4);
}

enum { SIDE = 24, POSITIONS = SIDE * SIDE };
static double places[POSITIONS][2];
static aid_forced_flux fluxes[POSITIONS], again[POSITIONS];

/* Positions 34 px apart; every third one holds a star of `flux`, the others nothing. */
static void sky_with_gaps(test_frame *f, double flux)
{
    const int step = 34;
    test_frame_init(f, SIDE * step, SIDE * step, 5.0);
    aid_random random = aid_random_seeded(1, 2);
    for (int k = 0; k < POSITIONS; k++) {
        places[k][0] = k % SIDE * step + 17.0 + aid_random_uniform(&random);
        places[k][1] = k / SIDE * step + 17.0 + aid_random_uniform(&random);
        if (k % 3 == 0)
            add_gaussian(&f->image, places[k][0], places[k][1], flux, 1.5);
    }
    add_noise(f, 5.0, 1.5, 21);
    test_frame_psf(f, 1.5);
}

static void check_forced(aid_forced_method method, aid_local_background background)
{
    const double flux = 1200.0;
    test_frame f;
    sky_with_gaps(&f, flux);
    aid_forced_options options = AID_FORCED_DEFAULTS;
    options.method = method;
    options.aperture.background = background;
    options.aperture.inner_px = 8.0;
    options.aperture.outer_px = 13.0;
    aid_forced_input input = {.frame = f.frame, .zero_point = 25.0};
    CHECK_OK(aid_forced_photometry(&input, (const double(*)[2])places, POSITIONS, &options, NULL,
                                   fluxes, &err));
    double sum = 0.0, squares = 0.0;
    int negative = 0, above = 0, covered = 0;
    for (int k = 0; k < POSITIONS; k++) {
        double truth = k % 3 == 0 ? flux : 0.0;
        double pull = (fluxes[k].flux - truth) / fluxes[k].flux_err;
        sum += pull;
        squares += pull * pull;
        negative += fluxes[k].flux < 0.0;
        above += k % 3 && fluxes[k].flux > fluxes[k].limit_3sigma;
        covered += fluxes[k].upper_limit_95 > truth;
        CHECK((fluxes[k].flux > 0.0) == isfinite(fluxes[k].mag));
    }
    /* 576 pulls: the mean to .042, the scatter to 3 %. */
    CHECK_NEAR(sum / POSITIONS, 0.0, 0.17);
    CHECK_NEAR(sqrt(squares / POSITIONS), 1.0, 0.12);
    CHECK_NEAR(negative, 192, 40);      /* half of the empty 384 */
    CHECK(above <= 4);                  /* .0013 of 384 */
    CHECK(covered >= 0.92 * POSITIONS); /* 95 % or more, as limits near 0 are generous */
    CHECK_NEAR(fluxes[0].mag, 25.0 - 2.5 * log10(fluxes[0].flux), 1e-12);
    CHECK_NEAR(fluxes[0].limit_5sigma, fluxes[0].limit_3sigma * 5.0 / 3.0, 1e-9);
    CHECK(fluxes[0].limit_3sigma < 3.0 * fluxes[0].flux_err);
    test_frame_done(&f);
}

TEST(forced_psf_fluxes_and_limits_are_honest)
{
    check_forced(AID_FORCED_PSF, AID_LOCAL_NONE);
}

TEST(forced_aperture_fluxes_and_limits_are_honest)
{
    check_forced(AID_FORCED_APERTURE, AID_LOCAL_NONE);
    check_forced(AID_FORCED_APERTURE, AID_LOCAL_MEDIAN);
}

TEST(one_place_given_twice_has_its_flux_twice)
{
    test_frame f;
    sky_with_gaps(&f, 1200.0);
    const double xy[3][2] = {{places[0][0], places[0][1]},
                             {places[1][0], places[1][1]},
                             {places[0][0], places[0][1] + .01}};
    aid_forced_options options = AID_FORCED_DEFAULTS;
    aid_forced_input input = {.frame = f.frame, .zero_point = NAN};
    CHECK_OK(aid_forced_photometry(&input, xy, 3, &options, NULL, fluxes, &err));
    CHECK_NEAR(fluxes[0].flux, 1200.0, 5.0 * fluxes[0].flux_err);
    CHECK_NEAR(fluxes[2].flux, fluxes[0].flux, 0.0);
    CHECK(isnan(fluxes[0].mag));
    test_frame_done(&f);
}

/* Flux map of a white image: the image correlated with the PSF over sum P^2. */
static void make_maps(const test_frame *f, aid_image *flux, aid_image *flux_err)
{
    int radius = f->stamp.width / 2;
    double squares = 0.0;
    for (int i = 0; i < f->stamp.width * f->stamp.width; i++)
        squares += (double)f->stamp.data[i] * (double)f->stamp.data[i];
    CHECK_OK(aid_image_init(f->image.width, f->image.height, flux, &err));
    CHECK_OK(aid_image_init(f->image.width, f->image.height, flux_err, &err));
    for (int y = 0; y < f->image.height; y++)
        for (int x = 0; x < f->image.width; x++) {
            double sum = 0.0;
            for (int j = -radius; j <= radius; j++)
                for (int i = -radius; i <= radius; i++)
                    if (x + i >= 0 && y + j >= 0 && x + i < f->image.width &&
                        y + j < f->image.height)
                        sum += (double)aid_image_row(&f->stamp, j + radius)[i + radius] *
                               (double)aid_image_row(&f->image, y + j)[x + i];
            aid_image_row(flux, y)[x] = (float)(sum / squares);
            aid_image_row(flux_err, y)[x] = (float)((double)f->noise.values[0] / sqrt(squares));
        }
}

TEST(maps_are_read_between_their_pixels)
{
    test_frame f;
    test_frame_init(&f, 80, 60, 0.5);
    add_gaussian(&f.image, 40.37, 30.62, 3000.0, 1.5);
    add_gaussian(&f.image, 15.5, 20.5, -500.0, 1.5);
    test_frame_psf(&f, 1.5);
    aid_image flux, flux_err;
    make_maps(&f, &flux, &flux_err);
    const double xy[5][2] = {{40.37, 30.62}, {15.5, 20.5}, {-3.0, 5.0}, {79.2, 59.1}, {70.0, 10.0}};
    aid_forced_options options = AID_FORCED_DEFAULTS;
    options.method = AID_FORCED_MAP;
    f.frame.gain = 2.0;
    aid_forced_input input = {
        .frame = f.frame, .flux = &flux, .flux_err = &flux_err, .zero_point = 25.0};
    aid_image_row(&flux, 10)[72] = NAN; /* a gap beside the last position */
    CHECK_OK(aid_forced_photometry(&input, xy, 5, &options, NULL, fluxes, &err));
    CHECK_NEAR(fluxes[0].flux, 3000.0, 0.3); /* the nearest pixel has 6 % less */
    CHECK_NEAR(fluxes[1].flux, -500.0, 0.05);
    CHECK(fluxes[0].flux_err > 3.0 * (double)flux_err.data[0]); /* its photons */
    CHECK_NEAR(fluxes[0].limit_3sigma, 3.0 * (double)flux_err.data[0], 1e-6);
    CHECK_EQUAL(fluxes[2].flags, AID_PHOTOMETRY_OFF_IMAGE);
    CHECK(isnan(fluxes[2].flux));
    CHECK(isfinite(fluxes[3].flux) && fluxes[3].flags & AID_PHOTOMETRY_EDGE);
    CHECK(isfinite(fluxes[4].flux));
    aid_image_done(&flux);
    aid_image_done(&flux_err);
    test_frame_done(&f);
}

TEST(flags_name_what_is_odd_at_a_position)
{
    test_frame f;
    test_frame_init(&f, 64, 64, 1.0);
    test_frame_psf(&f, 1.5);
    aid_mask_row(&f.mask, 20)[20] = AID_MASK_SATURATED;
    aid_mask_row(&f.mask, 20)[50] = AID_MASK_BAD;
    const double xy[5][2] = {{20, 20}, {50, 20}, {1, 40}, {100, 3}, {40, 45}};
    const unsigned expected[5] = {AID_PHOTOMETRY_MASKED | AID_PHOTOMETRY_SATURATED,
                                  AID_PHOTOMETRY_MASKED, AID_PHOTOMETRY_EDGE,
                                  AID_PHOTOMETRY_OFF_IMAGE, 0};
    const aid_forced_method methods[] = {AID_FORCED_PSF, AID_FORCED_APERTURE};
    for (int m = 0; m < 2; m++) {
        aid_forced_options options = AID_FORCED_DEFAULTS;
        options.method = methods[m];
        aid_forced_input input = {.frame = f.frame, .zero_point = NAN};
        CHECK_OK(aid_forced_photometry(&input, xy, 5, &options, NULL, fluxes, &err));
        for (int i = 0; i < 5; i++)
            CHECK_EQUAL(fluxes[i].flags, expected[i]);
    }
    test_frame_done(&f);
}

TEST(any_number_of_threads_gives_the_same_bytes)
{
    test_frame f;
    sky_with_gaps(&f, 1200.0);
    aid_pool *pool;
    CHECK_OK(aid_pool_new(3, &pool, &err));
    aid_forced_options options = AID_FORCED_DEFAULTS;
    aid_forced_input input = {.frame = f.frame, .zero_point = 25.0};
    memset(fluxes, 0, sizeof fluxes);
    memset(again, 0, sizeof again);
    CHECK_OK(aid_forced_photometry(&input, (const double(*)[2])places, POSITIONS, &options, NULL,
                                   fluxes, &err));
    CHECK_OK(aid_forced_photometry(&input, (const double(*)[2])places, POSITIONS, &options, pool,
                                   again, &err));
    size_t size = offsetof(aid_forced_flux, flags) + sizeof fluxes[0].flags; /* without padding */
    for (int k = 0; k < POSITIONS; k++)
        CHECK(memcmp(&fluxes[k], &again[k], size) == 0);
    aid_pool_free(pool);
    test_frame_done(&f);
}

TEST(what_is_not_there_is_refused)
{
    test_frame f;
    test_frame_init(&f, 40, 40, 1.0);
    const double xy[1][2] = {{20, 20}};
    aid_forced_input input = {.frame = f.frame, .zero_point = NAN};
    aid_forced_options options = AID_FORCED_DEFAULTS;
    aid_forced_flux flux = {.flux = 4711.0};
    CHECK_REFUSED(aid_forced_photometry(&input, xy, 1, &options, NULL, &flux, &err),
                  AID_ERR_NUMERIC, "without a PSF");
    options.method = AID_FORCED_MAP;
    CHECK_REFUSED(aid_forced_photometry(&input, xy, 1, &options, NULL, &flux, &err),
                  AID_ERR_NUMERIC, "error map");
    options.method = AID_FORCED_APERTURE;
    options.aperture.a_px = -1.0;
    CHECK_REFUSED(aid_forced_photometry(&input, xy, 1, &options, NULL, &flux, &err),
                  AID_ERR_INVALID, "-1");
    CHECK_NEAR(flux.flux, 4711.0, 0.0);
    test_frame_done(&f);
}

TEST_MAIN()
