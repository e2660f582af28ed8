/* PSF fits: what psf_fit.c (who is fitted with whom, in rounds) and psf_group.c (one group) share.
 */
#ifndef AID_DOMAIN_PHOTOMETRY_PSF_FIT_H
#define AID_DOMAIN_PHOTOMETRY_PSF_FIT_H

#include "domain/photometry/internal.h"

enum { PSF_GROUP_MAX = 16, PSF_UNKNOWNS_MAX = 3 * PSF_GROUP_MAX + 1 };

/* One star as it stands. */
typedef struct psf_fit_star {
    double given_x, given_y, x, y, flux;
    bool there;  /* on the image, with a usable pixel or not */
    bool frozen; /* its position strayed: it is the given one */
    int group;
} psf_fit_star;

typedef struct psf_fit_job {
    const aid_photometry_frame *frame;
    aid_psf_fit_options options; /* without zeros */
    int count;
    psf_fit_star *stars;
    int *members, *first; /* group g has the stars members[first[g] .. first[g+1]-1] */
    int groups;
    aid_image model;    /* of all stars, over `box` */
    photometry_box box; /* of the image */
    int radius, stamp_pixels;
    bool last; /* round: errors are wanted */
    aid_psf_flux *fluxes;
    struct psf_fit_scratch *scratch; /* [threads] */
} psf_fit_job;

/* What one worker needs for a group; grows with the largest one. */
typedef struct psf_fit_scratch {
    float *stamps; /* [PSF_GROUP_MAX][side][side] */
    double *pixels;
    size_t capacity; /* of `pixels` */
} psf_fit_scratch;
void aid_psf_fit_scratch_done(psf_fit_scratch *scratch);

/* Fits the stars of one group to image - model of the others; writes their x, y, flux, and their
 * results where job->last. */
AID_MUST_USE aid_status aid_psf_fit_group(const psf_fit_job *job, int group,
                                          psf_fit_scratch *scratch, aid_error *err);

#endif
