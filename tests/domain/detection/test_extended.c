/* Extended finds: broader than the PSF, too faint for any one place of the PSF-matched score. */
#include "tests/domain/detection/scene.h"

static const double pi = 3.14159265358979323846;
static const double psf_fwhm = 2.355 * 1.4; /* as scene.h has it */
enum { FIELD = 320 };

/* Gaussian of that width with that significance for the filter that matches it. */
static double blob_flux(double fwhm, double snr)
{
    return snr * noise * sqrt(4.0 * pi) * fwhm / 2.355;
}

static void add_blob(scene *to, double x, double y, double fwhm, double flux)
{
    double variance = fwhm * fwhm / (2.355 * 2.355);
    aid_image *image = &to->difference.difference;
    for (int j = 0; j < image->height; j++)
        for (int i = 0; i < image->width; i++) {
            double distance2 = (i - x) * (i - x) + (j - y) * (j - y);
            aid_image_row(image, j)[i] +=
                (float)(flux / (2.0 * pi * variance) * exp(-0.5 * distance2 / variance));
        }
}

static int count_extended(const aid_candidates *found)
{
    int count = 0;
    for (int i = 0; i < found->count; i++)
        count += (found->items[i].flags & AID_FLAG_EXTENDED) != 0;
    return count;
}

static double strongest_score(const scene *in)
{
    double best = 0.0;
    const aid_image *score = &in->difference.score;
    for (int64_t i = 0; i < (int64_t)score->width * score->height; i++)
        if (fabs((double)score->data[i]) > best)
            best = fabs((double)score->data[i]);
    return best;
}

/* The definition, pixel by pixel: mean within a Gaussian above the mean within one four times as
 * wide, over the noise of that difference of means. */
static double naive_score(const scene *in, double x, double y, double fwhm)
{
    const aid_image *image = &in->difference.difference;
    double variance = fwhm * fwhm / (2.355 * 2.355), wide = 16.0 * variance;
    double sums[4] = {0};
    for (int j = 0; j < image->height; j++)
        for (int i = 0; i < image->width; i++) {
            double distance2 = (i - x) * (i - x) + (j - y) * (j - y);
            double value = (double)aid_image_row(image, j)[i] / noise;
            double narrow = exp(-0.5 * distance2 / variance), level = exp(-0.5 * distance2 / wide);
            sums[0] += narrow * value;
            sums[1] += narrow;
            sums[2] += level * value;
            sums[3] += level;
        }
    double of_means = (1.0 + 1.0 / 16.0 - 4.0 / 17.0) / (4.0 * pi * variance);
    return (sums[0] / sums[1] - sums[2] / sums[3]) / sqrt(of_means);
}

TEST(a_faint_broad_source_of_either_sign_is_found_though_no_peak_of_the_score_is_high)
{
    double fwhm = 4.0 * psf_fwhm;
    const double signs[] = {1.0, -1.0};
    for (int k = 0; k < 2; k++) {
        /* S/N 9.5 in all, 9.5 * 8/17 = 4.5 for a point and whatever noise adds. */
        scene s = make_scene_of(63, FIELD, FIELD);
        double flux = signs[k] * blob_flux(fwhm, 9.5);
        add_blob(&s, 150.3, 170.6, fwhm, flux);
        complete(&s);
        CHECK(strongest_score(&s) < 6.0);
        aid_candidates found = find(&s, 6.0, NULL);
        CHECK_EQUAL(found.count, 1);
        CHECK_EQUAL(found.unflagged, 1);
        const aid_candidate *c = &found.items[0];
        CHECK_EQUAL(c->flags, AID_FLAG_EXTENDED);
        CHECK_EQUAL(c->polarity, (int)signs[k]);
        CHECK_EQUAL(c->id, 1);
        /* A centroid is known to sigma sqrt(2)/snr on each axis: 0.84 px. */
        CHECK_NEAR(c->x - 1.0, 150.3, 2.5);
        CHECK_NEAR(c->y - 1.0, 170.6, 2.5);
        CHECK_NEAR(c->flux, flux, 3.0 * c->flux_err);
        CHECK(c->snr > 2.0 && c->snr < fabs(c->score));
        CHECK(c->fwhm_px > 2.5 * psf_fwhm && c->fwhm_px < 6.0 * psf_fwhm);
        CHECK(c->npix > 100);
        CHECK(isnan(c->chi2) && isnan(c->p_real));
        aid_candidates_done(&found);
        scene_done(&s);
    }
}

