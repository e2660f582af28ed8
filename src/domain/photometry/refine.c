/* Where a WCS is off by parts of a pixel, the stars of the image itself tell by how much. */
#include "core/base/memory.h"
#include "core/imaging/point_grid.h"
#include "core/imaging/stats.h"
#include "core/imaging/transform.h"
#include "domain/photometry/internal.h"

#include <stdlib.h>
#include <string.h>

enum { FEWEST = 5, ENOUGH_FOR_AFFINE = 25, CLIPPINGS = 3 };
static const double least_snr = 20.0;
static const double floor_px = 0.03; /* of a star's position */
static const double least_move_px = 0.02;
static const double chance = 0.3; /* scatter of what matches by chance, over the radius */

/* Stars that are among the positions: where they were expected, and how far off they are. */
typedef struct refinement {
    int count;
    double *x, *y, *dx, *dy, *weight, *scratch; /* in one piece of memory */
    int width, height;
    aid_transform move;
    double rms, chi2; /* px; reduced */
} refinement;

static void refinement_done(refinement *work)
{
    free(work->x);
}

static aid_status refinement_init(int count, refinement *work, aid_error *err)
{
    size_t room = (size_t)AID_MAX(count, 1);
    AID_TRY(aid_new_array(6 * room, sizeof(double), "positions", &work->x, err));
    work->y = work->x + room;
    work->dx = work->y + room;
    work->dy = work->dx + room;
    work->weight = work->dy + room;
    work->scratch = work->weight + room;
    work->width = work->height = 2;
    return AID_OK;
}

static bool is_good(const aid_star *star)
{
    const unsigned unfit = AID_STAR_SATURATED | AID_STAR_MASKED | AID_STAR_TRUNCATED |
                           AID_STAR_BLENDED | AID_STAR_SHARP | AID_STAR_NO_WINDOW;
    return !(star->flags & unfit) && star->flux > least_snr * star->flux_err;
}

/* 1/variance of a star's position along one axis: about .6 FWHM/(S/N). */
static double weight_of(const aid_star *star, double fwhm)
{
    double error = 0.6 * (fwhm > 0.0 ? fwhm : 3.0) * star->flux_err / star->flux;
    return 1.0 / (error * error + floor_px * floor_px);
}

/* A position counts where exactly one star lies near. */
static aid_status match(const aid_stars *stars, double radius, const double (*xy)[2], int count,
                        refinement *work, aid_error *err)
{
    AID_CLEANUP(aid_point_grid_done)
    aid_point_grid grid = {0};
    AID_TRY(aid_point_grid_of_stars(stars, &grid, err));
    for (int i = 0; i < count; i++) {
        int near[2];
        if (!(fabs(xy[i][0]) < AID_MAX_IMAGE_SIDE && fabs(xy[i][1]) < AID_MAX_IMAGE_SIDE) ||
            aid_point_grid_within(&grid, xy[i][0], xy[i][1], radius, near, 2) != 1)
            continue;
        const aid_star *star = &stars->items[near[0]];
        if (!is_good(star))
            continue;
        int k = work->count++;
        work->x[k] = xy[i][0];
        work->y[k] = xy[i][1];
        work->dx[k] = star->x - xy[i][0];
        work->dy[k] = star->y - xy[i][1];
        work->weight[k] = weight_of(star, stars->fwhm_px);
        work->width = AID_MAX(work->width, (int)star->x + 1);
        work->height = AID_MAX(work->height, (int)star->y + 1);
    }
    return AID_OK;
}

static aid_robust robust_of(refinement *work, const double *values)
{
    memcpy(work->scratch, values, (size_t)work->count * sizeof *values);
    return aid_robust_in_place_f64(work->scratch, work->count);
}

/* The stars that the map of moves leaves within `limit` of it. */
static void keep_within(refinement *work, double limit)
{
    int kept = 0;
    for (int i = 0; i < work->count; i++) {
        double u, v;
        aid_transform_apply(&work->move, work->x[i], work->y[i], &u, &v);
        if (hypot(work->dx[i] - u, work->dy[i] - v) > limit)
            continue;
        work->x[kept] = work->x[i];
        work->y[kept] = work->y[i];
        work->dx[kept] = work->dx[i];
        work->dy[kept] = work->dy[i];
        work->weight[kept] = work->weight[i];
        kept++;
    }
    work->count = kept;
}

