/* `astrid preprocess`: what its parts hand to one another. A night is planned as a whole first,
 * then masters are made, frames are calibrated, aligned and stacked; each step looks first for the
 * file that it would write, and leaves it alone where it was made of the same things. */
#ifndef AID_APPS_CLI_PREPROCESS_H
#define AID_APPS_CLI_PREPROCESS_H

#include "adapters/fits/fits.h"
#include "apps/cli/frames.h"
#include "apps/common/command.h"
#include "apps/common/output_folder.h"
#include "domain/calibration/calibration.h"
#include "domain/calibration/choose.h"
#include "domain/quality/series.h"

#include <pthread.h>
#include <stdio.h>

typedef struct preprocess_options {
    const char *output, *stages, *flats, *reference;
    double gain, read_noise, saturation, zero_point;
    bool electrons, dry_run;
    int64_t memory; /* MB */
    aid_common_options common;
} preprocess_options;

typedef enum night_stage {
    NIGHT_BIAS,
    NIGHT_DARK,
    NIGHT_FLAT,
    NIGHT_COSMIC_RAYS,
    NIGHT_QUALITY,
    NIGHT_ALIGN,
    NIGHT_STACK,
    NIGHT_STAGES
} night_stage;

enum {
    NIGHT_MAX_FILES = 20000,
    NIGHT_MAX_DEPTH = 8,
    NIGHT_MASTER_TYPES = 3, /* bias, dark, flat */
    NIGHT_REASON = 256
};

/* Why something was not done; an empty text: it was. */
typedef struct night_failure {
    aid_status status;
    char text[NIGHT_REASON];
} night_failure;

typedef struct night_file {
    char *path; /* within the folder of the night */
    char sha256[65];
    aid_frame_facts facts;
    night_failure failure; /* why it is not used */
    bool unreadable;       /* it is no sound FITS image */
    char *notes;           /* on its header, a line each; NULL: none */
} night_file;

/* Frames that make one master. */
typedef struct night_set {
    aid_frame_type type;
    bool ready_made; /* the one file is a master already */
    int count;
    int *files;            /* [count], numbers of files */
    aid_frame_facts facts; /* what the master is good for: of the first frame */
    int bias, dark;        /* numbers of sets whose masters are used for it; -1: none */
    char id[65];           /* hash of all that it is made of; the master's name begins with it */
    char name[64];         /* "masters/bias_0123456789ab.fits" */
    bool made;
    bool wanted;           /* a science frame or another master needs it */
    night_failure failure; /* why there is no master */
    /* as its file says */
    double level, noise;
    int used;
    char *left_out; /* frames that were left out, and why; a line each; NULL: none */
} night_set;

/* Where a frame lies on the grid of its group. */
typedef struct night_alignment {
    bool done;
    char method[32];
    int matched;
    double rms_px, shift_px, rotation_deg, overlap, correlation; /* NaN unknown */
} night_alignment;

/* A science frame. */
typedef struct night_frame {
    int file;
    char name[160]; /* of what is written for it, without folder and ".fits" */
    int sets[NIGHT_MASTER_TYPES];
    char why[NIGHT_MASTER_TYPES][160]; /* why that one, or none */
    char id[65];
    int group;
    night_failure failure;           /* of calibration and what follows in the same file */
    night_failure alignment_failure; /* of the alignment */
    /* as its file says */
    bool done, calibrated, cleaned, assessed;
    int64_t cosmic_ray_hits, cosmic_ray_pixels;
    aid_quality quality;
    double own_score;    /* before it was held against the others */
    bool rated_by_group; /* its score is by the best of its instrument and filter */
    unsigned outlier;    /* 1 << aid_quality_metric: off the trend of the night */
    char quality_failure[NIGHT_REASON];
    char *notes; /* a line each; NULL: none */
    night_alignment alignment;
    double process_s, align_s; /* that it took in this run; 0: found as it was */
} night_frame;

/* Science frames of one object through one filter, which share a grid. */
typedef struct night_group {
    char name[160]; /* "NGC_6205_V" */
    char object[72], filter[72];
    int reference; /* number of a frame; -1: a file of the user's, or none */
    char reference_name[160];
    char reference_id[65];
    char why[160];
    night_failure stack_failure;
    bool stacked;
    int frames_stacked;
} night_group;

typedef struct night_state {
    const aid_invocation *invocation;
    const preprocess_options *options;
    const char *folder;        /* of the raw frames */
    char output[AID_MAX_PATH]; /* of the results */
    bool stages[NIGHT_STAGES];
    char build[65]; /* hash of this program: another build, other results */
    aid_parameter parameters[64];
    int parameter_count;
    aid_pool *pool;
    int64_t memory_bytes;
    int lock;    /* descriptor of the output folder; -1 */
    int ignored; /* files that are no FITS */
    int file_count, set_count, frame_count, group_count;
    night_file *files;
    night_set *sets;
    night_frame *frames;
    night_group *groups;
    aid_quality_frame *rated; /* [series.frame_count], as the series has them; no star lists */
    aid_quality_series series;
    aid_notes notes;
    double begun_s;
    /* progress */
    pthread_mutex_t progress_lock;
    FILE *terminal;
    int jobs_done, jobs;
} night_state;

/* ---- the plan (preprocess_scan.c, preprocess_plan.c) ---- */

/* Every FITS file below the folder, what its header says, and its hash; files that are refused have
 * a failure. Fails where the folder cannot be read or holds too much. */
