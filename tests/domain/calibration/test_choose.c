/* The choice of masters among candidates that each differ from the frame in one thing. */
#include "core/base/macros.h"
#include "domain/calibration/choose.h"
#include "tests/check.h"

static aid_frame_facts facts_of(aid_frame_type type, double mjd)
{
    aid_frame_facts facts = {.type = type,
                             .instrument = "Camera",
                             .filter = "V",
                             .width = 1024,
                             .height = 1024,
                             .binning_x = 2,
                             .binning_y = 2,
                             .exposure_s = 300.0,
                             .temperature_c = -80.0,
                             .valid_until_mjd_utc = NAN};
    facts.epoch.known = isfinite(mjd);
    facts.epoch.mid_mjd_utc = mjd;
    return facts;
}

/* The frame of all tests: 1056 x 1024 with an overscan, 1024 x 1024 without. */
static aid_frame_facts frame_facts(void)
{
    aid_frame_facts facts = facts_of(AID_TYPE_LIGHT, 60000.0);
    facts.width = 1056;
    facts.trim = (aid_section){0, 0, 1024, 1024};
    return facts;
}

static int choose(const aid_frame_facts *frame, aid_frame_type type, const aid_frame_facts *list,
                  int count, aid_choice *choices)
{
    const aid_frame_facts *pointers[16];
    aid_choice_options options = AID_CHOICE_DEFAULTS;
    CHECK(count <= 16);
    for (int i = 0; i < count; i++)
        pointers[i] = &list[i];
    return aid_master_choose(frame, type, pointers, count, &options, choices);
}

TEST(what_differs_from_the_frame_is_ruled_out_with_its_reason)
{
    aid_frame_facts frame = frame_facts(), list[9];
    aid_choice choices[9];
    static const char *const reasons[9] = {
        "is a dark",
        "instrument Other, the frame has Camera",
        "binned 1 x 2, the frame 2 x 2",
        "2048 x 1024 pixels, the frame has 1024 x 1024",
        "filter B, the frame has V",
        "expired at MJD 59999.50, the frame is of 60000.00",
        "chosen: 3.00 d apart",
        "another fits better: 4.00 d apart",
        "another fits better: time unknown",
    };
    for (int i = 0; i < 9; i++)
        list[i] = facts_of(AID_TYPE_FLAT, 60000.0);
    list[0].type = AID_TYPE_DARK;
    snprintf(list[1].instrument, sizeof list[1].instrument, "Other");
    list[2].binning_x = 1;
    list[3].width = 2048;
    snprintf(list[4].filter, sizeof list[4].filter, "B");
    list[5].valid_until_mjd_utc = 59999.5;
    list[6].epoch.mid_mjd_utc = 60003.0;
    list[7].epoch.mid_mjd_utc = 59996.0;
    list[8].epoch.known = false;
    CHECK_EQUAL(choose(&frame, AID_TYPE_FLAT, list, 9, choices), 6);
    for (int i = 0; i < 9; i++) {
        CHECK_TEXT(choices[i].reason, reasons[i]);
        CHECK_EQUAL(choices[i].suitable, i >= 6);
        CHECK_EQUAL(choices[i].chosen, i == 6);
    }
}

TEST(a_dark_is_chosen_by_exposure_then_temperature_then_time)
{
    aid_frame_facts frame = frame_facts(), list[5];
    aid_choice choices[5];
    for (int i = 0; i < 5; i++)
        list[i] = facts_of(AID_TYPE_DARK, 59990.0);
    list[0].exposure_s = 30.0;
    list[0].epoch.mid_mjd_utc = 60000.0;
    list[1].temperature_c = -77.5; /* more than 2 C off */
    list[1].epoch.mid_mjd_utc = 60000.0;
    list[2].temperature_c = -79.0;
    list[2].epoch.mid_mjd_utc = 60000.0;
    list[3].exposure_s = 301.0; /* within 1 % */
    list[3].epoch.mid_mjd_utc = 59991.0;
    CHECK_EQUAL(choose(&frame, AID_TYPE_DARK, list, 5, choices), 3);
    CHECK_TEXT(choices[1].reason, "at -77.5 C, the frame at -80.0 C");
    CHECK_TEXT(choices[0].reason,
               "another fits better: 0.00 d apart, exposure ratio 10.00, 0.0 C off");
    CHECK_TEXT(choices[3].reason, "chosen: 9.00 d apart, exposure ratio 1.00, 0.0 C off");
    list[3].valid_until_mjd_utc = 59999.0;
    CHECK_EQUAL(choose(&frame, AID_TYPE_DARK, list, 5, choices), 4);
    list[4].valid_until_mjd_utc = 59999.0;
    CHECK_EQUAL(choose(&frame, AID_TYPE_DARK, list, 5, choices), 2);
    list[2].exposure_s = 100.0;
    CHECK_EQUAL(choose(&frame, AID_TYPE_DARK, list, 5, choices), 2);
}

TEST(an_expired_master_is_never_chosen_not_even_alone)
{
    aid_frame_facts frame = frame_facts(), bias = facts_of(AID_TYPE_BIAS, 59000.0);
    aid_choice choice;
    bias.valid_until_mjd_utc = 59999.99;
    CHECK_EQUAL(choose(&frame, AID_TYPE_BIAS, &bias, 1, &choice), -1);
    bias.valid_until_mjd_utc = 60000.0;
    CHECK_EQUAL(choose(&frame, AID_TYPE_BIAS, &bias, 1, &choice), 0);
    frame.epoch.known = false; /* then nobody knows */
    CHECK_EQUAL(choose(&frame, AID_TYPE_BIAS, &bias, 1, &choice), -1);
    CHECK_TEXT(choice.reason, "valid until MJD 60000.00, and the frame has no time");
}

TEST(what_headers_do_not_say_counts_as_a_match_and_full_frames_fit_too)
{
    aid_frame_facts frame = frame_facts(), list[3];
    aid_choice choices[3];
    for (int i = 0; i < 3; i++)
        list[i] = facts_of(AID_TYPE_FLAT, 60000.0 + i);
    list[0].instrument[0] = '\0';
    list[0].filter[0] = '\0';
    list[1].width = 1056; /* not trimmed yet */
    snprintf(list[2].filter, sizeof list[2].filter, "v");
    CHECK_EQUAL(choose(&frame, AID_TYPE_FLAT, list, 3, choices), 0);
    CHECK(choices[1].suitable && choices[2].suitable);
    CHECK_EQUAL(choose(&frame, AID_TYPE_FLAT, list, 0, choices), -1);
}

TEST_MAIN()
