#include "core/base/memory.h"
#include "core/imaging/centroid.h"
#include "domain/preprocessing/align.h"

#include <math.h>
#include <stdlib.h>

enum { PLACED_ANEW = 3000 /* of the brightest stars */ };
static const double own_noise_counts = 0.3; /* variance in the star's peak / that of the sky */
static const double pi = 3.14159265358979323846;
static const double sigma_of_fwhm = 2.354820045030949;
/* What windowed positions of noiseless stars that are well sampled are off at most. */
static const double error_floor_px = 0.001;

static bool is_sound(const aid_star *star)
{
    return isfinite(star->x) && isfinite(star->y) && isfinite(star->flux) && star->flux > 0.0 &&
           !(star->flags & (AID_STAR_TRUNCATED | AID_STAR_SHARP));
}

/* The variance of a centroid under a Gaussian window as wide as the star, of width s: of sky noise
 * n per pixel 8 pi s^4 n^2/F^2, which is the least that is possible (King 1983, PASP 95, 163), and
 * of the star's own photons 16/9 s^2/(g F), for the window keeps the outer ones out. What was
 * measured in the aperture is the other word on it, and the worse one counts. */
static double noise_error(const aid_exposure *exposure, const aid_star *star, double size)
{
    double snr = star->flux_err > 0.0 ? star->flux / star->flux_err : 100.0;
    double noise = aid_mesh_at(&exposure->noise, star->x, star->y);
    double sky = 8.0 * pi * noise * noise * size * size / (star->flux * star->flux);
    double photons = 16.0 / 9.0 / (exposure->gain * star->flux); /* gain INFINITY: unknown */
    double error = size * sqrt(sky + photons), measured = size / AID_MAX(snr, 1.0);
    return error > measured ? error : measured;
}

/* More where a neighbour, a filled pixel or the object's own shape pulls at it. */
static double position_error(const aid_exposure *exposure, const aid_star *star, double fwhm_px)
{
    double size = fwhm_px / sigma_of_fwhm;
    if (star->flags & AID_STAR_EXTENDED && isfinite(star->a))
        size = AID_MAX(size, star->a);
    double noise = noise_error(exposure, star, size), pull = 0.0;
    if (star->flags & (AID_STAR_BLENDED | AID_STAR_MASKED))
        pull = 0.1 * size;
    if (star->flags & AID_STAR_NO_WINDOW)
        pull = 0.2 * size;
    if (star->flags & AID_STAR_SATURATED)
        pull = 0.5 * size;
    return sqrt(noise * noise + pull * pull + error_floor_px * error_floor_px);
}

/* A neighbour at distance d with the fraction f of the star's flux pulls a position that is
 * measured in a Gaussian window as wide as the star by f d exp(-d^2/4 sigma^2). The pull is much
 * the same in both images; half of it counts as error. */
static double pull_of_neighbours(const aid_stars *stars, const aid_point_grid *grid, int star,
                                 double size)
{
    enum { NEAR = 8 };
    const aid_star *self = &stars->items[star];
    int near[NEAR];
    int found = aid_point_grid_within(grid, self->x, self->y, 6.0 * size, near, NEAR);
    double pull = 0.0;
    for (int k = 0; k < found; k++) {
        const aid_star *other = &stars->items[near[k]];
        double away = hypot(other->x - self->x, other->y - self->y);
        if (near[k] != star && other->flux > 0.0)
            pull += other->flux / self->flux * away * exp(-0.25 * away * away / (size * size));
    }
    return 0.5 * AID_MIN(pull, size);
}

/* A bright star's own photons are most of its noise: other weights than those of its detection then
 * tell its place better by up to a quarter. */
static void place(const aid_exposure *exposure, double size, const aid_star *star,
                  aid_anchor *anchor)
{
    double noise = aid_mesh_at(&exposure->noise, star->x, star->y), error;
    double peak = star->flux / (2.0 * pi * size * size);
    aid_centroid_options options = {
        .sigma_px = size, .variance = noise * noise, .gain = exposure->gain, .flux = star->flux};
    const unsigned difficult =
        AID_STAR_SATURATED | AID_STAR_MASKED | AID_STAR_EXTENDED | AID_STAR_NO_WINDOW;
    if (star->flags & difficult || !(peak / exposure->gain > own_noise_counts * noise * noise) ||
        !aid_centroid(&exposure->image, &options, &anchor->x, &anchor->y, &error))
        return;
    double before = size * sqrt(16.0 / 9.0 / (exposure->gain * star->flux));
    double gained = AID_MIN(error / before, 1.0);
    anchor->sigma_px *= AID_MAX(gained, 0.7);
}

static void collect(const aid_exposure *exposure, const aid_point_grid *grid, unsigned unwanted,
                    aid_anchors *anchors)
{
    const aid_stars *stars = &exposure->stars;
    double fwhm_px = isfinite(stars->fwhm_px) && stars->fwhm_px > 0.0 ? stars->fwhm_px : 3.0;
    anchors->count = 0;
    for (int i = 0; i < stars->count; i++) {
        const aid_star *star = &stars->items[i];
        if (!is_sound(star) || star->flags & unwanted)
            continue;
        double pull = pull_of_neighbours(stars, grid, i, fwhm_px / sigma_of_fwhm);
        double error = hypot(position_error(exposure, star, fwhm_px), pull);
        aid_anchor *anchor = &anchors->items[anchors->count++];
        *anchor = (aid_anchor){star->x, star->y, star->flux, error};
        if (anchors->count <= PLACED_ANEW)
            place(exposure, fwhm_px / sigma_of_fwhm, star, anchor);
    }
}

typedef struct star_positions {
    double *x; /* [2][count] */
    aid_point_grid grid;
} star_positions;

static void positions_done(star_positions *positions)
{
    aid_point_grid_done(&positions->grid);
    free(positions->x);
}

static aid_status positions_init(const aid_stars *stars, star_positions *positions, aid_error *err)
{
    size_t count = (size_t)stars->count;
    AID_TRY(aid_new_array(2 * count + 1, sizeof(double), "star positions", &positions->x, err));
    double *y = positions->x + count;
    for (int i = 0; i < stars->count; i++) {
        bool finite = isfinite(stars->items[i].x) && isfinite(stars->items[i].y);
        positions->x[i] = finite ? stars->items[i].x : 0.0;
        y[i] = finite ? stars->items[i].y : 0.0;
    }
    return aid_point_grid_init(positions->x, y, stars->count, &positions->grid, err);
}

aid_status aid_anchors_init(const aid_exposure *exposure, aid_anchors *ret_anchors, aid_error *err)
{
    aid_anchors anchors = {.width = exposure->image.width, .height = exposure->image.height};
    AID_CLEANUP(positions_done)
    star_positions positions = {0};
    AID_TRY(positions_init(&exposure->stars, &positions, err));
    AID_TRY(aid_new_array((size_t)exposure->stars.count + 1, sizeof *anchors.items, "star list",
                          &anchors.items, err));
    collect(exposure, &positions.grid, AID_STAR_SATURATED, &anchors);
    if (anchors.count < 3)
        collect(exposure, &positions.grid, 0, &anchors);
    *ret_anchors = anchors;
    return AID_OK;
}

void aid_anchors_done(aid_anchors *anchors)
{
    free(anchors->items);
    *anchors = (aid_anchors){0};
}
