/* Phase correlation: the shift between two images whose stars are too few to be matched. */
#include "core/base/memory.h"
#include "core/imaging/fft.h"
#include "core/imaging/stats.h"
#include "domain/preprocessing/align.h"

#include <complex.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LARGEST_SIDE = 2048 /* px; larger images are binned */ };
static const double blur_px = 1.2;    /* of the peak: its logarithm is then a parabola */
static const float brightest = 50.0F; /* sigma: no single star decides */
static const float darkest = -5.0F;
static const double least_overlap = 0.05;
static const double peak_radius_px = 6.0; /* within which everything belongs to the peak */

typedef struct phase_plan {
    aid_fft *fft;
    int width, height;                  /* padded, so that no shift wraps round */
    float *pixels;                      /* [height][width] */
    float complex *science, *reference; /* [height][width/2+1] */
} phase_plan;

static void plan_done(phase_plan *plan)
{
    aid_fft_free(plan->fft);
    free(plan->pixels);
    free(plan->science);
    free(plan->reference);
}

static aid_status plan_init(int width, int height, phase_plan *plan, aid_error *err)
{
    plan->width = aid_fft_good_size(width);
    plan->height = aid_fft_good_size(height);
    size_t rows = (size_t)plan->height, half = (size_t)plan->width / 2 + 1;
    AID_TRY(aid_fft_new(plan->width, plan->height, &plan->fft, err));
    AID_TRY(aid_new_buffer(rows * (size_t)plan->width, sizeof(float), "phase correlation",
                           &plan->pixels, err));
    AID_TRY(aid_new_buffer(rows * half, sizeof(float complex), "phase correlation", &plan->science,
                           err));
    return aid_new_buffer(rows * half, sizeof(float complex), "phase correlation", &plan->reference,
                          err);
}

/* Mean of the sound pixels of each bin, into the corner of the padded plane; 0 where there are
 * none.
 */
static void bin_into(const aid_image *image, const aid_mask *mask, int bin, phase_plan *plan)
{
    memset(plan->pixels, 0, (size_t)plan->width * (size_t)plan->height * sizeof *plan->pixels);
    for (int32_t y = 0; y < image->height / bin; y++)
        for (int32_t x = 0; x < image->width / bin; x++) {
            double sum = 0.0;
            int sound = 0;
            for (int32_t j = y * bin; j < (y + 1) * bin; j++)
                for (int32_t i = x * bin; i < (x + 1) * bin; i++) {
                    float value = aid_image_row(image, j)[i];
                    if (!isfinite(value) || (mask->data && aid_mask_row(mask, j)[i]))
                        continue;
                    sum += (double)value;
                    sound++;
                }
            plan->pixels[(int64_t)y * plan->width + x] = sound ? (float)(sum / sound) : 0.0F;
        }
}

/* In units of the noise, bright stars cut off. */
static aid_status normalise(phase_plan *plan, int32_t width, int32_t height, aid_error *err)
{
    AID_CLEANUP(aid_free_pointer)
    float *sample = NULL;
    AID_TRY(aid_new_buffer((size_t)width * (size_t)height, sizeof(float), "phase correlation",
                           &sample, err));
    int64_t count = 0;
    for (int32_t y = 0; y < height; y++)
        for (int32_t x = 0; x < width; x++)
            if (plan->pixels[(int64_t)y * plan->width + x] != 0.0F)
                sample[count++] = plan->pixels[(int64_t)y * plan->width + x];
    aid_robust sky = aid_robust_in_place(sample, count);
    if (!(sky.sigma > 0.0))
        AID_FAIL(err, AID_ERR_NUMERIC, "phase correlation: an image is blank");
    float median = (float)sky.median, inverse = (float)(1.0 / sky.sigma);
    for (int32_t y = 0; y < height; y++) {
        float *row = plan->pixels + (int64_t)y * plan->width;
        for (int32_t x = 0; x < width; x++)
            if (row[x] != 0.0F)
                row[x] = AID_CLAMP((row[x] - median) * inverse, darkest, brightest);
    }
    return AID_OK;
}

/* What a detector prints on every exposure, column by column and row by row, does not move with the
 * sky: it goes. */
static void remove_stripes(phase_plan *plan, int32_t width, int32_t height)
{
    for (int32_t x = 0; x < width; x++) {
        double sum = 0.0;
        for (int32_t y = 0; y < height; y++)
            sum += (double)plan->pixels[(int64_t)y * plan->width + x];
        for (int32_t y = 0; y < height; y++)
            plan->pixels[(int64_t)y * plan->width + x] -= (float)(sum / height);
    }
    for (int32_t y = 0; y < height; y++) {
        float *row = plan->pixels + (int64_t)y * plan->width;
        double sum = 0.0;
        for (int32_t x = 0; x < width; x++)
            sum += (double)row[x];
        for (int32_t x = 0; x < width; x++)
            row[x] -= (float)(sum / width);
    }
}

static aid_status spectrum_of(const aid_image *image, const aid_mask *mask, int bin,
                              phase_plan *plan, float complex *ret_spectrum, aid_error *err)
{
    int32_t width = image->width / bin, height = image->height / bin;
    bin_into(image, mask, bin, plan);
    AID_TRY(normalise(plan, width, height, err));
    remove_stripes(plan, width, height);
    aid_fft_forward(plan->fft, plan->pixels, ret_spectrum);
    return AID_OK;
}

