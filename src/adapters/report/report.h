/* The report of one run: a single HTML file that opens offline, with every picture, plot and number
 * that a person needs to believe or to doubt the candidates. */
#ifndef AID_ADAPTERS_REPORT_REPORT_H
#define AID_ADAPTERS_REPORT_REPORT_H

#include "core/base/pool.h"
#include "core/base/status.h"
#include "domain/pipeline/process_exposure.h"

#define AID_REPORT_MAX_PICTURED 100   /* candidates that get cut-outs */
#define AID_REPORT_MAX_ROWS 2000      /* candidates in the table and among the marks */
#define AID_REPORT_MAX_PICTURE_PX 900 /* longest side of an overview picture */

typedef struct aid_report_input {
    const char *role; /* "science", "reference", "science mask", ... */
    const char *path;
    const char *sha256;   /* of the file's bytes; NULL unknown */
    int hdu;              /* 0 = primary; negative: does not apply */
    const char *hdu_name; /* EXTNAME; NULL or "" none */
} aid_report_input;

typedef struct aid_report_output {
    const char *path;
    const char *contents; /* what is in it, in a few words; may be NULL */
} aid_report_output;

typedef struct aid_report_parameter {
    const char *name, *value;
    const char *origin; /* "default", "command line", ...; may be NULL */
} aid_report_parameter;

typedef struct aid_report_stage {
    const char *name;
    double wall_s, cpu_s;
    double peak_mb; /* NaN unknown */
} aid_report_stage;

/* What the application knows and the result does not. All borrowed; any text may be NULL, any list
 * empty, any number NaN. Nothing in it is trusted: every text is escaped. */
typedef struct aid_report_facts {
    const char *title;           /* NULL: the names of the two exposures */
    const char *program_version; /* "astrid 0.1.0 (gcc 12.2, release)" */
    const char *command_line;
    const char *created_utc; /* ISO 8601; NULL: not shown */
    const aid_report_input *inputs;
    int input_count;
    const aid_report_output *outputs;
    int output_count;
    const aid_report_parameter *parameters;
    int parameter_count;
    const aid_report_stage *stages;
    int stage_count;
    int threads;
    double total_s;   /* wall clock of the whole run; not above 0: the sum of the stages */
    double threshold; /* of |S_corr| */
} aid_report_facts;

/* In:    a complete result: science, reference and all maps of the difference have one shape.
 * Out:   `path`, complete or not at all; under about 6 MB whatever the size of the images. The same
 *        bytes at any number of threads.
 * Fails: AID_ERR_INVALID when the result is not complete, AID_ERR_IO when the file cannot be
 *        written, AID_ERR_NOMEM. */
AID_MUST_USE aid_status aid_report_write(const aid_process_result *result,
                                         const aid_report_facts *facts, const char *path,
                                         aid_pool *pool, aid_error *err);

#endif
