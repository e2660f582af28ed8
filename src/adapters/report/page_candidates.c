#include "adapters/report/page.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

static const double pi = 3.14159265358979323846;

/* ---------------------------------------------------------------------------------------- flags */

static const struct {
    unsigned flag;
    const char *text, *explanation;
} flag_texts[] = {
    {AID_FLAG_EDGE, "edge", "So near the edge of the image that part of its footprint is missing"},
    {AID_FLAG_SATURATED_NEIGHBOUR, "saturated neighbour",
     "Saturated pixels are near: the subtraction cannot be trusted here"},
    {AID_FLAG_MASKED, "masked", "Too large a fraction of its footprint is masked"},
    {AID_FLAG_DIPOLE, "dipole",
     "A positive and a negative peak side by side: misregistration, or proper motion"},
    {AID_FLAG_COSMIC_RAY, "cosmic ray", "Sharper than the PSF in one image"},
    {AID_FLAG_BAD_COLUMN, "bad column", "Lies along a bad column or row"},
    {AID_FLAG_BRIGHT_STAR_RESIDUAL, "bright star residual",
     "No larger than what bright stars leave behind by PSF error"},
    {AID_FLAG_BAD_SHAPE, "bad shape", "Does not look like the PSF: a trail or an artefact"},
    {AID_FLAG_MOVING, "moving", "The motion statistic beats the score: motion or misregistration"},
    {AID_FLAG_NEAR_SOURCE, "near source",
     "A source of the reference lies within 1.5 FWHM: a host, or the variable itself"},
    {AID_FLAG_VARIABLE, "variable", "Coincides with a star of the reference"},
    {AID_FLAG_EXTENDED, "extended", "Broader than the PSF"},
};

static void write_badges(FILE *out, unsigned flags)
{
    for (size_t i = 0; i < AID_COUNT_OF(flag_texts); i++) {
        if (!(flags & flag_texts[i].flag))
            continue;
        fprintf(out, "<span class=\"badge%s\" title=\"",
                flag_texts[i].flag & AID_FLAG_GROUP_REJECT ? " reject" : "");
        fputs(flag_texts[i].explanation, out);
        fputs("\">", out);
        fputs(flag_texts[i].text, out);
        fputs("</span> ", out);
    }
}

/* ------------------------------------------------------------------------- marks on the cut-outs
 */

/* An arrow from (x, y) along `direction_deg` (counter-clockwise from +x, y up) with a letter. */
static void write_arrow(FILE *out, double x, double y, double direction_deg, double length,
                        char letter)
{
    double ux = cos(direction_deg * pi / 180.0), uy = -sin(direction_deg * pi / 180.0);
    double tip_x = x + ux * length, tip_y = y + uy * length, barb = 0.28 * length;
    fprintf(out, "<path d=\"M%.1f %.1fL%.1f %.1fM%.1f %.1fL%.1f %.1fL%.1f %.1f\"/>", x, y, tip_x,
            tip_y, tip_x - barb * (ux + 0.6 * uy), tip_y - barb * (uy - 0.6 * ux), tip_x, tip_y,
            tip_x - barb * (ux - 0.6 * uy), tip_y - barb * (uy + 0.6 * ux));
    fprintf(out, "<text class=\"mid\" x=\"%.1f\" y=\"%.1f\">%c</text>", x + ux * 1.5 * length,
            y + uy * 1.5 * length + 0.3 * length, letter);
}

/* Both arrows in the lower left corner, however the sky lies: the middle of the two is centred. */
static void write_compass(FILE *out, double side, double north_deg, double east_deg)
{
    double north = north_deg * pi / 180.0, east = east_deg * pi / 180.0, length = 0.11 * side;
    double x = 0.19 * side - 0.6 * length * (cos(north) + cos(east));
    double y = 0.81 * side + 0.6 * length * (sin(north) + sin(east));
    write_arrow(out, x, y, north_deg, length, 'N');
    write_arrow(out, x, y, east_deg, length, 'E');
}

/* The longest round length that takes up to a third of the side, in arcsec or, without a WCS, px.
 */
static void write_scale_bar(FILE *out, double side, double pixel_arcsec)
{
    bool is_sky = isfinite(pixel_arcsec) && pixel_arcsec > 0.0;
    double longest = side / 3.0 * (is_sky ? pixel_arcsec : 1.0);
    double power = pow(10.0, floor(log10(longest)));
    double round = longest >= 5.0 * power   ? 5.0 * power
                   : longest >= 2.0 * power ? 2.0 * power
                                            : power;
    double length = round / (is_sky ? pixel_arcsec : 1.0), right = 0.95 * side, y = 0.94 * side;
    fprintf(out, "<path d=\"M%.2f %.2fH%.2f\"/><text class=\"mid\" x=\"%.2f\" y=\"%.2f\">",
            right - length, y, right, right - 0.5 * length, y - 0.03 * side);
    aid_html_significant(out, round, 1);
    fputs(is_sky ? "&#8243;</text>" : " px</text>", out);
}

