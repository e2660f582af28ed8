/* What differs between the two epochs. */
#include "domain/simulation/internal.h"

#include <math.h>

static const double pi = 3.141592653589793;
static const double border_px = 40.0;     /* of changes from the edge of either image */
static const double separation_px = 22.0; /* of changes from each other: they can be told apart */
enum { MAX_TRIALS = 2000 };

typedef struct change_job {
    const aid_sky *sky;
    aid_sim_list *list;
    aid_random random;
    int64_t first_change; /* index of the first change in the list */
    int64_t first_galaxy, galaxy_end;
} change_job;

static double log_uniform(aid_random *random, double low, double high)
{
    return low * pow(high / low, aid_random_uniform(random));
}

static bool inside(const aid_sky_options *o, double x, double y)
{
    double border = fmin(border_px, 0.1 * fmin(o->width, o->height));
    return x > border && y > border && x < o->width - border && y < o->height - border;
}

/* Not on a saturated star, its skirt, or the columns that it bleeds along; not next to another
 * change; well inside both images. */
static bool has_room(const change_job *job, const aid_sky_source *change)
{
    const aid_sky_options *o = &job->sky->options;
    for (int e = 0; e < AID_SKY_EPOCHS; e++)
        if (!inside(o, change->x[e], change->y[e]))
            return false;
    for (int64_t i = 0; i < job->list->count; i++) {
        const aid_sky_source *other = &job->list->items[i];
        bool is_change = i >= job->first_change;
        for (int e = 0; e < AID_SKY_EPOCHS; e++) {
            double dx = fabs(other->x[e] - change->x[e]), dy = fabs(other->y[e] - change->y[e]);
            if (is_change && hypot(dx, dy) < separation_px)
                return false;
            if (other->saturated[e] && (hypot(dx, dy) < 35.0 || (dx < 5.0 && dy < 150.0)))
                return false;
        }
    }
    return true;
}

static void place_in_field(change_job *job, aid_sky_source *change)
{
    const aid_sky_options *o = &job->sky->options;
    double x = aid_random_uniform(&job->random) * (o->width - 1);
    double y = aid_random_uniform(&job->random) * (o->height - 1);
    change->host = 0;
    change->ra_deg[0] = change->dec_deg[0] = 0.0;
    (void)aid_wcs_pixel_to_radec(job->sky->wcs[AID_SKY_SCIENCE], x, y, &change->ra_deg[0],
                                 &change->dec_deg[0]);
}

/* Bright galaxies have more stars to explode: the chance of one falls with the root of its flux
 * from magnitude 17 on. NULL when there are no galaxies. */
static const aid_sky_source *choose_host(change_job *job)
{
    int64_t galaxies = job->galaxy_end - job->first_galaxy;
    const aid_sky_source *galaxy = NULL;
    for (int draw = 0; draw < 100 && galaxies > 0; draw++) {
        int64_t chosen = (int64_t)(aid_random_uniform(&job->random) * (double)galaxies);
        galaxy = &job->list->items[job->first_galaxy + chosen];
        if (aid_random_uniform(&job->random) < pow(10.0, -0.2 * (galaxy->mag[0] - 17.0)))
            break;
    }
    return galaxy;
}

/* At a distance from the galaxy's centre that follows its light, stretched along its long axis. */
static bool place_in_galaxy(change_job *job, aid_sky_source *change)
{
    const aid_sky_source *galaxy = choose_host(job);
    if (!galaxy)
        return false;
    double scale = galaxy->half_light_arcsec / 3600.0 / 1.678; /* of an exponential disc */
    double r = -scale * (log(1.0 - aid_random_uniform(&job->random)) +
                         log(1.0 - aid_random_uniform(&job->random)));
    double angle = 2.0 * pi * aid_random_uniform(&job->random);
    double along = r * cos(angle), across = galaxy->axis_ratio * r * sin(angle);
    double turn = galaxy->position_angle_deg * pi / 180.0;
    change->host = galaxy->id;
    aid_sim_offset_sky(
        galaxy->ra_deg[0], galaxy->dec_deg[0], along * sin(turn) + across * cos(turn),
        along * cos(turn) - across * sin(turn), &change->ra_deg[0], &change->dec_deg[0]);
    return true;
}

/* The displacement of a mover between the epochs: from a fraction of a pixel, as of a star of high
 * proper motion, to that of an asteroid. */
