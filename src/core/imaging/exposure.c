#include "core/imaging/exposure.h"

void aid_exposure_done(aid_exposure *exposure)
{
    aid_header_done(&exposure->header);
    aid_wcs_free(exposure->wcs);
    aid_image_done(&exposure->image);
    aid_mask_done(&exposure->mask);
    aid_mesh_done(&exposure->background);
    aid_mesh_done(&exposure->noise);
    aid_stars_done(&exposure->stars);
    aid_psf_done(&exposure->psf);
    *exposure = (aid_exposure){0};
}
