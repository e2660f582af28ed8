/* Names and flags: what one image can say against itself, in units of its own noise, stars and
 * expectation. */
#include "domain/quality/internal.h"
#include "domain/quality/series_internal.h"

#include <stdio.h>
#include <string.h>

const char *aid_quality_class_name(aid_quality_class class)
{
    static const char *const names[] = {"poor", "fair", "good", "excellent"};
    return (size_t) class < AID_COUNT_OF(names) ? names[class] : "unknown";
}

aid_quality_class aid_quality_class_of(double score)
{
    if (score >= 0.75)
        return AID_QUALITY_EXCELLENT;
    if (score >= 0.5)
        return AID_QUALITY_GOOD;
    return score >= 0.25 ? AID_QUALITY_FAIR : AID_QUALITY_POOR;
}

const char *aid_quality_flag_name(unsigned bit)
{
    static const char *const names[] = {
        "high_background", "high_noise",  "bad_seeing", "trailed",   "uneven_seeing",
        "few_stars",       "clouds",      "shallow",    "gradient",  "not_flat",
        "saturated",       "cosmic_rays", "masked",     "misaligned"};
    for (unsigned i = 0; i < AID_COUNT_OF(names); i++)
        if (bit == 1u << i)
            return names[i];
    return NULL;
}

void aid_quality_flags_text(unsigned flags, char ret_text[AID_QUALITY_FLAGS_TEXT])
{
    size_t length = 0;
    ret_text[0] = '\0';
    for (int i = 0; i < AID_QUALITY_FLAG_BITS; i++)
        if (flags & 1u << i && length < AID_QUALITY_FLAGS_TEXT)
            length += (size_t)snprintf(ret_text + length, AID_QUALITY_FLAGS_TEXT - length, "%s%s",
                                       length ? "|" : "", aid_quality_flag_name(1u << i));
}

/* NaN compares as false, so that what is unknown raises no flag. */
unsigned aid_quality_own_flags(const aid_quality *q)
{
    double read_noise = isfinite(q->read_noise_e) ? q->read_noise_e : 0.0;
    double sky_variance = q->background_level / q->gain;
    double known_variance = sky_variance + read_noise * read_noise / (q->gain * q->gain);
    double variance = q->noise_level * q->noise_level;
    /* Without zero point and scale the sky that is expected is a guess to within a few times. */
    bool calibrated = isfinite(q->zero_point) && isfinite(q->pixel_scale_arcsec);
    double excess = calibrated ? 2.5 : 5.0;
    double detected = (double)AID_MAX(q->stars, 1);
    const struct {
        unsigned bit;
        bool raised;
    } tests[] = {
        /* the limit is a magnitude off, and mostly because of noise that the sky's light makes */
        {AID_QUALITY_HIGH_BACKGROUND,
         q->noise_level > excess * q->expected_noise && sky_variance > 0.5 * variance},
        /* more than light and read noise explain: pick-up, a pattern, dark current */
        {AID_QUALITY_HIGH_NOISE, q->background_level > 0.0 && variance > 2.25 * known_variance},
        {AID_QUALITY_BAD_SEEING, q->fwhm_px > 2.0 * q->expected_fwhm_px},
        {AID_QUALITY_TRAILED, q->ellipticity > 0.25},
        {AID_QUALITY_UNEVEN_SEEING, q->fwhm_variation > 0.3},
        /* too few for a width and an ellipticity, let alone a PSF */
        {AID_QUALITY_FEW_STARS, q->stars < 5 || isnan(q->fwhm_px)},
        {AID_QUALITY_GRADIENT,
         q->background_range > 3.0 * q->noise_level && !(q->background_gradient < 0.03)},
        {AID_QUALITY_NOT_FLAT, q->large_scale_rms > q->noise_level},
        {AID_QUALITY_SATURATED,
         q->saturation_percentage > 1.0 || (double)q->saturated_stars > 0.1 * detected},
        {AID_QUALITY_COSMIC_RAYS, q->cosmic_ray_percentage > 0.2},
        {AID_QUALITY_MASKED, q->masked_percentage > 10.0},
        {AID_QUALITY_MISALIGNED,
         q->alignment_failed || q->alignment_accuracy_px > 0.1 * q->fwhm_px},
    };
    unsigned flags = 0;
    for (size_t i = 0; i < AID_COUNT_OF(tests); i++)
        flags |= tests[i].raised ? tests[i].bit : 0u;
    return flags;
}

/* Above the group's median by `relative` of it and by five times the scatter. */
static bool stands_out(double value, const aid_quality_trend *trend, double relative)
{
    return value > (1.0 + relative) * trend->median && value > trend->median + 5.0 * trend->scatter;
}

unsigned aid_quality_flags_in_group(const aid_quality_frame *frame, const aid_quality_group *group)
{
    /* What only the yardstick of a lone frame says, a group knows better. */
    const unsigned relative = AID_QUALITY_HIGH_BACKGROUND | AID_QUALITY_BAD_SEEING;
    unsigned flags = aid_quality_own_flags(&frame->quality);
    const aid_quality_trend *trends = group->trends;
    if (frame->quality.transparency < 0.8)
        flags |= AID_QUALITY_CLOUDS;
    if (!frame->rated_by_group)
        return flags;
    flags &= ~relative;
    if (stands_out(frame->metrics[AID_METRIC_BACKGROUND], &trends[AID_METRIC_BACKGROUND], 0.5))
        flags |= AID_QUALITY_HIGH_BACKGROUND;
    if (stands_out(frame->metrics[AID_METRIC_SEEING], &trends[AID_METRIC_SEEING], 0.25))
        flags |= AID_QUALITY_BAD_SEEING;
    if (frame->metrics[AID_METRIC_ELLIPTICITY] > 0.1 &&
        stands_out(frame->metrics[AID_METRIC_ELLIPTICITY], &trends[AID_METRIC_ELLIPTICITY], 0.5))
        flags |= AID_QUALITY_TRAILED;
    if (frame->metrics[AID_METRIC_DEPTH] > 0.5)
        flags |= AID_QUALITY_SHALLOW;
    return flags;
}
