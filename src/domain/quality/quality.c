/* Every number of one image, and the score that they come to. */
#include "domain/quality/quality.h"

#include "domain/quality/internal.h"

static const double round_enough = 0.3;    /* ellipticity that halves the score */
static const double saturated_spoils = 20; /* pixels that one saturated pixel makes unusable */
static const double stars_wanted = 2.0;    /* so many halve the score: nothing to lock on to */

/* The depth, times what makes even a deep image less useful. Each factor is within 0..1. */
void aid_quality_score(aid_quality *q, double attainable_flux, aid_quality_yardstick yardstick)
{
    double loss = q->limiting_flux / attainable_flux, depth = 1.0;
    q->depth_loss_mag = NAN;
    if (!(q->limiting_flux > 0.0)) {
        depth = 0.0; /* no star tells how sharp it is */
    } else if (attainable_flux > 0.0 && isfinite(attainable_flux)) {
        q->depth_loss_mag = AID_MAX(2.5 * log10(loss), 0.0);
        depth = yardstick == AID_QUALITY_BY_GROUP ? AID_MIN(1.0 / loss, 1.0)
                                                  : 1.0 - pow(4.0, -1.0 / loss);
    }
    double elongation = isfinite(q->ellipticity) ? q->ellipticity / round_enough : 0.0;
    double round = 1.0 / (1.0 + elongation * elongation * elongation);
    double area = 1.0 - 0.01 * AID_CLAMP(q->masked_percentage, 0.0, 100.0);
    double unsaturated = 1.0 / (1.0 + 0.01 * saturated_spoils * q->saturation_percentage);
    double anchored = (double)q->stars / ((double)q->stars + stars_wanted);
    q->overall_quality_score = depth * round * area * unsaturated * anchored;
    q->class = aid_quality_class_of(q->overall_quality_score);
}

static aid_status check(const aid_exposure *exposure, aid_error *err)
{
    const aid_image *image = &exposure->image;
    const aid_mask *mask = &exposure->mask;
    if (!image->data || image->width < 1 || image->height < 1)
        AID_FAIL(err, AID_ERR_INVALID, "%s: an exposure without pixels", exposure->name);
    if (!mask->data || mask->width != image->width || mask->height != image->height)
        AID_FAIL(err, AID_ERR_INVALID, "%s: image of %d x %d pixels, mask of %d x %d",
                 exposure->name, image->width, image->height, mask->width, mask->height);
    return AID_OK;
}

aid_status aid_quality_assess(const aid_exposure *exposure, const aid_quality_options *options,
                              aid_pool *pool, aid_notes *notes, aid_quality *ret_quality,
                              aid_error *err)
{
    aid_quality_options usual = AID_QUALITY_DEFAULTS;
    options = options ? options : &usual;
    aid_quality quality = {.alignment_accuracy_px = options->alignment_rms_px, .transparency = NAN};
    AID_TRY(check(exposure, err));
    AID_TRY(aid_quality_background_of(exposure, options->background_estimator,
                                      &quality.background_level, err));
    AID_TRY(aid_quality_noise_of(exposure, options->noise_estimator, &quality.noise_level, err));
    AID_TRY(aid_quality_count_masked(exposure, &quality, err));
    AID_TRY(aid_quality_measure_seeing(exposure, &quality, err));
    AID_TRY(aid_quality_measure_flatness(exposure, pool, &quality, err));
    aid_quality_expect(exposure, &quality, notes);
    aid_quality_score(&quality, quality.expected_flux, AID_QUALITY_BY_EXPECTATION);
    quality.alignment_failed = options->alignment_failed;
    quality.flags = aid_quality_own_flags(&quality);
    if (isnan(quality.fwhm_px))
        aid_note_add(notes, AID_QUALITY_STAGE,
                     "%s: too few stars (%lld) for a seeing: no limiting flux, and a score of 0",
                     exposure->name, (long long)quality.stars);
    *ret_quality = quality;
    return AID_OK;
}
