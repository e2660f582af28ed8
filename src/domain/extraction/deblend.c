/* Deblending by multiple thresholds, after Bertin & Arnouts (1996), section 4.4: between the
 * threshold and the peak lie exponentially spaced levels; where branches that each hold enough
 * light above a level join below it, they are sources of their own. One pass over the pixels from
 * bright to faint finds the branches of all levels, by joining neighbours as they appear. */
#include "core/base/memory.h"
#include "domain/extraction/internal.h"

#include <stdlib.h>
#include <string.h>

enum { PIECES_PER_TASK = 64, MAX_BOX_PIXELS = 1 << 28, MAX_LEVELS = 1024 };

/* Sources that meet below this share of their peaks do not spoil one another. */
static const double apart_below = 0.1;

typedef struct branch {
    int32_t joined; /* to which branch it belongs now; itself: none */
    int32_t parent; /* the branch that it became part of; -1: none */
    int32_t next_son, first_son, last_son;
    int32_t label; /* -1 none */
    int64_t count, count_above;
    double flux, flux_above; /* of all pixels; of those above the present level */
    double rival;            /* light of the source that it meets at the present level; 0: none */
    float peak, summit;      /* of `values` and of `filtered` */
    bool fresh;              /* two branches have met in it at the present level */
    bool existing;           /* since a higher level */
    bool whole;              /* nothing in it has been made a source */
    bool apart;              /* a source that meets the others at its feet only */
} branch;

/* One piece, its pixels in lists and its box as a grid of indices into them. */
typedef struct blend {
    const aid_deblend_options *options;
    int32_t x0, y0, width, height;
    int64_t count;
    int32_t *grid;                  /* [height + 2][width + 2] index of the pixel, -1 none */
    int32_t *place;                 /* [count] where in the grid */
    float *filtered;                /* [count] */
    float *values;                  /* [count] */
    int32_t *order;                 /* [count] pixels by falling level */
    int32_t *branch_of;             /* [count] the branch that it was put into */
    int32_t *labels;                /* [count] */
    int64_t starts[MAX_LEVELS + 1]; /* of each level in `order`, the highest level first */
    int branches, room, sources;
    branch *items;
    int32_t *roots; /* those that are not joined to others; at the start of a level */
    int roots_count;
    double base, ratio, total, gain, pixel_noise; /* ratio: peak/base */
} blend;

static void blend_done(blend *piece)
{
    free(piece->grid);
    free(piece->place);
    free(piece->values);
    free(piece->filtered);
    free(piece->order);
    free(piece->branch_of);
    free(piece->labels);
    free(piece->items);
    free(piece->roots);
}

/* ---------------------------------------------------------------------------------- preparation */

static aid_status allocate(blend *piece, aid_error *err)
{
    size_t count = (size_t)piece->count;
    size_t box = (size_t)(piece->width + 2) * (size_t)(piece->height + 2);
    AID_TRY(aid_new_buffer(box, sizeof(int32_t), "deblending", &piece->grid, err));
    AID_TRY(aid_new_buffer(count, sizeof(int32_t), "deblending", &piece->place, err));
    AID_TRY(aid_new_buffer(count, sizeof(float), "deblending", &piece->values, err));
    AID_TRY(aid_new_buffer(count, sizeof(float), "deblending", &piece->filtered, err));
    AID_TRY(aid_new_buffer(count, sizeof(int32_t), "deblending", &piece->order, err));
    AID_TRY(aid_new_buffer(count, sizeof(int32_t), "deblending", &piece->branch_of, err));
    AID_TRY(aid_new_buffer(count, sizeof(int32_t), "deblending", &piece->labels, err));
    memset(piece->grid, 0xff, box * sizeof(int32_t));
    return AID_OK;
}

static void load_pixels(blend *piece, const aid_run *runs, int64_t count,
                        const aid_footprints *footprints)
{
    int32_t index = 0, stride = piece->width + 2;
    for (int64_t i = 0; i < count; i++)
        for (int32_t x = runs[i].x0; x <= runs[i].x1; x++, index++) {
            int32_t at = (runs[i].y - piece->y0 + 1) * stride + x - piece->x0 + 1;
            piece->grid[at] = index;
            piece->place[index] = at;
            piece->values[index] = footprints->values[runs[i].value + x - runs[i].x0];
            piece->filtered[index] = footprints->filtered[runs[i].value + x - runs[i].x0];
            piece->total += (double)piece->values[index];
        }
}

