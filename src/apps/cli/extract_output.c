/* What `astrid extract` gives: catalogues, a summary as JSON, a few lines of text. */
#include "adapters/files/json.h"
#include "apps/cli/extract.h"
#include "apps/common/table_file.h"
#include "apps/common/version.h"
#include "core/base/text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* ---------------------------------------------------------------------------------------- FITS */

static aid_status add_text(aid_header *cards, const char *keyword, const char *value,
                           const char *comment, aid_error *err)
{
    return aid_header_append(cards, keyword, AID_CARD_STRING, value, comment, err);
}

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
    return add_text(cards, "AIDCPU", aid_vector_features(), "vector instructions in use", err);
}

/* Every setting under its own name, by the HIERARCH convention: ASTRID THRESHOLD = 5. */
static aid_status add_parameters(const aid_invocation *invocation, aid_header *cards,
                                 aid_error *err)
{
    aid_parameter items[EXTRACT_MAX_PARAMETERS];
    int count = aid_command_parameters(invocation, items, EXTRACT_MAX_PARAMETERS);
    for (int i = 0; i < count; i++) {
        char keyword[64], text[AID_MAX_CARD_VALUE];
        const aid_setting *setting = items[i].setting;
        aid_setting_variable(setting, keyword, sizeof keyword);
        keyword[strlen("ASTRID")] = ' ';
        aid_setting_text(setting, items[i].field, text, sizeof text);
        bool number = setting->kind == AID_SETTING_NUMBER || setting->kind == AID_SETTING_INTEGER;
        AID_TRY(aid_header_append(cards, keyword, number ? AID_CARD_NUMBER : AID_CARD_STRING, text,
                                  "", err));
    }
    return AID_OK;
}

static aid_status put_catalogue(const aid_invocation *invocation, const extract_image *image,
                                const aid_table *table, aid_fits_writer *writer, aid_error *err)
{
    const aid_sources *sources = &image->sources;
    AID_CLEANUP(aid_header_done)
    aid_header cards = {0};
    AID_TRY(add_program(&cards, err));
    AID_TRY(add_text(&cards, "IMGFILE", image->path, "image", err));
    AID_TRY(add_text(&cards, "IMGHASH", image->file.sha256, "SHA-256 of that file", err));
    AID_TRY(add_number(&cards, "IMGHDU", image->file.hdu, "0 = primary", err));
    AID_TRY(add_parameters(invocation, &cards, err));
    AID_TRY(add_number(&cards, "NSOURCES", (double)sources->count, "sources in the table", err));
    AID_TRY(add_number(&cards, "SKYLEVEL", sources->background, "median background", err));
    AID_TRY(add_number(&cards, "SKYNOISE", sources->noise, "median noise of a pixel", err));
    AID_TRY(add_number(&cards, "FWHM", sources->fwhm_px, "[pix] of a star", err));
    AID_TRY(add_number(&cards, "APERTURE", sources->aperture_px, "[pix] radius", err));
    AID_TRY(add_number(&cards, "ANNULUS1", sources->annulus_inner_px, "[pix] inner radius", err));
    AID_TRY(add_number(&cards, "ANNULUS2", sources->annulus_outer_px, "[pix] outer radius", err));
    AID_TRY(add_number(&cards, "GAIN", image->gain, "[e-] for a unit of the image", err));
    AID_TRY(add_number(&cards, "ZEROPNT", image->zero_point, "[mag] of one unit", err));
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
    return aid_table_write(&table, image->output, err);
}

/* ---------------------------------------------------------------------------------------- JSON */

static void put_text(aid_json_writer *json, const char *key, const char *value)
{
    aid_json_key(json, key);
    aid_json_text(json, value && *value ? value : NULL);
}

static void put_number(aid_json_writer *json, const char *key, double value)
{
    aid_json_key(json, key);
    aid_json_number(json, value);
}

static void put_integer(aid_json_writer *json, const char *key, int64_t value)
{
    aid_json_key(json, key);
    aid_json_integer(json, value);
}

static void put_program(aid_json_writer *json)
{
    aid_json_key(json, "program");
    aid_json_begin_object(json);
    put_text(json, "name", AID_PROGRAM_NAME);
    put_text(json, "version", aid_version());
    put_text(json, "build", aid_build());
    put_text(json, "compiler", aid_compiler());
    put_text(json, "vectors", aid_vector_features());
    aid_json_end_object(json);
}

