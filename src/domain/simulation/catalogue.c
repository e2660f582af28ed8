/* Stars and galaxies, and what a sky consists of. */
#include "core/base/memory.h"
#include "domain/simulation/internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double margin_px = 40.0; /* sources so far outside still reach into the image */
enum { MAX_SOURCES = 4000000 };

const char *aid_sky_kind_name(aid_sky_kind kind)
{
    static const char *const names[AID_SKY_KINDS] = {"star",  "galaxy",   "transient",
                                                     "fader", "variable", "mover"};
    return (size_t)kind < AID_COUNT_OF(names) ? names[kind] : "unknown";
}

aid_status aid_sim_list_add(aid_sim_list *list, const aid_sky_source *source, aid_error *err)
{
    if (list->count == list->capacity) {
        int64_t capacity = list->capacity ? 2 * list->capacity : 1024;
        if (capacity > 2 * (int64_t)MAX_SOURCES)
            AID_FAIL(err, AID_ERR_INVALID, "simulation: more than %d sources", MAX_SOURCES);
        aid_sky_source *items = realloc(list->items, (size_t)capacity * sizeof *items);
        if (!items)
            AID_FAIL(err, AID_ERR_NOMEM, "simulation: out of memory for %lld sources",
                     (long long)capacity);
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->count] = *source;
    list->items[list->count].id = list->count + 1;
    list->count++;
    return AID_OK;
}

/* ----------------------------------------------------------------------------------- photometry */

double aid_sim_throughput(const aid_sky_options *options, int epoch, double x)
{
    double u = (x - 0.5 * (options->width - 1)) / options->width;
    return 1.0 + options->epoch[epoch].transparency_gradient * u;
}

double aid_sim_flux_of_mag(const aid_sky_options *options, int epoch, double mag)
{
    return pow(10.0, 0.4 * (options->epoch[epoch].zero_point - mag));
}

double aid_sim_mag_of_flux(const aid_sky_options *options, int epoch, double flux_adu)
{
    return options->epoch[epoch].zero_point - 2.5 * log10(flux_adu);
}

double aid_sim_sky_level(const aid_sky_options *options, int epoch, double x, double y)
{
    const aid_sky_epoch *e = &options->epoch[epoch];
    double u = (x - 0.5 * (options->width - 1)) / options->width;
    double v = (y - 0.5 * (options->height - 1)) / options->height;
    return e->sky_adu * (1.0 + e->sky_gradient * (0.8 * u - 0.6 * v + 0.5 * (u * u + v * v)));
}

double aid_sim_sky_variance(const aid_sky_options *options, int epoch)
{
    const aid_sky_epoch *e = &options->epoch[epoch];
    double electrons = e->sky_adu * options->gain + options->read_noise_e * options->read_noise_e;
    return electrons / (options->gain * options->gain * e->frames);
}

void aid_sim_project(const aid_sky *sky, aid_sky_source *source)
{
    const aid_sky_options *o = &sky->options;
    for (int e = 0; e < AID_SKY_EPOCHS; e++) {
        double x, y;
        source->x[e] = source->y[e] = NAN;
        source->flux_adu[e] = 0.0;
        source->on_image[e] = source->saturated[e] = false;
        if (!aid_wcs_radec_to_pixel(sky->wcs[e], source->ra_deg[e], source->dec_deg[e], &x, &y))
            continue;
        source->x[e] = x + 1.0;
        source->y[e] = y + 1.0;
        source->on_image[e] = x >= -0.5 && y >= -0.5 && x < o->width - 0.5 && y < o->height - 0.5;
        if (isnan(source->mag[e]))
            continue;
        source->flux_adu[e] =
            aid_sim_flux_of_mag(o, e, source->mag[e]) * aid_sim_throughput(o, e, x);
        if (source->kind != AID_SKY_GALAXY) {
            aid_sim_stamp stamp = aid_sim_stamp_at(o, e, x, y, source->flux_adu[e], true);
            source->saturated[e] =
                aid_sim_stamp_peak(&stamp) + aid_sim_sky_level(o, e, x, y) >= o->saturation_adu;
        }
    }
}

static bool near_an_image(const aid_sky *sky, const aid_sky_source *source)
{
    for (int e = 0; e < AID_SKY_EPOCHS; e++)
        if (source->x[e] > 1.0 - margin_px && source->x[e] < sky->options.width + margin_px &&
            source->y[e] > 1.0 - margin_px && source->y[e] < sky->options.height + margin_px)
            return true;
    return false;
}

/* ----------------------------------------------------------------------------- number counts ---
 */

enum { COUNT_STEPS = 1024 };
typedef struct magnitude_law {
    double bright, step;
    double cumulative[COUNT_STEPS + 1];
} magnitude_law;

