#include "domain/preprocessing/preprocessing.h"
#include "tests/check.h"

#include <stdint.h>

static aid_error err;
static const double pi = 3.14159265358979323846;

static double uniform(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return ((double)(*state >> 11) + 0.5) / 9007199254740992.0;
}

static double normal(uint64_t *state)
{
    double radius = sqrt(-2.0 * log(uniform(state)));
    return radius * cos(2.0 * pi * uniform(state));
}

/* An exposure of zeros with a noise mesh of `sigma`, a background of 100 and no stars. */
static aid_exposure blank(int32_t width, int32_t height, double sigma, double fwhm_px)
{
    aid_exposure exposure = {.gain = 2.0, .saturation = INFINITY, .zero_point = 25.0};
    snprintf(exposure.name, sizeof exposure.name, "ref.fits");
    CHECK_OK(aid_image_init(width, height, &exposure.image, &err));
    CHECK_OK(aid_mask_init(width, height, &exposure.mask, &err));
    CHECK_OK(aid_mesh_init(width, height, 3, 3, &exposure.noise, &err));
    CHECK_OK(aid_mesh_init(width, height, 3, 3, &exposure.background, &err));
    for (int i = 0; i < 9; i++) {
        exposure.noise.values[i] = (float)sigma;
        exposure.background.values[i] = 100.0F;
    }
    CHECK_OK(aid_header_append(&exposure.header, "OBJECT", AID_CARD_STRING, "sky", "", &err));
    exposure.stars.fwhm_px = fwhm_px;
    exposure.stars.aperture_px = 1.5 * fwhm_px;
    return exposure;
}

static aid_registration along(aid_transform map)
{
    aid_registration registration = {.transform = map};
    return registration;
}

/* Rotation and scale about the middle, then a shift. */
static aid_transform turned(int width, int height, double degrees, double scale, double dx,
                            double dy)
{
    aid_transform map = aid_transform_identity(width, height);
    double c = scale * cos(degrees * pi / 180.0), s = scale * sin(degrees * pi / 180.0);
    map.cx[1] = c * map.scale;
    map.cx[2] = -s * map.scale;
    map.cy[1] = s * map.scale;
    map.cy[2] = c * map.scale;
    map.cx[0] += dx;
    map.cy[0] += dy;
    return map;
}

/* Resamples `from` by `map` onto width x height pixels and empties it. */
static aid_exposure resampled(aid_exposure *from, aid_transform map, int32_t width, int32_t height,
                              aid_notes *notes)
{
    aid_exposure science = {.image = {.width = width, .height = height}}, to = {0};
    aid_registration registration = along(map);
    CHECK_OK(aid_resample_reference(from, &registration, &science, NULL, notes, &to, &err));
    CHECK(from->image.data == NULL && from->stars.items == NULL && from->header.cards == NULL);
    return to;
}

static void add_noise(aid_exposure *exposure, double sigma, uint64_t seed)
{
    for (int64_t i = 0; i < (int64_t)exposure->image.width * exposure->image.height; i++)
        exposure->image.data[i] += (float)(sigma * normal(&seed));
}

/* ---------------------------------------------------------------------------------- hand through
 */

TEST(a_reference_that_is_aligned_already_is_handed_through_untouched)
{
    aid_exposure from = blank(90, 70, 1.0, 3.0);
    add_noise(&from, 1.0, 3);
    const float *pixels = from.image.data;
    aid_transform map = aid_transform_identity(90, 70);
    map.cx[0] += 5e-4;
    aid_exposure to = resampled(&from, map, 90, 70, NULL);
    CHECK(to.image.data == pixels);
    CHECK(to.wcs == NULL);
    CHECK_TEXT(aid_header_text(&to.header, "OBJECT"), "sky");
    aid_exposure_done(&to);
}

TEST(equal_pixels_on_a_frame_of_another_shape_are_resampled)
{
    aid_exposure from = blank(90, 70, 1.0, 3.0);
    aid_exposure to = resampled(&from, aid_transform_identity(90, 70), 95, 60, NULL);
    CHECK(to.image.width == 95 && to.image.height == 60 && to.noise.width == 95);
    CHECK_TEXT(aid_header_text(&to.header, "OBJECT"), "sky");
    aid_exposure_done(&to);
}

