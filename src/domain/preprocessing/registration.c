#include "core/base/memory.h"
#include "core/imaging/warp.h"
#include "domain/preprocessing/align.h"
#include "domain/preprocessing/preprocessing.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    WCS_GRID = 15, /* positions a side at which the two WCS are compared */
    OVERLAP_GRID = 64,

    FEW_STARS = 6 /* below this, that stars do not match says nothing */
};
static const double wcs_error_arcsec = 60.0; /* pointing errors that are looked for */
static const double wcs_error_least_px = 30.0;
static const double wcs_fit_px = 5e-4;
static const double sure_phase = 8.0; /* sigma; noise reaches 5.6 in a map of 16 million lags */
static const double clear_of_rivals =
    0.7; /* stars of one field on those of another make many peaks */
static const double least_correlation = 0.3;
static const double near_phase = 4.0; /* noise hardly reaches it within 1.5 px of no shift */
static const double near_px = 1.5;
static const double near_identity_px = 0.5;
static const double near_stars_px = 3.0; /* within which a map's stars are compared */

typedef struct alignment {
    const aid_exposure *science, *reference;
    const aid_registration_options *options;
    aid_pool *pool;
    aid_notes *notes;
    aid_anchors science_stars, reference_stars;
    bool predicted; /* by both WCS */
    aid_transform prediction;
    double prediction_residual_px; /* of a polynomial, from what the WCS say */
    double pixel_arcsec;           /* of the reference; NaN without WCS */
    aid_pattern_match best;
    aid_transform first; /* the map before refinement */
    aid_transform base;  /* what refinement corrects */
    double tolerance_px; /* how far off it may be */
    char method[32];
} alignment;

static void alignment_done(alignment *work)
{
    aid_anchors_done(&work->science_stars);
    aid_anchors_done(&work->reference_stars);
}

static double scale_of(const aid_transform *map)
{
    return sqrt(fabs(aid_transform_jacobian(map, map->x0, map->y0)));
}

/* ------------------------------------------------------------------------------------------ WCS */

typedef struct wcs_pairs {
    int count;
    double x[WCS_GRID * WCS_GRID], y[WCS_GRID * WCS_GRID];
    double u[WCS_GRID * WCS_GRID], v[WCS_GRID * WCS_GRID];
} wcs_pairs;

/* Positions that fall on the reference or within its size around it: farther away, distortion
 * polynomials mean nothing. ret_on_reference: how many really fall on it. */
static wcs_pairs compare_wcs(const alignment *work, int *ret_on_reference)
{
    wcs_pairs p = {.count = 0};
    const aid_image *s = &work->science->image, *r = &work->reference->image;
    *ret_on_reference = 0;
    for (int j = 0; j < WCS_GRID; j++)
        for (int i = 0; i < WCS_GRID; i++) {
            double x = i * (s->width - 1.0) / (WCS_GRID - 1), ra_deg, dec_deg, u, v;
            double y = j * (s->height - 1.0) / (WCS_GRID - 1);
            if (!aid_wcs_pixel_to_radec(work->science->wcs, x, y, &ra_deg, &dec_deg) ||
                !aid_wcs_radec_to_pixel(work->reference->wcs, ra_deg, dec_deg, &u, &v) ||
                !(u > -r->width && u < 2.0 * r->width && v > -r->height && v < 2.0 * r->height))
                continue;
            p.x[p.count] = x;
            p.y[p.count] = y;
            p.u[p.count] = u;
            p.v[p.count++] = v;
            *ret_on_reference += u > -0.5 && v > -0.5 && u < r->width - 0.5 && v < r->height - 0.5;
        }
    return p;
}

static double worst_residual(const wcs_pairs *p, const aid_transform *map)
{
    double worst = 0.0;
    for (int i = 0; i < p->count; i++) {
        double u, v;
        aid_transform_apply(map, p->x[i], p->y[i], &u, &v);
        worst = AID_MAX(worst, hypot(u - p->u[i], v - p->v[i]));
    }
    return worst;
}

