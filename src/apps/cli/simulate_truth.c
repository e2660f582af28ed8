/* truth.fits and truth.csv of `astrid simulate`, and its summary. */
#include "adapters/files/json.h"
#include "adapters/tables/members.h"
#include "apps/cli/simulate.h"
#include "apps/common/version.h"

#include <stdio.h>

static bool is_galaxy(const void *item)
{
    const aid_sky_source *source = item;
    return source->kind == AID_SKY_GALAXY;
}

static void put_kind(const void *item, char ret_text[AID_MEMBER_TEXT_SIZE])
{
    const aid_sky_source *source = item;
    snprintf(ret_text, AID_MEMBER_TEXT_SIZE, "%s", aid_sky_kind_name(source->kind));
}

#define DOUBLE(member) AID_MEMBER_DOUBLE, offsetof(aid_sky_source, member), NULL, NULL
#define SHAPE(member) AID_MEMBER_DOUBLE, offsetof(aid_sky_source, member), is_galaxy, NULL
#define INT64(member) AID_MEMBER_INT64, offsetof(aid_sky_source, member), NULL, NULL
#define BOOL(member) AID_MEMBER_BOOL, offsetof(aid_sky_source, member), NULL, NULL

/* clang-format off */
static const aid_member members[] = {
    {"id", NULL, "meta.id;meta.main", "1, 2, ...", INT64(id), 0},
    {"kind", NULL, "src.class", "star, galaxy, transient, ...", AID_MEMBER_TEXT, 0, NULL,
     put_kind, 0},
    {"ra", "deg", "pos.eq.ra;meta.main", "right ascension, ICRS, at the science epoch",
     DOUBLE(ra_deg[0]), 11},
    {"dec", "deg", "pos.eq.dec;meta.main", "declination, ICRS, at the science epoch",
     DOUBLE(dec_deg[0]), 11},
    {"x", "pix", "pos.cartesian.x;instr.det", "FITS pixel of the science image", DOUBLE(x[0]), 6},
    {"y", "pix", "pos.cartesian.y;instr.det", "FITS pixel of the science image", DOUBLE(y[0]), 6},
    {"reference_x", "pix", "pos.cartesian.x;instr.det", "FITS pixel of the reference",
     DOUBLE(x[1]), 6},
    {"reference_y", "pix", "pos.cartesian.y;instr.det", "FITS pixel of the reference",
     DOUBLE(y[1]), 6},
    {"flux", "adu", "phot.count", "in the science image; 0: not there", DOUBLE(flux_adu[0]), -1},
    {"reference_flux", "adu", "phot.count", "in the reference; 0: not there",
     DOUBLE(flux_adu[1]), -1},
    {"mag", "mag", "phot.mag", "in the science image", DOUBLE(mag[0]), 9},
    {"reference_mag", "mag", "phot.mag", "in the reference", DOUBLE(mag[1]), 9},
    {"snr", NULL, "stat.snr", "of the change in an ideal difference; signed; 0: none",
     DOUBLE(difference_snr), 6},
    {"host", NULL, "meta.id.assoc", "id of the galaxy that it lies in; 0: none", INT64(host), 0},
    {"on_image", NULL, "meta.code", "1: its centre is on the science image", BOOL(on_image[0]), 0},
    {"reference_on_image", NULL, "meta.code", "1: its centre is on the reference",
     BOOL(on_image[1]), 0},
    {"saturated", NULL, "meta.code", "1: its peak is saturated in the science image",
     BOOL(saturated[0]), 0},
    {"reference_saturated", NULL, "meta.code", "1: its peak is saturated in the reference",
     BOOL(saturated[1]), 0},
    {"half_light", "arcsec", "phys.angSize", "half-light radius of a galaxy",
     SHAPE(half_light_arcsec), 4},
    {"axis_ratio", NULL, "src.ellipticity", "of a galaxy", SHAPE(axis_ratio), 4},
    {"position_angle", "deg", "pos.posAng", "of a galaxy's long axis, east of north",
     SHAPE(position_angle_deg), 3},
};
/* clang-format on */

aid_status simulate_truth_table(const aid_sky *sky, aid_table *ret_table, aid_error *err)
{
    int64_t count;
    const aid_sky_source *sources = aid_sky_sources(sky, &count);
    const aid_member_table layout = {.name = "truth",
                                     .description = "every source of a simulated sky",
                                     .members = members,
                                     .count = (int)AID_COUNT_OF(members)};
    return aid_table_of_members(&layout, sources, sizeof *sources, count, ret_table, err);
}

/* ----------------------------------------------------------------------------------- raw frames */

static aid_status fill_raw_row(aid_table *table, int64_t row, const simulated_raw *frame,
                               aid_error *err)
{
    static const char *const kinds[] = {"bias", "dark", "flat", "science"};
    const double numbers[] = {frame->exposure_s, frame->seeing_px, frame->sky_adu,
                              frame->offset_x_px, frame->offset_y_px};
    AID_TRY(aid_table_set_text(table, 0, row, frame->file, err));
    AID_TRY(aid_table_set_text(table, 1, row, kinds[frame->kind], err));
    AID_TRY(aid_table_set_text(table, 2, row, frame->date_obs, err));
    for (int i = 0; i < (int)AID_COUNT_OF(numbers); i++)
        table->items[3 + i].values.doubles[row] = numbers[i];
    table->items[8].values.integers[row] = frame->cosmic_ray_pixels;
    table->items[9].values.integers[row] = frame->saturated_pixels;
    return AID_OK;
}

