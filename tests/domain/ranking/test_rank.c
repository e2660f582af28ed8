/* Scores: what each claims to grow and fall with, the equations by hand, and the order. */
#include "core/base/random.h"
#include "domain/ranking/score.h"
#include "tests/check.h"

static aid_error err;

/* --------------------------------------------------------------------------------- one row changed
 */

enum { ROWS = 24 };
typedef struct sample {
    int64_t id[ROWS];
    double x[ROWS], y[ROWS], flux[ROWS], flux_err[ROWS], snr[ROWS], score[ROWS];
    double fwhm[ROWS], ellipticity[ROWS], peak[ROWS], masked[ROWS], chi2[ROWS];
    const char *flags[ROWS];
} sample;

/* Bright clean point sources: fwhm 4, ellipticity 0.1, peak/flux 0.05. The last row is the one that
 * tests change: S/N 10. */
static sample ordinary(void)
{
    sample s;
    for (int i = 0; i < ROWS; i++) {
        s.id[i] = i + 1;
        s.x[i] = 100.0 * i;
        s.y[i] = 50.0;
        s.snr[i] = s.score[i] = i == ROWS - 1 ? 10.0 : 20.0 + i;
        s.flux_err[i] = 30.0;
        s.flux[i] = (i % 2 ? -30.0 : 30.0) * s.snr[i];
        s.fwhm[i] = 4.0;
        s.ellipticity[i] = 0.1;
        s.peak[i] = 0.05 * s.flux[i];
        s.masked[i] = 0.0;
        s.chi2[i] = NAN;
        s.flags[i] = "";
    }
    return s;
}

enum { COLUMNS = 13 };
static aid_catalogue view(const sample *s, int64_t rows, aid_catalogue_column columns[COLUMNS])
{
    const aid_catalogue_column all[COLUMNS] = {{.name = "id", .integers = s->id},
                                               {.name = "x", .doubles = s->x},
                                               {.name = "y", .doubles = s->y},
                                               {.name = "flux", .doubles = s->flux},
                                               {.name = "flux_err", .doubles = s->flux_err},
                                               {.name = "snr", .doubles = s->snr},
                                               {.name = "score", .doubles = s->score},
                                               {.name = "fwhm", .doubles = s->fwhm},
                                               {.name = "ellipticity", .doubles = s->ellipticity},
                                               {.name = "peak", .doubles = s->peak},
                                               {.name = "masked_fraction", .doubles = s->masked},
                                               {.name = "chi2", .doubles = s->chi2},
                                               {.name = "flags", .texts = s->flags}};
    memcpy(columns, all, sizeof all);
    return (aid_catalogue){"x.csv", rows, COLUMNS, columns};
}

static aid_row_score last_of(const sample *s, const aid_catalogue *reference)
{
    aid_catalogue_column columns[COLUMNS];
    aid_catalogue catalogue = view(s, ROWS, columns);
    aid_ranking_options options = AID_RANKING_DEFAULTS;
    aid_ranking ranking;
    options.reference = reference;
    CHECK_OK(aid_rank(&catalogue, &options, NULL, NULL, &ranking, &err));
    aid_row_score last = ranking.items[ROWS - 1];
    aid_ranking_done(&ranking);
    return last;
}

/* The score of the last row for each value of a member, which must fall (or grow) strictly. */
static void strictly(double direction, aid_score_kind kind, size_t member, const double *values,
                     int count)
{
    double before = NAN;
    for (int i = 0; i < count; i++) {
        sample s = ordinary();
        ((double *)(void *)((char *)&s + member))[ROWS - 1] = values[i];
        double score = last_of(&s, NULL).scores[kind].value;
        CHECK(score >= 0.0 && score <= 1.0);
        if (i > 0 && !((score - before) * direction > 0.0))
            check_fail(__FILE__, __LINE__, "%s at %g is %.17g after %.17g", aid_score_name(kind),
                       values[i], score, before);
        before = score;
    }
}
#define STRICTLY(direction, kind, member, ...)                                                     \
    strictly(direction, kind, offsetof(sample, member), (const double[]){__VA_ARGS__},             \
             (int)(sizeof((const double[]){__VA_ARGS__}) / sizeof(double)))

