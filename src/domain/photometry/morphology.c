/* Shape of a source beyond its moments: Petrosian radius, concentration, Gini coefficient, M20. */
#include "domain/photometry/morphology.h"

#include "core/base/memory.h"

#include <stdlib.h>
#include <string.h>

enum { SUB = 4, BINS_PER_PX = 4, SMALLEST_PX = 16, LARGEST_PX = MORPHOLOGY_REACH_PX };
static const double petrosian_eta = 0.2;

static void patch_done(morphology_patch *patch)
{
    free(patch->values);
    free(patch->sound);
    free(patch->work);
    free(patch->turned);
}

static aid_status read_patch(const aid_photometry_frame *frame, const aid_source_shape *source,
                             int radius, morphology_patch *patch, aid_error *err)
{
    int32_t x0 = (int32_t)floor(source->x + 0.5) - radius;
    int32_t y0 = (int32_t)floor(source->y + 0.5) - radius;
    patch->x0 = x0;
    patch->y0 = y0;
    patch->radius = radius;
    patch->side = 2 * radius + 1;
    patch->x = source->x - x0;
    patch->y = source->y - y0;
    patch->sigma = aid_photometry_noise_at(frame, source->x, source->y);
    size_t side = (size_t)patch->side, pixels = side * side;
    AID_TRY(aid_new_array(pixels, sizeof *patch->values, "source", &patch->values, err));
    AID_TRY(aid_new_array(pixels, sizeof *patch->sound, "source", &patch->sound, err));
    AID_TRY(aid_new_array(pixels, sizeof *patch->work, "source", &patch->work, err));
    AID_TRY(aid_new_array(pixels, sizeof *patch->turned, "source", &patch->turned, err));
    double *row_values = patch->turned;
    for (int j = 0; j < patch->side; j++) {
        photometry_row row = {
            .y = y0 + j, .x0 = x0, .count = patch->side, .segment = source->segment};
        (void)aid_photometry_read_row(frame, &row, NULL, row_values);
        for (size_t i = 0; i < side; i++) {
            size_t p = (size_t)j * side + i;
            patch->sound[p] = row_values[i] == row_values[i];
            patch->values[p] = patch->sound[p] ? (float)row_values[i] : 0.0F;
        }
    }
    return AID_OK;
}

/* What is missing becomes what lies opposite. */
static void fill_gaps(morphology_patch *patch)
{
    int side = patch->side;
    for (int p = 0; p < side * side; p++) {
        if (patch->sound[p])
            continue;
        int i = (int)floor(2.0 * patch->x - p % side + 0.5);
        int j = (int)floor(2.0 * patch->y - p / side + 0.5);
        bool inside = i >= 0 && j >= 0 && i < side && j < side;
        if (inside && patch->sound[j * side + i])
            patch->values[p] = patch->values[j * side + i];
    }
}

/* ---------------------------------------------------------------------------- radial profile */

/* Light and area within circles of radius k/BINS_PER_PX. */
typedef struct radial_profile {
    int count;
    double *light, *area; /* cumulative, [count + 1] */
} radial_profile;

static void profile_done(radial_profile *profile)
{
    free(profile->light);
    free(profile->area);
}

/* A pixel as SUB x SUB points at (dx, dy) from the centre. */
static void add_pixel(double value, double dx, double dy, radial_profile *profile)
{
    for (int k = 0; k < SUB * SUB; k++) {
        double u = dx + (k % SUB + 0.5) / SUB - 0.5, v = dy + (k / SUB + 0.5) / SUB - 0.5;
        int bin = (int)(sqrt(u * u + v * v) * BINS_PER_PX);
        if (bin >= profile->count)
            continue;
        profile->light[bin + 1] += value / (SUB * SUB);
        profile->area[bin + 1] += 1.0 / (SUB * SUB);
    }
}

