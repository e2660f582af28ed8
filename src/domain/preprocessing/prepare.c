/* From decoded pixels to an exposure, step by step in the order of aid_prepare_exposure below. */
#include "core/base/memory.h"
#include "core/imaging/stats.h"
#include "domain/preprocessing/prepare_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MIN_SIDE_PX = 32,
    VIEW_PX = 1024,  /* side of the part that the seeing is first read off */
    VIEW_STARS = 20, /* too few there: the whole image is searched */
    MIN_STARS = 5,   /* fewer say nothing about the narrowest star */
    SAMPLE = 4096
};
static const uint8_t unsound =
    AID_MASK_BAD | AID_MASK_SATURATED | AID_MASK_COSMIC_RAY | AID_MASK_NO_DATA;
static const double narrowest_without_stars_px = 0.6; /* Gaussian sigma: FWHM 1.4 px */
static const double most_hits = 0.05; /* of the pixels: a long exposure in space has as many */
static const double narrowest_share = 0.85; /* of the narrowest stars' minor axis */

typedef struct preparation {
    const aid_prepare_options *options;
    const aid_image *variance;
    const aid_camera *camera; /* NULL: unknown */
    aid_pool *pool;
    aid_notes *notes;
    aid_exposure *exposure;
    double sky, sigma; /* medians of the meshes, raw unit */
    aid_blocks blocks;
} preparation;

static void preparation_done(preparation *job)
{
    aid_blocks_done(&job->blocks);
}

#define NOTE(job, format, ...)                                                                     \
    aid_note_add((job)->notes, AID_PREPARE_STAGE, "%s: " format, (job)->exposure->name, __VA_ARGS__)

/* ------------------------------------------------------------------------------------- input */

static aid_status check_shapes(const aid_exposure *exposure, const aid_image *variance,
                               aid_error *err)
{
    const aid_image *image = &exposure->image;
    const aid_mask *mask = &exposure->mask;
    if (image->width < MIN_SIDE_PX || image->height < MIN_SIDE_PX)
        AID_FAIL(err, AID_ERR_INVALID, "%s: %d x %d pixels are too few: at least %d x %d",
                 exposure->name, image->width, image->height, MIN_SIDE_PX, MIN_SIDE_PX);
    if (mask->data && (mask->width != image->width || mask->height != image->height))
        AID_FAIL(err, AID_ERR_INVALID, "%s: image of %d x %d pixels, mask of %d x %d",
                 exposure->name, image->width, image->height, mask->width, mask->height);
    if (variance && variance->data &&
        (variance->width != image->width || variance->height != image->height))
        AID_FAIL(err, AID_ERR_INVALID, "%s: image of %d x %d pixels, variance of %d x %d",
                 exposure->name, image->width, image->height, variance->width, variance->height);
    return AID_OK;
}

static aid_status take_input(const aid_prepare_input *input, aid_exposure *exposure, aid_error *err)
{
    exposure->image = *input->take_image;
    *input->take_image = (aid_image){0};
    if (input->take_mask) {
        exposure->mask = *input->take_mask;
        *input->take_mask = (aid_mask){0};
    }
    snprintf(exposure->name, sizeof exposure->name, "%s", input->name ? input->name : "image");
    AID_TRY(check_shapes(exposure, input->variance, err));
    if (!exposure->mask.data)
        AID_TRY(aid_mask_init(exposure->image.width, exposure->image.height, &exposure->mask, err));
    int64_t pixels = (int64_t)exposure->mask.width * exposure->mask.height;
    for (int64_t i = 0; i < pixels;
         i++) /* bits that speak of kernels and differences mean nothing yet */
        exposure->mask.data[i] &= unsound;
    if (input->header)
        AID_TRY(aid_header_copy(input->header, &exposure->header, err));
    return AID_OK;
}

