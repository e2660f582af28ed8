/* The stages of an extraction one by one, against slow twins. */
#include "domain/extraction/internal.h"
#include "tests/domain/extraction/field.h"

/* ------------------------------------------------------------------------------------- filters */

TEST(filters_are_what_their_names_say)
{
    aid_kernel kernel;
    CHECK_OK(aid_kernel_named("default", &kernel, &err));
    CHECK_EQUAL(kernel.side, 3);
    CHECK_EQUAL(kernel.rank, 1);
    CHECK_NEAR(kernel.weights[4], 0.25, 1e-7);
    CHECK_NEAR(kernel.noise, 0.375, 1e-6); /* sqrt(36)/16 */
    aid_kernel_done(&kernel);
    CHECK_OK(aid_kernel_named("none", &kernel, &err));
    CHECK_EQUAL(kernel.side, 1);
    CHECK_NEAR(kernel.noise, 1.0, 1e-7);
    aid_kernel_done(&kernel);
    /* A Gaussian's noise is 1/sqrt(4 pi sigma^2); 2 % is cut off beyond 1.3 FWHM. */
    CHECK_OK(aid_kernel_named("gauss_4", &kernel, &err));
    CHECK_NEAR(kernel.noise * sqrt(12.566370614) * 4.0 / 2.35482, 1.0, 0.03);
    aid_kernel_done(&kernel);
    CHECK_OK(aid_kernel_named("tophat_3", &kernel, &err));
    CHECK_NEAR(kernel.noise, 1.0 / 3.0, 1e-6); /* nine equal pixels: those within 1.5 px */
    aid_kernel_done(&kernel);
    CHECK_OK(aid_kernel_named("mexhat_3", &kernel, &err));
    double sum = 0.0;
    for (int i = 0; i < kernel.side * kernel.side; i++)
        sum += (double)kernel.weights[i];
    CHECK_NEAR(sum, 0.0, 0.12);
    CHECK_NEAR(kernel.noise, 1.0, 1e-5);
    aid_kernel_done(&kernel);
    kernel = (aid_kernel){.side = 77};
    CHECK_REFUSED(aid_kernel_named("mexhat_0.1", &kernel, &err), AID_ERR_INVALID, "mexhat_0.1");
    CHECK_EQUAL(kernel.side, 77);
}

/* A field that has been looked at, for the stages that want one. */
typedef struct looked_at {
    aid_image image;
    aid_extraction_input input;
    aid_extraction_options options;
    aid_field field;
} looked_at;

static void look_at(aid_image image, const aid_mask *mask, looked_at *ret)
{
    *ret = (looked_at){.image = image, .options = AID_EXTRACTION_DEFAULTS};
    ret->input = (aid_extraction_input){.name = "field", .image = &ret->image, .mask = mask};
    ret->options.noise = AID_NOISE_GLOBAL;
    ret->options.background = AID_BACKGROUND_GLOBAL;
    CHECK_OK(aid_field_init(&ret->input, &ret->options, NULL, NULL, &ret->field, &err));
}

static void looked_at_done(looked_at *seen)
{
    aid_field_done(&seen->field);
    aid_image_done(&seen->image);
}

static bool is_sound(const looked_at *seen, int32_t x, int32_t y)
{
    return x >= 0 && y >= 0 && x < seen->image.width && y < seen->image.height &&
           !(seen->field.mask.data && aid_mask_row(&seen->field.mask, y)[x] & AID_UNSOUND);
}

/* sum(k d), or sum(k d) sqrt(sum k^2 / sum of k^2 over sound pixels), pixel by pixel. */
static double filtered_pixel(const looked_at *seen, const aid_kernel *kernel, int32_t x, int32_t y)
{
    int reach = kernel->side / 2;
    double sum = 0.0, all = 0.0, sound = 0.0;
    for (int j = -reach; j <= reach; j++)
        for (int i = -reach; i <= reach; i++) {
            double weight = (double)kernel->weights[(j + reach) * kernel->side + i + reach];
            all += weight * weight;
            if (!is_sound(seen, x + i, y + j))
                continue;
            sound += weight * weight;
            sum += weight * (double)aid_image_row(&seen->image, y + j)[x + i];
        }
    if (!kernel->matched)
        return sum;
    return sound < 0.3 * all ? 0.0 : sum * sqrt(all / sound);
}