static aid_status make_profile(const morphology_patch *patch, const double centre[2], double reach,
                               radial_profile *profile, aid_error *err)
{
    profile->count = (int)AID_MIN(patch->radius - 1.0, ceil(reach)) * BINS_PER_PX;
    size_t room = (size_t)profile->count + 1;
    AID_TRY(aid_new_array(room, sizeof(double), "profile", &profile->light, err));
    AID_TRY(aid_new_array(room, sizeof(double), "profile", &profile->area, err));
    int side = patch->side, radius = profile->count / BINS_PER_PX + 2;
    int first_x = AID_MAX((int)centre[0] - radius, 0),
        first_y = AID_MAX((int)centre[1] - radius, 0);
    int last_x = AID_MIN((int)centre[0] + radius, side - 1);
    int last_y = AID_MIN((int)centre[1] + radius, side - 1);
    for (int j = first_y; j <= last_y; j++)
        for (int i = first_x; i <= last_x; i++)
            add_pixel((double)patch->values[j * side + i], i - centre[0], j - centre[1], profile);
    for (int i = 1; i <= profile->count; i++) {
        profile->light[i] += profile->light[i - 1];
        profile->area[i] += profile->area[i - 1];
    }
    return AID_OK;
}

static double table_at(const double *table, int count, double radius)
{
    double at = AID_CLAMP(radius * BINS_PER_PX, 0.0, (double)count);
    int i = AID_MIN((int)at, count - 1);
    return table[i] + (at - i) * (table[i + 1] - table[i]);
}

/* Surface brightness around r over the mean within r (Petrosian 1976). */
static double eta_at(const radial_profile *profile, double r)
{
    int n = profile->count;
    double out = AID_MIN(1.25 * r, (double)n / BINS_PER_PX);
    double light = table_at(profile->light, n, out) - table_at(profile->light, n, 0.8 * r);
    double area = table_at(profile->area, n, out) - table_at(profile->area, n, 0.8 * r);
    double within = table_at(profile->light, n, r), all = table_at(profile->area, n, r);
    return light / area * (all / within);
}

/* The first radius at which eta falls to its limit; NaN where it does not. */
static double petrosian_radius(const radial_profile *profile)
{
    const double step = 0.25;
    double last = (double)profile->count / BINS_PER_PX / 1.25, before = 1.0;
    for (double r = 1.0; r < last; r += step) {
        double eta = eta_at(profile, r);
        if (!(table_at(profile->light, profile->count, r) > 0.0))
            return NAN;
        if (eta <= petrosian_eta)
            return r > 1.0 ? r - step * (petrosian_eta - eta) / (before - eta) : r;
        before = eta;
    }
    return NAN;
}

static double radius_of_fraction(const radial_profile *profile, double total, double fraction)
{
    for (int i = 1; i <= profile->count; i++) {
        double low = profile->light[i - 1], high = profile->light[i];
        if (high >= fraction * total && high > low)
            return (i - 1 + (fraction * total - low) / (high - low)) / BINS_PER_PX;
    }
    return NAN;
}

static void measure_profile(const radial_profile *profile, aid_morphology *m)
{
    double total = table_at(profile->light, profile->count, 1.5 * m->petrosian_px);
    m->r20_px = radius_of_fraction(profile, total, 0.2);
    m->r50_px = radius_of_fraction(profile, total, 0.5);
    m->r80_px = radius_of_fraction(profile, total, 0.8);
    m->concentration = 5.0 * log10(m->r80_px / m->r20_px);
}

/* ------------------------------------------------------------------------------ pixels of it */

/* One axis of a Gaussian filter; `step` 1 along x, side along y. */
static void smooth_axis(const float *in, int side, int step, double sigma, float *out)
{
    enum { MAX_REACH = 3 * LARGEST_PX };
    double weights[MAX_REACH + 1], sum = 0.0;
    int reach = AID_MIN((int)ceil(4.0 * sigma), AID_MIN(side, MAX_REACH));
    for (int k = 0; k <= reach; k++) {
        weights[k] = exp(-0.5 * k * k / (sigma * sigma));
        sum += k ? 2.0 * weights[k] : weights[k];
    }
    for (int line = 0; line < side; line++)
        for (int at = 0; at < side; at++) {
            int base = step == 1 ? line * side : line;
            double value = 0.0;
            for (int k = -reach; k <= reach; k++)
                if (at + k >= 0 && at + k < side)
                    value += weights[abs(k)] * (double)in[base + (at + k) * step];
            out[base + at * step] = (float)(value / sum);
        }
}

/* Pixels of the smoothed source above `level` that hang together with its middle; in `stack`, how
 * many (Lotz, Primack & Madau 2004, section 2.3). */
