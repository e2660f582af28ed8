#include "domain/calibration/medians.h"

#include "core/base/macros.h"

#include <assert.h>
#include <string.h>

/* ------------------------------------------------------------------------------------- network */

static void add_pair(aid_median_network *network, int low, int high)
{
    assert(network->pairs < AID_MEDIAN_PAIRS);
    network->low[network->pairs] = (uint8_t)low;
    network->high[network->pairs++] = (uint8_t)high;
}

static void sort_all(aid_median_network *network)
{
    int n = network->inputs, top = 1;
    while (2 * top < n)
        top *= 2;
    for (int p = top; p > 0; p /= 2) {
        int q = top, r = 0, d = p;
        for (;;) {
            for (int i = 0; i + d < n; i++)
                if ((i & p) == r)
                    add_pair(network, i, i + d);
            if (q == p)
                break;
            d = q - p;
            q /= 2;
            r = p;
        }
    }
}

aid_median_network aid_median_network_of(int inputs)
{
    assert(inputs % 2 == 1 && inputs <= AID_MEDIAN_MOST);
    aid_median_network whole = {.inputs = inputs}, result = {.inputs = inputs};
    bool needed[AID_MEDIAN_MOST] = {false}, kept[AID_MEDIAN_PAIRS] = {false};
    sort_all(&whole);
    needed[inputs / 2] = true;
    for (int k = whole.pairs - 1; k >= 0; k--) {
        kept[k] = needed[whole.low[k]] || needed[whole.high[k]];
        if (kept[k])
            needed[whole.low[k]] = needed[whole.high[k]] = true;
    }
    for (int k = 0; k < whole.pairs; k++)
        if (kept[k])
            add_pair(&result, whole.low[k], whole.high[k]);
    return result;
}

AID_HOT static void exchange(const uint8_t *low, const uint8_t *high, int pairs,
                             float (*values)[AID_MEDIAN_LANES])
{
    for (int k = 0; k < pairs; k++) {
        float *restrict a = values[low[k]], *restrict b = values[high[k]];
        for (int i = 0; i < AID_MEDIAN_LANES; i++) {
            float u = a[i], v = b[i];
            a[i] = u < v ? u : v;
            b[i] = u < v ? v : u;
        }
    }
}

void aid_median_rows(const aid_median_network *network, const float *const *inputs, int32_t count,
                     float *out)
{
    float values[AID_MEDIAN_MOST][AID_MEDIAN_LANES];
    for (int32_t begin = 0; begin < count; begin += AID_MEDIAN_LANES) {
        int32_t lanes = AID_MIN(count - begin, AID_MEDIAN_LANES);
        size_t bytes = (size_t)lanes * sizeof **values;
        for (int k = 0; k < network->inputs; k++) {
            memcpy(values[k], inputs[k] + begin, bytes);
            memset(values[k] + lanes, 0, sizeof *values - bytes);
        }
        exchange(network->low, network->high, network->pairs, values);
        memcpy(out + begin, values[network->inputs / 2], bytes);
    }
}

/* -------------------------------------------------------------------------------------- filter */

aid_median_filter aid_median_filter_of(int side, bool separable, int32_t width, int32_t height)
{
    return (aid_median_filter){.side = side,
                               .separable = separable,
                               .network = aid_median_network_of(separable ? side : side * side),
                               .width = width,
                               .height = height};
}

static void copy_row(const aid_plane *in, const aid_plane *out, int32_t x0, int32_t x1, int32_t y)
{
    if (x1 > x0)
        memcpy(aid_plane_at(out, x0, y), aid_plane_at(in, x0, y),
               (size_t)(x1 - x0) * sizeof(float));
}

/* One row of the result from columns inner0 to inner1, and the input beside them. */
static void filter_row(const aid_median_filter *filter, const float *const *inputs,
                       const aid_plane *in, const aid_plane *out, aid_rectangle row)
{
    int32_t half = filter->side / 2;
    int32_t inner0 = AID_MAX(row.x0, half), inner1 = AID_MIN(row.x1, filter->width - half);
    if (inner1 <= inner0) {
        copy_row(in, out, row.x0, row.x1, row.y0);
        return;
    }
    copy_row(in, out, row.x0, inner0, row.y0);
    aid_median_rows(&filter->network, inputs, inner1 - inner0, aid_plane_at(out, inner0, row.y0));
    copy_row(in, out, inner1, row.x1, row.y0);
}

static void filter_square(const aid_median_filter *filter, const aid_plane *in,
                          const aid_plane *out, aid_rectangle region)
{
    int32_t half = filter->side / 2, first = AID_MAX(region.x0, half);
    const float *inputs[AID_MEDIAN_MOST];
    for (int32_t y = region.y0; y < region.y1; y++) {
        aid_rectangle row = {region.x0, y, region.x1, y + 1};
        if (y < half || y >= filter->height - half) {
            copy_row(in, out, region.x0, region.x1, y);
            continue;
        }
        for (int k = 0; k < filter->network.inputs; k++)
            inputs[k] =
                aid_plane_at(in, first + k % filter->side - half, y + k / filter->side - half);
        filter_row(filter, inputs, in, out, row);
    }
}

static void filter_lines(const aid_median_filter *filter, const aid_plane *in, const aid_plane *out,
                         aid_rectangle region)
{
    int32_t half = filter->side / 2, first = AID_MAX(region.x0, half);
    const float *inputs[AID_MEDIAN_MOST];
    for (int32_t y = region.y0; y < region.y1; y++) {
        for (int k = 0; k < filter->side; k++)
            inputs[k] = aid_plane_at(in, first + k - half, y);
        filter_row(filter, inputs, in, out, (aid_rectangle){region.x0, y, region.x1, y + 1});
    }
}

static void filter_columns(const aid_median_filter *filter, const aid_plane *in,
                           const aid_plane *lines, const aid_plane *out, aid_rectangle region)
{
    int32_t half = filter->side / 2, first = AID_MAX(region.x0, half);
    const float *inputs[AID_MEDIAN_MOST];
    for (int32_t y = region.y0; y < region.y1; y++) {
        if (y < half || y >= filter->height - half) {
            copy_row(in, out, region.x0, region.x1, y);
            continue;
        }
        for (int k = 0; k < filter->side; k++)
            inputs[k] = aid_plane_at(lines, first, y + k - half);
        filter_row(filter, inputs, in, out, (aid_rectangle){region.x0, y, region.x1, y + 1});
    }
}

void aid_median_filter_run(const aid_median_filter *filter, const aid_plane *in,
                           const aid_plane *out, const aid_plane *scratch, aid_rectangle region)
{
    int32_t half = filter->side / 2;
    if (!filter->separable) {
        filter_square(filter, in, out, region);
        return;
    }
    aid_rectangle tall = region;
    tall.y0 = AID_MAX(region.y0 - half, 0);
    tall.y1 = AID_MIN(region.y1 + half, filter->height);
    filter_lines(filter, in, scratch, tall);
    filter_columns(filter, in, scratch, out, region);
}
