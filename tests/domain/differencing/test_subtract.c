/* Skies made by hand: Moffat stars of known flux on white noise, so that every claim of the
 * difference can be held against what was put in. */
#include "core/base/memory.h"
#include "core/base/random.h"
#include "domain/differencing/internal.h"
#include "tests/check.h"

static aid_error err;
static const double pi = 3.14159265358979323846;

typedef struct sky {
    int side, stars;
    uint64_t seed;
    double fwhm_science, fwhm_reference;
    double ratio;          /* science/reference flux */
    double noise;          /* of both images */
    double transient_flux; /* nine of them on a grid; 0: none */
    double shift;          /* of the science image in x, px */
} sky;

static double moffat(double fwhm, double r2)
{
    const double beta = 3.5;
    double alpha = fwhm / (2.0 * sqrt(pow(2.0, 1.0 / beta) - 1.0));
    return (beta - 1.0) / (pi * alpha * alpha) * pow(1.0 + r2 / (alpha * alpha), -beta);
}

static void add_star(aid_image *image, double fwhm, double x, double y, double flux)
{
    enum { REACH = 20 };
    int cx = (int)lround(x), cy = (int)lround(y);
    for (int j = AID_MAX(cy - REACH, 0); j <= AID_MIN(cy + REACH, image->height - 1); j++)
        for (int i = AID_MAX(cx - REACH, 0); i <= AID_MIN(cx + REACH, image->width - 1); i++)
            aid_image_row(image, j)[i] +=
                (float)(flux * moffat(fwhm, (i - x) * (i - x) + (j - y) * (j - y)));
}

static void transient_place(const sky *of, int k, double *ret_x, double *ret_y)
{
    *ret_x = of->side * (0.2 + 0.3 * (k % 3)) + 0.3 * k;
    *ret_y = of->side * (0.2 + 0.3 * (k / 3)) + 0.17 * k;
}

static bool near_transient(const sky *of, double x, double y)
{
    for (int k = 0; k < 9; k++) {
        double tx, ty;
        transient_place(of, k, &tx, &ty);
        if (hypot(tx - x, ty - y) < 25.0)
            return true;
    }
    return false;
}

static void render(const sky *of, bool science, aid_exposure *exposure)
{
    aid_random places = aid_random_seeded(of->seed, 0);
    aid_random noise = aid_random_seeded(of->seed, science ? 1 : 2);
    double fwhm = science ? of->fwhm_science : of->fwhm_reference;
    CHECK_OK(aid_image_init(of->side, of->side, &exposure->image, &err));
    CHECK_OK(aid_mask_init(of->side, of->side, &exposure->mask, &err));
    for (int k = 0; k < of->stars; k++) {
        double x = aid_random_uniform(&places) * of->side;
        double y = aid_random_uniform(&places) * of->side;
        double flux = 3000.0 * pow(1.0 - aid_random_uniform(&places), -0.8);
        if (of->transient_flux == 0.0 || !near_transient(of, x, y))
            add_star(&exposure->image, fwhm, x + (science ? of->shift : 0.0), y,
                     AID_MIN(flux, 3e5) * (science ? of->ratio : 1.0));
    }
    for (int k = 0; science && of->transient_flux != 0.0 && k < 9; k++) {
        double x, y;
        transient_place(of, k, &x, &y);
        add_star(&exposure->image, fwhm, x, y, of->transient_flux);
    }
    for (int i = 0; i < of->side * of->side; i++)
        exposure->image.data[i] += (float)(of->noise * aid_random_normal(&noise));
}