static void move(change_job *job, aid_sky_source *change)
{
    change->ra_deg[1] = change->ra_deg[0];
    change->dec_deg[1] = change->dec_deg[0];
    if (change->kind != AID_SKY_MOVER)
        return;
    double distance_px = log_uniform(&job->random, 0.5, 60.0);
    double angle = 2.0 * pi * aid_random_uniform(&job->random);
    double distance_deg = distance_px * job->sky->options.pixel_scale_arcsec / 3600.0;
    aid_sim_offset_sky(change->ra_deg[0], change->dec_deg[0], distance_deg * cos(angle),
                       distance_deg * sin(angle), &change->ra_deg[1], &change->dec_deg[1]);
}

/* Magnitudes by the wanted S/N of the difference: science ADU are snr / snr_per_adu. */
static void brighten(change_job *job, aid_sky_source *change)
{
    const aid_sky_options *o = &job->sky->options;
    double snr = log_uniform(&job->random, o->snr_min, o->snr_max);
    double step = snr / job->sky->snr_per_adu, science = NAN, reference = NAN;
    double sign = aid_random_uniform(&job->random) < 0.5 ? -1.0 : 1.0;
    double base = step * log_uniform(&job->random, 0.5, 8.0);
    switch (change->kind) {
    case AID_SKY_TRANSIENT:
        science = step;
        sign = 1.0;
        break;
    case AID_SKY_FADER:
        reference = step;
        sign = -1.0;
        break;
    case AID_SKY_VARIABLE: /* never fainter than a fifth of the other epoch */
        science = sign > 0.0 ? base + step : base;
        reference = sign > 0.0 ? base : base + step;
        break;
    default: /* a mover gains the whole at one place and loses it at another */
        science = reference = step;
        sign = 1.0;
        break;
    }
    change->difference_snr = sign * snr;
    change->mag[0] = isnan(science) ? NAN : aid_sim_mag_of_flux(o, AID_SKY_SCIENCE, science);
    change->mag[1] = isnan(reference) ? NAN : aid_sim_mag_of_flux(o, AID_SKY_SCIENCE, reference);
}

static aid_status add_change(change_job *job, aid_sky_kind kind, bool on_galaxy, aid_error *err)
{
    aid_sky_source change = {.kind = kind};
    for (int trial = 0; trial < MAX_TRIALS; trial++) {
        /* where no galaxy has room, the open field has to do */
        if (!on_galaxy || trial >= MAX_TRIALS / 2 || !place_in_galaxy(job, &change))
            place_in_field(job, &change);
        move(job, &change);
        change.mag[0] = change.mag[1] = NAN;
        aid_sim_project(job->sky, &change);
        if (!has_room(job, &change))
            continue;
        brighten(job, &change);
        aid_sim_project(job->sky, &change);
        return aid_sim_list_add(job->list, &change, err);
    }
    AID_FAIL(err, AID_ERR_INVALID,
             "simulation: no room for %d transients, %d faders, %d variables and %d movers that "
             "keep %.0f px apart on %d x %d px",
             job->sky->options.transients, job->sky->options.faders, job->sky->options.variables,
             job->sky->options.movers, separation_px, job->sky->options.width,
             job->sky->options.height);
}

aid_status aid_sim_add_changes(const aid_sky *sky, aid_sim_list *list, aid_error *err)
{
    const aid_sky_options *o = &sky->options;
    const struct {
        aid_sky_kind kind;
        int count;
        bool in_galaxies;
    } wanted[] = {{AID_SKY_TRANSIENT, o->transients, true},
                  {AID_SKY_FADER, o->faders, true},
                  {AID_SKY_VARIABLE, o->variables, false},
                  {AID_SKY_MOVER, o->movers, false}};
    change_job job = {
        .sky = sky, .list = list, .random = aid_sim_random(sky, AID_SIM_STREAM_CHANGES, 0)};
    job.first_change = job.galaxy_end = list->count;
    while (job.first_galaxy < list->count && list->items[job.first_galaxy].kind != AID_SKY_GALAXY)
        job.first_galaxy++;
    for (size_t k = 0; k < AID_COUNT_OF(wanted); k++) {
        double owed = 0.0; /* galaxies get their share evenly, whatever the counts */
        for (int i = 0; i < wanted[k].count; i++) {
            owed += wanted[k].in_galaxies ? o->on_galaxy_fraction : 0.0;
            bool on_galaxy = owed >= 1.0 - 1e-9;
            owed -= on_galaxy ? 1.0 : 0.0;
            AID_TRY(add_change(&job, wanted[k].kind, on_galaxy, err));
        }
    }
    return AID_OK;
}
