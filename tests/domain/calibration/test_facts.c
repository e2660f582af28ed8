/* What headers say, in the ways in which programs have said it. */
#include "adapters/fits/fits.h"
#include "domain/calibration/calibration.h"
#include "tests/check.h"

#include <unistd.h>

static aid_error err;
static aid_notes notes;

/* Cards as "KEY", "value" pairs, NULL-terminated; numbers are found by the look-up itself. */
static aid_frame_facts facts_of(const char *const *cards, int32_t width, int32_t height)
{
    aid_header header = {0};
    for (int i = 0; cards[i]; i += 2)
        CHECK_OK(aid_header_append(&header, cards[i], AID_CARD_STRING, cards[i + 1], "", &err));
    notes = (aid_notes){0};
    aid_frame_facts facts = aid_frame_facts_from_header(&header, "x.fits", width, height, &notes);
    aid_header_done(&header);
    return facts;
}
#define FACTS(...) facts_of((const char *const[]){__VA_ARGS__, NULL}, 1056, 1024)

static bool noted(const char *text)
{
    for (int i = 0; i < notes.count; i++)
        if (strstr(notes.items[i].text, text))
            return true;
    return false;
}

static aid_frame_type type_of(const char *keyword, const char *value)
{
    const char *const cards[] = {keyword, value, "EXPTIME", "10", NULL};
    return facts_of(cards, 10, 10).type;
}

TEST(sixteen_bits_hold_no_more_than_they_can_where_nothing_else_tells_the_saturation)
{
    aid_frame_facts facts = {.saturation = NAN};
    aid_frame_facts_take_ceiling(&facts, -32, 1.0, 0.0);
    aid_frame_facts_take_ceiling(&facts, 16, 0.01, 0.0); /* scaled since */
    CHECK(isnan(facts.saturation));
    aid_frame_facts_take_ceiling(&facts, 16, 1.0, 32768.0);
    CHECK_NEAR(facts.saturation, 65535.0, 0.0);
    facts.saturation = 4095.0;
    aid_frame_facts_take_ceiling(&facts, 16, 1.0, 32768.0);
    CHECK_NEAR(facts.saturation, 4095.0, 0.0);
}

TEST(types_are_known_in_all_their_spellings)
{
    CHECK_EQUAL(type_of("IMAGETYP", "Bias Frame"), AID_TYPE_BIAS);
    CHECK_EQUAL(type_of("IMAGETYP", "zero"), AID_TYPE_BIAS);
    CHECK_EQUAL(type_of("IMAGETYP", "Dark Frame"), AID_TYPE_DARK);
    CHECK_EQUAL(type_of("OBSTYPE", "DARK"), AID_TYPE_DARK);
    CHECK_EQUAL(type_of("FRAME", "Dark Flat"), AID_TYPE_DARK);
    CHECK_EQUAL(type_of("IMAGETYP", "twilight flat"), AID_TYPE_FLAT);
    CHECK_EQUAL(type_of("ESO DPR TYPE", "FLAT,SKY"), AID_TYPE_FLAT);
    CHECK_EQUAL(type_of("IMAGETYP", "LIGHT"), AID_TYPE_LIGHT);
    CHECK_EQUAL(type_of("IMAGETYP", "object"), AID_TYPE_LIGHT);
    CHECK_EQUAL(type_of("PICTTYPE", "2"), AID_TYPE_BIAS);
    CHECK_EQUAL(type_of("PICTTYPE", "7"), AID_TYPE_UNKNOWN);
    CHECK_EQUAL(type_of("IMAGETYP", "focus"), AID_TYPE_UNKNOWN);
    CHECK_TEXT(aid_frame_type_name(AID_TYPE_FLAT), "flat");
    CHECK_TEXT(aid_frame_type_name((aid_frame_type)99), "unknown");
}

TEST(a_dark_of_no_exposure_is_a_bias_and_a_note_says_so)
{
    aid_frame_facts facts = FACTS("OBSTYPE", "DARK", "EXPTIME", "0");
    CHECK_EQUAL(facts.type, AID_TYPE_BIAS);
    CHECK_TEXT(facts.type_origin, "exposure of 0 s");
    CHECK(noted("says dark"));
    CHECK_EQUAL(FACTS("OBSTYPE", "DARK", "EXPTIME", "1").type, AID_TYPE_DARK);
}

TEST(a_light_frame_whose_object_is_a_flat_is_a_flat)
{
    aid_frame_facts facts = FACTS("OBSTYPE", "OBJECT", "OBJECT", "sky flat", "EXPTIME", "4");
    CHECK_EQUAL(facts.type, AID_TYPE_FLAT);
    CHECK(noted("sky flat"));
    CHECK_EQUAL(FACTS("OBSTYPE", "OBJECT", "OBJECT", "Dark Cloud").type, AID_TYPE_LIGHT);
}