/* Pixels whose stated variance is no variance hold no data. */
static void mask_by_variance(preparation *job)
{
    aid_exposure *exposure = job->exposure;
    if (!job->variance || !job->variance->data)
        return;
    for (int32_t y = 0; y < exposure->image.height; y++) {
        const float *row = aid_image_row(job->variance, y);
        uint8_t *mask = aid_mask_row(&exposure->mask, y);
        for (int32_t x = 0; x < exposure->image.width; x++)
            if (!(row[x] > 0.0f && isfinite(row[x])))
                mask[x] |= AID_MASK_NO_DATA;
    }
}

/* A pixel that is known to be bad and therefore has no value is a defect, not the end of the image:
 * candidates beside it are none at an edge. */
static void tell_defects_from_gaps(const aid_mask *mask)
{
    int64_t pixels = (int64_t)mask->width * mask->height;
    for (int64_t i = 0; i < pixels; i++)
        if (mask->data[i] & AID_MASK_BAD)
            mask->data[i] &= (uint8_t)~AID_MASK_NO_DATA;
}

static aid_status check_content(const preparation *job, aid_error *err)
{
    const aid_exposure *exposure = job->exposure;
    float least = INFINITY, greatest = -INFINITY;
    int64_t missing = 0, usable = 0, pixels;
    pixels = (int64_t)exposure->image.width * exposure->image.height;
    for (int32_t y = 0; y < exposure->image.height; y++) {
        const float *row = aid_image_row(&exposure->image, y);
        const uint8_t *mask = aid_mask_row(&exposure->mask, y);
        for (int32_t x = 0; x < exposure->image.width; x++) {
            missing += isfinite(row[x]) ? 0 : 1;
            if (mask[x])
                continue;
            usable++;
            least = AID_MIN(least, row[x]);
            greatest = AID_MAX(greatest, row[x]);
        }
    }
    if (missing == pixels)
        AID_FAIL(err, AID_ERR_INVALID, "%s: all %d x %d pixels are NaN or infinite", exposure->name,
                 exposure->image.width, exposure->image.height);
    if (usable < (int64_t)MIN_SIDE_PX * MIN_SIDE_PX)
        AID_FAIL(err, AID_ERR_INVALID,
                 "%s: only %lld of %d x %d pixels are usable, %lld are NaN, the others masked",
                 exposure->name, (long long)usable, exposure->image.width, exposure->image.height,
                 (long long)missing);
    if (!(greatest > least))
        AID_FAIL(err, AID_ERR_INVALID, "%s: constant: every usable pixel is %g", exposure->name,
                 (double)least);
    return AID_OK;
}

/* ------------------------------------------------------------------------- masks of raw pixels */

/* Variances, and squares of fluxes of bright stars, have to be numbers that a float can hold. */
static const double least_noise = 1e-18, greatest_noise = 1e12;

static aid_status measure_raw_sky(preparation *job, aid_error *err)
{
    aid_exposure *exposure = job->exposure;
    aid_background_options options = AID_BACKGROUND_DEFAULTS;
    options.cell_px = job->options->background_cell_px;
    aid_mesh_done(&exposure->background);
    aid_mesh_done(&exposure->noise);
    AID_TRY(aid_background_measure(&exposure->image, &exposure->mask, &options, job->pool,
                                   &exposure->background, &exposure->noise, err));
    job->sky = aid_mesh_median(&exposure->background);
    job->sigma = aid_mesh_median(&exposure->noise);
    if (!(job->sigma > 0.0))
        AID_FAIL(err, AID_ERR_INVALID, "%s: the sky has no noise: most pixels are %g",
                 exposure->name, job->sky);
    if (job->sigma < least_noise || job->sigma > greatest_noise)
        AID_FAIL(err, AID_ERR_INVALID,
                 "%s: the sky has a noise of %g; between %g and %g can be worked with: another "
                 "unit is needed",
                 exposure->name, job->sigma, least_noise, greatest_noise);
    return AID_OK;
}

static aid_status mask_lines(preparation *job, aid_error *err)
{
    aid_exposure *exposure = job->exposure;
    int columns = 0, rows = 0;
    AID_TRY(aid_prepare_mask_lines(&exposure->image, &exposure->mask, &exposure->background,
                                   &exposure->noise, job->pool, &columns, &rows, err));
    if (columns > 0 || rows > 0)
        NOTE(job, "bad lines masked: %d pieces of columns and %d of rows, of 256 px each", columns,
             rows);
    return AID_OK;
}

