/* Images of an epoch. */
#include "core/base/memory.h"
#include "domain/simulation/internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

void aid_simulated_frame_done(aid_simulated_frame *frame)
{
    aid_image_done(&frame->image);
    aid_mask_done(&frame->mask);
    aid_header_done(&frame->header);
}

/* ----------------------------------------------------------------------------------- expectation
 */

typedef struct stamp_list {
    aid_sim_stamp *items;
    int64_t count, capacity;
} stamp_list;

static int64_t stamps_needed(const aid_sky *sky)
{
    int64_t needed = 0;
    for (int64_t i = 0; i < sky->count; i++)
        needed += sky->sources[i].kind == AID_SKY_GALAXY
                      ? aid_sim_galaxy_point_count(sky, &sky->sources[i])
                      : 1;
    return needed;
}

static void add_galaxy_stamps(const aid_sky *sky, int epoch, const aid_sky_source *galaxy,
                              aid_sim_galaxy_point *points, stamp_list *list)
{
    int count = aid_sim_galaxy_point_count(sky, galaxy);
    aid_sim_galaxy_points(sky, galaxy, points, count);
    for (int i = 0; i < count; i++) {
        double ra, dec, x, y;
        aid_sim_offset_sky(galaxy->ra_deg[epoch], galaxy->dec_deg[epoch], points[i].east_deg,
                           points[i].north_deg, &ra, &dec);
        if (aid_wcs_radec_to_pixel(sky->wcs[epoch], ra, dec, &x, &y))
            list->items[list->count++] = aid_sim_stamp_at(
                &sky->options, epoch, x, y, galaxy->flux_adu[epoch] * points[i].weight, false);
    }
}

static aid_status make_stamps(const aid_sky *sky, int epoch, stamp_list *ret_list, aid_error *err)
{
    AID_CLEANUP(aid_free_pointer)
    aid_sim_galaxy_point *points = NULL;
    stamp_list list = {.capacity = stamps_needed(sky)};
    AID_TRY(aid_new_array(AID_SIM_GALAXY_POINTS, sizeof *points, "galaxy", &points, err));
    AID_TRY(aid_new_buffer((size_t)list.capacity, sizeof *list.items, "simulated sources",
                           &list.items, err));
    for (int64_t i = 0; i < sky->count; i++) {
        const aid_sky_source *source = &sky->sources[i];
        if (!(source->flux_adu[epoch] > 0.0))
            continue;
        if (source->kind == AID_SKY_GALAXY)
            add_galaxy_stamps(sky, epoch, source, points, &list);
        else
            list.items[list.count++] =
                aid_sim_stamp_at(&sky->options, epoch, source->x[epoch] - 1.0,
                                 source->y[epoch] - 1.0, source->flux_adu[epoch], true);
    }
    *ret_list = list;
    return AID_OK;
}

typedef struct paint_job {
    const aid_sky *sky;
    int epoch;
    const stamp_list *stamps;
    aid_image *image;
} paint_job;

/* Every source in catalogue order, whatever the band: sums come out the same at any thread count.
 */
static aid_status paint_band(void *context, int64_t task, int worker, aid_error *err)
{
    (void)worker;
    (void)err;
    const paint_job *job = context;
    const aid_sky_options *o = &job->sky->options;
    int64_t y0, y1;
    aid_band_range(o->height, AID_SIM_BAND, task, &y0, &y1);
    for (int y = (int)y0; y < (int)y1; y++) {
        float *row = aid_image_row(job->image, y);
        for (int x = 0; x < o->width; x++)
            row[x] = (float)aid_sim_sky_level(o, job->epoch, x, y);
    }
    for (int64_t i = 0; i < job->stamps->count; i++) {
        const aid_sim_stamp *stamp = &job->stamps->items[i];
        double reach = stamp->radius_px + 1.0;
        if (stamp->y + reach >= (double)y0 && stamp->y - reach < (double)y1)
            aid_sim_stamp_add(stamp, job->image, (int)y0, (int)y1);
    }
    return AID_OK;
}

aid_status aid_sim_paint_sky(const aid_sky *sky, int epoch, aid_pool *pool, aid_image *image,
                             aid_error *err)
{
    stamp_list stamps = {0};
    AID_TRY(make_stamps(sky, epoch, &stamps, err));
    aid_image light = *image; /* without the overscan of a raw frame */
    light.width = sky->options.width;
    paint_job job = {.sky = sky, .epoch = epoch, .stamps = &stamps, .image = &light};
    aid_status status = aid_pool_run(pool, aid_band_count(sky->options.height, AID_SIM_BAND),
                                     paint_band, &job, err);
    free(stamps.items);
    return status;
}

/* ---------------------------------------------------------------------------------------- noise */

typedef struct noise_job {
    const aid_sky *sky;
    int epoch;
    aid_simulated_frame *frame;
    bool photons; /* false: read noise */
} noise_job;

