#include "domain/ranking/score.h"

#include "core/base/memory.h"
#include "core/base/random.h"
#include "domain/ranking/score_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BAND_ROWS = 128, BRIGHT_ROWS = 5, MAX_DRAWS = 10000 };
static const double bright_snr = 8.0;

typedef struct rank_job {
    const aid_catalogue *catalogue;
    const aid_ranking_options *options;
    aid_score_columns columns;
    aid_catalogue_order order;
    int expected[16]; /* columns that have a value in some row */
    int expected_count;
    double *hosts; /* [rows] or NULL */
    aid_ranking ranking;
} rank_job;

/* ---------------------------------------------------------------------------------------- measured
 */

aid_score_columns aid_score_columns_of(const aid_catalogue *catalogue)
{
    aid_score_columns columns;
    const struct {
        const char *name;
        int *column;
    } names[] = {{"id", &columns.id},
                 {"x", &columns.x},
                 {"y", &columns.y},
                 {"ra", &columns.ra},
                 {"dec", &columns.dec},
                 {"flux", &columns.flux},
                 {"flux_err", &columns.flux_err},
                 {"snr", &columns.snr},
                 {"score", &columns.score},
                 {"mag", &columns.mag},
                 {"fwhm", &columns.fwhm},
                 {"ellipticity", &columns.ellipticity},
                 {"peak", &columns.peak},
                 {"chi2", &columns.chi2},
                 {"masked_fraction", &columns.masked},
                 {"flags", &columns.flags}};
    for (size_t i = 0; i < AID_COUNT_OF(names); i++)
        *names[i].column = aid_catalogue_find(catalogue, names[i].name);
    /* Bits mean what only their maker knows; a column with nothing in it may have lost its type. */
    for (int64_t row = 0; columns.flags >= 0 && row < catalogue->rows; row++)
        if (!isnan(aid_catalogue_number(catalogue, columns.flags, row)))
            columns.flags = -1;
    if (columns.chi2 < 0)
        columns.chi2 = aid_catalogue_find(catalogue, "chi2_psf");
    return columns;
}

/* Only what some row has can be missing in another: an image without a zero point has no mag. */
static void find_expected(rank_job *job)
{
    const aid_score_columns *c = &job->columns;
    const int columns[] = {c->x,   c->y,    c->ra,          c->dec,  c->flux, c->flux_err,
                           c->snr, c->fwhm, c->ellipticity, c->peak, c->mag};
    for (size_t i = 0; i < AID_COUNT_OF(columns); i++) {
        bool any = false;
        for (int64_t row = 0; row < job->catalogue->rows && !any; row++)
            any = isfinite(aid_catalogue_number(job->catalogue, columns[i], row));
        if (any)
            job->expected[job->expected_count++] = columns[i];
    }
}

static double completeness(const rank_job *job, int64_t row)
{
    int there = 0;
    for (int i = 0; i < job->expected_count; i++)
        there += isfinite(aid_catalogue_number(job->catalogue, job->expected[i], row));
    return job->expected_count ? (double)there / job->expected_count : (double)NAN;
}

/* Positive values only: anything else is no width, no error. */
static double positive(double value)
{
    return value > 0.0 && isfinite(value) ? value : (double)NAN;
}

static double finite(double value)
{
    return isfinite(value) ? value : (double)NAN;
}

static aid_measured measure(const rank_job *job, int64_t row)
{
    const aid_catalogue *of = job->catalogue;
    const aid_score_columns *c = &job->columns;
    const char *flags = aid_catalogue_text(of, c->flags, row);
    bool cut_off = aid_flags_have(flags, "edge") || aid_flags_have(flags, "truncated") ||
                   aid_flags_have(flags, "masked");
    return (aid_measured){.snr = finite(fabs(aid_catalogue_number(of, c->snr, row))),
                          .score = finite(fabs(aid_catalogue_number(of, c->score, row))),
                          .flux = finite(aid_catalogue_number(of, c->flux, row)),
                          .flux_err = positive(aid_catalogue_number(of, c->flux_err, row)),
                          .fwhm = positive(aid_catalogue_number(of, c->fwhm, row)),
                          .ellipticity = finite(aid_catalogue_number(of, c->ellipticity, row)),
                          .peak = finite(aid_catalogue_number(of, c->peak, row)),
                          .chi2 = positive(aid_catalogue_number(of, c->chi2, row)),
                          .masked_fraction = finite(aid_catalogue_number(of, c->masked, row)),
                          .host_flux = job->hosts ? job->hosts[row] : (double)NAN,
                          .shape_flags = c->flags >= 0 ? aid_flag_factor(flags, true) : (double)NAN,
                          .flags = c->flags >= 0 ? aid_flag_factor(flags, false) : (double)NAN,
                          .edge_factor = c->flags < 0 ? (double)NAN
                                         : cut_off    ? 0.5
                                                      : 1.0,
                          .completeness = completeness(job, row)};
}

