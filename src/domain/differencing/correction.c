/* The correction of the kernel: K = K0 (x) (delta + sum_k theta_k(u, v) delta_k), theta linear over
 * the field, fitted on bright objects with Y - K0 C as data and shifted copies of K0 C as basis
 * (a delta basis as in Bramich 2008, here on top of the PSF models' own kernel). */
#include "core/base/memory.h"
#include "core/imaging/linalg.h"
#include "core/imaging/stats.h"
#include "domain/differencing/internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_OBJECTS = 700, MIN_OBJECTS = 12, GROUPS = 16, MAX_OBJECT_PIXELS = 1024 };
enum { UNKNOWNS = AID_DELTA_TERMS * AID_DELTA_COUNT };
enum { BLOCK = AID_DELTA_COUNT + 1 }; /* the basis and, last, the data: one Gram matrix for both */

/* What a kernel pixel may be off by, as a fraction of the flux: the PSF models are good to this. */
static const double prior_sigma = 0.02;
static const double prior_radius = 3.0; /* px: less far out, where only skirts would be fitted */
static const double prior_sum = 0.002;  /* the flux ratio has been measured already */
static const double min_object_snr = 30.0;

typedef struct object {
    int x, y;
    double u, v, chi2;
    int pixels;
    bool rejected;
} object;

typedef struct fit_job {
    const aid_subtraction *plan;
    const aid_exposure *target; /* Y */
    const aid_image *convolved; /* K0 (x) C */
    const aid_mask *mask;
    object *objects;
    int count, radius;
    double *normal; /* [GROUPS][UNKNOWNS][UNKNOWNS] */
    double *right;  /* [GROUPS][UNKNOWNS] */
    const double *solution;
    int64_t shift[AID_DELTA_COUNT]; /* of each basis element, in pixels of `convolved` */
} fit_job;

/* ------------------------------------------------------------------------------------ objects ---
 */

static bool worth_fitting(const fit_job *job, const aid_star *star)
{
    const unsigned unfit = AID_STAR_TRUNCATED | AID_STAR_SATURATED | AID_STAR_SHARP;
    int reach = job->radius + AID_DELTA_HALF + 2;
    int x = (int)lround(star->x), y = (int)lround(star->y);
    if (star->flags & unfit || !(star->flux > min_object_snr * star->flux_err) || x < reach ||
        y < reach || x >= job->mask->width - reach || y >= job->mask->height - reach)
        return false;
    return !aid_mask_row(job->mask, y)[x];
}

/* The brightest objects of each cell of a 6 x 6 grid, so that one corner cannot take all places. */
static void choose_objects(fit_job *job, const aid_stars *stars)
{
    enum { CELLS = 6, EACH = MAX_OBJECTS / (CELLS * CELLS) };
    int taken[CELLS * CELLS] = {0};
    double width = job->mask->width, height = job->mask->height;
    for (int i = 0; i < stars->count && job->count < MAX_OBJECTS; i++) {
        const aid_star *star = &stars->items[i];
        if (!worth_fitting(job, star))
            continue;
        int cell = (int)(star->y / height * CELLS) * CELLS + (int)(star->x / width * CELLS);
        if (taken[cell]++ >= EACH)
            continue;
        object *item = &job->objects[job->count++];
        *item = (object){.x = (int)lround(star->x), .y = (int)lround(star->y)};
        item->u = (item->x - 0.5 * width) / (0.5 * width);
        item->v = (item->y - 0.5 * height) / (0.5 * height);
    }
}

/* ------------------------------------------------------------------------------ rows of the fit
 * --- */

/* Takes the best constant out of every column, so that the background under the object, which the
 * mesh knows to a few percent of its noise only, cannot pass for flux. */
static void remove_constant(float *rows, const float *weights, int count)
{
    double square = 0.0, product[BLOCK] = {0};
    for (int n = 0; n < count; n++) {
        square += (double)weights[n] * (double)weights[n];
        for (int k = 0; k < BLOCK; k++)
            product[k] += (double)weights[n] * (double)rows[(size_t)n * BLOCK + (size_t)k];
    }
    for (int n = 0; n < count; n++)
        for (int k = 0; k < BLOCK; k++)
            rows[(size_t)n * BLOCK + (size_t)k] -= (float)(product[k] / square) * weights[n];
}

