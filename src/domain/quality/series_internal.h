/* Private to this folder: the parts of aid_quality_rate_series. */
#ifndef AID_DOMAIN_QUALITY_SERIES_INTERNAL_H
#define AID_DOMAIN_QUALITY_SERIES_INTERNAL_H

#include "domain/quality/series.h"

/* transparency.c: field and transparency of the frames order[0..count-1], which are of one group.
 * *ret_fields: how many fields were made out. */
AID_MUST_USE aid_status aid_quality_compare_stars(aid_quality_frame *frames, const int *order,
                                                  int count, aid_notes *notes, int *ret_fields,
                                                  aid_error *err);

/* trends.c: median, scatter, slope and outliers of every metric of one group. */
AID_MUST_USE aid_status aid_quality_follow(aid_quality_frame *frames, const int *order,
                                           aid_quality_group *group, aid_error *err);

/* flags.c: `own` with what is judged by the others in its place. */
unsigned aid_quality_flags_in_group(const aid_quality_frame *frame, const aid_quality_group *group);

#endif
