/* Scores of a catalogue's rows, each from 0 to 1, with an interval and its parts, and the order
 * that they give. Equations and where the numbers are from: README.md of this folder. */
#ifndef AID_DOMAIN_RANKING_SCORE_H
#define AID_DOMAIN_RANKING_SCORE_H

#include "core/base/notes.h"
#include "core/base/pool.h"
#include "domain/ranking/catalogue.h"

typedef enum aid_score_kind {
    AID_SCORE_DETECTION,  /* that it is no noise: grows with the significance */
    AID_SCORE_QUALITY,    /* like the PSF, unflagged, unmasked */
    AID_SCORE_ANOMALY,    /* a change that is large for the reference's light at its place */
    AID_SCORE_CONFIDENCE, /* how much of it could be measured, and how well */
    AID_SCORES
} aid_score_kind;
const char *aid_score_name(aid_score_kind kind); /* "detection", ... */

/* The factors of the scores. */
typedef enum aid_score_part {
    AID_PART_SIGNIFICANCE,  /* of DETECTION */
    AID_PART_WIDTH,         /* of QUALITY: fwhm against that of bright clean rows */
    AID_PART_ELLIPTICITY,   /* the same */
    AID_PART_CONCENTRATION, /* peak/flux, the same */
    AID_PART_AGREEMENT,     /* of snr with score, where there are both */
    AID_PART_FIT,           /* chi2 of the fit of the PSF */
    AID_PART_SHAPE_FLAGS,   /* dipole, bad_shape, cosmic_ray */
    AID_PART_FLAGS,         /* the others that are bad */
    AID_PART_MASKED,        /* masked_fraction */
    AID_PART_CHANGE,        /* of ANOMALY */
    AID_PART_COMPLETENESS,  /* of CONFIDENCE: which columns have a value */
    AID_PART_UNCERTAINTY,   /* flux_err/|flux| */
    AID_PART_EDGE,          /* the flags edge, masked and no_data */
    AID_SCORE_PARTS
} aid_score_part;
const char *aid_part_name(aid_score_part part); /* "significance", ... */
aid_score_kind aid_part_score(aid_score_part part);

typedef struct aid_score {
    double value, low, high; /* NaN: null; low and high: the central 68 % of the draws */
} aid_score;

typedef struct aid_row_score {
    aid_score scores[AID_SCORES];
    aid_score combined;            /* null where no score with a weight could be computed */
    double parts[AID_SCORE_PARTS]; /* NaN: null */
    double host_flux;              /* light of the reference at its place; NaN: no reference */
    unsigned taken;                /* bit i: score i is in the combined one */
} aid_row_score;

/* What bright clean rows of the catalogue are like; NaN: fewer than five of them. */
typedef struct aid_field_shape {
    int64_t rows;
    double fwhm, ellipticity, concentration;
} aid_field_shape;

typedef struct aid_ranking {
    int64_t rows;
    aid_row_score *items; /* [rows], in the order of the catalogue */
    int64_t *order;       /* [rows]: best first; null last; ties by aid_catalogue_compare */
    aid_field_shape field;
    char reasons[AID_SCORE_PARTS][120]; /* why a part is null for every row; "": it is not */
} aid_ranking;

typedef struct aid_ranking_options {
    double weights[AID_SCORES]; /* >= 0, one of them above */
    double half_snr;            /* significance whose detection score is one half */
    int draws;                  /* for the intervals; 0: none */
    uint64_t seed;
    const aid_catalogue *reference; /* sources of the reference image; NULL: no anomaly score */
} aid_ranking_options;
#define AID_RANKING_DEFAULTS                                                                       \
    (aid_ranking_options)                                                                          \
    {                                                                                              \
        .weights = {0.4, 0.3, 0.2, 0.1}, .half_snr = 5.0, .draws = 200, .seed = 1                  \
    }

/* "detection=.5,anomaly=0": those not named stay as they are. Fails with AID_ERR_USAGE and leaves
 * the weights alone. */
AID_MUST_USE aid_status aid_weights_parse(const char *text, double weights[AID_SCORES],
                                          aid_error *err);

/* The same bytes with any number of threads, and for the same id whatever the order of the rows.
 * Fails with AID_ERR_INVALID where the catalogue has rows and no score can be computed of any, or
 * where the reference has no positions or fluxes. */
AID_MUST_USE aid_status aid_rank(const aid_catalogue *catalogue, const aid_ranking_options *options,
                                 aid_pool *pool, aid_notes *notes, aid_ranking *ret_ranking,
                                 aid_error *err);
void aid_ranking_done(aid_ranking *ranking);

#endif
