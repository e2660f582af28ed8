/* What each stage of a run cost, and a progress bar while it runs. */
#ifndef AID_APPS_COMMON_STAGES_H
#define AID_APPS_COMMON_STAGES_H

#include "domain/pipeline/process_exposure.h"

#include <stdbool.h>
#include <stdio.h>

enum { AID_MAX_STAGES = 32, AID_MAX_STAGE_NAME = 24 };

typedef struct aid_stage {
    char name[AID_MAX_STAGE_NAME];
    double wall_s;
    double cpu_s;   /* of this process, all threads, and of the decoders that it waited for */
    double peak_mb; /* 2^20 bytes resident in this process at most during the stage */
    double begun_wall_s, begun_cpu_s;
    bool open;
} aid_stage;

typedef struct aid_stage_meter {
    int count;
    aid_stage items[AID_MAX_STAGES]; /* in the order they first began; a name again adds up */
    bool peaks_are_of_the_run; /* the kernel would not reset the mark: peaks since the start */
    double begun_wall_s;
    /* The bar; nothing is drawn where `terminal` is NULL. */
    FILE *terminal;
    int expected; /* stages that will come, for the length of the bar */
} aid_stage_meter;

/* `terminal` is used only where it really is one. */
void aid_stage_meter_init(aid_stage_meter *meter, FILE *terminal, int expected);

/* Begin fails with AID_ERR_CANCELLED once somebody has asked to stop. Stages may nest. */
AID_MUST_USE aid_status aid_stage_begin(aid_stage_meter *meter, const char *name, aid_error *err);
void aid_stage_end(aid_stage_meter *meter, const char *name);

/* The meter as the pipeline wants it. Borrows the meter. */
aid_stage_observer aid_stage_meter_observer(aid_stage_meter *meter);

/* Wipes the bar off the terminal. */
void aid_stage_meter_clear(aid_stage_meter *meter);

double aid_stage_meter_wall_s(const aid_stage_meter *meter); /* since init */

#endif
