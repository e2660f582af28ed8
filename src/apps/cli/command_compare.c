/* `astrid compare`: what a run has found against what a simulation has hidden. */
#include "adapters/files/json.h"
#include "adapters/tables/csv_cells.h"
#include "apps/cli/commands.h"
#include "core/base/memory.h"
#include "domain/detection/detection.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef struct compare_options {
    double threshold, radius;
    aid_common_options common;
} compare_options;

static const aid_setting_use uses[] = {
    {AID_FIELD("threshold", compare_options, threshold),
     .help = "changes below this significance need not be found"},
    {AID_FIELD("radius", compare_options, radius)},
    AID_COMMON_USES(compare_options),
};

static const aid_argument arguments[] = {
    {.name = "RUN", .help = "folder of `astrid run`, or its candidates.csv"},
    {.name = "TRUTH", .help = "folder of `astrid simulate`, or its truth.csv"},
};

/* ----------------------------------------------------------------------------------- the tables */

typedef struct found_source {
    double x, y, flux, score;
    int polarity;
    bool rejected;  /* flagged as unlikely */
    bool explained; /* lies on a change of the truth */
} found_source;

typedef struct true_change {
    char kind[16];
    double x, y, flux, snr;
    int candidate; /* index, -1: not found */
    double distance_px;
} true_change;

typedef struct comparison {
    int found_count, change_count;
    found_source *found;
    true_change *changes;
} comparison;

/* "night" -> "night/truth.csv" where that is a folder. */
static void file_in(const char *path, const char *name, char file[4096])
{
    struct stat status;
    bool folder = stat(path, &status) == 0 && S_ISDIR(status.st_mode);
    snprintf(file, 4096, "%s%s%s", path, folder ? "/" : "", folder ? name : "");
}

static aid_status find_columns(const aid_csv *csv, const char *path, const char *const *names,
                               int *columns, int count, aid_error *err)
{
    for (int i = 0; i < count; i++) {
        columns[i] = aid_csv_column(csv, names[i]);
        if (columns[i] < 0)
            AID_FAIL(err, AID_ERR_INVALID, "%s: there is no column %s", path, names[i]);
    }
    return AID_OK;
}

/* Whether any of the names, joined by |, is one that counts against a candidate. */
static bool names_rejection(const char *flags)
{
    while (*flags) {
        size_t length = strcspn(flags, "|");
        for (unsigned bit = 1; bit & AID_FLAG_GROUP_REJECT; bit <<= 1) {
            const char *name = aid_flag_name(bit);
            if (name && strlen(name) == length && !strncmp(name, flags, length))
                return true;
        }
        flags += length + (flags[length] == '|');
    }
    return false;
}

static aid_status read_found(const char *path, comparison *result, aid_error *err)
{
    static const char *const names[] = {"x", "y", "flux", "score", "polarity", "flags"};
    enum { X, Y, FLUX, SCORE, POLARITY, FLAGS, COUNT };
    int columns[COUNT];
    AID_CLEANUP(aid_csv_done)
    aid_csv csv = {0};
    AID_TRY(aid_csv_read(path, &csv, err));
    AID_TRY(find_columns(&csv, path, names, columns, COUNT, err));
    AID_TRY(
        aid_new_array((size_t)csv.rows, sizeof *result->found, "candidates", &result->found, err));
    for (int row = 0; row < csv.rows; row++)
        result->found[row] =
            (found_source){.x = aid_csv_number(&csv, row, columns[X]),
                           .y = aid_csv_number(&csv, row, columns[Y]),
                           .flux = aid_csv_number(&csv, row, columns[FLUX]),
                           .score = aid_csv_number(&csv, row, columns[SCORE]),
                           .polarity = aid_csv_number(&csv, row, columns[POLARITY]) > 0.0 ? 1 : -1,
                           .rejected = names_rejection(aid_csv_cell(&csv, row, columns[FLAGS]))};
    result->found_count = csv.rows;
    return AID_OK;
}

