#include "tests/domain/photometry/frames.h"

enum { COUNT = 60 };

/* Stars of S/N 50, their positions known to .6 FWHM/50 = .04 px, in a field of 1000 px. */
static aid_star items[COUNT];
static aid_stars stars = {COUNT, items, 5.0, 3.5};

static void scatter_stars(uint64_t seed)
{
    aid_random random = aid_random_seeded(seed, 0);
    for (int i = 0; i < COUNT; i++)
        items[i] = (aid_star){.x = 100.0 * (i % 10) + 80.0 * aid_random_uniform(&random),
                              .y = 160.0 * (i / 10) + 120.0 * aid_random_uniform(&random),
                              .flux = 1000.0,
                              .flux_err = 20.0};
}

/* Where a WCS with a shift and a turn of 2e-4 would put them, and one place without a star. */
static void expect_positions(double dx, double dy, double turn, double (*xy)[2])
{
    aid_random random = aid_random_seeded(77, 1);
    for (int i = 0; i < COUNT; i++) {
        xy[i][0] = items[i].x - dx + turn * items[i].y + 0.04 * aid_random_normal(&random);
        xy[i][1] = items[i].y - dy - turn * items[i].x + 0.04 * aid_random_normal(&random);
    }
    xy[COUNT][0] = 512.0 - dx + turn * 333.0;
    xy[COUNT][1] = 333.0 - dy - turn * 512.0;
    xy[COUNT + 1][0] = NAN;
    xy[COUNT + 1][1] = 5.0;
}

TEST(positions_follow_the_stars_by_a_shift_and_a_turn)
{
    double xy[COUNT + 2][2];
    aid_position_shift shift;
    scatter_stars(1);
    expect_positions(0.8, -0.5, 2e-4, xy);
    CHECK_OK(aid_refine_positions(&stars, 3.0, COUNT + 2, xy, &shift, &err));
    CHECK(shift.applied && shift.matched > 50);
    CHECK_NEAR(shift.rms_px, 0.04, 0.015);
    /* A linear map of 60 stars is known to .04 sqrt(3/60) = .009 px. */
    CHECK_NEAR(xy[COUNT][0], 512.0, 0.04);
    CHECK_NEAR(xy[COUNT][1], 333.0, 0.04);
    CHECK(isnan(xy[COUNT + 1][0]));
}

TEST(a_few_that_are_elsewhere_do_not_matter)
{
    double xy[COUNT + 2][2];
    aid_position_shift shift;
    scatter_stars(2);
    expect_positions(0.6, 0.4, 0.0, xy);
    for (int i = 0; i < 8; i++)
        xy[7 * i][i % 2] += 1.5;
    CHECK_OK(aid_refine_positions(&stars, 3.0, COUNT + 2, xy, &shift, &err));
    CHECK(shift.applied);
    CHECK_NEAR(xy[COUNT][0], 512.0, 0.05);
    CHECK_NEAR(xy[COUNT][1], 333.0, 0.05);
}

TEST(a_wcs_that_is_right_is_left_alone)
{
    double xy[COUNT + 2][2], before[COUNT + 2][2];
    aid_position_shift shift;
    scatter_stars(3);
    expect_positions(0.0, 0.0, 0.0, xy);
    memcpy(before, xy, sizeof xy);
    CHECK_OK(aid_refine_positions(&stars, 3.0, COUNT + 2, xy, &shift, &err));
    CHECK(!shift.applied && shift.matched > 50);
    CHECK(memcmp(before, xy, sizeof xy) == 0);
}

TEST(what_matches_by_chance_or_hardly_at_all_moves_nothing)
{
    double xy[COUNT + 2][2], before[COUNT + 2][2];
    aid_position_shift shift;
    aid_random random = aid_random_seeded(5, 0);
    scatter_stars(4);
    for (int i = 0; i < COUNT + 2; i++) { /* somewhere within the radius */
        double angle = 6.283185 * aid_random_uniform(&random);
        double away = 3.0 * sqrt(aid_random_uniform(&random));
        xy[i][0] = items[i % COUNT].x + away * cos(angle);
        xy[i][1] = items[i % COUNT].y + away * sin(angle);
    }
    memcpy(before, xy, sizeof xy);
    CHECK_OK(aid_refine_positions(&stars, 3.0, COUNT + 2, xy, &shift, &err));
    CHECK(!shift.applied);
    CHECK_OK(aid_refine_positions(&stars, 3.0, 4, xy, &shift, &err)); /* four are too few */
    CHECK(!shift.applied);
    aid_stars none = {0};
    CHECK_OK(aid_refine_positions(&none, 3.0, COUNT, xy, &shift, &err));
    CHECK_EQUAL(shift.matched, 0);
    CHECK_OK(aid_refine_positions(&stars, 3.0, 0, xy, &shift, &err));
    CHECK(memcmp(before, xy, sizeof xy) == 0);
    CHECK_REFUSED(aid_refine_positions(&stars, NAN, COUNT, xy, &shift, &err), AID_ERR_INVALID,
                  "nan");
}

TEST_MAIN()