static void complete(aid_exposure *exposure, const char *name, double noise)
{
    snprintf(exposure->name, sizeof exposure->name, "%s", name);
    exposure->gain = INFINITY; /* no photon noise was put in */
    exposure->saturation = INFINITY;
    exposure->zero_point = NAN;
    CHECK_OK(
        aid_mesh_init(exposure->image.width, exposure->image.height, 2, 2, &exposure->noise, &err));
    for (int i = 0; i < 4; i++)
        exposure->noise.values[i] = (float)noise;
    aid_stars_options find = AID_STARS_DEFAULTS;
    find.threshold = 8.0;
    CHECK_OK(aid_stars_find(&exposure->image, &exposure->mask, &exposure->noise, &find, NULL,
                            &exposure->stars, &err));
    aid_psf_options options = AID_PSF_DEFAULTS;
    options.gain = INFINITY;
    options.max_degree = 0;
    CHECK_OK(aid_psf_build(&exposure->image, &exposure->mask, &exposure->noise, &exposure->stars,
                           &options, NULL, NULL, &exposure->psf, &err));
}

static void exposure_done(aid_exposure *exposure)
{
    aid_image_done(&exposure->image);
    aid_mask_done(&exposure->mask);
    aid_mesh_done(&exposure->noise);
    aid_stars_done(&exposure->stars);
    aid_psf_done(&exposure->psf);
}

typedef struct pair {
    aid_exposure science, reference;
} pair;

static pair make_pair(const sky *of)
{
    pair made = {0};
    render(of, true, &made.science);
    render(of, false, &made.reference);
    complete(&made.science, "science.fits", of->noise);
    complete(&made.reference, "reference.fits", of->noise);
    return made;
}

static void pair_done(pair *made)
{
    exposure_done(&made->science);
    exposure_done(&made->reference);
}

static aid_difference subtract(const pair *of, aid_method method, aid_pool *pool)
{
    aid_difference_options options = AID_DIFFERENCE_DEFAULTS;
    options.method = method;
    aid_difference difference;
    CHECK_OK(aid_subtract(&of->science, &of->reference, &options, pool, NULL, &difference, &err));
    return difference;
}

static const sky plain = {.side = 512,
                          .stars = 160,
                          .seed = 21,
                          .fwhm_science = 3.6,
                          .fwhm_reference = 2.9,
                          .ratio = 1.3,
                          .noise = 10.0};

/* ---------------------------------------------------------------------------------- honesty --- */

static void check_honest(const sky *of, aid_method method)
{
    pair made = make_pair(of);
    aid_difference d = subtract(&made, method, NULL);
    /* 512^2 px hold some 6,000 independent values: sigma is known to 1.2/sqrt(6000) = .015. */
    CHECK_NEAR(d.score_sigma, 1.0, 0.05);
    CHECK_NEAR(d.score_std, 1.0, 0.05);
    CHECK_NEAR(d.score_median, 0.0, 0.06);
    /* 130,000 pairs of pixels: 1/sqrt = .003. */
    CHECK_NEAR(d.difference_correlation, 0.0, 0.015);
    CHECK_NEAR(d.match.ratio, of->ratio, 0.01 * of->ratio);
    int peaks = 0;
    for (int i = 0; i < of->side * of->side; i++)
        peaks += fabsf(d.score.data[i]) > 5.5F; /* expected from noise: 2e-3 */
    CHECK_EQUAL(peaks, 0);
    aid_difference_done(&d);
    pair_done(&made);
}

TEST(where_nothing_changed_the_score_is_white_noise_of_unit_variance)
{
    check_honest(&plain, AID_METHOD_AUTO);
    check_honest(&plain, AID_METHOD_ZOGY);
}

TEST(the_same_holds_when_the_science_image_is_the_sharper)
{
    sky sharper = plain;
    sharper.fwhm_science = 2.9;
    sharper.fwhm_reference = 3.8;
    check_honest(&sharper, AID_METHOD_AUTO);
    pair made = make_pair(&sharper);
    aid_difference d = subtract(&made, AID_METHOD_AUTO, NULL);
    CHECK(d.convolved_science && d.method == AID_METHOD_HYBRID);
    aid_difference_done(&d);
    pair_done(&made);
}

