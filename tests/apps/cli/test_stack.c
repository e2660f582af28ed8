/* `astrid stack`, as a user meets it. */
#include "tests/apps/cli/frames_scene.h"

#include <jansson.h>

int main(int argc, char **argv)
{
    aid_fits_decoder_main(argc, argv);
    return check_main(argc, argv);
}

static aid_fits_image read_file(const char *path)
{
    aid_fits_image file = {0};
    CHECK_OK(aid_fits_read(path, NULL, &file, &err));
    return file;
}

static double card(const aid_fits_image *file, const char *keyword)
{
    double value = NAN;
    if (!aid_header_number(&file->header, keyword, &value))
        check_fail(__FILE__, __LINE__, "no %s", keyword);
    return value;
}

static json_t *json_of(const char *text)
{
    json_error_t where;
    json_t *json = json_loads(text, 0, &where);
    if (!json)
        check_fail(__FILE__, __LINE__, "%d: %s", where.line, where.text);
    return json;
}

/* Frames of a night: dithered, turned, in changing seeing, sky and transparency, with cosmic rays.
 */
static frame_scene frame_of_night(int i)
{
    static const double turns[] = {0.0, 2.0, -1.5, 0.7, 3.1, -2.2, 1.1, -0.4};
    frame_scene scene = FRAME_SCENE_DEFAULTS;
    scene.turn_deg = turns[i % 8];
    scene.dx = i ? 5.3 * (i % 3) - 4.7 : 0.0;
    scene.dy = i ? 3.9 * (i % 4) - 6.1 : 0.0;
    scene.fwhm = 3.0 + 0.12 * (i % 4);
    scene.sky = 300.0 + 20.0 * (i % 3);
    scene.throughput = 1.0 - 0.06 * (i % 5);
    scene.hits = 6;
    scene.seed = 20 + (uint64_t)i;
    return scene;
}

static void write_night(int frames, double gain)
{
    for (int i = 0; i < frames; i++) {
        char name[32];
        frame_scene scene = frame_of_night(i);
        scene.gain = gain;
        snprintf(name, sizeof name, "n%d.fits", i);
        write_frame(name, &scene);
    }
}

/* With 1000 electrons to a count the four stars' fluxes are good to .0002 in a frame, and the flux
 * scale, from 60 stars, to that or better; of a star within 9 px interpolation keeps all but 1e-4.
 * The Gaussian window of fwhm 3.36 px leaves 1e-5 out. */
TEST(stars_keep_their_flux_within_a_thousandth_and_cosmic_rays_are_gone)
{
    enter_new_folder();
    write_night(6, 1000.0);
    frame_scene clean = frame_of_night(0);
    clean.hits = 0;
    clean.gain = 1e6;
    write_frame("clean.fits", &clean);
    static const char *const ways[] = {"weighted", "clipped", "median"};
    for (size_t way = 0; way < AID_COUNT_OF(ways); way++) {
        char words[200];
        snprintf(words, sizeof words,
                 "stack n0.fits n1.fits n2.fits n3.fits n4.fits n5.fits -o deep.fits --combine %s",
                 ways[way]);
        CHECK_EQUAL(astrid(words), 0);
        aid_fits_image deep = read_file("deep.fits");
        for (int i = 0; i < 4; i++) {
            true_star star = star_of_scene(i);
            double ratio = aperture_of(&deep.image, star.x, star.y, 11.0) / star.flux;
            /* A median of different seeings is no mean, and does not conserve flux so well. */
            CHECK_NEAR(ratio, 1.0, way == 2 ? 0.01 : 1e-3);
        }
        /* A hit of 2000 to 5000 in one of six frames would leave 300 and more: faint stars in
         * other seeing leave less than 60. */
        aid_fits_image truth = read_file("clean.fits");
        double worst = 0.0;
        for (int32_t y = 20; y < FRAME_SIDE - 20; y++)
            for (int32_t x = 20; x < FRAME_SIDE - 20; x++) {
                double expected = (double)aid_image_row(&truth.image, y)[x];
                double value = (double)aid_image_row(&deep.image, y)[x];
                if (expected < 400.0 && isfinite(value))
                    worst = AID_MAX(worst, fabs(value - expected));
            }
        CHECK(worst < 200.0);
        aid_fits_image_done(&truth);
        aid_fits_image_done(&deep);
    }
}

