/* `astrid extract` as a user runs it. */
#include "tests/apps/cli/program.h"

#include "adapters/tables/table.h"

#include <jansson.h>

static double number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_number(value))
        check_fail(__FILE__, __LINE__, "%s is no number", key);
    return json_number_value(value);
}

/* A star of 20000 at FITS pixel (151.3, 91.6) on sky 300, gain 2, and a WCS with north up, east to
 * the left, 1 arcsec a pixel, RA 150, Dec 2 at pixel (150, 150). */
static void write_star(const char *path, double flux, double hole)
{
    AID_CLEANUP(aid_image_done)
    aid_image image = {0};
    AID_CLEANUP(aid_header_done)
    aid_header cards = {0};
    CHECK_OK(aid_image_init(SIDE, SIDE, &image, &err));
    add_star(&image, transient_x, transient_y, flux, 3.4);
    generator = 5;
    for (int64_t i = 0; i < (int64_t)SIDE * SIDE; i++)
        image.data[i] += (float)(300.0 + sqrt(150.0) * normal());
    if (isfinite(hole))
        aid_image_row(&image, 200)[200] = (float)hole;
    static const char *const texts[][2] = {{"CTYPE1", "RA---TAN"}, {"CTYPE2", "DEC--TAN"}};
    static const char *const numbers[][2] = {{"CRVAL1", "150"},
                                             {"CRVAL2", "2"},
                                             {"CRPIX1", "150"},
                                             {"CRPIX2", "150"},
                                             {"CD1_1", "-0.000277777777777778"},
                                             {"CD1_2", "0"},
                                             {"CD2_1", "0"},
                                             {"CD2_2", "0.000277777777777778"},
                                             {"GAIN", "2"},
                                             {"MAGZERO", "25"}};
    for (size_t i = 0; i < AID_COUNT_OF(texts); i++)
        CHECK_OK(aid_header_append(&cards, texts[i][0], AID_CARD_STRING, texts[i][1], "", &err));
    for (size_t i = 0; i < AID_COUNT_OF(numbers); i++)
        CHECK_OK(
            aid_header_append(&cards, numbers[i][0], AID_CARD_NUMBER, numbers[i][1], "", &err));
    aid_fits_writer *writer;
    CHECK_OK(aid_fits_create(path, &writer, &err));
    CHECK_OK(aid_fits_put_image(writer, NULL, &image, &cards, &err));
    CHECK_OK(aid_fits_commit(writer, &err));
}

static aid_table read_table(const char *path)
{
    aid_table table = {0};
    const char *dot = strrchr(path, '.');
    if (!strcmp(dot, ".fits"))
        CHECK_OK(aid_fits_read_table(path, NULL, NULL, &table, &err));
    else if (!strcmp(dot, ".vot"))
        CHECK_OK(aid_table_read_votable(path, NULL, &table, &err));
    else if (!strcmp(dot, ".json"))
        CHECK_OK(aid_table_read_json(path, &table, &err));
    else
        CHECK_OK(aid_table_read_csv(path, &table, &err));
    return table;
}

static double cell(const aid_table *table, const char *name, int64_t row)
{
    int column = aid_table_find(table, name);
    CHECK(column >= 0);
    return aid_table_number(table, column, row);
}

/* Pixels in files count from 1; 1.3 px right of the reference pixel is 1.3 arcsec west. The
 * aperture of 12 px holds all; its flux has an error of sqrt(150 (452 + 452^2/691) + 20000/2) = 349
 * with the annulus from 14 to 20.4 px, the position one of .02 px. */
