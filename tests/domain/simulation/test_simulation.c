#include "core/sky/time.h"
#include "domain/simulation/internal.h"
#include "domain/simulation/simulation.h"
#include "tests/check.h"

static aid_error err;
static const double pi = 3.141592653589793;

static aid_sky *sky_of(const aid_sky_options *options)
{
    aid_sky *sky = NULL;
    CHECK_OK(aid_sky_new(options, &sky, &err));
    return sky;
}

static aid_sky_options small_options(void)
{
    aid_sky_options options = AID_SKY_DEFAULTS;
    options.width = 400;
    options.height = 320;
    options.transients = 8;
    options.faders = 4;
    options.variables = 3;
    options.movers = 2;
    return options;
}

/* Bright new stars on an even, empty, unblemished sky. */
static aid_sky_options lonely_stars(int count, double snr)
{
    aid_sky_options options = small_options();
    options.star_density = options.galaxy_density = options.bad_pixels = 0.0;
    options.bad_columns = 0;
    options.transients = count;
    options.faders = options.variables = options.movers = 0;
    options.snr_min = snr;
    options.snr_max = 2.0 * snr;
    for (int e = 0; e < AID_SKY_EPOCHS; e++) {
        options.epoch[e].cosmic_rays = options.epoch[e].sky_gradient = 0.0;
        options.epoch[e].seeing_variation = options.epoch[e].ellipticity_gradient = 0.0;
    }
    return options;
}

/* --------------------------------------------------------------------------------------- truth */

static bool same_source(const aid_sky_source *a, const aid_sky_source *b)
{
    return a->id == b->id && a->kind == b->kind && a->host == b->host &&
           !memcmp(a->ra_deg, b->ra_deg, sizeof a->ra_deg) &&
           !memcmp(a->dec_deg, b->dec_deg, sizeof a->dec_deg) && !memcmp(a->x, b->x, sizeof a->x) &&
           !memcmp(a->mag, b->mag, sizeof a->mag) &&
           !memcmp(a->flux_adu, b->flux_adu, sizeof a->flux_adu);
}

TEST(the_truth_is_the_same_in_every_run_and_another_with_another_seed)
{
    aid_sky_options options = small_options();
    aid_sky *first = sky_of(&options), *second = sky_of(&options);
    options.seed = 2;
    aid_sky *other = sky_of(&options);
    int64_t count, again, others;
    const aid_sky_source *a = aid_sky_sources(first, &count), *b = aid_sky_sources(second, &again);
    const aid_sky_source *c = aid_sky_sources(other, &others);
    CHECK_EQUAL(count, again);
    for (int64_t i = 0; i < count; i++)
        CHECK(same_source(&a[i], &b[i]));
    CHECK(fabs(a[0].ra_deg[0] - c[0].ra_deg[0]) > 1e-6);
    CHECK(fabs(a[0].mag[0] - c[0].mag[0]) > 1e-6);
    aid_sky_free(first);
    aid_sky_free(second);
    aid_sky_free(other);
}

/* Recorded on x86-64 with glibc 2.36: whoever differs by more than the rounding of a libm has
 * another sky. */
TEST(the_truth_of_seed_1_is_the_one_that_is_on_record)
{
    aid_sky_options options = small_options();
    aid_sky *sky = sky_of(&options);
    int64_t count;
    const aid_sky_source *s = aid_sky_sources(sky, &count);
    CHECK_EQUAL(count, 209);
    CHECK_NEAR(s[0].ra_deg[0], 150.098600757793, 1e-9);
    CHECK_NEAR(s[0].dec_deg[0], 32.199179266741, 1e-9);
    CHECK_NEAR(s[0].mag[0], 20.780631980047, 1e-9);
    CHECK_NEAR(s[count - 1].x[1], 41.3131788214, 1e-7);
    CHECK_NEAR(s[count - 1].flux_adu[1], 2345.70645544, 1e-6);
    aid_sky_free(sky);
}

