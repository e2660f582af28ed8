/* Maps between grids by WCS, with the distortions that cameras have. */
#include "domain/stacking/stacking.h"
#include "tests/check.h"
#include "tests/core/sky/card_text.h"

#include <stdint.h>

static aid_error err;
enum { SIDE = 2048 };

#define PLACE(crpix1, crpix2)                                                                      \
    "CRPIX1 = " crpix1 "\nCRPIX2 = " crpix2 "\nCRVAL1 = 150.0\nCRVAL2 = 62.0\n"                    \
    "RADESYS = 'ICRS'\n"
static const char tan_cards[] = "CTYPE1 = 'RA---TAN'\nCTYPE2 = 'DEC--TAN'\n" PLACE(
    "1024.5", "1024.5") "CD1_1 = -1.4E-4\nCD1_2 = 0.0\nCD2_1 = 0.0\nCD2_2 = 1.4E-4\n";
/* Turned by 1.3 degrees; of the order and size of wide-field cameras: 10 px in the corners. */
#define TURNED "CD1_1 = -1.4276E-4\nCD1_2 = 3.24E-6\nCD2_1 = 3.24E-6\nCD2_2 = 1.4276E-4\n"
static const char sip_cards[] =
    "CTYPE1 = 'RA---TAN-SIP'\nCTYPE2 = 'DEC--TAN-SIP'\n" PLACE("1037.9", "1016.3") TURNED
    "A_ORDER = 3\nB_ORDER = 3\nA_2_0 = 2.0E-6\nA_1_1 = -1.0E-6\nA_0_2 = 1.5E-6\n"
    "A_3_0 = 4.0E-9\nA_1_2 = 4.0E-9\nB_2_0 = -1.2E-6\nB_1_1 = 2.0E-6\nB_0_2 = 1.0E-6\n"
    "B_2_1 = 4.0E-9\nB_0_3 = 4.0E-9\n";
static const char tpv_cards[] =
    "CTYPE1 = 'RA---TPV'\nCTYPE2 = 'DEC--TPV'\n" PLACE("1037.9", "1016.3") TURNED
    "PV1_0 = 0.0\nPV1_1 = 1.001\nPV1_2 = 0.0003\nPV1_4 = 0.002\nPV1_5 = -0.001\nPV1_7 = 0.05\n"
    "PV1_9 = 0.05\nPV2_0 = 0.0\nPV2_1 = 0.999\nPV2_2 = -0.0002\nPV2_4 = -0.001\nPV2_7 = 0.05\n"
    "PV2_9 = 0.05\n";

static aid_exposure exposure_of(const char *name, const char *cards)
{
    aid_exposure exposure = {0};
    snprintf(exposure.name, sizeof exposure.name, "%s", name);
    aid_status status;
    CHECK_EQUAL(card_text_parse(cards, strlen(cards), &exposure.header, &status, &err),
                strlen(cards));
    CHECK_OK(status);
    CHECK_OK(aid_wcs_new(&exposure.header, &exposure.wcs, &err));
    return exposure;
}

static void release(aid_exposure *exposure)
{
    aid_header_done(&exposure->header);
    aid_wcs_free(exposure->wcs);
}

static double uniform(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (double)(*state >> 11) / 9007199254740992.0;
}

/* The largest distance at random pixels between the map and the two WCS themselves. */
static double worst_of(const aid_wcs_pair *pair, const aid_grid_map *map)
{
    uint64_t seed = 3;
    double worst = 0.0;
    for (int k = 0; k < 3000; k++) {
        double x = (SIDE - 1) * uniform(&seed), y = (SIDE - 1) * uniform(&seed);
        double ra, dec, u, v, at_u, at_v;
        CHECK(aid_wcs_pixel_to_radec(pair->grid->wcs, x, y, &ra, &dec));
        CHECK(aid_wcs_radec_to_pixel(pair->frame->wcs, ra, dec, &u, &v));
        aid_grid_map_apply(map, x, y, &at_u, &at_v);
        worst = AID_MAX(worst, hypot(at_u - u, at_v - v));
    }
    return worst;
}

