/* A measured source and lists of them: what extraction finds, photometry measures and ranking
 * orders. Pixels are 0-based here (an integer is a pixel centre); files count from 1. Fluxes are
 * above the background, in the unit of the image. NaN = not measured or not determined. */
#ifndef AID_DOMAIN_PHOTOMETRY_SOURCE_H
#define AID_DOMAIN_PHOTOMETRY_SOURCE_H

#include "core/base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {                                    /* aid_source.flags */
       AID_SOURCE_BLENDED = 1 << 0,       /* was one piece with another before deblending */
       AID_SOURCE_NEIGHBOUR = 1 << 1,     /* a neighbour reaches into its AUTO aperture */
       AID_SOURCE_SATURATED = 1 << 2,     /* a saturated pixel in its footprint */
       AID_SOURCE_TRUNCATED = 1 << 3,     /* its footprint touches the border of the image */
       AID_SOURCE_MASKED = 1 << 4,        /* a bad pixel in its footprint */
       AID_SOURCE_APERTURE_CUT = 1 << 5,  /* the aperture reaches over the border */
       AID_SOURCE_APERTURE_MASK = 1 << 6, /* a bad pixel in the aperture, filled symmetrically */
       AID_SOURCE_APERTURE_BAD = 1 << 7,  /* no sound pixel in the aperture: its flux is NaN */
       AID_SOURCE_ANNULUS_POOR = 1 << 8,  /* too few sound pixels in the annulus: no local level */
       AID_SOURCE_NO_KRON = 1 << 9,       /* the Kron radius is not determined: the least is used */
       AID_SOURCE_NO_WINDOW = 1 << 10,    /* no windowed position: x_win, y_win are the peak's */
       AID_SOURCE_SINGULAR = 1 << 11,     /* one pixel or one line: its shape is that of a pixel */
       AID_SOURCE_DEBLEND_LIMIT = 1 << 12, /* more pieces than could be told apart */
       AID_SOURCE_NO_PSF_FIT = 1 << 13,    /* the PSF fit did not converge or had no pixels */
       AID_SOURCE_OUTSIDE = 1 << 14,       /* a position asked for that is not on the image */
       AID_SOURCE_FORCED = 1 << 15         /* position given, not found */
};
enum { AID_SOURCE_FLAG_COUNT = 16 };

/* "blended", "neighbour", ... ; NULL for an unknown bit. */
const char *aid_source_flag_name(unsigned flag);
/* All names of `flags`, joined by '|'; "" for none. Truncated at `size`. */
void aid_source_flag_names(unsigned flags, char *text, size_t size);
/* SExtractor's FLAGS: 1 neighbour or bad pixels, 2 blended, 4 saturated, 8 truncated, 16 aperture
 * incomplete, 32 isophote incomplete, 64 overflow in deblending. */
int aid_source_flags_sextractor(unsigned flags);

typedef enum aid_source_class {
    AID_CLASS_UNKNOWN = 0,
    AID_CLASS_POINT,
    AID_CLASS_EXTENDED,
    AID_CLASS_ARTEFACT
} aid_source_class;
const char *aid_source_class_name(aid_source_class kind); /* "unknown", "point", ... */

typedef struct aid_source {
    int64_t id; /* 1, 2, ... in the order of the list */
    unsigned flags;
    aid_source_class kind;

    /* -------- position, px: barycentre of the footprint, and under a Gaussian window */
    double x, y, x_err, y_err;
    double x_win, y_win, x_win_err, y_win_err;
    int32_t x_min, x_max, y_min, y_max; /* of the footprint, 0-based, inclusive */
    int32_t x_peak, y_peak;             /* its brightest pixel */
    double ra_deg, dec_deg;             /* ICRS, of the windowed position; NaN without a WCS */
    double position_angle_deg;          /* of the major axis, east of north, 0 <= . < 180 */

    /* -------- fluxes */
    double flux_iso, flux_iso_err;   /* the footprint alone */
    double flux_aper, flux_aper_err; /* circle of aid_sources.aperture_px */
    double flux_auto, flux_auto_err; /* Kron ellipse */
    double kron_radius;              /* in units of a, b: the ellipse has kron_radius * (a, b) */
    double flux_radius_px;           /* holds half of flux_auto */
    double snr;                      /* of detection: peak of the filtered image, sigma */
    double mag, mag_err;             /* of flux_aper; NaN without a zero point */
    double peak;                     /* above the background */
    double background;               /* level under the source: map plus annulus */
    double noise;                    /* rms of a pixel at the source */
    double threshold;                /* of the filtered image at the source, image unit */

    /* -------- shape from the second moments of the footprint */
    int64_t npix;                  /* isophotal area */
    double x2, y2, xy;             /* px^2 */
    double x2_err, y2_err, xy_err; /* px^2: error (co)variances of the barycentre */
    double a, b, theta_deg;        /* px; ccw from +x, -90 < . <= 90 */
    double ellipticity, fwhm_px;   /* 1 - b/a; of the core, Gaussian under the window */

    /* -------- domain/photometry fills these; NaN until then */
    double flux_psf, flux_psf_err, chi2_psf;
    double x_psf, y_psf;       /* px */
    double spread, spread_err; /* broadness against the PSF: 0 a point, < 0 sharper */
    double p_point;            /* probability of being a point source */
    double gini, m20, concentration, asymmetry;
} aid_source;

/* Everything NaN, no flag, no id. */
aid_source aid_source_blank(void);

typedef struct aid_sources {
    int64_t count;
    aid_source *items;
    double aperture_px, annulus_inner_px, annulus_outer_px; /* of flux_aper; annulus 0: none */
    double fwhm_px;                                         /* of the point sources; NaN unknown */
    double background, noise;                               /* medians over the image, its unit */
    double zero_point;                                      /* mag of one unit; NaN unknown */
    double threshold;                                       /* sigma of the filtered noise */
    char method[24], filter[24]; /* "threshold" or "psf"; "default", "gauss_2.5", "psf", ... */
    int64_t found, cleaned;      /* before cleaning; taken away by it */
} aid_sources;

AID_MUST_USE aid_status aid_sources_init(int64_t count, aid_sources *ret_sources, aid_error *err);
void aid_sources_done(aid_sources *sources);

#endif
