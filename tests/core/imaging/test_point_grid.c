#include "core/base/random.h"
#include "core/imaging/point_grid.h"
#include "tests/check.h"

static aid_error err;

enum { COUNT = 500, QUERIES = 300 };
static double xs[COUNT], ys[COUNT];

static void scatter(void)
{
    aid_random random = aid_random_seeded(4, 0);
    for (int i = 0; i < COUNT; i++) {
        xs[i] = 300.0 * aid_random_uniform(&random) - 50.0;
        ys[i] = 120.0 * aid_random_uniform(&random) * aid_random_uniform(&random);
    }
}

static int naive_nearest(double x, double y, double radius)
{
    int nearest = -1;
    double least = radius;
    for (int i = 0; i < COUNT; i++)
        if (hypot(xs[i] - x, ys[i] - y) <= least) {
            least = hypot(xs[i] - x, ys[i] - y);
            nearest = i;
        }
    return nearest;
}

static int naive_count(double x, double y, double radius)
{
    int count = 0;
    for (int i = 0; i < COUNT; i++)
        count += hypot(xs[i] - x, ys[i] - y) <= radius;
    return count;
}

TEST(neighbours_are_those_of_a_search_through_all_points)
{
    scatter();
    aid_point_grid grid;
    CHECK_OK(aid_point_grid_init(xs, ys, COUNT, &grid, &err));
    aid_random random = aid_random_seeded(5, 0);
    for (int k = 0; k < QUERIES; k++) {
        double x = 400.0 * aid_random_uniform(&random) - 100.0; /* beyond the points, too */
        double y = 200.0 * aid_random_uniform(&random) - 40.0;
        double radius = 30.0 * aid_random_uniform(&random);
        int found[COUNT], count = naive_count(x, y, radius);
        CHECK_EQUAL(aid_point_grid_nearest(&grid, x, y, radius), naive_nearest(x, y, radius));
        CHECK_EQUAL(aid_point_grid_count(&grid, x, y, radius), count);
        CHECK_EQUAL(aid_point_grid_within(&grid, x, y, radius, found, COUNT), count);
        for (int i = 0; i < count; i++)
            CHECK(hypot(xs[found[i]] - x, ys[found[i]] - y) <= radius);
        CHECK_EQUAL(aid_point_grid_within(&grid, x, y, radius, found, 3), AID_MIN(count, 3));
    }
    aid_point_grid_done(&grid);
}

TEST(stars_are_found_and_an_empty_list_has_none)
{
    aid_star items[2] = {{.x = 10.0, .y = 20.0}, {.x = 11.0, .y = 25.0}};
    aid_stars stars = {.count = 2, .items = items}, none = {0};
    aid_point_grid grid;
    CHECK_OK(aid_point_grid_of_stars(&stars, &grid, &err));
    items[0].x = 1000.0; /* the positions were copied */
    CHECK_EQUAL(aid_point_grid_nearest(&grid, 10.2, 20.2, 2.0), 0);
    CHECK_EQUAL(aid_point_grid_nearest(&grid, 10.2, 22.5, 1.0), -1);
    aid_point_grid_done(&grid);
    CHECK_OK(aid_point_grid_of_stars(&none, &grid, &err));
    CHECK_EQUAL(aid_point_grid_nearest(&grid, 0.0, 0.0, 1e6), -1);
    aid_point_grid_done(&grid);
}

TEST_MAIN()
