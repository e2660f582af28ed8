/* summary.json: everything about a run that is a number or a name. Only "stages" and "resources"
 * differ between two runs of the same thing. */
#include "adapters/files/json.h"
#include "apps/cli/run.h"
#include "apps/common/version.h"

#include <math.h>
#include <stdlib.h>

static void put_text(aid_json_writer *json, const char *key, const char *value)
{
    aid_json_key(json, key);
    aid_json_text(json, value && *value ? value : NULL);
}

static void put_number(aid_json_writer *json, const char *key, double value)
{
    aid_json_key(json, key);
    aid_json_number(json, value);
}

static void put_rounded(aid_json_writer *json, const char *key, double value, int decimals)
{
    aid_json_key(json, key);
    aid_json_rounded(json, value, decimals);
}

static void put_integer(aid_json_writer *json, const char *key, int64_t value)
{
    aid_json_key(json, key);
    aid_json_integer(json, value);
}

static void put_bool(aid_json_writer *json, const char *key, bool value)
{
    aid_json_key(json, key);
    aid_json_bool(json, value);
}

static void begin(aid_json_writer *json, const char *key)
{
    aid_json_key(json, key);
    aid_json_begin_object(json);
}

/* ------------------------------------------------------------------------- program and its input
 */

static void put_program(aid_json_writer *json)
{
    begin(json, "program");
    put_text(json, "name", AID_PROGRAM_NAME);
    put_text(json, "version", aid_version());
    put_text(json, "build", aid_build());
    put_text(json, "compiler", aid_compiler());
    put_text(json, "vectors", aid_vector_features());
    aid_json_end_object(json);
}

static void put_input(aid_json_writer *json, const run_input *input)
{
    begin(json, input->role);
    put_text(json, "path", input->path);
    put_text(json, "sha256", input->file.sha256);
    put_integer(json, "hdu", input->file.hdu);
    put_text(json, "hdu_name", input->file.hdu_name);
    put_integer(json, "width", input->width);
    put_integer(json, "height", input->height);
    put_integer(json, "bitpix", input->file.bitpix);
    put_text(json, "mask_path", input->mask_path);
    put_text(json, "mask_sha256", input->mask_sha256);
    aid_json_end_object(json);
}

static void put_parameter(aid_json_writer *json, const aid_parameter *parameter)
{
    const aid_setting *setting = parameter->setting;
    char text[AID_MAX_PATH];
    aid_json_key(json, setting->key);
    switch (setting->kind) {
    case AID_SETTING_FLAG:
        aid_json_bool(json, *(const bool *)parameter->field);
        break;
    case AID_SETTING_INTEGER:
        aid_json_integer(json, *(const int64_t *)parameter->field);
        break;
    case AID_SETTING_NUMBER:
        aid_json_number(json, *(const double *)parameter->field);
        break;
    case AID_SETTING_TEXT:
    case AID_SETTING_CHOICE:
        aid_setting_text(setting, parameter->field, text, sizeof text);
        aid_json_text(json, text);
        break;
    }
}

static void put_inputs(aid_json_writer *json, const run_state *run)
{
    begin(json, "inputs");
    for (int i = 0; i < 2; i++)
        put_input(json, &run->inputs[i]);
    aid_json_end_object(json);
    begin(json, "parameters");
    for (int i = 0; i < run->parameter_count; i++)
        put_parameter(json, &run->parameters[i]);
    aid_json_end_object(json);
}

/* --------------------------------------------------------------------------------------- results
 */

static double masked_fraction(const aid_mask *mask)
{
    int64_t masked = 0, pixels = (int64_t)mask->width * mask->height;
    for (int64_t i = 0; i < pixels; i++)
        masked += mask->data[i] != 0;
    return pixels ? (double)masked / (double)pixels : NAN;
}

