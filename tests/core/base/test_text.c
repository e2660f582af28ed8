#include "core/base/text.h"
#include "tests/check.h"

/* The characters of a text, up to seven. */
static int characters(const char *text, uint32_t found[8])
{
    int count = 0;
    for (uint32_t c; count < 8 && (c = aid_utf8_next(&text)) != 0;)
        found[count++] = c;
    return count;
}

TEST(every_character_comes_back_from_its_bytes)
{
    for (uint32_t c = 1; c <= 0x10ffff; c++) {
        char bytes[5] = "";
        const char *text = bytes;
        int n = aid_utf8_put(c, bytes);
        int surrogate = c >= 0xd800 && c <= 0xdfff;
        uint32_t expected = surrogate ? AID_REPLACEMENT_CHARACTER : c;
        if (aid_utf8_next(&text) != expected || text != bytes + (surrogate ? 1 : n))
            check_fail(__FILE__, __LINE__, "U+%X", c);
    }
}

/* The bytes are those that Unicode's own table 3-7 rules out; U+20AC is the example of RFC 3629. */
TEST(bytes_that_are_not_utf8_are_replaced_one_by_one)
{
    uint32_t found[8];
    CHECK_EQUAL(characters("\xe2\x82\xac", found), 1);
    CHECK_EQUAL(found[0], 0x20ac);
    CHECK_EQUAL(characters("a\xff\xfe"
                           "b",
                           found),
                4);
    CHECK(found[0] == 'a' && found[1] == 0xfffd && found[2] == 0xfffd && found[3] == 'b');
    CHECK_EQUAL(characters("\xc0\x80", found), 2); /* overlong */
    CHECK(found[0] == 0xfffd && found[1] == 0xfffd);
    CHECK_EQUAL(characters("\xe0\x80\xaf", found), 3);
    CHECK_EQUAL(characters("\xf4\x90\x80\x80", found), 4); /* U+110000 */
    CHECK_EQUAL(characters("\xe2\x82", found), 2);         /* cut short by the end */
    CHECK_EQUAL(characters("\xf8\x88\x80\x80\x80", found), 5);
    CHECK_EQUAL(characters("\x80", found), 1);
    CHECK_EQUAL(characters("", found), 0);
}

static void json_is(const char *text, const char *expected)
{
    char out[128] = "", bytes[6];
    size_t length = 0;
    for (int n; (n = aid_json_next(&text, bytes)) > 0; length += (size_t)n)
        memcpy(out + length, bytes, (size_t)n);
    out[length] = '\0';
    CHECK_TEXT(out, expected);
}

TEST(json_escapes_what_rfc_8259_asks_for)
{
    json_is("say \"a\\b\"", "say \\\"a\\\\b\\\"");
    json_is("\b\f\n\r\t", "\\b\\f\\n\\r\\t");
    json_is("\x01\x1f\x7f", "\\u0001\\u001f\x7f");
    json_is("\xc3\xa9\xff/", "\xc3\xa9\xef\xbf\xbd/");
}

static void number_is(double value, int decimals, const char *expected)
{
    char text[AID_DOUBLE_TEXT];
    aid_double_text(value, decimals, text);
    CHECK_TEXT(text, expected);
}

TEST(numbers_have_the_decimals_that_were_asked_for)
{
    number_is(3.14159, 2, "3.14");
    number_is(-2.5, 0, "-2");
    number_is(-0.001, 2, "0.00");
    number_is(-0.006, 2, "-0.01");
    number_is(999999999999999.0, 17, "999999999999999.00000000000000000");
    number_is(1e300, 3, "1e+300");
    number_is(NAN, 2, "nan");
    number_is(INFINITY, -1, "inf");
    number_is(-INFINITY, -1, "-inf");
}

TEST(the_shortest_number_is_short_and_reads_back_the_same)
{
    number_is(0.1, -1, "0.1");
    number_is(0.1 + 0.2, -1, "0.30000000000000004");
    number_is(5e-324, -1, "5e-324");
    number_is(1.7976931348623157e308, -1, "1.7976931348623157e+308");
    number_is(-0.0, -1, "-0");
    uint64_t state = 88172645463325252u;
    for (int i = 0; i < 20000; i++) {
        state ^= state << 13; /* xorshift64 (Marsaglia 2003): every exponent and mantissa */
        state ^= state >> 7;
        state ^= state << 17;
        double value, back;
        memcpy(&value, &state, sizeof value);
        char text[AID_DOUBLE_TEXT];
        aid_double_text(value, -1, text);
        back = strtod(text, NULL);
        CHECK(isnan(value) ? isnan(back) : memcmp(&value, &back, sizeof value) == 0);
    }
}

TEST_MAIN()
