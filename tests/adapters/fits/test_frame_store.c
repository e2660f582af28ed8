/* The frame store gives back what went in, from memory and from its scratch file. */
#include "adapters/fits/frame_store.h"
#include "core/base/memory.h"
#include "core/base/random.h"
#include "tests/check.h"

static aid_error err;
enum { WIDTH = 5003, HEIGHT = 17 }; /* wider than one step of the conversion */

static aid_image frame_of(uint64_t seed, bool whole)
{
    aid_image image = {0};
    aid_random random = aid_random_seeded(seed, 0);
    CHECK_OK(aid_image_init(WIDTH, HEIGHT, &image, &err));
    for (int64_t i = 0; i < (int64_t)WIDTH * HEIGHT; i++) {
        double value = 65535.0 * aid_random_uniform(&random);
        image.data[i] = (float)(whole ? rint(value) : value - 100.0);
    }
    image.data[0] = 0.0f;
    image.data[1] = 65535.0f;
    return image;
}

static bool same_rows(const aid_frame_rows *rows, int frame, const aid_image *image)
{
    static float pixels[WIDTH * HEIGHT];
    bool same = true;
    for (int32_t y = 0; y < HEIGHT; y += 5) {
        int32_t n = AID_MIN(5, HEIGHT - y);
        CHECK_OK(rows->read(rows->context, frame, y, n, pixels, &err));
        same = same && !memcmp(pixels, aid_image_row(image, y),
                               (size_t)n * WIDTH * sizeof *pixels); /* NaN included */
    }
    return same;
}

/* Frame 2 is whole but for one late pixel, frame 3 has a NaN in its last one. */
static void check_round_trip(int64_t memory_bytes)
{
    aid_frame_store *store;
    aid_image images[5];
    CHECK_OK(aid_frame_store_new(memory_bytes, NULL, &store, &err));
    for (int i = 0; i < 5; i++) {
        images[i] = frame_of((uint64_t)i, i != 1);
        if (i == 2)
            images[i].data[WIDTH * HEIGHT - 9] = -3.0f;
        if (i == 3)
            images[i].data[WIDTH * HEIGHT - 1] = NAN;
        CHECK_OK(aid_frame_store_add(store, &images[i], NULL, &err));
    }
    aid_frame_rows rows = aid_frame_store_rows(store);
    CHECK_EQUAL(rows.count, 5);
    CHECK_EQUAL(rows.width, WIDTH);
    CHECK_EQUAL(rows.height, HEIGHT);
    CHECK(rows.read_variance == NULL);
    for (int i = 0; i < 5; i++) {
        CHECK(same_rows(&rows, i, &images[i]));
        CHECK(!same_rows(&rows, i, &images[(i + 1) % 5]));
    }
    for (int i = 0; i < 5; i++)
        aid_image_done(&images[i]);
    aid_frame_store_free(store);
}

TEST(frames_come_back_from_memory)
{
    check_round_trip(AID_FRAME_STORE_MEMORY);
}

TEST(frames_come_back_from_the_scratch_file)
{
    check_round_trip(0);
}

/* Room for two frames of 16 bits and a little more. */
TEST(frames_come_back_where_some_are_in_memory_and_some_are_not)
{
    check_round_trip(5LL * WIDTH * HEIGHT);
}

static uint16_t *whole_of(const aid_image *image)
{
    uint16_t *whole;
    CHECK_OK(aid_new_buffer(WIDTH * HEIGHT, sizeof *whole, "frame", &whole, &err));
    for (int64_t i = 0; i < WIDTH * HEIGHT; i++)
        whole[i] = (uint16_t)image->data[i];
    return whole;
}

/* One in memory, one in the scratch file, one that is refused. */
TEST(frames_of_16_bits_are_taken_as_they_are)
{
    aid_frame_store *store;
    AID_CLEANUP(aid_image_done)
    aid_image one = frame_of(1, true);
    AID_CLEANUP(aid_image_done)
    aid_image two = frame_of(2, true);
    CHECK_OK(aid_frame_store_new(3LL * WIDTH * HEIGHT, NULL, &store, &err));
    CHECK_OK(aid_frame_store_take_whole(store, whole_of(&one), WIDTH, HEIGHT, &err));
    CHECK_OK(aid_frame_store_take_whole(store, whole_of(&two), WIDTH, HEIGHT, &err));
    CHECK_REFUSED(aid_frame_store_take_whole(store, whole_of(&two), WIDTH, HEIGHT - 2, &err),
                  AID_ERR_INVALID, "5003 x 15 pixels");
    aid_frame_rows rows = aid_frame_store_rows(store);
    CHECK_EQUAL(rows.count, 2);
    CHECK(same_rows(&rows, 0, &one) && same_rows(&rows, 1, &two));
    CHECK(!same_rows(&rows, 0, &two));
    aid_frame_store_free(store);
}

TEST(a_variance_comes_back_with_its_frame)
{
    aid_frame_store *store;
    AID_CLEANUP(aid_image_done)
    aid_image image = frame_of(1, true);
    AID_CLEANUP(aid_image_done)
    aid_image variance = frame_of(2, false);
    static float pixels[WIDTH];
    CHECK_OK(aid_frame_store_new(0, NULL, &store, &err));
    CHECK_OK(aid_frame_store_add(store, &image, &variance, &err));
    aid_frame_rows rows = aid_frame_store_rows(store);
    CHECK(rows.read_variance != NULL);
    CHECK_OK(rows.read_variance(rows.context, 0, 3, 1, pixels, &err));
    CHECK(!memcmp(pixels, aid_image_row(&variance, 3), sizeof pixels));
    aid_frame_store_free(store);
}

TEST(what_does_not_go_with_the_others_is_refused_and_they_stay)
{
    aid_frame_store *store;
    AID_CLEANUP(aid_image_done)
    aid_image image = frame_of(1, true);
    AID_CLEANUP(aid_image_done)
    aid_image other = {0};
    aid_image empty = {0};
    CHECK_OK(aid_image_init(WIDTH, HEIGHT - 1, &other, &err));
    CHECK_OK(aid_frame_store_new(0, NULL, &store, &err));
    CHECK_REFUSED(aid_frame_store_add(store, &empty, NULL, &err), AID_ERR_INVALID, "without");
    CHECK_OK(aid_frame_store_add(store, &image, NULL, &err));
    CHECK_REFUSED(aid_frame_store_add(store, &other, NULL, &err), AID_ERR_INVALID,
                  "5003 x 16 pixels, and the others have 5003 x 17");
    CHECK_REFUSED(aid_frame_store_add(store, &image, &image, &err), AID_ERR_INVALID,
                  "with a variance");
    CHECK_EQUAL(aid_frame_store_count(store), 1);
    aid_frame_rows rows = aid_frame_store_rows(store);
    CHECK(same_rows(&rows, 0, &image));
    aid_frame_store_free(store);
}

TEST(a_folder_that_is_not_there_is_named_and_the_store_stays)
{
    aid_frame_store *store;
    AID_CLEANUP(aid_image_done)
    aid_image image = frame_of(1, true);
    CHECK_OK(aid_frame_store_new(2LL * WIDTH * HEIGHT, "no/such/folder", &store, &err));
    CHECK_OK(aid_frame_store_add(store, &image, NULL, &err));
    CHECK_REFUSED(aid_frame_store_add(store, &image, NULL, &err), AID_ERR_IO, "no/such/folder");
    CHECK_EQUAL(aid_frame_store_count(store), 1);
    aid_frame_store_free(store);
}

TEST_MAIN()
