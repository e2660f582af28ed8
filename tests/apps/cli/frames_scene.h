/* Frames of one small sky, turned and shifted: for align and stack. */
#ifndef AID_TESTS_APPS_CLI_FRAMES_SCENE_H
#define AID_TESTS_APPS_CLI_FRAMES_SCENE_H

#include "tests/apps/cli/program.h"

enum { FRAME_SIDE = 260, FRAME_STARS = 90 };

typedef struct frame_scene {
    double turn_deg, dx, dy; /* pixel p of the frame = c + R(turn) (g - c) + d, g the grid's */
    double fwhm, sky, throughput;
    double exposure_s, gain;
    bool with_wcs;
    double wcs_error_px; /* in x */
    int hits;            /* cosmic rays */
    uint64_t seed;
} frame_scene;
#define FRAME_SCENE_DEFAULTS                                                                       \
    {                                                                                              \
        .fwhm = 3.0, .sky = 300.0, .throughput = 1.0, .exposure_s = 60.0, .gain = 2.0, .seed = 1   \
    }

/* Where a pixel of the grid lies on the frame. */
static inline void on_frame(const frame_scene *scene, double x, double y, double *u, double *v)
{
    double c = 0.5 * (FRAME_SIDE - 1), t = scene->turn_deg * 3.14159265358979323846 / 180.0;
    *u = c + cos(t) * (x - c) - sin(t) * (y - c) + scene->dx;
    *v = c + sin(t) * (x - c) + cos(t) * (y - c) + scene->dy;
}

typedef struct true_star {
    double x, y, flux; /* on the grid */
} true_star;

/* The first few are bright, alone, and well inside. */
static inline true_star star_of_scene(int i)
{
    uint64_t before = generator;
    generator = 77;
    true_star star = {0};
    for (int k = 0; k <= i; k++) {
        star.x = (FRAME_SIDE + 60) * uniform() - 30.0;
        star.y = (FRAME_SIDE + 60) * uniform() - 30.0;
        star.flux = 1200.0 * pow(0.02 + uniform(), -1.2);
    }
    if (i < 4)
        star = (true_star){80.3 + 100.0 * (i % 2), 80.8 + 100.0 * (double)(i / 2), 60000.0};
    for (int k = 0; k < 4 && i >= 4; k++) {
        double x = 80.3 + 100.0 * (k % 2), y = 80.8 + 100.0 * (double)(k / 2);
        if (hypot(star.x - x, star.y - y) < 22.0)
            star.flux = 0.0;
    }
    generator = before;
    return star;
}

static inline void scene_number(aid_header *cards, const char *keyword, double value)
{
    char text[40];
    snprintf(text, sizeof text, "%.15g", value);
    CHECK_OK(aid_header_append(cards, keyword, AID_CARD_NUMBER, text, "", &err));
}

static inline void scene_wcs(const frame_scene *scene, aid_header *cards)
{
    double t = scene->turn_deg * 3.14159265358979323846 / 180.0, s = 0.5 / 3600.0;
    CHECK_OK(aid_header_append(cards, "CTYPE1", AID_CARD_STRING, "RA---TAN", "", &err));
    CHECK_OK(aid_header_append(cards, "CTYPE2", AID_CARD_STRING, "DEC--TAN", "", &err));
    scene_number(cards, "CRVAL1", 150.0);
    scene_number(cards, "CRVAL2", 2.0);
    scene_number(cards, "CRPIX1", 0.5 * (FRAME_SIDE + 1) + scene->dx + scene->wcs_error_px);
    scene_number(cards, "CRPIX2", 0.5 * (FRAME_SIDE + 1) + scene->dy);
    scene_number(cards, "CD1_1", -s * cos(t));
    scene_number(cards, "CD1_2", -s * sin(t));
    scene_number(cards, "CD2_1", -s * sin(t));
    scene_number(cards, "CD2_2", s * cos(t));
}

