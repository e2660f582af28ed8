/* The language of rules: words to structures. */
#include "domain/ranking/filter.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_WORDS = 2 * AID_POLYGON_VERTICES + 16 };

typedef struct rule_words {
    const char *where; /* for messages */
    char text[4096];   /* cut into the words */
    const char *items[MAX_WORDS];
    int count, next;
} rule_words;

static const char *const operators[] = {
    [AID_AT_LEAST] = ">=", [AID_AT_MOST] = "<=", [AID_ABOVE] = ">",        [AID_BELOW] = "<",
    [AID_EQUAL] = "=",     [AID_UNEQUAL] = "!=", [AID_BETWEEN] = "between"};

static bool is_operator_letter(char letter)
{
    return letter && strchr("<>=!", letter);
}

/* Blanks end a word, and so does the change from a name to an operator. */
static aid_status cut(const char *text, rule_words *words, aid_error *err)
{
    size_t used = 0;
    while (*text) {
        text += strspn(text, " \t\r");
        if (!*text)
            break;
        bool sign = is_operator_letter(*text);
        size_t length = 0;
        while (text[length] && !isspace((unsigned char)text[length]) &&
               is_operator_letter(text[length]) == sign)
            length++;
        if (words->count == MAX_WORDS || used + length + 1 > sizeof words->text)
            AID_FAIL(err, AID_ERR_INVALID, "%s: a rule of more than %d words", words->where,
                     MAX_WORDS);
        if (length == 0) /* a control character */
            AID_FAIL(err, AID_ERR_INVALID, "%s: what is no text", words->where);
        memcpy(words->text + used, text, length);
        words->text[used + length] = '\0';
        words->items[words->count++] = words->text + used;
        used += length + 1;
        text += length;
    }
    return AID_OK;
}

/* ------------------------------------------------------------------------------------------ words
 */

static const char *peek(const rule_words *words)
{
    return words->next < words->count ? words->items[words->next] : "";
}

static bool take(rule_words *words, const char *word)
{
    bool there = !strcmp(peek(words), word);
    words->next += there;
    return there;
}

static aid_status take_name(rule_words *words, const char *what, char ret_name[AID_RULE_WORD],
                            aid_error *err)
{
    const char *word = peek(words);
    if (!*word || strlen(word) >= AID_RULE_WORD)
        AID_FAIL(err, AID_ERR_INVALID, "%s: `%.60s` where %s must be", words->where, word, what);
    snprintf(ret_name, AID_RULE_WORD, "%s", word);
    words->next++;
    return AID_OK;
}

static bool is_number(const char *word, double *ret_value)
{
    char *end;
    bool plain = *word && strspn(word, "+-.0123456789eE") == strlen(word);
    double value = plain ? strtod(word, &end) : NAN;
    if (!plain || *end || !isfinite(value))
        return false;
    *ret_value = value;
    return true;
}

static aid_status take_number(rule_words *words, const char *what, double low, double high,
                              double *ret_value, aid_error *err)
{
    double value = NAN;
    if (!is_number(peek(words), &value))
        AID_FAIL(err, AID_ERR_INVALID, "%s: `%.60s` is no number where %s must be", words->where,
                 peek(words), what);
    if (!(value >= low && value <= high))
        AID_FAIL(err, AID_ERR_INVALID, "%s: %s %g is not between %g and %g", words->where, what,
                 value, low, high);
    words->next++;
    *ret_value = value;
    return AID_OK;
}

/* Degrees, of an angle with its unit. */
static aid_status take_angle(rule_words *words, const char *what, double *ret_degrees,
                             aid_error *err)
{
    static const struct {
        const char *name;
        double degrees;
    } units[] = {{"deg", 1.0}, {"arcmin", 1.0 / 60.0}, {"arcsec", 1.0 / 3600.0}};
    double value = NAN;
    AID_TRY(take_number(words, what, 0.0, 1e9, &value, err));
    for (size_t i = 0; i < AID_COUNT_OF(units); i++)
        if (take(words, units[i].name)) {
            *ret_degrees = value * units[i].degrees;
            if (*ret_degrees > 180.0)
                AID_FAIL(err, AID_ERR_INVALID, "%s: %s of %g degrees is more than 180",
                         words->where, what, *ret_degrees);
            return AID_OK;
        }
    AID_FAIL(err, AID_ERR_INVALID, "%s: `%.60s` where deg, arcmin or arcsec must be", words->where,
             peek(words));
}

