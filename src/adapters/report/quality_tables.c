#include "adapters/report/html.h"
#include "adapters/report/quality_page.h"

#include <math.h>

/* -------------------------------------------------------------------------------------- trends */

static void write_trend(FILE *out, const aid_quality_group *group, int metric)
{
    const aid_quality_trend *trend = &group->trends[metric];
    if (trend->frames == 0)
        return;
    fprintf(out, "<tr><td>%s</td><td>%s</td><td class=\"num\">%d</td><td class=\"num\">",
            aid_quality_page_words((aid_quality_metric)metric),
            aid_quality_page_unit((aid_quality_metric)metric, group), trend->frames);
    aid_html_significant(out, trend->median, 4);
    fputs("</td><td class=\"num\">", out);
    aid_html_significant(out, trend->scatter, 2);
    fputs("</td><td class=\"num\">", out);
    if (trend->slope > 0.0)
        fputs("+", out);
    aid_html_significant(out, trend->slope, 2);
    fputs("</td><td class=\"num\">", out);
    aid_html_significant(out, trend->slope_error, 1);
    /* Three standard errors: what the scatter alone hardly ever makes. */
    bool changes = fabs(trend->slope) > 3.0 * trend->slope_error;
    fprintf(out, "</td><td>%s</td><td class=\"num\">%d</td></tr>\n",
            isnan(trend->slope) ? ""
            : changes           ? "changes"
                                : "steady",
            trend->outliers);
}

void aid_quality_page_trends(FILE *out, const aid_quality_group *group)
{
    fprintf(out,
            "<div class=\"scroll trends\"><table><thead><tr><th>what</th><th>unit</th>"
            "<th class=\"num\">frames</th><th class=\"num\">median</th><th "
            "class=\"num\">scatter</th><th class=\"num\">slope per %s</th><th "
            "class=\"num\">&#177;</th><th></th><th class=\"num\">off the "
            "trend</th></tr></thead><tbody>\n",
            group->per_night ? "night" : "hour");
    for (int metric = 0; metric < AID_QUALITY_METRICS; metric++)
        write_trend(out, group, metric);
    fputs("</tbody></table></div>\n", out);
}

/* -------------------------------------------------------------------------------------- images */

static void write_number(FILE *out, double value, int decimals)
{
    fputs("<td class=\"num\">", out);
    aid_html_fixed(out, value, decimals);
    fputs("</td>", out);
}

static void write_significant(FILE *out, double value, int digits)
{
    if (isfinite(value))
        fprintf(out, "<td class=\"num\" data-k=\"%.9g\">", value);
    else
        fputs("<td class=\"num\">", out);
    aid_html_significant(out, value, digits);
    fputs("</td>", out);
}

static void write_class(FILE *out, const aid_quality *quality)
{
    static const char *const looks[] = {"bad", "warn", "good", "good"};
    fprintf(out, "<td data-k=\"%d\"><span class=\"judge %s\">%s</span></td>", (int)quality->class,
            looks[quality->class], aid_quality_class_name(quality->class));
}

static void write_flags(FILE *out, unsigned flags)
{
    fputs("<td>", out);
    for (int i = 0; i < AID_QUALITY_FLAG_BITS; i++)
        if (flags & 1u << i)
            fprintf(out, "<span class=\"badge reject\">%s</span> ", aid_quality_flag_name(1u << i));
    fputs("</td>", out);
}

static void write_frame(FILE *out, const aid_quality_frame *frame)
{
    const aid_quality *quality = &frame->quality;
    fprintf(out, "<tr%s><td>", quality->flags ? " data-f=\"1\"" : "");
    aid_html_text(out, frame->name);
    fputs("</td><td>", out);
    aid_html_text(out, frame->object);
    fputs("</td><td>", out);
    aid_html_text(out, frame->filter);
    fputs("</td>", out);
    write_class(out, quality);
    write_number(out, quality->overall_quality_score, 3);
    write_flags(out, quality->flags);
    write_number(out, quality->fwhm_px, 2);
    write_number(out, quality->fwhm_arcsec, 2);
    write_number(out, quality->ellipticity, 3);
    write_significant(out, quality->background_level, 4);
    write_significant(out, quality->noise_level, 4);
    write_significant(out, quality->limiting_flux, 4);
    write_number(out, quality->limiting_mag, 2);
    write_number(out, quality->depth_loss_mag, 2);
    write_number(out, quality->transparency, 3);
    fprintf(out, "<td class=\"num\">%lld</td><td class=\"num\">%lld</td>",
            (long long)quality->stars, (long long)quality->cosmic_ray_count);
    write_number(out, quality->saturation_percentage, 3);
    write_number(out, quality->masked_percentage, 2);
    write_number(out, quality->flatness_score, 3);
    write_number(out, quality->alignment_accuracy_px, 3);
    fputs("</tr>\n", out);
}

void aid_quality_page_images(FILE *out, const aid_quality_report *report)
{
    fputs("<section id=\"table\"><h2>All images</h2>\n<p class=\"lead\">Click a heading to sort. "
          "Units are those of the image where none is said.</p><div class=\"tools\"></div>\n"
          "<div class=\"scroll tall\"><table class=\"sortable wide-table\"><thead><tr>"
          "<th>image</th><th>object</th><th>filter</th><th>class</th><th class=\"num\">score</th>"
          "<th>flags</th>"
          "<th class=\"num\">FWHM<small>px</small></th><th class=\"num\">FWHM<small>arcsec</small>"
          "</th><th class=\"num\">ellipticity</th><th class=\"num\">sky</th>"
          "<th class=\"num\">noise</th><th class=\"num\">limit<small>flux, 5 &#963;</small></th>"
          "<th class=\"num\">limit<small>mag, 5 &#963;</small></th>"
          "<th class=\"num\">depth lost<small>mag</small></th><th class=\"num\">transparency</th>"
          "<th class=\"num\">stars</th><th class=\"num\">hits</th>"
          "<th class=\"num\">saturated<small>%</small></th>"
          "<th class=\"num\">masked<small>%</small></th><th class=\"num\">flatness</th>"
          "<th class=\"num\">alignment<small>rms, px</small></th></tr></thead>"
          "<tbody>\n",
          out);
    for (int i = 0; i < report->series->frame_count; i++)
        write_frame(out, &report->frames[report->series->order[i]]);
    fputs("</tbody></table></div></section>\n", out);
}
