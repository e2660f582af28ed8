/* Point candidates: found where they are, measured, flagged. */
#include "tests/domain/detection/scene.h"

TEST(sources_of_both_signs_are_found_where_they_are_with_their_flux)
{
    const double places[][3] = {
        {40.3, 50.7, 25.0}, {90.0, 60.5, 12.0}, {150.6, 100.2, -18.0}, {60.4, 130.8, 9.0}};
    scene s = make_scene(11);
    for (size_t i = 0; i < AID_COUNT_OF(places); i++)
        add_source(&s, places[i][0], places[i][1], flux_of_snr(places[i][2]));
    complete(&s);
    aid_candidates found = find(&s, 6.0, NULL); /* 40,000 px: noise above 6 once in 10^4 scenes */
    CHECK_EQUAL(found.count, 4);
    CHECK_EQUAL(found.unflagged, 4);
    CHECK_EQUAL(found.unflagged_positive, 3);
    for (size_t i = 0; i < AID_COUNT_OF(places); i++) {
        const aid_candidate *c = at(&found, places[i][0], places[i][1]);
        CHECK(c != NULL);
        double snr = fabs(places[i][2]);
        /* A centroid is known to sigma sqrt(2)/snr on each axis of a Gaussian, flux to 1/snr. */
        CHECK_NEAR(c->x - 1.0, places[i][0], 4.0 * psf_sigma * 1.42 / snr);
        CHECK_NEAR(c->y - 1.0, places[i][1], 4.0 * psf_sigma * 1.42 / snr);
        CHECK_NEAR(c->flux, flux_of_snr(places[i][2]), 4.0 * flux_of_snr(1.0));
        CHECK_NEAR(c->flux_err, flux_of_snr(1.0), 1e-3 * flux_of_snr(1.0));
        CHECK_EQUAL(c->polarity, places[i][2] > 0 ? 1 : -1);
        CHECK(isnan(c->ra_deg) && isnan(c->mag) && isnan(c->p_real));
        CHECK_EQUAL(c->flags, 0);
    }
    for (int i = 1; i < found.count; i++)
        CHECK(fabs(found.items[i].score) <= fabs(found.items[i - 1].score));
    aid_candidates_done(&found);
    scene_done(&s);
}

TEST(noise_alone_gives_as_many_peaks_as_a_gaussian_field_has)
{
    scene s = make_scene(5);
    complete(&s);
    aid_candidates found = find(&s, 4.0, NULL);
    /* Expected maxima above u of a field with correlation exp(-r^2/(4 sigma^2)), both signs:
     * 2 A (2 pi)^-1.5 lambda u exp(-u^2/2), lambda = 1/(2 sigma^2) (Adler 1981): 7.6 here. */
    double lambda = 1.0 / (2.0 * psf_sigma * psf_sigma);
    double expected = 2.0 * WIDTH * HEIGHT * pow(2.0 * 3.14159265, -1.5) * lambda * 4.0 * exp(-8.0);
    CHECK_NEAR(found.count, expected, 4.0 * sqrt(expected));
    aid_candidates_done(&found);
    scene_done(&s);
}

TEST(one_struck_pixel_is_called_a_cosmic_ray_and_a_star_is_not)
{
    scene s = make_scene(3);
    aid_image_row(&s.difference.difference, 90)[50] += 60.0F;
    add_source(&s, 150.5, 90.5, flux_of_snr(20.0));
    complete(&s);
    aid_candidates found = find(&s, 6.0, NULL);
    CHECK_EQUAL(found.count, 2);
    CHECK(at(&found, 50, 90)->flags & AID_FLAG_COSMIC_RAY);
    CHECK_EQUAL(at(&found, 150.5, 90.5)->flags, 0);
    CHECK_EQUAL(found.unflagged, 1);
    aid_candidates_done(&found);
    scene_done(&s);
}

