#include "adapters/report/quality_report.h"

#include "adapters/files/files.h"
#include "adapters/report/page.h"
#include "adapters/report/quality_page.h"
#include "core/base/memory.h"
#include "core/imaging/stats.h"

#include <math.h>
#include <stdlib.h>

enum { CLASSES = 4 };

typedef struct totals {
    int classes[CLASSES];
    int flagged, outliers;
    double score, fwhm_px, fwhm_arcsec, limit_mag; /* medians; NaN unknown */
} totals;

static double median_of(const aid_quality_report *report, size_t offset, double *scratch)
{
    int count = report->series->frame_count;
    for (int i = 0; i < count; i++)
        scratch[i] = *(const double *)((const char *)&report->frames[i].quality + offset);
    return aid_median_in_place_f64(scratch, count);
}

static aid_status sum_up(const aid_quality_report *report, totals *ret_totals, aid_error *err)
{
    totals all = {0};
    AID_CLEANUP(aid_free_pointer)
    double *scratch = NULL;
    int count = report->series->frame_count;
    AID_TRY(aid_new_array((size_t)count + 1, sizeof *scratch, "report", &scratch, err));
    for (int i = 0; i < count; i++) {
        all.classes[report->frames[i].quality.class]++;
        all.flagged += report->frames[i].quality.flags != 0;
        all.outliers += report->frames[i].outlier != 0;
    }
    all.score = median_of(report, offsetof(aid_quality, overall_quality_score), scratch);
    all.fwhm_px = median_of(report, offsetof(aid_quality, fwhm_px), scratch);
    all.fwhm_arcsec = median_of(report, offsetof(aid_quality, fwhm_arcsec), scratch);
    all.limit_mag = median_of(report, offsetof(aid_quality, limiting_mag), scratch);
    *ret_totals = all;
    return AID_OK;
}

/* ---------------------------------------------------------------------------------- the summary */

static void write_verdict(FILE *out, const aid_quality_report *report, const totals *all)
{
    int count = report->series->frame_count;
    bool is_first = true;
    fputs("<p class=\"verdict\"><b>", out);
    aid_html_plural(out, count, "image");
    fputs("</b>: ", out);
    for (int class = CLASSES - 1; class >= 0; class --) {
        if (!all->classes[class])
            continue;
        fprintf(out, "%s%d %s", is_first ? "" : ", ", all->classes[class],
                aid_quality_class_name((aid_quality_class) class));
        is_first = false;
    }
    fputs(". ", out);
    if (all->flagged)
        fprintf(out, "%d %s flagged. ", all->flagged, all->flagged == 1 ? "is" : "are");
    else
        fputs("None is flagged. ", out);
    if (report->failure_count) {
        fputs("<b>", out);
        aid_html_count(out, report->failure_count);
        fputs(" could not be assessed</b>.", out);
    }
    fputs("</p>\n", out);
}

static void begin_tile(FILE *out, const char *title)
{
    fprintf(out, "<div class=\"tile\"><dt>%s</dt><dd>", title);
}

static void write_tiles(FILE *out, const aid_quality_report *report, const totals *all)
{
    fputs("<dl class=\"tiles\">", out);
    begin_tile(out, "Score, median");
    aid_html_fixed(out, all->score, 2);
    fputs("</dd><dd class=\"more\">0 is useless, 1 as deep as the best</dd></div>", out);
    begin_tile(out, "Seeing, median");
    bool sky = isfinite(all->fwhm_arcsec);
    aid_html_fixed(out, sky ? all->fwhm_arcsec : all->fwhm_px, 2);
    fprintf(out, " <small>%s</small></dd><dd class=\"more\">FWHM of stars", sky ? "arcsec" : "px");
    if (sky) {
        fputs(", ", out);
        aid_html_fixed(out, all->fwhm_px, 2);
        fputs("&#8239;px", out);
    }
    fputs("</dd></div>", out);
    begin_tile(out, "Limit at 5 &#963;, median");
    aid_html_fixed(out, all->limit_mag, 2);
    fprintf(out, "%s</dd><dd class=\"more\">%s</dd></div>",
            isfinite(all->limit_mag) ? " <small>mag</small>" : "",
            isfinite(all->limit_mag) ? "of a point source" : "no zero point is known");
    begin_tile(out, "Flagged");
    fprintf(out, "%d <small>of %d</small></dd><dd class=\"more\">%d off a trend</dd></div>",
            all->flagged, report->series->frame_count, all->outliers);
    fputs("</dl>\n", out);
}

