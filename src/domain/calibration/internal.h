/* Private to this folder. */
#ifndef AID_DOMAIN_CALIBRATION_INTERNAL_H
#define AID_DOMAIN_CALIBRATION_INTERNAL_H

#include "domain/calibration/calibration.h"
#include "domain/calibration/camera.h"

#define AID_FACTS_STAGE "frames"

/* A number however a camera's program may write it: within a string, or with a decimal comma. */
bool aid_header_loose_number(const aid_header *header, const char *keyword, double *ret_value,
                             bool *ret_odd);

/* Overscan and trim sections, in the frame. */
void aid_facts_sections(const aid_header *header, const aid_camera *camera, const char *name,
                        aid_notes *notes, aid_frame_facts *facts);

/* Type of the frame from what the header calls it; needs exposure_s and object. */
void aid_facts_type(const aid_header *header, const char *name, aid_notes *notes,
                    aid_frame_facts *facts);

/* Gain, read noise and saturation level. */
void aid_facts_detector(const aid_header *header, const aid_camera *camera, const char *name,
                        aid_notes *notes, aid_frame_facts *facts);

#endif