/* Pixels or an angle. */
static aid_status take_distance(rule_words *words, aid_rule *rule, aid_error *err)
{
    static const char *const pixels[] = {"px", "pix", "pixel", "pixels"};
    double value = NAN;
    int before = words->next;
    AID_TRY(take_number(words, "a distance", 0.0, 1e9, &value, err));
    for (size_t i = 0; i < AID_COUNT_OF(pixels); i++)
        if (take(words, pixels[i])) {
            rule->distance = value;
            rule->on_sky = false;
            return AID_OK;
        }
    if (!*peek(words))
        AID_FAIL(err, AID_ERR_INVALID, "%s: a distance without a unit: px, arcsec, arcmin or deg",
                 words->where);
    words->next = before;
    rule->on_sky = true;
    return take_angle(words, "a distance", &rule->distance, err);
}

/* ---------------------------------------------------------------------------------- kinds of rules
 */

/* "... sigma within 60 px": of the rows around. */
static aid_status parse_within(rule_words *words, aid_rule *rule, aid_error *err)
{
    if (!take(words, "within"))
        return AID_OK;
    AID_TRY(take_distance(words, rule, err));
    if (!(rule->distance > 0.0))
        AID_FAIL(err, AID_ERR_INVALID, "%s: a distance of 0", words->where);
    return AID_OK;
}

/* "snr >= 5", "|flux| > 3 * noise", "fwhm <= 4 arcsec", "peak >= 0.9 quantile" */
static aid_status parse_scale(rule_words *words, aid_rule *rule, aid_error *err)
{
    if (take(words, "*")) {
        rule->scale = AID_SCALE_COLUMN;
        return take_name(words, "a column", rule->factor, err);
    }
    if (take(words, "quantile")) {
        rule->scale = AID_SCALE_QUANTILE;
        for (int i = 0; i < rule->count; i++)
            if (!(rule->numbers[i] >= 0.0 && rule->numbers[i] <= 1.0))
                AID_FAIL(err, AID_ERR_INVALID, "%s: a quantile of %g is not between 0 and 1",
                         words->where, rule->numbers[i]);
        return parse_within(words, rule, err);
    }
    if (take(words, "sigma")) {
        rule->scale = AID_SCALE_SIGMA;
        return parse_within(words, rule, err);
    }
    if (isalpha((unsigned char)*peek(words)) && strcmp(peek(words), "or") != 0)
        return take_name(words, "a unit", rule->unit, err);
    return AID_OK;
}

static aid_status parse_operator(rule_words *words, aid_rule *rule, aid_error *err)
{
    for (size_t i = 0; i < AID_COUNT_OF(operators); i++)
        if (take(words, operators[i])) {
            rule->compare = (aid_rule_operator)i;
            return AID_OK;
        }
    AID_FAIL(err, AID_ERR_INVALID,
             "%s: `%.60s` where >=, <=, >, <, =, !=, between, has or lacks must be", words->where,
             peek(words));
}

static aid_status parse_comparison(rule_words *words, aid_rule *rule, aid_error *err)
{
    AID_TRY(parse_operator(words, rule, err));
    rule->kind = AID_RULE_COMPARE;
    bool equality = rule->compare == AID_EQUAL || rule->compare == AID_UNEQUAL;
    if (equality && !is_number(peek(words), &rule->numbers[0]) && *peek(words)) {
        snprintf(rule->words, sizeof rule->words, "%.250s", peek(words));
        words->next++;
        return AID_OK;
    }
    rule->count = rule->compare == AID_BETWEEN ? 2 : 1;
    for (int i = 0; i < rule->count; i++)
        AID_TRY(take_number(words, "a limit", -HUGE_VAL, HUGE_VAL, &rule->numbers[i], err));
    if (rule->count == 2 && rule->numbers[0] > rule->numbers[1])
        AID_FAIL(err, AID_ERR_INVALID, "%s: between %g and %g there is nothing", words->where,
                 rule->numbers[0], rule->numbers[1]);
    return parse_scale(words, rule, err);
}

static aid_status parse_flags(rule_words *words, aid_rule *rule, bool forbidden, aid_error *err)
{
    const char *word = peek(words);
    rule->kind = AID_RULE_FLAGS;
    rule->forbidden = forbidden;
    if (!*word || strlen(word) >= sizeof rule->words)
        AID_FAIL(err, AID_ERR_INVALID, "%s: no names of flags, joined by |", words->where);
    snprintf(rule->words, sizeof rule->words, "%s", word);
    words->next++;
    return AID_OK;
}