static int connected_pixels(const float *smooth, int side, int start, double level, bool *seen,
                            int *stack)
{
    int depth = 0, next = 0;
    if (!((double)smooth[start] >= level))
        return 0;
    stack[depth++] = start;
    seen[start] = true;
    while (next < depth) {
        int p = stack[next++], x = p % side, y = p / side;
        const int steps[4][2] = {{1, 0}, {-1, 0}, {0, 1}, {0, -1}};
        for (int k = 0; k < 4; k++) {
            int i = x + steps[k][0], j = y + steps[k][1];
            if (i < 0 || j < 0 || i >= side || j >= side || seen[j * side + i] ||
                !((double)smooth[j * side + i] >= level))
                continue;
            seen[j * side + i] = true;
            stack[depth++] = j * side + i;
        }
    }
    return depth;
}

typedef struct lit_pixel {
    double light, x, y;
} lit_pixel;

static int fainter_first(const void *left, const void *right)
{
    const lit_pixel *a = left, *b = right;
    double p = fabs(a->light), q = fabs(b->light);
    if (p != q)
        return p < q ? -1 : 1;
    return a->y != b->y ? (a->y < b->y ? -1 : 1) : (a->x > b->x) - (a->x < b->x);
}

/* Lotz et al. 2004, equation 6. */
static double gini_of(const lit_pixel *pixels, int count)
{
    double sum = 0.0, weighted = 0.0;
    for (int i = 0; i < count; i++) {
        sum += fabs(pixels[i].light);
        weighted += (2.0 * (i + 1) - count - 1.0) * fabs(pixels[i].light);
    }
    return count > 1 && sum > 0.0 ? weighted / (sum * (count - 1.0)) : NAN;
}

/* Equations 7 and 8: the moment of the brightest pixels that hold a fifth of the light, around the
 * point that makes that of all the least, which is the centre of light. */
static double m20_of(const lit_pixel *pixels, int count)
{
    double sum = 0.0, x = 0.0, y = 0.0, all = 0.0, brightest = 0.0, light = 0.0;
    for (int i = 0; i < count; i++) {
        sum += pixels[i].light;
        x += pixels[i].light * pixels[i].x;
        y += pixels[i].light * pixels[i].y;
    }
    x /= sum;
    y /= sum;
    for (int i = count - 1; i >= 0; i--) {
        double dx = pixels[i].x - x, dy = pixels[i].y - y;
        double moment = pixels[i].light * (dx * dx + dy * dy);
        all += moment;
        if (light < 0.2 * sum) {
            light += pixels[i].light;
            brightest += moment;
        }
    }
    return all > 0.0 && brightest > 0.0 ? log10(brightest / all) : NAN;
}

static aid_status measure_pixels(const aid_photometry_frame *frame, const morphology_patch *patch,
                                 const radial_profile *profile, aid_morphology *m, aid_error *err)
{
    int side = patch->side, middle;
    size_t pixels = (size_t)side * (size_t)side;
    AID_CLEANUP(aid_free_pointer)
    bool *seen = NULL;
    AID_CLEANUP(aid_free_pointer)
    int *stack = NULL;
    AID_CLEANUP(aid_free_pointer)
    float *smooth = NULL;
    AID_CLEANUP(aid_free_pointer)
    lit_pixel *lit = NULL;
    AID_TRY(aid_new_array(pixels, sizeof *seen, "source", &seen, err));
    AID_TRY(aid_new_array(pixels, sizeof *stack, "source", &stack, err));
    AID_TRY(aid_new_array(pixels, sizeof *smooth, "source", &smooth, err));
    double r = m->petrosian_px, width = AID_MAX(r / 5.0, 0.3);
    smooth_axis(patch->values, side, 1, width, patch->work);
    smooth_axis(patch->work, side, side, width, smooth);
    double level = eta_at(profile, r) * table_at(profile->light, profile->count, r) /
                   table_at(profile->area, profile->count, r);
    middle = (int)floor(patch->y + 0.5) * side + (int)floor(patch->x + 0.5);
    int found = connected_pixels(smooth, side, middle, level, seen, stack), count = 0;
    AID_TRY(aid_new_array((size_t)AID_MAX(found, 1), sizeof *lit, "source", &lit, err));
    double inverse_gain = aid_photometry_inverse_gain(frame), snr = 0.0;
    for (int k = 0; k < found; k++) {
        int p = stack[k];
        double light = (double)patch->values[p];
        if (!patch->sound[p])
            continue;
        lit[count++] = (lit_pixel){light, p % side, p / side};
        snr += light / sqrt(patch->sigma * patch->sigma + AID_MAX(light, 0.0) * inverse_gain);
    }
    qsort(lit, (size_t)count, sizeof *lit, fainter_first);
    m->gini = gini_of(lit, count);
    m->m20 = count > 1 ? m20_of(lit, count) : NAN;
    m->snr_per_px = count > 0 ? snr / count : NAN;
    return AID_OK;
}