TEST(both_halves_of_a_dipole_are_called_so)
{
    scene s = make_scene(4);
    add_source(&s, 100.0, 90.0, flux_of_snr(30.0));
    add_source(&s, 103.0, 90.0, flux_of_snr(-30.0));
    complete(&s);
    aid_candidates found = find(&s, 6.0, NULL);
    CHECK_EQUAL(found.count, 2);
    CHECK(found.items[0].flags & AID_FLAG_DIPOLE);
    CHECK(found.items[1].flags & AID_FLAG_DIPOLE);
    CHECK_EQUAL(found.unflagged, 0);
    aid_candidates_done(&found);
    scene_done(&s);
}

TEST(a_saturated_neighbour_and_a_masked_column_are_named)
{
    scene s = make_scene(6);
    add_source(&s, 60.0, 90.0, flux_of_snr(20.0));
    add_source(&s, 160.0, 90.0, flux_of_snr(20.0));
    aid_mask_row(&s.difference.mask, 90)[75] = AID_MASK_SATURATED;
    for (int y = 0; y < HEIGHT; y++)
        aid_mask_row(&s.difference.mask, y)[163] = AID_MASK_BAD;
    complete(&s);
    aid_candidates found = find(&s, 8.0, NULL);
    CHECK_EQUAL(found.count, 2);
    CHECK_EQUAL(at(&found, 60, 90)->flags, AID_FLAG_SATURATED_NEIGHBOUR);
    CHECK(at(&found, 160, 90)->flags & AID_FLAG_BAD_COLUMN);
    aid_candidates_done(&found);
    scene_done(&s);
}

TEST(a_residual_of_a_bright_star_is_told_from_a_transient_beside_a_faint_one)
{
    scene s = make_scene(7);
    add_source(&s, 60.0, 90.0, flux_of_snr(15.0));
    add_source(&s, 160.0, 90.0, flux_of_snr(15.0));
    aid_star *stars = calloc(2, sizeof *stars);
    CHECK(stars != NULL);
    stars[0] = (aid_star){.x = 60.0, .y = 91.0, .flux = 1e4 * flux_of_snr(1.0)};
    stars[1] = (aid_star){.x = 160.0, .y = 91.0, .flux = 20.0 * flux_of_snr(1.0)};
    s.reference.stars = (aid_stars){.count = 2, .items = stars};
    complete(&s);
    aid_candidates found = find(&s, 8.0, NULL);
    CHECK_EQUAL(found.count, 2);
    CHECK(at(&found, 60, 90)->flags & AID_FLAG_BRIGHT_STAR_RESIDUAL);
    CHECK(!(at(&found, 160, 90)->flags & AID_FLAG_GROUP_REJECT));
    CHECK(at(&found, 160, 90)->flags & AID_FLAG_VARIABLE);
    CHECK_NEAR(at(&found, 160, 90)->distance_px, 1.0, 0.5);
    aid_candidates_done(&found);
    scene_done(&s);
}

/* North 30 degrees from +y towards +x; east to the left of north, as on the sky. */
static aid_wcs *rotated_wcs(void)
{
    aid_header header = {0};
    const char *const cards[][2] = {{"CTYPE1", "RA---TAN"},     {"CTYPE2", "DEC--TAN"},
                                    {"CRPIX1", "110"},          {"CRPIX2", "90"},
                                    {"CRVAL1", "150"},          {"CRVAL2", "20"},
                                    {"CD1_1", "-2.4056261e-4"}, {"CD1_2", "1.3888889e-4"},
                                    {"CD2_1", "1.3888889e-4"},  {"CD2_2", "2.4056261e-4"}};
    for (size_t i = 0; i < AID_COUNT_OF(cards); i++)
        CHECK_OK(aid_header_append(&header, cards[i][0], i < 2 ? AID_CARD_STRING : AID_CARD_NUMBER,
                                   cards[i][1], "", &err));
    aid_wcs *wcs = NULL;
    CHECK_OK(aid_wcs_new(&header, &wcs, &err));
    aid_header_done(&header);
    return wcs;
}

