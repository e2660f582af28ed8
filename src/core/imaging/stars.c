/* Detection by libsep in fixed bands of rows, then position, shape and flux of every star on its
 * own pixels. A source belongs to the band that holds its brightest pixel. */
#include "core/imaging/stars.h"

#include "core/base/memory.h"
#include "core/imaging/sep_library.h"
#include "core/imaging/star_shapes.h"
#include "core/imaging/stats.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum {
    BAND_ROWS = 512,
    OVERLAP_ROWS = 64, /* seen on either side of a band: sources larger than this may be cut */
    PIXEL_STACK = 1000000,
    SUB_OBJECTS = 8192,
    STARS_PER_TASK = 128,
    LOCUS_STARS = 400 /* the brightest that are sound */
};
static const float filter[9] = {1, 2, 1, 2, 4, 2, 1, 2, 1};
static const double filter_noise = 0.375;  /* sqrt(sum k^2)/sum k: sigma after filtering */
static const double filter_variance = 0.5; /* px^2 that filtering adds to second moments */
static const double deblend_contrast = 0.005;
static const int deblend_levels = 32;
static const double sigma_to_fwhm = 2.354820045030949;
static const double aperture_per_fwhm = 1.5;
/* A narrower window would see the pixel grid: at FWHM 1.75 px it triples the error of bright stars.
 */
static const double smallest_window_px = 1.0;

/* libsep keeps both limits for the whole process. */
static void set_library_limits(void)
{
    sep_set_extract_pixstack(PIXEL_STACK);
    sep_set_sub_object_limit(SUB_OBJECTS);
}

static void set_library_limits_once(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, set_library_limits);
}

/* ----------------------------------------------------------------------------------- detection */

typedef struct band_stars {
    int count;
    aid_star *items;
} band_stars;

typedef struct detect_job {
    const aid_image *image;
    const aid_mask *mask;
    const aid_mesh *noise;
    const aid_stars_options *options;
    band_stars *bands;
} detect_job;

/* The rows that a band looks at, as libsep wants them: contiguous, with noise and mask. */
typedef struct band_pixels {
    const float *data; /* the image's own where its rows are contiguous, else `copy` */
    float *copy, *noise;
    uint8_t *mask;
} band_pixels;

static void band_pixels_done(band_pixels *pixels)
{
    free(pixels->copy);
    free(pixels->noise);
    free(pixels->mask);
}

static aid_status band_pixels_init(const detect_job *job, int32_t begin, int32_t end,
                                   band_pixels *ret_pixels, aid_error *err)
{
    size_t width = (size_t)job->image->width, count = width * (size_t)(end - begin);
    AID_CLEANUP(band_pixels_done)
    band_pixels pixels = {0};
    bool contiguous = job->image->stride == job->image->width;
    if (!contiguous)
        AID_TRY(aid_new_buffer(count, sizeof(float), "band of pixels", &pixels.copy, err));
    pixels.data = contiguous ? aid_image_row(job->image, begin) : pixels.copy;
    AID_TRY(aid_new_buffer(count, sizeof(float), "band of noise", &pixels.noise, err));
    AID_TRY(aid_new_buffer(count, 1, "band of mask", &pixels.mask, err));
    for (int32_t y = begin; y < end; y++) {
        size_t at = (size_t)(y - begin) * width;
        const float *row = aid_image_row(job->image, y);
        if (!contiguous)
            memcpy(pixels.copy + at, row, width * sizeof *row);
        aid_mesh_row(job->noise, y, pixels.noise + at);
        /* Saturated cores stay in: without them a bright star would fall into fragments. */
        const uint8_t *mask = job->mask->data ? aid_mask_row(job->mask, y) : NULL;
        const uint8_t unsound = AID_MASK_BAD | AID_MASK_COSMIC_RAY | AID_MASK_NO_DATA;
        for (size_t x = 0; x < width; x++)
            pixels.mask[at + x] = !isfinite(row[x]) || (mask && mask[x] & unsound) ? 1 : 0;
    }
    *ret_pixels = pixels;
    pixels = (band_pixels){0};
    return AID_OK;
}

/* Where a band holds more pixels or pieces than the library's stacks, the threshold is doubled
 * until they fit: the bright sources are what everybody needs. */
