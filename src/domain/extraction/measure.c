/* The catalogue's measurements of every source, in parallel. */
#include "domain/extraction/measure.h"

#include "core/base/memory.h"
#include "core/imaging/star_shapes.h"
#include "core/imaging/stats.h"

#include <stdlib.h>

enum { SOURCES_PER_TASK = 64, LOCUS_SOURCES = 400, FEWEST_RING = 16 };
static const double fwhm_per_sigma = 2.354820045030949;
static const double kron_reach = 6.0;
static const double aperture_per_fwhm = 1.7, inner_per_fwhm = 3.0, outer_per_fwhm = 6.0;
/* Another source covering more than this of the AUTO ellipse is a neighbour, as in SExtractor. */
static const double neighbour_share = 0.1;
/* Where no star tells, the seeing is taken for this. */
static const double usual_fwhm_px = 3.0;

typedef struct measure_job {
    const aid_field *field;
    const aid_owners *owners;
    aid_sources *sources;
    aid_cutout *cutouts; /* [threads] */
    aid_status (*measure)(const struct measure_job *job, aid_cutout *cutout, aid_source *source,
                          aid_error *err);
    double reach_a, reach_px; /* of the cutouts: the larger one */
} measure_job;

/* ----------------------------------------------------------------------------- Kron, half light */

static double sky_variance(const aid_source *source, const aid_sum *sum)
{
    return source->noise * source->noise * sum->variance_area;
}

static double photon_variance(const aid_field *field, double flux)
{
    return field->gain > 0.0 ? AID_MAX(flux, 0.0) / field->gain : 0.0;
}

static aid_status measure_auto(const measure_job *job, aid_cutout *cutout, aid_source *source,
                               aid_error *err)
{
    const aid_extraction_options *options = job->field->options;
    double moment = aid_kron_moment(cutout, source, kron_reach);
    double radius = options->kron_factor * moment;
    if (!(radius >= options->kron_minimum)) {
        if (isnan(moment))
            source->flags |= AID_SOURCE_NO_KRON;
        radius = options->kron_minimum;
    }
    source->kron_radius = radius;
    if (radius * source->a > 0.5 * cutout->side - 1.5)
        AID_TRY(aid_cutout_load(cutout, job->field, job->owners, source, radius * source->a + 2.0,
                                err));
    aid_sum sum = aid_sum_ellipse(cutout, source, radius, options->rim);
    source->flux_auto = sum.flux;
    source->flux_auto_err =
        sqrt(sky_variance(source, &sum) + photon_variance(job->field, sum.flux));
    double half = radius * source->a;
    bool over_border = source->x < half - 0.5 || source->y < half - 0.5 ||
                       source->x > job->field->image->width - 0.5 - half ||
                       source->y > job->field->image->height - 0.5 - half;
    if (sum.bad > 0.0)
        source->flags |= over_border ? AID_SOURCE_APERTURE_CUT : AID_SOURCE_APERTURE_MASK;
    if (sum.other > neighbour_share * sum.area)
        source->flags |= AID_SOURCE_NEIGHBOUR;
    source->flux_radius_px =
        aid_half_light_radius(cutout, source->flux_auto, kron_reach * source->a, options->rim);
    return AID_OK;
}

/* -------------------------------------------------------------------------- position and aperture
 */

/* The window of a point source is as wide as the seeing; of a broader source, as wide as that. */
static double window_sigma(const measure_job *job, const aid_source *source)
{
    double seeing = job->field->fwhm_px / fwhm_per_sigma;
    double own = 2.0 * source->flux_radius_px / 2.35;
    if (job->field->options->rim == AID_RIM_SEXTRACTOR)
        return own > 0.0 ? own : seeing;
    return own > 1.6 * seeing ? own : seeing;
}

