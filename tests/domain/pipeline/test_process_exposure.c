/* The whole way on a simulated sky: two epochs with their own pointing, rotation, seeing and depth.
 */
#include "domain/pipeline/process_exposure.h"
#include "domain/simulation/simulation.h"
#include "tests/check.h"

static aid_error err;

enum { SIDE = 640 };

static aid_sky *make_sky(uint64_t seed)
{
    aid_sky_options options = AID_SKY_DEFAULTS;
    options.width = options.height = SIDE;
    options.seed = seed;
    options.transients = 10;
    options.faders = 4;
    options.variables = 3;
    options.movers = 0;
    options.snr_min = 12.0;
    aid_sky *sky;
    CHECK_OK(aid_sky_new(&options, &sky, &err));
    return sky;
}

typedef struct inputs {
    aid_simulated_frame frames[2];
    aid_prepare_input science, reference;
} inputs;

static void make_inputs(const aid_sky *sky, inputs *made)
{
    *made = (inputs){0};
    for (int epoch = 0; epoch < 2; epoch++) {
        CHECK_OK(aid_sky_render(sky, epoch, NULL, &made->frames[epoch], &err));
        aid_mask_done(&made->frames[epoch].mask); /* the pipeline must find out by itself */
        aid_prepare_input *to = epoch == AID_SKY_SCIENCE ? &made->science : &made->reference;
        to->name = epoch == AID_SKY_SCIENCE ? "science.fits" : "reference.fits";
        to->take_image = &made->frames[epoch].image;
        to->take_mask = &made->frames[epoch].mask;
        to->header = &made->frames[epoch].header;
    }
}

static void inputs_done(inputs *made)
{
    for (int epoch = 0; epoch < 2; epoch++)
        aid_simulated_frame_done(&made->frames[epoch]);
}

static aid_process_options default_options(void)
{
    return (aid_process_options){.science = AID_PREPARE_DEFAULTS,
                                 .reference = AID_PREPARE_DEFAULTS,
                                 .registration = AID_REGISTRATION_DEFAULTS,
                                 .difference = AID_DIFFERENCE_DEFAULTS,
                                 .detection = AID_DETECTION_DEFAULTS};
}

static aid_status process(const aid_sky *sky, const aid_process_options *options, aid_pool *pool,
                          const aid_stage_observer *observer, aid_process_result *ret_result)
{
    inputs made;
    make_inputs(sky, &made);
    aid_status status = aid_process_exposure(&made.science, &made.reference, options, pool,
                                             observer, ret_result, &err);
    inputs_done(&made);
    return status;
}

static const aid_candidate *candidate_at(const aid_candidates *found, double x, double y)
{
    for (int i = 0; i < found->count; i++)
        if (hypot(found->items[i].x - x, found->items[i].y - y) < 2.0)
            return &found->items[i];
    return NULL;
}

/* Well inside, and not on or beside a star that saturates. */
static bool fair(const aid_sky_source *source, const aid_difference *difference)
{
    int x = (int)lround(source->x[AID_SKY_SCIENCE]) - 1;
    int y = (int)lround(source->y[AID_SKY_SCIENCE]) - 1;
    return x > 40 && y > 40 && x < SIDE - 40 && y < SIDE - 40 &&
           !aid_mask_row(&difference->mask, y)[x];
}

TEST(transients_and_faders_are_found_and_little_else)
{
    aid_sky *sky = make_sky(31);
    aid_process_options options = default_options();
    aid_process_result result;
    CHECK_OK(process(sky, &options, NULL, NULL, &result));
    int64_t count;
    const aid_sky_source *sources = aid_sky_sources(sky, &count);
    int expected = 0, found = 0;
    for (int64_t i = 0; i < count; i++) {
        const aid_sky_source *source = &sources[i];
        bool changed = source->kind == AID_SKY_TRANSIENT || source->kind == AID_SKY_FADER;
        if (!changed || !fair(source, &result.difference))
            continue;
        expected++;
        const aid_candidate *candidate = candidate_at(
            &result.candidates, source->x[AID_SKY_SCIENCE], source->y[AID_SKY_SCIENCE]);
        if (!candidate)
            continue;
        found++;
        CHECK_EQUAL(candidate->polarity, source->kind == AID_SKY_TRANSIENT ? 1 : -1);
        CHECK_NEAR(candidate->ra_deg, source->ra_deg[AID_SKY_SCIENCE], 0.5 / 3600.0);
        CHECK_NEAR(candidate->dec_deg, source->dec_deg[AID_SKY_SCIENCE], 0.5 / 3600.0);
    }
    CHECK(expected >= 9);
    CHECK(found >= expected - 1); /* S/N is 12 and more: one may lie on a bright galaxy's core */
    int unexplained = 0;
    for (int i = 0; i < result.candidates.count; i++) {
        const aid_candidate *candidate = &result.candidates.items[i];
        bool known = candidate->flags & (AID_FLAG_GROUP_REJECT | AID_FLAG_VARIABLE);
        for (int64_t k = 0; k < count && !known; k++)
            known = sources[k].difference_snr != 0.0 &&
                    hypot(candidate->x - sources[k].x[AID_SKY_SCIENCE],
                          candidate->y - sources[k].y[AID_SKY_SCIENCE]) < 4.0;
        unexplained += !known;
    }
    CHECK(unexplained <= 1);
    /* 640^2 px: sigma is known to about .012. */
    CHECK_NEAR(result.difference.score_sigma, 1.0, 0.05);
    CHECK(result.registration.rms_px < 0.1);
    aid_process_result_done(&result);
    aid_sky_free(sky);
}