/* The map that the two WCS imply, as a polynomial of the lowest degree that will do. */
static void predict(alignment *work)
{
    const aid_image *s = &work->science->image;
    int on_reference;
    if (!work->science->wcs || !work->reference->wcs)
        return;
    wcs_pairs p = compare_wcs(work, &on_reference);
    for (int degree = 1; degree <= AID_TRANSFORM_MAX_DEGREE; degree++) {
        aid_transform map;
        if (p.count < (degree + 1) * (degree + 2) ||
            aid_transform_fit(p.x, p.y, p.u, p.v, NULL, p.count, degree, s->width, s->height, &map,
                              NULL) != AID_OK)
            break;
        work->prediction = map;
        work->predicted = true;
        work->prediction_residual_px = worst_residual(&p, &map);
        if (work->prediction_residual_px < wcs_fit_px)
            break;
    }
    if (work->predicted && on_reference == 0)
        aid_note_add(work->notes, "register", "the WCS of %s and %s do not overlap",
                     work->science->name, work->reference->name);
    if (!aid_wcs_pixel_scale(work->reference->wcs, 0.5 * work->reference->image.width,
                             0.5 * work->reference->image.height, &work->pixel_arcsec))
        work->pixel_arcsec = NAN;
}

/* ---------------------------------------------------------------------------------------- stars */

static void adopt_match(alignment *work, const aid_pattern_match *match, const char *method)
{
    work->first = match->transform;
    work->tolerance_px =
        AID_MAX(3.0 * AID_MAX(1.0, scale_of(&match->transform)), 5.0 * match->rms_px);
    snprintf(work->method, sizeof work->method, "%s", method);
}

static void keep_better(alignment *work, const aid_pattern_match *match)
{
    if (work->best.needed == 0 || match->found ||
        (!work->best.found && match->log10_chance < work->best.log10_chance))
        work->best = *match;
}

static aid_status match_prediction(alignment *work, aid_error *err)
{
    const aid_image *r = &work->reference->image;
    double radius = AID_MAX(wcs_error_least_px, wcs_error_arcsec / work->pixel_arcsec);
    radius = isfinite(radius) ? radius : wcs_error_least_px;
    aid_pattern_options options = {.predicted = &work->prediction,
                                   .radius_px =
                                       AID_MIN(radius, 0.5 * AID_MAX(r->width, r->height))};
    aid_pattern_match match;
    AID_TRY(
        aid_match_patterns(&work->science_stars, &work->reference_stars, &options, &match, err));
    if (match.found) {
        adopt_match(work, &match, "wcs + stars");
        work->base = work->prediction;
    }
    keep_better(work, &match);
    return AID_OK;
}

static aid_status match_freely(alignment *work, aid_error *err)
{
    aid_pattern_options options = {.predicted = NULL};
    aid_pattern_match match;
    AID_TRY(
        aid_match_patterns(&work->science_stars, &work->reference_stars, &options, &match, err));
    keep_better(work, &match);
    if (!match.found)
        return AID_OK;
    adopt_match(work, &match, "stars");
    work->base = aid_transform_nearest_similarity(&match.transform);
    if (work->predicted) {
        const aid_image *s = &work->science->image;
        double x = 0.5 * s->width, y = 0.5 * s->height, u, v, wcs_u, wcs_v;
        aid_transform_apply(&match.transform, x, y, &u, &v);
        aid_transform_apply(&work->prediction, x, y, &wcs_u, &wcs_v);
        aid_note_add(work->notes, "register",
                     "the WCS of %s and %s are %.0f px off what the stars say; the stars are used",
                     work->science->name, work->reference->name, hypot(u - wcs_u, v - wcs_v));
    }
    return AID_OK;
}

/* --------------------------------------------------------------------------------------- pixels */

