/* Forced photometry: a flux, an error and limits at every position, whatever is there. */
#include "core/base/memory.h"
#include "core/imaging/point_grid.h"
#include "domain/photometry/internal.h"

static const double magnitudes_per_e = 1.0857362047581296; /* 2.5/ln 10 */

/* -------------------------------------------------------------------------------------- limits */

static double normal_above(double z)
{
    return 0.5 * erfc(z / sqrt(2.0));
}

/* P(f < limit | f >= 0) = (Q(-F) - Q(limit - F))/Q(-F), Q the tail of the normal distribution. */
double aid_flux_upper_limit(double flux, double flux_err, double probability)
{
    if (!isfinite(flux) || !(flux_err > 0.0) || !(probability > 0.0 && probability < 1.0))
        return NAN;
    double z = flux / flux_err;
    if (z < -30.0) /* the tail of a tail, which is exponential there */
        return -log1p(-probability) * flux_err / -z;
    double tail = (1.0 - probability) * normal_above(-z);
    double low = 0.0, high = AID_MAX(z, 0.0) + 10.0;
    for (int step = 0; step < 100; step++) {
        double middle = 0.5 * (low + high);
        if (normal_above(middle - z) > tail)
            low = middle;
        else
            high = middle;
    }
    return high * flux_err;
}

static double magnitude(double flux, double zero_point)
{
    return flux > 0.0 ? zero_point - 2.5 * log10(flux) : NAN;
}

static void derive(double null_error, double zero_point, aid_forced_flux *forced)
{
    double error = forced->flux_err;
    if (!isfinite(forced->flux))
        return;
    forced->mag = magnitude(forced->flux, zero_point);
    if (!(error > 0.0))
        return;
    forced->snr = forced->flux / error;
    forced->mag_err =
        forced->flux > 0.0 && isfinite(zero_point) ? magnitudes_per_e * error / forced->flux : NAN;
    forced->limit_3sigma = 3.0 * null_error;
    forced->limit_5sigma = 5.0 * null_error;
    forced->upper_limit_95 = aid_flux_upper_limit(forced->flux, error, 0.95);
    forced->limit_3sigma_mag = magnitude(forced->limit_3sigma, zero_point);
    forced->limit_5sigma_mag = magnitude(forced->limit_5sigma, zero_point);
    forced->upper_limit_95_mag = magnitude(forced->upper_limit_95, zero_point);
}

static aid_forced_flux blank(double x, double y)
{
    return (aid_forced_flux){.x = x,
                             .y = y,
                             .flux = NAN,
                             .flux_err = NAN,
                             .snr = NAN,
                             .limit_3sigma = NAN,
                             .limit_5sigma = NAN,
                             .upper_limit_95 = NAN,
                             .mag = NAN,
                             .mag_err = NAN,
                             .limit_3sigma_mag = NAN,
                             .limit_5sigma_mag = NAN,
                             .upper_limit_95_mag = NAN,
                             .chi2 = NAN,
                             .missing = 1.0};
}

typedef struct forced_job {
    const aid_forced_input *input;
    const aid_forced_options *options;
    const double (*xy)[2];
    const aid_psf_flux *fits;
    const int *fit_of; /* position -> fit */
    int count;
    aid_forced_flux *fluxes;
} forced_job;

/* ------------------------------------------------------------------------------------ PSF fits */

static void from_fit(const forced_job *job, int i)
{
    const aid_psf_flux *fit = &job->fits[job->fit_of[i]];
    aid_forced_flux forced = blank(job->xy[i][0], job->xy[i][1]);
    forced.flux = fit->flux;
    forced.flux_err = fit->flux_err;
    forced.background = fit->background;
    forced.chi2 = fit->chi2;
    forced.missing = fit->missing;
    forced.flags = fit->flags;
    derive(fit->null_err, job->input->zero_point, &forced);
    job->fluxes[i] = forced;
}

/* ----------------------------------------------------------------------------------- apertures */

static void from_aperture(const forced_job *job, int i)
{
    const aid_photometry_frame *frame = &job->input->frame;
    aid_aperture_flux flux =
        aid_aperture_at(frame, &job->options->aperture, job->xy[i][0], job->xy[i][1]);
    aid_forced_flux forced = blank(job->xy[i][0], job->xy[i][1]);
    forced.flux = flux.flux;
    forced.flux_err = flux.flux_err;
    forced.background = flux.background;
    forced.missing = flux.missing;
    forced.flags = flux.flags;
    double photons = AID_MAX(flux.flux, 0.0) * aid_photometry_inverse_gain(frame);
    double rest = flux.flux_err * flux.flux_err - photons;
    derive(sqrt(AID_MAX(rest, 0.0)), job->input->zero_point, &forced);
    job->fluxes[i] = forced;
}

/* ---------------------------------------------------------------------------------------- maps */

