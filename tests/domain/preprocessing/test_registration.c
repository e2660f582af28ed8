#include "domain/preprocessing/preprocessing.h"
#include "tests/check.h"

#include <stdint.h>

static aid_error err;
static const double pi = 3.14159265358979323846;

/* ------------------------------------------------------------------------------- simulated sky */

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

/* Science position -> reference position. */
typedef void (*sky_map)(double x, double y, double *ret_x, double *ret_y);

/* A blank exposure with noise of 1 and room for stars. */
static aid_exposure blank(const char *name, int32_t width, int32_t height, int stars)
{
    aid_exposure exposure = {.gain = INFINITY, .saturation = INFINITY, .zero_point = NAN};
    snprintf(exposure.name, sizeof exposure.name, "%s", name);
    CHECK_OK(aid_image_init(width, height, &exposure.image, &err));
    CHECK_OK(aid_mesh_init(width, height, 2, 2, &exposure.noise, &err));
    for (int i = 0; i < 4; i++)
        exposure.noise.values[i] = 1.0F;
    exposure.stars.items = calloc((size_t)stars + 1, sizeof *exposure.stars.items);
    CHECK(exposure.stars.items != NULL);
    exposure.stars.fwhm_px = 3.0;
    exposure.stars.aperture_px = 4.5;
    return exposure;
}

static void release(aid_exposure *exposure)
{
    aid_image_done(&exposure->image);
    aid_mask_done(&exposure->mask);
    aid_mesh_done(&exposure->noise);
    aid_wcs_free(exposure->wcs);
    aid_header_done(&exposure->header);
    free(exposure->stars.items);
}

/* A star of the list, if it lies on the image: measured with the error that its flux allows. On a
 * noise of 1 that of its flux is sqrt(8 pi) sigma, for the weights of a Gaussian that wide have
 * 8 pi sigma^2 pixels' worth. */
static void put_star(aid_exposure *exposure, double x, double y, double snr, uint64_t *noise)
{
    double sigma = 3.0 / 2.355 / snr;
    x += sigma * normal(noise);
    y += sigma * normal(noise);
    if (x < 3.0 || y < 3.0 || x > exposure->image.width - 5.0 || y > exposure->image.height - 5.0)
        return;
    exposure->stars.items[exposure->stars.count++] =
        (aid_star){.x = x, .y = y, .flux = 6.387 * snr, .flux_err = 6.387, .a = 1.3, .b = 1.3};
}

static int by_flux(const void *a, const void *b)
{
    const aid_star *p = a, *q = b;
    return p->flux != q->flux ? (p->flux > q->flux ? -1 : 1) : (p->x > q->x) - (p->x < q->x);
}

static void sort_stars(aid_exposure *exposure)
{
    qsort(exposure->stars.items, (size_t)exposure->stars.count, sizeof(aid_star), by_flux);
}

typedef struct sky_pair {
    aid_exposure science, reference;
} sky_pair;

static double random_snr(uint64_t *seed)
{
    double snr = 15.0 / pow(uniform(seed), 0.9);
    return AID_MIN(snr, 1500.0);
}

/* `count` stars spread over the science image and half as far around it again, of S/N 15 to 1500,
 * seen by both where they fall on the frame; each list misses a tenth of them. */
static sky_pair pair_of(int32_t side, int count, sky_map map, uint64_t seed)
{
    sky_pair pair = {blank("sci.fits", side, side, count), blank("ref.fits", side, side, count)};
    for (int i = 0; i < count; i++) {
        double x = (2.0 * uniform(&seed) - 0.5) * side, y = (2.0 * uniform(&seed) - 0.5) * side;
        double snr = random_snr(&seed), u, v;
        map(x, y, &u, &v);
        if (uniform(&seed) > 0.1)
            put_star(&pair.science, x, y, snr, &seed);
        if (uniform(&seed) > 0.1)
            put_star(&pair.reference, u, v, 0.8 * snr, &seed);
    }
    sort_stars(&pair.science);
    sort_stars(&pair.reference);
    return pair;
}

static void pair_done(sky_pair *pair)
{
    release(&pair->science);
    release(&pair->reference);
}

static aid_status register_pair(const sky_pair *pair, aid_notes *notes,
                                aid_registration *registration)
{
    return aid_register(&pair->science, &pair->reference, &AID_REGISTRATION_DEFAULTS, NULL, notes,
                        registration, &err);
}

