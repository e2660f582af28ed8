/* Calibration: from raw frames to masters, and from a raw frame and its masters to an image whose
 * pixels are proportional to light, with their variance and a mask. Equations: README.md of this
 * folder. */
#ifndef AID_DOMAIN_CALIBRATION_CALIBRATION_H
#define AID_DOMAIN_CALIBRATION_CALIBRATION_H

#include "core/base/header.h"
#include "core/base/notes.h"
#include "core/base/pool.h"
#include "core/imaging/combine.h"
#include "core/imaging/image.h"
#include "core/sky/time.h"

/* --------------------------------------------------------------------------- what a header says */

typedef enum aid_frame_type {
    AID_TYPE_UNKNOWN,
    AID_TYPE_BIAS,
    AID_TYPE_DARK,
    AID_TYPE_FLAT,
    AID_TYPE_LIGHT,
    AID_FRAME_TYPES
} aid_frame_type;
const char *aid_frame_type_name(aid_frame_type type); /* "bias", "dark", ... */

/* Half-open, 0-based: columns x0 .. x1-1. Empty (all 0): the header names none. */
typedef struct aid_section {
    int32_t x0, y0, x1, y1;
} aid_section;

typedef struct aid_frame_facts {
    char name[128]; /* the file's name, for messages */
    aid_frame_type type;
    char type_origin[48]; /* "IMAGETYP", "exposure of 0 s", "told so", ... */
    bool is_master;
    char instrument[72], filter[72], object[72]; /* "" unknown */
    int32_t width, height;                       /* of the frame as it is stored */
    int32_t binning_x, binning_y;                /* 1 when the header says nothing */
    double exposure_s;                           /* NaN unknown */
    double temperature_c;                        /* of the detector; NaN unknown */
    double gain, read_noise_e; /* e-/ADU, e-; NaN unknown; header or camera profile */
    double saturation;         /* ADU of the raw frame; NaN unknown */
    aid_epoch epoch;
    double valid_until_mjd_utc; /* of a master; NaN: without end */
    aid_section overscan, trim;
} aid_frame_facts;

/* Never fails: what is odd (GAIN = 0, `6,4E-05`, a bias typed DARK, a section beyond the frame) is
 * read as well as it can be, or left unknown, with a note. */
aid_frame_facts aid_frame_facts_from_header(const aid_header *header, const char *name,
                                            int32_t width, int32_t height, aid_notes *notes);

/* Where nothing tells the saturation, the largest number that the pixels of a file of that BITPIX,
 * BSCALE and BZERO can hold still does, where they are integers of 16 bits. */
void aid_frame_facts_take_ceiling(aid_frame_facts *facts, int bitpix, double bscale, double bzero);

/* -------------------------------------------------------------------------------------- masters */

typedef struct aid_master {
    aid_frame_facts facts; /* width and height after trimming */
    aid_image image;       /* bias: ADU above the overscan level; dark: ADU/s; flat: mean 1 */
    aid_image variance;    /* of the master's own pixels, same unit squared */
    aid_mask mask;         /* AID_MASK_BAD: dead, hot, unstable or without a value */
    int frames;
    double level, noise;      /* median and robust sigma over the sound pixels */
    double frame_noise;       /* of one frame, ADU: the read noise for a bias */
    double rejected_fraction; /* of the frames' pixels, by clipping */
    bool above_overscan;      /* the overscan's level was taken off each frame */
    char id[65];              /* set by who stores it: hash of inputs, parameters and build */
} aid_master;
void aid_master_done(aid_master *master);

#endif
