/* What was measured, as tables: one of the images, one of the trends. */
#include "apps/cli/quality.h"

#include <math.h>
#include <string.h>

typedef enum member_kind { MEMBER_DOUBLE, MEMBER_INT64 } member_kind;

typedef struct column_row {
    const char *name, *unit, *ucd, *description;
    member_kind kind;
    size_t offset; /* in aid_quality */
    int decimals;
} column_row;

#define DOUBLE(member) MEMBER_DOUBLE, offsetof(aid_quality, member)
#define INT64(member) MEMBER_INT64, offsetof(aid_quality, member)

/* clang-format off */
static const column_row rows[] = {
    {"mjd", "d", "time.epoch;obs.exposure", "middle of the exposure, MJD UTC",
     DOUBLE(mid_mjd_utc), 8},
    {"exposure", "s", "time.duration;obs.exposure", "exposure time", DOUBLE(exposure_s), 3},
    {"score", NULL, "meta.code.qual", "overall quality, 0 to 1", DOUBLE(overall_quality_score), 4},
    {"background_level", NULL, "instr.background", "sky of one pixel, image unit",
     DOUBLE(background_level), -1},
    {"noise_level", NULL, "instr.det.noise", "standard deviation of one pixel of sky",
     DOUBLE(noise_level), -1},
    {"background_range", NULL, "instr.background", "of the plane through the sky, image unit",
     DOUBLE(background_range), -1},
    {"background_gradient", NULL, "arith.ratio", "background_range / background_level",
     DOUBLE(background_gradient), 5},
    {"flatness_score", NULL, "meta.code.qual", "0 to 1: noise^2/(noise^2 + large_scale_rms^2)",
     DOUBLE(flatness_score), 4},
    {"large_scale_rms", NULL, "instr.background;stat.stdev", "of the sky about the plane",
     DOUBLE(large_scale_rms), -1},
    {"fwhm_px", "pix", "instr.obsty.seeing", "full width of stars at half maximum, at the centre",
     DOUBLE(fwhm_px), 3},
    {"fwhm", "arcsec", "instr.obsty.seeing", "the same on the sky", DOUBLE(fwhm_arcsec), 3},
    {"fwhm_variation", NULL, "arith.ratio", "(max - min)/mean over the field",
     DOUBLE(fwhm_variation), 4},
    {"ellipticity", NULL, "src.ellipticity", "1 - b/a of stars at the centre",
     DOUBLE(ellipticity), 4},
    {"theta", "deg", "pos.posAng;instr.det", "their major axis, counter-clockwise from +x",
     DOUBLE(theta_deg), 1},
    {"stars", NULL, "meta.number", "above 10 sigma", INT64(stars), 0},
    {"saturated_stars", NULL, "meta.number", "of them with a saturated pixel",
     INT64(saturated_stars), 0},
    {"noise_area", "pix2", "phys.area", "noise-equivalent area of the PSF",
     DOUBLE(noise_area_px), 2},
    {"limiting_flux", NULL, "phot.flux;stat.min", "of a point source at 5 sigma, image unit",
     DOUBLE(limiting_flux), -1},
    {"limiting_mag", "mag", "phot.mag;stat.max", "the same with the zero point",
     DOUBLE(limiting_mag), 3},
    {"expected_flux", NULL, "phot.flux;stat.min", "limit of a good frame of this camera",
     DOUBLE(expected_flux), -1},
    {"depth_loss", "mag", "phot.mag;arith.diff", "limit against what the score is relative to",
     DOUBLE(depth_loss_mag), 3},
    {"transparency", NULL, "arith.ratio", "of the sky, relative to the clearest of its field",
     DOUBLE(transparency), 4},
    {"cosmic_ray_count", NULL, "meta.number", "hits, not pixels", INT64(cosmic_ray_count), 0},
    {"cosmic_ray_percentage", "%", "arith.ratio", "of the pixels", DOUBLE(cosmic_ray_percentage),
     5},
    {"saturation_percentage", "%", "arith.ratio", "of the pixels", DOUBLE(saturation_percentage),
     5},
    {"masked_percentage", "%", "arith.ratio", "of the pixels, for whichever reason",
     DOUBLE(masked_percentage), 5},
    {"alignment_accuracy", "pix", "stat.stdev", "rms an axis against the reference",
     DOUBLE(alignment_accuracy_px), 4},
    {"gain", NULL, "instr.param", "electrons for one unit of the image", DOUBLE(gain), 4},
    {"read_noise", NULL, "instr.det.noise", "electrons", DOUBLE(read_noise_e), 3},
    {"zero_point", "mag", "phot.mag;arith.zp", "magnitude of one unit of the image",
     DOUBLE(zero_point), 4},
    {"pixel_scale", "arcsec", "instr.pixel;pos.angDistance", "side of a pixel",
     DOUBLE(pixel_scale_arcsec), 5},
};

