/* The header of a raw frame, made true for the pixels that calibration has left of it. */
#ifndef AID_DOMAIN_PIPELINE_FRAME_HEADER_H
#define AID_DOMAIN_PIPELINE_FRAME_HEADER_H

#include "domain/calibration/apply.h"

/* All cards but those on sections, gain, read noise, saturation and unit, which are said anew as
 * `frame` has them (BUNIT, GAIN, EGAIN, RDNOISE, SATURATE; none where unknown); the reference pixel
 * of every coordinate system moves with the trimming. *ret_header is untouched on failure. */
AID_MUST_USE aid_status aid_frame_header(const aid_header *raw, const aid_calibrated *frame,
                                         aid_header *ret_header, aid_error *err);

/* What the bits of a MASK extension mean, in the words of Rubin's pipelines (MP_SAT = 1), so that
 * they are read back as what they were. */
AID_MUST_USE aid_status aid_frame_mask_cards(aid_header *header, aid_error *err);

#endif