static void measure_moments(const morphology_patch *patch, double radius, aid_morphology *m)
{
    int side = patch->side;
    double sum = 0.0, x = 0.0, y = 0.0, xx = 0.0, yy = 0.0, xy = 0.0;
    for (int p = 0; p < side * side; p++) {
        double dx = p % side - patch->x, dy = p / side - patch->y, w = (double)patch->values[p];
        if (dx * dx + dy * dy > radius * radius)
            continue;
        sum += w;
        x += w * dx;
        y += w * dy;
        xx += w * dx * dx;
        yy += w * dy * dy;
        xy += w * dx * dy;
    }
    x /= sum;
    y /= sum;
    m->xx = xx / sum - x * x;
    m->yy = yy / sum - y * y;
    m->xy = xy / sum - x * y;
}

/* --------------------------------------------------------------------------------- one source */

static aid_morphology blank(const aid_source_shape *source)
{
    return (aid_morphology){.petrosian_px = NAN,
                            .x = source->x,
                            .y = source->y,
                            .xx = NAN,
                            .yy = NAN,
                            .xy = NAN,
                            .gini = NAN,
                            .m20 = NAN,
                            .concentration = NAN,
                            .asymmetry = NAN,
                            .r20_px = NAN,
                            .r50_px = NAN,
                            .r80_px = NAN,
                            .snr_per_px = NAN};
}

static unsigned flags_within(const aid_photometry_frame *frame, const aid_source_shape *source,
                             double radius)
{
    aid_aperture aperture = AID_APERTURE_CIRCLE(radius);
    aperture.segment = source->segment;
    return aid_aperture_at(frame, &aperture, source->x, source->y).flags;
}

static aid_status measure(const aid_photometry_frame *frame, const aid_source_shape *source,
                          morphology_patch *patch, aid_morphology *m, aid_error *err)
{
    AID_CLEANUP(profile_done)
    radial_profile profile = {0};
    const double middle[2] = {patch->x, patch->y};
    AID_TRY(make_profile(patch, middle, patch->radius, &profile, err));
    m->petrosian_px = petrosian_radius(&profile);
    /* Light up to 1.5 of these radii is wanted, and pixels that the turned source comes from. */
    if (!(1.5 * m->petrosian_px + 8.0 <= patch->radius)) {
        m->petrosian_px = NAN;
        m->flags |= AID_PHOTOMETRY_NO_FLUX;
        return AID_OK;
    }
    m->flags |= flags_within(frame, source, 1.5 * m->petrosian_px);
    measure_moments(patch, m->petrosian_px, m);
    AID_TRY(measure_pixels(frame, patch, &profile, m, err));
    double centre[2];
    m->asymmetry = aid_morphology_asymmetry(patch, 1.5 * m->petrosian_px, &centre[0], &centre[1]);
    m->x = patch->x0 + centre[0];
    m->y = patch->y0 + centre[1];
    AID_CLEANUP(profile_done)
    radial_profile centred = {0};
    AID_TRY(make_profile(patch, centre, 1.5 * m->petrosian_px + 2.0, &centred, err));
    measure_profile(&centred, m);
    return AID_OK;
}

aid_status aid_measure_morphology(const aid_photometry_frame *frame, const aid_source_shape *source,
                                  aid_morphology *ret_morphology, aid_error *err)
{
    aid_morphology m = blank(source);
    if (!aid_photometry_on_image(frame->image, source->x, source->y)) {
        m.flags = AID_PHOTOMETRY_OFF_IMAGE;
        *ret_morphology = m;
        return AID_OK;
    }
    if (!(source->a_px > 0.0 && isfinite(source->a_px)))
        AID_FAIL(err, AID_ERR_INVALID, "morphology of a source of semi-axis %g px", source->a_px);
    double reach = AID_CLAMP(ceil(12.0 * source->a_px), SMALLEST_PX, LARGEST_PX);
    AID_CLEANUP(patch_done)
    morphology_patch patch = {0};
    AID_TRY(read_patch(frame, source, (int)reach + MORPHOLOGY_MARGIN_PX, &patch, err));
    fill_gaps(&patch);
    AID_TRY(measure(frame, source, &patch, &m, err));
    *ret_morphology = m;
    return AID_OK;
}
