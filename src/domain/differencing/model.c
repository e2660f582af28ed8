/* The local model of a subtraction: PSF and the two kernels A, B of U = A N - B R at one place. */
#include "core/base/memory.h"
#include "domain/differencing/internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Regularises the Wiener ratio of the PSFs where the divisor has no power left. */
static const float wiener_floor = 1e-5F;

static const double undersampled_fwhm_px = 2.6;

aid_status aid_local_model_init(const aid_subtraction *plan, aid_local_model *ret_model,
                                aid_error *err)
{
    size_t pixels = (size_t)plan->grid * (size_t)plan->grid;
    size_t modes = (size_t)plan->grid * (size_t)(plan->grid / 2 + 1);
    aid_local_model model = {0};
    aid_status status = aid_new_array(modes, sizeof *model.psf, "kernel", &model.psf, err);
    if (status == AID_OK)
        status = aid_new_array(modes, sizeof *model.a, "kernel", &model.a, err);
    if (status == AID_OK)
        status = aid_new_array(modes, sizeof *model.b, "kernel", &model.b, err);
    if (status == AID_OK)
        status = aid_new_array(modes, sizeof *model.part, "kernel", &model.part, err);
    if (status == AID_OK)
        status = aid_new_array(modes, sizeof *model.scratch, "kernel", &model.scratch, err);
    if (status == AID_OK)
        status = aid_new_array(modes, sizeof *model.variance, "kernel", &model.variance, err);
    if (status == AID_OK)
        status = aid_new_array(pixels, sizeof *model.pixels, "kernel", &model.pixels, err);
    if (status != AID_OK) {
        aid_local_model_done(&model);
        return status;
    }
    *ret_model = model;
    return AID_OK;
}

void aid_local_model_done(aid_local_model *model)
{
    free(model->psf);
    free(model->a);
    free(model->b);
    free(model->part);
    free(model->scratch);
    free(model->pixels);
    free(model->variance);
    *model = (aid_local_model){0};
}

static int wrap(int offset, int size)
{
    return offset < 0 ? offset + size : offset;
}

enum { MAX_RADIUS = AID_PSF_MAX_RADIUS, MAX_SIDE = 2 * MAX_RADIUS + 1 };

/* The spectrum of a PSF stamp whose star lies `shift` off its pixel, moved back. */
static void stamp_spectrum(const aid_subtraction *plan, const float *stamp, int radius,
                           const double shift[2], float *pixels, float complex *spectrum)
{
    const double pi = 3.14159265358979323846;
    int side = 2 * radius + 1, grid = plan->grid, columns = grid / 2 + 1;
    memset(pixels, 0, (size_t)grid * (size_t)grid * sizeof *pixels);
    for (int j = -radius; j <= radius; j++)
        for (int i = -radius; i <= radius; i++)
            pixels[wrap(j, grid) * grid + wrap(i, grid)] = stamp[(j + radius) * side + i + radius];
    aid_fft_forward(plan->small_fft, pixels, spectrum);
    if (shift[0] == 0.0 && shift[1] == 0.0)
        return;
    for (int j = 0; j < grid; j++)
        for (int i = 0; i < columns; i++) {
            int ky = j <= grid / 2 ? j : j - grid;
            double angle = 2.0 * pi * (i * shift[0] + ky * shift[1]) / grid;
            float c = (float)cos(angle), s = (float)sin(angle);
            float complex *mode = &spectrum[j * columns + i];
            *mode = CMPLXF(crealf(*mode) * c - cimagf(*mode) * s,
                           crealf(*mode) * s + cimagf(*mode) * c);
        }
}

/* Spectrum of the PSF at (x, y), centred on pixel (0, 0) of the grid. Where the PSF is nearly
 * undersampled its samples depend on where in a pixel the star lies; the mean over four such
 * positions is free of the first aliases, so that the filter is right for the average source. */
static void psf_spectrum(const aid_subtraction *plan, const aid_psf *psf, double x, double y,
                         aid_local_model *model, float complex *ret_spectrum)
{
    static _Thread_local float stamp[MAX_SIDE * MAX_SIDE];
    int radius = AID_MIN(AID_MIN(plan->psf_radius, psf->radius_px), MAX_RADIUS);
    int modes = plan->grid * (plan->grid / 2 + 1);
    int phases = psf->fwhm_px < undersampled_fwhm_px ? 4 : 1;
    for (int k = 0; k < phases; k++) {
        const double shift[2] = {0.5 * (k % 2), 0.5 * (k / 2)};
        float complex *to = k == 0 ? ret_spectrum : model->part;
        aid_psf_stamp(psf, x, y, shift[0], shift[1], radius, stamp);
        stamp_spectrum(plan, stamp, radius, shift, model->pixels, to);
        for (int i = 0; k > 0 && i < modes; i++)
            ret_spectrum[i] += model->part[i];
    }
    for (int i = 0; phases > 1 && i < modes; i++)
        ret_spectrum[i] = CMPLXF(crealf(ret_spectrum[i]) / (float)phases,
                                 cimagf(ret_spectrum[i]) / (float)phases);
}

/* to = target conj(from) / (|from|^2 + floor): the kernel that turns `from` into `target`. */
static void wiener_ratio(const float complex *target, const float complex *from, int modes,
                         float complex *to)
{
    for (int i = 0; i < modes; i++) {
        float tr = crealf(target[i]), ti = cimagf(target[i]);
        float fr = crealf(from[i]), fi = cimagf(from[i]);
        float scale = 1.0F / (fr * fr + fi * fi + wiener_floor);
        to[i] = CMPLXF((tr * fr + ti * fi) * scale, (ti * fr - tr * fi) * scale);
    }
}

