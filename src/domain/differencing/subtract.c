/* One subtraction from plan to maps. The numbers in the comments are those of README.md. */
#include "core/base/memory.h"
#include "domain/differencing/internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The reference is convolved unless the science image is clearly the sharper one: it is usually the
 * deeper, and at equal widths the kernel's errors then act on the better known image. */
static const double clearly_sharper = 0.96;

/* ---------------------------------------------------------------------------------- the plan ---
 */

/* Power spectrum of noise with the given correlation, 1 on average; never below 0.02, so that a
 * frequency that resampling has emptied is not divided by. */
static aid_status noise_power(const aid_noise_correlation *correlation, int size,
                              const aid_fft *fft, float **ret_power, aid_error *err)
{
    size_t modes = (size_t)size * (size_t)(size / 2 + 1);
    AID_CLEANUP(aid_free_pointer)
    float *pixels = NULL, *power = NULL;
    AID_CLEANUP(aid_free_pointer)
    float complex *spectrum = NULL;
    AID_TRY(aid_new_array((size_t)size * (size_t)size, sizeof *pixels, "noise", &pixels, err));
    AID_TRY(aid_new_array(modes, sizeof *spectrum, "noise", &spectrum, err));
    AID_TRY(aid_new_array(modes, sizeof *power, "noise", &power, err));
    for (int dy = -AID_NOISE_LAG; dy <= AID_NOISE_LAG; dy++)
        for (int dx = -AID_NOISE_LAG; dx <= AID_NOISE_LAG; dx++) {
            float rho = correlation->measured
                            ? correlation->rho[dy + AID_NOISE_LAG][dx + AID_NOISE_LAG]
                            : (float)(dx == 0 && dy == 0);
            pixels[(size_t)((dy + size) % size) * (size_t)size + (size_t)((dx + size) % size)] =
                rho;
        }
    aid_fft_forward(fft, pixels, spectrum);
    for (size_t i = 0; i < modes; i++)
        power[i] = AID_MAX(crealf(spectrum[i]), 0.02F);
    *ret_power = power;
    power = NULL;
    return AID_OK;
}

static void plan_done(aid_subtraction *plan)
{
    aid_fft_free(plan->fft);
    aid_fft_free(plan->small_fft);
    free(plan->power_science);
    free(plan->power_reference);
    free(plan->small_power_science);
    free(plan->small_power_reference);
}

static aid_status plan_spectra(aid_subtraction *plan, aid_error *err)
{
    const aid_noise_correlation *science = &plan->science->correlation;
    const aid_noise_correlation *reference = &plan->reference->correlation;
    int size = plan->tiling.size;
    AID_TRY(aid_fft_new(size, size, &plan->fft, err));
    AID_TRY(aid_fft_new(plan->grid, plan->grid, &plan->small_fft, err));
    AID_TRY(noise_power(science, size, plan->fft, &plan->power_science, err));
    AID_TRY(noise_power(reference, size, plan->fft, &plan->power_reference, err));
    AID_TRY(noise_power(science, plan->grid, plan->small_fft, &plan->small_power_science, err));
    return noise_power(reference, plan->grid, plan->small_fft, &plan->small_power_reference, err);
}

static void plan_geometry(aid_subtraction *plan)
{
    const aid_image *image = &plan->science->image;
    double narrow = AID_MIN(plan->science->psf.fwhm_px, plan->reference->psf.fwhm_px);
    double broad = AID_MAX(plan->science->psf.fwhm_px, plan->reference->psf.fwhm_px);
    plan->psf_radius = AID_MAX(plan->science->psf.radius_px, plan->reference->psf.radius_px);
    plan->taper_px = AID_CLAMP(4.0 * narrow, 5.0, 24.0);
    plan->convolve_science =
        plan->science->psf.fwhm_px < clearly_sharper * plan->reference->psf.fwhm_px;
    plan->grid = aid_fft_good_size(AID_MAX(AID_SMALL_GRID_MIN, 4 * plan->psf_radius));
    plan->tiling =
        aid_tiling_plan(image->width, image->height, AID_MAX(20, (int)ceil(4.0 * broad)));
}

