/* Where the detector stops counting, and what it floods when it does. */
#include "core/base/memory.h"
#include "domain/preprocessing/prepare_internal.h"

#include <stdlib.h>
#include <string.h>

static const double clearly_above = 10.0; /* sigma */

/* ------------------------------------------------------------------------------------- pile-up */

enum {
    MAX_TOP = 1 << 20, /* brightest pixels that are looked at */
    HALF_BINS = 32,    /* of the histogram below the maximum, 1.5 % each */
    PILE_SAME = 4,     /* pixels of exactly one value that make a pile */
    PILE_NEAR = 8      /* pixels of about one value */
};

typedef struct sky_level {
    double level, sigma;
} sky_level;

static bool is_lit(const aid_image *image, const aid_mask *mask, int32_t x, int32_t y, double limit)
{
    return x >= 0 && y >= 0 && x < image->width && y < image->height && !aid_mask_row(mask, y)[x] &&
           (double)aid_image_row(image, y)[x] > limit;
}

/* Bright, with light beside it both ways: hot pixels, bad columns and most cosmic rays have none.
 */
static bool is_supported(const aid_image *image, const aid_mask *mask, int32_t x, int32_t y,
                         double sky)
{
    double limit = sky + 0.3 * ((double)aid_image_row(image, y)[x] - sky);
    return (is_lit(image, mask, x - 1, y, limit) || is_lit(image, mask, x + 1, y, limit)) &&
           (is_lit(image, mask, x, y - 1, limit) || is_lit(image, mask, x, y + 1, limit));
}

/* Supported pixels above `floor_value`, their greatest value; they are stored where there is room.
 */
static int64_t collect_top(const aid_image *image, const aid_mask *mask, double sky,
                           double floor_value, float *top, double *ret_greatest)
{
    int64_t count = 0;
    double greatest = -INFINITY;
    for (int32_t y = 0; y < image->height; y++) {
        const float *row = aid_image_row(image, y);
        const uint8_t *bits = aid_mask_row(mask, y);
        for (int32_t x = 0; x < image->width; x++) {
            if (!((double)row[x] > floor_value) || bits[x] || !is_supported(image, mask, x, y, sky))
                continue;
            greatest = AID_MAX(greatest, (double)row[x]);
            if (top && count < MAX_TOP)
                top[count++] = row[x];
        }
    }
    *ret_greatest = greatest;
    return count;
}

static int greatest_first(const void *left, const void *right)
{
    float a = *(const float *)left, b = *(const float *)right;
    return (a < b) - (a > b);
}

/* The greatest value that so many pixels share exactly as no neighbouring value is shared. */
static double identical_pile(const float *top, int64_t count, double sky)
{
    int64_t begin = 0, end;
    for (; begin < count; begin = end) {
        for (end = begin + 1; end < count && top[end] == top[begin];)
            end++;
        int64_t same = end - begin;
        if (same < PILE_SAME)
            continue;
        if (same < 3 * begin) /* most of the top lies above it: no ceiling */
            return INFINITY;
        /* Compare with how often the values of the next tenth are shared. */
        double lower = sky + 0.9 * ((double)top[begin] - sky);
        int64_t values = 0, pixels = 0;
        for (int64_t i = end; i < count && (double)top[i] > lower; i++, pixels++)
            values += top[i] != top[i - 1] ? 1 : 0;
        return same * values >= 5 * pixels ? (double)top[begin] : INFINITY;
    }
    return INFINITY;
}

/* A pile of about one value: flat-fielding and resampling blur the ceiling by a per cent or two.
 * Light of a Gaussian star spreads evenly over equal steps of log intensity, so that a step with
 * three times as much as those below it is no star. */
