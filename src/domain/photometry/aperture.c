/* Sums within ellipses, with a local background from a ring around them. */
#include "core/imaging/stats.h"
#include "domain/photometry/internal.h"

#include <string.h>

enum {
    CHUNK = 256,      /* pixels of a row at a time */
    MAX_RING = 16384, /* of a wider ring every n-th pixel is taken */
    FEWEST_RING = 8,  /* pixels that a level is believed from */
    POSITIONS_PER_TASK = 64
};
static const double largest_px = 2048.0;

aid_status aid_aperture_check(const aid_aperture *aperture, aid_error *err)
{
    double a = aperture->a_px, b = aperture->b_px;
    if (!(b > 0.0 && b <= a && a <= largest_px))
        AID_FAIL(err, AID_ERR_INVALID, "aperture of %g x %g px: 0 < b <= a <= %g is wanted", a, b,
                 largest_px);
    if (!isfinite(aperture->theta_deg))
        AID_FAIL(err, AID_ERR_INVALID, "aperture at an angle of %g degrees", aperture->theta_deg);
    if (aperture->background == AID_LOCAL_NONE)
        return AID_OK;
    double inner = aperture->inner_px, outer = aperture->outer_px;
    if (!(a <= inner && inner < outer && outer <= 2.0 * largest_px))
        AID_FAIL(err, AID_ERR_INVALID,
                 "annulus from %g to %g px around an aperture of %g px: aperture <= inner < outer "
                 "<= %g is wanted",
                 inner, outer, a, 2.0 * largest_px);
    if (!(aperture->clip_sigma >= 1.0))
        AID_FAIL(err, AID_ERR_INVALID, "annulus clipped at %g sigma: at least 1 is wanted",
                 aperture->clip_sigma);
    return AID_OK;
}

/* ------------------------------------------------------------------------------------ the sum */

/* Sums of w over all pixels; of w value, w and w^2 sigma^2 over those with a value. */
typedef struct sums {
    double wanted, flux, area, variance;
} sums;

/* `values` NaN: left out. The sky's rms runs from `sigma` in steps of `slope`. */
AID_HOT static sums sum_row(const double *restrict values, const double *restrict weights,
                            int count, double sigma, double slope)
{
    sums sum = {0};
    for (int i = 0; i < count; i++) {
        double value = values[i];
        bool sound = value == value;
        double w = sound ? weights[i] : 0.0, s = w * (sigma + slope * i);
        sum.flux += w * (sound ? value : 0.0);
        sum.area += w;
        sum.wanted += weights[i];
        sum.variance += s * s;
    }
    return sum;
}

/* The pixel opposite to (i, j), as SExtractor rounds it; NaN where that cannot be used either. */
static double opposite(const aid_photometry_frame *frame, const photometry_row *row, int i,
                       double x, double y)
{
    double value;
    photometry_row other = {.y = (int32_t)floor(2.0 * y + 0.49999 - row->y),
                            .x0 = (int32_t)floor(2.0 * x + 0.49999 - (row->x0 + i)),
                            .count = 1,
                            .segment = row->segment};
    (void)aid_photometry_read_row(frame, &other, NULL, &value);
    return value;
}

static void mirror_row(const aid_photometry_frame *frame, const photometry_row *row,
                       const double *weights, const double centre[2], double *values)
{
    for (int i = 0; i < row->count; i++)
        if (weights[i] > 0.0 && !(values[i] == values[i]))
            values[i] = opposite(frame, row, i, centre[0], centre[1]);
}

/* One stretch of a row. */
static sums sum_chunk(const aid_photometry_frame *frame, const aid_aperture *aperture,
                      const photometry_ellipse *ellipse, const photometry_row *row,
                      const double centre[2], unsigned *flags)
{
    double weights[CHUNK], values[CHUNK];
    aid_photometry_overlap_row(ellipse, aperture->whole_pixels, row->x0 - centre[0],
                               row->y - centre[1], row->count, weights);
    *flags |= aid_photometry_read_row(frame, row, weights, values);
    if (aperture->mirror)
        mirror_row(frame, row, weights, centre, values);
    double sigma = aid_photometry_noise_at(frame, row->x0, row->y), slope = 0.0;
    if (row->count > 1)
        slope = (aid_photometry_noise_at(frame, row->x0 + row->count - 1, row->y) - sigma) /
                (row->count - 1);
    return sum_row(values, weights, row->count, sigma, slope);
}

