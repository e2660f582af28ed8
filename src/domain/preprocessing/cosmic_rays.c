/* Hits that are sharper than the optics can make a point source. In the spirit of van Dokkum
 * (2001), who compares the Laplacian with the fine structure of the image; here the comparison is
 * with the sharpest star that the image's own width allows.
 *
 * In a Gaussian of width s, wherever its centre lies among the pixels, the mean of two opposite
 * neighbours at distance d is at least f(d) = exp(-d^2/2s^2) of the pixel between them:
 * f cosh(x d/s^2) exactly. For a Moffat profile f(d) = (1 + d^2/alpha^2)^-beta. Both sides are
 * linear in the light, so the same holds for any sum of stars, a galaxy or a crowd, whatever its
 * brightness. What falls short of it beyond the noise did not come through the optics. */
#include "core/base/memory.h"
#include "core/imaging/stats.h"
#include "domain/preprocessing/prepare_internal.h"

#include <stdlib.h>

enum { AXES = 4, RING = 16, BLOCK = 16 };
static const int axis_step[AXES][2] = {{1, 0}, {0, 1}, {1, 1}, {1, -1}};

static const double seed_sigma = 6.0; /* height of a hit */
static const double lack_sigma = 5.0; /* by which its neighbours fall short of any star's */
static const double tail_sigma = 4.0; /* height of what hangs on to a hit */
static const double tail_lack_sigma = 3.0;
static const double skirt_sigma = 3.0;        /* height of what is lit up beside a hit */
static const double calibration_error = 0.02; /* of a pixel: flat field, linearity */
static const double safety = 0.9;             /* of the limits, for optics of other shapes */
static const double widest_px = 1.7;          /* a broader star gives no sharper test */

typedef struct hit_job {
    const aid_image *image;
    aid_mask *mask;
    const aid_mesh *noise;
    double gain, least_noise;
    double limit[AXES]; /* f of each axis */
    aid_hits *hits;     /* [bands] */
} hit_job;

/* The least of a Gaussian's and a Moffat's (beta = 3) of the same FWHM. */
static double limit_of_stars(double sigma, double distance)
{
    double squared = distance * distance, fwhm = 2.354820045 * sigma;
    double alpha = fwhm / (2.0 * sqrt(pow(2.0, 1.0 / 3.0) - 1.0));
    double gaussian = exp(-0.5 * squared / (sigma * sigma));
    double moffat = pow(1.0 + squared / (alpha * alpha), -3.0);
    return safety * AID_MIN(gaussian, moffat);
}

/* ------------------------------------------------------------------------------------- judging */

/* 5 x 5 pixels around (x, y), row by row; NaN: masked. */
static void read_box(const hit_job *job, int32_t x, int32_t y, double box[25])
{
    for (int32_t j = 0; j < 5; j++) {
        const float *row = aid_image_row(job->image, y + j - 2) + x - 2;
        const uint8_t *mask = aid_mask_row(job->mask, y + j - 2) + x - 2;
        for (int32_t i = 0; i < 5; i++)
            box[5 * j + i] = mask[i] ? NAN : (double)row[i];
    }
}

/* Where the background was taken too high, its error is not to be mistaken for missing neighbours:
 * light is counted from the median of the outer ring if that is below zero. */
static double baseline(const double box[25])
{
    double ring[RING];
    int count = 0;
    for (int k = 0; k < 25; k++)
        if ((k < 5 || k >= 20 || k % 5 == 0 || k % 5 == 4) && isfinite(box[k]))
            ring[count++] = box[k];
    double median = aid_median_in_place_f64(ring, count);
    return median < 0.0 ? median : 0.0;
}

/* By how many sigma the mean of `count` neighbours falls short of `limit` times the height. */
static double lack(const hit_job *job, double height, double mean, int count, double limit,
                   double sigma)
{
    double variance_pixel = sigma * sigma + height / job->gain;
    double variance_mean = (sigma * sigma + AID_MAX(mean, 0.0) / job->gain) / count;
    double error = calibration_error * height;
    return (limit * height - mean) /
           sqrt(limit * limit * variance_pixel + variance_mean + error * error);
}

