/* What a night's files say of themselves. Results are read back from there, whether they were made
 * just now or by an earlier run: so both give the same summary. */
#include "apps/cli/preprocess.h"
#include "apps/common/provenance.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

aid_status night_put_program(const night_state *night, const char *id, aid_header *header,
                             aid_error *err)
{
    AID_TRY(aid_program_cards(header, err));
    AID_TRY(aid_header_put_text(header, "AIDPROG", night->build, "SHA-256 of the program", err));
    return aid_header_put_text(header, "AIDJOB", id, "hash of all that this was made of", err);
}

/* ---------------------------------------------------------------------------------------- lines */

aid_status night_put_lines(aid_header *header, const char *stem, const char *lines, aid_error *err)
{
    int number = 0;
    while (lines && *lines) {
        char keyword[32], text[AID_MAX_CARD_VALUE];
        size_t length = strcspn(lines, "\n");
        snprintf(keyword, sizeof keyword, "%s%d", stem, ++number);
        snprintf(text, sizeof text, "%.*s", (int)AID_MIN(length, sizeof text - 1), lines);
        AID_TRY(aid_header_put_text(header, keyword, text, "", err));
        lines += length;
        lines += *lines == '\n';
    }
    return AID_OK;
}

char *night_note_lines(const aid_notes *notes)
{
    char *text = NULL;
    size_t size = 0;
    FILE *stream = notes->count > 0 ? open_memstream(&text, &size) : NULL;
    if (!stream)
        return NULL;
    for (int i = 0; i < notes->count; i++)
        fprintf(stream, "%s\n", notes->items[i].text);
    if (fclose(stream)) {
        free(text);
        return NULL;
    }
    return text;
}

char *night_take_lines(const aid_header *header, const char *stem)
{
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    if (!stream)
        return NULL;
    for (int number = 1;; number++) {
        char keyword[32];
        snprintf(keyword, sizeof keyword, "%s%d", stem, number);
        const char *line = aid_header_text(header, keyword);
        if (!line)
            break;
        fprintf(stream, "%s\n", line);
    }
    if (fclose(stream) || size == 0) {
        free(text);
        return NULL;
    }
    return text;
}

/* -------------------------------------------------------------------------------------- quality */

#define NUMBER(keyword_, member, comment_)                                                         \
    {                                                                                              \
        .keyword = (keyword_), .json = #member, .comment = (comment_),                             \
        .offset = offsetof(aid_quality, member)                                                    \
    }
#define COUNT(keyword_, member, comment_)                                                          \
    {                                                                                              \
        .keyword = (keyword_), .json = #member, .comment = (comment_),                             \
        .offset = offsetof(aid_quality, member), .integer = true                                   \
    }

const night_quality_field night_quality_fields[] = {
    NUMBER("QBACKGR", background_level, "sky"),
    NUMBER("QNOISE", noise_level, "noise of a pixel of sky"),
    NUMBER("QRANGE", background_range, "of the plane through the sky"),
    NUMBER("QGRADNT", background_gradient, "of the sky over the image, relative"),
    NUMBER("QFWHMPX", fwhm_px, "[pix] of stars"),
    NUMBER("QFWHMAS", fwhm_arcsec, "[arcsec] of stars"),
    NUMBER("QELLIP", ellipticity, "of stars, 1 - b/a"),
    NUMBER("QFWHMVAR", fwhm_variation, "over the field, relative"),
    NUMBER("QTHETA", theta_deg, "[deg] of the long axis, from +x"),
    COUNT("QSTARS", stars, "above 10 sigma"),
    COUNT("QSATSTAR", saturated_stars, "saturated ones"),
    COUNT("QCRHITS", cosmic_ray_count, "cosmic rays, hits"),
    NUMBER("QCRPCT", cosmic_ray_percentage, "[%] of the pixels"),
    NUMBER("QSATPCT", saturation_percentage, "[%] of the pixels"),
    NUMBER("QMASKPCT", masked_percentage, "[%] of the pixels"),
    NUMBER("QFLATNSS", flatness_score, "0..1, 1 is flat"),
    NUMBER("QLARGRMS", large_scale_rms, "of the sky between its cells"),
    NUMBER("QNAREA", noise_area_px, "[pix] noise-equivalent area of the PSF"),
    NUMBER("QLIMFLUX", limiting_flux, "of a point source at 5 sigma"),
    NUMBER("QLIMMAG", limiting_mag, "[mag] the same"),
    NUMBER("QEXPFLUX", expected_flux, "the limit of a good frame like this"),
    NUMBER("QEXPNOIS", expected_noise, "which would have this noise"),
    NUMBER("QEXPFWHM", expected_fwhm_px, "[pix] and this width of stars"),
    NUMBER("QDEPTHLS", depth_loss_mag, "[mag] against that"),
    NUMBER("QSCORE", overall_quality_score, "0..1, by itself: night.json holds it against others"),
    NUMBER("QEXPTIME", exposure_s, "[s]"),
    NUMBER("QMJDMID", mid_mjd_utc, "[d] middle of the exposure, UTC"),
    NUMBER("QGAIN", gain, "[e-] of one unit"),
    NUMBER("QRDNOISE", read_noise_e, "[e-]"),
    NUMBER("QZEROPNT", zero_point, "[mag] of one unit"),
    NUMBER("QPIXSCAL", pixel_scale_arcsec, "[arcsec]"),
};
const int night_quality_field_count = (int)AID_COUNT_OF(night_quality_fields);

aid_status night_put_quality(const aid_quality *quality, aid_header *header, aid_error *err)
{
    char flags[AID_QUALITY_FLAGS_TEXT];
    for (int i = 0; i < night_quality_field_count; i++) {
        const night_quality_field *field = &night_quality_fields[i];
        const char *member = (const char *)quality + field->offset;
        double value = field->integer ? (double)*(const int64_t *)(const void *)member
                                      : *(const double *)(const void *)member;
        AID_TRY(aid_header_put_number(header, field->keyword, value, field->comment, err));
    }
    aid_quality_flags_text(quality->flags, flags);
    AID_TRY(aid_header_put_text(header, "QFLAGS", flags, "what is wrong with it", err));
    return aid_header_put_text(header, "QCLASS", aid_quality_class_name(quality->class), "", err);
}

static unsigned flags_of(const char *text)
{
    unsigned flags = 0;
    for (unsigned bit = 0; text && bit < AID_QUALITY_FLAG_BITS; bit++) {
        const char *name = aid_quality_flag_name(1U << bit);
        size_t length = name ? strlen(name) : 0;
        for (const char *word = text; *word && length;) {
            size_t size = strcspn(word, "|");
            if (size == length && !strncmp(word, name, length))
                flags |= 1U << bit;
            word += size;
            word += *word == '|';
        }
    }
    return flags;
}

void night_take_quality(const aid_header *header, aid_quality *ret_quality)
{
    aid_quality quality = {.alignment_accuracy_px = NAN, .transparency = NAN};
    for (int i = 0; i < night_quality_field_count; i++) {
        const night_quality_field *field = &night_quality_fields[i];
        char *member = (char *)&quality + field->offset;
        double value = NAN;
        (void)aid_header_number(header, field->keyword, &value);
        if (field->integer)
            *(int64_t *)(void *)member = isfinite(value) ? llround(value) : 0;
        else
            *(double *)(void *)member = value;
    }
    quality.flags = flags_of(aid_header_text(header, "QFLAGS"));
    quality.class = aid_quality_class_of(quality.overall_quality_score);
    *ret_quality = quality;
}
