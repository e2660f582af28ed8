/* The final map, fitted on all stars that both images have: how many terms it may have is for
 * cross-validation to say (README.md). */
#include "core/base/memory.h"
#include "core/imaging/stats.h"
#include "domain/preprocessing/align.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    BRIGHT_STARS = 400, /* that the first rounds use: few, so that wide tolerances are safe */
    BRIGHT_ROUNDS = 3,
    ALL_ROUNDS = 4,
    FOLDS = 5,
    CLIPPED_STARS = 10, /* with fewer, low weights must do: clipping could leave the wrong ones */
    NONE = -2,          /* the base as it is */
    SHIFT = -1,         /* models below a polynomial of degree 1 */
    SIMILARITY = 0,
    GRID = 5 /* positions a side at which a fit is held to be known */
};
static const double clip_squared = 16.0; /* 4 sigma per axis: one good star in 3000 */
static const double error_floor_px = 0.02;
static const double most_beyond_px =
    1.5; /* by which a further term may move places without stars */
static const double worth_resampling_px = 0.01; /* less harm is in leaving the pixels as they are */
static const double known_to_px = 0.25; /* what a fit must at least be known to everywhere */

aid_transform aid_transform_then_affine(const aid_transform *first, const aid_transform *affine)
{
    aid_transform both = *first;
    assert(affine->degree == 1);
    double xx = affine->cx[1] / affine->scale, xy = affine->cx[2] / affine->scale;
    double yx = affine->cy[1] / affine->scale, yy = affine->cy[2] / affine->scale;
    for (int k = 0; k < AID_TRANSFORM_MAX_TERMS; k++) {
        both.cx[k] = xx * first->cx[k] + xy * first->cy[k];
        both.cy[k] = yx * first->cx[k] + yy * first->cy[k];
    }
    both.cx[0] += affine->cx[0] - xx * affine->x0 - xy * affine->y0;
    both.cy[0] += affine->cy[0] - yx * affine->x0 - yy * affine->y0;
    return both;
}

aid_transform aid_transform_nearest_similarity(const aid_transform *map)
{
    aid_transform similarity = {.degree = 1, .x0 = map->x0, .y0 = map->y0, .scale = map->scale};
    double m[4];
    aid_transform_matrix(map, map->x0, map->y0, m);
    double sign = m[0] * m[3] - m[1] * m[2] < 0.0 ? -1.0 : 1.0;
    double re = 0.5 * (m[0] + sign * m[3]), im = 0.5 * (m[2] - sign * m[1]);
    aid_transform_apply(map, map->x0, map->y0, &similarity.cx[0], &similarity.cy[0]);
    similarity.cx[1] = re * map->scale;
    similarity.cx[2] = -sign * im * map->scale;
    similarity.cy[1] = im * map->scale;
    similarity.cy[2] = sign * re * map->scale;
    return similarity;
}

/* ---------------------------------------------------------------------------------------- pairs */

typedef struct matched_pairs {
    int count;
    double *x, *y;    /* science */
    double *u, *v;    /* reference */
    double *du, *dv;  /* reference - base */
    double *variance; /* of u and of v, from both centroids */
    double *weight;   /* 0 where clipped */
    double *squared;  /* residual of the last fit */
    double *scratch;
    double *loss, *best_loss;
} matched_pairs;

typedef struct refinement {
    const aid_anchors *science, *reference;
    const aid_transform *base;
    const aid_refine_options *options;
    double *rx, *ry;
    aid_point_grid grid;
    int *partner;     /* [science count] */
    int *claimed;     /* [reference count]: the science star that is nearest */
    double *distance; /* [reference count] */
    matched_pairs pairs;
    double *memory;
    double at_x[GRID * GRID], at_y[GRID * GRID]; /* science positions that the reference covers */
    int at_count;
} refinement;

typedef struct model {
    int degree; /* NONE, SHIFT, SIMILARITY, 1, 2, ... */
    aid_transform map;
    int used;
    double systematic; /* px^2 per axis, that the expected errors do not explain */
} model;