/* The rows of one object: basis values and, last, the data, each times sqrt(weight). */
static int object_rows(const fit_job *job, const object *item, float *rows)
{
    const aid_exposure *target = job->target;
    double rms = aid_mesh_at(&target->noise, item->x, item->y);
    float weights[MAX_OBJECT_PIXELS];
    int count = 0, r = job->radius;
    for (int dy = -r; dy <= r; dy++)
        for (int dx = -r; dx <= r; dx++) {
            int x = item->x + dx, y = item->y + dy;
            if (dx * dx + dy * dy > r * r || aid_mask_row(job->mask, y)[x])
                continue;
            double model = (double)aid_image_row(job->convolved, y)[x];
            double bright = AID_MAX(model, 0.0);
            double variance = 2.0 * (rms * rms + bright / target->gain) +
                              1e-4 * bright * bright; /* 1 %: no star may dominate */
            float weight = (float)(1.0 / sqrt(variance));
            float *row = rows + (size_t)count++ * BLOCK;
            const float *centre = aid_image_row(job->convolved, y) + x;
            for (int k = 0; k < AID_DELTA_COUNT; k++)
                row[k] = weight * centre[-job->shift[k]];
            row[AID_DELTA_COUNT] = weight * (aid_image_row(&target->image, y)[x] - (float)model);
            weights[count - 1] = weight;
        }
    remove_constant(rows, weights, count);
    return count;
}

/* gram += rows^T rows, upper triangle. Float products of at most 1024 rows, four rows at a time. */
AID_HOT static void add_gram(const float *restrict rows, int count, float *restrict gram)
{
    for (int n = 0; n + 4 <= count; n += 4) {
        const float *a = rows + (size_t)n * BLOCK, *b = a + BLOCK, *c = b + BLOCK, *d = c + BLOCK;
        for (int i = 0; i < BLOCK; i++) {
            float *to = gram + (size_t)i * BLOCK;
            float ai = a[i], bi = b[i], ci = c[i], di = d[i];
            for (int j = i & ~15; j < BLOCK; j++)
                to[j] += ai * a[j] + bi * b[j] + ci * c[j] + di * d[j];
        }
    }
    for (int n = count & ~3; n < count; n++) {
        const float *a = rows + (size_t)n * BLOCK;
        for (int i = 0; i < BLOCK; i++)
            for (int j = i & ~15; j < BLOCK; j++)
                gram[i * BLOCK + j] += a[i] * a[j];
    }
}

/* normal += sign (p p^T) (x) gram with p = (1, u, v): blocks of the upper triangle. */
static void add_object(const object *item, const float *gram, double sign, double *normal,
                       double *right)
{
    const double terms[AID_DELTA_TERMS] = {1.0, item->u, item->v};
    for (int s = 0; s < AID_DELTA_TERMS; s++)
        for (int t = s; t < AID_DELTA_TERMS; t++) {
            double factor = sign * terms[s] * terms[t];
            for (int i = 0; i < AID_DELTA_COUNT; i++) {
                double *to =
                    normal + (size_t)(s * AID_DELTA_COUNT + i) * UNKNOWNS + t * AID_DELTA_COUNT;
                const float *from = gram + (size_t)i * BLOCK;
                for (int j = i; j < AID_DELTA_COUNT; j++)
                    to[j] += factor * (double)from[j];
                if (t > s)
                    for (int j = 0; j < i; j++)
                        to[j] += factor * (double)gram[j * BLOCK + i];
            }
        }
    for (int s = 0; s < AID_DELTA_TERMS; s++)
        for (int i = 0; i < AID_DELTA_COUNT; i++)
            right[s * AID_DELTA_COUNT + i] +=
                sign * terms[s] * (double)gram[(size_t)i * BLOCK + AID_DELTA_COUNT];
}

