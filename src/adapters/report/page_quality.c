#include "adapters/report/page.h"

#include "core/base/memory.h"
#include "core/imaging/stats.h"

#include <math.h>

static void open_section(FILE *out, const char *id, const char *name, const char *lead)
{
    fprintf(out, "<section id=\"%s\"><h2>%s</h2>\n<p class=\"lead\">", id, name);
    fputs(lead, out);
    fputs("</p>\n", out);
}

/* A row of a two-column table: what, and the number that the caller writes after it. */
static void open_row(FILE *out, const char *name, const char *explanation)
{
    fputs("<tr title=\"", out);
    fputs(explanation, out);
    fputs("\"><th>", out);
    fputs(name, out);
    fputs("</th><td>", out);
}

static void close_row(FILE *out)
{
    fputs("</td></tr>\n", out);
}

/* ---------------------------------------------------------------------------------------- noise */

/* Counts of independent peaks cannot be told from pixels; pixels beyond the threshold can. */
static void write_beyond(const aid_report_page *page)
{
    FILE *out = page->out;
    const aid_score_histogram *histogram = &page->summary->histogram;
    double expected = (double)histogram->total * 0.5 * erfc(page->facts->threshold / sqrt(2.0));
    open_row(out, "Pixels beyond the threshold",
             "Sources that changed are among them; a unit normal alone would give the number in "
             "brackets, each side");
    aid_html_count(out, histogram->high);
    fputs(" above, ", out);
    aid_html_count(out, histogram->low);
    fputs(" below (", out);
    aid_html_significant(out, expected, 2);
    fputs(")", out);
    close_row(out);
}

static void write_noise_table(const aid_report_page *page)
{
    FILE *out = page->out;
    const aid_difference *difference = &page->result->difference;
    fputs("<div class=\"scroll\"><table>\n", out);
    open_row(out, "&#963; of " AID_S_CORR " on sky", "1.4826 MAD; robust against what changed");
    aid_html_fixed(out, difference->score_sigma, 4);
    close_row(out);
    open_row(out, "Standard deviation", "Not robust: larger than sigma where the tails are heavy");
    aid_html_fixed(out, difference->score_std, 4);
    close_row(out);
    open_row(out, "Median", "Should be 0; a shift means background or flux ratio is off");
    aid_html_fixed(out, difference->score_median, 4);
    close_row(out);
    open_row(out, "Neighbour correlation of <i>D</i>",
             "Correlation coefficient of adjacent pixels of the difference on blank sky: 0 when it "
             "is white");
    aid_html_fixed(out, difference->difference_correlation, 4);
    close_row(out);
    write_beyond(page);
    open_row(out, "Peaks that noise alone gives",
             "Expected above the threshold in the searched area, of each sign");
    aid_html_significant(out, page->summary->noise_peaks, 2);
    close_row(out);
    open_row(out, "Sky scatter of <i>D</i>", "Robust, in the science image&#39;s unit per pixel");
    aid_html_significant(out, page->summary->difference_sigma, 4);
    close_row(out);
    open_row(out, "PSF error in the variance",
             "Core and wing terms: fractions of a star&#39;s flux that its residual may reach");
    aid_html_significant(out, difference->psf_error, 2);
    fputs(", wings ", out);
    aid_html_significant(out, difference->wing_error, 2);
    close_row(out);
    open_row(out, "Method", "How the images were matched and subtracted");
    fputs(difference->method == AID_METHOD_ZOGY ? "ZOGY" : "hybrid kernel with whitening", out);
    fputs(difference->convolved_science ? ", science convolved" : ", reference convolved", out);
    close_row(out);
    open_row(out, "Kernel",
             "Sum of the correction kernel (1: the PSF models were right) and the objects it was "
             "fitted on");
    aid_html_fixed(out, difference->kernel_sum, 4);
    fprintf(out, ", %d objects, %d rejected", difference->kernel_objects,
            difference->kernel_rejected);
    close_row(out);
    fputs("</table></div>\n", out);
}