TEST(every_kind_has_the_number_that_was_asked_for_and_its_place_in_the_list)
{
    aid_sky_options options = small_options();
    aid_sky *sky = sky_of(&options);
    int64_t count, kinds[AID_SKY_KINDS] = {0};
    int on_galaxies = 0;
    const aid_sky_source *s = aid_sky_sources(sky, &count);
    for (int64_t i = 0; i < count; i++) {
        kinds[s[i].kind]++;
        CHECK_EQUAL(s[i].id, i + 1);
        CHECK(i == 0 || s[i].kind >= s[i - 1].kind);
        if (s[i].host) {
            CHECK(s[s[i].host - 1].kind == AID_SKY_GALAXY);
            on_galaxies++;
        }
    }
    CHECK_EQUAL(kinds[AID_SKY_TRANSIENT], 8);
    CHECK_EQUAL(kinds[AID_SKY_FADER], 4);
    CHECK_EQUAL(kinds[AID_SKY_VARIABLE], 3);
    CHECK_EQUAL(kinds[AID_SKY_MOVER], 2);
    CHECK_EQUAL(on_galaxies, 6); /* half of transients and faders */
    /* 700 stars a megapixel on 400 x 320 and a margin of 40 px: 128 expected, 11 their scatter */
    CHECK_NEAR(kinds[AID_SKY_STAR], 700.0 * 480.0 * 415.0 / 1048576.0, 45.0);
    aid_sky_free(sky);
}

TEST(each_kind_changes_as_its_name_says)
{
    aid_sky_options options = small_options();
    aid_sky *sky = sky_of(&options);
    double ratio = pow(10.0, 0.4 * (27.0 - 26.8)), throughput = 0.011;
    int64_t count;
    const aid_sky_source *s = aid_sky_sources(sky, &count);
    for (int64_t i = 0; i < count; i++) {
        double difference = s[i].flux_adu[0] - ratio * s[i].flux_adu[1];
        double expected = s[i].difference_snr / aid_sky_snr_per_adu(sky);
        double moved = hypot(s[i].ra_deg[0] - s[i].ra_deg[1], s[i].dec_deg[0] - s[i].dec_deg[1]);
        if (s[i].kind == AID_SKY_TRANSIENT)
            CHECK(s[i].flux_adu[1] == 0.0 && isnan(s[i].mag[1]) && s[i].difference_snr >= 4.0);
        if (s[i].kind == AID_SKY_FADER)
            CHECK(s[i].flux_adu[0] == 0.0 && isnan(s[i].mag[0]) && s[i].difference_snr <= -4.0);
        if (s[i].kind == AID_SKY_VARIABLE)
            CHECK(s[i].flux_adu[0] > 0.0 && s[i].flux_adu[1] > 0.0);
        if (s[i].kind < AID_SKY_TRANSIENT)
            CHECK(s[i].difference_snr == 0.0 && s[i].mag[0] == s[i].mag[1]);
        if (s[i].kind >= AID_SKY_TRANSIENT && s[i].kind <= AID_SKY_VARIABLE)
            CHECK_NEAR(difference, expected,
                       throughput * (s[i].flux_adu[0] + s[i].flux_adu[1]) + 1e-6);
        CHECK(s[i].kind == AID_SKY_MOVER ? moved > 1e-5 : moved == 0.0);
    }
    aid_sky_free(sky);
}

/* With a perfect reference the best filter is the PSF: S/N per ADU = sqrt(sum P^2)/sigma, and the
 * integral of a squared Moffat is (beta-1)^2/(pi alpha^2 (2 beta-1)). At a FWHM of 8 px the pixel
 * takes less than 1 % off. */
