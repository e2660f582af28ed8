/* All of a star's light over what the PSF finds: growth curves of bright stars, the others
 * subtracted. */
#include "core/base/memory.h"
#include "core/imaging/point_grid.h"
#include "core/imaging/stats.h"
#include "domain/photometry/internal.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_STARS = 400, FEWEST_STARS = 5, RADII = 12, NEAR = 128 };
static const double least_snr = 50.0;

typedef struct scale_job {
    const aid_photometry_frame *frame;
    const aid_stars *stars;
    aid_point_grid grid;
    double radius_px[RADII];
    double reach; /* of the PSF */
    int chosen[MOST_STARS], count;
    int *target_of; /* star -> target, -1: none */
    aid_psf_target *targets;
    aid_psf_flux *fits;
    int target_count;
    double ratio[MOST_STARS][RADII], weight[MOST_STARS];
} scale_job;

static void scale_job_done(scale_job *job)
{
    aid_point_grid_done(&job->grid);
    free(job->target_of);
    free(job->targets);
    free(job->fits);
}

/* ----------------------------------------------------------------------------------- the stars */

/* Neighbours are subtracted, but what is as bright and near leaves too much behind. */
static bool is_clear(const scale_job *job, int star)
{
    const aid_star *own = &job->stars->items[star];
    int points[NEAR];
    double near = 0.35 * job->reach;
    int found = aid_point_grid_within(&job->grid, own->x, own->y, job->reach, points, NEAR);
    for (int k = 0; k < AID_MIN(found, NEAR); k++) {
        const aid_star *other = &job->stars->items[points[k]];
        double limit = hypot(other->x - own->x, other->y - own->y) < near ? 0.02 : 0.3;
        if (points[k] != star && other->flux > limit * own->flux)
            return false;
    }
    return found < NEAR;
}

static bool is_inside(const aid_image *image, const aid_star *star, double reach)
{
    return star->x >= reach && star->y >= reach && star->x < image->width - 1.0 - reach &&
           star->y < image->height - 1.0 - reach;
}

static bool is_fit(const scale_job *job, int star)
{
    const aid_star *item = &job->stars->items[star];
    return item->flags == 0 && item->flux > least_snr * item->flux_err &&
           is_inside(job->frame->image, item, 1.5 * job->reach) && is_clear(job, star);
}

/* Of too many, every n-th: the brightest alone would be those whose noise is upwards. */
static void choose_stars(scale_job *job)
{
    int fit = 0, every, seen = 0;
    for (int i = 0; i < job->stars->count; i++)
        fit += is_fit(job, i);
    every = (fit + MOST_STARS - 1) / MOST_STARS;
    for (int i = 0; i < job->stars->count; i++)
        if (is_fit(job, i) && seen++ % every == 0)
            job->chosen[job->count++] = i;
}

/* The chosen ones and all whose light reaches into their apertures. */
static aid_status list_targets(scale_job *job, aid_error *err)
{
    size_t count = (size_t)job->stars->count;
    AID_TRY(aid_new_array(count, sizeof *job->target_of, "stars", &job->target_of, err));
    AID_TRY(aid_new_array(count, sizeof *job->targets, "stars", &job->targets, err));
    AID_TRY(aid_new_array(count, sizeof *job->fits, "stars", &job->fits, err));
    for (size_t i = 0; i < count; i++)
        job->target_of[i] = -1;
    for (int k = 0; k < job->count; k++) {
        const aid_star *own = &job->stars->items[job->chosen[k]];
        int points[NEAR];
        int found =
            aid_point_grid_within(&job->grid, own->x, own->y, 2.5 * job->reach, points, NEAR);
        for (int p = 0; p < AID_MIN(found, NEAR); p++) {
            const aid_star *star = &job->stars->items[points[p]];
            if (job->target_of[points[p]] >= 0)
                continue;
            job->target_of[points[p]] = job->target_count;
            job->targets[job->target_count++] = (aid_psf_target){star->x, star->y, star->flux};
        }
    }
    return AID_OK;
}

/* ------------------------------------------------------------------------- one star's apertures */

typedef struct patch {
    aid_image image;
    aid_mask mask;
    aid_mesh noise;
} patch;

