/* One image of `astrid photometry`: an ordinary one is prepared as for a difference; the file of a
 * difference brings flux and error maps of its own. */
#include "adapters/fits/fits.h"
#include "apps/cli/photometry.h"
#include "core/base/memory.h"
#include "domain/preprocessing/preprocessing.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void photometry_image_done(photometry_image *image)
{
    free(image->ra_deg);
    free(image->dec_deg);
    image->ra_deg = image->dec_deg = NULL;
}

/* What is read or made of one file; only one of exposure and difference is in use. */
typedef struct opened {
    aid_fits_image file;
    bool is_difference;
    aid_exposure exposure;
    aid_fits_image flux, flux_err, psf;
    aid_mask mask;
    aid_mesh noise;
    aid_forced_input input;
} opened;

static void opened_done(opened *image)
{
    aid_fits_image_done(&image->file);
    aid_exposure_done(&image->exposure);
    aid_fits_image_done(&image->flux);
    aid_fits_image_done(&image->flux_err);
    aid_fits_image_done(&image->psf);
    aid_mask_done(&image->mask);
    aid_mesh_done(&image->noise);
}

static const char *name_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* ------------------------------------------------------------------------------ ordinary image */

static aid_status prepare(photometry_job *job, const char *path, opened *image, aid_error *err)
{
    aid_prepare_input input = {.name = name_of(path),
                               .take_image = &image->file.image,
                               .take_mask = &image->file.mask,
                               .variance = &image->file.variance,
                               .header = &image->file.header};
    aid_prepare_options options = AID_PREPARE_DEFAULTS;
    options.gain = job->options->gain;
    options.saturation = job->options->saturation;
    options.zero_point = job->options->zero_point;
    options.skip_psf =
        job->options->photometry == PHOTOMETRY_APERTURE && !job->options->aperture_correction;
    AID_TRY(aid_prepare_exposure(&input, &options, job->pool, &job->notes, &image->exposure, err));
    image->input.frame = aid_photometry_frame_of(&image->exposure);
    image->input.zero_point = image->exposure.zero_point;
    if (image->exposure.psf.terms == 0 || job->options->photometry == PHOTOMETRY_APERTURE)
        return AID_OK;
    return aid_measure_psf_scale(&image->input.frame, &image->exposure.stars, job->pool,
                                 &job->notes, &image->input.frame.psf_scale, NULL, err);
}

/* ------------------------------------------------------------------------------- a difference */

static aid_status read_map(const char *path, const char *name, aid_fits_image *ret_map,
                           aid_error *err)
{
    aid_fits_read_options options = AID_FITS_READ_DEFAULTS;
    options.hdu = name;
    options.skip_companions = true;
    return aid_fits_read(path, &options, ret_map, err);
}

/* One noise level for the whole difference, whose background is white: that of its sound pixels. */
static aid_status measure_noise(opened *image, aid_pool *pool, aid_error *err)
{
    aid_background_options options = AID_BACKGROUND_DEFAULTS;
    AID_CLEANUP(aid_mesh_done)
    aid_mesh background = {0};
    return aid_background_measure(&image->file.image, &image->mask, &options, pool, &background,
                                  &image->noise, err);
}

static aid_status open_difference(photometry_job *job, const char *path, opened *image,
                                  aid_error *err)
{
    char hash[65];
    const aid_image *difference = &image->file.image;
    AID_TRY(read_map(path, "FLUX", &image->flux, err));
    AID_TRY(read_map(path, "FLUX_ERR", &image->flux_err, err));
    AID_TRY(read_map(path, "PSF", &image->psf, err));
    AID_TRY(
        aid_fits_read_mask(path, difference->width, difference->height, &image->mask, hash, err));
    AID_TRY(measure_noise(image, job->pool, err));
    double gain = job->options->gain, zero_point = job->options->zero_point;
    if (isnan(gain))
        (void)aid_header_number(&image->file.header, "GAIN", &gain);
    if (isnan(zero_point))
        (void)aid_header_number(&image->file.header, "ZEROPNT", &zero_point);
    image->is_difference = true;
    image->input = (aid_forced_input){.frame = {.image = difference,
                                                .mask = &image->mask,
                                                .noise = &image->noise,
                                                .gain = gain,
                                                .psf_stamp = &image->psf.image},
                                      .flux = &image->flux.image,
                                      .flux_err = &image->flux_err.image,
                                      .zero_point = zero_point};
    return AID_OK;
}

