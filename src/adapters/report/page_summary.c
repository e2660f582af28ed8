#include "adapters/report/page.h"

#include <math.h>
#include <stdbool.h>

/* -------------------------------------------------------------------------------------- verdict */

static void write_header_text(const aid_report_page *page, const char *keyword, bool *is_first)
{
    const char *text = aid_header_text(&page->result->science.header, keyword);
    if (!text || !*text)
        return;
    fputs(*is_first ? "<p class=\"soft\">" : " &#183; ", page->out);
    aid_html_text(page->out, text);
    *is_first = false;
}

static void write_duration(FILE *out, double days)
{
    bool is_days = days >= 1.0, is_hours = days >= 1.0 / 24.0;
    aid_html_significant(out, is_days ? days : days * (is_hours ? 24.0 : 1440.0), 3);
    fputs(is_days ? "&#8239;d" : is_hours ? "&#8239;h" : "&#8239;min", out);
}

/* Target, filter and time of the science image, and how much older the reference is. */
static void write_exposure_line(const aid_report_page *page)
{
    static const char *const keywords[] = {"OBJECT", "FILTER", "DATE-OBS"};
    FILE *out = page->out;
    const aid_epoch *science = &page->result->science.epoch;
    const aid_epoch *reference = &page->result->reference.epoch;
    bool is_first = true;
    for (size_t i = 0; i < AID_COUNT_OF(keywords); i++)
        write_header_text(page, keywords[i], &is_first);
    if (is_first)
        return;
    if (science->known && isfinite(science->exposure_s)) {
        fputs(" &#183; ", out);
        aid_html_short(out, science->exposure_s);
        fputs("&#8239;s", out);
    }
    if (science->known && reference->known) {
        double days = science->mid_mjd_utc - reference->mid_mjd_utc;
        fputs(" &#183; reference ", out);
        write_duration(out, fabs(days));
        fputs(days >= 0.0 ? " earlier" : " later", out);
    }
    fputs("</p>\n", out);
}

static void write_title(const aid_report_page *page)
{
    FILE *out = page->out;
    fputs("<div class=\"brand\">AstrID &#183; difference report</div>\n<h1>", out);
    if (page->facts->title) {
        aid_html_text(out, page->facts->title);
    } else {
        aid_html_text(out, page->result->science.name);
        fputs(" &#8722; ", out);
        aid_html_text(out, page->result->reference.name);
    }
    fputs("</h1>\n", out);
}

static void write_counts(const aid_report_page *page)
{
    FILE *out = page->out;
    const aid_report_pictures *pictures = page->pictures;
    int count = pictures->clean + pictures->flagged;
    if (count == 0) {
        fputs("<b>No candidates</b> above ", out);
        aid_html_short(out, page->facts->threshold);
        fputs("&#8239;&#963;, down to a flux of ", out);
        aid_html_significant(out, page->summary->limit_flux, 3);
        if (isfinite(page->summary->limit_mag)) {
            fputs(" (", out);
            aid_html_fixed(out, page->summary->limit_mag, 2);
            fputs(" mag)", out);
        }
        fputs(" in the typical noise of ", out);
        aid_html_count(out, page->summary->histogram.total);
        fputs(" searched pixels. ", out);
        return;
    }
    fputs("<b>", out);
    aid_html_plural(out, count, "candidate");
    fputs("</b> above ", out);
    aid_html_short(out, page->facts->threshold);
    fputs("&#8239;&#963;, <b>", out);
    aid_html_count(out, pictures->clean);
    fputs(" without flags</b>. ", out);
}

/* What the measured sigma makes of the threshold that was asked for: a score that scatters by 1.1
 * has its 5 at 4.5 true sigma. */
static void write_calibration(const aid_report_page *page)
{
    static const char *const words[] = {
        [AID_CALIBRATION_GOOD] = AID_S_CORR " is calibrated",
        [AID_CALIBRATION_FAIR] = AID_S_CORR " is slightly off calibration",
        [AID_CALIBRATION_POOR] = "<b>" AID_S_CORR " is not calibrated</b>",
        [AID_CALIBRATION_UNKNOWN] = "The calibration of " AID_S_CORR " could not be measured"};
    FILE *out = page->out;
    aid_calibration calibration = page->summary->calibration;
    fputs(words[calibration], out);
    if (calibration == AID_CALIBRATION_UNKNOWN) {
        fputs(".", out);
        return;
    }
    double sigma = page->result->difference.score_sigma;
    fputs(": &#963; = ", out);
    aid_html_fixed(out, sigma, 3);
    fputs(" on sky", out);
    if (calibration != AID_CALIBRATION_GOOD) {
        fputs(", so that a stated ", out);
        aid_html_short(out, page->facts->threshold);
        fputs("&#8239;&#963; is ", out);
        aid_html_fixed(out, page->facts->threshold / sigma, 2);
        fputs("&#8239;&#963; of the noise that is there", out);
    }
    fputs(".", out);
}

