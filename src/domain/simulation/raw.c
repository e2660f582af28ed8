/* Raw frames: the camera's maps, its overscan, whole numbers. */
#include "domain/simulation/internal.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>

typedef struct raw_job {
    const aid_sky *sky;
    aid_raw_kind kind;
    int epoch;
    int64_t frame_number; /* tells the frames' random streams apart */
    double exposure_s, flat_level_adu, level_adu;
    aid_simulated_frame *frame;
} raw_job;

enum { FRAMES_OF_A_KIND = 1024, BANDS_OF_A_FRAME = 2048 };

static aid_random raw_random(const raw_job *job, aid_sim_stream purpose, int64_t band)
{
    /* 1 << 34 keeps clear of the streams of the calibrated images */
    int64_t counter = ((int64_t)1 << 34) + job->frame_number * BANDS_OF_A_FRAME + band;
    return aid_sim_random(job->sky, purpose, counter);
}

/* Light and dark current of a row in ADU, before any noise; `scratch` is one row. */
static void expected_row(const raw_job *job, int y, float *row, float *scratch)
{
    const aid_sky_options *o = &job->sky->options;
    bool light = job->kind == AID_RAW_FLAT || job->kind == AID_RAW_OBJECT;
    for (int x = 0; x < o->width && job->kind != AID_RAW_OBJECT; x++)
        row[x] = (float)job->flat_level_adu;
    if (light) {
        aid_sim_flat_row(job->sky, y, scratch);
        for (int x = 0; x < o->width; x++)
            row[x] *= scratch[x];
    }
    if (job->exposure_s > 0.0) {
        float adu = (float)(job->exposure_s / o->gain);
        aid_sim_dark_row(job->sky, y, scratch);
        for (int x = 0; x < o->width; x++)
            row[x] += adu * scratch[x];
    }
}

static aid_status expose_band(void *context, int64_t task, int worker, aid_error *err)
{
    (void)worker;
    const raw_job *job = context;
    const aid_sky_options *o = &job->sky->options;
    aid_image scratch = {0};
    AID_TRY(aid_image_init(o->width, 1, &scratch, err));
    aid_random random = raw_random(job, AID_SIM_STREAM_PHOTONS, task);
    int64_t y0, y1;
    aid_band_range(o->height, AID_SIM_BAND, task, &y0, &y1);
    for (int y = (int)y0; y < (int)y1; y++) {
        float *row = aid_image_row(&job->frame->image, y);
        expected_row(job, y, row, scratch.data);
        aid_sim_draw_photons(row, o->width, o->gain, &random);
    }
    aid_image_done(&scratch);
    return AID_OK;
}

/* Bias, read noise, and the converter: whole numbers from 0 to 65535. */
static aid_status read_band(void *context, int64_t task, int worker, aid_error *err)
{
    (void)worker;
    const raw_job *job = context;
    const aid_sky_options *o = &job->sky->options;
    aid_image bias = {0};
    AID_TRY(aid_image_init(o->width, 1, &bias, err));
    aid_random random = raw_random(job, AID_SIM_STREAM_READ_NOISE, task);
    int64_t y0, y1;
    aid_band_range(o->height, AID_SIM_BAND, task, &y0, &y1);
    aid_sim_bias_row(job->sky, (int)y0, bias.data); /* every row's the same */
    for (int y = (int)y0; y < (int)y1; y++) {
        float *row = aid_image_row(&job->frame->image, y);
        float level = (float)(job->level_adu + 3.0 * y / o->height);
        for (int x = 0; x < o->width; x++)
            row[x] += bias.data[x];
        aid_sim_add_read_noise(row, job->frame->image.width, o->read_noise_e / o->gain, &random);
        for (int x = 0; x < job->frame->image.width; x++)
            row[x] = AID_CLAMP(floorf(row[x] + level + 0.5f), 0.0f, 65535.0f);
    }
    aid_image_done(&bias);
    return AID_OK;
}

static aid_status put_raw_header(const raw_job *job, aid_header *header, aid_error *err)
{
    static const char *const types[] = {"BIAS", "DARK", "FLAT", "OBJECT"};
    const aid_sky_options *o = &job->sky->options;
    aid_sim_card card = {.header = header, .err = err};
    char trim[48], overscan[48];
    snprintf(trim, sizeof trim, "[1:%d,1:%d]", o->width, o->height);
    snprintf(overscan, sizeof overscan, "[%d:%d,1:%d]", o->width + 1, o->width + o->overscan_px,
             o->height);
    aid_sim_put_text(&card, "IMAGETYP", types[job->kind], "");
    aid_sim_put_text(&card, "TELESCOP", "AstrID simulation", "");
    aid_sim_put_text(&card, "INSTRUME", "SIMCAM", "");
    if (job->kind == AID_RAW_OBJECT)
        aid_sim_put_text(&card, "OBJECT", "field", "");
    if (job->kind == AID_RAW_FLAT || job->kind == AID_RAW_OBJECT)
        aid_sim_put_text(&card, "FILTER", "r", "");
    aid_sim_put_text(&card, "DATE-OBS", o->epoch[job->epoch].date_obs,
                     "UTC, start of the exposure");
    aid_sim_put_number(&card, "EXPTIME", job->exposure_s, "[s]");
    aid_sim_put_text(&card, "BUNIT", "adu", "");
    aid_sim_put_number(&card, "GAIN", o->gain, "[e-/adu]");
    aid_sim_put_number(&card, "RDNOISE", o->read_noise_e, "[e-]");
    aid_sim_put_number(&card, "SATURATE", o->saturation_adu + o->bias_adu, "[adu]");
    aid_sim_put_text(&card, "DATASEC", trim, "");
    aid_sim_put_text(&card, "TRIMSEC", trim, "");
    if (o->overscan_px > 0)
        aid_sim_put_text(&card, "BIASSEC", overscan, "");
    AID_TRY(card.status);
    if (job->kind != AID_RAW_OBJECT)
        return AID_OK;
    aid_sim_put_number(&card, "MAGZERO", o->epoch[job->epoch].zero_point, "[mag] of 1 adu, AB");
    AID_TRY(card.status);
    const aid_header *wcs = &job->sky->wcs_cards[job->epoch];
    for (int i = 0; i < wcs->count; i++)
        AID_TRY(aid_header_append(header, wcs->cards[i].keyword, wcs->cards[i].kind,
                                  wcs->cards[i].value, wcs->cards[i].comment, err));
    return AID_OK;
}

