#include "tests/domain/extraction/field.h"

static aid_extraction_options usual(void)
{
    aid_extraction_options options = AID_EXTRACTION_DEFAULTS;
    options.fwhm_px = 3.5;
    return options;
}

/* 196 stars of S/N about 60 on a grid of 32 px, and the truth. */
enum { GRID = 14, STARS = GRID * GRID, GRID_SIDE = 32 * (GRID + 1) };
typedef struct star_field {
    aid_image image;
    double x[STARS], y[STARS], flux;
} star_field;

static star_field make_stars(double flux, uint64_t seed)
{
    star_field field = {.flux = flux};
    field.image = noise_image(GRID_SIDE, GRID_SIDE, 200.0, 10.0, seed);
    aid_random random = aid_random_seeded(seed, 2);
    for (int i = 0; i < STARS; i++) {
        field.x[i] = 32.0 * (i % GRID + 1) + 8.0 * aid_random_uniform(&random) - 4.0;
        field.y[i] = 32.0 * (i / GRID + 1) + 8.0 * aid_random_uniform(&random) - 4.0;
        add_star(&field.image, field.x[i], field.y[i], flux, 3.5);
    }
    return field;
}

/* The matched filter's noise is sigma sqrt(4 pi) sigma_psf = 10 x 3.545 x 1.486 = 52.7, so that
 * 3160 is 60 sigma. Cramer-Rao: sqrt(2) sigma_psf/60 = .035 px an axis, of 196 x 2 values to 3.6 %
 * one sigma. */
TEST(positions_of_stars_are_as_good_as_their_photons_allow_and_errors_say_so)
{
    star_field field = make_stars(3160.0, 5);
    aid_extraction_options options = usual();
    aid_sources sources;
    CHECK_OK(extract_from(&field.image, NULL, &options, 2, &sources));
    CHECK(sources.count >= STARS && sources.count <= STARS + 1); /* a peak of noise by chance */
    double squares = 0.0, pulls = 0.0;
    for (int i = 0; i < STARS; i++) {
        const aid_source *source = source_at(&sources, field.x[i], field.y[i]);
        CHECK(source != NULL);
        double dx = source->x_win - field.x[i], dy = source->y_win - field.y[i];
        squares += dx * dx + dy * dy;
        pulls += dx * dx / (source->x_win_err * source->x_win_err);
        pulls += dy * dy / (source->y_win_err * source->y_win_err);
    }
    double cramer_rao = sqrt(2.0) * 3.5 / 2.35482 / 60.0;
    CHECK_NEAR(sqrt(squares / (2.0 * STARS)) / cramer_rao, 1.0, 0.15);
    CHECK_NEAR(sqrt(pulls / (2.0 * STARS)), 1.0, 0.15);
    aid_sources_done(&sources);
    aid_image_done(&field.image);
}

/* Within r = 6 px lie 1 - exp(-36/(2 x 1.486^2)) = .99971 of a star of FWHM 3.5. One flux has an
 * error of 10 x sqrt(113 + 113^2/1039) = 112; the mean of 196 one of 8, or 8e-4 of 10000. */
TEST(aperture_fluxes_are_true_and_their_errors_are_those_of_the_scatter)
{
    star_field field = make_stars(10000.0, 6);
    aid_extraction_options options = usual();
    options.aperture_px = 6.0;
    aid_sources sources;
    CHECK_OK(extract_from(&field.image, NULL, &options, 1, &sources));
    double sum = 0.0, pulls = 0.0, expected = 0.99971 * field.flux;
    for (int i = 0; i < STARS; i++) {
        const aid_source *source = source_at(&sources, field.x[i], field.y[i]);
        CHECK(source != NULL);
        sum += source->flux_aper / STARS;
        pulls += pow((source->flux_aper - expected) / source->flux_aper_err, 2.0) / STARS;
    }
    CHECK_NEAR(sum / expected, 1.0, 0.0032);
    CHECK_NEAR(sqrt(pulls), 1.0, 0.2);
    aid_sources_done(&sources);
    aid_image_done(&field.image);
}

/* 1.05 million pixels of noise have .3 peaks above 5 sigma of the matched filter (Gaussian random
 * field: N = A k u exp(-u^2/2), 1.1 for 4.2 million): more than three come by once in 3000. */