TEST(detection_grows_with_significance_and_is_half_at_five_sigma)
{
    double before = -1.0;
    for (double snr = 0.5; snr < 300.0; snr *= 1.3) {
        sample s = ordinary();
        s.snr[ROWS - 1] = s.score[ROWS - 1] = snr;
        double score = last_of(&s, NULL).scores[AID_SCORE_DETECTION].value;
        CHECK(score > before && score < 1.0);
        CHECK_NEAR(score, 1.0 / (1.0 + pow(5.0 / snr, 8.0)), 1e-12);
        before = score;
    }
    /* An exaggeration in either of snr and score does not help. */
    STRICTLY(1.0, AID_SCORE_DETECTION, snr, 1.0, 3.0, 5.0, 9.9);
    sample s = ordinary();
    s.snr[ROWS - 1] = 5.0;
    s.score[ROWS - 1] = 50.0;
    CHECK_NEAR(last_of(&s, NULL).scores[AID_SCORE_DETECTION].value, 0.5, 1e-12);
    s.score[ROWS - 1] = -5.0; /* what fades is as significant */
    s.snr[ROWS - 1] = 5.0;
    CHECK_NEAR(last_of(&s, NULL).scores[AID_SCORE_DETECTION].value, 0.5, 1e-12);
}

TEST(quality_falls_away_from_the_psf_with_masked_pixels_and_with_flags)
{
    STRICTLY(-1.0, AID_SCORE_QUALITY, ellipticity, 0.1, 0.2, 0.4, 0.6, 0.9);
    STRICTLY(-1.0, AID_SCORE_QUALITY, fwhm, 4.0, 5.0, 7.0, 12.0, 30.0);
    STRICTLY(-1.0, AID_SCORE_QUALITY, fwhm, 4.0, 3.0, 2.0, 1.0);
    STRICTLY(-1.0, AID_SCORE_QUALITY, masked, 0.0, 0.1, 0.5, 0.9, 1.0);
    STRICTLY(-1.0, AID_SCORE_QUALITY, snr, 10.0, 9.0, 7.0, 5.0);
    STRICTLY(-1.0, AID_SCORE_QUALITY, peak, -15.0, -30.0, -60.0, -120.0); /* flux is -300 */
    STRICTLY(-1.0, AID_SCORE_QUALITY, chi2, 1.0, 1.5, 3.0, 10.0, 100.0, 1e6);
    static const char *const flags[] = {"", "edge", "edge|dipole", "edge|dipole|cosmic_ray"};
    double before = 2.0;
    for (size_t i = 0; i < AID_COUNT_OF(flags); i++) {
        sample s = ordinary();
        s.flags[ROWS - 1] = flags[i];
        double score = last_of(&s, NULL).scores[AID_SCORE_QUALITY].value;
        CHECK(score < before);
        before = score;
    }
    sample s = ordinary();
    s.flags[ROWS - 1] = "moving|near_source|edgewise"; /* neither bad nor known */
    CHECK_NEAR(last_of(&s, NULL).scores[AID_SCORE_QUALITY].value, 1.0, 1e-12);
}

TEST(confidence_falls_with_what_is_missing_uncertain_or_at_the_edge)
{
    sample s = ordinary();
    double whole = last_of(&s, NULL).scores[AID_SCORE_CONFIDENCE].value;
    /* Eight columns are expected; flux_err/flux = 0.1. */
    CHECK_NEAR(whole, 1.0 / 1.01, 1e-12);
    s.fwhm[ROWS - 1] = NAN;
    double one = last_of(&s, NULL).scores[AID_SCORE_CONFIDENCE].value;
    s.ellipticity[ROWS - 1] = NAN;
    double two = last_of(&s, NULL).scores[AID_SCORE_CONFIDENCE].value;
    CHECK_NEAR(one, whole * 7.0 / 8.0, 1e-12);
    CHECK_NEAR(two, whole * 6.0 / 8.0, 1e-12);
    s = ordinary();
    s.flags[ROWS - 1] = "edge";
    CHECK_NEAR(last_of(&s, NULL).scores[AID_SCORE_CONFIDENCE].value, 0.5 * whole, 1e-12);
    STRICTLY(-1.0, AID_SCORE_CONFIDENCE, flux_err, 1.0, 30.0, 100.0, 1000.0);
}

