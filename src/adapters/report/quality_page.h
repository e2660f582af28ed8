/* Private to this folder: the parts of the page about quality. */
#ifndef AID_ADAPTERS_REPORT_QUALITY_PAGE_H
#define AID_ADAPTERS_REPORT_QUALITY_PAGE_H

#include "adapters/report/quality_report.h"

#include <stdio.h>

void aid_quality_page_images(FILE *out, const aid_quality_report *report);

/* The words of a metric for people, and its unit in this group ("" for none). */
const char *aid_quality_page_words(aid_quality_metric metric);
const char *aid_quality_page_unit(aid_quality_metric metric, const aid_quality_group *group);
int aid_quality_page_decimals(aid_quality_metric metric);

#endif
