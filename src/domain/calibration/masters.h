/* Making masters out of raw frames. The frames' pixels come through a port (combine.h), raw and
 * whole; what belongs to each is in an aid_raw_frame. */
#ifndef AID_DOMAIN_CALIBRATION_MASTERS_H
#define AID_DOMAIN_CALIBRATION_MASTERS_H

#include "domain/calibration/overscan.h"

typedef struct aid_raw_frame {
    aid_frame_facts facts;
    aid_overscan overscan;
    double level, noise; /* of the trimmed frame above overscan, bias and dark: median; robust sigma
                            of a pixel from differences of neighbours, so that no gradient counts */
    double saturated_fraction;
    bool used;
    char reason[160]; /* why it is left out, else "" */
} aid_raw_frame;
void aid_raw_frame_done(aid_raw_frame *frame);

typedef struct aid_master_options {
    aid_frame_type type; /* bias, dark or flat */
    aid_combine_method method;
    double kappa;
    aid_overscan_method overscan;
    const aid_master *bias, *dark; /* borrowed; NULL: none */
    bool strict;                   /* a frame that would be left out is a failure */
} aid_master_options;
#define AID_MASTER_DEFAULTS                                                                        \
    (aid_master_options)                                                                           \
    {                                                                                              \
        .type = AID_TYPE_BIAS, .method = AID_COMBINE_CLIPPED_MEAN, .kappa = 5.0                    \
    }

/* Measures one frame and finds what is wrong with it by itself; `used` and `reason` say so. Fails
 * only for want of memory. */
AID_MUST_USE aid_status aid_raw_frame_examine(const aid_image *raw, const aid_frame_facts *facts,
                                              const aid_master_options *options,
                                              aid_raw_frame *ret_frame, aid_error *err);

/* The master of those frames that are used; frames[i] belongs to frame i of `rows`. Frames that do
 * not fit the others (shape, filter, level, noise) are marked as not used, with the reason.
 * Fails with AID_ERR_INVALID when nothing is left, when a frame is left out although `strict`, or
 * when bias or dark are of another shape; *ret_master is untouched. */
AID_MUST_USE aid_status aid_make_master(const aid_frame_rows *rows, aid_raw_frame *frames,
                                        const aid_master_options *options, aid_pool *pool,
                                        aid_notes *notes, aid_master *ret_master, aid_error *err);

/* Gain and read noise by photon transfer: the noise of differences of flats, which knows nothing
 * of their structure, against their level. */
typedef struct aid_photon_transfer {
    double gain, gain_error;               /* e-/ADU */
    double read_noise_e, read_noise_error; /* e- */
    double read_noise_adu;
    int pairs;
    int64_t cells; /* parts of frames that it rests on */
} aid_photon_transfer;

/* Of flats (after overscan and bias, options->bias) that are used; read_noise_adu of one frame, as
 * aid_master.frame_noise of a bias. Fails with AID_ERR_NUMERIC where fewer than two flats with
 * enough light are there, or the noise does not tell. */
AID_MUST_USE aid_status aid_measure_photon_transfer(
    const aid_frame_rows *rows, const aid_raw_frame *frames, const aid_master_options *options,
    double read_noise_adu, aid_pool *pool, aid_photon_transfer *ret_transfer, aid_error *err);

#endif