/* Stars and galaxies that stay what they are have a change of S/N 0. */
static aid_status read_truth(const char *path, comparison *result, aid_error *err)
{
    static const char *const names[] = {"kind", "x", "y", "flux", "snr", "on_image"};
    enum { KIND, X, Y, FLUX, SNR, ON_IMAGE, COUNT };
    int columns[COUNT];
    AID_CLEANUP(aid_csv_done)
    aid_csv csv = {0};
    AID_TRY(aid_csv_read(path, &csv, err));
    AID_TRY(find_columns(&csv, path, names, columns, COUNT, err));
    AID_TRY(
        aid_new_array((size_t)csv.rows, sizeof *result->changes, "truth", &result->changes, err));
    for (int row = 0; row < csv.rows; row++) {
        double snr = aid_csv_number(&csv, row, columns[SNR]);
        if (!(fabs(snr) > 0.0) || !(aid_csv_number(&csv, row, columns[ON_IMAGE]) > 0.0))
            continue;
        true_change *change = &result->changes[result->change_count++];
        *change = (true_change){.x = aid_csv_number(&csv, row, columns[X]),
                                .y = aid_csv_number(&csv, row, columns[Y]),
                                .flux = aid_csv_number(&csv, row, columns[FLUX]),
                                .snr = snr,
                                .candidate = -1};
        snprintf(change->kind, sizeof change->kind, "%s", aid_csv_cell(&csv, row, columns[KIND]));
    }
    return AID_OK;
}

/* ------------------------------------------------------------------------------------- matching */

/* The nearest candidate of the right sign; one that is flagged only where there is no other. */
static void match_change(comparison *result, true_change *change, double radius_px)
{
    bool best_rejected = true;
    double best = radius_px;
    for (int i = 0; i < result->found_count; i++) {
        found_source *found = &result->found[i];
        double distance = hypot(found->x - change->x, found->y - change->y);
        if (!(distance <= radius_px))
            continue;
        found->explained = true;
        bool right_sign = found->polarity == (change->snr > 0.0 ? 1 : -1);
        bool better = found->rejected == best_rejected ? distance <= best : best_rejected;
        if (right_sign && better) {
            best = distance;
            best_rejected = found->rejected;
            change->candidate = i;
            change->distance_px = distance;
        }
    }
}

/* What moves leaves a candidate of the other sign behind it; simulated movers go as far as this. */
enum { MOVER_REACH_PX = 62 };
static void explain_trails(comparison *result)
{
    for (int k = 0; k < result->change_count; k++) {
        const true_change *change = &result->changes[k];
        if (strcmp(change->kind, "mover") != 0)
            continue;
        for (int i = 0; i < result->found_count; i++) {
            found_source *found = &result->found[i];
            double distance = hypot(found->x - change->x, found->y - change->y);
            if (found->polarity < 0 && distance <= MOVER_REACH_PX)
                found->explained = true;
        }
    }
}

static bool is_found(const comparison *result, const true_change *change)
{
    return change->candidate >= 0 && !result->found[change->candidate].rejected;
}

/* -------------------------------------------------------------------------------------- results */

static const char *const kinds[] = {"transient", "fader", "variable", "mover"};
static const double edges[] = {0.0, 5.0, 6.0, 8.0, 12.0, 20.0, INFINITY};
enum { KINDS = (int)AID_COUNT_OF(kinds), BINS = (int)AID_COUNT_OF(edges) - 1 };

typedef struct tally {
    int there[KINDS + 1][BINS + 1], found[KINDS + 1][BINS + 1]; /* the last ones are totals */
    int due, due_found;                                         /* at or above the threshold */
    int spurious, flagged;
    double position_rms_px, flux_bias; /* NaN where nothing was found */
} tally;

