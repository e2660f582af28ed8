/* `astrid run`: what its parts hand to one another. */
#ifndef AID_APPS_CLI_RUN_H
#define AID_APPS_CLI_RUN_H

#include "adapters/fits/fits.h"
#include "adapters/tables/table.h"
#include "apps/common/command.h"
#include "apps/common/output_folder.h"
#include "apps/common/stages.h"
#include "domain/pipeline/process_exposure.h"

typedef struct run_options {
    double threshold, zero_point;
    double gain, reference_gain, saturation, reference_saturation;
    int method;
    int64_t inject, seed;
    const char *science_mask, *reference_mask, *science_hdu, *reference_hdu;
    const char *output;
    aid_common_options common;
} run_options;

/* One of the two images as it came from its files. */
typedef struct run_input {
    const char *role; /* "science", "reference" */
    const char *path, *hdu, *mask_path;
    aid_fits_image file; /* the pipeline takes its pixels; header and names stay */
    int32_t width, height;
    char mask_sha256[65];
} run_input;

enum { RUN_MAX_PARAMETERS = 64 };

/* One run from beginning to end. */
typedef struct run_state {
    const aid_invocation *invocation;
    const run_options *options;
    const char *output;  /* folder of the results */
    run_input inputs[2]; /* science, reference */
    aid_parameter parameters[RUN_MAX_PARAMETERS];
    int parameter_count;
    aid_pool *pool;
    aid_stage_meter meter;
    aid_output_folder *folder;
    aid_process_result result;
} run_state;

/* The files of a run, NULL-terminated, and what is in each. The summary is the last one. */
extern const char *const run_file_names[], *const run_file_contents[];

/* Both images and their masks, each image in a task of its own. */
AID_MUST_USE aid_status run_read_inputs(run_state *run, aid_error *err);
void run_inputs_done(run_state *run);

/* The unit of the science image, or NULL when its header does not say. */
const char *run_flux_unit(const run_state *run);

/* Cards that say which program made a file, out of what, and how it came out. */
AID_MUST_USE aid_status run_provenance_cards(const run_state *run, aid_header *cards,
                                             aid_error *err);
AID_MUST_USE aid_status run_write_difference(const run_state *run, const char *path,
                                             aid_error *err);

/* The candidates as a table; release with aid_table_done. */
AID_MUST_USE aid_status run_candidate_table(const run_state *run, aid_table *ret_table,
                                            aid_error *err);
AID_MUST_USE aid_status run_write_candidates_fits(const run_state *run, const aid_table *table,
                                                  const char *path, aid_error *err);

AID_MUST_USE aid_status run_write_report(const run_state *run, const char *path, aid_error *err);

/* summary.json as text; release with free(). */
AID_MUST_USE aid_status run_summary_text(const run_state *run, char **ret_text, size_t *ret_size,
                                         aid_error *err);

/* A few lines for the person, on stdout. */
void run_print_findings(const run_state *run);

#endif