/* DATAMAX is a saturation level to some and, as the standard has it, the greatest pixel to others.
 */
static double datamax(const preparation *job)
{
    double level;
    if (!aid_header_number(&job->exposure->header, "DATAMAX", &level) ||
        level < job->sky + 10.0 * job->sigma)
        return INFINITY;
    double greatest = -INFINITY;
    for (int32_t y = 0; y < job->exposure->image.height; y++) {
        const float *row = aid_image_row(&job->exposure->image, y);
        for (int32_t x = 0; x < job->exposure->image.width; x++)
            greatest = AID_MAX((double)row[x], greatest); /* a NaN loses */
    }
    return fabs(greatest - level) <= 1e-6 * fabs(level) ? INFINITY : level;
}

/* The header may be right about the converter and wrong about the pixels, which have been scaled or
 * combined since: a clear ceiling in the histogram below it counts more. */
static aid_status find_saturation(preparation *job, aid_error *err)
{
    aid_exposure *exposure = job->exposure;
    char *origin = exposure->saturation_origin;
    if (isfinite(job->options->saturation)) {
        exposure->saturation = job->options->saturation;
        snprintf(origin, sizeof exposure->saturation_origin, "option");
        return AID_OK;
    }
    double level =
        aid_prepare_header_saturation(&exposure->header, job->camera, job->sky, job->sigma, origin);
    if (!isfinite(level)) {
        level = datamax(job);
        snprintf(origin, sizeof exposure->saturation_origin, "%s",
                 isfinite(level) ? "header DATAMAX" : "unknown");
    }
    double pile;
    AID_TRY(
        aid_prepare_pile_up(&exposure->image, &exposure->mask, job->sky, job->sigma, &pile, err));
    if (pile < 0.95 * level) {
        if (isfinite(level))
            NOTE(job, "pixels pile up at %g, below the saturation of %g from %s", pile, level,
                 origin);
        else
            NOTE(job, "no saturation in the header; pixels pile up at %g, which is taken for it",
                 pile);
        level = pile;
        snprintf(origin, sizeof exposure->saturation_origin, "histogram");
    }
    exposure->saturation = level;
    return AID_OK;
}

static aid_status mask_raw(preparation *job, aid_error *err)
{
    aid_exposure *exposure = job->exposure;
    AID_TRY(mask_lines(job, err));
    AID_TRY(find_saturation(job, err));
    return aid_prepare_mask_saturated(&exposure->image, &exposure->mask, exposure->saturation,
                                      job->sky, job->sigma, err);
}

/* ------------------------------------------------------------------------------- sky and noise */

/* The clipped rms of whole cells counts faint stars as noise; that of fine detail does not. */
static aid_status measure_sky(preparation *job, aid_error *err)
{
    aid_exposure *exposure = job->exposure;
    AID_TRY(aid_prepare_subtract_mesh(&exposure->image, &exposure->background, job->pool, err));
    AID_TRY(aid_blocks_init(&exposure->image, &exposure->mask, job->pool, &job->blocks, err));
    AID_TRY(aid_prepare_measure_sky(&exposure->image, &job->blocks,
                                    job->options->background_cell_px, &exposure->background,
                                    &exposure->noise, job->pool, err));
    job->sky = aid_mesh_median(&exposure->background);
    return AID_OK;
}

/* Var[(a - b - c + d)/2] = sigma^2 (1 - rho_x - rho_y + (rho_xy + rho_-xy)/2). */
static double detail_per_sigma(const aid_noise_correlation *correlation)
{
    const float(*rho)[2 * AID_NOISE_LAG + 1] = correlation->rho;
    int c = AID_NOISE_LAG;
    double power = 1.0 - (double)rho[c][c + 1] - (double)rho[c + 1][c] +
                   0.5 * ((double)rho[c + 1][c + 1] + (double)rho[c + 1][c - 1]);
    return sqrt(AID_MAX(power, 0.05));
}