/* ----------------------------------------------------------------------------------------- anomaly
 */

static aid_row_score with_host(double flux, double x, double change)
{
    const double fluxes[] = {flux, 1e9}, xs[] = {x, -5000.0}, ys[] = {50.0, 50.0};
    const aid_catalogue_column columns[] = {{.name = "x", .doubles = xs},
                                            {.name = "y", .doubles = ys},
                                            {.name = "flux", .doubles = fluxes}};
    const aid_catalogue reference = {"ref.csv", 2, 3, columns};
    sample s = ordinary();
    s.flux[ROWS - 1] = change;
    return last_of(&s, &reference);
}

TEST(anomaly_grows_with_the_change_and_falls_with_the_light_that_was_there)
{
    const double at = 100.0 * (ROWS - 1);
    /* On the host itself: error^2 = 30^2 + (0.03 x 10000)^2, z = 300/301.5. */
    aid_row_score on = with_host(10000.0, at, -300.0);
    double z2 = 300.0 * 300.0 / (30.0 * 30.0 + 300.0 * 300.0);
    CHECK_NEAR(on.host_flux, 10000.0, 1e-6);
    CHECK_NEAR(on.scores[AID_SCORE_ANOMALY].value, z2 / (z2 + 25.0), 1e-9);
    /* One fwhm away a quarter of it counts: (1 + 1)^-2. */
    CHECK_NEAR(with_host(10000.0, at + 4.0, -300.0).host_flux, 2500.0, 1e-6);
    CHECK_NEAR(with_host(10000.0, at + 400.0, -300.0).host_flux, 0.0, 1e-12);
    double before = 2.0;
    for (double flux = 10.0; flux < 1e6; flux *= 3.0) {
        double score = with_host(flux, at, -300.0).scores[AID_SCORE_ANOMALY].value;
        CHECK(score < before);
        before = score;
    }
    before = -1.0;
    for (double change = 1.0; change < 1e5; change *= 3.0) {
        double score = with_host(10000.0, at, change).scores[AID_SCORE_ANOMALY].value;
        CHECK(score > before && score <= 1.0);
        before = score;
    }
}

/* Sources of the reference on another pixel grid, with magnitudes: 2.5 mag brighter is ten times
 * the light. 1 px = 0.001 deg by the positions themselves. */
TEST(hosts_are_found_on_the_sky_and_their_light_by_magnitude)
{
    enum { N = 6 };
    double ra[N], dec[N], x[N], y[N], flux[N], flux_err[N], mag[N], snr[N], fwhm[N];
    for (int i = 0; i < N; i++) {
        x[i] = y[i] = 100.0 * i;
        ra[i] = fmod(359.8 + 0.1 * i, 360.0);
        dec[i] = 0.1 * i;
        flux[i] = 1000.0;
        flux_err[i] = 50.0;
        mag[i] = 20.0;
        snr[i] = 20.0;
        fwhm[i] = 4.0;
    }
    const aid_catalogue_column columns[] = {
        {.name = "x", .doubles = x},       {.name = "y", .doubles = y},
        {.name = "ra", .doubles = ra},     {.name = "dec", .doubles = dec},
        {.name = "flux", .doubles = flux}, {.name = "flux_err", .doubles = flux_err},
        {.name = "mag", .doubles = mag},   {.name = "snr", .doubles = snr},
        {.name = "fwhm", .doubles = fwhm}};
    const aid_catalogue catalogue = {"x.csv", N, (int)AID_COUNT_OF(columns), columns};
    const double host_ra[] = {0.004, 0.1}, host_dec[] = {0.2, 0.3}, host_mag[] = {17.5, NAN};
    const aid_catalogue_column hosts[] = {{.name = "ra", .doubles = host_ra},
                                          {.name = "dec", .doubles = host_dec},
                                          {.name = "mag", .doubles = host_mag}};
    const aid_catalogue reference = {"ref.csv", 2, 3, hosts};
    aid_ranking_options options = AID_RANKING_DEFAULTS;
    aid_ranking ranking;
    options.reference = &reference;
    CHECK_OK(aid_rank(&catalogue, &options, NULL, NULL, &ranking, &err));
    double at_host = ranking.items[2].host_flux, nowhere = ranking.items[5].host_flux;
    double unknown = ranking.items[3].host_flux;
    aid_ranking_done(&ranking);
    /* 0.004 deg east of row 2 is one fwhm: a quarter of 10000. cos(dec) makes 1e-5 of it. */
    CHECK_NEAR(at_host, 2500.0, 1.0);
    CHECK_NEAR(nowhere, 0.0, 1e-9);
    CHECK_NEAR(unknown, 0.0, 1e-9);
}

