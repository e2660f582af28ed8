/* What the PSF tells of every source, and shapes beyond moments: domain/photometry measures them,
 * with a PSF that varies over the image. */
#include "domain/extraction/internal.h"
#include "domain/photometry/photometry.h"

static const char stage[] = "extract";

static void complete_done(aid_exposure *exposure)
{
    aid_mesh_done(&exposure->noise);
    aid_stars_done(&exposure->stars);
    aid_psf_done(&exposure->psf);
}

/* Stars and the PSF that they have; without stars there is none, and a note. */
static aid_status find_psf(const aid_field *field, aid_exposure *exposure, aid_error *err)
{
    aid_stars_options finding = AID_STARS_DEFAULTS;
    finding.threshold = 10.0;
    finding.gain = field->gain;
    AID_TRY(aid_stars_find(field->image, &field->mask, &exposure->noise, &finding, field->pool,
                           &exposure->stars, err));
    aid_psf_options building = AID_PSF_DEFAULTS;
    building.gain = field->gain;
    aid_error reason = {0};
    aid_status status =
        aid_psf_build(field->image, &field->mask, &exposure->noise, &exposure->stars, &building,
                      field->pool, field->notes, &exposure->psf, &reason);
    if (status == AID_ERR_NUMERIC) {
        aid_note_add(field->notes, stage, "no PSF: %s", reason.message);
        return AID_OK;
    }
    if (status != AID_OK)
        return aid_error_set(err, status, reason.source_file, reason.source_line, "%s",
                             reason.message);
    return AID_OK;
}

/* The PSF of each place, fluxes by it, classes and shapes. */
static aid_status complete_all(const aid_field *field, aid_sources *sources, aid_error *err)
{
    AID_CLEANUP(complete_done)
    aid_exposure exposure = {0};
    AID_TRY(aid_field_noise_mesh(field, 0, field->image->height, &exposure.noise, err));
    AID_TRY(find_psf(field, &exposure, err));
    aid_photometry_frame frame = {.image = field->image,
                                  .mask = &field->mask,
                                  .noise = &exposure.noise,
                                  .gain = field->gain,
                                  .psf = &exposure.psf};
    if (exposure.psf.terms > 0)
        AID_TRY(aid_measure_psf_scale(&frame, &exposure.stars, field->pool, field->notes,
                                      &frame.psf_scale, NULL, err));
    aid_complete_options options = AID_COMPLETE_DEFAULTS;
    return aid_complete_sources(&frame, &options, field->pool, field->notes, sources, err);
}

/* Classes alone, by the one PSF that detection has used. */
static aid_status classify(aid_field *field, aid_sources *sources, aid_error *err)
{
    if (field->psf.terms == 0)
        AID_TRY(aid_field_measure_psf(field, err));
    AID_CLEANUP(aid_mesh_done)
    aid_mesh noise = {0};
    AID_TRY(aid_field_noise_mesh(field, 0, field->image->height, &noise, err));
    aid_photometry_frame frame = {.image = field->image,
                                  .mask = &field->mask,
                                  .noise = &noise,
                                  .gain = field->gain,
                                  .psf = &field->psf};
    aid_complete_options options = {.classes = true};
    return aid_complete_sources(&frame, &options, field->pool, field->notes, sources, err);
}

aid_status aid_field_complete(aid_field *field, aid_sources *sources, aid_error *err)
{
    if (sources->count == 0)
        return AID_OK;
    if (field->options->measure == AID_MEASURE_ALL)
        return complete_all(field, sources, err);
    return field->options->measure == AID_MEASURE_CLASSES ? classify(field, sources, err) : AID_OK;
}