/* log10 of the counts per magnitude is a parabola that has the given slope at magnitude 16 and
 * loses `flattening` of slope each magnitude, as the star counts towards high galactic latitudes do
 * (Bahcall & Soneira 1980). */
static magnitude_law law_of_counts(double bright, double faint, double slope, double flattening)
{
    magnitude_law law = {.bright = bright, .step = (faint - bright) / COUNT_STEPS};
    for (int i = 0; i < COUNT_STEPS; i++) {
        double m = bright + (i + 0.5) * law.step - 16.0;
        double counts = pow(10.0, slope * m - 0.5 * flattening * m * m);
        law.cumulative[i + 1] = law.cumulative[i] + counts;
    }
    return law;
}

static double draw_magnitude(const magnitude_law *law, aid_random *random)
{
    double target = aid_random_uniform(random) * law->cumulative[COUNT_STEPS];
    int low = 0, high = COUNT_STEPS;
    while (high - low > 1) {
        int middle = (low + high) / 2;
        if (law->cumulative[middle] <= target)
            low = middle;
        else
            high = middle;
    }
    double within =
        (target - law->cumulative[low]) / (law->cumulative[high] - law->cumulative[low]);
    return law->bright + (low + within) * law->step;
}

/* --------------------------------------------------------------------------- stars and galaxies */

/* Half side, in degrees, of a square on the sky that holds both images and their margins. */
static double field_half_side_deg(const aid_sky_options *options)
{
    double reach = 0.0;
    for (int e = 0; e < AID_SKY_EPOCHS; e++)
        reach = fmax(reach, hypot(options->epoch[e].offset_x_px, options->epoch[e].offset_y_px));
    double half_px = 0.5 * hypot(options->width, options->height) + reach + 2.0 * margin_px;
    return half_px * options->pixel_scale_arcsec / 3600.0;
}

static void draw_position(const aid_sky *sky, double half_side_deg, aid_random *random,
                          aid_sky_source *source)
{
    const aid_sky_options *o = &sky->options;
    double east = (2.0 * aid_random_uniform(random) - 1.0) * half_side_deg;
    double north = (2.0 * aid_random_uniform(random) - 1.0) * half_side_deg;
    aid_sim_offset_sky(o->ra_deg, o->dec_deg, east, north, &source->ra_deg[0], &source->dec_deg[0]);
    source->ra_deg[1] = source->ra_deg[0];
    source->dec_deg[1] = source->dec_deg[0];
}

static aid_status field_count(const aid_sky_options *options, double per_megapixel,
                              int64_t *ret_count, aid_error *err)
{
    double side_px = 2.0 * field_half_side_deg(options) / (options->pixel_scale_arcsec / 3600.0);
    double count = floor(per_megapixel * side_px * side_px / 1048576.0 + 0.5);
    if (count > MAX_SOURCES)
        AID_FAIL(err, AID_ERR_INVALID, "simulation: %.0f sources: more than %d", count,
                 MAX_SOURCES);
    *ret_count = (int64_t)count;
    return AID_OK;
}

static aid_status add_stars(const aid_sky *sky, aid_sim_list *list, aid_error *err)
{
    const aid_sky_options *o = &sky->options;
    aid_random random = aid_sim_random(sky, AID_SIM_STREAM_STARS, 0);
    magnitude_law law = law_of_counts(o->bright_mag, o->faint_mag, o->star_slope, 0.012);
    double half_side = field_half_side_deg(o);
    int64_t count = 0;
    AID_TRY(field_count(o, o->star_density, &count, err));
    for (int64_t i = 0; i < count; i++) {
        aid_sky_source star = {.kind = AID_SKY_STAR};
        draw_position(sky, half_side, &random, &star);
        star.mag[0] = star.mag[1] = draw_magnitude(&law, &random);
        aid_sim_project(sky, &star);
        if (near_an_image(sky, &star))
            AID_TRY(aid_sim_list_add(list, &star, err));
    }
    return AID_OK;
}

/* Counts of galaxies rise by 0.36 dex a magnitude from five magnitudes below the brightest star.
 * Sizes follow the magnitude, with a scatter of a quarter. */
