/* What belongs to a hit, settled by the pixels themselves: the Laplacian tells well that there is
 * an edge, but not which pixels have charge in them. On flat sky the excess of a pixel over the
 * median of the sound ones around it, in units of its noise, is all that can be known about it.
 * Among stars, where the surroundings scatter by more than the noise, only pixels stay that the
 * Laplacian test itself found to be sharper than any structure: its lenient rule for neighbours
 * eats into the cores of stars. */
#include "core/base/macros.h"
#include "core/imaging/stats.h"
#include "domain/calibration/lacosmic_internal.h"

static const double seed_sigma = 5.0;   /* at least one pixel of a hit stands out by this */
static const double member_sigma = 3.4; /* and every one by this */
static const double flat_scatter = 1.4; /* in units of the noise: more is structure */
static const double tower = 2.0;
enum { REACH = 3, SIDE = 2 * REACH + 1, LEAST_SOUND = 12 };

typedef struct surroundings {
    bool flat, known;
    double median;       /* in the unit of the image */
    double excess_sigma; /* of the pixel over it */
} surroundings;

static bool is_sound(const aid_cosmic_search *search, int64_t at)
{
    return !(search->state[at] & (AID_PIXEL_BLOCKED | AID_PIXEL_STRUCK));
}

/* The sound pixels around one, and their variances where there are any. */
static int gather(const aid_cosmic_settle_input *input, int32_t x, int32_t y, float *values,
                  float *variances)
{
    const aid_cosmic_search *search = input->search;
    int count = 0;
    for (int32_t j = AID_MAX(y - REACH, 0); j <= AID_MIN(y + REACH, search->height - 1); j++) {
        const float *row = aid_image_row(input->image, j);
        for (int32_t i = AID_MAX(x - REACH, 0); i <= AID_MIN(x + REACH, search->width - 1); i++) {
            int64_t at = (int64_t)j * search->width + i;
            if (!is_sound(search, at))
                continue;
            variances[count] = search->variance ? search->variance[at] : 0.0f;
            values[count++] = row[i];
        }
    }
    return count;
}

static surroundings look_around(const aid_cosmic_settle_input *input, int32_t x, int32_t y)
{
    const aid_cosmic_search *search = input->search;
    double gain = search->options->gain;
    float values[SIDE * SIDE], variances[SIDE * SIDE];
    int count = gather(input, x, y, values, variances);
    if (count < LEAST_SOUND)
        return (surroundings){.known = false};
    double variance_e = search->variance ? aid_median_in_place(variances, count) : 0.0;
    aid_robust local = aid_robust_in_place(values, count);
    if (!search->variance)
        variance_e = AID_MAX(local.median * gain, 0.0) + (double)search->read_variance;
    double noise = sqrt(AID_MAX(variance_e, 1e-5)) / gain;
    double value = (double)aid_image_row(input->image, y)[x];
    return (surroundings){.flat = local.sigma <= flat_scatter * noise,
                          .known = true,
                          .median = local.median,
                          .excess_sigma = (value - local.median) / noise};
}

static bool touches(const aid_cosmic_search *search, int32_t x, int32_t y, int bit)
{
    for (int32_t j = AID_MAX(y - 1, 0); j <= AID_MIN(y + 1, search->height - 1); j++)
        for (int32_t i = AID_MAX(x - 1, 0); i <= AID_MIN(x + 1, search->width - 1); i++)
            if (search->state[(int64_t)j * search->width + i] & bit)
                return true;
    return false;
}

/* Whether a pixel is so much higher than every sound one beside it that no star does it: one of a
 * FWHM of 2 px that lies right on it is twice as high. */
static bool towers(const aid_cosmic_settle_input *input, int32_t x, int32_t y, double median)
{
    const aid_cosmic_search *search = input->search;
    double height = (double)aid_image_row(input->image, y)[x] - median;
    int sound = 0;
    for (int32_t j = AID_MAX(y - 1, 0); j <= AID_MIN(y + 1, search->height - 1); j++)
        for (int32_t i = AID_MAX(x - 1, 0); i <= AID_MIN(x + 1, search->width - 1); i++) {
            if (!is_sound(search, (int64_t)j * search->width + i))
                continue;
            if (!(height > tower * ((double)aid_image_row(input->image, j)[i] - median)))
                return false;
            sound++;
        }
    return sound >= 2;
}

/* What a hit surrounds is part of it. */
static bool is_enclosed(const aid_cosmic_search *search, int32_t x, int32_t y)
{
    if (x == 0 || y == 0 || x == search->width - 1 || y == search->height - 1)
        return false;
    const uint8_t *state = search->state + (int64_t)y * search->width + x;
    return state[-1] & state[1] & state[-search->width] & state[search->width] & AID_PIXEL_STRUCK;
}

static uint8_t judge_structure(const aid_cosmic_settle_input *input, int32_t x, int32_t y,
                               const surroundings *around)
{
    const aid_cosmic_search *search = input->search;
    uint8_t state = search->state[(int64_t)y * search->width + x];
    uint8_t settled = state & (uint8_t) ~(AID_PIXEL_STRUCK | AID_PIXEL_SEED);
    if (state & AID_PIXEL_CORE)
        return settled | AID_PIXEL_STRUCK | AID_PIXEL_SEED;
    if (is_enclosed(search, x, y))
        return settled | AID_PIXEL_STRUCK;
    bool stands_out = around->known && around->excess_sigma > member_sigma;
    if (state & AID_PIXEL_FOUND && stands_out && towers(input, x, y, around->median))
        return settled | AID_PIXEL_STRUCK;
    return settled;
}

static uint8_t judge(const aid_cosmic_settle_input *input, int32_t x, int32_t y)
{
    const aid_cosmic_search *search = input->search;
    uint8_t state = search->state[(int64_t)y * search->width + x];
    surroundings around = look_around(input, x, y);
    uint8_t settled = state & (uint8_t) ~(AID_PIXEL_STRUCK | AID_PIXEL_SEED);
    if (!around.flat)
        return judge_structure(input, x, y, &around);
    if (around.excess_sigma > member_sigma)
        settled |= AID_PIXEL_STRUCK;
    if (around.excess_sigma > seed_sigma && state & AID_PIXEL_FOUND)
        settled |= AID_PIXEL_SEED;
    return settled;
}

void aid_cosmic_settle_tile(const aid_cosmic_settle_input *input, int64_t tile)
{
    const aid_cosmic_search *search = input->search;
    aid_rectangle own = aid_cosmic_tile(search, tile);
    for (int32_t y = own.y0; y < own.y1; y++)
        for (int32_t x = own.x0; x < own.x1; x++) {
            int64_t at = (int64_t)y * search->width + x;
            uint8_t state = search->state[at];
            bool candidate = !(state & AID_PIXEL_BLOCKED) &&
                             (state & AID_PIXEL_STRUCK ||
                              (input->growing && touches(search, x, y, AID_PIXEL_STRUCK)));
            search->found[at] = candidate ? judge(input, x, y) : state;
        }
}
