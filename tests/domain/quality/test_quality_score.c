/* The score falls whenever the sky gets worse, whatever the seed. */
#include "tests/domain/quality/sky_frame.h"

/* Sanitizers make the PSF of a frame take a second. */
#ifdef AID_SANITIZED
enum { STEPS = 3, SEEDS = 1 };
#else
enum { STEPS = 4, SEEDS = 2 };
#endif

typedef void (*worsening)(aid_sky_options *options, int step);

static void check_falls(worsening worsen)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        double before = 2.0;
        for (int step = 0; step < STEPS; step++) {
            aid_sky_options options = small_sky(seed);
            options.width = options.height = 400;
            options.star_density = 2500.0; /* seeing and ellipticity to a per cent */
            worsen(&options, step);
            aid_quality quality = quality_of(&options);
            CHECK(quality.overall_quality_score > 0.0);
            CHECK(quality.overall_quality_score < before);
            before = quality.overall_quality_score;
        }
    }
}

static void brighter_sky(aid_sky_options *options, int step)
{
    options->epoch[AID_SKY_SCIENCE].sky_adu = 100.0 * pow(2.5, step);
}
TEST(the_score_falls_as_the_sky_brightens)
{
    check_falls(brighter_sky);
}

static void worse_seeing(aid_sky_options *options, int step)
{
    options->epoch[AID_SKY_SCIENCE].seeing_px = 2.6 + 0.8 * step;
}
TEST(the_score_falls_as_the_seeing_worsens)
{
    check_falls(worse_seeing);
}

static void thicker_clouds(aid_sky_options *options, int step)
{
    options->epoch[AID_SKY_SCIENCE].zero_point = 27.0 - 0.5 * step;
}
TEST(the_score_falls_as_clouds_take_light_away)
{
    check_falls(thicker_clouds);
}

static void longer_trails(aid_sky_options *options, int step)
{
    options->epoch[AID_SKY_SCIENCE].ellipticity = 0.02 + 0.12 * step;
}
TEST(the_score_falls_as_stars_are_drawn_out)
{
    check_falls(longer_trails);
}

static void lower_ceiling(aid_sky_options *options, int step)
{
    options->saturation_adu = 60000.0 / pow(4.0, step);
}
TEST(the_score_falls_as_more_pixels_saturate)
{
    check_falls(lower_ceiling);
}

/* The sky's own noise is measured to 1 %, so that a per cent of masked pixels would be lost in it:
 * here nothing changes but the mask. */
TEST(the_score_falls_as_more_pixels_are_masked_for_whichever_reason)
{
    static const uint8_t reasons[] = {AID_MASK_BAD, AID_MASK_SATURATED, AID_MASK_COSMIC_RAY,
                                      AID_MASK_NO_DATA};
    for (size_t i = 0; i < AID_COUNT_OF(reasons); i++) {
        AID_CLEANUP(aid_simulated_frame_done)
        aid_simulated_frame frame = {0};
        AID_CLEANUP(aid_exposure_done)
        aid_exposure exposure = {0};
        aid_sky_options options = small_sky(4);
        render(&options, NULL, &frame);
        prepare(&frame, true, NULL, &exposure);
        double before = 2.0;
        for (int32_t rows = 0; rows < 512; rows += 64) {
            for (int32_t x = 0; x < 64 * 512 && rows; x++)
                exposure.mask.data[(int64_t)(rows - 64) * 512 + x] |= reasons[i];
            aid_quality quality;
            CHECK_OK(aid_quality_assess(&exposure, NULL, NULL, &notes, &quality, &err));
            CHECK(quality.overall_quality_score > 0.0);
            CHECK(quality.overall_quality_score < before);
            CHECK(quality.masked_percentage >= 100.0 * rows / 512);
            before = quality.overall_quality_score;
        }
    }
}

TEST_MAIN()
