/* `astrid simulate`: what its parts hand to one another. */
#ifndef AID_APPS_CLI_SIMULATE_H
#define AID_APPS_CLI_SIMULATE_H

#include "adapters/tables/table.h"
#include "apps/common/command.h"
#include "apps/common/output_folder.h"
#include "apps/common/stages.h"
#include "domain/simulation/simulation.h"

typedef struct simulate_options {
    int64_t size, seed;
    int64_t transients, faders, variables, movers;
    double snr_min, snr_max;
    double seeing, reference_seeing, rotation;
    double star_density, galaxy_density, cosmic_rays;
    int distortion;
    int64_t raw;
    const char *output;
    aid_common_options common;
} simulate_options;

typedef struct simulate_state {
    const aid_invocation *invocation;
    const simulate_options *options;
    const char *output;
    aid_pool *pool;
    aid_stage_meter meter;
    aid_output_folder *folder;
    aid_sky *sky;
} simulate_state;

/* Every source of the sky, as a table; release with aid_table_done. */
AID_MUST_USE aid_status simulate_truth_table(const aid_sky *sky, aid_table *ret_table,
                                             aid_error *err);

/* summary.json as text; release with free(). */
AID_MUST_USE aid_status simulate_summary_text(const simulate_state *state, char **ret_text,
                                              size_t *ret_size, aid_error *err);

#endif
