/* Quality: what an image is worth, in numbers with units, and in one that falls when it gets worse.
 * Definitions: README.md of this folder. */
#ifndef AID_DOMAIN_QUALITY_QUALITY_H
#define AID_DOMAIN_QUALITY_QUALITY_H

#include "core/base/notes.h"
#include "core/base/pool.h"
#include "core/imaging/exposure.h"

typedef enum aid_quality_class {
    AID_QUALITY_POOR,
    AID_QUALITY_FAIR,
    AID_QUALITY_GOOD,
    AID_QUALITY_EXCELLENT
} aid_quality_class;
const char *aid_quality_class_name(aid_quality_class class);

/* Units of the image unless said otherwise; NaN: cannot be known, and a note says why. */
typedef struct aid_quality {
    double background_level, noise_level; /* per pixel */
    double background_gradient;           /* largest difference over the field / level */
    double fwhm_px, fwhm_arcsec;          /* of stars, at the centre */
    double ellipticity, fwhm_variation;   /* 1 - b/a; (max - min)/mean over the field */
    int64_t stars;
    int64_t cosmic_ray_count;     /* hits, not pixels */
    double saturation_percentage; /* of the pixels, 0..100 */
    double masked_percentage;
    double flatness_score;              /* 0..1, 1 is flat */
    double limiting_flux, limiting_mag; /* of a point source at 5 sigma */
    double alignment_accuracy_px;       /* rms per axis against a reference; NaN: none given */
    double overall_quality_score;       /* 0..1 */
    aid_quality_class class;
    unsigned flags; /* AID_QUALITY_* */
} aid_quality;

#endif