static aid_status open_image(photometry_job *job, const char *path, opened *image, aid_error *err)
{
    aid_fits_read_options options = AID_FITS_READ_DEFAULTS;
    options.hdu = job->options->hdu;
    AID_TRY(aid_fits_read(path, &options, &image->file, err));
    if (!strcmp(image->file.hdu_name, "DIFFERENCE"))
        return open_difference(job, path, image, err);
    return prepare(job, path, image, err);
}

/* ---------------------------------------------------------------------------------- positions */

/* By the sky where there is a WCS, else by pixels; which of them it was. */
static aid_status place(const photometry_job *job, const aid_wcs *wcs, photometry_image *image,
                        double (*xy)[2], aid_error *err)
{
    const photometry_positions *positions = &job->positions;
    bool by_sky = positions->has_sky && wcs;
    if (!by_sky && !positions->has_pixels)
        AID_FAIL(
            err, AID_ERR_INVALID,
            "%s: the header has no WCS, so that RA and Dec have no place on it; --at-pixel has",
            image->path);
    image->sky_place = by_sky ? "wcs" : "pixel";
    for (int i = 0; i < positions->count; i++) {
        const photometry_position *at = &positions->items[i];
        double ra = at->ra_deg, dec = at->dec_deg, x = at->x, y = at->y;
        if (by_sky) {
            x = y = NAN;
            if (isfinite(ra) && fabs(dec) <= 90.0)
                (void)aid_wcs_radec_to_pixel(wcs, ra, dec, &x, &y);
        } else if (wcs && isfinite(x) && isfinite(y)) {
            (void)aid_wcs_pixel_to_radec(wcs, x, y, &ra, &dec);
        }
        xy[i][0] = x;
        xy[i][1] = y;
        image->ra_deg[i] = ra;
        image->dec_deg[i] = dec;
    }
    return AID_OK;
}

/* ------------------------------------------------------------------------------------ fluxes */

static int choose_method(const photometry_job *job, const opened *image)
{
    bool has_psf = image->exposure.psf.terms > 0;
    switch (job->options->photometry) {
    case PHOTOMETRY_APERTURE:
        return AID_FORCED_APERTURE;
    case PHOTOMETRY_PSF:
        return image->is_difference ? AID_FORCED_MAP : AID_FORCED_PSF;
    default:
        if (image->is_difference)
            return AID_FORCED_MAP;
        return has_psf ? AID_FORCED_PSF : AID_FORCED_APERTURE;
    }
}

/* Multiplies a flux and all that has its unit; magnitudes follow. */
static void scale_flux(aid_forced_flux *flux, double factor, double relative_error)
{
    double step = 2.5 * log10(factor), spread = flux->flux * relative_error;
    double *const values[] = {&flux->flux, &flux->flux_err, &flux->limit_3sigma,
                              &flux->limit_5sigma, &flux->upper_limit_95};
    double *const mags[] = {&flux->mag, &flux->limit_3sigma_mag, &flux->limit_5sigma_mag,
                            &flux->upper_limit_95_mag};
    flux->flux_err = hypot(flux->flux_err, spread);
    for (size_t i = 0; i < AID_COUNT_OF(values); i++)
        *values[i] *= factor;
    for (size_t i = 0; i < AID_COUNT_OF(mags); i++)
        *mags[i] -= step;
}

static aid_status correct_apertures(photometry_job *job, const opened *opened_image,
                                    photometry_image *image, aid_forced_flux *fluxes,
                                    aid_error *err)
{
    aid_growth_curve curve;
    AID_TRY(aid_measure_growth_curve(&opened_image->input.frame, &opened_image->exposure.stars,
                                     job->pool, &job->notes, &curve, err));
    double error, factor = aid_aperture_correction(&curve, job->aperture.a_px, &error);
    if (!isfinite(factor))
        AID_FAIL(err, AID_ERR_NUMERIC,
                 "%s: no stars and no PSF for the correction of an aperture of %g px", image->path,
                 job->aperture.a_px);
    for (int i = 0; i < job->positions.count; i++)
        scale_flux(&fluxes[i], factor, error / factor);
    image->correction = factor;
    return AID_OK;
}

static void find_filter(const aid_header *header, char *filter, size_t size)
{
    static const char *const keywords[] = {"FILTER", "FILTER1", "FILTNAM", "BAND", "INSFLNAM"};
    for (size_t i = 0; i < AID_COUNT_OF(keywords); i++) {
        const char *text = aid_header_text(header, keywords[i]);
        if (text && *text) {
            snprintf(filter, size, "%s", text);
            return;
        }
    }
}

