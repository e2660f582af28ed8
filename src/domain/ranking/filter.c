#include "domain/ranking/filter.h"

#include "core/base/memory.h"
#include "domain/ranking/neighbours.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One rule and where it finds what it needs. */
typedef struct bound_rule {
    const aid_rule *rule;
    int column, factor; /* -1: none */
    int x, y;           /* of regions and distances */
    double limits[2];   /* in the unit of the column */
    aid_sky_polygon polygon;
} bound_rule;

typedef struct filter_job {
    const aid_catalogue *catalogue;
    const aid_rules *rules;
    aid_notes *notes;
    bound_rule *bound; /* [rules->count] */
    aid_filter_result result;
} filter_job;

/* ----------------------------------------------------------------------------------------- columns
 */

static aid_status need_column(const filter_job *job, const aid_rule *rule, const char *name,
                              int *ret_column, aid_error *err)
{
    char names[384];
    *ret_column = aid_catalogue_find(job->catalogue, name);
    if (*ret_column >= 0)
        return AID_OK;
    aid_catalogue_names(job->catalogue, names, sizeof names);
    AID_FAIL(err, AID_ERR_INVALID, "rule %s: no column `%s` in %s; it has %s", rule->name, name,
             job->catalogue->name, names);
}

static aid_status need_numbers(const filter_job *job, const aid_rule *rule, const char *name,
                               int *ret_column, aid_error *err)
{
    AID_TRY(need_column(job, rule, name, ret_column, err));
    if (job->catalogue->items[*ret_column].texts)
        AID_FAIL(err, AID_ERR_INVALID, "rule %s: column `%s` of %s holds text, not numbers",
                 rule->name, name, job->catalogue->name);
    return AID_OK;
}

/* ------------------------------------------------------------------------------------------- units
 */

/* Arcseconds in an angle; 0: no angle. */
static double arcseconds_in(const char *unit)
{
    static const struct {
        const char *name;
        double arcseconds;
    } units[] = {{"deg", 3600.0},    {"degree", 3600.0}, {"arcmin", 60.0},
                 {"arcsec", 1.0},    {"mas", 1e-3},      {"rad", 3600.0 * 57.29577951308232},
                 {"arcseconds", 1.0}};
    for (size_t i = 0; i < AID_COUNT_OF(units); i++)
        if (!strcmp(unit, units[i].name))
            return units[i].arcseconds;
    return 0.0;
}

static bool is_pixel(const char *unit)
{
    return !strcmp(unit, "px") || !strcmp(unit, "pix") || !strcmp(unit, "pixel") ||
           !strcmp(unit, "pixels");
}

/* Multiplies the limits so that they are in the column's unit. */
static aid_status convert_limits(const filter_job *job, bound_rule *bound, aid_error *err)
{
    const aid_rule *rule = bound->rule;
    const char *of_column = job->catalogue->items[bound->column].unit;
    if (!rule->unit[0])
        return AID_OK;
    if (!of_column) {
        aid_note_add(job->notes, "filter", "rule %s: %s says no unit of `%s`, taken to be %s",
                     rule->name, job->catalogue->name, rule->column, rule->unit);
        return AID_OK;
    }
    double from = arcseconds_in(rule->unit), to = arcseconds_in(of_column), factor = 1.0;
    if (from > 0.0 && to > 0.0)
        factor = from / to;
    else if (strcmp(rule->unit, of_column) != 0 && !(is_pixel(rule->unit) && is_pixel(of_column)))
        AID_FAIL(err, AID_ERR_INVALID,
                 "rule %s: a limit in %s for column `%s` of %s, which is in %s", rule->name,
                 rule->unit, rule->column, job->catalogue->name, of_column);
    for (int i = 0; i < 2; i++)
        bound->limits[i] *= factor;
    return AID_OK;
}