/* Sums of 81 single-precision products of noise of 10: rounding is below 1e-4; shares of .3 that
 * fall on different sides of the limit are left out by the margin. */
TEST(filtered_rows_are_the_sums_that_they_stand_for_also_at_borders_and_holes)
{
    float stamp[81];
    for (int i = 0; i < 81; i++)
        stamp[i] = (float)(exp(-0.1 * ((i % 9 - 4) * (i % 9 - 4) + (i / 9 - 4) * (i / 9 - 4))) +
                           0.02 * (i % 7));
    for (int matched = 0; matched < 2; matched++) {
        aid_image image = noise_image(70, 40, 0.0, 10.0, 3);
        for (int i = 0; i < 12; i++)
            image.data[20 * 70 + 30 + i] = NAN;
        looked_at seen;
        look_at(image, NULL, &seen);
        aid_kernel kernel;
        CHECK_OK(aid_kernel_of_stamp(stamp, 9, matched, &kernel, &err));
        CHECK(kernel.rank < 9);
        AID_CLEANUP(aid_free_pointer)
        float *rows = NULL;
        CHECK_OK(aid_new_buffer(70 * 40, sizeof *rows, "rows", &rows, &err));
        CHECK_OK(aid_filter_rows(&seen.field, &kernel, 0, 40, rows, &err));
        for (int32_t y = 0; y < 40; y++)
            for (int32_t x = 0; x < 70; x++)
                CHECK_NEAR(rows[y * 70 + x], filtered_pixel(&seen, &kernel, x, y), 2e-3);
        aid_kernel_done(&kernel);
        looked_at_done(&seen);
    }
}

/* ---------------------------------------------------------------------------------- footprints */

enum { WIDE = 150, HIGH = 200 };

static void flood(const float *rows, double limit, int32_t *labels, int64_t start, int32_t label)
{
    static int64_t stack[WIDE * HIGH * 9];
    int64_t height = 0;
    stack[height++] = start;
    while (height > 0) {
        int64_t at = stack[--height];
        if (labels[at] || !((double)rows[at] > limit))
            continue;
        labels[at] = label;
        int32_t x = (int32_t)(at % WIDE), y = (int32_t)(at / WIDE);
        for (int32_t v = AID_MAX(y - 1, 0); v <= AID_MIN(y + 1, HIGH - 1); v++)
            for (int32_t u = AID_MAX(x - 1, 0); u <= AID_MIN(x + 1, WIDE - 1); u++)
                stack[height++] = (int64_t)v * WIDE + u;
    }
}

/* Noise at 1 sigma makes pieces of every shape, and many of them reach over the bands of 64 rows.
 */