static void write_overlay(const aid_report_page *page, const aid_candidate *item,
                          const aid_candidate_pictures *cut, int view)
{
    FILE *out = page->out;
    double side = 2 * cut->half + 1;
    /* Within the cut-out: its middle pixel is centred on half + 0.5, and y runs down. */
    double x = item->x - 1.0 - cut->x + cut->half + 0.5;
    double y = cut->y - (item->y - 1.0) + cut->half + 0.5;
    double gap = fmax(1.3 * page->result->difference.fwhm_px, 3.0), arm = 0.13 * side;
    fprintf(out, "<svg class=\"over%s\" viewBox=\"0 0 %.0f %.0f\" font-size=\"%.1f\">",
            view >= AID_VIEW_DIFFERENCE ? " signed" : "", side, side, 0.1 * side);
    bool is_first = view == AID_VIEW_SCIENCE;
    if (isfinite(x) && isfinite(y) && isfinite(gap))
        fprintf(out, "<path d=\"M%.1f %.1fh%.1fM%.1f %.1fv%.1f\"/>", x + gap, y, arm, x, y - gap,
                -arm);
    double north, east;
    if (is_first && page->result->science.wcs &&
        aid_wcs_directions(page->result->science.wcs, cut->x, cut->y, &north, &east)) {
        write_compass(out, side, north, east);
    }
    if (is_first)
        write_scale_bar(out, side, page->summary->pixel_arcsec);
    fputs("</svg>", out);
}

static void write_cut(const aid_report_page *page, int rank, int view)
{
    static const char *const names[] = {"science", "reference", "difference", "score"};
    FILE *out = page->out;
    const aid_candidate_pictures *cut = &page->pictures->cuts[rank];
    const aid_candidate *item = &page->result->candidates.items[page->pictures->order[rank]];
    int side = 2 * cut->half + 1;
    fprintf(out,
            "<figure><div class=\"sky\"><img width=\"%d\" height=\"%d\" alt=\"%s around candidate "
            "%" PRId64 "\" src=\"",
            side, side, names[view], item->id);
    aid_html_png(out, &cut->png[view]);
    fputs("\">", out);
    write_overlay(page, item, cut, view);
    fputs("</div><figcaption>", out);
    if (view == AID_VIEW_DIFFERENCE)
        fprintf(out, "<i>D</i>, &#177;%.1f&#8239;&#963;", cut->difference_limit_sigma);
    else if (view == AID_VIEW_SCORE)
        fprintf(out, AID_S_CORR ", &#177;%.1f", cut->score_limit);
    else
        fputs(names[view], out);
    fputs("</figcaption></figure>\n", out);
}

/* ---------------------------------------------------------------------------------------- cards */

static void open_fact(FILE *out, const char *name, const char *explanation, bool is_wide)
{
    fputs(is_wide ? "<div class=\"wide\" title=\"" : "<div title=\"", out);
    fputs(explanation, out);
    fputs("\"><dt>", out);
    fputs(name, out);
    fputs("</dt><dd>", out);
}

static void close_fact(FILE *out)
{
    fputs("</dd></div>\n", out);
}

static void write_position(FILE *out, const aid_candidate *item)
{
    char ra[16], dec[16];
    aid_sexagesimal(item->ra_deg, item->dec_deg, ra, dec);
    if (ra[0]) {
        open_fact(out, "RA, Dec (ICRS)", "Right ascension and declination of the PSF fit", true);
        fprintf(out, "%s %s<br><span class=\"soft\">%.6f&#176; %+.6f&#176;</span>", ra, dec,
                item->ra_deg, item->dec_deg);
        close_fact(out);
    }
    open_fact(out, "x, y", "FITS pixels of the science image: the first is 1, 1", false);
    aid_html_fixed(out, item->x, 2);
    fputs(", ", out);
    aid_html_fixed(out, item->y, 2);
    close_fact(out);
}