TEST(every_form_of_catalogue_holds_the_star_in_fits_pixels_and_on_the_sky)
{
    static const char *const forms[] = {"cat.fits", "cat.vot", "cat.csv", "cat.json"};
    enter_new_folder();
    write_star("star.fits", 20000.0, NAN);
    for (size_t i = 0; i < AID_COUNT_OF(forms); i++) {
        char words[128];
        snprintf(words, sizeof words, "extract star.fits -o %s --aperture 12", forms[i]);
        if (astrid(words) != 0)
            check_fail(__FILE__, __LINE__, "%s: %s", words, error_text);
        AID_CLEANUP(aid_table_done)
        aid_table table = read_table(forms[i]);
        CHECK_EQUAL(table.rows, 1);
        CHECK_NEAR(cell(&table, "x", 0), transient_x + 1.0, 0.1);
        CHECK_NEAR(cell(&table, "y", 0), transient_y + 1.0, 0.1);
        CHECK_NEAR(cell(&table, "ra", 0), 150.0 - 1.3 / 3600.0, 0.1 / 3600.0);
        CHECK_NEAR(cell(&table, "dec", 0), 2.0 - 58.4 / 3600.0, 0.1 / 3600.0);
        CHECK_NEAR(cell(&table, "flux", 0), 20000.0, 1000.0);
        CHECK_NEAR(cell(&table, "flux_err", 0), 349.0, 25.0);
        CHECK_NEAR(cell(&table, "mag", 0), 25.0 - 2.5 * log10(20000.0), 0.06);
    }
}

TEST(sextractors_columns_have_its_names_and_its_flags)
{
    enter_new_folder();
    write_star("star.fits", 20000.0, NAN);
    CHECK_EQUAL(astrid("extract star.fits -o cat.fits --columns sextractor --saturation 800"), 0);
    AID_CLEANUP(aid_table_done)
    aid_table table = read_table("cat.fits");
    CHECK_EQUAL(cell(&table, "NUMBER", 0), 1);
    CHECK_NEAR(cell(&table, "X_IMAGE", 0), transient_x + 1.0, 0.2);
    CHECK_NEAR(cell(&table, "ALPHA_J2000", 0), 150.0 - 1.3 / 3600.0, 0.2 / 3600.0);
    CHECK_EQUAL(cell(&table, "FLAGS", 0), 4);
    CHECK(aid_table_find(&table, "flux_err") < 0);
}

TEST(the_summary_counts_what_the_catalogue_holds)
{
    enter_new_folder();
    write_sky("sky.fits", 3.0, 0.0, 11);
    CHECK_EQUAL(astrid("extract sky.fits -o cat.csv --json"), 0);
    json_t *summary = json_loads(out_text, 0, NULL);
    CHECK(json_is_object(summary));
    const json_t *image = json_array_get(json_object_get(summary, "images"), 0);
    AID_CLEANUP(aid_table_done)
    aid_table table = read_table("cat.csv");
    CHECK(table.rows > 60);
    CHECK_EQUAL(number(summary, "count"), table.rows);
    CHECK_EQUAL(number(image, "count"), table.rows);
    CHECK_NEAR(number(image, "noise"), 12.2, 1.5);
    CHECK_NEAR(number(image, "background"), 300.0, 10.0);
    CHECK_NEAR(number(image, "fwhm_px"), 3.0, 0.3);
    int unflagged = 0;
    for (int64_t i = 0; i < table.rows; i++) {
        const char *flags = table.items[aid_table_find(&table, "flags")].values.texts[i];
        unflagged += !flags || !*flags;
    }
    CHECK_EQUAL(number(json_object_get(image, "flags"), "none"), unflagged);
    json_decref(summary);
}

TEST(a_field_without_a_source_is_an_empty_catalogue)
{
    enter_new_folder();
    write_star("empty.fits", 0.0, NAN);
    CHECK_EQUAL(astrid("extract empty.fits -o cat.csv --threshold 6"), 0);
    AID_CLEANUP(aid_table_done)
    aid_table table = read_table("cat.csv");
    CHECK_EQUAL(table.rows, 0);
    CHECK(aid_table_find(&table, "flux") >= 0);
}

