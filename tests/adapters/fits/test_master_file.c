/* Masters as files: ours come back as they were, those of others are made ours. */
#include "adapters/fits/fits.h"
#include "adapters/fits/master_file.h"
#include "tests/check.h"
#include "tests/folder.h"

static aid_error err;
static aid_notes notes;
enum { WIDTH = 40, HEIGHT = 30 };

static aid_master some_master(aid_frame_type type)
{
    aid_master master = {.frames = 7,
                         .level = 3.5,
                         .noise = 0.25,
                         .frame_noise = 5.125,
                         .rejected_fraction = 0.001,
                         .above_overscan = true};
    CHECK_OK(aid_image_init(WIDTH, HEIGHT, &master.image, &err));
    CHECK_OK(aid_image_init(WIDTH, HEIGHT, &master.variance, &err));
    CHECK_OK(aid_mask_init(WIDTH, HEIGHT, &master.mask, &err));
    for (int i = 0; i < WIDTH * HEIGHT; i++) {
        master.image.data[i] = (float)i / 7.0f;
        master.variance.data[i] = 0.5f + (float)i;
        master.mask.data[i] = i % 11 ? 0 : AID_MASK_BAD;
    }
    master.image.data[5] = master.variance.data[5] = NAN;
    master.facts = (aid_frame_facts){.type = type,
                                     .is_master = true,
                                     .instrument = "Camera",
                                     .filter = "V",
                                     .binning_x = 2,
                                     .binning_y = 1,
                                     .exposure_s = 60.0,
                                     .temperature_c = -20.5,
                                     .gain = 1.25,
                                     .read_noise_e = NAN,
                                     .saturation = NAN,
                                     .epoch = {.known = true,
                                               .mid_mjd_utc = 60443.25 + 30.0 / 86400.0,
                                               .start_mjd_utc = 60443.25,
                                               .exposure_s = 60.0},
                                     .valid_until_mjd_utc = 60473.5};
    memset(master.id, 'a', 64);
    return master;
}

static void check_round_trip(aid_frame_type type)
{
    aid_master written = some_master(type), back;
    enter_new_folder();
    notes = (aid_notes){0};
    CHECK_OK(aid_master_write("m.fits", &written, NULL, &err));
    CHECK_OK(aid_master_read("m.fits", type, &notes, &back, NULL, &err));
    CHECK(!memcmp(back.image.data, written.image.data, WIDTH * HEIGHT * sizeof(float)));
    CHECK(!memcmp(back.variance.data, written.variance.data, WIDTH * HEIGHT * sizeof(float)));
    CHECK(!memcmp(back.mask.data, written.mask.data, WIDTH * HEIGHT));
    CHECK_EQUAL(back.frames, 7);
    CHECK(back.level == 3.5 && back.noise == 0.25 && back.frame_noise == 5.125);
    CHECK(back.above_overscan && back.facts.is_master);
    CHECK_TEXT(back.id, written.id);
    CHECK_EQUAL(back.facts.type, type);
    CHECK_TEXT(back.facts.instrument, "Camera");
    CHECK_TEXT(back.facts.filter, type == AID_TYPE_FLAT ? "V" : "");
    CHECK_EQUAL(back.facts.binning_x, 2);
    CHECK_EQUAL(back.facts.binning_y, 1);
    CHECK(back.facts.exposure_s == 60.0 && back.facts.temperature_c == -20.5);
    CHECK(back.facts.gain == 1.25 && isnan(back.facts.read_noise_e));
    CHECK_NEAR(back.facts.epoch.mid_mjd_utc, written.facts.epoch.mid_mjd_utc, 1e-8); /* 1 ms */
    CHECK_NEAR(back.facts.valid_until_mjd_utc, 60473.5, 1e-8);
    CHECK_EQUAL(notes.count, 0);
    aid_master_done(&written);
    aid_master_done(&back);
}

TEST(a_bias_and_a_dark_come_back_as_they_were)
{
    check_round_trip(AID_TYPE_BIAS);
    check_round_trip(AID_TYPE_DARK);
}

/* The image of 400 has a median of 1 nowhere: a flat of ours has. */
TEST(a_flat_comes_back_as_it_was)
{
    aid_master written = some_master(AID_TYPE_FLAT), back;
    for (int i = 0; i < WIDTH * HEIGHT; i++)
        written.image.data[i] = 0.95f + 0.1f * (float)i / (WIDTH * HEIGHT);
    enter_new_folder();
    CHECK_OK(aid_master_write("m.fits", &written, NULL, &err));
    CHECK_OK(aid_master_read("m.fits", AID_TYPE_UNKNOWN, NULL, &back, NULL, &err));
    CHECK(!memcmp(back.image.data, written.image.data, WIDTH * HEIGHT * sizeof(float)));
    CHECK_TEXT(back.facts.filter, "V");
    aid_master_done(&written);
    aid_master_done(&back);
}