TEST(noise_alone_gives_hardly_a_source)
{
    aid_image image = noise_image(1024, 1024, 1000.0, 25.0, 7);
    aid_extraction_options options = usual();
    aid_sources sources;
    CHECK_OK(extract_from(&image, NULL, &options, 2, &sources));
    CHECK(sources.count <= 3);
    CHECK_NEAR(sources.background, 1000.0, 0.5);
    CHECK_NEAR(sources.noise, 25.0, 0.3);
    aid_sources_done(&sources);
    options.filter = "default";
    CHECK_OK(extract_from(&image, NULL, &options, 2, &sources));
    CHECK_EQUAL(sources.count, 0);
    CHECK(sources.items != NULL);
    aid_sources_done(&sources);
    aid_image_done(&image);
}

/* At S/N 6 with a threshold of 5 a peak is missed when noise takes off one sigma: 84 % found, less
 * some for the grid of pixels; 196 stars tell that to 2.6 %. */
TEST(faint_stars_are_found_as_often_as_their_significance_says)
{
    star_field field = make_stars(6.0 * 52.7, 8);
    aid_extraction_options options = usual();
    aid_sources sources;
    CHECK_OK(extract_from(&field.image, NULL, &options, 2, &sources));
    int found = 0;
    for (int i = 0; i < STARS; i++)
        found += source_at(&sources, field.x[i], field.y[i]) != NULL;
    CHECK(found > (int)(0.74 * STARS));
    CHECK(found < (int)(0.97 * STARS));
    aid_sources_done(&sources);
    aid_image_done(&field.image);
}

TEST(sources_are_the_same_bytes_at_one_and_seven_threads)
{
    star_field field = make_stars(2000.0, 9);
    aid_image_row(&field.image, 100)[100] = NAN;
    static const char *const filters[] = {"psf", "default"};
    for (int k = 0; k < 2; k++) {
        aid_extraction_options options = usual();
        options.filter = filters[k];
        options.fwhm_px = NAN;
        aid_sources one, many;
        CHECK_OK(extract_from(&field.image, NULL, &options, 1, &one));
        CHECK_OK(extract_from(&field.image, NULL, &options, 7, &many));
        CHECK_EQUAL(one.count, many.count);
        CHECK(one.count > 150);
        CHECK(memcmp(one.items, many.items, (size_t)one.count * sizeof *one.items) == 0);
        aid_sources_done(&one);
        aid_sources_done(&many);
    }
    aid_image_done(&field.image);
}

/* Without noise to speak of, moments and axes are those that were put in: the isophote is so deep
 * that it cuts off 1e-3 of the light, and the 3 x 3 filter adds half a pixel squared. */
TEST(an_ellipse_has_the_axes_and_the_angle_that_it_was_made_with)
{
    aid_image image = noise_image(200, 200, 50.0, 0.01, 10);
    add_ellipse(&image, 100.3, 99.6, 50000.0, (double[3]){5.0, 2.5, 35.0});
    aid_extraction_options options = usual();
    options.filter = "default";
    options.threshold = 10.0;
    options.background = AID_BACKGROUND_GLOBAL;
    aid_sources sources;
    CHECK_OK(extract_from(&image, NULL, &options, 1, &sources));
    CHECK_EQUAL(sources.count, 1);
    const aid_source *source = &sources.items[0];
    CHECK_NEAR(source->x, 100.3, 1e-3);
    CHECK_NEAR(source->y, 99.6, 1e-3);
    CHECK_NEAR(source->a, sqrt(25.0 + 0.5), 0.02);
    CHECK_NEAR(source->b, sqrt(6.25 + 0.5), 0.02);
    CHECK_NEAR(source->theta_deg, 35.0, 0.1);
    CHECK_NEAR(source->flux_iso / 50000.0, 1.0, 2e-3);
    CHECK_NEAR(source->flux_auto / 50000.0, 1.0, 0.02);
    aid_sources_done(&sources);
    aid_image_done(&image);
}

/* Half of a round Gaussian's light lies within 1.1774 sigma, and its FWHM is twice that. */
TEST(a_round_star_has_its_half_light_radius_and_fwhm)
{
    aid_image image = noise_image(128, 128, 0.0, 0.5, 11);
    add_star(&image, 64.2, 63.7, 20000.0, 5.0);
    aid_extraction_options options = usual();
    options.fwhm_px = 5.0;
    options.background = AID_BACKGROUND_NONE;
    aid_sources sources;
    CHECK_OK(extract_from(&image, NULL, &options, 1, &sources));
    CHECK_EQUAL(sources.count, 1);
    CHECK_NEAR(sources.items[0].flux_radius_px, 2.5, 0.03);
    CHECK_NEAR(sources.items[0].fwhm_px, 5.0, 0.02);
    aid_sources_done(&sources);
    aid_image_done(&image);
}