static void write_top(FILE *out, const aid_quality_report *report, const totals *all)
{
    fputs("<div class=\"top\"><div class=\"brand\">AstrID &#183; image quality</div>\n<h1>", out);
    const aid_quality_series *series = report->series;
    for (int i = 0; i < series->group_count && i < 3; i++) {
        const aid_quality_group *group = &series->groups[i];
        fputs(i ? ", " : "", out);
        aid_html_text(out, *group->instrument ? group->instrument : "unknown instrument");
        if (*group->filter) {
            fputs(" ", out);
            aid_html_text(out, group->filter);
        }
    }
    fputs(series->group_count > 3 ? ", &#8230;</h1>\n" : "</h1>\n", out);
    if (report->reference) {
        fputs("<p class=\"soft\">aligned against ", out);
        aid_html_text(out, report->reference);
        fputs("</p>\n", out);
    }
    write_verdict(out, report, all);
    write_tiles(out, report, all);
    fputs("</div>\n<nav aria-label=\"Sections\"><div>", out);
    for (int i = 0; i < series->group_count && i < 8; i++) {
        const aid_quality_group *group = &series->groups[i];
        fprintf(out, "<a href=\"#group%d\">", i + 1);
        aid_html_text(out, *group->filter       ? group->filter
                           : *group->instrument ? group->instrument
                                                : "Trends");
        fputs("</a>", out);
    }
    fputs("<a href=\"#table\">All images</a><a href=\"#meaning\">What it means</a></div></nav>\n",
          out);
}

/* ----------------------------------------------------------------------------------- the groups */

/* MJD 40587 is 1970-01-01; civil date by Hinnant's days-from-civil, in reverse. */
static void write_date(FILE *out, double mjd)
{
    long long days = (long long)floor(mjd) - 40587 + 719468;
    long long era = days / 146097, day_of_era = days - era * 146097;
    long long year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    long long day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    long long m = (5 * day_of_year + 2) / 153;
    long long day = day_of_year - (153 * m + 2) / 5 + 1, month = m < 10 ? m + 3 : m - 9;
    long long year = year_of_era + era * 400 + (month <= 2);
    int minutes = (int)((mjd - floor(mjd)) * 1440.0);
    fprintf(out, "%04lld-%02lld-%02lld %02d:%02d", year, month, day, minutes / 60, minutes % 60);
}

static void write_span(FILE *out, const aid_quality_group *group)
{
    double days = group->end_mjd_utc - group->begin_mjd_utc;
    if (!isfinite(days))
        return;
    fputs(" from ", out);
    write_date(out, group->begin_mjd_utc);
    fputs("&#8239;UT", out);
    if (!(days > 0.0))
        return;
    fputs(", over ", out);
    aid_html_significant(out, group->per_night ? days : 24.0 * days, 3);
    fputs(group->per_night ? " days" : " hours", out);
}

static void write_outliers(FILE *out, const aid_quality_report *report,
                           const aid_quality_group *group)
{
    bool is_first = true;
    for (int i = group->first; i <= group->last; i++) {
        const aid_quality_frame *frame = &report->frames[report->series->order[i]];
        if (!frame->outlier)
            continue;
        fputs(is_first ? "<p>Off the trend: " : "; ", out);
        aid_html_text(out, frame->name);
        const char *before = " (";
        for (int metric = 0; metric < AID_QUALITY_METRICS; metric++)
            if (frame->outlier >> metric & 1u) {
                fprintf(out, "%s%s", before, aid_quality_page_words((aid_quality_metric)metric));
                before = ", ";
            }
        fputs(")", out);
        is_first = false;
    }
    if (!is_first)
        fputs(".</p>\n", out);
}

