#include "core/base/pool.h"
#include "core/sky/planar_map.h"
#include "core/sky/wcs.h"
#include "tests/check.h"
#include "tests/core/sky/card_text.h"
#include "tests/core/sky/wcs_oracle.h"

static aid_error err;

static aid_header header_of(const char *cards)
{
    aid_header header = {0};
    aid_status status;
    card_text_parse(cards, strlen(cards), &header, &status, &err);
    CHECK_OK(status);
    return header;
}

static aid_status wcs_of(const char *cards, aid_wcs **ret_wcs)
{
    aid_header header = header_of(cards);
    aid_status status = aid_wcs_new(&header, ret_wcs, &err);
    aid_header_done(&header);
    return status;
}

/* The header of HDU `hdu` of a plain file whose earlier HDUs hold no data, or the cards of a text.
 */
static aid_header header_of_file(const char *path, int hdu)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        check_skip("../shared/data is not here");
    enum { MAX_BYTES = 200000 };
    char *bytes = malloc(MAX_BYTES);
    size_t size = bytes ? fread(bytes, 1, MAX_BYTES, file) : 0, at = 0;
    fclose(file);
    aid_header header = {0};
    aid_status status = AID_OK;
    for (int i = 0; i <= hdu && status == AID_OK; i++) {
        aid_header_done(&header);
        at += card_text_parse(bytes + at, size - at, &header, &status, &err);
        at = (at + 2879) / 2880 * 2880;
        at = at < size ? at : size;
    }
    free(bytes);
    CHECK_OK(status);
    return header;
}

/* Longitudes are compared along the parallel. Positions to 1e-10 deg; pixels to 1e-6 px: both ways
 * of computing carry some 1e-13 relative to 360 deg. */
static void check_points(const aid_wcs *wcs, const oracle_point *points, int count)
{
    for (int i = 0; i < count; i++) {
        double ra = -1.0, dec = -100.0, x, y;
        CHECK(aid_wcs_pixel_to_radec(wcs, points[i].x, points[i].y, &ra, &dec));
        CHECK(ra >= 0.0 && ra < 360.0);
        double difference = remainder(ra - points[i].ra, 360.0) * cos(dec * 0.017453292519943295);
        CHECK_NEAR(difference, 0.0, 1e-10);
        CHECK_NEAR(dec, points[i].dec, 1e-10);
        CHECK(aid_wcs_radec_to_pixel(wcs, points[i].ra, points[i].dec, &x, &y));
        CHECK_NEAR(x, points[i].x, 1e-6);
        CHECK_NEAR(y, points[i].y, 1e-6);
    }
}

TEST(positions_agree_with_astropy_in_every_projection_and_distortion)
{
    for (size_t i = 0; i < AID_COUNT_OF(cases); i++) {
        aid_wcs *wcs = NULL;
        printf("    %s\n", cases[i].name);
        CHECK_OK(wcs_of(cases[i].cards, &wcs));
        CHECK(wcs != NULL);
        check_points(wcs, cases[i].points, cases[i].count);
        aid_wcs_free(wcs);
    }
}

/* all_pix2world of astropy 5.2.1; where the header's frame is FK5, rotated to ICRS by ERFA's fk5hip
 * (pyerfa 2.0). */