static aid_status noise_band(void *context, int64_t task, int worker, aid_error *err)
{
    (void)worker;
    (void)err;
    const noise_job *job = context;
    const aid_sky_options *o = &job->sky->options;
    double electrons = o->gain * o->epoch[job->epoch].frames;
    double read_noise = o->read_noise_e / (o->gain * sqrt(o->epoch[job->epoch].frames));
    aid_sim_stream purpose = job->photons ? AID_SIM_STREAM_PHOTONS : AID_SIM_STREAM_READ_NOISE;
    aid_random random = aid_sim_random(job->sky, purpose, job->epoch * 4096 + task);
    int64_t y0, y1;
    aid_band_range(o->height, AID_SIM_BAND, task, &y0, &y1);
    for (int y = (int)y0; y < (int)y1; y++) {
        float *row = aid_image_row(&job->frame->image, y);
        if (job->photons)
            aid_sim_draw_photons(row, o->width, electrons, &random);
        else
            aid_sim_add_read_noise(row, o->width, read_noise, &random);
    }
    return AID_OK;
}

static aid_status fill_pixels(const aid_sky *sky, int epoch, aid_pool *pool,
                              aid_simulated_frame *frame, aid_error *err)
{
    const aid_sky_options *o = &sky->options;
    int64_t bands = aid_band_count(o->height, AID_SIM_BAND);
    noise_job job = {.sky = sky, .epoch = epoch, .frame = frame, .photons = true};
    AID_TRY(aid_sim_paint_sky(sky, epoch, pool, &frame->image, err));
    AID_TRY(aid_pool_run(pool, bands, noise_band, &job, err));
    aid_sim_add_cosmic_rays(sky, epoch, o->epoch[epoch].cosmic_rays,
                            o->gain * o->epoch[epoch].frames, frame);
    AID_TRY(aid_sim_bleed(sky, pool, frame, err));
    job.photons = false;
    AID_TRY(aid_pool_run(pool, bands, noise_band, &job, err));
    aid_sim_add_defects(sky, frame);
    return AID_OK;
}

/* --------------------------------------------------------------------------------------- header */

static aid_status put_header(const aid_sky *sky, int epoch, aid_header *header, aid_error *err)
{
    const aid_sky_options *o = &sky->options;
    const aid_sky_epoch *e = &o->epoch[epoch];
    aid_sim_card card = {.header = header, .err = err};
    aid_sim_put_text(&card, "OBJECT", epoch == AID_SKY_SCIENCE ? "science" : "reference", "");
    aid_sim_put_text(&card, "TELESCOP", "AstrID simulation", "");
    aid_sim_put_text(&card, "INSTRUME", "SIMCAM", "");
    aid_sim_put_text(&card, "FILTER", "r", "");
    aid_sim_put_text(&card, "DATE-OBS", e->date_obs, "UTC, start of the exposure");
    aid_sim_put_number(&card, "EXPTIME", e->exposure_s, "[s] of each frame");
    aid_sim_put_number(&card, "NCOMBINE", e->frames, "frames averaged");
    aid_sim_put_text(&card, "BUNIT", "adu", "");
    aid_sim_put_number(&card, "GAIN", o->gain * e->frames, "[e-/adu] of the mean");
    aid_sim_put_number(&card, "RDNOISE", o->read_noise_e * sqrt(e->frames), "[e-] of the mean");
    aid_sim_put_number(&card, "SATURATE", o->saturation_adu, "[adu]");
    aid_sim_put_number(&card, "MAGZERO", e->zero_point, "[mag] of 1 adu, AB");
    AID_TRY(card.status);
    char seed[24]; /* a double would round it */
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)o->seed);
    AID_TRY(
        aid_header_append(header, "SIMSEED", AID_CARD_NUMBER, seed, "seed of the simulation", err));
    for (int i = 0; i < sky->wcs_cards[epoch].count; i++) {
        const aid_card *from = &sky->wcs_cards[epoch].cards[i];
        AID_TRY(
            aid_header_append(header, from->keyword, from->kind, from->value, from->comment, err));
    }
    return AID_OK;
}

aid_status aid_sky_render(const aid_sky *sky, int epoch, aid_pool *pool,
                          aid_simulated_frame *ret_frame, aid_error *err)
{
    aid_simulated_frame frame = {0};
    int width = sky->options.width, height = sky->options.height;
    aid_status status = aid_image_init(width, height, &frame.image, err);
    if (status == AID_OK)
        status = aid_mask_init(width, height, &frame.mask, err);
    if (status == AID_OK)
        status = fill_pixels(sky, epoch, pool, &frame, err);
    if (status == AID_OK)
        status = put_header(sky, epoch, &frame.header, err);
    if (status != AID_OK) {
        aid_simulated_frame_done(&frame);
        return status;
    }
    *ret_frame = frame;
    return AID_OK;
}