/* rms distance between found and true map over the part that the reference covers. */
static double field_error(const sky_pair *pair, const aid_transform *found, sky_map truth,
                          double *ret_worst)
{
    double square = 0.0, worst = 0.0;
    int count = 0;
    for (int j = 0; j <= 20; j++)
        for (int i = 0; i <= 20; i++) {
            double x = i / 20.0 * (pair->science.image.width - 1), u, v, at_u, at_v;
            double y = j / 20.0 * (pair->science.image.height - 1);
            truth(x, y, &u, &v);
            if (u < 0 || v < 0 || u > pair->reference.image.width ||
                v > pair->reference.image.height)
                continue;
            aid_transform_apply(found, x, y, &at_u, &at_v);
            double away = hypot(at_u - u, at_v - v);
            square += away * away;
            worst = AID_MAX(worst, away);
            count++;
        }
    if (ret_worst)
        *ret_worst = worst;
    return sqrt(square / count);
}

/* A similarity about (500, 500). */
static void similar(double degrees, double scale, bool flip, double x, double y, double ret[2])
{
    double angle = degrees * pi / 180.0, dx = x - 500.0, dy = flip ? 500.0 - y : y - 500.0;
    ret[0] = 500.0 + scale * (cos(angle) * dx - sin(angle) * dy);
    ret[1] = 500.0 + scale * (sin(angle) * dx + cos(angle) * dy);
}

#define SIMILAR(name, degrees, scale, flip, shift_x, shift_y)                                      \
    static void name(double x, double y, double *ret_x, double *ret_y)                             \
    {                                                                                              \
        double at[2];                                                                              \
        similar(degrees, scale, flip, x, y, at);                                                   \
        *ret_x = at[0] + (shift_x);                                                                \
        *ret_y = at[1] + (shift_y);                                                                \
    }
SIMILAR(unmoved, 0.0, 1.0, false, 0.0, 0.0)
SIMILAR(shifted_by_hundreds, 0.0, 1.0, false, 341.3, -277.8)
SIMILAR(turned_a_little, 0.15, 1.0, false, 12.34, -7.77)
SIMILAR(turned_12, 12.0, 1.0, false, 83.4, -57.9)
SIMILAR(turned_90, 90.0, 1.0, false, 3.0, 4.0)
SIMILAR(turned_180, 180.0, 1.0, false, -20.5, 31.2)
SIMILAR(scaled_up, 3.0, 1.02, false, 5.0, -9.0)
SIMILAR(scaled_twice, 30.0, 2.0, false, 10.0, 20.0)
SIMILAR(scaled_half, -45.0, 0.5, false, 10.0, 20.0)
SIMILAR(scaled_quarter, 77.0, 0.25, false, 10.0, 20.0)
SIMILAR(mirrored, 0.0, 1.0, true, 30.0, -12.0)
SIMILAR(mirrored_and_turned, 201.0, 1.1, true, 30.0, -12.0)

/* ------------------------------------------------------------------------------- star patterns */

typedef struct known_map {
    sky_map map;
    double rotation_deg, scale;
    double overlap; /* NaN: not worked out here */
} known_map;

TEST(any_shift_rotation_scale_and_mirror_image_is_recovered_from_the_stars)
{
    static const known_map maps[] = {
        {unmoved, 0.0, 1.0, 1.0},
        {shifted_by_hundreds, 0.0, 1.0, (1.0 - 0.3413) * (1.0 - 0.2778)},
        {turned_a_little, 0.15, 1.0, NAN},
        {turned_12, 12.0, 1.0, NAN},
        {turned_90, 90.0, 1.0, NAN},
        {turned_180, 180.0, 1.0, NAN},
        {scaled_up, 3.0, 1.02, NAN},
        {scaled_twice, 30.0, 2.0, NAN},
        {scaled_half, -45.0, 0.5, 1.0},
        {scaled_quarter, 77.0, 0.25, 1.0},
        {mirrored, 0.0, 1.0, NAN},
        {mirrored_and_turned, -159.0, 1.1, NAN}};
    for (size_t i = 0; i < AID_COUNT_OF(maps); i++) {
        sky_pair pair = pair_of(1000, 500, maps[i].map, 17 + i);
        aid_registration found = {0};
        CHECK_OK(register_pair(&pair, NULL, &found));
        CHECK_TEXT(found.method, "stars");
        /* 30 to 120 stars with errors of up to .085 px, in one image times the scale: the mean of
         * four parameters is good to .02 px, four times that is allowed. */
        double allowed = 0.08 * AID_MAX(1.0, maps[i].scale);
        CHECK_NEAR(field_error(&pair, &found.transform, maps[i].map, NULL), 0.0, allowed);
        CHECK_NEAR(found.scale, maps[i].scale, 2e-4 * maps[i].scale);
        CHECK_NEAR(remainder(found.rotation_deg - maps[i].rotation_deg, 360.0), 0.0, 0.02);
        CHECK(found.matched >= 20 && found.rms_px < 0.2 * AID_MAX(1.0, maps[i].scale));
        if (isfinite(maps[i].overlap)) /* counted on 64 x 64 positions */
            CHECK_NEAR(found.overlap, maps[i].overlap, 0.02);
        pair_done(&pair);
    }
}

