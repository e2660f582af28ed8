/* Plate solving by astrometry.net's solve-field, where it is installed: the sky of an image whose
 * header does not tell. A child process with a folder of its own, a time limit, and no shell. */
#ifndef AID_ADAPTERS_SOLVER_SOLVER_H
#define AID_ADAPTERS_SOLVER_SOLVER_H

#include "core/base/header.h"
#include "core/imaging/image.h"

#include <stdbool.h>

typedef struct aid_solve_options {
    double timeout_s;
    double low_arcsec, high_arcsec; /* of a pixel; NaN: any */
    bool (*stop)(void);             /* whether somebody has asked to stop; NULL: nobody does */
} aid_solve_options;
#define AID_SOLVE_DEFAULTS                                                                         \
    (aid_solve_options)                                                                            \
    {                                                                                              \
        .timeout_s = 60.0, .low_arcsec = NAN, .high_arcsec = NAN                                   \
    }

/* `name` is for messages. *ret_cards: the cards of the solution, WCS and others.
 * Fails with AID_ERR_IO when solve-field is not in PATH, cannot be started or takes longer than the
 * limit, AID_ERR_INVALID when it finds no solution, AID_ERR_CANCELLED when asked to stop; the child
 * and its folder are gone in any case. */
AID_MUST_USE aid_status aid_solve_field(const aid_image *image, const char *name,
                                        const aid_solve_options *options, aid_header *ret_cards,
                                        aid_error *err);

#endif