static const struct {
    const char *path;
    int hdu;
    oracle_point points[4];
} files[] = {{"wcs/siponly.hdr",
              0,
              {{1023.5, 2047.5, 276.352578863879, -25.323279804614},
               {0.0, 0.0, 276.028382578159, -24.750794264988},
               {2047.0, 3.25, 276.660258537736, -24.745885977495},
               {12.5, 4095.0, 276.045008149170, -25.901895737275}}},
             {"wcs/tpvonly.hdr",
              0,
              {{1023.5, 2047.5, 276.352578863879, -25.323279804614},
               {0.0, 0.0, 276.028382578159, -24.750794264988},
               {2047.0, 3.25, 276.660258537736, -24.745885977495},
               {12.5, 4095.0, 276.045008149170, -25.901895737275}}},
             {"wcs/irac_sip.hdr",
              0,
              {{127.5, 127.5, 6.155092130754, -2.072081583829},
               {0.0, 0.0, 6.135008720190, -2.129820199396},
               {255.0, 3.25, 6.098620035006, -2.051582105377},
               {12.5, 255.0, 6.211375041915, -2.088351038951}}},
             {"wcs/nrcb5_sip_wcs.hdr",
              0,
              {{1023.5, 1023.5, 34.462141245715, -5.237013101301},
               {0.0, 0.0, 34.451252698953, -5.260282385564},
               {2047.0, 3.25, 34.439012679559, -5.226088303716},
               {12.5, 2047.0, 34.485159118969, -5.247295290804}}},
             {"wcs/sub-segfault.hdr",
              0,
              {{8191.5, 8191.5, 35.332689420643, -4.517132198623},
               {0.0, 0.0, 39.945981363975, -9.058281114031},
               {16383.0, 3.25, 30.719428795172, -9.056474449170},
               {12.5, 16383.0, 39.881356374231, 0.052758086216}}},
             {"wcs/too_many_pv.hdr",
              0,
              {{1023.5, 2047.5, 333.401474198434, 2.779003737891},
               {0.0, 0.0, 333.113275149391, 3.354985353526},
               {2047.0, 3.25, 333.689686490011, 3.353768546175},
               {12.5, 4095.0, 333.117521830847, 2.204078706232}}},
             {"wcs/sip-broken.hdr",
              0,
              {{2047.5, 1023.5, 201.682057393597, -47.466529222678},
               {0.0, 0.0, 201.643750235487, -47.466891407786},
               {4095.0, 3.25, 201.703801105778, -47.446432721174},
               {12.5, 2047.0, 201.660888578366, -47.486234417393}}},
             {"wcs/sip.fits",
              0,
              {{127.5, 127.5, 202.482675822885, 47.175109160839},
               {0.0, 0.0, 202.393144927354, 47.177533522919},
               {255.0, 3.25, 202.487435062572, 47.234904320211},
               {12.5, 255.0, 202.483635222498, 47.116677931052}}},
             {"decam/DEC-OBS04a.mini.fits",
              0,
              {{127.5, 127.5, 318.108183606514, -66.015622200520},
               {0.0, 0.0, 318.084943728232, -66.006427271476},
               {255.0, 3.25, 318.086167349516, -66.025085434371},
               {12.5, 255.0, 318.130797412148, -66.007067563689}}},
             {"panoptes/solved.fits.fz",
              1,
              {{349.5, 349.5, 303.206415027573, 46.017392738837},
               {0.0, 0.0, 301.798467277787, 44.999578653225},
               {699.0, 3.25, 301.727207809848, 47.008508710906},
               {12.5, 699.0, 304.622347195799, 45.049308204715}}},
             {"rise/q_e_20200830_1_1_1_1.fits",
              0,
              {{514.5, 512.5, 253.493817836398, 62.910515505603},
               {0.0, 0.0, 253.663462193844, 62.984307724820},
               {1029.0, 3.25, 253.653953692988, 62.833090026531},
               {12.5, 1025.0, 253.331700330578, 62.985931007024}}}};

TEST(positions_agree_with_astropy_on_real_headers)
{
    for (size_t i = 0; i < AID_COUNT_OF(files); i++) {
        char path[128];
        aid_wcs *wcs = NULL;
        snprintf(path, sizeof path, "../shared/data/%s", files[i].path);
        printf("    %s\n", path);
        aid_header header = header_of_file(path, files[i].hdu);
        CHECK_OK(aid_wcs_new(&header, &wcs, &err));
        aid_header_done(&header);
        CHECK(wcs != NULL);
        check_points(wcs, files[i].points, 4);
        aid_wcs_free(wcs);
    }
}

