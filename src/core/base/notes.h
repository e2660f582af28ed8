/* Remarks that a stage leaves for the person: what was assumed, what was fallen back to. core and
 * domain do not log; they add notes, and the application shows them in log, summary and report. */
#ifndef AID_CORE_BASE_NOTES_H
#define AID_CORE_BASE_NOTES_H

#include "core/base/limits.h"
#include "core/base/macros.h"

typedef struct aid_note {
    char stage[24];
    char text[232];
} aid_note;

typedef struct aid_notes {
    int count;
    aid_note items[AID_MAX_NOTES];
} aid_notes;

/* Adds one remark; `notes` may be NULL; beyond AID_MAX_NOTES the last one says how many are
 * missing. The same stage and text twice is kept once. */
void aid_note_add(aid_notes *notes, const char *stage, const char *format, ...) AID_PRINTF(3, 4);

#endif