TEST(a_reference_without_positions_or_fluxes_is_refused)
{
    const double values[] = {1.0};
    const aid_catalogue_column ra_only[] = {{.name = "ra", .doubles = values}};
    const aid_catalogue_column no_flux[] = {{.name = "x", .doubles = values},
                                            {.name = "y", .doubles = values}};
    sample s = ordinary();
    aid_catalogue_column columns[COLUMNS];
    aid_catalogue catalogue = view(&s, ROWS, columns);
    const aid_catalogue references[] = {{"ref.csv", 1, 1, ra_only}, {"ref.csv", 1, 2, no_flux}};
    static const char *const why[] = {"no positions in common", "neither mag nor flux"};
    for (int i = 0; i < 2; i++) {
        aid_ranking_options options = AID_RANKING_DEFAULTS;
        aid_ranking ranking = {.rows = -7};
        options.reference = &references[i];
        CHECK_REFUSED(aid_rank(&catalogue, &options, NULL, NULL, &ranking, &err), AID_ERR_INVALID,
                      why[i]);
        CHECK_EQUAL(ranking.rows, -7);
    }
}

/* ---------------------------------------------------------------------------------- combined,
 * nulls */

TEST(the_combined_score_is_the_weighted_geometric_mean_of_what_there_is)
{
    sample s = ordinary();
    s.snr[ROWS - 1] = s.score[ROWS - 1] = 5.0;
    s.flags[ROWS - 1] = "cosmic_ray";
    s.flux[ROWS - 1] = 150.0;
    s.peak[ROWS - 1] = 7.5;
    aid_row_score last = last_of(&s, NULL);
    CHECK_NEAR(last.scores[AID_SCORE_DETECTION].value, 0.5, 1e-12);
    /* Of five clues about the shape, one of which is 0.4. */
    double quality = pow(0.4, 2.0 / 5.0);
    CHECK_NEAR(last.scores[AID_SCORE_QUALITY].value, quality, 1e-12);
    CHECK(isnan(last.scores[AID_SCORE_ANOMALY].value));
    CHECK_NEAR(last.scores[AID_SCORE_CONFIDENCE].value, 1.0 / 1.04, 1e-12);
    CHECK_EQUAL(last.taken,
                1 << AID_SCORE_DETECTION | 1 << AID_SCORE_QUALITY | 1 << AID_SCORE_CONFIDENCE);
    double mean = (0.4 * log(0.5) + 0.3 * log(quality) + 0.1 * log(1.0 / 1.04)) / 0.8;
    CHECK_NEAR(last.combined.value, exp(mean), 1e-12);
}

TEST(a_score_that_cannot_be_computed_is_null_with_a_reason)
{
    const double snr[] = {5.0, NAN, 7.0};
    const int64_t ids[] = {1, 2, 3};
    const aid_catalogue_column columns[] = {{.name = "id", .integers = ids},
                                            {.name = "snr", .doubles = snr}};
    const aid_catalogue catalogue = {"x.csv", 3, 2, columns};
    aid_ranking_options options = AID_RANKING_DEFAULTS;
    aid_ranking ranking;
    options.weights[AID_SCORE_CONFIDENCE] = 0.0; /* which is 1 or 0 here, by snr being there */
    CHECK_OK(aid_rank(&catalogue, &options, NULL, NULL, &ranking, &err));
    int64_t order[3];
    memcpy(order, ranking.order, sizeof order);
    bool nulls = isnan(ranking.items[0].scores[AID_SCORE_QUALITY].value) &&
                 isnan(ranking.items[0].scores[AID_SCORE_ANOMALY].value) &&
                 isnan(ranking.items[1].scores[AID_SCORE_DETECTION].value) &&
                 isnan(ranking.items[1].combined.value) && ranking.items[1].taken == 0 &&
                 isnan(ranking.items[1].combined.low);
    char reasons[3][120];
    memcpy(reasons[0], ranking.reasons[AID_PART_WIDTH], 120);
    memcpy(reasons[1], ranking.reasons[AID_PART_CHANGE], 120);
    memcpy(reasons[2], ranking.reasons[AID_PART_SIGNIFICANCE], 120);
    aid_ranking_done(&ranking);
    CHECK(nulls);
    CHECK(order[0] == 2 && order[1] == 0 && order[2] == 1); /* null last */
    CHECK_TEXT(reasons[0], "no column fwhm");
    CHECK_TEXT(reasons[1], "no catalogue of the reference");
    CHECK_TEXT(reasons[2], "");
}

