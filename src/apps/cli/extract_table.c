/* The catalogue as a table: AstrID's columns, or those of SExtractor. */
#include "apps/cli/extract.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

/* How a value is held in a source, and what becomes of it. */
typedef enum member_kind {
    MEMBER_DOUBLE,
    MEMBER_PIXEL,  /* a position, counted from 1 in files */
    MEMBER_SQUARE, /* an error, whose square is wanted */
    MEMBER_INT64,
    MEMBER_PIXEL_INT32,
    MEMBER_FLAGS,
    MEMBER_FLAGS_SEXTRACTOR,
    MEMBER_CLASS
} member_kind;

typedef struct column_row {
    const char *name, *unit, *ucd, *description;
    member_kind kind;
    size_t offset;
    int decimals;
    bool optional; /* there only where it was measured for some source */
} column_row;

static const char flux[] = "flux"; /* stands for the unit of the image */

#define DOUBLE(member) MEMBER_DOUBLE, offsetof(aid_source, member)
#define PIXEL(member) MEMBER_PIXEL, offsetof(aid_source, member)
#define INT64(member) MEMBER_INT64, offsetof(aid_source, member)
#define PIXEL_INT(member) MEMBER_PIXEL_INT32, offsetof(aid_source, member)

/* clang-format off */
static const column_row astrid_rows[] = {
    {"id", NULL, "meta.id;meta.main", "1, 2, ... from the first row to the last",
     INT64(id), 0, false},
    {"x", "pix", "pos.cartesian.x;instr.det", "FITS pixel, under a Gaussian window",
     PIXEL(x_win), 4, false},
    {"y", "pix", "pos.cartesian.y;instr.det", "FITS pixel, under a Gaussian window",
     PIXEL(y_win), 4, false},
    {"x_err", "pix", "stat.error;pos.cartesian.x", "standard error of x",
     DOUBLE(x_win_err), 4, false},
    {"y_err", "pix", "stat.error;pos.cartesian.y", "standard error of y",
     DOUBLE(y_win_err), 4, false},
    {"ra", "deg", "pos.eq.ra;meta.main", "right ascension, ICRS", DOUBLE(ra_deg), 7, false},
    {"dec", "deg", "pos.eq.dec;meta.main", "declination, ICRS", DOUBLE(dec_deg), 7, false},
    {"flux", flux, "phot.count;meta.main", "in the aperture, above the level of the annulus",
     DOUBLE(flux_aper), -1, false},
    {"flux_err", flux, "stat.error;phot.count", "standard error of flux",
     DOUBLE(flux_aper_err), -1, false},
    {"snr", NULL, "stat.snr", "of detection: peak of the filtered image over its noise",
     DOUBLE(snr), 3, false},
    {"mag", "mag", "phot.mag", "magnitude of flux", DOUBLE(mag), 4, false},
    {"mag_err", "mag", "stat.error;phot.mag", "standard error of mag", DOUBLE(mag_err), 4, false},
    {"flux_auto", flux, "phot.count", "in the Kron ellipse", DOUBLE(flux_auto), -1, false},
    {"flux_auto_err", flux, "stat.error;phot.count", "standard error of flux_auto",
     DOUBLE(flux_auto_err), -1, false},
    {"flux_iso", flux, "phot.count", "in the footprint", DOUBLE(flux_iso), -1, false},
    {"flux_iso_err", flux, "stat.error;phot.count", "standard error of flux_iso",
     DOUBLE(flux_iso_err), -1, false},
    {"flux_psf", flux, "phot.count", "by a fit of the PSF", DOUBLE(flux_psf), -1, true},
    {"flux_psf_err", flux, "stat.error;phot.count", "standard error of flux_psf",
     DOUBLE(flux_psf_err), -1, true},
    {"chi2_psf", NULL, "stat.fit.chi2", "reduced, of that fit", DOUBLE(chi2_psf), 3, true},
    {"kron_radius", NULL, "phys.angSize;src", "of the Kron ellipse, in a and b",
     DOUBLE(kron_radius), 3, false},
    {"flux_radius", "pix", "phys.angSize;src", "circle with half of flux_auto",
     DOUBLE(flux_radius_px), 3, false},
    {"fwhm", "pix", "phys.angSize;src", "full width at half maximum of the core",
     DOUBLE(fwhm_px), 3, false},
    {"a", "pix", "phys.angSize.smajAxis", "rms along the major axis, of the footprint",
     DOUBLE(a), 3, false},
    {"b", "pix", "phys.angSize.sminAxis", "rms along the minor axis, of the footprint",
     DOUBLE(b), 3, false},
    {"theta", "deg", "pos.posAng;instr.det", "major axis, counter-clockwise from +x",
     DOUBLE(theta_deg), 2, false},
    {"position_angle", "deg", "pos.posAng", "major axis, east of north",
     DOUBLE(position_angle_deg), 2, false},
    {"ellipticity", NULL, "src.ellipticity", "1 - b/a", DOUBLE(ellipticity), 3, false},
    {"npix", "pix2", "phys.area", "isophotal area", INT64(npix), 0, false},
    {"peak", flux, "phot.count;stat.max", "of the footprint", DOUBLE(peak), -1, false},
    {"background", flux, "instr.background", "level under the source",
     DOUBLE(background), -1, false},
    {"noise", flux, "instr.det.noise", "rms of a pixel of the sky", DOUBLE(noise), -1, false},
    {"x_barycentre", "pix", "pos.cartesian.x;instr.det", "FITS pixel, of the footprint",
     PIXEL(x), 4, false},
    {"y_barycentre", "pix", "pos.cartesian.y;instr.det", "FITS pixel, of the footprint",
     PIXEL(y), 4, false},
    {"gini", NULL, "src.morph.param", "Gini coefficient", DOUBLE(gini), 3, true},
    {"m20", NULL, "src.morph.param", "second moment of the brightest fifth of the light",
     DOUBLE(m20), 3, true},
    {"concentration", NULL, "src.morph.param", "5 log10(r80/r20)", DOUBLE(concentration), 3, true},
    {"asymmetry", NULL, "src.morph.param", "under rotation by 180 deg", DOUBLE(asymmetry), 3, true},
    {"spread", NULL, "src.morph.param", "0 a point, above 0 broader, below 0 sharper",
     DOUBLE(spread), 5, true},
    {"spread_err", NULL, "stat.error;src.morph.param", "standard error of spread",
     DOUBLE(spread_err), 5, true},
    {"p_point", NULL, "stat.probability", "that it is a point source", DOUBLE(p_point), 4, true},
    {"class", NULL, "src.class", "point, extended, artefact or unknown",
     MEMBER_CLASS, offsetof(aid_source, kind), 0, true},
    {"flags", NULL, "meta.code.qual", "what is odd about it, joined by |",
     MEMBER_FLAGS, offsetof(aid_source, flags), 0, false},
};

