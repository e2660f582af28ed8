/* summary.json: everything about a run that is a number or a name. Only "stages" and "resources"
 * differ between two runs of the same thing. */
#include "adapters/files/json.h"
#include "apps/cli/run.h"
#include "apps/common/provenance.h"

#include <math.h>
#include <stdlib.h>

/* ------------------------------------------------------------------------- program and its input
 */

static void put_input(aid_json_writer *json, const run_input *input)
{
    aid_json_put_object(json, input->role);
    aid_json_put_text(json, "path", input->path);
    aid_json_put_text(json, "sha256", input->file.sha256);
    aid_json_put_integer(json, "hdu", input->file.hdu);
    aid_json_put_text(json, "hdu_name", input->file.hdu_name);
    aid_json_put_integer(json, "width", input->width);
    aid_json_put_integer(json, "height", input->height);
    aid_json_put_integer(json, "bitpix", input->file.bitpix);
    aid_json_put_text(json, "mask_path", input->mask_path);
    aid_json_put_text(json, "mask_sha256", input->mask_sha256);
    aid_json_end_object(json);
}

static void put_inputs(aid_json_writer *json, const run_state *run)
{
    aid_json_put_object(json, "inputs");
    for (int i = 0; i < 2; i++)
        put_input(json, &run->inputs[i]);
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
    aid_json_put_object(json, role);
    aid_json_put_number(json, "background", aid_mesh_median(&exposure->background));
    aid_json_put_number(json, "noise", aid_mesh_median(&exposure->noise));
    aid_json_put_number(json, "noise_correlation_x",
                        (double)exposure->correlation.rho[AID_NOISE_LAG][AID_NOISE_LAG + 1]);
    aid_json_put_number(json, "noise_correlation_y",
                        (double)exposure->correlation.rho[AID_NOISE_LAG + 1][AID_NOISE_LAG]);
    aid_json_put_number(json, "fwhm_px", exposure->psf.fwhm_px);
    aid_json_put_number(json, "fwhm_arcsec", exposure->psf.fwhm_px * scale);
    aid_json_put_number(json, "ellipticity", exposure->psf.ellipticity);
    aid_json_put_number(json, "psf_residual", exposure->psf.residual);
    aid_json_put_integer(json, "psf_stars", exposure->psf.stars_used);
    aid_json_put_integer(json, "stars", exposure->stars.count);
    aid_json_put_number(json, "gain", exposure->gain);
    aid_json_put_text(json, "gain_origin", exposure->gain_origin);
    aid_json_put_number(json, "saturation", exposure->saturation);
    aid_json_put_text(json, "saturation_origin", exposure->saturation_origin);
    aid_json_put_number(json, "zero_point", exposure->zero_point);
    aid_json_put_text(json, "zero_point_origin", exposure->zero_point_origin);
    aid_json_put_number(json, "masked_fraction", masked_fraction(&exposure->mask));
    aid_json_put_bool(json, "wcs", exposure->wcs != NULL);
    aid_json_put_number(json, "pixel_scale_arcsec", scale);
    aid_json_put_number(json, "mid_mjd_utc",
                        exposure->epoch.known ? exposure->epoch.mid_mjd_utc : NAN);
    aid_json_put_number(json, "exposure_s",
                        exposure->epoch.known ? exposure->epoch.exposure_s : NAN);
    aid_json_end_object(json);
}

static void put_registration(aid_json_writer *json, const aid_registration *registration)
{
    aid_json_put_object(json, "registration");
    aid_json_put_text(json, "method", registration->method);
    aid_json_put_integer(json, "matched_stars", registration->matched);
    aid_json_put_integer(json, "degree", registration->transform.degree);
    aid_json_put_number(json, "astrometric_residual_px", registration->rms_px);
    aid_json_put_number(json, "rms_x_px", registration->rms_x_px);
    aid_json_put_number(json, "rms_y_px", registration->rms_y_px);
    aid_json_put_number(json, "systematic_px", registration->systematic_px);
    aid_json_put_number(json, "shift_px", registration->shift_px);
    aid_json_put_number(json, "rotation_deg", registration->rotation_deg);
    aid_json_put_number(json, "scale", registration->scale);
    aid_json_put_number(json, "overlap", registration->overlap);
    aid_json_put_number(json, "correlation", registration->correlation);
    aid_json_end_object(json);
}

