/* Scenes made by hand: white noise of known sigma with Gaussian sources of known place and flux,
 * and the flux map that the definition gives, D (x) P / sum P^2. */
#ifndef AID_TESTS_DOMAIN_DETECTION_SCENE_H
#define AID_TESTS_DOMAIN_DETECTION_SCENE_H

#include "core/base/random.h"
#include "domain/detection/detection.h"
#include "tests/check.h"

static aid_error err;

enum { WIDTH = 220, HEIGHT = 180, HALF = 8, SIDE = 2 * HALF + 1 };
static const double psf_sigma = 1.4, noise = 2.0;

typedef struct scene {
    aid_exposure science, reference;
    aid_difference difference;
} scene;

static inline double gaussian(double dx, double dy)
{
    return exp(-0.5 * (dx * dx + dy * dy) / (psf_sigma * psf_sigma)) /
           (2.0 * 3.14159265358979323846 * psf_sigma * psf_sigma);
}

static inline double sum_of_squares(void)
{
    double sum = 0.0;
    for (int j = -HALF; j <= HALF; j++)
        for (int i = -HALF; i <= HALF; i++)
            sum += gaussian(i, j) * gaussian(i, j);
    return sum;
}

static inline void make_exposure(aid_exposure *exposure, const char *name, int width, int height)
{
    *exposure = (aid_exposure){.gain = INFINITY, .zero_point = NAN};
    snprintf(exposure->name, sizeof exposure->name, "%s", name);
    CHECK_OK(aid_image_init(width, height, &exposure->image, &err));
    CHECK_OK(aid_mask_init(width, height, &exposure->mask, &err));
}

static inline scene make_scene_of(uint64_t seed, int width, int height)
{
    scene made = {0};
    make_exposure(&made.science, "science", width, height);
    make_exposure(&made.reference, "reference", width, height);
    aid_difference *d = &made.difference;
    CHECK_OK(aid_image_init(width, height, &d->difference, &err));
    CHECK_OK(aid_image_init(width, height, &d->flux, &err));
    CHECK_OK(aid_image_init(width, height, &d->flux_err, &err));
    CHECK_OK(aid_image_init(width, height, &d->score, &err));
    CHECK_OK(aid_image_init(width, height, &d->motion, &err));
    CHECK_OK(aid_mask_init(width, height, &d->mask, &err));
    CHECK_OK(aid_image_init(SIDE, SIDE, &d->psf, &err));
    CHECK_OK(aid_image_init(SIDE, SIDE, &d->psf_science_pixel, &err));
    CHECK_OK(aid_image_init(SIDE, SIDE, &d->psf_reference_pixel, &err));
    for (int j = -HALF; j <= HALF; j++)
        for (int i = -HALF; i <= HALF; i++)
            aid_image_row(&d->psf, j + HALF)[i + HALF] = (float)gaussian(i, j);
    aid_image_row(&d->psf_science_pixel, HALF)[HALF] = 1.0F;
    aid_image_row(&d->psf_reference_pixel, HALF)[HALF] = 1.0F;
    d->noise_difference = noise;
    d->fwhm_px = 2.355 * psf_sigma;
    d->match.ratio = 1.0;
    d->psf_error = 0.01;
    aid_random random = aid_random_seeded(seed, 0);
    for (int i = 0; i < width * height; i++)
        d->difference.data[i] = (float)(noise * aid_random_normal(&random));
    return made;
}

static inline scene make_scene(uint64_t seed)
{
    return make_scene_of(seed, WIDTH, HEIGHT);
}

static inline void add_source(scene *to, double x, double y, double flux)
{
    int width = to->difference.difference.width, height = to->difference.difference.height;
    for (int j = 0; j < height; j++)
        for (int i = 0; i < width; i++)
            if (hypot(i - x, j - y) < HALF)
                aid_image_row(&to->difference.difference, j)[i] +=
                    (float)(flux * gaussian(i - x, j - y));
}

static inline void complete(scene *to)
{
    aid_difference *d = &to->difference;
    double squares = sum_of_squares(), kernel[SIDE][SIDE];
    for (int j = -HALF; j <= HALF; j++)
        for (int i = -HALF; i <= HALF; i++)
            kernel[j + HALF][i + HALF] = gaussian(i, j);
    int width = d->difference.width, height = d->difference.height;
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            double sum = 0.0;
            for (int j = AID_MAX(y - HALF, 0); j <= AID_MIN(y + HALF, height - 1); j++)
                for (int i = AID_MAX(x - HALF, 0); i <= AID_MIN(x + HALF, width - 1); i++)
                    sum += (double)aid_image_row(&d->difference, j)[i] *
                           kernel[j - y + HALF][i - x + HALF];
            bool masked = aid_mask_row(&d->mask, y)[x] != 0;
            aid_image_row(&d->flux, y)[x] = (float)(sum / squares);
            aid_image_row(&d->flux_err, y)[x] = (float)(noise / sqrt(squares));
            aid_image_row(&d->score, y)[x] =
                masked ? NAN : (float)(sum / squares / (noise / sqrt(squares)));
        }
}

static inline double flux_of_snr(double snr)
{
    return snr * noise / sqrt(sum_of_squares());
}

static inline void scene_done(scene *made)
{
    aid_exposure *exposures[] = {&made->science, &made->reference};
    for (int i = 0; i < 2; i++) {
        aid_image_done(&exposures[i]->image);
        aid_mask_done(&exposures[i]->mask);
        aid_stars_done(&exposures[i]->stars);
        aid_wcs_free(exposures[i]->wcs);
    }
    aid_difference_done(&made->difference);
}

static inline aid_candidates find(const scene *in, double threshold, aid_pool *pool)
{
    aid_detection_options options = AID_DETECTION_DEFAULTS;
    options.threshold = threshold;
    aid_candidates found;
    CHECK_OK(aid_candidates_find(&in->science, &in->reference, &in->difference, &options, pool,
                                 NULL, &found, &err));
    return found;
}

static inline const aid_candidate *at(const aid_candidates *found, double x, double y)
{
    for (int i = 0; i < found->count; i++)
        if (hypot(found->items[i].x - 1.0 - x, found->items[i].y - 1.0 - y) < 2.0)
            return &found->items[i];
    return NULL;
}

#endif
