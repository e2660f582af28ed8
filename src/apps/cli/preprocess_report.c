/* report.html of a night: what became of every frame, and how the night went. One file that opens
 * offline; the same bytes for the same night. */
#include "adapters/files/files.h"
#include "adapters/report/html.h"
#include "adapters/report/picture.h"
#include "adapters/report/svg.h"
#include "apps/cli/preprocess.h"
#include "apps/common/version.h"
#include "core/base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { THUMBNAIL_PX = 180, MOST_THUMBNAILS = 200, THUMBNAIL_SAMPLES = 4000 };

static const char style[] =
    ":root{color-scheme:light dark;--bg:#f6f6f4;--panel:#fff;--ink:#181b20;--soft:#59616b;"
    "--line:#dcdcd6;--blue:#0072b2;--good:#00704f;--warn:#8f5f00;--bad:#b3341c}"
    "@media(prefers-color-scheme:dark){:root{--bg:#0d1014;--panel:#151a20;--ink:#e4e7eb;"
    "--soft:#98a2ad;--line:#2a313a;--blue:#56b4e9;--good:#3fcf9f;--warn:#e6b23c;--bad:#ff7b5c}}"
    "body{margin:0 auto;max-width:1240px;padding:24px;background:var(--bg);color:var(--ink);"
    "font:15px/1.5 system-ui,sans-serif;font-variant-numeric:tabular-nums}"
    "h1{font-size:24px;overflow-wrap:anywhere}h2{font-size:19px;margin:32px 0 6px}"
    ".scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;background:var(--panel)}"
    "td,th{padding:5px 9px;border-bottom:1px solid var(--line);text-align:right;vertical-align:"
    "middle}td.text,th.text{text-align:left}th{font-weight:600;color:var(--soft)}"
    ".good{color:var(--good)}.warn{color:var(--warn)}.bad{color:var(--bad)}.soft{color:var(--soft)}"
    ".plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,420px),1fr));"
    "gap:20px}.plot text{fill:var(--soft);font-size:11.5px;font-family:inherit}"
    ".plot .dots,.plot circle{fill:var(--blue)}.plot path,.plot line{stroke:var(--line)}"
    "img{display:block;border-radius:4px;background:#05060a}";

/* ------------------------------------------------------------------------------------ masters */

static void text_cell(FILE *out, const char *text)
{
    fputs("<td class=\"text\">", out);
    aid_html_text(out, text);
    fputs("</td>", out);
}

static void number_cell(FILE *out, double value, int decimals)
{
    fputs("<td>", out);
    aid_html_fixed(out, value, decimals);
    fputs("</td>", out);
}

static void put_masters(FILE *out, const night_state *night)
{
    fputs("<h2>Masters</h2><div class=\"scroll\"><table><tr><th class=\"text\">type</th>"
          "<th class=\"text\">file</th><th>frames</th><th>exposure, s</th>"
          "<th class=\"text\">filter</th><th class=\"text\">remarks</th></tr>\n",
          out);
    for (int i = 0; i < night->set_count; i++) {
        const night_set *set = &night->sets[i];
        fputs("<tr>", out);
        text_cell(out, aid_frame_type_name(set->type));
        text_cell(out, set->made ? set->name : "");
        fputs("<td>", out);
        aid_html_count(out, set->made ? set->used : set->count);
        fputs("</td>", out);
        number_cell(out, set->facts.exposure_s, 2);
        text_cell(out, set->facts.filter);
        text_cell(out, night_failed(&set->failure) ? set->failure.text
                       : !set->wanted              ? "not needed"
                       : set->left_out             ? set->left_out
                                                   : "");
        fputs("</tr>\n", out);
    }
    fputs("</table></div>\n", out);
}

/* --------------------------------------------------------------------------------- thumbnails */

