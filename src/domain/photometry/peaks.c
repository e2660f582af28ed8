/* Peaks within a source, and the statistics of a set of sources. */
#include "core/base/memory.h"
#include "core/imaging/stats.h"
#include "domain/photometry/internal.h"

#include <stdlib.h>
#include <string.h>

enum { LARGEST_PX = 400 };

/* ---------------------------------------------------------------------------------------- peaks */

/* The pixels of a source from the brightest down; regions grow around peaks, and where two meet the
 * lower one has found its saddle. */
typedef struct climb {
    int side;
    double *values; /* [side][side]; NaN: not of the source */
    int *region;    /* [side][side]: parent of a pixel in the forest of regions; -1: not reached */
    int *order;
    int count;
    double threshold;
} climb;

static void climb_done(climb *work)
{
    free(work->values);
    free(work->region);
    free(work->order);
}

static int root_of(int *region, int p)
{
    while (region[p] != p) {
        region[p] = region[region[p]];
        p = region[p];
    }
    return p;
}

typedef struct height {
    double value;
    int pixel;
} height;

static int higher_first(const void *left, const void *right)
{
    const height *a = left, *b = right;
    if (a->value != b->value)
        return a->value < b->value ? 1 : -1;
    return a->pixel - b->pixel;
}

static aid_status sort_pixels(climb *work, aid_error *err)
{
    int pixels = work->side * work->side;
    AID_CLEANUP(aid_free_pointer)
    height *heights = NULL;
    AID_TRY(aid_new_array((size_t)pixels, sizeof *heights, "peaks", &heights, err));
    for (int p = 0; p < pixels; p++)
        if (work->values[p] >= 0.0) /* NaN fails */
            heights[work->count++] = (height){work->values[p], p};
    qsort(heights, (size_t)work->count, sizeof *heights, higher_first);
    for (int k = 0; k < work->count; k++)
        work->order[k] = heights[k].pixel;
    return AID_OK;
}

static double vertex(double before, double at, double after)
{
    double curvature = before - 2.0 * at + after;
    return curvature < 0.0 ? AID_CLAMP(0.5 * (before - after) / curvature, -0.5, 0.5) : 0.0;
}

/* The vertex of parabolas through the neighbours on each axis. */
static void refine_peak(const climb *work, int p, double x0, double y0, aid_source_peak *peak)
{
    int i = p % work->side, j = p / work->side;
    double at = work->values[p], dx = 0.0, dy = 0.0;
    peak->value = at;
    if (i > 0 && j > 0 && i + 1 < work->side && j + 1 < work->side) {
        const double *v = work->values + p;
        if (isfinite(v[-1]) && isfinite(v[1])) {
            dx = vertex(v[-1], at, v[1]);
            peak->value -= 0.25 * dx * (v[-1] - v[1]);
        }
        if (isfinite(v[-work->side]) && isfinite(v[work->side])) {
            dy = vertex(v[-work->side], at, v[work->side]);
            peak->value -= 0.25 * dy * (v[-work->side] - v[work->side]);
        }
    }
    peak->x = x0 + i + dx;
    peak->y = y0 + j + dy;
}

/* Floods downwards; `prominence[p]` of each pixel that is a peak is its height above the saddle. */
static void flood(climb *work, double *prominence)
{
    int side = work->side;
    for (int k = 0; k < work->count; k++) {
        int p = work->order[k], x = p % side, y = p / side;
        work->region[p] = p;
        prominence[p] = NAN;
        for (int n = 0; n < 9; n++) {
            int i = x + n % 3 - 1, j = y + n / 3 - 1, q = j * side + i;
            if (n == 4 || i < 0 || j < 0 || i >= side || j >= side || work->region[q] < 0)
                continue;
            int own = root_of(work->region, p), other = root_of(work->region, q);
            if (own == other)
                continue;
            /* Roots are the highest pixels of their regions: the lower one ends here. */
            bool own_lower = work->values[own] < work->values[other] ||
                             (work->values[own] == work->values[other] && own > other);
            int lower = own_lower ? own : other, upper = own_lower ? other : own;
            if (lower != p)
                prominence[lower] = work->values[lower] - work->values[p];
            work->region[lower] = upper;
        }
    }
    for (int k = 0; k < work->count; k++) {
        int p = work->order[k];
        if (work->region[p] == p)
            prominence[p] = work->values[p];
    }
}

