/* `astrid filter`: rows of a catalogue by rules, and why the others are left out. */
#include "adapters/files/files.h"
#include "apps/cli/catalogue_table.h"
#include "apps/cli/commands.h"
#include "apps/common/provenance.h"
#include "apps/common/table_file.h"
#include "core/base/memory.h"
#include "core/base/text.h"
#include "domain/ranking/filter.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct filter_options {
    double min_snr, max_snr, min_flux, max_flux, min_npix, max_npix, min_fwhm, max_fwhm;
    double max_ellipticity, x_min, x_max, y_min, y_max;
    bool absolute_flux;
    const char *region, *require_flags, *reject_flags, *min_distance, *rules, *rejected;
    const char *output, *hdu;
    aid_common_options common;
} filter_options;

static const aid_setting_use uses[] = {
    {AID_FIELD("output", filter_options, output), .unit = "FILE",
     .help = "table of the rows that are kept: .fits, .vot, .json or .csv"},
    {AID_FIELD("rejected", filter_options, rejected)},
    {AID_FIELD("min-snr", filter_options, min_snr)},
    {AID_FIELD("max-snr", filter_options, max_snr)},
    {AID_FIELD("min-flux", filter_options, min_flux)},
    {AID_FIELD("max-flux", filter_options, max_flux)},
    {AID_FIELD("absolute-flux", filter_options, absolute_flux)},
    {AID_FIELD("min-npix", filter_options, min_npix)},
    {AID_FIELD("max-npix", filter_options, max_npix)},
    {AID_FIELD("min-fwhm", filter_options, min_fwhm)},
    {AID_FIELD("max-fwhm", filter_options, max_fwhm)},
    {AID_FIELD("max-ellipticity", filter_options, max_ellipticity)},
    {AID_FIELD("x-min", filter_options, x_min)},
    {AID_FIELD("x-max", filter_options, x_max)},
    {AID_FIELD("y-min", filter_options, y_min)},
    {AID_FIELD("y-max", filter_options, y_max)},
    {AID_FIELD("region", filter_options, region)},
    {AID_FIELD("require-flags", filter_options, require_flags)},
    {AID_FIELD("reject-flags", filter_options, reject_flags)},
    {AID_FIELD("min-distance", filter_options, min_distance)},
    {AID_FIELD("rules", filter_options, rules)},
    {AID_FIELD("table-hdu", filter_options, hdu)},
    AID_COMMON_USES(filter_options),
};

static const aid_argument arguments[] = {
    {.name = "CAT", .help = "table: FITS, VOTable, JSON or CSV"},
};

/* ------------------------------------------------------------------------------------------- rules
 */

/* What is wrong with a rule of the command line is wrong with the command line. */
static aid_status add_option(aid_rules *rules, const char *key, const char *text, aid_error *err)
{
    char where[64];
    snprintf(where, sizeof where, "--%s", key);
    aid_error why;
    if (aid_rules_add(rules, where, key, text, &why) == AID_OK)
        return AID_OK;
    AID_FAIL(err, AID_ERR_USAGE, "%s", why.message);
}

static aid_status add_limits(aid_rules *rules, const filter_options *options, aid_error *err)
{
    const char *flux = options->absolute_flux ? "|flux|" : "flux";
    const struct {
        const char *key, *column, *operator;
        double limit;
    } limits[] = {{"min-snr", "snr", ">=", options->min_snr},
                  {"max-snr", "snr", "<=", options->max_snr},
                  {"min-flux", flux, ">=", options->min_flux},
                  {"max-flux", flux, "<=", options->max_flux},
                  {"min-npix", "npix", ">=", options->min_npix},
                  {"max-npix", "npix", "<=", options->max_npix},
                  {"min-fwhm", "fwhm", ">=", options->min_fwhm},
                  {"max-fwhm", "fwhm", "<=", options->max_fwhm},
                  {"max-ellipticity", "ellipticity", "<=", options->max_ellipticity},
                  {"x-min", "x", ">=", options->x_min},
                  {"x-max", "x", "<=", options->x_max},
                  {"y-min", "y", ">=", options->y_min},
                  {"y-max", "y", "<=", options->y_max}};
    for (size_t i = 0; i < AID_COUNT_OF(limits); i++) {
        char text[128], number[AID_DOUBLE_TEXT];
        if (isnan(limits[i].limit))
            continue;
        aid_double_text(limits[i].limit, -1, number);
        snprintf(text, sizeof text, "%s %s %s", limits[i].column, limits[i].operator, number);
        AID_TRY(add_option(rules, limits[i].key, text, err));
    }
    return AID_OK;
}