static const column_row sextractor_rows[] = {
    {"NUMBER", NULL, "meta.record;meta.main", "Running object number", INT64(id), 0, false},
    {"X_IMAGE", "pix", "pos.cartesian.x;instr.det", "Barycentre along x", PIXEL(x), 4, false},
    {"Y_IMAGE", "pix", "pos.cartesian.y;instr.det", "Barycentre along y", PIXEL(y), 4, false},
    {"XWIN_IMAGE", "pix", "pos.cartesian.x;instr.det", "Windowed position along x",
     PIXEL(x_win), 4, false},
    {"YWIN_IMAGE", "pix", "pos.cartesian.y;instr.det", "Windowed position along y",
     PIXEL(y_win), 4, false},
    {"ALPHA_J2000", "deg", "pos.eq.ra;meta.main", "Right ascension, ICRS, of the windowed position",
     DOUBLE(ra_deg), 7, false},
    {"DELTA_J2000", "deg", "pos.eq.dec;meta.main", "Declination, ICRS, of the windowed position",
     DOUBLE(dec_deg), 7, false},
    {"FLUX_APER", flux, "phot.count", "Flux within the circular aperture",
     DOUBLE(flux_aper), -1, false},
    {"FLUXERR_APER", flux, "stat.error;phot.count", "Its rms error",
     DOUBLE(flux_aper_err), -1, false},
    {"MAG_APER", "mag", "phot.mag", "Magnitude of FLUX_APER", DOUBLE(mag), 4, false},
    {"MAGERR_APER", "mag", "stat.error;phot.mag", "Its rms error", DOUBLE(mag_err), 4, false},
    {"FLUX_AUTO", flux, "phot.count", "Flux within the Kron ellipse", DOUBLE(flux_auto), -1, false},
    {"FLUXERR_AUTO", flux, "stat.error;phot.count", "Its rms error",
     DOUBLE(flux_auto_err), -1, false},
    {"KRON_RADIUS", NULL, "phys.angSize;src", "Kron ellipse in units of A or B",
     DOUBLE(kron_radius), 3, false},
    {"FLUX_ISO", flux, "phot.count", "Isophotal flux", DOUBLE(flux_iso), -1, false},
    {"FLUXERR_ISO", flux, "stat.error;phot.count", "Its rms error",
     DOUBLE(flux_iso_err), -1, false},
    {"FLUX_RADIUS", "pix", "phys.angSize;src", "Radius of half the light",
     DOUBLE(flux_radius_px), 4, false},
    {"FLUX_MAX", flux, "phot.count;stat.max", "Peak flux above background",
     DOUBLE(peak), -1, false},
    {"BACKGROUND", flux, "instr.background", "Background at the barycentre",
     DOUBLE(background), -1, false},
    {"THRESHOLD", flux, "instr.sensitivity", "Detection threshold above background",
     DOUBLE(threshold), -1, false},
    {"ISOAREA_IMAGE", "pix2", "phys.area", "Isophotal area above the threshold",
     INT64(npix), 0, false},
    {"XMIN_IMAGE", "pix", "pos.cartesian.x;stat.min", "Minimum x of detected pixels",
     PIXEL_INT(x_min), 0, false},
    {"YMIN_IMAGE", "pix", "pos.cartesian.y;stat.min", "Minimum y of detected pixels",
     PIXEL_INT(y_min), 0, false},
    {"XMAX_IMAGE", "pix", "pos.cartesian.x;stat.max", "Maximum x of detected pixels",
     PIXEL_INT(x_max), 0, false},
    {"YMAX_IMAGE", "pix", "pos.cartesian.y;stat.max", "Maximum y of detected pixels",
     PIXEL_INT(y_max), 0, false},
    {"XPEAK_IMAGE", "pix", "pos.cartesian.x;instr.det", "x of the brightest pixel",
     PIXEL_INT(x_peak), 0, false},
    {"YPEAK_IMAGE", "pix", "pos.cartesian.y;instr.det", "y of the brightest pixel",
     PIXEL_INT(y_peak), 0, false},
    {"X2_IMAGE", "pix2", "src.impactParam", "Variance along x", DOUBLE(x2), -1, false},
    {"Y2_IMAGE", "pix2", "src.impactParam", "Variance along y", DOUBLE(y2), -1, false},
    {"XY_IMAGE", "pix2", "src.impactParam", "Covariance between x and y", DOUBLE(xy), -1, false},
    {"ERRX2_IMAGE", "pix2", "stat.variance;pos.cartesian.x", "Variance of position along x",
     DOUBLE(x2_err), -1, false},
    {"ERRY2_IMAGE", "pix2", "stat.variance;pos.cartesian.y", "Variance of position along y",
     DOUBLE(y2_err), -1, false},
    {"ERRXY_IMAGE", "pix2", "stat.covariance", "Covariance of position", DOUBLE(xy_err), -1, false},
    {"ERRX2WIN_IMAGE", "pix2", "stat.variance;pos.cartesian.x",
     "Variance of windowed position along x",
     MEMBER_SQUARE, offsetof(aid_source, x_win_err), -1, false},
    {"ERRY2WIN_IMAGE", "pix2", "stat.variance;pos.cartesian.y",
     "Variance of windowed position along y",
     MEMBER_SQUARE, offsetof(aid_source, y_win_err), -1, false},
    {"A_IMAGE", "pix", "phys.angSize.smajAxis", "Profile rms along the major axis",
     DOUBLE(a), 4, false},
    {"B_IMAGE", "pix", "phys.angSize.sminAxis", "Profile rms along the minor axis",
     DOUBLE(b), 4, false},
    {"THETA_IMAGE", "deg", "pos.posAng;instr.det", "Position angle, counter-clockwise from x",
     DOUBLE(theta_deg), 2, false},
    {"THETA_J2000", "deg", "pos.posAng", "Position angle, east of north",
     DOUBLE(position_angle_deg), 2, false},
    {"ELLIPTICITY", NULL, "src.ellipticity", "1 - B_IMAGE/A_IMAGE", DOUBLE(ellipticity), 3, false},
    {"FWHM_IMAGE", "pix", "phys.angSize;src", "FWHM of a Gaussian core", DOUBLE(fwhm_px), 3, false},
    {"SNR_WIN", NULL, "stat.snr", "Peak of the filtered image over its noise",
     DOUBLE(snr), 3, false},
    {"FLUX_PSF", flux, "phot.count", "Flux by a fit of the PSF", DOUBLE(flux_psf), -1, true},
    {"FLUXERR_PSF", flux, "stat.error;phot.count", "Its rms error", DOUBLE(flux_psf_err), -1, true},
    {"CHI2_PSF", NULL, "stat.fit.chi2", "Reduced chi2 of that fit", DOUBLE(chi2_psf), 3, true},
    {"CLASS_STAR", NULL, "src.class.starGalaxy", "Probability of a point source",
     DOUBLE(p_point), 4, true},
    {"SPREAD_MODEL", NULL, "src.morph.param", "Spread parameter", DOUBLE(spread), 5, true},
    {"SPREADERR_MODEL", NULL, "stat.error;src.morph.param", "Its error",
     DOUBLE(spread_err), 5, true},
    {"FLAGS", NULL, "meta.code.qual", "Extraction flags",
     MEMBER_FLAGS_SEXTRACTOR, offsetof(aid_source, flags), 0, false},
};
/* clang-format on */

