/* Sections of a frame: FITS counts from 1 and includes both ends, here from 0 and without the
 * second. */
#include "domain/calibration/internal.h"

#include <stdio.h>
#include <string.h>

static bool is_empty(const aid_section *section)
{
    return section->x1 <= section->x0 || section->y1 <= section->y0;
}

static void put_in_order(long *first, long *last, bool *reversed)
{
    if (*first > *last) {
        long swap = *first;
        *first = *last;
        *last = swap;
        *reversed = true;
    }
}

/* "[x1:x2,y1:y2]"; * stands for a whole axis. */
static bool parse_section(const char *text, int32_t width, int32_t height, long ret_ends[4])
{
    long x1 = 1, x2 = width, y1 = 1, y2 = height;
    int end = -1;
    if (sscanf(text, " [ %ld : %ld , %ld : %ld ] %n", &x1, &x2, &y1, &y2, &end) == 4 && end > 0 &&
        !text[end]) {
    } else if (sscanf(text, " [ * , %ld : %ld ] %n", &y1, &y2, &end) == 2 && end > 0 &&
               !text[end]) {
        x1 = 1;
        x2 = width;
    } else if (sscanf(text, " [ %ld : %ld , * ] %n", &x1, &x2, &end) == 2 && end > 0 &&
               !text[end]) {
        y1 = 1;
        y2 = height;
    } else {
        return false;
    }
    const long ends[] = {x1, x2, y1, y2};
    memcpy(ret_ends, ends, sizeof ends);
    return true;
}

/* The section that a card names, within the frame; empty where there is none. */
static aid_section section_of(const aid_header *header, const char *keyword,
                              const aid_frame_facts *facts, aid_notes *notes)
{
    aid_section section = {0};
    const char *text = aid_header_text(header, keyword);
    long ends[4];
    bool reversed = false;
    if (!text || !text[strspn(text, " ")])
        return section;
    if (!parse_section(text, facts->width, facts->height, ends)) {
        aid_note_add(notes, AID_FACTS_STAGE, "%s: %s = '%.40s' is no section: not used",
                     facts->name, keyword, text);
        return section;
    }
    put_in_order(&ends[0], &ends[1], &reversed);
    put_in_order(&ends[2], &ends[3], &reversed);
    section.x0 = (int32_t)AID_CLAMP(ends[0] - 1, 0L, (long)facts->width);
    section.x1 = (int32_t)AID_CLAMP(ends[1], 0L, (long)facts->width);
    section.y0 = (int32_t)AID_CLAMP(ends[2] - 1, 0L, (long)facts->height);
    section.y1 = (int32_t)AID_CLAMP(ends[3], 0L, (long)facts->height);
    bool beyond = ends[0] < 1 || ends[2] < 1 || ends[1] > facts->width || ends[3] > facts->height;
    if (is_empty(&section)) {
        aid_note_add(notes, AID_FACTS_STAGE, "%s: %s = '%.40s' lies beyond the %d x %d pixels: %s",
                     facts->name, keyword, text, facts->width, facts->height, "not used");
        return (aid_section){0};
    }
    if (beyond || reversed)
        aid_note_add(notes, AID_FACTS_STAGE, "%s: %s = '%.40s' %s: read as [%d:%d,%d:%d]",
                     facts->name, keyword, text,
                     beyond ? "reaches beyond the frame" : "is reversed", section.x0 + 1,
                     section.x1, section.y0 + 1, section.y1);
    return section;
}

/* Lick's cameras count their overscan columns, which are the last ones. */
static void sections_from_counts(const aid_header *header, aid_frame_facts *facts)
{
    double columns, rows;
    bool has_columns = aid_header_number(header, "COVER", &columns) && columns >= 1.0 &&
                       columns < (double)facts->width;
    bool has_rows =
        aid_header_number(header, "ROVER", &rows) && rows >= 1.0 && rows < (double)facts->height;
    if (!aid_header_text(header, "COVER"))
        return;
    int32_t x = facts->width - (has_columns ? (int32_t)columns : 0);
    int32_t y = facts->height - (has_rows ? (int32_t)rows : 0);
    if (has_columns)
        facts->overscan = (aid_section){x, 0, facts->width, y};
    else if (has_rows)
        facts->overscan = (aid_section){0, y, facts->width, facts->height};
    if (is_empty(&facts->trim) && (has_columns || has_rows))
        facts->trim = (aid_section){0, 0, x, y};
}

/* What an overscan at one edge leaves of the frame. */
static void trim_beside_overscan(aid_frame_facts *facts)
{
    const aid_section *overscan = &facts->overscan;
    aid_section left = {0, 0, facts->width, facts->height};
    int32_t across = overscan->x1 - overscan->x0, along = overscan->y1 - overscan->y0;
    if (overscan->x1 == facts->width && across < along)
        left.x1 = overscan->x0;
    else if (overscan->x0 == 0 && across < along)
        left.x0 = overscan->x1;
    else if (overscan->y1 == facts->height)
        left.y1 = overscan->y0;
    else if (overscan->y0 == 0)
        left.y0 = overscan->y1;
    if (!is_empty(&left))
        facts->trim = left;
}

/* The overscan's first pixels after the image still hold some of its charge. */
static void skip_nearest(aid_frame_facts *facts, int32_t skip)
{
    aid_section *overscan = &facts->overscan;
    if (is_empty(overscan) || skip <= 0 || skip >= overscan->x1 - overscan->x0)
        return;
    if (overscan->x0 >= facts->trim.x1)
        overscan->x0 += skip;
    else if (overscan->x1 <= facts->trim.x0)
        overscan->x1 -= skip;
}

void aid_facts_sections(const aid_header *header, const aid_camera *camera, const char *name,
                        aid_notes *notes, aid_frame_facts *facts)
{
    (void)name;
    facts->overscan = section_of(header, "BIASSEC", facts, notes);
    facts->trim = section_of(header, "TRIMSEC", facts, notes);
    if (is_empty(&facts->trim))
        facts->trim = section_of(header, "DATASEC", facts, notes);
    if (is_empty(&facts->overscan))
        sections_from_counts(header, facts);
    if (!is_empty(&facts->overscan) && is_empty(&facts->trim))
        trim_beside_overscan(facts);
    if (camera)
        skip_nearest(facts, camera->overscan_skip);
}
