#include "core/sky/time.h"
#include "tests/check.h"
#include "tests/core/sky/card_text.h"

static aid_error err;

static aid_epoch epoch_of(const char *cards)
{
    aid_header header = {0};
    aid_status status;
    card_text_parse(cards, strlen(cards), &header, &status, &err);
    CHECK_OK(status);
    aid_epoch epoch = aid_epoch_from_header(&header);
    aid_header_done(&header);
    return epoch;
}

/* A double holds MJD to 7e-12 d; 1e-10 d is 9 microseconds. */
static void check_epoch(const char *cards, double start, double mid)
{
    aid_epoch epoch = epoch_of(cards);
    CHECK(epoch.known);
    CHECK_NEAR(epoch.start_mjd_utc, start, 1e-10);
    CHECK_NEAR(epoch.mid_mjd_utc, mid, 1e-10);
}

/* astropy 5.2.1: Time(...).utc.mjd, and half the exposure later. */
TEST(start_and_middle_agree_with_astropy)
{
    check_epoch("DATE-OBS = '2018-08-04T09:23:31.598174'\nEXPTIME = 330.0\n", 58334.391337941828,
                58334.393247664048);
    check_epoch("DATE-OBS = '2005-01-01T00:00:32'\nTIMESYS = 'TAI'\nEXPOSURE = 10\n", 53371.0,
                53371.000057870370);
    check_epoch("DATE-OBS = '2010-06-15T12:01:06.184'\nTIMESYS = 'TT'\nEXPTIME = 0\n", 55362.5,
                55362.5);
    check_epoch("DATE-OBS = '2003-12-06T10:46:35.021Z'\nEXPTIME = 30\n", 52979.449016446758,
                52979.449190057872);
}

/* In UTC 2016-12-31 has 86401 seconds, and a quasi-JD day is as long as its day: 23:59:50 is
 * 86390/86401, and 20 s later it is 00:00:09. */
TEST(an_exposure_across_a_leap_second_is_as_long_as_it_says)
{
    check_epoch("DATE-OBS = '2016-12-31T23:59:50'\nEXPTIME = 40\n", 57753.0 + 86390.0 / 86401.0,
                57754.0 + 9.0 / 86400.0);
    aid_epoch epoch = epoch_of("DATE-OBS = '2016-12-31T23:59:60.5'\nEXPTIME = 1\n");
    CHECK(epoch.known);
    CHECK_TEXT(epoch.warning, "");
    CHECK_NEAR(epoch.mid_mjd_utc, 57754.0, 1e-10);
}

TEST(a_date_alone_takes_its_time_from_a_card_of_its_own)
{
    double start = 52377.0 + (20.0 * 3600.0 + 40.0 * 60.0 + 22.0) / 86400.0;
    check_epoch("DATE-OBS = '2002-04-13'\nTIME-OBS = '20:40:22'\nEXPTIME = 60\n", start,
                start + 30.0 / 86400.0);
    check_epoch("DATE-OBS = '2002-04-13'\nUT = '20:40:22.0'\nEXPTIME = 60\n", start,
                start + 30.0 / 86400.0);
    check_epoch("DATE-OBS = '13/04/02'\nUTSTART = '20:40:22'\nEXPTIME = 60\n", start - 36525.0,
                start - 36525.0 + 30.0 / 86400.0);
}

TEST(a_date_alone_gives_way_to_the_julian_date)
{
    check_epoch("DATE-OBS = '26/10/92'\nMJD-OBS = 48921.62787\nEXPTIME = 1200\n", 48921.62787,
                48921.62787 + 600.0 / 86400.0);
    check_epoch("MJD-OBS = 59000.25\nEXPTIME = 864\n", 59000.25, 59000.255);
    check_epoch("DATE-OBS = ''\nDATE-BEG = '2020-05-31T06:00:00'\nEXPTIME = 864\n", 59000.25,
                59000.255);
}

TEST(midnight_is_assumed_only_with_a_warning)
{
    aid_epoch epoch = epoch_of("DATE-OBS = '2020-05-31'\nEXPTIME = 0\n");
    CHECK(epoch.known);
    CHECK_NEAR(epoch.mid_mjd_utc, 59000.0, 1e-10);
    CHECK(strstr(epoch.warning, "midnight"));
}

TEST(an_exposure_time_that_is_no_number_leaves_the_start_with_a_warning)
{
    aid_epoch epoch = epoch_of("DATE-OBS = '2020-05-31T06:00:00'\nEXPTIME = 6,4E-05\n");
    CHECK(epoch.known && isnan(epoch.exposure_s));
    CHECK_NEAR(epoch.mid_mjd_utc, 59000.25, 1e-10);
    CHECK(strstr(epoch.warning, "6,4E-05"));
    epoch = epoch_of("DATE-OBS = '2020-05-31T06:00:00'\n");
    CHECK(epoch.known && isnan(epoch.exposure_s));
    CHECK(strstr(epoch.warning, "no exposure time"));
    epoch = epoch_of("DATE-OBS = '2020-05-31T06:00:00'\nEXPTIME = -30\n");
    CHECK(epoch.known && isnan(epoch.exposure_s));
    CHECK(strstr(epoch.warning, "-30"));
}

TEST(a_sound_header_gives_no_warning)
{
    aid_epoch epoch = epoch_of("DATE-OBS = '2020-05-31T06:00:00'\nEXPTIME = 30\nTIMESYS = 'UTC'\n");
    CHECK_TEXT(epoch.warning, "");
    CHECK_NEAR(epoch.exposure_s, 30.0, 0.0);
}

TEST(an_unknown_time_scale_is_taken_for_utc_with_a_warning)
{
    aid_epoch epoch = epoch_of("DATE-OBS = '2020-05-31T06:00:00'\nEXPTIME = 0\nTIMESYS = 'LMST'\n");
    CHECK(epoch.known && strstr(epoch.warning, "LMST"));
    CHECK_NEAR(epoch.mid_mjd_utc, 59000.25, 1e-10);
}

TEST(dates_that_are_none_leave_the_epoch_unknown)
{
    static const char *const dates[] = {
        "2020-02-30T00:00:00",       "2020-13-01",          "yesterday",
        "2020-05-31T25:00:00",       "2020-05-31T06:00:0x", "20200531",
        "2020-05-31T06:61:00",       "99999-05-31",         "31/31/92",
        "2020-05-31T06:00:00+02:00", "0000-00-00"};
    for (size_t i = 0; i < AID_COUNT_OF(dates); i++) {
        char cards[96];
        snprintf(cards, sizeof cards, "DATE-OBS = '%s'\nEXPTIME = 60\n", dates[i]);
        aid_epoch epoch = epoch_of(cards);
        CHECK(!epoch.known);
        CHECK(isnan(epoch.mid_mjd_utc) && isnan(epoch.start_mjd_utc));
        CHECK(epoch.warning[0]);
        CHECK_NEAR(epoch.exposure_s, 60.0, 0.0);
    }
}

TEST(an_empty_header_has_no_epoch)
{
    aid_epoch epoch = epoch_of("");
    CHECK(!epoch.known && isnan(epoch.exposure_s));
    CHECK(strstr(epoch.warning, "no date"));
}

TEST_MAIN()
