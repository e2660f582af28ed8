/* Curve of growth: which part of a star's light lies within which radius. */
#include "core/base/memory.h"
#include "core/imaging/point_grid.h"
#include "core/imaging/stats.h"
#include "domain/photometry/internal.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_STARS = 60, STARS_PER_TASK = 4 };
static const double least_snr = 50.0;

typedef struct growth_job {
    const aid_photometry_frame *frame;
    const aid_stars *stars;
    double radius_px[AID_GROWTH_RADII];
    int chosen[MOST_STARS], count;
    double fraction[MOST_STARS][AID_GROWTH_RADII];
} growth_job;

/* From half a FWHM to the radius that stands for all, in equal ratios. */
static void set_radii(double fwhm, double *radius_px)
{
    double first = AID_MAX(0.5 * fwhm, 0.7), last = AID_MAX(4.0 * fwhm, 6.0);
    for (int i = 0; i < AID_GROWTH_RADII; i++)
        radius_px[i] = first * pow(last / first, i / (AID_GROWTH_RADII - 1.0));
}

static double seeing_of(const aid_photometry_frame *frame, const aid_stars *stars)
{
    double fwhm = aid_photometry_psf_fwhm(frame, 0.0, 0.0);
    return fwhm > 0.0 ? fwhm : stars ? stars->fwhm_px : NAN;
}

/* No star as bright as a fiftieth of it may lie so near that its light falls into the largest
 * aperture or its ring. */
static bool is_alone(const aid_stars *stars, const aid_point_grid *grid, int star, double reach)
{
    enum { NEAR = 64 };
    int points[NEAR];
    const aid_star *own = &stars->items[star];
    int found = aid_point_grid_within(grid, own->x, own->y, reach, points, NEAR);
    if (found >= NEAR)
        return false;
    for (int k = 0; k < found; k++)
        if (points[k] != star && stars->items[points[k]].flux > 0.02 * own->flux)
            return false;
    return true;
}

static bool is_inside(const aid_image *image, const aid_star *star, double reach)
{
    return star->x >= reach && star->y >= reach && star->x < image->width - 1.0 - reach &&
           star->y < image->height - 1.0 - reach;
}

static aid_status choose_stars(growth_job *job, aid_error *err)
{
    const aid_stars *stars = job->stars;
    double last = job->radius_px[AID_GROWTH_RADII - 1];
    if (!stars || stars->count == 0)
        return AID_OK;
    AID_CLEANUP(aid_point_grid_done)
    aid_point_grid grid = {0};
    AID_TRY(aid_point_grid_of_stars(stars, &grid, err));
    for (int i = 0; i < stars->count && job->count < MOST_STARS; i++) {
        const aid_star *star = &stars->items[i];
        if (star->flags == 0 && star->flux > least_snr * star->flux_err &&
            is_inside(job->frame->image, star, 1.5 * last) && is_alone(stars, &grid, i, 2.0 * last))
            job->chosen[job->count++] = i;
    }
    return AID_OK;
}

static void measure_star(growth_job *job, int k)
{
    const aid_star *star = &job->stars->items[job->chosen[k]];
    double *fraction = job->fraction[k], last = job->radius_px[AID_GROWTH_RADII - 1];
    aid_aperture aperture = AID_APERTURE_CIRCLE(last);
    aperture.background = AID_LOCAL_MEDIAN;
    aperture.inner_px = last;
    aperture.outer_px = 1.5 * last;
    aid_aperture_flux all = aid_aperture_at(job->frame, &aperture, star->x, star->y);
    bool usable = all.flux > 0.0 && all.missing == 0.0;
    for (int i = 0; i < AID_GROWTH_RADII; i++) {
        aid_aperture inside = AID_APERTURE_CIRCLE(job->radius_px[i]);
        aid_aperture_flux flux = aid_aperture_at(job->frame, &inside, star->x, star->y);
        fraction[i] = usable ? (flux.flux - all.background * flux.area_px) / all.flux : NAN;
    }
}

static aid_status measure_some(void *context, int64_t task, int worker, aid_error *err)
{
    (void)worker;
    (void)err;
    growth_job *job = context;
    int64_t begin, end;
    aid_band_range(job->count, STARS_PER_TASK, task, &begin, &end);
    for (int64_t k = begin; k < end; k++)
        measure_star(job, (int)k);
    return AID_OK;
}

