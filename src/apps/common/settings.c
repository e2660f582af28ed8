#include "apps/common/settings.h"

#include "core/base/text.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* key, unit, default, range, help */
#define NUMBER(name, unit_, fallback_, low_, high_, help_)                                         \
    {                                                                                              \
        .key = (name), .kind = AID_SETTING_NUMBER, .unit = (unit_), .fallback = (fallback_),       \
        .low = (low_), .high = (high_), .help = (help_)                                            \
    }
#define INTEGER(name, unit_, fallback_, low_, high_, help_)                                        \
    {                                                                                              \
        .key = (name), .kind = AID_SETTING_INTEGER, .unit = (unit_), .fallback = (fallback_),      \
        .low = (low_), .high = (high_), .help = (help_)                                            \
    }
#define CHOICE(name, unit_, fallback_, choices_, help_)                                            \
    {                                                                                              \
        .key = (name), .kind = AID_SETTING_CHOICE, .unit = (unit_), .fallback = (fallback_),       \
        .choices = (choices_), .help = (help_)                                                     \
    }
#define TEXT(name, unit_, help_)                                                                   \
    {                                                                                              \
        .key = (name), .kind = AID_SETTING_TEXT, .unit = (unit_), .help = (help_)                  \
    }

/* clang-format off */
const aid_setting aid_settings[] = {
    /* what is done */
    NUMBER("threshold", "SIGMA", "5", 1, 100, "least significance of a candidate"),
    CHOICE("method", "NAME", "auto", "auto|hybrid|zogy", "how the difference is taken"),
    INTEGER("inject", "N", "0", 0, 100000,
            "add N artificial sources to measure completeness and false alarms"),
    INTEGER("seed", "N", "1", 0, 9007199254740992.0, "seed of everything random"),

    /* what is known about the images */
    NUMBER("zero-point", "MAG", NULL, -50, 100,
           "magnitude of one unit of the science image; else from its header"),
    NUMBER("gain", "E/UNIT", NULL, 1e-9, 1e9,
           "electrons for each unit of the science image; else from header or noise"),
    NUMBER("reference-gain", "E/UNIT", NULL, 1e-9, 1e9, "the same of the reference"),
    NUMBER("saturation", "LEVEL", NULL, 1e-9, 1e12,
           "pixel value from which the science image is saturated; else from its header"),
    NUMBER("reference-saturation", "LEVEL", NULL, 1e-9, 1e12, "the same of the reference"),
    TEXT("science-mask", "FILE", "FITS image of the same shape; 1: bad pixel, 2: saturated"),
    TEXT("reference-mask", "FILE", "the same for the reference"),
    TEXT("science-hdu", "HDU", "number (0: primary) or EXTNAME of the image; else the first one"),
    TEXT("reference-hdu", "HDU", "the same of the reference"),

    TEXT("reference", "FILE", "image that the others are aligned with"),

    /* a night of raw frames */
    {.key = "stages", .kind = AID_SETTING_TEXT, .unit = "LIST",
     .fallback = "bias,dark,flat,cosmic-rays,quality,align",
     .help = "what is done, with commas between; stack as well, or none"},
    TEXT("flats", "PATTERN", "files or objects of that name are flats, whatever headers say"),
    NUMBER("read-noise", "E", NULL, 0, 1e6, "electrons rms; else from header, camera or bias"),
    {.key = "electrons", .kind = AID_SETTING_FLAG, .help = "results in electrons, not in ADU"},

    /* a simulated sky */
    INTEGER("size", "PX", "2048", 64, AID_MAX_IMAGE_SIDE, "width and height of the images"),
    INTEGER("transients", "N", "40", 0, 100000, "sources in the science image alone"),
    INTEGER("faders", "N", "15", 0, 100000, "sources in the reference alone"),
    INTEGER("variables", "N", "15", 0, 100000, "sources that have changed"),
    INTEGER("movers", "N", "8", 0, 100000, "sources that have moved"),
    NUMBER("snr-min", "SIGMA", "4", 0.01, 1e6, "least significance of a change"),
    NUMBER("snr-max", "SIGMA", "60", 0.01, 1e6, "largest significance of a change"),
    NUMBER("seeing", "PX", "3.6", 1, 20, "FWHM of stars at the centre of the science image"),
    NUMBER("reference-seeing", "PX", "2.9", 1, 20, "the same of the reference"),
    NUMBER("rotation", "DEG", "0.35", -360, 360, "of the camera between the two epochs"),
    CHOICE("distortion", "NAME", "sip", "none|sip|tpv", "of the camera, as the WCS describes it"),
    NUMBER("star-density", "N", "700", 0, 1e6, "stars for each megapixel"),
    NUMBER("galaxy-density", "N", "300", 0, 1e5, "galaxies for each megapixel"),
    NUMBER("cosmic-rays", "N", "25", 0, 1e5, "hits for each megapixel of the science image"),
    INTEGER("raw", "N", "5", 0, 9,
            "raw bias, dark and flat frames of each kind; 0: no raw frames at all"),
    INTEGER("raw-science", "N", "3", 1, 9, "raw science frames, where there are raw frames"),

    /* registration and resampling */
    CHOICE("register", "NAME", "auto", "auto|wcs|stars|phase",
           "how the map between two images is found; auto: each in turn, WCS checked by stars"),
    CHOICE("model", "NAME", "auto", "auto|shift|similarity|affine",
           "what is fitted to the stars; auto: as many terms as they support"),
    CHOICE("kernel", "NAME", "spline3", "spline3|spline5|lanczos3|lanczos4",
           "interpolation between pixels"),
    TEXT("transform-in", "FILE", "map between the grids, as JSON, in place of finding one"),
    TEXT("transform-out", "FILE", "write the map between the grids there, as JSON"),
    CHOICE("sky", "NAME", "match", "match|subtract",
           "level of a stack's sky: that of the reference, or none"),
    NUMBER("max-seeing", "RATIO", "1.5", 1, 100,
           "frames with a FWHM beyond that times the median of all are left out"),
    NUMBER("max-rms", "PX", "0.5", 0.001, 100,
           "frames registered worse than that, rms per axis, are left out"),
    {.key = "solve", .kind = AID_SETTING_FLAG,
     .help = "images without a WCS get one from solve-field (astrometry.net), if it is installed"},
    NUMBER("solve-timeout", "S", "120", 1, 86400, "how long that may take for one image"),
    {.key = "no-resample", .kind = AID_SETTING_FLAG, .help = "measure the map, write no image"},

    /* calibration */
    TEXT("bias", "FILE", "master bias, to be subtracted"),
    TEXT("dark", "FILE", "master dark, to be subtracted for the exposure"),
    CHOICE("combine", "NAME", "clipped", "clipped|median|mean|weighted",
           "how frames become one; clipped: mean of what is not; weighted: that, by variance"),
    NUMBER("kappa", "SIGMA", "5", 1, 1000, "frames farther from the median are clipped"),
    CHOICE("overscan", "NAME", "row", "row|median|none",
           "level of the overscan: of each row, smoothed; of the frame; or not subtracted"),
    {.key = "measure-gain", .kind = AID_SETTING_FLAG,
     .help = "measure gain and read noise by photon transfer; flats and --bias alone"},
    NUMBER("valid-days", "DAYS", NULL, 0.001, 36525, "how long the master is good for"),
    {.key = "strict", .kind = AID_SETTING_FLAG,
     .help = "fail where a frame would be left out"},
    TEXT("flat", "FILE", "master flat"),
    TEXT("masters", "FOLDER", "choose the best masters for each frame out of this folder"),
    NUMBER("temperature-tolerance", "C", "2", 0, 100,
           "by how much the detector of a dark may have been warmer or colder"),
    CHOICE("clean-cosmic-rays", "HOW", "mask", "mask|clean|none",
           "mask pixels that were struck, fill them as well, or do not look for them"),
    NUMBER("cosmic-ray-threshold", "SIGMA", "4", 1, 1000,
           "least significance of the Laplacian of a hit"),

    /* a comparison */
    NUMBER("radius", "PX", "2.5", 0.01, 100, "how far apart two positions of one source may lie"),

    /* photometry at given positions */
    TEXT("at", "RA,DEC|FILE",
         "where: degrees or 12:34:56.7,-01:02:03, several apart by blanks, or a table (CSV, FITS, "
         "VOTable, JSON) with ra and dec or x and y"),
    TEXT("at-pixel", "X,Y",
         "where, in FITS pixels, the first one being 1,1; several apart by blanks"),
    CHOICE("photometry", "NAME", "auto", "auto|psf|aperture",
           "how fluxes are measured; auto: by the PSF where there are stars for one"),
    NUMBER("aperture", "PX", "6", 0.1, 1000, "radius of the circle that is summed"),
    TEXT("annulus", "IN,OUT", "radii of the ring around it that the local background is from, px"),
    {.key = "aperture-correction", .kind = AID_SETTING_FLAG,
     .help = "scale the flux in the aperture to that of the whole star, by the curve of growth"},
    {.key = "fixed-wcs", .kind = AID_SETTING_FLAG,
     .help = "place positions by the WCS as it is; else they follow stars that are among them"},
    {.key = "local-background", .kind = AID_SETTING_FLAG,
     .help = "fit a constant under each source together with the PSF"},

    /* filters of a catalogue */
    NUMBER("min-snr", "SIGMA", NULL, -1e12, 1e12, "least snr"),
    NUMBER("max-snr", "SIGMA", NULL, -1e12, 1e12, "largest snr"),
    NUMBER("min-flux", "FLUX", NULL, -1e300, 1e300, "least flux; what fades has a negative one"),
    NUMBER("max-flux", "FLUX", NULL, -1e300, 1e300, "largest flux"),
    {.key = "absolute-flux", .kind = AID_SETTING_FLAG,
     .help = "the limits of flux are of its absolute value"},
    NUMBER("min-npix", "N", NULL, 0, 1e12, "least number of pixels"),
    NUMBER("max-npix", "N", NULL, 0, 1e12, "largest number of pixels"),
    NUMBER("min-fwhm", "PX", NULL, 0, 1e6, "least full width at half maximum"),
    NUMBER("max-fwhm", "PX", NULL, 0, 1e6, "largest full width at half maximum"),
    NUMBER("max-ellipticity", "E", NULL, 0, 1, "largest ellipticity, 1 - b/a"),
    NUMBER("x-min", "PX", NULL, -1e9, 1e9, "least x, in FITS pixels"),
    NUMBER("x-max", "PX", NULL, -1e9, 1e9, "largest x"),
    NUMBER("y-min", "PX", NULL, -1e9, 1e9, "least y"),
    NUMBER("y-max", "PX", NULL, -1e9, 1e9, "largest y"),
    TEXT("region", "REGION",
         "`cone RA DEC RADIUS arcmin`, `box WEST EAST SOUTH NORTH`, `polygon RA DEC RA DEC ...`; "
         "`not` before it: outside"),
    TEXT("require-flags", "NAMES", "only rows with one of these flags, joined by |"),
    TEXT("reject-flags", "NAMES", "no rows with one of these flags, joined by |"),
    TEXT("min-distance", "DISTANCE",
         "`2 px` or `1.5 arcsec`: of rows nearer than that the one of the highest snr stays"),
    TEXT("rules", "FILE", "more rules, one `name: rule` a line"),
    TEXT("rejected", "FILE", "table of the rows that are not kept, and why"),
    TEXT("table-hdu", "HDU",
         "number or EXTNAME of the binary table in a FITS file; else the first one"),

    /* what an image is worth */
    CHOICE("background-estimator", "NAME", "mesh", "mesh|median|mode|clipped",
           "how the level of the sky is measured"),
    CHOICE("noise-estimator", "NAME", "mesh", "mesh|mad|clipped|difference|laplacian",
           "how the noise of the sky is measured"),

    /* source extraction */
    TEXT("hdu", "HDU", "number (0: primary) or EXTNAME of every image; else the first one"),
    TEXT("filter-kernel", "NAME",
         "detection filter: psf (matched to the image), default (3x3), gauss_N, mexhat_N, tophat_N "
         "with N px, none"),
    CHOICE("threshold-unit", "NAME", "sigma", "sigma|pixel-sigma|counts",
           "of the threshold: noise of the filtered image, of a pixel before, or the image's unit"),
    INTEGER("min-pixels", "N", "0", 0, 100000,
            "least number of connected pixels; 0: 1 for the psf filter, else 5"),
    INTEGER("deblend-threshold", "N", "32", 1, 1024, "levels at which blends are cut apart"),
    NUMBER("deblend-cont", "SHARE", "0.005", 0, 1,
           "least share of a blend's light for a source of its own; 1: no deblending"),
    NUMBER("clean-param", "N", "1", 0, 10,
           "exponent of the wings in which faint sources are doubted; 0: no cleaning"),
    NUMBER("fwhm", "PX", NULL, 0.5, 40, "FWHM of a star; else measured"),
    CHOICE("background", "NAME", "local", "local|mesh|global|none",
           "a map of cells, SExtractor's map with splines, one level, or none to subtract"),
    INTEGER("background-size", "PX", "64", 8, 65536, "size of a cell of the background map"),
    INTEGER("background-filter", "N", "3", 1, 15, "cells over which the map is median-filtered"),
    CHOICE("noise", "NAME", "local", "local|global", "a map of the noise, or one value"),
    TEXT("mask", "FILE", "FITS image of the same shape; not 0: bad pixel, 2: saturated"),
    TEXT("background-map", "FILE", "FITS image of the background, in place of measuring it"),
    TEXT("noise-map", "FILE", "FITS image of the noise (rms), in place of measuring it"),
    NUMBER("kron-factor", "N", "2.5", 0.1, 100, "of the Kron ellipse, in Kron radii"),
    NUMBER("kron-minimum", "N", "3.5", 0, 100, "least size of the Kron ellipse, in a and b"),
    CHOICE("rim", "NAME", "exact", "exact|sextractor",
           "how pixels on the rim of an aperture count: by their area, or as in SExtractor"),
    CHOICE("neighbours", "NAME", "mirror", "mirror|keep",
           "pixels of others within an aperture: replaced by those opposite, or counted"),
    CHOICE("measure", "NAME", "classes", "full|basic|classes|all",
           "basic: moments and isophotal flux; full: and windowed positions, AUTO and aperture "
           "fluxes; classes: and point, extended or artefact; all: and PSF fluxes, morphology"),
    CHOICE("columns", "NAME", "astrid", "astrid|sextractor", "names and definitions of columns"),
    INTEGER("max-sources", "N", "1000000", 1, 5000000, "refuse to write more than that"),
    CHOICE("format", "NAME", "fits", "fits|vot|csv|json", "of the tables in a folder"),

    /* the order of a catalogue */
    INTEGER("top", "N", NULL, 1, 1e9, "only the first N rows; else all, of which 20 are shown"),
    TEXT("weights", "NAME=W,...",
         "of the scores detection, quality, anomaly, confidence; else .4, .3, .2, .1"),
    TEXT("reference-catalogue", "FILE", "table of the sources in the reference image"),
    NUMBER("half-snr", "SIGMA", "5", 0.1, 1000, "significance whose detection score is one half"),

    /* how the program behaves: cannot change a result */
    {.key = "dry-run", .plumbing = true, .kind = AID_SETTING_FLAG,
     .help = "say what would be done, and do nothing"},
    {.key = "output", .letter = 'o', .plumbing = true, .kind = AID_SETTING_TEXT,
     .unit = "FOLDER", .help = "where the results go"},
    {.key = "threads", .plumbing = true, .kind = AID_SETTING_INTEGER, .unit = "N", .low = 1,
     .high = AID_MAX_THREADS, .help = "threads to work with; else one for each core"},
    {.key = "memory", .plumbing = true, .kind = AID_SETTING_INTEGER, .unit = "MB", .low = 64,
     .high = 1048576, .fallback = "2048", .help = "that images in work may take at a time"},
    {.key = "config", .plumbing = true, .kind = AID_SETTING_TEXT, .unit = "FILE",
     .help = "read settings from FILE, one `key = value` a line"},
    {.key = "json", .plumbing = true, .kind = AID_SETTING_FLAG,
     .help = "print the summary as JSON and nothing else"},
    {.key = "log-level", .plumbing = true, .kind = AID_SETTING_CHOICE, .unit = "LEVEL",
     .choices = "debug|info|warn|error", .fallback = "error",
     .help = "least important event to log on standard error"},
    {.key = "log-format", .plumbing = true, .kind = AID_SETTING_CHOICE, .unit = "FORMAT",
     .choices = "auto|text|json", .fallback = "auto",
     .help = "of the log; auto: text on a terminal, else JSON"},
};
/* clang-format on */
const int aid_setting_count = (int)AID_COUNT_OF(aid_settings);