/* The shift that is left after the prediction, on the science grid. */
static aid_status correlate(alignment *work, aid_phase_shift *ret_shift, aid_error *err)
{
    const aid_image *s = &work->science->image;
    if (!work->predicted)
        return aid_phase_correlate(work->science, &work->reference->image, &work->reference->mask,
                                   ret_shift, err);
    AID_CLEANUP(aid_image_done)
    aid_image warped = {0};
    AID_CLEANUP(aid_mask_done)
    aid_mask mask = {0};
    AID_TRY(aid_warp(&work->reference->image, &work->reference->mask, &work->prediction, s->width,
                     s->height, &AID_WARP_DEFAULTS, work->pool, &warped, &mask, err));
    return aid_phase_correlate(work->science, &warped, &mask, ret_shift, err);
}

/* The prediction (or none: the identity) at the shifted science position. */
static aid_transform shifted(const alignment *work, double dx, double dy)
{
    const aid_image *s = &work->science->image;
    aid_transform map = aid_transform_identity(s->width, s->height);
    if (work->predicted)
        map = work->prediction;
    double m[4];
    aid_transform_matrix(&map, map.x0, map.y0, m);
    map.cx[0] += m[0] * dx + m[1] * dy;
    map.cy[0] += m[2] * dx + m[3] * dy;
    return map;
}

static bool stars_are_few(const alignment *work)
{
    return AID_MIN(work->science_stars.count, work->reference_stars.count) < FEW_STARS ||
           work->best.tested < FEW_STARS;
}

static aid_status align_pixels(alignment *work, aid_error *err)
{
    const aid_image *s = &work->science->image, *r = &work->reference->image;
    aid_phase_shift shift = {0};
    aid_status status = correlate(work, &shift, err);
    if (status != AID_OK && status != AID_ERR_NUMERIC) /* a blank image has no shift */
        return status;
    double length = hypot(shift.dx, shift.dy);
    aid_transform moved = shifted(work, shift.dx, shift.dy);
    if (status == AID_OK && shift.significance >= sure_phase && shift.rival < clear_of_rivals &&
        aid_alignment_correlation(work->science, work->reference, &work->science_stars, &moved) >=
            least_correlation) {
        work->first = moved;
        snprintf(work->method, sizeof work->method, "%sphase correlation",
                 work->predicted ? "wcs + " : "");
        aid_note_add(work->notes, "register",
                     "too few stars agree: aligned by phase correlation (peak %.1f sigma), a shift "
                     "without rotation",
                     shift.significance);
    } else if (work->predicted && stars_are_few(work)) {
        work->first = work->prediction;
        snprintf(work->method, sizeof work->method, "wcs");
        aid_note_add(work->notes, "register",
                     "too few stars to verify the WCS of %s and %s: they are used as they are",
                     work->science->name, work->reference->name);
    } else if (status == AID_OK && !work->predicted && s->width == r->width &&
               s->height == r->height && length < near_px && shift.significance >= near_phase) {
        work->first = aid_transform_identity(s->width, s->height);
        snprintf(work->method, sizeof work->method, "identity");
        aid_note_add(
            work->notes, "register",
            "nothing to align by but a weak correlation (%.1f sigma) near no shift at all: "
            "the images are taken to be aligned",
            shift.significance);
    }
    work->base = work->first;
    work->tolerance_px = 2.5 * AID_MAX(1.0, scale_of(&work->first));
    return AID_OK;
}

static aid_status refuse(const alignment *work, aid_error *err)
{
    AID_FAIL(err, AID_ERR_INVALID,
             "%s and %s: no overlap found: %s stars %s (best %d of %d stars agree; %d needed), and "
             "their pixels do not correlate",
             work->science->name, work->reference->name, work->predicted ? "WCS and" : "the",
             work->predicted ? "disagree" : "do not match", work->best.matched,
             AID_MAX(work->best.tested, AID_MIN(work->science_stars.count, 80)), work->best.needed);
}