/* Fades the kernel out beyond the radius where the PSF models are only skirt noise, and makes its
 * sum `sum`. */
static void taper_kernel(const aid_subtraction *plan, double sum, float *pixels,
                         float complex *spectrum)
{
    int grid = plan->grid;
    aid_fft_inverse(plan->small_fft, spectrum, pixels);
    double total = 0.0;
    for (int j = 0; j < grid; j++)
        for (int i = 0; i < grid; i++) {
            double distance = hypot(AID_MIN(i, grid - i), AID_MIN(j, grid - j));
            double weight = AID_CLAMP((plan->taper_px + 1.5 - distance) / 3.0, 0.0, 1.0);
            float *value = &pixels[j * grid + i];
            *value = (float)((double)*value * weight);
            total += (double)*value;
        }
    float scale = (float)(sum / total);
    for (int i = 0; i < grid * grid; i++)
        pixels[i] *= scale;
    aid_fft_forward(plan->small_fft, pixels, spectrum);
}

/* Rows from below, each as wide as the circle is there. */
aid_delta aid_delta_at(int index)
{
    for (int dy = -AID_DELTA_HALF; dy <= AID_DELTA_HALF; dy++) {
        int half = (int)sqrt((double)(AID_DELTA_HALF * AID_DELTA_HALF - dy * dy));
        if (index <= 2 * half)
            return (aid_delta){index - half, dy};
        index -= 2 * half + 1;
    }
    return (aid_delta){0, 0};
}

/* kernel *= 1 + correction(x, y). */
static void apply_correction(const aid_subtraction *plan, double x, double y, float *pixels,
                             float complex *scratch, float complex *kernel)
{
    int grid = plan->grid, modes = grid * (grid / 2 + 1);
    double width = plan->tiling.width, height = plan->tiling.height;
    double terms[AID_DELTA_TERMS] = {1.0, (x - 0.5 * width) / (0.5 * width),
                                     (y - 0.5 * height) / (0.5 * height)};
    memset(pixels, 0, (size_t)grid * (size_t)grid * sizeof *pixels);
    for (int k = 0; k < AID_DELTA_COUNT; k++) {
        aid_delta delta = aid_delta_at(k);
        double value = 0.0;
        for (int t = 0; t < AID_DELTA_TERMS; t++)
            value += terms[t] * plan->correction[t][k];
        pixels[wrap(delta.dy, grid) * grid + wrap(delta.dx, grid)] = (float)value;
    }
    pixels[0] += 1.0F;
    aid_fft_forward(plan->small_fft, pixels, scratch);
    for (int i = 0; i < modes; i++) {
        float kr = crealf(kernel[i]), ki = cimagf(kernel[i]);
        float cr = crealf(scratch[i]), ci = cimagf(scratch[i]);
        kernel[i] = CMPLXF(kr * cr - ki * ci, kr * ci + ki * cr);
    }
}

static void fill_constant(float complex *spectrum, int modes, float value)
{
    for (int i = 0; i < modes; i++)
        spectrum[i] = CMPLXF(value, 0.0F);
}

void aid_local_model_evaluate(const aid_subtraction *plan, double x, double y, bool with_correction,
                              aid_local_model *model)
{
    int modes = plan->grid * (plan->grid / 2 + 1);
    float complex *science_psf = model->psf, *reference_psf = model->scratch;
    model->ratio = aid_flux_ratio_at(plan->match, plan->tiling.width, plan->tiling.height, x, y);
    psf_spectrum(plan, &plan->science->psf, x, y, model, science_psf);
    psf_spectrum(plan, &plan->reference->psf, x, y, model, reference_psf);
    if (plan->method == AID_METHOD_ZOGY) { /* Pr N - f Pn R, in science units */
        float ratio = (float)model->ratio;
        for (int i = 0; i < modes; i++) {
            model->a[i] = reference_psf[i];
            model->b[i] = CMPLXF(ratio * crealf(science_psf[i]), ratio * cimagf(science_psf[i]));
        }
        return;
    }
    float complex *kernel = plan->convolve_science ? model->a : model->b;
    if (plan->convolve_science)
        wiener_ratio(reference_psf, science_psf, modes, kernel);
    else
        wiener_ratio(science_psf, reference_psf, modes, kernel);
    taper_kernel(plan, plan->convolve_science ? 1.0 / model->ratio : model->ratio, model->pixels,
                 kernel);
    if (with_correction && plan->has_correction)
        apply_correction(plan, x, y, model->pixels, model->scratch, kernel);
    fill_constant(plan->convolve_science ? model->b : model->a, modes, 1.0F);
}

void aid_small_to_tile(const aid_subtraction *plan, const float complex *small,
                       aid_local_model *model, float *window, float complex *ret_spectrum)
{
    int grid = plan->grid, size = plan->tiling.size, half = grid / 2;
    memcpy(model->scratch, small, (size_t)grid * (size_t)(half + 1) * sizeof *small);
    aid_fft_inverse(plan->small_fft, model->scratch, model->pixels);
    float scale = 1.0F / (float)(grid * grid);
    memset(window, 0, (size_t)size * (size_t)size * sizeof *window);
    for (int j = -half; j < half; j++)
        for (int i = -half; i < half; i++)
            window[(int64_t)wrap(j, size) * size + wrap(i, size)] =
                scale * model->pixels[wrap(j, grid) * grid + wrap(i, grid)];
    aid_fft_forward(plan->fft, window, ret_spectrum);
}