static void write_flux(FILE *out, const aid_candidate *item)
{
    open_fact(out, "S/N", "Flux over its error", false);
    aid_html_fixed(out, item->snr, 1);
    close_fact(out);
    open_fact(out, "Flux", "PSF fit in the difference, in the science image&#39;s unit", false);
    aid_html_significant(out, item->flux, 4);
    fputs(" &#177;&#8239;", out);
    aid_html_significant(out, item->flux_err, 2);
    close_fact(out);
    if (isfinite(item->mag)) {
        open_fact(out, "Magnitude", "Of the size of the flux difference", false);
        aid_html_fixed(out, item->mag, 3);
        fputs(" &#177;&#8239;", out);
        aid_html_fixed(out, item->mag_err, 3);
        close_fact(out);
    }
}

static void write_number_fact(FILE *out, const char *name, const char *explanation, double value,
                              int decimals)
{
    open_fact(out, name, explanation, false);
    aid_html_fixed(out, value, decimals);
    close_fact(out);
}

static void write_shape(const aid_report_page *page, const aid_candidate *item)
{
    FILE *out = page->out;
    open_fact(out, "FWHM", "Of the candidate in D; the PSF of D in brackets", false);
    aid_html_fixed(out, item->fwhm_px, 2);
    fputs(" (", out);
    aid_html_fixed(out, page->result->difference.fwhm_px, 2);
    fputs(")&#8239;px", out);
    close_fact(out);
    write_number_fact(out, "Ellipticity", "1 - b/a, in D", item->ellipticity, 2);
    write_number_fact(out, "&#967;&#178; of PSF fit", "Reduced; about 1 for a point source",
                      item->chi2, 2);
    write_number_fact(
        out, "Motion Z&#178;",
        "Chi-squared with 2 degrees of freedom where nothing changed or moved; a sign "
        "of motion where it is more significant than the score squared",
        item->motion, 1);
    open_fact(out, "Nearest source", "Of the reference; a dash: none within 30 px", false);
    aid_html_fixed(out, item->distance_px, 2);
    fputs(isfinite(item->distance_px) ? "&#8239;px" : "", out);
    close_fact(out);
    if (isfinite(item->p_real))
        write_number_fact(out, "P(real)", "Of the classifier", item->p_real, 3);
}

static void write_card(const aid_report_page *page, int rank)
{
    FILE *out = page->out;
    const aid_candidate *item = &page->result->candidates.items[page->pictures->order[rank]];
    fprintf(out, "<article class=\"card\" id=\"c%" PRId64 "\"><header><h3>#%" PRId64 "</h3>",
            item->id, item->id);
    fputs(item->polarity < 0 ? "<span class=\"fade\">&#9660; fainter</span> "
                             : "<span class=\"rise\">&#9650; brighter</span> ",
          out);
    write_badges(out, item->flags);
    fputs("<span class=\"score\" title=\"Peak of the corrected score\">" AID_S_CORR " ", out);
    aid_html_signed(out, item->score, 1);
    fputs("</span></header>\n<div class=\"cuts\">\n", out);
    for (int view = 0; view < AID_VIEWS; view++)
        write_cut(page, rank, view);
    fputs("</div>\n<dl class=\"facts\">\n", out);
    write_position(out, item);
    write_flux(out, item);
    write_shape(page, item);
    fputs("</dl></article>\n", out);
}

static void write_cards(const aid_report_page *page, int begin, int end)
{
    int last = AID_MIN(end, page->pictures->pictured);
    if (begin < last) {
        fputs("<div class=\"cards\">\n", page->out);
        for (int rank = begin; rank < last; rank++)
            write_card(page, rank);
        fputs("</div>\n", page->out);
    }
    int without = end - AID_MAX(begin, last);
    if (without > 0) {
        fputs("<p class=\"soft\">", page->out);
        aid_html_count(page->out, without);
        fprintf(page->out,
                " more without pictures: a report shows %d at most. They are in the <a "
                "href=\"#table\">table</a>.</p>\n",
                AID_REPORT_MAX_PICTURED);
    }
}

static void write_nothing_found(const aid_report_page *page)
{
    FILE *out = page->out;
    const aid_report_summary *summary = page->summary;
    fputs("<div class=\"empty\"><p>Nothing without flags stands out above ", out);
    aid_html_short(out, page->facts->threshold);
    fputs("&#8239;&#963;.</p><p>Searched: ", out);
    aid_html_count(out, summary->histogram.total);
    fputs(" pixels", out);
    if (isfinite(summary->searched_arcmin2)) {
        fputs(" (", out);
        aid_html_significant(out, summary->searched_arcmin2, 4);
        fputs(" arcmin&#178;)", out);
    }
    fputs(", for brighter and for fainter point sources, down to a flux of ", out);
    aid_html_significant(out, summary->limit_flux, 3);
    fputs(" in the science image&#39;s unit", out);
    if (isfinite(summary->limit_mag)) {
        fputs(" (", out);
        aid_html_fixed(out, summary->limit_mag, 2);
        fputs(" mag)", out);
    }
    fputs(" where the noise is typical. Noise alone would give ", out);
    aid_html_significant(out, summary->noise_peaks, 2);
    fputs(" peaks of each sign.</p></div>\n", out);
}