TEST(two_stars_that_overlap_are_told_apart_and_share_their_light)
{
    static const char *const filters[] = {"psf", "default"};
    for (int k = 0; k < 2; k++) {
        aid_image image = noise_image(160, 160, 100.0, 5.0, 12);
        add_star(&image, 70.0, 80.0, 20000.0, 3.5);
        add_star(&image, 77.0, 80.0, 10000.0, 3.5);
        aid_extraction_options options = usual();
        options.filter = filters[k];
        options.background = AID_BACKGROUND_GLOBAL;
        aid_sources sources;
        CHECK_OK(extract_from(&image, NULL, &options, 1, &sources));
        const aid_source *bright = source_at(&sources, 70.0, 80.0);
        const aid_source *faint = source_at(&sources, 77.0, 80.0);
        CHECK(bright && faint && bright != faint);
        CHECK(bright->flags & AID_SOURCE_BLENDED && faint->flags & AID_SOURCE_BLENDED);
        CHECK_NEAR((bright->flux_iso + faint->flux_iso) / 30000.0, 1.0, 0.05);
        CHECK_NEAR(faint->x_win, 77.0, 0.25);
        aid_sources_done(&sources);
        options.deblend_cont = 1.0;
        CHECK_OK(extract_from(&image, NULL, &options, 1, &sources));
        CHECK_EQUAL(sources.count, 1);
        CHECK_EQUAL(sources.items[0].flags & AID_SOURCE_BLENDED, 0);
        aid_sources_done(&sources);
        aid_image_done(&image);
    }
}

/* A hot pixel outshines everything, a dead column runs through a star: neither is a source, and the
 * star keeps its flux, for what is missing is taken from the opposite side. */
TEST(masked_pixels_are_no_sources_and_do_not_spoil_those_that_have_some)
{
    aid_image image = noise_image(200, 200, 100.0, 5.0, 13);
    add_star(&image, 100.0, 100.0, 40000.0, 4.0);
    AID_CLEANUP(aid_mask_done)
    aid_mask mask = {0};
    CHECK_OK(aid_mask_init(200, 200, &mask, &err));
    aid_image_row(&image, 50)[50] = 1e6F;
    aid_mask_row(&mask, 50)[50] = AID_MASK_BAD;
    for (int y = 0; y < 200; y++) {
        aid_image_row(&image, y)[102] = y % 2 ? NAN : -1e5F;
        aid_mask_row(&mask, y)[102] = y % 2 ? 0 : AID_MASK_BAD;
    }
    aid_extraction_options options = usual();
    options.aperture_px = 8.0;
    aid_sources sources;
    CHECK_OK(extract_from(&image, &mask, &options, 2, &sources));
    CHECK_EQUAL(sources.count, 1);
    const aid_source *source = &sources.items[0];
    CHECK(source->flags & AID_SOURCE_MASKED);
    CHECK(source->flags & AID_SOURCE_APERTURE_MASK);
    CHECK_NEAR(source->flux_aper / 40000.0, 1.0, 0.02);
    CHECK_NEAR(source->x_win, 100.0, 0.1);
    aid_sources_done(&sources);
    aid_image_done(&image);
}

TEST(saturated_and_cut_off_sources_say_so)
{
    aid_image image = noise_image(150, 150, 100.0, 5.0, 14);
    add_star(&image, 75.0, 75.0, 1e6, 4.0);
    add_star(&image, 1.0, 40.0, 20000.0, 4.0);
    aid_extraction_options options = usual();
    options.saturation = 20000.0;
    aid_sources sources;
    CHECK_OK(extract_from(&image, NULL, &options, 1, &sources));
    const aid_source *bright = source_at(&sources, 75.0, 75.0);
    const aid_source *cut = source_at(&sources, 1.0, 40.0);
    CHECK(bright && cut);
    CHECK_EQUAL(bright->flags, AID_SOURCE_SATURATED);
    CHECK(cut->flags & AID_SOURCE_TRUNCATED && cut->flags & AID_SOURCE_APERTURE_CUT);
    CHECK_EQUAL(cut->flags & AID_SOURCE_SATURATED, 0);
    aid_sources_done(&sources);
    aid_image_done(&image);
}

/* A threshold in the image's own unit, or in sigma of a pixel, is that of sigma of the filtered
 * image times what one of these is: sqrt(36)/16 = .375 of a pixel's for the pyramid. */