TEST(a_reference_five_times_as_wide_is_found_by_the_few_stars_that_both_have)
{
    sky_pair pair = {blank("sci.fits", 400, 400, 2000), blank("ref.fits", 2000, 2000, 2000)};
    uint64_t seed = 5;
    for (int i = 0; i < 1500; i++) {
        double u = 2000.0 * uniform(&seed), v = 2000.0 * uniform(&seed), snr = random_snr(&seed);
        put_star(&pair.reference, u, v, snr, &seed);
        put_star(&pair.science, 1.1 * (v - 700.0), 1.1 * (u - 1100.0), snr, &seed); /* mirrored */
    }
    sort_stars(&pair.science);
    sort_stars(&pair.reference);
    aid_registration found = {0};
    CHECK_OK(register_pair(&pair, NULL, &found));
    CHECK_TEXT(found.method, "stars");
    double u, v;
    aid_transform_apply(&found.transform, 110.0, 220.0, &u, &v);
    CHECK_NEAR(u, 1300.0, 0.1);
    CHECK_NEAR(v, 800.0, 0.1);
    pair_done(&pair);
}

TEST(three_common_stars_are_enough_for_a_shift)
{
    sky_pair pair = {blank("sci.fits", 500, 500, 3), blank("ref.fits", 500, 500, 3)};
    static const double places[3][2] = {{100.0, 400.0}, {250.0, 120.0}, {333.0, 300.0}};
    uint64_t seed = 3;
    for (int i = 0; i < 3; i++) {
        put_star(&pair.science, places[i][0], places[i][1], 200.0, &seed);
        put_star(&pair.reference, places[i][0] + 61.5, places[i][1] - 47.25, 200.0, &seed);
    }
    aid_registration found = {0};
    CHECK_OK(register_pair(&pair, NULL, &found));
    CHECK_TEXT(found.method, "stars");
    CHECK_EQUAL(found.matched, 3);
    CHECK_EQUAL(found.transform.degree, 1);
    double u, v;
    aid_transform_apply(&found.transform, 250.0, 250.0, &u, &v);
    CHECK_NEAR(u, 311.5, 0.05); /* errors of .009 px in a fit of four parameters */
    CHECK_NEAR(v, 202.75, 0.05);
    pair_done(&pair);
}

TEST(stars_of_different_fields_are_refused_with_the_numbers_and_the_result_left_alone)
{
    for (uint64_t seed = 1; seed <= 6; seed++) {
        sky_pair one = pair_of(700, 60 * (int)seed, unmoved, seed);
        sky_pair two = pair_of(700, 400, unmoved, 1000 + seed);
        sky_pair mixed = {one.science, two.reference};
        aid_registration found = {.matched = -3};
        CHECK_REFUSED(register_pair(&mixed, NULL, &found), AID_ERR_INVALID,
                      "sci.fits and ref.fits: no overlap found");
        CHECK(strstr(err.message, "stars agree; ") && strstr(err.message, " needed"));
        CHECK_EQUAL(found.matched, -3);
        pair_done(&one);
        pair_done(&two);
    }
}

TEST(an_overlap_below_the_least_is_refused)
{
    sky_pair pair = pair_of(1000, 1500, shifted_by_hundreds, 9);
    aid_registration found = {.matched = -3};
    aid_registration_options options = AID_REGISTRATION_DEFAULTS;
    options.min_overlap = 0.6;
    CHECK_REFUSED(aid_register(&pair.science, &pair.reference, &options, NULL, NULL, &found, &err),
                  AID_ERR_INVALID, "sci.fits and ref.fits overlap by only 47");
    CHECK_EQUAL(found.matched, -3);
    pair_done(&pair);
}