static aid_status measure_noise(preparation *job, aid_error *err)
{
    aid_exposure *exposure = job->exposure;
    AID_TRY(
        aid_prepare_correlation(exposure, &job->blocks, job->pool, &exposure->correlation, err));
    double factor = 1.0 / detail_per_sigma(&exposure->correlation);
    for (int64_t i = 0; i < (int64_t)exposure->noise.nx * exposure->noise.ny; i++)
        exposure->noise.values[i] = (float)((double)exposure->noise.values[i] * factor);
    double noise = aid_mesh_median(&exposure->noise);
    if (fabs(job->sigma / noise - 1.0) > 0.1)
        NOTE(job, "noise %.4g from fine detail, %.4g from clipping: the field is crowded or patchy",
             noise, job->sigma);
    double rho = (double)exposure->correlation.rho[AID_NOISE_LAG][AID_NOISE_LAG + 1];
    double rho_y = (double)exposure->correlation.rho[AID_NOISE_LAG + 1][AID_NOISE_LAG];
    if (rho != 0.0 || rho_y != 0.0)
        NOTE(job, "noise of neighbouring pixels is correlated: %.3f in x, %.3f in y", rho, rho_y);
    if (!exposure->correlation.measured)
        NOTE(job, "%s",
             "too little empty sky to measure how the noise is correlated: taken as white");
    job->sigma = noise;
    return AID_OK;
}

static void compare_with_stated_variance(const preparation *job)
{
    const aid_exposure *exposure = job->exposure;
    if (!job->variance || !job->variance->data)
        return;
    double ratios[SAMPLE];
    int count = 0;
    int64_t pixels = (int64_t)exposure->image.width * exposure->image.height;
    int64_t step = AID_MAX(pixels / SAMPLE, 1) | 1;
    for (int64_t i = 0; i < pixels && count < SAMPLE; i += step) {
        int32_t x = (int32_t)(i % exposure->image.width), y = (int32_t)(i / exposure->image.width);
        double noise = aid_mesh_at(&exposure->noise, x, y);
        if (!aid_mask_row(&exposure->mask, y)[x] &&
            fabs((double)aid_image_row(&exposure->image, y)[x]) < 2.0 * noise)
            ratios[count++] = sqrt((double)aid_image_row(job->variance, y)[x]) / noise;
    }
    double ratio = aid_median_in_place_f64(ratios, count);
    if (isfinite(ratio))
        NOTE(job, "the stated variance gives %.3f times the measured sky noise", ratio);
}

/* ---------------------------------------------------------------------------- stars and hits */

static aid_status find_stars_in_view(const preparation *job, int32_t side, aid_stars *ret_stars,
                                     aid_error *err)
{
    const aid_image *image = &job->exposure->image;
    aid_image view = *image;
    view.width = AID_MIN(image->width, side);
    view.height = AID_MIN(image->height, side);
    view.data =
        aid_image_row(image, (image->height - view.height) / 2) + (image->width - view.width) / 2;
    float sigma = (float)aid_mesh_median(&job->exposure->noise);
    aid_mesh noise = {view.width, view.height, 1, 1, view.width, view.height, &sigma};
    aid_stars_options options = AID_STARS_DEFAULTS;
    options.threshold = 20.0;
    options.max_stars = 500;
    const aid_mask no_mask = {0}; /* masked pixels are filled */
    return aid_stars_find(&view, &no_mask, &noise, &options, job->pool, ret_stars, err);
}

/* The minor axis of the narrowest things that are as round as stars; NaN when there are too few. */
static double narrowest_of(const aid_stars *stars)
{
    double minor[500];
    int count = 0;
    for (int i = 0; i < stars->count && count < (int)AID_COUNT_OF(minor); i++) {
        const aid_star *star = &stars->items[i];
        if (!(star->flags & (AID_STAR_TRUNCATED | AID_STAR_NO_WINDOW)) && star->b > 0.6 &&
            star->b > 0.4 * star->a && star->flux > 20.0 * star->flux_err)
            minor[count++] = star->b;
    }
    return count < MIN_STARS ? NAN : aid_quantile_in_place_f64(minor, count, 0.05);
}