TEST(its_score_is_the_significance_that_the_definition_gives)
{
    double fwhm = 5.0 * psf_fwhm;
    scene s = make_scene_of(32, FIELD, FIELD);
    add_blob(&s, 160.0, 160.0, fwhm, blob_flux(fwhm, 12.0));
    complete(&s);
    aid_candidates found = find(&s, 6.0, NULL);
    CHECK_EQUAL(found.count, 1);
    double best = 0.0;
    for (int y = 154; y <= 166; y++)
        for (int x = 154; x <= 166; x++) {
            double here = naive_score(&s, x, y, fwhm);
            if (here > best)
                best = here;
        }
    /* Binning, a level that is interpolated, pixels cut at 5 sigma: a percent each; the scatter
     * that divides it is 1 but for some percent of its own error, and at least 1. */
    CHECK_NEAR(found.items[0].score / best, 0.96, 0.08);
    aid_candidates_done(&found);
    scene_done(&s);
}

/* 30 sources; the mean of their pulls is known to 1/sqrt(30) = 0.18, their scatter to 0.13. */
TEST(its_flux_error_is_the_scatter_of_its_flux)
{
    double sum = 0.0, squares = 0.0, fwhm = 4.0 * psf_fwhm, flux = blob_flux(fwhm, 25.0);
    int count = 0;
    for (uint64_t seed = 40; seed < 45; seed++) {
        scene s = make_scene_of(seed, 480, 320);
        for (int k = 0; k < 6; k++)
            add_blob(&s, 80.0 + 160.0 * (k % 3), 80.0 + 160.0 * (k / 3), fwhm, flux);
        complete(&s);
        aid_candidates found = find(&s, 6.0, NULL);
        for (int k = 0; k < 6; k++) {
            const aid_candidate *c = at(&found, 80.0 + 160.0 * (k % 3), 80.0 + 160.0 * (k / 3));
            CHECK(c != NULL);
            double pull = (c->flux - flux) / c->flux_err;
            sum += pull;
            squares += pull * pull;
            count++;
        }
        aid_candidates_done(&found);
        scene_done(&s);
    }
    double mean = sum / count;
    CHECK_EQUAL(count, 30);
    CHECK_NEAR(mean, 0.0, 0.75);
    CHECK_NEAR(sqrt(squares / count - mean * mean), 1.0, 0.45);
}

TEST(a_bright_broad_source_is_one_candidate_and_not_its_lumps)
{
    double fwhm = 5.0 * psf_fwhm;
    scene s = make_scene_of(64, FIELD, FIELD);
    add_blob(&s, 140.0, 150.0, fwhm, blob_flux(fwhm, 40.0));
    complete(&s);
    CHECK(strongest_score(&s) > 10.0); /* point candidates there are */
    aid_candidates found = find(&s, 5.0, NULL);
    CHECK_EQUAL(found.count, 1);
    CHECK_EQUAL(found.items[0].flags, AID_FLAG_EXTENDED);
    CHECK_NEAR(found.items[0].flux, blob_flux(fwhm, 40.0), 4.0 * found.items[0].flux_err);
    aid_candidates_done(&found);
    scene_done(&s);
}

TEST(noise_alone_gives_none)
{
    for (uint64_t seed = 50; seed < 60; seed++) {
        scene s = make_scene(seed);
        complete(&s);
        aid_candidates found = find(&s, 6.0, NULL);
        CHECK_EQUAL(found.count, 0);
        aid_candidates_done(&found);
        scene_done(&s);
    }
}

