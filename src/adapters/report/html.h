/* Writing HTML: untrusted text, numbers and data URIs.
 * The rule of this folder: markup goes out by fputs, numbers by the functions below or fprintf, and
 * every text that is not a constant of ours by aid_html_text. Nothing else prints a string. */
#ifndef AID_ADAPTERS_REPORT_HTML_H
#define AID_ADAPTERS_REPORT_HTML_H

#include "adapters/report/png.h"

#include <stdio.h>

#define AID_HTML_MAX_TEXT 8192 /* bytes of one text; what is beyond becomes an ellipsis */

/* Good in element content and in quoted attributes. & < > " ' become references; bytes that are not
 * UTF-8, control characters and those that reverse the direction of writing become U+FFFD. NULL is
 * "". */
void aid_html_text(FILE *out, const char *text);

/* `value` with so many decimals, or an en dash when it is not finite. */
void aid_html_fixed(FILE *out, double value, int decimals);
/* The same with a + before what is above 0. */
void aid_html_signed(FILE *out, double value, int decimals);
/* With so many significant digits, plain between 1e-4 and 1e6, otherwise as m x 10^e. */
void aid_html_significant(FILE *out, double value, int digits);
/* Up to four significant digits, without zeros at the end: for settings such as a threshold. */
void aid_html_short(FILE *out, double value);
/* A count with thin spaces between thousands. */
void aid_html_count(FILE *out, int64_t count);
/* "1 candidate", "12 candidates". `noun` is a constant of ours. */
void aid_html_plural(FILE *out, int64_t count, const char *noun);

/* data:image/png;base64,... */
void aid_html_png(FILE *out, const aid_bytes *png);
/* `size` bytes in base64; `out` gets 4*ceil(size/3) characters and no terminator. */
size_t aid_base64(const uint8_t *bytes, size_t size, char *out);

#endif