/* ----------------------------------------------------------------------------------------- noise
 */

/* rms of the pixels over what the noise mesh says, in a part of the image that the input covers. */
static double pull(const aid_exposure *exposure, int32_t x0, int32_t y0, int32_t side)
{
    double sum = 0.0;
    int64_t count = 0;
    for (int32_t y = y0; y < y0 + side; y++)
        for (int32_t x = x0; x < x0 + side; x++) {
            if (aid_mask_row(&exposure->mask, y)[x])
                continue;
            double z =
                (double)aid_image_row(&exposure->image, y)[x] / aid_mesh_at(&exposure->noise, x, y);
            sum += z * z;
            count++;
        }
    CHECK(count > (int64_t)side * side / 2);
    return sqrt(sum / (double)count);
}

TEST(the_noise_mesh_stays_the_rms_of_white_noise_under_shift_rotation_and_scale)
{
    enum { SIDE = 512 };
    const double fwhms[] = {3.0, 2.0}; /* cubic and quintic splines */
    aid_transform maps[] = {
        turned(SIDE, SIDE, 0.0, 1.0, 0.5, 0.5), turned(SIDE, SIDE, 0.0, 1.0, 0.2, 7.0),
        turned(SIDE, SIDE, 0.1, 1.0, 0.0, 0.0), /* a beat of 570 px */
        turned(SIDE, SIDE, 1.3, 1.02, 3.3, -2.1), turned(SIDE, SIDE, 30.0, 0.7, 0.0, 0.0)};
    for (size_t m = 0; m < AID_COUNT_OF(maps); m++)
        for (int f = 0; f < 2; f++) {
            aid_exposure from = blank(SIDE, SIDE, 10.0, fwhms[f]);
            add_noise(&from, 10.0, 7 + m);
            aid_exposure to = resampled(&from, maps[m], SIDE, SIDE, NULL);
            CHECK(aid_mesh_median(&to.noise) < 9.95);
            /* 512^2 pixels of which a handful at a time are independent: 1/sqrt(2 * 262144/4) = .3
             * %; the 128 px squares four times that. Three sigma and what the mesh of 32 px
             * averages. */
            CHECK_NEAR(pull(&to, 20, 20, SIDE - 40), 1.0, 0.012);
            for (int k = 0; k < 9; k++)
                CHECK_NEAR(pull(&to, 40 + 150 * (k % 3), 40 + 150 * (k / 3), 128), 1.0, 0.04);
            aid_exposure_done(&to);
        }
}

TEST(noise_that_is_correlated_already_is_reduced_by_less)
{
    enum { SIDE = 512 };
    aid_exposure from = blank(SIDE, SIDE, 1.0, 3.0);
    /* Each pixel the mean of two neighbours in x: rho = 1/2 at lag 1. */
    uint64_t seed = 5;
    for (int32_t y = 0; y < SIDE; y++) {
        double before = normal(&seed);
        for (int32_t x = 0; x < SIDE; x++) {
            double next = normal(&seed);
            aid_image_row(&from.image, y)[x] = (float)((before + next) / sqrt(2.0));
            before = next;
        }
    }
    from.correlation.measured = true;
    const int centre = AID_NOISE_LAG;
    from.correlation.rho[centre][centre] = 1.0F;
    from.correlation.rho[centre][centre - 1] = from.correlation.rho[centre][centre + 1] = 0.5F;
    aid_exposure to = resampled(&from, turned(SIDE, SIDE, 0.0, 1.0, 0.5, 0.5), SIDE, SIDE, NULL);
    CHECK_NEAR(pull(&to, 20, 20, SIDE - 40), 1.0, 0.015); /* as above, fewer independent pixels */
    CHECK(to.correlation.measured);
    CHECK(to.correlation.rho[centre][centre + 1] > 0.5F);
    aid_exposure_done(&to);
}