static double blurred_pile(const float *top, int64_t count, double sky)
{
    int64_t bins[HALF_BINS] = {0}, above = 0;
    double height = (double)top[0] - sky;
    for (int64_t i = 0; i < count; i++) {
        double steps = log(height / ((double)top[i] - sky)) / 0.015;
        if (steps < HALF_BINS)
            bins[(int)steps]++;
    }
    for (int k = 0; k + 8 <= HALF_BINS && k < HALF_BINS / 2; k++) {
        int64_t pile = bins[k] + bins[k + 1], next = 0;
        for (int j = k + 2; j < k + 8; j += 2)
            next = AID_MAX(next, bins[j] + bins[j + 1]);
        if (pile >= PILE_NEAR && pile >= 3 * next && pile >= 3 * above) {
            double middle = (double)top[above + pile / 2], highest = (double)top[above];
            return middle - 1.5 * (highest - middle);
        }
        above += bins[k];
    }
    return INFINITY;
}

aid_status aid_prepare_pile_up(const aid_image *image, const aid_mask *mask, double sky,
                               double sigma, double *ret_level, aid_error *err)
{
    double greatest, lowest = sky + clearly_above * sigma;
    collect_top(image, mask, sky, lowest, NULL, &greatest);
    *ret_level = INFINITY;
    if (!(greatest > lowest))
        return AID_OK;
    AID_CLEANUP(aid_free_pointer)
    float *top = NULL;
    AID_TRY(aid_new_buffer(MAX_TOP, sizeof *top, "brightest pixels", &top, err));
    lowest = AID_MAX(lowest, sky + 0.5 * (greatest - sky));
    int64_t count = collect_top(image, mask, sky, lowest, top, &greatest);
    if (count == 0)
        return AID_OK;
    qsort(top, (size_t)count, sizeof *top, greatest_first);
    *ret_level = identical_pile(top, count, sky);
    if (!isfinite(*ret_level))
        *ret_level = blurred_pile(top, count, sky);
    return AID_OK;
}

/* -------------------------------------------------------------------------------------- trails */

typedef struct place {
    int32_t x, y;
} place;

typedef struct core { /* a connected group of saturated pixels */
    int32_t x0, x1, y0, y1;
    double sum_x, sum_y;
    int64_t count;
} core;

typedef struct flood {
    const aid_image *image;
    aid_mask *mask;
    aid_mask seen;
    place *stack;
    int64_t room;
    sky_level sky;
} flood;

static bool is_saturated(const flood *job, int32_t x, int32_t y)
{
    return x >= 0 && y >= 0 && x < job->image->width && y < job->image->height &&
           aid_mask_row(job->mask, y)[x] & AID_MASK_SATURATED;
}

static core trace_core(flood *job, int32_t x, int32_t y)
{
    core found = {x, x, y, y, 0.0, 0.0, 0};
    int64_t depth = 0;
    job->stack[depth++] = (place){x, y};
    aid_mask_row(&job->seen, y)[x] = 1;
    while (depth > 0) {
        place at = job->stack[--depth];
        found.x0 = AID_MIN(found.x0, at.x);
        found.x1 = AID_MAX(found.x1, at.x);
        found.y0 = AID_MIN(found.y0, at.y);
        found.y1 = AID_MAX(found.y1, at.y);
        found.sum_x += at.x;
        found.sum_y += at.y;
        found.count++;
        for (int k = 0; k < 9; k++) {
            int32_t i = at.x + k % 3 - 1, j = at.y + k / 3 - 1;
            if (is_saturated(job, i, j) && !aid_mask_row(&job->seen, j)[i] && depth < job->room) {
                aid_mask_row(&job->seen, j)[i] = 1;
                job->stack[depth++] = (place){i, j};
            }
        }
    }
    return found;
}

static double above_sky(const flood *job, int32_t x, int32_t y)
{
    if (x < 0 || y < 0 || x >= job->image->width || y >= job->image->height)
        return 0.0;
    double value = (double)aid_image_row(job->image, y)[x] - job->sky.level;
    return isfinite(value) ? value : 0.0;
}