TEST(a_gradient_or_a_bump_of_the_sky_is_no_source)
{
    scene s = make_scene_of(34, FIELD, FIELD);
    for (int y = 0; y < FIELD; y++)
        for (int x = 0; x < FIELD; x++) /* 1 sigma from corner to corner */
            aid_image_row(&s.difference.difference, y)[x] +=
                (float)(noise * (x + y - FIELD) / (2.0 * FIELD));
    complete(&s);
    aid_candidates found = find(&s, 6.0, NULL);
    CHECK_EQUAL(count_extended(&found), 0);
    aid_candidates_done(&found);
    scene_done(&s);

    s = make_scene_of(35, FIELD, FIELD);
    add_blob(&s, 160.0, 160.0, 100.0, 0.8 * noise * 2.0 * pi * 100.0 * 100.0 / (2.355 * 2.355));
    complete(&s);
    CHECK(naive_score(&s, 160.0, 160.0, 5.0 * psf_fwhm) > 3.0);
    found = find(&s, 6.0, NULL);
    CHECK_EQUAL(count_extended(&found), 0);
    aid_candidates_done(&found);
    scene_done(&s);
}

TEST(a_bright_point_source_has_no_extended_twin)
{
    const double scores[] = {9.0, 30.0, -300.0, 3000.0};
    for (int k = 0; k < 4; k++) {
        scene s = make_scene_of(36, FIELD, FIELD);
        add_source(&s, 150.4, 160.2, flux_of_snr(scores[k]));
        complete(&s);
        aid_candidates found = find(&s, 6.0, NULL);
        CHECK_EQUAL(found.count, 1);
        CHECK(at(&found, 150.4, 160.2) != NULL);
        CHECK(!(found.items[0].flags & AID_FLAG_EXTENDED));
        aid_candidates_done(&found);
        scene_done(&s);
    }
}

TEST(masked_pixels_neither_make_a_source_nor_hide_one)
{
    double fwhm = 4.0 * psf_fwhm, flux = blob_flux(fwhm, 14.0);
    scene s = make_scene_of(37, FIELD, FIELD);
    add_blob(&s, 100.0, 160.0, fwhm, flux);
    complete(&s);
    for (int y = 0; y < FIELD; y++)
        for (int x = 0; x < FIELD; x++) {
            bool box = abs(x - 240) < 20 && abs(y - 160) < 20, gap = abs(x - 109) < 2;
            if (!box && !(gap && abs(y - 160) < 6))
                continue;
            aid_mask_row(&s.difference.mask, y)[x] = AID_MASK_BAD;
            aid_image_row(&s.difference.difference, y)[x] = 1e4F;
            aid_image_row(&s.difference.score, y)[x] = NAN;
        }
    aid_candidates found = find(&s, 6.0, NULL);
    const aid_candidate *c = NULL;
    for (int i = 0; i < found.count; i++) {
        CHECK(hypot(found.items[i].x - 241.0, found.items[i].y - 161.0) > 60.0);
        if (found.items[i].flags & AID_FLAG_EXTENDED)
            c = &found.items[i];
    }
    CHECK(c != NULL);
    CHECK_NEAR(c->x - 1.0, 100.0, 2.5);
    CHECK_NEAR(c->y - 1.0, 160.0, 2.5);
    CHECK_NEAR(c->flux, flux, 3.0 * c->flux_err);
    aid_candidates_done(&found);
    scene_done(&s);
}

/* Around a galaxy or a bright star the errors say that the subtraction is not that good. */
TEST(where_the_subtraction_is_not_sure_nothing_is_invented)
{
    double fwhm = 4.0 * psf_fwhm;
    scene s = make_scene_of(38, FIELD, FIELD);
    add_blob(&s, 150.0, 160.0, fwhm, blob_flux(fwhm, 15.0));
    complete(&s);
    aid_candidates before = find(&s, 6.0, NULL);
    CHECK_EQUAL(count_extended(&before), 1);
    for (int y = 0; y < FIELD; y++)
        for (int x = 0; x < FIELD; x++)
            if (hypot(x - 150, y - 160) < 20.0) {
                aid_image_row(&s.difference.flux_err, y)[x] *= 4.0F;
                aid_image_row(&s.difference.score, y)[x] /= 4.0F;
            }
    aid_candidates after = find(&s, 6.0, NULL);
    CHECK_EQUAL(after.count, 0);
    aid_candidates_done(&before);
    aid_candidates_done(&after);
    scene_done(&s);
}

