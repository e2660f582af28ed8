/* Resampling by prefiltered B-splines. */
#ifndef AID_CORE_IMAGING_WARP_H
#define AID_CORE_IMAGING_WARP_H

#include "core/base/pool.h"
#include "core/imaging/image.h"
#include "core/imaging/transform.h"

typedef struct aid_warp_options {
    int order;          /* 3 or 5: B-spline order; 5 for nearly undersampled images */
    bool conserve_flux; /* multiply by |Jacobian|: counts per output pixel */
} aid_warp_options;
#define AID_WARP_DEFAULTS                                                                          \
    (aid_warp_options)                                                                             \
    {                                                                                              \
        .order = 3, .conserve_flux = true                                                          \
    }

/* In:  image and mask (masked pixels hold any finite filling or NaN; NaN is filled by 0 for the
 *      filter and its reach masked), transform from output to input pixels, output shape.
 * Out: *ret_image: NaN where the input does not reach (more than 0.05 px beyond the centre of an
 * edge pixel) or has a NaN within the interpolation's reach; *ret_mask: a pixel carries the bits of
 *      every input pixel less than 1 px (in x and in y) from where it samples, and NO_DATA where
 * the image is NaN. Bands in parallel; the same bytes at any number of threads. An empty mask is a
 * clear one. Flux per pixel follows the Jacobian at the pixel centre, so that where an output pixel
 * is wider than about 1.5 input pixels fine detail is undersampled: bin first. */
AID_MUST_USE aid_status aid_warp(const aid_image *image, const aid_mask *mask,
                                 const aid_transform *transform, int32_t width, int32_t height,
                                 const aid_warp_options *options, aid_pool *pool,
                                 aid_image *ret_image, aid_mask *ret_mask, aid_error *err);

/* The same map applied to a mesh (bilinear, for noise and background), times |Jacobian| if asked.
 * Cells are as large on the sky as they were; beyond the input the mesh keeps its edge values. */
AID_MUST_USE aid_status aid_warp_mesh(const aid_mesh *mesh, const aid_transform *transform,
                                      int32_t width, int32_t height, bool conserve_flux,
                                      aid_mesh *ret_mesh, aid_error *err);

#endif