const aid_setting *aid_setting_find(const char *key)
{
    for (int i = 0; i < aid_setting_count; i++)
        if (!strcmp(aid_settings[i].key, key))
            return &aid_settings[i];
    return NULL;
}

void aid_setting_variable(const aid_setting *setting, char *name, size_t size)
{
    snprintf(name, size, "ASTRID_%s", setting->key);
    for (char *c = name; *c; c++)
        *c = *c == '-' ? '_' : (char)toupper((unsigned char)*c);
}

/* ------------------------------------------------------------------------------------- values */

static aid_status parse_flag(const char *text, const char *label, bool *field, aid_error *err)
{
    static const char *const words[] = {"false", "true", "no", "yes", "off", "on", "0", "1"};
    for (size_t i = 0; i < AID_COUNT_OF(words); i++)
        if (!strcasecmp(text, words[i])) {
            *field = i % 2;
            return AID_OK;
        }
    AID_FAIL(err, AID_ERR_USAGE, "%s is neither true nor false", label);
}

/* Decimal numbers only: strtod would take hexadecimal, infinities and nan as well. */
static aid_status parse_number(const aid_setting *setting, const char *text, const char *label,
                               double *ret_value, aid_error *err)
{
    char *end;
    double value = strtod(text, &end);
    bool plain = *text && strspn(text, "+-.0123456789eE") == strlen(text);
    if (!plain || end == text || *end)
        AID_FAIL(err, AID_ERR_USAGE, "%s is not a number", label);
    if (!(value >= setting->low && value <= setting->high))
        AID_FAIL(err, AID_ERR_USAGE, "%s is not between %.16g and %.16g", label, setting->low,
                 setting->high);
    *ret_value = value;
    return AID_OK;
}