TEST(the_expected_significance_is_that_of_the_optimal_filter)
{
    aid_sky_options options = small_options();
    options.epoch[0].seeing_px = 8.0;
    options.epoch[1].seeing_px = 2.0;
    options.epoch[1].frames = 1000;
    options.epoch[1].sky_adu = 0.0;
    options.read_noise_e = 0.001;
    aid_sky *sky = sky_of(&options);
    double alpha = 8.0 / (2.0 * sqrt(pow(2.0, 1.0 / 3.5) - 1.0));
    double expected = 2.5 / (alpha * sqrt(6.0 * pi)) / sqrt(400.0 / 1.5);
    CHECK_NEAR(aid_sky_snr_per_adu(sky) / expected, 1.0, 0.01);
    aid_sky_free(sky);
}

TEST(options_out_of_range_are_refused_by_name)
{
    aid_sky *sky = (aid_sky *)&err;
    aid_sky_options options = small_options();
    options.width = 10;
    CHECK_REFUSED(aid_sky_new(&options, &sky, &err), AID_ERR_INVALID, "width = 10");
    options = small_options();
    options.gain = NAN;
    CHECK_REFUSED(aid_sky_new(&options, &sky, &err), AID_ERR_INVALID, "gain = nan");
    options = small_options();
    options.epoch[1].seeing_px = 0.2;
    CHECK_REFUSED(aid_sky_new(&options, &sky, &err), AID_ERR_INVALID, "reference seeing_px = 0.2");
    options = small_options();
    options.transients = 5000;
    CHECK_REFUSED(aid_sky_new(&options, &sky, &err), AID_ERR_INVALID, "no room for 5000");
    options = small_options();
    options.width = options.height = 65536;
    options.star_density = 1e6;
    CHECK_REFUSED(aid_sky_new(&options, &sky, &err), AID_ERR_INVALID, "sources: more than");
    options = small_options();
    options.epoch[1].offset_x_px = 2000.0;
    CHECK_REFUSED(aid_sky_new(&options, &sky, &err), AID_ERR_INVALID, "no room");
    CHECK(sky == (aid_sky *)&err);
}

/* ------------------------------------------------------------------------------------- one star */

/* The oracle integrates the Moffat of aid_sim_stamp's own definition over each pixel by 25 x 25
 * midpoints: its error is 25^-4 of the quadrature's. */
static void check_stamp(double fwhm, double ellipticity)
{
    enum { SIDE = 61, FINE = 25 };
    aid_sky_options options = lonely_stars(0, 1.0);
    options.epoch[0].seeing_px = fwhm;
    options.epoch[0].ellipticity = ellipticity;
    options.epoch[0].ellipticity_deg = 30.0;
    aid_sim_stamp stamp = aid_sim_stamp_at(&options, 0, 30.3, 29.6, 1000.0, true);
    aid_image image = {0};
    CHECK_OK(aid_image_init(SIDE, SIDE, &image, &err));
    aid_sim_stamp_add(&stamp, &image, 0, SIDE);
    double worst = 0.0;
    for (int y = 18; y <= 42; y++)
        for (int x = 18; x <= 42; x++) {
            double sum = 0.0;
            for (int j = 0; j < FINE * FINE; j++) {
                double dx = x - 30.3 + (j % FINE + 0.5) / FINE - 0.5;
                double dy = y - 29.6 + (j / FINE + 0.5) / FINE - 0.5;
                double q = stamp.xx * dx * dx + 2.0 * stamp.xy * dx * dy + stamp.yy * dy * dy;
                sum += stamp.amplitude * pow(1.0 + q, -3.5);
            }
            double error = fabs((double)aid_image_row(&image, y)[x] - sum / (FINE * FINE));
            worst = fmax(worst, error);
        }
    CHECK(worst < 3e-4 * aid_sim_stamp_peak(&stamp));
    CHECK_NEAR(aid_image_row(&image, 30)[30], aid_sim_stamp_peak(&stamp),
               1e-5 * aid_sim_stamp_peak(&stamp));
    aid_image_done(&image);
}

TEST(a_star_is_the_moffat_integrated_over_its_pixels)
{
    check_stamp(3.6, 0.0);
    check_stamp(3.6, 0.3);
    check_stamp(2.0, 0.1);
    check_stamp(1.5, 0.0);
}

