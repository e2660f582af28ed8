#include "adapters/log/line.h"

#include "core/base/text.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

static bool fits(const aid_log_line *line, size_t bytes)
{
    return !line->cut && line->length + bytes <= AID_LOG_LINE - AID_LOG_LINE_END;
}

/* All or nothing. */
static void put_plain(aid_log_line *line, const char *text)
{
    size_t bytes = strlen(text);
    if (!fits(line, bytes)) {
        line->cut = true;
        return;
    }
    memcpy(line->bytes + line->length, text, bytes);
    line->length += bytes;
}

/* Characters that JSON lets through and a terminal obeys: DEL, the C1 controls, and those that end
 * a line or turn the direction of writing. */
static bool steers_terminal(uint32_t character)
{
    return (character >= 0x7f && character < 0xa0) ||
           (character >= 0x2028 && character <= 0x202e) ||
           (character >= 0x2066 && character <= 0x2069);
}

/* As much of the text as there is room for. */
static void put_escaped(aid_log_line *line, const char *text)
{
    for (;;) {
        char piece[8];
        const char *ahead = text;
        uint32_t character = aid_utf8_next(&ahead);
        int bytes = aid_json_next(&text, piece);
        if (bytes == 0)
            return;
        if (steers_terminal(character))
            bytes = snprintf(piece, sizeof piece, "\\u%04x", (unsigned)character);
        if (!fits(line, (size_t)bytes)) {
            line->cut = true;
            return;
        }
        memcpy(line->bytes + line->length, piece, (size_t)bytes);
        line->length += (size_t)bytes;
    }
}

/* Whether at least the quotes stand; the closing one comes out of what is kept for the end. */
static bool put_quoted(aid_log_line *line, const char *text)
{
    put_plain(line, "\"");
    if (line->cut)
        return false;
    put_escaped(line, text);
    line->bytes[line->length++] = '"';
    return true;
}

/* In text, quotes are for values that would not stand as one word. */
static bool is_word(const char *text)
{
    bool word = *text != '\0';
    for (const char *c = text; *c; c++)
        word = word && *c > ' ' && *c < 0x7f && !strchr("\"\\=", *c);
    return word;
}

static bool put_value(aid_log_line *line, const char *value, bool numeric)
{
    bool bare = line->json ? numeric : is_word(value) && fits(line, strlen(value));
    if (!bare)
        return put_quoted(line, value);
    put_plain(line, value);
    return !line->cut;
}

void aid_log_line_add(aid_log_line *line, const char *key, const char *value, bool numeric)
{
    size_t before = line->length;
    put_plain(line, line->json ? ", \"" : " ");
    put_escaped(line, key);
    put_plain(line, line->json ? "\": " : "=");
    bool stands = !line->cut && put_value(line, value, numeric);
    if (!stands) /* a key without its value, or a number without its end, would be worse than none
                  */
        line->length = before;
}

void aid_log_line_begin(aid_log_line *line, bool json, const char *time, const char *level,
                        const char *event)
{
    line->length = 0;
    line->cut = false;
    line->json = json;
    char start[96], upper[8] = "";
    for (size_t i = 0; level[i] && i < sizeof upper - 1; i++)
        upper[i] = (char)toupper((unsigned char)level[i]);
    if (json)
        snprintf(start, sizeof start, "{\"time\": \"%s\", \"level\": \"%s\", \"event\": ", time,
                 level);
    else
        snprintf(start, sizeof start, "%s %-5s ", time, upper);
    put_plain(line, start);
    if (json)
        put_quoted(line, event);
    else
        put_escaped(line, event);
}

void aid_log_line_end(aid_log_line *line)
{
    const char *end = line->json ? "}\n" : "\n";
    if (line->cut)
        end = line->json ? ", \"cut\": true}\n" : " cut=true\n";
    size_t bytes = strlen(end);
    assert(line->length + bytes <= AID_LOG_LINE);
    memcpy(line->bytes + line->length, end, bytes);
    line->length += bytes;
}
