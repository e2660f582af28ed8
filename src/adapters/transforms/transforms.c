#include "adapters/transforms/transforms.h"

#include "adapters/files/files.h"
#include "core/base/memory.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_BYTES = 1 << 20 };
static const char convention[] = "0-based, a whole number is the centre of a pixel";

static int terms_of(int degree)
{
    return (degree + 1) * (degree + 2) / 2;
}

/* ------------------------------------------------------------------------------------- writing */

static void put_pair(aid_json_writer *json, double first, double second)
{
    aid_json_begin_array(json);
    aid_json_number(json, first);
    aid_json_number(json, second);
    aid_json_end_array(json);
}

static void put_shape(aid_json_writer *json, const char *key, int32_t width, int32_t height)
{
    aid_json_put_array(json, key);
    aid_json_integer(json, width);
    aid_json_integer(json, height);
    aid_json_end_array(json);
}

static void put_terms(aid_json_writer *json, const char *key, const double *terms, int count)
{
    aid_json_put_array(json, key);
    for (int k = 0; k < count; k++)
        aid_json_number(json, terms[k]);
    aid_json_end_array(json);
}

static void put_polynomial(aid_json_writer *json, const aid_transform *map)
{
    aid_json_key(json, "polynomial");
    if (map->degree < 2) {
        aid_json_null(json);
        return;
    }
    aid_json_begin_object(json);
    aid_json_put_integer(json, "degree", map->degree);
    aid_json_put_number(json, "x0", map->x0);
    aid_json_put_number(json, "y0", map->y0);
    aid_json_put_number(json, "scale", map->scale);
    put_terms(json, "x", map->cx, terms_of(map->degree));
    put_terms(json, "y", map->cy, terms_of(map->degree));
    aid_json_end_object(json);
}

void aid_transform_put_json(aid_json_writer *json, const aid_transform_file *file)
{
    const aid_transform *map = &file->transform;
    double m[4], u, v;
    aid_transform_matrix(map, map->x0, map->y0, m);
    aid_transform_apply(map, map->x0, map->y0, &u, &v);
    aid_json_begin_object(json);
    aid_json_put_text(json, "type", map->degree < 2 ? "AffineTransform" : "PolynomialTransform");
    aid_json_put_text(json, "from", "reference");
    aid_json_put_text(json, "to", "image");
    aid_json_put_text(json, "pixel_convention", convention);
    put_shape(json, "from_shape", file->from_width, file->from_height);
    put_shape(json, "to_shape", file->to_width, file->to_height);
    aid_json_put_array(json, "matrix");
    put_pair(json, m[0], m[1]);
    put_pair(json, m[2], m[3]);
    aid_json_end_array(json);
    aid_json_key(json, "offset");
    put_pair(json, u - m[0] * map->x0 - m[1] * map->y0, v - m[2] * map->x0 - m[3] * map->y0);
    put_polynomial(json, map);
    aid_json_end_object(json);
}

aid_status aid_transform_write(const char *path, const aid_transform_file *file, aid_error *err)
{
    aid_new_file *out;
    AID_TRY(aid_new_file_open(path, &out, err));
    aid_json_writer json = aid_json_writer_on(aid_new_file_stream(out), 2);
    aid_transform_put_json(&json, file);
    aid_json_finish(&json);
    return aid_new_file_commit(out, err);
}

/* ------------------------------------------------------------------------------------- reading */

static aid_status take_number(const json_t *value, const char *path, const char *key,
                              double *ret_value, aid_error *err)
{
    double number = json_number_value(value);
    if (!json_is_number(value) || !isfinite(number))
        AID_FAIL(err, AID_ERR_INVALID, "%s: %s is not a finite number", path, key);
    *ret_value = number;
    return AID_OK;
}

static aid_status take_numbers(const json_t *array, const char *path, const char *key, int count,
                               double *ret_values, aid_error *err)
{
    if ((int)json_array_size(array) != count)
        AID_FAIL(err, AID_ERR_INVALID, "%s: %s is not an array of %d numbers", path, key, count);
    for (int i = 0; i < count; i++)
        AID_TRY(take_number(json_array_get(array, (size_t)i), path, key, &ret_values[i], err));
    return AID_OK;
}

static aid_status take_shape(const json_t *root, const char *path, const char *key,
                             int32_t *ret_width, int32_t *ret_height, aid_error *err)
{
    const json_t *shape = json_object_get(root, key);
    double sides[2] = {0.0, 0.0};
    if (shape && !json_is_null(shape))
        AID_TRY(take_numbers(shape, path, key, 2, sides, err));
    for (int i = 0; i < 2; i++)
        if (!(sides[i] >= 0.0 && sides[i] <= AID_MAX_IMAGE_SIDE))
            AID_FAIL(err, AID_ERR_INVALID, "%s: %s holds a side of %g pixels", path, key, sides[i]);
    *ret_width = (int32_t)sides[0];
    *ret_height = (int32_t)sides[1];
    return AID_OK;
}