/* Two of four pixels' noise, four of their area: the sum is what a coarser detector would have
 * seen. */
TEST(finer_reference_pixels_are_summed_before_they_are_resampled)
{
    enum { SIDE = 400 };
    aid_exposure from = blank(SIDE, SIDE, 1.0, 6.0);
    add_noise(&from, 1.0, 9);
    aid_exposure to = resampled(&from, turned(SIDE, SIDE, 0.0, 2.0, 0.0, 0.0), SIDE, SIDE, NULL);
    /* The map takes pixel centres to bin centres: no interpolation is left. */
    CHECK_NEAR(aid_mesh_median(&to.noise), 2.0, 0.02);
    CHECK_NEAR(pull(&to, 105, 105, 190), 1.0, 0.02);
    CHECK_NEAR(aid_mesh_at(&to.background, 200.0, 200.0), 400.0, 1e-3);
    CHECK_NEAR(to.gain, 2.0, 0.02);
    aid_exposure_done(&to);
}

/* ------------------------------------------------------------------------------- mask and borders
 */

TEST(every_pixel_is_finite_and_the_mask_says_which_were_not)
{
    enum { SIDE = 120 };
    aid_exposure from = blank(SIDE, SIDE, 1.0, 3.0);
    add_noise(&from, 1.0, 2);
    for (int32_t i = 0; i < SIDE; i++) {
        aid_image_row(&from.image, i)[40] = 1e5F; /* a bad column that filling must hide */
        aid_mask_row(&from.mask, i)[40] = AID_MASK_BAD;
    }
    aid_exposure to = resampled(&from, turned(SIDE, SIDE, 0.0, 1.0, 10.5, 20.0), SIDE, SIDE, NULL);
    for (int32_t y = 0; y < SIDE; y++)
        for (int32_t x = 0; x < SIDE; x++) {
            double u = x + 10.5, v = y + 20.0;
            bool off = u > SIDE - 1 || v > SIDE - 1;
            uint8_t bits = aid_mask_row(&to.mask, y)[x];
            float value = aid_image_row(&to.image, y)[x];
            CHECK(isfinite(value));
            CHECK_EQUAL(bits, off ? AID_MASK_NO_DATA : fabs(u - 40.0) < 0.99 ? AID_MASK_BAD : 0);
            CHECK(!off || value == 0.0F);
            if (bits & AID_MASK_BAD) /* an average of neighbours, which ring */
                CHECK(fabsf(value) < 2e4F);
        }
    aid_exposure_done(&to);
}

/* ----------------------------------------------------------------------------------- stars and PSF
 */

static double gaussian_flux(double sigma, double peak)
{
    return peak * 2.0 * pi * sigma * sigma;
}

/* Elliptical Gaussian stars, long axis along +x. */
static void put_stars(aid_exposure *exposure, int count, double a, double b)
{
    exposure->stars.items = calloc((size_t)count, sizeof *exposure->stars.items);
    CHECK(exposure->stars.items != NULL);
    exposure->stars.count = count;
    uint64_t seed = 4;
    for (int i = 0; i < count; i++) {
        double x0 = 15.0 + (exposure->image.width - 30.0) * uniform(&seed);
        double y0 = 15.0 + (exposure->image.height - 30.0) * uniform(&seed);
        double peak = 3000.0 - 20.0 * i;
        exposure->stars.items[i] = (aid_star){.x = x0,
                                              .y = y0,
                                              .flux = gaussian_flux(sqrt(a * b), peak),
                                              .flux_err = 10.0,
                                              .peak = peak,
                                              .a = a,
                                              .b = b,
                                              .half_light_px = 1.177 * sqrt(a * b),
                                              .npix = 40};
        for (int32_t y = AID_MAX(0, (int32_t)y0 - 15);
             y < AID_MIN(exposure->image.height, (int32_t)y0 + 16); y++)
            for (int32_t x = AID_MAX(0, (int32_t)x0 - 15);
                 x < AID_MIN(exposure->image.width, (int32_t)x0 + 16); x++)
                aid_image_row(&exposure->image, y)[x] +=
                    (float)(peak * exp(-0.5 * (pow((x - x0) / a, 2.0) + pow((y - y0) / b, 2.0))));
    }
}