static void pair_nearest(refinement *work, const aid_transform *map, int stars, double tolerance)
{
    for (int i = 0; i < work->reference->count; i++)
        work->claimed[i] = -1;
    for (int i = 0; i < stars; i++) {
        double x, y;
        aid_transform_apply(map, work->science->items[i].x, work->science->items[i].y, &x, &y);
        int near = work->partner[i] = aid_point_grid_nearest(&work->grid, x, y, tolerance);
        if (near < 0)
            continue;
        double away = hypot(x - work->rx[near], y - work->ry[near]);
        if (work->claimed[near] < 0 || away < work->distance[near]) {
            work->claimed[near] = i;
            work->distance[near] = away;
        }
    }
}

/* Pairs of stars that are each other's nearest. */
static void collect_pairs(refinement *work, const aid_transform *map, int stars, double tolerance)
{
    matched_pairs *p = &work->pairs;
    double scale = sqrt(fabs(aid_transform_jacobian(map, map->x0, map->y0)));
    stars = AID_MIN(stars, work->science->count);
    pair_nearest(work, map, stars, tolerance);
    p->count = 0;
    for (int i = 0; i < stars; i++) {
        int near = work->partner[i];
        if (near < 0 || work->claimed[near] != i)
            continue;
        const aid_anchor *s = &work->science->items[i], *r = &work->reference->items[near];
        int k = p->count++;
        p->x[k] = s->x;
        p->y[k] = s->y;
        p->u[k] = r->x;
        p->v[k] = r->y;
        double x, y;
        aid_transform_apply(work->base, s->x, s->y, &x, &y);
        p->du[k] = r->x - x;
        p->dv[k] = r->y - y;
        p->variance[k] = s->sigma_px * s->sigma_px * scale * scale + r->sigma_px * r->sigma_px;
    }
}

/* ----------------------------------------------------------------------------------------- fits */

static int terms_of(int degree)
{
    if (degree < 1)
        return degree - NONE; /* of each coordinate */
    return (degree + 1) * (degree + 2) / 2;
}

/* Two polynomials over one frame. */
static aid_transform sum_of(const aid_transform *a, const aid_transform *b)
{
    aid_transform sum = *a;
    sum.degree = AID_MAX(a->degree, b->degree);
    for (int k = 0; k < AID_TRANSFORM_MAX_TERMS; k++) {
        sum.cx[k] += b->cx[k];
        sum.cy[k] += b->cy[k];
    }
    return sum;
}

/* Weighted similarity from where the base puts the stars to where they are. */
static bool fit_similarity(const refinement *work, aid_transform *ret_map)
{
    const matched_pairs *p = &work->pairs;
    double weights = 0.0, mx = 0.0, my = 0.0, mu = 0.0, mv = 0.0;
    for (int k = 0; k < p->count; k++) {
        double w = p->weight[k];
        weights += w;
        mx += w * (p->u[k] - p->du[k]);
        my += w * (p->v[k] - p->dv[k]);
        mu += w * p->u[k];
        mv += w * p->v[k];
    }
    if (!(weights > 0.0))
        return false;
    mx /= weights;
    my /= weights;
    mu /= weights;
    mv /= weights;
    double re = 0.0, im = 0.0, square = 0.0;
    for (int k = 0; k < p->count; k++) {
        double px = p->u[k] - p->du[k] - mx, py = p->v[k] - p->dv[k] - my;
        double pu = p->u[k] - mu, pv = p->v[k] - mv, w = p->weight[k];
        re += w * (px * pu + py * pv);
        im += w * (px * pv - py * pu);
        square += w * (px * px + py * py);
    }
    if (!(square > 0.0))
        return false;
    re /= square;
    im /= square;
    aid_transform similarity = {.degree = 1, .x0 = mx, .y0 = my, .scale = 1.0};
    similarity.cx[0] = mu;
    similarity.cy[0] = mv;
    similarity.cx[1] = similarity.cy[2] = re;
    similarity.cx[2] = -im;
    similarity.cy[1] = im;
    *ret_map = aid_transform_then_affine(work->base, &similarity);
    return true;
}

/* One weighted fit; false when the stars do not determine it. */
static bool fit_weighted(const refinement *work, int degree, aid_transform *ret_map)
{
    const matched_pairs *p = &work->pairs;
    if (degree == NONE) {
        *ret_map = *work->base;
        return true;
    }
    if (degree == SIMILARITY)
        return fit_similarity(work, ret_map);
    aid_transform correction;
    if (aid_transform_fit(p->x, p->y, p->du, p->dv, p->weight, p->count, AID_MAX(degree, 0),
                          work->science->width, work->science->height, &correction, NULL) != AID_OK)
        return false;
    *ret_map = sum_of(work->base, &correction);
    return true;
}

