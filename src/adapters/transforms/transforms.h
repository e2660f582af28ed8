/* Maps between pixel grids as JSON, for people and other programs:
 *
 *     {"type": "AffineTransform",            or "PolynomialTransform"
 *      "from": "reference", "to": "image",   applied to a pixel of the former it gives the latter's
 *      "pixel_convention": "0-based, a whole number is the centre of a pixel",
 *      "from_shape": [2048, 2048], "to_shape": [2048, 2048],       width, height
 *      "matrix": [[a, b], [c, d]], "offset": [e, f],               x' = a x + b y + e
 *      "polynomial": null or {"degree": 3, "x0": .., "y0": .., "scale": ..,
 *                             "x": [..], "y": [..]}}
 *
 * With u = (x - x0)/scale and v = (y - y0)/scale the polynomial is x' = sum x[k] u^i v^j, terms by
 * total degree: 1, u, v, u2, uv, v2, ... Where there is one, matrix and offset are its linear part
 * at the middle of the grid. */
#ifndef AID_ADAPTERS_TRANSFORMS_TRANSFORMS_H
#define AID_ADAPTERS_TRANSFORMS_TRANSFORMS_H

#include "adapters/files/json.h"
#include "core/imaging/transform.h"

#include <stdint.h>

typedef struct aid_transform_file {
    aid_transform transform; /* reference pixel -> image pixel */
    int32_t from_width, from_height, to_width, to_height;
} aid_transform_file;

/* The object above, as a value of a larger document. */
void aid_transform_put_json(aid_json_writer *json, const aid_transform_file *file);

AID_MUST_USE aid_status aid_transform_write(const char *path, const aid_transform_file *file,
                                            aid_error *err);

/* Shapes are optional and 0 where they are missing. A file that says it maps image to reference,
 * and has no polynomial, is inverted. Fails with AID_ERR_INVALID, naming file and key; *ret_file
 * is untouched then. */
AID_MUST_USE aid_status aid_transform_read(const char *path, aid_transform_file *ret_file,
                                           aid_error *err);

#endif
