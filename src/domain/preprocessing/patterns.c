/* Star patterns. Maps are proposed, by pairs of stars (a shift) or by triangles of the same shape
 * (a similarity, mirrored or not), and each is judged by how many other stars it brings together,
 * against how many would come together by chance (README.md). */
#include "core/base/memory.h"
#include "core/imaging/stats.h"
#include "domain/preprocessing/align.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    SCIENCE_STARS = 1000,   /* the brightest, on which a map is settled */
    REFERENCE_STARS = 2000, /* the brightest, among which their counterparts are looked for */
    FIRST_STARS = 25,       /* of these two must agree beyond chance, or the map is dropped */
    JUDGED_STARS = 80,      /* that fall on the reference, for the first judgement */
    SHIFT_STARS = 40,
    SHIFT_PARTNERS = 300, /* with a prediction there are few trials, so more partners */
    TRIANGLE_STARS = 30,  /* all triangles among them */
    LOCAL_STARS = 200,    /* triangles with their neighbours only */
    NEIGHBOURS = 6,
    MAX_SETTLED = 400,
    MAX_TRIED = 400000
};
static const double chance_limit = -6.0; /* log10, in all trials */
static const double surely = -15.0;      /* no need to look further */
static const double smallest_side_px = 20.0;
static const double widest_tolerance_px = 8.0;

/* Reference position = a * s + b in complex numbers, s the conjugate of the science position where
 * `flip`. Tolerances widen with the distance from the stars that proposed the map. */
typedef struct proposal {
    double ar, ai, br, bi;
    bool flip;
    int consumed; /* stars that agree because the map was made from them */
    double centre_x, centre_y, tolerance_px, slope;
} proposal;

typedef struct star_pairs {
    int count;
    double *x, *y, *u, *v; /* [SCIENCE_STARS]: where the prediction has it; its counterpart */
    double *squared;       /* residuals */
} star_pairs;

typedef struct pattern_search {
    const aid_anchors *science, *reference;
    const aid_pattern_options *options;
    int count, reference_count;
    double *x,
        *y; /* science stars, on the reference as predicted; without prediction as they are */
    double *rx, *ry; /* reference stars */
    aid_point_grid grid;
    double density; /* reference stars per px^2 */
    int *taken;     /* [reference_count]: stamp of the last map that used the star */
    int stamp;
    int tried, settled;
    star_pairs pairs;
    double *memory;
    aid_pattern_match best; /* transform: from x, y to the reference */
} pattern_search;

/* --------------------------------------------------------------------------------------- chance */

/* log10 of the probability that a Poisson variable of mean `mu` reaches `k`; a bound where it is
 * small: the series of terms is replaced by a geometric one. */
static double log10_chance_of(int k, double mu)
{
    if (k <= 0 || k <= mu)
        return 0.0;
    if (!(mu > 1e-300))
        return -300.0;
    double log_term = k * log(mu) - mu;
    for (int i = 2; i <= k; i++)
        log_term -= log((double)i);
    log_term -= log(1.0 - mu / (k + 1.0));
    return AID_MIN(log_term / log(10.0), 0.0);
}

static int needed_for(double mu, int consumed, int tried)
{
    int k = 1;
    while (k < 1000000 && log10_chance_of(k, mu) + log10((double)tried + 1.0) >= chance_limit)
        k++;
    return k + consumed;
}

/* ------------------------------------------------------------------------------------ judgement */

static bool on_reference(const pattern_search *search, double x, double y)
{
    return x > -0.5 && y > -0.5 && x < search->reference->width - 0.5 &&
           y < search->reference->height - 0.5;
}

static void propose_position(const proposal *map, double x, double y, double *ret_x, double *ret_y)
{
    double im = map->flip ? -y : y;
    *ret_x = map->ar * x - map->ai * im + map->br;
    *ret_y = map->ai * x + map->ar * im + map->bi;
}