static double object_chi2(const fit_job *job, const object *item, const float *rows, int count)
{
    const double terms[AID_DELTA_TERMS] = {1.0, item->u, item->v};
    float local[AID_DELTA_COUNT];
    for (int k = 0; k < AID_DELTA_COUNT; k++) {
        double value = 0.0;
        for (int t = 0; t < AID_DELTA_TERMS; t++)
            value += terms[t] * job->solution[t * AID_DELTA_COUNT + k];
        local[k] = (float)value;
    }
    double sum = 0.0;
    for (int n = 0; n < count; n++) {
        const float *row = rows + (size_t)n * BLOCK;
        float model = 0.0F;
        for (int k = 0; k < AID_DELTA_COUNT; k++)
            model += local[k] * row[k];
        double residual = (double)(row[AID_DELTA_COUNT] - model);
        sum += residual * residual;
    }
    return count > 0 ? sum / count : 0.0;
}

typedef enum fit_step { STEP_ACCUMULATE, STEP_CHI2, STEP_DOWNDATE } fit_step;

typedef struct step_job {
    fit_job *fit;
    fit_step step;
    const bool *drop; /* which objects a down-date takes out */
} step_job;

static aid_status run_group(void *context, int64_t group, int worker, aid_error *err)
{
    (void)worker;
    const step_job *job = context;
    fit_job *fit = job->fit;
    AID_CLEANUP(aid_free_pointer)
    float *rows = NULL, *gram = NULL;
    AID_TRY(
        aid_new_buffer((size_t)MAX_OBJECT_PIXELS * BLOCK, sizeof *rows, "kernel fit", &rows, err));
    AID_TRY(aid_new_buffer((size_t)BLOCK * BLOCK, sizeof *gram, "kernel fit", &gram, err));
    double *normal = fit->normal + (size_t)group * UNKNOWNS * UNKNOWNS;
    double *right = fit->right + (size_t)group * UNKNOWNS;
    for (int i = (int)group; i < fit->count; i += GROUPS) {
        object *item = &fit->objects[i];
        if (job->step == STEP_DOWNDATE && !job->drop[i])
            continue;
        item->pixels = object_rows(fit, item, rows);
        if (job->step == STEP_CHI2) {
            item->chi2 = object_chi2(fit, item, rows, item->pixels);
            continue;
        }
        memset(gram, 0, (size_t)BLOCK * BLOCK * sizeof *gram);
        add_gram(rows, item->pixels, gram);
        add_object(item, gram, job->step == STEP_DOWNDATE ? -1.0 : 1.0, normal, right);
    }
    return AID_OK;
}

/* -------------------------------------------------------------------------------------- solve ---
 */

static aid_status solve(const fit_job *job, double *matrix, double *solution, aid_error *err)
{
    size_t cells = (size_t)UNKNOWNS * UNKNOWNS;
    memset(matrix, 0, cells * sizeof *matrix);
    memset(solution, 0, UNKNOWNS * sizeof *solution);
    for (int group = 0; group < GROUPS; group++) {
        for (size_t i = 0; i < cells; i++)
            matrix[i] += job->normal[(size_t)group * cells + i];
        for (int i = 0; i < UNKNOWNS; i++)
            solution[i] += job->right[(size_t)group * UNKNOWNS + (size_t)i];
    }
    for (int i = 0; i < UNKNOWNS; i++) {
        aid_delta delta = aid_delta_at(i % AID_DELTA_COUNT);
        double radius2 = delta.dx * delta.dx + delta.dy * delta.dy;
        double sigma = prior_sigma * exp(-radius2 / (2.0 * prior_radius * prior_radius));
        matrix[(size_t)i * UNKNOWNS + (size_t)i] += 1.0 / (sigma * sigma);
    }
    for (int t = 0; t < AID_DELTA_TERMS; t++) /* (sum of the correction) / prior_sum */
        for (int i = t * AID_DELTA_COUNT; i < (t + 1) * AID_DELTA_COUNT; i++)
            for (int j = i; j < (t + 1) * AID_DELTA_COUNT; j++)
                matrix[(size_t)i * UNKNOWNS + (size_t)j] += 1.0 / (prior_sum * prior_sum);
    AID_TRY(aid_cholesky_factor_jittered(UNKNOWNS, matrix, 1e-6, NULL, err));
    aid_cholesky_solve(UNKNOWNS, matrix, solution);
    return AID_OK;
}

