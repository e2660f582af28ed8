/* A result as the pipeline would make it, from images drawn here: stars of known place and flux,
 * new sources in the science image alone, white noise. Included by each test program. */
#ifndef AID_TESTS_ADAPTERS_REPORT_SYNTHETIC_H
#define AID_TESTS_ADAPTERS_REPORT_SYNTHETIC_H

#include "adapters/report/report.h"
#include "core/base/memory.h"
#include "core/base/random.h"
#include "tests/check.h"

#define SYNTHETIC_PI 3.14159265358979323846

typedef struct synthetic_options {
    int32_t width, height;
    int stars, candidates, flagged, injected;
    bool wcs;
    const char *name; /* of the science exposure */
} synthetic_options;
#define SYNTHETIC_DEFAULTS                                                                         \
    (synthetic_options)                                                                            \
    {                                                                                              \
        .width = 220, .height = 180, .stars = 40, .candidates = 6, .flagged = 2, .injected = 80,   \
        .wcs = true, .name = "science.fits"                                                        \
    }

static const double synthetic_ratio = 1.25, synthetic_noise = 10.0, synthetic_sigma_px = 1.6;

static inline void synthetic_require(aid_status status, const aid_error *err)
{
    if (status != AID_OK)
        check_fail(__FILE__, __LINE__, "%s", err->message);
}

static inline void add_gaussian(aid_image *image, double x, double y, double flux, double sigma)
{
    int reach = (int)(6.0 * sigma);
    for (int v = -reach; v <= reach; v++)
        for (int u = -reach; u <= reach; u++) {
            int32_t px = (int32_t)lround(x) + u, py = (int32_t)lround(y) + v;
            if (px < 0 || py < 0 || px >= image->width || py >= image->height)
                continue;
            double r2 = (px - x) * (px - x) + (py - y) * (py - y);
            aid_image_row(image, py)[px] += (float)(flux / (2.0 * SYNTHETIC_PI * sigma * sigma) *
                                                    exp(-0.5 * r2 / (sigma * sigma)));
        }
}

static inline void add_noise(aid_image *image, double sigma, aid_random *random)
{
    for (int64_t i = 0; i < (int64_t)image->width * image->height; i++)
        image->data[i] += (float)(sigma * aid_random_normal(random));
}

/* The score of a difference with white noise: filtered by the PSF and divided by the scatter that
 * the filter leaves. */
static inline void make_score(const aid_image *difference, double noise, double sigma,
                              aid_image *score)
{
    enum { REACH = 8 };
    double kernel[2 * REACH + 1], squares = 0.0;
    for (int i = -REACH; i <= REACH; i++)
        kernel[i + REACH] = exp(-0.5 * i * i / (sigma * sigma));
    for (int i = 0; i <= 2 * REACH; i++)
        squares += kernel[i] * kernel[i];
    aid_error err;
    aid_image rows;
    synthetic_require(aid_image_init(difference->width, difference->height, &rows, &err), &err);
    for (int pass = 0; pass < 2; pass++)
        for (int32_t y = 0; y < difference->height; y++)
            for (int32_t x = 0; x < difference->width; x++) {
                double sum = 0.0;
                for (int i = -REACH; i <= REACH; i++) {
                    int32_t at = (pass ? y : x) + i,
                            size = pass ? difference->height : difference->width;
                    if (at >= 0 && at < size)
                        sum +=
                            kernel[i + REACH] * (double)(pass ? aid_image_row(&rows, at)[x]
                                                              : aid_image_row(difference, y)[at]);
                }
                if (pass)
                    aid_image_row(score, y)[x] = (float)(sum / (noise * squares));
                else
                    aid_image_row(&rows, y)[x] = (float)sum;
            }
    aid_image_done(&rows);
}

static inline void synthetic_card(aid_header *header, const char *keyword, aid_card_kind kind,
                                  const char *value)
{
    aid_error err;
    synthetic_require(aid_header_append(header, keyword, kind, value, "", &err), &err);
}