/* log10 of the chance that as many of the brightest stars agree as do. */
static double judge(pattern_search *search, const proposal *map)
{
    int tested = 0, matched = 0;
    double mu = 0.0;
    search->stamp++;
    search->tried++;
    for (int i = 0; i < search->count && tested < JUDGED_STARS; i++) {
        double x, y;
        propose_position(map, search->x[i], search->y[i], &x, &y);
        if (!on_reference(search, x, y))
            continue;
        double far = hypot(x - map->centre_x, y - map->centre_y);
        double tolerance = map->tolerance_px + AID_MIN(map->slope * far, widest_tolerance_px);
        int partner = aid_point_grid_nearest(&search->grid, x, y, tolerance);
        if (partner >= 0 && search->taken[partner] != search->stamp) {
            search->taken[partner] = search->stamp;
            matched++;
        }
        tested++;
        mu += AID_MIN(search->density * 3.14159265 * tolerance * tolerance, 0.5);
        if (tested == FIRST_STARS && matched < mu + 2.0)
            return 0.0;
    }
    return log10_chance_of(matched - map->consumed, mu);
}

static aid_transform transform_of(const pattern_search *search, const proposal *map)
{
    aid_transform t = aid_transform_identity(search->science->width, search->science->height);
    double sign = map->flip ? -1.0 : 1.0;
    propose_position(map, t.x0, t.y0, &t.cx[0], &t.cy[0]);
    t.cx[1] = map->ar * t.scale;
    t.cx[2] = -sign * map->ai * t.scale;
    t.cy[1] = map->ai * t.scale;
    t.cy[2] = sign * map->ar * t.scale;
    return t;
}

/* The pairs that a map brings within the tolerance; each reference star once, given to the brighter
 * science star. */
static void pair_up(pattern_search *search, const aid_transform *map, const proposal *start)
{
    star_pairs *pairs = &search->pairs;
    search->stamp++;
    pairs->count = 0;
    for (int i = 0; i < search->count; i++) {
        double x, y;
        aid_transform_apply(map, search->x[i], search->y[i], &x, &y);
        double far = hypot(x - start->centre_x, y - start->centre_y);
        double tolerance = start->tolerance_px + AID_MIN(start->slope * far, widest_tolerance_px);
        int partner = aid_point_grid_nearest(&search->grid, x, y, tolerance);
        if (partner < 0 || search->taken[partner] == search->stamp)
            continue;
        search->taken[partner] = search->stamp;
        int k = pairs->count++;
        pairs->x[k] = search->x[i];
        pairs->y[k] = search->y[i];
        pairs->u[k] = search->rx[partner];
        pairs->v[k] = search->ry[partner];
    }
}

static void fit_shift(const star_pairs *pairs, aid_transform *map)
{
    double dx = 0.0, dy = 0.0;
    for (int k = 0; k < pairs->count; k++) {
        double x, y;
        aid_transform_apply(map, pairs->x[k], pairs->y[k], &x, &y);
        dx += (pairs->u[k] - x) / pairs->count;
        dy += (pairs->v[k] - y) / pairs->count;
    }
    map->cx[0] += dx;
    map->cy[0] += dy;
}

/* The similarity that brings `n` points (x, y) nearest to (u, v). */
static proposal similarity_of(const double *x, const double *y, const double *u, const double *v,
                              int n, bool flip)
{
    double mx = 0.0, my = 0.0, mu = 0.0, mv = 0.0, square = 0.0;
    proposal map = {.flip = flip};
    for (int i = 0; i < n; i++) {
        mx += x[i] / n;
        my += (flip ? -y[i] : y[i]) / n;
        mu += u[i] / n;
        mv += v[i] / n;
    }
    for (int i = 0; i < n; i++) {
        double px = x[i] - mx, py = (flip ? -y[i] : y[i]) - my, pu = u[i] - mu, pv = v[i] - mv;
        map.ar += px * pu + py * pv;
        map.ai += px * pv - py * pu;
        square += px * px + py * py;
    }
    map.ar /= square;
    map.ai /= square;
    map.br = mu - (map.ar * mx - map.ai * my);
    map.bi = mv - (map.ai * mx + map.ar * my);
    map.centre_x = mu;
    map.centre_y = mv;
    return map;
}