static void measure_aperture(const measure_job *job, const aid_cutout *cutout, aid_source *source)
{
    const aid_field *field = job->field;
    const aid_sources *sources = job->sources;
    bool bary = field->options->rim == AID_RIM_SEXTRACTOR;
    double x = bary ? source->x : source->x_win, y = bary ? source->y : source->y_win;
    aid_sum sum = aid_sum_circle(cutout, x, y, sources->aperture_px, field->options->rim);
    double full = 3.14159265358979323846 * sources->aperture_px * sources->aperture_px;
    bool over_border = x < sources->aperture_px - 0.5 || y < sources->aperture_px - 0.5 ||
                       x > field->image->width - 0.5 - sources->aperture_px ||
                       y > field->image->height - 0.5 - sources->aperture_px;
    source->flags |= over_border ? AID_SOURCE_APERTURE_CUT : 0;
    source->flags |= !over_border && sum.bad > 1e-6 * full ? AID_SOURCE_APERTURE_MASK : 0;
    if (!(sum.sound > 0.0)) {
        source->flags |= AID_SOURCE_APERTURE_BAD;
        return;
    }
    double level_variance = 0.0;
    if (sources->annulus_outer_px > 0.0) {
        aid_ring_level ring =
            aid_level_in_ring(cutout, x, y, sources->annulus_inner_px, sources->annulus_outer_px);
        if (ring.count >= FEWEST_RING) {
            sum.flux -= ring.level * sum.area;
            source->background += ring.level;
            level_variance = sum.area * sum.area * ring.sigma * ring.sigma / (double)ring.count;
        } else {
            source->flags |= AID_SOURCE_ANNULUS_POOR;
        }
    }
    source->flux_aper = sum.flux;
    source->flux_aper_err =
        sqrt(sky_variance(source, &sum) + photon_variance(field, sum.flux) + level_variance);
}

static void set_magnitude(const aid_sources *sources, aid_source *source)
{
    if (!isfinite(sources->zero_point) || !(source->flux_aper > 0.0))
        return;
    source->mag = sources->zero_point - 2.5 * log10(source->flux_aper);
    source->mag_err = 2.5 / log(10.0) * source->flux_aper_err / source->flux_aper;
}

/* North through east, whichever way round east lies on the image. */
void aid_source_set_world(const aid_wcs *wcs, aid_source *source)
{
    double north, east;
    if (!wcs || !aid_wcs_pixel_to_radec(wcs, source->x_win, source->y_win, &source->ra_deg,
                                        &source->dec_deg))
        return;
    if (!aid_wcs_directions(wcs, source->x_win, source->y_win, &north, &east))
        return;
    double turn = fmod(east - north + 720.0, 360.0) < 180.0 ? 1.0 : -1.0;
    double angle = fmod(turn * (source->theta_deg - north), 180.0);
    source->position_angle_deg = angle < 0.0 ? angle + 180.0 : angle;
}

static aid_status measure_rest(const measure_job *job, aid_cutout *cutout, aid_source *source,
                               aid_error *err)
{
    (void)err;
    aid_measure_window(cutout, window_sigma(job, source), job->field, source);
    measure_aperture(job, cutout, source);
    set_magnitude(job->sources, source);
    aid_source_set_world(job->field->input->wcs, source);
    return AID_OK;
}

/* ------------------------------------------------------------------------------------------- all
 */

static aid_status measure_some(void *context, int64_t task, int worker, aid_error *err)
{
    const measure_job *job = context;
    int64_t begin, end;
    aid_band_range(job->sources->count, SOURCES_PER_TASK, task, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        aid_source *source = &job->sources->items[i];
        double reach = AID_MAX(job->reach_a * source->a, job->reach_px) + 2.0;
        if (job->measure == measure_rest)
            reach = AID_MAX(reach, 4.0 * window_sigma(job, source) + 4.0);
        AID_TRY(
            aid_cutout_load(&job->cutouts[worker], job->field, job->owners, source, reach, err));
        AID_TRY(job->measure(job, &job->cutouts[worker], source, err));
    }
    return AID_OK;
}

static aid_status measure_all(measure_job *job, aid_error *err)
{
    return aid_pool_run(job->field->pool, aid_band_count(job->sources->count, SOURCES_PER_TASK),
                        measure_some, job, err);
}

