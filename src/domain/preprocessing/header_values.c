/* Gain, saturation and zero point as headers give them, taken with a grain of salt. */
#include "core/base/macros.h"
#include "domain/preprocessing/prepare_internal.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* -------------------------------------------------------------------------------------- gain */

static const double least_gain = 0.01, greatest_gain = 1000.0; /* e-/ADU of any detector */

/* Cards that count what stacking has done already come first; EGAIN is always e-/ADU, while GAIN
 * may be a setting of the camera. ESO writes e-/ADU as CONAD and its inverse as GAIN. */
static const char *const effective_keywords[] = {"EFFGAIN", "GAINEFF", "EFF_GAIN", NULL};
static const char *const plain_keywords[] = {"EGAIN",
                                             "E_GAIN",
                                             "GAIN",
                                             "CCDGAIN",
                                             "ATODGAIN",
                                             "DETGAIN",
                                             "GAIN1",
                                             "GAINA",
                                             "ESO DET OUT1 CONAD",
                                             "HIERARCH ESO DET OUT1 CONAD",
                                             "CCDATOD",
                                             "ARAWGAIN",
                                             NULL};

typedef struct unit {
    bool electrons, per_second;
} unit;

static bool starts_with(const char *text, const char *start)
{
    return strncasecmp(text, start, strlen(start)) == 0;
}

static unit unit_of(const aid_header *header)
{
    unit result = {false, false};
    const char *text = aid_header_text(header, "BUNIT");
    if (!text)
        return result;
    while (*text == ' ')
        text++;
    result.electrons = starts_with(text, "e-") || starts_with(text, "electron") ||
                       !strcasecmp(text, "e") || starts_with(text, "e/s");
    size_t length = strlen(text);
    result.per_second = strstr(text, "/s") || strstr(text, "/S") || strstr(text, "s-1") ||
                        strstr(text, "s**-1") || strstr(text, "s^-1") || !strcasecmp(text, "cps") ||
                        (length > 7 && !strcasecmp(text + length - 7, "per sec"));
    return result;
}

static bool is_plausible(double gain)
{
    return gain >= least_gain && gain <= greatest_gain;
}

/* The gain of a single exposure's counts, before stacking and rates. */
static double plain_gain(const aid_header *header, const aid_camera *camera, const char *name,
                         aid_notes *notes, char origin[32])
{
    bool distrusted = camera && camera->gain_card_is_wrong;
    for (int i = 0; plain_keywords[i]; i++) {
        const char *keyword = plain_keywords[i];
        double value;
        if (!aid_header_number(header, keyword, &value))
            continue;
        if (distrusted && strcmp(keyword, "EGAIN") != 0) {
            aid_note_add(notes, AID_PREPARE_STAGE, "%s: %s = %g is not used: %s (%s)", name,
                         keyword, value, camera->remark, camera->name);
            continue;
        }
        if (is_plausible(value)) {
            snprintf(origin, 32, "header %s", keyword);
            return value;
        }
        aid_note_add(notes, AID_PREPARE_STAGE, "%s: %s = %g is no gain in e-/ADU: not used", name,
                     keyword, value);
    }
    if (camera && isfinite(camera->gain)) {
        snprintf(origin, 32, "camera %s", camera->name);
        return camera->gain;
    }
    return NAN;
}

static bool positive_number(const aid_header *header, const char *const *keywords,
                            double *ret_value)
{
    return aid_header_first_number(header, keywords, ret_value, NULL) && *ret_value > 0.0;
}

double aid_prepare_header_gain(const aid_header *header, const aid_camera *camera, const char *name,
                               aid_notes *notes, char ret_origin[32])
{
    static const char *const exposure_keywords[] = {"EXPTIME", "EXPOSURE", NULL};
    const char *keyword;
    double gain, exposure_s;
    if (aid_header_first_number(header, effective_keywords, &gain, &keyword) && gain > 0.0) {
        snprintf(ret_origin, 32, "header %s", keyword);
        return gain;
    }
    unit pixels = unit_of(header);
    if (pixels.electrons) {
        gain = 1.0;
        snprintf(ret_origin, 32, "header BUNIT");
    } else {
        gain = plain_gain(header, camera, name, notes, ret_origin);
    }
    if (isfinite(gain) && pixels.per_second &&
        positive_number(header, exposure_keywords, &exposure_s)) {
        gain *= exposure_s;
        aid_note_add(notes, AID_PREPARE_STAGE,
                     "%s: BUNIT is a rate: gain times the exposure of %g s", name, exposure_s);
    }
    return gain;
}

double aid_prepare_stack_gain(const aid_header *header, double gain, double sky, double sigma,
                              const char *name, aid_notes *notes)
{
    static const char *const keywords[] = {"NCOMBINE", "NCOMB", NULL};
    double stacked, variance = sigma * sigma;
    if (!positive_number(header, keywords, &stacked) || !(stacked > 1.0) || !isfinite(gain))
        return gain;
    bool too_noisy = sky / gain > 1.3 * variance;
    bool explained = sky / (gain * stacked) < 1.1 * variance;
    aid_note_add(
        notes, AID_PREPARE_STAGE,
        too_noisy && explained
            ? "%s: NCOMBINE = %g: the sky's noise is that of a mean of so many: gain times it"
            : "%s: NCOMBINE = %g: the gain is taken to allow for it already",
        name, stacked);
    return too_noisy && explained ? gain * stacked : gain;
}

/* -------------------------------------------------------------------------------- saturation */

double aid_prepare_header_saturation(const aid_header *header, const aid_camera *camera, double sky,
                                     double sigma, char ret_origin[32])
{
    static const char *const keywords[] = {"SATURATE", "SATLEVEL", "SATURATN", "SATURAT",  "SATUR",
                                           "SAT_LEV",  "MAXLIN",   "SATURATA", "SATURATB", NULL};
    double lowest = sky + 10.0 * sigma;
    for (int i = 0; keywords[i]; i++) {
        double value;
        if (aid_header_number(header, keywords[i], &value) && value > lowest) {
            snprintf(ret_origin, 32, "header %s", keywords[i]);
            return value;
        }
    }
    if (camera && camera->saturation > lowest) {
        snprintf(ret_origin, 32, "camera %s", camera->name);
        return camera->saturation;
    }
    return INFINITY;
}

double aid_prepare_header_zero_point(const aid_header *header, char ret_origin[32])
{
    static const char *const keywords[] = {"MAGZERO", "MAGZPT", "PHOTZP", "ZP", NULL};
    const char *keyword;
    double value;
    if (!aid_header_first_number(header, keywords, &value, &keyword))
        return NAN;
    snprintf(ret_origin, 32, "header %s", keyword);
    return value;
}