/* Sharpness is judged by the image's own stars: a first look at them, for their width only. */
static aid_status mask_hits(preparation *job, aid_error *err)
{
    aid_exposure *exposure = job->exposure;
    AID_CLEANUP(aid_stars_done)
    aid_stars stars = {0};
    AID_TRY(find_stars_in_view(job, VIEW_PX, &stars, err));
    if (stars.count < VIEW_STARS &&
        (exposure->image.width > VIEW_PX || exposure->image.height > VIEW_PX)) {
        aid_stars_done(&stars);
        AID_TRY(find_stars_in_view(job, AID_MAX_IMAGE_SIDE, &stars, err));
    }
    double narrowest = narrowest_of(&stars) * narrowest_share;
    if (isnan(narrowest))
        narrowest = narrowest_without_stars_px;
    int64_t pixels = (int64_t)exposure->mask.width * exposure->mask.height;
    AID_CLEANUP(aid_free_pointer)
    uint8_t *before = NULL;
    AID_TRY(aid_new_buffer((size_t)pixels, 1, "mask", &before, err));
    memcpy(before, exposure->mask.data, (size_t)pixels);
    aid_hits hits;
    AID_TRY(aid_prepare_mask_hits(&exposure->image, &exposure->mask, &exposure->noise,
                                  exposure->gain, narrowest, job->pool, &hits, err));
    for (int64_t i = 0; i < pixels; i++) /* a hit that came with the image is no hot pixel now */
        if (before[i] & AID_MASK_COSMIC_RAY)
            exposure->mask.data[i] = before[i];
    if ((double)(hits.single + hits.several + hits.cold) > most_hits * (double)pixels) {
        memcpy(exposure->mask.data, before, (size_t)pixels);
        NOTE(job,
             "%lld pixels are sharper than any star, too many for cosmic rays (a colour mosaic?): "
             "not masked",
             (long long)(hits.single + hits.several + hits.cold));
    } else if (hits.single + hits.several + hits.cold > 0)
        NOTE(job,
             "sharper than any star and masked: %lld single pixels, %lld of cosmic rays; %lld "
             "too low",
             (long long)hits.single, (long long)hits.several, (long long)hits.cold);
    return AID_OK;
}

static aid_status find_stars(preparation *job, aid_error *err)
{
    aid_exposure *exposure = job->exposure;
    aid_stars_options options = AID_STARS_DEFAULTS;
    options.threshold = job->options->star_threshold;
    options.gain = isfinite(exposure->gain) ? exposure->gain : 0.0;
    AID_TRY(aid_stars_find(&exposure->image, &exposure->mask, &exposure->noise, &options, job->pool,
                           &exposure->stars, err));
    if (exposure->stars.count < MIN_STARS)
        NOTE(job, "only %d stars above %g sigma", exposure->stars.count, options.threshold);
    return AID_OK;
}

/* Without a PSF the exposure still stands: who needs one decides. */
aid_status aid_prepare_build_psf(aid_exposure *exposure, aid_pool *pool, aid_notes *notes,
                                 aid_error *ret_reason, aid_error *err)
{
    aid_psf_options options = AID_PSF_DEFAULTS;
    options.gain = exposure->gain;
    ret_reason->message[0] = '\0';
    aid_status status =
        aid_psf_build(&exposure->image, &exposure->mask, &exposure->noise, &exposure->stars,
                      &options, pool, notes, &exposure->psf, ret_reason);
    if (status == AID_ERR_NOMEM || status == AID_ERR_CANCELLED) {
        if (err)
            *err = *ret_reason;
        return status;
    }
    if (status != AID_OK)
        exposure->psf = (aid_psf){0};
    return AID_OK;
}

static aid_status build_psf(preparation *job, aid_error *err)
{
    aid_error reason;
    AID_TRY(aid_prepare_build_psf(job->exposure, job->pool, job->notes, &reason, err));
    if (job->exposure->psf.terms == 0)
        NOTE(job, "no PSF: %s", reason.message);
    return AID_OK;
}