static void write_assumption(FILE *out, double value, const char *origin, const char *unknown)
{
    fputs("<td>", out);
    if (isfinite(value))
        aid_html_significant(out, value, 5);
    else
        fputs(unknown, out);
    fputs(" <span class=\"soft\">", out);
    aid_html_text(out, origin);
    fputs("</span></td>", out);
}

static void write_sky_noise(FILE *out, const aid_exposure *exposure)
{
    const float *rho = exposure->correlation.rho[AID_NOISE_LAG];
    fputs("<td>", out);
    if (exposure->noise.values)
        aid_html_significant(out, aid_mesh_median(&exposure->noise), 4);
    else
        fputs("&ndash;", out);
    fputs(" <span class=\"soft\">", out);
    if (exposure->correlation.measured) {
        fputs("correlation of neighbours ", out);
        aid_html_fixed(out, (double)rho[AID_NOISE_LAG + 1], 3);
    } else {
        fputs("taken as white", out);
    }
    fputs("</span></td>", out);
}

static void write_assumptions(const aid_report_page *page)
{
    FILE *out = page->out;
    const aid_exposure *both[] = {&page->result->science, &page->result->reference};
    fputs("<h3>What was taken as given</h3>\n<div class=\"scroll\"><table><thead><tr><th></th>"
          "<th>Science</th><th>Reference</th></tr></thead><tbody>\n<tr title=\"Electrons in one "
          "unit of the image\"><th>Gain, e&#8315;/unit</th>",
          out);
    for (int i = 0; i < 2; i++)
        write_assumption(out, both[i]->gain, both[i]->gain_origin, "unknown: no source noise");
    fputs("</tr>\n<tr title=\"In the unit of the raw pixels\"><th>Saturation</th>", out);
    for (int i = 0; i < 2; i++)
        write_assumption(out, both[i]->saturation, both[i]->saturation_origin, "unknown");
    fputs("</tr>\n<tr title=\"Magnitude of one unit of flux\"><th>Zero point, mag</th>", out);
    for (int i = 0; i < 2; i++)
        write_assumption(out, both[i]->zero_point, both[i]->zero_point_origin,
                         "unknown: no magnitudes");
    fputs("</tr>\n<tr title=\"Median over the field of the measured sky rms\"><th>Sky noise, "
          "unit/px</th>",
          out);
    for (int i = 0; i < 2; i++)
        write_sky_noise(out, both[i]);
    fputs("</tr>\n</tbody></table></div>\n", out);
}

static void write_mask_row(const aid_report_page *page, int bit, const char *name,
                           const char *explanation)
{
    FILE *out = page->out;
    int64_t own = 0, reference = 0;
    for (int value = 0; value < 256; value++)
        if (value & bit) {
            if (value & AID_MASK_REFERENCE)
                reference += page->summary->mask_counts[value];
            else
                own += page->summary->mask_counts[value];
        }
    if (own + reference == 0)
        return;
    open_row(out, name, explanation);
    double whole = 100.0 / (double)page->summary->pixels;
    aid_html_significant(out, (double)own * whole, 2);
    fputs("&#8239;%</td><td>", out);
    aid_html_significant(out, (double)reference * whole, 2);
    fputs("&#8239;%", out);
    close_row(out);
}

static void write_masks(const aid_report_page *page)
{
    FILE *out = page->out;
    const aid_report_summary *summary = page->summary;
    fputs("<h3>What was not searched</h3>\n<p>", out);
    aid_html_count(out, summary->pixels - summary->histogram.total);
    fputs(" of ", out);
    aid_html_count(out, summary->pixels);
    fputs(
        " pixels have no score. Fractions of the image by reason (a pixel can have several):</p>\n"
        "<div class=\"scroll\"><table><thead><tr><th>Reason</th><th>In the science image</th><th>"
        "With a reason in the reference</th></tr></thead><tbody>\n",
        out);
    write_mask_row(page, AID_MASK_BAD, "Bad pixel", "Dead, hot, bad column, or told so by a mask");
    write_mask_row(page, AID_MASK_SATURATED, "Saturated", "At or above saturation, and bleeding");
    write_mask_row(page, AID_MASK_COSMIC_RAY, "Cosmic ray", "Struck in that exposure");
    write_mask_row(page, AID_MASK_NO_DATA, "No data", "Blank, or off the image");
    write_mask_row(page, AID_MASK_EDGE, "Edge", "So near the border that a kernel reaches over it");
    write_mask_row(page, AID_MASK_GROWN, "Near one of these",
                   "Sound in itself, but within a kernel&#39;s reach of a pixel above");
    fputs("</tbody></table></div>\n", out);
}