/* Levels and exposure that belong to a kind of frame; each frame's level drifts by 2 ADU. */
static void set_up(raw_job *job, int index)
{
    const aid_sky_options *o = &job->sky->options;
    job->frame_number =
        ((int64_t)job->kind * AID_SKY_EPOCHS + job->epoch) * FRAMES_OF_A_KIND + index;
    aid_random random = raw_random(job, AID_SIM_STREAM_RAW_LEVEL, 0);
    job->level_adu = o->bias_adu + 2.0 * aid_random_normal(&random);
    switch (job->kind) {
    case AID_RAW_BIAS:
        break;
    case AID_RAW_DARK:
        job->exposure_s = o->dark_exposure_s;
        break;
    case AID_RAW_FLAT: /* the lamp is steady to 1 % */
        job->exposure_s = 8.0;
        job->flat_level_adu = o->flat_adu * (1.0 + 0.01 * aid_random_normal(&random));
        break;
    case AID_RAW_OBJECT:
        job->exposure_s = o->epoch[job->epoch].exposure_s;
        break;
    }
}

static aid_status fill_raw(raw_job *job, aid_pool *pool, aid_error *err)
{
    const aid_sky_options *o = &job->sky->options;
    int64_t bands = aid_band_count(o->height, AID_SIM_BAND);
    /* hits come with time; the calibrated science image has them at the rate of its exposure */
    double rate = o->epoch[AID_SKY_SCIENCE].cosmic_rays / o->epoch[AID_SKY_SCIENCE].exposure_s;
    if (job->kind == AID_RAW_OBJECT)
        AID_TRY(aid_sim_paint_sky(job->sky, job->epoch, pool, &job->frame->image, err));
    AID_TRY(aid_pool_run(pool, bands, expose_band, job, err));
    aid_sim_add_cosmic_rays(job->sky, ((int64_t)1 << 34) + job->frame_number,
                            rate * job->exposure_s, o->gain, job->frame);
    AID_TRY(aid_sim_bleed(job->sky, pool, job->frame, err));
    aid_sim_add_defects(job->sky, job->frame);
    return aid_pool_run(pool, bands, read_band, job, err);
}

aid_status aid_sky_render_raw(const aid_sky *sky, aid_raw_kind kind, int epoch, int index,
                              aid_pool *pool, aid_simulated_frame *ret_frame, aid_error *err)
{
    if (index < 0 || index >= FRAMES_OF_A_KIND)
        AID_FAIL(err, AID_ERR_INVALID, "simulation: raw frame %d is not between 0 and %d", index,
                 FRAMES_OF_A_KIND - 1);
    aid_simulated_frame frame = {0};
    raw_job job = {.sky = sky, .kind = kind, .epoch = epoch, .frame = &frame};
    int width = sky->options.width + sky->options.overscan_px, height = sky->options.height;
    set_up(&job, index);
    aid_status status = aid_image_init(width, height, &frame.image, err);
    if (status == AID_OK)
        status = aid_mask_init(width, height, &frame.mask, err);
    if (status == AID_OK)
        status = fill_raw(&job, pool, err);
    if (status == AID_OK)
        status = put_raw_header(&job, &frame.header, err);
    if (status != AID_OK) {
        aid_simulated_frame_done(&frame);
        return status;
    }
    *ret_frame = frame;
    return AID_OK;
}

/* ---------------------------------------------------------------------------- the camera's maps */

typedef struct map_job {
    const aid_sky *sky;
    void (*fill)(const aid_sky *sky, int y, float *row);
    aid_image *image;
} map_job;

static aid_status map_band(void *context, int64_t task, int worker, aid_error *err)
{
    (void)worker;
    (void)err;
    const map_job *job = context;
    int64_t y0, y1;
    aid_band_range(job->image->height, AID_SIM_BAND, task, &y0, &y1);
    for (int y = (int)y0; y < (int)y1; y++)
        job->fill(job->sky, y, aid_image_row(job->image, y));
    return AID_OK;
}

aid_status aid_sky_render_detector(const aid_sky *sky, aid_raw_kind kind, aid_pool *pool,
                                   aid_image *ret_image, aid_error *err)
{
    assert(kind != AID_RAW_OBJECT);
    aid_image image = {0};
    AID_TRY(aid_image_init(sky->options.width, sky->options.height, &image, err));
    map_job job = {.sky = sky, .image = &image};
    job.fill = kind == AID_RAW_BIAS   ? aid_sim_bias_row
               : kind == AID_RAW_DARK ? aid_sim_dark_row
                                      : aid_sim_flat_row;
    aid_status status =
        aid_pool_run(pool, aid_band_count(image.height, AID_SIM_BAND), map_band, &job, err);
    if (status != AID_OK) {
        aid_image_done(&image);
        return status;
    }
    *ret_image = image;
    return AID_OK;
}
