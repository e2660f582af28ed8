#include "adapters/transforms/transforms.h"

#include "adapters/files/files.h"
#include "tests/check.h"
#include "tests/folder.h"

static aid_error err;

static void write_text(const char *text)
{
    CHECK_OK(aid_write_file("t.json", text, strlen(text), &err));
}

static void same_map(const aid_transform *a, const aid_transform *b)
{
    for (double y = 0.0; y < 300.0; y += 37.0)
        for (double x = 0.0; x < 400.0; x += 41.0) {
            double u, v, at_u, at_v;
            aid_transform_apply(a, x, y, &u, &v);
            aid_transform_apply(b, x, y, &at_u, &at_v);
            CHECK_NEAR(at_u, u, 1e-9);
            CHECK_NEAR(at_v, v, 1e-9);
        }
}

TEST(a_map_that_was_written_is_the_same_map_when_read)
{
    enter_new_folder();
    for (int degree = 1; degree <= AID_TRANSFORM_MAX_DEGREE; degree++) {
        aid_transform_file file = {aid_transform_identity(400, 300), 400, 300, 512, 256}, back;
        file.transform.degree = degree;
        for (int k = 0; k < (degree + 1) * (degree + 2) / 2; k++) {
            file.transform.cx[k] += 1.0 / (3.0 + k);
            file.transform.cy[k] -= 1.0 / (7.0 + k);
        }
        CHECK_OK(aid_transform_write("t.json", &file, &err));
        CHECK_OK(aid_transform_read("t.json", &back, &err));
        same_map(&file.transform, &back.transform);
        CHECK(back.from_width == 400 && back.from_height == 300);
        CHECK(back.to_width == 512 && back.to_height == 256);
    }
}

/* By hand: (x, y) = (10, 20) goes to (2*10 + 0*20 + 3, 1*10 + 4*20 - 5) = (23, 85). */
TEST(matrix_and_offset_mean_what_the_header_says)
{
    enter_new_folder();
    aid_transform_file file;
    double u, v;
    write_text("{\"from\": \"reference\", \"to\": \"image\", \"matrix\": [[2, 0], [1, 4]],"
               " \"offset\": [3, -5]}");
    CHECK_OK(aid_transform_read("t.json", &file, &err));
    aid_transform_apply(&file.transform, 10.0, 20.0, &u, &v);
    CHECK_NEAR(u, 23.0, 1e-12);
    CHECK_NEAR(v, 85.0, 1e-12);
    write_text("{\"from\": \"image\", \"to\": \"reference\", \"matrix\": [[2, 0], [1, 4]],"
               " \"offset\": [3, -5], \"from_shape\": [30, 40]}");
    CHECK_OK(aid_transform_read("t.json", &file, &err));
    aid_transform_apply(&file.transform, 23.0, 85.0, &u, &v); /* the other way round */
    CHECK_NEAR(u, 10.0, 1e-12);
    CHECK_NEAR(v, 20.0, 1e-12);
    CHECK(file.to_width == 30 && file.to_height == 40 && file.from_width == 0);
}

TEST(what_is_no_map_is_refused_with_the_file_and_the_key_and_the_result_left_alone)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"", "t.json:"},
        {"[1, 2]", "\"from\" and \"to\""},
        {"{\"from\": \"reference\", \"to\": \"image\"}", "matrix"},
        {"{\"from\": \"sky\", \"to\": \"image\"}", "\"from\" and \"to\""},
        {"{\"from\": \"reference\", \"to\": \"image\", \"matrix\": [[1, 0], [0]],"
         " \"offset\": [0, 0]}",
         "matrix is not an array of 2"},
        {"{\"from\": \"reference\", \"to\": \"image\", \"matrix\": [[1, 0], [0, \"a\"]],"
         " \"offset\": [0, 0]}",
         "matrix is not a finite number"},
        {"{\"from\": \"reference\", \"to\": \"image\", \"matrix\": [[1, 2], [2, 4]],"
         " \"offset\": [0, 0]}",
         "singular"},
        {"{\"from\": \"reference\", \"to\": \"image\", \"pixel_convention\": \"1-based\"}",
         "only 0-based"},
        {"{\"from\": \"reference\", \"to\": \"image\", \"from_shape\": [-1, 5]}", "from_shape"},
        {"{\"from\": \"reference\", \"to\": \"image\", \"polynomial\": {\"degree\": 9}}",
         "degree 9"},
        {"{\"from\": \"reference\", \"to\": \"image\", \"polynomial\": {\"degree\": 2, \"x0\": 0,"
         " \"y0\": 0, \"scale\": 1, \"x\": [1], \"y\": [1]}}",
         "x is not an array of 6"},
        {"{\"from\": \"reference\", \"to\": \"image\", \"polynomial\": {\"degree\": 2, \"x0\": 0,"
         " \"y0\": 0, \"scale\": 0, \"x\": [], \"y\": []}}",
         "scale is not positive"},
        {"{\"from\": \"image\", \"to\": \"reference\", \"polynomial\": {\"degree\": 2}}",
         "the other way round"}};
    enter_new_folder();
    aid_transform_file file = {.from_width = -3};
    for (size_t i = 0; i < AID_COUNT_OF(cases); i++) {
        write_text(cases[i].text);
        CHECK_REFUSED(aid_transform_read("t.json", &file, &err), AID_ERR_INVALID, "t.json");
        CHECK(strstr(err.message, cases[i].message));
        CHECK_EQUAL(file.from_width, -3);
    }
    CHECK_REFUSED(aid_transform_read("nothing.json", &file, &err), AID_ERR_IO, "nothing.json");
}

TEST_MAIN()
