/* Text for others to read: valid UTF-8 whatever came in, and numbers that read back the same. */
#ifndef AID_CORE_BASE_TEXT_H
#define AID_CORE_BASE_TEXT_H

#include <stdint.h>

/* What stands where bytes are not UTF-8. */
#define AID_REPLACEMENT_CHARACTER 0xFFFDu

/* The character at *text, which moves behind it; 0 at the end, where it stays. A byte that is not
 * UTF-8 (stray, cut short, overlong, a surrogate, beyond U+10FFFF) counts as one U+FFFD by itself.
 */
uint32_t aid_utf8_next(const char **text);

/* The 1 to 4 bytes of a character, without a NUL; how many is returned. */
int aid_utf8_put(uint32_t character, char ret_bytes[4]);

/* The next character of *text as it stands in a JSON string: 1 to 6 bytes, without a NUL. Returns
 * how many, 0 at the end. */
int aid_json_next(const char **text, char ret_bytes[6]);

/* decimals >= 0: that many digits after the point (at most 17; from 1e15 on as with -1, for digits
 * beyond a double's sixteen say nothing), and never "-0.00". decimals -1: as few digits as read
 * back the same double. "nan", "inf" and "-inf" for what is not finite. */
enum { AID_DOUBLE_TEXT = 40 };
void aid_double_text(double value, int decimals, char ret_text[AID_DOUBLE_TEXT]);

#endif