TEST(round_trips_close_over_the_whole_image_and_beyond)
{
    for (size_t i = 0; i < AID_COUNT_OF(cases); i++) {
        aid_wcs *wcs = NULL;
        int closed = 0;
        CHECK_OK(wcs_of(cases[i].cards, &wcs));
        double width = 2.0 * (cases[i].points[0].x + 0.5),
               height = 2.0 * cases[i].points[0].y + 1.0;
        for (double y = -0.05; y <= 1.05; y += 0.0973)
            for (double x = -0.05; x <= 1.05; x += 0.0973) {
                double ra, dec, back_x, back_y;
                if (!aid_wcs_pixel_to_radec(wcs, x * width, y * height, &ra, &dec))
                    continue;
                CHECK(aid_wcs_radec_to_pixel(wcs, ra, dec, &back_x, &back_y));
                CHECK_NEAR(back_x, x * width, 1e-6);
                CHECK_NEAR(back_y, y * height, 1e-6);
                closed++;
            }
        CHECK(closed > 100);
        aid_wcs_free(wcs);
    }
}

/* --------------------------------------------------------------------------------------- frames */

#define CENTRE(lon, lat, longitude, latitude)                                                      \
    "CTYPE1 = '" lon "'\nCTYPE2 = '" lat "'\nCRPIX1 = 51\nCRPIX2 = 51\nCRVAL1 = " longitude        \
    "\nCRVAL2 = " latitude "\nCDELT1 = -0.001\nCDELT2 = 0.001\n"
#define EQUATORIAL(longitude, latitude) CENTRE("RA---TAN", "DEC--TAN", longitude, latitude)

static void check_centre(const char *cards, double ra_deg, double dec_deg, double tolerance_deg)
{
    aid_wcs *wcs = NULL;
    double ra, dec, x, y;
    CHECK_OK(wcs_of(cards, &wcs));
    CHECK(aid_wcs_pixel_to_radec(wcs, 50.0, 50.0, &ra, &dec));
    CHECK_NEAR(ra * cos(dec * 0.0174532925), ra_deg * cos(dec * 0.0174532925), tolerance_deg);
    CHECK_NEAR(dec, dec_deg, tolerance_deg);
    CHECK(aid_wcs_radec_to_pixel(wcs, ra, dec, &x, &y));
    CHECK_NEAR(x, 50.0, 1e-6);
    CHECK_NEAR(y, 50.0, 1e-6);
    aid_wcs_free(wcs);
}

/* erfa.g2icrs, pyerfa 2.0. */
TEST(galactic_coordinates_come_out_as_icrs)
{
    check_centre(CENTRE("GLON-CAR", "GLAT-CAR", "10.0", "20.0"), 254.284948837117, -9.782225819752,
                 1e-10);
    check_centre(CENTRE("GLON-TAN", "GLAT-TAN", "266.4", "-28.9"), 91.009059716972,
                 -57.826347141258, 1e-10);
}

/* erfa.fk5hip after the transpose of erfa.pmat76, pyerfa 2.0. */
TEST(fk5_is_precessed_from_its_equinox_and_turned_to_icrs)
{
    check_centre(EQUATORIAL("10.0", "20.0") "RADESYS = 'FK5'\n", 9.999991497746, 19.999998470513,
                 1e-10);
    check_centre(EQUATORIAL("266.4", "-28.9") "EQUINOX = 2000.0\n", 266.399992054629,
                 -28.900005358149, 1e-10);
    check_centre(EQUATORIAL("10.0", "20.0") "RADECSYS = 'FK5'\nEQUINOX = 1975.0\n", 10.329249596636,
                 20.137009283271, 1e-10);
    check_centre(EQUATORIAL("123.4", "89.5") "EPOCH = 2015.5\n", 114.147749835064, 89.541673956012,
                 1e-10);
    check_centre(EQUATORIAL("10.0", "20.0") "EQUINOX = 'J2000.0'\n", 9.999991497746,
                 19.999998470513, 1e-10);
}

TEST(icrs_and_no_frame_at_all_are_left_alone)
{
    check_centre(EQUATORIAL("10.0", "20.0") "RADESYS = 'ICRS'\nEQUINOX = 1950.0\n", 10.0, 20.0,
                 1e-12);
    check_centre(EQUATORIAL("10.0", "20.0") "RADECSYS = 'icrs  '\n", 10.0, 20.0, 1e-12);
    check_centre(EQUATORIAL("10.0", "20.0"), 10.0, 20.0, 1e-12);
}