static aid_status add_galaxies(const aid_sky *sky, aid_sim_list *list, aid_error *err)
{
    const aid_sky_options *o = &sky->options;
    aid_random random = aid_sim_random(sky, AID_SIM_STREAM_GALAXIES, 0);
    magnitude_law law =
        law_of_counts(fmin(o->bright_mag + 5.0, o->faint_mag - 0.1), o->faint_mag, 0.36, 0.0);
    double half_side = field_half_side_deg(o);
    int64_t count = 0;
    AID_TRY(field_count(o, o->galaxy_density, &count, err));
    for (int64_t i = 0; i < count; i++) {
        aid_sky_source galaxy = {.kind = AID_SKY_GALAXY};
        draw_position(sky, half_side, &random, &galaxy);
        galaxy.mag[0] = galaxy.mag[1] = draw_magnitude(&law, &random);
        double scatter = exp(0.25 * aid_random_normal(&random));
        galaxy.half_light_arcsec = 1.1 * pow(10.0, -0.13 * (galaxy.mag[0] - 20.0)) * scatter;
        galaxy.axis_ratio = 0.3 + 0.7 * aid_random_uniform(&random);
        galaxy.position_angle_deg = 180.0 * aid_random_uniform(&random);
        aid_sim_project(sky, &galaxy);
        if (near_an_image(sky, &galaxy))
            AID_TRY(aid_sim_list_add(list, &galaxy, err));
    }
    return AID_OK;
}

/* -------------------------------------------------------------------------------------- options */

typedef struct option_range {
    const char *name;
    double value, low, high;
} option_range;

static aid_status check_ranges(const option_range *ranges, size_t count, const char *of,
                               aid_error *err)
{
    for (size_t i = 0; i < count; i++)
        if (!(ranges[i].value >= ranges[i].low && ranges[i].value <= ranges[i].high))
            AID_FAIL(err, AID_ERR_INVALID, "simulation: %s%s = %g is not between %g and %g", of,
                     ranges[i].name, ranges[i].value, ranges[i].low, ranges[i].high);
    return AID_OK;
}

static aid_status check_epoch(const aid_sky_epoch *e, const char *of, aid_error *err)
{
    const option_range ranges[] = {{"exposure_s", e->exposure_s, 1e-3, 1e6},
                                   {"frames", e->frames, 1, 1000},
                                   {"zero_point", e->zero_point, 0, 50},
                                   {"seeing_px", e->seeing_px, 1, 20},
                                   {"seeing_variation", e->seeing_variation, -0.5, 2},
                                   {"ellipticity", e->ellipticity, 0, 0.4},
                                   {"ellipticity_deg", e->ellipticity_deg, -360, 360},
                                   {"ellipticity_gradient", e->ellipticity_gradient, -0.15, 0.15},
                                   {"sky_adu", e->sky_adu, 0, 1e5},
                                   {"sky_gradient", e->sky_gradient, -0.9, 0.9},
                                   {"transparency_gradient", e->transparency_gradient, -0.9, 0.9},
                                   {"offset_x_px", e->offset_x_px, -1e5, 1e5},
                                   {"offset_y_px", e->offset_y_px, -1e5, 1e5},
                                   {"rotation_deg", e->rotation_deg, -360, 360},
                                   {"cosmic_rays", e->cosmic_rays, 0, 1e5}};
    return check_ranges(ranges, AID_COUNT_OF(ranges), of, err);
}

static aid_status check_options(const aid_sky_options *o, aid_error *err)
{
    const option_range ranges[] = {{"width", o->width, 64, AID_MAX_IMAGE_SIDE},
                                   {"height", o->height, 64, AID_MAX_IMAGE_SIDE},
                                   {"ra_deg", o->ra_deg, 0, 360},
                                   {"dec_deg", o->dec_deg, -90, 90},
                                   {"pixel_scale_arcsec", o->pixel_scale_arcsec, 1e-3, 60},
                                   {"distortion", o->distortion, AID_SKY_UNDISTORTED, AID_SKY_TPV},
                                   {"gain", o->gain, 0.01, 1000},
                                   {"read_noise_e", o->read_noise_e, 0, 1000},
                                   {"saturation_adu", o->saturation_adu, 100, 64000},
                                   {"bad_columns", o->bad_columns, 0, 1000},
                                   {"bad_pixels", o->bad_pixels, 0, 1e5},
                                   {"star_density", o->star_density, 0, 1e6},
                                   {"star_slope", o->star_slope, -1, 2},
                                   {"galaxy_density", o->galaxy_density, 0, 1e5},
                                   {"bright_mag", o->bright_mag, -5, 40},
                                   {"faint_mag", o->faint_mag, o->bright_mag + 0.5, 45},
                                   {"transients", o->transients, 0, 1e5},
                                   {"faders", o->faders, 0, 1e5},
                                   {"variables", o->variables, 0, 1e5},
                                   {"movers", o->movers, 0, 1e5},
                                   {"on_galaxy_fraction", o->on_galaxy_fraction, 0, 1},
                                   {"snr_min", o->snr_min, 0.01, 1e6},
                                   {"snr_max", o->snr_max, o->snr_min, 1e6},
                                   {"overscan_px", o->overscan_px, 0, 1000},
                                   {"bias_adu", o->bias_adu, 0, 20000},
                                   {"dark_e_per_s", o->dark_e_per_s, 0, 100},
                                   {"dark_exposure_s", o->dark_exposure_s, 1e-3, 1e6},
                                   {"flat_adu", o->flat_adu, 100, 60000}};
    AID_TRY(check_ranges(ranges, AID_COUNT_OF(ranges), "", err));
    AID_TRY(check_epoch(&o->epoch[AID_SKY_SCIENCE], "science ", err));
    return check_epoch(&o->epoch[AID_SKY_REFERENCE], "reference ", err);
}