TEST(catalogues_of_other_programs_are_known_by_their_names_and_their_bits_are_not_guessed)
{
    const double flux[] = {100.0, 300.0}, error[] = {10.0, 10.0}, x[] = {1.0, 2.0};
    const int64_t bits[] = {0, 4}, numbers[] = {1, 2};
    const aid_catalogue_column columns[] = {{.name = "NUMBER", .integers = numbers},
                                            {.name = "X_IMAGE", .doubles = x},
                                            {.name = "FLUX_AUTO", .doubles = flux},
                                            {.name = "FLUXERR_AUTO", .doubles = error},
                                            {.name = "FLAGS", .integers = bits}};
    const aid_catalogue catalogue = {"sex.fits", 2, 5, columns};
    CHECK_EQUAL(aid_catalogue_find(&catalogue, "x"), 1);
    CHECK_EQUAL(aid_catalogue_find(&catalogue, "flux_err"), 3);
    CHECK_EQUAL(aid_catalogue_find(&catalogue, "fwhm"), -1);
    aid_ranking_options options = AID_RANKING_DEFAULTS;
    aid_ranking ranking;
    CHECK_OK(aid_rank(&catalogue, &options, NULL, NULL, &ranking, &err));
    int64_t best = ranking.order[0];
    double flags = ranking.items[1].parts[AID_PART_FLAGS];
    double detection = ranking.items[1].scores[AID_SCORE_DETECTION].value;
    aid_ranking_done(&ranking);
    CHECK_EQUAL(best, 1);
    CHECK(isnan(flags));
    CHECK_NEAR(detection, 1.0 / (1.0 + pow(5.0 / 30.0, 8.0)), 1e-12);
}

TEST(a_catalogue_of_which_nothing_can_be_said_is_refused_and_an_empty_one_is_not)
{
    const char *const names[] = {"a", "b"};
    const aid_catalogue_column columns[] = {{.name = "name", .texts = names}};
    const aid_catalogue catalogue = {"x.csv", 2, 1, columns}, empty = {"x.csv", 0, 1, columns};
    aid_ranking_options options = AID_RANKING_DEFAULTS;
    aid_ranking ranking = {.rows = -7};
    CHECK_REFUSED(aid_rank(&catalogue, &options, NULL, NULL, &ranking, &err), AID_ERR_INVALID,
                  "x.csv: no score can be computed; it has name");
    CHECK_EQUAL(ranking.rows, -7);
    CHECK_OK(aid_rank(&empty, &options, NULL, NULL, &ranking, &err));
    CHECK_EQUAL(ranking.rows, 0);
    aid_ranking_done(&ranking);
}

TEST(weights_are_taken_by_name_and_nonsense_leaves_them_alone)
{
    double weights[AID_SCORES] = {0.4, 0.3, 0.2, 0.1};
    CHECK_OK(aid_weights_parse("anomaly=0,detection=2", weights, &err));
    CHECK(weights[0] == 2.0 && weights[1] == 0.3 && weights[2] == 0.0 && weights[3] == 0.1);
    static const char *const wrong[][2] = {
        {"detection", "NAME=NUMBER"},
        {"merit=1", "none of detection"},
        {"quality=-1", "no number from 0"},
        {"quality=", "no number from 0"},
        {"quality=x", "no number from 0"},
        {"detection=0,quality=0,anomaly=0,confidence=0", "all weights are 0"}};
    for (size_t i = 0; i < AID_COUNT_OF(wrong); i++)
        CHECK_REFUSED(aid_weights_parse(wrong[i][0], weights, &err), AID_ERR_USAGE, wrong[i][1]);
    CHECK(weights[0] == 2.0 && weights[3] == 0.1);
}