/* -------------------------------------------------------------------------------------- tiles */

static void open_tile(FILE *out, const char *name, const char *explanation)
{
    fputs("<div class=\"tile\" title=\"", out);
    fputs(explanation, out);
    fputs("\"><dt>", out);
    fputs(name, out);
    fputs("</dt><dd>", out);
}

static void close_tile(FILE *out)
{
    fputs("</dd></div>\n", out);
}

static void more(FILE *out)
{
    fputs("</dd><dd class=\"more\">", out);
}

static void tile_candidates(const aid_report_page *page)
{
    FILE *out = page->out;
    const aid_candidates *candidates = &page->result->candidates;
    int rising = 0;
    for (int i = 0; i < candidates->count; i++)
        rising += candidates->items[i].polarity > 0 &&
                  !(candidates->items[i].flags & AID_FLAG_GROUP_REJECT);
    open_tile(out, "Candidates without flags",
              "Peaks of |S_corr| above the threshold that no test rejected");
    aid_html_count(out, page->pictures->clean);
    fputs(" <small>of ", out);
    aid_html_count(out, candidates->count);
    fputs("</small>", out);
    more(out);
    fputs("&#9650; ", out);
    aid_html_count(out, rising);
    fputs(" brighter, &#9660; ", out);
    aid_html_count(out, page->pictures->clean - rising);
    fputs(" fainter", out);
    close_tile(out);
}

static void tile_noise_peaks(const aid_report_page *page)
{
    FILE *out = page->out;
    open_tile(out, "Expected of noise alone",
              "Peaks of one sign above the threshold that Gaussian noise of this PSF gives in this "
              "area: expected Euler characteristic of the field");
    aid_html_significant(out, page->summary->noise_peaks, 2);
    fputs(" <small>each sign</small>", out);
    more(out);
    fputs("Gaussian noise above ", out);
    aid_html_short(out, page->facts->threshold);
    fputs("&#8239;&#963;", out);
    close_tile(out);
}

static void judge_badge(FILE *out, aid_calibration calibration)
{
    static const char *const badges[] = {
        "<span class=\"judge good\">good</span>", "<span class=\"judge warn\">fair</span>",
        "<span class=\"judge bad\">off</span>", "<span class=\"judge warn\">unknown</span>"};
    fputs(badges[calibration], out);
}

static void tile_calibration(const aid_report_page *page)
{
    FILE *out = page->out;
    const aid_difference *difference = &page->result->difference;
    open_tile(
        out, "Scatter of " AID_S_CORR " on sky",
        "1.4826 MAD of the score where nothing changed. 1 means that stated significances are "
        "true; it is measured, never applied");
    aid_html_fixed(out, difference->score_sigma, 3);
    fputs(" ", out);
    judge_badge(out, page->summary->calibration);
    more(out);
    fputs("median ", out);
    aid_html_fixed(out, difference->score_median, 3);
    fputs(", std ", out);
    aid_html_fixed(out, difference->score_std, 3);
    close_tile(out);
}

static void tile_depth(const aid_report_page *page)
{
    FILE *out = page->out;
    const aid_report_summary *summary = page->summary;
    open_tile(out, "Faintest flux",
              "Threshold times the median flux error of a point source over the searched area");
    if (isfinite(summary->limit_mag)) {
        aid_html_fixed(out, summary->limit_mag, 2);
        fputs(" <small>mag</small>", out);
        more(out);
        fputs("flux ", out);
        aid_html_significant(out, summary->limit_flux, 3);
        fputs(" in science units", out);
    } else {
        aid_html_significant(out, summary->limit_flux, 3);
        more(out);
        fputs("in the science image&#39;s unit; no zero point", out);
    }
    close_tile(out);
}

static void tile_area(const aid_report_page *page)
{
    FILE *out = page->out;
    const aid_report_summary *summary = page->summary;
    open_tile(out, "Searched", "Pixels with a score; the others are masked, or not covered");
    aid_html_fixed(out, 100.0 * (double)summary->histogram.total / (double)summary->pixels, 1);
    fputs("&#8239;<small>% of ", out);
    fprintf(out, "%d&#215;%d px</small>", page->result->science.image.width,
            page->result->science.image.height);
    more(out);
    if (isfinite(summary->searched_arcmin2)) {
        aid_html_significant(out, summary->searched_arcmin2, 4);
        fputs(" arcmin&#178; at ", out);
        aid_html_fixed(out, summary->pixel_arcsec, 3);
        fputs("&#8243;/px", out);
    } else {
        fputs("no sky scale: there is no WCS", out);
    }
    close_tile(out);
}

