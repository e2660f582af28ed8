/* The filters of one tile: D, S, S_R and the variance of S. The numbers are those of README.md. */
#include "core/base/memory.h"
#include "domain/differencing/internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --------------------------------------------------------------------------------- work space */

void aid_workspace_done(aid_workspace *space)
{
    aid_local_model_done(&space->model);
    free(space->science);
    free(space->reference);
    free(space->kernel);
    free(space->target);
    free(space->work);
    free(space->difference);
    free(space->score);
    free(space->part);
    free(space->window);
    free(space->smooth);
    free(space->variance);
}

aid_status aid_workspace_init(const aid_subtraction *plan, aid_workspace *space, aid_error *err)
{
    size_t size = (size_t)plan->tiling.size, modes = size * (size / 2 + 1);
    float complex **spectra[] = {&space->science, &space->reference, &space->kernel,
                                 &space->target,  &space->work,      &space->difference,
                                 &space->score,   &space->part};
    float **windows[] = {&space->window, &space->smooth};
    for (size_t i = 0; i < AID_COUNT_OF(spectra); i++)
        AID_TRY(aid_new_array(modes, sizeof **spectra[i], "tile", spectra[i], err));
    for (size_t i = 0; i < AID_COUNT_OF(windows); i++)
        AID_TRY(aid_new_array(size * size, sizeof **windows[i], "tile", windows[i], err));
    AID_TRY(aid_new_array(modes, sizeof *space->variance, "tile", &space->variance, err));
    return aid_local_model_init(plan, &space->model, err);
}

/* ------------------------------------------------------------------------------------ filters */

AID_HOT void aid_multiply_modes(const float *restrict a, const float *restrict b, int64_t modes,
                                float *restrict to)
{
    for (int64_t i = 0; i < modes; i++) {
        float ar = a[2 * i], ai = a[2 * i + 1], br = b[2 * i], bi = b[2 * i + 1];
        to[2 * i] = ar * br - ai * bi;
        to[2 * i + 1] = ar * bi + ai * br;
    }
}

/* 2 Re(conj(A) B G) of one mode: what shared noise takes off, before |PT/den|^2. */
static double shared_part(const aid_noise_spectra *noise, int mode, float complex a,
                          float complex b)
{
    if (!noise->shared)
        return 0.0;
    float complex g = noise->shared[mode];
    double re = (double)(crealf(a) * crealf(b) + cimagf(a) * cimagf(b));
    double im = (double)(crealf(a) * cimagf(b) - cimagf(a) * crealf(b));
    return 2.0 * (re * (double)crealf(g) - im * (double)cimagf(g));
}

/* kN and kR on the small grid (into model->a and model->b), and all sums: they are smooth enough in
 * frequency for it. */