static void put_quality(aid_json_writer *json, const char *role, const aid_exposure *exposure)
{
    double scale = NAN;
    if (exposure->wcs)
        (void)aid_wcs_pixel_scale(exposure->wcs, 0.5 * exposure->image.width,
                                  0.5 * exposure->image.height, &scale);
    begin(json, role);
    put_number(json, "background", aid_mesh_median(&exposure->background));
    put_number(json, "noise", aid_mesh_median(&exposure->noise));
    put_number(json, "noise_correlation_x",
               (double)exposure->correlation.rho[AID_NOISE_LAG][AID_NOISE_LAG + 1]);
    put_number(json, "noise_correlation_y",
               (double)exposure->correlation.rho[AID_NOISE_LAG + 1][AID_NOISE_LAG]);
    put_number(json, "fwhm_px", exposure->psf.fwhm_px);
    put_number(json, "fwhm_arcsec", exposure->psf.fwhm_px * scale);
    put_number(json, "ellipticity", exposure->psf.ellipticity);
    put_number(json, "psf_residual", exposure->psf.residual);
    put_integer(json, "psf_stars", exposure->psf.stars_used);
    put_integer(json, "stars", exposure->stars.count);
    put_number(json, "gain", exposure->gain);
    put_text(json, "gain_origin", exposure->gain_origin);
    put_number(json, "saturation", exposure->saturation);
    put_text(json, "saturation_origin", exposure->saturation_origin);
    put_number(json, "zero_point", exposure->zero_point);
    put_text(json, "zero_point_origin", exposure->zero_point_origin);
    put_number(json, "masked_fraction", masked_fraction(&exposure->mask));
    put_bool(json, "wcs", exposure->wcs != NULL);
    put_number(json, "pixel_scale_arcsec", scale);
    put_number(json, "mid_mjd_utc", exposure->epoch.known ? exposure->epoch.mid_mjd_utc : NAN);
    put_number(json, "exposure_s", exposure->epoch.known ? exposure->epoch.exposure_s : NAN);
    aid_json_end_object(json);
}

static void put_registration(aid_json_writer *json, const aid_registration *registration)
{
    begin(json, "registration");
    put_text(json, "method", registration->method);
    put_integer(json, "matched_stars", registration->matched);
    put_integer(json, "degree", registration->transform.degree);
    put_number(json, "astrometric_residual_px", registration->rms_px);
    put_number(json, "rms_x_px", registration->rms_x_px);
    put_number(json, "rms_y_px", registration->rms_y_px);
    put_number(json, "systematic_px", registration->systematic_px);
    put_number(json, "shift_px", registration->shift_px);
    put_number(json, "rotation_deg", registration->rotation_deg);
    put_number(json, "scale", registration->scale);
    put_number(json, "overlap", registration->overlap);
    put_number(json, "correlation", registration->correlation);
    aid_json_end_object(json);
}

static void put_difference(aid_json_writer *json, const aid_difference *difference)
{
    const aid_photometric_match *match = &difference->match;
    begin(json, "flux_ratio");
    put_number(json, "value", match->ratio);
    put_number(json, "error", match->ratio_err);
    put_number(json, "scatter", match->scatter);
    put_integer(json, "degree", match->degree);
    put_integer(json, "stars", match->used);
    aid_json_end_object(json);
    begin(json, "difference");
    put_text(json, "method", difference->method == AID_METHOD_ZOGY ? "zogy" : "hybrid");
    put_text(json, "convolved", difference->convolved_science ? "science" : "reference");
    put_integer(json, "kernel_objects", difference->kernel_objects);
    put_integer(json, "kernel_rejected", difference->kernel_rejected);
    put_number(json, "kernel_sum", difference->kernel_sum);
    put_number(json, "astrometric_noise_x_px", difference->astrometric_x_px);
    put_number(json, "astrometric_noise_y_px", difference->astrometric_y_px);
    put_number(json, "psf_error", difference->psf_error);
    put_number(json, "wing_error", difference->wing_error);
    put_number(json, "fwhm_px", difference->fwhm_px);
    aid_json_end_object(json);
    begin(json, "noise_calibration");
    put_number(json, "score_median", difference->score_median);
    put_number(json, "score_sigma", difference->score_sigma);
    put_number(json, "score_std", difference->score_std);
    put_number(json, "difference_correlation", difference->difference_correlation);
    put_number(json, "correlation_factor", difference->correlation_factor);
    aid_json_end_object(json);
}

static void put_counts(aid_json_writer *json, const aid_candidates *candidates)
{
    begin(json, "counts");
    put_integer(json, "candidates", candidates->count);
    put_integer(json, "unflagged", candidates->unflagged);
    put_integer(json, "unflagged_positive", candidates->unflagged_positive);
    put_integer(json, "unflagged_negative", candidates->unflagged - candidates->unflagged_positive);
    begin(json, "flags");
    for (unsigned bit = 0; bit < 32; bit++) {
        unsigned flag = 1U << bit;
        int count = 0;
        if (!aid_flag_name(flag))
            continue;
        for (int i = 0; i < candidates->count; i++)
            count += (candidates->items[i].flags & flag) != 0;
        put_integer(json, aid_flag_name(flag), count);
    }
    aid_json_end_object(json);
    aid_json_end_object(json);
}