static void tile_seeing(const aid_report_page *page)
{
    FILE *out = page->out;
    double science = page->result->science.psf.fwhm_px, scale = page->summary->pixel_arcsec;
    double reference = page->result->reference.psf.fwhm_px;
    bool is_sky = isfinite(scale);
    open_tile(out, "Seeing (FWHM)", "Full width at half maximum of the point spread functions");
    aid_html_fixed(out, is_sky ? science * scale : science, 2);
    fputs(is_sky ? "&#8243;" : " <small>px</small>", out);
    more(out);
    fputs("reference ", out);
    aid_html_fixed(out, is_sky ? reference * scale : reference, 2);
    fputs(is_sky ? "&#8243;" : "&#8239;px", out);
    fputs(", difference ", out);
    double fwhm = page->result->difference.fwhm_px;
    aid_html_fixed(out, is_sky ? fwhm * scale : fwhm, 2);
    fputs(is_sky ? "&#8243;" : "&#8239;px", out);
    close_tile(out);
}

static void tile_ratio(const aid_report_page *page)
{
    FILE *out = page->out;
    const aid_photometric_match *match = &page->result->difference.match;
    open_tile(out, "Flux ratio",
              "Science over reference at the field centre, from matched stars, with its standard "
              "error; scatter of the stars about the fit");
    aid_html_significant(out, match->ratio, 4);
    fputs(" <small>&#177;&#8239;", out);
    aid_html_significant(out, match->ratio_err, 2);
    fputs("</small>", out);
    more(out);
    fputs("scatter ", out);
    aid_html_fixed(out, 100.0 * match->scatter, 2);
    fputs("&#8239;% over ", out);
    aid_html_plural(out, match->used, "star");
    close_tile(out);
}

static void tile_astrometry(const aid_report_page *page)
{
    FILE *out = page->out;
    const aid_registration *registration = &page->result->registration;
    double scale = page->summary->pixel_arcsec;
    open_tile(out, "Registration residual",
              "Robust rms of matched stars about the fitted transform, on one axis");
    aid_html_fixed(out, registration->rms_px, 3);
    fputs(" <small>px", out);
    if (isfinite(scale) && isfinite(registration->rms_px)) {
        fputs(" = ", out);
        aid_html_fixed(out, registration->rms_px * scale * 1000.0, 0);
        fputs("&#8239;mas", out);
    }
    fputs("</small>", out);
    more(out);
    aid_html_plural(out, registration->matched, "star");
    fputs(" by ", out);
    aid_html_text(out, registration->method);
    close_tile(out);
}

void aid_page_summary(const aid_report_page *page)
{
    FILE *out = page->out;
    fputs("<header class=\"top\">\n", out);
    write_title(page);
    write_exposure_line(page);
    fputs("<p class=\"verdict\">", out);
    write_counts(page);
    write_calibration(page);
    fputs("</p>\n<dl class=\"tiles\">\n", out);
    tile_candidates(page);
    tile_noise_peaks(page);
    tile_calibration(page);
    tile_depth(page);
    tile_area(page);
    tile_seeing(page);
    tile_ratio(page);
    tile_astrometry(page);
    fputs("</dl>\n</header>\n", out);
}

/* --------------------------------------------------------------------------------- three images */

static void write_mark(const aid_report_page *page, int rank, double radius)
{
    FILE *out = page->out;
    const aid_candidate *item = &page->result->candidates.items[page->pictures->order[rank]];
    double x = item->x - 0.5, y = page->result->science.image.height - item->y + 0.5;
    if (!isfinite(x) || !isfinite(y))
        return;
    bool is_flagged = rank >= page->pictures->clean;
    const char *class = is_flagged ? "flagged" : item->polarity < 0 ? "down" : "up";
    fprintf(out,
            "<a href=\"#%c%lld\"><title>#%lld, S = ", rank < page->pictures->pictured ? 'c' : 'r',
            (long long)item->id, (long long)item->id);
    aid_html_signed(out, item->score, 1);
    fputs("</title>", out);
    if (!is_flagged)
        fprintf(out, "<circle class=\"halo\" cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\"/>", x, y, radius);
    fprintf(out, "<circle class=\"%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\"/></a>", class, x, y,
            radius);
    if (is_flagged || rank >= 20)
        return;
    /* Beside the ring, on the side that is within the picture. */
    bool is_right = x < 0.93 * page->result->science.image.width, is_top = y < 4.0 * radius;
    fprintf(out, "<text class=\"%s\" x=\"%.1f\" y=\"%.1f\">%lld</text>", is_right ? "" : "end",
            x + (is_right ? 0.85 : -0.85) * radius, y + (is_top ? 2.2 : -0.85) * radius,
            (long long)item->id);
}

