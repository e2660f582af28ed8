/* Calibration masters as FITS files: the image, VARIANCE and MASK extensions, and cards that say
 * what it is made of. */
#ifndef AID_ADAPTERS_FITS_MASTER_FILE_H
#define AID_ADAPTERS_FITS_MASTER_FILE_H

#include "core/base/header.h"
#include "domain/calibration/calibration.h"

/* A master of ours, or of another program: then the unit is made ours (a flat of mean 1; a dark
 * whose BUNIT is no rate is divided by its EXPTIME), a variance that is not there becomes 0, and
 * the level is measured, all with a note. ret_sha256 (of the file, 65 bytes) may be NULL.
 * Fails as aid_fits_read does, with AID_ERR_INVALID where the header says that it is something
 * else than `expected` (AID_TYPE_UNKNOWN: whatever it is). */
AID_MUST_USE aid_status aid_master_read(const char *path, aid_frame_type expected, aid_notes *notes,
                                        aid_master *ret_master, char ret_sha256[65],
                                        aid_error *err);

/* `cards` (may be NULL) go behind those that describe the master. The file is never half-written.
 */
AID_MUST_USE aid_status aid_master_write(const char *path, const aid_master *master,
                                         const aid_header *cards, aid_error *err);

/* "2024-05-13T03:26:49.310" of a Modified Julian Date in UTC. */
enum { AID_MJD_TEXT = 32 };
void aid_mjd_text(double mjd, char ret_text[AID_MJD_TEXT]);

#endif