static void measure_residuals(refinement *work)
{
    double squares = 0.0, chi2 = 0.0;
    for (int i = 0; i < work->count; i++) {
        double u, v;
        aid_transform_apply(&work->move, work->x[i], work->y[i], &u, &v);
        double r2 = (work->dx[i] - u) * (work->dx[i] - u) + (work->dy[i] - v) * (work->dy[i] - v);
        squares += r2;
        chi2 += work->weight[i] * r2;
    }
    int unknowns = work->move.degree ? 3 : 1;
    work->rms = sqrt(squares / (2.0 * work->count));
    work->chi2 = chi2 / (2.0 * AID_MAX(work->count - unknowns, 1));
}

/* The moves are more than what the stars' own errors make. */
static bool is_significant(const refinement *work)
{
    double total = 0.0, squares = 0.0;
    int unknowns = work->move.degree ? 3 : 1;
    for (int i = 0; i < work->count; i++) {
        double u, v;
        aid_transform_apply(&work->move, work->x[i], work->y[i], &u, &v);
        squares += (u * u + v * v) / work->count;
        total += work->weight[i];
    }
    double expected = 2.0 * unknowns * AID_MAX(work->chi2, 1.0) / total;
    return squares > 9.0 * expected && squares > least_move_px * least_move_px;
}

/* A map of the moves: constant, or linear where many stars hold it. */
static aid_status fit_moves(refinement *work, aid_error *err)
{
    for (int pass = 0; pass < CLIPPINGS && work->count >= FEWEST; pass++) {
        int degree = pass > 0 && work->count >= ENOUGH_FOR_AFFINE ? 1 : 0;
        aid_status status =
            aid_transform_fit(work->x, work->y, work->dx, work->dy, work->weight, work->count,
                              degree, work->width, work->height, &work->move, err);
        if (status == AID_ERR_NUMERIC) /* all on one line: what the last pass found stands */
            return pass > 0 ? AID_OK : status;
        AID_TRY(status);
        measure_residuals(work);
        keep_within(work, 4.0 * AID_MAX(work->rms, 1e-6));
    }
    return AID_OK;
}

aid_status aid_refine_positions(const aid_stars *stars, double radius_px, int count,
                                double (*xy)[2], aid_position_shift *ret_shift, aid_error *err)
{
    if (!(radius_px > 0.0 && isfinite(radius_px)))
        AID_FAIL(err, AID_ERR_INVALID, "stars within %g px of a position", radius_px);
    AID_CLEANUP(refinement_done)
    refinement work = {0};
    aid_position_shift shift = {.rms_px = NAN};
    AID_TRY(refinement_init(count, &work, err));
    if (stars->count > 0)
        AID_TRY(match(stars, radius_px, (const double(*)[2])xy, count, &work, err));
    shift.matched = work.count;
    aid_robust x = robust_of(&work, work.dx), y = robust_of(&work, work.dy);
    double scatter = AID_MAX(x.sigma, y.sigma);
    bool enough = work.count >= FEWEST && scatter < chance * radius_px;
    if (enough) {
        work.move = aid_transform_identity(work.width, work.height);
        work.move.degree = 0;
        work.move.cx[0] = x.median;
        work.move.cy[0] = y.median;
        keep_within(&work, 4.0 * AID_MAX(scatter, floor_px));
        AID_TRY(fit_moves(&work, err));
    }
    if (!enough || work.count < FEWEST) {
        *ret_shift = shift;
        return AID_OK;
    }
    shift.matched = work.count;
    shift.rms_px = work.rms;
    for (int i = 0; i < work.count; i++) {
        shift.x_px += work.dx[i] / work.count;
        shift.y_px += work.dy[i] / work.count;
    }
    shift.applied = is_significant(&work);
    for (int i = 0; shift.applied && i < count; i++) {
        double u, v;
        if (!isfinite(xy[i][0]) || !isfinite(xy[i][1]))
            continue;
        aid_transform_apply(&work.move, xy[i][0], xy[i][1], &u, &v);
        xy[i][0] += u;
        xy[i][1] += v;
    }
    *ret_shift = shift;
    return AID_OK;
}