TEST(masters_are_recognised)
{
    CHECK(FACTS("IMAGETYP", "master dark", "EXPTIME", "60").is_master);
    CHECK(FACTS("IMAGETYP", "bias", "NCOMBINE", "10").is_master);
    CHECK(!FACTS("IMAGETYP", "object", "NCOMBINE", "10").is_master);
    CHECK(!FACTS("IMAGETYP", "bias").is_master);
}

TEST(numbers_with_a_decimal_comma_are_read_and_noted)
{
    aid_frame_facts facts =
        FACTS("EXPTIME", "6,4E-05", "CCD-TEMP", "-10,5", "DATE-OBS", "2024-04-16T15:33:10");
    CHECK_NEAR(facts.exposure_s, 6.4e-5, 1e-18);
    CHECK_NEAR(facts.temperature_c, -10.5, 1e-12);
    CHECK(noted("EXPTIME = 6,4E-05 is read as 6.4e-05"));
    CHECK_NEAR(facts.epoch.mid_mjd_utc - facts.epoch.start_mjd_utc, 3.2e-5 / 86400.0, 1e-11);
    CHECK(isnan(FACTS("EXPTIME", "1,234,567").exposure_s));
    CHECK(isnan(FACTS("EXPTIME", "-5").exposure_s));
    CHECK_NEAR(FACTS("EXPOINUS", "64").exposure_s, 6.4e-5, 1e-18);
}

static void check_section(const aid_section *section, int x0, int y0, int x1, int y1)
{
    CHECK_EQUAL(section->x0, x0);
    CHECK_EQUAL(section->y0, y0);
    CHECK_EQUAL(section->x1, x1);
    CHECK_EQUAL(section->y1, y1);
}

TEST(sections_count_from_one_and_include_both_ends)
{
    aid_frame_facts facts = FACTS("BIASSEC", "[1025:1056,1:1024]", "TRIMSEC", "[3:1020, 5:1000]");
    check_section(&facts.overscan, 1024, 0, 1056, 1024);
    check_section(&facts.trim, 2, 4, 1020, 1000);
    CHECK_EQUAL(notes.count, 0);
    facts = FACTS("DATASEC", "[1:1024,*]");
    check_section(&facts.trim, 0, 0, 1024, 1024);
    check_section(&facts.overscan, 0, 0, 0, 0);
}

TEST(sections_that_are_reversed_or_reach_too_far_are_mended_and_noted)
{
    aid_frame_facts facts = FACTS("BIASSEC", "[1056:1025,1024:1]");
    check_section(&facts.overscan, 1024, 0, 1056, 1024);
    check_section(&facts.trim, 0, 0, 1024, 1024); /* what is left beside it */
    CHECK(noted("is reversed"));
    facts = FACTS("BIASSEC", "[1025:1080,0:1024]");
    check_section(&facts.overscan, 1024, 0, 1056, 1024);
    CHECK(noted("reaches beyond"));
    facts = FACTS("BIASSEC", "[2000:2010,1:1024]");
    check_section(&facts.overscan, 0, 0, 0, 0);
    CHECK(noted("lies beyond"));
    facts = FACTS("TRIMSEC", "all of it");
    check_section(&facts.trim, 0, 0, 0, 0);
    CHECK(noted("is no section"));
    facts = FACTS("BIASSEC", "[1:99999999999999999999,1:10]");
    CHECK(facts.overscan.x1 <= 1056);
}

TEST(what_is_left_beside_an_overscan_is_found_at_every_edge)
{
    aid_frame_facts facts = FACTS("BIASSEC", "[1:20,1:1024]");
    check_section(&facts.trim, 20, 0, 1056, 1024);
    facts = FACTS("BIASSEC", "[1:1056,1001:1024]");
    check_section(&facts.trim, 0, 0, 1056, 1000);
    facts = FACTS("BIASSEC", "[1:1056,1:16]");
    check_section(&facts.trim, 0, 16, 1056, 1024);
}

TEST(binning_filter_and_temperature_have_many_names)
{
    aid_frame_facts facts = FACTS("CCDSUM", "2 4", "FILTER1", "Clear", "FILTER2", "R ");
    CHECK_EQUAL(facts.binning_x, 2);
    CHECK_EQUAL(facts.binning_y, 4);
    CHECK_TEXT(facts.filter, "R");
    facts = FACTS("BINNING", "3x3", "FILTNAM", " V ", "DET-TEMP", "163.15");
    CHECK_EQUAL(facts.binning_x, 3);
    CHECK_EQUAL(facts.binning_y, 3);
    CHECK_TEXT(facts.filter, "V");
    CHECK_NEAR(facts.temperature_c, -110.0, 1e-9);
    facts = FACTS("XBINNING", "2", "BINNING", "1x1");
    CHECK_EQUAL(facts.binning_x, 2);
    CHECK_EQUAL(facts.binning_y, 2);
    facts = FACTS("XBINNING", "0", "CCDBIN1", "1.5");
    CHECK_EQUAL(facts.binning_x, 1);
}