/* --------------------------------------------------------------------------- limits from the field
 */

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Linear between the sorted values, as numpy.quantile does it. */
static double quantile(const double *sorted, int64_t count, double fraction)
{
    double at = fraction * (double)(count - 1);
    int64_t below = (int64_t)floor(at), above = AID_MIN(below + 1, count - 1);
    return sorted[below] + (at - (double)below) * (sorted[above] - sorted[below]);
}

static double value_of(const filter_job *job, const bound_rule *bound, int64_t row)
{
    double value = aid_catalogue_number(job->catalogue, bound->column, row);
    return bound->rule->absolute ? fabs(value) : value;
}

/* The rule's limits among `count` > 0 values, which are sorted and used up. */
static void limits_among(const aid_rule *rule, double *values, int64_t count, double ret_limits[2])
{
    double numbers[2] = {rule->numbers[0], rule->numbers[rule->count - 1]};
    qsort(values, (size_t)count, sizeof *values, ascending);
    if (rule->scale == AID_SCALE_QUANTILE) {
        for (int i = 0; i < 2; i++)
            ret_limits[i] = quantile(values, count, numbers[i]);
        return;
    }
    double median = quantile(values, count, 0.5);
    for (int64_t i = 0; i < count; i++)
        values[i] = fabs(values[i] - median);
    qsort(values, (size_t)count, sizeof *values, ascending);
    double sigma = 1.4826 * quantile(values, count, 0.5);
    for (int i = 0; i < 2; i++)
        ret_limits[i] = median + numbers[i] * sigma;
}

static aid_status limits_from_field(const filter_job *job, bound_rule *bound, aid_error *err)
{
    AID_CLEANUP(aid_free_pointer)
    double *values = NULL;
    int64_t count = 0;
    AID_TRY(aid_new_array((size_t)job->catalogue->rows, sizeof *values, "filter", &values, err));
    for (int64_t row = 0; row < job->catalogue->rows; row++) {
        values[count] = value_of(job, bound, row);
        count += isfinite(values[count]);
    }
    bound->limits[0] = bound->limits[1] = NAN; /* nothing that could be compared either */
    if (count > 0)
        limits_among(bound->rule, values, count, bound->limits);
    return AID_OK;
}

static aid_status neighbours_of(const filter_job *job, const bound_rule *bound,
                                aid_neighbours *ret_neighbours, aid_error *err)
{
    AID_CLEANUP(aid_free_pointer)
    double *positions = NULL;
    int64_t rows = job->catalogue->rows;
    AID_TRY(aid_new_array((size_t)rows, 2 * sizeof *positions, "positions", &positions, err));
    for (int64_t row = 0; row < rows; row++) {
        positions[row] = aid_catalogue_number(job->catalogue, bound->x, row);
        positions[rows + row] = aid_catalogue_number(job->catalogue, bound->y, row);
    }
    return aid_neighbours_init(positions, positions + rows, rows, bound->rule->on_sky,
                               bound->rule->distance, ret_neighbours, err);
}

/* Values of the rows around one. */
typedef struct around {
    const filter_job *job;
    const bound_rule *bound;
    double *values;
    int64_t count;
} around;

static void take_value(void *context, int64_t row, double squared_distance)
{
    around *values = context;
    (void)squared_distance;
    values->values[values->count] = value_of(values->job, values->bound, row);
    values->count += isfinite(values->values[values->count]);
}

/* Fewer than these say nothing about their surroundings: the whole field does then. */
enum { LOCAL_ROWS = 5 };

