#include "adapters/report/page.h"

#include <math.h>

/* ---------------------------------------------------------------------------------------- notes */

void aid_page_notes(const aid_report_page *page)
{
    FILE *out = page->out;
    const aid_notes *notes = &page->result->notes;
    fputs(
        "<section id=\"notes\"><h2>Remarks</h2>\n<p class=\"lead\">What was assumed, and what was "
        "fallen back to.</p>\n",
        out);
    if (notes->count < 1)
        fputs("<p>None: nothing had to be assumed.</p>\n", out);
    fputs("<ul class=\"notes\">\n", out);
    for (int i = 0; i < AID_MIN(notes->count, AID_MAX_NOTES); i++) {
        fputs("<li><span class=\"badge\">", out);
        aid_html_text(out, notes->items[i].stage);
        fputs("</span><span>", out);
        aid_html_text(out, notes->items[i].text);
        fputs("</span></li>\n", out);
    }
    fputs("</ul></section>\n", out);
}

/* ------------------------------------------------------------------------------------ the header
 */

static const struct {
    const char *name;
    const char *keywords[5]; /* the first that is there */
} header_facts[] = {
    {"Object", {"OBJECT", "TARGET", "FIELD"}},
    {"Start of exposure", {"DATE-OBS", "MJD-OBS"}},
    {"Exposure time", {"EXPTIME", "EXPOSURE", "TEXPTIME"}},
    {"Filter", {"FILTER", "FILTER1", "BAND", "FILTNAM"}},
    {"Telescope", {"TELESCOP", "OBSERVAT"}},
    {"Instrument", {"INSTRUME", "CAMERA", "DETECTOR"}},
    {"Airmass", {"AIRMASS", "SECZ"}},
    {"Unit", {"BUNIT"}},
    {"Observer", {"OBSERVER", "AUTHOR"}},
};

static const char *first_text(const aid_header *header, const char *const *keywords)
{
    for (; *keywords; keywords++) {
        const char *text = aid_header_text(header, *keywords);
        if (text && *text)
            return text;
    }
    return NULL;
}

static void write_header_rows(const aid_report_page *page)
{
    FILE *out = page->out;
    const aid_header *science = &page->result->science.header;
    const aid_header *reference = &page->result->reference.header;
    for (size_t i = 0; i < AID_COUNT_OF(header_facts); i++) {
        const char *left = first_text(science, header_facts[i].keywords);
        const char *right = first_text(reference, header_facts[i].keywords);
        if (!left && !right)
            continue;
        fprintf(out, "<tr><th>%s</th><td>", header_facts[i].name);
        aid_html_text(out, left);
        fputs("</td><td>", out);
        aid_html_text(out, right);
        fputs("</td></tr>\n", out);
    }
}

static void write_epoch(FILE *out, const aid_epoch *epoch)
{
    fputs("<td>", out);
    if (epoch->known)
        fprintf(out, "%.6f", epoch->mid_mjd_utc);
    else
        fputs("unknown", out);
    if (epoch->warning[0]) {
        fputs(" <span class=\"soft\">", out);
        aid_html_text(out, epoch->warning);
        fputs("</span>", out);
    }
    fputs("</td>", out);
}

static void write_exposures(const aid_report_page *page)
{
    FILE *out = page->out;
    const aid_process_result *result = page->result;
    fputs("<section id=\"exposures\"><h2>The two exposures</h2>\n<p class=\"lead\">From their "
          "headers, as they came.</p>\n<div class=\"scroll\"><table><thead><tr><th></th>"
          "<th>Science</th><th>Reference</th></tr></thead><tbody>\n<tr><th>Name</th><td>",
          out);
    aid_html_text(out, result->science.name);
    fputs("</td><td>", out);
    aid_html_text(out, result->reference.name);
    fputs("</td></tr>\n", out);
    write_header_rows(page);
    fputs("<tr title=\"Modified Julian date, UTC\"><th>Middle of exposure, MJD</th>", out);
    write_epoch(out, &result->science.epoch);
    write_epoch(out, &result->reference.epoch);
    fputs("</tr>\n", out);
    if (result->science.epoch.known && result->reference.epoch.known)
        fprintf(out, "<tr><th>Science after reference</th><td colspan=\"2\">%.4f d</td></tr>\n",
                result->science.epoch.mid_mjd_utc - result->reference.epoch.mid_mjd_utc);
    fprintf(out, "<tr><th>Stars measured</th><td>%d</td><td>%d</td></tr>\n",
            result->science.stars.count, result->reference.stars.count);
    fputs("</tbody></table></div></section>\n", out);
}

/* --------------------------------------------------------------------------------- in, out, how */

static void write_hash(FILE *out, const char *sha256)
{
    if (!sha256 || !sha256[0])
        return;
    fputs("<br><code class=\"hash\" title=\"SHA-256 of the file\">", out);
    aid_html_text(out, sha256);
    fputs("</code>", out);
}

static void write_files(const aid_report_page *page)
{
    FILE *out = page->out;
    const aid_report_facts *facts = page->facts;
    fputs(
        "<div class=\"scroll\"><table><thead><tr><th>Role</th><th>File and SHA-256</th><th>HDU</th>"
        "</tr></thead><tbody>\n",
        out);
    for (int i = 0; i < facts->input_count; i++) {
        const aid_report_input *input = &facts->inputs[i];
        fputs("<tr><th>", out);
        aid_html_text(out, input->role);
        fputs("</th><td><code>", out);
        aid_html_text(out, input->path);
        fputs("</code>", out);
        write_hash(out, input->sha256);
        fputs("</td><td>", out);
        if (input->hdu >= 0)
            fprintf(out, "%d ", input->hdu);
        aid_html_text(out, input->hdu_name);
        fputs("</td></tr>\n", out);
    }
    for (int i = 0; i < facts->output_count; i++) {
        fputs("<tr><th>output</th><td><code>", out);
        aid_html_text(out, facts->outputs[i].path);
        fputs("</code> <span class=\"soft\">", out);
        aid_html_text(out, facts->outputs[i].contents);
        fputs("</span></td><td></td></tr>\n", out);
    }
    fputs("</tbody></table></div>\n", out);
}

