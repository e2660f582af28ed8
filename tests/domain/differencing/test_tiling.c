#include "core/base/memory.h"
#include "domain/differencing/internal.h"
#include "tests/check.h"

static aid_error err;

typedef struct copy_job {
    const aid_tiling *tiling;
    const aid_image *from;
    aid_image *to;
    float *windows[8];
} copy_job;

static aid_status copy_tile(void *context, const aid_tile *tile, int worker, aid_error *error)
{
    (void)error;
    copy_job *job = context;
    aid_tile_load(job->tiling, tile, job->from, job->windows[worker]);
    aid_tile_blend(job->tiling, tile, job->windows[worker], 2.0, job->to);
    return AID_OK;
}

static void copy_by_tiles(const aid_image *from, int reach, aid_pool *pool, aid_image *to)
{
    aid_tiling tiling = aid_tiling_plan(from->width, from->height, reach);
    copy_job job = {.tiling = &tiling, .from = from, .to = to};
    size_t pixels = (size_t)tiling.size * (size_t)tiling.size;
    for (int i = 0; i < 8; i++)
        CHECK_OK(aid_new_array(pixels, sizeof(float), "window", &job.windows[i], &err));
    CHECK_OK(aid_tiling_run(&tiling, copy_tile, &job, pool, &err));
    for (int i = 0; i < 8; i++)
        free(job.windows[i]);
}

static aid_image numbered(int width, int height)
{
    aid_image image;
    CHECK_OK(aid_image_init(width, height, &image, &err));
    for (int i = 0; i < width * height; i++)
        image.data[i] = 1.0F + (float)(i % 977);
    return image;
}

TEST(the_shares_of_all_tiles_add_up_to_one_everywhere)
{
    const int sizes[][2] = {{700, 333}, {64, 64}, {257, 1024}, {33, 900}};
    for (size_t s = 0; s < AID_COUNT_OF(sizes); s++) {
        aid_image from = numbered(sizes[s][0], sizes[s][1]), to;
        CHECK_OK(aid_image_init(from.width, from.height, &to, &err));
        copy_by_tiles(&from, 20, NULL, &to);
        /* At most four shares of float32: 4 roundings of 6e-8. */
        for (int i = 0; i < from.width * from.height; i++)
            CHECK_NEAR(to.data[i], 2.0F * from.data[i], 3e-7 * 2.0 * (double)from.data[i]);
        aid_image_done(&from);
        aid_image_done(&to);
    }
}

TEST(blending_gives_the_same_bytes_at_one_and_four_threads)
{
    aid_image from = numbered(1100, 900), one, many;
    aid_pool *pool;
    CHECK_OK(aid_pool_new(4, &pool, &err));
    CHECK_OK(aid_image_init(from.width, from.height, &one, &err));
    CHECK_OK(aid_image_init(from.width, from.height, &many, &err));
    copy_by_tiles(&from, 20, NULL, &one);
    copy_by_tiles(&from, 20, pool, &many);
    CHECK(!memcmp(one.data, many.data, sizeof(float) * 1100 * 900));
    aid_pool_free(pool);
    aid_image_done(&from);
    aid_image_done(&one);
    aid_image_done(&many);
}

TEST(a_window_beyond_the_image_is_filled_with_zeros)
{
    aid_image from = numbered(100, 80);
    aid_tiling tiling = aid_tiling_plan(100, 80, 20);
    aid_tile tile = aid_tile_at(&tiling, 0, 0);
    float *window;
    CHECK_OK(aid_new_array((size_t)tiling.size * (size_t)tiling.size, sizeof *window, "window",
                           &window, &err));
    aid_tile_load(&tiling, &tile, &from, window);
    for (int y = 0; y < tiling.size; y++)
        for (int x = 0; x < tiling.size; x++) {
            int ix = x + tile.x0, iy = y + tile.y0;
            bool inside = ix >= 0 && iy >= 0 && ix < 100 && iy < 80;
            CHECK((double)window[y * tiling.size + x] ==
                  (inside ? (double)from.data[iy * 100 + ix] : 0.0));
        }
    free(window);
    aid_image_done(&from);
}

TEST_MAIN()
