#include "core/imaging/star_profile.h"

#include "core/base/macros.h"

#include <math.h>

bool aid_star_is_sound(const aid_star *star, double least_snr)
{
    const unsigned unfit = AID_STAR_BLENDED | AID_STAR_TRUNCATED | AID_STAR_SATURATED |
                           AID_STAR_MASKED | AID_STAR_EXTENDED | AID_STAR_SHARP |
                           AID_STAR_NO_WINDOW;
    return !(star->flags & unfit) && star->a > 0.0 && star->b > 0.0 &&
           star->flux > least_snr * star->flux_err;
}

/* The mean profile of stars: light in a pixel / flux of the star, in rings about its centre. */
typedef struct ring {
    double light, flux, radius;
    int64_t pixels;
} ring;
enum { RINGS = 160, RINGS_A_PX = 4, MAX_PROFILES = 300 };

static void add_to_profile(const aid_image *image, const aid_star *star, double reach, ring *rings)
{
    int32_t x0 = (int32_t)AID_MAX(ceil(star->x - reach), 0.0);
    int32_t x1 = (int32_t)AID_MIN(floor(star->x + reach), image->width - 1.0);
    int32_t y0 = (int32_t)AID_MAX(ceil(star->y - reach), 0.0);
    int32_t y1 = (int32_t)AID_MIN(floor(star->y + reach), image->height - 1.0);
    for (int32_t y = y0; y <= y1; y++)
        for (int32_t x = x0; x <= x1; x++) {
            double radius = hypot(x - star->x, y - star->y);
            int at = (int)(radius * RINGS_A_PX);
            if (at >= RINGS)
                continue;
            rings[at].light += (double)aid_image_row(image, y)[x];
            rings[at].flux += star->flux;
            rings[at].radius += radius;
            rings[at].pixels++;
        }
}

/* ln(peak) of ln P = a + b r^2 through the innermost rings. */
static double log_peak(const ring *rings, double reach)
{
    double n = 0.0, x = 0.0, y = 0.0, xx = 0.0, xy = 0.0;
    for (int i = 0; i < RINGS; i++) {
        if (!rings[i].pixels || !(rings[i].light > 0.0))
            continue;
        double radius = rings[i].radius / (double)rings[i].pixels, r2 = radius * radius;
        double weight = (double)rings[i].pixels, value = log(rings[i].light / rings[i].flux);
        if (radius > reach)
            break;
        n += weight;
        x += weight * r2;
        y += weight * value;
        xx += weight * r2 * r2;
        xy += weight * r2 * value;
    }
    double determinant = n * xx - x * x;
    return determinant > 1e-9 * n * xx ? (xx * y - x * xy) / determinant : NAN;
}

/* Where the profile has fallen to half of its peak: unlike moments, this does not count the wings.
 * NaN where it cannot be told. */
static double half_width(const ring *rings, double peak)
{
    double before_r = 0.0, before = peak, half = peak - log(2.0);
    for (int i = 0; i < RINGS; i++) {
        if (!rings[i].pixels)
            continue;
        double radius = rings[i].radius / (double)rings[i].pixels;
        if (!(rings[i].light > 0.0))
            return NAN;
        double value = log(rings[i].light / rings[i].flux);
        if (value <= half && before > value)
            return before_r + (radius - before_r) * (before - half) / (before - value);
        before_r = radius;
        before = value;
    }
    return NAN;
}

double aid_star_profile_fwhm(const aid_image *image, const aid_stars *stars, double width_px)
{
    ring rings[RINGS] = {{0}};
    double reach = AID_MIN(1.2 * width_px + 1.0, (double)RINGS / RINGS_A_PX);
    int count = 0;
    for (int i = 0; i < stars->count && count < MAX_PROFILES; i++) {
        if (!aid_star_is_sound(&stars->items[i], 20.0))
            continue;
        add_to_profile(image, &stars->items[i], reach, rings);
        count++;
    }
    double measured = 2.0 * half_width(rings, log_peak(rings, AID_MAX(0.3 * width_px, 0.8)));
    return measured > 0.3 * width_px && measured < 1.5 * width_px ? measured : width_px;
}