static double level_value(const blend *piece, int level)
{
    return piece->base * pow(piece->ratio, (double)level / piece->options->levels);
}

/* Counting sort into levels, the highest first. `labels` holds the level meanwhile. */
static void sort_by_level(blend *piece)
{
    int levels = piece->options->levels;
    int64_t counts[MAX_LEVELS] = {0};
    float scale = (float)(levels / log(piece->ratio)), base = (float)piece->base;
    for (int64_t i = 0; i < piece->count; i++) {
        float value = AID_MAX(piece->values[i] / base, 1.0F);
        int level = (int)(logf(value) * scale);
        piece->labels[i] = AID_CLAMP(level, 0, levels - 1);
        counts[piece->labels[i]]++;
    }
    int64_t start = 0;
    for (int level = levels - 1; level >= 0; level--) {
        piece->starts[levels - 1 - level] = start;
        start += counts[level];
    }
    piece->starts[levels] = start;
    int64_t next[MAX_LEVELS];
    memcpy(next, piece->starts, (size_t)levels * sizeof *next);
    for (int64_t i = 0; i < piece->count; i++)
        piece->order[next[levels - 1 - piece->labels[i]]++] = (int32_t)i;
}

/* ------------------------------------------------------------------------------------- branches */

static int32_t root_of(branch *items, int32_t i)
{
    while (items[i].joined != i) {
        items[i].joined = items[items[i].joined].joined;
        i = items[i].joined;
    }
    return i;
}

static aid_status new_branch(blend *piece, int32_t *ret_index, aid_error *err)
{
    if (piece->branches == piece->room) {
        int room = AID_MAX(2 * piece->room, 16);
        branch *larger = realloc(piece->items, (size_t)room * sizeof *larger);
        if (!larger)
            AID_FAIL(err, AID_ERR_NOMEM, "no memory for %d branches of a source", room);
        piece->items = larger;
        int32_t *roots = realloc(piece->roots, (size_t)room * sizeof *roots);
        if (!roots)
            AID_FAIL(err, AID_ERR_NOMEM, "no memory for %d branches of a source", room);
        piece->roots = roots;
        piece->room = room;
    }
    *ret_index = piece->branches++;
    piece->items[*ret_index] = (branch){.joined = *ret_index,
                                        .parent = -1,
                                        .next_son = -1,
                                        .first_son = -1,
                                        .last_son = -1,
                                        .label = -1,
                                        .peak = -INFINITY,
                                        .summit = -INFINITY,
                                        .whole = true};
    return AID_OK;
}

static void add_son(branch *items, int32_t to, int32_t son)
{
    if (items[to].first_son < 0)
        items[to].first_son = son;
    else
        items[items[to].last_son].next_son = son;
    items[to].last_son = son;
}

/* `from` becomes part of `to`. */
static void attach(branch *items, int32_t to, int32_t from)
{
    items[from].joined = to;
    items[from].parent = to;
    items[to].count += items[from].count;
    items[to].flux += items[from].flux;
    items[to].peak = AID_MAX(items[to].peak, items[from].peak);
    items[to].summit = AID_MAX(items[to].summit, items[from].summit);
    if (items[from].existing) {
        add_son(items, to, from);
    } else if (items[from].fresh) {
        if (items[to].first_son < 0)
            items[to].first_son = items[from].first_son;
        else
            items[items[to].last_son].next_son = items[from].first_son;
        items[to].last_son = items[from].last_son;
    }
}

/* What two roots become when a pixel touches both. A branch that has only just appeared is noise on
 * the flank of the other. */
static aid_status join(blend *piece, int32_t a, int32_t b, int32_t *ret_root, aid_error *err)
{
    const branch *items = piece->items;
    bool new_a = !items[a].existing && !items[a].fresh;
    bool new_b = !items[b].existing && !items[b].fresh;
    if (new_b || (items[a].fresh && !new_a)) {
        *ret_root = a;
        attach(piece->items, a, b);
    } else if (new_a || items[b].fresh) {
        *ret_root = b;
        attach(piece->items, b, a);
    } else {
        AID_TRY(new_branch(piece, ret_root, err));
        piece->items[*ret_root].fresh = true;
        attach(piece->items, *ret_root, a);
        attach(piece->items, *ret_root, b);
    }
    return AID_OK;
}

