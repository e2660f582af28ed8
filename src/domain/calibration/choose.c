#include "domain/calibration/choose.h"

#include "core/base/macros.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* ---------------------------------------------------------------------------------- what rules out
 * Each returns whether the master fits, and says in `reason` why it does not. */

static bool same_text(const char *a, const char *b)
{
    return !*a || !*b || strcasecmp(a, b) == 0;
}

static bool fits_type(const aid_frame_facts *master, aid_frame_type type, aid_choice *choice)
{
    bool fits = master->type == type;
    if (!fits)
        snprintf(choice->reason, sizeof choice->reason, "is a %s",
                 aid_frame_type_name(master->type));
    return fits;
}

static bool fits_instrument(const aid_frame_facts *frame, const aid_frame_facts *master,
                            aid_choice *choice)
{
    bool fits = same_text(frame->instrument, master->instrument);
    if (!fits)
        snprintf(choice->reason, sizeof choice->reason, "instrument %s, the frame has %s",
                 master->instrument, frame->instrument);
    return fits;
}

static bool fits_shape(const aid_frame_facts *frame, const aid_frame_facts *master,
                       aid_choice *choice)
{
    const aid_section *trim = &frame->trim;
    bool trimmed = trim->x1 > trim->x0 && trim->y1 > trim->y0;
    int32_t width = trimmed ? trim->x1 - trim->x0 : frame->width;
    int32_t height = trimmed ? trim->y1 - trim->y0 : frame->height;
    if (frame->binning_x != master->binning_x || frame->binning_y != master->binning_y) {
        snprintf(choice->reason, sizeof choice->reason, "binned %d x %d, the frame %d x %d",
                 master->binning_x, master->binning_y, frame->binning_x, frame->binning_y);
        return false;
    }
    bool fits = (master->width == width && master->height == height) ||
                (master->width == frame->width && master->height == frame->height);
    if (!fits)
        snprintf(choice->reason, sizeof choice->reason, "%d x %d pixels, the frame has %d x %d",
                 master->width, master->height, width, height);
    return fits;
}

static bool fits_filter(const aid_frame_facts *frame, const aid_frame_facts *master,
                        aid_choice *choice)
{
    if (master->type != AID_TYPE_FLAT || same_text(frame->filter, master->filter))
        return true;
    snprintf(choice->reason, sizeof choice->reason, "filter %s, the frame has %s", master->filter,
             frame->filter);
    return false;
}

static bool fits_temperature(const aid_frame_facts *frame, const aid_frame_facts *master,
                             double tolerance_c, aid_choice *choice)
{
    if (master->type != AID_TYPE_DARK)
        return true;
    double off = fabs(frame->temperature_c - master->temperature_c);
    choice->temperature_off = isfinite(off) ? off : 0.0;
    if (choice->temperature_off <= tolerance_c)
        return true;
    snprintf(choice->reason, sizeof choice->reason, "at %.1f C, the frame at %.1f C",
             master->temperature_c, frame->temperature_c);
    return false;
}

static bool is_valid(const aid_frame_facts *frame, const aid_frame_facts *master,
                     aid_choice *choice)
{
    double until = master->valid_until_mjd_utc;
    if (!isfinite(until))
        return true;
    if (!frame->epoch.known) {
        snprintf(choice->reason, sizeof choice->reason,
                 "valid until MJD %.2f, and the frame has no time", until);
        return false;
    }
    if (frame->epoch.mid_mjd_utc <= until)
        return true;
    snprintf(choice->reason, sizeof choice->reason, "expired at MJD %.2f, the frame is of %.2f",
             until, frame->epoch.mid_mjd_utc);
    return false;
}

/* ------------------------------------------------------------------------------- what is better */

/* Exposures within 1 % are the same. */
static double exposure_ratio(const aid_frame_facts *frame, const aid_frame_facts *master)
{
    double ratio = frame->exposure_s / master->exposure_s;
    if (master->type != AID_TYPE_DARK || !(ratio > 0.0) || !isfinite(ratio))
        return 1.0;
    ratio = ratio < 1.0 ? 1.0 / ratio : ratio;
    return ratio < 1.01 ? 1.0 : ratio;
}

static double days_between(const aid_frame_facts *frame, const aid_frame_facts *master)
{
    if (!frame->epoch.known || !master->epoch.known)
        return INFINITY;
    return fabs(frame->epoch.mid_mjd_utc - master->epoch.mid_mjd_utc);
}

/* Temperatures within half a degree are the same. */
static bool is_better(const aid_choice *a, const aid_choice *b)
{
    if (a->exposure_ratio != b->exposure_ratio)
        return a->exposure_ratio < b->exposure_ratio;
    double warmth_a = floor(2.0 * a->temperature_off), warmth_b = floor(2.0 * b->temperature_off);
    if (warmth_a != warmth_b)
        return warmth_a < warmth_b;
    return a->days_off < b->days_off;
}

static void describe(aid_choice *choice, aid_frame_type type)
{
    char time[48] = "time unknown", exposure[48] = "";
    if (isfinite(choice->days_off))
        snprintf(time, sizeof time, "%.2f d apart", choice->days_off);
    if (type == AID_TYPE_DARK)
        snprintf(exposure, sizeof exposure, ", exposure ratio %.2f, %.1f C off",
                 choice->exposure_ratio, choice->temperature_off);
    snprintf(choice->reason, sizeof choice->reason, "%s: %s%s",
             choice->chosen ? "chosen" : "another fits better", time, exposure);
}

int aid_master_choose(const aid_frame_facts *frame, aid_frame_type type,
                      const aid_frame_facts *const *masters, int count,
                      const aid_choice_options *options, aid_choice *choices)
{
    int best = -1;
    for (int i = 0; i < count; i++) {
        const aid_frame_facts *master = masters[i];
        aid_choice *choice = &choices[i];
        *choice = (aid_choice){.exposure_ratio = exposure_ratio(frame, master),
                               .days_off = days_between(frame, master)};
        choice->suitable =
            fits_type(master, type, choice) && fits_instrument(frame, master, choice) &&
            fits_shape(frame, master, choice) && fits_filter(frame, master, choice) &&
            fits_temperature(frame, master, options->temperature_tolerance_c, choice) &&
            is_valid(frame, master, choice);
        if (choice->suitable && (best < 0 || is_better(choice, &choices[best])))
            best = i;
    }
    if (best >= 0)
        choices[best].chosen = true;
    for (int i = 0; i < count; i++)
        if (choices[i].suitable)
            describe(&choices[i], type);
    return best;
}