static void same_pixels(const aid_image *one, const aid_image *other)
{
    CHECK(one->width == other->width && one->height == other->height);
    CHECK(
        !memcmp(one->data, other->data, (size_t)one->width * (size_t)one->height * sizeof(float)));
}

TEST(large_images_are_injected_into_with_the_same_result)
{
    aid_sky *sky = make_sky(33);
    aid_process_options options = default_options();
    options.inject = 30;
    aid_process_result kept, anew;
    CHECK_OK(process(sky, &options, NULL, NULL, &kept));
    options.large_pixels = SIDE * SIDE - 1;
    CHECK_OK(process(sky, &options, NULL, NULL, &anew));
    same_pixels(&kept.difference.difference, &anew.difference.difference);
    same_pixels(&kept.difference.score, &anew.difference.score);
    same_pixels(&kept.difference.flux_err, &anew.difference.flux_err);
    CHECK_EQUAL(anew.notes.count, kept.notes.count);
    CHECK_EQUAL(anew.injection.count, kept.injection.count);
    CHECK(!memcmp(anew.injection.bins, kept.injection.bins, sizeof kept.injection.bins));
    aid_process_result_done(&kept);
    aid_process_result_done(&anew);
    aid_sky_free(sky);
}

TEST(injected_sources_measure_completeness)
{
    aid_sky *sky = make_sky(32);
    aid_process_options options = default_options();
    options.inject = 60;
    options.seed = 5;
    aid_process_result result;
    CHECK_OK(process(sky, &options, NULL, NULL, &result));
    const aid_injection *injection = &result.injection;
    CHECK(injection->count >= 50);
    int bright = 0, found = 0;
    for (int i = 0; i < injection->count; i++)
        if (injection->items[i].snr > 9.0) {
            bright++;
            found += injection->items[i].found;
        }
    CHECK(bright >= 15);
    CHECK(found >= bright * 8 / 10);
    /* S/N above 9, some 25 sources: the median is known to 1.25/9/5 = 3 %. */
    CHECK_NEAR(injection->flux_bias, 0.0, 0.1);
    CHECK(injection->snr_50 > 3.5 && injection->snr_50 < 8.0);
    for (int i = 0; i < injection->count; i++)
        for (int k = i + 1; k < injection->count; k++)
            CHECK(hypot(injection->items[i].x - injection->items[k].x,
                        injection->items[i].y - injection->items[k].y) >= 22.0);
    aid_process_result_done(&result);
    aid_sky_free(sky);
}

TEST(threads_do_not_change_a_byte)
{
    aid_sky *sky = make_sky(33);
    aid_process_options options = default_options();
    aid_pool *pool;
    CHECK_OK(aid_pool_new(3, &pool, &err));
    aid_process_result one, many;
    CHECK_OK(process(sky, &options, NULL, NULL, &one));
    CHECK_OK(process(sky, &options, pool, NULL, &many));
    CHECK_EQUAL(one.candidates.count, many.candidates.count);
    CHECK(!memcmp(one.candidates.items, many.candidates.items,
                  sizeof(aid_candidate) * (size_t)one.candidates.count));
    CHECK(!memcmp(one.difference.score.data, many.difference.score.data,
                  sizeof(float) * SIDE * SIDE));
    aid_process_result_done(&one);
    aid_process_result_done(&many);
    aid_pool_free(pool);
    aid_sky_free(sky);
}

typedef struct stage_log {
    char text[256];
    const char *stop_at;
} stage_log;

static aid_status on_begin(void *context, const char *stage, aid_error *error)
{
    stage_log *log = context;
    size_t used = strlen(log->text);
    snprintf(log->text + used, sizeof log->text - used, "%s ", stage);
    if (log->stop_at && !strcmp(stage, log->stop_at))
        AID_FAIL(error, AID_ERR_CANCELLED, "stopped before %s", stage);
    return AID_OK;
}

static void on_end(void *context, const char *stage)
{
    stage_log *log = context;
    size_t used = strlen(log->text);
    snprintf(log->text + used, sizeof log->text - used, "/%s ", stage);
}

TEST(the_observer_sees_every_stage_in_order_and_may_stop)
{
    aid_sky *sky = make_sky(34);
    aid_process_options options = default_options();
    stage_log log = {.stop_at = "subtract"};
    aid_stage_observer observer = {on_begin, on_end, &log};
    aid_process_result result;
    CHECK_REFUSED(process(sky, &options, NULL, &observer, &result), AID_ERR_CANCELLED,
                  "stopped before subtract");
    CHECK_TEXT(log.text, "prepare /prepare register /register resample /resample subtract ");
    CHECK(result.science.image.data == NULL && result.candidates.items == NULL);
    aid_sky_free(sky);
}

TEST(two_fields_that_have_nothing_in_common_are_refused)
{
    aid_sky *here = make_sky(35), *there;
    aid_sky_options elsewhere = *aid_sky_options_of(here);
    elsewhere.seed = 36;
    elsewhere.ra_deg += 1.0;
    CHECK_OK(aid_sky_new(&elsewhere, &there, &err));
    inputs science, reference;
    make_inputs(here, &science);
    make_inputs(there, &reference);
    aid_process_options options = default_options();
    aid_process_result result;
    CHECK_REFUSED(aid_process_exposure(&science.science, &reference.reference, &options, NULL, NULL,
                                       &result, &err),
                  AID_ERR_INVALID, "reference.fits");
    CHECK(result.science.image.data == NULL);
    inputs_done(&science);
    inputs_done(&reference);
    aid_sky_free(here);
    aid_sky_free(there);
}

TEST_MAIN()