static void measure_residuals(matched_pairs *p, const aid_transform *map)
{
    for (int k = 0; k < p->count; k++) {
        double x, y;
        aid_transform_apply(map, p->x[k], p->y[k], &x, &y);
        p->squared[k] = (p->u[k] - x) * (p->u[k] - x) + (p->v[k] - y) * (p->v[k] - y);
    }
}

/* The variance per axis that has to be added to the expected one, so that the median of
 * r^2/variance becomes what it is for two normal axes: 2 ln 2, less what the fit took up. By
 * bisection, as the median falls with what is added. */
static double unexplained_variance(matched_pairs *p, int terms)
{
    const double expected = 2.0 * log(2.0) * AID_MAX(1.0 - (double)terms / p->count, 0.1);
    double low = 0.0, high = 0.0;
    for (int k = 0; k < p->count; k++)
        high = AID_MAX(high, p->squared[k]);
    for (int step = -1; step < 40; step++) {
        double middle = step < 0 ? 0.0 : 0.5 * (low + high);
        for (int k = 0; k < p->count; k++)
            p->scratch[k] = p->squared[k] / (p->variance[k] + middle);
        bool too_small = aid_median_in_place_f64(p->scratch, p->count) > expected;
        if (step < 0 && !too_small)
            return 0.0;
        if (too_small)
            low = middle;
        else
            high = middle;
    }
    return 0.5 * (low + high);
}

/* How much a star counts in Student's t distribution of two axes. Some stars have moved, some are
 * two, and they must not draw a few others with them: 4 degrees of freedom. With many stars
 * clipping takes care of those, and smooth distortions that the model cannot follow must not be
 * taken for them: close to a normal distribution. */
static double t_weight(double squared, double variance, int stars)
{
    double freedom = AID_MAX(4.0, stars / 12.0);
    return (freedom + 2.0) / (freedom + squared / variance);
}

/* The same for the stars that keep a weight, by maximum likelihood: bright stars, whose expected
 * errors are small, have the most to say. The root of the derivative with respect to what is added,
 * by bisection. */
static double likeliest_variance(const matched_pairs *p, int terms, int used)
{
    double freedom = AID_MAX(1.0 - (double)terms / used, 0.1), low = 0.0, high = 0.0;
    for (int k = 0; k < p->count; k++)
        if (p->weight[k] > 0.0)
            high = AID_MAX(high, p->squared[k] / freedom);
    for (int step = -1; step < 40; step++) {
        double middle = step < 0 ? 0.0 : 0.5 * (low + high), slope = 0.0;
        for (int k = 0; k < p->count; k++) {
            double variance = p->variance[k] + middle, squared = p->squared[k] / freedom;
            if (p->weight[k] > 0.0)
                slope += (0.5 * t_weight(squared, variance, p->count) * squared / variance - 1.0) /
                         variance;
        }
        if (step < 0 && slope <= 0.0)
            return 0.0;
        if (slope > 0.0)
            low = middle;
        else
            high = middle;
    }
    return 0.5 * (low + high);
}

/* Weights from the last fit's residuals; how many stars keep one. */
static int reweight(matched_pairs *p, double systematic)
{
    int used = 0;
    for (int k = 0; k < p->count; k++) {
        double variance = p->variance[k] + systematic;
        bool keep = p->squared[k] <= clip_squared * variance || p->count < CLIPPED_STARS;
        p->weight[k] = keep ? t_weight(p->squared[k], variance, p->count) / variance : 0.0;
        used += keep;
    }
    return used;
}

/* Fit, measure, reweight, until what is unexplained settles. The weights stay in the pairs. */
static bool fit_robust(refinement *work, int degree, model *ret_model)
{
    matched_pairs *p = &work->pairs;
    model fitted = {.degree = degree, .used = p->count};
    for (int k = 0; k < p->count; k++)
        p->weight[k] = 1.0 / (p->variance[k] + 0.01);
    for (int round = 0; round < 12; round++) {
        double before = fitted.systematic;
        int used = fitted.used;
        if (!fit_weighted(work, degree, &fitted.map))
            return false;
        measure_residuals(p, &fitted.map);
        fitted.systematic = round < 3 ? unexplained_variance(p, terms_of(degree))
                                      : likeliest_variance(p, terms_of(degree), fitted.used);
        fitted.used = reweight(p, fitted.systematic);
        if (round > 3 && used == fitted.used && fabs(fitted.systematic - before) <= 0.01 * before)
            break;
    }
    if (!fit_weighted(work, degree, &fitted.map))
        return false;
    measure_residuals(p, &fitted.map);
    *ret_model = fitted;
    return true;
}