static void describe_image(const opened *opened_image, photometry_image *image)
{
    const aid_header *header = &opened_image->file.header;
    aid_epoch epoch = aid_epoch_from_header(header);
    image->mjd = epoch.known ? epoch.mid_mjd_utc : NAN;
    if (!epoch.known)
        (void)aid_header_number(header, "MJD-AVG", &image->mjd);
    find_filter(header, image->filter, sizeof image->filter);
    const char *unit = aid_header_text(header, "BUNIT");
    snprintf(image->unit, sizeof image->unit, "%s", unit ? unit : "");
    snprintf(image->sha256, sizeof image->sha256, "%s", opened_image->file.sha256);
    image->zero_point = opened_image->input.zero_point;
    image->fwhm_px = opened_image->is_difference ? NAN : opened_image->exposure.psf.fwhm_px;
}

/* What the image's own stars say against its WCS. Positions in pixels are taken at their word. */
static aid_status follow_stars(photometry_job *job, const opened *opened_image,
                               photometry_image *image, double (*xy)[2], aid_error *err)
{
    const aid_exposure *exposure = &opened_image->exposure;
    if (job->options->fixed_wcs || strcmp(image->sky_place, "wcs") != 0 ||
        exposure->stars.count == 0)
        return AID_OK;
    double radius = AID_MAX(3.0, exposure->stars.fwhm_px); /* NaN gives 3 */
    AID_TRY(aid_refine_positions(&exposure->stars, radius, job->positions.count, xy, &image->shift,
                                 err));
    if (image->shift.applied)
        aid_note_add(
            &job->notes, "photometry",
            "%s: positions moved by %.2f, %.2f px, as far as %d stars are off their places "
            "(rms %.2f px)",
            name_of(image->path), image->shift.x_px, image->shift.y_px, image->shift.matched,
            image->shift.rms_px);
    return AID_OK;
}

static aid_status measure(photometry_job *job, int index, opened *opened_image, aid_error *err)
{
    static const char *const names[] = {
        [AID_FORCED_PSF] = "psf", [AID_FORCED_APERTURE] = "aperture", [AID_FORCED_MAP] = "map"};
    photometry_image *image = &job->images[index];
    size_t count = (size_t)AID_MAX(job->positions.count, 1);
    AID_CLEANUP(aid_free_pointer)
    double(*xy)[2] = NULL;
    AID_CLEANUP(aid_free_pointer)
    aid_forced_flux *fluxes = NULL;
    AID_TRY(aid_new_array(count, sizeof *xy, "positions", &xy, err));
    AID_TRY(aid_new_array(count, sizeof *fluxes, "fluxes", &fluxes, err));
    AID_TRY(aid_new_array(count, sizeof(double), "positions", &image->ra_deg, err));
    AID_TRY(aid_new_array(count, sizeof(double), "positions", &image->dec_deg, err));
    aid_wcs *wcs = NULL;
    AID_TRY(aid_wcs_new(&opened_image->file.header, &wcs, err));
    aid_status status = place(job, wcs, image, xy, err);
    aid_wcs_free(wcs);
    AID_TRY(status);
    AID_TRY(follow_stars(job, opened_image, image, xy, err));

    aid_forced_options options = {.method = (aid_forced_method)choose_method(job, opened_image),
                                  .aperture = job->aperture,
                                  .local_background = job->options->local_background};
    image->method = names[options.method];
    image->correction = 1.0;
    describe_image(opened_image, image);
    AID_TRY(aid_forced_photometry(&opened_image->input, (const double(*)[2])xy,
                                  job->positions.count, &options, job->pool, fluxes, err));
    if (options.method == AID_FORCED_APERTURE && job->options->aperture_correction)
        AID_TRY(correct_apertures(job, opened_image, image, fluxes, err));
    for (int i = 0; i < job->positions.count; i++)
        job->rows[job->row_count++] =
            (photometry_row){.position = i, .image = index, .flux = fluxes[i]};
    return AID_OK;
}

aid_status photometry_measure_image(photometry_job *job, int index, aid_error *err)
{
    opened image = {.input.zero_point = NAN};
    const char *path = job->images[index].path;
    aid_status status = open_image(job, path, &image, err);
    if (status == AID_OK) {
        status = measure(job, index, &image, err);
        if (status != AID_OK && !strstr(err->message, path))
            (void)aid_error_prefix(err, status, "%s", path);
    }
    opened_done(&image);
    return status;
}