/* --------------------------------------------------------------------------------- calibration */

/* A pedestal makes a sky brighter than its noise tells, but in variance never by this factor:
 * there the pixels were divided by something and the card was left as it was. */
static const double most_pedestal = 500.0;

static void set_gain(preparation *job)
{
    aid_exposure *exposure = job->exposure;
    if (isfinite(job->options->gain)) {
        exposure->gain = job->options->gain;
        snprintf(exposure->gain_origin, sizeof exposure->gain_origin, "option");
        return;
    }
    exposure->gain = aid_prepare_header_gain(&exposure->header, job->camera, exposure->name,
                                             job->notes, exposure->gain_origin);
    exposure->gain = aid_prepare_stack_gain(&exposure->header, exposure->gain, job->sky, job->sigma,
                                            exposure->name, job->notes);
    if (job->sky > most_pedestal * exposure->gain * job->sigma * job->sigma) {
        NOTE(job,
             "%s = %g would make the noise of a sky of %.4g %.3g, not %.3g: the pixels were "
             "rescaled, it is not used",
             exposure->gain_origin, exposure->gain, job->sky, sqrt(job->sky / exposure->gain),
             job->sigma);
        exposure->gain = NAN;
    }
    if (isfinite(exposure->gain))
        return;
    exposure->gain = INFINITY;
    snprintf(exposure->gain_origin, sizeof exposure->gain_origin, "unknown");
}

/* A little correlation does not change the variance by much. */
static bool is_nearly_white(const aid_noise_correlation *correlation)
{
    for (int j = 0; j <= 2 * AID_NOISE_LAG; j++)
        for (int i = 0; i <= 2 * AID_NOISE_LAG; i++)
            if ((i != AID_NOISE_LAG || j != AID_NOISE_LAG) &&
                fabs((double)correlation->rho[j][i]) > 0.15)
                return false;
    return true;
}

/* sigma^2 = level/gain + read noise: level/sigma^2 is the gain of a frame without pedestal whose
 * sky outshines the read noise, and the best guess there is without one. Beyond what detectors
 * have, the sky was subtracted or the pedestal was not. */
static void check_gain_on_sky(preparation *job)
{
    aid_exposure *exposure = job->exposure;
    double from_sky = job->sky / (job->sigma * job->sigma);
    if (isfinite(exposure->gain)) {
        if (job->sky / exposure->gain > 1.5 * job->sigma * job->sigma)
            NOTE(job,
                 "a sky of %g at gain %g should have a noise of %.4g, not %.4g: a pedestal, or "
                 "the gain is wrong",
                 job->sky, exposure->gain, sqrt(job->sky / exposure->gain), job->sigma);
        return;
    }
    if (from_sky >= 0.2 && from_sky <= 10.0 && is_nearly_white(&exposure->correlation)) {
        exposure->gain = from_sky;
        snprintf(exposure->gain_origin, sizeof exposure->gain_origin, "measured");
        NOTE(job,
             "gain unknown: %.3g e- from level and noise of the sky (too high if a bias is left "
             "in, too low if read noise counts)",
             from_sky);
        return;
    }
    NOTE(job, "%s", "gain unknown and not measurable on the sky: no noise is counted for sources");
}

static void set_zero_point(preparation *job)
{
    aid_exposure *exposure = job->exposure;
    exposure->zero_point = job->options->zero_point;
    if (isfinite(exposure->zero_point)) {
        snprintf(exposure->zero_point_origin, sizeof exposure->zero_point_origin, "option");
        return;
    }
    exposure->zero_point =
        aid_prepare_header_zero_point(&exposure->header, exposure->zero_point_origin);
}

