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

static void plan_done(aid_subtraction *plan)
{
    aid_fft_free(plan->fft);
    aid_fft_free(plan->small_fft);
    aid_noise_spectra_done(&plan->noise);
    aid_noise_spectra_done(&plan->small_noise);
}

static aid_status plan_spectra(aid_subtraction *plan, aid_pool *pool, aid_notes *notes,
                               aid_error *err)
{
    aid_noise_correlation shared;
    AID_TRY(aid_fft_new(plan->tiling.size, plan->tiling.size, &plan->fft, err));
    AID_TRY(aid_fft_new(plan->grid, plan->grid, &plan->small_fft, err));
    AID_TRY(aid_measure_shared_noise(plan->science, plan->reference, pool, notes, &shared, err));
    AID_TRY(aid_noise_spectra_init(plan, &shared, plan->tiling.size, plan->fft, &plan->noise, err));
    return aid_noise_spectra_init(plan, &shared, plan->grid, plan->small_fft, &plan->small_noise,
                                  err);
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
    double reach = AID_MAX(4.0 * broad, plan->taper_px + 1.5 + AID_DELTA_HALF);
    plan->tiling = aid_tiling_plan(image->width, image->height, AID_MAX(20, (int)ceil(reach)));
}

/* --------------------------------------------------------------------------------- work space ---
 */

typedef struct tile_job {
    const aid_subtraction *plan;
    aid_workspace *spaces; /* one for each worker */
    aid_image *convolved;
    aid_maps *maps;
} tile_job;

static aid_status run_tiles(tile_job *job, aid_tile_task task, aid_pool *pool, aid_error *err)
{
    int workers = aid_pool_threads(pool);
    AID_TRY(aid_new_array((size_t)workers, sizeof *job->spaces, "tiles", &job->spaces, err));
    aid_status status = AID_OK;
    for (int i = 0; i < workers && status == AID_OK; i++)
        status = aid_workspace_init(job->plan, &job->spaces[i], err);
    if (status == AID_OK)
        status = aid_tiling_run(&job->plan->tiling, task, job, pool, err);
    for (int i = 0; i < workers; i++)
        aid_workspace_done(&job->spaces[i]);
    free(job->spaces);
    return status;
}

/* --------------------------------------------------------------------- first pass: K0 (x) C --- */

static aid_status convolve_tile(void *context, const aid_tile *tile, int worker, aid_error *err)
{
    (void)err;
    tile_job *job = context;
    const aid_subtraction *plan = job->plan;
    const aid_tiling *tiling = &plan->tiling;
    aid_workspace *space = &job->spaces[worker];
    const aid_exposure *sharp = plan->convolve_science ? plan->science : plan->reference;
    aid_local_model_evaluate(plan, tile->centre_x, tile->centre_y, false, &space->model);
    aid_small_to_tile(plan, plan->convolve_science ? space->model.a : space->model.b, &space->model,
                      space->window, space->kernel);
    aid_tile_load(tiling, tile, &sharp->image, space->window);
    aid_fft_forward(plan->fft, space->window, space->science);
    aid_multiply_modes((float *)space->science, (float *)space->kernel, plan->noise.modes,
                       (float *)space->work);
    aid_fft_inverse(plan->fft, space->work, space->window);
    aid_tile_blend(tiling, tile, space->window, 1.0 / ((double)tiling->size * tiling->size),
                   job->convolved);
    return AID_OK;
}

/* ---------------------------------------------------------------- second pass: D, S, S_R, V --- */

static void store_tile_sums(aid_maps *maps, const aid_tile *tile, const aid_tile_sums *sums)
{
    double norm = sums->norm;
    maps->white.values[tile->index] = (float)sums->difference_scale;
    maps->norm.values[tile->index] = (float)(1.0 / norm);
    maps->gradient_xx.values[tile->index] = (float)(sums->xx / norm);
    maps->gradient_yy.values[tile->index] = (float)(sums->yy / norm);
    maps->gradient_xy.values[tile->index] = (float)(sums->xy / norm);
}

/* Spectra of A, B and Pn on the tile's grid; for plain ZOGY B is f Pn. */
static void load_model(const aid_subtraction *plan, aid_workspace *space, aid_tile_spectra *in)
{
    aid_local_model *model = &space->model;
    aid_small_to_tile(plan, model->psf, model, space->window, space->target);
    in->psf = (float *)space->target;
    bool a_is_kernel = plan->method == AID_METHOD_ZOGY || plan->convolve_science;
    aid_small_to_tile(plan, a_is_kernel ? model->a : model->b, model, space->window, space->kernel);
    in->a = a_is_kernel ? (float *)space->kernel : NULL;
    in->b = a_is_kernel ? NULL : (float *)space->kernel;
    if (plan->method == AID_METHOD_ZOGY) {
        int64_t modes = plan->noise.modes;
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
    aid_workspace *space = &job->spaces[worker];
    const double sigma[2] = {aid_mesh_at(&plan->science->noise, tile->centre_x, tile->centre_y),
                             aid_mesh_at(&plan->reference->noise, tile->centre_x, tile->centre_y)};
    aid_local_model_evaluate(plan, tile->centre_x, tile->centre_y, true, &space->model);
    aid_tile_spectra in = {.variance = space->variance};
    load_model(plan, space, &in);
    aid_mode_variance(&plan->noise, (const float complex *)in.a, (const float complex *)in.b, sigma,
                      space->variance);
    aid_tile_sums sums = aid_small_filters(plan, sigma, &space->model);
    in.difference_scale = (float)sums.difference_scale;

    aid_tile_load(tiling, tile, &plan->science->image, space->window);
    aid_fft_forward(plan->fft, space->window, space->science);
    aid_tile_load(tiling, tile, &plan->reference->image, space->window);
    aid_fft_forward(plan->fft, space->window, space->reference);
    in.science = (float *)space->science;
    in.reference = (float *)space->reference;
    aid_tile_filtered out = {(float *)space->difference, (float *)space->score,
                             (float *)space->part};
    aid_filter_modes(&in, plan->noise.modes, &out);

    aid_source_variance(plan, space);
    aid_add_sky_variance(plan, tile, &sums, space->window);
    aid_tile_blend(tiling, tile, space->window, 1.0, &job->maps->variance);
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
    aid_mesh *meshes[] = {&maps->white, &maps->norm, &maps->gradient_xx, &maps->gradient_yy,
                          &maps->gradient_xy};
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
    aid_mesh_done(&maps->white);
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
    AID_TRY(plan_spectra(plan, pool, notes, err));
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
    return aid_finish_maps(plan, &maps, options, pool, notes, difference, err);
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