/* Texts in front of the numbers and behind them. */
static const aid_column texts[] = {
    {.name = "file", .ucd = "meta.id;meta.file", .description = "as it was given"},
    {.name = "object", .ucd = "meta.id;src", .description = "OBJECT of the header"},
    {.name = "instrument", .ucd = "meta.id;instr", .description = "of the header"},
    {.name = "filter", .ucd = "meta.id;instr.filter", .description = "of the header"},
    {.name = "class", .ucd = "meta.code.qual", .description = "excellent, good, fair or poor"},
    {.name = "flags", .ucd = "meta.code.qual", .description = "what is wrong, joined by |"},
    {.name = "outlier", .ucd = "meta.code", .description = "trends it does not follow, by |"},
    {.name = "rated_by", .ucd = "meta.note",
     .description = "group: the best of its instrument and filter; expectation: a good frame"},
    {.name = "error", .ucd = "meta.note", .description = "why it could not be assessed"},
};
/* clang-format on */
enum {
    FILE_TEXT,
    OBJECT,
    INSTRUMENT,
    FILTER,
    CLASS,
    FLAGS,
    OUTLIER,
    RATED_BY,
    ERROR,
    TEXTS,
    FIRST_TEXTS = FLAGS + 1, /* the others are the last columns */
    ROWS = (int)AID_COUNT_OF(rows)
};

static int column_of_text(int text)
{
    return text < FIRST_TEXTS ? text : text + ROWS;
}

void quality_outlier_names(unsigned outlier, char *text, size_t size)
{
    size_t at = 0;
    text[0] = '\0';
    for (int i = 0; i < AID_QUALITY_METRICS; i++)
        if (outlier & 1u << i && at < size)
            at += (size_t)snprintf(text + at, size - at, "%s%s", at ? "|" : "",
                                   aid_quality_metric_name((aid_quality_metric)i));
}

static aid_status fill_texts(aid_table *table, int row, const quality_image *image,
                             const aid_quality_frame *frame, aid_error *err)
{
    char flags[AID_QUALITY_FLAGS_TEXT], outlier[128];
    const char *values[TEXTS] = {[FILE_TEXT] = image->path};
    if (frame) {
        aid_quality_flags_text(frame->quality.flags, flags);
        quality_outlier_names(frame->outlier, outlier, sizeof outlier);
        values[OBJECT] = frame->object;
        values[INSTRUMENT] = frame->instrument;
        values[FILTER] = frame->filter;
        values[CLASS] = aid_quality_class_name(frame->quality.class);
        values[FLAGS] = flags;
        values[OUTLIER] = outlier;
        values[RATED_BY] = frame->rated_by_group ? "group" : "expectation";
    } else {
        values[ERROR] = image->error.message;
    }
    for (int i = 0; i < TEXTS; i++)
        if (values[i])
            AID_TRY(aid_table_set_text(table, column_of_text(i), row, values[i], err));
    return AID_OK;
}

static void fill_numbers(aid_table *table, int row, const aid_quality_frame *frame)
{
    for (int i = 0; i < ROWS; i++) {
        aid_column *column = &table->items[FIRST_TEXTS + i];
        const char *member = frame ? (const char *)&frame->quality + rows[i].offset : NULL;
        if (rows[i].kind == MEMBER_INT64)
            column->values.integers[row] = member ? *(const int64_t *)member : AID_NULL_INT64;
        else if (member)
            column->values.doubles[row] = *(const double *)member;
    }
}

aid_status quality_image_table(const quality_run *run, aid_table *ret_table, aid_error *err)
{
    aid_column columns[TEXTS + ROWS];
    for (int i = 0; i < TEXTS; i++) {
        columns[column_of_text(i)] = texts[i];
        columns[column_of_text(i)].kind = AID_COLUMN_TEXT;
    }
    for (int i = 0; i < ROWS; i++)
        columns[FIRST_TEXTS + i] = (aid_column){
            .name = rows[i].name,
            .unit = rows[i].unit,
            .ucd = rows[i].ucd,
            .description = rows[i].description,
            .kind = rows[i].kind == MEMBER_INT64 ? AID_COLUMN_INT64 : AID_COLUMN_DOUBLE,
            .decimals = rows[i].decimals};
    AID_CLEANUP(aid_table_done)
    aid_table table = {0};
    AID_TRY(aid_table_init("quality", "quality of images", columns, TEXTS + ROWS, run->count,
                           &table, err));
    for (int i = 0; i < run->count; i++) {
        const quality_image *image = &run->images[i];
        const aid_quality_frame *frame = image->frame >= 0 ? &run->frames[image->frame] : NULL;
        AID_TRY(fill_texts(&table, i, image, frame, err));
        fill_numbers(&table, i, frame);
    }
    *ret_table = table;
    table = (aid_table){0};
    return AID_OK;
}

