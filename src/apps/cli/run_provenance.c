#include "apps/cli/run.h"
#include "apps/common/provenance.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MAX_KEYWORD = 64 };

/* prefix: SCI or REF. */
static aid_status add_input(aid_header *cards, const char *prefix, const run_input *input,
                            aid_error *err)
{
    char keyword[MAX_KEYWORD];
    snprintf(keyword, sizeof keyword, "%sFILE", prefix);
    AID_TRY(aid_header_put_text(cards, keyword, input->path, input->role, err));
    snprintf(keyword, sizeof keyword, "%sHASH", prefix);
    AID_TRY(aid_header_put_text(cards, keyword, input->file.sha256, "SHA-256 of that file", err));
    snprintf(keyword, sizeof keyword, "%sHDU", prefix);
    AID_TRY(aid_header_put_number(cards, keyword, input->file.hdu, "0 = primary", err));
    if (!input->mask_path)
        return AID_OK;
    snprintf(keyword, sizeof keyword, "%sMASK", prefix);
    AID_TRY(aid_header_put_text(cards, keyword, input->mask_path, "mask given with it", err));
    snprintf(keyword, sizeof keyword, "%sMHASH", prefix);
    return aid_header_put_text(cards, keyword, input->mask_sha256, "SHA-256 of that file", err);
}

static aid_status add_times(const aid_epoch *epoch, aid_header *cards, aid_error *err)
{
    if (!epoch->known)
        return AID_OK;
    AID_TRY(aid_header_put_text(cards, "TIMESYS", "UTC", "", err));
    return aid_header_put_number(cards, "MJD-AVG", epoch->mid_mjd_utc,
                                 "middle of the science exposure", err);
}

static aid_status add_results(const run_state *run, aid_header *cards, aid_error *err)
{
    const aid_difference *difference = &run->result.difference;
    const aid_registration *registration = &run->result.registration;
    bool zogy = difference->method == AID_METHOD_ZOGY;
    AID_TRY(aid_header_put_text(cards, "DIFFMETH", zogy ? "zogy" : "hybrid",
                                "how they were subtracted", err));
    AID_TRY(aid_header_put_text(cards, "CONVOLVD",
                                difference->convolved_science ? "science" : "reference",
                                "image that was convolved", err));
    AID_TRY(aid_header_put_number(cards, "FLUXRAT", difference->match.ratio,
                                  "science/reference flux at the centre", err));
    AID_TRY(aid_header_put_number(cards, "FLUXRERR", difference->match.ratio_err,
                                  "its standard error", err));
    AID_TRY(
        aid_header_put_text(cards, "REGMETH", registration->method, "how they were aligned", err));
    AID_TRY(aid_header_put_number(cards, "REGRMS", registration->rms_px,
                                  "[pix] of the stars, per axis", err));
    AID_TRY(aid_header_put_number(cards, "SCORESTD", difference->score_std, "of SCORE on blank sky",
                                  err));
    AID_TRY(aid_header_put_number(cards, "ZEROPNT", run->result.science.zero_point,
                                  "[mag] of one unit", err));
    AID_TRY(aid_header_put_number(cards, "GAIN", run->result.science.gain,
                                  "[e-] for each unit of flux", err));
    const char *filter = aid_header_text(&run->inputs[0].file.header, "FILTER");
    if (filter && *filter)
        AID_TRY(aid_header_put_text(cards, "FILTER", filter, "of the science image", err));
    return aid_header_put_number(cards, "NCAND", run->result.candidates.count,
                                 "candidates, flagged ones too", err);
}

aid_status run_provenance_cards(const run_state *run, aid_header *cards, aid_error *err)
{
    AID_TRY(aid_provenance_cards(run->invocation, cards, err));
    AID_TRY(add_input(cards, "SCI", &run->inputs[0], err));
    AID_TRY(add_input(cards, "REF", &run->inputs[1], err));
    AID_TRY(add_times(&run->result.science.epoch, cards, err));
    return add_results(run, cards, err);
}
