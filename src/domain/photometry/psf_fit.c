/* PSF photometry: who is fitted with whom, and the rounds in which every group sees the image
 * without the stars of the others. */
#include "domain/photometry/psf_fit.h"

#include "core/base/memory.h"
#include "core/imaging/point_grid.h"

#include <stdlib.h>
#include <string.h>

enum { BAND_ROWS = 64, STARS_PER_TASK = 32, GROUPS_PER_TASK = 16, MAX_ROUNDS = 20 };

static void psf_fit_job_done(psf_fit_job *job)
{
    free(job->stars);
    free(job->members);
    free(job->first);
    aid_image_done(&job->model);
    free(job->scratch);
}

/* ------------------------------------------------------------------------------- first guesses */

static aid_status guess_some(void *context, int64_t task, int worker, aid_error *err)
{
    (void)worker;
    (void)err;
    psf_fit_job *job = context;
    int64_t begin, end;
    aid_band_range(job->count, STARS_PER_TASK, task, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        psf_fit_star *star = &job->stars[i];
        if (star->there && !isfinite(star->flux))
            star->flux = aid_photometry_profile_flux(job->frame, star->x, star->y);
        else
            star->flux /= aid_photometry_scale(job->frame);
        if (!isfinite(star->flux))
            star->flux = 0.0;
    }
    return AID_OK;
}

/* -------------------------------------------------------------------------------------- groups */

typedef struct ranked {
    double flux;
    int index;
} ranked;

static int brighter_first(const void *left, const void *right)
{
    const ranked *a = left, *b = right;
    if (a->flux != b->flux)
        return a->flux < b->flux ? 1 : -1;
    return a->index - b->index;
}

typedef struct grouping {
    ranked *order;
    double *x, *y; /* of the stars that are there */
    int *star_of;  /* point -> star */
    int points;
    aid_point_grid grid;
} grouping;

static void grouping_done(grouping *work)
{
    free(work->order);
    free(work->x);
    free(work->y);
    free(work->star_of);
    aid_point_grid_done(&work->grid);
}

static aid_status list_points(const psf_fit_job *job, grouping *work, aid_error *err)
{
    size_t count = (size_t)AID_MAX(job->count, 1);
    AID_TRY(aid_new_array(count, sizeof *work->order, "groups", &work->order, err));
    AID_TRY(aid_new_array(count, sizeof *work->x, "groups", &work->x, err));
    AID_TRY(aid_new_array(count, sizeof *work->y, "groups", &work->y, err));
    AID_TRY(aid_new_array(count, sizeof *work->star_of, "groups", &work->star_of, err));
    for (int i = 0; i < job->count; i++) {
        if (!job->stars[i].there)
            continue;
        work->order[work->points] = (ranked){job->stars[i].flux, i};
        work->x[work->points] = job->stars[i].x;
        work->y[work->points] = job->stars[i].y;
        work->star_of[work->points++] = i;
    }
    qsort(work->order, (size_t)work->points, sizeof *work->order, brighter_first);
    return aid_point_grid_init(work->x, work->y, work->points, &work->grid, err);
}

/* Friends of friends around the brightest star that is left, until the group is full. */
static void gather(psf_fit_job *job, const grouping *work, int seed)
{
    enum { NEAR = 64 };
    int begin = job->first[job->groups], count = 1, points[NEAR];
    job->members[begin] = seed;
    job->stars[seed].group = job->groups;
    for (int next = 0; next < count; next++) {
        const psf_fit_star *star = &job->stars[job->members[begin + next]];
        int found = aid_point_grid_within(&work->grid, star->given_x, star->given_y,
                                          job->options.group_radius_px, points, NEAR);
        for (int k = 0; k < AID_MIN(found, NEAR) && count < PSF_GROUP_MAX; k++) {
            int other = work->star_of[points[k]];
            if (job->stars[other].group >= 0)
                continue;
            job->stars[other].group = job->groups;
            job->members[begin + count++] = other;
        }
    }
    job->groups++;
    job->first[job->groups] = begin + count;
}

static aid_status make_groups(psf_fit_job *job, aid_error *err)
{
    AID_CLEANUP(grouping_done)
    grouping work = {0};
    AID_TRY(list_points(job, &work, err));
    for (int i = 0; i < work.points; i++)
        if (job->stars[work.order[i].index].group < 0)
            gather(job, &work, work.order[i].index);
    return AID_OK;
}

/* --------------------------------------------------------------------------------- the model */