static void patch_done(patch *work)
{
    aid_image_done(&work->image);
    aid_mask_done(&work->mask);
    aid_mesh_done(&work->noise);
}

static aid_status cut_patch(const scale_job *job, const photometry_box *box, patch *work,
                            aid_error *err)
{
    AID_TRY(aid_image_init(box->width, box->height, &work->image, err));
    for (int32_t j = 0; j < box->height; j++) {
        double values[4 * PHOTOMETRY_MAX_SIDE];
        photometry_row row = {.y = box->y0 + j, .x0 = box->x0, .count = box->width};
        (void)aid_photometry_read_row(job->frame, &row, NULL, values);
        for (int32_t i = 0; i < box->width; i++)
            aid_image_row(&work->image, j)[i] = (float)values[i];
    }
    return AID_OK;
}

/* Takes every fitted star but one off the patch. */
static void subtract_others(const scale_job *job, int star, const photometry_box *box,
                            const patch *work)
{
    const aid_star *own = &job->stars->items[star];
    float pixels[PHOTOMETRY_MAX_SIDE * PHOTOMETRY_MAX_SIDE];
    int points[NEAR];
    int found = aid_point_grid_within(&job->grid, own->x, own->y, 2.5 * job->reach, points, NEAR);
    for (int p = 0; p < AID_MIN(found, NEAR); p++) {
        int target = job->target_of[points[p]];
        if (points[p] == star || target < 0 || !isfinite(job->fits[target].flux))
            continue;
        photometry_stamp stamp = {.values = pixels};
        aid_photometry_cut_stamp(job->frame, job->fits[target].x, job->fits[target].y, &stamp);
        for (int32_t j = 0; j < stamp.side; j++)
            for (int32_t i = 0; i < stamp.side; i++) {
                int32_t x = stamp.left + i - box->x0, y = stamp.top + j - box->y0;
                if (x >= 0 && y >= 0 && x < box->width && y < box->height)
                    aid_image_row(&work->image, y)[x] -=
                        (float)(job->fits[target].flux * (double)pixels[j * stamp.side + i]);
            }
    }
}

static aid_status measure_star(void *context, int64_t k, int worker, aid_error *err)
{
    (void)worker;
    scale_job *job = context;
    int star = job->chosen[k];
    const aid_psf_flux *fit = &job->fits[job->target_of[star]];
    for (int i = 0; i < RADII; i++)
        job->ratio[k][i] = NAN;
    if (!(fit->flux > least_snr * fit->flux_err) || fit->flags & ~(unsigned)AID_PHOTOMETRY_BLENDED)
        return AID_OK;
    int32_t half = (int32_t)ceil(1.45 * job->reach) + 2;
    photometry_box box = {(int32_t)fit->x - half, (int32_t)fit->y - half, 2 * half + 1,
                          2 * half + 1};
    AID_CLEANUP(patch_done)
    patch work = {0};
    AID_TRY(cut_patch(job, &box, &work, err));
    subtract_others(job, star, &box, &work);
    aid_photometry_frame frame = {.image = &work.image};
    double x = fit->x - box.x0, y = fit->y - box.y0;
    aid_aperture aperture = AID_APERTURE_CIRCLE(job->reach);
    aperture.background = AID_LOCAL_MEAN;
    aperture.inner_px = job->reach;
    aperture.outer_px = 1.4 * job->reach;
    aperture.clip_sigma = 4.0; /* what is too faint to be known lies in the aperture as well */
    aid_aperture_flux all = aid_aperture_at(&frame, &aperture, x, y);
    if (all.missing > 0.0)
        return AID_OK;
    double noise = aid_photometry_noise_at(job->frame, fit->x, fit->y);
    job->weight[k] = 1.0 / (1e-5 + (noise * noise) / (fit->flux * fit->flux));
    for (int i = 0; i < RADII; i++) {
        aid_aperture inside = AID_APERTURE_CIRCLE(job->radius_px[i]);
        aid_aperture_flux flux = aid_aperture_at(&frame, &inside, x, y);
        job->ratio[k][i] = (flux.flux - all.background * flux.area_px) / fit->flux;
    }
    return AID_OK;
}

/* ----------------------------------------------------------------------------------- all stars */

typedef struct weighted_mean {
    double mean, error;
    int count;
} weighted_mean;

