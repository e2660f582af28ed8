/* How much light of the reference lies at the place of each row. */
#include "core/base/memory.h"
#include "domain/ranking/neighbours.h"
#include "domain/ranking/score_internal.h"
#include "domain/ranking/sky_regions.h"

#include <math.h>
#include <stdlib.h>

/* The profile (1 + (d/fwhm)^2)^-2 has fallen to 1e-4 of its peak here. */
static const double reach_fwhm = 10.0;

typedef struct host_job {
    const aid_catalogue *catalogue, *reference;
    aid_score_columns of, in; /* of the catalogue, in the reference */
    bool on_sky, by_magnitude;
    double fwhm; /* px, or degrees */
} host_job;

static bool has_columns(int a, int b, int c, int d)
{
    return a >= 0 && b >= 0 && c >= 0 && d >= 0;
}

static bool any_value(const aid_catalogue *catalogue, int column)
{
    for (int64_t row = 0; row < catalogue->rows; row++)
        if (isfinite(aid_catalogue_number(catalogue, column, row)))
            return true;
    return false;
}

/* Degrees of one pixel, from the two rows that are furthest apart along the diagonal; NaN: none. */
static double pixel_scale(const host_job *job)
{
    int64_t ends[2] = {-1, -1};
    double extremes[2] = {INFINITY, -INFINITY}, x[2], y[2], ra[2], dec[2];
    for (int64_t row = 0; row < job->catalogue->rows; row++) {
        double sum = aid_catalogue_number(job->catalogue, job->of.x, row) +
                     aid_catalogue_number(job->catalogue, job->of.y, row);
        if (isnan(sum) || isnan(aid_catalogue_number(job->catalogue, job->of.ra, row)))
            continue;
        if (sum < extremes[0]) {
            extremes[0] = sum;
            ends[0] = row;
        }
        if (sum > extremes[1]) {
            extremes[1] = sum;
            ends[1] = row;
        }
    }
    if (ends[0] < 0 || ends[1] < 0 || ends[0] == ends[1])
        return NAN;
    for (int i = 0; i < 2; i++) {
        x[i] = aid_catalogue_number(job->catalogue, job->of.x, ends[i]);
        y[i] = aid_catalogue_number(job->catalogue, job->of.y, ends[i]);
        ra[i] = aid_catalogue_number(job->catalogue, job->of.ra, ends[i]);
        dec[i] = aid_catalogue_number(job->catalogue, job->of.dec, ends[i]);
    }
    return aid_separation_deg(aid_direction_of(ra[0], dec[0]), aid_direction_of(ra[1], dec[1])) /
           hypot(x[1] - x[0], y[1] - y[0]);
}

/* On the sky where both have positions there, for the reference may be on another grid. */
static aid_status choose_positions(host_job *job, double fwhm_px, aid_notes *notes, aid_error *err)
{
    const aid_score_columns *of = &job->of, *in = &job->in;
    job->fwhm = fwhm_px;
    job->on_sky = has_columns(of->ra, of->dec, in->ra, in->dec) &&
                  any_value(job->catalogue, of->ra) && any_value(job->reference, in->ra);
    if (job->on_sky) {
        double scale = pixel_scale(job);
        if (scale > 0.0) {
            job->fwhm = fwhm_px * scale;
            return AID_OK;
        }
    }
    job->on_sky = false;
    if (!has_columns(of->x, of->y, in->x, in->y))
        AID_FAIL(err, AID_ERR_INVALID,
                 "%s and %s have no positions in common: ra and dec, or x and y",
                 job->catalogue->name, job->reference->name);
    aid_note_add(notes, "rank", "%s is taken to be on the pixels of %s", job->reference->name,
                 job->catalogue->name);
    return AID_OK;
}

/* Magnitudes do not ask which exposure a flux was measured on. */
static aid_status choose_fluxes(host_job *job, aid_notes *notes, aid_error *err)
{
    job->by_magnitude = job->of.mag >= 0 && job->in.mag >= 0 &&
                        any_value(job->catalogue, job->of.mag) &&
                        any_value(job->reference, job->in.mag);
    if (job->by_magnitude)
        return AID_OK;
    if (job->in.flux < 0)
        AID_FAIL(err, AID_ERR_INVALID, "%s has neither mag nor flux", job->reference->name);
    aid_note_add(notes, "rank", "the fluxes of %s are taken to be on the scale of %s",
                 job->reference->name, job->catalogue->name);
    return AID_OK;
}

