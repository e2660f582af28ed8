/* Simulated fields for the tests of this folder. Included by each test program. */
#ifndef AID_TESTS_DOMAIN_EXTRACTION_FIELD_H
#define AID_TESTS_DOMAIN_EXTRACTION_FIELD_H

#include "core/base/memory.h"
#include "core/base/random.h"
#include "domain/extraction/extraction.h"
#include "tests/check.h"

static aid_error err;

/* Normal noise around a level. */
static inline aid_image noise_image(int32_t width, int32_t height, double level, double sigma,
                                    uint64_t seed)
{
    aid_image image = {0};
    CHECK_OK(aid_image_init(width, height, &image, &err));
    aid_random random = aid_random_seeded(seed, 1);
    for (int64_t i = 0; i < (int64_t)width * height; i++)
        image.data[i] = (float)(level + sigma * aid_random_normal(&random));
    return image;
}

/* An elliptical Gaussian of the given flux, its major axis `theta_deg` from +x. */
static inline void add_ellipse(aid_image *image, double x, double y, double flux,
                               const double shape[3])
{
    double a = shape[0], b = shape[1], angle = shape[2] * 0.017453292519943295;
    int reach = (int)ceil(9.0 * a);
    for (int j = (int)y - reach; j <= (int)y + reach; j++)
        for (int i = (int)x - reach; i <= (int)x + reach; i++) {
            if (i < 0 || j < 0 || i >= image->width || j >= image->height)
                continue;
            double dx = i - x, dy = j - y;
            double u = (dx * cos(angle) + dy * sin(angle)) / a;
            double v = (-dx * sin(angle) + dy * cos(angle)) / b;
            aid_image_row(image, j)[i] +=
                (float)(flux * exp(-0.5 * (u * u + v * v)) / (6.283185307179586 * a * b));
        }
}

static inline void add_star(aid_image *image, double x, double y, double flux, double fwhm)
{
    double sigma = fwhm / 2.354820045030949;
    add_ellipse(image, x, y, flux, (double[3]){sigma, sigma, 0.0});
}

/* Extracts from a copy; `image` stays. */
static inline aid_status extract_from(const aid_image *image, const aid_mask *mask,
                                      const aid_extraction_options *options, int threads,
                                      aid_sources *ret_sources)
{
    AID_CLEANUP(aid_image_done)
    aid_image copy = {0};
    CHECK_OK(aid_image_copy(image, &copy, &err));
    aid_pool *pool = NULL;
    CHECK_OK(aid_pool_new(threads, &pool, &err));
    aid_extraction_input input = {.name = "field.fits", .image = &copy, .mask = mask};
    aid_status status = aid_extract(&input, options, pool, NULL, ret_sources, &err);
    aid_pool_free(pool);
    return status;
}

/* The nearest source within 3 px (windowed position), or NULL. */
static inline const aid_source *source_at(const aid_sources *sources, double x, double y)
{
    const aid_source *best = NULL;
    double least = 3.0;
    for (int64_t i = 0; i < sources->count; i++) {
        double distance = hypot(sources->items[i].x_win - x, sources->items[i].y_win - y);
        if (distance < least) {
            least = distance;
            best = &sources->items[i];
        }
    }
    return best;
}

#endif
