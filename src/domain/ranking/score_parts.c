/* The equations of the scores: from what is measured of one row to its parts. */
#include "domain/ranking/score_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *aid_score_name(aid_score_kind kind)
{
    static const char *const names[] = {"detection", "quality", "anomaly", "confidence"};
    return names[kind];
}

static const struct {
    const char *name;
    aid_score_kind score;
} parts_of[] = {[AID_PART_SIGNIFICANCE] = {"significance", AID_SCORE_DETECTION},
                [AID_PART_WIDTH] = {"width", AID_SCORE_QUALITY},
                [AID_PART_ELLIPTICITY] = {"ellipticity", AID_SCORE_QUALITY},
                [AID_PART_CONCENTRATION] = {"concentration", AID_SCORE_QUALITY},
                [AID_PART_AGREEMENT] = {"agreement", AID_SCORE_QUALITY},
                [AID_PART_FIT] = {"fit", AID_SCORE_QUALITY},
                [AID_PART_SHAPE_FLAGS] = {"shape_flags", AID_SCORE_QUALITY},
                [AID_PART_FLAGS] = {"flags", AID_SCORE_QUALITY},
                [AID_PART_MASKED] = {"masked", AID_SCORE_QUALITY},
                [AID_PART_CHANGE] = {"change", AID_SCORE_ANOMALY},
                [AID_PART_COMPLETENESS] = {"completeness", AID_SCORE_CONFIDENCE},
                [AID_PART_UNCERTAINTY] = {"uncertainty", AID_SCORE_CONFIDENCE},
                [AID_PART_EDGE] = {"edge", AID_SCORE_CONFIDENCE}};

const char *aid_part_name(aid_score_part part)
{
    return parts_of[part].name;
}

aid_score_kind aid_part_score(aid_score_part part)
{
    return parts_of[part].score;
}

/* ------------------------------------------------------------------------------------------- flags
 */

double aid_flag_factor(const char *flags, bool about_shape)
{
    static const struct {
        const char *name;
        double factor;
        bool about_shape;
    } bad[] = {{"edge", 0.6, false},
               {"truncated", 0.6, false},
               {"saturated_neighbour", 0.6, false},
               {"saturated", 0.6, false},
               {"masked", 0.6, false},
               {"bad_column", 0.6, false},
               {"bright_star_residual", 0.5, false},
               {"dipole", 0.6, true},
               {"bad_shape", 0.5, true},
               {"cosmic_ray", 0.4, true}};
    double factor = 1.0;
    for (size_t i = 0; i < AID_COUNT_OF(bad); i++)
        if (bad[i].about_shape == about_shape && aid_flags_have(flags, bad[i].name))
            factor *= bad[i].factor;
    return factor;
}

/* ------------------------------------------------------------------------------------------- parts
 */

double aid_significance(const aid_measured *row)
{
    double least = fmin(row->snr, row->score); /* of one that is there where the other is not */
    return isnan(least) ? fabs(row->flux) / row->flux_err : least;
}

double aid_concentration(const aid_measured *row)
{
    return row->peak / row->flux;
}

/* s^8/(s^8 + h^8): one half at s = h, and strictly growing up to where doubles end. */
static double significance_part(double significance, double half)
{
    double ratio = half / significance, square = ratio * ratio, fourth = square * square;
    return 1.0 / (1.0 + fourth * fourth);
}

/* Near 1 while a deviation may be noise, one half at four sigma: what noise does to faint sources
 * must not decide their order. */
static double deviation_part(double deviation, double sigma)
{
    double chi = deviation / (4.0 * sigma), square = chi * chi;
    return 1.0 / (1.0 + square * square);
}

static double shape_sigma(double floor, double noise, double significance)
{
    return hypot(floor, noise / significance);
}

/* The significance of a change for somebody who does not trust differences to better than this
 * fraction of the light that was there before. */
static const double host_error = 0.03;

static double change_part(const aid_measured *row, double half)
{
    double error = hypot(row->flux_err, host_error * row->host_flux);
    double change = fabs(row->flux) / error, square = change * change;
    return square / (square + half * half);
}