/* Drawn once, in the first picture; the others refer to it. */
static void write_marks(const aid_report_page *page)
{
    const aid_image *image = &page->result->science.image;
    const aid_report_pictures *pictures = page->pictures;
    double side = AID_MAX(image->width, image->height), radius = 0.016 * side;
    fprintf(page->out, "<g id=\"marks\" class=\"marks\" font-size=\"%.1f\">", 0.034 * side);
    int count = AID_MIN(pictures->clean + pictures->flagged, AID_REPORT_MAX_ROWS);
    for (int rank = count - 1; rank >= 0; rank--) /* the best on top */
        write_mark(page, rank, rank < pictures->clean ? radius : 0.7 * radius);
    fputs("</g>", page->out);
}

static void write_view(const aid_report_page *page, int view, const char *name)
{
    FILE *out = page->out;
    const aid_report_pictures *pictures = page->pictures;
    const aid_image *image = &page->result->science.image;
    fprintf(out,
            "<figure><div class=\"sky\"><img width=\"%d\" height=\"%d\" alt=\"%s image, y up\" "
            "src=\"",
            pictures->overview_width, pictures->overview_height, name);
    aid_html_png(out, &pictures->overview[view]);
    /* The last row and column of blocks may reach over the image's edge. */
    int factor = pictures->overview_factor;
    fprintf(out, "\"><svg viewBox=\"0 %d %d %d\" preserveAspectRatio=\"none\">",
            image->height - pictures->overview_height * factor, pictures->overview_width * factor,
            pictures->overview_height * factor);
    if (view == AID_VIEW_SCIENCE)
        write_marks(page);
    else
        fputs("<use href=\"#marks\"/>", out);
    fputs("</svg></div>", out);
}

/* Black to white, or the signed colours, as a picture of its own one pixel high would be: drawn by
 * a gradient that follows the palette. */
static void write_ramp(FILE *out)
{
    aid_palette palette;
    aid_palette_diverging(&palette);
    fputs("<svg class=\"ramp\" viewBox=\"0 0 201 4\" preserveAspectRatio=\"none\">", out);
    for (int i = 0; i < AID_LEVELS_SOUND; i += 3) {
        aid_colour c = palette.colours[i];
        fprintf(out, "<rect x=\"%d\" width=\"3.5\" height=\"4\" fill=\"#%02x%02x%02x\"/>", i, c.red,
                c.green, c.blue);
    }
    fputs("</svg>", out);
}

void aid_page_images(const aid_report_page *page)
{
    FILE *out = page->out;
    const aid_report_pictures *pictures = page->pictures;
    fputs(
        "<section id=\"images\"><h2>The three images</h2>\n<p class=\"lead\">On the pixel grid of "
        "the science image, y upwards as in DS9. ",
        out);
    if (pictures->overview_factor > 1)
        fprintf(out, "One picture pixel is the mean of %d&#215;%d. ", pictures->overview_factor,
                pictures->overview_factor);
    fputs(
        "Rings: <span class=\"rise\">&#9650; brighter</span>, <span class=\"fade\">&#9660; fainter"
        "</span> (dashed), grey for flagged; each leads to its candidate. <span class=\"key "
        "veil\"></span>Violet veil: masked, or not searched.</p>\n"
        "<input class=\"switch\" type=\"checkbox\" id=\"large\"><label for=\"large\">Full "
        "width</label><input class=\"switch\" type=\"checkbox\" id=\"plain\"><label "
        "for=\"plain\">Hide rings</label>\n<div class=\"skies\">\n",
        out);
    write_view(page, AID_VIEW_SCIENCE, "Science");
    fputs("<figcaption><b>Science</b>: zscale limits, asinh stretch</figcaption></figure>\n", out);
    write_view(page, AID_VIEW_REFERENCE, "Reference");
    fputs("<figcaption><b>Reference</b>: resampled, ", out);
    fputs(pictures->common_stretch ? "times the flux ratio, limits of the science image"
                                   : "zscale limits of its own, asinh stretch",
          out);
    fputs("</figcaption></figure>\n", out);
    write_view(page, AID_VIEW_DIFFERENCE, "Difference");
    write_ramp(out);
    fprintf(out,
            "<figcaption><b>Difference</b>: &#8722;%.0f to +%.0f&#8239;&#963; of a picture pixel; "
            "orange is brighter in science</figcaption></figure>\n</div></section>\n",
            pictures->overview_limit_sigma, pictures->overview_limit_sigma);
}