/* The most that the star has at the same distance across. */
static double light_across(const flood *job, place at, place centre, bool along_y)
{
    int32_t r = along_y ? abs(at.y - centre.y) : abs(at.x - centre.x);
    double across = 0.0;
    for (int32_t k = -1; k <= 1; k++)
        for (int32_t sign = -1; sign <= 1; sign += 2) {
            double value = along_y ? above_sky(job, centre.x + sign * r, centre.y + k)
                                   : above_sky(job, centre.x + k, centre.y + sign * r);
            across = AID_MAX(across, value);
        }
    return across;
}

/* Too bright for its distance: three times what the star has across, twice what lies beside it. */
static bool is_trail(const flood *job, place at, double across, bool along_y)
{
    double beside = along_y
                        ? AID_MAX(above_sky(job, at.x - 4, at.y), above_sky(job, at.x + 4, at.y))
                        : AID_MAX(above_sky(job, at.x, at.y - 4), above_sky(job, at.x, at.y + 4));
    double value = above_sky(job, at.x, at.y);
    return value > 3.0 * across + clearly_above * job->sky.sigma && value > 2.0 * beside;
}

/* Through the star's own light, where a trail does not show, and on until it ends. */
static void follow_trail(flood *job, place start, place step, place centre)
{
    bool along_y = step.y != 0;
    for (place at = {start.x + step.x, start.y + step.y};
         at.x >= 0 && at.y >= 0 && at.x < job->image->width && at.y < job->image->height;
         at.x += step.x, at.y += step.y) {
        if (is_saturated(job, at.x, at.y))
            continue;
        double across = light_across(job, at, centre, along_y);
        if (is_trail(job, at, across, along_y))
            aid_mask_row(job->mask, at.y)[at.x] |= AID_MASK_SATURATED;
        else if (across < clearly_above * job->sky.sigma)
            break;
    }
}

static void follow_trails(flood *job, const core *found)
{
    place centre = {(int32_t)lround(found->sum_x / (double)found->count),
                    (int32_t)lround(found->sum_y / (double)found->count)};
    for (int32_t x = found->x0; x <= found->x1; x++) {
        follow_trail(job, (place){x, found->y1}, (place){0, 1}, centre);
        follow_trail(job, (place){x, found->y0}, (place){0, -1}, centre);
    }
    for (int32_t y = found->y0; y <= found->y1; y++) {
        follow_trail(job, (place){found->x1, y}, (place){1, 0}, centre);
        follow_trail(job, (place){found->x0, y}, (place){-1, 0}, centre);
    }
}

static int64_t mark_saturated(const aid_image *image, aid_mask *mask, double level)
{
    int64_t count = 0;
    for (int32_t y = 0; y < image->height; y++) {
        const float *row = aid_image_row(image, y);
        uint8_t *bits = aid_mask_row(mask, y);
        for (int32_t x = 0; x < image->width; x++) {
            int over = (double)row[x] >= level;
            bits[x] = (uint8_t)(bits[x] | (over ? AID_MASK_SATURATED : 0));
            count += bits[x] & AID_MASK_SATURATED ? 1 : 0;
        }
    }
    return count;
}

aid_status aid_prepare_mask_saturated(const aid_image *image, aid_mask *mask, double level,
                                      double sky, double sigma, aid_error *err)
{
    int64_t count = mark_saturated(image, mask, level);
    if (count == 0)
        return AID_OK;
    AID_CLEANUP(aid_free_pointer)
    place *stack = NULL;
    flood job = {.image = image, .mask = mask, .room = count, .sky = {sky, sigma}};
    AID_TRY(aid_new_buffer((size_t)count, sizeof *stack, "saturated pixels", &stack, err));
    job.stack = stack;
    AID_TRY(aid_mask_init(image->width, image->height, &job.seen, err));
    for (int32_t y = 0; y < image->height; y++)
        for (int32_t x = 0; x < image->width; x++) {
            if (!is_saturated(&job, x, y) || aid_mask_row(&job.seen, y)[x])
                continue;
            core found = trace_core(&job, x, y);
            if (found.count > 1) /* one pixel floods nothing */
                follow_trails(&job, &found);
        }
    aid_mask_done(&job.seen);
    return AID_OK;
}
