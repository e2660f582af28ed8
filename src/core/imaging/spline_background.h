/* SExtractor's own background map, by libsep: bicubic splines through clipped cells. For catalogues
 * that shall agree with SExtractor's to the last digits; aid_background_measure is the one that the
 * rest of the program uses. */
#ifndef AID_CORE_IMAGING_SPLINE_BACKGROUND_H
#define AID_CORE_IMAGING_SPLINE_BACKGROUND_H

#include "core/imaging/image.h"

typedef struct aid_spline_background aid_spline_background;

/* `mask` may be empty; any bit but saturation leaves a pixel out, as does NaN. Caller owns. Fails
 * with AID_ERR_NUMERIC when the library cannot make a map. */
AID_MUST_USE aid_status aid_spline_background_new(const aid_image *image, const aid_mask *mask,
                                                  int cell_px, int filter_cells,
                                                  aid_spline_background **ret_background,
                                                  aid_error *err);
void aid_spline_background_free(aid_spline_background *background);

/* Background and noise along row y, [width]. Safe from several threads. */
AID_MUST_USE aid_status aid_spline_background_row(const aid_spline_background *background,
                                                  int32_t y, float *row, aid_error *err);
AID_MUST_USE aid_status aid_spline_background_noise_row(const aid_spline_background *background,
                                                        int32_t y, float *row, aid_error *err);

/* Medians over the cells. */
double aid_spline_background_level(const aid_spline_background *background);
double aid_spline_background_noise(const aid_spline_background *background);

/* The values of the cells put into meshes that are there already, at the centres of their cells:
 * for what is asked of the map at single places. */
AID_MUST_USE aid_status aid_spline_background_meshes(const aid_spline_background *background,
                                                     aid_mesh *level, aid_mesh *noise,
                                                     aid_error *err);

#endif