/* ------------------------------------------------------------------------------- choosing terms */

/* Each fold is predicted by a fit on the others, with the weights of the robust fit. The loss is
 * the logarithm of a Cauchy distribution, so that a false match costs little in any model. */
static bool cross_validate(refinement *work, int degree, double *loss)
{
    matched_pairs *p = &work->pairs;
    for (int fold = 0; fold < FOLDS; fold++) {
        aid_transform map;
        for (int k = 0; k < p->count; k++) {
            p->scratch[k] = p->weight[k];
            if (k % FOLDS == fold)
                p->weight[k] = 0.0;
        }
        bool fitted = fit_weighted(work, degree, &map);
        memcpy(p->weight, p->scratch, (size_t)p->count * sizeof *p->weight);
        if (!fitted)
            return false;
        measure_residuals(p, &map);
        for (int k = fold; k < p->count; k += FOLDS)
            loss[k] =
                log1p(p->squared[k] / (2.0 * (p->variance[k] + error_floor_px * error_floor_px)));
    }
    return true;
}

/* More terms must predict better by twice the standard error of the difference. */
static bool predicts_better(const matched_pairs *p)
{
    double mean = 0.0, square = 0.0;
    for (int k = 0; k < p->count; k++)
        mean += (p->best_loss[k] - p->loss[k]) / p->count;
    for (int k = 0; k < p->count; k++) {
        double deviation = p->best_loss[k] - p->loss[k] - mean;
        square += deviation * deviation;
    }
    return mean > 2.0 * sqrt(square) / p->count;
}

/* The largest standard error of the map over the part of the image that the reference covers: where
 * there are no stars, high degrees know nothing. */
static double worst_error(const refinement *work, int degree)
{
    const matched_pairs *p = &work->pairs;
    aid_transform frame = aid_transform_identity(work->science->width, work->science->height);
    frame.degree = degree;
    aid_transform_points stars = {p->x, p->y, p->weight, p->count};
    aid_transform_points at = {work->at_x, work->at_y, NULL, work->at_count};
    return sqrt(aid_transform_worst_variance(&frame, &stars, &at));
}

static void cover(refinement *work, const aid_transform *map)
{
    work->at_count = 0;
    for (int j = 0; j < GRID; j++)
        for (int i = 0; i < GRID; i++) {
            double x = i * (work->science->width - 1.0) / (GRID - 1), u, v;
            double y = j * (work->science->height - 1.0) / (GRID - 1);
            aid_transform_apply(map, x, y, &u, &v);
            if (u < 0.0 || v < 0.0 || u > work->reference->width || v > work->reference->height)
                continue;
            work->at_x[work->at_count] = x;
            work->at_y[work->at_count++] = y;
        }
}

static double distance_to_stars(const matched_pairs *p, double x, double y)
{
    double least = INFINITY;
    for (int k = 0; k < p->count; k++)
        if (p->weight[k] > 0.0)
            least = AID_MIN(least, hypot(p->x[k] - x, p->y[k] - y));
    return least;
}

/* How far two maps differ where there are no stars near: a model's error there is not noise alone,
 * it is also what the next degree would add. */
static double difference_beyond_stars(const refinement *work, const aid_transform *a,
                                      const aid_transform *b)
{
    double near = 0.25 * AID_MAX(work->science->width, work->science->height), most = 0.0;
    for (int i = 0; i < work->at_count; i++) {
        double x = work->at_x[i], y = work->at_y[i], ax, ay, bx, by;
        if (distance_to_stars(&work->pairs, x, y) < near)
            continue;
        aid_transform_apply(a, x, y, &ax, &ay);
        aid_transform_apply(b, x, y, &bx, &by);
        most = AID_MAX(most, hypot(ax - bx, ay - by));
    }
    return most;
}

