/* Resampling by prefiltered B-splines, or by Lanczos' windowed sinc. */
#ifndef AID_CORE_IMAGING_WARP_H
#define AID_CORE_IMAGING_WARP_H

#include "core/base/pool.h"
#include "core/imaging/grid_map.h"
#include "core/imaging/image.h"
#include "core/imaging/transform.h"

/* The values are a spline's order and a windowed sinc's number of pixels a side. */
typedef enum aid_warp_kernel {
    AID_KERNEL_SPLINE3 = 3,
    AID_KERNEL_SPLINE5 = 5, /* for nearly undersampled images */
    AID_KERNEL_LANCZOS3 = 6,
    AID_KERNEL_LANCZOS4 = 8
} aid_warp_kernel;

typedef struct aid_warp_options {
    aid_warp_kernel kernel;
    bool conserve_flux;       /* multiply by |Jacobian|: counts per output pixel */
    uint8_t missing;          /* mask bits that say "no value", as NaN does; fill such pixels
                                 smoothly, for the splines' filter looks at them all the same */
    const aid_grid_map *grid; /* positions, in place of the transform; NULL: none */
} aid_warp_options;
#define AID_WARP_DEFAULTS                                                                          \
    (aid_warp_options)                                                                             \
    {                                                                                              \
        .kernel = AID_KERNEL_SPLINE3, .conserve_flux = true                                        \
    }

/* In:  image and mask (masked pixels hold any finite filling or NaN; NaN is filled by 0 for the
 *      filter and its reach masked), transform from output to input pixels, output shape.
 * Out: *ret_image: NaN where the input does not reach (more than 0.05 px beyond the centre of an
 * edge pixel) or has a NaN or a `missing` pixel within the interpolation's reach; *ret_mask: a
 * pixel carries the bits of every input pixel less than 1 px (in x and in y) from where it samples,
 * and NO_DATA where the image is NaN. Bands in parallel; the same bytes at any number of threads.
 * An empty mask is a clear one. Flux per pixel follows the Jacobian at the pixel centre, so that
 * where an output pixel is wider than about 1.5 input pixels fine detail is undersampled: bin
 * first. */
AID_MUST_USE aid_status aid_warp(const aid_image *image, const aid_mask *mask,
                                 const aid_transform *transform, int32_t width, int32_t height,
                                 const aid_warp_options *options, aid_pool *pool,
                                 aid_image *ret_image, aid_mask *ret_mask, aid_error *err);

/* The variance of aid_warp's pixels, for independent input pixels of the given variance: the same
 * sum with every weight squared (and the square of the Jacobian), to 0.2 %. Input that is NaN or
 * negative counts as 0, off the input the result is NaN: where the image is NaN this says nothing.
 */
AID_MUST_USE aid_status aid_warp_variance(const aid_image *variance, const aid_transform *transform,
                                          int32_t width, int32_t height,
                                          const aid_warp_options *options, aid_pool *pool,
                                          aid_image *ret_variance, aid_error *err);

/* The weights with which the pixels around enter a value that lies `phase` (0..1) beyond pixel 0:
 * ret_weights[AID_WARP_REACH + k] is that of pixel k. Beyond the reach they are below 1e-7. */
enum { AID_WARP_REACH = 20 };
void aid_warp_weights(aid_warp_kernel kernel, double phase,
                      double ret_weights[2 * AID_WARP_REACH + 1]);

/* The same map applied to a mesh (bilinear, for noise and background), times |Jacobian| if asked.
 * Cells are as large on the sky as they were; beyond the input the mesh keeps its edge values. */
AID_MUST_USE aid_status aid_warp_mesh(const aid_mesh *mesh, const aid_transform *transform,
                                      int32_t width, int32_t height, bool conserve_flux,
                                      aid_mesh *ret_mesh, aid_error *err);

#endif