/* A map between its pixels; NaN when a sample that is needed is. */
static double map_at(const aid_image *map, double x, double y)
{
    double along_x[PHOTOMETRY_TAPS], along_y[PHOTOMETRY_TAPS], sum = 0.0;
    int32_t left = (int32_t)floor(x), top = (int32_t)floor(y);
    int32_t first_x = left - PHOTOMETRY_TAPS_BEFORE, first_y = top - PHOTOMETRY_TAPS_BEFORE;
    if (first_x < 0 || first_y < 0 || first_x + PHOTOMETRY_TAPS > map->width ||
        first_y + PHOTOMETRY_TAPS > map->height)
        return NAN;
    aid_photometry_taps(x - left, along_x, NULL);
    aid_photometry_taps(y - top, along_y, NULL);
    for (int j = 0; j < PHOTOMETRY_TAPS; j++) {
        const float *row = aid_image_row(map, first_y + j) + first_x;
        double line = 0.0;
        for (int i = 0; i < PHOTOMETRY_TAPS; i++)
            line += along_x[i] * (double)row[i];
        sum += along_y[j] * line;
    }
    return sum;
}

/* The same by the four nearest, or the nearest, which is all there may be beside a gap. */
static double plain_map_at(const aid_image *map, double x, double y)
{
    int32_t left = (int32_t)floor(x), top = (int32_t)floor(y);
    double u = x - left, v = y - top;
    if (left >= 0 && top >= 0 && left + 1 < map->width && top + 1 < map->height) {
        const float *low = aid_image_row(map, top) + left, *high = low + map->stride;
        double value = (1.0 - v) * ((1.0 - u) * (double)low[0] + u * (double)low[1]) +
                       v * ((1.0 - u) * (double)high[0] + u * (double)high[1]);
        if (isfinite(value))
            return value;
    }
    int32_t column = AID_CLAMP((int32_t)floor(x + 0.5), 0, map->width - 1);
    int32_t row = AID_CLAMP((int32_t)floor(y + 0.5), 0, map->height - 1);
    return (double)aid_image_row(map, row)[column];
}

static unsigned flags_around(const aid_photometry_frame *frame, double x, double y)
{
    unsigned flags = 0;
    double values[3];
    for (int32_t j = -1; j <= 1; j++) {
        photometry_row row = {
            .y = (int32_t)floor(y + 0.5) + j, .x0 = (int32_t)floor(x + 0.5) - 1, .count = 3};
        flags |= aid_photometry_read_row(frame, &row, NULL, values);
    }
    return flags;
}

/* The error map holds under the hypothesis that nothing is there; the photons of what is there come
 * on top, as the PSF weighs them: f/g sum P^3/(sum P^2)^2. */
static double photon_variance(const aid_photometry_frame *frame, double flux)
{
    double inverse_gain = aid_photometry_inverse_gain(frame), squares = 0.0, cubes = 0.0;
    if (!(inverse_gain > 0.0) || !frame->psf_stamp || !frame->psf_stamp->data)
        return 0.0;
    for (int32_t y = 0; y < frame->psf_stamp->height; y++)
        for (int32_t x = 0; x < frame->psf_stamp->width; x++) {
            double p = (double)aid_image_row(frame->psf_stamp, y)[x];
            squares += p * p;
            cubes += p * p * p;
        }
    return squares > 0.0 ? fabs(flux) * inverse_gain * AID_MAX(cubes, 0.0) / (squares * squares)
                         : 0.0;
}

static void from_map(const forced_job *job, int i)
{
    const aid_forced_input *input = job->input;
    double x = job->xy[i][0], y = job->xy[i][1];
    aid_forced_flux forced = blank(x, y);
    job->fluxes[i] = forced;
    if (!aid_photometry_on_image(input->flux, x, y)) {
        job->fluxes[i].flags = AID_PHOTOMETRY_OFF_IMAGE;
        return;
    }
    forced.flags = flags_around(&input->frame, x, y);
    forced.flux = map_at(input->flux, x, y);
    if (!isfinite(forced.flux))
        forced.flux = plain_map_at(input->flux, x, y);
    if (isfinite(forced.flux)) {
        double null_error = plain_map_at(input->flux_err, x, y);
        forced.missing = 0.0;
        forced.flux_err =
            sqrt(null_error * null_error + photon_variance(&input->frame, forced.flux));
        if (aid_photometry_has_psf(&input->frame))
            forced.chi2 = aid_optimal_flux_at(&input->frame, x, y).chi2;
        derive(null_error, input->zero_point, &forced);
    }
    job->fluxes[i] = forced;
}

/* -------------------------------------------------------------------------------- all positions */

enum { POSITIONS_PER_TASK = 32 };

