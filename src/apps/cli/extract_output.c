/* What `astrid extract` gives: catalogues, a summary as JSON, a few lines of text. */
#include "adapters/files/json.h"
#include "apps/cli/extract.h"
#include "apps/common/provenance.h"
#include "apps/common/table_file.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* ---------------------------------------------------------------------------------------- FITS */

static aid_status put_catalogue(const aid_invocation *invocation, const extract_image *image,
                                const aid_table *table, aid_fits_writer *writer, aid_error *err)
{
    const aid_sources *sources = &image->sources;
    AID_CLEANUP(aid_header_done)
    aid_header cards = {0};
    AID_TRY(aid_provenance_cards(invocation, &cards, err));
    AID_TRY(aid_header_put_text(&cards, "IMGFILE", image->path, "image", err));
    AID_TRY(
        aid_header_put_text(&cards, "IMGHASH", image->file.sha256, "SHA-256 of that file", err));
    AID_TRY(aid_header_put_number(&cards, "IMGHDU", image->file.hdu, "0 = primary", err));
    AID_TRY(aid_header_put_number(&cards, "NSOURCES", (double)sources->count,
                                  "sources in the table", err));
    AID_TRY(
        aid_header_put_number(&cards, "SKYLEVEL", sources->background, "median background", err));
    AID_TRY(
        aid_header_put_number(&cards, "SKYNOISE", sources->noise, "median noise of a pixel", err));
    AID_TRY(aid_header_put_number(&cards, "FWHM", sources->fwhm_px, "[pix] of a star", err));
    AID_TRY(aid_header_put_number(&cards, "APERTURE", sources->aperture_px, "[pix] radius", err));
    AID_TRY(aid_header_put_number(&cards, "ANNULUS1", sources->annulus_inner_px,
                                  "[pix] inner radius", err));
    AID_TRY(aid_header_put_number(&cards, "ANNULUS2", sources->annulus_outer_px,
                                  "[pix] outer radius", err));
    AID_TRY(
        aid_header_put_number(&cards, "GAIN", image->gain, "[e-] for a unit of the image", err));
    AID_TRY(aid_header_put_number(&cards, "ZEROPNT", image->zero_point, "[mag] of one unit", err));
    AID_TRY(aid_fits_put_header(writer, &cards, err));
    return aid_fits_put_table(writer, "SOURCES", table, NULL, err);
}

static aid_status write_fits(const aid_invocation *invocation, const extract_image *image,
                             const aid_table *table, aid_error *err)
{
    aid_fits_writer *writer;
    AID_TRY(aid_fits_create(image->output, &writer, err));
    aid_status status = put_catalogue(invocation, image, table, writer, err);
    if (status == AID_OK)
        return aid_fits_commit(writer, err);
    aid_fits_abandon(writer);
    return status;
}

static bool is_fits(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot && (!strcasecmp(dot, ".fits") || !strcasecmp(dot, ".fit"));
}

aid_status extract_write(const aid_invocation *invocation, const extract_image *image,
                         aid_error *err)
{
    const extract_options *options = invocation->options;
    AID_CLEANUP(aid_table_done)
    aid_table table = {0};
    AID_TRY(extract_table(image, options->columns, &table, err));
    if (is_fits(image->output))
        return write_fits(invocation, image, &table, err);
    return aid_table_write(&table, image->output, NULL, err);
}

/* ---------------------------------------------------------------------------------------- JSON */

