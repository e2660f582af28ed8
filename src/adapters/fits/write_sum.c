#include "adapters/fits/write_sum.h"

#include "core/base/macros.h"

#include <assert.h>
#include <string.h>

static uint32_t word_of(uint32_t stored)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    return __builtin_bswap32(stored);
#else
    return stored;
#endif
}

AID_HOT static uint64_t sum_words(const unsigned char *restrict words, size_t count)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t stored;
        memcpy(&stored, words + 4 * i, sizeof stored);
        sum += word_of(stored);
    }
    return sum;
}

/* Carries are collected in the upper half of 64 bits and brought round at the end: a word that
 * overflows 2^32 and one that is added to it is the same modulo 2^32 - 1. */
uint32_t aid_fits_sum(uint32_t sum, const void *data, size_t bytes)
{
    assert(bytes % 4 == 0);
    uint64_t wide = sum + sum_words(data, bytes / 4);
    while (wide >> 32)
        wide = (wide & 0xffffffffu) + (wide >> 32);
    return (uint32_t)wide;
}

static int is_punctuation(int c)
{
    return (c >= ':' && c <= '@') || (c >= '[' && c <= '`');
}

/* Each byte of the complement is spread over four characters that add up to it, counted from '0';
 * two of a pair move apart together until neither is punctuation. */
void aid_fits_checksum_text(uint32_t sum, char ret_text[17])
{
    uint32_t complement = ~sum;
    for (int byte = 0; byte < 4; byte++) {
        int value = (int)(complement >> (24 - 8 * byte) & 0xff);
        int part[4];
        for (int i = 0; i < 4; i++)
            part[i] = '0' + value / 4 + (i == 0 ? value % 4 : 0);
        for (int pair = 0; pair < 4; pair += 2)
            while (is_punctuation(part[pair]) || is_punctuation(part[pair + 1])) {
                part[pair]++;
                part[pair + 1]--;
            }
        /* One to the right, because byte 11 of a card is the last of its word. */
        for (int i = 0; i < 4; i++)
            ret_text[(4 * i + byte + 1) % 16] = (char)part[i];
    }
    ret_text[16] = '\0';
}