static aid_status take_affine(const json_t *root, const char *path, aid_transform *map,
                              aid_error *err)
{
    const json_t *matrix = json_object_get(root, "matrix");
    double rows[2][2], offset[2];
    if (json_array_size(matrix) != 2)
        AID_FAIL(err, AID_ERR_INVALID, "%s: matrix is not an array of two rows", path);
    for (size_t i = 0; i < 2; i++)
        AID_TRY(take_numbers(json_array_get(matrix, i), path, "matrix", 2, rows[i], err));
    AID_TRY(take_numbers(json_object_get(root, "offset"), path, "offset", 2, offset, err));
    *map = (aid_transform){.degree = 1, .scale = 1.0};
    map->cx[0] = offset[0];
    map->cx[1] = rows[0][0];
    map->cx[2] = rows[0][1];
    map->cy[0] = offset[1];
    map->cy[1] = rows[1][0];
    map->cy[2] = rows[1][1];
    double size = fabs(rows[0][0]) + fabs(rows[0][1]) + fabs(rows[1][0]) + fabs(rows[1][1]);
    if (!(fabs(aid_transform_jacobian(map, 0.0, 0.0)) > 1e-9 * size * size))
        AID_FAIL(err, AID_ERR_INVALID, "%s: the matrix is singular", path);
    return AID_OK;
}

static aid_status take_polynomial(const json_t *polynomial, const char *path, aid_transform *map,
                                  aid_error *err)
{
    double degree = 0.0;
    AID_TRY(take_number(json_object_get(polynomial, "degree"), path, "degree", &degree, err));
    if (!(degree >= 1.0 && degree <= AID_TRANSFORM_MAX_DEGREE && degree == floor(degree)))
        AID_FAIL(err, AID_ERR_INVALID, "%s: a polynomial of degree %g; 1 to %d can be read", path,
                 degree, AID_TRANSFORM_MAX_DEGREE);
    *map = (aid_transform){.degree = (int)degree};
    AID_TRY(take_number(json_object_get(polynomial, "x0"), path, "x0", &map->x0, err));
    AID_TRY(take_number(json_object_get(polynomial, "y0"), path, "y0", &map->y0, err));
    AID_TRY(take_number(json_object_get(polynomial, "scale"), path, "scale", &map->scale, err));
    if (!(map->scale > 0.0))
        AID_FAIL(err, AID_ERR_INVALID, "%s: scale is not positive", path);
    int terms = terms_of(map->degree);
    AID_TRY(take_numbers(json_object_get(polynomial, "x"), path, "x", terms, map->cx, err));
    return take_numbers(json_object_get(polynomial, "y"), path, "y", terms, map->cy, err);
}

static aid_transform inverse_of(const aid_transform *map)
{
    double m[4], u, v;
    aid_transform_matrix(map, 0.0, 0.0, m);
    aid_transform_apply(map, 0.0, 0.0, &u, &v);
    double determinant = m[0] * m[3] - m[1] * m[2];
    aid_transform inverse = {.degree = 1, .scale = 1.0};
    inverse.cx[1] = m[3] / determinant;
    inverse.cx[2] = -m[1] / determinant;
    inverse.cy[1] = -m[2] / determinant;
    inverse.cy[2] = m[0] / determinant;
    inverse.cx[0] = -(inverse.cx[1] * u + inverse.cx[2] * v);
    inverse.cy[0] = -(inverse.cy[1] * u + inverse.cy[2] * v);
    return inverse;
}

static void swap_shapes(aid_transform_file *file)
{
    aid_transform_file before = *file;
    file->from_width = before.to_width;
    file->from_height = before.to_height;
    file->to_width = before.from_width;
    file->to_height = before.from_height;
}

static aid_status take_all(const json_t *root, const char *path, aid_transform_file *file,
                           aid_error *err)
{
    const char *from = json_string_value(json_object_get(root, "from"));
    const char *to = json_string_value(json_object_get(root, "to"));
    const char *pixels = json_string_value(json_object_get(root, "pixel_convention"));
    const json_t *polynomial = json_object_get(root, "polynomial");
    bool forward = from && to && !strcmp(from, "reference") && !strcmp(to, "image");
    bool backward = from && to && !strcmp(from, "image") && !strcmp(to, "reference");
    if (!forward && !backward)
        AID_FAIL(err, AID_ERR_INVALID,
                 "%s: \"from\" and \"to\" do not say \"reference\" and \"image\"", path);
    if (pixels && strncmp(pixels, "0-based", 7) != 0)
        AID_FAIL(err, AID_ERR_INVALID, "%s: pixel_convention \"%s\"; only 0-based is read", path,
                 pixels);
    bool is_polynomial = json_is_object(polynomial);
    if (backward && is_polynomial)
        AID_FAIL(err, AID_ERR_INVALID,
                 "%s: a polynomial from image to reference; the other way round is needed", path);
    AID_TRY(take_shape(root, path, "from_shape", &file->from_width, &file->from_height, err));
    AID_TRY(take_shape(root, path, "to_shape", &file->to_width, &file->to_height, err));
    if (is_polynomial)
        return take_polynomial(polynomial, path, &file->transform, err);
    AID_TRY(take_affine(root, path, &file->transform, err));
    if (backward) {
        file->transform = inverse_of(&file->transform);
        swap_shapes(file);
    }
    return AID_OK;
}

aid_status aid_transform_read(const char *path, aid_transform_file *ret_file, aid_error *err)
{
    AID_CLEANUP(aid_free_pointer)
    char *text = NULL;
    size_t size;
    json_error_t problem;
    AID_TRY(aid_read_file(path, MAX_BYTES, &text, &size, err));
    json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &problem);
    if (!root)
        AID_FAIL(err, AID_ERR_INVALID, "%s:%d: %s", path, problem.line, problem.text);
    aid_transform_file file = {0};
    aid_status status = take_all(root, path, &file, err);
    json_decref(root);
    if (status == AID_OK)
        *ret_file = file;
    return status;
}
