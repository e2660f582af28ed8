/* The reference on the science grid, with everything that is known about its pixels. */
#include "core/base/memory.h"
#include "core/imaging/warp.h"
#include "domain/preprocessing/align.h"
#include "domain/preprocessing/prepare_internal.h"

#include <math.h>
#include <stdlib.h>

enum {
    NOISE_CELL =
        32, /* px: interpolated noise beats with the pixel grid, faster than the sky varies */
    LARGEST_BIN = 8
};
static const double identity_px = 1e-3;
static const double undersampled_px =
    2.3;                                /* FWHM below which the quintic spline is worth its time */
static const double binned_above = 1.6; /* reference px in a science px */
static const uint8_t filled_again = AID_MASK_BAD | AID_MASK_SATURATED | AID_MASK_COSMIC_RAY;

typedef struct resampling {
    aid_exposure *from;
    const aid_transform *map; /* science pixel -> reference pixel */
    aid_transform binned_map; /* science pixel -> bin */
    int bin;                  /* reference pixels a side of a bin */
    double bin_noise;         /* rms of a bin in rms of a pixel */
    aid_warp_kernel kernel;
    int32_t width, height; /* of the science image */
    aid_pool *pool;
    aid_notes *notes;
    aid_exposure to;
} resampling;

static bool is_identity(const aid_transform *map, const aid_image *from, const aid_image *to)
{
    return from->width == to->width && from->height == to->height &&
           aid_transform_is_identity(map, from->width, from->height, identity_px);
}

/* ------------------------------------------------------------------------------------- binning */

/* rms of the sum of bin x bin pixels: the correlation between all pairs of them. */
static double noise_of_bin(const aid_noise_correlation *correlation, int bin)
{
    if (!correlation->measured)
        return bin;
    double sum = 0.0;
    for (int dy = -AID_NOISE_LAG; dy <= AID_NOISE_LAG; dy++)
        for (int dx = -AID_NOISE_LAG; dx <= AID_NOISE_LAG; dx++)
            sum += AID_MAX(bin - abs(dx), 0) * AID_MAX(bin - abs(dy), 0) *
                   (double)correlation->rho[dy + AID_NOISE_LAG][dx + AID_NOISE_LAG];
    return sqrt(AID_MAX(sum, 1.0));
}

/* Sums of bin x bin pixels and all of their mask bits. Rows and columns that do not fill a bin go.
 */
static aid_status bin_pixels(const aid_exposure *from, int bin, aid_image *ret_image,
                             aid_mask *ret_mask, aid_error *err)
{
    int32_t width = from->image.width / bin, height = from->image.height / bin;
    AID_CLEANUP(aid_image_done)
    aid_image image = {0};
    AID_TRY(aid_image_init(width, height, &image, err));
    AID_TRY(aid_mask_init(width, height, ret_mask, err));
    for (int32_t y = 0; y < height * bin; y++) {
        const float *row = aid_image_row(&from->image, y);
        const uint8_t *bits = from->mask.data ? aid_mask_row(&from->mask, y) : NULL;
        float *out = aid_image_row(&image, y / bin);
        uint8_t *out_bits = aid_mask_row(ret_mask, y / bin);
        for (int32_t x = 0; x < width * bin; x++) {
            out[x / bin] += row[x];
            out_bits[x / bin] |= bits ? bits[x] : 0;
        }
    }
    *ret_image = image;
    image = (aid_image){0};
    return AID_OK;
}

/* Bin b holds the pixels from bin*b on: its centre is at bin*b + (bin-1)/2. */
static aid_transform map_to_bins(const aid_transform *map, int bin)
{
    aid_transform binned = *map;
    binned.cx[0] -= 0.5 * (bin - 1);
    binned.cy[0] -= 0.5 * (bin - 1);
    for (int k = 0; k < AID_TRANSFORM_MAX_TERMS; k++) {
        binned.cx[k] /= bin;
        binned.cy[k] /= bin;
    }
    return binned;
}

/* -------------------------------------------------------------------------------------- pixels */

static double seeing_of(const aid_exposure *exposure)
{
    double fwhm_px = exposure->psf.fwhm_px;
    return fwhm_px > 0.0 ? fwhm_px : exposure->stars.fwhm_px;
}

/* Where a science pixel holds several reference pixels they are summed first: the spline would only
 * look at a few of them. */
static void choose_kernel(resampling *job)
{
    double scale = sqrt(fabs(aid_transform_jacobian(job->map, job->map->x0, job->map->y0)));
    job->bin = scale > binned_above ? (int)AID_MIN(round(scale), LARGEST_BIN) : 1;
    job->bin = AID_MIN(job->bin, AID_MIN(job->from->image.width, job->from->image.height));
    job->binned_map = map_to_bins(job->map, job->bin);
    job->bin_noise = noise_of_bin(&job->from->correlation, job->bin);
    job->kernel =
        seeing_of(job->from) / job->bin < undersampled_px ? AID_KERNEL_SPLINE5 : AID_KERNEL_SPLINE3;
}