static bool is_too_sharp(const hit_job *job, const double box[25], double sigma,
                         double least_height, double least_lack)
{
    if (!isfinite(box[12]))
        return false;
    double base = baseline(box), height = box[12] - base, worst = -INFINITY, nearest = 0.0;
    if (!(height > least_height * sigma))
        return false;
    bool whole = true;
    for (int axis = 0; axis < AXES; axis++) {
        int step = axis_step[axis][0] + 5 * axis_step[axis][1];
        double mean = 0.5 * (box[12 - step] + box[12 + step]) - base;
        if (isfinite(mean))
            worst = AID_MAX(worst, lack(job, height, mean, 2, job->limit[axis], sigma));
        whole = whole && (axis > 1 || isfinite(mean));
        nearest += axis < 2 ? 0.5 * mean : 0.0;
    }
    if (whole)
        worst = AID_MAX(worst, lack(job, height, nearest, 4, job->limit[0], sigma));
    return worst > least_lack;
}

/* A pixel that all around exceed by far: no optics make such a hole. */
static bool is_hole(const hit_job *job, const double box[25], double sigma)
{
    double lowest = INFINITY;
    int count = 0;
    for (int j = 1; j < 4; j++)
        for (int i = 1; i < 4; i++)
            if (5 * j + i != 12 && isfinite(box[5 * j + i])) {
                lowest = AID_MIN(lowest, box[5 * j + i]);
                count++;
            }
    double light = AID_MAX(lowest, 0.0), error = 0.3 * light;
    double variance = 2.0 * sigma * sigma + light / job->gain + error * error;
    return count >= 5 && lowest - box[12] > seed_sigma * sqrt(variance);
}

static bool is_inside(const aid_image *image, int32_t x, int32_t y)
{
    return x >= 2 && y >= 2 && x < image->width - 2 && y < image->height - 2;
}

/* What hangs on to a hit: pixels beside it that stand out, too, and are not as a star would leave
 * them. The hit itself is masked by now, and so does not count as their neighbour. */
static void follow_hit(const hit_job *job, int32_t x, int32_t y, int32_t first_row,
                       int32_t last_row, double sigma)
{
    enum { DEPTH = 64 };
    int32_t stack[DEPTH][2] = {{x, y}};
    int depth = 1;
    while (depth > 0) {
        int32_t at_x = stack[--depth][0], at_y = stack[depth][1];
        for (int k = 0; k < 9; k++) {
            int32_t i = at_x + k % 3 - 1, j = at_y + k / 3 - 1;
            if (!is_inside(job->image, i, j) || j < first_row || j >= last_row)
                continue;
            double box[25];
            read_box(job, i, j, box);
            if (!is_too_sharp(job, box, sigma, tail_sigma, tail_lack_sigma))
                continue;
            aid_mask_row(job->mask, j)[i] |= AID_MASK_COSMIC_RAY;
            if (depth < DEPTH)
                stack[depth][0] = i, stack[depth++][1] = j;
        }
    }
}

static void judge_high(const hit_job *job, int32_t x, int32_t y, int32_t first_row,
                       int32_t last_row)
{
    double box[25], sigma = aid_mesh_at(job->noise, x, y);
    read_box(job, x, y, box);
    if (!is_too_sharp(job, box, sigma, seed_sigma, lack_sigma))
        return;
    aid_mask_row(job->mask, y)[x] |= AID_MASK_COSMIC_RAY;
    follow_hit(job, x, y, first_row, last_row, sigma);
}

static void judge_low(const hit_job *job, int32_t x, int32_t y, aid_hits *hits)
{
    double box[25], sigma = aid_mesh_at(job->noise, x, y);
    read_box(job, x, y, box);
    if (!is_hole(job, box, sigma))
        return;
    aid_mask_row(job->mask, y)[x] |= AID_MASK_BAD;
    hits->cold++;
}

/* -------------------------------------------------------------------------------------- search */

