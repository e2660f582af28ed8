/* The camera: photons to electrons, its own maps, its defects, and what strikes it. */
#include "domain/simulation/internal.h"

#include <math.h>

static const double pi = 3.141592653589793;

void aid_sim_draw_photons(float *restrict row, int width, double electrons_per_adu,
                          aid_random *random)
{
    double adu = 1.0 / electrons_per_adu;
    for (int x = 0; x < width; x++)
        row[x] = (float)(adu * aid_random_poisson(random, (double)row[x] * electrons_per_adu));
}

void aid_sim_add_read_noise(float *restrict row, int width, double sigma_adu, aid_random *random)
{
    for (int x = 0; x < width; x++)
        row[x] += (float)(sigma_adu * aid_random_normal(random));
}

/* ------------------------------------------------------------------------------- cosmic rays ---
 */

/* Charge along a straight line, most of it within a few pixels, some grazing hits far longer. */
static void add_one_ray(aid_simulated_frame *frame, int width, int height, double gain,
                        aid_random *random)
{
    double length = fmin(1.0 - 4.0 * log(1.0 - aid_random_uniform(random)), 60.0);
    double angle = pi * aid_random_uniform(random);
    double x0 = aid_random_uniform(random) * (width - 1),
           y0 = aid_random_uniform(random) * (height - 1);
    double electrons_per_px = 1100.0 * exp(0.8 * aid_random_normal(random));
    int steps = (int)ceil(8.0 * length);
    float charge = (float)(electrons_per_px * length / (gain * steps));
    for (int i = 0; i < steps; i++) {
        double along = length * (i + 0.5) / steps;
        int x = (int)floor(x0 + along * cos(angle) + 0.5),
            y = (int)floor(y0 + along * sin(angle) + 0.5);
        if (x < 0 || y < 0 || x >= width || y >= height)
            continue;
        aid_image_row(&frame->image, y)[x] += charge;
        aid_mask_row(&frame->mask, y)[x] |= AID_MASK_COSMIC_RAY;
    }
}

void aid_sim_add_cosmic_rays(const aid_sky *sky, int64_t stream, double per_megapixel, double gain,
                             aid_simulated_frame *frame)
{
    int width = sky->options.width, height = sky->options.height;
    aid_random random = aid_sim_random(sky, AID_SIM_STREAM_COSMIC_RAYS, stream);
    double expected = per_megapixel * width * height / 1048576.0;
    int64_t count = (int64_t)aid_random_poisson(&random, expected);
    for (int64_t i = 0; i < count; i++)
        add_one_ray(frame, width, height, gain, &random);
}

/* ------------------------------------------------------------------------------------- bleeding */

/* Fills pixels from `y` on in direction `step` up to the well; what is left at the edge is lost. */
static void pour(aid_image *image, int x, int y, int step, double charge, float well)
{
    for (; y >= 0 && y < image->height && charge > 0.0; y += step) {
        float *pixel = aid_image_row(image, y) + x;
        double room = (double)well - (double)*pixel;
        if (room <= 0.0)
            continue;
        double taken = fmin(room, charge);
        *pixel = (float)((double)*pixel + taken);
        charge -= taken;
    }
}

static void bleed_column(aid_image *image, int x, float well)
{
    for (int y = 0; y < image->height; y++) {
        double excess = 0.0;
        int first = y;
        for (; y < image->height && aid_image_row(image, y)[x] > well; y++) {
            excess += (double)aid_image_row(image, y)[x] - (double)well;
            aid_image_row(image, y)[x] = well;
        }
        if (excess > 0.0) {
            pour(image, x, y, 1, 0.5 * excess, well);
            pour(image, x, first - 1, -1, 0.5 * excess, well);
        }
    }
}

typedef struct bleed_job {
    const aid_sky *sky;
    aid_simulated_frame *frame;
} bleed_job;

static aid_status bleed_columns(void *context, int64_t task, int worker, aid_error *err)
{
    (void)worker;
    (void)err;
    const bleed_job *job = context;
    float saturation = (float)job->sky->options.saturation_adu;
    int64_t begin, end;
    aid_band_range(job->sky->options.width, AID_SIM_BAND, task, &begin, &end);
    for (int x = (int)begin; x < (int)end; x++) {
        bleed_column(&job->frame->image, x, 1.02f * saturation);
        for (int y = 0; y < job->frame->image.height; y++)
            if (aid_image_row(&job->frame->image, y)[x] >= saturation)
                aid_mask_row(&job->frame->mask, y)[x] |= AID_MASK_SATURATED;
    }
    return AID_OK;
}

aid_status aid_sim_bleed(const aid_sky *sky, aid_pool *pool, aid_simulated_frame *frame,
                         aid_error *err)
{
    bleed_job job = {.sky = sky, .frame = frame};
    return aid_pool_run(pool, aid_band_count(sky->options.width, AID_SIM_BAND), bleed_columns, &job,
                        err);
}