/* erfa.fk45z and erfa.fk5hip, pyerfa 2.0. */
TEST(fk4_goes_by_fk5_at_the_epoch_of_the_exposure)
{
    check_centre(EQUATORIAL("10.0", "20.0") "RADESYS = 'FK4'\n", 10.658967391439, 20.273867152548,
                 1e-10);
    check_centre(EQUATORIAL("266.4", "-28.9") "EQUINOX = 1950.0\n", 267.194263731509,
                 -28.915564211355, 1e-10);
    /* B1983.5 is MJD 45517.537 */
    check_centre(EQUATORIAL("266.4", "-28.9") "EQUINOX = 1950.0\nMJD-OBS = 45517.5371182135\n",
                 267.194263399365, -28.915562927101, 1e-10);
}

/* astropy 5.2.1: FK4(equinox B1900, obstime B1900) to ICRS. It takes the E-terms off before it
 * precesses, ERFA's way after: 0.34 arcsec turned by 0.011 rad, so 4 mas = 1e-6 deg. */
TEST(fk4_of_another_equinox_is_precessed_by_newcomb)
{
    check_centre(EQUATORIAL("10.0", "20.0") "RADESYS = 'FK4'\nEQUINOX = 1900.0\n", 11.318851541525,
                 20.547219419181, 2e-6);
    check_centre(EQUATORIAL("359.99", "-45.0") "RADESYS = 'FK4'\nEQUINOX = 1900.0\n",
                 1.264797598733, -44.443109315621, 2e-6);
}

TEST(any_longitude_means_the_same_point)
{
    aid_wcs *wcs = NULL;
    double x, y, other_x, other_y;
    CHECK_OK(wcs_of(EQUATORIAL("0.01", "20.0"), &wcs));
    CHECK(aid_wcs_radec_to_pixel(wcs, -0.02, 20.0, &x, &y));
    CHECK(aid_wcs_radec_to_pixel(wcs, 359.98 + 720.0, 20.0, &other_x, &other_y));
    CHECK_NEAR(x, other_x, 1e-7);
    CHECK_NEAR(x, 50.0 + 0.03 * cos(20.0 * 0.0174532925) / 0.001, 0.01);
    aid_wcs_free(wcs);
}

/* ------------------------------------------------------------------------- scale and directions */

TEST(scale_and_directions_follow_the_matrix)
{
    /* north is 30 degrees counter-clockwise from +y, east to the left of it: no mirror */
    aid_wcs *wcs = NULL;
    double scale, north, east;
    CHECK_OK(wcs_of("CTYPE1 = 'RA---TAN'\nCTYPE2 = 'DEC--TAN'\nCRPIX1 = 51\nCRPIX2 = 51\n"
                    "CRVAL1 = 0.0\nCRVAL2 = 89.9\nCD1_1 = -8.660254037844386E-5\n"
                    "CD1_2 = -5.0E-5\nCD2_1 = -5.0E-5\nCD2_2 = 8.660254037844386E-5\n",
                    &wcs));
    CHECK(aid_wcs_pixel_scale(wcs, 50.0, 50.0, &scale));
    CHECK_NEAR(scale, 0.36, 1e-9);
    CHECK(aid_wcs_directions(wcs, 50.0, 50.0, &north, &east));
    CHECK_NEAR(north, 120.0, 1e-7);
    CHECK_NEAR(east, -150.0, 1e-7);
    aid_wcs_free(wcs);
}

/* The oracle is the naive one: a small step in declination and where it lands. */
TEST(directions_agree_with_small_steps_in_a_distorted_field)
{
    aid_wcs *wcs = NULL;
    double ra, dec, x, y, north, east, scale;
    for (size_t i = 0; i < AID_COUNT_OF(cases); i++) {
        if (strcmp(cases[i].name, "sip") && strcmp(cases[i].name, "tpv_swapped"))
            continue;
        CHECK_OK(wcs_of(cases[i].cards, &wcs));
        CHECK(aid_wcs_pixel_to_radec(wcs, 100.0, 1900.0, &ra, &dec));
        CHECK(aid_wcs_directions(wcs, 100.0, 1900.0, &north, &east));
        CHECK(aid_wcs_pixel_scale(wcs, 100.0, 1900.0, &scale));
        CHECK(aid_wcs_radec_to_pixel(wcs, ra, dec + 1e-4, &x, &y));
        CHECK_NEAR(atan2(y - 1900.0, x - 100.0) * 57.29577951308232, north, 1e-3);
        CHECK_NEAR(hypot(y - 1900.0, x - 100.0) * scale, 0.36, 0.005);
        CHECK(aid_wcs_radec_to_pixel(wcs, ra + 1e-4, dec, &x, &y));
        CHECK_NEAR(atan2(y - 1900.0, x - 100.0) * 57.29577951308232, east, 1e-3);
        aid_wcs_free(wcs);
    }
}

