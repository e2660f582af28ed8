/* Which HDUs of a file are wanted: the image, and the variance and mask that go with it. */
#ifndef AID_ADAPTERS_FITS_CHOOSE_H
#define AID_ADAPTERS_FITS_CHOOSE_H

#include "adapters/fits/layout.h"

/* How the numbers of a companion become a variance. */
typedef enum aid_fits_noise {
    AID_FITS_NOISE_VARIANCE, /* as it is */
    AID_FITS_NOISE_SIGMA,    /* squared */
    AID_FITS_NOISE_WEIGHT    /* inverted; 0 = nothing known */
} aid_fits_noise;

typedef struct aid_fits_choice {
    int image;    /* HDU */
    int variance; /* -1: none */
    aid_fits_noise noise;
    int mask; /* -1: none */
} aid_fits_choice;

/* `wanted` NULL or "": the first 2-D image, one that is not named like a companion where there is
 * one. Otherwise an HDU's number (0-based), its EXTNAME (else EXTTYPE), or "NAME,EXTVER". Fails
 * with AID_ERR_INVALID where that is no 2-D image, saying what there is instead. */
AID_MUST_USE aid_status aid_fits_choose_image(const aid_fits_layout *layout, const char *wanted,
                                              int *ret_hdu, aid_error *err);

/* The same for a binary table that holds no image. */
AID_MUST_USE aid_status aid_fits_choose_table(const aid_fits_layout *layout, const char *wanted,
                                              int *ret_hdu, aid_error *err);

/* The same for a mask: the first image named like a mask, else the first 2-D image. */
AID_MUST_USE aid_status aid_fits_choose_mask(const aid_fits_layout *layout, int *ret_hdu,
                                             aid_error *err);

/* Companions of HDU `image`: known by EXTNAME (else EXTTYPE), of the same shape, and of the same
 * EXTVER where there are several. */
aid_fits_choice aid_fits_choose_companions(const aid_fits_layout *layout, int image);

#endif
