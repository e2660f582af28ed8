/* `astrid master`: what its parts hand to one another. */
#ifndef AID_APPS_CLI_MASTER_H
#define AID_APPS_CLI_MASTER_H

#include "adapters/fits/frame_store.h"
#include "adapters/fits/master_file.h"
#include "apps/common/command.h"
#include "apps/common/output_folder.h"
#include "apps/common/stages.h"
#include "domain/calibration/masters.h"

typedef struct master_options {
    const char *output, *bias, *dark;
    int combine, overscan;
    double kappa, valid_days;
    bool measure_gain, strict;
    aid_common_options common;
} master_options;

/* One file of the command line. */
typedef struct master_input {
    const char *path, *name;
    char sha256[65];  /* "" where it could not be read */
    char reason[160]; /* why it could not be read, else "" */
    int frame;        /* in the store; -1: not there */
    int shape;        /* while reading: which of the stores */
} master_input;

/* Until all are read, nobody knows which shape is that of most frames. */
enum { MASTER_MAX_SHAPES = 4 };

typedef struct master_state {
    const aid_invocation *invocation;
    const master_options *options;
    char output[AID_MAX_PATH];
    aid_master_options making;
    aid_master bias, dark; /* empty: none given */
    char bias_sha256[65], dark_sha256[65];
    int input_count;
    master_input *inputs;
    aid_raw_frame *frames;                      /* [input_count]: in the end those in the store */
    aid_frame_store *store;                     /* in the end that of most frames */
    aid_frame_store *shapes[MASTER_MAX_SHAPES]; /* while reading */
    aid_pool *pool;
    aid_stage_meter meter;
    aid_notes notes;
    bool reused; /* the file was there already, made of the same */
    aid_master master;
    bool has_gain;
    aid_photon_transfer transfer;
} master_state;

/* Reads every file into the store and examines it. A file that is at fault is left out, or, with
 * --strict, is why this fails. */
AID_MUST_USE aid_status master_read_frames(master_state *state, aid_error *err);

/* The hash of inputs and parameters, which tells masters apart. Every input has its sha256. */
void master_identify(const master_state *state, char ret_id[65]);
/* Whether the output is a master of exactly these inputs and parameters already; it is in
 * state->master then. */
AID_MUST_USE aid_status master_find_earlier(master_state *state, bool *ret_found, aid_error *err);
/* Cards about inputs and parameters. */
AID_MUST_USE aid_status master_provenance(const master_state *state, aid_header *cards,
                                          aid_error *err);

void master_print(const master_state *state);
void master_print_json(const master_state *state);

#endif