/* The light of the source, known or about to be, that a pixel belongs to; 0 between sources. */
static double light_at(const blend *piece, int32_t pixel)
{
    for (int32_t at = piece->branch_of[pixel]; at >= 0; at = piece->items[at].parent) {
        const branch *item = &piece->items[at];
        if (item->label >= 0 || (item->existing && item->whole))
            return item->flux_above;
    }
    return 0.0;
}

/* Two branches meet, at these pixels: each learns what it meets. */
static void introduce(blend *piece, int32_t one, int32_t other)
{
    const int32_t pixels[2] = {one, other};
    for (int k = 0; k < 2; k++) {
        double rival = light_at(piece, pixels[1 - k]);
        int32_t at = piece->branch_of[pixels[k]];
        while (at >= 0 && !piece->items[at].existing)
            at = piece->items[at].parent;
        if (at >= 0)
            piece->items[at].rival = AID_MAX(piece->items[at].rival, rival);
    }
}

static aid_status add_pixel(blend *piece, int32_t pixel, aid_error *err)
{
    int32_t stride = piece->width + 2, at = piece->place[pixel], root = -1, touched = -1;
    const int32_t around[8] = {-stride - 1, -stride,    -stride + 1, -1,
                               1,           stride - 1, stride,      stride + 1};
    for (int k = 0; k < 8; k++) {
        int32_t other = piece->grid[at + around[k]];
        if (other < 0 || piece->branch_of[other] < 0)
            continue;
        int32_t theirs = root_of(piece->items, piece->branch_of[other]);
        if (root < 0) {
            root = theirs;
            touched = other;
        } else if (theirs != root) {
            introduce(piece, touched, other);
            AID_TRY(join(piece, root, theirs, &root, err));
        }
    }
    if (root < 0)
        AID_TRY(new_branch(piece, &root, err));
    piece->branch_of[pixel] = root;
    branch *item = &piece->items[root];
    item->count++;
    item->flux += (double)piece->values[pixel];
    item->peak = AID_MAX(item->peak, piece->values[pixel]);
    item->summit = AID_MAX(item->summit, piece->filtered[pixel]);
    return AID_OK;
}

/* Light above the level that is a due share of the whole, on enough pixels, and a peak that the
 * noise at the level does not make. */
static bool is_significant(const blend *piece, const branch *item, double level)
{
    const aid_deblend_options *options = piece->options;
    double excess = item->flux_above - level * (double)item->count_above;
    double whole = options->of_neighbour ? AID_MAX(item->rival, item->flux_above) : piece->total;
    double photons = piece->gain > 0.0 ? level / piece->gain : 0.0;
    double noise = options->noise * sqrt(piece->pixel_noise * piece->pixel_noise + photons);
    return item->count_above >= options->min_pixels && excess > options->contrast * whole &&
           excess > options->pedestal * item->flux_above &&
           (double)item->peak - level > options->prominence * noise &&
           (double)item->summit > options->summit * piece->pixel_noise;
}

static void make_source(blend *piece, branch *item, double level)
{
    item->label = piece->sources++;
    item->apart = level < apart_below * (double)item->peak;
}

static void judge(blend *piece, branch *joint, double level)
{
    int significant = 0;
    for (int32_t son = joint->first_son; son >= 0; son = piece->items[son].next_son) {
        significant += is_significant(piece, &piece->items[son], level) ? 1 : 0;
        joint->whole &= piece->items[son].whole;
    }
    if (significant < 2)
        return;
    joint->whole = false;
    for (int32_t son = joint->first_son; son >= 0; son = piece->items[son].next_son)
        if (piece->items[son].whole && is_significant(piece, &piece->items[son], level))
            make_source(piece, &piece->items[son], level);
}

/* The state of every branch as of the level above the one that comes. */
static void begin_level(blend *piece, int first_new)
{
    int kept = 0;
    for (int i = 0; i < piece->roots_count; i++)
        if (piece->items[piece->roots[i]].joined == piece->roots[i])
            piece->roots[kept++] = piece->roots[i];
    for (int i = first_new; i < piece->branches; i++)
        if (piece->items[i].joined == i)
            piece->roots[kept++] = i;
    piece->roots_count = kept;
    for (int i = 0; i < kept; i++) {
        branch *item = &piece->items[piece->roots[i]];
        item->existing = true;
        item->fresh = false;
        item->count_above = item->count;
        item->flux_above = item->flux;
        item->rival = 0.0;
        item->next_son = item->first_son = item->last_son = -1;
    }
}