/* Half of the peak on the circle of the FWHM; the long axis along the angle, its ratio to the short
 * one sqrt((1+e)/(1-e)). */
TEST(width_and_elongation_are_those_of_the_options)
{
    aid_sky_options options = lonely_stars(0, 1.0);
    options.epoch[0].ellipticity = 0.2;
    options.epoch[0].ellipticity_deg = 30.0;
    aid_sim_stamp stamp = aid_sim_stamp_at(&options, 0, 100.0, 100.0, 1.0, true);
    double half = pow(2.0, 1.0 / 3.5) - 1.0; /* q at half the peak */
    double c = cos(pi / 6.0), s = sin(pi / 6.0);
    double along = stamp.xx * c * c + 2.0 * stamp.xy * c * s + stamp.yy * s * s;
    double across = stamp.xx * s * s - 2.0 * stamp.xy * c * s + stamp.yy * c * c;
    CHECK_NEAR(2.0 * sqrt(half / along), 3.6 * pow(1.2 / 0.8, 0.25), 1e-9);
    CHECK_NEAR(2.0 * sqrt(half / across), 3.6 / pow(1.2 / 0.8, 0.25), 1e-9);
    options.epoch[0].seeing_variation = 0.1;
    aid_sky *sky = sky_of(&options);
    CHECK_NEAR(aid_sky_fwhm_px(sky, 0, 199.5, 159.5), 3.6, 1e-12);
    CHECK_NEAR(aid_sky_fwhm_px(sky, 0, 399.5, 319.5), 3.6 * 1.1, 1e-12);
    aid_sky_free(sky);
}

/* -------------------------------------------------------------------------------------- pixels */

typedef struct aperture {
    double flux, x, y; /* above the sky; centroid, 0-based */
    int pixels;
} aperture;

static aperture measure(const aid_image *image, double sky, double x0, double y0, double radius)
{
    aperture sum = {0};
    for (int y = 0; y < image->height; y++)
        for (int x = 0; x < image->width; x++) {
            if (hypot(x - x0, y - y0) > radius)
                continue;
            sum.flux += (double)aid_image_row(image, y)[x] - sky;
            sum.pixels++;
        }
    return sum;
}

/* Windowed by a Gaussian of the star's own width: unbiased for any PSF that is symmetric. */
static aperture windowed_centre(const aid_image *image, double sky, double x0, double y0)
{
    aperture at = {.x = x0, .y = y0};
    for (int round = 0; round < 30; round++) {
        double sum = 0.0, dx = 0.0, dy = 0.0;
        for (int y = (int)at.y - 12; y <= (int)at.y + 12; y++)
            for (int x = (int)at.x - 12; x <= (int)at.x + 12; x++) {
                double r2 = (x - at.x) * (x - at.x) + (y - at.y) * (y - at.y);
                double value = ((double)aid_image_row(image, y)[x] - sky) * exp(-r2 / 4.6);
                sum += value;
                dx += value * (x - at.x);
                dy += value * (y - at.y);
            }
        at.x += 2.0 * dx / sum;
        at.y += 2.0 * dy / sum;
    }
    return at;
}

/* The aperture holds 1 - (1 + r^2/alpha^2)^-2.5 of a circular Moffat. Noise: sky and read noise of
 * its pixels and the star's own photons; five sigma for each of twelve. */
