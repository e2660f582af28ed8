/* Quality of many images together: each held against the best of its instrument and filter, and
 * what changed in the course of the night. */
#ifndef AID_DOMAIN_QUALITY_SERIES_H
#define AID_DOMAIN_QUALITY_SERIES_H

#include "domain/quality/quality.h"

/* What is followed over time. */
typedef enum aid_quality_metric {
    AID_METRIC_SEEING,       /* FWHM, arcsec where the whole group has a scale, else px */
    AID_METRIC_BACKGROUND,   /* level, image unit; per second where exposure times differ */
    AID_METRIC_TRANSPARENCY, /* 1: as clear as the clearest of the same field */
    AID_METRIC_DEPTH,        /* mag by which the limit is brighter than the group's best */
    AID_METRIC_ELLIPTICITY,
    AID_METRIC_STARS, /* where the whole group shows one field */
    AID_METRIC_SCORE,
    AID_QUALITY_METRICS
} aid_quality_metric;
const char *aid_quality_metric_name(aid_quality_metric metric); /* "seeing", ... */

typedef struct aid_quality_frame {
    char name[128], instrument[72], filter[72], object[72];
    int32_t width, height;
    double aperture_px; /* of the stars' fluxes */
    int star_count;
    aid_star *stars; /* the brightest, for comparing fluxes; by decreasing flux */
    aid_quality quality;

    /* set by aid_quality_rate_series */
    int group;           /* index */
    int field;           /* frames of one field share it; -1: alone, or not matched */
    bool rated_by_group; /* else by expected_flux */
    double metrics[AID_QUALITY_METRICS]; /* NaN unknown */
    unsigned outlier;                    /* 1 << metric: off the trend */
} aid_quality_frame;

/* Copies what a series needs out of an exposure. Release with aid_quality_frame_done. */
AID_MUST_USE aid_status aid_quality_frame_init(const aid_exposure *exposure,
                                               const aid_quality *quality,
                                               aid_quality_frame *ret_frame, aid_error *err);
void aid_quality_frame_done(aid_quality_frame *frame);

typedef struct aid_quality_trend {
    int frames;                /* with a value */
    double median, scatter;    /* 1.4826 MAD about the line */
    double slope, slope_error; /* per hour or per night; NaN for fewer than 3 epochs */
    double level;              /* of the line at the group's first exposure */
    int outliers;
} aid_quality_trend;

typedef struct aid_quality_group { /* one instrument and filter */
    char instrument[72], filter[72];
    int frames, fields;
    int first, last;                   /* frames in order of time: indices into the order */
    double begin_mjd_utc, end_mjd_utc; /* NaN: no frame has a time */
    bool per_night;                    /* slopes: the group spans more than a day */
    bool seeing_in_arcsec;
    bool background_per_s; /* exposure times differ, so that levels are divided by them */
    double best_rate; /* limiting flux at 1 s and transparency 1; NaN: too few frames to tell */
    aid_quality_trend trends[AID_QUALITY_METRICS];
} aid_quality_group;

typedef struct aid_quality_series {
    int group_count;
    aid_quality_group *groups; /* by instrument, then filter */
    int frame_count;
    int *order; /* indices of the frames by group, then time, then name */
} aid_quality_series;
void aid_quality_series_done(aid_quality_series *series);

enum { AID_QUALITY_GROUP_LEAST = 3 }; /* frames that make a group's best a yardstick */

/* Groups the frames, compares the fluxes of stars that frames of one field share, and sets each
 * frame's transparency, score, class, flags and outliers. Groups of fewer than
 * AID_QUALITY_GROUP_LEAST frames keep the scores that they have. The order of the frames does not
 * matter. Release with aid_quality_series_done. */
AID_MUST_USE aid_status aid_quality_rate_series(aid_quality_frame *frames, int count,
                                                aid_notes *notes, aid_quality_series *ret_series,
                                                aid_error *err);

#endif
