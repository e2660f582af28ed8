#include "adapters/report/report.h"

#include "adapters/files/files.h"
#include "adapters/report/page.h"

#include <math.h>

static bool is_shape(int32_t width, int32_t height, const void *data, const aid_image *like)
{
    return data && width == like->width && height == like->height;
}

static bool is_image(const aid_image *image, const aid_image *like)
{
    return is_shape(image->width, image->height, image->data, like);
}

static bool is_mask(const aid_mask *mask, const aid_image *like)
{
    return is_shape(mask->width, mask->height, mask->data, like);
}

static aid_status check_complete(const aid_process_result *result, const aid_report_facts *facts,
                                 aid_error *err)
{
    const aid_image *science = &result->science.image;
    const aid_difference *difference = &result->difference;
    bool is_complete =
        is_image(science, science) && is_mask(&result->science.mask, science) &&
        is_image(&result->reference.image, science) && is_mask(&result->reference.mask, science) &&
        is_image(&difference->difference, science) && is_image(&difference->score, science) &&
        is_image(&difference->flux_err, science) && is_mask(&difference->mask, science);
    if (!is_complete)
        AID_FAIL(err, AID_ERR_INVALID,
                 "report: the result lacks an image or a mask of %d x %d pixels", science->width,
                 science->height);
    if (!(facts->threshold > 0.0) || !isfinite(facts->threshold))
        AID_FAIL(err, AID_ERR_INVALID, "report: the threshold %g is not above 0", facts->threshold);
    return AID_OK;
}

static void write_navigation(FILE *out)
{
    fputs("<nav aria-label=\"Sections\"><div><a href=\"#images\">Images</a><a "
          "href=\"#candidates\">Candidates</a><a href=\"#noise\">Noise</a><a "
          "href=\"#flux\">Flux scale</a><a href=\"#astrometry\">Astrometry</a><a "
          "href=\"#psf\">PSFs</a><a href=\"#completeness\">Completeness</a><a "
          "href=\"#notes\">Remarks</a><a href=\"#exposures\">Exposures</a><a "
          "href=\"#provenance\">Provenance</a></div></nav>\n",
          out);
}

static void write_page(const aid_report_page *page)
{
    FILE *out = page->out;
    aid_page_head(page);
    fputs("<body>\n", out);
    aid_page_summary(page);
    write_navigation(out);
    fputs("<main>\n", out);
    aid_page_images(page);
    aid_page_candidates(page);
    aid_page_table(page);
    aid_page_noise(page);
    aid_page_flux(page);
    aid_page_astrometry(page);
    aid_page_psf(page);
    aid_page_completeness(page);
    aid_page_notes(page);
    aid_page_provenance(page);
    fputs("</main>\n<footer>", out);
    if (page->facts->program_version) {
        aid_html_text(out, page->facts->program_version);
        fputs(" &#183; ", out);
    }
    fputs("This page is one file and loads nothing from elsewhere.</footer>\n", out);
    aid_page_script(page);
    fputs("</body>\n</html>\n", out);
}

aid_status aid_report_write(const aid_process_result *result, const aid_report_facts *facts,
                            const char *path, aid_pool *pool, aid_error *err)
{
    AID_TRY(check_complete(result, facts, err));
    AID_CLEANUP(aid_report_pictures_done)
    aid_report_pictures pictures = {0};
    aid_report_summary summary;
    AID_TRY(aid_report_summarise(result, facts->threshold, pool, &summary, err));
    AID_TRY(aid_report_paint(result, &summary, pool, &pictures, err));

    aid_new_file *file;
    AID_TRY(aid_new_file_open(path, &file, err));
    aid_report_page page = {aid_new_file_stream(file), result, facts, &summary, &pictures};
    write_page(&page);
    return aid_new_file_commit(file, err);
}