static aid_status extract(const sep_image *pixels, const aid_stars_options *options,
                          sep_catalog **ret_catalog, aid_error *err)
{
    double threshold = options->threshold * filter_noise;
    int status = 0;
    for (int attempt = 0; attempt < 12; attempt++, threshold *= 2.0) {
        AID_SEP_LEAK_BEGIN();
        status =
            sep_extract(pixels, (float)threshold, SEP_THRESH_REL, options->min_pixels, filter, 3, 3,
                        SEP_FILTER_CONV, deblend_levels, deblend_contrast, 0, 1.0, ret_catalog);
        AID_SEP_LEAK_END();
        if (status == 0)
            return AID_OK;
    }
    char text[61] = "";
    sep_get_errmsg(status, text);
    AID_FAIL(err, AID_ERR_NUMERIC, "source extraction failed: %s", text);
}

static aid_star star_of_catalog(const sep_catalog *catalog, int i, int32_t first_row,
                                const aid_image *image)
{
    /* The filter widened the source; a single pixel is left with the width of a pixel. */
    double xx = AID_MAX(catalog->x2[i] - filter_variance, 1.0 / 12.0);
    double yy = AID_MAX(catalog->y2[i] - filter_variance, 1.0 / 12.0);
    double mean = 0.5 * (xx + yy), half = hypot(0.5 * (xx - yy), catalog->xy[i]);
    aid_star star = {.x = catalog->x[i],
                     .y = catalog->y[i] + first_row,
                     .flux = (double)catalog->flux[i],
                     .peak = (double)catalog->peak[i],
                     .a = sqrt(mean + half),
                     .b = sqrt(AID_MAX(mean - half, 1.0 / 12.0)),
                     .theta_deg = (double)catalog->theta[i] * 180.0 / 3.14159265358979323846,
                     .npix = catalog->npix[i]};
    bool at_border = catalog->xmin[i] == 0 || catalog->ymin[i] + first_row == 0 ||
                     catalog->xmax[i] == image->width - 1 ||
                     catalog->ymax[i] + first_row == image->height - 1;
    star.flags = at_border ? AID_STAR_TRUNCATED : 0;
    star.flags |= catalog->flag[i] & SEP_OBJ_MERGED ? AID_STAR_BLENDED : 0;
    return star;
}

static aid_status detect_band(void *context, int64_t band, int worker, aid_error *err)
{
    (void)worker;
    const detect_job *job = context;
    int64_t begin, end;
    aid_band_range(job->image->height, BAND_ROWS, band, &begin, &end);
    int32_t first = (int32_t)AID_MAX(begin - OVERLAP_ROWS, 0);
    int32_t last = (int32_t)AID_MIN(end + OVERLAP_ROWS, job->image->height);
    AID_CLEANUP(band_pixels_done)
    band_pixels pixels = {0};
    AID_TRY(band_pixels_init(job, first, last, &pixels, err));
    sep_image view = {.data = pixels.data,
                      .noise = pixels.noise,
                      .mask = pixels.mask,
                      .dtype = SEP_TFLOAT,
                      .ndtype = SEP_TFLOAT,
                      .mdtype = SEP_TBYTE,
                      .w = job->image->width,
                      .h = last - first,
                      .noise_type = SEP_NOISE_STDDEV};
    sep_catalog *catalog = NULL;
    AID_TRY(extract(&view, job->options, &catalog, err));
    band_stars *found = &job->bands[band];
    aid_status status =
        aid_new_buffer((size_t)catalog->nobj, sizeof *found->items, "stars", &found->items, err);
    for (int i = 0; status == AID_OK && i < catalog->nobj; i++) {
        int32_t row = catalog->ypeak[i] + first;
        aid_star star = star_of_catalog(catalog, i, first, job->image);
        /* Moments of pixels near the end of single precision's range overflow. */
        if (row >= begin && row < end && isfinite(star.x + star.y + star.a + star.b))
            found->items[found->count++] = star;
    }
    sep_catalog_free(catalog);
    return status;
}

static aid_status join_bands(const band_stars *bands, int64_t count, aid_stars *stars,
                             aid_error *err)
{
    size_t total = 0;
    for (int64_t i = 0; i < count; i++)
        total += (size_t)bands[i].count;
    AID_TRY(aid_new_buffer(total, sizeof *stars->items, "stars", &stars->items, err));
    for (int64_t i = 0; i < count; i++) {
        if (bands[i].count > 0)
            memcpy(stars->items + stars->count, bands[i].items,
                   (size_t)bands[i].count * sizeof *stars->items);
        stars->count += bands[i].count;
    }
    return AID_OK;
}

