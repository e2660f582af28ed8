#include "adapters/report/html.h"

#include "core/base/text.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* ----------------------------------------------------------------------------------------- text */

/* Characters that could make a page show something else than what it holds. */
static bool is_deceptive(uint32_t c)
{
    bool is_control = (c < 0x20 && c != '\t' && c != '\n') || (c >= 0x7F && c <= 0x9F);
    bool is_direction = c == 0x61C || c == 0x200E || c == 0x200F || (c >= 0x202A && c <= 0x202E) ||
                        (c >= 0x2066 && c <= 0x2069);
    bool is_separator = c == 0x2028 || c == 0x2029 || c == 0xFEFF;
    return is_control || is_direction || is_separator || (c & 0xFFFE) == 0xFFFE;
}

static const char *reference_of(uint32_t character)
{
    switch (character) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    case '`':
        return "&#96;";
    default:
        return NULL;
    }
}

void aid_html_text(FILE *out, const char *text)
{
    if (!text)
        return;
    const char *start = text;
    for (uint32_t character; (character = aid_utf8_next(&text)) != 0;) {
        if (text - start > AID_HTML_MAX_TEXT) {
            fputs("&#8230;", out);
            return;
        }
        const char *reference = reference_of(character);
        char bytes[4];
        if (is_deceptive(character))
            character = AID_REPLACEMENT_CHARACTER;
        if (reference)
            fputs(reference, out);
        else
            fwrite(bytes, 1, (size_t)aid_utf8_put(character, bytes), out);
    }
}

/* -------------------------------------------------------------------------------------- numbers */

void aid_html_fixed(FILE *out, double value, int decimals)
{
    char text[AID_DOUBLE_TEXT];
    aid_double_text(value, AID_CLAMP(decimals, 0, 17), text);
    fputs(isfinite(value) ? text : "&ndash;", out);
}

void aid_html_signed(FILE *out, double value, int decimals)
{
    if (value > 0.0)
        fputc('+', out);
    aid_html_fixed(out, value, decimals);
}

void aid_html_significant(FILE *out, double value, int digits)
{
    double size = fabs(value);
    if (!isfinite(value)) {
        fputs("&ndash;", out);
    } else if (size == 0.0) {
        fputs("0", out);
    } else if (size >= 1e-4 && size < 1e6) {
        int decimals = AID_MAX(digits - 1 - (int)floor(log10(size)), 0);
        aid_html_fixed(out, value, decimals);
    } else {
        char text[40];
        snprintf(text, sizeof text, "%.*e", digits - 1, value);
        char *exponent = strchr(text, 'e');
        *exponent = '\0';
        fprintf(out, "%s&times;10<sup>%ld</sup>", text, strtol(exponent + 1, NULL, 10));
    }
}

void aid_html_short(FILE *out, double value)
{
    if (isfinite(value))
        fprintf(out, "%.4g", value);
    else
        fputs("&ndash;", out);
}

void aid_html_count(FILE *out, int64_t count)
{
    char digits[32];
    int length = snprintf(digits, sizeof digits, "%" PRId64, count);
    for (int i = 0; i < length; i++) {
        fputc(digits[i], out);
        int left = length - 1 - i;
        if (left > 0 && left % 3 == 0 && digits[i] != '-')
            fputs("&#8239;", out); /* narrow no-break space */
    }
}

void aid_html_plural(FILE *out, int64_t count, const char *noun)
{
    aid_html_count(out, count);
    fputc(' ', out);
    fputs(noun, out);
    if (count != 1)
        fputc('s', out);
}

/* ------------------------------------------------------------------------------------- pictures */

size_t aid_base64(const uint8_t *bytes, size_t size, char *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *at = out;
    for (size_t i = 0; i < size; i += 3) {
        size_t left = size - i;
        uint32_t three = (uint32_t)bytes[i] << 16;
        three |= left > 1 ? (uint32_t)bytes[i + 1] << 8 : 0;
        three |= left > 2 ? bytes[i + 2] : 0;
        *at++ = digits[three >> 18];
        *at++ = digits[three >> 12 & 63];
        *at++ = left > 1 ? digits[three >> 6 & 63] : '=';
        *at++ = left > 2 ? digits[three & 63] : '=';
    }
    return (size_t)(at - out);
}

void aid_html_png(FILE *out, const aid_bytes *png)
{
    enum { CHUNK = 3 * 1024 };
    char text[4 * CHUNK / 3];
    fputs("data:image/png;base64,", out);
    for (size_t at = 0; at < png->size; at += CHUNK) {
        size_t length = aid_base64(png->data + at, AID_MIN((size_t)CHUNK, png->size - at), text);
        fwrite(text, 1, length, out);
    }
}