TEST(pieces_are_those_of_a_flood_fill)
{
    looked_at seen;
    look_at(noise_image(WIDE, HIGH, 0.0, 1.0, 4), NULL, &seen);
    aid_kernel kernel;
    CHECK_OK(aid_kernel_named("default", &kernel, &err));
    static float rows[WIDE * HIGH];
    static int32_t labels[WIDE * HIGH];
    CHECK_OK(aid_filter_rows(&seen.field, &kernel, 0, HIGH, rows, &err));
    float noise[WIDE];
    aid_field_noise_row(&seen.field, 0, noise);
    double limit = (double)((float)kernel.noise * noise[0]);
    memset(labels, 0, sizeof labels);
    int64_t sizes[WIDE * HIGH / 4] = {0}, pieces = 0, large = 0;
    for (int64_t i = 0; i < WIDE * HIGH; i++)
        if ((double)rows[i] > limit && !labels[i])
            flood(rows, limit, labels, i, (int32_t)++pieces);
    for (int64_t i = 0; i < WIDE * HIGH; i++)
        sizes[labels[i]]++;
    for (int64_t i = 1; i <= pieces; i++)
        large += sizes[i] >= 4;
    aid_footprints_options options = {.finds = &kernel, .threshold = 1.0, .min_pixels = 4};
    aid_footprints found;
    CHECK_OK(aid_footprints_find(&seen.field, &options, &found, &err));
    CHECK(large > 200);
    CHECK_EQUAL(found.count, large);
    for (int64_t i = 0; i < found.count; i++) {
        int64_t pixels = 0;
        int32_t label = labels[found.runs[found.first[i]].y * WIDE + found.runs[found.first[i]].x0];
        for (int64_t r = found.first[i]; r < found.first[i + 1]; r++)
            for (int32_t x = found.runs[r].x0; x <= found.runs[r].x1; x++, pixels++)
                CHECK_EQUAL(labels[found.runs[r].y * WIDE + x], label);
        CHECK_EQUAL(pixels, sizes[label]);
    }
    aid_footprints_done(&found);
    aid_kernel_done(&kernel);
    looked_at_done(&seen);
}

/* ---------------------------------------------------------------------------------- deblending */

/* Three peaks on a common ground: every pixel keeps exactly one owner, and each owner holds the
 * peak that it is named for. */
TEST(deblending_gives_every_pixel_to_one_source)
{
    aid_image image = noise_image(120, 60, 0.0, 1.0, 5);
    static const double peaks[3][2] = {{40, 30}, {52, 30}, {64, 31}};
    for (int i = 0; i < 3; i++)
        add_star(&image, peaks[i][0], peaks[i][1], 30000.0 / (i + 1), 6.0);
    looked_at seen;
    look_at(image, NULL, &seen);
    aid_kernel kernel;
    CHECK_OK(aid_kernel_named("default", &kernel, &err));
    aid_footprints_options options = {.finds = &kernel, .threshold = 5.0, .min_pixels = 5};
    aid_footprints found;
    CHECK_OK(aid_footprints_find(&seen.field, &options, &found, &err));
    CHECK_EQUAL(found.count, 1);
    int64_t pixels = 0, after = 0;
    for (int64_t r = 0; r < found.runs_count; r++)
        pixels += found.runs[r].x1 - found.runs[r].x0 + 1;
    aid_deblend_options deblending = {
        .levels = 32, .min_pixels = 5, .contrast = 0.005, .base = 5.0, .noise = kernel.noise};
    uint8_t *blended;
    CHECK_OK(aid_footprints_deblend(&seen.field, &deblending, &found, &blended, &err));
    CHECK_EQUAL(found.count, 3);
    static uint8_t taken[120 * 60];
    memset(taken, 0, sizeof taken);
    int holders = 0;
    for (int64_t i = 0; i < 3; i++) {
        CHECK_EQUAL(blended[i], 1);
        for (int64_t r = found.first[i]; r < found.first[i + 1]; r++)
            for (int32_t x = found.runs[r].x0; x <= found.runs[r].x1; x++, after++) {
                CHECK_EQUAL(taken[found.runs[r].y * 120 + x]++, 0);
                for (int k = 0; k < 3; k++)
                    holders += (int)peaks[k][0] == x && (int)peaks[k][1] == found.runs[r].y
                                   ? 1 << (4 * k)
                                   : 0;
            }
    }
    CHECK_EQUAL(after, pixels);
    CHECK_EQUAL(holders, 0x111);
    free(blended);
    aid_footprints_done(&found);
    aid_kernel_done(&kernel);
    looked_at_done(&seen);
}

/* ------------------------------------------------------------------------------------ cleaning */

