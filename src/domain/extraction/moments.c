/* What a footprint alone tells of a source: SExtractor's isophotal quantities. */
#include "core/imaging/exposure.h"
#include "domain/extraction/internal.h"

#include <string.h>

static const double pi = 3.14159265358979323846;
static const double pixel_variance = 1.0 / 12.0;
/* Below this the moments are those of a line or a point: half a pixel's variance, squared. */
static const double least_determinant = 0.00694;

aid_filtered_peak aid_filtered_peak_of(const aid_footprints *footprints, int64_t i, int min_pixels,
                                       bool passes_over)
{
    enum { MOST = 64 };
    float top[MOST];
    int wanted = AID_CLAMP(min_pixels, 1, MOST), held = 0;
    int64_t seen = 0;
    aid_filtered_peak result = {0};
    for (int64_t r = footprints->first[i]; r < footprints->first[i + 1]; r++) {
        const aid_run *run = &footprints->runs[r];
        for (int32_t k = 0; k <= run->x1 - run->x0; k++) {
            float value = footprints->filtered[run->value + k];
            result.flux += (double)value;
            result.peak = AID_MAX(result.peak, value);
            if (seen++ == wanted && passes_over)
                continue;
            if (held == wanted && value <= top[held - 1])
                continue;
            int at = held < wanted ? held++ : held - 1;
            for (; at > 0 && top[at - 1] < value; at--)
                top[at] = top[at - 1];
            top[at] = value;
        }
    }
    result.least = top[held - 1];
    return result;
}

int64_t aid_filtered_area_above(const aid_footprints *footprints, int64_t i, double level)
{
    int64_t area = 0;
    for (int64_t r = footprints->first[i]; r < footprints->first[i + 1]; r++) {
        const aid_run *run = &footprints->runs[r];
        for (int32_t k = 0; k <= run->x1 - run->x0; k++)
            area += (double)footprints->filtered[run->value + k] > level ? 1 : 0;
    }
    return area;
}

/* The value of a footprint's pixel; NaN where it has none. */
static double value_at(const aid_footprints *footprints, int64_t i, const float *values, int32_t x,
                       int32_t y)
{
    for (int64_t r = footprints->first[i]; r < footprints->first[i + 1]; r++) {
        const aid_run *run = &footprints->runs[r];
        if (run->y == y && run->x0 <= x && x <= run->x1)
            return (double)values[run->value + x - run->x0];
    }
    return NAN;
}

/* The vertex of the parabola through three neighbours, from the middle one. */
static double vertex(double before, double middle, double behind)
{
    double curvature = 2.0 * middle - before - behind;
    double step = 0.5 * (behind - before) / curvature;
    return curvature > 0.0 && fabs(step) <= 0.5 ? step : 0.0;
}

void aid_footprint_summit(const aid_footprints *footprints, int64_t i, bool of_values,
                          double *ret_x, double *ret_y)
{
    const float *values = of_values ? footprints->values : footprints->filtered;
    float highest = -INFINITY;
    int32_t x = footprints->runs[footprints->first[i]].x0;
    int32_t y = footprints->runs[footprints->first[i]].y;
    for (int64_t r = footprints->first[i]; r < footprints->first[i + 1]; r++) {
        const aid_run *run = &footprints->runs[r];
        for (int32_t k = 0; k <= run->x1 - run->x0; k++)
            if (values[run->value + k] > highest) {
                highest = values[run->value + k];
                x = run->x0 + k;
                y = run->y;
            }
    }
    double left = value_at(footprints, i, values, x - 1, y);
    double right = value_at(footprints, i, values, x + 1, y);
    double below = value_at(footprints, i, values, x, y - 1);
    double above = value_at(footprints, i, values, x, y + 1);
    *ret_x = x + vertex(left, (double)highest, right);
    *ret_y = y + vertex(below, (double)highest, above);
}

/* Sums over the pixels of a footprint, positions from its lower left corner. */
typedef struct footprint_sums {
    double weight, x, y;       /* first moments, by the filtered image */
    double second, xx, yy, xy; /* second ones, and the sum of their own weights */
    double flux, sky_variance, photons;
    double error_xx, error_yy, error_xy, error;
    float peak;
    uint8_t bits;
} footprint_sums;

static void find_box(const aid_footprints *footprints, int64_t i, aid_source *source)
{
    int64_t begin = footprints->first[i], end = footprints->first[i + 1];
    source->x_min = INT32_MAX;
    source->x_max = INT32_MIN;
    source->y_min = footprints->runs[begin].y;
    source->y_max = footprints->runs[end - 1].y;
    source->npix = 0;
    for (int64_t r = begin; r < end; r++) {
        source->x_min = AID_MIN(source->x_min, footprints->runs[r].x0);
        source->x_max = AID_MAX(source->x_max, footprints->runs[r].x1);
        source->npix += footprints->runs[r].x1 - footprints->runs[r].x0 + 1;
    }
}

static void add_first(const aid_field *field, const aid_run *run, const float *values,
                      aid_source *source, footprint_sums *sums)
{
    const float *row = aid_image_row(field->image, run->y);
    const uint8_t *mask = field->mask.data ? aid_mask_row(&field->mask, run->y) : NULL;
    for (int32_t x = run->x0; x <= run->x1; x++) {
        double weight = AID_MAX((double)values[run->value + x - run->x0], 0.0);
        sums->weight += weight;
        sums->x += weight * (x - source->x_min);
        sums->y += weight * (run->y - source->y_min);
        sums->bits = (uint8_t)(sums->bits | (mask ? mask[x] : 0));
        if ((mask && mask[x] & AID_UNSOUND) || !isfinite(row[x]))
            continue;
        if (row[x] > sums->peak) {
            sums->peak = row[x];
            source->x_peak = x;
            source->y_peak = run->y;
        }
    }
}