aid_status simulate_raw_table(const simulated_raw *frames, int count, aid_table *ret_table,
                              aid_error *err)
{
    static const aid_column columns[] = {
        {.name = "file", .description = "raw frame", .kind = AID_COLUMN_TEXT},
        {.name = "type", .description = "bias, dark, flat, science", .kind = AID_COLUMN_TEXT},
        {.name = "date_obs", .description = "UTC, start", .kind = AID_COLUMN_TEXT},
        {.name = "exposure", .unit = "s", .kind = AID_COLUMN_DOUBLE, .decimals = 3},
        {.name = "seeing", .unit = "pix", .kind = AID_COLUMN_DOUBLE, .decimals = 4},
        {.name = "sky", .unit = "adu", .kind = AID_COLUMN_DOUBLE, .decimals = 3},
        {.name = "offset_x", .unit = "pix", .kind = AID_COLUMN_DOUBLE, .decimals = 4},
        {.name = "offset_y", .unit = "pix", .kind = AID_COLUMN_DOUBLE, .decimals = 4},
        {.name = "cosmic_ray_pixels", .kind = AID_COLUMN_INT64},
        {.name = "saturated_pixels", .kind = AID_COLUMN_INT64},
    };
    aid_table table;
    AID_TRY(aid_table_init("raw_truth", "what is true of each raw frame", columns,
                           (int)AID_COUNT_OF(columns), count, &table, err));
    aid_status status = AID_OK;
    for (int i = 0; i < count && status == AID_OK; i++)
        status = fill_raw_row(&table, i, &frames[i], err);
    if (status == AID_OK)
        *ret_table = table;
    else
        aid_table_done(&table);
    return status;
}

/* -------------------------------------------------------------------------------------- summary */

static void put_counts(aid_json_writer *json, const aid_sky *sky)
{
    int64_t count, kinds[AID_SKY_KINDS] = {0};
    const aid_sky_source *sources = aid_sky_sources(sky, &count);
    for (int64_t i = 0; i < count; i++)
        kinds[sources[i].kind]++;
    aid_json_put_object(json, "counts");
    for (int kind = 0; kind < AID_SKY_KINDS; kind++) {
        aid_json_key(json, aid_sky_kind_name((aid_sky_kind)kind));
        aid_json_integer(json, kinds[kind]);
    }
    aid_json_end_object(json);
}

static void put_epoch(aid_json_writer *json, const char *name, const aid_sky_epoch *epoch)
{
    aid_json_put_object(json, name);
    aid_json_put_text(json, "date_obs", epoch->date_obs);
    aid_json_put_number(json, "exposure_s", epoch->exposure_s);
    aid_json_put_number(json, "frames", epoch->frames);
    aid_json_put_number(json, "zero_point", epoch->zero_point);
    aid_json_put_number(json, "seeing_px", epoch->seeing_px);
    aid_json_put_number(json, "sky_adu", epoch->sky_adu);
    aid_json_put_number(json, "offset_x_px", epoch->offset_x_px);
    aid_json_put_number(json, "offset_y_px", epoch->offset_y_px);
    aid_json_put_number(json, "rotation_deg", epoch->rotation_deg);
    aid_json_put_number(json, "cosmic_rays_per_megapixel", epoch->cosmic_rays);
    aid_json_end_object(json);
}

static void put_summary(aid_json_writer *json, const void *context)
{
    const simulate_state *state = context;
    const aid_sky_options *sky = aid_sky_options_of(state->sky);
    aid_json_begin_object(json);
    aid_json_put_text(json, "program", AID_PROGRAM_NAME);
    aid_json_put_text(json, "version", aid_version());
    aid_json_put_text(json, "build", aid_build());
    aid_json_put_integer(json, "seed", state->options->seed);
    aid_json_put_number(json, "width", sky->width);
    aid_json_put_number(json, "height", sky->height);
    aid_json_put_number(json, "ra_deg", sky->ra_deg);
    aid_json_put_number(json, "dec_deg", sky->dec_deg);
    aid_json_put_number(json, "pixel_scale_arcsec", sky->pixel_scale_arcsec);
    aid_json_put_number(json, "gain", sky->gain);
    aid_json_put_number(json, "read_noise_e", sky->read_noise_e);
    aid_json_put_number(json, "saturation_adu", sky->saturation_adu);
    aid_json_put_number(json, "snr_per_adu", aid_sky_snr_per_adu(state->sky));
    put_epoch(json, "science", &sky->epoch[AID_SKY_SCIENCE]);
    put_epoch(json, "reference", &sky->epoch[AID_SKY_REFERENCE]);
    put_counts(json, state->sky);
    aid_json_end_object(json);
    aid_json_finish(json);
}

aid_status simulate_summary_text(const simulate_state *state, char **ret_text, size_t *ret_size,
                                 aid_error *err)
{
    return aid_json_document(put_summary, state, "summary", ret_text, ret_size, err);
}