static void write_parameters(const aid_report_page *page)
{
    FILE *out = page->out;
    const aid_report_facts *facts = page->facts;
    if (facts->parameter_count < 1)
        return;
    fputs("<h3>Parameters</h3>\n<div class=\"scroll\"><table><thead><tr><th>Name</th><th>Value</th>"
          "<th>From</th></tr></thead><tbody>\n",
          out);
    for (int i = 0; i < facts->parameter_count; i++) {
        fputs("<tr><th>", out);
        aid_html_text(out, facts->parameters[i].name);
        fputs("</th><td>", out);
        aid_html_text(out, facts->parameters[i].value);
        fputs("</td><td class=\"soft\">", out);
        aid_html_text(out, facts->parameters[i].origin);
        fputs("</td></tr>\n", out);
    }
    fputs("</tbody></table></div>\n", out);
}

static void write_program(const aid_report_page *page)
{
    FILE *out = page->out;
    const aid_report_facts *facts = page->facts;
    fputs("<div class=\"scroll\"><table>\n<tr><th>Program</th><td>", out);
    aid_html_text(out, facts->program_version);
    fputs("</td></tr>\n<tr><th>Command</th><td><code>", out);
    aid_html_text(out, facts->command_line);
    fputs("</code></td></tr>\n", out);
    if (facts->created_utc) {
        fputs("<tr><th>Written</th><td>", out);
        aid_html_text(out, facts->created_utc);
        fputs(" UTC</td></tr>\n", out);
    }
    fprintf(out, "<tr><th>Threads</th><td>%d</td></tr>\n", facts->threads);
    fputs("<tr><th>Threshold</th><td>|" AID_S_CORR "| &#8805; ", out);
    aid_html_short(out, facts->threshold);
    fputs("</td></tr>\n</table></div>\n", out);
}

/* ----------------------------------------------------------------------------------------- time */

static double positive(double value)
{
    return value > 0.0 && isfinite(value) ? value : 0.0;
}

static void write_stage(FILE *out, const aid_report_stage *stage, double longest)
{
    fputs("<tr><th>", out);
    aid_html_text(out, stage->name);
    fprintf(out,
            "</th><td><svg viewBox=\"0 0 200 16\" preserveAspectRatio=\"none\"><rect y=\"1\" "
            "width=\"%.1f\" height=\"8\"/><rect class=\"cpu\" y=\"10\" width=\"%.1f\" "
            "height=\"5\"/></svg></td><td class=\"num\">",
            200.0 * positive(stage->wall_s) / longest, 200.0 * positive(stage->cpu_s) / longest);
    aid_html_fixed(out, stage->wall_s, 3);
    fputs("</td><td class=\"num\">", out);
    aid_html_fixed(out, stage->cpu_s, 3);
    fputs("</td><td class=\"num\">", out);
    aid_html_fixed(out, stage->peak_mb, 0);
    fputs("</td></tr>\n", out);
}

static void write_timing(const aid_report_page *page)
{
    FILE *out = page->out;
    const aid_report_facts *facts = page->facts;
    double longest = 1e-9, cpu = 0.0, wall = 0.0;
    for (int i = 0; i < facts->stage_count; i++) {
        longest = fmax(longest,
                       fmax(positive(facts->stages[i].wall_s), positive(facts->stages[i].cpu_s)));
        cpu += positive(facts->stages[i].cpu_s);
        wall += positive(facts->stages[i].wall_s);
    }
    if (facts->stage_count < 1)
        return;
    fputs("<h3>Where the time went</h3>\n<div class=\"scroll\"><table class=\"timing\"><thead><tr>"
          "<th>Stage</th><th></th><th class=\"num\">wall<small>s</small></th><th class=\"num\">CPU"
          "<small>s</small></th><th class=\"num\">peak memory<small>MB</small></th></tr></thead>"
          "<tbody>\n",
          out);
    for (int i = 0; i < facts->stage_count; i++)
        write_stage(out, &facts->stages[i], longest);
    fputs("<tr><th>all</th><td class=\"soft\">upper bar wall clock, lower bar processor</td><td "
          "class=\"num\">",
          out);
    aid_html_fixed(out, facts->total_s > 0.0 ? facts->total_s : wall, 3);
    fputs("</td><td class=\"num\">", out);
    aid_html_fixed(out, cpu, 3);
    fputs("</td><td></td></tr>\n</tbody></table></div>\n", out);
}

void aid_page_provenance(const aid_report_page *page)
{
    FILE *out = page->out;
    write_exposures(page);
    fputs("<section id=\"provenance\"><h2>Provenance</h2>\n<p class=\"lead\">What went in and how, "
          "so that the same bytes can be made again.</p>\n",
          out);
    write_program(page);
    write_files(page);
    fputs("<div class=\"plots\"><div>", out);
    write_parameters(page);
    fputs("</div><div>", out);
    write_timing(page);
    fputs("</div></div></section>\n", out);
}