TEST(a_broad_residual_at_a_bright_star_and_a_faint_trail_are_flagged)
{
    double fwhm = 4.0 * psf_fwhm;
    scene s = make_scene_of(39, FIELD, FIELD);
    add_blob(&s, 150.0, 160.0, fwhm, blob_flux(fwhm, 10.0));
    aid_star *stars = calloc(1, sizeof *stars);
    CHECK(stars != NULL);
    stars[0] = (aid_star){.x = 152.0, .y = 160.0, .flux = 100.0 * blob_flux(fwhm, 10.0)};
    s.reference.stars = (aid_stars){.count = 1, .items = stars};
    complete(&s);
    aid_candidates found = find(&s, 6.0, NULL);
    CHECK_EQUAL(found.count, 1);
    CHECK_EQUAL(found.unflagged, 0);
    CHECK_EQUAL(found.items[0].flags,
                AID_FLAG_EXTENDED | AID_FLAG_NEAR_SOURCE | AID_FLAG_BRIGHT_STAR_RESIDUAL);
    aid_candidates_done(&found);
    scene_done(&s);

    s = make_scene_of(39, FIELD, FIELD);
    for (int x = 0; x < FIELD; x++) /* 8 px wide, 0.75 sigma a pixel, across the field */
        for (int y = 0; y < FIELD; y++)
            if (fabs(y - 160.0 - 0.3 * (x - 160.0)) < 4.0)
                aid_image_row(&s.difference.difference, y)[x] += (float)(0.75 * noise);
    complete(&s);
    found = find(&s, 6.0, NULL);
    CHECK(count_extended(&found) > 0);
    CHECK_EQUAL(found.unflagged, 0);
    aid_candidates_done(&found);
    scene_done(&s);
}

TEST(extended_finds_are_the_same_at_one_and_five_threads)
{
    double fwhm = 4.0 * psf_fwhm;
    scene s = make_scene_of(61, FIELD, FIELD);
    for (int k = 0; k < 4; k++) {
        add_blob(&s, 80.0 + 160.0 * (k % 2), 80.0 + 160.0 * (k / 2), fwhm,
                 blob_flux(fwhm, k % 2 ? 12.0 : -12.0));
        add_source(&s, 60.0 + 60.0 * k, 160.0, flux_of_snr(15.0));
    }
    complete(&s);
    aid_pool *pool;
    CHECK_OK(aid_pool_new(5, &pool, &err));
    aid_candidates one = find(&s, 4.0, NULL), many = find(&s, 4.0, pool);
    CHECK(count_extended(&one) >= 4);
    CHECK_EQUAL(one.count, many.count);
    CHECK(!memcmp(one.items, many.items, (size_t)one.count * sizeof *one.items));
    for (int i = 0; i < one.count; i++) {
        CHECK_EQUAL(one.items[i].id, i + 1);
        CHECK(i == 0 || fabs(one.items[i].score) <= fabs(one.items[i - 1].score));
    }
    aid_candidates_done(&one);
    aid_candidates_done(&many);
    aid_pool_free(pool);
    scene_done(&s);
}

/* Nothing is known anywhere: no noise, no score, no finds. */
TEST(a_field_that_is_masked_whole_has_no_finds)
{
    scene s = make_scene(62);
    complete(&s);
    for (int i = 0; i < WIDTH * HEIGHT; i++) {
        s.difference.mask.data[i] = AID_MASK_NO_DATA;
        s.difference.score.data[i] = NAN;
    }
    aid_candidates found = find(&s, 5.0, NULL);
    CHECK_EQUAL(found.count, 0);
    aid_candidates_done(&found);
    scene_done(&s);
}

TEST_MAIN()