/* Maximum of the parabolas through the largest of nine pixels and its neighbours. */
static double peak_flux(const aid_image *flux, int x, int y)
{
    int bx = x, by = y;
    for (int j = y - 1; j <= y + 1; j++)
        for (int i = x - 1; i <= x + 1; i++)
            if (aid_image_row(flux, j)[i] > aid_image_row(flux, by)[bx]) {
                bx = i;
                by = j;
            }
    double peak = (double)aid_image_row(flux, by)[bx], gain = 0.0;
    const int step[2][2] = {{1, 0}, {0, 1}};
    for (int k = 0; k < 2; k++) {
        double a = (double)aid_image_row(flux, by - step[k][1])[bx - step[k][0]];
        double b = (double)aid_image_row(flux, by + step[k][1])[bx + step[k][0]];
        gain += (a - b) * (a - b) / (8.0 * (2.0 * peak - a - b));
    }
    return peak + gain;
}

TEST(transients_have_their_flux_and_their_error_bar)
{
    const double fwhms[][2] = {{3.6, 2.9}, {2.9, 3.6}, {2.2, 2.1}};
    for (size_t s = 0; s < AID_COUNT_OF(fwhms); s++) {
        sky changed = plain;
        changed.fwhm_science = fwhms[s][0];
        changed.fwhm_reference = fwhms[s][1];
        changed.transient_flux = 4000.0;
        pair made = make_pair(&changed);
        aid_difference d = subtract(&made, AID_METHOD_AUTO, NULL);
        double weighted = 0.0, weights = 0.0, chi2 = 0.0;
        for (int k = 0; k < 9; k++) {
            double x, y;
            transient_place(&changed, k, &x, &y);
            int px = (int)lround(x), py = (int)lround(y);
            double best = peak_flux(&d.flux, px, py);
            double error = (double)aid_image_row(&d.flux_err, py)[px];
            weighted += best / (error * error);
            weights += 1.0 / (error * error);
            chi2 += (best - 4000.0) * (best - 4000.0) / (error * error);
        }
        /* S/N is 30 to 60: the mean of nine is known to 1.2 %, and a star between pixels peaks
         * up to 5 % lower at FWHM 2.2 (the autocorrelation half a pixel off), 2 % on average. */
        CHECK_NEAR(weighted / weights / 4000.0, 1.0, fwhms[s][0] < 2.5 ? 0.06 : 0.04);
        CHECK(chi2 > 0.5 && chi2 < 60.0);
        aid_difference_done(&d);
        pair_done(&made);
    }
}

TEST(an_image_and_its_multiple_leave_nothing_and_show_no_motion)
{
    sky same = plain;
    same.fwhm_science = same.fwhm_reference = 3.0;
    same.noise = 1.0;
    pair made = {0};
    render(&same, false, &made.reference);
    CHECK_OK(aid_image_copy(&made.reference.image, &made.science.image, &err));
    CHECK_OK(aid_mask_init(same.side, same.side, &made.science.mask, &err));
    for (int i = 0; i < same.side * same.side; i++)
        made.science.image.data[i] *= 2.0F;
    complete(&made.science, "science.fits", 2.0);
    complete(&made.reference, "reference.fits", 1.0);
    /* Plain ZOGY has one PSF on either side: every pixel cancels but for float32 rounding. */
    aid_difference d = subtract(&made, AID_METHOD_ZOGY, NULL);
    CHECK_NEAR(d.match.ratio, 2.0, 1e-4);
    double worst_score = 0.0, worst_motion = 0.0;
    for (int i = 0; i < same.side * same.side; i++) {
        worst_score = fmax(worst_score, fabs((double)d.score.data[i]));
        worst_motion = fmax(worst_motion, (double)d.motion.data[i]);
    }
    CHECK(worst_score < 0.3);
    CHECK(worst_motion < 0.3);
    aid_difference_done(&d);
    pair_done(&made);
}