TEST(hot_pixels_that_stay_while_the_sky_moves_are_not_taken_for_stars)
{
    sky_pair pair = pair_of(800, 400, turned_a_little, 4);
    uint64_t seed = 8;
    for (int i = 0; i < 150 && i < pair.science.stars.count && i < pair.reference.stars.count;
         i += 2) {
        aid_star pixel = {.x = 5.0 + floor(790.0 * uniform(&seed)),
                          .y = 5.0 + floor(790.0 * uniform(&seed)),
                          .flux = 3000.0,
                          .flux_err = 1.0,
                          .flags = AID_STAR_SHARP};
        pair.science.stars.items[i] = pair.reference.stars.items[i] = pixel;
    }
    sort_stars(&pair.science);
    sort_stars(&pair.reference);
    aid_registration found = {0};
    CHECK_OK(register_pair(&pair, NULL, &found));
    CHECK_NEAR(field_error(&pair, &found.transform, turned_a_little, NULL), 0.0, 0.1);
    pair_done(&pair);
}

/* ---------------------------------------------------------------------------------- refinement */

/* As the registration error of a real camera: 0.3 px, smooth, of no polynomial form. */
static void wavy(double x, double y, double *ret_x, double *ret_y)
{
    double u = 2.0 * pi * x / 2048.0, v = 2.0 * pi * y / 2048.0;
    *ret_x = x + 41.0 + 0.3 * sin(u + 0.4) * cos(0.7 * v);
    *ret_y = y - 13.0 + 0.3 * cos(0.8 * u) * sin(v - 1.0);
}

TEST(a_smooth_distortion_is_followed_by_a_higher_degree_when_there_are_stars_enough)
{
    sky_pair pair = pair_of(2048, 8000, wavy, 6);
    aid_registration found = {0};
    CHECK_OK(register_pair(&pair, NULL, &found));
    CHECK(found.transform.degree >= 4);
    /* numpy 1.24.2: the best polynomial of degree 5 leaves .0435 px rms of it; noise and weights
     * that favour bright stars may add half as much. */
    CHECK_NEAR(field_error(&pair, &found.transform, wavy, NULL), 0.0, 0.065);
    CHECK(found.systematic_px > 0.005 && found.systematic_px < 0.06);
    aid_registration_options affine = {.max_degree = 1, .min_overlap = 0.05};
    CHECK_OK(aid_register(&pair.science, &pair.reference, &affine, NULL, NULL, &found, &err));
    CHECK_EQUAL(found.transform.degree, 1);
    CHECK(found.systematic_px > 0.1 && found.systematic_px < 0.3);
    pair_done(&pair);
}

TEST(few_stars_stay_with_a_simple_map_and_its_corners_stay_sane)
{
    for (uint64_t seed = 1; seed <= 10; seed++) {
        sky_pair pair = pair_of(1000, 50, turned_a_little, 100 + seed); /* about ten common ones */
        aid_registration found = {0};
        CHECK_OK(register_pair(&pair, NULL, &found));
        CHECK(found.matched < 20);
        CHECK_EQUAL(found.transform.degree, 1);
        double worst;
        field_error(&pair, &found.transform, turned_a_little, &worst);
        CHECK(worst < 0.5);
        pair_done(&pair);
    }
}

static void a_twentieth(double x, double y, double *ret_x, double *ret_y)
{
    *ret_x = x + 0.05;
    *ret_y = y;
}

TEST(aligned_images_get_the_identity_itself_and_a_twentieth_of_a_pixel_is_no_identity)
{
    for (uint64_t seed = 1; seed <= 5; seed++) {
        sky_pair aligned = pair_of(1000, 800, unmoved, seed);
        sky_pair shifted = pair_of(1000, 800, a_twentieth, seed);
        aid_registration found = {0};
        CHECK_OK(register_pair(&aligned, NULL, &found));
        CHECK_TEXT(found.method, "stars");
        CHECK(found.matched > 100);
        CHECK_NEAR(field_error(&aligned, &found.transform, unmoved, NULL), 0.0, 1e-9);
        CHECK_OK(register_pair(&shifted, NULL, &found));
        /* 170 stars of up to .085 px, the bright ones much better: the mean is good to .005 px. */
        CHECK_NEAR(field_error(&shifted, &found.transform, a_twentieth, NULL), 0.0, 0.02);
        pair_done(&aligned);
        pair_done(&shifted);
    }
}