/* As the headers have it, and nothing else. */
static aid_status trust_wcs(alignment *work, aid_error *err)
{
    if (!work->predicted)
        AID_FAIL(err, AID_ERR_INVALID, "%s and %s: %s", work->science->name, work->reference->name,
                 !work->science->wcs     ? "the first has no usable WCS"
                 : !work->reference->wcs ? "the second has no usable WCS"
                                         : "by their WCS they show different parts of the sky");
    work->first = work->base = work->prediction;
    snprintf(work->method, sizeof work->method, "wcs");
    return AID_OK;
}

static aid_status find_first_map(alignment *work, aid_error *err)
{
    aid_registration_method method = work->options->method;
    AID_TRY(aid_anchors_init(work->science, &work->science_stars, err));
    AID_TRY(aid_anchors_init(work->reference, &work->reference_stars, err));
    if (method != AID_REGISTER_STARS)
        predict(work);
    if (method == AID_REGISTER_WCS)
        return trust_wcs(work, err);
    if (method == AID_REGISTER_AUTO && work->predicted)
        AID_TRY(match_prediction(work, err));
    if (method != AID_REGISTER_PHASE && !work->method[0])
        AID_TRY(match_freely(work, err));
    if (method != AID_REGISTER_STARS && !work->method[0])
        AID_TRY(align_pixels(work, err));
    return work->method[0] ? AID_OK : refuse(work, err);
}

/* ----------------------------------------------------------------------------------- what it is */

static double overlap_of(const aid_transform *map, int32_t width, int32_t height,
                         int32_t reference_width, int32_t reference_height)
{
    int inside = 0;
    for (int j = 0; j < OVERLAP_GRID; j++)
        for (int i = 0; i < OVERLAP_GRID; i++) {
            double u, v;
            aid_transform_apply(map, (i + 0.5) * width / OVERLAP_GRID - 0.5,
                                (j + 0.5) * height / OVERLAP_GRID - 0.5, &u, &v);
            inside +=
                u >= -0.5 && v >= -0.5 && u <= reference_width - 0.5 && v <= reference_height - 0.5;
        }
    return (double)inside / (OVERLAP_GRID * OVERLAP_GRID);
}

/* Images that are aligned already need no resampling, which would correlate their noise: where the
 * map is near the identity, the identity itself stands unless the stars speak against it. */
static bool prefer_identity(alignment *work)
{
    const aid_image *s = &work->science->image, *r = &work->reference->image;
    if (s->width != r->width || s->height != r->height)
        return false;
    for (int k = 0; k < 9; k++) {
        double x = 0.5 * (k % 3) * (s->width - 1), u, v;
        double y = 0.5 * (double)(k / 3) * (s->height - 1);
        aid_transform_apply(&work->first, x, y, &u, &v);
        if (!(hypot(u - x, v - y) < near_identity_px))
            return false;
    }
    work->base = aid_transform_identity(s->width, s->height);
    return true;
}

void aid_registration_geometry(int32_t width, int32_t height, int32_t reference_width,
                               int32_t reference_height, aid_registration *registration)
{
    const aid_transform *map = &registration->transform;
    double x = 0.5 * (width - 1), y = 0.5 * (height - 1), u, v, m[4];
    aid_transform_apply(map, x, y, &u, &v);
    aid_transform_matrix(map, x, y, m);
    registration->shift_px = hypot(u - x, v - y);
    registration->rotation_deg = atan2(m[2], m[0]) * 180.0 / 3.14159265358979323846;
    registration->scale = sqrt(fabs(m[0] * m[3] - m[1] * m[2]));
    registration->overlap = overlap_of(map, width, height, reference_width, reference_height);
}

/* Stars that the map brings within reach of one another, whether or not they made it. */
static aid_status measure_offsets(const alignment *work, const aid_transform *map,
                                  aid_star_offsets *ret_offsets, aid_error *err)
{
    double reach = near_stars_px * AID_MAX(1.0, scale_of(map));
    return aid_measure_offsets(&work->science_stars, &work->reference_stars, map, reach,
                               ret_offsets, err);
}

