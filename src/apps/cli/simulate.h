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
    int64_t raw, raw_science;
    const char *output;
    aid_common_options common;
} simulate_options;

/* What is true of one raw frame. */
typedef struct simulated_raw {
    char file[32];
    aid_raw_kind kind;
    char date_obs[40];
    double exposure_s;
    double seeing_px, sky_adu;       /* of a science frame; else NaN */
    double offset_x_px, offset_y_px; /* from science.fits; NaN */
    int64_t cosmic_ray_pixels, saturated_pixels;
} simulated_raw;
enum { SIMULATE_MAX_RAW = 4 * 9 };

typedef struct simulate_state {
    const aid_invocation *invocation;
    const simulate_options *options;
    const char *output;
    aid_pool *pool;
    aid_stage_meter meter;
    aid_output_folder *folder;
    aid_sky *sky;
    int raw_count;
    simulated_raw raw[SIMULATE_MAX_RAW];
} simulate_state;

/* Every source of the sky, as a table; release with aid_table_done. */
AID_MUST_USE aid_status simulate_truth_table(const aid_sky *sky, aid_table *ret_table,
                                             aid_error *err);

/* Release with aid_table_done. */
AID_MUST_USE aid_status simulate_raw_table(const simulated_raw *frames, int count,
                                           aid_table *ret_table, aid_error *err);

/* summary.json as text; release with free(). */
AID_MUST_USE aid_status simulate_summary_text(const simulate_state *state, char **ret_text,
                                              size_t *ret_size, aid_error *err);

#endif
