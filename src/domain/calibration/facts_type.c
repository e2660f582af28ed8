/* What kind of frame it is, in all the words that programs have for it. */
#include "domain/calibration/internal.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

const char *aid_frame_type_name(aid_frame_type type)
{
    static const char *const names[AID_FRAME_TYPES] = {[AID_TYPE_UNKNOWN] = "unknown",
                                                       [AID_TYPE_BIAS] = "bias",
                                                       [AID_TYPE_DARK] = "dark",
                                                       [AID_TYPE_FLAT] = "flat",
                                                       [AID_TYPE_LIGHT] = "light"};
    return (int)type >= 0 && type < AID_FRAME_TYPES ? names[type] : names[AID_TYPE_UNKNOWN];
}

/* Whether `part` (lower case) stands somewhere in the text, whatever its case. */
static bool contains(const char *text, const char *part)
{
    for (; *text; text++) {
        size_t i = 0;
        while (part[i] && tolower((unsigned char)text[i]) == part[i])
            i++;
        if (!part[i])
            return true;
    }
    return false;
}

/* The first rule that fits: a dark flat is a dark, a twilight flat no light frame. */
static aid_frame_type type_of_words(const char *text)
{
    static const struct {
        const char *word;
        aid_frame_type type;
    } rules[] = {
        {"bias", AID_TYPE_BIAS},   {"zero", AID_TYPE_BIAS},    {"offset", AID_TYPE_BIAS},
        {"dark", AID_TYPE_DARK},   {"flat", AID_TYPE_FLAT},    {"twilight", AID_TYPE_FLAT},
        {"dome", AID_TYPE_FLAT},   {"light", AID_TYPE_LIGHT},  {"object", AID_TYPE_LIGHT},
        {"scien", AID_TYPE_LIGHT}, {"target", AID_TYPE_LIGHT}, {"standard", AID_TYPE_LIGHT},
        {"sky", AID_TYPE_LIGHT},   {"std", AID_TYPE_LIGHT},    {"expose", AID_TYPE_LIGHT},
        {"sci", AID_TYPE_LIGHT}};
    for (size_t i = 0; i < AID_COUNT_OF(rules); i++)
        if (contains(text, rules[i].word))
            return rules[i].type;
    return AID_TYPE_UNKNOWN;
}

/* SBIG's programs number the types. */
static aid_frame_type type_of_number(const aid_header *header)
{
    static const aid_frame_type numbered[] = {AID_TYPE_UNKNOWN, AID_TYPE_LIGHT, AID_TYPE_BIAS,
                                              AID_TYPE_DARK, AID_TYPE_FLAT};
    double number;
    if (!aid_header_number(header, "PICTTYPE", &number) || !(number >= 1.0 && number <= 4.0))
        return AID_TYPE_UNKNOWN;
    return numbered[(int)number];
}

static void set_type(aid_frame_facts *facts, aid_frame_type type, const char *origin)
{
    facts->type = type;
    snprintf(facts->type_origin, sizeof facts->type_origin, "%s", origin);
}

static bool type_from_cards(const aid_header *header, aid_frame_facts *facts)
{
    static const char *const keywords[] = {"IMAGETYP", "OBSTYPE",      "FRAME",   "IMGTYPE",
                                           "IMTYPE",   "IMAGETYPE",    "EXPTYPE", "FRAMETYP",
                                           "VIMTYPE",  "ESO DPR TYPE", "DATA-TYP"};
    for (size_t i = 0; i < AID_COUNT_OF(keywords); i++) {
        const char *text = aid_header_text(header, keywords[i]);
        aid_frame_type type = text ? type_of_words(text) : AID_TYPE_UNKNOWN;
        if (type == AID_TYPE_UNKNOWN)
            continue;
        set_type(facts, type, keywords[i]);
        facts->is_master = contains(text, "master");
        return true;
    }
    set_type(facts, type_of_number(header), "PICTTYPE");
    return facts->type != AID_TYPE_UNKNOWN;
}

/* Only words that no star or galaxy is called by. */
static aid_frame_type type_of_object(const char *object)
{
    static const char *const words[] = {"flat", "bias", "twilight"};
    for (size_t i = 0; i < AID_COUNT_OF(words); i++)
        if (contains(object, words[i]))
            return type_of_words(object);
    return AID_TYPE_UNKNOWN;
}

static aid_frame_type type_of_name(const char *name)
{
    static const char *const words[] = {"bias", "dark", "flat", "light"};
    for (size_t i = 0; i < AID_COUNT_OF(words); i++)
        if (contains(name, words[i]))
            return type_of_words(words[i]);
    return AID_TYPE_UNKNOWN;
}

void aid_facts_type(const aid_header *header, const char *name, aid_notes *notes,
                    aid_frame_facts *facts)
{
    double combined;
    bool told = type_from_cards(header, facts);
    aid_frame_type by_object = type_of_object(facts->object);
    if ((!told || facts->type == AID_TYPE_LIGHT) && by_object != AID_TYPE_UNKNOWN &&
        by_object != AID_TYPE_LIGHT) {
        if (told)
            aid_note_add(notes, AID_FACTS_STAGE, "%s: %s says light, OBJECT '%s': taken as a %s",
                         name, facts->type_origin, facts->object, aid_frame_type_name(by_object));
        set_type(facts, by_object, "OBJECT");
    } else if (!told) {
        set_type(facts, type_of_name(name), "file name");
    }
    if (facts->type == AID_TYPE_DARK && facts->exposure_s <= 0.0) {
        aid_note_add(notes, AID_FACTS_STAGE, "%s: %s says dark, the exposure is 0 s: taken as a %s",
                     name, facts->type_origin, "bias");
        set_type(facts, AID_TYPE_BIAS, "exposure of 0 s");
    }
    if (facts->type == AID_TYPE_UNKNOWN)
        facts->type_origin[0] = '\0';
    bool is_calibration = facts->type == AID_TYPE_BIAS || facts->type == AID_TYPE_DARK ||
                          facts->type == AID_TYPE_FLAT;
    if (is_calibration && (aid_header_number(header, "NCOMBINE", &combined) ||
                           aid_header_number(header, "NCOMB", &combined)))
        facts->is_master = facts->is_master || combined >= 2.0;
}
