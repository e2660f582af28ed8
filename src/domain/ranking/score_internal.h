/* What the files of the scores share. */
#ifndef AID_DOMAIN_RANKING_SCORE_INTERNAL_H
#define AID_DOMAIN_RANKING_SCORE_INTERNAL_H

#include "domain/ranking/score.h"

#include <stdbool.h>

/* Columns of a catalogue that scores look at; -1: none. */
typedef struct aid_score_columns {
    int id, x, y, ra, dec, flux, flux_err, snr, score, mag, fwhm, ellipticity, peak, chi2, masked,
        flags;
} aid_score_columns;
aid_score_columns aid_score_columns_of(const aid_catalogue *catalogue);

/* What the scores of one row are computed from; NaN: null. */
typedef struct aid_measured {
    double snr, score; /* absolute */
    double flux, flux_err, fwhm, ellipticity, peak, chi2, masked_fraction;
    double host_flux;
    double shape_flags, flags, edge_factor, completeness; /* no draws change these */
} aid_measured;

/* The smaller one of |snr| and |score|, else |flux|/flux_err. */
double aid_significance(const aid_measured *row);
/* peak/flux */
double aid_concentration(const aid_measured *row);
/* Product of the factors of the flags' names, of those about the shape or of all others; 1 for
 * names that say nothing bad. */
double aid_flag_factor(const char *flags, bool about_shape);

void aid_score_parts(const aid_measured *row, const aid_field_shape *field, double half_snr,
                     double ret_parts[AID_SCORE_PARTS]);
/* Products of the parts that are there, NaN where a score has none; but the clues about the shape
 * are not independent and count as two, however many they are. */
void aid_scores_of_parts(const double parts[AID_SCORE_PARTS], double ret_scores[AID_SCORES]);
/* Weighted geometric mean of the scores that are there. */
double aid_combined_score(const double scores[AID_SCORES], const double weights[AID_SCORES],
                          unsigned *ret_taken);

/* Light of the reference's sources at the place of each row, in the catalogue's unit of flux. */
AID_MUST_USE aid_status aid_host_fluxes(const aid_catalogue *catalogue,
                                        const aid_catalogue *reference, double fwhm_px,
                                        aid_notes *notes, double *ret_fluxes, aid_error *err);

#endif
