#include "adapters/fits/choose.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *const variance_names[] = {"VARIANCE", "VAR", NULL};
static const char *const sigma_names[] = {"ERR", "ERROR", "SIGMA", "UNCERT", NULL};
static const char *const weight_names[] = {"WEIGHT", "WHT", "IVAR", NULL};
static const char *const mask_names[] = {"MASK", "DQ", "BADPIX", NULL};

static const char *role_of(const aid_fits_hdu *hdu)
{
    return hdu->name[0] ? hdu->name : hdu->type;
}

static bool is_named(const aid_fits_hdu *hdu, const char *const *names)
{
    for (; *names; names++)
        if (!strcasecmp(role_of(hdu), *names))
            return true;
    return false;
}

static bool is_companion(const aid_fits_hdu *hdu)
{
    return is_named(hdu, variance_names) || is_named(hdu, sigma_names) ||
           is_named(hdu, weight_names) || is_named(hdu, mask_names);
}

static bool is_image(const aid_fits_hdu *hdu)
{
    return (hdu->kind == AID_FITS_IMAGE || hdu->kind == AID_FITS_TILES) && hdu->flat;
}

/* ------------------------------------------------------------------------------------- the image
 */

static aid_status refuse_all(const aid_fits_layout *layout, aid_error *err)
{
    enum { SHOWN = 4 };
    char list[512] = "";
    size_t used = 0;
    for (int i = 0; i < AID_MIN(layout->count, SHOWN); i++) {
        char text[96];
        aid_fits_hdu_describe(&layout->hdus[i], text, sizeof text);
        used += (size_t)snprintf(list + used, sizeof list - used, "%sHDU %d is %s", i ? ", " : "",
                                 i, text);
    }
    AID_FAIL(err, AID_ERR_INVALID, "no 2-D image in %d HDU%s (%s%s)", layout->count,
             layout->count == 1 ? "" : "s", list, layout->count > SHOWN ? ", ..." : "");
}

/* The number of the HDU in decimal digits, or -1. */
static int parse_number(const char *wanted)
{
    size_t length = strlen(wanted);
    if (length == 0 || length > 6 || strspn(wanted, "0123456789") != length)
        return -1;
    return (int)strtol(wanted, NULL, 10);
}

static int find_by_name(const aid_fits_layout *layout, const char *wanted)
{
    for (int i = 0; i < layout->count; i++)
        if (!strcasecmp(role_of(&layout->hdus[i]), wanted))
            return i;
    const char *comma = strrchr(wanted, ',');
    int version = comma ? parse_number(comma + 1) : -1;
    if (version < 0)
        return -1;
    size_t length = (size_t)(comma - wanted);
    for (int i = 0; i < layout->count; i++) {
        const aid_fits_hdu *hdu = &layout->hdus[i];
        if (strlen(role_of(hdu)) == length && !strncasecmp(role_of(hdu), wanted, length) &&
            hdu->version == version)
            return i;
    }
    return -1;
}

static aid_status find_wanted(const aid_fits_layout *layout, const char *wanted, int *ret_hdu,
                              aid_error *err)
{
    int hdu = parse_number(wanted);
    if (hdu >= layout->count)
        AID_FAIL(err, AID_ERR_INVALID, "no HDU %d: there are %d, counted from 0", hdu,
                 layout->count);
    if (hdu < 0)
        hdu = find_by_name(layout, wanted);
    if (hdu < 0) {
        char text[AID_FITS_NAME + 1];
        aid_fits_printable((const uint8_t *)wanted, strnlen(wanted, AID_FITS_NAME), text);
        AID_FAIL(err, AID_ERR_INVALID, "no HDU named '%s' among %d", text, layout->count);
    }
    *ret_hdu = hdu;
    return AID_OK;
}

static aid_status choose_wanted(const aid_fits_layout *layout, const char *wanted, int *ret_hdu,
                                aid_error *err)
{
    int hdu;
    AID_TRY(find_wanted(layout, wanted, &hdu, err));
    if (!is_image(&layout->hdus[hdu])) {
        char text[96];
        aid_fits_hdu_describe(&layout->hdus[hdu], text, sizeof text);
        AID_FAIL(err, AID_ERR_INVALID, "HDU %d: not a 2-D image but %s", hdu, text);
    }
    *ret_hdu = hdu;
    return AID_OK;
}

