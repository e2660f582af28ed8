/* What the files of the simulation share. Internal to domain/simulation. */
#ifndef AID_DOMAIN_SIMULATION_INTERNAL_H
#define AID_DOMAIN_SIMULATION_INTERNAL_H

#include "core/base/random.h"
#include "domain/simulation/simulation.h"

struct aid_sky {
    aid_sky_options options;
    char date_obs[AID_SKY_EPOCHS][40]; /* what options.epoch[].date_obs points to */
    int64_t count;
    aid_sky_source *sources;
    aid_header wcs_cards[AID_SKY_EPOCHS];
    aid_wcs *wcs[AID_SKY_EPOCHS];
    double snr_per_adu;
};

/* Random streams: the purpose in the upper half, a counter (band, galaxy, frame) in the lower. */
typedef enum aid_sim_stream {
    AID_SIM_STREAM_STARS = 1,
    AID_SIM_STREAM_GALAXIES,
    AID_SIM_STREAM_CHANGES,
    AID_SIM_STREAM_GALAXY_POINTS,
    AID_SIM_STREAM_COSMIC_RAYS,
    AID_SIM_STREAM_BAD_PIXELS,
    AID_SIM_STREAM_BAD_PIXEL_VALUES,
    AID_SIM_STREAM_PIXEL_RESPONSE,
    AID_SIM_STREAM_DARK,
    AID_SIM_STREAM_DUST,
    AID_SIM_STREAM_COLUMNS,
    AID_SIM_STREAM_RAW_LEVEL,
    AID_SIM_STREAM_PHOTONS,
    AID_SIM_STREAM_READ_NOISE,
    AID_SIM_STREAM_VISITS
} aid_sim_stream;

static inline aid_random aid_sim_random(const aid_sky *sky, aid_sim_stream purpose, int64_t counter)
{
    return aid_random_seeded(sky->options.seed, ((uint64_t)purpose << 40) | (uint64_t)counter);
}

/* ---- point spread function (psf.c) ---- */

/* Moffat of exponent 3.5: (1 + q)^-3.5, q = xx dx^2 + 2 xy dx dy + yy dy^2, times flux/norm. */
typedef struct aid_sim_stamp {
    double x, y; /* 0-based px */
    double xx, xy, yy;
    double amplitude; /* ADU at q = 0 */
    int radius_px;    /* half side of the square that is painted */
    int core_px;      /* half side of the part that is integrated by quadrature, -1: none */
} aid_sim_stamp;

double aid_sim_fwhm_px(const aid_sky_options *options, int epoch, double x, double y);
/* `sharp`: a point source, whose core is integrated over each pixel with care. */
aid_sim_stamp aid_sim_stamp_at(const aid_sky_options *options, int epoch, double x, double y,
                               double flux, bool sharp);
/* Flux that falls into the pixel nearest to the centre. */
double aid_sim_stamp_peak(const aid_sim_stamp *stamp);
/* Adds what falls on rows y0 <= y < y1. */
void aid_sim_stamp_add(const aid_sim_stamp *stamp, aid_image *image, int y0, int y1);
/* Modulus of the transfer function of the (circular) PSF and the pixel at (kx, ky) cycles/px. */
double aid_sim_transfer(double fwhm_px, double kx, double ky);

/* ---- the geometry of an epoch (geometry.c) ---- */

AID_MUST_USE aid_status aid_sim_wcs_new(const aid_sky_options *options, int epoch,
                                        aid_header *cards, aid_wcs **ret_wcs, aid_error *err);
/* The point at (east, north) degrees from a centre on its tangent plane (gnomonic). */
void aid_sim_offset_sky(double ra_deg, double dec_deg, double east_deg, double north_deg,
                        double *ret_ra_deg, double *ret_dec_deg);

/* ---- sources (catalogue.c, changes.c, galaxy.c) ---- */

typedef struct aid_sim_list {
    aid_sky_source *items;
    int64_t count, capacity;
} aid_sim_list;
AID_MUST_USE aid_status aid_sim_list_add(aid_sim_list *list, const aid_sky_source *source,
                                         aid_error *err);

double aid_sim_throughput(const aid_sky_options *options, int epoch, double x);
double aid_sim_flux_of_mag(const aid_sky_options *options, int epoch, double mag);
double aid_sim_mag_of_flux(const aid_sky_options *options, int epoch, double flux_adu);
/* Variance of blank sky, ADU^2, at the centre. */
double aid_sim_sky_variance(const aid_sky_options *options, int epoch);
double aid_sim_sky_level(const aid_sky_options *options, int epoch, double x, double y);
/* Pixels, fluxes and saturation of a source whose positions and magnitudes are known. */
void aid_sim_project(const aid_sky *sky, aid_sky_source *source);
AID_MUST_USE aid_status aid_sim_add_changes(const aid_sky *sky, aid_sim_list *list, aid_error *err);

/* The points of equal sky that a galaxy is painted with; their weights add up to 1. */
typedef struct aid_sim_galaxy_point {
    double east_deg, north_deg, weight;
} aid_sim_galaxy_point;
enum { AID_SIM_GALAXY_POINTS = 1500 }; /* at most */
int aid_sim_galaxy_point_count(const aid_sky *sky, const aid_sky_source *galaxy);
void aid_sim_galaxy_points(const aid_sky *sky, const aid_sky_source *galaxy,
                           aid_sim_galaxy_point *points, int count);

/* ---- the camera (detector.c, charge.c) ---- */

/* Numbers of electrons drawn for expected ADU, frames of one epoch taken together, as mean ADU. */
void aid_sim_draw_photons(float *restrict row, int width, double electrons_per_adu,
                          aid_random *random);
void aid_sim_add_read_noise(float *restrict row, int width, double sigma_adu, aid_random *random);
/* Cosmic rays in the upper left width x height of the image. `stream` tells frames apart. */
void aid_sim_add_cosmic_rays(const aid_sky *sky, int64_t stream, double per_megapixel, double gain,
                             aid_simulated_frame *frame);
/* Charge above the full well runs along columns; marks AID_MASK_SATURATED. */
AID_MUST_USE aid_status aid_sim_bleed(const aid_sky *sky, aid_pool *pool,
                                      aid_simulated_frame *frame, aid_error *err);
/* Dead and hot pixels and columns, the same in every frame; marks AID_MASK_BAD. */
void aid_sim_add_defects(const aid_sky *sky, aid_simulated_frame *frame);

/* Rows of the camera's own maps. */
void aid_sim_flat_row(const aid_sky *sky, int y, float *row);
void aid_sim_dark_row(const aid_sky *sky, int y, float *row);
void aid_sim_bias_row(const aid_sky *sky, int y, float *row);

/* ---- pixels (render.c) ---- */

enum { AID_SIM_BAND = 64 }; /* rows of one task */
AID_MUST_USE aid_status aid_sim_paint_sky(const aid_sky *sky, int epoch, aid_pool *pool,
                                          aid_image *image, aid_error *err);

typedef struct aid_sim_card {
    aid_header *header;
    aid_error *err;
    aid_status status; /* the first failure; later cards are not tried */
} aid_sim_card;
void aid_sim_put_number(aid_sim_card *card, const char *keyword, double value, const char *comment);
void aid_sim_put_text(aid_sim_card *card, const char *keyword, const char *value,
                      const char *comment);

#endif
