/* Which stars the model is built from, and their pixels. */
#include "core/base/macros.h"
#include "core/base/memory.h"
#include "core/imaging/psf_internal.h"
#include "core/imaging/stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_STARS = 400,
    FEWEST_AT_MOST = 100,
    CELLS = 8,         /* of the grid over which stars are spread, each way */
    ENOUGH_CLEAN = 30, /* fewer than this, and blended or partly masked stars are looked at too */
    ENOUGH_STARS = 8
};
static const double min_snr = 20.0, min_snr_of_few = 8.0;
static const double max_contamination = 0.05; /* neighbours' light at a star's peak */

/* Why a star was passed over, in the order of the tests. */
enum { REASON_SATURATED, REASON_SHAPE, REASON_FAINT, REASON_PIXELS, REASON_CROWDED, REASONS };

typedef struct selection {
    psf_builder *builder;
    unsigned refused_flags;
    double min_snr;
    double half_light_px; /* of the stellar locus; NaN: unknown */
    int reasons[REASONS];
    int most;    /* stars to take */
    int *chosen; /* indices into the list, by decreasing flux */
    double *snr; /* of the chosen */
    int count;
} selection;

/* Signal to noise of a fit by a Gaussian of this width: its noise area is 4 pi sigma^2. */
static double fit_snr(const psf_builder *builder, const aid_star *star)
{
    if (!(star->x >= 0.0 && star->x < builder->image->width && star->y >= 0.0 &&
          star->y < builder->image->height))
        return 0.0;
    double sigma = builder->fwhm_px / 2.3548;
    double sky = aid_mesh_at(builder->noise, star->x, star->y);
    double variance = 4.0 * 3.14159265358979 * sigma * sigma * sky * sky +
                      AID_MAX(star->flux, 0.0) * builder->inverse_gain;
    double snr = star->flux / sqrt(variance);
    return variance > 0.0 && isfinite(snr) ? snr : 0.0;
}

/* Where half-light radii crowd: the centre of the shortest interval that holds half of them,
 * applied again to that half (half-sample mode). Galaxies lie above it, cosmic rays below. */
static double mode_of(double *values, int count)
{
    for (int i = 1; i < count; i++) /* insertion sort: a few hundred values */
        for (int j = i; j > 0 && values[j - 1] > values[j]; j--) {
            double t = values[j];
            values[j] = values[j - 1];
            values[j - 1] = t;
        }
    while (count > 4) {
        int half = (count + 1) / 2, best = 0;
        for (int i = 1; i + half <= count; i++)
            if (values[i + half - 1] - values[i] < values[best + half - 1] - values[best])
                best = i;
        values += best;
        count = half;
    }
    return count > 0 ? aid_median_in_place_f64(values, count) : NAN;
}

static double stellar_half_light(const psf_builder *builder)
{
    double values[MAX_STARS];
    int count = 0;
    for (int i = 0; i < builder->list->count && count < MAX_STARS; i++) {
        const aid_star *star = builder->list->items + i;
        if (star->flags == 0 && star->half_light_px > 0.0 && isfinite(star->half_light_px) &&
            fit_snr(builder, star) >= min_snr)
            values[count++] = star->half_light_px;
    }
    return mode_of(values, count);
}

static bool pixel_is_sound(const psf_builder *builder, int x, int y)
{
    enum { UNUSABLE = AID_MASK_BAD | AID_MASK_SATURATED | AID_MASK_COSMIC_RAY | AID_MASK_NO_DATA };
    if (x < 0 || y < 0 || x >= builder->image->width || y >= builder->image->height)
        return false;
    if (builder->mask && builder->mask->data && (aid_mask_row(builder->mask, y)[x] & UNUSABLE))
        return false;
    return isfinite(aid_image_row(builder->image, y)[x]);
}

/* The pixel at the centre is there, and nine in ten of those within one FWHM. */
static bool core_is_sound(const psf_builder *builder, const aid_star *star)
{
    int reach = (int)ceil(builder->fwhm_px), total = 0, sound = 0;
    int cx = (int)lround(star->x), cy = (int)lround(star->y);
    for (int y = cy - reach; y <= cy + reach; y++)
        for (int x = cx - reach; x <= cx + reach; x++) {
            if (hypot(x - star->x, y - star->y) > builder->fwhm_px)
                continue;
            total++;
            sound += pixel_is_sound(builder, x, y);
        }
    return pixel_is_sound(builder, cx, cy) && 10 * sound >= 9 * total;
}

/* The list sorted into square buckets, so that neighbours are found without going through all of
 * it: head[bucket] is a star, next[star] another one of the same bucket, -1 the end. */