TEST(gain_cards_that_lie_are_not_used)
{
    aid_frame_facts facts = FACTS("INSTRUME", "Nickel Direct Camera", "GAIN", "1");
    CHECK_NEAR(facts.gain, 1.80, 1e-12);
    CHECK_NEAR(facts.read_noise_e, 9.4, 1e-12);
    CHECK(noted("GAIN = 1 is not used"));
    facts = FACTS("INSTRUME", "ZWO ASI120MC-S", "GAIN", "0");
    CHECK(isnan(facts.gain));
    CHECK(noted("GAIN = 0 is not used"));
    facts = FACTS("INSTRUME", "ZWO ASI120MC-S", "GAIN", "0", "EGAIN", "0.3");
    CHECK_NEAR(facts.gain, 0.3, 1e-12);
    facts = FACTS("GAIN", "0");
    CHECK(isnan(facts.gain));
    CHECK(noted("GAIN = 0 is no gain"));
    facts = FACTS("GAIN", "1.5", "RDNOISE", "7.5", "SATURATE", "65535");
    CHECK_NEAR(facts.gain, 1.5, 1e-12);
    CHECK_NEAR(facts.read_noise_e, 7.5, 1e-12);
    CHECK_NEAR(facts.saturation, 65535.0, 1e-9);
}

TEST(a_date_until_which_a_master_is_good_is_read)
{
    /* 2024-05-13 is MJD 60443 (ERFA 2.0 dtf2d) */
    CHECK_NEAR(FACTS("VALIDTO", "2024-05-13T12:00:00").valid_until_mjd_utc, 60443.5, 1e-9);
    CHECK(isnan(FACTS("VALIDTO", "soon").valid_until_mjd_utc));
    CHECK(isnan(FACTS("GAIN", "1").valid_until_mjd_utc));
}

TEST(an_empty_header_leaves_everything_unknown)
{
    aid_header header = {0};
    aid_frame_facts facts = aid_frame_facts_from_header(&header, "m13.fits", 7, 5, NULL);
    CHECK_EQUAL(facts.type, AID_TYPE_UNKNOWN);
    CHECK_TEXT(facts.type_origin, "");
    CHECK_EQUAL(facts.width, 7);
    CHECK_EQUAL(facts.height, 5);
    CHECK(isnan(facts.exposure_s) && isnan(facts.gain) && isnan(facts.temperature_c));
    CHECK(!facts.epoch.known);
    CHECK_EQUAL(aid_frame_facts_from_header(&header, "flat_3.fits", 7, 5, NULL).type,
                AID_TYPE_FLAT);
}

static aid_frame_facts real_facts(const char *path)
{
    aid_fits_image image;
    if (access(path, R_OK))
        check_skip(path);
    CHECK_OK(aid_fits_read(path, NULL, &image, &err));
    notes = (aid_notes){0};
    aid_frame_facts facts = aid_frame_facts_from_header(
        &image.header, strrchr(path, '/') + 1, image.image.width, image.image.height, &notes);
    aid_fits_image_done(&image);
    return facts;
}

TEST(the_nickel_telescope_is_understood)
{
    aid_frame_facts facts = real_facts("../shared/data/nickel/d1001.fits.gz");
    CHECK_EQUAL(facts.type, AID_TYPE_BIAS);
    check_section(&facts.trim, 0, 0, 1024, 1024);
    check_section(&facts.overscan, 1032, 0, 1056, 1024);
    CHECK_NEAR(facts.gain, 1.80, 1e-12);
    CHECK_NEAR(facts.temperature_c, -108.8, 0.01);
    facts = real_facts("../shared/data/nickel/d1035.fits.gz");
    CHECK_EQUAL(facts.type, AID_TYPE_FLAT);
    CHECK_TEXT(facts.filter, "V");
    CHECK_NEAR(facts.exposure_s, 4.0, 1e-12);
    CHECK_EQUAL(real_facts("../shared/data/nickel/d1059.fits.gz").type, AID_TYPE_LIGHT);
}

TEST(a_camera_with_decimal_commas_is_understood)
{
    aid_frame_facts facts = real_facts("../shared/data/asi120/bias_0001.fit.gz");
    CHECK_EQUAL(facts.type, AID_TYPE_BIAS);
    CHECK_NEAR(facts.exposure_s, 6.4e-5, 1e-12);
    CHECK(isnan(facts.gain));
    facts = real_facts("../shared/data/asi120/dark_50s_0002.fit.gz");
    CHECK_EQUAL(facts.type, AID_TYPE_DARK);
    CHECK_NEAR(facts.exposure_s, 50.0, 1e-12);
    CHECK_NEAR(facts.temperature_c, 26.0, 2.0);
}

int main(int argc, char **argv)
{
    aid_fits_decoder_main(argc, argv);
    return check_main(argc, argv);
}