TEST(a_threshold_means_the_same_in_every_unit)
{
    star_field field = make_stars(700.0, 15);
    aid_extraction_options options = usual();
    options.filter = "default";
    options.noise = AID_NOISE_GLOBAL;
    options.threshold_unit = AID_THRESHOLD_PIXEL_SIGMA;
    options.threshold = 1.5;
    aid_sources pixels, counts;
    CHECK_OK(extract_from(&field.image, NULL, &options, 1, &pixels));
    CHECK_NEAR(pixels.threshold, 1.5 / 0.375, 1e-5);
    options.threshold_unit = AID_THRESHOLD_COUNTS;
    options.threshold = 1.5 * pixels.noise;
    CHECK_OK(extract_from(&field.image, NULL, &options, 1, &counts));
    CHECK_EQUAL(pixels.count, counts.count);
    CHECK(pixels.count > 100);
    for (int64_t i = 0; i < pixels.count; i++)
        CHECK_EQUAL(pixels.items[i].npix, counts.items[i].npix);
    aid_sources_done(&pixels);
    aid_sources_done(&counts);
    aid_image_done(&field.image);
}

/* Given exactly, maps take the place of measured ones: half of the image is noisier by a factor of
 * 3, and a star of S/N 8 there has one of 24 in the other half. */
TEST(maps_of_background_and_noise_are_used_where_they_are_given)
{
    aid_image image = noise_image(256, 128, 0.0, 10.0, 16);
    AID_CLEANUP(aid_image_done)
    aid_image level = {0};
    AID_CLEANUP(aid_image_done)
    aid_image noise = {0};
    CHECK_OK(aid_image_init(256, 128, &level, &err));
    CHECK_OK(aid_image_init(256, 128, &noise, &err));
    for (int32_t y = 0; y < 128; y++)
        for (int32_t x = 0; x < 256; x++) {
            level.data[y * 256 + x] = (float)(1000.0 + 3.0 * x);
            noise.data[y * 256 + x] = x < 128 ? 10.0F : 30.0F;
            image.data[y * 256 + x] *= x < 128 ? 1.0F : 3.0F;
            image.data[y * 256 + x] += level.data[y * 256 + x];
        }
    add_star(&image, 64.0, 64.0, 24.0 * 52.7, 3.5);
    add_star(&image, 192.0, 64.0, 24.0 * 52.7, 3.5);
    aid_extraction_options options = usual();
    options.annulus_inner_px = options.annulus_outer_px = 0.0;
    aid_sources sources;
    aid_extraction_input input = {
        .name = "maps", .image = &image, .background = &level, .noise = &noise};
    CHECK_OK(aid_extract(&input, &options, NULL, NULL, &sources, &err));
    const aid_source *quiet = source_at(&sources, 64.0, 64.0);
    const aid_source *loud = source_at(&sources, 192.0, 64.0);
    CHECK(quiet && loud);
    CHECK_NEAR(quiet->noise, 10.0, 1e-6);
    CHECK_NEAR(loud->noise, 30.0, 1e-6);
    CHECK_NEAR(quiet->background, 1000.0 + 3.0 * 64.0, 3.0);
    CHECK_NEAR(quiet->snr, 24.0, 4.0);
    CHECK_NEAR(loud->snr, 8.0, 3.0);
    aid_sources_done(&sources);
    aid_image_done(&image);
}

/* Noise that was smoothed has peaks as high as its filtered sigma says, not as its pixels' sigma
 * would have it: without measuring it there are dozens. */
TEST(correlated_noise_is_no_field_of_sources)
{
    aid_image white = noise_image(512, 512, 0.0, 10.0, 17);
    aid_image image = noise_image(512, 512, 0.0, 0.0, 17);
    for (int32_t y = 1; y < 511; y++)
        for (int32_t x = 1; x < 511; x++) {
            double sum = 0.0;
            for (int k = 0; k < 9; k++)
                sum += (double)white.data[(y + k / 3 - 1) * 512 + x + k % 3 - 1];
            image.data[y * 512 + x] = (float)(sum / 3.0);
        }
    aid_extraction_options options = usual();
    aid_sources sources;
    CHECK_OK(extract_from(&image, NULL, &options, 2, &sources));
    CHECK(sources.count <= 4);
    aid_sources_done(&sources);
    aid_image_done(&white);
    aid_image_done(&image);
}