static void put_injection(aid_json_writer *json, const aid_injection *injection)
{
    aid_json_key(json, "injection");
    if (injection->count == 0) {
        aid_json_null(json);
        return;
    }
    int found = 0;
    for (int i = 0; i < injection->count; i++)
        found += injection->items[i].found;
    aid_json_begin_object(json);
    put_integer(json, "injected", injection->count);
    put_integer(json, "found", found);
    put_number(json, "snr_50", injection->snr_50);
    put_number(json, "flux_bias", injection->flux_bias);
    put_number(json, "false_alarms_per_mpx", injection->false_alarms_per_mpx);
    put_number(json, "searched_mpx", injection->searched_mpx);
    aid_json_key(json, "completeness");
    aid_json_begin_array(json);
    for (int i = 0; i < AID_COMPLETENESS_BINS; i++) {
        const aid_completeness_bin *bin = &injection->bins[i];
        aid_json_begin_object(json);
        put_number(json, "snr_low", bin->snr_low);
        put_number(json, "snr_high", bin->snr_high);
        put_integer(json, "injected", bin->injected);
        put_integer(json, "found", bin->found);
        aid_json_end_object(json);
    }
    aid_json_end_array(json);
    aid_json_end_object(json);
}

static void put_notes(aid_json_writer *json, const aid_notes *notes)
{
    aid_json_key(json, "notes");
    aid_json_begin_array(json);
    for (int i = 0; i < notes->count; i++) {
        aid_json_begin_object(json);
        put_text(json, "stage", notes->items[i].stage);
        put_text(json, "text", notes->items[i].text);
        aid_json_end_object(json);
    }
    aid_json_end_array(json);
}

/* --------------------------------------------------------------------------------------- what it
 * cost */

static void put_costs(aid_json_writer *json, const run_state *run)
{
    const aid_stage_meter *meter = &run->meter;
    double cpu_s = 0.0, peak_mb = NAN;
    begin(json, "stages");
    for (int i = 0; i < meter->count; i++) {
        const aid_stage *stage = &meter->items[i];
        begin(json, stage->name);
        put_rounded(json, "wall_s", stage->wall_s, 4);
        put_rounded(json, "cpu_s", stage->cpu_s, 4);
        put_rounded(json, "peak_mb", stage->peak_mb, 1);
        aid_json_end_object(json);
        cpu_s += stage->cpu_s;
        peak_mb = fmax(peak_mb, stage->peak_mb);
    }
    aid_json_end_object(json);
    begin(json, "resources");
    put_integer(json, "threads", aid_pool_threads(run->pool));
    put_rounded(json, "wall_s", aid_stage_meter_wall_s(meter), 4);
    put_rounded(json, "cpu_s", cpu_s, 4);
    put_rounded(json, "peak_mb", peak_mb, 1);
    put_bool(json, "stage_peaks_are_of_the_run", meter->peaks_are_of_the_run);
    aid_json_end_object(json);
}

static void put_summary(aid_json_writer *json, const void *context)
{
    const run_state *run = context;
    const aid_process_result *result = &run->result;
    aid_json_begin_object(json);
    put_program(json);
    put_text(json, "command", run->invocation->command->name);
    put_inputs(json, run);
    begin(json, "quality");
    put_quality(json, "science", &result->science);
    put_quality(json, "reference", &result->reference);
    aid_json_end_object(json);
    put_registration(json, &result->registration);
    put_difference(json, &result->difference);
    put_counts(json, &result->candidates);
    put_injection(json, &result->injection);
    put_notes(json, &result->notes);
    aid_json_key(json, "outputs");
    aid_json_begin_array(json);
    for (const char *const *name = run_file_names; *name; name++)
        aid_json_text(json, *name);
    aid_json_end_array(json);
    put_costs(json, run);
    aid_json_end_object(json);
    aid_json_finish(json);
}

aid_status run_summary_text(const run_state *run, char **ret_text, size_t *ret_size, aid_error *err)
{
    return aid_json_document(put_summary, run, "summary", ret_text, ret_size, err);
}
