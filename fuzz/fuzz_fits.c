/* Bytes of a file -> the decoder in this process -> the parent's checks. Nothing may crash, and
 * what an honest decoder says must pass. */
#define _GNU_SOURCE
#include "adapters/fits/decode.h"
#include "adapters/fits/fits.h"
#include "adapters/tables/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

const char *__lsan_default_suppressions(void);
const char *__lsan_default_options(void);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);

/* CFITSIO forgets its buffers when a tile is damaged; the decoder is a process for one file. */
const char *__lsan_default_suppressions(void)
{
    return "leak:libcfitsio";
}

const char *__lsan_default_options(void)
{
    return "print_suppressions=0";
}

typedef struct reply_block {
    uint8_t *bytes;
    size_t size;
} reply_block;

/* Refuses what would make the fuzzer slow: running out of memory is one more thing to survive. */
static void *allocate(void *context, size_t size)
{
    reply_block *block = context;
    block->size = size;
    block->bytes = size > (size_t)64 << 20 ? NULL : calloc(1, size);
    return block->bytes;
}

static const char doubt[] = "x.fits: the decoder gave a reply that cannot be right";

static void decode(const uint8_t *data, size_t size, aid_fits_parts parts)
{
    reply_block block = {0};
    aid_fits_reply_memory memory = {.allocate = allocate, .context = &block};
    aid_fits_request request = {.mask_alone = parts == AID_FITS_PARTS_MASK,
                                .header_alone = parts == AID_FITS_PARTS_HEADER};
    aid_error err;
    if (aid_fits_decode(data, size, &request, &memory, &err) != AID_OK)
        abort();
    int descriptor = memfd_create("reply", MFD_CLOEXEC);
    if (descriptor < 0 || write(descriptor, block.bytes, block.size) != (ssize_t)block.size)
        abort();
    aid_fits_image image;
    aid_status status = aid_fits_reply_take(descriptor, "x.fits", parts, &image, &err);
    if (status == AID_OK)
        aid_fits_image_done(&image);
    else if (!strncmp(err.message, doubt, sizeof doubt - 1)) {
        fprintf(stderr, "%s\n", err.message);
        abort();
    }
    close(descriptor);
    free(block.bytes);
}

static void decode_table(const uint8_t *data, size_t size)
{
    reply_block block = {0};
    aid_fits_reply_memory memory = {.allocate = allocate, .context = &block};
    aid_fits_request request = {.table = true};
    aid_error err;
    if (aid_fits_decode(data, size, &request, &memory, &err) != AID_OK)
        abort();
    int descriptor = memfd_create("reply", MFD_CLOEXEC);
    if (descriptor < 0 || write(descriptor, block.bytes, block.size) != (ssize_t)block.size)
        abort();
    aid_table table;
    if (aid_fits_reply_take_table(descriptor, "x.fits", NULL, &table, &err) == AID_OK) {
        aid_table_done(&table);
    } else if (!strncmp(err.message, doubt, sizeof doubt - 1)) {
        fprintf(stderr, "%s\n", err.message);
        abort();
    }
    close(descriptor);
    free(block.bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    decode_table(data, size);
    decode(data, size, AID_FITS_PARTS_IMAGE);
    decode(data, size, AID_FITS_PARTS_MASK);
    decode(data, size, AID_FITS_PARTS_HEADER);
    return 0;
}

/* ------------------------------------------------------------- mutations that know what a card is
 */

static const char *const values[] = {"0",
                                     "1",
                                     "-1",
                                     "2",
                                     "3",
                                     "8",
                                     "16",
                                     "32",
                                     "64",
                                     "-32",
                                     "-64",
                                     "7",
                                     "999",
                                     "1000",
                                     "2880",
                                     "65536",
                                     "65537",
                                     "2147483647",
                                     "2147483648",
                                     "4294967295",
                                     "17179869184",
                                     "999999999999999999",
                                     "T",
                                     "F",
                                     "1E999",
                                     "NaN",
                                     "'RICE_1'",
                                     "'GZIP_1'",
                                     "'GZIP_2'",
                                     "'PLIO_1'",
                                     "'HCOMPRESS_1'",
                                     "'NOCOMPRESS'",
                                     "'1PB(9)'",
                                     "'1QB(9)'",
                                     "'1PI'",
                                     "'1PE'",
                                     "'1D'",
                                     "'1J'",
                                     "'ERR'",
                                     "'DQ'",
                                     "'WHT'",
                                     "'x&'",
                                     "'SUBTRACTIVE_DITHER_1'",
                                     "'SUBTRACTIVE_DITHER_2'",
                                     "'BINTABLE'",
                                     "'IMAGE   '"};
static const char *const keywords[] = {
    "BLANK",  "BSCALE", "BZERO",  "PCOUNT", "GCOUNT",   "EXTNAME",  "EXTVER", "ZBLANK",
    "ZSCALE", "ZZERO",  "THEAP",  "ZTILE1", "ZTILE2",   "ZDITHER0", "ZVAL1",  "ZVAL2",
    "ZNAME1", "ZNAME2", "GROUPS", "MP_BAD", "CONTINUE", "HIERARCH", "END",    "NAXIS1",
    "TTYPE1", "TFORM1", "TFORM2", "TSCAL1", "TZERO1",   "TNULL1",   "TDISP1"};

static uint32_t next(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u; /* Numerical Recipes' generator */
    return *state >> 8;
}

static void change_card(uint8_t *card, uint32_t *state)
{
    char text[81];
    uint32_t what = next(state) % 4;
    const char *value = values[next(state) % AID_COUNT_OF(values)];
    if (what == 0)
        snprintf(text, sizeof text, "%-8s= %-70s", keywords[next(state) % AID_COUNT_OF(keywords)],
                 value);
    else
        snprintf(text, sizeof text, "%.8s= %-70s", (const char *)card, value);
    if (strlen(text) == 80)
        memcpy(card, text, 80);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
    uint32_t state = seed;
    if (size < 80 || next(&state) % 2)
        return LLVMFuzzerMutate(data, size, max_size);
    for (uint32_t times = 1 + next(&state) % 3; times > 0; times--)
        change_card(data + next(&state) % (size / 80) * 80, &state);
    return size;
}