TEST(odd_shapes_are_as_good_as_any)
{
    static const int32_t shapes[][2] = {{8, 8}, {9, 300}, {301, 11}, {67, 131}, {64, 64}};
    for (size_t k = 0; k < AID_COUNT_OF(shapes); k++) {
        aid_image image = noise_image(shapes[k][0], shapes[k][1], 10.0, 1.0, 18 + k);
        add_star(&image, shapes[k][0] / 2, shapes[k][1] / 2, 2000.0, 3.0);
        aid_extraction_options options = usual();
        options.background = AID_BACKGROUND_GLOBAL;
        aid_sources sources;
        CHECK_OK(extract_from(&image, NULL, &options, 3, &sources));
        CHECK(source_at(&sources, shapes[k][0] / 2, shapes[k][1] / 2) != NULL);
        aid_sources_done(&sources);
        aid_image_done(&image);
    }
}

TEST(images_without_information_are_refused_with_a_reason)
{
    aid_extraction_options options = usual();
    aid_sources sources = {.count = 77};
    aid_image nothing = noise_image(64, 64, NAN, 1.0, 19);
    CHECK_REFUSED(extract_from(&nothing, NULL, &options, 1, &sources), AID_ERR_INVALID,
                  "field.fits: none of its 64 x 64 pixels");
    aid_image constant = noise_image(64, 64, 5.0, 0.0, 19);
    CHECK_REFUSED(extract_from(&constant, NULL, &options, 1, &sources), AID_ERR_INVALID,
                  "all pixels are 5");
    aid_image small = noise_image(7, 64, 5.0, 1.0, 19);
    CHECK_REFUSED(extract_from(&small, NULL, &options, 1, &sources), AID_ERR_INVALID, "7 x 64");
    aid_image sound = noise_image(64, 64, 5.0, 1.0, 19);
    AID_CLEANUP(aid_mask_done)
    aid_mask mask = {0};
    CHECK_OK(aid_mask_init(64, 64, &mask, &err));
    memset(mask.data, AID_MASK_BAD, 64 * 64);
    CHECK_REFUSED(extract_from(&sound, &mask, &options, 1, &sources), AID_ERR_INVALID,
                  "all 64 x 64 pixels are masked");
    mask.height = 63;
    CHECK_REFUSED(extract_from(&sound, &mask, &options, 1, &sources), AID_ERR_INVALID, "64 x 63");
    CHECK_EQUAL(sources.count, 77);
    aid_image_done(&nothing);
    aid_image_done(&constant);
    aid_image_done(&small);
    aid_image_done(&sound);
}

TEST(more_sources_than_wanted_are_refused_with_both_numbers)
{
    star_field field = make_stars(5000.0, 20);
    aid_extraction_options options = usual();
    options.max_sources = 50;
    aid_sources sources = {.count = 77};
    CHECK_REFUSED(extract_from(&field.image, NULL, &options, 1, &sources), AID_ERR_NUMERIC,
                  "196 sources are more than 50");
    CHECK_EQUAL(sources.count, 77);
    aid_image_done(&field.image);
}

TEST(options_out_of_range_are_refused_by_name)
{
    const aid_extraction_options sound = usual();
    aid_extraction_options options = sound;
    CHECK_OK(aid_extraction_check(&options, &err));
    options.threshold = 0.0;
    CHECK_REFUSED(aid_extraction_check(&options, &err), AID_ERR_INVALID, "threshold 0");
    options = sound;
    options.aperture_px = 6.0;
    options.annulus_inner_px = 6.0;
    options.annulus_outer_px = 9.0;
    CHECK_REFUSED(aid_extraction_check(&options, &err), AID_ERR_INVALID, "begins at 6 px");
    options.annulus_inner_px = 10.0;
    CHECK_REFUSED(aid_extraction_check(&options, &err), AID_ERR_INVALID, "from 10 to 9 px");
    options.annulus_inner_px = options.annulus_outer_px = 0.0;
    CHECK_OK(aid_extraction_check(&options, &err));
    options.aperture_px = -1.0;
    CHECK_REFUSED(aid_extraction_check(&options, &err), AID_ERR_INVALID, "radius -1 px");
    options = sound;
    options.deblend_cont = 1.5;
    CHECK_REFUSED(aid_extraction_check(&options, &err), AID_ERR_INVALID, "contrast 1.5");
    options = sound;
    options.filter = "gauss_99";
    CHECK_REFUSED(aid_extraction_check(&options, &err), AID_ERR_INVALID, "gauss_99");
    options.filter = "gaus";
    CHECK_REFUSED(aid_extraction_check(&options, &err), AID_ERR_INVALID, "none of psf");
}

TEST_MAIN()