/* Stars in the middle third only: what they say of the corners must not be made up. */
TEST(where_there_are_no_stars_a_high_degree_is_not_trusted)
{
    sky_pair pair = {blank("sci.fits", 2048, 2048, 500), blank("ref.fits", 2048, 2048, 500)};
    uint64_t seed = 12;
    for (int i = 0; i < 300; i++) {
        double x = 700.0 + 650.0 * uniform(&seed), y = 700.0 + 650.0 * uniform(&seed), u, v;
        double snr = random_snr(&seed);
        wavy(x, y, &u, &v);
        put_star(&pair.science, x, y, snr, &seed);
        put_star(&pair.reference, u, v, snr, &seed);
    }
    sort_stars(&pair.science);
    sort_stars(&pair.reference);
    aid_registration found = {0};
    CHECK_OK(register_pair(&pair, NULL, &found));
    double worst;
    field_error(&pair, &found.transform, wavy, &worst);
    /* The tangent of a wave of 0.3 px and 2048 px period, followed for 1000 px: 0.9 px, and 0.6 px
     * of the wave itself on either axis. */
    CHECK(worst < 2.0);
    pair_done(&pair);
}

TEST(stars_that_have_moved_do_not_draw_the_map_with_them)
{
    sky_pair pair = pair_of(1000, 500, turned_12, 31), moved = pair_of(1000, 500, turned_12, 31);
    for (int i = 0; i < moved.science.stars.count; i += 5)
        moved.science.stars.items[i].x += 0.8; /* a fifth, the brightest among them */
    aid_registration still = {0}, found = {0};
    CHECK_OK(register_pair(&pair, NULL, &still));
    CHECK_OK(register_pair(&moved, NULL, &found));
    CHECK_NEAR(field_error(&moved, &found.transform, turned_12, NULL), 0.0, 0.03);
    CHECK(found.matched < still.matched - 5);
    pair_done(&pair);
    pair_done(&moved);
}

TEST(the_systematic_error_is_what_centroid_noise_does_not_explain)
{
    sky_pair pair = pair_of(1500, 4000, turned_a_little, 77);
    aid_registration found = {0};
    CHECK_OK(register_pair(&pair, NULL, &found));
    CHECK(found.systematic_px < 0.01);
    CHECK_NEAR(found.rms_px * found.rms_px,
               0.5 * (found.rms_x_px * found.rms_x_px + found.rms_y_px * found.rms_y_px), 1e-12);
    uint64_t seed = 5; /* turbulence of .05 px per axis on every star of one image */
    for (int i = 0; i < pair.science.stars.count; i++) {
        pair.science.stars.items[i].x += 0.05 * normal(&seed);
        pair.science.stars.items[i].y += 0.05 * normal(&seed);
    }
    CHECK_OK(register_pair(&pair, NULL, &found));
    CHECK_NEAR(found.systematic_px, 0.05, 0.006); /* 800 stars: 1/sqrt(2*2*800) = 2 %; 6 of these */
    pair_done(&pair);
}

/* --------------------------------------------------------------------------- world coordinates */

static void card(aid_header *header, const char *keyword, aid_card_kind kind, const char *value)
{
    CHECK_OK(aid_header_append(header, keyword, kind, value, "", &err));
}

/* TAN, 0.5 arcsec a pixel, north up; (crpix_x, crpix_y) is 0-based. */
static void give_wcs(aid_exposure *exposure, double ra, double dec, double crpix_x, double crpix_y)
{
    static const char *const names[] = {"CRVAL1", "CRVAL2", "CRPIX1", "CRPIX2",
                                        "CD1_1",  "CD1_2",  "CD2_1",  "CD2_2"};
    double step = 0.5 / 3600.0;
    double values[] = {ra, dec, crpix_x + 1.0, crpix_y + 1.0, -step, 0.0, 0.0, step};
    char text[40];
    card(&exposure->header, "CTYPE1", AID_CARD_STRING, "RA---TAN");
    card(&exposure->header, "CTYPE2", AID_CARD_STRING, "DEC--TAN");
    for (int i = 0; i < 8; i++) {
        snprintf(text, sizeof text, "%.15g", values[i]);
        card(&exposure->header, names[i], AID_CARD_NUMBER, text);
    }
    CHECK_OK(aid_wcs_new(&exposure->header, &exposure->wcs, &err));
    CHECK(exposure->wcs != NULL);
}