static aid_status detect(detect_job *job, aid_pool *pool, aid_stars *stars, aid_error *err)
{
    set_library_limits_once();
    int64_t count = aid_band_count(job->image->height, BAND_ROWS);
    AID_TRY(aid_new_array((size_t)count, sizeof *job->bands, "bands", &job->bands, err));
    aid_status status = aid_pool_run(pool, count, detect_band, job, err);
    if (status == AID_OK)
        status = join_bands(job->bands, count, stars, err);
    for (int64_t i = 0; i < count; i++)
        free(job->bands[i].items);
    free(job->bands);
    return status;
}

/* -------------------------------------------------------------------------------------- order */

static int compare_places(const aid_star *a, const aid_star *b)
{
    if (a->y != b->y)
        return a->y < b->y ? -1 : 1;
    return (a->x > b->x) - (a->x < b->x);
}

static int brighter_first(const void *left, const void *right)
{
    const aid_star *a = left, *b = right;
    if (a->flux != b->flux)
        return a->flux > b->flux ? -1 : 1;
    return compare_places(a, b);
}

static int lower_first(const void *left, const void *right)
{
    return compare_places(left, right);
}

static void sort_stars(aid_stars *stars, int (*order)(const void *, const void *))
{
    if (stars->count > 1)
        qsort(stars->items, (size_t)stars->count, sizeof *stars->items, order);
}

/* One source may be found twice, when it reaches over the overlap of two bands and is cut apart
 * differently in each, or when two pieces of it lead to the same centre: the brighter stays. */
static void drop_doubles(aid_stars *stars, double distance_px)
{
    sort_stars(stars, lower_first);
    for (int i = 0; i < stars->count; i++)
        for (int j = i + 1; j < stars->count; j++) {
            aid_star *a = &stars->items[i], *b = &stars->items[j];
            if (b->y - a->y > distance_px)
                break;
            if (hypot(b->x - a->x, b->y - a->y) <= distance_px)
                (a->flux < b->flux ? a : b)->npix = 0;
        }
    int kept = 0;
    for (int i = 0; i < stars->count; i++)
        if (stars->items[i].npix > 0)
            stars->items[kept++] = stars->items[i];
    stars->count = kept;
}

/* ------------------------------------------------------------------------------------ measuring */

typedef struct measure_job {
    const aid_image *image;
    const aid_mask *mask;
    const aid_mesh *noise;
    double gain, sigma_px, aperture_px; /* aperture 0: window only */
    aid_stars *stars;
} measure_job;

static aid_status measure_some(void *context, int64_t task, int worker, aid_error *err)
{
    (void)worker;
    (void)err;
    const measure_job *job = context;
    int64_t begin, end;
    aid_band_range(job->stars->count, STARS_PER_TASK, task, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        aid_star *star = &job->stars->items[i];
        star->flags &= ~(unsigned)AID_STAR_NO_WINDOW;
        if (!aid_star_window(job->image, job->sigma_px, star))
            star->flags |= AID_STAR_NO_WINDOW;
        if (job->aperture_px > 0.0)
            aid_star_aperture(job->image, job->mask, job->noise, job->aperture_px, job->gain, star);
    }
    return AID_OK;
}

static aid_status measure_all(measure_job *job, aid_pool *pool, aid_error *err)
{
    return aid_pool_run(pool, aid_band_count(job->stars->count, STARS_PER_TASK), measure_some, job,
                        err);
}

static double size_of(const aid_star *star)
{
    return sqrt(star->a * star->b);
}

/* No telescope makes stars narrower than this; cosmic rays and hot pixels are. */
static const double smallest_star_px = 0.5;

/* Width shared by the brightest stars that are not flagged with any of `unfit`; NaN for none. */
static double locus_without(const aid_stars *stars, unsigned unfit)
{
    double sizes[LOCUS_STARS];
    int count = 0;
    for (int i = 0; i < stars->count && count < LOCUS_STARS; i++) {
        const aid_star *star = &stars->items[i];
        if (!(star->flags & unfit) && star->b > smallest_star_px)
            sizes[count++] = size_of(star);
    }
    return aid_star_locus(sizes, count);
}