/* ------------------------------------------------------------------------------------------- field
 */

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, int64_t count)
{
    qsort(values, (size_t)count, sizeof *values, ascending);
    return count ? 0.5 * (values[(count - 1) / 2] + values[count / 2]) : (double)NAN;
}

static aid_status find_field(rank_job *job, aid_error *err)
{
    AID_CLEANUP(aid_free_pointer)
    double *values = NULL;
    int64_t rows = job->catalogue->rows, counts[3] = {0};
    aid_field_shape *field = &job->ranking.field;
    *field = (aid_field_shape){0, NAN, NAN, NAN};
    AID_TRY(aid_new_array((size_t)rows, 3 * sizeof *values, "ranking", &values, err));
    for (int64_t row = 0; row < rows; row++) {
        aid_measured measured = measure(job, row);
        if (!(aid_significance(&measured) >= bright_snr) ||
            measured.flags * measured.shape_flags < 1.0)
            continue;
        const double shape[3] = {measured.fwhm, measured.ellipticity, aid_concentration(&measured)};
        field->rows++;
        for (int i = 0; i < 3; i++)
            if (isfinite(shape[i]))
                values[i * rows + counts[i]++] = shape[i];
    }
    double *const medians[3] = {&field->fwhm, &field->ellipticity, &field->concentration};
    for (int i = 0; i < 3; i++)
        if (counts[i] >= BRIGHT_ROWS)
            *medians[i] = median(values + i * rows, counts[i]);
    if (!(field->concentration > 0.0))
        field->concentration = NAN;
    return AID_OK;
}

/* ------------------------------------------------------------------------------------------- draws
 */

/* The row as another exposure of the same depth could have measured it. Widths, ellipticities and
 * peaks of faint sources scatter with 1/s. */
static aid_measured draw(const aid_measured *row, aid_random *random)
{
    double s = AID_MAX(aid_significance(row), 1.0), normal[4];
    aid_measured drawn = *row;
    for (int i = 0; i < 4; i++)
        normal[i] = aid_random_normal(random);
    drawn.snr = fabs(row->snr + normal[0]);
    drawn.score = fabs(row->score + normal[0]);
    drawn.flux = row->flux + copysign(normal[0], row->flux) * row->flux_err;
    drawn.fwhm = row->fwhm * exp(0.7 * normal[1] / s);
    drawn.ellipticity = row->ellipticity + 0.8 * normal[2] / s;
    drawn.peak = row->peak * (1.0 + normal[3] / s);
    return drawn;
}

/* Each row has random numbers of its own, by its id where it has one: not by its place. */
static uint64_t stream_of(const rank_job *job, int64_t row)
{
    double id = aid_catalogue_number(job->catalogue, job->columns.id, row);
    if (job->columns.id >= 0 && job->catalogue->items[job->columns.id].integers)
        return (uint64_t)job->catalogue->items[job->columns.id].integers[row];
    return isfinite(id) ? (uint64_t)(int64_t)AID_CLAMP(id, -9e15, 9e15) : (uint64_t)row;
}

static aid_score interval(double value, double *drawn, int draws)
{
    aid_score score = {value, value, value};
    if (isnan(value) || draws < 1) {
        score.low = score.high = NAN;
        return score;
    }
    qsort(drawn, (size_t)draws, sizeof *drawn, ascending);
    score.low = fmin(value, drawn[(int)(0.1587 * (draws - 1) + 0.5)]);
    score.high = fmax(value, drawn[(int)(0.8413 * (draws - 1) + 0.5)]);
    return score;
}