void aid_page_candidates(const aid_report_page *page)
{
    FILE *out = page->out;
    const aid_report_pictures *pictures = page->pictures;
    fputs("<section id=\"candidates\"><h2>Candidates</h2>\n", out);
    if (pictures->clean > 0)
        fputs("<p class=\"lead\">By decreasing |" AID_S_CORR "|. Science and reference share one "
              "asinh stretch, the reference times the flux ratio; <i>D</i> in units of its sky "
              "scatter. The two arms point at the candidate.</p>\n",
              out);
    else
        write_nothing_found(page);
    write_cards(page, 0, pictures->clean);
    if (pictures->flagged > 0) {
        fputs("<details><summary>", out);
        aid_html_plural(out, pictures->flagged, "flagged candidate");
        fputs(": kept, not counted as finds</summary>\n", out);
        write_cards(page, pictures->clean, pictures->clean + pictures->flagged);
        fputs("</details>\n", out);
    }
    fputs("</section>\n", out);
}

/* ---------------------------------------------------------------------------------------- table */

typedef enum cell_kind { CELL_DOUBLE, CELL_INT64, CELL_INT, CELL_FLAGS } cell_kind;

static const struct {
    const char *name, *unit, *explanation;
    size_t offset;
    cell_kind kind;
    int digits; /* decimals; negative: so many significant digits */
} columns[] = {
    {"id", "", "By decreasing |score|", offsetof(aid_candidate, id), CELL_INT64, 0},
    {"score", "&#963;", "Peak of S_corr, signed", offsetof(aid_candidate, score), CELL_DOUBLE, 2},
    {"snr", "", "|flux| / flux_err", offsetof(aid_candidate, snr), CELL_DOUBLE, 2},
    {"x", "px", "FITS pixel, from 1", offsetof(aid_candidate, x), CELL_DOUBLE, 2},
    {"y", "px", "FITS pixel, from 1", offsetof(aid_candidate, y), CELL_DOUBLE, 2},
    {"ra", "deg", "ICRS", offsetof(aid_candidate, ra_deg), CELL_DOUBLE, 6},
    {"dec", "deg", "ICRS", offsetof(aid_candidate, dec_deg), CELL_DOUBLE, 6},
    {"flux", "sci. unit", "PSF fit in D", offsetof(aid_candidate, flux), CELL_DOUBLE, -5},
    {"flux_err", "sci. unit", "Standard error", offsetof(aid_candidate, flux_err), CELL_DOUBLE, -3},
    {"mag", "mag", "Of |flux|", offsetof(aid_candidate, mag), CELL_DOUBLE, 3},
    {"mag_err", "mag", "Standard error", offsetof(aid_candidate, mag_err), CELL_DOUBLE, 3},
    {"flags", "", "What was noticed", offsetof(aid_candidate, flags), CELL_FLAGS, 0},
    {"polarity", "", "+1 brighter, -1 fainter", offsetof(aid_candidate, polarity), CELL_INT, 0},
    {"p_real", "", "Of the classifier", offsetof(aid_candidate, p_real), CELL_DOUBLE, 3},
    {"fwhm", "px", "In D", offsetof(aid_candidate, fwhm_px), CELL_DOUBLE, 2},
    {"ellipticity", "", "1 - b/a", offsetof(aid_candidate, ellipticity), CELL_DOUBLE, 2},
    {"theta", "deg", "Counter-clockwise from +x", offsetof(aid_candidate, theta_deg), CELL_DOUBLE,
     1},
    {"position_angle", "deg", "East of north", offsetof(aid_candidate, position_angle_deg),
     CELL_DOUBLE, 1},
    {"npix", "px", "Connected pixels above 2.5 sigma", offsetof(aid_candidate, npix), CELL_INT64,
     0},
    {"peak", "sci. unit", "Of D", offsetof(aid_candidate, peak), CELL_DOUBLE, -4},
    {"background", "sci. unit", "Of D around it", offsetof(aid_candidate, background), CELL_DOUBLE,
     -3},
    {"noise", "sci. unit", "Of D around it", offsetof(aid_candidate, noise), CELL_DOUBLE, -3},
    {"motion", "", "Z^2, chi-squared with 2 degrees of freedom", offsetof(aid_candidate, motion),
     CELL_DOUBLE, 2},
    {"chi2", "", "Reduced, of the PSF fit", offsetof(aid_candidate, chi2), CELL_DOUBLE, 2},
    {"cosmic_ray_ratio", "", "Significance as one pixel over that as a PSF",
     offsetof(aid_candidate, cosmic_ray_ratio), CELL_DOUBLE, 2},
    {"masked", "", "Fraction of its footprint", offsetof(aid_candidate, masked_fraction),
     CELL_DOUBLE, 2},
    {"distance", "px", "To the nearest reference source", offsetof(aid_candidate, distance_px),
     CELL_DOUBLE, 2},
};