static aid_status read_source(const aid_photometry_frame *frame, const aid_source_shape *source,
                              const aid_peak_options *options, int radius, climb *work,
                              aid_error *err)
{
    work->side = 2 * radius + 1;
    size_t side = (size_t)work->side;
    AID_TRY(aid_new_array(side * side, sizeof(double), "peaks", &work->values, err));
    AID_TRY(aid_new_array(side * side, sizeof(int), "peaks", &work->region, err));
    AID_TRY(aid_new_array(side * side, sizeof(int), "peaks", &work->order, err));
    int32_t x0 = (int32_t)floor(source->x + 0.5) - radius;
    int32_t y0 = (int32_t)floor(source->y + 0.5) - radius;
    bool by_segment = frame->segments && source->segment > 0;
    for (int j = 0; j < work->side; j++) {
        double *values = work->values + (size_t)j * side;
        photometry_row row = {
            .y = y0 + j, .x0 = x0, .count = work->side, .segment = source->segment};
        (void)aid_photometry_read_row(frame, &row, NULL, values);
        for (int i = 0; i < work->side; i++) {
            int32_t x = x0 + i, y = y0 + j;
            work->region[(size_t)j * side + (size_t)i] = -1;
            bool own = by_segment ? values[i] == values[i] &&
                                        frame->segments[(int64_t)y * frame->image->width + x] ==
                                            source->segment
                                  : hypot(x - source->x, y - source->y) <= options->radius_px;
            if (!own || values[i] < 0.0)
                values[i] = NAN;
        }
    }
    return sort_pixels(work, err);
}

aid_status aid_find_source_peaks(const aid_photometry_frame *frame, const aid_source_shape *source,
                                 const aid_peak_options *options, int capacity,
                                 aid_source_peak *ret_peaks, int *ret_count, aid_error *err)
{
    bool by_segment = frame->segments && source->segment > 0;
    double reach = by_segment ? 8.0 * source->a_px : options->radius_px;
    if (!(options->threshold >= 0.0 && options->prominence >= 0.0 && reach > 0.0 &&
          isfinite(reach)))
        AID_FAIL(err, AID_ERR_INVALID, "peaks above %g sigma, %g above saddles, within %g px",
                 options->threshold, options->prominence, reach);
    *ret_count = 0;
    if (!aid_photometry_on_image(frame->image, source->x, source->y))
        return AID_OK;
    int radius = (int)AID_CLAMP(ceil(reach), 2.0, (double)LARGEST_PX);
    AID_CLEANUP(climb_done)
    climb work = {0};
    AID_TRY(read_source(frame, source, options, radius, &work, err));
    AID_CLEANUP(aid_free_pointer)
    double *prominence = NULL;
    size_t pixels = (size_t)work.side * (size_t)work.side;
    AID_TRY(aid_new_array(pixels, sizeof *prominence, "peaks", &prominence, err));
    flood(&work, prominence);
    double sigma = aid_photometry_noise_at(frame, source->x, source->y);
    double unit = sigma > 0.0 ? sigma : 1.0;
    for (int k = 0; k < work.count && *ret_count < capacity; k++) {
        int p = work.order[k];
        if (!(work.values[p] >= options->threshold * unit) ||
            !(prominence[p] >= options->prominence * unit))
            continue;
        aid_source_peak *peak = &ret_peaks[(*ret_count)++];
        refine_peak(&work, p, floor(source->x + 0.5) - radius, floor(source->y + 0.5) - radius,
                    peak);
        peak->prominence = prominence[p] / unit;
    }
    return AID_OK;
}

/* ----------------------------------------------------------------------------------- statistics */

aid_status aid_measure_set(const double *values, int64_t count, aid_set_statistics *ret_statistics,
                           aid_error *err)
{
    aid_set_statistics s = {.mean = NAN,
                            .median = NAN,
                            .sigma = NAN,
                            .robust_sigma = NAN,
                            .minimum = NAN,
                            .maximum = NAN,
                            .q05 = NAN,
                            .q25 = NAN,
                            .q75 = NAN,
                            .q95 = NAN};
    AID_CLEANUP(aid_free_pointer)
    double *sound = NULL;
    AID_TRY(aid_new_array((size_t)AID_MAX(count, 1), sizeof *sound, "values", &sound, err));
    double sum = 0.0, squares = 0.0;
    for (int64_t i = 0; i < count; i++)
        if (isfinite(values[i]))
            sound[s.count++] = values[i];
    s.missing = count - s.count;
    for (int64_t i = 0; i < s.count; i++)
        sum += sound[i];
    if (s.count > 0) {
        s.mean = sum / (double)s.count;
        for (int64_t i = 0; i < s.count; i++)
            squares += (sound[i] - s.mean) * (sound[i] - s.mean);
        s.sigma = s.count > 1 ? sqrt(squares / (double)(s.count - 1)) : NAN;
        s.minimum = aid_quantile_in_place_f64(sound, s.count, 0.0);
        s.maximum = aid_quantile_in_place_f64(sound, s.count, 1.0);
        s.q05 = aid_quantile_in_place_f64(sound, s.count, 0.05);
        s.q25 = aid_quantile_in_place_f64(sound, s.count, 0.25);
        s.median = aid_quantile_in_place_f64(sound, s.count, 0.5);
        s.q75 = aid_quantile_in_place_f64(sound, s.count, 0.75);
        s.q95 = aid_quantile_in_place_f64(sound, s.count, 0.95);
        s.robust_sigma = aid_robust_in_place_f64(sound, s.count).sigma;
    }
    *ret_statistics = s;
    return AID_OK;
}