static sums sum_ellipse(const aid_photometry_frame *frame, const aid_aperture *aperture,
                        const photometry_ellipse *ellipse, const double centre[2], unsigned *flags)
{
    photometry_window window = aid_photometry_window_of(ellipse, centre[0], centre[1]);
    sums total = {0};
    for (int32_t y = window.y0; y <= window.y1; y++)
        for (int32_t x = window.x0; x <= window.x1; x += CHUNK) {
            photometry_row row = {.y = y,
                                  .x0 = x,
                                  .count = AID_MIN(CHUNK, window.x1 - x + 1),
                                  .segment = frame->segments ? aperture->segment : 0};
            sums sum = sum_chunk(frame, aperture, ellipse, &row, centre, flags);
            total.flux += sum.flux;
            total.area += sum.area;
            total.wanted += sum.wanted;
            total.variance += sum.variance;
        }
    return total;
}

/* ----------------------------------------------------------------------------------- the ring */

typedef struct ring {
    float values[MAX_RING], scratch[MAX_RING];
    int count;
} ring;

static void collect_ring(const aid_photometry_frame *frame, const aid_aperture *aperture,
                         const double centre[2], ring *ret_ring)
{
    double ratio = aperture->b_px / aperture->a_px, outer = aperture->outer_px;
    photometry_ellipse ellipse =
        aid_photometry_ellipse_of(outer, outer * ratio, aperture->theta_deg);
    double hole = aperture->inner_px / outer;
    double pixels = ellipse.area * (1.0 - hole * hole);
    int64_t every = (int64_t)(1.25 * pixels / MAX_RING) + 1, seen = 0;
    photometry_window window = aid_photometry_window_of(&ellipse, centre[0], centre[1]);
    const aid_image *image = frame->image;
    ret_ring->count = 0;
    for (int32_t y = AID_MAX(window.y0, 0); y <= AID_MIN(window.y1, image->height - 1); y++)
        for (int32_t x = AID_MAX(window.x0, 0); x <= AID_MIN(window.x1, image->width - 1); x++) {
            double dx = x - centre[0], dy = y - centre[1], value;
            double u = ellipse.xx * dx + ellipse.xy * dy, v = ellipse.yx * dx + ellipse.yy * dy;
            double r2 = u * u + v * v;
            if (r2 > 1.0 || r2 < hole * hole || seen++ % every || ret_ring->count == MAX_RING)
                continue;
            photometry_row row = {.y = y, .x0 = x, .count = 1, .segment = -1};
            (void)aid_photometry_read_row(frame, &row, NULL, &value);
            if (value == value)
                ret_ring->values[ret_ring->count++] = (float)value;
        }
}

/* Keeps the values within `half` of `centre`; how many. */
static int keep_near(float *values, int count, double centre, double half)
{
    int kept = 0;
    for (int i = 0; i < count; i++)
        if (fabs((double)values[i] - centre) <= half)
            values[kept++] = values[i];
    return kept;
}

static void mean_and_sigma(const float *values, int count, double *ret_mean, double *ret_sigma)
{
    double sum = 0.0, squares = 0.0, origin = (double)values[0];
    for (int i = 0; i < count; i++) {
        double deviation = (double)values[i] - origin;
        sum += deviation;
        squares += deviation * deviation;
    }
    double mean = sum / count;
    *ret_mean = origin + mean;
    *ret_sigma = sqrt(AID_MAX(squares - sum * mean, 0.0) / AID_MAX(count - 1, 1));
}

