/* Frames together: what they share, what changes, and which of them do not follow. */
#include "core/base/random.h"
#include "core/imaging/stats.h"
#include "domain/quality/series.h"
#include "tests/domain/quality/sky_frame.h"

enum { STARS = 120, MOST = 40 };

typedef struct night {
    aid_quality_frame frames[MOST];
    int count;
    aid_quality_series series;
} night;

static void night_done(night *all)
{
    for (int i = 0; i < all->count; i++)
        aid_quality_frame_done(&all->frames[i]);
    aid_quality_series_done(&all->series);
}

/* A frame of 1000 x 1000 px of one field, shifted by 3 px a frame, whose light is dimmed. Fluxes
 * scatter by 1 %. Time: 6 minutes a frame from MJD 60000. */
static aid_quality_frame *add_frame(night *all, uint64_t field, double transparency)
{
    int index = all->count++;
    aid_quality_frame *frame = &all->frames[index];
    *frame = (aid_quality_frame){.width = 1000, .height = 1000, .aperture_px = 5.0, .field = -1};
    snprintf(frame->name, sizeof frame->name, "frame%02d.fits", index);
    snprintf(frame->instrument, sizeof frame->instrument, "CAM");
    snprintf(frame->filter, sizeof frame->filter, "r");
    frame->quality = (aid_quality){.fwhm_px = 3.0,
                                   .fwhm_arcsec = 1.5,
                                   .pixel_scale_arcsec = 0.5,
                                   .background_level = 500.0,
                                   .noise_level = 20.0,
                                   .limiting_flux = 400.0,
                                   .expected_flux = 200.0,
                                   .expected_noise = 10.0,
                                   .expected_fwhm_px = 2.8,
                                   .noise_area_px = 30.0,
                                   .stars = 200,
                                   .exposure_s = 60.0,
                                   .mid_mjd_utc = 60000.0 + index / 240.0,
                                   .gain = 1.5,
                                   .read_noise_e = 6.0,
                                   .zero_point = NAN,
                                   .alignment_accuracy_px = NAN,
                                   .overall_quality_score = 0.123,
                                   .transparency = NAN};
    frame->stars = calloc(STARS, sizeof *frame->stars);
    CHECK(frame->stars != NULL);
    aid_random places = aid_random_seeded(field, 1),
               noise = aid_random_seeded(field, 100 + (uint64_t)index);
    for (int i = 0; i < STARS; i++) {
        double x = 60.0 + 880.0 * aid_random_uniform(&places);
        double y = 60.0 + 880.0 * aid_random_uniform(&places);
        double flux = 200000.0 * pow(0.97, i) * transparency;
        flux *= 1.0 + 0.01 * aid_random_normal(&noise);
        frame->stars[frame->star_count++] = (aid_star){.x = x + 3.0 * index,
                                                       .y = y - 2.0 * index,
                                                       .flux = flux,
                                                       .flux_err = 0.01 * flux,
                                                       .peak = flux / 30.0,
                                                       .a = 1.3,
                                                       .b = 1.3};
    }
    return frame;
}

static void rate(night *all)
{
    notes.count = 0;
    aid_quality_series_done(&all->series);
    CHECK_OK(aid_quality_rate_series(all->frames, all->count, &notes, &all->series, &err));
}