enum { MOST_ROWS = 64 };
_Static_assert(AID_COUNT_OF(astrid_rows) <= MOST_ROWS, "columns");
_Static_assert(AID_COUNT_OF(sextractor_rows) <= MOST_ROWS, "columns");

static bool is_measured(const aid_sources *sources, const column_row *row)
{
    for (int64_t i = 0; i < sources->count; i++) {
        const char *member = (const char *)&sources->items[i] + row->offset;
        if (row->kind == MEMBER_CLASS ? sources->items[i].kind != AID_CLASS_UNKNOWN
                                      : isfinite(*(const double *)member))
            return true;
    }
    return false;
}

static aid_column describe(const extract_image *image, const column_row *row)
{
    static const aid_column_kind kinds[] = {
        [MEMBER_DOUBLE] = AID_COLUMN_DOUBLE,          [MEMBER_PIXEL] = AID_COLUMN_DOUBLE,
        [MEMBER_SQUARE] = AID_COLUMN_DOUBLE,          [MEMBER_INT64] = AID_COLUMN_INT64,
        [MEMBER_PIXEL_INT32] = AID_COLUMN_INT64,      [MEMBER_FLAGS] = AID_COLUMN_TEXT,
        [MEMBER_FLAGS_SEXTRACTOR] = AID_COLUMN_INT64, [MEMBER_CLASS] = AID_COLUMN_TEXT};
    const char *unit = row->unit == flux ? (image->unit[0] ? image->unit : NULL) : row->unit;
    return (aid_column){.name = row->name,
                        .unit = unit,
                        .ucd = row->ucd,
                        .description = row->description,
                        .kind = kinds[row->kind],
                        .decimals = row->decimals};
}

