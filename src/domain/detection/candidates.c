/* Peaks of the score map, of both signs, in a definite order. */
#include "core/base/memory.h"
#include "domain/detection/internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BAND = 64, MAX_PER_BAND = 20000 };

/* --------------------------------------------------------------------------------- flag names ---
 */

static const struct {
    unsigned flag;
    const char *name;
} flag_table[] = {{AID_FLAG_EDGE, "edge"},
                  {AID_FLAG_SATURATED_NEIGHBOUR, "saturated_neighbour"},
                  {AID_FLAG_MASKED, "masked"},
                  {AID_FLAG_DIPOLE, "dipole"},
                  {AID_FLAG_COSMIC_RAY, "cosmic_ray"},
                  {AID_FLAG_BAD_COLUMN, "bad_column"},
                  {AID_FLAG_BRIGHT_STAR_RESIDUAL, "bright_star_residual"},
                  {AID_FLAG_BAD_SHAPE, "bad_shape"},
                  {AID_FLAG_MOVING, "moving"},
                  {AID_FLAG_NEAR_SOURCE, "near_source"},
                  {AID_FLAG_VARIABLE, "variable"},
                  {AID_FLAG_EXTENDED, "extended"}};

const char *aid_flag_name(unsigned flag)
{
    for (size_t i = 0; i < AID_COUNT_OF(flag_table); i++)
        if (flag_table[i].flag == flag)
            return flag_table[i].name;
    return NULL;
}

void aid_flag_names(unsigned flags, char *text, size_t size)
{
    size_t used = 0;
    if (size > 0)
        text[0] = '\0';
    for (size_t i = 0; i < AID_COUNT_OF(flag_table) && used < size; i++)
        if (flags & flag_table[i].flag) {
            int n = snprintf(text + used, size - used, "%s%s", used ? "|" : "", flag_table[i].name);
            used += n > 0 ? (size_t)n : 0;
        }
}

/* -------------------------------------------------------------------------------------- peaks ---
 */

typedef struct peak {
    int x, y;
    float score;
} peak;

typedef struct peak_list {
    int count;
    peak *items;
} peak_list;

typedef struct peak_job {
    const aid_image *score;
    float threshold;
    int radius;
    peak_list *bands;
} peak_job;

bool aid_is_peak(const aid_image *score, int x, int y, int radius)
{
    float sign = aid_image_row(score, y)[x] > 0.0F ? 1.0F : -1.0F;
    float value = sign * aid_image_row(score, y)[x];
    for (int j = AID_MAX(y - radius, 0); j <= AID_MIN(y + radius, score->height - 1); j++) {
        const float *row = aid_image_row(score, j);
        for (int i = AID_MAX(x - radius, 0); i <= AID_MIN(x + radius, score->width - 1); i++) {
            bool before = j < y || (j == y && i < x);
            if (sign * row[i] > value || (before && sign * row[i] == value))
                return false;
        }
    }
    return true;
}

static aid_status find_band(void *context, int64_t band, int worker, aid_error *err)
{
    (void)worker;
    const peak_job *job = context;
    peak_list *list = &job->bands[band];
    int64_t begin, end;
    aid_band_range(job->score->height, BAND, band, &begin, &end);
    int capacity = 0;
    for (int y = (int)begin; y < end; y++) {
        const float *row = aid_image_row(job->score, y);
        for (int x = 0; x < job->score->width; x++) {
            if (!(fabsf(row[x]) > job->threshold) || !aid_is_peak(job->score, x, y, job->radius))
                continue;
            if (list->count == MAX_PER_BAND)
                AID_FAIL(err, AID_ERR_NUMERIC,
                         "more than %d peaks above %g in %d rows: the difference failed",
                         MAX_PER_BAND, (double)job->threshold, BAND);
            if (list->count == capacity) {
                capacity = capacity ? 2 * capacity : 32;
                peak *items = realloc(list->items, (size_t)capacity * sizeof *items);
                if (!items)
                    AID_FAIL(err, AID_ERR_NOMEM, "candidates: out of memory for %d", capacity);
                list->items = items;
            }
            list->items[list->count++] = (peak){x, y, row[x]};
        }
    }
    return AID_OK;
}

static int by_score(const void *a, const void *b)
{
    const peak *p = a, *q = b;
    float sp = fabsf(p->score), sq = fabsf(q->score);
    if (sp != sq)
        return sp > sq ? -1 : 1;
    if (p->y != q->y)
        return p->y < q->y ? -1 : 1;
    return (p->x > q->x) - (p->x < q->x);
}

static aid_status join_bands(const peak_list *bands, int64_t count, peak_list *ret_all,
                             aid_error *err)
{
    peak_list all = {0};
    for (int64_t i = 0; i < count; i++)
        all.count += bands[i].count;
    AID_TRY(aid_new_array((size_t)all.count + 1, sizeof *all.items, "peaks", &all.items, err));
    int at = 0;
    for (int64_t i = 0; i < count; i++) {
        if (bands[i].count)
            memcpy(all.items + at, bands[i].items, (size_t)bands[i].count * sizeof(peak));
        at += bands[i].count;
    }
    qsort(all.items, (size_t)all.count, sizeof *all.items, by_score);
    *ret_all = all;
    return AID_OK;
}

