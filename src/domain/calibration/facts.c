#include "domain/calibration/internal.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* -------------------------------------------------------------------------------- single values */

bool aid_header_loose_number(const aid_header *header, const char *keyword, double *ret_value,
                             bool *ret_odd)
{
    *ret_odd = false;
    if (aid_header_number(header, keyword, ret_value))
        return true;
    const char *text = aid_header_text(header, keyword);
    char copy[64];
    if (!text || strlen(text) >= sizeof copy || strchr(text, '.'))
        return false;
    snprintf(copy, sizeof copy, "%s", text);
    char *comma = strchr(copy, ',');
    if (!comma || strchr(comma + 1, ','))
        return false;
    *comma = '.';
    char value[64];
    aid_card card = {.kind = AID_CARD_NUMBER, .value = value, .comment = value + 63};
    snprintf(card.keyword, sizeof card.keyword, "NUMBER");
    memcpy(value, copy, sizeof value);
    value[63] = '\0';
    aid_header one = {.count = 1, .capacity = 1, .cards = &card};
    *ret_odd = aid_header_number(&one, "NUMBER", ret_value);
    return *ret_odd;
}

/* Without leading and trailing blanks and quotes. */
static void copy_text(const char *text, char *ret_text, size_t size)
{
    ret_text[0] = '\0';
    if (!text)
        return;
    while (isspace((unsigned char)*text) || *text == '\'')
        text++;
    snprintf(ret_text, size, "%s", text);
    for (size_t n = strlen(ret_text); n > 0; n--) {
        if (!isspace((unsigned char)ret_text[n - 1]) && ret_text[n - 1] != '\'')
            break;
        ret_text[n - 1] = '\0';
    }
}

static void first_text(const aid_header *header, const char *const *keywords, char *ret_text,
                       size_t size)
{
    ret_text[0] = '\0';
    for (; *keywords && !ret_text[0]; keywords++)
        copy_text(aid_header_text(header, *keywords), ret_text, size);
}

/* ------------------------------------------------------------------------------------- exposure */

static void note_comma(const aid_header *header, const char *keyword, double value,
                       const char *name, aid_notes *notes)
{
    aid_note_add(notes, AID_FACTS_STAGE, "%s: %s = %s is read as %g", name, keyword,
                 aid_header_text(header, keyword), value);
}

static double exposure_of(const aid_header *header, const char *name, aid_notes *notes)
{
    static const struct {
        const char *keyword;
        double seconds;
    } known[] = {{"EXPTIME", 1},    {"EXPOSURE", 1},   {"EXP_TIME", 1}, {"EXP-TIME", 1},
                 {"ITIME", 1},      {"INTTIME", 1},    {"ELAPTIME", 1}, {"DARKTIME", 1},
                 {"EXPMSEC", 1e-3}, {"EXPOINUS", 1e-6}};
    for (size_t i = 0; i < AID_COUNT_OF(known); i++) {
        double value;
        bool odd;
        const char *keyword = known[i].keyword;
        if (!aid_header_loose_number(header, keyword, &value, &odd))
            continue;
        if (odd)
            note_comma(header, keyword, value, name, notes);
        value *= known[i].seconds;
        if (value >= 0.0 && value <= 1e7)
            return value;
        aid_note_add(notes, AID_FACTS_STAGE, "%s: %s = %g is no exposure time: not used", name,
                     keyword, value);
    }
    return NAN;
}

/* The time's own reader knows EXPTIME and EXPOSURE alone, and as FITS writes them. */
static aid_epoch epoch_of(const aid_header *header, double exposure_s)
{
    aid_epoch epoch = aid_epoch_from_header(header);
    if (isnan(epoch.exposure_s) && !isnan(exposure_s)) {
        epoch.exposure_s = exposure_s;
        if (epoch.known)
            epoch.mid_mjd_utc = epoch.start_mjd_utc + 0.5 * exposure_s / 86400.0;
    }
    return epoch;
}

/* -------------------------------------------------------------------------------------- binning */

static bool plausible_binning(double value)
{
    return value >= 1.0 && value <= 64.0 && value == floor(value);
}

/* "2 2", "2x2", "2,2", "2". */
static bool parse_binning(const char *text, int32_t *ret_x, int32_t *ret_y)
{
    int x = 0, y = 0;
    char between = ' ';
    int found = text ? sscanf(text, " %d%*[ ]%d", &x, &y) : 0;
    if (found == 1) {
        int pair = sscanf(text, " %d%c%d", &x, &between, &y);
        if (pair < 3 || !strchr("xX*,", between))
            y = x;
    }
    if (found < 1 || !plausible_binning(x) || !plausible_binning(y))
        return false;
    *ret_x = x;
    *ret_y = y;
    return true;
}