static aid_status local_limits(const filter_job *job, const bound_rule *bound, aid_error *err)
{
    AID_CLEANUP(aid_neighbours_done)
    aid_neighbours neighbours = {0};
    AID_CLEANUP(aid_free_pointer)
    double *values = NULL;
    int64_t rows = job->catalogue->rows;
    double(*limits)[2];
    AID_TRY(neighbours_of(job, bound, &neighbours, err));
    AID_TRY(aid_new_array((size_t)rows + 1, sizeof *values, "filter", &values, err));
    AID_TRY(aid_new_array((size_t)rows, sizeof *limits, "filter", &limits, err));
    job->result.local[bound - job->bound] = limits;
    for (int64_t row = 0; row < rows; row++)
        aid_neighbours_add(&neighbours, row);
    for (int64_t row = 0; row < rows; row++) {
        around there = {job, bound, values, 0};
        take_value(&there, row, 0.0);
        aid_neighbours_each(&neighbours, row, take_value, &there);
        memcpy(limits[row], bound->limits, sizeof limits[row]);
        if (!aid_neighbours_has_position(&neighbours, row))
            limits[row][0] = limits[row][1] = NAN;
        else if (there.count >= LOCAL_ROWS)
            limits_among(bound->rule, values, there.count, limits[row]);
    }
    return AID_OK;
}

/* ----------------------------------------------------------------------------------------- binding
 */

static aid_status need_positions(const filter_job *job, bound_rule *bound, bool pixels,
                                 aid_error *err)
{
    AID_TRY(need_numbers(job, bound->rule, pixels ? "x" : "ra", &bound->x, err));
    return need_numbers(job, bound->rule, pixels ? "y" : "dec", &bound->y, err);
}

static aid_status bind_comparison(const filter_job *job, bound_rule *bound, aid_error *err)
{
    const aid_rule *rule = bound->rule;
    if (rule->words[0])
        return need_column(job, rule, rule->column, &bound->column, err);
    AID_TRY(need_numbers(job, rule, rule->column, &bound->column, err));
    bound->limits[0] = rule->numbers[0];
    bound->limits[1] = rule->count > 1 ? rule->numbers[1] : rule->numbers[0];
    if (rule->scale == AID_SCALE_COLUMN)
        return need_numbers(job, rule, rule->factor, &bound->factor, err);
    if (rule->scale == AID_SCALE_PLAIN)
        return convert_limits(job, bound, err);
    AID_TRY(limits_from_field(job, bound, err));
    if (!(rule->distance > 0.0))
        return AID_OK;
    AID_TRY(need_positions(job, bound, !rule->on_sky, err));
    return local_limits(job, bound, err);
}

/* A name that no row has may be right all the same, or misspelt: then the rule does nothing. */
static void note_unseen_flags(const filter_job *job, const bound_rule *bound)
{
    const aid_catalogue *catalogue = job->catalogue;
    for (const char *names = bound->rule->words; *names && catalogue->rows > 0;) {
        char name[AID_RULE_TEXT];
        size_t length = strcspn(names, "|");
        bool seen = length == 0;
        snprintf(name, sizeof name, "%.*s", (int)length, names);
        for (int64_t row = 0; row < catalogue->rows && !seen; row++)
            seen = aid_flags_have(aid_catalogue_text(catalogue, bound->column, row), name);
        if (!seen)
            aid_note_add(job->notes, "filter", "rule %s: no row of %s has the flag %s",
                         bound->rule->name, catalogue->name, name);
        names += length + (names[length] == '|');
    }
}

static aid_status bind_flags(const filter_job *job, bound_rule *bound, aid_error *err)
{
    const aid_rule *rule = bound->rule;
    AID_TRY(need_column(job, rule, rule->column, &bound->column, err));
    const aid_catalogue_column *column = &job->catalogue->items[bound->column];
    /* A column with nothing in it has no type in some files. */
    for (int64_t row = 0; row < job->catalogue->rows && !column->texts; row++)
        if (!isnan(aid_catalogue_number(job->catalogue, bound->column, row)))
            AID_FAIL(err, AID_ERR_INVALID, "rule %s: column `%s` of %s holds numbers, not words",
                     rule->name, rule->column, job->catalogue->name);
    note_unseen_flags(job, bound);
    return AID_OK;
}

