/* What the files of this folder share; for nobody else. */
#ifndef AID_DOMAIN_PHOTOMETRY_INTERNAL_H
#define AID_DOMAIN_PHOTOMETRY_INTERNAL_H

#include "core/base/macros.h"
#include "domain/photometry/photometry.h"

/* ---- frame.c --------------------------------------------------------------------------------- */

static const double photometry_pi = 3.14159265358979323846;

/* The bits that make a pixel unusable. */
uint8_t aid_photometry_bits(const aid_photometry_frame *frame);
bool aid_photometry_has_noise(const aid_photometry_frame *frame);
bool aid_photometry_has_psf(const aid_photometry_frame *frame);
/* 1/gain, 0 where the photons are no noise. */
double aid_photometry_inverse_gain(const aid_photometry_frame *frame);
/* What fluxes by the PSF are multiplied by. */
double aid_photometry_scale(const aid_photometry_frame *frame);
/* Sky rms at a position; NaN where it is unknown. */
double aid_photometry_noise_at(const aid_photometry_frame *frame, double x, double y);
bool aid_photometry_on_image(const aid_image *image, double x, double y);

/* Variance of a sum over a disc of that radius, over that of white noise: correlated neighbours
 * count by how much the disc and the disc moved to them overlap. */
double aid_photometry_disc_factor(const aid_photometry_frame *frame, double radius_px);
/* The same of a sum with weights [side][side]. */
double aid_photometry_weights_factor(const aid_photometry_frame *frame, const float *weights,
                                     int side);

/* One row of a window: pixel values, NaN where there is nothing to be used. x0 may lie outside. */
typedef struct photometry_row {
    int32_t y, x0, count;
    int32_t segment; /* > 0: pixels of other segments are not to be used; -1: those of any */
} photometry_row;
/* Returns the flags that the row's pixels raise: EDGE, MASKED, SATURATED; only where weights[i] is
 * not 0 (weights NULL: everywhere). */
unsigned aid_photometry_read_row(const aid_photometry_frame *frame, const photometry_row *row,
                                 const double *weights, double *values);

/* ---- overlap.c ------------------------------------------------------------------------------- */

/* An ellipse as the map that turns it into the unit circle. */
typedef struct photometry_ellipse {
    double xx, xy, yx, yy; /* u = xx dx + xy dy, v = yx dx + yy dy */
    double area;           /* pi a b */
    double half_x, half_y; /* of its bounding box */
    double a, b;
} photometry_ellipse;
photometry_ellipse aid_photometry_ellipse_of(double a_px, double b_px, double theta_deg);
/* Weights 0..1 of the pixels at (x + i, y), relative to the centre, i < count. */
void aid_photometry_overlap_row(const photometry_ellipse *ellipse, bool whole, double x, double y,
                                int count, double *weights);

/* The window of pixels that an ellipse at (x, y) touches; may reach off the image. */
typedef struct photometry_window {
    int32_t x0, y0, x1, y1; /* inclusive */
} photometry_window;
photometry_window aid_photometry_window_of(const photometry_ellipse *ellipse, double x, double y);

/* ---- psf_local.c ----------------------------------------------------------------------------- */

enum {
    PHOTOMETRY_TAPS = 12,       /* of interpolation, */
    PHOTOMETRY_TAPS_BEFORE = 5, /* so many of them before the sample at or below */
    PHOTOMETRY_MAX_AWAY = 8,    /* px */
    PHOTOMETRY_MAX_SIDE = 2 * AID_PSF_MAX_RADIUS + 1
};

/* Weights of the samples at -5 .. 6 for a value at t (0 <= t < 1), and those of its derivative,
 * which may be NULL: the sinc function under Kaiser's window. A Gaussian of sigma 1.5 px comes
 * out right to 3.2e-4 of its peak along each axis, one of 3 px to 8e-6. */
void aid_photometry_taps(double t, double weights[PHOTOMETRY_TAPS], double slopes[PHOTOMETRY_TAPS]);

/* How far stamps of the frame's PSF reach; 0: no PSF. */
int aid_photometry_psf_radius(const aid_photometry_frame *frame);
double aid_photometry_psf_fwhm(const aid_photometry_frame *frame, double x, double y);

/* The PSF of a star at (x, y): pixel (i, j) of [side][side] is image pixel (left + i, top + j). */
typedef struct photometry_stamp {
    double x, y;
    int radius, side;
    int32_t left, top;
    float *values; /* caller's, room for side*side */
} photometry_stamp;
/* Fills all but `values`, and what that points to; radius 0: the whole reach. */
void aid_photometry_cut_stamp(const aid_photometry_frame *frame, double x, double y,
                              photometry_stamp *stamp);

/* A part of the image: [height][width] pixels from (x0, y0). */
typedef struct photometry_box {
    int32_t x0, y0, width, height;
} photometry_box;

/* The stamp moved by (dx, dy), and its derivatives by dx and dy, in a box (0 beyond the stamp).
 * `gx`, `gy` may both be NULL. */
void aid_photometry_shift_stamp(const photometry_stamp *stamp, double dx, double dy,
                                const photometry_box *box, double *values, double *gx, double *gy);

/* The mean of the stamp moved by (dx +- away, dy +- away); `away` counts as at most
 * PHOTOMETRY_MAX_AWAY. */
void aid_photometry_spread_stamp(const photometry_stamp *stamp, double dx, double dy, double away,
                                 const photometry_box *box, double *values);

/* ---- optimal.c ------------------------------------------------------------------------------- */

/* The flux of aid_optimal_flux_at alone, before the frame's scale. */
double aid_photometry_profile_flux(const aid_photometry_frame *frame, double x, double y);

#endif