void aid_score_parts(const aid_measured *row, const aid_field_shape *field, double half_snr,
                     double ret_parts[AID_SCORE_PARTS])
{
    double s = aid_significance(row);
    double relative = row->flux_err / row->flux;
    ret_parts[AID_PART_SIGNIFICANCE] = significance_part(s, half_snr);
    ret_parts[AID_PART_WIDTH] =
        deviation_part(log(row->fwhm / field->fwhm), shape_sigma(0.15, 1.5, s));
    ret_parts[AID_PART_ELLIPTICITY] =
        deviation_part(row->ellipticity - field->ellipticity, shape_sigma(0.1, 1.8, s));
    ret_parts[AID_PART_CONCENTRATION] = deviation_part(
        aid_concentration(row) / field->concentration - 1.0, shape_sigma(0.15, 2.0, s));
    ret_parts[AID_PART_AGREEMENT] =
        deviation_part(fmin(row->snr / row->score - 1.0, 0.0), shape_sigma(0.05, 0.3, s));
    if (isnan(row->snr) || isnan(row->score)) /* fmin hides it */
        ret_parts[AID_PART_AGREEMENT] = NAN;
    double misfit = log(row->chi2) / hypot(0.3, 0.01 * s); /* a PSF is known to about 1 % */
    ret_parts[AID_PART_FIT] = misfit > 0.0    ? deviation_part(misfit, 1.0)
                              : isnan(misfit) ? NAN
                                              : 1.0;
    ret_parts[AID_PART_SHAPE_FLAGS] = row->shape_flags;
    ret_parts[AID_PART_FLAGS] = row->flags;
    ret_parts[AID_PART_MASKED] = 1.0 - AID_CLAMP(row->masked_fraction, 0.0, 1.0);
    if (isnan(row->masked_fraction))
        ret_parts[AID_PART_MASKED] = NAN;
    ret_parts[AID_PART_CHANGE] = change_part(row, half_snr);
    ret_parts[AID_PART_COMPLETENESS] = row->completeness;
    ret_parts[AID_PART_UNCERTAINTY] = 1.0 / (1.0 + relative * relative);
    ret_parts[AID_PART_EDGE] = row->edge_factor;
}

/* ------------------------------------------------------------------------------------------ scores
 */

static bool is_shape_clue(int part)
{
    return part >= AID_PART_WIDTH && part <= AID_PART_SHAPE_FLAGS;
}

/* The geometric mean of the clues, squared. Of one or two clues: their product. */
static double shape_factor(const double parts[AID_SCORE_PARTS])
{
    double product = 1.0;
    int clues = 0;
    for (int i = 0; i < AID_SCORE_PARTS; i++)
        if (is_shape_clue(i) && !isnan(parts[i])) {
            product *= parts[i];
            clues++;
        }
    return clues > 2 ? pow(product, 2.0 / clues) : product;
}

void aid_scores_of_parts(const double parts[AID_SCORE_PARTS], double ret_scores[AID_SCORES])
{
    int found[AID_SCORES] = {0};
    for (int i = 0; i < AID_SCORES; i++)
        ret_scores[i] = 1.0;
    for (int i = 0; i < AID_SCORE_PARTS; i++)
        if (!isnan(parts[i])) {
            ret_scores[parts_of[i].score] *= is_shape_clue(i) ? 1.0 : parts[i];
            found[parts_of[i].score]++;
        }
    ret_scores[AID_SCORE_QUALITY] *= shape_factor(parts);
    for (int i = 0; i < AID_SCORES; i++)
        if (!found[i])
            ret_scores[i] = NAN;
}

double aid_combined_score(const double scores[AID_SCORES], const double weights[AID_SCORES],
                          unsigned *ret_taken)
{
    double sum = 0.0, total = 0.0;
    *ret_taken = 0;
    for (int i = 0; i < AID_SCORES; i++) {
        if (isnan(scores[i]) || !(weights[i] > 0.0))
            continue;
        sum += weights[i] * log(scores[i]); /* of 0: minus infinity, and the mean is 0 */
        total += weights[i];
        *ret_taken |= 1u << i;
    }
    return total > 0.0 ? exp(sum / total) : (double)NAN;
}

/* ----------------------------------------------------------------------------------------- weights
 */

static aid_status take_weight(const char *word, size_t length, double weights[AID_SCORES],
                              aid_error *err)
{
    char text[64], *end;
    snprintf(text, sizeof text, "%.*s", (int)length, word);
    char *equals = strchr(text, '=');
    if (!equals)
        AID_FAIL(err, AID_ERR_USAGE, "weight `%s`: NAME=NUMBER, as in detection=.4", text);
    *equals = '\0';
    const char *number = equals + 1;
    double weight =
        strspn(number, "+.0123456789eE-") == strlen(number) ? strtod(number, &end) : NAN;
    if (!*number || isnan(weight) || *end || !(weight >= 0.0 && weight <= 1e6))
        AID_FAIL(err, AID_ERR_USAGE, "weight of %s: `%s` is no number from 0 to 1000000", text,
                 number);
    for (int i = 0; i < AID_SCORES; i++)
        if (!strcmp(text, aid_score_name((aid_score_kind)i))) {
            weights[i] = weight;
            return AID_OK;
        }
    AID_FAIL(err, AID_ERR_USAGE, "`%s` is none of detection, quality, anomaly, confidence", text);
}

aid_status aid_weights_parse(const char *text, double weights[AID_SCORES], aid_error *err)
{
    double taken[AID_SCORES], sum = 0.0;
    memcpy(taken, weights, sizeof taken);
    while (*text) {
        size_t length = strcspn(text, ",");
        AID_TRY(take_weight(text, AID_MIN(length, 63), taken, err));
        text += length + (text[length] == ',');
    }
    for (int i = 0; i < AID_SCORES; i++)
        sum += taken[i];
    if (!(sum > 0.0))
        AID_FAIL(err, AID_ERR_USAGE, "all weights are 0");
    memcpy(weights, taken, sizeof taken);
    return AID_OK;
}
