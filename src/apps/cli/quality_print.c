/* What was measured, for a person on the terminal and for a program on a pipe. */
#include "adapters/files/json.h"
#include "apps/cli/quality.h"
#include "apps/common/provenance.h"
#include "core/base/text.h"

#include <math.h>
#include <string.h>

/* ------------------------------------------------------------------------------------- a person */

static void print_value(double value, int width, int decimals)
{
    char text[AID_DOUBLE_TEXT];
    aid_double_text(value, decimals, text);
    printf(" %*s", width, isfinite(value) ? text : "-");
}

/* Four significant digits, without an exponent where they fit. */
static void print_flux(double value, int width)
{
    if (isfinite(value))
        printf(" %*.4g", width, value);
    else
        printf(" %*s", width, "-");
}

/* Whether all lines have it: a column of dashes says nothing. */
typedef struct shown_columns {
    bool arcsec, magnitude, transparency, alignment;
    int name_width;
} shown_columns;

enum { MIN_NAME = 5, MAX_NAME = 40 };

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static shown_columns choose_columns(const quality_run *run)
{
    shown_columns shown = {.name_width = MIN_NAME};
    for (int i = 0; i < run->frame_count; i++) {
        const aid_quality *quality = &run->frames[i].quality;
        shown.arcsec = shown.arcsec || isfinite(quality->fwhm_arcsec);
        shown.magnitude = shown.magnitude || isfinite(quality->limiting_mag);
        shown.transparency = shown.transparency || isfinite(quality->transparency);
        shown.alignment = shown.alignment || isfinite(quality->alignment_accuracy_px);
    }
    for (int i = 0; i < run->count; i++)
        shown.name_width = AID_MAX(shown.name_width, (int)strlen(base_name(run->images[i].path)));
    shown.name_width = AID_MIN(shown.name_width, MAX_NAME);
    return shown;
}

static void print_heading(const shown_columns *shown)
{
    printf("%-*s %-9s %5s %6s %5s %9s %8s %9s", shown->name_width, "image", "class", "score",
           shown->arcsec ? "fwhm\"" : "fwhm", "ell", "sky", "noise",
           shown->magnitude ? "limit mag" : "limit");
    if (shown->transparency)
        printf(" %5s", "clear");
    if (shown->alignment)
        printf(" %6s", "align");
    printf(" %6s %5s %7s %7s  %s\n", "stars", "hits", "satur%", "masked%", "flags");
}

static void print_frame(const shown_columns *shown, const char *path,
                        const aid_quality_frame *frame)
{
    const aid_quality *quality = &frame->quality;
    char flags[AID_QUALITY_FLAGS_TEXT], outlier[128];
    aid_quality_flags_text(quality->flags, flags);
    quality_outlier_names(frame->outlier, outlier, sizeof outlier);
    printf("%-*.*s %-9s", shown->name_width, shown->name_width, base_name(path),
           aid_quality_class_name(quality->class));
    print_value(quality->overall_quality_score, 5, 2);
    print_value(shown->arcsec ? quality->fwhm_arcsec : quality->fwhm_px, 6, 2);
    print_value(quality->ellipticity, 5, 2);
    print_flux(quality->background_level, 9);
    print_flux(quality->noise_level, 8);
    if (shown->magnitude)
        print_value(quality->limiting_mag, 9, 2);
    else
        print_flux(quality->limiting_flux, 9);
    if (shown->transparency)
        print_value(quality->transparency, 5, 2);
    if (shown->alignment)
        print_value(quality->alignment_accuracy_px, 6, 3);
    printf(" %6lld %5lld", (long long)quality->stars, (long long)quality->cosmic_ray_count);
    print_value(quality->saturation_percentage, 7, 3);
    print_value(quality->masked_percentage, 7, 2);
    printf("  %s%s%s\n", flags, *outlier ? "  off the trend: " : "", outlier);
}