static void put_flags(aid_json_writer *json, const aid_sources *sources)
{
    int64_t counts[AID_SOURCE_FLAG_COUNT] = {0}, unflagged = 0;
    int64_t classes[AID_CLASS_ARTEFACT + 1] = {0};
    for (int64_t i = 0; i < sources->count; i++) {
        unflagged += sources->items[i].flags == 0;
        classes[sources->items[i].kind]++;
        for (unsigned bit = 0; bit < AID_SOURCE_FLAG_COUNT; bit++)
            counts[bit] += sources->items[i].flags >> bit & 1u;
    }
    aid_json_put_object(json, "flags");
    aid_json_put_integer(json, "none", unflagged);
    for (unsigned bit = 0; bit < AID_SOURCE_FLAG_COUNT; bit++)
        aid_json_put_integer(json, aid_source_flag_name(1u << bit), counts[bit]);
    aid_json_end_object(json);
    aid_json_put_object(json, "classes");
    for (int kind = 0; kind <= AID_CLASS_ARTEFACT; kind++)
        aid_json_put_integer(json, aid_source_class_name((aid_source_class)kind), classes[kind]);
    aid_json_end_object(json);
}

static void put_image(aid_json_writer *json, const extract_image *image)
{
    const aid_sources *sources = &image->sources;
    aid_json_begin_object(json);
    aid_json_put_text(json, "path", image->path);
    aid_json_put_text(json, "sha256", image->file.sha256);
    aid_json_put_integer(json, "hdu", image->file.hdu);
    aid_json_put_integer(json, "width", image->width);
    aid_json_put_integer(json, "height", image->height);
    aid_json_put_text(json, "error", image->status == AID_OK ? NULL : image->error.message);
    aid_json_put_text(json, "output", image->status == AID_OK ? image->output : NULL);
    aid_json_put_integer(json, "count", sources->count);
    aid_json_put_integer(json, "found", sources->found);
    aid_json_put_integer(json, "cleaned", sources->cleaned);
    aid_json_put_number(json, "background", sources->background);
    aid_json_put_number(json, "noise", sources->noise);
    aid_json_put_number(json, "fwhm_px", sources->fwhm_px);
    aid_json_put_text(json, "method", sources->method);
    aid_json_put_text(json, "filter", sources->filter);
    aid_json_put_number(json, "threshold_sigma", sources->threshold);
    aid_json_put_number(json, "aperture_px", sources->aperture_px);
    aid_json_put_number(json, "annulus_inner_px", sources->annulus_inner_px);
    aid_json_put_number(json, "annulus_outer_px", sources->annulus_outer_px);
    aid_json_put_number(json, "gain", image->gain);
    aid_json_put_number(json, "saturation", image->saturation);
    aid_json_put_number(json, "zero_point", image->zero_point);
    aid_json_put_text(json, "unit", image->unit);
    put_flags(json, sources);
    aid_notes_json(json, &image->notes);
    aid_json_end_object(json);
}

void extract_print_json(const aid_invocation *invocation, const extract_image *images, int count,
                        const aid_stage_meter *meter)
{
    aid_json_writer json = aid_json_writer_on(stdout, 4);
    int64_t total = 0;
    for (int i = 0; i < count; i++)
        total += images[i].sources.count;
    aid_json_begin_object(&json);
    aid_provenance_json(&json, invocation);
    aid_json_put_integer(&json, "count", total);
    aid_json_put_array(&json, "images");
    for (int i = 0; i < count; i++)
        put_image(&json, &images[i]);
    aid_json_end_array(&json);
    aid_stages_json(&json, meter);
    aid_json_end_object(&json);
    aid_json_finish(&json);
}

void extract_print_text(const extract_image *image)
{
    const aid_sources *sources = &image->sources;
    int64_t unflagged = 0;
    for (int64_t i = 0; i < sources->count; i++)
        unflagged += sources->items[i].flags == 0;
    printf("%s: %lld sources, %lld without a flag; sky %.6g +- %.4g", image->output,
           (long long)sources->count, (long long)unflagged, sources->background, sources->noise);
    if (isfinite(sources->fwhm_px))
        printf("; FWHM %.2f px", sources->fwhm_px);
    printf("; filter %s, %.3g sigma\n", sources->filter, sources->threshold);
    for (int i = 0; i < image->notes.count; i++)
        printf("  note: %s\n", image->notes.items[i].text);
}
