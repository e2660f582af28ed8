/* The pixels of many frames of one shape, in bounded memory, to be read in bands of rows: what
 * aid_combine works from. A frame is kept as 16-bit whole numbers where it consists of such, else
 * as float32; what does not fit the budget lies in a scratch file without a name, which is gone
 * when the store or its process is. */
#ifndef AID_ADAPTERS_FITS_FRAME_STORE_H
#define AID_ADAPTERS_FITS_FRAME_STORE_H

#include "core/imaging/combine.h"

typedef struct aid_frame_store aid_frame_store;

enum { AID_FRAME_STORE_MEMORY = 160 << 20 /* bytes; a good budget for most */ };

/* `folder` of the scratch file: NULL for $TMPDIR, else /var/tmp, else /tmp. The file is made only
 * when it is needed. Caller owns; free takes NULL. */
AID_MUST_USE aid_status aid_frame_store_new(int64_t memory_bytes, const char *folder,
                                            aid_frame_store **ret_store, aid_error *err);
void aid_frame_store_free(aid_frame_store *store);

/* Copies a frame into the store, as number aid_frame_store_count before the call. `variance` may be
 * NULL or empty, but then must be so for all frames. Fails with AID_ERR_INVALID where the shape is
 * not that of the first frame, AID_ERR_IO where the scratch file cannot be written; the store is
 * as before then. Not to be called from several threads at once. */
AID_MUST_USE aid_status aid_frame_store_add(aid_frame_store *store, const aid_image *image,
                                            const aid_image *variance, aid_error *err);
/* The same of a frame of 16-bit whole numbers without a variance; [height][width], from malloc, and
 * the store's from then on, also on failure. */
AID_MUST_USE aid_status aid_frame_store_take_whole(aid_frame_store *store, uint16_t *take_whole,
                                                   int32_t width, int32_t height, aid_error *err);
int aid_frame_store_count(const aid_frame_store *store);

/* The frames as a port; borrows the store, and is of no use any more after the next add. Reading
 * from several threads at once is fine. */
aid_frame_rows aid_frame_store_rows(aid_frame_store *store);

#endif