static aid_status thumbnail(FILE *out, const night_state *night, const night_frame *frame,
                            aid_error *err)
{
    char name[AID_MAX_PATH], path[AID_MAX_PATH];
    aid_fits_read_options options = AID_FITS_READ_DEFAULTS;
    aid_fits_image file = {0};
    aid_shrunk small = {0};
    AID_CLEANUP(aid_free_pointer)
    float *samples = NULL;
    aid_picture picture = {0};
    aid_bytes png = {0};
    options.skip_companions = true;
    snprintf(name, sizeof name, "frames/%s.fits", frame->name);
    night_output_path(night, name, path);
    AID_TRY(aid_new_buffer(THUMBNAIL_SAMPLES, sizeof *samples, "thumbnail", &samples, err));
    AID_TRY(aid_fits_read(path, &options, &file, err));
    aid_shrink_input input = {.image = &file.image};
    aid_status status = aid_shrink(&input, THUMBNAIL_PX, night->pool, &small, err);
    aid_fits_image_done(&file);
    AID_TRY(status);
    int64_t count = aid_sample_grid(&small.mean, NULL, NULL, THUMBNAIL_SAMPLES, samples);
    aid_stretch stretch = aid_stretch_of_samples(samples, count);
    status = aid_picture_init(small.mean.width, small.mean.height, &picture, err);
    if (status == AID_OK) {
        aid_palette palette;
        aid_palette_grey(&palette);
        aid_paint_grey(&small.mean, &small.veiled, &stretch, &picture);
        status = aid_png_encode(&picture, &palette, &png, err);
    }
    if (status == AID_OK) {
        fprintf(out, "<img width=\"%d\" height=\"%d\" alt=\"\" src=\"", small.mean.width / 2,
                small.mean.height / 2);
        aid_html_png(out, &png);
        fputs("\">", out);
    }
    aid_bytes_done(&png);
    aid_picture_done(&picture);
    aid_shrunk_done(&small);
    return status;
}

/* -------------------------------------------------------------------------------------- frames */

static void class_cell(FILE *out, const night_frame *frame)
{
    static const char *const colours[] = {[AID_QUALITY_POOR] = "bad",
                                          [AID_QUALITY_FAIR] = "warn",
                                          [AID_QUALITY_GOOD] = "good",
                                          [AID_QUALITY_EXCELLENT] = "good"};
    if (!frame->assessed) {
        fprintf(out, "<td class=\"text bad\">%s</td>", frame->done ? "unknown" : "failed");
        return;
    }
    fprintf(out, "<td class=\"text %s\">%s</td>", colours[frame->quality.class],
            aid_quality_class_name(frame->quality.class));
}

static void remarks_cell(FILE *out, const night_frame *frame)
{
    char flags[AID_QUALITY_FLAGS_TEXT] = "";
    if (frame->assessed)
        aid_quality_flags_text(frame->quality.flags, flags);
    const char *texts[] = {frame->failure.text, frame->quality_failure,
                           frame->alignment_failure.text, flags};
    fputs("<td class=\"text\">", out);
    for (size_t i = 0; i < AID_COUNT_OF(texts); i++)
        if (*texts[i]) {
            aid_html_text(out, texts[i]);
            fputs(" ", out);
        }
    fputs("</td>", out);
}

static aid_status put_frame(FILE *out, const night_state *night, int number, aid_error *err)
{
    const night_frame *frame = &night->frames[number];
    const aid_quality *quality = &frame->quality;
    const aid_frame_facts *facts = &night->files[frame->file].facts;
    double none = frame->assessed ? 0.0 : NAN; /* makes dashes of zeros */
    fputs("<tr><td>", out);
    if (frame->done && number < MOST_THUMBNAILS)
        AID_TRY(thumbnail(out, night, frame, err));
    fputs("</td>", out);
    text_cell(out, frame->name);
    text_cell(out, facts->object);
    text_cell(out, facts->filter);
    number_cell(out, facts->exposure_s, 2);
    class_cell(out, frame);
    number_cell(out, quality->overall_quality_score + none, 2);
    number_cell(out, quality->background_level + none, 1);
    number_cell(out, quality->noise_level + none, 2);
    number_cell(out, quality->fwhm_px + none, 2);
    number_cell(out, quality->ellipticity + none, 3);
    number_cell(out, (double)quality->stars + none, 0);
    number_cell(out, frame->cleaned ? (double)frame->cosmic_ray_hits : NAN, 0);
    number_cell(out, frame->alignment.done ? frame->alignment.rms_px : NAN, 3);
    remarks_cell(out, frame);
    fputs("</tr>\n", out);
    return AID_OK;
}

static aid_status put_frames(FILE *out, const night_state *night, aid_error *err)
{
    fputs("<h2>Frames</h2><div class=\"scroll\"><table><tr><th></th><th class=\"text\">frame</th>"
          "<th class=\"text\">object</th><th class=\"text\">filter</th><th>exposure, s</th>"
          "<th class=\"text\">quality</th><th>score</th><th>sky</th><th>noise</th>"
          "<th>FWHM, px</th><th>ellipticity</th><th>stars</th><th>cosmic rays</th>"
          "<th>alignment, px</th><th class=\"text\">remarks</th></tr>\n",
          out);
    for (int i = 0; i < night->frame_count; i++)
        AID_TRY(put_frame(out, night, i, err));
    fputs("</table></div>\n", out);
    return AID_OK;
}

