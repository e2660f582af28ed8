#include "core/base/text.h"

#include "core/base/macros.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* RFC 3629, section 4: the lead byte gives the length and the least character of that length. */
static int utf8_length(unsigned char lead, uint32_t *ret_bits, uint32_t *ret_least)
{
    if (lead < 0x80) {
        *ret_bits = lead;
        *ret_least = 0;
        return 1;
    }
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    for (int length = 2; length <= 4; length++) {
        unsigned char mark = (unsigned char)(0xf00 >> length);
        if ((lead & (unsigned char)(0xf80 >> length)) == mark) {
            *ret_bits = lead & (0x7fu >> length);
            *ret_least = least[length];
            return length;
        }
    }
    return 0;
}

uint32_t aid_utf8_next(const char **text)
{
    const unsigned char *bytes = (const unsigned char *)*text;
    if (!*bytes)
        return 0;
    uint32_t character = 0, least = 0;
    int length = utf8_length(*bytes, &character, &least);
    for (int i = 1; i < length; i++) {
        if ((bytes[i] & 0xc0) != 0x80)
            length = 0; /* the end's NUL too */
        else
            character = character << 6 | (bytes[i] & 0x3fu);
    }
    if (length == 0 || character < least || character > 0x10ffff ||
        (character >= 0xd800 && character <= 0xdfff)) {
        *text += 1;
        return AID_REPLACEMENT_CHARACTER;
    }
    *text += length;
    return character;
}

int aid_utf8_put(uint32_t character, char ret_bytes[4])
{
    if (character < 0x80) {
        ret_bytes[0] = (char)character;
        return 1;
    }
    int length = character < 0x800 ? 2 : character < 0x10000 ? 3 : 4;
    for (int i = length - 1; i > 0; i--, character >>= 6)
        ret_bytes[i] = (char)(0x80 | (character & 0x3f));
    ret_bytes[0] = (char)((0xf00u >> length & 0xffu) | character);
    return length;
}

int aid_json_next(const char **text, char ret_bytes[6])
{
    uint32_t character = aid_utf8_next(text);
    if (character == 0)
        return 0;
    static const char plain[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
    const char *escape = character < 0x80 ? strchr(plain, (int)character) : NULL;
    if (escape) {
        ret_bytes[0] = '\\';
        ret_bytes[1] = letters[escape - plain];
        return 2;
    }
    if (character >= 0x20)
        return aid_utf8_put(character, ret_bytes);
    static const char digits[] = "0123456789abcdef";
    memcpy(ret_bytes, "\\u00", 4);
    ret_bytes[4] = digits[character >> 4];
    ret_bytes[5] = digits[character & 15];
    return 6;
}

static void shortest(double value, char ret_text[AID_DOUBLE_TEXT])
{
    /* 17 digits always do (IEEE 754); any number of up to 15 comes back from 15, with the trailing
     * zeros that %g leaves out, unless it is so small that the mantissa is short. */
    for (int digits = fabs(value) < DBL_MIN ? 1 : 15; digits <= 17; digits++) {
        snprintf(ret_text, AID_DOUBLE_TEXT, "%.*g", digits, value);
        if (strtod(ret_text, NULL) == value)
            return;
    }
}

void aid_double_text(double value, int decimals, char ret_text[AID_DOUBLE_TEXT])
{
    if (!isfinite(value)) {
        snprintf(ret_text, AID_DOUBLE_TEXT, "%s",
                 isnan(value) ? "nan"
                 : value > 0  ? "inf"
                              : "-inf");
        return;
    }
    if (decimals < 0 || fabs(value) >= 1e15) {
        shortest(value, ret_text);
        return;
    }
    snprintf(ret_text, AID_DOUBLE_TEXT, "%.*f", AID_MIN(decimals, 17), value);
    if (ret_text[0] == '-' && strspn(ret_text + 1, "0.") == strlen(ret_text + 1))
        memmove(ret_text, ret_text + 1, strlen(ret_text));
}