/* Of ratio[.][i], or ratio[.][i] - ratio[.][j] where j >= 0: outliers are left out, the error is
 * from the scatter. */
static weighted_mean mean_ratio(const scale_job *job, int i, int j)
{
    double values[MOST_STARS], copy[MOST_STARS];
    for (int k = 0; k < job->count; k++)
        copy[k] = values[k] = job->ratio[k][i] - (j >= 0 ? job->ratio[k][j] : 0.0);
    aid_robust robust = aid_robust_in_place_f64(copy, job->count);
    weighted_mean result = {0};
    double sum = 0.0, total = 0.0, squares = 0.0;
    for (int pass = 0; pass < 2; pass++)
        for (int k = 0; k < job->count; k++) {
            if (!(fabs(values[k] - robust.median) <= 4.0 * robust.sigma))
                continue;
            double w = job->weight[k];
            if (pass == 0) {
                sum += w * values[k];
                total += w;
                result.count++;
            } else {
                double deviation = w * (values[k] - sum / total);
                squares += deviation * deviation;
            }
        }
    result.mean = total > 0.0 ? sum / total : NAN;
    result.error = total > 0.0 ? sqrt(squares) / total : NAN;
    return result;
}

/* The first radius beyond which nothing significant is added. */
static int choose_radius(const scale_job *job)
{
    for (int i = 0; i + 1 < RADII; i++) {
        bool enough = true;
        for (int j = i + 1; j < RADII && enough; j++) {
            weighted_mean gain = mean_ratio(job, j, i);
            enough = gain.mean < 2.0 * gain.error;
        }
        if (enough)
            return i;
    }
    return RADII - 1;
}

static aid_status measure(scale_job *job, aid_pool *pool, aid_error *err)
{
    AID_TRY(aid_point_grid_of_stars(job->stars, &job->grid, err));
    choose_stars(job);
    if (job->count < FEWEST_STARS)
        return AID_OK;
    AID_TRY(list_targets(job, err));
    aid_psf_fit_options options = AID_PSF_FIT_DEFAULTS;
    AID_TRY(aid_psf_photometry(job->frame, job->targets, job->target_count, &options, pool,
                               job->fits, err));
    return aid_pool_run(pool, job->count, measure_star, job, err);
}

aid_status aid_measure_psf_scale(const aid_photometry_frame *frame, const aid_stars *stars,
                                 aid_pool *pool, aid_notes *notes, double *ret_scale,
                                 double *ret_error, aid_error *err)
{
    const double expected = 0.005; /* scatter of the scale about 1, which is the prior */
    if (!aid_photometry_has_psf(frame) || !aid_photometry_has_noise(frame))
        AID_FAIL(err, AID_ERR_NUMERIC, "the scale of a PSF needs the PSF and the noise");
    aid_photometry_frame plain = *frame;
    plain.psf_scale = 0.0;
    scale_job *job;
    AID_TRY(aid_new_array(1, sizeof *job, "PSF scale", &job, err));
    job->frame = &plain;
    job->stars = stars;
    job->reach = aid_photometry_psf_radius(frame);
    double first = 1.4 * aid_photometry_psf_fwhm(frame, 0.0, 0.0);
    first = AID_MIN(first, 0.8 * job->reach);
    for (int i = 0; i < RADII; i++)
        job->radius_px[i] = first * pow(job->reach / first, i / (RADII - 1.0));
    aid_status status = stars && stars->count > 0 ? measure(job, pool, err) : AID_OK;
    weighted_mean scale = {.error = NAN};
    if (status == AID_OK && job->count >= FEWEST_STARS)
        scale = mean_ratio(job, choose_radius(job), -1);
    scale_job_done(job);
    free(job);
    AID_TRY(status);
    bool known = scale.count >= FEWEST_STARS && scale.error < 2.0 * expected;
    if (!known)
        aid_note_add(notes, "photometry",
                     "too few bright stars for the scale of PSF fluxes: it is that of the model");
    double trust = expected * expected / (expected * expected + scale.error * scale.error);
    *ret_scale = known ? 1.0 + trust * (scale.mean - 1.0) : 1.0;
    if (ret_error)
        *ret_error = known ? scale.error * sqrt(trust) : 0.0;
    return AID_OK;
}
