/* candidates.fits, .csv and .json: one table. */
#include "adapters/tables/members.h"
#include "apps/cli/run.h"

#include <math.h>
#include <string.h>

static void put_flags(const void *item, char ret_text[AID_MEMBER_TEXT_SIZE])
{
    const aid_candidate *candidate = item;
    aid_flag_names(candidate->flags, ret_text, AID_MEMBER_TEXT_SIZE);
}

#define DOUBLE(member) AID_MEMBER_DOUBLE, offsetof(aid_candidate, member), NULL, NULL
#define INT64(member) AID_MEMBER_INT64, offsetof(aid_candidate, member), NULL, NULL
#define INT(member) AID_MEMBER_INT, offsetof(aid_candidate, member), NULL, NULL

/* clang-format off */
static const aid_member members[] = {
    {"id", NULL, "meta.id;meta.main", "1, 2, ... by falling |score|", INT64(id), 0},
    {"x", "pix", "pos.cartesian.x;instr.det", "FITS pixel of the science image", DOUBLE(x), 3},
    {"y", "pix", "pos.cartesian.y;instr.det", "FITS pixel of the science image", DOUBLE(y), 3},
    {"ra", "deg", "pos.eq.ra;meta.main", "right ascension, ICRS", DOUBLE(ra_deg), 7},
    {"dec", "deg", "pos.eq.dec;meta.main", "declination, ICRS", DOUBLE(dec_deg), 7},
    {"flux", aid_member_flux, "phot.count;arith.diff", "change of flux, by a fit of the PSF",
     DOUBLE(flux), -1},
    {"flux_err", aid_member_flux, "stat.error;phot.count", "standard error of flux",
     DOUBLE(flux_err), -1},
    {"snr", NULL, "stat.snr", "|flux|/flux_err", DOUBLE(snr), 3},
    {"score", NULL, "stat.snr;stat.max", "peak of the score map, signed", DOUBLE(score), 3},
    {"mag", "mag", "phot.mag", "magnitude of |flux|", DOUBLE(mag), 4},
    {"mag_err", "mag", "stat.error;phot.mag", "standard error of mag", DOUBLE(mag_err), 4},
    {"fwhm", "pix", "phys.angSize;src", "full width at half maximum", DOUBLE(fwhm_px), 3},
    {"ellipticity", NULL, "src.ellipticity", "1 - b/a", DOUBLE(ellipticity), 3},
    {"theta", "deg", "pos.posAng;instr.det", "major axis, counter-clockwise from +x",
     DOUBLE(theta_deg), 2},
    {"position_angle", "deg", "pos.posAng", "major axis, east of north",
     DOUBLE(position_angle_deg), 2},
    {"npix", NULL, "meta.number;instr.pixel", "connected pixels above 2.5 sigma", INT64(npix), 0},
    {"peak", aid_member_flux, "phot.count;stat.max", "of the difference", DOUBLE(peak), -1},
    {"background", aid_member_flux, "instr.background", "of the difference around it",
     DOUBLE(background), -1},
    {"noise", aid_member_flux, "instr.det.noise", "of one pixel of the difference",
     DOUBLE(noise), -1},
    {"chi2", NULL, "stat.fit.chi2", "reduced, of the fit of the PSF", DOUBLE(chi2), 3},
    {"sharpness", NULL, "src.morph.param", "significance as one pixel over that as a PSF",
     DOUBLE(cosmic_ray_ratio), 3},
    {"motion", NULL, "stat.value", "significance as something that has moved, squared",
     DOUBLE(motion), 2},
    {"masked_fraction", NULL, "obs.param", "of its footprint", DOUBLE(masked_fraction), 3},
    {"reference_distance", "pix", "pos.distance", "to the nearest source of the reference",
     DOUBLE(distance_px), 2},
    {"polarity", NULL, "meta.code", "+1 brighter than in the reference, -1 fainter",
     INT(polarity), 0},
    {"flags", NULL, "meta.code.qual", "what is odd about it, joined by |", AID_MEMBER_TEXT, 0, NULL,
     put_flags, 0},
    {"p_real", NULL, "stat.probability", "that it is real, by the model", DOUBLE(p_real), 4},
};
/* clang-format on */
enum { MEMBERS = (int)AID_COUNT_OF(members) };

/* p_real, the last column, is there only where a model has spoken. */
static int column_count(const aid_candidates *candidates)
{
    for (int i = 0; i < candidates->count; i++)
        if (isfinite(candidates->items[i].p_real))
            return MEMBERS;
    return MEMBERS - 1;
}

aid_status run_candidate_table(const run_state *run, aid_table *ret_table, aid_error *err)
{
    const aid_candidates *candidates = &run->result.candidates;
    const aid_member_table layout = {.name = "candidates",
                                     .description = "what changed between science and reference",
                                     .members = members,
                                     .count = column_count(candidates),
                                     .flux_unit = run_flux_unit(run)};
    return aid_table_of_members(&layout, candidates->items, sizeof *candidates->items,
                                candidates->count, ret_table, err);
}

static aid_status put_table(const run_state *run, const aid_table *table, aid_fits_writer *writer,
                            aid_error *err)
{
    AID_CLEANUP(aid_header_done)
    aid_header cards = {0};
    AID_TRY(run_provenance_cards(run, &cards, err));
    AID_TRY(aid_fits_put_header(writer, &cards, err));
    return aid_fits_put_table(writer, "CANDIDATES", table, NULL, err);
}

aid_status run_write_candidates_fits(const run_state *run, const aid_table *table, const char *path,
                                     aid_error *err)
{
    aid_fits_writer *writer;
    AID_TRY(aid_fits_create(path, &writer, err));
    aid_status status = put_table(run, table, writer, err);
    if (status == AID_OK)
        return aid_fits_commit(writer, err);
    aid_fits_abandon(writer);
    return status;
}
