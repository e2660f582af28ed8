/* Card text -> header -> WCS and epoch -> a few conversions. Nothing here may crash, hang, or give
 * a position that is not one. */
#include "core/sky/time.h"
#include "core/sky/wcs.h"
#include "tests/core/sky/card_text.h"

#include <math.h>
#include <stdint.h>

static void must(bool condition)
{
    if (!condition)
        abort();
}

static void convert(const aid_wcs *wcs)
{
    static const double pixels[][2] = {{0.0, 0.0},   {255.0, 511.0}, {-1e4, 1e5},
                                       {1e300, 1.0}, {NAN, 0.0},     {1024.5, 2048.25}};
    for (size_t i = 0; i < AID_COUNT_OF(pixels); i++) {
        double ra, dec, x, y, scale, north, east;
        (void)aid_wcs_pixel_scale(wcs, pixels[i][0], pixels[i][1], &scale);
        (void)aid_wcs_directions(wcs, pixels[i][0], pixels[i][1], &north, &east);
        if (!aid_wcs_pixel_to_radec(wcs, pixels[i][0], pixels[i][1], &ra, &dec))
            continue;
        must(ra >= 0.0 && ra < 360.0 && fabs(dec) <= 90.0 + 1e-9);
        if (aid_wcs_radec_to_pixel(wcs, ra, dec, &x, &y))
            must(isfinite(x) && isfinite(y));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    aid_error err;
    aid_header header = {0}, cards = {0};
    aid_status status;
    aid_wcs *wcs = NULL;
    card_text_parse((const char *)data, size, &header, &status, &err);
    if (status == AID_OK) {
        aid_epoch epoch = aid_epoch_from_header(&header);
        must(!epoch.known || isfinite(epoch.mid_mjd_utc));
        if (aid_wcs_new(&header, &wcs, &err) == AID_OK && wcs) {
            convert(wcs);
            must(aid_wcs_cards(wcs, &cards, &err) == AID_OK && cards.count >= 6);
        }
    }
    aid_wcs_free(wcs);
    aid_header_done(&cards);
    aid_header_done(&header);
    return 0;
}