static inline void synthetic_exposure(const synthetic_options *options, const char *name,
                                      aid_exposure *exposure)
{
    aid_error err;
    int32_t width = options->width, height = options->height;
    *exposure = (aid_exposure){.gain = 1.5,
                               .gain_origin = "header GAIN",
                               .saturation = 60000.0,
                               .saturation_origin = "default",
                               .zero_point = 25.0,
                               .zero_point_origin = "header MAGZERO"};
    snprintf(exposure->name, sizeof exposure->name, "%s", name);
    synthetic_require(aid_image_init(width, height, &exposure->image, &err), &err);
    synthetic_require(aid_mask_init(width, height, &exposure->mask, &err), &err);
    synthetic_require(aid_mesh_init(width, height, 2, 2, &exposure->noise, &err), &err);
    for (int i = 0; i < 4; i++)
        exposure->noise.values[i] = (float)synthetic_noise;
    exposure->psf.fwhm_px = 2.3548 * synthetic_sigma_px;
    exposure->psf.fwhm_min_px = 3.6;
    exposure->psf.fwhm_max_px = 3.9;
    exposure->psf.ellipticity = 0.04;
    exposure->psf.theta_deg = 31.0;
    exposure->psf.chi2 = 1.07;
    exposure->psf.residual = 0.011;
    exposure->psf.stars_used = 31;
    exposure->psf.stars_offered = 40;
    exposure->psf.degree = 1;
    exposure->epoch = (aid_epoch){.known = true, .mid_mjd_utc = 60310.25, .exposure_s = 120.0};
    synthetic_card(&exposure->header, "OBJECT", AID_CARD_STRING, "NGC 1234");
    synthetic_card(&exposure->header, "DATE-OBS", AID_CARD_STRING, "2024-01-01T05:59:00");
    synthetic_card(&exposure->header, "EXPTIME", AID_CARD_NUMBER, "120.0");
    synthetic_card(&exposure->header, "FILTER", AID_CARD_STRING, "r");
}

static inline void synthetic_wcs(const synthetic_options *options, aid_exposure *exposure)
{
    static const char *const cards[][2] = {{"CTYPE1", "RA---TAN"}, {"CTYPE2", "DEC--TAN"}};
    static const char *const numbers[][2] = {
        {"CRVAL1", "150.1"},  {"CRVAL2", "2.2"},   {"CRPIX1", "110.5"}, {"CRPIX2", "90.5"},
        {"CD1_1", "-1.2e-4"}, {"CD1_2", "0.3e-4"}, {"CD2_1", "0.3e-4"}, {"CD2_2", "1.2e-4"}};
    aid_error err;
    if (!options->wcs)
        return;
    for (size_t i = 0; i < AID_COUNT_OF(cards); i++)
        synthetic_card(&exposure->header, cards[i][0], AID_CARD_STRING, cards[i][1]);
    for (size_t i = 0; i < AID_COUNT_OF(numbers); i++)
        synthetic_card(&exposure->header, numbers[i][0], AID_CARD_NUMBER, numbers[i][1]);
    synthetic_require(aid_wcs_new(&exposure->header, &exposure->wcs, &err), &err);
}

/* Stars in both images, and as the list of matches. */
static inline void synthetic_stars(const synthetic_options *options, aid_process_result *result,
                                   aid_random *random)
{
    aid_error err;
    aid_photometric_match *match = &result->difference.match;
    synthetic_require(aid_new_array((size_t)options->stars + 1, sizeof *match->stars, "stars",
                                    &match->stars, &err),
                      &err);
    for (int i = 0; i < options->stars; i++) {
        aid_matched_star *star = &match->stars[match->count++];
        star->x = 10.0 + (options->width - 20.0) * aid_random_uniform(random);
        star->y = 10.0 + (options->height - 20.0) * aid_random_uniform(random);
        star->dx = 0.05 * aid_random_normal(random);
        star->dy = 0.04 * aid_random_normal(random);
        star->flux_reference = 2000.0 * pow(10.0, 2.2 * pow(aid_random_uniform(random), 2.0));
        star->flux_science = star->flux_reference * synthetic_ratio;
        star->ratio_err = 0.004 + 30.0 / star->flux_science;
        star->ratio = synthetic_ratio + star->ratio_err * aid_random_normal(random);
        star->used = i % 7 != 3;
        match->used += star->used;
        add_gaussian(&result->science.image, star->x, star->y, star->flux_science,
                     synthetic_sigma_px);
        add_gaussian(&result->reference.image, star->x, star->y, star->flux_reference,
                     synthetic_sigma_px);
    }
    match->coefficients[0] = match->ratio = synthetic_ratio;
    match->ratio_err = 0.0011;
    match->scatter = 0.0065;
}