static void put_difference(aid_json_writer *json, const aid_difference *difference)
{
    const aid_photometric_match *match = &difference->match;
    aid_json_put_object(json, "flux_ratio");
    aid_json_put_number(json, "value", match->ratio);
    aid_json_put_number(json, "error", match->ratio_err);
    aid_json_put_number(json, "scatter", match->scatter);
    aid_json_put_integer(json, "degree", match->degree);
    aid_json_put_integer(json, "stars", match->used);
    aid_json_end_object(json);
    aid_json_put_object(json, "difference");
    aid_json_put_text(json, "method", difference->method == AID_METHOD_ZOGY ? "zogy" : "hybrid");
    aid_json_put_text(json, "convolved", difference->convolved_science ? "science" : "reference");
    aid_json_put_integer(json, "kernel_objects", difference->kernel_objects);
    aid_json_put_integer(json, "kernel_rejected", difference->kernel_rejected);
    aid_json_put_number(json, "kernel_sum", difference->kernel_sum);
    aid_json_put_number(json, "astrometric_noise_x_px", difference->astrometric_x_px);
    aid_json_put_number(json, "astrometric_noise_y_px", difference->astrometric_y_px);
    aid_json_put_number(json, "psf_error", difference->psf_error);
    aid_json_put_number(json, "wing_error", difference->wing_error);
    aid_json_put_number(json, "fwhm_px", difference->fwhm_px);
    aid_json_end_object(json);
    aid_json_put_object(json, "noise_calibration");
    aid_json_put_number(json, "score_median", difference->score_median);
    aid_json_put_number(json, "score_sigma", difference->score_sigma);
    aid_json_put_number(json, "score_std", difference->score_std);
    aid_json_put_number(json, "difference_correlation", difference->difference_correlation);
    aid_json_put_number(json, "correlation_factor", difference->correlation_factor);
    aid_json_end_object(json);
}

static void put_counts(aid_json_writer *json, const aid_candidates *candidates)
{
    aid_json_put_object(json, "counts");
    aid_json_put_integer(json, "candidates", candidates->count);
    aid_json_put_integer(json, "unflagged", candidates->unflagged);
    aid_json_put_integer(json, "unflagged_positive", candidates->unflagged_positive);
    aid_json_put_integer(json, "unflagged_negative",
                         candidates->unflagged - candidates->unflagged_positive);
    aid_json_put_object(json, "flags");
    for (unsigned bit = 0; bit < 32; bit++) {
        unsigned flag = 1U << bit;
        int count = 0;
        if (!aid_flag_name(flag))
            continue;
        for (int i = 0; i < candidates->count; i++)
            count += (candidates->items[i].flags & flag) != 0;
        aid_json_put_integer(json, aid_flag_name(flag), count);
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
    aid_json_put_integer(json, "injected", injection->count);
    aid_json_put_integer(json, "found", found);
    aid_json_put_number(json, "snr_50", injection->snr_50);
    aid_json_put_number(json, "flux_bias", injection->flux_bias);
    aid_json_put_number(json, "false_alarms_per_mpx", injection->false_alarms_per_mpx);
    aid_json_put_number(json, "searched_mpx", injection->searched_mpx);
    aid_json_put_array(json, "completeness");
    for (int i = 0; i < AID_COMPLETENESS_BINS; i++) {
        const aid_completeness_bin *bin = &injection->bins[i];
        aid_json_begin_object(json);
        aid_json_put_number(json, "snr_low", bin->snr_low);
        aid_json_put_number(json, "snr_high", bin->snr_high);
        aid_json_put_integer(json, "injected", bin->injected);
        aid_json_put_integer(json, "found", bin->found);
        aid_json_end_object(json);
    }
    aid_json_end_array(json);
    aid_json_end_object(json);
}

/* --------------------------------------------------------------------------------------- what it
 * cost */

static void put_costs(aid_json_writer *json, const run_state *run)
{
    const aid_stage_meter *meter = &run->meter;
    double cpu_s = 0.0, peak_mb = NAN;
    for (int i = 0; i < meter->count; i++) {
        cpu_s += meter->items[i].cpu_s;
        peak_mb = fmax(peak_mb, meter->items[i].peak_mb);
    }
    aid_stages_json(json, meter);
    aid_json_put_object(json, "resources");
    aid_json_put_integer(json, "threads", aid_pool_threads(run->pool));
    aid_json_put_rounded(json, "wall_s", aid_stage_meter_wall_s(meter), 4);
    aid_json_put_rounded(json, "cpu_s", cpu_s, 4);
    aid_json_put_rounded(json, "peak_mb", peak_mb, 1);
    aid_json_put_bool(json, "stage_peaks_are_of_the_run", meter->peaks_are_of_the_run);
    aid_json_end_object(json);
}

static void put_summary(aid_json_writer *json, const void *context)
{
    const run_state *run = context;
    const aid_process_result *result = &run->result;
    aid_json_begin_object(json);
    aid_provenance_json(json, run->invocation);
    put_inputs(json, run);
    aid_json_put_object(json, "quality");
    put_quality(json, "science", &result->science);
    put_quality(json, "reference", &result->reference);
    aid_json_end_object(json);
    put_registration(json, &result->registration);
    put_difference(json, &result->difference);
    put_counts(json, &result->candidates);
    put_injection(json, &result->injection);
    aid_notes_json(json, &result->notes);
    aid_json_put_array(json, "outputs");
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
