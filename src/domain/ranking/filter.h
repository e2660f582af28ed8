/* Filters: rules about the columns of a catalogue, which rows break which, and why. The language of
 * rules is described in README.md of this folder. */
#ifndef AID_DOMAIN_RANKING_FILTER_H
#define AID_DOMAIN_RANKING_FILTER_H

#include "core/base/notes.h"
#include "domain/ranking/catalogue.h"
#include "domain/ranking/sky_regions.h"

#include <stdbool.h>

enum { AID_MAX_RULES = 64, AID_RULE_WORD = 72, AID_RULE_TEXT = 256 };

typedef enum aid_rule_kind {
    AID_RULE_COMPARE,  /* a column against limits */
    AID_RULE_FLAGS,    /* a column of words joined by | */
    AID_RULE_CONE,     /* numbers: ra, dec, radius */
    AID_RULE_BOX,      /* numbers: west, east, south, north */
    AID_RULE_POLYGON,  /* numbers: ra, dec, ra, dec, ... */
    AID_RULE_CROWDING, /* numbers[0]: most others within `distance` */
    AID_RULE_DISTANCE  /* no two rows nearer than `distance`: the most significant one stays */
} aid_rule_kind;

typedef enum aid_rule_operator {
    AID_AT_LEAST,
    AID_AT_MOST,
    AID_ABOVE,
    AID_BELOW,
    AID_EQUAL,
    AID_UNEQUAL,
    AID_BETWEEN
} aid_rule_operator;

/* What the numbers of a comparison are measured in. */
typedef enum aid_rule_scale {
    AID_SCALE_PLAIN,
    AID_SCALE_COLUMN,   /* times another column of the same row */
    AID_SCALE_QUANTILE, /* a fraction of the column's values in this catalogue */
    AID_SCALE_SIGMA /* from the column's median, in 1.4826 times its median absolute deviation */
} aid_rule_scale;

typedef struct aid_rule {
    char name[AID_RULE_WORD], text[AID_RULE_TEXT]; /* as it was written */
    aid_rule_kind kind;
    char
        column[AID_RULE_WORD]; /* of DISTANCE: the significance; "": snr, score, or flux/flux_err */
    bool absolute;             /* |column| */
    aid_rule_operator compare;
    aid_rule_scale scale;
    char factor[AID_RULE_WORD], unit[AID_RULE_WORD];
    char words[AID_RULE_TEXT]; /* flags joined by |, or the text to compare with; "": a number */
    bool forbidden;            /* flags that must not be there; a region to be outside of */
    bool or_missing;           /* null passes, which else breaks the rule */
    int count;
    double numbers[2 * AID_POLYGON_VERTICES];
    double distance; /* px, or degrees where `on_sky`; of COMPARE: quantiles and sigmas are those of
                      * the rows that near; 0: of all rows */
    bool on_sky;
} aid_rule;

typedef struct aid_rules {
    int count;
    aid_rule items[AID_MAX_RULES];
} aid_rules;

/* Adds one rule. Fails with AID_ERR_INVALID ("WHERE: ...") on what is none, on a name that is
 * taken, and beyond AID_MAX_RULES; the rules are as they were then. */
AID_MUST_USE aid_status aid_rules_add(aid_rules *rules, const char *where, const char *name,
                                      const char *text, aid_error *err);
/* Adds every line "NAME: RULE" of a file's text; # begins a remark. Messages have "path:line". */
AID_MUST_USE aid_status aid_rules_parse(aid_rules *rules, const char *path, const char *text,
                                        aid_error *err);

typedef struct aid_filter_result {
    int64_t rows, kept;
    int rules;
    uint64_t *broken;    /* [rows]: bit i: rule i; 0: kept */
    int64_t *instead;    /* [rows]: the row that stays in place of this one; -1: none */
    double (*limits)[2]; /* [rules]: of COMPARE, with quantiles and sigmas worked out */
    double (**local)[2]; /* [rules]: of each row, where they are not the same for all; else NULL */
    int64_t *rejected;   /* [rules]: rows that break it */
    int64_t *alone;      /* [rules]: rows that break no other */
} aid_filter_result;

/* Every row is held against every rule; DISTANCE rules come last, in their order, and see only rows
 * that have broken none before. So neither the order of the rules nor that of the rows matters, but
 * for that. A null breaks a rule unless it says `or missing`; a row without position cannot break
 * a DISTANCE rule.
 * Fails with AID_ERR_INVALID where a rule needs a column or unit that the catalogue has not. */
AID_MUST_USE aid_status aid_filter(const aid_catalogue *catalogue, const aid_rules *rules,
                                   aid_notes *notes, aid_filter_result *ret_result, aid_error *err);
void aid_filter_result_done(aid_filter_result *result);

/* Why `row` breaks `rule`: "snr = 3.2 is not >= 5". */
void aid_filter_reason(const aid_catalogue *catalogue, const aid_rules *rules,
                       const aid_filter_result *result, int64_t row, int rule, char *ret_text,
                       size_t size);

#endif
