/* What share of the pixels is unusable, and why. */
#include "core/base/memory.h"
#include "domain/quality/internal.h"

#include <stdlib.h>

/* -------------------------------------------------------------------------------------- hits ---
 */

typedef struct label_run { /* struck pixels x0..x1 of one row */
    int32_t x0, x1;
} label_run;

typedef struct hit_rows {
    label_run *above, *here; /* the runs of two rows */
    int32_t *above_label, *here_label;
    int32_t above_count, here_count;
} hit_rows;

static int32_t runs_of(const uint8_t *mask, int32_t width, label_run *runs)
{
    int32_t count = 0;
    for (int32_t x = 0; x < width; x++) {
        if (!(mask[x] & AID_MASK_COSMIC_RAY))
            continue;
        int32_t begin = x;
        while (x + 1 < width && mask[x + 1] & AID_MASK_COSMIC_RAY)
            x++;
        runs[count++] = (label_run){begin, x};
    }
    return count;
}

static int32_t root_of(const int32_t *parent, int32_t label)
{
    while (parent[label] != label)
        label = parent[label];
    return label;
}

typedef struct labels {
    int32_t *parent;
    int64_t count, capacity, groups;
} labels;

static aid_status new_label(labels *all, int32_t *ret_label, aid_error *err)
{
    if (all->count == all->capacity) {
        int64_t wanted = AID_MAX(2 * all->capacity, 1024);
        int32_t *larger = realloc(all->parent, (size_t)wanted * sizeof *larger);
        if (!larger)
            AID_FAIL(err, AID_ERR_NOMEM, "no memory for %lld groups of struck pixels",
                     (long long)wanted);
        all->parent = larger;
        all->capacity = wanted;
    }
    *ret_label = (int32_t)all->count;
    all->parent[all->count++] = *ret_label;
    all->groups++;
    return AID_OK;
}

/* Runs of two rows touch when they share a column or stand corner to corner. The lower label is the
 * root: chains stay short, as hits are small. */
static aid_status join_row(labels *all, hit_rows *rows, aid_error *err)
{
    int32_t first = 0;
    for (int32_t i = 0; i < rows->here_count; i++) {
        label_run run = rows->here[i];
        int32_t label = -1;
        while (first < rows->above_count && rows->above[first].x1 < run.x0 - 1)
            first++;
        for (int32_t k = first; k < rows->above_count && rows->above[k].x0 <= run.x1 + 1; k++) {
            int32_t other = root_of(all->parent, rows->above_label[k]);
            if (label >= 0 && other != label) {
                all->parent[AID_MAX(label, other)] = AID_MIN(label, other);
                all->groups--;
            }
            label = label < 0 ? other : AID_MIN(label, other);
        }
        if (label < 0)
            AID_TRY(new_label(all, &label, err));
        rows->here_label[i] = label;
    }
    return AID_OK;
}

static void swap_rows(hit_rows *rows)
{
    label_run *runs = rows->above;
    int32_t *row_labels = rows->above_label;
    rows->above = rows->here;
    rows->above_label = rows->here_label;
    rows->above_count = rows->here_count;
    rows->here = runs;
    rows->here_label = row_labels;
}

aid_status aid_quality_count_hits(const aid_mask *mask, int64_t *ret_hits, aid_error *err)
{
    size_t most = (size_t)mask->width / 2 + 1; /* runs of a row */
    AID_CLEANUP(aid_free_pointer)
    label_run *runs = NULL;
    AID_CLEANUP(aid_free_pointer)
    int32_t *row_labels = NULL;
    AID_TRY(aid_new_array(2 * most, sizeof *runs, "struck pixels", &runs, err));
    AID_TRY(aid_new_array(2 * most, sizeof *row_labels, "struck pixels", &row_labels, err));
    hit_rows rows = {.above = runs,
                     .here = runs + most,
                     .above_label = row_labels,
                     .here_label = row_labels + most};
    labels all = {0};
    aid_status status = AID_OK;
    for (int32_t y = 0; y < mask->height && status == AID_OK; y++) {
        rows.here_count = runs_of(aid_mask_row(mask, y), mask->width, rows.here);
        status = join_row(&all, &rows, err);
        swap_rows(&rows);
    }
    free(all.parent);
    AID_TRY(status);
    *ret_hits = all.groups;
    return AID_OK;
}

/* --------------------------------------------------------------------------------- percentages */

double aid_saturation_percentage(const aid_image *image, double level)
{
    int64_t count = 0, pixels = (int64_t)image->width * image->height;
    if (!(level < INFINITY) || pixels == 0)
        return 0.0;
    for (int32_t y = 0; y < image->height; y++) {
        const float *row = aid_image_row(image, y);
        for (int32_t x = 0; x < image->width; x++)
            count += (double)row[x] >= level;
    }
    return 100.0 * (double)count / (double)pixels;
}

aid_status aid_quality_count_masked(const aid_exposure *exposure, aid_quality *quality,
                                    aid_error *err)
{
    const aid_mask *mask = &exposure->mask;
    int64_t pixels = (int64_t)mask->width * mask->height, any = 0, saturated = 0, struck = 0;
    for (int64_t i = 0; i < pixels; i++) {
        any += mask->data[i] & AID_QUALITY_UNSOUND ? 1 : 0;
        saturated += mask->data[i] & AID_MASK_SATURATED ? 1 : 0;
        struck += mask->data[i] & AID_MASK_COSMIC_RAY ? 1 : 0;
    }
    double percent = 100.0 / (double)pixels;
    quality->masked_percentage = percent * (double)any;
    quality->saturation_percentage = percent * (double)saturated;
    quality->cosmic_ray_percentage = percent * (double)struck;
    return aid_quality_count_hits(mask, &quality->cosmic_ray_count, err);
}