static void find_box(psf_fit_job *job)
{
    const aid_image *image = job->frame->image;
    double x0 = image->width, y0 = image->height, x1 = 0.0, y1 = 0.0;
    for (int i = 0; i < job->count; i++) {
        if (!job->stars[i].there)
            continue;
        x0 = AID_MIN(x0, job->stars[i].given_x);
        y0 = AID_MIN(y0, job->stars[i].given_y);
        x1 = AID_MAX(x1, job->stars[i].given_x);
        y1 = AID_MAX(y1, job->stars[i].given_y);
    }
    double reach = job->options.fit_radius_px + job->options.max_shift_px + 2.0;
    int32_t left = (int32_t)AID_MAX(floor(x0 - reach), 0.0);
    int32_t top = (int32_t)AID_MAX(floor(y0 - reach), 0.0);
    int32_t right = (int32_t)AID_MIN(ceil(x1 + reach), image->width - 1.0);
    int32_t bottom = (int32_t)AID_MIN(ceil(y1 + reach), image->height - 1.0);
    job->box =
        (photometry_box){left, top, AID_MAX(right - left + 1, 1), AID_MAX(bottom - top + 1, 1)};
}

/* The rows of a stamp that lie in rows begin .. end of the box are added. */
static void add_stamp(psf_fit_job *job, const photometry_stamp *stamp, double flux, int64_t begin,
                      int64_t end)
{
    int64_t left = stamp->left - job->box.x0, top = stamp->top - job->box.y0;
    int64_t from = AID_MAX(left, 0), to = AID_MIN(left + stamp->side, job->box.width);
    for (int64_t y = AID_MAX(top, begin); y < AID_MIN(top + stamp->side, end); y++) {
        float *row = aid_image_row(&job->model, (int32_t)y);
        const float *values = stamp->values + (y - top) * stamp->side - left;
        for (int64_t x = from; x < to; x++)
            row[x] += (float)(flux * (double)values[x]);
    }
}

static aid_status render_band(void *context, int64_t band, int worker, aid_error *err)
{
    (void)worker;
    (void)err;
    psf_fit_job *job = context;
    int64_t begin, end;
    aid_band_range(job->box.height, BAND_ROWS, band, &begin, &end);
    for (int64_t y = begin; y < end; y++)
        memset(aid_image_row(&job->model, (int32_t)y), 0, (size_t)job->box.width * sizeof(float));
    float values[PHOTOMETRY_MAX_SIDE * PHOTOMETRY_MAX_SIDE];
    for (int i = 0; i < job->count; i++) {
        const psf_fit_star *star = &job->stars[i];
        double y = star->y - job->box.y0;
        if (!star->there || star->flux == 0.0 || y + job->radius + 1 < (double)begin ||
            y - job->radius - 1 > (double)end)
            continue;
        photometry_stamp stamp = {.values = values};
        aid_photometry_cut_stamp(job->frame, star->x, star->y, &stamp);
        add_stamp(job, &stamp, star->flux, begin, end);
    }
    return AID_OK;
}

/* -------------------------------------------------------------------------------------- rounds */

static aid_status fit_some(void *context, int64_t task, int worker, aid_error *err)
{
    psf_fit_job *job = context;
    int64_t begin, end;
    aid_band_range(job->groups, GROUPS_PER_TASK, task, &begin, &end);
    for (int64_t g = begin; g < end; g++)
        AID_TRY(aid_psf_fit_group(job, (int)g, &job->scratch[worker], err));
    return AID_OK;
}

static aid_status run_rounds(psf_fit_job *job, aid_pool *pool, aid_error *err)
{
    int64_t bands = aid_band_count(job->box.height, BAND_ROWS);
    int64_t tasks = aid_band_count(job->groups, GROUPS_PER_TASK);
    for (int round = 0; round < job->options.rounds; round++) {
        job->last = round + 1 == job->options.rounds;
        AID_TRY(aid_pool_run(pool, bands, render_band, job, err));
        AID_TRY(aid_pool_run(pool, tasks, fit_some, job, err));
    }
    return AID_OK;
}

/* -------------------------------------------------------------------------------- preparations */

