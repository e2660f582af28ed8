/* `astrid photometry` as a user meets it. */
#include "adapters/tables/table.h"
#include "tests/apps/cli/program.h"

#include <jansson.h>

static aid_table read_csv(const char *path)
{
    aid_table table = {0};
    CHECK_OK(aid_table_read_csv(path, &table, &err));
    return table;
}

static double number(const aid_table *table, const char *name, int64_t row)
{
    int column = aid_table_find(table, name);
    CHECK(column >= 0);
    return aid_table_number(table, column, row);
}

static const char *text(const aid_table *table, const char *name, int64_t row)
{
    int column = aid_table_find(table, name);
    CHECK(column >= 0);
    const char *cell = table->items[column].values.texts[row];
    return cell ? cell : "";
}

static void write_text(const char *path, const char *words)
{
    FILE *file = fopen(path, "w");
    CHECK(file != NULL);
    fputs(words, file);
    CHECK(fclose(file) == 0);
}

TEST(a_catalogue_of_fluxes_says_what_made_it_and_of_which_images)
{
    enter_new_folder();
    write_pair();
    aid_fits_image image;
    CHECK_OK(aid_fits_read("sci.fits", NULL, &image, &err));
    CHECK_OK(aid_header_append(&image.header, "BUNIT", AID_CARD_STRING, "adu", "", &err));
    aid_fits_writer *writer;
    CHECK_OK(aid_fits_create("adu.fits", &writer, &err));
    CHECK_OK(aid_fits_put_image(writer, NULL, &image.image, &image.header, &err));
    CHECK_OK(aid_fits_commit(writer, &err));
    aid_fits_image_done(&image);
    CHECK_EQUAL(astrid("photometry adu.fits --at-pixel 151.3,91.6 -o flux.fits --json"), 0);
    json_t *said = json_loads(out_text, 0, NULL);
    const json_t *of = json_array_get(json_object_get(said, "images"), 0);
    CHECK_OK(aid_fits_read("adu.fits", NULL, &image, &err));
    CHECK_TEXT(json_string_value(json_object_get(of, "sha256")), image.sha256);
    CHECK_TEXT(json_string_value(json_object_get(said, "command")), "photometry");
    char command[256];
    snprintf(command, sizeof command, "grep -a -q \"HASH1   = '%s'\" flux.fits", image.sha256);
    CHECK_EQUAL(system(command), 0);
    CHECK_EQUAL(system("grep -a -q \"CREATOR = 'astrid\" flux.fits"), 0);
    aid_table table;
    CHECK_OK(aid_fits_read_table("flux.fits", NULL, NULL, &table, &err));
    CHECK_TEXT(table.items[aid_table_find(&table, "flux")].unit, "adu");
    CHECK_TEXT(table.items[aid_table_find(&table, "limit_5sigma")].unit, "adu");
    aid_table_done(&table);
    aid_fits_image_done(&image);
    json_decref(said);
}

/* The transient (FITS pixel 151.3, 91.6) has 6000 counts in sci.fits and is not in ref.fits. */
TEST(a_flux_is_measured_where_it_is_asked_for_on_every_image)
{
    enter_new_folder();
    write_pair();
    CHECK_EQUAL(astrid("photometry sci.fits ref.fits --at-pixel '151.3,91.6 20,1000' "
                       "--zero-point 25 -o flux.csv"),
                0);
    aid_table table = read_csv("flux.csv");
    CHECK_EQUAL(table.rows, 4);
    double flux = number(&table, "flux", 0), error = number(&table, "flux_err", 0);
    CHECK(error > 50.0 && error < 300.0);
    CHECK_NEAR(flux, 6000.0, 4.0 * error);
    CHECK_NEAR(number(&table, "mag", 0), 25.0 - 2.5 * log10(flux), 1e-4);
    CHECK_NEAR(number(&table, "x", 0), 151.3, 1e-9);
    CHECK_TEXT(text(&table, "image", 0), "sci.fits");
    CHECK_TEXT(text(&table, "method", 0), "psf");
    CHECK_NEAR(number(&table, "flux", 1), 0.0, 4.5 * number(&table, "flux_err", 1));
    CHECK(number(&table, "limit_5sigma", 1) > 4.0 * number(&table, "flux_err", 1));
    CHECK(isnan(number(&table, "flux", 2)));
    CHECK_TEXT(text(&table, "flags", 2), "off-image");
    aid_table_done(&table);
}