static aid_status grow_branches(blend *piece, aid_error *err)
{
    int levels = piece->options->levels, first_new = 0;
    memset(piece->branch_of, 0xff, (size_t)piece->count * sizeof *piece->branch_of);
    for (int step = 0; step < levels; step++) {
        begin_level(piece, first_new);
        first_new = piece->branches;
        for (int64_t i = piece->starts[step]; i < piece->starts[step + 1]; i++)
            AID_TRY(add_pixel(piece, piece->order[i], err));
        double above = level_value(piece, levels - step);
        for (int i = first_new; i < piece->branches; i++)
            if (piece->items[i].fresh && piece->items[i].joined == i)
                judge(piece, &piece->items[i], above);
    }
    return AID_OK;
}

/* --------------------------------------------------------------------------------------- labels */

static int32_t brightest_neighbour(const blend *piece, int32_t pixel)
{
    int32_t stride = piece->width + 2, at = piece->place[pixel], best = -1;
    const int32_t around[8] = {-stride - 1, -stride,    -stride + 1, -1,
                               1,           stride - 1, stride,      stride + 1};
    for (int k = 0; k < 8; k++) {
        int32_t other = piece->grid[at + around[k]];
        if (other >= 0 && piece->labels[other] >= 0 &&
            (best < 0 || piece->values[other] > piece->values[best]))
            best = other;
    }
    return best;
}

typedef struct ranked_pixel {
    float value;
    int32_t pixel;
} ranked_pixel;

static int brighter_first(const void *left, const void *right)
{
    const ranked_pixel *a = left, *b = right;
    if (a->value != b->value)
        return a->value > b->value ? -1 : 1;
    return (a->pixel > b->pixel) - (a->pixel < b->pixel);
}

/* Pixels below the saddles follow their brightest neighbour uphill, in falling order; those on
 * peaks that count as noise wait until what is around them is known. */
static aid_status flood(blend *piece, aid_error *err)
{
    AID_CLEANUP(aid_free_pointer)
    ranked_pixel *rest = NULL;
    AID_TRY(aid_new_buffer((size_t)piece->count, sizeof *rest, "deblending", &rest, err));
    int64_t count = 0;
    for (int32_t i = 0; i < piece->count; i++)
        if (piece->labels[i] < 0)
            rest[count++] = (ranked_pixel){piece->values[i], i};
    if (count > 1)
        qsort(rest, (size_t)count, sizeof *rest, brighter_first);
    while (count > 0) {
        int64_t waiting = 0;
        for (int64_t i = 0; i < count; i++) {
            int32_t neighbour = brightest_neighbour(piece, rest[i].pixel);
            if (neighbour >= 0)
                piece->labels[rest[i].pixel] = piece->labels[neighbour];
            else
                rest[waiting++] = rest[i];
        }
        if (waiting == count)
            break;
        count = waiting;
    }
    return AID_OK;
}

/* A branch has the label of what it became part of, unless it is a source itself. */
static aid_status label_pixels(blend *piece, aid_error *err)
{
    const branch *items = piece->items;
    for (int64_t i = 0; i < piece->count; i++) {
        int32_t at = piece->branch_of[i];
        while (items[at].label < 0 && items[at].parent >= 0)
            at = items[at].parent;
        piece->labels[i] = items[at].label;
    }
    return flood(piece, err);
}

/* --------------------------------------------------------------------------------- all pieces */

/* The runs of a piece that was split; NULL: it was not. */
typedef struct split_result {
    int32_t sources;
    int64_t runs_count;
    aid_run *runs;  /* owner: number of the source within the piece */
    uint8_t *apart; /* [sources] */
    bool too_large;
} split_result;

typedef struct deblend_job {
    const aid_field *field;
    const aid_deblend_options *options;
    const aid_footprints *footprints;
    split_result *splits;
} deblend_job;

