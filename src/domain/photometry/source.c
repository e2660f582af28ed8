#include "domain/photometry/source.h"

#include "core/base/macros.h"
#include "core/base/memory.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const flag_names[AID_SOURCE_FLAG_COUNT] = {
    "blended",       "neighbour",    "saturated",    "truncated", "masked",    "aperture_cut",
    "aperture_mask", "aperture_bad", "annulus_poor", "no_kron",   "no_window", "singular",
    "deblend_limit", "no_psf_fit",   "outside",      "forced"};

const char *aid_source_flag_name(unsigned flag)
{
    for (unsigned bit = 0; bit < AID_SOURCE_FLAG_COUNT; bit++)
        if (flag == 1u << bit)
            return flag_names[bit];
    return NULL;
}

void aid_source_flag_names(unsigned flags, char *text, size_t size)
{
    size_t used = 0;
    if (size > 0)
        text[0] = '\0';
    for (unsigned bit = 0; bit < AID_SOURCE_FLAG_COUNT && used < size; bit++)
        if (flags & 1u << bit)
            used += (size_t)snprintf(text + used, size - used, "%s%s", used ? "|" : "",
                                     flag_names[bit]);
}

int aid_source_flags_sextractor(unsigned flags)
{
    int out = 0;
    out |= flags & (AID_SOURCE_NEIGHBOUR | AID_SOURCE_APERTURE_MASK) ? 1 : 0;
    out |= flags & AID_SOURCE_BLENDED ? 2 : 0;
    out |= flags & AID_SOURCE_SATURATED ? 4 : 0;
    out |= flags & AID_SOURCE_TRUNCATED ? 8 : 0;
    out |= flags & (AID_SOURCE_APERTURE_CUT | AID_SOURCE_APERTURE_BAD) ? 16 : 0;
    out |= flags & AID_SOURCE_MASKED ? 32 : 0;
    out |= flags & AID_SOURCE_DEBLEND_LIMIT ? 64 : 0;
    return out;
}

const char *aid_source_class_name(aid_source_class kind)
{
    static const char *const names[] = {"unknown", "point", "extended", "artefact"};
    return (unsigned)kind < AID_COUNT_OF(names) ? names[kind] : names[0];
}

aid_source aid_source_blank(void)
{
    return (aid_source){.x = NAN,
                        .y = NAN,
                        .x_err = NAN,
                        .y_err = NAN,
                        .x_win = NAN,
                        .y_win = NAN,
                        .x_win_err = NAN,
                        .y_win_err = NAN,
                        .ra_deg = NAN,
                        .dec_deg = NAN,
                        .position_angle_deg = NAN,
                        .flux_iso = NAN,
                        .flux_iso_err = NAN,
                        .flux_aper = NAN,
                        .flux_aper_err = NAN,
                        .flux_auto = NAN,
                        .flux_auto_err = NAN,
                        .kron_radius = NAN,
                        .flux_radius_px = NAN,
                        .snr = NAN,
                        .mag = NAN,
                        .mag_err = NAN,
                        .peak = NAN,
                        .background = NAN,
                        .noise = NAN,
                        .threshold = NAN,
                        .x2 = NAN,
                        .y2 = NAN,
                        .xy = NAN,
                        .x2_err = NAN,
                        .y2_err = NAN,
                        .xy_err = NAN,
                        .a = NAN,
                        .b = NAN,
                        .theta_deg = NAN,
                        .ellipticity = NAN,
                        .fwhm_px = NAN,
                        .flux_psf = NAN,
                        .flux_psf_err = NAN,
                        .chi2_psf = NAN,
                        .x_psf = NAN,
                        .y_psf = NAN,
                        .spread = NAN,
                        .spread_err = NAN,
                        .p_point = NAN,
                        .gini = NAN,
                        .m20 = NAN,
                        .concentration = NAN,
                        .asymmetry = NAN};
}

aid_status aid_sources_init(int64_t count, aid_sources *ret_sources, aid_error *err)
{
    if (count < 0)
        AID_FAIL(err, AID_ERR_INVALID, "a list of %lld sources", (long long)count);
    aid_source *items = NULL;
    AID_TRY(aid_new_buffer((size_t)AID_MAX(count, 1), sizeof *items, "sources", &items, err));
    for (int64_t i = 0; i < count; i++)
        items[i] = aid_source_blank();
    *ret_sources = (aid_sources){.count = count,
                                 .items = items,
                                 .aperture_px = NAN,
                                 .annulus_inner_px = NAN,
                                 .annulus_outer_px = NAN,
                                 .fwhm_px = NAN,
                                 .background = NAN,
                                 .noise = NAN,
                                 .zero_point = NAN,
                                 .threshold = NAN};
    return AID_OK;
}

void aid_sources_done(aid_sources *sources)
{
    free(sources->items);
    *sources = (aid_sources){0};
}