TEST(maps_follow_tan_sip_and_tpv_to_a_ten_thousandth_of_a_pixel)
{
    static const char *const frames[] = {tan_cards, sip_cards, tpv_cards};
    aid_exposure grid = exposure_of("grid.fits", tan_cards);
    for (size_t i = 0; i < AID_COUNT_OF(frames); i++) {
        aid_exposure frame = exposure_of("frame.fits", frames[i]);
        const aid_wcs_pair pair = {&grid, &frame, SIDE, SIDE, SIDE, SIDE};
        aid_registration found;
        aid_grid_map map = {0};
        double worst;
        CHECK_OK(aid_align_by_wcs(&pair, &found, &map, &worst, &err));
        CHECK(worst < 1e-4);
        CHECK(worst_of(&pair, &map) < 2e-4);
        CHECK_TEXT(found.method, "wcs");
        CHECK(found.wcs_residual_px < 1e-2);
        CHECK(isnan(found.rms_px) && found.overlap > 0.9);
        aid_grid_map_done(&map);
        release(&frame);
    }
    release(&grid);
}

/* A correction by stars of (.3, -.2) px goes on top of what the WCS say, exactly. */
TEST(a_correction_by_stars_is_added_to_the_exact_map)
{
    aid_exposure grid = exposure_of("grid.fits", tan_cards);
    aid_exposure frame = exposure_of("frame.fits", tpv_cards);
    const aid_wcs_pair pair = {&grid, &frame, SIDE, SIDE, SIDE, SIDE};
    aid_registration found;
    aid_grid_map plain = {0}, map = {0};
    double worst;
    CHECK_OK(aid_align_by_wcs(&pair, &found, &plain, &worst, &err));
    snprintf(found.method, sizeof found.method, "wcs + stars");
    found.transform.cx[0] += 0.3;
    found.transform.cy[0] -= 0.2;
    found.wcs_residual_px = 1e-3;
    CHECK_OK(aid_align_exactly(&pair, &found, &map, &worst, &err));
    for (double y = 5.0; y < SIDE; y += 311.0)
        for (double x = 3.0; x < SIDE; x += 277.0) {
            double u, v, at_u, at_v;
            aid_grid_map_apply(&plain, x, y, &u, &v);
            aid_grid_map_apply(&map, x, y, &at_u, &at_v);
            CHECK_NEAR(at_u - u, 0.3, 1e-6);
            CHECK_NEAR(at_v - v, -0.2, 1e-6);
        }
    aid_grid_map_done(&map);
    found.wcs_residual_px = 1e-5; /* the polynomial will do */
    CHECK_OK(aid_align_exactly(&pair, &found, &map, &worst, &err));
    CHECK(map.x == NULL);
    aid_grid_map_done(&plain);
    release(&frame);
    release(&grid);
}

TEST(frames_without_a_wcs_or_elsewhere_on_the_sky_are_refused)
{
    aid_exposure grid = exposure_of("grid.fits", tan_cards), bare = {.name = "bare.fits"};
    aid_exposure far = exposure_of("far.fits", "CTYPE1 = 'RA---TAN'\nCTYPE2 = 'DEC--TAN'\n"
                                               "CRPIX1 = 1.0\nCRPIX2 = 1.0\nCRVAL1 = 10.0\n"
                                               "CRVAL2 = -50.0\n" TURNED);
    const aid_wcs_pair none = {&grid, &bare, SIDE, SIDE, SIDE, SIDE};
    const aid_wcs_pair apart = {&grid, &far, SIDE, SIDE, SIDE, SIDE};
    aid_registration found = {.matched = -5};
    aid_grid_map map = {.step = -5};
    double worst = -5.0;
    CHECK_REFUSED(aid_align_by_wcs(&none, &found, &map, &worst, &err), AID_ERR_INVALID,
                  "bare.fits has no usable WCS");
    CHECK_REFUSED(aid_align_by_wcs(&apart, &found, &map, &worst, &err), AID_ERR_INVALID,
                  "grid.fits and far.fits: by their WCS they show different parts of the sky");
    CHECK(found.matched == -5 && map.step == -5);
    CHECK_NEAR(worst, -5.0, 0.0);
    release(&grid);
    release(&far);
}

TEST_MAIN()
