/* The sums of FITS standard 4.0, section 4.4.2.7 and appendix J, for the writer. */
#ifndef AID_ADAPTERS_FITS_WRITE_SUM_H
#define AID_ADAPTERS_FITS_WRITE_SUM_H

#include <stddef.h>
#include <stdint.h>

/* The ones-complement sum of big-endian 32-bit words, continued from `sum` (0 to begin with);
 * `bytes` is a multiple of 4. */
uint32_t aid_fits_sum(uint32_t sum, const void *data, size_t bytes);

/* The sixteen characters of CHECKSUM that bring an HDU with the sum `sum` (counted with sixteen '0'
 * in their place) to minus zero. They stand from byte 11 of their card, as fixed format has it. */
void aid_fits_checksum_text(uint32_t sum, char ret_text[17]);

#endif
