/* Detection: what stands out of a score map, measured, described and flagged. Rules and numbers:
 * README.md of this folder. */
#ifndef AID_DOMAIN_DETECTION_DETECTION_H
#define AID_DOMAIN_DETECTION_DETECTION_H

#include "domain/differencing/differencing.h"

enum { /* aid_candidate.flags; a candidate with any of the first group is kept but not counted as a
          find */
       AID_FLAG_EDGE = 1 << 0,
       AID_FLAG_SATURATED_NEIGHBOUR = 1 << 1,
       AID_FLAG_MASKED = 1 << 2, /* too large a fraction of its footprint is masked */
       AID_FLAG_DIPOLE = 1 << 3,
       AID_FLAG_COSMIC_RAY = 1 << 4, /* sharper than the PSF in one image */
       AID_FLAG_BAD_COLUMN = 1 << 5,
       AID_FLAG_BRIGHT_STAR_RESIDUAL = 1 << 6,
       AID_FLAG_BAD_SHAPE = 1 << 7, /* not like the PSF: trail, artefact */
       AID_FLAG_GROUP_REJECT = (1 << 8) - 1,
       AID_FLAG_MOVING = 1 << 8, /* Z^2 beats S^2: motion or misregistration */
       AID_FLAG_NEAR_SOURCE =
           1 << 9, /* a source of the reference lies within 1.5 FWHM: host or variable */
       AID_FLAG_VARIABLE = 1 << 10, /* coincides with a star of the reference */
       AID_FLAG_EXTENDED = 1 << 11  /* broader than the PSF: by its shape, or found as such */
};
/* "edge", "saturated_neighbour", ... ; NULL for an unknown bit. */
const char *aid_flag_name(unsigned flag);
/* All names of `flags`, joined by '|'; "" for none. Truncated at `size`. */
void aid_flag_names(unsigned flags, char *text, size_t size);

/* Of an extended find (significant as a broad source only), score is the significance as such,
 * flux the sum of D above the local level, and chi2 and cosmic_ray_ratio are NaN. */
typedef struct aid_candidate {
    int64_t id;             /* 1, 2, ... by decreasing |score| */
    double x, y;            /* FITS pixels of the science image: 1-based */
    double ra_deg, dec_deg; /* ICRS; NaN without a WCS */
    double flux, flux_err;  /* PSF fit in D, science unit; negative when it faded */
    double snr;             /* flux/flux_err, absolute */
    double score;           /* peak of S_corr, signed */
    double mag, mag_err;    /* of |flux|; NaN without a zero point */
    double fwhm_px, ellipticity, theta_deg, position_angle_deg;
    int64_t npix;                   /* above 2.5 sigma, connected */
    double peak, background, noise; /* of D at the candidate, science unit */
    double motion;                  /* Z^2 */
    double chi2;                    /* reduced, of the PSF fit */
    double cosmic_ray_ratio;        /* significance as a point of one pixel / as a PSF */
    double masked_fraction;
    double distance_px; /* to the nearest source of the reference; NaN none within 30 px */
    int polarity;       /* +1, -1 */
    unsigned flags;
    double p_real; /* NaN without a model */
} aid_candidate;

typedef struct aid_candidates {
    int count;
    aid_candidate *items;
    int unflagged; /* without a flag of AID_FLAG_GROUP_REJECT */
    int unflagged_positive;
} aid_candidates;

typedef struct aid_detection_options {
    double threshold; /* of |S_corr|: 5 */
} aid_detection_options;
#define AID_DETECTION_DEFAULTS                                                                     \
    (aid_detection_options)                                                                        \
    {                                                                                              \
        .threshold = 5.0                                                                           \
    }

AID_MUST_USE aid_status aid_candidates_find(const aid_exposure *science,
                                            const aid_exposure *reference,
                                            const aid_difference *difference,
                                            const aid_detection_options *options, aid_pool *pool,
                                            aid_notes *notes, aid_candidates *ret_candidates,
                                            aid_error *err);
void aid_candidates_done(aid_candidates *candidates);

/* -------------------------------------------------------------------------------- injection --- */

typedef struct aid_injected {
    double x, y;      /* 0-based px of the science image */
    double flux, snr; /* snr = flux / flux_err at that place */
    bool near_source;
    bool found;                     /* an unflagged positive candidate within 2.5 px or .6 FWHM */
    double flux_found, score_found; /* NaN when not found */
} aid_injected;

typedef struct aid_completeness_bin {
    double snr_low, snr_high;
    int injected, found;
} aid_completeness_bin;

enum { AID_COMPLETENESS_BINS = 8 };
typedef struct aid_injection {
    double fwhm_px; /* of the science image's PSF */
    int count;
    aid_injected *items;
    aid_completeness_bin bins[AID_COMPLETENESS_BINS];
    double snr_50;               /* where half are found; NaN when not determined */
    double flux_bias;            /* median of flux_found/flux - 1 above S/N 9 */
    double false_alarms_per_mpx; /* unflagged negative peaks above the threshold outside known
                                    sources, per 10^6 px: noise has no sign */
    double searched_mpx;
} aid_injection;
void aid_injection_done(aid_injection *injection);

/* Chooses `count` places and fluxes (S/N 3 to 16, 30 % near sources) by `seed`, keeping 22 px
 * or 6 FWHM from one another and away from masked pixels, and adds them with their photon noise to
 * a copy of the science image: *ret_image. */
AID_MUST_USE aid_status aid_inject(const aid_exposure *science, const aid_exposure *reference,
                                   const aid_difference *difference, int count, uint64_t seed,
                                   aid_injection *ret_injection, aid_image *ret_image,
                                   aid_error *err);

/* Fills in what was found, from the candidates of the injected image. */
void aid_injection_score(aid_injection *injection, const aid_candidates *found,
                         const aid_candidates *before, const aid_difference *difference);

#endif