/* R conj(S)/|R S|, smoothed: its transform peaks at reference position - science position. */
static void cross_phase(phase_plan *plan)
{
    const double pi = 3.14159265358979323846;
    int half = plan->width / 2 + 1;
    double factor = -2.0 * pi * pi * blur_px * blur_px;
    for (int y = 0; y < plan->height; y++) {
        double fy = (double)(y <= plan->height / 2 ? y : y - plan->height) / plan->height;
        float complex *science = plan->science + (int64_t)y * half;
        const float complex *reference = plan->reference + (int64_t)y * half;
        for (int x = 0; x < half; x++) {
            double fx = (double)x / plan->width;
            float a = crealf(reference[x]), b = cimagf(reference[x]);
            float c = crealf(science[x]), d = cimagf(science[x]);
            float re = a * c + b * d, im = b * c - a * d;
            float size = sqrtf(re * re + im * im);
            float weight = size > 0.0F ? (float)exp(factor * (fx * fx + fy * fy)) / size : 0.0F;
            science[x] = re * weight + im * weight * I;
        }
    }
    aid_fft_inverse(plan->fft, plan->science, plan->pixels);
}

static int signed_lag(int index, int size)
{
    return index <= size / 2 ? index : index - size;
}

typedef struct lag_peak {
    int x, y; /* the shift */
    double value, rms, rival;
} lag_peak;

/* Pixels along one axis that two images share at a shift. */
static double shared(double size, double other, double shift)
{
    return AID_MIN(size, other - shift) - AID_MAX(0.0, -shift);
}

/* The highest value among the shifts that leave a minimal overlap, farther than `away` from (x, y).
 */
static lag_peak highest(const phase_plan *plan, const double sides[4], double x0, double y0,
                        double away)
{
    lag_peak peak = {.value = -INFINITY};
    for (int y = 0; y < plan->height; y++) {
        const float *row = plan->pixels + (int64_t)y * plan->width;
        int dy = signed_lag(y, plan->height);
        if (shared(sides[1], sides[3], dy) < least_overlap * sides[1])
            continue;
        for (int x = 0; x < plan->width; x++) {
            int dx = signed_lag(x, plan->width);
            if ((double)row[x] > peak.value &&
                shared(sides[0], sides[2], dx) >= least_overlap * sides[0] &&
                hypot(dx - x0, dy - y0) > away)
                peak = (lag_peak){.x = dx, .y = dy, .value = (double)row[x]};
        }
    }
    return peak;
}

static lag_peak find_peak(const phase_plan *plan, const double sides[4])
{
    double square = 0.0;
    int64_t count = (int64_t)plan->width * plan->height;
    for (int64_t i = 0; i < count; i++)
        square += (double)plan->pixels[i] * (double)plan->pixels[i];
    lag_peak peak = highest(plan, sides, 0.0, 0.0, -1.0);
    lag_peak rival = highest(plan, sides, peak.x, peak.y, peak_radius_px);
    peak.rms = sqrt(square / (double)count);
    peak.rival = peak.value > 0.0 ? AID_MAX(rival.value, 0.0) / peak.value : 1.0;
    return peak;
}

/* The vertex of the parabola through three logarithms, exact for the Gaussian that the blur makes.
 */
static double vertex(double before, double at, double after)
{
    if (!(before > 0.0 && at > 0.0 && after > 0.0))
        return 0.0;
    double a = log(before), b = log(at), c = log(after), curvature = a - 2.0 * b + c;
    return curvature < 0.0 ? AID_CLAMP(0.5 * (a - c) / curvature, -0.5, 0.5) : 0.0;
}

static double plane_at(const phase_plan *plan, int x, int y)
{
    x = (x + plan->width) % plan->width;
    y = (y + plan->height) % plan->height;
    return (double)plan->pixels[(int64_t)y * plan->width + x];
}

aid_status aid_phase_correlate(const aid_exposure *science, const aid_image *reference,
                               const aid_mask *reference_mask, aid_phase_shift *ret_shift,
                               aid_error *err)
{
    const aid_image *image = &science->image;
    int32_t width = AID_MAX(image->width, reference->width);
    int32_t height = AID_MAX(image->height, reference->height);
    int bin = (AID_MAX(width, height) + LARGEST_SIDE - 1) / LARGEST_SIDE;
    AID_CLEANUP(plan_done)
    phase_plan plan = {0};
    AID_TRY(plan_init((image->width + reference->width) / bin + 2,
                      (image->height + reference->height) / bin + 2, &plan, err));
    AID_TRY(spectrum_of(image, &science->mask, bin, &plan, plan.science, err));
    AID_TRY(spectrum_of(reference, reference_mask, bin, &plan, plan.reference, err));
    cross_phase(&plan);
    const double sides[4] = {(double)image->width / bin, (double)image->height / bin,
                             (double)reference->width / bin, (double)reference->height / bin};
    lag_peak peak = find_peak(&plan, sides);
    double left = plane_at(&plan, peak.x - 1, peak.y), right = plane_at(&plan, peak.x + 1, peak.y);
    double above = plane_at(&plan, peak.x, peak.y - 1), below = plane_at(&plan, peak.x, peak.y + 1);
    *ret_shift = (aid_phase_shift){.dx = bin * (peak.x + vertex(left, peak.value, right)),
                                   .dy = bin * (peak.y + vertex(above, peak.value, below)),
                                   .significance = peak.rms > 0.0 ? peak.value / peak.rms : 0.0,
                                   .rival = peak.rival};
    return AID_OK;
}