TEST(a_shift_that_was_not_registered_shows_as_motion_rather_than_as_flux)
{
    sky moved = plain;
    moved.shift = 0.5;
    pair made = make_pair(&moved);
    aid_difference_options options = AID_DIFFERENCE_DEFAULTS;
    options.method = AID_METHOD_ZOGY; /* the hybrid kernel would take the shift out */
    options.registration_px = 0.0;
    aid_difference d;
    CHECK_OK(aid_subtract(&made.science, &made.reference, &options, NULL, NULL, &d, &err));
    int motion_wins = 0, bright = 0;
    for (int i = 0; i < made.reference.stars.count && i < 30; i++) {
        int x = (int)lround(made.reference.stars.items[i].x);
        int y = (int)lround(made.reference.stars.items[i].y);
        if (x < 20 || y < 20 || x > 491 || y > 491)
            continue;
        double z2 = (double)aid_image_row(&d.motion, y)[x];
        double s = (double)aid_image_row(&d.score, y)[x];
        bright++;
        motion_wins += z2 > 4.0 * s * s && z2 > 9.0;
    }
    CHECK(bright > 15);
    CHECK(motion_wins > bright * 3 / 4);
    aid_difference_done(&d);
    pair_done(&made);
}

/* ------------------------------------------------------------------------------- naive twin --- */

enum { TWIN = 100, CENTRE = 20 }; /* one tile */

static double complex root_of_unity(int power, int n)
{
    double angle = 2.0 * pi * (double)(power % n) / n;
    return cos(angle) + I * sin(angle);
}

/* Rows, then columns, by the definition in double. sign -1: forward; +1: inverse, normalised. */
static void naive_dft(double complex *data, int n, int sign)
{
    double complex *work;
    CHECK_OK(aid_new_array((size_t)n * (size_t)n, sizeof *work, "twin", &work, &err));
    for (int pass = 0; pass < 2; pass++) {
        for (int line = 0; line < n; line++)
            for (int k = 0; k < n; k++) {
                double complex sum = 0;
                for (int i = 0; i < n; i++) {
                    double complex value = pass ? data[i * n + line] : data[line * n + i];
                    sum += value *
                           (sign < 0 ? conj(root_of_unity(k * i, n)) : root_of_unity(k * i, n));
                }
                work[pass ? k * n + line : line * n + k] = sum;
            }
        memcpy(data, work, sizeof *work * (size_t)n * (size_t)n);
    }
    for (int i = 0; sign > 0 && i < n * n; i++)
        data[i] /= (double)n * n;
    free(work);
}

static double complex *spectrum_of_psf(const aid_psf *psf, int n)
{
    int r = psf->radius_px, side = 2 * r + 1;
    float *stamp;
    double complex *out;
    CHECK_OK(aid_new_array((size_t)side * (size_t)side, sizeof *stamp, "twin", &stamp, &err));
    CHECK_OK(aid_new_array((size_t)n * (size_t)n, sizeof *out, "twin", &out, &err));
    aid_psf_stamp(psf, 0.5 * (TWIN - 1), 0.5 * (TWIN - 1), 0.0, 0.0, r, stamp);
    for (int j = -r; j <= r; j++)
        for (int i = -r; i <= r; i++)
            out[((j + n) % n) * n + (i + n) % n] = (double)stamp[(j + r) * side + i + r];
    naive_dft(out, n, -1);
    free(stamp);
    return out;
}

static double complex *spectrum_of_image(const aid_image *image, int n)
{
    double complex *out;
    CHECK_OK(aid_new_array((size_t)n * (size_t)n, sizeof *out, "twin", &out, &err));
    for (int y = 0; y < image->height; y++)
        for (int x = 0; x < image->width; x++)
            out[y * n + x] = (double)aid_image_row(image, y)[x];
    naive_dft(out, n, -1);
    return out;
}