aid_tile_sums aid_small_filters(const aid_subtraction *plan, const double sigma[2],
                                aid_local_model *model)
{
    const double pi = 3.14159265358979323846;
    int grid = plan->grid, columns = grid / 2 + 1;
    aid_tile_sums sums = {0};
    aid_mode_variance(&plan->small_noise, model->a, model->b, sigma, model->variance);
    for (int j = 0; j < grid; j++) {
        double sin_y = sin(2.0 * pi * j / grid);
        for (int i = 0; i < columns; i++) {
            int k = j * columns + i;
            double twice = i == 0 || i == grid / 2 ? 1.0 : 2.0, sin_x = sin(2.0 * pi * i / grid);
            double ar = (double)crealf(model->a[k]), ai = (double)cimagf(model->a[k]);
            double br = (double)crealf(model->b[k]), bi = (double)cimagf(model->b[k]);
            double pr = (double)crealf(model->psf[k]), pi_ = (double)cimagf(model->psf[k]);
            double a2 = ar * ar + ai * ai, b2 = br * br + bi * bi;
            double pn = (double)plan->small_noise.science[k];
            double pb = (double)plan->small_noise.reference[k];
            double den = (double)model->variance[k];
            double tr = ar * pr - ai * pi_, ti = ar * pi_ + ai * pr; /* PT = A Pn */
            double sr = tr / den, si = -ti / den;                    /* conj(PT)/den */
            double power = twice * (tr * tr + ti * ti) / den;
            double k2 = twice * (sr * sr + si * si);
            sums.norm += power;
            sums.science += k2 * a2 * pn;
            sums.reference += k2 * b2 * pb;
            sums.shared += k2 * shared_part(&plan->small_noise, k, model->a[k], model->b[k]);
            sums.xx += power * sin_x * sin_x;
            sums.yy += power * sin_y * sin_y;
            sums.xy += i == 0 || i == grid / 2 ? 0.0 : power * sin_x * sin_y;
            if (k == 0)
                sums.difference_scale = sqrt(den) / ar;
            model->a[k] = CMPLXF((float)(sr * ar - si * ai), (float)(sr * ai + si * ar));
            model->b[k] = CMPLXF((float)(sr * br - si * bi), (float)(sr * bi + si * br));
        }
    }
    double scale = 1.0 / ((double)grid * grid);
    sums.norm *= scale, sums.science *= scale, sums.reference *= scale;
    sums.shared *= scale;
    sums.xx *= scale, sums.yy *= scale, sums.xy *= scale;
    return sums;
}

/* U = A N - B R, then D = scale U/sqrt(den), S = conj(A Pn) U/den, S_R = conj(A Pn) B R/den. */
AID_HOT void aid_filter_modes(const aid_tile_spectra *in, int64_t modes,
                              const aid_tile_filtered *out)
{
    const float *restrict n = in->science, *restrict r = in->reference, *restrict p = in->psf;
    const float *restrict den = in->variance;
    float *restrict d = out->difference, *restrict s = out->score, *restrict q = out->reference;
    float scale = in->difference_scale;
    for (int64_t i = 0; i < modes; i++) {
        float ar = in->a ? in->a[2 * i] : 1.0F, ai = in->a ? in->a[2 * i + 1] : 0.0F;
        float br = in->b ? in->b[2 * i] : 1.0F, bi = in->b ? in->b[2 * i + 1] : 0.0F;
        float inverse = 1.0F / den[i], root = scale * sqrtf(inverse);
        float cr = br * r[2 * i] - bi * r[2 * i + 1], ci = br * r[2 * i + 1] + bi * r[2 * i];
        float ur = ar * n[2 * i] - ai * n[2 * i + 1] - cr;
        float ui = ar * n[2 * i + 1] + ai * n[2 * i] - ci;
        float tr = (ar * p[2 * i] - ai * p[2 * i + 1]) * inverse;
        float ti = -(ar * p[2 * i + 1] + ai * p[2 * i]) * inverse;
        d[2 * i] = root * ur;
        d[2 * i + 1] = root * ui;
        s[2 * i] = tr * ur - ti * ui;
        s[2 * i + 1] = tr * ui + ti * ur;
        q[2 * i] = tr * cr - ti * ci;
        q[2 * i + 1] = tr * ci + ti * cr;
    }
}

/* Smoothed, non-negative reference: the expected source counts under the null hypothesis. */
AID_HOT static void smooth_rows(const float *restrict in, int size, float *restrict out)
{
    const float w0 = 0.49867785F, w1 = 0.22831136F, w2 = 0.02191141F, w3 = 0.00044083F; /* .8 px */
    for (int y = 0; y < size; y++) {
        const float *row = in + (int64_t)y * size;
        float *to = out + (int64_t)y * size;
        for (int x = 3; x < size - 3; x++)
            to[x] = w0 * row[x] + w1 * (row[x - 1] + row[x + 1]) + w2 * (row[x - 2] + row[x + 2]) +
                    w3 * (row[x - 3] + row[x + 3]);
    }
}