/* Stars by decreasing flux. Where hardly any is sound, the unsound ones must do. */
static double locus_of(const aid_stars *stars)
{
    double locus = locus_without(stars, ~0u);
    if (isnan(locus))
        locus = locus_without(stars, AID_STAR_SATURATED | AID_STAR_MASKED | AID_STAR_TRUNCATED);
    if (isnan(locus))
        locus = locus_without(stars, 0);
    return isnan(locus) && stars->count > 0 ? size_of(&stars->items[0]) : locus;
}

/* A quarter off the locus allows for a PSF that varies over the field; the second term is the error
 * of a width measured on few photons. */
static void classify(aid_stars *stars, double locus)
{
    for (int i = 0; i < stars->count; i++) {
        aid_star *star = &stars->items[i];
        double margin = 1.25 + 3.0 * star->flux_err / AID_MAX(star->flux, star->flux_err);
        if (size_of(star) > locus * margin)
            star->flags |= AID_STAR_EXTENDED;
        else if (size_of(star) < locus / margin)
            star->flags |= AID_STAR_SHARP;
    }
}

/* Twice through: the first window's width comes from the isophotes, the second from the first. */
static aid_status measure(measure_job *job, aid_pool *pool, aid_error *err)
{
    aid_stars *stars = job->stars;
    job->sigma_px = locus_of(stars);
    job->aperture_px = AID_MAX(aperture_per_fwhm * sigma_to_fwhm * job->sigma_px, 2.0);
    AID_TRY(measure_all(job, pool, err));
    sort_stars(stars, brighter_first);
    double locus = locus_of(stars);
    for (int i = 0; i < stars->count; i++)
        stars->items[i].flags &= ~(unsigned)(AID_STAR_SATURATED | AID_STAR_MASKED);
    stars->aperture_px =
        AID_CLAMP(aperture_per_fwhm * sigma_to_fwhm * locus, 2.0, AID_MAX_APERTURE_PX);
    job->sigma_px = AID_MAX(locus, smallest_window_px);
    job->aperture_px = stars->aperture_px;
    AID_TRY(measure_all(job, pool, err));
    drop_doubles(stars, 0.5);
    sort_stars(stars, brighter_first);
    locus = locus_of(stars);
    classify(stars, locus);
    stars->fwhm_px = sigma_to_fwhm * locus;
    return AID_OK;
}

/* ---------------------------------------------------------------------------------------- face */

void aid_stars_done(aid_stars *stars)
{
    free(stars->items);
    *stars = (aid_stars){0};
}

static aid_status check_arguments(const aid_image *image, const aid_mask *mask,
                                  const aid_mesh *noise, const aid_stars_options *options,
                                  aid_error *err)
{
    if (!(options->threshold > 0.0) || options->min_pixels < 1 || options->max_stars < 1)
        AID_FAIL(err, AID_ERR_INVALID,
                 "star detection: threshold %g, at least %d pixels, at most %d stars",
                 options->threshold, options->min_pixels, options->max_stars);
    if (noise->width != image->width || noise->height != image->height ||
        (mask->data && (mask->width != image->width || mask->height != image->height)))
        AID_FAIL(err, AID_ERR_INVALID,
                 "star detection: image %d x %d, noise mesh %d x %d, mask %d x %d", image->width,
                 image->height, noise->width, noise->height, mask->width, mask->height);
    return AID_OK;
}

aid_status aid_stars_find(const aid_image *image, const aid_mask *mask, const aid_mesh *noise,
                          const aid_stars_options *options, aid_pool *pool, aid_stars *ret_stars,
                          aid_error *err)
{
    AID_TRY(check_arguments(image, mask, noise, options, err));
    AID_CLEANUP(aid_stars_done)
    aid_stars stars = {.fwhm_px = NAN, .aperture_px = NAN};
    detect_job job = {.image = image, .mask = mask, .noise = noise, .options = options};
    AID_TRY(detect(&job, pool, &stars, err));
    drop_doubles(&stars, 1.0);
    sort_stars(&stars, brighter_first);
    stars.count = AID_MIN(stars.count, options->max_stars);
    if (stars.count > 0) {
        measure_job measuring = {
            .image = image, .mask = mask, .noise = noise, .gain = options->gain, .stars = &stars};
        AID_TRY(measure(&measuring, pool, err));
    }
    *ret_stars = stars;
    stars = (aid_stars){0};
    return AID_OK;
}