static aid_status find_peaks(const aid_scene *scene, double threshold, aid_pool *pool,
                             peak_list *ret_all, aid_error *err)
{
    const aid_image *score = &scene->difference->score;
    int64_t bands = aid_band_count(score->height, BAND);
    peak_job job = {.score = score,
                    .threshold = (float)threshold,
                    .radius = AID_CLAMP((int)lround(0.8 * scene->fwhm_px), 2, 12)};
    AID_TRY(aid_new_array((size_t)bands, sizeof *job.bands, "peaks", &job.bands, err));
    aid_status status = aid_pool_run(pool, bands, find_band, &job, err);
    if (status == AID_OK)
        status = join_bands(job.bands, bands, ret_all, err);
    for (int64_t i = 0; i < bands; i++)
        free(job.bands[i].items);
    free(job.bands);
    return status;
}

/* -------------------------------------------------------------------------------------- whole ---
 */

typedef struct measure_job {
    const aid_scene *scene;
    const peak_list *peaks;
    aid_candidate *items;
} measure_job;

enum { CHUNK = 16 };

static aid_status measure_chunk(void *context, int64_t chunk, int worker, aid_error *err)
{
    (void)worker;
    (void)err;
    const measure_job *job = context;
    int64_t begin, end;
    aid_band_range(job->peaks->count, CHUNK, chunk, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        const peak *at = &job->peaks->items[i];
        aid_candidate *candidate = &job->items[i];
        candidate->score = (double)at->score;
        candidate->polarity = at->score > 0.0F ? 1 : -1;
        candidate->p_real = NAN;
        aid_measure_candidate(job->scene, at->x, at->y, candidate);
        aid_flag_candidate(job->scene, at->x, at->y, candidate);
    }
    return AID_OK;
}

static double sum_of_squares(const aid_image *stamp)
{
    double sum = 0.0;
    for (int64_t i = 0; i < (int64_t)stamp->width * stamp->height; i++)
        sum += (double)stamp->data[i] * (double)stamp->data[i];
    return sum;
}

/* sum P^3 / (sum P^2)^2 over the gain: Poisson noise of a PSF fit in units of the flux. */
static double photon_factor(const aid_difference *difference, double gain)
{
    double squares = sum_of_squares(&difference->psf), cubes = 0.0;
    for (int64_t i = 0; i < (int64_t)difference->psf.width * difference->psf.height; i++) {
        double p = (double)difference->psf.data[i];
        cubes += p * p * fabs(p);
    }
    return cubes / (squares * squares) / gain;
}

static aid_status find_points(const aid_scene *scene, double threshold, aid_pool *pool,
                              aid_candidates *found, aid_error *err)
{
    peak_list peaks = {0};
    AID_TRY(find_peaks(scene, threshold, pool, &peaks, err));
    measure_job job = {.scene = scene, .peaks = &peaks};
    aid_status status =
        aid_new_array((size_t)peaks.count + 1, sizeof *job.items, "candidates", &job.items, err);
    if (status == AID_OK)
        status = aid_pool_run(pool, aid_band_count(peaks.count, CHUNK), measure_chunk, &job, err);
    found->count = peaks.count;
    free(peaks.items);
    if (status != AID_OK) {
        free(job.items);
        return status;
    }
    found->items = job.items;
    return AID_OK;
}

static int by_candidate_score(const void *a, const void *b)
{
    const aid_candidate *p = a, *q = b;
    double sp = fabs(p->score), sq = fabs(q->score);
    if (sp != sq)
        return sp > sq ? -1 : 1;
    if (p->y != q->y)
        return p->y < q->y ? -1 : 1;
    return (p->x > q->x) - (p->x < q->x);
}

static void number_and_count(aid_candidates *found)
{
    qsort(found->items, (size_t)found->count, sizeof *found->items, by_candidate_score);
    for (int i = 0; i < found->count; i++)
        found->items[i].id = i + 1;
    for (int i = 0; i < found->count; i++)
        if (!(found->items[i].flags & AID_FLAG_GROUP_REJECT)) {
            found->unflagged++;
            found->unflagged_positive += found->items[i].polarity > 0;
        }
}

aid_status aid_candidates_find(const aid_exposure *science, const aid_exposure *reference,
                               const aid_difference *difference,
                               const aid_detection_options *options, aid_pool *pool,
                               aid_notes *notes, aid_candidates *ret_candidates, aid_error *err)
{
    if (!(options->threshold > 0.0))
        AID_FAIL(err, AID_ERR_INVALID, "threshold: %g is not above 0", options->threshold);
    aid_scene scene = {.science = science,
                       .reference = reference,
                       .difference = difference,
                       .fwhm_px = difference->fwhm_px,
                       .psf_squares = sum_of_squares(&difference->psf),
                       .photon_factor = photon_factor(difference, science->gain)};
    AID_TRY(aid_point_grid_of_stars(&reference->stars, &scene.sources, err));
    aid_candidates found = {0};
    aid_status status = find_points(&scene, options->threshold, pool, &found, err);
    if (status == AID_OK)
        status = aid_extended_find(&scene, options->threshold, pool, notes, &found, err);
    aid_point_grid_done(&scene.sources);
    if (status != AID_OK) {
        aid_candidates_done(&found);
        return status;
    }
    number_and_count(&found);
    if (found.count > 1000)
        aid_note_add(notes, "detect", "%d peaks above %g: look at the difference before the list",
                     found.count, options->threshold);
    *ret_candidates = found;
    return AID_OK;
}

void aid_candidates_done(aid_candidates *candidates)
{
    free(candidates->items);
    *candidates = (aid_candidates){0};
}