static void fit_pairs(const pattern_search *search, const proposal *start, aid_transform *map)
{
    const star_pairs *pairs = &search->pairs;
    if (pairs->count >= 6) { /* collinear stars leave the map as it is */
        if (aid_transform_fit(pairs->x, pairs->y, pairs->u, pairs->v, NULL, pairs->count, 1,
                              search->science->width, search->science->height, map, NULL) != AID_OK)
            fit_shift(pairs, map);
    } else if (start->consumed > 1 && pairs->count >= 3) {
        proposal fitted =
            similarity_of(pairs->x, pairs->y, pairs->u, pairs->v, pairs->count, start->flip);
        *map = transform_of(search, &fitted);
    } else if (pairs->count > 0) {
        fit_shift(pairs, map);
    }
}

/* Per axis, robust: the median of a squared Rayleigh variable is 2 ln 2 sigma^2. */
static double pair_rms(const star_pairs *pairs, const aid_transform *map)
{
    for (int k = 0; k < pairs->count; k++) {
        double x, y;
        aid_transform_apply(map, pairs->x[k], pairs->y[k], &x, &y);
        pairs->squared[k] =
            (x - pairs->u[k]) * (x - pairs->u[k]) + (y - pairs->v[k]) * (y - pairs->v[k]);
    }
    return sqrt(aid_median_in_place_f64(pairs->squared, pairs->count) / (2.0 * log(2.0)));
}

/* What chance would give around every star that falls on the reference: clusters count as dense. */
static double expected_by_chance(const pattern_search *search, const aid_transform *map,
                                 double tolerance, int *ret_tested)
{
    const double pi = 3.14159265358979323846;
    double around = AID_MAX(4.0 / sqrt(search->density), 3.0 * tolerance), mu = 0.0;
    *ret_tested = 0;
    for (int i = 0; i < search->count; i++) {
        double x, y;
        aid_transform_apply(map, search->x[i], search->y[i], &x, &y);
        if (!on_reference(search, x, y))
            continue;
        int near = aid_point_grid_count(&search->grid, x, y, around);
        double density = AID_MAX(search->density, (near - 1) / (pi * around * around));
        mu += AID_MIN(density * pi * tolerance * tolerance, 0.5);
        (*ret_tested)++;
    }
    return mu;
}

static double linear_scale(const aid_transform *map)
{
    return sqrt(fabs(aid_transform_jacobian(map, map->x0, map->y0)));
}

/* Lets a proposed map find its stars while the tolerance shrinks, and keeps it if it is the best.
 */
static void settle(pattern_search *search, const proposal *proposed)
{
    proposal start = *proposed;
    aid_transform map = transform_of(search, &start);
    double rms = NAN;
    search->settled++;
    for (int round = 0; round < 6; round++) {
        pair_up(search, &map, &start);
        if (search->pairs.count == 0)
            return;
        fit_pairs(search, &start, &map);
        double scale = linear_scale(&map);
        if (!(scale > 0.15 && scale < 6.5))
            return;
        rms = pair_rms(&search->pairs, &map);
        double least = 0.7 * AID_MAX(1.0, scale), most = round ? start.tolerance_px : 4.0 * least;
        start.tolerance_px = AID_CLAMP(4.0 * rms, least, AID_MAX(most, least));
        start.slope = 0.0;
    }
    pair_up(search, &map, &start);
    int tested, matched = search->pairs.count;
    double mu = expected_by_chance(search, &map, start.tolerance_px, &tested);
    int consumed = matched >= 6 ? 3 : AID_MIN(proposed->consumed, 2);
    double chance = log10_chance_of(matched - consumed, mu) + log10((double)search->tried + 1.0);
    if (search->best.tested > 0 && chance >= search->best.log10_chance)
        return;
    search->best = (aid_pattern_match){.found = chance < chance_limit,
                                       .transform = map,
                                       .matched = matched,
                                       .tested = tested,
                                       .needed = needed_for(mu, consumed, search->tried),
                                       .log10_chance = chance,
                                       .rms_px = pair_rms(&search->pairs, &map)};
}

static bool finished(const pattern_search *search)
{
    return (search->best.found && search->best.log10_chance < surely) ||
           search->tried >= MAX_TRIED || search->settled >= MAX_SETTLED;
}

static void try_map(pattern_search *search, const proposal *map)
{
    double chance = judge(search, map);
    /* With few stars nothing is striking at first sight, but then there are few maps to try, too.
     */
    if (chance < -2.5 || (chance < -0.5 && search->settled < MAX_SETTLED / 4))
        settle(search, map);
}

