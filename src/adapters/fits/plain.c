#include "adapters/fits/plain.h"

#include <math.h>
#include <string.h>

aid_status aid_fits_scaling_read(aid_fits_cards cards, int bitpix, aid_fits_scaling *ret_scaling,
                                 aid_error *err)
{
    aid_fits_scaling scaling = {0};
    AID_TRY(aid_fits_real(cards, "BSCALE", 1.0, &scaling.scale, err));
    AID_TRY(aid_fits_real(cards, "BZERO", 0.0, &scaling.zero, err));
    if (scaling.scale == 0.0)
        AID_FAIL(err, AID_ERR_INVALID, "BSCALE = 0 makes every pixel the same");
    scaling.has_blank = bitpix > 0 && aid_fits_card_find(cards, "BLANK");
    if (scaling.has_blank)
        AID_TRY(aid_fits_integer(cards, "BLANK", 0, &scaling.blank, err));
    *ret_scaling = scaling;
    return AID_OK;
}

/* ---------------------------------------------------------------------------------- stored numbers
 */

static inline int64_t load_i8(const uint8_t *at)
{
    return *at; /* FITS bytes have no sign */
}

static inline int64_t load_i16(const uint8_t *at)
{
    return (int16_t)(uint16_t)(at[0] << 8 | at[1]);
}

static inline uint32_t load_u32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | (uint32_t)at[3];
}

static inline int64_t load_i32(const uint8_t *at)
{
    return (int32_t)load_u32(at);
}

static inline int64_t load_i64(const uint8_t *at)
{
    return (int64_t)((uint64_t)load_u32(at) << 32 | load_u32(at + 4));
}

static inline float load_f32(const uint8_t *at)
{
    uint32_t bits = load_u32(at);
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline double load_f64(const uint8_t *at)
{
    int64_t bits = load_i64(at);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* ----------------------------------------------------------------------------------- to physical
 */

#define DEFINE_SCALE(TYPE, SIZE)                                                                   \
    AID_HOT static void scale_##TYPE(const uint8_t *restrict bytes, int64_t count, double scale,   \
                                     double zero, float *restrict pixels)                          \
    {                                                                                              \
        for (int64_t i = 0; i < count; i++)                                                        \
            pixels[i] = (float)(zero + scale * (double)load_##TYPE(bytes + i * (SIZE)));           \
    }
DEFINE_SCALE(i8, 1)
DEFINE_SCALE(i16, 2)
DEFINE_SCALE(i32, 4)
DEFINE_SCALE(i64, 8)
DEFINE_SCALE(f32, 4)
DEFINE_SCALE(f64, 8)

#define DEFINE_BLANK(TYPE, SIZE)                                                                   \
    AID_HOT static void blank_##TYPE(const uint8_t *restrict bytes, int64_t count, int64_t blank,  \
                                     float *restrict pixels)                                       \
    {                                                                                              \
        for (int64_t i = 0; i < count; i++)                                                        \
            if (load_##TYPE(bytes + i * (SIZE)) == blank)                                          \
                pixels[i] = NAN;                                                                   \
    }
DEFINE_BLANK(i8, 1)
DEFINE_BLANK(i16, 2)
DEFINE_BLANK(i32, 4)
DEFINE_BLANK(i64, 8)

static void blank_out(const uint8_t *bytes, int bitpix, int64_t count, int64_t blank, float *pixels)
{
    switch (bitpix) {
    case 8:
        blank_i8(bytes, count, blank, pixels);
        break;
    case 16:
        blank_i16(bytes, count, blank, pixels);
        break;
    case 32:
        blank_i32(bytes, count, blank, pixels);
        break;
    default:
        blank_i64(bytes, count, blank, pixels);
    }
}

void aid_fits_plain_floats(const uint8_t *bytes, int bitpix, int64_t count,
                           const aid_fits_scaling *scaling, float *ret_pixels)
{
    switch (bitpix) {
    case 8:
        scale_i8(bytes, count, scaling->scale, scaling->zero, ret_pixels);
        break;
    case 16:
        scale_i16(bytes, count, scaling->scale, scaling->zero, ret_pixels);
        break;
    case 32:
        scale_i32(bytes, count, scaling->scale, scaling->zero, ret_pixels);
        break;
    case 64:
        scale_i64(bytes, count, scaling->scale, scaling->zero, ret_pixels);
        break;
    case -32:
        scale_f32(bytes, count, scaling->scale, scaling->zero, ret_pixels);
        break;
    default:
        scale_f64(bytes, count, scaling->scale, scaling->zero, ret_pixels);
    }
    if (scaling->has_blank)
        blank_out(bytes, bitpix, count, scaling->blank, ret_pixels);
}

AID_HOT static void add_half_range(const uint8_t *restrict bytes, int64_t count,
                                   uint16_t *restrict pixels)
{
    for (int64_t i = 0; i < count; i++)
        pixels[i] = (uint16_t)((bytes[2 * i] << 8 | bytes[2 * i + 1]) ^ 0x8000);
}

void aid_fits_plain_whole(const uint8_t *bytes, int64_t count, uint16_t *ret_pixels)
{
    add_half_range(bytes, count, ret_pixels);
}

/* ------------------------------------------------------------------------------- to whole numbers
 */

int64_t aid_fits_whole_number(double value)
{
    if (value == 0.0)
        return 0;
    bool whole = fabs(value) < 9.0e18 && value == trunc(value);
    return whole ? (int64_t)value : 1;
}

static int64_t load_integer(const uint8_t *bytes, int bitpix, int64_t index)
{
    switch (bitpix) {
    case 8:
        return load_i8(bytes + index);
    case 16:
        return load_i16(bytes + 2 * index);
    case 32:
        return load_i32(bytes + 4 * index);
    default:
        return load_i64(bytes + 8 * index);
    }
}

static double load_real(const uint8_t *bytes, int bitpix, int64_t index)
{
    if (bitpix == -32)
        return (double)load_f32(bytes + 4 * index);
    if (bitpix == -64)
        return load_f64(bytes + 8 * index);
    return (double)load_integer(bytes, bitpix, index);
}

void aid_fits_plain_integers(const uint8_t *bytes, int bitpix, int64_t count,
                             const aid_fits_scaling *scaling, int64_t *ret_pixels)
{
    /* BZERO = 2^63 makes 64-bit numbers unsigned; their bits are right in wrapping arithmetic. */
    double zero = scaling->zero, two_to_63 = 9223372036854775808.0;
    bool exact = bitpix > 0 && scaling->scale == 1.0 && zero == trunc(zero) && zero >= -two_to_63 &&
                 zero <= two_to_63;
    uint64_t offset = !exact ? 0 : zero < 0.0 ? (uint64_t)(int64_t)zero : (uint64_t)zero;
    for (int64_t i = 0; i < count; i++) {
        if (exact)
            ret_pixels[i] = (int64_t)((uint64_t)load_integer(bytes, bitpix, i) + offset);
        else
            ret_pixels[i] =
                aid_fits_whole_number(zero + scaling->scale * load_real(bytes, bitpix, i));
        if (scaling->has_blank && load_integer(bytes, bitpix, i) == scaling->blank)
            ret_pixels[i] = 1;
    }
}