static aid_status parse_cone(rule_words *words, aid_rule *rule, aid_error *err)
{
    rule->kind = AID_RULE_CONE;
    rule->count = 3;
    AID_TRY(take_number(words, "a right ascension", -360.0, 360.0, &rule->numbers[0], err));
    AID_TRY(take_number(words, "a declination", -90.0, 90.0, &rule->numbers[1], err));
    return take_angle(words, "a radius", &rule->numbers[2], err);
}

static aid_status parse_box(rule_words *words, aid_rule *rule, aid_error *err)
{
    rule->kind = AID_RULE_BOX;
    rule->count = 4;
    for (int i = 0; i < 2; i++)
        AID_TRY(take_number(words, "a right ascension", -360.0, 360.0, &rule->numbers[i], err));
    for (int i = 2; i < 4; i++)
        AID_TRY(take_number(words, "a declination", -90.0, 90.0, &rule->numbers[i], err));
    if (rule->numbers[2] > rule->numbers[3])
        AID_FAIL(err, AID_ERR_INVALID, "%s: the southern edge %g is north of the northern %g",
                 words->where, rule->numbers[2], rule->numbers[3]);
    return AID_OK;
}

static aid_status parse_polygon(rule_words *words, aid_rule *rule, aid_error *err)
{
    rule->kind = AID_RULE_POLYGON;
    double ignored;
    while (is_number(peek(words), &ignored)) {
        if (rule->count + 2 > 2 * AID_POLYGON_VERTICES)
            AID_FAIL(err, AID_ERR_INVALID, "%s: more than %d vertices", words->where,
                     AID_POLYGON_VERTICES);
        double *vertex = &rule->numbers[rule->count];
        AID_TRY(take_number(words, "a right ascension", -360.0, 360.0, &vertex[0], err));
        AID_TRY(take_number(words, "a declination", -90.0, 90.0, &vertex[1], err));
        rule->count += 2;
    }
    aid_sky_polygon polygon;
    if (!aid_polygon_init(rule->numbers, rule->count / 2, &polygon))
        AID_FAIL(err, AID_ERR_INVALID,
                 "%s: no polygon: at least three vertices, none further than 80 degrees from their "
                 "middle",
                 words->where);
    return AID_OK;
}

/* "crowding <= 3 within 20 px" */
static aid_status parse_crowding(rule_words *words, aid_rule *rule, aid_error *err)
{
    rule->kind = AID_RULE_CROWDING;
    rule->count = 1;
    if (!take(words, "<="))
        AID_FAIL(err, AID_ERR_INVALID, "%s: `%.60s` where <= must be", words->where, peek(words));
    AID_TRY(take_number(words, "a number of others", 0.0, 1e9, &rule->numbers[0], err));
    if (!take(words, "within"))
        AID_FAIL(err, AID_ERR_INVALID, "%s: `%.60s` where `within` must be", words->where,
                 peek(words));
    return take_distance(words, rule, err);
}

/* "distance >= 2 px by snr" */
static aid_status parse_distance(rule_words *words, aid_rule *rule, aid_error *err)
{
    rule->kind = AID_RULE_DISTANCE;
    if (!take(words, ">="))
        AID_FAIL(err, AID_ERR_INVALID, "%s: `%.60s` where >= must be", words->where, peek(words));
    AID_TRY(take_distance(words, rule, err));
    return take(words, "by") ? take_name(words, "a column", rule->column, err) : AID_OK;
}

/* "|flux|": the absolute value of a column. */
static aid_status take_column(rule_words *words, aid_rule *rule, aid_error *err)
{
    AID_TRY(take_name(words, "a column", rule->column, err));
    size_t length = strlen(rule->column);
    rule->absolute = length > 2 && rule->column[0] == '|' && rule->column[length - 1] == '|';
    if (rule->absolute) {
        memmove(rule->column, rule->column + 1, length - 2);
        rule->column[length - 2] = '\0';
    }
    return AID_OK;
}