/* --------------------------------------------------------------------------------------- shifts */

/* Every shift that brings one star onto another, if it is between `nearest` and `farthest` px. */
static void try_shifts(pattern_search *search, int partners, double nearest, double farthest)
{
    int stars = AID_MIN(search->count, SHIFT_STARS);
    partners = AID_MIN(search->reference_count, partners);
    for (int sum = 0; sum < stars + partners; sum++) /* the brightest pairs first */
        for (int i = AID_MAX(0, sum - partners + 1); i < AID_MIN(stars, sum + 1); i++) {
            int k = sum - i;
            double dx = search->rx[k] - search->x[i], dy = search->ry[k] - search->y[i];
            double distance = hypot(dx, dy);
            if (!(distance >= nearest && distance < farthest) || finished(search))
                continue;
            proposal map = {.ar = 1.0,
                            .br = dx,
                            .bi = dy,
                            .consumed = 1,
                            .centre_x = search->rx[k],
                            .centre_y = search->ry[k],
                            .tolerance_px = 1.5,
                            .slope = 0.003};
            try_map(search, &map);
        }
}

static void try_predicted(pattern_search *search)
{
    double inner = 0.0;
    for (double outer = 3.0; inner < search->options->radius_px && !search->best.found;
         outer *= 3.0) {
        outer = AID_MIN(outer, search->options->radius_px);
        try_shifts(search, SHIFT_PARTNERS, inner, outer);
        inner = outer;
    }
}

/* ------------------------------------------------------------------------------------ triangles */

/* Vertices stand opposite the longest, the middle and the shortest side. */
typedef struct triangle {
    double middle, shortest; /* sides in units of the longest */
    double longest_px;
    int vertex[3];
    bool counter_clockwise;
} triangle;

typedef struct triangles {
    int count, capacity;
    triangle *items;
} triangles;

static void triangles_done(triangles *list)
{
    free(list->items);
}

static void sort_sides(double side[3], int vertex[3])
{
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < 2 - i; k++)
            if (side[k] < side[k + 1]) {
                double swapped = side[k];
                side[k] = side[k + 1];
                side[k + 1] = swapped;
                int moved = vertex[k];
                vertex[k] = vertex[k + 1];
                vertex[k + 1] = moved;
            }
}

/* Triangles that are too small for their shape to be known, or whose sides cannot be told apart,
 * say nothing. */
static void add_triangle(triangles *list, const double *x, const double *y, const int corner[3])
{
    triangle t = {.vertex = {corner[0], corner[1], corner[2]}};
    double side[3];
    for (int i = 0; i < 3; i++) {
        int a = corner[(i + 1) % 3], b = corner[(i + 2) % 3];
        side[i] = hypot(x[a] - x[b], y[a] - y[b]);
    }
    sort_sides(side, t.vertex);
    t.longest_px = side[0];
    t.middle = side[1] / side[0];
    t.shortest = side[2] / side[0];
    if (!(side[2] > smallest_side_px / 4.0) || side[0] < smallest_side_px || t.middle > 0.99 ||
        t.middle - t.shortest < 0.01 || t.shortest < 0.1 || list->count >= list->capacity)
        return;
    const int *v = t.vertex;
    t.counter_clockwise =
        (x[v[1]] - x[v[0]]) * (y[v[2]] - y[v[0]]) - (y[v[1]] - y[v[0]]) * (x[v[2]] - x[v[0]]) > 0.0;
    list->items[list->count++] = t;
}

static aid_status all_triangles(const double *x, const double *y, int count, triangles *ret_list,
                                aid_error *err)
{
    int n = AID_MIN(count, TRIANGLE_STARS);
    triangles list = {.capacity = n * (n - 1) * (n - 2) / 6};
    AID_TRY(aid_new_array((size_t)list.capacity + 1, sizeof *list.items, "triangles", &list.items,
                          err));
    for (int k = 2; k < n; k++) /* the brightest first */
        for (int j = 1; j < k; j++)
            for (int i = 0; i < j; i++)
                add_triangle(&list, x, y, (int[]){i, j, k});
    *ret_list = list;
    return AID_OK;
}