static aid_status bind(const filter_job *job, bound_rule *bound, aid_error *err)
{
    const aid_rule *rule = bound->rule;
    bound->column = bound->factor = bound->x = bound->y = -1;
    if (rule->kind == AID_RULE_COMPARE)
        return bind_comparison(job, bound, err);
    if (rule->kind == AID_RULE_FLAGS)
        return bind_flags(job, bound, err);
    bool distance = rule->kind == AID_RULE_CROWDING || rule->kind == AID_RULE_DISTANCE;
    AID_TRY(need_positions(job, bound, distance && !rule->on_sky, err));
    if (rule->kind == AID_RULE_POLYGON)
        (void)aid_polygon_init(rule->numbers, rule->count / 2, &bound->polygon);
    return AID_OK;
}

/* ------------------------------------------------------------------------------------------- rows
 */

/* NaN compares false with everything. */
static bool compares(aid_rule_operator compare, double value, const double limits[2])
{
    switch (compare) {
    case AID_AT_LEAST:
        return value >= limits[0];
    case AID_AT_MOST:
        return value <= limits[0];
    case AID_ABOVE:
        return value > limits[0];
    case AID_BELOW:
        return value < limits[0];
    case AID_EQUAL:
        return value == limits[0];
    case AID_UNEQUAL:
        return value < limits[0] || value > limits[0];
    case AID_BETWEEN:
        break;
    }
    return value >= limits[0] && value <= limits[1];
}

static bool passes_comparison(const filter_job *job, const bound_rule *bound, int64_t row)
{
    const aid_rule *rule = bound->rule;
    if (rule->words[0]) {
        const char *text = aid_catalogue_text(job->catalogue, bound->column, row);
        return text ? !strcmp(text, rule->words) == (rule->compare == AID_EQUAL) : rule->or_missing;
    }
    double value = value_of(job, bound, row), limits[2];
    double(*local)[2] = job->result.local[bound - job->bound];
    memcpy(limits, local ? local[row] : bound->limits, sizeof limits);
    if (bound->factor >= 0)
        for (int i = 0; i < 2; i++)
            limits[i] *= aid_catalogue_number(job->catalogue, bound->factor, row);
    if (isnan(value) || isnan(limits[0]))
        return rule->or_missing;
    return compares(rule->compare, value, limits);
}

static bool has_any_flag(const char *flags, const char *names)
{
    char name[AID_RULE_TEXT];
    while (*names) {
        size_t length = strcspn(names, "|");
        snprintf(name, sizeof name, "%.*s", (int)length, names);
        if (*name && aid_flags_have(flags, name))
            return true;
        names += length + (names[length] == '|');
    }
    return false;
}

static bool passes_region(const filter_job *job, const bound_rule *bound, int64_t row)
{
    const aid_rule *rule = bound->rule;
    double ra = aid_catalogue_number(job->catalogue, bound->x, row);
    double dec = aid_catalogue_number(job->catalogue, bound->y, row);
    bool inside = false;
    if (!isfinite(ra) || !isfinite(dec) || fabs(dec) > 90.0)
        return rule->or_missing;
    if (rule->kind == AID_RULE_CONE)
        inside = aid_cone_contains(rule->numbers[0], rule->numbers[1], rule->numbers[2], ra, dec);
    else if (rule->kind == AID_RULE_BOX)
        inside = aid_box_contains(rule->numbers, ra, dec);
    else
        inside = aid_polygon_contains(&bound->polygon, ra, dec);
    return inside != rule->forbidden;
}

static bool passes(const filter_job *job, const bound_rule *bound, int64_t row)
{
    if (bound->rule->kind == AID_RULE_COMPARE)
        return passes_comparison(job, bound, row);
    if (bound->rule->kind == AID_RULE_FLAGS) {
        const char *flags = aid_catalogue_text(job->catalogue, bound->column, row);
        return has_any_flag(flags, bound->rule->words) != bound->rule->forbidden;
    }
    return passes_region(job, bound, row);
}

/* -------------------------------------------------------------------------------------- neighbours
 */

