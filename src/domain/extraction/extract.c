/* The stages of an extraction, one after the other. */
#include "core/base/memory.h"
#include "domain/extraction/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char stage[] = "extract";
enum { SMALLEST_SIDE = 8, SOURCES_PER_TASK = 256, MOST_LEVELS = 1024 };
/* A matched filter finds peaks; what belongs to them is had from a lower level. */
static const double matched_isophote = 2.5;
static const double pi = 3.14159265358979323846;

/* -------------------------------------------------------------------------------------- options */

static aid_status check_numbers(const aid_extraction_options *o, aid_error *err)
{
    if (!(o->threshold > 0.0 && o->threshold < 1e12))
        AID_FAIL(err, AID_ERR_INVALID, "detection threshold %g is not above 0", o->threshold);
    if (o->min_pixels < 0 || o->min_pixels > 100000)
        AID_FAIL(err, AID_ERR_INVALID, "least number of pixels %d is not between 0 and 100000",
                 o->min_pixels);
    if (o->deblend_levels < 1 || o->deblend_levels > MOST_LEVELS)
        AID_FAIL(err, AID_ERR_INVALID, "%d deblending levels are not between 1 and 1024",
                 o->deblend_levels);
    if (!(o->deblend_cont >= 0.0 && o->deblend_cont <= 1.0))
        AID_FAIL(err, AID_ERR_INVALID, "deblending contrast %g is not between 0 and 1",
                 o->deblend_cont);
    if (!(o->clean_param >= 0.0 && o->clean_param <= 10.0))
        AID_FAIL(err, AID_ERR_INVALID, "cleaning parameter %g is not between 0 and 10",
                 o->clean_param);
    if (o->background_cell_px < 8 || o->background_filter_cells < 1)
        AID_FAIL(err, AID_ERR_INVALID, "background cells of %d px, filtered over %d cells",
                 o->background_cell_px, o->background_filter_cells);
    if (!isnan(o->fwhm_px) && !(o->fwhm_px >= 0.5 && o->fwhm_px <= 40.0))
        AID_FAIL(err, AID_ERR_INVALID, "FWHM of %g px is not between 0.5 and 40", o->fwhm_px);
    if (!(o->kron_factor > 0.0 && o->kron_minimum >= 0.0))
        AID_FAIL(err, AID_ERR_INVALID, "Kron factor %g, least radius %g", o->kron_factor,
                 o->kron_minimum);
    if (o->max_sources < 1 || o->max_sources > AID_MAX_SOURCES)
        AID_FAIL(err, AID_ERR_INVALID, "at most %lld sources: not between 1 and %d",
                 (long long)o->max_sources, AID_MAX_SOURCES);
    return AID_OK;
}

static aid_status check_apertures(const aid_extraction_options *o, aid_error *err)
{
    double r = o->aperture_px, inner = o->annulus_inner_px, outer = o->annulus_outer_px;
    if (!isnan(r) && !(r > 0.0 && r <= 500.0))
        AID_FAIL(err, AID_ERR_INVALID, "aperture radius %g px is not between 0 and 500", r);
    if (inner == 0.0 && outer == 0.0)
        return AID_OK;
    if (!isnan(inner) && !(inner > 0.0 && (isnan(r) || r < inner)))
        AID_FAIL(err, AID_ERR_INVALID,
                 "the annulus begins at %g px, not outside the aperture of radius %g px", inner, r);
    if (!isnan(outer) && !(outer <= 1000.0 && (isnan(inner) || inner < outer)))
        AID_FAIL(err, AID_ERR_INVALID, "the annulus from %g to %g px is none, or above 1000 px",
                 inner, outer);
    if (!isnan(outer) && !isnan(r) && !(r < outer))
        AID_FAIL(err, AID_ERR_INVALID,
                 "the annulus ends at %g px, within the aperture of radius %g px", outer, r);
    return AID_OK;
}

aid_status aid_extraction_check(const aid_extraction_options *options, aid_error *err)
{
    AID_TRY(check_numbers(options, err));
    AID_TRY(check_apertures(options, err));
    if (!strcmp(options->filter, "psf"))
        return AID_OK;
    AID_CLEANUP(aid_kernel_done)
    aid_kernel kernel = {0};
    return aid_kernel_named(options->filter, &kernel, err);
}