/* Takes the reference's pixels and gives their memory back as soon as it can. */
static aid_status warp_pixels(resampling *job, aid_error *err)
{
    const aid_warp_options options = {.kernel = job->kernel, .conserve_flux = true};
    if (job->bin > 1) {
        AID_CLEANUP(aid_image_done)
        aid_image image = {0};
        AID_CLEANUP(aid_mask_done)
        aid_mask mask = {0};
        AID_TRY(bin_pixels(job->from, job->bin, &image, &mask, err));
        AID_TRY(aid_warp(&image, &mask, &job->binned_map, job->width, job->height, &options,
                         job->pool, &job->to.image, &job->to.mask, err));
    } else {
        AID_TRY(aid_warp(&job->from->image, &job->from->mask, job->map, job->width, job->height,
                         &options, job->pool, &job->to.image, &job->to.mask, err));
    }
    aid_image_done(&job->from->image);
    return aid_fill_masked(&job->to.image, &job->to.mask, filled_again, job->pool, err);
}

static void clear_missing(aid_image *image)
{
    for (int32_t y = 0; y < image->height; y++) {
        float *row = aid_image_row(image, y);
        for (int32_t x = 0; x < image->width; x++)
            row[x] = isfinite(row[x]) ? row[x] : 0.0F;
    }
}

/* -------------------------------------------------------------------------------------- meshes */

static aid_status warp_noise(resampling *job, int32_t from_width, int32_t from_height,
                             aid_error *err)
{
    const aid_exposure *from = job->from;
    aid_mesh *noise = &job->to.noise;
    AID_TRY(aid_mesh_init(job->width, job->height, (job->width + NOISE_CELL - 1) / NOISE_CELL,
                          (job->height + NOISE_CELL - 1) / NOISE_CELL, noise, err));
    for (int32_t j = 0; j < noise->ny; j++)
        for (int32_t i = 0; i < noise->nx; i++) {
            double x = (i + 0.5) * noise->cell_width - 0.5, u, v;
            double y = (j + 0.5) * noise->cell_height - 0.5;
            aid_transform_apply(job->map, x, y, &u, &v);
            double area = fabs(aid_transform_jacobian(&job->binned_map, x, y));
            double value = aid_mesh_at(&from->noise, u, v) * job->bin_noise * area;
            noise->values[(int64_t)j * noise->nx + i] = (float)value;
        }
    aid_noise_correlation white = {.measured = false};
    aid_interpolation interpolation = {.map = &job->binned_map,
                                       .kernel = job->kernel,
                                       .width = from_width / job->bin,
                                       .height = from_height / job->bin,
                                       .correlation = job->bin > 1 ? &white : &from->correlation};
    AID_TRY(aid_interpolation_noise(&interpolation, noise, err));
    /* A pixel that covers the area a of reference pixels (or bins) holds the flux f with the
     * variance a^2 (f/a)/gain. Interpolation makes a single pixel's photon noise smaller and
     * correlated; a filter as wide as a star sees it whole, and that is what the gain is for. */
    double area = fabs(aid_transform_jacobian(&job->binned_map, job->map->x0, job->map->y0));
    job->to.gain = from->gain / area;
    return AID_OK;
}

/* --------------------------------------------------------------------------------------- stars */

/* Second moments under the inverse of matrix m: M^-1 C M^-T. */
static void move_shape(aid_star *star, const double m[4])
{
    const double degree = 3.14159265358979323846 / 180.0;
    double determinant = m[0] * m[3] - m[1] * m[2];
    double c = cos(star->theta_deg * degree), s = sin(star->theta_deg * degree);
    /* the axes, as vectors, on the science image */
    double ax = (m[3] * c - m[1] * s) / determinant * star->a;
    double ay = (m[0] * s - m[2] * c) / determinant * star->a;
    double bx = (-m[3] * s - m[1] * c) / determinant * star->b;
    double by = (m[0] * c + m[2] * s) / determinant * star->b;
    double xx = ax * ax + bx * bx, yy = ay * ay + by * by, xy = ax * ay + bx * by;
    double mean = 0.5 * (xx + yy), half = hypot(0.5 * (xx - yy), xy);
    star->a = sqrt(mean + half);
    star->b = sqrt(AID_MAX(mean - half, 0.0));
    star->theta_deg = 0.5 * atan2(2.0 * xy, xx - yy) / degree;
}

/* Positions and shapes as the science grid has them; false where the star is not on it. */
static bool move_star(const resampling *job, aid_star *star, double aperture_px)
{
    double x, y, m[4];
    if (!aid_transform_invert(job->map, star->x, star->y, &x, &y) ||
        !(x > -0.5 && y > -0.5 && x < job->width - 0.5 && y < job->height - 0.5))
        return false;
    aid_transform_matrix(job->map, x, y, m);
    double area = fabs(m[0] * m[3] - m[1] * m[2]);
    star->x = x;
    star->y = y;
    star->peak *= area;
    star->half_light_px /= sqrt(area);
    star->npix = AID_MAX((int)lround(star->npix / area), 1);
    move_shape(star, m);
    if (x < aperture_px || y < aperture_px || x > job->width - 1 - aperture_px ||
        y > job->height - 1 - aperture_px)
        star->flags |= AID_STAR_TRUNCATED;
    return true;
}

