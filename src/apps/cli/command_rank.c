/* `astrid rank`: the rows of a catalogue, the best ones first, with scores and what they are of. */
#include "apps/cli/catalogue_table.h"
#include "apps/cli/commands.h"
#include "apps/common/provenance.h"
#include "apps/common/table_file.h"
#include "core/base/memory.h"
#include "domain/ranking/score.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct rank_options {
    const char *output, *weights, *reference, *hdu;
    int64_t top, seed;
    double half_snr;
    aid_common_options common;
} rank_options;

static const aid_setting_use uses[] = {
    {AID_FIELD("output", rank_options, output), .unit = "FILE",
     .help = "table of the rows in their order: .fits, .vot, .json or .csv"},
    {AID_FIELD("top", rank_options, top)},
    {AID_FIELD("weights", rank_options, weights)},
    {AID_FIELD("reference-catalogue", rank_options, reference)},
    {AID_FIELD("half-snr", rank_options, half_snr)},
    {AID_FIELD("seed", rank_options, seed), .help = "seed of the draws for the intervals"},
    {AID_FIELD("table-hdu", rank_options, hdu)},
    AID_COMMON_USES(rank_options),
};

static const aid_argument arguments[] = {
    {.name = "CAT", .help = "candidates of `astrid run`, or sources of `astrid extract`"},
};

enum { SHOWN = 20 }; /* rows on the terminal and explained in JSON, unless --top says otherwise */

typedef struct rank_run {
    const aid_invocation *invocation;
    const rank_options *options;
    const char *path;
    aid_notes *notes;
    aid_table table, reference_table;
    aid_catalogue catalogue, reference;
    aid_ranking_options ranking_options;
    aid_ranking ranking;
} rank_run;

/* ------------------------------------------------------------------------------------------- table
 */

/* rank, then value, low and high of the combined score and of the four others. */
enum { SCORE_COLUMNS = 1 + 3 * (1 + AID_SCORES) };

static const aid_column score_columns[SCORE_COLUMNS] = {
    {.name = "rank", .ucd = "meta.number", .description = "1 is best", .kind = AID_COLUMN_INT64},
#define SCORE(name_, description_)                                                                 \
    {.name = name_ "_score",                                                                       \
     .description = description_,                                                                  \
     .kind = AID_COLUMN_DOUBLE,                                                                    \
     .decimals = -1},                                                                              \
        {.name = name_ "_low",                                                                     \
         .description = "lower end of its 68 % interval",                                          \
         .kind = AID_COLUMN_DOUBLE,                                                                \
         .decimals = -1},                                                                          \
    {                                                                                              \
        .name = name_ "_high", .description = "upper end of its 68 % interval",                    \
        .kind = AID_COLUMN_DOUBLE, .decimals = -1                                                  \
    }
    SCORE("rank", "weighted geometric mean of the scores, 0 to 1"),
    SCORE("detection", "that it is no noise, 0 to 1"),
    SCORE("quality", "like the PSF, unflagged, unmasked, 0 to 1"),
    SCORE("anomaly", "a change that is large for the reference's light there, 0 to 1"),
    SCORE("confidence", "how much could be measured and how well, 0 to 1"),
#undef SCORE
};

static aid_status check_columns(const rank_run *run, aid_error *err)
{
    for (int i = 0; i < SCORE_COLUMNS; i++)
        if (aid_table_find(&run->table, score_columns[i].name) >= 0)
            AID_FAIL(err, AID_ERR_INVALID, "%s: has a column %s already: rank what it was made of",
                     run->path, score_columns[i].name);
    return AID_OK;
}

static void put_scores(const aid_row_score *item, aid_column *columns, int64_t row)
{
    columns[0].values.integers[row] = row + 1;
    for (int k = -1; k < AID_SCORES; k++) {
        const aid_score *score = k < 0 ? &item->combined : &item->scores[k];
        aid_column *first = &columns[1 + 3 * (k + 1)];
        first[0].values.doubles[row] = score->value;
        first[1].values.doubles[row] = score->low;
        first[2].values.doubles[row] = score->high;
    }
}

static int64_t rows_out(const rank_run *run)
{
    int64_t top = run->options->top;
    return top == AID_UNSET_INTEGER ? run->ranking.rows : AID_MIN(top, run->ranking.rows);
}

static aid_status write_table(const rank_run *run, aid_error *err)
{
    aid_table out;
    AID_TRY(aid_table_select(&run->table, run->ranking.order, rows_out(run), score_columns,
                             SCORE_COLUMNS, &out, err));
    for (int64_t row = 0; row < out.rows; row++)
        put_scores(&run->ranking.items[run->ranking.order[row]], out.items + run->table.columns,
                   row);
    aid_status status = catalogue_write(run->invocation, &out, run->options->output, err);
    aid_table_done(&out);
    return status;
}

