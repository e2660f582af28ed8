#include "domain/simulation/simulation.h"
#include "tests/check.h"

static aid_error err;

enum { WIDTH = 384, HEIGHT = 320, OVERSCAN = 32 };

static aid_sky *camera(void)
{
    aid_sky_options options = AID_SKY_DEFAULTS;
    aid_sky *sky = NULL;
    options.width = WIDTH;
    options.height = HEIGHT;
    options.transients = options.faders = options.variables = options.movers = 0;
    options.bad_columns = 0;
    options.bad_pixels = 0.0;
    options.star_density = options.galaxy_density = 0.0;
    options.epoch[0].cosmic_rays = 0.0;
    CHECK_OK(aid_sky_new(&options, &sky, &err));
    return sky;
}

static aid_simulated_frame frame_of(const aid_sky *sky, aid_raw_kind kind, int index)
{
    aid_simulated_frame frame = {0};
    CHECK_OK(aid_sky_render_raw(sky, kind, AID_SKY_SCIENCE, index, NULL, &frame, &err));
    CHECK_EQUAL(frame.image.width, WIDTH + OVERSCAN);
    CHECK_EQUAL(frame.image.height, HEIGHT);
    return frame;
}

static double mean_of(const aid_image *image, int x0, int x1)
{
    double sum = 0.0;
    for (int y = 0; y < HEIGHT; y++)
        for (int x = x0; x < x1; x++)
            sum += (double)aid_image_row(image, y)[x];
    return sum / ((double)HEIGHT * (x1 - x0));
}

/* Half the variance of the difference of two frames, the second scaled to the first's mean, over
 * the light-sensitive columns. */
static double pair_variance(const aid_image *a, const aid_image *b, double level)
{
    double mean_a = mean_of(a, 0, WIDTH) - level, mean_b = mean_of(b, 0, WIDTH) - level;
    double ratio = mean_a > 1000.0 ? mean_a / mean_b : 1.0, sum = 0.0, squares = 0.0;
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++) {
            double difference = (double)aid_image_row(a, y)[x] - level -
                                ratio * ((double)aid_image_row(b, y)[x] - level);
            sum += difference;
            squares += difference * difference;
        }
    double n = (double)WIDTH * HEIGHT;
    return 0.5 * (squares / n - (sum / n) * (sum / n));
}

/* Photon transfer (Janesick 2001): var = read noise^2 + signal/gain in ADU. A variance of 123000 px
 * has a relative error of sqrt(2/N) = .4 %; rounding adds 1/12 ADU^2. */
TEST(photon_transfer_returns_gain_and_read_noise)
{
    aid_sky *sky = camera();
    aid_simulated_frame bias[2], flat[2];
    for (int i = 0; i < 2; i++) {
        bias[i] = frame_of(sky, AID_RAW_BIAS, i);
        flat[i] = frame_of(sky, AID_RAW_FLAT, i);
    }
    double noise = pair_variance(&bias[0].image, &bias[1].image, 1000.0);
    double shot = pair_variance(&flat[0].image, &flat[1].image, 1000.0);
    double signal = mean_of(&flat[0].image, 0, WIDTH) - mean_of(&bias[0].image, 0, WIDTH);
    CHECK_NEAR(sqrt(noise - 1.0 / 12.0) * 1.5, 6.0, 6.0 * 4.0 * 0.002);
    CHECK_NEAR(signal / (shot - noise), 1.5, 1.5 * 4.0 * 0.004);
    for (int i = 0; i < 2; i++) {
        aid_simulated_frame_done(&bias[i]);
        aid_simulated_frame_done(&flat[i]);
    }
    aid_sky_free(sky);
}

TEST(raw_pixels_are_whole_numbers_of_sixteen_bits)
{
    aid_sky *sky = camera();
    aid_simulated_frame frame = frame_of(sky, AID_RAW_FLAT, 0);
    for (int64_t i = 0; i < (int64_t)(WIDTH + OVERSCAN) * HEIGHT; i++) {
        float value = frame.image.data[i];
        CHECK(value >= 0.0f && value <= 65535.0f && value == floorf(value));
    }
    aid_simulated_frame_done(&frame);
    aid_sky_free(sky);
}

/* 10240 overscan pixels of 4 ADU: .04 ADU; the level drifts by 2 ADU from frame to frame and 3 ADU
 * along the columns. */
TEST(the_overscan_has_the_bias_of_its_frame_and_no_light)
{
    aid_sky *sky = camera();
    aid_simulated_frame object = frame_of(sky, AID_RAW_OBJECT, 0);
    aid_simulated_frame flat = frame_of(sky, AID_RAW_FLAT, 0);
    CHECK_NEAR(mean_of(&object.image, WIDTH, WIDTH + OVERSCAN), 1001.5, 10.0);
    CHECK_NEAR(mean_of(&flat.image, WIDTH, WIDTH + OVERSCAN), 1001.5, 10.0);
    CHECK_TEXT(aid_header_text(&object.header, "IMAGETYP"), "OBJECT");
    CHECK_TEXT(aid_header_text(&object.header, "BIASSEC"), "[385:416,1:320]");
    CHECK_TEXT(aid_header_text(&object.header, "TRIMSEC"), "[1:384,1:320]");
    CHECK_TEXT(aid_header_text(&flat.header, "IMAGETYP"), "FLAT");
    CHECK(!aid_header_find(&flat.header, "CTYPE1") && aid_header_find(&object.header, "CTYPE1"));
    aid_simulated_frame_done(&object);
    aid_simulated_frame_done(&flat);
    aid_sky_free(sky);
}