static aid_status fill_cell(aid_table *table, int column, int64_t row, const column_row *from,
                            const aid_source *source, aid_error *err)
{
    const char *member = (const char *)source + from->offset;
    aid_column *item = &table->items[column];
    char names[512];
    switch (from->kind) {
    case MEMBER_DOUBLE:
        item->values.doubles[row] = *(const double *)member;
        break;
    case MEMBER_PIXEL:
        item->values.doubles[row] = *(const double *)member + 1.0;
        break;
    case MEMBER_SQUARE:
        item->values.doubles[row] = *(const double *)member * *(const double *)member;
        break;
    case MEMBER_INT64:
        item->values.integers[row] = *(const int64_t *)member;
        break;
    case MEMBER_PIXEL_INT32:
        item->values.integers[row] = *(const int32_t *)member + 1;
        break;
    case MEMBER_FLAGS_SEXTRACTOR:
        item->values.integers[row] = aid_source_flags_sextractor(source->flags);
        break;
    case MEMBER_FLAGS:
        if (source->flags == 0)
            break; /* a text that is not set is empty */
        aid_source_flag_names(source->flags, names, sizeof names);
        return aid_table_set_text(table, column, row, names, err);
    case MEMBER_CLASS:
        return aid_table_set_text(table, column, row, aid_source_class_name(source->kind), err);
    }
    return AID_OK;
}

aid_status extract_table(const extract_image *image, int columns, aid_table *ret_table,
                         aid_error *err)
{
    bool sextractor = columns == EXTRACT_COLUMNS_SEXTRACTOR;
    const column_row *rows = sextractor ? sextractor_rows : astrid_rows;
    size_t total = sextractor ? AID_COUNT_OF(sextractor_rows) : AID_COUNT_OF(astrid_rows);
    const column_row *used[MOST_ROWS];
    aid_column described[MOST_ROWS];
    int count = 0;
    for (size_t i = 0; i < total; i++)
        if (!rows[i].optional || is_measured(&image->sources, &rows[i])) {
            used[count] = &rows[i];
            described[count++] = describe(image, &rows[i]);
        }
    AID_CLEANUP(aid_table_done)
    aid_table table = {0};
    AID_TRY(aid_table_init("sources", "sources of one image", described, count,
                           image->sources.count, &table, err));
    for (int64_t row = 0; row < image->sources.count; row++)
        for (int column = 0; column < count; column++)
            AID_TRY(fill_cell(&table, column, row, used[column], &image->sources.items[row], err));
    *ret_table = table;
    table = (aid_table){0};
    return AID_OK;
}
