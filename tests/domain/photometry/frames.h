/* Frames for the tests of photometry: a sky with noise, and Gaussian stars integrated over pixels.
 */
#ifndef AID_TESTS_DOMAIN_PHOTOMETRY_FRAMES_H
#define AID_TESTS_DOMAIN_PHOTOMETRY_FRAMES_H

#include "core/base/random.h"
#include "domain/photometry/photometry.h"
#include "tests/check.h"

static aid_error err;

typedef struct test_frame {
    aid_image image, stamp;
    aid_mask mask;
    aid_mesh noise;
    aid_photometry_frame frame; /* of these; no PSF before test_frame_psf */
} test_frame;

/* An image of zeros with an empty mask and a noise map of `sigma`. */
static inline void test_frame_init(test_frame *f, int width, int height, double sigma)
{
    *f = (test_frame){0};
    CHECK_OK(aid_image_init(width, height, &f->image, &err));
    CHECK_OK(aid_mask_init(width, height, &f->mask, &err));
    CHECK_OK(aid_mesh_init(width, height, 2, 2, &f->noise, &err));
    for (int i = 0; i < 4; i++)
        f->noise.values[i] = (float)sigma;
    f->frame = (aid_photometry_frame){.image = &f->image, .mask = &f->mask, .noise = &f->noise};
}

static inline void test_frame_done(test_frame *f)
{
    aid_image_done(&f->image);
    aid_image_done(&f->stamp);
    aid_mask_done(&f->mask);
    aid_mesh_done(&f->noise);
}

/* Adds a Gaussian of that width, the integral over each pixel. */
static inline void add_gaussian(aid_image *image, double x, double y, double flux, double sigma)
{
    int reach = (int)(8.0 * sigma) + 2;
    double s = sigma * sqrt(2.0);
    for (int j = (int)y - reach; j <= (int)y + reach; j++)
        for (int i = (int)x - reach; i <= (int)x + reach; i++) {
            if (i < 0 || j < 0 || i >= image->width || j >= image->height)
                continue;
            double gx = 0.5 * (erf((i + 0.5 - x) / s) - erf((i - 0.5 - x) / s));
            double gy = 0.5 * (erf((j + 0.5 - y) / s) - erf((j - 0.5 - y) / s));
            aid_image_row(image, j)[i] += (float)(flux * gx * gy);
        }
}

/* The frame's PSF: a Gaussian of that width. */
static inline void test_frame_psf(test_frame *f, double sigma)
{
    int radius = (int)(7.0 * sigma) + 2;
    CHECK_OK(aid_image_init(2 * radius + 1, 2 * radius + 1, &f->stamp, &err));
    add_gaussian(&f->stamp, radius, radius, 1.0, sigma);
    f->frame.psf_stamp = &f->stamp;
}

/* Sky noise, and with a gain also that of the photons (Gaussian). */
static inline void add_noise(test_frame *f, double sigma, double gain, uint64_t seed)
{
    aid_random random = aid_random_seeded(seed, 0);
    for (int j = 0; j < f->image.height; j++)
        for (int i = 0; i < f->image.width; i++) {
            float *pixel = aid_image_row(&f->image, j) + i;
            double photons = gain > 0.0 ? fmax((double)*pixel, 0.0) / gain : 0.0;
            *pixel += (float)(aid_random_normal(&random) * sqrt(sigma * sigma + photons));
        }
    f->frame.gain = gain;
}

#endif