/* Second moments about (x, y), from the corner. */
static void add_second(const aid_field *field, const aid_run *run, const float *values,
                       const aid_source *source, footprint_sums *sums)
{
    const float *row = aid_image_row(field->image, run->y);
    const uint8_t *mask = field->mask.data ? aid_mask_row(&field->mask, run->y) : NULL;
    double sky = source->noise * source->noise;
    for (int32_t x = run->x0; x <= run->x1; x++) {
        double dx = x - source->x_min - sums->x, dy = run->y - source->y_min - sums->y;
        bool bad = (mask && mask[x] & AID_UNSOUND) || !isfinite(row[x]);
        double pixel = bad ? 0.0 : (double)row[x];
        double weight = AID_MAX((double)values[run->value + x - run->x0], 0.0);
        double photons = field->gain > 0.0 ? AID_MAX(pixel, 0.0) / field->gain : 0.0;
        double variance = sky + photons;
        sums->second += weight;
        sums->xx += weight * dx * dx;
        sums->yy += weight * dy * dy;
        sums->xy += weight * dx * dy;
        sums->error_xx += variance * dx * dx;
        sums->error_yy += variance * dy * dy;
        sums->error_xy += variance * dx * dy;
        sums->error += variance;
        if (bad)
            continue;
        sums->flux += pixel;
        sums->sky_variance += sky;
        sums->photons += photons;
    }
}

static void set_shape(const footprint_sums *sums, aid_source *source)
{
    bool known = sums->second > 0.0 && sums->xx > 0.0 && sums->yy > 0.0;
    double xx = known ? sums->xx / sums->second : 0.0;
    double yy = known ? sums->yy / sums->second : 0.0;
    double xy = known ? sums->xy / sums->second : 0.0;
    if (!(xx * yy - xy * xy > least_determinant)) {
        xx += pixel_variance;
        yy += pixel_variance;
        source->flags |= AID_SOURCE_SINGULAR;
        if (!(xx * yy - xy * xy > 0.0))
            xy = 0.0;
    }
    double mean = 0.5 * (xx + yy), half = hypot(0.5 * (xx - yy), xy);
    source->x2 = xx;
    source->y2 = yy;
    source->xy = xy;
    source->a = sqrt(mean + half);
    source->b = sqrt(AID_MAX(mean - half, 0.0));
    source->theta_deg = 0.5 * atan2(2.0 * xy, xx - yy) * 180.0 / pi;
    source->ellipticity = 1.0 - source->b / source->a;
}

static void set_errors(const footprint_sums *sums, aid_source *source)
{
    double squared = sums->weight * sums->weight;
    double xx = sums->error_xx / squared, yy = sums->error_yy / squared;
    double xy = sums->error_xy / squared, least = sums->error * pixel_variance / squared;
    if (source->flags & AID_SOURCE_SINGULAR && xx * yy - xy * xy < least * least) {
        xx += least;
        yy += least;
    }
    source->x2_err = xx;
    source->y2_err = yy;
    source->xy_err = xy;
    source->x_err = sqrt(xx);
    source->y_err = sqrt(yy);
}

static unsigned flags_of(const aid_field *field, const footprint_sums *sums,
                         const aid_source *source)
{
    bool border = source->x_min == 0 || source->y_min == 0 ||
                  source->x_max == field->image->width - 1 ||
                  source->y_max == field->image->height - 1;
    unsigned flags = border ? AID_SOURCE_TRUNCATED : 0;
    flags |= sums->bits & AID_MASK_SATURATED ? AID_SOURCE_SATURATED : 0;
    return flags | (sums->bits & AID_UNSOUND ? AID_SOURCE_MASKED : 0);
}

void aid_source_from_footprint(const aid_field *field, const aid_footprints *footprints, int64_t i,
                               aid_source *ret_source)
{
    aid_source source = aid_source_blank();
    footprint_sums sums = {.peak = -INFINITY};
    find_box(footprints, i, &source);
    for (int64_t r = footprints->first[i]; r < footprints->first[i + 1]; r++)
        add_first(field, &footprints->runs[r], footprints->values, &source, &sums);
    if (!(sums.weight > 0.0)) { /* nothing but noise: the middle */
        sums.weight = 1.0;
        sums.x = 0.5 * (source.x_max - source.x_min);
        sums.y = 0.5 * (source.y_max - source.y_min);
    }
    sums.x /= sums.weight;
    sums.y /= sums.weight;
    source.x = sums.x + source.x_min;
    source.y = sums.y + source.y_min;
    source.noise = aid_field_noise_at(field, source.x, source.y);
    source.background = aid_field_background_at(field, source.x, source.y);
    for (int64_t r = footprints->first[i]; r < footprints->first[i + 1]; r++)
        add_second(field, &footprints->runs[r], footprints->values, &source, &sums);
    if (!isfinite(sums.peak)) { /* every pixel of it is masked */
        source.x_peak = (int32_t)lround(source.x);
        source.y_peak = (int32_t)lround(source.y);
    } else {
        source.peak = (double)sums.peak;
        source.flux_iso = sums.flux;
        source.flux_iso_err = sqrt(sums.sky_variance + sums.photons);
    }
    source.flags = flags_of(field, &sums, &source);
    set_shape(&sums, &source);
    set_errors(&sums, &source);
    source.x_win = source.x;
    source.y_win = source.y;
    *ret_source = source;
}