/* Objects that the kernel does not explain: variables, transients on hosts, blends, bad pixels. */
static int mark_outliers(fit_job *job, bool *drop, double *scratch)
{
    int kept = 0, dropped = 0;
    for (int i = 0; i < job->count; i++)
        if (!job->objects[i].rejected && job->objects[i].pixels > 0)
            scratch[kept++] = job->objects[i].chi2;
    double limit = AID_MAX(4.0 * aid_median_in_place_f64(scratch, kept), 3.0);
    for (int i = 0; i < job->count; i++) {
        drop[i] = !job->objects[i].rejected && job->objects[i].chi2 > limit;
        if (drop[i]) {
            job->objects[i].rejected = true;
            dropped++;
        }
    }
    return dropped;
}

static aid_status iterate(fit_job *job, double *matrix, double *solution, aid_pool *pool,
                          aid_error *err)
{
    bool drop[MAX_OBJECTS];
    double scratch[MAX_OBJECTS];
    step_job step = {.fit = job, .step = STEP_ACCUMULATE, .drop = drop};
    AID_TRY(aid_pool_run(pool, GROUPS, run_group, &step, err));
    AID_TRY(solve(job, matrix, solution, err));
    job->solution = solution;
    for (int iteration = 0; iteration < 3; iteration++) {
        step.step = STEP_CHI2;
        AID_TRY(aid_pool_run(pool, GROUPS, run_group, &step, err));
        if (mark_outliers(job, drop, scratch) == 0)
            break;
        step.step = STEP_DOWNDATE;
        AID_TRY(aid_pool_run(pool, GROUPS, run_group, &step, err));
        AID_TRY(solve(job, matrix, solution, err));
    }
    return AID_OK;
}

static void store(const fit_job *job, const double *solution, aid_subtraction *plan,
                  aid_difference *difference)
{
    double sum = 1.0;
    for (int k = 0; k < AID_DELTA_COUNT; k++) {
        for (int t = 0; t < AID_DELTA_TERMS; t++)
            plan->correction[t][k] = solution[t * AID_DELTA_COUNT + k];
        sum += plan->correction[0][k];
    }
    plan->has_correction = true;
    difference->kernel_sum = sum;
    difference->kernel_objects = job->count;
    for (int i = 0; i < job->count; i++)
        difference->kernel_rejected += job->objects[i].rejected;
}

aid_status aid_fit_correction(aid_subtraction *plan, const aid_image *convolved,
                              const aid_mask *mask, aid_pool *pool, aid_difference *difference,
                              aid_error *err)
{
    const aid_exposure *target = plan->convolve_science ? plan->reference : plan->science;
    const aid_exposure *sharp = plan->convolve_science ? plan->science : plan->reference;
    AID_CLEANUP(aid_free_pointer)
    object *objects = NULL;
    AID_CLEANUP(aid_free_pointer)
    double *normal = NULL, *right = NULL, *matrix = NULL;
    double solution[UNKNOWNS];
    fit_job job = {.plan = plan, .target = target, .convolved = convolved, .mask = mask};
    job.radius = AID_CLAMP((int)lround(2.25 * target->psf.fwhm_px), 5, 17);
    for (int k = 0; k < AID_DELTA_COUNT; k++)
        job.shift[k] = aid_delta_at(k).dy * convolved->stride + aid_delta_at(k).dx;
    AID_TRY(aid_new_array(MAX_OBJECTS, sizeof *objects, "kernel fit", &objects, err));
    job.objects = objects;
    choose_objects(&job, &sharp->stars);
    if (job.count < MIN_OBJECTS)
        return AID_OK;
    size_t cells = (size_t)UNKNOWNS * UNKNOWNS;
    AID_TRY(aid_new_array(GROUPS * cells, sizeof *normal, "kernel fit", &normal, err));
    AID_TRY(aid_new_array(GROUPS * (size_t)UNKNOWNS, sizeof *right, "kernel fit", &right, err));
    AID_TRY(aid_new_array(cells, sizeof *matrix, "kernel fit", &matrix, err));
    job.normal = normal;
    job.right = right;
    AID_TRY(iterate(&job, matrix, solution, pool, err));
    store(&job, solution, plan, difference);
    return AID_OK;
}
