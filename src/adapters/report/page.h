/* The page while it is written, and its sections in the order of reading. */
#ifndef AID_ADAPTERS_REPORT_PAGE_H
#define AID_ADAPTERS_REPORT_PAGE_H

#include "adapters/report/html.h"
#include "adapters/report/pictures.h"
#include "adapters/report/report.h"
#include "adapters/report/summary.h"

#define AID_S_CORR "<i>S</i><sub>corr</sub>"

typedef struct aid_report_page {
    FILE *out;
    const aid_process_result *result;
    const aid_report_facts *facts;
    const aid_report_summary *summary;
    const aid_report_pictures *pictures;
} aid_report_page;

/* page_style.c: <head> with the policy that forbids everything but our own style and script. */
void aid_page_head(const aid_report_page *page);
void aid_page_script(const aid_report_page *page);
/* The same for other pages; `kind` is a constant of ours that comes after the title. */
void aid_page_head_titled(FILE *out, const char *title, const char *kind);
void aid_page_script_to(FILE *out);

/* page_summary.c: what was found and whether to believe it; the three images. */
void aid_page_summary(const aid_report_page *page);
void aid_page_images(const aid_report_page *page);

/* page_candidates.c: cut-outs, and the table of all. */
void aid_page_candidates(const aid_report_page *page);
void aid_page_table(const aid_report_page *page);

/* page_quality.c: noise, flux scale, astrometry, PSFs, completeness, what was assumed. */
void aid_page_noise(const aid_report_page *page);
void aid_page_flux(const aid_report_page *page);
void aid_page_astrometry(const aid_report_page *page);
void aid_page_psf(const aid_report_page *page);
void aid_page_completeness(const aid_report_page *page);

/* page_provenance.c: remarks, inputs, outputs, parameters, time. */
void aid_page_notes(const aid_report_page *page);
void aid_page_provenance(const aid_report_page *page);

/* plots.c: one <svg> each. */
void aid_plot_score_histogram(const aid_report_page *page);
void aid_plot_flux_residuals(const aid_report_page *page);
void aid_plot_flux_field(const aid_report_page *page);
void aid_plot_astrometric_residuals(const aid_report_page *page);
void aid_plot_astrometric_field(const aid_report_page *page);
/* How many times that plot enlarges the residuals. */
double aid_plot_magnification(const aid_report_page *page);
void aid_plot_psf_profiles(const aid_report_page *page);
void aid_plot_completeness(const aid_report_page *page);

#endif