struct psf_buckets {
    double size_px;
    int nx, ny;
    int *head, *next;
};

static void bucket_at(const psf_buckets *buckets, double x, double y, int *ret_bx, int *ret_by)
{
    *ret_bx = (int)AID_CLAMP(floor(x / buckets->size_px), 0.0, buckets->nx - 1.0);
    *ret_by = (int)AID_CLAMP(floor(y / buckets->size_px), 0.0, buckets->ny - 1.0);
}

static aid_status make_buckets(psf_builder *builder, aid_error *err)
{
    const aid_stars *list = builder->list;
    psf_buckets *b;
    AID_TRY(aid_new_array(1, sizeof *b, "star buckets", &b, err));
    builder->buckets = b;
    b->size_px = AID_MAX(8.0 * builder->fwhm_px, 16.0);
    b->nx = (int)ceil(builder->image->width / b->size_px);
    b->ny = (int)ceil(builder->image->height / b->size_px);
    size_t cells = (size_t)b->nx * (size_t)b->ny;
    AID_TRY(aid_new_array(cells, sizeof *b->head, "star buckets", &b->head, err));
    AID_TRY(aid_new_array((size_t)list->count, sizeof *b->next, "star buckets", &b->next, err));
    for (size_t cell = 0; cell < cells; cell++)
        b->head[cell] = -1;
    for (int i = 0; i < list->count; i++) {
        const aid_star *star = list->items + i;
        if (!isfinite(star->x) || !isfinite(star->y) || !(star->flux > 0.0))
            continue;
        int bx, by;
        bucket_at(b, star->x, star->y, &bx, &by);
        b->next[i] = b->head[by * b->nx + bx];
        b->head[by * b->nx + bx] = i;
    }
    return AID_OK;
}

void aid_psf_buckets_free(psf_buckets *buckets)
{
    if (!buckets)
        return;
    free(buckets->head);
    free(buckets->next);
    free(buckets);
}

enum { MAX_NEIGHBOURS = 256 };

/* Other sources within a square of half-side `reach` around list entry `index`. */
static int find_neighbours(const psf_builder *builder, int index, double reach,
                           int found[MAX_NEIGHBOURS])
{
    const psf_buckets *b = builder->buckets;
    const aid_star *star = builder->list->items + index;
    int x0, y0, x1, y1, count = 0;
    bucket_at(b, star->x - reach, star->y - reach, &x0, &y0);
    bucket_at(b, star->x + reach, star->y + reach, &x1, &y1);
    for (int by = y0; by <= y1; by++)
        for (int bx = x0; bx <= x1; bx++)
            for (int i = b->head[by * b->nx + bx]; i >= 0; i = b->next[i]) {
                const aid_star *other = builder->list->items + i;
                if (i != index && fabs(other->x - star->x) <= reach &&
                    fabs(other->y - star->y) <= reach && count < MAX_NEIGHBOURS)
                    found[count++] = i;
            }
    return count;
}

/* Light of all other sources at the star's centre, in units of its own peak; Moffat of beta 3. */
static bool is_crowded(const psf_builder *builder, int index)
{
    const aid_star *star = builder->list->items + index;
    double scale = 0.5 * builder->fwhm_px / sqrt(exp2(1.0 / 3.0) - 1.0), sum = 0.0;
    int found[MAX_NEIGHBOURS];
    int count = find_neighbours(builder, index, 8.0 * builder->fwhm_px, found);
    for (int i = 0; i < count; i++) {
        const aid_star *other = builder->list->items + found[i];
        double dx = other->x - star->x, dy = other->y - star->y;
        double q = 1.0 + (dx * dx + dy * dy) / (scale * scale);
        sum += other->flux / (q * q * q);
    }
    return sum > max_contamination * star->flux;
}

static int reason_against(const selection *s, int index, double snr)
{
    const aid_star *star = s->builder->list->items + index;
    double half_light = star->half_light_px / s->half_light_px;
    if (star->flags & AID_STAR_SATURATED)
        return REASON_SATURATED;
    if ((star->flags & s->refused_flags) || half_light < 0.7 || half_light > 1.4)
        return REASON_SHAPE;
    if (!(snr >= s->min_snr))
        return REASON_FAINT;
    if (!core_is_sound(s->builder, star))
        return REASON_PIXELS;
    return -1;
}