static aid_status parse_integer(const aid_setting *setting, const char *text, const char *label,
                                int64_t *field, aid_error *err)
{
    double value;
    AID_TRY(parse_number(setting, text, label, &value, err));
    char *end;
    errno = 0;
    long long integer = strtoll(text, &end, 10);
    if (errno || *end)
        AID_FAIL(err, AID_ERR_USAGE, "%s is not a whole number", label);
    *field = integer;
    return AID_OK;
}

enum { MAX_CHOICES = 16, MAX_CHOICE_TEXT = 256 };

static aid_status parse_choice(const aid_setting *setting, const char *text, const char *label,
                               int *field, aid_error *err)
{
    char words[MAX_CHOICE_TEXT], *rest = NULL;
    const char *names[MAX_CHOICES];
    int count = 0;
    snprintf(words, sizeof words, "%s", setting->choices);
    for (char *word = strtok_r(words, "|", &rest); word; word = strtok_r(NULL, "|", &rest)) {
        if (!strcmp(word, text)) {
            *field = count;
            return AID_OK;
        }
        if (count < MAX_CHOICES)
            names[count++] = word;
    }
    const char *nearest = aid_nearest_name(text, names, count);
    AID_FAIL(err, AID_ERR_USAGE, "%s is none of %s%s%s%s", label, setting->choices,
             nearest ? "; did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
}

aid_status aid_setting_parse(const aid_setting *setting, const char *text, const char *label,
                             void *field, aid_error *err)
{
    switch (setting->kind) {
    case AID_SETTING_FLAG:
        return parse_flag(text, label, field, err);
    case AID_SETTING_INTEGER:
        return parse_integer(setting, text, label, field, err);
    case AID_SETTING_NUMBER:
        return parse_number(setting, text, label, field, err);
    case AID_SETTING_CHOICE:
        return parse_choice(setting, text, label, field, err);
    case AID_SETTING_TEXT:
        break;
    }
    if (!*text)
        AID_FAIL(err, AID_ERR_USAGE, "%s is empty", label);
    *(const char **)field = text;
    return AID_OK;
}

static void choice_text(const aid_setting *setting, int choice, char *text, size_t size)
{
    const char *word = setting->choices;
    for (int i = 0; i < choice; i++) {
        word += strcspn(word, "|");
        word += *word == '|';
    }
    snprintf(text, size, "%.*s", (int)strcspn(word, "|"), word);
}

void aid_setting_text(const aid_setting *setting, const void *field, char *text, size_t size)
{
    char number[AID_DOUBLE_TEXT];
    switch (setting->kind) {
    case AID_SETTING_FLAG:
        snprintf(text, size, "%s", *(const bool *)field ? "true" : "false");
        break;
    case AID_SETTING_INTEGER:
        snprintf(text, size, "%lld", (long long)*(const int64_t *)field);
        break;
    case AID_SETTING_NUMBER:
        aid_double_text(*(const double *)field, -1, number);
        snprintf(text, size, "%s", number);
        break;
    case AID_SETTING_CHOICE:
        choice_text(setting, *(const int *)field, text, size);
        break;
    case AID_SETTING_TEXT:
        snprintf(text, size, "%s", *(const char *const *)field);
        break;
    }
}

/* ----------------------------------------------------------------------------------- spelling */

enum { MAX_WORD = 64 };

static int edit_cost(const char *a, int i, const char *b, int j, const int *before,
                     const int *two_before, const int *now)
{
    int cost = before[j - 1] + (a[i - 1] != b[j - 1]);
    cost = AID_MIN(cost, before[j] + 1);
    cost = AID_MIN(cost, now[j - 1] + 1);
    if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        cost = AID_MIN(cost, two_before[j - 2] + 1);
    return cost;
}

/* Insertions, deletions, replacements and swaps of neighbours that turn one word into the other. */
static int edit_distance(const char *a, const char *b)
{
    int rows[3][MAX_WORD + 1];
    int length_a = (int)strlen(a), length_b = (int)strlen(b);
    if (length_a > MAX_WORD || length_b > MAX_WORD)
        return INT_MAX;
    for (int j = 0; j <= length_b; j++)
        rows[0][j] = j;
    for (int i = 1; i <= length_a; i++) {
        int *now = rows[i % 3];
        now[0] = i;
        for (int j = 1; j <= length_b; j++)
            now[j] = edit_cost(a, i, b, j, rows[(i + 2) % 3], rows[(i + 1) % 3], now);
    }
    return rows[length_a % 3][length_b];
}

const char *aid_nearest_name(const char *typed, const char *const *names, int count)
{
    const char *nearest = NULL;
    int least = AID_MAX(1, (int)strlen(typed) / 3) + 1;
    for (int i = 0; i < count; i++) {
        int distance = edit_distance(typed, names[i]);
        if (distance < least) {
            least = distance;
            nearest = names[i];
        }
    }
    if (nearest || strlen(typed) < 3)
        return nearest;
    for (int i = 0; i < count; i++) /* the beginning of a name, or a name with more behind it */
        if (!strncmp(names[i], typed, strlen(typed)))
            return names[i];
    return NULL;
}