static aid_status measure_some(void *context, int64_t task, int worker, aid_error *err)
{
    (void)worker;
    (void)err;
    const forced_job *job = context;
    int64_t begin, end;
    aid_band_range(job->count, POSITIONS_PER_TASK, task, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        if (job->options->method == AID_FORCED_PSF)
            from_fit(job, (int)i);
        else if (job->options->method == AID_FORCED_APERTURE)
            from_aperture(job, (int)i);
        else
            from_map(job, (int)i);
    }
    return AID_OK;
}

static aid_status check_input(const aid_forced_input *input, const aid_forced_options *options,
                              aid_error *err)
{
    if (options->method == AID_FORCED_APERTURE)
        return aid_aperture_check(&options->aperture, err);
    if (options->method == AID_FORCED_PSF && !aid_photometry_has_psf(&input->frame))
        AID_FAIL(err, AID_ERR_NUMERIC, "forced PSF photometry without a PSF");
    if (options->method != AID_FORCED_MAP)
        return AID_OK;
    const aid_image *flux = input->flux, *error = input->flux_err;
    if (!flux || !flux->data || !error || !error->data)
        AID_FAIL(err, AID_ERR_NUMERIC, "forced photometry on maps without a flux and an error map");
    if (flux->width != error->width || flux->height != error->height)
        AID_FAIL(err, AID_ERR_INVALID, "flux map of %d x %d pixels, error map of %d x %d",
                 flux->width, flux->height, error->width, error->height);
    return AID_OK;
}

/* One place given twice would be a fit of two stars that nothing tells apart: positions this near
 * an earlier one share its fit. */
static const double same_place_px = 0.25;

/* Targets without the doubles, and which of them each position is. */
static aid_status choose_targets(const forced_job *job, aid_psf_target *targets, int *fit_of,
                                 int *ret_count, aid_error *err)
{
    enum { NEAR = 16 };
    AID_CLEANUP(aid_free_pointer)
    double *x = NULL;
    AID_TRY(aid_new_array(2 * (size_t)job->count, sizeof *x, "positions", &x, err));
    double *y = x + job->count;
    for (int i = 0; i < job->count; i++) { /* the grid wants numbers */
        bool there = aid_photometry_on_image(job->input->frame.image, job->xy[i][0], job->xy[i][1]);
        x[i] = there ? job->xy[i][0] : -1.0;
        y[i] = there ? job->xy[i][1] : -1.0;
    }
    AID_CLEANUP(aid_point_grid_done)
    aid_point_grid grid = {0};
    AID_TRY(aid_point_grid_init(x, y, job->count, &grid, err));
    int count = 0;
    for (int i = 0; i < job->count; i++) {
        int near[NEAR], first = i;
        bool there = x[i] >= -0.5;
        int found = aid_point_grid_within(&grid, x[i], y[i], same_place_px, near, NEAR);
        for (int k = 0; there && k < AID_MIN(found, NEAR); k++)
            first = AID_MIN(first, near[k]);
        fit_of[i] = first < i ? fit_of[first] : count;
        if (first == i)
            targets[count++] = (aid_psf_target){job->xy[i][0], job->xy[i][1], NAN};
    }
    *ret_count = count;
    return AID_OK;
}

static aid_status measure_by_fits(forced_job *job, aid_pool *pool, aid_error *err)
{
    size_t room = (size_t)job->count;
    AID_CLEANUP(aid_free_pointer)
    aid_psf_target *targets = NULL;
    AID_CLEANUP(aid_free_pointer)
    aid_psf_flux *fits = NULL;
    AID_CLEANUP(aid_free_pointer)
    int *fit_of = NULL;
    int count = 0;
    AID_TRY(aid_new_array(room, sizeof *targets, "targets", &targets, err));
    AID_TRY(aid_new_array(room, sizeof *fits, "PSF fluxes", &fits, err));
    AID_TRY(aid_new_array(room, sizeof *fit_of, "targets", &fit_of, err));
    AID_TRY(choose_targets(job, targets, fit_of, &count, err));
    aid_psf_fit_options options = AID_PSF_FIT_DEFAULTS;
    options.fixed = true;
    options.local_background = job->options->local_background;
    AID_TRY(aid_psf_photometry(&job->input->frame, targets, count, &options, pool, fits, err));
    job->fits = fits;
    job->fit_of = fit_of;
    return aid_pool_run(pool, aid_band_count(job->count, POSITIONS_PER_TASK), measure_some, job,
                        err);
}

aid_status aid_forced_photometry(const aid_forced_input *input, const double (*xy)[2], int count,
                                 const aid_forced_options *options, aid_pool *pool,
                                 aid_forced_flux *ret_fluxes, aid_error *err)
{
    AID_TRY(check_input(input, options, err));
    forced_job job = {
        .input = input, .options = options, .xy = xy, .count = count, .fluxes = ret_fluxes};
    if (count == 0)
        return AID_OK;
    if (options->method == AID_FORCED_PSF)
        return measure_by_fits(&job, pool, err);
    return aid_pool_run(pool, aid_band_count(count, POSITIONS_PER_TASK), measure_some, &job, err);
}