/* Fluxes stay, so their order does. */
static void move_stars(resampling *job)
{
    double scale = sqrt(fabs(aid_transform_jacobian(job->map, job->map->x0, job->map->y0)));
    aid_stars *stars = &job->to.stars;
    *stars = job->from->stars;
    job->from->stars = (aid_stars){0};
    stars->aperture_px /= scale;
    stars->fwhm_px /= scale;
    int kept = 0;
    for (int i = 0; i < stars->count; i++)
        if (move_star(job, &stars->items[i], stars->aperture_px))
            stars->items[kept++] = stars->items[i];
    stars->count = kept;
}

/* ----------------------------------------------------------------------------------------- PSF */

/* Interpolation and binning change the PSF, so it is built on the pixels that it will be used with.
 * With no usable star left the reference's own one will do if the grids differ by little more than
 * a shift. */
static aid_status rebuild_psf(resampling *job, aid_error *err)
{
    aid_exposure *to = &job->to;
    aid_error reason;
    AID_TRY(aid_prepare_build_psf(to, job->pool, job->notes, &reason, err));
    if (to->psf.terms > 0)
        return AID_OK;
    double m[4];
    aid_transform_matrix(job->map, job->map->x0, job->map->y0, m);
    bool shift = fabs(m[0] - 1.0) < 0.02 && fabs(m[3] - 1.0) < 0.02 && fabs(m[1]) < 0.02 &&
                 fabs(m[2]) < 0.02;
    aid_psf *own = &job->from->psf;
    if (shift && own->radius_px > 0 &&
        aid_transform_invert(job->map, own->x0, own->y0, &own->x0, &own->y0)) {
        to->psf = *own;
        *own = (aid_psf){0};
    }
    aid_note_add(job->notes, "resample", "no PSF of the resampled %s (%s)%s", to->name,
                 reason.message, to->psf.radius_px > 0 ? ": that before resampling is used" : "");
    return AID_OK;
}

/* ----------------------------------------------------------------------------------- the whole */

/* Header, epoch and calibration stay; the reference's WCS does not describe the new pixels. */
static void take_description(aid_exposure *from, aid_exposure *to)
{
    *to = *from;
    to->wcs = NULL;
    to->image = (aid_image){0};
    to->mask = (aid_mask){0};
    to->background = to->noise = (aid_mesh){0};
    to->stars = (aid_stars){0};
    to->psf = (aid_psf){0};
    from->header = (aid_header){0};
}

static aid_status resample(resampling *job, aid_error *err)
{
    int32_t from_width = job->from->image.width, from_height = job->from->image.height;
    take_description(job->from, &job->to);
    choose_kernel(job);
    AID_TRY(warp_pixels(job, err));
    clear_missing(&job->to.image);
    if (job->from->background.values)
        AID_TRY(aid_warp_mesh(&job->from->background, job->map, job->width, job->height, true,
                              &job->to.background, err));
    AID_TRY(warp_noise(job, from_width, from_height, err));
    move_stars(job);
    AID_TRY(aid_measure_noise_correlation(&job->to, job->pool, &job->to.correlation, err));
    return rebuild_psf(job, err);
}

/* The pixels stay as they are; the PSF is built where preparation has left it out. */
static aid_status hand_through(aid_exposure *take_reference, aid_pool *pool, aid_notes *notes,
                               aid_exposure *ret_reference, aid_error *err)
{
    aid_error reason = {0};
    aid_status status = AID_OK;
    if (take_reference->psf.terms == 0)
        status = aid_prepare_build_psf(take_reference, pool, notes, &reason, err);
    if (status != AID_OK) {
        aid_exposure_done(take_reference);
        return status;
    }
    if (reason.message[0] && take_reference->psf.terms == 0)
        aid_note_add(notes, "resample", "no PSF of %s: %s", take_reference->name, reason.message);
    *ret_reference = *take_reference;
    return AID_OK;
}

aid_status aid_resample_reference(aid_exposure *take_reference,
                                  const aid_registration *registration, const aid_exposure *science,
                                  aid_pool *pool, aid_notes *notes, aid_exposure *ret_reference,
                                  aid_error *err)
{
    aid_exposure from = *take_reference;
    *take_reference = (aid_exposure){0};
    if (is_identity(&registration->transform, &from.image, &science->image)) {
        aid_wcs_free(from.wcs);
        from.wcs = NULL;
        return hand_through(&from, pool, notes, ret_reference, err);
    }
    resampling job = {.from = &from,
                      .map = &registration->transform,
                      .width = science->image.width,
                      .height = science->image.height,
                      .pool = pool,
                      .notes = notes};
    aid_status status = resample(&job, err);
    aid_exposure_done(&from);
    if (status != AID_OK)
        aid_exposure_done(&job.to);
    else
        *ret_reference = job.to;
    return status;
}