void aid_page_noise(const aid_report_page *page)
{
    FILE *out = page->out;
    open_section(out, "noise", "Can the significances be trusted?",
                 "The score is divided by the noise that the two images should have, and then "
                 "measured on sky where nothing changed. It is never rescaled: what is wrong shows "
                 "here.");
    fputs("<div class=\"plots\"><figure>", out);
    aid_plot_score_histogram(page);
    fputs(
        "<figcaption><span class=\"key b\"></span>all searched pixels, <span class=\"key "
        "e\"></span>beyond the threshold; <span class=\"key line\"></span>unit normal of the same "
        "number of pixels. The outermost bars hold all that lies further out.</figcaption>"
        "</figure>\n<div>",
        out);
    write_noise_table(page);
    fputs("</div></div>\n<div class=\"plots\"><div>", out);
    write_assumptions(page);
    fputs("</div><div>", out);
    write_masks(page);
    fputs("</div></div></section>\n", out);
}

/* ------------------------------------------------------------------------ flux scale, astrometry
 */

static const char *const no_stars =
    "<p class=\"empty\">No star was matched between the two images, so that there is nothing to "
    "plot.</p>\n";

void aid_page_flux(const aid_report_page *page)
{
    FILE *out = page->out;
    const aid_photometric_match *match = &page->result->difference.match;
    open_section(
        out, "flux", "Flux scale",
        "The ratio of science to reference flux, from stars in both images, brings the two "
        "to one scale.");
    fputs("<p>Ratio at the field centre <b>", out);
    aid_html_significant(out, match->ratio, 5);
    fputs(" &#177;&#8239;", out);
    aid_html_significant(out, match->ratio_err, 2);
    fputs("</b>", out);
    static const char *const shapes[] = {", one value for the whole field",
                                         ", varying linearly over the field",
                                         ", varying quadratically over the field"};
    fputs(shapes[AID_CLAMP(match->degree, 0, 2)], out);
    fputs("; stars scatter by <b>", out);
    aid_html_fixed(out, 100.0 * match->scatter, 2);
    fputs("&#8239;%</b> about it. ", out);
    aid_html_count(out, match->used);
    fputs(" of ", out);
    aid_html_plural(out, match->count, "matched star");
    fputs(" used.</p>\n", out);
    if (match->count < 1) {
        fputs(no_stars, out);
    } else {
        fputs("<div class=\"plots\"><figure>", out);
        aid_plot_flux_residuals(page);
        fputs("<figcaption>Residual against flux: <span class=\"key\"></span>in the fit, <span "
              "class=\"key g\"></span>left out (saturated, blended, variable &#8230;); band: the "
              "scatter. Triangles on the rim lie beyond it.</figcaption></figure>\n<figure>",
              out);
        aid_plot_flux_field(page);
        fputs(
            "<figcaption>Over the field: <span class=\"key o\"></span>brighter and <span "
            "class=\"key\"></span>fainter in science than the fit; large dots beyond one scatter. "
            "A pattern would mean that the ratio varies more than was fitted.</figcaption>"
            "</figure></div>\n",
            out);
    }
    fputs("</section>\n", out);
}

