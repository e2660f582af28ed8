#include "adapters/log/fields.h"

#include "core/base/macros.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* A value in the making; longer than a line it need not be. */
typedef struct field_text {
    char bytes[AID_LOG_LINE];
    size_t length;
    bool finite; /* no NaN and no infinity has been printed */
} field_text;

/* One conversion of a format: "%-*.3lld" has '%', flags, width and precision in `spec` with the
 * stars replaced, "ll" in `size` and 'd' as its letter. */
typedef struct printf_conversion {
    char spec[48];
    char size[3];
    char letter;
} printf_conversion;

static void append_spec(printf_conversion *conversion, const char *text)
{
    size_t length = strlen(conversion->spec);
    snprintf(conversion->spec + length, sizeof conversion->spec - length, "%s", text);
}

static void append_letter(printf_conversion *conversion, char size, char letter)
{
    append_spec(conversion, (char[]){size, letter, '\0'});
}

/* Reads the conversion at *format, which begins with '%', and moves behind it. */
static printf_conversion read_conversion(const char **format, aid_log_arguments *arguments)
{
    enum { SPEC = 36 }; /* leaves room for the letters */
    printf_conversion conversion = {.spec = "%"};
    const char *at = *format + 1;
    for (; *at && strchr("-+ #0123456789.*", *at); at++) {
        char number[16];
        if (*at == '*')
            snprintf(number, sizeof number, "%d", va_arg(arguments->list, int));
        else
            snprintf(number, sizeof number, "%c", *at);
        if (strlen(conversion.spec) + strlen(number) < SPEC)
            append_spec(&conversion, number);
    }
    for (size_t i = 0; *at && strchr("hlzjtL", *at) && i < 2; at++)
        conversion.size[i++] = *at;
    conversion.letter = *at;
    *format = *at ? at + 1 : at;
    return conversion;
}

static intmax_t next_signed(const char *size, aid_log_arguments *arguments)
{
    if (!strcmp(size, "l"))
        return va_arg(arguments->list, long);
    if (!strcmp(size, "ll"))
        return va_arg(arguments->list, long long);
    if (!strcmp(size, "j"))
        return va_arg(arguments->list, intmax_t);
    if (!strcmp(size, "z") || !strcmp(size, "t"))
        return va_arg(arguments->list, ptrdiff_t);
    return va_arg(arguments->list, int);
}

static uintmax_t next_unsigned(const char *size, aid_log_arguments *arguments)
{
    if (!strcmp(size, "l"))
        return va_arg(arguments->list, unsigned long);
    if (!strcmp(size, "ll"))
        return va_arg(arguments->list, unsigned long long);
    if (!strcmp(size, "j"))
        return va_arg(arguments->list, uintmax_t);
    if (!strcmp(size, "z") || !strcmp(size, "t"))
        return va_arg(arguments->list, size_t);
    return va_arg(arguments->list, unsigned);
}

static long double next_double(const char *size, aid_log_arguments *arguments)
{
    return !strcmp(size, "L") ? va_arg(arguments->list, long double)
                              : (long double)va_arg(arguments->list, double);
}

/* Takes the argument of a conversion and prints it, widened to the largest type of its kind. */
static void print_conversion(field_text *text, printf_conversion *conversion,
                             aid_log_arguments *arguments)
{
    char *room = text->bytes + text->length, letter = conversion->letter;
    const char *size = conversion->size, *spec = conversion->spec;
    size_t left = sizeof text->bytes - text->length;
    int printed = 0;
    if (letter == 'd' || letter == 'i') {
        append_letter(conversion, 'j', 'd');
        printed = snprintf(room, left, spec, next_signed(size, arguments));
    } else if (letter && strchr("uxXo", letter)) {
        append_letter(conversion, 'j', letter);
        printed = snprintf(room, left, spec, next_unsigned(size, arguments));
    } else if (letter && strchr("fFeEgGaA", letter)) {
        append_letter(conversion, 'L', letter);
        long double value = next_double(size, arguments);
        text->finite = text->finite && isfinite(value);
        printed = snprintf(room, left, spec, value);
    } else if (letter == 's') {
        append_spec(conversion, "s");
        const char *string = va_arg(arguments->list, const char *);
        printed = snprintf(room, left, spec, string ? string : "(null)");
    } else if (letter == 'c') {
        printed = snprintf(room, left, "%c", va_arg(arguments->list, int));
    } else if (letter == 'p') {
        printed = snprintf(room, left, "%p", va_arg(arguments->list, void *));
    } else {
        printed = snprintf(room, left, "%s", letter == '%' ? "%" : "?");
    }
    text->length += AID_MIN((size_t)AID_MAX(printed, 0), left - 1);
}

/* Flags of a conversion can make "+5", "007" or "1.", which are no numbers in JSON. */
static bool is_json_number(const char *text)
{
    text += *text == '-';
    size_t whole = strspn(text, "0123456789");
    if (whole == 0 || (whole > 1 && *text == '0'))
        return false;
    text += whole;
    if (*text == '.') {
        size_t fraction = strspn(text + 1, "0123456789");
        if (fraction == 0)
            return false;
        text += 1 + fraction;
    }
    if (*text != 'e' && *text != 'E')
        return !*text;
    text++;
    text += *text == '+' || *text == '-';
    size_t exponent = strspn(text, "0123456789");
    return exponent > 0 && !text[exponent];
}

/* The value of a field: the format up to its next blank, printed. Moves *format there and says
 * whether it is a number, made by one numeric conversion and nothing else. */
static bool print_value(field_text *text, const char **format, aid_log_arguments *arguments)
{
    int parts = 0;
    char letter = '\0';
    text->length = 0;
    text->finite = true;
    for (; **format && **format != ' '; parts++) {
        if (**format == '%') {
            printf_conversion conversion = read_conversion(format, arguments);
            print_conversion(text, &conversion, arguments);
            letter = conversion.letter;
        } else {
            if (text->length < sizeof text->bytes - 1)
                text->bytes[text->length++] = **format;
            ++*format;
        }
    }
    text->bytes[text->length] = '\0';
    if (parts != 1 || !letter || !strchr("diufFeEgG", letter))
        return false;
    return !text->finite || is_json_number(text->bytes);
}

void aid_log_add_fields(aid_log_line *line, const char *format, aid_log_arguments *arguments)
{
    for (;;) {
        format += strspn(format, " ");
        if (!*format)
            return;
        /* Words without a key are kept rather than lost. */
        char key[64] = "note";
        size_t length = strcspn(format, "= ");
        if (format[length] == '=') {
            snprintf(key, sizeof key, "%.*s", (int)length, format);
            format += length + 1;
        }
        field_text text;
        bool numeric = print_value(&text, &format, arguments);
        bool is_null = line->json && numeric && !text.finite;
        aid_log_line_add(line, key, is_null ? "null" : text.bytes, numeric);
    }
}