/* The median of the stars, whose error is that of a mean times sqrt(pi/2). */
static void combine_stars(growth_job *job, aid_growth_curve *curve)
{
    double values[MOST_STARS];
    curve->count = AID_GROWTH_RADII;
    for (int i = 0; i < AID_GROWTH_RADII; i++) {
        for (int k = 0; k < job->count; k++)
            values[k] = job->fraction[k][i];
        aid_robust robust = aid_robust_in_place_f64(values, job->count);
        curve->stars = (int)robust.count;
        curve->fraction[i] = robust.median;
        curve->error[i] = robust.count > 1
                              ? robust.sigma * sqrt(0.5 * photometry_pi / (double)robust.count)
                              : 0.0;
    }
    curve->fraction[AID_GROWTH_RADII - 1] = 1.0;
    curve->error[AID_GROWTH_RADII - 1] = 0.0;
}

/* The model at the middle of the image, by the same apertures. */
static void take_psf(const aid_photometry_frame *frame, aid_growth_curve *curve)
{
    float values[PHOTOMETRY_MAX_SIDE * PHOTOMETRY_MAX_SIDE];
    photometry_stamp stamp = {.values = values};
    aid_photometry_cut_stamp(frame, floor(0.5 * frame->image->width),
                             floor(0.5 * frame->image->height), &stamp);
    aid_image pixels = {values, stamp.side, stamp.side, stamp.side};
    aid_photometry_frame model = {.image = &pixels};
    curve->count = AID_GROWTH_RADII;
    for (int i = 0; i < AID_GROWTH_RADII; i++) {
        aid_aperture aperture = AID_APERTURE_CIRCLE(curve->radius_px[i]);
        curve->fraction[i] = aid_aperture_at(&model, &aperture, stamp.radius, stamp.radius).flux;
        curve->error[i] = 0.0;
    }
    for (int i = 0; i < AID_GROWTH_RADII; i++)
        curve->fraction[i] /= curve->fraction[AID_GROWTH_RADII - 1];
}

aid_status aid_measure_growth_curve(const aid_photometry_frame *frame, const aid_stars *stars,
                                    aid_pool *pool, aid_notes *notes, aid_growth_curve *ret_curve,
                                    aid_error *err)
{
    const int enough = 3;
    aid_growth_curve curve = {0};
    double fwhm = seeing_of(frame, stars);
    if (!(fwhm > 0.0)) {
        aid_note_add(notes, "photometry", "no stars and no PSF: there is no curve of growth");
        *ret_curve = curve;
        return AID_OK;
    }
    growth_job *job;
    AID_TRY(aid_new_array(1, sizeof *job, "curve of growth", &job, err));
    job->frame = frame;
    job->stars = stars;
    set_radii(fwhm, job->radius_px);
    memcpy(curve.radius_px, job->radius_px, sizeof curve.radius_px);
    aid_status status = choose_stars(job, err);
    if (status == AID_OK)
        status =
            aid_pool_run(pool, aid_band_count(job->count, STARS_PER_TASK), measure_some, job, err);
    if (status == AID_OK && job->count >= enough) {
        combine_stars(job, &curve);
    } else if (status == AID_OK && aid_photometry_has_psf(frame)) {
        aid_note_add(notes, "photometry",
                     "%d bright stars stand alone: the curve of growth is that of the PSF",
                     job->count);
        take_psf(frame, &curve);
    } else {
        aid_note_add(notes, "photometry",
                     "%d bright stars stand alone and there is no PSF: there "
                     "is no curve of growth",
                     job->count);
    }
    free(job);
    if (status == AID_OK)
        *ret_curve = curve;
    return status;
}

/* Cubic between radii, which are apart by equal ratios; the errors linear. */
double aid_aperture_correction(const aid_growth_curve *curve, double radius_px, double *ret_error)
{
    double fraction = NAN, error = NAN;
    int last = curve->count - 1;
    if (curve->count > 1 && radius_px >= curve->radius_px[last]) {
        fraction = 1.0;
        error = 0.0;
    } else if (curve->count > 1 && radius_px >= curve->radius_px[0]) {
        double ratio = curve->radius_px[1] / curve->radius_px[0];
        double at = AID_MIN(log(radius_px / curve->radius_px[0]) / log(ratio), last - 1e-9);
        int i = (int)at;
        double t = at - i;
        const double *f = curve->fraction, p = f[AID_MAX(i - 1, 0)], q = f[AID_MIN(i + 2, last)];
        double slope = 0.5 * (f[i + 1] - p), next_slope = 0.5 * (q - f[i]), rise = f[i + 1] - f[i];
        fraction = f[i] + t * (slope + t * (3.0 * rise - 2.0 * slope - next_slope +
                                            t * (slope + next_slope - 2.0 * rise)));
        error = (1.0 - t) * curve->error[i] + t * curve->error[i + 1];
    }
    if (ret_error)
        *ret_error = error / (fraction * fraction);
    return 1.0 / fraction;
}