/* ------------------------------------------------------------------------------------- defects */

static void set_bad(aid_simulated_frame *frame, int x, int y, double value)
{
    aid_image_row(&frame->image, y)[x] = (float)value;
    aid_mask_row(&frame->mask, y)[x] |= AID_MASK_BAD;
}

void aid_sim_add_defects(const aid_sky *sky, aid_simulated_frame *frame)
{
    const aid_sky_options *o = &sky->options;
    aid_random random = aid_sim_random(sky, AID_SIM_STREAM_BAD_PIXELS, 0);
    for (int i = 0; i < o->bad_columns; i++) { /* every other one dead, starting somewhere */
        int x = (int)(aid_random_uniform(&random) * o->width);
        int from = i % 3 == 0 ? 0 : (int)(aid_random_uniform(&random) * o->height);
        for (int y = from; y < o->height; y++)
            set_bad(frame, x, y, i % 2 == 0 ? 0.0 : 0.9 * o->saturation_adu);
    }
    int64_t pixels = (int64_t)(o->bad_pixels * o->width * o->height / 1048576.0 + 0.5);
    for (int64_t i = 0; i < pixels; i++) {
        int x = (int)(aid_random_uniform(&random) * o->width);
        int y = (int)(aid_random_uniform(&random) * o->height);
        double hot = aid_random_uniform(&random) * o->saturation_adu;
        set_bad(frame, x, y, i % 2 == 0 ? 0.0 : hot);
    }
}

/* ---------------------------------------------------------------------------- the camera's maps */

enum { DUST_RINGS = 24 };
typedef struct dust_ring {
    double x, y, radius, depth;
} dust_ring;

static void lay_dust(const aid_sky *sky, dust_ring rings[DUST_RINGS])
{
    aid_random random = aid_sim_random(sky, AID_SIM_STREAM_DUST, 0);
    for (int i = 0; i < DUST_RINGS; i++) {
        rings[i].x = aid_random_uniform(&random) * sky->options.width;
        rings[i].y = aid_random_uniform(&random) * sky->options.height;
        rings[i].radius = 12.0 + 30.0 * aid_random_uniform(&random);
        rings[i].depth = 0.01 + 0.02 * aid_random_uniform(&random);
    }
}

/* Shadows of grains out of focus. */
static double dust_at(const dust_ring *rings, double x, double y)
{
    double product = 1.0;
    for (int i = 0; i < DUST_RINGS; i++) {
        double dx = x - rings[i].x, dy = y - rings[i].y, reach = rings[i].radius + 25.0;
        if (fabs(dx) > reach || fabs(dy) > reach)
            continue;
        double off = (hypot(dx, dy) - rings[i].radius) / 5.0;
        product *= 1.0 - rings[i].depth * exp(-off * off);
    }
    return product;
}

/* Vignetting of 12 % at the edge, dust, and pixels that differ by 0.8 %; the mean is near 1. */
void aid_sim_flat_row(const aid_sky *sky, int y, float *row)
{
    const aid_sky_options *o = &sky->options;
    dust_ring rings[DUST_RINGS];
    lay_dust(sky, rings);
    aid_random random = aid_sim_random(sky, AID_SIM_STREAM_PIXEL_RESPONSE, y);
    double v = (y - 0.5 * (o->height - 1)) / (0.5 * o->height);
    for (int x = 0; x < o->width; x++) {
        double u = (x - 0.5 * (o->width - 1)) / (0.5 * o->width);
        double vignetting = 1.08 - 0.12 * (u * u + v * v);
        double response = 1.0 + 0.008 * aid_random_normal(&random);
        row[x] = (float)(vignetting * response * dust_at(rings, x, y));
    }
}

/* Electrons a second: a log-normal sea, and hot pixels, one in a thousand. */
void aid_sim_dark_row(const aid_sky *sky, int y, float *row)
{
    const aid_sky_options *o = &sky->options;
    aid_random random = aid_sim_random(sky, AID_SIM_STREAM_DARK, y);
    for (int x = 0; x < o->width; x++) {
        double rate = o->dark_e_per_s * exp(0.3 * aid_random_normal(&random));
        if (aid_random_uniform(&random) < 1e-3)
            rate -= 100.0 * o->dark_e_per_s * log(1.0 - aid_random_uniform(&random));
        row[x] = (float)rate;
    }
}

/* ADU above the level of the overscan: columns that differ, and a slow wave across them. */
void aid_sim_bias_row(const aid_sky *sky, int y, float *row)
{
    const aid_sky_options *o = &sky->options;
    aid_random random = aid_sim_random(sky, AID_SIM_STREAM_COLUMNS, 0);
    (void)y;
    for (int x = 0; x < o->width; x++)
        row[x] = (float)(3.0 * sin(x / 37.0) + 1.2 * aid_random_normal(&random));
}