static void write_pixels(const aid_report_page *page, double value_px)
{
    aid_html_fixed(page->out, value_px, 3);
    fputs("&#8239;px", page->out);
    if (isfinite(page->summary->pixel_arcsec) && isfinite(value_px)) {
        fputs(" (", page->out);
        aid_html_fixed(page->out, value_px * page->summary->pixel_arcsec, 3);
        fputs("&#8243;)", page->out);
    }
}

static void write_registration(const aid_report_page *page)
{
    FILE *out = page->out;
    const aid_registration *registration = &page->result->registration;
    fputs("<p>Registered by <b>", out);
    aid_html_text(out, registration->method);
    fprintf(out, "</b>, polynomial of degree %d: shift ", registration->transform.degree);
    write_pixels(page, registration->shift_px);
    fputs(", rotation ", out);
    aid_html_fixed(out, registration->rotation_deg, 4);
    fputs("&#176;, scale ", out);
    aid_html_fixed(out, registration->scale, 6);
    fputs(", overlap ", out);
    aid_html_fixed(out, 100.0 * registration->overlap, 1);
    fputs("&#8239;%. Residual rms x ", out);
    write_pixels(page, registration->rms_x_px);
    fputs(", y ", out);
    write_pixels(page, registration->rms_y_px);
    fputs("; of that ", out);
    write_pixels(page, registration->systematic_px);
    fputs(" is not centroid noise. The noise model allows for ", out);
    write_pixels(page, page->result->difference.astrometric_x_px);
    fputs(" in x and ", out);
    write_pixels(page, page->result->difference.astrometric_y_px);
    fputs(" in y.", out);
    if (isfinite(registration->correlation)) {
        fputs(" The registered images correlate by ", out);
        aid_html_fixed(out, registration->correlation, 3);
        fputs(".", out);
    }
    fputs("</p>\n", out);
}

/* After resampling, on the stars of the flux ratio: a median that is not 0 is a shift that the
 * transform has missed. */
static void write_what_is_left(const aid_report_page *page)
{
    FILE *out = page->out;
    const aid_photometric_match *match = &page->result->difference.match;
    AID_CLEANUP(aid_free_pointer)
    double *shifts = NULL;
    size_t room = 2 * (size_t)AID_MAX(match->count, 1);
    if (aid_new_array(room, sizeof *shifts, "report", &shifts, NULL) != AID_OK)
        return;
    int count = 0;
    for (int i = 0; i < match->count; i++)
        if (match->stars[i].used) {
            shifts[count] = match->stars[i].dx;
            shifts[room / 2 + (size_t)count++] = match->stars[i].dy;
        }
    aid_robust x = aid_robust_in_place_f64(shifts, count);
    aid_robust y = aid_robust_in_place_f64(shifts + room / 2, count);
    fputs("<p>On the resampled image, matched stars lie <b>", out);
    aid_html_signed(out, x.median, 3);
    fputs("&#8239;px</b> in x and <b>", out);
    aid_html_signed(out, y.median, 3);
    fputs("&#8239;px</b> in y from where science has them, in the median, and scatter by ", out);
    aid_html_fixed(out, x.sigma, 3);
    fputs(" and ", out);
    aid_html_fixed(out, y.sigma, 3);
    fputs("&#8239;px.</p>\n", out);
}

void aid_page_astrometry(const aid_report_page *page)
{
    FILE *out = page->out;
    open_section(out, "astrometry", "Astrometry",
                 "How well the reference lies on the science image. What is left of it makes pairs "
                 "of bright and dark at stars; the score allows for it.");
    write_registration(page);
    if (page->result->difference.match.count < 1) {
        fputs(no_stars, out);
    } else {
        write_what_is_left(page);
        fputs("<div class=\"plots\"><figure>", out);
        aid_plot_astrometric_residuals(page);
        fputs("<figcaption>Science minus reference position of each star: <span "
              "class=\"key\"></span>in the fit, <span class=\"key g\"></span>left out. Ring: the "
              "astrometric noise that the score allows for.</figcaption></figure>\n<figure>",
              out);
        aid_plot_astrometric_field(page);
        fputs("<figcaption>Over the field, ", out);
        aid_html_count(out, llround(aid_plot_magnification(page)));
        fputs(" times enlarged. Neighbours that point the same way would mean that the transform "
              "is too stiff.</figcaption></figure></div>\n",
              out);
    }
    fputs("</section>\n", out);
}

