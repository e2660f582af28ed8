/* The point spread function before anything is extracted: from stars in the middle of the image, or
 * in all of it where those are too few. */
#include "core/base/memory.h"
#include "domain/extraction/internal.h"

static const char stage[] = "extract";
static const int64_t strip_pixels = 1500000;
enum { FEWEST_STARS = 20, LEAST_STRIP = 256 };

typedef struct image_strip {
    aid_image image; /* a view */
    aid_mask mask;   /* a view */
    aid_mesh noise;
} image_strip;

static aid_status strip_init(const aid_field *field, int32_t first, int32_t rows,
                             image_strip *ret_strip, aid_error *err)
{
    const aid_image *image = field->image;
    image_strip strip = {.image = *image, .mask = field->mask};
    strip.image.data = aid_image_row(image, first);
    strip.image.height = rows;
    if (strip.mask.data)
        strip.mask.data = aid_mask_row(&field->mask, first);
    strip.mask.height = rows;
    AID_TRY(aid_field_noise_mesh(field, first, rows, &strip.noise, err));
    *ret_strip = strip;
    return AID_OK;
}

/* Sound stars that a PSF can be had from. */
static int usable_stars(const aid_stars *stars)
{
    int count = 0;
    for (int i = 0; i < stars->count; i++)
        count += stars->items[i].flags ? 0 : 1;
    return count;
}

static aid_status measure_strip(aid_field *field, const image_strip *strip, bool last,
                                bool *ret_enough, aid_error *err)
{
    AID_CLEANUP(aid_stars_done)
    aid_stars stars = {0};
    aid_stars_options finding = AID_STARS_DEFAULTS;
    finding.threshold = 10.0;
    finding.gain = field->gain;
    AID_TRY(aid_stars_find(&strip->image, &strip->mask, &strip->noise, &finding, field->pool,
                           &stars, err));
    *ret_enough = usable_stars(&stars) >= FEWEST_STARS;
    if (stars.count == 0 || (!*ret_enough && !last))
        return AID_OK;
    if (isnan(field->fwhm_px))
        field->fwhm_px = stars.fwhm_px;
    aid_psf_options building = AID_PSF_DEFAULTS;
    building.max_degree = 0;
    building.gain = field->gain;
    aid_error reason = {0};
    aid_status status = aid_psf_build(&strip->image, &strip->mask, &strip->noise, &stars, &building,
                                      field->pool, NULL, &field->psf, &reason);
    if (status == AID_ERR_NUMERIC) {
        aid_note_add(field->notes, stage, "no PSF: %s; a Gaussian is used", reason.message);
        return AID_OK;
    }
    if (status != AID_OK)
        return aid_error_set(err, status, reason.source_file, reason.source_line, "%s",
                             reason.message);
    if (isfinite(field->psf.fwhm_px) && isnan(field->options->fwhm_px))
        field->fwhm_px = field->psf.fwhm_px;
    return AID_OK;
}

aid_status aid_field_measure_psf(aid_field *field, aid_error *err)
{
    int32_t height = field->image->height, rows;
    rows = (int32_t)AID_MIN(AID_MAX(strip_pixels / field->image->width, LEAST_STRIP), height);
    bool enough = false;
    for (int pass = 0; pass < 2 && !enough; pass++) {
        bool last = pass == 1 || rows >= height;
        AID_CLEANUP(aid_mesh_done)
        aid_mesh noise = {0};
        image_strip strip;
        AID_TRY(strip_init(field, (height - rows) / 2, rows, &strip, err));
        noise = strip.noise;
        AID_TRY(measure_strip(field, &strip, last, &enough, err));
        if (last)
            break;
        rows = height;
    }
    return AID_OK;
}
