/* Every picture of one report, painted and encoded. */
#ifndef AID_ADAPTERS_REPORT_PICTURES_H
#define AID_ADAPTERS_REPORT_PICTURES_H

#include "adapters/report/picture.h"
#include "adapters/report/summary.h"

enum { AID_VIEW_SCIENCE, AID_VIEW_REFERENCE, AID_VIEW_DIFFERENCE, AID_VIEW_SCORE, AID_VIEWS };

typedef struct aid_candidate_pictures {
    aid_bytes png[AID_VIEWS];
    int32_t x, y;                               /* pixel in the middle, 0-based */
    int half;                                   /* 2*half + 1 pixels a side */
    double difference_limit_sigma, score_limit; /* of the colour scale, either way */
} aid_candidate_pictures;

typedef struct aid_report_pictures {
    int *order;         /* indices of candidates: clean ones, then flagged, each by |score| */
    int clean, flagged; /* how many of each */
    int pictured;       /* the first of `order` have cut-outs */
    aid_candidate_pictures *cuts;
    aid_bytes overview[AID_VIEW_DIFFERENCE + 1];
    int32_t overview_width, overview_height;
    int overview_factor;                    /* pixels a side in one of the picture */
    double overview_limit_sigma;            /* of the difference's colour scale */
    bool common_stretch;                    /* the reference is shown on the science flux scale */
    aid_bytes psf[AID_VIEW_DIFFERENCE + 1]; /* empty where there is no model */
    int psf_side[AID_VIEW_DIFFERENCE + 1];
} aid_report_pictures;

AID_MUST_USE aid_status aid_report_paint(const aid_process_result *result,
                                         const aid_report_summary *summary, aid_pool *pool,
                                         aid_report_pictures *ret_pictures, aid_error *err);
void aid_report_pictures_done(aid_report_pictures *pictures);

/* Mask bits that say that a pixel itself holds nothing of use; the others are only near such a one.
 */
#define AID_REPORT_HARD_BITS                                                                       \
    (AID_MASK_BAD | AID_MASK_SATURATED | AID_MASK_COSMIC_RAY | AID_MASK_NO_DATA)

#endif