static bool worth_trying(const refinement *work, int degree, int max_degree)
{
    int stars = work->pairs.count;
    if (degree <= 1)
        return degree <= SHIFT || stars >= (degree == SIMILARITY ? 3 : 6);
    return degree <= max_degree && stars >= 4 * terms_of(degree);
}

/* How far the map moves any place from where the base puts it. */
static double most_moved(const refinement *work, const aid_transform *map)
{
    double most = 0.0;
    for (int i = 0; i < work->at_count; i++) {
        double u, v, base_u, base_v;
        aid_transform_apply(map, work->at_x[i], work->at_y[i], &u, &v);
        aid_transform_apply(work->base, work->at_x[i], work->at_y[i], &base_u, &base_v);
        most = AID_MAX(most, hypot(u - base_u, v - base_v));
    }
    return most;
}

static bool is_better(refinement *work, const model *candidate, const model *best)
{
    if (best->degree == NONE && most_moved(work, &candidate->map) < worth_resampling_px)
        return false;
    double limit = AID_MAX(known_to_px, 3.0 * sqrt(best->systematic));
    if (candidate->degree >= 1 &&
        (worst_error(work, candidate->degree) > limit ||
         difference_beyond_stars(work, &candidate->map, &best->map) > most_beyond_px))
        return false;
    return cross_validate(work, candidate->degree, work->pairs.loss) &&
           predicts_better(&work->pairs);
}

/* The simplest model first; each further one must be determined everywhere and predict better. */
static bool choose_model(refinement *work, int max_degree, model *best)
{
    matched_pairs *p = &work->pairs;
    bool few = !worth_trying(work, SIMILARITY, max_degree);
    int simplest = few ? SHIFT : work->options->base_may_stand ? NONE : SIMILARITY;
    if (!fit_robust(work, simplest, best) || !cross_validate(work, simplest, p->best_loss))
        return fit_robust(work, SHIFT, best);
    for (int degree = AID_MAX(simplest + 1, SIMILARITY); worth_trying(work, degree, max_degree);
         degree++) {
        model candidate;
        if (!fit_robust(work, degree, &candidate))
            break;
        if (!is_better(work, &candidate, best))
            continue;
        *best = candidate;
        memcpy(p->best_loss, p->loss, (size_t)p->count * sizeof *p->loss);
    }
    return fit_robust(work, best->degree, best); /* leaves the weights of the chosen one */
}

/* The model that was asked for; stars on one line, or too few, leave it undetermined. */
static bool fit_model(refinement *work, model *fitted)
{
    static const int degrees[] = {
        [AID_MODEL_SHIFT] = SHIFT, [AID_MODEL_SIMILARITY] = SIMILARITY, [AID_MODEL_AFFINE] = 1};
    static const int least[] = {
        [AID_MODEL_SHIFT] = 1, [AID_MODEL_SIMILARITY] = 2, [AID_MODEL_AFFINE] = 3};
    aid_registration_model asked = work->options->model;
    return work->pairs.count >= least[asked] && fit_robust(work, degrees[asked], fitted);
}

/* ------------------------------------------------------------------------------------ the whole */

static void refinement_done(refinement *work)
{
    aid_point_grid_done(&work->grid);
    free(work->partner);
    free(work->memory);
}

static aid_status refinement_init(refinement *work, aid_error *err)
{
    size_t stars = (size_t)work->science->count, others = (size_t)work->reference->count;
    matched_pairs *p = &work->pairs;
    AID_TRY(aid_new_array(12 * stars + 3 * others + 1, sizeof(double), "star pairs", &work->memory,
                          err));
    double **arrays[] = {&p->x,       &p->y,       &p->u,        &p->v,
                         &p->du,      &p->dv,      &p->variance, &p->weight,
                         &p->squared, &p->scratch, &p->loss,     &p->best_loss};
    double *next = work->memory;
    for (size_t i = 0; i < AID_COUNT_OF(arrays); i++, next += stars)
        *arrays[i] = next;
    work->rx = next;
    work->ry = next + others;
    work->distance = next + 2 * others;
    for (size_t i = 0; i < others; i++) {
        work->rx[i] = work->reference->items[i].x;
        work->ry[i] = work->reference->items[i].y;
    }
    AID_TRY(aid_new_array(stars + others + 1, sizeof(int), "star pairs", &work->partner, err));
    work->claimed = work->partner + stars;
    return aid_point_grid_init(work->rx, work->ry, (int)others, &work->grid, err);
}