TEST(stars_move_with_the_sky_and_those_off_the_frame_are_dropped)
{
    enum { SIDE = 300 };
    aid_exposure from = blank(SIDE, SIDE, 1.0, 3.5);
    put_stars(&from, 60, 1.8, 1.3);
    add_noise(&from, 1.0, 8);
    aid_transform map = turned(SIDE, SIDE, 90.0, 1.25, 60.0, 0.0);
    aid_star before[60];
    memcpy(before, from.stars.items, sizeof before);
    aid_exposure to = resampled(&from, map, SIDE, SIDE, NULL);
    CHECK_NEAR(to.stars.fwhm_px, 3.5 / 1.25, 1e-12);
    int kept = 0;
    for (int i = 0; i < 60; i++) {
        double x, y;
        CHECK(aid_transform_invert(&map, before[i].x, before[i].y, &x, &y));
        if (x < -0.5 || y < -0.5 || x > SIDE - 0.5 || y > SIDE - 0.5)
            continue;
        const aid_star *star = &to.stars.items[kept++];
        CHECK_NEAR(star->x, x, 1e-6);
        CHECK_NEAR(star->y, y, 1e-6);
        CHECK_NEAR(star->flux, before[i].flux, 0.0);
        CHECK_NEAR(star->peak, before[i].peak * 1.5625, 1e-6);
        CHECK_NEAR(star->a, 1.8 / 1.25, 1e-9);
        CHECK_NEAR(star->b, 1.3 / 1.25, 1e-9);
        CHECK_NEAR(fabs(star->theta_deg), 90.0, 1e-6);
        bool near_edge =
            AID_MIN(AID_MIN(x, y), AID_MIN(SIDE - 1 - x, SIDE - 1 - y)) < to.stars.aperture_px;
        CHECK_EQUAL((star->flags & AID_STAR_TRUNCATED) != 0, near_edge);
        /* The pixels agree: the peak's neighbourhood holds at least 70 % of it. */
        if (!near_edge)
            CHECK(aid_image_row(&to.image, (int32_t)lround(y))[lround(x)] > 0.7 * star->peak);
    }
    CHECK_EQUAL(to.stars.count, kept);
    CHECK(kept > 30 && kept < 60);
    aid_exposure_done(&to);
}

TEST(the_psf_is_that_of_the_resampled_pixels)
{
    enum { SIDE = 400 };
    aid_exposure from = blank(SIDE, SIDE, 1.0, 3.5);
    put_stars(&from, 50, 1.5, 1.5);
    add_noise(&from, 1.0, 8);
    aid_exposure to = resampled(&from, turned(SIDE, SIDE, 1.3, 1.1, 0.3, 0.2), SIDE, SIDE, NULL);
    /* sigma 1.5 px over 1.1: FWHM 3.21 px; the diameter at half maximum is counted on a fine grid,
     * and a spline broadens by a percent. */
    CHECK_NEAR(to.psf.fwhm_px, 2.3548 * 1.5 / 1.1, 0.06);
    CHECK(to.psf.stars_used >= 20);
    CHECK_NEAR(to.gain, 2.0 / 1.21, 1e-9); /* by the area */
    /* Against the brightest sound star of the image: within a hundredth of the peak. */
    int star = 0;
    while (to.stars.items[star].flags)
        star++;
    enum { RADIUS = 6 };
    float stamp[(2 * RADIUS + 1) * (2 * RADIUS + 1)];
    double x = to.stars.items[star].x, y = to.stars.items[star].y;
    int32_t cx = (int32_t)lround(x), cy = (int32_t)lround(y);
    aid_psf_stamp(&to.psf, x, y, x - cx, y - cy, RADIUS, stamp);
    for (int j = 0; j <= 2 * RADIUS; j++)
        for (int i = 0; i <= 2 * RADIUS; i++) {
            double model = to.stars.items[star].flux * (double)stamp[j * (2 * RADIUS + 1) + i];
            CHECK_NEAR(aid_image_row(&to.image, cy + j - RADIUS)[cx + i - RADIUS], model,
                       0.012 * to.stars.items[star].peak);
        }
    aid_exposure_done(&to);
}