static aid_status fill_options(const aid_photometry_frame *frame,
                               const aid_psf_fit_options *options, psf_fit_job *job, aid_error *err)
{
    aid_psf_fit_options filled = *options;
    double fwhm = aid_photometry_psf_fwhm(frame, 0.0, 0.0);
    if (!(fwhm > 0.0))
        AID_FAIL(err, AID_ERR_NUMERIC, "the PSF has no width");
    if (filled.fit_radius_px == 0.0)
        filled.fit_radius_px = AID_MAX(1.5 * fwhm, 2.0);
    if (filled.group_radius_px == 0.0)
        filled.group_radius_px = 1.75 * fwhm;
    if (filled.max_shift_px == 0.0)
        filled.max_shift_px = 0.75 * fwhm;
    if (!(filled.fit_radius_px >= 1.0 && filled.fit_radius_px <= job->radius))
        AID_FAIL(err, AID_ERR_INVALID, "fit radius of %g px is not between 1 and the PSF's %d",
                 filled.fit_radius_px, job->radius);
    if (!(filled.group_radius_px > 0.0 && filled.group_radius_px <= 2.0 * job->radius))
        AID_FAIL(err, AID_ERR_INVALID, "group radius of %g px is not between 0 and %d",
                 filled.group_radius_px, 2 * job->radius);
    if (!(filled.max_shift_px > 0.0 && isfinite(filled.max_shift_px)))
        AID_FAIL(err, AID_ERR_INVALID, "largest shift of %g px", filled.max_shift_px);
    if (filled.rounds < 1 || filled.rounds > MAX_ROUNDS)
        AID_FAIL(err, AID_ERR_INVALID, "%d rounds are not between 1 and %d", filled.rounds,
                 MAX_ROUNDS);
    job->options = filled;
    return AID_OK;
}

static aid_status place_stars(psf_fit_job *job, const aid_psf_target *targets, aid_error *err)
{
    size_t count = (size_t)AID_MAX(job->count, 1);
    AID_TRY(aid_new_array(count, sizeof *job->stars, "stars", &job->stars, err));
    AID_TRY(aid_new_array(count, sizeof *job->members, "groups", &job->members, err));
    AID_TRY(aid_new_array(count + 1, sizeof *job->first, "groups", &job->first, err));
    for (int i = 0; i < job->count; i++) {
        bool there = aid_photometry_on_image(job->frame->image, targets[i].x, targets[i].y);
        job->stars[i] = (psf_fit_star){.given_x = targets[i].x,
                                       .given_y = targets[i].y,
                                       .x = targets[i].x,
                                       .y = targets[i].y,
                                       .flux = targets[i].flux,
                                       .there = there,
                                       .group = -1};
        job->fluxes[i] = (aid_psf_flux){.x = targets[i].x,
                                        .y = targets[i].y,
                                        .flux = NAN,
                                        .flux_err = NAN,
                                        .null_err = NAN,
                                        .chi2 = NAN,
                                        .missing = 1.0,
                                        .flags = there ? 0U : AID_PHOTOMETRY_OFF_IMAGE};
    }
    return AID_OK;
}

static aid_status prepare(psf_fit_job *job, const aid_psf_target *targets, aid_pool *pool,
                          aid_error *err)
{
    AID_TRY(place_stars(job, targets, err));
    AID_TRY(aid_new_array((size_t)aid_pool_threads(pool), sizeof *job->scratch, "PSF fit",
                          &job->scratch, err));
    AID_TRY(aid_pool_run(pool, aid_band_count(job->count, STARS_PER_TASK), guess_some, job, err));
    AID_TRY(make_groups(job, err));
    find_box(job);
    return aid_image_init(job->box.width, job->box.height, &job->model, err);
}

aid_status aid_psf_photometry(const aid_photometry_frame *frame, const aid_psf_target *targets,
                              int count, const aid_psf_fit_options *options, aid_pool *pool,
                              aid_psf_flux *ret_fluxes, aid_error *err)
{
    if (!aid_photometry_has_psf(frame))
        AID_FAIL(err, AID_ERR_NUMERIC, "PSF photometry without a PSF");
    AID_CLEANUP(psf_fit_job_done)
    psf_fit_job job = {.frame = frame,
                       .count = count,
                       .radius = aid_photometry_psf_radius(frame),
                       .fluxes = ret_fluxes};
    job.stamp_pixels = (2 * job.radius + 1) * (2 * job.radius + 1);
    AID_TRY(fill_options(frame, options, &job, err));
    if (count == 0)
        return AID_OK;
    aid_status status = prepare(&job, targets, pool, err);
    if (status == AID_OK)
        status = run_rounds(&job, pool, err);
    double scale = aid_photometry_scale(frame);
    for (int i = 0; i < count && status == AID_OK; i++) {
        ret_fluxes[i].flux *= scale;
        ret_fluxes[i].flux_err *= scale;
        ret_fluxes[i].null_err *= scale;
    }
    for (int i = 0; job.scratch && i < aid_pool_threads(pool); i++)
        aid_psf_fit_scratch_done(&job.scratch[i]);
    return status;
}