/* --------------------------------------------------------------------------------- work space ---
 */

typedef struct workspace { /* of one worker */
    aid_local_model model;
    float complex *science, *reference, *kernel, *target, *work; /* inputs of a tile */
    float complex *difference, *score, *part;                    /* and its outputs */
    float *window, *smooth;
} workspace;

static void workspace_done(workspace *space)
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
}

static aid_status workspace_init(const aid_subtraction *plan, workspace *space, aid_error *err)
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
    return aid_local_model_init(plan, &space->model, err);
}

typedef struct tile_job {
    const aid_subtraction *plan;
    workspace *spaces; /* one for each worker */
    aid_image *convolved;
    aid_maps *maps;
} tile_job;

static aid_status run_tiles(tile_job *job, aid_tile_task task, aid_pool *pool, aid_error *err)
{
    int workers = aid_pool_threads(pool);
    AID_TRY(aid_new_array((size_t)workers, sizeof *job->spaces, "tiles", &job->spaces, err));
    aid_status status = AID_OK;
    for (int i = 0; i < workers && status == AID_OK; i++)
        status = workspace_init(job->plan, &job->spaces[i], err);
    if (status == AID_OK)
        status = aid_tiling_run(&job->plan->tiling, task, job, pool, err);
    for (int i = 0; i < workers; i++)
        workspace_done(&job->spaces[i]);
    free(job->spaces);
    return status;
}

/* --------------------------------------------------------------------- first pass: K0 (x) C --- */

AID_HOT static void multiply(const float *restrict a, const float *restrict b, int64_t modes,
                             float *restrict to)
{
    for (int64_t i = 0; i < modes; i++) {
        float ar = a[2 * i], ai = a[2 * i + 1], br = b[2 * i], bi = b[2 * i + 1];
        to[2 * i] = ar * br - ai * bi;
        to[2 * i + 1] = ar * bi + ai * br;
    }
}

static int64_t tile_modes(const aid_subtraction *plan)
{
    return (int64_t)plan->tiling.size * (plan->tiling.size / 2 + 1);
}

static aid_status convolve_tile(void *context, const aid_tile *tile, int worker, aid_error *err)
{
    (void)err;
    tile_job *job = context;
    const aid_subtraction *plan = job->plan;
    const aid_tiling *tiling = &plan->tiling;
    workspace *space = &job->spaces[worker];
    const aid_exposure *sharp = plan->convolve_science ? plan->science : plan->reference;
    aid_local_model_evaluate(plan, tile->centre_x, tile->centre_y, false, &space->model);
    aid_small_to_tile(plan, plan->convolve_science ? space->model.a : space->model.b, &space->model,
                      space->window, space->kernel);
    aid_tile_load(tiling, tile, &sharp->image, space->window);
    aid_fft_forward(plan->fft, space->window, space->science);
    multiply((float *)space->science, (float *)space->kernel, tile_modes(plan),
             (float *)space->work);
    aid_fft_inverse(plan->fft, space->work, space->window);
    aid_tile_blend(tiling, tile, space->window, 1.0 / ((double)tiling->size * tiling->size),
                   job->convolved);
    return AID_OK;
}

/* ---------------------------------------------------------------- second pass: D, S, S_R, V --- */

typedef struct tile_sums {
    double norm;                           /* F = mean |A Pn|^2/den */
    double science, reference;             /* mean |kN|^2 pN and |kR|^2 pR */
    double white_science, white_reference; /* the same for white noise */
    double xx, yy, xy;                     /* of the gradient of S */
    double difference_scale;               /* sqrt(den(0))/A(0) */
} tile_sums;

/* kN and kR on the small grid (into model->a and model->b), and all sums: they are smooth enough in
 * frequency for it. */