AID_MUST_USE aid_status night_scan(night_state *night, aid_error *err);
/* Sets, science frames and groups, and which masters are for which frame. */
AID_MUST_USE aid_status night_make_plan(night_state *night, aid_error *err);
/* The best masters for every frame out of those that have not failed, and the frames' ids. */
AID_MUST_USE aid_status night_choose(night_state *night, aid_error *err);
void night_print_plan(const night_state *night, FILE *out);
void night_done(night_state *night);

/* Shell pattern (fnmatch), whatever the case; an empty text matches nothing. */
bool night_matches(const char *pattern, const char *text);
bool night_stages_parse(const char *text, bool stages[NIGHT_STAGES]);
const char *night_stage_name(night_stage stage);

/* A hash that is built up of lines; an id is made of everything that can change the bytes. */
typedef struct night_hash {
    char *text;
    size_t size;
    FILE *stream;
} night_hash;
AID_MUST_USE aid_status night_hash_begin(const night_state *night, const char *what,
                                         night_hash *ret_hash, aid_error *err);
AID_MUST_USE aid_status night_hash_end(night_hash *hash, char ret_id[65], aid_error *err);

/* ---- the work ---- */

AID_MUST_USE aid_status night_make_masters(night_state *night, aid_error *err);
/* The master of a set that was made; release with aid_master_done. */
AID_MUST_USE aid_status night_read_master(const night_state *night, int set, aid_frame_type type,
                                          aid_master *ret_master, aid_error *err);
AID_MUST_USE aid_status night_process_frames(night_state *night, aid_error *err);
/* Scores of the frames as a series, and what changed in the course of the night. */
AID_MUST_USE aid_status night_rate_frames(night_state *night, aid_error *err);
AID_MUST_USE aid_status night_align_frames(night_state *night, aid_error *err);

/* The deep image of each group, where `stack` is among the stages. */
AID_MUST_USE aid_status night_stack_groups(night_state *night, aid_error *err);

/* What alignment and stacking share. The best frame of a group gives its grid, or the user's own
 * reference. */
AID_MUST_USE aid_status night_choose_reference(night_state *night, int group, aid_error *err);
AID_MUST_USE aid_status night_read_reference(night_state *night, const night_group *group,
                                             cli_frame *ret_reference, aid_error *err);
/* Positions by both WCS where a polynomial would not do; empty (x is NULL) where it does. Release
 * with aid_grid_map_done. */
AID_MUST_USE aid_status night_exact_map(const cli_frame *reference, const cli_frame *frame,
                                        const aid_registration *registration, aid_grid_map *ret_map,
                                        aid_error *err);
/* A calibrated frame; the path of `how` does not matter. */
AID_MUST_USE aid_status night_read_frame(const frame_request *how, const night_state *night,
                                         const night_frame *frame, aid_pool *pool,
                                         cli_frame *ret_frame, aid_error *err);

/* ---- files (preprocess_files.c) ---- */

void night_output_path(const night_state *night, const char *name, char ret_path[AID_MAX_PATH]);
void night_input_path(const night_state *night, int file, char ret_path[AID_MAX_PATH]);
/* The header of an output that was made of what `id` stands for; false: there is none. */
bool night_find_made(const night_state *night, const char *name, const char *id,
                     aid_header *ret_header);
/* Makes the folders of the output, locks it, and clears away what killed processes have left. */
AID_MUST_USE aid_status night_open_output(night_state *night, aid_error *err);
/* Removes files of earlier runs that are no part of this night any more. */
void night_remove_stale(const night_state *night);

/* ---- cards (preprocess_cards.c) ---- */

/* A line of `lines` (may be NULL) each: NOTE1, NOTE2, ... */
AID_MUST_USE aid_status night_put_lines(aid_header *header, const char *stem, const char *lines,
                                        aid_error *err);
/* The same back, NULL: none; release with free(). */
/* The remarks of a stage as such lines, NULL: none; release with free(). */
char *night_note_lines(const aid_notes *notes);
char *night_take_lines(const aid_header *header, const char *stem);
AID_MUST_USE aid_status night_put_program(const night_state *night, const char *id,
                                          aid_header *header, aid_error *err);
AID_MUST_USE aid_status night_put_quality(const aid_quality *quality, aid_header *header,
                                          aid_error *err);
void night_take_quality(const aid_header *header, aid_quality *ret_quality);
/* The numbers of a quality under their names in JSON. */
typedef struct night_quality_field {
    const char *keyword, *json, *comment;
    size_t offset;
    bool integer;
} night_quality_field;
extern const night_quality_field night_quality_fields[];
extern const int night_quality_field_count;

/* ---- what the person sees ---- */

void night_progress_begin(night_state *night, int jobs);
void night_progress_step(night_state *night, const char *what);
void night_progress_end(night_state *night);

/* night.json as text; release with free(). */
AID_MUST_USE aid_status night_summary_text(const night_state *night, char **ret_text,
                                           size_t *ret_size, aid_error *err);
AID_MUST_USE aid_status night_write_table(const night_state *night, const char *path,
                                          aid_error *err);
AID_MUST_USE aid_status night_write_report(const night_state *night, const char *path,
                                           aid_error *err);
/* timing.json: how long it took, apart from all that is the same from run to run. */
AID_MUST_USE aid_status night_write_timing(const night_state *night, const char *path,
                                           aid_error *err);
double night_seconds(void); /* on a clock that only goes forward */
void night_print_results(const night_state *night, FILE *out);

/* Takes the status and message of a failed step; the message of the first failure is kept. */
void night_fail(const night_state *night, night_failure *failure, const aid_error *why);
bool night_failed(const night_failure *failure);

#endif