static void write_group(FILE *out, const aid_quality_report *report, int index)
{
    const aid_quality_group *group = &report->series->groups[index];
    fprintf(out, "<section id=\"group%d\"><h2>", index + 1);
    aid_html_text(out, *group->instrument ? group->instrument : "Unknown instrument");
    if (*group->filter) {
        fputs(" &#183; filter ", out);
        aid_html_text(out, group->filter);
    }
    fputs("</h2>\n<p class=\"lead\">", out);
    aid_html_plural(out, group->frames, "frame");
    write_span(out, group);
    fputs(". ", out);
    fputs(group->best_rate > 0.0
              ? "Scores are relative to the best depth of these frames.</p>\n"
              : "Too few to be their own measure: scores are relative to what a good frame of "
                "such a camera and exposure would reach.</p>\n",
          out);
    if (group->frames >= AID_QUALITY_GROUP_LEAST) {
        write_outliers(out, report, group);
        aid_quality_page_plots(out, report, index);
        aid_quality_page_trends(out, group);
    }
    fputs("</section>\n", out);
}

/* -------------------------------------------------------------------------------------- the rest
 */

static void write_meaning(FILE *out)
{
    fputs("<section id=\"meaning\"><h2>What it means</h2>\n"
          "<p>The <b>score</b> is the limiting flux of the best frames divided by that of this one "
          "(both for equal exposures, outside clouds), times what makes even a deep frame less "
          "useful: 1/(1+(<i>e</i>/0.3)<sup>3</sup>) for an ellipticity <i>e</i>, the share of "
          "pixels that are not masked, 1/(1+20&#8239;<i>s</i>) for a share <i>s</i> of saturated "
          "ones, and <i>n</i>/(<i>n</i>+2) for <i>n</i> stars. From 0.75 on it is excellent, from "
          "0.5 good, from 0.25 fair: a point source has to be 0.3, 0.75 or 1.5 mag brighter to be "
          "found than in the best frame.</p>\n"
          "<p><b>Limit</b>: flux of a point source that the PSF-weighted sum finds at 5 &#963;. "
          "<b>Transparency</b>: median flux of the stars that frames of one field share, relative "
          "to the clearest tenth. <b>Flatness</b>: 1 where the sky has no structure larger than an "
          "eighth of the image, &#189; where it is as strong as the noise of one pixel. "
          "<b>Trends</b> are medians of the slopes of all pairs of frames; a frame is <b>off the "
          "trend</b> when it leaves the line by 5 times the scatter. <b>Hits</b> are cosmic rays, "
          "connected pixels counted once.</p></section>\n",
          out);
}

static void write_lists(FILE *out, const aid_quality_report *report)
{
    if (report->failure_count)
        fputs("<section id=\"failed\"><h2>Not assessed</h2><ul class=\"notes\">\n", out);
    for (int i = 0; i < report->failure_count; i++) {
        fputs("<li><span class=\"badge reject\">failed</span><span>", out);
        aid_html_text(out, report->failures[i].reason);
        fputs(" <span class=\"soft\">", out);
        aid_html_text(out, report->failures[i].path);
        fputs("</span></span></li>\n", out);
    }
    if (report->failure_count)
        fputs("</ul></section>\n", out);
    if (!report->notes || report->notes->count == 0)
        return;
    fputs("<section id=\"notes\"><h2>Remarks</h2><ul class=\"notes\">\n", out);
    for (int i = 0; i < report->notes->count; i++) {
        fputs("<li><span class=\"badge\">", out);
        aid_html_text(out, report->notes->items[i].stage);
        fputs("</span><span>", out);
        aid_html_text(out, report->notes->items[i].text);
        fputs("</span></li>\n", out);
    }
    fputs("</ul></section>\n", out);
}

static void write_page(FILE *out, const aid_quality_report *report, const totals *all)
{
    aid_page_head_titled(out, "Image quality", "AstrID report");
    fputs("<body>\n", out);
    write_top(out, report, all);
    fputs("<main>\n", out);
    for (int i = 0; i < report->series->group_count; i++)
        write_group(out, report, i);
    aid_quality_page_images(out, report);
    write_meaning(out);
    write_lists(out, report);
    fputs("</main>\n<footer>", out);
    if (report->program_version) {
        aid_html_text(out, report->program_version);
        fputs(" &#183; ", out);
    }
    fputs("This page is one file and loads nothing from elsewhere.</footer>\n", out);
    aid_page_script_to(out);
    fputs("</body>\n</html>\n", out);
}

aid_status aid_quality_report_write(const aid_quality_report *report, const char *path,
                                    aid_error *err)
{
    totals all;
    AID_TRY(sum_up(report, &all, err));
    aid_new_file *file;
    AID_TRY(aid_new_file_open(path, &file, err));
    write_page(aid_new_file_stream(file), report, &all);
    return aid_new_file_commit(file, err);
}
