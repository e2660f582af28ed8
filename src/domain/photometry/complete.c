/* What photometry adds to the list of sources that extraction has made. */
#include "core/base/memory.h"
#include "domain/photometry/internal.h"

#include <stdlib.h>

enum { SOURCES_PER_TASK = 16 };

static double best_x(const aid_source *source)
{
    return isfinite(source->x_win) ? source->x_win : source->x;
}

static double best_y(const aid_source *source)
{
    return isfinite(source->y_win) ? source->y_win : source->y;
}

/* ------------------------------------------------------------------------------------ PSF fits */

static void take_fit(const aid_psf_flux *fit, aid_source *source)
{
    source->flux_psf = fit->flux;
    source->flux_psf_err = fit->flux_err;
    source->chi2_psf = fit->chi2;
    source->x_psf = fit->x;
    source->y_psf = fit->y;
    if (!isfinite(fit->flux) || fit->flags & AID_PHOTOMETRY_NOT_CONVERGED)
        source->flags |= AID_SOURCE_NO_PSF_FIT;
}

static aid_status fit_sources(const aid_photometry_frame *frame, aid_pool *pool,
                              aid_sources *sources, aid_error *err)
{
    AID_CLEANUP(aid_free_pointer)
    aid_psf_target *targets = NULL;
    AID_CLEANUP(aid_free_pointer)
    aid_psf_flux *fits = NULL;
    size_t count = (size_t)sources->count;
    AID_TRY(aid_new_array(count, sizeof *targets, "targets", &targets, err));
    AID_TRY(aid_new_array(count, sizeof *fits, "PSF fluxes", &fits, err));
    for (size_t i = 0; i < count; i++)
        targets[i] = (aid_psf_target){best_x(&sources->items[i]), best_y(&sources->items[i]), NAN};
    aid_psf_fit_options options = AID_PSF_FIT_DEFAULTS;
    AID_TRY(aid_psf_photometry(frame, targets, (int)sources->count, &options, pool, fits, err));
    for (size_t i = 0; i < count; i++)
        take_fit(&fits[i], &sources->items[i]);
    return AID_OK;
}

/* --------------------------------------------------------------------------- one by one */

typedef struct complete_job {
    const aid_photometry_frame *frame;
    const aid_complete_options *options;
    aid_sources *sources;
    bool has_psf;
} complete_job;

static void classify_source(const aid_photometry_frame *frame, aid_source *source)
{
    aid_classification result = aid_classify_at(frame, best_x(source), best_y(source));
    source->kind = result.kind;
    source->spread = result.spread;
    source->spread_err = result.spread_err;
    source->p_point = result.p_point;
}

static aid_status shape_source(const aid_photometry_frame *frame, aid_source *source,
                               aid_error *err)
{
    aid_source_shape shape = {
        .x = best_x(source),
        .y = best_y(source),
        .a_px = source->a,
        .b_px = source->b,
        .theta_deg = source->theta_deg,
        .segment = frame->segments && source->id <= INT32_MAX ? (int32_t)source->id : 0};
    aid_morphology m;
    if (!(shape.a_px > 0.0 && isfinite(shape.a_px)))
        return AID_OK;
    AID_TRY(aid_measure_morphology(frame, &shape, &m, err));
    source->gini = m.gini;
    source->m20 = m.m20;
    source->concentration = m.concentration;
    source->asymmetry = m.asymmetry;
    return AID_OK;
}

static aid_status complete_some(void *context, int64_t task, int worker, aid_error *err)
{
    (void)worker;
    complete_job *job = context;
    int64_t begin, end;
    aid_band_range(job->sources->count, SOURCES_PER_TASK, task, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        aid_source *source = &job->sources->items[i];
        if (job->options->classes && job->has_psf)
            classify_source(job->frame, source);
        bool bright = source->flux_auto > job->options->morphology_snr * source->flux_auto_err;
        if (job->options->morphology && bright)
            AID_TRY(shape_source(job->frame, source, err));
    }
    return AID_OK;
}

aid_status aid_complete_sources(const aid_photometry_frame *frame,
                                const aid_complete_options *options, aid_pool *pool,
                                aid_notes *notes, aid_sources *sources, aid_error *err)
{
    bool has_psf = aid_photometry_has_psf(frame);
    if (sources->count == 0)
        return AID_OK;
    if (sources->count > INT32_MAX)
        AID_FAIL(err, AID_ERR_INVALID, "%lld sources are too many for PSF fits",
                 (long long)sources->count);
    if (!has_psf && (options->psf || options->classes))
        aid_note_add(notes, "photometry",
                     "there is no PSF: no fluxes by it and no classes of sources");
    if (options->psf && has_psf)
        AID_TRY(fit_sources(frame, pool, sources, err));
    complete_job job = {frame, options, sources, has_psf};
    return aid_pool_run(pool, aid_band_count(sources->count, SOURCES_PER_TASK), complete_some, &job,
                        err);
}