/* ------------------------------------------------------------------------------------- the sky */

/* S/N of 1 ADU of the science image by the optimal filter of Zackay, Ofek & Gal-Yam 2016 (eq. 42)
 * with constant noise and the PSFs of the field centre, as an integral over the frequencies. */
static double ideal_snr_per_adu(const aid_sky_options *o)
{
    enum { STEPS = 128 };
    double noise[AID_SKY_EPOCHS], fwhm[AID_SKY_EPOCHS], sum = 0.0;
    double ratio = pow(10.0, 0.4 * (o->epoch[1].zero_point - o->epoch[0].zero_point));
    for (int e = 0; e < AID_SKY_EPOCHS; e++) {
        noise[e] = aid_sim_sky_variance(o, e);
        fwhm[e] = o->epoch[e].seeing_px;
    }
    for (int j = 0; j < STEPS; j++)
        for (int i = 0; i < STEPS; i++) {
            double kx = (i + 0.5) / STEPS - 0.5, ky = (j + 0.5) / STEPS - 0.5;
            double science = aid_sim_transfer(fwhm[0], kx, ky),
                   reference = aid_sim_transfer(fwhm[1], kx, ky);
            double n2 = science * science, r2 = ratio * ratio * reference * reference;
            double variance = noise[0] * r2 + noise[1] * n2;
            if (variance > 0.0)
                sum += n2 * r2 / variance;
        }
    return sqrt(sum / ((double)STEPS * STEPS));
}

void aid_sky_free(aid_sky *sky)
{
    if (!sky)
        return;
    for (int e = 0; e < AID_SKY_EPOCHS; e++) {
        aid_wcs_free(sky->wcs[e]);
        aid_header_done(&sky->wcs_cards[e]);
    }
    free(sky->sources);
    free(sky);
}

static aid_status fill_sky(aid_sky *sky, aid_error *err)
{
    aid_sim_list list = {0};
    for (int e = 0; e < AID_SKY_EPOCHS; e++)
        AID_TRY(aid_sim_wcs_new(&sky->options, e, &sky->wcs_cards[e], &sky->wcs[e], err));
    sky->snr_per_adu = ideal_snr_per_adu(&sky->options);
    aid_status status = add_stars(sky, &list, err);
    if (status == AID_OK)
        status = add_galaxies(sky, &list, err);
    if (status == AID_OK)
        status = aid_sim_add_changes(sky, &list, err);
    sky->sources = list.items;
    sky->count = list.count;
    return status;
}

aid_status aid_sky_new(const aid_sky_options *options, aid_sky **ret_sky, aid_error *err)
{
    AID_TRY(check_options(options, err));
    aid_sky *sky;
    AID_TRY(aid_new_array(1, sizeof *sky, "simulated sky", &sky, err));
    sky->options = *options;
    for (int e = 0; e < AID_SKY_EPOCHS; e++) {
        const char *date = options->epoch[e].date_obs;
        snprintf(sky->date_obs[e], sizeof sky->date_obs[e], "%s", date ? date : "");
        sky->options.epoch[e].date_obs = sky->date_obs[e];
    }
    aid_status status = fill_sky(sky, err);
    if (status != AID_OK) {
        aid_sky_free(sky);
        return status;
    }
    *ret_sky = sky;
    return AID_OK;
}

const aid_sky_options *aid_sky_options_of(const aid_sky *sky)
{
    return &sky->options;
}

const aid_sky_source *aid_sky_sources(const aid_sky *sky, int64_t *ret_count)
{
    *ret_count = sky->count;
    return sky->sources;
}

const aid_wcs *aid_sky_wcs(const aid_sky *sky, int epoch)
{
    return sky->wcs[epoch];
}

double aid_sky_fwhm_px(const aid_sky *sky, int epoch, double x, double y)
{
    return aid_sim_fwhm_px(&sky->options, epoch, x, y);
}

double aid_sky_snr_per_adu(const aid_sky *sky)
{
    return sky->snr_per_adu;
}
