/* Gain, read noise and saturation of the detector, as headers give them or cameras are known for.
 */
#include "domain/calibration/internal.h"

#include <math.h>
#include <string.h>
#include <strings.h>

static const double least_gain = 0.001, greatest_gain = 1000.0; /* e-/ADU of any detector */
static const double greatest_read_noise = 10000.0;              /* e- */

static bool is_in_electrons(const aid_header *header)
{
    const char *unit = aid_header_text(header, "BUNIT");
    if (!unit)
        return false;
    unit += strspn(unit, " ");
    return !strncasecmp(unit, "e-", 2) || !strncasecmp(unit, "electron", 8) ||
           !strcasecmp(unit, "e");
}

static double gain_of(const aid_header *header, const aid_camera *camera, const char *name,
                      aid_notes *notes)
{
    static const char *const keywords[] = {
        "EGAIN", "E_GAIN", "GAIN",    "CCDGAIN", "ATODGAIN", "DETGAIN", "ESO DET OUT1 CONAD",
        "GAIN1", "GAINA",  "CCDATOD", "ARAWGAIN"};
    if (is_in_electrons(header))
        return 1.0;
    for (size_t i = 0; i < AID_COUNT_OF(keywords); i++) {
        double value;
        bool odd;
        if (!aid_header_loose_number(header, keywords[i], &value, &odd))
            continue;
        if (camera && camera->gain_card_is_wrong && strcmp(keywords[i], "EGAIN") != 0)
            aid_note_add(notes, AID_FACTS_STAGE, "%s: %s = %g is not used: %s (%s)", name,
                         keywords[i], value, camera->remark, camera->name);
        else if (value >= least_gain && value <= greatest_gain)
            return value;
        else
            aid_note_add(notes, AID_FACTS_STAGE, "%s: %s = %g is no gain in e-/ADU: not used", name,
                         keywords[i], value);
    }
    return camera ? camera->gain : (double)NAN;
}

static double read_noise_of(const aid_header *header, const aid_camera *camera, const char *name,
                            aid_notes *notes)
{
    static const char *const keywords[] = {"RDNOISE",  "READNOIS",        "RON",     "READNOISE",
                                           "ENOISE",   "RDNOISE1",        "RONOISE", "RDNOISEA",
                                           "ARDNOISE", "ESO DET OUT1 RON"};
    for (size_t i = 0; i < AID_COUNT_OF(keywords); i++) {
        double value;
        bool odd;
        if (!aid_header_loose_number(header, keywords[i], &value, &odd))
            continue;
        if (value > 0.0 && value <= greatest_read_noise)
            return value;
        aid_note_add(notes, AID_FACTS_STAGE, "%s: %s = %g is no read noise in e-: not used", name,
                     keywords[i], value);
    }
    return camera ? camera->read_noise : (double)NAN;
}

static double saturation_of(const aid_header *header, const aid_camera *camera)
{
    static const char *const keywords[] = {"SATURATE", "SATLEVEL", "SATURATN", "SATURAT",  "SATUR",
                                           "SAT_LEV",  "MAXLIN",   "SATURATA", "SATURATB", NULL};
    double value;
    if (aid_header_first_number(header, keywords, &value, NULL) && value > 0.0)
        return value;
    return camera ? camera->saturation : (double)NAN;
}

void aid_facts_detector(const aid_header *header, const aid_camera *camera, const char *name,
                        aid_notes *notes, aid_frame_facts *facts)
{
    facts->gain = gain_of(header, camera, name, notes);
    facts->read_noise_e = read_noise_of(header, camera, name, notes);
    facts->saturation = saturation_of(header, camera);
}