static void read_binning(const aid_header *header, aid_frame_facts *facts)
{
    static const char *const pairs[][2] = {{"XBINNING", "YBINNING"}, {"CCDXBIN", "CCDYBIN"},
                                           {"CCDBIN1", "CCDBIN2"},   {"BINX", "BINY"},
                                           {"XBIN", "YBIN"},         {"BINAXIS1", "BINAXIS2"},
                                           {"HBIN", "VBIN"}};
    static const char *const texts[] = {"CCDSUM", "BINNING"};
    facts->binning_x = facts->binning_y = 1;
    for (size_t i = 0; i < AID_COUNT_OF(pairs); i++) {
        double x, y;
        if (!aid_header_number(header, pairs[i][0], &x) || !plausible_binning(x))
            continue;
        if (!aid_header_number(header, pairs[i][1], &y) || !plausible_binning(y))
            y = x;
        facts->binning_x = (int32_t)x;
        facts->binning_y = (int32_t)y;
        return;
    }
    for (size_t i = 0; i < AID_COUNT_OF(texts); i++)
        if (parse_binning(aid_header_text(header, texts[i]), &facts->binning_x, &facts->binning_y))
            return;
}

/* --------------------------------------------------------------------------- temperature, filter
 */

static double temperature_of(const aid_header *header, const char *name, aid_notes *notes)
{
    static const char *const keywords[] = {"CCD-TEMP", "DET-TEMP", "CCDTEMP",  "CCD_TEMP",
                                           "DETTEMP",  "TEMPDET",  "SENSTEMP", "CHIPTEMP",
                                           "CCDATEMP", "SET-TEMP", NULL};
    for (int i = 0; keywords[i]; i++) {
        double value;
        bool odd;
        if (!aid_header_loose_number(header, keywords[i], &value, &odd))
            continue;
        if (odd)
            note_comma(header, keywords[i], value, name, notes);
        if (value >= 150.0 && value <= 350.0) {
            aid_note_add(notes, AID_FACTS_STAGE, "%s: %s = %g is taken for kelvin", name,
                         keywords[i], value);
            return value - 273.15;
        }
        if (value >= -273.15 && value <= 100.0)
            return value;
    }
    return NAN;
}

/* A wheel that is not in the light. */
static bool is_no_filter(const char *text)
{
    static const char *const words[] = {"", "clear", "open", "empty", "none", "no", "air", "blank"};
    for (size_t i = 0; i < AID_COUNT_OF(words); i++)
        if (!strcasecmp(text, words[i]))
            return true;
    return false;
}

static void read_filter(const aid_header *header, aid_frame_facts *facts)
{
    static const char *const single[] = {"FILTER",   "FILTNAM", "FILTNAME",           "FILTERID",
                                         "INSFILTE", "FILTERS", "ESO INS FILT1 NAME", NULL};
    static const char *const wheels[] = {"FILTER1", "FILTER2", "FILTER3"};
    first_text(header, single, facts->filter, sizeof facts->filter);
    if (facts->filter[0])
        return;
    for (size_t i = 0; i < AID_COUNT_OF(wheels); i++) {
        char text[sizeof facts->filter];
        copy_text(aid_header_text(header, wheels[i]), text, sizeof text);
        if (!is_no_filter(text) || (!facts->filter[0] && text[0]))
            snprintf(facts->filter, sizeof facts->filter, "%s", text);
        if (!is_no_filter(facts->filter))
            return;
    }
}

/* The date until which a master is good, as any other date. */
static double valid_until(const aid_header *header)
{
    const char *text = aid_header_text(header, "VALIDTO");
    if (!text)
        return NAN;
    char value[64] = "", comment[1] = "";
    snprintf(value, sizeof value, "%s", text);
    aid_card card = {.kind = AID_CARD_STRING, .value = value, .comment = comment};
    snprintf(card.keyword, sizeof card.keyword, "DATE-OBS");
    aid_header one = {.count = 1, .capacity = 1, .cards = &card};
    aid_epoch epoch = aid_epoch_from_header(&one);
    return epoch.known ? epoch.start_mjd_utc : (double)NAN;
}

/* ------------------------------------------------------------------------------------ all of it */

aid_frame_facts aid_frame_facts_from_header(const aid_header *header, const char *name,
                                            int32_t width, int32_t height, aid_notes *notes)
{
    static const char *const instruments[] = {"INSTRUME", "CAMERA", "DETECTOR", NULL};
    static const char *const objects[] = {"OBJECT", "OBJNAME", "TARGNAME", NULL};
    aid_frame_facts facts = {.width = width, .height = height};
    const aid_camera *camera = aid_camera_of(header);
    snprintf(facts.name, sizeof facts.name, "%s", name);
    first_text(header, instruments, facts.instrument, sizeof facts.instrument);
    first_text(header, objects, facts.object, sizeof facts.object);
    read_filter(header, &facts);
    read_binning(header, &facts);
    facts.exposure_s = exposure_of(header, facts.name, notes);
    facts.temperature_c = temperature_of(header, facts.name, notes);
    facts.epoch = epoch_of(header, facts.exposure_s);
    facts.valid_until_mjd_utc = valid_until(header);
    aid_facts_detector(header, camera, facts.name, notes, &facts);
    aid_facts_sections(header, camera, facts.name, notes, &facts);
    aid_facts_type(header, facts.name, notes, &facts);
    return facts;
}

void aid_frame_facts_take_ceiling(aid_frame_facts *facts, int bitpix, double bscale, double bzero)
{
    if (!isfinite(facts->saturation) && bitpix == 16 && bscale == 1.0)
        facts->saturation = 32767.0 + bzero;
}