TEST(photometry_of_lonely_stars_returns_the_true_flux)
{
    aid_sky_options options = lonely_stars(12, 150.0);
    options.epoch[0].ellipticity = 0.0;
    aid_sky *sky = sky_of(&options);
    aid_simulated_frame frame = {0};
    int64_t count;
    const aid_sky_source *s = aid_sky_sources(sky, &count);
    CHECK_EQUAL(count, 12);
    CHECK_OK(aid_sky_render(sky, AID_SKY_SCIENCE, NULL, &frame, &err));
    double alpha = 3.6 / (2.0 * sqrt(pow(2.0, 1.0 / 3.5) - 1.0)), pull = 0.0;
    double outside = pow(1.0 + 100.0 / (alpha * alpha), -2.5);
    for (int64_t i = 0; i < count; i++) {
        aperture a = measure(&frame.image, 400.0, s[i].x[0] - 1.0, s[i].y[0] - 1.0, 10.0);
        double sigma = sqrt(a.pixels * (600.0 + 36.0) / 2.25 + s[i].flux_adu[0] / 1.5);
        double error = a.flux - s[i].flux_adu[0] * (1.0 - outside);
        CHECK_NEAR(error / sigma, 0.0, 5.0);
        pull += error * error / (sigma * sigma * (double)count);
    }
    /* chi^2/12 of twelve: 1 +- .41 */
    CHECK(pull > 0.1 && pull < 2.5);
    aid_simulated_frame_done(&frame);
    aid_sky_free(sky);
}

static void check_wcs(aid_sky_distortion distortion)
{
    aid_sky_options options = lonely_stars(10, 1200.0);
    options.distortion = distortion;
    aid_sky *sky = sky_of(&options);
    int64_t count;
    const aid_sky_source *s = aid_sky_sources(sky, &count);
    aid_simulated_frame frame = {0};
    aid_wcs *wcs = NULL;
    CHECK_OK(aid_sky_render(sky, AID_SKY_SCIENCE, NULL, &frame, &err));
    CHECK_OK(aid_wcs_new(&frame.header, &wcs, &err));
    CHECK(wcs != NULL);
    for (int64_t i = 0; i < count; i++) {
        double x, y;
        CHECK(aid_wcs_radec_to_pixel(wcs, s[i].ra_deg[0], s[i].dec_deg[0], &x, &y));
        CHECK_NEAR(x, s[i].x[0] - 1.0, 1e-7);
        CHECK_NEAR(y, s[i].y[0] - 1.0, 1e-7);
        /* centroid noise: 1.6 px / S/N 1200 = .0013 px, so .01 is over seven of it */
        aperture centre = windowed_centre(&frame.image, 400.0, floor(x + 0.5), floor(y + 0.5));
        CHECK_NEAR(centre.x, x, 0.01);
        CHECK_NEAR(centre.y, y, 0.01);
    }
    aid_wcs_free(wcs);
    aid_simulated_frame_done(&frame);
    aid_sky_free(sky);
}

TEST(stars_lie_where_truth_and_header_put_them)
{
    check_wcs(AID_SKY_UNDISTORTED);
    check_wcs(AID_SKY_SIP);
    check_wcs(AID_SKY_TPV);
}

TEST(one_thread_and_three_give_the_same_bytes_and_another_seed_others)
{
    aid_sky_options options = small_options();
    aid_pool *pool = NULL;
    CHECK_OK(aid_pool_new(3, &pool, &err));
    aid_sky *sky = sky_of(&options);
    options.seed = 2;
    aid_sky *other = sky_of(&options);
    aid_simulated_frame one = {0}, three = {0}, different = {0};
    size_t pixels = 400 * 320;
    for (int epoch = 0; epoch < AID_SKY_EPOCHS; epoch++) {
        CHECK_OK(aid_sky_render(sky, epoch, NULL, &one, &err));
        CHECK_OK(aid_sky_render(sky, epoch, pool, &three, &err));
        CHECK_OK(aid_sky_render(other, epoch, pool, &different, &err));
        CHECK(!memcmp(one.image.data, three.image.data, pixels * sizeof(float)));
        CHECK(!memcmp(one.mask.data, three.mask.data, pixels));
        CHECK(memcmp(one.image.data, different.image.data, pixels * sizeof(float)) != 0);
        aid_simulated_frame_done(&one);
        aid_simulated_frame_done(&three);
        aid_simulated_frame_done(&different);
    }
    aid_sky_free(sky);
    aid_sky_free(other);
    aid_pool_free(pool);
}