static tile_sums small_filters(const aid_subtraction *plan, double sigma_science,
                               double sigma_reference, aid_local_model *model)
{
    const double pi = 3.14159265358979323846;
    int grid = plan->grid, columns = grid / 2 + 1;
    double vn = sigma_science * sigma_science, vr = sigma_reference * sigma_reference;
    tile_sums sums = {0};
    for (int j = 0; j < grid; j++) {
        double sin_y = sin(2.0 * pi * j / grid);
        for (int i = 0; i < columns; i++) {
            int k = j * columns + i;
            double twice = i == 0 || i == grid / 2 ? 1.0 : 2.0, sin_x = sin(2.0 * pi * i / grid);
            double ar = (double)crealf(model->a[k]), ai = (double)cimagf(model->a[k]);
            double br = (double)crealf(model->b[k]), bi = (double)cimagf(model->b[k]);
            double pr = (double)crealf(model->psf[k]), pi_ = (double)cimagf(model->psf[k]);
            double a2 = ar * ar + ai * ai, b2 = br * br + bi * bi;
            double pn = (double)plan->small_power_science[k];
            double pb = (double)plan->small_power_reference[k];
            double den = a2 * vn * pn + b2 * vr * pb;
            double tr = ar * pr - ai * pi_, ti = ar * pi_ + ai * pr; /* PT = A Pn */
            double sr = tr / den, si = -ti / den;                    /* conj(PT)/den */
            double power = twice * (tr * tr + ti * ti) / den;
            double k2 = twice * (sr * sr + si * si);
            sums.norm += power;
            sums.science += k2 * a2 * pn;
            sums.reference += k2 * b2 * pb;
            sums.white_science += k2 * a2;
            sums.white_reference += k2 * b2;
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
    sums.white_science *= scale, sums.white_reference *= scale;
    sums.xx *= scale, sums.yy *= scale, sums.xy *= scale;
    return sums;
}

typedef struct spectra { /* interleaved re, im; a or b NULL: 1 */
    const float *science, *reference, *a, *b, *psf;
    const float *power_science, *power_reference;
    float variance_science, variance_reference;
    float difference_scale;
} spectra;

typedef struct filtered {
    float *difference, *score, *reference;
} filtered;

/* U = A N - B R, then D = scale U/sqrt(den), S = conj(A Pn) U/den, S_R = conj(A Pn) B R/den. */
AID_HOT static void filter_modes(const spectra *in, int64_t modes, const filtered *out)
{
    const float *restrict n = in->science, *restrict r = in->reference, *restrict p = in->psf;
    const float *restrict pn = in->power_science, *restrict pb = in->power_reference;
    float *restrict d = out->difference, *restrict s = out->score, *restrict q = out->reference;
    float vn = in->variance_science, vr = in->variance_reference, scale = in->difference_scale;
    for (int64_t i = 0; i < modes; i++) {
        float ar = in->a ? in->a[2 * i] : 1.0F, ai = in->a ? in->a[2 * i + 1] : 0.0F;
        float br = in->b ? in->b[2 * i] : 1.0F, bi = in->b ? in->b[2 * i + 1] : 0.0F;
        float den = (ar * ar + ai * ai) * vn * pn[i] + (br * br + bi * bi) * vr * pb[i];
        float inverse = 1.0F / den, root = scale * sqrtf(inverse);
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
static void source_variance(const aid_subtraction *plan, const tile_sums *sums, workspace *space)
{
    aid_local_model *model = &space->model;
    int grid = plan->grid, size = plan->tiling.size;
    int64_t modes = tile_modes(plan);
    float *squared = (float *)model->psf; /* [grid][grid] fits: the spectrum has more */
    double gain_n = model->ratio / plan->science->gain * sums->science / sums->white_science;
    double gain_r = 1.0 / plan->reference->gain * sums->reference / sums->white_reference;
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
    multiply((float *)space->work, (float *)space->kernel, modes, (float *)space->target);
    aid_fft_inverse(plan->fft, space->target, space->window);
}

/* V = rN^2 cN + rR^2 cR + source noise, in flux units; `window` holds the (unnormalised) latter. */
static void add_sky_variance(const aid_subtraction *plan, const aid_tile *tile,
                             const tile_sums *sums, float *window)
{
    const aid_tiling *tiling = &plan->tiling;
    int size = tiling->size;
    double scale = 1.0 / ((double)size * size);
    for (int j = 0; j < size; j += 4)
        for (int i = 0; i < size; i += 4) { /* the meshes are smooth over 4 px */
            double x = tile->x0 + i + 1.5, y = tile->y0 + j + 1.5;
            double rn = aid_mesh_at(&plan->science->noise, x, y);
            double rr = aid_mesh_at(&plan->reference->noise, x, y);
            double sky = rn * rn * sums->science + rr * rr * sums->reference;
            for (int b = j; b < AID_MIN(j + 4, size); b++)
                for (int a = i; a < AID_MIN(i + 4, size); a++) {
                    float *value = &window[(int64_t)b * size + a];
                    *value = (float)(sky + AID_MAX((double)*value * scale, 0.0));
                }
        }
}

static void store_tile_sums(aid_maps *maps, const aid_tile *tile, const tile_sums *sums)
{
    double norm = sums->norm;
    maps->norm.values[tile->index] = (float)(1.0 / norm);
    maps->gradient_xx.values[tile->index] = (float)(sums->xx / (norm * norm));
    maps->gradient_yy.values[tile->index] = (float)(sums->yy / (norm * norm));
    maps->gradient_xy.values[tile->index] = (float)(sums->xy / (norm * norm));
}

/* Spectra of A, B and Pn on the tile's grid; for plain ZOGY B is f Pn. */
static void load_model(const aid_subtraction *plan, workspace *space, spectra *in)
{
    aid_local_model *model = &space->model;
    aid_small_to_tile(plan, model->psf, model, space->window, space->target);
    in->psf = (float *)space->target;
    bool a_is_kernel = plan->method == AID_METHOD_ZOGY || plan->convolve_science;
    aid_small_to_tile(plan, a_is_kernel ? model->a : model->b, model, space->window, space->kernel);
    in->a = a_is_kernel ? (float *)space->kernel : NULL;
    in->b = a_is_kernel ? NULL : (float *)space->kernel;
    if (plan->method == AID_METHOD_ZOGY) {
        int64_t modes = tile_modes(plan);
        for (int64_t i = 0; i < modes; i++)
            space->work[i] = CMPLXF((float)model->ratio * crealf(space->target[i]),
                                    (float)model->ratio * cimagf(space->target[i]));
        in->b = (float *)space->work;
    }
}

static aid_status subtract_tile(void *context, const aid_tile *tile, int worker, aid_error *err)
{
    (void)err;
    tile_job *job = context;
    const aid_subtraction *plan = job->plan;
    const aid_tiling *tiling = &plan->tiling;
    workspace *space = &job->spaces[worker];
    double sigma_n = aid_mesh_at(&plan->science->noise, tile->centre_x, tile->centre_y);
    double sigma_r = aid_mesh_at(&plan->reference->noise, tile->centre_x, tile->centre_y);
    aid_local_model_evaluate(plan, tile->centre_x, tile->centre_y, true, &space->model);
    spectra in = {.power_science = plan->power_science,
                  .power_reference = plan->power_reference,
                  .variance_science = (float)(sigma_n * sigma_n),
                  .variance_reference = (float)(sigma_r * sigma_r)};
    load_model(plan, space, &in);
    tile_sums sums = small_filters(plan, sigma_n, sigma_r, &space->model);
    in.difference_scale = (float)sums.difference_scale;

    aid_tile_load(tiling, tile, &plan->science->image, space->window);
    aid_fft_forward(plan->fft, space->window, space->science);
    aid_tile_load(tiling, tile, &plan->reference->image, space->window);
    aid_fft_forward(plan->fft, space->window, space->reference);
    in.science = (float *)space->science;
    in.reference = (float *)space->reference;
    filtered out = {(float *)space->difference, (float *)space->score, (float *)space->part};
    filter_modes(&in, tile_modes(plan), &out);

    source_variance(plan, &sums, space);
    add_sky_variance(plan, tile, &sums, space->window);
    aid_tile_blend(tiling, tile, space->window, 1.0 / (sums.norm * sums.norm),
                   &job->maps->variance);
    double scale = 1.0 / ((double)tiling->size * tiling->size);
    aid_fft_inverse(plan->fft, space->difference, space->window);
    aid_tile_blend(tiling, tile, space->window, scale, &job->maps->difference);
    aid_fft_inverse(plan->fft, space->score, space->window);
    aid_tile_blend(tiling, tile, space->window, scale / sums.norm, &job->maps->flux);
    aid_fft_inverse(plan->fft, space->part, space->window);
    aid_tile_blend(tiling, tile, space->window, scale / sums.norm, &job->maps->flux_reference);
    store_tile_sums(job->maps, tile, &sums);
    return AID_OK;
}

static aid_status maps_init(const aid_subtraction *plan, aid_maps *maps, aid_error *err)
{
    const aid_tiling *tiling = &plan->tiling;
    aid_image *images[] = {&maps->flux, &maps->flux_reference, &maps->variance};
    aid_mesh *meshes[] = {&maps->norm, &maps->gradient_xx, &maps->gradient_yy, &maps->gradient_xy};
    if (!maps->difference.data)
        AID_TRY(aid_image_init(tiling->width, tiling->height, &maps->difference, err));
    memset(maps->difference.data, 0,
           (size_t)tiling->width * (size_t)tiling->height * sizeof(float));
    for (size_t i = 0; i < AID_COUNT_OF(images); i++)
        AID_TRY(aid_image_init(tiling->width, tiling->height, images[i], err));
    for (size_t i = 0; i < AID_COUNT_OF(meshes); i++)
        AID_TRY(
            aid_mesh_init(tiling->width, tiling->height, tiling->nx, tiling->ny, meshes[i], err));
    return AID_OK;
}

void aid_maps_done(aid_maps *maps)
{
    aid_image_done(&maps->difference);
    aid_image_done(&maps->flux);
    aid_image_done(&maps->flux_reference);
    aid_image_done(&maps->variance);
    aid_mesh_done(&maps->norm);
    aid_mesh_done(&maps->gradient_xx);
    aid_mesh_done(&maps->gradient_yy);
    aid_mesh_done(&maps->gradient_xy);
}

/* ---------------------------------------------------------------------------------- the whole ---
 */

/* Bits of both images, and how far around them a filter is spoilt: a pixel that was filled in hurts
 * its own PSF's width, a saturated star much more. */
static aid_status make_mask(const aid_subtraction *plan, aid_pool *pool, aid_mask *ret_mask,
                            aid_error *err)
{
    const aid_mask *science = &plan->science->mask, *reference = &plan->reference->mask;
    aid_mask mask;
    AID_TRY(aid_mask_init(science->width, science->height, &mask, err));
    int64_t count = (int64_t)mask.width * mask.height;
    for (int64_t i = 0; i < count; i++) {
        uint8_t from_reference = reference->data[i];
        mask.data[i] = (uint8_t)(science->data[i] | from_reference |
                                 (from_reference ? AID_MASK_REFERENCE : 0));
    }
    double fwhm = AID_MAX(plan->science->psf.fwhm_px, plan->reference->psf.fwhm_px);
    const uint8_t single = AID_MASK_BAD | AID_MASK_COSMIC_RAY | AID_MASK_NO_DATA;
    aid_status status =
        aid_mask_grow(&mask, single, AID_CLAMP(0.8 * fwhm, 1.5, 3.2), AID_MASK_GROWN, pool, err);
    if (status == AID_OK)
        status = aid_mask_grow(&mask, AID_MASK_SATURATED, AID_CLAMP(4.0 * fwhm, 15.5, 48.0),
                               AID_MASK_GROWN, pool, err);
    int margin = (int)ceil(0.75 * fwhm) + 2;
    for (int y = 0; y < mask.height; y++)
        for (int x = 0; x < mask.width; x++)
            if (AID_MIN(AID_MIN(x, y), AID_MIN(mask.width - 1 - x, mask.height - 1 - y)) < margin)
                aid_mask_row(&mask, y)[x] |= AID_MASK_EDGE;
    if (status != AID_OK) {
        aid_mask_done(&mask);
        return status;
    }
    *ret_mask = mask;
    return AID_OK;
}

/* The kernel's correction where the objects allow one; otherwise plain ZOGY, unless asked not to.
 */
static aid_status choose_kernel(aid_subtraction *plan, aid_method wanted, tile_job *job,
                                aid_difference *difference, aid_pool *pool, aid_error *err)
{
    plan->method = wanted == AID_METHOD_ZOGY ? AID_METHOD_ZOGY : AID_METHOD_HYBRID;
    if (plan->method == AID_METHOD_ZOGY)
        return AID_OK;
    AID_TRY(run_tiles(job, convolve_tile, pool, err));
    AID_TRY(aid_fit_correction(plan, job->convolved, &difference->mask, pool, difference, err));
    if (!plan->has_correction && wanted == AID_METHOD_AUTO)
        plan->method = AID_METHOD_ZOGY;
    return AID_OK;
}

static aid_status subtract(aid_subtraction *plan, const aid_difference_options *options,
                           aid_pool *pool, aid_notes *notes, aid_difference *difference,
                           aid_error *err)
{
    plan_geometry(plan);
    AID_TRY(plan_spectra(plan, err));
    AID_TRY(make_mask(plan, pool, &difference->mask, err));
    AID_CLEANUP(aid_maps_done)
    aid_maps maps = {0};
    AID_TRY(aid_image_init(plan->tiling.width, plan->tiling.height, &maps.difference, err));
    tile_job job = {.plan = plan, .convolved = &maps.difference, .maps = &maps};
    AID_TRY(choose_kernel(plan, options->method, &job, difference, pool, err));
    if (plan->method == AID_METHOD_ZOGY && options->method == AID_METHOD_AUTO)
        aid_note_add(notes, "subtract", "plain ZOGY: %d objects are too few to fit the kernel on",
                     difference->kernel_objects);
    AID_TRY(maps_init(plan, &maps, err));
    AID_TRY(run_tiles(&job, subtract_tile, pool, err));
    difference->method = plan->method;
    difference->convolved_science = plan->convolve_science;
    return aid_finish_maps(plan, &maps, options, pool, difference, err);
}

static aid_status check_inputs(const aid_exposure *science, const aid_exposure *reference,
                               aid_error *err)
{
    if (science->image.width != reference->image.width ||
        science->image.height != reference->image.height)
        AID_FAIL(err, AID_ERR_INVALID, "%s is %d x %d px and %s %d x %d: not one pixel grid",
                 science->name, science->image.width, science->image.height, reference->name,
                 reference->image.width, reference->image.height);
    const aid_exposure *both[] = {science, reference};
    for (size_t i = 0; i < 2; i++)
        if (both[i]->psf.terms == 0)
            AID_FAIL(err, AID_ERR_NUMERIC, "%s: no PSF could be built from its %d sources",
                     both[i]->name, both[i]->stars.count);
    return AID_OK;
}

aid_status aid_subtract(const aid_exposure *science, const aid_exposure *reference,
                        const aid_difference_options *options, aid_pool *pool, aid_notes *notes,
                        aid_difference *ret_difference, aid_error *err)
{
    AID_TRY(check_inputs(science, reference, err));
    aid_difference difference = {.kernel_sum = 1.0};
    AID_TRY(aid_match_photometry(science, reference, notes, &difference.match, err));
    aid_subtraction plan = {.science = science, .reference = reference, .match = &difference.match};
    aid_status status = subtract(&plan, options, pool, notes, &difference, err);
    plan_done(&plan);
    if (status != AID_OK) {
        aid_difference_done(&difference);
        return status;
    }
    *ret_difference = difference;
    return AID_OK;
}

void aid_difference_done(aid_difference *difference)
{
    aid_image_done(&difference->difference);
    aid_image_done(&difference->score);
    aid_image_done(&difference->flux);
    aid_image_done(&difference->flux_err);
    aid_image_done(&difference->motion);
    aid_image_done(&difference->psf);
    aid_image_done(&difference->psf_science_pixel);
    aid_image_done(&difference->psf_reference_pixel);
    aid_mask_done(&difference->mask);
    free(difference->match.stars);
    *difference = (aid_difference){0};
}