/* A perfect calibration with the camera's own maps leaves the sky: 400 ADU with its gradient, whose
 * mean over the image is 400 (1 + .04 x .5 x 1/6). Error of the mean: 18 ADU/sqrt(122880) = .05, of
 * the overscan .04. */
TEST(the_camera_s_maps_undo_what_it_did)
{
    aid_sky *sky = camera();
    aid_image bias = {0}, dark = {0}, flat = {0};
    aid_simulated_frame object = frame_of(sky, AID_RAW_OBJECT, 3);
    CHECK_OK(aid_sky_render_detector(sky, AID_RAW_BIAS, NULL, &bias, &err));
    CHECK_OK(aid_sky_render_detector(sky, AID_RAW_DARK, NULL, &dark, &err));
    CHECK_OK(aid_sky_render_detector(sky, AID_RAW_FLAT, NULL, &flat, &err));
    double level = mean_of(&object.image, WIDTH, WIDTH + OVERSCAN);
    double sum = 0.0, corner = 0.0, centre = 0.0;
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++) {
            double raw = (double)aid_image_row(&object.image, y)[x] - level;
            double f = (double)aid_image_row(&flat, y)[x];
            sum += (raw - (double)aid_image_row(&bias, y)[x] -
                    (double)aid_image_row(&dark, y)[x] * 120.0 / 1.5) /
                   f;
            corner += x < 32 && y < 32 ? f / 1024.0 : 0.0;
            centre += abs(x - WIDTH / 2) < 16 && abs(y - HEIGHT / 2) < 16 ? f / 961.0 : 0.0;
        }
    CHECK_NEAR(sum / ((double)WIDTH * HEIGHT), 400.0 * (1.0 + 0.04 * 0.5 / 6.0), 0.5);
    CHECK(corner < 0.92 * centre); /* vignetting */
    CHECK_NEAR(mean_of(&flat, 0, WIDTH), 1.0, 0.01);
    aid_image_done(&bias);
    aid_image_done(&dark);
    aid_image_done(&flat);
    aid_simulated_frame_done(&object);
    aid_sky_free(sky);
}

/* Dark frames collect rate x time/gain more than bias frames: .02 e-/s of a log-normal of sigma .3
 * (mean x 1.046) and one pixel in a thousand with 100 times that, 300 s, 1.5 e-/ADU. Hot pixels
 * scatter the mean: 123 of 400 ADU make .3 ADU of 4.6. */
TEST(dark_frames_collect_their_current)
{
    aid_sky *sky = camera();
    aid_simulated_frame bias = frame_of(sky, AID_RAW_BIAS, 0);
    aid_simulated_frame dark = frame_of(sky, AID_RAW_DARK, 0);
    double drift = mean_of(&dark.image, WIDTH, WIDTH + OVERSCAN) -
                   mean_of(&bias.image, WIDTH, WIDTH + OVERSCAN);
    double collected = mean_of(&dark.image, 0, WIDTH) - mean_of(&bias.image, 0, WIDTH) - drift;
    CHECK_NEAR(collected, 0.02 * (1.046 + 0.1) * 300.0 / 1.5, 0.3);
    aid_simulated_frame_done(&bias);
    aid_simulated_frame_done(&dark);
    aid_sky_free(sky);
}

TEST(raw_frames_differ_by_index_and_not_by_threads)
{
    aid_sky *sky = camera();
    aid_pool *pool = NULL;
    size_t bytes = sizeof(float) * (WIDTH + OVERSCAN) * HEIGHT;
    CHECK_OK(aid_pool_new(3, &pool, &err));
    aid_simulated_frame first = frame_of(sky, AID_RAW_OBJECT, 0), threaded = {0};
    aid_simulated_frame second = frame_of(sky, AID_RAW_OBJECT, 1);
    CHECK_OK(aid_sky_render_raw(sky, AID_RAW_OBJECT, 0, 0, pool, &threaded, &err));
    CHECK(!memcmp(first.image.data, threaded.image.data, bytes));
    CHECK(memcmp(first.image.data, second.image.data, bytes) != 0);
    CHECK_REFUSED(aid_sky_render_raw(sky, AID_RAW_BIAS, 0, -1, pool, &second, &err),
                  AID_ERR_INVALID, "-1");
    aid_simulated_frame_done(&first);
    aid_simulated_frame_done(&second);
    aid_simulated_frame_done(&threaded);
    aid_pool_free(pool);
    aid_sky_free(sky);
}

TEST_MAIN()