/* Brightest first, up to a quota in each cell of a grid over the field. */
static void choose(selection *s)
{
    const psf_builder *builder = s->builder;
    const aid_stars *list = builder->list;
    int per_cell[CELLS * CELLS] = {0}, quota = 2 * MAX_STARS / (CELLS * CELLS);
    s->count = 0;
    memset(s->reasons, 0, sizeof s->reasons);
    for (int i = 0; i < list->count && s->count < s->most; i++) {
        const aid_star *star = list->items + i;
        double snr = fit_snr(builder, star);
        int reason = reason_against(s, i, snr);
        if (reason < 0) {
            int cx = AID_CLAMP((int)(star->x / builder->image->width * CELLS), 0, CELLS - 1);
            int cy = AID_CLAMP((int)(star->y / builder->image->height * CELLS), 0, CELLS - 1);
            if (per_cell[cy * CELLS + cx] >= quota)
                continue;
            reason = is_crowded(builder, i) ? REASON_CROWDED : -1;
            per_cell[cy * CELLS + cx] += reason < 0;
        }
        if (reason >= 0) {
            s->reasons[reason]++;
            continue;
        }
        s->snr[s->count] = snr;
        s->chosen[s->count++] = i;
    }
}

static void choose_by_stages(selection *s)
{
    const unsigned never =
        AID_STAR_TRUNCATED | AID_STAR_SATURATED | AID_STAR_EXTENDED | AID_STAR_SHARP;
    s->half_light_px = stellar_half_light(s->builder);
    s->refused_flags = ~0u;
    s->min_snr = min_snr;
    choose(s);
    if (s->count < ENOUGH_CLEAN) {
        s->refused_flags = never;
        choose(s);
    }
    if (s->count < ENOUGH_STARS) {
        s->min_snr = min_snr_of_few;
        choose(s);
    }
}

static void take_star(psf_builder *builder, int index, double snr, psf_star *star)
{
    const aid_star *entry = builder->list->items + index;
    *star = (psf_star){.x = entry->x,
                       .y = entry->y,
                       .list_x = entry->x,
                       .list_y = entry->y,
                       .index = index,
                       .snr = snr,
                       .amplitude = entry->peak,
                       .mesh_noise = aid_mesh_at(builder->noise, entry->x, entry->y),
                       .used = true};
    const aid_psf *psf = &builder->psf;
    aid_psf_terms(AID_PSF_MAX_DEGREE, (entry->x - psf->x0) / psf->scale_x,
                  (entry->y - psf->y0) / psf->scale_y, star->terms);
}

aid_status aid_psf_select_stars(psf_builder *builder, aid_error *err)
{
    AID_CLEANUP(aid_free_pointer)
    int *chosen = NULL;
    AID_CLEANUP(aid_free_pointer)
    double *snr = NULL;
    AID_TRY(aid_new_array(MAX_STARS, sizeof *chosen, "PSF stars", &chosen, err));
    AID_TRY(aid_new_array(MAX_STARS, sizeof *snr, "PSF stars", &snr, err));
    AID_TRY(make_buckets(builder, err));
    /* Broad stars have more pixels each, and fewer of them tell as much. */
    double fwhm = AID_MAX(builder->fwhm_px, 5.0);
    int most = AID_MAX((int)(MAX_STARS * 25.0 / (fwhm * fwhm)), FEWEST_AT_MOST);
    selection s = {.builder = builder, .most = most, .chosen = chosen, .snr = snr};
    choose_by_stages(&s);
    if (s.count == 0)
        AID_FAIL(err, AID_ERR_NUMERIC,
                 "PSF: 0 usable stars of %d (%d saturated, %d of another shape or blended, %d too "
                 "faint, %d with bad pixels or at the border, %d crowded)",
                 builder->list->count, s.reasons[REASON_SATURATED], s.reasons[REASON_SHAPE],
                 s.reasons[REASON_FAINT], s.reasons[REASON_PIXELS], s.reasons[REASON_CROWDED]);
    AID_TRY(
        aid_new_array((size_t)s.count, sizeof *builder->stars, "PSF stars", &builder->stars, err));
    for (int i = 0; i < s.count; i++)
        take_star(builder, chosen[i], snr[i], builder->stars + i);
    builder->count = builder->used = s.count;
    return AID_OK;
}

/* ------------------------------------------------------------------------------------ stamps */

/* Takes the model of another source off a stamp, and adds a fifth of it to the noise: its flux is
 * an aperture's, its position a list's, and it may be a galaxy. */
