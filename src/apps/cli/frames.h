/* What `astrid align` and `astrid stack` have in common: frames in and out. */
#ifndef AID_APPS_CLI_FRAMES_H
#define AID_APPS_CLI_FRAMES_H

#include "adapters/files/json.h"
#include "adapters/fits/fits.h"
#include "apps/common/command.h"
#include "domain/stacking/stacking.h"

typedef struct frame_request {
    const char *path, *hdu;      /* hdu NULL: the first image */
    aid_prepare_options prepare; /* the PSF is left out in any case */
    bool plain;                  /* pixels and header alone: no stars, no sky */
    bool solve;                  /* a WCS from solve-field, where the header has none */
    double solve_timeout_s;
} frame_request;

/* A frame as it came from its file, and what preparation found out about it. */
typedef struct cli_frame {
    const char *path;
    aid_fits_image file; /* header, hash; the pixels are taken out of it */
    int32_t width, height;
    aid_frame_pixels pixels; /* as they came */
    aid_exposure facts;      /* a plain frame has name, WCS and epoch alone */
    bool prepared;
} cli_frame;

AID_MUST_USE aid_status frame_read(const frame_request *request, aid_pool *pool, aid_notes *notes,
                                   cli_frame *ret_frame, aid_error *err);
void frame_done(cli_frame *frame);
/* The facts, where there are any. */
const aid_exposure *frame_facts(const cli_frame *frame);

/* Frames of one size come one after another: the C library keeps the memory of one for the next,
 * up to 32 MB a piece, rather than having the kernel clear new pages each time. */
void frame_keep_buffers(void);

/* ---- cards ---- */

/* Cards of `from` that still hold on another grid of pixels: no WCS, no sections, no statistics. */
AID_MUST_USE aid_status frame_keep_cards(const aid_header *from, aid_header *to, aid_error *err);
/* The cards of `to` whose keywords `from` has as well give way to those. */
AID_MUST_USE aid_status frame_replace_cards(const aid_header *from, aid_header *to, aid_error *err);
/* How the noise of resampled pixels goes together, for VARIANCE to be used rightly. */
AID_MUST_USE aid_status frame_noise_cards(aid_warp_kernel kernel, aid_header *to, aid_error *err);

/* What the pixels of a stack are worth, and when they were taken, in place of what the header of
 * one frame said; a constant `sky` was left in. */
AID_MUST_USE aid_status frame_stack_cards(const aid_stack_summary *summary, double sky,
                                          aid_header *to, aid_error *err);
/* A card about the time of one exposure, which says nothing of a stack. */
bool frame_is_time_card(const char *keyword);

/* Image, VARIANCE and MASK on one grid. `wcs` may be NULL. */
AID_MUST_USE aid_status frame_write(const char *path, const aid_frame_pixels *pixels,
                                    const aid_header *cards, const aid_wcs *wcs, aid_error *err);

/* ---- words ---- */

/* "[3/20] b.fits" on a terminal, in place of what stood there; nothing where standard error is
 * none, or for a single frame. With done == total the line is wiped. Several threads may call it.
 */
void frame_progress(int done, int total, const char *path);

aid_warp_kernel frame_kernel(int choice); /* of the setting "kernel" */
const char *frame_kernel_name(aid_warp_kernel kernel);
/* "data/a.fits.gz" -> "a" */
void frame_base_name(const char *path, char *name, size_t size);
void frame_put_registration(aid_json_writer *json, const aid_registration *registration);

#endif