TEST(a_catalogue_of_positions_keeps_its_names_and_the_forms_agree)
{
    enter_new_folder();
    write_pair();
    write_text("where.csv", "x,name,y\n151.3,the one,91.6\n,nowhere,\n");
    CHECK_EQUAL(astrid("photometry sci.fits --at where.csv -o flux.csv --json"), 0);
    json_t *result = json_loads(out_text, 0, NULL);
    CHECK(result != NULL);
    json_t *rows = json_object_get(result, "measurements");
    CHECK_EQUAL(json_array_size(rows), 2);
    double printed = json_number_value(json_object_get(json_array_get(rows, 0), "flux"));
    json_decref(result);
    aid_table table = read_csv("flux.csv");
    CHECK_NEAR(number(&table, "flux", 0), printed, 1e-9 * printed);
    CHECK_TEXT(text(&table, "name", 0), "the one");
    CHECK_TEXT(text(&table, "name", 1), "nowhere");
    CHECK(isnan(number(&table, "flux", 1)));
    aid_table_done(&table);
    CHECK_EQUAL(astrid("photometry sci.fits --at where.csv -o flux.fits"), 0);
    CHECK_EQUAL(astrid("photometry sci.fits --at where.csv -o flux.vot"), 0);
    CHECK_EQUAL(astrid("photometry sci.fits --at flux.fits -o again.csv"), 0);
    CHECK_EQUAL(astrid("photometry sci.fits --at where.csv --threads 1 -o one.csv"), 0);
    same_file("one.csv", "flux.csv");
    table = read_csv("again.csv");
    CHECK_NEAR(number(&table, "flux", 0), printed, 1e-4 * printed); /* x, y with 3 decimals */
    aid_table_done(&table);
}

TEST(apertures_may_be_corrected_to_the_whole_star)
{
    enter_new_folder();
    write_pair();
    CHECK_EQUAL(astrid("photometry sci.fits --at-pixel 151.3,91.6 --photometry aperture --aperture "
                       "2.5 --annulus 9,15 -o part.csv"),
                0);
    CHECK_EQUAL(astrid("photometry sci.fits --at-pixel 151.3,91.6 --photometry aperture --aperture "
                       "2.5 --annulus 9,15 --aperture-correction -o whole.csv"),
                0);
    aid_table part = read_csv("part.csv"), whole = read_csv("whole.csv");
    /* A Gaussian of FWHM 3.4 px has 1 - 2^-(2.5/1.7)^2 = .777 of its light within 2.5 px. */
    CHECK_NEAR(number(&part, "flux", 0) / number(&whole, "flux", 0), 0.777, 0.04);
    aid_table_done(&part);
    aid_table_done(&whole);
}

/* Science and reference of one sky, and what changed: forced on the difference, at the true
 * positions, fluxes of what appeared have to agree with the truth. */
TEST(forced_fluxes_on_a_difference_agree_with_the_truth)
{
    enter_new_folder();
    CHECK_EQUAL(astrid("simulate -o night --raw 0 --size 512 --seed 8 --transients 32 --faders 0 "
                       "--variables 0 --movers 0 --galaxy-density 0 --cosmic-rays 0"),
                0);
    CHECK_EQUAL(astrid("run night/science.fits night/reference.fits -o run"), 0);
    CHECK_EQUAL(astrid("photometry run/difference.fits --at night/truth.csv -o flux.csv"), 0);
    aid_table truth = read_csv("night/truth.csv"), table = read_csv("flux.csv");
    CHECK_EQUAL(truth.rows, table.rows);
    double sum = 0.0, squares = 0.0;
    int count = 0;
    for (int64_t i = 0; i < truth.rows; i++) {
        if (strcmp(text(&truth, "kind", i), "transient") || strcmp(text(&table, "flags", i), ""))
            continue;
        double pull =
            (number(&table, "flux", i) - number(&truth, "flux", i)) / number(&table, "flux_err", i);
        sum += pull;
        squares += pull * pull;
        count++;
    }
    CHECK_TEXT(text(&table, "method", 0), "map");
    CHECK_TEXT(text(&table, "filter", 0), "r");
    CHECK(number(&table, "mjd", 0) > 60000.0);
    CHECK(count > 20);
    /* 25 pulls: mean to .2, scatter to 14 %; the difference itself has half a percent. */
    CHECK_NEAR(sum / count, 0.0, 0.8);
    CHECK_NEAR(sqrt(squares / count), 1.0, 0.5);
    aid_table_done(&truth);
    aid_table_done(&table);
}