/* Nonzero where sign x pixel is above `limit` and no less than that of its eight neighbours. */
AID_HOT static void mark_extremes(const float *restrict above, const float *restrict row,
                                  const float *restrict below, int32_t begin, int32_t end,
                                  float sign, float limit, uint8_t *restrict marks)
{
    for (int32_t x = begin; x < end; x++) {
        float v = sign * row[x], high = sign * above[x - 1];
        const float others[7] = {above[x],     above[x + 1], row[x - 1],  row[x + 1],
                                 below[x - 1], below[x],     below[x + 1]};
        for (int k = 0; k < 7; k++)
            high = high > sign * others[k] ? high : sign * others[k];
        marks[x] = (uint8_t)((v > limit) & (v >= high));
    }
}

/* Hits near the border of a band look at mask pixels of the next one: even bands first, then odd
 * ones, so that none of them changes meanwhile. Marks stay within the band. Low pixels are masked
 * before high ones are judged by their neighbours. */
typedef struct search_pass {
    const hit_job *job;
    bool low;
    int64_t first;
} search_pass;

static void judge_row(const search_pass *pass, int32_t y, int32_t first_row, int32_t last_row,
                      uint8_t *marks, aid_hits *hits)
{
    const hit_job *job = pass->job;
    int32_t width = job->image->width;
    mark_extremes(aid_image_row(job->image, y - 1), aid_image_row(job->image, y),
                  aid_image_row(job->image, y + 1), 2, width - 2, pass->low ? -1.0f : 1.0f,
                  (float)(seed_sigma * job->least_noise), marks);
    for (int32_t begin = 0; begin < width; begin += BLOCK) {
        int32_t end = AID_MIN(begin + BLOCK, width);
        unsigned any = 0;
        for (int32_t x = begin; x < end; x++)
            any |= marks[x];
        for (int32_t x = begin; any && x < end; x++) {
            if (!marks[x] || aid_mask_row(job->mask, y)[x])
                continue;
            if (pass->low)
                judge_low(job, x, y, hits);
            else
                judge_high(job, x, y, first_row, last_row);
        }
    }
}

static aid_status search_band(void *context, int64_t task, int worker, aid_error *err)
{
    (void)worker;
    const search_pass *pass = context;
    const aid_image *image = pass->job->image;
    AID_CLEANUP(aid_free_pointer)
    uint8_t *marks = NULL;
    AID_TRY(aid_new_array((size_t)image->width, 1, "marks", &marks, err));
    int64_t begin, end, band = pass->first + 2 * task;
    aid_band_range(image->height, AID_PREPARE_BAND, band, &begin, &end);
    for (int32_t y = (int32_t)AID_MAX(begin, 2); y < AID_MIN(end, image->height - 2); y++)
        judge_row(pass, y, (int32_t)begin, (int32_t)end, marks, &pass->job->hits[band]);
    return AID_OK;
}

static aid_status search_all(const hit_job *job, aid_pool *pool, aid_error *err)
{
    int64_t bands = aid_band_count(job->image->height, AID_PREPARE_BAND);
    for (int k = 0; k < 4; k++) {
        search_pass pass = {.job = job, .low = k < 2, .first = k % 2};
        AID_TRY(aid_pool_run(pool, (bands + 1 - pass.first) / 2, search_band, &pass, err));
    }
    return AID_OK;
}

/* -------------------------------------------------------------------------------------- skirts */

/* Two bits that nobody uses at this stage: every pixel decides on its own while the marks of its
 * neighbours stand still, and is relabelled in a second pass. */
enum { ALONE = AID_MASK_EDGE, SKIRT = AID_MASK_GROWN };

static bool has_hit_beside(const hit_job *job, int32_t x, int32_t y)
{
    int bits = 0;
    for (int32_t j = AID_MAX(y - 1, 0); j <= AID_MIN(y + 1, job->image->height - 1); j++)
        for (int32_t i = AID_MAX(x - 1, 0); i <= AID_MIN(x + 1, job->image->width - 1); i++)
            bits |= i == x && j == y ? 0 : aid_mask_row(job->mask, j)[i];
    return bits & AID_MASK_COSMIC_RAY;
}