TEST(catalogues_are_the_same_bytes_at_one_and_two_threads)
{
    enter_new_folder();
    write_sky("sky.fits", 3.0, 0.0, 12);
    CHECK_EQUAL(astrid("extract sky.fits -o one.fits --threads 1"), 0);
    CHECK_EQUAL(astrid("extract sky.fits -o two.fits --threads 2"), 0);
    same_file("one.fits", "two.fits");
}

TEST(a_mask_takes_a_star_away)
{
    enter_new_folder();
    write_star("star.fits", 20000.0, NAN);
    AID_CLEANUP(aid_mask_done)
    aid_mask mask = {0};
    CHECK_OK(aid_mask_init(SIDE, SIDE, &mask, &err));
    for (int y = 80; y < 101; y++)
        for (int x = 140; x < 161; x++)
            aid_mask_row(&mask, y)[x] = 1;
    aid_fits_writer *writer;
    CHECK_OK(aid_fits_create("mask.fits", &writer, &err));
    CHECK_OK(aid_fits_put_mask(writer, NULL, &mask, NULL, &err));
    CHECK_OK(aid_fits_commit(writer, &err));
    CHECK_EQUAL(astrid("extract star.fits -o cat.csv --mask mask.fits --threshold 6"), 0);
    AID_CLEANUP(aid_table_done)
    aid_table table = read_table("cat.csv");
    CHECK_EQUAL(table.rows, 0);
}

TEST(of_several_images_those_that_can_be_are_extracted_and_the_rest_is_named)
{
    enter_new_folder();
    write_star("one.fits", 20000.0, NAN);
    write_star("two.fits", 30000.0, NAN);
    CHECK_EXIT("extract one.fits missing.fits two.fits -o many --format csv", 1,
               "1 of 3 images failed, the others are done; the first: missing.fits");
    AID_CLEANUP(aid_table_done)
    aid_table table = read_table("many/two.csv");
    CHECK_EQUAL(table.rows, 1);
    CHECK(exists("many/one.csv") && !exists("many/missing.csv"));
    CHECK_EQUAL(astrid("extract one.fits two.fits -o many --format csv"), 0);
    CHECK_EXIT("extract one.fits ./one.fits -o many", 2, "would both become");
}

TEST(what_cannot_be_is_refused_in_one_line_and_nothing_is_written)
{
    enter_new_folder();
    write_star("star.fits", 20000.0, NAN);
    CHECK_EXIT("extract star.fits", 2, "-o CAT.fits");
    CHECK_EXIT("extract star.fits -o cat.txt", 2, "cat.txt");
    CHECK_EXIT("extract star.fits -o cat.csv --aperture 8 --annulus 7,12", 2, "begins at 7 px");
    CHECK_EXIT("extract star.fits -o cat.csv --annulus 12", 2, "IN,OUT");
    CHECK_EXIT("extract star.fits -o cat.csv --filter-kernel gaus_2", 2, "gaus_2");
    CHECK_EXIT("extract star.fits -o cat.csv --background-map star.fits --noise-map none.fits", 1,
               "none.fits");
    CHECK_EXIT("extract star.fits -o cat.csv --max-sources 0", 2, "max-sources");
    write_star("blank.fits", 0.0, NAN);
    AID_CLEANUP(aid_image_done)
    aid_image image = {0};
    CHECK_OK(aid_image_init(20, 20, &image, &err));
    aid_fits_writer *writer;
    CHECK_OK(aid_fits_create("constant.fits", &writer, &err));
    CHECK_OK(aid_fits_put_image(writer, NULL, &image, NULL, &err));
    CHECK_OK(aid_fits_commit(writer, &err));
    CHECK_EXIT("extract constant.fits -o cat.csv", 3, "constant.fits: all pixels are 0");
    CHECK_EXIT("extract star.fits -o cat.csv --mask constant.fits", 3, "constant.fits");
    CHECK(!exists("cat.csv"));
}

int main(int argc, char **argv)
{
    aid_fits_decoder_main(argc, argv);
    return check_main(argc, argv);
}