static int brighter_first(const void *left, const void *right)
{
    const aid_source *a = *(const aid_source *const *)left, *b = *(const aid_source *const *)right;
    if (a->flux_iso != b->flux_iso)
        return a->flux_iso > b->flux_iso ? -1 : 1;
    return (a->id > b->id) - (a->id < b->id);
}

/* Twice the half-light radius that most of the bright, sound sources share; NaN for none. */
static aid_status measure_seeing(const aid_sources *sources, double *ret_fwhm_px, aid_error *err)
{
    AID_CLEANUP(aid_free_pointer)
    const aid_source **order = NULL;
    double sizes[LOCUS_SOURCES];
    int64_t sound = 0;
    int count = 0;
    AID_TRY(aid_new_buffer((size_t)sources->count, sizeof *order, "seeing", &order, err));
    for (int64_t i = 0; i < sources->count; i++) {
        const aid_source *source = &sources->items[i];
        const unsigned unfit = AID_SOURCE_SATURATED | AID_SOURCE_TRUNCATED | AID_SOURCE_MASKED |
                               AID_SOURCE_BLENDED | AID_SOURCE_SINGULAR | AID_SOURCE_NEIGHBOUR;
        if (!(source->flags & unfit) && source->flux_radius_px > 0.5)
            order[sound++] = source;
    }
    if (sound > 1)
        qsort(order, (size_t)sound, sizeof *order, brighter_first);
    for (; count < sound && count < LOCUS_SOURCES; count++)
        sizes[count] = 2.0 * order[count]->flux_radius_px;
    *ret_fwhm_px = aid_star_locus(sizes, count);
    return AID_OK;
}

/* What was not told follows the seeing. */
static void choose_apertures(const aid_field *field, aid_sources *sources)
{
    const aid_extraction_options *options = field->options;
    double fwhm = isfinite(field->fwhm_px) ? field->fwhm_px : usual_fwhm_px;
    double r = options->aperture_px;
    sources->aperture_px = r > 0.0 ? r : AID_MAX(aperture_per_fwhm * fwhm, 2.0);
    double inner = options->annulus_inner_px, outer = options->annulus_outer_px;
    if (isnan(inner))
        inner = AID_MAX(inner_per_fwhm * fwhm, sources->aperture_px + 2.0);
    if (isnan(outer))
        outer = AID_MAX(outer_per_fwhm * fwhm, inner + 4.0);
    sources->annulus_inner_px = inner;
    sources->annulus_outer_px = outer;
}

static aid_status measure_in_two_rounds(measure_job *job, aid_field *field, aid_error *err)
{
    aid_sources *sources = job->sources;
    job->measure = measure_auto;
    job->reach_a = kron_reach;
    AID_TRY(measure_all(job, err));
    if (isnan(field->fwhm_px))
        AID_TRY(measure_seeing(sources, &field->fwhm_px, err));
    sources->fwhm_px = field->fwhm_px;
    choose_apertures(field, sources);
    if (isnan(field->fwhm_px))
        field->fwhm_px = usual_fwhm_px;
    job->measure = measure_rest;
    job->reach_a = 0.0;
    job->reach_px = AID_MAX(AID_MAX(sources->aperture_px, sources->annulus_outer_px), 0.0);
    return measure_all(job, err);
}

aid_status aid_measure_sources(aid_field *field, const aid_owners *owners, aid_sources *sources,
                               aid_error *err)
{
    int threads = aid_pool_threads(field->pool);
    measure_job job = {.field = field, .owners = owners, .sources = sources};
    AID_TRY(aid_new_array((size_t)threads, sizeof *job.cutouts, "cutouts", &job.cutouts, err));
    aid_status status = measure_in_two_rounds(&job, field, err);
    for (int i = 0; i < threads; i++)
        aid_cutout_done(&job.cutouts[i]);
    free(job.cutouts);
    return status;
}