/* -------------------------------------------------------------------------------------- trends */

enum {
    T_INSTRUMENT,
    T_FILTER,
    T_METRIC,
    T_UNIT,
    T_FRAMES,
    T_MEDIAN,
    T_SCATTER,
    T_SLOPE,
    T_SLOPE_ERROR,
    T_PER,
    T_OUTLIERS,
    T_COLUMNS
};
/* clang-format off */
static const aid_column trend_columns[T_COLUMNS] = {
    {.name = "instrument", .kind = AID_COLUMN_TEXT, .description = "of the header"},
    {.name = "filter", .kind = AID_COLUMN_TEXT, .description = "of the header"},
    {.name = "metric", .kind = AID_COLUMN_TEXT, .description = "what is followed"},
    {.name = "unit", .kind = AID_COLUMN_TEXT, .description = "of median, scatter and slope"},
    {.name = "frames", .kind = AID_COLUMN_INT64, .description = "with a value"},
    {.name = "median", .kind = AID_COLUMN_DOUBLE, .decimals = -1, .description = "of the values"},
    {.name = "scatter", .kind = AID_COLUMN_DOUBLE, .decimals = -1,
     .description = "robust standard deviation about the line"},
    {.name = "slope", .kind = AID_COLUMN_DOUBLE, .decimals = -1,
     .description = "median of the slopes of all pairs"},
    {.name = "slope_error", .kind = AID_COLUMN_DOUBLE, .decimals = -1,
     .description = "standard error of slope"},
    {.name = "per", .kind = AID_COLUMN_TEXT, .description = "hour or night"},
    {.name = "outliers", .kind = AID_COLUMN_INT64, .description = "frames off the line"},
};
/* clang-format on */

const char *quality_metric_unit(aid_quality_metric metric, const aid_quality_group *group)
{
    static const char *const units[] = {[AID_METRIC_SEEING] = "px", [AID_METRIC_DEPTH] = "mag"};
    if (metric == AID_METRIC_SEEING && group->seeing_in_arcsec)
        return "arcsec";
    if (metric == AID_METRIC_BACKGROUND && group->background_per_s)
        return "unit/s";
    return (size_t)metric < AID_COUNT_OF(units) && units[metric] ? units[metric] : "";
}

static aid_status fill_trend(aid_table *table, int64_t row, const aid_quality_group *group,
                             int metric, aid_error *err)
{
    const aid_quality_trend *trend = &group->trends[metric];
    aid_column *items = table->items;
    const char *name = aid_quality_metric_name((aid_quality_metric)metric);
    const char *unit = quality_metric_unit((aid_quality_metric)metric, group);
    AID_TRY(aid_table_set_text(table, T_INSTRUMENT, row, group->instrument, err));
    AID_TRY(aid_table_set_text(table, T_FILTER, row, group->filter, err));
    AID_TRY(aid_table_set_text(table, T_METRIC, row, name, err));
    AID_TRY(aid_table_set_text(table, T_UNIT, row, unit, err));
    AID_TRY(aid_table_set_text(table, T_PER, row, group->per_night ? "night" : "hour", err));
    items[T_FRAMES].values.integers[row] = trend->frames;
    items[T_OUTLIERS].values.integers[row] = trend->outliers;
    items[T_MEDIAN].values.doubles[row] = trend->median;
    items[T_SCATTER].values.doubles[row] = trend->scatter;
    items[T_SLOPE].values.doubles[row] = trend->slope;
    items[T_SLOPE_ERROR].values.doubles[row] = trend->slope_error;
    return AID_OK;
}

aid_status quality_trend_table(const quality_run *run, aid_table *ret_table, aid_error *err)
{
    AID_CLEANUP(aid_table_done)
    aid_table table = {0};
    int64_t count = (int64_t)run->series.group_count * AID_QUALITY_METRICS;
    AID_TRY(aid_table_init("trends", "quality over time", trend_columns, T_COLUMNS, count, &table,
                           err));
    for (int i = 0; i < run->series.group_count; i++)
        for (int metric = 0; metric < AID_QUALITY_METRICS; metric++)
            AID_TRY(fill_trend(&table, (int64_t)i * AID_QUALITY_METRICS + metric,
                               &run->series.groups[i], metric, err));
    *ret_table = table;
    table = (aid_table){0};
    return AID_OK;
}