TEST(world_coordinates_that_are_some_pixels_off_are_corrected_by_the_stars)
{
    sky_pair pair = pair_of(1000, 300, shifted_by_hundreds, 19);
    give_wcs(&pair.science, 150.0, 2.0, 500.0, 500.0);
    give_wcs(&pair.reference, 150.0, 2.0, 500.0 + 341.3 + 38.0, 500.0 - 277.8 - 22.0);
    aid_notes notes = {0};
    aid_registration found = {0};
    CHECK_OK(register_pair(&pair, &notes, &found));
    CHECK_TEXT(found.method, "wcs + stars");
    CHECK_EQUAL(notes.count, 0);
    CHECK_NEAR(field_error(&pair, &found.transform, shifted_by_hundreds, NULL), 0.0, 0.06);
    pair_done(&pair);
}

TEST(world_coordinates_that_contradict_the_stars_are_put_aside_with_a_note)
{
    sky_pair pair = pair_of(1000, 300, turned_12, 19);
    give_wcs(&pair.science, 150.0, 2.0, 500.0, 500.0);
    give_wcs(&pair.reference, 150.0, 2.03, 500.0, 500.0); /* 216 px off, and not turned */
    aid_notes notes = {0};
    aid_registration found = {0};
    CHECK_OK(register_pair(&pair, &notes, &found));
    CHECK_TEXT(found.method, "stars");
    CHECK_EQUAL(notes.count, 1);
    CHECK(strstr(notes.items[0].text, "px off what the stars say"));
    CHECK_NEAR(field_error(&pair, &found.transform, turned_12, NULL), 0.0, 0.06);
    pair_done(&pair);
}

TEST(without_stars_world_coordinates_are_used_as_they_are_and_a_note_says_so)
{
    sky_pair pair = {blank("sci.fits", 200, 200, 0), blank("ref.fits", 240, 220, 0)};
    give_wcs(&pair.science, 150.0, 2.0, 100.0, 100.0);
    give_wcs(&pair.reference, 150.0, 2.0, 110.5, 95.25);
    aid_notes notes = {0};
    aid_registration found = {0};
    CHECK_OK(register_pair(&pair, &notes, &found));
    CHECK_TEXT(found.method, "wcs");
    CHECK_EQUAL(notes.count, 1);
    CHECK(strstr(notes.items[0].text, "too few stars to verify"));
    CHECK_EQUAL(found.matched, 0);
    CHECK(isnan(found.rms_px) && isnan(found.systematic_px));
    double u, v;
    aid_transform_apply(&found.transform, 20.0, 180.0, &u, &v);
    CHECK_NEAR(u, 30.5, 1e-3); /* the polynomial through the WCS is good to 5e-4 px */
    CHECK_NEAR(v, 175.25, 1e-3);
    pair_done(&pair);
}

/* --------------------------------------------------------------------------- pixels themselves */

/* Faint blobs of sigma 2 px, far too many and too faint to be stars, on noise of 1. */
static sky_pair textured(double amplitude, double dx, double dy)
{
    enum { SIDE = 256, BLOBS = 900 };
    sky_pair pair = {blank("sci.fits", SIDE, SIDE, 0), blank("ref.fits", SIDE, SIDE, 0)};
    aid_image *images[] = {&pair.science.image, &pair.reference.image};
    uint64_t seed = 99, noise = 5;
    for (int i = 0; i < SIDE * SIDE; i++) {
        images[0]->data[i] = (float)normal(&noise);
        images[1]->data[i] = (float)normal(&noise);
    }
    for (int blob = 0; blob < BLOBS; blob++) {
        double at_x = 400.0 * uniform(&seed) - 72.0, at_y = 400.0 * uniform(&seed) - 72.0;
        for (int k = 0; k < 2; k++) {
            double x0 = at_x + k * dx, y0 = at_y + k * dy;
            for (int y = AID_MAX(0, (int)y0 - 8); y < AID_MIN(SIDE, (int)y0 + 9); y++)
                for (int x = AID_MAX(0, (int)x0 - 8); x < AID_MIN(SIDE, (int)x0 + 9); x++) {
                    double squared = (x - x0) * (x - x0) + (y - y0) * (y - y0);
                    aid_image_row(images[k], y)[x] += (float)(amplitude * exp(-squared / 8.0));
                }
        }
    }
    return pair;
}