TEST(plain_zogy_equals_its_equations_summed_naively)
{
    sky small = plain;
    small.side = TWIN;
    small.stars = 24;
    small.seed = 5;
    pair made = make_pair(&small);
    aid_difference d = subtract(&made, AID_METHOD_ZOGY, NULL);
    enum { N = 180 };
    double complex *n = spectrum_of_image(&made.science.image, N);
    double complex *r = spectrum_of_image(&made.reference.image, N);
    double complex *pn = spectrum_of_psf(&made.science.psf, N);
    double complex *pr = spectrum_of_psf(&made.reference.psf, N);
    /* Zackay, Ofek & Gal-Yam 2016, eqs. 13 and 12, with F_n = 1, F_r = 1/f, times 1/F_D. */
    double f = aid_flux_ratio_at(&d.match, TWIN, TWIN, 0.5 * (TWIN - 1), 0.5 * (TWIN - 1));
    double s2 = small.noise * small.noise, norm = 0.0;
    for (int k = 0; k < N * N; k++) {
        double a2 = creal(pr[k] * conj(pr[k])), b2 = f * f * creal(pn[k] * conj(pn[k]));
        double den = s2 * a2 + s2 * b2;
        double complex u = pr[k] * n[k] - f * pn[k] * r[k];
        norm += a2 * creal(pn[k] * conj(pn[k])) / den / ((double)N * N);
        n[k] = u * sqrt(s2 + s2 * f * f) / sqrt(den);
        r[k] = conj(pr[k] * pn[k]) * u / den;
    }
    naive_dft(n, N, 1);
    naive_dft(r, N, 1);
    /* The program's windows have another size, so that both wrap the kernels' far tails
     * differently: 1e-3 of the noise is allowed, besides float32 rounding of the stars. */
    double flux_noise = 1.0 / sqrt(norm), d_noise = small.noise * sqrt(1.0 + f * f);
    for (int y = CENTRE; y < TWIN - CENTRE; y++)
        for (int x = CENTRE; x < TWIN - CENTRE; x++) {
            CHECK_NEAR(aid_image_row(&d.difference, y)[x], creal(n[y * N + x]), 0.01 * d_noise);
            CHECK_NEAR(aid_image_row(&d.flux, y)[x], creal(r[y * N + x]) / norm, 0.01 * flux_noise);
        }
    free(n);
    free(r);
    free(pn);
    free(pr);
    aid_difference_done(&d);
    pair_done(&made);
}

/* ------------------------------------------------------------------------- threads, refusals ---
 */

TEST(every_map_has_the_same_bytes_at_one_and_three_threads)
{
    sky changed = plain;
    changed.transient_flux = 3000.0;
    pair made = make_pair(&changed);
    aid_pool *pool;
    CHECK_OK(aid_pool_new(3, &pool, &err));
    aid_difference one = subtract(&made, AID_METHOD_AUTO, NULL);
    aid_difference many = subtract(&made, AID_METHOD_AUTO, pool);
    size_t bytes = sizeof(float) * (size_t)changed.side * (size_t)changed.side;
    CHECK(!memcmp(one.difference.data, many.difference.data, bytes));
    CHECK(!memcmp(one.score.data, many.score.data, bytes));
    CHECK(!memcmp(one.flux.data, many.flux.data, bytes));
    CHECK(!memcmp(one.flux_err.data, many.flux_err.data, bytes));
    CHECK(!memcmp(one.motion.data, many.motion.data, bytes));
    aid_difference_done(&one);
    aid_difference_done(&many);
    aid_pool_free(pool);
    pair_done(&made);
}

TEST(noise_that_both_images_share_is_not_counted_twice)
{
    /* The reference is the mean of the science exposure and another: sharing takes half of its
     * variance; sigma^2 (1 + 1/2 - 2/2) of U is left where the PSFs agree. */
    sky same = plain;
    same.fwhm_science = same.fwhm_reference = 3.0;
    same.ratio = 1.0;
    pair made = {0};
    render(&same, true, &made.science);
    render(&same, false, &made.reference);
    for (int i = 0; i < same.side * same.side; i++)
        made.reference.image.data[i] =
            0.5F * (made.reference.image.data[i] + made.science.image.data[i]);
    complete(&made.science, "science.fits", same.noise);
    complete(&made.reference, "reference.fits", same.noise / sqrt(2.0));
    aid_notes notes = {0};
    aid_difference_options options = AID_DIFFERENCE_DEFAULTS;
    aid_difference d;
    CHECK_OK(aid_subtract(&made.science, &made.reference, &options, NULL, &notes, &d, &err));
    CHECK_NEAR(d.score_sigma, 1.0, 0.06);
    CHECK(notes.count >= 1 && strstr(notes.items[0].text, "share noise"));
    aid_difference_done(&d);
    pair_done(&made);
}

