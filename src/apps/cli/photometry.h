/* What the files of `astrid photometry` share. */
#ifndef AID_APPS_CLI_PHOTOMETRY_H
#define AID_APPS_CLI_PHOTOMETRY_H

#include "adapters/tables/table.h"
#include "apps/common/command.h"
#include "core/base/notes.h"
#include "core/base/pool.h"
#include "domain/photometry/photometry.h"

typedef struct photometry_options {
    const char *at, *at_pixel, *output, *annulus, *hdu;
    int photometry; /* photometry_method */
    double aperture, zero_point, gain, saturation;
    bool aperture_correction, local_background, fixed_wcs;
    aid_common_options common;
} photometry_options;

enum { PHOTOMETRY_AUTO, PHOTOMETRY_PSF, PHOTOMETRY_APERTURE }; /* of the option's choices */

/* ---- photometry_positions.c: where to measure ------------------------------------------------ */

typedef struct photometry_position {
    double ra_deg, dec_deg; /* ICRS; NaN: not given */
    double x, y;            /* 0-based px; NaN: not given */
    char name[64];          /* the catalogue's id or name, or "" */
} photometry_position;

typedef struct photometry_positions {
    int count;
    photometry_position *items;
    bool has_sky, has_pixels; /* every one could be placed that way */
} photometry_positions;
void photometry_positions_done(photometry_positions *positions);

/* From --at and --at-pixel: positions, or the name of a table. Fails with AID_ERR_USAGE or
 * AID_ERR_INVALID. */
AID_MUST_USE aid_status photometry_read_positions(const photometry_options *options,
                                                  aid_notes *notes,
                                                  photometry_positions *ret_positions,
                                                  aid_error *err);

/* "12:34:56.7,-01:02:03" (hours and degrees) or "188.7,-1.03" (degrees). */
AID_MUST_USE aid_status photometry_parse_sky(const char *text, size_t length, double *ret_ra_deg,
                                             double *ret_dec_deg, aid_error *err);

/* ---- photometry_images.c: one image ---------------------------------------------------------- */

/* A measurement of one position on one image. */
typedef struct photometry_row {
    int position, image;
    aid_forced_flux flux;
} photometry_row;

typedef struct photometry_image {
    const char *path;
    char sha256[65];
    char filter[72], unit[72]; /* "" unknown */
    double mjd;                /* NaN unknown */
    double zero_point;         /* NaN unknown */
    double correction;         /* the fluxes were multiplied by it; 1: by nothing */
    double fwhm_px;            /* of the PSF; NaN without */
    const char *method;        /* "psf", "aperture", "map" */
    const char *sky_place;     /* "wcs" or "pixel" */
    aid_position_shift shift;  /* of the WCS, by the stars */
    double *ra_deg, *dec_deg;  /* [positions] of each position on this image */
} photometry_image;
void photometry_image_done(photometry_image *image);

typedef struct photometry_job {
    const aid_invocation *invocation;
    const photometry_options *options;
    aid_aperture aperture;
    photometry_positions positions;
    int image_count;
    photometry_image *images;
    int row_count;
    photometry_row *rows; /* [image_count * positions.count] */
    aid_pool *pool;
    aid_notes notes;
} photometry_job;

/* Measures every position on images[index]: its rows are written. */
AID_MUST_USE aid_status photometry_measure_image(photometry_job *job, int index, aid_error *err);

/* ---- photometry_table.c: what comes out ------------------------------------------------------ */

/* By position, then time, then image. */
AID_MUST_USE aid_status photometry_sort_rows(photometry_job *job, aid_error *err);
AID_MUST_USE aid_status photometry_table(const photometry_job *job, aid_table *ret_table,
                                         aid_error *err);
AID_MUST_USE aid_status photometry_write(const photometry_job *job, const aid_table *table,
                                         aid_error *err);
void photometry_print_text(const photometry_job *job);
void photometry_print_json(const photometry_job *job, const aid_table *table);

#endif
