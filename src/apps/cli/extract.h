/* Private to `astrid extract`: its options, and what its files share. */
#ifndef AID_APPS_CLI_EXTRACT_H
#define AID_APPS_CLI_EXTRACT_H

#include "adapters/fits/fits.h"
#include "adapters/tables/table.h"
#include "apps/common/command.h"
#include "apps/common/output_folder.h"
#include "apps/common/stages.h"
#include "domain/extraction/extraction.h"

enum { EXTRACT_MAX_PARAMETERS = 40 };

typedef struct extract_options {
    const char *output, *filter_kernel, *hdu, *annulus;
    const char *mask, *background_map, *noise_map;
    double threshold, deblend_cont, clean_param, fwhm, aperture, kron_factor, kron_minimum;
    double zero_point, gain, saturation;
    int64_t memory; /* MB */
    int64_t min_pixels, deblend_threshold, background_size, background_filter, max_sources;
    int threshold_unit, background, noise, rim, neighbours, measure, columns, format;
    aid_common_options common;
} extract_options;

enum { EXTRACT_COLUMNS_ASTRID, EXTRACT_COLUMNS_SEXTRACTOR };

/* One image on its way. */
typedef struct extract_image {
    const char *path;
    char output[AID_MAX_PATH];
    aid_fits_image file;
    aid_mask mask;
    aid_fits_image background, noise; /* maps that were given; empty: none */
    char mask_sha256[65];
    int32_t width, height;
    char unit[72]; /* of the pixels, "" unknown */
    aid_wcs *wcs;
    double gain, saturation, zero_point;
    aid_sources sources;
    aid_notes notes;
    aid_status status;
    aid_error error; /* why, where the status is not AID_OK */
} extract_image;
void extract_image_done(extract_image *image);

/* ---- extract_input.c */
AID_MUST_USE aid_status extract_read(const extract_options *options, extract_image *image,
                                     aid_error *err);
/* Releases pixels and maps: only the sources are wanted from now on. */
void extract_release_pixels(extract_image *image);

/* ---- extract_table.c */
AID_MUST_USE aid_status extract_table(const extract_image *image, int columns, aid_table *ret_table,
                                      aid_error *err);

/* ---- extract_output.c */
AID_MUST_USE aid_status extract_write(const aid_invocation *invocation, const extract_image *image,
                                      aid_error *err);
/* The whole summary, as --json prints it; `count` images. */
void extract_print_json(const aid_invocation *invocation, const extract_image *images, int count,
                        const aid_stage_meter *meter);
void extract_print_text(const extract_image *image);

#endif