TEST(sky_position_magnitude_and_position_angle_follow_from_wcs_and_zero_point)
{
    scene s = make_scene(8);
    /* Two sources 2.4 px apart along +x: elongated along +x, theta 0. */
    add_source(&s, 109.0 - 1.2, 89.0, flux_of_snr(60.0));
    add_source(&s, 109.0 + 1.2, 89.0, flux_of_snr(60.0));
    s.science.wcs = rotated_wcs();
    s.science.zero_point = 25.0;
    complete(&s);
    aid_candidates found = find(&s, 8.0, NULL);
    CHECK(found.count >= 1);
    const aid_candidate *c = &found.items[0];
    /* CRPIX is FITS pixel (110, 90) = 0-based (109, 89), CRVAL (150, 20). 1 arcsec = 1 px. */
    CHECK_NEAR(c->ra_deg, 150.0, 0.2 / 3600.0);
    CHECK_NEAR(c->dec_deg, 20.0, 0.2 / 3600.0);
    CHECK_NEAR(c->mag, 25.0 - 2.5 * log10(c->flux), 1e-9);
    CHECK_NEAR(c->mag_err, 2.5 / log(10.0) * c->flux_err / c->flux, 1e-9);
    double theta = c->theta_deg;
    CHECK_NEAR(fabs(remainder(theta, 180.0)), 0.0, 6.0);
    /* dDec/dx = sin 30, so north is at +60 degrees from +x and +x lies 60 degrees west of north:
     * position angle -60 = 120 (+ theta, which turns from +x through north to east). */
    CHECK_NEAR(remainder(c->position_angle_deg - (theta + 120.0), 180.0), 0.0, 0.01);
    aid_candidates_done(&found);
    scene_done(&s);
}

TEST(the_list_is_the_same_at_one_and_five_threads)
{
    scene s = make_scene(9);
    for (int i = 0; i < 12; i++)
        add_source(&s, 20.0 + 15.3 * i, 30.0 + 9.7 * i, flux_of_snr(i % 2 ? 12.0 : -12.0));
    complete(&s);
    aid_pool *pool;
    CHECK_OK(aid_pool_new(5, &pool, &err));
    aid_candidates one = find(&s, 3.5, NULL), many = find(&s, 3.5, pool);
    CHECK(one.count > 12);
    CHECK_EQUAL(one.count, many.count);
    CHECK(!memcmp(one.items, many.items, (size_t)one.count * sizeof *one.items));
    aid_candidates_done(&one);
    aid_candidates_done(&many);
    aid_pool_free(pool);
    scene_done(&s);
}

TEST(a_threshold_of_zero_is_refused)
{
    scene s = make_scene(1);
    aid_detection_options options = {.threshold = 0.0};
    aid_candidates found = {.count = 77};
    CHECK_REFUSED(aid_candidates_find(&s.science, &s.reference, &s.difference, &options, NULL, NULL,
                                      &found, &err),
                  AID_ERR_INVALID, "threshold");
    CHECK_EQUAL(found.count, 77);
    scene_done(&s);
}

TEST(flag_names_are_joined_and_cut_to_the_space_there_is)
{
    char text[64], small[8];
    aid_flag_names(AID_FLAG_EDGE | AID_FLAG_DIPOLE | AID_FLAG_EXTENDED, text, sizeof text);
    CHECK_TEXT(text, "edge|dipole|extended");
    aid_flag_names(AID_FLAG_SATURATED_NEIGHBOUR, small, sizeof small);
    CHECK_TEXT(small, "saturat");
    aid_flag_names(0, text, sizeof text);
    CHECK_TEXT(text, "");
    CHECK(aid_flag_name(1U << 30) == NULL);
}

TEST_MAIN()