static aid_status check_map(const char *what, const aid_image *map, const aid_image *image,
                            const char *name, aid_error *err)
{
    if (map && (map->width != image->width || map->height != image->height))
        AID_FAIL(err, AID_ERR_INVALID, "%s: %s map of %d x %d pixels for an image of %d x %d", name,
                 what, map->width, map->height, image->width, image->height);
    return AID_OK;
}

static aid_status check_input(const aid_extraction_input *input, aid_error *err)
{
    const aid_image *image = input->image;
    if (image->width < SMALLEST_SIDE || image->height < SMALLEST_SIDE)
        AID_FAIL(err, AID_ERR_INVALID, "%s: an image of %d x %d pixels; at least %d x %d is wanted",
                 input->name, image->width, image->height, SMALLEST_SIDE, SMALLEST_SIDE);
    AID_TRY(check_map("background", input->background, image, input->name, err));
    AID_TRY(check_map("noise", input->noise, image, input->name, err));
    const aid_mask *mask = input->mask;
    if (mask && mask->data && (mask->width != image->width || mask->height != image->height))
        AID_FAIL(err, AID_ERR_INVALID, "%s: a mask of %d x %d pixels for an image of %d x %d",
                 input->name, mask->width, mask->height, image->width, image->height);
    return AID_OK;
}

/* ------------------------------------------------------------------------------------ detection */

/* What is found, before it is measured. */
typedef struct detection {
    const aid_field *field;
    aid_kernel kernel, sharp; /* sharp: what a matched filter blurs is told apart by this one */
    aid_footprints footprints;
    uint8_t *blended;
    double peak_threshold, isophote; /* in the unit of the options */
    double noise_ratio;              /* of the filtered image, to what white noise would be */
    int min_pixels;
    /* SExtractor, looking for the pixel that must stand out of a neighbour's wings, passes over the
     * one that it sees next after min_pixels: where its catalogue is wanted, so must we. */
    bool passes_over;
    int64_t found; /* before cleaning */
    aid_source *items;
    aid_clean_item *cleans;
} detection;

static void detection_done(detection *found)
{
    aid_kernel_done(&found->kernel);
    aid_kernel_done(&found->sharp);
    aid_footprints_done(&found->footprints);
    free(found->blended);
    free(found->items);
    free(found->cleans);
}

/* The PSF's stamp as far as it counts: beyond 1.3 FWHM lies 1e-4 of the power. */
static aid_status kernel_of_psf(const aid_field *field, aid_kernel *ret_kernel, aid_error *err)
{
    const aid_psf *psf = &field->psf;
    int radius = AID_MIN((int)ceil(1.3 * field->fwhm_px), AID_MAX_KERNEL_SIDE / 2);
    radius = AID_MIN(radius, psf->radius_px);
    int side = 2 * radius + 1;
    AID_CLEANUP(aid_free_pointer)
    float *stamp = NULL;
    AID_TRY(aid_new_buffer((size_t)side * (size_t)side, sizeof *stamp, "PSF", &stamp, err));
    aid_psf_stamp(psf, 0.5 * field->image->width, 0.5 * field->image->height, 0.0, 0.0, radius,
                  stamp);
    return aid_kernel_of_stamp(stamp, side, true, ret_kernel, err);
}

static aid_status choose_kernel(aid_field *field, aid_kernel *ret_kernel, aid_error *err)
{
    if (strcmp(field->options->filter, "psf") != 0)
        return aid_kernel_named(field->options->filter, ret_kernel, err);
    if (isnan(field->options->fwhm_px)) {
        AID_TRY(aid_field_measure_psf(field, err));
        if (field->psf.terms > 0 && isfinite(field->fwhm_px))
            return kernel_of_psf(field, ret_kernel, err);
        if (isnan(field->fwhm_px)) {
            aid_note_add(field->notes, stage,
                         "no star tells the width of the PSF; the filter has FWHM 3 px");
            return aid_kernel_gaussian(3.0, true, ret_kernel, err);
        }
    }
    return aid_kernel_gaussian(field->fwhm_px, true, ret_kernel, err);
}