/* Cuts runs where the label changes. */
static aid_status split_runs(const blend *piece, const aid_run *runs, int64_t count,
                             split_result *result, aid_error *err)
{
    int64_t pieces = 0;
    for (int pass = 0; pass < 2; pass++) {
        int32_t pixel = 0;
        pieces = 0;
        for (int64_t i = 0; i < count; i++)
            for (int32_t x = runs[i].x0; x <= runs[i].x1; x++, pixel++) {
                int32_t label = piece->labels[pixel];
                bool starts = x == runs[i].x0 || label != piece->labels[pixel - 1];
                pieces += starts ? 1 : 0;
                if (pass == 0)
                    continue;
                aid_run *run = &result->runs[pieces - 1];
                if (starts)
                    *run = (aid_run){.y = runs[i].y,
                                     .x0 = x,
                                     .owner = label,
                                     .value = runs[i].value + x - runs[i].x0};
                run->x1 = x;
            }
        if (pass == 0)
            AID_TRY(aid_new_buffer((size_t)pieces, sizeof *result->runs, "deblending",
                                   &result->runs, err));
    }
    result->runs_count = pieces;
    result->sources = piece->sources;
    AID_TRY(aid_new_array((size_t)piece->sources, 1, "deblending", &result->apart, err));
    for (int i = 0; i < piece->branches; i++)
        if (piece->items[i].label >= 0)
            result->apart[piece->items[i].label] = piece->items[i].apart;
    return AID_OK;
}

typedef struct brightest {
    int32_t x, y;
    float value;
} brightest;

static brightest measure_box(const aid_run *runs, int64_t count, const float *values, blend *piece)
{
    int32_t x0 = INT32_MAX, x1 = INT32_MIN;
    brightest peak = {.value = -INFINITY};
    for (int64_t i = 0; i < count; i++) {
        x0 = AID_MIN(x0, runs[i].x0);
        x1 = AID_MAX(x1, runs[i].x1);
        piece->count += runs[i].x1 - runs[i].x0 + 1;
        for (int32_t x = runs[i].x0; x <= runs[i].x1; x++) {
            float value = values[runs[i].value + x - runs[i].x0];
            if (value > peak.value)
                peak = (brightest){x, runs[i].y, value};
        }
    }
    piece->x0 = x0;
    piece->y0 = runs[0].y;
    piece->width = x1 - x0 + 1;
    piece->height = runs[count - 1].y - runs[0].y + 1;
    return peak;
}

static aid_status find_branches(blend *piece, const aid_run *runs, int64_t count,
                                const aid_footprints *footprints, aid_error *err)
{
    AID_TRY(allocate(piece, err));
    load_pixels(piece, runs, count, footprints);
    sort_by_level(piece);
    return grow_branches(piece, err);
}

static aid_status deblend_piece(const deblend_job *job, int64_t index, split_result *result,
                                aid_error *err)
{
    const aid_footprints *footprints = job->footprints;
    const aid_run *runs = footprints->runs + footprints->first[index];
    int64_t count = footprints->first[index + 1] - footprints->first[index];
    AID_CLEANUP(blend_done)
    blend piece = {.options = job->options, .gain = job->field->gain};
    brightest peak = measure_box(runs, count, footprints->values, &piece);
    result->too_large = (int64_t)piece.width * piece.height > MAX_BOX_PIXELS;
    if (piece.count < 2 * job->options->min_pixels + 1 || result->too_large)
        return AID_OK;
    piece.pixel_noise = aid_field_noise_at(job->field, peak.x, peak.y);
    piece.base = job->options->base;
    if (job->field->options->threshold_unit != AID_THRESHOLD_COUNTS)
        piece.base *= job->options->noise * piece.pixel_noise;
    piece.ratio = (double)peak.value / piece.base;
    if (!(piece.ratio > 1.0) || !isfinite(piece.ratio))
        return AID_OK;
    AID_TRY(find_branches(&piece, runs, count, footprints, err));
    if (piece.sources < 2)
        return AID_OK;
    AID_TRY(label_pixels(&piece, err));
    return split_runs(&piece, runs, count, result, err);
}

static aid_status deblend_some(void *context, int64_t task, int worker, aid_error *err)
{
    (void)worker;
    const deblend_job *job = context;
    int64_t begin, end;
    aid_band_range(job->footprints->count, PIECES_PER_TASK, task, &begin, &end);
    for (int64_t i = begin; i < end; i++)
        AID_TRY(deblend_piece(job, i, &job->splits[i], err));
    return AID_OK;
}