static aid_status apply_crowding(filter_job *job, int index, aid_error *err)
{
    const bound_rule *bound = &job->bound[index];
    AID_CLEANUP(aid_neighbours_done)
    aid_neighbours neighbours = {0};
    AID_TRY(neighbours_of(job, bound, &neighbours, err));
    for (int64_t row = 0; row < job->catalogue->rows; row++)
        aid_neighbours_add(&neighbours, row);
    int64_t most = (int64_t)bound->rule->numbers[0];
    for (int64_t row = 0; row < job->catalogue->rows; row++) {
        bool good = aid_neighbours_has_position(&neighbours, row)
                        ? aid_neighbours_count(&neighbours, row, most) <= most
                        : bound->rule->or_missing;
        if (!good)
            job->result.broken[row] |= 1ull << index;
    }
    return AID_OK;
}

/* What the rows are ranked by: a column, or flux/flux_err. */
typedef struct significance {
    const aid_catalogue *catalogue;
    aid_catalogue_order order;
    int value, error; /* columns */
} significance;

static aid_status find_significance(const filter_job *job, const aid_rule *rule,
                                    significance *ret_by, aid_error *err)
{
    significance by = {.catalogue = job->catalogue,
                       .order = aid_catalogue_order_of(job->catalogue),
                       .value = -1,
                       .error = -1};
    static const char *const names[] = {"snr", "score"};
    if (rule->column[0])
        AID_TRY(need_numbers(job, rule, rule->column, &by.value, err));
    for (size_t i = 0; i < AID_COUNT_OF(names) && by.value < 0; i++)
        by.value = aid_catalogue_find(job->catalogue, names[i]);
    if (by.value < 0) {
        by.value = aid_catalogue_find(job->catalogue, "flux");
        by.error = aid_catalogue_find(job->catalogue, "flux_err");
        if (by.value < 0 || by.error < 0)
            AID_FAIL(err, AID_ERR_INVALID,
                     "rule %s: which of two stays? %s has neither snr nor score nor flux and "
                     "flux_err; say `by COLUMN`",
                     rule->name, job->catalogue->name);
    }
    *ret_by = by;
    return AID_OK;
}

static double significance_of(const significance *by, int64_t row)
{
    double value = fabs(aid_catalogue_number(by->catalogue, by->value, row));
    return by->error < 0 ? value : value / aid_catalogue_number(by->catalogue, by->error, row);
}

typedef struct ranked_row {
    double significance;
    int64_t row;
    const significance *by;
} ranked_row;

/* Falling, nulls last; ties as aid_catalogue_compare has them. */
static int by_significance(const void *a, const void *b)
{
    const ranked_row *one = a, *other = b;
    double x = one->significance, y = other->significance;
    if (isnan(x) != isnan(y))
        return isnan(x) - isnan(y);
    if (x > y || x < y)
        return x > y ? -1 : 1;
    return aid_catalogue_compare(one->by->catalogue, &one->by->order, one->row, other->row);
}

static aid_status apply_distance(filter_job *job, int index, aid_error *err)
{
    const bound_rule *bound = &job->bound[index];
    size_t rows = (size_t)job->catalogue->rows;
    significance by;
    AID_CLEANUP(aid_neighbours_done)
    aid_neighbours neighbours = {0};
    AID_CLEANUP(aid_free_pointer)
    ranked_row *ranked = NULL;
    AID_CLEANUP(aid_free_pointer)
    int64_t *order = NULL; /* and behind it what stays instead */
    AID_TRY(find_significance(job, bound->rule, &by, err));
    AID_TRY(neighbours_of(job, bound, &neighbours, err));
    AID_TRY(aid_new_array(rows, sizeof *ranked, "filter", &ranked, err));
    AID_TRY(aid_new_array(rows, 2 * sizeof *order, "filter", &order, err));
    size_t count = 0;
    for (size_t row = 0; row < rows; row++)
        if (!job->result.broken[row])
            ranked[count++] = (ranked_row){significance_of(&by, (int64_t)row), (int64_t)row, &by};
    qsort(ranked, count, sizeof *ranked, by_significance);
    for (size_t i = 0; i < count; i++)
        order[i] = ranked[i].row;
    int64_t *instead = order + rows;
    aid_neighbours_thin(&neighbours, order, (int64_t)count, instead);
    for (size_t row = 0; row < rows; row++)
        if (instead[row] >= 0) {
            job->result.instead[row] = instead[row];
            job->result.broken[row] |= 1ull << index;
        }
    return AID_OK;
}