/* The rms of sums over 6 x 6 pixels of the difference of two stacks of the same sky. */
static double block_noise(const aid_image *a, const aid_image *b)
{
    enum { BLOCK = 6 };
    double square = 0.0, total = 0.0;
    int count = 0;
    for (int32_t y = 24; y + BLOCK < FRAME_SIDE - 24; y += BLOCK)
        for (int32_t x = 24; x + BLOCK < FRAME_SIDE - 24; x += BLOCK) {
            double sum = 0.0;
            for (int32_t j = y; j < y + BLOCK; j++)
                for (int32_t i = x; i < x + BLOCK; i++)
                    sum += (double)aid_image_row(a, j)[i] - (double)aid_image_row(b, j)[i];
            square += sum * sum;
            total += sum;
            count++;
        }
    return sqrt(square / count - total * total / count / count) / BLOCK;
}

TEST(noise_falls_as_the_root_of_the_number_and_the_header_knows_it)
{
    enter_new_folder();
    char words[2][300] = {"stack", "stack"};
    for (int i = 0; i < 16; i++) {
        char name[32];
        frame_scene scene = frame_of_night(i / 2);
        scene.fwhm = 3.0; /* or sharper stars would be left over in the difference */
        scene.sky = 300.0;
        scene.throughput = 1.0;
        scene.seed = 100 + (uint64_t)i;
        snprintf(name, sizeof name, "f%d.fits", i);
        write_frame(name, &scene);
        strcat(strcat(words[i % 2], " "), name);
    }
    CHECK_EQUAL(astrid(strcat(words[0], " -o a.fits")), 0);
    CHECK_EQUAL(astrid(strcat(words[1], " -o b.fits --reference f0.fits --sky subtract")), 0);
    aid_fits_image a = read_file("a.fits"), b = read_file("b.fits");
    /* 1225 blocks: their rms is good to 1/sqrt(2 x 1225) = 2 %. Sky noise is 12.25 a frame,
     * sqrt(2/8) of that in the difference; sums of 36 interpolated pixels have 2 % less (the
     * kernel's correlation reaches beyond their border), stars' photons some per cent more. */
    double expected = sqrt(300.0 / 2.0) * sqrt(2.0 / 8.0);
    CHECK_NEAR(block_noise(&a.image, &b.image) / expected, 1.0, 0.07);
    CHECK_EQUAL(card(&a, "NCOMBINE"), 8);
    CHECK_NEAR(card(&a, "GAIN"), 16.0, 0.5); /* weights and scales to a per cent */
    CHECK_NEAR(card(&a, "EFFGAIN"), card(&a, "GAIN"), 1e-12);
    CHECK_NEAR(card(&a, "EGAIN"), card(&a, "GAIN"), 1e-12); /* not that of one frame */
    CHECK_EQUAL(card(&a, "TEXPTIME"), 480);
    CHECK_EQUAL(card(&a, "EXPTIME"), 60);
    CHECK_NEAR(card(&a, "SKYLEVEL"), 300.0, 2.0);
    CHECK_EQUAL(card(&b, "SKYLEVEL"), 0);
    CHECK_NEAR(card(&a, "SATURATE"), 60000.0, 3000.0);
    /* Dates of 60 s exposures a minute apart, seeds 100 102 .. 114 modulo 60: the mean is minute
     * 47, and DATE-OBS, which is that of one frame, is gone. */
    CHECK_NEAR(card(&a, "MJD-AVG"), 60370.0 + (60.0 + 47.0 + 0.5) / 1440.0, 0.2 / 1440.0);
    CHECK_NEAR(card(&a, "MJD-OBS") + 30.0 / 86400.0, card(&a, "MJD-AVG"), 1e-9);
    CHECK(!aid_header_find(&a.header, "DATE-OBS"));
    CHECK_TEXT(aid_header_text(&a.header, "IMCMB002"), "f2.fits");
    aid_fits_image_done(&a);
    aid_fits_image_done(&b);
}