/* The same without a grid: every brighter one is asked, the brightest first. */
static void clean_slowly(const aid_clean_item *items, int count, int64_t *into)
{
    for (int i = 0; i < count; i++)
        into[i] = -1;
    for (;;) {
        static bool done[400];
        static const aid_clean_item *first;
        if (first != items)
            memset(done, 0, sizeof done);
        first = items;
        int best = -1;
        for (int i = 0; i < count; i++)
            if (!done[i] && into[i] < 0 && (best < 0 || items[i].flux > items[best].flux))
                best = i;
        if (best < 0)
            break;
        done[best] = true;
        const aid_clean_item *b = &items[best];
        double peak = b->flux / (6.283185307179586 * b->a * b->b * b->shrinkage);
        double r2 = (double)b->npix / (3.141592653589793 * b->a * b->b);
        double alpha = (fmax(peak / b->threshold, 1.0) - 1.0) / r2;
        for (int i = 0; i < count; i++) {
            double dx = items[i].x - b->x, dy = items[i].y - b->y;
            double e2 = b->cxx * dx * dx + b->cyy * dy * dy + b->cxy * dx * dy;
            if (hypot(dx, dy) <= 10.0 * (b->a + items[i].a) && items[i].flux < b->flux &&
                into[i] < 0 && peak / (1.0 + alpha * e2) > items[i].least)
                into[i] = best;
        }
    }
}

TEST(cleaning_by_a_grid_is_cleaning_one_by_one)
{
    enum { COUNT = 400 };
    static aid_clean_item items[COUNT];
    aid_random random = aid_random_seeded(6, 1);
    for (int i = 0; i < COUNT; i++) {
        double a = 1.0 + 2.0 * aid_random_uniform(&random), flux = 300.0 * (i + 1);
        items[i] = (aid_clean_item){.x = 500.0 * aid_random_uniform(&random),
                                    .y = 300.0 * aid_random_uniform(&random),
                                    .cxx = 1.0 / (a * a),
                                    .cyy = 1.0 / (a * a),
                                    .a = a,
                                    .b = a,
                                    .shrinkage = 1.0,
                                    .flux = flux,
                                    .peak = flux / 10.0,
                                    .threshold = 10.0,
                                    .least = 10.0 * aid_random_uniform(&random),
                                    .npix = 30};
    }
    int64_t fast[COUNT], slow[COUNT];
    CHECK_OK(aid_clean(items, COUNT, 1.0, fast, &err));
    clean_slowly(items, COUNT, slow);
    int cleaned = 0;
    for (int i = 0; i < COUNT; i++) {
        CHECK_EQUAL(fast[i] < 0, slow[i] < 0);
        cleaned += fast[i] >= 0;
    }
    CHECK(cleaned > 20 && cleaned < 380);
    CHECK_OK(aid_clean(items, COUNT, 0.0, fast, &err));
    for (int i = 0; i < COUNT; i++)
        CHECK_EQUAL(fast[i], -1);
}

/* ------------------------------------------------------------------------- the noise's histogram
 */

/* 9 pixels summed of noise with a correlation of 3 x 3 boxes have sqrt(361)/9 times the noise of
 * white pixels: sum over lags of (3-|i|)^2 (3-|j|)^2 / 81. The fit rests on 60 000 pixels of which
 * one in 20 is independent: 2 % one sigma. */
TEST(the_noise_of_the_filtered_image_is_measured_where_pixels_are_correlated)
{
    aid_image white = noise_image(256, 256, 0.0, 10.0, 7), image = noise_image(256, 256, 0, 0, 7);
    for (int32_t y = 1; y < 255; y++)
        for (int32_t x = 1; x < 255; x++) {
            double sum = 0.0;
            for (int k = 0; k < 9; k++)
                sum += (double)white.data[(y + k / 3 - 1) * 256 + x + k % 3 - 1];
            image.data[y * 256 + x] = (float)(sum / 3.0);
        }
    aid_image_done(&white);
    looked_at seen;
    look_at(image, NULL, &seen);
    aid_kernel kernel;
    CHECK_OK(aid_kernel_named("tophat_3", &kernel, &err));
    double ratio;
    CHECK_OK(aid_filtered_noise(&seen.field, &kernel, &ratio, &err));
    CHECK_NEAR(ratio, 19.0 / 9.0, 0.2);
    aid_kernel_done(&kernel);
    looked_at_done(&seen);
}

TEST_MAIN()