static void choose_thresholds(detection *found)
{
    const aid_extraction_options *options = found->field->options;
    double threshold = options->threshold;
    if (options->threshold_unit == AID_THRESHOLD_PIXEL_SIGMA)
        threshold /= found->kernel.noise * found->noise_ratio;
    bool matched = found->kernel.matched;
    found->peak_threshold = found->isophote = threshold;
    if (matched && options->threshold_unit != AID_THRESHOLD_COUNTS)
        found->isophote = AID_MIN(threshold, matched_isophote);
    found->min_pixels = options->min_pixels > 0 ? options->min_pixels : matched ? 1 : 5;
    found->passes_over = options->rim == AID_RIM_SEXTRACTOR;
}

static double threshold_at(const detection *found, const aid_source *source)
{
    if (found->field->options->threshold_unit == AID_THRESHOLD_COUNTS)
        return found->isophote;
    return found->isophote * found->noise_ratio * found->kernel.noise * source->noise;
}

/* Second moments within an isophote are too small. Half way up to the peak a Gaussian of true
 * variance v has 2 pi v ln(.) pixels fewer; SExtractor's ABCOR. */
static double isophote_shrinkage(const detection *found, int64_t i, const aid_source *source,
                                 double peak)
{
    double half_way = 0.5 * (source->threshold + peak), share = source->threshold / half_way;
    if (!(share > 0.0) || !(source->a * source->b > 0.0))
        return 1.0;
    double fewer =
        (double)(source->npix - aid_filtered_area_above(&found->footprints, i, half_way));
    double area = -2.0 * pi * log(AID_MIN(share, 0.99)) * source->a * source->b;
    return AID_CLAMP((fewer > 0.0 ? fewer : 1.0) / area, 1e-3, 1.0);
}

static aid_clean_item clean_item(const detection *found, int64_t i, const aid_source *source,
                                 const aid_filtered_peak *peak)
{
    double a = AID_MAX(source->a, 0.3), b = AID_MAX(source->b, 0.3);
    double c = cos(source->theta_deg * pi / 180.0), s = sin(source->theta_deg * pi / 180.0);
    return (aid_clean_item){.x = source->x,
                            .y = source->y,
                            .cxx = c * c / (a * a) + s * s / (b * b),
                            .cyy = s * s / (a * a) + c * c / (b * b),
                            .cxy = 2.0 * c * s * (1.0 / (a * a) - 1.0 / (b * b)),
                            .a = a,
                            .b = b,
                            .shrinkage = isophote_shrinkage(found, i, source, (double)peak->peak),
                            .flux = peak->flux,
                            .peak = (double)peak->peak,
                            .threshold = source->threshold,
                            .least = (double)peak->least - source->threshold,
                            .npix = source->npix};
}

static aid_status describe_some(void *context, int64_t task, int worker, aid_error *err)
{
    (void)worker;
    (void)err;
    detection *found = context;
    int64_t begin, end;
    aid_band_range(found->footprints.count, SOURCES_PER_TASK, task, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        aid_source *source = &found->items[i];
        aid_source_from_footprint(found->field, &found->footprints, i, source);
        if (found->kernel.matched) /* its footprints are wide and full of noise */
            aid_footprint_summit(&found->footprints, i, found->blended[i] == 1, &source->x_win,
                                 &source->y_win);
        aid_filtered_peak peak =
            aid_filtered_peak_of(&found->footprints, i, found->min_pixels, found->passes_over);
        source->threshold = threshold_at(found, source);
        source->snr =
            (double)peak.peak / (found->noise_ratio * found->kernel.noise * source->noise);
        source->flags |= found->blended[i] == 1 ? AID_SOURCE_BLENDED : 0;
        source->flags |= found->blended[i] == 2 ? AID_SOURCE_DEBLEND_LIMIT : 0;
        found->cleans[i] = clean_item(found, i, source, &peak);
        if (found->field->options->measure == AID_MEASURE_BASIC)
            aid_source_set_world(found->field->input->wcs, source);
    }
    return AID_OK;
}

static bool reaches_threshold(const detection *found, int64_t i)
{
    const aid_source *source = &found->items[i];
    if (found->peak_threshold <= found->isophote)
        return true;
    return source->snr > found->peak_threshold;
}

