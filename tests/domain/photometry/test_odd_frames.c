/* Frames as they must not be: tiny, empty of sense, full of gaps. Whatever is asked of them has to
 * be a number or NaN with a flag, and nothing may be read beyond them (the sanitizers look). */
#include "tests/domain/photometry/frames.h"

/* Rubbish of every kind, in some shape. */
static void odd_frame(test_frame *f, int width, int height, aid_random *random)
{
    test_frame_init(f, width, height, 1.0);
    int kind = (int)(aid_random_uniform(random) * 6.0);
    for (int i = 0; i < width * height; i++) {
        double value = aid_random_normal(random);
        float *pixel = &f->image.data[i];
        *pixel = (float)(kind == 0   ? 0.0
                         : kind == 1 ? 1e30 * value
                         : kind == 2 ? 7.0
                                     : 10.0 * value);
        if (kind == 3 && value > 0.0)
            *pixel = NAN;
        if (kind == 4 && value > 1.0)
            *pixel = INFINITY;
        if (kind == 5 && value > 0.5)
            f->mask.data[i] = AID_MASK_SATURATED;
    }
}

static bool is_sane(double flux, double error, unsigned flags)
{
    return isnan(flux) ? flags != 0 : isfinite(flux) && !(error < 0.0);
}

static void check_position(const test_frame *f, double x, double y, aid_random *random)
{
    aid_aperture aperture = AID_APERTURE_CIRCLE(0.1 + 12.0 * aid_random_uniform(random));
    aperture.b_px = aperture.a_px * (0.1 + 0.9 * aid_random_uniform(random));
    aperture.theta_deg = 400.0 * aid_random_uniform(random) - 200.0;
    aperture.background = (aid_local_background)(3.0 * aid_random_uniform(random));
    aperture.inner_px = aperture.a_px * 1.2;
    aperture.outer_px = aperture.a_px * 3.0;
    aperture.mirror = aid_random_uniform(random) > 0.5;
    aperture.correct = aid_random_uniform(random) > 0.5;
    CHECK_OK(aid_aperture_check(&aperture, &err));
    aid_aperture_flux sum = aid_aperture_at(&f->frame, &aperture, x, y);
    CHECK(is_sane(sum.flux, sum.flux_err, sum.flags));
    CHECK(sum.missing >= 0.0 && sum.missing <= 1.0);
    aid_source_shape source = {x, y, 0.2 + 4.0 * aid_random_uniform(random), 0.2, 30.0, 0};
    aid_kron_options kron = AID_KRON_DEFAULTS;
    aid_kron_flux total = aid_kron_at(&f->frame, &source, &kron);
    CHECK(is_sane(total.flux, total.flux_err, total.flags));
    double fraction = 0.5, radius;
    aid_flux_radius(&f->frame, &source, 9.0, NAN, &fraction, 1, &radius);
    CHECK(isnan(radius) || (radius > 0.0 && radius <= 9.1));
    aid_classification kind = aid_classify_at(&f->frame, x, y);
    CHECK(isnan(kind.p_point) || (kind.p_point >= 0.0 && kind.p_point <= 1.0));
    aid_morphology shape;
    CHECK_OK(aid_measure_morphology(&f->frame, &source, &shape, &err));
    CHECK(isnan(shape.gini) || (shape.gini >= 0.0 && shape.gini <= 1.0));
    aid_source_peak peaks[3];
    int count;
    aid_peak_options options = AID_PEAK_DEFAULTS;
    CHECK_OK(aid_find_source_peaks(&f->frame, &source, &options, 3, peaks, &count, &err));
    CHECK(count >= 0 && count <= 3);
    aid_psf_flux lone = aid_optimal_flux_at(&f->frame, x, y);
    CHECK(isnan(lone.flux) || !f->frame.noise || isfinite(lone.flux_err));
}

TEST(odd_frames_give_numbers_or_nan_and_a_flag)
{
    aid_random random = aid_random_seeded(13, 0);
    const int sizes[][2] = {{1, 1}, {1, 40}, {40, 1}, {2, 3}, {7, 5}, {33, 64}, {101, 17}};
    for (int trial = 0; trial < 70; trial++) {
        test_frame f;
        odd_frame(&f, sizes[trial % 7][0], sizes[trial % 7][1], &random);
        test_frame_psf(&f, 0.7 + 2.0 * aid_random_uniform(&random));
        f.frame.gain = trial % 3 ? 1.5 : 0.0;
        if (trial % 5 == 0)
            f.frame.noise = NULL;
        for (int k = 0; k < 4; k++)
            check_position(&f, f.image.width * (1.2 * aid_random_uniform(&random) - 0.1),
                           f.image.height * (1.2 * aid_random_uniform(&random) - 0.1), &random);
        test_frame_done(&f);
    }
}

TEST(fits_and_forced_fluxes_on_odd_frames_are_numbers_or_nan_and_a_flag)
{
    aid_random random = aid_random_seeded(14, 0);
    const int sizes[][2] = {{1, 1}, {3, 50}, {64, 33}, {17, 101}};
    for (int trial = 0; trial < 40; trial++) {
        test_frame f;
        odd_frame(&f, sizes[trial % 4][0], sizes[trial % 4][1], &random);
        test_frame_psf(&f, 0.7 + 1.5 * aid_random_uniform(&random));
        aid_psf_target targets[6];
        double xy[6][2];
        for (int k = 0; k < 6; k++) {
            xy[k][0] = targets[k].x = f.image.width * (1.2 * aid_random_uniform(&random) - 0.1);
            xy[k][1] = targets[k].y = f.image.height * (1.2 * aid_random_uniform(&random) - 0.1);
            targets[k].flux = k % 2 ? NAN : 100.0 * aid_random_normal(&random);
        }
        aid_psf_fit_options options = AID_PSF_FIT_DEFAULTS;
        options.fixed = trial % 2;
        options.local_background = trial % 3 == 0;
        aid_psf_flux fluxes[6];
        CHECK_OK(aid_psf_photometry(&f.frame, targets, 6, &options, NULL, fluxes, &err));
        for (int k = 0; k < 6; k++)
            CHECK(isfinite(fluxes[k].flux) || fluxes[k].flags || fluxes[k].missing > 0.9);
        aid_forced_flux forced[6];
        aid_forced_input input = {.frame = f.frame,
                                  .flux = &f.image,
                                  .flux_err = &f.image,
                                  .zero_point = trial % 2 ? 25.0 : NAN};
        for (int method = 0; method < 3; method++) {
            aid_forced_options ask = AID_FORCED_DEFAULTS;
            ask.method = (aid_forced_method)method;
            CHECK_OK(
                aid_forced_photometry(&input, (const double(*)[2])xy, 6, &ask, NULL, forced, &err));
        }
        test_frame_done(&f);
    }
}

TEST_MAIN()