static aid_status set_place_and_time(preparation *job, aid_error *err)
{
    aid_exposure *exposure = job->exposure;
    exposure->epoch = aid_epoch_from_header(&exposure->header);
    if (exposure->epoch.warning[0])
        NOTE(job, "%s", exposure->epoch.warning);
    aid_error reason = {0};
    aid_status status = aid_wcs_new(&exposure->header, &exposure->wcs, &reason);
    if (status == AID_ERR_NOMEM) {
        if (err)
            *err = reason;
        return status;
    }
    if (status != AID_OK) {
        exposure->wcs = NULL;
        NOTE(job, "WCS ignored: %s", reason.message);
    }
    return AID_OK;
}

static void note_masked(const preparation *job)
{
    const aid_mask *mask = &job->exposure->mask;
    int64_t counts[4] = {0}, any = 0, pixels = (int64_t)mask->width * mask->height;
    for (int64_t i = 0; i < pixels; i++) {
        any += mask->data[i] & unsound ? 1 : 0;
        for (int k = 0; k < 4; k++) /* BAD, SATURATED, COSMIC_RAY, NO_DATA are bits 0 to 3 */
            counts[k] += mask->data[i] >> k & 1;
    }
    if (any > 0)
        NOTE(job,
             "%.3f %% of the pixels masked: %lld bad, %lld saturated, %lld cosmic ray, %lld "
             "without data",
             100.0 * (double)any / (double)pixels, (long long)counts[0], (long long)counts[1],
             (long long)counts[2], (long long)counts[3]);
}

/* ---------------------------------------------------------------------------------------- face */

static aid_status mask_unexposed(preparation *job, aid_error *err)
{
    double fraction;
    AID_TRY(aid_prepare_mask_unexposed(&job->exposure->image, &job->exposure->mask, job->pool,
                                       &fraction, err));
    if (fraction > 0.0)
        aid_note_add(job->notes, AID_PREPARE_STAGE,
                     "%s: %.1f %% of the detector, at its border, is dark: masked as unexposed",
                     job->exposure->name, 100.0 * fraction);
    return AID_OK;
}

static aid_status prepare(preparation *job, aid_error *err)
{
    aid_exposure *exposure = job->exposure;
    AID_TRY(aid_prepare_mask_blanks(&exposure->image, &exposure->mask, job->pool, err));
    mask_by_variance(job);
    tell_defects_from_gaps(&exposure->mask);
    AID_TRY(mask_unexposed(job, err));
    AID_TRY(check_content(job, err));
    AID_TRY(set_place_and_time(job, err));
    set_zero_point(job);
    AID_TRY(measure_raw_sky(job, err));
    set_gain(job);
    AID_TRY(mask_raw(job, err));
    AID_TRY(measure_sky(job, err));
    AID_TRY(aid_fill_masked(&exposure->image, &exposure->mask, unsound, job->pool, err));
    AID_TRY(mask_hits(job, err));
    AID_TRY(aid_fill_masked(&exposure->image, &exposure->mask, unsound, job->pool, err));
    AID_TRY(find_stars(job, err));
    AID_TRY(measure_noise(job, err));
    aid_blocks_done(&job->blocks);
    check_gain_on_sky(job);
    compare_with_stated_variance(job);
    note_masked(job);
    return job->options->skip_psf ? AID_OK : build_psf(job, err);
}

aid_status aid_prepare_exposure(const aid_prepare_input *input, const aid_prepare_options *options,
                                aid_pool *pool, aid_notes *notes, aid_exposure *ret_exposure,
                                aid_error *err)
{
    AID_CLEANUP(aid_exposure_done)
    aid_exposure exposure = {0};
    AID_TRY(take_input(input, &exposure, err));
    AID_CLEANUP(preparation_done)
    preparation job = {.options = options,
                       .variance = input->variance,
                       .camera = aid_camera_of(&exposure.header),
                       .pool = pool,
                       .notes = notes,
                       .exposure = &exposure};
    aid_status status = prepare(&job, err);
    if (status == AID_ERR_NUMERIC) /* pixels that defeat the arithmetic are the file's fault */
        return aid_error_prefix(err, AID_ERR_INVALID, "%s", exposure.name);
    AID_TRY(status);
    *ret_exposure = exposure;
    exposure = (aid_exposure){0};
    return AID_OK;
}