aid_status aid_fits_choose_image(const aid_fits_layout *layout, const char *wanted, int *ret_hdu,
                                 aid_error *err)
{
    if (wanted && *wanted)
        return choose_wanted(layout, wanted, ret_hdu, err);
    for (int companions_too = 0; companions_too < 2; companions_too++)
        for (int i = 0; i < layout->count; i++)
            if (is_image(&layout->hdus[i]) && (companions_too || !is_companion(&layout->hdus[i]))) {
                *ret_hdu = i;
                return AID_OK;
            }
    return refuse_all(layout, err);
}

/* SExtractor puts the header of the image into a table before the catalogue. */
static bool is_catalogue(const aid_fits_hdu *hdu)
{
    return hdu->kind == AID_FITS_BINARY_TABLE && strcasecmp(hdu->name, "LDAC_IMHEAD") != 0;
}

aid_status aid_fits_choose_table(const aid_fits_layout *layout, const char *wanted, int *ret_hdu,
                                 aid_error *err)
{
    int hdu = 0;
    if (wanted && *wanted)
        AID_TRY(find_wanted(layout, wanted, &hdu, err));
    else
        while (hdu < layout->count - 1 && !is_catalogue(&layout->hdus[hdu]))
            hdu++;
    if (layout->hdus[hdu].kind == AID_FITS_BINARY_TABLE) {
        *ret_hdu = hdu;
        return AID_OK;
    }
    if (!wanted || !*wanted)
        AID_FAIL(err, AID_ERR_INVALID, "no binary table among %d HDUs", layout->count);
    char text[96];
    aid_fits_hdu_describe(&layout->hdus[hdu], text, sizeof text);
    AID_FAIL(err, AID_ERR_INVALID, "HDU %d: not a binary table but %s", hdu, text);
}

aid_status aid_fits_choose_mask(const aid_fits_layout *layout, int *ret_hdu, aid_error *err)
{
    for (int other_too = 0; other_too < 2; other_too++)
        for (int i = 0; i < layout->count; i++)
            if (is_image(&layout->hdus[i]) &&
                (other_too || is_named(&layout->hdus[i], mask_names))) {
                *ret_hdu = i;
                return AID_OK;
            }
    return refuse_all(layout, err);
}

/* ------------------------------------------------------------------------------------ companions
 */

/* One candidate is taken unless both state an EXTVER and they differ; of several, the first with
 * the image's EXTVER. */
static int find_companion(const aid_fits_layout *layout, int image, const char *const *names)
{
    const aid_fits_hdu *of = &layout->hdus[image];
    int count = 0, only = -1, same_version = -1;
    for (int i = 0; i < layout->count; i++) {
        const aid_fits_hdu *hdu = &layout->hdus[i];
        if (i == image || !is_image(hdu) || !is_named(hdu, names) || hdu->axes[0] != of->axes[0] ||
            hdu->axes[1] != of->axes[1])
            continue;
        count++;
        only = i;
        if (same_version < 0 && hdu->version == of->version)
            same_version = i;
    }
    if (same_version >= 0 || count != 1)
        return same_version;
    return layout->hdus[only].has_version && of->has_version ? -1 : only;
}

aid_fits_choice aid_fits_choose_companions(const aid_fits_layout *layout, int image)
{
    static const struct {
        const char *const *names;
        aid_fits_noise noise;
    } kinds[] = {{variance_names, AID_FITS_NOISE_VARIANCE},
                 {sigma_names, AID_FITS_NOISE_SIGMA},
                 {weight_names, AID_FITS_NOISE_WEIGHT}};
    aid_fits_choice choice = {.image = image, .variance = -1, .mask = -1};
    for (size_t i = 0; i < AID_COUNT_OF(kinds) && choice.variance < 0; i++) {
        choice.variance = find_companion(layout, image, kinds[i].names);
        choice.noise = kinds[i].noise;
    }
    choice.mask = find_companion(layout, image, mask_names);
    return choice;
}
