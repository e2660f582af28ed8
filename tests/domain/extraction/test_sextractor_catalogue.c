/* The image that comes with SEP, against the catalogue that SExtractor 2.5 made of it. */
#include "adapters/fits/fits.h"
#include "tests/domain/extraction/field.h"

static const char image_path[] = "../shared/data/sep/image.fits";
static const char catalogue_path[] = "../shared/data/sep/image.cat";
static const char background_path[] = "../shared/data/sep/back.fits";

/* The columns of the catalogue, in its order; positions count from 1. */
typedef struct row {
    double number, x, y, xwin, ywin, x2, y2, xy, errx2, erry2, errxy, a, aper, aper_err, kron,
        automatic, automatic_err, radius10, radius50, radius60, flags;
} row;
enum { MOST = 100, COLUMNS = sizeof(row) / sizeof(double) };

static int read_catalogue(row *rows)
{
    FILE *file = fopen(catalogue_path, "r");
    if (!file)
        check_skip("there is no ../shared/data");
    char line[512];
    int count = 0;
    while (count < MOST && fgets(line, sizeof line, file)) {
        if (line[0] == '#')
            continue;
        double *values = (double *)&rows[count];
        char *at = line;
        for (size_t i = 0; i < COLUMNS; i++)
            values[i] = strtod(at, &at);
        count++;
    }
    fclose(file);
    return count;
}

/* SExtractor's configuration of that catalogue: no deblending, no gain, neighbours stay. */
static aid_sources extract_as_sextractor(aid_image *ret_image)
{
    AID_CLEANUP(aid_fits_image_done)
    aid_fits_image file = {0};
    CHECK_OK(aid_fits_read(image_path, NULL, &file, &err));
    aid_extraction_options options = AID_EXTRACTION_DEFAULTS;
    options.threshold = 1.5;
    options.threshold_unit = AID_THRESHOLD_PIXEL_SIGMA;
    options.filter = "default";
    options.deblend_cont = 1.0;
    options.background = AID_BACKGROUND_MESH;
    options.noise = AID_NOISE_GLOBAL;
    options.aperture_px = 5.0;
    options.annulus_inner_px = options.annulus_outer_px = 0.0;
    options.kron_minimum = 0.0;
    options.rim = AID_RIM_SEXTRACTOR;
    options.neighbours = AID_NEIGHBOURS_KEEP;
    aid_extraction_input input = {.name = "image.fits", .image = &file.image};
    aid_sources sources;
    CHECK_OK(aid_extract(&input, &options, NULL, NULL, &sources, &err));
    *ret_image = file.image;
    file.image = (aid_image){0};
    return sources;
}

static const aid_source *barycentre_at(const aid_sources *sources, double x, double y)
{
    for (int64_t i = 0; i < sources->count; i++)
        if (fabs(sources->items[i].x - x) < 1e-3 && fabs(sources->items[i].y - y) < 1e-3)
            return &sources->items[i];
    return NULL;
}

#define CHECK_RELATIVE(actual, expected, tolerance)                                                \
    CHECK_NEAR(actual, expected, (tolerance)*fabs(expected))

/* Tolerances are those of SEP's own comparison. Source 10 has a Kron radius of .2, which SExtractor
 * takes for none and SEP does not either: its AUTO values are left out there, too. */
TEST(every_source_of_sextractor_is_found_and_measured_as_sextractor_does)
{
    row rows[MOST];
    int count = read_catalogue(rows);
    CHECK_EQUAL(count, 65);
    AID_CLEANUP(aid_image_done)
    aid_image image = {0};
    aid_sources sources = extract_as_sextractor(&image);
    CHECK_EQUAL(sources.count, count);
    for (int i = 0; i < count; i++) {
        const row *r = &rows[i];
        const aid_source *source = barycentre_at(&sources, r->x - 1.0, r->y - 1.0);
        CHECK(source != NULL);
        CHECK_NEAR(source->x2, r->x2, 1e-4);
        CHECK_NEAR(source->y2, r->y2, 1e-4);
        CHECK_NEAR(source->xy, r->xy, 1e-4);
        CHECK_RELATIVE(source->x2_err, r->errx2, 1e-3);
        CHECK_RELATIVE(source->y2_err, r->erry2, 1e-3);
        CHECK_NEAR(source->a, r->a, 6e-4);
        CHECK_RELATIVE(source->flux_aper, r->aper, 2e-4);
        CHECK_RELATIVE(source->flux_aper_err, r->aper_err, 1e-5);
        if (r->kron == 0.0)
            continue;
        CHECK_NEAR(source->kron_radius, r->kron, 0.01);
        CHECK_RELATIVE(source->flux_auto, r->automatic, 5e-4);
        CHECK_RELATIVE(source->flux_auto_err, r->automatic_err, 5e-4);
        CHECK_NEAR(source->flux_radius_px, r->radius50, 0.04 * r->radius50 + 0.01);
        CHECK_NEAR(source->x_win, r->xwin - 1.0, 1.5e-3);
        CHECK_NEAR(source->y_win, r->ywin - 1.0, 1.5e-3);
        int truncated = (int)r->flags & 8;
        CHECK_EQUAL(aid_source_flags_sextractor(source->flags) & 8, truncated);
    }
    aid_sources_done(&sources);
}

TEST(the_background_is_sextractors_to_1e_5)
{
    row rows[MOST];
    (void)read_catalogue(rows);
    AID_CLEANUP(aid_fits_image_done)
    aid_fits_image raw = {0};
    AID_CLEANUP(aid_fits_image_done)
    aid_fits_image back = {0};
    CHECK_OK(aid_fits_read(image_path, NULL, &raw, &err));
    CHECK_OK(aid_fits_read(background_path, NULL, &back, &err));
    AID_CLEANUP(aid_image_done)
    aid_image image = {0};
    aid_sources sources = extract_as_sextractor(&image);
    for (int32_t y = 0; y < image.height; y++)
        for (int32_t x = 0; x < image.width; x++) {
            double expected = (double)aid_image_row(&back.image, y)[x];
            double taken_off =
                (double)aid_image_row(&raw.image, y)[x] - (double)aid_image_row(&image, y)[x];
            CHECK_RELATIVE(taken_off, expected, 1e-5);
        }
    aid_sources_done(&sources);
}

int main(int argc, char **argv)
{
    aid_fits_decoder_main(argc, argv);
    return check_main(argc, argv);
}