static aid_status parse_kind(rule_words *words, aid_rule *rule, aid_error *err)
{
    bool outside = take(words, "not");
    rule->forbidden = outside;
    if (take(words, "cone"))
        return parse_cone(words, rule, err);
    if (take(words, "box"))
        return parse_box(words, rule, err);
    if (take(words, "polygon"))
        return parse_polygon(words, rule, err);
    if (outside)
        AID_FAIL(err, AID_ERR_INVALID, "%s: `%.60s` where cone, box or polygon must be",
                 words->where, peek(words));
    if (take(words, "crowding"))
        return parse_crowding(words, rule, err);
    if (take(words, "distance"))
        return parse_distance(words, rule, err);
    AID_TRY(take_column(words, rule, err));
    if (take(words, "has"))
        return parse_flags(words, rule, false, err);
    if (take(words, "lacks"))
        return parse_flags(words, rule, true, err);
    return parse_comparison(words, rule, err);
}

static aid_status parse_rule(rule_words *words, aid_rule *rule, aid_error *err)
{
    AID_TRY(parse_kind(words, rule, err));
    rule->or_missing = take(words, "or");
    if (rule->or_missing && !take(words, "missing"))
        AID_FAIL(err, AID_ERR_INVALID, "%s: `or %.60s`: only `or missing` is known", words->where,
                 peek(words));
    bool has_distance = rule->kind == AID_RULE_CROWDING || rule->kind == AID_RULE_DISTANCE;
    if (has_distance && !(rule->distance > 0.0))
        AID_FAIL(err, AID_ERR_INVALID, "%s: a distance of 0", words->where);
    if (words->next < words->count)
        AID_FAIL(err, AID_ERR_INVALID, "%s: `%.60s` is too much", words->where, peek(words));
    return AID_OK;
}

/* ------------------------------------------------------------------------------------------ whole
 */

static bool is_name(const char *name)
{
    size_t length = strlen(name);
    for (size_t i = 0; i < length; i++)
        if (!isalnum((unsigned char)name[i]) && !strchr("_-.", name[i]))
            return false;
    return length > 0 && length < AID_RULE_WORD;
}

aid_status aid_rules_add(aid_rules *rules, const char *where, const char *name, const char *text,
                         aid_error *err)
{
    rule_words words = {.where = where};
    aid_rule rule = {0};
    if (!is_name(name))
        AID_FAIL(err, AID_ERR_INVALID, "%s: `%.60s` is no name of a rule: letters, digits, _ - .",
                 where, name);
    for (int i = 0; i < rules->count; i++)
        if (!strcmp(rules->items[i].name, name))
            AID_FAIL(err, AID_ERR_INVALID, "%s: there is a rule `%s` already", where, name);
    if (rules->count == AID_MAX_RULES)
        AID_FAIL(err, AID_ERR_INVALID, "%s: more than %d rules", where, AID_MAX_RULES);
    AID_TRY(cut(text, &words, err));
    AID_TRY(parse_rule(&words, &rule, err));
    snprintf(rule.name, sizeof rule.name, "%s", name);
    text += strspn(text, " \t");
    snprintf(rule.text, sizeof rule.text, "%.*s", (int)sizeof rule.text - 1, text);
    size_t length = strlen(rule.text);
    while (length > 0 && isspace((unsigned char)rule.text[length - 1]))
        rule.text[--length] = '\0';
    rules->items[rules->count++] = rule;
    return AID_OK;
}

static aid_status add_line(aid_rules *rules, const char *path, int number, char *line,
                           aid_error *err)
{
    char where[AID_RULE_TEXT];
    snprintf(where, sizeof where, "%.200s:%d", path, number);
    line[strcspn(line, "#")] = '\0';
    line += strspn(line, " \t\r");
    if (!*line)
        return AID_OK;
    char *colon = strchr(line, ':');
    if (!colon)
        AID_FAIL(err, AID_ERR_INVALID, "%s: no colon behind the name of a rule", where);
    *colon = '\0';
    size_t length = strlen(line);
    while (length > 0 && isspace((unsigned char)line[length - 1]))
        line[--length] = '\0';
    return aid_rules_add(rules, where, line, colon + 1, err);
}

aid_status aid_rules_parse(aid_rules *rules, const char *path, const char *text, aid_error *err)
{
    char line[4096];
    int before = rules->count;
    for (int number = 1; *text; number++) {
        size_t length = strcspn(text, "\n");
        aid_status status;
        if (length < sizeof line) {
            memcpy(line, text, length);
            line[length] = '\0';
            status = add_line(rules, path, number, line, err);
        } else {
            status = AID_ERROR(err, AID_ERR_INVALID, "%s:%d: a line of more than %zu bytes", path,
                               number, sizeof line - 1);
        }
        if (status != AID_OK) {
            rules->count = before;
            return status;
        }
        text += length + (text[length] == '\n');
    }
    return AID_OK;
}