static void print_trend(const aid_quality_group *group, int metric)
{
    const aid_quality_trend *trend = &group->trends[metric];
    if (trend->frames < AID_QUALITY_GROUP_LEAST)
        return;
    printf("  %-13s %9.4g %-7s scatter %8.2g", aid_quality_metric_name((aid_quality_metric)metric),
           trend->median, quality_metric_unit((aid_quality_metric)metric, group), trend->scatter);
    if (isfinite(trend->slope))
        printf("   %+9.2g +- %.1g per %s", trend->slope, trend->slope_error,
               group->per_night ? "night" : "hour");
    if (trend->outliers)
        printf("   %d off the line", trend->outliers);
    printf("\n");
}

static void print_group(const aid_quality_group *group)
{
    if (group->frames < AID_QUALITY_GROUP_LEAST)
        return;
    printf("\n%s%s%s: %d frames", *group->instrument ? group->instrument : "unknown instrument",
           *group->filter ? ", filter " : "", group->filter, group->frames);
    double days = group->end_mjd_utc - group->begin_mjd_utc;
    if (days > 1.0)
        printf(" in %.1f days", days);
    else if (isfinite(days))
        printf(" in %.2f hours", 24.0 * days);
    printf("\n");
    for (int metric = 0; metric < AID_QUALITY_METRICS; metric++)
        print_trend(group, metric);
}

void quality_print(const quality_run *run)
{
    shown_columns shown = choose_columns(run);
    print_heading(&shown);
    for (int i = 0; i < run->count; i++) {
        const quality_image *image = &run->images[i];
        if (image->frame >= 0)
            print_frame(&shown, image->path, &run->frames[image->frame]);
        else
            printf("%-*.*s %-9s %s\n", shown.name_width, shown.name_width, base_name(image->path),
                   "failed", image->error.message);
    }
    for (int i = 0; i < run->series.group_count; i++)
        print_group(&run->series.groups[i]);
    for (int i = 0; i < run->notes.count; i++)
        printf("note, %s: %s\n", run->notes.items[i].stage, run->notes.items[i].text);
}

/* ------------------------------------------------------------------------------------ a program */

static void write_cell(aid_json_writer *json, const aid_column *column, int64_t row)
{
    aid_json_key(json, column->name);
    if (column->kind == AID_COLUMN_TEXT)
        aid_json_text(json, column->values.texts[row]);
    else if (column->kind == AID_COLUMN_DOUBLE)
        aid_json_number(json, column->values.doubles[row]);
    else if (column->values.integers[row] == AID_NULL_INT64)
        aid_json_null(json);
    else
        aid_json_integer(json, column->values.integers[row]);
}

static void write_rows(aid_json_writer *json, const char *key, const aid_table *table,
                       const quality_image *images)
{
    aid_json_put_array(json, key);
    for (int64_t row = 0; row < table->rows; row++) {
        aid_json_begin_object(json);
        for (int column = 0; column < table->columns; column++)
            write_cell(json, &table->items[column], row);
        if (images) {
            aid_json_put_text(json, "sha256", images[row].sha256[0] ? images[row].sha256 : NULL);
            aid_json_put_text(json, "notes", images[row].notes);
        }
        aid_json_end_object(json);
    }
    aid_json_end_array(json);
}

aid_status quality_write_json(const quality_run *run, FILE *out, aid_error *err)
{
    AID_CLEANUP(aid_table_done)
    aid_table images = {0};
    AID_CLEANUP(aid_table_done)
    aid_table trends = {0};
    AID_TRY(quality_image_table(run, &images, err));
    AID_TRY(quality_trend_table(run, &trends, err));
    aid_json_writer json = aid_json_writer_on(out, 2);
    aid_json_begin_object(&json);
    aid_provenance_json(&json, run->invocation);
    aid_json_put_integer(&json, "assessed", run->frame_count);
    aid_json_put_integer(&json, "failed", run->failed);
    write_rows(&json, "images", &images, run->images);
    write_rows(&json, "trends", &trends, NULL);
    aid_json_end_object(&json);
    aid_json_finish(&json);
    return AID_OK;
}