/* ------------------------------------------------------------------- headers that hold no WCS ---
 */

TEST(a_header_without_celestial_axes_gives_no_wcs_and_no_error)
{
    static const char *const none[] = {
        "NAXIS = 2\n", "CTYPE1 = ''\nCTYPE2 = '        '\nCRVAL1 = 1\n",
        "CTYPE1 = 'LINEAR'\nCTYPE2 = 'PIXEL'\n", "CTYPE1 = 'WAVE-TAB'\nCTYPE2 = 'STOKES'\n",
        "CTYPE1A = 'RA---TAN'\nCTYPE2A = 'DEC--TAN'\n"};
    for (size_t i = 0; i < AID_COUNT_OF(none); i++) {
        aid_wcs *wcs = (aid_wcs *)&err;
        CHECK_OK(wcs_of(none[i], &wcs));
        CHECK(wcs == NULL);
    }
}

/* Each breaks a sound header by the cards before it: the first of two counts. */
TEST(a_broken_wcs_is_refused_by_keyword_and_value)
{
    static const struct {
        const char *cards, *message;
    } broken[] = {{"CRVAL1 = NaN\n", "CRVAL1 = 'NaN' is not a finite number"},
                  {"CRVAL1 = 1e999\n", "CRVAL1"},
                  {"CRVAL2 = 90.5\n", "CRVAL2 = 90.5"},
                  {"CRPIX1 = 6,4\n", "CRPIX1 = '6,4'"},
                  {"CRPIX2 = 1e300\n", "CRPIX2"},
                  {"CDELT1 = 0.0\n", "singular"},
                  {"CD1_1 = 1.0\nCD1_2 = 2.0\nCD2_1 = 2.0\nCD2_2 = 4.0\n", "singular"},
                  {"CD1_1 = 1e-200\nCD2_2 = 1e-200\n", "singular"},
                  {"PC1_1 = 0.0\n", "singular"},
                  {"CTYPE1 = 'RA---XXX'\nCTYPE2 = 'DEC--XXX'\n", "RA---XXX"},
                  {"CTYPE1 = 'RA---SIN'\n", "do not belong together"},
                  {"CTYPE1 = 'GLON-TAN'\n", "do not belong together"},
                  {"CTYPE1 = 'RA'\nCTYPE2 = 'DEC'\n", "name no projection"},
                  {"CTYPE2 = 'FREQ'\n", "CTYPE1 = 'RA---TAN' has no partner"},
                  {"CTYPE2 = 'FREQ'\nCTYPE3 = 'DEC--TAN'\n", "has no partner"},
                  {"CTYPE1 = 'HPLN-TAN'\nCTYPE2 = 'HPLT-TAN'\n", "neither equatorial nor galactic"},
                  {"CTYPE1 = 'RA---TAN-XYZ'\n", "distortion '-XYZ'"},
                  {"CUNIT1 = 'Hz'\n", "CUNIT1 = 'Hz'"},
                  {"RADESYS = 'GAPPT'\n", "RADESYS = 'GAPPT'"},
                  {"EQUINOX = -5\n", "EQUINOX = '-5'"},
                  {"EQUINOX = 'soon'\n", "EQUINOX = 'soon'"},
                  {"LONPOLE = x\n", "LONPOLE"},
                  {"A_ORDER = 99\nB_ORDER = 2\n", "A_ORDER = 99"},
                  {"A_ORDER = -1.5\nB_ORDER = 2\n", "A_ORDER = -1.5"},
                  {"A_ORDER = 2\n", "A_ORDER = 2 without B_ORDER"},
                  {"B_ORDER = 2\n", "B_ORDER = 2 without A_ORDER"},
                  {"A_ORDER = 2\nB_ORDER = 2\nA_2_0 = inf\n", "A_2_0 = 'inf'"},
                  {"A_ORDER = 2\nB_ORDER = 2\nA_1_0 = -1.0\n", "SIP distortion cannot be inverted"},
                  {"PV1_1 = 0.0\nPV2_1 = 1.0\n", "TPV distortion cannot be inverted"},
                  {"PV2_40 = 1.0\n", "PV2_40"},
                  {"PV2_1 = nan\n", "PV2_1 = 'nan'"},
                  {"CTYPE1 = 'RA---SIN'\nCTYPE2 = 'DEC--SIN'\nPV2_31 = 1.0\n", "PV2_31"},
                  {"CTYPE1 = 'RA---COE'\nCTYPE2 = 'DEC--COE'\n", "RA---COE"}};
    for (size_t i = 0; i < AID_COUNT_OF(broken); i++) {
        char cards[600];
        aid_wcs *wcs = (aid_wcs *)&err;
        snprintf(cards, sizeof cards, "%s" EQUATORIAL("10.0", "20.0"), broken[i].cards);
        CHECK_REFUSED(wcs_of(cards, &wcs), AID_ERR_INVALID, broken[i].message);
        CHECK(wcs == (aid_wcs *)&err);
    }
}