static aid_status add_texts(aid_rules *rules, const filter_options *options, aid_error *err)
{
    const struct {
        const char *key, *before, *text;
    } texts[] = {{"region", "", options->region},
                 {"require-flags", "flags has ", options->require_flags},
                 {"reject-flags", "flags lacks ", options->reject_flags},
                 {"min-distance", "distance >= ", options->min_distance}};
    for (size_t i = 0; i < AID_COUNT_OF(texts); i++) {
        char text[4096];
        if (!texts[i].text)
            continue;
        snprintf(text, sizeof text, "%s%s", texts[i].before, texts[i].text);
        AID_TRY(add_option(rules, texts[i].key, text, err));
    }
    return AID_OK;
}

static aid_status make_rules(aid_rules *rules, const filter_options *options, aid_error *err)
{
    enum { MAX_RULE_FILE = 1 << 20 };
    AID_TRY(add_limits(rules, options, err));
    AID_TRY(add_texts(rules, options, err));
    if (!options->rules)
        return AID_OK;
    AID_CLEANUP(aid_free_pointer)
    char *text = NULL;
    AID_TRY(aid_read_file(options->rules, MAX_RULE_FILE, &text, NULL, err));
    return aid_rules_parse(rules, options->rules, text, err);
}

/* ------------------------------------------------------------------------------------------ tables
 */

typedef struct filter_run {
    const aid_invocation *invocation;
    const filter_options *options;
    const char *path;
    aid_rules *rules;
    aid_notes *notes;
    aid_table table;
    aid_catalogue catalogue;
    aid_filter_result result;
} filter_run;

static aid_status select_rows(const filter_run *run, bool kept, const aid_column *more, int count,
                              aid_table *ret_table, int64_t *ret_rows, aid_error *err)
{
    int64_t selected = 0;
    for (int64_t row = 0; row < run->result.rows; row++)
        if (!run->result.broken[row] == kept)
            ret_rows[selected++] = row;
    return aid_table_select(&run->table, ret_rows, selected, more, count, ret_table, err);
}

static aid_status write_kept(const filter_run *run, int64_t *rows, aid_error *err)
{
    aid_table kept;
    AID_TRY(select_rows(run, true, NULL, 0, &kept, rows, err));
    aid_status status = catalogue_write(run->invocation, &kept, run->options->output, err);
    aid_table_done(&kept);
    return status;
}

enum { MAX_REASON = 4096 };

/* The names of all rules that a row breaks, and what it has against what they ask for. */
static aid_status explain(const filter_run *run, int64_t from, aid_table *rejected, int64_t row,
                          aid_error *err)
{
    char names[MAX_REASON] = "", reasons[MAX_REASON] = "", reason[512];
    size_t named = 0, reasoned = 0;
    for (int i = 0; i < run->rules->count; i++) {
        if (!(run->result.broken[from] >> i & 1))
            continue;
        aid_filter_reason(&run->catalogue, run->rules, &run->result, from, i, reason,
                          sizeof reason);
        if (named < sizeof names)
            named += (size_t)snprintf(names + named, sizeof names - named, "%s%s", named ? "|" : "",
                                      run->rules->items[i].name);
        if (reasoned < sizeof reasons)
            reasoned += (size_t)snprintf(reasons + reasoned, sizeof reasons - reasoned, "%s%s: %s",
                                         reasoned ? "; " : "", run->rules->items[i].name, reason);
    }
    AID_TRY(aid_table_set_text(rejected, rejected->columns - 2, row, names, err));
    return aid_table_set_text(rejected, rejected->columns - 1, row, reasons, err);
}

static aid_status write_rejected(const filter_run *run, int64_t *rows, aid_error *err)
{
    static const aid_column more[] = {
        {.name = "rejected_by",
         .description = "rules that it breaks, joined by |",
         .kind = AID_COLUMN_TEXT},
        {.name = "reason", .description = "what it has and what is asked", .kind = AID_COLUMN_TEXT},
    };
    aid_table rejected;
    AID_TRY(select_rows(run, false, more, 2, &rejected, rows, err));
    aid_status status = AID_OK;
    for (int64_t row = 0; row < rejected.rows && status == AID_OK; row++)
        status = explain(run, rows[row], &rejected, row, err);
    if (status == AID_OK)
        status = catalogue_write(run->invocation, &rejected, run->options->rejected, err);
    aid_table_done(&rejected);
    return status;
}

/* ----------------------------------------------------------------------------------------- summary
 */

static void put_rule(aid_json_writer *json, const filter_run *run, int index)
{
    const aid_rule *rule = &run->rules->items[index];
    aid_json_begin_object(json);
    aid_json_put_text(json, "name", rule->name);
    aid_json_put_text(json, "rule", rule->text);
    aid_json_put_integer(json, "rejected", run->result.rejected[index]);
    aid_json_put_integer(json, "rejected_alone", run->result.alone[index]);
    bool from_field = rule->scale == AID_SCALE_QUANTILE || rule->scale == AID_SCALE_SIGMA;
    if (rule->kind == AID_RULE_COMPARE && from_field) {
        aid_json_put_array(json, "limits");
        for (int i = 0; i < rule->count; i++)
            aid_json_number(json, run->result.limits[index][i]);
        aid_json_end_array(json);
    }
    aid_json_end_object(json);
}