/* As another program may write it: an image and two cards. */
static void write_foreign(const char *type, float level, const char *exposure)
{
    AID_CLEANUP(aid_image_done)
    aid_image image = {0};
    AID_CLEANUP(aid_header_done)
    aid_header cards = {0};
    aid_fits_writer *writer;
    CHECK_OK(aid_image_init(WIDTH, HEIGHT, &image, &err));
    for (int i = 0; i < WIDTH * HEIGHT; i++)
        image.data[i] = level;
    CHECK_OK(aid_header_append(&cards, "IMAGETYP", AID_CARD_STRING, type, "", &err));
    if (exposure)
        CHECK_OK(aid_header_append(&cards, "EXPTIME", AID_CARD_NUMBER, exposure, "", &err));
    CHECK_OK(aid_fits_create("f.fits", &writer, &err));
    CHECK_OK(aid_fits_put_image(writer, NULL, &image, &cards, &err));
    CHECK_OK(aid_fits_commit(writer, &err));
}

static bool noted(const char *text)
{
    for (int i = 0; i < notes.count; i++)
        if (strstr(notes.items[i].text, text))
            return true;
    return false;
}

TEST(masters_of_other_programs_are_made_ours_with_a_note)
{
    aid_master master;
    char sha256[65] = "";
    enter_new_folder();
    notes = (aid_notes){0};
    write_foreign("Master Dark", 30.0f, "60");
    CHECK_OK(aid_master_read("f.fits", AID_TYPE_DARK, &notes, &master, sha256, &err));
    CHECK_NEAR(master.image.data[9], 0.5, 1e-7);
    CHECK(master.variance.data[9] == 0.0f && master.mask.data[9] == 0);
    CHECK(noted("exposure of 60 s") && noted("no variance"));
    CHECK_EQUAL(strlen(sha256), 64);
    aid_master_done(&master);
    write_foreign("FLAT", 25000.0f, NULL);
    CHECK_OK(aid_master_read("f.fits", AID_TYPE_FLAT, &notes, &master, NULL, &err));
    CHECK_NEAR(master.image.data[9], 1.0, 1e-6);
    CHECK_NEAR(master.level, 1.0, 1e-6);
    CHECK(noted("divided by it"));
    aid_master_done(&master);
}

TEST(what_is_no_such_master_is_refused_and_the_result_left_alone)
{
    aid_master master, before;
    memset(&master, 0x5a, sizeof master);
    before = master;
    enter_new_folder();
    write_foreign("bias", 30.0f, "0");
    CHECK_REFUSED(aid_master_read("f.fits", AID_TYPE_FLAT, NULL, &master, NULL, &err),
                  AID_ERR_INVALID, "f.fits: a bias by its header (IMAGETYP), not a flat");
    write_foreign("light", 30.0f, "60");
    CHECK_REFUSED(aid_master_read("f.fits", AID_TYPE_UNKNOWN, NULL, &master, NULL, &err),
                  AID_ERR_INVALID, "no calibration master");
    write_foreign("dark", 30.0f, NULL);
    CHECK_REFUSED(aid_master_read("f.fits", AID_TYPE_DARK, NULL, &master, NULL, &err),
                  AID_ERR_INVALID, "no exposure time");
    write_foreign("flat", -1.0f, NULL);
    CHECK_REFUSED(aid_master_read("f.fits", AID_TYPE_FLAT, NULL, &master, NULL, &err),
                  AID_ERR_INVALID, "median of -1");
    CHECK_REFUSED(aid_master_read("none.fits", AID_TYPE_FLAT, NULL, &master, NULL, &err),
                  AID_ERR_IO, "none.fits");
    CHECK(!memcmp(&master, &before, sizeof before));
}

/* 51544.5 is J2000.0; 40587 is 1970; the others are by ERFA 2.0, jd2cal. */
TEST(dates_are_written_as_the_calendar_has_them)
{
    char text[AID_MJD_TEXT];
    aid_mjd_text(51544.5, text);
    CHECK_TEXT(text, "2000-01-01T12:00:00.000");
    aid_mjd_text(40587.0, text);
    CHECK_TEXT(text, "1970-01-01T00:00:00.000");
    aid_mjd_text(60369.999999999, text); /* 0.09 ms before midnight */
    CHECK_TEXT(text, "2024-03-01T00:00:00.000");
    aid_mjd_text(60368.75, text);
    CHECK_TEXT(text, "2024-02-28T18:00:00.000");
}

int main(int argc, char **argv)
{
    aid_fits_decoder_main(argc, argv);
    return check_main(argc, argv);
}
