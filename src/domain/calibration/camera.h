/* What is known about cameras whose headers do not tell, or do not tell the truth. */
#ifndef AID_DOMAIN_CALIBRATION_CAMERA_H
#define AID_DOMAIN_CALIBRATION_CAMERA_H

#include "core/base/header.h"

typedef struct aid_camera {
    const char *name;        /* found within INSTRUME or CAMERA, whatever the case */
    bool gain_card_is_wrong; /* GAIN is an index or a setting; EGAIN still counts */
    double gain;             /* e-/ADU; NaN unknown */
    double read_noise;       /* e-; NaN unknown */
    double saturation;       /* ADU; NaN unknown */
    int overscan_skip;  /* columns (rows) of the overscan next to the image that are not used: they
                           hold what is left of its charge, or a transient of the electronics */
    const char *remark; /* a clause for the note */
} aid_camera;

/* The profile of the camera that the header names, or NULL. */
const aid_camera *aid_camera_of(const aid_header *header);

#endif
