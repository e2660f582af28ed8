/* Simulated frames, prepared and assessed. Included by each test program of this folder. */
#ifndef AID_TESTS_DOMAIN_QUALITY_SKY_FRAME_H
#define AID_TESTS_DOMAIN_QUALITY_SKY_FRAME_H

#include "core/base/memory.h"
#include "domain/preprocessing/preprocessing.h"
#include "domain/quality/quality.h"
#include "domain/simulation/simulation.h"
#include "tests/check.h"

static aid_error err;
static aid_notes notes;

/* 512 x 512 px of an ordinary field without changing sources. */
static inline aid_sky_options small_sky(uint64_t seed)
{
    aid_sky_options options = AID_SKY_DEFAULTS;
    options.width = options.height = 512;
    options.seed = seed;
    options.transients = options.faders = options.variables = options.movers = 0;
    options.bad_columns = 0;
    options.bad_pixels = 0.0;
    options.epoch[AID_SKY_SCIENCE].cosmic_rays = 0.0;
    return options;
}

static inline void render(const aid_sky_options *options, aid_pool *pool,
                          aid_simulated_frame *ret_frame)
{
    aid_sky *sky;
    CHECK_OK(aid_sky_new(options, &sky, &err));
    CHECK_OK(aid_sky_render(sky, AID_SKY_SCIENCE, pool, ret_frame, &err));
    aid_sky_free(sky);
}

/* Takes the frame's pixels; its header and mask stay. The true mask is not used. */
static inline void prepare(aid_simulated_frame *frame, bool skip_psf, aid_pool *pool,
                           aid_exposure *ret_exposure)
{
    aid_prepare_options options = AID_PREPARE_DEFAULTS;
    options.skip_psf = skip_psf;
    aid_prepare_input input = {
        .name = "sky.fits", .take_image = &frame->image, .header = &frame->header};
    notes.count = 0;
    CHECK_OK(aid_prepare_exposure(&input, &options, pool, &notes, ret_exposure, &err));
}

static inline aid_quality quality_of(const aid_sky_options *options)
{
    aid_quality quality = {0};
    AID_CLEANUP(aid_simulated_frame_done)
    aid_simulated_frame frame = {0};
    AID_CLEANUP(aid_exposure_done)
    aid_exposure exposure = {0};
    render(options, NULL, &frame);
    prepare(&frame, false, NULL, &exposure);
    CHECK_OK(aid_quality_assess(&exposure, NULL, NULL, &notes, &quality, &err));
    return quality;
}

#endif