static aid_status describe(const alignment *work, const aid_refined *refined,
                           aid_registration *registration, aid_error *err)
{
    const aid_transform *map = &refined->transform;
    const aid_image *s = &work->science->image, *r = &work->reference->image;
    aid_star_offsets offsets;
    memcpy(registration->method, work->method, sizeof registration->method);
    registration->transform = *map;
    registration->wcs = work->prediction;
    registration->wcs_residual_px = work->predicted ? work->prediction_residual_px : NAN;
    registration->matched = refined->matched;
    registration->rms_x_px = refined->rms_x_px;
    registration->rms_y_px = refined->rms_y_px;
    registration->rms_px =
        sqrt(0.5 * (refined->rms_x_px * refined->rms_x_px + refined->rms_y_px * refined->rms_y_px));
    registration->systematic_px = refined->systematic_px;
    aid_registration_geometry(s->width, s->height, r->width, r->height, registration);
    registration->correlation =
        aid_alignment_correlation(work->science, work->reference, &work->science_stars, map);
    AID_TRY(measure_offsets(work, map, &offsets, err));
    registration->residual_shift_px = hypot(offsets.dx, offsets.dy);
    return AID_OK;
}

/* A map that is not fitted: what the stars say of it. */
static aid_status as_it_is(const alignment *work, const aid_transform *map,
                           aid_refined *ret_refined, aid_error *err)
{
    aid_star_offsets offsets;
    AID_TRY(measure_offsets(work, map, &offsets, err));
    *ret_refined = (aid_refined){.transform = *map,
                                 .matched = offsets.count,
                                 .rms_x_px = offsets.rms_x,
                                 .rms_y_px = offsets.rms_y,
                                 .systematic_px = NAN};
    return AID_OK;
}

aid_status aid_registration_judge(const aid_exposure *science, const aid_exposure *reference,
                                  aid_registration *registration, aid_error *err)
{
    AID_CLEANUP(alignment_done)
    alignment work = {.science = science, .reference = reference};
    aid_refined found;
    AID_TRY(aid_anchors_init(science, &work.science_stars, err));
    AID_TRY(aid_anchors_init(reference, &work.reference_stars, err));
    AID_TRY(as_it_is(&work, &registration->transform, &found, err));
    memcpy(work.method, registration->method, sizeof work.method);
    return describe(&work, &found, registration, err);
}

aid_status aid_register(const aid_exposure *science, const aid_exposure *reference,
                        const aid_registration_options *options, aid_pool *pool, aid_notes *notes,
                        aid_registration *ret_registration, aid_error *err)
{
    AID_CLEANUP(alignment_done)
    alignment work = {.science = science,
                      .reference = reference,
                      .options = options,
                      .pool = pool,
                      .notes = notes,
                      .pixel_arcsec = NAN};
    AID_TRY(find_first_map(&work, err));
    aid_refine_options refine = {.first = &work.first,
                                 .base = &work.base,
                                 .base_may_stand = prefer_identity(&work),
                                 .tolerance_px = work.tolerance_px,
                                 .max_degree =
                                     AID_CLAMP(options->max_degree, 1, AID_TRANSFORM_MAX_DEGREE),
                                 .model = options->model};
    aid_registration registration = {0};
    aid_refined refined;
    if (options->method == AID_REGISTER_WCS || options->method == AID_REGISTER_PHASE)
        AID_TRY(as_it_is(&work, &work.first, &refined, err));
    else
        AID_TRY(aid_refine(&work.science_stars, &work.reference_stars, &refine, &refined, err));
    AID_TRY(describe(&work, &refined, &registration, err));
    if (registration.overlap < options->min_overlap)
        AID_FAIL(err, AID_ERR_INVALID, "%s and %s overlap by only %.1f %% (least: %.1f %%)",
                 science->name, reference->name, 100.0 * registration.overlap,
                 100.0 * options->min_overlap);
    *ret_registration = registration;
    return AID_OK;
}