/* --------------------------------------------------------------------------- many rows: order,
 * draws */

enum { MANY = 700 };
typedef struct field {
    int64_t id[MANY];
    double flux[MANY], flux_err[MANY], snr[MANY], fwhm[MANY], ellipticity[MANY], peak[MANY];
    const char *flags[MANY];
    bool real[MANY];
} field;

/* A fifth are sources of S/N 4 to 60; a twentieth artefacts as bright, but of odd shape; the rest
 * peaks of noise above 3.5. */
static void random_field(field *f)
{
    aid_random random = aid_random_seeded(77, 1);
    for (int i = 0; i < MANY; i++) {
        double u = aid_random_uniform(&random), v = aid_random_uniform(&random);
        bool artefact = i % 20 == 1;
        f->real[i] = i % 5 == 0;
        f->id[i] = i + 1;
        f->snr[i] = f->real[i] || artefact ? 4.0 * pow(15.0, u) : 3.5 - 0.25 * log(1.0 - u);
        double scatter = 1.0 / f->snr[i];
        f->fwhm[i] = 4.0 * exp(scatter * aid_random_normal(&random)) * (artefact ? 4.0 + v : 1.0);
        f->ellipticity[i] = 0.1 + (artefact ? 0.7 : scatter * fabs(aid_random_normal(&random)));
        f->flux_err[i] = 10.0;
        f->flux[i] = 10.0 * f->snr[i] * (i % 2 ? 1.0 : -1.0);
        f->peak[i] = 0.05 * f->flux[i];
        f->flags[i] = artefact && v > 0.5 ? "bad_shape" : "";
    }
}

static aid_status rank_field(const field *f, aid_pool *pool, uint64_t seed,
                             aid_ranking *ret_ranking)
{
    const aid_catalogue_column columns[] = {{.name = "id", .integers = f->id},
                                            {.name = "flux", .doubles = f->flux},
                                            {.name = "flux_err", .doubles = f->flux_err},
                                            {.name = "snr", .doubles = f->snr},
                                            {.name = "fwhm", .doubles = f->fwhm},
                                            {.name = "ellipticity", .doubles = f->ellipticity},
                                            {.name = "peak", .doubles = f->peak},
                                            {.name = "flags", .texts = f->flags}};
    const aid_catalogue catalogue = {"f", MANY, (int)AID_COUNT_OF(columns), columns};
    aid_ranking_options options = AID_RANKING_DEFAULTS;
    options.seed = seed;
    return aid_rank(&catalogue, &options, pool, NULL, ret_ranking, &err);
}

static field f;

/* Fraction of pairs of a real and another row in which the real one has the higher value. */
static double area_under_curve(const double *values)
{
    double right = 0.0, pairs = 0.0;
    for (int i = 0; i < MANY; i++)
        for (int j = 0; j < MANY; j++)
            if (f.real[i] && !f.real[j]) {
                pairs += 1.0;
                right += values[i] > values[j] ? 1.0 : values[i] < values[j] ? 0.0 : 0.5;
            }
    return right / pairs;
}

/* Artefacts are 6 % of what is not real, and about as bright as what is: in order of S/N half of
 * the pairs with them are wrong, which is 0.03 of all; the scores must win most of that back. */
TEST(the_order_finds_more_of_what_is_real_than_that_of_significance)
{
    static double combined[MANY];
    aid_ranking ranking;
    random_field(&f);
    CHECK_OK(rank_field(&f, NULL, 1, &ranking));
    for (int i = 0; i < MANY; i++)
        combined[i] = ranking.items[i].combined.value;
    aid_ranking_done(&ranking);
    double by_snr = area_under_curve(f.snr), by_score = area_under_curve(combined);
    if (!(by_score > by_snr + 0.015))
        check_fail(__FILE__, __LINE__, "%.4f by score, %.4f by snr", by_score, by_snr);
}

