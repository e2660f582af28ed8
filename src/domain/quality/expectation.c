/* What a good frame of this camera and this exposure would reach: the yardstick of a frame that
 * has no others beside it. */
#include "domain/calibration/camera.h"
#include "domain/quality/internal.h"

#include <ctype.h>
#include <string.h>

static const double pi = 3.14159265358979323846;
static const double fwhm_per_sigma = 2.354820045030949;
static const double good_seeing_arcsec = 1.5;
static const double best_fwhm_px = 2.0;       /* sharper stars are undersampled */
static const double dark_sky_e_per_s = 1.0;   /* a pixel, where nothing better is known */
static const double usual_read_noise_e = 5.0; /* where the header is silent */
static const double usual_exposure_s = 60.0;

/* A dark sky at the zenith, mag/arcsec^2: ugrizy of Ivezic et al. 2019 (ApJ 873, 111), UBVRI of
 * Patat 2003 (A&A 400, 1183). */
typedef struct dark_sky {
    char band;
    double mag;
} dark_sky;
static const dark_sky dark_skies[] = {{'u', 22.99}, {'g', 22.26}, {'r', 21.20}, {'i', 20.48},
                                      {'z', 19.60}, {'y', 18.61}, {'U', 22.28}, {'B', 22.64},
                                      {'V', 21.61}, {'R', 20.87}, {'I', 19.71}};
static const double other_dark_sky = 21.2;

/* The first letter that stands alone in the filter's name: "r DECam SDSS c0002", "Bessell V". */
static double dark_sky_of(const char *filter)
{
    for (const char *c = filter; c && *c; c++) {
        bool alone = isalpha((unsigned char)*c) && !isalnum((unsigned char)c[1]) &&
                     (c == filter || !isalnum((unsigned char)c[-1]));
        for (size_t i = 0; alone && i < AID_COUNT_OF(dark_skies); i++)
            if (dark_skies[i].band == *c)
                return dark_skies[i].mag;
    }
    return other_dark_sky;
}

static double read_noise_of(const aid_header *header)
{
    static const char *const keywords[] = {"RDNOISE",  "READNOIS",  "RON",      "ENOISE", "READNSE",
                                           "RDNOISEA", "READNOISE", "RDNOISE1", "CCDRON", NULL};
    double value;
    if (aid_header_first_number(header, keywords, &value, NULL) && value > 0.0 && value < 1000.0)
        return value;
    const aid_camera *camera = aid_camera_of(header);
    return camera ? camera->read_noise : NAN;
}

const char *const aid_quality_filter_keywords[] = {"FILTER",  "FILTNAM", "FILTNAME",
                                                   "FILTER1", "FILTER2", NULL};

static const char *filter_of(const aid_header *header)
{
    const char *text = NULL;
    for (int i = 0; aid_quality_filter_keywords[i] && !(text && *text); i++)
        text = aid_header_text(header, aid_quality_filter_keywords[i]);
    return text;
}

static double scale_of(const aid_exposure *exposure)
{
    double scale;
    return exposure->wcs && aid_wcs_pixel_scale(exposure->wcs, 0.5 * exposure->image.width,
                                                0.5 * exposure->image.height, &scale)
               ? scale
               : NAN;
}

/* Electrons of a dark sky in one pixel. Its brightness depends on the focal ratio and the pixel
 * alone, not on the size of the telescope: about 1 e-/s for 10 um at f/5. */
static double dark_sky_electrons(const aid_exposure *exposure, const aid_quality *quality)
{
    double mag = dark_sky_of(filter_of(&exposure->header));
    double scale = quality->pixel_scale_arcsec;
    if (isfinite(quality->zero_point) && isfinite(scale))
        return quality->gain * pow(10.0, -0.4 * (mag - quality->zero_point)) * scale * scale;
    double exposure_s = quality->exposure_s > 0.0 ? quality->exposure_s : usual_exposure_s;
    return dark_sky_e_per_s * exposure_s;
}

static double good_fwhm_px(double scale_arcsec)
{
    if (!(scale_arcsec > 0.0))
        return best_fwhm_px * sqrt(2.0);
    return hypot(best_fwhm_px, good_seeing_arcsec / scale_arcsec);
}

void aid_quality_expect(const aid_exposure *exposure, aid_quality *quality, aid_notes *notes)
{
    quality->exposure_s = exposure->epoch.exposure_s;
    quality->mid_mjd_utc = exposure->epoch.known ? exposure->epoch.mid_mjd_utc : NAN;
    if (!exposure->epoch.known)
        quality->exposure_s = NAN;
    quality->gain = isfinite(exposure->gain) && exposure->gain > 0.0 ? exposure->gain : NAN;
    quality->read_noise_e = read_noise_of(&exposure->header);
    quality->zero_point = exposure->zero_point;
    quality->pixel_scale_arcsec = scale_of(exposure);
    quality->fwhm_arcsec = quality->fwhm_px * quality->pixel_scale_arcsec;

    double noise = quality->noise_level; /* of a good frame: the frame's own where unknown */
    if (isfinite(quality->gain)) {
        double read_noise =
            isfinite(quality->read_noise_e) ? quality->read_noise_e : usual_read_noise_e;
        noise =
            sqrt(dark_sky_electrons(exposure, quality) + read_noise * read_noise) / quality->gain;
    } else {
        aid_note_add(notes, AID_QUALITY_STAGE,
                     "%s: gain unknown: the noise cannot be held against that of a dark sky, and "
                     "the score counts the seeing alone",
                     exposure->name);
    }
    quality->expected_noise = noise;
    double fwhm = quality->expected_fwhm_px = good_fwhm_px(quality->pixel_scale_arcsec);
    double area = 4.0 * pi * fwhm * fwhm / (fwhm_per_sigma * fwhm_per_sigma);
    /* The star's own light: sum P^3/(sum P^2)^2 = 4/3 of a Gaussian. */
    double own = isfinite(quality->gain) ? 25.0 * 4.0 / 3.0 / quality->gain : 0.0;
    quality->expected_flux = 0.5 * (own + sqrt(own * own + 100.0 * area * noise * noise));
}