static void subtract_neighbour(const psf_builder *builder, psf_star *star, const aid_star *other)
{
    const double distrust = 0.2;
    int side = builder->side;
    const aid_psf *psf = &builder->psf;
    psf_place place;
    aid_psf_place_at(psf, other->x, other->y, &place);
    double inverse_area = sqrt(AID_MAX(place.xx * place.yy - place.xy * place.xy, 0.0));
    double norm = inverse_area * (psf->beta - 1.0) / 3.14159265358979;
    double aperture2 = builder->list->aperture_px * builder->list->aperture_px * inverse_area;
    double enclosed = 1.0 - pow(1.0 + aperture2, 1.0 - psf->beta);
    double amplitude = other->flux * norm / AID_MAX(enclosed, 0.3);
    double negligible = 0.02 * star->sky + 1e-12 * amplitude;
    double reach2 = pow(AID_MAX(amplitude / negligible, 1.0), 1.0 / psf->beta) - 1.0;
    for (int j = 0; j < side; j++) {
        double y = star->top + j - other->y;
        for (int i = 0; i < side; i++) {
            double x = star->left + i - other->x;
            double s2 = place.xx * x * x + 2.0 * place.xy * x * y + place.yy * y * y;
            if (s2 > reach2)
                continue;
            double light = amplitude * pow(1.0 + s2, -psf->beta);
            star->pixels[j * side + i] -= (float)light;
            star->variance[j * side + i] += (float)(distrust * distrust * light * light);
        }
    }
}

static void subtract_neighbours(const psf_builder *builder, psf_star *star)
{
    int found[MAX_NEIGHBOURS];
    double reach = builder->radius + 4.0 * builder->fwhm_px;
    int count = find_neighbours(builder, star->index, reach, found);
    for (int i = 0; i < count; i++)
        subtract_neighbour(builder, star, builder->list->items + found[i]);
}

typedef struct cut_job {
    psf_builder *builder;
    bool subtract;
} cut_job;

static void copy_pixels(const psf_builder *builder, psf_star *star)
{
    int side = builder->side;
    for (int j = 0; j < side; j++)
        for (int i = 0; i < side; i++) {
            int x = star->left + i, y = star->top + j, k = j * side + i;
            bool sound = pixel_is_sound(builder, x, y);
            star->pixels[k] = sound ? aid_image_row(builder->image, y)[x] : NAN;
        }
}

/* The noise mesh tells too little where the field is crowded or patchy, or the noise is correlated:
 * the scatter of what surrounds the star stands in where it is clearly larger. */
static double noise_around(const psf_builder *builder, const psf_star *star, float *scratch)
{
    const double clearly = 0.7;
    int side = builder->side, count = 0;
    double inner = 2.5 * builder->fwhm_px;
    for (int k = 0; k < side * side; k++) {
        double x = k % side - builder->radius, y = (double)(k / side - builder->radius);
        if (x * x + y * y > inner * inner && isfinite(star->pixels[k]))
            scratch[count++] = star->pixels[k];
    }
    double scatter = count >= 30 ? aid_robust_in_place(scratch, count).sigma : 0.0;
    return AID_MAX(star->mesh_noise, clearly * scatter);
}

static aid_status cut_stamp(void *context, int64_t task, int worker, aid_error *err)
{
    (void)worker;
    (void)err;
    const cut_job *job = context;
    const psf_builder *builder = job->builder;
    psf_star *star = builder->stars + task;
    int side = builder->side;
    star->left = (int)lround(star->list_x) - builder->radius;
    star->top = (int)lround(star->list_y) - builder->radius;
    star->pixels = builder->pixels + 2 * task * side * side;
    star->variance = star->pixels + side * side;
    copy_pixels(builder, star);
    star->sky = noise_around(builder, star, star->variance);
    /* Images without noise exist in tests and simulations; weights must stay finite. */
    double floor = 1e-4 * AID_MAX(star->amplitude, 0.0);
    double variance = AID_MAX(star->sky * star->sky, floor * floor);
    for (int k = 0; k < side * side; k++) {
        bool sound = variance > 0.0 && isfinite(star->pixels[k]);
        star->variance[k] = sound ? (float)variance : INFINITY;
        star->pixels[k] = sound ? star->pixels[k] : 0.0f;
    }
    if (job->subtract)
        subtract_neighbours(builder, star);
    return AID_OK;
}

aid_status aid_psf_cut_stamps(psf_builder *builder, bool subtract, aid_error *err)
{
    free(builder->pixels);
    builder->pixels = NULL;
    builder->side = 2 * builder->radius + 1;
    size_t pixels = (size_t)builder->side * (size_t)builder->side;
    AID_TRY(aid_new_buffer(2 * pixels * (size_t)builder->count, sizeof *builder->pixels,
                           "PSF stamps", &builder->pixels, err));
    cut_job job = {builder, subtract};
    return aid_pool_run(builder->pool, builder->count, cut_stamp, &job, err);
}