TEST(without_stars_phase_correlation_finds_the_shift)
{
    sky_pair pair = textured(4.0, 37.3, -21.6);
    aid_notes notes = {0};
    aid_registration found = {0};
    CHECK_OK(register_pair(&pair, &notes, &found));
    CHECK_TEXT(found.method, "phase correlation");
    CHECK_EQUAL(notes.count, 1);
    CHECK(strstr(notes.items[0].text, "phase correlation"));
    double u, v;
    aid_transform_apply(&found.transform, 100.0, 100.0, &u, &v);
    CHECK_NEAR(u, 137.3, 0.15);
    CHECK_NEAR(v, 78.4, 0.15);
    CHECK(found.correlation > 0.5);
    pair_done(&pair);
}

TEST(a_weak_correlation_near_no_shift_counts_as_aligned_and_elsewhere_not_at_all)
{
    sky_pair near = textured(0.62, 0.3, 0.2), far = textured(0.62, 60.3, 0.2);
    aid_notes notes = {0};
    aid_registration found = {0};
    CHECK_OK(register_pair(&near, &notes, &found));
    CHECK_TEXT(found.method, "identity");
    CHECK_EQUAL(notes.count, 1);
    CHECK_NEAR(found.shift_px, 0.0, 1e-9);
    found.matched = -3;
    CHECK_REFUSED(register_pair(&far, &notes, &found), AID_ERR_INVALID, "no overlap found");
    CHECK_EQUAL(found.matched, -3);
    pair_done(&near);
    pair_done(&far);
}

TEST(blank_images_are_refused)
{
    sky_pair pair = {blank("sci.fits", 100, 80, 0), blank("ref.fits", 100, 80, 0)};
    aid_registration found = {.matched = -3};
    CHECK_REFUSED(register_pair(&pair, NULL, &found), AID_ERR_INVALID, "no overlap found");
    CHECK_EQUAL(found.matched, -3);
    pair_done(&pair);
}

/* Stars as Gaussians of FWHM 3 px at their places in the list. */
static void draw_stars(aid_exposure *exposure, double amplitude)
{
    const double sigma = 3.0 / 2.355;
    for (int i = 0; i < exposure->stars.count; i++) {
        const aid_star *star = &exposure->stars.items[i];
        for (int32_t y = (int32_t)star->y - 3; y <= (int32_t)star->y + 4; y++)
            for (int32_t x = (int32_t)star->x - 3; x <= (int32_t)star->x + 4; x++) {
                double dx = x - star->x, dy = y - star->y;
                double value = star->flux * exp(-0.5 * (dx * dx + dy * dy) / (sigma * sigma));
                aid_image_row(&exposure->image, y)[x] += (float)(amplitude * value);
            }
    }
}

TEST(the_correlation_is_near_one_for_the_same_stars_in_any_unit)
{
    sky_pair pair = pair_of(600, 150, turned_a_little, 3);
    draw_stars(&pair.science, 1.0);
    draw_stars(&pair.reference, 25.0);
    aid_registration found = {0};
    CHECK_OK(register_pair(&pair, NULL, &found));
    /* Bilinear sampling of a star of FWHM 3 px broadens it by a tenth at most. */
    CHECK(found.correlation > 0.97 && found.correlation <= 1.0 + 1e-12);
    pair_done(&pair);
}

/* ------------------------------------------------------------------------------------- threads */

TEST(one_and_seven_threads_give_the_same_registration)
{
    sky_pair pairs[] = {pair_of(900, 400, turned_12, 2), textured(4.0, 3.0, 4.0)};
    aid_pool *pool = NULL;
    CHECK_OK(aid_pool_new(7, &pool, &err));
    for (int i = 0; i < 2; i++) {
        aid_registration one, many;
        memset(&one, 0, sizeof one);
        memset(&many, 0, sizeof many);
        CHECK_OK(register_pair(&pairs[i], NULL, &one));
        CHECK_OK(aid_register(&pairs[i].science, &pairs[i].reference, &AID_REGISTRATION_DEFAULTS,
                              pool, NULL, &many, &err));
        CHECK(!memcmp(&one, &many, sizeof one));
        pair_done(&pairs[i]);
    }
    aid_pool_free(pool);
}

TEST_MAIN()