/* New (or, every third, lost) sources; the last `flagged` of them carry flags. */
static inline void synthetic_candidates(const synthetic_options *options,
                                        aid_process_result *result, aid_random *random)
{
    aid_error err;
    aid_candidates *candidates = &result->candidates;
    synthetic_require(aid_new_array((size_t)options->candidates + 1, sizeof *candidates->items,
                                    "candidates", &candidates->items, &err),
                      &err);
    double per_flux = 1.0 / (synthetic_noise * 2.0 * sqrt(SYNTHETIC_PI) * synthetic_sigma_px);
    for (int i = 0; i < options->candidates; i++) {
        aid_candidate *item = &candidates->items[candidates->count++];
        double x = 12.0 + (options->width - 24.0) * aid_random_uniform(random);
        double y = 12.0 + (options->height - 24.0) * aid_random_uniform(random);
        int sign = i % 3 == 2 ? -1 : 1;
        double snr = 5.2 + 40.0 / (1.0 + i), flux = sign * snr / per_flux;
        add_gaussian(&result->science.image, x, y, sign > 0 ? flux : 0.0, synthetic_sigma_px);
        add_gaussian(&result->reference.image, x, y, sign > 0 ? 0.0 : -flux / synthetic_ratio,
                     synthetic_sigma_px);
        add_gaussian(&result->difference.difference, x, y, flux, synthetic_sigma_px);
        *item = (aid_candidate){.id = i + 1,
                                .x = x + 1.0,
                                .y = y + 1.0,
                                .ra_deg = NAN,
                                .dec_deg = NAN,
                                .flux = flux,
                                .flux_err = fabs(flux) / snr,
                                .snr = snr,
                                .score = sign * snr,
                                .mag = 25.0 - 2.5 * log10(fabs(flux)),
                                .mag_err = 1.0857 / snr,
                                .fwhm_px = 3.8,
                                .ellipticity = 0.05,
                                .theta_deg = 12.0,
                                .position_angle_deg = NAN,
                                .npix = 19,
                                .peak = flux / 16.0,
                                .noise = synthetic_noise,
                                .motion = 1.3,
                                .chi2 = 1.02,
                                .cosmic_ray_ratio = 0.5,
                                .distance_px = i % 2 ? 3.4 : NAN,
                                .polarity = sign,
                                .p_real = NAN};
        if (i >= options->candidates - options->flagged)
            item->flags = i % 2 ? AID_FLAG_DIPOLE | AID_FLAG_VARIABLE : AID_FLAG_COSMIC_RAY;
        else if (i % 2)
            item->flags = AID_FLAG_NEAR_SOURCE;
        if (result->science.wcs &&
            !aid_wcs_pixel_to_radec(result->science.wcs, x, y, &item->ra_deg, &item->dec_deg))
            check_fail(__FILE__, __LINE__, "no sky at %g, %g", x, y);
    }
    candidates->unflagged = options->candidates - options->flagged;
}

static inline void synthetic_injection(const synthetic_options *options, aid_injection *injection)
{
    injection->count = options->injected;
    if (!options->injected)
        return;
    static const int found[AID_COMPLETENESS_BINS] = {0, 2, 5, 8, 10, 10, 10, 10};
    for (int i = 0; i < AID_COMPLETENESS_BINS; i++)
        injection->bins[i] =
            (aid_completeness_bin){3.0 + 1.6 * i, 4.6 + 1.6 * i, options->injected / 8, found[i]};
    injection->snr_50 = 5.4;
    injection->flux_bias = -0.004;
    injection->false_alarms_per_mpx = 0.25;
    injection->searched_mpx = 4.0;
}

static inline void synthetic_difference(const synthetic_options *options,
                                        aid_process_result *result)
{
    aid_error err;
    aid_difference *difference = &result->difference;
    int32_t width = options->width, height = options->height;
    synthetic_require(aid_image_init(width, height, &difference->difference, &err), &err);
    synthetic_require(aid_image_init(width, height, &difference->score, &err), &err);
    synthetic_require(aid_image_init(width, height, &difference->flux_err, &err), &err);
    synthetic_require(aid_mask_init(width, height, &difference->mask, &err), &err);
    synthetic_require(aid_image_init(25, 25, &difference->psf, &err), &err);
    add_gaussian(&difference->psf, 12.0, 12.0, 1.0, synthetic_sigma_px);
    difference->fwhm_px = 2.3548 * synthetic_sigma_px;
    difference->kernel_sum = 1.0004;
    difference->kernel_objects = 37;
    difference->kernel_rejected = 3;
    difference->astrometric_x_px = 0.06;
    difference->astrometric_y_px = 0.05;
    difference->psf_error = 0.012;
    difference->wing_error = 0.003;
    difference->score_median = -0.006;
    difference->score_sigma = 1.004;
    difference->score_std = 1.009;
    difference->difference_correlation = 0.0021;
    result->registration = (aid_registration){.method = "wcs + stars",
                                              .matched = 38,
                                              .rms_px = 0.047,
                                              .rms_x_px = 0.051,
                                              .rms_y_px = 0.043,
                                              .systematic_px = 0.021,
                                              .shift_px = 13.4,
                                              .rotation_deg = 0.12,
                                              .scale = 1.0002,
                                              .overlap = 0.97,
                                              .correlation = 0.93};
    result->registration.transform.degree = 3;
}