/* `drawn` has room for (AID_SCORES + 1) times the draws. */
static void score_row(const rank_job *job, int64_t row, double *drawn, aid_row_score *ret_score)
{
    const aid_ranking_options *options = job->options;
    aid_measured measured = measure(job, row);
    double scores[AID_SCORES + 1], parts[AID_SCORE_PARTS];
    aid_row_score result = {.host_flux = measured.host_flux};
    aid_random random = aid_random_seeded(options->seed, stream_of(job, row));
    unsigned ignored;
    aid_score_parts(&measured, &job->ranking.field, options->half_snr, result.parts);
    aid_scores_of_parts(result.parts, scores);
    scores[AID_SCORES] = aid_combined_score(scores, options->weights, &result.taken);
    for (int i = 0; i < options->draws; i++) {
        aid_measured other = draw(&measured, &random);
        double values[AID_SCORES];
        aid_score_parts(&other, &job->ranking.field, options->half_snr, parts);
        aid_scores_of_parts(parts, values);
        for (int k = 0; k < AID_SCORES; k++)
            drawn[k * options->draws + i] = values[k];
        drawn[AID_SCORES * options->draws + i] =
            aid_combined_score(values, options->weights, &ignored);
    }
    for (int k = 0; k < AID_SCORES; k++)
        result.scores[k] = interval(scores[k], drawn + k * options->draws, options->draws);
    result.combined =
        interval(scores[AID_SCORES], drawn + AID_SCORES * options->draws, options->draws);
    *ret_score = result;
}

static aid_status score_band(void *context, int64_t task, int worker, aid_error *err)
{
    rank_job *job = context;
    AID_CLEANUP(aid_free_pointer)
    double *drawn = NULL;
    int64_t begin, end;
    (void)worker;
    AID_TRY(aid_new_array((size_t)job->options->draws + 1, (AID_SCORES + 1) * sizeof *drawn,
                          "ranking", &drawn, err));
    aid_band_range(job->catalogue->rows, BAND_ROWS, task, &begin, &end);
    for (int64_t row = begin; row < end; row++)
        score_row(job, row, drawn, &job->ranking.items[row]);
    return AID_OK;
}

/* ------------------------------------------------------------------------------------------- order
 */

typedef struct ordered_row {
    double combined;
    int64_t row;
    const rank_job *job;
} ordered_row;

static int best_first(const void *a, const void *b)
{
    const ordered_row *one = a, *other = b;
    double x = one->combined, y = other->combined;
    if (isnan(x) != isnan(y))
        return isnan(x) - isnan(y);
    if (x > y || x < y)
        return x > y ? -1 : 1;
    return aid_catalogue_compare(one->job->catalogue, &one->job->order, one->row, other->row);
}

static aid_status order_rows(rank_job *job, aid_error *err)
{
    AID_CLEANUP(aid_free_pointer)
    ordered_row *ordered = NULL;
    size_t rows = (size_t)job->catalogue->rows;
    AID_TRY(aid_new_array(rows, sizeof *ordered, "ranking", &ordered, err));
    for (size_t i = 0; i < rows; i++)
        ordered[i] = (ordered_row){job->ranking.items[i].combined.value, (int64_t)i, job};
    qsort(ordered, rows, sizeof *ordered, best_first);
    for (size_t i = 0; i < rows; i++)
        job->ranking.order[i] = ordered[i].row;
    return AID_OK;
}

/* ----------------------------------------------------------------------------------------- reasons
 */

static void say(rank_job *job, aid_score_part part, const char *why)
{
    snprintf(job->ranking.reasons[part], sizeof job->ranking.reasons[part], "%s", why);
}

