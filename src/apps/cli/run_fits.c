/* difference.fits: the maps of a difference on the pixel grid of the science image. */
#include "apps/cli/run.h"

/* Cards of one extension: WCS where there is one, unit where it is known, and what the map is. */
static aid_status map_cards(const run_state *run, const char *unit, const char *what,
                            aid_header *cards, aid_error *err)
{
    if (unit)
        AID_TRY(aid_header_append(cards, "BUNIT", AID_CARD_STRING, unit, "", err));
    AID_TRY(aid_header_append(cards, "COMMENT", AID_CARD_COMMENT, NULL, what, err));
    return run->result.science.wcs ? aid_wcs_cards(run->result.science.wcs, cards, err) : AID_OK;
}

typedef struct map_description {
    const char *name;
    const aid_image *image;
    const char *unit, *what;
} map_description;

static aid_status put_map(const run_state *run, aid_fits_writer *writer, const map_description *map,
                          aid_error *err)
{
    AID_CLEANUP(aid_header_done)
    aid_header cards = {0};
    AID_TRY(map_cards(run, map->unit, map->what, &cards, err));
    return aid_fits_put_image(writer, map->name, map->image, &cards, err);
}

static aid_status put_maps(const run_state *run, aid_fits_writer *writer, aid_error *err)
{
    const aid_difference *d = &run->result.difference;
    const char *unit = run_flux_unit(run);
    const map_description maps[] = {
        {"DIFFERENCE", &d->difference, unit,
         "science - reference, whitened, in the flux unit of the science image"},
        {"SCORE", &d->score, NULL,
         "significance of a point source here: unit variance where nothing changed"},
        {"FLUX", &d->flux, unit, "flux of a point source here"},
        {"FLUX_ERR", &d->flux_err, unit, "standard error of FLUX"},
        {"MOTION", &d->motion, NULL, "chi-squared with 2 degrees of freedom where nothing moved"},
    };
    for (size_t i = 0; i < AID_COUNT_OF(maps); i++)
        AID_TRY(put_map(run, writer, &maps[i], err));
    return AID_OK;
}

static aid_status put_mask_and_psf(const run_state *run, aid_fits_writer *writer, aid_error *err)
{
    const aid_difference *difference = &run->result.difference;
    AID_CLEANUP(aid_header_done)
    aid_header cards = {0};
    AID_CLEANUP(aid_header_done)
    aid_header psf_cards = {0};
    AID_TRY(map_cards(run, NULL,
                      "1 bad, 2 saturated, 4 cosmic ray, 8 no data, 16 edge, 32 within a kernel's "
                      "reach of such, 64 because of the reference",
                      &cards, err));
    AID_TRY(aid_fits_put_mask(writer, "MASK", &difference->mask, &cards, err));
    AID_TRY(aid_header_append(&psf_cards, "COMMENT", AID_CARD_COMMENT, NULL,
                              "PSF of DIFFERENCE at the field centre, unit sum", err));
    return aid_fits_put_image(writer, "PSF", &difference->psf, &psf_cards, err);
}

static aid_status put_all(const run_state *run, aid_fits_writer *writer, aid_error *err)
{
    AID_CLEANUP(aid_header_done)
    aid_header cards = {0};
    AID_TRY(run_provenance_cards(run, &cards, err));
    AID_TRY(aid_fits_put_header(writer, &cards, err));
    AID_TRY(put_maps(run, writer, err));
    return put_mask_and_psf(run, writer, err);
}

aid_status run_write_difference(const run_state *run, const char *path, aid_error *err)
{
    aid_fits_writer *writer;
    AID_TRY(aid_fits_create(path, &writer, err));
    aid_status status = put_all(run, writer, err);
    if (status == AID_OK)
        return aid_fits_commit(writer, err);
    aid_fits_abandon(writer);
    return status;
}