/* ----------------------------------------------------------------------------------------- PSFs */

static void write_psf_picture(const aid_report_page *page, int view, const char *name)
{
    FILE *out = page->out;
    const aid_bytes *png = &page->pictures->psf[view];
    if (!png->size)
        return;
    int side = page->pictures->psf_side[view];
    fprintf(out,
            "<figure><div class=\"sky\"><img width=\"%d\" height=\"%d\" alt=\"PSF of the %s\" "
            "src=\"",
            side, side, name);
    aid_html_png(out, png);
    fprintf(out, "\"></div><figcaption><b>%s</b>, %d px</figcaption></figure>\n", name, side);
}

/* One row: what, and the same number of either image. */
static void psf_row(FILE *out, const char *name, const char *explanation)
{
    fputs("<tr title=\"", out);
    fputs(explanation, out);
    fputs("\"><th>", out);
    fputs(name, out);
    fputs("</th>", out);
}

static void write_fwhm_row(const aid_report_page *page, const aid_psf *const *both)
{
    FILE *out = page->out;
    double scale = page->summary->pixel_arcsec;
    psf_row(out, "FWHM", "At the field centre; the range over the field in brackets");
    for (int i = 0; i < 2; i++) {
        fputs("<td>", out);
        aid_html_fixed(out, both[i]->fwhm_px, 2);
        fputs("&#8239;px", out);
        if (isfinite(scale)) {
            fputs(" = ", out);
            aid_html_fixed(out, both[i]->fwhm_px * scale, 2);
            fputs("&#8243;", out);
        }
        fputs(" <span class=\"soft\">(", out);
        aid_html_fixed(out, both[i]->fwhm_min_px, 2);
        fputs("&#8211;", out);
        aid_html_fixed(out, both[i]->fwhm_max_px, 2);
        fputs(")</span></td>", out);
    }
    fputs("</tr>\n", out);
}

static void write_psf_table(const aid_report_page *page)
{
    FILE *out = page->out;
    const aid_psf *const both[] = {&page->result->science.psf, &page->result->reference.psf};
    fputs("<div class=\"scroll\"><table><thead><tr><th></th><th>Science</th><th>Reference</th></tr>"
          "</thead><tbody>\n",
          out);
    write_fwhm_row(page, both);
    psf_row(out, "Ellipticity", "1 - b/a; direction of the long axis, counter-clockwise from +x");
    for (int i = 0; i < 2; i++) {
        fputs("<td>", out);
        aid_html_fixed(out, both[i]->ellipticity, 3);
        fputs(" <span class=\"soft\">at ", out);
        aid_html_fixed(out, both[i]->theta_deg, 0);
        fputs("&#176;</span></td>", out);
    }
    fputs("</tr>\n", out);
    psf_row(out, "&#967;&#178;", "Reduced, of the accepted stars; about 1 for a good model");
    for (int i = 0; i < 2; i++) {
        fputs("<td>", out);
        aid_html_fixed(out, both[i]->chi2, 2);
        fputs("</td>", out);
    }
    fputs("</tr>\n", out);
    psf_row(out, "Residual", "Rms of star minus model over the star&#39;s flux, in its core");
    for (int i = 0; i < 2; i++) {
        fputs("<td>", out);
        aid_html_fixed(out, 100.0 * both[i]->residual, 2);
        fputs("&#8239;%</td>", out);
    }
    fputs("</tr>\n", out);
    psf_row(out, "Stars used",
            "Of those that were offered; degree of the variation over the field");
    for (int i = 0; i < 2; i++)
        fprintf(out, "<td>%d of %d <span class=\"soft\">degree %d</span></td>", both[i]->stars_used,
                both[i]->stars_offered, both[i]->degree);
    fputs("</tr>\n</tbody></table></div>\n", out);
}