/* ------------------------------------------------------------------------------------------- whole
 */

static void apply(filter_job *job, int index)
{
    for (int64_t row = 0; row < job->catalogue->rows; row++)
        if (!passes(job, &job->bound[index], row))
            job->result.broken[row] |= 1ull << index;
}

static void count(filter_job *job)
{
    aid_filter_result *result = &job->result;
    for (int64_t row = 0; row < result->rows; row++) {
        uint64_t broken = result->broken[row];
        result->kept += !broken;
        for (int i = 0; i < job->rules->count; i++) {
            result->rejected[i] += (int64_t)(broken >> i & 1);
            result->alone[i] += broken == 1ull << i;
        }
    }
}

static aid_status run(filter_job *job, aid_error *err)
{
    int rules = job->rules->count;
    for (int i = 0; i < rules; i++) {
        job->bound[i].rule = &job->rules->items[i];
        AID_TRY(bind(job, &job->bound[i], err));
        memcpy(job->result.limits[i], job->bound[i].limits, sizeof job->bound[i].limits);
    }
    for (int i = 0; i < rules; i++)
        if (job->rules->items[i].kind == AID_RULE_CROWDING)
            AID_TRY(apply_crowding(job, i, err));
        else if (job->rules->items[i].kind != AID_RULE_DISTANCE)
            apply(job, i);
    for (int i = 0; i < rules; i++)
        if (job->rules->items[i].kind == AID_RULE_DISTANCE)
            AID_TRY(apply_distance(job, i, err));
    count(job);
    return AID_OK;
}

static aid_status allocate(filter_job *job, aid_error *err)
{
    aid_filter_result *result = &job->result;
    size_t rows = (size_t)result->rows, rules = (size_t)job->rules->count;
    AID_TRY(aid_new_array(rules, sizeof *job->bound, "filter", &job->bound, err));
    AID_TRY(aid_new_array(rows, sizeof *result->broken, "filter", &result->broken, err));
    AID_TRY(aid_new_array(rows, sizeof *result->instead, "filter", &result->instead, err));
    AID_TRY(aid_new_array(rules, sizeof *result->limits, "filter", &result->limits, err));
    AID_TRY(aid_new_array(rules, sizeof *result->local, "filter", &result->local, err));
    AID_TRY(aid_new_array(rules, sizeof *result->rejected, "filter", &result->rejected, err));
    AID_TRY(aid_new_array(rules, sizeof *result->alone, "filter", &result->alone, err));
    for (size_t row = 0; row < rows; row++)
        result->instead[row] = -1;
    return AID_OK;
}

aid_status aid_filter(const aid_catalogue *catalogue, const aid_rules *rules, aid_notes *notes,
                      aid_filter_result *ret_result, aid_error *err)
{
    filter_job job = {.catalogue = catalogue,
                      .rules = rules,
                      .notes = notes,
                      .result = {.rows = catalogue->rows, .rules = rules->count}};
    aid_status status = allocate(&job, err);
    if (status == AID_OK)
        status = run(&job, err);
    free(job.bound);
    if (status == AID_OK)
        *ret_result = job.result;
    else
        aid_filter_result_done(&job.result);
    return status;
}

void aid_filter_result_done(aid_filter_result *result)
{
    free(result->broken);
    free(result->instead);
    free(result->limits);
    for (int i = 0; result->local && i < result->rules; i++)
        free(result->local[i]);
    free(result->local);
    free(result->rejected);
    free(result->alone);
    *result = (aid_filter_result){0};
}

/* ----------------------------------------------------------------------------------------- reasons
 */

