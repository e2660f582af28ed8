#include "core/base/memory.h"
#include "domain/extraction/measure.h"

#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------------------------------- owners
 */

void aid_owners_done(aid_owners *owners)
{
    free(owners->first);
    free(owners->runs);
    *owners = (aid_owners){0};
}

static int compare_columns(const void *left, const void *right)
{
    const aid_run *a = left, *b = right;
    return (a->x0 > b->x0) - (a->x0 < b->x0);
}

aid_status aid_owners_init(const aid_footprints *footprints, int32_t height, aid_owners *ret_owners,
                           aid_error *err)
{
    AID_CLEANUP(aid_owners_done)
    aid_owners owners = {.height = height};
    AID_TRY(aid_new_array((size_t)height + 2, sizeof *owners.first, "owners", &owners.first, err));
    AID_TRY(aid_new_buffer((size_t)footprints->runs_count, sizeof *owners.runs, "owners",
                           &owners.runs, err));
    int64_t *slots = owners.first + 1;
    for (int64_t i = 0; i < footprints->runs_count; i++)
        slots[footprints->runs[i].y + 1] += footprints->runs[i].owner >= 0 ? 1 : 0;
    for (int32_t y = 0; y < height; y++)
        slots[y + 1] += slots[y];
    for (int64_t i = 0; i < footprints->runs_count; i++)
        if (footprints->runs[i].owner >= 0)
            owners.runs[slots[footprints->runs[i].y]++] = footprints->runs[i];
    for (int32_t y = 0; y < height; y++) {
        int64_t count = owners.first[y + 1] - owners.first[y];
        if (count > 1)
            qsort(owners.runs + owners.first[y], (size_t)count, sizeof *owners.runs,
                  compare_columns);
    }
    *ret_owners = owners;
    owners = (aid_owners){0};
    return AID_OK;
}

/* The first run of row y that ends at or behind column x. */
static int64_t first_run_behind(const aid_owners *owners, int32_t y, int32_t x)
{
    int64_t low = owners->first[y], high = owners->first[y + 1];
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (owners->runs[middle].x1 < x)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* ---------------------------------------------------------------------------------------- cutout
 */

void aid_cutout_done(aid_cutout *cutout)
{
    free(cutout->values);
    free(cutout->state);
    *cutout = (aid_cutout){0};
}

static aid_status make_room(aid_cutout *cutout, int64_t pixels, aid_error *err)
{
    if (pixels <= cutout->room)
        return AID_OK;
    aid_cutout_done(cutout);
    AID_TRY(aid_new_buffer((size_t)pixels, sizeof(float), "cutout", &cutout->values, err));
    AID_TRY(aid_new_buffer((size_t)pixels, 1, "cutout", &cutout->state, err));
    cutout->room = pixels;
    return AID_OK;
}

static void mark_owners(const aid_owners *owners, int32_t owner, int32_t x0, int32_t side,
                        int32_t y, uint8_t *state)
{
    for (int64_t i = first_run_behind(owners, y, x0);
         i < owners->first[y + 1] && owners->runs[i].x0 < x0 + side; i++) {
        const aid_run *run = &owners->runs[i];
        uint8_t bit = run->owner == owner ? AID_CUTOUT_OWN : AID_CUTOUT_OTHER;
        int32_t begin = AID_MAX(run->x0, x0), end = AID_MIN(run->x1, x0 + side - 1);
        for (int32_t x = begin; x <= end; x++)
            state[x - x0] |= bit;
    }
}

static void load_row(aid_cutout *cutout, const aid_field *field, int32_t y)
{
    const aid_image *image = field->image;
    int64_t at = (int64_t)(y - cutout->y0) * cutout->side;
    float *values = cutout->values + at;
    uint8_t *state = cutout->state + at;
    memset(values, 0, (size_t)cutout->side * sizeof *values);
    memset(state, AID_CUTOUT_BAD, (size_t)cutout->side);
    int32_t begin = AID_MAX(cutout->x0, 0), end = AID_MIN(cutout->x0 + cutout->side, image->width);
    if (y < 0 || y >= image->height || end <= begin)
        return;
    memcpy(values + (begin - cutout->x0), aid_image_row(image, y) + begin,
           (size_t)(end - begin) * sizeof *values);
    memset(state + (begin - cutout->x0), 0, (size_t)(end - begin));
    if (!field->mask.data)
        return;
    const uint8_t *mask = aid_mask_row(&field->mask, y);
    for (int32_t x = begin; x < end; x++)
        if (mask[x] & AID_UNSOUND) {
            state[x - cutout->x0] = AID_CUTOUT_BAD;
            values[x - cutout->x0] = 0.0F;
        }
}

/* Replaces what is not the source's by what lies opposite of its centre. */
static void mirror(aid_cutout *cutout)
{
    int32_t side = cutout->side;
    int32_t twice_x = (int32_t)lround(2.0 * (cutout->x - cutout->x0));
    int32_t twice_y = (int32_t)lround(2.0 * (cutout->y - cutout->y0));
    for (int32_t j = 0; j < side; j++)
        for (int32_t i = 0; i < side; i++) {
            int64_t at = (int64_t)j * side + i;
            if (!(cutout->state[at] & (AID_CUTOUT_BAD | AID_CUTOUT_OTHER)))
                continue;
            int32_t u = twice_x - i, v = twice_y - j;
            int64_t other = (int64_t)v * side + u;
            bool sound = u >= 0 && u < side && v >= 0 && v < side &&
                         !(cutout->state[other] & (AID_CUTOUT_BAD | AID_CUTOUT_OTHER));
            cutout->values[at] = sound ? cutout->values[other] : 0.0F;
            cutout->state[at] |= sound ? 0 : AID_CUTOUT_MISSING;
        }
}

static void leave_out_bad(aid_cutout *cutout)
{
    for (int64_t i = 0; i < (int64_t)cutout->side * cutout->side; i++)
        if (cutout->state[i] & AID_CUTOUT_BAD)
            cutout->state[i] |= AID_CUTOUT_MISSING;
}

aid_status aid_cutout_load(aid_cutout *cutout, const aid_field *field, const aid_owners *owners,
                           const aid_source *source, double radius_px, aid_error *err)
{
    double largest = AID_MAX(field->image->width, field->image->height);
    int32_t radius = (int32_t)ceil(AID_CLAMP(radius_px, 2.0, largest));
    int32_t side = 2 * radius + 1;
    AID_TRY(make_room(cutout, (int64_t)side * side, err));
    cutout->x = source->x;
    cutout->y = source->y;
    cutout->side = side;
    cutout->x0 = (int32_t)lround(source->x) - radius;
    cutout->y0 = (int32_t)lround(source->y) - radius;
    for (int32_t j = 0; j < side; j++) {
        int32_t y = cutout->y0 + j;
        load_row(cutout, field, y);
        if (y >= 0 && y < field->image->height)
            mark_owners(owners, (int32_t)(source->id - 1), cutout->x0, side, y,
                        cutout->state + (int64_t)j * side);
    }
    if (field->options->neighbours == AID_NEIGHBOURS_MIRROR)
        mirror(cutout);
    else
        leave_out_bad(cutout);
    return AID_OK;
}