/* Weighted rms of the stars in the fit, corrected for what the fit took up. */
static void describe(const refinement *work, const model *fitted, aid_refined *refined)
{
    const matched_pairs *p = &work->pairs;
    double weights = 0.0, sum_x = 0.0, sum_y = 0.0;
    for (int k = 0; k < p->count; k++) {
        double x, y;
        aid_transform_apply(&fitted->map, p->x[k], p->y[k], &x, &y);
        weights += p->weight[k];
        sum_x += p->weight[k] * (p->u[k] - x) * (p->u[k] - x);
        sum_y += p->weight[k] * (p->v[k] - y) * (p->v[k] - y);
    }
    double freedom = AID_MAX(fitted->used - terms_of(fitted->degree), 1);
    double correction = fitted->used / freedom / weights;
    refined->transform = fitted->map;
    refined->degree = AID_MAX(fitted->degree, 0);
    refined->matched = fitted->used;
    refined->rms_x_px = sqrt(sum_x * correction);
    refined->rms_y_px = sqrt(sum_y * correction);
    refined->systematic_px = sqrt(fitted->systematic);
}

aid_status aid_refine(const aid_anchors *science, const aid_anchors *reference,
                      const aid_refine_options *options, aid_refined *ret_refined, aid_error *err)
{
    const aid_transform *first = options->first;
    AID_CLEANUP(refinement_done)
    refinement work = {
        .science = science, .reference = reference, .base = options->base, .options = options};
    AID_TRY(refinement_init(&work, err));
    aid_refined refined = {
        .transform = *first, .rms_x_px = NAN, .rms_y_px = NAN, .systematic_px = NAN};
    double scale = AID_MAX(1.0, sqrt(fabs(aid_transform_jacobian(first, first->x0, first->y0))));
    double tolerance = options->tolerance_px;
    for (int round = 0; round < BRIGHT_ROUNDS + ALL_ROUNDS; round++) {
        bool bright = round < BRIGHT_ROUNDS;
        int matched = refined.matched;
        model fitted;
        collect_pairs(&work, &refined.transform, bright ? BRIGHT_STARS : science->count, tolerance);
        cover(&work, &refined.transform);
        int max_degree = bright ? AID_MIN(options->max_degree, 3) : options->max_degree;
        if (options->model != AID_MODEL_AUTO && !fit_model(&work, &fitted))
            AID_FAIL(err, AID_ERR_INVALID,
                     "%d matched stars do not determine the map that was asked for: a shift needs "
                     "one, a similarity two, an affine map three that are not on a line",
                     work.pairs.count);
        if (work.pairs.count == 0 ||
            (options->model == AID_MODEL_AUTO && !choose_model(&work, max_degree, &fitted)))
            break;
        describe(&work, &fitted, &refined);
        double spread = hypot(refined.rms_x_px, refined.rms_y_px), before = tolerance;
        tolerance = AID_MIN(tolerance, AID_MAX(5.0 * spread, scale));
        if (bright && round > 0 && before <= 1.2 * tolerance)
            round = BRIGHT_ROUNDS - 1; /* as near as they will come */
        else if (!bright && before <= 1.05 * tolerance && matched == refined.matched)
            break;
    }
    *ret_refined = refined;
    return AID_OK;
}

aid_status aid_measure_offsets(const aid_anchors *science, const aid_anchors *reference,
                               const aid_transform *map, double reach_px,
                               aid_star_offsets *ret_offsets, aid_error *err)
{
    AID_CLEANUP(refinement_done)
    refinement work = {.science = science, .reference = reference, .base = map};
    AID_TRY(refinement_init(&work, err));
    collect_pairs(&work, map, science->count, reach_px);
    matched_pairs *p = &work.pairs;
    *ret_offsets = (aid_star_offsets){p->count, NAN, NAN, NAN, NAN};
    if (p->count < 3)
        return AID_OK;
    aid_robust x = aid_robust_in_place_f64(p->du, p->count);
    aid_robust y = aid_robust_in_place_f64(p->dv, p->count);
    *ret_offsets = (aid_star_offsets){p->count, x.median, y.median, x.sigma, y.sigma};
    return AID_OK;
}
