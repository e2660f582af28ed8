/* What `astrid extract` reads: an image, and the mask and maps that come with it. */
#include "apps/cli/extract.h"
#include "domain/calibration/calibration.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

void extract_release_pixels(extract_image *image)
{
    aid_image_done(&image->file.image);
    aid_image_done(&image->file.variance);
    aid_mask_done(&image->file.mask);
    aid_mask_done(&image->mask);
    aid_fits_image_done(&image->background);
    aid_fits_image_done(&image->noise);
}

void extract_image_done(extract_image *image)
{
    extract_release_pixels(image);
    aid_fits_image_done(&image->file);
    aid_wcs_free(image->wcs);
    image->wcs = NULL;
    aid_sources_done(&image->sources);
}

/* Any value but 0 is a bad pixel; 2, as everywhere in the program, one that is saturated. */
static uint8_t bits_of_user(uint8_t value)
{
    return value == AID_MASK_SATURATED ? AID_MASK_SATURATED : value ? AID_MASK_BAD : 0;
}

static aid_status read_mask(const char *path, extract_image *image, aid_error *err)
{
    AID_TRY(aid_fits_read_mask(path, image->width, image->height, &image->mask, image->mask_sha256,
                               err));
    const aid_mask *own = &image->file.mask;
    size_t pixels = (size_t)image->width * (size_t)image->height;
    for (size_t i = 0; i < pixels; i++)
        image->mask.data[i] =
            (uint8_t)(bits_of_user(image->mask.data[i]) | (own->data ? own->data[i] : 0));
    return AID_OK;
}

static aid_status read_map(const char *path, const extract_image *image, aid_fits_image *ret_map,
                           aid_error *err)
{
    aid_fits_read_options options = AID_FITS_READ_DEFAULTS;
    options.skip_companions = true;
    AID_TRY(aid_fits_read(path, &options, ret_map, err));
    if (ret_map->image.width == image->width && ret_map->image.height == image->height)
        return AID_OK;
    AID_FAIL(err, AID_ERR_INVALID, "%s: %d x %d pixels, but %s has %d x %d", path,
             ret_map->image.width, ret_map->image.height, image->path, image->width, image->height);
}

/* An option counts before the header. */
static void read_facts(const extract_options *options, extract_image *image)
{
    static const char *const zero_points[] = {"MAGZERO", "MAGZPT", "PHOTZP", "ZP", NULL};
    const aid_header *header = &image->file.header;
    aid_frame_facts facts = aid_frame_facts_from_header(header, image->path, image->width,
                                                        image->height, &image->notes);
    image->gain = isfinite(options->gain) ? options->gain : facts.gain;
    image->saturation = isfinite(options->saturation) ? options->saturation : facts.saturation;
    image->zero_point = options->zero_point;
    if (isnan(image->zero_point) &&
        !aid_header_first_number(header, zero_points, &image->zero_point, NULL))
        image->zero_point = NAN;
    if (!(image->gain > 0.0))
        aid_note_add(&image->notes, "read", "no gain: errors are of the sky's noise alone");
    const char *unit = aid_header_text(header, "BUNIT");
    snprintf(image->unit, sizeof image->unit, "%s", unit ? unit : "");
}

/* A broken WCS costs the world coordinates, not the catalogue. */
static void read_wcs(extract_image *image)
{
    aid_error reason = {0};
    if (aid_wcs_new(&image->file.header, &image->wcs, &reason) != AID_OK)
        aid_note_add(&image->notes, "read", "no world coordinates: %s", reason.message);
}

aid_status extract_read(const extract_options *options, extract_image *image, aid_error *err)
{
    aid_fits_read_options reading = AID_FITS_READ_DEFAULTS;
    reading.hdu = options->hdu;
    AID_TRY(aid_fits_read(image->path, &reading, &image->file, err));
    image->width = image->file.image.width;
    image->height = image->file.image.height;
    if (options->mask)
        AID_TRY(read_mask(options->mask, image, err));
    if (options->background_map)
        AID_TRY(read_map(options->background_map, image, &image->background, err));
    if (options->noise_map)
        AID_TRY(read_map(options->noise_map, image, &image->noise, err));
    read_facts(options, image);
    read_wcs(image);
    return AID_OK;
}
