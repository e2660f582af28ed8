#include "apps/cli/run.h"
#include "apps/common/version.h"
#include "core/base/text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MAX_KEYWORD = 64 };

static aid_status add_text(aid_header *cards, const char *keyword, const char *value,
                           const char *comment, aid_error *err)
{
    return aid_header_append(cards, keyword, AID_CARD_STRING, value, comment, err);
}

/* FITS has no NaN in its cards: one that is not there says unknown. */
static aid_status add_number(aid_header *cards, const char *keyword, double value,
                             const char *comment, aid_error *err)
{
    char text[AID_DOUBLE_TEXT];
    if (!isfinite(value))
        return AID_OK;
    aid_double_text(value, -1, text);
    return aid_header_append(cards, keyword, AID_CARD_NUMBER, text, comment, err);
}

static aid_status add_program(aid_header *cards, aid_error *err)
{
    char program[128];
    snprintf(program, sizeof program, "%s %s", AID_PROGRAM_NAME, aid_version());
    AID_TRY(add_text(cards, "CREATOR", program, "program that made this file", err));
    AID_TRY(add_text(cards, "AIDBUILD", aid_build(), "commit it was built from", err));
    AID_TRY(add_text(cards, "AIDCOMP", aid_compiler(), "compiler and kind of build", err));
    return add_text(cards, "AIDCPU", aid_vector_features(), "vector instructions in use", err);
}

/* prefix: SCI or REF. */
static aid_status add_input(aid_header *cards, const char *prefix, const run_input *input,
                            aid_error *err)
{
    char keyword[MAX_KEYWORD];
    snprintf(keyword, sizeof keyword, "%sFILE", prefix);
    AID_TRY(add_text(cards, keyword, input->path, input->role, err));
    snprintf(keyword, sizeof keyword, "%sHASH", prefix);
    AID_TRY(add_text(cards, keyword, input->file.sha256, "SHA-256 of that file", err));
    snprintf(keyword, sizeof keyword, "%sHDU", prefix);
    AID_TRY(add_number(cards, keyword, input->file.hdu, "0 = primary", err));
    if (!input->mask_path)
        return AID_OK;
    snprintf(keyword, sizeof keyword, "%sMASK", prefix);
    AID_TRY(add_text(cards, keyword, input->mask_path, "mask given with it", err));
    snprintf(keyword, sizeof keyword, "%sMHASH", prefix);
    return add_text(cards, keyword, input->mask_sha256, "SHA-256 of that file", err);
}

/* Every setting under its own name, by the HIERARCH convention: ASTRID THRESHOLD = 5. */
static aid_status add_parameters(const run_state *run, aid_header *cards, aid_error *err)
{
    for (int i = 0; i < run->parameter_count; i++) {
        const aid_setting *setting = run->parameters[i].setting;
        char keyword[MAX_KEYWORD], text[AID_MAX_CARD_VALUE];
        aid_setting_variable(setting, keyword, sizeof keyword);
        keyword[strlen("ASTRID")] = ' ';
        aid_setting_text(setting, run->parameters[i].field, text, sizeof text);
        bool number = setting->kind == AID_SETTING_NUMBER || setting->kind == AID_SETTING_INTEGER;
        AID_TRY(aid_header_append(cards, keyword, number ? AID_CARD_NUMBER : AID_CARD_STRING, text,
                                  "", err));
    }
    return AID_OK;
}

static aid_status add_times(const aid_epoch *epoch, aid_header *cards, aid_error *err)
{
    if (!epoch->known)
        return AID_OK;
    AID_TRY(add_text(cards, "TIMESYS", "UTC", "", err));
    return add_number(cards, "MJD-AVG", epoch->mid_mjd_utc, "middle of the science exposure", err);
}

static aid_status add_results(const run_state *run, aid_header *cards, aid_error *err)
{
    const aid_difference *difference = &run->result.difference;
    const aid_registration *registration = &run->result.registration;
    bool zogy = difference->method == AID_METHOD_ZOGY;
    AID_TRY(add_text(cards, "DIFFMETH", zogy ? "zogy" : "hybrid", "how they were subtracted", err));
    AID_TRY(add_text(cards, "CONVOLVD", difference->convolved_science ? "science" : "reference",
                     "image that was convolved", err));
    AID_TRY(add_number(cards, "FLUXRAT", difference->match.ratio,
                       "science/reference flux at the centre", err));
    AID_TRY(add_number(cards, "FLUXRERR", difference->match.ratio_err, "its standard error", err));
    AID_TRY(add_text(cards, "REGMETH", registration->method, "how they were aligned", err));
    AID_TRY(add_number(cards, "REGRMS", registration->rms_px, "[pix] of the stars, per axis", err));
    AID_TRY(add_number(cards, "SCORESTD", difference->score_std, "of SCORE on blank sky", err));
    AID_TRY(add_number(cards, "ZEROPNT", run->result.science.zero_point, "[mag] of one unit", err));
    AID_TRY(add_number(cards, "GAIN", run->result.science.gain, "[e-] for each unit of flux", err));
    const char *filter = aid_header_text(&run->inputs[0].file.header, "FILTER");
    if (filter && *filter)
        AID_TRY(add_text(cards, "FILTER", filter, "of the science image", err));
    return add_number(cards, "NCAND", run->result.candidates.count, "candidates, flagged ones too",
                      err);
}

aid_status run_provenance_cards(const run_state *run, aid_header *cards, aid_error *err)
{
    AID_TRY(add_program(cards, err));
    AID_TRY(add_input(cards, "SCI", &run->inputs[0], err));
    AID_TRY(add_input(cards, "REF", &run->inputs[1], err));
    AID_TRY(add_parameters(run, cards, err));
    AID_TRY(add_times(&run->result.science.epoch, cards, err));
    return add_results(run, cards, err);
}
