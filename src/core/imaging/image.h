/* Pixels: image, mask and mesh (a smooth map given by its values on a coarse grid). */
#ifndef AID_CORE_IMAGING_IMAGE_H
#define AID_CORE_IMAGING_IMAGE_H

#include "core/base/pool.h"
#include "core/base/status.h"

#include <stdbool.h>
#include <stdint.h>

/* [height][width], pixel (x, y) = data[y*stride + x]; 0-based, an integer is a pixel centre.
 * NaN = missing. A zeroed image is an empty one. */
typedef struct aid_image {
    float *data;
    int32_t width, height;
    int64_t stride; /* in pixels, >= width */
} aid_image;

/* Why a pixel is not to be used; [height][width] with stride == width. */
enum {
    AID_MASK_BAD = 1,        /* dead, hot, bad column, or told so by the user's mask */
    AID_MASK_SATURATED = 2,  /* at or above saturation, and bleeding */
    AID_MASK_COSMIC_RAY = 4, /* struck in this exposure */
    AID_MASK_NO_DATA = 8,    /* NaN, blank, or off the image that was resampled */
    AID_MASK_EDGE = 16,      /* so near the border that a kernel reaches over it */
    AID_MASK_GROWN = 32,     /* sound in itself, but within a kernel's reach of a pixel above */
    AID_MASK_REFERENCE = 64  /* in a difference: the reason lies in the reference */
};
typedef struct aid_mask {
    uint8_t *data;
    int32_t width, height;
} aid_mask;

/* Zeroed pixels, stride == width. Release with aid_image_done / aid_mask_done (empty is fine). */
AID_MUST_USE aid_status aid_image_init(int32_t width, int32_t height, aid_image *ret_image,
                                       aid_error *err);
AID_MUST_USE aid_status aid_mask_init(int32_t width, int32_t height, aid_mask *ret_mask,
                                      aid_error *err);
AID_MUST_USE aid_status aid_image_copy(const aid_image *from, aid_image *ret_image, aid_error *err);
void aid_image_done(aid_image *image);
void aid_mask_done(aid_mask *mask);

static inline float *aid_image_row(const aid_image *image, int32_t y)
{
    return image->data + (int64_t)y * image->stride;
}
static inline uint8_t *aid_mask_row(const aid_mask *mask, int32_t y)
{
    return mask->data + (int64_t)y * mask->width;
}

/* Sets `bit` on every pixel within `radius_px` (Euclidean) of a pixel that has a bit of `of`.
 * Exact for radius <= 64; O(pixels x radius). */
AID_MUST_USE aid_status aid_mask_grow(aid_mask *mask, uint8_t of, double radius_px, uint8_t bit,
                                      aid_pool *pool, aid_error *err);

/* A smooth map: values at the centres of nx x ny equal cells that tile width x height pixels. */
typedef struct aid_mesh {
    int32_t width, height; /* of the image, px */
    int32_t nx, ny;
    double cell_width, cell_height; /* px */
    float *values;                  /* [ny][nx] */
} aid_mesh;

AID_MUST_USE aid_status aid_mesh_init(int32_t width, int32_t height, int32_t nx, int32_t ny,
                                      aid_mesh *ret_mesh, aid_error *err);
void aid_mesh_done(aid_mesh *mesh);

/* The map along row y of the image, bilinear between cell centres and constant beyond the
 * outermost: it never overshoots, so that a noise map stays positive. `row` has mesh->width values.
 */
void aid_mesh_row(const aid_mesh *mesh, int32_t y, float *row);
double aid_mesh_at(const aid_mesh *mesh, double x, double y);
double aid_mesh_median(const aid_mesh *mesh);

#endif