static void count_change(tally *counts, const comparison *result, const true_change *change,
                         double threshold)
{
    int kind = 0, bin = 0, found = is_found(result, change);
    while (kind < KINDS - 1 && strcmp(kinds[kind], change->kind) != 0)
        kind++;
    while (fabs(change->snr) >= edges[bin + 1])
        bin++;
    const int rows[] = {kind, KINDS}, columns[] = {bin, BINS};
    for (int i = 0; i < 4; i++) {
        counts->there[rows[i / 2]][columns[i % 2]]++;
        counts->found[rows[i / 2]][columns[i % 2]] += found;
    }
    if (fabs(change->snr) >= threshold) {
        counts->due++;
        counts->due_found += found;
    }
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Of what is well above the noise: position error per axis where it does not move, and the median
 * flux error of transients. */
static aid_status measure(tally *counts, const comparison *result, aid_error *err)
{
    AID_CLEANUP(aid_free_pointer)
    double *errors = NULL;
    AID_TRY(
        aid_new_array((size_t)result->change_count, sizeof *errors, "comparison", &errors, err));
    double squares = 0.0;
    int positions = 0, fluxes = 0;
    for (int i = 0; i < result->change_count; i++) {
        const true_change *change = &result->changes[i];
        if (!is_found(result, change))
            continue;
        if (strcmp(change->kind, "mover") != 0 && fabs(change->snr) >= 9.0) {
            squares += change->distance_px * change->distance_px;
            positions++;
        }
        if (!strcmp(change->kind, "transient") && change->snr >= 9.0)
            errors[fluxes++] = result->found[change->candidate].flux / change->flux - 1.0;
    }
    qsort(errors, (size_t)fluxes, sizeof *errors, ascending);
    counts->position_rms_px = positions ? sqrt(0.5 * squares / positions) : NAN;
    counts->flux_bias = fluxes ? 0.5 * (errors[(fluxes - 1) / 2] + errors[fluxes / 2]) : NAN;
    return AID_OK;
}

static aid_status count_all(const comparison *result, double threshold, tally *ret_counts,
                            aid_error *err)
{
    tally counts = {0};
    for (int i = 0; i < result->change_count; i++)
        count_change(&counts, result, &result->changes[i], threshold);
    for (int i = 0; i < result->found_count; i++) {
        counts.spurious += !result->found[i].explained && !result->found[i].rejected;
        counts.flagged += result->found[i].rejected;
    }
    AID_TRY(measure(&counts, result, err));
    *ret_counts = counts;
    return AID_OK;
}

static void print_table(const tally *counts)
{
    printf("found of all that changed, by the S/N of the change\n\n%-12s", "");
    for (int bin = 0; bin < BINS - 1; bin++)
        printf("  %3g to %-3g", edges[bin], edges[bin + 1]);
    printf("  above %-4g  all\n", edges[BINS - 1]);
    for (int kind = 0; kind <= KINDS; kind++) {
        printf("%-12s", kind < KINDS ? kinds[kind] : "all");
        for (int bin = 0; bin <= BINS; bin++) {
            int there = counts->there[kind][bin];
            if (there)
                printf("  %4d/%-5d", counts->found[kind][bin], there);
            else
                printf("  %4s%-6s", "-", "");
        }
        printf("\n");
    }
}

enum { MAX_LISTED = 10 };

static void print_missed(const comparison *result, double threshold)
{
    int listed = 0;
    for (int i = 0; i < result->change_count; i++) {
        const true_change *change = &result->changes[i];
        if (fabs(change->snr) < threshold || is_found(result, change) || listed++ >= MAX_LISTED)
            continue;
        printf("  %-10s at %8.2f %8.2f  S/N %6.1f  %s\n", change->kind, change->x, change->y,
               change->snr, change->candidate >= 0 ? "flagged as unlikely" : "no candidate");
    }
    if (listed > MAX_LISTED)
        printf("  ... and %d more\n", listed - MAX_LISTED);
}

static void print_spurious(const comparison *result)
{
    int listed = 0;
    for (int i = 0; i < result->found_count; i++) {
        const found_source *found = &result->found[i];
        if (!found->explained && !found->rejected && listed++ < MAX_LISTED)
            printf("  at %8.2f %8.2f  score %6.1f\n", found->x, found->y, found->score);
    }
    if (listed > MAX_LISTED)
        printf("  ... and %d more\n", listed - MAX_LISTED);
}

static void print_text(const tally *counts, const comparison *result, double threshold)
{
    print_table(counts);
    printf("\nabove %g sigma: %d of %d found\n", threshold, counts->due_found, counts->due);
    print_missed(result, threshold);
    printf("not in the truth: %d candidate%s (beside %d flagged as unlikely)\n", counts->spurious,
           counts->spurious == 1 ? "" : "s", counts->flagged);
    print_spurious(result);
    if (isfinite(counts->position_rms_px))
        printf("positions above S/N 9: %.3f px rms an axis\n", counts->position_rms_px);
    if (isfinite(counts->flux_bias))
        printf("fluxes of transients above S/N 9: %+.2f %% (median)\n", 100.0 * counts->flux_bias);
}

static void print_json(const tally *counts, double threshold)
{
    aid_json_writer json = aid_json_writer_on(stdout, 2);
    aid_json_begin_object(&json);
    aid_json_put_number(&json, "threshold", threshold);
    aid_json_put_integer(&json, "due", counts->due);
    aid_json_put_integer(&json, "found", counts->due_found);
    aid_json_put_integer(&json, "spurious", counts->spurious);
    aid_json_put_integer(&json, "flagged", counts->flagged);
    aid_json_put_number(&json, "position_rms_px", counts->position_rms_px);
    aid_json_put_number(&json, "flux_bias", counts->flux_bias);
    aid_json_put_array(&json, "bins");
    for (int kind = 0; kind < KINDS; kind++)
        for (int bin = 0; bin < BINS; bin++) {
            aid_json_begin_object(&json);
            aid_json_put_text(&json, "kind", kinds[kind]);
            aid_json_put_number(&json, "snr_low", edges[bin]);
            aid_json_put_number(&json, "snr_high", edges[bin + 1]);
            aid_json_put_integer(&json, "there", counts->there[kind][bin]);
            aid_json_put_integer(&json, "found", counts->found[kind][bin]);
            aid_json_end_object(&json);
        }
    aid_json_end_array(&json);
    aid_json_end_object(&json);
    aid_json_finish(&json);
}

/* ---------------------------------------------------------------------------------- the command */

static aid_status compare(const aid_invocation *invocation, comparison *result, aid_error *err)
{
    const compare_options *options = invocation->options;
    char found_path[4096], truth_path[4096];
    file_in(invocation->arguments[0], "candidates.csv", found_path);
    file_in(invocation->arguments[1], "truth.csv", truth_path);
    AID_TRY(read_found(found_path, result, err));
    AID_TRY(read_truth(truth_path, result, err));
    for (int i = 0; i < result->change_count; i++)
        match_change(result, &result->changes[i], options->radius);
    explain_trails(result);
    tally counts;
    AID_TRY(count_all(result, options->threshold, &counts, err));
    if (options->common.json)
        print_json(&counts, options->threshold);
    else
        print_text(&counts, result, options->threshold);
    return AID_OK;
}

static aid_status execute(const aid_invocation *invocation, aid_error *err)
{
    comparison result = {0};
    aid_status status = compare(invocation, &result, err);
    free(result.found);
    free(result.changes);
    return status;
}

const aid_command aid_command_compare = {
    .name = "compare",
    .summary = "Compare what a run has found with the truth of a simulation.",
    .details = "A change counts as found when a candidate of its sign, not flagged as unlikely,\n"
               "lies within --radius of it.\n",
    .example = "astrid compare science.astrid night",
    .arguments = arguments,
    .argument_count = (int)AID_COUNT_OF(arguments),
    .uses = uses,
    .use_count = (int)AID_COUNT_OF(uses),
    .options_size = sizeof(compare_options),
    .execute = execute,
};
