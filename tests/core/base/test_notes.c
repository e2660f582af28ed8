#include "core/base/notes.h"

#include "tests/check.h"

TEST(notes_keep_their_order_and_their_stage)
{
    static aid_notes notes;
    aid_note_add(&notes, "read", "gain %g taken from %s", 1.5, "EGAIN");
    aid_note_add(&notes, "register", "no WCS");
    CHECK_EQUAL(notes.count, 2);
    CHECK_TEXT(notes.items[0].stage, "read");
    CHECK_TEXT(notes.items[0].text, "gain 1.5 taken from EGAIN");
    CHECK_TEXT(notes.items[1].text, "no WCS");
}

TEST(the_same_remark_is_kept_once_for_each_stage)
{
    static aid_notes notes;
    for (int i = 0; i < 5; i++) {
        aid_note_add(&notes, "science", "few stars");
        aid_note_add(&notes, "reference", "few stars");
    }
    CHECK_EQUAL(notes.count, 2);
}

TEST(too_many_remarks_end_in_one_that_says_so)
{
    static aid_notes notes;
    for (int i = 0; i < 2 * AID_MAX_NOTES; i++)
        aid_note_add(&notes, "loop", "remark %d", i);
    CHECK_EQUAL(notes.count, AID_MAX_NOTES);
    CHECK_TEXT(notes.items[AID_MAX_NOTES - 2].text, "remark 254");
    CHECK(strstr(notes.items[AID_MAX_NOTES - 1].text, "more remarks than"));
}

TEST(an_overlong_remark_is_cut_and_terminated)
{
    static aid_notes notes;
    char text[1000];
    memset(text, 'y', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    aid_note_add(&notes, text, "%s", text);
    CHECK_EQUAL(strlen(notes.items[0].stage), sizeof notes.items[0].stage - 1);
    CHECK_EQUAL(strlen(notes.items[0].text), sizeof notes.items[0].text - 1);
}

TEST(nowhere_to_write_is_fine)
{
    aid_note_add(NULL, "stage", "text");
    CHECK(1);
}

TEST_MAIN()
