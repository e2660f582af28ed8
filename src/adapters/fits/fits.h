/* FITS in and out. Every file is decoded in a sandboxed child process (our own program with a
 * hidden verb), re-validated by the parent, and its pixels come back through shared memory. */
#ifndef AID_ADAPTERS_FITS_FITS_H
#define AID_ADAPTERS_FITS_FITS_H

#include "core/base/header.h"
#include "core/base/notes.h"
#include "core/imaging/image.h"

/* Must be called first thing in main() of every program that reads FITS: when the program was
 * started as a decoder it does that work and exits; otherwise it returns at once. */
void aid_fits_decoder_main(int argc, char **argv);

typedef struct aid_fits_image {
    int32_t width, height; /* of the image, px; also where its pixels were not asked for */
    aid_image image; /* physical values: BSCALE and BZERO applied; what is BLANK, NaN or infinite is
                      * NaN; 32-bit and 64-bit numbers are rounded to the nearest float */
    uint16_t *whole; /* [height][width]: the image where 16-bit pixels were asked for as they are
                      * and the file holds such; `image` is empty then. Else NULL */
    aid_image
        variance;  /* of a VARIANCE or VAR extension of the same shape, else of ERR, ERROR, SIGMA
                    * or UNCERT (squared), else of WEIGHT, WHT or IVAR (inverted); else empty.
                    * NaN where nothing is known. Of several, the one with the image's EXTVER */
    aid_mask mask; /* of a MASK, DQ or BADPIX extension: AID_MASK_BAD where not 0, or, where MP_BAD,
                    * MP_SAT, MP_CR, MP_EDGE, MP_NO_DATA cards name its bits, those; else empty */
    aid_header header; /* cards of the image's HDU, CONTINUE joined, HIERARCH by the name behind it;
                        * where it is an extension, followed by the primary's that it lacks. A
                        * compressed image has the cards it had before */
    char hdu_name[72]; /* EXTNAME, or "" */
    int hdu;           /* 0 = primary */
    int bitpix;        /* as stored, after decompression: 8 16 32 64 -32 -64 */
    double bscale, bzero;
    char sha256[65]; /* of the file's bytes */
} aid_fits_image;

typedef struct aid_fits_read_options {
    const char *hdu; /* NULL: first 2-D image; number (0-based), EXTNAME, or "EXTNAME,EXTVER" */
    bool skip_companions; /* do not look for variance and mask extensions */
    bool headers_only;    /* leave image, variance and mask empty: the file is still walked through
                           * to its end and hashed, but no pixel is decoded */
    bool keep_whole; /* unsigned 16-bit pixels (BITPIX 16, BZERO 32768, no BLANK, not compressed)
                      * come as such, at half the cost; without companions alone */
} aid_fits_read_options;
#define AID_FITS_READ_DEFAULTS                                                                     \
    (aid_fits_read_options)                                                                        \
    {                                                                                              \
        0                                                                                          \
    }

/* `path` is a name in the file system and nothing else: no [extension] syntax, no URL, no '-'.
 * Regular files only, also gzip and tile-compressed ones. Fails with AID_ERR_INVALID when the
 * content is at fault ("x.fits: HDU 1: ..."), AID_ERR_IO when the file cannot be read or changes
 * meanwhile, AID_ERR_NOMEM or AID_ERR_CANCELLED when the decoder was killed. options NULL: the
 * defaults. Several threads may read at once. Release with aid_fits_image_done. */
AID_MUST_USE aid_status aid_fits_read(const char *path, const aid_fits_read_options *options,
                                      aid_fits_image *ret_image, aid_error *err);
void aid_fits_image_done(aid_fits_image *image);

/* A mask image: the MASK, DQ or BADPIX extension, else the first 2-D image, of whole numbers; its
 * values (0..255; larger ones: low byte, or BAD when that is 0) are returned as they are. */
AID_MUST_USE aid_status aid_fits_read_mask(const char *path, int32_t width, int32_t height,
                                           aid_mask *ret_mask, char ret_sha256[65], aid_error *err);

/* A binary table: hdu NULL: the first one (SExtractor's LDAC_IMHEAD does not count), else number or
 * EXTNAME. Numbers with TSCAL and TZERO applied, whole ones exact where they fit; TNULL is null,
 * logical columns are 1, 0 or null. `decimals` are those of TDISPn. Columns of vectors, of
 * variable-length arrays, of complex numbers or of bits are left out, and `notes` (may be NULL)
 * says which. Failures as of aid_fits_read. Release with aid_table_done. */
struct aid_table;
AID_MUST_USE aid_status aid_fits_read_table(const char *path, const char *hdu, aid_notes *notes,
                                            struct aid_table *ret_table, aid_error *err);

/* ---- writing: a new file of several HDUs, never half-written (temporary name, fsync, rename) ----
 */
typedef struct aid_fits_writer aid_fits_writer;

AID_MUST_USE aid_status aid_fits_create(const char *path, aid_fits_writer **ret_writer,
                                        aid_error *err);
/* Appends an image as BITPIX -32 (or 8 for a mask) with `cards` after the structural ones; cards
 * with structural keywords (SIMPLE, BITPIX, NAXIS*, EXTEND, BSCALE, BZERO, BLANK, CHECKSUM, ...)
 * are left out. extname NULL: primary array without a name. CHECKSUM and DATASUM are written. */
AID_MUST_USE aid_status aid_fits_put_image(aid_fits_writer *writer, const char *extname,
                                           const aid_image *image, const aid_header *cards,
                                           aid_error *err);
AID_MUST_USE aid_status aid_fits_put_mask(aid_fits_writer *writer, const char *extname,
                                          const aid_mask *mask, const aid_header *cards,
                                          aid_error *err);
/* An HDU without data. As the first one it is the primary header. */
AID_MUST_USE aid_status aid_fits_put_header(aid_fits_writer *writer, const aid_header *cards,
                                            aid_error *err);
/* Unsigned 16-bit pixels (BITPIX 16, BZERO 32768), for raw frames; values are rounded and must lie
 * in 0..65535. */
AID_MUST_USE aid_status aid_fits_put_u16(aid_fits_writer *writer, const char *extname,
                                         const aid_image *image, const aid_header *cards,
                                         aid_error *err);
AID_MUST_USE aid_status aid_fits_put_table(aid_fits_writer *writer, const char *extname,
                                           const struct aid_table *table, const aid_header *cards,
                                           aid_error *err);
/* Completes the file under its final name and releases the writer, also on failure. Fails when any
 * put failed before. */
AID_MUST_USE aid_status aid_fits_commit(aid_fits_writer *writer, aid_error *err);
/* Drops everything; NULL is fine. */
void aid_fits_abandon(aid_fits_writer *writer);

#endif