/* Stars in the ring are clipped away; what is left gives level and scatter. */
static void measure_ring(ring *pixels, const aid_aperture *aperture, double noise_factor,
                         aid_aperture_flux *flux)
{
    if (pixels->count < FEWEST_RING) {
        flux->flags |= AID_PHOTOMETRY_NO_BACKGROUND;
        return;
    }
    memcpy(pixels->scratch, pixels->values, (size_t)pixels->count * sizeof *pixels->values);
    aid_robust robust = aid_robust_in_place(pixels->scratch, pixels->count);
    double median = robust.median, sigma = robust.sigma, mean = median;
    int count = pixels->count;
    for (int pass = 0; pass < 10 && sigma > 0.0; pass++) {
        int kept = keep_near(pixels->values, count, median, aperture->clip_sigma * sigma);
        if (kept < FEWEST_RING || (kept == count && pass > 0))
            break;
        count = kept;
        median = aid_median_in_place(pixels->values, count);
        mean_and_sigma(pixels->values, count, &mean, &sigma);
    }
    bool is_median = aperture->background == AID_LOCAL_MEDIAN;
    flux->background = is_median ? median : mean;
    flux->background_px = count;
    flux->background_err =
        sigma * sqrt((is_median ? 0.5 * photometry_pi : 1.0) * noise_factor / count);
}

static void subtract_ring(const aid_photometry_frame *frame, const aid_aperture *aperture,
                          const double centre[2], aid_aperture_flux *flux)
{
    ring pixels;
    collect_ring(frame, aperture, centre, &pixels);
    /* A ring is long and narrow: its pixels are correlated like those of a disc of its width. */
    double width = aperture->outer_px - aperture->inner_px;
    measure_ring(&pixels, aperture, aid_photometry_disc_factor(frame, width), flux);
    flux->flux -= flux->area_px * flux->background;
}

/* -------------------------------------------------------------------------------- one position */

aid_aperture_flux aid_aperture_at(const aid_photometry_frame *frame, const aid_aperture *aperture,
                                  double x, double y)
{
    aid_aperture_flux flux = {.flux = NAN, .flux_err = NAN, .missing = 1.0};
    if (!aid_photometry_on_image(frame->image, x, y)) {
        flux.flags = AID_PHOTOMETRY_OFF_IMAGE;
        return flux;
    }
    photometry_ellipse ellipse =
        aid_photometry_ellipse_of(aperture->a_px, aperture->b_px, aperture->theta_deg);
    const double centre[2] = {x, y};
    sums sum = sum_ellipse(frame, aperture, &ellipse, centre, &flux.flags);
    flux.area_px = sum.area;
    if (!(sum.area > 0.0))
        return flux;
    flux.flux = sum.flux;
    flux.missing = 1.0 - sum.area / sum.wanted;
    if (aperture->background != AID_LOCAL_NONE)
        subtract_ring(frame, aperture, centre, &flux);
    double radius = sqrt(ellipse.area / photometry_pi), area = sum.area;
    double variance = sum.variance * aid_photometry_disc_factor(frame, radius) +
                      AID_MAX(flux.flux, 0.0) * aid_photometry_inverse_gain(frame) +
                      area * area * flux.background_err * flux.background_err;
    flux.flux_err = sqrt(variance);
    if (aperture->correct && flux.missing > 0.0) {
        double scale = 1.0 / (1.0 - flux.missing);
        flux.flux *= scale;
        flux.flux_err *= scale;
        flux.flags |= AID_PHOTOMETRY_CORRECTED;
    }
    return flux;
}

/* ------------------------------------------------------------------------------ many positions */

typedef struct aperture_job {
    const aid_photometry_frame *frame;
    const aid_aperture *aperture;
    const double (*xy)[2];
    int count;
    aid_aperture_flux *fluxes;
} aperture_job;

static aid_status measure_some(void *context, int64_t task, int worker, aid_error *err)
{
    (void)worker;
    (void)err;
    aperture_job *job = context;
    int64_t begin, end;
    aid_band_range(job->count, POSITIONS_PER_TASK, task, &begin, &end);
    for (int64_t i = begin; i < end; i++)
        job->fluxes[i] = aid_aperture_at(job->frame, job->aperture, job->xy[i][0], job->xy[i][1]);
    return AID_OK;
}

aid_status aid_aperture_photometry(const aid_photometry_frame *frame, const aid_aperture *aperture,
                                   const double (*xy)[2], int count, aid_pool *pool,
                                   aid_aperture_flux *ret_fluxes, aid_error *err)
{
    AID_TRY(aid_aperture_check(aperture, err));
    aperture_job job = {frame, aperture, xy, count, ret_fluxes};
    return aid_pool_run(pool, aid_band_count(count, POSITIONS_PER_TASK), measure_some, &job, err);
}
