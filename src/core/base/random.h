/* Pseudo-random numbers that are the same on every machine: xoshiro256++ (Blackman & Vigna 2019),
 * seeded by splitmix64. Streams of one seed are independent: one for each band or object, so that
 * results do not depend on the number of threads. */
#ifndef AID_CORE_BASE_RANDOM_H
#define AID_CORE_BASE_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

typedef struct aid_random {
    uint64_t state[4];
    double spare_normal; /* the second of a pair */
    bool has_spare;
} aid_random;

aid_random aid_random_seeded(uint64_t seed, uint64_t stream);

uint64_t aid_random_bits(aid_random *random);
/* In [0, 1), 53 bits. */
double aid_random_uniform(aid_random *random);
/* Mean 0, variance 1 (Marsaglia's polar method). */
double aid_random_normal(aid_random *random);
/* Poisson deviate of mean >= 0 as a double: by counting below 12, by transformed rejection (PTRS,
 * Hormann 1993) up to 10^7, by a rounded normal beyond. Mean 0 or less gives 0. */
double aid_random_poisson(aid_random *random, double mean);

#endif