/* A band of masked rows at the bottom, where nothing is searched either. */
static inline void synthetic_masks(const synthetic_options *options, aid_process_result *result)
{
    for (int32_t y = 0; y < 5; y++)
        for (int32_t x = 0; x < options->width; x++) {
            aid_mask_row(&result->science.mask, y)[x] = AID_MASK_BAD;
            aid_mask_row(&result->difference.mask, y)[x] = AID_MASK_BAD;
            aid_image_row(&result->difference.score, y)[x] = NAN;
        }
    for (int32_t y = 5; y < 9; y++)
        for (int32_t x = 0; x < options->width; x++) {
            aid_mask_row(&result->difference.mask, y)[x] = AID_MASK_GROWN | AID_MASK_REFERENCE;
            aid_image_row(&result->difference.score, y)[x] = NAN;
        }
}

static inline aid_process_result synthetic_result(const synthetic_options *options)
{
    aid_process_result result = {0};
    aid_random random = aid_random_seeded(20240607, 0);
    synthetic_exposure(options, options->name, &result.science);
    synthetic_exposure(options, "reference.fits", &result.reference);
    result.reference.epoch.mid_mjd_utc -= 30.0;
    synthetic_wcs(options, &result.science);
    synthetic_difference(options, &result);
    synthetic_stars(options, &result, &random);
    synthetic_candidates(options, &result, &random);
    add_noise(&result.science.image, synthetic_noise, &random);
    add_noise(&result.reference.image, 0.5 * synthetic_noise, &random);
    add_noise(&result.difference.difference, synthetic_noise, &random);
    make_score(&result.difference.difference, synthetic_noise, synthetic_sigma_px,
               &result.difference.score);
    double flux_err = synthetic_noise * 2.0 * sqrt(SYNTHETIC_PI) * synthetic_sigma_px;
    for (int64_t i = 0; i < (int64_t)options->width * options->height; i++)
        result.difference.flux_err.data[i] = (float)flux_err;
    synthetic_masks(options, &result);
    synthetic_injection(options, &result.injection);
    aid_note_add(&result.notes, "prepare", "science: gain 1.5 e-/unit is from the header");
    aid_note_add(&result.notes, "register", "38 stars matched of 40");
    return result;
}

static inline void synthetic_done(aid_process_result *result)
{
    aid_exposure *both[] = {&result->science, &result->reference};
    for (int i = 0; i < 2; i++) {
        aid_header_done(&both[i]->header);
        aid_wcs_free(both[i]->wcs);
        aid_image_done(&both[i]->image);
        aid_mask_done(&both[i]->mask);
        aid_mesh_done(&both[i]->noise);
    }
    aid_difference *difference = &result->difference;
    aid_image_done(&difference->difference);
    aid_image_done(&difference->score);
    aid_image_done(&difference->flux_err);
    aid_image_done(&difference->psf);
    aid_mask_done(&difference->mask);
    free(difference->match.stars);
    free(result->candidates.items);
    *result = (aid_process_result){0};
}

static inline aid_report_facts synthetic_facts(void)
{
    static const aid_report_input inputs[] = {
        {"science", "night/science.fits",
         "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", 1, "SCI"},
        {"reference", "refs/reference.fits",
         "60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752", 0, ""}};
    static const aid_report_output outputs[] = {
        {"difference.fits", "difference, score, flux, motion, mask, PSF"},
        {"candidates.fits", "all candidates as a table"}};
    static const aid_report_parameter parameters[] = {{"threshold", "5", "default"},
                                                      {"method", "auto", "default"},
                                                      {"inject", "80", "command line"}};
    static const aid_report_stage stages[] = {
        {"read", 0.051, 0.05, 88.0},     {"prepare", 0.42, 0.80, 152.0},
        {"register", 0.06, 0.09, 120.0}, {"resample", 0.11, 0.21, 168.0},
        {"subtract", 0.44, 0.86, 214.0}, {"detect", 0.05, 0.07, 201.0}};
    return (aid_report_facts){.program_version = "astrid 0.1.0",
                              .command_line = "astrid run science.fits reference.fits --inject 80",
                              .inputs = inputs,
                              .input_count = 2,
                              .outputs = outputs,
                              .output_count = 2,
                              .parameters = parameters,
                              .parameter_count = 3,
                              .stages = stages,
                              .stage_count = 6,
                              .threads = 2,
                              .total_s = 1.17,
                              .threshold = 5.0};
}

#endif
