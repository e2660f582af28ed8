/* `astrid quality`: what its parts hand to one another. */
#ifndef AID_APPS_CLI_QUALITY_H
#define AID_APPS_CLI_QUALITY_H

#include "adapters/tables/table.h"
#include "apps/common/command.h"
#include "apps/common/output_folder.h"
#include "domain/quality/series.h"

typedef struct quality_options {
    int background_estimator, noise_estimator;
    double gain, saturation, zero_point;
    int64_t memory;
    const char *hdu, *reference, *reference_hdu;
    const char *output;
    aid_common_options common;
} quality_options;

typedef struct quality_image {
    const char *path;
    aid_error error; /* status AID_OK: measured */
    int frame;       /* index into the frames; -1: not measured */
    char *notes;     /* what was remarked, a line each; NULL: nothing */
    char sha256[65];
} quality_image;

typedef struct quality_run {
    const aid_invocation *invocation;
    const quality_options *options;
    int count, failed, frame_count;
    quality_image *images;     /* [count], as on the command line */
    aid_quality_frame *frames; /* [frame_count], of those that were measured */
    aid_exposure reference;    /* without pixels: none */
    aid_quality_series series;
    aid_notes notes; /* on the series */
    aid_pool *pool;
    aid_output_folder *folder; /* of the results; NULL: none, or a table */
} quality_run;

/* Reads, prepares and assesses every image, several at a time as far as the memory goes. An image
 * that cannot be assessed keeps its error and stops none of the others. Fails when the work was
 * stopped or the reference is at fault. */
AID_MUST_USE aid_status quality_measure(quality_run *run, aid_error *err);

/* One row an image, also of those that failed; release with aid_table_done. */
AID_MUST_USE aid_status quality_image_table(const quality_run *run, aid_table *ret_table,
                                            aid_error *err);
/* One row a trend of a group. */
AID_MUST_USE aid_status quality_trend_table(const quality_run *run, aid_table *ret_table,
                                            aid_error *err);

/* "seeing|score" for the bits of aid_quality_frame.outlier. */
void quality_outlier_names(unsigned outlier, char *text, size_t size);
/* "arcsec", "px", ...; "" for a number without. */
const char *quality_metric_unit(aid_quality_metric metric, const aid_quality_group *group);

/* Everything as one JSON object. */
AID_MUST_USE aid_status quality_write_json(const quality_run *run, FILE *out, aid_error *err);
/* A table, trends and what is odd, for the person. */
void quality_print(const quality_run *run);

#endif