TEST(a_fader_is_in_the_reference_alone_and_a_transient_in_the_science_image)
{
    aid_sky_options options = lonely_stars(6, 60.0);
    options.faders = 6;
    aid_sky *sky = sky_of(&options);
    aid_simulated_frame frames[AID_SKY_EPOCHS];
    int64_t count;
    const aid_sky_source *s = aid_sky_sources(sky, &count);
    for (int e = 0; e < AID_SKY_EPOCHS; e++)
        CHECK_OK(aid_sky_render(sky, e, NULL, &frames[e], &err));
    for (int64_t i = 0; i < count; i++)
        for (int e = 0; e < AID_SKY_EPOCHS; e++) {
            double level = e == AID_SKY_SCIENCE ? 400.0 : 600.0, sigma = e ? 11.0 : 17.8;
            bool there = (s[i].kind == AID_SKY_TRANSIENT) == (e == AID_SKY_SCIENCE);
            aperture a = measure(&frames[e].image, level, s[i].x[e] - 1.0, s[i].y[e] - 1.0, 4.0);
            double significance = a.flux / (sigma * sqrt(a.pixels));
            CHECK(there ? significance > 15.0 : fabs(significance) < 5.0);
        }
    for (int e = 0; e < AID_SKY_EPOCHS; e++)
        aid_simulated_frame_done(&frames[e]);
    aid_sky_free(sky);
}

/* Charge is moved, not lost: the sum over the image stays within the photons' own scatter. */
TEST(saturated_stars_bleed_along_their_columns_and_keep_their_charge)
{
    aid_sky_options options = lonely_stars(1, 1000.0);
    options.snr_min = options.snr_max = 4e4; /* 5.4 million ADU */
    options.epoch[0].ellipticity = 0.0;
    aid_sky *sky = sky_of(&options);
    aid_simulated_frame frame = {0};
    int64_t count;
    const aid_sky_source *star = aid_sky_sources(sky, &count);
    CHECK(star->saturated[0]);
    CHECK_OK(aid_sky_render(sky, AID_SKY_SCIENCE, NULL, &frame, &err));
    int x0 = 1000, x1 = -1, y0 = 1000, y1 = -1;
    double total = 0.0;
    for (int y = 0; y < 320; y++)
        for (int x = 0; x < 400; x++) {
            double value = (double)aid_image_row(&frame.image, y)[x];
            CHECK(value < 1.02 * 60000.0 + 6.0 * 4.0);
            total += value - 400.0;
            if (aid_mask_row(&frame.mask, y)[x] & AID_MASK_SATURATED) {
                CHECK(value >= 60000.0);
                x0 = AID_MIN(x0, x), x1 = AID_MAX(x1, x);
                y0 = AID_MIN(y0, y), y1 = AID_MAX(y1, y);
            }
        }
    CHECK(x1 >= x0 && x1 - x0 < 12);
    CHECK(y1 - y0 > 2 * (x1 - x0));
    CHECK_NEAR(0.5 * (x0 + x1), star->x[0] - 1.0, 1.0);
    CHECK_NEAR(0.5 * (y0 + y1), star->y[0] - 1.0, 3.0);
    /* 128000 px of 17 ADU and sqrt(5.4e6/1.5); what lies beyond 40 alpha or the edge is < .1 % */
    CHECK_NEAR(total / star->flux_adu[0], 1.0, 5.0 * 6400.0 / 5.4e6 + 1e-3);
    aid_simulated_frame_done(&frame);
    aid_sky_free(sky);
}

/* Sky and read noise of 256 x 256 px: sigma of the sum is 17.8 x 256; the tails cut off at 4 alpha
 * take 8e-4. */
