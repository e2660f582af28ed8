/* The quality of a set of images as a page: one HTML file that opens offline. */
#ifndef AID_ADAPTERS_REPORT_QUALITY_REPORT_H
#define AID_ADAPTERS_REPORT_QUALITY_REPORT_H

#include "core/base/notes.h"
#include "core/base/status.h"
#include "domain/quality/series.h"

#include <stdio.h>

typedef struct aid_quality_report_failure {
    const char *path, *reason;
} aid_quality_report_failure;

/* All borrowed; texts are escaped. */
typedef struct aid_quality_report {
    const aid_quality_frame *frames; /* [series->frame_count], rated by aid_quality_rate_series */
    const aid_quality_series *series;
    const aid_quality_report_failure *failures;
    int failure_count;
    const aid_notes *notes;      /* NULL: none */
    const char *program_version; /* NULL: not shown */
    const char *reference;       /* that alignment is against; NULL: none */
} aid_quality_report;

/* Parts of the page, for others that show a set of frames: plots and a table of a group's trends.
 */
void aid_quality_page_plots(FILE *out, const aid_quality_report *report, int group);
void aid_quality_page_trends(FILE *out, const aid_quality_group *group);

/* Writes `path`, complete or not at all. Fails with AID_ERR_IO or AID_ERR_NOMEM. */
AID_MUST_USE aid_status aid_quality_report_write(const aid_quality_report *report, const char *path,
                                                 aid_error *err);

#endif
