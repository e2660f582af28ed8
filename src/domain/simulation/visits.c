/* One epoch of a sky observed once more: the frames of a night. */
#include "core/base/memory.h"
#include "domain/simulation/internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double pi = 3.141592653589793;

/* Sources reach 40 px beyond an image, so that frames this far off have stars up to their edges. */
static const double largest_dither_px = 25.0;
static const double readout_s = 35.0;

/* "2024-03-14T05:26:53.5", so many seconds later (Fliegel & Van Flandern 1968 for the days). */
static bool later(const char *date_obs, double seconds, char *ret_date, size_t size)
{
    int year, month, day, hour, minute;
    double second;
    if (sscanf(date_obs, "%d-%d-%dT%d:%d:%lf", &year, &month, &day, &hour, &minute, &second) != 6)
        return false;
    long shift = (month - 14) / 12;
    long days = day - 32075 + 1461 * (year + 4800 + shift) / 4 +
                367 * (month - 2 - shift * 12) / 12 - 3 * ((year + 4900 + shift) / 100) / 4;
    long milliseconds = lround(1000.0 * (3600.0 * hour + 60.0 * minute + second + seconds));
    days += milliseconds / 86400000;
    milliseconds %= 86400000;
    long l = days + 68569, n = 4 * l / 146097;
    l -= (146097 * n + 3) / 4;
    long i = 4000 * (l + 1) / 1461001;
    l += 31 - 1461 * i / 4;
    long j = 80 * l / 2447;
    snprintf(ret_date, size, "%04ld-%02ld-%02ldT%02ld:%02ld:%02ld.%03ld",
             100 * (n - 49) + i + j / 11, j + 2 - 12 * (j / 11), l - 2447 * j / 80,
             milliseconds / 3600000, milliseconds / 60000 % 60, milliseconds / 1000 % 60,
             milliseconds % 1000);
    return true;
}

static aid_sky_epoch epoch_of_visit(const aid_sky *sky, int epoch, int visit, char ret_date[40])
{
    aid_sky_epoch e = sky->options.epoch[epoch];
    aid_random random = aid_sim_random(sky, AID_SIM_STREAM_VISITS, epoch * 4096 + visit);
    double distance = largest_dither_px * sqrt(aid_random_uniform(&random));
    double angle = 2.0 * pi * aid_random_uniform(&random);
    e.offset_x_px += distance * cos(angle);
    e.offset_y_px += distance * sin(angle);
    e.seeing_px = fmin(e.seeing_px * (1.0 + 0.15 * aid_random_uniform(&random)), 20.0);
    e.sky_adu *= 1.0 + 0.06 * aid_random_uniform(&random);
    e.frames = 1;
    if (!later(e.date_obs, visit * (e.exposure_s + readout_s), ret_date, 40))
        return e;
    e.date_obs = ret_date;
    return e;
}

static aid_status fill_visit(const aid_sky *sky, aid_sky *visit, aid_error *err)
{
    for (int e = 0; e < AID_SKY_EPOCHS; e++)
        AID_TRY(aid_sim_wcs_new(&visit->options, e, &visit->wcs_cards[e], &visit->wcs[e], err));
    visit->snr_per_adu = sky->snr_per_adu;
    AID_TRY(aid_new_buffer((size_t)sky->count, sizeof *visit->sources, "simulated sources",
                           &visit->sources, err));
    visit->count = sky->count;
    for (int64_t i = 0; i < sky->count; i++) {
        aid_sky_source *source = &visit->sources[i];
        *source = sky->sources[i];
        aid_sim_project(visit, source);
    }
    return AID_OK;
}

aid_status aid_sky_visit(const aid_sky *sky, int epoch, int index, aid_sky **ret_sky,
                         aid_error *err)
{
    if (index < 0 || index >= 1024)
        AID_FAIL(err, AID_ERR_INVALID, "simulation: visit %d is not between 0 and 1023", index);
    aid_sky *visit;
    AID_TRY(aid_new_array(1, sizeof *visit, "simulated sky", &visit, err));
    visit->options = sky->options;
    memcpy(visit->date_obs, sky->date_obs, sizeof visit->date_obs);
    for (int e = 0; e < AID_SKY_EPOCHS; e++)
        visit->options.epoch[e].date_obs = visit->date_obs[e];
    if (index > 0) {
        visit->options.epoch[epoch] = epoch_of_visit(sky, epoch, index, visit->date_obs[epoch]);
        visit->options.epoch[epoch].date_obs = visit->date_obs[epoch];
    }
    aid_status status = fill_visit(sky, visit, err);
    if (status != AID_OK) {
        aid_sky_free(visit);
        return status;
    }
    *ret_sky = visit;
    return AID_OK;
}