void aid_page_psf(const aid_report_page *page)
{
    FILE *out = page->out;
    open_section(out, "psf", "Point spread functions",
                 "Built from the stars of each image; the difference has one of its own, which "
                 "candidates are compared with.");
    fputs("<div class=\"plots\"><div><figure class=\"panel\"><div class=\"psfs\">\n", out);
    write_psf_picture(page, AID_VIEW_SCIENCE, "Science");
    write_psf_picture(page, AID_VIEW_REFERENCE, "Reference");
    write_psf_picture(page, AID_VIEW_DIFFERENCE, "Difference");
    fputs("</div><figcaption>At the field centre; asinh stretch that shows wings down to 1&#8239;% "
          "of the peak.</figcaption></figure>\n",
          out);
    write_psf_table(page);
    fputs("</div><figure>", out);
    aid_plot_psf_profiles(page);
    fputs("<figcaption>Mean in rings: <span class=\"key o\"></span>science, <span "
          "class=\"key\"></span>reference, <span class=\"key n\"></span>difference.</figcaption>"
          "</figure></div></section>\n",
          out);
}

/* --------------------------------------------------------------------------------- completeness */

static void write_completeness_rows(const aid_report_page *page)
{
    FILE *out = page->out;
    const aid_injection *injection = &page->result->injection;
    for (int i = 0; i < AID_COMPLETENESS_BINS; i++) {
        const aid_completeness_bin *bin = &injection->bins[i];
        if (bin->injected < 1)
            continue;
        aid_interval interval = aid_wilson(bin->found, bin->injected, 1.959964);
        fprintf(out,
                "<tr><td>%.1f&#8211;%.1f</td><td class=\"num\">%d of %d</td><td class=\"num\">%.1f"
                "&#8239;%%</td><td class=\"num\">%.1f&#8211;%.1f&#8239;%%</td></tr>\n",
                bin->snr_low, bin->snr_high, bin->found, bin->injected,
                100.0 * bin->found / bin->injected, 100.0 * interval.low, 100.0 * interval.high);
    }
}

void aid_page_completeness(const aid_report_page *page)
{
    FILE *out = page->out;
    const aid_injection *injection = &page->result->injection;
    if (injection->count < 1) {
        open_section(
            out, "completeness", "Completeness",
            "Not measured in this run. With --inject N, sources of known flux are added to "
            "the science image and looked for.");
        fputs("</section>\n", out);
        return;
    }
    open_section(
        out, "completeness", "Completeness and false alarms",
        "Measured on this very pair: sources of known flux were added to the science image, "
        "three in ten near other sources, and looked for in the same way.");
    fputs("<p>Half of the sources are found at S/N <b>", out);
    aid_html_fixed(out, injection->snr_50, 2);
    fputs("</b>. Fluxes come out <b>", out);
    aid_html_fixed(out, 100.0 * injection->flux_bias, 2);
    fputs("&#8239;%</b> off in the median (S/N above 9). False alarms: <b>", out);
    aid_html_significant(out, injection->false_alarms_per_mpx, 2);
    fputs("</b> per million pixels, from negative peaks outside known sources over ", out);
    aid_html_fixed(out, injection->searched_mpx, 2);
    fputs(" Mpx: noise has no sign.</p>\n<div class=\"plots\"><figure>", out);
    aid_plot_completeness(page);
    fputs("<figcaption>Fraction found of ", out);
    aid_html_plural(out, injection->count, "injected source");
    fputs("; bars are 95&#8239;% Wilson intervals, their width the bin. Orange: threshold; blue: "
          "half found.</figcaption></figure>\n<div class=\"scroll\"><table><thead><tr><th>S/N</th>"
          "<th class=\"num\">found</th><th class=\"num\">fraction</th><th class=\"num\">95&#8239;% "
          "interval</th></tr></thead><tbody>\n",
          out);
    write_completeness_rows(page);
    fputs("</tbody></table></div></div></section>\n", out);
}
