#include "core/base/notes.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static bool already_there(const aid_notes *notes, const aid_note *note)
{
    int kept = AID_MIN(notes->count, AID_MAX_NOTES);
    for (int i = 0; i < kept; i++)
        if (!strcmp(notes->items[i].stage, note->stage) &&
            !strcmp(notes->items[i].text, note->text))
            return true;
    return false;
}

void aid_note_add(aid_notes *notes, const char *stage, const char *format, ...)
{
    if (!notes)
        return;
    aid_note note;
    snprintf(note.stage, sizeof note.stage, "%s", stage);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(note.text, sizeof note.text, format, arguments);
    va_end(arguments);
    if (already_there(notes, &note))
        return;
    if (notes->count < AID_MAX_NOTES)
        notes->items[notes->count++] = note;
    else
        snprintf(notes->items[AID_MAX_NOTES - 1].text, sizeof note.text,
                 "more remarks than the %d that are kept", AID_MAX_NOTES);
}
