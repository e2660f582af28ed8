#include "core/imaging/spline_background.h"

#include "core/base/memory.h"
#include "core/imaging/sep_library.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct aid_spline_background {
    sep_bkg *map;
    int32_t width;
};

void aid_spline_background_free(aid_spline_background *background)
{
    if (background && background->map)
        sep_bkg_free(background->map);
    free(background);
}

static aid_status fail(int status, aid_error *err)
{
    char text[64] = "";
    sep_get_errmsg(status, text);
    AID_FAIL(err, status == 1 ? AID_ERR_NOMEM : AID_ERR_NUMERIC, "background map: %s", text);
}

/* The library wants contiguous rows, and a mask of its own where a pixel is not to be used. */
static aid_status copy_pixels(const aid_image *image, const aid_mask *mask, float *pixels,
                              uint8_t *unsound, aid_error *err)
{
    int64_t usable = 0;
    for (int32_t y = 0; y < image->height; y++) {
        const float *row = aid_image_row(image, y);
        for (int32_t x = 0; x < image->width; x++) {
            int64_t at = (int64_t)y * image->width + x;
            bool bad = !isfinite(row[x]) ||
                       (mask->data && aid_mask_row(mask, y)[x] & ~(uint8_t)AID_MASK_SATURATED);
            pixels[at] = bad ? 0.0F : row[x];
            unsound[at] = bad ? 1 : 0;
            usable += bad ? 0 : 1;
        }
    }
    if (usable == 0)
        AID_FAIL(err, AID_ERR_NUMERIC, "background map: none of the %d x %d pixels is usable",
                 image->width, image->height);
    return AID_OK;
}

aid_status aid_spline_background_new(const aid_image *image, const aid_mask *mask, int cell_px,
                                     int filter_cells, aid_spline_background **ret_background,
                                     aid_error *err)
{
    if (cell_px < 1 || filter_cells < 1)
        AID_FAIL(err, AID_ERR_INVALID, "background map: cells of %d px, filter of %d cells",
                 cell_px, filter_cells);
    size_t count = (size_t)image->width * (size_t)image->height;
    AID_CLEANUP(aid_free_pointer)
    float *pixels = NULL;
    AID_CLEANUP(aid_free_pointer)
    uint8_t *unsound = NULL;
    AID_TRY(aid_new_buffer(count, sizeof *pixels, "background map", &pixels, err));
    AID_TRY(aid_new_buffer(count, 1, "background map", &unsound, err));
    AID_TRY(copy_pixels(image, mask, pixels, unsound, err));
    sep_image view = {.data = pixels,
                      .mask = unsound,
                      .dtype = SEP_TFLOAT,
                      .mdtype = SEP_TBYTE,
                      .w = image->width,
                      .h = image->height};
    aid_spline_background *background;
    AID_TRY(aid_new_array(1, sizeof *background, "background map", &background, err));
    background->width = image->width;
    int status =
        sep_background(&view, cell_px, cell_px, filter_cells, filter_cells, 0.0, &background->map);
    if (status != 0) {
        free(background);
        return fail(status, err);
    }
    *ret_background = background;
    return AID_OK;
}

aid_status aid_spline_background_row(const aid_spline_background *background, int32_t y, float *row,
                                     aid_error *err)
{
    int status = sep_bkg_line(background->map, y, row, SEP_TFLOAT);
    return status == 0 ? AID_OK : fail(status, err);
}

aid_status aid_spline_background_noise_row(const aid_spline_background *background, int32_t y,
                                           float *row, aid_error *err)
{
    int status = sep_bkg_rmsline(background->map, y, row, SEP_TFLOAT);
    return status == 0 ? AID_OK : fail(status, err);
}

double aid_spline_background_level(const aid_spline_background *background)
{
    return (double)sep_bkg_global(background->map);
}

double aid_spline_background_noise(const aid_spline_background *background)
{
    return (double)sep_bkg_globalrms(background->map);
}

aid_status aid_spline_background_meshes(const aid_spline_background *background, aid_mesh *level,
                                        aid_mesh *noise, aid_error *err)
{
    AID_CLEANUP(aid_free_pointer)
    float *rows = NULL;
    size_t width = (size_t)background->width;
    AID_TRY(aid_new_buffer(2 * width, sizeof *rows, "background row", &rows, err));
    for (int32_t j = 0; j < level->ny; j++) {
        int32_t y = (int32_t)((j + 0.5) * level->cell_height);
        AID_TRY(aid_spline_background_row(background, y, rows, err));
        AID_TRY(aid_spline_background_noise_row(background, y, rows + width, err));
        for (int32_t i = 0; i < level->nx; i++) {
            int32_t x = (int32_t)((i + 0.5) * level->cell_width);
            level->values[(int64_t)j * level->nx + i] = rows[x];
            noise->values[(int64_t)j * level->nx + i] = rows[width + (size_t)x];
        }
    }
    return AID_OK;
}