TEST(several_nights_make_a_light_curve_sorted_by_time)
{
    enter_new_folder();
    CHECK_EQUAL(astrid("simulate -o night --raw 0 --size 320 --transients 4 --faders 2 --variables "
                       "1 --movers 1 --seed 8"),
                0);
    CHECK_EQUAL(astrid("photometry night/science.fits night/reference.fits --at "
                       "'150.1163,32.2058;10:00:27.9,32:12:20.9' -o curve.csv"),
                0);
    aid_table table = read_csv("curve.csv");
    CHECK_EQUAL(table.rows, 4);
    for (int row = 0; row < 4; row += 2) {
        CHECK_NEAR(number(&table, "position", row), 1 + row / 2, 0);
        CHECK(number(&table, "mjd", row) < number(&table, "mjd", row + 1));
        CHECK_TEXT(text(&table, "image", row), "night/reference.fits");
    }
    /* The two are one place: 10:00:27.912 is 150.1163 degrees. */
    CHECK_NEAR(number(&table, "x", 0), number(&table, "x", 2), 0.5);
    aid_table_done(&table);
}

/* Gaussian stars alone: whatever is bright has to be called a point, and its flux by the PSF has to
 * be that in the aperture, scaled up. */
TEST(a_catalogue_may_hold_psf_fluxes_classes_and_shapes)
{
    enter_new_folder();
    write_sky("sci.fits", 3.4, 6000.0, 11);
    CHECK_EQUAL(astrid("extract sci.fits -o plain.csv"), 0);
    CHECK_EQUAL(astrid("extract sci.fits -o all.csv --measure all"), 0);
    aid_table plain = read_csv("plain.csv"), all = read_csv("all.csv");
    CHECK_EQUAL(plain.rows, all.rows);
    CHECK_EQUAL(aid_table_find(&plain, "flux_psf"), -1);
    int bright = 0, points = 0;
    for (int64_t i = 0; i < all.rows; i++) {
        if (strcmp(text(&all, "flags", i), "") || !(number(&all, "snr", i) > 60.0))
            continue;
        bright++;
        points += !strcmp(text(&all, "class", i), "point");
        CHECK_NEAR(number(&all, "flux_psf", i) / number(&all, "flux_auto", i), 1.0, 0.2);
        CHECK(number(&all, "gini", i) > 0.3 && number(&all, "gini", i) < 0.8);
    }
    CHECK(bright > 10 && points >= bright - 2);
    aid_table_done(&plain);
    aid_table_done(&all);
}

TEST(what_makes_no_sense_is_refused_in_one_line_and_nothing_is_written)
{
    enter_new_folder();
    write_sky("sci.fits", 3.4, 6000.0, 11);
    CHECK_EXIT("photometry sci.fits -o x.csv", 2, "--at");
    CHECK_EXIT("photometry sci.fits --at 1,2 --at-pixel 1,2 -o x.csv", 2, "where?");
    CHECK_EXIT("photometry sci.fits --at-pixel 1,b -o x.csv", 2, "1,b is no pixel");
    CHECK_EXIT("photometry sci.fits --at 10:61:00,5 -o x.csv", 2, "no position");
    CHECK_EXIT("photometry sci.fits --at 10,95 -o x.csv", 2, "not on the sky");
    CHECK_EXIT("photometry sci.fits --at none.csv -o x.csv", 1, "none.csv");
    CHECK_EXIT("photometry sci.fits --at 10,5 -o x.csv", 3, "no WCS");
    CHECK_EXIT("photometry sci.fits --at-pixel 10,5 -o x.dat", 2, "x.dat");
    CHECK_EXIT("photometry sci.fits --at-pixel 10,5 --annulus 3,2 -o x.csv", 2, "annulus");
    CHECK_EXIT("photometry sci.fits --at-pixel 10,5 --annulus 3 -o x.csv", 2, "IN,OUT");
    CHECK_EXIT("photometry sci.fits --hdu 7 --at-pixel 10,5 -o x.csv", 3, "sci.fits");
    CHECK_EXIT("photometry none.fits --at-pixel 10,5 -o x.csv", 1, "none.fits");
    write_text("odd.csv", "a,b\n1,2\n");
    CHECK_EXIT("photometry sci.fits --at odd.csv -o x.csv", 3, "odd.csv: no columns ra, dec");
    CHECK_EQUAL(entries_in("."), 2);
}

int main(int argc, char **argv)
{
    aid_fits_decoder_main(argc, argv);
    return check_main(argc, argv);
}