/* The NEIGHBOURS stars nearest to one of them, by insertion. */
static int nearest_stars(const double *x, const double *y, int count, int star,
                         int ret_near[NEIGHBOURS])
{
    double distance[NEIGHBOURS];
    int found = 0;
    for (int i = 0; i < count; i++) {
        double d = hypot(x[i] - x[star], y[i] - y[star]);
        if (i == star || d < smallest_side_px / 4.0)
            continue;
        int at = found < NEIGHBOURS ? found++ : NEIGHBOURS;
        for (; at > 0 && distance[at - 1] > d; at--)
            if (at < NEIGHBOURS) {
                distance[at] = distance[at - 1];
                ret_near[at] = ret_near[at - 1];
            }
        if (at < NEIGHBOURS) {
            distance[at] = d;
            ret_near[at] = i;
        }
    }
    return found;
}

static aid_status local_triangles(const double *x, const double *y, int count, triangles *ret_list,
                                  aid_error *err)
{
    triangles list = {.capacity = count * NEIGHBOURS * (NEIGHBOURS - 1) / 2};
    AID_TRY(aid_new_array((size_t)list.capacity + 1, sizeof *list.items, "triangles", &list.items,
                          err));
    for (int star = 0; star < count; star++) {
        int near[NEIGHBOURS];
        int found = nearest_stars(x, y, count, star, near);
        for (int i = 1; i < found; i++)
            for (int j = 0; j < i; j++)
                add_triangle(&list, x, y, (int[]){star, near[i], near[j]});
    }
    *ret_list = list;
    return AID_OK;
}

static void try_triangle(pattern_search *search, const triangle *science, const triangle *reference)
{
    double tolerance = 0.003 + 0.35 / science->longest_px + 0.35 / reference->longest_px;
    double scale = reference->longest_px / science->longest_px;
    if (fabs(science->middle - reference->middle) > tolerance ||
        fabs(science->shortest - reference->shortest) > tolerance || scale < 0.18 || scale > 5.5)
        return;
    double x[3], y[3], u[3], v[3];
    for (int i = 0; i < 3; i++) {
        x[i] = search->x[science->vertex[i]];
        y[i] = search->y[science->vertex[i]];
        u[i] = search->rx[reference->vertex[i]];
        v[i] = search->ry[reference->vertex[i]];
    }
    bool flip = science->counter_clockwise != reference->counter_clockwise;
    proposal map = similarity_of(x, y, u, v, 3, flip);
    map.consumed = 3;
    map.tolerance_px = 1.5 * AID_MAX(1.0, scale);
    map.slope = 0.003 + 0.3 * AID_MAX(1.0, scale) / reference->longest_px;
    try_map(search, &map);
}

static int by_middle_side(const void *a, const void *b)
{
    const triangle *p = a, *q = b;
    if (p->middle != q->middle)
        return p->middle < q->middle ? -1 : 1;
    return memcmp(p->vertex, q->vertex, sizeof p->vertex);
}

static void try_triangles(pattern_search *search, const triangles *science, triangles *reference)
{
    const double widest = 0.003 + 2.0 * 0.35 / smallest_side_px;
    qsort(reference->items, (size_t)reference->count, sizeof *reference->items, by_middle_side);
    for (int i = 0; i < science->count; i++) {
        int low = 0, high = reference->count;
        while (low < high) { /* the first that may fit */
            int middle = low + (high - low) / 2;
            if (reference->items[middle].middle < science->items[i].middle - widest)
                low = middle + 1;
            else
                high = middle;
        }
        for (int k = low; k < reference->count &&
                          reference->items[k].middle <= science->items[i].middle + widest;
             k++) {
            if (finished(search))
                return;
            try_triangle(search, &science->items[i], &reference->items[k]);
        }
    }
}

static aid_status try_all_triangles(pattern_search *search, aid_error *err)
{
    AID_CLEANUP(triangles_done)
    triangles science = {0};
    AID_CLEANUP(triangles_done)
    triangles reference = {0};
    AID_TRY(all_triangles(search->x, search->y, search->count, &science, err));
    AID_TRY(all_triangles(search->rx, search->ry, search->reference_count, &reference, err));
    try_triangles(search, &science, &reference);
    return AID_OK;
}