/* Medians over 120 stars of 1 % each, twice: 0.16 %; the clearest tenth sets the 1. */
TEST(clouds_are_seen_in_the_stars_that_frames_share_whatever_the_order_of_the_frames)
{
    static const double clear[] = {1.0, 0.99, 0.5, 1.0, 0.9, 0.25, 1.0, 0.97};
    AID_CLEANUP(night_done)
    night all = {0};
    for (size_t i = 0; i < AID_COUNT_OF(clear); i++)
        add_frame(&all, 1, clear[i]);
    rate(&all);
    CHECK_EQUAL(all.series.group_count, 1);
    CHECK_EQUAL(all.series.groups[0].fields, 1);
    for (size_t i = 0; i < AID_COUNT_OF(clear); i++) {
        const aid_quality *quality = &all.frames[i].quality;
        CHECK_NEAR(quality->transparency, clear[i], 0.01);
        CHECK_EQUAL((quality->flags & AID_QUALITY_CLOUDS) != 0, clear[i] < 0.8);
        /* The same limit behind clouds is that much less deep. */
        CHECK_NEAR(quality->overall_quality_score, clear[i] * 200.0 / 202.0, 0.015);
    }
    aid_quality_frame swapped = all.frames[2];
    double score = swapped.quality.overall_quality_score;
    all.frames[2] = all.frames[7];
    all.frames[7] = swapped;
    rate(&all);
    CHECK_NEAR(all.frames[7].quality.overall_quality_score, score, 0.0);
    CHECK_NEAR(all.frames[7].quality.transparency, swapped.quality.transparency, 0.0);
}

TEST(twice_the_exposure_has_twice_the_flux_and_is_no_clearer_for_it)
{
    AID_CLEANUP(night_done)
    night all = {0};
    for (int i = 0; i < 4; i++) {
        aid_quality_frame *frame = add_frame(&all, 1, i % 2 ? 2.0 : 1.0);
        frame->quality.exposure_s = i % 2 ? 120.0 : 60.0;
        frame->quality.limiting_flux = i % 2 ? 400.0 * sqrt(2.0) : 400.0;
    }
    rate(&all);
    for (int i = 0; i < 4; i++) {
        CHECK_NEAR(all.frames[i].quality.transparency, 1.0, 0.01);
        CHECK_NEAR(all.frames[i].quality.depth_loss_mag, 0.0, 0.02);
    }
    CHECK(all.series.groups[0].background_per_s);
}

TEST(fields_of_one_group_are_told_apart_and_a_lonely_one_has_no_transparency)
{
    AID_CLEANUP(night_done)
    night all = {0};
    for (int i = 0; i < 4; i++)
        add_frame(&all, 1, i ? 1.0 : 0.6);
    for (int i = 0; i < 3; i++)
        add_frame(&all, 2, i ? 1.0 : 0.4);
    add_frame(&all, 3, 0.5);
    rate(&all);
    CHECK_EQUAL(all.series.groups[0].fields, 3);
    CHECK_NEAR(all.frames[0].quality.transparency, 0.6, 0.01);
    CHECK_NEAR(all.frames[4].quality.transparency, 0.4, 0.01);
    CHECK(all.frames[0].field == all.frames[3].field && all.frames[4].field == all.frames[6].field);
    CHECK(all.frames[0].field != all.frames[4].field);
    CHECK(isnan(all.frames[7].quality.transparency));
    CHECK(isnan(all.frames[0].metrics[AID_METRIC_STARS])); /* counts of different fields */
    CHECK_EQUAL(notes.count, 1);
    CHECK(strstr(notes.items[0].text, "CAM r: 1 of 8 frames share no field"));
}

TEST(instruments_and_filters_are_groups_and_two_frames_keep_the_scores_that_they_have)
{
    AID_CLEANUP(night_done)
    night all = {0};
    for (int i = 0; i < 6; i++) {
        aid_quality_frame *frame = add_frame(&all, 1, 1.0);
        if (i >= 4)
            snprintf(frame->filter, sizeof frame->filter, "g");
    }
    rate(&all);
    CHECK_EQUAL(all.series.group_count, 2);
    CHECK_TEXT(all.series.groups[0].filter, "g");
    CHECK_EQUAL(all.series.groups[0].frames, 2);
    CHECK_NEAR(all.frames[5].quality.overall_quality_score, 0.123, 0.0);
    CHECK(!all.frames[5].rated_by_group && all.frames[0].rated_by_group);
    CHECK(isnan(all.series.groups[0].best_rate));
    CHECK_NEAR(all.frames[0].quality.overall_quality_score, 200.0 / 202.0, 0.02);
}