/* ----------------------------------------------------------------------------------------- summary
 */

static int64_t rows_shown(const rank_run *run)
{
    return run->options->top == AID_UNSET_INTEGER ? AID_MIN(SHOWN, run->ranking.rows)
                                                  : rows_out(run);
}

static void put_score(aid_json_writer *json, const char *name, const aid_score *score)
{
    aid_json_put_object(json, name);
    aid_json_put_number(json, "value", score->value);
    aid_json_put_number(json, "low", score->low);
    aid_json_put_number(json, "high", score->high);
    aid_json_end_object(json);
}

/* As it stands in the table: ids may be words. */
static void put_id(aid_json_writer *json, const rank_run *run, int64_t row)
{
    int column = aid_table_find(&run->table, "id");
    const aid_column *id = column < 0 ? NULL : &run->table.items[column];
    aid_json_key(json, "id");
    if (id && id->kind == AID_COLUMN_TEXT)
        aid_json_text(json, id->values.texts[row]);
    else if (id && id->kind == AID_COLUMN_INT64 && id->values.integers[row] != AID_NULL_INT64)
        aid_json_integer(json, id->values.integers[row]);
    else
        aid_json_null(json);
}

static void put_row(aid_json_writer *json, const rank_run *run, int64_t rank)
{
    int64_t row = run->ranking.order[rank];
    const aid_row_score *item = &run->ranking.items[row];
    aid_json_begin_object(json);
    aid_json_put_integer(json, "rank", rank + 1);
    put_id(json, run, row);
    aid_json_put_integer(json, "row", row + 1);
    put_score(json, "combined", &item->combined);
    for (int i = 0; i < AID_SCORES; i++)
        put_score(json, aid_score_name((aid_score_kind)i), &item->scores[i]);
    aid_json_put_array(json, "taken");
    for (int i = 0; i < AID_SCORES; i++)
        if (item->taken >> i & 1)
            aid_json_text(json, aid_score_name((aid_score_kind)i));
    aid_json_end_array(json);
    aid_json_put_object(json, "parts");
    for (int i = 0; i < AID_SCORE_PARTS; i++)
        aid_json_put_number(json, aid_part_name((aid_score_part)i), item->parts[i]);
    aid_json_end_object(json);
    aid_json_put_number(json, "host_flux", item->host_flux);
    aid_json_end_object(json);
}

static void put_reasons(aid_json_writer *json, const aid_ranking *ranking)
{
    aid_json_put_object(json, "not_computed");
    for (int i = 0; i < AID_SCORE_PARTS; i++)
        if (ranking->reasons[i][0])
            aid_json_put_text(json, aid_part_name((aid_score_part)i), ranking->reasons[i]);
    aid_json_end_object(json);
}

static void print_json(const rank_run *run)
{
    const aid_ranking *ranking = &run->ranking;
    aid_json_writer json = aid_json_writer_on(stdout, 2);
    aid_json_begin_object(&json);
    aid_provenance_json(&json, run->invocation);
    aid_json_put_text(&json, "input", run->path);
    aid_json_put_text(&json, "reference_catalogue", run->options->reference);
    aid_json_put_text(&json, "output", run->options->output);
    aid_json_put_integer(&json, "rows", ranking->rows);
    aid_json_put_object(&json, "weights");
    for (int i = 0; i < AID_SCORES; i++)
        aid_json_put_number(&json, aid_score_name((aid_score_kind)i),
                            run->ranking_options.weights[i]);
    aid_json_end_object(&json);
    aid_json_put_number(&json, "half_snr", run->ranking_options.half_snr);
    aid_json_put_integer(&json, "draws", run->ranking_options.draws);
    aid_json_put_object(&json, "field");
    aid_json_put_integer(&json, "bright_rows", ranking->field.rows);
    aid_json_put_number(&json, "fwhm", ranking->field.fwhm);
    aid_json_put_number(&json, "ellipticity", ranking->field.ellipticity);
    aid_json_put_number(&json, "concentration", ranking->field.concentration);
    aid_json_end_object(&json);
    put_reasons(&json, ranking);
    aid_json_put_array(&json, "ranked");
    for (int64_t rank = 0; rank < rows_shown(run); rank++)
        put_row(&json, run, rank);
    aid_json_end_array(&json);
    aid_notes_json(&json, run->notes);
    aid_json_end_object(&json);
    aid_json_finish(&json);
}

static void print_cell(double value)
{
    if (isnan(value))
        printf("  %9s", "-");
    else
        printf("  %9.4f", value);
}

static void print_id(const rank_run *run, int64_t row)
{
    int column = aid_table_find(&run->table, "id");
    double id = column < 0 ? (double)NAN : aid_table_number(&run->table, column, row);
    if (column >= 0 && run->table.items[column].kind == AID_COLUMN_TEXT)
        printf("%10.10s", run->table.items[column].values.texts[row]
                              ? run->table.items[column].values.texts[row]
                              : "-");
    else
        printf("%10.0f", isnan(id) ? (double)(row + 1) : id);
}

