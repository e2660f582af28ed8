/* Private to this folder: one source's pixels, and what is measured on them. */
#ifndef AID_DOMAIN_EXTRACTION_MEASURE_H
#define AID_DOMAIN_EXTRACTION_MEASURE_H

#include "domain/extraction/internal.h"

/* ---- cutout.c -------------------------------------------------------------------------------- */

enum {                       /* aid_cutout.state */
       AID_CUTOUT_BAD = 1,   /* off the image, masked or NaN */
       AID_CUTOUT_OTHER = 2, /* belongs to another source */
       AID_CUTOUT_OWN = 4,   /* belongs to this source */
       AID_CUTOUT_MISSING = 8
};

/* The square around a source. BAD and OTHER pixels hold what lies opposite of the source where that
 * is sound, else 0 and count as MISSING; or OTHER pixels are as they are. */
typedef struct aid_cutout {
    double x, y;    /* centre, image */
    int32_t x0, y0; /* of the first pixel, image; may be off it */
    int32_t side;   /* odd */
    int64_t room;   /* allocated pixels */
    float *values;  /* [side][side] */
    uint8_t *state; /* [side][side] */
} aid_cutout;

/* Reuses what is allocated in `cutout`. */
AID_MUST_USE aid_status aid_cutout_load(aid_cutout *cutout, const aid_field *field,
                                        const aid_owners *owners, const aid_source *source,
                                        double radius_px, aid_error *err);
void aid_cutout_done(aid_cutout *cutout);

/* ---- shapes.c -------------------------------------------------------------------------------- */

typedef struct aid_ellipse {
    double cxx, cyy, cxy; /* cxx dx^2 + cyy dy^2 + cxy dx dy = r^2, in units of a, b */
} aid_ellipse;
aid_ellipse aid_ellipse_of(double a, double b, double theta_deg);

/* r1 of Kron (1980) within `reach` (in a, b); NaN where it is not determined. */
double aid_kron_moment(const aid_cutout *cutout, const aid_source *source, double reach);

typedef struct aid_sum {
    double flux, area, variance_area; /* sum of w value, w, w^2 (of w for SExtractor) */
    double bad, other;                /* areas of such pixels */
    double sound;                     /* area that is neither */
} aid_sum;
/* Within the ellipse of `radius` times a, b around (x, y). */
aid_sum aid_sum_ellipse(const aid_cutout *cutout, const aid_source *source, double radius,
                        aid_rim rim);
aid_sum aid_sum_circle(const aid_cutout *cutout, double x, double y, double radius_px, aid_rim rim);

/* Clipped mean of what belongs to no source between two circles, and how many pixels that is. */
typedef struct aid_ring_level {
    double level, sigma;
    int64_t count;
} aid_ring_level;
aid_ring_level aid_level_in_ring(const aid_cutout *cutout, double x, double y, double inner_px,
                                 double outer_px);

/* The radius that holds half of `total`, at most `reach_px`; NaN where total is not positive. */
double aid_half_light_radius(const aid_cutout *cutout, double total, double reach_px, aid_rim rim);

/* x_win, y_win, their errors and fwhm_px under a Gaussian window of sigma_px that begins at x_win,
 * y_win; NO_WINDOW and the position as it was where the window does not settle. */
void aid_measure_window(const aid_cutout *cutout, double sigma_px, const aid_field *field,
                        aid_source *source);

#endif