/* The runs of one source lie together. */
static void put_split(const split_result *split, aid_footprints *to, uint8_t *blended)
{
    for (int64_t i = 0; i < split->runs_count; i++) {
        if (i == 0 || split->runs[i].owner != split->runs[i - 1].owner) {
            blended[to->count] = split->apart[split->runs[i].owner] ? 0 : 1;
            to->first[to->count++] = to->runs_count;
        }
        to->runs[to->runs_count++] = split->runs[i];
    }
}

/* Rows stay in order within each source. */
static aid_status order_by_owner(split_result *split, aid_error *err)
{
    AID_CLEANUP(aid_free_pointer)
    int64_t *starts = NULL;
    aid_run *ordered;
    AID_TRY(aid_new_array((size_t)split->sources + 1, sizeof *starts, "deblending", &starts, err));
    AID_TRY(
        aid_new_buffer((size_t)split->runs_count, sizeof *ordered, "deblending", &ordered, err));
    for (int64_t i = 0; i < split->runs_count; i++)
        starts[split->runs[i].owner + 1]++;
    for (int32_t label = 0; label < split->sources; label++)
        starts[label + 1] += starts[label];
    for (int64_t i = 0; i < split->runs_count; i++)
        ordered[starts[split->runs[i].owner]++] = split->runs[i];
    free(split->runs);
    split->runs = ordered;
    return AID_OK;
}

static aid_status put_together(const aid_footprints *from, split_result *splits, aid_footprints *to,
                               uint8_t **ret_blended, aid_error *err)
{
    int64_t sources = 0, runs = 0;
    for (int64_t i = 0; i < from->count; i++) {
        sources += splits[i].runs ? splits[i].sources : 1;
        runs += splits[i].runs ? splits[i].runs_count : from->first[i + 1] - from->first[i];
    }
    AID_TRY(aid_new_buffer((size_t)sources + 1, sizeof *to->first, "footprints", &to->first, err));
    AID_TRY(aid_new_buffer((size_t)runs, sizeof *to->runs, "footprints", &to->runs, err));
    AID_TRY(aid_new_array((size_t)sources + 1, 1, "footprints", ret_blended, err));
    for (int64_t i = 0; i < from->count; i++) {
        if (splits[i].runs) {
            AID_TRY(order_by_owner(&splits[i], err));
            put_split(&splits[i], to, *ret_blended);
            continue;
        }
        int64_t count = from->first[i + 1] - from->first[i];
        (*ret_blended)[to->count] = splits[i].too_large ? 2 : 0;
        to->first[to->count++] = to->runs_count;
        memcpy(to->runs + to->runs_count, from->runs + from->first[i],
               (size_t)count * sizeof *to->runs);
        to->runs_count += count;
    }
    to->first[to->count] = to->runs_count;
    return AID_OK;
}

aid_status aid_footprints_deblend(const aid_field *field, const aid_deblend_options *options,
                                  aid_footprints *footprints, uint8_t **ret_blended, aid_error *err)
{
    deblend_job job = {.field = field, .options = options, .footprints = footprints};
    AID_TRY(aid_new_array((size_t)footprints->count, sizeof *job.splits, "deblending", &job.splits,
                          err));
    aid_footprints result = {0};
    uint8_t *blended = NULL;
    aid_status status = AID_OK;
    if (options->contrast < 1.0 && options->levels > 1)
        status = aid_pool_run(field->pool, aid_band_count(footprints->count, PIECES_PER_TASK),
                              deblend_some, &job, err);
    if (status == AID_OK)
        status = put_together(footprints, job.splits, &result, &blended, err);
    for (int64_t i = 0; i < footprints->count; i++) {
        free(job.splits[i].runs);
        free(job.splits[i].apart);
    }
    free(job.splits);
    if (status != AID_OK) {
        aid_footprints_done(&result);
        free(blended);
        return status;
    }
    result.values = footprints->values;
    result.filtered = footprints->filtered;
    footprints->values = footprints->filtered = NULL;
    aid_footprints_done(footprints);
    *footprints = result;
    *ret_blended = blended;
    return AID_OK;
}