AID_HOT static void smooth_columns(const float *restrict in, int size, float *restrict out)
{
    const float w0 = 0.49867785F, w1 = 0.22831136F, w2 = 0.02191141F, w3 = 0.00044083F;
    for (int y = 3; y < size - 3; y++)
        for (int x = 0; x < size; x++) {
            const float *at = in + (int64_t)y * size + x;
            float value = w0 * at[0] + w1 * (at[-size] + at[size]) +
                          w2 * (at[-2 * size] + at[2 * size]) + w3 * (at[-3 * size] + at[3 * size]);
            out[(int64_t)y * size + x] = value > 0.0F ? value : 0.0F;
        }
}

/* Source noise: r0 (x) (f/g_n kN^2 + 1/g_r kR^2), r0 the smoothed reference (window holds R). */
void aid_source_variance(const aid_subtraction *plan, aid_workspace *space)
{
    aid_local_model *model = &space->model;
    int grid = plan->grid, size = plan->tiling.size;
    int64_t modes = plan->noise.modes;
    float *squared = (float *)model->psf; /* [grid][grid] fits: the spectrum has more */
    /* The gains are those of whole sources: interpolation has not been taken off them. */
    double gain_n = model->ratio / plan->science->gain, gain_r = 1.0 / plan->reference->gain;
    double scale = 1.0 / ((double)grid * grid);
    aid_fft_inverse(plan->small_fft, model->a, model->pixels);
    for (int i = 0; i < grid * grid; i++) {
        double value = (double)model->pixels[i] * scale;
        squared[i] = (float)(gain_n * value * value);
    }
    aid_fft_inverse(plan->small_fft, model->b, model->pixels);
    for (int i = 0; i < grid * grid; i++) {
        double value = (double)model->pixels[i] * scale;
        squared[i] += (float)(gain_r * value * value);
    }
    aid_fft_forward(plan->small_fft, squared, model->a);

    memset(space->smooth, 0, (size_t)size * (size_t)size * sizeof *space->smooth);
    smooth_rows(space->window, size, space->smooth);
    smooth_columns(space->smooth, size, space->window);
    aid_fft_forward(plan->fft, space->window, space->work);
    aid_small_to_tile(plan, model->a, model, space->smooth, space->kernel);
    aid_multiply_modes((float *)space->work, (float *)space->kernel, modes, (float *)space->target);
    aid_fft_inverse(plan->fft, space->target, space->window);
}

/* V = (rN^2 cN + rR^2 cR + source noise)/F^2, the variance of the flux; `window` holds the
 * (unnormalised) source noise. F^2 goes with the fourth power of the unit: no float holds it alone.
 */
void aid_add_sky_variance(const aid_subtraction *plan, const aid_tile *tile,
                          const aid_tile_sums *sums, float *window)
{
    const aid_tiling *tiling = &plan->tiling;
    int size = tiling->size;
    double scale = 1.0 / ((double)size * size), to_flux = 1.0 / (sums->norm * sums->norm);
    for (int j = 0; j < size; j += 4)
        for (int i = 0; i < size; i += 4) { /* the meshes are smooth over 4 px */
            double x = tile->x0 + i + 1.5, y = tile->y0 + j + 1.5;
            double rn = aid_mesh_at(&plan->science->noise, x, y);
            double rr = aid_mesh_at(&plan->reference->noise, x, y);
            double own = rn * rn * sums->science + rr * rr * sums->reference;
            double sky = AID_MAX(own - rn * rr * sums->shared, 0.05 * own); /* as in den */
            for (int b = j; b < AID_MIN(j + 4, size); b++)
                for (int a = i; a < AID_MIN(i + 4, size); a++) {
                    float *value = &window[(int64_t)b * size + a];
                    *value = (float)(to_flux * (sky + AID_MAX((double)*value * scale, 0.0)));
                }
        }
}
