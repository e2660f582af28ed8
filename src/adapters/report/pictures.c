#include "adapters/report/pictures.h"

#include "adapters/report/report.h"
#include "core/base/memory.h"
#include "core/imaging/stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------------------------------- order */

typedef struct rank {
    int index;
    bool is_flagged;
    double score;
    int64_t id;
} rank;

static int compare_ranks(const void *a, const void *b)
{
    const rank *x = a, *y = b;
    if (x->is_flagged != y->is_flagged)
        return x->is_flagged - y->is_flagged;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

static aid_status put_in_order(const aid_candidates *candidates, aid_report_pictures *pictures,
                               aid_error *err)
{
    size_t count = (size_t)candidates->count;
    AID_CLEANUP(aid_free_pointer)
    rank *ranks = NULL;
    AID_TRY(aid_new_array(count, sizeof *ranks, "report", &ranks, err));
    AID_TRY(aid_new_array(count, sizeof *pictures->order, "report", &pictures->order, err));
    for (int i = 0; i < candidates->count; i++) {
        const aid_candidate *item = &candidates->items[i];
        double score = fabs(item->score);
        ranks[i] = (rank){i, (item->flags & AID_FLAG_GROUP_REJECT) != 0,
                          isnan(score) ? -1.0 : score, item->id};
        pictures->flagged += ranks[i].is_flagged;
    }
    pictures->clean = candidates->count - pictures->flagged;
    qsort(ranks, count, sizeof *ranks, compare_ranks);
    for (int i = 0; i < candidates->count; i++)
        pictures->order[i] = ranks[i].index;
    return AID_OK;
}

/* --------------------------------------------------------------------------------------- shared */

/* What the tasks share. Task numbers: overviews, PSFs, then AID_VIEWS for each pictured candidate.
 */
typedef struct paint_job {
    const aid_process_result *result;
    const aid_report_summary *summary;
    aid_report_pictures *pictures;
    aid_palette grey, diverging;
    aid_shrunk shrunk[AID_VIEW_DIFFERENCE + 1];
    aid_stretch stretch[AID_VIEW_REFERENCE + 1];
} paint_job;

enum { FIRST_PSF = AID_VIEW_DIFFERENCE + 1, FIRST_CUT = 2 * (AID_VIEW_DIFFERENCE + 1) };

static void paint_job_done(paint_job *job)
{
    for (int view = 0; view <= AID_VIEW_DIFFERENCE; view++)
        aid_shrunk_done(&job->shrunk[view]);
}

static aid_shrink_input input_of(const aid_process_result *result, int view)
{
    const aid_difference *difference = &result->difference;
    switch (view) {
    case AID_VIEW_SCIENCE:
        return (aid_shrink_input){&result->science.image, &result->science.mask,
                                  AID_REPORT_HARD_BITS, NULL};
    case AID_VIEW_REFERENCE:
        return (aid_shrink_input){&result->reference.image, &result->reference.mask,
                                  AID_REPORT_HARD_BITS, NULL};
    case AID_VIEW_DIFFERENCE:
        return (aid_shrink_input){&difference->difference, NULL, 0, &difference->score};
    default:
        return (aid_shrink_input){&difference->score, NULL, 0, NULL};
    }
}

static double sound_ratio(const aid_photometric_match *match)
{
    return match->ratio > 1e-30 && match->ratio < 1e30 ? match->ratio : NAN;
}

/* Paints an image in greys (stretch) or in the diverging colours (limit), and encodes it. */
static aid_status encode(const paint_job *job, const aid_image *image, const aid_mask *veiled,
                         const aid_stretch *stretch, double limit, aid_bytes *ret_png,
                         aid_error *err)
{
    AID_CLEANUP(aid_picture_done)
    aid_picture picture = {0};
    AID_TRY(aid_picture_init(image->width, image->height, &picture, err));
    if (stretch)
        aid_paint_grey(image, veiled, stretch, &picture);
    else
        aid_paint_diverging(image, veiled, limit, &picture);
    return aid_png_encode(&picture, stretch ? &job->grey : &job->diverging, ret_png, err);
}

/* ------------------------------------------------------------------------------------ overviews */

/* The reference times the flux ratio gets the very limits of the science image, so that the same
 * star is equally bright in both and blinking shows what changed; without a ratio, limits of its
 * own. */
static aid_status choose_stretches(paint_job *job, aid_error *err)
{
    enum { SAMPLES = 2500 };
    AID_CLEANUP(aid_free_pointer)
    float *samples = NULL;
    AID_TRY(aid_new_buffer(SAMPLES, sizeof *samples, "report", &samples, err));
    for (int view = AID_VIEW_SCIENCE; view <= AID_VIEW_REFERENCE; view++) {
        const aid_shrunk *shrunk = &job->shrunk[view];
        int64_t count = aid_sample_grid(&shrunk->mean, &shrunk->veiled, NULL, SAMPLES, samples);
        job->stretch[view] = aid_stretch_of_samples(samples, count);
    }
    double ratio = sound_ratio(&job->result->difference.match);
    job->pictures->common_stretch = isfinite(ratio);
    if (isfinite(ratio)) {
        aid_stretch science = job->stretch[AID_VIEW_SCIENCE];
        job->stretch[AID_VIEW_REFERENCE] =
            (aid_stretch){science.low / ratio, science.soft / ratio, science.high / ratio};
    }
    return AID_OK;
}

/* D has white noise: the mean of n pixels scatters by sigma/sqrt(n), and that is the unit shown. */
static void to_significance(aid_shrunk *shrunk, double sigma)
{
    int64_t count = (int64_t)shrunk->mean.width * shrunk->mean.height;
    double unit = sigma > 0.0 ? sigma : 1.0;
    for (int64_t i = 0; i < count; i++)
        shrunk->mean.data[i] =
            (float)((double)shrunk->mean.data[i] * sqrt((double)shrunk->count.data[i]) / unit);
}

static aid_status prepare_overviews(paint_job *job, aid_pool *pool, aid_error *err)
{
    for (int view = 0; view <= AID_VIEW_DIFFERENCE; view++) {
        aid_shrink_input input = input_of(job->result, view);
        AID_TRY(aid_shrink(&input, AID_REPORT_MAX_PICTURE_PX, pool, &job->shrunk[view], err));
    }
    AID_TRY(choose_stretches(job, err));
    to_significance(&job->shrunk[AID_VIEW_DIFFERENCE], job->summary->difference_sigma);
    aid_report_pictures *pictures = job->pictures;
    pictures->overview_width = job->shrunk[0].mean.width;
    pictures->overview_height = job->shrunk[0].mean.height;
    pictures->overview_factor = job->shrunk[0].factor;
    pictures->overview_limit_sigma = 8.0;
    return AID_OK;
}

/* ----------------------------------------------------------------------------------------- PSFs */

/* All PSFs are shown to the smallest of their radii, so that their sizes compare at a glance. */
static int shown_radius(const aid_process_result *result)
{
    int radius = AID_PSF_MAX_RADIUS;
    if (result->science.psf.radius_px > 0)
        radius = AID_MIN(radius, result->science.psf.radius_px);
    if (result->reference.psf.radius_px > 0)
        radius = AID_MIN(radius, result->reference.psf.radius_px);
    if (result->difference.psf.data)
        radius = AID_MIN(radius, result->difference.psf.width / 2);
    return radius;
}

/* Wings down to a hundredth of the peak matter in a difference: the stretch is linear only below.
 */
static aid_status encode_psf(const paint_job *job, const aid_image *stamp, aid_bytes *ret_png,
                             int *ret_side, aid_error *err)
{
    int radius = shown_radius(job->result), corner = stamp->width / 2 - radius;
    aid_image middle = {aid_image_row(stamp, corner) + corner, 2 * radius + 1, 2 * radius + 1,
                        stamp->stride};
    const aid_image *image = &middle;
    double peak = 0.0;
    for (int32_t y = 0; y < image->height; y++)
        for (int32_t x = 0; x < image->width; x++)
            peak = fmax(peak, (double)aid_image_row(image, y)[x]);
    if (!(peak > 0.0))
        return AID_OK;
    aid_stretch stretch = {-0.004 * peak, 0.008 * peak, peak};
    AID_TRY(encode(job, image, NULL, &stretch, 0.0, ret_png, err));
    *ret_side = image->width;
    return AID_OK;
}

static aid_status paint_psf(const paint_job *job, int view, aid_error *err)
{
    aid_report_pictures *pictures = job->pictures;
    const aid_process_result *result = job->result;
    if (view == AID_VIEW_DIFFERENCE) {
        if (!result->difference.psf.data)
            return AID_OK;
        return encode_psf(job, &result->difference.psf, &pictures->psf[view],
                          &pictures->psf_side[view], err);
    }
    const aid_exposure *exposure = view == AID_VIEW_SCIENCE ? &result->science : &result->reference;
    if (exposure->psf.radius_px < 1)
        return AID_OK;
    int radius = exposure->psf.radius_px;
    AID_CLEANUP(aid_image_done)
    aid_image stamp = {0};
    AID_TRY(aid_image_init(2 * radius + 1, 2 * radius + 1, &stamp, err));
    aid_psf_stamp(&exposure->psf, 0.5 * (exposure->image.width - 1),
                  0.5 * (exposure->image.height - 1), 0.0, 0.0, radius, stamp.data);
    return encode_psf(job, &stamp, &pictures->psf[view], &pictures->psf_side[view], err);
}

/* ------------------------------------------------------------------------------------- cut-outs */

static double brightest(const aid_process_result *result, const aid_candidate_pictures *cut,
                        double ratio)
{
    double peak = 0.0;
    const aid_image *science = &result->science.image, *reference = &result->reference.image;
    for (int32_t y = AID_MAX(cut->y - cut->half, 0); y <= cut->y + cut->half; y++)
        for (int32_t x = AID_MAX(cut->x - cut->half, 0); x <= cut->x + cut->half; x++) {
            if (x >= science->width || y >= science->height)
                continue;
            peak = fmax(peak, (double)aid_image_row(science, y)[x]);
            peak = fmax(peak, ratio * (double)aid_image_row(reference, y)[x]);
        }
    return peak;
}

/* Black 2.5 sigma below the sky, white at the brightest pixel of either image, never below 10
 * sigma: noise stays grey and both images have one flux scale. */
static aid_stretch cut_stretch(const paint_job *job, const aid_candidate_pictures *cut)
{
    const aid_exposure *science = &job->result->science;
    double sigma = science->noise.values ? aid_mesh_at(&science->noise, cut->x, cut->y) : NAN;
    if (!(sigma > 0.0))
        sigma = job->stretch[AID_VIEW_SCIENCE].soft;
    double ratio = sound_ratio(&job->result->difference.match);
    double peak = brightest(job->result, cut, isfinite(ratio) ? ratio : 1.0);
    return (aid_stretch){-2.5 * sigma, 2.5 * sigma, fmax(peak, 10.0 * sigma)};
}

static double difference_peak(const aid_process_result *result, const aid_candidate_pictures *cut)
{
    const aid_image *image = &result->difference.difference;
    int reach = AID_CLAMP((int)ceil(result->difference.fwhm_px), 2, cut->half);
    double peak = 0.0;
    for (int32_t y = AID_MAX(cut->y - reach, 0); y <= cut->y + reach && y < image->height; y++)
        for (int32_t x = AID_MAX(cut->x - reach, 0); x <= cut->x + reach && x < image->width; x++)
            peak = fmax(peak, fabs((double)aid_image_row(image, y)[x]));
    return peak;
}

static aid_status paint_cut(const paint_job *job, aid_candidate_pictures *cut, int view,
                            aid_error *err)
{
    double ratio = sound_ratio(&job->result->difference.match);
    double scale = view == AID_VIEW_REFERENCE && isfinite(ratio) ? ratio : 1.0;
    aid_shrink_input input = input_of(job->result, view);
    AID_CLEANUP(aid_image_done)
    aid_image image = {0};
    AID_CLEANUP(aid_mask_done)
    aid_mask veiled = {0};
    AID_TRY(aid_cut_out(&input, cut->x, cut->y, cut->half, scale, &image, &veiled, err));
    double sigma = job->summary->difference_sigma > 0.0 ? job->summary->difference_sigma : 1.0;
    double limit = view == AID_VIEW_SCORE ? cut->score_limit : cut->difference_limit_sigma * sigma;
    aid_stretch stretch = cut_stretch(job, cut);
    bool is_grey = view == AID_VIEW_SCIENCE || view == AID_VIEW_REFERENCE;
    return encode(job, &image, &veiled, is_grey ? &stretch : NULL, limit, &cut->png[view], err);
}

static int32_t nearest_pixel(double position, int32_t size)
{
    return isfinite(position) ? (int32_t)lround(AID_CLAMP(position, 0.0, (double)(size - 1))) : 0;
}

/* Five times the seeing either way shows the neighbourhood that a person judges by. */
static aid_status plan_cuts(const paint_job *job, aid_error *err)
{
    aid_report_pictures *pictures = job->pictures;
    const aid_process_result *result = job->result;
    const aid_image *image = &result->science.image;
    pictures->pictured = AID_MIN(pictures->clean + pictures->flagged, AID_REPORT_MAX_PICTURED);
    AID_TRY(aid_new_array((size_t)pictures->pictured, sizeof *pictures->cuts, "report",
                          &pictures->cuts, err));
    double fwhm = fmax(result->science.psf.fwhm_px, result->reference.psf.fwhm_px);
    fwhm = AID_CLAMP(fmax(fwhm, 0.0), 3.0, 6.2);
    double sigma = job->summary->difference_sigma;
    for (int i = 0; i < pictures->pictured; i++) {
        const aid_candidate *candidate = &result->candidates.items[pictures->order[i]];
        aid_candidate_pictures *cut = &pictures->cuts[i];
        cut->half = (int)ceil(5.0 * fwhm);
        cut->x = nearest_pixel(candidate->x - 1.0, image->width); /* FITS counts from 1 */
        cut->y = nearest_pixel(candidate->y - 1.0, image->height);
        double peak = sigma > 0.0 ? difference_peak(result, cut) / sigma : 0.0;
        cut->difference_limit_sigma = fmax(4.0, peak);
        cut->score_limit = fmax(7.0, fabs(candidate->score));
    }
    return AID_OK;
}

/* ------------------------------------------------------------------------------------ the tasks */

static aid_status paint_task(void *context, int64_t task, int worker, aid_error *err)
{
    (void)worker;
    paint_job *job = context;
    if (task >= FIRST_CUT) {
        int64_t index = task - FIRST_CUT;
        return paint_cut(job, &job->pictures->cuts[index / AID_VIEWS], (int)(index % AID_VIEWS),
                         err);
    }
    if (task >= FIRST_PSF)
        return paint_psf(job, (int)task - FIRST_PSF, err);
    int view = (int)task;
    const aid_shrunk *shrunk = &job->shrunk[view];
    return encode(job, &shrunk->mean, &shrunk->veiled,
                  view == AID_VIEW_DIFFERENCE ? NULL : &job->stretch[view],
                  job->pictures->overview_limit_sigma, &job->pictures->overview[view], err);
}

aid_status aid_report_paint(const aid_process_result *result, const aid_report_summary *summary,
                            aid_pool *pool, aid_report_pictures *ret_pictures, aid_error *err)
{
    AID_CLEANUP(aid_report_pictures_done)
    aid_report_pictures pictures = {0};
    AID_CLEANUP(paint_job_done)
    paint_job job = {.result = result, .summary = summary, .pictures = &pictures};
    aid_palette_grey(&job.grey);
    aid_palette_diverging(&job.diverging);
    AID_TRY(put_in_order(&result->candidates, &pictures, err));
    AID_TRY(prepare_overviews(&job, pool, err));
    AID_TRY(plan_cuts(&job, err));
    int64_t tasks = FIRST_CUT + (int64_t)pictures.pictured * AID_VIEWS;
    AID_TRY(aid_pool_run(pool, tasks, paint_task, &job, err));
    *ret_pictures = pictures;
    pictures = (aid_report_pictures){0};
    return AID_OK;
}

void aid_report_pictures_done(aid_report_pictures *pictures)
{
    for (int i = 0; i < pictures->pictured && pictures->cuts; i++)
        for (int view = 0; view < AID_VIEWS; view++)
            aid_bytes_done(&pictures->cuts[i].png[view]);
    for (int view = 0; view <= AID_VIEW_DIFFERENCE; view++) {
        aid_bytes_done(&pictures->overview[view]);
        aid_bytes_done(&pictures->psf[view]);
    }
    free(pictures->cuts);
    free(pictures->order);
    *pictures = (aid_report_pictures){0};
}