static void print_json(const filter_run *run)
{
    aid_json_writer json = aid_json_writer_on(stdout, 2);
    aid_json_begin_object(&json);
    aid_provenance_json(&json, run->invocation);
    aid_json_put_text(&json, "input", run->path);
    aid_json_put_integer(&json, "rows", run->result.rows);
    aid_json_put_integer(&json, "kept", run->result.kept);
    aid_json_put_integer(&json, "rejected", run->result.rows - run->result.kept);
    aid_json_put_array(&json, "rules");
    for (int i = 0; i < run->rules->count; i++)
        put_rule(&json, run, i);
    aid_json_end_array(&json);
    aid_notes_json(&json, run->notes);
    aid_json_put_text(&json, "output", run->options->output);
    aid_json_put_text(&json, "rejected_output", run->options->rejected);
    aid_json_end_object(&json);
    aid_json_finish(&json);
}

static void print_text(const filter_run *run)
{
    printf("%s: %lld of %lld rows kept\n", run->path, (long long)run->result.kept,
           (long long)run->result.rows);
    for (int i = 0; i < run->rules->count; i++)
        printf("  %-18s %8lld rejected, %lld by it alone   %s\n", run->rules->items[i].name,
               (long long)run->result.rejected[i], (long long)run->result.alone[i],
               run->rules->items[i].text);
    print_notes(run->notes);
}

/* ----------------------------------------------------------------------------------------- command
 */

static aid_status check_paths(const filter_options *options, aid_error *err)
{
    if (!options->output)
        AID_FAIL(err, AID_ERR_USAGE, "where to? -o KEPT.csv is missing");
    AID_TRY(aid_table_check_path(options->output, err));
    if (!options->rejected)
        return AID_OK;
    return aid_table_check_path(options->rejected, err);
}

static aid_status filter(filter_run *run, aid_error *err)
{
    AID_CLEANUP(aid_free_pointer)
    int64_t *rows = NULL;
    const aid_table_read_options read = {.hdu = run->options->hdu, .notes = run->notes};
    AID_TRY(check_paths(run->options, err));
    AID_TRY(make_rules(run->rules, run->options, err));
    AID_TRY(aid_table_read(run->path, &read, &run->table, err));
    AID_TRY(catalogue_of_table(&run->table, run->path, &run->catalogue, err));
    AID_TRY(aid_filter(&run->catalogue, run->rules, run->notes, &run->result, err));
    AID_TRY(aid_new_array((size_t)run->table.rows, sizeof *rows, "filter", &rows, err));
    if (run->options->rejected)
        AID_TRY(write_rejected(run, rows, err));
    AID_TRY(write_kept(run, rows, err));
    if (run->options->common.json)
        print_json(run);
    else
        print_text(run);
    return AID_OK;
}

static aid_status execute(const aid_invocation *invocation, aid_error *err)
{
    AID_CLEANUP(aid_free_pointer)
    aid_rules *rules = NULL;
    AID_CLEANUP(aid_free_pointer)
    aid_notes *notes = NULL;
    AID_TRY(aid_new_array(1, sizeof *rules, "rules", &rules, err));
    AID_TRY(aid_new_array(1, sizeof *notes, "notes", &notes, err));
    filter_run run = {.invocation = invocation,
                      .options = invocation->options,
                      .path = invocation->arguments[0],
                      .rules = rules,
                      .notes = notes};
    aid_status status = filter(&run, err);
    aid_filter_result_done(&run.result);
    catalogue_done(&run.catalogue);
    aid_table_done(&run.table);
    return status;
}

const aid_command aid_command_filter = {
    .name = "filter",
    .summary = "Keep the rows of a catalogue that pass every rule.",
    .details = "Limits are inclusive, and what is null passes none of them. All columns stay as "
               "they are.\n"
               "A file of rules has lines such as\n"
               "  bright:  snr >= 5                       clean:   flags lacks edge|cosmic_ray\n"
               "  round:   ellipticity <= 0.4 or missing  deep:    |flux| >= 3 * noise\n"
               "  typical: fwhm between -3 3 sigma        best:    snr >= 0.9 quantile\n"
               "  sharp:   fwhm <= 4 arcsec               field:   not cone 150.1 2.2 5 arcmin\n"
               "  local:   peak >= 3 sigma within 60 px\n"
               "  single:  distance >= 2 px by snr        sparse:  crowding <= 5 within 20 px\n",
    .example =
        "astrid filter candidates.fits -o good.csv --min-snr 5 --reject-flags edge --rejected "
        "why.csv",
    .arguments = arguments,
    .argument_count = (int)AID_COUNT_OF(arguments),
    .uses = uses,
    .use_count = (int)AID_COUNT_OF(uses),
    .options_size = sizeof(filter_options),
    .execute = execute,
};