static void put_id(const aid_catalogue *catalogue, int64_t row, char *ret_text, size_t size)
{
    int id = aid_catalogue_find(catalogue, "id");
    const char *text = aid_catalogue_text(catalogue, id, row);
    if (text)
        snprintf(ret_text, size, "id %.60s", text);
    else if (id >= 0 && catalogue->items[id].integers)
        snprintf(ret_text, size, "id %lld", (long long)catalogue->items[id].integers[row]);
    else
        snprintf(ret_text, size, "row %lld", (long long)row + 1);
}

static void comparison_reason(const aid_catalogue *catalogue, const aid_rule *rule,
                              const double limits[2], int64_t row, char *ret_text, size_t size)
{
    static const char *const words[] = {">=", "<=", ">", "<", "=", "!=", "between"};
    const char *bar = rule->absolute ? "|" : "", *word = words[rule->compare];
    int column = aid_catalogue_find(catalogue, rule->column);
    const char *text = aid_catalogue_text(catalogue, column, row);
    double value = aid_catalogue_number(catalogue, column, row), factor = 1.0;
    if (rule->words[0]) {
        snprintf(ret_text, size, "%s is %.80s, not %s %.80s", rule->column, text ? text : "null",
                 word, rule->words);
        return;
    }
    if (rule->scale == AID_SCALE_COLUMN)
        factor = aid_catalogue_number(catalogue, aid_catalogue_find(catalogue, rule->factor), row);
    char found[48] = "null", wanted[96];
    if (!isnan(value))
        snprintf(found, sizeof found, "%.6g", rule->absolute ? fabs(value) : value);
    if (isnan(limits[0] * factor))
        snprintf(wanted, sizeof wanted, "%s null", word);
    else if (rule->compare == AID_BETWEEN)
        snprintf(wanted, sizeof wanted, "between %.6g and %.6g", limits[0] * factor,
                 limits[1] * factor);
    else
        snprintf(wanted, sizeof wanted, "%s %.6g", word, limits[0] * factor);
    bool plain = rule->scale == AID_SCALE_PLAIN && !rule->unit[0];
    snprintf(ret_text, size, "%s%s%s is %s, not %s%s%s%s", bar, rule->column, bar, found, wanted,
             plain ? "" : " (", plain ? "" : rule->text, plain ? "" : ")");
}

void aid_filter_reason(const aid_catalogue *catalogue, const aid_rules *rules,
                       const aid_filter_result *result, int64_t row, int rule_index, char *ret_text,
                       size_t size)
{
    const aid_rule *rule = &rules->items[rule_index];
    char id[80];
    switch (rule->kind) {
    case AID_RULE_COMPARE:
        comparison_reason(catalogue, rule,
                          result->local[rule_index] ? result->local[rule_index][row]
                                                    : result->limits[rule_index],
                          row, ret_text, size);
        return;
    case AID_RULE_FLAGS: {
        const char *flags =
            aid_catalogue_text(catalogue, aid_catalogue_find(catalogue, rule->column), row);
        snprintf(ret_text, size, "%s %s %.120s (%s)", rule->column,
                 flags && *flags ? "are" : "are empty", flags ? flags : "", rule->text);
        return;
    }
    case AID_RULE_CONE:
    case AID_RULE_BOX:
    case AID_RULE_POLYGON: {
        double ra = aid_catalogue_number(catalogue, aid_catalogue_find(catalogue, "ra"), row);
        snprintf(ret_text, size, "%s: %.120s",
                 isnan(ra)         ? "no position"
                 : rule->forbidden ? "inside of what is left out"
                                   : "outside",
                 rule->text);
        return;
    }
    case AID_RULE_CROWDING:
        snprintf(ret_text, size, "too many others around: %.120s", rule->text);
        return;
    case AID_RULE_DISTANCE:
        break;
    }
    put_id(catalogue, result->instead[row], id, sizeof id);
    snprintf(ret_text, size, "%s stays instead (%.120s)", id, rule->text);
}
