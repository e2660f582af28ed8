#include "core/imaging/centroid.h"

#include "tests/check.h"

#include <stdint.h>

static aid_error err;
enum { SIDE = 64, TRIALS = 400 };
static const double star_sigma = 1.4;

static uint64_t generator = 9;
static double uniform(void)
{
    generator = generator * 6364136223846793005u + 1442695040888963407u;
    return (double)(generator >> 11) / 9007199254740992.0;
}
static double normal(void)
{
    return sqrt(-2.0 * log(1.0 - uniform())) * cos(6.28318530717958648 * uniform());
}

/* A Gaussian integrated over the pixels. */
static double light(double flux, double x, double y)
{
    double s = star_sigma * sqrt(2.0);
    return 0.25 * flux * (erf((x + 0.5) / s) - erf((x - 0.5) / s)) *
           (erf((y + 0.5) / s) - erf((y - 0.5) / s));
}

static void draw(aid_image *image, double flux, double x, double y, double variance, double gain)
{
    for (int32_t j = 0; j < SIDE; j++)
        for (int32_t i = 0; i < SIDE; i++) {
            double value = light(flux, i - x, j - y);
            double noise = sqrt(variance + value / gain);
            aid_image_row(image, j)[i] = (float)(value + noise * normal());
        }
}

/* The Cramer-Rao bound by its definition: the information on x of all pixels. */
static double bound(double flux, double variance, double gain)
{
    double information = 0.0, h = 1e-4;
    for (int j = -16; j <= 16; j++)
        for (int i = -16; i <= 16; i++) {
            double slope = (light(flux, i - h, j) - light(flux, i + h, j)) / (2.0 * h);
            information += slope * slope / (variance + light(flux, i, j) / gain);
        }
    return 1.0 / sqrt(information);
}

/* 400 positions on two axes: their rms is good to 1/sqrt(2 x 800) = 2.5 %. */
TEST(positions_scatter_by_the_cramer_rao_bound_whether_sky_or_photons_make_the_noise)
{
    static const double fluxes[] = {3000.0, 3e4, 1e6};
    aid_image image = {0};
    CHECK_OK(aid_image_init(SIDE, SIDE, &image, &err));
    for (size_t n = 0; n < AID_COUNT_OF(fluxes); n++) {
        double square = 0.0, stated = 0.0, mean = 0.0;
        for (int trial = 0; trial < TRIALS; trial++) {
            double x = 30.0 + uniform(), y = 31.0 + uniform();
            double at_x = x + 0.2 * normal(), at_y = y + 0.2 * normal(), error = 0.0;
            draw(&image, fluxes[n], x, y, 150.0, 1.5);
            const aid_centroid_options options = {star_sigma, 150.0, 1.5, fluxes[n]};
            at_x = AID_CLAMP(at_x, x - 0.2, x + 0.2);
            at_y = AID_CLAMP(at_y, y - 0.2, y + 0.2);
            CHECK(aid_centroid(&image, &options, &at_x, &at_y, &error));
            square += (at_x - x) * (at_x - x) + (at_y - y) * (at_y - y);
            mean += at_x - x;
            stated += error / TRIALS;
        }
        double expected = bound(fluxes[n], 150.0, 1.5), rms = sqrt(square / (2.0 * TRIALS));
        CHECK_NEAR(rms / expected, 1.04, 0.11);
        CHECK_NEAR(stated / expected, 1.0, 0.06); /* the pixels widen the star by a tenth of its
                                                     variance over 12 sigma^2: 4 % */
        CHECK_NEAR(mean / TRIALS, 0.0, 4.0 * rms / sqrt(TRIALS));
    }
    aid_image_done(&image);
}

TEST(what_is_no_star_or_too_near_the_border_is_left_where_it_was)
{
    aid_image image = {0};
    CHECK_OK(aid_image_init(SIDE, SIDE, &image, &err));
    const aid_centroid_options options = {star_sigma, 1.0, 1.0, 100.0};
    const aid_centroid_options none = {star_sigma, 0.0, 1.0, 100.0};
    double x = 30.0, y = 30.0, error = -1.0;
    CHECK(!aid_centroid(&image, &options, &x, &y, &error)); /* no light at all */
    CHECK(!aid_centroid(&image, &none, &x, &y, &error));
    draw(&image, 1e5, 30.0, 30.0, 1.0, 1e9);
    double edge = 3.0;
    CHECK(!aid_centroid(&image, &options, &edge, &y, &error));
    aid_image_row(&image, 29)[31] = NAN;
    CHECK(!aid_centroid(&image, &options, &x, &y, &error));
    x = 33.0; /* farther from the star than it may move */
    aid_image_row(&image, 29)[31] = 0.0F;
    CHECK(!aid_centroid(&image, &options, &x, &y, &error));
    CHECK_NEAR(x, 33.0, 0.0);
    CHECK_NEAR(y, 30.0, 0.0);
    CHECK_NEAR(edge, 3.0, 0.0);
    CHECK_NEAR(error, -1.0, 0.0);
    aid_image_done(&image);
}

TEST_MAIN()