/* -------------------------------------------------------------------------------------- trends */

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double slow_slope(const double *time, const double *value, int count)
{
    static double slopes[MOST * MOST];
    int n = 0;
    for (int i = 0; i < count; i++)
        for (int j = i + 1; j < count; j++)
            slopes[n++] = (value[j] - value[i]) / (time[j] - time[i]);
    qsort(slopes, (size_t)n, sizeof *slopes, ascending);
    return 0.5 * (slopes[(n - 1) / 2] + slopes[n / 2]);
}

TEST(a_trend_is_the_median_of_all_slopes_and_what_leaves_it_is_named)
{
    AID_CLEANUP(night_done)
    night all = {0};
    double time[MOST], value[MOST];
    aid_random random = aid_random_seeded(4, 0);
    for (int i = 0; i < 30; i++) {
        aid_quality_frame *frame = add_frame(&all, 1, 1.0);
        time[i] = 0.1 * i; /* hours */
        value[i] = 1.5 + 0.2 * time[i] + 0.02 * aid_random_normal(&random);
        if (i == 17)
            value[i] += 1.5; /* a gust of wind */
        frame->quality.fwhm_arcsec = value[i];
    }
    rate(&all);
    const aid_quality_trend *trend = &all.series.groups[0].trends[AID_METRIC_SEEING];
    CHECK_EQUAL(trend->frames, 30);
    CHECK_NEAR(trend->slope, slow_slope(time, value, 30), 1e-9);
    CHECK_NEAR(trend->slope, 0.2, 3.0 * trend->slope_error);
    /* 0.02/sqrt(sum (t - mean)^2) = 0.02/4.7, and the scatter of 30 values is known to 20 %. */
    CHECK_NEAR(trend->slope_error, 0.0043, 0.002);
    CHECK_NEAR(trend->level + trend->slope * 1.45, 1.79, 0.02);
    CHECK_EQUAL(trend->outliers, 1);
    for (int i = 0; i < 30; i++)
        CHECK_EQUAL(all.frames[i].outlier, i == 17 ? 1u << AID_METRIC_SEEING : 0u);
    CHECK(all.frames[17].quality.flags & AID_QUALITY_BAD_SEEING);
    CHECK(!(all.frames[16].quality.flags & AID_QUALITY_BAD_SEEING));
    CHECK(all.series.groups[0].seeing_in_arcsec && !all.series.groups[0].per_night);
}

/* Three of four frames on a line by chance: 180, 175, 170, 165 and the second one 3 too low, which
 * comes to a residual rms of 3 sqrt(3/4/2) and an error of 1.05 x 1.837/(0.1 sqrt(5)). */
TEST(a_slope_of_few_frames_has_the_error_of_all_of_them_though_most_lie_on_a_line)
{
    AID_CLEANUP(night_done)
    night all = {0};
    static const double levels[] = {180.0, 172.0, 170.0, 165.0};
    for (int i = 0; i < 4; i++)
        add_frame(&all, 1, 1.0)->quality.background_level = levels[i];
    rate(&all);
    const aid_quality_trend *trend = &all.series.groups[0].trends[AID_METRIC_BACKGROUND];
    CHECK_NEAR(trend->slope, -50.0, 1e-4);
    CHECK_NEAR(trend->slope_error, 8.626, 0.01);
}

TEST(a_trend_over_several_nights_is_per_night)
{
    AID_CLEANUP(night_done)
    night all = {0};
    for (int i = 0; i < 10; i++) {
        aid_quality_frame *frame = add_frame(&all, 1, 1.0);
        frame->quality.mid_mjd_utc = 60000.0 + i;
        frame->quality.background_level = 500.0 + 25.0 * i; /* the moon comes back */
    }
    rate(&all);
    CHECK(all.series.groups[0].per_night);
    CHECK_NEAR(all.series.groups[0].trends[AID_METRIC_BACKGROUND].slope, 25.0, 1e-9);
}