TEST(a_wcs_that_lacks_its_reference_or_scale_is_refused)
{
    static const char *const missing[] = {"CRPIX1", "CRPIX2", "CRVAL1", "CRVAL2", "CDELT1"};
    for (size_t i = 0; i < AID_COUNT_OF(missing); i++) {
        char cards[400];
        aid_wcs *wcs = NULL;
        snprintf(cards, sizeof cards, "%s", EQUATORIAL("10.0", "20.0"));
        strstr(cards, missing[i])[0] = 'X';
        CHECK_REFUSED(wcs_of(cards, &wcs), AID_ERR_INVALID,
                      missing[i][1] == 'D' ? "scale is missing" : missing[i]);
    }
}

TEST(points_without_an_image_give_false_and_leave_the_outputs)
{
    aid_wcs *wcs = NULL;
    double a = 7.0, b = 8.0;
    CHECK_OK(wcs_of(EQUATORIAL("10.0", "20.0"), &wcs));
    CHECK(!aid_wcs_radec_to_pixel(wcs, 190.0, -20.0, &a, &b));
    CHECK(!aid_wcs_radec_to_pixel(wcs, 100.0, 90.1, &a, &b));
    CHECK(!aid_wcs_radec_to_pixel(wcs, NAN, 10.0, &a, &b));
    CHECK(!aid_wcs_radec_to_pixel(wcs, 10.0, NAN, &a, &b));
    CHECK(!aid_wcs_pixel_to_radec(wcs, INFINITY, 10.0, &a, &b));
    CHECK(!aid_wcs_pixel_to_radec(wcs, 10.0, NAN, &a, &b));
    CHECK(!aid_wcs_pixel_scale(wcs, 10.0, NAN, &a));
    CHECK(!aid_wcs_directions(wcs, 10.0, NAN, &a, &b));
    CHECK(a == 7.0 && b == 8.0);
    aid_wcs_free(wcs);
}

/* A cubic that folds at about 580 px: a point far outside must not be led back into the image. */
TEST(a_sip_polynomial_that_folds_does_not_put_far_points_into_the_image)
{
    aid_wcs *wcs = NULL;
    double x = 7.0, y = 8.0, ra, dec;
    CHECK_OK(wcs_of("CTYPE1 = 'RA---TAN-SIP'\nCTYPE2 = 'DEC--TAN-SIP'\nA_ORDER = 3\nB_ORDER = 3\n"
                    "A_3_0 = -1E-6\nB_0_3 = -1E-6\n" EQUATORIAL("10.0", "20.0"),
                    &wcs));
    CHECK(!aid_wcs_radec_to_pixel(wcs, 12.0, 20.0, &x, &y));
    CHECK(x == 7.0 && y == 8.0);
    CHECK(aid_wcs_pixel_to_radec(wcs, 450.0, 300.0, &ra, &dec));
    CHECK(aid_wcs_radec_to_pixel(wcs, ra, dec, &x, &y));
    CHECK_NEAR(x, 450.0, 1e-6);
    CHECK_NEAR(y, 300.0, 1e-6);
    aid_wcs_free(wcs);
}