TEST(a_galaxy_has_its_flux_in_both_epochs)
{
    aid_sky_options options = lonely_stars(0, 1.0);
    options.width = options.height = 256;
    options.galaxy_density = 12.0;
    options.faint_mag = 14.2;
    aid_sky *sky = NULL;
    const aid_sky_source *s = NULL;
    int64_t count = 0;
    bool whole = false; /* all of the sky's galaxies are well inside */
    for (options.seed = 1; options.seed < 300 && !whole; options.seed++) {
        aid_sky_free(sky);
        sky = sky_of(&options);
        s = aid_sky_sources(sky, &count);
        whole = count > 0;
        for (int64_t i = 0; i < count; i++)
            whole = whole && hypot(s[i].x[0] - 128.0, s[i].y[0] - 128.0) < 50.0;
    }
    CHECK(whole);
    double sums[AID_SKY_EPOCHS] = {0};
    for (int64_t i = 0; i < count; i++)
        for (int e = 0; e < AID_SKY_EPOCHS; e++)
            sums[e] += s[i].flux_adu[e];
    for (int e = 0; e < AID_SKY_EPOCHS; e++) {
        aid_simulated_frame frame = {0};
        CHECK_OK(aid_sky_render(sky, e, NULL, &frame, &err));
        aperture all = measure(&frame.image, e ? 600.0 : 400.0, 128.0, 128.0, 1000.0);
        CHECK_NEAR(all.flux / sums[e], 1.0, 4.0 * 17.8 * 256.0 / sums[e] + 2e-3);
        aid_simulated_frame_done(&frame);
    }
    aid_sky_free(sky);
}

TEST(the_header_tells_camera_time_and_photometry)
{
    aid_sky_options options = small_options();
    aid_sky *sky = sky_of(&options);
    aid_simulated_frame frame = {0};
    double value = 0.0;
    CHECK_OK(aid_sky_render(sky, AID_SKY_REFERENCE, NULL, &frame, &err));
    CHECK(aid_header_number(&frame.header, "GAIN", &value) && value == 6.0);
    CHECK(aid_header_number(&frame.header, "RDNOISE", &value) && value == 12.0);
    CHECK(aid_header_number(&frame.header, "SATURATE", &value) && value == 60000.0);
    CHECK(aid_header_number(&frame.header, "MAGZERO", &value) && value == 26.8);
    CHECK_TEXT(aid_header_text(&frame.header, "FILTER"), "r");
    CHECK_TEXT(aid_header_text(&frame.header, "CTYPE1"), "RA---TAN-SIP");
    aid_epoch epoch = aid_epoch_from_header(&frame.header);
    /* 2024-02-09 is MJD 60349; 03:41:12.25 and a minute */
    CHECK(epoch.known);
    CHECK_NEAR(epoch.mid_mjd_utc, 60349.0 + (3 * 3600 + 41 * 60 + 12.25 + 60.0) / 86400.0, 1e-9);
    aid_simulated_frame_done(&frame);
    aid_sky_free(sky);
}

TEST(the_mask_tells_of_every_blemish)
{
    aid_sky_options options = small_options();
    options.bad_columns = 4;
    aid_sky *sky = sky_of(&options);
    aid_simulated_frame frame = {0};
    CHECK_OK(aid_sky_render(sky, AID_SKY_SCIENCE, NULL, &frame, &err));
    int64_t bad = 0, rays = 0, full_columns = 0;
    for (int x = 0; x < 400; x++) {
        int in_column = 0;
        for (int y = 0; y < 320; y++) {
            uint8_t bits = aid_mask_row(&frame.mask, y)[x];
            float value = aid_image_row(&frame.image, y)[x];
            in_column += bits & AID_MASK_BAD ? 1 : 0;
            rays += bits & AID_MASK_COSMIC_RAY ? 1 : 0;
            CHECK(value >= 60000.0f ? bits != 0 : true);
            CHECK(value < 250.0f ? bits & AID_MASK_BAD : true); /* eight sigma below the sky */
        }
        bad += in_column;
        full_columns += in_column == 320;
    }
    CHECK_EQUAL(full_columns, 2);
    CHECK(bad >= 640);
    CHECK(rays >= 3);
    aid_simulated_frame_done(&frame);
    aid_sky_free(sky);
}

TEST_MAIN()