TEST(frames_without_a_time_have_a_median_but_no_slope)
{
    AID_CLEANUP(night_done)
    night all = {0};
    for (int i = 0; i < 5; i++)
        add_frame(&all, 1, 1.0)->quality.mid_mjd_utc = NAN;
    rate(&all);
    const aid_quality_trend *trend = &all.series.groups[0].trends[AID_METRIC_SEEING];
    CHECK_NEAR(trend->median, 1.5, 0.0);
    CHECK(isnan(trend->slope) && isnan(trend->slope_error));
}

TEST(a_bright_sky_and_a_shallow_frame_are_flagged_against_the_others_not_against_a_constant)
{
    AID_CLEANUP(night_done)
    night all = {0};
    for (int i = 0; i < 12; i++) {
        aid_quality_frame *frame = add_frame(&all, 1, 1.0);
        frame->quality.background_level = 50000.0 + 10.0 * (i % 3);
        frame->quality.noise_level = 400.0; /* 40 times what is expected, in every frame */
        frame->quality.limiting_flux = 8000.0;
    }
    all.frames[5].quality.background_level = 90000.0;
    all.frames[8].quality.limiting_flux = 16000.0;
    rate(&all);
    for (int i = 0; i < 12; i++) {
        unsigned flags = all.frames[i].quality.flags;
        CHECK_EQUAL((flags & AID_QUALITY_HIGH_BACKGROUND) != 0, i == 5);
        CHECK_EQUAL((flags & AID_QUALITY_SHALLOW) != 0, i == 8);
    }
    CHECK_NEAR(all.frames[8].quality.depth_loss_mag, 2.5 * log10(2.0), 0.02);
    CHECK_EQUAL(all.frames[8].quality.class, AID_QUALITY_FAIR);
}

TEST(no_frames_at_all_are_an_empty_series)
{
    aid_quality_series series;
    CHECK_OK(aid_quality_rate_series(NULL, 0, &notes, &series, &err));
    CHECK_EQUAL(series.group_count, 0);
    aid_quality_series_done(&series);
}

/* Two rendered frames of one sky, one of them behind clouds that let 60 % through, at another
 * pointing: the whole way from pixels. Their limits are the same, hence the yardstick, too. */
TEST(frames_from_pixels_tell_how_much_light_came_through)
{
    AID_CLEANUP(night_done)
    night all = {0};
    for (int i = 0; i < 3; i++) {
        AID_CLEANUP(aid_simulated_frame_done)
        aid_simulated_frame frame = {0};
        AID_CLEANUP(aid_exposure_done)
        aid_exposure exposure = {0};
        aid_sky_options options = small_sky(21);
        options.epoch[AID_SKY_SCIENCE].zero_point += i == 1 ? 2.5 * log10(0.6) : 0.0;
        options.epoch[AID_SKY_SCIENCE].seeing_px = i == 2 ? 4.2 : 3.2;
        options.epoch[AID_SKY_SCIENCE].offset_x_px = 7.0 * i;
        render(&options, NULL, &frame);
        prepare(&frame, true, NULL, &exposure);
        aid_quality quality;
        CHECK_OK(aid_quality_assess(&exposure, NULL, NULL, &notes, &quality, &err));
        CHECK_OK(aid_quality_frame_init(&exposure, &quality, &all.frames[i], &err));
        all.count++;
    }
    rate(&all);
    /* 20 to 40 stars of S/N 10 and more, and apertures that follow the seeing. */
    CHECK_NEAR(all.frames[1].quality.transparency / all.frames[0].quality.transparency, 0.6, 0.03);
    CHECK_NEAR(all.frames[2].quality.transparency / all.frames[0].quality.transparency, 1.0, 0.05);
    CHECK(all.frames[1].quality.flags & AID_QUALITY_CLOUDS);
    double best = all.frames[0].quality.overall_quality_score;
    CHECK_NEAR(all.frames[1].quality.overall_quality_score / best, 0.6, 0.06);
    CHECK_TEXT(all.frames[0].filter, "r");
}

TEST_MAIN()
