/* `astrid calibrate`: what its parts hand to one another. */
#ifndef AID_APPS_CLI_CALIBRATE_H
#define AID_APPS_CLI_CALIBRATE_H

#include "apps/common/command.h"
#include "apps/common/output_folder.h"
#include "domain/calibration/apply.h"
#include "domain/calibration/choose.h"
#include "domain/calibration/lacosmic.h"

#include <pthread.h>
#include <stdio.h>

typedef struct calibrate_options {
    const char *bias, *dark, *flat, *masters, *output;
    int cosmic_rays; /* a cosmic_ray_mode */
    bool electrons;
    double gain, read_noise, saturation, temperature_tolerance, cosmic_ray_threshold;
    int64_t memory;
    aid_common_options common;
} calibrate_options;

typedef enum cosmic_ray_mode {
    COSMIC_RAYS_MASK,
    COSMIC_RAYS_CLEAN,
    COSMIC_RAYS_NONE
} cosmic_ray_mode;

enum { CALIBRATE_KINDS = 3 }; /* bias, dark, flat */
extern const aid_frame_type calibrate_types[CALIBRATE_KINDS];

/* A master that is at hand. */
typedef struct calibrate_master {
    char *path;            /* owned */
    aid_frame_facts facts; /* of its header; name: the file's */
    bool told;             /* by --bias, --dark or --flat: used whatever its header says */
    bool loaded;
    aid_master master;
    char sha256[65];
} calibrate_master;

/* One raw frame and what became of it. */
typedef struct calibrate_frame {
    const char *path;
    char output[AID_MAX_PATH];
    aid_error failure; /* status AID_OK: none */
    bool done;
    int masters[CALIBRATE_KINDS]; /* index, -1: none */
    aid_choice *choices;          /* [CALIBRATE_KINDS][master_count]; NULL: nothing to choose */
    aid_calibrated numbers;       /* without its pixels */
    int64_t hits, hit_pixels;     /* cosmic rays */
    char sha256[65];
    aid_note *notes; /* [note_count] */
    int note_count;
} calibrate_frame;

typedef struct calibrate_run {
    const aid_invocation *invocation;
    const calibrate_options *options;
    const char *output;
    int made_folders; /* for it, and for its parents */
    int frame_count, master_count;
    calibrate_frame *frames;
    calibrate_master *masters;
    int64_t frame_bytes; /* that each frame in work needs at most */
    aid_notes notes;     /* about masters */
    pthread_mutex_t progress_lock;
    FILE *terminal; /* NULL: none */
    int finished;
} calibrate_run;

/* ---- masters (calibrate_masters.c) ---- */

/* Those that the command line names, read whole, and the headers of those in the folder. */
AID_MUST_USE aid_status calibrate_find_masters(calibrate_run *run, aid_error *err);
/* For a frame whose facts are known: fills masters and choices. */
AID_MUST_USE aid_status calibrate_choose(const calibrate_run *run, const aid_frame_facts *facts,
                                         calibrate_frame *frame, aid_error *err);
/* Loads what the frame needs, and lets go of those of the folder that it does not. */
AID_MUST_USE aid_status calibrate_load(calibrate_run *run, const calibrate_frame *frame,
                                       aid_error *err);
int64_t calibrate_master_bytes(const calibrate_run *run); /* of those that are loaded */
void calibrate_masters_done(calibrate_run *run);

/* ---- one frame (calibrate_frame.c) ---- */

/* Never fails but by being stopped: frame->failure has why it was refused. */
AID_MUST_USE aid_status calibrate_one(calibrate_run *run, calibrate_frame *frame, aid_pool *pool,
                                      aid_error *err);

/* ---- what the person sees (calibrate_print.c) ---- */

void calibrate_print_json(const calibrate_run *run);
void calibrate_print_text(const calibrate_run *run);

#endif