/* ------------------------------------------------------------------------ hostile real headers */

static aid_wcs *wcs_of_hostile(const char *name)
{
    char path[96];
    aid_wcs *wcs = NULL;
    snprintf(path, sizeof path, "../shared/data/wcs/%s", name);
    aid_header header = header_of_file(path, 0);
    aid_status status = aid_wcs_new(&header, &wcs, &err);
    aid_header_done(&header);
    CHECK_OK(status);
    CHECK(wcs != NULL);
    return wcs;
}

TEST(a_slant_orthographic_sky_ends_where_astropy_says)
{
    aid_wcs *wcs = wcs_of_hostile("outside_sky.hdr");
    double ra = 1.0, dec = 2.0;
    CHECK(!aid_wcs_pixel_to_radec(wcs, 0.0, 0.0, &ra, &dec));
    CHECK(!aid_wcs_pixel_to_radec(wcs, 2047.0, 3.25, &ra, &dec));
    CHECK(ra == 1.0 && dec == 2.0);
    CHECK(aid_wcs_pixel_to_radec(wcs, 1023.5, 1023.5, &ra, &dec));
    CHECK_NEAR(ra, 80.015843103963, 1e-9);
    CHECK_NEAR(dec, -45.819967526595, 1e-10);
    aid_wcs_free(wcs);
}

TEST(a_zpn_projection_with_a_hole_has_no_centre)
{
    aid_wcs *wcs = wcs_of_hostile("zpn-hole.hdr");
    double ra = 1.0, dec = 2.0;
    CHECK(!aid_wcs_pixel_to_radec(wcs, 99.5, 99.5, &ra, &dec));
    CHECK(aid_wcs_pixel_to_radec(wcs, 12.5, 199.0, &ra, &dec));
    CHECK_NEAR(ra, 40.859805431700, 1e-9);
    CHECK_NEAR(dec, -86.835775003812, 1e-10);
    aid_wcs_free(wcs);
}

TEST(a_matrix_without_a_reference_point_is_refused)
{
    aid_wcs *wcs = NULL;
    aid_header header = header_of_file("../shared/data/wcs/3d_cd.hdr", 0);
    CHECK_REFUSED(aid_wcs_new(&header, &wcs, &err), AID_ERR_INVALID, "no CRPIX1");
    aid_header_done(&header);
}

/* --------------------------------------------------------------------------- cards and threads */

TEST(the_cards_of_a_wcs_are_the_inputs_own_and_describe_the_same_sky)
{
    aid_wcs *wcs = NULL, *again = NULL;
    aid_header cards = {0};
    CHECK_OK(wcs_of("SIMPLE = T\nNAXIS1 = 100\nWCSAXES = 3\nCTYPE3 = 'FREQ'\nCD3_3 = 1\n"
                    "CTYPE1 = 'RA---TAN-SIP'\nCTYPE2 = 'DEC--TAN-SIP'\nCRPIX1 = 5.10D1\n"
                    "CRPIX2 = 51\nCRVAL1 = 10.0\nCRVAL2 = 20.0\nCD1_1 = -1.0E-4\nCD2_2 = 1E-4\n"
                    "A_ORDER = 2\nB_ORDER = 2\nA_2_0 = 1E-5\nAP_ORDER = 2\nAP_2_0 = -1E-5\n"
                    "RADECSYS = 'FK5'\nGAIN = 2.0\nCRVAL1 = 11.0\nCTYPE1A = 'LINEAR'\n",
                    &wcs));
    CHECK_OK(aid_wcs_cards(wcs, &cards, &err));
    CHECK_EQUAL(cards.count, 14);
    CHECK_TEXT(aid_header_text(&cards, "CRPIX1"), "5.10D1");
    CHECK_TEXT(aid_header_text(&cards, "CRVAL1"), "10.0");
    CHECK(aid_header_find(&cards, "CRPIX1")->kind == AID_CARD_NUMBER);
    CHECK(!aid_header_find(&cards, "WCSAXES") && !aid_header_find(&cards, "CTYPE3"));
    CHECK(!aid_header_find(&cards, "GAIN") && !aid_header_find(&cards, "NAXIS1"));
    CHECK_OK(aid_wcs_new(&cards, &again, &err));
    double ra, dec, again_ra, again_dec;
    CHECK(aid_wcs_pixel_to_radec(wcs, 3.0, 90.0, &ra, &dec));
    CHECK(aid_wcs_pixel_to_radec(again, 3.0, 90.0, &again_ra, &again_dec));
    CHECK(ra == again_ra && dec == again_dec);
    aid_header_done(&cards);
    aid_wcs_free(wcs);
    aid_wcs_free(again);
}