TEST(the_bytes_are_the_same_at_one_and_seven_threads)
{
    aid_pool *pool;
    aid_ranking one, seven;
    random_field(&f);
    CHECK_OK(aid_pool_new(7, &pool, &err));
    CHECK_OK(rank_field(&f, NULL, 1, &one));
    CHECK_OK(rank_field(&f, pool, 1, &seven));
    aid_pool_free(pool);
    int order = memcmp(one.order, seven.order, MANY * sizeof *one.order);
    int different = 0;
    for (int i = 0; i < MANY; i++)
        different += memcmp(&one.items[i].combined, &seven.items[i].combined, sizeof(aid_score)) ||
                     memcmp(one.items[i].scores, seven.items[i].scores, sizeof one.items[i].scores);
    aid_ranking_done(&one);
    aid_ranking_done(&seven);
    CHECK_EQUAL(order, 0);
    CHECK_EQUAL(different, 0);
}

TEST(order_and_intervals_go_with_the_ids_not_with_the_places_of_the_rows)
{
    static field turned;
    aid_ranking one, other;
    random_field(&f);
    for (int i = 0; i < 20; i++) /* ties */
        f.snr[i] = 4.5, f.flux[i] = 45.0, f.fwhm[i] = 4.0, f.ellipticity[i] = 0.1, f.peak[i] = 2.25,
        f.flags[i] = "";
    for (int i = 0; i < MANY; i++) {
        int j = (i * 307 + 11) % MANY; /* 307 and 700 have no common factor */
        turned.id[j] = f.id[i];
        turned.flux[j] = f.flux[i];
        turned.flux_err[j] = f.flux_err[i];
        turned.snr[j] = f.snr[i];
        turned.fwhm[j] = f.fwhm[i];
        turned.ellipticity[j] = f.ellipticity[i];
        turned.peak[j] = f.peak[i];
        turned.flags[j] = f.flags[i];
    }
    CHECK_OK(rank_field(&f, NULL, 1, &one));
    CHECK_OK(rank_field(&turned, NULL, 1, &other));
    int different = 0;
    for (int i = 0; i < MANY; i++) {
        int64_t a = one.order[i], b = other.order[i];
        different += f.id[a] != turned.id[b] ||
                     memcmp(&one.items[a].combined, &other.items[b].combined, sizeof(aid_score));
    }
    aid_ranking_done(&one);
    aid_ranking_done(&other);
    CHECK_EQUAL(different, 0);
}

/* The detection score is a function of s alone, which is drawn with a scatter of 1: its interval
 * must be that of s - 1 and s + 1. 200 draws know a 16 % quantile to 0.1 sigma; 0.4 is four of
 * them. */
TEST(intervals_hold_the_score_and_are_as_wide_as_the_noise_makes_them)
{
    aid_ranking ranking;
    random_field(&f);
    CHECK_OK(rank_field(&f, NULL, 5, &ranking));
    int outside = 0, wrong = 0, checked = 0;
    for (int i = 0; i < MANY; i++) {
        const aid_row_score *item = &ranking.items[i];
        for (int k = 0; k < AID_SCORES; k++)
            outside += !isnan(item->scores[k].value) &&
                       !(item->scores[k].low <= item->scores[k].value &&
                         item->scores[k].value <= item->scores[k].high &&
                         item->scores[k].low >= 0.0 && item->scores[k].high <= 1.0);
        const aid_score *score = &item->scores[AID_SCORE_DETECTION];
        double low = 5.0 / pow(1.0 / score->low - 1.0, 0.125);
        double high = 5.0 / pow(1.0 / score->high - 1.0, 0.125);
        if (f.snr[i] > 20.0) /* 1 - score has too few digits left */
            continue;
        checked++;
        wrong += fabs(low - (f.snr[i] - 1.0)) > 0.4 || fabs(high - (f.snr[i] + 1.0)) > 0.4;
    }
    aid_ranking_done(&ranking);
    CHECK_EQUAL(outside, 0);
    CHECK(checked > 500);
    CHECK_EQUAL(wrong, 0);
}

TEST_MAIN()