static bool higher_up(const aid_source *a, const aid_source *b)
{
    if (a->y_peak != b->y_peak)
        return a->y_peak < b->y_peak;
    return a->x_peak != b->x_peak ? a->x_peak < b->x_peak : a->id < b->id;
}

static int compare_places(const void *left, const void *right)
{
    const aid_source *a = left, *b = right;
    if (higher_up(a, b))
        return -1;
    return higher_up(b, a) ? 1 : 0;
}

/* Sources in their final order; the runs learn whose they are. `into` [count] from CLEAN, over the
 * candidates that `kept` lists. */
static aid_status number_sources(detection *found, const int64_t *into, const int64_t *kept,
                                 int64_t count, aid_sources *sources, aid_error *err)
{
    int64_t footprints = found->footprints.count, final = 0;
    AID_CLEANUP(aid_free_pointer)
    int64_t *number = NULL;
    AID_TRY(aid_new_buffer((size_t)footprints, sizeof *number, "sources", &number, err));
    for (int64_t i = 0; i < footprints; i++)
        number[i] = -1;
    for (int64_t i = 0; i < count; i++)
        final += into[i] < 0 ? 1 : 0;
    AID_TRY(aid_sources_init(final, sources, err));
    final = 0;
    for (int64_t i = 0; i < count; i++)
        if (into[i] < 0) {
            found->items[kept[i]].id = kept[i];
            sources->items[final++] = found->items[kept[i]];
        }
    if (final > 1)
        qsort(sources->items, (size_t) final, sizeof *sources->items, compare_places);
    for (int64_t i = 0; i < final; i++) {
        number[sources->items[i].id] = i;
        sources->items[i].id = i + 1;
    }
    for (int64_t i = 0; i < count; i++)
        if (into[i] >= 0)
            number[kept[i]] = number[kept[into[i]]];
    for (int64_t i = 0; i < footprints; i++)
        for (int64_t r = found->footprints.first[i]; r < found->footprints.first[i + 1]; r++)
            found->footprints.runs[r].owner = (int32_t)number[i];
    sources->cleaned = count - final;
    return AID_OK;
}

static aid_status clean_and_number(detection *found, aid_sources *sources, aid_error *err)
{
    int64_t all = found->footprints.count, count = 0;
    AID_CLEANUP(aid_free_pointer)
    int64_t *kept = NULL;
    AID_TRY(aid_new_buffer(2 * (size_t)all + 1, sizeof *kept, "sources", &kept, err));
    int64_t *into = kept + all;
    for (int64_t i = 0; i < all; i++)
        if (reaches_threshold(found, i)) {
            found->cleans[count] = found->cleans[i];
            kept[count++] = i;
        }
    found->found = count;
    const aid_extraction_options *options = found->field->options;
    AID_TRY(aid_clean(found->cleans, count, options->clean_param, into, err));
    AID_TRY(number_sources(found, into, kept, count, sources, err));
    if (sources->count > options->max_sources)
        AID_FAIL(err, AID_ERR_NUMERIC,
                 "%s: %lld sources are more than %lld; raise the threshold or the limit",
                 found->field->input->name, (long long)sources->count,
                 (long long)options->max_sources);
    return AID_OK;
}

/* Where few pixels are enough for a source, it must stand out of the saddle by so many sigma. */
static const double matched_prominence = 1.0;
/* And its light must be more than what lies under it by this share: where it meets others as faint
 * as itself on a bright ground, that is the ground's own noise. */
static const double matched_pedestal = 0.02;
/* Levels of a matched filter's pieces begin here, in sigma of the sharper image, and are so many
 * times as many: they reach farther down. */
static const double matched_base = 1.0;
enum { MATCHED_BRANCH_PIXELS = 3, MATCHED_LEVELS = 4 };