TEST(a_copy_of_an_image_with_one_star_more_has_a_score_everywhere)
{
    pair made = {0};
    render(&plain, false, &made.reference);
    CHECK_OK(aid_image_copy(&made.reference.image, &made.science.image, &err));
    CHECK_OK(aid_mask_init(plain.side, plain.side, &made.science.mask, &err));
    add_star(&made.science.image, plain.fwhm_reference, 200.0, 301.0, 5000.0);
    complete(&made.science, "science.fits", plain.noise);
    complete(&made.reference, "reference.fits", plain.noise);
    aid_difference d = subtract(&made, AID_METHOD_AUTO, NULL);
    for (int i = 0; i < plain.side * plain.side; i++)
        CHECK(d.mask.data[i] || isfinite(d.score.data[i]));
    CHECK(aid_image_row(&d.score, 301)[200] > 20.0F);
    aid_difference_done(&d);
    pair_done(&made);
}

TEST(masked_pixels_carry_their_bits_and_do_not_ring)
{
    pair made = make_pair(&plain);
    aid_mask_row(&made.science.mask, 250)[250] = AID_MASK_BAD;
    aid_mask_row(&made.reference.mask, 100)[300] = AID_MASK_SATURATED;
    aid_difference d = subtract(&made, AID_METHOD_AUTO, NULL);
    CHECK_EQUAL(aid_mask_row(&d.mask, 250)[250] & AID_MASK_BAD, AID_MASK_BAD);
    CHECK_EQUAL(aid_mask_row(&d.mask, 100)[300],
                AID_MASK_SATURATED | AID_MASK_REFERENCE | AID_MASK_GROWN);
    CHECK(isnan(aid_image_row(&d.score, 250)[250]) && isnan(aid_image_row(&d.score, 110)[305]));
    CHECK(isfinite(aid_image_row(&d.score, 250)[256]) &&
          isfinite(aid_image_row(&d.score, 120)[300]));
    aid_difference_done(&d);
    pair_done(&made);
}

TEST(images_of_different_size_and_a_missing_psf_are_refused)
{
    pair made = make_pair(&plain);
    aid_difference_options options = AID_DIFFERENCE_DEFAULTS;
    aid_difference d = {.kernel_objects = 77};
    int32_t width = made.reference.image.width;
    made.reference.image.width = width - 1;
    CHECK_REFUSED(aid_subtract(&made.science, &made.reference, &options, NULL, NULL, &d, &err),
                  AID_ERR_INVALID, "511 x 512");
    made.reference.image.width = width;
    int terms = made.reference.psf.terms;
    made.reference.psf.terms = 0;
    CHECK_REFUSED(aid_subtract(&made.science, &made.reference, &options, NULL, NULL, &d, &err),
                  AID_ERR_NUMERIC, "reference.fits: no PSF");
    made.reference.psf.terms = terms;
    CHECK_EQUAL(d.kernel_objects, 77);
    pair_done(&made);
}

TEST(without_common_stars_the_flux_ratio_comes_from_zero_points_or_not_at_all)
{
    pair made = make_pair(&plain);
    int count = made.reference.stars.count;
    made.reference.stars.count = 0;
    aid_difference_options options = AID_DIFFERENCE_DEFAULTS;
    aid_difference d = {.kernel_objects = 77};
    CHECK_REFUSED(aid_subtract(&made.science, &made.reference, &options, NULL, NULL, &d, &err),
                  AID_ERR_NUMERIC, "0 stars in common");
    CHECK_EQUAL(d.kernel_objects, 77);
    made.science.zero_point = 25.0;
    made.reference.zero_point = 25.0 - 2.5 * log10(plain.ratio);
    d = subtract(&made, AID_METHOD_AUTO, NULL);
    CHECK_NEAR(d.match.ratio, plain.ratio, 1e-9);
    made.reference.stars.count = count;
    aid_difference_done(&d);
    pair_done(&made);
}

TEST_MAIN()