static inline void write_frame(const char *path, const frame_scene *scene)
{
    AID_CLEANUP(aid_image_done)
    aid_image image = {0};
    AID_CLEANUP(aid_header_done)
    aid_header cards = {0};
    CHECK_OK(aid_image_init(FRAME_SIDE, FRAME_SIDE, &image, &err));
    for (int i = 0; i < FRAME_STARS; i++) {
        true_star star = star_of_scene(i);
        double u, v;
        on_frame(scene, star.x, star.y, &u, &v);
        if (star.flux > 0.0)
            add_star(&image, u, v, star.flux * scene->throughput, scene->fwhm);
    }
    generator = scene->seed;
    for (int64_t i = 0; i < (int64_t)FRAME_SIDE * FRAME_SIDE; i++) {
        double counts = (double)image.data[i] + scene->sky;
        image.data[i] = (float)(counts + sqrt(counts / scene->gain) * normal());
    }
    for (int i = 0; i < scene->hits; i++) {
        int32_t x = (int32_t)(uniform() * (FRAME_SIDE - 6)), y = (int32_t)(uniform() * FRAME_SIDE);
        for (int32_t k = 0; k < 4; k++)
            aid_image_row(&image, y)[x + k] += (float)(2000.0 + 3000.0 * uniform());
    }
    scene_number(&cards, "GAIN", scene->gain);
    scene_number(&cards, "EGAIN", scene->gain);
    scene_number(&cards, "EXPTIME", scene->exposure_s);
    scene_number(&cards, "SATURATE", 60000.0);
    char date[40];
    snprintf(date, sizeof date, "2024-03-01T01:%02d:00", (int)(scene->seed % 60));
    CHECK_OK(aid_header_append(&cards, "DATE-OBS", AID_CARD_STRING, date, "", &err));
    CHECK_OK(aid_header_append(&cards, "OBJECT", AID_CARD_STRING, "field", "", &err));
    CHECK_OK(aid_header_append(&cards, "BIASSEC", AID_CARD_STRING, "[1:4,1:260]", "", &err));
    if (scene->with_wcs)
        scene_wcs(scene, &cards);
    aid_fits_writer *writer;
    CHECK_OK(aid_fits_create(path, &writer, &err));
    CHECK_OK(aid_fits_put_image(writer, NULL, &image, &cards, &err));
    CHECK_OK(aid_fits_commit(writer, &err));
}

/* Sum within `radius` of a position less the mean of the ring 12 to 18 px away. */
static inline double aperture_of(const aid_image *image, double x, double y, double radius)
{
    double sum = 0.0, sky = 0.0;
    int inside = 0, around = 0;
    for (int32_t j = (int32_t)y - 20; j <= (int32_t)y + 20; j++)
        for (int32_t i = (int32_t)x - 20; i <= (int32_t)x + 20; i++) {
            double away = hypot(i - x, j - y), value = (double)aid_image_row(image, j)[i];
            if (away < radius) {
                sum += value;
                inside++;
            } else if (away > 12.0 && away < 18.0) {
                sky += value;
                around++;
            }
        }
    return sum - sky / around * inside;
}

/* Gaussian-weighted centroid with a window as wide as the star. */
static inline void centroid_of(const aid_image *image, double sky, double sigma, double *x,
                               double *y)
{
    for (int round = 0; round < 30; round++) {
        double sum = 0.0, mx = 0.0, my = 0.0;
        for (int32_t j = (int32_t)*y - 7; j <= (int32_t)*y + 7; j++)
            for (int32_t i = (int32_t)*x - 7; i <= (int32_t)*x + 7; i++) {
                double dx = i - *x, dy = j - *y;
                double w = exp(-0.5 * (dx * dx + dy * dy) / (sigma * sigma));
                double light = w * ((double)aid_image_row(image, j)[i] - sky);
                sum += light;
                mx += light * dx;
                my += light * dy;
            }
        *x += 2.0 * mx / sum;
        *y += 2.0 * my / sum;
    }
}

#endif