static aid_status find_footprints(const aid_field *field, detection *found, aid_error *err)
{
    const aid_extraction_options *options = field->options;
    bool matched = found->kernel.matched, counts = options->threshold_unit == AID_THRESHOLD_COUNTS;
    double isophote = found->isophote * (counts ? 1.0 : found->noise_ratio);
    aid_footprints_options finding = {
        .finds = &found->kernel, .threshold = isophote, .min_pixels = found->min_pixels};
    aid_deblend_options deblending = {.levels = options->deblend_levels,
                                      .min_pixels = found->min_pixels,
                                      .contrast = options->deblend_cont,
                                      .base = isophote,
                                      .noise = found->kernel.noise};
    if (matched) {
        AID_TRY(aid_kernel_named("default", &found->sharp, err));
        finding.measures = &found->sharp;
        deblending.min_pixels = AID_MAX(found->min_pixels, MATCHED_BRANCH_PIXELS);
        deblending.noise = found->sharp.noise;
        deblending.prominence = matched_prominence;
        deblending.pedestal = matched_pedestal;
        deblending.levels = AID_MIN(MATCHED_LEVELS * options->deblend_levels, MOST_LEVELS);
        deblending.of_neighbour = true; /* the low isophote makes one piece of many sources */
        if (!counts) {
            deblending.base = matched_base;
            deblending.summit = found->peak_threshold * found->noise_ratio * found->kernel.noise;
        }
    }
    AID_TRY(aid_footprints_find(field, &finding, &found->footprints, err));
    return aid_footprints_deblend(field, &deblending, &found->footprints, &found->blended, err);
}

static aid_status detect(aid_field *field, detection *found, aid_sources *sources, aid_error *err)
{
    found->field = field;
    AID_TRY(choose_kernel(field, &found->kernel, err));
    found->noise_ratio = 1.0;
    if (field->options->threshold_unit != AID_THRESHOLD_PIXEL_SIGMA)
        AID_TRY(aid_filtered_noise(field, &found->kernel, &found->noise_ratio, err));
    if (found->noise_ratio > 1.1)
        aid_note_add(
            field->notes, stage,
            "neighbouring pixels are alike: the filtered image has %.2f times the noise of "
            "independent ones",
            found->noise_ratio);
    choose_thresholds(found);
    AID_TRY(find_footprints(field, found, err));
    size_t count = (size_t)found->footprints.count;
    AID_TRY(aid_new_buffer(count, sizeof *found->items, "sources", &found->items, err));
    AID_TRY(aid_new_buffer(count, sizeof *found->cleans, "sources", &found->cleans, err));
    AID_TRY(aid_pool_run(field->pool, aid_band_count(found->footprints.count, SOURCES_PER_TASK),
                         describe_some, found, err));
    return clean_and_number(found, sources, err);
}

/* ----------------------------------------------------------------------------------------- face */

static void describe_run(const aid_field *field, const detection *found, aid_sources *sources)
{
    const aid_extraction_options *options = field->options;
    sources->found = found->found;
    sources->background = field->median_background;
    sources->noise = field->median_noise;
    sources->zero_point = options->zero_point;
    sources->threshold = found->peak_threshold;
    sources->fwhm_px = field->fwhm_px;
    snprintf(sources->method, sizeof sources->method, "%s",
             found->kernel.matched ? "psf" : "threshold");
    snprintf(sources->filter, sizeof sources->filter, "%s", options->filter);
}

static aid_status extract(aid_field *field, aid_sources *sources, aid_error *err)
{
    AID_CLEANUP(detection_done)
    detection found = {0};
    AID_CLEANUP(aid_owners_done)
    aid_owners owners = {0};
    AID_TRY(detect(field, &found, sources, err));
    describe_run(field, &found, sources);
    if (field->options->measure == AID_MEASURE_BASIC)
        return AID_OK;
    AID_TRY(aid_owners_init(&found.footprints, field->image->height, &owners, err));
    detection_done(&found);
    found = (detection){0};
    AID_TRY(aid_measure_sources(field, &owners, sources, err));
    return aid_field_complete(field, sources, err);
}

aid_status aid_extract(const aid_extraction_input *input, const aid_extraction_options *options,
                       aid_pool *pool, aid_notes *notes, aid_sources *ret_sources, aid_error *err)
{
    AID_TRY(aid_extraction_check(options, err));
    AID_TRY(check_input(input, err));
    AID_CLEANUP(aid_field_done)
    aid_field field = {0};
    AID_CLEANUP(aid_sources_done)
    aid_sources sources = {0};
    AID_TRY(aid_field_init(input, options, pool, notes, &field, err));
    AID_TRY(extract(&field, &sources, err));
    *ret_sources = sources;
    sources = (aid_sources){0};
    return AID_OK;
}