static void write_value(FILE *out, const aid_candidate *item, size_t column)
{
    const char *at = (const char *)item + columns[column].offset;
    double real;
    int64_t whole;
    int small;
    switch (columns[column].kind) {
    case CELL_DOUBLE:
        memcpy(&real, at, sizeof real);
        if (columns[column].digits < 0 && isfinite(real))
            fprintf(out, "%.*g", -columns[column].digits, real);
        else
            aid_html_fixed(out, real, columns[column].digits);
        break;
    case CELL_INT64:
        memcpy(&whole, at, sizeof whole);
        fprintf(out, "%" PRId64, whole);
        break;
    case CELL_INT:
        memcpy(&small, at, sizeof small);
        fprintf(out, "%+d", small);
        break;
    case CELL_FLAGS:
        write_badges(out, item->flags);
        break;
    }
}

/* Columns that no candidate fills (no WCS, no zero point, no model) are left out. */
static bool column_is_empty(const aid_candidates *candidates, size_t column)
{
    if (columns[column].kind != CELL_DOUBLE)
        return false;
    for (int i = 0; i < candidates->count; i++) {
        double value;
        memcpy(&value, (const char *)&candidates->items[i] + columns[column].offset, sizeof value);
        if (isfinite(value))
            return false;
    }
    return true;
}

static void write_row(const aid_report_page *page, int rank, const bool *is_empty)
{
    FILE *out = page->out;
    const aid_candidate *item = &page->result->candidates.items[page->pictures->order[rank]];
    fprintf(out, "<tr id=\"r%" PRId64 "\"%s>", item->id,
            rank >= page->pictures->clean ? " data-f=\"1\"" : "");
    for (size_t i = 0; i < AID_COUNT_OF(columns); i++) {
        if (is_empty[i])
            continue;
        fputs(columns[i].kind == CELL_FLAGS ? "<td>" : "<td class=\"num\">", out);
        bool is_link = i == 0 && rank < page->pictures->pictured;
        if (is_link)
            fprintf(out, "<a href=\"#c%" PRId64 "\">", item->id);
        write_value(out, item, i);
        fputs(is_link ? "</a></td>" : "</td>", out);
    }
    fputs("</tr>\n", out);
}

void aid_page_table(const aid_report_page *page)
{
    FILE *out = page->out;
    int count = page->pictures->clean + page->pictures->flagged;
    int rows = AID_MIN(count, AID_REPORT_MAX_ROWS);
    if (count == 0)
        return;
    fputs("<section id=\"table\"><h2>All candidates</h2>\n<p class=\"lead\">Every column as in "
          "candidates.fits and candidates.csv; clean ones first.",
          out);
    if (rows < count) {
        fprintf(out, " The first %d of ", rows);
        aid_html_count(out, count);
        fputs(" are shown here; all are in those files.", out);
    }
    fputs("</p>\n<div class=\"tools\"></div>\n<div class=\"scroll tall\" tabindex=\"0\"><table "
          "class=\"wide-table sortable\"><thead><tr>",
          out);
    bool is_empty[AID_COUNT_OF(columns)];
    for (size_t i = 0; i < AID_COUNT_OF(columns); i++) {
        is_empty[i] = column_is_empty(&page->result->candidates, i);
        if (is_empty[i])
            continue;
        fprintf(out, "<th%s title=\"%s\">%s<small>%s</small></th>",
                columns[i].kind == CELL_FLAGS ? "" : " class=\"num\"", columns[i].explanation,
                columns[i].name, columns[i].unit);
    }
    fputs("</tr></thead><tbody>\n", out);
    for (int rank = 0; rank < rows; rank++)
        write_row(page, rank, is_empty);
    fputs("</tbody></table></div></section>\n", out);
}
