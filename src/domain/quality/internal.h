/* Private to this folder: the parts of aid_quality_assess. */
#ifndef AID_DOMAIN_QUALITY_INTERNAL_H
#define AID_DOMAIN_QUALITY_INTERNAL_H

#include "domain/quality/quality.h"

#define AID_QUALITY_STAGE "quality"

/* Bits of a pixel that says nothing about the sky. */
enum {
    AID_QUALITY_UNSOUND = AID_MASK_BAD | AID_MASK_SATURATED | AID_MASK_COSMIC_RAY | AID_MASK_NO_DATA
};

/* The image as it was before its background was taken off. */
void aid_quality_raw_row(const aid_exposure *exposure, int32_t y, float *row);

/* estimators.c. Fail with AID_ERR_NUMERIC when no pixel is sound. */
AID_MUST_USE aid_status aid_quality_background_of(const aid_exposure *exposure,
                                                  aid_quality_background estimator,
                                                  double *ret_level, aid_error *err);
AID_MUST_USE aid_status aid_quality_noise_of(const aid_exposure *exposure,
                                             aid_quality_noise estimator, double *ret_noise,
                                             aid_error *err);

/* seeing.c: fwhm, ellipticity, theta, variation, stars, noise area and limiting flux; needs
 * noise_level. */
AID_MUST_USE aid_status aid_quality_measure_seeing(const aid_exposure *exposure,
                                                   aid_quality *quality, aid_error *err);

/* sky.c: the background on a grid of 8 x 8 cells, whatever the size of the image: gradient,
 * large_scale_rms and flatness; needs background_level and noise_level. */
AID_MUST_USE aid_status aid_quality_measure_flatness(const aid_exposure *exposure, aid_pool *pool,
                                                     aid_quality *quality, aid_error *err);

/* masks.c: the percentages and the hits. */
AID_MUST_USE aid_status aid_quality_count_masked(const aid_exposure *exposure, aid_quality *quality,
                                                 aid_error *err);

/* expectation.c: gain, read noise, scale, zero point, time, and from them expected_flux. */
extern const char *const aid_quality_filter_keywords[]; /* NULL-terminated */
void aid_quality_expect(const aid_exposure *exposure, aid_quality *quality, aid_notes *notes);

/* flags.c: what one image alone can tell. */
unsigned aid_quality_own_flags(const aid_quality *quality);

#endif