/* Of one source of the reference: in the unit of the row's flux. */
static double host_flux(const host_job *job, int64_t source, int64_t row)
{
    if (!job->by_magnitude)
        return fmax(aid_catalogue_number(job->reference, job->in.flux, source), 0.0);
    double difference = aid_catalogue_number(job->reference, job->in.mag, source) -
                        aid_catalogue_number(job->catalogue, job->of.mag, row);
    double flux = fabs(aid_catalogue_number(job->catalogue, job->of.flux, row));
    double host = flux * pow(10.0, -0.4 * difference);
    return isfinite(host) ? host : 0.0;
}

/* The points of both, the catalogue's first. */
static aid_status join_points(const host_job *job, double **ret_x, double **ret_y, aid_error *err)
{
    int64_t rows = job->catalogue->rows, sources = job->reference->rows;
    double *x, *y;
    AID_TRY(aid_new_array((size_t)(rows + sources), 2 * sizeof *x, "positions", &x, err));
    y = x + rows + sources;
    for (int64_t i = 0; i < rows; i++) {
        x[i] = aid_catalogue_number(job->catalogue, job->on_sky ? job->of.ra : job->of.x, i);
        y[i] = aid_catalogue_number(job->catalogue, job->on_sky ? job->of.dec : job->of.y, i);
    }
    for (int64_t i = 0; i < sources; i++) {
        x[rows + i] = aid_catalogue_number(job->reference, job->on_sky ? job->in.ra : job->in.x, i);
        y[rows + i] =
            aid_catalogue_number(job->reference, job->on_sky ? job->in.dec : job->in.y, i);
    }
    *ret_x = x;
    *ret_y = y;
    return AID_OK;
}

typedef struct host_sum {
    const host_job *job;
    int64_t row;
    double reach, flux; /* of the neighbours: px or chord */
} host_sum;

static void add_host(void *context, int64_t point, double squared_distance)
{
    host_sum *sum = context;
    double in_fwhm = squared_distance / (sum->reach * sum->reach) * reach_fwhm * reach_fwhm;
    double profile = 1.0 / ((1.0 + in_fwhm) * (1.0 + in_fwhm));
    double flux = host_flux(sum->job, point - sum->job->catalogue->rows, sum->row);
    sum->flux += isnan(flux) ? 0.0 : profile * flux;
}

static aid_status sum_hosts(const host_job *job, double *ret_fluxes, aid_error *err)
{
    AID_CLEANUP(aid_free_pointer)
    double *x = NULL;
    double *y;
    AID_CLEANUP(aid_neighbours_done)
    aid_neighbours neighbours = {0};
    int64_t rows = job->catalogue->rows, total = rows + job->reference->rows;
    AID_TRY(join_points(job, &x, &y, err));
    double reach = job->on_sky ? AID_MIN(reach_fwhm * job->fwhm, 180.0) : reach_fwhm * job->fwhm;
    AID_TRY(aid_neighbours_init(x, y, total, job->on_sky, reach, &neighbours, err));
    for (int64_t i = rows; i < total; i++)
        aid_neighbours_add(&neighbours, i);
    for (int64_t row = 0; row < rows; row++) {
        host_sum sum = {job, row, neighbours.reach, 0.0};
        aid_neighbours_each(&neighbours, row, add_host, &sum);
        ret_fluxes[row] = aid_neighbours_has_position(&neighbours, row) ? sum.flux : (double)NAN;
    }
    return AID_OK;
}

aid_status aid_host_fluxes(const aid_catalogue *catalogue, const aid_catalogue *reference,
                           double fwhm_px, aid_notes *notes, double *ret_fluxes, aid_error *err)
{
    host_job job = {.catalogue = catalogue,
                    .reference = reference,
                    .of = aid_score_columns_of(catalogue),
                    .in = aid_score_columns_of(reference)};
    AID_TRY(choose_positions(&job, fwhm_px, notes, err));
    AID_TRY(choose_fluxes(&job, notes, err));
    return sum_hosts(&job, ret_fluxes, err);
}