TEST(without_stars_a_shifted_reference_keeps_its_psf_and_a_turned_one_has_none)
{
    enum { SIDE = 400 };
    for (int turn = 0; turn < 2; turn++) {
        aid_exposure from = blank(SIDE, SIDE, 1.0, 3.5);
        put_stars(&from, 50, 1.5, 1.5);
        add_noise(&from, 1.0, 8);
        CHECK_OK(aid_psf_build(&from.image, &from.mask, &from.noise, &from.stars, &AID_PSF_DEFAULTS,
                               NULL, NULL, &from.psf, &err));
        double fwhm_px = from.psf.fwhm_px, x0 = from.psf.x0;
        from.stars.count = 0;
        aid_notes notes = {0};
        aid_exposure to = resampled(&from, turned(SIDE, SIDE, turn ? 40.0 : 0.0, 1.0, 30.25, 0.0),
                                    SIDE, SIDE, &notes);
        CHECK(notes.count >= 1);
        if (turn) {
            CHECK_EQUAL(to.psf.radius_px, 0);
        } else {
            CHECK_NEAR(to.psf.fwhm_px, fwhm_px, 0.0);
            CHECK_NEAR(to.psf.x0, x0 - 30.25, 1e-6);
        }
        aid_exposure_done(&to);
    }
}

/* -------------------------------------------------------------------------- failure and threads */

TEST(on_failure_the_reference_is_released_and_the_result_left_alone)
{
    aid_exposure from = blank(60, 50, 1.0, 3.0), science = {.image = {.width = 0, .height = 40}};
    aid_exposure to = {.gain = -7.0};
    aid_registration registration = along(turned(60, 50, 1.0, 1.0, 3.0, 2.0));
    CHECK_REFUSED(aid_resample_reference(&from, &registration, &science, NULL, NULL, &to, &err),
                  AID_ERR_INVALID, "0 x 40");
    CHECK(from.image.data == NULL && from.header.cards == NULL);
    CHECK(to.gain == -7.0);
}

TEST(one_and_seven_threads_give_the_same_reference)
{
    enum { SIDE = 260 };
    aid_exposure results[2];
    for (int k = 0; k < 2; k++) {
        aid_pool *pool = NULL;
        CHECK_OK(aid_pool_new(k ? 7 : 1, &pool, &err));
        aid_exposure from = blank(SIDE, SIDE, 1.0, 3.5), science = {.image = {.width = SIDE}};
        science.image.height = SIDE;
        put_stars(&from, 40, 1.5, 1.4);
        add_noise(&from, 1.0, 8);
        aid_registration registration = along(turned(SIDE, SIDE, 2.0, 1.01, 3.0, 2.0));
        CHECK_OK(
            aid_resample_reference(&from, &registration, &science, pool, NULL, &results[k], &err));
        aid_pool_free(pool);
    }
    const aid_exposure *one = &results[0], *many = &results[1];
    CHECK(!memcmp(one->image.data, many->image.data, SIDE * SIDE * sizeof(float)));
    CHECK(!memcmp(one->mask.data, many->mask.data, SIDE * SIDE));
    CHECK(!memcmp(&one->correlation, &many->correlation, sizeof one->correlation));
    CHECK_EQUAL(one->stars.count, many->stars.count);
    float stamp_one[11 * 11], stamp_many[11 * 11];
    aid_psf_stamp(&one->psf, 100.0, 120.0, 0.2, 0.1, 5, stamp_one);
    aid_psf_stamp(&many->psf, 100.0, 120.0, 0.2, 0.1, 5, stamp_many);
    CHECK(!memcmp(stamp_one, stamp_many, sizeof stamp_one));
    aid_exposure_done(&results[0]);
    aid_exposure_done(&results[1]);
}

TEST_MAIN()
