/* report.html of a night: what became of every frame, and how the night went. One file that opens
 * offline; the same bytes for the same night. */
#include "adapters/files/files.h"
#include "adapters/report/html.h"
#include "adapters/report/page.h"
#include "adapters/report/picture.h"
#include "adapters/report/quality_report.h"
#include "apps/cli/preprocess.h"
#include "apps/common/version.h"
#include "core/base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { THUMBNAIL_PX = 180, MOST_THUMBNAILS = 200, THUMBNAIL_SAMPLES = 4000 };

/* ------------------------------------------------------------------------------------ masters */

static void text_cell(FILE *out, const char *text)
{
    fputs("<td>", out);
    aid_html_text(out, text);
    fputs("</td>", out);
}

static void number_cell(FILE *out, double value, int decimals)
{
    fputs("<td class=\"num\">", out);
    aid_html_fixed(out, value, decimals);
    fputs("</td>", out);
}

static void put_masters(FILE *out, const night_state *night)
{
    if (night->set_count == 0)
        return;
    fputs("<section id=\"masters\"><h2>Masters</h2><div class=\"scroll\"><table><thead><tr>"
          "<th>type</th><th>file</th><th class=\"num\">frames</th>"
          "<th class=\"num\">exposure<small>s</small></th><th>filter</th><th>remarks</th></tr>"
          "</thead><tbody>\n",
          out);
    for (int i = 0; i < night->set_count; i++) {
        const night_set *set = &night->sets[i];
        fputs("<tr>", out);
        text_cell(out, aid_frame_type_name(set->type));
        text_cell(out, set->made ? set->name : "");
        fputs("<td class=\"num\">", out);
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
    fputs("</tbody></table></div></section>\n", out);
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
    if (!frame->assessed)
        fprintf(out, "<td><span class=\"judge bad\">%s</span></td>",
                frame->done ? "unknown" : "failed");
    else
        fprintf(out, "<td><span class=\"judge %s\">%s</span></td>", colours[frame->quality.class],
                aid_quality_class_name(frame->quality.class));
}

static void remarks_cell(FILE *out, const night_frame *frame)
{
    char flags[AID_QUALITY_FLAGS_TEXT] = "";
    if (frame->assessed)
        aid_quality_flags_text(frame->quality.flags, flags);
    const char *texts[] = {frame->failure.text, frame->quality_failure,
                           frame->alignment_failure.text, flags};
    fputs("<td>", out);
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
    fputs("<section id=\"frames\"><h2>Frames</h2><div class=\"scroll\"><table><thead><tr>"
          "<th></th><th>frame</th><th>object</th><th>filter</th>"
          "<th class=\"num\">exposure<small>s</small></th><th>quality</th>"
          "<th class=\"num\">score</th><th class=\"num\">sky</th><th class=\"num\">noise</th>"
          "<th class=\"num\">FWHM<small>px</small></th><th class=\"num\">ellipticity</th>"
          "<th class=\"num\">stars</th><th class=\"num\">cosmic rays</th>"
          "<th class=\"num\">aligned<small>rms, px</small></th><th>remarks</th></tr></thead>"
          "<tbody>\n",
          out);
    for (int i = 0; i < night->frame_count; i++)
        AID_TRY(put_frame(out, night, i, err));
    fputs("</tbody></table></div></section>\n", out);
    return AID_OK;
}

/* -------------------------------------------------------------------------------------- trends */

/* As `astrid quality` shows them, for every instrument and filter with frames enough. */
static void put_trends(FILE *out, const night_state *night)
{
    const aid_quality_report report = {.frames = night->rated, .series = &night->series};
    for (int i = 0; i < night->series.group_count; i++) {
        const aid_quality_group *group = &night->series.groups[i];
        if (group->frames < AID_QUALITY_GROUP_LEAST)
            continue;
        fputs("<section><h2>The course of the night", out);
        if (*group->filter) {
            fputs(" &#183; filter ", out);
            aid_html_text(out, group->filter);
        }
        fputs("</h2>\n", out);
        aid_quality_page_plots(out, &report, i);
        aid_quality_page_trends(out, group);
        fputs("</section>\n", out);
    }
}

/* --------------------------------------------------------------------------------------- whole */

static void put_unused(FILE *out, const night_state *night)
{
    int unused = 0;
    for (int i = 0; i < night->file_count; i++)
        if (night_failed(&night->files[i].failure)) {
            fputs(unused++ ? "<li>"
                           : "<section><h2>Files that were not used</h2><ul class=\"notes\"><li>",
                  out);
            aid_html_text(out, night->files[i].failure.text);
            fputs("</li>\n", out);
        }
    if (unused)
        fputs("</ul></section>\n", out);
}

static void put_verdict(FILE *out, const night_state *night)
{
    int classes[AID_QUALITY_EXCELLENT + 1] = {0}, failed = 0;
    for (int i = 0; i < night->frame_count; i++) {
        const night_frame *frame = &night->frames[i];
        failed += !frame->done;
        if (frame->done && frame->assessed)
            classes[frame->quality.class]++;
    }
    fputs("<p class=\"verdict\"><b>", out);
    aid_html_plural(out, night->frame_count, "science frame");
    fputs("</b>", out);
    const char *before = ": ";
    for (int class = AID_QUALITY_EXCELLENT; class >= 0; class --)
        if (classes[class] > 0) {
            fprintf(out, "%s%d %s", before, classes[class],
                    aid_quality_class_name((aid_quality_class) class));
            before = ", ";
        }
    fputs(". ", out);
    if (failed)
        fprintf(out, "<b>%d failed</b>.", failed);
    fputs("</p>\n", out);
}

static aid_status put_page(FILE *out, const night_state *night, aid_error *err)
{
    aid_page_head_titled(out, "A night, preprocessed", "AstrID report");
    fputs("<body>\n<div class=\"top\"><div class=\"brand\">AstrID &#183; preprocessing</div>\n"
          "<h1>A night, preprocessed</h1>\n",
          out);
    put_verdict(out, night);
    fputs("</div>\n<main>\n", out);
    AID_TRY(put_frames(out, night, err));
    put_trends(out, night);
    put_masters(out, night);
    put_unused(out, night);
    fputs("</main>\n<footer>" AID_PROGRAM_NAME " ", out);
    aid_html_text(out, aid_version());
    fputs(" (", out);
    aid_html_text(out, aid_build());
    fputs(") &#183; This page is one file and loads nothing from elsewhere.</footer>\n", out);
    aid_page_script_to(out);
    fputs("</body>\n</html>\n", out);
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