static void put_parameter(aid_json_writer *json, const aid_parameter *parameter)
{
    char text[AID_MAX_PATH];
    aid_json_key(json, parameter->setting->key);
    switch (parameter->setting->kind) {
    case AID_SETTING_FLAG:
        aid_json_bool(json, *(const bool *)parameter->field);
        break;
    case AID_SETTING_INTEGER:
        aid_json_integer(json, *(const int64_t *)parameter->field);
        break;
    case AID_SETTING_NUMBER:
        aid_json_number(json, *(const double *)parameter->field);
        break;
    case AID_SETTING_TEXT:
    case AID_SETTING_CHOICE:
        aid_setting_text(parameter->setting, parameter->field, text, sizeof text);
        aid_json_text(json, text);
        break;
    }
}

static void put_parameters(aid_json_writer *json, const aid_invocation *invocation)
{
    aid_parameter items[EXTRACT_MAX_PARAMETERS];
    int count = aid_command_parameters(invocation, items, EXTRACT_MAX_PARAMETERS);
    aid_json_key(json, "parameters");
    aid_json_begin_object(json);
    for (int i = 0; i < count; i++)
        put_parameter(json, &items[i]);
    aid_json_end_object(json);
}

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
    aid_json_key(json, "flags");
    aid_json_begin_object(json);
    put_integer(json, "none", unflagged);
    for (unsigned bit = 0; bit < AID_SOURCE_FLAG_COUNT; bit++)
        put_integer(json, aid_source_flag_name(1u << bit), counts[bit]);
    aid_json_end_object(json);
    aid_json_key(json, "classes");
    aid_json_begin_object(json);
    for (int kind = 0; kind <= AID_CLASS_ARTEFACT; kind++)
        put_integer(json, aid_source_class_name((aid_source_class)kind), classes[kind]);
    aid_json_end_object(json);
}

static void put_notes(aid_json_writer *json, const aid_notes *notes)
{
    aid_json_key(json, "notes");
    aid_json_begin_array(json);
    for (int i = 0; i < notes->count; i++) {
        aid_json_begin_object(json);
        put_text(json, "stage", notes->items[i].stage);
        put_text(json, "text", notes->items[i].text);
        aid_json_end_object(json);
    }
    aid_json_end_array(json);
}

static void put_image(aid_json_writer *json, const extract_image *image)
{
    const aid_sources *sources = &image->sources;
    aid_json_begin_object(json);
    put_text(json, "path", image->path);
    put_text(json, "sha256", image->file.sha256);
    put_integer(json, "hdu", image->file.hdu);
    put_integer(json, "width", image->width);
    put_integer(json, "height", image->height);
    put_text(json, "error", image->status == AID_OK ? NULL : image->error.message);
    put_text(json, "output", image->status == AID_OK ? image->output : NULL);
    put_integer(json, "count", sources->count);
    put_integer(json, "found", sources->found);
    put_integer(json, "cleaned", sources->cleaned);
    put_number(json, "background", sources->background);
    put_number(json, "noise", sources->noise);
    put_number(json, "fwhm_px", sources->fwhm_px);
    put_text(json, "method", sources->method);
    put_text(json, "filter", sources->filter);
    put_number(json, "threshold_sigma", sources->threshold);
    put_number(json, "aperture_px", sources->aperture_px);
    put_number(json, "annulus_inner_px", sources->annulus_inner_px);
    put_number(json, "annulus_outer_px", sources->annulus_outer_px);
    put_number(json, "gain", image->gain);
    put_number(json, "saturation", image->saturation);
    put_number(json, "zero_point", image->zero_point);
    put_text(json, "unit", image->unit);
    put_flags(json, sources);
    put_notes(json, &image->notes);
    aid_json_end_object(json);
}

static void put_stages(aid_json_writer *json, const aid_stage_meter *meter)
{
    aid_json_key(json, "stages");
    aid_json_begin_object(json);
    for (int i = 0; i < meter->count; i++) {
        aid_json_key(json, meter->items[i].name);
        aid_json_begin_object(json);
        put_number(json, "wall_s", meter->items[i].wall_s);
        put_number(json, "cpu_s", meter->items[i].cpu_s);
        put_number(json, "peak_mb", meter->items[i].peak_mb);
        aid_json_end_object(json);
    }
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
    put_program(&json);
    put_parameters(&json, invocation);
    put_integer(&json, "count", total);
    aid_json_key(&json, "images");
    aid_json_begin_array(&json);
    for (int i = 0; i < count; i++)
        put_image(&json, &images[i]);
    aid_json_end_array(&json);
    put_stages(&json, meter);
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