/* Charge spreads: what is bright beside a hit belongs to it. A hit alone is a hot pixel. */
static uint8_t relabel(const hit_job *job, int32_t x, int32_t y)
{
    uint8_t bits = aid_mask_row(job->mask, y)[x];
    if (bits & AID_MASK_COSMIC_RAY)
        return has_hit_beside(job, x, y) ? bits : bits | ALONE;
    double value = (double)aid_image_row(job->image, y)[x];
    if (bits || !(value > skirt_sigma * job->least_noise) || !has_hit_beside(job, x, y))
        return bits;
    return value > skirt_sigma * aid_mesh_at(job->noise, x, y) ? SKIRT : bits;
}

static aid_status mark_skirts(void *context, int64_t band, int worker, aid_error *err)
{
    (void)worker;
    (void)err;
    const hit_job *job = context;
    int32_t width = job->image->width, height = job->image->height;
    int64_t first, last;
    aid_band_range(height, AID_PREPARE_BAND, band, &first, &last);
    for (int32_t y = (int32_t)first; y < last; y++) {
        const uint8_t *above = aid_mask_row(job->mask, AID_MAX(y - 1, 0));
        const uint8_t *below = aid_mask_row(job->mask, AID_MIN(y + 1, height - 1));
        uint8_t *row = aid_mask_row(job->mask, y);
        for (int32_t begin = 0; begin < width; begin += BLOCK) {
            unsigned any = 0;
            int32_t end = AID_MIN(begin + BLOCK, width);
            for (int32_t x = AID_MAX(begin - 1, 0); x < AID_MIN(end + 1, width); x++)
                any |= (unsigned)(above[x] | row[x] | below[x]);
            for (int32_t x = begin; any & AID_MASK_COSMIC_RAY && x < end; x++)
                row[x] = relabel(job, x, y);
        }
    }
    return AID_OK;
}

static aid_status settle_labels(void *context, int64_t band, int worker, aid_error *err)
{
    (void)worker;
    (void)err;
    const hit_job *job = context;
    int64_t first, last, width = job->image->width;
    aid_band_range(job->image->height, AID_PREPARE_BAND, band, &first, &last);
    for (int64_t i = first * width; i < last * width; i++) {
        uint8_t *bits = job->mask->data + i;
        if (*bits & ALONE)
            *bits = (uint8_t)((*bits & ~(ALONE | AID_MASK_COSMIC_RAY)) | AID_MASK_BAD);
        else if (*bits & SKIRT)
            *bits = (uint8_t)((*bits & ~SKIRT) | AID_MASK_COSMIC_RAY);
        else if (!(*bits & AID_MASK_COSMIC_RAY))
            continue;
        job->hits[band].single += *bits & AID_MASK_COSMIC_RAY ? 0 : 1;
        job->hits[band].several += *bits & AID_MASK_COSMIC_RAY ? 1 : 0;
    }
    return AID_OK;
}

aid_status aid_prepare_mask_hits(const aid_image *image, aid_mask *mask, const aid_mesh *noise,
                                 double gain, double narrowest_px, aid_pool *pool,
                                 aid_hits *ret_hits, aid_error *err)
{
    int64_t bands = aid_band_count(image->height, AID_PREPARE_BAND);
    AID_CLEANUP(aid_free_pointer)
    aid_hits *hits = NULL;
    AID_TRY(aid_new_array((size_t)bands, sizeof *hits, "hits", &hits, err));
    hit_job job = {.image = image, .mask = mask, .noise = noise, .gain = gain, .hits = hits};
    for (int axis = 0; axis < AXES; axis++)
        job.limit[axis] = limit_of_stars(AID_MIN(narrowest_px, widest_px),
                                         hypot(axis_step[axis][0], axis_step[axis][1]));
    job.least_noise = INFINITY;
    for (int64_t i = 0; i < (int64_t)noise->nx * noise->ny; i++)
        job.least_noise = AID_MIN(job.least_noise, (double)noise->values[i]);
    AID_TRY(search_all(&job, pool, err));
    AID_TRY(aid_pool_run(pool, bands, mark_skirts, &job, err));
    AID_TRY(aid_pool_run(pool, bands, settle_labels, &job, err));
    aid_hits sum = {0};
    for (int64_t band = 0; band < bands; band++) {
        sum.single += hits[band].single;
        sum.several += hits[band].several;
        sum.cold += hits[band].cold;
    }
    *ret_hits = sum;
    return AID_OK;
}