TEST(frames_that_do_not_belong_are_left_out_each_with_its_reason)
{
    enter_new_folder();
    write_night(4, 2.0);
    frame_scene blurred = frame_of_night(1), cloudy = frame_of_night(2), other = frame_of_night(3);
    blurred.fwhm = 6.0;
    cloudy.throughput = 0.12;
    other.throughput = 0.0;
    write_frame("blurred.fits", &blurred);
    write_frame("cloudy.fits", &cloudy);
    write_frame("empty.fits", &other);
    CHECK_EQUAL(astrid("stack n0.fits blurred.fits n1.fits cloudy.fits n2.fits empty.fits "
                       "missing.fits n3.fits -o deep.fits --json"),
                0);
    json_t *report = json_of(out_text);
    static const char *const reasons[] = {NULL, "seeing of",  NULL,           "clouds",
                                          NULL, "no overlap", "missing.fits", NULL};
    for (size_t i = 0; i < AID_COUNT_OF(reasons); i++) {
        const json_t *image = json_array_get(json_object_get(report, "images"), i);
        const char *reason = json_string_value(json_object_get(image, "reason"));
        double weight = json_number_value(json_object_get(image, "weight"));
        if (reasons[i] ? !reason || !strstr(reason, reasons[i]) || weight > 0.0
                       : reason || !(weight > 0.1))
            check_fail(__FILE__, __LINE__, "image %zu: '%s', weight %g", i, reason, weight);
    }
    CHECK_EQUAL(json_number_value(json_object_get(report, "used")), 4);
    json_decref(report);
}

TEST(a_stack_serves_as_the_reference_of_a_difference)
{
    enter_new_folder();
    write_night(6, 2.0);
    frame_scene science = frame_of_night(1);
    science.hits = 0;
    science.seed = 91;
    write_frame("sci.fits", &science);
    CHECK_EQUAL(astrid("stack n0.fits n2.fits n3.fits n4.fits n5.fits -o deep.fits"), 0);
    CHECK_EQUAL(astrid("run sci.fits deep.fits --json"), 0);
    json_t *summary = json_of(out_text);
    const json_t *reference = json_object_get(json_object_get(summary, "quality"), "reference");
    CHECK_TEXT(json_string_value(json_object_get(reference, "gain_origin")), "header EFFGAIN");
    const json_t *noise = json_object_get(summary, "noise_calibration");
    double std = json_number_value(json_object_get(noise, "score_std"));
    if (!json_is_object(noise))
        check_fail(__FILE__, __LINE__, "no noise calibration in the summary");
    CHECK_NEAR(std, 1.0, 0.1); /* 50,000 correlated pixels, some 3000 independent: 1.3 % */
    CHECK_EQUAL(
        json_integer_value(json_object_get(json_object_get(summary, "counts"), "unflagged")), 0);
    json_decref(summary);
}

TEST(one_and_two_threads_and_little_memory_write_the_same_bytes)
{
    enter_new_folder();
    write_night(4, 2.0);
    CHECK_EQUAL(astrid("stack n0.fits n1.fits n2.fits n3.fits -o one.fits --threads 1"), 0);
    CHECK_EQUAL(astrid("stack n0.fits n1.fits n2.fits n3.fits -o two.fits --threads 2"), 0);
    CHECK_EQUAL(astrid("stack n0.fits n1.fits n2.fits n3.fits -o few.fits --memory 64"), 0);
    same_file("one.fits", "two.fits");
    same_file("one.fits", "few.fits");
}

TEST(one_frame_is_its_own_stack_and_none_is_refused)
{
    enter_new_folder();
    write_night(1, 2.0);
    CHECK_EQUAL(astrid("stack n0.fits -o deep.fits"), 0);
    aid_fits_image deep = read_file("deep.fits"), frame = read_file("n0.fits");
    /* The sky is taken off and its median put back: it is flat to a count. */
    CHECK_NEAR(aid_image_row(&deep.image, 81)[80], aid_image_row(&frame.image, 81)[80], 3.0);
    CHECK_EQUAL(card(&deep, "NCOMBINE"), 1);
    aid_fits_image_done(&deep);
    aid_fits_image_done(&frame);
    CHECK_EXIT("stack n0.fits", 2, "--output is missing");
    CHECK_EXIT("stack n0.fits -o n0.fits", 2, "n0.fits is one of the inputs");
    CHECK_EXIT("stack", 2, "IMG is missing");
    CHECK_EXIT("stack missing.fits -o no.fits", 1, "missing.fits");
    CHECK(!exists("no.fits"));
}