/* -------------------------------------------------------------------------------------- trends */

typedef struct trend {
    const char *label, *description;
    size_t offset; /* of the number in aid_quality */
} trend;

static void put_trend(FILE *out, const night_state *night, const trend *what, double *x, double *y)
{
    double first = INFINITY, last = -INFINITY, low = INFINITY, high = -INFINITY;
    int count = 0;
    for (int i = 0; i < night->frame_count; i++) {
        const night_frame *frame = &night->frames[i];
        const char *member = (const char *)&frame->quality + what->offset;
        double value = frame->assessed ? *(const double *)(const void *)member : NAN;
        if (!isfinite(value) || !isfinite(frame->quality.mid_mjd_utc))
            continue;
        x[count] = frame->quality.mid_mjd_utc;
        y[count++] = value;
        first = fmin(first, frame->quality.mid_mjd_utc);
        last = fmax(last, frame->quality.mid_mjd_utc);
        low = fmin(low, value);
        high = fmax(high, value);
    }
    if (count < 2 || !(last > first))
        return;
    for (int i = 0; i < count; i++)
        x[i] = 24.0 * (x[i] - first);
    double margin = fmax(0.1 * (high - low), 0.02 * fabs(high) + 1e-9);
    double hours = 24.0 * (last - first);
    aid_plot plot;
    aid_axis along = {-0.03 * hours, 1.03 * hours, false, "hours since the first frame"};
    aid_axis up = {low - margin, high + margin, false, what->label};
    fputs("<figure>", out);
    aid_plot_begin(&plot, out, AID_PLOT_WIDTH, 260, along, up, what->description);
    aid_plot_dots(&plot, x, y, count, "dots");
    aid_plot_end(&plot);
    fputs("</figure>\n", out);
}

static aid_status put_trends(FILE *out, const night_state *night, aid_error *err)
{
    static const trend trends[] = {
        {"FWHM, px", "Seeing over the night", offsetof(aid_quality, fwhm_px)},
        {"sky", "Sky level over the night", offsetof(aid_quality, background_level)},
        {"ellipticity", "Ellipticity over the night", offsetof(aid_quality, ellipticity)},
        {"score", "Quality score over the night", offsetof(aid_quality, overall_quality_score)}};
    AID_CLEANUP(aid_free_pointer)
    double *values = NULL;
    size_t count = (size_t)AID_MAX(night->frame_count, 1);
    AID_TRY(aid_new_array(2 * count, sizeof *values, "report", &values, err));
    fputs("<h2>The night</h2><div class=\"plots\">\n", out);
    for (size_t i = 0; i < AID_COUNT_OF(trends); i++)
        put_trend(out, night, &trends[i], values, values + count);
    fputs("</div>\n", out);
    return AID_OK;
}

/* --------------------------------------------------------------------------------------- whole */

static void put_unused(FILE *out, const night_state *night)
{
    int unused = 0;
    for (int i = 0; i < night->file_count; i++)
        if (night_failed(&night->files[i].failure)) {
            fputs(unused++ ? "<li>" : "<h2>Files that were not used</h2><ul><li>", out);
            aid_html_text(out, night->files[i].failure.text);
            fputs("</li>\n", out);
        }
    if (unused)
        fputs("</ul>\n", out);
}

static aid_status put_page(FILE *out, const night_state *night, aid_error *err)
{
    fputs("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
          "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
          "style-src 'unsafe-inline'; img-src data:\">"
          "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
          "<title>A night, preprocessed</title><style>",
          out);
    fputs(style, out);
    fputs("</style></head><body><h1>A night, preprocessed</h1><p class=\"soft\">", out);
    aid_html_plural(out, night->frame_count, "science frame");
    fputs(" in ", out);
    aid_html_plural(out, night->group_count, "group");
    fputs("; made by ", out);
    aid_html_text(out, AID_PROGRAM_NAME " ");
    aid_html_text(out, aid_version());
    fputs(" (", out);
    aid_html_text(out, aid_build());
    fputs(")</p>\n", out);
    put_masters(out, night);
    AID_TRY(put_frames(out, night, err));
    AID_TRY(put_trends(out, night, err));
    put_unused(out, night);
    fputs("</body></html>\n", out);
    return AID_OK;
}

aid_status night_write_report(const night_state *night, const char *path, aid_error *err)
{
    aid_new_file *file;
    AID_TRY(aid_new_file_open(path, &file, err));
    aid_status status = put_page(aid_new_file_stream(file), night, err);
    if (status == AID_OK)
        return aid_new_file_commit(file, err);
    aid_new_file_abandon(file);
    return status;
}