enum { THREAD_POINTS = 4000 };
typedef struct thread_job {
    const aid_wcs *wcs;
    double results[THREAD_POINTS][2];
} thread_job;

static aid_status convert_point(void *context, int64_t task, int worker, aid_error *error)
{
    (void)worker;
    (void)error;
    thread_job *job = context;
    double ra, dec;
    if (!aid_wcs_pixel_to_radec(job->wcs, (double)(task % 97), (double)(task % 89), &ra, &dec) ||
        !aid_wcs_radec_to_pixel(job->wcs, ra, dec, &job->results[task][0], &job->results[task][1]))
        job->results[task][0] = -1e9;
    return AID_OK;
}

TEST(threads_may_share_one_wcs)
{
    static thread_job one, three;
    aid_pool *pool = NULL;
    aid_wcs *wcs = NULL;
    CHECK_OK(wcs_of(
        CENTRE("GLON-ZEA", "GLAT-ZEA", "10.0", "20.0") "A_ORDER = 2\nB_ORDER = 2\nA_2_0 = 1E-5\n",
        &wcs));
    one.wcs = three.wcs = wcs;
    CHECK_OK(aid_pool_new(3, &pool, &err));
    CHECK_OK(aid_pool_run(NULL, THREAD_POINTS, convert_point, &one, &err));
    CHECK_OK(aid_pool_run(pool, THREAD_POINTS, convert_point, &three, &err));
    CHECK(!memcmp(one.results, three.results, sizeof one.results));
    CHECK_NEAR(one.results[3999][0], 3999 % 97, 1e-6);
    aid_pool_free(pool);
    aid_wcs_free(wcs);
}

/* ------------------------------------------------------------------------------- planar maps ---
 */

TEST(the_jacobian_of_a_planar_map_is_its_derivative)
{
    aid_planar_map map = aid_planar_identity();
    map.first.degree = 5;
    map.first.c[2][3] = 0.02;
    map.first.c[1][1] = -0.1;
    map.first.radial[1] = 0.03;
    map.second.degree = 2;
    map.second.c[2][0] = 0.05;
    map.second.radial[0] = 0.01;
    const double at[2] = {0.7, -0.4}, h = 1e-6;
    double image[2], jacobian[2][2];
    aid_planar_apply(&map, at, image, jacobian);
    for (int axis = 0; axis < 2; axis++) {
        double up[2] = {at[0], at[1]}, down[2] = {at[0], at[1]}, above[2], below[2];
        up[axis] += h;
        down[axis] -= h;
        aid_planar_apply(&map, up, above, NULL);
        aid_planar_apply(&map, down, below, NULL);
        /* central differences: h^2 of the third derivative and 1e-16/h of rounding */
        for (int i = 0; i < 2; i++)
            CHECK_NEAR((above[i] - below[i]) / (2.0 * h), jacobian[i][axis], 1e-9);
    }
    CHECK_NEAR(image[0],
               0.7 - 0.1 * 0.7 * -0.4 + 0.02 * 0.49 * -0.064 + 0.03 * pow(hypot(0.7, 0.4), 3),
               1e-15);
}

TEST_MAIN()