/* One field may show a small part of the other, or much deeper: triangles of neighbours are the
 * same only where the lists are equally dense, so several depths are tried. */
static aid_status try_local_triangles(pattern_search *search, aid_error *err)
{
    static const int depths[][2] = {{200, 200}, {60, 200},   {200, 60},   {25, 200},  {200, 25},
                                    {100, 200}, {200, 100},  {12, 200},   {200, 12},  {60, 600},
                                    {600, 60},  {100, 2000}, {1000, 100}, {200, 600}, {600, 200}};
    for (size_t i = 0; i < AID_COUNT_OF(depths) && !finished(search); i++) {
        int n = AID_MIN(depths[i][0], search->count);
        int m = AID_MIN(depths[i][1], search->reference_count);
        if (i > 0 && n <= depths[0][0] && n == search->count && m <= depths[0][1] &&
            m == search->reference_count)
            continue; /* the first did that */
        AID_CLEANUP(triangles_done)
        triangles science = {0};
        AID_CLEANUP(triangles_done)
        triangles reference = {0};
        AID_TRY(local_triangles(search->x, search->y, n, &science, err));
        AID_TRY(local_triangles(search->rx, search->ry, m, &reference, err));
        try_triangles(search, &science, &reference);
    }
    return AID_OK;
}

/* ----------------------------------------------------------------------------------- the search */

static void search_done(pattern_search *search)
{
    aid_point_grid_done(&search->grid);
    free(search->taken);
    free(search->memory);
}

static aid_status search_init(const aid_anchors *science, const aid_anchors *reference,
                              const aid_pattern_options *options, pattern_search *search,
                              aid_error *err)
{
    *search = (pattern_search){.science = science, .reference = reference, .options = options};
    search->count = AID_MIN(science->count, SCIENCE_STARS);
    search->reference_count = AID_MIN(reference->count, REFERENCE_STARS);
    AID_TRY(aid_new_array(7 * SCIENCE_STARS + 2 * REFERENCE_STARS, sizeof(double), "star positions",
                          &search->memory, err));
    double *next = search->memory;
    double **arrays[] = {
        &search->x,       &search->y,       &search->pairs.x,      &search->pairs.y,
        &search->pairs.u, &search->pairs.v, &search->pairs.squared};
    for (size_t i = 0; i < AID_COUNT_OF(arrays); i++, next += SCIENCE_STARS)
        *arrays[i] = next;
    search->rx = next;
    search->ry = next + REFERENCE_STARS;
    for (int i = 0; i < search->count; i++) {
        search->x[i] = science->items[i].x;
        search->y[i] = science->items[i].y;
        if (options->predicted)
            aid_transform_apply(options->predicted, search->x[i], search->y[i], &search->x[i],
                                &search->y[i]);
    }
    for (int i = 0; i < search->reference_count; i++) {
        search->rx[i] = reference->items[i].x;
        search->ry[i] = reference->items[i].y;
    }
    search->density =
        AID_MAX(search->reference_count, 1) / ((double)reference->width * reference->height);
    AID_TRY(aid_new_array((size_t)search->reference_count + 1, sizeof(int), "star matches",
                          &search->taken, err));
    return aid_point_grid_init(search->rx, search->ry, search->reference_count, &search->grid, err);
}

aid_status aid_match_patterns(const aid_anchors *science, const aid_anchors *reference,
                              const aid_pattern_options *options, aid_pattern_match *ret_match,
                              aid_error *err)
{
    AID_CLEANUP(search_done)
    pattern_search search = {0};
    AID_TRY(search_init(science, reference, options, &search, err));
    if (options->predicted) {
        try_predicted(&search);
    } else {
        try_shifts(&search, SHIFT_STARS, 0.0, INFINITY);
        if (!search.best.found)
            AID_TRY(try_all_triangles(&search, err));
        if (!search.best.found)
            AID_TRY(try_local_triangles(&search, err));
    }
    *ret_match = search.best;
    if (search.best.tested == 0) /* nothing came near: a map of one star would be no evidence */
        ret_match->needed = 3;
    else if (options->predicted)
        ret_match->transform =
            aid_transform_then_affine(options->predicted, &search.best.transform);
    return AID_OK;
}