static void explain(rank_job *job)
{
    const aid_score_columns *c = &job->columns;
    const aid_field_shape *field = &job->ranking.field;
    bool fluxes = c->flux >= 0 && c->flux_err >= 0;
    const char *bright = "fewer than 5 bright rows without a bad flag to compare with";
    if (c->snr < 0 && c->score < 0 && !fluxes)
        say(job, AID_PART_SIGNIFICANCE, "neither snr nor score nor flux and flux_err");
    if (c->fwhm < 0 || isnan(field->fwhm))
        say(job, AID_PART_WIDTH, c->fwhm < 0 ? "no column fwhm" : bright);
    if (c->ellipticity < 0 || isnan(field->ellipticity))
        say(job, AID_PART_ELLIPTICITY, c->ellipticity < 0 ? "no column ellipticity" : bright);
    if (c->peak < 0 || c->flux < 0 || isnan(field->concentration))
        say(job, AID_PART_CONCENTRATION,
            c->peak < 0 || c->flux < 0 ? "not both of the columns peak and flux" : bright);
    if (c->snr < 0 || c->score < 0)
        say(job, AID_PART_AGREEMENT, "not both of the columns snr and score");
    if (c->chi2 < 0)
        say(job, AID_PART_FIT, "no column chi2");
    if (c->masked < 0)
        say(job, AID_PART_MASKED, "no column masked_fraction");
    if (!job->hosts)
        say(job, AID_PART_CHANGE, "no catalogue of the reference");
    else if (!fluxes)
        say(job, AID_PART_CHANGE, "not both of the columns flux and flux_err");
    if (!fluxes)
        say(job, AID_PART_UNCERTAINTY, "not both of the columns flux and flux_err");
    if (c->flags < 0) {
        say(job, AID_PART_SHAPE_FLAGS, "no column flags with names");
        say(job, AID_PART_FLAGS, "no column flags with names");
        say(job, AID_PART_EDGE, "no column flags with names");
    }
}

/* ------------------------------------------------------------------------------------------- whole
 */

static aid_status find_hosts(rank_job *job, aid_notes *notes, aid_error *err)
{
    const aid_catalogue *reference = job->options->reference;
    if (!reference)
        return AID_OK;
    double fwhm = job->ranking.field.fwhm;
    if (isnan(fwhm)) {
        fwhm = 4.0;
        aid_note_add(notes, "rank",
                     "too few bright rows to tell how wide stars are: taken as 4 px");
    }
    AID_TRY(aid_new_array((size_t)job->catalogue->rows, sizeof *job->hosts, "ranking", &job->hosts,
                          err));
    return aid_host_fluxes(job->catalogue, reference, fwhm, notes, job->hosts, err);
}

static aid_status check_any(const rank_job *job, aid_error *err)
{
    char names[384];
    const aid_ranking *ranking = &job->ranking;
    for (int64_t row = 0; row < ranking->rows; row++)
        if (!isnan(ranking->items[row].combined.value))
            return AID_OK;
    if (ranking->rows == 0)
        return AID_OK;
    aid_catalogue_names(job->catalogue, names, sizeof names);
    AID_FAIL(err, AID_ERR_INVALID, "%s: no score can be computed; it has %s", job->catalogue->name,
             names);
}

static aid_status rank(rank_job *job, aid_pool *pool, aid_notes *notes, aid_error *err)
{
    aid_ranking *ranking = &job->ranking;
    size_t rows = (size_t)ranking->rows;
    AID_TRY(aid_new_array(rows, sizeof *ranking->items, "ranking", &ranking->items, err));
    AID_TRY(aid_new_array(rows, sizeof *ranking->order, "ranking", &ranking->order, err));
    find_expected(job);
    AID_TRY(find_field(job, err));
    AID_TRY(find_hosts(job, notes, err));
    AID_TRY(aid_pool_run(pool, aid_band_count(ranking->rows, BAND_ROWS), score_band, job, err));
    explain(job);
    AID_TRY(check_any(job, err));
    return order_rows(job, err);
}

aid_status aid_rank(const aid_catalogue *catalogue, const aid_ranking_options *options,
                    aid_pool *pool, aid_notes *notes, aid_ranking *ret_ranking, aid_error *err)
{
    if (!(options->half_snr > 0.0) || options->draws < 0 || options->draws > MAX_DRAWS)
        AID_FAIL(err, AID_ERR_INVALID, "a half of %g sigma, or %d draws", options->half_snr,
                 options->draws);
    rank_job job = {.catalogue = catalogue,
                    .options = options,
                    .columns = aid_score_columns_of(catalogue),
                    .order = aid_catalogue_order_of(catalogue),
                    .ranking = {.rows = catalogue->rows}};
    aid_status status = rank(&job, pool, notes, err);
    free(job.hosts);
    if (status == AID_OK)
        *ret_ranking = job.ranking;
    else
        aid_ranking_done(&job.ranking);
    return status;
}

void aid_ranking_done(aid_ranking *ranking)
{
    free(ranking->items);
    free(ranking->order);
    *ranking = (aid_ranking){0};
}