static void print_text(const rank_run *run)
{
    const aid_ranking *ranking = &run->ranking;
    printf("%s: %lld rows ranked\n", run->path, (long long)ranking->rows);
    if (ranking->rows > 0)
        printf("%6s%10s  %9s  %19s  %9s  %9s  %9s  %9s\n", "rank", "id", "score", "68 %",
               "detection", "quality", "anomaly", "confid.");
    for (int64_t rank = 0; rank < rows_shown(run); rank++) {
        int64_t row = ranking->order[rank];
        const aid_row_score *item = &ranking->items[row];
        printf("%6lld", (long long)rank + 1);
        print_id(run, row);
        print_cell(item->combined.value);
        printf("  %8.4f - %8.4f", item->combined.low, item->combined.high);
        for (int i = 0; i < AID_SCORES; i++)
            print_cell(item->scores[i].value);
        printf("\n");
    }
    for (int i = 0; i < AID_SCORE_PARTS; i++)
        if (ranking->rows > 0 && ranking->reasons[i][0])
            printf("not computed: %s of %s: %s\n", aid_part_name((aid_score_part)i),
                   aid_score_name(aid_part_score((aid_score_part)i)), ranking->reasons[i]);
    print_notes(run->notes);
}

/* ----------------------------------------------------------------------------------------- command
 */

static aid_status read_tables(rank_run *run, aid_error *err)
{
    const aid_table_read_options read = {.hdu = run->options->hdu, .notes = run->notes};
    AID_TRY(aid_table_read(run->path, &read, &run->table, err));
    AID_TRY(check_columns(run, err));
    AID_TRY(catalogue_of_table(&run->table, run->path, &run->catalogue, err));
    if (!run->options->reference)
        return AID_OK;
    AID_TRY(aid_table_read(run->options->reference, NULL, &run->reference_table, err));
    AID_TRY(
        catalogue_of_table(&run->reference_table, run->options->reference, &run->reference, err));
    run->ranking_options.reference = &run->reference;
    return AID_OK;
}

static aid_status rank(rank_run *run, aid_error *err)
{
    aid_pool *pool;
    if (run->options->output)
        AID_TRY(aid_table_check_path(run->options->output, err));
    if (run->options->weights)
        AID_TRY(aid_weights_parse(run->options->weights, run->ranking_options.weights, err));
    AID_TRY(read_tables(run, err));
    AID_TRY(aid_pool_new(aid_threads_of(&run->options->common), &pool, err));
    aid_status status =
        aid_rank(&run->catalogue, &run->ranking_options, pool, run->notes, &run->ranking, err);
    aid_pool_free(pool);
    AID_TRY(status);
    if (run->options->output)
        AID_TRY(write_table(run, err));
    if (run->options->common.json)
        print_json(run);
    else
        print_text(run);
    return AID_OK;
}

static aid_status execute(const aid_invocation *invocation, aid_error *err)
{
    AID_CLEANUP(aid_free_pointer)
    aid_notes *notes = NULL;
    AID_TRY(aid_new_array(1, sizeof *notes, "notes", &notes, err));
    rank_run run = {.invocation = invocation,
                    .options = invocation->options,
                    .path = invocation->arguments[0],
                    .notes = notes,
                    .ranking_options = AID_RANKING_DEFAULTS};
    run.ranking_options.half_snr = run.options->half_snr;
    run.ranking_options.seed = (uint64_t)run.options->seed;
    aid_status status = rank(&run, err);
    aid_ranking_done(&run.ranking);
    catalogue_done(&run.catalogue);
    catalogue_done(&run.reference);
    aid_table_done(&run.table);
    aid_table_done(&run.reference_table);
    return status;
}

const aid_command aid_command_rank = {
    .name = "rank",
    .summary = "Put the rows of a catalogue in order, the most interesting ones first.",
    .details =
        "Four scores from 0 to 1, each with an interval: detection (no noise), quality (like the\n"
        "PSF, no bad flags), anomaly (a change that is large for the reference's light there; "
        "needs\n"
        "--reference-catalogue) and confidence (how much of it could be measured, and how well).\n"
        "Their weighted geometric mean gives the order; a score that cannot be computed is null\n"
        "and not in it, and --json says what each one is made of.\n",
    .example = "astrid rank candidates.fits -o ranked.csv --top 100",
    .arguments = arguments,
    .argument_count = (int)AID_COUNT_OF(arguments),
    .uses = uses,
    .use_count = (int)AID_COUNT_OF(uses),
    .options_size = sizeof(rank_options),
    .execute = execute,
};
