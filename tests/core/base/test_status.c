#include "core/base/status.h"

#include "tests/check.h"

static aid_status detect(int apples, aid_error *err)
{
    AID_FAIL(err, AID_ERR_INVALID, "basket: %d apples are too many", apples);
}

static aid_status forward(int apples, aid_error *err)
{
    AID_TRY(detect(apples, err));
    return AID_OK;
}

TEST(a_failure_keeps_status_message_and_place_on_its_way_up)
{
    aid_error err = {0};
    CHECK_EQUAL(forward(7, &err), AID_ERR_INVALID);
    CHECK_EQUAL(err.status, AID_ERR_INVALID);
    CHECK_TEXT(err.message, "basket: 7 apples are too many");
    CHECK(strstr(err.source_file, "test_status.c"));
    CHECK_EQUAL(err.source_line, 7);
}

TEST(nobody_needs_to_want_the_message)
{
    CHECK_EQUAL(forward(7, NULL), AID_ERR_INVALID);
    CHECK_EQUAL(aid_error_prefix(NULL, AID_ERR_IO, "%s", "x"), AID_ERR_IO);
}

TEST(a_prefix_goes_before_the_message_and_leaves_the_status)
{
    aid_error err = {0};
    aid_status status = aid_error_prefix(&err, detect(9, &err), "%s line %d", "a.txt", 3);
    CHECK_EQUAL(status, AID_ERR_INVALID);
    CHECK_TEXT(err.message, "a.txt line 3: basket: 9 apples are too many");
}

TEST(control_characters_cannot_forge_a_second_line)
{
    aid_error err = {0};
    CHECK_EQUAL(AID_ERROR(&err, AID_ERR_IO, "%s", "a\nb\rc\td\x1b[31m\x7f"), AID_ERR_IO);
    CHECK_TEXT(err.message, "a b c d [31m ");
    CHECK_EQUAL(aid_error_prefix(&err, AID_ERR_IO, "%s", "x\ny"), AID_ERR_IO);
    CHECK_TEXT(err.message, "x y: a b c d [31m ");
}

TEST(letters_beyond_ascii_survive)
{
    aid_error err = {0};
    CHECK_EQUAL(AID_ERROR(&err, AID_ERR_IO, "%s", "Ångström.fits"), AID_ERR_IO);
    CHECK_TEXT(err.message, "Ångström.fits");
}

TEST(an_overlong_message_is_cut_and_terminated)
{
    char text[2 * AID_MAX_MESSAGE];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    aid_error err = {0};
    CHECK_EQUAL(AID_ERROR(&err, AID_ERR_IO, "%s", text), AID_ERR_IO);
    CHECK_EQUAL(strlen(err.message), AID_MAX_MESSAGE - 1);
    CHECK_EQUAL(aid_error_prefix(&err, AID_ERR_IO, "%s", text), AID_ERR_IO);
    CHECK_EQUAL(strlen(err.message), AID_MAX_MESSAGE - 1);
    CHECK_EQUAL(aid_error_prefix(&err, AID_ERR_IO, "front"), AID_ERR_IO);
    CHECK_EQUAL(strlen(err.message), AID_MAX_MESSAGE - 1);
    CHECK(!strncmp(err.message, "front: xxx", 10));
}

TEST(every_status_has_a_name_and_others_have_none)
{
    CHECK_TEXT(aid_status_name(AID_OK), "ok");
    CHECK_TEXT(aid_status_name(AID_ERR_USAGE), "usage");
    for (int status = AID_OK; status <= AID_ERR_USAGE; status++)
        CHECK(strcmp(aid_status_name((aid_status)status), "unknown") != 0);
    CHECK_TEXT(aid_status_name((aid_status)(AID_ERR_USAGE + 1)), "unknown");
}

TEST_MAIN()
